//! A client, a scripted server, a clock, and nothing between them but a millisecond.

use super::scripted::{Params, Server};
use super::wire::{Frame, Level};
use super::{ALPN, client_tls, meter, millis, secs, server_tls};
use bytes::Bytes;
use proto::Time;
use proto_quic::crypto::Crypto;
use proto_quic::tls::Tls;
use proto_quic::{Config, Connection, Event, Lost, Receiver, StreamId};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How a stream ended, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Fin,
    Reset(u64),
}

/// What the owner of a connection is told, and whether it may be told that.
#[derive(Default)]
pub struct Log {
    pub cookies: BTreeMap<u64, u32>,
    pub data: BTreeMap<u64, Vec<u8>>,
    pub ends: BTreeMap<u64, End>,
    pub stopped: BTreeMap<u64, u64>,
    pub sent: Vec<u64>,
    pub events: Vec<Event>,
    /// Bytes are counted and not kept.
    pub counts_only: bool,
    /// Bytes are left for later and never consumed.
    pub hoards: bool,
    /// Cookies are not looked at.
    pub lenient: bool,
    pub received: u64,
}

impl Log {
    fn knows(&self, id: StreamId, cookie: u32) {
        let wanted = if id.is_client() { self.cookies.get(&id.0).copied() } else { Some(0) };
        assert!(self.lenient || wanted == Some(cookie), "the cookie {cookie} of {id:?}");
        assert!(!self.is_lost(), "{id:?} after the end");
    }
    pub fn is_lost(&self) -> bool {
        self.lost().is_some()
    }
    pub fn lost(&self) -> Option<&Lost> {
        self.events.iter().find_map(|e| match e {
            Event::Lost(lost) => Some(lost),
            _ => None,
        })
    }
    pub fn is_connected(&self) -> bool {
        self.events.contains(&Event::Connected)
    }
}

impl Receiver for Log {
    fn data(&mut self, id: StreamId, cookie: u32, bytes: &[u8], fin: bool) -> usize {
        meter::unmetered(|| self.take(id, cookie, bytes, fin))
    }
    fn reset(&mut self, id: StreamId, cookie: u32, code: u64) {
        self.knows(id, cookie);
        let before = meter::unmetered(|| self.ends.insert(id.0, End::Reset(code)));
        assert_eq!(before, None, "{id:?} ends twice");
    }
    fn stopped(&mut self, id: StreamId, cookie: u32, code: u64) {
        self.knows(id, cookie);
        let before = meter::unmetered(|| self.stopped.insert(id.0, code));
        assert_eq!(before, None, "{id:?} is stopped twice");
    }
}

impl Log {
    fn take(&mut self, id: StreamId, cookie: u32, bytes: &[u8], fin: bool) -> usize {
        self.knows(id, cookie);
        assert!(!self.ends.contains_key(&id.0), "{id:?} has ended and says more");
        assert!(!bytes.is_empty() || fin, "nothing is no data");
        self.received += bytes.len() as u64;
        let data = self.data.entry(id.0).or_default();
        if !self.counts_only {
            data.extend_from_slice(bytes);
        }
        if fin {
            self.ends.insert(id.0, End::Fin);
        }
        if self.hoards { 0 } else { bytes.len() }
    }
}

pub fn config() -> Config {
    Config { seed: Some([1; 32]), initial_rtt: millis(50), ..Config::default() }
}

pub fn crypto() -> &'static Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(|| Tls::new(Arc::new(client_tls(ALPN))).expect("it has the cipher"))
}

pub struct World {
    pub client: Connection,
    pub log: Log,
    pub server: Server,
    pub now: Time,
    /// How long each way takes.
    pub way: Duration,
    /// What the client sends does not arrive.
    pub deaf: bool,
    /// ECN bits of what the server sends.
    pub ecn: u8,
    /// Changes the ECN bits of what the client sends.
    pub remark: fn(u8) -> u8,
    /// The next cookie.
    pub cookie: u32,
    /// The narrowest congestion window that was seen.
    pub narrowest: u64,
}

impl World {
    pub fn new(config: &Config, server: Server) -> World {
        World::over(config, crypto(), server)
    }

    pub fn over(config: &Config, tls: &dyn Crypto, server: Server) -> World {
        let client = meter::metered(|| Connection::new(config, tls, "peer.test", None, Time::ZERO).unwrap());
        World {
            client,
            log: Log::default(),
            server,
            now: Time::ZERO,
            way: Duration::from_micros(500),
            deaf: false,
            ecn: 0,
            remark: |ecn| ecn,
            cookie: 7,
            narrowest: u64::MAX,
        }
    }

    /// With the handshake over and confirmed, and nothing on its way.
    pub fn connected(config: &Config, server: Server) -> World {
        let mut w = World::new(config, server);
        w.run();
        assert!(w.log.is_connected(), "{:?}, {:?}", w.log.events, w.server.tls_error);
        w.settle();
        w
    }

    /// A connection with the session of one that was there before, and with early data, which the server takes or refuses. Its
    /// parameters may be others than they were.
    pub fn resumed(config: &Config, take: bool, adjust: impl Fn(&mut Params) + 'static) -> World {
        let mut tls = client_tls(ALPN);
        tls.enable_early_data = true;
        tls.resumption = rustls::client::Resumption::in_memory_sessions(4);
        let tls = Tls::new(Arc::new(tls)).expect("it has the cipher");
        let sessions = rustls::server::ServerSessionMemoryCache::new(16);
        let server = |early| {
            let mut config = server_tls(ALPN, early);
            config.session_storage = sessions.clone();
            Arc::new(config)
        };
        let mut first = World::over(config, &tls, Server::over(server(true), |_| {}));
        first.run();
        first.settle();
        assert!(!first.client.has_early_data());
        first.exchange();
        World::over(config, &tls, Server::over(server(take), adjust))
    }

    /// What the client has to say goes out; returns the datagrams.
    pub fn spoken(&mut self) -> Vec<(Vec<u8>, u8)> {
        let mut all = Vec::new();
        for _ in 0..10_000 {
            // Room, so that what the test keeps is not counted as the client's.
            let mut out = Vec::with_capacity(65_536);
            let sent = &mut self.log.sent;
            let client = &mut self.client;
            let now = self.now;
            let t = meter::metered(|| {
                client.poll_transmit(now, 65_536, &mut out, &mut |id, _| meter::unmetered(|| sent.push(id.0)))
            });
            self.events();
            let Some(t) = t else {
                assert!(out.is_empty(), "bytes without a Transmit");
                return all;
            };
            assert!(!out.is_empty(), "a Transmit without bytes");
            let size = t.segment_size.unwrap_or(out.len());
            all.extend(out.chunks(size).map(|d| (d.to_vec(), t.ecn)));
        }
        panic!("the client never stops talking");
    }

    fn events(&mut self) {
        while let Some(event) = meter::metered(|| self.client.poll_event()) {
            assert!(!self.log.is_lost(), "{event:?} after the end");
            self.log.events.push(event);
        }
    }

    /// What the client has to say goes to the server.
    pub fn flush(&mut self) -> bool {
        let spoken = self.spoken();
        for (datagram, ecn) in &spoken {
            if !self.deaf {
                self.server.datagram(self.now, (self.remark)(*ecn), datagram);
            }
        }
        !spoken.is_empty()
    }

    /// One datagram comes to the client.
    pub fn deliver(&mut self, datagram: &[u8], ecn: u8) {
        let mut bytes = datagram.to_vec();
        let (client, log, now) = (&mut self.client, &mut self.log, self.now);
        let stride = bytes.len();
        meter::metered(|| client.handle_datagrams(now, &mut bytes, stride, ecn, log));
        self.narrowest = self.narrowest.min(self.client.stats().congestion_window);
        self.events();
    }

    /// All that the server has to say comes to the client, each datagram for itself.
    pub fn answer(&mut self) -> bool {
        let said = self.server.flush();
        for (datagram, _) in &said {
            self.deliver(datagram, self.ecn);
        }
        !said.is_empty()
    }

    /// Everything on its way arrives, until nobody has anything to say without a timer.
    pub fn run(&mut self) {
        for _ in 0..20_000 {
            self.now = self.now.after(self.way);
            self.fire();
            let mut any = self.flush();
            self.now = self.now.after(self.way);
            any |= self.answer();
            if !any {
                return;
            }
        }
        panic!("they never stop talking");
    }

    /// Timers that are due.
    pub fn fire(&mut self) {
        if self.client.poll_timeout().is_some_and(|t| t <= self.now) {
            let (client, now) = (&mut self.client, self.now);
            meter::metered(|| client.handle_timeout(now));
            self.events();
        }
    }

    /// Time passes: timers fire, what they cause is exchanged.
    pub fn wait(&mut self, by: Duration) {
        let end = self.now.after(by);
        let mut fired = 0;
        while let Some(at) = self.client.poll_timeout().filter(|t| *t <= end) {
            self.now = self.now.max(at);
            self.fire();
            self.flush();
            let next = self.client.poll_timeout();
            assert!(
                next.is_none_or(|t| t > self.now),
                "a timer that does not move: {next:?} at {:?}",
                self.now
            );
            self.run();
            fired += 1;
            assert!(fired < 10_000, "timers spin");
        }
        self.now = self.now.max(end);
    }

    /// Delayed acknowledgements and path probes are over.
    pub fn settle(&mut self) {
        self.run();
        self.wait(millis(500));
    }

    /// A stream of the client with these bytes on it.
    pub fn open(&mut self, bytes: &[u8], fin: bool) -> u64 {
        self.try_open(bytes, fin).expect("the server allows streams")
    }

    /// The same where that may not be.
    pub fn try_open(&mut self, bytes: &[u8], fin: bool) -> Option<u64> {
        self.cookie += 1;
        let cookie = self.cookie;
        let id = meter::metered(|| self.client.open_bi(cookie))?;
        self.log.cookies.insert(id.0, cookie);
        self.write(id.0, bytes, fin);
        Some(id.0)
    }

    pub fn write(&mut self, id: u64, bytes: &[u8], fin: bool) {
        let client = &mut self.client;
        meter::metered(|| client.write(StreamId(id), Bytes::copy_from_slice(bytes), fin));
    }

    /// A request and its response: whether the connection works.
    pub fn exchange(&mut self) {
        let id = self.open(b"request", true);
        self.run();
        self.settle();
        let came = self.server.streams.get(&id).and_then(|s| s.whole());
        assert_eq!(came.as_deref(), Some(&b"request"[..]), "stream {id}; {:?}", self.log.events);
        self.server.tell(&[Frame::stream(id, 0, b"response", true)]);
        self.run();
        assert_eq!(
            self.log.data.get(&id).map(Vec::as_slice),
            Some(&b"response"[..]),
            "{:?}",
            self.log.events
        );
        assert_eq!(self.log.ends.get(&id), Some(&End::Fin));
    }

    /// Packets of the client since there were `before`.
    pub fn since(&self, before: usize) -> &[super::scripted::Seen] {
        &self.server.seen[before..]
    }

    /// The server says this in a 1-RTT packet and everything arrives.
    pub fn tell(&mut self, frames: &[Frame]) {
        self.server.tell(frames);
        self.run();
    }

    /// The same at another level.
    pub fn say(&mut self, level: Level, frames: &[Frame]) {
        self.server.say(level, frames);
        self.run();
    }
}

/// The client has said its first word; the server says nothing by itself.
pub fn greeted() -> World {
    let mut w = World::new(&config(), Server::new());
    w.server.answers = false;
    w.server.acks = false;
    w.flush();
    w
}

/// The server does what it is there for, and everything works.
pub fn proceeds(w: &mut World) {
    w.server.answers = true;
    w.server.acks = true;
    w.run();
    w.wait(secs(2));
    assert!(w.log.is_connected(), "{:?} {:?}", w.log.events, w.server.tls_error);
    w.exchange();
    assert_eq!(w.server.closed(), None);
}

pub fn connected() -> World {
    World::connected(&config(), Server::new())
}

/// After the end nothing is said and no timer runs.
pub fn is_silent(w: &mut World) {
    let before = w.server.datagrams;
    for _ in 0..10 {
        w.server.push(&[0x41; 100]);
    }
    w.run();
    w.wait(secs(300));
    assert_eq!(w.server.datagrams, before, "it talks after its end");
    assert_eq!(w.client.poll_timeout(), None);
}
