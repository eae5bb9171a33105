//! Links that are QUIC connections: datagrams in and out, QUIC's own timers, and how such a link comes up. What an HTTP
//! connection says is the affair of `traffic`, for all versions.

use super::Core;
use super::link::{Http, LinkState};
use super::notes::Notes;
use crate::clock::Clock;
use crate::io::Driver;
use crate::io::socket::Peer;
use crate::limits;
use crate::stats::recorder::note_connection_error;
use crate::tls::{self, Opening};
use proto::{ClientConn, CloseReason, ConnStats, Error, Fields, Kind, Sink, Time, Token};
use proto_h3::Input;
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What QUIC connections of a run are made with.
pub(crate) struct QuicSetup {
    /// For each of [`Opening::ALL`].
    pub(crate) setups: [proto_h3::Setup; 3],
    /// Somebody said which round-trip time is to be assumed.
    pub(crate) given_rtt: bool,
}

impl QuicSetup {
    fn of(&self, opening: Opening) -> &proto_h3::Setup {
        &self.setups[opening as usize]
    }

    /// A server shakes hands with one connection after the other. What is assumed of the round trip before one was measured
    /// leaves it the time that those before take: else each of a thousand connections that begin at once repeats its first
    /// packet again and again, while the server is still busy with those that it has.
    fn patience(&self, setup: &proto_h3::Setup, before: u64) -> Option<proto_h3::Setup> {
        if self.given_rtt || before == 0 {
            return None;
        }
        let queue = limits::HANDSHAKE_TURN.saturating_mul(u32::try_from(before).unwrap_or(u32::MAX));
        let rtt = (setup.initial_rtt() + queue).min(limits::INITIAL_RTT_MAX).max(setup.initial_rtt());
        Some(setup.with_initial_rtt(rtt))
    }
}

/// h2load's name, `BASE.WORKER.CLIENT.sqlog`; a client makes many connections here, so the number of the connection follows.
fn qlog_path(base: &Path, core: u64, link: u32, connection: u64) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(format!(".{core}.{link}.{connection}.sqlog"));
    name.into()
}

const UNLOGGED: Error = Error::local(Kind::Connect, "a qlog cannot be written");
const BROKEN: Error = Error::network(Kind::Closed, "the QUIC connection broke");

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// Begins a QUIC connection: there is nothing to wait for before its own handshake.
    pub(super) fn start_quic(&mut self, index: u32, peer: &Arc<Peer>, source: Option<IpAddr>, now: Time) {
        let opening = self.opening();
        let target = &self.setup.targets[usize::from(self.links[index as usize].target)];
        let quic = target.quic.as_ref().expect("made for HTTP/3");
        let options = &self.setup.plan.connections.socket;
        let sock = match self.io.open_datagrams(index, peer, source, options) {
            Ok(sock) => sock,
            Err(error) => return self.connect_failed(index, &error, now),
        };
        let link = &mut self.links[index as usize];
        link.sock = Some(sock);
        (link.state, link.since) = (LinkState::Handshaking, now);
        link.harvested = ConnStats::default();
        link.tidings = link.tidings.next(now);
        let name = target.tls.as_ref().map(|t| t.name.to_str()).unwrap_or_default();
        let setup = quic.of(opening);
        let patient = quic.patience(setup, self.shaking);
        link.shaking = true;
        self.shaking += 1;
        let setup = patient.as_ref().unwrap_or(setup);
        let logged;
        let setup = match &self.setup.options.qlog {
            None => setup,
            Some(base) => {
                let path = qlog_path(base, self.share.core.0, index, self.recorder.connections.attempted);
                match File::create(&path) {
                    Ok(file) => logged = setup.with_qlog(BufWriter::new(file)),
                    Err(error) => {
                        let detail = format!("the qlog {} cannot be written: {error}", path.display());
                        return self.open_failed(index, UNLOGGED, detail, now);
                    }
                }
                &logged
            }
        };
        match proto_h3::Connection::new(setup, &name, now) {
            Ok(connection) => {
                link.http = Some(Http::H3(Box::new(connection)));
                if let Some(limit) = self.setup.plan.timeouts.handshake {
                    self.arm_link(index, now.after(limit));
                }
                self.touch(index);
                self.after_datagrams(index, now);
                // The server has work while the next one is made; with early data, requests go along.
                if self.links[index as usize].state == LinkState::Handshaking {
                    self.flush_quic(index, now);
                }
            }
            Err(error) => self.open_failed(index, error, error.detail.to_owned(), now),
        }
    }

    /// The time at which a link is read. A handshake takes as long as hundreds of requests, and many may be in one batch: with
    /// the time of the batch their round trips would be too short and their timers early.
    pub(super) fn reading_time(&self, index: u32, now: Time) -> Time {
        match self.links[index as usize].state {
            LinkState::Handshaking => self.clock.now().max(now),
            _ => now,
        }
    }

    /// Datagrams are there.
    pub(super) fn readable(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        let (Some(sock), Some(Http::H3(connection))) = (link.sock, &mut link.http) else { return };
        let mut batch = std::mem::take(&mut self.datagrams);
        let received = self.io.receive_datagrams(sock, &mut batch);
        link.stirred = now;
        let mut notes = notes!(self, link, now);
        if !batch.is_empty() {
            for received in &batch {
                self.bytes.received += received.bytes.len() as u64;
                let datagrams = received.bytes.len().div_ceil(received.stride.max(1));
                notes.recorder.connections.quic.received_together.record(datagrams as u64);
            }
            connection.handle_input(now, Input::Datagrams(&mut batch), &mut notes);
        }
        if received.is_err_and(|e| is_refusal(&e)) {
            connection.handle_input(now, Input::Unreachable, &mut notes);
        }
        self.datagrams = batch;
        self.after_datagrams(index, now);
    }

    /// What follows from what a QUIC connection said, also before it is open.
    fn after_datagrams(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        if link.state == LinkState::Open {
            if link.tidings.early {
                self.establish_early(index, now);
            }
            return self.after_events(index, now);
        }
        let Some(http) = &mut link.http else { return };
        if let Some(reason) = link.tidings.closed {
            let error = match reason {
                CloseReason::Error(error) => error,
                CloseReason::Graceful => BROKEN,
            };
            let detail = self.why_no_handshake(index, error);
            return self.open_failed(index, error, detail, now);
        }
        // Ready, or early data may go out before the handshake is over.
        if http.capacity() > 0 {
            return self.installed(index, now);
        }
        if http.wants_transmit() {
            self.touch(index);
        }
        let link = &mut self.links[index as usize];
        if let Some(at) = link.http.as_mut().and_then(Http::poll_timeout) {
            self.arm_link(index, at);
        }
    }

    /// A connection that already takes requests: is its handshake over?
    fn establish_early(&mut self, index: u32, now: Time) {
        let link = &self.links[index as usize];
        if let Some(Http::H3(connection)) = &link.http
            && connection.handshake().is_some()
        {
            self.established(index, now);
            if self.is_apart(index) {
                self.greet(index, now);
            }
        }
    }

    /// The QUIC handshake of a link is over, or comes to nothing.
    pub(super) fn handshake_over(&mut self, index: u32) {
        let shaking = std::mem::take(&mut self.links[index as usize].shaking);
        self.shaking -= u64::from(shaking);
    }

    /// Why a handshake came to nothing, for people.
    fn why_no_handshake(&self, index: u32, error: Error) -> String {
        let why = match &self.links[index as usize].http {
            Some(Http::H3(connection)) => connection.why_lost(),
            _ => None,
        };
        // The certificate came with the datagrams that this follows from.
        let refused = tls::why_refused();
        let why = refused.as_deref().or(why).unwrap_or(error.detail);
        format!("QUIC handshake with {}: {why}", self.way_of(index).0)
    }

    /// A connection with early data ended before its handshake did.
    pub(super) fn early_failed(&mut self, index: u32, error: Error) {
        let detail = self.why_no_handshake(index, error);
        self.count_failed(index);
        note_connection_error(&mut self.recorder.connections, error, detail);
    }

    /// Sends what a QUIC connection has to send, many datagrams a call.
    pub(super) fn flush_quic(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        let (Some(sock), Some(Http::H3(connection))) = (link.sock, &mut link.http) else { return };
        link.fresh = 0;
        let mut refused = false;
        loop {
            self.scratch.clear();
            let mut notes = notes!(self, link, now);
            let sent = connection.poll_transmit(now, limits::DATAGRAM_BATCH, &mut self.scratch, &mut notes);
            let Some(transmit) = sent else { break };
            match self.io.send_datagrams(sock, &self.scratch, transmit) {
                Ok(()) => self.bytes.sent += self.scratch.len() as u64,
                Err(error) if is_refusal(&error) => refused = true,
                // Lost on the way: QUIC sends it again. A probe of the path that is too large is meant to be.
                Err(_) => self.recorder.connections.quic.unsent += 1,
            }
        }
        let at = connection.poll_timeout();
        if refused {
            // Not from here: who flushes may be in the middle of closing this link.
            link.tidings.refused = true;
            self.arm_link(index, now);
        } else if let Some(at) = at {
            self.arm_link(index, at);
        }
    }

    /// A timer of a QUIC link fired. True: there is no more to be done.
    pub(super) fn quic_timer(&mut self, index: u32, now: Time) -> bool {
        let link = &mut self.links[index as usize];
        let Some(Http::H3(connection)) = &mut link.http else { return false };
        let due = connection.poll_timeout();
        let mut notes = notes!(self, link, now);
        if std::mem::take(&mut notes.tidings.refused) {
            connection.handle_input(now, Input::Unreachable, &mut notes);
        } else if due.is_some_and(|at| at <= now) {
            connection.handle_timeout(now, &mut notes);
        } else {
            if let Some(at) = due {
                self.arm_link(index, at);
            }
            return false;
        }
        let before = link.tidings.opened_at;
        self.after_datagrams(index, now);
        let link = &self.links[index as usize];
        link.http.is_none() || link.tidings.opened_at != before || link.state == LinkState::Down
    }

    /// The run is over: tells every server that its connection is, which would otherwise wait for it to come back (RFC 9000
    /// section 10.2).
    pub(super) fn leave_quic(&mut self, now: Time) {
        for link in &mut self.links {
            let (Some(sock), Some(Http::H3(connection))) = (link.sock, &mut link.http) else { continue };
            connection.close(now, &mut Nobody);
            self.scratch.clear();
            while let Some(transmit) =
                connection.poll_transmit(now, limits::DATAGRAM_BATCH, &mut self.scratch, &mut Nobody)
            {
                // A farewell that is lost is told again by nobody: the server's idle timeout ends it then.
                let _ = self.io.send_datagrams(sock, &self.scratch, transmit);
                self.scratch.clear();
            }
        }
    }

    /// Adds what QUIC knows of a connection that ends to the record.
    pub(super) fn harvest_path(&mut self, index: u32) {
        let link = &self.links[index as usize];
        let (Some(sock), Some(Http::H3(connection))) = (link.sock, &link.http) else { return };
        let Some(path) = connection.path() else { return };
        let quic = &mut self.recorder.connections.quic;
        quic.add(&path, self.io.datagram_drops(sock));
    }
}

/// Hears what connections say when the books are closed.
struct Nobody;

impl Sink for Nobody {
    fn sent(&mut self, _: Token) {}
    fn head(&mut self, _: Token, _: u16, _: &dyn Fields) {}
    fn body(&mut self, _: Token, _: u64, _: &[u8]) {}
    fn done(&mut self, _: Token) {}
    fn failed(&mut self, _: Token, _: Error, _: bool) {}
    fn closed(&mut self, _: CloseReason) {}
}

/// Nobody listens there, says the kernel (ICMP port unreachable).
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH))
}
