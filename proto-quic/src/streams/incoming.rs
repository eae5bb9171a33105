//! What the peer says on a stream, where it does not simply come in order (RFC 9000 section 3.2). Streams of the server have one
//! each, those of requests only when they need it.

use crate::assembler::Assembler;
use crate::error::{Violation, code};

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// Out of order.
    pub(crate) assembler: Assembler,
    /// Known by FIN or RESET_STREAM.
    pub(crate) final_size: Option<u64>,
    /// Delivered to the owner and still held by it.
    pub(crate) held: u64,
    /// The limit last told by MAX_STREAM_DATA, or that of the configuration.
    pub(crate) limit: u64,
    /// It waits for its MAX_STREAM_DATA to be sent.
    pub(crate) credit_queued: bool,
}

pub(crate) const SIZE_CHANGED: Violation = Violation::new(code::FINAL_SIZE, "a stream's final size changed");

/// What a frame means, after the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes of the stream beyond what had come before, for the connection's flow control.
    pub(crate) new: u64,
    /// The highest offset that came.
    pub(crate) highest: u64,
}

impl Incoming {
    pub(crate) fn new(limit: u64) -> Incoming {
        Incoming { limit, ..Incoming::default() }
    }

    /// Checks a frame from `offset` to `end` against the window and the final size (RFC 9000 sections 4.1 and 4.5); `front`:
    /// what came in order.
    pub(crate) fn check(&self, front: u64, end: u64, fin: bool) -> Result<Extent, Violation> {
        if end > self.limit {
            return Err(Violation::new(code::FLOW_CONTROL, "more than the stream's window"));
        }
        let before = front.max(self.assembler.end());
        let wrong = match self.final_size {
            Some(size) => end > size || (fin && end != size),
            None => fin && end < before,
        };
        if wrong {
            return Err(SIZE_CHANGED);
        }
        Ok(Extent { new: end.saturating_sub(before), highest: end.max(before) })
    }

    /// The owner wants no more: what waits counts as received. Returns how many bytes that are.
    pub(crate) fn drop_waiting(&mut self, received: &mut u64) -> u64 {
        let highest = self.assembler.end().max(*received);
        self.assembler.clear();
        highest - std::mem::replace(received, highest)
    }

    /// The limit that could be told now.
    pub(crate) fn next_limit(&self, received: u64, window: u64) -> u64 {
        (received - self.held.min(received)) + window
    }

    /// Whether it is worth telling, and the peer has more to say: in large steps (RFC 9000 section 4.2).
    pub(crate) fn wants_credit(&self, received: u64, window: u64) -> bool {
        !self.credit_queued
            && self.final_size.is_none()
            && self.next_limit(received, window).saturating_sub(self.limit) >= window.div_ceil(2)
    }
}
