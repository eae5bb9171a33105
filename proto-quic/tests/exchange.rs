//! A client of ours and a server of `quinn_proto`, with nothing between them: the handshake, requests and responses, windows,
//! resets, uploads, the end.

use bytes::{Bytes, BytesMut};
use proto::Time;
use proto_quic::tls::Tls;
use proto_quic::{Config, Connection, Event, Lost, Receiver, StreamId};
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{
    ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, ServerConfig, StreamEvent,
    TransportConfig, VarInt,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

struct Both {
    client: Arc<rustls::ClientConfig>,
    server: Arc<QuicServerConfig>,
}

fn both() -> &'static Both {
    static BOTH: OnceLock<Both> = OnceLock::new();
    BOTH.get_or_init(|| {
        let certified = rcgen::generate_simple_self_signed(vec!["peer.test".into()]).unwrap();
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let tls13 = &[&rustls::version::TLS13];
        let mut server = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(tls13)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.into())
            .unwrap();
        server.alpn_protocols = vec![b"t".to_vec()];
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certified.cert.der().clone()).unwrap();
        let mut client = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(tls13)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"t".to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        Both { client: Arc::new(client), server: Arc::new(QuicServerConfig::try_from(server).unwrap()) }
    })
}

#[allow(clippy::disallowed_methods)]
fn instant(now: Time) -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now) + Duration::from_nanos(now.as_nanos())
}

/// What the owner of a connection was told.
#[derive(Default)]
struct Seen {
    data: BTreeMap<u64, (u32, Vec<u8>, bool)>,
    resets: Vec<(StreamId, u32, u64)>,
    stopped: Vec<(StreamId, u32, u64)>,
    /// How many bytes of each piece are left to the owner.
    hold: bool,
}

impl Receiver for Seen {
    fn data(&mut self, id: StreamId, cookie: u32, bytes: &[u8], fin: bool) -> usize {
        let entry = self.data.entry(id.0).or_default();
        assert!(!entry.2, "nothing comes behind the end");
        entry.0 = cookie;
        entry.1.extend_from_slice(bytes);
        entry.2 = fin;
        if self.hold { 0 } else { bytes.len() }
    }
    fn reset(&mut self, id: StreamId, cookie: u32, code: u64) {
        self.resets.push((id, cookie, code));
    }
    fn stopped(&mut self, id: StreamId, cookie: u32, code: u64) {
        self.stopped.push((id, cookie, code));
    }
}

struct World {
    client: Connection,
    seen: Seen,
    sent: Vec<(StreamId, u32)>,
    events: Vec<Event>,
    endpoint: Endpoint,
    server: Option<(ConnectionHandle, quinn_proto::Connection)>,
    /// Requests whole at the server.
    requests: BTreeMap<u64, Vec<u8>>,
    whole: Vec<u64>,
    /// What is answered to a request of this many bytes.
    answer: fn(&[u8]) -> Vec<u8>,
    writes: BTreeMap<quinn_proto::StreamId, Vec<u8>>,
    now: Time,
}

fn address() -> SocketAddr {
    "127.0.0.1:5000".parse().unwrap()
}

impl World {
    fn new(config: Config, adjust: impl FnOnce(&mut TransportConfig)) -> World {
        let mut transport = TransportConfig::default();
        adjust(&mut transport);
        let mut server = ServerConfig::with_crypto(both().server.clone());
        server.transport_config(Arc::new(transport));
        let endpoint =
            Endpoint::new(Arc::new(EndpointConfig::default()), Some(Arc::new(server)), true, Some([3; 32]));
        let tls = Tls::new(both().client.clone()).unwrap();
        let config = Config { seed: Some([1; 32]), ..config };
        World {
            client: Connection::new(&config, &tls, "peer.test", None, Time::ZERO).unwrap(),
            seen: Seen::default(),
            sent: Vec::new(),
            events: Vec::new(),
            endpoint,
            server: None,
            requests: BTreeMap::new(),
            whole: Vec::new(),
            answer: |request| request.to_vec(),
            writes: BTreeMap::new(),
            now: Time::ZERO,
        }
    }

    fn connected(config: Config, adjust: impl FnOnce(&mut TransportConfig)) -> World {
        let mut w = World::new(config, adjust);
        w.run();
        assert_eq!(w.events, [Event::Connected]);
        assert!(!w.client.is_handshaking());
        w
    }

    fn quinn(&mut self) -> &mut quinn_proto::Connection {
        &mut self.server.as_mut().unwrap().1
    }

    fn serve(&mut self, datagram: &[u8], ecn: u8) {
        let (at, mut buf) = (instant(self.now), Vec::new());
        let ecn = quinn_proto::EcnCodepoint::from_bits(ecn);
        match self.endpoint.handle(at, address(), None, ecn, BytesMut::from(datagram), &mut buf) {
            Some(DatagramEvent::NewConnection(incoming)) => {
                buf.clear();
                self.server = Some(self.endpoint.accept(incoming, at, &mut buf, None).expect("accepted"));
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => self.quinn().handle_event(event),
            _ => {}
        }
        self.drive();
    }

    fn drive(&mut self) {
        let Some((handle, conn)) = &mut self.server else { return };
        while let Some(event) = conn.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                conn.handle_event(event);
            }
        }
        while let Some(event) = self.quinn().poll() {
            match event {
                quinn_proto::Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.quinn().streams().accept(dir) {
                        self.read(id);
                    }
                }
                quinn_proto::Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                quinn_proto::Event::Stream(StreamEvent::Writable { .. }) => self.push(),
                _ => {}
            }
        }
    }

    fn read(&mut self, id: quinn_proto::StreamId) {
        let mut whole = false;
        let mut bytes = Vec::new();
        {
            let mut stream = self.quinn().recv_stream(id);
            let Ok(mut chunks) = stream.read(true) else { return };
            loop {
                match chunks.next(usize::MAX) {
                    Ok(Some(chunk)) => bytes.extend_from_slice(&chunk.bytes),
                    Ok(None) => {
                        whole = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
            let _ = chunks.finalize();
        }
        let request = self.requests.entry(id.index()).or_default();
        request.extend_from_slice(&bytes);
        if whole {
            self.whole.push(id.index());
            if id.dir() == Dir::Bi {
                let answer = (self.answer)(&self.requests[&id.index()]);
                self.writes.insert(id, answer);
                self.push();
            }
        }
    }

    fn push(&mut self) {
        let Some((_, conn)) = &mut self.server else { return };
        self.writes.retain(|id, bytes| {
            let mut stream = conn.send_stream(*id);
            while !bytes.is_empty() {
                match stream.write(bytes) {
                    Ok(n) => drop(bytes.drain(..n)),
                    Err(_) => return true,
                }
            }
            let _ = stream.finish();
            false
        });
    }

    /// Until nobody has anything to say.
    fn run(&mut self) {
        for _ in 0..20_000 {
            self.now = self.now.after(Duration::from_micros(500));
            if self.client.poll_timeout().is_some_and(|t| t <= self.now) {
                self.client.handle_timeout(self.now);
            }
            let mut any = false;
            let mut out = Vec::new();
            while let Some(t) =
                self.client.poll_transmit(self.now, 65_536, &mut out, &mut |id, c| self.sent.push((id, c)))
            {
                for datagram in out.chunks(t.segment_size.unwrap_or(out.len())) {
                    self.serve(datagram, t.ecn);
                }
                out.clear();
                any = true;
            }
            self.now = self.now.after(Duration::from_micros(500));
            if self.server.is_some() {
                let at = instant(self.now);
                if self.quinn().poll_timeout().is_some_and(|t| t <= at) {
                    self.quinn().handle_timeout(at);
                }
                self.drive();
                self.push();
                loop {
                    let mut buf = Vec::new();
                    let Some(t) = self.quinn().poll_transmit(at, 1, &mut buf) else { break };
                    let len = buf.len();
                    let ecn = t.ecn.map_or(0, |e| e as u8);
                    self.client.handle_datagrams(self.now, &mut buf, len, ecn, &mut self.seen);
                    any = true;
                }
            }
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
                any = true;
            }
            if !any {
                return;
            }
        }
        panic!("they never stop talking");
    }

    fn ask(&mut self, cookie: u32, request: &[u8]) -> StreamId {
        let id = self.client.open_bi(cookie).expect("room");
        self.client.write(id, Bytes::copy_from_slice(request), true);
        id
    }
}

#[test]
fn requests_are_answered() {
    let mut w = World::connected(Config::default(), |_| {});
    let handshake = w.client.handshake().unwrap();
    assert!(!handshake.resumed && w.client.certificate().is_some());
    for round in 0..50u32 {
        for n in 0..20 {
            w.ask(round * 20 + n, format!("request {n} of {round}").as_bytes());
        }
        w.run();
        assert_eq!((w.seen.data.len(), w.sent.len()), (20, 20));
        for (n, (id, (cookie, bytes, fin))) in std::mem::take(&mut w.seen.data).into_iter().enumerate() {
            assert_eq!(
                (id, cookie, fin),
                (u64::from(round * 20 + n as u32) * 4, round * 20 + n as u32, true)
            );
            assert_eq!(bytes, format!("request {n} of {round}").as_bytes());
        }
        w.sent.clear();
    }
    let stats = w.client.stats();
    assert!(stats.packets_lost == 0 && stats.packets_sent < 300, "{stats:?}");
}

#[test]
fn much_goes_both_ways() {
    for window in [3000, 100_000, 1 << 24] {
        let config = Config { stream_window: window, connection_window: window * 2, ..Config::default() };
        let mut w = World::connected(config, |t| {
            t.stream_receive_window(VarInt::from_u32(5000)).receive_window(VarInt::from_u32(20_000));
        });
        let body: Vec<u8> = (0..300_000u32).map(|n| (n * 7) as u8).collect();
        for n in 0..3 {
            let id = w.client.open_bi(n).unwrap();
            w.client.write(id, Bytes::from_static(b"head"), false);
            w.client.write(id, Bytes::copy_from_slice(&body), true);
        }
        w.run();
        assert_eq!((w.sent.len(), w.whole.len(), w.seen.data.len()), (3, 3, 3), "{:?}", w.client);
        for (_, bytes, fin) in w.seen.data.values() {
            assert!(*fin && bytes.starts_with(b"head") && bytes[4..] == body);
        }
    }
}

#[test]
fn what_the_owner_holds_is_not_sent_more_of() {
    let config = Config { stream_window: 10_000, connection_window: 1 << 20, ..Config::default() };
    let mut w = World::connected(config, |_| {});
    w.answer = |_| vec![1; 50_000];
    w.seen.hold = true;
    let id = w.ask(9, b"x");
    w.run();
    assert_eq!(w.seen.data[&id.0].1.len(), 10_000);
    w.client.consumed(id, 10_000);
    w.run();
    assert_eq!(w.seen.data[&id.0].1.len(), 20_000);
    w.seen.hold = false;
    w.client.consumed(id, 10_000);
    w.run();
    assert!(w.seen.data[&id.0].2 && w.seen.data[&id.0].1.len() == 50_000);
}

#[test]
fn streams_become_available() {
    let mut w = World::connected(Config::default(), |t| {
        t.max_concurrent_bidi_streams(VarInt::from_u32(3));
    });
    for round in 0..10 {
        assert_eq!(w.client.bi_available(), 3, "{round}");
        for n in 0..3 {
            w.ask(n, b"x");
        }
        assert_eq!(w.client.open_bi(0), None);
        w.events.clear();
        w.run();
        assert!(w.events.contains(&Event::StreamsAvailable));
    }
}

#[test]
fn both_sides_give_up_streams() {
    let mut w = World::connected(Config::default(), |_| {});
    let (one, two, three) =
        (w.client.open_bi(1).unwrap(), w.client.open_bi(2).unwrap(), w.client.open_bi(3).unwrap());
    for id in [one, two, three] {
        w.client.write(id, Bytes::from_static(b"begun"), false);
    }
    w.run();
    w.client.reset(one, 77);
    w.client.stop_sending(one, 78);
    let server = |id: StreamId| quinn_proto::StreamId::new(quinn_proto::Side::Client, Dir::Bi, id.index());
    w.quinn().send_stream(server(two)).reset(VarInt::from_u32(79)).unwrap();
    w.quinn().recv_stream(server(three)).stop(VarInt::from_u32(80)).unwrap();
    w.run();
    assert_eq!(w.seen.resets, [(two, 2, 79)]);
    assert_eq!(w.seen.stopped, [(three, 3, 80)]);
    let stats = w.quinn().stats();
    assert_eq!((stats.frame_rx.reset_stream, stats.frame_rx.stop_sending), (2, 1));
    w.ask(4, b"still there");
    w.run();
    assert!(w.seen.data.values().any(|d| d.0 == 4 && d.2));
}

#[test]
fn the_end_is_told() {
    let mut w = World::connected(Config::default(), |_| {});
    let now = instant(w.now);
    w.quinn().close(now, VarInt::from_u32(5), Bytes::from_static(b"enough"));
    w.run();
    let lost = Lost::ClosedByApplication { code: 5, reason: "enough".into() };
    assert_eq!(w.events.last(), Some(&Event::Lost(lost)));
    let mut w = World::connected(Config::default(), |_| {});
    w.client.close(w.now, 6, b"bye");
    w.run();
    assert!(w.quinn().is_closed() && w.client.poll_event().is_none());
}

#[test]
fn silence_ends_a_connection() {
    let config = Config { idle_timeout: Some(Duration::from_secs(3)), ..Config::default() };
    let mut w = World::connected(config, |_| {});
    while let Some(at) = w.client.poll_timeout() {
        assert!(at < w.now.after(Duration::from_secs(20)));
        w.client.handle_timeout(at);
        if let Some(event) = w.client.poll_event() {
            assert_eq!(event, Event::Lost(Lost::TimedOut));
            return;
        }
        let mut out = Vec::new();
        while w.client.poll_transmit(at, 65_536, &mut out, &mut |_, _| {}).is_some() {}
    }
    panic!("no end");
}
