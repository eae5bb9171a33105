//! What is done once in a run, over the real server: how often it was asked, and what users get of it.

mod common;

use common::plan::{ALL, Going, Http, PlanFile, number, plan, run, seen};
use common::{Server, json, loadgen, signal, stderr};
use serde_json::Value;

const LOG_IN: &str = r#"
setup:
  - post: /api/login
    json: { user: demo, password: demo }
    extract: { token: { json: $.token } }
    check: { status: 200 }
  - set: { page: "{{ 'p' + user_number }}" }
teardown:
  - delete: /any/gone-{{page}}
    auth: { bearer: "{{token}}" }"#;

#[test]
fn setup_and_teardown_are_done_once_and_their_values_are_for_all() {
    for http in ALL {
        let server = Server::start();
        let steps = r#"
      - get: /api/messages
        auth: { bearer: "{{token}}" }
        check: { status: 200 }
      - get: /any/{{page}}"#;
        let phase = "users: 4, iterations: 20";
        let result = run(&server, http, "once", LOG_IN, steps, phase, &["-t", "2"]);
        let stats = server.stats();
        assert_eq!(number(&result["checks"]["failed"]), 0, "{http:?} {result}");
        assert_eq!((number(&result["iterations_failed"]), number(&result["succeeded"])), (0, 40), "{http:?}");
        for (path, n) in [("/api/login", 1), ("/api/messages", 20), ("/any/p0", 20), ("/any/gone-p0", 1)] {
            assert_eq!(seen(&stats, path), n, "{http:?} {path} {stats}");
        }
        for once in ["setup", "teardown"] {
            let (once, n) = (&result[once], |name: &str| number(&result[once][name]));
            assert_eq!((n("started"), n("succeeded"), n("failed")), (1, 1, 0), "{http:?} {once}");
            assert!(once["failure"].is_null(), "{http:?} {once}");
        }
        assert_eq!(number(&result["setup"]["checks_by_name"][0]["passed"]), 1);
        assert_eq!(number(&stats["requests"]), 42, "and nothing else was asked: {stats}");
    }
}

#[test]
fn a_setup_that_fails_is_the_end() {
    for http in ALL {
        let server = Server::start();
        let top =
            "setup: [ { get: /any/a?r=500, name: boom }, { get: /any/b } ]\nteardown: [ { get: /any/c } ]";
        let text = plan(&server, http, top, "      - get: /any/d", "users: 2, iterations: 4");
        let file = PlanFile::new(&format!("once-fails-{http:?}"), &text);
        let output = loadgen(&["-f", file.path(), "--format", "json"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let says = "the setup failed, and nothing else was done: boom: the status 500 was not expected";
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        assert_eq!(number(&server.stats()["requests"]), 1, "{http:?}");
    }
}

#[test]
fn a_setup_without_a_server_says_so() {
    let text = "version: 1\ntarget: http://127.0.0.1:1\nsetup: [ { get: / } ]\nscenarios: { s: { steps: [ get: / ] } }\nphases: [ { users: 1, for: 1s } ]\n";
    let file = PlanFile::new("once-nobody", text);
    let output = loadgen(&["-f", file.path()]);
    assert_eq!(output.status.code(), Some(1));
    let says = "the setup failed, and nothing else was done: no connection could be opened";
    assert!(stderr(&output).contains(says), "{}", stderr(&output));
}

#[test]
fn a_teardown_that_fails_is_said_and_the_result_stands() {
    let server = Server::start();
    let top = "teardown: [ { get: /any/a?r=500, name: boom }, { get: /any/b } ]";
    let result =
        run(&server, Http::H1, "once-after", top, "      - get: /any/d", "users: 2, iterations: 4", &[]);
    assert_eq!(result["teardown"]["failure"], "boom: the status 500 was not expected", "{result}");
    assert_eq!((number(&result["succeeded"]), number(&result["failed"])), (4, 0));
    assert_eq!(number(&result["teardown"]["failed"]), 1);
    assert!(result["setup"].is_null());
    assert_eq!(number(&server.stats()["requests"]), 5);
}

/// Starts a minute of load, and interrupts it as often as told once its first iterations have been.
fn interrupted(server: &Server, name: &str, times: u32) -> (Option<i32>, Value) {
    let top = "setup: [ { get: /any/a } ]\nteardown: [ { get: /any/c } ]";
    let steps = "      - get: /any/d?t=2ms\n      - log: going\n      - if: iteration == 1\n        then: [ { get: \"/any/slow?t=30s\" } ]";
    let file = PlanFile::new(name, &plan(server, Http::H1, top, steps, "users: 2, for: 60s"));
    let run = Going::since(&file, "going");
    for _ in 0..times {
        signal(run.pid(), libc::SIGINT);
        // Two signals at a time are one.
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let output = run.end();
    (output.status.code(), json(&output))
}

#[test]
fn an_interrupt_leaves_time_to_tear_down_and_a_second_one_does_not() {
    let server = Server::start();
    let (code, result) = interrupted(&server, "once-int", 1);
    assert_eq!((code, result["interrupted"].as_bool()), (Some(130), Some(true)), "{result}");
    assert_eq!(number(&result["teardown"]["succeeded"]), 1, "{result}");
    let stats = server.stats();
    assert_eq!((seen(&stats, "/any/a"), seen(&stats, "/any/c")), (1, 1));
    let server = Server::start();
    let (code, result) = interrupted(&server, "once-int2", 2);
    assert_eq!(code, Some(130), "{result}");
    assert_eq!(result["teardown"]["failure"], "the run was interrupted twice", "{result}");
    assert_eq!(seen(&server.stats(), "/any/c"), 0);
}

#[test]
fn a_threshold_that_ends_the_run_leaves_time_to_tear_down() {
    let server = Server::start();
    let top = "teardown: [ { get: /any/c } ]\nthresholds: [ { that: error_rate < 1%, abort_after: 0s } ]";
    let text = plan(&server, Http::H2, top, "      - get: /any/d?r=500", "users: 2, for: 60s");
    let file = PlanFile::new("once-abort", &text);
    let output = loadgen(&["-f", file.path(), "--format", "json", "--interval", "50ms"]);
    assert_eq!(output.status.code(), Some(99), "{}", stderr(&output));
    assert_eq!(number(&json(&output)["teardown"]["succeeded"]), 1);
    assert_eq!(seen(&server.stats(), "/any/c"), 1);
}

/// Or else one would sit it out where the server hangs.
#[test]
fn a_second_interrupt_during_the_teardown_does_not_wait() {
    let server = Server::start();
    let top = "teardown: [ log: tearing down, get: \"/any/c?t=4s\" ]"; // less than what the first one waits for answers
    let steps = "      - get: /any/d?t=2ms\n      - log: going";
    let file = PlanFile::new("once-int3", &plan(&server, Http::H1, top, steps, "users: 2, for: 60s"));
    let mut run = Going::since(&file, "going");
    signal(run.pid(), libc::SIGINT);
    run.wait_for("tearing down");
    signal(run.pid(), libc::SIGINT);
    let output = run.end();
    assert_eq!(output.status.code(), Some(130));
    let result = json(&output);
    let teardown = &result["teardown"];
    assert_eq!((number(&teardown["abandoned"]), number(&teardown["succeeded"])), (1, 0), "{result}");
}
