//! Thresholds with `abort_after`, judged during the run on everything recorded so far. The first that does not hold once its
//! time has come is the reason to stop. Who stops the run is `cli`.

use crate::thresholds::{Abort, Selection, measure};
use engine::Snapshot;
use engine::spans::covered;
use engine::stats::{Figures, Part, Passed};
use scenario::Plan;
use scenario::plan::{SeriesName, Threshold};
use std::borrow::Cow;
use std::time::Duration;

/// The thresholds of a plan that are watched.
#[derive(Debug)]
pub struct Watch {
    watched: Vec<Watched>,
    aborted: Option<(usize, Abort)>,
}

#[derive(Debug)]
struct Watched {
    /// Its place among the thresholds of the plan.
    index: usize,
    threshold: Threshold,
    after: Duration,
    /// Which phases it speaks of: recorded ones.
    phases: Vec<bool>,
    /// Which steps it speaks of, in the plan's dense order.
    steps: Vec<bool>,
    /// Its place among the watched thresholds on checks of one name.
    named: Option<usize>,
    /// What it speaks of, so far. Of the series only its own.
    so_far: Figures,
}

impl Watch {
    /// `None` where no threshold is to be watched.
    pub fn new(plan: &Plan) -> Option<Watch> {
        let mut watched: Vec<Watched> = plan
            .thresholds
            .iter()
            .enumerate()
            .filter_map(|(index, threshold)| {
                Some(Watched::new(index, threshold, threshold.abort_after?, plan))
            })
            .collect();
        let named = watched.iter_mut().filter(|w| w.threshold.check.is_some());
        named.enumerate().for_each(|(at, watched)| watched.named = Some(at));
        (!watched.is_empty()).then_some(Watch { watched, aborted: None })
    }

    /// Looks at a snapshot; every one of the run must be shown. Gives the threshold that has just failed, once.
    pub fn see(&mut self, snapshot: &Snapshot) -> Option<(usize, Abort)> {
        for watched in &mut self.watched {
            snapshot.parts.iter().for_each(|part| watched.add(part));
        }
        if self.aborted.is_some() {
            return None;
        }
        self.aborted = self.watched.iter().find_map(|w| w.fails(snapshot).map(|abort| (w.index, abort)));
        self.aborted
    }

    /// The threshold that failed, if one did.
    pub fn aborted(&self) -> Option<(usize, Abort)> {
        self.aborted
    }
}

impl Watched {
    fn new(index: usize, threshold: &Threshold, after: Duration, plan: &Plan) -> Watched {
        let named = |name: &str| threshold.phase.as_ref().is_none_or(|wanted| wanted == name);
        Watched {
            index,
            threshold: threshold.clone(),
            after,
            phases: plan.phases.iter().map(|p| p.record && named(&p.name)).collect(),
            steps: plan
                .steps()
                .map(|(of, step)| threshold.speaks_of(&of.name, &step.name, &step.tags))
                .collect(),
            named: None,
            so_far: Figures::default(),
        }
    }

    fn add(&mut self, part: &Part) {
        // The first step of a part stands for all of them; what has none is of steps nobody tells apart.
        let of_steps = match part.step {
            Some(step) => self.steps[step as usize],
            None => !self.threshold.of_steps(),
        };
        if !self.phases[part.phase] || !of_steps {
            return;
        }
        let (all, new) = (&mut self.so_far, &part.figures);
        all.books.merge(&new.books);
        all.iterations += new.iterations;
        all.iterations_failed += new.iterations_failed;
        all.dropped += new.dropped;
        all.handshakes.opened += new.handshakes.opened;
        all.handshakes.failed += new.handshakes.failed;
        all.checks_passed += new.checks_passed;
        all.checks_failed += new.checks_failed;
        match self.threshold.metric.series() {
            Some(SeriesName::ResponseTime) => all.response_time.merge(&new.response_time),
            Some(SeriesName::ServiceTime) => all.service_time.merge(&new.service_time),
            Some(SeriesName::SendLag) => all.send_lag.merge(&new.send_lag),
            Some(SeriesName::FirstByte) => all.first_byte.merge(&new.first_byte),
            Some(SeriesName::OpeningTime) => {
                all.handshakes.opening_time.merge(&new.handshakes.opening_time);
            }
            Some(SeriesName::Connect | SeriesName::Handshake) | None => {}
        }
    }

    /// What was not measured yet does not fail yet.
    fn fails(&self, snapshot: &Snapshot) -> Option<Abort> {
        let phases = snapshot.phases.iter().zip(&self.phases);
        let elapsed = covered(phases.filter_map(|(span, mine)| span.filter(|_| *mine)));
        if elapsed.is_zero() || elapsed < self.after {
            return None;
        }
        let all = &self.so_far;
        let checks = match self.named {
            None => Passed { passed: all.checks_passed, failed: all.checks_failed },
            Some(at) => snapshot.checks.get(at).copied().unwrap_or_default(),
        };
        let (figures, connections) = (Cow::Borrowed(all), &snapshot.connections);
        let selection = Selection { figures, checks, elapsed, connections };
        let actual = measure(self.threshold.metric, &selection).ok()?;
        let holds = self.threshold.op.holds(actual, self.threshold.value);
        (!holds).then_some(Abort { at: snapshot.elapsed, actual })
    }
}
