//! What goes: frames of streams into a packet, and what becomes of them.

use super::bi::{Receiving, Sending};
use super::{BLOCKED_BI, BLOCKED_DATA, BLOCKED_UNI, Streams};
use crate::frame;
use crate::sent::{FrameLog, Sent};
use crate::stream_id::StreamId;
use crate::varint;
use bytes::Bytes;

/// STREAM with a length and FIN, from offset 0 (RFC 9000 section 19.8).
const WHOLE: u8 = 0x0b;

/// A frame about a stream other than STREAM has at most a type and three numbers.
const CONTROL_FRAME: usize = 1 + 3 * 8;

/// Room that is worth a piece of a stream: less would be mostly header.
const LEAST_PIECE: usize = 32;

impl Streams {
    #[inline]
    fn credit(&self) -> u64 {
        self.peer.max_data.saturating_sub(self.data_sent)
    }

    /// Frames about streams wait to be sent.
    fn has_control(&self) -> bool {
        self.tell_max_data
            || self.tell_max_uni
            || !self.resets.is_empty()
            || !self.stops.is_empty()
            || !self.credits.is_empty()
            || self.blocked.iter().any(|b| b.at.is_some() && b.at != b.told)
    }

    /// Whether [`Streams::put`] would write anything into a packet that is empty.
    #[inline]
    pub(crate) fn wants_transmit(&mut self) -> bool {
        if let Some(&index) = self.fresh.front() {
            let credit = self.credit();
            match self.bi.find(index) {
                // What fits in part goes in part: the peer may allow more only when that has come.
                Some(s) if s.told || credit > 0 || s.data.is_empty() => return true,
                Some(_) => self.note_blocked(),
                None => return true,
            }
        }
        if self.has_control() {
            return true;
        }
        let credit = self.credit();
        let mut blocked = false;
        let any = (0..self.general.len()).any(|n| {
            let id = self.general[n];
            // What is gone from there is found out in writing.
            let Some(out) = self.outgoing(id) else { return true };
            let at_limit = out.has_more() && out.sent >= out.limit;
            blocked |= !at_limit;
            out.can_send(credit) || (at_limit && out.blocked_at != Some(out.limit))
        });
        if any || !blocked {
            return any;
        }
        self.note_blocked();
        self.has_control()
    }

    fn note_blocked(&mut self) {
        self.blocked[BLOCKED_DATA].at = Some(self.peer.max_data);
    }

    /// Writes frames until `out` is `end` long or nothing is left. `sent` is told of streams all of which has left.
    #[inline]
    pub(crate) fn put(
        &mut self,
        out: &mut Vec<u8>,
        end: usize,
        log: &mut FrameLog,
        sent: &mut impl FnMut(StreamId, u32),
    ) {
        if self.has_control() {
            self.put_control(out, end, log);
        }
        // In turn, so that neither waits for the other for long.
        self.general_first = !self.general_first && !self.general.is_empty();
        if self.general_first {
            self.put_general(out, end, log, sent);
        }
        self.put_fresh(out, end, log, sent);
        if !self.general_first && !self.general.is_empty() {
            self.put_general(out, end, log, sent);
        }
    }

    #[inline]
    fn put_fresh(
        &mut self,
        out: &mut Vec<u8>,
        end: usize,
        log: &mut FrameLog,
        sent: &mut impl FnMut(StreamId, u32),
    ) {
        let mut credit = self.credit();
        while let Some(&index) = self.fresh.front() {
            let Some(stream) = self.bi.find(index).filter(|s| s.sending == Sending::Waiting) else {
                self.fresh.pop_front();
                continue;
            };
            let (id, len) = (StreamId::bi(index), stream.data.len());
            if len as u64 > self.peer.bi_window {
                self.fresh.pop_front();
                self.make_general(index);
                continue;
            }
            if out.len() + 1 + varint::size(id.0) + varint::size(len as u64) + len > end {
                return;
            }
            if !stream.told {
                if len as u64 > credit && credit > 0 {
                    self.fresh.pop_front();
                    self.make_general(index);
                    continue;
                }
                if len as u64 > credit {
                    return self.note_blocked();
                }
                credit -= len as u64;
                self.data_sent += len as u64;
                stream.told = true;
                sent(id, stream.cookie);
            }
            out.push(WHOLE);
            varint::put(out, id.0);
            varint::put(out, len as u64);
            out.extend_from_slice(&stream.data);
            stream.sending = Sending::Sent;
            log.whole(index);
            self.fresh.pop_front();
        }
    }

    fn put_general(
        &mut self,
        out: &mut Vec<u8>,
        end: usize,
        log: &mut FrameLog,
        sent: &mut impl FnMut(StreamId, u32),
    ) {
        let mut held_back = 0;
        while held_back < self.general.len() && out.len() + LEAST_PIECE <= end {
            let Some(id) = self.general.pop_front() else { return };
            let credit = self.credit();
            let Some(o) = self.outgoing(id) else { continue };
            if !o.can_send(credit) {
                if o.has_more() && o.sent < o.limit {
                    // The connection's window is in the way.
                    self.general.push_back(id);
                    held_back += 1;
                    self.note_blocked();
                } else {
                    o.queued = false;
                    if o.has_more() && o.blocked_at != Some(o.limit) {
                        o.blocked_at = Some(o.limit);
                        self.put_stream_blocked(id, out, end, log);
                    }
                }
                continue;
            }
            // Type, stream, offset, and a length of two bytes: packets are no longer than those can say.
            let head = 1 + varint::size(id.0) + varint::size(o.sent) + 2;
            let Some(chunk) = o.next(end.saturating_sub(out.len() + head), credit) else {
                o.queued = false;
                self.queue(id);
                return;
            };
            frame::put_stream_head(out, id.0, chunk.offset, chunk.len, chunk.fin);
            o.put(chunk, out);
            let before = o.sent;
            let ended = o.on_sent(chunk);
            let fresh = o.sent - before;
            let more = o.has_more();
            o.queued = more;
            self.data_sent += fresh;
            log.push(Sent::Stream { id, offset: chunk.offset, len: chunk.len as u32, fin: chunk.fin });
            if more {
                self.general.push_back(id);
            }
            if ended && id.is_bi() {
                self.tell_sent(id, sent);
            }
        }
    }

    fn tell_sent(&mut self, id: StreamId, sent: &mut impl FnMut(StreamId, u32)) {
        if let Some(stream) = self.bi.find(id.index())
            && !std::mem::replace(&mut stream.told, true)
        {
            sent(id, stream.cookie);
        }
    }

    fn put_stream_blocked(&mut self, id: StreamId, out: &mut Vec<u8>, end: usize, log: &mut FrameLog) {
        if let Some(limit) = self.outgoing(id).map(|o| o.limit)
            && out.len() + CONTROL_FRAME <= end
        {
            frame::put_stream_data_blocked(out, id.0, limit);
            log.push(Sent::StreamBlocked(id));
        }
    }

    #[cold]
    fn put_control(&mut self, out: &mut Vec<u8>, end: usize, log: &mut FrameLog) {
        let fits = |out: &Vec<u8>| out.len() + CONTROL_FRAME <= end;
        while fits(out)
            && let Some(id) = self.resets.pop_front()
        {
            self.put_reset(id, out, log);
        }
        while fits(out)
            && let Some(id) = self.stops.pop_front()
        {
            self.put_stop(id, out, log);
        }
        if fits(out) && std::mem::take(&mut self.tell_max_data) {
            self.max_data = self.data_consumed + self.connection_window;
            frame::put_max_data(out, self.max_data);
            log.push(Sent::MaxData);
        }
        if fits(out) && std::mem::take(&mut self.tell_max_uni) {
            self.uni.max = self.uni.limit();
            frame::put_max_streams(out, false, self.uni.max);
            log.push(Sent::MaxUni);
        }
        while fits(out)
            && let Some(id) = self.credits.pop_front()
        {
            self.put_credit(id, out, log);
        }
        for which in [BLOCKED_DATA, BLOCKED_BI, BLOCKED_UNI] {
            let now = [self.peer.max_data, self.peer.max_bi, self.peer.max_uni][which];
            let blocked = &mut self.blocked[which];
            let Some(at) = blocked.at.filter(|at| Some(*at) != blocked.told && fits(out)) else { continue };
            if at < now {
                blocked.at = None;
                continue;
            }
            blocked.told = Some(at);
            match which {
                BLOCKED_DATA => frame::put_data_blocked(out, at),
                _ => frame::put_streams_blocked(out, which == BLOCKED_BI, at),
            }
            log.push(Sent::Blocked(which as u8));
        }
    }

    fn put_reset(&mut self, id: StreamId, out: &mut Vec<u8>, log: &mut FrameLog) {
        let reset = if id.is_bi() {
            let stream = self.bi.find(id.index()).filter(|s| s.sending == Sending::Reset);
            stream.and_then(|s| s.aside.as_ref()).map(|a| (a.reset_code, a.reset_size))
        } else {
            self.uni.find_ours(id).and_then(|s| s.reset)
        };
        if let Some((code, size)) = reset {
            frame::put_reset_stream(out, id.0, code, size);
            log.push(Sent::Reset(id));
        }
    }

    fn put_stop(&mut self, id: StreamId, out: &mut Vec<u8>, log: &mut FrameLog) {
        let code = if id.is_bi() {
            let stream = self.bi.find(id.index()).filter(|s| s.receiving == Receiving::Stopped);
            stream.and_then(|s| s.aside.as_ref()).map(|a| a.stop_code)
        } else {
            self.uni.find_theirs(id).and_then(|s| s.stopped)
        };
        if let Some(code) = code {
            frame::put_stop_sending(out, id.0, code);
            log.push(Sent::Stop(id));
        }
    }

    fn put_credit(&mut self, id: StreamId, out: &mut Vec<u8>, log: &mut FrameLog) {
        let window = self.window;
        if let Some((received, incoming)) = self.incoming(id) {
            incoming.credit_queued = false;
            if incoming.final_size.is_none() {
                incoming.limit = incoming.limit.max(incoming.next_limit(received, window));
                frame::put_max_stream_data(out, id.0, incoming.limit);
                log.push(Sent::MaxStreamData(id));
            }
        }
    }
}

/// What becomes of frames.
impl Streams {
    #[inline]
    pub(crate) fn on_acked(&mut self, frame: Sent) {
        match frame {
            Sent::Whole { first, count } => {
                (first..first + u64::from(count)).for_each(|index| self.on_whole_acked(index))
            }
            Sent::Stream { id, offset, len, fin } => self.on_stream_acked(id, offset, len, fin),
            Sent::Reset(id) if !id.is_bi() => self.uni.done(id),
            Sent::Reset(id) => {
                if let Some(stream) = self.bi.find(id.index()).filter(|s| s.sending == Sending::Reset) {
                    stream.sending = Sending::Done;
                }
                self.remove_if_over(id.index());
            }
            _ => {}
        }
    }

    #[inline]
    fn on_whole_acked(&mut self, index: u64) {
        let Some(stream) = self.bi.find(index) else { return };
        if matches!(stream.sending, Sending::Sent | Sending::Waiting) {
            stream.data = Bytes::new();
            stream.sending = Sending::Done;
            if stream.is_over() {
                self.bi.remove(index);
            }
        }
    }

    fn on_stream_acked(&mut self, id: StreamId, offset: u64, len: u32, fin: bool) {
        let Some(out) = self.outgoing(id) else { return };
        out.on_acked(offset..offset + u64::from(len), fin);
        if !out.is_done() {
            return;
        }
        if !id.is_bi() {
            return self.uni.done(id);
        }
        if let Some(stream) = self.bi.find(id.index()) {
            stream.sending = Sending::Done;
        }
        self.remove_if_over(id.index());
    }

    pub(crate) fn on_lost(&mut self, frame: Sent) {
        match frame {
            Sent::Whole { first, count } => {
                for index in (first..first + u64::from(count)).rev() {
                    if let Some(stream) = self.bi.find(index).filter(|s| s.sending == Sending::Sent) {
                        stream.sending = Sending::Waiting;
                        self.fresh.push_front(index);
                    }
                }
            }
            Sent::Stream { id, offset, len, fin } => {
                if let Some(out) = self.outgoing(id) {
                    out.on_lost(offset..offset + u64::from(len), fin);
                    self.queue(id);
                }
            }
            // These are looked up again when they are sent, with the values of then (RFC 9000 section 13.3).
            Sent::Reset(id) => self.resets.push_back(id),
            Sent::Stop(id) => self.stops.push_back(id),
            Sent::MaxData => self.tell_max_data = true,
            Sent::MaxUni => self.tell_max_uni = true,
            Sent::MaxStreamData(id) => self.credits.push_back(id),
            Sent::Blocked(which) => self.blocked[usize::from(which)].told = None,
            Sent::StreamBlocked(id) => {
                if let Some(out) = self.outgoing(id) {
                    out.blocked_at = None;
                    self.queue(id);
                }
            }
            _ => {}
        }
    }
}
