//! `loadgen check --run` by the real binary: each scenario once, and everything shown.

mod common;

use common::plan::PlanFile;
use common::{Server, loadgen};

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
