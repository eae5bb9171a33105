//! What several test files share.
#![allow(dead_code, unused_imports)]

#[path = "../../../proto-quic/tests/common/hex.rs"]
mod hex;
#[path = "../../../proto-quic/tests/common/network.rs"]
pub mod network;
mod plain;
#[path = "../../../proto-quic/tests/common/quic.rs"]
pub mod quic;
#[path = "../../../proto-quic/tests/common/tls.rs"]
mod quic_tls;
#[path = "../../../proto-quic/tests/common/seeds.rs"]
pub mod seeds;

use bytes::{Bytes, BytesMut};
pub use hex::hex;
use proto::conformance::Recorder;
pub use proto::conformance::Rng;
use proto::{ClientConn, Field, Framing, Piece, Request, Scheme, Template, Text, Time, Token, Want};
use proto_h3::frame::{Item, Reader, kind, put_frame, stream};
use proto_h3::qpack::{Decoder, put_field, put_prefix};
use proto_h3::{Config, Connection, Input, Prepared, Received, Setup, Transmit};
use quic::{Heard, Quic};
pub use quic::{client_address, epoch, instant};
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{Dir, EndpointConfig, ServerConfig, Side, StreamId, TransportConfig, VarInt};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Both sides' TLS.
pub struct Tls {
    pub client: Arc<rustls::ClientConfig>,
    pub server: Arc<QuicServerConfig>,
}

const ALPN: &[u8] = b"h3";

/// All servers of a process resume each other's sessions.
fn server_tls(early: bool) -> QuicServerConfig {
    static SESSIONS: OnceLock<Arc<dyn rustls::server::StoresServerSessions>> = OnceLock::new();
    let sessions = SESSIONS.get_or_init(|| rustls::server::ServerSessionMemoryCache::new(256));
    let mut server = quic_tls::server_tls(ALPN, early);
    server.session_storage = sessions.clone();
    QuicServerConfig::try_from(server).unwrap()
}

pub fn tls() -> &'static Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(|| Tls {
        client: Arc::new(quic_tls::client_tls(ALPN)),
        server: Arc::new(server_tls(true)),
    })
}

/// A server's configuration that resumes sessions and takes early data.
pub fn server_config() -> ServerConfig {
    ServerConfig::with_crypto(tls().server.clone())
}

/// The same without early data.
pub fn without_early_data() -> ServerConfig {
    ServerConfig::with_crypto(Arc::new(server_tls(false)))
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
    pub quic: Quic,
    /// What is said when the handshake is over, on which new unidirectional streams.
    pub greeting: Vec<Vec<u8>>,
    pub opened: Vec<StreamId>,
    pub requests: BTreeMap<u64, Asked>,
    readers: BTreeMap<u64, (Reader, u64, Vec<u8>)>,
    /// Bytes of each unidirectional stream of the client.
    pub client_streams: BTreeMap<StreamId, Vec<u8>>,
    /// RESET_STREAM and STOP_SENDING seen.
    pub resets: BTreeMap<u64, u64>,
    pub stops: BTreeMap<u64, u64>,
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
        Server::made(server_config(), EndpointConfig::default(), adjust)
    }

    /// One without encryption, see [`Pair::plain`]. It does not probe the path: those who read frames read padding byte by
    /// byte.
    pub fn plain() -> Server {
        let config = ServerConfig::with_crypto(Arc::new(plain::Plain));
        Server::made(config, EndpointConfig::default(), |t| {
            t.mtu_discovery_config(None);
        })
    }

    pub fn made(
        config: ServerConfig,
        endpoint: EndpointConfig,
        adjust: impl FnOnce(&mut TransportConfig),
    ) -> Server {
        Server {
            quic: Quic::new(config, endpoint, adjust),
            greeting: vec![control_stream(&[])],
            opened: Vec::new(),
            requests: BTreeMap::new(),
            readers: BTreeMap::new(),
            client_streams: BTreeMap::new(),
            resets: BTreeMap::new(),
            stops: BTreeMap::new(),
        }
    }

    pub fn conn(&mut self) -> &mut quinn_proto::Connection {
        self.quic.conn()
    }

    /// Datagrams as the client handed them out.
    pub fn receive(&mut self, now: Time, transmit: Transmit, bytes: &[u8]) {
        for datagram in bytes.chunks(transmit.segment_size.unwrap_or(bytes.len()).max(1)) {
            self.datagram(now, transmit.ecn, datagram);
        }
    }

    pub fn datagram(&mut self, now: Time, ecn: u8, datagram: &[u8]) {
        self.quic.datagram(now, ecn, datagram);
        self.hear();
    }

    fn hear(&mut self) {
        while let Some(heard) = self.quic.poll() {
            match heard {
                Heard::Connected => {
                    for bytes in std::mem::take(&mut self.greeting) {
                        self.uni(&bytes);
                    }
                }
                Heard::Data(id, bytes) if id.dir() == Dir::Uni => {
                    self.client_streams.entry(id).or_default().extend_from_slice(&bytes);
                }
                Heard::Data(id, bytes) => self.request_bytes(id.index(), &bytes),
                Heard::Fin(id) if id.dir() == Dir::Uni => {}
                Heard::Fin(id) => self.requests.entry(id.index()).or_default().complete = true,
                Heard::Reset(id, code) => drop(self.resets.insert(id.index(), code)),
                Heard::Stopped(id, code) => drop(self.stops.insert(id.index(), code)),
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
        self.quic.write(id, bytes, fin);
    }

    /// Datagrams that go out now, after the timers that are due.
    pub fn transmit(&mut self, now: Time) -> Vec<(Vec<u8>, u8)> {
        self.quic.fire(now);
        self.hear();
        self.quic.transmit(now)
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
            .chain(self.server.quic.poll_timeout())
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
