//! Sans-IO QUIC client (RFC 8999, 9000, 9001, 9002): version 1, one connection per value, written for load. Datagrams, commands
//! and the time go in; datagrams and events come out. TLS is [`crypto::Crypto`], which `tls.rs` fills with rustls.
//!
//! Not here: HTTP, sockets, servers, migration that the client begins.
//!
//! # Driving it
//! [`Connection::handle_datagrams`] for what a receive call brought, [`Connection::handle_timeout`] when the moment of
//! [`Connection::poll_timeout`] is there, then commands; then [`Connection::poll_event`] until `None`,
//! [`Connection::poll_transmit`] until `None`, and [`Connection::poll_timeout`].
//!
//! # Where to look
//! - `connection/`: the coordinator. `mod.rs` commands and getters, `receive.rs` datagrams, `frames.rs` what frames mean, `ack.rs` and
//!   `loss.rs` what becomes of packets, `handshake.rs`, `keys.rs`, `timers.rs`, `transmit.rs` which datagrams go, `datagram.rs` how they
//!   are put together.
//! - `streams/`: all streams. `bi.rs` the streams of requests, `uni.rs` the others, `receive.rs` and `send.rs` their frames, `outgoing.rs`
//!   and `incoming.rs` what is not in one piece or not in order; `assembler.rs`, `spans.rs`.
//! - `packet.rs` headers and protection, `frame.rs`, `varint.rs`, `params.rs`: the wire.
//! - `space.rs`, `sent.rs`, `ranges.rs`: packets sent and received. `rtt.rs`, `congestion/`, `pacer.rs`, `mtu.rs`, `ecn.rs`: the path.
//! - `crypto.rs` what is wanted of TLS, `tls.rs` rustls as that. `cids.rs`, `qlog.rs`, `event.rs`, `error.rs`, `config.rs`: one noun each.
//! - `limits.rs`: bounds, with their reasons.
#![forbid(unsafe_code)]

mod assembler;
mod cids;
mod config;
mod congestion;
mod connection;
pub mod crypto;
mod ecn;
mod error;
mod event;
mod frame;
mod limits;
mod mtu;
mod pacer;
mod packet;
mod params;
mod qlog;
mod ranges;
mod rtt;
mod sent;
mod space;
mod spans;
mod stream_id;
mod streams;
pub mod tls;
pub mod varint;

pub use config::{Config, Congestion};
pub use connection::Connection;
pub use error::{BadServerName, Lost};
pub use event::{Event, Receiver, Transmit};
pub use stream_id::StreamId;
