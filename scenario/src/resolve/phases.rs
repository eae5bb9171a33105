//! `phases`: what stretches a run has, and for how long.

use super::{arrivals, connections};
use crate::limits;
use crate::place;
use crate::plan::{Phase, Stop};
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::tree::Node;
use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroU64};

/// Reads all phases.
pub(crate) fn read(reader: &mut Reader<'_>, plan: &Fields<'_>, whole: Span) -> Option<Vec<Phase>> {
    let Some(entry) = plan.get("phases") else {
        if plan.lacks("phases") {
            reader.problems.add(whole, "the plan has no `phases`", "");
            reader.problems.note(super::EXAMPLE_PHASES);
        }
        return None;
    };
    let list = match reader.list(entry, "phases", limits::MAX_PHASES) {
        Some(list) => list,
        None => {
            reader.problems.note(super::EXAMPLE_PHASES);
            return None;
        }
    };
    let places = connections::places(plan);
    let before = reader.problems.count();
    let mut names = HashSet::new();
    let mut phases = Vec::with_capacity(list.len());
    for (i, node) in list.iter().enumerate() {
        if reader.problems.is_full() {
            break;
        }
        phases.extend(phase(reader, node, i + 1, &mut names, places));
    }
    if reader.problems.count() == before && !phases.iter().any(|p| p.record) {
        return reader.fail(entry.key_span, "no phase is recorded", "the result would be empty");
    }
    Some(phases)
}

fn phase(
    reader: &mut Reader<'_>,
    node: &Node,
    number: usize,
    names: &mut HashSet<String>,
    places: Option<NonZeroU32>,
) -> Option<Phase> {
    let fields = reader.map_node(node, &place::PHASE)?;
    let name = name(reader, &fields, number, names);
    let record = fields.get("record").map_or(Some(true), |entry| reader.boolean(entry));
    let stop = stop(reader, &fields);
    let load = arrivals::read(reader, &fields, stop, places);
    let (users, load) = load?;
    Some(Phase { name: name?, users, load, stop: stop?, record: record? })
}

fn name(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    number: usize,
    names: &mut HashSet<String>,
) -> Option<String> {
    let (name, span) = match fields.get("name") {
        None => (format!("phase-{number}"), fields.span),
        Some(entry) => {
            let text = reader.text(entry)?;
            (reader.name(text, entry.value.span)?.to_owned(), entry.value.span)
        }
    };
    match names.insert(name.clone()) {
        true => Some(name),
        false => {
            let message = format!("two phases are named {}", quote(&name));
            reader.fail(span, message, "a phase's name is unique")
        }
    }
}

fn stop(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Stop> {
    let mut given =
        ["for", "iterations", "iterations_per_user"].into_iter().filter_map(|key| fields.get(key));
    let Some(entry) = given.next() else {
        return match fields.odd {
            true => None,
            false => reader.fail(
                fields.span,
                "the phase has no end",
                "give it `for: 30s`, `iterations: 1000` or `iterations_per_user: 10`",
            ),
        };
    };
    if let Some(second) = given.next() {
        let message = format!("the phase has {} and another end", quote(&entry.key));
        return reader.fail(
            second.key_span,
            message,
            "give one of `for`, `iterations` and `iterations_per_user`",
        );
    }
    if entry.key == "for" {
        return reader.positive_duration(entry).map(Stop::After);
    }
    let count = NonZeroU64::new(reader.integer(entry, 1..=u64::MAX)?)?;
    match entry.key.as_str() {
        "iterations" => Some(Stop::Iterations(count)),
        _ => Some(Stop::IterationsPerUser(count)),
    }
}
