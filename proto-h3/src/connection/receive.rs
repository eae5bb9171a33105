//! What arrives: datagrams go to QUIC, and what QUIC makes of them to the streams.

use super::http::Http;
use super::{Connection, Input, State, lost, wire_id};
use crate::code::Code;
use crate::fault::{self, Breach, Scope};
use crate::incoming::Carries;
use proto::{CloseReason, Error, Kind, Sink, Time};
use quinn_proto::{DatagramEvent, Dir, EcnCodepoint, Event, ReadError, Side, StreamEvent, StreamId, VarInt};

/// How reading a stream ended.
enum Read {
    /// More will come.
    Wait,
    /// The peer's FIN.
    End,
    /// The peer's RESET_STREAM.
    Reset(Code),
    /// A rule broken.
    Breach(&'static Breach),
}

impl Connection {
    pub(super) fn receive(&mut self, now: Time, input: Input<'_>, sink: &mut impl Sink) {
        self.dirty = true;
        match input {
            Input::Datagrams(batch) => {
                let instant = self.instant(now);
                for received in batch.drain(..) {
                    let (mut bytes, ecn) = (received.bytes, EcnCodepoint::from_bits(received.ecn));
                    let stride = received.stride.max(1);
                    while !bytes.is_empty() {
                        let datagram = bytes.split_to(stride.min(bytes.len()));
                        self.response.clear();
                        let event = self.endpoint.handle(
                            instant,
                            self.remote,
                            None,
                            ecn,
                            datagram,
                            &mut self.response,
                        );
                        // Anything but an event of our connection belongs to nobody and needs no answer.
                        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
                            self.quic.handle_event(event);
                        }
                    }
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

    /// Takes from QUIC what the last input brought about.
    pub(super) fn drive(&mut self, now: Time, sink: &mut impl Sink) {
        self.batch = self.batch.checked_add(1).unwrap_or(1);
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(event);
            }
        }
        while !self.is_closed()
            && let Some(event) = self.quic.poll()
        {
            self.event(now, event, sink);
        }
        if self.is_closed() {
            return;
        }
        self.refill();
        self.close_if_drained(now, sink);
    }

    fn event(&mut self, now: Time, event: Event, sink: &mut impl Sink) {
        match event {
            Event::Stream(StreamEvent::Readable { id }) => self.readable(now, id, sink),
            Event::Stream(StreamEvent::Opened { dir: Dir::Uni }) => {
                while !self.is_closed()
                    && let Some(id) = self.quic.streams().accept(Dir::Uni)
                {
                    self.http.incoming.add(id);
                    self.read_incoming(now, id, sink);
                }
            }
            // QUIC itself refuses them, since we allow none.
            Event::Stream(StreamEvent::Opened { dir: Dir::Bi }) => {
                self.breach(now, &fault::SERVER_BIDI, None, sink)
            }
            Event::Stream(StreamEvent::Available { dir: Dir::Bi }) if self.state == State::Open => {
                self.refill();
                sink.ready();
            }
            Event::Stream(StreamEvent::Writable { id }) => {
                if let Some(slot) = self.http.streams.find(id).filter(|_| is_request(id)) {
                    self.write_rest(slot);
                }
            }
            Event::Stream(StreamEvent::Stopped { id, error_code }) => self.stopped(now, id, error_code, sink),
            Event::Connected => self.connected(sink),
            Event::ConnectionLost { reason } => {
                self.why = Some(reason.to_string().into());
                let lost = lost::sort(&reason, self.state != State::Handshake, self.http.streams.live() == 0);
                self.bury(lost.error, lost.reason, sink);
            }
            _ => {}
        }
    }

    #[inline]
    fn readable(&mut self, now: Time, id: StreamId, sink: &mut impl Sink) {
        if !is_request(id) {
            return self.read_incoming(now, id, sink);
        }
        let Some(slot) = self.http.streams.find(id) else { return };
        // One reading takes all that a batch brought; QUIC tells once per packet.
        let stream = self.http.streams.at(slot);
        if stream.read_in != self.batch {
            stream.read_in = self.batch;
            self.read_response(now, slot, sink);
        }
    }

    #[inline]
    fn read_response(&mut self, now: Time, slot: usize, sink: &mut impl Sink) {
        let stream = self.http.streams.peek(slot);
        if stream.blocked {
            return;
        }
        let mut receiver = self.quic.recv_stream(stream.id);
        let Ok(mut chunks) = receiver.read(true) else { return };
        let http = &mut self.http;
        let read = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => match http.response_bytes(now, slot, &chunk.bytes, sink) {
                    Ok(taken) if taken == chunk.bytes.len() => {}
                    Ok(taken) => {
                        http.streams.aside_mut(slot).rest = chunk.bytes.slice(taken..);
                        break Read::Wait;
                    }
                    Err(breach) => break Read::Breach(breach),
                },
                Ok(None) => break Read::End,
                Err(ReadError::Blocked) => break Read::Wait,
                Err(ReadError::Reset(code)) => break Read::Reset(Code(code.into_inner())),
            }
            if http.streams.peek(slot).blocked {
                break Read::Wait;
            }
        };
        drop(chunks);
        self.after_read(now, slot, read, sink);
    }

    #[inline]
    fn after_read(&mut self, now: Time, slot: usize, read: Read, sink: &mut impl Sink) {
        match read {
            Read::Wait => self.resume_upload(slot),
            Read::End => match self.http.end_of_response(slot) {
                Ok(()) => self.complete(slot, sink),
                Err(breach) => self.breach(now, breach, Some(slot), sink),
            },
            Read::Reset(code) => {
                let error = Error::peer(Kind::StreamReset(code.short()), "the server reset the stream");
                // Nothing is left to read there; what we still send is of no use.
                let id = self.http.streams.peek(slot).id;
                let _ = self.quic.send_stream(id).reset(VarInt::from_u32(Code::REQUEST_CANCELLED.short()));
                self.http.reader.decoder.cancel(wire_id(id), &mut self.http.decoder_out);
                self.fail(slot, error, code == Code::REQUEST_REJECTED, sink);
            }
            Read::Breach(breach) => self.breach(now, breach, Some(slot), sink),
        }
    }

    /// The wait for `100 Continue` may be over.
    #[inline]
    fn resume_upload(&mut self, slot: usize) {
        if !self.http.streams.peek(slot).written && !self.http.streams.is_held(slot) {
            self.write_rest(slot);
        }
    }

    /// The response is whole.
    #[inline]
    fn complete(&mut self, slot: usize, sink: &mut impl Sink) {
        let stream = self.http.streams.retire(slot);
        let (token, id, written) = (stream.token, stream.id, stream.written);
        if !written {
            // The server answered without waiting for the rest of the request, so the rest is not sent (RFC 9114 section
            // 4.1).
            let _ = self.quic.send_stream(id).reset(VarInt::from_u32(Code::NO_ERROR.short()));
        }
        self.http.earn();
        sink.done(token);
    }

    /// The peer wants no more of a stream of ours.
    fn stopped(&mut self, now: Time, id: StreamId, code: VarInt, sink: &mut impl Sink) {
        if !is_request(id) {
            // RFC 9114 section 6.2.1, RFC 9204 section 4.2.
            return self.breach(now, &fault::CRITICAL_CLOSED, None, sink);
        }
        // RFC 9000 section 3.5: a RESET_STREAM answers; the response may still come (RFC 9114 section 4.1).
        let _ = self.quic.send_stream(id).reset(code);
        if let Some(slot) = self.http.streams.find(id) {
            self.http.streams.give_up_writing(slot);
            let stream = self.http.streams.at(slot);
            // What was cut short is never told as sent.
            stream.sent |= !stream.written;
            stream.written = true;
        }
    }
}

fn is_request(id: StreamId) -> bool {
    id.initiator() == Side::Client && id.dir() == Dir::Bi
}

/// Streams of the server.
impl Connection {
    fn read_incoming(&mut self, now: Time, id: StreamId, sink: &mut impl Sink) {
        let Some(carries) = self.http.incoming.find(id) else { return };
        let mut receiver = self.quic.recv_stream(id);
        let Ok(mut chunks) = receiver.read(true) else { return };
        let (http, mut carries, mut leaving) = (&mut self.http, carries, false);
        let read = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => match incoming_bytes(http, now, id, &mut carries, &chunk.bytes) {
                    Ok(goes) => leaving |= goes,
                    Err(breach) => break Read::Breach(breach),
                },
                Ok(None) => break Read::End,
                Err(ReadError::Blocked) => break Read::Wait,
                Err(ReadError::Reset(code)) => break Read::Reset(Code(code.into_inner())),
            }
            if carries == Carries::Nothing {
                break Read::Wait;
            }
        };
        drop(chunks);
        match (read, carries) {
            (Read::Breach(breach), _) => return self.breach(now, breach, None, sink),
            // A stream may end before its type is known (section 6.2).
            (Read::End | Read::Reset(_), Carries::Unknown { .. } | Carries::Nothing) => {
                self.http.incoming.remove(id)
            }
            (Read::End | Read::Reset(_), _) => {
                return self.breach(now, &fault::CRITICAL_CLOSED, None, sink);
            }
            (Read::Wait, Carries::Nothing) => {
                // Not read, as section 6.2.3 wants it said.
                let code = VarInt::from_u32(Code::STREAM_CREATION_ERROR.short());
                let _ = self.quic.recv_stream(id).stop(code);
                self.http.incoming.remove(id);
            }
            (Read::Wait, _) => {}
        }
        if leaving {
            self.server_leaves(now, sink);
        }
        if carries == Carries::Encoder {
            self.retry_waiting(now, sink);
        }
    }

    /// GOAWAY (section 5.2): what the server will not process is failed, the rest goes on.
    fn server_leaves(&mut self, now: Time, sink: &mut impl Sink) {
        let Some(last) = self.http.gone_away else { return };
        self.http.stats.goaway_code = Some(Code::NO_ERROR.short());
        self.drain(sink);
        let error =
            Error::peer(Kind::GoAway(Code::NO_ERROR.short()), "the server went away (RFC 9114 section 5.2)");
        for slot in self.http.streams.select(|s| wire_id(s.id) >= last) {
            self.abandon(slot, Code::REQUEST_CANCELLED);
            self.fail(slot, error, true, sink);
        }
        self.close_if_drained(now, sink);
    }

    /// The table grew: streams that waited for it may go on.
    fn retry_waiting(&mut self, now: Time, sink: &mut impl Sink) {
        for slot in self.http.waiting.clone() {
            if self.is_closed() {
                return;
            }
            match self.http.retry(slot, sink) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(breach) => {
                    self.breach(now, breach, Some(slot), sink);
                    continue;
                }
            }
            let rest = std::mem::take(&mut self.http.streams.aside_mut(slot).rest);
            match self.http.response_bytes(now, slot, &rest, sink) {
                Ok(taken) => {
                    self.http.streams.aside_mut(slot).rest = rest.slice(taken..);
                    self.read_response(now, slot, sink);
                }
                Err(breach) => self.breach(now, breach, Some(slot), sink),
            }
        }
    }

    /// A rule broken on a stream in flight or by the connection as a whole.
    pub(super) fn breach(
        &mut self,
        now: Time,
        breach: &'static Breach,
        slot: Option<usize>,
        sink: &mut impl Sink,
    ) {
        match (breach.scope, slot) {
            (Scope::Stream, Some(slot)) => {
                self.abandon(slot, breach.code);
                // The server says itself that it did nothing and that it may be asked again.
                self.fail(slot, breach.error, breach.code == Code::REQUEST_CANCELLED, sink);
            }
            // A stream error on a stream that is no longer there concerns nobody.
            (Scope::Stream, None) => {}
            (Scope::Connection, _) => {
                self.end(now, breach.code, breach.error, CloseReason::Error(breach.error), sink)
            }
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
