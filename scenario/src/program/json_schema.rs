//! A JSON Schema that response bodies are held against: compiled once, when the plan is read. Nothing is ever fetched: what a `$ref`
//! leads to lies in the schema itself. Made by `resolve/schema.rs`, asked by `user.rs`; nothing else names `boon`.

use crate::limits;
use crate::network::percent_decoded;
use boon::{CompileError, Compiler, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A compiled schema.
#[derive(Clone)]
pub(crate) struct Schema(Arc<Compiled>);

struct Compiled {
    schemas: Schemas,
    root: SchemaIndex,
    /// Schemas at most that one value is held against, one within the other.
    chain: usize,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// Why a document is no schema, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Keys and numbers that lead there from the top.
    pub at: Vec<String>,
    pub message: String,
}

/// What the schema is called while it is compiled; a `$ref` to another document is relative to it.
const HERE: &str = "json-schema:///";

/// Loads nothing.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(url.into())
    }
}

impl Schema {
    /// Compiles a document.
    pub fn compile(document: Value) -> Result<Schema, Wrong> {
        if depth(&document) > limits::MAX_SCHEMA_DEPTH {
            let message = format!("it is nested more than {} levels deep", limits::MAX_SCHEMA_DEPTH);
            return Err(Wrong { at: vec![], message });
        }
        let chain = chain(&document)?;
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(Nowhere));
        let mut schemas = Schemas::new();
        let name = format!("{HERE}schema");
        compiler.add_resource(&name, document.clone()).map_err(|error| wrong(&document, &error))?;
        let root = compiler.compile(&name, &mut schemas).map_err(|error| wrong(&document, &error))?;
        Ok(Schema(Arc::new(Compiled { schemas, root, chain })))
    }

    /// Why a body does not satisfy it, with the place in the body.
    pub fn fault(&self, body: &[u8]) -> Option<String> {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return Some("the body is not JSON".into());
        };
        if depth(&value) * self.0.chain > limits::MAX_SCHEMA_WORK {
            return Some("the body is nested too deep for this schema".into());
        }
        let error = self.0.schemas.validate(&value, self.0.root).err()?;
        let leaf = leaf(&error);
        let place = leaf.instance_location.to_string();
        let place = if place.is_empty() { "the whole body" } else { &place };
        Some(format!("{place}: {}", leaf.kind))
    }
}

/// The first of the reasons behind an error that has none itself.
fn leaf<'e, 's, 'v>(mut error: &'e ValidationError<'s, 'v>) -> &'e ValidationError<'s, 'v> {
    while let Some(cause) = error.causes.first() {
        error = cause;
    }
    error
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

fn wrong(document: &Value, error: &CompileError) -> Wrong {
    match error {
        CompileError::ValidationError { src, .. } => {
            let leaf = leaf(src);
            let at = leaf.instance_location.to_string();
            Wrong { at: tokens(&at), message: on_one_line(&leaf.kind.to_string()) }
        }
        CompileError::LoadUrlError { url, .. } | CompileError::UnsupportedUrlScheme { url } => {
            outside(document, url)
        }
        CompileError::UnsupportedDraft { url } => {
            Wrong { at: vec!["$schema".into()], message: format!("{} is no known draft", bare(url)) }
        }
        CompileError::InvalidRegex { regex, src, .. } => {
            Wrong { at: vec![], message: format!("`{regex}` is not a regular expression: {src}") }
        }
        CompileError::JsonPointerNotFound(place) => nowhere(document, place),
        CompileError::AnchorNotFound { reference, .. } => nowhere(document, reference),
        other => Wrong { at: vec![], message: other.to_string().replace(HERE, "") },
    }
}

/// Errors of patterns are shown over several lines, with the pattern: what is wrong stands in the last.
fn on_one_line(message: &str) -> String {
    match (message.split_once(": regex parse error:"), message.rsplit_once("error: ")) {
        (Some((what, _)), Some((_, why))) => format!("{what}: {}", why.trim()),
        _ => message.to_owned(),
    }
}

fn outside(document: &Value, url: &str) -> Wrong {
    let at = reference(document, bare(url)).unwrap_or_default();
    let message = match at.last().map(String::as_str) {
        Some("$schema") => format!("{} is no known draft", bare(url)),
        _ => format!("{} is outside of the schema, and nothing is fetched: put it under `$defs`", bare(url)),
    };
    Wrong { at, message }
}

fn nowhere(document: &Value, place: &str) -> Wrong {
    let place = place.split_once('#').map_or(place, |(_, place)| place);
    let at = reference(document, &format!("#{place}")).unwrap_or_default();
    Wrong { at, message: format!("the schema has no `#{place}`") }
}

/// The name without the place that the compiler gave it.
fn bare(url: &str) -> &str {
    url.strip_prefix(HERE).unwrap_or(url)
}

fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|t| t.replace("~1", "/").replace("~0", "~")).collect()
}

/// Keywords whose value names another schema.
const REFERENCES: [&str; 4] = ["$ref", "$dynamicRef", "$recursiveRef", "$schema"];

/// Where a reference to this is.
fn reference(value: &Value, url: &str) -> Option<Vec<String>> {
    let further = |key: String, below: &Value| {
        let mut at = reference(below, url)?;
        at.insert(0, key);
        Some(at)
    };
    match value {
        Value::Object(map) => map.iter().find_map(|(key, below)| match below {
            Value::String(text) if REFERENCES.contains(&key.as_str()) => {
                let whole = text.split('#').next().unwrap_or_default();
                let meant = text == url || !whole.is_empty() && url.ends_with(whole);
                meant.then(|| vec![key.clone()])
            }
            _ => further(key.clone(), below),
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(i, below)| further(i.to_string(), below)),
        _ => None,
    }
}

/// Of how many schemas one within the other the longest chain consists that looks at one and the same value: how deep the
/// validator recurses for each level of a body.
fn chain(document: &Value) -> Result<usize, Wrong> {
    let mut walk = Walk { document, roots: HashMap::new(), known: HashMap::new(), longest: 1, circle: false };
    walk.find_roots(document, document);
    walk.every(document);
    match walk.longest {
        _ if walk.circle => Err(Wrong {
            at: vec![],
            message: "the schema leads back to itself for the same value, without end".into(),
        }),
        longest if longest > limits::MAX_SCHEMA_CHAIN => Err(Wrong {
            at: vec![],
            message: format!(
                "more than {} schemas lead from one to the other by `$ref`, `allOf` and the like",
                limits::MAX_SCHEMA_CHAIN
            ),
        }),
        longest => Ok(longest),
    }
}

struct Walk<'d> {
    document: &'d Value,
    /// By address: the part with an identifier of its own that an object is in. There `#` is that part, and not the document
    /// (JSON Schema 2020-12 core, section 8.2.1).
    roots: HashMap<*const Value, &'d Value>,
    /// By address: the schemas that were measured; `None` while one is being measured.
    known: HashMap<*const Value, Option<usize>>,
    longest: usize,
    circle: bool,
}

impl<'d> Walk<'d> {
    fn find_roots(&mut self, value: &'d Value, root: &'d Value) {
        match value {
            Value::Object(map) => {
                // Up to draft 7 what begins with `#` is the name of a place, and no identifier.
                let id = map.get(self.id_key()).and_then(Value::as_str);
                let root = if id.is_some_and(|id| !id.starts_with('#')) { value } else { root };
                self.roots.insert(value, root);
                map.values().for_each(|below| self.find_roots(below, root));
            }
            Value::Array(items) => items.iter().for_each(|below| self.find_roots(below, root)),
            _ => {}
        }
    }

    /// How an identifier is called.
    fn id_key(&self) -> &'static str {
        let draft_4 = |schema: &Value| schema.as_str().is_some_and(|of| of.contains("draft-04"));
        if self.document.get("$schema").is_some_and(draft_4) { "id" } else { "$id" }
    }

    /// Measures every object of the document.
    fn every(&mut self, value: &'d Value) {
        match value {
            Value::Object(map) => {
                let length = self.from(value, 0);
                self.longest = self.longest.max(length);
                map.values().for_each(|below| self.every(below));
            }
            Value::Array(items) => items.iter().for_each(|below| self.every(below)),
            _ => {}
        }
    }

    /// The longest chain from here.
    fn from(&mut self, schema: &'d Value, so_far: usize) -> usize {
        let Value::Object(map) = schema else { return 1 };
        if so_far > limits::MAX_SCHEMA_CHAIN {
            return 1;
        }
        if let Some(known) = self.known.get(&std::ptr::from_ref(schema)) {
            self.circle |= known.is_none();
            return known.unwrap_or(1);
        }
        self.known.insert(schema, None);
        let mut longest = 0;
        for (key, below) in map {
            let next: Vec<&'d Value> = match (key.as_str(), below) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(to)) => {
                    self.target(to, schema).into_iter().collect()
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(items)) => items.iter().collect(),
                ("not" | "if" | "then" | "else", below) => vec![below],
                ("dependentSchemas" | "dependencies", Value::Object(map)) => map.values().collect(),
                _ => continue,
            };
            for next in next {
                longest = longest.max(self.from(next, so_far + 1));
            }
        }
        self.known.insert(schema, Some(longest + 1));
        longest + 1
    }

    /// What a reference leads to: a path or a name, in the document or in a part of it that has an identifier of its own.
    fn target(&self, to: &str, from: &'d Value) -> Option<&'d Value> {
        let (whose, place) = to.split_once('#').unwrap_or((to, ""));
        let root = match whose {
            "" => self.roots.get(&std::ptr::from_ref(from)).copied().unwrap_or(self.document),
            _ => with(self.document, &["$id", "id"], &|is| is.trim_end_matches('#').ends_with(whose))?,
        };
        let place = percent_decoded(place);
        let place = String::from_utf8_lossy(&place);
        if place.is_empty() || place.starts_with('/') {
            return root.pointer(&place);
        }
        with(root, &["$anchor", "$dynamicAnchor"], &|is| is == place)
    }
}

/// The first object one of whose keys has such a text.
fn with<'d>(value: &'d Value, keys: &[&str], is: &dyn Fn(&str) -> bool) -> Option<&'d Value> {
    match value {
        Value::Object(map)
            if keys.iter().any(|key| map.get(*key).and_then(Value::as_str).is_some_and(is)) =>
        {
            Some(value)
        }
        Value::Object(map) => map.values().find_map(|below| with(below, keys, is)),
        Value::Array(items) => items.iter().find_map(|below| with(below, keys, is)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(document: Value) -> (String, String) {
        let wrong = Schema::compile(document).map(|_| ()).unwrap_err();
        (wrong.at.join("/"), wrong.message)
    }

    #[test]
    fn a_body_is_held_against_it_and_the_place_is_said() {
        let schema = Schema::compile(json!({
            "type": "array",
            "items": { "$ref": "#/$defs/message" },
            "$defs": { "message": { "type": "object", "required": ["id"], "properties": { "id": { "type": "integer" } } } },
        }))
        .unwrap();
        let fault = |body: &str| schema.fault(body.as_bytes());
        assert_eq!(fault(r#"[{"id":1},{"id":2,"x":null}]"#), None);
        assert_eq!(fault(r#"[{"id":1},{"id":"x"}]"#).unwrap(), "/1/id: want integer, but got string");
        assert_eq!(fault(r#"[{}]"#).unwrap(), "/0: missing properties 'id'");
        assert_eq!(fault("{}").unwrap(), "the whole body: want array, but got object");
        assert_eq!(fault("[1").unwrap(), "the body is not JSON");
    }

    #[test]
    fn drafts_are_known_by_name() {
        for draft in [
            "http://json-schema.org/draft-04/schema#",
            "http://json-schema.org/draft-07/schema#",
            "https://json-schema.org/draft/2019-09/schema",
        ] {
            let schema = Schema::compile(json!({ "$schema": draft, "minimum": 3 })).unwrap();
            assert_eq!((schema.fault(b"3"), schema.fault(b"2").is_some()), (None, true), "{draft}");
        }
        let (at, message) = wrong(json!({ "$schema": "https://example.com/mine" }));
        assert_eq!(
            (at.as_str(), message.as_str()),
            ("$schema", "https://example.com/mine is no known draft")
        );
    }

    #[test]
    fn nothing_is_fetched() {
        for (to, shown) in [
            ("http://127.0.0.1:1/a.json", "http://127.0.0.1:1/a.json"),
            ("https://example.com/a.json#/x", "https://example.com/a.json"),
            ("file:///etc/hostname", "file:///etc/hostname"),
            ("other.json", "other.json"),
        ] {
            let (at, message) = wrong(json!({ "properties": { "a": { "$ref": to } } }));
            assert_eq!(at, "properties/a/$ref", "{to}");
            assert_eq!(
                message,
                format!("{shown} is outside of the schema, and nothing is fetched: put it under `$defs`")
            );
        }
        // Under a name of its own a part is found.
        let named = json!({ "$ref": "https://example.com/n", "$defs": { "n": { "$id": "https://example.com/n", "type": "null" } } });
        assert_eq!(Schema::compile(named).unwrap().fault(b"null"), None);
    }

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        let cases = [
            (json!({ "properties": { "a": { "type": "strin" } } }), "properties/a/type"),
            (json!({ "items": { "pattern": "(a" } }), "items/pattern"),
            (json!({ "allOf": [{ "$ref": "#/$defs/none" }] }), "allOf/0/$ref"),
            (json!({ "required": "id" }), "required"),
            (json!({ "minLength": -1 }), "minLength"),
        ];
        for (document, place) in cases {
            let (at, message) = wrong(document);
            assert_eq!(at, place, "{message}");
        }
    }

    #[test]
    fn circles_and_long_chains_are_refused() {
        for document in [
            json!({ "$ref": "#" }),
            json!({ "anyOf": [{ "type": "null" }, { "not": { "$ref": "#/anyOf/1" } }] }),
        ] {
            let (_, message) = wrong(document);
            assert_eq!(message, "the schema leads back to itself for the same value, without end");
        }
        // In a part with an identifier `#` is that part.
        let part = |inner: Value| {
            json!({ "$ref": "https://example.com/n", "$defs": {
                "n": { "$id": "https://example.com/n", "$ref": "#/$defs/m", "$defs": { "m": inner } },
                "m": { "$ref": "https://example.com/n" }
            } })
        };
        for inner in [
            json!({ "$ref": "#" }),
            json!({ "allOf": [{ "$ref": "#/$defs/m" }] }),
            json!({ "not": { "$ref": "https://example.com/n" } }),
        ] {
            let (_, message) = wrong(part(inner));
            assert_eq!(message, "the schema leads back to itself for the same value, without end");
        }
        assert_eq!(Schema::compile(part(json!({ "type": "null" }))).unwrap().fault(b"null"), None);
        let draft_4 = json!({ "$schema": "http://json-schema.org/draft-04/schema#", "allOf": [
            { "id": "http://example.com/n", "properties": {}, "anyOf": [{ "$ref": "#" }] }
        ] });
        assert_eq!(wrong(draft_4).1, "the schema leads back to itself for the same value, without end");
        let link = |i: usize| json!({ "allOf": [{ "$ref": format!("#/$defs/{}", i + 1) }] });
        let chain = |length: usize| {
            let mut defs: serde_json::Map<String, Value> =
                (0..length).map(|i| (i.to_string(), link(i))).collect();
            defs.insert(length.to_string(), json!({ "items": { "$ref": "#/$defs/0" } }));
            json!({ "$ref": "#/$defs/0", "$defs": defs })
        };
        assert!(wrong(chain(limits::MAX_SCHEMA_CHAIN)).1.starts_with("more than 50 schemas lead"));
        let mut deep = json!({});
        for _ in 0..limits::MAX_SCHEMA_DEPTH {
            deep = json!({ "not": deep });
        }
        assert_eq!(wrong(deep).1, "it is nested more than 64 levels deep");
    }

    #[test]
    fn the_deepest_that_is_allowed_fits_on_the_stack_of_a_thread() {
        let link = |i: usize| json!({ "allOf": [{ "$ref": format!("#/$defs/{}", i + 1) }] });
        for length in [1, 8, 24] {
            let mut defs: serde_json::Map<String, Value> =
                (0..length).map(|i| (i.to_string(), link(i))).collect();
            defs.insert(length.to_string(), json!({ "items": { "$ref": "#/$defs/0" } }));
            let schema = Schema::compile(json!({ "$ref": "#/$defs/0", "$defs": defs })).unwrap();
            let levels = (1..=120).rev().find(|n| {
                let body = format!("{}{}", "[".repeat(*n), "]".repeat(*n));
                schema.fault(body.as_bytes()).is_none()
            });
            let most = (limits::MAX_SCHEMA_WORK / schema.0.chain).min(120);
            assert_eq!(levels, Some(most), "{length}");
        }
    }
}
