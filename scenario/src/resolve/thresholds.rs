//! `thresholds`: the list, and whether the steps and phases it names exist.

use crate::limits;
use crate::place;
use crate::plan::{CountName, Metric, Op, Phase, Scenario, Threshold};
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::threshold::{self, Parsed};
use crate::tree::{Kind, Node};
use std::collections::BTreeSet;

/// The names that a threshold may use.
pub(crate) struct Names<'p> {
    pub scenarios: &'p [Scenario],
    pub phases: &'p [Phase],
    /// False: some were not understood, so that nothing can be said about missing ones.
    pub known: bool,
}

/// Reads all thresholds; none are fine.
pub(crate) fn read(reader: &mut Reader<'_>, plan: &Fields<'_>, names: &Names<'_>) -> Option<Vec<Threshold>> {
    let Some(entry) = plan.get("thresholds") else { return Some(vec![]) };
    let mut thresholds = Vec::new();
    for node in reader.list(entry, "thresholds", limits::MAX_THRESHOLDS)? {
        if reader.problems.is_full() {
            break;
        }
        thresholds.extend(one(reader, node, names));
    }
    Some(thresholds)
}

fn one(reader: &mut Reader<'_>, node: &Node, names: &Names<'_>) -> Option<Threshold> {
    let mut abort = None;
    let node = match &node.kind {
        Kind::Map(_) => {
            let fields = reader.map_node(node, &place::THRESHOLD)?;
            if let Some(entry) = fields.get("abort_after") {
                abort = Some((reader.duration(entry)?, entry.key_span));
            }
            match fields.get("that") {
                Some(entry) => &*entry.value,
                None if fields.odd => return None,
                None => {
                    return reader.fail(
                        fields.span,
                        "the threshold has no `that`",
                        "`{ that: error_rate < 1% }`",
                    );
                }
            }
        }
        _ => node,
    };
    let Some(text) = node.as_text() else {
        let message = format!("a threshold must be text, found {}", Reader::found(node));
        return reader.fail(node.span, message, "for example `p99(response_time) < 250ms`");
    };
    let parsed = parsed(reader, node, text, 0)?;
    check_names(reader, node, &parsed, names);
    let mut threshold = parsed.threshold;
    if let Some((after, span)) = abort {
        if let Some(reason) = only_at_the_end(&threshold) {
            return reader.fail(span, "this threshold cannot be watched during the run", reason);
        }
        threshold.abort_after = Some(after);
    }
    Some(threshold)
}

/// The threshold in this text, which begins at `start` of a node's.
pub(super) fn parsed(reader: &mut Reader<'_>, node: &Node, text: &str, start: usize) -> Option<Parsed> {
    match threshold::parse(text) {
        Ok(mut parsed) => {
            parsed.shift(start);
            Some(parsed)
        }
        Err(bad) => {
            let span = reader.part(node, bad.at.start + start, bad.at.end + start);
            reader.fail(span, bad.message, bad.label)
        }
    }
}

/// Why a threshold says nothing before the run is over.
fn only_at_the_end(threshold: &Threshold) -> Option<&'static str> {
    let Metric::Count(name) = threshold.metric else { return None };
    match (name, threshold.op) {
        (CountName::Abandoned, _) => Some("requests are abandoned when the run ends"),
        (_, Op::More | Op::AtLeast) => Some("a count that still grows may reach it yet"),
        (_, Op::Equal) if threshold.value > 0.0 => Some("a count that still grows may reach it yet"),
        (_, Op::Less | Op::AtMost | Op::Equal) => None,
    }
}

/// Whether the names in it exist.
pub(super) fn check_names(reader: &mut Reader<'_>, node: &Node, parsed: &Parsed, names: &Names<'_>) {
    if !names.known {
        return;
    }
    if let (Some(scenario), Some(at)) = (&parsed.threshold.scenario, &parsed.scenario_at) {
        let scenarios: Vec<&str> = names.scenarios.iter().map(|s| s.name.as_str()).collect();
        let span = reader.part(node, at.start, at.end);
        unknown(reader, span, "scenario", scenario, &scenarios);
    }
    if let (Some(step), Some(at)) = (&parsed.threshold.step, &parsed.step_at) {
        // Of the scenario it names; of all where that one does not exist, which is said already.
        let wanted = parsed.threshold.scenario.as_ref();
        let of = wanted.filter(|w| names.scenarios.iter().any(|s| s.name == **w));
        let scenarios = names.scenarios.iter().filter(|s| of.is_none_or(|of| s.name == *of));
        let steps: Vec<&str> = scenarios.flat_map(|s| s.steps.iter()).map(|s| s.name.as_str()).collect();
        let span = reader.part(node, at.start, at.end);
        unknown(reader, span, "step", step, &steps);
    }
    check_handshakes(reader, node, parsed, names);
    check_tags(reader, node, parsed, names);
    check_check(reader, node, parsed, names);
    if let (Some(phase), Some(at)) = (&parsed.threshold.phase, &parsed.phase_at) {
        let phases: Vec<&str> = names.phases.iter().map(|p| p.name.as_str()).collect();
        let span = reader.part(node, at.start, at.end);
        unknown(reader, span, "phase", phase, &phases);
        if names.phases.iter().any(|p| p.name == *phase && !p.record) {
            let message = format!("the phase {} is not recorded", quote(phase));
            reader.problems.add(span, message, "it has no figures to judge");
        }
    }
}

/// Whether a figure of handshakes has some to speak of: over nothing it would always hold.
fn check_handshakes(reader: &mut Reader<'_>, node: &Node, parsed: &Parsed, names: &Names<'_>) {
    let (threshold, at) = (&parsed.threshold, &parsed.figure_at);
    if !threshold.metric.of_handshakes() {
        return;
    }
    let mut phases = names.phases.iter().filter(|p| !p.load.makes_requests() && p.record).peekable();
    let span = reader.part(node, at.start, at.end);
    let Some(some) = phases.peek().map(|p| p.name.clone()) else {
        let message = "no recorded phase of the plan is of handshakes";
        let label = "there is nothing to judge: add a phase such as `{ handshakes: 100/s, for: 1m }`, or leave it out";
        reader.problems.add(span, message, label);
        return;
    };
    if let Some(phase) = &threshold.phase
        && names.phases.iter().any(|p| p.name == *phase && p.record && p.load.makes_requests())
    {
        let message = format!("the phase {} makes requests and no handshakes", quote(phase));
        reader.problems.add(span, message, format!("{} is of handshakes", quote(&some)));
    }
}

/// Whether some step has the tags in it, and is what else it asks for.
fn check_tags(reader: &mut Reader<'_>, node: &Node, parsed: &Parsed, names: &Names<'_>) {
    let Some((first, last)) = parsed.tags_at.first().zip(parsed.tags_at.last()) else { return };
    let all = || names.scenarios.iter().flat_map(|s| s.steps.iter().map(move |step| (s, step)));
    let tags: BTreeSet<&str> = all().flat_map(|(_, s)| s.tags.iter().map(|(name, _)| name)).collect();
    let known = Vec::from_iter(tags);
    let before = reader.problems.count();
    for (name_at, value_at) in &parsed.tags_at {
        let text = node.as_text().unwrap_or_default();
        let (name, value) = (&text[name_at.clone()], &text[value_at.clone()]);
        let span = reader.part(node, name_at.start, name_at.end);
        if known.is_empty() {
            let message = format!("there is no tag {}", quote(name));
            reader.problems.add(span, message, "no step of the plan has `tags`");
            continue;
        }
        unknown(reader, span, "tag", name, &known);
        if known.contains(&name) {
            let values: BTreeSet<&str> = all().filter_map(|(_, s)| s.tags.get(name)).collect();
            let span = reader.part(node, value_at.start, value_at.end);
            if !values.contains(value) {
                let values = Vec::from_iter(values);
                let label = match place::nearest(value, &values) {
                    Some(meant) => format!("did you mean {}?", quote(meant)),
                    None => format!("it is {}", place::list(&values)),
                };
                let message = format!("no step has a tag {} that is {}", quote(name), quote(value));
                reader.problems.add(span, message, label);
            }
        }
    }
    let some = all().any(|(s, step)| parsed.threshold.speaks_of(&s.name, &step.name, &step.tags));
    if reader.problems.count() == before && !some {
        let span = reader.part(node, first.0.start, last.1.end);
        reader.problems.add(span, "no step is all of this", "each of the filters alone has some");
    }
}

/// Whether a step that it speaks of has a check of the name in it.
fn check_check(reader: &mut Reader<'_>, node: &Node, parsed: &Parsed, names: &Names<'_>) {
    let (Some(wanted), Some(at)) = (&parsed.threshold.check, &parsed.check_at) else { return };
    let threshold = &parsed.threshold;
    let checks = |everywhere: bool| -> BTreeSet<&str> {
        let steps = names
            .scenarios
            .iter()
            .flat_map(|s| s.steps.iter().enumerate().map(move |(i, step)| (s, i, step)));
        steps
            .filter(|(s, _, step)| everywhere || threshold.speaks_of(&s.name, &step.name, &step.tags))
            .flat_map(|(s, i, _)| s.check_names(i))
            .collect()
    };
    let span = reader.part(node, at.start, at.end);
    if checks(false).iter().any(|name| threshold.counts(name)) {
        if threshold.phase.is_some() {
            check_tallies(reader, span, names);
        }
        return;
    }
    let all = checks(true);
    if all.iter().any(|name| threshold.counts(name)) {
        let message = format!("no step of these has a check {}", quote(wanted));
        reader.problems.add(span, message, "other steps have one");
    } else if all.is_empty() {
        reader.problems.add(span, format!("there is no check {}", quote(wanted)), "no step has a `check`");
    } else {
        // A name that was given to several checks at once is known as well.
        let given = all.iter().filter_map(|name| name.split_once(": ")).map(|(given, _)| given);
        let known: BTreeSet<&str> = all.iter().copied().chain(given).collect();
        unknown(reader, span, "check", wanted, &Vec::from_iter(known));
    }
}

/// Each check has a tally for each phase where one of them is asked for in a phase.
fn check_tallies(reader: &mut Reader<'_>, span: Span, names: &Names<'_>) {
    let of = |s: &Scenario| (0..s.steps.len()).map(|i| s.check_names(i).len()).sum::<usize>();
    let checks: usize = names.scenarios.iter().map(of).sum();
    if checks.saturating_mul(names.phases.len()) > limits::MAX_TALLIES {
        let message = "the plan has too many checks and phases to count single checks by phase";
        let label = format!("{checks} checks in {} phases: leave `phase=` out", names.phases.len());
        reader.problems.add(span, message, label);
    }
}

/// Complains of a name that is not known.
pub(super) fn unknown(reader: &mut Reader<'_>, span: Span, kind: &str, name: &str, known: &[&str]) {
    if known.contains(&name) {
        return;
    }
    let label = match place::nearest(name, known) {
        Some(meant) => format!("did you mean {}?", quote(meant)),
        None => format!("the plan has {}", place::list(known)),
    };
    reader.problems.add(span, format!("there is no {kind} {}", quote(name)), label);
}
