//! A server that says what a test tells it to say: any bytes in any packet at any level, at any time. By itself it completes
//! the handshake and acknowledges. It records what the client sends, decrypted, and checks of every packet what must be
//! true of each: that is the half of the rules that nobody has to write rows for.

use super::wire::{self, Frame, Level, Outer, Shape, put, take};
use proto::Time;
use rustls::quic::{DirectionalKeys, KeyChange, Keys, PacketKey, Secrets, ServerConnection, Version};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// RFC 9000 section 18.2.
pub mod param {
    pub const ORIGINAL_DCID: u64 = 0x00;
    pub const IDLE_TIMEOUT: u64 = 0x01;
    pub const RESET_TOKEN: u64 = 0x02;
    pub const MAX_UDP_PAYLOAD: u64 = 0x03;
    pub const MAX_DATA: u64 = 0x04;
    pub const STREAM_DATA_BIDI_LOCAL: u64 = 0x05;
    pub const STREAM_DATA_BIDI_REMOTE: u64 = 0x06;
    pub const STREAM_DATA_UNI: u64 = 0x07;
    pub const STREAMS_BIDI: u64 = 0x08;
    pub const STREAMS_UNI: u64 = 0x09;
    pub const ACK_DELAY_EXPONENT: u64 = 0x0a;
    pub const MAX_ACK_DELAY: u64 = 0x0b;
    pub const DISABLE_MIGRATION: u64 = 0x0c;
    pub const PREFERRED_ADDRESS: u64 = 0x0d;
    pub const CID_LIMIT: u64 = 0x0e;
    pub const INITIAL_SCID: u64 = 0x0f;
    pub const RETRY_SCID: u64 = 0x10;
}

/// A parameter that is not written: instead, the parameters end with half of one.
pub const TRUNCATED: u64 = u64::MAX;

pub type Params = Vec<(u64, Vec<u8>)>;

/// Another value for a parameter that is a number.
pub fn set(params: &mut Params, id: u64, value: u64) {
    params.retain(|p| p.0 != id);
    params.push((id, wire::varint(value)));
}

/// What the server's first id can be reset with.
pub const RESET_TOKEN: [u8; 16] = [0x5e; 16];

/// One packet of the client.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Time,
    /// Which datagram, from 0, and its size.
    pub datagram: usize,
    pub size: usize,
    pub ecn: u8,
    pub level: Level,
    pub number: u64,
    pub key_phase: bool,
    /// Key updates before it.
    pub generation: usize,
    pub dcid: Vec<u8>,
    pub token: Vec<u8>,
    pub frames: Vec<Frame>,
}

/// What the client may do, by transport parameters and MAX frames.
#[derive(Default, Debug)]
struct Grants {
    data: u64,
    bidi: u64,
    uni: u64,
    stream_bidi: u64,
    stream_uni: u64,
    streams: BTreeMap<u64, u64>,
}

/// A stream of the client as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub bytes: BTreeMap<u64, u8>,
    pub size: Option<u64>,
    pub reset: Option<u64>,
}

impl Stream {
    fn end(&self) -> u64 {
        self.size.unwrap_or(0).max(self.bytes.keys().last().map_or(0, |o| o + 1))
    }
    /// All bytes, if all have come.
    pub fn whole(&self) -> Option<Vec<u8>> {
        let size = self.size?;
        (self.bytes.len() as u64 == size && self.reset.is_none())
            .then(|| self.bytes.values().copied().collect())
    }
}

pub struct Server {
    config: Arc<rustls::ServerConfig>,
    /// Changes the transport parameters before they are used.
    adjust: Box<dyn Fn(&mut Params)>,
    tls: Option<ServerConnection>,
    pub tls_error: Option<rustls::Error>,

    /// The id that the client must write to.
    pub id: Vec<u8>,
    /// All ids that the client may write to.
    pub ids: BTreeSet<Vec<u8>>,
    /// The client's first destination.
    pub original: Vec<u8>,
    /// Source of a Retry that was sent.
    pub retried: Option<Vec<u8>>,
    /// What the keys of Initial packets come from.
    initial_id: Option<Vec<u8>>,
    initial: Option<Keys>,
    handshake: Option<Keys>,
    one_rtt: Option<Keys>,
    early: Option<DirectionalKeys>,
    next: Option<Secrets>,
    /// Keys after the first update, after the second and so on: ours and the client's.
    updated: Vec<(Box<dyn PacketKey>, Box<dyn PacketKey>)>,
    /// Key updates so far, of what we send and of what we receive.
    pub send_generation: usize,
    pub receive_generation: usize,

    pub next_number: [u64; 3],
    pub sent_numbers: [BTreeSet<u64>; 3],
    /// Packets of the client, by space.
    pub got: [BTreeSet<u64>; 3],
    ack_due: [bool; 3],
    crypto_in: [BTreeMap<u64, u8>; 3],
    crypto_read: [u64; 3],
    crypto_out: Vec<(Level, Vec<u8>)>,
    pub crypto_offset: [u64; 3],
    write_level: Level,
    done_sent: bool,
    /// Packets by their ECN bits, in each space.
    counts: [[u64; 4]; 3],

    /// Acknowledges at the end of each turn.
    pub acks: bool,
    /// Says what TLS has to say.
    pub answers: bool,
    /// Sends HANDSHAKE_DONE.
    pub confirms: bool,
    /// Reports ECN counts as they came.
    pub reports_ecn: bool,
    /// Checks of packets that only hold where none is lost.
    pub strict: bool,
    /// What it allows is what it said; where it says anything, what the client may do is not looked at.
    pub lawful: bool,
    /// Answers the first packet with a Retry that has this token.
    pub retry: Option<Vec<u8>>,

    pub client_params: BTreeMap<u64, Vec<u8>>,
    grants: Grants,
    pub streams: BTreeMap<u64, Stream>,
    pub seen: Vec<Seen>,
    /// Datagrams of which something could not be read, such as packets whose keys are not there.
    pub unreadable: usize,
    pub datagrams: usize,
    out: VecDeque<(Vec<u8>, u8)>,
}

fn initial_keys(id: &[u8]) -> Keys {
    let provider = super::provider();
    let suite = provider
        .cipher_suites
        .iter()
        .find_map(|s| s.tls13().filter(|s| s.common.suite == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256));
    let suite = suite.and_then(|s| s.quic_suite()).expect("the provider can do QUIC");
    suite.keys(id, rustls::Side::Server, Version::V1)
}

impl Default for Server {
    fn default() -> Server {
        Server::new()
    }
}

impl Server {
    pub fn new() -> Server {
        Server::with(|_| {})
    }

    /// One whose transport parameters are changed.
    pub fn with(adjust: impl Fn(&mut Params) + 'static) -> Server {
        static TLS: std::sync::OnceLock<Arc<rustls::ServerConfig>> = std::sync::OnceLock::new();
        let tls = TLS.get_or_init(|| Arc::new(super::server_tls(super::ALPN, true))).clone();
        Server::over(tls, adjust)
    }

    pub fn over(config: Arc<rustls::ServerConfig>, adjust: impl Fn(&mut Params) + 'static) -> Server {
        let id = b"server-0".to_vec();
        Server {
            config,
            adjust: Box::new(adjust),
            tls: None,
            tls_error: None,
            ids: [id.clone()].into(),
            id,
            original: Vec::new(),
            retried: None,
            initial_id: None,
            initial: None,
            handshake: None,
            one_rtt: None,
            early: None,
            next: None,
            updated: Vec::new(),
            send_generation: 0,
            receive_generation: 0,
            next_number: [0; 3],
            sent_numbers: Default::default(),
            got: Default::default(),
            ack_due: [false; 3],
            crypto_in: Default::default(),
            crypto_read: [0; 3],
            crypto_out: Vec::new(),
            crypto_offset: [0; 3],
            write_level: Level::Initial,
            done_sent: false,
            counts: [[0; 4]; 3],
            acks: true,
            answers: true,
            confirms: true,
            reports_ecn: true,
            strict: true,
            lawful: true,
            retry: None,
            client_params: BTreeMap::new(),
            grants: Grants::default(),
            streams: BTreeMap::new(),
            seen: Vec::new(),
            unreadable: 0,
            datagrams: 0,
            out: VecDeque::new(),
        }
    }

    /// Another id for the server, before anything came.
    pub fn named(mut self, id: &[u8]) -> Server {
        self.id = id.to_vec();
        self.ids = [id.to_vec()].into();
        self
    }

    fn params(&self) -> Params {
        let number = |id, v| (id, wire::varint(v));
        let mut params = vec![
            (param::ORIGINAL_DCID, self.original.clone()),
            (param::INITIAL_SCID, self.id.clone()),
            number(param::MAX_DATA, 10_000_000),
            number(param::STREAM_DATA_BIDI_REMOTE, 1_000_000),
            number(param::STREAM_DATA_UNI, 1_000_000),
            number(param::STREAMS_BIDI, 100),
            number(param::STREAMS_UNI, 10),
            number(param::IDLE_TIMEOUT, 30_000),
        ];
        if !self.id.is_empty() {
            params.push((param::RESET_TOKEN, RESET_TOKEN.to_vec()));
        }
        if let Some(id) = &self.retried {
            params.push((param::RETRY_SCID, id.clone()));
        }
        (self.adjust)(&mut params);
        params
    }

    fn begin(&mut self) {
        let params = self.params();
        let number = |id| {
            let found = params.iter().find(|p| p.0 == id);
            found.and_then(|p| take(&mut p.1.as_slice())).unwrap_or(0)
        };
        self.grants = Grants {
            data: number(param::MAX_DATA),
            bidi: number(param::STREAMS_BIDI),
            uni: number(param::STREAMS_UNI),
            stream_bidi: number(param::STREAM_DATA_BIDI_REMOTE),
            stream_uni: number(param::STREAM_DATA_UNI),
            streams: BTreeMap::new(),
        };
        let mut bytes = Vec::new();
        for (id, value) in &params {
            if *id == TRUNCATED {
                bytes.extend([0x04, 8, 1]);
                continue;
            }
            put(&mut bytes, *id);
            put(&mut bytes, value.len() as u64);
            bytes.extend_from_slice(value);
        }
        let tls = ServerConnection::new(self.config.clone(), Version::V1, bytes);
        self.tls = Some(tls.expect("a configuration for QUIC"));
    }

    // What comes.

    pub fn datagram(&mut self, now: Time, ecn: u8, bytes: &[u8]) {
        let mut rest = bytes;
        let index = self.datagrams;
        self.datagrams += 1;
        let mut initial = false;
        while !rest.is_empty() {
            let id_len = self.id.len();
            let Some(outer) = Outer::take(&mut rest, id_len) else {
                // What pads a datagram behind its packets is no packet.
                self.unreadable += 1;
                break;
            };
            assert_eq!(outer.version, 1, "version");
            initial |= outer.level == Level::Initial;
            self.packet(now, index, bytes.len(), ecn, &outer);
            // What is behind it may need the keys that it brings.
            self.hear();
        }
        assert!(
            !initial || bytes.len() >= 1200,
            "RFC 9000 section 14.1: an Initial in {} bytes",
            bytes.len()
        );
    }

    fn packet(&mut self, now: Time, datagram: usize, size: usize, ecn: u8, outer: &Outer<'_>) {
        if outer.level == Level::Initial {
            let first = self.initial_id.get_or_insert_with(|| outer.dcid.to_vec()).clone();
            if self.original.is_empty() {
                self.original = first.clone();
                assert!(self.original.len() >= 8, "RFC 9000 section 7.2: at least eight bytes");
            }
            if self.initial.is_none() {
                self.initial = Some(initial_keys(&first));
            }
            if let Some(token) = self.retry.take() {
                let source = b"retry-id".to_vec();
                self.push(&wire::retry(outer.scid, &source, &token, &self.original));
                self.initial = Some(initial_keys(&source));
                self.initial_id = Some(source.clone());
                self.retried = Some(source);
                return;
            }
        }
        let Some((inner, generation)) = self.open(outer) else {
            self.unreadable += 1;
            return;
        };
        self.check_header(outer, inner.first, inner.number);
        let what = || format!("{:?} packet {}: {:02x?}", outer.level, inner.number, inner.payload);
        let frames = Frame::all(&inner.payload).unwrap_or_else(|| panic!("no legal frames in {}", what()));
        if outer.level == Level::OneRtt && generation > self.receive_generation {
            self.receive_generation = generation;
            self.send_generation = self.send_generation.max(generation);
        }
        let space = outer.level.space();
        if !self.got[space].insert(inner.number) {
            return;
        }
        self.counts[space][usize::from(ecn & 3)] += 1;
        self.ack_due[space] |= frames.iter().any(Frame::elicits_ack);
        for frame in &frames {
            assert!(frame.allowed_from_client(outer.level), "{frame:?} in {:?}", outer.level);
            if self.lawful || matches!(frame, Frame::Crypto { .. }) && outer.level != Level::OneRtt {
                self.frame(outer.level, frame);
            }
        }
        self.seen.push(Seen {
            at: now,
            datagram,
            size,
            ecn,
            level: outer.level,
            number: inner.number,
            key_phase: inner.first & 4 != 0 && outer.level == Level::OneRtt,
            generation,
            dcid: outer.dcid.to_vec(),
            token: outer.token.to_vec(),
            frames,
        });
    }

    fn open(&self, outer: &Outer<'_>) -> Option<(wire::Inner, usize)> {
        let expected = self.got[outer.level.space()].last().map_or(0, |n| n + 1);
        let keys = match outer.level {
            Level::Initial => &self.initial.as_ref()?.remote,
            Level::Early => self.early.as_ref()?,
            Level::Handshake => &self.handshake.as_ref()?.remote,
            Level::OneRtt => &self.one_rtt.as_ref()?.remote,
        };
        if outer.level != Level::OneRtt {
            return wire::open(outer, &*keys.header, |_| vec![(0, &*keys.packet)], expected);
        }
        let candidates = |first: u8| {
            let phase = usize::from(first >> 2 & 1);
            let near = self.receive_generation.saturating_sub(1)..=self.updated.len();
            let of = |g: usize| if g == 0 { &*keys.packet } else { &*self.updated[g - 1].1 };
            near.filter(|g| g % 2 == phase).map(|g| (g, of(g))).collect()
        };
        wire::open(outer, &*keys.header, candidates, expected)
    }

    fn check_header(&self, outer: &Outer<'_>, first: u8, number: u64) {
        let reserved = if outer.level == Level::OneRtt { 0x18 } else { 0x0c };
        assert_eq!(first & reserved, 0, "RFC 9000 section 17: reserved bits");
        assert_ne!(first & 0x40, 0, "RFC 9000 section 17: the fixed bit");
        if self.strict {
            let last = self.got[outer.level.space()].last().copied();
            assert!(last.is_none_or(|l| number > l), "{number} after {last:?}: numbers rise");
        }
        let known = !self.lawful
            || self.ids.contains(outer.dcid)
            || self.initial_id.as_deref() == Some(outer.dcid) && outer.level < Level::Handshake;
        assert!(known, "to nobody: {:02x?}", outer.dcid);
    }

    fn frame(&mut self, level: Level, frame: &Frame) {
        match frame {
            Frame::Crypto { offset, data } => {
                let space = level.space();
                assert!(space < 2, "a client has nothing to say to TLS in 1-RTT packets");
                self.crypto_in[space].extend((*offset..).zip(data.iter().copied()));
            }
            Frame::Ack { ranges, .. } => {
                for n in ranges.iter().cloned().flatten() {
                    let sent = self.sent_numbers[level.space()].contains(&n);
                    assert!(sent, "{level:?} {n} was never sent, and yet acknowledged");
                }
            }
            Frame::Stream { id, offset, data, fin } => {
                let end = offset + data.len() as u64;
                self.stream_to(*id, end, fin.then_some(end));
                let stream = self.streams.entry(*id).or_default();
                for (at, byte) in (*offset..).zip(data) {
                    let before = stream.bytes.insert(at, *byte);
                    assert!(before.is_none_or(|b| b == *byte), "stream {id} says other bytes at {at}");
                }
            }
            Frame::ResetStream { id, code, size } => {
                self.stream_to(*id, *size, Some(*size));
                self.streams.entry(*id).or_default().reset = Some(*code);
            }
            Frame::MaxStreamData { id, .. } | Frame::StopSending { id, .. } => {
                assert_ne!(id & 3, 2, "stream {id} is one that only the client sends on");
            }
            Frame::StreamDataBlocked { id, .. } => assert_eq!(id & 1, 0, "stream {id} is not sent on"),
            _ => {}
        }
    }

    /// The client's stream goes as far as that: whether it may.
    fn stream_to(&mut self, id: u64, end: u64, size: Option<u64>) {
        assert_eq!(id & 1, 0, "stream {id} is the server's");
        let (count, most) = if id & 2 == 0 {
            (self.grants.bidi, self.grants.stream_bidi)
        } else {
            (self.grants.uni, self.grants.stream_uni)
        };
        assert!(id >> 2 < count, "stream {id} is beyond the limit of {count}");
        let most = most.max(self.grants.streams.get(&id).copied().unwrap_or(0));
        assert!(end <= most, "stream {id} goes to {end}, {most} are allowed");
        let stream = self.streams.entry(id).or_default();
        assert!(
            stream.size.is_none_or(|s| end <= s && size.is_none_or(|new| new == s)),
            "final size of {id}"
        );
        stream.size = stream.size.or(size);
        let rest: u64 = self.streams.iter().filter(|s| *s.0 != id).map(|s| s.1.end()).sum();
        let all = rest + self.streams[&id].end().max(end);
        assert!(all <= self.grants.data, "{all} bytes on all streams, {} are allowed", self.grants.data);
    }

    /// TLS reads what came and says what it has to say.
    fn hear(&mut self) {
        if self.tls.is_none() && !self.crypto_in[0].is_empty() {
            self.begin();
        }
        let Some(tls) = &mut self.tls else { return };
        for space in 0..2 {
            let mut bytes = Vec::new();
            while let Some(byte) = self.crypto_in[space].get(&self.crypto_read[space]) {
                bytes.push(*byte);
                self.crypto_read[space] += 1;
            }
            if !bytes.is_empty()
                && let Err(error) = tls.read_hs(&bytes)
            {
                self.tls_error = Some(error);
            }
        }
        if self.early.is_none() {
            self.early = tls.zero_rtt_keys();
        }
        loop {
            let mut bytes = Vec::new();
            let change = tls.write_hs(&mut bytes);
            let silent = bytes.is_empty();
            if !silent {
                self.crypto_out.push((self.write_level, bytes));
            }
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    self.handshake = Some(keys);
                    self.write_level = Level::Handshake;
                }
                Some(KeyChange::OneRtt { keys, next }) => {
                    self.one_rtt = Some(keys);
                    self.next = Some(next);
                    self.write_level = Level::OneRtt;
                }
                None if silent => break,
                None => {}
            }
        }
        if self.client_params.is_empty()
            && let Some(mut bytes) = tls.quic_transport_parameters()
        {
            while !bytes.is_empty() {
                let (id, len) = (take(&mut bytes).unwrap(), take(&mut bytes).unwrap());
                let value = wire::take_bytes(&mut bytes, len).unwrap().to_vec();
                assert!(self.client_params.insert(id, value).is_none(), "parameter {id:#x} twice");
            }
        }
        self.generation(self.send_generation + 3);
    }

    /// A number among the client's transport parameters.
    pub fn client_param(&self, id: u64) -> Option<u64> {
        self.client_params.get(&id).and_then(|v| take(&mut v.as_slice()))
    }

    fn generation(&mut self, upto: usize) {
        while let Some(next) = self.next.as_mut().filter(|_| self.updated.len() < upto) {
            let keys = next.next_packet_keys();
            self.updated.push((keys.local, keys.remote));
        }
    }

    pub fn is_complete(&self) -> bool {
        self.tls.as_ref().is_some_and(|t| !t.is_handshaking())
    }
    pub fn has_keys(&self, level: Level) -> bool {
        match level {
            Level::Initial => self.initial.is_some(),
            Level::Handshake => self.handshake.is_some(),
            _ => self.one_rtt.is_some(),
        }
    }

    // What goes.

    /// The usual shape of the next packet of this level; its number is used up.
    pub fn shape(&mut self, level: Level) -> Shape {
        let number = self.next_number[level.space()];
        self.next_number[level.space()] += 1;
        Shape {
            level,
            version: 1,
            dcid: Vec::new(),
            scid: self.id.clone(),
            token: Vec::new(),
            number,
            number_len: 4,
            key_phase: self.send_generation % 2 == 1,
            flip: 0,
            longer: 0,
        }
    }

    /// A packet of that shape, protected.
    pub fn sealed(&mut self, shape: &Shape, payload: &[u8]) -> Vec<u8> {
        self.sent_numbers[shape.level.space()].insert(shape.number);
        let generation = self.send_generation;
        self.generation(generation + 3);
        match shape.level {
            Level::Initial => wire::seal_with(shape, payload, &self.initial.as_ref().expect("keys").local),
            Level::Handshake => {
                wire::seal_with(shape, payload, &self.handshake.as_ref().expect("keys").local)
            }
            Level::Early | Level::OneRtt => {
                let first = &self.one_rtt.as_ref().expect("keys of 1-RTT").local;
                let packet = match generation {
                    0 => &*first.packet,
                    n => &*self.updated[n - 1].0,
                };
                wire::seal(shape, payload, &*first.header, packet)
            }
        }
    }

    /// A packet with these bytes for a payload.
    pub fn raw(&mut self, level: Level, payload: &[u8]) -> Vec<u8> {
        let shape = self.shape(level);
        self.sealed(&shape, payload)
    }

    /// A packet with these frames.
    pub fn framed(&mut self, level: Level, frames: &[Frame]) -> Vec<u8> {
        for frame in frames {
            self.grant(frame);
        }
        self.raw(level, &wire::payload(frames))
    }

    /// A datagram with these frames. In an Initial, padded as RFC 9000 section 14.1 wants it.
    pub fn say(&mut self, level: Level, frames: &[Frame]) {
        let mut bytes = self.framed(level, frames);
        if level == Level::Initial && bytes.len() < 1200 {
            // Zeros behind a packet are no packet.
            bytes.resize(1200, 0);
        }
        self.push(&bytes);
    }

    /// The same in a 1-RTT packet.
    pub fn tell(&mut self, frames: &[Frame]) {
        self.say(Level::OneRtt, frames);
    }

    /// A 1-RTT packet with these bytes for a payload.
    pub fn tell_raw(&mut self, payload: &[u8]) {
        let bytes = self.raw(Level::OneRtt, payload);
        self.push(&bytes);
    }

    /// A datagram as it is.
    pub fn push(&mut self, bytes: &[u8]) {
        self.out.push_back((bytes.to_vec(), 0));
    }

    /// The client may do what this frame allows.
    pub fn grant(&mut self, frame: &Frame) {
        match frame {
            Frame::MaxData(max) => self.grants.data = self.grants.data.max(*max),
            Frame::MaxStreamData { id, max } => {
                let most = self.grants.streams.entry(*id).or_default();
                *most = (*most).max(*max);
            }
            Frame::MaxStreams { bidi: true, max } => self.grants.bidi = self.grants.bidi.max(*max),
            Frame::MaxStreams { bidi: false, max } => self.grants.uni = self.grants.uni.max(*max),
            Frame::NewConnectionId { id, .. } => {
                self.ids.insert(id.clone());
            }
            _ => {}
        }
    }

    /// The ACK of a space as things stand.
    pub fn ack_frame(&self, space: usize) -> Option<Frame> {
        let ranges = wire::ranges_of(self.got[space].iter().copied());
        let [_, ect1, ect0, ce] = self.counts[space];
        let ecn = (self.reports_ecn && ect0 + ect1 + ce > 0).then_some([ect0, ect1, ce]);
        (!ranges.is_empty()).then_some(Frame::Ack { delay: 0, ranges, ecn })
    }

    /// What TLS has to say and has not said, as frames.
    pub fn crypto_frames(&mut self, only: impl Fn(Level) -> bool) -> Vec<(Level, Frame)> {
        let mut frames = Vec::new();
        let (said, kept) = std::mem::take(&mut self.crypto_out).into_iter().partition(|c| only(c.0));
        self.crypto_out = kept;
        for (level, bytes) in said as Vec<(Level, Vec<u8>)> {
            for data in bytes.chunks(1000) {
                let offset = self.crypto_offset[level.space()];
                self.crypto_offset[level.space()] += data.len() as u64;
                frames.push((level, Frame::Crypto { offset, data: data.to_vec() }));
            }
        }
        frames
    }

    /// What TLS has to say at this level is said.
    pub fn speak(&mut self, level: Level) {
        for (level, frame) in self.crypto_frames(|l| l == level) {
            self.say(level, &[frame]);
        }
    }

    /// What is said without being told to.
    pub fn flush(&mut self) -> Vec<(Vec<u8>, u8)> {
        if self.answers {
            for (level, frame) in self.crypto_frames(|_| true) {
                self.say(level, &[frame]);
            }
        }
        if self.acks {
            for (space, level) in [(0, Level::Initial), (1, Level::Handshake), (2, Level::OneRtt)] {
                if std::mem::take(&mut self.ack_due[space])
                    && self.has_keys(level)
                    && let Some(ack) = self.ack_frame(space)
                {
                    self.say(level, &[ack]);
                }
            }
        }
        if self.confirms && !self.done_sent && self.is_complete() {
            self.done_sent = true;
            self.tell(&[Frame::HandshakeDone]);
        }
        self.out.drain(..).collect()
    }

    // What was seen.

    /// Frames of all packets.
    pub fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.seen.iter().flat_map(|p| &p.frames)
    }

    /// CONNECTION_CLOSE, the last that came: level, code and frame type.
    pub fn closed(&self) -> Option<(Level, u64, Option<u64>)> {
        self.seen.iter().rev().find_map(|p| {
            p.frames.iter().find_map(|f| match f {
                Frame::Close { code, frame, .. } => Some((p.level, *code, *frame)),
                _ => None,
            })
        })
    }

    /// A stateless reset of `len` bytes (RFC 9000 section 10.3).
    pub fn reset(token: &[u8; 16], len: usize) -> Vec<u8> {
        let mut rng = super::Rng::new(len as u64);
        let mut bytes: Vec<u8> = (0..len - 16).map(|_| rng.next() as u8).collect();
        bytes[0] = 0x40 | (bytes[0] & 0x3f);
        bytes.extend_from_slice(token);
        bytes
    }
}
