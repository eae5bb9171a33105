//! Users of a core that wait for others, on this core or another (`pause_until`).

use super::Core;
use super::users::State;
use crate::clock::Clock;
use crate::io::Driver;
use crate::rendezvous::Round;
use proto::Time;
use std::time::Duration;

/// A user that waits.
pub(super) struct Waiting {
    user: u32,
    at: u16,
    round: Round,
    until: Time,
    /// In vain, it fails the iteration.
    must: bool,
}

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// A user comes to where it waits for others. False: it was the last, and goes on.
    pub(super) fn meet(&mut self, user: u32, at: u16, (timeout, must): (Duration, bool), now: Time) -> bool {
        let Some(round) = self.setup.meetings[usize::from(at)].come() else { return false };
        self.users[user as usize].state = State::Meeting;
        self.met.push(Waiting { user, at, round, until: now.after(timeout), must });
        true
    }

    /// A user waits for the others no longer.
    pub(super) fn leave_meeting(&mut self, user: u32) {
        if let Some(at) = self.met.iter().position(|waiting| waiting.user == user) {
            let waiting = self.met.swap_remove(at);
            self.setup.meetings[usize::from(waiting.at)].leave(waiting.round);
        }
    }

    /// Lets those go on whose last one has come, and those that have waited long enough.
    pub(super) fn look_for_others(&mut self, now: Time) {
        let mut i = 0;
        while let Some(waiting) = self.met.get(i) {
            let meeting = &self.setup.meetings[usize::from(waiting.at)];
            let over = meeting.is_over(waiting.round);
            if !over && now < waiting.until {
                i += 1;
                continue;
            }
            let in_vain = !over && meeting.leave(waiting.round);
            let waiting = self.met.swap_remove(i);
            if in_vain && waiting.must {
                let name = &self.setup.plan.script.meetings[usize::from(waiting.at)].name;
                let blank = if name.is_empty() { "" } else { " " };
                let reason = format!("pause_until{blank}{name}: too few users came in time");
                self.scripts.actors[waiting.user as usize].waited_in_vain(&reason);
            }
            let user = &mut self.users[waiting.user as usize];
            if user.state == State::Meeting {
                user.state = State::Ended;
                self.queues.ready.push(waiting.user);
            }
        }
    }
}
