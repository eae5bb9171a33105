//! Sans-IO HTTP/3 client: RFC 9114 and QPACK (RFC 9204) over `proto_quic`, written for load: what a response says is
//! decoded once, what nobody wants is counted and not kept, and a request is a frame written once per template.
//!
//! [`Connection`] implements [`proto::ClientConn`]; datagrams and the time go in, datagrams and events come out. It owns
//! its QUIC connection, so it is one value for one connected UDP socket.
//!
//! # Driving it
//! One [`Setup`] per run, from the configuration and TLS; one [`Connection`] per connected socket. Per turn: all datagrams
//! of a receive call go in as one batch ([`Input::Datagrams`]), requests are submitted, `poll_transmit` is called until it
//! has nothing (each time one `sendmsg`, with [`Transmit::segment_size`] as its GSO size), then `poll_timeout`. Flushing per
//! datagram instead costs half as much again and more. A receive buffer is a `BytesMut` with room, whose filled front is
//! split off: it is decrypted in place and read while it is there, and the room is used again.
//!
//! # Where to look
//! - `connection/`: the coordinator. `mod.rs` commands and endings, `receive.rs` what arrives, `http.rs` what it means,
//!   `transmit.rs` output, `lost.rs` why QUIC gave up.
//! - `frame.rs`, `control.rs`, `incoming.rs`: frames and the server's streams, and every rule that these alone can break.
//!   `fault.rs`, `code.rs`: broken rules.
//! - `qpack/`: field compression. `request.rs`: templates in wire form. `response.rs`: heads read.
//! - `streams.rs`, `settings.rs`: one noun each.
//! - `limits.rs`: every bound, with its reason.
//!
//! Field classes, the Huffman code, the table of the decoder, the checks of heads and the rendering of requests are those
//! of HTTP/2, from `proto_h2`.
//!
//! # What it does not do
//! Push (never allowed), priorities, CONNECT tunnels beyond their head, WebTransport and datagrams, server connections.
//! Of QUIC it does what `proto_quic` does.
#![forbid(unsafe_code)]

mod code;
mod connection;
mod control;
mod fault;
pub mod frame;
mod incoming;
mod limits;
pub mod qpack;
mod request;
mod response;
mod settings;
mod streams;

pub use code::Code;
pub use connection::{Connection, Input, Received};
pub use fault::{Breach, Scope};
pub use proto_quic::crypto::{Crypto, Handshake};
pub use proto_quic::{Congestion, Transmit};
pub use request::Prepared;
pub use settings::{Config, NoQuicCipher, Setup};
