//! Phases whose arrivals are connections: each opens one to the plan's first target, requests nothing and closes it in order.
//!
//! When one is due and what waits is `arrivals`' affair, as with iterations: a user is a place for a connection and has a link
//! of its own behind those of the pool, so that requests of other phases and of tracks beside keep their connections. How a
//! link comes up and goes down is `traffic`'s and `quic`'s, which ask here what follows.

use super::Core;
use super::link::{Http, LinkState};
use super::users::State;
use crate::clock::Clock;
use crate::io::{Driver, Farewell};
use crate::limits;
use crate::stats::recorder::note_connection_error;
use proto::{Error, Kind, Time};
use scenario::plan::Load;
use std::time::Duration;

const NO_SETTINGS: Error = Error::peer(Kind::Timeout, "no SETTINGS came within the handshake timeout");

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// Whether a link is of a phase of handshakes, and so of no pool.
    #[inline]
    pub(super) fn is_apart(&self, link: u32) -> bool {
        link >= self.pool
    }

    /// How many requests a connection of a link takes.
    pub(super) fn budget_of(&self, link: u32) -> u64 {
        if self.is_apart(link) { 0 } else { self.setup.requests_per_connection() }
    }

    /// An arrival opens a connection.
    pub(super) fn begin_handshake(&mut self, index: u32, due: Time, now: Time) {
        let t = self.track_of(index);
        let track = &mut self.tracks[t];
        track.running += 1;
        let phase = track.phase.index;
        let user = &mut self.users[index as usize];
        (user.state, user.due, user.iteration_phase) = (State::Opening, due, phase as u16);
        self.recorder.handshakes[phase].begun(now.nanos_since(due));
        self.open_link(self.link_apart(index), now);
    }

    fn link_apart(&self, user: u32) -> u32 {
        let track = &self.tracks[self.track_of(user)];
        track.apart.start + (user - track.first)
    }

    fn user_of(&self, link: u32) -> u32 {
        let track = self.tracks.iter().find(|t| t.apart.contains(&link));
        let track = track.expect("a link behind the pool is of a track");
        track.first + (link - track.apart.start)
    }

    /// An open link of a phase of handshakes may have come on: it counts when its handshakes are over, all of them, and is closed
    /// when it has been kept for its time. True: it was closed.
    pub(super) fn greet(&mut self, index: u32, now: Time) -> bool {
        let link = &self.links[index as usize];
        if link.tidings.early {
            return false; // its handshake goes on, and has its own limit
        }
        if link.tidings.greeted.is_none() {
            if !link.http.as_ref().is_some_and(Http::is_greeted) {
                self.touch(index);
                return self.greeted_late(index, now);
            }
            self.opened(index, now);
        }
        let until = self.kept_until(index);
        if now < until {
            self.arm_link(index, until);
            return false;
        }
        // The last word of a handshake is being sent: what follows would not find its way. When it was sent, this is asked again.
        if self.links[index as usize].sending {
            return false;
        }
        self.leave(index, now);
        true
    }

    fn opened(&mut self, index: u32, now: Time) {
        self.links[index as usize].tidings.greeted = Some(now);
        let user = &self.users[self.user_of(index) as usize];
        let phase = usize::from(user.iteration_phase);
        self.recorder.iterations[phase] += 1;
        self.recorder.handshakes[phase].opened(now.nanos_since(user.due));
    }

    /// The server has not said what it has to say at the beginning.
    fn greeted_late(&mut self, index: u32, now: Time) -> bool {
        let Some(limit) = self.setup.plan.timeouts.handshake else { return false };
        let at = self.links[index as usize].since.after(limit);
        if now < at {
            self.arm_link(index, at);
            return false;
        }
        let detail = format!("HTTP/2 with {}: no SETTINGS within {limit:?}", self.way_of(index).0);
        self.recorder.connections.lost += 1;
        note_connection_error(&mut self.recorder.connections, NO_SETTINGS, detail);
        self.leave(index, now);
        true
    }

    /// Until when a connection is kept: for the time of the plan while its phase goes on, and where sessions are continued, until
    /// there is a ticket to come back with: those of TLS 1.3 come after the handshake (RFC 8446 section 4.6.1).
    fn kept_until(&self, index: u32) -> Time {
        let link = &self.links[index as usize];
        let greeted = link.tidings.greeted.unwrap_or(link.since);
        let phase = usize::from(self.users[self.user_of(index) as usize].iteration_phase);
        let hold = match &self.setup.plan.phases[phase].load {
            Load::Handshakes(handshakes) if self.phases[phase].is_none() => handshakes.hold,
            Load::Handshakes(_) | Load::Closed | Load::Ramp { .. } | Load::Open(_) => Duration::ZERO,
        };
        let awaits = match (&link.http, &link.tls) {
            (Some(Http::H3(connection)), _) => connection.handshake().is_some_and(|h| h.tickets == 0),
            (_, Some(tls)) => tls.awaits_ticket(),
            _ => false,
        };
        let ticket =
            if awaits && self.setup.plan.mix().resumes() { limits::TICKET_WAIT } else { Duration::ZERO };
        greeted.after(hold.max(ticket))
    }

    /// A phase of a track has ended: what it holds is closed, so that the next phase finds its users free.
    pub(super) fn release_held(&mut self, t: usize, now: Time) {
        for link in self.tracks[t].apart.clone() {
            let user = self.user_of(link);
            let of = &self.links[link as usize];
            let held = of.state == LinkState::Open && of.tidings.greeted.is_some();
            if held && self.users[user as usize].state == State::Opening {
                self.greet(link, now);
            }
        }
    }

    /// Closes a connection that has done what it was opened for.
    fn leave(&mut self, index: u32, now: Time) {
        // A QUIC connection that is closed sends nothing else any more, and the server waits for the end of the handshake.
        self.flush_quic(index, now);
        self.with_http(index, now, |http, notes| http.close(now, notes));
        self.closed(index, true, now);
    }

    /// A link of a phase of handshakes went down: its place is free for the next arrival.
    pub(super) fn handshake_ended(&mut self, index: u32, now: Time) {
        let user = self.user_of(index);
        let of = &self.users[user as usize];
        let phase = usize::from(of.iteration_phase);
        if of.state != State::Opening {
            return;
        }
        if self.links[index as usize].tidings.greeted.is_none() {
            self.recorder.handshakes[phase].failed += 1;
        }
        // Not from here: a connection that cannot even be begun would be followed by the next, and so on without end.
        self.rest(user, now, State::Resting, now);
    }

    /// Ends what a user is at before its time: a handshake that is not over comes to nothing.
    pub(super) fn end_handshake(&mut self, index: u32, now: Time) {
        let link = self.link_apart(index);
        let phase = usize::from(self.users[index as usize].iteration_phase);
        let over = self.links[link as usize].tidings.greeted.is_some();
        self.rest(index, now, State::Resting, now);
        self.recorder.handshakes[phase].abandoned += u64::from(!over);
        match self.links[link as usize].state {
            LinkState::Open => self.leave(link, now),
            _ => self.reset(link, now, now, Farewell::Abort),
        }
    }

    /// The run is over.
    pub(super) fn end_handshakes(&mut self, now: Time) {
        for t in 0..self.tracks.len() {
            let (first, users) = (self.tracks[t].first, self.tracks[t].apart.len() as u32);
            for index in first..first + users {
                if self.users[index as usize].state == State::Opening {
                    self.end_handshake(index, now);
                }
            }
        }
    }
}
