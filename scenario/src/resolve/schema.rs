//! `check: json_schema`: a JSON Schema written in the plan, or in a file beside it.

use super::body::{contents, json};
use crate::expr::text::is_template;
use crate::limits;
use crate::program::{Schema, Wrong};
use crate::reader::Reader;
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node};
use serde_json::Value;

pub(crate) fn read(reader: &mut Reader<'_>, entry: &Entry) -> Option<Schema> {
    match &entry.value.kind {
        Kind::Map(_) => inline(reader, &entry.value),
        Kind::Scalar { .. } if !entry.value.is_null() => file(reader, entry),
        _ => reader.mismatch(entry, "a JSON Schema or the name of a file with one"),
    }
}

fn inline(reader: &mut Reader<'_>, node: &Node) -> Option<Schema> {
    if let Some(span) = template(node) {
        return reader.fail(
            span,
            "a JSON Schema cannot hold a template",
            "it is compiled before the run begins",
        );
    }
    let phrase = json(reader, node)?;
    let text = phrase.as_constant()?;
    if text.len() as u64 > limits::MAX_SCHEMA_BYTES {
        return too_large(reader, node.span);
    }
    // A plan may hold numbers that are JSON and yet too large for anything that computes with them.
    let document = match serde_json::from_slice(text) {
        Ok(document) => document,
        Err(_) => {
            let span = unreadable_number(node).unwrap_or(node.span);
            let advice = format!("the largest is {:e}", f64::MAX);
            return reader.fail(span, "a number of the JSON Schema is out of range", advice);
        }
    };
    match Schema::compile(document) {
        Ok(schema) => Some(schema),
        Err(wrong) => reader.fail(at(node, &wrong.at), "this is not a JSON Schema", wrong.message),
    }
}

/// The first number that is none once it is read.
fn unreadable_number(node: &Node) -> Option<Span> {
    match &node.kind {
        Kind::Scalar { text, plain } => {
            let infinite = *plain && text.parse::<f64>().is_ok_and(f64::is_infinite);
            infinite.then_some(node.span)
        }
        Kind::List(items) => items.iter().find_map(|item| unreadable_number(item)),
        Kind::Map(entries) => entries.iter().find_map(|entry| unreadable_number(&entry.value)),
    }
}

fn template(node: &Node) -> Option<Span> {
    match &node.kind {
        Kind::Scalar { text, .. } => is_template(text).then_some(node.span),
        Kind::List(items) => items.iter().find_map(|item| template(item)),
        Kind::Map(entries) => entries.iter().find_map(|entry| template(&entry.value)),
    }
}

/// The place of what these keys and numbers lead to, or as near as there is one.
fn at(node: &Node, path: &[String]) -> Span {
    let below = path.split_first().and_then(|(first, rest)| {
        let next = match &node.kind {
            Kind::Map(entries) => entries.iter().find(|e| e.key == *first).map(|e| &e.value),
            Kind::List(items) => first.parse::<usize>().ok().and_then(|i| items.get(i)),
            Kind::Scalar { .. } => None,
        }?;
        Some(at(next, rest))
    });
    below.unwrap_or(node.span)
}

fn file(reader: &mut Reader<'_>, entry: &Entry) -> Option<Schema> {
    let name = reader.fixed(entry)?;
    let span = entry.value.span;
    let (text, size) = contents(reader, name, span, limits::MAX_SCHEMA_BYTES)?;
    if size > limits::MAX_SCHEMA_BYTES {
        return too_large(reader, span);
    }
    let document: Value = match serde_json::from_slice(&text) {
        Ok(document) => document,
        Err(error) => return reader.fail(span, format!("{} is not JSON", quote(name)), error.to_string()),
    };
    match Schema::compile(document) {
        Ok(schema) => Some(schema),
        Err(Wrong { at, message }) => {
            let place = if at.is_empty() { String::new() } else { format!("at /{}: ", at.join("/")) };
            reader.fail(span, format!("{} is not a JSON Schema", quote(name)), format!("{place}{message}"))
        }
    }
}

fn too_large<T>(reader: &mut Reader<'_>, span: Span) -> Option<T> {
    let limit = limits::MAX_SCHEMA_BYTES >> 10;
    reader.fail(span, "this JSON Schema is too large", format!("the limit is {limit} KiB"))
}
