//! A head or a trailer section that comes in pieces. Each complete line is checked once: a peer that sends a byte at a
//! time makes us look at one line again and again, not at everything it has sent.

use crate::head;
use proto::Error;

/// The bytes so far, and how far they are known to be good.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    bytes: Vec<u8>,
    /// Where the first incomplete line begins. All before it was found good.
    line: usize,
    /// Complete lines.
    lines: usize,
}

impl Carry {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.line = 0;
        self.lines = 0;
    }

    /// Whether the empty line may have come, so that parsing the whole is worth while. `first` lines precede the fields.
    pub(crate) fn may_be_complete(&self, first: usize) -> Result<bool, Error> {
        if self.lines < first {
            return Ok(true);
        }
        head::fields_complete(&self.bytes[self.line..], self.lines - first)
    }

    /// All bytes were looked at and found good, and the empty line has not come.
    pub(crate) fn found_good(&mut self) {
        let fresh = &self.bytes[self.line..];
        if let Some(last) = fresh.iter().rposition(|&b| b == b'\n') {
            self.lines += fresh[..=last].iter().filter(|&&b| b == b'\n').count();
            self.line += last + 1;
        }
    }
}
