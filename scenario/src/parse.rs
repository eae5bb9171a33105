//! YAML text into a [`Node`]: syntax, aliases, duplicate keys, size. The only file that knows the YAML package.
//!
//! It builds on the package's events, not on its deserializer: they carry the exact place and the quoting of every
//! scalar, which the errors of a plan need.

use crate::error::Problems;
use crate::limits;
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node, Weight};
use serde_yaml::granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Which text is parsed: its number among the sources, and where in it the YAML begins.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub source: u32,
    pub offset: usize,
    pub text: &'a str,
}

/// The one document of the text; `None` if it is not one, and then `problems` says why.
pub(crate) fn document(input: Input<'_>, problems: &mut Problems) -> Option<Rc<Node>> {
    let mut builder = Builder::new(input);
    let mut options = serde_yaml::granit_parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = limits::MAX_DEPTH as usize * 2;
    options.block_nesting_limit = limits::MAX_DEPTH as usize * 2;
    for event in Parser::new_from_str_with_options(input.text, options) {
        let step = match event {
            Ok((event, span)) => {
                builder.tag_span = span.tag_span().map(|tag| builder.span(&tag.start, &tag.end));
                builder.event(event, builder.span(&span.start, &span.end))
            }
            Err(error) => Err(builder.syntax(&error)),
        };
        if let Err(fault) = step {
            problems.add(fault.span, fault.message, fault.label);
            return None;
        }
    }
    builder.root
}

/// Why the text is not a document.
struct Fault {
    span: Span,
    message: String,
    label: String,
}

fn too_deep() -> String {
    format!("the plan is nested deeper than {} levels", limits::MAX_DEPTH)
}

fn fault<T>(span: Span, message: impl Into<String>, label: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { span, message: message.into(), label: label.into() })
}

/// An unfinished list or map.
struct Open {
    span: Span,
    anchor: usize,
    weight: Weight,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<Entry>, seen: HashSet<String>, key: Option<(String, Span)>, merges: Vec<Rc<Node>> },
}

struct Builder<'a> {
    input: Input<'a>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    documents: usize,
    written: u64,
    /// Where the tag of the current event stands.
    tag_span: Option<Span>,
    root: Option<Rc<Node>>,
}

impl<'a> Builder<'a> {
    fn new(input: Input<'a>) -> Builder<'a> {
        Builder {
            input,
            stack: vec![],
            anchors: HashMap::new(),
            documents: 0,
            written: 0,
            tag_span: None,
            root: None,
        }
    }

    fn span(&self, start: &Marker, end: &Marker) -> Span {
        let at = |m: &Marker| m.byte_offset().unwrap_or(0).min(self.input.text.len());
        let (start, end) = (at(start), at(end));
        Span {
            source: self.input.source,
            start: self.input.offset + start,
            end: self.input.offset + end.max(start),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        self.written += 1;
        if self.written > limits::MAX_NODES {
            return fault(span, format!("the plan has more than {} values", limits::MAX_NODES), "");
        }
        let tag_span = self.tag_span.unwrap_or(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return fault(span, "a plan is one YAML document", "a second one begins here");
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = tagged(tag.as_deref(), tag_span)?;
                let plain = style == ScalarStyle::Plain && !quoted;
                self.attach(Rc::new(Node::scalar(span, text.into_owned(), plain)), anchor, span)
            }
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some(node) => self.attach(node, 0, span),
                None => fault(span, "an alias stands inside of what it names", "it would never end"),
            },
            Event::SequenceStart(_, anchor, tag) => {
                tagged(tag.as_deref(), tag_span)?;
                self.open(span, anchor, OpenKind::List(vec![]))
            }
            Event::MappingStart(_, anchor, tag) => {
                tagged(tag.as_deref(), tag_span)?;
                let (entries, seen) = (vec![], HashSet::new());
                self.open(span, anchor, OpenKind::Map { entries, seen, key: None, merges: vec![] })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            _ => Ok(()),
        }
    }

    fn open(&mut self, span: Span, anchor: usize, kind: OpenKind) -> Result<(), Fault> {
        if self.stack.len() >= limits::MAX_DEPTH as usize {
            return fault(span, too_deep(), "");
        }
        self.stack.push(Open { span, anchor, weight: Weight { nodes: 1, bytes: 0, depth: 1 }, kind });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Fault> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let span = Span { end: end.end.max(open.span.end), ..open.span };
        let kind = match open.kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { mut entries, mut seen, merges, .. } => {
                for from in merges {
                    merge(&mut entries, &mut seen, &from);
                }
                Kind::Map(entries)
            }
        };
        self.attach(Rc::new(Node { span, kind, weight: open.weight }), open.anchor, open.span)
    }

    /// Puts a finished node where it belongs. `place`: where the text refers to it.
    fn attach(&mut self, node: Rc<Node>, anchor: usize, place: Span) -> Result<(), Fault> {
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.weight = open.weight.with(node.weight);
        if open.weight.nodes > limits::MAX_NODES || open.weight.bytes > limits::MAX_EXPANDED_BYTES {
            return fault(
                place,
                "the plan is too large with its aliases written out",
                "here it grows too far",
            );
        }
        if open.weight.depth > limits::MAX_DEPTH {
            return fault(place, too_deep(), "");
        }
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, seen, key, merges } => match key.take() {
                None => *key = Some(self.input.key(&node, place)?),
                Some((name, _)) if name == MERGE => merges.extend(merge_sources(node, place)?),
                Some((name, key_span)) => {
                    if !seen.insert(name.clone()) {
                        return Err(self.input.duplicate(entries, &name, key_span));
                    }
                    entries.push(Entry { key: name, key_span, value: node });
                }
            },
        }
        Ok(())
    }

    fn syntax(&self, error: &ScanError) -> Fault {
        let at = error.marker();
        let mut span = self.span(at, at);
        let local = span.start - self.input.offset;
        span.end = span.start + self.input.text[local..].chars().next().map_or(0, char::len_utf8);
        let label = match error.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar => "YAML is indented by spaces, never by tabs",
            ErrorKind::UnknownAnchor => "no `&` with this name comes before it",
            // With a byte order mark it is not UTF-8 and does not come so far.
            ErrorKind::UnexpectedCharacter { character: '\0' } if local < 2 => {
                "this looks like UTF-16; save the file as UTF-8"
            }
            ErrorKind::UnexpectedCharacter { character } if !character.is_ascii_graphic() => {
                "YAML holds no such character; in double quotes there are escapes such as `\\x01`"
            }
            ErrorKind::UnexpectedCharacter { .. } => "a value that begins with this needs quotes",
            ErrorKind::MappingValueNotAllowed => {
                "text with `: ` in it needs quotes; or is this line indented too deep?"
            }
            ErrorKind::InvalidColonPlacement => "is a bracket or a quote above not closed?",
            ErrorKind::UnclosedQuotedScalar => "a quote opened before is never closed",
            ErrorKind::UnknownQuotedScalarEscape => {
                "a backslash begins an escape; in single quotes it is only a backslash"
            }
            ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey => {
                "expected `key: value`, indented like its neighbours"
            }
            _ => "",
        };
        let message = match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(),
            kind => format!("not YAML: {kind}"),
        };
        Fault { span, message, label: label.into() }
    }
}

impl Input<'_> {
    fn slice(&self, span: Span) -> &str {
        self.text.get(span.start - self.offset..span.end - self.offset).unwrap_or("")
    }

    /// The text of a key and its place.
    fn key(&self, node: &Node, place: Span) -> Result<(String, Span), Fault> {
        if let Kind::Scalar { text, plain } = &node.kind {
            // Quoted, it is a key like any other.
            let name = if *plain && text == "<<" { MERGE.to_owned() } else { text.clone() };
            return Ok((name, place));
        }
        let place = node.span;
        let (before, behind) =
            (self.text.get(..place.start - self.offset), self.text.get(place.end - self.offset..));
        let opened = self.slice(place).starts_with('{') && before.is_some_and(|text| text.ends_with('{'));
        if opened {
            let close = usize::from(behind.is_some_and(|text| text.starts_with('}')));
            let whole = Span { start: place.start - 1, end: place.end + close, ..place };
            return fault(whole, "a template needs quotes here", "write it as `\"{{name}}\"`");
        }
        fault(place, "a key must be text", "this is a list or a map")
    }

    fn duplicate(&self, entries: &[Entry], name: &str, span: Span) -> Fault {
        let first = entries.iter().find(|e| e.key == name).map_or(0, |e| e.key_span.start - self.offset);
        let line = self.text.get(..first).unwrap_or("").matches('\n').count() + 1;
        Fault {
            span,
            message: format!("the key {} is given twice", quote(name)),
            label: format!("first given on line {line}"),
        }
    }
}

/// Stands for the key `<<`, unlike any key that a plan knows.
const MERGE: &str = "\0<<";

/// The maps that a `<<` takes in.
fn merge_sources(node: Rc<Node>, place: Span) -> Result<Vec<Rc<Node>>, Fault> {
    let list = match &node.kind {
        Kind::Map(_) => vec![node],
        Kind::List(items) => items.clone(),
        Kind::Scalar { .. } => vec![node],
    };
    match list.iter().all(|n| matches!(n.kind, Kind::Map(_))) {
        true => Ok(list),
        false => fault(place, "`<<` takes in a map or a list of maps", "this is neither"),
    }
}

/// Takes in the entries of `from` whose keys are not there yet.
fn merge(entries: &mut Vec<Entry>, seen: &mut HashSet<String>, from: &Node) {
    let Kind::Map(others) = &from.kind else { return };
    for other in others {
        if seen.insert(other.key.clone()) {
            entries.push(other.clone());
        }
    }
}

/// Whether a tag makes a scalar text. Tags that say nothing new are ignored, others are refused.
fn tagged(tag: Option<&Tag>, span: Span) -> Result<bool, Fault> {
    let Some(tag) = tag else { return Ok(false) };
    if tag.original() == "!" {
        return Ok(true);
    }
    match tag.core_suffix() {
        Some("str") => Ok(true),
        Some("int" | "float" | "bool" | "null" | "map" | "seq") => Ok(false),
        _ => fault(span, format!("the tag {} means nothing in a plan", quote(&tag.original())), ""),
    }
}
