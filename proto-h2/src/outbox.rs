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
    /// It must leave, whatever becomes of its request.
    due: bool,
    /// It will not leave. Its bytes go when there are more like it, or before the next ones leave.
    void: bool,
}

/// What a HEADERS frame is to the outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers {
    pub(crate) stream: u32,
    pub(crate) end_stream: bool,
    /// Its block changes the peer's table, which later blocks rely on.
    pub(crate) changes_table: bool,
}

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// Bytes of `bytes` handed out.
    taken: usize,
    /// Bytes handed out before `bytes` began.
    before: u64,
    /// In the order of their bytes, which is the order of their streams.
    marks: VecDeque<Mark>,
    /// Bytes of those that are void.
    void: usize,
    /// Where the acknowledgements end that have not left.
    acks: Vec<u64>,
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

    /// Up to where bytes were handed out.
    fn handed(&self) -> u64 {
        self.before + self.taken as u64
    }

    /// Moves at most `limit` bytes over.
    pub(crate) fn hand_out(&mut self, limit: usize, out: &mut Vec<u8>) {
        if self.void > 0 {
            self.drop_void();
        }
        let n = limit.min(self.bytes.len() - self.taken);
        out.extend_from_slice(&self.bytes[self.taken..self.taken + n]);
        self.taken += n;
        if !self.acks.is_empty() {
            let handed = self.handed();
            let left = self.acks.iter().take_while(|end| **end <= handed).count();
            self.acks.drain(..left);
        }
        if self.is_empty() {
            self.forget_taken();
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
        if self.marks.front()?.end > self.handed() {
            return None;
        }
        self.marks.pop_front()
    }

    /// The stream of the request frame that has been handed out in part.
    #[inline]
    pub(crate) fn cut(&self) -> Option<u32> {
        self.marks.front().filter(|m| m.start < self.handed()).map(|m| m.stream)
    }

    /// Drops every frame from the first request frame on of which nothing was handed out, and returns the streams so
    /// dropped. Only for a connection that is over.
    pub(crate) fn drop_unsent(&mut self, mut dropped: impl FnMut(u32)) {
        let handed = self.handed();
        let mut cut = None;
        self.void = 0;
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
        let handed = self.handed();
        for m in self.marks.iter_mut().filter(|m| m.start >= handed && m.stream > last) {
            m.void = true;
        }
        self.drop_void();
    }

    /// Takes a request back of which nothing was handed out: the peer never hears of it, and its stream is one of those
    /// that were passed over. False where something was, or where the frame must leave nevertheless.
    ///
    /// A peer that does not read, and requests that time out, would else fill memory with what is of use to nobody.
    pub(crate) fn take_back(&mut self, stream: u32) -> bool {
        let handed = self.handed();
        let Ok(i) = self.marks.binary_search_by_key(&stream, |m| m.stream) else { return false };
        let mark = &mut self.marks[i];
        if mark.due || mark.start < handed {
            return false;
        }
        mark.void = true;
        self.void += (mark.end - mark.start) as usize;
        // So no more is moved than goes, and whoever cancels all there is pays once for each byte.
        if self.void * 2 >= self.bytes.len() - self.taken {
            self.drop_void();
        }
        true
    }

    /// Closes the gaps that void frames are. What lies behind them moves, and with it where it ends.
    #[cold]
    fn drop_void(&mut self) {
        let (mut kept, mut next) = (self.taken, self.taken);
        let (bytes, before, updates_end) = (&mut self.bytes, self.before, self.updates_end);
        let mut acks = self.acks.iter_mut().peekable();
        self.marks.retain_mut(|mark| {
            let gone = (next - kept) as u64;
            if mark.void {
                while let Some(end) = acks.next_if(|end| **end <= mark.start) {
                    *end -= gone;
                }
                if mark.end <= updates_end {
                    self.updates_end -= mark.end - mark.start;
                }
                let start = (mark.start - before) as usize;
                if gone > 0 {
                    bytes.copy_within(next..start, kept);
                }
                kept += start - next;
                next = (mark.end - before) as usize;
            } else {
                (mark.start, mark.end) = (mark.start - gone, mark.end - gone);
            }
            !mark.void
        });
        let gone = next - kept;
        acks.for_each(|end| *end -= gone as u64);
        bytes.copy_within(next.., kept);
        bytes.truncate(bytes.len() - gone);
        self.void = 0;
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
    pub(crate) fn end_headers(&mut self, at: usize, headers: Headers, max_frame: u32) {
        let Headers { stream, end_stream, changes_table } = headers;
        let len = self.bytes.len() - at - FrameHeader::LEN;
        let flags = if end_stream { flag::END_STREAM } else { 0 };
        if len <= max_frame as usize {
            let flags = flags | flag::END_HEADERS;
            let header = FrameHeader { len: len as u32, kind: kind::HEADERS, flags, stream };
            self.bytes[at..at + FrameHeader::LEN].copy_from_slice(&header.bytes());
        } else {
            self.continue_headers(FrameHeader { len: max_frame, kind: kind::HEADERS, flags, stream }, at);
        }
        debug_assert!(self.marks.back().is_none_or(|m| m.stream < stream));
        let (start, end) = (self.before + at as u64, self.end());
        self.marks.push_back(Mark { start, end, stream, last: end_stream, due: changes_table, void: false });
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

    /// Queues a small DATA frame, where nothing else waits.
    pub(crate) fn data(&mut self, payload: &[u8], stream: u32, end_stream: bool) {
        let start = self.end();
        let flags = if end_stream { flag::END_STREAM } else { 0 };
        let header = FrameHeader { len: payload.len() as u32, kind: kind::DATA, flags, stream };
        self.bytes.extend_from_slice(&header.bytes());
        self.bytes.extend_from_slice(payload);
        if end_stream {
            debug_assert!(self.marks.is_empty());
            self.marks.push_back(Mark { start, end: self.end(), stream, last: true, due: true, void: false });
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
    /// Whether one waits.
    pub(crate) fn holds_window_update(&self) -> bool {
        self.handed() < self.updates_end
    }
    /// No stream of the peer's was ever accepted, so the last one is 0.
    pub(crate) fn go_away(&mut self, code: Code) {
        self.words(kind::GOAWAY, 0, &[0, code.0]);
    }

    /// Queues an acknowledgement; false if too many wait already.
    pub(crate) fn acknowledge(&mut self, kind: u8, payload: &[u8]) -> bool {
        let header = FrameHeader { len: payload.len() as u32, kind, flags: flag::ACK, stream: 0 };
        self.bytes.extend_from_slice(&header.bytes());
        self.bytes.extend_from_slice(payload);
        self.acks.push(self.end());
        self.acks.len() <= limits::PENDING_ACKS
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes.capacity()
            + self.marks.capacity() * size_of::<Mark>()
            + self.acks.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(stream: u32) -> Headers {
        Headers { stream, end_stream: true, changes_table: false }
    }

    #[test]
    fn a_long_block_becomes_continuations() {
        for len in [16_384usize, 16_385, 32_768, 40_000] {
            let mut o = Outbox::default();
            let at = o.begin_headers();
            o.bytes().extend((0..len).map(|i| i as u8));
            o.end_headers(at, headers(5), 16_384);
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
        (0..100).for_each(|i| request(&mut o, 2 * i + 1, 1000));
        for i in 100..5000 {
            request(&mut o, 2 * i + 1, 1000);
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
            o.end_headers(at, headers(stream), 16_384);
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

    /// Whatever is queued, taken back and handed out in whatever order: what leaves is what was not taken back, in its order.
    #[test]
    fn what_is_taken_back_leaves_nothing_behind() {
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for _ in 0..200 {
            let (mut o, mut out) = (Outbox::default(), Vec::new());
            // Frames by where they begin among all that were queued; requests that may be taken back.
            let (mut frames, mut waiting, mut told, mut stream) = (Vec::new(), Vec::new(), Vec::new(), 1);
            for _ in 0..next(400) {
                match next(8) {
                    0..3 => {
                        let at = o.begin_headers();
                        o.bytes().extend(std::iter::repeat_n(stream as u8, next(60) as usize));
                        let lasting = next(4) == 0;
                        o.end_headers(at, Headers { changes_table: lasting, ..headers(stream) }, 16_384);
                        frames.push((stream, o.bytes[at..].to_vec()));
                        waiting.push((stream, lasting));
                        stream += 2;
                    }
                    3..6 if !waiting.is_empty() => {
                        let (stream, lasting) = waiting.swap_remove(next(waiting.len() as u64) as usize);
                        let begun = told.contains(&stream) || o.cut() == Some(stream);
                        assert_eq!(o.take_back(stream), !lasting && !begun);
                        if !lasting && !begun {
                            frames.retain(|f| f.0 != stream);
                        }
                    }
                    6 => {
                        let at = o.bytes.len();
                        match next(2) {
                            0 => assert!(o.acknowledge(kind::PING, &[7; 8])),
                            _ => o.window_update(0, 7),
                        }
                        frames.push((0, o.bytes[at..].to_vec()));
                    }
                    _ => {
                        o.hand_out(next(200) as usize, &mut out);
                        told.extend(std::iter::from_fn(|| o.next_handed_out()).map(|m| m.stream));
                    }
                }
                let expected = frames.iter().flat_map(|f| &f.1).copied().collect::<Vec<_>>();
                assert!(expected.starts_with(&out));
                assert_eq!(o.is_empty(), expected.len() == out.len());
                let waits = |of: u8| {
                    let mut end = 0;
                    let ends = frames.iter().map(|f| {
                        end += f.1.len();
                        (f.1[3], end)
                    });
                    ends.filter(|&(kind, end)| kind == of && end > out.len()).count()
                };
                assert_eq!(o.holds_window_update(), waits(kind::WINDOW_UPDATE) > 0);
                assert_eq!(o.acks.len(), waits(kind::PING));
            }
            o.hand_out(usize::MAX, &mut out);
            told.extend(std::iter::from_fn(|| o.next_handed_out()).map(|m| m.stream));
            assert_eq!(out, frames.iter().flat_map(|f| &f.1).copied().collect::<Vec<_>>());
            assert!(told.iter().eq(frames.iter().map(|f| &f.0).filter(|&&s| s > 0)));
        }
    }

    /// A peer reads slowly, so that the outbox is never empty, and asks now and then whether we are there.
    #[test]
    fn acknowledgements_that_have_left_do_not_wait() {
        let (mut o, mut out) = (Outbox::default(), Vec::new());
        request(&mut o, 1, 100);
        for i in 1..5000 {
            assert!(o.acknowledge(kind::PING, &[0; 8]), "{i}");
            request(&mut o, 2 * i + 1, 100);
            out.clear();
            o.hand_out(126, &mut out);
            assert!(!o.is_empty() && out.len() == 126);
        }
        let waits = o.acks.len();
        assert!((0..limits::PENDING_ACKS - waits).all(|_| o.acknowledge(kind::PING, &[0; 8])));
        assert!(!o.acknowledge(kind::PING, &[0; 8]), "a flood");
    }

    /// Queues a request with a block of so many bytes, all of the same value.
    fn request(o: &mut Outbox, stream: u32, len: usize) {
        let at = o.begin_headers();
        o.bytes().extend(std::iter::repeat_n(stream as u8, len));
        o.end_headers(at, headers(stream), 16_384);
    }
}
