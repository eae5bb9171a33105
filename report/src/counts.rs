//! Figures that several renderers derive from a result in the same way.

use engine::stats::{Figures, RunResult};
use std::time::Duration;

/// Arrivals that never began, every user being busy. The closed model has none: a user starts when it is free.
pub(crate) fn dropped(result: &RunResult) -> u64 {
    result.totals.dropped
}

/// Iterations of scenarios: each connection of a phase of handshakes is counted as one too, and has figures of its own.
pub(crate) fn iterations(figures: &Figures) -> u64 {
    figures.iterations.saturating_sub(figures.handshakes.opened)
}

/// Requests that ended well, per second.
pub(crate) fn rate(figures: &Figures, elapsed: Duration) -> f64 {
    per_second(figures.books.succeeded, elapsed)
}

/// `n` per second, 0 for no time.
pub(crate) fn per_second(n: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { n as f64 / elapsed.as_secs_f64() }
}

/// `part` of `whole`, 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Requests that ended in any phase, warm-ups included: what the cost of the whole run was paid for.
pub(crate) fn ended_in_all_phases(result: &RunResult) -> u64 {
    result.phases.iter().map(|p| p.figures.books.ended()).sum()
}
