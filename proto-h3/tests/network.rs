//! A simulated network with virtual time: loss, reordering, duplicates, delay, a path that shrinks, a NAT that forgets.
//! Whatever it does, every request ends exactly once (the recorder sees to that), and where the network is only bad and not
//! dead, with a whole response.
//!
//! `NETWORK_SEED` and `NETWORK_ROUNDS`: see `common/seeds.rs` of `proto-quic`.

#![allow(clippy::print_stdout)]

mod common;

use bytes::BytesMut;
use common::network::{Network, Side, Weather};
use common::*;
use proto::conformance::{Event, Recorder};
use proto::{ClientConn, CloseReason, Fault, Request, Time, Token, Want};
use proto_h3::{Config, Congestion, Connection, Input, Received};
use std::collections::BTreeMap;
use std::time::Duration;

fn random_weather(rng: &mut Rng) -> Weather {
    let soon = |rng: &mut Rng| Time::ZERO.after(Duration::from_millis(20 + rng.below(1500)));
    Weather {
        loss: rng.below(101),
        duplicate: rng.below(50),
        reorder: rng.below(200),
        corrupt: rng.below(20),
        delay: Duration::from_micros(100 + rng.below(40_000)),
        shrink: (rng.below(4) == 0).then(|| (soon(rng), 1200 + rng.below(100) as usize)),
        rebind: (rng.below(4) == 0).then(|| soon(rng)),
        dead: (rng.below(8) == 0).then(|| soon(rng)),
        ..Weather::default()
    }
}

struct World {
    client: Connection,
    server: Server,
    log: Recorder,
    network: Network,
    now: Time,
    rng: Rng,
    answered: Vec<u64>,
    bodies: BTreeMap<Token, usize>,
}

const REQUESTS: u64 = 60;
/// Where nothing happens for so long, a request hangs. Ten times the idle timeout: on a path that shrank, probes double
/// their distance until both sides have gone back to small datagrams.
const LONGEST: Duration = Duration::from_secs(300);

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let weather = random_weather(&mut rng);
        let config = Config {
            max_streams: [1, 4, 16][rng.below(3) as usize],
            congestion: [Congestion::Cubic, Congestion::Bbr, Congestion::NewReno][rng.below(3) as usize],
            stream_window_bits: [12, 16, 24][rng.below(3) as usize],
            connection_window_bits: [14, 20, 30][rng.below(3) as usize],
            initial_rtt: Duration::from_millis(1 + rng.below(300)),
            ..Config::default()
        };
        let window = [3000u32, 100_000][rng.below(2) as usize];
        let server = Server::with(|t| {
            t.stream_receive_window(window.into());
        });
        World {
            client: client(config, Time::ZERO),
            server,
            log: Recorder::default(),
            network: Network::new(weather, Rng::new(!seed)),
            now: Time::ZERO,
            rng,
            answered: Vec::new(),
            bodies: BTreeMap::new(),
        }
    }

    fn flush(&mut self) {
        let mut out = Vec::new();
        while let Some(t) = self.client.poll_transmit(self.now, 65_536, &mut out, &mut self.log) {
            for datagram in out.chunks(t.segment_size.unwrap_or(out.len())) {
                self.network.send(self.now, Side::Server, datagram, t.ecn);
            }
            out.clear();
        }
        for (bytes, ecn) in self.server.transmit(self.now) {
            self.network.send(self.now, Side::Client, &bytes, ecn);
        }
    }

    fn answer(&mut self) {
        let complete: Vec<(u64, String)> = self
            .server
            .requests
            .values()
            .filter(|a| a.complete && !a.fields.is_empty() && !self.answered.contains(&a.stream))
            .map(|a| (a.stream, a.field(":method").unwrap_or_default().to_owned()))
            .collect();
        for (stream, method) in complete {
            self.answered.push(stream);
            // The body's length follows from the stream, so that the client's side can be checked.
            let body = if method == "HEAD" { 0 } else { length_of(stream) };
            let bytes = cat(&[headers(&[(":status", "200")]), data(&vec![stream as u8; body])]);
            self.server.write(request_stream(stream), &bytes, true);
        }
    }

    /// Whatever happens next happens; false if nothing ever will.
    fn step(&mut self) -> bool {
        self.answer();
        self.flush();
        let timers = self.client.poll_timeout().into_iter().chain(self.server.quic.poll_timeout());
        let Some(next) = timers.chain(self.network.next_arrival()).min() else { return false };
        self.now = self.now.max(next);
        // Not before the handshake is confirmed (RFC 9000 section 9).
        if !self.answered.is_empty() && self.network.rebinds(self.now) {
            self.server.quic.remote = "127.0.0.1:50001".parse().unwrap();
        }
        let mut batch = Vec::new();
        while let Some((to, bytes, ecn)) = self.network.arrived(self.now) {
            match to {
                Side::Server => self.server.datagram(self.now, ecn, &bytes),
                Side::Client => {
                    let stride = bytes.len();
                    batch.push(Received { bytes: BytesMut::from(&bytes[..]), stride, ecn });
                }
            }
        }
        if !batch.is_empty() {
            self.client.handle_input(self.now, Input::Datagrams(&mut batch), &mut self.log);
        }
        if self.client.poll_timeout().is_some_and(|t| t <= self.now) {
            self.client.handle_timeout(self.now, &mut self.log);
        }
        true
    }

    fn run(&mut self) {
        let prepared: Vec<_> =
            templates().iter().enumerate().map(|(i, t)| Connection::prepare(i as u32, t)).collect();
        let (mut next, mut events, mut progress) = (0, 0, self.now);
        while !self.log.is_closed() && (next < REQUESTS || self.client.in_flight() > 0) {
            while next < REQUESTS && self.client.capacity() > 0 {
                let which = [0, 0, 1, 2, 3, 5][self.rng.below(6) as usize];
                let body =
                    if matches!(which, 2 | 3) { vec![1; self.rng.below(20_000) as usize] } else { vec![] };
                let want = Want { fields: true, body: self.rng.below(2) == 0 };
                let request =
                    Request { prepared: &prepared[which], values: &[b"1", b"1"], body: body.into(), want };
                self.client.submit(self.now, Token(next), request).expect("there was room");
                self.log.accept(Token(next), want);
                self.bodies.insert(Token(next), which);
                next += 1;
                if self.rng.below(30) == 0 {
                    self.client.cancel(self.now, Token(next - 1), &mut self.log);
                }
            }
            assert!(
                self.step(),
                "nothing will ever happen again, with {} in flight",
                self.client.in_flight()
            );
            if self.log.events.len() > events {
                (events, progress) = (self.log.events.len(), self.now);
            }
            assert!(
                self.now < progress.after(LONGEST),
                "{:?} hang in {:?}, {:?}",
                self.log.tokens(),
                self.network.weather,
                self.client.path()
            );
        }
    }
}

fn length_of(stream: u64) -> usize {
    [0, 1, 100, 1000, 30_000][stream as usize % 5]
}

/// What the weather did, so that a suite in which it never rains does not pass.
#[derive(Debug, Default)]
struct Seen {
    done: u64,
    lost: u64,
    rebound: u64,
    shrunk: u64,
    died: u64,
}

fn simulate(seed: u64, seen: &mut Seen) {
    let mut w = World::new(seed);
    let weather = w.network.weather;
    w.run();
    let count = |f: &dyn Fn(&Event) -> bool| w.log.events.iter().filter(|e| f(e)).count() as u64;
    let done = count(&|e| matches!(e, Event::Done(_)));
    let cancelled = count(&|e| matches!(e, Event::Failed(_, e, _) if e.kind == proto::Kind::Cancelled));
    // Where large datagrams vanish from one moment to the next, both sides see a long silence until they go back to small
    // ones, and may give up in it. Everything else must be survived.
    let hopeless = weather.dead.is_some() || weather.shrink.is_some();
    let closed = w.log.is_closed().then(|| w.log.events.last());
    if hopeless && let Some(closed) = closed {
        assert!(
            matches!(closed, Some(Event::Closed(CloseReason::Error(e))) if e.fault == Fault::Network),
            "{closed:?}"
        );
    } else {
        assert_eq!(done + cancelled, REQUESTS, "only bad, and yet {closed:?}: {weather:?}");
    }
    // Every response is whole: its body has the length that its stream says.
    let mut lengths: BTreeMap<Token, u64> = BTreeMap::new();
    for event in &w.log.events {
        match event {
            Event::Body(t, len, _) => *lengths.entry(*t).or_default() += len,
            Event::Done(t) if w.bodies[t] != 1 => {
                let len = lengths.get(t).copied().unwrap_or(0) as usize;
                assert!([0, 1, 100, 1000, 30_000].contains(&len), "{t:?} got {len} bytes");
            }
            _ => {}
        }
    }
    seen.done += done;
    seen.lost += w.client.path().map_or(0, |p| p.packets_lost);
    seen.rebound += u64::from(weather.rebind.is_some_and(|t| t <= w.now));
    seen.shrunk += u64::from(weather.shrink.is_some_and(|(t, _)| t <= w.now) && done + cancelled == REQUESTS);
    seen.died += u64::from(weather.dead.is_some() && w.log.is_closed());
    w.client.close(w.now, &mut w.log);
    assert!(w.log.is_closed() && w.client.in_flight() == 0);
}

#[test]
fn every_request_ends_exactly_once() {
    let usual = if cfg!(debug_assertions) { 60 } else { 1000 };
    let mut seen = Seen::default();
    let tried = seeds::run("NETWORK", usual, |seed| simulate(seed, &mut seen));
    println!("{seen:?}");
    if tried.is_some() {
        let all = [seen.lost, seen.rebound, seen.shrunk, seen.died, seen.done];
        assert!(all.iter().all(|n| *n > 0), "{seen:?}");
    }
}
