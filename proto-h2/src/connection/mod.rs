//! A client connection: the coordinator of everything else in this crate. Commands, getters and the ways to end are
//! here; what arrives is in `receive.rs`, what leaves in `transmit.rs`.

mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use crate::budget::Budget;
use crate::code::Code;
use crate::fault::{Breach, Scope};
use crate::flow::{ReceiveWindow, SendWindow};
use crate::outbox::{Headers, Outbox};
use crate::request::{Prepared, RequestWriter};
use crate::response::HeadReader;
use crate::settings::{Config, DEFAULT_WINDOW, PeerSettings};
use crate::streams::{Life, NO_UPLOAD, Streams};
use crate::uploads::Uploads;
use proto::{
    ByteInput, ClientConn, CloseReason, ConnStats, Error, Kind, Refused, Request, Sink, Template, Time, Token,
};
use receive::Input;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// No new requests; `announced`: the sink knows.
    Draining {
        announced: bool,
    },
    Closed,
}

/// The last GOAWAY received.
#[derive(Clone, Copy, Debug)]
struct GoneAway {
    last: u32,
    code: Code,
}

/// An HTTP/2 client connection without I/O. See [`ClientConn`] for how to drive it.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    peer: PeerSettings,
    gone_away: Option<GoneAway>,
    streams: Streams,
    reader: HeadReader,
    writer: RequestWriter,
    outbox: Outbox,
    uploads: Uploads,
    input: Input,
    receive_window: ReceiveWindow,
    /// Whose receive windows are to be filled up: streams, each at most once, and 0 for the connection. That is done when
    /// the next bytes leave and not before, so a peer that does not read is given nothing back and soon has to stop.
    owed: Vec<u32>,
    send_window: SendWindow,
    budget: Budget,
    stats: ConnStats,
}

impl Connection {
    /// Whether the server's SETTINGS have come, with which it begins (RFC 9113 section 3.4).
    pub fn is_greeted(&self) -> bool {
        self.peer.seen
    }

    /// A connection about to send its preface. Values of the configuration out of range are brought into it.
    pub fn new(config: Config) -> Connection {
        let config = config.clamped();
        let (receive_window, extra) = ReceiveWindow::new(config.connection_window());
        let mut outbox = Outbox::default();
        config.put_preface(outbox.bytes());
        if let Some(increment) = extra {
            outbox.window_update(0, increment);
        }
        Connection {
            state: State::Open,
            peer: PeerSettings::new(),
            gone_away: None,
            streams: Streams::new(),
            reader: HeadReader::new(config.header_table_size),
            writer: RequestWriter::new(config.encoder_header_table_size as usize),
            outbox,
            uploads: Uploads::default(),
            input: Input::default(),
            receive_window,
            owed: Vec::new(),
            send_window: SendWindow::new(DEFAULT_WINDOW),
            budget: Budget::new(),
            stats: ConnStats::default(),
            config,
        }
    }

    /// Heap bytes that the connection holds beside its own size: for tests and reports about memory.
    pub fn footprint(&self) -> usize {
        self.streams.footprint()
            + self.reader.footprint()
            + self.writer.footprint()
            + self.outbox.footprint()
            + self.uploads.footprint()
            + self.owed.capacity() * size_of::<u32>()
            + self.input.footprint()
    }

    fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Takes a stream that failed out of the books and tells the caller.
    fn fail(&mut self, slot: usize, error: Error, unprocessed: bool, sink: &mut impl Sink) {
        let stream = self.streams.retire(slot, Life::Gone);
        if stream.upload != NO_UPLOAD {
            self.uploads.remove(stream.upload);
        }
        sink.failed(stream.token, error, unprocessed);
    }

    /// The request fails, and the peer hears of that by RST_STREAM if it hears of the request at all.
    fn reset(&mut self, slot: usize, code: Code, error: Error, sink: &mut impl Sink) {
        let id = self.streams.at(slot).id;
        let unheard = self.outbox.take_back(id);
        if !unheard {
            self.outbox.reset(id, code);
            // What was on its way when we reset the stream is not the peer's fault.
            self.budget.earn();
        }
        self.fail(slot, error, unheard, sink);
    }

    /// A rule broken on a stream in flight or by the connection as a whole.
    fn breach(&mut self, breach: &'static Breach, slot: Option<usize>, sink: &mut impl Sink) {
        match (breach.scope, slot) {
            (Scope::Stream, Some(slot)) => {
                self.reset(slot, breach.code, breach.error, sink);
                self.close_if_drained(sink);
            }
            // A stream error on a stream that is no longer there concerns nobody.
            (Scope::Stream, None) => {}
            (Scope::Connection, _) => self.end(breach.code, Ending::because(breach.error), sink),
        }
    }

    /// No new requests from now on.
    fn drain(&mut self, sink: &mut impl Sink) {
        if !matches!(self.state, State::Closed | State::Draining { announced: true }) {
            self.state = State::Draining { announced: true };
            sink.draining();
        }
    }

    /// A draining connection is over when nothing is in flight.
    fn close_if_drained(&mut self, sink: &mut impl Sink) {
        if self.streams.live() > 0 || !matches!(self.state, State::Draining { .. }) {
            return;
        }
        self.drain(sink);
        let reason = match self.gone_away {
            Some(gone) if gone.code != Code::NO_ERROR => CloseReason::Error(went_away(gone)),
            _ => CloseReason::Graceful,
        };
        let in_flight = Error::local(Kind::Cancelled, "nothing is in flight");
        self.end(Code::NO_ERROR, Ending { in_flight, reason }, sink);
    }

    /// The one way out: says GOAWAY, fails what is in flight, closes.
    fn end(&mut self, code: Code, ending: Ending, sink: &mut impl Sink) {
        if self.is_closed() {
            return;
        }
        // Requests of which no byte has left are not sent any more, so the peer cannot have processed them.
        let (outbox, streams) = (&mut self.outbox, &mut self.streams);
        let mut unsent = Vec::new();
        outbox.drop_unsent(|id| unsent.push(id));
        unsent.sort_unstable();
        for slot in streams.live_above(0) {
            let stream = streams.retire(slot, Life::Gone);
            let unprocessed = !stream.out && unsent.binary_search(&stream.id).is_ok();
            sink.failed(stream.token, ending.in_flight, unprocessed);
        }
        self.uploads.clear();
        self.owed = Vec::new();
        self.input = Input::default();
        self.outbox.go_away(code);
        self.state = State::Closed;
        sink.closed(ending.reason);
    }

    /// The peer will send nothing more: there is nobody left to say GOAWAY to.
    fn end_of_input(&mut self, sink: &mut impl Sink) {
        let idle = self.streams.live() == 0;
        let reason = match self.gone_away {
            Some(gone) if gone.code != Code::NO_ERROR => CloseReason::Error(went_away(gone)),
            _ if !self.peer.seen => {
                CloseReason::Error(Error::network(Kind::Closed, "closed before the server's SETTINGS"))
            }
            _ if !self.input.is_between_frames() => {
                CloseReason::Error(Error::network(Kind::Truncated, "closed within a frame"))
            }
            _ if idle => CloseReason::Graceful,
            _ => CloseReason::Error(Error::network(Kind::Closed, "closed with requests in flight")),
        };
        for slot in self.streams.live_above(0) {
            let stream = self.streams.retire(slot, Life::Gone);
            let error = match self.gone_away {
                Some(gone) if gone.code != Code::NO_ERROR => went_away(gone),
                _ if stream.head => Error::network(Kind::Truncated, "closed within a response"),
                _ => Error::network(Kind::Closed, "closed before the response"),
            };
            sink.failed(stream.token, error, !stream.out);
        }
        self.uploads.clear();
        self.owed = Vec::new();
        self.input = Input::default();
        self.outbox = Outbox::default();
        self.state = State::Closed;
        sink.closed(reason);
    }
}

/// How the end of a connection is told.
struct Ending {
    /// What requests in flight fail with.
    in_flight: Error,
    reason: CloseReason,
}

impl Ending {
    fn because(error: Error) -> Ending {
        Ending { in_flight: error, reason: CloseReason::Error(error) }
    }
}

fn went_away(gone: GoneAway) -> Error {
    Error::peer(Kind::GoAway(gone.code.0), "the server went away (RFC 9113 section 6.8)")
}

impl ClientConn for Connection {
    type Input<'a> = ByteInput<'a>;
    type Transmit = ();
    type Prepared = Prepared;

    fn prepare(index: u32, template: &Template) -> Prepared {
        Prepared::new(index, template)
    }

    fn submit(&mut self, now: Time, token: Token, request: Request<'_, Prepared>) -> Result<(), Refused> {
        if self.state != State::Open {
            return Err(Refused::Closed);
        }
        if self.capacity() == 0 {
            return Err(Refused::Full);
        }
        let prepared = request.prepared;
        if let Some(slot) = prepared.bad_value(request.values) {
            return Err(Refused::BadValue { slot });
        }
        let slot = self.streams.open(token, request.want);
        let stream = self.streams.at(slot);
        stream.send_window = SendWindow::new(self.peer.initial_window);
        stream.is_head = prepared.is_head;
        let id = stream.id;
        let at = self.outbox.begin_headers();
        let (end_stream, out) = (request.body.is_empty(), self.outbox.bytes());
        let changes_table = self.writer.write(prepared, request.values, request.body.len(), out);
        let headers = Headers { stream: id, end_stream, changes_table };
        self.outbox.end_headers(at, headers, self.peer.max_frame_size);
        if !request.body.is_empty() {
            let hold = if prepared.expects_continue {
                now.after(self.config.continue_timeout).max(Time::from_nanos(1))
            } else {
                Time::ZERO
            };
            let upload = self.uploads.add(id, request.body, hold);
            let stream = self.streams.at(slot);
            stream.upload = upload;
            self.uploads.requeue(upload, stream.send_window.available() > 0);
        }
        if self.streams.exhausted() {
            self.state = State::Draining { announced: false };
        }
        Ok(())
    }

    fn cancel(&mut self, _now: Time, token: Token, sink: &mut impl Sink) {
        if let Some(slot) = self.streams.find_token(token) {
            let error = Error::local(Kind::Cancelled, "cancelled by the caller");
            self.reset(slot, Code::CANCEL, error, sink);
            self.close_if_drained(sink);
        }
    }

    fn close(&mut self, _now: Time, sink: &mut impl Sink) {
        let in_flight = Error::local(Kind::Cancelled, "connection closed by the caller");
        self.end(Code::NO_ERROR, Ending { in_flight, reason: CloseReason::Graceful }, sink);
    }

    fn handle_input(&mut self, now: Time, input: ByteInput<'_>, sink: &mut impl Sink) {
        match input {
            _ if self.is_closed() => {}
            ByteInput::Bytes(bytes) => self.receive(now, bytes, sink),
            ByteInput::Skipped(len) => self.receive_skipped(len, sink),
            ByteInput::Eof => self.end_of_input(sink),
        }
    }

    fn handle_timeout(&mut self, now: Time, _sink: &mut impl Sink) {
        while let Some(upload) = self.uploads.overdue(now) {
            self.release(upload);
        }
    }

    fn poll_transmit(
        &mut self,
        _now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<()> {
        self.transmit(limit, out, sink)
    }

    fn poll_timeout(&mut self) -> Option<Time> {
        self.uploads.first_deadline()
    }

    #[inline]
    fn capacity(&self) -> u32 {
        if self.state != State::Open {
            return 0;
        }
        self.config.max_streams.min(self.peer.max_streams).saturating_sub(self.streams.live())
    }

    fn due_bytes(&self) -> Option<u64> {
        self.due()
    }

    fn in_flight(&self) -> u32 {
        self.streams.live()
    }

    fn wants_transmit(&self) -> bool {
        !self.outbox.is_empty()
            || self.owes()
            || (self.send_window.available() > 0 && self.uploads.front().is_some())
    }

    fn stats(&self) -> ConnStats {
        ConnStats { peer_max_streams: self.peer.announced_streams, ..self.stats }
    }
}
