//! Thresholds watched during the run: when they fail, on which requests, and what they never do.

mod common;

use engine::Snapshot;
use engine::stats::{Books, Figures, Part, Passed};
use report::watch::Watch;
use scenario::Plan;
use scenario::plan::{Metric, Op, SeriesName};
use std::time::Duration;

/// The sample plan, of which the first threshold is watched: a warm-up of 1 s, then 10 s of the steps `login` and `page`.
fn plan(metric: Metric, op: Op, value: f64, after_s: u64) -> Plan {
    let mut plan = common::plan();
    let t = &mut plan.thresholds[0];
    (t.metric, t.op, t.value, t.abort_after) = (metric, op, value, Some(Duration::from_secs(after_s)));
    plan
}

fn part(phase: usize, step: Option<u32>, succeeded: u64, failed: u64, ms: u64) -> Part {
    let books = Books { started: succeeded + failed, succeeded, failed, ..Books::default() };
    let mut figures = Figures { books, ..Figures::default() };
    (0..succeeded).for_each(|_| figures.response_time.record(ms * 1_000_000));
    Part { phase, step, figures }
}

/// So many seconds after the start, of which the first was the warm-up.
fn snapshot(second: u64, parts: Vec<Part>) -> Snapshot {
    let length = |n: u64| Duration::from_secs(n);
    Snapshot {
        elapsed: length(second),
        phase: 1,
        books: Books::default(),
        open: 1,
        connections: Default::default(),
        data_bytes: 0,
        checks: vec![],
        parts,
        phases: vec![Some((length(0), length(1))), Some((length(1), length(second)))],
        rows: vec![],
    }
}

#[test]
fn it_fails_when_its_time_has_come_and_says_so_once() {
    let mut watch = Watch::new(&plan(Metric::ErrorRate, Op::Less, 0.1, 3)).unwrap();
    for second in 1..4 {
        assert_eq!(watch.see(&snapshot(second, vec![part(1, None, 1, 1, 1)])), None, "second {second}");
    }
    let (index, abort) = watch.see(&snapshot(4, vec![part(1, None, 1, 1, 1)])).expect("3 s are recorded");
    assert_eq!((index, abort.at, abort.actual), (0, Duration::from_secs(4), 0.5));
    assert_eq!(watch.see(&snapshot(5, vec![part(1, None, 0, 9, 1)])), None, "only once");
    assert_eq!(watch.aborted(), Some((0, abort)));
}

#[test]
fn everything_recorded_counts_and_the_warm_up_does_not() {
    let mut watch = Watch::new(&plan(Metric::ErrorRate, Op::AtMost, 0.1, 0)).unwrap();
    assert_eq!(watch.see(&snapshot(1, vec![part(0, None, 0, 50, 1)])), None, "the warm-up");
    assert_eq!(watch.see(&snapshot(2, vec![part(0, None, 0, 50, 1), part(1, None, 90, 0, 1)])), None);
    assert_eq!(watch.see(&snapshot(3, vec![part(1, None, 0, 10, 1)])), None, "10 of 100");
    let (_, abort) = watch.see(&snapshot(4, vec![part(1, None, 0, 1, 1)])).expect("11 of 101");
    assert_eq!(abort.actual, 11.0 / 101.0);
}

#[test]
fn a_step_and_a_phase_are_watched_alone() {
    let mut plan = plan(Metric::Quantile(0.5, SeriesName::ResponseTime), Op::Less, 20e6, 0);
    (plan.thresholds[0].step, plan.thresholds[0].phase) = (Some("page".into()), Some("steady".into()));
    let mut watch = Watch::new(&plan).unwrap();
    // `page` is step 1 of the dense order.
    let others = vec![part(1, None, 5, 0, 90), part(1, Some(0), 5, 0, 90), part(0, Some(1), 5, 0, 90)];
    assert_eq!(watch.see(&snapshot(2, others)), None, "nothing of it was measured");
    assert_eq!(watch.see(&snapshot(3, vec![part(1, Some(1), 5, 0, 10)])), None);
    assert!(watch.see(&snapshot(4, vec![part(1, Some(1), 6, 0, 30)])).is_some());
}

#[test]
fn a_rate_is_per_second_of_what_is_recorded() {
    let mut watch = Watch::new(&plan(Metric::Rate, Op::AtLeast, 100.0, 1)).unwrap();
    assert_eq!(watch.see(&snapshot(2, vec![part(0, None, 1, 0, 1), part(1, None, 100, 0, 1)])), None);
    let (_, abort) = watch.see(&snapshot(3, vec![part(1, None, 50, 0, 1)])).expect("150 in 2 s");
    assert_eq!(abort.actual, 75.0);
}

#[test]
fn time_in_which_phases_run_side_by_side_counts_once() {
    let mut plan = plan(Metric::Rate, Op::AtLeast, 100.0, 3);
    plan.phases[0].record = true;
    let length = Duration::from_secs;
    let at = |second: u64, began: u64| Snapshot {
        phases: vec![Some((length(0), length(second))), Some((length(began), length(second)))],
        ..snapshot(second, vec![part(0, None, 100, 0, 1), part(1, None, 100, 0, 1)])
    };
    let mut watch = Watch::new(&plan).unwrap();
    assert_eq!(watch.see(&at(2, 0)), None, "2 s are recorded and not 4");
    assert_eq!(watch.see(&at(3, 0)), None, "400 in 3 s");
    let (_, abort) = watch.see(&at(7, 2)).expect("600 in 7 s");
    assert_eq!(abort.actual, 600.0 / 7.0);
}

#[test]
fn arrivals_that_were_dropped_are_watched() {
    let metric = Metric::Count(scenario::plan::CountName::Dropped);
    let mut watch = Watch::new(&plan(metric, Op::Equal, 0.0, 0)).unwrap();
    assert_eq!(watch.see(&snapshot(2, vec![part(1, None, 1, 0, 1)])), None);
    let mut late = part(1, None, 1, 0, 1);
    late.figures.dropped = 3;
    assert_eq!(watch.see(&snapshot(3, vec![late])).map(|(_, abort)| abort.actual), Some(3.0));
}

#[test]
fn checks_of_one_name_are_those_the_snapshot_has() {
    let mut plan = plan(Metric::CheckRate, Op::AtLeast, 0.9, 0);
    let mut all = plan.thresholds[0].clone();
    all.check = Some("a".into());
    plan.thresholds.push(all);
    let mut watch = Watch::new(&plan).unwrap();
    let with = |second, passed, failed| {
        let mut part = part(1, None, 1, 0, 1);
        (part.figures.checks_passed, part.figures.checks_failed) = (10, 0);
        Snapshot { checks: vec![Passed { passed, failed }], ..snapshot(second, vec![part]) }
    };
    assert_eq!(watch.see(&with(2, 0, 0)), None, "nothing of it was made");
    assert_eq!(watch.see(&with(3, 9, 1)), None);
    let (index, abort) = watch.see(&with(4, 9, 3)).expect("9 of 12");
    assert_eq!((index, abort.actual), (2, 0.75));
}

#[test]
fn nothing_to_watch() {
    assert!(Watch::new(&common::plan()).is_none());
}
