//! Scenarios against the real server: what the users of a plan did is what the server counted.

mod common;

use common::plan::{ALL, Going, Http, PlanFile, checks, head, number, plan, reasons, run, run_text, seen};
use common::{Server, assert_balanced, json, loadgen, scratch, stderr, with_peak};
use serde_json::Value;

#[test]
fn log_in_and_out() {
    for http in ALL {
        let server = Server::start();
        let result = run(
            &server,
            http,
            "login",
            "defaults: { cookies: true }\nvariables: { user: demo }",
            r#"
      - get: /login
        check: { status: 200, body_includes: Welcome }
        extract: { token: { css: 'input[name="_token"]', attribute: value } }
      - post: /login
        name: in
        redirects: follow
        form: { _token: "{{token}}", _user: "{{user}}", _pass: demo }
        check: { status: 200, css: { title: "Demo mail: inbox" } }
        extract: { mail: { regex: 'href="(/api/messages/(\d+))"', group: 2, pick: last } }
      - get: /api/messages/{{mail}}
        check: { json: { $.id: "{{mail}}" } }
      - get: /logout
        check: { status: 303 }
      - get: /inbox
        name: out
        check: { status: 401 }"#,
            "users: 5, iterations: 40",
            &["-t", "2"],
        );
        let stats = server.stats();
        assert_eq!(number(&result["failed"]), 0, "{http:?} {result}");
        assert_eq!(number(&result["checks"]["failed"]), 0, "{http:?} {result}");
        assert_eq!(
            (number(&result["iterations"]), number(&result["iterations_failed"])),
            (40, 0),
            "{http:?}"
        );
        assert_eq!(
            (seen(&stats, "/login"), seen(&stats, "/inbox"), seen(&stats, "/logout")),
            (80, 80, 40),
            "{stats}"
        );
        assert_eq!(number(&stats["by_status"]["303"]), 80, "log-in and log-out of each: {stats}");
        assert_eq!(number(&stats["by_status"]["401"]), 40, "{stats}");
    }
}

#[test]
fn the_plan_that_logs_in_and_out_does_so_in_every_iteration() {
    const ITERATIONS: u64 = 200;
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/login.yaml");
    for http in ALL {
        let server = Server::start();
        let (target, protocol) = server.speaks(http);
        let settings = [
            format!("target={target}"),
            format!("protocol={protocol}"),
            "tls={ verify: false }".into(),
            format!("phases.main.iterations={ITERATIONS}"),
        ];
        let mut args = vec!["-f", plan, "-t", "2", "--format", "json"];
        args.extend(settings.iter().flat_map(|s| ["--set", s.as_str()]));
        let output = loadgen(&args);
        assert_eq!(output.status.code(), Some(0), "{http:?} {}", stderr(&output));
        let (result, stats) = (json(&output), server.stats());
        assert_balanced(&result);
        assert_eq!(number(&result["iterations"]), ITERATIONS, "{http:?} {result}");
        assert_eq!(number(&result["iterations_failed"]), 0, "{http:?} {:?}", reasons(&result));
        // A page and a form that leads on; the inbox with a session, and behind the way out without one.
        let ended = |path: &str| stats["by_path"][path]["by_status"].clone();
        assert_eq!(ended("/login"), serde_json::json!({ "200": ITERATIONS, "303": ITERATIONS }), "{http:?}");
        assert_eq!(ended("/inbox"), serde_json::json!({ "200": ITERATIONS, "401": ITERATIONS }), "{http:?}");
        assert_eq!(ended("/logout"), serde_json::json!({ "303": ITERATIONS }), "{http:?}");
        assert_eq!(number(&stats["requests"]), 6 * ITERATIONS, "{http:?} {stats}");
    }
}

#[test]
fn redirects_are_followed_with_cookies() {
    for http in ALL {
        let server = Server::start();
        let steps = r#"
      - get: /redirect/4
        cookies: true
        follow_redirects: 4
        check: { status: 200, cookie: { hop: "0" }, body_includes: arrived }
      - get: /redirect/2?absolute=1
        redirects: follow
        check: { status: 200 }
      - get: /redirect/1
        check: { status: 302 }"#;
        let result = run(&server, http, "redirect", "", steps, "users: 2, iterations: 10", &[]);
        let stats = server.stats();
        assert_eq!(number(&result["checks"]["failed"]), 0, "{http:?} {}", result["checks_by_name"]);
        assert_eq!(number(&result["iterations_failed"]), 0, "{http:?} {:?}", reasons(&result));
        for (path, expected) in [
            ("/redirect/4", 10),
            ("/redirect/3", 10),
            ("/redirect/2", 20),
            ("/redirect/1", 30),
            ("/redirect/0", 20),
        ] {
            assert_eq!(seen(&stats, path), expected, "{http:?} {path} {stats}");
        }
        assert_eq!(number(&result["succeeded"]), number(&stats["requests"]));
    }
}

#[test]
fn bodies_arrive_as_they_were_made() {
    for http in ALL {
        let server = Server::start();
        let steps = r#"
      - post: /echo
        name: form
        form: { a: "{{text}}", b: [1, 2] }
        check: { body_equals: "a=q%22%20%C3%BC&b=1&b=2", header_equals: { content-type: application/x-www-form-urlencoded, x-echo-method: POST } }
      - put: /echo
        name: json
        json: { t: "{{text}}", n: "{{n}}", i: "{{iteration * 0}}" }
        check: { body_equals: '{"t":"q\" ü","n":7,"i":0}' }
      - patch: /echo
        name: raw
        body: "{{ upper('x') }}{{text}}"
        check: { body_equals: 'Xq" ü', body_size: 6 }
      - post: /echo
        name: parts
        multipart: { f: "{{n}}", up: { value: "{{text}}", filename: a.txt } }
        check: { body_matches: 'name="up"; filename="a.txt"\r\n\r\nq" ü\r\n--', header_includes: { content-type: multipart/form-data } }
      - get: /headers
        query: { q: "{{text}}" }
        auth: { basic: { user: demo, password: "{{n}}" } }
        headers: { x-t: "{{n}}-{{n}}" }
        check: { json: { "$.headers['x-t']": 7-7, $.headers.authorization: Basic ZGVtbzo3 }, body_includes: "q=q%22%20%C3%BC" }
      - delete: /any/x
        auth: { bearer: "{{n}}" }
        check: { status: 2xx }"#;
        let top = "variables: { text: 'q\" ü', n: 7 }";
        let result = run(&server, http, "bodies", top, steps, "users: 3, iterations: 12", &[]);
        assert_eq!(number(&result["checks"]["failed"]), 0, "{http:?} {}", result["checks_by_name"]);
        let stats = server.stats();
        assert_eq!((seen(&stats, "/echo"), seen(&stats, "/headers"), seen(&stats, "/any/x")), (48, 12, 12));
    }
}

#[test]
fn each_kind_of_check_passes_and_fails_by_name() {
    for http in ALL {
        let server = Server::start();
        let steps = r#"
      - get: /api/messages
        headers: { authorization: Bearer demo-token }
        check:
          - { name: good, json: { "$[0].id": 1, "$[*].unread": true, $.none: { exists: false }, "$[1].id": { compare: "> 1" } } }
          - { name: bad, json: { "$[0].id": 2, $.none: 1 } }
      - get: /login
        check:
          - { name: good, status: 2xx, header_exists: set-cookie, headers: { x-none: { exists: false } } }
          - { name: good, body: { includes: Welcome, matches: "Log\\s+in" }, css: { "form input[type=password]": { attribute: name, equals: _pass } } }
          - { name: bad, body_equals: x, body_includes: nowhere, body_size: "< 10", css: [ "div.none" ], header_matches: { content-type: ^image } }
          - { name: bad, body_sha256: "0000000000000000000000000000000000000000000000000000000000000000", time: "< 1ns" }"#;
        let result = run(&server, http, "checks", "", steps, "users: 2, iterations: 10", &[]);
        let all = checks(&result);
        assert_eq!(all.len(), 4 + 2 + 3 + 3 + 5 + 2, "{all:?}");
        for (name, passed, failed) in &all {
            let expected = if name.starts_with("good") { (10, 0) } else { (0, 10) };
            assert_eq!((*passed, *failed), expected, "{http:?} {name} {}", result["checks_by_name"]);
        }
        let samples: Vec<&Value> =
            result["checks_by_name"].as_array().unwrap().iter().map(|c| &c["samples"]).collect();
        assert!(samples.iter().all(|s| s.as_array().unwrap().len() <= 5), "{samples:?}");
        assert_eq!(
            (number(&result["failed"]), number(&result["iterations_failed"])),
            (0, 0),
            "a check ends nothing"
        );
    }
}

#[test]
fn bodies_satisfy_a_json_schema_or_say_where_not() {
    let dir = scratch("schema");
    std::fs::create_dir_all(&dir).unwrap();
    let message = r##"{
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": { "$ref": "#/definitions/message" },
        "definitions": { "message": { "type": "object", "required": ["id", "subject"], "properties": { "id": { "type": "integer" } } } }
    }"##;
    std::fs::write(dir.join("messages.json"), message).unwrap();
    for http in ALL {
        let server = Server::start();
        let steps = format!(
            r#"
      - get: /api/messages
        auth: {{ bearer: demo-token }}
        check: {{ name: good, json_schema: {}/messages.json }}
      - post: /echo
        json: {{ items: [ {{ id: 1 }}, {{ id: "{{{{ 'two' }}}}" }} ] }}
        check:
          - {{ name: good, json_schema: {{ type: object, required: [items] }} }}
          - {{ name: bad, json_schema: {{ properties: {{ items: {{ items: {{ properties: {{ id: {{ type: integer }} }} }} }} }} }} }}
      - {{ get: /any/x?s=10, check: {{ name: bad, json_schema: {{ type: object }} }} }}
      - post: /echo
        name: long
        body: "[1, 2, 3]"
        body_limit: 4
        check: {{ name: bad, json_schema: {{ type: array }} }}"#,
            dir.display()
        );
        let result = run(&server, http, "schema", "", &steps, "users: 2, iterations: 10", &[]);
        let stats = server.stats();
        assert_eq!(
            (seen(&stats, "/api/messages"), seen(&stats, "/echo"), seen(&stats, "/any/x")),
            (10, 20, 10)
        );
        for (name, passed, failed) in checks(&result) {
            let expected = if name.starts_with("good") { (10, 0) } else { (0, 10) };
            assert_eq!((passed, failed), expected, "{http:?} {name} {}", result["checks_by_name"]);
        }
        let found: Vec<&str> = result["checks_by_name"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|c| c["samples"][0].as_str())
            .collect();
        let expected = [
            "/items/1/id: want integer, but got string",
            "the body is not JSON",
            "only the start of the body was kept: raise body_limit",
        ];
        assert_eq!(found, expected, "{http:?}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn rows_go_to_users_once_over_all_threads() {
    let server = Server::start();
    let csv = scratch("rows.csv");
    let rows: String = (0..50).map(|n| format!("u{n},\"p,{n}\"\n")).collect();
    std::fs::write(&csv, format!("name,pass\n{rows}")).unwrap();
    let top = format!("data:\n  users: {{ file: {}, order: unique }}", csv.display());
    let steps = "\n      - post: /any/{{users.name}}\n        body: \"{{users.pass}}\"";
    let result = run(&server, Http::H1, "unique", &top, steps, "users: 8, for: 60s", &["-t", "2"]);
    let stats = server.stats();
    assert_eq!(number(&result["iterations"]), 50, "the run ends when the rows do");
    assert!(result["elapsed_s"].as_f64().unwrap() < 30.0, "and so does its time: {}", result["elapsed_s"]);
    for n in 0..50 {
        assert_eq!(seen(&stats, &format!("/any/u{n}")), 1, "{stats}");
    }
    std::fs::remove_file(csv).unwrap();
}

#[test]
fn rows_in_every_order() {
    let server = Server::start();
    let top = "data:\n  seq: { values: [a, b, c] }\n  own: { range: 1..100, order: per_user }\n  any: { rows: [ { x: p }, { x: q } ], order: random }\n  few: { values: [1], at_end: fail }";
    let steps = "\n      - get: /any/{{seq}}\n      - get: /any/{{own}}\n      - get: /any/{{any.x}}";
    let result = run(&server, Http::H1, "orders", top, steps, "users: 2, iterations_per_user: 3", &[]);
    assert_eq!(number(&result["iterations_failed"]), 0, "a source that is not used takes no rows");
    let stats = server.stats();
    for (path, n) in [("/any/a", 2), ("/any/b", 2), ("/any/c", 2), ("/any/1", 3), ("/any/2", 3)] {
        assert_eq!(seen(&stats, path), n, "{path} {stats}");
    }
    assert_eq!(seen(&stats, "/any/p") + seen(&stats, "/any/q"), 6);
    let server = Server::start();
    let steps = "\n      - get: /any/{{few}}";
    let result = run(&server, Http::H1, "fail", top, steps, "users: 1, iterations: 4", &[]);
    assert_eq!(reasons(&result), [("data few: the rows are used up".to_owned(), 3)]);
    assert_eq!(number(&server.stats()["requests"]), 1);
}

#[test]
fn loops_branches_and_pauses() {
    for http in [Http::H1, Http::H2] {
        let server = Server::start();
        let steps = r#"
      - repeat: 3
        steps: [ { get: /any/r }, { think: 1ms..2ms } ]
      - set: { n: 0 }
      - while: n < 2
        steps:
          - get: /any/w{{n}}
          - set: { n: "{{n + 1}}" }
      - if: status == 200
        then: [ { get: /any/then } ]
        else: [ { get: /any/else } ]
      - think: { exponential: 1ms }
      - group: g
        steps: [ { use: hit, with: { x: "{{n}}" } } ]
      - choose:
          - { weight: 1, steps: [ { get: /any/c1 } ] }
          - { weight: 1, steps: [ { get: /any/c2 } ] }"#;
        let top = "fragments: { hit: { parameters: [x], steps: [ { get: '/any/f{{x}}' } ] } }";
        let result = run(&server, http, "loops", top, steps, "users: 4, iterations: 20", &[]);
        let stats = server.stats();
        assert_eq!(
            (number(&result["iterations"]), number(&result["iterations_failed"])),
            (20, 0),
            "{result}"
        );
        for (path, n) in
            [("/any/r", 60), ("/any/w0", 20), ("/any/w1", 20), ("/any/then", 20), ("/any/f2", 20)]
        {
            assert_eq!(seen(&stats, path), n, "{path} {stats}");
        }
        assert_eq!(seen(&stats, "/any/else"), 0);
        assert_eq!(seen(&stats, "/any/c1") + seen(&stats, "/any/c2"), 20);
        assert_eq!(number(&result["succeeded"]), number(&stats["requests"]));
    }
}

#[test]
fn what_goes_wrong_at_run_time_has_a_name_and_the_run_goes_on() {
    for http in ALL {
        let cases = [
            (
                "get: /any/a\n        name: n\n        extract: { x: { regex: nowhere } }",
                "n: nothing for x: the pattern matches nothing",
                1,
            ),
            (
                "get: /any/a\n        name: n\n        headers: { x: \"{{text}}\" }",
                "n: a rendered value holds a character that must not be in a request",
                0,
            ),
            (
                "get: /any/{{text}}\n        name: n",
                "n: a rendered value holds a character that must not be in a request",
                0,
            ),
            (
                "get: /redirect/9\n        name: n\n        follow_redirects: 3",
                "n: more redirects than are followed",
                4,
            ),
            (
                "get: /redirect/9\n        name: n\n        redirects: error",
                "n: a redirect, which the plan does not allow",
                1,
            ),
            (
                "get: /any/b?s=5m\n        name: n\n        body_limit: 1000\n        extract: { x: { regex: nowhere } }",
                "n: nothing for x: the pattern matches nothing (only the start of the body was kept: raise body_limit)",
                1,
            ),
            (
                "get: /any/b?s=1k&R=1\n        name: n\n        extract: { x: { body: true } }",
                "n: nothing for x: it is not UTF-8",
                1,
            ),
            (
                "get: /any/a\n        name: n\n        extract: { x: { json: $.a } }",
                "n: nothing for x: the body is not JSON",
                1,
            ),
            (
                "get: /fault/loop\n        name: n\n        redirects: follow",
                "n: more redirects than are followed",
                11,
            ),
            (
                "get: /fault/cookies\n        name: n\n        cookies: true",
                "n: the server set more than 50 cookies",
                1,
            ),
            (
                "get: /fault/cookies?s=5000\n        name: n\n        cookies: true",
                "n: the server set a cookie of more than 4096 bytes",
                1,
            ),
            ("fail: on purpose", "on purpose", 0),
        ];
        for (i, (step, reason, requests)) in cases.into_iter().enumerate() {
            let server = Server::start();
            let steps = format!("\n      - {step}\n      - get: /any/never");
            let steps = if step.starts_with("fail") {
                format!(
                    "\n      - if: iteration > 0\n        then: [ {{ {step} }} ]\n      - get: /any/never"
                )
            } else {
                steps
            };
            let top = "variables: { text: \"a\\r\\nb\" }";
            let result =
                run(&server, http, &format!("faults{i}"), top, &steps, "users: 2, iterations: 6", &[]);
            assert_eq!(reasons(&result), [(reason.to_owned(), 6)], "{http:?} {step}");
            assert_eq!((number(&result["iterations"]), number(&result["iterations_failed"])), (6, 6));
            let stats = server.stats();
            assert_eq!((seen(&stats, "/any/never"), number(&stats["requests"])), (0, 6 * requests), "{step}");
        }
    }
}

#[test]
fn a_lost_connection_ends_an_iteration_that_needs_its_answer() {
    for http in ALL {
        let server = Server::start();
        let steps = "\n      - get: /fault/reset\n        name: n\n        extract: { x: { body: true } }\n      - get: /any/never";
        let result = run(&server, http, "reset", "", steps, "users: 2, iterations: 6", &[]);
        let all = reasons(&result);
        assert_eq!(all.iter().map(|(_, n)| n).sum::<u64>(), 6, "{http:?} {all:?}");
        assert!(all.iter().all(|(reason, _)| reason.starts_with("n: ")), "{http:?} {all:?}");
        assert_eq!(seen(&server.stats(), "/any/never"), 0, "{http:?}");
    }
}

#[test]
fn bodies_of_ten_gigabytes_end_at_the_time_limit_and_are_not_kept() {
    // What is looked at is kept to its limit, and of what is not, nothing.
    for (what, reason, more) in [
        (
            "kept",
            Some("n: no complete answer within the request timeout"),
            "body_limit: 100000, extract: { x: { regex: nowhere } }",
        ),
        ("seen", None, "check: { body_includes: nowhere }"),
        ("passed", None, "check: { status: 200 }"),
    ] {
        for http in ALL {
            let server = Server::start();
            let steps = format!(
                "      - {{ get: '/any/large?s=10g', name: n, timeout: 300ms, {more} }}\n      - get: /any/next"
            );
            let text = plan(&server, http, "", &steps, "users: 2, iterations: 6");
            let file = PlanFile::new(&format!("large-{what}-{http:?}"), &text);
            let (output, peak) = with_peak(&["-f", file.path(), "--format", "json"]);
            let result = json(&output);
            assert_balanced(&result);
            let stats = server.stats();
            assert_eq!(number(&result["iterations"]), 6, "{http:?} {what} {result}");
            assert_eq!(seen(&stats, "/any/large"), 6, "{http:?} {what} {stats}");
            // The run goes on: with the next iteration, or with the next step where nothing was needed of this one.
            let next = if reason.is_some() { 0 } else { 6 };
            assert_eq!(seen(&stats, "/any/next"), next, "{http:?} {what}");
            let expected: Vec<(String, u64)> = reason.iter().map(|r| ((*r).to_owned(), 6)).collect();
            assert_eq!(reasons(&result), expected, "{http:?} {what}");
            assert_eq!(number(&result["failed"]), 6, "{http:?} {what} {result}");
            assert!(peak < 64 << 10, "{http:?} {what}: {peak} KiB of memory");
        }
    }
}

#[test]
fn variables_and_cookies_live_as_long_as_told() {
    for (lifetime, logins) in [("per_user", 3), ("per_iteration", 12)] {
        let server = Server::start();
        let top = format!("defaults: {{ cookies: true, lifetime: {lifetime} }}\nvariables: {{ in: false }}");
        let steps = r#"
      - if: not in
        then:
          - post: /api/login
            json: { user: demo, password: demo }
            extract: { t: { json: $.token } }
          - set: { in: true }
      - get: /inbox
        check: { status: 200 }"#;
        let result = run(&server, Http::H1, lifetime, &top, steps, "users: 3, iterations_per_user: 4", &[]);
        let stats = server.stats();
        assert_eq!(number(&result["checks"]["failed"]), 0, "{result}");
        assert_eq!((seen(&stats, "/api/login"), seen(&stats, "/inbox")), (logins, 12), "{lifetime}");
    }
}

#[test]
fn a_plan_can_say_something() {
    let plan = PlanFile::new(
        "log",
        "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ { get: / }, { log: \"status {{status}}\" } ] } }\nphases: [ { users: 1, iterations: 2 } ]\n",
    );
    let output = loadgen(&["-f", plan.path()]);
    assert_eq!(stderr(&output).matches("loadgen: log: status 200\n").count(), 2, "{}", stderr(&output));
}

#[test]
fn a_trace_shows_what_was_made_for_each_request() {
    let plan = PlanFile::new(
        "trace",
        "version: 1\ntarget: builtin\nvariables: { x: 7 }\nscenarios: { s: { steps: [ { post: \"/echo?a={{x}}\", headers: { x-b: \"<{{x}}>\" }, body: \"c{{x}}\" }, { get: /redirect/1, redirects: follow } ] } }\nphases: [ { users: 1, iterations: 1 } ]\n",
    );
    let output = loadgen(&["-f", plan.path(), "--trace", "5"]);
    let text = stderr(&output);
    for line in [
        "> POST /echo?a=7",
        "> x-b: <7>",
        "> content-length: 2",
        "> c7",
        "< c7",
        "> /redirect/0  (a redirect is followed)",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

#[test]
fn fragments_of_other_files_are_used_with_their_parameters() {
    let dir = scratch("include");
    std::fs::create_dir_all(dir.join("deeper")).unwrap();
    std::fs::write(dir.join("a.yaml"), "include: deeper/b.yaml\nfragments:\n  a:\n    parameters: [x]\n    steps: [ { get: '/any/a{{x}}' }, { use: b, with: { y: '{{x + 1}}' } } ]\n").unwrap();
    // The body lies beside the file that names it.
    std::fs::write(
        dir.join("deeper/b.yaml"),
        "fragments: { b: { parameters: [y], steps: [ { post: '/any/b{{y}}', file: body.txt } ] } }\n",
    )
    .unwrap();
    std::fs::write(dir.join("deeper/body.txt"), "hello").unwrap();
    for http in ALL {
        let server = Server::start();
        // Twice the same file is once the same file.
        let top = format!("include: [ {0}/a.yaml, {0}/deeper/b.yaml ]", dir.display());
        let steps = "      - use: a\n        with: { x: 1 }\n      - use: a\n        with: { x: 5 }";
        let result = run(&server, http, "include", &top, steps, "users: 2, iterations: 10", &[]);
        assert_eq!(number(&result["iterations_failed"]), 0, "{http:?} {result}");
        let stats = server.stats();
        for path in ["/any/a1", "/any/b2", "/any/a5", "/any/b6"] {
            assert_eq!(seen(&stats, path), 10, "{http:?} {path} {stats}");
        }
        assert_eq!(number(&stats["requests"]), 40);
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_data_file_that_shrinks_fails_iterations_by_name_and_the_run_goes_on() {
    let server = Server::start();
    let csv = scratch("shrinks.csv");
    let filler = "x".repeat(500);
    let rows: String = (0..20_000).map(|n| format!("u{n},{filler}\n")).collect();
    std::fs::write(&csv, format!("name,filler\n{rows}")).unwrap();
    let top = format!("data: {{ users: {{ file: {} }} }}", csv.display());
    // The file is cut off while nobody of the first rows has ended.
    let steps = "      - if: iteration == 1\n        then: [ { log: begun }, { think: 500ms } ]\n      - get: /any/{{users.name}}";
    let text = plan(&server, Http::H1, &top, steps, "users: 2, iterations: 400");
    let file = PlanFile::new("shrinks", &text);
    let run = Going::since(&file, "begun");
    std::fs::OpenOptions::new().write(true).open(&csv).unwrap().set_len(1000).unwrap();
    let output = run.end();
    assert_eq!(output.status.code(), Some(0));
    let result = json(&output);
    // What lay in memory when the file shrank was still good: one piece of 64 rows.
    let good = seen_below(&server.stats(), "/any/u");
    assert_eq!(number(&result["iterations"]), 400);
    assert_eq!(good, 64, "{result}");
    assert_eq!(reasons(&result), [("data users: the data file has changed during the run".to_owned(), 336)]);
    std::fs::remove_file(csv).unwrap();
}

/// Requests that the server counted for all paths that begin so.
fn seen_below(stats: &Value, begin: &str) -> u64 {
    let paths = stats["by_path"].as_object().expect("a map");
    paths.iter().filter(|(path, _)| path.starts_with(begin)).map(|(_, of)| number(&of["requests"])).sum()
}

#[test]
fn requests_are_signed_for_aws() {
    for http in ALL {
        let server = Server::start();
        let steps = r#"
      - get: /headers
        query: { b: "{{iteration}}", a: "x y" }
        headers: { X-Amz-Target: "list-{{user_number}}" }
        auth: { aws: { access_key: AKID, secret_key: "{{secret}}", session_token: "{{secret}}-token", region: eu-west-1, service: sqs } }
        check:
          json:
            "$.headers.authorization": { matches: '^AWS4-HMAC-SHA256 Credential=AKID/\d{8}/eu-west-1/sqs/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target, Signature=[0-9a-f]{64}$' }
            "$.headers['x-amz-date']": { matches: '^\d{8}T\d{6}Z$' }
            "$.headers['x-amz-content-sha256']": e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
            "$.headers['x-amz-security-token']": key-token
      - post: /echo
        body: "{{secret}}"
        auth: { aws: { access_key: AKID, secret_key: "{{secret}}", region: eu-west-1, service: s3 } }
        check: { body_equals: key }"#;
        let result =
            run(&server, http, "aws", "variables: { secret: key }", steps, "users: 2, iterations: 6", &[]);
        assert_eq!(number(&result["iterations_failed"]), 0, "{http:?} {:?}", reasons(&result));
        assert_eq!(number(&result["checks"]["failed"]), 0, "{http:?} {}", result["checks_by_name"]);
        assert_eq!(number(&server.stats()["requests"]), 12);
    }
}

/// Also where every request is constant, so that there would be nothing to interpret.
#[test]
fn an_error_ends_an_iteration_that_is_to_end_with_it() {
    let server = Server::start();
    let top = "defaults: { on_error: end_iteration }";
    let steps = "      - get: /any/a?r=500\n      - get: /any/never";
    let result = run(&server, Http::H1, "ends", top, steps, "users: 2, iterations: 10", &[]);
    assert_eq!((number(&result["failed"]), number(&result["iterations_failed"])), (10, 10), "{result}");
    assert_eq!(seen(&server.stats(), "/any/never"), 0);
}

#[test]
fn phases_after_one_whose_rows_ran_out_go_on() {
    let server = Server::start();
    let text = format!(
        "{}data: {{ d: {{ values: [1, 2, 3], order: unique }} }}\nscenarios:\n  a: {{ steps: [ get: \"/any/a{{{{d}}}}\" ] }}\n  \
         b: {{ steps: [ get: /any/b ] }}\nphases:\n  - {{ users: 2, for: 20s, scenarios: {{ a: 1 }} }}\n  \
         - {{ rate: 100/s, for: 300ms, scenarios: {{ b: 1 }} }}\n",
        head(&server, Http::H1)
    );
    let result = run_text("rows-then-rate", &text, &[], &[0]);
    assert_eq!(seen(&server.stats(), "/any/b"), 30, "{}", result["phases"]);
    let took: Vec<f64> = (0..2).map(|i| result["phases"][i]["elapsed_s"].as_f64().unwrap()).collect();
    assert!(took[0] < 10.0 && (took[1] - 0.3).abs() < 0.001, "{took:?}");
}

/// Bytes before a recorded track begins beside one that is not are not its, and no row takes any back.
#[test]
fn bytes_belong_to_the_phase_that_counted_them() {
    let server = Server::start();
    let text = format!(
        "{}scenarios:\n  a: {{ steps: [ get: \"/any/a?t=1ms&s=5k\" ] }}\n  h: {{ start_after: 350ms, phases: [ {{ name: hh, rate: \
         100/s, for: 300ms }} ], steps: [ get: /any/c ] }}\nphases:\n  - {{ name: w, users: 3, for: 400ms, record: false }}\n",
        head(&server, Http::H1)
    );
    let result = run_text("bytes-beside", &text, &["--interval", "70ms", "--json-timeline"], &[0]);
    let received = |of: &Value| of["bytes"]["received"].as_u64().unwrap();
    let phase = |name: &str| {
        let all = result["phases"].as_array().unwrap();
        all.iter().find(|p| p["name"] == name).map(received).unwrap()
    };
    // Those that overlap count with the recorded one.
    assert_eq!(phase("hh"), received(&result), "{result}");
    for name in ["w", "hh"] {
        let rows = result["timeline"]["rows"].as_array().unwrap().iter().filter(|row| row["phase"] == name);
        let sum: u128 = rows.map(|row| u128::from(row["received_bytes"].as_u64().unwrap())).sum();
        assert_eq!(sum, u128::from(phase(name)), "{name} {}", result["timeline"]);
    }
    assert!(phase("w") > 2 * phase("hh"), "{} {}", phase("w"), phase("hh"));
}

#[test]
fn what_a_plan_logs_is_text_for_people() {
    let server = Server::start();
    let steps = "      - get: /\n      - log: \"here we are\"";
    let plan = PlanFile::new("log", &plan(&server, Http::H1, "", steps, "users: 1, iterations: 2"));
    for (args, times) in [(&[][..], 2), (&["-q"], 0), (&["--no-human"], 0), (&["-q", "--no-human"], 0)] {
        let output = loadgen(&[&["-f", plan.path()], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stderr(&output).matches("loadgen: log: here we are").count(), times, "{args:?}");
    }
}
