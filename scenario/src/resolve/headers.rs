//! Header fields of requests: the plan's defaults and a step's own.

use crate::expr::text::{Escape, Part, Phrase};
use crate::limits;
use crate::reader::Reader;
use crate::secret::is_never_indexed;
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node};
use proto::{Field, Piece, Template, TemplateError, Text};

/// A field and where it comes from.
#[derive(Clone)]
pub(crate) struct Header {
    name: String,
    value: String,
    name_span: Span,
    value_span: Span,
    /// The value, where it was made and not written.
    made: Option<Phrase>,
}

impl Header {
    /// A field that follows from another key.
    pub fn made(name: &str, value: Phrase, place: Span) -> Header {
        let name = name.to_owned();
        Header { name, value: String::new(), name_span: place, value_span: place, made: Some(value) }
    }
}

/// The values that a request's template has places for.
#[derive(Default)]
pub(crate) struct Slots(pub Vec<Phrase>);

impl Slots {
    /// A text of the template; what has to be worked out gets places.
    pub fn text(&mut self, phrase: Phrase) -> Text {
        if let Some(bytes) = phrase.as_constant() {
            return Text::literal(bytes);
        }
        let piece = |part: Part| match part {
            Part::Literal(bytes) => Piece::Literal(bytes),
            value => {
                self.0.push(Phrase(vec![value]));
                Piece::Slot(self.0.len() as u16 - 1)
            }
        };
        Text::new(phrase.0.into_iter().map(piece).collect())
    }
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
        made: None,
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

/// The place of a field of this name.
pub(crate) fn span_of(headers: &[Header], name: &str) -> Option<Span> {
    headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.name_span)
}

/// Adds the fields to the template.
pub(crate) fn add(
    reader: &mut Reader<'_>,
    mut template: Template,
    headers: Vec<Header>,
    slots: &mut Slots,
) -> Option<Template> {
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
        let secret = is_never_indexed(&header.name);
        let value = match &header.made {
            Some(phrase) => phrase.clone(),
            None => reader.phrase(&header.value, header.value_span, Escape::Raw)?,
        };
        let field = Field { name: header.name.clone(), value: slots.text(value), secret };
        template = match template.field(field) {
            Ok(template) => template,
            Err(error) => return refused(reader, &header, &error),
        };
    }
    Some(template)
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
