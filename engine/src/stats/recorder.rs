//! What a core writes down: one cell per phase and step, so that a request is recorded once and everything else is merged
//! from cells at the end.

use super::clocks::{Clocks, Times};
use super::interval::{Keep, Split};
use super::{Books, Bytes, ConnectionFigures, ErrorCount, Figures, HandshakeFigures, Part, Passed, Series};
use crate::limits;
use crate::request_log::CoreLog;
use crate::trace::Trace;
use proto::Error;
use std::collections::BTreeMap;
use std::time::Duration;

/// Status codes 0..STATUS have a counter each; no parser lets a larger one through.
const STATUSES: usize = 1000;

/// The record of one core.
pub(crate) struct Recorder {
    steps: usize,
    /// Of a step's index. Zero where there is one cell for all steps.
    mask: u32,
    cells: Vec<Cell>,
    /// Bytes by phase.
    pub(crate) bytes: Vec<Bytes>,
    /// Iterations ended, by phase.
    pub(crate) iterations: Vec<u64>,
    /// Of them: failed.
    pub(crate) iterations_failed: Vec<u64>,
    /// Iterations that ended before their end, by phase.
    pub(crate) iterations_cut: Vec<u64>,
    /// Arrivals of the open model that came due, by phase.
    pub(crate) arrived: Vec<u64>,
    /// Of them: found every user busy.
    pub(crate) waited: Vec<u64>,
    /// Of them: never begun.
    pub(crate) dropped: Vec<u64>,
    /// Of them: not begun for want of a row of data.
    pub(crate) without_data: Vec<u64>,
    /// Due to the end of the phase, of requests that were abandoned, all together.
    pub(crate) abandoned_time: Vec<Duration>,
    /// Connections of phases of handshakes, by phase.
    pub(crate) handshakes: Vec<Handshakes>,
    /// What the connections did.
    pub(crate) connections: ConnectionFigures,
    keep: Keep,
    /// The counts of every part as of the last snapshot.
    before: Vec<Counts>,
    /// Every request that ends, where somebody keeps them.
    pub(crate) log: Option<CoreLog>,
    /// The first requests whole, where somebody looks.
    pub(crate) trace: Option<Box<Trace>>,
    /// Requests ended, all phases: what the batching policy counts.
    pub(crate) ended: u64,
    /// Body bytes received, all phases.
    pub(crate) data_bytes: u64,
}

/// What phases of handshakes did.
#[derive(Default)]
pub(crate) struct Handshakes {
    opened: u64,
    pub(crate) failed: u64,
    /// Still being opened at the end.
    pub(crate) abandoned: u64,
    /// Due to open.
    opening: Split,
    /// Due to begun.
    lag: Split,
}

impl Handshakes {
    /// One is begun, `ns` after it was due.
    pub(crate) fn begun(&mut self, ns: u64) {
        self.lag.record(ns);
    }

    /// A connection is open, `ns` after it was due.
    pub(crate) fn opened(&mut self, ns: u64) {
        self.opened += 1;
        self.opening.record(ns);
    }

    /// An interval ends: adds the values that are asked for to figures of it.
    fn close(&mut self, keep: &Keep, into: &mut Figures) {
        if keep.service {
            self.lag.close(&mut into.send_lag);
        }
        if keep.opening {
            self.opening.close(&mut into.handshakes.opening_time);
        }
    }

    /// Adds all of them to figures.
    pub(crate) fn merge_into(self, figures: &mut Figures) {
        let Handshakes { opened, failed, abandoned, opening, lag } = self;
        let opening_time = opening.whole();
        figures.handshakes.merge(&HandshakeFigures { opened, failed, abandoned, opening_time });
        figures.send_lag.merge(&lag.whole());
    }
}

/// Counts of a part of the requests, from the start of the run.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    books: Books,
    iterations: u64,
    iterations_failed: u64,
    arrived: u64,
    waited: u64,
    dropped: u64,
    without_data: u64,
    handshakes_opened: u64,
    handshakes_failed: u64,
    handshakes_abandoned: u64,
    checks_passed: u64,
    checks_failed: u64,
    bytes: Bytes,
}

/// One step in one phase.
#[derive(Default)]
pub(crate) struct Cell {
    /// Whether its phase is.
    pub(crate) recorded: bool,
    pub(crate) books: Books,
    status: Vec<u64>,
    errors: Vec<(Error, u64)>,
    pub(crate) checks_passed: u64,
    pub(crate) checks_failed: u64,
    pub(crate) data: u64,
    clocks: Clocks<Split>,
    failed: Series,
}

impl Recorder {
    /// `recorded`: whether each phase is.
    pub(crate) fn new(recorded: impl ExactSizeIterator<Item = bool>, steps: usize, keep: &Keep) -> Recorder {
        let phases = recorded.len();
        let parts = if keep.parts { keep.groups(phases) } else { 0 };
        let cells = recorded
            .flat_map(|recorded| (0..steps).map(move |_| Cell { recorded, ..Cell::default() }))
            .collect();
        Recorder {
            steps,
            mask: if steps == 1 { 0 } else { u32::MAX },
            cells,
            bytes: vec![Bytes::default(); phases],
            iterations: vec![0; phases],
            iterations_failed: vec![0; phases],
            iterations_cut: vec![0; phases],
            arrived: vec![0; phases],
            waited: vec![0; phases],
            abandoned_time: vec![Duration::ZERO; phases],
            dropped: vec![0; phases],
            without_data: vec![0; phases],
            handshakes: (0..phases).map(|_| Handshakes::default()).collect(),
            connections: ConnectionFigures::default(),
            keep: keep.clone(),
            before: vec![Counts::default(); parts],
            log: None,
            trace: None,
            ended: 0,
            data_bytes: 0,
        }
    }

    #[inline]
    pub(crate) fn cell(&mut self, phase: u16, step: u32) -> &mut Cell {
        &mut self.cells[usize::from(phase) * self.steps + (step & self.mask) as usize]
    }

    /// A request ended well. True where its phase is recorded.
    #[inline]
    pub(crate) fn succeeded(&mut self, phase: u16, step: u32, times: Times) -> bool {
        self.ended += 1;
        let cell = self.cell(phase, step);
        cell.books.succeeded += 1;
        cell.clocks.record(times);
        cell.recorded
    }

    /// A request ended badly, `ns` after it was due.
    pub(crate) fn failed(&mut self, phase: u16, step: u32, error: Error, ns: u64) {
        self.ended += 1;
        let cell = self.cell(phase, step);
        cell.books.failed += 1;
        cell.failed.record(ns);
        let full = cell.errors.len() >= limits::ERROR_CAUSES;
        match cell.errors.iter_mut().position(|(e, _)| *e == error) {
            Some(i) => cell.errors[i].1 += 1,
            None if full => cell.errors[limits::ERROR_CAUSES - 1].1 += 1,
            None => cell.errors.push((error, 1)),
        }
    }

    /// The books of all phases and steps. `in_flight` is counted elsewhere, so that the balance proves something.
    pub(crate) fn books(&self, in_flight: u64) -> Books {
        let mut books = Books { in_flight, ..Books::default() };
        self.cells.iter().for_each(|c| books.merge(&c.books));
        books
    }

    /// The checks of these cells.
    pub(crate) fn checks(&self, cells: &[usize]) -> Passed {
        let mut all = Passed::default();
        for cell in cells.iter().map(|at| &self.cells[*at]) {
            all.merge(Passed { passed: cell.checks_passed, failed: cell.checks_failed });
        }
        all
    }

    /// What changed since the last call, by part; parts of which nothing did are left out. `bytes` are those of `phase`
    /// that are not in [`Recorder::bytes`] yet.
    pub(crate) fn take_parts(&mut self, phase: usize, bytes: Bytes) -> Vec<Part> {
        if !self.keep.parts {
            return Vec::new();
        }
        let now = self.counts(phase, bytes);
        let mut clocks: Vec<Clocks<Series>> = now.iter().map(|_| Clocks::default()).collect();
        for (at, cell) in self.cells.iter_mut().enumerate() {
            let group = self.keep.group(at / self.steps, at % self.steps);
            cell.clocks.close(&self.keep, &mut clocks[group]);
        }
        let before = std::mem::replace(&mut self.before, now);
        let mut parts = Vec::new();
        for (group, (before, clocks)) in before.iter().zip(clocks).enumerate() {
            let now = &self.before[group];
            let mut figures = now.since(before);
            clocks.move_into(&mut figures);
            let (phase, step) = self.keep.named(group);
            if step.is_none() {
                self.handshakes[phase].close(&self.keep, &mut figures);
            }
            // What is begun after a wait changes no count.
            if now != before || figures.send_lag.count() > 0 {
                parts.push(Part { phase, step, figures });
            }
        }
        parts
    }

    /// The counts of every part. What is kept by phase alone is with the part of the steps that nobody named.
    fn counts(&self, phase: usize, bytes: Bytes) -> Vec<Counts> {
        let mut counts = vec![Counts::default(); self.before.len()];
        for (at, cell) in self.cells.iter().enumerate() {
            let part = &mut counts[self.keep.group(at / self.steps, at % self.steps)];
            part.books.merge(&cell.books);
            part.checks_passed += cell.checks_passed;
            part.checks_failed += cell.checks_failed;
            part.bytes.data += cell.data;
        }
        for (index, moved) in self.bytes.iter().enumerate() {
            let part = &mut counts[self.keep.groups(index)];
            let running = if index == phase { bytes } else { Bytes::default() };
            part.bytes.received += moved.received + running.received;
            part.bytes.sent += moved.sent + running.sent;
            part.iterations = self.iterations[index];
            part.iterations_failed = self.iterations_failed[index];
            part.arrived = self.arrived[index];
            part.waited = self.waited[index];
            part.dropped = self.dropped[index];
            part.without_data = self.without_data[index];
            let handshakes = &self.handshakes[index];
            part.handshakes_opened = handshakes.opened;
            part.handshakes_failed = handshakes.failed;
            part.handshakes_abandoned = handshakes.abandoned;
        }
        counts
    }

    /// The figures of each phase, step by step. Moves the series out: copies of histograms are what a result costs in
    /// memory.
    pub(crate) fn take_figures(&mut self) -> Vec<Vec<Figures>> {
        let mut cells = std::mem::take(&mut self.cells).into_iter();
        let steps = self.steps;
        self.bytes.iter().map(|_| cells.by_ref().take(steps).map(Cell::into_figures).collect()).collect()
    }
}

impl Counts {
    /// What was added since.
    fn since(&self, before: &Counts) -> Figures {
        Figures {
            books: self.books.since(&before.books),
            iterations: self.iterations - before.iterations,
            iterations_failed: self.iterations_failed - before.iterations_failed,
            arrived: self.arrived - before.arrived,
            waited: self.waited - before.waited,
            dropped: self.dropped - before.dropped,
            without_data: self.without_data - before.without_data,
            checks_passed: self.checks_passed - before.checks_passed,
            checks_failed: self.checks_failed - before.checks_failed,
            bytes: Bytes {
                received: self.bytes.received - before.bytes.received,
                sent: self.bytes.sent - before.bytes.sent,
                data: self.bytes.data - before.bytes.data,
                ..Bytes::default()
            },
            handshakes: HandshakeFigures {
                opened: self.handshakes_opened - before.handshakes_opened,
                failed: self.handshakes_failed - before.handshakes_failed,
                abandoned: self.handshakes_abandoned - before.handshakes_abandoned,
                ..HandshakeFigures::default()
            },
            ..Figures::default()
        }
    }
}

impl Cell {
    #[inline]
    pub(crate) fn status(&mut self, code: u16) {
        if self.status.is_empty() {
            self.status = vec![0; STATUSES];
        }
        self.status[usize::from(code).min(STATUSES - 1)] += 1;
    }

    fn into_figures(self) -> Figures {
        let status: BTreeMap<u16, u64> = self
            .status
            .iter()
            .enumerate()
            .filter(|(_, n)| **n > 0)
            .map(|(code, &n)| (code as u16, n))
            .collect();
        let errors = self
            .errors
            .iter()
            .map(|(e, count)| ErrorCount {
                fault: e.fault,
                kind: e.kind,
                detail: e.to_string(),
                count: *count,
            })
            .collect();
        let mut figures = Figures {
            books: self.books,
            status,
            errors,
            checks_passed: self.checks_passed,
            checks_failed: self.checks_failed,
            failed_time: self.failed,
            bytes: Bytes { data: self.data, ..Bytes::default() },
            ..Figures::default()
        };
        self.clocks.whole().move_into(&mut figures);
        for series in [
            &mut figures.response_time,
            &mut figures.service_time,
            &mut figures.send_lag,
            &mut figures.first_byte,
            &mut figures.failed_time,
        ] {
            series.share();
        }
        figures
    }
}

/// Notes a failed attempt to open a connection.
pub(crate) fn note_connection_error(figures: &mut ConnectionFigures, error: Error, detail: String) {
    let errors = &mut figures.errors;
    match errors.iter().position(|e| e.kind == error.kind && e.detail == detail) {
        Some(i) => errors[i].count += 1,
        None if errors.len() < limits::ERROR_CAUSES => {
            errors.push(ErrorCount { fault: error.fault, kind: error.kind, detail, count: 1 });
        }
        None => errors[limits::ERROR_CAUSES - 1].count += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::series::HIGHEST_NS;
    use crate::{Options, Rows};

    const PLAN: &str = "version: 1
target: builtin
scenarios: { s: { steps: [ get: /a, get: /b, get: /c ] } }
phases: [ { users: 1, for: 1s, record: false }, { users: 1, for: 1s }, { handshakes: 1/s, for: 1s } ]
";

    /// What a plan keeps with these thresholds, all of them watched.
    fn keep(rows: Rows, live: bool, watched: &[&str]) -> Keep {
        let thresholds: String =
            watched.iter().map(|that| format!("  - {{ that: \"{that}\", abort_after: 1s }}\n")).collect();
        let text =
            if thresholds.is_empty() { PLAN.into() } else { format!("{PLAN}thresholds:\n{thresholds}") };
        let plan = scenario::parse(&text, "plan", std::path::Path::new(""), &Default::default());
        Keep::of(&plan.unwrap_or_else(|e| panic!("{e}")), &Options { rows, live, ..Options::default() })
    }

    /// Numbers that are the same in every run.
    fn draw(x: &mut u64) -> u64 {
        *x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *x >> 33
    }

    /// Records some ten thousand requests and handshakes, the same ones each time, and looks at the parts now and then.
    fn record(keep: &Keep) -> (Recorder, Vec<Part>) {
        let mut recorder = Recorder::new([false, true, true].into_iter(), 3, keep);
        let (mut parts, mut x) = (Vec::new(), 7);
        for i in 0..40_000_u64 {
            let (phase, step) = (u16::from(i > 9000), (draw(&mut x) % 3) as u32);
            let service = match draw(&mut x) % 1000 {
                0 => 2 * HIGHEST_NS + draw(&mut x),
                1..10 => draw(&mut x) * 40,
                _ => 50_000 + draw(&mut x) % 900_000,
            };
            let lag = if draw(&mut x) < 1 << 30 { draw(&mut x) % 70_000 } else { 0 };
            let times = Times { response: service + lag, service, lag, first_byte: service / 2 };
            recorder.cell(phase, step).books.started += 1;
            recorder.succeeded(phase, step, times);
            if i % 5 == 0 {
                let handshakes = &mut recorder.handshakes[usize::from(phase)];
                handshakes.begun(lag + i);
                handshakes.opened(service);
            }
            // Intervals of many values, of few, and of none.
            if [20, 21, 300, 9_000, 9_001, 9_500, 30_000].contains(&i) {
                parts.extend(recorder.take_parts(0, Bytes::default()));
                assert!(recorder.take_parts(0, Bytes::default()).is_empty(), "nothing was added since");
            }
        }
        // Begun, and at its end nothing else.
        recorder.handshakes[1].begun(1_000_000_007);
        parts.extend(recorder.take_parts(0, Bytes::default()));
        (recorder, parts)
    }

    /// Everything a series knows: each value and how often, and what is exact.
    fn whole(s: &Series) -> impl PartialEq + std::fmt::Debug + use<> {
        let exact = (s.count(), s.min_ns(), s.max_ns(), s.over_range());
        (exact, s.mean_ns().to_bits(), s.stdev_ns().to_bits(), s.v2_deflate())
    }

    fn all_series(f: &Figures) -> [(&'static str, &Series); 5] {
        [
            ("response time", &f.response_time),
            ("service time", &f.service_time),
            ("send lag", &f.send_lag),
            ("first byte", &f.first_byte),
            ("opening time", &f.handshakes.opening_time),
        ]
    }

    fn phases(mut recorder: Recorder) -> Vec<Vec<Figures>> {
        let mut figures = recorder.take_figures();
        for (steps, handshakes) in figures.iter_mut().zip(recorder.handshakes) {
            let mut apart = Figures::default();
            handshakes.merge_into(&mut apart);
            steps.push(apart);
        }
        figures
    }

    const EVERYTHING: [&str; 3] =
        ["p50(first_byte, step=GET /b) < 1h", "max(opening_time) < 100h", "max(send_lag, step=GET /c) < 1h"];

    #[test]
    fn totals_are_the_same_value_by_value_whoever_looks_at_intervals() {
        let (alone, parts) = record(&keep(Rows::None, false, &[]));
        assert!(parts.is_empty());
        let want = phases(alone);
        for (rows, live, watched) in [
            (Rows::Kept, false, &[][..]),
            (Rows::None, true, &[]),
            (Rows::Told, true, &EVERYTHING),
            (Rows::None, false, &EVERYTHING[..1]),
            (Rows::None, false, &EVERYTHING[2..]),
        ] {
            let (recorder, _) = record(&keep(rows, live, watched));
            for (phase, (mine, want)) in phases(recorder).iter().zip(&want).enumerate() {
                for (step, (mine, want)) in mine.iter().zip(want).enumerate() {
                    for ((name, mine), (_, want)) in all_series(mine).into_iter().zip(all_series(want)) {
                        let place =
                            format!("{name} of phase {phase} step {step}, {rows:?} {live} {watched:?}");
                        assert!(whole(mine) == whole(want), "{place}: {mine:?} is not {want:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_intervals_of_a_part_are_its_totals_value_by_value() {
        let (recorder, parts) = record(&keep(Rows::Kept, true, &EVERYTHING));
        let want = phases(recorder);
        // Of the steps, `b` and `c` are spoken of in particular; what is of no step is with `a`.
        for (phase, step, of) in
            [(0, None, &[0, 3][..]), (0, Some(1), &[1]), (1, None, &[0, 3]), (1, Some(2), &[2])]
        {
            let (mut told, mut total) = (Figures::default(), Figures::default());
            let mine = parts.iter().filter(|p| (p.phase, p.step) == (phase, step));
            mine.for_each(|part| told.merge(&part.figures));
            of.iter().for_each(|&at| total.merge(&want[phase][at]));
            assert_eq!((told.books, told.handshakes.opened), (total.books, total.handshakes.opened));
            for ((name, mine), (_, want)) in all_series(&told).into_iter().zip(all_series(&total)) {
                assert!(whole(mine) == whole(want), "{name} of {phase} {step:?}: {mine:?} is not {want:?}");
            }
        }
    }

    #[test]
    fn an_interval_has_the_series_that_are_asked_for_and_no_other() {
        for (live, watched, want) in [
            (true, &[][..], [true, false, false, false, false]),
            (false, &["p50(first_byte) < 1h"], [false, false, false, true, false]),
            (false, &["max(opening_time) < 1h"], [false, false, false, false, true]),
            (false, &["max(send_lag) < 1h"], [true, true, true, false, false]),
        ] {
            let (_, parts) = record(&keep(Rows::None, live, watched));
            let mut all = Figures::default();
            parts.iter().for_each(|part| all.merge(&part.figures));
            assert_eq!(all_series(&all).map(|(_, s)| s.count() > 0), want, "{live} {watched:?}");
        }
    }
}
