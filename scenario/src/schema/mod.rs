//! The JSON Schema of the plan, for editors. Which keys there are is what `place` says, the same that the parser reads them
//! by; here is only what their values look like and a line of help for each. `cli` prints it.
//!
//! It refuses what no plan can be: unknown keys, wrong types, words that are not among the possible ones. What holds between
//! keys is the parser's affair.

mod keys;
mod shape;

use crate::place::{self, Place};
use serde_json::{Map, Value, json};
use shape::{one_of, part};

/// What a program that finds the schema by its name goes by.
pub const ID: &str = "https://loadgen.dev/schema/plan-1.json";

/// The schema: draft 7, which YAML editors know.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for (name, place) in PARTS {
        let mut part = object(place);
        if let (Value::Object(part), Value::Object(also)) = (&mut part, also(name)) {
            part.extend(also);
        }
        definitions.insert((*name).to_owned(), part);
    }
    definitions.insert("step".into(), step());
    definitions.insert("steps".into(), json!({ "type": "array", "minItems": 1, "items": part("step") }));
    let mut plan = object(&place::PLAN);
    let Value::Object(map) = &mut plan else { unreachable!("an object is made above") };
    map.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    map.insert("$id".into(), json!(ID));
    map.insert("title".into(), json!("A plan of loadgen"));
    map.insert("patternProperties".into(), json!({ "^x-": true }));
    // With a search there are no phases.
    map.insert(
        "anyOf".into(),
        json!([
            { "required": ["phases"] },
            { "required": ["search"] },
            { "properties": { "scenarios": { "additionalProperties": { "required": ["phases"] } } } },
        ]),
    );
    // Phases of handshakes need no scenario.
    let of_handshakes = json!({ "items": { "required": ["handshakes"] } });
    let alone = json!({ "required": ["phases"], "properties": { "phases": of_handshakes } });
    map.insert("allOf".into(), json!([{ "anyOf": [{ "required": ["scenarios"] }, alone] }]));
    map.insert("definitions".into(), Value::Object(definitions));
    plan
}

/// Maps that are used in several places, or are long.
const PARTS: &[(&str, &Place)] = &[
    ("tls", &place::TLS),
    ("connections", &place::CONNECTIONS),
    ("mix", &place::MIX),
    ("meeting", &place::MEETING),
    ("proxy_protocol", &place::PROXY_PROTOCOL),
    ("socket", &place::SOCKET),
    ("http2", &place::HTTP2),
    ("http3", &place::HTTP3),
    ("timeouts", &place::TIMEOUTS),
    ("defaults", &place::DEFAULTS),
    ("scenario", &place::SCENARIO),
    ("request", &place::REQUEST),
    ("choice", &place::CHOICE),
    ("fragment", &place::FRAGMENT),
    ("pause", &place::THINK),
    ("data", &place::DATA),
    ("extract", &place::EXTRACT),
    ("auth", &place::AUTH),
    ("basic", &place::BASIC),
    ("aws", &place::AWS),
    ("part", &place::PART),
    ("test", &place::TEST),
    ("check", &place::CHECK),
    ("phase", &place::PHASE),
    ("backlog", &place::BACKLOG),
    ("replay", &place::REPLAY),
    ("threshold", &place::THRESHOLD),
    ("search", &place::SEARCH),
];

/// Which keys of a part there must be, where it is not one key always.
fn also(part: &str) -> Value {
    match part {
        "auth" => one_of(place::AUTH.keys),
        "extract" => one_of(place::EXTRACT_FROM),
        "part" => one_of(&["value", "file"]),
        "data" => one_of(&["file", "rows", "values", "range"]),
        "pause" => {
            json!({ "oneOf": [{ "required": ["normal", "deviation"] }, { "required": ["exponential"] }] })
        }
        "meeting" => json!({ "required": ["users"] }),
        "test" | "check" => json!({ "minProperties": 1 }),
        "phase" => json!({ "allOf": [
            one_of(&["users", "rate", "replay", "handshakes"]),
            one_of(&["for", "iterations", "iterations_per_user"]),
        ] }),
        _ => json!({}),
    }
}

/// A map with the keys of a place and no others.
fn object(place: &Place) -> Value {
    let mut properties = Map::new();
    for key in place.keys {
        properties.insert((*key).to_owned(), property(place.name, key));
    }
    let mut out = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let required: Vec<&str> =
        keys::REQUIRED.iter().filter(|(name, _)| *name == place.name).map(|(_, key)| *key).collect();
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

/// A key that nobody has described yet takes anything, so that no legal plan is refused.
fn property(place: &str, key: &str) -> Value {
    let Some((shape, help)) = keys::of(place, key) else { return json!({}) };
    let shape = shape();
    // Beside a `$ref` nothing else is looked at in draft 7.
    let mut out = if shape.get("$ref").is_some() { json!({ "allOf": [shape] }) } else { shape };
    out["description"] = json!(help);
    out
}

/// A step is what its first key of `place::FLOW` says, else a request: as the parser takes it. The keys of all kinds are offered.
fn step() -> Value {
    let mut request = object(&place::STEP);
    let ways: Vec<&str> = place::METHODS.iter().copied().chain(["request"]).collect();
    request["oneOf"] = one_of(&ways)["oneOf"].take();
    let mut all: Map<String, Value> = Map::new();
    let kinds = place::FLOW.iter().map(|(_, place)| place).chain([&place::STEP]);
    for place in kinds {
        for key in place.keys {
            let help = keys::of(place.name, key).map_or("", |(_, help)| help);
            all.entry(*key).or_insert_with(|| json!({ "description": help }));
        }
    }
    let mut which = request;
    for (key, place) in place::FLOW.iter().rev() {
        which =
            json!({ "if": { "type": "object", "required": [key] }, "then": object(place), "else": which });
    }
    json!({ "type": "object", "properties": all, "allOf": [which] })
}

#[cfg(test)]
mod tests;
