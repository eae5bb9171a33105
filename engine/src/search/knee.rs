//! Where the limit is in truth, from all probes together: a 95 % interval.
//!
//! Near its limit a server holds a condition at times and at times not. The chance that a probe of load x holds is taken to
//! fall from one to zero around the limit L as 1 / (1 + (x / L)^(1 / s)), a logistic curve in ln x of a width s that is not
//! known either; one probe in fifty is allowed to be wrong altogether. With no opinion on ln L and ln s beforehand, the
//! interval holds the middle 95 % of what the probes then say of L (a Bayesian credible interval, by summing over a grid).

use super::Level;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The limit is hardly below.
    pub low: f64,
    /// The limit is hardly above. `None`: no load failed, so nothing is known of what is above.
    pub high: Option<f64>,
}

/// What is left out on each side.
const TAIL: f64 = 0.025;
/// Probes that are wrong altogether.
const WRONG: f64 = 0.02;
/// Widths of the limit, as shares of it, evenly in their logarithm: from a hundredth of a per cent to a tenth.
const WIDTHS: [f64; 13] =
    [0.0001, 0.00018, 0.00032, 0.00056, 0.001, 0.0018, 0.0032, 0.0056, 0.01, 0.018, 0.032, 0.056, 0.1];
/// Points of the grid; it is laid twice, the second time over what the first found likely.
const POINTS: usize = 800;

/// The interval, from the probes of the server. `None`: none held.
pub fn interval(levels: &[Level]) -> Option<Interval> {
    let told: Vec<Told> = levels.iter().filter(|l| l.held + l.failed > 0).map(Told::of).collect();
    let held = levels.iter().rev().find(|l| l.held > 0)?;
    let any_failed = told.iter().any(|t| t.failed > 0.0);
    let (first, last) = (told.first()?, told.last()?);
    if !any_failed {
        return Some(Interval { low: held.load, high: None });
    }
    // A limit beyond twice what was tried is no limit that these probes can speak of.
    let whole = Grid::over(&told, first.at - 2_f64.ln(), last.at + 2_f64.ln());
    let (low, high) = whole.where_it_matters();
    let fine = Grid::over(&told, low, high);
    Some(Interval { low: fine.quantile(TAIL).exp(), high: Some(fine.quantile(1.0 - TAIL).exp()) })
}

struct Told {
    /// The logarithm of the load.
    at: f64,
    held: f64,
    failed: f64,
}

impl Told {
    fn of(level: &Level) -> Told {
        Told { at: level.load.ln(), held: f64::from(level.held), failed: f64::from(level.failed) }
    }

    /// The logarithm of the chance of what was seen, if the limit were there.
    fn likelihood(&self, limit: f64, width: f64) -> f64 {
        let holds = WRONG + (1.0 - 2.0 * WRONG) / (1.0 + ((self.at - limit) / width).exp());
        self.held * holds.ln() + self.failed * (1.0 - holds).ln()
    }
}

/// How likely each place of the limit is.
struct Grid {
    start: f64,
    step: f64,
    weights: Vec<f64>,
}

impl Grid {
    fn over(told: &[Told], low: f64, high: f64) -> Grid {
        let step = (high - low) / POINTS as f64;
        let place = |i: usize| low + (i as f64 + 0.5) * step;
        let logs: Vec<[f64; WIDTHS.len()]> = (0..POINTS)
            .map(|i| WIDTHS.map(|width| told.iter().map(|t| t.likelihood(place(i), width)).sum()))
            .collect();
        let most = logs.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = logs.iter().map(|row| row.iter().map(|l| (l - most).exp()).sum()).collect();
        Grid { start: low, step, weights }
    }

    /// The part with all but a trifle of the weight, and a point more on each side.
    fn where_it_matters(&self) -> (f64, f64) {
        let most = self.weights.iter().copied().fold(0.0, f64::max);
        let matters = |w: &f64| *w > most * 1e-4;
        let first = self.weights.iter().position(matters).unwrap_or(0);
        let last = self.weights.iter().rposition(matters).unwrap_or(POINTS - 1);
        let edge = |i: f64| self.start + i * self.step;
        (edge(first as f64 - 1.0), edge(last as f64 + 2.0))
    }

    fn quantile(&self, share: f64) -> f64 {
        let all: f64 = self.weights.iter().sum();
        let mut below = 0.0;
        for (i, weight) in self.weights.iter().enumerate() {
            if below + weight >= share * all {
                let part = (share * all - below) / weight.max(f64::MIN_POSITIVE);
                return self.start + (i as f64 + part) * self.step;
            }
            below += weight;
        }
        self.start + POINTS as f64 * self.step
    }
}
