//! Tracks: phases that follow one another, with users of their own. Most plans are one track; scenarios with phases of their own
//! run in others beside it, over the same connections.
//!
//! A track waits for its start, goes through its phases, and is over. The run is over when all tracks are.

use super::arrivals::{Open, Until};
use super::users::{CoreShare, PhaseRun, State};
use super::wheel::Wheel;
use super::{Core, Told};
use crate::clock::Clock;
use crate::gate::{self, Place};
use crate::io::Driver;
use proto::Time;
use scenario::Plan;
use std::ops::Range;

/// Where a track is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its first phase begins then.
    Before(Time),
    /// In a phase.
    Running,
    /// The time of the phase is over, but iterations may go on until then.
    Ending(Time),
    /// All its phases are over.
    Over,
}

impl Stage {
    /// No iteration begins.
    pub(super) fn is_closing(self) -> bool {
        matches!(self, Stage::Ending(_) | Stage::Over)
    }
}

/// One track on one core.
pub(super) struct Track {
    pub(super) stage: Stage,
    pub(super) scenarios: Vec<usize>,
    pub(super) phases: Range<usize>,
    /// Its users: the first, and how many.
    pub(super) first: u32,
    pub(super) users: u32,
    /// A link for each user of a phase of handshakes.
    pub(super) apart: Range<u32>,
    /// Where those of its phases end that make requests.
    requests_end: usize,
    pub(super) phase: PhaseRun,
    /// The schedule of a phase in the open model.
    pub(super) arrivals: Option<Box<Open>>,
    pub(super) wheel: Wheel,
    /// Users in an iteration.
    pub(super) running: u64,
    /// There is no scenario that has rows of data: for a user, which has stopped, or in the open model for all.
    pub(super) used_up: bool,
    /// It waits for the other cores.
    meeting: bool,
}

/// The tracks of a core, whose links begin with so many of the pool.
pub(super) fn tracks(plan: &Plan, share: &CoreShare, pool: u32, now: Time) -> Vec<Track> {
    let (mut first, mut first_link) = (0, pool);
    let track = |(of, (&users, &handshakes)): (&scenario::plan::Track, (&u32, &u32))| {
        let requests = |p: &usize| plan.phases[*p].load.makes_requests();
        let weighted = of.scenarios.iter().map(|&s| (s, plan.scenarios[s].weight.get()));
        let track = Track {
            stage: Stage::Before(now),
            scenarios: of.scenarios.clone(),
            phases: of.phases.clone(),
            first,
            users,
            apart: first_link..first_link + handshakes,
            requests_end: of.phases.clone().rev().find(requests).map_or(of.phases.start, |last| last + 1),
            phase: PhaseRun::before(of.phases.start, now),
            arrivals: None,
            wheel: Wheel::new(weighted),
            running: 0,
            used_up: false,
            meeting: false,
        };
        first += users;
        first_link += handshakes;
        track
    };
    plan.all_tracks().iter().zip(share.tracks.iter().zip(&share.handshakes)).map(track).collect()
}

/// The track of each phase.
pub(super) fn by_phase(tracks: &[Track], phases: usize) -> Vec<u16> {
    let mut by_phase = vec![0; phases];
    for (t, track) in tracks.iter().enumerate() {
        by_phase[track.phases.clone()].fill(t as u16);
    }
    by_phase
}

impl Track {
    /// Whether connections of the pool are needed for what is still to come.
    pub(super) fn has_work(&self) -> bool {
        let more = match &self.arrivals {
            Some(open) => !open.is_over() && !open.of_handshakes,
            None => self.phase.budget > 0,
        };
        match self.stage {
            Stage::Before(_) => self.phases.start < self.requests_end,
            Stage::Running => more || self.phase.index + 1 < self.requests_end,
            Stage::Ending(_) => self.phase.index + 1 < self.requests_end,
            Stage::Over => false,
        }
    }

    fn is_before(&self) -> bool {
        matches!(self.stage, Stage::Before(_))
    }

    /// When something happens by time alone.
    fn deadline(&self) -> Time {
        match self.stage {
            Stage::Before(at) => at,
            Stage::Ending(_) if self.meeting => Time::NEVER,
            Stage::Ending(at) => at,
            Stage::Running => self.phase.ramp.map_or(self.phase.ends, |r| r.next().min(self.phase.ends)),
            // A drain has no end but its own.
            Stage::Over => Time::NEVER,
        }
    }
}

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// The track of a user, or of a lane that runs for one.
    #[inline]
    pub(super) fn track_of(&self, user: u32) -> usize {
        usize::from(self.track_of_phase[usize::from(self.users[user as usize].iteration_phase)])
    }

    /// Whether the iteration of a user ends after the request it is at.
    #[inline]
    pub(super) fn is_cut(&self, user: u32) -> bool {
        !self.cut.is_empty() && self.cut.contains(&user)
    }

    /// The run begins: each track has its start.
    pub(super) fn begin_tracks(&mut self, begins: Time) {
        let all = self.setup.plan.all_tracks();
        for (track, of) in self.tracks.iter_mut().zip(&all[..]) {
            track.stage = Stage::Before(begins.after(of.start_after));
        }
    }

    /// Tracks go on from phase to phase. True: all are over.
    pub(super) fn move_tracks(&mut self, place: &Place<'_>, now: Time) -> bool {
        let mut began = false;
        for t in 0..self.tracks.len() {
            while let Some(begins) = self.move_track(t, place, now) {
                let track = &mut self.tracks[t];
                let next = if track.is_before() { track.phases.start } else { track.phase.index + 1 };
                if next == track.phases.end {
                    self.close_track(t, now);
                    break;
                }
                // It may be the one that counts bytes from now on: those so far are not its.
                self.file_bytes();
                self.tracks[t].stage = Stage::Running;
                self.begin_phase(t, next, begins, now);
                began = true;
            }
        }
        if began {
            self.advance_users(now);
            self.release_arrivals(now);
            self.flush(now);
        }
        self.tracks.iter().all(|t| t.stage == Stage::Over)
    }

    /// When the next phase of a track begins, if what is before it is over.
    fn move_track(&mut self, t: usize, place: &Place<'_>, now: Time) -> Option<Time> {
        match self.tracks[t].stage {
            Stage::Over => None,
            Stage::Before(at) => (now >= at).then_some(at),
            Stage::Running => {
                let end = self.phase_end(t, place, now)?;
                self.end_phase(t, end);
                self.release_held(t, now);
                let track = &mut self.tracks[t];
                let graceful = self.setup.plan.phases[track.phase.index].overrides.graceful_stop;
                let Some(graceful) = graceful.filter(|_| track.phase.ends != Time::NEVER) else {
                    return Some(end);
                };
                track.stage = Stage::Ending(end.after(graceful));
                self.close_open_model(t);
                self.ended_gracefully(t, place, now)
            }
            Stage::Ending(_) => self.ended_gracefully(t, place, now),
        }
    }

    /// Iterations have ended, or may not go on any longer: they end after the request they are at.
    fn ended_gracefully(&mut self, t: usize, place: &Place<'_>, now: Time) -> Option<Time> {
        let track = &self.tracks[t];
        let Stage::Ending(until) = track.stage else { return None };
        let idle = track.running == 0;
        if !idle && now < until {
            return None;
        }
        if !idle && !track.meeting {
            self.cut(t, now);
        }
        self.meet_cores(t, place, now)
    }

    /// Waits for the other cores at the end of a phase. A phase has one such meeting: if it counts, when its part is done; else
    /// when its iterations have ended.
    fn meet_cores(&mut self, t: usize, place: &Place<'_>, now: Time) -> Option<Time> {
        let track = &mut self.tracks[t];
        let meeting = gate::end_of(track.phase.index);
        if !track.meeting {
            place.come(meeting, now);
            (track.meeting, self.meeting) = (true, true);
        }
        let end = place.all_came(meeting)?;
        track.meeting = false;
        self.meeting = self.tracks.iter().any(|t| t.meeting);
        Some(end)
    }

    /// Iterations of a track end after the request they are at.
    fn cut(&mut self, t: usize, now: Time) {
        let track = &self.tracks[t];
        for index in track.first..track.first + track.users {
            let user = &mut self.users[index as usize];
            match user.state {
                State::Idle | State::Resting => {}
                State::Opening => self.end_handshake(index, now),
                // It is at no request, so there is none to wait for.
                State::Thinking | State::Meeting => {
                    let met = user.state == State::Meeting;
                    user.state = State::Resting;
                    self.recorder.iterations_cut[usize::from(user.iteration_phase)] += 1;
                    self.queues.ready.push(index);
                    if met {
                        self.leave_meeting(index);
                    }
                }
                State::Waiting
                | State::InFlight
                | State::Late
                | State::Ended
                | State::Again
                | State::Fanned => drop(self.cut.insert(index)),
            }
        }
    }

    /// The last phase of a track is over. What it has in flight goes on until the run ends; in the open model iterations do,
    /// since without the slowest the figures would be too good.
    fn close_track(&mut self, t: usize, now: Time) {
        let track = &mut self.tracks[t];
        track.stage = Stage::Over;
        if self.tracks.len() == 1 {
            return; // the run ends, and says itself how
        }
        let index = self.tracks[t].phase.index;
        let open = self.setup.plan.phases[index].load.schedule().is_some();
        self.close_open_model(t);
        if !open {
            self.cut(t, now);
            self.advance_users(now);
        }
    }

    /// The end of the present phase of a track, once it is there for all cores: a phase that counts ends when the last core has
    /// done its part, so that rates are over one stretch of time and phases do not overlap.
    fn phase_end(&mut self, t: usize, place: &Place<'_>, now: Time) -> Option<Time> {
        if !self.phase_over(t, now) {
            return None;
        }
        match self.tracks[t].phase.ends {
            Time::NEVER => self.meet_cores(t, place, now),
            // Earlier where the data have run out.
            ends => Some(ends.min(now)),
        }
    }

    pub(super) fn end_phase(&mut self, t: usize, ended: Time) {
        let index = self.tracks[t].phase.index;
        self.file_bytes();
        self.phases[index] = Some((self.tracks[t].phase.began, ended));
        self.told.push(Told::PhaseEnded(index));
    }

    /// The bytes moved so far belong to the phase that counts them, also what open connections have not told yet.
    pub(super) fn file_bytes(&mut self) {
        (0..self.links.len() as u32).for_each(|link| self.harvest(link));
        let phase = self.phase_of_bytes();
        self.recorder.bytes[phase].merge(&std::mem::take(&mut self.bytes));
    }

    /// The run ends before its time.
    pub(super) fn end_running_phases(&mut self, now: Time) {
        for t in 0..self.tracks.len() {
            if self.tracks[t].stage == Stage::Running {
                self.end_phase(t, now.min(self.tracks[t].phase.ends));
                self.tracks[t].stage = Stage::Over;
            }
        }
    }

    /// Connections are shared by all tracks, so what goes over them counts with one phase: the first that is recorded.
    pub(super) fn phase_of_bytes(&self) -> usize {
        let running = || self.tracks.iter().filter(|t| t.stage == Stage::Running).map(|t| t.phase.index);
        let recorded = running().find(|&i| self.setup.plan.phases[i].record);
        recorded.or_else(|| running().next()).unwrap_or_else(|| self.tracks[0].phase.index)
    }

    /// From when to when each phase is, so far.
    pub(super) fn phases_so_far(&self, now: Time) -> Vec<Option<(Time, Time)>> {
        let mut phases = self.phases.clone();
        for track in self.tracks.iter().filter(|t| t.stage == Stage::Running) {
            let running = &mut phases[track.phase.index];
            *running = running.or(Some((track.phase.began, now.min(track.phase.ends))));
        }
        phases
    }

    /// When tracks want to be looked at.
    pub(super) fn tracks_deadline(&self) -> Time {
        self.tracks.iter().map(Track::deadline).fold(Time::NEVER, Time::min)
    }

    /// Whether some track is in the open model.
    pub(super) fn has_schedule(&self) -> bool {
        self.tracks.iter().any(|t| t.arrivals.is_some())
    }

    /// How to wait for the next arrival of any track; `None`: there is no schedule.
    pub(super) fn until_arrival(&self, now: Time, precise: bool) -> Option<Until> {
        let margin = if precise { self.waking.margin() } else { 0 };
        let open = self.tracks.iter().filter_map(|t| t.arrivals.as_ref());
        open.map(|o| o.until(now, margin)).reduce(|a, b| match (a, b) {
            (Until::Sleep(a), Until::Sleep(b)) => Until::Sleep(a.min(b)),
            _ => Until::Spin,
        })
    }

    /// Iterations that go on.
    pub(super) fn running(&self) -> u64 {
        self.tracks.iter().map(|t| t.running).sum()
    }

    /// Whether the run waits for iterations when all tracks are over: in the open model, unless the plan said how long.
    pub(super) fn waits_for_iterations(&self) -> bool {
        self.tracks.iter().any(|t| {
            let phase = &self.setup.plan.phases[t.phase.index];
            phase.load.schedule().is_some() && phase.overrides.graceful_stop.is_none()
        })
    }
}
