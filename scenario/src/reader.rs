//! Reads values of known kinds out of the tree; what is of another kind becomes an error and `None`.
//!
//! `None` always means: an error was noted. The walk goes on with the rest, so that one run shows several errors.

use crate::duration::{DurationError, parse_duration};
use crate::error::Problems;
use crate::expr::Expr;
use crate::expr::parse::{ExprError, expression};
use crate::expr::text::{self, Escape, Phrase};
use crate::limits;
use crate::place::{self, Place};
use crate::scope::Scope;
use crate::source::{Sources, Span, quote};
use crate::tree::{Entry, Kind, Node};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// The state of a walk over a plan.
pub(crate) struct Reader<'a> {
    pub sources: &'a Sources<'a>,
    pub base_dir: &'a Path,
    pub problems: Problems,
    /// Bytes of body files read so far.
    pub file_bytes: u64,
    /// Files that the plan names and that were there.
    pub files: Vec<PathBuf>,
    /// The names that templates may use.
    pub scope: Scope,
}

/// A map whose keys were checked.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    keys: &'static [&'static str],
    /// Where errors about the whole map point.
    pub span: Span,
    /// Whether it has keys that are illegal here or not supported yet.
    pub odd: bool,
}

impl<'n> Fields<'n> {
    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    /// The entry of a key in the map behind another.
    pub fn within(&self, map: &str, key: &str) -> Option<&'n Entry> {
        self.get(map)?.value.entry(key)
    }

    /// Whether a key is not there, and not there with a typing error either, which has its message already.
    pub fn lacks(&self, key: &str) -> bool {
        let mistyped = |e: &Entry| {
            !self.keys.contains(&e.key.as_str()) && place::nearest(&e.key, self.keys) == Some(key)
        };
        self.get(key).is_none() && !(self.odd && self.entries.iter().take(limits::MAX_LIST).any(mistyped))
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'n Entry> + use<'n> {
        self.entries.iter()
    }
}

impl<'a> Reader<'a> {
    /// Notes an error.
    pub fn fail<T>(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>) -> Option<T> {
        self.problems.add(span, message, label);
        None
    }

    /// What a value is, for a message.
    pub fn found(node: &Node) -> String {
        match &node.kind {
            _ if node.is_null() => "nothing".to_owned(),
            Kind::Scalar { text, plain: true } => quote(text),
            Kind::Scalar { text, plain: false } => format!("the text {}", quote(text)),
            Kind::List(items) if items.is_empty() => "an empty list".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }

    /// Notes that a value is of the wrong kind.
    pub fn mismatch<T>(&mut self, entry: &Entry, expected: &str) -> Option<T> {
        // Nothing has no place of its own worth pointing at.
        let span = if entry.value.is_null() { entry.key_span } else { entry.value.span };
        let message = format!("{} must be {expected}", quote(&entry.key));
        self.fail(span, message, format!("found {}", Reader::found(&entry.value)))
    }

    /// Where a file that is named here is looked for: beside the file that names it.
    pub fn beside(&self, span: Span) -> &'a Path {
        let sources = self.sources;
        let file = sources.0.get(span.source as usize).and_then(|s| s.path.as_deref());
        file.map_or(self.base_dir, |file| file.parent().unwrap_or(Path::new("")))
    }

    /// A part of a scalar's text, as a place: exact where the text stands in the source as it is.
    pub fn part(&self, node: &Node, start: usize, end: usize) -> Span {
        let Kind::Scalar { text, .. } = &node.kind else { return node.span };
        self.part_of(text, node.span, start, end)
    }

    /// The same for the text of a scalar and the scalar's place.
    pub fn part_of(&self, text: &str, span: Span, start: usize, end: usize) -> Span {
        let raw = self.sources.slice(span);
        match raw.find(text) {
            Some(at) if at <= 1 && !text.is_empty() => Span {
                source: span.source,
                start: span.start + at + start.min(text.len()),
                end: span.start + at + end.min(text.len()),
            },
            // A plain text in a flow map may have an odd place; the expression alone is found more often.
            _ => match text.get(start..end).filter(|part| part.len() > 1).and_then(|part| raw.find(part)) {
                Some(at) => {
                    Span { source: span.source, start: span.start + at, end: span.start + at + end - start }
                }
                None => span,
            },
        }
    }

    /// A text that may have templates in it.
    pub fn phrase(&mut self, text: &str, span: Span, escape: Escape) -> Option<Phrase> {
        let scope = &mut self.scope;
        match text::phrase(text, escape, &mut |name| scope.meaning(name)) {
            Ok(phrase) => Some(phrase),
            Err(error) => self.bad_expression(text, span, 0, error),
        }
    }

    /// One template out of a text.
    pub fn part_phrase(&mut self, node: &Node, template: &str) -> Option<Phrase> {
        let whole = node.as_text().unwrap_or_default();
        let offset = whole.find(template).unwrap_or(0);
        let scope = &mut self.scope;
        match text::phrase(template, Escape::Raw, &mut |name| scope.meaning(name)) {
            Ok(phrase) => Some(phrase),
            Err(error) => {
                let whole = whole.to_owned();
                self.bad_expression(&whole, node.span, offset, error)
            }
        }
    }

    /// A condition, or another expression; `text` begins at byte `offset` of the node's text.
    pub fn expression(&mut self, text: &str, node: &Node, offset: usize) -> Option<Expr> {
        let trimmed = text.trim();
        let (inside, at) = match trimmed.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")) {
            Some(inside) => (inside, text.find("{{").unwrap_or(0) + 2),
            None => (text, 0),
        };
        let scope = &mut self.scope;
        match expression(inside, &mut |name| scope.meaning(name)) {
            Ok(expr) => Some(expr),
            Err(error) => {
                let whole = node.as_text().unwrap_or_default().to_owned();
                self.bad_expression(&whole, node.span, offset + at, error)
            }
        }
    }

    fn bad_expression<T>(&mut self, text: &str, span: Span, offset: usize, error: ExprError) -> Option<T> {
        let span = self.part_of(text, span, offset + error.at.start, offset + error.at.end);
        self.fail(span, error.message, error.label)
    }

    /// Text in which no template can be.
    pub fn fixed<'n>(&mut self, entry: &'n Entry) -> Option<&'n str> {
        let text = self.text(entry)?;
        match self.template(&entry.value, text) {
            None => Some(text),
            Some(span) => self.fail(
                span,
                format!("{} cannot hold a template", quote(&entry.key)),
                "it is needed before the run begins",
            ),
        }
    }

    /// The place of the first template in the text of a node.
    pub fn template(&self, node: &Node, text: &str) -> Option<Span> {
        let start = text.find("{{")?;
        let end = text[start..].find("}}").map_or(text.len(), |at| start + at + 2);
        Some(self.part(node, start, end))
    }

    /// The map behind a key; its keys are checked against the place.
    pub fn map<'n>(&mut self, entry: &'n Entry, place: &Place) -> Option<Fields<'n>> {
        match &entry.value.kind {
            Kind::Map(entries) => Some(self.keys(entries, entry.key_span, place)),
            _ => {
                let before = self.problems.count();
                let none = self.mismatch(entry, "a map");
                if self.problems.count() > before {
                    self.problems.note(format!("{} takes {}", place.name, place::list(place.keys)));
                }
                none
            }
        }
    }

    /// The map that an element of a list is.
    pub fn map_node<'n>(&mut self, node: &'n Node, place: &Place) -> Option<Fields<'n>> {
        match &node.kind {
            Kind::Map(entries) => {
                let span = entries.first().map_or(node.span, |e| e.key_span);
                Some(self.keys(entries, span, place))
            }
            _ => self.fail(
                node.span,
                format!("{} must be a map, found {}", place.name, Reader::found(node)),
                match node.as_text() {
                    Some(text) if place.keys.contains(&"get") && text.starts_with('/') => {
                        format!("did you mean {}?", quote(&format!("get: {text}")))
                    }
                    _ => format!("expected {}", place::list(place.keys)),
                },
            ),
        }
    }

    fn keys<'n>(&mut self, entries: &'n [Entry], span: Span, place: &Place) -> Fields<'n> {
        let mut odd = false;
        for entry in entries {
            let key = entry.key.as_str();
            if place.keys.contains(&key) || (place.name == place::PLAN.name && key.starts_with("x-")) {
                continue;
            }
            odd = true;
            if self.problems.is_full() {
                break;
            }
            match place.later.contains(&key) {
                true => self.problems.add(
                    entry.key_span,
                    format!("{} is not supported yet", quote(key)),
                    "part of the plan language, but this version cannot do it",
                ),
                false => self.problems.add(
                    entry.key_span,
                    format!("unknown key {}", quote(key)),
                    place.advice(key),
                ),
            }
        }
        Fields { entries, keys: place.keys, span, odd }
    }

    /// A map from names that the user chose.
    pub fn named<'n>(&mut self, entry: &'n Entry, of: &str) -> Option<&'n [Entry]> {
        match &entry.value.kind {
            Kind::Map(entries) if !entries.is_empty() => Some(entries),
            _ => self.mismatch(entry, &format!("a map of {of}")),
        }
    }

    /// A list that is not empty.
    pub fn list<'n>(&mut self, entry: &'n Entry, of: &str, most: usize) -> Option<&'n [Rc<Node>]> {
        match &entry.value.kind {
            Kind::List(items) if items.len() > most => {
                let message = format!("{} has more than {most} entries", quote(&entry.key));
                self.fail(entry.key_span, message, format!("{} entries", items.len()))
            }
            Kind::List(items) if !items.is_empty() => Some(items),
            _ => self.mismatch(entry, &format!("a list of {of}")),
        }
    }

    /// Text: any scalar, as it is written.
    pub fn text<'n>(&mut self, entry: &'n Entry) -> Option<&'n str> {
        match entry.value.as_text() {
            Some(text) => Some(text),
            None => self.mismatch(entry, "text"),
        }
    }

    /// A name: text that can stand in a table.
    pub fn name<'n>(&mut self, text: &'n str, span: Span) -> Option<&'n str> {
        if text.trim().is_empty() {
            return self.fail(span, "a name must not be empty", "");
        }
        if text.chars().count() > limits::MAX_NAME {
            return self.fail(span, format!("a name has at most {} characters", limits::MAX_NAME), "");
        }
        if text.chars().any(char::is_control) {
            return self.fail(span, "a name holds no control character", "");
        }
        Some(text)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, entry: &Entry) -> Option<bool> {
        match entry.value.as_plain() {
            Some("true" | "True" | "TRUE") => Some(true),
            Some("false" | "False" | "FALSE") => Some(false),
            _ => self.mismatch(entry, "`true` or `false`"),
        }
    }

    /// A whole number within a range.
    pub fn integer(&mut self, entry: &Entry, range: RangeInclusive<u64>) -> Option<u64> {
        let (least, most) = (range.start(), range.end());
        let expected = match *most {
            u64::MAX => format!("a whole number, at least {least}"),
            most => format!("a whole number from {least} to {most}"),
        };
        let digits = entry.value.as_plain().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
        match digits.map(str::parse::<u64>) {
            Some(Ok(n)) if range.contains(&n) => Some(n),
            _ => match entry.value.as_text().and_then(bytes_meant) {
                Some(n) => {
                    let message = format!("{} must be {expected}", quote(&entry.key));
                    self.fail(entry.value.span, message, format!("did you mean `{n}`?"))
                }
                None => self.mismatch(entry, &expected),
            },
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, entry: &Entry, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let text = match entry.value.as_text() {
            Some(text) => text,
            None => return self.mismatch(entry, &place::list(&names)),
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let label = match place::nearest(text, &names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("expected {}", place::list(&names)),
        };
        self.fail(entry.value.span, format!("{} cannot be {}", quote(&entry.key), quote(text)), label)
    }

    /// A time, possibly 0.
    pub fn duration(&mut self, entry: &Entry) -> Option<Duration> {
        let Some(text) = entry.value.as_text() else { return self.mismatch(entry, "a time such as `10s`") };
        match parse_duration(text) {
            Ok(time) => Some(time),
            Err(error) => {
                let advice = duration_advice(text, &error);
                self.fail(entry.value.span, format!("{}: {error}", quote(&entry.key)), advice)
            }
        }
    }

    /// A time above 0.
    pub fn positive_duration(&mut self, entry: &Entry) -> Option<Duration> {
        match self.duration(entry)? {
            Duration::ZERO => {
                self.fail(entry.value.span, format!("{} must be longer than 0", quote(&entry.key)), "")
            }
            time => Some(time),
        }
    }

    /// A time limit: a time above 0, or `none`.
    pub fn time_limit(&mut self, entry: &Entry) -> Option<Option<Duration>> {
        match entry.value.as_plain() {
            Some("none") => Some(None),
            _ => self.positive_duration(entry).map(Some),
        }
    }
}

/// The number that is meant by one with a unit of bytes.
fn bytes_meant(text: &str) -> Option<u64> {
    let (digits, unit) = text.trim().split_at(text.trim().find(|c: char| !c.is_ascii_digit())?);
    let factor = match unit.trim().to_lowercase().as_str() {
        "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// What to write instead of something that is no time.
pub(crate) fn duration_advice(text: &str, error: &DurationError) -> String {
    const UNITS: &str = "the units are ns, us, ms, s, m and h";
    match error {
        DurationError::NoUnit => format!("say `{0}ms` or `{0}s`; {UNITS}", text.trim()),
        DurationError::Blank => {
            let joined = text.replace(char::is_whitespace, "");
            match parse_duration(&joined) {
                Err(error @ DurationError::Unit(_)) => duration_advice(&joined, &error),
                _ => format!("did you mean `{joined}`?"),
            }
        }
        DurationError::Unit(unit) => {
            let (known, number) = (unit.trim().to_lowercase(), text.trim_end_matches(unit.as_str()));
            let meant = match known.as_str() {
                "sec" | "secs" | "second" | "seconds" | "s" => "s",
                "msec" | "msecs" | "millis" | "milliseconds" | "ms" => "ms",
                "usec" | "micros" | "microseconds" | "us" => "us",
                "nanos" | "nanoseconds" | "ns" => "ns",
                "min" | "mins" | "minute" | "minutes" | "m" => "m",
                "hr" | "hrs" | "hour" | "hours" | "h" => "h",
                // A comma where English has a point.
                "," if parse_duration(&text.replacen(',', ".", 1)).is_ok() => {
                    return format!("did you mean `{}`? {UNITS}", text.replacen(',', ".", 1).trim());
                }
                _ => return UNITS.to_owned(),
            };
            format!("did you mean `{number}{meant}`? {UNITS}")
        }
        _ => format!("write `500ms`, `1.5s` or `2m`; {UNITS}"),
    }
}
