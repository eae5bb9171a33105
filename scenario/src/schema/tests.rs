//! The schema against the parser: what is a plan for one is one for the other.

#[path = "../../tests/common/mod.rs"]
mod common;

use super::*;
use crate::overrides::Overrides;
use crate::parse::{self, Input};
use crate::tree::{Kind, Node};
use jsonschema::Validator;
use std::collections::HashSet;

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).expect("a schema")
}

/// A plan as an editor sees it.
fn json_of(text: &str) -> Option<Value> {
    let mut problems = crate::error::Problems::default();
    let root = parse::document(Input { source: 0, offset: 0, text }, &mut problems)?;
    (problems.count() == 0).then(|| value(&root))
}

fn value(node: &Node) -> Value {
    match &node.kind {
        _ if node.is_null() => Value::Null,
        Kind::Scalar { text, plain: true } => match text.as_str() {
            "true" | "True" | "TRUE" => json!(true),
            "false" | "False" | "FALSE" => json!(false),
            text => {
                serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| json!(text), Value::Number)
            }
        },
        Kind::Scalar { text, .. } => json!(text),
        Kind::List(items) => items.iter().map(|item| value(item)).collect(),
        Kind::Map(entries) => {
            entries.iter().map(|e| (e.key.clone(), value(&e.value))).collect::<Map<_, _>>().into()
        }
    }
}

fn faults(validator: &Validator, plan: &Value) -> Vec<String> {
    validator.iter_errors(plan).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

#[test]
fn every_plan_of_configs_fits() {
    let validator = validator();
    for path in common::files("../configs", "yaml") {
        let plan = json_of(&std::fs::read_to_string(&path).unwrap()).expect("YAML");
        let faults = faults(&validator, &plan);
        assert!(faults.is_empty(), "{}: {faults:#?}", path.display());
    }
}

/// What the parser refuses because of a key, the schema refuses too.
#[test]
fn every_unknown_key_is_refused() {
    let (validator, mut tried) = (validator(), 0);
    for path in common::files("tests/bad", "yaml") {
        let said = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let key =
            |line: &str| line.starts_with("error: unknown key") || line.ends_with("is not supported yet");
        // Not in a file that the plan includes.
        let name = format!("--> {}:", path.file_name().unwrap().to_string_lossy());
        let lines: Vec<&str> = said.lines().collect();
        if !lines.windows(2).any(|two| key(two[0]) && two[1].contains(&name)) {
            continue;
        }
        let Some(plan) = json_of(&std::fs::read_to_string(&path).unwrap()) else { continue };
        assert!(!validator.is_valid(&plan), "{} fits", path.display());
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}

/// Every place of the language is in the schema, and every key of it has a shape and a line of help. A new key belongs into
/// `keys.rs`.
#[test]
fn no_key_is_without_a_description() {
    let flow = place::FLOW.iter().map(|(_, place)| place);
    let places: Vec<&Place> =
        PARTS.iter().map(|(_, place)| *place).chain(flow).chain([&place::PLAN, &place::STEP]).collect();
    let mut missing = Vec::new();
    for place in &places {
        missing.extend(
            place.keys.iter().filter(|key| keys::of(place.name, key).is_none()).map(|k| (place.name, *k)),
        );
    }
    assert!(missing.is_empty(), "without a line in keys.rs: {missing:?}");
    for (place, key, ..) in keys::KEYS {
        let known = places.iter().any(|p| p.name == *place && p.keys.contains(key));
        assert!(known, "keys.rs has {place}: {key}, which the parser does not know");
    }
    for (place, key) in keys::REQUIRED {
        assert!(places.iter().any(|p| p.name == *place && p.keys.contains(key)), "{place}: {key}");
    }
}

/// A place that is in no part would be read by the parser and be unknown to editors.
#[test]
fn no_place_is_forgotten() {
    for place in place::ALL {
        let part = PARTS.iter().any(|(_, p)| p.name == place.name && p.keys == place.keys);
        assert!(part || [place::PLAN.name, place::STEP.name].contains(&place.name), "{}", place.name);
    }
}

#[test]
fn every_definition_is_used() {
    let schema = schema();
    let text = schema.to_string();
    for name in schema["definitions"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\"#/definitions/{name}\"")), "{name}");
    }
}

#[test]
fn types_and_words_are_checked() {
    let validator = validator();
    let plan = |lines: &str| {
        let text = format!("version: 1\nscenarios: {{ s: {{ steps: [ get: / ] }} }}\n{lines}\n");
        json_of(&text).unwrap_or_else(|| panic!("{text}"))
    };
    let phases = "phases: [ { users: 1, for: 1s } ]\n";
    for good in [
        "protocol: h3",
        "connections: 5",
        "connections: { ramp_up: 1m30s }",
        "tls: { groups: [X25519], min_version: 1.2 }",
        "x-anything: { a: b }",
        "thresholds: [ failed == 0, { that: failed == 0, abort_after: 0s } ]",
        "timeouts: { idle: none }",
    ] {
        let plan = plan(&format!("{phases}{good}"));
        assert!(validator.is_valid(&plan), "{good}: {:#?}", faults(&validator, &plan));
    }
    for bad in [
        "protocol: http2",
        "connections: many",
        "connections: { ramp_up: 5 }",
        "tls: { verify: 1 }",
        "thresholds: failed == 0",
        "seed: -1",
    ] {
        assert!(!validator.is_valid(&plan(&format!("{phases}{bad}"))), "{bad}");
    }
    assert!(!validator.is_valid(&plan("")), "no phases and no search");
    for (phase, fits) in [
        ("{ users: 0..100, for: 1m }", true),
        ("{ rate: 0..2.5k/s, for: 1m, backlog: 1000 }", true),
        ("{ rate: 0.5/s..2k/s, for: 1m, backlog: none }", true),
        ("{ rate: 500, for: 1m }", false),
        ("{ users: x, for: 1m }", false),
        ("{ users: 1, for: 10 }", false),
    ] {
        assert_eq!(validator.is_valid(&plan(&format!("phases: [ {phase} ]"))), fits, "{phase}");
    }
}

#[test]
fn a_step_is_of_one_kind() {
    let validator = validator();
    let fits = |step: &str| {
        let text = format!(
            "version: 1\nscenarios: {{ s: {{ steps: [ {step} ] }} }}\nphases: [ {{ users: 1, for: 1s }} ]\n"
        );
        validator.is_valid(&json_of(&text).unwrap_or_else(|| panic!("{text}")))
    };
    for good in [
        "{ think: 1s..2s }",
        "{ think: { normal: 1s, deviation: 1ms } }",
        "{ repeat: 3, steps: [ get: / ] }",
        "{ if: ok, then: [ get: / ], else: [ think: 1s ] }",
        "{ post: /, json: [1, { a: null }], check: [ { status: [2xx, 304] }, { json: { $.a: { exists: false } } } ] }",
        "{ get: /, check: { json: { $.a: null, $.b: [null, 1], $.c: { equals: null } } } }",
    ] {
        assert!(fits(good), "{good}");
    }
    for bad in [
        "{ think: 1s, timeout: 1s }",
        "{ think: soon }",
        "{ get: /, steps: [ get: / ] }",
        "{ repeat: 3 }",
        "{ repeat: 3, steps: [ gte: / ] }",
        "{ get: /, check: { status: ok } }",
        "{ get: /, check: { body_includes: null } }",
        "{ get: /, check: { header_includes: { a: null } } }",
        "get",
    ] {
        assert!(!fits(bad), "{bad}");
    }
}

/// What a value of a plan is replaced by.
const OTHERS: &[&str] = &[
    "~",
    "true",
    "7",
    "-7",
    "1.5",
    "mutated",
    "''",
    "[]",
    "[mutated]",
    "[[7]]",
    "[{}]",
    "[~]",
    "{}",
    "{ mutated: 7 }",
    "{ mutated: ~ }",
];

/// The values of a plan with the keys that lead to them.
fn each_value<'n>(node: &'n Node, path: &str, visit: &mut impl FnMut(&'n Node, &str)) {
    visit(node, path);
    match &node.kind {
        Kind::Scalar { .. } => {}
        Kind::List(items) => items.iter().for_each(|item| each_value(item, &format!("{path}[]"), visit)),
        Kind::Map(entries) => {
            entries.iter().for_each(|e| each_value(&e.value, &format!("{path}.{}", e.key), visit));
        }
    }
}

/// What only the parser can know: the words inside of a text, and what is or is not there besides.
const ONLY_THE_PARSER: &[&str] = &[
    "is neither a path nor a URL",
    "the path is empty",
    "is not a method",
    "is not a target",
    "is not a JSON path",
    "is not a JSON Schema",
    "is not a selector",
    "is not a figure of the result",
    "not a threshold",
    "is not a source address",
    "the pattern has no group",
    "the expression ends too early",
    "is not a number",
    "a rate needs to say per what",
    "must be a share from 0.1% to 50%",
    "`dscp` cannot be",
    "cannot read",
    "cannot include",
    "is not a file",
    "does not end with .csv",
    "there is no ",
    "no step ",
    "has no column",
    "unknown parameter",
    "this step is never reached",
    // A path of JSON may lead to null, and the tests of a path are those of all others.
    "what is expected is missing",
];

/// Values of the plans are replaced by others, one at a time. What the schema refuses is no plan; what it takes is one, but for
/// what only the parser can know.
#[test]
fn the_schema_and_the_parser_agree_on_plans_with_another_value() {
    let validator = validator();
    let (mut seen, mut tried, mut wrong) = (HashSet::new(), 0, Vec::new());
    for path in common::files("../configs", "yaml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut problems = crate::error::Problems::default();
        let root = parse::document(Input { source: 0, offset: 0, text: &text }, &mut problems).unwrap();
        let mut places = Vec::new();
        each_value(&root, "", &mut |node, keys| {
            // Most plans say the same in the same places.
            let place: Vec<&str> = keys.rsplit('.').take(2).collect();
            if seen.insert(place.join(".")) {
                places.push((node.span, keys.to_owned()));
            }
        });
        for ((span, keys), other) in places.iter().flat_map(|place| OTHERS.iter().map(move |o| (place, o))) {
            let end = span.start + text[span.start..span.end].trim_end().len();
            let mutated = format!("{}{other}{}", &text[..span.start], &text[end..]);
            let Some(plan) = json_of(&mutated) else { continue };
            tried += 1;
            let parsed = crate::parse(&mutated, "plan.yaml", path.parent().unwrap(), &Overrides::default());
            match (validator.is_valid(&plan), parsed) {
                (true, Ok(_)) | (false, Err(_)) => {}
                (false, Ok(_)) => wrong.push(format!("{keys}: {other} is refused by the schema alone")),
                (true, Err(errors)) => {
                    let errors = errors.to_string();
                    let first = errors.lines().next().unwrap_or_default();
                    if !ONLY_THE_PARSER.iter().any(|known| first.contains(known)) {
                        wrong.push(format!("{keys}: {other} is refused by the parser alone, {first}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 4000, "{tried}");
}
