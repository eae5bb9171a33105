//! `phases`: what stretches a run has, and for how long; and which of them scenarios go through by themselves.

use super::{arrivals, connections, thresholds};
use crate::limits;
use crate::place;
use crate::plan::{Phase, PhaseOverrides, Stop, Track};
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node};
use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::time::Duration;

/// What runs when.
pub(crate) struct Course {
    pub phases: Vec<Phase>,
    /// Empty: all scenarios share all phases.
    pub tracks: Vec<Track>,
}

/// The phases of the plan that are of handshakes, and whether all are: such a plan needs no scenarios.
pub(crate) fn of_handshakes<'n>(plan: &Fields<'n>) -> (Vec<&'n Entry>, bool) {
    let Some(Kind::List(phases)) = plan.get("phases").map(|entry| &entry.value.kind) else {
        return (vec![], false);
    };
    let found: Vec<&Entry> = phases.iter().filter_map(|phase| phase.entry("handshakes")).collect();
    let all = !found.is_empty() && found.len() == phases.len();
    (found, all)
}

/// Reads the phases of the plan, and those that scenarios have of their own.
pub(crate) fn read(reader: &mut Reader<'_>, plan: &Fields<'_>, whole: Span) -> Option<Course> {
    let scenarios = plan.get("scenarios").map_or(&[][..], |entry| match &entry.value.kind {
        Kind::Map(entries) => entries,
        _ => &[],
    });
    let of = |entry: &Entry| entry.value.entry("phases").is_some();
    let shared: Vec<usize> = (0..scenarios.len()).filter(|&i| !of(&scenarios[i])).collect();
    let (_, handshakes_alone) = of_handshakes(plan);
    let entry = match plan.get("phases") {
        Some(entry) if shared.is_empty() && !scenarios.is_empty() && !handshakes_alone => {
            let label = "every scenario has phases of its own";
            return reader.fail(entry.key_span, "no scenario goes through these phases", label);
        }
        None if !shared.is_empty() || scenarios.is_empty() => {
            if plan.lacks("phases") {
                reader.problems.add(whole, "the plan has no `phases`", "");
                reader.problems.note(super::EXAMPLE_PHASES);
            }
            return None;
        }
        entry => entry,
    };
    if handshakes_alone && let Some(&first) = shared.first() {
        let message = format!("no phase runs the scenario {}", quote(&scenarios[first].key));
        reader.problems.add(
            scenarios[first].key_span,
            message,
            "phases of handshakes make no requests: add one that does, such as `{ users: 16, for: 30s }`, or leave it out",
        );
    }
    let mut walk = Walk {
        names: HashSet::new(),
        places: connections::places(plan),
        scenarios: scenarios.iter().map(|e| e.key.as_str()).collect(),
        shared: &shared,
        phases: Vec::new(),
    };
    let before = reader.problems.count();
    let mut tracks = Vec::new();
    if let Some(entry) = entry {
        let phases = walk.list(reader, entry, None)?;
        tracks.push(Track { scenarios: shared.clone(), phases, start_after: Duration::ZERO, own: false });
    }
    for (index, scenario) in scenarios.iter().enumerate() {
        tracks.extend(walk.own(reader, index, scenario));
    }
    let phases = walk.phases;
    if reader.problems.count() == before && !phases.iter().any(|p| p.record) {
        let span = entry.map_or(whole, |e| e.key_span);
        return reader.fail(span, "no phase is recorded", "the result would be empty");
    }
    let alone = shared.len() == scenarios.len();
    Some(Course { phases, tracks: if alone { Vec::new() } else { tracks } })
}

/// A search makes the load itself.
pub(crate) fn refuse_own(reader: &mut Reader<'_>, plan: &Fields<'_>) {
    let Some(Kind::Map(scenarios)) = plan.get("scenarios").map(|e| &e.value.kind) else { return };
    for entry in
        scenarios.iter().filter_map(|s| s.value.entry("phases").or_else(|| s.value.entry("start_after")))
    {
        let message = "a plan that searches has no phases";
        reader.problems.add(entry.key_span, message, "the search says how much load there is");
    }
}

struct Walk<'w> {
    names: HashSet<String>,
    places: Option<NonZeroU32>,
    /// All scenarios, and which of them share the phases of the plan.
    scenarios: Vec<&'w str>,
    shared: &'w [usize],
    phases: Vec<Phase>,
}

impl Walk<'_> {
    /// The track of a scenario with phases of its own.
    fn own(&mut self, reader: &mut Reader<'_>, index: usize, scenario: &Entry) -> Option<Track> {
        let Some(entry) = scenario.value.entry("phases") else {
            let after = scenario.value.entry("start_after")?;
            let label = "give the scenario `phases`";
            return reader.fail(
                after.key_span,
                "only a scenario with phases of its own starts by itself",
                label,
            );
        };
        if let Some(weight) = scenario.value.entry("weight") {
            let message = "a scenario with phases of its own shares them with no other, so it has no weight";
            return reader.fail(weight.key_span, message, "leave `weight` or `phases` out");
        }
        let start_after = match scenario.value.entry("start_after") {
            Some(entry) => reader.duration(entry)?,
            None => Duration::ZERO,
        };
        let phases = self.list(reader, entry, Some(&scenario.key))?;
        Some(Track { scenarios: vec![index], phases, start_after, own: true })
    }

    /// A list of phases, those of the plan or of a scenario.
    fn list(&mut self, reader: &mut Reader<'_>, entry: &Entry, owner: Option<&str>) -> Option<Range<usize>> {
        let room = limits::MAX_PHASES - self.phases.len().min(limits::MAX_PHASES);
        let Some(list) = reader.list(entry, "phases", room) else {
            reader.problems.note(super::EXAMPLE_PHASES);
            return None;
        };
        let first = self.phases.len();
        for (i, node) in list.iter().enumerate() {
            if reader.problems.is_full() {
                break;
            }
            let name = match owner {
                None => format!("phase-{}", i + 1),
                Some(owner) if list.len() == 1 => owner.to_owned(),
                Some(owner) => format!("{owner}-{}", i + 1),
            };
            let phase = self.phase(reader, node, name, owner.is_some());
            self.phases.extend(phase);
        }
        Some(first..self.phases.len())
    }

    fn phase(&mut self, reader: &mut Reader<'_>, node: &Node, default: String, owned: bool) -> Option<Phase> {
        let fields = reader.map_node(node, &place::PHASE)?;
        let name = name(reader, &fields, default, &mut self.names);
        let record = fields.get("record").map_or(Some(true), |entry| reader.boolean(entry));
        if let Some(entry) = fields.get("handshakes").filter(|_| owned) {
            let message = "the scenario does not run in a phase of handshakes, which makes no requests";
            return reader.fail(entry.key_span, message, "move the phase to the plan's own `phases`");
        }
        let stop = stop(reader, &fields);
        let load = arrivals::read(reader, &fields, stop, self.places);
        let overrides = self.overrides(reader, &fields, stop, owned);
        let (users, load) = load?;
        Some(Phase { name: name?, users, load, stop: stop?, record: record?, overrides: overrides? })
    }

    fn overrides(
        &self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        stop: Option<Stop>,
        owned: bool,
    ) -> Option<PhaseOverrides> {
        let mut overrides = PhaseOverrides::default();
        if let Some(entry) = fields.get("graceful_stop") {
            if let Some(Stop::Iterations(_) | Stop::IterationsPerUser(_)) = stop {
                let message = "a phase that counts iterations ends when they have ended";
                return reader.fail(entry.key_span, message, "`graceful_stop` goes with `for`");
            }
            overrides.graceful_stop = Some(reader.duration(entry)?);
        }
        if let Some(entry) = fields.get("think") {
            overrides.think = Some(factor(reader, entry)?);
        }
        if let Some(entry) = fields.get("scenarios") {
            if owned {
                let message = "the phase belongs to one scenario";
                return reader.fail(entry.key_span, message, "weights are for phases that scenarios share");
            }
            overrides.weights = Some(self.weights(reader, entry)?);
        }
        Some(overrides)
    }

    /// By scenario of the plan: those that are not named have no part in the phase.
    fn weights(&self, reader: &mut Reader<'_>, entry: &Entry) -> Option<Vec<u32>> {
        let mut weights = vec![0; self.scenarios.len()];
        for own in reader.named(entry, "scenarios to weights")? {
            let weight = reader.integer(own, 0..=limits::MAX_WEIGHT)?;
            match self.shared.iter().find(|&&i| self.scenarios[i] == own.key) {
                Some(&at) => weights[at] = weight as u32,
                None if self.scenarios.contains(&own.key.as_str()) => {
                    let message = format!("the scenario {} has phases of its own", quote(&own.key));
                    return reader.fail(own.key_span, message, "it has no part in this one");
                }
                None => {
                    thresholds::unknown(reader, own.key_span, "scenario", &own.key, &self.scenarios);
                    return None;
                }
            }
        }
        match weights.iter().any(|w| *w > 0) {
            true => Some(weights),
            false => reader.fail(
                entry.key_span,
                "no scenario has a part in the phase",
                "give one a weight above 0, or leave the phase out",
            ),
        }
    }
}

/// What pauses are multiplied by: `0.5` or `50%`.
fn factor(reader: &mut Reader<'_>, entry: &Entry) -> Option<f64> {
    let text = entry.value.as_plain();
    let number = text.and_then(|text| match text.strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().ok().map(|x| x / 100.0),
        None => text.parse::<f64>().ok(),
    });
    match number.filter(|x| (0.0..=limits::MAX_THINK_FACTOR).contains(x)) {
        Some(factor) => Some(factor),
        None => reader.mismatch(entry, "what pauses are multiplied by, such as `0.5` or `50%`, at most 1000"),
    }
}

fn name(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    default: String,
    names: &mut HashSet<String>,
) -> Option<String> {
    let (name, span) = match fields.get("name") {
        None => (default, fields.span),
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
    // A schedule gives no user a number of iterations of its own.
    let open = ["rate", "replay", "handshakes"].into_iter().any(|key| fields.get(key).is_some());
    let mut given =
        ["for", "iterations", "iterations_per_user"].into_iter().filter_map(|key| fields.get(key));
    let Some(entry) = given.next() else {
        return match fields.odd {
            true => None,
            false => reader.fail(
                fields.span,
                "the phase has no end",
                match open {
                    true => "give it `for: 30s` or `iterations: 1000`",
                    false => "give it `for: 30s`, `iterations: 1000` or `iterations_per_user: 10`",
                },
            ),
        };
    };
    if let Some(second) = given.next() {
        let message = format!("the phase has {} and another end", quote(&entry.key));
        return reader.fail(
            second.key_span,
            message,
            match open {
                true => "give one of `for` and `iterations`",
                false => "give one of `for`, `iterations` and `iterations_per_user`",
            },
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
