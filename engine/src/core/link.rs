//! A link: one place of a pool, its socket, its TLS and its HTTP connection, over and over as connections come and go.

use super::alternative::{Heard, Way};
use super::prelude::Prelude;
use crate::io::Sock;
use crate::tls::TlsSession;
use proto::{ByteInput, ClientConn, CloseReason, ConnStats, Error, Refused, Sink, Template, Time, Token};

/// Where a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    /// No socket. `Link::reopen_at` says when there may be one again.
    Down,
    /// TCP is connecting.
    Connecting,
    /// A proxy was asked for a tunnel.
    Tunnelling,
    /// TLS is shaking hands.
    Handshaking,
    /// HTTP.
    Open,
}

/// What the sink noted about the connection itself.
#[derive(Debug, Default)]
pub(super) struct Tidings {
    pub(super) draining: bool,
    pub(super) closed: Option<CloseReason>,
    /// Set before the end of input is told where the peer did not end it in order: what a close would complete is not
    /// complete.
    pub(super) cut: Option<Error>,
    /// Bytes sent since the last answer: at one request at a time those of the request in flight.
    pub(super) on_the_way: u64,
    /// Set before the end of input is told where no byte of the request in flight had come to the server when it closed.
    pub(super) crossed: bool,
    pub(super) body_seen: bool,
    /// The kernel says that nobody listens at the other end.
    pub(super) refused: bool,
    pub(super) opened_at: Time,
    /// It takes requests though its handshake is not over.
    pub(super) early: bool,
    /// When it was found open, in a phase of handshakes.
    pub(super) greeted: Option<Time>,
    /// What its responses said of alternatives, until something was made of it.
    pub(super) heard: Heard,
    /// As ALPN names it.
    pub(super) protocol: &'static str,
    /// This connection has brought an answer.
    pub(super) served: bool,
    /// When it last did.
    pub(super) last_end: Time,
    /// The first user whose request this connection leaves to the next one: HTTP/1.1 tells of the oldest first.
    pub(super) left_over: Option<u32>,
    /// Over all connections of the link.
    pub(super) client: Client,
}

/// What a link did in the whole run: h2load's client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Client {
    /// Complete responses of the recorded phases, whatever their status.
    pub(crate) answered: u64,
    /// When it first began to connect; `None`: it never did.
    pub(crate) began: Option<Time>,
    /// When a request of it last ended; answers of the present connection have their time with that.
    pub(crate) ended: Time,
}

/// One link.
pub(super) struct Link {
    pub(super) state: LinkState,
    pub(super) target: u16,
    /// Address and source of its connection, or attempt, where that is to the alternative of its target.
    pub(super) elsewhere: Option<Way>,
    pub(super) sock: Option<Sock>,
    pub(super) http: Option<Http>,
    /// What is said before TLS and HTTP, until it is said. Boxed: most connections have none.
    pub(super) prelude: Option<Box<Prelude>>,
    pub(super) tls: Option<Box<TlsSession>>,
    pub(super) tidings: Tidings,
    /// When it may be opened (again).
    pub(super) reopen_at: Time,
    /// When the present state began.
    pub(super) since: Time,
    /// When something was last received or sent.
    pub(super) stirred: Time,
    /// Its earliest entry among the timers.
    pub(super) timer_at: Time,
    /// Its QUIC handshake is under way.
    pub(super) shaking: bool,
    /// Attempts to open it that failed in a row.
    pub(super) failures: u32,
    /// When the first of them was.
    pub(super) failing_since: Time,
    /// Which way to the target comes next.
    pub(super) next_way: u32,
    /// Requests this connection may still take.
    pub(super) budget: u64,
    /// Iterations that may still begin on it in this phase.
    pub(super) quota: u64,
    /// Since when it takes no request though nothing is in flight on it (a server may allow no streams).
    pub(super) stuck_since: Time,
    /// Users that own it and wait for room on it.
    pub(super) waiting: u32,
    /// Which of the users that own it is looked at first when there is room: after the one served last.
    pub(super) turn: u32,
    /// Requests given to the connection since it was last flushed.
    pub(super) fresh: u32,
    /// Its flush was put off for one turn.
    pub(super) held: bool,
    /// Next step, for scenarios that go round robin.
    pub(super) cursor: u32,
    pub(super) low_water: u32,
    /// A send is in the kernel.
    pub(super) sending: bool,
    /// In the list of links to flush.
    pub(super) touched: bool,
    /// In the queue of links with room.
    pub(super) pooled: bool,
    /// No receive is armed (discard mode arms one at a time).
    pub(super) unarmed: bool,
    /// Counters of this connection that are already in the record.
    pub(super) harvested: ConnStats,
}

impl Tidings {
    /// Of the next connection of a link, which begins now.
    pub(super) fn next(&self, now: Time) -> Tidings {
        let client = Client { began: self.client.began.or(Some(now)), ..self.client() };
        Tidings { opened_at: now, client, ..Tidings::default() }
    }

    /// What the link did so far.
    pub(super) fn client(&self) -> Client {
        Client { ended: self.client.ended.max(self.last_end), ..self.client }
    }
}

impl Link {
    /// An attempt failed, or what it opened served nothing.
    pub(super) fn note_failure(&mut self, now: Time) {
        if self.failures == 0 {
            self.failing_since = now;
        }
        self.failures += 1;
    }

    pub(super) fn new(target: u16, reopen_at: Time, first_way: u32) -> Link {
        Link {
            state: LinkState::Down,
            target,
            elsewhere: None,
            sock: None,
            http: None,
            prelude: None,
            tls: None,
            tidings: Tidings::default(),
            reopen_at,
            since: Time::ZERO,
            stirred: Time::ZERO,
            timer_at: Time::NEVER,
            shaking: false,
            failures: 0,
            failing_since: Time::NEVER,
            next_way: first_way,
            budget: u64::MAX,
            quota: u64::MAX,
            stuck_since: Time::NEVER,
            waiting: 0,
            turn: 0,
            fresh: 0,
            held: false,
            cursor: 0,
            low_water: 1,
            sending: false,
            touched: false,
            pooled: false,
            unarmed: false,
            harvested: ConnStats::default(),
        }
    }

    /// Open and to take requests, and nothing that we do or wait for will make room on it.
    pub(super) fn is_stuck(&self) -> bool {
        let idle = |http: &Http| http.in_flight() == 0 && http.capacity() == 0;
        self.state == LinkState::Open && self.budget > 0 && self.http.as_ref().is_some_and(idle)
    }

    /// Down, or open with nothing in flight.
    pub(super) fn is_quiet(&self) -> bool {
        match self.state {
            LinkState::Down => true,
            LinkState::Connecting | LinkState::Tunnelling | LinkState::Handshaking => false,
            LinkState::Open => self.http.as_ref().is_none_or(|http| http.in_flight() == 0),
        }
    }

    /// Requests wait to be sent on it and responses are on their way, and it was not held back for those already.
    #[inline]
    pub(super) fn is_partly_answered(&self) -> bool {
        let more = |http: &Http| http.multiplexes() && http.in_flight() > self.fresh;
        !self.held && self.fresh > 0 && self.http.as_ref().is_some_and(more)
    }

    /// How many requests it takes now.
    #[inline]
    pub(super) fn room(&self) -> u32 {
        match (&self.http, self.state) {
            (Some(http), LinkState::Open) => u64::from(http.capacity()).min(self.budget) as u32,
            _ => 0,
        }
    }
}

/// The HTTP connection of a link, whichever version.
#[allow(clippy::large_enum_variant)]
pub(super) enum Http {
    H1(proto_h1::Connection),
    /// Boxed: it is twice as large, and thousands of idle HTTP/1 links should not pay for it.
    H2(Box<proto_h2::Connection>),
    /// Boxed likewise; over datagrams.
    H3(Box<proto_h3::Connection>),
}

/// A step's request in the wire form of each version.
pub(crate) struct Prepared {
    h1: proto_h1::Prepared,
    h2: proto_h2::Prepared,
    h3: proto_h3::Prepared,
}

impl Prepared {
    /// `index` is the step's place in the dense list.
    pub(crate) fn new(index: u32, template: &Template) -> Prepared {
        Prepared {
            h1: proto_h1::Connection::prepare(index, template),
            h2: proto_h2::Connection::prepare(index, template),
            h3: proto_h3::Connection::prepare(index, template),
        }
    }
}

macro_rules! each {
    ($self:expr, $conn:ident => $call:expr) => {
        match $self {
            Http::H1($conn) => $call,
            Http::H2($conn) => $call,
            Http::H3($conn) => $call,
        }
    };
}

impl Http {
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "what the connection's own submit takes")]
    pub(super) fn submit(
        &mut self,
        now: Time,
        token: Token,
        prepared: &Prepared,
        values: &[&[u8]],
        body: bytes::Bytes,
        want: proto::Want,
    ) -> Result<(), Refused> {
        match self {
            Http::H1(conn) => {
                conn.submit(now, token, proto::Request { prepared: &prepared.h1, values, body, want })
            }
            Http::H2(conn) => {
                conn.submit(now, token, proto::Request { prepared: &prepared.h2, values, body, want })
            }
            Http::H3(conn) => {
                conn.submit(now, token, proto::Request { prepared: &prepared.h3, values, body, want })
            }
        }
    }
    pub(super) fn cancel(&mut self, now: Time, token: Token, sink: &mut impl Sink) {
        each!(self, conn => conn.cancel(now, token, sink));
    }
    pub(super) fn close(&mut self, now: Time, sink: &mut impl Sink) {
        each!(self, conn => conn.close(now, sink));
    }
    #[inline]
    pub(super) fn handle_input(&mut self, now: Time, input: ByteInput<'_>, sink: &mut impl Sink) {
        match self {
            Http::H1(conn) => conn.handle_input(now, input, sink),
            Http::H2(conn) => conn.handle_input(now, input, sink),
            Http::H3(_) => debug_assert!(false, "QUIC is fed datagrams"),
        }
    }
    pub(super) fn handle_timeout(&mut self, now: Time, sink: &mut impl Sink) {
        each!(self, conn => conn.handle_timeout(now, sink));
    }
    #[inline]
    pub(super) fn poll_transmit(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<()> {
        match self {
            Http::H1(conn) => conn.poll_transmit(now, limit, out, sink),
            Http::H2(conn) => conn.poll_transmit(now, limit, out, sink),
            // See `flush_quic`: datagrams go out with what belongs to them.
            Http::H3(_) => None,
        }
    }
    pub(super) fn poll_timeout(&mut self) -> Option<Time> {
        each!(self, conn => conn.poll_timeout())
    }
    #[inline]
    pub(super) fn capacity(&self) -> u32 {
        each!(self, conn => conn.capacity())
    }
    #[inline]
    pub(super) fn due_bytes(&self) -> Option<u64> {
        each!(self, conn => conn.due_bytes())
    }
    pub(super) fn in_flight(&self) -> u32 {
        each!(self, conn => conn.in_flight())
    }
    #[inline]
    pub(super) fn wants_transmit(&self) -> bool {
        each!(self, conn => conn.wants_transmit())
    }
    pub(super) fn stats(&self) -> ConnStats {
        each!(self, conn => conn.stats())
    }
    /// Whether everything that is said at the beginning has been said: in HTTP/2 the server's SETTINGS have come (RFC 9113
    /// section 3.4).
    pub(super) fn is_greeted(&self) -> bool {
        match self {
            Http::H1(_) => true,
            Http::H2(conn) => conn.is_greeted(),
            Http::H3(conn) => !conn.is_handshaking(),
        }
    }
    /// As ALPN and h2load write it.
    pub(super) fn name(&self, over_tls: bool) -> &'static str {
        match self {
            Http::H1(_) => "http/1.1",
            Http::H2(_) if over_tls => "h2",
            Http::H2(_) => "h2c",
            Http::H3(_) => "h3",
        }
    }
    /// Whether several requests are in flight at a time as a rule.
    #[inline]
    pub(super) fn multiplexes(&self) -> bool {
        matches!(self, Http::H2(_) | Http::H3(_))
    }
}
