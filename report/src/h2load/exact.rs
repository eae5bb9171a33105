//! Every service time of a run, to the microsecond and better: what the row `request` is made of where requests are logged
//! one by one. A histogram of three digits could not say what somebody computes from the log.
//!
//! Times below a second are counted in slots of 100 ns, of which only the memory pages in use exist; slower ones one by
//! one, by microsecond.

use std::collections::BTreeMap;

/// Nanoseconds of a slot.
const SLOT: u64 = 100;
/// Times from here on are counted by [`SLOW`].
const FINE: u64 = 1_000_000_000;
/// Nanoseconds by which slow times are told apart.
const SLOW: u64 = 1_000;

/// A distribution of times.
#[derive(Clone, Debug)]
pub struct Exact {
    slots: Vec<u64>,
    slow: BTreeMap<u64, u64>,
    count: u64,
    sum: u128,
    squares: u128,
    min: u64,
    max: u64,
}

impl Default for Exact {
    fn default() -> Exact {
        let slots = vec![0; (FINE / SLOT) as usize];
        Exact { slots, slow: BTreeMap::new(), count: 0, sum: 0, squares: 0, min: u64::MAX, max: 0 }
    }
}

impl Exact {
    /// Adds a time.
    pub fn record(&mut self, ns: u64) {
        match self.slots.get_mut((ns / SLOT) as usize) {
            Some(slot) => *slot += 1,
            None => *self.slow.entry(ns / SLOW).or_default() += 1,
        }
        self.count += 1;
        self.sum += u128::from(ns);
        self.squares += u128::from(ns) * u128::from(ns);
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn min_ns(&self) -> u64 {
        self.min
    }

    pub(super) fn max_ns(&self) -> u64 {
        self.max
    }

    pub(super) fn mean_ns(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    pub(super) fn stdev_ns(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let (n, mean) = (self.count as f64, self.mean_ns());
        ((self.squares as f64 - n * mean * mean).max(0.0) / (n - 1.0)).sqrt()
    }

    /// The times in order, with how many there are of each. A time is the beginning of its slot.
    pub(super) fn values(&self) -> impl Iterator<Item = (u64, u64)> {
        // Only the slots in use: the others are memory that does not exist yet.
        let to = (self.max / SLOT + 1).min(FINE / SLOT);
        let from = (self.min / SLOT).min(to);
        let used = &self.slots[from as usize..to as usize];
        let fine = (from..).zip(used).map(|(slot, &n)| (slot * SLOT, n));
        let slow = self.slow.iter().map(|(&us, &n)| (us * SLOW, n));
        fine.chain(slow).filter(|(_, n)| *n > 0)
    }

    /// The times at these places of the sorted times, counted from 0; the places in ascending order.
    pub(super) fn at<const N: usize>(&self, places: [u64; N]) -> [u64; N] {
        let (mut values, mut below) = (self.values(), 0);
        let mut current = (0, 0);
        places.map(|place| {
            while below + current.1 <= place {
                below += current.1;
                match values.next() {
                    Some(next) => current = next,
                    None => return self.max,
                }
            }
            current.0.clamp(self.min, self.max)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_sorted_times() {
        let mut exact = Exact::default();
        let mut raw: Vec<u64> = (0..5000_u64).map(|i| 17_000 + i * i * 97).collect();
        raw.extend([1_000_000_000, 61_000_123_456, 3]);
        raw.iter().rev().for_each(|&ns| exact.record(ns));
        raw.sort_unstable();
        assert_eq!((exact.count(), exact.min_ns(), exact.max_ns()), (5003, 3, 61_000_123_456));
        for place in [0, 1, 7, 2501, 4990, 5000, 5001, 5002] {
            let (want, [got, last]) = (raw[place as usize], exact.at([place, 5002]));
            let apart = if want < FINE { SLOT } else { SLOW };
            assert!(want - got < apart, "{place}: {got} is not {want}");
            assert!(61_000_123_456 - last < SLOW);
        }
        assert_eq!(exact.values().map(|(_, n)| n).sum::<u64>(), 5003);
        assert_eq!(Exact::default().values().count(), 0);
        let mean = raw.iter().sum::<u64>() as f64 / 5003.0;
        assert!((exact.mean_ns() - mean).abs() < 1e-3);
    }
}
