//! Several protocols in one run: steps and scenarios that say what is spoken, and what a scenario says instead of the plan. The
//! expectation comes from the server's counters.

mod common;

use common::plan::{PlanFile, checks, number, reasons, run_text, seen};
use common::{Server, accepted, json, loadgen, stderr, stdout};
use serde_json::{Value, json};

common::drivers::over_all_drivers!();

/// A plan for this server over TLS.
fn text(server: &Server, top: &str, scenarios: &str, phase: &str) -> String {
    format!(
        "version: 1\ntarget: {}\ntls: {{ verify: false }}\n{top}\nscenarios:\n{scenarios}\nphases: [ {{ {phase} }} ]\n",
        server.https
    )
}

#[test]
fn steps_of_a_scenario_speak_several_protocols() {
    for share in ["pool", "per_user"] {
        let server = Server::start();
        let steps = format!(
            "  s:
    steps:
      - {{ get: /any/plan, check: {{ protocol: h2 }} }}
      - {{ get: /any/quic, protocol: h3, check: {{ protocol: h3 }} }}
      - {{ get: /any/old, protocol: h1, check: {{ protocol: h1 }} }}
      - {{ get: \"{http}/any/clear\", protocol: h2c, check: {{ protocol: h2c }} }}
      - parallel:
          - {{ get: /any/quic, protocol: h3, check: {{ protocol: h3 }} }}
          - {{ get: /any/plan, check: {{ protocol: h2 }} }}",
            http = server.http
        );
        let top = format!("protocol: h2\nconnections: {{ share: {share}, max: 3 }}");
        let text = text(&server, &top, &steps, "users: 3, iterations: 30");
        let result = run_text(&format!("mixed-{share}"), &text, &["-t", "2"], &[0]);
        let stats = server.stats();
        assert_eq!((number(&result["succeeded"]), number(&result["iterations_failed"])), (180, 0));
        for (name, passed, failed) in checks(&result) {
            assert_eq!((passed, failed), (30, 0), "{share} {name}");
        }
        assert_eq!(stats["by_protocol"], json!({ "h1": 30, "h2": 90, "h3": 60 }), "{stats}");
        assert_eq!((seen(&stats, "/any/plan"), seen(&stats, "/any/quic")), (60, 60));
        assert_eq!((seen(&stats, "/any/old"), seen(&stats, "/any/clear")), (30, 30));
        // As many connections as for so many hosts: at most `max` in each protocol, and one for each user that owns its.
        let opened = &result["connections"]["by_protocol"];
        for protocol in ["http/1.1", "h2", "h2c", "h3"] {
            let n = number(&opened[protocol]);
            assert!(n == 3 || (share == "pool" && (1..3).contains(&n)), "{share}: {opened}");
        }
        assert_eq!(number(&result["connections"]["opened"]), sum(opened), "{opened}");
        assert!(sum(opened) <= accepted(&stats), "{stats}");
    }
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().expect("a map").values().map(number).sum()
}

#[test]
fn redirects_stay_with_the_protocol_and_what_nobody_speaks_is_not_opened() {
    let server = Server::start();
    let steps = "  s:
    protocol: h3
    steps:
      - { get: '/redirect/2?absolute=1', redirects: follow, check: { status: 200, protocol: h3 } }
      - { get: /redirect/1, redirects: follow, cookies: true, protocol: h1, check: { protocol: h1, cookie: { hop: '0' } } }";
    let text = text(&server, "protocol: h2", steps, "users: 2, iterations: 20");
    let result = run_text("hops", &text, &[], &[0]);
    let stats = server.stats();
    assert_eq!(number(&result["iterations_failed"]), 0, "{:?}", reasons(&result));
    assert_eq!(number(&result["checks"]["failed"]), 0, "{}", result["checks_by_name"]);
    assert_eq!(stats["by_protocol"], json!({ "h1": 40, "h2": 0, "h3": 60 }), "{stats}");
    assert_eq!(number(&stats["connections"]["h2"]), 0, "the plan's own protocol is spoken by no step");
    assert!(number(&stats["connections"]["tls"]) <= 2, "{stats}");
}

#[test]
fn a_scenario_has_a_target_headers_and_a_time_limit_of_its_own() {
    let server = Server::start();
    let scenarios = format!(
        "  first:
    headers: {{ x-kind: first, accept: text/plain }}
    steps:
      - get: /headers
        check: {{ json: {{ \"$.headers['x-kind']\": first, $.headers.accept: text/plain, \"$.headers['x-all']\": all }} }}
      - get: /headers
        headers: {{ X-Kind: own }}
        check: {{ json: {{ \"$.headers['x-kind']\": own, $.version: HTTP/2.0 }} }}
  second:
    target: {}
    protocol: h1
    timeout: 200ms
    steps:
      - get: /headers
        name: second
        timeout: 20s
        check: {{ json: {{ $.headers.accept: all, \"$.headers['x-kind']\": {{ exists: false }}, $.version: HTTP/1.1 }} }}
      - {{ get: '/any/slow?t=10s', name: slow }}
      - {{ get: '/any/patient?t=600ms', name: patient, timeout: 20s }}",
        server.http
    );
    let top = "protocol: h2\ndefaults: { headers: { accept: all, x-all: all } }";
    let text = text(&server, top, &scenarios, "users: 2, iterations: 8");
    let result = run_text("own", &text, &[], &[0]);
    let stats = server.stats();
    assert_eq!(number(&result["checks"]["failed"]), 0, "{}", result["checks_by_name"]);
    // Iterations alternate; of each of `second` one request is too slow.
    assert_eq!((number(&result["succeeded"]), number(&result["failed"])), (16, 4), "{result}");
    assert_eq!(number(&result["failed_timeout"]), 4, "{result}");
    assert_eq!(stats["by_protocol"], json!({ "h1": 12, "h2": 8, "h3": 0 }), "{stats}");
}

#[test]
fn sessions_belong_to_a_port_and_a_transport() {
    let (one, other) = (Server::start(), Server::start());
    let top = "protocol: h2\nconnections: { max: 1, keep_alive: false, mix: { resumed: 100% } }";
    let steps = format!(
        "  s:
    steps:
      - get: /any/a
      - get: \"{}/any/a\"
      - {{ get: /any/a, protocol: h3 }}
      - {{ get: /any/a, protocol: h1 }}",
        other.https
    );
    let result =
        run_text("sessions", &text(&one, top, &steps, "users: 1, iterations: 10"), &["-t", "1"], &[0]);
    assert_eq!(number(&result["succeeded"]), 40);
    let c = &result["connections"];
    // The first connection of each kind may find none, whichever is opened at the same time; all later ones do.
    assert!((3..=4).contains(&number(&c["fresh"])), "{c}");
    assert_eq!(number(&c["opened"]), number(&c["fresh"]) + number(&c["resumed"]), "{c}");
    let resumed: Vec<u64> =
        [one, other].map(|s| number(&s.stats()["connections"]["handshakes_resumed"])).to_vec();
    assert!(resumed[1] >= 9 && resumed[0] >= 27, "{resumed:?} {c}");
}

#[test]
fn a_plan_is_shown_with_the_protocols_of_its_steps() {
    let server = Server::start();
    let steps =
        "  s: { protocol: h1, steps: [ get: /a, { get: /b, protocol: h3 }, { get: /c, protocol: auto } ] }";
    let plan = PlanFile::new("shown", &text(&server, "", steps, "users: 1, iterations: 1"));
    let output = loadgen(&["check", plan.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    for (request, protocol) in [("/a", Some("h1")), ("/b", Some("h3")), ("/c", None)] {
        let lines = format!("      - request: GET {request}\n        name: GET {request}\n");
        let expected = protocol.map(|p| format!("{lines}        protocol: {p}\n")).unwrap_or(lines);
        assert!(shown.contains(&expected), "{expected}{shown}");
    }
    assert!(shown.contains("http3:"), "{shown}");
    let output = loadgen(&["-f", plan.path(), "--format", "json", "--set", "scenarios.s.steps.0.get=/any/a"]);
    let result = json(&output);
    let spoken: Vec<&str> = result["plan"]["scenarios"][0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["protocol"].as_str().unwrap())
        .collect();
    assert_eq!(spoken, ["h1", "h3", "auto"]);
}
