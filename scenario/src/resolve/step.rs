//! One step of a scenario.

use super::headers::{self, Header};
use super::targets::Targets;
use super::{body, status};
use crate::limits;
use crate::place;
use crate::plan::{Check, Step};
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::tree::{Entry, Node};
use bytes::Bytes;
use proto::{Framing, Template, Text, Want};

/// Methods whose requests have a length even without a body (RFC 9110 section 8.6).
const EXPECT_BODY: &[&str] = &["POST", "PUT", "PATCH"];

/// Reads a step; with it the place of its name, if it was given one.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    node: &Node,
    defaults: &[Header],
    targets: &mut Targets,
) -> Option<(Step, Option<Span>)> {
    let fields = reader.map_node(node, &place::STEP)?;
    let line = request_line(reader, &fields);
    let name = fields.get("name").map(|entry| {
        let name = reader.text(entry)?;
        reader.name(name, entry.value.span).map(|name| (name.to_owned(), entry.value.span))
    });
    let own = fields.get("headers").map(|entry| headers::read(reader, entry)).unwrap_or_default();
    let body = body::read(reader, &fields);
    let checks = checks(reader, &fields);
    let timeout = fields.get("timeout").map(|entry| reader.positive_duration(entry));

    let (method, url) = line?;
    let (target, path) = targets.of_step(reader, url, method == "OPTIONS")?;
    let all = headers::combine(defaults, own);
    let (template, body) = request(reader, &targets.list[target], url, (&method, &path), all, body?)?;
    let (name, given) = match name {
        Some(name) => name.map(|(name, span)| (name, Some(span)))?,
        None => (default_name(&method, &path), None),
    };
    let timeout = match timeout {
        Some(timeout) => Some(timeout?),
        None => None,
    };
    let step = Step { name, target, template, body, checks: checks?, timeout, want: Want::default() };
    Some((step, given))
}

/// The method and the value that holds the path or URL.
fn request_line<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>) -> Option<(String, &'n Node)> {
    let says = |e: &&Entry| place::METHODS.contains(&e.key.as_str()) || e.key == "request";
    let mut given = fields.iter().filter(says);
    let Some(entry) = given.next() else {
        // A step of a kind that is not built yet, or with a typing error, has its message already.
        if !fields.odd {
            let methods = place::list(place::METHODS);
            reader.problems.add(fields.span, "the step requests nothing", format!("give it {methods}"));
        }
        return None;
    };
    if let Some(second) = given.next() {
        let message = format!("a step makes one request, and {} is there already", quote(&entry.key));
        return reader.fail(second.key_span, message, "make it a step of its own");
    }
    if entry.key != "request" {
        reader.text(entry)?;
        return Some((entry.key.to_ascii_uppercase(), &entry.value));
    }
    let fields = reader.map(entry, &place::REQUEST)?;
    let (Some(method), Some(path)) = (fields.get("method"), fields.get("path")) else {
        return reader.fail(entry.key_span, "`request` needs `method` and `path`", "");
    };
    let (name, _) = (reader.text(method)?, reader.text(path)?);
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.len() > limits::MAX_NAME || !name.bytes().all(is_token) {
        return reader.fail(method.value.span, format!("{} is not a method", quote(name)), "");
    }
    if name == "CONNECT" {
        return reader.fail(
            method.value.span,
            "CONNECT asks for a tunnel, which is not a request to measure",
            "",
        );
    }
    Some((name.to_owned(), &path.value))
}

fn checks(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Vec<Check>> {
    let Some(entry) = fields.get("check") else { return Some(vec![]) };
    let fields = reader.map(entry, &place::CHECK)?;
    match fields.get("status") {
        Some(entry) => Some(vec![Check::Status(status::read(reader, entry)?)]),
        None if fields.odd => None,
        None => reader.fail(entry.key_span, "`check` checks nothing", "give it `status: 200`"),
    }
}

fn request(
    reader: &mut Reader<'_>,
    target: &crate::plan::Target,
    url: &Node,
    (method, path): (&str, &str),
    headers: Vec<Header>,
    body: Option<body::Body>,
) -> Option<(Template, Bytes)> {
    let (authority, text) = (Text::literal(&target.authority), Text::literal(path));
    let template = match Template::new(method, target.scheme, authority, text) {
        Ok(template) => template,
        Err(error) => return reader.fail(url.span, format!("not a request: {error}"), ""),
    };
    let has_type = headers::has(&headers, "content-type");
    let mut template = headers::add(reader, template, headers)?;
    let framing = match body.is_some() || EXPECT_BODY.contains(&method) {
        true => Framing::Length,
        false => Framing::None,
    };
    let mut bytes = Bytes::new();
    if let Some(body) = body {
        if let Some(kind) = body.content_type.filter(|_| !has_type) {
            template = headers::content_type(template, kind)?;
        }
        bytes = body.bytes;
    }
    Some((template.body(framing, false), bytes))
}

/// Method and path, cut to the length of a name.
fn default_name(method: &str, path: &str) -> String {
    let name = format!("{method} {path}");
    if name.chars().count() <= limits::MAX_NAME {
        return name;
    }
    name.chars().take(limits::MAX_NAME - 3).chain("...".chars()).collect()
}
