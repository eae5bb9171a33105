//! What a connection is made with: our configuration, and the same as QUIC and HTTP/3 want it said.

use crate::frame::{kind, put_frame, put_varint};
use crate::{frame, limits};
use proto_quic::Congestion;
use proto_quic::crypto::Crypto;
use proto_quic::tls::Tls;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What connections are made with. Values out of range are brought into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Requests in flight at most (h2load's `-m`), whatever more the peer allows. At least 1.
    pub max_streams: u32,
    /// A stream's receive window is 2^n - 1 bytes (`-w`), n from 1 to 30.
    pub stream_window_bits: u8,
    /// The connection's receive window likewise (`-W`).
    pub connection_window_bits: u8,
    /// The decoder's dynamic table (`--header-table-size`).
    pub header_table_size: u32,
    /// Streams that may wait for the encoder stream.
    pub blocked_streams: u16,
    /// The congestion controller.
    pub congestion: Congestion,
    /// The round-trip time assumed before one was measured.
    pub initial_rtt: Duration,
    /// The largest UDP payload sent; above `known_udp_payload` it is tried out first (RFC 8899).
    pub max_udp_payload: u16,
    /// The largest UDP payload that the path is known to carry.
    pub known_udp_payload: u16,
    /// Datagrams handed out at once at most; 1 is without GSO.
    pub segments: u8,
    /// The connection is given up after so long without a packet. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long a body waits for `100 Continue`.
    pub continue_timeout: Duration,
    /// Fixes what is random about packet numbers and timers, for tests. Not for use on a network.
    pub seed: Option<[u8; 32]>,
}

impl Default for Config {
    /// h2load's defaults.
    fn default() -> Config {
        Config {
            max_streams: 1,
            stream_window_bits: 24,
            connection_window_bits: 30,
            header_table_size: 4096,
            blocked_streams: 100,
            congestion: Congestion::Cubic,
            initial_rtt: Duration::from_millis(333),
            max_udp_payload: 1452,
            known_udp_payload: *limits::UDP_PAYLOAD.start(),
            segments: limits::SEGMENTS as u8,
            idle_timeout: Some(Duration::from_secs(30)),
            continue_timeout: Duration::from_secs(1),
            seed: None,
        }
    }
}

/// The TLS configuration cannot be used with QUIC: without the cipher suite that the first packets need (RFC 9001 section
/// 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoQuicCipher;

impl std::fmt::Display for NoQuicCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HTTP/3 needs TLS 1.3 with TLS_AES_128_GCM_SHA256 among its ciphers")
    }
}

impl std::error::Error for NoQuicCipher {}

/// What the connections of a run share.
#[derive(Clone)]
pub struct Setup {
    pub(crate) config: Config,
    pub(crate) crypto: Arc<dyn Crypto>,
    /// Where the next connection's events are written.
    qlog: Option<Arc<Mutex<Option<Qlog>>>>,
}

/// What takes the bytes of a qlog.
pub(crate) type Qlog = Box<dyn Write + Send + Sync>;

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.config.fmt(f)
    }
}

impl Setup {
    /// From the configuration and TLS as the caller wants it: verification, resumption, early data, key log. Its ALPN must
    /// say `h3`.
    pub fn new(config: Config, tls: Arc<rustls::ClientConfig>) -> Result<Setup, NoQuicCipher> {
        Ok(Setup::with_crypto(config, Arc::new(Tls::new(tls).ok_or(NoQuicCipher)?)))
    }

    /// With a handshake and keys of the caller's own, for tests.
    pub fn with_crypto(config: Config, crypto: Arc<dyn Crypto>) -> Setup {
        Setup { config: config.clamped(), crypto, qlog: None }
    }

    /// The same with another TLS: another use of sessions and early data, as some connections of a run may want it.
    pub fn with_tls(&self, tls: Arc<rustls::ClientConfig>) -> Result<Setup, NoQuicCipher> {
        let crypto = Arc::new(Tls::new(tls).ok_or(NoQuicCipher)?);
        Ok(Setup { crypto, ..self.clone() })
    }

    /// The round-trip time assumed before one was measured.
    pub fn initial_rtt(&self) -> Duration {
        self.config.initial_rtt
    }

    /// The same for one connection whose first answer is expected after this time.
    pub fn with_initial_rtt(&self, initial_rtt: Duration) -> Setup {
        let config = Config { initial_rtt, ..self.config.clone() }.clamped();
        Setup { config, ..self.clone() }
    }

    /// The same for one connection, whose events are written to `to` as a qlog (JSON text sequences, RFC 7464).
    pub fn with_qlog(&self, to: impl Write + Send + Sync + 'static) -> Setup {
        Setup { qlog: Some(Arc::new(Mutex::new(Some(Box::new(to))))), ..self.clone() }
    }

    /// What takes the qlog of the connection that is made now.
    pub(crate) fn qlog(&self) -> Option<Qlog> {
        self.qlog.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// QUIC's configuration.
    pub(crate) fn quic(&self) -> proto_quic::Config {
        let c = &self.config;
        let window = |bits: u8| (1 << bits) - 1;
        proto_quic::Config {
            stream_window: window(c.stream_window_bits),
            connection_window: window(c.connection_window_bits),
            uni_streams: limits::UNI_STREAMS,
            congestion: c.congestion,
            initial_rtt: c.initial_rtt,
            max_udp_payload: c.max_udp_payload,
            known_udp_payload: c.known_udp_payload,
            segments: usize::from(c.segments),
            idle_timeout: c.idle_timeout,
            seed: c.seed,
        }
    }
}

impl Config {
    /// The same with every value that is looked at here brought into its legal range; QUIC does so with the others.
    fn clamped(self) -> Config {
        let (least, most) = (*limits::UDP_PAYLOAD.start(), *limits::UDP_PAYLOAD.end());
        Config {
            max_streams: self.max_streams.clamp(1, 1 << 24),
            stream_window_bits: self.stream_window_bits.clamp(1, 30),
            connection_window_bits: self.connection_window_bits.clamp(1, 30),
            header_table_size: self.header_table_size.min(limits::TABLE as u32),
            blocked_streams: self.blocked_streams.min(limits::BLOCKED_STREAMS),
            initial_rtt: self.initial_rtt.clamp(Duration::from_micros(1), Duration::from_secs(10)),
            max_udp_payload: self.max_udp_payload.clamp(least, most),
            ..self
        }
    }

    /// The beginning of our control stream (RFC 9114 sections 6.2.1 and 7.2.4).
    pub(crate) fn control_stream(&self) -> Vec<u8> {
        /// SETTINGS_QPACK_MAX_TABLE_CAPACITY (RFC 9204 section 5).
        const TABLE_CAPACITY: u64 = 0x1;
        /// SETTINGS_QPACK_BLOCKED_STREAMS.
        const BLOCKED_STREAMS: u64 = 0x7;
        let mut settings = Vec::new();
        if self.header_table_size > 0 {
            put_varint(&mut settings, TABLE_CAPACITY);
            put_varint(&mut settings, u64::from(self.header_table_size));
            put_varint(&mut settings, BLOCKED_STREAMS);
            put_varint(&mut settings, u64::from(self.blocked_streams));
        }
        let mut out = Vec::new();
        put_varint(&mut out, frame::stream::CONTROL);
        put_frame(&mut out, kind::SETTINGS, &settings);
        out
    }
}
