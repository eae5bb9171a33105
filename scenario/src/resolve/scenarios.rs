//! `scenarios`: names, weights and lists of steps.

use super::extract::define;
use super::flow::{Flow, source};
use super::habits::Habits;
use super::step::Made;
use super::targets::Targets;
use crate::expr::HANDED;
use crate::limits;
use crate::outline::{self, Outline, Shown};
use crate::place;
use crate::plan::{NamedCheck, Order, Scenario, Step};
use crate::program::{Exchange, Hidden, OnError, Op, Program, RowUse, Source};
use crate::reader::{Fields, Reader};
use crate::secret;
use crate::source::{Span, quote};
use crate::tree::Entry;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

const EXAMPLE: &str = "for example:\nscenarios:\n  browse:\n    steps:\n      - get: /";

/// Reads all scenarios.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    plan: &Fields<'_>,
    whole: Span,
    mut walk: Walk<'_>,
) -> Option<Vec<Scenario>> {
    let Some(entry) = plan.get("scenarios") else {
        if super::phases::of_handshakes(plan).1 {
            return Some(vec![]);
        }
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
    let mut scenarios = Vec::new();
    for entry in entries {
        if reader.problems.is_full() {
            break;
        }
        scenarios.extend(walk.scenario(reader, entry));
    }
    Some(scenarios)
}

/// What scenarios have in common while they are read.
pub(crate) struct Walk<'t> {
    pub defaults: &'t Habits,
    pub targets: &'t mut Targets,
    /// Steps of the plan so far.
    pub steps: &'t mut usize,
    variables: &'t [Entry],
    fragments: &'t [Entry],
}

impl<'t> Walk<'t> {
    /// The plan's variables and fragments are in the reach of all.
    pub fn new(
        reader: &mut Reader<'_>,
        plan: &Fields<'t>,
        defaults: &'t Habits,
        targets: &'t mut Targets,
        steps: &'t mut usize,
    ) -> Walk<'t> {
        let variables = plan.get("variables").and_then(|entry| reader.named(entry, "names to values"));
        let fragments = plan.get("fragments").and_then(|entry| reader.named(entry, "names to fragments"));
        Walk {
            defaults,
            targets,
            steps,
            variables: variables.unwrap_or_default(),
            fragments: fragments.unwrap_or_default(),
        }
    }

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
        let habits = self.defaults.of_scenario(reader, &fields, self.targets);
        let body = self.body(reader, &habits, fields.get("variables"), list)?;
        if body.made.is_empty() && reader.problems.count() == 0 {
            let message = format!("the scenario {} requests nothing", quote(&entry.key));
            return reader.fail(entry.key_span, message, "give it a step such as `get: /`");
        }
        let (steps, program) = body.compile(reader, &habits, false);
        let weight = NonZeroU32::new(u32::try_from(weight?).ok()?)?;
        Some(Scenario { name: entry.key.clone(), weight, steps, order: Order::Sequence, program })
    }

    /// Variables and steps.
    pub fn body(
        &mut self,
        reader: &mut Reader<'_>,
        habits: &Habits,
        own: Option<&Entry>,
        list: &Entry,
    ) -> Option<Body> {
        reader.scope.begin();
        let mut initial = Vec::new();
        let mut shown = Vec::new();
        variables(reader, self.variables, &mut initial, &mut shown);
        if let Some(own) = own {
            let own = reader.named(own, "names to values").unwrap_or_default();
            variables(reader, own, &mut initial, &mut shown);
        }
        let first = reader.scope.count();
        let mut flow = Flow::new(habits, self.targets, self.fragments, self.steps);
        let read = flow.steps(reader, list);
        let Flow { made, ops, outline, counters, scripted, .. } = flow;
        let used = std::mem::take(&mut reader.scope.used);
        let names = reader.scope.end();
        read?;
        let rows = rows(&used);
        Some(Body { made, ops, outline, counters, scripted, initial, shown, rows, names, first })
    }
}

/// What a scenario does.
pub(crate) struct Body {
    pub made: Vec<Made>,
    ops: Vec<Op>,
    outline: Outline,
    counters: u16,
    scripted: bool,
    initial: Vec<(u16, Source)>,
    /// The same for people.
    shown: Vec<(String, Shown)>,
    rows: Vec<RowUse>,
    pub names: Vec<String>,
    /// Place of the first variable that a step gives its value.
    pub first: u16,
}

impl Body {
    /// Its steps, and its program if it needs one or is to have one.
    pub fn compile(
        self,
        reader: &mut Reader<'_>,
        habits: &Habits,
        always: bool,
    ) -> (Vec<Step>, Option<Arc<Program>>) {
        // That an iteration ends at an error is what a program does, also where all its requests are constant.
        let ends_early = habits.on_error == OnError::EndIteration;
        let scripted = always || self.scripted || ends_early || self.made.iter().any(|m| !m.plain);
        let Body { made, ops, outline, counters, initial, shown, rows, names, .. } = self;
        let handed = reader.scope.handed.clone();
        let (steps, exchanges) = unique(reader, made);
        let hidden = hidden(&names, &exchanges, reader);
        let program = scripted.then(|| {
            Arc::new(Program {
                ops,
                outline,
                exchanges,
                names,
                handed,
                initial,
                variables: shown,
                rows,
                counters,
                lifetime: habits.lifetime,
                on_error: habits.on_error,
                hidden,
            })
        });
        (steps, program)
    }
}

/// What nobody is to see: variables with such a name, those that a cookie or a secret field gives a value, and those that give a
/// credential its value. A server may send a credential back, and a later request may carry it on under another name.
fn hidden(names: &[String], exchanges: &[Exchange], reader: &Reader<'_>) -> Hidden {
    let by_name = |names: &[String], from: u16| {
        let secret = |(at, name): (usize, &String)| secret::is_name(name).then_some(from + at as u16);
        names.iter().enumerate().filter_map(secret).collect::<Vec<_>>()
    };
    let mut places = by_name(names, 0);
    places.extend(by_name(&reader.scope.handed, HANDED));
    places.extend(&reader.scope.hidden_hands);
    let extracts = exchanges.iter().flat_map(|e| &e.extracts);
    places.extend(extracts.filter(|extract| extract.is_secret()).map(|extract| extract.place));
    let (mut fields, mut pairs) = (Vec::new(), Vec::new());
    for exchange in exchanges {
        fields.extend(exchange.known_credentials());
        for made in exchange.made_credentials() {
            made.password().unwrap_or(made).each_place(&mut |place| places.push(place));
            pairs.extend(made.password().filter(|_| made.is_steady()).map(|_| made.clone()));
        }
    }
    places.sort_unstable();
    places.dedup();
    fields.dedup();
    Hidden { places, fields, pairs }
}

/// Variables and what they begin with; later ones may use earlier ones.
fn variables(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    initial: &mut Vec<(u16, Source)>,
    shown: &mut Vec<(String, Shown)>,
) {
    for entry in entries {
        // One that is given another value before anything uses it has that value alone.
        if shown.iter().all(|(_, value)| !value.to_string().contains("{{")) {
            shown.retain(|(name, _)| *name != entry.key);
        }
        shown.push((entry.key.clone(), outline::value(&entry.key, &entry.value)));
        let source = source(reader, &entry.value);
        let place = define(reader, entry);
        if let (Some(place), Some(source)) = (place, source) {
            initial.push((place, source));
        }
    }
}

/// The columns used, by source.
fn rows(used: &[(usize, u16, u16)]) -> Vec<RowUse> {
    let mut rows: Vec<RowUse> = Vec::new();
    for (source, column, place) in used {
        match rows.iter_mut().find(|r| r.source == *source) {
            Some(row) => row.columns.push((*column, *place)),
            None => rows.push(RowUse { source: *source, columns: vec![(*column, *place)] }),
        }
    }
    rows
}

/// Gives the checks of all programs their places among those of the plan.
pub(crate) fn number_checks(scenarios: &mut [Scenario]) -> Vec<NamedCheck> {
    let mut all = Vec::new();
    for scenario in scenarios {
        let Some(program) = scenario.program.as_mut().and_then(Arc::get_mut) else { continue };
        for (exchange, step) in program.exchanges.iter_mut().zip(&scenario.steps) {
            exchange.first_check = all.len() as u32;
            all.extend(exchange.checks.iter().map(|check| NamedCheck {
                scenario: scenario.name.clone(),
                step: exchange.name.clone(),
                tags: step.tags.clone(),
                name: check.name.clone(),
            }));
        }
    }
    all
}

/// Sees to it that names are unique: a name that was given twice is an error, one that was made gets a number.
fn unique(reader: &mut Reader<'_>, made: Vec<Made>) -> (Vec<Step>, Vec<crate::program::Exchange>) {
    let mut taken = HashSet::new();
    for Made { step, given, .. } in &made {
        if let Some(span) = given
            && !taken.insert(step.name.clone())
        {
            let message = format!("two steps are named {}", quote(&step.name));
            reader.problems.add(*span, message, "a step's name is unique in its scenario");
        }
    }
    // How many of a made name there were: searching from 2 each time would take long with thousands of them.
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut number = |Made { mut step, given, mut exchange, .. }: Made| {
        if given.is_none() && !taken.insert(step.name.clone()) {
            let count = counts.entry(step.name.clone()).or_insert(1);
            step.name = loop {
                *count += 1;
                let name = format!("{} #{count}", step.name);
                if taken.insert(name.clone()) {
                    break name;
                }
            };
        }
        exchange.name.clone_from(&step.name);
        (step, exchange)
    };
    made.into_iter().map(&mut number).unzip()
}
