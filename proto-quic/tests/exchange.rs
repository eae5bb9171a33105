//! A client of ours and a server of `quinn_proto`, with nothing between them: the handshake, requests and responses, windows,
//! resets, uploads, the end.

mod common;

use bytes::Bytes;
use common::instant;
use common::quic::{Heard, Quic};
use common::quinn::server_config;
use common::world::crypto;
use proto::Time;
use proto_quic::{Config, Connection, Event, Lost, Receiver, StreamId};
use quinn_proto::{Dir, EndpointConfig, TransportConfig, VarInt};
use std::collections::BTreeMap;
use std::time::Duration;

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
    server: Quic,
    /// Requests whole at the server.
    requests: BTreeMap<u64, Vec<u8>>,
    whole: Vec<u64>,
    /// What is answered to a request of this many bytes.
    answer: fn(&[u8]) -> Vec<u8>,
    now: Time,
}

impl World {
    fn new(config: Config, adjust: impl FnOnce(&mut TransportConfig)) -> World {
        let config = Config { seed: Some([1; 32]), ..config };
        World {
            client: Connection::new(&config, crypto(), "peer.test", None, Time::ZERO).unwrap(),
            seen: Seen::default(),
            sent: Vec::new(),
            events: Vec::new(),
            server: Quic::new(server_config(), EndpointConfig::default(), adjust),
            requests: BTreeMap::new(),
            whole: Vec::new(),
            answer: |request| request.to_vec(),
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

    fn hear(&mut self) {
        while let Some(heard) = self.server.poll() {
            match heard {
                Heard::Data(id, bytes) => self.requests.entry(id.index()).or_default().extend(bytes),
                Heard::Fin(id) => {
                    self.whole.push(id.index());
                    let answer = (self.answer)(self.requests.entry(id.index()).or_default());
                    self.server.write(id, &answer, true);
                }
                Heard::Connected | Heard::Reset(..) | Heard::Stopped(..) => {}
            }
        }
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
                    self.server.datagram(self.now, t.ecn, datagram);
                    self.hear();
                }
                out.clear();
                any = true;
            }
            self.now = self.now.after(Duration::from_micros(500));
            self.server.fire(self.now);
            self.hear();
            for (mut bytes, ecn) in self.server.transmit(self.now) {
                let len = bytes.len();
                self.client.handle_datagrams(self.now, &mut bytes, len, ecn, &mut self.seen);
                any = true;
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
    w.server.conn().send_stream(server(two)).reset(VarInt::from_u32(79)).unwrap();
    w.server.conn().recv_stream(server(three)).stop(VarInt::from_u32(80)).unwrap();
    w.run();
    assert_eq!(w.seen.resets, [(two, 2, 79)]);
    assert_eq!(w.seen.stopped, [(three, 3, 80)]);
    let stats = w.server.conn().stats();
    assert_eq!((stats.frame_rx.reset_stream, stats.frame_rx.stop_sending), (2, 1));
    w.ask(4, b"still there");
    w.run();
    assert!(w.seen.data.values().any(|d| d.0 == 4 && d.2));
}

#[test]
fn the_end_is_told() {
    let mut w = World::connected(Config::default(), |_| {});
    let now = instant(w.now);
    w.server.conn().close(now, VarInt::from_u32(5), Bytes::from_static(b"enough"));
    w.run();
    let lost = Lost::ClosedByApplication { code: 5, reason: "enough".into() };
    assert_eq!(w.events.last(), Some(&Event::Lost(lost)));
    let mut w = World::connected(Config::default(), |_| {});
    w.client.close(w.now, 6, b"bye");
    w.run();
    assert!(w.server.conn().is_closed() && w.client.poll_event().is_none());
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
