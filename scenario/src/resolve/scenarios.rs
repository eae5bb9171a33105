//! `scenarios`: names, weights and lists of steps.

use super::headers::Header;
use super::step;
use super::targets::Targets;
use crate::limits;
use crate::place;
use crate::plan::{Order, Scenario, Step};
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::tree::Entry;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

const EXAMPLE: &str = "for example:\nscenarios:\n  browse:\n    steps:\n      - get: /";

/// Reads all scenarios.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    plan: &Fields<'_>,
    whole: Span,
    defaults: Vec<Header>,
    targets: &mut Targets,
) -> Option<Vec<Scenario>> {
    let Some(entry) = plan.get("scenarios") else {
        if plan.lacks("scenarios") {
            reader.problems.add(whole, "the plan has no `scenarios`", "");
            reader.problems.note(EXAMPLE);
        }
        return None;
    };
    let entries = reader.named(entry, "names to scenarios")?;
    if entries.len() > limits::MAX_SCENARIOS {
        let message = format!("a plan has at most {} scenarios", limits::MAX_SCENARIOS);
        return reader.fail(entry.key_span, message, format!("this one has {}", entries.len()));
    }
    let mut walk = Walk { defaults, targets, steps: 0 };
    let mut scenarios = Vec::new();
    for entry in entries {
        if reader.problems.is_full() {
            break;
        }
        scenarios.extend(walk.scenario(reader, entry));
    }
    Some(scenarios)
}

struct Walk<'t> {
    defaults: Vec<Header>,
    targets: &'t mut Targets,
    steps: usize,
}

impl Walk<'_> {
    fn scenario(&mut self, reader: &mut Reader<'_>, entry: &Entry) -> Option<Scenario> {
        reader.name(&entry.key, entry.key_span);
        let fields = reader.map(entry, &place::SCENARIO)?;
        let weight = match fields.get("weight") {
            None => Some(1),
            Some(entry) => reader.integer(entry, 1..=limits::MAX_WEIGHT),
        };
        let Some(list) = fields.get("steps") else {
            if fields.odd {
                return None;
            }
            let message = format!("the scenario {} has no `steps`", quote(&entry.key));
            return reader.fail(entry.key_span, message, "give it `steps: [...]` with at least one");
        };
        let list = reader.list(list, "steps", limits::MAX_STEPS)?;
        self.steps += list.len();
        if self.steps > limits::MAX_STEPS {
            let message = format!("a plan has at most {} steps", limits::MAX_STEPS);
            return reader.fail(entry.key_span, message, "this scenario is one too many");
        }
        let mut steps = Vec::with_capacity(list.len());
        for node in list {
            if reader.problems.is_full() {
                break;
            }
            steps.extend(step::read(reader, node, &self.defaults, self.targets));
        }
        let steps = unique(reader, steps);
        let weight = NonZeroU32::new(u32::try_from(weight?).ok()?)?;
        Some(Scenario { name: entry.key.clone(), weight, steps, order: Order::Sequence })
    }
}

/// Sees to it that names are unique: a name that was given twice is an error, one that was made gets a number.
fn unique(reader: &mut Reader<'_>, steps: Vec<(Step, Option<Span>)>) -> Vec<Step> {
    let mut taken = HashSet::new();
    for (step, given) in &steps {
        if let Some(span) = given
            && !taken.insert(step.name.clone())
        {
            let message = format!("two steps are named {}", quote(&step.name));
            reader.problems.add(*span, message, "a step's name is unique in its scenario");
        }
    }
    // How many of a made name there were: searching from 2 each time would take long with thousands of them.
    let mut made: HashMap<String, usize> = HashMap::new();
    let mut number = |(mut step, given): (Step, Option<Span>)| {
        if given.is_none() && !taken.insert(step.name.clone()) {
            let count = made.entry(step.name.clone()).or_insert(1);
            step.name = loop {
                *count += 1;
                let name = format!("{} #{count}", step.name);
                if taken.insert(name.clone()) {
                    break name;
                }
            };
        }
        step
    };
    steps.into_iter().map(&mut number).collect()
}
