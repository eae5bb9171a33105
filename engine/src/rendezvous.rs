//! Where users of all cores wait until so many have come (`pause_until`).
//!
//! One word for each, shared by the cores: whoever comes last opens it for all of its round, and each core looks now and
//! then whether that has happened. `core` asks it.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// A point where users wait for each other.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    users: u32,
    /// The round above, who waits below.
    state: AtomicU64,
}

/// A round: those who came in it leave together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round(u32);

fn split(state: u64) -> (u32, u32) {
    ((state >> 32) as u32, state as u32)
}

fn join(round: u32, waiting: u32) -> u64 {
    u64::from(round) << 32 | u64::from(waiting)
}

impl Rendezvous {
    pub(crate) fn new(users: NonZeroU32) -> Rendezvous {
        Rendezvous { users: users.get(), state: AtomicU64::new(0) }
    }

    /// A user comes. `None`: it was the last, and nobody of this round waits any longer.
    pub(crate) fn come(&self) -> Option<Round> {
        let change = |state| {
            let (round, waiting) = split(state);
            Some(match waiting + 1 >= self.users {
                true => join(round.wrapping_add(1), 0),
                false => join(round, waiting + 1),
            })
        };
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        let (round, waiting) = split(before.unwrap_or_else(|state| state));
        (waiting + 1 < self.users).then_some(Round(round))
    }

    /// Whether the last of a round has come.
    pub(crate) fn is_over(&self, round: Round) -> bool {
        split(self.state.load(Ordering::Acquire)).0 != round.0
    }

    /// A user waits no longer. False: the last one has just come.
    pub(crate) fn leave(&self, of: Round) -> bool {
        let change = |state| {
            let (round, waiting) = split(state);
            (round == of.0).then(|| join(round, waiting - 1))
        };
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(users: u32) -> Rendezvous {
        Rendezvous::new(NonZeroU32::new(users).unwrap())
    }

    #[test]
    fn the_last_one_opens_and_the_next_round_begins() {
        let r = of(3);
        let (a, b) = (r.come().unwrap(), r.come().unwrap());
        assert!(!r.is_over(a));
        assert_eq!(r.come(), None);
        assert!(r.is_over(a) && r.is_over(b) && !r.leave(a), "nobody is left behind");
        let next = r.come().unwrap();
        assert!(!r.is_over(next));
        assert_eq!(of(1).come(), None, "alone");
    }

    #[test]
    fn who_left_is_not_counted() {
        let r = of(2);
        let a = r.come().unwrap();
        assert!(r.leave(a));
        let b = r.come().expect("the one before has left");
        assert_eq!((r.come(), r.is_over(b)), (None, true));
    }

    #[test]
    fn threads_leave_in_whole_rounds() {
        let (r, rounds) = (of(4), 1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let Some(round) = r.come() else { continue };
                        while !r.is_over(round) {
                            std::thread::yield_now();
                        }
                    }
                });
            }
        });
        assert_eq!(split(r.state.into_inner()), (rounds, 0));
    }
}
