//! What a stream says, where it is more than one small piece: bytes until they are acknowledged, and which of them are to be
//! sent, for the first time or again (RFC 9000 section 3.1). The handshake's bytes are kept here as well.

use crate::spans::Spans;
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;

/// A piece that goes into one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) offset: u64,
    pub(crate) len: usize,
    pub(crate) fin: bool,
    /// Not sent before.
    pub(crate) fresh: bool,
}

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Pieces with their offsets; those in front are dropped once they are acknowledged.
    pieces: VecDeque<(u64, Bytes)>,
    /// Bytes written by the owner.
    end: u64,
    /// The owner wrote all.
    pub(crate) fin: bool,
    /// What was sent at least once.
    pub(crate) sent: u64,
    /// What was lost and not sent again.
    lost: Spans,
    acked: Spans,
    fin_sent: bool,
    fin_lost: bool,
    fin_acked: bool,
    /// The peer's MAX_STREAM_DATA.
    pub(crate) limit: u64,
    /// The limit that was told to be in the way (RFC 9000 section 4.1).
    pub(crate) blocked_at: Option<u64>,
    /// It waits in the queue of those that have something to send.
    pub(crate) queued: bool,
}

impl Outgoing {
    /// For a stream on which the peer takes so much.
    pub(crate) fn new(limit: u64) -> Outgoing {
        Outgoing { limit, ..Outgoing::default() }
    }

    pub(crate) fn write(&mut self, bytes: Bytes, fin: bool) {
        self.fin |= fin;
        if !bytes.is_empty() {
            let offset = self.end;
            self.end += bytes.len() as u64;
            self.pieces.push_back((offset, bytes));
        }
    }

    /// All bytes and the end were acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.fin_acked && self.acked.covers(0..self.end)
    }

    /// Something could be sent if no window were in the way.
    pub(crate) fn has_more(&self) -> bool {
        !self.lost.is_empty() || self.fin_lost || self.sent < self.end || (self.fin && !self.fin_sent)
    }

    /// Something can be sent within the stream's limit, and `credit` of the connection's.
    pub(crate) fn can_send(&self, credit: u64) -> bool {
        let fresh = self.sent < self.end && self.sent < self.limit && credit > 0;
        let fin = self.fin && !self.fin_sent && self.sent == self.end;
        !self.lost.is_empty() || self.fin_lost || fresh || fin
    }

    /// What goes next into a frame with room for so many bytes, lost ones first.
    pub(crate) fn next(&self, room: usize, credit: u64) -> Option<Chunk> {
        if let Some(lost) = self.lost.first() {
            let len = (lost.end - lost.start).min(room as u64);
            let fin = self.fin_sent && !self.fin_acked && lost.start + len == self.end;
            return (len > 0).then_some(Chunk { offset: lost.start, len: len as usize, fin, fresh: false });
        }
        let len =
            (self.end - self.sent).min(self.limit.saturating_sub(self.sent)).min(credit).min(room as u64);
        let fin = self.fin && self.sent + len == self.end;
        if len > 0 || (fin && (!self.fin_sent || self.fin_lost)) {
            let fresh = len > 0 || !self.fin_sent;
            return Some(Chunk { offset: self.sent, len: len as usize, fin, fresh });
        }
        None
    }

    /// Appends the bytes of a chunk.
    pub(crate) fn put(&self, chunk: Chunk, out: &mut Vec<u8>) {
        let (mut offset, end) = (chunk.offset, chunk.offset + chunk.len as u64);
        let from = self.pieces.partition_point(|(at, bytes)| at + bytes.len() as u64 <= offset);
        for (at, bytes) in self.pieces.range(from..) {
            if offset >= end {
                break;
            }
            let (start, stop) = ((offset - at) as usize, (end - at).min(bytes.len() as u64) as usize);
            out.extend_from_slice(&bytes[start..stop]);
            offset = at + stop as u64;
        }
        debug_assert_eq!(offset, end, "what is to be sent was kept");
    }

    /// A chunk left; returns whether that was the end, for the first time.
    pub(crate) fn on_sent(&mut self, chunk: Chunk) -> bool {
        let range = chunk.offset..chunk.offset + chunk.len as u64;
        self.lost.remove(range.clone());
        self.sent = self.sent.max(range.end);
        if !chunk.fin {
            return false;
        }
        self.fin_lost = false;
        !std::mem::replace(&mut self.fin_sent, true)
    }

    pub(crate) fn on_acked(&mut self, range: Range<u64>, fin: bool) {
        self.fin_acked |= fin;
        self.fin_lost &= !fin;
        self.lost.remove(range.clone());
        self.acked.insert(range);
        let front = self.acked.first().filter(|r| r.start == 0).map_or(0, |r| r.end);
        while self.pieces.front().is_some_and(|(at, bytes)| at + bytes.len() as u64 <= front) {
            self.pieces.pop_front();
        }
    }

    pub(crate) fn on_lost(&mut self, range: Range<u64>, fin: bool) {
        self.fin_lost |= fin && !self.fin_acked;
        for range in self.acked.missing(range) {
            self.lost.insert(range);
        }
    }

    /// All of it is to be sent anew, as after a Retry (RFC 9000 section 17.2.5.3).
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
        self.fin_sent = false;
        self.fin_lost = false;
        self.lost.clear();
    }

    /// For the next stream.
    pub(crate) fn clear(&mut self) {
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.clear();
        let (mut lost, mut acked) = (std::mem::take(&mut self.lost), std::mem::take(&mut self.acked));
        lost.clear();
        acked.clear();
        *self = Outgoing { pieces, lost, acked, ..Outgoing::default() };
    }

    /// Bytes written by the owner.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is lost, and in whatever pieces it is sent, all arrives and is known to have arrived.
        #[test]
        fn all_arrives(sizes in proptest::collection::vec(0usize..50, 1..6),
                       rooms in proptest::collection::vec((1usize..40, any::<bool>()), 1..30)) {
            let (mut o, mut whole) = (Outgoing::new(u64::MAX), Vec::new());
            for (n, size) in sizes.iter().enumerate() {
                let piece: Vec<u8> = (0..*size).map(|i| (i + n) as u8).collect();
                whole.extend_from_slice(&piece);
                o.write(piece.into(), n + 1 == sizes.len());
            }
            let (mut got, mut ended, mut firsts) = (vec![None; whole.len()], false, 0);
            let mut rooms = rooms.into_iter().chain(std::iter::repeat((13, true)));
            let mut flying: Vec<(Chunk, bool)> = Vec::new();
            for _ in 0..10_000 {
                if o.is_done() { break; }
                let (room, arrives) = rooms.next().unwrap();
                match o.next(room, u64::MAX) {
                    Some(chunk) => {
                        let mut bytes = Vec::new();
                        o.put(chunk, &mut bytes);
                        firsts += u32::from(o.on_sent(chunk));
                        if arrives {
                            for (i, b) in bytes.iter().enumerate() { got[chunk.offset as usize + i] = Some(*b); }
                            ended |= chunk.fin;
                        }
                        flying.push((chunk, arrives));
                    }
                    None => for (chunk, arrives) in flying.drain(..) {
                        let range = chunk.offset..chunk.offset + chunk.len as u64;
                        if arrives { o.on_acked(range, chunk.fin) } else { o.on_lost(range, chunk.fin) }
                    },
                }
            }
            prop_assert!(o.is_done() && ended && firsts == 1 && !o.has_more() && o.pieces.is_empty());
            prop_assert_eq!(got.into_iter().map(Option::unwrap).collect::<Vec<_>>(), whole);
        }
    }
}
