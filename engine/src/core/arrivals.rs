//! The open model on a core: what is due finds an idle user, waits with its intended start kept, or is dropped and counted.
//!
//! Nothing is forgotten: every arrival that came due has begun an iteration, waits in the backlog, or is in `dropped` or in
//! `without_data`.

use super::Core;
use super::users::State;
use crate::clock::Clock;
use crate::io::Driver;
use crate::pacing::{Arrival, Schedule};
use proto::Time;
use scenario::plan::Stop;
use std::collections::VecDeque;
use std::time::Duration;

/// The arrivals of a phase on this core.
pub(super) struct Open {
    schedule: Schedule,
    /// Intended starts that wait, by lane, oldest first.
    backlog: Vec<VecDeque<Time>>,
    waiting: u64,
    /// How many may wait, and for how long (ns).
    most: u64,
    longest: u64,
    /// Users with nothing to do, where any user takes any arrival.
    idle: Vec<u32>,
    /// What arrives are connections.
    pub(super) of_handshakes: bool,
}

/// Whether the core waits, or looks again and again because something is about to be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Sleep, at most until then.
    Sleep(Time),
    /// Look now.
    Spin,
}

impl Open {
    /// No more arrivals, and none waits.
    pub(super) fn is_over(&self) -> bool {
        self.schedule.next() == Time::NEVER && self.waiting == 0
    }

    /// How to wait for the next arrival, or for what waits to have waited too long. `margin`: how early the core wakes up before an
    /// arrival, to spin until it is due (ns); zero where it only sleeps.
    pub(super) fn until(&self, now: Time, margin: u64) -> Until {
        let next = self.schedule.next();
        if next == Time::NEVER {
            return Until::Sleep(self.expiry());
        }
        if margin == 0 {
            return Until::Sleep(next);
        }
        let wake = next.as_nanos().saturating_sub(margin);
        if wake > now.as_nanos() { Until::Sleep(Time::from_nanos(wake)) } else { Until::Spin }
    }

    /// When the next of what waits has waited too long. Only asked for after the last arrival: each arrival looks itself.
    fn expiry(&self) -> Time {
        if self.waiting == 0 || self.longest == u64::MAX {
            return Time::NEVER;
        }
        let oldest = self.backlog.iter().filter_map(|lane| lane.front()).fold(Time::NEVER, |a, &b| a.min(b));
        oldest.after(Duration::from_nanos(self.longest.saturating_add(1)))
    }

    /// Takes over what waited in the phase before, whose lanes may have been others.
    fn carry(&mut self, before: Open) {
        self.waiting = before.waiting;
        let lanes = self.backlog.len();
        for (lane, waits) in before.backlog.into_iter().enumerate() {
            self.backlog[lane % lanes].extend(waits);
        }
        // Oldest first, also where two lanes became one.
        self.backlog.iter_mut().for_each(|lane| lane.make_contiguous().sort_unstable());
    }

    /// Nobody will take what waits. Returns how many.
    fn give_up(&mut self) -> u64 {
        self.backlog.iter_mut().for_each(VecDeque::clear);
        std::mem::take(&mut self.waiting)
    }

    /// Drops what has waited too long in any lane. Returns how many.
    fn expire_all(&mut self, now: Time) -> u64 {
        (0..self.backlog.len()).map(|lane| self.expire(lane, now)).sum()
    }

    /// Drops what has waited too long in a lane. Returns how many.
    fn expire(&mut self, lane: usize, now: Time) -> u64 {
        let mut dropped = 0;
        while self.backlog[lane].front().is_some_and(|due| now.nanos_since(*due) > self.longest) {
            self.backlog[lane].pop_front();
            dropped += 1;
        }
        self.waiting -= dropped;
        dropped
    }
}

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// Takes up the schedule of a phase, if it has one; what waited in the phase before waits on.
    pub(super) fn enter_open_model(&mut self, t: usize, index: usize, began: Time) {
        let mut before = self.tracks[t].arrivals.take();
        let plan = &self.setup.plan.phases[index];
        let of_handshakes = !plan.load.makes_requests();
        // Those that wait for users do not become connections, nor the other way round.
        if let Some(other) = before.take_if(|b| b.of_handshakes != of_handshakes) {
            self.drop_backlog(Some(other), index);
        }
        // Without anybody here who could take them there are no arrivals here.
        let (arrivals, lanes) = (plan.load.schedule(), self.share.phases[index].lanes);
        let Some((arrivals, lanes)) = arrivals.zip(lanes) else {
            self.drop_backlog(before, index);
            return;
        };
        let limit = match plan.stop {
            Stop::Iterations(n) => n.get(),
            Stop::After(_) | Stop::IterationsPerUser(_) => u64::MAX,
        };
        let seed = self.setup.plan.script.seed.wrapping_add(index as u64);
        let mut open = Open {
            schedule: Schedule::new(arrivals, lanes, began, limit, seed),
            backlog: vec![VecDeque::new(); lanes.own as usize],
            waiting: 0,
            most: lanes.part_of(arrivals.backlog.number),
            longest: arrivals.backlog.time.map_or(u64::MAX, |t| t.as_nanos() as u64),
            idle: Vec::with_capacity(self.tracks[t].users as usize),
            of_handshakes,
        };
        if let Some(before) = before {
            open.carry(*before);
        }
        if self.pooling() {
            let users = self.tracks[t].first..self.tracks[t].phase.active;
            let idle = |u: &u32| self.users[*u as usize].state == State::Idle;
            open.idle.extend(users.rev().filter(idle));
        }
        self.tracks[t].arrivals = Some(Box::new(open));
        self.serve_carried(t, began);
    }

    /// What was carried over from the phase before may find users now.
    fn serve_carried(&mut self, t: usize, now: Time) {
        let pooling = self.pooling();
        let track = &mut self.tracks[t];
        let Some(open) = &mut track.arrivals else { return };
        if open.waiting == 0 {
            return;
        }
        let idle = match pooling {
            true => std::mem::take(&mut open.idle),
            false => (track.first..track.phase.active).collect(),
        };
        for user in idle {
            if self.users[user as usize].state == State::Idle {
                self.serve_backlog(user, now);
            }
        }
    }

    /// Starts what is due.
    pub(super) fn release_arrivals(&mut self, now: Time) {
        (0..self.tracks.len()).for_each(|t| self.release_arrivals_of(t, now));
    }

    fn release_arrivals_of(&mut self, t: usize, now: Time) {
        let pooling = self.pooling();
        let (phase, ends) = (self.tracks[t].phase.index, self.tracks[t].phase.ends);
        // What is due after the phase belongs to the next.
        let until = if ends <= now { Time::from_nanos(ends.as_nanos() - 1) } else { now };
        while let Some(open) = &mut self.tracks[t].arrivals {
            let Some(arrival) = open.schedule.take(until) else { break };
            self.recorder.arrived[phase] += 1;
            let user = if pooling { open.idle.pop() } else { self.idle_of(t, arrival.lane) };
            match user {
                Some(user) => {
                    if self.take_arrival(user, t, arrival.due, now) {
                        self.be_idle(user, t);
                    }
                }
                // Whoever is busy will begin nothing more.
                None if self.tracks[t].used_up => self.recorder.without_data[phase] += 1,
                None => self.let_wait(t, arrival, now),
            }
        }
        let Some(open) = &mut self.tracks[t].arrivals else { return };
        if open.waiting > 0 && open.schedule.next() == Time::NEVER {
            self.recorder.dropped[phase] += open.expire_all(now);
        }
    }

    /// An arrival found everybody busy.
    fn let_wait(&mut self, t: usize, arrival: Arrival, now: Time) {
        let track = &mut self.tracks[t];
        let Some(open) = &mut track.arrivals else { return };
        let (phase, lane) = (track.phase.index, arrival.lane as usize);
        self.recorder.waited[phase] += 1;
        self.recorder.dropped[phase] += open.expire(lane, now);
        if open.waiting >= open.most || now.nanos_since(arrival.due) > open.longest {
            self.recorder.dropped[phase] += 1;
        } else {
            open.backlog[lane].push_back(arrival.due);
            open.waiting += 1;
        }
    }

    /// A user begins what was due. True: there was no row for it, and the user may take another arrival.
    ///
    /// The schedule stays where it is meanwhile: by it a track is told to be in the open model.
    fn take_arrival(&mut self, user: u32, t: usize, due: Time, now: Time) -> bool {
        if self.tracks[t].arrivals.as_ref().is_some_and(|open| open.of_handshakes) {
            self.begin_handshake(user, due, now);
            return false;
        }
        if self.start_iteration(user, due, now) {
            return false;
        }
        // Where no scenario has any row left, it stands for all that wait.
        if self.count_without_data(user, t) {
            let track = &mut self.tracks[t];
            let waited = track.arrivals.as_mut().map_or(0, |open| open.give_up());
            self.recorder.without_data[track.phase.index] += waited;
        }
        self.takes_arrivals(user, t)
    }

    /// A user waits for the next arrival.
    fn be_idle(&mut self, user: u32, t: usize) {
        let pooling = self.pooling();
        if let Some(open) = self.tracks[t].arrivals.as_mut().filter(|_| pooling) {
            open.idle.push(user);
        }
    }

    /// An idle user of the connection that is this lane. There is one track where users own connections.
    fn idle_of(&self, t: usize, lane: u32) -> Option<u32> {
        let users = (lane..self.tracks[t].phase.active).step_by(self.share.links as usize);
        users.into_iter().find(|&u| self.users[u as usize].state == State::Idle)
    }

    /// A user has finished: it takes what has waited longest, or is idle.
    pub(super) fn serve_backlog(&mut self, user: u32, now: Time) {
        self.users[user as usize].state = State::Idle;
        let pooling = self.pooling();
        let t = self.track_of(user);
        let track = &mut self.tracks[t];
        let Some(open) = &mut track.arrivals else { return };
        if user >= track.phase.active {
            return;
        }
        let lane = if pooling { 0 } else { (user % self.share.links) as usize };
        self.recorder.dropped[track.phase.index] += open.expire(lane, now);
        if track.stage.is_closing() {
            return;
        }
        while let Some(open) = &mut self.tracks[t].arrivals {
            let Some(due) = open.backlog[lane].pop_front() else { return self.be_idle(user, t) };
            open.waiting -= 1;
            if !self.take_arrival(user, t, due, now) {
                return;
            }
        }
    }

    /// Arrivals that nobody will take any more.
    fn drop_backlog(&mut self, open: Option<Box<Open>>, phase: usize) {
        // They came due in the phase before the present one.
        let of = phase.saturating_sub(1);
        self.recorder.dropped[of] += open.map_or(0, |o| o.waiting);
    }

    /// Nothing more begins in a track: nobody takes what waits.
    pub(super) fn close_open_model(&mut self, t: usize) {
        let track = &mut self.tracks[t];
        let open = track.arrivals.take();
        self.recorder.dropped[track.phase.index] += open.map_or(0, |o| o.waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::Lanes;
    use scenario::plan::{Arrivals, Backlog, Curve, Spread};

    /// The arrivals of a phase in which one is due each millisecond, two in all, and one may wait for 5 ms.
    fn open(lanes: u32) -> Open {
        let backlog = Backlog { time: None, number: 9 };
        let arrivals = Arrivals { curve: Curve::Constant(1000.0), spread: Spread::Even, backlog };
        let own = Lanes { all: lanes, first: 0, own: lanes };
        Open {
            schedule: Schedule::new(&arrivals, own, Time::ZERO, 2, 0),
            backlog: vec![VecDeque::new(); lanes as usize],
            waiting: 0,
            most: 9,
            longest: 5_000_000,
            idle: vec![],
            of_handshakes: false,
        }
    }

    fn wait(open: &mut Open, lane: usize) -> Time {
        let due = open.schedule.take(Time::from_nanos(1_000_000)).unwrap().due;
        open.backlog[lane].push_back(due);
        open.waiting += 1;
        due
    }

    #[test]
    fn after_the_last_arrival_what_waits_is_dropped_by_time_alone() {
        let mut open = open(2);
        wait(&mut open, 0);
        wait(&mut open, 1);
        let first = Time::from_nanos(5_000_001);
        for margin in [0, 30_000] {
            assert_eq!(open.until(Time::from_nanos(1_000_000), margin), Until::Sleep(first));
        }
        assert_eq!((open.expire_all(Time::from_nanos(5_000_000)), open.expire_all(first)), (0, 1));
        assert!(!open.is_over());
        assert_eq!(open.until(first, 30_000), Until::Sleep(Time::from_nanos(6_000_001)));
        assert_eq!(open.expire_all(Time::from_nanos(6_000_001)), 1);
        assert!(open.is_over());
        assert_eq!(open.until(first, 30_000), Until::Sleep(Time::NEVER));
    }

    #[test]
    fn what_waited_in_lanes_that_are_no_more_waits_in_others() {
        let (mut before, mut after) = (open(2), open(1));
        let dues = [wait(&mut before, 1), wait(&mut before, 0)];
        after.carry(before);
        assert_eq!((&after.backlog[..], after.waiting), (&[VecDeque::from(dues)][..], 2));
    }
}
