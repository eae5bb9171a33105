//! Plans with phases of handshakes, over the real server, whose counters say what there was.

mod common;

use common::plan::{ALL, Http, PlanFile, head, run_text};
use common::{Server, accepted, loadgen, number, stderr, stdout};

/// An address that nobody listens at.
const NOWHERE: &str = "version: 1\ntarget: http://127.0.0.1:1\n";

#[test]
fn a_plan_of_handshakes_needs_nothing_else() {
    for http in ALL {
        for threads in ["1", "2"] {
            let server = Server::start();
            let text = format!(
                "{}phases:\n  - {{ name: warm-up, handshakes: 200/s, iterations: 10, record: false }}\n  - {{ name: knock, \
                 handshakes: 200/s, arrivals: poisson, iterations: 50 }}\nthresholds:\n  - p99(opening_time, phase=knock) < \
                 10s\n  - max(connect) < 10s\n  - handshakes_opened == 50\n  - handshakes_failed == 0\n  - error_rate == 0%\n  \
                 - dropped == 0\n",
                head(&server, http)
            );
            // There is no connect of its own in QUIC.
            let text =
                if let Http::H3 = http { text.replace("max(connect)", "max(handshake)") } else { text };
            let result = run_text("alone", &text, &["-t", threads], &[0]);
            let h = &result["handshakes"];
            assert_eq!(
                [&h["opened"], &h["failed"], &h["abandoned"]].map(number),
                [50, 0, 0],
                "{http:?} {result}"
            );
            assert_eq!(number(&h["opening_time"]["count"]), 50, "{http:?}");
            assert_eq!(number(&result["phases"][0]["handshakes"]["opened"]), 10, "{http:?}");
            assert_eq!((number(&result["started"]), number(&result["iterations"])), (0, 50), "{http:?}");
            assert_eq!(number(&result["connections"]["opened"]), 60, "{http:?}");
            assert!(result["steps"].as_array().unwrap().is_empty());
            let stats = server.stats_after(60);
            assert_eq!((accepted(&stats), number(&stats["requests"])), (60, 0), "{http:?} {stats}");
            assert_eq!(number(&stats["connections"]["handshakes_failed"]), 0, "{http:?} {stats}");
        }
    }
}

#[test]
fn beside_scenarios_and_between_phases_of_requests() {
    for http in ALL {
        let server = Server::start();
        let head = head(&server, http);
        let text = format!(
            "{head}connections: 4\nscenarios: {{ s: {{ phases: [ {{ users: 2, iterations: 30 }} ], steps: [ get: / ] }} }}\n\
             phases: [ {{ name: knock, handshakes: 200/s, iterations: 20 }} ]\n"
        );
        let beside = run_text("beside", &text, &["-t", "2"], &[0]);
        let text = format!(
            "{head}connections: 4\nscenarios: {{ s: {{ steps: [ get: / ] }} }}\nphases:\n  - {{ users: 2, iterations: 30 }}\n  - \
             {{ name: knock, handshakes: 200/s, iterations: 20 }}\n  - {{ rate: 200/s, iterations: 30 }}\n"
        );
        let between = run_text("between", &text, &["-t", "2"], &[0]);
        for (result, requests) in [(&beside, 30), (&between, 60)] {
            assert_eq!(number(&result["succeeded"]), requests, "{http:?} {result}");
            assert_eq!(number(&result["handshakes"]["opened"]), 20, "{http:?} {result}");
            // Those of the requests and those of the handshakes do not mix.
            assert_eq!(number(&result["connections"]["opened"]), 24, "{http:?} {result}");
        }
        let stats = server.stats_after(48);
        assert_eq!((accepted(&stats), number(&stats["requests"])), (48, 90), "{http:?} {stats}");
    }
}

#[test]
fn nobody_is_there() {
    let knock = "phases: [ { name: knock, handshakes: 200/s, iterations: 40 } ]\n";
    let result = run_text("nobody", &format!("{}{knock}", NOWHERE), &["-t", "2"], &[2]);
    let h = &result["handshakes"];
    assert_eq!([&h["opened"], &h["failed"], &h["abandoned"]].map(number), [0, 40, 0], "{result}");
    assert_eq!(number(&result["connections"]["attempted"]), 40, "each has one try");
    assert_eq!((result["verdict"].as_str(), result["error_rate"].as_f64()), (Some("INVALID"), Some(1.0)));
    let detail = result["connections"]["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("refused"), "{detail}");
}

#[test]
fn thresholds_are_judged_at_the_end_and_on_the_way() {
    let server = Server::start();
    let head = head(&server, Http::H1);
    let text = format!(
        "{head}phases: [ {{ handshakes: 200/s, iterations: 20 }} ]\nthresholds: [ \"min(opening_time) < 1ns\" ]\n"
    );
    let result = run_text("missed", &text, &[], &[99]);
    assert_eq!(result["thresholds"][0]["holds"], false);
    // Those beside are of the same figures, and hold.
    for that in ["handshakes_failed == 0", "error_rate < 50%"] {
        let text = format!(
            "{}phases: [ {{ handshakes: 100/s, for: 10m }} ]\nthresholds: [ {{ that: {that}, abort_after: 100ms }} ]\n",
            NOWHERE
        );
        let result = run_text("aborted", &text, &["--interval", "100ms"], &[99]);
        assert_eq!(result["aborted"], true, "{that} {result}");
    }
    let text = format!(
        "{head}phases: [ {{ handshakes: 100/s, for: 10m }} ]\nthresholds: [ {{ that: max(opening_time) < 1ns, abort_after: 100ms \
         }} ]\n"
    );
    assert_eq!(run_text("slow", &text, &["--interval", "100ms"], &[99])["aborted"], true);
}

#[test]
fn the_summary_and_check_speak_of_connections() {
    let server = Server::start();
    let text = format!(
        "{}phases: [ {{ name: knock, handshakes: 100/s..300/s, hold: 20ms, for: 200ms }} ]\n",
        head(&server, Http::H1)
    );
    let plan = PlanFile::new("shown", &text);
    let output = loadgen(&["-f", plan.path()]);
    let said = stdout(&output);
    assert!(said.contains("handshakes    40 begun = 40 opened + 0 failed + 0 abandoned"), "{said}");
    assert!(said.contains("\nopening time ") && !said.contains("\nrequests "), "{said}");
    let output = loadgen(&["check", plan.path()]);
    let said = stdout(&output);
    let phase = "{ name: knock, handshakes: 100/s..300/s, arrivals: even, backlog: { time: 30s, number: 10000000 }, hold: 20ms, \
                 for: 200ms, record: true }";
    assert!(said.contains(phase), "{said}");
    let again = PlanFile::new("again", &said);
    let output = loadgen(&["check", again.path()]);
    assert_eq!(stdout(&output), said, "what is shown is a plan: {}", stderr(&output));
}
