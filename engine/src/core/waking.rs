//! How late a core's wake-ups are, and so how early it must wake up before an arrival to be there in time.
//!
//! Pure: what is late comes in, a margin comes out. A virtual machine wakes up some tens of microseconds late as a rule and
//! some hundreds once in a hundred times, so an average says nothing and the worst says too much.

use crate::limits;

/// Lateness is counted in steps of so many ns...
const STEP: u64 = 10_000;
/// ...up to the longest margin; what is later than that is counted in the last step.
const STEPS: usize = (limits::SPIN_MAX.as_nanos() as u64 / STEP) as usize + 1;
/// One wake-up in so many may be later than the margin.
const RARELY: u32 = 256;
/// With fewer nothing is known.
const FEWEST: u32 = 64;
/// After so many the older ones count half.
const REMEMBERED: u32 = 4096;

/// What is known of a core's wake-ups.
pub(super) struct Waking {
    late: [u32; STEPS],
    all: u32,
    margin: u64,
}

impl Waking {
    pub(super) fn new() -> Waking {
        Waking { late: [0; STEPS], all: 0, margin: limits::SPIN_MAX.as_nanos() as u64 }
    }

    /// How early the core is to wake up (ns).
    #[inline]
    pub(super) fn margin(&self) -> u64 {
        self.margin
    }

    /// A sleep ended by so many ns too late.
    pub(super) fn note(&mut self, late: u64) {
        self.late[((late / STEP) as usize).min(STEPS - 1)] += 1;
        self.all += 1;
        if self.all >= FEWEST {
            let (min, max) = (limits::SPIN_MIN.as_nanos() as u64, limits::SPIN_MAX.as_nanos() as u64);
            self.margin = (self.steps() * STEP).clamp(min, max);
        }
        if self.all >= REMEMBERED {
            self.late.iter_mut().for_each(|n| *n /= 2);
            self.all = self.late.iter().sum();
        }
    }

    /// The fewest steps within which all but a few were.
    fn steps(&self) -> u64 {
        let mut later = 0;
        for (step, n) in self.late.iter().enumerate().rev() {
            later += n;
            if later > self.all / RARELY {
                return step as u64 + 1;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(waking: &Waking) -> u64 {
        waking.margin() / 1000
    }

    #[test]
    fn with_little_known_the_margin_is_the_longest() {
        let mut waking = Waking::new();
        (1..FEWEST).for_each(|_| waking.note(1000));
        assert_eq!(us(&waking), 300);
        waking.note(1000);
        assert_eq!(us(&waking), 30, "and never below the shortest");
    }

    #[test]
    fn one_in_a_hundred_counts_and_one_in_a_thousand_does_not() {
        for (every, margin) in [(100, 210), (1000, 70)] {
            let mut waking = Waking::new();
            let mut late = 0;
            for i in 1..=20_000 {
                let ns = if i % every == 0 { 203_000 } else { 62_000 };
                late += u32::from(i > 1000 && ns > waking.margin());
                waking.note(ns);
            }
            assert_eq!(us(&waking), margin);
            assert!(late <= 20_000 / RARELY, "{late}");
        }
    }

    #[test]
    fn what_the_machine_was_like_is_forgotten() {
        let mut waking = Waking::new();
        (0..10_000).for_each(|_| waking.note(5_000_000));
        assert_eq!(us(&waking), 300, "later than the longest margin is no reason for a longer one");
        let forgotten = (1..).find(|_| {
            waking.note(12_000);
            us(&waking) == 30
        });
        assert!(forgotten.is_some_and(|n| n < 10 * REMEMBERED), "{forgotten:?}");
    }
}
