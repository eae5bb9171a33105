//! Bytes of a stream that came before those in front of them. What comes in order never gets here.

use crate::limits;
use crate::spans::Spans;

/// See the file's header. Offsets are those of the stream; what lies before the front was delivered.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    /// The bytes from `base` on, with gaps of zeroes.
    buffer: Vec<u8>,
    base: u64,
    spans: Spans,
}

/// More gaps than anybody makes who does not want to be expensive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyGaps;

impl Assembler {
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The end of what came, 0 if nothing waits.
    pub(crate) fn end(&self) -> u64 {
        self.spans.end()
    }

    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.buffer = Vec::new();
    }

    /// Keeps bytes that begin at or behind `front`, before which all was delivered.
    pub(crate) fn insert(&mut self, front: u64, offset: u64, bytes: &[u8]) -> Result<(), TooManyGaps> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.spans.is_empty() {
            self.buffer.clear();
            self.base = front;
        }
        let range = offset..offset + bytes.len() as u64;
        let (start, end) = ((range.start - self.base) as usize, (range.end - self.base) as usize);
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        self.buffer[start..end].copy_from_slice(bytes);
        self.spans.insert(range);
        if self.spans.len() > limits::GAPS { Err(TooManyGaps) } else { Ok(()) }
    }

    /// What may be delivered now that all before `front` was.
    pub(crate) fn ready(&self, front: u64) -> &[u8] {
        match self.spans.first() {
            Some(first) if first.start <= front && front < first.end => {
                &self.buffer[(front - self.base) as usize..(first.end - self.base) as usize]
            }
            _ => &[],
        }
    }

    /// All before `front` was delivered.
    pub(crate) fn advance(&mut self, front: u64) {
        self.spans.remove(0..front);
        if self.spans.is_empty() {
            return self.clear();
        }
        let delivered = (front.saturating_sub(self.base)) as usize;
        // Moved rarely, so that each byte is moved once at most on average.
        if delivered > self.buffer.len() / 2 {
            self.buffer.drain(..delivered);
            self.base = front;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// In whatever pieces and order bytes come, they are delivered once and in order.
        #[test]
        fn order_does_not_matter(pieces in proptest::collection::vec((0u64..300, 0usize..60), 0..80)) {
            let whole: Vec<u8> = (0..400u32).map(|n| (n * 7) as u8).collect();
            let (mut a, mut out) = (Assembler::default(), Vec::new());
            for (offset, len) in pieces.into_iter().chain((0..10).map(|n| (n * 40, 40))) {
                let front = out.len() as u64;
                let end = offset + len as u64;
                let offset = offset.max(front);
                if offset < end {
                    a.insert(front, offset, &whole[offset as usize..end as usize]).unwrap();
                }
                out.extend_from_slice(a.ready(front));
                a.advance(out.len() as u64);
            }
            prop_assert_eq!(out, whole);
            prop_assert!(a.is_empty());
        }
    }
}
