//! The JSON result against its documentation: `docs/result.md` names exactly the fields there are, and
//! `docs/result.schema.json` accepts exactly what is written.

mod common;

use report::json::{self, Context};
use report::thresholds;
use scenario::Plan;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const DOCS: &str = include_str!("../../docs/result.md");
const SCHEMA: &str = include_str!("../../docs/result.schema.json");

/// A result without thresholds that ended well.
fn context(plan: &Plan) -> Context<'_> {
    Context { plan, outcomes: &[], exit_code: 0, bodies_discarded: false, timeline: true, search: None }
}

fn object() -> Value {
    let (plan, result) = (common::plan(), common::result());
    let outcomes = thresholds::judge(&plan, &result);
    json::object(&result, &Context { outcomes: &outcomes, exit_code: 99, ..context(&plan) })
}

/// The same run as the one probe of a search.
fn searched_object() -> Value {
    let (plan, result, searched) = common::searched();
    let outcomes = searched.probes[0].outcomes.clone();
    let context = Context { outcomes: &outcomes, timeline: false, search: Some(&searched), ..context(&plan) };
    json::object(&result, &context)
}

/// The fields that the tables of the document name, by the heading above them.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut heading = String::new();
    for line in DOCS.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.to_lowercase();
        } else if let Some(rest) = line.strip_prefix("| `") {
            let field = rest.split('`').next().expect("a name in backticks");
            assert!(
                sections.entry(heading.clone()).or_default().insert(field.into()),
                "{heading}: {field} twice"
            );
        }
    }
    sections
}

fn fields(value: &Value) -> BTreeSet<String> {
    value.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn the_document_names_every_field_and_no_other() {
    let (docs, result, searched) = (documented(), object(), searched_object());
    let with_selection = |section: &str| &docs[section] | &docs["selection"];
    let places = [
        ("top level", with_selection("top level"), &result),
        ("phase", with_selection("phase"), &result["phases"][0]),
        ("step", with_selection("step"), &result["steps"][0]),
        ("tag", with_selection("tag"), &result["tags"][0]),
        ("series", docs["series"].clone(), &result["response_time"]),
        ("series", docs["series"].clone(), &result["handshake"]),
        ("error", docs["error"].clone(), &result["errors"][0]),
        ("error", docs["error"].clone(), &result["connections"]["errors"][0]),
        ("bytes", docs["bytes"].clone(), &result["bytes"]),
        ("checks", docs["checks"].clone(), &result["checks"]),
        ("connections", docs["connections"].clone(), &result["connections"]),
        ("setup and teardown", docs["setup and teardown"].clone(), &result["setup"]),
        ("tls", docs["tls"].clone(), &result["connections"]["tls"]),
        ("handshakes", docs["handshakes"].clone(), &result["handshakes"]),
        ("threshold", docs["threshold"].clone(), &result["thresholds"][0]),
        ("search", docs["search"].clone(), &searched["search"]),
        ("probe", docs["probe"].clone(), &searched["search"]["probes"][0]),
        ("timeline", docs["timeline"].clone(), &result["timeline"]),
        ("row", docs["row"].clone(), &result["timeline"]["rows"][0]),
        ("batching", docs["batching"].clone(), &result["batching"][0]),
        ("cost", docs["cost"].clone(), &result["cost"]),
        ("plan", docs["plan"].clone(), &result["plan"]),
    ];
    for (section, documented, value) in &places {
        assert_eq!(*documented, fields(value), "docs/result.md, section {section}");
    }
    let named: BTreeSet<&str> = places.iter().map(|(section, ..)| *section).chain(["selection"]).collect();
    assert_eq!(named, docs.keys().map(String::as_str).collect(), "a section without a test");
}

#[test]
fn the_figures_of_a_tag_are_those_of_its_steps_together() {
    let mut result = common::result();
    result.steps[0].figures.response_time = common::series(&[9_000]);
    let plan = common::plan();
    let object = json::object(&result, &context(&plan));
    let tags: Vec<(&str, &str, u64, u64)> = object["tags"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|t| {
            let number = |v: &Value| v.as_u64().expect("a count");
            let names = (t["name"].as_str().expect("text"), t["value"].as_str().expect("text"));
            (names.0, names.1, number(&t["started"]), number(&t["response_time"]["count"]))
        })
        .collect();
    assert_eq!(tags, [("kind", "read", 10, 6), ("kind", "write", 10, 1), ("team", "web", 20, 7)]);
    assert_eq!(object["steps"][1]["tags"]["kind"], "read");
    assert_eq!(object["timeline"]["rows"][0]["tags"].to_string(), r#"{"team":"web"}"#);
}

#[test]
fn the_schema_accepts_the_result() {
    let faults = [faults(&object()), faults(&searched_object())].concat();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_search_says_what_it_found() {
    let r = searched_object();
    let s = &r["search"];
    assert_eq!((s["quantity"].as_str(), s["highest"].as_f64()), (Some("rate"), Some(100.0)));
    assert_eq!((s["limited_by"].as_str(), s["holds"].as_bool()), (Some("unfinished"), Some(true)));
    assert_eq!(s["probes"][0]["condition"][0]["unit"], "us");
    assert_eq!(r["plan"]["search"]["while"], "p50(response_time) < 1s and failed < 100");
    assert!(object()["search"].is_null());
}

/// What the schema finds wrong with a plan.
fn faults_of_plan(plan: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let mut faults = Vec::new();
    validate(plan, &schema["$defs"]["plan"], &schema, "plan", &mut faults);
    faults
}

#[test]
fn the_schema_accepts_every_plan_of_configs() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let plan = scenario::load(&path, &Default::default()).unwrap_or_else(|errors| panic!("{errors}"));
            let faults = faults_of_plan(&json::plan::object(&plan));
            assert!(faults.is_empty(), "{}: {faults:#?}", path.display());
            count += 1;
        }
    }
    assert!(count > 5);
}

#[test]
fn a_plan_shows_its_data_conditions_and_what_errors_do() {
    let text = r#"
version: 1
target: builtin
data: { users: { rows: [ { name: ada, password: sesame-1 } ], order: unique } }
variables: { token: sesame-2, n: 0, list: [1, b] }
fragments: { f: { parameters: [a], steps: [ get: "/f/{{a}}" ] } }
scenarios:
  s:
    start_after: 1s
    phases: [ { users: 2, for: 1s, graceful_stop: 1s, think: 0.5 } ]
    on_error: end_iteration
    lifetime: per_user
    steps:
      - get: /
        name: home
        headers: { authorization: "Bearer {{token}}" }
        check: { status: 2xx, body_includes: sesame-2, json: { $.id: 7 } }
      - if: "ok and n == 'a: b'"
        then: [ { think: 1s..2s } ]
        else:
          - choose: [ { weight: 3, steps: [ get: /a ] }, { steps: [ fail: "no: {{status}}" ] } ]
      - while: n < 3
        at_most: 7
        steps: [ { set: { n: "{{n + 1}}" } } ]
      - repeat: 2
        steps: [ { group: g, steps: [ log: it is sesame-2 ] } ]
      - parallel: [ get: /b, get: "/c/{{users.name}}" ]
      - { use: f, with: { a: "5" } }
  plain: { phases: [ { name: other, rate: 1/s..2/s, for: 1s, stairs: 2 } ], steps: [ get: /plain ] }
"#;
    let plan = scenario::parse(text, "", std::path::Path::new(""), &Default::default());
    let plan = json::plan::object(&plan.unwrap_or_else(|errors| panic!("{errors}")));
    assert_eq!(faults_of_plan(&plan), [""; 0]);
    let data = serde_json::json!([
        { "name": "users", "order": "unique", "at_end": "stop", "rows": 1, "columns": ["name", "password"] }
    ]);
    assert_eq!(plan["data"], data);
    let s = &plan["scenarios"][0];
    assert_eq!((&s["on_error"], &s["lifetime"]), (&"end_iteration".into(), &"per_user".into()));
    assert_eq!(s["data"], serde_json::json!(["users"]));
    assert_eq!(
        s["steps"][0]["checks"],
        serde_json::json!(["status 200..299", "body_includes", "json $.id equals"])
    );
    assert_eq!(s["variables"], serde_json::json!({ "token": "***", "n": "0", "list": "[1, b]" }));
    let flow = serde_json::json!([
        { "step": "home" },
        {
            "if": "ok and n == 'a: b'",
            "then": [{ "think": "1s..2s" }],
            "else": [{ "choose": [
                { "weight": 3, "steps": [{ "step": "GET /a" }] },
                { "weight": 1, "steps": [{ "fail": "no: {{status}}" }] },
            ] }],
        },
        { "while": "n < 3", "at_most": 7, "steps": [{ "set": { "n": "{{n + 1}}" } }] },
        { "repeat": "2", "steps": [{ "group": "g", "steps": [{ "log": "it is ***" }] }] },
        { "max": 6, "parallel": [{ "step": "GET /b" }, { "step": "GET /c/{{users.name}}" }] },
        { "use": "f", "with": { "a": "\"5\"" }, "steps": [{ "step": "GET /f/{{a}}" }] },
    ]);
    assert_eq!(s["flow"], flow, "{:#}", s["flow"]);
    let plain = &plan["scenarios"][1];
    assert_eq!((&plain["on_error"], &plain["lifetime"]), (&"continue".into(), &Value::Null));
    assert_eq!(plain["flow"], serde_json::json!([{ "step": "GET /plain" }]));
    assert!(!plan.to_string().contains("sesame"), "{plan}");
}

#[test]
fn the_schema_refuses_other_things() {
    for (field, wrong) in [("verdict", "FINE".into()), ("started", "many".into()), ("surprise", 1.into())] {
        let mut result = object();
        result[field] = wrong;
        assert_eq!(faults(&result).len(), 1, "{field}");
    }
}

/// What the schema finds wrong.
fn faults(result: &Value) -> Vec<String> {
    let schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let mut faults = Vec::new();
    validate(result, &schema, &schema, "result", &mut faults);
    faults
}

/// As much of JSON Schema as ours uses.
fn validate(value: &Value, schema: &Value, root: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(path) = schema["$ref"].as_str() {
        let name = path.strip_prefix("#/$defs/").expect("a local reference");
        return validate(value, &root["$defs"][name], root, at, faults);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = any.iter().any(|s| {
            let mut found = Vec::new();
            validate(value, s, root, at, &mut found);
            found.is_empty()
        });
        if !fits {
            faults.push(format!("{at}: fits none"));
        }
        return;
    }
    let allowed = schema["enum"].as_array().is_none_or(|list| list.contains(value));
    let constant = schema.get("const").is_none_or(|c| c == value);
    if !allowed || !constant || !has_type(value, &schema["type"]) {
        faults.push(format!("{at}: {value} does not fit"));
        return;
    }
    if let Some(items) = value.as_array() {
        items
            .iter()
            .enumerate()
            .for_each(|(i, v)| validate(v, &schema["items"], root, &format!("{at}[{i}]"), faults));
    }
    let Some(object) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            faults.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, value) in object {
        let at = format!("{at}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(property), _) => validate(value, property, root, &at, faults),
            (None, more @ Value::Object(_)) => validate(value, more, root, &at, faults),
            (None, _) => faults.push(format!("{at}: unknown")),
        }
    }
}

fn has_type(value: &Value, types: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    };
    match types {
        Value::Null => true,
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        other => panic!("type {other}"),
    }
}

#[test]
fn the_values_are_those_of_the_run() {
    let r = object();
    assert_eq!((r["verdict"].as_str(), r["exit_code"].as_u64()), (Some("SUSPECT"), Some(99)));
    assert_eq!((r["started"].as_u64(), r["rate"].as_f64()), (Some(10), Some(0.6)));
    assert_eq!(
        (r["began"].as_str(), r["status"]["302"].as_u64()),
        (Some("2024-02-29T23:59:59.500Z"), Some(1))
    );
    let s = &r["response_time"];
    assert_eq!(
        (s["min_us"].as_f64(), s["mean_us"].as_f64(), s["max_us"].as_f64()),
        (Some(1e3), Some(27_500.0), Some(150e3))
    );
    assert_eq!((s["count"].as_u64(), s["over_range"].as_u64()), (Some(6), Some(0)));
    // 270 us of CPU for the 18 requests of both phases.
    assert_eq!(r["cost"]["cpu_us_per_request"].as_f64().map(|v| v.round()), Some(15.0));
    assert_eq!(r["errors"][0]["kind"], "stream_reset(8)");
    assert_eq!(r["thresholds"][0]["holds"], false);
}

#[test]
fn what_is_counted_by_connection_or_iteration_is_null_in_a_step_and_a_tag() {
    let mut result = common::result();
    result.steps[1].figures.bytes.data = 740;
    let plan = common::plan();
    let r = json::object(&result, &context(&plan));
    for place in [&r["steps"][1], &r["tags"][0]] {
        let bytes = &place["bytes"];
        for field in ["received", "sent", "headers", "headers_decoded"] {
            assert!(bytes[field].is_null(), "{field}: {bytes}");
        }
        assert_eq!(bytes["data"], 740);
        assert!(place["iterations"].is_null() && place["iterations_cut"].is_null(), "{place}");
    }
    for place in [&r, &r["phases"][0]] {
        assert!(
            place["bytes"].as_object().expect("an object").values().all(Value::is_u64),
            "{}",
            place["bytes"]
        );
    }
    let faults = faults(&r);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn histograms_are_what_the_standard_tools_read() {
    use base64::Engine as _;
    let text = object()["response_time"]["histogram"].as_str().expect("text").to_owned();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    // The cookie of a compressed V2 histogram (0x1c849304, with 0x10 for its word size), then the length of what follows.
    assert_eq!(bytes[..4], [0x1c, 0x84, 0x93, 0x14]);
    assert_eq!(u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize, bytes.len() - 8);
}

#[test]
fn no_secret_leaves() {
    let (plan, result) = (common::plan(), common::result());
    let context = context(&plan);
    for pretty in [false, true] {
        let text = json::render(&result, &context, pretty);
        assert!(!text.contains("hunter") && text.contains("***"), "{text}");
        assert_eq!(text.matches('\n').count() == 1, !pretty);
        assert!(text.starts_with('{') && text.ends_with("}\n"));
    }
}

#[test]
fn what_an_http2_server_said_of_its_connections() {
    let plan = common::plan();
    let context = context(&plan);
    let result = json::object(&common::h2_result(), &context);
    let c = &result["connections"];
    assert_eq!((c["application_protocol"].as_str(), c["peer_max_streams"].as_u64()), (Some("h2"), Some(128)));
    assert_eq!((c["goaways"]["0"].as_u64(), c["goaways"]["11"].as_u64()), (Some(3), Some(1)));
    let faults = faults(&result);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_threshold_that_ended_the_run_says_when_and_the_plan_says_that_it_was_watched() {
    let (mut plan, mut result) = (common::plan(), common::result());
    plan.thresholds[0].abort_after = Some(std::time::Duration::from_secs(3));
    (result.interrupted, result.timeline) = (true, None);
    let mut outcomes = thresholds::judge(&plan, &result);
    let at = std::time::Duration::from_millis(4_500);
    thresholds::mark(&mut outcomes, 1, thresholds::Abort { at, actual: 60e6 });
    let context = Context { outcomes: &outcomes, exit_code: 99, ..context(&plan) };
    let result = json::object(&result, &context);
    assert_eq!((result["aborted"].as_bool(), result["interrupted"].as_bool()), (Some(true), Some(false)));
    let ended = &result["thresholds"][1];
    assert_eq!((ended["aborted_at_s"].as_f64(), ended["aborted_by"].as_f64()), (Some(4.5), Some(60_000.0)));
    assert_eq!(result["plan"]["thresholds"][0]["abort_after_s"].as_f64(), Some(3.0));
    assert!(result["timeline"].is_null() && result["plan"]["thresholds"][1].is_string());
    let faults = faults(&result);
    assert!(faults.is_empty(), "{faults:#?}");
}
