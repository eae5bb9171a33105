//! A client connection: the coordinator of everything else in this crate. Commands, getters and the ways to end are here;
//! what arrives is in `receive.rs`, what it means in `http.rs`, what leaves in `transmit.rs`.

mod http;
mod lost;
mod receive;
mod transmit;

use crate::code::Code;
use crate::gauge::Gauge;
use crate::request::{Prepared, RequestWriter};
use crate::settings::Setup;
use crate::streams::{Early, Part};
use crate::tls::Handshake;
use bytes::{Bytes, BytesMut};
use http::Http;
use proto::{
    ClientConn, CloseReason, ConnStats, Error, Kind, PathStats, Refused, Request, Sink, Template, Time, Token,
};
use quinn_proto::{ConnectionHandle, Endpoint, StreamId, VarInt};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// What goes with the datagrams handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The ECN bits for their IP header.
    pub ecn: u8,
    /// The size of each datagram but the last, where there are several (GSO).
    pub segment_size: Option<usize>,
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
    endpoint: Endpoint,
    handle: ConnectionHandle,
    quic: quinn_proto::Connection,
    gauge: Arc<Gauge>,
    http: Http,
    writer: RequestWriter,
    state: State,
    remote: SocketAddr,
    /// The moment that [`Time::ZERO`] stands for.
    epoch: Instant,
    /// Streams opened ahead.
    ready: VecDeque<StreamId>,
    /// Requests given to QUIC whole and not yet told as sent.
    unsent: Vec<(u32, StreamId)>,
    decoder_stream: Option<StreamId>,
    control_stream: Vec<u8>,
    /// QUIC's words for why it gave up.
    why: Option<Box<str>>,
    /// A scratch for datagrams.
    response: Vec<u8>,
    /// Something happened since `poll_transmit` last had nothing.
    dirty: bool,
    /// A body may be waiting for `100 Continue`.
    may_hold: bool,
    /// Early data was offered, and its fate is not known yet.
    early: bool,
    /// Slots of the requests that were submitted since datagrams were last handed out: nothing of them can have left.
    fresh: Vec<u32>,
    /// Counts batches of input; never 0, which stands for none.
    batch: u32,
    /// When a timeout was last handled.
    timeout_at: Time,
    max_streams: u32,
    max_udp_payload: u16,
    segments: usize,
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
    /// A connection about to send its first packet. `epoch` is the moment that [`Time::ZERO`] stands for.
    pub fn new(
        setup: &Setup,
        remote: SocketAddr,
        server_name: &str,
        epoch: Instant,
        now: Time,
    ) -> Result<Connection, Error> {
        let config = &setup.config;
        let gauge = Gauge::new(config.congestion);
        let mut endpoint = Endpoint::new(setup.endpoint.clone(), None, true, config.seed);
        let instant = epoch + Duration::from_nanos(now.as_nanos());
        let (handle, quic) = endpoint
            .connect(instant, setup.quic(gauge.clone(), epoch), remote, server_name)
            .map_err(refusal)?;
        let mut connection = Connection {
            endpoint,
            handle,
            early: quic.has_0rtt(),
            quic,
            gauge,
            http: Http::new(config.header_table_size, config.blocked_streams),
            writer: RequestWriter::default(),
            state: State::Handshake,
            remote,
            epoch,
            ready: VecDeque::new(),
            unsent: Vec::new(),
            fresh: Vec::new(),
            decoder_stream: None,
            control_stream: config.control_stream(),
            why: None,
            response: Vec::new(),
            dirty: true,
            may_hold: false,
            batch: 0,
            timeout_at: Time::ZERO,
            max_streams: config.max_streams,
            max_udp_payload: config.max_udp_payload,
            segments: usize::from(config.segments),
            continue_timeout: config.continue_timeout,
        };
        if connection.early {
            connection.begin();
        }
        Ok(connection)
    }

    /// Whether the server took the early data (0-RTT); `None` if none was offered or it has not answered.
    pub fn early_data_accepted(&self) -> Option<bool> {
        let known = !self.quic.is_handshaking() && self.quic.has_0rtt();
        known.then(|| self.quic.accepted_0rtt())
    }

    /// What TLS agreed on, once the handshake is over.
    pub fn handshake(&self) -> Option<Handshake> {
        self.quic.crypto_session().handshake_data()?.downcast().ok().map(|handshake| *handshake)
    }

    /// The server's certificate in DER, where it showed one.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let chain = self.quic.crypto_session().peer_identity()?;
        let chain = chain.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()?;
        chain.first().map(|c| c.to_vec())
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
        self.http.footprint() + self.writer.footprint() + self.response.capacity()
    }

    fn instant(&self, now: Time) -> Instant {
        self.epoch + Duration::from_nanos(now.as_nanos())
    }

    fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Requests may go out: keys are there.
    fn begin(&mut self) {
        self.state = State::Open;
        self.open_control();
        self.refill();
    }

    fn connected(&mut self, sink: &mut impl Sink) {
        if self.early {
            self.early = false;
            if self.quic.accepted_0rtt() {
                for slot in self.http.streams.select(|s| s.early == Early::Waits) {
                    self.http.streams.at(slot).early = Early::No;
                    self.write_rest(slot);
                }
                self.refill();
                return sink.ready();
            }
            // The server saw nothing of what was sent early; QUIC has forgotten the streams (RFC 9001 section 4.6.2).
            let error =
                Error::peer(Kind::Closed, "the server did not take early data (RFC 9001 section 4.6.2)");
            self.ready.clear();
            self.unsent.clear();
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
        !self.fresh.contains(&(slot as u32))
    }

    /// Takes a request that failed out of the books and tells the caller.
    fn fail(&mut self, slot: usize, error: Error, unprocessed: bool, sink: &mut impl Sink) {
        let token = self.http.streams.retire(slot).token;
        self.http.waiting.retain(|s| *s != slot);
        self.fresh.retain(|s| *s as usize != slot);
        sink.failed(token, error, unprocessed);
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
        self.quic.close(self.instant(now), varint(code), Bytes::new());
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
        self.ready.clear();
        self.unsent = Vec::new();
        sink.closed(reason);
    }
}

/// Why no connection could be begun.
fn refusal(error: quinn_proto::ConnectError) -> Error {
    use quinn_proto::ConnectError::*;
    match error {
        InvalidServerName(_) => Error::local(Kind::Tls, "not a server name that TLS can use"),
        InvalidRemoteAddress(_) => Error::local(Kind::Connect, "not an address that can be reached"),
        _ => Error::local(Kind::Connect, "QUIC could not be begun"),
    }
}

fn varint(code: Code) -> VarInt {
    VarInt::from_u64(code.0).unwrap_or(VarInt::MAX)
}

/// A stream's id as frames and instructions carry it.
#[inline]
fn wire_id(id: StreamId) -> u64 {
    VarInt::from(id).into_inner()
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
        let id = self.ready.pop_front().expect("capacity counts them");
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
        self.fresh.push(slot as u32);
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
            self.refill();
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
        let instant = self.instant(now);
        self.quic.handle_timeout(instant);
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
        let quic = self.quic.poll_timeout().map(|t| {
            let nanos = t.saturating_duration_since(self.epoch).as_nanos();
            let at = Time::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            if at <= self.timeout_at { self.timeout_at.after(GRANULARITY) } else { at }
        });
        let held = if self.may_hold { self.http.streams.first_hold() } else { None };
        self.may_hold = held.is_some();
        quic.into_iter().chain(held).min()
    }

    #[inline]
    fn capacity(&self) -> u32 {
        if self.state != State::Open {
            return 0;
        }
        (self.max_streams - self.http.streams.live()).min(self.ready.len() as u32)
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
        let s = self.quic.stats();
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        Some(PathStats {
            datagrams_sent: s.udp_tx.datagrams,
            datagrams_received: s.udp_rx.datagrams,
            bytes_sent: s.udp_tx.bytes,
            bytes_received: s.udp_rx.bytes,
            packets_sent: s.path.sent_packets,
            packets_lost: s.path.lost_packets,
            rtt_min_ns: nanos(s.path.min_rtt),
            rtt_smoothed_ns: nanos(s.path.rtt),
            congestion_window: s.path.cwnd,
            mtu: s.path.current_mtu,
        })
    }
}
