//! What values look like: the kinds of the plan language as JSON Schema.

use crate::plan::Protocol;
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

/// Text of this form, with blanks around it or not.
fn like(form: &str) -> Value {
    json!({ "type": "string", "pattern": format!(r"^\s*{form}\s*$") })
}

const TIME: &str = r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+";

pub(super) fn time() -> Value {
    like(TIME)
}

/// A time, or `none`.
pub(super) fn limit() -> Value {
    like(&format!("({TIME}|none)"))
}

/// A time, a range of times, or a distribution.
pub(super) fn pause() -> Value {
    let range = format!(r"^\s*{TIME}\s*(\.\.\s*{TIME}\s*)?$");
    json!({ "anyOf": [{ "type": "string", "pattern": range }, part("pause")] })
}

const RATE: &str = r"\d+(\.\d*)?[kKM]?\s*/\s*(s|ms|m|min|h)";

pub(super) fn rate() -> Value {
    like(RATE)
}

/// A rate or a ramp of rates.
pub(super) fn rates() -> Value {
    like(&format!(r"(\d[^.]*(\.\d[^.]*)?\.\.)?\s*{RATE}"))
}

/// A number of users or a ramp of them.
pub(super) fn users() -> Value {
    json!({ "anyOf": [count(), like(r"\d+\s*\.\.\s*\d+")] })
}

/// A rate, or a number of users.
pub(super) fn load() -> Value {
    json!({ "anyOf": [rate(), count()] })
}

pub(super) fn share() -> Value {
    json!({ "anyOf": [{ "type": "number", "minimum": 0, "maximum": 1 }, like(r"\d+(\.\d+)?\s*%")] })
}

/// Of a window of 2^N - 1 bytes.
pub(super) fn window_bits() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 30 })
}

/// How many redirects.
pub(super) fn hops() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 50 })
}

pub(super) fn protocol() -> Value {
    words(&Protocol::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>())
}

pub(super) fn redirects() -> Value {
    words(&["manual", "follow", "error"])
}

pub(super) fn backlog() -> Value {
    json!({ "anyOf": [part("backlog"), limit(), whole()] })
}

pub(super) fn words(list: &[&str]) -> Value {
    json!({ "enum": list })
}

/// One text or a list of them.
pub(super) fn texts() -> Value {
    json!({ "anyOf": [text(), list_of_texts()] })
}

/// Text that is not empty.
pub(super) fn name() -> Value {
    json!({ "type": ["string", "number", "boolean"], "pattern": r"\S" })
}

/// How often: a number, or an expression.
pub(super) fn rounds() -> Value {
    json!({ "anyOf": [count(), { "type": "string" }] })
}

/// A number, or what one is compared with.
pub(super) fn size() -> Value {
    json!({ "anyOf": [whole(), like(r"(<=|>=|==|!=|<|>)?\s*\d+")] })
}

/// A time limit of a check.
pub(super) fn longest() -> Value {
    like(&format!(r"(<=|>=|==|!=|<|>)?\s*{TIME}"))
}

/// How arrivals are spread.
pub(super) fn arrivals() -> Value {
    json!({ "type": "string", "pattern": r"^(even|poisson|burst\(.*\))$" })
}

/// Which of several.
pub(super) fn pick() -> Value {
    let words = json!({ "enum": ["first", "last", "random", "all", "count"] });
    json!({ "anyOf": [words, whole(), { "type": "string", "pattern": r"^\d+$" }] })
}

/// Whole numbers from one to another.
pub(super) fn range() -> Value {
    like(r"[-+]?\d+\s*\.\.\s*[-+]?\d+")
}

pub(super) fn list_of_texts() -> Value {
    json!({ "type": "array", "minItems": 1, "items": text() })
}

/// A map from names that the user chooses.
pub(super) fn map_of(value: Value) -> Value {
    json!({ "type": "object", "minProperties": 1, "additionalProperties": value })
}

/// Form fields and queries: of an empty list nothing is sent.
pub(super) fn pairs() -> Value {
    map_of(json!({ "anyOf": [text(), { "type": "array", "items": text() }] }))
}

/// Headers.
pub(super) fn fields() -> Value {
    map_of(texts())
}

/// Tags: a constant for each name.
pub(super) fn tags() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_.-]*$" },
        "additionalProperties": name(),
    })
}

/// A map of the language.
pub(super) fn part(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// A map of the language, or something shorter.
pub(super) fn part_or(name: &str, other: Value) -> Value {
    json!({ "anyOf": [part(name), other] })
}

pub(super) fn list_of(name: &str) -> Value {
    json!({ "type": "array", "minItems": 1, "items": part(name) })
}

/// What a value is held against: a value, a map of tests, or a list of these.
pub(super) fn test() -> Value {
    let one = json!({ "anyOf": [text(), part("test")] });
    json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
}

/// JSON paths that must lead somewhere, or a map from paths to what is expected there, which may be null.
pub(super) fn tests_by_path() -> Value {
    let nothing = json!({ "type": "null" });
    let one = json!({ "anyOf": [text(), nothing, part("test")] });
    let held = json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] });
    json!({ "anyOf": [texts(), map_of(held)] })
}

/// Names that must exist, or a map from names to what is expected.
pub(super) fn tests_by_name() -> Value {
    json!({ "anyOf": [texts(), map_of(test())] })
}

/// A variable's value: a scalar, a template, or a list of scalars.
pub(super) fn value() -> Value {
    json!({ "anyOf": [scalar(), { "type": "array", "items": scalar() }] })
}

/// A value that is neither a map nor a list.
pub(super) fn scalar() -> Value {
    json!({ "type": ["string", "number", "boolean", "null"] })
}

/// Values or rows of data.
pub(super) fn list_of_values(value: Value) -> Value {
    json!({ "type": "array", "minItems": 1, "items": value })
}

/// A map that has exactly one of these keys.
pub(super) fn one_of(keys: &[&str]) -> Value {
    json!({ "oneOf": keys.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>() })
}

pub(super) fn status() -> Value {
    let one = json!({ "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 999 },
        { "type": "string", "pattern": r"^(\d\d\d|\d[xX][xX]|\d\d\d\s*\.\.\s*\d\d\d)$" },
    ] });
    json!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
}
