//! `tags`: constant names and values of the plan, a scenario, a group or a step, the inner over the outer.

use crate::limits;
use crate::plan::Scenario;
use crate::reader::{Fields, Reader};
use crate::source::quote;
use crate::tags::Tags;
use crate::tree::Entry;
use std::collections::BTreeSet;

/// Those of a map, over what holds around it.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, outer: &Tags) -> Tags {
    let mut tags = outer.clone();
    let Some(entry) = fields.get("tags") else { return tags };
    for tag in reader.named(entry, "names to values").unwrap_or_default() {
        if reader.problems.is_full() {
            break;
        }
        if let (Some(()), Some(value)) = (name(reader, tag), value(reader, tag)) {
            tags.set(&tag.key, value);
        }
    }
    if tags.len() > limits::MAX_TAGS {
        let message = format!("a step has at most {} tags", limits::MAX_TAGS);
        let label = format!("with those from outside {}", tags.len());
        reader.problems.add(entry.key_span, message, label);
    }
    tags
}

/// What can be written in a threshold without quotes, and in every output.
fn name(reader: &mut Reader<'_>, tag: &Entry) -> Option<()> {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let legal = tag.key.starts_with(begins) && tag.key.chars().all(goes_on);
    if !legal {
        let message = format!("{} cannot be the name of a tag", quote(&tag.key));
        let label = "it begins with a letter and goes on with letters, digits, `_`, `-` and `.`";
        return reader.fail(tag.key_span, message, label);
    }
    if tag.key.len() > limits::MAX_TAG_NAME {
        let message = format!("the name of a tag has at most {} characters", limits::MAX_TAG_NAME);
        return reader.fail(tag.key_span, message, format!("this one has {}", tag.key.len()));
    }
    Some(())
}

fn value<'n>(reader: &mut Reader<'_>, tag: &'n Entry) -> Option<&'n str> {
    let Some(text) = tag.value.as_text().filter(|_| !tag.value.is_null()) else {
        return reader.mismatch(tag, "text: a tag has one value");
    };
    let span = tag.value.span;
    if let Some(span) = reader.template(&tag.value, text) {
        let message = format!("the tag {} cannot hold a template", quote(&tag.key));
        let label = "a value of its own for each request would make series without bound";
        return reader.fail(span, message, label);
    }
    if text.trim().is_empty() {
        return reader.fail(span, format!("the tag {} is empty", quote(&tag.key)), "give it a value");
    }
    if text.chars().count() > limits::MAX_NAME {
        let message = format!("the value of a tag has at most {} characters", limits::MAX_NAME);
        return reader.fail(span, message, "");
    }
    if text.chars().any(char::is_control) {
        return reader.fail(span, "the value of a tag holds no control character", "");
    }
    Some(text)
}

/// Each name with each of its values is a row of the result.
pub(super) fn check_number(reader: &mut Reader<'_>, plan: &Fields<'_>, scenarios: &[Scenario]) {
    let steps = scenarios.iter().flat_map(|s| &s.steps);
    let different: BTreeSet<(&str, &str)> = steps.flat_map(|step| step.tags.iter()).collect();
    let (Some(entry), true) = (plan.get("scenarios"), different.len() > limits::MAX_TAG_VALUES) else {
        return;
    };
    let message = format!("a plan has at most {} different tags", limits::MAX_TAG_VALUES);
    let label = format!("this one has {}, each name with each of its values counted", different.len());
    reader.problems.add(entry.key_span, message, label);
}
