//! A client connection: the coordinator of everything else in this crate. Commands and getters are here; what comes is in
//! `receive.rs`, `frames.rs` and `ack.rs`, the handshake in `handshake.rs`, time in `timers.rs` and `loss.rs`, what goes in
//! `transmit.rs` and `datagram.rs`.

mod ack;
mod datagram;
mod frames;
mod handshake;
mod keys;
mod loss;
mod receive;
mod timers;
mod transmit;

use crate::cids::{Cid, Cids};
use crate::config::Config;
use crate::congestion::Controller;
use crate::crypto::{Crypto, Handshake, Session};
use crate::ecn::Ecn;
use crate::error::{BadServerName, Lost, Violation};
use crate::event::Event;
use crate::limits;
use crate::mtu::Mtu;
use crate::pacer::Pacer;
use crate::params::{self, TransportParams};
use crate::qlog::Qlog;
use crate::rtt::Rtt;
use crate::sent::Sent;
use crate::space::Space;
use crate::stream_id::StreamId;
use crate::streams::Streams;
use bytes::Bytes;
use keys::AllKeys;
use proto::{PathStats, Time};
use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

/// Where a connection is in its life (RFC 9000 section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    Connected,
    /// We said CONNECTION_CLOSE.
    Closing,
    /// The server did, or nobody needs to.
    Draining,
}

/// What CONNECTION_CLOSE says.
#[derive(Clone, Debug)]
struct Farewell {
    application: bool,
    code: u64,
    reason: Vec<u8>,
    /// It is to be said, now or again.
    due: bool,
    /// Datagrams that came since: it is said again when their number is a power of two (RFC 9000 section 10.2.1).
    came: u32,
}

/// Counts of datagrams and packets.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    datagrams_sent: u64,
    datagrams_received: u64,
    bytes_sent: u64,
    bytes_received: u64,
    packets_sent: u64,
    packets_lost: u64,
}

/// See the crate's front page for how to drive it.
pub struct Connection {
    session: Box<dyn Session>,
    state: State,
    keys: AllKeys,
    spaces: [Space; 3],
    streams: Streams,
    cids: Cids,
    rtt: Rtt,
    congestion: Controller,
    pacer: Pacer,
    mtu: Mtu,
    ecn: Ecn,
    /// The ECN bits of the datagrams that are being written.
    mark: u8,
    qlog: Option<Qlog>,
    /// Bytes sent and neither acknowledged nor lost.
    in_flight: u64,
    /// When the window was last seen full, or the pacer in the way. What was in flight then has used it (RFC 9002 section 7.8),
    /// whatever is left to say when it is acknowledged.
    full_at: Option<Time>,
    pto_count: u32,
    /// Since when the probe timeout of a client that has nothing in flight counts (RFC 9002 section 6.2.2.1).
    deadlock_base: Time,
    peer: TransportParams,
    /// The id of our first packet, and that which the server answered from.
    first_dcid: Cid,
    server_scid: Option<Cid>,
    retry_scid: Option<Cid>,
    token: Vec<u8>,
    /// HANDSHAKE_DONE came (RFC 9001 section 4.1.2).
    confirmed: bool,
    /// TLS writes Handshake packets, or did.
    handshake_keys_came: bool,
    early: bool,
    idle: Idle,
    /// Answers to PATH_CHALLENGE that wait.
    path_responses: VecDeque<[u8; 8]>,
    /// Packets that came before their keys.
    early_birds: Vec<(Vec<u8>, u8)>,
    events: VecDeque<Event>,
    farewell: Option<Farewell>,
    closed_at: Time,
    counts: Counts,
    segments: usize,
    max_udp_payload: u16,
    /// A key update is wanted.
    update_keys: bool,
    /// Until when nothing is to be sent.
    paced_until: Option<Time>,
    /// A number that will not be used (RFC 9000 section 21.4).
    skip_at: u64,
    random: u64,
    /// A scratch for the frames of packets that were acknowledged or lost.
    scratch: Vec<Sent>,
    now: Time,
}

/// The idle timeout (RFC 9000 section 10.1).
#[derive(Clone, Copy, Debug)]
struct Idle {
    /// The lesser of both sides'.
    timeout: Option<Duration>,
    since: Time,
    /// Something that asks for an answer was sent since a packet came.
    asked: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .field("in_flight", &self.in_flight)
            .field("rtt", &self.rtt)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection about to send its first packet. `qlog` takes its events as JSON text sequences (RFC 7464).
    pub fn new(
        config: &Config,
        crypto: &dyn Crypto,
        server_name: &str,
        qlog: Option<Box<dyn Write + Send + Sync>>,
        now: Time,
    ) -> Result<Connection, BadServerName> {
        let config = config.clone().clamped();
        let session = crypto.start(server_name, params::write(&config))?;
        let random = random(config.seed);
        // RFC 9000 section 7.2: at least eight bytes that nobody can guess.
        let first_dcid = Cid::new(&random[..8]).unwrap_or_default();
        let mut connection = Connection {
            streams: Streams::new(&config),
            spaces: [Space::new(), Space::new(), Space::new()],
            rtt: Rtt::new(config.initial_rtt),
            congestion: Controller::new(config.congestion, config.known_udp_payload, now),
            pacer: Pacer::new(now),
            mtu: Mtu::new(config.known_udp_payload, config.max_udp_payload),
            ecn: Ecn::new(),
            mark: 0,
            cids: Cids::new(first_dcid),
            keys: AllKeys::default(),
            state: State::Handshake,
            qlog: qlog.map(|to| Qlog::new(to, first_dcid.as_slice(), now)),
            in_flight: 0,
            full_at: None,
            pto_count: 0,
            deadlock_base: now,
            peer: TransportParams::default(),
            first_dcid,
            server_scid: None,
            retry_scid: None,
            token: Vec::new(),
            confirmed: false,
            handshake_keys_came: false,
            early: false,
            idle: Idle { timeout: config.idle_timeout, since: now, asked: false },
            path_responses: VecDeque::new(),
            early_birds: Vec::new(),
            events: VecDeque::new(),
            farewell: None,
            closed_at: now,
            counts: Counts::default(),
            segments: config.segments,
            max_udp_payload: config.max_udp_payload,
            update_keys: false,
            paced_until: None,
            skip_at: u64::from(random[8]) + 1,
            random: u64::from_le_bytes(random[8..16].try_into().unwrap_or_default()),
            scratch: Vec::new(),
            now,
            session,
        };
        connection.keys.initial = Some(connection.session.initial_keys(first_dcid.as_slice()));
        connection.begin_handshake();
        Ok(connection)
    }

    /// Opens a bidirectional stream; nothing is said to the server by that. `None`: the server allows no more now.
    #[inline]
    pub fn open_bi(&mut self, cookie: u32) -> Option<StreamId> {
        if self.is_over() { None } else { self.streams.open_bi(cookie) }
    }

    /// Opens a unidirectional stream.
    pub fn open_uni(&mut self) -> Option<StreamId> {
        if self.is_over() { None } else { self.streams.open_uni() }
    }

    /// How many more bidirectional streams could be opened now.
    #[inline]
    pub fn bi_available(&self) -> u64 {
        if self.is_over() { 0 } else { self.streams.bi_available() }
    }

    /// Adds to what a stream of ours says, `fin`: that was all. Nothing happens if it was reset or is gone.
    #[inline]
    pub fn write(&mut self, id: StreamId, bytes: Bytes, fin: bool) {
        self.streams.write(id, bytes, fin);
    }

    /// Bytes written on a stream and not sent yet.
    pub fn unsent(&mut self, id: StreamId) -> usize {
        self.streams.unsent(id)
    }

    /// RESET_STREAM: what was not yet delivered is given up.
    pub fn reset(&mut self, id: StreamId, code: u64) {
        self.streams.reset(id, code);
    }

    /// STOP_SENDING: what still comes is thrown away.
    pub fn stop_sending(&mut self, id: StreamId, code: u64) {
        self.streams.stop_sending(id, code);
    }

    /// Bytes that [`crate::Receiver::data`] left to the owner were consumed.
    pub fn consumed(&mut self, id: StreamId, bytes: u64) {
        self.streams.consumed(id, bytes);
    }

    /// Ends the connection with a code of the application's; the word to the server is left for `poll_transmit`.
    pub fn close(&mut self, now: Time, code: u64, reason: &[u8]) {
        if !self.is_over() {
            self.say_farewell(now, true, code, reason);
            self.events.clear();
        }
    }

    /// Changes the keys of what we send (RFC 9001 section 6), as soon as that is allowed. For tests.
    pub fn update_keys(&mut self) {
        self.update_keys = true;
    }

    /// What happened, in order.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.streams.more_available) && self.state == State::Connected {
            self.events.push_back(Event::StreamsAvailable);
        }
        self.events.pop_front()
    }

    /// Whether the handshake goes on.
    pub fn is_handshaking(&self) -> bool {
        self.state == State::Handshake
    }

    /// Whether early data may be sent, or was.
    pub fn has_early_data(&self) -> bool {
        self.early
    }

    /// Whether the server took the early data; known once connected.
    pub fn early_data_accepted(&self) -> bool {
        self.early && self.session.early_data_accepted()
    }

    /// What TLS agreed on.
    pub fn handshake(&self) -> Option<Handshake> {
        self.session.handshake()
    }

    /// The server's certificate in DER, where it showed one.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.session.certificate()
    }

    /// The largest datagram sent now.
    #[inline]
    pub fn mtu(&self) -> u16 {
        self.mtu.current()
    }

    /// Figures of the path.
    pub fn stats(&self) -> PathStats {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        PathStats {
            datagrams_sent: self.counts.datagrams_sent,
            datagrams_received: self.counts.datagrams_received,
            bytes_sent: self.counts.bytes_sent,
            bytes_received: self.counts.bytes_received,
            packets_sent: self.counts.packets_sent,
            packets_lost: self.counts.packets_lost,
            rtt_min_ns: nanos(self.rtt.min),
            rtt_smoothed_ns: nanos(self.rtt.smoothed),
            congestion_window: self.congestion.window(),
            mtu: self.mtu.current(),
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Closing | State::Draining)
    }

    /// The server broke a rule.
    fn violation(&mut self, now: Time, violation: Violation) {
        if self.is_over() {
            return;
        }
        let Violation { code, reason } = violation;
        self.say_farewell(now, false, code, reason.as_bytes());
        self.events.push_back(Event::Lost(Lost::Transport { code, reason: reason.into_owned() }));
    }

    fn say_farewell(&mut self, now: Time, application: bool, code: u64, reason: &[u8]) {
        self.state = State::Closing;
        self.closed_at = now;
        let reason = reason[..reason.len().min(limits::REASON)].to_vec();
        self.farewell = Some(Farewell { application, code, reason, due: true, came: 0 });
    }

    /// Over without a word to the server.
    fn lose(&mut self, now: Time, reason: Lost) {
        if !self.is_over() {
            self.state = State::Draining;
            self.closed_at = now;
            self.events.push_back(Event::Lost(reason));
        }
    }

    /// An aperiodic number for what must not be guessed (xorshift).
    fn next_random(&mut self) -> u64 {
        self.random |= 1;
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// Random bytes: those of the seed, or the system's.
fn random(seed: Option<[u8; 32]>) -> [u8; 16] {
    let mut random = [0; 16];
    match seed {
        Some(seed) => random.copy_from_slice(&seed[..16]),
        // Where the system has none, a connection still works, though its first id can be guessed.
        None => drop(aws_lc_rs::rand::fill(&mut random)),
    }
    random
}

impl Config {
    fn clamped(self) -> Config {
        let (least, most) = (*limits::UDP_PAYLOAD.start(), *limits::UDP_PAYLOAD.end());
        let max_udp_payload = self.max_udp_payload.clamp(least, most.min(0x3fff));
        Config {
            stream_window: self.stream_window.clamp(1, 1 << 40),
            connection_window: self.connection_window.clamp(1, 1 << 50),
            uni_streams: self.uni_streams.min(limits::UNI_STREAMS),
            initial_rtt: self.initial_rtt.clamp(Duration::from_micros(1), Duration::from_secs(10)),
            max_udp_payload,
            known_udp_payload: self.known_udp_payload.clamp(least, max_udp_payload),
            segments: self.segments.clamp(1, 64),
            ..self
        }
    }
}
