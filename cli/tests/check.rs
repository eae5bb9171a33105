//! `loadgen check --run` by the real binary: each scenario once, and everything shown.

mod common;

use common::plan::PlanFile;
use common::{Server, command, loadgen, stderr, stdout};
use std::process::Command;

/// What a command prints, on either side.
fn said(command: &mut Command) -> String {
    let output = command.output().expect("the binary starts");
    stdout(&output) + &stderr(&output)
}

fn checked(text: &str, name: &str) -> (String, Option<i32>) {
    let plan = PlanFile::new(name, text);
    let output = loadgen(&["check", plan.path(), "--run"]);
    (
        String::from_utf8(output.stdout).expect("UTF-8") + &String::from_utf8_lossy(&output.stderr),
        output.status.code(),
    )
}

/// One iteration of each scenario on the real server, every exchange shown, what is secret masked.
#[test]
fn a_plan_is_tried_once_and_everything_is_shown() {
    let server = Server::start();
    let target = &server.http;
    let (text, code) = checked(
        &format!(
            "version: 1\ntarget: {target}\nphases: [ {{ users: 50, for: 1h }} ]\nscenarios:\n  api:\n    steps:\n      - post: /api/login\n        \
             name: login\n        json: {{ user: demo, password: demo }}\n        check: {{ status: 200 }}\n        extract:\n          \
             token: {{ json: $.token }}\n          kind: {{ header: content-type }}\n      - get: /api/status\n        \
             headers: {{ authorization: 'Bearer {{{{token}}}}' }}\n        check: {{ status: 200, body_includes: nonsense }}\n      \
             - log: done\n  plain: {{ steps: [ get: /?s=3 ] }}\n"
        ),
        "tried",
    );
    assert_eq!(code, Some(99), "a check fails: {text}");
    for part in [
        "# scenario api, one iteration",
        "> POST /api/login",
        "* check status: ok",
        "* extract kind: application/json",
        "* extract token: ***",
        "> authorization: ***",
        "* check body_includes: FAIL, found ",
        "* log: done",
        "# FAIL: 2 requests, 0 failed; 2 checks passed, 1 failed",
        "# scenario plain, one iteration",
        "> GET /?s=3",
        "# ok: 1 requests, 0 failed",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let stats = server.stats();
    assert_eq!(stats["requests"], 3, "one iteration of each, whatever the phases say");
}

#[test]
fn the_plan_in_json_has_templates_as_they_are_written() {
    let text = "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ { post: '/{{ uuid() }}', body: 'a {{user_number}}' }, \
                { post: /, body: abc } ] } }\nphases: [ { users: 1, for: 1s } ]\n";
    let plan = PlanFile::new("templates", text);
    let output = loadgen(&["check", "--json", plan.path()]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let steps = &plan["scenarios"][0]["steps"];
    assert_eq!(steps[0]["request"], "POST /{{ uuid() }}");
    assert_eq!((steps[0]["body_bytes"].is_null(), steps[1]["body_bytes"].as_u64()), (true, Some(3)));
}

#[test]
fn a_secret_of_the_environment_is_shown_nowhere() {
    let text = "version: 1\ntarget: builtin\nscenarios:\n  plain: { steps: [ get: '/any/x?key={{env.SOME_TOKEN}}', { post: /echo, headers: \
                { x-key: '{{env.SOME_TOKEN}}' }, body: 'it is {{env.SOME_TOKEN}}' } ] }\n  more: { steps: [ get: \
                '/any/y?u={{user_number}}&key={{env.SOME_TOKEN}}' ] }\nphases: [ { users: 1, iterations: 2 } ]\n";
    let plan = PlanFile::new("secret-env", text);
    let path = plan.path();
    for (args, there) in [
        (&["check", path][..], "request: GET /any/x?key=***"),
        (&["check", path], "request: GET /any/y?u={{user_number}}&key=***"),
        (&["check", "--json", path], "\"request\": \"GET /any/x?key=***\""),
        (&["check", "--run", path], "> it is ***"),
        (&["check", "--run", path], "< it is ***"),
        (&["-f", path, "--format", "json", "--trace", "3"], "GET /any/y?u={{user_number}}&key=***"),
    ] {
        let text = said(command(args).env("SOME_TOKEN", "open-sesame"));
        assert!(text.contains(there) && !text.contains("open-sesame"), "{args:?} {there}\n{text}");
    }
}

#[test]
fn trying_a_plan_says_how_it_went_by_its_code() {
    let plan = |step: &str| {
        format!(
            "version: 1\ntarget: builtin\nphases: [ {{ users: 1, for: 1s }} ]\nscenarios: {{ s: {{ steps: [ {step} ] }} }}\n"
        )
    };
    assert_eq!(checked(&plan("get: /"), "good").1, Some(0));
    assert_eq!(checked(&plan("get: /?r=500"), "none").1, Some(2));
    let (text, code) = checked(&plan("{ get: /, extract: { x: { json: $.a } } }"), "broken");
    assert_eq!(code, Some(99));
    assert!(text.contains("the iteration failed: GET /: nothing for x"), "{text}");
    let (text, code) = checked(&plan("get: /").replace("builtin", "http://127.0.0.1:1"), "nobody");
    assert_eq!(code, Some(1), "{text}");
}

/// Secrets of the plan, of the environment and of fields: a server that sends them back, encoded or at the end of what is
/// kept, does not bring them to a terminal or into a result.
#[test]
fn what_a_server_echoes_shows_no_secret() {
    let server = Server::start();
    let text = r#"version: 1
target: TARGET
defaults: { headers: { authorization: 'Bearer sesame-1', x-api-key: "{{ env('DEMO_API_KEY') }}" } }
scenarios:
  s:
    variables: { password: 'sesame 2"', plain: visible }
    steps:
      - post: /echo
        name: raw
        headers: { cookie: 'sid=sesame-3' }
        body: "{{plain}} sesame-1 {{ env('DEMO_API_KEY') }} sesame-3 {{ url_encode(password) }}"
        check: { body_includes: nonsense }
      - post: /echo?p={{ url_encode(password) }}
        name: structured
        json: { p: "{{password}}", q: "{{plain}}" }
        check: { body_matches: nonsense }
      - post: /echo
        name: cut
        body: "{{plain}} and so on and so on and so on and so on and so on and so on and so on and so on and so on and so on sesame-1"
        check: { body_includes: nonsense }
phases: [ { users: 1, iterations: 1 } ]
"#
    .replace("TARGET", &server.http);
    let plan = PlanFile::new("echoes", &text);
    let tried = ["check", plan.path(), "--run"];
    let run = ["-f", plan.path(), "--trace", "3", "--format", "json"];
    for args in [&tried[..], &run[..]] {
        let all = said(command(args).env("DEMO_API_KEY", "sesame-env"));
        assert!(!all.contains("sesam"), "{all}");
        for part in ["< visible *** *** *** ***", r#"< {"p":"***","q":"visible"}"#, "> POST /echo?p=***"] {
            assert!(all.contains(part), "{part}\n{all}");
        }
        assert!(all.contains("FAIL, found visible *** *** *** ***"), "{all}");
    }
}

/// A credential that comes back and is sent on under a harmless name, in a step that has no credential of its own.
#[test]
fn what_was_extracted_from_an_echo_shows_no_secret() {
    let server = Server::start();
    let text = r#"version: 1
target: TARGET
scenarios:
  s:
    variables: { who: visible, word: sesame-4 }
    steps:
      - get: /headers
        auth: { bearer: sesame-1 }
        extract: { a: { json: "$.headers.authorization" } }
      - get: /headers
        auth: { basic: { user: "{{who}}", password: "{{word}}" } }
        extract: { b: { json: "$.headers.authorization" } }
      - get: /headers
        headers: { x-api-key: "key {{word}}" }
        extract: { c: { json: "$.headers['x-api-key']" } }
      - { post: /echo, body: "{{a}}, {{b}}, {{c}}, {{who}}", check: { body_equals: nonsense } }
      - { post: /echo, body: "Bearer sesame-1", check: { body_equals: nonsense } }
phases: [ { users: 1, iterations: 1 } ]
"#
    .replace("TARGET", &server.http);
    let plan = PlanFile::new("echoed", &text);
    let encoded = "dmlzaWJsZTpzZXNhbWUtN"; // visible:sesame-4
    for args in
        [&["check", plan.path(), "--run"][..], &["-f", plan.path(), "--trace", "5", "--format", "json"]]
    {
        let all = said(&mut command(args));
        assert!(!all.contains("sesam") && !all.contains(encoded), "{all}");
        for part in
            ["> ***, Basic ***, key ***, visible", "found ***, Basic ***, key ***, visible", "found ***"]
        {
            assert!(all.contains(part), "{part}\n{all}");
        }
    }
}

/// Secrets of another scenario, of the setup, of a key that signs, numbers, and what the plan logs.
#[test]
fn no_secret_is_shown_wherever_in_the_plan_it_comes_from() {
    let server = Server::start();
    let text = r#"version: 1
target: TARGET
setup:
  - { get: /headers, headers: { x-mine: sesame-1 }, extract: { mine: { json: "$.headers['x-mine']" } } }
  - { get: /headers, auth: { bearer: "{{mine}}" } }
scenarios:
  one:
    steps:
      - { get: /headers, auth: { bearer: sesame-2 }, extract: { a: { json: "$.headers.authorization" } } }
      - { get: /headers, auth: { aws: { access_key: AKID, secret_key: sesame-3, region: eu, service: sqs } } }
      - { post: /echo, body: "visible {{mine}} {{a}} sesame-3", check: { body_equals: nonsense } }
      - { post: /echo, body: '{ "n": 7358712 }', extract: { some_token: { json: $.n } } }
      - { post: /echo, body: "visible {{some_token}}", check: { body_equals: nonsense } }
      - log: "it is {{a}} and {{mine}}"
      - fail: "no {{a}} for {{mine}}"
  two:
    steps: [ { post: /echo, body: "visible sesame-2 and sesame-3", check: { body_equals: nonsense } } ]
phases: [ { users: 2, iterations: 4 } ]
"#
    .replace("TARGET", &server.http);
    let plan = PlanFile::new("anywhere", &text);
    let (tried, run) =
        (["check", plan.path(), "--run"], ["-f", plan.path(), "--trace", "9", "--format", "json"]);
    for args in [&tried[..], &run[..]] {
        let all = said(&mut command(args));
        // What has a harmless name is shown where the plan writes it.
        let shown = all.lines().filter(|line| line.contains("sesam") || line.contains("7358712"));
        let odd: Vec<&str> = shown.filter(|line| line.trim() != "x-mine: sesame-1").collect();
        assert!(odd.is_empty(), "{odd:?}\n{all}");
        for part in [
            "found visible *** *** ***",
            "found visible ***",
            "found visible *** and ***",
            "log: it is *** and ***",
            "no *** for ***",
        ] {
            assert!(all.contains(part), "{part}\n{all}");
        }
    }
}

/// A step is named after its path, which may hold a secret in its query; with flags the URL itself is in results, too.
#[test]
fn secrets_of_a_query_are_in_no_name() {
    let text = r#"version: 1
target: builtin
variables: { key: sesame-3 }
scenarios:
  plain: { steps: [ { get: '/any/a?r=404&token=open%20sesame-1', check: { status: 200 } } ] }
  more:
    on_error: end_iteration
    steps:
      - { post: '/echo?api_key={{key}}', body: "sesame-3 and open sesame-1", check: { body_equals: nonsense } }
      - { get: /any/b, query: { r: 500, token: sesame-4 } }
phases: [ { users: 2, iterations: 6 } ]
thresholds: [ 'error_rate(step="GET /any/a?r=404&token=open%20sesame-1") < 1%' ]
"#;
    let plan = PlanFile::new("secret-query", text);
    let path = plan.path();
    for (args, there) in [
        (&["check", path][..], "request: GET /any/a?r=404&token=***"),
        (&["check", path], "request: GET /any/b?r=500&token=***"),
        (&["check", "--json", path], "\"name\": \"GET /any/a?r=404&token=***\""),
        (&["check", "--run", path], "> POST /echo?api_key=***"),
        (&["check", "--run", path], "found *** and ***"),
        (&["-f", path, "--format", "json"], "error_rate(step=\\\"GET /any/a?r=404&token=***\\\") < 1%"),
        (&["-f", path, "--format", "junit"], "name=\"plain/GET /any/a?r=404&amp;token=***\""),
        (&["-f", path, "--trace", "9"], "GET /any/a?r=404&token=***"),
        (&["--h1", "-n", "1", "builtin/?token=sesame-1", "--format", "jsonl"], "/?token=***\""),
        (&["--h1", "-n", "1", "builtin/?token=sesame-1", "--format", "json"], "\"name\":\"/?token=***\""),
        (&["--h1", "-n", "1", "builtin/?token=sesame-1", "--trace", "1", "-v"], "> GET /?token=***"),
    ] {
        let text = said(&mut command(args));
        assert!(text.contains(there) && !text.contains("sesame"), "{args:?} {there}\n{text}");
    }
}
