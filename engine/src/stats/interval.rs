//! What is told of the interval that is going on, where somebody asked. A value is recorded once, in its interval; when that
//! ends, the recorder makes the parts of it, which `stock` puts together, and adds it to what was before.
//!
//! A part is all requests of a phase, or those of some steps in it where watched thresholds tell steps apart.

use super::{Figures, Series};
use crate::Options;
use crate::options::Rows;
use proto::Time;
use scenario::Plan;
use scenario::plan::{NamedCheck, Phase, STATUS_CHECK, SeriesName, Threshold};
use std::time::Duration;

/// What happened to a part of the requests in an interval.
#[derive(Clone, Debug)]
pub struct Part {
    /// Index of the phase these requests began in.
    pub phase: usize,
    /// The first, in the plan's dense order, of the steps that these requests are of: those of which the same watched
    /// thresholds speak. `None`: the steps of which no watched threshold speaks in particular.
    pub step: Option<u32>,
    /// What changed in the interval; of the series those that are asked for. The books of an interval do not balance: a
    /// request may end in a later one than it began in.
    pub figures: Figures,
}

/// What is kept of each interval. Decided before the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keep {
    /// Anything at all.
    pub(crate) parts: bool,
    pub(super) response: bool,
    /// With the send lag.
    pub(super) service: bool,
    pub(super) first_byte: bool,
    /// Opening times of phases of handshakes.
    pub(super) opening: bool,
    /// Connect and handshake times so far.
    pub(crate) connect: bool,
    /// Of each watched threshold on checks of one name, in the plan's order: where they are counted.
    pub(crate) checks: Vec<Counted>,
    /// The class of each step: 0, or another where a watched threshold speaks of it in particular.
    classes: Vec<u32>,
    /// The first step of each class from 1.
    firsts: Vec<u32>,
}

impl Keep {
    /// What the rows, whoever watches, and the watched thresholds need.
    pub(crate) fn of(plan: &Plan, options: &Options) -> Keep {
        let watched = || plan.thresholds.iter().filter(|t| t.abort_after.is_some());
        let needs =
            |names: &[SeriesName]| watched().any(|t| t.metric.series().is_some_and(|s| names.contains(&s)));
        let rows = options.rows != Rows::None;
        let (classes, firsts) = classes(plan);
        Keep {
            parts: rows || options.live || watched().next().is_some(),
            response: rows || options.live || needs(&[SeriesName::ResponseTime]),
            service: rows || needs(&[SeriesName::ServiceTime, SeriesName::SendLag]),
            first_byte: needs(&[SeriesName::FirstByte]),
            opening: rows || needs(&[SeriesName::OpeningTime]),
            connect: needs(&[SeriesName::Connect, SeriesName::Handshake]),
            checks: watched().filter(|t| t.check.is_some()).map(|t| Counted::of(plan, t)).collect(),
            classes,
            firsts,
        }
    }

    /// Parts there may be.
    pub(crate) fn groups(&self, phases: usize) -> usize {
        phases * (self.firsts.len() + 1)
    }

    /// The part a request belongs to.
    #[inline]
    pub(crate) fn group(&self, phase: usize, step: usize) -> usize {
        phase * (self.firsts.len() + 1) + self.classes[step] as usize
    }

    /// The phase and the step of a part.
    pub(crate) fn named(&self, group: usize) -> (usize, Option<u32>) {
        let classes = self.firsts.len() + 1;
        (group / classes, (group % classes).checked_sub(1).map(|at| self.firsts[at]))
    }
}

/// Where the checks that a watched threshold names are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Among the tallies of programs.
    pub(crate) tallies: Vec<usize>,
    /// Steps of plain scenarios: among the cells of the recorder.
    pub(crate) cells: Vec<usize>,
}

impl Counted {
    fn of(plan: &Plan, threshold: &Threshold) -> Counted {
        let mine = |phase: &Phase| phase.record && threshold.phase.as_ref().is_none_or(|p| *p == phase.name);
        let phases: Vec<usize> = (0..plan.phases.len()).filter(|&at| mine(&plan.phases[at])).collect();
        // One row of tallies is of all recorded phases together.
        let rows = if plan.tallies_by_phase() { &phases[..] } else { &[0] };
        let checks = &plan.script.checks;
        let named = (0..checks.len()).filter(|&at| {
            let NamedCheck { scenario, step, tags, name } = &checks[at];
            threshold.counts(name) && threshold.speaks_of(scenario, step, tags)
        });
        let tallies = named.flat_map(|at| rows.iter().map(move |row| row * checks.len() + at)).collect();
        let steps = plan.steps().count();
        let plain = plan.steps().enumerate().filter(|(_, (scenario, step))| {
            scenario.counts_in_step(step)
                && threshold.counts(STATUS_CHECK)
                && threshold.speaks_of(&scenario.name, &step.name, &step.tags)
        });
        let cells = plain.flat_map(|(at, _)| phases.iter().map(move |phase| phase * steps + at)).collect();
        Counted { tallies, cells }
    }
}

/// The class of each step, and the first step of each class but class 0. Steps are in one class where the same watched
/// thresholds speak of them.
fn classes(plan: &Plan) -> (Vec<u32>, Vec<u32>) {
    let watched: Vec<_> =
        plan.thresholds.iter().filter(|t| t.abort_after.is_some() && t.of_steps()).collect();
    let mut signatures = vec![vec![false; watched.len()]];
    let (mut classes, mut firsts) = (Vec::new(), Vec::new());
    for (index, (scenario, step)) in (0_u32..).zip(plan.steps()) {
        let signature: Vec<bool> =
            watched.iter().map(|t| t.speaks_of(&scenario.name, &step.name, &step.tags)).collect();
        let known = signatures.iter().position(|s| *s == signature);
        classes.push(known.unwrap_or(signatures.len()) as u32);
        if known.is_none() {
            signatures.push(signature);
            firsts.push(index);
        }
    }
    (classes, firsts)
}

/// A series whose values can be had interval by interval.
#[derive(Default)]
pub(super) struct Split {
    /// Of the interval that is going on; where nobody asks for intervals, of the run.
    open: Series,
    /// Of those before it.
    closed: Series,
}

impl Split {
    #[inline]
    pub(super) fn record(&mut self, ns: u64) {
        self.open.record(ns);
    }

    /// The interval ends: adds its values to others.
    pub(super) fn close(&mut self, into: &mut Series) {
        if self.open.count() == 0 {
            return;
        }
        let ended = std::mem::take(&mut self.open);
        self.closed.merge(&ended);
        match into.count() {
            0 => *into = ended,
            _ => into.merge(&ended),
        }
    }

    /// All values of all intervals.
    pub(super) fn whole(self) -> Series {
        let Split { open, mut closed } = self;
        if closed.count() == 0 {
            return open;
        }
        closed.merge(&open);
        closed
    }
}

/// When intervals end: the same moments on every core, so that what they tell belongs together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    every: u64,
    /// The interval that is going on.
    number: u64,
}

impl Grid {
    pub(crate) fn new(every: Duration, now: Time) -> Grid {
        let every = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX).max(1);
        Grid { every, number: now.as_nanos() / every }
    }

    /// When the present interval ends.
    pub(crate) fn ends(&self) -> Time {
        Time::from_nanos(self.number.saturating_add(1).saturating_mul(self.every))
    }

    /// The number of the present interval.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Goes on to the interval of `now`; those that a late core missed are left out.
    pub(crate) fn advance(&mut self, now: Time) {
        self.number = now.as_nanos() / self.every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_the_same_for_all_and_forgets_what_was_missed() {
        let at = Time::from_nanos;
        let second = Duration::from_secs(1);
        let mut grid = Grid::new(second, at(3_000_017));
        assert_eq!((grid.number(), grid.ends()), (0, at(1_000_000_000)));
        grid.advance(at(1_000_000_000));
        assert_eq!((grid.number(), grid.ends()), (1, at(2_000_000_000)));
        grid.advance(at(5_300_000_000));
        assert_eq!((grid.number(), grid.ends()), (5, at(6_000_000_000)));
        assert_eq!(Grid::new(Duration::MAX, at(5)).ends(), Time::NEVER);
        assert_eq!(Grid::new(Duration::ZERO, at(5)).number(), 5, "no division by nothing");
    }
}
