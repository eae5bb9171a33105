//! The conformance suite: the promises of the crate's front page, checked against any [`ClientConn`].
//!
//! Behind the feature `conformance`, for the tests of the protocol crates. A protocol brings a [`Fixture`]: how a
//! connection is made and fed, and a simulated [`Peer`] that understands what the connection sends and says what the
//! suite asks for in the protocol's own bytes. [`run`] does the rest; it names the seed when a promise is broken, and
//! `CONFORMANCE_SEED=n` repeats that one alone; `CONFORMANCE_ROUNDS=n` tries other than the usual number.

use crate::{
    ClientConn, CloseReason, Error, Field, Fields, Framing, Kind, Piece, Refused, Request, Scheme, Sink,
    Template, Text, Time, Token, Want,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a protocol is put to the test.
pub trait Fixture {
    /// The implementation.
    type Conn: ClientConn;
    /// The other end of one connection.
    type Peer: Peer<<Self::Conn as ClientConn>::Transmit>;
    /// A byte stream may be cut and joined anywhere; of datagrams each is whole.
    const STREAM: bool = true;
    /// Whether [`Fixture::skipped`] works.
    const CAN_SKIP: bool = false;

    /// A fresh connection that shall take up to `depth` requests at once, and its peer. The same depth always gives the
    /// same pair: the suite replays what the peer said to another connection.
    fn connect(&mut self, depth: u32) -> (Self::Conn, Self::Peer);
    /// Input arrives.
    fn bytes(conn: &mut Self::Conn, now: Time, piece: &[u8], sink: &mut Recorder);
    /// Body bytes arrived and were thrown away.
    fn skipped(_conn: &mut Self::Conn, _now: Time, _n: u64, _sink: &mut Recorder) {
        unreachable!("CAN_SKIP is false");
    }
    /// The peer will send nothing more.
    fn eof(conn: &mut Self::Conn, now: Time, sink: &mut Recorder);
}

/// A simulated server at the other end of one connection. What it says goes to `out`, one element for each datagram;
/// byte streams are joined.
pub trait Peer<T> {
    /// The connection sent this.
    fn receive(&mut self, now: Time, transmit: T, bytes: &[u8]);
    /// What it says unasked: its settings, acknowledgements.
    fn speak(&mut self, _now: Time, _out: &mut Vec<Vec<u8>>) {}
    /// Answers the oldest request not yet answered, if it has come completely (if `answer.early`, its head is enough).
    /// Returns whether there was one.
    fn answer(&mut self, now: Time, answer: &Answer, out: &mut Vec<Vec<u8>>) -> bool;
    /// Says something that breaks the rules, or that looks like it.
    fn garbage(&mut self, now: Time, rng: &mut Rng, out: &mut Vec<Vec<u8>>);
}

/// What a peer shall answer. A peer leaves out what its protocol or the request's method does not permit.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The final status.
    pub status: u16,
    /// Whether a `103` goes before it.
    pub informational: bool,
    /// Content.
    pub body: Vec<u8>,
    /// Whether trailers follow it.
    pub trailers: bool,
    /// The peer goes away after it (`connection: close`, `GOAWAY`).
    pub last: bool,
    /// It may come before the request is complete.
    pub early: bool,
    /// Chooses among the ways to write it: framing, padding, frame sizes.
    pub style: u64,
}

impl Answer {
    /// A random one.
    pub fn random(rng: &mut Rng) -> Answer {
        let status = [200, 200, 200, 201, 204, 302, 304, 404, 503][rng.below(9) as usize];
        let len = [0, 1, 2, 17, 100, 1000][rng.below(6) as usize];
        Answer {
            status,
            informational: rng.one_in(4),
            body: (0..len).map(|_| rng.below(256) as u8).collect(),
            trailers: rng.one_in(3),
            last: rng.one_in(8),
            early: rng.one_in(3),
            style: rng.next(),
        }
    }
}

/// Numbers for the suite and its peers: splitmix64.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }
    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Less than `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }
    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// An event, kept. Names of fields in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is documented where it comes from: Sink")]
pub enum Event {
    Ready,
    Sent(Token),
    Informational(Token, u16),
    Head(Token, u16, Vec<(String, Vec<u8>)>),
    /// Adjacent pieces are one: how a body is cut into pieces is nobody's business. The bytes only where wanted.
    Body(Token, u64, Vec<u8>),
    Trailers(Token, Vec<(String, Vec<u8>)>),
    Done(Token),
    Failed(Token, Error, bool),
    Draining,
    Closed(CloseReason),
}

#[derive(Clone, Copy, Debug)]
struct Open {
    want: Want,
    head: bool,
    sent: bool,
    trailers: bool,
}

/// A sink that keeps every event and panics at once where their order breaks a promise.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What happened.
    pub events: Vec<Event>,
    open: BTreeMap<Token, Open>,
    accepted: u64,
    done: u64,
    failed: u64,
    draining: bool,
    closed: bool,
}

impl Recorder {
    /// The connection accepted this request.
    pub fn accept(&mut self, token: Token, want: Want) {
        assert!(!self.closed && !self.draining, "a request was accepted after draining or closed");
        let open = Open { want, head: false, sent: false, trailers: false };
        assert!(self.open.insert(token, open).is_none(), "{token:?} used twice");
        self.accepted += 1;
    }
    /// Requests accepted and not ended.
    pub fn in_flight(&self) -> u32 {
        self.open.len() as u32
    }
    /// Whether [`Sink::closed`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
    /// Whether [`Sink::draining`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining
    }
    /// The requests in flight, in order of their tokens.
    pub fn tokens(&self) -> Vec<Token> {
        self.open.keys().copied().collect()
    }

    fn token(&mut self, token: Token) -> &mut Open {
        assert!(!self.closed, "an event of {token:?} after closed");
        self.open.get_mut(&token).unwrap_or_else(|| panic!("an event of {token:?}, which is not in flight"))
    }
}

fn keep(fields: &dyn Fields) -> Vec<(String, Vec<u8>)> {
    let mut kept = Vec::new();
    fields.each(&mut |name, value| {
        kept.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
    });
    assert_eq!(kept.len(), fields.count(), "Fields::count differs from Fields::each");
    kept
}

impl Sink for Recorder {
    fn ready(&mut self) {
        assert!(!self.closed, "ready after closed");
        self.events.push(Event::Ready);
    }
    fn sent(&mut self, token: Token) {
        let open = self.token(token);
        assert!(!std::mem::replace(&mut open.sent, true), "{token:?} sent twice");
        self.events.push(Event::Sent(token));
    }
    fn informational(&mut self, token: Token, status: u16) {
        assert!(!self.token(token).head, "an interim response of {token:?} after its final one");
        assert!((100..200).contains(&status), "an interim response with status {status}");
        self.events.push(Event::Informational(token, status));
    }
    fn head(&mut self, token: Token, status: u16, fields: &dyn Fields) {
        let open = self.token(token);
        assert!(!std::mem::replace(&mut open.head, true), "{token:?} got two heads");
        let wanted = open.want.fields;
        let fields = keep(fields);
        assert!(wanted || fields.is_empty(), "{token:?} got fields that nobody wanted");
        self.events.push(Event::Head(token, status, fields));
    }
    fn body(&mut self, token: Token, len: u64, bytes: &[u8]) {
        let open = *self.token(token);
        assert!(open.head && !open.trailers, "a body of {token:?} before its head or after its trailers");
        assert!(len > 0, "an empty piece of a body");
        assert!(bytes.is_empty() || bytes.len() as u64 == len, "a piece of a body with a wrong length");
        assert!(!open.want.body || !bytes.is_empty(), "{token:?} wanted its body and got a count");
        let bytes = if open.want.body { bytes } else { &[] };
        match self.events.last_mut() {
            Some(Event::Body(last, sum, kept)) if *last == token => {
                *sum += len;
                kept.extend_from_slice(bytes);
            }
            _ => self.events.push(Event::Body(token, len, bytes.to_vec())),
        }
    }
    fn trailers(&mut self, token: Token, fields: &dyn Fields) {
        let open = self.token(token);
        assert!(open.head, "trailers of {token:?} before its head");
        assert!(!std::mem::replace(&mut open.trailers, true), "{token:?} got trailers twice");
        self.events.push(Event::Trailers(token, keep(fields)));
    }
    fn done(&mut self, token: Token) {
        assert!(self.token(token).head, "{token:?} done without a head");
        self.open.remove(&token);
        self.done += 1;
        self.events.push(Event::Done(token));
    }
    fn failed(&mut self, token: Token, error: Error, unprocessed: bool) {
        self.token(token);
        self.open.remove(&token);
        self.failed += 1;
        self.events.push(Event::Failed(token, error, unprocessed));
    }
    fn draining(&mut self) {
        assert!(!self.closed, "draining after closed");
        assert!(!std::mem::replace(&mut self.draining, true), "draining twice");
        self.events.push(Event::Draining);
    }
    fn closed(&mut self, reason: CloseReason) {
        assert!(!std::mem::replace(&mut self.closed, true), "closed twice");
        assert!(self.open.is_empty(), "closed with {:?} in flight", self.tokens());
        assert_eq!(self.accepted, self.done + self.failed, "the books do not balance");
        self.events.push(Event::Closed(reason));
    }
}

/// Runs everything, `rounds` seeds of it.
pub fn run<F: Fixture>(fixture: &mut F, rounds: u64) {
    let number = |name| std::env::var(name).ok().and_then(|s| s.parse::<u64>().ok());
    let seeds = match number("CONFORMANCE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CONFORMANCE_ROUNDS").unwrap_or(rounds),
    };
    for seed in seeds {
        named("walk", seed, || Walk::run(fixture, seed));
        named("cuts", seed, || cuts(fixture, seed));
        named("close", seed, || close_ends_everything(fixture, seed));
    }
}

/// Says which seed it was if `test` panics.
fn named(part: &'static str, seed: u64, test: impl FnOnce()) {
    struct OnPanic(&'static str, u64);
    impl Drop for OnPanic {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("conformance: {} failed; CONFORMANCE_SEED={} repeats it", self.0, self.1);
            }
        }
    }
    let _guard = OnPanic(part, seed);
    test();
}

/// The requests of the suite. The last part of the path is a slot.
fn templates() -> Vec<Template> {
    let make = |method: &str, framing, expect| {
        let path = Text::new(vec![Piece::Literal((*b"/n/").into()), Piece::Slot(0)]);
        let value = Text::new(vec![Piece::Literal((*b"v").into()), Piece::Slot(1)]);
        Template::new(method, Scheme::Http, Text::literal("peer.test:8080"), path)
            .and_then(|t| t.field(Field { name: "X-Slot".into(), value, secret: false }))
            .map(|t| t.body(framing, expect))
            .expect("legal")
    };
    vec![
        make("GET", Framing::None, false),
        make("HEAD", Framing::None, false),
        make("POST", Framing::Length, false),
        make("PUT", Framing::Chunked, false),
        make("POST", Framing::Length, true),
    ]
}

/// A request of the suite: which template, and what with it.
#[derive(Clone, Debug)]
struct Plan {
    template: usize,
    body: Bytes,
    want: Want,
}

impl Plan {
    fn random(rng: &mut Rng, templates: usize) -> Plan {
        let template = rng.below(templates as u64) as usize;
        let len = if template < 2 { 0 } else { [0, 1, 30, 3000][rng.below(4) as usize] };
        Plan {
            template,
            body: Bytes::from((0..len).map(|i| i as u8).collect::<Vec<u8>>()),
            want: Want { fields: rng.one_in(2), body: rng.one_in(2) },
        }
    }
}

/// A connection under test with its peer and all that lies between them.
struct World<C: ClientConn, P> {
    conn: C,
    peer: P,
    prepared: Vec<C::Prepared>,
    log: Recorder,
    now: Time,
    next: u64,
    /// Said by the peer and not yet delivered.
    pipe: Vec<Vec<u8>>,
    /// [`Fixture::STREAM`].
    stream: bool,
}

impl<C: ClientConn, P: Peer<C::Transmit>> World<C, P> {
    fn new<F: Fixture<Conn = C, Peer = P>>(fixture: &mut F, depth: u32) -> Self {
        let (conn, peer) = fixture.connect(depth);
        let prepared = templates().iter().enumerate().map(|(i, t)| C::prepare(i as u32, t)).collect();
        let log = Recorder::default();
        let (pipe, stream) = (Vec::new(), F::STREAM);
        World { conn, peer, prepared, log, now: Time::ZERO, next: 0, pipe, stream }
    }

    /// Submits, and checks what a submission may do and what it must leave alone.
    fn submit(&mut self, plan: &Plan, value: &[u8]) -> Result<Token, Refused> {
        let token = Token(self.next);
        let before =
            (self.conn.capacity(), self.conn.in_flight(), self.conn.wants_transmit(), self.conn.stats());
        let slots: [&[u8]; 2] = [value, value];
        let request = Request {
            prepared: &self.prepared[plan.template],
            values: &slots,
            body: plan.body.clone(),
            want: plan.want,
        };
        let result = self.conn.submit(self.now, token, request);
        match result {
            Ok(()) => {
                self.next += 1;
                self.log.accept(token, plan.want);
                assert!(before.0 > 0, "capacity was 0, and submit accepted");
            }
            Err(why) => {
                let after = (
                    self.conn.capacity(),
                    self.conn.in_flight(),
                    self.conn.wants_transmit(),
                    self.conn.stats(),
                );
                assert_eq!(before, after, "a refused submit changed something");
                if matches!(why, Refused::Full | Refused::Closed) {
                    assert_eq!(before.0, 0, "capacity was {}, and submit said {why:?}", before.0);
                }
            }
        }
        self.settle();
        result.map(|()| token)
    }

    /// One transmit of at most `limit` bytes. Returns whether there was one.
    fn transmit(&mut self, limit: usize) -> bool {
        let wanted = self.conn.wants_transmit();
        let mut out = b"before".to_vec();
        let transmit = self.conn.poll_transmit(self.now, limit, &mut out, &mut self.log);
        assert!(out.starts_with(b"before"), "poll_transmit touched what was in the buffer");
        let out = &out[6..];
        assert!(out.len() <= limit, "poll_transmit handed out {} bytes of at most {limit}", out.len());
        assert_eq!(transmit.is_some(), !out.is_empty(), "poll_transmit: bytes and their absence disagree");
        if limit >= 4096 {
            let ok = if self.stream { wanted == transmit.is_some() } else { wanted || transmit.is_none() };
            assert!(ok, "wants_transmit told a lie");
        }
        let any = transmit.is_some();
        if let Some(transmit) = transmit {
            self.peer.receive(self.now, transmit, out);
        }
        self.settle();
        any
    }

    fn flush(&mut self) {
        for _ in 0..100_000 {
            if !self.transmit(1 << 16) {
                return;
            }
        }
        panic!("poll_transmit never ends");
    }

    fn tick(&mut self, by: Duration) {
        self.now = self.now.after(by);
        if self.conn.poll_timeout().is_some_and(|t| t <= self.now) {
            self.conn.handle_timeout(self.now, &mut self.log);
            assert!(
                self.conn.poll_timeout().is_none_or(|t| t > self.now),
                "handle_timeout left a deadline in the past"
            );
            self.settle();
        }
    }

    /// What must hold whenever nothing is going on.
    fn settle(&mut self) {
        let (capacity, in_flight) = (self.conn.capacity(), self.conn.in_flight());
        assert_eq!(in_flight, self.log.in_flight(), "in_flight() and the events disagree");
        if self.log.is_closed() || self.log.is_draining() {
            assert_eq!(capacity, 0, "room for a request after draining or closed");
        }
        if self.log.is_closed() {
            assert_eq!(in_flight, 0);
            assert!(self.conn.due_bytes().is_none_or(|n| n == 0), "bytes are due after closed");
        }
    }

    fn feed<F: Fixture<Conn = C>>(&mut self, piece: &[u8]) {
        F::bytes(&mut self.conn, self.now, piece, &mut self.log);
        self.settle();
    }

    fn eof<F: Fixture<Conn = C>>(&mut self) {
        F::eof(&mut self.conn, self.now, &mut self.log);
        self.settle();
        assert!(self.log.is_closed(), "the input ended, and closed was not reported");
    }
}

/// Everything at once, in random order: promises 1, 2 and 4.
struct Walk;

impl Walk {
    fn run<F: Fixture>(fixture: &mut F, seed: u64) {
        let mut rng = Rng::new(seed);
        let depth = [1, 1, 2, 5, 16][rng.below(5) as usize];
        let mut w = World::new(fixture, depth);
        // Most walks stay within the rules; those that do not end early.
        let hostile = rng.one_in(3);
        let steps = 20 + rng.below(120);
        for _ in 0..steps {
            Walk::step::<F>(&mut w, &mut rng, hostile);
        }
        match rng.below(3) {
            0 => w.conn.close(w.now, &mut w.log),
            _ => w.eof::<F>(),
        }
        assert!(w.log.is_closed(), "the connection ended, and closed was not reported");
        Walk::nothing_follows::<F>(&mut w, &mut rng);
    }

    fn step<F: Fixture>(w: &mut World<F::Conn, F::Peer>, rng: &mut Rng, hostile: bool) {
        match rng.below(20) {
            0..4 => {
                let plan = Plan::random(rng, w.prepared.len());
                let _ = w.submit(&plan, b"1");
            }
            4 => {
                let full = w.conn.capacity() == 0;
                let refused =
                    w.submit(&Plan { template: 0, body: Bytes::new(), want: Want::default() }, b"a\r\nb");
                match refused {
                    Err(Refused::BadValue { slot }) => assert_eq!(slot, 0),
                    other => assert!(full, "a value with CRLF in a path: {other:?}"),
                }
            }
            5..8 => drop(w.transmit([1, 7, 100, 1 << 16][rng.below(4) as usize])),
            8 | 9 => w.flush(),
            10..13 => {
                w.peer.speak(w.now, &mut w.pipe);
                let answer = Answer::random(rng);
                w.peer.answer(w.now, &answer, &mut w.pipe);
            }
            13..17 => Walk::deliver::<F>(w, rng),
            17 => w.tick(Duration::from_millis(rng.below(700))),
            18 => {
                let tokens = w.log.tokens();
                let stranger = Token(u64::MAX);
                w.conn.cancel(w.now, stranger, &mut w.log);
                if !tokens.is_empty() && rng.one_in(4) {
                    let token = tokens[rng.below(tokens.len() as u64) as usize];
                    w.conn.cancel(w.now, token, &mut w.log);
                    assert!(!w.log.tokens().contains(&token), "{token:?} was cancelled and goes on");
                    let failed = w.log.events.iter().rev().find_map(|e| match e {
                        Event::Failed(t, error, _) if *t == token => Some(error.kind),
                        _ => None,
                    });
                    assert_eq!(failed, Some(Kind::Cancelled), "the kind of a cancelled request");
                }
                w.settle();
            }
            _ if hostile && rng.one_in(4) => w.peer.garbage(w.now, rng, &mut w.pipe),
            _ => {}
        }
    }

    /// Delivers a piece of what lies in the pipe.
    fn deliver<F: Fixture>(w: &mut World<F::Conn, F::Peer>, rng: &mut Rng) {
        if F::STREAM && w.pipe.len() > 1 {
            w.pipe = vec![w.pipe.concat()];
        }
        if w.pipe.is_empty() || w.pipe[0].is_empty() {
            return;
        }
        if !F::STREAM {
            let unit = w.pipe.remove(0);
            return w.feed::<F>(&unit);
        }
        let len = w.pipe[0].len();
        let n = if rng.one_in(2) { len } else { 1 + rng.below(len as u64) as usize };
        let due = w.conn.due_bytes().unwrap_or(0).min(n as u64);
        if F::CAN_SKIP && due > 0 && rng.one_in(2) {
            w.pipe[0].drain(..due as usize);
            F::skipped(&mut w.conn, w.now, due, &mut w.log);
            return w.settle();
        }
        let piece: Vec<u8> = w.pipe[0].drain(..n).collect();
        w.feed::<F>(&piece);
    }

    /// After `closed` a connection takes everything and says nothing. The recorder sees to the second.
    fn nothing_follows<F: Fixture>(w: &mut World<F::Conn, F::Peer>, rng: &mut Rng) {
        w.flush();
        for _ in 0..8 {
            match rng.below(6) {
                0 => {
                    let plan = Plan::random(rng, w.prepared.len());
                    assert_eq!(w.submit(&plan, b"1"), Err(Refused::Closed));
                }
                1 => w.feed::<F>(b"HTTP/1.1 200 OK\r\n\r\n"),
                2 => F::eof(&mut w.conn, w.now, &mut w.log),
                3 => w.tick(Duration::from_secs(100)),
                4 => w.conn.cancel(w.now, Token(0), &mut w.log),
                _ => w.conn.close(w.now, &mut w.log),
            }
            w.settle();
            w.flush();
        }
    }
}

/// The same input in other pieces gives the same events: promise 3. Also with input that was tampered with.
fn cuts<F: Fixture>(fixture: &mut F, seed: u64) {
    let mut rng = Rng::new(!seed);
    let depth = [1, 2, 3][rng.below(3) as usize];
    let plans: Vec<Plan> = (0..depth).map(|_| Plan::random(&mut rng, 4)).collect();

    let mut said = Vec::new();
    let mut w = asked(fixture, depth, &plans);
    for _ in 0..depth {
        let answer = Answer { last: rng.one_in(12), ..Answer::random(&mut rng) };
        w.peer.answer(w.now, &answer, &mut said);
    }
    if rng.one_in(2) {
        tamper(&mut said, &mut rng);
    }
    if F::STREAM {
        said = vec![said.concat()];
    }
    let mut replay = |pieces: &mut dyn Iterator<Item = &[u8]>, skip: bool| {
        let mut w = asked(fixture, depth, &plans);
        for mut piece in pieces {
            while skip && F::CAN_SKIP && !piece.is_empty() {
                let n = w.conn.due_bytes().unwrap_or(0).min(piece.len() as u64);
                if n == 0 {
                    break;
                }
                F::skipped(&mut w.conn, w.now, n, &mut w.log);
                piece = &piece[n as usize..];
            }
            if !piece.is_empty() {
                w.feed::<F>(piece);
            }
        }
        let stats = w.conn.stats();
        w.eof::<F>();
        (w.log.events, stats)
    };

    let whole = replay(&mut said.iter().map(|s| &s[..]), false);
    if !F::STREAM {
        return;
    }
    let said = said.concat();
    let single = replay(&mut said.chunks(1), false);
    assert_eq!(whole, single, "byte by byte gives other events than at once");
    let single = replay(&mut said.chunks(1), true);
    assert_eq!(whole, single, "skipping gives other events");
    for at in 0..=said.len() {
        let (a, b) = said.split_at(at);
        let two = replay(&mut [a, b].into_iter(), false);
        assert_eq!(whole, two, "cut at {at} of {}", said.len());
    }
    for _ in 0..8 {
        let mut at: Vec<usize> =
            (0..rng.below(20)).map(|_| rng.below(said.len() as u64 + 1) as usize).collect();
        at.extend([0, said.len()]);
        at.sort_unstable();
        let many = replay(&mut at.windows(2).map(|w| &said[w[0]..w[1]]), false);
        assert_eq!(whole, many, "cut at {at:?}");
    }
}

/// A connection whose peer has said hello and received these requests.
fn asked<F: Fixture>(fixture: &mut F, depth: u32, plans: &[Plan]) -> World<F::Conn, F::Peer> {
    let mut w = World::new(fixture, depth);
    let mut hello = Vec::new();
    w.flush();
    w.peer.speak(w.now, &mut hello);
    for unit in &hello {
        w.feed::<F>(unit);
    }
    for plan in plans {
        w.submit(plan, b"1").expect("room for `depth` requests");
    }
    w.flush();
    w
}

fn tamper(said: &mut [Vec<u8>], rng: &mut Rng) {
    let Some(unit) = said.iter_mut().max_by_key(|u| u.len()).filter(|u| !u.is_empty()) else {
        return;
    };
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(unit.len() as u64) as usize;
        // Bytes that mean something to a parser are worth more than others.
        let byte = *b"\r\n :;,\0\x010fG9HA\x7f\xff".get(rng.below(16) as usize).unwrap_or(&b'x');
        match rng.below(4) {
            0 => unit[at] = byte,
            1 => unit.insert(at, byte),
            2 if unit.len() > 1 => drop(unit.remove(at)),
            _ => unit[at] ^= 1 << rng.below(8),
        }
    }
    if rng.one_in(3) {
        let at = rng.below(unit.len() as u64) as usize;
        unit.truncate(at);
    }
}

/// `close` fails what is in flight as cancelled, says `closed` once, and calls unprocessed what never left.
fn close_ends_everything<F: Fixture>(fixture: &mut F, seed: u64) {
    let mut rng = Rng::new(seed ^ 0x5555);
    let depth = 1 + rng.below(4) as u32;
    let plans: Vec<Plan> = (0..depth).map(|_| Plan::random(&mut rng, 4)).collect();
    let sent = rng.one_in(2);
    let mut w = if sent { asked(fixture, depth, &plans) } else { asked(fixture, depth, &[]) };
    if !sent {
        for plan in &plans {
            w.submit(plan, b"1").expect("room for `depth` requests");
        }
    }
    w.log.events.clear();
    w.conn.close(w.now, &mut w.log);
    w.settle();
    let mut closed = 0;
    for event in &w.log.events {
        match event {
            Event::Failed(_, error, unprocessed) => {
                assert_eq!(error.kind, Kind::Cancelled);
                assert_eq!(*unprocessed, !sent, "whether a request left");
            }
            Event::Closed(reason) => {
                assert_eq!(*reason, CloseReason::Graceful);
                closed += 1;
            }
            other => panic!("{other:?} from close"),
        }
    }
    assert_eq!((closed, w.log.failed), (1, u64::from(depth)));
}
