//! What arrives: QUIC reads datagrams and lends the contents of streams, which are understood at once. What that asks of QUIC in
//! turn is done when all of a batch was read.

use super::http::Http;
use super::{Connection, Input, State, lost};
use crate::code::Code;
use crate::fault::{self, Breach, Scope};
use crate::incoming::Carries;
use proto::{CloseReason, Error, Kind, Sink, Time};
use proto_quic::{Connection as Quic, Event, Receiver, StreamId};

/// What is to be done when a batch was read.
#[derive(Debug)]
pub(super) enum Task {
    /// RESET_STREAM and STOP_SENDING, on a stream that is in flight no more.
    Abandon(StreamId, Code),
    /// RESET_STREAM: the rest of a request is of no use.
    Reset(StreamId, Code),
    /// STOP_SENDING: a stream of the server that nobody reads.
    Stop(StreamId),
    /// Bytes that were kept will not be read.
    Consumed(StreamId, u64),
    /// A body waits no longer.
    WriteRest(usize, StreamId),
    /// GOAWAY came.
    ServerLeaves,
    /// The dynamic table grew.
    RetryWaiting,
    /// A rule of the connection was broken.
    End(&'static Breach),
}

/// Takes what QUIC lends while it reads.
struct Reading<'a, S> {
    now: Time,
    http: &'a mut Http,
    sink: &'a mut S,
    tasks: &'a mut Vec<Task>,
    /// A rule of the connection was broken: nothing counts any more.
    over: bool,
}

impl<S: Sink> Receiver for Reading<'_, S> {
    #[inline]
    fn data(&mut self, id: StreamId, cookie: u32, bytes: &[u8], fin: bool) -> usize {
        if self.over {
            return bytes.len();
        }
        if !is_request(id) {
            self.incoming(id, bytes, fin);
            return bytes.len();
        }
        let Some(slot) = self.http.streams.find(id, cookie) else { return bytes.len() };
        if self.http.streams.peek(slot).blocked {
            return self.wait(slot, bytes, fin);
        }
        match self.http.response_bytes(self.now, slot, bytes, self.sink) {
            Ok(taken) if taken == bytes.len() && !self.http.streams.peek(slot).blocked => {
                if fin {
                    self.end_of_response(slot);
                } else {
                    self.resume_upload(slot);
                }
                taken
            }
            Ok(taken) => taken + self.wait(slot, &bytes[taken..], fin),
            Err(breach) => {
                self.breach(breach, slot);
                bytes.len()
            }
        }
    }

    fn reset(&mut self, id: StreamId, cookie: u32, code: u64) {
        if self.over {
            return;
        }
        if !is_request(id) {
            return self.incoming_ended(id);
        }
        let Some(slot) = self.http.streams.find(id, cookie) else { return };
        let code = Code(code);
        let error = Error::peer(Kind::StreamReset(code.short()), "the server reset the stream");
        // Nothing is left to read there; what we still send is of no use.
        self.tasks.push(Task::Reset(id, Code::REQUEST_CANCELLED));
        self.http.reader.decoder.cancel(id.0, &mut self.http.decoder_out);
        self.fail(slot, error, code == Code::REQUEST_REJECTED);
    }

    fn stopped(&mut self, id: StreamId, cookie: u32, _: u64) {
        if self.over {
            return;
        }
        if !is_request(id) {
            // RFC 9114 section 6.2.1, RFC 9204 section 4.2.
            return self.end(&fault::CRITICAL_CLOSED);
        }
        // QUIC resets the stream in answer; the response may still come (RFC 9114 section 4.1).
        if let Some(slot) = self.http.streams.find(id, cookie) {
            self.http.streams.give_up_writing(slot);
            self.http.streams.at(slot).written = true;
        }
    }
}

fn is_request(id: StreamId) -> bool {
    id.is_client() && id.is_bi()
}

impl<S: Sink> Reading<'_, S> {
    fn end(&mut self, breach: &'static Breach) {
        self.over = true;
        self.tasks.push(Task::End(breach));
    }

    /// Keeps what comes behind a header section that waits; takes none of it.
    #[cold]
    fn wait(&mut self, slot: usize, bytes: &[u8], fin: bool) -> usize {
        let aside = self.http.streams.aside_mut(slot);
        aside.rest.extend_from_slice(bytes);
        aside.ended |= fin;
        0
    }

    /// The wait for `100 Continue` may be over.
    #[inline]
    fn resume_upload(&mut self, slot: usize) {
        let stream = self.http.streams.peek(slot);
        if !stream.written && !self.http.streams.is_held(slot) {
            self.tasks.push(Task::WriteRest(slot, stream.id));
        }
    }

    #[inline]
    fn end_of_response(&mut self, slot: usize) {
        match self.http.end_of_response(slot) {
            Ok(()) => {
                let stream = self.http.streams.retire(slot);
                let (token, id, sent) = (stream.token, stream.id, stream.sent);
                if !sent {
                    // The server answered without waiting for the rest of the request, so the rest is not sent (RFC
                    // 9114 section 4.1).
                    self.tasks.push(Task::Reset(id, Code::NO_ERROR));
                }
                self.http.earn();
                self.sink.done(token);
            }
            Err(breach) => self.breach(breach, slot),
        }
    }

    #[cold]
    fn breach(&mut self, breach: &'static Breach, slot: usize) {
        if breach.scope == Scope::Connection {
            return self.end(breach);
        }
        let id = self.http.streams.peek(slot).id;
        self.tasks.push(Task::Abandon(id, breach.code));
        self.http.reader.decoder.cancel(id.0, &mut self.http.decoder_out);
        self.http.earn();
        // The server says itself that it did nothing and that it may be asked again.
        self.fail(slot, breach.error, breach.code == Code::REQUEST_CANCELLED);
    }

    fn fail(&mut self, slot: usize, error: Error, unprocessed: bool) {
        let (stream, kept) = self.http.give_up(slot);
        if kept > 0 {
            self.tasks.push(Task::Consumed(stream.id, kept));
        }
        self.sink.failed(stream.token, error, unprocessed);
    }

    /// Bytes of a stream of the server.
    fn incoming(&mut self, id: StreamId, bytes: &[u8], fin: bool) {
        let mut carries = match self.http.incoming.find(id) {
            Some(carries) => carries,
            None => {
                self.http.incoming.add(id);
                Carries::Unknown { partial: [0; 8], len: 0 }
            }
        };
        match incoming_bytes(self.http, self.now, id, &mut carries, bytes) {
            Ok(true) => self.tasks.push(Task::ServerLeaves),
            Ok(false) => {}
            Err(breach) => return self.end(breach),
        }
        if carries == Carries::Encoder {
            self.tasks.push(Task::RetryWaiting);
        }
        if fin {
            self.incoming_ended(id);
        } else if carries == Carries::Nothing {
            // Not read, as section 6.2.3 wants it said.
            self.tasks.push(Task::Stop(id));
            self.http.incoming.remove(id);
        }
    }

    /// A stream of the server ended or was reset. It may before its type is known (section 6.2).
    fn incoming_ended(&mut self, id: StreamId) {
        match self.http.incoming.find(id) {
            None | Some(Carries::Unknown { .. } | Carries::Nothing) => self.http.incoming.remove(id),
            Some(_) => self.end(&fault::CRITICAL_CLOSED),
        }
    }
}

/// Bytes of a stream of the server, its type first; returns whether the server goes away.
fn incoming_bytes(
    http: &mut Http,
    now: Time,
    id: StreamId,
    carries: &mut Carries,
    mut bytes: &[u8],
) -> Result<bool, &'static Breach> {
    if matches!(carries, Carries::Unknown { .. }) {
        *carries = http.incoming.read_type(id, &mut bytes)?;
    }
    match carries {
        Carries::Control => return http.control_bytes(now, bytes),
        Carries::Encoder => http.encoder_bytes(bytes)?,
        Carries::Decoder => http.decoder_bytes(now, bytes)?,
        Carries::Unknown { .. } | Carries::Nothing => {}
    }
    Ok(false)
}

impl Connection {
    /// QUIC, and what takes what it lends.
    fn reading<'a, S>(&'a mut self, now: Time, sink: &'a mut S) -> (&'a mut Quic, Reading<'a, S>) {
        let (http, tasks) = (&mut self.http, &mut self.tasks);
        (&mut self.quic, Reading { now, http, sink, tasks, over: false })
    }

    pub(super) fn receive(&mut self, now: Time, input: Input<'_>, sink: &mut impl Sink) {
        self.dirty = true;
        match input {
            Input::Datagrams(batch) => {
                let (quic, mut reading) = self.reading(now, sink);
                for mut received in batch.drain(..) {
                    let (stride, ecn) = (received.stride, received.ecn);
                    quic.handle_datagrams(now, &mut received.bytes, stride, ecn, &mut reading);
                }
                self.drive(now, sink);
            }
            Input::Unreachable => self.unreachable(sink),
        }
    }

    /// ICMP says that nobody listens. In the middle of a connection that is no proof, but the one who could deny it does
    /// not answer.
    fn unreachable(&mut self, sink: &mut impl Sink) {
        let error = match self.state {
            State::Handshake => Error::network(Kind::Connect, "nobody listens at the server's UDP port"),
            _ => Error::network(Kind::Closed, "the server's UDP port was closed"),
        };
        let reason = match (self.state, self.http.streams.live()) {
            (State::Open | State::Draining, 0) => CloseReason::Graceful,
            _ => CloseReason::Error(error),
        };
        self.bury(error, reason, sink);
    }

    /// Does what the last input brought about. What a batch said on streams counts before the end that came with it.
    pub(super) fn drive(&mut self, now: Time, sink: &mut impl Sink) {
        let mut lost = None;
        while let Some(event) = self.quic.poll_event() {
            match event {
                Event::Connected => self.connected(sink),
                Event::StreamsAvailable if self.state == State::Open => sink.ready(),
                Event::StreamsAvailable => {}
                Event::Lost(reason) => lost = Some(reason),
            }
        }
        if !self.tasks.is_empty() {
            self.work(now, sink);
        }
        if let Some(reason) = lost
            && !self.is_closed()
        {
            self.why = Some(reason.to_string().into());
            let lost = lost::sort(&reason, self.state != State::Handshake, self.http.streams.live() == 0);
            self.bury(lost.error, lost.reason, sink);
        }
        if !self.is_closed() {
            self.close_if_drained(now, sink);
        }
    }

    /// The tasks of a batch.
    fn work(&mut self, now: Time, sink: &mut impl Sink) {
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in tasks.drain(..) {
            if self.is_closed() {
                break;
            }
            match task {
                Task::Abandon(id, code) => {
                    self.quic.reset(id, code.0);
                    self.quic.stop_sending(id, code.0);
                }
                Task::Reset(id, code) => self.quic.reset(id, code.0),
                Task::Stop(id) => self.quic.stop_sending(id, Code::STREAM_CREATION_ERROR.0),
                Task::Consumed(id, bytes) => self.quic.consumed(id, bytes),
                Task::WriteRest(slot, id) => {
                    if self.http.streams.find(id, slot as u32).is_some() {
                        self.write_rest(slot);
                    }
                }
                Task::ServerLeaves => self.server_leaves(now, sink),
                Task::RetryWaiting => self.retry_waiting(now, sink),
                Task::End(breach) => {
                    self.end(now, breach.code, breach.error, CloseReason::Error(breach.error), sink)
                }
            }
        }
        // What they brought about in turn was put into the list that stood in meanwhile.
        tasks.append(&mut self.tasks);
        self.tasks = tasks;
        if !self.tasks.is_empty() && !self.is_closed() {
            self.work(now, sink);
        }
        self.tasks.clear();
    }

    /// GOAWAY (section 5.2): what the server will not process is failed, the rest goes on.
    fn server_leaves(&mut self, now: Time, sink: &mut impl Sink) {
        let Some(last) = self.http.gone_away else { return };
        self.http.stats.goaway_code = Some(Code::NO_ERROR.short());
        self.drain(sink);
        let error =
            Error::peer(Kind::GoAway(Code::NO_ERROR.short()), "the server went away (RFC 9114 section 5.2)");
        for slot in self.http.streams.select(|s| s.id.0 >= last) {
            self.abandon(slot, Code::REQUEST_CANCELLED);
            self.fail(slot, error, true, sink);
        }
        self.close_if_drained(now, sink);
    }

    /// The table grew: streams that waited for it may go on.
    fn retry_waiting(&mut self, now: Time, sink: &mut impl Sink) {
        for slot in self.http.waiting.clone() {
            let (quic, mut reading) = self.reading(now, sink);
            match reading.http.retry(slot, reading.sink) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(breach) => {
                    reading.breach(breach, slot);
                    continue;
                }
            }
            let aside = reading.http.streams.aside_mut(slot);
            let (rest, ended) = (std::mem::take(&mut aside.rest), std::mem::take(&mut aside.ended));
            let id = reading.http.streams.peek(slot).id;
            let taken = reading.data(id, slot as u32, &rest, ended);
            quic.consumed(id, taken as u64);
        }
    }
}
