//! Finds `{{` where no template can be: what cannot be rendered must not be taken as text.

use crate::reader::Reader;
use crate::tree::{Kind, Node};

/// Where templates may be, which looks at them itself.
const ALLOWED: &[&str] = &["defaults", "scenarios", "variables", "fragments", "setup", "teardown"];

/// Refuses templates outside of scenarios. Top-level keys that begin with `x-` are only a place for anchors.
pub(crate) fn refuse(reader: &mut Reader<'_>, root: &Node) {
    match &root.kind {
        Kind::Map(entries) => {
            entries
                .iter()
                .filter(|e| !e.key.starts_with("x-") && !ALLOWED.contains(&e.key.as_str()))
                .for_each(|e| walk(reader, &e.value));
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
                "a template cannot be here",
                "it is needed before the run begins; `--set` replaces it from outside",
            );
        }
        Kind::List(items) => items.iter().for_each(|item| walk(reader, item)),
        Kind::Map(entries) => entries.iter().for_each(|e| walk(reader, &e.value)),
    }
}
