//! The result for people in a terminal: the verdict first, then where every request went, how long it took, what failed
//! and why, what was promised and whether it held, and what it cost.

mod figures;
mod ink;
mod machine;
mod table;
mod units;

use crate::thresholds::Outcome;
use engine::stats::{RunResult, VerdictLevel};
use ink::Ink;
use scenario::Plan;
pub use units::{rate, time};

/// What the result cannot know by itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What was run.
    pub plan: &'a Plan,
    /// How its thresholds came out.
    pub outcomes: &'a [Outcome],
    /// Whether response bodies were counted and thrown away unseen.
    pub bodies_discarded: bool,
    /// Use colour.
    pub colour: bool,
}

/// The whole text. Sections without content are left out.
pub fn render(result: &RunResult, context: &Context<'_>) -> String {
    let ink = Ink(context.colour);
    let sections = [
        verdict(result, context.plan, ink),
        figures::totals(result, ink),
        figures::times(result, ink),
        figures::phases(result, ink),
        figures::steps(result, ink),
        figures::statuses(result),
        figures::errors(result, ink),
        figures::checks(result, ink),
        figures::thresholds(context.outcomes, ink),
        machine::connections(result),
        machine::cost(result),
        machine::notes(result, context.bodies_discarded),
    ];
    let mut out = String::new();
    for section in sections.iter().filter(|s| !s.is_empty()) {
        if !out.is_empty() && !section.starts_with(' ') {
            out.push('\n');
        }
        out += section.strip_prefix(' ').unwrap_or(section);
    }
    out
}

/// The verdict alone, as flag mode says it where it is not the best.
pub fn verdict_line(result: &RunResult) -> String {
    let verdict = &result.verdict;
    match verdict.reasons.as_slice() {
        [] => verdict.level.as_str().to_owned(),
        reasons => format!("{}: {}", verdict.level.as_str(), reasons.join("; ")),
    }
}

fn verdict(result: &RunResult, plan: &Plan, ink: Ink) -> String {
    let word = result.verdict.level.as_str();
    let word = match result.verdict.level {
        VerdictLevel::Valid => ink.good(word),
        VerdictLevel::Suspect => ink.doubtful(word),
        VerdictLevel::Invalid => ink.bad(word),
    };
    let mut out = format!("{word}  {}", plan.name);
    if result.interrupted {
        out += &format!("  ({})", ink.doubtful("interrupted"));
    }
    out.push('\n');
    for reason in &result.verdict.reasons {
        out += &format!("  - {reason}\n");
    }
    out
}
