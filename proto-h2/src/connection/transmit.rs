//! What leaves: queued frames first, then bodies in turn, as far as the peer's windows and the driver's limit allow.

use super::{Connection, State};
use crate::frame::{FrameHeader, flag, kind};
use crate::limits;
use crate::outbox::Mark;
use crate::streams::NO_UPLOAD;
use proto::Sink;

impl Connection {
    pub(super) fn transmit(&mut self, limit: usize, out: &mut Vec<u8>, sink: &mut impl Sink) -> Option<()> {
        if self.state == (State::Draining { announced: false }) {
            self.drain(sink);
        }
        let start = out.len();
        let room = |out: &Vec<u8>| limit - (out.len() - start);
        if limit == 0 {
            return None;
        }
        // Those queued last have to leave first, so that the outbox holds no more than one for each.
        if !self.owed.is_empty() && !self.outbox.holds_window_update() {
            self.give_back();
        }
        self.outbox.hand_out(limit, out);
        self.note_handed_out(sink);
        while self.outbox.is_empty()
            && room(out) > 0
            && self.send_data(room(out), out.len() > start, out, sink)
        {}
        (out.len() > start).then_some(())
    }

    /// Whether any receive window is to be filled up: streams that ended meanwhile need none.
    pub(super) fn owes(&self) -> bool {
        self.owed.iter().any(|&id| id == 0 || self.streams.find_live(id).is_some())
    }

    /// Queues the WINDOW_UPDATEs that are owed.
    fn give_back(&mut self) {
        for id in self.owed.drain(..) {
            let increment = match self.streams.find_live(id) {
                _ if id == 0 => self.receive_window.give_back(),
                Some(slot) => std::mem::take(&mut self.streams.at(slot).unreturned),
                None => continue,
            };
            self.outbox.window_update(id, increment);
        }
    }

    /// Tells of requests that have left whole. From its first byte on, a request can be answered.
    fn note_handed_out(&mut self, sink: &mut impl Sink) {
        while let Some(Mark { stream, last, .. }) = self.outbox.next_handed_out() {
            self.streams.begun(stream);
            // A stream that failed meanwhile is not spoken of again; a closed connection has none.
            let Some(slot) = self.streams.find_live(stream) else { continue };
            let stream = self.streams.at(slot);
            stream.out = true;
            if last {
                sink.sent(stream.token);
            }
        }
        if let Some(stream) = self.outbox.cut() {
            self.streams.begun(stream);
        }
    }

    /// Writes one DATA frame of the body whose turn it is; false if there is none, or no room for one worth while.
    fn send_data(&mut self, room: usize, some: bool, out: &mut Vec<u8>, sink: &mut impl Sink) -> bool {
        let window = self.send_window.available();
        let Some(index) = self.uploads.front().filter(|_| window > 0) else { return false };
        let upload = self.uploads.at(index);
        let id = upload.stream;
        let slot = self.streams.find_live(id).expect("an upload has a stream in flight");
        let left = upload.body.len() - upload.sent;
        let max = left
            .min(window)
            .min(self.streams.at(slot).send_window.available())
            .min(self.peer.max_frame_size as usize)
            .min(limits::DATA_FRAME);
        assert!(max > 0, "only bodies that may go on are queued");
        let fits = room.saturating_sub(FrameHeader::LEN);
        if fits < max && fits < limits::DATA_FRAME_WORTHWHILE && some {
            return false;
        }
        // Where not even a small frame fits, one goes through the outbox, which hands out in any pieces.
        let len = if fits == 0 { max.min(limits::DATA_FRAME_TINY) } else { max.min(fits) };
        let last = len == left;
        let payload = upload.body.slice(upload.sent..upload.sent + len);
        upload.sent += len;
        self.send_window.send(len);
        self.streams.at(slot).send_window.send(len);
        self.budget.earn();
        if last {
            self.streams.at(slot).upload = NO_UPLOAD;
            self.uploads.remove(index);
        } else {
            let open = self.streams.at(slot).send_window.available() > 0;
            self.uploads.rotate();
            self.uploads.requeue(index, open);
        }
        if fits == 0 {
            self.outbox.data(&payload, id, last);
            self.outbox.hand_out(room, out);
            self.note_handed_out(sink);
            return true;
        }
        let flags = if last { flag::END_STREAM } else { 0 };
        out.extend_from_slice(&FrameHeader { len: len as u32, kind: kind::DATA, flags, stream: id }.bytes());
        out.extend_from_slice(&payload);
        if last {
            sink.sent(self.streams.at(slot).token);
        }
        true
    }

    /// A body that waited for `100 Continue` goes on.
    pub(super) fn release(&mut self, index: u32) {
        self.uploads.release(index);
        let id = self.uploads.at(index).stream;
        let slot = self.streams.find_live(id).expect("an upload has a stream in flight");
        let open = self.streams.at(slot).send_window.available() > 0;
        self.uploads.requeue(index, open);
    }
}
