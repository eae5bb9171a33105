//! The plan in memory. Made by `parse` from YAML and by `cli` from flags; read by `engine`.
//!
//! Everything here is already checked: counts are non-zero where zero makes no sense, every index points somewhere,
//! every template is a legal request. What cannot be expressed cannot go wrong at run time.

use crate::program::data::Source;
use crate::program::{Handed, Program};
use crate::search::Search;
use crate::secret::MASK;
use crate::tags::Tags;
use bytes::Bytes;
use proto::{Scheme, Template, Want};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For people and file names.
    pub name: String,
    /// Where connections go. Never empty; index 0 is the default.
    pub targets: Vec<Target>,
    /// Which HTTP, where a target does not say: see [`Plan::protocol_of`].
    pub protocol: Protocol,
    /// How TLS behaves for `https` targets.
    pub tls: Tls,
    /// How many connections, and how they are shared and ended.
    pub connections: Connections,
    /// What HTTP/2 connections announce and keep to.
    pub http2: Http2,
    /// The same of HTTP/3 connections, and of QUIC.
    pub http3: Http3,
    /// The time limits of a connection and of a request.
    pub timeouts: Timeouts,
    /// What users do. No scenario without a step; empty only where all phases are of handshakes.
    pub scenarios: Vec<Scenario>,
    /// One after the other, or as [`Plan::tracks`] says. Never empty.
    pub phases: Vec<Phase>,
    /// What runs side by side; empty: all scenarios share all phases. See [`Plan::all_tracks`].
    pub tracks: Vec<Track>,
    /// What decides the exit code.
    pub thresholds: Vec<Threshold>,
    /// What scripted scenarios share.
    pub script: Script,
    /// The load to look for. The phases are then those of its first probe, and there are no thresholds.
    pub search: Option<Search>,
}

/// Phases that follow one another, and the scenarios whose iterations they make begin. Tracks run side by side, each with users
/// of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Indices of scenarios; a scenario is of one track. Empty only where all its phases are of handshakes.
    pub scenarios: Vec<usize>,
    /// Indices of phases. Never empty; tracks divide the phases of the plan.
    pub phases: Range<usize>,
    /// How long after the start of the run the first of them begins.
    pub start_after: Duration,
    /// Its phases are its scenario's own, and not those of the plan.
    pub own: bool,
}

/// What the programs of all scenarios share.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Where rows come from.
    pub data: Vec<Source>,
    /// The checks of all programs, in the order of their tallies.
    pub checks: Vec<NamedCheck>,
    /// What random numbers begin with.
    pub seed: u64,
    /// What is done once, before the first phase.
    pub setup: Option<Box<Once>>,
    /// What is done once, after the last phase.
    pub teardown: Option<Box<Once>>,
    /// Where users wait for each other.
    pub meetings: Vec<Meeting>,
    /// Places of the values that this plan, being a setup, hands over.
    pub hands: Vec<u16>,
    /// The values that a setup handed over.
    pub handed: Handed,
}

/// A point where users wait until so many have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Its name; empty if it has none.
    pub name: String,
    /// How many.
    pub users: NonZeroU32,
}

/// Steps that are done once in a run, by one user of their own, beside the phases.
#[derive(Clone, Debug)]
pub struct Once {
    /// The steps.
    pub scenario: Scenario,
    /// Where they go: a list of its own, so that the phases open no connections there.
    pub targets: Vec<Target>,
    /// Their checks.
    pub checks: Vec<NamedCheck>,
    /// Places of the variables that are handed to all users.
    pub hands: Vec<u16>,
}

/// A check of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCheck {
    /// The scenario it belongs to.
    pub scenario: String,
    /// The step.
    pub step: String,
    /// The tags of the step.
    pub tags: Tags,
    /// Its own name.
    pub name: String,
}

/// How often a check passed and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckTally {
    /// Times it passed.
    pub passed: u64,
    /// Times it failed.
    pub failed: u64,
    /// What was found instead, a few times.
    pub samples: Vec<String>,
}

impl Plan {
    /// Every step of every scenario, in the dense order that step indices (results, prepared templates) use.
    pub fn steps(&self) -> impl Iterator<Item = (&Scenario, &Step)> {
        self.scenarios.iter().flat_map(|s| s.steps.iter().map(move |step| (s, step)))
    }

    /// The checks of all programs, then those of the steps of plain scenarios: in this order the result has them.
    pub fn checks(&self) -> impl Iterator<Item = NamedCheck> {
        let plain = self.steps().filter(|(scenario, step)| scenario.counts_in_step(step));
        let plain = plain.map(|(scenario, step)| NamedCheck {
            scenario: scenario.name.clone(),
            step: step.name.clone(),
            tags: step.tags.clone(),
            name: STATUS_CHECK.to_owned(),
        });
        self.script.checks.iter().cloned().chain(plain)
    }

    /// Whether each phase has tallies of checks of its own: where a threshold asks for a check in a phase.
    pub fn tallies_by_phase(&self) -> bool {
        self.thresholds.iter().any(|t| t.check.is_some() && t.phase.is_some())
    }

    /// What is spoken with a target.
    pub fn protocol_of(&self, target: &Target) -> Protocol {
        target.protocol.unwrap_or(self.protocol)
    }

    /// Whether this is spoken with some target.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.targets.iter().any(|t| self.protocol_of(t) == protocol)
    }

    /// Whether HTTP/3 is spoken with some target, or may come to be.
    pub fn speaks_quic(&self) -> bool {
        self.targets.iter().any(|t| self.protocol_of(t) == Protocol::H3 || self.may_move(t))
    }

    /// Whether connections to a target go where it says that it speaks HTTP/3.
    pub fn may_move(&self, target: &Target) -> bool {
        self.connections.alt_svc && target.has_alternative(self.protocol)
    }

    /// How connections begin.
    pub fn mix(&self) -> Mix {
        self.connections.mix.unwrap_or(match (self.tls.early_data, self.tls.resumption) {
            (true, _) => Mix::EARLY,
            (false, true) => Mix::RESUMED,
            (false, false) => Mix::FRESH,
        })
    }

    /// Steps that are done once as a plan of its own: one user, one iteration.
    pub fn once(&self, once: &Once) -> Plan {
        let phase = Phase {
            name: once.scenario.name.clone(),
            users: NonZeroU32::MIN,
            load: Load::Closed,
            stop: Stop::Iterations(NonZeroU64::MIN),
            record: true,
            overrides: PhaseOverrides::default(),
        };
        let width = once.scenario.program.as_ref().map_or(1, |p| p.width());
        let max = match self.connections.share {
            Share::Pool => NonZeroU32::new(width).unwrap_or(NonZeroU32::MIN),
            Share::PerUser => NonZeroU32::MIN,
        };
        let ramp_up = Duration::ZERO;
        Plan {
            name: self.name.clone(),
            targets: once.targets.clone(),
            connections: Connections { max, ramp_up, mix: None, alt_svc: false, ..self.connections.clone() },
            scenarios: vec![once.scenario.clone()],
            phases: vec![phase],
            tracks: vec![],
            thresholds: vec![],
            script: Script {
                data: vec![],
                checks: once.checks.clone(),
                seed: self.script.seed,
                setup: None,
                teardown: None,
                meetings: vec![],
                hands: once.hands.clone(),
                handed: self.script.handed.clone(),
            },
            // Its one connection has no session of an earlier one.
            tls: Tls { resumption: false, early_data: false, ..self.tls.clone() },
            search: None,
            ..*self
        }
    }

    /// Every list of targets: the plan's, and those of what is done once.
    fn all_targets(&self) -> impl Iterator<Item = &Target> {
        let once = self.script.setup.iter().chain(&self.script.teardown);
        self.targets.iter().chain(once.flat_map(|o| &o.targets))
    }

    /// What runs side by side: the tracks, or the one that all scenarios and phases are.
    pub fn all_tracks(&self) -> Cow<'_, [Track]> {
        match self.tracks.is_empty() {
            false => Cow::Borrowed(&self.tracks),
            true => Cow::Owned(vec![Track {
                scenarios: (0..self.scenarios.len()).collect(),
                phases: 0..self.phases.len(),
                start_after: Duration::ZERO,
                own: false,
            }]),
        }
    }

    /// The track of a scenario that has phases of its own.
    pub fn own_track(&self, scenario: usize) -> Option<&Track> {
        self.tracks.iter().find(|t| t.own && t.scenarios == [scenario])
    }

    /// The most users that there are at a time, over all tracks; connections of phases of handshakes count as such.
    pub fn users(&self) -> u32 {
        most_users(&self.tracks, &self.phases, |_| true)
    }

    /// The most connections that phases of handshakes have at a time, over all tracks.
    pub fn handshakes(&self) -> u32 {
        most_users(&self.tracks, &self.phases, |p| !p.load.makes_requests())
    }

    /// Whether any phase makes requests.
    pub fn makes_requests(&self) -> bool {
        self.phases.iter().any(|p| p.load.makes_requests())
    }

    /// Whether any target is the built-in server, which must be started before the run.
    pub fn needs_builtin(&self) -> bool {
        self.all_targets().any(|t| t.endpoint == Endpoint::Builtin)
    }

    /// Points every built-in target at the server that was started for it.
    pub fn bind_builtin(&mut self, clear: SocketAddr, tls: SocketAddr) {
        let once = self.script.setup.iter_mut().chain(&mut self.script.teardown);
        for target in self.targets.iter_mut().chain(once.flat_map(|o| &mut o.targets)) {
            if target.endpoint == Endpoint::Builtin {
                target.endpoint = Endpoint::Address(match target.scheme {
                    Scheme::Http => clear,
                    Scheme::Https => tls,
                });
            }
        }
    }
}

/// The most users that there may be at a time in phases that count: those of the largest phase of each track, or of all where
/// there are none.
pub(crate) fn most_users(tracks: &[Track], phases: &[Phase], counts: impl Fn(&Phase) -> bool) -> u32 {
    let most =
        |phases: &[Phase]| phases.iter().filter(|p| counts(p)).map(|p| p.users.get()).max().unwrap_or(0);
    match tracks {
        [] => most(phases),
        _ => tracks.iter().map(|t| most(&phases[t.phases.clone()])).fold(0, u32::saturating_add),
    }
}

/// A place to connect to, and the name it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// In clear or over TLS.
    pub scheme: Scheme,
    /// What `host` / `:authority` says: the host, and the port unless it is the scheme's own.
    pub authority: String,
    /// The host alone, without brackets: the default server name of TLS.
    pub host: String,
    /// Where the connection really goes.
    pub endpoint: Endpoint,
    /// What is spoken there if not what the plan says. A host that is spoken to in several protocols is several targets, each
    /// with connections of its own.
    pub protocol: Option<Protocol>,
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A name or an address in text (without brackets), resolved once before the start.
    Name {
        /// Host name or IP address.
        host: String,
        /// Port.
        port: u16,
    },
    /// An address.
    Address(SocketAddr),
    /// Addresses, used in turn. Never empty.
    Addresses(Vec<SocketAddr>),
    /// A Unix socket; `@NAME` is one in the abstract namespace.
    Unix(PathBuf),
    /// The built-in server, in process.
    Builtin,
}

/// Which HTTP the connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Protocol {
    /// What ALPN agrees on over TLS; HTTP/1.1 in clear.
    Auto,
    /// HTTP/1.1.
    #[default]
    H1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 in clear, with prior knowledge.
    H2c,
    /// HTTP/3.
    H3,
}

impl Protocol {
    /// As plans name them.
    pub const WORDS: &'static [(&'static str, Protocol)] = &[
        ("auto", Protocol::Auto),
        ("h1", Protocol::H1),
        ("h2", Protocol::H2),
        ("h2c", Protocol::H2c),
        ("h3", Protocol::H3),
    ];

    /// `auto`, `h1`, `h2`, `h2c`, `h3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Auto => "auto",
            Protocol::H1 => "h1",
            Protocol::H2 => "h2",
            Protocol::H2c => "h2c",
            Protocol::H3 => "h3",
        }
    }

    /// Whether it can be spoken with targets of this scheme.
    pub fn goes_with(self, scheme: Scheme) -> bool {
        match self {
            Protocol::Auto | Protocol::H1 => true,
            Protocol::H2 | Protocol::H3 => scheme == Scheme::Https,
            Protocol::H2c => scheme == Scheme::Http,
        }
    }
}

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
    const FRESH: Mix = Mix { fresh: Mix::WHOLE, resumed: 0, early: 0 };
    const RESUMED: Mix = Mix { fresh: 0, resumed: Mix::WHOLE, early: 0 };
    const EARLY: Mix = Mix { fresh: 0, resumed: 0, early: Mix::WHOLE };

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

/// What a virtual user does, over and over.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Share of the users relative to the other scenarios.
    pub weight: NonZeroU32,
    /// In order. Never empty.
    pub steps: Vec<Step>,
    /// How users walk the steps.
    pub order: Order,
    /// What is done besides sending constant requests; `None`: nothing, which is the fast path.
    pub program: Option<Arc<Program>>,
}

/// The name of the check of a step that has a status to expect and nothing else to look at.
pub const STATUS_CHECK: &str = "status";

impl Scenario {
    /// Whether this step of it has a check that is counted with the requests of the step: there is no program to judge it.
    pub fn counts_in_step(&self, step: &Step) -> bool {
        self.program.is_none() && !step.checks.is_empty()
    }

    /// The names of the checks of its steps, by the place of the step in it.
    pub fn check_names(&self, step: usize) -> Vec<&str> {
        match &self.program {
            Some(program) => program.exchanges()[step].check_names().collect(),
            None if self.counts_in_step(&self.steps[step]) => vec![STATUS_CHECK],
            None => vec![],
        }
    }
}

/// How users walk the steps of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// First to last: one iteration.
    #[default]
    Sequence,
    /// Each request takes the connection's next step, round robin (h2load with several URIs); an iteration is one request.
    RoundRobin,
}

/// One HTTP exchange of a scenario.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name in results; unique in its scenario.
    pub name: String,
    /// Index into [`Plan::targets`].
    pub target: usize,
    /// The request.
    pub template: Template,
    /// Its body; empty without one.
    pub body: Bytes,
    /// What is judged of the response.
    pub checks: Vec<Check>,
    /// Overrides [`Timeouts::request`].
    pub timeout: Option<Duration>,
    /// What must be looked at in the response.
    pub want: Want,
    /// What its figures are found by, besides its name.
    pub tags: Tags,
}

impl Step {
    /// The statuses that make the request a success: the step's status check, else anything below 400.
    pub fn expected(&self) -> StatusSet {
        self.checks.iter().map(|Check::Status(set)| set.clone()).next().unwrap_or_else(StatusSet::below_400)
    }
}

/// Pass or fail on one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The status is one of these.
    Status(StatusSet),
}

/// A set of status codes: ranges, inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(pub Vec<(u16, u16)>);

impl StatusSet {
    /// What counts as success where nobody says otherwise.
    pub fn below_400() -> StatusSet {
        StatusSet(vec![(100, 399)])
    }
    /// Whether the status is in the set.
    #[inline]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|&(lo, hi)| lo <= status && status <= hi)
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (lo, hi)) in self.0.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match lo == hi {
                true => write!(f, "{comma}{lo}")?,
                false => write!(f, "{comma}{lo}..{hi}")?,
            }
        }
        Ok(())
    }
}

/// A named stretch with its own load and stop rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its name; unique.
    pub name: String,
    /// Virtual users of the whole run, over all cores: all of them, or in the open model and in a ramp the most there may be.
    /// Of handshakes: the most connections that are opened or held at a time.
    pub users: NonZeroU32,
    /// What makes iterations begin.
    pub load: Load,
    /// When it ends.
    pub stop: Stop,
    /// False: a warm-up. Paced like the rest, in the books, not in the result's figures.
    pub record: bool,
    /// What is different in it.
    pub overrides: PhaseOverrides,
}

/// What a phase does differently.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseOverrides {
    /// How long iterations may go on when the time of the phase is over, before they are ended after the request they are at.
    /// The next phase begins after that. `None`: they go on into the next phase.
    pub graceful_stop: Option<Duration>,
    /// Other weights than those of the scenarios; by scenario of the plan, 0 where it has no iterations in this phase.
    pub weights: Option<Vec<u32>>,
    /// What pauses are multiplied by.
    pub think: Option<f64>,
}

/// What makes iterations begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Load {
    /// The closed model: a user begins again when it has finished.
    #[default]
    Closed,
    /// The closed model with a number of users that moves evenly over the phase's time. Only with [`Stop::After`].
    Ramp {
        /// Users at the beginning.
        from: u32,
        /// Users at the end.
        to: u32,
    },
    /// The open model: iterations begin when a schedule says, whatever the server does.
    Open(Arrivals),
    /// Likewise, but what arrives is a connection: it is opened to the plan's first target, bears no request and is closed. An
    /// iteration is a connection that was opened.
    Handshakes(Handshakes),
}

impl Load {
    /// The schedule, where there is one.
    pub fn schedule(&self) -> Option<&Arrivals> {
        match self {
            Load::Open(arrivals) | Load::Handshakes(Handshakes { arrivals, .. }) => Some(arrivals),
            Load::Closed | Load::Ramp { .. } => None,
        }
    }

    /// Whether iterations are those of scenarios.
    pub fn makes_requests(&self) -> bool {
        !matches!(self, Load::Handshakes(_))
    }
}

/// Connections at a rate of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Handshakes {
    /// When they are opened.
    pub arrivals: Arrivals,
    /// How long each is kept once it is open.
    pub hold: Duration,
}

/// A schedule of arrivals, and what happens to those that nobody can take.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals {
    /// How many a second, over the time of the phase.
    pub curve: Curve,
    /// How they are spread within that.
    pub spread: Spread,
    /// Those that find no idle user.
    pub backlog: Backlog,
}

/// Arrivals per second over all cores, from the beginning of the phase.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// Always the same, above zero.
    Constant(f64),
    /// From one rate to another, evenly.
    Ramp {
        /// At the beginning; zero or more.
        from: f64,
        /// At the end; zero or more, and not both zero.
        to: f64,
        /// How long it takes.
        over: Duration,
    },
    /// From one rate to another in equal stairs.
    Stairs {
        /// The first stair; zero or more.
        from: f64,
        /// The last stair.
        to: f64,
        /// How many, at least two.
        stairs: NonZeroU32,
        /// All of them together.
        over: Duration,
    },
    /// At these times after the beginning, in order; each `lanes` times if it is given to each connection.
    Times {
        /// Nanoseconds, never falling.
        at: Arc<[u64]>,
        /// How many arrivals each time stands for.
        each: NonZeroU32,
    },
}

/// How arrivals are spread within the curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// As evenly as can be.
    #[default]
    Even,
    /// As independent events come: gaps are exponentially distributed.
    Poisson,
    /// So many at a time.
    Burst(NonZeroU32),
}

/// What happens to arrivals that find no idle user: they wait, their intended start kept, and are dropped and counted past
/// these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Longest wait. `None`: no limit.
    pub time: Option<Duration>,
    /// How many may wait over all cores.
    pub number: u64,
}

/// What ends a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After this time.
    After(Duration),
    /// When this many iterations were begun over all users (in the open model: have arrived) and have ended.
    Iterations(NonZeroU64),
    /// Each user does this many.
    IterationsPerUser(NonZeroU64),
}

/// Pass or fail on an aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// As the user wrote it.
    pub text: String,
    /// Left side.
    pub metric: Metric,
    /// Only steps of this scenario (by name).
    pub scenario: Option<String>,
    /// Only steps of this name.
    pub step: Option<String>,
    /// Only steps with these tags.
    pub tags: Tags,
    /// Only checks of this name; of the two figures of checks alone.
    pub check: Option<String>,
    /// Only this phase (by name); else all recorded phases.
    pub phase: Option<String>,
    /// How the sides compare.
    pub op: Op,
    /// Right side: nanoseconds for times, a fraction for rates of failure, a number for counts, per second for rates.
    pub value: f64,
    /// Watched during the run, which ends when it does not hold after so much recorded time.
    pub abort_after: Option<Duration>,
}

impl Threshold {
    /// Whether it speaks of some steps only.
    pub fn of_steps(&self) -> bool {
        self.scenario.is_some() || self.step.is_some() || !self.tags.is_empty()
    }

    /// Whether it speaks of this step of this scenario, which has these tags.
    pub fn speaks_of(&self, scenario: &str, step: &str, tags: &Tags) -> bool {
        self.scenario.as_ref().is_none_or(|s| s == scenario)
            && self.step.as_ref().is_none_or(|s| s == step)
            && tags.include(&self.tags)
    }

    /// Whether it speaks of checks of this name. A name that was given to several checks at once is the beginning of theirs.
    pub fn counts(&self, check: &str) -> bool {
        let behind = |name: &String| check.strip_prefix(name.as_str());
        self.check
            .as_ref()
            .is_none_or(|name| behind(name).is_some_and(|r| r.is_empty() || r.starts_with(": ")))
    }
}

/// Left side of a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// `p99.9(response_time)`: the quantile (0..=1) of a series.
    Quantile(f64, SeriesName),
    /// `mean(...)`.
    Mean(SeriesName),
    /// `min(...)`.
    Min(SeriesName),
    /// `max(...)`.
    Max(SeriesName),
    /// Failed over ended.
    ErrorRate,
    /// Succeeded per second.
    Rate,
    /// A count of the books.
    Count(CountName),
    /// Checks failed over checks made.
    CheckFailureRate,
    /// Checks passed over checks made.
    CheckRate,
}

impl Metric {
    /// The series it speaks of, if it speaks of times.
    pub fn series(self) -> Option<SeriesName> {
        match self {
            Metric::Quantile(_, name) | Metric::Mean(name) | Metric::Min(name) | Metric::Max(name) => {
                Some(name)
            }
            Metric::ErrorRate
            | Metric::Rate
            | Metric::Count(_)
            | Metric::CheckFailureRate
            | Metric::CheckRate => None,
        }
    }

    /// Whether it speaks of connections of phases of handshakes alone.
    pub fn of_handshakes(self) -> bool {
        let counts = matches!(self, Metric::Count(CountName::HandshakesOpened | CountName::HandshakesFailed));
        counts || self.series() == Some(SeriesName::OpeningTime)
    }
}

/// A series of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesName {
    /// Due to last byte.
    ResponseTime,
    /// Sent to last byte.
    ServiceTime,
    /// Due to sent.
    SendLag,
    /// Sent to first byte of the response head.
    FirstByte,
    /// TCP connect.
    Connect,
    /// TLS handshake.
    Handshake,
    /// Due to open, of connections of phases of handshakes.
    OpeningTime,
}

/// A count of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountName {
    /// Requests begun.
    Started,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// In flight at the end.
    Abandoned,
    /// Arrivals never begun.
    Dropped,
    /// Iterations ended.
    Iterations,
    /// Connections of phases of handshakes that were opened.
    HandshakesOpened,
    /// Those that were not, for whatever reason.
    HandshakesFailed,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
}

impl Op {
    /// Whether `left op right` holds.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Op::Less => left < right,
            Op::AtMost => left <= right,
            Op::More => left > right,
            Op::AtLeast => left >= right,
            Op::Equal => left == right,
        }
    }
}
