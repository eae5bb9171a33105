//! A core in a virtual world: a network and servers made of random numbers, and a clock that jumps to what happens next.
//!
//! The servers delay, split, stall, reset, refuse, go away, close and babble, over HTTP/1.1 and HTTP/2, as a seed says; the
//! network counts what left the client and which answers reached it. Whatever happened, the core's books must say the same,
//! to the request; and the same seed must give the same run, to the nanosecond. Only HTTP in clear: TLS has random numbers
//! of its own. A failure prints its seed: put it into `SEEDS` alone to see that run again.

use super::{Core, Setup, Told, shares};
use crate::clock::Clock;
use crate::gate::Gate;
use crate::io::socket::Peer;
use crate::io::{Chunk, Completion, Driver, Farewell, Receive, Sock, Wait, What};
use crate::run::Interrupts;
use crate::stats::{Books, Figures};
use crate::{Control, Options, Pacing, Rows, prepare};
use proto::Time;
use scenario::plan::*;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const SEEDS: Range<u64> = 1..25;
/// Iterations of each run.
const ITERATIONS: u64 = 10_000;
/// Worlds of the open model, and arrivals of the second phase of each: a million in all.
const OPEN_SEEDS: Range<u64> = 1..21;
const ARRIVALS: u64 = 50_000;

/// Stands for a GOAWAY where a status is expected.
const GONE: u16 = 0;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }
}

#[derive(Clone)]
struct VirtualClock(Rc<Cell<u64>>);

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        Time::from_nanos(self.0.get())
    }
    fn thread_cpu(&self) -> u64 {
        self.0.get()
    }
}

/// What the network saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wire {
    /// Requests handed over to be sent.
    left: u64,
    /// Requests handed over on a connection after the core had read GOAWAY on it: already failed as never sent, and
    /// ignored by every server.
    late: u64,
    /// Complete answers with 200 that the core has read.
    good: u64,
    /// Complete answers with 500 that the core has read.
    bad: u64,
}

enum Event {
    Connected(bool),
    Sent,
    /// Bytes, and the status of the answer that is complete with them (`GONE`: of a GOAWAY).
    Bytes(Vec<u8>, Option<u16>),
    Fin,
    Reset,
}

/// A connection, both ends of it.
#[derive(Default)]
struct Socket {
    tag: u32,
    retired: bool,
    receiving: bool,
    /// Nothing comes from the server any more.
    over: bool,
    /// What the client is sending, until it is told that it was sent.
    sending: Option<Vec<u8>>,
    /// What the server has not read.
    unread: Vec<u8>,
    greeted: bool,
    /// The server answers nothing any more.
    deaf: bool,
    /// Bytes sent after the server had closed.
    unheard: u64,
    /// The server has closed: it hears nothing.
    closed: bool,
    /// The core has read a GOAWAY.
    gone: bool,
    /// When the server's last bytes arrive, which those said later follow.
    busy: u64,
}

/// The driver of the virtual network, and the servers in it.
struct Network {
    now: Rc<Cell<u64>>,
    random: Random,
    h2: bool,
    sockets: Vec<Socket>,
    /// By time and order.
    coming: BTreeMap<(u64, u64), (usize, Event)>,
    order: u64,
    ready: VecDeque<(usize, What, Option<u16>)>,
    chunks: Vec<Vec<u8>>,
    free: Vec<u16>,
    wire: Rc<RefCell<Wire>>,
}

impl Network {
    fn at(&mut self, time: u64, socket: usize, event: Event) {
        self.order += 1;
        self.coming.insert((time, self.order), (socket, event));
    }

    /// The server says this, in pieces, not before `time` and after what it said before.
    fn say(&mut self, time: u64, socket: usize, bytes: &[u8], completes: Option<u16>) {
        let (mut rest, mut time) = (bytes, time.max(self.sockets[socket].busy));
        while !rest.is_empty() {
            let whole = self.random.within(0..4) > 0;
            let n = if whole { rest.len() } else { self.random.within(1..rest.len() as u64 + 1) as usize };
            let last = n == rest.len();
            self.at(time, socket, Event::Bytes(rest[..n].to_vec(), completes.filter(|_| last)));
            rest = &rest[n..];
            time += self.random.within(1..300) * US;
        }
        self.sockets[socket].busy = time;
    }

    fn end(&mut self, socket: usize, event: Event) {
        let time = self.sockets[socket].busy.max(self.now.get()) + self.random.within(1..50) * US;
        self.sockets[socket].deaf = true;
        self.sockets[socket].closed |= matches!(event, Event::Fin);
        self.at(time, socket, event);
    }

    /// The server reads, and decides what becomes of each request.
    fn serve(&mut self, socket: usize) {
        let bytes = std::mem::take(&mut self.sockets[socket].unread);
        let mut rest = &bytes[..];
        if self.h2 && !self.sockets[socket].greeted {
            rest = rest.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the preface comes first");
            self.sockets[socket].greeted = true;
            self.say(self.now.get() + 30 * US, socket, &frame(4, 0, 0, &[]), None);
        }
        while let Some((request, n)) = next_request(self.h2, rest) {
            rest = &rest[n..];
            if let Some(stream) = request {
                let gone = self.sockets[socket].gone;
                let mut wire = self.wire.borrow_mut();
                *(if gone { &mut wire.late } else { &mut wire.left }) += 1;
                drop(wire);
                let time = self.now.get() + self.random.within(20..3000) * US;
                match (self.sockets[socket].deaf, self.h2) {
                    (true, _) => {}
                    (false, false) => self.answer_h1(time, socket),
                    (false, true) => self.answer_h2(time, socket, stream),
                }
            }
        }
        self.sockets[socket].unread = rest.to_vec();
    }

    fn answer_h1(&mut self, time: u64, socket: usize) {
        let body = "x".repeat(self.random.within(0..2000) as usize);
        let length = format!("content-length: {}\r\n", body.len());
        let whole = format!("HTTP/1.1 200 OK\r\n{length}\r\n{body}");
        match self.random.within(0..1000) {
            0..10 => self.sockets[socket].deaf = true,
            10..20 => self.end(socket, Event::Reset),
            20..25 => self.end(socket, Event::Fin),
            25..35 => {
                let cut = self.random.within(1..whole.len() as u64) as usize;
                self.say(time, socket, &whole.as_bytes()[..cut], None);
                let how = if cut.is_multiple_of(2) { Event::Fin } else { Event::Reset };
                self.end(socket, how);
            }
            35..40 => {
                self.say(time, socket, b"what is this?\r\n\r\n", None);
                self.end(socket, Event::Fin);
            }
            40..50 => {
                let closing = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{length}\r\n{body}");
                self.say(time, socket, closing.as_bytes(), Some(200));
                self.end(socket, Event::Fin);
            }
            50..55 => {
                self.say(time, socket, whole.as_bytes(), Some(200));
                self.end(socket, Event::Fin);
            }
            55..100 => {
                let text = format!("HTTP/1.1 500 Oops\r\n{length}\r\n{body}");
                self.say(time, socket, text.as_bytes(), Some(500));
            }
            100..300 => {
                let text = format!(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\nx{body}\r\n0\r\n\r\n",
                    body.len() + 1
                );
                self.say(time, socket, text.as_bytes(), Some(200));
            }
            _ => self.say(time, socket, whole.as_bytes(), Some(200)),
        }
    }

    fn answer_h2(&mut self, time: u64, socket: usize, stream: u32) {
        let body = vec![b'x'; self.random.within(0..2000) as usize];
        let whole = [frame(1, 4, stream, &[0x88]), frame(0, 1, stream, &body)].concat();
        match self.random.within(0..1000) {
            0..5 => {} // this stream stalls
            5..10 => self.end(socket, Event::Reset),
            10..15 => {
                let cut = self.random.within(1..whole.len() as u64) as usize;
                self.say(time, socket, &whole[..cut], None);
                self.end(socket, Event::Fin);
            }
            15..40 => self.say(time, socket, &frame(3, 0, stream, &7_u32.to_be_bytes()), None),
            40..50 => self.say(time, socket, &frame(3, 0, stream, &2_u32.to_be_bytes()), None),
            50..55 => {
                let (last, code) = (stream.saturating_sub(self.random.within(0..3) as u32 * 2), [0; 4]);
                self.say(time, socket, &frame(7, 0, 0, &[last.to_be_bytes(), code].concat()), Some(GONE));
                self.end(socket, Event::Fin);
            }
            55..57 => self.say(time, socket, &frame(1, 5, stream + 1, &[0x88]), None), // against the rules
            57..100 => self.say(time, socket, &frame(1, 5, stream, &[0x8e]), Some(500)),
            100..300 => self.say(time, socket, &frame(1, 5, stream, &[0x88]), Some(200)),
            _ => self.say(time, socket, &whole, Some(200)),
        }
    }

    /// An event's time has come.
    fn happen(&mut self, socket: usize, event: Event) {
        let s = &mut self.sockets[socket];
        if s.retired || (s.over && !matches!(event, Event::Sent)) {
            return;
        }
        match event {
            Event::Connected(true) => self.ready.push_back((socket, What::Connected(Ok(())), None)),
            Event::Connected(false) => {
                let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
                self.ready.push_back((socket, What::Connected(Err(refused)), None));
            }
            Event::Sent => {
                if let Some(buffer) = s.sending.take() {
                    self.ready.push_back((socket, What::Sent(buffer), None));
                }
            }
            Event::Bytes(bytes, completes) => {
                assert!(s.receiving, "nobody receives");
                let id = self.free.pop().unwrap_or_else(|| {
                    self.chunks.push(Vec::new());
                    self.chunks.len() as u16 - 1
                });
                let len = bytes.len() as u32;
                self.chunks[usize::from(id)] = bytes;
                let chunk = Chunk { group: 0, buffer: id, offset: 0, len, last: true };
                self.ready.push_back((socket, What::Received(chunk), completes));
            }
            Event::Fin => {
                s.over = true;
                self.ready.push_back((socket, What::Eof, None));
            }
            Event::Reset => {
                s.over = true;
                let reset = || io::Error::from_raw_os_error(libc::ECONNRESET);
                if let Some(buffer) = s.sending.take() {
                    self.ready.push_back((socket, What::SendFailed(reset(), buffer), None));
                }
                self.ready.push_back((socket, What::ReceiveFailed(reset()), None));
            }
        }
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The next thing that a client said, if it is there: the stream of a request, or `None` for another frame; and its length.
fn next_request(h2: bool, bytes: &[u8]) -> Option<(Option<u32>, usize)> {
    if !h2 {
        return bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| (Some(0), at + 4));
    }
    let head = bytes.get(..9)?;
    let n = 9 + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    (bytes.len() >= n).then_some(((head[3] == 1).then_some(stream), n))
}

impl Driver for Network {
    fn open(
        &mut self,
        tag: u32,
        _: &Arc<Peer>,
        _: Option<IpAddr>,
        _: &scenario::plan::Socket,
    ) -> io::Result<Sock> {
        // The first attempt succeeds: where none ever did a run gives up, as it should.
        let fate = if self.sockets.is_empty() { 99 } else { self.random.within(0..100) };
        if fate == 0 {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let socket = self.sockets.len();
        self.sockets.push(Socket { tag, ..Socket::default() });
        let time = self.now.get() + self.random.within(50..500) * US;
        match fate {
            1 => {} // never answered
            2..6 => self.at(time, socket, Event::Connected(false)),
            _ => self.at(time, socket, Event::Connected(true)),
        }
        Ok(Sock(socket as u32))
    }
    fn receive(&mut self, sock: Sock, how: Receive) {
        assert_eq!(how, Receive::Stream);
        let before = std::mem::replace(&mut self.sockets[sock.0 as usize].receiving, true);
        assert!(!before, "armed twice");
    }
    fn send(&mut self, sock: Sock, bytes: Vec<u8>) {
        let (socket, time) = (sock.0 as usize, self.now.get() + self.random.within(1..50) * US);
        let s = &mut self.sockets[socket];
        assert!(!s.retired && s.sending.is_none(), "one send at a time, and none on a socket given up");
        s.unheard += if s.closed { bytes.len() as u64 } else { 0 };
        s.unread.extend_from_slice(&bytes);
        s.sending = Some(bytes);
        self.serve(socket);
        self.at(time, socket, Event::Sent);
    }
    fn set_low_water(&mut self, _: Sock, _: u32) {}
    fn set_quickack(&mut self, _: Sock) {}
    fn unacknowledged(&mut self, sock: Sock) -> u64 {
        self.sockets[sock.0 as usize].unheard
    }
    fn local_address(&self, _: Sock) -> Option<SocketAddr> {
        None
    }
    fn set_lingering_max(&mut self, _: usize) {}
    fn retire(&mut self, sock: Sock, _: Time, _: Farewell) {
        let s = &mut self.sockets[sock.0 as usize];
        assert!(!s.retired, "given up twice");
        s.retired = true;
    }
    fn wait(&mut self, now: Time, wait: Wait) -> io::Result<()> {
        let (start, deadline) = (now.as_nanos(), wait.deadline.as_nanos());
        let nap = start + wait.nap.as_nanos() as u64;
        loop {
            let now = self.now.get();
            while let Some(entry) = self.coming.first_entry().filter(|e| e.key().0 <= now) {
                let (socket, event) = entry.remove();
                self.happen(socket, event);
            }
            let enough = self.ready.len() >= wait.want as usize || now >= nap;
            if now >= deadline || (!self.ready.is_empty() && enough) {
                break;
            }
            let next = self.coming.first_key_value().map_or(deadline, |((time, _), _)| *time);
            let next = if now < nap { next.min(nap) } else { next };
            self.now.set(next.min(deadline).max(now));
        }
        self.now.set(self.now.get() + US); // a turn takes time
        assert!(self.now.get() < 3_600_000 * MS, "the run does not end");
        Ok(())
    }
    fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }
    fn next(&mut self) -> Option<Completion> {
        loop {
            let (socket, what, completes) = self.ready.pop_front()?;
            let s = &mut self.sockets[socket];
            if !s.retired {
                s.gone |= completes == Some(GONE);
                let mut wire = self.wire.borrow_mut();
                wire.good += u64::from(completes == Some(200));
                wire.bad += u64::from(completes == Some(500));
                return Some(Completion { tag: s.tag, what });
            }
            if let What::Received(chunk) = what {
                self.release(chunk);
            }
        }
    }
    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        &self.chunks[usize::from(chunk.buffer)]
    }
    fn bytes_mut(&mut self, chunk: &Chunk) -> &mut [u8] {
        &mut self.chunks[usize::from(chunk.buffer)]
    }
    fn release(&mut self, chunk: Chunk) {
        self.free.push(chunk.buffer);
    }
    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }
    fn recycle(&mut self, _: Vec<u8>) {}
    fn receive_capacity(&self) -> u32 {
        64
    }
    fn can_nap(&self) -> bool {
        true
    }
    fn overflows(&mut self) -> u64 {
        0
    }
    fn describe(&self) -> String {
        "simulation".into()
    }
}

/// A plan that depends on the seed.
fn plan(random: &mut Random, h2: bool) -> Plan {
    let n32 = |n: u64| NonZeroU32::new(n as u32).unwrap();
    let (connections, streams) = (random.within(1..9), random.within(1..if h2 { 20 } else { 4 }));
    let pool = random.within(0..2) == 0;
    let users = if pool { random.within(1..100) } else { connections * streams };
    let text = proto::Text::literal;
    let template = proto::Template::new("GET", proto::Scheme::Http, text("sim"), text("/")).unwrap();
    let step = |name: &str| Step {
        name: name.into(),
        target: 0,
        template: template.clone(),
        body: bytes::Bytes::new(),
        checks: vec![],
        timeout: None,
        want: proto::Want::default(),
        tags: Default::default(),
    };
    let phase = |name: &str, users, stop| Phase {
        name: name.into(),
        users: n32(users),
        load: Load::Closed,
        stop,
        record: true,
        overrides: Default::default(),
    };
    Plan {
        name: "simulation".into(),
        targets: vec![Target {
            scheme: proto::Scheme::Http,
            authority: "sim".into(),
            host: "sim".into(),
            endpoint: Endpoint::Address("192.0.2.1:80".parse().unwrap()),
            protocol: None,
        }],
        protocol: if h2 { Protocol::H2c } else { Protocol::H1 },
        tls: Tls::default(),
        connections: Connections {
            max: n32(connections),
            streams: n32(streams),
            share: if pool { Share::Pool } else { Share::PerUser },
            requests_per_connection: NonZeroU64::new(random.within(0..3) * 40),
            lifetime: (random.within(0..3) == 0).then(|| Duration::from_millis(random.within(5..100))),
            mix: None,
            ramp_up: Duration::from_millis(random.within(0..50)),
            ramp_step: NonZeroU32::MIN,
            own_parts: false,
            alt_svc: false,
            socket: scenario::plan::Socket::default(),
            family: Family::Any,
            route: Route::default(),
        },
        http2: Http2::default(),
        http3: Default::default(),
        timeouts: Timeouts {
            connect: Some(Duration::from_millis(100)),
            handshake: None,
            request: Some(Duration::from_millis(300)),
            idle: Some(Duration::from_millis(random.within(1..50))),
            active: Some(Duration::from_millis(random.within(20..400))),
            inactive: Some(Duration::from_millis(random.within(20..200))),
        },
        scenarios: vec![Scenario {
            name: "main".into(),
            weight: n32(1),
            order: Order::Sequence,
            program: None,
            steps: vec![step("first"), step("second")],
        }],
        phases: vec![
            phase("timed", users.div_ceil(2), Stop::After(Duration::from_millis(50))),
            phase("counted", users, Stop::Iterations(NonZeroU64::new(ITERATIONS / 2).unwrap())),
        ],
        tracks: vec![],
        files: vec![],
        thresholds: vec![],
        search: None,
        script: Default::default(),
    }
}

/// A plan of the open model: a ramp, then independent arrivals or bursts, at a rate the servers may or may not keep up with.
fn open_plan(random: &mut Random, h2: bool) -> Plan {
    let mut plan = plan(random, h2);
    let rate = random.within(500..50_000) as f64;
    let number = random.within(1..5_000);
    let time = [None, Some(Duration::from_millis(random.within(1..400)))][random.within(0..2) as usize];
    let backlog = Backlog { time, number };
    let spread = match random.within(0..3) {
        0 => Spread::Even,
        1 => Spread::Poisson,
        _ => Spread::Burst(NonZeroU32::new(random.within(1..200) as u32).unwrap()),
    };
    let over = Duration::from_millis(random.within(1..200));
    plan.phases[0].stop = Stop::After(over);
    let ramp = Curve::Ramp { from: 0.0, to: rate, over };
    plan.phases[0].load = Load::Open(Arrivals { curve: ramp, spread: Spread::Even, backlog });
    plan.phases[1].stop = Stop::Iterations(NonZeroU64::new(ARRIVALS).unwrap());
    plan.phases[1].load = Load::Open(Arrivals { curve: Curve::Constant(rate), spread, backlog });
    plan
}

/// A world that has ended.
struct World {
    figures: Figures,
    /// Arrivals that came due and arrivals dropped, by phase, and iterations ended.
    arrived: Vec<u64>,
    dropped: Vec<u64>,
    iterations: Vec<u64>,
    /// All that two runs of it must agree on.
    summary: String,
}

/// Runs the world of a seed in the closed model.
fn simulate(seed: u64) -> World {
    let world = simulate_plan(seed, plan, Pacing::Precise);
    assert_eq!(world.iterations[1], ITERATIONS / 2, "{}", world.summary);
    world
}

/// Runs the world of a seed in the open model.
fn simulate_open(seed: u64) -> World {
    // Spinning takes a turn a microsecond: some worlds do.
    let pacing = if seed.is_multiple_of(5) { Pacing::Precise } else { Pacing::Sleep };
    let world = simulate_plan(seed, open_plan, pacing);
    let case = &world.summary;
    assert_eq!(world.arrived[1], ARRIVALS, "{case}");
    let [arrived, dropped, iterations] =
        [&world.arrived, &world.dropped, &world.iterations].map(|counts| counts.iter().sum::<u64>());
    assert_eq!(arrived, iterations + dropped, "every arrival was begun or dropped: {case}");
    assert_eq!(world.figures.books.started, 2 * iterations, "two steps each: {case}");
    world
}

/// Runs the world of a seed to its end, whatever happens in it: the books say what the network says.
fn simulate_plan(seed: u64, plan: impl Fn(&mut Random, bool) -> Plan, pacing: Pacing) -> World {
    let mut random = Random(seed);
    let h2 = seed.is_multiple_of(2);
    let mut plan = plan(&mut random, h2);
    plan.script.seed = seed;
    let interval = Duration::from_millis(250);
    let options = Options { interval, rows: Rows::Told, pacing, ..Options::default() };
    let setup: Setup = prepare::setup(&plan, &options, &mut |_| {}).unwrap();
    let (now, wire) = (Rc::new(Cell::new(MS)), Rc::new(RefCell::new(Wire::default())));
    let network = Network {
        now: now.clone(),
        random,
        h2,
        sockets: Vec::new(),
        coming: BTreeMap::new(),
        order: 0,
        ready: VecDeque::new(),
        chunks: Vec::new(),
        free: Vec::new(),
        wire: wire.clone(),
    };
    let share = shares(&setup, 1).remove(0);
    let core = Core::new(&setup, share, network, VirtualClock(now.clone()));
    let gate = Gate::new(1, setup.plan.phases.len());
    let mut told = Figures::default();
    let mut tell = |news| {
        if let Told::Snapshot(snapshot) = news {
            snapshot.parts.iter().for_each(|part| told.merge(&part.figures));
        }
    };
    let mut result = core.run(Interrupts::all(&Control::default()), &gate.place(0), &mut tell).unwrap();
    let mut all = Figures::default();
    result.recorder.take_figures().iter().flatten().for_each(|figures| all.merge(figures));
    let (books, wire) = (all.books, *wire.borrow());
    let case = format!("seed {seed}: {books:?} {wire:?} {:?}", all.errors);
    assert_eq!(result.gave_up, None, "{case}");
    assert_eq!(told.books, books, "what was told by interval: {case}");
    let lengths =
        |f: &Figures| [&f.response_time, &f.service_time, &f.send_lag].map(|s| (s.count(), s.mean_ns()));
    assert_eq!(lengths(&told), lengths(&all), "{case}");
    assert!(books.balance() && books.in_flight == 0 && books.abandoned == 0, "{case}");
    assert_eq!(books.started + books.retried - books.never_sent, wire.left, "what left: {case}");
    assert_eq!((books.succeeded, books.failed_status), (wire.good, wire.bad), "what came: {case}");
    let series = [&all.response_time, &all.service_time, &all.send_lag, &all.first_byte, &all.failed_time];
    let times: Vec<_> = series
        .iter()
        .map(|s| (s.count(), s.min_ns(), s.quantile_ns(0.5), s.quantile_ns(0.99), s.max_ns()))
        .collect();
    let connections = &result.recorder.connections;
    let opened = (connections.attempted, connections.opened, connections.failed, connections.lost);
    assert!(opened.0 >= opened.1 + opened.2, "{case}");
    let (arrived, dropped) = (result.recorder.arrived, result.recorder.dropped);
    let summary = format!(
        "{case} {times:?} {opened:?} {arrived:?} {dropped:?} {} turns, until {}",
        result.turns,
        now.get()
    );
    World { figures: all, arrived, dropped, iterations: result.recorder.iterations, summary }
}

#[test]
fn every_request_ends_exactly_once_and_as_the_network_says() {
    let (mut all, mut crossed) = (Books::default(), 0);
    for seed in SEEDS {
        let run = std::panic::catch_unwind(|| simulate(seed));
        let world = run.unwrap_or_else(|_| panic!("the world of seed {seed}"));
        let books = world.figures.books;
        all.merge(&books);
        // Over HTTP/1.1 that is the only reason to send again what has left.
        crossed +=
            if seed.is_multiple_of(2) { 0 } else { books.retried - books.never_sent.min(books.retried) };
    }
    assert!(crossed > 20, "{crossed} requests met the close of an idle connection");
    assert!(all.started > (SEEDS.end - SEEDS.start) * ITERATIONS, "{all:?}");
    // The worlds are as hostile as they should be.
    assert!(
        all.failed > 1000 && all.failed_timeout > 100 && all.retried > 100 && all.never_sent > 100,
        "{all:?}"
    );
}

#[test]
fn every_arrival_of_a_million_is_begun_or_dropped_and_every_request_ends_exactly_once() {
    let (mut arrived, mut dropped, mut failed) = (0, 0, 0);
    for seed in OPEN_SEEDS {
        let run = std::panic::catch_unwind(|| simulate_open(seed));
        let world = run.unwrap_or_else(|_| panic!("the open world of seed {seed}"));
        arrived += world.arrived.iter().sum::<u64>();
        dropped += world.dropped.iter().sum::<u64>();
        failed += world.figures.books.failed;
    }
    assert!(arrived >= 1_000_000, "{arrived} arrivals");
    // Some worlds could not keep up, and none was without faults.
    assert!(
        dropped > 10_000 && dropped < arrived / 10 * 9 && failed > 1000,
        "{dropped} dropped, {failed} failed"
    );
}

/// How long a connection was not to be there yet is nobody's response time.
#[test]
fn a_user_comes_when_its_connection_does() {
    const RAMP: Duration = Duration::from_secs(600);
    let ramped = |random: &mut Random, h2| {
        let mut plan = plan(random, h2);
        (plan.connections.share, plan.connections.ramp_up) = (Share::PerUser, RAMP);
        plan.phases.remove(0);
        plan
    };
    let mut longest = Duration::ZERO;
    for seed in SEEDS.take(20) {
        let world = simulate_plan(seed, ramped, Pacing::Precise);
        longest = longest.max(Duration::from_nanos(world.figures.response_time.max_ns()));
    }
    assert!(longest < RAMP / 20, "{longest:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [SEEDS.start, SEEDS.start + 1] {
        assert_eq!(simulate(seed).summary, simulate(seed).summary);
    }
    assert_ne!(simulate(SEEDS.start).summary, simulate(SEEDS.start + 2).summary);
    assert_eq!(simulate_open(3).summary, simulate_open(3).summary);
    assert_ne!(simulate_open(3).summary, simulate_open(4).summary);
}
