//! A client connection: the coordinator of everything else in this crate. Commands, getters and the ways to end are here;
//! what arrives is in `receive.rs`, what it means in `http.rs`, what leaves in `transmit.rs`.

mod http;
mod lost;
mod receive;
mod transmit;

use crate::code::Code;
use crate::request::{Prepared, RequestWriter};
use crate::settings::Setup;
use crate::streams::{Early, Part};
use bytes::BytesMut;
use http::Http;
use proto::{
    ClientConn, CloseReason, ConnStats, Error, Kind, PathStats, Refused, Request, Sink, Template, Time, Token,
};
use proto_quic::crypto::Handshake;
use proto_quic::{StreamId, Transmit};
use receive::Task;
use std::time::Duration;

/// Datagrams as one receive call returned them.
#[derive(Debug)]
pub struct Received {
    /// One datagram, or several of one size behind each other (GRO).
    pub bytes: BytesMut,
    /// Their size; the last may be shorter. As large as `bytes` for one.
    pub stride: usize,
    /// The ECN bits of their IP header.
    pub ecn: u8,
}

/// What a connection is fed.
#[derive(Debug)]
pub enum Input<'a> {
    /// A batch of datagrams; taken out of the list.
    Datagrams(&'a mut Vec<Received>),
    /// The socket reports that nobody listens at the other end (ICMP port unreachable).
    Unreachable,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    Open,
    /// No new requests.
    Draining,
    Closed,
}

/// The granularity of QUIC's timers (RFC 9002 section 6.1.2): a timer that is still due after it was handled waits for
/// what the connection has to send, and is not asked for again at once.
const GRANULARITY: Duration = Duration::from_millis(1);

/// An HTTP/3 client connection without I/O. See [`ClientConn`] for how to drive it.
pub struct Connection {
    quic: proto_quic::Connection,
    http: Http,
    writer: RequestWriter,
    state: State,
    /// What a batch asks to be done.
    tasks: Vec<Task>,
    decoder_stream: Option<StreamId>,
    control_stream: Vec<u8>,
    /// QUIC's words for why it gave up.
    why: Option<Box<str>>,
    /// Something happened since `poll_transmit` last had nothing.
    dirty: bool,
    /// A body may be waiting for `100 Continue`.
    may_hold: bool,
    /// Early data was offered, and its fate is not known yet.
    early: bool,
    /// When a timeout was last handled.
    timeout_at: Time,
    max_streams: u32,
    max_udp_payload: u16,
    continue_timeout: Duration,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection about to send its first packet.
    pub fn new(setup: &Setup, server_name: &str, now: Time) -> Result<Connection, Error> {
        let config = &setup.config;
        let quic = proto_quic::Connection::new(&setup.quic(), &*setup.crypto, server_name, setup.qlog(), now)
            .map_err(|_| Error::local(Kind::Tls, "not a server name that TLS can use"))?;
        let mut connection = Connection {
            early: quic.has_early_data(),
            quic,
            http: Http::new(config.header_table_size, config.blocked_streams),
            writer: RequestWriter::default(),
            state: State::Handshake,
            tasks: Vec::new(),
            decoder_stream: None,
            control_stream: config.control_stream(),
            why: None,
            dirty: true,
            may_hold: false,
            timeout_at: Time::ZERO,
            max_streams: config.max_streams,
            max_udp_payload: config.max_udp_payload,
            continue_timeout: config.continue_timeout,
        };
        if connection.early {
            connection.begin();
        }
        Ok(connection)
    }

    /// Whether the server took the early data (0-RTT); `None` if none was offered or it has not answered.
    pub fn early_data_accepted(&self) -> Option<bool> {
        let known = !self.quic.is_handshaking() && self.quic.has_early_data();
        known.then(|| self.quic.early_data_accepted())
    }

    /// What TLS agreed on, once the handshake is over.
    pub fn handshake(&self) -> Option<Handshake> {
        self.quic.handshake()
    }

    /// The server's certificate in DER, where it showed one.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.quic.certificate()
    }

    /// Why QUIC gave up the connection, in its own words, with what TLS or the server said: for people, beside the class of
    /// the error.
    pub fn why_lost(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Whether QUIC's handshake goes on.
    pub fn is_handshaking(&self) -> bool {
        self.quic.is_handshaking()
    }

    /// Heap bytes that the HTTP part holds beside its own size, without QUIC's: for tests and reports about memory.
    pub fn footprint(&self) -> usize {
        self.http.footprint() + self.writer.footprint()
    }

    fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Requests may go out: keys are there.
    fn begin(&mut self) {
        self.state = State::Open;
        self.open_control();
    }

    fn connected(&mut self, sink: &mut impl Sink) {
        if self.early {
            self.early = false;
            if self.quic.early_data_accepted() {
                for slot in self.http.streams.select(|s| s.early == Early::Waits) {
                    self.http.streams.at(slot).early = Early::No;
                    self.write_rest(slot);
                }
                return sink.ready();
            }
            // The server saw nothing of what was sent early; QUIC has forgotten the streams (RFC 9001 section 4.6.2).
            let error =
                Error::peer(Kind::Closed, "the server did not take early data (RFC 9001 section 4.6.2)");
            self.decoder_stream = None;
            for slot in self.http.streams.select(|_| true) {
                self.fail(slot, error, true, sink);
            }
        }
        self.begin();
        sink.ready();
    }

    /// Whether anything of a stream can have left.
    fn may_be_out(&self, slot: usize) -> bool {
        !self.http.fresh.contains(&(slot as u32))
    }

    /// Takes a request that failed out of the books and tells the caller.
    fn fail(&mut self, slot: usize, error: Error, unprocessed: bool, sink: &mut impl Sink) {
        let (stream, kept) = self.http.give_up(slot);
        if kept > 0 {
            self.quic.consumed(stream.id, kept);
        }
        sink.failed(stream.token, error, unprocessed);
    }

    /// No new requests from now on.
    fn drain(&mut self, sink: &mut impl Sink) {
        if matches!(self.state, State::Handshake | State::Open) {
            self.state = State::Draining;
            sink.draining();
        }
    }

    /// A draining connection is over when nothing is in flight.
    fn close_if_drained(&mut self, now: Time, sink: &mut impl Sink) {
        if self.state == State::Draining && self.http.streams.live() == 0 {
            let error = Error::local(Kind::Cancelled, "nothing is in flight");
            self.end(now, Code::NO_ERROR, error, CloseReason::Graceful, sink);
        }
    }

    /// The way out with a word to the peer.
    fn end(&mut self, now: Time, code: Code, in_flight: Error, reason: CloseReason, sink: &mut impl Sink) {
        if self.is_closed() {
            return;
        }
        self.quic.close(now, code.0, b"");
        self.dirty = true;
        self.bury(in_flight, reason, sink);
    }

    /// The way out: fails what is in flight, closes.
    fn bury(&mut self, in_flight: Error, reason: CloseReason, sink: &mut impl Sink) {
        for slot in self.http.streams.select(|_| true) {
            let unprocessed = !self.may_be_out(slot);
            let within = self.http.streams.peek(slot).part != Part::Before && in_flight.kind == Kind::Closed;
            let error =
                if within { Error::network(Kind::Truncated, "closed within a response") } else { in_flight };
            self.fail(slot, error, unprocessed, sink);
        }
        self.state = State::Closed;
        sink.closed(reason);
    }
}

impl ClientConn for Connection {
    type Input<'a> = Input<'a>;
    type Transmit = Transmit;
    type Prepared = Prepared;

    fn prepare(index: u32, template: &Template) -> Prepared {
        Prepared::new(index, template)
    }

    #[inline]
    fn submit(&mut self, now: Time, token: Token, request: Request<'_, Prepared>) -> Result<(), Refused> {
        if matches!(self.state, State::Draining | State::Closed) {
            return Err(Refused::Closed);
        }
        if self.capacity() == 0 {
            return Err(Refused::Full);
        }
        let prepared = request.prepared;
        if let Some(slot) = prepared.bad_value(request.values) {
            return Err(Refused::BadValue { slot });
        }
        let Some(id) = self.quic.open_bi(self.http.streams.next_slot()) else { return Err(Refused::Full) };
        let slot = self.http.streams.open(id);
        let stream = self.http.streams.at(slot);
        stream.token = token;
        stream.fields = request.want.fields;
        stream.is_head = prepared.is_head;
        stream.early = match self.early {
            false => Early::No,
            true if prepared.is_safe => Early::Out,
            true => Early::Waits,
        };
        self.http.fresh.push(slot as u32);
        if prepared.expects_continue && !request.body.is_empty() {
            let until = now.after(self.continue_timeout).max(Time::from_nanos(1));
            self.http.streams.aside_mut(slot).hold = until;
            self.may_hold = true;
        }
        let head = self.writer.write(prepared, request.values, request.body.len());
        self.write(slot, [head, request.body]);
        Ok(())
    }

    fn cancel(&mut self, now: Time, token: Token, sink: &mut impl Sink) {
        if let Some(slot) = self.http.streams.find_token(token) {
            self.abandon(slot, Code::REQUEST_CANCELLED);
            self.fail(slot, Error::local(Kind::Cancelled, "cancelled by the caller"), false, sink);
            self.close_if_drained(now, sink);
        }
    }

    fn close(&mut self, now: Time, sink: &mut impl Sink) {
        let error = Error::local(Kind::Cancelled, "connection closed by the caller");
        self.end(now, Code::NO_ERROR, error, CloseReason::Graceful, sink);
    }

    fn handle_input(&mut self, now: Time, input: Input<'_>, sink: &mut impl Sink) {
        match input {
            Input::Datagrams(batch) if self.is_closed() => batch.clear(),
            _ if self.is_closed() => {}
            input => self.receive(now, input, sink),
        }
    }

    fn handle_timeout(&mut self, now: Time, sink: &mut impl Sink) {
        if self.is_closed() {
            return;
        }
        self.timeout_at = now;
        self.dirty = true;
        if self.may_hold {
            for slot in self.http.streams.held_until(now) {
                self.http.streams.release(slot);
                self.write_rest(slot);
            }
        }
        self.quic.handle_timeout(now);
        self.drive(now, sink);
    }

    fn poll_transmit(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<Transmit> {
        self.transmit(now, limit, out, sink)
    }

    fn poll_timeout(&mut self) -> Option<Time> {
        if self.is_closed() {
            return None;
        }
        let quic = self
            .quic
            .poll_timeout()
            .map(|at| if at <= self.timeout_at { self.timeout_at.after(GRANULARITY) } else { at });
        let held = if self.may_hold { self.http.streams.first_hold() } else { None };
        self.may_hold = held.is_some();
        quic.into_iter().chain(held).min()
    }

    #[inline]
    fn capacity(&self) -> u32 {
        if self.state != State::Open {
            return 0;
        }
        let available = u32::try_from(self.quic.bi_available()).unwrap_or(u32::MAX);
        self.max_streams.saturating_sub(self.http.streams.live()).min(available)
    }

    fn due_bytes(&self) -> Option<u64> {
        None
    }

    fn in_flight(&self) -> u32 {
        self.http.streams.live()
    }

    fn wants_transmit(&self) -> bool {
        self.dirty
    }

    fn stats(&self) -> ConnStats {
        self.http.stats
    }

    fn path(&self) -> Option<PathStats> {
        Some(self.quic.stats())
    }
}
