//! One core: its turn, its connections, its users. The clock and the I/O are passed in, so a core also runs in a
//! simulation.
//!
//! The turn: wait for completions, read the clock once, handle the completions, fire timers, let users go on, flush each
//! touched link once.

/// The parts of a core that the events of one link concern, borrowed side by side.
macro_rules! notes {
    ($core:expr, $link:ident, $now:expr) => {
        Notes {
            now: $now,
            users: &mut $core.users,
            steps: &$core.setup.steps,
            scripts: &mut $core.scripts,
            recorder: &mut $core.recorder,
            queues: &mut $core.queues,
            tidings: &mut $link.tidings,
        }
    };
}

mod alternative;
mod arrivals;
mod closing;
mod handshakes;
mod link;
mod meet;
mod notes;
mod opening;
mod parallel;
mod prelude;
mod quic;
mod script;
#[cfg(test)]
mod simulation;
mod tracks;
mod traffic;
mod used_up;
mod users;
mod waking;
mod wheel;

use crate::addresses::Ways;
use crate::batch::Batch;
use crate::clock::Clock;
use crate::gate::{self, Place};
use crate::io::{Driver, Wait, What};
use crate::limits;
use crate::rendezvous::Rendezvous;
use crate::request_log::CoreLog;
use crate::run::Interrupts;
use crate::stats::interval::{Grid, Keep};
use crate::stats::recorder::Recorder;
use crate::stats::{Batching, Books, Bytes, Cost, Part, Passed, Pauses, Series, TlsFacts, cost};
use crate::timers::{Owner, Timers};
use crate::tls::{Pieces, ServerName, TlsSetup};
use crate::trace::{Exchange, Trace};
use crate::{Options, Pacing};
use alternative::Alternative;
use arrivals::Until;
pub(crate) use link::Client;
use link::{Link, Prepared};
pub(crate) use prelude::PreludeSetup;
use proto::{Field, Template, Text, Time, Want};
pub(crate) use quic::QuicSetup;
use scenario::Plan;
use scenario::plan::{Order, Protocol, Share, Step};
use scenario::program::Program;
use scenario::program::data::Shard;
use script::Scripts;
pub(crate) use script::{Numbers, Script, ScriptFigures};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::time::Duration;
use tracks::{Stage, Track};
use users::User;
pub(crate) use users::{CoreShare, shares};
use waking::Waking;
use wheel::Wheel;

/// What all cores of a run share, made before the start and never changed.
pub(crate) struct Setup {
    pub(crate) plan: Plan,
    pub(crate) options: Options,
    pub(crate) steps: Vec<StepSetup>,
    pub(crate) scenarios: Vec<ScenarioSetup>,
    pub(crate) targets: Vec<TargetSetup>,
    /// Most retired sockets that wait for the peer to close, per core.
    pub(crate) lingering: usize,
    pub(crate) h1: proto_h1::Config,
    pub(crate) h2: proto_h2::Config,
    /// Bodies nobody looks at are thrown away by the kernel: HTTP/1 in clear only.
    pub(crate) discard: bool,
    /// What of each interval somebody asked for.
    pub(crate) keep: Keep,
    /// Where users of all cores wait for each other.
    pub(crate) meetings: Vec<Rendezvous>,
}

impl Setup {
    /// Whether no target is spoken to over TLS.
    pub(crate) fn in_clear(&self) -> bool {
        self.targets.iter().all(|t| t.tls.is_none())
    }

    /// What the users of a scripted scenario do.
    fn program(&self, scenario: u16) -> &Program {
        self.plan.scenarios[usize::from(scenario)].program.as_ref().expect("a scripted scenario")
    }

    /// How many requests a connection takes.
    fn requests_per_connection(&self) -> u64 {
        self.plan.connections.requests_per_connection.map_or(u64::MAX, |n| n.get())
    }
}

/// A scenario's part of the dense step list.
pub(crate) struct ScenarioSetup {
    pub(crate) first: u32,
    pub(crate) len: u32,
    pub(crate) order: Order,
    /// Whether it has a program.
    pub(crate) scripted: bool,
}

impl ScenarioSetup {
    /// Whether an iteration is over after the request of this step.
    #[inline]
    fn ends_with(&self, step: u32) -> bool {
        self.order == Order::RoundRobin || step + 1 == self.first + self.len
    }
}

/// A step, ready to be sent.
pub(crate) struct StepSetup {
    target: u16,
    prepared: Prepared,
    body: bytes::Bytes,
    want: Want,
    expected: StatusMap,
    checks: u32,
    /// Something follows the head of its request.
    has_body: bool,
    /// Twice is as good as once (RFC 9110 section 9.2.2).
    idempotent: bool,
    /// Where it is more than a constant request.
    script: Option<Box<Script>>,
    /// Nanoseconds; `u64::MAX`: none.
    timeout: u64,
}

/// Where connections of a target go, and what they speak.
pub(crate) struct TargetSetup {
    pub(crate) ways: Ways,
    pub(crate) protocol: Protocol,
    /// What its connections say first.
    pub(crate) prelude: PreludeSetup,
    /// Where it is `https`.
    pub(crate) tls: Option<TargetTls>,
    /// Where it is spoken to over QUIC, or may be (see `alternative`).
    pub(crate) quic: Option<QuicSetup>,
    /// No step goes there: connections are opened when a redirect does.
    pub(crate) lazy: bool,
}

/// The TLS of a target.
pub(crate) struct TargetTls {
    pub(crate) name: ServerName<'static>,
    pub(crate) setup: TlsSetup,
}

/// RFC 9110 section 9.2.2, of the methods that it defines.
const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

/// A set of status codes that answers in one look.
struct StatusMap([u64; 16]);

impl StatusMap {
    fn new(set: &scenario::plan::StatusSet) -> StatusMap {
        let mut bits = [0; 16];
        for code in (0..1000_u16).filter(|&c| set.contains(c)) {
            bits[usize::from(code / 64)] |= 1 << (code % 64);
        }
        StatusMap(bits)
    }
    #[inline]
    fn contains(&self, code: u16) -> bool {
        code < 1000 && self.0[usize::from(code / 64)] >> (code % 64) & 1 == 1
    }
}

impl StepSetup {
    /// `index` is the step's place in the dense list.
    pub(crate) fn new(index: u32, step: &Step, plan: &Plan, script: Option<Script>) -> StepSetup {
        let template = match plan.connections.requests_per_connection.map(|n| n.get()) {
            Some(1) => closing(&step.template),
            _ => step.template.clone(),
        };
        let template = by_proxy(template, step.target, plan);
        let timeout = step.timeout.or(plan.timeouts.request);
        StepSetup {
            target: step.target as u16,
            prepared: Prepared::new(index, &template),
            body: step.body.clone(),
            // Where the server speaks HTTP/3 is said by a field.
            want: Want { fields: step.want.fields || plan.may_move(&plan.targets[step.target]), ..step.want },
            expected: StatusMap::new(&step.expected()),
            // What is counted of a scripted step is up to its script.
            checks: step.checks.len() as u32 + u32::from(script.is_some()),
            has_body: !step.body.is_empty() || script.as_ref().is_some_and(|s| s.has_body),
            idempotent: IDEMPOTENT.contains(&step.template.method()),
            script: script.map(Box::new),
            timeout: timeout.map_or(u64::MAX, |d| d.as_nanos() as u64),
        }
    }
}

/// A proxy that passes requests on in clear must be told the whole URL, and who asks.
fn by_proxy(template: Template, target: usize, plan: &Plan) -> Template {
    let Some(proxy) = &plan.connections.route.proxy else { return template };
    let target = &plan.targets[target];
    if prelude::tunnels(target.scheme, plan.protocol_of(target)) {
        return template;
    }
    let template = template.absolute_form();
    let name = "proxy-authorization";
    match &proxy.authorization {
        Some(value) if !template.fields().iter().any(|f| f.name.eq_ignore_ascii_case(name)) => {
            let value = Text::literal(value.reveal());
            template.field(Field { name: name.into(), value, secret: true }).expect("base64 is a legal value")
        }
        _ => template,
    }
}

/// With one request per connection the request says so: the server then closes first and keeps the TIME_WAIT.
fn closing(template: &Template) -> Template {
    if template.fields().iter().any(|f| f.name.eq_ignore_ascii_case("connection")) {
        return template.clone();
    }
    let field = Field { name: "connection".into(), value: Text::literal("close"), secret: false };
    template.clone().field(field).expect("a constant field is legal")
}

/// Lists that events and the turn pass users through.
#[derive(Default)]
struct Queues {
    /// Users whose request ended, or is to be sent again.
    ready: Vec<u32>,
    /// Users waiting for a link, by target.
    waiting: Vec<Waiting>,
    /// Links with room, by target.
    pooled: Vec<VecDeque<u32>>,
    /// What is known of alternatives, by target; empty where the plan does not want to know.
    alternatives: Vec<Option<Alternative>>,
    /// Requests begun and not ended: counted on its own, so that the balance of the books proves something.
    in_flight: u64,
}

/// Users of a pool that wait for a link of one target.
#[derive(Default)]
struct Waiting {
    /// Those whose request a connection left over, in its order. They come first, as they came first: else one could be
    /// behind the last that is answered on connection after connection.
    left_over: VecDeque<u32>,
    fresh: VecDeque<u32>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.left_over.is_empty() && self.fresh.is_empty()
    }

    fn push(&mut self, user: u32, left_over: bool) {
        let queue = if left_over { &mut self.left_over } else { &mut self.fresh };
        queue.push_back(user);
    }

    fn pop(&mut self) -> Option<u32> {
        self.left_over.pop_front().or_else(|| self.fresh.pop_front())
    }
}

/// What a core tells the run while it goes.
#[derive(Debug)]
pub(crate) enum Told {
    /// It does not run on io_uring, and why.
    NoRing(String),
    /// It cannot be kept on this CPU.
    NotPinned(usize),
    /// The first connection is up.
    Connected(Option<TlsFacts>, &'static str),
    /// A phase began.
    PhaseBegan(usize),
    /// A phase ended.
    PhaseEnded(usize),
    /// A plan's `log`.
    Said(String),
    /// A request that is traced ended, or the run did.
    Traced(Box<Exchange>),
    /// Taking stock. Boxed: it is large and rare.
    Snapshot(Box<CoreSnapshot>),
}

/// A core at one moment.
#[derive(Debug)]
pub(crate) struct CoreSnapshot {
    pub(crate) at: Time,
    pub(crate) phase: usize,
    /// The interval that has ended.
    pub(crate) interval: u64,
    /// The one it tells of next; `u64::MAX`: none, it has finished.
    pub(crate) next: u64,
    pub(crate) books: Books,
    pub(crate) open: u64,
    /// What changed since the last snapshot.
    pub(crate) parts: Vec<Part>,
    /// From when to when each phase was, so far.
    pub(crate) phases: Vec<Option<(Time, Time)>>,
    /// Connect and handshake times so far.
    pub(crate) connect: Option<(Series, Series)>,
    pub(crate) attempted: u64,
    pub(crate) opened: u64,
    pub(crate) failed: u64,
    pub(crate) data_bytes: u64,
    /// So far, of each watched threshold on checks of one name.
    pub(crate) checks: Vec<Passed>,
}

/// What a core found out.
pub(crate) struct CoreResult {
    pub(crate) recorder: Recorder,
    /// When each phase began and ended; `None`: never begun.
    pub(crate) phases: Vec<Option<(Time, Time)>>,
    /// What each link did.
    pub(crate) clients: Vec<Client>,
    pub(crate) batching: Batching,
    pub(crate) turns: u64,
    /// Spent spinning, ns: not work.
    pub(crate) spun: u64,
    pub(crate) pauses: Pauses,
    /// What the thread cost from the start of the first phase to the end of the last: without what it took to open connections
    /// before, and to wait for the last responses.
    pub(crate) of_phases: Cost,
    pub(crate) overflows: u64,
    /// How often it waited for the request log to be written.
    pub(crate) log_waits: u64,
    pub(crate) driver: String,
    /// The CPU that it should have been kept on and was not.
    pub(crate) unpinned: Option<usize>,
    /// Why it ended before its time, if it did.
    pub(crate) gave_up: Option<String>,
    pub(crate) interrupted: bool,
    /// What its scripted users found out.
    pub(crate) script: ScriptFigures,
}

/// Where a run is.
struct Progress<'a> {
    interrupts: Interrupts<'a>,
    now: Time,
    /// When stock is taken.
    grid: Grid,
    /// Until when requests in flight are waited for.
    drain_until: Time,
    interrupted: bool,
    gave_up: Option<String>,
    /// What the thread had cost when the phases could begin; then what it cost while they ran.
    of_phases: Cost,
}

/// One core.
pub(crate) struct Core<'a, D, C> {
    setup: &'a Setup,
    share: CoreShare,
    io: D,
    clock: C,
    links: Vec<Link>,
    /// How many of them serve requests, from the first; the others are of phases of handshakes.
    pool: u32,
    /// Attempts to open one of the pool that failed.
    pool_failed: u64,
    users: Vec<User>,
    scripts: Scripts,
    queues: Queues,
    timers: Timers,
    batch: Batch,
    recorder: Recorder,
    tracks: Vec<Track>,
    track_of_phase: Vec<u16>,
    /// Users whose iterations end after the request they are at.
    cut: HashSet<u32>,
    /// How connections begin, see [`crate::tls::Opening`].
    openings: Wheel,
    phases: Vec<Option<(Time, Time)>>,
    /// Users that wait for others.
    met: Vec<meet::Waiting>,
    /// Links to flush at the end of the turn.
    touched: Vec<u32>,
    /// Received and not yet read.
    datagrams: Vec<proto_h3::Received>,
    /// Plaintext on its way into TLS, or datagrams on theirs to the kernel.
    scratch: Vec<u8>,
    pieces: Pieces,
    told: Vec<Told>,
    /// Links in state `Open`.
    open: u32,
    /// Those of the pool, by target.
    up: Vec<u32>,
    /// QUIC handshakes under way: links that are `shaking`.
    shaking: u64,
    stopping: bool,
    /// Links on which a send failed in this turn, with the time their connection was opened, which tells it from the next one.
    unsent: Vec<(u32, Time, io::Error)>,
    /// It waits for the other cores, whose news comes by no completion.
    meeting: bool,
    /// Since when no connection could be opened.
    down_since: Option<Time>,
    /// A user goes on that waits for nothing: the next turn does not either.
    at_once: bool,
    bytes: Bytes,
    turns: u64,
    /// The present turn napped: there is time to gather requests of a multiplexed connection.
    napping: bool,
    /// Links whose flush was put off to the next turn.
    holding: bool,
    /// Spent looking for completions in vain because an arrival was about to be due (ns).
    spun: u64,
    waking: Waking,
    pauses: Pauses,
    /// CPU time of the thread (ns) at some time not long ago.
    worked: (Time, u64),
}

impl<'a, D: Driver, C: Clock> Core<'a, D, C> {
    pub(crate) fn new(setup: &'a Setup, share: CoreShare, mut io: D, clock: C) -> Core<'a, D, C> {
        io.set_lingering_max(setup.lingering);
        let now = clock.now();
        let targets = setup.targets.len();
        let users: u32 = share.tracks.iter().sum();
        let all_links = u64::from(setup.plan.connections.max.get());
        let ramp = setup.plan.connections.ramp_up.as_nanos() as u64;
        let ramp_step = setup.plan.connections.ramp_step.get();
        let pool = (0..targets as u16)
            .flat_map(|target| (0..share.links).map(move |i| (target, share.first_link + i)));
        let mut links: Vec<Link> = pool
            .map(|(target, global)| {
                let stair = u128::from(global / ramp_step * ramp_step);
                // From the start of the run, which is not yet.
                let at = (u128::from(ramp) * stair / u128::from(all_links)) as u64;
                Link::new(target, Time::from_nanos(at), global)
            })
            .collect();
        let pool = links.len() as u32;
        let apart: u32 = share.handshakes.iter().sum();
        links.extend((0..apart).map(|i| Link::new(0, Time::ZERO, share.first_link + i)));
        let plan = &setup.plan;
        let mix = plan.mix();
        let h1 = setup.targets.iter().all(|t| t.protocol == Protocol::H1);
        let multiplexed = !h1 && plan.connections.streams.get() > 1;
        let batch = Batch::new(setup.options.batch && io.can_nap(), multiplexed, now);
        let tracks = tracks::tracks(plan, &share, pool, now);
        Core {
            recorder: Recorder::new(
                setup.plan.phases.iter().map(|p| p.record),
                if setup.options.by_step { setup.steps.len() } else { 1 },
                &setup.keep,
            ),
            openings: Wheel::new([mix.fresh, mix.resumed, mix.early].into_iter().enumerate()),
            phases: vec![None; setup.plan.phases.len()],
            links,
            pool,
            pool_failed: 0,
            users: tracks
                .iter()
                .flat_map(|t| (0..t.users).map(|_| User::new(t.phases.start as u16)))
                .collect(),
            track_of_phase: tracks::by_phase(&tracks, setup.plan.phases.len()),
            tracks,
            cut: HashSet::new(),
            scripts: Scripts::new(
                plan,
                users,
                share.first_user,
                Shard { index: share.core.0, of: share.core.1 },
                crate::clock::wall().saturating_sub(now.as_nanos()),
            ),
            queues: Queues {
                waiting: (0..targets).map(|_| Waiting::default()).collect(),
                pooled: vec![VecDeque::new(); targets],
                alternatives: alternative::all(setup),
                ..Queues::default()
            },
            timers: Timers::default(),
            batch,
            met: Vec::new(),
            touched: Vec::new(),
            datagrams: Vec::new(),
            scratch: Vec::new(),
            pieces: Pieces::default(),
            told: Vec::new(),
            open: 0,
            up: vec![0; targets],
            shaking: 0,
            stopping: false,
            unsent: Vec::new(),
            meeting: false,
            down_since: None,
            at_once: false,
            bytes: Bytes::default(),
            turns: 0,
            napping: false,
            holding: false,
            spun: 0,
            waking: Waking::new(),
            pauses: Pauses::default(),
            worked: (now, 0),
            setup,
            share,
            io,
            clock,
        }
    }

    /// Runs all phases. `tell` hands news to the run; it must not block for long.
    pub(crate) fn run(
        mut self,
        interrupts: Interrupts<'_>,
        place: &Place<'_>,
        tell: &mut dyn FnMut(Told),
    ) -> io::Result<CoreResult> {
        let start = self.clock.now();
        let mut run = Progress {
            interrupts,
            now: start,
            grid: Grid::new(self.setup.options.interval, start),
            drain_until: Time::NEVER,
            interrupted: false,
            gave_up: None,
            of_phases: cost::of_thread(),
        };
        for link in &mut self.links {
            link.reopen_at = start.after(Duration::from_nanos(link.reopen_at.as_nanos()));
        }
        if self.setup.plan.makes_requests() {
            for link in 0..self.pool {
                // A thousand connections of QUIC take a while to make, and each has timers.
                let now = self.clock.now().max(start);
                if !self.is_lazy(&self.links[link as usize]) {
                    self.start_link(link, now);
                }
            }
        }
        let begins = self.open_links_first(&mut run, place, tell)?;
        self.begin_tracks(begins);
        while !self.move_tracks(place, run.now) {
            self.step(&mut run, tell)?;
            if self.is_to_leave(&mut run) {
                self.end_running_phases(run.now);
                break;
            }
        }
        run.of_phases = cost::since(run.of_phases);
        self.drain(&mut run, tell)?;
        self.finish(run, tell)
    }

    /// In the open model arrivals begin when the connections stand: their schedule is not delayed by handshakes. Returns
    /// when the first phase begins.
    fn open_links_first(
        &mut self,
        run: &mut Progress<'_>,
        place: &Place<'_>,
        tell: &mut dyn FnMut(Told),
    ) -> io::Result<Time> {
        let open = |t: &Track| self.setup.plan.phases[t.phase.index].load.schedule().is_some();
        if !self.tracks.iter().any(open) {
            return Ok(run.now);
        }
        let wanted = if self.setup.plan.makes_requests() { self.pool as usize } else { 0 };
        let until = run.now.after(limits::OPEN_FIRST);
        let mut came = false;
        loop {
            let settled = |l: &Link| {
                l.state == link::LinkState::Open || l.failures > 0 || l.reopen_at > run.now || self.is_lazy(l)
            };
            if !came && (run.now >= until || self.links[..wanted].iter().all(settled)) {
                // Before the others can see it: nothing is to lie between the last one's coming and the first arrival.
                run.of_phases = cost::of_thread();
                place.come(gate::READY, run.now);
                came = true;
            }
            if let Some(begins) = place.all_came(gate::READY).filter(|_| came) {
                return Ok(begins);
            }
            self.meeting = came;
            self.step(run, tell)?;
            self.meeting = false;
            if run.interrupts.count() > 0 || self.never_opened() {
                return Ok(run.now);
            }
        }
    }

    /// A turn, and what the run wants between turns.
    fn step(&mut self, run: &mut Progress<'_>, tell: &mut dyn FnMut(Told)) -> io::Result<()> {
        self.told.drain(..).for_each(&mut *tell);
        run.now = self.turn(run.now, run.grid.ends().min(run.drain_until))?;
        if self.recorder.trace.is_some() {
            self.tell_traced(false);
        }
        if run.now >= run.grid.ends() {
            self.recorder.log.iter_mut().for_each(CoreLog::pass_on);
            let mut snapshot = Box::new(self.snapshot(run.now, run.grid.number()));
            run.grid.advance(run.now);
            snapshot.next = run.grid.number();
            self.told.push(Told::Snapshot(snapshot));
        }
        Ok(())
    }

    /// Whether the run ends before its time.
    fn is_to_leave(&mut self, run: &mut Progress<'_>) -> bool {
        if run.interrupts.count() > 0 {
            run.interrupted = true;
            return true;
        }
        if self.server_gone(run.now) {
            run.gave_up = Some(format!("no connection could be opened for {:?}", limits::GIVE_UP));
        }
        if self.never_opened() {
            run.gave_up = Some("no connection could be opened".into());
        }
        run.gave_up.is_some()
    }

    fn is_drained(&self, run: &Progress<'_>) -> bool {
        self.running() == 0
            || run.now >= run.drain_until
            || run.interrupts.count() > u8::from(run.interrupted)
            || self.nothing_moves()
    }

    /// What was begun in the open model is waited for: without its slowest requests the figures would be too good. So is what is
    /// in flight at an interrupt. Phases are over by then, so that neither adds to what they took and no arrival comes due.
    fn drain(&mut self, run: &mut Progress<'_>, tell: &mut dyn FnMut(Told)) -> io::Result<()> {
        if run.gave_up.is_some() || !(run.interrupted || self.waits_for_iterations()) {
            return Ok(());
        }
        (0..self.tracks.len()).for_each(|t| self.close_open_model(t));
        self.stopping = true;
        run.drain_until = run.now.after(self.setup.options.drain);
        while !self.is_drained(run) {
            self.step(run, tell)?;
        }
        Ok(())
    }

    fn finish(mut self, run: Progress<'_>, tell: &mut dyn FnMut(Told)) -> io::Result<CoreResult> {
        // What was written in the last turn still goes out: it counts as sent.
        let now = run.now;
        self.end_handshakes(now);
        self.io.wait(now, Wait { deadline: now, want: 0, nap: Duration::ZERO, limit: Duration::ZERO })?;
        (0..self.tracks.len()).for_each(|t| self.close_open_model(t));
        self.cut_all();
        self.abandon_all(now);
        self.no_longer_down(now);
        (0..self.links.len() as u32).for_each(|link| self.harvest_path(link));
        self.leave_quic(now);
        self.tell_traced(true);
        // Of what was waited for, and of farewells: they came after the end of their phase.
        self.file_bytes();
        let log_waits = self.recorder.log.take().map_or(0, CoreLog::end);
        let end = self.snapshot(now, run.grid.number());
        assert!(end.books.balance() && end.books.in_flight == 0, "the books do not balance: {:?}", end.books);
        self.told.push(Told::Snapshot(Box::new(end)));
        self.told.drain(..).for_each(&mut *tell);
        Ok(CoreResult {
            phases: self.phases,
            clients: self.links[..self.pool as usize].iter().map(|l| l.tidings.client()).collect(),
            batching: self.batch.report(),
            turns: self.turns,
            spun: self.spun,
            pauses: self.pauses,
            of_phases: run.of_phases,
            overflows: self.io.overflows(),
            log_waits,
            driver: self.io.describe(),
            unpinned: None,
            recorder: self.recorder,
            gave_up: run.gave_up,
            interrupted: run.interrupted,
            script: self.scripts.into_figures(),
        })
    }

    /// One turn. Returns the time of its batch.
    fn turn(&mut self, before: Time, deadline: Time) -> io::Result<Time> {
        self.turns += 1;
        let tick = before.after(if self.meeting || !self.met.is_empty() {
            limits::MEETING_TICK
        } else {
            limits::TICK
        });
        let deadline = match std::mem::take(&mut self.at_once) {
            true => before,
            false => deadline.min(self.timers.next()).min(self.tracks_deadline()).min(tick),
        };
        let in_flight = self.queues.in_flight as u32;
        let mut now = match self.until_arrival(before, self.setup.options.pacing == Pacing::Precise) {
            Some(until) => self.wait_for_arrival(before, deadline, until)?,
            None => self.wait_for_completions(before, deadline)?,
        };
        let began = now;
        while let Some(completion) = self.io.next() {
            let link = completion.tag;
            match completion.what {
                What::Received(chunk) => self.received(link, chunk, now),
                What::Skipped(n) => self.skipped(link, n, now),
                What::Readable => {
                    now = self.reading_time(link, now);
                    self.readable(link, now);
                    self.answer_at_once(link, now);
                }
                What::Sent(buffer) => self.sent(link, buffer, now),
                What::Connected(Ok(())) => self.connected(link, now),
                What::Connected(Err(error)) => self.connect_failed(link, &error, now),
                What::Eof => self.eof(link, now),
                What::ReceiveFailed(error) => self.broken(link, &error, now),
                What::SendFailed(error, buffer) => {
                    self.io.recycle(buffer);
                    self.unsent.push((link, self.links[link as usize].tidings.opened_at, error));
                }
            }
        }
        self.end_unsent(now);
        // What came while the batch was handled is not read yet: its timers can wait.
        while let Some(owner) = self.timers.expired(began) {
            match owner {
                Owner::User(user) => self.user_timer(user, now),
                Owner::Link(link) => self.link_timer(link, now),
            }
        }
        self.move_users(now);
        self.look_for_others(now);
        self.advance_users(now);
        self.release_arrivals(now);
        self.flush(now);
        let (clock, ended) = (&self.clock, self.recorder.ended);
        if !self.has_schedule() {
            self.batch.after_turn(now, ended, in_flight, || clock.thread_cpu());
        }
        Ok(now)
    }

    /// Ends links on which a send failed, after what had come before the failure was taken: a server may answer an upload without
    /// reading it, and close (RFC 9112 section 9.5).
    fn end_unsent(&mut self, now: Time) {
        if self.unsent.is_empty() {
            return;
        }
        let mut unsent = std::mem::take(&mut self.unsent);
        for (link, opened_at, error) in unsent.drain(..) {
            if self.links[link as usize].tidings.opened_at == opened_at {
                self.broken(link, &error, now);
            }
        }
        self.unsent = unsent;
    }

    /// Tells what was traced to its end; at the end of the run also the rest.
    fn tell_traced(&mut self, last: bool) {
        let Some(trace) = &mut self.recorder.trace else { return };
        let mut ended = trace.take();
        if last {
            ended.extend(trace.take_open());
        }
        self.told.extend(ended.into_iter().map(|e| Told::Traced(Box::new(e))));
        if trace.is_over() {
            self.recorder.trace = None;
            self.scripts.take_note(false);
        }
    }

    /// Lets somebody keep or look at single requests.
    pub(crate) fn watch(&mut self, log: Option<CoreLog>, traced: u32) {
        self.recorder.log = log;
        self.recorder.trace = Trace::of(traced);
        self.scripts.take_note(traced > 0);
    }

    /// The closed model may wait for several completions.
    fn wait_for_completions(&mut self, before: Time, deadline: Time) -> io::Result<Time> {
        let in_flight = self.queues.in_flight as u32;
        let nap = self.batch.nap(in_flight);
        // All that may answer, but never so many that the memory to receive into runs out.
        let want =
            if nap.is_zero() { 1 } else { self.open.min(in_flight).min(self.io.receive_capacity() / 2) };
        self.napping = !nap.is_zero();
        let limit = if self.holding { nap } else { Duration::from_secs(1) };
        // Naps have just ended: what was held back for one goes out now, and waits for no completion.
        let deadline = if self.holding && nap.is_zero() { before } else { deadline };
        self.io.wait(before, Wait { deadline, want, nap, limit })?;
        let now = self.clock.now().max(before);
        self.note_standstill(deadline.max(before), now);
        Ok(now)
    }

    /// The open model never waits past a due time.
    fn wait_for_arrival(&mut self, before: Time, deadline: Time, until: Until) -> io::Result<Time> {
        let plain = |deadline, want| Wait { deadline, want, nap: Duration::ZERO, limit: Duration::ZERO };
        self.napping = false;
        let Until::Sleep(wake) = until else {
            self.io.wait(before, plain(before, 0))?;
            let now = self.clock.now().max(before);
            self.note_pause(before, before, now);
            if self.io.is_idle() {
                self.spun += now.nanos_since(before);
            }
            return Ok(now);
        };
        self.io.wait(before, plain(deadline.min(wake), 1))?;
        let now = self.clock.now().max(before);
        self.note_pause(before, deadline.min(wake).max(before), now);
        if wake <= deadline && now >= wake && self.io.is_idle() {
            self.waking.note(now.nanos_since(wake));
        }
        Ok(now)
    }

    /// The turn that began at `before` was to end at `due` at the latest.
    #[inline]
    fn note_pause(&mut self, before: Time, due: Time, now: Time) {
        self.note_late(due, now, before.since(self.worked.0), limits::PAUSE, limits::PAUSE);
    }

    /// The same where nothing is due, but for the tick.
    #[inline]
    fn note_standstill(&mut self, due: Time, now: Time) {
        self.note_late(due, now, Duration::ZERO, limits::STANDSTILL, limits::TICK);
    }

    /// Notes a pause that was longer than `least`. What the thread has worked is looked at `every` so often: `earlier` is how
    /// much of that may have been before the turn.
    #[inline]
    fn note_late(&mut self, due: Time, now: Time, earlier: Duration, least: Duration, every: Duration) {
        let late = now.since(due);
        if late > least {
            let worked = Duration::from_nanos(self.clock.thread_cpu().saturating_sub(self.worked.1));
            self.pauses.note_late(late, worked, earlier, least);
        }
        if now.since(self.worked.0) > every {
            self.worked = (now, self.clock.thread_cpu());
        }
    }

    fn snapshot(&mut self, now: Time, interval: u64) -> CoreSnapshot {
        let books = self.recorder.books(self.queues.in_flight);
        assert!(books.balance(), "the books do not balance: {books:?}");
        let (phase, keep) = (self.phase_of_bytes(), &self.setup.keep);
        let phases = if keep.parts { self.phases_so_far(now) } else { Vec::new() };
        let parts = self.recorder.take_parts(phase, self.bytes);
        let checks = keep.checks.iter().map(|counted| {
            let mut all = self.recorder.checks(&counted.cells);
            all.merge(self.scripts.checks(&counted.tallies));
            all
        });
        let checks = checks.collect();
        let connections = &self.recorder.connections;
        CoreSnapshot {
            at: now,
            phase,
            interval,
            next: u64::MAX,
            books,
            open: u64::from(self.open),
            parts,
            phases,
            connect: keep.connect.then(|| (connections.connect.clone(), connections.handshake.clone())),
            attempted: connections.attempted,
            opened: connections.opened,
            failed: connections.failed,
            data_bytes: self.recorder.data_bytes,
            checks,
        }
    }

    /// A run that counts would never end where the server is gone for good.
    fn server_gone(&self, now: Time) -> bool {
        // Whose part is done and who waits for the other cores tries no more, and so does not know.
        let counting = (0..self.tracks.len()).any(|t| {
            let track = &self.tracks[t];
            track.stage == Stage::Running && track.phase.ends == Time::NEVER && !self.phase_over(t, now)
        });
        counting && self.down_since.is_some_and(|since| now.since(since) > limits::GIVE_UP)
    }

    /// Every link has tried and failed and none was ever open: there is nothing to measure. Where handshakes are all there is, it
    /// is they that fail, as often as they were to be.
    fn never_opened(&self) -> bool {
        let needed = self.setup.plan.makes_requests() && self.recorder.connections.opened == 0;
        let all = || self.links[..self.pool as usize].iter().filter(|l| !self.is_lazy(l)).count() as u64;
        needed && self.pool_failed > 0 && self.pool_failed >= all()
    }

    /// Whether a link is opened only when it is needed.
    fn is_lazy(&self, link: &Link) -> bool {
        self.setup.targets[usize::from(link.target)].lazy
    }

    /// No request is on a connection and none is being opened: where no new one may be opened, nothing will end any more.
    fn nothing_moves(&self) -> bool {
        let (pool, apart) = self.links.split_at(self.pool as usize);
        // What is held is held for its time, and nobody waits for that.
        let settled = |l: &Link| l.state == link::LinkState::Down || l.tidings.greeted.is_some();
        pool.iter().all(Link::is_quiet) && apart.iter().all(settled)
    }

    fn pooling(&self) -> bool {
        self.setup.plan.connections.share == Share::Pool
    }
}

/// How long a link waits before its next attempt after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    limits::BACKOFF_MIN.saturating_mul(1 << failures.min(16)).min(limits::BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::Waiting;

    #[test]
    fn what_was_left_over_is_served_first_and_in_its_order() {
        let mut waiting = Waiting::default();
        for (user, left_over) in [(1, false), (2, true), (3, false), (4, true)] {
            waiting.push(user, left_over);
        }
        let served: Vec<u32> = std::iter::from_fn(|| waiting.pop()).collect();
        assert_eq!(served, [2, 4, 1, 3]);
        assert!(waiting.is_empty());
    }
}
