//! What is done once in a run, whatever the number of cores: the setup before the first phase, the teardown after the last.
//!
//! Each is a run of its own, of one core, one user and one iteration, on the same engine; its figures are kept apart. `run`
//! calls it.

use crate::run::{Event, Interrupts, StartError, phases};
use crate::stats::{OnceFigures, RunResult};
use crate::{Control, Options, Rows};
use scenario::Plan;
use scenario::plan::Once;
use scenario::program::Handed;
use std::num::NonZeroUsize;
use std::time::Duration;

/// What came of a setup.
pub(crate) struct SetUp {
    pub(crate) handed: Handed,
    /// `None`: the plan has only a teardown.
    pub(crate) figures: Option<OnceFigures>,
}

/// Does the setup of a plan. `None`: the plan has nothing that is done once.
pub(crate) fn setup(
    plan: &Plan,
    options: &Options,
    control: &Control,
    observe: &mut dyn FnMut(Event),
) -> Result<Option<SetUp>, StartError> {
    let Some(once) = &plan.script.setup else {
        let nothing = SetUp { handed: Handed::default(), figures: None };
        return Ok(plan.script.teardown.is_some().then_some(nothing));
    };
    let (figures, handed) = perform(plan, once, options, Interrupts::all(control), observe);
    match &figures.failure {
        None => Ok(Some(SetUp { handed, figures: Some(figures) })),
        Some(reason) => Err(StartError(format!("the setup failed, and nothing else was done: {reason}"))),
    }
}

/// Does the teardown of a plan, also where the phases were interrupted, but not where somebody wants to leave at once.
pub(crate) fn teardown(
    plan: &Plan,
    options: &Options,
    control: &Control,
    observe: &mut dyn FnMut(Event),
) -> Option<OnceFigures> {
    let once = plan.script.teardown.as_ref()?;
    let figures = match control.interrupts() {
        ..=1 => perform(plan, once, options, Interrupts::from_now(control), observe).0,
        _ => {
            let failure = Some("the run was interrupted twice".to_owned());
            OnceFigures { failure, ..OnceFigures::default() }
        }
    };
    if let Some(reason) = &figures.failure {
        observe(Event::Warning(format!("the teardown was not done to its end: {reason}")));
    }
    Some(figures)
}

fn perform(
    plan: &Plan,
    once: &Once,
    options: &Options,
    interrupts: Interrupts<'_>,
    observe: &mut dyn FnMut(Event),
) -> (OnceFigures, Handed) {
    let options = Options {
        threads: NonZeroUsize::MIN,
        interval: Duration::from_secs(1),
        live: false,
        rows: Rows::None,
        request_log: None,
        trace: 0,
        unopened_is_result: false,
        ..options.clone()
    };
    // Of its events only what the plan says is for the outside: the others are told of phases that are not the plan's.
    let mut said = |event| {
        if let Event::Said(_) = event {
            observe(event);
        }
    };
    match phases(&plan.once(once), &options, interrupts, &mut said) {
        Ok((result, handed)) => (figures(result), handed),
        Err(error) => {
            let failure = Some(error.0);
            (OnceFigures { failure, ..OnceFigures::default() }, Handed::default())
        }
    }
}

fn figures(result: RunResult) -> OnceFigures {
    let failure = match result.script.reasons.into_iter().next() {
        Some((reason, _)) => Some(reason),
        None if result.interrupted => Some("it was interrupted".into()),
        None if result.totals.iterations == 0 => {
            Some(result.verdict.reasons.into_iter().next().unwrap_or_else(|| "it did not end".into()))
        }
        None => None,
    };
    OnceFigures { books: result.totals.books, elapsed: result.elapsed, checks: result.script.checks, failure }
}
