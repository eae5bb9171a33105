//! Exit codes, and which of them a run earns.

use crate::persona::Persona;
use engine::stats::{Figures, RunResult, VerdictLevel};
use report::thresholds::{self, Outcome};
use scenario::Plan;

/// Ran, and every threshold held.
pub const OK: u8 = 0;
/// A mistake in the arguments or the plan, or the run could not start.
pub const USAGE: u8 = 1;
/// Ran, but no request succeeded.
pub const NOTHING_SUCCEEDED: u8 = 2;
/// The verdict is INVALID and `--require-valid` was given.
pub const INVALID: u8 = 3;
/// A threshold failed, or a search found too little: k6's code, which CI scripts know.
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

/// What a finished run is judged on.
#[derive(Clone, Copy, Debug)]
struct Facts {
    interrupted: bool,
    succeeded: u64,
    thresholds_hold: bool,
    /// A threshold ended the run.
    aborted: bool,
    level: VerdictLevel,
}

/// The code of a finished run of a plan. The gravest reason wins.
pub fn code(plan: &Plan, result: &RunResult, outcomes: &[Outcome], rules: Rules) -> u8 {
    let facts = Facts {
        interrupted: result.interrupted,
        succeeded: succeeded(plan, &result.totals),
        thresholds_hold: outcomes.iter().all(|o| o.holds),
        aborted: thresholds::aborted(outcomes),
        level: result.verdict.level,
    };
    of(facts, rules)
}

/// The code of a search: as its final run, but what it found must be enough. Where nothing held, no request of that run may
/// have succeeded; the search has failed all the same.
pub fn of_search(run: u8, interrupted: bool, enough: bool) -> u8 {
    match run {
        _ if interrupted => INTERRUPTED,
        OK | INVALID | NOTHING_SUCCEEDED if !enough => THRESHOLD,
        other => other,
    }
}

/// What ended well. Where no recorded phase makes requests, that is connections: they are all that was asked for.
fn succeeded(plan: &Plan, totals: &Figures) -> u64 {
    match plan.phases.iter().any(|p| p.record && p.load.makes_requests()) {
        true => totals.books.succeeded,
        false => totals.handshakes.opened,
    }
}

fn of(facts: Facts, rules: Rules) -> u8 {
    match () {
        () if facts.aborted => THRESHOLD,
        () if facts.interrupted => INTERRUPTED,
        () if rules.persona == Persona::H2load => OK,
        () if facts.succeeded == 0 => NOTHING_SUCCEEDED,
        () if !facts.thresholds_hold && !rules.smoke => THRESHOLD,
        () if facts.level == VerdictLevel::Invalid && rules.require_valid => INVALID,
        () => OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Facts = Facts {
        interrupted: false,
        succeeded: 1,
        thresholds_hold: true,
        aborted: false,
        level: VerdictLevel::Valid,
    };
    const RULES: Rules = Rules { persona: Persona::Loadgen, require_valid: false, smoke: false };
    const STRICT: Rules = Rules { require_valid: true, ..RULES };

    #[test]
    fn each_code_has_its_reason_and_the_gravest_wins() {
        assert_eq!(of(GOOD, STRICT), 0);
        let invalid = Facts { level: VerdictLevel::Invalid, ..GOOD };
        assert_eq!((of(invalid, RULES), of(invalid, STRICT)), (0, 3));
        assert_eq!(of(Facts { level: VerdictLevel::Suspect, ..GOOD }, STRICT), 0, "INVALID was asked for");
        let missed = Facts { thresholds_hold: false, ..invalid };
        assert_eq!((of(missed, STRICT), of(missed, Rules { smoke: true, ..RULES })), (99, 0));
        let nothing = Facts { succeeded: 0, ..missed };
        assert_eq!(of(nothing, STRICT), 2);
        let interrupted = Facts { interrupted: true, ..nothing };
        assert_eq!(of(interrupted, STRICT), 130);
        assert_eq!(of(Facts { aborted: true, ..interrupted }, STRICT), 99);
    }

    #[test]
    fn connections_are_a_success_where_no_requests_were_asked_for() {
        let of = |phases: &str| {
            let head = "version: 1\ntarget: http://a\nscenarios: { s: { steps: [ get: / ] } }\n";
            let text = format!("{head}phases: [ {phases} ]\n");
            let plan = scenario::parse(&text, "plan", std::path::Path::new(""), &Default::default()).unwrap();
            let mut totals = Figures::default();
            totals.handshakes.opened = 7;
            succeeded(&plan, &totals)
        };
        let (knocks, users) = ("{ handshakes: 9/s, for: 1s }", "users: 4, for: 1s");
        assert_eq!(of(&format!("{{ {users}, record: false }}, {knocks}")), 7);
        assert_eq!(of(&format!("{knocks}, {{ {users} }}")), 0, "no request was made");
    }

    #[test]
    fn a_search_must_find_enough() {
        assert_eq!((of_search(OK, false, true), of_search(OK, false, false)), (0, 99));
        assert_eq!((of_search(INVALID, false, true), of_search(INVALID, false, false)), (3, 99));
        assert_eq!((of_search(NOTHING_SUCCEEDED, false, false), of_search(OK, true, true)), (99, 130));
    }

    #[test]
    fn h2load_knows_success_and_interrupts_only() {
        let rules = Rules { persona: Persona::H2load, ..STRICT };
        let bad = Facts { succeeded: 0, thresholds_hold: false, level: VerdictLevel::Invalid, ..GOOD };
        assert_eq!((of(bad, rules), of(Facts { interrupted: true, ..bad }, rules)), (0, 130));
    }
}
