//! Every kind of check, extractor, step, data source and phase, over each version of HTTP, and what the server counted of it. Which kinds
//! there are is what `loadgen schema` says, which is made of the parser's own list of keys: a new one without a case fails the last test.

mod common;

use common::plan::{Http, checks, number, plan, reasons, run_text, seen};
use common::{Server, loadgen, scratch, stdout};
use serde_json::Value;
use std::collections::BTreeSet;

const EACH: [Http; 3] = [Http::H1, Http::H2, Http::H3];

/// Iterations of a case that says nothing else.
const N: u64 = 6;
const PHASE: &str = "users: 2, iterations: 6";

/// What it is of; a step without its check; the check, so that it passes and so that it fails.
type Checked = (&'static str, &'static str, &'static str, &'static str, &'static str);

const TEXT: &str = "post: /echo, body: abc";
const JSON: &str = "post: /echo, json: { a: 1, list: [ { b: x }, { b: y } ] }";
const HTML: &str = "post: /echo, body: \"<ul><li class='x' id=one>hi</li><li>ho</li></ul>\"";

/// The key of the check, and words of `a test` that it is a case of besides.
const CHECKS: &[Checked] = &[
    ("status", "", "get: /any/status?r=204", "204", "[200, 3xx]"),
    ("time", "", "get: /any/time", "< 60s", "< 1ns"),
    ("protocol", "", "get: /any/protocol", "SPOKEN", "h2c"),
    ("body_includes", "", TEXT, "bc", "bd"),
    ("body_equals", "", TEXT, "abc", "ab"),
    ("body_matches", "", TEXT, "^a.c$", "^b"),
    ("body", "matches", TEXT, "{ matches: 'c$' }", "{ matches: '^c' }"),
    ("body_size", "", TEXT, "3", "'> 3'"),
    (
        "body_sha256",
        "",
        TEXT,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "'0000000000000000000000000000000000000000000000000000000000000000'",
    ),
    ("header_exists", "", TEXT, "x-echo-method", "x-none"),
    ("header_equals", "", TEXT, "{ x-echo-method: POST }", "{ x-echo-method: GET }"),
    ("header_includes", "", TEXT, "{ x-echo-method: OS }", "{ x-echo-method: GE }"),
    ("header_matches", "", TEXT, "{ x-echo-method: ^P }", "{ x-echo-method: ^G }"),
    ("headers", "exists", TEXT, "{ x-none: { exists: false } }", "{ x-none: { exists: true } }"),
    (
        "headers",
        "includes",
        TEXT,
        "{ x-echo-method: { includes: POS } }",
        "{ x-echo-method: { includes: GET } }",
    ),
    ("json", "equals", JSON, "{ $.a: { equals: 1 } }", "{ $.a: 2 }"),
    ("json", "compare", JSON, "{ $.a: { compare: '< 2' } }", "{ $.a: { compare: '>= 2' } }"),
    ("json_schema", "", JSON, "{ required: [a] }", "{ required: [c] }"),
    ("css", "", HTML, "{ 'li.x': hi }", "{ 'li.x': ho }"),
    (
        "css",
        "attribute",
        HTML,
        "{ li: { attribute: id, equals: one } }",
        "{ li: { attribute: id, equals: two } }",
    ),
    ("cookie", "", "get: /redirect/1, cookies: true", "{ hop: '1' }", "{ hop: '2' }"),
];

fn path_of(step: &str) -> &str {
    let path = step.split_once(": ").expect("a method").1;
    path.split([',', '?']).next().expect("a path")
}

#[test]
fn every_check_passes_and_fails_as_often_as_the_server_was_asked() {
    for http in EACH {
        let server = Server::start();
        let (_, protocol) = server.speaks(http);
        let mut steps = String::new();
        for (i, (key, _, step, good, bad)) in CHECKS.iter().enumerate() {
            let good = good.replace("SPOKEN", protocol);
            for (what, value) in [("good", good.as_str()), ("bad", bad)] {
                let value = if *key == "time" { format!("'{value}'") } else { value.to_owned() };
                steps += &format!(
                    "      - {{ {step}, name: {what} {i}, check: {{ name: {what} {i} {key}, {key}: {value} }} }}\n"
                );
            }
        }
        let text = plan(&server, http, "", &steps, PHASE);
        let result = run_text(&format!("kind-checks-{http:?}"), &text, &[], &[0]);
        let stats = server.stats();
        let counted = checks(&result);
        assert_eq!(counted.len(), 2 * CHECKS.len(), "{http:?} {counted:?}");
        for (i, (key, _, step, ..)) in CHECKS.iter().enumerate() {
            let path = path_of(step);
            let sharing = CHECKS.iter().filter(|c| path_of(c.2) == path).count() as u64 * 2;
            let asked = seen(&stats, path) / sharing;
            assert_eq!(asked, N, "{http:?} {path} {stats}");
            for (what, expected) in [("good", (asked, 0)), ("bad", (0, asked))] {
                let name = format!("{what} {i} {key}");
                let of = counted
                    .iter()
                    .find(|(n, ..)| *n == name)
                    .unwrap_or_else(|| panic!("{name}: {counted:?}"));
                assert_eq!((of.1, of.2), expected, "{http:?} {name} {}", result["checks_by_name"]);
            }
        }
    }
}

/// What it is of; a step; the extractor; how its `VALUE` is written into a path; what stands there then.
type Extracted = (&'static str, &'static str, &'static str, &'static str, &'static str);

const EXTRACTS: &[Extracted] = &[
    ("json", JSON, "{ json: $.a }", "VALUE", "1"),
    ("header", TEXT, "{ header: x-echo-method }", "VALUE", "POST"),
    ("regex", TEXT, "{ regex: 'a(.)c' }", "VALUE", "b"),
    ("css", HTML, "{ css: li.x }", "VALUE", "hi"),
    ("cookie", "get: /redirect/3, cookies: true", "{ cookie: hop }", "VALUE", "3"),
    ("body", TEXT, "{ body: true }", "VALUE", "abc"),
    ("group", TEXT, "{ regex: '(?<first>.)(.)', group: 2 }", "VALUE", "b"),
    ("group", TEXT, "{ regex: '(?<first>.)(.)', group: first }", "VALUE", "a"),
    ("attribute", HTML, "{ css: li, attribute: id }", "VALUE", "one"),
    ("pick=first", JSON, "{ json: '$.list[*].b', pick: first }", "VALUE", "x"),
    ("pick=last", JSON, "{ json: '$.list[*].b', pick: last }", "VALUE", "y"),
    ("pick=number", HTML, "{ css: li, pick: 1 }", "VALUE", "ho"),
    ("pick=all", TEXT, "{ regex: '(.)', pick: all }", "join(VALUE, '.')", "a.b.c"),
    ("pick=count", TEXT, "{ regex: '(.)', pick: count }", "VALUE", "3"),
    ("pick=random", TEXT, "{ regex: '(.)', pick: random }", "contains('abc', VALUE)", "true"),
    ("default", TEXT, "{ json: $.none, default: fallback }", "VALUE", "fallback"),
    ("required", TEXT, "{ header: x-none, required: false }", "default(VALUE, 'unset')", "unset"),
];

#[test]
fn every_extractor_leads_to_the_page_that_its_value_names() {
    for http in EACH {
        let server = Server::start();
        let mut steps = String::new();
        for (i, (_, step, extract, written, _)) in EXTRACTS.iter().enumerate() {
            let written = written.replace("VALUE", &format!("v{i}"));
            steps += &format!("      - {{ {step}, name: from {i}, extract: {{ v{i}: {extract} }} }}\n");
            steps += &format!("      - get: \"/any/x{i}/{{{{ {written} }}}}\"\n");
        }
        let text = plan(&server, http, "", &steps, PHASE);
        let result = run_text(&format!("kind-extracts-{http:?}"), &text, &[], &[0]);
        assert_eq!(number(&result["iterations_failed"]), 0, "{http:?} {:?}", reasons(&result));
        let stats = server.stats();
        for (i, (what, .., value)) in EXTRACTS.iter().enumerate() {
            assert_eq!(seen(&stats, &format!("/any/x{i}/{value}")), N, "{http:?} {what} {stats}");
        }
    }
}

/// A plan of one or a few kinds.
struct Case {
    /// Its name, and `PLACE.KEY` or `PLACE.KEY=WORD` for each kind that it is a case of.
    kinds: &'static str,
    /// What stands above the scenario.
    top: &'static str,
    steps: &'static str,
    phase: &'static str,
    /// How often the server was asked for a path, at least and at most. `PATH#STATUS`: and answered so.
    asked: &'static [(&'static str, u64, u64)],
}

/// What lies in the folder that the plans call `DIR`.
const FILES: &[(&str, &str)] = &[
    ("body.txt", "sent"),
    ("rows.csv", "name,pass\na,1\nb,2\n"),
    ("bare.txt", "a;1\nb;2\n"),
    ("rows.json", r#"[{"x":"a"},{"x":"b"}]"#),
    ("rows.jsonl", "{\"x\":\"a\"}\n{\"x\":\"b\"}\n"),
    ("times.txt", "0\n5\n5\n20\n"),
];

const CASES: &[Case] = &[
    Case {
        kinds: "methods step.get step.head step.post step.put step.patch step.delete step.options step.request step.extract request.method request.path",
        top: "",
        steps: r#"
      - { get: /echo, extract: { m1: { header: x-echo-method } } }
      - { head: /echo, extract: { m2: { header: x-echo-method } } }
      - { post: /echo, extract: { m3: { header: x-echo-method } } }
      - { put: /echo, extract: { m4: { header: x-echo-method } } }
      - { patch: /echo, extract: { m5: { header: x-echo-method } } }
      - { delete: /echo, extract: { m6: { header: x-echo-method } } }
      - { options: /echo, extract: { m7: { header: x-echo-method } } }
      - { request: { method: PURGE, path: /echo }, extract: { m8: { header: x-echo-method } } }
      - get: "/any/methods/{{m1}}-{{m2}}-{{m3}}-{{m4}}-{{m5}}-{{m6}}-{{m7}}-{{m8}}""#,
        phase: PHASE,
        asked: &[("/any/methods/GET-HEAD-POST-PUT-PATCH-DELETE-OPTIONS-PURGE", N, N)],
    },
    Case {
        kinds: "sent step.name step.headers step.query step.auth auth.basic auth.bearer basic.user basic.password",
        top: "",
        steps: r#"
      - get: /headers
        name: asks
        headers: { x-a: one }
        query: { q: two }
        auth: { basic: { user: demo, password: demo } }
        extract: { a: { json: "$.headers['x-a']" }, q: { regex: 'q=(\w+)' }, b: { json: $.headers.authorization } }
      - get: "/any/sent/{{a}}-{{q}}-{{ b == 'Basic ZGVtbzpkZW1v' }}"
      - { get: /api/messages, auth: { bearer: demo-token } }"#,
        phase: PHASE,
        asked: &[("/any/sent/one-two-true", N, N), ("/api/messages#200", N, N)],
    },
    Case {
        kinds: "bodies step.body step.json step.form step.file step.multipart part.value part.file part.filename part.content_type",
        top: "",
        steps: r#"
      - { post: /echo, body: raw, extract: { a: { body: true } } }
      - { post: /echo, json: { k: word }, extract: { b: { json: $.k } } }
      - { post: /echo, form: { f: field }, extract: { c: { regex: 'f=(\w+)' } } }
      - { post: /echo, file: DIR/body.txt, extract: { d: { body: true } } }
      - post: /echo
        multipart: { p: { value: part, filename: name.txt, content_type: text/plain }, q: { file: DIR/body.txt } }
        extract: { e: { regex: 'filename="(\w+)' }, f: { regex: '(part)\r' }, g: { regex: 'content-type: (text)' }, h: { regex: '(sent)\r' } }
      - get: "/any/bodies/{{a}}-{{b}}-{{c}}-{{d}}-{{e}}-{{f}}-{{g}}-{{h}}""#,
        phase: PHASE,
        asked: &[("/any/bodies/raw-word-field-sent-name-part-text-sent", N, N)],
    },
    Case {
        kinds: "looked-at step.check step.body_limit step.compression",
        top: "",
        steps: r#"
      - { post: /echo, body: abcdef, body_limit: 3, check: { body_size: 6 } }
      - { if: not ok, then: [ { get: /any/cut } ] }
      - { get: /headers, compression: true, extract: { coding: { json: "$.headers['accept-encoding']" } } }
      - get: "/any/{{ replace(coding, ', ', '-') }}""#,
        phase: PHASE,
        asked: &[("/any/cut", N, N), ("/any/gzip-br", N, N)],
    },
    Case {
        kinds: "late step.timeout",
        top: "",
        steps: r#"
      - { get: "/any/late?t=60s", timeout: 100ms }
      - { if: status == 0, then: [ { get: /any/too-late } ] }"#,
        phase: "users: 1, iterations: 2",
        asked: &[("/any/late", 2, 2), ("/any/too-late", 2, 2)],
    },
    Case {
        kinds: "cookies step.cookies",
        top: "",
        steps: r#"
      - { post: "/login?csrf=off", form: { _user: demo, _pass: demo }, cookies: true }
      - { get: /inbox, cookies: true }
      - { get: /inbox, name: stranger, cookies: false }"#,
        phase: PHASE,
        asked: &[("/inbox#200", N, N), ("/inbox#401", N, N)],
    },
    Case {
        kinds: "redirects step.redirects step.follow_redirects",
        top: "",
        steps: r#"
      - { get: /redirect/900, redirects: manual }
      - { get: /redirect/2, redirects: follow }
      - { get: /redirect/3, name: too-many, follow_redirects: 1 }
      - get: /any/not-reached"#,
        phase: PHASE,
        asked: &[
            ("/redirect/900", N, N),
            ("/redirect/0", N, N),
            ("/redirect/2", 2 * N, 2 * N),
            ("/redirect/3", N, N),
            ("/any/not-reached", 0, 0),
        ],
    },
    Case {
        kinds: "pauses step.think pause.normal pause.deviation pause.exponential",
        top: "",
        steps: r#"
      - { think: 1ms }
      - { think: 1ms..2ms }
      - { think: { normal: 2ms, deviation: 1ms } }
      - { think: { exponential: 1ms } }
      - get: /any/thought"#,
        phase: PHASE,
        asked: &[("/any/thought", N, N)],
    },
    Case {
        kinds: "loops step.set step.group step.steps step.repeat step.while step.at_most step.log",
        top: "",
        steps: r#"
      - set: { n: 0 }
      - group: rounds
        steps:
          - repeat: 2
            steps: [ { get: /any/repeat } ]
          - while: n < 3
            at_most: 5
            steps: [ { get: "/any/while{{n}}" }, { set: { n: "{{n + 1}}" } } ]
      - log: ""
      - while: iteration > 0
        at_most: 2
        steps: [ { get: /any/endless } ]
      - get: /any/behind"#,
        phase: PHASE,
        asked: &[
            ("/any/repeat", 2 * N, 2 * N),
            ("/any/while2", N, N),
            ("/any/while3", 0, 0),
            ("/any/endless", 2 * N, 2 * N),
            ("/any/behind", 0, 0),
        ],
    },
    Case {
        kinds: "branches step.if step.then step.else step.choose choice.weight choice.steps step.fail step.use step.with fragment.parameters fragment.steps",
        top: "fragments: { visit: { parameters: [where], steps: [ { get: '/any/{{where}}' } ] } }",
        steps: r#"
      - if: iteration >= 1
        then: [ { use: visit, with: { where: then } } ]
        else: [ { get: /any/else } ]
      - choose:
          - { weight: 1, steps: [ { get: /any/chosen, name: one } ] }
          - { weight: 2, steps: [ { get: /any/chosen, name: other } ] }
      - if: true
        then: [ { fail: on purpose } ]
      - get: /any/behind-it"#,
        phase: PHASE,
        asked: &[("/any/then", N, N), ("/any/else", 0, 0), ("/any/chosen", N, N), ("/any/behind-it", 0, 0)],
    },
    Case {
        kinds: "at-once step.parallel step.max step.pause_until meeting.users meeting.timeout meeting.name meeting.at_timeout",
        top: "",
        steps: r#"
      - parallel: [ { get: /any/p1 }, { get: /any/p2 }, { get: /any/p3 } ]
        max: 2
      - pause_until: { users: 2, timeout: 20s, name: all, at_timeout: fail }
      - get: /any/met"#,
        phase: PHASE,
        asked: &[("/any/p1", N, N), ("/any/p2", N, N), ("/any/p3", N, N), ("/any/met", N, N)],
    },
    Case {
        kinds: "csv data.file data.order=sequential data.at_end=recycle",
        top: "data: { d: { file: DIR/rows.csv, order: sequential, at_end: recycle } }",
        steps: r#"
      - get: "/any/csv/{{d.name}}{{d.pass}}""#,
        phase: PHASE,
        asked: &[("/any/csv/a1", 3, 3), ("/any/csv/b2", 3, 3)],
    },
    Case {
        kinds: "bare data.format=csv data.delimiter data.columns data.order=unique data.at_end=stop",
        top: "data: { d: { file: DIR/bare.txt, format: csv, delimiter: ';', columns: [l, n], order: unique, at_end: stop } }",
        steps: r#"
      - get: "/any/bare/{{d.l}}{{d.n}}""#,
        phase: PHASE,
        asked: &[("/any/bare/a1", 1, 1), ("/any/bare/b2", 1, 1)],
    },
    Case {
        kinds: "json data.format=json data.order=per_user",
        top: "data: { d: { file: DIR/rows.json, format: json, order: per_user } }",
        steps: r#"
      - get: "/any/json/{{d.x}}""#,
        phase: "users: 2, iterations_per_user: 3",
        asked: &[("/any/json/a", 3, 3), ("/any/json/b", 3, 3)],
    },
    Case {
        kinds: "jsonl data.format=jsonl data.at_end=fail",
        top: "data: { d: { file: DIR/rows.jsonl, format: jsonl, at_end: fail } }",
        steps: r#"
      - get: "/any/jsonl/{{d.x}}""#,
        phase: PHASE,
        asked: &[("/any/jsonl/a", 1, 1), ("/any/jsonl/b", 1, 1)],
    },
    Case {
        kinds: "inline data.rows data.values data.range data.order=random",
        top: "data: { r: { rows: [ { x: p } ] }, v: { values: [q] }, n: { range: 7..7, order: random } }",
        steps: r#"
      - get: "/any/inline/{{r.x}}{{v}}{{n}}""#,
        phase: PHASE,
        asked: &[("/any/inline/pq7", N, N)],
    },
    Case {
        kinds: "shared-iterations phase.name phase.users phase.iterations phase.record",
        top: "",
        steps: "\n      - get: /any/shared",
        phase: "name: a, users: 2, iterations: 3, record: false }, { name: b, users: 2, iterations: 5",
        asked: &[("/any/shared", 8, 8)],
    },
    Case {
        kinds: "per-user-iterations phase.iterations_per_user",
        top: "",
        steps: "\n      - get: /any/per-user",
        phase: "users: 3, iterations_per_user: 4",
        asked: &[("/any/per-user", 12, 12)],
    },
    Case {
        kinds: "constant-users phase.for phase.graceful_stop",
        top: "",
        steps: "\n      - get: /any/constant\n      - think: 300ms\n      - get: /any/constant-end",
        phase: "users: 3, for: 200ms, graceful_stop: 30s",
        asked: &[("/any/constant", 3, 3), ("/any/constant-end", 3, 3)],
    },
    Case {
        kinds: "ramping-users phase.users=ramp",
        top: "",
        steps: "\n      - get: /any/ramping\n      - think: 1h",
        phase: "users: 0..4, for: 400ms }, { users: 4, for: 1s",
        asked: &[("/any/ramping", 4, 4)],
    },
    Case {
        kinds: "constant-rate phase.rate phase.arrivals phase.users_max",
        top: "",
        steps: "\n      - get: /any/constant-rate",
        phase: "rate: 200/s, iterations: 10, arrivals: burst(5), users_max: 3 }, { rate: 200/s, iterations: 4, arrivals: poisson",
        asked: &[("/any/constant-rate", 14, 14)],
    },
    Case {
        kinds: "ramping-rate phase.rate=ramp phase.stairs",
        top: "",
        steps: "\n      - get: /any/ramping-rate",
        phase: "rate: 0/s..200/s, for: 200ms }, { rate: 100/s..200/s, for: 200ms, stairs: 2",
        // The area below each, and an arrival more or less at its ends.
        asked: &[("/any/ramping-rate", 48, 52)],
    },
    Case {
        kinds: "replay phase.replay replay.file replay.speed",
        top: "",
        steps: "\n      - get: /any/replay",
        phase: "replay: { file: DIR/times.txt, speed: 2 }, for: 1s",
        asked: &[("/any/replay", 4, 4)],
    },
    Case {
        kinds: "backlog phase.backlog backlog.time backlog.number",
        top: "connections: 4",
        steps: "\n      - get: /any/backlog?t=300ms",
        phase: "rate: 1000/s, iterations: 12, users_max: 1, backlog: { time: 60s, number: 2 }",
        // One is under way, two wait; the others find no room, unless this machine stood still meanwhile.
        asked: &[("/any/backlog", 3, 11)],
    },
];

/// Kinds whose case is in another file, by its name and that of the test.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("auth.aws", "scripts.rs", "requests_are_signed_for_aws"),
    ("aws.access_key", "scripts.rs", "requests_are_signed_for_aws"),
    ("aws.secret_key", "scripts.rs", "requests_are_signed_for_aws"),
    ("aws.session_token", "scripts.rs", "requests_are_signed_for_aws"),
    ("aws.region", "scripts.rs", "requests_are_signed_for_aws"),
    ("aws.service", "scripts.rs", "requests_are_signed_for_aws"),
    ("phase.scenarios", "load_shapes.rs", "phases_choose_scenarios_and_scale_pauses"),
    ("phase.think", "load_shapes.rs", "phases_choose_scenarios_and_scale_pauses"),
    ("phase.handshakes", "handshakes.rs", "beside_scenarios_and_between_phases_of_requests"),
    ("phase.hold", "../../engine/tests/handshakes.rs", "connections_are_held_and_bound_what_may_be_opened"),
    ("step.tags", "tags.rs", "the_figures_of_a_tag_are_those_of_its_steps"),
    ("step.protocol", "protocols.rs", "steps_of_a_scenario_speak_several_protocols"),
];

#[test]
fn every_step_source_and_load_is_what_the_server_saw() {
    let dir = scratch("kinds");
    std::fs::create_dir_all(&dir).unwrap();
    for (name, text) in FILES {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let there = |text: &str| text.replace("DIR", dir.to_str().unwrap());
    for http in EACH {
        let server = Server::start();
        let results: Vec<Value> = CASES
            .iter()
            .map(|case| {
                let text = plan(&server, http, &there(case.top), &there(case.steps), &there(case.phase));
                let name = case.kinds.split(' ').next().unwrap();
                run_text(&format!("kind-{name}-{http:?}"), &text, &[], &[0])
            })
            .collect();
        let stats = server.stats();
        for (case, result) in CASES.iter().zip(&results) {
            for (path, least, most) in case.asked {
                let asked = match path.split_once('#') {
                    None => seen(&stats, path),
                    Some((path, status)) => stats["by_path"][path]["by_status"][status].as_u64().unwrap_or(0),
                };
                assert!(
                    (*least..=*most).contains(&asked),
                    "{http:?} {}: {path} {asked} times, {:?} {result} {stats}",
                    case.kinds,
                    reasons(result)
                );
            }
        }
        let of = |kind: &str| results.iter().zip(CASES).find(|(_, c)| c.kinds.starts_with(kind)).unwrap().0;
        let backlog = of("backlog ");
        let begun = seen(&stats, "/any/backlog");
        assert_eq!(begun + number(&backlog["dropped"]), 12, "{http:?} every arrival is somewhere: {backlog}");
        assert_eq!(number(&of("shared-iterations")["iterations"]), 5, "the warm-up is not recorded");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// The places of the language that make something happen.
const PLACES: &[&str] = &[
    "check", "test", "extract", "step", "pause", "meeting", "choice", "fragment", "data", "phase", "backlog",
    "replay", "part", "auth", "basic", "aws", "request",
];

#[test]
fn no_kind_is_without_a_case() {
    let schema: Value = serde_json::from_str(&stdout(&loadgen(&["schema"]))).expect("JSON");
    let mut wanted = BTreeSet::new();
    for place in PLACES {
        let keys =
            schema["definitions"][place]["properties"].as_object().unwrap_or_else(|| panic!("{place}"));
        for (key, shape) in keys {
            let words = shape["enum"].as_array().filter(|_| *place == "data");
            match words {
                Some(words) => {
                    wanted.extend(words.iter().map(|w| format!("{place}.{key}={}", w.as_str().unwrap())))
                }
                None => drop(wanted.insert(format!("{place}.{key}"))),
            }
        }
    }
    // The executors of k6 that are written with the keys of others, the words of `pick`, and what only names a check.
    wanted.extend(["phase.users=ramp", "phase.rate=ramp"].map(str::to_owned));
    wanted.extend(["first", "last", "number", "random", "all", "count"].map(|w| format!("extract.pick={w}")));
    wanted.remove("extract.pick");
    let mut covered: BTreeSet<String> = BTreeSet::from(["check.name".to_owned()]);
    for (key, test, ..) in CHECKS {
        covered.extend([format!("check.{key}"), format!("test.{test}")]);
    }
    covered.extend(EXTRACTS.iter().map(|(what, ..)| format!("extract.{what}")));
    covered.extend(CASES.iter().flat_map(|case| case.kinds.split(' ').skip(1)).map(str::to_owned));
    for (kind, file, test) in ELSEWHERE {
        assert!(wanted.contains(*kind), "{kind} is no kind");
        let path = format!("{}/tests/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(text.contains(&format!("fn {test}()")), "{kind}: {file} has no {test}");
        covered.insert((*kind).to_owned());
    }
    let missing: Vec<&String> = wanted.difference(&covered).collect();
    assert!(missing.is_empty(), "without a case: {missing:?}");
}
