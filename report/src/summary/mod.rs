//! The result for people in a terminal: the verdict first, then where every request went, how long it took, what failed
//! and why, what was promised and whether it held, and what it cost.

mod figures;
mod ink;
mod machine;
mod search;
mod table;
mod units;

use crate::thresholds::{self, Abort, Outcome};
use engine::stats::{RunResult, VerdictLevel};
pub use figures::found;
use ink::Ink;
use scenario::Plan;
use scenario::plan::Threshold;
pub use search::{probe_line, render as search};
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
    let mut page = Page::default();
    page.section(verdict(result, context, ink));
    page.section(figures::totals(result, ink));
    page.section(figures::times(result, ink));
    page.section(figures::phases(result, ink));
    page.section(figures::steps(result, ink));
    page.section(figures::tags(result, ink));
    page.section(figures::statuses(result));
    page.section(figures::errors(result, ink));
    page.section(figures::checks(result, ink));
    page.section(figures::iterations(result, ink));
    page.more(figures::once(result, ink));
    page.section(figures::thresholds(context.outcomes, ink));
    page.section(machine::connections(result));
    page.more(machine::cost(result));
    page.more(machine::batching(result));
    page.more(machine::bodies(context.bodies_discarded));
    page.0
}

/// Sections with an empty line between them.
#[derive(Default)]
struct Page(String);

impl Page {
    fn section(&mut self, text: String) {
        if !text.is_empty() && !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0 += &text;
    }
    /// Lines that belong to the section before.
    fn more(&mut self, text: String) {
        self.0 += &text;
    }
}

/// The verdict alone, as flag mode says it where it is not the best.
pub fn verdict_line(result: &RunResult) -> String {
    let verdict = &result.verdict;
    match verdict.reasons.as_slice() {
        [] => verdict.level.as_str().to_owned(),
        reasons => format!("{}: {}", verdict.level.as_str(), reasons.join("; ")),
    }
}

/// What is said when a threshold ends the run: which, when, and what it was.
pub fn abort_line(threshold: &Threshold, abort: Abort) -> String {
    let actual = figures::in_unit(thresholds::unit(threshold.metric), abort.actual);
    let at = abort.at.as_secs_f64();
    format!(
        "the threshold `{}` fails after {at:.1} s, the run is being stopped: it is {actual}",
        threshold.text
    )
}

fn verdict(result: &RunResult, context: &Context<'_>, ink: Ink) -> String {
    let word = result.verdict.level.as_str();
    let word = match result.verdict.level {
        VerdictLevel::Valid => ink.good(word),
        VerdictLevel::Suspect => ink.doubtful(word),
        VerdictLevel::Invalid => ink.bad(word),
    };
    let mut out = format!("{word}  {}", context.plan.name);
    if thresholds::aborted(context.outcomes) {
        out += &format!("  ({})", ink.bad("aborted by a threshold"));
    } else if result.interrupted {
        out += &format!("  ({})", ink.doubtful("interrupted"));
    }
    out.push('\n');
    for reason in &result.verdict.reasons {
        out += &format!("  - {reason}\n");
    }
    out
}
