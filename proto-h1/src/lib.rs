//! A sans-I/O HTTP/1.1 client connection: bytes in, bytes and events out.
//!
//! [`Connection`] implements [`proto::ClientConn`] for byte streams. It is not a socket, not TLS, not a pool and keeps
//! no clock; `engine` drives it, and so do tests and the fuzzer.
//!
//! # Map
//! - `connection.rs`: the state machine, and every rule about the order of events.
//! - `prepared.rs`: a template in wire form, rendered at `submit`.
//! - `head.rs`: what a response head says that framing depends on (httparse does the grammar).
//! - `carry.rs`: a head that comes in pieces.
//! - `memo.rs`: the last heads seen, so that a repeated one is compared instead of parsed.
//! - `chunked.rs`: the lines between the chunks.
//! - `limits.rs`: every bound, with its reason.
//!
//! # Decisions where RFC 9112 leaves a choice
//! - **Framing that two readers could read differently is an error of the peer**, never a guess: `content-length` beside
//!   `transfer-encoding`, differing `content-length` values (identical ones are one, section 6.3), a transfer coding list
//!   that does not end in exactly one `chunked`, `transfer-encoding` in an HTTP/1.0 response.
//! - **Bare LF** ends a line of a field section (head, trailers), as section 2.2 permits; in chunk lines it is an error.
//! - **A head begins with its first byte.** An empty line before a status line is not skipped.
//! - Obsolete line folding, NUL, space before the colon, a status that is not three digits and any version other than 1.0
//!   and 1.1 are errors. Three digits outside of 100 to 599 are the status of a final response (RFC 9110 section 15).
//! - **`101`** is final where the request had an `upgrade` field, otherwise an error; after it, and after a 2xx to
//!   `CONNECT`, the connection is closed, as it is no longer HTTP.
//! - **Early responses**: a final head that comes before the request was handed out completely stops the request if its
//!   status is that of an error, if it closes the connection, or if the body still waits for `100 (Continue)`; the connection
//!   then drains and closes after the response. Otherwise the body goes on, and `done` waits for its last byte.
//! - **`cancel`** of a request of which no byte was handed out removes it; any other cancel ends the connection, because
//!   HTTP/1 has no way to stop one response. What was in flight beside it fails as `Cancelled` too.
//! - A body given to a template without body framing is not sent.
#![forbid(unsafe_code)]

mod carry;
mod chunked;
mod connection;
mod head;
pub mod limits;
mod memo;
mod prepared;

pub use connection::{Config, Connection};
pub use prepared::Prepared;
