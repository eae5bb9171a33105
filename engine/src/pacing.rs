//! When arrivals are due: a schedule is a pure function of the plan, the seed and an arrival's number.
//!
//! All cores see one schedule and each takes its own part of it: arrival `i` belongs to lane `i % lanes`, and a core has
//! some lanes to itself. So the union is the same for any number of cores, to the nanosecond. Where users own connections
//! (flag mode), each connection is a lane: the rate of every one of them is exact as well.
//!
//! Who waits for arrivals, and what becomes of those nobody can take, is `core::arrivals`.

use proto::Time;
use scenario::plan::{Arrivals, Curve, Spread};
use std::sync::Arc;
use std::time::Duration;

const SECOND: f64 = 1e9;

/// Which arrivals are a core's own: those of lanes `first..first + own`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    /// Of the whole run.
    pub(crate) all: u32,
    pub(crate) first: u32,
    pub(crate) own: u32,
}

impl Lanes {
    /// How many of `n` places are this core's: those of all cores are `n` together.
    pub(crate) fn part_of(self, n: u64) -> u64 {
        let upto = |lane: u32| n * u64::from(lane) / u64::from(self.all);
        upto(self.first + self.own) - upto(self.first)
    }
}

/// One core's part of a phase's arrivals, in order.
pub(crate) struct Schedule {
    source: Source,
    lanes: Lanes,
    began: Time,
    /// Arrivals of the whole run that there may be.
    limit: u64,
    /// The one that comes next: its number in the whole run, and its time.
    index: u64,
    due: Time,
}

/// An arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The intended start.
    pub(crate) due: Time,
    /// Its lane, counted from the core's first.
    pub(crate) lane: u32,
}

impl Schedule {
    /// The schedule of a phase that began at `began`; at most `limit` arrivals over all cores.
    pub(crate) fn new(arrivals: &Arrivals, lanes: Lanes, began: Time, limit: u64, seed: u64) -> Schedule {
        assert!(lanes.own > 0 && lanes.first + lanes.own <= lanes.all, "no such lanes: {lanes:?}");
        let index = u64::from(lanes.first);
        let mut schedule =
            Schedule { source: Source::new(arrivals, seed), lanes, began, limit, index, due: Time::NEVER };
        schedule.due = schedule.time_of(index);
        schedule
    }

    /// When the next arrival is due; `Time::NEVER` after the last.
    #[inline]
    pub(crate) fn next(&self) -> Time {
        self.due
    }

    /// Takes the next arrival if it is due.
    #[inline]
    pub(crate) fn take(&mut self, now: Time) -> Option<Arrival> {
        if self.due > now || self.due == Time::NEVER {
            return None;
        }
        let lane = (self.index % u64::from(self.lanes.all)) as u32 - self.lanes.first;
        let arrival = Arrival { due: self.due, lane };
        let to_next_round = u64::from(self.lanes.all - self.lanes.own) + 1;
        self.index += if lane + 1 == self.lanes.own { to_next_round } else { 1 };
        self.due = self.time_of(self.index);
        Some(arrival)
    }

    fn time_of(&mut self, index: u64) -> Time {
        if index >= self.limit {
            return Time::NEVER;
        }
        match self.source.offset(index) {
            Some(ns) => self.began.after(Duration::from_nanos(ns)),
            None => Time::NEVER,
        }
    }
}

/// Times of arrivals by number. Asked for in rising order.
enum Source {
    Even(Curve),
    Burst(Curve, u64),
    Poisson { curve: Curve, random: Random, seen: u64, at: f64 },
    Times { at: Arc<[u64]>, each: u64 },
}

impl Source {
    fn new(arrivals: &Arrivals, seed: u64) -> Source {
        let curve = arrivals.curve.clone();
        match (curve, arrivals.spread) {
            (Curve::Times { at, each }, _) => Source::Times { at, each: u64::from(each.get()) },
            (curve, Spread::Even) => Source::Even(curve),
            (curve, Spread::Burst(n)) => Source::Burst(curve, u64::from(n.get())),
            (curve, Spread::Poisson) => Source::Poisson { curve, random: Random(seed), seen: 0, at: 0.0 },
        }
    }

    /// Nanoseconds from the beginning to arrival `index`; `None`: it never comes.
    fn offset(&mut self, index: u64) -> Option<u64> {
        match self {
            Source::Even(curve) => inverse(curve, index as f64),
            Source::Burst(curve, n) => inverse(curve, (index / *n * *n) as f64),
            Source::Poisson { curve, random, seen, at } => {
                // Every core draws every gap: the sum up to an arrival is the same wherever it is asked for.
                while *seen <= index {
                    *at += random.exponential();
                    *seen += 1;
                }
                inverse(curve, *at)
            }
            Source::Times { at, each } => at.get(usize::try_from(index / *each).ok()?).copied(),
        }
    }
}

/// When the expected number of arrivals reaches `n`: the curve's integral, the other way round.
fn inverse(curve: &Curve, n: f64) -> Option<u64> {
    let seconds = match *curve {
        Curve::Constant(rate) => n / rate,
        Curve::Ramp { from, to, over } => ramp(from, to, over.as_secs_f64(), n)?,
        Curve::Stairs { from, to, stairs, over } => {
            let (count, length) = (stairs.get(), over.as_secs_f64() / f64::from(stairs.get()));
            let (mut before, mut seconds) = (0.0, None);
            for stair in 0..count {
                let rate = from + (to - from) * f64::from(stair) / f64::from(count - 1);
                if n < before + rate * length {
                    seconds = Some(f64::from(stair) * length + (n - before) / rate);
                    break;
                }
                before += rate * length;
            }
            seconds?
        }
        Curve::Times { .. } => unreachable!("times are looked up, not computed"),
    };
    let ns = (seconds * SECOND).round();
    (ns < u64::MAX as f64).then_some(ns as u64)
}

/// Solves `from t + (to - from) t^2 / 2T = n` for `t`, in the form that loses no digits where the slope is small.
fn ramp(from: f64, to: f64, over: f64, n: f64) -> Option<f64> {
    if n == 0.0 {
        return Some(0.0);
    }
    let slope = (to - from) / over;
    let root = from * from + 2.0 * slope * n;
    if root < 0.0 {
        return None; // a falling ramp reaches zero before
    }
    let t = 2.0 * n / (from + root.sqrt());
    t.is_finite().then_some(t)
}

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Exponentially distributed with mean 1.
    fn exponential(&mut self) -> f64 {
        // (0, 1]: 53 random bits, never zero.
        let uniform = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -uniform.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenario::plan::Backlog;
    use std::num::NonZeroU32;

    fn arrivals(curve: Curve, spread: Spread) -> Arrivals {
        Arrivals { curve, spread, backlog: Backlog { time: None, number: 1 } }
    }

    const ALONE: Lanes = Lanes { all: 1, first: 0, own: 1 };

    /// All arrivals of some lanes within a time, in nanoseconds.
    fn times(arrivals: &Arrivals, lanes: Lanes, within: u64, limit: u64) -> Vec<(u64, u32)> {
        let mut schedule = Schedule::new(arrivals, lanes, Time::ZERO, limit, 42);
        let mut all = Vec::new();
        while schedule.next() < Time::from_nanos(within) {
            let due = schedule.next();
            let arrival = schedule.take(due).unwrap();
            assert_eq!(arrival.due, due);
            all.push((due.as_nanos(), arrival.lane + lanes.first));
        }
        all
    }

    const S: u64 = 1_000_000_000;

    #[test]
    fn the_places_of_all_cores_are_as_many_as_there_are() {
        for n in [0, 1, 2, 7, 10_000_000] {
            let cores = [(0, 4), (4, 3), (7, 3)].map(|(first, own)| Lanes { all: 10, first, own });
            assert_eq!(cores.map(|core| core.part_of(n)).iter().sum::<u64>(), n);
        }
    }

    #[test]
    fn a_constant_rate_is_exact_for_ever() {
        let even =
            |rate, within| times(&arrivals(Curve::Constant(rate), Spread::Even), ALONE, within, u64::MAX);
        assert_eq!(even(1000.0, 20 * S).len(), 20_000);
        assert_eq!(even(3.0, 30 * S).len(), 90);
        assert_eq!(
            even(0.1, 100 * S).iter().map(|t| t.0 / S).collect::<Vec<_>>(),
            [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
        );
        let million = even(1e6, S);
        assert_eq!(million.len(), 1_000_000);
        assert!(million.iter().enumerate().all(|(i, t)| t.0 == i as u64 * 1000));
        // After a year at 7 a second the next arrival is where it belongs, to the nanosecond.
        let n = 7.0 * 365.0 * 86_400.0;
        assert_eq!(inverse(&Curve::Constant(7.0), n), Some(365 * 86_400 * S));
    }

    #[test]
    fn a_ramp_has_the_area_under_it() {
        let over = Duration::from_secs(10);
        for (from, to) in [(0.0, 500.0), (500.0, 0.0), (100.0, 300.0), (300.0, 100.0), (200.0, 200.0)] {
            let all = times(&arrivals(Curve::Ramp { from, to, over }, Spread::Even), ALONE, 10 * S, u64::MAX);
            let area = (from + to) / 2.0 * 10.0;
            assert!((all.len() as f64 - area).abs() <= 1.0, "{from}..{to}: {} is not {area}", all.len());
            // In each second as many as the middle of it says.
            for second in 0..10_u64 {
                let want = from + (to - from) * (second as f64 + 0.5) / 10.0;
                let got = all.iter().filter(|t| t.0 / S == second).count() as f64;
                assert!((got - want).abs() <= 1.0, "{from}..{to} in second {second}: {got} is not {want}");
            }
        }
    }

    #[test]
    fn stairs_are_level() {
        let curve = Curve::Stairs {
            from: 100.0,
            to: 400.0,
            stairs: NonZeroU32::new(4).unwrap(),
            over: Duration::from_secs(8),
        };
        let all = times(&arrivals(curve, Spread::Even), ALONE, 100 * S, u64::MAX);
        let counts: Vec<usize> = (0..9).map(|s| all.iter().filter(|t| t.0 / S == s).count()).collect();
        assert_eq!(counts, [100, 100, 200, 200, 300, 300, 400, 400, 0]);
    }

    #[test]
    fn bursts_come_together_and_keep_the_rate() {
        let spread = Spread::Burst(NonZeroU32::new(50).unwrap());
        let all = times(&arrivals(Curve::Constant(1000.0), spread), ALONE, 2 * S, u64::MAX);
        assert_eq!(all.len(), 2000);
        assert!(all.iter().enumerate().all(|(i, t)| t.0 == i as u64 / 50 * 50_000_000));
    }

    #[test]
    fn times_are_replayed_for_every_connection() {
        let curve = Curve::Times { at: Arc::from([5, 5, 9]), each: NonZeroU32::new(2).unwrap() };
        let a = arrivals(curve, Spread::Even);
        let all = times(&a, Lanes { all: 2, first: 0, own: 2 }, 100, u64::MAX);
        assert_eq!(all, [(5, 0), (5, 1), (5, 0), (5, 1), (9, 0), (9, 1)]);
        assert_eq!(times(&a, Lanes { all: 2, first: 1, own: 1 }, 100, 5), [(5, 1), (5, 1)]);
    }

    #[test]
    fn the_union_over_cores_is_the_same_for_any_number_of_them() {
        let ramp = Curve::Ramp { from: 10.0, to: 900.0, over: Duration::from_secs(3) };
        for spread in [Spread::Even, Spread::Poisson, Spread::Burst(NonZeroU32::new(7).unwrap())] {
            let a = arrivals(ramp.clone(), spread);
            let whole: Vec<u64> = times(&a, ALONE, 3 * S, 1000).iter().map(|t| t.0).collect();
            for cores in [2_u32, 3, 7, 64] {
                let mut union: Vec<u64> = (0..cores)
                    .flat_map(|first| times(&a, Lanes { all: cores, first, own: 1 }, 3 * S, 1000))
                    .map(|t| t.0)
                    .collect();
                union.sort_unstable();
                assert_eq!(union, whole, "{spread:?} on {cores} cores");
            }
            // Three cores with lanes of different numbers.
            let lanes = [(0, 4), (4, 3), (7, 3)].map(|(first, own)| Lanes { all: 10, first, own });
            let mut union: Vec<(u64, u32)> = lanes.iter().flat_map(|&l| times(&a, l, 3 * S, 1000)).collect();
            union.sort_unstable();
            assert_eq!(union.iter().map(|t| t.0).collect::<Vec<_>>(), whole);
            let counts = (0..10).map(|lane| union.iter().filter(|t| t.1 == lane).count());
            let (least, most) = (counts.clone().min().unwrap(), counts.max().unwrap());
            assert!(most - least <= 1, "every lane has its share: {least} to {most}");
        }
    }

    /// Kolmogorov-Smirnov against the exponential distribution, at 1 % (critical value 1.63 / sqrt(n)).
    #[test]
    fn the_gaps_of_poisson_arrivals_are_exponential() {
        let rate = 2000.0;
        let all = times(&arrivals(Curve::Constant(rate), Spread::Poisson), ALONE, 20 * S, u64::MAX);
        let mut gaps: Vec<f64> = all.windows(2).map(|w| (w[1].0 - w[0].0) as f64 / 1e9 * rate).collect();
        gaps.sort_by(f64::total_cmp);
        let n = gaps.len() as f64;
        let worst = gaps
            .iter()
            .enumerate()
            .map(|(i, gap)| {
                let expected = 1.0 - (-gap).exp();
                (expected - i as f64 / n).abs().max((expected - (i + 1) as f64 / n).abs())
            })
            .fold(0.0, f64::max);
        assert!(worst < 1.63 / n.sqrt(), "{worst} is above {}", 1.63 / n.sqrt());
        assert!((n - 40_000.0).abs() < 4.0 * 200.0, "{n} arrivals");
    }

    #[test]
    fn the_seed_decides_and_decides_alone() {
        let a = arrivals(Curve::Constant(1000.0), Spread::Poisson);
        let of = |seed| {
            let mut s = Schedule::new(&a, ALONE, Time::ZERO, u64::MAX, seed);
            (0..100).map(|_| s.take(Time::from_nanos(u64::MAX - 1)).unwrap().due).collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn nothing_is_due_before_its_time_and_nothing_after_the_last() {
        let mut s =
            Schedule::new(&arrivals(Curve::Constant(10.0), Spread::Even), ALONE, Time::from_nanos(S), 2, 0);
        assert_eq!(s.take(Time::from_nanos(S - 1)), None);
        assert_eq!(s.take(Time::from_nanos(S)), Some(Arrival { due: Time::from_nanos(S), lane: 0 }));
        assert_eq!(s.take(Time::from_nanos(S)), None);
        assert_eq!(s.take(Time::from_nanos(2 * S)).map(|a| a.due), Some(Time::from_nanos(S + S / 10)));
        assert_eq!((s.next(), s.take(Time::from_nanos(9 * S))), (Time::NEVER, None));
    }
}
