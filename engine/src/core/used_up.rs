//! What becomes of an iteration for which there are no more rows of data (`at_end: stop`). The scenario has had its part of the
//! phase, and the others go on: in the closed model users take one of them instead; in the open model its arrivals begin nothing
//! and are counted, so that the others keep their rates. Where none is left the phase is over.
//!
//! Rows are taken core by core, so each finds out for itself.

use super::Core;
use crate::clock::Clock;
use crate::io::Driver;
use proto::Time;

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// Whether an iteration of this scenario may begin for a user.
    fn finds_data(&self, index: u32, scenario: u16) -> bool {
        let program = &self.setup.plan.scenarios[usize::from(scenario)].program;
        let scripts = &self.scripts;
        program.as_ref().is_none_or(|p| scripts.actors[index as usize].may_begin(p, &scripts.world))
    }

    /// Whether it may begin for no user of a track. Where users have rows of their own the first ones do.
    fn is_used_up(&self, t: usize, scenario: u16) -> bool {
        !self.finds_data(self.tracks[t].first, scenario)
    }

    /// Begins another scenario in place of the user's, which found no row. False: there is none.
    #[cold]
    pub(super) fn start_another(&mut self, index: u32, now: Time) -> bool {
        let t = self.track_of(index);
        let scenario = self.users[index as usize].scenario;
        if self.is_used_up(t, scenario) {
            self.tracks[t].wheel.remove(scenario);
        }
        // Those that were not asked for a row yet may have none left either.
        let mut wheel = std::mem::take(&mut self.tracks[t].wheel);
        let next = wheel.next_of(|scenario| self.finds_data(index, scenario));
        self.tracks[t].wheel = wheel;
        next.is_some_and(|scenario| self.start_of(index, t, scenario, now, now))
    }

    /// A user of the closed model stops: nothing was begun, so nothing is counted.
    #[cold]
    pub(super) fn stop_without_data(&mut self, index: u32) {
        let t = self.track_of(index);
        let quota = &mut self.links[(index % self.share.links) as usize].quota;
        *quota = quota.saturating_add(1);
        let track = &mut self.tracks[t];
        track.used_up = true;
        track.phase.budget = track.phase.budget.saturating_add(1);
        self.users[index as usize].iterations -= 1;
    }

    /// An arrival that a user took found no row. True: no scenario of the phase has any left.
    #[cold]
    pub(super) fn count_without_data(&mut self, index: u32, t: usize) -> bool {
        let scenario = self.users[index as usize].scenario;
        let used_up = self.is_used_up(t, scenario);
        let track = &mut self.tracks[t];
        self.recorder.without_data[track.phase.index] += 1;
        track.used_up |= used_up && track.wheel.leave_turns(scenario);
        track.used_up
    }

    /// Whether a user may still begin one of the scenarios. One that may not has stopped.
    pub(super) fn takes_arrivals(&self, index: u32, t: usize) -> bool {
        self.tracks[t].wheel.has(|scenario| self.finds_data(index, *scenario))
    }
}
