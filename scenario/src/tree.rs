//! A plan as text with structure: maps, lists and scalars, each with its place. What the words mean is `resolve`'s.

use crate::source::Span;
use std::rc::Rc;

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub span: Span,
    pub kind: Kind,
    pub weight: Weight,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Text. `plain`: without quotes, so it may also mean a number, true, false or nothing.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Rc<Node>>),
    /// A map, in the order of the text.
    Map(Vec<Entry>),
}

/// A key of a map and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Rc<Node>,
}

/// How large a value is with its aliases written out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    pub nodes: u64,
    pub bytes: u64,
    pub depth: u32,
}

impl Weight {
    /// The weight of a container that also holds `child`.
    pub fn with(self, child: Weight) -> Weight {
        Weight {
            nodes: self.nodes.saturating_add(child.nodes),
            bytes: self.bytes.saturating_add(child.bytes),
            depth: self.depth.max(child.depth.saturating_add(1)),
        }
    }
}

impl Node {
    /// A scalar.
    pub fn scalar(span: Span, text: String, plain: bool) -> Node {
        let weight = Weight { nodes: 1, bytes: text.len() as u64, depth: 1 };
        Node { span, kind: Kind::Scalar { text, plain }, weight }
    }

    /// The scalar's text, if it is one that is not nothing.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// A scalar without quotes: its text.
    pub fn as_plain(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, plain: true } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The entry of a key, if it is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    /// Whether it is nothing: an empty place, `~` or `null`.
    pub fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }
}
