//! Steps in their order: requests, pauses, variables, loops and branches become the operations of a program.

use super::data::scalar;
use super::extract::define;
use super::habits::Habits;
use super::step::{self, Made};
use super::tags;
use super::targets::Targets;
use crate::duration::{parse_duration, show_duration};
use crate::expr::Expr;
use crate::expr::parse::settle;
use crate::expr::text::{Escape, is_template};
use crate::expr::value::Value;
use crate::limits;
use crate::outline::{self, Outline, Shown};
use crate::place;
use crate::plan::Meeting;
use crate::program::{Op, Source, Think};
use crate::reader::{Fields, Reader, duration_advice};
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

/// A scenario in the making.
pub(crate) struct Flow<'t> {
    pub habits: Habits,
    pub targets: &'t mut Targets,
    pub fragments: &'t [Entry],
    pub made: Vec<Made>,
    pub ops: Vec<Op>,
    /// The same for people.
    pub outline: Outline,
    pub counters: u16,
    /// Something besides requests is done.
    pub scripted: bool,
    /// Steps of the plan so far.
    pub steps: &'t mut usize,
    depth: usize,
    /// The step that was read last ends the iteration, whichever way it is gone through.
    ends: bool,
    /// Fragments that are being put in.
    inside: Vec<String>,
}

impl<'t> Flow<'t> {
    pub fn new(
        habits: &Habits,
        targets: &'t mut Targets,
        fragments: &'t [Entry],
        steps: &'t mut usize,
    ) -> Flow<'t> {
        Flow {
            habits: habits.clone(),
            targets,
            fragments,
            made: vec![],
            ops: vec![],
            outline: Outline::default(),
            counters: 0,
            scripted: false,
            steps,
            depth: 0,
            ends: false,
            inside: vec![],
        }
    }

    /// The steps behind a key.
    pub fn steps(&mut self, reader: &mut Reader<'_>, entry: &Entry) -> Option<()> {
        let list = reader.list(entry, "steps", limits::MAX_STEPS)?;
        self.depth += 1;
        if self.depth > limits::MAX_FLOW_DEPTH {
            self.depth -= 1;
            return reader.fail(
                entry.key_span,
                "steps are nested too deeply",
                format!("at most {} levels", limits::MAX_FLOW_DEPTH),
            );
        }
        self.outline.open();
        self.list(reader, list);
        self.outline.close();
        self.depth -= 1;
        Some(())
    }

    fn list(&mut self, reader: &mut Reader<'_>, list: &[Rc<Node>]) {
        let mut ended = false;
        for node in list {
            if reader.problems.is_full() {
                break;
            }
            if ended {
                reader.problems.add(
                    node.span,
                    "this step is never reached",
                    "the step before it ends the iteration",
                );
                break;
            }
            self.ends = false;
            self.one(reader, node);
            ended = self.ends;
        }
        self.ends = ended;
    }

    /// The steps of a branch that a condition without variables leads past.
    fn never(&mut self, reader: &mut Reader<'_>, steps: &Entry, condition: &Entry, always: bool) {
        let span = match &steps.value.kind {
            Kind::List(list) => list.first().map_or(steps.key_span, |first| first.span),
            _ => steps.key_span,
        };
        let label = format!("the condition of `{}` is always {always}", condition.key);
        reader.problems.add(span, "this step is never reached", label);
    }

    fn count(&mut self, reader: &mut Reader<'_>, node: &Node) -> Option<()> {
        *self.steps += 1;
        if *self.steps > limits::MAX_STEPS {
            let message = format!("a plan has at most {} steps", limits::MAX_STEPS);
            return reader.fail(node.span, message, "this is one too many");
        }
        Some(())
    }

    fn one(&mut self, reader: &mut Reader<'_>, node: &Node) -> Option<()> {
        self.count(reader, node)?;
        let Some(key) = flow_key(node) else {
            self.request(reader, node)?;
            self.ops.push(Op::Request(self.made.len() as u32 - 1));
            return Some(());
        };
        self.scripted = true;
        let place = place::FLOW.iter().find(|(name, _)| *name == key).map(|(_, place)| place)?;
        let fields = reader.map_node(node, place)?;
        let entry = fields.get(key)?;
        match key {
            "think" => {
                let think = think(reader, entry)?;
                self.outline.begin("think", Shown::Yaml(think.to_string()));
                self.ops.push(Op::Think(think));
            }
            "set" => {
                for entry in reader.named(entry, "variables to values")? {
                    self.outline.begin("set", outline::values(std::slice::from_ref(entry)));
                    let source = source(reader, &entry.value);
                    let place = define(reader, entry);
                    self.ops.push(Op::Set(place?, source?));
                }
            }
            "group" => {
                let name = reader.text(entry)?;
                self.outline.begin("group", outline::text(name));
                self.outline.list("steps");
                let steps = steps_of(reader, &fields, entry)?;
                let inner = tags::read(reader, &fields, &self.habits.tags);
                let outer = std::mem::replace(&mut self.habits.tags, inner);
                self.steps(reader, steps);
                self.habits.tags = outer;
            }
            "repeat" => self.repeat(reader, entry, &fields)?,
            "while" => self.while_(reader, entry, &fields)?,
            "if" => self.if_(reader, entry, &fields)?,
            "choose" => self.choose(reader, entry)?,
            "parallel" => self.parallel(reader, entry, &fields)?,
            "pause_until" => self.pause_until(reader, entry)?,
            "use" => self.use_(reader, entry, &fields)?,
            "fail" | "log" => {
                let text = reader.text(entry)?;
                let phrase = reader.phrase(text, entry.value.span, Escape::Raw)?;
                self.ends = key == "fail";
                self.outline.begin(key, outline::text(text));
                self.ops.push(if self.ends { Op::Fail(phrase) } else { Op::Log(phrase) });
            }
            _ => {}
        }
        Some(())
    }

    fn request(&mut self, reader: &mut Reader<'_>, node: &Node) -> Option<()> {
        let mut made = step::read(reader, node, &self.habits, self.targets)?;
        if !self.inside.is_empty() {
            made.given = None; // a fragment may be used more than once
        }
        self.outline.step(self.made.len() as u32);
        self.made.push(made);
        Some(())
    }

    /// Requests at once. What one of them extracts is not known to the others.
    fn parallel(&mut self, reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<()> {
        let most = match fields.get("max") {
            None => limits::PARALLEL,
            Some(entry) => reader.integer(entry, 1..=limits::MAX_PARALLEL)?,
        };
        let list = reader.list(entry, "requests", limits::MAX_LIST)?;
        let first = self.made.len() as u32;
        self.outline.begin("max", Shown::Number(most));
        self.outline.list("parallel");
        self.outline.open();
        reader.scope.hidden = Some(reader.scope.count());
        for node in list {
            if self.count(reader, node).is_none() {
                break;
            }
            match flow_key(node) {
                None => {
                    self.request(reader, node);
                }
                Some(key) => {
                    let message = format!("`parallel` holds requests, and {} is none", quote(key));
                    reader.problems.add(node.span, message, "put it before or behind the `parallel`");
                }
            }
        }
        reader.scope.hidden = None;
        self.outline.close();
        let count = self.made.len() as u32 - first;
        self.ops.push(Op::Parallel { first, count, most: most as u16 });
        Some(())
    }

    /// A point where users wait for each other. Those of one name are one.
    fn pause_until(&mut self, reader: &mut Reader<'_>, entry: &Entry) -> Option<()> {
        if reader.scope.once {
            return reader.fail(
                entry.key_span,
                "what is done once has one user",
                "there is nobody to wait for",
            );
        }
        let Kind::Map(_) = &entry.value.kind else {
            let users = reader.integer(entry, 1..=limits::MAX_USERS)?;
            return self.meet(reader, (entry, users), "", (limits::MEETING_TIMEOUT, false));
        };
        let fields = reader.map(entry, &place::MEETING)?;
        let Some(users) = fields.get("users") else {
            if fields.odd {
                return None;
            }
            return reader.fail(entry.key_span, "`pause_until` does not say how many `users`", "");
        };
        let timeout = match fields.get("timeout") {
            None => limits::MEETING_TIMEOUT,
            Some(entry) => reader.positive_duration(entry)?,
        };
        let must = match fields.get("at_timeout") {
            None => false,
            Some(entry) => reader.word(entry, &[("continue", false), ("fail", true)])?,
        };
        let name = match fields.get("name") {
            None => "",
            Some(entry) => {
                let name = reader.fixed(entry)?;
                reader.name(name, entry.value.span)?
            }
        };
        let number = reader.integer(users, 1..=limits::MAX_USERS)?;
        self.meet(reader, (users, number), name, (timeout, must))
    }

    fn meet(
        &mut self,
        reader: &mut Reader<'_>,
        (entry, users): (&Entry, u64),
        name: &str,
        (timeout, must): (Duration, bool),
    ) -> Option<()> {
        let users = NonZeroU32::new(u32::try_from(users).ok()?)?;
        let span = entry.value.span;
        let same =
            |(m, place): &&(Meeting, Span)| if name.is_empty() { *place == span } else { m.name == name };
        let at = match reader.scope.meetings.iter().find(same).map(|(m, _)| m.users) {
            Some(others) if others != users => {
                let message =
                    format!("the `pause_until` named {} waits for {others} users elsewhere", quote(name));
                return reader.fail(span, message, "those of one name are one, and wait for the same number");
            }
            Some(_) => reader.scope.meetings.iter().position(|m| same(&m))?,
            None if reader.scope.meetings.len() >= limits::MAX_MEETINGS => {
                let message = format!("a plan has at most {} different `pause_until`", limits::MAX_MEETINGS);
                return reader.fail(span, message, "");
            }
            None => {
                reader.scope.meetings.push((Meeting { name: name.to_owned(), users }, span));
                reader.scope.meetings.len() - 1
            }
        };
        let name = Some(("name", outline::text(name))).filter(|_| !name.is_empty());
        let pairs = name.into_iter().chain([
            ("users", Shown::Number(users.get().into())),
            ("timeout", Shown::Yaml(show_duration(timeout))),
            ("at_timeout", Shown::Yaml(if must { "fail" } else { "continue" }.to_owned())),
        ]);
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value)).collect();
        self.outline.begin("pause_until", Shown::Pairs(pairs));
        self.ops.push(Op::Meet { at: at as u16, timeout, must });
        Some(())
    }

    fn counter(&mut self) -> u16 {
        self.counters += 1;
        self.counters - 1
    }

    fn repeat(&mut self, reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<()> {
        let text = reader.text(entry)?;
        // A minus, a calculation and a variable of the environment are known here, too.
        let times = reader.expression(text, &entry.value, 0).map(settle);
        if let Some(Expr::Const(value)) = &times {
            let rounds = value.get().and_then(|value| value.int());
            if !rounds.is_some_and(|n| (1..=limits::MAX_ROUNDS as i64).contains(&n)) {
                return reader.mismatch(entry, &format!("a whole number from 1 to {}", limits::MAX_ROUNDS));
            }
        }
        let shown = outline::text(text);
        let written = shown.to_string();
        self.outline.begin("repeat", shown);
        self.outline.list("steps");
        let surely = matches!(times, Some(Expr::Const(_)));
        let counter = self.counter();
        let at = self.ops.len();
        let times = times.unwrap_or(Expr::Const(Value::Int(1)));
        self.ops.push(Op::Repeat { counter, times, written: written.into(), exit: 0 });
        let steps = steps_of(reader, fields, entry)?;
        self.steps(reader, steps);
        // A count that is computed may be 0: the loop is skipped.
        self.ends &= surely;
        self.ops.push(Op::Again { counter, to: at + 1 });
        let end = self.ops.len();
        if let Op::Repeat { exit, .. } = &mut self.ops[at] {
            *exit = end;
        }
        Some(())
    }

    fn while_(&mut self, reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<()> {
        let text = reader.text(entry)?;
        let condition = reader.expression(text, &entry.value, 0);
        let always = always(condition.as_ref(), text);
        let most = match fields.get("at_most") {
            None => limits::WHILE_ROUNDS,
            Some(entry) => reader.integer(entry, 1..=limits::MAX_ROUNDS)?,
        };
        self.outline.begin("while", outline::text(text));
        self.outline.more("at_most", Shown::Number(most));
        self.outline.list("steps");
        let counter = self.counter();
        self.ops.push(Op::Rounds { counter, most: most as u32 });
        let at = self.ops.len();
        self.ops.push(Op::Unless(condition.unwrap_or(Expr::Const(Value::Null)), 0));
        self.ops.push(Op::Round { counter });
        let steps = steps_of(reader, fields, entry)?;
        match always {
            Some(false) => self.never(reader, steps, entry, false),
            Some(true) if reader.scope.once => {
                let message = "this loop has no end but a failure";
                reader.problems.add(entry.value.span, message, "the condition of `while` is always true");
            }
            _ => {}
        }
        self.steps(reader, steps);
        // Nothing else leads out of a loop.
        self.ends = always == Some(true);
        self.ops.push(Op::Jump(at));
        self.patch(at);
        Some(())
    }

    /// The jump at this place leads to what comes next.
    fn patch(&mut self, at: usize) {
        let end = self.ops.len();
        if let Op::Unless(_, to) | Op::Jump(to) = &mut self.ops[at] {
            *to = end;
        }
    }

    fn if_(&mut self, reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<()> {
        let text = reader.text(entry)?;
        let condition = reader.expression(text, &entry.value, 0);
        let Some(then) = fields.get("then") else {
            if fields.odd {
                return None;
            }
            return reader.fail(entry.key_span, "`if` has no `then`", "give it `then: [...]` with steps");
        };
        match (always(condition.as_ref(), text), fields.get("else")) {
            (Some(false), _) => self.never(reader, then, entry, false),
            (Some(true), Some(otherwise)) => self.never(reader, otherwise, entry, true),
            _ => {}
        }
        self.outline.begin("if", outline::text(text));
        self.outline.list("then");
        let at = self.ops.len();
        self.ops.push(Op::Unless(condition.unwrap_or(Expr::Const(Value::Null)), 0));
        self.steps(reader, then);
        let then_ends = self.ends;
        self.ends = false;
        if let Some(otherwise) = fields.get("else") {
            let over = self.ops.len();
            self.ops.push(Op::Jump(0));
            self.patch(at);
            self.outline.list("else");
            self.steps(reader, otherwise);
            self.ends &= then_ends;
            self.patch(over);
        } else {
            self.patch(at);
        }
        Some(())
    }

    fn choose(&mut self, reader: &mut Reader<'_>, entry: &Entry) -> Option<()> {
        let list = reader.list(entry, "choices", limits::MAX_LIST)?;
        let at = self.ops.len();
        self.ops.push(Op::Choose(vec![]));
        self.outline.begin_list("choose");
        self.outline.open();
        let (mut arms, mut exits, mut upto, mut all_end) = (vec![], vec![], 0, true);
        for node in list {
            let Some(fields) = reader.map_node(node, &place::CHOICE) else { continue };
            let weight = match fields.get("weight") {
                None => 1,
                Some(entry) => reader.integer(entry, 1..=limits::MAX_WEIGHT)?,
            };
            upto += weight;
            arms.push((upto, self.ops.len()));
            let Some(steps) = fields.get("steps") else {
                if !fields.odd {
                    reader.problems.add(fields.span, "the choice has no `steps`", "");
                }
                continue;
            };
            self.outline.begin("weight", Shown::Number(weight));
            self.outline.list("steps");
            self.steps(reader, steps);
            all_end &= self.ends;
            exits.push(self.ops.len());
            self.ops.push(Op::Jump(0));
        }
        self.outline.close();
        self.ends = all_end;
        self.ops[at] = Op::Choose(arms);
        exits.into_iter().for_each(|at| self.patch(at));
        Some(())
    }

    /// Puts a fragment in: its parameters become variables.
    fn use_(&mut self, reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<()> {
        let name = reader.fixed(entry)?;
        let names: Vec<&str> = self.fragments.iter().map(|f| f.key.as_str()).collect();
        let Some(fragment) = self.fragments.iter().find(|f| f.key == name) else {
            let label = match place::nearest(name, &names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if names.is_empty() => "the plan has no `fragments`".to_owned(),
                None => format!("the plan has {}", place::list(&names)),
            };
            return reader.fail(entry.value.span, format!("there is no fragment {}", quote(name)), label);
        };
        if self.inside.iter().any(|n| n == name) {
            let chain = self.inside.join(" > ");
            return reader.fail(
                entry.value.span,
                format!("the fragment {} uses itself", quote(name)),
                format!("{chain} > {name}"),
            );
        }
        let inner = reader.map(fragment, &place::FRAGMENT)?;
        self.outline.begin("use", outline::text(name));
        self.parameters(reader, entry, &inner, fields.get("with"))?;
        let steps = steps_of(reader, &inner, fragment)?;
        self.outline.inside();
        self.inside.push(name.to_owned());
        let done = self.steps(reader, steps);
        self.inside.pop();
        done
    }

    fn parameters(
        &mut self,
        reader: &mut Reader<'_>,
        used: &Entry,
        fragment: &Fields<'_>,
        with: Option<&Entry>,
    ) -> Option<()> {
        let mut wanted: Vec<&str> = Vec::new();
        if let Some(entry) = fragment.get("parameters") {
            for node in reader.list(entry, "names", limits::MAX_LIST)? {
                let Some(name) = node.as_text() else {
                    let message =
                        format!("the name of a parameter must be text, found {}", Reader::found(node));
                    return reader.fail(node.span, message, "");
                };
                wanted.push(name);
            }
        }
        let given: &[Entry] = match with {
            None => &[],
            Some(entry) => reader.named(entry, "parameters to values")?,
        };
        if let Some(odd) = given.iter().find(|e| !wanted.contains(&e.key.as_str())) {
            let label = match place::nearest(&odd.key, &wanted) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "the fragment does not take it".to_owned(),
            };
            return reader.fail(odd.key_span, format!("unknown parameter {}", quote(&odd.key)), label);
        }
        if let Some(missing) = wanted.iter().find(|w| given.iter().all(|e| e.key != **w)) {
            return reader.fail(
                used.value.span,
                format!("the parameter {} is missing", quote(missing)),
                "give it in `with`",
            );
        }
        if with.is_some() {
            self.outline.more("with", outline::values(given));
        }
        for entry in given {
            let source = source(reader, &entry.value);
            let place = define(reader, entry);
            self.ops.push(Op::Set(place?, source?));
        }
        Some(())
    }
}

/// What a condition of literals alone comes out as. One that rests on the environment is none of these.
fn always(condition: Option<&Expr>, written: &str) -> Option<bool> {
    // A value from there stands in the expression as a literal does.
    if written.contains("env") {
        return None;
    }
    match settle(condition?.clone()) {
        Expr::Const(value) => Some(value.get()?.truth()),
        _ => None,
    }
}

/// The key that makes a step something else than a request.
fn flow_key(node: &Node) -> Option<&'static str> {
    place::FLOW.iter().map(|(key, _)| *key).find(|key| node.entry(key).is_some())
}

fn steps_of<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>, entry: &Entry) -> Option<&'n Entry> {
    match fields.get("steps") {
        Some(steps) => Some(steps),
        None if fields.odd => None,
        None => reader.fail(
            entry.key_span,
            format!("{} has no `steps`", quote(&entry.key)),
            "give it `steps: [...]`",
        ),
    }
}

/// A value for a variable: a scalar, a template, or a list of scalars.
pub(crate) fn source(reader: &mut Reader<'_>, node: &Node) -> Option<Source> {
    match &node.kind {
        Kind::Scalar { text, .. } if is_template(text) => {
            let phrase = reader.phrase(text, node.span, Escape::Raw)?;
            let alone =
                text.trim().starts_with("{{") && text.trim().ends_with("}}") && phrase.as_single().is_some();
            match phrase.as_single().filter(|_| alone) {
                Some(expr) => Some(Source::Expr(expr.clone())),
                None => Some(Source::Text(phrase)),
            }
        }
        Kind::List(items) if items.len() <= limits::MAX_LIST_VALUES => {
            let values: Option<Vec<Value>> = items.iter().map(|item| scalar(reader, item)).collect();
            Some(Source::Expr(Expr::Const(Value::List(values?))))
        }
        _ => Some(Source::Expr(Expr::Const(scalar(reader, node)?))),
    }
}

fn think(reader: &mut Reader<'_>, entry: &Entry) -> Option<Think> {
    if let Kind::Map(_) = &entry.value.kind {
        let fields = reader.map(entry, &place::THINK)?;
        return match (fields.get("normal"), fields.get("deviation"), fields.get("exponential")) {
            (Some(mean), Some(deviation), None) => {
                let (mean, deviation) = (reader.duration(mean)?, reader.duration(deviation)?);
                Some(Think::Normal { mean, deviation })
            }
            (None, None, Some(mean)) => Some(Think::Exponential { mean: reader.duration(mean)? }),
            _ if fields.odd => None,
            _ => reader.fail(
                entry.key_span,
                "a time to think is a time, a range or a distribution",
                "`1s`, `500ms..2s`, `{ normal: 1s, deviation: 200ms }` or `{ exponential: 1s }`",
            ),
        };
    }
    let text = reader.fixed(entry)?;
    let Some((low, high)) = text.split_once("..") else {
        return reader.duration(entry).map(Think::Fixed);
    };
    let mut bound = |text: &str| match parse_duration(text.trim()) {
        Ok(time) => Some(time),
        Err(error) => {
            let advice = duration_advice(text.trim(), &error);
            reader.fail(entry.value.span, format!("`think`: {error}"), advice)
        }
    };
    let (low, high) = (bound(low)?, bound(high)?);
    match low <= high {
        true => Some(Think::Uniform(low, high)),
        false => {
            reader.fail(entry.value.span, "the range begins above its end", "the shorter time comes first")
        }
    }
}
