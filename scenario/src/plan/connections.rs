//! What connections are made of: TLS, pools, HTTP versions, proxies, sockets, timeouts.

use super::Endpoint;
use crate::secret::MASK;
use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

/// How TLS behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Check the server's certificate.
    pub verify: bool,
    /// Trust these certificates (PEM) and no others; the system's store if absent.
    pub ca: Option<PathBuf>,
    /// Server name sent and checked, if not the target's host.
    pub sni: Option<String>,
    /// Cipher suites by OpenSSL or IANA name in order of preference; empty: the defaults, AES-128-GCM first.
    pub ciphers: Vec<String>,
    /// Key-exchange groups by name in order of preference; empty: X25519, P-256, P-384.
    pub groups: Vec<String>,
    /// Offer sessions of earlier connections again, where [`Connections::mix`] does not say which connections do.
    pub resumption: bool,
    /// Send requests in the first flight of a continued session (0-RTT), likewise. Of HTTP/3 alone.
    pub early_data: bool,
    /// ALPN list; empty: what the protocol says.
    pub alpn: Vec<String>,
    /// What we show to a server that asks who we are.
    pub identity: Option<Identity>,
    /// The lowest version to agree to.
    pub min: TlsVersion,
    /// The highest; not below the lowest.
    pub max: TlsVersion,
}

/// A client certificate: files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those that lead from it to its CA.
    pub cert: PathBuf,
    /// Its private key; may be the same file.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl TlsVersion {
    /// `1.2`, `1.3`; also as OpenSSL writes it, `TLSv1.2`.
    pub fn parse(text: &str) -> Result<TlsVersion, String> {
        match text.trim_start_matches("TLSv") {
            "1.2" => Ok(TlsVersion::V1_2),
            "1.3" => Ok(TlsVersion::V1_3),
            _ => {
                Err("expected 1.2 or 1.3: older versions are broken (RFC 8996), and the TLS library has none"
                    .into())
            }
        }
    }
    /// As it is written in a plan.
    pub const fn as_str(self) -> &'static str {
        match self {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        }
    }
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            verify: true,
            ca: None,
            sni: None,
            ciphers: vec![],
            groups: vec![],
            resumption: false,
            early_data: false,
            alpn: vec![],
            identity: None,
            min: TlsVersion::V1_2,
            max: TlsVersion::V1_3,
        }
    }
}

/// How many connections there are and how users share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Connections of the whole run, over all cores.
    pub max: NonZeroU32,
    /// Requests in flight on one: HTTP/1.1 pipelining depth, HTTP/2 and 3 streams.
    pub streams: NonZeroU32,
    /// Who uses which.
    pub share: Share,
    /// Close after this many requests and open another; 1 is "no keep-alive".
    pub requests_per_connection: Option<NonZeroU64>,
    /// Likewise when it is this old: it takes no more requests, and ends when those in flight have.
    pub lifetime: Option<Duration>,
    /// How connections begin; `None`: all as [`Tls`] says.
    pub mix: Option<Mix>,
    /// Spread the opening of connections evenly over this time.
    pub ramp_up: Duration,
    /// So many at a time.
    pub ramp_step: NonZeroU32,
    /// Of a count of iterations each connection has its own part ([`Share::PerUser`]). Where connections open one after the
    /// other it has that anyway.
    pub own_parts: bool,
    /// Go where servers say that they speak HTTP/3 (RFC 7838).
    pub alt_svc: bool,
    /// `SO_RCVBUF`, `TCP_QUICKACK` and such.
    pub socket: Socket,
    /// Where they come from, and what they pass through.
    pub route: Route,
    /// Which address family to use where a name has both.
    pub family: Family,
}

/// How connections begin, in parts of [`Mix::WHOLE`]. A connection that should continue a session and finds none is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// With a whole handshake.
    pub fresh: u32,
    /// With a session of an earlier connection.
    pub resumed: u32,
    /// Likewise, and with requests in the first flight (0-RTT).
    pub early: u32,
}

impl Mix {
    /// All connections.
    pub const WHOLE: u32 = 1_000_000;
    pub(super) const FRESH: Mix = Mix { fresh: Mix::WHOLE, resumed: 0, early: 0 };
    pub(super) const RESUMED: Mix = Mix { fresh: 0, resumed: Mix::WHOLE, early: 0 };
    pub(super) const EARLY: Mix = Mix { fresh: 0, resumed: 0, early: Mix::WHOLE };

    /// Whether any connection continues a session.
    pub fn resumes(self) -> bool {
        self.resumed > 0 || self.early > 0
    }
}

/// Who uses which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Any user takes any connection with room; who finds none waits in order.
    Pool,
    /// `streams` users own one connection for the whole run (flag mode: h2load's client).
    PerUser,
}

/// Address family preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Family {
    /// As the resolver orders them.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// What HTTP/2 connections announce and keep to. The defaults are h2load's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// A stream's receive window is 2^n - 1 bytes, n up to 30.
    pub stream_window_bits: u8,
    /// The connection's receive window likewise.
    pub connection_window_bits: u8,
    /// The largest frame the server may send, 16384 to 16777215 bytes.
    pub max_frame_size: u32,
    /// Bytes of the table the server's header fields are decompressed with.
    pub header_table_size: u32,
    /// Bytes of the table ours are compressed with; the server may allow less.
    pub encoder_header_table_size: u32,
}

impl Default for Http2 {
    fn default() -> Http2 {
        Http2 {
            stream_window_bits: 30,
            connection_window_bits: 30,
            max_frame_size: 16_384,
            header_table_size: 4_096,
            encoder_header_table_size: 4_096,
        }
    }
}

/// Where connections come from, and what they pass through.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Route {
    /// Local addresses, used in turn; empty: the kernel's choice.
    pub sources: Vec<IpAddr>,
    /// The HTTP proxy that all connections go through.
    pub proxy: Option<Proxy>,
    /// The header that each connection begins with.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// An HTTP proxy. `https` and HTTP/2 in clear go through a tunnel (CONNECT), other requests name their whole URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its host and port, as they were written, for people.
    pub name: String,
    /// The value of `proxy-authorization`.
    pub authorization: Option<Secret>,
}

/// The PROXY protocol: tells a server behind a load balancer who the client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Text or bytes.
    pub version: ProxyVersion,
    /// The client addresses to name, in turn; empty: the connection's own.
    pub sources: Vec<IpAddr>,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Bytes.
    V2,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }
    /// The text, for the wire alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// What HTTP/3 connections and their QUIC announce and keep to. The defaults are h2load's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http3 {
    /// A stream's receive window is 2^n - 1 bytes, n up to 30.
    pub stream_window_bits: u8,
    /// The connection's receive window likewise.
    pub connection_window_bits: u8,
    /// Bytes of the table the server's header fields are decompressed with.
    pub header_table_size: u32,
    /// How QUIC finds its sending rate.
    pub congestion: Congestion,
    /// Round-trip time assumed before one was measured; `None`: a millisecond to near targets, else QUIC's 333 ms.
    pub initial_rtt: Option<Duration>,
    /// Largest UDP payload to send, 1200 to 65527 bytes; `None`: 1452, found out on the way.
    pub max_udp_payload: Option<u16>,
    /// Many datagrams a system call (UDP GSO).
    pub segmentation: bool,
}

impl Default for Http3 {
    fn default() -> Http3 {
        Http3 {
            stream_window_bits: 24,
            connection_window_bits: 30,
            header_table_size: 4_096,
            congestion: Congestion::Cubic,
            initial_rtt: None,
            max_udp_payload: None,
            segmentation: true,
        }
    }
}

/// A congestion controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Congestion {
    /// RFC 9438, h2load's default.
    #[default]
    Cubic,
    /// BBR.
    Bbr,
    /// RFC 9002 section 7.
    NewReno,
}

/// Socket options. `None`: the kernel's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Send small segments at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Acknowledge at once (`TCP_QUICKACK`), set again whenever the kernel may have reset it.
    pub quickack: bool,
    /// Bytes of the send buffer (`SO_SNDBUF`).
    pub send_buffer: Option<u32>,
    /// Bytes of the receive buffer (`SO_RCVBUF`).
    pub receive_buffer: Option<u32>,
    /// Microseconds of polling the device when there is nothing to receive (`SO_BUSY_POLL`).
    pub busy_poll_us: Option<u32>,
    /// The congestion control by its name (`TCP_CONGESTION`).
    pub congestion: Option<String>,
    /// Only through this interface (`SO_BINDTODEVICE`).
    pub device: Option<String>,
    /// The mark of every packet, for routing and filters (`SO_MARK`).
    pub mark: Option<u32>,
    /// The code point of differentiated services, 0 to 63 (`IP_TOS`, `IPV6_TCLASS`).
    pub dscp: Option<u8>,
    /// The lowest and the highest local port (`IP_LOCAL_PORT_RANGE`).
    pub local_ports: Option<(u16, u16)>,
}

impl Default for Socket {
    fn default() -> Socket {
        Socket {
            nodelay: true,
            quickack: false,
            send_buffer: None,
            receive_buffer: None,
            busy_poll_us: None,
            congestion: None,
            device: None,
            mark: None,
            dscp: None,
            local_ports: None,
        }
    }
}

/// Time limits. `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connect.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub handshake: Option<Duration>,
    /// From sent to last byte, unless the step has its own.
    pub request: Option<Duration>,
    /// A connection without anything in flight is closed after this.
    pub idle: Option<Duration>,
    /// A connection is closed this long after it was opened, whatever happens on it; what is in flight on it has timed out.
    pub active: Option<Duration>,
    /// A connection on which nothing was sent or received for so long is closed; what is in flight on it has timed out.
    pub inactive: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let s = |n| Some(Duration::from_secs(n));
        Timeouts {
            connect: s(10),
            handshake: s(10),
            request: s(30),
            idle: None,
            active: None,
            inactive: None,
        }
    }
}
