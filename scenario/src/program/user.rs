//! The interpreter: one virtual user's place in its program, its variables and its cookies.
//!
//! The engine asks [`User::next`] what to do, sends what it says, and tells the response: [`User::head`], [`User::body`], and
//! then [`User::done`] or [`User::failed`].

use super::aws;
use super::cookies::{self, Jar};
use super::data::{Cursor, Shard, Taken};
use super::decode::Coding;
use super::past::Past;
use super::{BUILT_IN, Exchange, ITERATION, Lifetime, OK, Op, Payload, Program, RESPONSE_MS};
use super::{Rendered, STATUS, Source, USER};
use crate::expr::functions::TOO_LONG;
use crate::expr::random::Random;
use crate::expr::value::Value;
use crate::expr::{Env, EvalError, HANDED};
use crate::limits;
use crate::plan::{CheckTally, Plan, Protocol};
use crate::secret::Secrets;
use bytes::Bytes;
use proto::Scheme;
use std::sync::Arc;
use std::time::Duration;

mod response;

use response::{Locations, show};

/// Why an iteration failed, for people; equal causes read the same.
pub type Reason = String;

/// What a user does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends the request of the scenario's step `step`; with a hop it is one that a redirect asks for.
    Request {
        /// Index of the scenario's step.
        step: u32,
        /// Where a redirect leads.
        hop: Option<Hop>,
    },
    /// Sends several requests at once, each in a flight of its own ([`User::launch`]), at most so many at a time.
    Parallel {
        /// At a time.
        most: u16,
    },
    /// Waits for other users.
    Meet {
        /// Index of the plan's meeting.
        at: u16,
        /// For how long at most.
        timeout: Duration,
        /// Waiting in vain fails the iteration.
        must: bool,
    },
    /// Does nothing for a while.
    Think(Duration),
    /// Says something to whoever watches, who sees it [`User::masked`].
    Log(String),
    /// The iteration is over.
    End(Result<(), Reason>),
}

/// Where a redirect leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Index into the plan's targets.
    pub target: u16,
    /// The method and the body stay (307 and 308); else it is a GET.
    pub same: bool,
}

/// What a complete response was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The status is one that makes the request a success.
    pub expected: bool,
    /// Checks that passed.
    pub passed: u32,
    /// Checks that failed.
    pub failed: u32,
}

/// What the engine knows of a response that is complete.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Due to last byte, in nanoseconds.
    pub response: u64,
    /// As ALPN names it.
    pub protocol: &'static str,
    /// Where its checks are counted.
    pub tally: Tally,
}

/// Where the checks of a request are counted: the first tally of its phase among those of the world. `None`: nowhere, for the
/// phase is not recorded.
pub type Tally = Option<usize>;

/// What the users of one core share.
#[derive(Debug)]
pub struct World {
    /// Nanoseconds since 1970, set before users are asked or told anything.
    pub wall: u64,
    cursors: Vec<Cursor>,
    origins: Vec<Origin>,
    /// Checks by their place in the plan: once, or once for each phase ([`Plan::tallies_by_phase`]).
    pub checks: Vec<CheckTally>,
    /// Buffers for bodies that nobody uses at the moment.
    pool: Vec<Vec<u8>>,
    /// What checks and extractors found, in words, where somebody looks at single requests. Whoever does takes it.
    pub notes: Option<Vec<String>>,
    scratch: Vec<u8>,
    locations: Locations,
    seed: u64,
    /// What the plan itself knows that nobody is to see.
    known: Secrets,
    /// What the setup of the run handed to all users.
    handed: Arc<[Value]>,
    /// Which values are handed on, by place.
    hands: Vec<u16>,
}

#[derive(Debug)]
struct Origin {
    protocol: Option<Protocol>,
    scheme: Scheme,
    authority: String,
    host: String,
}

/// How many tallies each check has.
fn tally_rows(plan: &Plan) -> usize {
    if plan.tallies_by_phase() { plan.phases.len() } else { 1 }
}

/// Where the checks of each phase are counted.
pub fn tallies(plan: &Plan) -> Vec<Tally> {
    let row = if plan.tallies_by_phase() { plan.script.checks.len() } else { 0 };
    plan.phases.iter().enumerate().map(|(at, phase)| phase.record.then_some(at * row)).collect()
}

impl World {
    /// A core's world.
    pub fn new(plan: &Plan, shard: Shard) -> World {
        let origin = |t: &crate::plan::Target| Origin {
            protocol: t.protocol,
            scheme: t.scheme,
            authority: t.authority.clone(),
            host: t.host.clone(),
        };
        World {
            wall: 0,
            notes: None,
            cursors: plan.script.data.iter().map(|s| Cursor::new(s.clone(), shard)).collect(),
            origins: plan.targets.iter().map(origin).collect(),
            checks: vec![CheckTally::default(); plan.script.checks.len() * tally_rows(plan)],
            pool: Vec::new(),
            scratch: Vec::new(),
            locations: Locations::new(),
            seed: plan.script.seed,
            known: plan.script.hidden.clone(),
            handed: plan.script.handed.0.clone(),
            hands: plan.script.hands.clone(),
        }
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > 0 && buffer.capacity() <= limits::MAX_POOLED_BUFFER {
            buffer.clear();
            self.pool.push(buffer);
        }
    }
}

/// What a user keeps of scenarios that it is not in.
#[derive(Debug, Default)]
struct Kept {
    /// By scenario. Cookies are the user's, whichever scenario of this kind it is in.
    vars: Vec<(u16, Vec<Value>)>,
    jar: Jar,
}

/// A virtual user.
#[derive(Debug)]
pub struct User {
    pc: usize,
    /// The scenario of its variables.
    scenario: u16,
    /// Requests of a `parallel` that are under way.
    aloft: u16,
    /// The next of its steps, and where they end.
    fan: (u32, u32),
    iteration: u64,
    vars: Vec<Value>,
    /// Values that variables had which are not shown.
    past: Past<Value>,
    counters: Vec<u32>,
    jar: Jar,
    /// Variables and cookies outlast the iteration.
    lasting: bool,
    /// Variables and cookies of scenarios where they last as long as the user, while it is in another.
    kept: Option<Box<Kept>>,
    random: Random,
    /// Why the iteration will end.
    broken: Option<Reason>,
    flight: Flight,
}

/// One request of a user and its response. A user has one; each request of a `parallel` has another.
#[derive(Debug, Default)]
pub struct Flight {
    step: u32,
    hops: u8,
    hop: Option<Hop>,
    /// The redirect that asked for the present request.
    on_hop: Option<Hop>,
    truncated: bool,
    coding: Coding,
    status: u16,
    /// What came of the checks so far, until the response is complete.
    judged: Vec<response::Judged>,
    target: u16,
    /// The values of the request's slots one after the other, and where each ends.
    rendered: Vec<u8>,
    ends: Vec<u32>,
    payload: Bytes,
    /// Path and query of the request.
    path: Vec<u8>,
    has_cookie: bool,
    body: Vec<u8>,
}

impl Flight {
    /// The values of the request's slots, in order.
    #[inline]
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |end| {
            let value = &self.rendered[from..*end as usize];
            from = *end as usize;
            value
        })
    }

    /// The redirect that asked for the request.
    #[inline]
    pub fn redirected(&self) -> Option<Hop> {
        self.on_hop
    }

    /// Whether the request has a cookie: the value of the slot is not empty.
    #[inline]
    pub fn has_cookie(&self) -> bool {
        self.has_cookie
    }

    /// The request's body.
    #[inline]
    pub fn payload(&self) -> Bytes {
        self.payload.clone()
    }
}

impl User {
    /// A user that has done nothing; `number` is its number in the whole run.
    pub fn new(world: &World, number: u64) -> User {
        let vars =
            vec![Value::Int(number as i64), Value::Int(0), Value::Null, Value::Bool(true), Value::Null];
        debug_assert_eq!(vars.len(), BUILT_IN.len());
        User {
            pc: 0,
            scenario: 0,
            aloft: 0,
            fan: (0, 0),
            iteration: 0,
            vars,
            past: Past::default(),
            counters: Vec::new(),
            jar: Jar::default(),
            lasting: false,
            kept: None,
            random: Random::new(world.seed, number),
            broken: None,
            flight: Flight::default(),
        }
    }

    fn env<'a>(&'a self, world: &'a World) -> Env<'a> {
        Env { vars: &self.vars, handed: &world.handed, random: &self.random, wall: world.wall }
    }

    /// Its number in the whole run.
    fn number(&self) -> u64 {
        match self.vars[USER] {
            Value::Int(n) => n as u64,
            _ => 0,
        }
    }

    /// Whether each source of data lets an iteration of it begin.
    pub fn may_begin(&self, program: &Program, world: &World) -> bool {
        let number = self.number();
        program.rows.iter().all(|rows| world.cursors[rows.source].lets_begin(number))
    }

    /// Begins an iteration. False: a source of data has no more rows; nothing was begun and no row taken.
    /// `scenario` is the program's place in the plan. Variables of a user that changes to another are kept where they last as long
    /// as the user.
    pub fn begin(&mut self, program: &Program, world: &mut World, scenario: u16) -> bool {
        if !self.may_begin(program, world) {
            return false;
        }
        let first = self.iteration == 0 || (self.scenario != scenario && !self.change(program, scenario));
        self.scenario = scenario;
        (self.pc, self.flight.hops, self.flight.hop, self.broken) = (0, 0, None, None);
        (self.aloft, self.fan) = (0, (0, 0));
        self.iteration += 1;
        if first || program.lifetime == Lifetime::Iteration {
            if program.lifetime == Lifetime::Iteration {
                self.jar.clear();
            }
            self.vars.truncate(BUILT_IN.len());
            self.vars.resize(program.names.len(), Value::Unset);
        }
        self.lasting = program.lifetime == Lifetime::User;
        self.counters.clear();
        self.counters.resize(usize::from(program.counters), 0);
        self.vars[ITERATION] = Value::Int(self.iteration as i64);
        (self.vars[STATUS], self.vars[OK], self.vars[RESPONSE_MS]) =
            (Value::Null, Value::Bool(true), Value::Null);
        let number = self.number();
        for rows in &program.rows {
            let cursor = &mut world.cursors[rows.source];
            match cursor.take(number, &self.random) {
                Taken::Row(row) => {
                    if let Err(error) = cursor.read(row, &rows.columns, &mut self.vars) {
                        self.broken = Some(format!("data {}: {error}", cursor.name()));
                    }
                }
                Taken::UsedUp => {
                    self.broken = Some(format!("data {}: the rows are used up", cursor.name()));
                }
            }
        }
        if first || program.lifetime == Lifetime::Iteration {
            for (place, source) in &program.initial {
                if let Err(error) = self.set(*place, source, program, world) {
                    self.broken = Some(format!("variables: {}", explain(program, &error)));
                }
            }
        }
        true
    }

    /// Goes to another scenario: what lasts is put aside, and what was is taken up again. True: it has been there before, and
    /// knows what it knew.
    fn change(&mut self, program: &Program, scenario: u16) -> bool {
        let lasts = program.lifetime == Lifetime::User;
        if self.lasting {
            let kept = self.kept.get_or_insert_default();
            let own = self.vars.iter().take(BUILT_IN.len()).cloned().collect();
            kept.vars.push((self.scenario, std::mem::replace(&mut self.vars, own)));
            if !lasts {
                std::mem::swap(&mut kept.jar, &mut self.jar);
            }
        }
        if !lasts {
            return false;
        }
        let kept = self.kept.get_or_insert_default();
        if !self.lasting {
            std::mem::swap(&mut kept.jar, &mut self.jar);
        }
        match kept.vars.iter().position(|(of, _)| *of == scenario) {
            Some(at) => {
                self.vars = kept.vars.swap_remove(at).1;
                true
            }
            None => false,
        }
    }

    /// What to do next. Called after [`User::begin`], and again after each action has been done.
    pub fn next(&mut self, program: &Program, world: &mut World) -> Action {
        for _ in 0..limits::MAX_OPS_IN_A_ROW {
            if let Some(reason) = self.broken.take() {
                return Action::End(Err(reason));
            }
            if let Some(hop) = self.flight.hop.take() {
                return self.follow(hop, program, world);
            }
            let Some(op) = program.ops.get(self.pc) else { return Action::End(Ok(())) };
            self.pc += 1;
            match self.step(op, program, world) {
                Ok(Some(action)) => return action,
                Ok(None) => {}
                Err(error) => return Action::End(Err(explain(program, &error))),
            }
        }
        Action::End(Err("a loop without a request or a pause".into()))
    }

    fn step(&mut self, op: &Op, program: &Program, world: &mut World) -> Result<Option<Action>, EvalError> {
        match op {
            Op::Request(step) => {
                self.request(*step, program, world)?;
                return Ok(Some(Action::Request { step: *step, hop: None }));
            }
            Op::Parallel { first, count, most } => {
                self.fan = (*first, *first + *count);
                self.vars[OK] = Value::Bool(true);
                return Ok(Some(Action::Parallel { most: *most }));
            }
            Op::Meet { at, timeout, must } => {
                return Ok(Some(Action::Meet { at: *at, timeout: *timeout, must: *must }));
            }
            Op::Think(think) => return Ok(Some(Action::Think(think.draw(&self.random)))),
            Op::Set(place, source) => self.set(*place, source, program, world)?,
            Op::Log(text) => {
                let mut out = Vec::new();
                text.render(self.env(world), &mut out)?;
                return Ok(Some(Action::Log(String::from_utf8_lossy(&out).into_owned())));
            }
            Op::Fail(text) => {
                let mut out = Vec::new();
                text.render(self.env(world), &mut out)?;
                let reason = self.masked(program, world, &String::from_utf8_lossy(&out));
                return Ok(Some(Action::End(Err(reason))));
            }
            Op::Jump(to) => self.pc = *to,
            Op::Unless(condition, to) => {
                if !condition.holds(self.env(world))? {
                    self.pc = *to;
                }
            }
            Op::Repeat { counter, times, written, exit } => {
                let found = times.eval(self.env(world))?;
                let rounds = found.int().and_then(|n| u32::try_from(n).ok());
                let Some(rounds) = rounds.filter(|n| u64::from(*n) <= limits::MAX_ROUNDS) else {
                    let found = show(found.into_text().as_bytes());
                    let reason = format!(
                        "`repeat: {written}` is {found}: it must be a whole number from 0 to {}",
                        limits::MAX_ROUNDS
                    );
                    return Ok(Some(Action::End(Err(self.masked(program, world, &reason)))));
                };
                self.counters[usize::from(*counter)] = rounds;
                if rounds == 0 {
                    self.pc = *exit;
                }
            }
            Op::Again { counter, to } => {
                let left = &mut self.counters[usize::from(*counter)];
                *left = left.saturating_sub(1);
                if *left > 0 {
                    self.pc = *to;
                }
            }
            Op::Rounds { counter, most } => self.counters[usize::from(*counter)] = *most,
            Op::Round { counter } => {
                let left = &mut self.counters[usize::from(*counter)];
                *left = left
                    .checked_sub(1)
                    .ok_or(EvalError::Bad("a `while` went on for more rounds than it may"))?;
            }
            Op::Choose(arms) => {
                let total = arms.last().map_or(0, |(upto, _)| *upto);
                let drawn = self.random.below(total);
                self.pc = arms.iter().find(|(upto, _)| drawn < *upto).map_or(self.pc, |(_, to)| *to);
            }
        }
        Ok(None)
    }

    fn set(
        &mut self,
        place: u16,
        source: &Source,
        program: &Program,
        world: &World,
    ) -> Result<(), EvalError> {
        // The variable itself may be part of the expression, so it is taken out only for writing.
        match source {
            Source::Expr(expr) => {
                let mut value = Value::Null;
                value.set(expr.eval(self.env(world))?);
                self.assign(place, value, program);
            }
            Source::Text(phrase) => {
                let mut out = Vec::new();
                phrase.render(self.env(world), &mut out)?;
                if out.len() > limits::MAX_TEXT {
                    return Err(TOO_LONG);
                }
                self.assign(place, Value::Text(String::from_utf8_lossy(&out).into_owned()), program);
            }
        }
        Ok(())
    }

    /// Gives a variable another value. What is not shown is remembered for a while.
    fn assign(&mut self, place: u16, value: Value, program: &Program) {
        let now = &mut self.vars[usize::from(place)];
        let old = std::mem::replace(now, value);
        match () {
            () if old == Value::Unset || !program.hidden.has(place) => {}
            () if old == *now => self.past.give_back(old),
            () => self.past.keep(old),
        }
    }

    // ---- the request ----

    fn request(&mut self, step: u32, program: &Program, world: &World) -> Result<(), EvalError> {
        let exchange = &program.exchanges[step as usize];
        (self.flight.step, self.flight.hops, self.flight.hop, self.flight.on_hop) = (step, 0, None, None);
        self.flight.target = exchange.target as u16;
        self.render(exchange, world)
    }

    /// Works out the values of the request's slots, and its body.
    fn render(&mut self, exchange: &Exchange, world: &World) -> Result<(), EvalError> {
        self.flight.payload = match &exchange.payload {
            Payload::Fixed(bytes) => bytes.clone(),
            Payload::Rendered(phrase) => {
                let mut body = Vec::new();
                phrase.render(self.env(world), &mut body)?;
                Bytes::from(body)
            }
        };
        let mut out = std::mem::take(&mut self.flight.rendered);
        let mut path = std::mem::take(&mut self.flight.path);
        let rendered = self.render_into(exchange, world, &mut out, &mut path);
        (self.flight.rendered, self.flight.path) = (out, path);
        rendered
    }

    fn render_into(
        &mut self,
        exchange: &Exchange,
        world: &World,
        out: &mut Vec<u8>,
        path: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        out.clear();
        self.flight.ends.clear();
        let signed = if exchange.signer.is_some() { aws::SLOTS } else { 0 };
        for value in &exchange.values[..exchange.values.len() - signed] {
            value.render(self.env(world), out)?;
            self.flight.ends.push(out.len() as u32);
        }
        let follows = exchange.cookies || exchange.follows();
        if follows || exchange.signer.is_some() {
            path.clear();
            Rendered { values: out, ends: &self.flight.ends }.write(&exchange.path, path);
        }
        if let Some(signer) = &exchange.signer {
            let rendered = Rendered { values: out, ends: &self.flight.ends };
            for value in signer.sign(self.env(world), rendered, path, &self.flight.payload)? {
                out.extend_from_slice(value.as_bytes());
                self.flight.ends.push(out.len() as u32);
            }
        }
        if follows {
            self.put_cookie(exchange, world, out, path);
            self.flight.ends.push(out.len() as u32);
        }
        Ok(())
    }

    fn put_cookie(&mut self, exchange: &Exchange, world: &World, out: &mut Vec<u8>, path: &[u8]) {
        let from = out.len();
        if exchange.cookies {
            let path = std::str::from_utf8(path).unwrap_or("/");
            self.jar.write(place(world, self.flight.target, path), world.wall, out);
        }
        self.flight.has_cookie = out.len() > from;
        self.flight.ends.push(out.len() as u32);
    }

    /// The request that a redirect asks for: the same fields, another path, and the cookies that belong there.
    fn follow(&mut self, hop: Hop, program: &Program, world: &World) -> Action {
        let exchange = &program.exchanges[self.flight.step as usize];
        self.flight.hops += 1;
        self.flight.on_hop = Some(hop);
        self.flight.target = hop.target;
        self.flight.ends.truncate(exchange.values.len());
        let mut out = std::mem::take(&mut self.flight.rendered);
        out.truncate(self.flight.ends.last().map_or(0, |end| *end as usize));
        let path = std::mem::take(&mut self.flight.path);
        self.put_cookie(exchange, world, &mut out, &path);
        out.extend_from_slice(path.strip_prefix(b"/").unwrap_or(&path));
        self.flight.ends.push(out.len() as u32);
        (self.flight.rendered, self.flight.path) = (out, path);
        if !hop.same {
            self.flight.payload = Bytes::new();
        }
        Action::Request { step: self.flight.step, hop: Some(hop) }
    }

    /// The request and response that are its own.
    #[inline]
    pub fn flight(&self) -> &Flight {
        &self.flight
    }

    // ---- requests of a `parallel` ----

    /// Requests of a `parallel` that are under way.
    pub fn aloft(&self) -> u16 {
        self.aloft
    }

    /// Begins the next request of a `parallel` in a flight of its own. `None`: there is none to begin.
    pub fn launch(&mut self, program: &Program, world: &World, flight: &mut Flight) -> Option<u32> {
        if self.broken.is_some() || self.fan.0 >= self.fan.1 {
            return None;
        }
        let step = self.fan.0;
        self.fan.0 += 1;
        match self.aside(flight, |user| user.request(step, program, world)) {
            Ok(()) => {
                self.aloft += 1;
                Some(step)
            }
            Err(error) => {
                self.broken = Some(explain(program, &error));
                None
            }
        }
    }

    /// The request of a flight ended. If a redirect is to be followed, its request is ready: the step, and where it goes.
    pub fn land(&mut self, program: &Program, world: &World, flight: &mut Flight) -> Option<(u32, Hop)> {
        if let (Some(hop), None) = (flight.hop.take(), &self.broken) {
            let step = flight.step;
            self.aside(flight, |user| user.follow(hop, program, world));
            return Some((step, hop));
        }
        self.aloft -= 1;
        None
    }

    /// Does something of the user's with another flight than its own. What went wrong in one of them is not forgotten: `ok`
    /// is true only if all were.
    pub fn aside<R>(&mut self, flight: &mut Flight, act: impl FnOnce(&mut User) -> R) -> R {
        let failed = self.vars[OK] == Value::Bool(false);
        std::mem::swap(&mut self.flight, flight);
        let result = act(self);
        std::mem::swap(&mut self.flight, flight);
        if failed {
            self.vars[OK] = Value::Bool(false);
        }
        result
    }

    /// The iteration ends here: it waited in vain.
    pub fn waited_in_vain(&mut self, reason: &str) {
        self.broken.get_or_insert_with(|| reason.to_owned());
    }
}

fn place<'a>(world: &'a World, target: u16, path: &'a str) -> cookies::Place<'a> {
    let origin = &world.origins[usize::from(target)];
    cookies::Place { host: &origin.host, path, secure: origin.scheme == Scheme::Https }
}

fn explain(program: &Program, error: &EvalError) -> Reason {
    match error {
        EvalError::Unset(place) => {
            let name = match place.checked_sub(HANDED) {
                None => program.names.get(usize::from(*place)),
                Some(at) => program.handed.get(usize::from(at)),
            };
            let name = name.map_or("?", String::as_str);
            format!("the variable {name} has no value")
        }
        EvalError::Bad(reason) => (*reason).to_owned(),
    }
}
