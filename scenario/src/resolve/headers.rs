//! Header fields of requests: the plan's defaults and a step's own.

use crate::limits;
use crate::place;
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node};
use proto::{Field, Template, TemplateError, Text};

/// Fields whose values are secrets wherever they are shown.
const SECRET: &[&str] = &["authorization", "cookie", "proxy-authorization"];

/// A field and where it comes from.
#[derive(Clone)]
pub(crate) struct Header {
    name: String,
    value: String,
    name_span: Span,
    value_span: Span,
}

/// `defaults.headers`. (`defaults.timeout` is read with the other timeouts.)
pub(crate) fn defaults(reader: &mut Reader<'_>, plan: &Fields<'_>) -> Vec<Header> {
    let Some(entry) = plan.get("defaults") else { return vec![] };
    let Some(fields) = reader.map(entry, &place::DEFAULTS) else { return vec![] };
    fields.get("headers").map(|entry| read(reader, entry)).unwrap_or_default()
}

/// Reads a map of headers. What is wrong with single ones is said when they meet a request.
pub(crate) fn read(reader: &mut Reader<'_>, entry: &Entry) -> Vec<Header> {
    let mut headers = Vec::new();
    let Some(entries) = reader.named(entry, "header names to values") else { return headers };
    for entry in entries {
        match &entry.value.kind {
            Kind::List(_) => {
                for item in reader.list(entry, "values", limits::MAX_HEADERS).unwrap_or_default() {
                    push(reader, entry, item, &mut headers);
                }
            }
            _ => push(reader, entry, &entry.value, &mut headers),
        }
        if headers.len() > limits::MAX_HEADERS {
            let message = format!("a request has at most {} headers", limits::MAX_HEADERS);
            reader.problems.add(entry.key_span, message, "");
            return vec![];
        }
    }
    headers
}

fn push(reader: &mut Reader<'_>, entry: &Entry, value: &Node, headers: &mut Vec<Header>) {
    let Some(text) = value.as_text() else {
        let message = format!("the value of header {} must be text", quote(&entry.key));
        let span = if value.is_null() { entry.key_span } else { value.span };
        let label = match value.is_null() {
            true => "found nothing; write `\"\"` for an empty value".to_owned(),
            false => format!("found {}", Reader::found(value)),
        };
        reader.problems.add(span, message, label);
        return;
    };
    headers.push(Header {
        name: entry.key.clone(),
        value: text.to_owned(),
        name_span: entry.key_span,
        value_span: value.span,
    });
}

/// The step's headers and those defaults that it does not replace.
pub(crate) fn combine(defaults: &[Header], own: Vec<Header>) -> Vec<Header> {
    let replaced = |d: &Header| own.iter().any(|h| h.name.eq_ignore_ascii_case(&d.name));
    let mut all: Vec<Header> = defaults.iter().filter(|d| !replaced(d)).cloned().collect();
    all.extend(own);
    all
}

/// Whether a field of this name is there.
pub(crate) fn has(headers: &[Header], name: &str) -> bool {
    headers.iter().any(|h| h.name.eq_ignore_ascii_case(name))
}

/// Adds the fields to the template.
pub(crate) fn add(reader: &mut Reader<'_>, mut template: Template, headers: Vec<Header>) -> Option<Template> {
    let bytes: usize = headers.iter().map(|h| h.name.len() + h.value.len()).sum();
    if headers.len() > limits::MAX_HEADERS || bytes > limits::MAX_HEADER_BYTES {
        let at = headers.last()?.name_span;
        let message = format!(
            "a request has at most {} headers of {} bytes",
            limits::MAX_HEADERS,
            limits::MAX_HEADER_BYTES
        );
        return reader.fail(at, message, format!("this one has {} of {bytes} bytes", headers.len()));
    }
    for header in headers {
        let secret = SECRET.iter().any(|s| s.eq_ignore_ascii_case(&header.name));
        let field = Field { name: header.name.clone(), value: Text::literal(&header.value), secret };
        template = match template.field(field) {
            Ok(template) => template,
            Err(error) => return refused(reader, &header, &error),
        };
    }
    Some(template)
}

/// A field for a body whose kind is known.
pub(crate) fn content_type(template: Template, value: &str) -> Option<Template> {
    let field = Field { name: "content-type".to_owned(), value: Text::literal(value), secret: false };
    template.field(field).ok()
}

fn refused<T>(reader: &mut Reader<'_>, header: &Header, error: &TemplateError) -> Option<T> {
    match error {
        TemplateError::FieldValue(_) => {
            let label = match header.value.ends_with('\n') {
                true => "it ends with a line break; `|-` in place of `|` leaves that out",
                false => "line breaks and control characters cannot be sent",
            };
            let message = format!("the value of header {} cannot be sent", quote(&header.name));
            reader.fail(header.value_span, message, label)
        }
        TemplateError::Reserved(name) => {
            let label = match name.eq_ignore_ascii_case("host") {
                true => "it follows from the target",
                false => "it follows from the body",
            };
            reader.fail(
                header.name_span,
                format!("header {} is written by loadgen itself", quote(name)),
                label,
            )
        }
        _ => reader.fail(header.name_span, format!("{} is not a header name", quote(&header.name)), ""),
    }
}
