//! Time: what happens if nothing does (RFC 9002 section 6.2, RFC 9000 sections 10 and 13.2).

use super::{Connection, State};
use crate::error::Lost;
use crate::space::{DATA, HANDSHAKE, INITIAL};
use proto::Time;
use std::time::Duration;

/// Beyond so many doublings a probe timeout is longer than any idle timeout.
const MOST_DOUBLINGS: u32 = 16;

impl Connection {
    /// To be called at or after the moment that [`Connection::poll_timeout`] named.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.is_over() {
            if now >= self.drained_at() {
                self.farewell = None;
            }
            return;
        }
        if self.idle_at().is_some_and(|at| now >= at) {
            return self.lose(now, Lost::TimedOut);
        }
        if self.paced_until.is_some_and(|at| now >= at) {
            self.paced_until = None;
        }
        for s in &mut self.spaces {
            if s.ack_at.is_some_and(|at| now >= at) {
                s.ack_at = None;
                s.ack_now = true;
            }
        }
        if let Some(space) = self.loss_space() {
            if self.spaces[space].loss_time.is_some_and(|at| now >= at) {
                self.detect_lost(now, space);
                self.spaces[space].sent.forget_known();
            }
        } else if let Some((at, space)) = self.probe_timeout()
            && now >= at
        {
            self.probe(now, space);
        }
    }

    /// When [`Connection::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.is_over() {
            return self.farewell.as_ref().map(|_| self.drained_at());
        }
        let loss = match self.loss_space() {
            Some(space) => self.spaces[space].loss_time,
            None => self.probe_timeout().map(|(at, _)| at),
        };
        let acks = self.spaces.iter().filter_map(|s| s.ack_at);
        acks.chain(loss).chain(self.idle_at()).chain(self.paced_until).min()
    }

    /// RFC 9000 section 10.2: three probe timeouts, in which packets of before may still come.
    fn drained_at(&self) -> Time {
        self.closed_at.after(self.peer_pto() * 3)
    }

    /// RFC 9000 section 10.1; never before three probe timeouts.
    fn idle_at(&self) -> Option<Time> {
        let timeout = self.idle.timeout?;
        // Those who talk to a server that does not answer must give up all the same.
        let least = if self.state == State::Handshake { Duration::ZERO } else { self.peer_pto() * 3 };
        Some(self.idle.since.after(timeout.max(least)))
    }

    /// Where a packet will be lost first.
    fn loss_space(&self) -> Option<usize> {
        (0..3).filter(|s| self.spaces[*s].loss_time.is_some()).min_by_key(|s| self.spaces[*s].loss_time)
    }

    /// When the probe timeout is over, and for which space (RFC 9002 section A.8).
    fn probe_timeout(&self) -> Option<(Time, usize)> {
        let doubled = |d: Duration| d * (1 << self.pto_count.min(MOST_DOUBLINGS));
        let pto = doubled(self.rtt.pto());
        let mut first: Option<(Time, usize)> = None;
        for space in [INITIAL, HANDSHAKE, DATA] {
            let s = &self.spaces[space];
            // RFC 9002 section 6.2.1: before that either side may lack the keys for the other's packets. The server's HANDSHAKE_DONE
            // is repeated until it arrives.
            if s.eliciting_in_flight == 0 || (space == DATA && !self.confirmed) {
                continue;
            }
            let mut after = pto;
            if space == DATA {
                after += doubled(self.peer.max_ack_delay);
            }
            let at = s.last_eliciting.after(after);
            if first.is_none_or(|(earliest, _)| at < earliest) {
                first = Some((at, space));
            }
        }
        if first.is_some() || self.peer_has_validated() {
            return first;
        }
        // A server that may send no more until it knows our address waits for us (RFC 9002 section 6.2.2.1).
        let space = if self.keys.handshake.is_some() { HANDSHAKE } else { INITIAL };
        Some((self.deadlock_base.after(pto), space))
    }

    /// RFC 9002 section 6.2.4: two packets at most, to be sent whatever the window says.
    fn probe(&mut self, now: Time, space: usize) {
        self.pto_count += 1;
        self.deadlock_base = now;
        self.spaces[space].last_eliciting = now;
        self.spaces[space].probes = if self.spaces[space].eliciting_in_flight > 1 { 2 } else { 1 };
        self.requeue_oldest(space);
    }
}
