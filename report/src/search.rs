//! The probes of a search: what each found, and what that says about the server. Which load comes next is `engine::search`'s
//! affair, running probes `cli`'s.

use crate::counts;
use crate::thresholds::Outcome;
use engine::search::{Finding, Found};
use engine::stats::{RunResult, VerdictLevel};
use scenario::search::{Quantity, Search};
use std::time::Duration;

/// A probe that has been made.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The load that was asked for.
    pub load: f64,
    /// Iterations per second that were made of it.
    pub achieved: Option<f64>,
    /// Each part of the condition.
    pub outcomes: Vec<Outcome>,
    /// How it came out.
    pub finding: Finding,
    /// Why, where the condition alone does not say it.
    pub note: Option<String>,
    /// Whether its figures can be trusted.
    pub verdict: VerdictLevel,
    /// Why not.
    pub reasons: Vec<String>,
    /// How long it counted.
    pub elapsed: Duration,
}

/// A search that is over.
#[derive(Clone, Debug)]
pub struct Searched {
    /// Its probes, in the order they were made.
    pub probes: Vec<Probe>,
    /// What they found.
    pub found: Found,
    /// Whether an interrupt ended it.
    pub interrupted: bool,
}

impl Searched {
    /// Whether what was found is enough: a load holds, and it is not below what the plan asks for.
    pub fn holds(&self, search: &Search) -> bool {
        self.found.highest.is_some_and(|highest| search.at_least.is_none_or(|least| highest >= least))
    }
}

/// The part of the arrivals that must have become iterations for the load to have been there.
const THERE: f64 = 0.95;

impl Probe {
    /// What a run of this load says.
    pub fn of(load: f64, search: &Search, result: &RunResult, outcomes: Vec<Outcome>) -> Probe {
        let (finding, note) = judge(search, result, &outcomes);
        Probe {
            load,
            achieved: Some(counts::per_second(result.totals.iterations, result.elapsed)),
            outcomes,
            finding,
            note,
            verdict: result.verdict.level,
            reasons: result.verdict.reasons.clone(),
            elapsed: result.elapsed,
        }
    }

    /// A probe that could not begin, though others could: the server is no longer there.
    pub fn refused(load: f64, why: String) -> Probe {
        Probe {
            load,
            achieved: None,
            outcomes: vec![],
            finding: Finding::Failed,
            note: Some(why),
            verdict: VerdictLevel::Invalid,
            reasons: vec![],
            elapsed: Duration::ZERO,
        }
    }
}

/// A condition that does not hold is the server's failure, unless the client itself was the bottleneck. One that holds is
/// worth something only if the load was really there.
fn judge(search: &Search, result: &RunResult, outcomes: &[Outcome]) -> (Finding, Option<String>) {
    let totals = &result.totals;
    let of_arrivals = |n: u64| n as f64 / totals.arrived.max(1) as f64;
    let missing = matches!(search.highest, Quantity::Rate(..)) && of_arrivals(totals.iterations) < THERE;
    let crowded = match of_arrivals(totals.waited) > 0.01 {
        true => Some("every user was busy at times: the server is too slow, or users_max too low".to_owned()),
        false => None,
    };
    match (outcomes.iter().all(|o| o.holds), result.verdict.client_limited) {
        (true, _) if !missing => (Finding::Held, None),
        (_, true) => {
            let why = "the client was the bottleneck, so this is no limit of the server (more threads: -t)";
            (Finding::Unclear, Some(why.to_owned()))
        }
        (true, false) => {
            let short = format!(
                "{} of {} arrivals were answered in time",
                totals.iterations.min(totals.arrived),
                totals.arrived
            );
            (Finding::Failed, Some(crowded.map_or(short.clone(), |c| format!("{short}; {c}"))))
        }
        (false, false) => (Finding::Failed, crowded),
    }
}

/// `held`, `failed`, `unclear`.
pub fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::Held => "held",
        Finding::Failed => "failed",
        Finding::Unclear => "unclear",
    }
}
