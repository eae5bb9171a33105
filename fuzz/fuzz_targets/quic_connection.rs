//! A QUIC connection against a server that says anything at any level, over a path that loses, delays and repeats. The input is a
//! program: settings, then operations, each a byte and its arguments.
//!
//! The server and the client's owner are those of proto-quic's tests: they check every packet and every call (no credit exceeded,
//! nothing acknowledged that was not sent, no stream that ends twice, no timer that stands still, nobody who talks without end).
//! Here are the books of streams and memory; and what else holds of a server that kept to the rules throughout: it is not told off,
//! its words come as it said them, and in the end it has all that was written.
#![no_main]

#[path = "../../proto-quic/tests/common/mod.rs"]
mod common;

use common::meter::{self, Meter};
use common::scripted::{Params, Server, param, set};
use common::wire::{Frame, Level};
use common::world::{World, config, is_silent};
use common::{millis, secs};
use libfuzzer_sys::fuzz_target;
use proto_quic::{Config, Congestion, Lost, StreamId};
use std::collections::{BTreeMap, BTreeSet};

#[global_allocator]
static ALLOCATOR: Meter = Meter;

/// The largest number of QUIC.
const MOST: u64 = (1 << 62) - 1;
/// What the owner writes in all, so that a run is short.
const WRITTEN: usize = 30_000;
/// Connection ids that the server gives out while it keeps to the rules: of each the client must tell it something.
const IDS: u64 = 8;
const WINDOW: u64 = 9000;
const CONNECTION_WINDOW: u64 = 15_000;
const UNI: u64 = 4;

/// The program's bytes; behind their end are zeros.
struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }
    /// Some number, small ones more often.
    fn number(&mut self) -> u64 {
        match self.byte() {
            b @ 0..0xc0 => b.into(),
            b @ 0xc0..0xe0 => u64::from(b & 0x1f) << 8 | u64::from(self.byte()),
            0xff => MOST,
            b => (u64::from(self.byte()) + 1) << (b & 0x1f),
        }
    }
}

/// What a stream of the server says at an offset.
fn word(id: u64, offset: u64) -> u8 {
    (id * 31 + offset * 7) as u8
}

struct Run {
    w: World,
    /// Early data was, and what was said with it is forgotten.
    refused: bool,
    /// The server broke a rule, or may have.
    wild: bool,
    closed: bool,
    /// Streams of the client; what was written on each, and whether that was all.
    opened: Vec<u64>,
    wrote: BTreeMap<u64, (Vec<u8>, bool)>,
    written: usize,
    /// Those of which the client or the server wants no more.
    given_up: BTreeSet<u64>,
    /// How far the server's streams go, and their final sizes.
    said: BTreeMap<u64, (u64, Option<u64>)>,
    /// What the owner gave back of what it keeps.
    returned: BTreeMap<u64, u64>,
    /// Datagrams of the server that are under way.
    flying: Vec<Vec<u8>>,
    ids: u64,
    /// The generation of the server's keys, and the number of a packet that may have been the first with them.
    generation: (usize, u64),
}

impl Run {
    fn new(p: &mut Program<'_>) -> Run {
        let settings = p.byte();
        let config = Config {
            congestion: match settings & 3 {
                1 => Congestion::NewReno,
                2 => Congestion::Bbr,
                _ => Congestion::Cubic,
            },
            stream_window: WINDOW,
            connection_window: CONNECTION_WINDOW,
            uni_streams: UNI,
            segments: if settings & 4 == 0 { 64 } else { 1 },
            ..config()
        };
        // Limits are the server's own affair; other parameters may be wrong.
        let limits = param::MAX_DATA..=param::STREAMS_UNI;
        let which = |b: u8| if b < 0xe0 { param::MAX_DATA + u64::from(b % 6) } else { u64::from(b & 0x1f) };
        let changed: Vec<_> = (0..settings >> 6).map(|_| (which(p.byte()), p.number())).collect();
        let wild = changed.iter().any(|(id, n)| !limits.contains(id) || *n > 1 << 60);
        let adjust = move |params: &mut Params| changed.iter().for_each(|(id, n)| set(params, *id, *n));
        let mut w = match settings & 3 {
            // A server that takes early data keeps to what it allowed before (RFC 9000 section 7.4.1).
            3 if p.byte() & 1 == 0 => World::resumed(&config, true, |_| {}),
            3 => World::resumed(&config, false, adjust),
            _ => World::new(&config, Server::with(adjust)),
        };
        w.server.answers = settings & 8 == 0;
        w.server.retry = (settings & 0x10 != 0).then(|| b"token".to_vec());
        w.log.hoards = settings & 0x20 != 0;
        Run {
            refused: false,
            w,
            wild,
            closed: false,
            opened: Vec::new(),
            wrote: BTreeMap::new(),
            written: 0,
            given_up: BTreeSet::new(),
            said: BTreeMap::new(),
            returned: BTreeMap::new(),
            flying: Vec::new(),
            ids: 0,
            generation: (0, 0),
        }
    }

    fn operation(&mut self, p: &mut Program<'_>) {
        match p.byte() % 16 {
            0 => self.w.run(),
            1 => self.w.wait(millis(p.number().min(100_000))),
            2 => self.open(p.byte() & 7 != 7),
            3 | 4 => self.write(p),
            5 => self.command(p),
            6 => self.give_back(),
            7 | 8 => self.talk(p),
            9 => self.allow(p),
            10 | 11 => self.anything(p),
            12 => self.toggle(p.byte()),
            13 => {
                self.w.flush();
                self.flying.extend(self.w.server.flush().into_iter().map(|(datagram, _)| datagram));
            }
            14 => self.land(p.byte()),
            _ => self.update(),
        }
    }

    fn open(&mut self, bi: bool) {
        let (before, late) = (self.w.client.bi_available(), self.w.client.is_handshaking());
        let id = if bi { self.w.try_open(&[], false) } else { self.w.client.open_uni().map(|id| id.0) };
        if bi {
            assert_eq!(id.is_some(), before > 0, "handshaking: {late}");
            assert_eq!(self.w.client.bi_available(), before.saturating_sub(1));
        }
        let Some(id) = id else { return };
        assert!(!self.opened.contains(&id), "{id} twice");
        self.w.log.cookies.entry(id).or_insert(0);
        self.opened.push(id);
        self.wrote.entry(id).or_default();
    }

    /// A stream of the client.
    fn pick(&self, n: u8) -> Option<u64> {
        self.opened.get(usize::from(n) % self.opened.len().max(1)).copied()
    }

    fn write(&mut self, p: &mut Program<'_>) {
        let (how, len) = (p.byte(), p.number() as usize % 4000);
        let Some(id) = self.pick(how & 0x3f) else { return };
        let (wrote, ended) = self.wrote.entry(id).or_default();
        if *ended || self.written + len > WRITTEN {
            return;
        }
        let bytes: Vec<u8> = (wrote.len()..wrote.len() + len).map(|at| word(id, at as u64)).collect();
        wrote.extend_from_slice(&bytes);
        *ended = how & 0x40 != 0;
        self.written += len;
        self.w.write(id, &bytes, how & 0x40 != 0);
    }

    fn command(&mut self, p: &mut Program<'_>) {
        let (how, code) = (p.byte(), p.number());
        let id = self.pick(how >> 3);
        match (how & 7, id) {
            (0, _) if code == 0 => {
                self.closed = true;
                self.w.client.close(self.w.now, 1, b"enough");
            }
            (0, _) => self.w.client.update_keys(),
            (1..=3, Some(id)) => {
                self.given_up.insert(id);
                self.w.client.reset(StreamId(id), code);
            }
            (4.., Some(id)) => {
                let id = if how & 7 == 7 { u64::from(how >> 3) << 2 | 3 } else { id };
                // An owner who wants no more is told no more.
                self.w.client.stop_sending(StreamId(id), code);
            }
            _ => {}
        }
    }

    /// The owner is done with what it keeps.
    fn give_back(&mut self) {
        for (id, data) in self.w.log.data.iter().filter(|_| self.w.log.hoards) {
            let returned = self.returned.entry(*id).or_default();
            let more = data.len() as u64 - *returned;
            *returned += more;
            self.w.client.consumed(StreamId(*id), more);
        }
    }

    fn can_talk(&self) -> bool {
        self.w.server.has_keys(Level::OneRtt) && self.w.server.is_complete()
    }

    /// How much the client takes of a stream and of all, and how many streams.
    fn credit(&self, id: u64) -> (u64, u64, u64) {
        let (mut stream, mut all, mut uni) = (WINDOW, CONNECTION_WINDOW, UNI);
        for frame in self.w.server.frames() {
            match frame {
                Frame::MaxStreamData { id: of, max } if *of == id => stream = stream.max(*max),
                Frame::MaxData(max) => all = all.max(*max),
                Frame::MaxStreams { bidi: false, max } => uni = uni.max(*max),
                _ => {}
            }
        }
        (stream, all, uni)
    }

    /// The server says something on a stream, or resets it, within its credit.
    fn talk(&mut self, p: &mut Program<'_>) {
        let (which, at, how) = (p.byte(), p.number(), p.byte());
        let known = self.w.server.streams.keys().filter(|id| *id & 2 == 0).copied().collect::<Vec<_>>();
        let id = match known.get(usize::from(which >> 1) % known.len().max(1)) {
            Some(id) if which & 1 == 0 => *id,
            _ => u64::from(which >> 1) << 2 | 3,
        };
        let (stream, all, uni) = self.credit(id);
        if !self.can_talk() || id & 2 != 0 && id >> 2 >= uni {
            return;
        }
        let (end, size) = self.said.get(&id).copied().unwrap_or_default();
        let rest = all - self.said.values().map(|said| said.0).sum::<u64>().min(all);
        let most = size.unwrap_or(stream.min(end + rest));
        // Where the stream goes on, or a little before or behind.
        let offset = (end + at % 64).saturating_sub(u64::from(how & 0x3f)).min(most);
        let len = (p.number() % 1000).min(most - offset);
        let (to, last) = (offset + len, how & 0xc0 == 0xc0 && offset + len >= end);
        let size = size.or(last.then_some(to));
        let reset = last && how & 0x20 != 0;
        self.said.insert(id, (end.max(to), size));
        let data: Vec<u8> = (offset..to).map(|at| word(id, at)).collect();
        self.w.server.tell(&[match reset {
            true => Frame::ResetStream { id, code: at, size: to },
            false => Frame::stream(id, offset, &data, size == Some(to)),
        }]);
    }

    /// Frames that any server may say at any time.
    fn allow(&mut self, p: &mut Program<'_>) {
        let (kind, which, n) = (p.byte(), p.byte(), p.number());
        if !self.can_talk() {
            return;
        }
        let id = self.pick(which);
        let frame = match (kind % 8, id) {
            (0 | 1, _) => Frame::MaxData(n),
            (2, _) => Frame::MaxStreams { bidi: kind & 8 == 0, max: n.min(1 << 60) },
            (3 | 4, Some(id)) if self.w.server.streams.contains_key(&id) => {
                Frame::MaxStreamData { id, max: n }
            }
            (5, Some(id)) if self.w.server.streams.contains_key(&id) => {
                self.given_up.insert(id);
                Frame::StopSending { id, code: n }
            }
            (6, _) if self.ids < IDS => {
                self.ids += 1;
                let (seq, id) = (self.ids, [&b"another"[..], &[self.ids as u8]].concat());
                Frame::NewConnectionId { seq, retire: seq, id, token: [seq as u8; 16] }
            }
            (7, _) => Frame::PathChallenge([which; 8]),
            _ => Frame::Ping,
        };
        self.w.server.tell(&[frame]);
    }

    /// A packet with any bytes for frames, with any header; or a datagram of any bytes.
    fn anything(&mut self, p: &mut Program<'_>) {
        let (how, skip, len) = (p.byte(), p.number(), p.byte());
        let bytes = p.bytes(len.into());
        let level = [Level::Initial, Level::Handshake, Level::OneRtt, Level::OneRtt][usize::from(how & 3)];
        self.wild = true;
        if how & 0x40 != 0 {
            return self.w.server.push(bytes);
        }
        if !self.w.server.has_keys(level) {
            return;
        }
        // What it allows, as far as the client can read it.
        let mut rest = bytes;
        while let Some(frame) = Frame::take(&mut rest) {
            self.w.server.grant(&frame);
        }
        let mut shape = self.w.server.shape(level);
        shape.number = shape.number.saturating_add(skip).min(MOST - 1);
        self.w.server.next_number[level.space()] = shape.number + 1;
        shape.key_phase ^= how & 0x80 != 0;
        shape.flip = if how & 0x20 != 0 { 0x0c } else { 0 };
        let packet = self.w.server.sealed(&shape, bytes);
        self.w.server.push(&packet);
    }

    fn toggle(&mut self, how: u8) {
        let server = &mut self.w.server;
        match how % 8 {
            0 => self.w.deaf ^= true,
            1 => server.acks ^= true,
            2 => server.answers ^= true,
            3 => server.reports_ecn ^= true,
            4 => self.w.remark = |ecn| ecn,
            5 => self.w.remark = |_| 0,
            6 => self.w.remark = |_| 3,
            _ => self.w.ecn = how >> 3 & 3,
        }
    }

    /// A datagram that was under way arrives, and perhaps once more.
    fn land(&mut self, how: u8) {
        if self.flying.is_empty() {
            return;
        }
        let at = usize::from(how >> 1) % self.flying.len();
        let datagram = self.flying[at].clone();
        if how & 1 == 0 {
            self.flying.remove(at);
        }
        self.w.deliver(&datagram, self.w.ecn);
    }

    /// The server updates its keys, if what it sent with the present ones was acknowledged (RFC 9001 section 6.1).
    fn update(&mut self) {
        let server = &mut self.w.server;
        if self.generation.0 != server.send_generation {
            self.generation = (server.send_generation, server.next_number[2]);
        }
        let (_, first) = self.generation;
        let acked = server.seen.iter().filter(|seen| seen.level == Level::OneRtt).any(|seen| {
            let newest = |f: &Frame| matches!(f, Frame::Ack { ranges, .. } if *ranges[0].end() >= first);
            seen.frames.iter().any(newest)
        });
        if acked && server.is_complete() {
            server.send_generation += 1;
        }
    }

    /// RFC 9001 section 4.6.2: what was said with early data that the server refuses was never said.
    fn forget_refused(&mut self) {
        let Run { w, refused, .. } = self;
        let taken = !w.client.has_early_data() || w.client.early_data_accepted();
        if *refused || taken || !w.log.is_connected() {
            return;
        }
        self.refused = true;
        self.opened.clear();
        self.wrote.clear();
        self.given_up.clear();
        self.w.log.cookies.clear();
        self.w.log.sent.clear();
    }

    /// What holds at any time.
    fn check(&self) {
        let most = (1 << 20) + 4 * WRITTEN as i64;
        assert!(meter::held().1 < most, "the client held {:?} bytes", meter::held());
        let mut told = BTreeSet::new();
        assert!(self.w.log.sent.iter().all(|id| told.insert(id)), "a stream is sent twice");
        if self.closed || self.w.log.is_lost() {
            assert_eq!(self.w.client.bi_available(), 0);
        }
        let lost = self.w.log.lost();
        assert!(self.wild || matches!(lost, None | Some(Lost::TimedOut)), "told off: {lost:?}");
    }

    /// All streams have what was said on them, and nothing else.
    fn compare(&self) {
        for (id, stream) in &self.w.server.streams {
            let (wrote, ended) = &self.wrote[id];
            assert!(stream.bytes.iter().all(|(at, byte)| wrote.get(*at as usize) == Some(byte)), "{id}");
            let fin = stream.size.is_some() && stream.reset.is_none();
            assert!(!fin || *ended && stream.size == Some(wrote.len() as u64), "{id} ends where it does not");
        }
        for (id, data) in self.w.log.data.iter().filter(|_| !self.wild) {
            assert!((0..).zip(data).all(|(at, byte)| *byte == word(*id, at)), "{id}");
        }
    }

    /// The path and the server become good: all that was written arrives.
    fn settle(&mut self) {
        let w = &mut self.w;
        (w.deaf, w.server.acks, w.server.answers) = (false, true, true);
        for datagram in std::mem::take(&mut self.flying) {
            w.deliver(&datagram, 0);
        }
        w.run();
        for _ in 0..20 {
            self.forget_refused();
            let w = &mut self.w;
            if !w.server.is_complete() {
                w.wait(secs(2));
                continue;
            }
            let most = 1 << 40;
            let mut frames = vec![Frame::HandshakeDone, Frame::MaxData(most)];
            frames.extend(self.opened.iter().map(|id| Frame::MaxStreamData { id: *id, max: most }));
            w.tell(&frames);
            w.wait(secs(5));
        }
        self.check();
        if self.wild || self.closed || self.w.log.is_lost() {
            return;
        }
        for (id, (wrote, ended)) in self.wrote.iter().filter(|(id, _)| !self.given_up.contains(id)) {
            let came = self.w.server.streams.get(id).cloned().unwrap_or_default();
            assert_eq!((came.bytes.len(), came.size.is_some()), (wrote.len(), *ended), "stream {id}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    meter::reset();
    let mut p = Program(&data[..data.len().min(1000)]);
    let mut run = Run::new(&mut p);
    while !p.0.is_empty() {
        run.operation(&mut p);
        run.forget_refused();
        run.check();
    }
    run.settle();
    run.compare();
    if !run.closed {
        run.w.client.close(run.w.now, 1, b"enough");
    }
    run.w.run();
    run.w.wait(secs(100_000));
    is_silent(&mut run.w);
});
