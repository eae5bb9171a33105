//! A simulated network with virtual time between the client and a server that is nobody's work here: loss, reordering, duplicates,
//! delay, corruption, marks, a path that shrinks, a NAT that forgets. Whatever it does, every stream ends exactly once; where the
//! network is only bad and not dead, with all its bytes in both directions.
//!
//! `NETWORK_SEED` and `NETWORK_ROUNDS`: see `common/seeds.rs`.

#![allow(clippy::print_stdout)]

mod common;

use common::network::{Fate, Network, Side, Weather};
use common::quinn::{Server, pattern, request, server_config};
use common::world::crypto;
use common::*;
use proto::Time;
use proto_quic::{Config, Congestion, Connection, Event, Lost, Receiver, StreamId};
use quinn_proto::{Dir, EndpointConfig, HashedConnectionIdGenerator, RandomConnectionIdGenerator, VarInt};
use std::collections::BTreeMap;
use std::time::Duration;

fn random_weather(rng: &mut Rng) -> Weather {
    let soon = |rng: &mut Rng| Time::ZERO.after(millis(20 + rng.below(1500)));
    let bad = rng.below(4) != 0;
    let upto = |rng: &mut Rng, n| if bad { rng.below(n) } else { 0 };
    Weather {
        loss: upto(rng, 101),
        duplicate: upto(rng, 50),
        reorder: upto(rng, 200),
        corrupt: upto(rng, 20),
        mark: if rng.below(3) == 0 { rng.below(50) } else { 0 },
        bleach: rng.below(6) == 0,
        delay: Duration::from_micros(100 + rng.below(40_000)),
        rate: (rng.below(4) == 0).then(|| (200_000 + rng.below(2_000_000), 20_000 + rng.below(100_000))),
        shrink: (rng.below(4) == 0).then(|| (soon(rng), 1200 + rng.below(100) as usize)),
        rebind: (rng.below(4) == 0).then(|| soon(rng)),
        dead: (rng.below(10) == 0).then(|| soon(rng)),
    }
}

/// What the owner of the client is told: bytes are checked where they come.
#[derive(Default)]
struct Owner {
    cookies: BTreeMap<u64, u32>,
    lengths: BTreeMap<u64, u64>,
    /// `None`: with all its bytes; a code: by a reset.
    ends: BTreeMap<u64, Option<u64>>,
    sent: BTreeMap<u64, u32>,
    stopped: BTreeMap<u64, u64>,
    connected: bool,
    lost: Option<Lost>,
    progress: u64,
}

impl Receiver for Owner {
    fn data(&mut self, id: StreamId, cookie: u32, bytes: &[u8], fin: bool) -> usize {
        assert_eq!(cookie, self.cookies.get(&id.0).copied().unwrap_or(0));
        assert!(!self.ends.contains_key(&id.0), "{id:?} has ended");
        let len = self.lengths.entry(id.0).or_default();
        for byte in bytes {
            assert_eq!(*byte, pattern(id.0, *len), "{id:?} at {len}");
            *len += 1;
        }
        if fin {
            self.ends.insert(id.0, None);
        }
        self.progress += 1;
        bytes.len()
    }
    fn reset(&mut self, id: StreamId, _: u32, code: u64) {
        assert_eq!(self.ends.insert(id.0, Some(code)), None, "{id:?} ends twice");
        self.progress += 1;
    }
    fn stopped(&mut self, id: StreamId, _: u32, code: u64) {
        assert_eq!(self.stopped.insert(id.0, code), None, "{id:?} is stopped twice");
    }
}

struct Ask {
    upload: u64,
    response: u64,
    given_up: bool,
}

struct World {
    client: Connection,
    server: Server,
    owner: Owner,
    network: Network,
    now: Time,
    rng: Rng,
    asks: BTreeMap<u64, Ask>,
    /// Still to be opened: upload and response.
    plan: Vec<(u64, u64)>,
    /// Unidirectional streams of the server, with their length.
    pushed: BTreeMap<u64, u64>,
    to_push: u64,
}

/// Where nothing happens for so long, a stream hangs. Probes double their distance on a path that shrank until both sides have
/// gone back to small datagrams.
const LONGEST: Duration = Duration::from_secs(400);

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let weather = random_weather(&mut rng);
        let idle = weather.dead.map(|_| secs(30));
        let config = Config {
            // Large bodies through small windows only cost time.
            stream_window: [5_000, 70_000, 1 << 24]
                [if seed.is_multiple_of(8) { 1 } else { rng.below(3) as usize }],
            connection_window: [20_000, 1 << 20, 1 << 30][rng.below(3) as usize],
            uni_streams: 2 + rng.below(3),
            congestion: [Congestion::Cubic, Congestion::Bbr, Congestion::NewReno][rng.below(3) as usize],
            initial_rtt: millis(1 + rng.below(300)),
            segments: [1, 8, 64][rng.below(3) as usize],
            idle_timeout: idle,
            seed: Some([seed as u8; 32]),
            ..Config::default()
        };
        let (window, streams) =
            ([3000u32, 100_000, 10_000_000][rng.below(3) as usize], 1 + rng.below(20) as u32);
        let mut endpoint = EndpointConfig::default();
        match rng.below(3) {
            0 => drop(endpoint.cid_generator(|| Box::new(HashedConnectionIdGenerator::from_key(7)))),
            1 => drop(endpoint.cid_generator(|| {
                let mut ids = RandomConnectionIdGenerator::new(8);
                ids.set_lifetime(secs(1));
                Box::new(ids)
            })),
            _ => {}
        }
        let mut server = Server::made(server_config(), endpoint, |t| {
            t.stream_receive_window(window.into())
                .receive_window(VarInt::from_u32(2 * window))
                .max_concurrent_bidi_streams(streams.into())
                .max_idle_timeout(idle.map(|i| i.try_into().unwrap()));
        });
        server.quic.retry = rng.below(6) == 0;
        let plan = match seed % 8 {
            0 => vec![(1_000_000, 100), (100, 1_000_000)],
            4 => vec![(100_000, 300_000), (300_000, 100_000), (0, 0)],
            _ => (0..15)
                .map(|_| (rng.below(3) * rng.below(10_000), rng.below(3) * rng.below(20_000)))
                .collect(),
        };
        let client = Connection::new(&config, crypto(), "peer.test", None, Time::ZERO).unwrap();
        World {
            client,
            server,
            owner: Owner::default(),
            network: Network::new(weather, Rng::new(!seed)),
            now: Time::ZERO,
            rng,
            asks: BTreeMap::new(),
            plan,
            pushed: BTreeMap::new(),
            to_push: 5,
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            assert_eq!(self.owner.lost, None, "{event:?} after the end");
            match event {
                Event::Connected => self.owner.connected = true,
                Event::StreamsAvailable => {}
                Event::Lost(lost) => self.owner.lost = Some(lost),
            }
        }
    }

    fn flush(&mut self) {
        let mut out = Vec::new();
        loop {
            let sent = &mut self.owner.sent;
            let told = &mut |id: StreamId, _| *sent.entry(id.0).or_default() += 1;
            let Some(t) = self.client.poll_transmit(self.now, 65_536, &mut out, told) else { break };
            for datagram in out.chunks(t.segment_size.unwrap_or(out.len())) {
                self.network.send(self.now, Side::Server, datagram, t.ecn);
            }
            out.clear();
        }
        self.events();
        for (bytes, ecn) in self.server.transmit(self.now) {
            self.network.send(self.now, Side::Client, &bytes, ecn);
        }
    }

    /// Streams are opened as far as the server lets us, and the server's too.
    fn ask(&mut self) {
        while (self.owner.connected || self.client.has_early_data()) && self.client.bi_available() > 0 {
            let Some((upload, response)) = self.plan.pop() else { break };
            let cookie = 100 + self.plan.len() as u32;
            let id = self.client.open_bi(cookie).expect("one was available");
            self.owner.cookies.insert(id.0, cookie);
            let bytes = request(id.0, response, upload);
            // In pieces, as an owner has them.
            let at = self.rng.below(bytes.len() as u64) as usize;
            self.client.write(id, bytes[..at].to_vec().into(), false);
            self.client.write(id, bytes[at..].to_vec().into(), true);
            let given_up = self.rng.below(20) == 0;
            self.asks.insert(id.0, Ask { upload, response, given_up });
            if given_up {
                self.client.reset(id, 5);
                self.client.stop_sending(id, 6);
            }
        }
        while self.server.connected && self.to_push > 0 && self.server.quic.lost.is_none() {
            let Some(id) = self.server.quic.conn().streams().open(Dir::Uni) else { break };
            let len = 1 + 7000 * self.to_push;
            self.to_push -= 1;
            self.pushed.insert(id.into(), len);
            self.server.write(id, len);
        }
    }

    /// Whatever happens next happens; false if nothing ever will.
    fn step(&mut self) -> bool {
        self.ask();
        self.flush();
        let timers = self.client.poll_timeout().into_iter().chain(self.server.quic.poll_timeout());
        let Some(next) = timers.chain(self.network.next_arrival()).min() else { return false };
        self.now = self.now.max(next);
        // Not before the handshake is confirmed (RFC 9000 section 9).
        if self.owner.ends.len() > 1 && self.network.rebinds(self.now) {
            self.server.quic.remote = "127.0.0.1:50001".parse().unwrap();
        }
        while let Some((to, mut bytes, ecn)) = self.network.arrived(self.now) {
            match to {
                Side::Server => self.server.datagram(self.now, ecn, &bytes),
                Side::Client => {
                    let stride = bytes.len();
                    self.client.handle_datagrams(self.now, &mut bytes, stride, ecn, &mut self.owner);
                    self.events();
                }
            }
        }
        if self.client.poll_timeout().is_some_and(|t| t <= self.now) {
            self.client.handle_timeout(self.now);
            self.events();
            self.flush();
            let next = self.client.poll_timeout();
            assert!(next.is_none_or(|t| t > self.now), "a timer that does not move: {next:?}");
        }
        true
    }

    /// Whether there is nothing more to wait for.
    fn is_done(&self) -> bool {
        let whole = |(id, ask): (&u64, &Ask)| {
            ask.given_up || self.owner.ends.contains_key(id) && self.server.whole.contains_key(id)
        };
        self.plan.is_empty()
            && self.to_push == 0
            && self.asks.iter().all(whole)
            && self.pushed.keys().all(|id| self.owner.ends.contains_key(id))
    }

    fn run(&mut self) {
        let (mut seen, mut progress, mut steps) = ((0, 0, 0), self.now, 0);
        while self.owner.lost.is_none() && !self.is_done() {
            assert!(self.step(), "nothing will ever happen again");
            steps += 1;
            assert!(steps < 500_000, "they never stop talking: {:?}", self.client.stats());
            let now = (self.owner.progress, self.server.whole.len(), self.client.stats().packets_lost);
            if now != seen {
                (seen, progress) = (now, self.now);
            }
            let hangs: Vec<_> = self.asks.keys().filter(|id| !self.owner.ends.contains_key(id)).collect();
            assert!(
                self.now < progress.after(LONGEST),
                "{hangs:?} hang{} in {:?}, {:?}, {:?}",
                if self.owner.connected { "" } else { ", the handshake, too," },
                self.network.weather,
                self.client.stats(),
                self.server.quic.lost
            );
        }
    }
}

/// What the weather did, so that a suite in which it never rains does not pass.
#[derive(Debug, Default)]
struct Seen {
    streams: u64,
    given_up: u64,
    lost: u64,
    rebound: u64,
    shrunk: u64,
    died: u64,
    marked: u64,
}

fn simulate(seed: u64, seen: &mut Seen) {
    let mut w = World::new(seed);
    let weather = w.network.weather;
    w.run();
    match &w.owner.lost {
        Some(lost) => {
            assert!(
                weather.dead.is_some(),
                "only bad, and yet {lost:?}: {weather:?} {:?}",
                w.server.quic.lost
            );
            assert_eq!(*lost, Lost::TimedOut);
            seen.died += 1;
        }
        None => {
            for (id, ask) in &w.asks {
                if ask.given_up {
                    seen.given_up += 1;
                    continue;
                }
                assert_eq!(w.owner.ends[id], None, "stream {id}");
                assert_eq!(w.owner.lengths.get(id).copied().unwrap_or(0), ask.response, "stream {id}");
                assert_eq!(w.server.whole[id], ask.upload + 8, "stream {id}");
                assert_eq!(w.owner.sent.get(id), Some(&1), "stream {id}: sent is told once");
                seen.streams += 1;
            }
            for (id, len) in &w.pushed {
                assert_eq!((w.owner.ends[id], w.owner.lengths[id]), (None, *len), "stream {id}");
            }
            seen.rebound += u64::from(weather.rebind.is_some() && w.network.weather.rebind.is_none());
            seen.shrunk += u64::from(weather.shrink.is_some_and(|(t, _)| t <= w.now));
            seen.marked += u64::from(weather.mark > 0 && !weather.bleach);
        }
    }
    seen.lost += w.client.stats().packets_lost;
    // The end is known to both, unless the network is not there for it.
    w.client.close(w.now, 7, b"");
    w.network.weather = Weather { delay: weather.delay, ..Weather::default() };
    w.network.clear();
    for _ in 0..1000 {
        if !w.step() {
            break;
        }
    }
    assert!(!w.server.quic.is_begun() || w.server.quic.lost.is_some());
    assert_eq!(w.client.poll_timeout(), None, "a timer after the end");
}

/// Half of the seeds each, so that they run side by side.
fn half(which: u64) {
    let usual = if cfg!(debug_assertions) { 208 } else { 2000 };
    let mut seen = Seen::default();
    let tried = seeds::run("NETWORK", usual, |seed| {
        if seed % 2 == which {
            simulate(seed, &mut seen);
        }
    });
    println!("{seen:?}");
    if tried.is_some() {
        let all = [seen.streams, seen.given_up, seen.lost, seen.rebound, seen.shrunk, seen.died, seen.marked];
        assert!(all.iter().all(|n| *n > 0), "{seen:?}");
    }
}

#[test]
fn every_stream_ends_exactly_once() {
    half(0);
}

#[test]
fn every_stream_ends_exactly_once_of_other_seeds() {
    half(1);
}

/// A network that is good but for what a test says.
fn good(config: Config, server: Server) -> World {
    let mut w = World::new(1);
    w.client =
        Connection::new(&Config { seed: Some([3; 32]), ..config }, crypto(), "peer.test", None, Time::ZERO)
            .unwrap();
    w.server = server;
    w.network.weather = Weather { delay: millis(10), ..Weather::default() };
    w
}

/// Of each datagram in turn: nothing of the handshake or of the first streams hangs on one of them.
#[test]
fn any_single_datagram_may_be_lost() {
    for fate in [Fate::Lost, Fate::Twice, Fate::Late] {
        for number in 1..50 {
            for retry in [false, true] {
                let mut w =
                    good(Config { initial_rtt: millis(40), ..Config::default() }, Server::with(|_| {}));
                w.server.quic.retry = retry;
                w.plan = vec![(10_000, 20_000), (0, 0), (5, 5)];
                w.network.fate = Some((number, fate));
                w.run();
                assert_eq!(w.owner.lost, None, "{fate:?} {number}");
                let whole = |(id, ask): (&u64, &Ask)| {
                    ask.given_up || w.owner.lengths.get(id).copied().unwrap_or(0) == ask.response
                };
                assert!(w.asks.iter().all(whole), "{fate:?} {number}");
                assert!(w.now < Time::ZERO.after(secs(2)), "{fate:?} {number}: it took {:?}", w.now);
            }
        }
    }
}

/// As a load generator uses it: thousands of small streams at once, many of them in each datagram.
#[test]
fn thousands_of_streams_at_once() {
    for loss in [0, 20] {
        let streams = |t: &mut quinn_proto::TransportConfig| {
            t.max_concurrent_bidi_streams(2048u32.into());
        };
        let mut w = good(Config { initial_rtt: millis(20), ..Config::default() }, Server::with(streams));
        w.network.weather.loss = loss;
        w.network.weather.reorder = 5 * loss;
        w.plan = vec![(20, 100); 6000];
        w.run();
        assert_eq!(w.owner.lost, None);
        let whole = |(id, ask): (&u64, &Ask)| ask.given_up || w.owner.lengths.get(id) == Some(&ask.response);
        assert!(w.asks.len() == 6000 && w.asks.iter().all(whole));
        let path = w.client.stats();
        assert!(path.datagrams_sent < 3000, "{path:?}");
    }
}

/// The same with early data (RFC 9001 section 4.6), which the server takes.
#[test]
fn any_single_datagram_of_early_data_may_be_lost() {
    let mut tls = client_tls(ALPN);
    tls.enable_early_data = true;
    tls.resumption = rustls::client::Resumption::in_memory_sessions(64);
    let tls = proto_quic::tls::Tls::new(std::sync::Arc::new(tls)).unwrap();
    let config = Config { initial_rtt: millis(40), ..Config::default() };
    let resumed = |fate| {
        let mut w = good(config.clone(), Server::with(|_| {}));
        w.client = Connection::new(&config, &tls, "peer.test", None, Time::ZERO).unwrap();
        w.plan = vec![(5000, 20_000), (0, 0), (5, 5)];
        w.network.fate = fate;
        let early = w.client.has_early_data();
        w.run();
        assert_eq!((w.owner.lost.as_ref(), w.owner.connected), (None, true), "{fate:?}");
        let len = |id| w.owner.lengths.get(id).copied().unwrap_or(0);
        assert!(w.asks.iter().all(|(id, ask)| ask.given_up || len(id) == ask.response), "{fate:?}");
        assert_eq!(early, w.client.early_data_accepted(), "{fate:?}");
        assert!(w.now < Time::ZERO.after(secs(2)), "{fate:?}: it took {:?}", w.now);
        // Tickets come after that.
        for _ in 0..20 {
            w.step();
        }
        early
    };
    assert!(!resumed(None));
    for fate in [Fate::Lost, Fate::Twice, Fate::Late] {
        let early = (1..40).filter(|number| resumed(Some((*number, fate)))).count();
        assert!(early > 20, "{fate:?}: early data {early} times");
    }
}

/// The server may send three times what it got: the client's probes must set it free, whatever is lost.
#[test]
fn a_certificate_of_many_packets() {
    let (server_config, client_config) = large_tls();
    let server_config =
        std::sync::Arc::new(quinn_proto::crypto::rustls::QuicServerConfig::try_from(server_config).unwrap());
    let tls = proto_quic::tls::Tls::new(std::sync::Arc::new(client_config)).unwrap();
    for number in 0..30 {
        let server_config = quinn_proto::ServerConfig::with_crypto(server_config.clone());
        let config = Config { initial_rtt: millis(40), ..Config::default() };
        let mut w = good(config.clone(), Server::made(server_config, EndpointConfig::default(), |_| {}));
        w.client = Connection::new(&config, &tls, "peer.test", None, Time::ZERO).unwrap();
        w.plan = vec![(10, 10)];
        w.network.fate = Some((number, Fate::Lost));
        w.run();
        assert!(w.owner.lost.is_none() && w.owner.connected, "{number}: {:?}", w.owner.lost);
        assert!(w.now < Time::ZERO.after(secs(3)), "{number}: it took {:?}", w.now);
    }
}

/// Figures that a good transport has on a good network: nothing is lost where nothing is lost.
#[test]
fn nothing_is_lost_on_a_good_network() {
    for congestion in [Congestion::Cubic, Congestion::NewReno, Congestion::Bbr] {
        let mut w = good(Config { congestion, ..Config::default() }, Server::with(|_| {}));
        w.plan = vec![(1_000_000, 1_000_000); 3];
        w.run();
        let path = w.client.stats();
        assert_eq!(path.packets_lost, 0, "{congestion:?}: {path:?}");
        assert!(path.datagrams_sent < 8000, "{congestion:?}: {path:?}");
        assert!(path.rtt_min_ns >= 20_000_000, "{path:?}");
        assert!(w.now < Time::ZERO.after(secs(10)), "{congestion:?}: {:?}", w.now);
    }
}
