//! Connections that move to HTTP/3 because the server says that it speaks it (RFC 7838). What moved is told by the server's
//! counters.

mod common;

use common::plan::{PlanFile, number, run_text};
use common::{Server, json, loadgen, stderr, stdout};
use serde_json::{Value, json};

common::drivers::over_all_drivers!();

/// A plan of one scenario that listens.
fn text(server: &Server, top: &str, connections: &str, steps: &str, phase: &str) -> String {
    format!(
        "version: 1\ntarget: {}\n{top}\nconnections: {{ alt_svc: true, {connections} }}\n\
         scenarios: {{ s: {{ steps: [ {steps} ] }} }}\nphases: [ {{ {phase} }} ]\n",
        server.https
    )
}

const TRUST: &str = "tls: { verify: false }";

/// `connections.alt_svc` of a result is these, and nothing else.
fn assert_moves(result: &Value, these: &[(&str, u64)]) {
    let mut expected = json!({});
    for name in ["heard", "opened", "failed", "refused", "cleared", "misdirected"] {
        let of_these = these.iter().find(|(n, _)| *n == name);
        expected[name] = of_these.map_or(0, |(_, count)| *count).into();
    }
    assert_eq!(result["connections"]["alt_svc"], expected, "{}", result["connections"]);
}

fn assert_requests(stats: &Value, by_protocol: [u64; 3]) {
    let [h1, h2, h3] = by_protocol;
    assert_eq!(stats["by_protocol"], json!({ "h1": h1, "h2": h2, "h3": h3 }), "{stats}");
}

#[test]
fn the_one_connection_moves_behind_the_first_answer() {
    for (top, alpn, requests) in [
        (format!("{TRUST}\nprotocol: h1"), "http/1.1", [1, 0, 99]),
        (format!("{TRUST}\nprotocol: h2"), "h2", [0, 1, 99]),
        (TRUST.to_owned(), "h2", [0, 1, 99]),
        ("tls: { verify: false, alpn: [ http/1.1 ] }".to_owned(), "http/1.1", [1, 0, 99]),
    ] {
        let server = Server::start();
        let text = text(&server, &top, "max: 1", "get: /any/a", "users: 1, iterations: 100");
        let result = run_text("moves", &text, &["-t", "1"], &[0]);
        let stats = server.stats();
        assert_eq!(number(&result["succeeded"]), 100);
        assert_requests(&stats, requests);
        let (c, seen) = (&result["connections"], &stats["connections"]);
        assert_eq!((number(&c["opened"]), number(&c["failed"]), number(&c["lost"])), (2, 0, 0), "{c}");
        assert_eq!(c["by_protocol"], json!({ alpn: 1, "h3": 1 }));
        assert_eq!((number(&seen["tls"]), number(&seen["h3"])), (1, 1), "{stats}");
        assert_moves(&result, &[("heard", 1), ("opened", 1)]);
    }
}

#[test]
fn all_connections_follow_the_first_and_no_request_is_lost() {
    for share in ["pool", "per_user"] {
        let server = Server::start();
        let connections = format!("max: 6, streams: 2, share: {share}");
        let text = text(&server, TRUST, &connections, "get: '/any/a?s=3000'", "users: 12, iterations: 1200");
        let result = run_text(&format!("follow-{share}"), &text, &["-t", "2"], &[0]);
        let stats = server.stats();
        assert_eq!((number(&result["succeeded"]), number(&result["failed"])), (1200, 0), "{share}");
        let by = &stats["by_protocol"];
        assert_eq!(number(&by["h2"]) + number(&by["h3"]), 1200, "{stats}");
        assert!(number(&by["h3"]) > 0, "{stats}");
        let (c, seen) = (&result["connections"], &stats["connections"]);
        assert!(
            number(&c["by_protocol"]["h2"]) <= 6 && number(&seen["tls"]) <= 6,
            "none goes back: {c} {seen}"
        );
        let a = &c["alt_svc"];
        assert!((1..=2).contains(&number(&a["heard"])), "once for each core: {c}");
        assert_eq!(a["opened"], c["by_protocol"]["h3"]);
        assert_eq!((number(&c["failed"]), number(&c["lost"])), (0, 0), "{c}");
    }
}

#[test]
fn the_last_answer_of_a_connection_is_heard_as_well() {
    let server = Server::start();
    let top = format!("{TRUST}\nprotocol: h1");
    let text = text(&server, &top, "max: 1, keep_alive: false", "get: /any/a", "users: 1, iterations: 10");
    let result = run_text("last", &text, &["-t", "1"], &[0]);
    assert_requests(&server.stats(), [1, 0, 9]);
    assert_eq!(number(&result["connections"]["alt_svc"]["heard"]), 1);
}

#[test]
fn who_does_not_listen_stays() {
    let server = Server::start();
    let listening = text(&server, TRUST, "max: 1", "get: /any/a", "users: 1, iterations: 20");
    let deaf = listening.replace("alt_svc: true", "alt_svc: false");
    let result = run_text("deaf", &deaf, &[], &[0]);
    assert_requests(&server.stats(), [0, 20, 0]);
    assert_eq!(result["connections"]["alt_svc"], Value::Null);
}

#[test]
fn steps_with_a_protocol_of_their_own_and_phases_of_handshakes_stay() {
    let server = Server::start();
    let steps = "get: /any/a, { get: /any/b, protocol: h1 }";
    let text = text(&server, TRUST, "max: 1", steps, "users: 1, iterations: 10")
        + "  - { handshakes: 200/s, iterations: 20 }\n";
    let text =
        text.replace("phases: [ { users: 1, iterations: 10 } ]", "phases:\n  - { users: 1, iterations: 10 }");
    let result = run_text("stay", &text, &["-t", "1"], &[0]);
    assert_moves(&result, &[("heard", 1), ("opened", 1)]);
    let stats = server.stats_after(23);
    assert_requests(&stats, [10, 1, 9]);
    let seen = &stats["connections"];
    assert_eq!((number(&seen["tls"]), number(&seen["h3"])), (22, 1), "{stats}");
}

#[test]
fn what_is_taken_back_is_left() {
    let server = Server::start();
    let steps = "get: /any/a, get: /alt-svc/clear";
    let text = text(&server, TRUST, "max: 1", steps, "users: 1, iterations: 10");
    let result = run_text("clear", &text, &["-t", "1"], &[0]);
    assert_requests(&server.stats(), [0, 10, 10]);
    assert_moves(&result, &[("heard", 10), ("opened", 10), ("cleared", 10)]);
}

#[test]
fn an_alternative_that_is_not_there_is_tried_once() {
    // Nobody listens on that port of UDP.
    let server = Server::with(&["--alt-svc", "h3=\":1\"; ma=60"]);
    let text = text(&server, TRUST, "max: 2", "get: /any/a", "users: 2, iterations: 60");
    let result = run_text("gone", &text, &["-t", "1"], &[0]);
    let stats = server.stats();
    assert_eq!((number(&result["succeeded"]), number(&result["failed"])), (60, 0), "{result}");
    assert_requests(&stats, [0, 60, 0]);
    assert_moves(&result, &[("heard", 1), ("failed", 1)]);
    assert_eq!(number(&result["connections"]["failed"]), 1);
    let detail = &result["connections"]["errors"][0]["detail"];
    assert!(detail.as_str().unwrap().contains("QUIC handshake with 127.0.0.1:1"), "{detail}");
    assert_eq!(number(&stats["connections"]["tls"]), 3, "the one that tried came back: {stats}");
}

#[test]
fn one_that_does_not_answer_for_the_origin_is_dropped() {
    let server = Server::start();
    let text = text(&server, TRUST, "max: 1", "get: /any/a, get: '/any/b?r=421'", "users: 1, iterations: 5");
    let result = run_text("misdirected", &text, &["-t", "1"], &[0]);
    assert_requests(&server.stats(), [0, 9, 1]);
    assert_moves(&result, &[("heard", 1), ("opened", 1), ("misdirected", 1)]);
    assert_eq!(number(&result["failed"]), 5);
}

#[test]
fn no_server_leads_to_a_host_that_the_plan_does_not_name() {
    let server = Server::with(&["--alt-svc", "h3=\"elsewhere.example:PORT\""]);
    let text = text(&server, TRUST, "max: 1", "get: /any/a", "users: 1, iterations: 20");
    let plan = PlanFile::new("elsewhere", &text);
    let output = loadgen(&["-f", plan.path(), "--format", "json", "-t", "1"]);
    let result = json(&output);
    assert_requests(&server.stats(), [0, 20, 0]);
    assert_moves(&result, &[("refused", 1)]);
    let said = stderr(&output);
    assert!(said.contains("at elsewhere.example:") && said.contains("does not name: left alone"), "{said}");
}

#[test]
fn the_best_that_is_allowed_is_taken() {
    let server =
        Server::with(&["--alt-svc", "h2=\":1\", h3=\"elsewhere.example:PORT\", h3=\":PORT\"; persist=1"]);
    let text = text(&server, TRUST, "max: 1", "get: /any/a", "users: 1, iterations: 10");
    let plan = PlanFile::new("best", &text);
    let output = loadgen(&["-f", plan.path(), "-t", "1"]);
    assert_requests(&server.stats(), [0, 1, 9]);
    let said = stdout(&output);
    assert!(said.contains("alt-svc: 1 opened where the server said, 0 failed\n"), "{said}");
}

#[test]
fn a_host_that_the_plan_names_may_be_meant() {
    let server = Server::with(&["--alt-svc", "h3=\"LocalHost:PORT\""]);
    let port = server.https.rsplit(':').next().unwrap().to_owned();
    // The second host is this server by another name.
    let steps = format!("get: /any/a, {{ get: 'https://localhost:{port}/any/b', protocol: h1 }}");
    let text = text(&server, TRUST, "max: 1, family: v4", &steps, "users: 1, iterations: 10");
    let result = run_text("named", &text, &["-t", "1"], &[0]);
    assert_requests(&server.stats(), [10, 1, 9]);
    assert_moves(&result, &[("heard", 1), ("opened", 1)]);
}

#[test]
fn where_the_plan_leads_the_origin_it_leads_its_alternative() {
    // The server knows itself by its port in public.
    let server = Server::with(&["--alt-svc", "h3=\":443\""]);
    let address = server.https.strip_prefix("https://").unwrap().to_owned();
    let connections = format!("max: 1, connect_to: '{address}'");
    let text = text(&server, TRUST, &connections, "get: /any/a", "users: 1, iterations: 10");
    let text = text.replace(&format!("target: https://{address}"), "target: https://shop.example");
    let result = run_text("led", &text, &["-t", "1"], &[0]);
    assert_requests(&server.stats(), [0, 1, 9]);
    assert_moves(&result, &[("heard", 1), ("opened", 1)]);
}

#[test]
fn what_holds_for_no_time_or_cannot_be_read_says_nothing() {
    for field in
        ["h3=\":PORT\"; ma=0", "h3=\":PORT", "h2=\":PORT\"", "h3-29=\":PORT\"", "h3=\":0\"", "clear", ""]
    {
        let server = Server::with(&["--alt-svc", field]);
        let text = text(&server, TRUST, "max: 1", "get: /any/a", "users: 1, iterations: 5");
        let result = run_text("nothing", &text, &["-t", "1"], &[0]);
        assert_requests(&server.stats(), [0, 5, 0]);
        assert_eq!(result["connections"]["alt_svc"], Value::Null, "{field}");
    }
}

#[test]
fn what_has_expired_is_left_by_connections_that_are_opened() {
    let server = Server::with(&["--alt-svc", "h3=\":PORT\"; ma=2"]);
    // A connection is opened when the one before is closed: what was heard with the first step no longer holds behind the pause.
    let steps = "get: /any/a, think: 2500ms, get: /any/b";
    let text = text(&server, TRUST, "max: 1, keep_alive: false", steps, "users: 1, iterations: 2");
    let result = run_text("expires", &text, &["-t", "1"], &[0]);
    // On a machine that stands still for two seconds it may be more, never less.
    let stats = server.stats();
    assert!(number(&stats["by_protocol"]["h2"]) >= 2, "{stats}");
    assert_eq!((number(&result["succeeded"]), number(&result["connections"]["alt_svc"]["heard"])), (4, 1));
}

#[test]
fn a_server_may_not_say_what_no_field_can_hold() {
    let output = loadgen(&["serve", "--clear", "127.0.0.1:0", "--tls", "127.0.0.1:0", "--alt-svc", "h3=\n"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("--alt-svc"), "{said}");
}
