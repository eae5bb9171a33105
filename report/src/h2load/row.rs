//! One row of the table: a distribution's figures, from a series of times or from per-connection rates.

use super::exact::Exact;
use engine::stats::Series;

/// The figures of a row, in seconds or per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) median: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) mean: f64,
    pub(super) sd: f64,
    /// Per cent of the values within one standard deviation of the mean.
    pub(super) within: f64,
    /// Counts of ten equal buckets from min to max; empty where there is nothing to plot.
    pub(super) buckets: Vec<u64>,
}

const BUCKETS: usize = 10;

impl Row {
    /// Of times.
    pub(super) fn of_series(series: &Series, with_buckets: bool) -> Row {
        if series.count() == 0 {
            return Row::default();
        }
        let s = |ns: u64| ns as f64 / 1e9;
        let [low, high, p95, p99] = places(series.count());
        Row {
            min: s(series.min_ns()),
            max: s(series.max_ns()),
            median: (s(series.at_rank(low + 1)) + s(series.at_rank(high + 1))) / 2.0,
            p95: s(series.at_rank(p95 + 1)),
            p99: s(series.at_rank(p99 + 1)),
            mean: series.mean_ns() / 1e9,
            sd: series.stdev_ns() / 1e9,
            within: series.within_stdev() * 100.0,
            buckets: if with_buckets { series_buckets(series) } else { Vec::new() },
        }
    }

    /// Of a series of numbers.
    pub(super) fn of_numbers(series: &Series, with_buckets: bool) -> Row {
        let row = Row::of_series(series, with_buckets);
        let n = |seconds: f64| seconds * 1e9;
        Row {
            min: n(row.min),
            max: n(row.max),
            median: n(row.median),
            p95: n(row.p95),
            p99: n(row.p99),
            mean: n(row.mean),
            sd: n(row.sd),
            ..row
        }
    }

    /// Of times kept one by one.
    pub(super) fn of_exact(exact: &Exact, with_buckets: bool) -> Row {
        if exact.count() == 0 {
            return Row::default();
        }
        let s = |ns: u64| ns as f64 / 1e9;
        let [low, high, p95, p99] = exact.at(places(exact.count())).map(s);
        let (mean, sd) = (exact.mean_ns(), exact.stdev_ns());
        let inside = |(ns, _): &(u64, u64)| (mean - sd..=mean + sd).contains(&(*ns as f64));
        let inside: u64 = exact.values().filter(inside).map(|(_, n)| n).sum();
        Row {
            min: s(exact.min_ns()),
            max: s(exact.max_ns()),
            median: (low + high) / 2.0,
            p95,
            p99,
            mean: mean / 1e9,
            sd: sd / 1e9,
            // A time is known as the beginning of its slot, so equal times could fall out of their own deviation.
            within: if sd == 0.0 { 100.0 } else { inside as f64 * 100.0 / exact.count() as f64 },
            buckets: if with_buckets { exact_buckets(exact) } else { Vec::new() },
        }
    }

    /// Of plain values.
    pub(super) fn of_values(values: &[f64], with_buckets: bool) -> Row {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let n = sorted.len();
        if n == 0 {
            return Row::default();
        }
        let mean = sorted.iter().sum::<f64>() / n as f64;
        let squares: f64 = sorted.iter().map(|v| (v - mean).powi(2)).sum();
        let sd = if n > 1 { (squares / (n - 1) as f64).sqrt() } else { 0.0 };
        let inside = sorted.iter().filter(|v| (mean - sd..=mean + sd).contains(*v)).count();
        let at = |p: f64| sorted[(n as f64 * p) as usize];
        Row {
            min: sorted[0],
            max: sorted[n - 1],
            median: if n % 2 == 1 { sorted[n / 2] } else { (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0 },
            p95: at(0.95),
            p99: at(0.99),
            mean,
            sd,
            within: inside as f64 * 100.0 / n as f64,
            buckets: if with_buckets { value_buckets(&sorted) } else { Vec::new() },
        }
    }
}

/// Where the two middle values, the 95th and the 99th percentile are among `n` sorted values, counted from 0, as h2load
/// finds them.
fn places(n: u64) -> [u64; 4] {
    let at = |p: f64| ((n as f64 * p) as u64).min(n - 1);
    [(n - 1) / 2, n / 2, at(0.95), at(0.99)]
}

fn exact_buckets(exact: &Exact) -> Vec<u64> {
    let (min, max) = (exact.min_ns(), exact.max_ns());
    if min == max {
        return Vec::new();
    }
    let mut counts = vec![0; BUCKETS];
    for (ns, n) in exact.values() {
        let index = ns.saturating_sub(min) as f64 / (max - min) as f64 * BUCKETS as f64;
        counts[(index as usize).min(BUCKETS - 1)] += n;
    }
    counts
}

fn value_buckets(sorted: &[f64]) -> Vec<u64> {
    let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
    if min == max {
        return Vec::new();
    }
    let mut counts = vec![0; BUCKETS];
    for v in sorted {
        let index = ((v - min) / (max - min) * BUCKETS as f64) as usize;
        counts[index.min(BUCKETS - 1)] += 1;
    }
    counts
}

fn series_buckets(series: &Series) -> Vec<u64> {
    let (min, max) = (series.min_ns(), series.max_ns());
    if min == max {
        return Vec::new();
    }
    let width = (max - min) as f64 / BUCKETS as f64;
    let mut below = 0;
    (1..=BUCKETS)
        .map(|i| {
            let edge = if i == BUCKETS { max } else { min + (i as f64 * width) as u64 };
            let upto = count_at_most(series, edge);
            let inside = upto - below;
            below = upto;
            inside
        })
        .collect()
}

/// How many values are at most `ns`: the largest rank whose value is, found by halving.
fn count_at_most(series: &Series, ns: u64) -> u64 {
    let n = series.count();
    let (mut yes, mut no) = (0, n + 1);
    while no - yes > 1 {
        let rank = yes + (no - yes) / 2;
        if series.at_rank(rank) <= ns { yes = rank } else { no = rank }
    }
    yes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_a_series_hold_every_value_once() {
        let mut series = Series::default();
        let values: Vec<u64> = (1..=1000).map(|i| i * 1000).collect();
        values.iter().for_each(|&v| series.record(v));
        let row = Row::of_series(&series, true);
        assert_eq!(row.buckets.iter().sum::<u64>(), 1000);
        assert!(row.buckets.iter().all(|&n| (98..=102).contains(&n)), "{:?}", row.buckets);
    }

    #[test]
    fn rates_have_the_sample_deviation_and_an_averaged_median() {
        let row = Row::of_values(&[226.06, 256.86], false);
        assert_eq!((row.min, row.max, row.p95), (226.06, 256.86, 256.86));
        assert!((row.median - 241.46).abs() < 1e-9 && (row.sd - 21.7789).abs() < 1e-3);
        assert_eq!(row.within, 100.0);
        assert_eq!(Row::of_values(&[], true), Row::default());
    }
}
