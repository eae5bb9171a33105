//! How often each value was seen: the counters of an HdrHistogram of three digits, in its own layout, so that recording is
//! an index and an addition. Not the standard encoding: that is `encoding`. `series` keeps one each.
//!
//! The layout: values below 2048 have a counter each; above, each power of two is divided into 1024 steps, so a step is at
//! most 1/1024 of its value wide.

#[cfg(test)]
use super::series::DIGITS;
use hdrhistogram::Histogram;

/// Steps of a power of two.
const STEPS: usize = 1024;
/// Bits of a value below which each has its own counter.
const EXACT_BITS: u32 = 11;
/// Counters for values up to 2^30 ns, a second. They come from the kernel as zero pages, of which only those that count
/// something become resident; fewer that grow would be copied and touched as a whole.
const FIRST: usize = (30 - EXACT_BITS as usize + 2) * STEPS;

/// What a histogram says it can hold (ns) while these counters are enough for it.
const LEAST_CAPACITY: u64 = 1_000_000_000;

/// Grows with the values recorded.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Counts {
    counts: Vec<u64>,
}

/// Which counter a value has.
#[inline]
fn index(value: u64) -> usize {
    let bits = u64::BITS - (value | ((1 << EXACT_BITS) - 1)).leading_zeros();
    let shift = bits - EXACT_BITS;
    // The first 2048 counters are for shift 0; each further shift adds the upper half of what a step can be.
    shift as usize * STEPS + (value >> shift) as usize
}

/// The largest value that has this counter.
fn highest(index: usize) -> u64 {
    let shift = (index / STEPS).saturating_sub(1) as u32;
    let step = (index - shift as usize * STEPS) as u64;
    ((step + 1) << shift) - 1
}

/// What the library's histogram says it can hold that has grown to have this counter.
pub(super) fn capacity(index: usize) -> u64 {
    if index < FIRST { LEAST_CAPACITY } else { highest((index / STEPS + 1) * STEPS - 1) }
}

/// The counters that would have counted these values: index and count, in ascending order.
pub(super) fn counters_of(values: &[u64]) -> Vec<(usize, u64)> {
    let mut indices: Vec<usize> = values.iter().map(|&value| index(value)).collect();
    indices.sort_unstable();
    indices.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)).collect()
}

impl Counts {
    pub(super) fn new() -> Counts {
        Counts { counts: vec![0; FIRST] }
    }

    #[inline]
    pub(super) fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    #[inline]
    pub(super) fn record_n(&mut self, value: u64, n: u64) {
        let index = index(value);
        if index >= self.counts.len() {
            self.grow(index);
        }
        self.counts[index] += n;
    }

    #[cold]
    fn grow(&mut self, index: usize) {
        self.counts.resize((index / STEPS + 1) * STEPS, 0);
    }

    /// Adds other counts. All their values are from `least` to `most`: what is outside is not looked at.
    pub(super) fn add(&mut self, other: &Counts, least: u64, most: u64) {
        let end = (index(most) + 1).min(other.counts.len());
        let start = index(least).min(end);
        if end > self.counts.len() {
            self.grow(end - 1);
        }
        let both = self.counts[start..end].iter_mut().zip(&other.counts[start..end]);
        // A counter that is not written does not become resident.
        both.filter(|(_, theirs)| **theirs > 0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// The counters that counted something, as index and count, in ascending order.
    pub(super) fn counters(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(i, n)| (i, *n))
    }

    /// Each value seen, as the largest that has the same counter, and how often; in ascending order.
    pub(super) fn seen(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counters().map(|(i, n)| (highest(i), n))
    }

    /// The value at a rank (from 1: the smallest) of the sorted values, as the largest that has the same counter. `None`
    /// beyond the last.
    pub(super) fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut left = rank.max(1);
        self.seen()
            .find(|(_, n)| {
                let here = left <= *n;
                left = left.saturating_sub(*n);
                here
            })
            .map(|(value, _)| value)
    }

    /// The same counts in the library's type, to compare with.
    #[cfg(test)]
    pub(super) fn to_histogram(&self) -> Histogram<u64> {
        let mut hist =
            Histogram::new_with_bounds(1, LEAST_CAPACITY, DIGITS).expect("constant bounds are legal");
        hist.auto(true);
        for (value, n) in self.seen() {
            hist.record_n(value, n).expect("a histogram that grows takes every value");
        }
        hist
    }

    pub(super) fn of_histogram(hist: &Histogram<u64>) -> Counts {
        let mut counts = Counts::new();
        hist.iter_recorded().for_each(|v| counts.record_n(v.value_iterated_to(), v.count_at_value()));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::series::HIGHEST_NS;

    /// Every power of two up to the highest value of a series, with its neighbours, and a spread between.
    fn values() -> impl Iterator<Item = u64> {
        let edges = (0..42).flat_map(|bit| {
            let edge = 1_u64 << bit;
            [edge - 1, edge, edge + 1, edge + edge / 3, edge + edge / 1024]
        });
        edges.chain((0..5000).map(|i| i * 7)).filter(|v| *v <= HIGHEST_NS)
    }

    #[test]
    fn the_layout_is_that_of_the_library() {
        let mut hist = Histogram::<u64>::new_with_bounds(1, LEAST_CAPACITY, DIGITS).unwrap();
        hist.auto(true);
        for value in values() {
            assert_eq!(highest(index(value)), hist.highest_equivalent(value), "{value}");
        }
    }

    #[test]
    fn counters_are_dense_and_in_the_order_of_values() {
        let mut below = 0;
        for value in 0..100_000 {
            let index = index(value);
            assert!(index == below || index == below + 1, "{value}");
            assert!(highest(index) >= value && highest(index) <= value + value / 1024, "{value}");
            below = index;
        }
    }

    #[test]
    fn it_counts_what_the_library_counts() {
        let mut hist = Histogram::<u64>::new_with_bounds(1, LEAST_CAPACITY, DIGITS).unwrap();
        hist.auto(true);
        let mut counts = Counts::new();
        for value in values() {
            hist.record(value).unwrap();
            counts.record(value);
        }
        assert_eq!(counts.to_histogram(), hist);
        assert!(Counts::of_histogram(&hist).seen().eq(counts.seen()));
        let total = counts.seen().map(|(_, n)| n).sum();
        assert_eq!(total, hist.len());
        for rank in [1, 2, total / 3, total / 2, total - 1, total] {
            let q = (rank as f64 - 0.5) / total as f64; // within the rank, away from rounding
            assert_eq!(counts.at_rank(rank), Some(hist.value_at_quantile(q)), "rank {rank}");
        }
        assert_eq!(counts.at_rank(total + 1), None);
    }

    #[test]
    fn adding_grows_to_the_larger_of_both() {
        let (mut small, mut large) = (Counts::new(), Counts::new());
        small.record(5);
        large.record(HIGHEST_NS);
        small.add(&large, HIGHEST_NS, HIGHEST_NS);
        assert_eq!(small.seen().map(|(_, n)| n).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(small.at_rank(1), Some(5));
    }

    #[test]
    fn what_is_added_may_lie_anywhere_within_what_is_said_of_it() {
        for (least, most) in [(0, HIGHEST_NS), (0, 70_000), (5, 70_000), (5, HIGHEST_NS)] {
            let (mut all, mut more) = (Counts::new(), Counts::new());
            for value in [5, 69_999, 70_000] {
                more.record(value);
                all.record(value);
            }
            all.add(&more, least, most);
            let doubled: Vec<_> = more.seen().map(|(value, n)| (value, 2 * n)).collect();
            assert!(all.seen().eq(doubled), "{least} to {most}");
        }
    }
}
