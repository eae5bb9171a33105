//! What the server counted, as others see it: plain values that add up. Not the counters themselves, which
//! are in `counters.rs`. Returned by [`crate::Origin::stats`] and served as JSON by `/stats`.

use std::collections::BTreeMap;

use serde::Serialize;

/// Exact counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests whose head was received completely; each is counted once, whatever became of it. `/stats` and
    /// `/stats/reset` count nowhere.
    pub requests: u64,
    /// Responses begun, the sum of `by_status`. Smaller than `requests` while some are being worked on, and
    /// for good where a client left or a fault left no response.
    pub responses: u64,
    /// Responses handed to the socket to the last byte. Counted right after that, so a client may have read
    /// the response a moment before. For HTTP/2 and HTTP/3 it may run ahead of the socket by what the
    /// connection still buffers.
    pub responses_sent: u64,
    /// Responses by status.
    pub by_status: BTreeMap<u16, u64>,
    /// The same by path without query. Paths beyond the first thousand or so, and very long ones, share
    /// `other`.
    pub by_path: BTreeMap<String, PathStats>,
    /// Requests by what they were spoken in: `h1`, `h2` (in clear, too) and `h3`. They add up to `requests`.
    pub by_protocol: BTreeMap<&'static str, u64>,
    /// Connections.
    pub connections: ConnectionStats,
    /// Connections on which something was received that is not HTTP (answered with 400 or 431 and closed).
    pub malformed: u64,
    /// Connections broken on purpose by `/fault/...`.
    pub faults: u64,
    /// Bytes of response bodies given to the protocol, without its framing.
    pub body_bytes_sent: u64,
    /// Bytes of request bodies received, without framing.
    pub body_bytes_received: u64,
}

/// The counts of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PathStats {
    /// Requests received.
    pub requests: u64,
    /// Responses begun, by status.
    pub by_status: BTreeMap<u16, u64>,
}

/// The counts of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConnectionStats {
    /// Accepted on the clear address.
    pub clear: u64,
    /// Accepted on the TLS address, before any handshake.
    pub tls: u64,
    /// Of both, those that spoke HTTP/2.
    pub h2: u64,
    /// Accepted over QUIC, before any handshake: HTTP/3.
    pub h3: u64,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: u64,
    /// TLS handshakes that resumed an earlier session, over TCP and over QUIC.
    pub handshakes_resumed: u64,
    /// Requests that were taken up before the handshake of their QUIC connection was over: they came as early data (0-RTT).
    /// Early data that came together with the end of the handshake is not among them.
    pub early_requests: u64,
    /// Closed at once because a thread had too many.
    pub refused: u64,
    /// Open now. Not touched by a reset.
    pub open: u64,
}
