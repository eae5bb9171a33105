//! The state machine of one connection: which bytes belong to which request, and what the caller is told when.

use crate::carry::Carry;
use crate::chunked::{Chunked, Next};
use crate::head::{self, BodyLength, Facts};
use crate::limits;
use crate::memo;
use crate::prepared::{Method, Prepared, Traits};
use bytes::Bytes;
use proto::{
    ByteInput, ClientConn, CloseReason, ConnStats, Error, Fields, Framing, Kind, Refused, Request, Sink,
    Template, Time, Token, Want,
};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// How a connection behaves. One value serves all connections of a run.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Most requests in flight: 1 is plain keep-alive, more is pipelining.
    pub depth: NonZeroU32,
    /// Pipeline only once a response has come and the peer goes on, as RFC 9112 section 9.3.2 asks: one that closes after
    /// each response is then not sent requests to throw away.
    pub first_alone: bool,
    /// Largest response head, in bytes.
    pub max_head: usize,
    /// How long a body waits for `100 (Continue)` where its template asks for it.
    pub expect_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            depth: NonZeroU32::MIN,
            first_alone: false,
            max_head: limits::MAX_HEAD,
            expect_timeout: limits::EXPECT_TIMEOUT,
        }
    }
}

/// What the next input byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A response head, or nothing if no request is in flight.
    Head,
    /// A body of known length.
    Length,
    /// A chunked body.
    Chunked,
    /// Its trailer section.
    Trailers,
    /// A body that the end of the connection ends.
    UntilEof,
    /// Nothing: the response is complete, but its request is still being handed out.
    Early,
    /// Nothing any more.
    Closed,
}

/// What became of the requests behind a response that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// The peer said that it will not look at them (`Connection: close`, RFC 9112 section 9.6).
    Unprocessed,
    /// It may have processed them.
    Unknown,
}

/// A request in flight.
#[derive(Debug)]
struct Entry {
    token: Token,
    /// `None` where nothing follows the head.
    body: Option<Bytes>,
    /// Bytes of its head that are still in `Connection::out`.
    head_left: u32,
    traits: Traits,
    want: Want,
    /// A byte of it was handed out, so the peer may have seen it.
    started: bool,
}

/// One HTTP/1.1 connection, from the first request to its end. See the crate's front page for its decisions.
#[derive(Debug)]
pub struct Connection {
    /// The oldest request in flight: the one whose response comes next.
    front: Option<Entry>,
    /// Those behind it. Never allocated at depth 1.
    rest: VecDeque<Entry>,
    /// Heads of the requests not yet handed out, from `out_at` on.
    out: Vec<u8>,
    /// A head or trailer section that has not come completely. Boxed, because most connections never need it.
    carry: Option<Box<Carry>>,
    /// Content bytes to come: of the body in `Phase::Length`, of the chunk in `Phase::Chunked`.
    left: u64,
    /// Bytes of the body being handed out that have been handed out, its chunk framing included.
    body_at: u64,
    /// When a body waiting for `100 (Continue)` stops waiting.
    expect_until: Time,
    header_bytes: u64,
    data_bytes: u64,
    expect_timeout_ns: u64,
    informational: u32,
    chunked: Chunked,
    out_at: u32,
    /// Requests handed out completely; the next one is being handed out.
    handed: u32,
    depth: u32,
    max_head: u32,
    phase: Phase,
    /// Requests may be sent before the one in front is answered.
    pipelining: bool,
    /// 1xx responses to the front request.
    front_informational: u8,
    /// The request being handed out waits for `100 (Continue)`.
    waiting: bool,
    /// The front request is not handed out any further.
    aborted: bool,
    /// The connection ends after the front response; what then becomes of the requests behind it.
    closing: Option<Behind>,
    /// `submit` refuses.
    refusing: bool,
    /// `Sink::draining` was called.
    draining: bool,
}

const CLOSED: Error = Error::network(Kind::Closed, "the peer closed the connection before it answered");
const CANCELLED: Error = Error::local(Kind::Cancelled, "cancelled");
const GIVEN_UP: Error = Error::local(
    Kind::Cancelled,
    "another request pipelined on the connection timed out, which ends the connection",
);
const AFTER_ERROR: Error =
    Error::peer(Kind::Closed, "the connection was given up after an error in an earlier response");
const NOT_ANSWERED: Error =
    Error::peer(Kind::Closed, "the peer closed the connection after an earlier response");
const HEAD_TOO_LARGE: Error = Error::peer(Kind::TooLarge, "a response head larger than the limit");
const TRAILERS_TOO_LARGE: Error = Error::peer(Kind::TooLarge, "a trailer section larger than the limit");
const UNSOLICITED: Error = Error::peer(Kind::Unsolicited, "bytes that answer no request");

impl Connection {
    /// A new connection: the peer has accepted, nothing was sent.
    pub fn new(config: Config) -> Connection {
        Connection {
            front: None,
            rest: VecDeque::new(),
            out: Vec::new(),
            carry: None,
            left: 0,
            body_at: 0,
            expect_until: Time::NEVER,
            header_bytes: 0,
            data_bytes: 0,
            expect_timeout_ns: u64::try_from(config.expect_timeout.as_nanos()).unwrap_or(u64::MAX),
            informational: 0,
            chunked: Chunked::new(),
            out_at: 0,
            handed: 0,
            depth: config.depth.get(),
            max_head: u32::try_from(config.max_head).unwrap_or(u32::MAX),
            phase: Phase::Head,
            pipelining: !config.first_alone,
            front_informational: 0,
            waiting: false,
            aborted: false,
            closing: None,
            refusing: false,
            draining: false,
        }
    }

    fn count(&self) -> u32 {
        // Bounded by `depth`.
        u32::from(self.front.is_some()) + self.rest.len() as u32
    }

    fn entry(&mut self, i: u32) -> Option<&mut Entry> {
        if i == 0 { self.front.as_mut() } else { self.rest.get_mut(i as usize - 1) }
    }

    // ---- input ----

    fn bytes(&mut self, mut input: &[u8], sink: &mut impl Sink) {
        while !input.is_empty() {
            let used = match self.phase {
                Phase::Head => self.head_input(input, sink),
                Phase::Length => {
                    let n = self.left.min(input.len() as u64);
                    self.left -= n;
                    self.content(n, &input[..n as usize], sink);
                    if self.left == 0 {
                        self.response_over(sink);
                    }
                    Ok(n as usize)
                }
                Phase::Chunked => self.chunked_input(input, sink),
                Phase::Trailers => self.trailer_input(input, sink),
                Phase::UntilEof => {
                    self.content(input.len() as u64, input, sink);
                    Ok(input.len())
                }
                Phase::Early => Err(UNSOLICITED),
                Phase::Closed => return,
            };
            match used {
                Ok(n) => input = &input[n..],
                Err(e) => return self.broken(e, AFTER_ERROR, sink),
            }
        }
    }

    /// A piece of content arrived or was skipped.
    fn content(&mut self, len: u64, bytes: &[u8], sink: &mut impl Sink) {
        self.data_bytes += len;
        let front = self.front.as_ref().expect("a body belongs to a request");
        sink.body(front.token, len, bytes);
    }

    fn head_input(&mut self, input: &[u8], sink: &mut impl Sink) -> Result<usize, Error> {
        let (index, want) = match &self.front {
            Some(front) if front.started => (front.traits.index, front.want),
            _ => return Err(UNSOLICITED),
        };
        let max = self.max_head as usize;
        let carried = self.carried();
        if carried == 0
            && !want.fields
            && let Some((n, facts)) = memo::recall(index, input).filter(|&(n, _)| n <= max)
        {
            return self.head(n, facts, &(), sink);
        }
        if carried > 0 {
            let mut carry = self.carry.take().expect("something is carried");
            carry.push(&input[..input.len().min(max - carried)]);
            if carry.may_be_complete(1)?
                && let Some(n) =
                    head::parse(carry.bytes(), |n, facts, fields| self.head(n, facts?, &fields, sink))?
            {
                self.put_back(carry);
                return Ok(n? - carried);
            }
            return self.carry_on(carry, max, HEAD_TOO_LARGE).map(|()| input.len());
        }
        let window = &input[..input.len().min(max)];
        let complete = head::parse(window, |n, facts, fields| {
            let facts = facts?;
            memo::learn(index, &window[..n], facts);
            self.head(n, facts, &fields, sink)
        })?;
        match complete {
            Some(n) => n,
            None => {
                let mut carry = self.carry.take().unwrap_or_default();
                carry.push(window);
                self.carry_on(carry, max, HEAD_TOO_LARGE).map(|()| input.len())
            }
        }
    }

    /// Keeps what is good but not complete, up to `max` bytes.
    fn carry_on(&mut self, mut carry: Box<Carry>, max: usize, too_large: Error) -> Result<(), Error> {
        if carry.len() >= max {
            return Err(too_large);
        }
        carry.found_good();
        self.carry = Some(carry);
        Ok(())
    }

    fn carried(&self) -> usize {
        self.carry.as_ref().map_or(0, |carry| carry.len())
    }

    /// Keeps an emptied carry-over buffer for the next time, unless it is large.
    fn put_back(&mut self, mut carry: Box<Carry>) {
        if carry.capacity() <= limits::KEEP_BUFFER && self.phase != Phase::Closed {
            carry.clear();
            self.carry = Some(carry);
        }
    }

    /// A complete head of `n` bytes, interim or final. Returns `n`.
    fn head(
        &mut self,
        n: usize,
        facts: Facts,
        fields: &dyn Fields,
        sink: &mut impl Sink,
    ) -> Result<usize, Error> {
        self.header_bytes += n as u64;
        let front = self.front.as_ref().expect("checked by head_input");
        let (token, traits, want) = (front.token, front.traits, front.want);
        if matches!(facts.status, 100 | 102..=199) {
            return self.interim(facts.status, token, sink).map(|()| n);
        }
        if facts.status == 101 && !traits.upgrade {
            return Err(Error::peer(Kind::Head, "101 to a request without upgrade (RFC 9110 15.2.2)"));
        }
        // RFC 9112 section 6.3, in its order.
        let tunnel =
            facts.status == 101 || (traits.method == Method::Connect && (200..300).contains(&facts.status));
        let no_body = tunnel || traits.method == Method::Head || matches!(facts.status, 204 | 304);
        let next = match facts.length {
            _ if no_body => None,
            BodyLength::Exactly(0) => None,
            BodyLength::Exactly(left) => {
                self.left = left;
                Some(Phase::Length)
            }
            BodyLength::Chunked => {
                self.chunked = Chunked::new();
                self.left = 0;
                Some(Phase::Chunked)
            }
            BodyLength::Unsaid => Some(Phase::UntilEof),
        };
        let unsent = self.handed == 0;
        let mut closing = facts.close || traits.last || tunnel || next == Some(Phase::UntilEof);
        let is_error = !(100..400).contains(&facts.status);
        if unsent && (closing || is_error || self.waiting) {
            self.abort();
            closing = true;
        }
        if want.fields {
            sink.head(token, facts.status, fields);
        } else {
            sink.head(token, facts.status, &());
        }
        if closing {
            self.closing = Some(if facts.close { Behind::Unprocessed } else { Behind::Unknown });
            self.drain(sink);
        }
        match next {
            Some(phase) => self.phase = phase,
            None => self.response_over(sink),
        }
        Ok(n)
    }

    fn interim(&mut self, status: u16, token: Token, sink: &mut impl Sink) -> Result<(), Error> {
        if self.front_informational == limits::MAX_INFORMATIONAL {
            return Err(Error::peer(Kind::TooLarge, "more 1xx responses than the limit"));
        }
        self.front_informational += 1;
        self.informational = self.informational.saturating_add(1);
        // Only `100` lets the body go, and only if it is the front request's body that waits.
        if status == 100 && self.handed == 0 {
            self.waiting = false;
            self.expect_until = Time::NEVER;
        }
        sink.informational(token, status);
        Ok(())
    }

    fn chunked_input(&mut self, input: &[u8], sink: &mut impl Sink) -> Result<usize, Error> {
        if self.chunked.in_data() {
            let n = self.left.min(input.len() as u64);
            self.left -= n;
            if self.left == 0 {
                self.chunked.chunk_over();
            }
            self.content(n, &input[..n as usize], sink);
            return Ok(n as usize);
        }
        let (n, next) = self.chunked.advance(&mut self.left, input)?;
        if next == Next::Trailers {
            self.phase = Phase::Trailers;
        }
        Ok(n)
    }

    fn trailer_input(&mut self, input: &[u8], sink: &mut impl Sink) -> Result<usize, Error> {
        let carried = self.carried();
        if carried == 0 && input.starts_with(b"\r\n") {
            self.header_bytes += 2;
            self.response_over(sink);
            return Ok(2);
        }
        let max = limits::MAX_TRAILERS;
        let mut carry = self.carry.take().unwrap_or_default();
        carry.push(&input[..input.len().min(max - carried)]);
        let front = self.front.as_ref().expect("trailers belong to a request");
        let (token, want) = (front.token, front.want);
        if carry.may_be_complete(0)?
            && let Some(n) = head::parse_trailers(carry.bytes(), |n, fields| {
                if want.fields && fields.count() > 0 {
                    sink.trailers(token, &fields);
                }
                n
            })?
        {
            self.header_bytes += n as u64;
            self.put_back(carry);
            self.response_over(sink);
            return Ok(n - carried);
        }
        self.carry_on(carry, max, TRAILERS_TOO_LARGE).map(|()| input.len())
    }

    fn eof(&mut self, sink: &mut impl Sink) {
        match self.phase {
            Phase::Closed => {}
            Phase::UntilEof => self.response_over(sink),
            // The response is complete and final; that the peer did not read on is its right.
            Phase::Early => {
                self.closing.get_or_insert(Behind::Unknown);
                self.front_over(sink);
            }
            Phase::Head if self.carried() == 0 && self.front_informational == 0 => {
                let idle = !self.front.as_ref().is_some_and(|front| front.started);
                self.fail_all(CLOSED, false, sink);
                self.end(if idle { CloseReason::Graceful } else { CloseReason::Error(CLOSED) }, sink);
            }
            Phase::Head => {
                let e = Error::network(Kind::Truncated, "the connection ended within a response head");
                self.broken(e, CLOSED, sink);
            }
            Phase::Length | Phase::Chunked | Phase::Trailers => {
                let e = Error::network(Kind::Truncated, "the connection ended within a response body");
                self.broken(e, CLOSED, sink);
            }
        }
    }

    // ---- ends ----

    /// The front response is complete; is its request handed out, too?
    fn response_over(&mut self, sink: &mut impl Sink) {
        if self.handed == 0 && !self.aborted {
            self.phase = Phase::Early;
        } else {
            self.front_over(sink);
        }
    }

    /// The front exchange is complete.
    fn front_over(&mut self, sink: &mut impl Sink) {
        let front = self.front.take().expect("an exchange belongs to a request");
        self.front = self.rest.pop_front();
        self.handed = self.handed.saturating_sub(1);
        self.front_informational = 0;
        self.phase = Phase::Head;
        sink.done(front.token);
        if let Some(behind) = self.closing {
            self.fail_all(NOT_ANSWERED, behind == Behind::Unprocessed, sink);
            self.end(CloseReason::Graceful, sink);
        } else {
            self.pipelining = true;
        }
    }

    /// The connection cannot go on: the front request fails with `error`, those behind it with `behind`.
    fn broken(&mut self, error: Error, behind: Error, sink: &mut impl Sink) {
        if let Some(front) = self.front.take() {
            sink.failed(front.token, error, !front.started);
        }
        self.fail_all(behind, false, sink);
        self.end(CloseReason::Error(error), sink);
    }

    /// Everything in flight fails. What was never handed out is unprocessed in any case.
    fn fail_all(&mut self, error: Error, unprocessed: bool, sink: &mut impl Sink) {
        for entry in self.front.take().into_iter().chain(self.rest.drain(..)) {
            sink.failed(entry.token, error, unprocessed || !entry.started);
        }
    }

    fn end(&mut self, reason: CloseReason, sink: &mut impl Sink) {
        debug_assert!(self.front.is_none() && self.rest.is_empty());
        self.phase = Phase::Closed;
        self.refusing = true;
        self.handed = 0;
        self.waiting = false;
        self.expect_until = Time::NEVER;
        self.rest = VecDeque::new();
        self.out = Vec::new();
        self.carry = None;
        sink.closed(reason);
    }

    fn drain(&mut self, sink: &mut impl Sink) {
        self.refusing = true;
        if !self.draining {
            self.draining = true;
            sink.draining();
        }
    }

    /// Stops handing out.
    fn abort(&mut self) {
        self.aborted = true;
        self.waiting = false;
        self.expect_until = Time::NEVER;
        self.out = Vec::new();
        self.out_at = 0;
    }
}

impl ClientConn for Connection {
    type Input<'a> = ByteInput<'a>;
    type Transmit = ();
    type Prepared = Prepared;

    fn prepare(index: u32, template: &Template) -> Prepared {
        Prepared::new(index, template)
    }

    fn submit(&mut self, _now: Time, token: Token, request: Request<'_, Prepared>) -> Result<(), Refused> {
        if self.refusing {
            return Err(Refused::Closed);
        }
        if self.capacity() == 0 {
            return Err(Refused::Full);
        }
        let prepared = request.prepared;
        if let Some(slot) = prepared.bad_value(request.values) {
            return Err(Refused::BadValue { slot });
        }
        // Under back pressure the buffer may never run empty; what was handed out must not pile up in it.
        if self.out_at as usize > limits::KEEP_BUFFER {
            self.out.drain(..self.out_at as usize);
            self.out_at = 0;
        }
        let before = self.out.len();
        prepared.render(request.values, &request.body, &mut self.out);
        let body = match prepared.traits.framing {
            Framing::None => None,
            Framing::Length => Some(request.body).filter(|b| !b.is_empty()),
            Framing::Chunked => Some(request.body),
        };
        let entry = Entry {
            token,
            body,
            head_left: (self.out.len() - before) as u32,
            traits: prepared.traits,
            want: request.want,
            started: false,
        };
        self.refusing = entry.traits.last;
        if self.front.is_none() {
            self.front = Some(entry);
        } else {
            self.rest.push_back(entry);
        }
        Ok(())
    }

    fn cancel(&mut self, _now: Time, token: Token, sink: &mut impl Sink) {
        let mut offset = self.out_at as usize;
        let Some(i) = (0..self.count()).find(|&i| {
            let entry = self.entry(i).expect("below count");
            let found = entry.token == token;
            if !found {
                offset += entry.head_left as usize;
            }
            found
        }) else {
            return;
        };
        let entry = self.entry(i).expect("just found");
        let (started, head, last) = (entry.started, entry.head_left as usize, entry.traits.last);
        if started {
            sink.failed(token, CANCELLED, false);
            self.take(i);
            self.fail_all(GIVEN_UP, false, sink);
            return self.end(CloseReason::Error(CANCELLED), sink);
        }
        if !self.aborted {
            self.out.drain(offset..offset + head);
        }
        self.take(i);
        if last && !self.draining {
            self.refusing = false;
        }
        sink.failed(token, CANCELLED, true);
    }

    fn close(&mut self, _now: Time, sink: &mut impl Sink) {
        if self.phase != Phase::Closed {
            self.fail_all(CANCELLED, false, sink);
            self.end(CloseReason::Graceful, sink);
        }
    }

    fn handle_input(&mut self, _now: Time, input: ByteInput<'_>, sink: &mut impl Sink) {
        match input {
            ByteInput::Bytes(bytes) => self.bytes(bytes, sink),
            ByteInput::Skipped(n) => {
                if n == 0 || self.phase == Phase::Closed {
                    return;
                }
                assert!(self.due_bytes().is_some_and(|due| n <= due), "more skipped than due_bytes() allows");
                self.left -= n;
                self.content(n, &[], sink);
                if self.left == 0 {
                    self.response_over(sink);
                }
            }
            ByteInput::Eof => self.eof(sink),
        }
    }

    fn handle_timeout(&mut self, now: Time, _sink: &mut impl Sink) {
        if self.waiting && now >= self.expect_until {
            self.waiting = false;
            self.expect_until = Time::NEVER;
        }
    }

    fn poll_transmit(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<()> {
        let start = out.len();
        let end = start.saturating_add(limit);
        while self.handed < self.count() && out.len() < end && !self.waiting && !self.aborted {
            let i = self.handed;
            let entry = match i {
                0 => self.front.as_mut(),
                _ => self.rest.get_mut(i as usize - 1),
            };
            let entry = entry.expect("below count");
            if entry.head_left > 0 {
                let at = self.out_at as usize;
                let n = (entry.head_left as usize).min(end - out.len());
                out.extend_from_slice(&self.out[at..at + n]);
                entry.started = true;
                entry.head_left -= n as u32;
                self.out_at += n as u32;
                if entry.head_left > 0 {
                    break;
                }
                if self.out_at as usize == self.out.len() {
                    self.out_at = 0;
                    self.out.clear();
                    if self.out.capacity() > limits::KEEP_BUFFER {
                        self.out = Vec::new();
                    }
                }
                if entry.traits.expect && entry.body.as_ref().is_some_and(|b| !b.is_empty()) {
                    self.waiting = true;
                    self.expect_until = now.after(Duration::from_nanos(self.expect_timeout_ns));
                    break;
                }
            }
            if let Some(body) = &entry.body {
                if !hand_out_body(entry.traits.framing, body, &mut self.body_at, end, out) {
                    break;
                }
                entry.body = None;
                self.body_at = 0;
            }
            self.handed = i + 1;
            let (token, last) = (entry.token, entry.traits.last);
            sink.sent(token);
            if last {
                self.drain(sink);
            }
            if self.phase == Phase::Early {
                self.front_over(sink);
            }
        }
        (out.len() > start).then_some(())
    }

    fn poll_timeout(&mut self) -> Option<Time> {
        self.waiting.then_some(self.expect_until)
    }

    fn capacity(&self) -> u32 {
        let depth = if self.pipelining { self.depth } else { 1 };
        if self.refusing { 0 } else { depth - self.count() }
    }

    fn due_bytes(&self) -> Option<u64> {
        let wanted = self.front.as_ref().is_some_and(|front| front.want.body);
        (self.phase == Phase::Length && !wanted).then_some(self.left)
    }

    fn in_flight(&self) -> u32 {
        self.count()
    }

    fn wants_transmit(&self) -> bool {
        self.handed < self.count() && !self.waiting && !self.aborted
    }

    fn stats(&self) -> ConnStats {
        ConnStats {
            header_bytes: self.header_bytes,
            header_bytes_decoded: self.header_bytes,
            data_bytes: self.data_bytes,
            informational: u64::from(self.informational),
            peer_max_streams: None,
            goaway_code: None,
        }
    }
}

impl Connection {
    /// Takes the entry out of the order; the caller says how it ended.
    fn take(&mut self, i: u32) {
        if i == 0 {
            self.front = self.rest.pop_front();
        } else {
            self.rest.remove(i as usize - 1);
        }
    }
}

/// Appends more of a body, from byte `at` of its wire form, up to where `out` has `end` bytes. Returns whether that was
/// all of it.
fn hand_out_body(framing: Framing, body: &Bytes, at: &mut u64, end: usize, out: &mut Vec<u8>) -> bool {
    let mut line = [0; 18];
    let (before, after): (&[u8], &[u8]) = match framing {
        Framing::Chunked if body.is_empty() => (b"", b"0\r\n\r\n"),
        Framing::Chunked => (chunk_line(body.len(), &mut line), b"\r\n0\r\n\r\n"),
        _ => (b"", b""),
    };
    let mut start = 0;
    for part in [before, body, after] {
        let stop = start + part.len() as u64;
        if *at < stop {
            let from = (*at - start) as usize;
            let n = (part.len() - from).min(end - out.len());
            out.extend_from_slice(&part[from..from + n]);
            *at += n as u64;
        }
        if *at < stop {
            return false;
        }
        start = stop;
    }
    true
}

/// The line before a chunk.
fn chunk_line(len: usize, line: &mut [u8; 18]) -> &[u8] {
    let mut at = line.len() - 2;
    line[at..].copy_from_slice(b"\r\n");
    let mut n = len;
    loop {
        at -= 1;
        line[at] = b"0123456789abcdef"[n & 15];
        n >>= 4;
        if n == 0 {
            return &line[at..];
        }
    }
}
