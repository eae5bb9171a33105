//! `check`: what is judged of a response.

use super::data::scalar;
use super::{schema, status};
use crate::duration::parse_duration;
use crate::expr::Binary;
use crate::expr::parse::regex_reason;
use crate::expr::text::{Escape, is_template};
use crate::expr::value::Value;
use crate::limits;
use crate::place;
use crate::program::{Check, CheckKind, Limit, Operand, Path, PathError, Selector, Test};
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node};

/// Reads `check`: a map, or a list of maps.
pub(crate) fn read(reader: &mut Reader<'_>, step: &Fields<'_>) -> Option<Vec<Check>> {
    let Some(entry) = step.get("check") else { return Some(vec![]) };
    let mut checks = Vec::new();
    match &entry.value.kind {
        Kind::List(_) => {
            for node in reader.list(entry, "checks", limits::MAX_CHECKS)? {
                let (fields, before) = (reader.map_node(node, &place::CHECK)?, checks.len());
                group(reader, &fields, &mut checks)?;
                if checks.len() == before && !fields.odd {
                    return reader.fail(node.span, "this checks nothing", "give it `status: 200`");
                }
            }
        }
        _ => {
            let fields = reader.map(entry, &place::CHECK)?;
            group(reader, &fields, &mut checks)?;
            if checks.is_empty() && !fields.odd {
                return reader.fail(entry.key_span, "`check` checks nothing", "give it `status: 200`");
            }
        }
    }
    if checks.len() > limits::MAX_CHECKS {
        let message = format!("a step has at most {} checks", limits::MAX_CHECKS);
        return reader.fail(entry.key_span, message, format!("this one has {}", checks.len()));
    }
    number(&mut checks);
    Some(checks)
}

/// Equal names get numbers.
fn number(checks: &mut [Check]) {
    for i in 1..checks.len() {
        let (before, rest) = checks.split_at_mut(i);
        let count = before.iter().filter(|c| c.name.split(" #").next() == Some(&rest[0].name)).count();
        if count > 0 {
            rest[0].name = format!("{} #{}", rest[0].name, count + 1);
        }
    }
}

fn group(reader: &mut Reader<'_>, fields: &Fields<'_>, checks: &mut Vec<Check>) -> Option<()> {
    let first = checks.len();
    for entry in fields.iter().filter(|e| e.key != "name") {
        one(reader, entry, checks)?;
    }
    if let Some(entry) = fields.get("name") {
        let text = reader.text(entry)?;
        let name = reader.name(text, entry.value.span)?;
        let several = checks.len() - first > 1;
        for check in &mut checks[first..] {
            check.name = if several { cut(&format!("{name}: {}", check.name)) } else { name.to_owned() };
        }
    }
    Some(())
}

fn cut(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limits::MAX_NAME).collect()
}

fn one(reader: &mut Reader<'_>, entry: &Entry, checks: &mut Vec<Check>) -> Option<()> {
    let mut add = |name: String, kind: CheckKind| checks.push(Check { name: cut(&name), kind });
    let key = entry.key.as_str();
    match key {
        "status" => add("status".into(), CheckKind::Status(status::read(reader, entry)?)),
        "time" => add("time".into(), CheckKind::Time(time_limit(reader, entry)?)),
        "body_size" => add("body_size".into(), CheckKind::BodySize(size_limit(reader, entry)?)),
        "body_sha256" => {
            let digest = reader.text(entry)?.to_ascii_lowercase();
            if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                return reader.mismatch(entry, "64 hexadecimal digits");
            }
            add("body_sha256".into(), CheckKind::BodySha256(digest));
        }
        "protocol" => {
            let words = [("h1", "http/1.1"), ("h2", "h2"), ("h2c", "h2c"), ("h3", "h3")];
            add("protocol".into(), CheckKind::Protocol(reader.word(entry, &words)?.to_owned()));
        }
        "body_equals" | "body_includes" | "body_matches" | "body" => {
            for Held { label, test, .. } in tests(reader, entry, Of::Text(default_test(key)))? {
                let name = if key == "body" { format!("body {label}") } else { key.to_owned() };
                add(name, CheckKind::Body(test));
            }
        }
        "header_exists" => {
            for name in texts(reader, entry)? {
                add(format!("header {name} exists"), CheckKind::Header(name, Test::Exists));
            }
        }
        "header_equals" | "header_includes" | "header_matches" | "headers" => {
            for (name, Held { label, test, .. }, _) in targets(reader, entry, Of::Text(default_test(key)))? {
                add(format!("header {name} {label}"), CheckKind::Header(name, test));
            }
        }
        "cookie" => {
            for (name, Held { label, test, .. }, _) in targets(reader, entry, Of::Text(Default::Equals))? {
                add(format!("cookie {name} {label}"), CheckKind::Cookie(name, test));
            }
        }
        "json" => {
            for (path, Held { label, test, .. }, at) in targets(reader, entry, Of::Json)? {
                let compiled = match Path::parse(&path) {
                    Ok(path) => path,
                    Err(error) => return bad_path(reader, at, &path, error),
                };
                add(format!("json {path} {label}"), CheckKind::Json(compiled, test));
            }
        }
        "json_schema" => add("json_schema".into(), CheckKind::JsonSchema(schema::read(reader, entry)?)),
        "css" => css(reader, entry, &mut add)?,
        _ => return None, // an unknown key has its message
    }
    Some(())
}

pub(crate) fn bad_path<T>(reader: &mut Reader<'_>, at: Span, path: &str, error: PathError) -> Option<T> {
    let message = match error {
        PathError::Syntax(message) => message,
        PathError::TooLong => {
            let message = format!("a JSON path has at most {} bytes", limits::MAX_PATH);
            return reader.fail(at, message, format!("this one has {}", path.len()));
        }
        PathError::TooDeep(bracket) => {
            let span = reader.part_of(path, at, bracket, bracket + 1);
            let message = format!("the brackets of a JSON path are at most {} deep", limits::MAX_PATH_DEPTH);
            return reader.fail(span, message, "this one is one too many");
        }
    };
    let label = match path.starts_with('$') {
        // The library says no more of what it could not read.
        true if message.contains("parser error") && path.contains('[') => {
            "in brackets stand `'name'`, a number, `*`, `1:3` or a filter such as `?(@.id > 1)`".to_owned()
        }
        true if message.contains("parser error") => {
            "behind `$` come `.name`, `..name` and `[...]`".to_owned()
        }
        true => message,
        false => format!("a path begins with `$`: did you mean {}?", quote(&format!("$.{path}"))),
    };
    reader.fail(at, format!("{} is not a JSON path", quote(path)), label)
}

fn css(reader: &mut Reader<'_>, entry: &Entry, add: &mut dyn FnMut(String, CheckKind)) -> Option<()> {
    for (text, Held { label, test, attribute }, at) in targets(reader, entry, Of::Css)? {
        let selector = match Selector::parse(&text) {
            Ok(selector) => selector,
            Err((message, _)) => {
                return reader.fail(at, format!("{} is not a selector", quote(&text)), message);
            }
        };
        add(format!("css {text} {label}"), CheckKind::Css(selector, attribute, test));
    }
    Some(())
}

#[derive(Clone, Copy)]
enum Default {
    Equals,
    Includes,
    Matches,
}

fn default_test(key: &str) -> Default {
    match key {
        "body_includes" | "header_includes" => Default::Includes,
        "body_matches" | "header_matches" => Default::Matches,
        _ => Default::Equals,
    }
}

/// What is held against something, and how a value without a test is understood.
#[derive(Clone, Copy)]
enum Of {
    /// A value may be null.
    Json,
    /// A test may say which attribute is meant.
    Css,
    Text(Default),
}

impl Of {
    fn default_test(self) -> Default {
        match self {
            Of::Json | Of::Css => Default::Equals,
            Of::Text(default) => default,
        }
    }
}

/// A test with its part of the check's name.
struct Held {
    label: String,
    test: Test,
    attribute: Option<String>,
}

type Target = (String, Held, Span);

/// A name, a list of names (which must exist), or a map of names to what is expected.
fn targets(reader: &mut Reader<'_>, entry: &Entry, of: Of) -> Option<Vec<Target>> {
    let mut all = Vec::new();
    match &entry.value.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            for e in entries {
                all.extend(tests(reader, e, of)?.into_iter().map(|held| (e.key.clone(), held, e.key_span)));
            }
        }
        Kind::Map(_) => return reader.mismatch(entry, "a map of names to what is expected"),
        _ => {
            for name in texts(reader, entry)? {
                let held = Held { label: "exists".to_owned(), test: Test::Exists, attribute: None };
                all.push((name, held, entry.value.span));
            }
        }
    }
    Some(all)
}

/// A text, or a list of them.
fn texts(reader: &mut Reader<'_>, entry: &Entry) -> Option<Vec<String>> {
    match &entry.value.kind {
        Kind::List(_) => {
            let mut all = Vec::new();
            for node in reader.list(entry, "names", limits::MAX_CHECKS)? {
                match node.as_text() {
                    Some(text) => all.push(text.to_owned()),
                    None => {
                        return reader.fail(
                            node.span,
                            format!("a name belongs here, found {}", Reader::found(node)),
                            "",
                        );
                    }
                }
            }
            Some(all)
        }
        _ => Some(vec![reader.text(entry)?.to_owned()]),
    }
}

/// What a value is held against: a value, a list of them (each is a test), or a map of tests.
fn tests(reader: &mut Reader<'_>, entry: &Entry, of: Of) -> Option<Vec<Held>> {
    match &entry.value.kind {
        Kind::List(_) => {
            let mut all = Vec::new();
            for item in reader.list(entry, "what is expected", limits::MAX_CHECKS)? {
                all.extend(tests_of(reader, entry, item, of)?);
            }
            Some(all)
        }
        _ => tests_of(reader, entry, &entry.value, of),
    }
}

/// The same for one that is no list.
fn tests_of(reader: &mut Reader<'_>, entry: &Entry, node: &Node, of: Of) -> Option<Vec<Held>> {
    let plain = |(label, test)| vec![Held { label, test, attribute: None }];
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            let fields = reader.map_node(node, &place::TEST)?;
            let attribute = match (fields.get("attribute"), of) {
                (None, _) => None,
                (Some(entry), Of::Css) => Some(reader.text(entry)?.to_ascii_lowercase()),
                (Some(entry), _) => return reader.fail(entry.key_span, "`attribute` goes with `css`", ""),
            };
            let mut all = Vec::new();
            for entry in fields.iter().filter(|e| e.key != "attribute") {
                let (label, test) = test(reader, entry, of)?;
                all.push(Held { label, test, attribute: attribute.clone() });
            }
            let absent =
                fields.get("exists").filter(|_| all.iter().any(|held| matches!(held.test, Test::Absent)));
            if let Some(entry) = absent.filter(|_| all.len() > 1) {
                let label = "what is not there is nothing else: leave it out, or make it a check of its own";
                return reader.fail(entry.value.span, "these tests never pass together", label);
            }
            if all.is_empty() && !fields.odd {
                all.push(Held { label: "exists".to_owned(), test: Test::Exists, attribute });
            }
            Some(all)
        }
        Kind::Scalar { .. } if !node.is_null() || matches!(of, Of::Json) => {
            Some(plain(match of.default_test() {
                Default::Equals => ("equals".to_owned(), Test::Equals(operand(reader, node)?)),
                Default::Includes => ("includes".to_owned(), Test::Includes(operand(reader, node)?)),
                Default::Matches => ("matches".to_owned(), Test::Matches(pattern(reader, node)?)),
            }))
        }
        _ => missing(reader, entry, node),
    }
}

/// Notes that nothing is where something is expected.
fn missing<T>(reader: &mut Reader<'_>, entry: &Entry, node: &Node) -> Option<T> {
    // Nothing has no place of its own worth pointing at.
    if node.is_null() {
        return reader.fail(entry.key_span, "what is expected is missing", "an empty text is `''`");
    }
    reader.fail(node.span, format!("what is expected is missing, found {}", Reader::found(node)), "")
}

fn test(reader: &mut Reader<'_>, entry: &Entry, of: Of) -> Option<(String, Test)> {
    let null = entry.value.is_null();
    if null && (entry.key == "includes" || (entry.key == "equals" && !matches!(of, Of::Json))) {
        return missing(reader, entry, &entry.value);
    }
    let test = match entry.key.as_str() {
        "exists" => match reader.boolean(entry)? {
            true => Test::Exists,
            false => return Some(("is absent".to_owned(), Test::Absent)),
        },
        "equals" => Test::Equals(operand(reader, &entry.value)?),
        "includes" => Test::Includes(operand(reader, &entry.value)?),
        "matches" => Test::Matches(pattern(reader, &entry.value)?),
        "compare" => {
            let text = reader.text(entry)?;
            let (op, rest) = operator(text);
            let Some(op) = op else {
                return reader.mismatch(entry, "a comparison such as `> 5`");
            };
            let at = text.len() - rest.len();
            let expr = reader.expression(rest, &entry.value, at)?;
            return Some((format!("is {text}"), Test::Compare(op, expr)));
        }
        _ => return None,
    };
    Some((entry.key.clone(), test))
}

fn operand(reader: &mut Reader<'_>, node: &Node) -> Option<Operand> {
    match node.as_text() {
        Some(text) if is_template(text) => {
            Some(Operand::Text(reader.phrase(text, node.span, Escape::Raw)?))
        }
        _ => {
            let value = scalar(reader, node)?;
            Some(Operand::Value(value))
        }
    }
}

pub(crate) fn pattern(reader: &mut Reader<'_>, node: &Node) -> Option<regex::bytes::Regex> {
    let Some(text) = node.as_text() else {
        return reader.fail(node.span, format!("a pattern belongs here, found {}", Reader::found(node)), "");
    };
    let built = regex::bytes::RegexBuilder::new(text)
        .size_limit(limits::MAX_REGEX_BYTES)
        .nest_limit(limits::MAX_EXPRESSION_DEPTH)
        .build();
    match built {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let message = format!("{} is not a regular expression", quote(text));
            reader.fail(node.span, message, regex_reason(&error))
        }
    }
}

/// The comparison that a text begins with, and the rest.
fn operator(text: &str) -> (Option<Binary>, &str) {
    for (sign, op) in [
        ("<=", Binary::AtMost),
        (">=", Binary::AtLeast),
        ("==", Binary::Equal),
        ("!=", Binary::Differs),
        ("<", Binary::Less),
        (">", Binary::More),
    ] {
        if let Some(rest) = text.trim_start().strip_prefix(sign) {
            return (Some(op), rest);
        }
    }
    (None, text)
}

fn time_limit(reader: &mut Reader<'_>, entry: &Entry) -> Option<Limit> {
    let text = reader.text(entry)?;
    let (op, rest) = operator(text);
    let op = op.unwrap_or(Binary::Less);
    match parse_duration(rest.trim()) {
        Ok(time) if time.is_zero() && matches!(op, Binary::Less | Binary::AtMost | Binary::Equal) => {
            reader.fail(entry.value.span, "`time`: this never passes", "every response takes time")
        }
        Ok(time) => Some(Limit { op, value: time.as_nanos() as u64 }),
        Err(error) => {
            let advice = crate::reader::duration_advice(rest.trim(), &error);
            reader.fail(entry.value.span, format!("`time`: {error}"), advice)
        }
    }
}

fn size_limit(reader: &mut Reader<'_>, entry: &Entry) -> Option<Limit> {
    let text = reader.text(entry)?;
    let (op, rest) = operator(text);
    match rest.trim().parse::<u64>() {
        Ok(0) if op == Some(Binary::Less) => {
            reader.fail(entry.value.span, "`body_size`: this never passes", "no size is below 0")
        }
        Ok(value) => Some(Limit { op: op.unwrap_or(Binary::Equal), value }),
        Err(_) => reader.mismatch(entry, "a number of bytes, or a comparison such as `> 100`"),
    }
}

/// Only statuses: nothing that takes more than a look at the head.
pub(crate) fn is_plain(checks: &[Check]) -> bool {
    matches!(checks, [] | [Check { kind: CheckKind::Status(_), .. }])
        && checks.iter().all(|c| c.name == "status")
}

/// The value of a default, for extractors.
pub(crate) fn value(reader: &mut Reader<'_>, node: &Node) -> Option<Value> {
    scalar(reader, node)
}
