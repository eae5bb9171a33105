//! Thresholds on checks against the real server: the share of a check is that of the answers the server counted.

mod common;

use common::Server;
use common::plan::{ALL, Http, head, run_text, seen};
use serde_json::Value;

/// What each path answers decides the check: two good answers and a bad one, then one of each, then plain steps.
const SCENARIOS: &str = r#"scenarios:
  often:
    tags: { kind: read }
    steps:
      - repeat: 2
        steps: [ { get: /any/a, check: { name: is fine, status: 200 } } ]
      - { get: "/any/b?r=503", name: bad, check: { name: is fine, status: 200 } }
  half:
    tags: { kind: write }
    steps:
      - { get: /any/c, check: { name: is fine, status: 200, body_size: "< 1000000" } }
      - { get: "/any/d?r=503", check: { status: 200 } }
  plain:
    steps:
      - { get: /any/e, check: { status: 200 } }
      - { get: "/any/f?r=503", name: lost, check: { status: 200 } }
phases:
  - { name: before, users: 2, iterations: 3, record: false }
  - { name: one, users: 2, iterations: 20, scenarios: { often: 1, plain: 1 } }
  - { name: two, users: 2, iterations: 10, scenarios: { half: 1 } }
  - { name: three, users: 2, iterations: 10, scenarios: { often: 1 } }
"#;

#[test]
fn the_share_of_a_check_is_that_of_the_answers() {
    let thresholds = r#"thresholds:
  - checks > 1%
  - checks(is fine) > 1%
  - checks(is fine, scenario=often) > 1%
  - checks(is fine, step=bad) == 0%
  - checks(is fine, tag.kind=write) == 100%
  - 'checks("is fine: status") == 1'
  - check_failure_rate(status) > 1%
  - checks(status, step=lost) == 0
  - checks(is fine, phase=three) > 1%
  - checks(is fine, phase=two, tag.kind=write) == 100%
  - checks(status, phase=one) == 50%
  - checks(status, phase=two) == 0%
  - checks(is fine, phase=two, scenario=often) > 0%
"#;
    for http in ALL {
        let server = Server::start();
        let text = format!("{}{SCENARIOS}{thresholds}", head(&server, http));
        let result = run_text(&format!("checks-{http:?}"), &text, &["-t", "2"], &[99]);
        let of = |i: usize| &result["thresholds"][i];
        let stats = server.stats();
        // The warm-up is in the server's counts and not in the result's: the share within a scenario is the same.
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|p| seen(&stats, &format!("/any/{p}")));
        assert!(a == 2 * b && c == d && c >= 10, "{http:?} {stats}");
        let share = |passed: u64, failed: u64| passed as f64 / (passed + failed) as f64;
        let counted = |name: &str| {
            let list = result["checks_by_name"].as_array().expect("a list");
            let mine = list.iter().filter(|c| c["name"].as_str().is_some_and(|n| n.starts_with(name)));
            mine.fold((0, 0), |all, c| {
                (all.0 + c["passed"].as_u64().unwrap(), all.1 + c["failed"].as_u64().unwrap())
            })
        };
        let (all, fine, status) = (counted(""), counted("is fine"), counted("status"));
        let by_scenario = share(a, b);
        let expected = [
            share(all.0, all.1),
            share(fine.0, fine.1),
            by_scenario,
            0.0,
            1.0,
            1.0,
            share(status.1, status.0),
            0.0,
            by_scenario,
            1.0,
            0.5,
            0.0,
        ];
        for (i, expected) in expected.into_iter().enumerate() {
            let actual = of(i)["actual"].as_f64().unwrap_or_else(|| panic!("{http:?} {}", of(i)));
            assert!((actual - expected).abs() < 1e-9, "{http:?} {} is not {expected}", of(i));
            assert_eq!(
                (&of(i)["holds"], &of(i)["unit"]),
                (&true.into(), &"fraction".into()),
                "{http:?} {}",
                of(i)
            );
        }
        assert_eq!((&of(12)["holds"], &of(12)["note"]), (&false.into(), &"no check was made".into()));
        let recorded = fine.1 + fine.0 + status.0 + status.1;
        assert_eq!(recorded, all.0 + all.1, "{http:?} {}", result["checks_by_name"]);
    }
}

#[test]
fn a_check_of_one_name_is_watched() {
    for http in [Http::H1, Http::H2, Http::H3] {
        let server = Server::start();
        let watch = |scenario: &str, that: &str| -> Value {
            let (scenarios, _) = SCENARIOS.split_once("phases:").expect("phases");
            let text = format!(
                "{}{scenarios}phases: [ {{ name: all, users: 2, for: 2m, scenarios: {{ {scenario}: 1 }} }} ]\n\
                 thresholds:\n  - {{ that: 'checks(is fine, tag.kind=write) >= 100%', abort_after: 0s }}\n  \
                 - {{ that: '{that}', abort_after: 0s }}\n",
                head(&server, http)
            );
            let name = format!("checks-watched-{scenario}-{http:?}");
            run_text(&name, &text, &["--interval", "100ms", "-t", "2"], &[99])
        };
        let often = watch("often", "checks(is fine) > 90%");
        let by = often["thresholds"][1]["aborted_by"].as_f64().expect("it ended the run");
        assert!(by > 0.3 && by < 0.9, "{http:?} {by}");
        assert!(often["thresholds"][0]["aborted_at_s"].is_null(), "nothing of it was measured");
        let plain = watch("plain", "checks(status, step=lost, phase=all) > 0%");
        assert_eq!(plain["thresholds"][1]["aborted_by"], 0.0, "{http:?}");
        let half = watch("half", "checks(status, phase=all) > 10%");
        assert_eq!(half["thresholds"][1]["aborted_by"], 0.0, "{http:?}");
        assert_eq!(half["thresholds"][0]["actual"], 1.0, "{http:?}");
    }
}

/// No request of theirs need fail: they have a figure of their own.
#[test]
fn iterations_that_fail_can_fail_a_run() {
    let server = Server::start();
    let plan = |phases: &str, thresholds: &str| {
        format!(
            "{}scenarios:\n  s:\n    steps: [ get: /any/a, {{ if: iteration % 4 == 3, then: [ fail: unlucky ] }} ]\n\
             phases: [ {phases} ]\nthresholds: [ error_rate < 1%, {thresholds} ]\n",
            head(&server, Http::H1)
        )
    };
    let ended = plan(
        "{ name: before, users: 1, iterations: 4, record: false }, { name: one, users: 1, iterations: 8 }",
        "iteration_failure_rate < 1%, iterations_failed(phase=one) == 2",
    );
    let result = run_text("failed-iterations", &ended, &["-t", "1"], &[99]);
    let judged: Vec<_> =
        (0..3).map(|i| (&result["thresholds"][i]["holds"], &result["thresholds"][i]["actual"])).collect();
    let held = [(true, 0.0), (false, 0.25), (true, 2.0)].map(|(holds, actual)| (holds.into(), actual.into()));
    assert_eq!(judged, held.iter().map(|(holds, actual)| (holds, actual)).collect::<Vec<(&Value, &Value)>>());
    let counts = ["iterations", "iterations_failed"].map(|name| result[name].as_u64());
    assert_eq!(counts, [Some(8), Some(2)]);
    let counts = |i: usize| result["phases"][i]["iterations_failed"].as_u64();
    assert_eq!((counts(0), counts(1)), (Some(1), Some(2)));
    assert!(result["steps"][0]["iterations_failed"].is_null());
    let watched = plan("{ users: 1, for: 1m }", "{ that: iteration_failure_rate < 10%, abort_after: 0s }");
    let result = run_text("failed-iterations-watched", &watched, &["-t", "1", "--interval", "100ms"], &[99]);
    let by = result["thresholds"][1]["aborted_by"].as_f64().expect("it ended the run");
    assert!(by > 0.2 && by < 0.3, "{by}");
}

/// Three digits outside of 100 to 599 are a server error in every protocol (RFC 9110 section 15): a complete answer, of which the
/// connection is none the worse.
#[test]
fn a_status_that_is_none_is_a_server_error() {
    for http in ALL {
        let server = Server::start();
        let plan = format!(
            "{}scenarios:\n  s:\n    steps:\n      - {{ get: /any/a?r=600, name: a }}\n      - {{ get: /any/b?r=999, name: b }}\n      - {{ get: \
             /any/c?r=999, name: c, check: {{ status: 999 }} }}\nphases: [ {{ users: 1, iterations: 5 }} ]\n",
            head(&server, http)
        );
        let result = run_text(&format!("odd-status-{http:?}"), &plan, &[], &[0]);
        assert_eq!(result["status"], serde_json::json!({ "600": 5, "999": 10 }), "{http:?}");
        let counts = ["succeeded", "failed", "failed_status"].map(|name| result[name].as_u64());
        assert_eq!(counts, [Some(5), Some(10), Some(10)], "{http:?}");
        let connections = ["opened", "lost"].map(|name| result["connections"][name].as_u64());
        assert_eq!(connections, [Some(1), Some(0)], "{http:?}");
        let stats = server.stats();
        let steps = ["/any/a", "/any/b", "/any/c"].map(|path| seen(&stats, path));
        assert_eq!(steps, [5, 5, 5], "{http:?}");
    }
}
