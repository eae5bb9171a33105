//! Virtual users: what each does next, and the phases that say how many there are and until when.

use super::link::{Link, LinkState};
use super::opening::NO_CONNECTION;
use super::tracks::Stage;
use super::wheel::Wheel;
use super::{Core, Setup, StepSetup};
use crate::clock::Clock;
use crate::core::notes::Notes;
use crate::io::Driver;
use crate::limits;
use crate::pacing::Lanes;
use crate::timers::Owner;
use proto::{Error, Kind, Time, Token};
use scenario::limits::MAX_SLOTS;
use scenario::plan::{Load, Order, Phase, Share, Stop, Track};
use std::time::Duration;

/// Where a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing to do: not in this phase, or the work is used up.
    Idle,
    /// Its request waits for a connection with room.
    Waiting,
    /// Its request is on a connection.
    InFlight,
    /// No complete answer in time: its request is being cancelled.
    Late,
    /// Its request ended; queued for the next step.
    Ended,
    /// Its request was not processed by the server; queued to be sent again.
    Again,
    /// Its program pauses until `due`.
    Thinking,
    /// Its requests are those of its lanes.
    Fanned,
    /// It waits for other users.
    Meeting,
    /// Its connection is being opened, or kept open, in a phase of handshakes.
    Opening,
    /// Its iteration did nothing but end; the next one begins in the next turn, so that the others are not held up.
    Resting,
}

/// One virtual user and the request it is at. Thousands of them are out of the cache when their turn comes, so one is a
/// line of it.
#[repr(align(64))]
pub(super) struct User {
    pub(super) state: State,
    pub(super) attempts: u8,
    /// The phase its request began in.
    pub(super) phase: u16,
    /// The phase its iteration began in, which counts it. Also says of which track the user is.
    pub(super) iteration_phase: u16,
    pub(super) scenario: u16,
    pub(super) status: u16,
    /// Dense index of the step it is at.
    pub(super) step: u32,
    /// The target of its request.
    pub(super) target: u16,
    /// The link of its request (in flight, or waiting for it).
    pub(super) link: u32,
    /// Iterations begun in this phase.
    pub(super) iterations: u32,
    pub(super) due: Time,
    /// When it was given to its connection.
    placed: Time,
    pub(super) sent: Time,
    pub(super) first_byte: Time,
    /// Its earliest entry among the timers.
    pub(super) timer_at: Time,
}

const _: () = assert!(size_of::<User>() == 64);

impl User {
    /// One whose track begins with this phase.
    pub(super) fn new(first_phase: u16) -> User {
        User {
            state: State::Idle,
            attempts: 0,
            phase: 0,
            iteration_phase: first_phase,
            scenario: 0,
            status: 0,
            step: 0,
            target: 0,
            link: u32::MAX,
            iterations: 0,
            due: Time::ZERO,
            placed: Time::ZERO,
            sent: Time::NEVER,
            first_byte: Time::ZERO,
            timer_at: Time::NEVER,
        }
    }

    /// When its request, which is in flight, is too late.
    pub(super) fn deadline(&self, timeout: u64) -> Time {
        let since = if self.sent == Time::NEVER { self.placed } else { self.sent };
        Time::from_nanos(since.as_nanos().saturating_add(timeout))
    }
}

/// The phase a track is in.
pub(super) struct PhaseRun {
    pub(super) index: usize,
    pub(super) began: Time,
    /// `Stop::After`.
    pub(super) ends: Time,
    /// Iterations that may still begin on this core.
    pub(super) budget: u64,
    pub(super) per_user: u64,
    /// Where the users that take part end; they begin with the first of the track.
    pub(super) active: u32,
    /// Where the number of users moves.
    pub(super) ramp: Option<UserRamp>,
}

impl PhaseRun {
    /// Before the phase `index` begins.
    pub(super) fn before(index: usize, now: Time) -> PhaseRun {
        PhaseRun { index, began: now, ends: Time::NEVER, budget: 0, per_user: 0, active: 0, ramp: None }
    }

    /// Whether a user that has begun so many iterations may begin one more, over a connection with this quota.
    #[inline]
    fn allows(&self, iterations: u32, quota: u64) -> bool {
        self.budget > 0 && u64::from(iterations) < self.per_user && quota > 0
    }
}

/// A number of users that moves evenly from one to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserRamp {
    from: u32,
    to: u32,
    /// Changes so far: one user each.
    done: u32,
    over: Duration,
    began: Time,
}

impl UserRamp {
    fn new(from: u32, to: u32, over: Duration, began: Time) -> UserRamp {
        UserRamp { from, to, done: 0, over, began }
    }

    /// When the next user comes or goes.
    pub(super) fn next(&self) -> Time {
        let all = self.from.abs_diff(self.to);
        if self.done == all {
            return Time::NEVER;
        }
        // A rising ramp brings its last user at the end, a falling one takes the first away after its part of the time.
        let at = self.over.as_nanos() * u128::from(self.done + 1) / u128::from(all);
        self.began.after(Duration::from_nanos(at as u64))
    }

    /// Users of the whole run at this time.
    fn at(&mut self, now: Time) -> u32 {
        while self.next() <= now {
            self.done += 1;
        }
        if self.to > self.from { self.from + self.done } else { self.from - self.done }
    }
}

/// Divides `n` by weights: the shares differ from the exact ones by less than one and add up to `n`.
pub(crate) fn split(n: u64, weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let (mut shares, mut before, mut given) = (Vec::with_capacity(weights.len()), 0_u128, 0_u64);
    for &weight in weights {
        before += u128::from(weight);
        let upto = ((u128::from(n) * before).div_ceil(total)) as u64;
        shares.push(upto - given);
        given = upto;
    }
    shares
}

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// A track enters a phase that began at `began`: its users begin.
    pub(super) fn begin_phase(&mut self, t: usize, index: usize, began: Time, now: Time) {
        let (share, plan) = (self.share.phases[index], &self.setup.plan.phases[index]);
        let (ends, per_user) = match plan.stop {
            Stop::After(d) => (began.after(d), u64::MAX),
            Stop::Iterations(_) => (Time::NEVER, u64::MAX),
            Stop::IterationsPerUser(n) => (Time::NEVER, n.get()),
        };
        let ramp = match (&plan.load, plan.stop) {
            (&Load::Ramp { from, to }, Stop::After(over)) => Some(UserRamp::new(from, to, over, began)),
            _ => None,
        };
        let users = ramp.map_or(share.users, |mut r| self.share.part.of(r.at(now)));
        let wheel = self.wheel_of(t, index);
        let track = &mut self.tracks[t];
        let active = track.first + users;
        track.phase = PhaseRun { index, began, ends, budget: share.iterations, per_user, active, ramp };
        // Another phase may run scenarios that need other data, or none.
        track.used_up = false;
        if let Some(wheel) = wheel {
            track.wheel = wheel;
        }
        let (first, end) = (track.first, track.first + track.users);
        self.told.push(super::Told::PhaseBegan(index));
        self.users[first as usize..end as usize].iter_mut().for_each(|u| u.iterations = 0);
        self.set_quotas(plan.stop, share.iterations);
        self.enter_open_model(t, index, began);
        if self.tracks[t].arrivals.is_none() {
            self.wake_users(t, first, now);
        }
    }

    /// The wheel of a phase, where its weights are not those of the phase before.
    fn wheel_of(&self, t: usize, index: usize) -> Option<Wheel> {
        let (plan, track) = (&self.setup.plan, &self.tracks[t]);
        let weights = |i: usize| plan.phases[i].overrides.weights.as_ref();
        let now = weights(index);
        // The first one is made for the scenarios' own weights.
        let before = if index == track.phases.start { None } else { weights(index - 1) };
        if now == before && track.wheel.is_whole() {
            return None;
        }
        let of = |s: &usize| (*s, now.map_or(plan.scenarios[*s].weight.get(), |w| w[*s]));
        Some(Wheel::new(track.scenarios.iter().map(of)))
    }

    /// Where connections that own their users open one after the other, each has its part of a count: else the first would do
    /// all the work. Elsewhere the plan may want it: else the fastest would do the most.
    fn set_quotas(&mut self, stop: Stop, iterations: u64) {
        let connections = &self.setup.plan.connections;
        let parts = connections.own_parts || !connections.ramp_up.is_zero();
        let own = parts && connections.share == Share::PerUser && matches!(stop, Stop::Iterations(_));
        let links = u64::from(self.share.links);
        for (i, link) in (0..links).zip(&mut self.links) {
            let part = iterations / links + u64::from(i < iterations % links);
            link.quota = if own { part } else { u64::MAX };
        }
    }

    /// Active users from this one on begin, if they are idle.
    fn wake_users(&mut self, t: usize, from: u32, now: Time) {
        for user in from..self.tracks[t].phase.active {
            if self.users[user as usize].state == State::Idle {
                self.begin_iteration(user, now);
            }
        }
    }

    /// Users come and go as the phase says.
    pub(super) fn move_users(&mut self, now: Time) {
        for t in 0..self.tracks.len() {
            let track = &mut self.tracks[t];
            let Some(ramp) = track.phase.ramp.as_mut().filter(|r| r.next() <= now) else { continue };
            let active = track.first + self.share.part.of(ramp.at(now));
            let before = std::mem::replace(&mut track.phase.active, active);
            self.wake_users(t, before.min(active), now);
        }
    }

    /// Whether everything the phase of a track asks for is done (or its time is over).
    pub(super) fn phase_over(&self, t: usize, now: Time) -> bool {
        let track = &self.tracks[t];
        let to_come = track.arrivals.as_ref().is_some_and(|a| !a.is_over());
        let counted = track.phase.ends == Time::NEVER && !to_come;
        now >= track.phase.ends || (track.running == 0 && (counted || track.used_up))
    }

    /// Lets every user whose request ended go on.
    pub(super) fn advance_users(&mut self, now: Time) {
        // Who fails at once (no connection to be had) is queued again and taken up in the next turn.
        let mut ready = std::mem::take(&mut self.queues.ready);
        for &user in &ready {
            match self.users[user as usize].state {
                State::Again => self.place(user, now),
                State::Ended => self.next_step(user, now),
                State::Resting => self.next_iteration(user, now),
                State::Idle
                | State::Waiting
                | State::InFlight
                | State::Late
                | State::Thinking
                | State::Fanned
                | State::Meeting
                | State::Opening => {}
            }
        }
        ready.clear();
        if self.queues.ready.is_empty() {
            self.queues.ready = ready; // keeps its memory
        }
    }

    pub(super) fn next_step(&mut self, index: u32, now: Time) {
        if self.is_lane(index) {
            return self.landed(index, now);
        }
        let user = &self.users[index as usize];
        let scenario = &self.setup.scenarios[usize::from(user.scenario)];
        let stopping = self.stopping || self.is_cut(index);
        if scenario.scripted && !stopping {
            return self.advance_script(index, false, now, now);
        }
        if scenario.ends_with(user.step) {
            self.end_iteration(index, false, now);
        } else if stopping {
            self.recorder.iterations_cut[usize::from(user.iteration_phase)] += 1;
            self.next_iteration(index, now);
        } else {
            let step = user.step + 1;
            self.start_request(index, step, now, now);
        }
    }

    /// An iteration is over, and the next one begins. `idle`: it did nothing that takes time.
    pub(super) fn end_iteration(&mut self, index: u32, idle: bool, now: Time) {
        let phase = usize::from(self.users[index as usize].iteration_phase);
        self.recorder.iterations[phase] += 1;
        match idle {
            false => self.next_iteration(index, now),
            true => self.rest(index, now, State::Resting, now),
        }
    }

    /// The user is free for the next iteration.
    fn next_iteration(&mut self, index: u32, now: Time) {
        let t = self.track_of(index);
        if !self.cut.is_empty() {
            self.cut.remove(&index);
        }
        let track = &mut self.tracks[t];
        track.running -= 1;
        match track.arrivals {
            Some(_) => self.serve_backlog(index, now),
            None => self.begin_iteration(index, now),
        }
    }

    /// Begins an iteration of the closed model, or leaves the user idle where there is none to begin.
    fn begin_iteration(&mut self, index: u32, now: Time) {
        let t = self.track_of(index);
        let user = &mut self.users[index as usize];
        let track = &mut self.tracks[t];
        let phase = &mut track.phase;
        user.state = State::Idle;
        let quota = &mut self.links[(index % self.share.links) as usize].quota;
        if self.stopping || track.stage.is_closing() || index >= phase.active {
            return;
        }
        if !phase.allows(user.iterations, *quota) {
            return self.leave_if_done(index % self.share.links, now);
        }
        *quota -= u64::from(*quota != u64::MAX);
        phase.budget = if phase.budget == u64::MAX { u64::MAX } else { phase.budget - 1 };
        user.iterations = user.iterations.saturating_add(1);
        if !self.start_iteration(index, now, now) && !self.start_another(index, now) {
            self.stop_without_data(index);
        }
    }

    /// Whether a user may still begin an iteration.
    fn may_begin(&self, index: u32) -> bool {
        let track = &self.tracks[self.track_of(index)];
        let (user, phase) = (&self.users[index as usize], &track.phase);
        let counts = phase.ends == Time::NEVER && track.arrivals.is_none();
        let quota = self.links[(index % self.share.links) as usize].quota;
        let allowed = phase.allows(user.iterations, quota);
        match track.stage {
            Stage::Before(_) => true,
            Stage::Running => !counts || allowed || phase.index + 1 < track.phases.end,
            Stage::Ending(_) => phase.index + 1 < track.phases.end,
            Stage::Over => false,
        }
    }

    /// Whether users own this place among the links of each target, and none has anything left to do.
    pub(super) fn is_done(&self, place: u32) -> bool {
        let users = self.users.len() as u32;
        let mut owners = (place..users).step_by(self.share.links as usize);
        let done = |u| self.users[u as usize].state == State::Idle && !self.may_begin(u);
        !self.pooling() && place < users && owners.all(done)
    }

    /// Connections whose users have done their part are closed at once, as h2load's are: nothing more is sent on them, and
    /// the server need not keep them while others go on.
    fn leave_if_done(&mut self, place: u32, now: Time) {
        let links = self.share.links as usize;
        let busy = |l: &Link| l.http.as_ref().is_some_and(|http| http.in_flight() > 0);
        if self.links[..self.pool as usize].iter().skip(place as usize).step_by(links).any(busy)
            || !self.is_done(place)
        {
            return;
        }
        for index in (place..self.pool).step_by(links) {
            if self.links[index as usize].state == LinkState::Open {
                self.links[index as usize].budget = 0;
                self.close_if_spent(index, now);
            }
        }
    }

    /// Starts an iteration that was due at `due`. False: its scenario has no more rows of data, and nothing was begun.
    #[must_use]
    pub(super) fn start_iteration(&mut self, index: u32, due: Time, now: Time) -> bool {
        let t = self.track_of(index);
        let scenario = self.tracks[t].wheel.next();
        self.start_of(index, t, scenario, due, now)
    }

    /// The same of a scenario.
    #[inline]
    #[must_use]
    pub(super) fn start_of(&mut self, index: u32, t: usize, scenario: u16, due: Time, now: Time) -> bool {
        let user = &mut self.users[index as usize];
        let track = &mut self.tracks[t];
        (user.iteration_phase, user.scenario) = (track.phase.index as u16, scenario);
        let of = &self.setup.scenarios[usize::from(scenario)];
        if of.scripted {
            let begun = self.begin_script(index, scenario, now);
            if begun {
                self.tracks[t].running += 1;
                self.advance_script(index, true, due, now);
            }
            return begun;
        }
        track.running += 1;
        let step = match of.order {
            Order::Sequence => of.first,
            Order::RoundRobin => {
                let link = self.home(index, 0);
                let cursor = &mut self.links[link as usize].cursor;
                let step = of.first + *cursor % of.len;
                *cursor = (*cursor + 1) % of.len;
                step
            }
        };
        self.start_request(index, step, due, now);
        true
    }

    fn start_request(&mut self, index: u32, step: u32, due: Time, now: Time) {
        let target = self.setup.steps[step as usize].target;
        self.start_request_to(index, (step, target), due, now);
    }

    /// Starts a request of a step to a target, which is not the step's own where a redirect leads elsewhere.
    pub(super) fn start_request_to(&mut self, index: u32, (step, target): (u32, u16), due: Time, now: Time) {
        let phase = self.tracks[self.track_of(index)].phase.index as u16;
        let user = &mut self.users[index as usize];
        user.target = target;
        (user.step, user.phase, user.due, user.attempts) = (step, phase, due, 0);
        self.recorder.cell(phase, step).books.started += 1;
        self.queues.in_flight += 1;
        self.place(index, now);
    }

    /// The link that is a user's own (`Share::PerUser`) for a target.
    #[inline]
    pub(super) fn home(&self, user: u32, target: u16) -> u32 {
        let per_target = self.share.links;
        u32::from(target) * per_target + user % per_target
    }

    /// Puts a user's request on a connection, or lets it wait for one.
    pub(super) fn place(&mut self, index: u32, now: Time) {
        let target = self.users[index as usize].target;
        let link = match self.setup.plan.connections.share {
            Share::PerUser => Some(self.home(index, target)).filter(|&l| self.links[l as usize].room() > 0),
            Share::Pool => self.take_pooled(target),
        };
        if let Some(link) = link {
            return self.submit(index, link, now);
        }
        if self.is_hopeless(index, now) {
            self.at_once = true;
            return self.fail_user(index, NO_CONNECTION, now);
        }
        let before = std::mem::replace(&mut self.users[index as usize].state, State::Waiting);
        if self.pooling() {
            self.queues.waiting[usize::from(target)].push(index, before == State::Again);
            self.want_any_link(target, now);
        } else {
            let link = self.home(index, target);
            let closed = self.tracks[self.track_of(index)].arrivals.is_none();
            let (user, l) = (&mut self.users[index as usize], &mut self.links[link as usize]);
            if closed && l.state == LinkState::Down && l.failures == 0 {
                // Its turn in the ramp of connections is when the user comes: the server has nothing to do with that wait.
                user.due = user.due.max(l.reopen_at);
            }
            user.link = link;
            l.waiting += 1;
            self.want_link(link, now);
        }
    }

    /// Whether a user with a part of a count of its own need not wait for its connection any more: it has failed for so long that
    /// the part would never end. The other connections may well be there.
    fn is_hopeless(&self, index: u32, now: Time) -> bool {
        if self.pooling() || self.links[(index % self.share.links) as usize].quota == u64::MAX {
            return false;
        }
        let link = &self.links[self.home(index, self.users[index as usize].target) as usize];
        link.failures > 0 && now.since(link.failing_since) > limits::GIVE_UP
    }

    fn submit(&mut self, index: u32, link: u32, now: Time) {
        let step: &StepSetup = &self.setup.steps[self.users[index as usize].step as usize];
        let user = &mut self.users[index as usize];
        let l = &mut self.links[link as usize];
        let http = l.http.as_mut().expect("a link with room has a connection");
        user.state = State::InFlight;
        (user.link, user.placed, user.sent, user.status) = (link, now, Time::NEVER, 0);
        let want = match &mut self.recorder.trace {
            None => step.want,
            Some(trace) => trace.begin(index, user.step, link, now).unwrap_or(step.want),
        };
        let token = Token(u64::from(index));
        let submitted = match &step.script {
            None => http.submit(now, token, &step.prepared, &[], step.body.clone(), want),
            Some(script) => {
                self.scripts.tell_notes(&mut self.recorder.trace, index, script);
                let flight = self.scripts.flight(index);
                let mut values: [&[u8]; MAX_SLOTS + 2] = [&[]; MAX_SLOTS + 2];
                let count = values.iter_mut().zip(flight.values()).map(|(slot, value)| *slot = value).count();
                let prepared = script.prepared(flight, &step.prepared);
                if let Some(trace) = &mut self.recorder.trace {
                    trace.made(index, flight.values(), script.redirected(flight), &flight.payload());
                }
                http.submit(now, token, prepared, &values[..count], flight.payload(), want)
            }
        };
        match submitted {
            Ok(()) => {
                l.budget -= u64::from(l.budget != u64::MAX);
                l.fresh += 1;
                if step.timeout < user.timer_at.nanos_since(now) {
                    user.timer_at = Time::from_nanos(now.as_nanos() + step.timeout);
                    self.timers.arm(user.timer_at, Owner::User(index));
                }
                self.touch(link);
                self.pool(link);
            }
            Err(refused) => {
                self.pool(link); // it has as much room as before
                let detail = match refused {
                    proto::Refused::BadValue { .. } => {
                        if let Some(script) = &step.script {
                            self.scripts.unsendable(index, script);
                        }
                        "a rendered value that must not be in a request"
                    }
                    proto::Refused::Full | proto::Refused::Closed => {
                        "a connection refused though it had room"
                    }
                };
                self.fail_user(index, Error::local(Kind::Unsendable, detail), now);
            }
        }
    }

    /// Ends a user's request without a connection having a say.
    pub(super) fn fail_user(&mut self, index: u32, error: Error, now: Time) {
        let link = self.users[index as usize].link.min(self.links.len() as u32 - 1);
        let mut notes = Notes {
            now,
            users: &mut self.users,
            steps: &self.setup.steps,
            scripts: &mut self.scripts,
            recorder: &mut self.recorder,
            queues: &mut self.queues,
            tidings: &mut self.links[link as usize].tidings,
        };
        notes.fail(index, error, true);
    }

    /// A user's timer fired: its request may be late, or the timer may be from an earlier one.
    pub(super) fn user_timer(&mut self, index: u32, now: Time) {
        let user = &mut self.users[index as usize];
        if user.timer_at > now {
            return; // an entry that an earlier one replaced
        }
        user.timer_at = Time::NEVER;
        if matches!(user.state, State::Thinking | State::Resting) {
            if user.due > now {
                user.timer_at = user.due;
                self.timers.arm(user.due, Owner::User(index));
            } else {
                if user.state == State::Thinking {
                    user.state = State::Ended;
                }
                self.queues.ready.push(index);
            }
            return;
        }
        if user.state != State::InFlight {
            return;
        }
        // An entry of an earlier request may fire when this one, after a long wait, has only just found a connection.
        let deadline = user.deadline(self.setup.steps[user.step as usize].timeout);
        if deadline == Time::NEVER {
            return;
        }
        if deadline > now {
            user.timer_at = deadline;
            self.timers.arm(deadline, Owner::User(index));
            return;
        }
        user.state = State::Late;
        let link = user.link;
        self.with_http(link, now, |http, notes| http.cancel(now, Token(u64::from(index)), notes));
        self.after_events(link, now);
    }

    /// The run is over: iterations that are not have been cut.
    pub(super) fn cut_all(&mut self) {
        for index in 0..self.users.len() as u32 {
            let user = &self.users[index as usize];
            let phase = usize::from(user.iteration_phase);
            match user.state {
                // An iteration has not begun, or has ended.
                State::Idle | State::Resting | State::Opening => {}
                // One that runs beside is no iteration of its own.
                _ if self.is_lane(index) => {}
                State::Ended if self.setup.scenarios[usize::from(user.scenario)].ends_with(user.step) => {
                    self.recorder.iterations[phase] += 1;
                }
                _ => self.recorder.iterations_cut[phase] += 1,
            }
        }
    }

    /// Ends the run for everybody: what is in flight is abandoned.
    pub(super) fn abandon_all(&mut self, now: Time) {
        for user in &mut self.users {
            let unseen = match user.state {
                State::Idle
                | State::Ended
                | State::Thinking
                | State::Resting
                | State::Fanned
                | State::Meeting
                | State::Opening => continue,
                State::Waiting | State::Again => true,
                State::InFlight | State::Late => {
                    user.sent == Time::NEVER && !self.setup.steps[user.step as usize].has_body
                }
            };
            user.state = State::Idle;
            self.queues.in_flight -= 1;
            let books = &mut self.recorder.cell(user.phase, user.step).books;
            books.abandoned += 1;
            books.never_sent += u64::from(unseen);
            let ended = self.phases[user.phase as usize].map_or(now, |(_, ended)| ended);
            self.recorder.abandoned_time[user.phase as usize] += ended.since(user.due);
        }
        self.tracks.iter_mut().for_each(|t| t.running = 0);
    }
}

/// A core's part of the users: those between two points of a line that all users divide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserPart {
    before: u64,
    own: u64,
    all: u64,
}

impl UserPart {
    /// How many of `n` users are this core's: what [`split`] gives it.
    pub(super) fn of(self, n: u32) -> u32 {
        let upto = |point: u64| (u128::from(n) * u128::from(point)).div_ceil(u128::from(self.all)) as u32;
        upto(self.before + self.own) - upto(self.before)
    }
}

/// A core's part of the run.
#[derive(Clone, Debug)]
pub(crate) struct CoreShare {
    pub(crate) part: UserPart,
    /// Links per target.
    pub(crate) links: u32,
    /// Index of its first link among those of all cores, per target: spreads addresses and the ramp.
    pub(crate) first_link: u32,
    /// Number of its first user among those of all cores, and which core of how many it is.
    pub(crate) first_user: u64,
    pub(crate) core: (u64, u64),
    pub(crate) phases: Vec<PhaseShare>,
    /// Users of each track: those of its largest phase.
    pub(crate) tracks: Vec<u32>,
    /// Of them: those of the largest phase of handshakes. They have links of their own.
    pub(crate) handshakes: Vec<u32>,
}

/// A core's part of a phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhaseShare {
    pub(crate) users: u32,
    /// Which arrivals of the open model are its own; `None`: it has nobody who could take any.
    pub(crate) lanes: Option<Lanes>,
    /// `u64::MAX`: no count.
    pub(crate) iterations: u64,
}

/// Divides the plan over cores. The union is the plan, exactly.
pub(crate) fn shares(setup: &Setup, cores: usize) -> Vec<CoreShare> {
    let plan = &setup.plan;
    let links = split(u64::from(plan.connections.max.get()), &vec![1; cores]);
    let users: Vec<Vec<u64>> = plan
        .phases
        .iter()
        .map(|p| match plan.connections.share {
            Share::PerUser => split(u64::from(p.users.get()), &links),
            Share::Pool => split(u64::from(p.users.get()), &vec![1; cores]),
        })
        .collect();
    let iterations: Vec<Vec<u64>> = plan
        .phases
        .iter()
        .zip(&users)
        .map(|(p, users)| match p.stop {
            Stop::Iterations(n) => split(n.get(), users),
            Stop::After(_) | Stop::IterationsPerUser(_) => vec![u64::MAX; cores],
        })
        .collect();
    let most_lanes = match plan.connections.share {
        Share::PerUser => links.clone(),
        Share::Pool => vec![1; cores],
    };
    let lanes: Vec<_> = users.iter().map(|users| lanes(users, &most_lanes)).collect();
    let tracks = plan.all_tracks();
    let (connections, all) = (plan.connections.max.get(), cores as u64);
    let (mut first_link, mut first_user) = (0, 0);
    (0..cores)
        .map(|core| {
            let own = links[core] as u32;
            let part = match plan.connections.share {
                Share::PerUser => {
                    UserPart { before: u64::from(first_link), own: links[core], all: u64::from(connections) }
                }
                Share::Pool => UserPart { before: core as u64, own: 1, all },
            };
            let phases = (0..plan.phases.len())
                .map(|p| PhaseShare {
                    users: users[p][core] as u32,
                    lanes: lanes[p][core],
                    iterations: iterations[p][core],
                })
                .collect();
            let most = |t: &Track, counts: &dyn Fn(&Phase) -> bool| {
                let counted = t.phases.clone().filter(|&p| counts(&plan.phases[p]));
                counted.map(|p| users[p][core] as u32).max().unwrap_or(0)
            };
            let handshakes = tracks.iter().map(|t| most(t, &|p| !p.load.makes_requests())).collect();
            let tracks: Vec<u32> = tracks.iter().map(|t| most(t, &|_| true)).collect();
            let most: u64 = tracks.iter().map(|&n| u64::from(n)).sum();
            let place = (core as u64, cores as u64);
            let share = CoreShare {
                part,
                links: own,
                first_link,
                first_user,
                core: place,
                phases,
                tracks,
                handshakes,
            };
            first_link += share.links;
            first_user += most;
            share
        })
        .collect()
}

/// The lanes of each core in a phase: as many as it has users, and connections of them where each connection is a lane. A core
/// without users has none: what arrived there would wait for nobody.
fn lanes(users: &[u64], most: &[u64]) -> Vec<Option<Lanes>> {
    let own: Vec<u32> = users.iter().zip(most).map(|(&users, &most)| users.min(most) as u32).collect();
    let (all, mut first) = (own.iter().sum(), 0);
    own.into_iter()
        .map(|own| {
            let lanes = Lanes { all, first, own };
            first += own;
            (own > 0).then_some(lanes)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_of_a_phase_has_somebody() {
        let lane = |all, first, own| Some(Lanes { all, first, own });
        assert_eq!(lanes(&[3, 2, 2], &[1, 1, 1]), [lane(3, 0, 1), lane(3, 1, 1), lane(3, 2, 1)]);
        assert_eq!(lanes(&[1, 0, 1], &[1, 1, 1]), [lane(2, 0, 1), None, lane(2, 1, 1)]);
        assert_eq!(lanes(&[8, 6], &[4, 3]), [lane(7, 0, 4), lane(7, 4, 3)]);
        assert_eq!(lanes(&[2, 1, 0], &[3, 3, 2]), [lane(3, 0, 2), lane(3, 2, 1), None]);
    }

    #[test]
    fn a_split_adds_up_and_is_fair() {
        for (n, weights) in
            [(100_000, vec![4, 3]), (7, vec![1, 1, 1]), (2, vec![1, 1, 1]), (0, vec![2, 1]), (21, vec![4, 3])]
        {
            let shares = split(n, &weights);
            assert_eq!(shares.iter().sum::<u64>(), n);
            let total: u64 = weights.iter().sum();
            for (share, weight) in shares.iter().zip(&weights) {
                let exact = n as f64 * *weight as f64 / total as f64;
                assert!((*share as f64 - exact).abs() < 1.0, "{n} by {weights:?}: {shares:?}");
            }
        }
        assert_eq!(split(21, &[4, 3]), [12, 9], "as many users as lanes fill every lane");
    }
}
