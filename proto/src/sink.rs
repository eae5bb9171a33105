//! Where a connection tells what happened.

use crate::{Error, Token};

/// Events of one connection, delivered while the input is still borrowed: heads and wanted body bytes are lent, never
/// copied. An implementation notes what happened and returns; it never calls back into the connection.
pub trait Sink {
    /// [`ClientConn::capacity`](crate::ClientConn::capacity) may have risen for another reason than an ended request:
    /// the protocol's own handshake is over, the peer allowed more streams.
    fn ready(&mut self) {}
    /// The last byte of this request (head and body) has been handed out by `poll_transmit`.
    fn sent(&mut self, token: Token);
    /// A 1xx response. It never ends a request.
    fn informational(&mut self, token: Token, status: u16) {
        let _ = (token, status);
    }
    /// The final response head. `fields` is empty unless the request wanted fields. `status` is of three digits; what is outside of
    /// 100 to 599 means what 5xx means (RFC 9110 section 15).
    fn head(&mut self, token: Token, status: u16, fields: &dyn Fields);
    /// A piece of the body as the content it is (chunk framing and padding removed). Called for every response body;
    /// `bytes` is the piece itself where the request wanted the body or where it costs nothing, and `len` always counts.
    fn body(&mut self, token: Token, len: u64, bytes: &[u8]);
    /// Trailer fields, after the body.
    fn trailers(&mut self, token: Token, fields: &dyn Fields) {
        let _ = (token, fields);
    }
    /// The response is complete.
    fn done(&mut self, token: Token);
    /// The request failed. `unprocessed`: the peer certainly did not act on it, so it may be sent again elsewhere.
    fn failed(&mut self, token: Token, error: Error, unprocessed: bool);
    /// No new request will be accepted; those in flight go on (`GOAWAY`, `Connection: close`).
    fn draining(&mut self) {}
    /// The connection is over: nothing follows. The driver flushes what `poll_transmit` still has, then closes.
    fn closed(&mut self, reason: CloseReason);
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// As agreed: the caller closed it, the peer said `Connection: close` or `GOAWAY` without error, or it was idle.
    Graceful,
    /// Something was wrong.
    Error(Error),
}

/// A lent list of header or trailer fields, names in lower case or as received (compare without case).
pub trait Fields {
    /// Calls `f(name, value)` for each field in order.
    fn each(&self, f: &mut dyn FnMut(&[u8], &[u8]));

    /// How many there are.
    fn count(&self) -> usize {
        let mut n = 0;
        self.each(&mut |_, _| n += 1);
        n
    }
}

/// No fields.
impl Fields for () {
    fn each(&self, _f: &mut dyn FnMut(&[u8], &[u8])) {}
}

impl Fields for [(&[u8], &[u8])] {
    fn each(&self, f: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self {
            f(name, value);
        }
    }
    fn count(&self) -> usize {
        self.len()
    }
}
