//! The contract between a protocol and whoever drives it.
//!
//! A connection of any protocol is a plain value ([`ClientConn`]): bytes and the time go in; bytes, a deadline and
//! events come out. It holds no socket, no task, no waker and no clock, so the same code runs on a ring, on epoll, in a
//! simulation and under a fuzzer.
//!
//! # Promises, checked by one conformance suite against every implementation
//! 1. Every accepted [`Token`] ends exactly once, with [`Sink::done`] or [`Sink::failed`], before [`Sink::closed`];
//!    nothing follows `closed`.
//! 2. `capacity() == 0` means that `submit` refuses, and a refusal changes nothing.
//! 3. Input split at any byte gives the same events. Time never goes back.
//! 4. What a peer does wrong leaves as an event that says whose [`Fault`] it was, never as a panic and never as a hang.
//!    What the peer did not process is marked `unprocessed`, so that it may be sent again elsewhere.
//! 5. Our own code allocates nothing per request in steady state, and a body nobody asked for is counted, not stored.
//!
//! This crate performs no I/O and knows no protocol; it is called by the protocol crates and by `engine`.
#![forbid(unsafe_code)]

#[cfg(feature = "conformance")]
pub mod conformance;
mod conn;
mod error;
mod request;
mod sink;
mod time;

pub use conn::{ByteInput, ClientConn, ConnStats, PathStats, Refused, Token};
pub use error::{Error, Fault, Kind};
pub use request::{Field, Framing, Piece, Request, Scheme, Template, TemplateError, Text, Want};
pub use sink::{CloseReason, Fields, Sink};
pub use time::Time;
