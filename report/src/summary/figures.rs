//! The sections about requests: totals, times, phases, steps, statuses, errors, checks, thresholds.

use super::ink::Ink;
use super::table::Table;
use super::units::{bytes, percent, rate, time};
use crate::thresholds::{Outcome, Unit};
use crate::{counts, tags, words};
use engine::stats::{Books, ErrorCount, Figures, RunResult, Series};
use std::time::Duration;

pub(super) fn totals(result: &RunResult, ink: Ink) -> String {
    let (figures, elapsed) = (&result.totals, result.elapsed);
    let mut out = handshakes(figures, elapsed, ink);
    if out.is_empty() || figures.books.started > 0 {
        out += &requests(figures, elapsed, ink);
    }
    let tags = tags::of_all(result);
    if !tags.is_empty() {
        out += &format!("tags          {}\n", tags::line(&tags));
    }
    if figures.arrived > 0 {
        let f = figures;
        out += &format!(
            "arrivals      {} due, {} found every user busy, {} dropped",
            f.arrived, f.waited, f.dropped
        );
        if f.without_data > 0 {
            out += &format!(", {} found no more data", f.without_data);
        }
        out.push('\n');
    }
    out += &format!("measured      {} s", seconds(elapsed));
    if result.wall > elapsed + Duration::from_millis(1) {
        out += &format!(" of {} s", seconds(result.wall));
    }
    out.push('\n');
    let per_second = |n| bytes(counts::per_second(n, elapsed));
    let b = &figures.bytes;
    out += &format!(
        "traffic       received {} ({}/s), of it bodies {}; sent {} ({}/s)\n",
        bytes(b.received as f64),
        per_second(b.received),
        bytes(b.data as f64),
        bytes(b.sent as f64),
        per_second(b.sent)
    );
    out
}

fn requests(figures: &Figures, elapsed: Duration, ink: Ink) -> String {
    let mut out = format!("requests      {}\n", books_line(&figures.books));
    let errors = percent(figures.error_rate());
    let errors = if figures.books.failed == 0 { errors } else { ink.bad(&errors) };
    out += &format!("rate          {}   errors {errors}", rate(counts::rate(figures, elapsed)));
    let iterations = counts::iterations(figures);
    if iterations > 0 && iterations != figures.books.ended() {
        let per_second = counts::per_second(iterations, elapsed);
        out += &format!("   iterations {iterations} ({})", rate(per_second));
    }
    // Where an iteration is a request, those are the abandoned.
    if figures.iterations_cut > 0 && figures.iterations_cut != figures.books.abandoned {
        out += &format!("   {} cut", figures.iterations_cut);
    }
    out.push('\n');
    out
}

/// Phases of handshakes make no requests.
fn handshakes(figures: &Figures, elapsed: Duration, ink: Ink) -> String {
    let h = &figures.handshakes;
    if h.begun() == 0 {
        return String::new();
    }
    let failed = format!("{} failed", h.failed);
    let failed = if h.failed == 0 { failed } else { ink.bad(&failed) };
    format!(
        "handshakes    {} begun = {} opened + {failed} + {} abandoned   ({})\n",
        h.begun(),
        h.opened,
        h.abandoned,
        rate(counts::per_second(h.opened, elapsed))
    )
}

fn books_line(books: &Books) -> String {
    let mut out = format!(
        "{} started = {} succeeded + {} failed + {} abandoned",
        books.started, books.succeeded, books.failed, books.abandoned
    );
    if books.retried > 0 {
        out += &format!("   ({} retried)", books.retried);
    }
    out
}

fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

/// The table of times. Response time is the headline; what was never recorded has no row.
pub(super) fn times(result: &RunResult, ink: Ink) -> String {
    let (t, c) = (&result.totals, &result.connections);
    let rows: [(&str, &Series); 10] = [
        ("response time", &t.response_time),
        ("service time", &t.service_time),
        ("send lag", &t.send_lag),
        ("first byte", &t.first_byte),
        ("until failure", &t.failed_time),
        ("opening time", &t.handshakes.opening_time),
        ("connect", &c.connect),
        ("handshake", &c.handshake),
        ("ready", &c.ready),
        ("conn. 1st byte", &c.connection_first_byte),
    ];
    let mut table = Table::new(&["", "count", "min", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"]);
    for (name, series) in rows.into_iter().filter(|(_, s)| s.count() > 0) {
        table.row(times_row(name, series));
    }
    if table.has_rows() { with_heading(&table, ink) } else { String::new() }
}

fn times_row(name: &str, series: &Series) -> Vec<String> {
    let at = |q: f64| time(series.quantile_ns(q) as f64);
    let max = time(series.max_ns() as f64);
    let (min, mean) = (time(series.min_ns() as f64), time(series.mean_ns()));
    let count = series.count().to_string();
    vec![name.into(), count, min, mean, at(0.5), at(0.9), at(0.95), at(0.99), at(0.999), max]
}

pub(super) fn phases(result: &RunResult, ink: Ink) -> String {
    if result.phases.len() < 2 {
        return String::new();
    }
    let mut table = selections("phase");
    for phase in &result.phases {
        let name = if phase.record { phase.name.clone() } else { format!("{} (not recorded)", phase.name) };
        table.row(selection(name, &phase.figures, phase.elapsed));
    }
    with_heading(&table, ink)
}

pub(super) fn steps(result: &RunResult, ink: Ink) -> String {
    if result.steps.len() < 2 {
        return String::new();
    }
    let several = result.steps.iter().any(|s| s.scenario != result.steps[0].scenario);
    let mut table = selections("step");
    for step in &result.steps {
        let name = if several { format!("{}/{}", step.scenario, step.name) } else { step.name.clone() };
        table.row(selection(name, &step.figures, result.elapsed));
    }
    with_heading(&table, ink)
}

/// Of each tag that tells requests apart.
pub(super) fn tags(result: &RunResult, ink: Ink) -> String {
    let all = tags::of_all(result);
    let apart = tags::by_tag(result, |name| all.get(name).is_none());
    let mut table = selections("tag");
    for tag in apart.iter().take(MAX_SHOWN) {
        table.row(selection(format!("{}={}", tag.name, tag.value), &tag.figures, result.elapsed));
    }
    if !table.has_rows() {
        return String::new();
    }
    let more = match apart.len().saturating_sub(MAX_SHOWN) {
        0 => String::new(),
        more => format!("  ... and {more} more, which the JSON result has\n"),
    };
    with_heading(&table, ink) + &more
}

fn selections(what: &str) -> Table {
    Table::new(&[
        what,
        "started",
        "succeeded",
        "failed",
        "aband.",
        "rate",
        "errors",
        "p50",
        "p90",
        "p99",
        "max",
    ])
}

/// Response times here, the headline; where there are handshakes and no requests, those.
fn selection(name: String, figures: &Figures, elapsed: Duration) -> Vec<String> {
    let h = &figures.handshakes;
    let (mut b, mut s) = (figures.books, &figures.response_time);
    if b.started == 0 && h.begun() > 0 {
        (b.started, b.succeeded, b.failed, b.abandoned) = (h.begun(), h.opened, h.failed, h.abandoned);
        s = &h.opening_time;
    }
    let at = |ns: u64| if s.count() == 0 { "-".to_owned() } else { time(ns as f64) };
    vec![
        name,
        b.started.to_string(),
        b.succeeded.to_string(),
        b.failed.to_string(),
        b.abandoned.to_string(),
        rate(counts::per_second(b.succeeded, elapsed)),
        percent(figures.error_rate()),
        at(s.quantile_ns(0.5)),
        at(s.quantile_ns(0.9)),
        at(s.quantile_ns(0.99)),
        at(s.max_ns()),
    ]
}

fn with_heading(table: &Table, ink: Ink) -> String {
    let text = table.render();
    match text.split_once('\n') {
        Some((heading, rest)) => format!("{}\n{rest}", ink.heading(heading)),
        None => text,
    }
}

/// The statuses received, on one line.
pub(super) fn statuses(result: &RunResult) -> String {
    let status = &result.totals.status;
    if status.is_empty() {
        return String::new();
    }
    let list: Vec<String> = status.iter().map(|(code, n)| format!("{code}: {n}")).collect();
    format!("status        {}\n", list.join("   "))
}

/// Failures by cause, those of connections after those of requests.
pub(super) fn errors(result: &RunResult, ink: Ink) -> String {
    let mut table = Table::new(&["errors", "count", "fault", "class"]);
    let mut add = |whose: &str, errors: &[ErrorCount]| {
        let mut sorted: Vec<&ErrorCount> = errors.iter().collect();
        sorted.sort_by_key(|e| std::cmp::Reverse(e.count));
        for e in sorted {
            let what = format!("{whose}{}", e.detail);
            table.row(vec![what, e.count.to_string(), words::fault(e.fault).into(), words::kind(e.kind)]);
        }
    };
    add("", &result.totals.errors);
    add("connection: ", &result.connections.errors);
    if table.has_rows() { with_heading(&table, ink) } else { String::new() }
}

pub(super) fn checks(result: &RunResult, ink: Ink) -> String {
    let (passed, failed) = (result.totals.checks_passed, result.totals.checks_failed);
    if passed + failed == 0 {
        return String::new();
    }
    let share = percent(counts::share(passed, passed + failed));
    let failed = if failed == 0 { "0 failed".to_owned() } else { ink.bad(&format!("{failed} failed")) };
    let mut out = format!("checks        {passed} passed, {failed} ({share} passed)\n");
    for check in result.script.checks.iter().filter(|c| c.failed > 0).take(MAX_SHOWN) {
        let (step, name, all) = (&check.step, &check.name, check.passed + check.failed);
        let found = match check.samples.first() {
            Some(sample) => format!(", found: {sample}"),
            None => String::new(),
        };
        out += &format!("  {} {step}: {name}  {} of {all}{found}\n", ink.bad("FAIL"), check.failed);
    }
    out
}

/// Tags, checks or reasons shown; the JSON result has all.
const MAX_SHOWN: usize = 20;

/// Iterations that failed, and why.
pub(super) fn iterations(result: &RunResult, ink: Ink) -> String {
    let script = &result.script;
    let failed = result.totals.iterations_failed;
    if failed == 0 {
        return String::new();
    }
    let failed = ink.bad(&format!("{failed} failed"));
    let mut out = format!("iterations    {failed} of {}\n", counts::iterations(&result.totals));
    let mut sorted: Vec<&(String, u64)> = script.reasons.iter().collect();
    sorted.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    sorted.iter().take(MAX_SHOWN).for_each(|(reason, n)| out += &format!("  {n:>8}  {reason}\n"));
    out
}

/// What was done once, beside the phases.
pub(super) fn once(result: &RunResult, ink: Ink) -> String {
    let mut out = String::new();
    for (name, once) in [("setup", &result.setup), ("teardown", &result.teardown)] {
        let Some(once) = once else { continue };
        let (requests, took) = (once.books.started, time(once.elapsed.as_nanos() as f64));
        let failed = once.checks.iter().map(|c| c.failed).sum::<u64>();
        let checks = if failed == 0 { String::new() } else { ink.bad(&format!(", {failed} checks failed")) };
        let word = if requests == 1 { "request" } else { "requests" };
        out += &format!("{name:<14}{requests} {word} in {took}{checks}\n");
        if let Some(reason) = &once.failure {
            out += &format!("  {}  {reason}\n", ink.bad("FAIL"));
        }
    }
    out
}

pub(super) fn thresholds(outcomes: &[Outcome], ink: Ink) -> String {
    let mut out = String::new();
    let width = outcomes.iter().map(|o| o.text.chars().count()).max().unwrap_or(0);
    for outcome in outcomes {
        let word = if outcome.holds { ink.good("ok  ") } else { ink.bad("FAIL") };
        out += &format!("{word}  {:<width$}  {}\n", outcome.text, found(outcome));
    }
    if out.is_empty() { out } else { format!("{}\n{out}", ink.heading("thresholds")) }
}

/// What came of a threshold, in figures.
pub fn found(outcome: &Outcome) -> String {
    let found = match (outcome.actual, outcome.margin) {
        (Some(actual), Some(margin)) => {
            let (is, by) = (in_unit(outcome.unit, actual), in_unit(outcome.unit, margin.abs()));
            match outcome.holds || margin > 0.0 {
                true => format!("is {is}, {by} to spare"),
                false => format!("is {is}, missed by {by}"),
            }
        }
        _ => outcome.note.unwrap_or("not measured").to_owned(),
    };
    let ended = outcome.aborted.map_or(String::new(), |abort| {
        let was = in_unit(outcome.unit, abort.actual);
        format!("; ended the run after {:.1} s, when it was {was}", abort.at.as_secs_f64())
    });
    found + &ended
}

/// The left side of a threshold alone, or why there is none.
pub(super) fn value(outcome: &Outcome) -> String {
    match outcome.actual {
        Some(actual) => in_unit(outcome.unit, actual),
        None => outcome.note.unwrap_or("not measured").to_owned(),
    }
}

pub(super) fn in_unit(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Nanoseconds => time(value),
        Unit::Fraction => percent(value),
        Unit::PerSecond => rate(value),
        Unit::Count => format!("{value}"),
    }
}
