//! What makes iterations begin, and until when: scenarios side by side, graceful ends, phases that differ. What the server counted
//! is what the plan asked for.

mod common;

use common::plan::{ALL, Http, PlanFile, head, run_alone, run_text, seen};
use common::{Server, loadgen, scratch, stderr};
use serde_json::Value;

/// Requests that ended in a phase.
fn of_phase(result: &Value, name: &str) -> u64 {
    let phases = result["phases"].as_array().expect("a list");
    let phase =
        phases.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("no phase {name}: {result}"));
    phase["succeeded"].as_u64().expect("a count")
}

#[test]
fn scenarios_side_by_side_have_loads_of_their_own() {
    let rest = "
connections: { max: 8 }
scenarios:
  loop:
    phases: [ { users: 3, iterations: 30 } ]
    steps: [ get: /api/status ]
  schedule:
    start_after: 50ms
    phases: [ { rate: 400/s, iterations: 20, record: false }, { rate: 400/s, iterations: 12 } ]
    steps: [ get: /login ]
  one: { weight: 2, steps: [ get: /static/app.css ] }
  other: { steps: [ get: /static/app.js ] }
phases: [ { name: shared, users: 2, iterations: 15 } ]
thresholds: [ iterations(phase=loop) == 30, succeeded(phase=schedule-2) == 12 ]";
    for http in ALL {
        let (result, stats) = run_alone(http, "beside", rest, &["-t", "2"]);
        let paths = ["/api/status", "/login", "/static/app.css", "/static/app.js"];
        assert_eq!(paths.map(|p| seen(&stats, p)), [30, 32, 10, 5], "{http:?} {stats}");
        let phases = ["loop", "schedule-1", "schedule-2", "shared"].map(|p| of_phase(&result, p));
        assert_eq!(phases, [30, 20, 12, 15], "{http:?} {result}");
        assert_eq!(result["succeeded"], 30 + 12 + 15, "what is not recorded is no part of the result");
        assert_eq!(result["abandoned"], 0, "{result}");
    }
}

#[test]
fn iterations_end_gracefully_or_after_their_request() {
    let steps = "scenarios: { s: { steps: [ get: /api/status, think: 300ms, get: /login ] } }";
    for http in ALL {
        for threads in ["1", "2"] {
            let rest = format!("{steps}\nphases: [ {{ users: 4, for: 200ms, graceful_stop: 20s }} ]");
            let (result, stats) = run_alone(http, "graceful", &rest, &["-t", threads]);
            assert_eq!((seen(&stats, "/api/status"), seen(&stats, "/login")), (4, 4), "{http:?} {stats}");
            assert_eq!((&result["iterations"], &result["abandoned"]), (&4.into(), &0.into()), "{result}");
            assert_eq!(result["iterations_cut"], 0, "{result}");
        }
        // Too little time: pauses are broken off, and what comes behind them does not happen.
        let phases =
            "phases: [ { users: 4, for: 200ms, graceful_stop: 0s }, { users: 1, iterations: 1, think: 0 } ]";
        let (result, stats) = run_alone(http, "cut", &format!("{steps}\n{phases}"), &[]);
        assert_eq!(
            (&result["iterations"], seen(&stats, "/login")),
            (&1.into(), 1),
            "{http:?} {result} {stats}"
        );
        let cut = |phase: usize| &result["phases"][phase]["iterations_cut"];
        assert_eq!((cut(0), cut(1)), (&4.into(), &0.into()), "{http:?} {result}");
    }
}

#[test]
fn every_iteration_that_begins_ends_or_is_cut() {
    // The server counts those that begin by their first request.
    let steps = |think| {
        format!(
            "scenarios: {{ s: {{ steps: [ get: /any/first, get: \"/any/second?t=40ms\", think: {think} ] }} }}"
        )
    };
    let phases = [
        "users: 3, for: 300ms",
        "users: 3, for: 300ms, graceful_stop: 10ms",
        "users: 3, for: 300ms, graceful_stop: 1h",
        "rate: 50/s, for: 300ms",
        "rate: 50/s, for: 300ms, graceful_stop: 10ms",
    ];
    for (http, phase) in ALL.into_iter().flat_map(|http| phases.map(|phase| (http, phase))) {
        let server = Server::start();
        // Iterations that do not end in time by themselves, where there must be some that are cut.
        let steps = steps(if phase.starts_with("users") && !phase.contains("1h") { "1s" } else { "20ms" });
        let text = format!("{}{steps}\nphases: [ {{ {phase} }} ]\n", head(&server, http));
        // A machine that was busy all the while lets nothing succeed in so short a time.
        let result = run_text(&format!("shape-ends-{http:?}"), &text, &["-t", "2"], &[0, 2]);
        let stats = server.stats();
        let [ended, cut] = ["iterations", "iterations_cut"].map(|n| result[n].as_u64().expect("a count"));
        // A request that was abandoned may not have reached the server.
        let (seen, abandoned) = (seen(&stats, "/any/first"), result["abandoned"].as_u64().expect("a count"));
        assert!((seen..=seen + abandoned).contains(&(ended + cut)), "{http:?} {phase} {result} {stats}");
        let waited_for = phase.contains("1h") || phase == phases[3];
        assert!(cut > 0 || waited_for, "{http:?} {phase} {result}");
        assert!(cut == 0 || !phase.contains("1h"), "{http:?} {phase} {result}");
    }
}

#[test]
fn who_waits_for_others_at_the_end_of_a_phase_waits_no_longer() {
    // The only user of the first phase waits for one that never comes; both of the second meet each other.
    let rest = "
scenarios:
  s:
    steps:
      - get: /any/a
      - pause_until: { users: 2, timeout: 3s, at_timeout: fail }
      - get: /any/b
phases: [ { users: 1, for: 100ms, graceful_stop: 0s }, { users: 2, iterations: 2 } ]";
    for http in ALL {
        let (result, stats) = run_alone(http, "alone", rest, &[]);
        assert_eq!((seen(&stats, "/any/a"), seen(&stats, "/any/b")), (3, 2), "{http:?} {result} {stats}");
        assert_eq!(result["iteration_failures"], serde_json::json!([]), "{http:?} {result}");
        assert_eq!(result["phases"][0]["iterations_cut"], 1, "{http:?} {result}");
    }
}

#[test]
fn a_track_that_is_over_does_not_end_the_others() {
    let rest = "
scenarios:
  short: { phases: [ { users: 2, for: 50ms } ], steps: [ get: /api/status, think: 1h ] }
  long: { phases: [ { rate: 50/s, for: 300ms, graceful_stop: 10s } ], steps: [ get: /login, think: 200ms, get: /inbox ] }
";
    for http in ALL {
        let (result, stats) = run_alone(http, "over", rest, &["-t", "2"]);
        assert_eq!(seen(&stats, "/api/status"), 2, "{http:?} {stats}");
        // 401 without a session: the step fails, the iteration goes on.
        assert_eq!((seen(&stats, "/login"), seen(&stats, "/inbox")), (15, 15), "{http:?} {result} {stats}");
        assert_eq!((&result["abandoned"], &result["dropped"]), (&0.into(), &0.into()), "{result}");
    }
}

#[test]
fn phases_choose_scenarios_and_scale_pauses() {
    let rest = "
scenarios:
  a: { weight: 5, steps: [ get: /api/status, think: 1h ] }
  b: { steps: [ get: /login, think: 1h ] }
phases:
  - { users: 2, iterations: 12, think: 0, scenarios: { b: 1 } }
  - { users: 2, iterations: 12, think: 0% }
  - { users: 2, iterations: 12, think: 0.0, scenarios: { a: 1, b: 3 } }";
    for http in ALL {
        let (_, stats) = run_alone(http, "weights", rest, &[]);
        assert_eq!((seen(&stats, "/api/status"), seen(&stats, "/login")), (10 + 3, 12 + 2 + 9), "{stats}");
    }
}

#[test]
fn what_lasts_as_long_as_the_user_lasts_over_changes_of_scenario() {
    // Each scenario counts by itself; cookies are the user's.
    let rest = "
variables: { n: 0 }
defaults: { lifetime: per_user, cookies: true }
scenarios:
  a:
    steps:
      - set: { n: \"{{ n + 1 }}\" }
      - get: /any/a{{n}}
      - post: /login?csrf=off
        form: { _user: demo, _pass: demo }
  b:
    steps:
      - set: { n: \"{{ n + 1 }}\" }
      - get: /any/b{{n}}
      - get: /inbox
        check: { status: 200 }
  fresh: { lifetime: per_iteration, steps: [ { get: /inbox, check: { status: 401 } } ] }
phases: [ { users: 1, iterations: 12 } ]";
    for http in ALL {
        let (result, stats) = run_alone(http, "lasting", rest, &[]);
        let counts =
            ["a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4"].map(|n| seen(&stats, &format!("/any/{n}")));
        assert_eq!(counts, [1; 8], "{http:?} {stats}");
        assert_eq!(
            (&result["failed"], &stats["by_status"]["401"]),
            (&0.into(), &4.into()),
            "{http:?} {result}"
        );
    }
}

#[test]
fn what_it_takes_to_open_connections_is_not_held_against_the_schedule() {
    // Some hundreds of handshakes, then hardly anything to do for a moment.
    let rest = "
connections: { max: 800 }
scenarios: { s: { steps: [ get: /api/status ] } }
phases: [ { rate: 100/s, for: 110ms } ]";
    let (result, _) = run_alone(Http::H2, "opening", rest, &[]);
    assert_eq!(result["connections"]["opened"], 800, "{result}");
    let busy = |r: &&Value| r.as_str().expect("text").contains("% busy");
    let reasons = result["verdict_reasons"].as_array().expect("a list");
    assert_eq!(reasons.iter().find(busy), None, "{}", result["cost"]);
}

/// Arrivals and values have one seed, wherever it is said.
#[test]
fn everything_random_follows_from_one_seed() {
    let server = Server::start();
    let rest = "seed: 1
scenarios: { s: { steps: [ get: \"/any/{{ random_int(1, 1000000000) }}\" ] } }
phases: [ { rate: 40/s, arrivals: poisson, iterations: 12, users_max: 1 } ]";
    let plan = PlanFile::new("seed", &format!("{}{rest}\n", head(&server, Http::H1)));
    // What was requested, and the time from the first request to the last, in microseconds.
    let run = |args: &[&str]| {
        let log = scratch("seed.log");
        let log_file = format!("--log-file={}", log.to_str().unwrap());
        let output = loadgen(&[&["-f", plan.path(), "--trace", "12", &log_file], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let said = stderr(&output);
        let paths =
            said.lines().filter_map(|line| line.split_once("GET /any/").map(|(_, path)| path.to_owned()));
        let lines = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(log).unwrap();
        let mut begun = Vec::from_iter(
            lines.lines().map(|line| line.split('\t').next().unwrap().parse::<u64>().unwrap()),
        );
        begun.sort_unstable();
        assert_eq!(begun.len(), 12);
        (Vec::from_iter(paths), begun[11] - begun[0])
    };
    let (one, again) = (run(&[]), run(&["--seed", "1"]));
    let (two, typed) = (run(&["--set", "seed=2"]), run(&["--seed", "2"]));
    assert!(!one.0.is_empty());
    assert_eq!((&one.0, &two.0), (&again.0, &typed.0));
    assert_ne!(one.0, two.0);
    // The machine may be late with some.
    let near = |a: u64, b: u64| a.abs_diff(b) < 20_000;
    assert!(
        near(one.1, again.1) && near(two.1, typed.1) && !near(one.1, two.1),
        "{one:?} {again:?} {two:?} {typed:?}"
    );
}
