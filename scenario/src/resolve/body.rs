//! What a request carries: `body`, `json`, `form`, `multipart` or `file`.

use crate::expr::text::{Escape, Phrase, Raw, is_template, split};
use crate::limits;
use crate::place;
use crate::program::Payload;
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node};
use bytes::Bytes;
use std::fmt::Write as _;
use std::io::Read as _;

/// A body and the media type that goes with how it was given.
pub(crate) struct Body {
    pub payload: Payload,
    pub content_type: Option<String>,
}

/// The body of a step; `Some(None)` without one.
pub(crate) fn read(reader: &mut Reader<'_>, step: &Fields<'_>) -> Option<Option<Body>> {
    let mut given = ["body", "json", "form", "multipart", "file"].into_iter().filter_map(|key| step.get(key));
    let Some(entry) = given.next() else { return Some(None) };
    if let Some(second) = given.next() {
        let message = format!("a request has one body, and there is {} already", quote(&entry.key));
        return reader.fail(
            second.key_span,
            message,
            "use one of `body`, `json`, `form`, `multipart` and `file`",
        );
    }
    let (payload, content_type) = match entry.key.as_str() {
        "body" => {
            let text = reader.text(entry)?;
            (payload(reader.phrase(text, entry.value.span, Escape::Raw)?), None)
        }
        "json" => (payload(json(reader, &entry.value)?), Some("application/json".to_owned())),
        "form" => (payload(form(reader, entry)?), Some("application/x-www-form-urlencoded".to_owned())),
        "multipart" => {
            let kind = format!("multipart/form-data; boundary={BOUNDARY}");
            (payload(multipart(reader, entry)?), Some(kind))
        }
        _ => (Payload::Fixed(file(reader, entry)?), None),
    };
    Some(Some(Body { payload, content_type }))
}

/// What needs no working out is kept ready.
fn payload(phrase: Phrase) -> Payload {
    match phrase.as_constant() {
        Some(bytes) => Payload::Fixed(Bytes::copy_from_slice(bytes)),
        None => Payload::Rendered(phrase),
    }
}

/// Between the parts of a form with files (RFC 7578). Unlikely in any content, and the same always, so that bodies are too.
const BOUNDARY: &str = "loadgen-part-7f3a9c41d2e85b06";

fn multipart(reader: &mut Reader<'_>, entry: &Entry) -> Option<Phrase> {
    let mut out = Phrase::default();
    for field in reader.named(entry, "field names to values or files")? {
        if field.key.contains(['"', '\r', '\n']) {
            return reader.fail(field.key_span, "the name of a part holds no quotes and no line breaks", "");
        }
        out.literal(
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{}\"", field.key).as_bytes(),
        );
        part(reader, field, &mut out)?;
        out.literal(b"\r\n");
    }
    out.literal(format!("--{BOUNDARY}--\r\n").as_bytes());
    Some(out)
}

fn part(reader: &mut Reader<'_>, field: &Entry, out: &mut Phrase) -> Option<()> {
    let Kind::Map(_) = &field.value.kind else {
        let text = reader.text(field)?;
        out.literal(b"\r\n\r\n");
        out.append(reader.phrase(text, field.value.span, Escape::Raw)?);
        return Some(());
    };
    let fields = reader.map(field, &place::PART)?;
    let mut named = |key: &str| match fields.get(key) {
        None => Some(None),
        Some(entry) => {
            let text = reader.text(entry)?;
            match text.contains(['"', '\r', '\n']) {
                true => reader.fail(
                    entry.value.span,
                    format!("{} holds no quotes and no line breaks", quote(key)),
                    "",
                ),
                false => Some(Some(reader.phrase(text, entry.value.span, Escape::Raw)?)),
            }
        }
    };
    let (filename, content_type) = (named("filename")?, named("content_type")?);
    let content = match (fields.get("file"), fields.get("value")) {
        (Some(entry), None) => {
            let mut phrase = Phrase::default();
            phrase.literal(&file(reader, entry)?);
            phrase
        }
        (None, Some(entry)) => {
            let text = reader.text(entry)?;
            reader.phrase(text, entry.value.span, Escape::Raw)?
        }
        _ if fields.odd => return None,
        _ => return reader.fail(field.key_span, "a part has either `value` or `file`", ""),
    };
    let last = fields.get("file").and_then(|e| e.value.as_text()).and_then(|f| f.rsplit('/').next());
    let filename = filename.or_else(|| {
        let mut phrase = Phrase::default();
        phrase.literal(last?.as_bytes());
        Some(phrase)
    });
    if let Some(name) = filename {
        out.literal(b"; filename=\"");
        out.append(name);
        out.literal(b"\"");
    }
    if content_type.is_some() || last.is_some() {
        out.literal(b"\r\ncontent-type: ");
        match content_type {
            Some(kind) => out.append(kind),
            None => out.literal(b"application/octet-stream"),
        }
    }
    out.literal(b"\r\n\r\n");
    out.append(content);
    Some(())
}

fn file(reader: &mut Reader<'_>, entry: &Entry) -> Option<Bytes> {
    let name = reader.fixed(entry)?;
    let span = entry.value.span;
    let room = limits::MAX_BODY_BYTES.min(limits::MAX_ALL_BODY_BYTES - reader.file_bytes);
    let (bytes, size) = contents(reader, name, span, room)?;
    if size > room {
        return too_large(reader, span, name, size);
    }
    reader.file_bytes += size;
    Some(Bytes::from(bytes))
}

/// The bytes of a file beside the plan, and how many it has. Where those are more than `room`, it is not read to the end.
pub(crate) fn contents(reader: &mut Reader<'_>, name: &str, span: Span, room: u64) -> Option<(Vec<u8>, u64)> {
    let path = reader.beside(span).join(name);
    let meta = match std::fs::metadata(&path) {
        Ok(meta) if meta.is_file() => meta,
        Ok(_) => {
            return reader.fail(span, format!("{} is not a file", quote(name)), "expected a regular file");
        }
        Err(error) => return unreadable(reader, span, name, &error),
    };
    let size = meta.len();
    if size > room {
        return Some((vec![], size));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // It may have grown, and some say that they are empty until they are read.
    match std::fs::File::open(&path).and_then(|f| f.take(room + 1).read_to_end(&mut bytes)) {
        Ok(read) => {
            reader.files.push(path);
            Some((bytes, read as u64))
        }
        Err(error) => unreadable(reader, span, name, &error),
    }
}

fn too_large<T>(reader: &mut Reader<'_>, span: Span, name: &str, size: u64) -> Option<T> {
    let (one, all) = (limits::MAX_BODY_BYTES >> 20, limits::MAX_ALL_BODY_BYTES >> 20);
    let message = format!("{} is too large for a body", quote(name));
    reader.fail(span, message, format!("{size} bytes; the limit is {one} MiB for one and {all} MiB for all"))
}

/// Notes that a file cannot be read.
pub(crate) fn unreadable<T>(
    reader: &mut Reader<'_>,
    span: Span,
    name: &str,
    error: &std::io::Error,
) -> Option<T> {
    let label = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file; paths are relative to the plan".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        std::io::ErrorKind::NotADirectory => "a part of the path is a file, not a directory".to_owned(),
        _ => "the system refuses it".to_owned(),
    };
    reader.fail(span, format!("cannot read {}", quote(name)), label)
}

fn form(reader: &mut Reader<'_>, entry: &Entry) -> Option<Phrase> {
    let mut out = Phrase::default();
    let mut first = true;
    for field in reader.named(entry, "field names to values")? {
        let values: Vec<&Node> = match &field.value.kind {
            Kind::List(items) => items.iter().map(|item| &**item).collect(),
            _ => vec![&*field.value],
        };
        for value in values {
            let Some(text) = value.as_text() else {
                let message = format!("the value of the form's field {} must be text", quote(&field.key));
                let span = if value.is_null() { field.key_span } else { value.span };
                return reader.fail(span, message, format!("found {}", Reader::found(value)));
            };
            if !first {
                out.literal(b"&");
            }
            first = false;
            if !is_template(text) {
                let mut pair = url::form_urlencoded::Serializer::new(String::new());
                out.literal(pair.append_pair(&field.key, text).finish().as_bytes());
                continue;
            }
            let name: String = url::form_urlencoded::byte_serialize(field.key.as_bytes()).collect();
            out.literal(name.as_bytes());
            out.literal(b"=");
            let text = text.to_owned();
            out.append(reader.phrase(&text, value.span, Escape::Url)?);
        }
    }
    Some(out)
}

/// The value as JSON. Numbers keep the digits they are written with.
pub(crate) fn json(reader: &mut Reader<'_>, node: &Node) -> Option<Phrase> {
    let mut out = Json::default();
    write_json(reader, node, &mut out)?;
    out.phrase.literal(out.text.as_bytes());
    Some(out.phrase)
}

/// JSON so far: the text is moved into the phrase where a template comes.
#[derive(Default)]
struct Json {
    phrase: Phrase,
    text: String,
}

/// A text with templates. One that is nothing but a template keeps the type of its value.
fn write_template(reader: &mut Reader<'_>, node: &Node, text: &str, json: &mut Json) -> Option<()> {
    let alone = matches!(split(text).as_deref(), Ok([Raw::Expr(..)]));
    if !alone {
        json.text.push('"');
    }
    json.phrase.literal(std::mem::take(&mut json.text).as_bytes());
    json.phrase.append(reader.phrase(text, node.span, Escape::Json)?);
    if !alone {
        json.text.push('"');
    }
    Some(())
}

fn write_json(reader: &mut Reader<'_>, node: &Node, json: &mut Json) -> Option<()> {
    if let Kind::Scalar { text, .. } = &node.kind
        && is_template(text)
    {
        return write_template(reader, node, text, json);
    }
    let out = &mut json.text;
    match &node.kind {
        Kind::Scalar { .. } if node.is_null() => out.push_str("null"),
        Kind::Scalar { text, plain } => match plain.then(|| plain_json(text)).unwrap_or(Plain::Text) {
            Plain::Value(value) => out.push_str(&value),
            Plain::Text => push_string(out, text),
            Plain::NotJson => {
                let message = format!("JSON has no number {}", quote(text));
                return reader.fail(node.span, message, "put it into quotes if it is meant as text");
            }
        },
        Kind::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                json.text.push_str(if i > 0 { "," } else { "" });
                write_json(reader, item, json)?;
            }
            json.text.push(']');
        }
        Kind::Map(entries) => {
            out.push('{');
            for (i, entry) in entries.iter().enumerate() {
                json.text.push_str(if i > 0 { "," } else { "" });
                push_string(&mut json.text, &entry.key);
                json.text.push(':');
                write_json(reader, &entry.value, json)?;
            }
            json.text.push('}');
        }
    }
    Some(())
}

/// What a scalar without quotes means.
enum Plain {
    Value(String),
    Text,
    NotJson,
}

/// The core schema of YAML 1.2 (section 10.3.2).
fn plain_json(text: &str) -> Plain {
    match text {
        "true" | "True" | "TRUE" => return Plain::Value("true".to_owned()),
        "false" | "False" | "FALSE" => return Plain::Value("false".to_owned()),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Plain::NotJson;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return match u64::from_str_radix(digits, radix) {
                Ok(n) if !digits.starts_with('+') => Plain::Value(n.to_string()),
                _ => Plain::Text,
            };
        }
    }
    match is_number(unsigned) {
        true => Plain::Value(json_number(text)),
        false => Plain::Text,
    }
}

/// `[0-9]+ (. [0-9]*)? ([eE] [-+]? [0-9]+)?`, or with the digits only behind the point.
fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && whole.len() + fraction.len() > 0
        && exponent.is_none_or(|e| {
            let e = e.strip_prefix(['-', '+']).unwrap_or(e);
            !e.is_empty() && digits(e)
        })
}

/// A YAML number as JSON writes it: no `+`, no leading zeros, digits on both sides of the point.
pub(super) fn json_number(text: &str) -> String {
    let (sign, text) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { "-" } else { "" }, rest),
        None => ("", text),
    };
    let (mantissa, exponent) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let mut out = format!("{sign}{}", if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        let _ = write!(out, ".{fraction}");
    }
    out + exponent
}

/// A JSON string (RFC 8259 section 7).
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        match plain_json(text) {
            Plain::Value(value) => value,
            Plain::Text => format!("text {text}"),
            Plain::NotJson => "not JSON".to_owned(),
        }
    }

    #[test]
    fn numbers_of_yaml_as_json() {
        let cases = [
            ("0", "0"),
            ("-0", "-0"),
            ("007", "7"),
            ("+1", "1"),
            ("1.10", "1.10"),
            ("1.", "1"),
            (".5", "0.5"),
            ("-.5e3", "-0.5e3"),
            ("1e400", "1e400"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("True", "true"),
            ("yes", "text yes"),
            ("1.2.3", "text 1.2.3"),
            ("1e", "text 1e"),
            ("-", "text -"),
            (".", "text ."),
            ("0x", "text 0x"),
            ("0x+1", "text 0x+1"),
            ("1_000", "text 1_000"),
            ("12:30", "text 12:30"),
            (".inf", "not JSON"),
            ("-.INF", "not JSON"),
            (".nan", "not JSON"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text}");
            if let Plain::Value(value) = plain_json(text)
                && !text.contains("e4")
            {
                serde_json::from_str::<serde_json::Value>(&value).unwrap_or_else(|e| panic!("{value}: {e}"));
            }
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        push_string(&mut out, "a\"\\\n\u{1}ü");
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001ü\"");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), "a\"\\\n\u{1}ü");
    }
}
