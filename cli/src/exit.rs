//! Exit codes, and which of them a run earns.

use crate::persona::Persona;
use engine::stats::{RunResult, VerdictLevel};
use report::thresholds::Outcome;

/// Ran, and every threshold held.
pub const OK: u8 = 0;
/// A mistake in the arguments or the plan, or the run could not start.
pub const USAGE: u8 = 1;
/// Ran, but no request succeeded.
pub const NOTHING_SUCCEEDED: u8 = 2;
/// The verdict is INVALID and `--require-valid` was given.
pub const INVALID: u8 = 3;
/// A threshold failed: k6's code, which CI scripts know.
pub const THRESHOLD: u8 = 99;
/// Interrupted; the results so far were reported.
pub const INTERRUPTED: u8 = 130;

/// What a run is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// As whom we run.
    pub persona: Persona,
    /// `--require-valid`.
    pub require_valid: bool,
    /// `--smoke`: thresholds are shown and do not count, for a second of load proves nothing.
    pub smoke: bool,
}

/// The code of a finished run. The gravest reason wins.
pub fn code(result: &RunResult, outcomes: &[Outcome], rules: Rules) -> u8 {
    if result.interrupted {
        return INTERRUPTED;
    }
    if rules.persona == Persona::H2load {
        return OK;
    }
    if result.totals.books.succeeded == 0 {
        return NOTHING_SUCCEEDED;
    }
    if !rules.smoke && outcomes.iter().any(|o| !o.holds) {
        return THRESHOLD;
    }
    if rules.require_valid && result.verdict.level == VerdictLevel::Invalid {
        return INVALID;
    }
    OK
}
