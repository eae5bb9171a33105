//! Settings given beside the plan: `connections.max=64` replaces or adds one value before the plan is read.

use crate::error::Problems;
use crate::limits;
use crate::parse;
use crate::source::{Source, Sources, Span, quote};
use crate::tree::{Entry, Kind, Node, Weight};
use std::rc::Rc;

/// What to change in a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `path=value`: the path is the keys from the top with dots between; an element of a list is chosen by its number
    /// from 0 or its `name`. The value is YAML.
    pub set: Vec<String>,
}

impl Overrides {
    /// Adds the settings to the sources, so that errors in them can be shown.
    pub(crate) fn add_sources<'a>(&'a self, sources: &mut Sources<'a>) {
        for text in self.set.iter().take(limits::MAX_OVERRIDES) {
            sources.0.push(Source::new("--set", text));
        }
    }
}

/// Applies all settings to the tree.
pub(crate) fn apply(root: &mut Rc<Node>, sources: &Sources<'_>, problems: &mut Problems) {
    for (i, source) in sources.0.iter().enumerate().skip(1) {
        let all = Span { source: i as u32, start: 0, end: source.text.len() };
        let Some((path, value)) = source.text.split_once('=') else {
            problems.add(all, "a setting is `path=value`", "for example `connections.max=64`");
            continue;
        };
        let offset = path.len() + 1;
        let input = parse::Input { source: i as u32, offset, text: value };
        let before = problems.count();
        let node = parse::document(input, problems);
        if problems.count() > before {
            continue;
        }
        let nothing = Span { start: offset, ..all };
        let node = node.unwrap_or_else(|| Rc::new(Node::scalar(nothing, String::new(), true)));
        let segments = segments(path, i as u32);
        set(root, &segments, node, problems);
    }
}

/// The keys of a path with their places.
fn segments(path: &str, source: u32) -> Vec<(&str, Span)> {
    let mut start = 0;
    path.split('.')
        .map(|key| {
            let span = Span { source, start, end: start + key.len() };
            start += key.len() + 1;
            (key, span)
        })
        .take(limits::MAX_DEPTH as usize)
        .collect()
}

fn set(node: &mut Rc<Node>, path: &[(&str, Span)], value: Rc<Node>, problems: &mut Problems) {
    let Some(((key, span), rest)) = path.split_first() else {
        *node = value;
        return;
    };
    let node = Rc::make_mut(node);
    if node.is_null() {
        node.kind = Kind::Map(vec![]);
    }
    match &mut node.kind {
        Kind::Map(entries) => {
            let at = entries.iter().position(|e| e.key == *key).unwrap_or_else(|| {
                let empty = Node { span: *span, kind: Kind::Map(vec![]), weight: Weight::default() };
                entries.push(Entry { key: (*key).to_owned(), key_span: *span, value: Rc::new(empty) });
                entries.len() - 1
            });
            set(&mut entries[at].value, rest, value, problems);
        }
        Kind::List(items) => match items.iter().position(|item| is_named(item, key)) {
            Some(at) => set(&mut items[at], rest, value, problems),
            None => match key.parse::<usize>().ok().filter(|&at| at < items.len()) {
                Some(at) => set(&mut items[at], rest, value, problems),
                None => {
                    let message = format!("the list has no element {}", quote(key));
                    problems.add(*span, message, "give the element's `name` or its number from 0");
                }
            },
        },
        Kind::Scalar { text, .. } => {
            let message = format!("there is nothing below {}", quote(text));
            problems.add(*span, message, "this is a plain value in the plan");
        }
    }
}

/// Whether an element of a list has this name.
fn is_named(node: &Node, name: &str) -> bool {
    match &node.kind {
        Kind::Map(entries) => entries.iter().any(|e| e.key == "name" && e.value.as_text() == Some(name)),
        _ => false,
    }
}
