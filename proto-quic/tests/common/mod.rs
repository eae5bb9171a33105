//! What several test files share.
#![allow(dead_code, unused_imports)]

mod hex;
pub mod meter;
pub mod network;
pub mod quic;
pub mod quinn;
pub mod scripted;
pub mod seeds;
mod tls;
pub mod wire;
pub mod world;

pub use hex::hex;
pub use proto::conformance::Rng;
pub use quic::instant;
use std::time::Duration;
pub use tls::{client_tls, client_tls_trusting, provider, server_tls};

pub const ALPN: &[u8] = b"test";

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Both sides' TLS with a certificate of some eight kilobytes: a server may not send so much before it knows the client's
/// address (RFC 9000 section 8.1).
pub fn large_tls() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let many = (0..150).map(|n| format!("{n:050}.peer.test")).chain(["peer.test".into()]);
    let identity = tls::Identity::named(many.collect());
    (tls::server_tls_of(&identity, ALPN, false), client_tls_trusting(&identity.certificate, ALPN))
}
