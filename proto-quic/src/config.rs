//! What a connection is made with. Values out of range are brought into it by [`crate::Connection::new`].

use std::time::Duration;

/// How QUIC finds its sending rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// RFC 9438.
    #[default]
    Cubic,
    /// BBR.
    Bbr,
    /// RFC 9002 section 7.
    NewReno,
}

/// The configuration of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Each stream's receive window in bytes.
    pub stream_window: u64,
    /// The connection's receive window in bytes.
    pub connection_window: u64,
    /// Unidirectional streams that the server may have open at once. Bidirectional ones it may not open.
    pub uni_streams: u64,
    /// The congestion controller.
    pub congestion: Congestion,
    /// The round-trip time assumed before one was measured.
    pub initial_rtt: Duration,
    /// The largest UDP payload sent; above `known_udp_payload` it is tried out first (RFC 8899).
    pub max_udp_payload: u16,
    /// The largest UDP payload that the path is known to carry.
    pub known_udp_payload: u16,
    /// Datagrams handed out at once at most; 1 is without GSO.
    pub segments: usize,
    /// The connection is given up after so long without a packet. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// Fixes what is random, for tests. Not for use on a network.
    pub seed: Option<[u8; 32]>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            stream_window: (1 << 24) - 1,
            connection_window: (1 << 30) - 1,
            uni_streams: 100,
            congestion: Congestion::Cubic,
            initial_rtt: Duration::from_millis(333),
            max_udp_payload: 1452,
            known_udp_payload: 1200,
            segments: 64,
            idle_timeout: Some(Duration::from_secs(30)),
            seed: None,
        }
    }
}
