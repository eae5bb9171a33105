//! A series of times: a histogram of nanoseconds with exact count, sum, minimum and maximum beside it.

use super::counts::{Counts, counters_of};
use super::encoding;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Above this a value is counted in `over_range` and the exact maximum still holds it.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Significant decimal digits the histogram keeps: a reported percentile is at most 0.1 % above the true value.
pub const DIGITS: u8 = 3;

/// Up to so many values are kept as they are: connects are few, and a histogram costs a hundred times as much.
const FEW: usize = 128;

/// Times in nanoseconds. A series that never fills costs a few words.
#[derive(Clone, Default)]
pub struct Series {
    /// The values while they are few; empty once there is a histogram.
    few: Vec<u64>,
    hist: Option<Hist>,
    sum: u128,
    squares: u128,
    count: u64,
    min: u64,
    max: u64,
    over_range: u64,
}

/// A histogram being filled, or one that several results share: a result shows the same values as total, phase and step,
/// and histograms are what it costs in memory.
#[derive(Clone)]
enum Hist {
    Own(Counts),
    Shared(Arc<Counts>),
}

impl Hist {
    #[inline]
    fn own(&mut self) -> &mut Counts {
        if let Hist::Shared(shared) = self {
            *self = Hist::Own((**shared).clone());
        }
        match self {
            Hist::Own(own) => own,
            Hist::Shared(_) => unreachable!("made its own above"),
        }
    }
}

impl Deref for Hist {
    type Target = Counts;
    fn deref(&self) -> &Counts {
        match self {
            Hist::Own(own) => own,
            Hist::Shared(shared) => shared,
        }
    }
}

impl Series {
    /// Records a time in nanoseconds. Allocates at the first value only.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        if self.count == 0 {
            self.min = ns;
        }
        self.count += 1;
        self.sum += u128::from(ns);
        self.squares += u128::from(ns) * u128::from(ns);
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
        self.insert(ns);
    }

    #[inline]
    fn insert(&mut self, ns: u64) {
        match &mut self.hist {
            _ if ns > HIGHEST_NS => self.over_range += 1,
            Some(hist) => hist.own().record(ns),
            None => self.insert_early(ns),
        }
    }

    #[cold]
    fn insert_early(&mut self, ns: u64) {
        self.few.push(ns);
        if self.few.len() > FEW {
            self.hist = Some(Hist::Own(self.counts_of_few()));
            self.few = Vec::new();
        }
    }

    /// Of the values within range, be they few or many.
    fn counts(&self) -> Cow<'_, Counts> {
        self.hist.as_ref().map_or_else(|| Cow::Owned(self.counts_of_few()), |hist| Cow::Borrowed(&**hist))
    }

    fn counts_of_few(&self) -> Counts {
        let mut counts = Counts::new();
        self.few.iter().for_each(|&ns| counts.record(ns));
        counts
    }

    /// Records `n` times the value 0.
    pub(crate) fn record_zeros(&mut self, n: u64) {
        if n == 0 {
            return;
        }
        self.count += n;
        self.min = 0;
        if self.hist.is_none() {
            self.hist = Some(Hist::Own(self.counts_of_few()));
            self.few = Vec::new();
        }
        if let Some(hist) = &mut self.hist {
            hist.own().record_n(0, n);
        }
    }

    /// Adds another series to this one. Percentiles afterwards are those of all values together.
    pub fn merge(&mut self, other: &Series) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.over_range += other.over_range;
        let (least, most) = (other.min, other.max.min(HIGHEST_NS));
        match (&mut self.hist, &other.hist) {
            (Some(mine), Some(theirs)) => mine.own().add(theirs, least, most),
            (None, Some(theirs)) => {
                self.hist = Some(match theirs {
                    Hist::Shared(shared) => Hist::Shared(shared.clone()),
                    // Not a clone, of which the empty counters would be resident, too.
                    Hist::Own(own) => {
                        let mut mine = Counts::new();
                        mine.add(own, least, most);
                        Hist::Own(mine)
                    }
                });
                std::mem::take(&mut self.few).into_iter().for_each(|ns| self.insert(ns));
            }
            (_, None) => other.few.iter().for_each(|&ns| self.insert(ns)),
        }
    }

    /// From now on copies share the histogram, until one of them changes.
    pub(crate) fn share(&mut self) {
        if let Some(Hist::Own(own)) = self.hist.take_if(|h| matches!(h, Hist::Own(_))) {
            self.hist = Some(Hist::Shared(Arc::from(own)));
        }
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// Values above the histogram's range (they are in `count`, `mean` and `max`, and rank above every percentile).
    pub fn over_range(&self) -> u64 {
        self.over_range
    }
    /// The exact smallest value, 0 if empty.
    pub fn min_ns(&self) -> u64 {
        self.min
    }
    /// The exact largest value, 0 if empty.
    pub fn max_ns(&self) -> u64 {
        self.max
    }
    /// The exact mean, 0 if empty.
    pub fn mean_ns(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
    /// The exact standard deviation (of the sample, n - 1), 0 below two values.
    pub fn stdev_ns(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let (n, mean) = (self.count as f64, self.mean_ns());
        ((self.squares as f64 - n * mean * mean).max(0.0) / (n - 1.0)).sqrt()
    }

    /// The value at quantile `q` (0..=1): at least this share of the values is equal or smaller, to within the
    /// histogram's precision. 0 if empty.
    pub fn quantile_ns(&self, q: f64) -> u64 {
        self.at_rank((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64)
    }

    /// The value at a rank (from 1: the smallest) of the sorted values, to within the histogram's precision. 0 if empty.
    pub fn at_rank(&self, rank: u64) -> u64 {
        let rank = rank.max(1);
        let Some(hist) = &self.hist else {
            let mut sorted = self.few.clone();
            sorted.sort_unstable();
            return sorted.get(rank as usize - 1).copied().unwrap_or(self.max);
        };
        // Beyond: among the values over range, of which only the largest is known.
        hist.at_rank(rank).map_or(self.max, |value| value.clamp(self.min, self.max))
    }

    /// The share (0..=1) of values within one standard deviation of the mean (h2load's "+/- sd" column).
    pub fn within_stdev(&self) -> f64 {
        let (mean, sd) = (self.mean_ns(), self.stdev_ns());
        let (low, high) = ((mean - sd).max(0.0) as u64, (mean + sd) as u64);
        if self.count == 0 || sd == 0.0 {
            return if self.count == 0 { 0.0 } else { 1.0 };
        }
        let counts = self.counts();
        let within = counts.seen().filter(|(value, _)| (low..=high).contains(value.min(&self.max)));
        let inside: u64 = within.map(|(_, n)| n).sum();
        inside as f64 / self.count as f64
    }

    /// The same series in as few bytes as it takes.
    pub fn pack(&self) -> Packed {
        let content = match &self.hist {
            Some(_) => Content::V2(self.v2_deflate().into()),
            None => Content::Few(self.few.as_slice().into()),
        };
        Packed {
            content,
            sum: self.sum,
            squares: self.squares,
            count: self.count,
            min: self.min,
            max: self.max,
            over_range: self.over_range,
        }
    }

    /// The histogram in HdrHistogram's V2 deflate encoding, which the standard tools read (values are nanoseconds).
    pub fn v2_deflate(&self) -> Vec<u8> {
        match &self.hist {
            Some(hist) => encoding::v2_deflate(hist.counters()),
            None => encoding::v2_deflate(counters_of(&self.few).into_iter()),
        }
    }
}

/// A series at rest: it takes no more values, and some hundred bytes instead of the 170 KB of a histogram. Copies share it.
#[derive(Clone, Debug)]
pub struct Packed {
    content: Content,
    sum: u128,
    squares: u128,
    count: u64,
    min: u64,
    max: u64,
    over_range: u64,
}

#[derive(Clone, Debug)]
enum Content {
    Few(Arc<[u64]>),
    V2(Arc<[u8]>),
}

impl Packed {
    /// The series it was made of, equal in every figure.
    pub fn unpack(&self) -> Series {
        let (few, hist) = match &self.content {
            Content::Few(few) => (few.to_vec(), None),
            Content::V2(bytes) => {
                let hist: Histogram<u64> =
                    Deserializer::new().deserialize(&mut &bytes[..]).expect("it was encoded here");
                (Vec::new(), Some(Hist::Own(Counts::of_histogram(&hist))))
            }
        };
        let Packed { sum, squares, count, min, max, over_range, .. } = *self;
        Series { few, hist, sum, squares, count, min, max, over_range }
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The exact largest value, 0 if empty.
    pub fn max_ns(&self) -> u64 {
        self.max
    }

    /// See [`Series::v2_deflate`].
    pub fn v2_deflate(&self) -> Arc<[u8]> {
        match &self.content {
            Content::Few(_) => self.unpack().v2_deflate().into(),
            Content::V2(bytes) => bytes.clone(),
        }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series")
            .field("count", &self.count)
            .field("min", &self.min)
            .field("max", &self.max)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator, so that the values are the same in every run.
    fn values(n: u64) -> Vec<u64> {
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        (0..n)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                50_000 + x % 10_000_000
            })
            .collect()
    }

    #[test]
    fn percentiles_equal_those_of_the_raw_values_to_three_digits() {
        let mut raw = values(10_000);
        let mut series = Series::default();
        raw.iter().for_each(|&v| series.record(v));
        raw.sort_unstable();
        for q in [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let rank = ((q * raw.len() as f64).ceil() as usize).clamp(1, raw.len());
            let (want, got) = (raw[rank - 1] as f64, series.quantile_ns(q) as f64);
            assert!((got - want).abs() <= want * 0.001 + 1.0, "q {q}: {got} is not {want}");
        }
        assert_eq!(series.min_ns(), raw[0]);
        assert_eq!(series.max_ns(), raw[raw.len() - 1]);
        let mean = raw.iter().sum::<u64>() as f64 / raw.len() as f64;
        assert!((series.mean_ns() - mean).abs() < 1e-3);
        let sd =
            (raw.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / (raw.len() - 1) as f64).sqrt();
        assert!((series.stdev_ns() / sd - 1.0).abs() < 1e-6);
    }

    #[test]
    fn merging_equals_recording_everything_in_one() {
        let raw = values(3_000);
        let mut parts = vec![Series::default(); 3];
        let mut whole = Series::default();
        for (i, &v) in raw.iter().enumerate() {
            parts[i % 3].record(v);
            whole.record(v);
        }
        let mut merged = Series::default();
        parts.iter().for_each(|p| merged.merge(p));
        assert_eq!(merged.count(), whole.count());
        assert_eq!((merged.min_ns(), merged.max_ns()), (whole.min_ns(), whole.max_ns()));
        for q in [0.001, 0.5, 0.9, 0.99, 0.9999] {
            assert_eq!(merged.quantile_ns(q), whole.quantile_ns(q));
        }
    }

    #[test]
    fn a_packed_series_is_small_and_comes_back_whole() {
        for n in [0, 1, 7, FEW as u64, 1000, 100_000] {
            let mut series = Series::default();
            values(n).iter().for_each(|&v| series.record(v));
            if n > 1 {
                series.record(2 * HIGHEST_NS);
            }
            let packed = series.pack();
            let mut back = packed.unpack();
            assert_eq!((packed.count(), packed.max_ns()), (series.count(), series.max_ns()));
            assert_eq!(&packed.v2_deflate()[..], series.v2_deflate(), "{n} values");
            if let Content::V2(bytes) = &packed.content {
                assert!(bytes.len() < 16 * 1024, "{n} values take {} bytes", bytes.len());
            }
            // It can grow again, also beyond what it was encoded for.
            for value in [0, 30_000_000_000] {
                assert_eq!(figures(&back), figures(&series), "{n} values");
                back.record(value);
                series.record(value);
            }
        }
    }

    fn figures(s: &Series) -> impl PartialEq + fmt::Debug {
        let quantiles = [0.0, 0.25, 0.5, 0.9, 0.99, 0.9999, 1.0].map(|q| s.quantile_ns(q));
        let exact = (s.count(), s.min_ns(), s.max_ns(), s.over_range());
        (quantiles, exact, s.mean_ns().to_bits(), s.stdev_ns().to_bits(), s.within_stdev().to_bits())
    }

    #[test]
    fn no_value_vanishes_above_the_range() {
        let mut series = Series::default();
        series.record(1_000);
        series.record(2 * HIGHEST_NS);
        assert_eq!((series.count(), series.over_range(), series.max_ns()), (2, 1, 2 * HIGHEST_NS));
        assert_eq!(series.quantile_ns(0.5), 1_000);
        assert_eq!(series.quantile_ns(1.0), 2 * HIGHEST_NS);
    }

    #[test]
    fn an_empty_series_is_all_zero() {
        let series = Series::default();
        assert_eq!((series.count(), series.min_ns(), series.max_ns(), series.quantile_ns(0.5)), (0, 0, 0, 0));
        assert_eq!((series.mean_ns(), series.stdev_ns(), series.within_stdev()), (0.0, 0.0, 0.0));
        assert!(!series.v2_deflate().is_empty());
    }
}
