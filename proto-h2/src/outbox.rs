//! Frames waiting to be handed out, in order, and which requests they complete.

use crate::code::Code;
use crate::frame::{FrameHeader, flag, kind};
use crate::limits;
use std::collections::VecDeque;

/// Where a request's frames lie in the stream of all bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    start: u64,
    end: u64,
    /// The stream.
    pub(crate) stream: u32,
    /// Whether the frame is the last of its request.
    pub(crate) last: bool,
}

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// Bytes of `bytes` handed out.
    taken: usize,
    /// Bytes handed out before `bytes` began.
    before: u64,
    marks: VecDeque<Mark>,
    acks: u32,
    /// Where the last WINDOW_UPDATE ends.
    updates_end: u64,
}

impl Outbox {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// The buffer, to append whole frames to.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn end(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }

    /// Moves at most `limit` bytes over.
    pub(crate) fn hand_out(&mut self, limit: usize, out: &mut Vec<u8>) {
        let n = limit.min(self.bytes.len() - self.taken);
        out.extend_from_slice(&self.bytes[self.taken..self.taken + n]);
        self.taken += n;
        if self.is_empty() {
            self.forget_taken();
            self.acks = 0;
            if self.bytes.capacity() > limits::KEPT_CAPACITY {
                self.bytes.shrink_to(limits::KEPT_CAPACITY);
            }
        } else if self.taken >= limits::KEPT_CAPACITY.max(self.bytes.len() / 2) {
            // A slow peer may never leave it empty. What moves is no more than what has left.
            self.forget_taken();
        }
    }

    fn forget_taken(&mut self) {
        self.bytes.drain(..self.taken);
        self.before += self.taken as u64;
        self.taken = 0;
    }

    /// The next request frame that has been handed out whole.
    #[inline]
    pub(crate) fn next_handed_out(&mut self) -> Option<Mark> {
        let handed = self.before + self.taken as u64;
        if self.marks.front()?.end > handed {
            return None;
        }
        self.marks.pop_front()
    }

    /// The stream of the request frame that has been handed out in part.
    #[inline]
    pub(crate) fn cut(&self) -> Option<u32> {
        let handed = self.before + self.taken as u64;
        self.marks.front().filter(|m| m.start < handed).map(|m| m.stream)
    }

    /// Drops every frame from the first request frame on of which nothing was handed out, and returns the streams so
    /// dropped. Only for a connection that is over.
    pub(crate) fn drop_unsent(&mut self, mut dropped: impl FnMut(u32)) {
        let handed = self.before + self.taken as u64;
        let mut cut = None;
        for m in self.marks.drain(..).filter(|m| m.start >= handed) {
            cut.get_or_insert(m.start);
            dropped(m.stream);
        }
        if let Some(start) = cut {
            self.bytes.truncate((start - self.before) as usize);
        }
    }

    /// Drops the frames of streams above `last` of which nothing was handed out: the peer is going away and would ignore
    /// them (RFC 9113 section 6.8). Whatever lies between them stays.
    pub(crate) fn drop_streams_above(&mut self, last: u32) {
        let handed = self.before + self.taken as u64;
        let mut gone = 0;
        let (bytes, before) = (&mut self.bytes, self.before);
        self.marks.retain_mut(|mark| {
            (mark.start, mark.end) = (mark.start - gone, mark.end - gone);
            let drop = mark.start >= handed && mark.stream > last;
            if drop {
                bytes.drain((mark.start - before) as usize..(mark.end - before) as usize);
                gone += mark.end - mark.start;
            }
            !drop
        });
    }

    /// Starts a HEADERS frame: leaves room for its header, and says where.
    #[inline]
    pub(crate) fn begin_headers(&mut self) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; FrameHeader::LEN]);
        at
    }

    /// Ends the HEADERS frame begun at `at`, cutting it into CONTINUATION frames where it is too long.
    #[inline]
    pub(crate) fn end_headers(&mut self, at: usize, stream: u32, end_stream: bool, max_frame: u32) {
        let len = self.bytes.len() - at - FrameHeader::LEN;
        let flags = if end_stream { flag::END_STREAM } else { 0 };
        if len <= max_frame as usize {
            let flags = flags | flag::END_HEADERS;
            let header = FrameHeader { len: len as u32, kind: kind::HEADERS, flags, stream };
            self.bytes[at..at + FrameHeader::LEN].copy_from_slice(&header.bytes());
        } else {
            self.continue_headers(FrameHeader { len: max_frame, kind: kind::HEADERS, flags, stream }, at);
        }
        let mark = Mark { start: self.before + at as u64, end: self.end(), stream, last: end_stream };
        self.marks.push_back(mark);
    }

    #[cold]
    fn continue_headers(&mut self, first: FrameHeader, at: usize) {
        let max = first.len as usize;
        let block = self.bytes.split_off(at + FrameHeader::LEN);
        self.bytes.truncate(at);
        let pieces = block.len().div_ceil(max);
        for (i, piece) in block.chunks(max).enumerate() {
            let mut header = FrameHeader { len: piece.len() as u32, ..first };
            if i > 0 {
                (header.kind, header.flags) = (kind::CONTINUATION, 0);
            }
            if i + 1 == pieces {
                header.flags |= flag::END_HEADERS;
            }
            self.bytes.extend_from_slice(&header.bytes());
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Queues a small DATA frame.
    pub(crate) fn data(&mut self, payload: &[u8], stream: u32, end_stream: bool) {
        let start = self.end();
        let flags = if end_stream { flag::END_STREAM } else { 0 };
        let header = FrameHeader { len: payload.len() as u32, kind: kind::DATA, flags, stream };
        self.bytes.extend_from_slice(&header.bytes());
        self.bytes.extend_from_slice(payload);
        if end_stream {
            self.marks.push_back(Mark { start, end: self.end(), stream, last: true });
        }
    }

    fn words(&mut self, kind: u8, stream: u32, words: &[u32]) {
        let header = FrameHeader { len: 4 * words.len() as u32, kind, flags: 0, stream };
        self.bytes.extend_from_slice(&header.bytes());
        for w in words {
            self.bytes.extend_from_slice(&w.to_be_bytes());
        }
    }
    pub(crate) fn reset(&mut self, stream: u32, code: Code) {
        self.words(kind::RST_STREAM, stream, &[code.0]);
    }
    pub(crate) fn window_update(&mut self, stream: u32, increment: u32) {
        self.words(kind::WINDOW_UPDATE, stream, &[increment]);
        self.updates_end = self.end();
    }
    /// Whether one waits. Where frames before it were dropped it may be said of one that has left, until all have.
    pub(crate) fn holds_window_update(&self) -> bool {
        !self.is_empty() && self.before + (self.taken as u64) < self.updates_end
    }
    /// No stream of the peer's was ever accepted, so the last one is 0.
    pub(crate) fn go_away(&mut self, code: Code) {
        self.words(kind::GOAWAY, 0, &[0, code.0]);
    }

    /// Queues an acknowledgement; false if too many wait already.
    pub(crate) fn acknowledge(&mut self, kind: u8, payload: &[u8]) -> bool {
        self.acks += 1;
        let header = FrameHeader { len: payload.len() as u32, kind, flags: flag::ACK, stream: 0 };
        self.bytes.extend_from_slice(&header.bytes());
        self.bytes.extend_from_slice(payload);
        self.acks <= limits::PENDING_ACKS
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes.capacity() + self.marks.capacity() * size_of::<Mark>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_block_becomes_continuations() {
        for len in [16_384usize, 16_385, 32_768, 40_000] {
            let mut o = Outbox::default();
            let at = o.begin_headers();
            o.bytes().extend((0..len).map(|i| i as u8));
            o.end_headers(at, 5, true, 16_384);
            let (mut rest, mut block, mut kinds) = (&o.bytes[..], Vec::new(), Vec::new());
            while let Some((h, r)) = rest.split_first_chunk::<9>() {
                let h = FrameHeader::parse(h);
                block.extend_from_slice(&r[..h.len as usize]);
                rest = &r[h.len as usize..];
                kinds.push((h.kind, h.flags, h.stream));
            }
            assert!(block.iter().enumerate().all(|(i, &b)| b == i as u8) && block.len() == len);
            assert_eq!(kinds.len(), len.div_ceil(16_384));
            assert_eq!(kinds[0].0, kind::HEADERS);
            assert!(kinds[0].1 & flag::END_STREAM != 0);
            assert!(kinds[1..].iter().all(|k| k.0 == kind::CONTINUATION && k.1 & flag::END_STREAM == 0));
            assert!(kinds.iter().enumerate().all(|(i, k)| (k.1 & 4 != 0) == (i + 1 == kinds.len())));
        }
    }

    /// Requests follow each other as fast as a slow peer takes them.
    #[test]
    fn what_was_handed_out_does_not_pile_up() {
        let (mut o, mut out, mut told) = (Outbox::default(), Vec::new(), Vec::new());
        let request = |o: &mut Outbox, stream: u32| {
            let at = o.begin_headers();
            o.bytes().extend_from_slice(&[stream as u8; 1000]);
            o.end_headers(at, stream, true, 16_384);
        };
        (0..100).for_each(|i| request(&mut o, 2 * i + 1));
        for i in 100..5000 {
            request(&mut o, 2 * i + 1);
            out.clear();
            o.hand_out(1009, &mut out);
            assert_eq!(FrameHeader::parse(out.first_chunk().expect("a header")).stream, 2 * (i - 100) + 1);
            told.extend(std::iter::from_fn(|| o.next_handed_out()).map(|m| m.stream));
            assert!(o.footprint() < 1 << 20, "{} bytes at {i}", o.footprint());
        }
        assert!(told.iter().copied().eq((0..4900).map(|i| 2 * i + 1)));
        let mut dropped = 0;
        o.drop_unsent(|_| dropped += 1);
        assert!(o.is_empty() && dropped == 100);
    }

    #[test]
    fn marks_come_when_their_last_byte_is_out() {
        let (mut o, mut out) = (Outbox::default(), Vec::new());
        for stream in [1, 3] {
            let at = o.begin_headers();
            o.bytes().push(0x82);
            o.end_headers(at, stream, true, 16_384);
        }
        assert!(o.cut().is_none());
        o.hand_out(9, &mut out);
        assert!(o.next_handed_out().is_none());
        assert_eq!(o.cut(), Some(1));
        o.hand_out(1, &mut out);
        assert_eq!(o.next_handed_out().map(|m| m.stream), Some(1));
        assert!(o.next_handed_out().is_none() && o.cut().is_none());
        let mut dropped = Vec::new();
        o.drop_unsent(|s| dropped.push(s));
        assert_eq!(dropped, [3]);
        assert!(o.is_empty());
    }
}
