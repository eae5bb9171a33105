//! What several test files share.
#![allow(dead_code)]

mod plain;

/// Bytes from hexadecimal text, blanks ignored.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

/// Numbers for tests: splitmix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }
}

use bytes::{Bytes, BytesMut};
use proto::conformance::Recorder;
use proto::{ClientConn, Field, Framing, Piece, Request, Scheme, Template, Text, Time, Token, Want};
use proto_h3::frame::{Item, Reader, kind, put_frame, stream};
use proto_h3::qpack::{Decoder, put_field, put_prefix};
use proto_h3::{Config, Connection, Input, Prepared, Received, Setup, Transmit};
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{
    ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Endpoint, EndpointConfig, Event, ServerConfig, Side,
    StreamEvent, StreamId, TransportConfig, VarInt,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Where the server is, as far as anyone asks.
pub fn server_address() -> SocketAddr {
    "127.0.0.1:4433".parse().unwrap()
}
pub fn client_address() -> SocketAddr {
    "127.0.0.1:50000".parse().unwrap()
}

/// A certificate and both sides' TLS.
pub struct Tls {
    pub client: Arc<rustls::ClientConfig>,
    pub server: Arc<QuicServerConfig>,
}

fn server_tls(identity: &Identity, early: u32) -> QuicServerConfig {
    let mut server = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .unwrap();
    server.alpn_protocols = vec![b"h3".to_vec()];
    server.max_early_data_size = early;
    server.session_storage = identity.sessions.clone();
    QuicServerConfig::try_from(server).unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

struct Identity {
    certificate: rustls_pki_types::CertificateDer<'static>,
    key: rustls_pki_types::PrivateKeyDer<'static>,
    /// All servers of a process resume each other's sessions.
    sessions: Arc<dyn rustls::server::StoresServerSessions>,
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let certified = rcgen::generate_simple_self_signed(vec!["peer.test".into()]).unwrap();
        Identity {
            certificate: certified.cert.der().clone(),
            key: rustls_pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()).into(),
            sessions: rustls::server::ServerSessionMemoryCache::new(256),
        }
    })
}

pub fn tls() -> &'static Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(|| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(identity().certificate.clone()).unwrap();
        let mut client = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h3".to_vec()];
        // What one test did must not change another's.
        client.resumption = rustls::client::Resumption::disabled();
        Tls { client: Arc::new(client), server: Arc::new(server_tls(identity(), u32::MAX)) }
    })
}

/// A server's TLS that resumes sessions and takes no early data.
pub fn without_early_data() -> QuicServerConfig {
    server_tls(identity(), 0)
}

/// The moment that time zero stands for in tests. Any will do.
#[allow(clippy::disallowed_methods)]
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}
pub fn instant(now: Time) -> Instant {
    epoch() + Duration::from_nanos(now.as_nanos())
}

pub fn client(config: Config, now: Time) -> Connection {
    let setup = Setup::new(Config { seed: Some([1; 32]), ..config }, tls().client.clone()).unwrap();
    Connection::new(&setup, "peer.test", now).unwrap()
}

/// A request as the server sees it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub stream: u64,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Its FIN came.
    pub complete: bool,
    /// `100 Continue` was asked for and not yet said.
    pub expects: bool,
}

impl Asked {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|f| f.0 == name).map(|f| f.1.as_str())
    }
}

/// A server over `quinn_proto` that reads requests and says what a test tells it to say.
pub struct Server {
    endpoint: Endpoint,
    pub endpoint_config: Arc<EndpointConfig>,
    pub config: Arc<ServerConfig>,
    /// The first packet is answered with a Retry.
    pub retry: bool,
    pub quic: Option<(ConnectionHandle, quinn_proto::Connection)>,
    pub remote: SocketAddr,
    /// What is said when the handshake is over, on which new unidirectional streams.
    pub greeting: Vec<Vec<u8>>,
    pub opened: Vec<StreamId>,
    pub requests: BTreeMap<u64, Asked>,
    readers: BTreeMap<u64, (Reader, u64, Vec<u8>)>,
    /// Bytes of each unidirectional stream of the client.
    pub client_streams: BTreeMap<StreamId, Vec<u8>>,
    /// Bytes not yet taken by QUIC, and whether FIN follows.
    writes: BTreeMap<StreamId, (Vec<u8>, bool)>,
    /// RESET_STREAM and STOP_SENDING seen.
    pub resets: BTreeMap<u64, u64>,
    pub stops: BTreeMap<u64, u64>,
    pub lost: Option<quinn_proto::ConnectionError>,
    /// Datagrams of the endpoint itself.
    said: Vec<Vec<u8>>,
}

/// The server's control stream with these settings.
pub fn control_stream(settings: &[u8]) -> Vec<u8> {
    let mut out = vec![stream::CONTROL as u8];
    put_frame(&mut out, kind::SETTINGS, settings);
    out
}

impl Server {
    pub fn new() -> Server {
        Server::with(|_| {})
    }

    pub fn with(adjust: impl FnOnce(&mut TransportConfig)) -> Server {
        Server::make(ServerConfig::with_crypto(tls().server.clone()), adjust)
    }

    /// One without encryption, see [`Pair::plain`]. It does not probe the path: those who read frames read padding byte by
    /// byte.
    pub fn plain() -> Server {
        Server::make(ServerConfig::with_crypto(Arc::new(plain::Plain)), |t| {
            t.mtu_discovery_config(None);
        })
    }

    fn make(mut config: ServerConfig, adjust: impl FnOnce(&mut TransportConfig)) -> Server {
        let mut transport = TransportConfig::default();
        transport.initial_rtt(Duration::from_millis(20));
        adjust(&mut transport);
        config.transport_config(Arc::new(transport));
        let (endpoint_config, config) = (Arc::new(EndpointConfig::default()), Arc::new(config));
        let endpoint = Endpoint::new(endpoint_config.clone(), Some(config.clone()), true, Some([2; 32]));
        Server {
            endpoint,
            endpoint_config,
            config,
            retry: false,
            quic: None,
            remote: client_address(),
            greeting: vec![control_stream(&[])],
            opened: Vec::new(),
            requests: BTreeMap::new(),
            readers: BTreeMap::new(),
            client_streams: BTreeMap::new(),
            writes: BTreeMap::new(),
            resets: BTreeMap::new(),
            stops: BTreeMap::new(),
            lost: None,
            said: Vec::new(),
        }
    }

    /// The same server with another endpoint configuration. To be called before anything came.
    pub fn rebuild(&mut self, endpoint: EndpointConfig) {
        self.endpoint_config = Arc::new(endpoint);
        self.endpoint =
            Endpoint::new(self.endpoint_config.clone(), Some(self.config.clone()), true, Some([2; 32]));
    }

    /// The same with another server configuration.
    pub fn reconfigure(&mut self, config: ServerConfig) {
        self.config = Arc::new(config);
        self.endpoint.set_server_config(Some(self.config.clone()));
    }

    pub fn conn(&mut self) -> &mut quinn_proto::Connection {
        &mut self.quic.as_mut().expect("the client has sent something").1
    }

    /// Datagrams as the client handed them out.
    pub fn receive(&mut self, now: Time, transmit: Transmit, bytes: &[u8]) {
        for datagram in bytes.chunks(transmit.segment_size.unwrap_or(bytes.len()).max(1)) {
            self.datagram(now, transmit.ecn, datagram);
        }
    }

    pub fn datagram(&mut self, now: Time, ecn: u8, datagram: &[u8]) {
        let mut answer = Vec::new();
        let (at, ecn) = (instant(now), EcnCodepoint::from_bits(ecn));
        match self.endpoint.handle(at, self.remote, None, ecn, BytesMut::from(datagram), &mut answer) {
            Some(DatagramEvent::NewConnection(incoming)) if self.retry => {
                answer.clear();
                let _ = self.endpoint.retry(incoming, &mut answer).expect("it has no token yet");
                self.retry = false;
                self.said.push(answer);
            }
            Some(DatagramEvent::NewConnection(incoming)) if self.quic.is_none() => {
                answer.clear();
                match self.endpoint.accept(incoming, at, &mut answer, None) {
                    Ok(accepted) => self.quic = Some(accepted),
                    // It says why.
                    Err(_) => self.said.push(answer),
                }
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, conn)) = &mut self.quic {
                    conn.handle_event(event);
                }
            }
            _ => {}
        }
        self.drive();
    }

    fn drive(&mut self) {
        let Some((handle, conn)) = &mut self.quic else { return };
        while let Some(event) = conn.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                conn.handle_event(event);
            }
        }
        while let Some(event) = self.conn().poll() {
            match event {
                Event::Connected => {
                    for bytes in std::mem::take(&mut self.greeting) {
                        self.uni(&bytes);
                    }
                }
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.conn().streams().accept(dir) {
                        self.read(id);
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Writable { .. }) => self.push_writes(),
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.stops.insert(id.index(), error_code.into_inner());
                    let _ = self.conn().send_stream(id).reset(error_code);
                    self.writes.remove(&id);
                }
                Event::ConnectionLost { reason } => self.lost = Some(reason),
                _ => {}
            }
        }
    }

    fn read(&mut self, id: StreamId) {
        loop {
            let mut receiver = self.conn().recv_stream(id);
            let Ok(mut chunks) = receiver.read(true) else { return };
            let next = chunks.next(usize::MAX);
            drop(chunks);
            match (next, id.dir()) {
                (Ok(Some(chunk)), Dir::Uni) => {
                    self.client_streams.entry(id).or_default().extend_from_slice(&chunk.bytes);
                }
                (Ok(Some(chunk)), Dir::Bi) => self.request_bytes(id.index(), &chunk.bytes),
                (Ok(None), Dir::Bi) => self.requests.entry(id.index()).or_default().complete = true,
                (Err(quinn_proto::ReadError::Reset(code)), _) => {
                    self.resets.insert(id.index(), code.into_inner());
                    return;
                }
                _ => return,
            }
        }
    }

    fn request_bytes(&mut self, index: u64, mut bytes: &[u8]) {
        let asked = self.requests.entry(index).or_default();
        asked.stream = index;
        let (reader, kind, section) = self.readers.entry(index).or_insert((Reader::new(), 0, Vec::new()));
        while let Some(item) = reader.next(&mut bytes) {
            match item {
                Item::Frame { kind: k, .. } => *kind = k,
                Item::Payload { bytes, .. } if *kind == kind::DATA => asked.body.extend_from_slice(bytes),
                Item::Payload { bytes, last } => {
                    assert_eq!(*kind, kind::HEADERS, "a client sends HEADERS and DATA");
                    section.extend_from_slice(bytes);
                    if last {
                        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                        let fields = &mut asked.fields;
                        Decoder::new(0).decode(section, |n, v| fields.push((text(n), text(v)))).unwrap();
                        asked.expects = asked.field("expect").is_some();
                        section.clear();
                    }
                }
            }
        }
    }

    /// A new unidirectional stream with these bytes on it.
    pub fn uni(&mut self, bytes: &[u8]) -> StreamId {
        let id = self.conn().streams().open(Dir::Uni).expect("the client allows some");
        self.opened.push(id);
        self.write(id, bytes, false);
        id
    }

    /// Bytes on a stream, as soon as QUIC takes them.
    pub fn write(&mut self, id: StreamId, bytes: &[u8], fin: bool) {
        let entry = self.writes.entry(id).or_default();
        entry.0.extend_from_slice(bytes);
        entry.1 |= fin;
        self.push_writes();
    }

    fn push_writes(&mut self) {
        let Some((_, conn)) = &mut self.quic else { return };
        self.writes.retain(|id, (bytes, fin)| {
            let mut sender = conn.send_stream(*id);
            while !bytes.is_empty() {
                match sender.write(bytes) {
                    Ok(n) => drop(bytes.drain(..n)),
                    Err(quinn_proto::WriteError::Blocked) => return true,
                    Err(_) => return false,
                }
            }
            if *fin {
                let _ = sender.finish();
            }
            false
        });
    }

    /// Datagrams that go out now, and the timers that are due before.
    pub fn transmit(&mut self, now: Time) -> Vec<(Vec<u8>, u8)> {
        let mut out: Vec<(Vec<u8>, u8)> = self.said.drain(..).map(|bytes| (bytes, 0)).collect();
        if self.quic.is_none() {
            return out;
        }
        if self.poll_timeout().is_some_and(|t| t <= now) {
            self.conn().handle_timeout(instant(now));
        }
        self.drive();
        self.push_writes();
        loop {
            let mut buf = Vec::new();
            match self.conn().poll_transmit(instant(now), 1, &mut buf) {
                Some(t) => out.push((buf, t.ecn.map_or(0, |e| e as u8))),
                None => return out,
            }
        }
    }

    pub fn poll_timeout(&mut self) -> Option<Time> {
        let at = self.quic.as_mut()?.1.poll_timeout()?;
        Some(Time::from_nanos(at.saturating_duration_since(epoch()).as_nanos() as u64))
    }
}

/// A request's stream.
pub fn request_stream(index: u64) -> StreamId {
    StreamId::new(Side::Client, Dir::Bi, index)
}
pub fn code(value: u64) -> VarInt {
    VarInt::from_u64(value).unwrap()
}

/// A HEADERS frame with literal fields.
pub fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut section = Vec::new();
    put_prefix(&mut section);
    for (name, value) in fields {
        put_field(&mut section, false, name.as_bytes(), value.as_bytes());
    }
    frame(kind::HEADERS, &section)
}
pub fn data(content: &[u8]) -> Vec<u8> {
    frame(kind::DATA, content)
}
pub fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, kind, payload);
    out
}
pub fn cat(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// The client's view of one datagram.
pub fn received(bytes: &[u8], ecn: u8) -> Received {
    Received { bytes: BytesMut::from(bytes), stride: bytes.len(), ecn }
}

/// A client and a server with nothing between them but a millisecond.
pub struct Pair {
    pub client: Connection,
    pub server: Server,
    pub log: Recorder,
    pub now: Time,
    /// How long each way takes.
    pub way: Duration,
}

impl Pair {
    pub fn new(config: Config, server: Server) -> Pair {
        Pair::between(client(config, Time::ZERO), server)
    }

    fn between(client: Connection, server: Server) -> Pair {
        let (now, way) = (Time::ZERO, Duration::from_micros(500));
        Pair { client, server, log: Recorder::default(), now, way }
    }

    /// The same with the handshake over and greetings exchanged.
    fn greeted(mut self) -> Pair {
        self.run();
        assert!(self.client.capacity() > 0, "{:?}", self.log.events);
        self
    }

    /// Without encryption on either side, and with the handshake over.
    pub fn plain(config: Config, server: Server) -> Pair {
        let config = Config { seed: Some([1; 32]), max_udp_payload: 1200, ..config };
        let setup = Setup::with_crypto(config, Arc::new(plain::Plain));
        let client = Connection::new(&setup, "peer.test", Time::ZERO).unwrap();
        Pair::between(client, server).greeted()
    }

    /// With the handshake over and greetings exchanged.
    pub fn connected(config: Config, server: Server) -> Pair {
        Pair::new(config, server).greeted()
    }

    pub fn submit(&mut self, token: u64, template: usize, body: Bytes, want: Want) {
        let request = Request { prepared: &prepared()[template], values: &[b"1", b"1"], body, want };
        self.client.submit(self.now, Token(token), request).expect("room for a request");
        self.log.accept(Token(token), want);
    }

    /// A GET whose fields and body are wanted.
    pub fn get(&mut self, token: u64) {
        self.submit(token, 0, Bytes::new(), Want { fields: true, body: true });
    }

    /// Everything on its way arrives, until nobody has anything to say.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            self.now = self.now.after(self.way);
            if self.client.poll_timeout().is_some_and(|t| t <= self.now) {
                self.client.handle_timeout(self.now, &mut self.log);
            }
            let mut any = self.flush();
            self.now = self.now.after(self.way);
            let back = self.server.transmit(self.now);
            any |= !back.is_empty();
            if !any {
                return;
            }
            let mut batch: Vec<Received> = back.iter().map(|(b, ecn)| received(b, *ecn)).collect();
            self.client.handle_input(self.now, Input::Datagrams(&mut batch), &mut self.log);
        }
        panic!("they never stop talking");
    }

    /// What the client has to say goes to the server.
    pub fn flush(&mut self) -> bool {
        let mut any = false;
        loop {
            let mut out = Vec::new();
            match self.client.poll_transmit(self.now, 65_536, &mut out, &mut self.log) {
                Some(t) => self.server.receive(self.now, t, &out),
                None => return any,
            }
            any = true;
        }
    }

    /// Time passes without input.
    pub fn wait(&mut self, by: Duration) {
        let end = self.now.after(by);
        while let Some(at) = self
            .client
            .poll_timeout()
            .into_iter()
            .chain(self.server.poll_timeout())
            .min()
            .filter(|t| *t <= end)
        {
            self.now = self.now.max(at);
            self.run();
        }
        self.now = self.now.max(end);
    }
}

/// The templates as a connection sends them, by their number.
pub fn prepared() -> &'static [Prepared] {
    static ALL: OnceLock<Vec<Prepared>> = OnceLock::new();
    ALL.get_or_init(|| {
        templates().iter().enumerate().map(|(i, t)| Connection::prepare(i as u32, t)).collect()
    })
}

/// GET, HEAD, POST with length, POST without, POST that expects `100 Continue`, GET that is always the same.
pub fn templates() -> Vec<Template> {
    let make = |method: &str, framing, expect| {
        let path = Text::new(vec![Piece::Literal((*b"/n/").into()), Piece::Slot(0)]);
        let value = Text::new(vec![Piece::Literal((*b"v").into()), Piece::Slot(1)]);
        Template::new(method, Scheme::Https, Text::literal("peer.test"), path)
            .and_then(|t| t.field(Field { name: "X-Slot".into(), value, secret: false }))
            .map(|t| t.body(framing, expect))
            .expect("legal")
    };
    vec![
        make("GET", Framing::None, false),
        make("HEAD", Framing::None, false),
        make("POST", Framing::Length, false),
        make("POST", Framing::Chunked, false),
        make("POST", Framing::Length, true),
        Template::new("GET", Scheme::Https, Text::literal("peer.test"), Text::literal("/same"))
            .expect("legal"),
    ]
}
