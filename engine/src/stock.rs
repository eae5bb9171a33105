//! Taking stock: the cores' snapshots of one interval put together, told to the caller, and kept as rows of the time series
//! where somebody asked. Runs on the caller's thread, so that the cores do not pay for merging and packing.
//!
//! Every value a core told is in exactly one row. A core that is late is waited for, but not for ever; one that is gone is
//! not.

use crate::core::CoreSnapshot;
use crate::limits;
use crate::options::Rows;
use crate::spans::Span;
use crate::stats::{Books, ConnectionFigures, Figures, Part, Passed, Row, Series, Timeline};
use proto::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// All cores together at the end of an interval.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Since the first core began.
    pub elapsed: Duration,
    /// Index of the phase most cores are in.
    pub phase: usize,
    /// The books of all phases, warm-up included.
    pub books: Books,
    /// Connections open now.
    pub open: u64,
    /// Connections so far; of the series, connect and handshake where a watched threshold needs them.
    pub connections: ConnectionFigures,
    /// So far, of each watched threshold on checks of one name, in the plan's order.
    pub checks: Vec<Passed>,
    /// Body bytes received since the last snapshot.
    pub data_bytes: u64,
    /// What changed since the last snapshot, where somebody asked for that.
    pub parts: Vec<Part>,
    /// When each phase began and until when it has been going on; `None`: it has not begun. Empty where nobody asked for parts.
    pub phases: Vec<Option<Span>>,
    /// The rows that are complete since the last snapshot, where they were asked for.
    pub rows: Vec<Row>,
}

impl Snapshot {
    /// Response times of the requests that ended since the last snapshot.
    pub fn response_time(&self) -> Series {
        let mut all = Series::default();
        self.parts.iter().for_each(|part| all.merge(&part.figures.response_time));
        all
    }
}

/// The stock of a run.
pub(crate) struct Stock {
    every: Duration,
    rows: Rows,
    cores: Vec<Seen>,
    /// By number: intervals that some core has told of and not all have passed.
    waiting: BTreeMap<u64, Waiting>,
    /// Intervals below this are closed.
    open: u64,
    /// The books of each phase in the rows so far.
    in_rows: Vec<Books>,
    data_before: u64,
    timeline: Timeline,
}

/// What a core last said.
#[derive(Default)]
struct Seen {
    latest: Option<CoreSnapshot>,
    /// Everything before this interval has been told; `u64::MAX`: everything.
    upto: u64,
}

/// An interval that is not closed.
#[derive(Default)]
struct Waiting {
    parts: Vec<Part>,
    phase: usize,
    at: Time,
    open: u64,
}

impl Stock {
    /// Of so many cores that take stock once in `every`.
    pub(crate) fn new(cores: usize, every: Duration, rows: Rows) -> Stock {
        Stock {
            every,
            rows,
            cores: (0..cores).map(|_| Seen::default()).collect(),
            waiting: BTreeMap::new(),
            open: 0,
            in_rows: Vec::new(),
            data_before: 0,
            timeline: Timeline { interval: every, rows: Vec::new() },
        }
    }

    /// Takes one core's snapshot; gives all of them together once every core still running has reported.
    pub(crate) fn take(&mut self, core: usize, mut snapshot: CoreSnapshot) -> Option<Snapshot> {
        let waiting = self.waiting.entry(snapshot.interval.max(self.open)).or_default();
        std::mem::take(&mut snapshot.parts).into_iter().for_each(|part| waiting.add(part));
        waiting.phase = waiting.phase.max(snapshot.phase);
        waiting.at = waiting.at.max(snapshot.at);
        waiting.open += snapshot.open;
        let seen = &mut self.cores[core];
        seen.upto = snapshot.next;
        seen.latest = Some(snapshot);
        self.close()
    }

    /// A core will say nothing more, whether it told its end or not.
    pub(crate) fn gone(&mut self, core: usize) -> Option<Snapshot> {
        self.cores[core].upto = u64::MAX;
        self.close()
    }

    /// The rows of the whole run.
    pub(crate) fn timeline(self) -> Option<Timeline> {
        (self.rows == Rows::Kept).then_some(self.timeline)
    }

    /// Closes the intervals that no core is in any more.
    fn close(&mut self) -> Option<Snapshot> {
        let complete = self.cores.iter().map(|c| c.upto).min().unwrap_or(u64::MAX);
        let (mut parts, mut rows, mut any) = (Vec::new(), Vec::new(), false);
        while let Some(&number) = self.waiting.keys().next() {
            if number >= complete && self.waiting.len() <= limits::WAITING_INTERVALS {
                break;
            }
            let closed = self.waiting.remove(&number).expect("it was the first");
            any = true;
            self.open = number + 1;
            if self.rows != Rows::None {
                rows.extend(self.rows_of(number, complete, &closed));
            }
            merge_into(&mut parts, closed.parts);
        }
        any.then(|| self.snapshot(parts, rows))
    }

    /// A row for each phase that something happened in, and for the present one in any case.
    fn rows_of(&mut self, number: u64, complete: u64, closed: &Waiting) -> Vec<Row> {
        let next = self.waiting.keys().next().copied().unwrap_or(u64::MAX).min(complete);
        let boundary = |n: u64| Duration::from_nanos((self.every.as_nanos() as u64).saturating_mul(n));
        let at = Duration::from_nanos(closed.at.as_nanos());
        let began = boundary(number);
        let ended = if next == u64::MAX { at.max(began) } else { boundary(next.max(number + 1)) };
        let mut by_phase: BTreeMap<usize, Figures> = BTreeMap::from([(closed.phase, Figures::default())]);
        for part in &closed.parts {
            by_phase.entry(part.phase).or_default().merge(&part.figures);
        }
        let mut rows = Vec::new();
        for (phase, figures) in by_phase {
            if self.in_rows.len() <= phase {
                self.in_rows.resize(phase + 1, Books::default());
            }
            let so_far = &mut self.in_rows[phase];
            so_far.merge(&figures.books);
            let in_flight = so_far.started.saturating_sub(so_far.ended() + so_far.abandoned);
            rows.push(Row::new((began, ended), phase, &figures, in_flight, closed.open));
        }
        if self.rows == Rows::Kept {
            self.timeline.rows.extend_from_slice(&rows);
        }
        rows
    }

    fn snapshot(&mut self, parts: Vec<Part>, rows: Vec<Row>) -> Snapshot {
        let mut books = Books::default();
        let mut connections = ConnectionFigures::default();
        let (mut open, mut data, mut phase, mut at) = (0, 0, 0, Time::ZERO);
        let mut phases: Vec<Option<(Time, Time)>> = Vec::new();
        let mut checks = Vec::new();
        for s in self.cores.iter().filter_map(|c| c.latest.as_ref()) {
            books.merge(&s.books);
            connections.attempted += s.attempted;
            connections.opened += s.opened;
            connections.failed += s.failed;
            if let Some((connect, handshake)) = &s.connect {
                connections.connect.merge(connect);
                connections.handshake.merge(handshake);
            }
            open += s.open;
            data += s.data_bytes;
            checks.resize(checks.len().max(s.checks.len()), Passed::default());
            checks.iter_mut().zip(&s.checks).for_each(|(all, one)| all.merge(*one));
            phase = phase.max(s.phase);
            at = at.max(s.at);
            phases.resize(phases.len().max(s.phases.len()), None);
            for (all, one) in phases.iter_mut().zip(&s.phases) {
                let (was, is) = (all.or(*one), one.or(*all));
                *all = was.zip(is).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
            }
        }
        assert!(books.balance(), "the books of all cores do not balance: {books:?}");
        let data_bytes = data - std::mem::replace(&mut self.data_before, data);
        let span = |(began, now): (Time, Time)| {
            (Duration::from_nanos(began.as_nanos()), Duration::from_nanos(now.as_nanos()))
        };
        Snapshot {
            elapsed: Duration::from_nanos(at.as_nanos()),
            phase,
            books,
            open,
            connections,
            checks,
            data_bytes,
            parts,
            phases: phases.into_iter().map(|p| p.map(span)).collect(),
            rows,
        }
    }
}

impl Waiting {
    fn add(&mut self, part: Part) {
        match self.parts.iter_mut().find(|p| (p.phase, p.step) == (part.phase, part.step)) {
            Some(same) => same.figures.merge(&part.figures),
            None => self.parts.push(part),
        }
    }
}

fn merge_into(all: &mut Vec<Part>, more: Vec<Part>) {
    if all.is_empty() {
        *all = more;
        return;
    }
    let mut merged = Waiting { parts: std::mem::take(all), ..Waiting::default() };
    more.into_iter().for_each(|part| merged.add(part));
    *all = merged.parts;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A core's word on an interval in which it ended these requests, and began as many.
    fn told(interval: u64, next: u64, times: &[u64]) -> CoreSnapshot {
        let n = times.len() as u64;
        let books = Books { started: n, succeeded: n, ..Books::default() };
        let mut figures = Figures { books, ..Figures::default() };
        times.iter().for_each(|&ns| figures.response_time.record(ns));
        figures.send_lag.record_zeros(n);
        CoreSnapshot {
            at: Time::from_nanos((interval + 1) * 1_000_000_000 - 1),
            phase: 0,
            interval,
            next,
            books: Books::default(),
            open: 1,
            parts: if n > 0 { vec![Part { phase: 0, step: None, figures }] } else { vec![] },
            phases: vec![],
            connect: None,
            attempted: 0,
            opened: 0,
            failed: 0,
            data_bytes: 0,
            checks: vec![],
        }
    }

    fn stock(cores: usize) -> Stock {
        Stock::new(cores, SECOND, Rows::Kept)
    }

    /// Start and end in seconds, and requests, of each row.
    fn rows(timeline: Option<Timeline>) -> Vec<(u64, u64, u64)> {
        let row =
            |r: &Row| (r.began.as_secs(), r.ended.as_secs_f64().round() as u64, r.response_time.count());
        timeline.unwrap().rows.iter().map(row).collect()
    }

    const END: u64 = u64::MAX;

    #[test]
    fn an_interval_is_told_when_every_core_is_past_it() {
        let mut stock = stock(2);
        assert!(stock.take(0, told(0, 1, &[5])).is_none());
        assert!(stock.take(0, told(1, 2, &[6, 7])).is_none());
        let snapshot = stock.take(1, told(0, 1, &[8])).unwrap();
        assert_eq!(
            (snapshot.rows.len(), snapshot.response_time().max_ns()),
            (1, 8),
            "not the next one's values"
        );
        assert_eq!(stock.take(1, told(1, END, &[])).unwrap().response_time().count(), 2);
        assert!(stock.take(0, told(2, END, &[9])).is_some());
        assert_eq!(rows(stock.timeline()), [(0, 1, 2), (1, 2, 2), (2, 3, 1)]);
    }

    #[test]
    fn a_core_that_died_does_not_silence_the_others() {
        let mut stock = stock(2);
        assert!(stock.take(0, told(0, 1, &[1])).is_none());
        assert!(stock.gone(1).is_some(), "what was waiting for it is told");
        for interval in 1..4 {
            assert!(stock.take(0, told(interval, interval + 1, &[1])).is_some(), "interval {interval}");
        }
        assert!(stock.gone(0).is_none());
        assert_eq!(rows(stock.timeline()).len(), 4);
    }

    #[test]
    fn a_core_that_is_late_is_waited_for_within_bounds_and_loses_nothing() {
        let mut stock = stock(2);
        let n = limits::WAITING_INTERVALS as u64 + 10;
        let told_early = (0..n).filter(|&i| stock.take(0, told(i, i + 1, &[1])).is_some()).count();
        assert_eq!(told_early, 10, "those beyond the bound");
        assert!(stock.take(1, told(0, n, &[2, 2, 2])).is_some());
        assert!(stock.take(1, told(n, END, &[])).is_none());
        assert!(stock.take(0, told(n, END, &[])).is_some());
        let rows = rows(stock.timeline());
        assert_eq!(rows.len() as u64, n + 1);
        assert_eq!((rows[9].2, rows[10].2), (1, 4), "the late values are in the oldest interval left");
        assert_eq!(rows.iter().map(|r| r.2).sum::<u64>(), n + 3);
    }

    #[test]
    fn a_row_is_as_long_as_the_core_was_away() {
        let mut stock = stock(1);
        stock.take(0, told(0, 5, &[1]));
        stock.take(0, told(5, 6, &[]));
        stock.take(0, told(6, END, &[1]));
        assert_eq!(rows(stock.timeline()), [(0, 5, 1), (5, 6, 0), (6, 7, 1)], "and silence is a row, too");
    }

    #[test]
    fn percentiles_of_all_cores_and_intervals_are_those_of_all_values() {
        let value = |i: u64| (i * 2_654_435_761) % 90_000_000 + 1000;
        let (cores, intervals, each) = (3, 4, 700);
        let mut stock = stock(cores as usize);
        let mut whole = Series::default();
        for interval in 0..intervals {
            for core in 0..cores {
                let first = (interval * cores + core) * each;
                let values: Vec<u64> = (first..first + each).map(value).collect();
                values.iter().for_each(|&v| whole.record(v));
                let next = if interval + 1 == intervals { END } else { interval + 1 };
                stock.take(core as usize, told(interval, next, &values));
            }
        }
        let timeline = stock.timeline().unwrap();
        let mut merged = Series::default();
        timeline.rows.iter().for_each(|row| merged.merge(&row.response_time.unpack()));
        assert_eq!((timeline.rows.len() as u64, merged.count()), (intervals, whole.count()));
        assert_eq!((merged.mean_ns(), merged.stdev_ns()), (whole.mean_ns(), whole.stdev_ns()));
        for q in [0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 1.0] {
            assert_eq!(merged.quantile_ns(q), whole.quantile_ns(q), "q {q}");
        }
    }

    #[test]
    fn nothing_is_kept_where_nobody_asked() {
        let mut stock = Stock::new(1, SECOND, Rows::Told);
        assert_eq!(stock.take(0, told(0, END, &[1])).unwrap().rows.len(), 1);
        assert!(stock.timeline().is_none());
        let mut stock = Stock::new(1, SECOND, Rows::None);
        assert!(stock.take(0, told(0, END, &[1])).unwrap().rows.is_empty());
        assert!(stock.timeline().is_none());
    }
}
