//! Thresholds: what holds, by how much, and what was never measured.

mod common;

use engine::stats::{CheckFigures, Passed, RunResult};
use report::thresholds::{Outcome, Unit, judge};
use scenario::plan::{CountName, Metric, Op, SeriesName, Threshold};

/// Judges one threshold on a result: of all requests, unless it is narrowed.
fn one(
    result: &RunResult,
    metric: Metric,
    (op, value): (Op, f64),
    narrow: impl FnOnce(&mut Threshold),
) -> Outcome {
    let mut plan = common::plan();
    plan.thresholds.truncate(1);
    let threshold = &mut plan.thresholds[0];
    (threshold.metric, threshold.op, threshold.value) = (metric, op, value);
    narrow(threshold);
    judge(&plan, result).remove(0)
}

/// What it comes to.
fn actual(result: &RunResult, metric: Metric, narrow: impl FnOnce(&mut Threshold)) -> Option<f64> {
    one(result, metric, (Op::More, 0.0), narrow).actual
}

fn owned(name: Option<&str>) -> Option<String> {
    name.map(str::to_owned)
}

#[test]
fn each_metric_has_its_unit_and_its_value() {
    use Metric::*;
    use SeriesName::*;
    let ms = |n: f64| n * 1e6;
    for (metric, unit, actual) in [
        (Min(ResponseTime), Unit::Nanoseconds, ms(1.0)),
        (Max(ServiceTime), Unit::Nanoseconds, ms(150.0)),
        (Mean(ResponseTime), Unit::Nanoseconds, ms(27.5)),
        (Quantile(0.5, ResponseTime), Unit::Nanoseconds, ms(3.0)),
        (Max(SendLag), Unit::Nanoseconds, ms(0.012)),
        (Min(FirstByte), Unit::Nanoseconds, ms(0.9)),
        (Min(Connect), Unit::Nanoseconds, ms(0.037)),
        (Max(Handshake), Unit::Nanoseconds, ms(0.53)),
        (ErrorRate, Unit::Fraction, (3.0 + 3.0) / (9.0 + 5.0)),
        (CheckFailureRate, Unit::Fraction, 1.0 / 7.0),
        (CheckRate, Unit::Fraction, 6.0 / 7.0),
        (Rate, Unit::PerSecond, 0.6),
        (Count(CountName::Started), Unit::Count, 10.0),
        (Count(CountName::Succeeded), Unit::Count, 6.0),
        (Count(CountName::Failed), Unit::Count, 3.0),
        (Count(CountName::Abandoned), Unit::Count, 1.0),
        (Count(CountName::Dropped), Unit::Count, 0.0),
        (Count(CountName::Iterations), Unit::Count, 4.0),
        (Count(CountName::HandshakesOpened), Unit::Count, 2.0),
        (Count(CountName::HandshakesFailed), Unit::Count, 3.0),
    ] {
        let outcome = one(&common::result(), metric, (Op::AtLeast, 0.0), |_| {});
        let found = outcome.actual.expect("measured");
        assert!((found - actual).abs() <= actual * 0.001 + 1e-9, "{metric:?}: {found} is not {actual}");
        assert_eq!(outcome.unit, unit, "{metric:?}");
    }
}

/// Connections of phases of handshakes count among iterations, and cannot fail as one.
#[test]
fn iterations_that_fail_can_be_asked_about() {
    use Metric::{Count, IterationFailureRate};
    let mut result = common::result();
    assert_eq!(actual(&result, IterationFailureRate, |_| {}), Some(0.0));
    result.totals.iterations_failed = 1;
    assert_eq!(actual(&result, IterationFailureRate, |_| {}), Some(0.5));
    assert_eq!(actual(&result, Count(CountName::IterationsFailed), |_| {}), Some(1.0));
    (result.totals.iterations, result.totals.iterations_failed) = (result.totals.handshakes.opened, 0);
    assert_eq!(actual(&result, IterationFailureRate, |_| {}), None, "no iteration ended");
}

#[test]
fn the_margin_is_positive_on_the_good_side() {
    let count = |op, limit| {
        let o = one(&common::result(), Metric::Count(CountName::Failed), (op, limit), |_| {});
        (o.holds, o.margin.unwrap())
    };
    assert_eq!(count(Op::Less, 5.0), (true, 2.0));
    assert_eq!(count(Op::Less, 3.0), (false, 0.0));
    assert_eq!(count(Op::AtMost, 3.0), (true, 0.0));
    assert_eq!(count(Op::AtMost, 1.0), (false, -2.0));
    assert_eq!(count(Op::More, 1.0), (true, 2.0));
    assert_eq!(count(Op::AtLeast, 4.0), (false, -1.0));
    assert_eq!(count(Op::Equal, 3.0), (true, 0.0));
    assert_eq!(count(Op::Equal, 0.0), (false, -3.0));
}

#[test]
fn a_phase_and_a_step_have_figures_of_their_own() {
    let rate = |step, phase| {
        actual(&common::result(), Metric::Rate, |t| (t.step, t.phase) = (owned(step), owned(phase)))
    };
    assert_eq!(rate(None, Some("warm-up")), Some(6.0));
    assert_eq!(rate(None, Some("steady")), Some(0.6));
    assert_eq!(rate(Some("page"), None), Some(0.6));
}

#[test]
fn a_step_within_a_phase_has_figures_where_the_engine_kept_them() {
    let of = |result: &RunResult| {
        one(result, Metric::Count(CountName::Started), (Op::More, 0.0), |t| {
            (t.step, t.phase) = (Some("page".into()), Some("warm-up".into()));
        })
    };
    let mut result = common::result();
    assert_eq!(of(&result).note, Some("the step was not reached in this phase"));
    result.phase_steps = vec![vec![common::figures(), common::figures()], vec![]];
    result.phase_steps[0][1].books.started = 77;
    assert_eq!(of(&result).actual, Some(77.0));
}

#[test]
fn a_scenario_is_its_steps_and_a_step_is_in_every_scenario_unless_it_is_said() {
    let mut result = common::result();
    let started = |result: &RunResult, scenario: Option<&str>, step: Option<&str>, phase: Option<&str>| {
        actual(result, Metric::Count(CountName::Started), |t| {
            (t.scenario, t.step, t.phase) = (owned(scenario), owned(step), owned(phase));
        })
    };
    assert_eq!(started(&result, Some("visit"), None, None), Some(20.0), "both steps of 10");
    assert_eq!(started(&result, Some("visit"), Some("page"), None), Some(10.0));
    assert_eq!(started(&result, Some("nowhere"), None, None), None);
    (result.steps[0].name, result.steps[0].scenario) = ("page".into(), "other".into());
    result.phase_steps = vec![vec![], vec![common::figures(), common::figures()]];
    assert_eq!(started(&result, None, Some("page"), None), Some(20.0));
    assert_eq!(started(&result, Some("other"), Some("page"), None), Some(10.0));
    assert_eq!(started(&result, None, Some("page"), Some("steady")), Some(20.0));
    assert_eq!(started(&result, Some("visit"), None, Some("warm-up")), None, "kept for steady alone");
}

#[test]
fn a_tag_is_the_steps_that_have_it_and_several_tags_are_those_that_have_all() {
    let mut result = common::result();
    result.phase_steps = vec![vec![], vec![common::figures(), common::figures()]];
    (result.steps[0].figures.books.started, result.phase_steps[1][0].books.started) = (7, 3);
    let started = |tags: &[(&str, &str)], step: Option<&str>, phase: Option<&str>| {
        actual(&result, Metric::Count(CountName::Started), |t| {
            (t.tags, t.step, t.phase) = (tags.iter().copied().collect(), owned(step), owned(phase));
        })
    };
    assert_eq!(started(&[("team", "web")], None, None), Some(17.0), "both steps");
    assert_eq!(started(&[("kind", "write")], None, None), Some(7.0));
    assert_eq!(started(&[("kind", "write")], None, Some("steady")), Some(3.0));
    assert_eq!(started(&[("kind", "read"), ("team", "web")], None, None), Some(10.0));
    assert_eq!(started(&[("kind", "read"), ("team", "shop")], None, None), None);
    assert_eq!(started(&[("team", "web")], Some("page"), None), Some(10.0));
}

#[test]
fn checks_are_counted_by_name_step_tag_and_phase() {
    let mut result = common::result();
    let check = |step: usize, name: &str, passed, failed| CheckFigures {
        scenario: "visit".into(),
        step: result.steps[step].name.clone(),
        tags: result.steps[step].tags.clone(),
        name: name.into(),
        passed,
        failed,
        samples: vec![],
    };
    result.script.checks =
        vec![check(0, "a", 3, 1), check(1, "a", 0, 4), check(1, "b: status", 7, 0), check(1, "b", 1, 0)];
    let row = |passed, failed| Passed { passed, failed };
    result.script.by_phase =
        vec![vec![Passed::default(); 4], vec![row(3, 1), row(0, 4), row(7, 0), row(0, 1)]];
    result.phase_steps = vec![vec![], vec![common::figures(), common::figures()]];
    let found = |metric, check: Option<&str>, kind: Option<&str>, phase: Option<&str>| {
        actual(&result, metric, |t| {
            (t.check, t.phase) = (owned(check), owned(phase));
            t.tags = kind.map(|kind| ("kind", kind)).into_iter().collect();
        })
    };
    use Metric::{CheckFailureRate, CheckRate};
    assert_eq!(found(CheckRate, None, None, None), Some(6.0 / 7.0), "all checks are those of the requests");
    assert_eq!(found(CheckRate, Some("a"), None, None), Some(3.0 / 8.0));
    assert_eq!(found(CheckFailureRate, Some("a"), None, None), Some(5.0 / 8.0));
    assert_eq!(found(CheckRate, Some("a"), Some("write"), None), Some(0.75));
    assert_eq!(found(CheckRate, Some("b"), None, None), Some(1.0), "those of a common name, too");
    assert_eq!(found(CheckRate, Some("b"), None, Some("steady")), Some(7.0 / 8.0));
    assert_eq!(found(CheckRate, Some("b: status"), Some("read"), Some("steady")), Some(1.0));
    assert_eq!(found(CheckRate, Some("a"), None, Some("warm-up")), None, "no check was made");
}

#[test]
fn what_was_not_measured_does_not_hold() {
    for (step, phase) in [(Some("nowhere"), None), (None, Some("never"))] {
        let outcome = one(&common::result(), Metric::ErrorRate, (Op::Less, 1.0), |t| {
            (t.step, t.phase) = (owned(step), owned(phase));
        });
        assert!(!outcome.holds && outcome.actual.is_none() && outcome.note.is_some());
    }
    let mut result = common::result();
    result.totals = Default::default();
    for outcome in judge(&common::plan(), &result) {
        assert!(!outcome.holds && outcome.note.is_some(), "{outcome:?}");
    }
}
