//! Where the cores of a run meet: at the start, and wherever a phase that counts has ended on one core and not yet on all.
//!
//! A core that is gone, whether it finished, failed or panicked, is waited for by nobody. `run` makes a gate and hands each
//! thread its [`Place`]; the core asks it.

use proto::Time;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The meetings of a run.
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Which meetings each core has come to; one that is gone, to all. Several may be going on, for scenarios that run side by side.
    reached: Vec<Vec<bool>>,
    /// When the last core came to each meeting.
    latest: Vec<Time>,
    cancelled: bool,
}

/// The meeting before anything.
const START: usize = 0;
/// The meeting when connections stand, before the first phase.
pub(crate) const READY: usize = 1;

/// The meeting at the end of a phase.
pub(crate) fn end_of(phase: usize) -> usize {
    phase + 2
}

impl Gate {
    /// A gate for so many cores and phases.
    pub(crate) fn new(cores: usize, phases: usize) -> Gate {
        let meetings = end_of(phases);
        let state = State {
            reached: vec![vec![false; meetings]; cores],
            latest: vec![Time::ZERO; meetings],
            cancelled: false,
        };
        Gate { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// A core's place. The core counts as gone when it is dropped.
    pub(crate) fn place(&self, core: usize) -> Place<'_> {
        Place { gate: self, core }
    }

    /// Nobody starts any more.
    pub(crate) fn cancel(&self) {
        self.lock().cancelled = true;
        self.changed.notify_all();
    }

    /// A thread that panicked left nothing half done here: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn met(&self, meeting: usize) -> bool {
        self.reached.iter().all(|reached| reached[meeting])
    }
}

/// One core's place among the others.
pub(crate) struct Place<'a> {
    gate: &'a Gate,
    core: usize,
}

impl Place<'_> {
    /// Comes to a meeting.
    pub(crate) fn come(&self, meeting: usize, now: Time) {
        let mut state = self.gate.lock();
        state.reached[self.core][meeting] = true;
        state.latest[meeting] = state.latest[meeting].max(now);
        self.gate.changed.notify_all();
    }

    /// When the last core came, if all have.
    pub(crate) fn all_came(&self, meeting: usize) -> Option<Time> {
        let state = self.gate.lock();
        state.met(meeting).then(|| state.latest[meeting])
    }

    /// This core cannot start, and without it none is to: a part of the load is not what was asked for.
    pub(crate) fn call_off(&self) {
        self.gate.cancel();
    }

    /// Comes to the start and waits for the others. False: the run was called off.
    pub(crate) fn wait_for_start(&self) -> bool {
        let mut state = self.gate.lock();
        state.reached[self.core][START] = true;
        self.gate.changed.notify_all();
        while !state.met(START) && !state.cancelled {
            state = self.gate.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.cancelled
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.lock().reached[self.core].fill(true);
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_takes_place_when_the_last_core_has_come_and_is_as_late_as_that_one() {
        let gate = Gate::new(2, 1);
        let (a, b) = (gate.place(0), gate.place(1));
        a.come(end_of(0), Time::from_nanos(7));
        assert_eq!(a.all_came(end_of(0)), None);
        b.come(end_of(0), Time::from_nanos(5));
        assert_eq!(a.all_came(end_of(0)), Some(Time::from_nanos(7)));
        assert_eq!(b.all_came(end_of(0)), Some(Time::from_nanos(7)));
    }

    #[test]
    fn who_is_gone_is_waited_for_by_nobody() {
        let gate = Gate::new(3, 2);
        let (a, b, c) = (gate.place(0), gate.place(1), gate.place(2));
        drop(b); // before the start, as a thread that could not be made
        a.come(end_of(0), Time::from_nanos(3));
        assert_eq!(a.all_came(end_of(0)), None);
        c.come(end_of(1), Time::from_nanos(9)); // of a scenario beside, whose phase is over before
        assert_eq!(a.all_came(end_of(0)), None);
        c.come(end_of(0), Time::from_nanos(2));
        assert_eq!(a.all_came(end_of(0)), Some(Time::from_nanos(3)));
        assert_eq!(c.all_came(end_of(1)), None);
        drop(a);
        assert_eq!(c.all_came(end_of(1)), Some(Time::from_nanos(9)));
    }

    #[test]
    fn who_cannot_start_calls_the_run_off_for_those_who_wait() {
        let gate = Gate::new(2, 1);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| gate.place(0).wait_for_start());
            let other = gate.place(1);
            other.call_off();
            drop(other); // counts as come to every meeting, also to the start
            assert!(!waits.join().unwrap());
        });
    }

    #[test]
    fn a_panic_before_the_start_does_not_hang_the_others() {
        let gate = Gate::new(2, 1);
        std::thread::scope(|scope| {
            let (a, b) = (gate.place(0), gate.place(1));
            let waits = scope.spawn(move || a.wait_for_start());
            let panics = scope.spawn(move || {
                let _place = b;
                panic!("as a test wants it");
            });
            assert!(panics.join().is_err());
            assert!(waits.join().unwrap());
        });
    }

    #[test]
    fn a_run_that_is_called_off_starts_nowhere() {
        let gate = Gate::new(2, 1);
        std::thread::scope(|scope| {
            let a = gate.place(0);
            let waits = scope.spawn(move || a.wait_for_start());
            gate.cancel();
            assert!(!waits.join().unwrap());
        });
    }
}
