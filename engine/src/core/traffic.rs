//! Links at work: receiving and sending.

use super::Core;
use super::alternative::Heard;
use super::link::{Http, LinkState};
use super::notes::Notes;
use super::opening::explain;
use crate::clock::Clock;
use crate::io::{Chunk, Driver, Receive};
use crate::limits;
use crate::stats::recorder::note_connection_error;
use proto::{ByteInput, Error, Kind, Time};
use std::io;

pub(super) const TLS_BROKEN: Error = Error::peer(Kind::Tls, "a TLS record that cannot be read");
const TLS_CUT: Error =
    Error::peer(Kind::Truncated, "the connection was closed without TLS saying so (RFC 8446 section 6.1)");
const RESET: Error = Error::network(Kind::Reset, "the connection was reset");
const BROKEN: Error = Error::network(Kind::Closed, "the connection broke");

impl<D: Driver, C: Clock> Core<'_, D, C> {
    // ---- receiving ----

    pub(super) fn receive(&mut self, index: u32) {
        let discarding = self.setup.discard;
        let link = &mut self.links[index as usize];
        let sock = link.sock.expect("a connected link has a socket");
        if discarding {
            let due = link.http.as_ref().and_then(|h| h.due_bytes()).unwrap_or(0);
            let how = if due > 0 { Receive::Discard(due) } else { Receive::Once };
            link.unarmed = false;
            self.io.receive(sock, how);
        } else {
            self.io.receive(sock, Receive::Stream);
        }
    }

    pub(super) fn received(&mut self, index: u32, chunk: Chunk, now: Time) {
        self.bytes.received += u64::from(chunk.len);
        let link = &mut self.links[index as usize];
        if let (true, Some(sock)) = (self.setup.plan.connections.socket.quickack, link.sock) {
            self.io.set_quickack(sock);
        }
        (link.unarmed, link.stirred) = (true, now);
        match (&mut link.tls, &mut link.http) {
            (None, Some(http)) => {
                let mut notes = notes!(self, link, now);
                http.handle_input(now, ByteInput::Bytes(self.io.bytes(&chunk)), &mut notes);
                self.io.release(chunk);
                self.after_events(index, now);
            }
            (Some(_), _) => self.received_tls(index, chunk, now),
            (None, None) => self.tunnel_answered(index, chunk, now),
        }
    }

    fn received_tls(&mut self, index: u32, chunk: Chunk, now: Time) {
        let link = &mut self.links[index as usize];
        let tls = link.tls.as_mut().expect("called for links with TLS");
        let fed = match &mut link.http {
            Some(http) => {
                let mut notes = notes!(self, link, now);
                let records = self.io.bytes_mut(&chunk);
                tls.feed(records, &mut self.pieces, |plain| {
                    http.handle_input(now, ByteInput::Bytes(plain), &mut notes);
                })
            }
            None => {
                // A server that speaks first (HTTP/2) may do so in the segment that ends the handshake.
                let early = &mut self.scratch;
                early.clear();
                let records = self.io.bytes_mut(&chunk);
                tls.feed(records, &mut self.pieces, |plain| early.extend_from_slice(plain))
            }
        };
        self.io.release(chunk);
        let (done, wants) = (!tls.is_handshaking(), tls.wants_output());
        match fed {
            Ok(fed) => {
                if wants {
                    self.touch(index);
                }
                if done && self.links[index as usize].state == LinkState::Handshaking {
                    let early = std::mem::take(&mut self.scratch);
                    self.open_http(index, now);
                    if !early.is_empty() {
                        self.with_http(index, now, |http, notes| {
                            http.handle_input(now, ByteInput::Bytes(&early), notes);
                        });
                    }
                    self.scratch = early;
                }
                if fed.closed && self.links[index as usize].http.is_some() {
                    self.end_input(index, now);
                } else if fed.closed {
                    self.eof(index, now);
                } else {
                    self.after_events(index, now);
                }
            }
            Err(error) => self.tls_failed(index, error, now),
        }
    }

    fn tls_failed(&mut self, index: u32, error_text: String, now: Time) {
        if self.links[index as usize].http.is_none() {
            self.open_failed(index, Error::peer(Kind::Tls, "the TLS handshake failed"), error_text, now);
            return;
        }
        note_connection_error(&mut self.recorder.connections, TLS_BROKEN, error_text);
        self.cut_off(index, TLS_BROKEN, now);
    }

    pub(super) fn skipped(&mut self, index: u32, n: u64, now: Time) {
        self.bytes.received += n;
        let link = &mut self.links[index as usize];
        (link.unarmed, link.stirred) = (true, now);
        self.with_http(index, now, |http, notes| http.handle_input(now, ByteInput::Skipped(n), notes));
        self.after_events(index, now);
    }

    /// The peer will send nothing more.
    pub(super) fn eof(&mut self, index: u32, now: Time) {
        match self.links[index as usize].state {
            LinkState::Down => {}
            LinkState::Tunnelling => {
                self.tunnel_failed(index, "it closed the connection instead of answering CONNECT", now);
            }
            LinkState::Connecting | LinkState::Handshaking => {
                let detail = "the server closed the connection during the TLS handshake".to_owned();
                self.open_failed(index, Error::peer(Kind::Tls, "the TLS handshake failed"), detail, now);
            }
            LinkState::Open if self.links[index as usize].tls.is_some() => self.cut_off(index, TLS_CUT, now),
            LinkState::Open => self.end_input(index, now),
        }
    }

    fn end_input(&mut self, index: u32, now: Time) {
        self.note_crossing(index);
        self.with_http(index, now, |http, notes| http.handle_input(now, ByteInput::Eof, notes));
        self.after_events(index, now);
    }

    /// Whether the request in flight and the close of a connection that was idle for the server crossed each other. The
    /// server's FIN acknowledges what had come by then; where that is nothing of the request, the server had decided to close
    /// before it could see one. A reset proves nothing: it acknowledges nothing.
    fn note_crossing(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        let (Some(http @ Http::H1(_)), Some(sock)) = (&link.http, link.sock) else { return };
        let in_order = link.tidings.cut.is_none_or(|cut| cut.kind == Kind::Truncated);
        let on_the_way = link.tidings.on_the_way;
        if in_order && link.tidings.served && http.in_flight() == 1 && on_the_way > 0 {
            link.tidings.crossed = self.io.unacknowledged(sock) >= on_the_way;
        }
    }

    /// The end of input, not in order.
    fn cut_off(&mut self, index: u32, error: Error, now: Time) {
        self.links[index as usize].tidings.cut = Some(error);
        self.end_input(index, now);
    }

    /// The path failed.
    pub(super) fn broken(&mut self, index: u32, error: &io::Error, now: Time) {
        match self.links[index as usize].state {
            LinkState::Down => {}
            LinkState::Connecting => self.connect_failed(index, error, now),
            LinkState::Tunnelling => self.tunnel_failed(index, &explain(error), now),
            LinkState::Handshaking => {
                let detail = format!("TLS handshake: {}", explain(error));
                self.open_failed(index, Error::network(Kind::Tls, "the TLS handshake failed"), detail, now);
            }
            LinkState::Open => {
                let reset = matches!(error.raw_os_error(), Some(libc::ECONNRESET | libc::EPIPE));
                self.cut_off(index, if reset { RESET } else { BROKEN }, now);
            }
        }
    }

    /// Calls the connection of a link with the sink that writes into this core.
    pub(super) fn with_http(&mut self, index: u32, now: Time, call: impl FnOnce(&mut Http, &mut Notes<'_>)) {
        let link = &mut self.links[index as usize];
        if let Some(http) = &mut link.http {
            let mut notes = notes!(self, link, now);
            call(http, &mut notes);
        }
    }

    /// After a connection was given anything: what follows from what it said.
    pub(super) fn after_events(&mut self, index: u32, now: Time) {
        let link = &self.links[index as usize];
        // Also where the response was the last on its connection.
        if link.tidings.heard != Heard::Nothing {
            self.heed(index, now);
        }
        let link = &mut self.links[index as usize];
        let Some(http) = &link.http else { return };
        if link.tidings.closed.is_some() {
            self.closed(index, false, now);
            return;
        }
        if http.wants_transmit() {
            self.touch(index);
        }
        if self.close_if_spent(index, now) {
            return;
        }
        let Some(http) = &mut self.links[index as usize].http else { return };
        if let Some(at) = http.poll_timeout() {
            self.arm_link(index, at);
        }
        self.note_stuck(index, now);
        self.tune_receive(index);
        if self.pooling() {
            let target = usize::from(self.links[index as usize].target);
            if !self.queues.waiting[target].is_empty() && self.links[index as usize].room() > 0 {
                self.serve_waiting(index, now);
            } else {
                self.pool(index);
            }
        } else if self.links[index as usize].waiting > 0 && self.links[index as usize].room() > 0 {
            self.serve_own(index, now); // before those whose request just ended: they come last
        }
    }

    /// A connection that takes no request may do so for as long as a request may take.
    fn note_stuck(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        if !link.is_stuck() {
            link.stuck_since = Time::NEVER;
        } else if link.stuck_since == Time::NEVER {
            link.stuck_since = now;
            if let Some(limit) = self.setup.plan.timeouts.request {
                self.arm_link(index, now.after(limit));
            }
        }
    }

    /// Large bodies: fewer wake-ups by `SO_RCVLOWAT`, or none of the bytes at all by discarding.
    fn tune_receive(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        let (Some(http), Some(sock)) = (&link.http, link.sock) else { return };
        let due = http.due_bytes().unwrap_or(0);
        let on_wire = if link.tls.is_some() { due.saturating_sub(limits::TLS_RECORD) } else { due };
        // Raised once a body and lowered as late as possible: each change is a system call.
        let present = u64::from(link.low_water);
        let low = match on_wire >= limits::LOW_WATER_MIN {
            true if present > 1 && present <= on_wire => present,
            true => on_wire.min(limits::LOW_WATER_MAX),
            false => 1,
        } as u32;
        if low != link.low_water {
            link.low_water = low;
            self.io.set_low_water(sock, low);
        }
        if self.setup.discard && link.unarmed {
            self.receive(index);
        }
    }

    // ---- sending ----

    #[inline]
    pub(super) fn touch(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        if !link.touched {
            link.touched = true;
            self.touched.push(index);
        }
    }

    /// Gives every touched link's bytes to the kernel, one send each.
    pub(super) fn flush(&mut self, now: Time) {
        // In the open model the time from due to sent is what must be true; in the closed model the time of the batch does.
        let now = match !self.touched.is_empty() && self.has_schedule() {
            true => self.clock.now().max(now),
            false => now,
        };
        let mut touched = std::mem::take(&mut self.touched);
        let mut held = 0;
        for i in 0..touched.len() {
            let index = touched[i];
            if self.napping && self.hold(index) {
                touched[held] = index;
                held += 1;
                continue;
            }
            self.links[index as usize].touched = false;
            self.flush_link(index, now);
        }
        touched.truncate(held);
        self.holding = held > 0;
        self.touched = touched;
    }

    /// Requests that follow from the responses of a connection go out before the next connection is read: what they need is
    /// in the cache still, and the server has work.
    pub(super) fn answer_at_once(&mut self, index: u32, now: Time) {
        if self.has_schedule() || self.pooling() {
            return;
        }
        self.advance_users(now);
        let link = &mut self.links[index as usize];
        if self.touched.last() == Some(&index) && !(self.napping && link.is_partly_answered()) {
            self.touched.pop();
            (link.touched, link.held) = (false, false);
            self.flush_link(index, now);
        }
    }

    /// Whether a multiplexed connection waits one turn before it is flushed: other responses of it are on their way, and
    /// the requests that follow them then go out in the same write. Else a connection whose answers were once split over
    /// two reads stays split for ever.
    fn hold(&mut self, index: u32) -> bool {
        let link = &mut self.links[index as usize];
        let hold = link.is_partly_answered();
        link.held = hold;
        hold
    }

    pub(super) fn flush_link(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        if let Some(Http::H3(_)) = &link.http {
            return self.flush_quic(index, now);
        }
        let Some(sock) = link.sock else { return };
        if link.sending || link.state == LinkState::Connecting {
            return;
        }
        link.fresh = 0;
        let mut out = self.io.buffer();
        if let Some(prelude) = &mut link.prelude {
            out.append(&mut prelude.out);
            if link.state != LinkState::Tunnelling {
                link.prelude = None;
            }
        }
        match (&mut link.tls, &mut link.http) {
            (None, Some(http)) => {
                let mut notes = notes!(self, link, now);
                while out.len() < limits::SEND_CHUNK
                    && http.poll_transmit(now, limits::SEND_CHUNK - out.len(), &mut out, &mut notes).is_some()
                {
                }
            }
            (Some(tls), http) => {
                if let Some(http) = http {
                    let mut notes = notes!(self, link, now);
                    self.scratch.clear();
                    while self.scratch.len() < limits::SEND_CHUNK
                        && http
                            .poll_transmit(
                                now,
                                limits::SEND_CHUNK - self.scratch.len(),
                                &mut self.scratch,
                                &mut notes,
                            )
                            .is_some()
                    {}
                    if !self.scratch.is_empty() {
                        tls.seal(&self.scratch, &mut out);
                    }
                }
                tls.take_output(&mut out);
            }
            (None, None) => {}
        }
        if out.is_empty() {
            self.io.recycle(out);
            return;
        }
        link.sending = true;
        link.tidings.on_the_way += out.len() as u64;
        self.bytes.sent += out.len() as u64;
        self.io.send(sock, out);
    }

    pub(super) fn sent(&mut self, index: u32, buffer: Vec<u8>, now: Time) {
        self.io.recycle(buffer);
        let link = &mut self.links[index as usize];
        (link.sending, link.stirred) = (false, now);
        let more = link.http.as_ref().is_some_and(Http::wants_transmit)
            || link.tls.as_ref().is_some_and(|t| t.wants_output());
        if more {
            self.touch(index);
        }
        if self.is_apart(index) {
            self.close_if_spent(index, now);
        }
    }
}
