//! Finds `{{` anywhere in a plan. Templates are not built yet, and what cannot be rendered must not be sent as text.

use crate::reader::Reader;
use crate::tree::{Kind, Node};

/// Refuses every scalar with a template in it. Top-level keys that begin with `x-` are only a place for anchors.
pub(crate) fn refuse(reader: &mut Reader<'_>, root: &Node) {
    match &root.kind {
        Kind::Map(entries) => {
            entries.iter().filter(|e| !e.key.starts_with("x-")).for_each(|e| walk(reader, &e.value));
        }
        _ => walk(reader, root),
    }
}

fn walk(reader: &mut Reader<'_>, node: &Node) {
    match &node.kind {
        Kind::Scalar { text, .. } => {
            let Some(start) = text.find("{{") else { return };
            let end = text[start..].find("}}").map_or(text.len(), |at| start + at + 2);
            let span = reader.part(node, start, end);
            reader.problems.add(
                span,
                "templates are not supported yet",
                "this would be sent as it is written",
            );
        }
        Kind::List(items) => items.iter().for_each(|item| walk(reader, item)),
        Kind::Map(entries) => entries.iter().for_each(|e| walk(reader, &e.value)),
    }
}
