//! Thresholds judged: which of them hold, by how much. What was never measured does not hold.

use crate::counts;
use engine::stats::{ConnectionFigures, Figures, Passed, RunResult, Series};
use scenario::Plan;
use scenario::plan::{CountName, Metric, Op, SeriesName, Threshold};
use std::borrow::Cow;
use std::time::Duration;

/// How a threshold came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// As the user wrote it.
    pub text: String,
    /// What its two sides are measured in.
    pub unit: Unit,
    /// Left side; `None` if nothing was measured.
    pub actual: Option<f64>,
    /// Right side.
    pub limit: f64,
    /// Whether it holds.
    pub holds: bool,
    /// Distance to the limit on the good side, in the unit; negative where it does not hold.
    pub margin: Option<f64>,
    /// Why there is no left side.
    pub note: Option<&'static str>,
    /// When it ended the run, if it did: it failed then, whatever the figures at the end say.
    pub aborted: Option<Abort>,
}

/// A threshold that was watched and ended the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abort {
    /// Since the start of the run.
    pub at: Duration,
    /// The left side at that moment.
    pub actual: f64,
}

/// What the sides of a threshold are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A time.
    Nanoseconds,
    /// A share, 0..=1.
    Fraction,
    /// A rate.
    PerSecond,
    /// A number.
    Count,
}

impl Unit {
    /// As JSON names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::Fraction => "fraction",
            Unit::PerSecond => "per_second",
            Unit::Count => "count",
        }
    }
}

/// Judges every threshold of the plan, in its order.
pub fn judge(plan: &Plan, result: &RunResult) -> Vec<Outcome> {
    plan.thresholds.iter().map(|t| judge_one(t, result)).collect()
}

fn judge_one(threshold: &Threshold, result: &RunResult) -> Outcome {
    let measured = Selection::of(threshold, result).and_then(|s| measure(threshold.metric, &s));
    let actual = measured.ok();
    Outcome {
        text: threshold.text.clone(),
        unit: unit(threshold.metric),
        actual,
        limit: threshold.value,
        holds: actual.is_some_and(|a| threshold.op.holds(a, threshold.value)),
        margin: actual.map(|a| margin(threshold.op, a, threshold.value)),
        note: measured.err(),
        aborted: None,
    }
}

/// Marks the threshold that ended the run.
pub fn mark(outcomes: &mut [Outcome], index: usize, abort: Abort) {
    outcomes[index].holds = false;
    outcomes[index].aborted = Some(abort);
}

/// Whether a threshold ended the run.
pub fn aborted(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|o| o.aborted.is_some())
}

/// The requests a threshold speaks of.
pub(crate) struct Selection<'a> {
    pub(crate) figures: Cow<'a, Figures>,
    /// Their checks, or those of one name.
    pub(crate) checks: Passed,
    /// How long they were being made.
    pub(crate) elapsed: Duration,
    /// Those of the whole run.
    pub(crate) connections: &'a ConnectionFigures,
}

impl<'a> Selection<'a> {
    fn of(threshold: &Threshold, result: &'a RunResult) -> Result<Selection<'a>, &'static str> {
        let connections = &result.connections;
        let phase = match &threshold.phase {
            None => None,
            Some(name) => {
                let at = result.phases.iter().position(|p| p.name == *name);
                Some(at.ok_or("the phase was not reached")?)
            }
        };
        let of = phase.map(|at| &result.phases[at]);
        let figures = match threshold.of_steps() {
            false => Cow::Borrowed(of.map_or(&result.totals, |p| &p.figures)),
            true => of_steps(threshold, phase, result)?,
        };
        let checks = match &threshold.check {
            None => Passed { passed: figures.checks_passed, failed: figures.checks_failed },
            Some(_) => named_checks(threshold, phase, result),
        };
        Ok(Selection { figures, checks, elapsed: of.map_or(result.elapsed, |p| p.elapsed), connections })
    }
}

/// The checks of one name, of the steps a threshold speaks of.
fn named_checks(threshold: &Threshold, phase: Option<usize>, result: &RunResult) -> Passed {
    let mut all = Passed::default();
    for (at, check) in result.script.checks.iter().enumerate() {
        let mine = threshold.speaks_of(&check.scenario, &check.step, &check.tags);
        if !mine || !threshold.counts(&check.name) {
            continue;
        }
        let of_phase =
            |phase| result.script.by_phase.get(phase).and_then(|row: &Vec<Passed>| row.get(at)).copied();
        all.merge(match phase {
            None => Passed { passed: check.passed, failed: check.failed },
            Some(phase) => of_phase(phase).unwrap_or_default(),
        });
    }
    all
}

/// Of the steps a threshold speaks of, together.
fn of_steps<'a>(
    threshold: &Threshold,
    phase: Option<usize>,
    result: &'a RunResult,
) -> Result<Cow<'a, Figures>, &'static str> {
    let missing = match phase {
        None => "the step was not reached",
        Some(_) => "the step was not reached in this phase",
    };
    let mut all: Option<Cow<'a, Figures>> = None;
    for (index, step) in result.steps.iter().enumerate() {
        if !threshold.speaks_of(&step.scenario, &step.name, &step.tags) {
            continue;
        }
        let figures = match phase {
            None => &step.figures,
            Some(phase) => result.phase_steps.get(phase).and_then(|s| s.get(index)).ok_or(missing)?,
        };
        match &mut all {
            None => all = Some(Cow::Borrowed(figures)),
            Some(all) => all.to_mut().merge(figures),
        }
    }
    all.ok_or(missing)
}

/// The left side of a threshold, or why there is none.
pub(crate) fn measure(metric: Metric, selection: &Selection<'_>) -> Result<f64, &'static str> {
    let figures = &selection.figures;
    let series = |name| filled(series(name, selection));
    Ok(match metric {
        Metric::Quantile(q, name) => series(name)?.quantile_ns(q) as f64,
        Metric::Mean(name) => series(name)?.mean_ns(),
        Metric::Min(name) => series(name)?.min_ns() as f64,
        Metric::Max(name) => series(name)?.max_ns() as f64,
        Metric::ErrorRate if figures.ended() == 0 => return Err("no request ended"),
        Metric::ErrorRate => figures.error_rate(),
        Metric::Rate => counts::rate(figures, selection.elapsed),
        Metric::IterationFailureRate => match counts::iterations(figures) {
            0 => return Err("no iteration ended"),
            all => counts::share(figures.iterations_failed, all),
        },
        Metric::Count(name) => count(name, selection) as f64,
        Metric::CheckRate | Metric::CheckFailureRate => {
            let Passed { passed, failed } = selection.checks;
            match passed + failed {
                0 => return Err("no check was made"),
                all if metric == Metric::CheckRate => counts::share(passed, all),
                all => counts::share(failed, all),
            }
        }
    })
}

fn filled(series: &Series) -> Result<&Series, &'static str> {
    if series.count() == 0 { Err("no value was recorded") } else { Ok(series) }
}

/// Connections belong to no phase and no step, so their series are of the whole run.
fn series<'a>(name: SeriesName, selection: &'a Selection<'_>) -> &'a Series {
    let figures = &selection.figures;
    match name {
        SeriesName::ResponseTime => &figures.response_time,
        SeriesName::ServiceTime => &figures.service_time,
        SeriesName::SendLag => &figures.send_lag,
        SeriesName::FirstByte => &figures.first_byte,
        SeriesName::OpeningTime => &figures.handshakes.opening_time,
        SeriesName::Connect => &selection.connections.connect,
        SeriesName::Handshake => &selection.connections.handshake,
    }
}

fn count(name: CountName, selection: &Selection<'_>) -> u64 {
    let figures = &selection.figures;
    match name {
        CountName::Started => figures.books.started,
        CountName::Succeeded => figures.books.succeeded,
        CountName::Failed => figures.books.failed,
        CountName::Abandoned => figures.books.abandoned,
        CountName::Dropped => figures.dropped,
        CountName::Iterations => figures.iterations,
        CountName::IterationsFailed => figures.iterations_failed,
        CountName::HandshakesOpened => figures.handshakes.opened,
        CountName::HandshakesFailed => figures.handshakes.failed,
    }
}

pub(crate) fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::Quantile(..) | Metric::Mean(_) | Metric::Min(_) | Metric::Max(_) => Unit::Nanoseconds,
        Metric::ErrorRate | Metric::IterationFailureRate | Metric::CheckFailureRate | Metric::CheckRate => {
            Unit::Fraction
        }
        Metric::Rate => Unit::PerSecond,
        Metric::Count(_) => Unit::Count,
    }
}

fn margin(op: Op, actual: f64, limit: f64) -> f64 {
    match op {
        Op::Less | Op::AtMost => limit - actual,
        Op::More | Op::AtLeast => actual - limit,
        Op::Equal if actual == limit => 0.0,
        Op::Equal => -(actual - limit).abs(),
    }
}
