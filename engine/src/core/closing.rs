//! Links end, by either side or by a timer, and are opened again where there is work.

use super::link::{Http, LinkState};
use super::tracks::Track;
use super::{Core, backoff};
use crate::clock::Clock;
use crate::io::{Driver, Farewell};
use crate::limits;
use crate::stats::recorder::note_connection_error;
use crate::timers::Owner;
use proto::{CloseReason, Error, Fault, Kind, Time};
use std::time::Duration;

const STUCK: Error = Error::peer(Kind::Timeout, "the server allowed no request on the connection");
const TOO_OLD: Error = Error::local(Kind::Timeout, "the connection had reached its age limit");
const SILENT: Error =
    Error::local(Kind::Timeout, "nothing was sent or received on the connection within its limit");
const NO_HANDSHAKE: Error = Error::local(Kind::Timeout, "no answer within the handshake timeout");

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// The HTTP connection is over: takes the link down and opens it again where there is work.
    pub(super) fn closed(&mut self, index: u32, by_us: bool, now: Time) {
        let tidings = &self.links[index as usize].tidings;
        let graceful = tidings.closed == Some(CloseReason::Graceful);
        // To HTTP/1.1 the end of an idle connection is in order, also where it was a reset.
        let reset = tidings.cut.is_some_and(|cut| cut.kind == Kind::Reset);
        match tidings.closed {
            Some(CloseReason::Error(error)) if tidings.early => self.early_failed(index, error),
            // Over HTTP/1.1 the connection goes with a request that takes too long.
            Some(CloseReason::Error(error)) if error.fault == Fault::Local => {
                self.recorder.connections.timed_out += 1;
            }
            _ => self.recorder.connections.lost += u64::from(!graceful || reset),
        }
        let said = self.say_goodbye(index, graceful, now);
        // A connection lost before it served anything is like a failed attempt: without a pause it would be opened in a
        // loop.
        let barren = !self.links[index as usize].tidings.served;
        if barren && !graceful {
            self.shun_elsewhere(index, now);
        }
        let link = &mut self.links[index as usize];
        // One that stood a while was no attempt that failed: a server may close what is idle.
        if !barren || now.since(link.since) > limits::BACKOFF_MAX {
            link.failures = 0;
        }
        let pause = if barren { backoff(link.failures) } else { Duration::ZERO };
        if barren {
            link.note_failure(now);
        }
        let farewell = match (graceful, by_us) {
            (false, _) if !said => Farewell::Abort,
            (false, _) => Farewell::Finish,
            (true, false) => Farewell::Await,
            (true, true) => Farewell::Finish,
        };
        self.reset(index, now, now.after(pause), farewell);
        if !self.is_apart(index) && self.is_wanted(index) {
            self.start_link(index, now);
        }
    }

    /// Whether a link that went down has work to come. Where not, it stays down until a user asks for it.
    pub(super) fn is_wanted(&self, index: u32) -> bool {
        self.is_waited_for(index) || (self.tracks.iter().any(Track::has_work) && self.is_in_use(index))
    }

    /// Whether somebody waits for room on a link: on this one, or on any of its target.
    pub(super) fn is_waited_for(&self, index: u32) -> bool {
        let link = &self.links[index as usize];
        link.waiting > 0 || !self.queues.waiting[usize::from(link.target)].is_empty()
    }

    /// Whether a link is there for users who go on, and not only for one who is led to its target.
    pub(super) fn is_in_use(&self, index: u32) -> bool {
        !self.is_lazy(&self.links[index as usize]) && !self.is_done(index % self.share.links)
    }

    /// Closed for being idle: opened again only when a user wants it.
    fn closed_idle(&mut self, index: u32, now: Time) {
        self.say_goodbye(index, true, now);
        self.reset(index, now, now, Farewell::Finish);
    }

    /// Closed because it took no requests: whoever waited for it fails, and it is opened again where there is work.
    fn closed_stuck(&mut self, index: u32, limit: Duration, now: Time) {
        self.with_http(index, now, |http, notes| http.close(now, notes));
        let connections = &mut self.recorder.connections;
        connections.lost += 1;
        let detail = format!("the server allowed no request on a connection for {limit:?}");
        note_connection_error(connections, STUCK, detail);
        self.say_goodbye(index, true, now);
        self.reset(index, now, now, Farewell::Finish);
        self.fail_waiting(index, STUCK, now);
        if self.is_wanted(index) {
            self.start_link(index, now);
        }
    }

    /// Closed because it is too old or silent: what is in flight on it has timed out, and what had not left yet goes on
    /// another one. Opened again where somebody waits for it, else when a user wants it.
    fn closed_overdue(&mut self, index: u32, error: Error, limit: Duration, now: Time) {
        self.links[index as usize].tidings.cut = Some(error);
        self.with_http(index, now, |http, notes| http.close(now, notes));
        if self.links[index as usize].tidings.early {
            self.count_failed(index);
            self.shun_elsewhere(index, now);
            let detail = format!("{} ({limit:?})", error.detail);
            note_connection_error(&mut self.recorder.connections, error, detail);
        } else {
            self.recorder.connections.timed_out += 1;
        }
        self.say_goodbye(index, true, now);
        self.reset(index, now, now, Farewell::Finish);
        if self.is_waited_for(index) {
            self.start_link(index, now);
        }
    }

    /// Sends what HTTP and TLS have to say at the end: GOAWAY, the alert that says why, where all is in order that TLS
    /// ends. False if that was nothing, or there was no way.
    pub(super) fn say_goodbye(&mut self, index: u32, in_order: bool, now: Time) -> bool {
        let link = &mut self.links[index as usize];
        if let Some(tls) = link.tls.as_mut().filter(|_| in_order) {
            tls.close();
        }
        let before = link.sending;
        self.flush_link(index, now);
        self.links[index as usize].sending && !before
    }

    /// Forgets the socket and everything above it.
    pub(super) fn reset(&mut self, index: u32, now: Time, reopen_at: Time, farewell: Farewell) {
        self.handshake_over(index);
        let link = &self.links[index as usize];
        if link.state == LinkState::Open {
            let target = usize::from(link.target);
            self.open -= 1;
            self.up[target] -= u32::from(index < self.pool);
        }
        self.harvest(index);
        self.harvest_path(index);
        if let Some(code) = self.links[index as usize].harvested.goaway_code {
            *self.recorder.connections.goaways.entry(code).or_default() += 1;
        }
        let link = &mut self.links[index as usize];
        if let Some(sock) = link.sock.take() {
            self.io.retire(sock, now, farewell);
        }
        (link.http, link.tls, link.prelude, link.elsewhere) = (None, None, None, None);
        (link.state, link.since, link.reopen_at) = (LinkState::Down, now, reopen_at);
        (link.sending, link.unarmed, link.held, link.fresh) = (false, false, false, 0);
        // Whoever was not served before is served first, or those would be who come after the last.
        if let Some(user) = link.tidings.left_over.take() {
            link.turn = user / self.share.links;
        }
        // What was armed for the connection must not open the next one.
        (link.stuck_since, link.timer_at) = (Time::NEVER, Time::NEVER);
        if self.is_apart(index) {
            self.handshake_ended(index, now);
        }
    }

    /// Adds what the connection counted since the last time to the bytes of the phase.
    pub(super) fn harvest(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        let Some(http) = &link.http else { return };
        let (stats, before) = (http.stats(), link.harvested);
        self.bytes.headers += stats.header_bytes - before.header_bytes;
        self.bytes.headers_decoded += stats.header_bytes_decoded - before.header_bytes_decoded;
        link.harvested = stats;
        if let Some(streams) = stats.peer_max_streams {
            self.recorder.connections.peer_max_streams = Some(streams);
        }
    }

    // ---- timers ----

    pub(super) fn arm_link(&mut self, index: u32, at: Time) {
        let link = &mut self.links[index as usize];
        if at < link.timer_at {
            link.timer_at = at;
            self.timers.arm(at, Owner::Link(index));
        }
    }

    /// A connection of a phase of handshakes is idle all the time: it has `handshake` and `hold`.
    pub(super) fn arm_idle(&mut self, index: u32, now: Time) {
        if let Some(idle) = self.setup.plan.timeouts.idle.filter(|_| index < self.pool) {
            self.arm_link(index, now.after(idle));
        }
    }

    /// A link's timer fired: something of it may be due, or the timer may be from an earlier state.
    pub(super) fn link_timer(&mut self, index: u32, now: Time) {
        let timeouts = self.setup.plan.timeouts;
        let link = &mut self.links[index as usize];
        if link.timer_at > now {
            return;
        }
        link.timer_at = Time::NEVER;
        if self.quic_timer(index, now) {
            return;
        }
        let link = &mut self.links[index as usize];
        let (state, since) = (link.state, link.since);
        let limit = match state {
            LinkState::Down => return self.start_link(index, now),
            LinkState::Connecting | LinkState::Tunnelling => timeouts.connect,
            LinkState::Handshaking => timeouts.handshake,
            LinkState::Open => return self.open_timer(index, now),
        };
        let Some(limit) = limit else { return };
        if now < since.after(limit) {
            self.arm_link(index, since.after(limit));
            return;
        }
        let what = match state {
            LinkState::Tunnelling => self.tunnel_of(index),
            LinkState::Connecting => format!("connect to {}", self.way_of(index).0),
            _ => format!("TLS handshake with {}", self.way_of(index).0),
        };
        let error = Error::local(Kind::Timeout, "no connection within the connect or handshake timeout");
        self.open_failed(index, error, format!("{what}: no answer within {limit:?}"), now);
    }

    /// The limit that an open connection has passed. Arms the timer for those it has not.
    pub(super) fn overdue(&mut self, index: u32, now: Time) -> Option<(Error, Duration)> {
        let timeouts = &self.setup.plan.timeouts;
        let link = &self.links[index as usize];
        let handshake = timeouts.handshake.filter(|_| link.tidings.early);
        let limits = [
            (timeouts.active, link.since, TOO_OLD),
            (timeouts.inactive, link.stirred, SILENT),
            (handshake, link.since, NO_HANDSHAKE),
        ];
        for (limit, since, error) in limits {
            let Some(limit) = limit else { continue };
            if since.after(limit) <= now {
                return Some((error, limit));
            }
            self.arm_link(index, since.after(limit));
        }
        None
    }

    /// A connection that has lived as long as the plan wants takes no more requests. Returns whether it was closed at once.
    fn outlived(&mut self, index: u32, now: Time) -> bool {
        let Some(lifetime) = self.setup.plan.connections.lifetime else { return false };
        let link = &mut self.links[index as usize];
        let end = link.since.after(lifetime);
        if now < end {
            self.arm_link(index, end);
            return false;
        }
        link.budget = 0;
        self.close_if_spent(index, now)
    }

    /// Closes a connection that takes no more requests and has none. Not in the middle of a handshake: its end may say that
    /// what was sent early must be sent again.
    pub(super) fn close_if_spent(&mut self, index: u32, now: Time) -> bool {
        let link = &self.links[index as usize];
        let busy = link.http.as_ref().is_none_or(|http| http.in_flight() > 0);
        if link.budget > 0 || link.tidings.early || busy {
            return false;
        }
        if self.is_apart(index) {
            return self.greet(index, now);
        }
        self.with_http(index, now, |http, notes| http.close(now, notes));
        self.closed(index, true, now);
        true
    }

    fn open_timer(&mut self, index: u32, now: Time) {
        if let Some((error, limit)) = self.overdue(index, now) {
            return self.closed_overdue(index, error, limit, now);
        }
        if self.is_apart(index) {
            if self.greet(index, now) {
                return;
            }
        } else if self.outlived(index, now) {
            return;
        }
        let timeouts = self.setup.plan.timeouts;
        let link = &mut self.links[index as usize];
        let Some(http) = &mut link.http else { return };
        // QUIC's own were looked at already.
        let at = if matches!(http, Http::H3(_)) { None } else { http.poll_timeout() };
        if let Some(at) = at {
            if at > now {
                self.arm_link(index, at);
                return;
            }
            self.with_http(index, now, |http, notes| http.handle_timeout(now, notes));
            self.after_events(index, now);
            return;
        }
        if let (true, Some(limit)) = (link.stuck_since != Time::NEVER, timeouts.request) {
            let at = link.stuck_since.after(limit);
            if at <= now {
                return self.closed_stuck(index, limit, now);
            }
            self.arm_link(index, at);
        }
        let link = &mut self.links[index as usize];
        let Some(http) = &link.http else { return };
        let busy = http.in_flight() > 0;
        let Some(idle) = timeouts.idle.filter(|_| index < self.pool) else { return };
        let idle_since = if busy { now } else { link.since.max(link.tidings.last_end) };
        if now < idle_since.after(idle) {
            self.arm_link(index, idle_since.after(idle));
            return;
        }
        self.with_http(index, now, |http, notes| http.close(now, notes));
        self.closed_idle(index, now);
    }
}
