//! What leaves: requests into QUIC's streams, datagrams out of it.

use super::{Connection, Transmit, varint};
use crate::frame::stream::QPACK_DECODER;
use crate::limits;
use crate::streams::Early;
use bytes::Bytes;
use proto::{Sink, Time};
use quinn_proto::Dir;

impl Connection {
    /// Gives QUIC as much of a request as it takes; the rest follows when it says that it takes more.
    #[inline]
    pub(super) fn write(&mut self, slot: usize, [mut head, mut body]: [Bytes; 2]) {
        let held = self.http.streams.is_held(slot);
        let stream = self.http.streams.at(slot);
        if stream.early == Early::Waits {
            self.http.streams.aside_mut(slot).unwritten = [head, body];
            return;
        }
        let mut sender = self.quic.send_stream(stream.id);
        self.dirty = true;
        let mut taken = true;
        for (part, may) in [(&mut head, true), (&mut body, !held)] {
            while taken && may && !part.is_empty() {
                // Blocked: told when it is not. Stopped or closed: told as well.
                taken = sender.write_chunks(std::slice::from_mut(part)).is_ok();
            }
        }
        if taken && !held && sender.finish().is_ok() {
            stream.written = true;
            self.unsent.push((slot as u32, stream.id));
        } else {
            self.http.streams.aside_mut(slot).unwritten = [head, body];
        }
    }

    /// Goes on with a request of which QUIC has not taken all.
    pub(super) fn write_rest(&mut self, slot: usize) {
        if !self.http.streams.peek(slot).written {
            let rest = std::mem::take(&mut self.http.streams.aside_mut(slot).unwritten);
            self.write(slot, rest);
        }
    }

    /// Gives QUIC the instructions for the peer's encoder.
    fn write_instructions(&mut self) {
        self.http.reader.decoder.put_increment(&mut self.http.decoder_out);
        let out = &mut self.http.decoder_out;
        if out.is_empty() {
            return;
        }
        if self.decoder_stream.is_none() {
            self.decoder_stream = self.quic.streams().open(Dir::Uni);
            if self.decoder_stream.is_some() {
                out.insert(0, QPACK_DECODER as u8);
            }
        }
        if let Some(id) = self.decoder_stream
            && let Ok(n) = self.quic.send_stream(id).write(out)
        {
            out.drain(..n);
        }
        if out.len() > limits::DECODER_STREAM_BACKLOG {
            out.clear();
        }
    }

    pub(super) fn transmit(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<Transmit> {
        if !self.dirty {
            return None;
        }
        if !self.is_closed() {
            self.write_instructions();
        }
        let datagram = usize::from(self.quic.current_mtu());
        // A probe of the path may be as large as what is being tried.
        if limit < datagram.max(usize::from(self.max_udp_payload)) {
            return None;
        }
        let datagrams = (limit / datagram).min(self.segments);
        let (asked, instant) = (self.gauge.asked(), self.instant(now));
        // QUIC writes at the front of a buffer.
        let transmit = if out.is_empty() {
            self.quic.poll_transmit(instant, datagrams, out)
        } else {
            self.response.clear();
            let transmit = self.quic.poll_transmit(instant, datagrams, &mut self.response);
            out.extend_from_slice(&self.response);
            transmit
        };
        match transmit {
            Some(t) => {
                self.fresh.clear();
                Some(Transmit { ecn: t.ecn.map_or(0, |e| e as u8), segment_size: t.segment_size })
            }
            None => {
                self.dirty = false;
                if self.gauge.asked() == asked {
                    self.all_sent(sink);
                }
                None
            }
        }
    }

    /// QUIC holds nothing back: whatever was written has left.
    fn all_sent(&mut self, sink: &mut impl Sink) {
        for (slot, id) in self.unsent.drain(..) {
            let stream = self.http.streams.at(slot as usize);
            if stream.live && stream.id == id && !stream.sent {
                stream.sent = true;
                sink.sent(stream.token);
            }
        }
    }

    /// Opens what is needed at the beginning.
    pub(super) fn open_control(&mut self) {
        if let Some(id) = self.quic.streams().open(Dir::Uni) {
            // A peer that gives no credit for it breaks RFC 9114 section 6.2, and will miss our settings.
            let _ = self.quic.send_stream(id).write(&self.control_stream);
        }
    }

    /// Keeps as many streams open ahead as requests may be submitted: opening says nothing to the peer, and whether it
    /// is possible is only known by doing it.
    #[inline]
    pub(super) fn refill(&mut self) {
        while self.http.streams.live() as usize + self.ready.len() < self.max_streams as usize {
            let Some(id) = self.quic.streams().open(Dir::Bi) else { return };
            self.ready.push_back(id);
        }
    }

    /// Resets both directions of a request that is given up.
    pub(super) fn abandon(&mut self, slot: usize, code: crate::Code) {
        let id = self.http.streams.peek(slot).id;
        let code = varint(code);
        let _ = self.quic.send_stream(id).reset(code);
        let _ = self.quic.recv_stream(id).stop(code);
        self.http.reader.decoder.cancel(super::wire_id(id), &mut self.http.decoder_out);
        self.http.earn();
        self.dirty = true;
    }
}
