//! Scripted users: between the programs of the plan, which know no connections, and the core, which knows no programs.
//!
//! A scenario without a program never comes here; it costs a look at an `Option` that is empty.

use super::link::Prepared;
use super::parallel::Lanes;
use super::users::State;
use super::{Core, Told, by_proxy, closing};
use crate::clock::Clock;
use crate::io::Driver;
use crate::limits;
use crate::stats::Passed;
use crate::timers::Owner;
use crate::trace::Trace;
use proto::{Field, Framing, Piece, Template, Text, Time};
use scenario::Plan;
use scenario::plan::{CheckTally, Step};
use scenario::program::data::Shard;
use scenario::program::{
    Action, Done, Exchange, Flight, Handed, Hop, Program, Reason, Tally, User, Verdict, World, tallies,
};
use std::sync::Arc;
use std::time::Duration;

/// What makes a step a scripted one.
pub(crate) struct Script {
    pub(super) program: Arc<Program>,
    /// Its place in the program.
    at: usize,
    /// Its requests may have bodies.
    pub(super) has_body: bool,
    with_cookie: Option<Prepared>,
    /// By target of the plan; redirects stay with the protocol of the step.
    hops: Vec<Option<HopPrepared>>,
}

/// The requests that redirects to one target ask for, each without and with cookies.
struct HopPrepared {
    get: [Prepared; 2],
    same: [Prepared; 2],
}

/// Numbers for templates beyond those of the steps: connections keep what they encoded under them.
pub(crate) struct Numbers(pub(crate) u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        self.0 - 1
    }
}

impl Script {
    pub(crate) fn new(
        plan: &Plan,
        step: &Step,
        program: &Arc<Program>,
        at: usize,
        numbers: &mut Numbers,
    ) -> Script {
        let exchange = &program.exchanges()[at];
        let close = plan.connections.requests_per_connection.is_some_and(|n| n.get() == 1);
        let template = if close { closing(&step.template) } else { step.template.clone() };
        let proxied = by_proxy(template.clone(), step.target, plan);
        let with_cookie =
            exchange.cookies().then(|| Prepared::new(numbers.next(), &cookie(&proxied, exchange)));
        let hops = match exchange.follows() {
            false => vec![],
            true => {
                let protocol = plan.targets[step.target].protocol;
                let reached = |t: usize| plan.targets[t].protocol == protocol;
                let mut hop = |t| HopPrepared::new(plan, t, step, &template, exchange, numbers);
                (0..plan.targets.len()).map(|t| reached(t).then(|| hop(t))).collect()
            }
        };
        Script { program: program.clone(), at, has_body: exchange.has_body(), with_cookie, hops }
    }

    /// The path that a redirect led to, for a request that follows one.
    pub(super) fn redirected(&self, user: &Flight) -> Option<Vec<u8>> {
        user.redirected()?;
        let slot = self.program.exchanges()[self.at].location_slot();
        let path = user.values().nth(usize::from(slot))?;
        Some([b"/", path].concat())
    }

    /// The request in wire form that a user sends now; `plain` is the step's own.
    #[inline]
    pub(super) fn prepared<'a>(&'a self, user: &Flight, plain: &'a Prepared) -> &'a Prepared {
        match (user.redirected(), user.has_cookie(), &self.with_cookie) {
            (None, true, Some(prepared)) => prepared,
            (None, ..) => plain,
            (Some(hop), cookie, _) => {
                let hops = self.hops[usize::from(hop.target)].as_ref().expect("it stays with its protocol");
                let pair = if hop.same { &hops.same } else { &hops.get };
                &pair[usize::from(cookie)]
            }
        }
    }
}

/// The template with a place for cookies.
fn cookie(template: &Template, exchange: &Exchange) -> Template {
    let value = Text::new(vec![Piece::Slot(exchange.cookie_slot())]);
    let field = Field { name: "cookie".into(), value, secret: true };
    template.clone().field(field).expect("a constant name is legal")
}

impl HopPrepared {
    fn new(
        plan: &Plan,
        target: usize,
        step: &Step,
        template: &Template,
        exchange: &Exchange,
        numbers: &mut Numbers,
    ) -> HopPrepared {
        let mut pair = |same: bool| {
            let request = hop(plan, target, step, template, exchange, same);
            let with = cookie(&request, exchange);
            [Prepared::new(numbers.next(), &request), Prepared::new(numbers.next(), &with)]
        };
        HopPrepared { get: pair(false), same: pair(true) }
    }
}

/// The request of a redirect: the step's fields, without what belongs to a body that is not sent again, and without
/// credentials where another host is asked (RFC 9110 section 15.4).
fn hop(
    plan: &Plan,
    target: usize,
    step: &Step,
    template: &Template,
    exchange: &Exchange,
    same: bool,
) -> Template {
    let place = &plan.targets[target];
    let path = Text::new(vec![Piece::Literal((*b"/").into()), Piece::Slot(exchange.location_slot())]);
    let method = match template.method() {
        method if same => method,
        "HEAD" => "HEAD",
        _ => "GET",
    };
    let mut request = Template::new(method, place.scheme, Text::literal(&place.authority), path)
        .expect("a plan's method and host are legal");
    let away = target != step.target;
    for field in template.fields() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let of_body = is("content-type") || is("content-encoding") || is("content-language");
        if (of_body && !same) || (away && (is("authorization") || is("cookie"))) || is("proxy-authorization")
        {
            continue;
        }
        request = request.field(field.clone()).expect("it was in a template");
    }
    let framing = if same { template.framing() } else { Framing::None };
    by_proxy(request.body(framing, false), target, plan)
}

/// The scripted users of a core.
pub(super) struct Scripts {
    pub(super) world: World,
    /// By user; empty if no scenario has a program.
    pub(super) actors: Vec<User>,
    /// Requests beside those of users, numbered behind them.
    pub(super) lanes: Lanes,
    /// By phase: where its checks count.
    tallies: Vec<Tally>,
    /// Wall time at the epoch of the run.
    wall: u64,
    figures: ScriptFigures,
    said: u32,
}

/// What scripted users found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScriptFigures {
    /// By check of the plan, or by phase and check.
    pub(crate) checks: Vec<CheckTally>,
    /// Why iterations of recorded phases failed, and how often.
    pub(crate) reasons: Vec<(Reason, u64)>,
    /// What the core's first user hands on, where the plan is a setup.
    pub(crate) handed: Handed,
}

impl Scripts {
    pub(super) fn new(plan: &Plan, users: u32, first_user: u64, shard: Shard, wall: u64) -> Scripts {
        let world = World::new(plan, shard);
        let scripted = plan.scenarios.iter().any(|s| s.program.is_some());
        let users = if scripted { u64::from(users) } else { 0 };
        Scripts {
            actors: (first_user..first_user + users).map(|number| User::new(&world, number)).collect(),
            world,
            lanes: Lanes::default(),
            tallies: tallies(plan),
            wall,
            figures: ScriptFigures::default(),
            said: 0,
        }
    }

    /// From now on checks and extractors say what they found.
    pub(super) fn take_note(&mut self, wanted: bool) {
        self.world.notes = wanted.then(Vec::new);
    }

    /// Gives the trace what checks and extractors just said of a request, and what must not be shown.
    #[inline]
    pub(super) fn tell_notes(&mut self, trace: &mut Option<Box<Trace>>, index: u32, script: &Script) {
        if let Some(trace) = trace {
            self.tell(trace, index, script);
        }
    }

    #[cold]
    fn tell(&mut self, trace: &mut Trace, index: u32, script: &Script) {
        trace.note(index, self.world.notes.as_mut().map(std::mem::take).unwrap_or_default());
        if trace.follows(index) {
            trace.hide(index, self.with(index, |actor, world| actor.secrets(&script.program, world)));
        }
    }

    pub(super) fn at(&mut self, now: Time) -> &mut World {
        self.world.wall = self.wall + now.as_nanos();
        &mut self.world
    }

    /// The request that a user, or one that is beside it, is at.
    #[inline]
    pub(super) fn flight(&self, index: u32) -> &Flight {
        match self.actors.get(index as usize) {
            Some(actor) => actor.flight(),
            None => &self.lanes.list[index as usize - self.actors.len()].flight,
        }
    }

    /// Does something with a user and its request, or one that is beside it.
    #[inline]
    fn with<R>(&mut self, index: u32, act: impl FnOnce(&mut User, &mut World) -> R) -> R {
        let at = index as usize;
        if let Some(actor) = self.actors.get_mut(at) {
            return act(actor, &mut self.world);
        }
        let lane = &mut self.lanes.list[at - self.actors.len()];
        let world = &mut self.world;
        self.actors[lane.owner as usize].aside(&mut lane.flight, |actor| act(actor, world))
    }

    pub(super) fn head(
        &mut self,
        (index, phase): (u32, u16),
        script: &Script,
        status: u16,
        fields: &dyn proto::Fields,
        now: Time,
    ) {
        let tally = self.tallies[usize::from(phase)];
        self.world.wall = self.wall + now.as_nanos();
        self.with(index, |actor, world| actor.head(&script.program, world, status, fields, tally));
    }

    pub(super) fn body(&mut self, index: u32, script: &Script, bytes: &[u8]) {
        self.with(index, |actor, _| actor.body(&script.program, bytes));
    }

    pub(super) fn done(
        &mut self,
        (index, phase): (u32, u16),
        script: &Script,
        response: u64,
        protocol: &'static str,
    ) -> Verdict {
        let done = Done { response, protocol, tally: self.tallies[usize::from(phase)] };
        self.with(index, |actor, world| actor.done(&script.program, world, done))
    }

    pub(super) fn failed(&mut self, index: u32, script: &Script, detail: &'static str) {
        self.with(index, |actor, world| actor.failed(&script.program, world, detail));
    }

    /// A rendered value cannot be sent: the request fails, and with it the iteration.
    pub(super) fn unsendable(&mut self, index: u32, script: &Script) {
        let detail = "a rendered value holds a character that must not be in a request";
        self.with(index, |actor, _| actor.give_up(&script.program, detail));
    }

    fn note_failure(&mut self, phase: u16, reason: Reason) {
        if self.tallies[usize::from(phase)].is_none() {
            return;
        }
        note_reason(&mut self.figures.reasons, reason, 1);
    }

    /// The checks of these tallies.
    pub(super) fn checks(&self, tallies: &[usize]) -> Passed {
        let mut all = Passed::default();
        for tally in tallies.iter().map(|at| &self.world.checks[*at]) {
            all.merge(Passed { passed: tally.passed, failed: tally.failed });
        }
        all
    }

    pub(super) fn into_figures(self) -> ScriptFigures {
        let handed = self.actors.first().map(|first| first.hand_over(&self.world)).unwrap_or_default();
        ScriptFigures { checks: self.world.checks, handed, ..self.figures }
    }
}

/// Counts a reason; what is too much for the list goes to its last place.
fn note_reason(reasons: &mut Vec<(Reason, u64)>, reason: Reason, count: u64) {
    let room = reasons.len() + 1 < limits::ERROR_CAUSES;
    match reasons.iter_mut().find(|(r, _)| *r == reason) {
        Some((_, n)) => *n += count,
        None if room => reasons.push((reason, count)),
        None => {
            const OTHERS: &str = "other reasons";
            match reasons.iter_mut().find(|(r, _)| r == OTHERS) {
                Some((_, n)) => *n += count,
                None => reasons.push((OTHERS.to_owned(), count)),
            }
        }
    }
}

impl ScriptFigures {
    /// Adds those of another core.
    pub(crate) fn merge(&mut self, other: &ScriptFigures) {
        other.reasons.iter().for_each(|(reason, n)| note_reason(&mut self.reasons, reason.clone(), *n));
        ScriptFigures::add_tallies(&mut self.checks, &other.checks);
    }

    /// Adds tallies of the same checks.
    pub(crate) fn add_tallies(to: &mut Vec<CheckTally>, others: &[CheckTally]) {
        to.resize(to.len().max(others.len()), CheckTally::default());
        for (mine, theirs) in to.iter_mut().zip(others) {
            mine.passed += theirs.passed;
            mine.failed += theirs.failed;
            let room = limits::CHECK_SAMPLES.saturating_sub(mine.samples.len());
            mine.samples.extend(theirs.samples.iter().take(room).cloned());
        }
    }
}

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// Begins an iteration of a scenario with a program. False: there are no more rows of data for it.
    pub(super) fn begin_script(&mut self, index: u32, scenario: u16, now: Time) -> bool {
        let setup = self.setup;
        let Some(program) = &setup.plan.scenarios[usize::from(scenario)].program else { return true };
        self.scripts.at(now);
        let scripts = &mut self.scripts;
        scripts.actors[index as usize].begin(program, &mut scripts.world, scenario)
    }

    /// Lets a scripted user do what its program says next; a request of it was due at `due`. `fresh`: the iteration has just
    /// begun.
    pub(super) fn advance_script(&mut self, index: u32, fresh: bool, due: Time, now: Time) {
        let setup = self.setup;
        let scenario = self.users[index as usize].scenario;
        let program = setup.program(scenario);
        loop {
            self.scripts.at(now);
            let scripts = &mut self.scripts;
            match scripts.actors[index as usize].next(program, &mut scripts.world) {
                Action::Request { step, hop } => {
                    let step = setup.scenarios[usize::from(scenario)].first + step;
                    let target = hop.map_or(setup.steps[step as usize].target, |hop: Hop| hop.target);
                    return self.start_request_to(index, (step, target), due, now);
                }
                Action::Parallel { most } => return self.fan_out(index, most, due, now),
                Action::Meet { at, timeout, must } => {
                    if !self.meet(index, at, (timeout, must), now) {
                        self.rest(index, now, State::Thinking, now);
                    }
                    return;
                }
                Action::Think(time) => {
                    let time = self.scaled(index, time);
                    return self.rest(index, now.after(time), State::Thinking, now);
                }
                Action::Log(text) => self.say(index, program, &text),
                Action::End(result) => {
                    let phase = self.users[index as usize].iteration_phase;
                    if let Err(reason) = result {
                        self.recorder.iterations_failed[usize::from(phase)] += 1;
                        self.scripts.note_failure(phase, reason);
                    }
                    return self.end_iteration(index, fresh, now);
                }
            }
        }
    }

    /// A pause as the present phase wants it.
    fn scaled(&self, index: u32, pause: Duration) -> Duration {
        let track = &self.tracks[self.track_of(index)];
        match self.setup.plan.phases[track.phase.index].overrides.think {
            None => pause,
            Some(factor) => Duration::try_from_secs_f64(pause.as_secs_f64() * factor).unwrap_or(pause),
        }
    }

    /// What a plan logs, but not for ever.
    fn say(&mut self, index: u32, program: &Program, text: &str) {
        self.scripts.said += 1;
        match self.scripts.said {
            ..limits::LOGGED => {
                let scripts = &self.scripts;
                let text = scripts.actors[index as usize].masked(program, &scripts.world, text);
                self.told.push(Told::Said(text));
            }
            limits::LOGGED => self.told.push(Told::Said("further lines of `log` are not shown".into())),
            _ => {}
        }
    }

    /// The user does nothing until then.
    pub(super) fn rest(&mut self, index: u32, until: Time, state: State, now: Time) {
        let user = &mut self.users[index as usize];
        (user.state, user.due) = (state, until.max(now));
        if user.due < user.timer_at {
            user.timer_at = user.due;
            self.timers.arm(user.due, Owner::User(index));
        }
    }
}
