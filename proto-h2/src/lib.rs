//! Sans-IO HTTP/2 client: RFC 9113 and HPACK (RFC 7541), written for load: what a response says is decoded once, what
//! nobody wants is counted and not kept, and what a template repeats is encoded once per connection.
//!
//! [`Connection`] implements [`proto::ClientConn`]; bytes and the time go in, bytes and events come out. Over TLS the
//! caller has negotiated `h2`; in clear the connection begins with prior knowledge.
//!
//! # Where to look
//! - `connection/`: the coordinator. `mod.rs` commands and endings, `receive.rs` what frames mean, `transmit.rs` output.
//! - `frame.rs`: the frames and every rule that one frame alone can break. `fault.rs`, `code.rs`: broken rules.
//! - `hpack/`: header compression. `request.rs`: templates in wire form. `response.rs`: heads read and checked.
//! - `streams.rs`, `uploads.rs`, `outbox.rs`, `flow.rs`, `settings.rs`: one noun each.
//! - `head.rs`, `render.rs`, `budget.rs`, and `hpack`'s `class`, `huffman`, `table`: the parts that HTTP/3 is built from as well.
//! - `limits.rs`: every bound, with its reason.
//!
//! # What it does not do
//! Push (refused), priorities (ignored), CONNECT tunnels beyond their head, server connections, and RFC 9113's
//! SETTINGS_TIMEOUT: a server that never acknowledges our SETTINGS may do so, the request timeout of the caller covers it.
#![forbid(unsafe_code)]

pub mod budget;
mod code;
mod connection;
mod fault;
mod flow;
pub mod frame;
pub mod head;
pub mod hpack;
mod limits;
mod outbox;
pub mod render;
mod request;
mod response;
mod settings;
mod streams;
mod uploads;

pub use code::Code;
pub use connection::Connection;
pub use fault::{Breach, Scope};
pub use request::Prepared;
pub use settings::Config;
