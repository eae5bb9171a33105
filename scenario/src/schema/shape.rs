//! What values look like: the kinds of the plan language as JSON Schema.

use serde_json::{Value, json};

/// Any scalar, taken as it is written.
pub(super) fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// Anything.
pub(super) fn any() -> Value {
    json!({})
}

pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}

pub(super) fn whole() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 1 })
}

const TIME: &str = r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+";

pub(super) fn time() -> Value {
    json!({ "type": "string", "pattern": format!(r"^\s*{TIME}\s*$") })
}

/// A time, or `none`.
pub(super) fn limit() -> Value {
    json!({ "type": "string", "pattern": format!(r"^\s*({TIME}|none)\s*$") })
}

/// A time, a range of times, or a distribution.
pub(super) fn pause() -> Value {
    let range = format!(r"^\s*{TIME}\s*(\.\.\s*{TIME}\s*)?$");
    json!({ "anyOf": [{ "type": "string", "pattern": range }, { "$ref": "#/definitions/pause" }] })
}

const RATE: &str = r"\d+(\.\d*)?[kKM]?\s*/\s*(s|ms|m|min|h)";

pub(super) fn rate() -> Value {
    json!({ "type": "string", "pattern": format!(r"^\s*{RATE}\s*$") })
}

/// A rate or a ramp of rates.
pub(super) fn rates() -> Value {
    json!({ "type": "string", "pattern": format!(r"^\s*(\d[^.]*(\.\d[^.]*)?\.\.)?\s*{RATE}\s*$") })
}

/// A number of users or a ramp of them.
pub(super) fn users() -> Value {
    json!({ "anyOf": [count(), { "type": "string", "pattern": r"^\s*\d+\s*\.\.\s*\d+\s*$" }] })
}

/// A rate, or a number of users.
pub(super) fn load() -> Value {
    json!({ "anyOf": [rate(), count()] })
}

pub(super) fn share() -> Value {
    json!({ "anyOf": [{ "type": "number" }, { "type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$" }] })
}

pub(super) fn words(list: &[&str]) -> Value {
    json!({ "enum": list })
}

/// One text or a list of them.
pub(super) fn texts() -> Value {
    json!({ "anyOf": [text(), { "type": "array", "items": text() }] })
}

pub(super) fn list_of_texts() -> Value {
    json!({ "type": "array", "minItems": 1, "items": text() })
}

/// A map from names that the user chooses.
pub(super) fn map_of(value: Value) -> Value {
    json!({ "type": "object", "minProperties": 1, "additionalProperties": value })
}

/// Headers, form fields, queries.
pub(super) fn fields() -> Value {
    json!({ "type": "object", "additionalProperties": texts() })
}

pub(super) fn part(name: &str) -> Value {
    super::part(name)
}

/// A map of the language, or something shorter.
pub(super) fn part_or(name: &str, other: Value) -> Value {
    json!({ "anyOf": [super::part(name), other] })
}

pub(super) fn list_of(name: &str) -> Value {
    json!({ "type": "array", "minItems": 1, "items": super::part(name) })
}

/// What a value is held against: a value, a map of tests, or a list of these.
pub(super) fn test() -> Value {
    let one = json!({ "anyOf": [text(), super::part("test")] });
    json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
}

/// Names that must exist, or a map from names to what is expected.
pub(super) fn tests_by_name() -> Value {
    json!({ "anyOf": [texts(), map_of(test())] })
}

/// A variable's value: a scalar, a template, or a list of scalars.
pub(super) fn value() -> Value {
    json!({ "type": ["string", "number", "boolean", "null", "array"] })
}

pub(super) fn status() -> Value {
    let one = json!({ "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 999 },
        { "type": "string", "pattern": r"^(\d\d\d|\d[xX][xX]|\d\d\d\s*\.\.\s*\d\d\d)$" },
    ] });
    json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
}
