//! Starts the cores, watches them and merges what they found.

use crate::clock::Monotonic;
use crate::core::{self, Core, CoreResult, Setup, Told};
use crate::gate::{Gate, Place};
use crate::io::Driver;
use crate::io::choice::{self, Chosen};
use crate::request_log::{self, CoreLog, Ended, RequestLog};
use crate::stats::{Cost, RunResult, Timeline, TlsFacts, cost};
use crate::stock::{Snapshot, Stock};
use crate::trace::{Exchange, Trace};
use crate::{Options, limits, merge, once, prepare, recycle, verdict};
use scenario::Plan;
use scenario::program::Handed;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::SystemTime;

/// The way in for an interrupt, shared with a signal handler.
#[derive(Debug, Default)]
pub struct Control(AtomicU8);

impl Control {
    /// Stops the run: the first call lets requests in flight end, the second abandons them.
    pub fn interrupt(&self) {
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| Some(n.saturating_add(1)));
    }
    /// How often it was called.
    pub fn interrupts(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

/// The interrupts from some moment on.
#[derive(Clone, Copy)]
pub(crate) struct Interrupts<'a> {
    control: &'a Control,
    before: u8,
}

impl Interrupts<'_> {
    /// Those that are still to come: the first of them is a second one where there was one before.
    pub(crate) fn from_now(control: &Control) -> Interrupts<'_> {
        Interrupts { control, before: control.interrupts() }
    }
    /// All.
    pub(crate) fn all(control: &Control) -> Interrupts<'_> {
        Interrupts { control, before: 0 }
    }
    /// How many there were.
    pub(crate) fn count(self) -> u8 {
        let all = self.control.interrupts();
        if all > self.before { all } else { 0 }
    }
}

/// What happens during a run, told to the caller's thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "events are rare and not stored; a box would burden every reader"
)]
pub enum Event {
    /// A core is about to start.
    CoreStarting {
        /// Which.
        core: usize,
        /// Its connections.
        connections: u32,
        /// Its share of an iteration count, if the first phase has one.
        iterations: Option<u64>,
    },
    /// The first connection of a core is up.
    Connected {
        /// Which core.
        core: usize,
        /// What TLS agreed on.
        tls: Option<TlsFacts>,
        /// What is spoken.
        application_protocol: &'static str,
    },
    /// A phase began on a core.
    PhaseBegan {
        /// Which core.
        core: usize,
        /// Index into the plan's phases.
        phase: usize,
    },
    /// A phase ended on a core.
    PhaseEnded {
        /// Which core.
        core: usize,
        /// Index into the plan's phases.
        phase: usize,
    },
    /// A plan's `log` says something.
    Said(String),
    /// All cores together, once an interval.
    Snapshot(Snapshot),
    /// One of the first requests, whole ([`Options::trace`]), of a core.
    Traced {
        /// Which core.
        core: usize,
        /// The request and its response.
        exchange: Box<Exchange>,
    },
    /// Something the user should know now.
    Warning(String),
    /// All cores have ended: there is no more load, and the result is put together.
    Ended,
}

/// Why a run could not start. The text names the place and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError(pub String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// Runs a plan to its end. Blocks; `observe` is called on the calling thread.
///
/// Fails only where no request could be made at all; whatever was measured is always returned.
pub fn run(
    plan: &Plan,
    options: &Options,
    control: &Control,
    observe: &mut dyn FnMut(Event),
) -> Result<RunResult, StartError> {
    let Some(setup) = once::setup(plan, options, control, observe)? else {
        return phases(plan, options, Interrupts::all(control), observe).map(|(result, _)| result);
    };
    let mut plan = plan.clone();
    plan.script.handed = setup.handed;
    let result = phases(&plan, options, Interrupts::all(control), observe);
    let teardown = once::teardown(&plan, options, control, observe);
    Ok(RunResult { setup: setup.figures, teardown, ..result?.0 })
}

/// Runs the phases of a plan, and nothing that is done once. Also returns what the first user hands over.
pub(crate) fn phases(
    plan: &Plan,
    options: &Options,
    interrupts: Interrupts<'_>,
    observe: &mut dyn FnMut(Event),
) -> Result<(RunResult, Handed), StartError> {
    let setup = prepare::setup(plan, options, observe)?;
    let cores = prepare::cores(plan, options, observe);
    let shares = core::shares(&setup, cores);
    let cpus = prepare::cpus(&setup, options, cores, observe);
    for (core, share) in shares.iter().enumerate() {
        let first = share.phases[0];
        observe(Event::CoreStarting {
            core,
            connections: share.links,
            iterations: Some(first.iterations).filter(|&n| n != u64::MAX),
        });
    }
    let (began, epoch) = (SystemTime::now(), Monotonic::starting_now());
    let gate = Gate::new(cores, plan.phases.len());
    let (tell, told) = mpsc::sync_channel(NEWS);
    let (logged, batches) = request_log::queue();
    let (timeline, outcomes, logged_all) = std::thread::scope(|scope| -> Result<_, StartError> {
        // Before the cores: where it cannot be started there is no load.
        let log = options.request_log.as_ref();
        let writer = log.map(|log| start_writer(scope, log, batches)).transpose()?;
        let threads: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(index, share)| {
                let (setup, place, tell) = (&setup, gate.place(index), tell.clone());
                let seat = Seat {
                    cpu: cpus[index],
                    log: options.request_log.as_ref().map(|_| core_log(plan, began, &logged)),
                    traced: Trace::share(options.trace.min(limits::TRACED), index, cores),
                    before_load: options.before_load.filter(|_| index == 0),
                };
                let core = move || {
                    let line = Line { core: index, tell: &tell };
                    run_core(setup, share, seat, epoch, place, interrupts, &mut |t| line.tell(t))
                };
                let thread =
                    std::thread::Builder::new().name(format!("core-{index}")).spawn_scoped(scope, core);
                if thread.is_err() {
                    gate.cancel();
                }
                thread
            })
            .collect();
        drop(tell);
        drop(logged);
        let timeline = relay(&told, Stock::new(cores, options.interval, options.rows), observe);
        let outcomes: Vec<Outcome> = threads.into_iter().map(outcome).collect();
        Ok((timeline, outcomes, writer.is_none_or(|thread| thread.join().is_ok())))
    })?;
    observe(Event::Ended);
    let first = outcomes.iter().flatten().next();
    let handed = first.map(|(core, _)| core.script.handed.clone()).unwrap_or_default();
    let mut result = RunResult { timeline, ..merge::result(&setup, outcomes, began)? };
    if !logged_all {
        verdict::log_cut_short(&mut result.verdict);
    }
    Ok((result, handed))
}

/// Starts the thread that hands requests that ended to whoever keeps them.
fn start_writer<'scope>(
    scope: &'scope Scope<'scope, '_>,
    log: &'scope RequestLog,
    batches: mpsc::Receiver<Vec<Ended>>,
) -> Result<ScopedJoinHandle<'scope, ()>, StartError> {
    let thread = std::thread::Builder::new().name("request-log".into());
    thread
        .spawn_scoped(scope, move || log.write(&batches))
        .map_err(|error| StartError(format!("the request log: {}", no_thread(&error))))
}

/// What became of a core's thread.
fn outcome(thread: io::Result<ScopedJoinHandle<'_, Outcome>>) -> Outcome {
    match thread {
        Ok(thread) => thread.join().unwrap_or_else(|_| Err("a core panicked".into())),
        Err(error) => Err(no_thread(&error)),
    }
}

fn no_thread(error: &io::Error) -> String {
    format!("a thread cannot be started: {error} (ulimit -u, or fewer with -t)")
}

/// What a core says that did not start because another could not.
pub(crate) const CALLED_OFF: &str = "the run was called off";

/// What a core thread ends with.
pub(crate) type Outcome = Result<(CoreResult, Cost), String>;

/// News that may wait between the cores and the caller's thread.
const NEWS: usize = 1024;

/// What a core thread has of its own beside its share of the work.
struct Seat {
    cpu: Option<usize>,
    log: Option<CoreLog>,
    traced: u32,
    before_load: Option<fn()>,
}

/// A core's end of the request log.
fn core_log(plan: &Plan, began: SystemTime, queue: &mpsc::SyncSender<Vec<Ended>>) -> CoreLog {
    let since_1970 = began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let recorded = plan.phases.iter().map(|p| p.record).collect();
    CoreLog::new(since_1970.as_nanos() as u64, recorded, queue.clone())
}

/// Keeps this thread on a CPU. False: the kernel does not allow that (any more: a cpuset may have changed).
fn pin(cpu: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

fn run_core(
    setup: &Setup,
    share: core::CoreShare,
    seat: Seat,
    epoch: Monotonic,
    place: Place<'_>,
    interrupts: Interrupts<'_>,
    tell: &mut dyn FnMut(Told),
) -> Outcome {
    let unpinned = seat.cpu.filter(|&cpu| !pin(cpu));
    if let Some(cpu) = unpinned {
        tell(Told::NotPinned(cpu));
    }
    let links = share.links * setup.targets.len() as u32 + share.handshakes.iter().sum::<u32>();
    // The driver belongs to the thread that made it.
    let (io, refusal) = choice::choose(setup.options.io, links, setup.in_clear()).map_err(|error| {
        place.call_off();
        prepare::explain_ring(&error)
    })?;
    // The others are waited for at the gate, and they wait there for this one.
    if let Some(before_load) = seat.before_load {
        before_load();
    }
    if !place.wait_for_start() {
        return Err(CALLED_OFF.into());
    }
    if let Some(refusal) = refusal {
        tell(Told::NoRing(prepare::explain_fallback(&refusal)));
    }
    let outcome = match io {
        Chosen::Uring(io) => drive(Core::new(setup, share, io, epoch), seat, interrupts, &place, tell),
        Chosen::Monoio(io) => drive(Core::new(setup, share, io, epoch), seat, interrupts, &place, tell),
    };
    outcome.map(|(result, cost)| (CoreResult { unpinned, ..result }, cost))
}

fn drive<D: Driver>(
    mut core: Core<'_, D, Monotonic>,
    seat: Seat,
    interrupts: Interrupts<'_>,
    place: &Place<'_>,
    tell: &mut dyn FnMut(Told),
) -> Outcome {
    core.watch(seat.log, seat.traced);
    recycle::begin();
    let before = cost::of_thread();
    let result =
        core.run(interrupts, place, tell).map_err(|error| format!("the I/O driver failed: {error}"))?;
    let cost = cost::since(before);
    recycle::end();
    Ok((result, cost))
}

/// What a core thread has to say.
enum News {
    /// Boxed: the channel has a place for each that may wait, and touches them all at the start.
    Told(Box<Told>),
    /// It will say nothing more.
    Gone,
}

/// A core thread's way to the caller. Says that the thread is gone however it ended.
struct Line<'a> {
    core: usize,
    tell: &'a mpsc::SyncSender<(usize, News)>,
}

impl Line<'_> {
    fn tell(&self, told: Told) {
        let _ = self.tell.send((self.core, News::Told(Box::new(told))));
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let _ = self.tell.send((self.core, News::Gone));
    }
}

/// Passes the cores' news on to the caller until the last core is gone.
fn relay(
    told: &mpsc::Receiver<(usize, News)>,
    mut stock: Stock,
    observe: &mut dyn FnMut(Event),
) -> Option<Timeline> {
    let mut warned = false;
    while let Ok((core, news)) = told.recv() {
        let told = match news {
            News::Told(told) => *told,
            News::Gone => {
                if let Some(all) = stock.gone(core) {
                    observe(Event::Snapshot(all));
                }
                continue;
            }
        };
        let snapshot = match told {
            Told::NoRing(why) => {
                if !std::mem::replace(&mut warned, true) {
                    observe(Event::Warning(why));
                }
                None
            }
            Told::NotPinned(cpu) => {
                observe(Event::Warning(format!(
                    "core {core} cannot be kept on CPU {cpu}, which this process may not use: it runs wherever the scheduler \
                     puts it"
                )));
                None
            }
            Told::Connected(tls, application_protocol) => {
                observe(Event::Connected { core, tls, application_protocol });
                None
            }
            Told::PhaseBegan(phase) => {
                observe(Event::PhaseBegan { core, phase });
                None
            }
            Told::PhaseEnded(phase) => {
                observe(Event::PhaseEnded { core, phase });
                None
            }
            Told::Said(text) => {
                observe(Event::Said(text));
                None
            }
            Told::Traced(exchange) => {
                observe(Event::Traced { core, exchange });
                None
            }
            Told::Snapshot(snapshot) => stock.take(core, *snapshot),
        };
        if let Some(all) = snapshot {
            observe(Event::Snapshot(all));
        }
    }
    stock.timeline()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Books;
    use std::time::Duration;

    #[test]
    fn a_thread_is_told_that_it_is_not_pinned() {
        let allowed = core_affinity::get_core_ids().unwrap()[0].id;
        // No machine that this runs on has the last CPU that the kernel's set has a bit for.
        let pinned = std::thread::spawn(move || (pin(allowed), pin(1023))).join().unwrap();
        assert_eq!(pinned, (true, false));
        let (tell, told) = mpsc::sync_channel(NEWS);
        Line { core: 3, tell: &tell }.tell(Told::NotPinned(1023));
        drop(tell);
        let mut said = Vec::new();
        relay(&told, Stock::new(4, Duration::from_secs(1), crate::Rows::None), &mut |event| said.push(event));
        let [Event::Warning(text)] = &said[..] else { panic!("{said:?}") };
        assert!(text.contains("core 3") && text.contains("CPU 1023"), "{text}");
    }

    #[test]
    fn a_core_that_panics_or_ends_early_does_not_silence_the_others() {
        let (tell, told) = mpsc::sync_channel(NEWS);
        let snapshot = |interval, next| {
            let at = proto::Time::from_nanos(interval + 1);
            let (parts, phases, books) = (vec![], vec![], Books::default());
            let (attempted, opened, failed) = (0, 0, 0);
            let (phase, open, data_bytes, connect) = (0, 0, 0, None);
            Told::Snapshot(Box::new(core::CoreSnapshot {
                at,
                phase,
                interval,
                next,
                books,
                open,
                parts,
                phases,
                connect,
                attempted,
                opened,
                failed,
                data_bytes,
                checks: vec![],
            }))
        };
        let mut seen = 0;
        std::thread::scope(|scope| {
            let line = |core| (core, tell.clone());
            let (good, bad) = (line(0), line(1));
            scope.spawn(move || {
                let line = Line { core: good.0, tell: &good.1 };
                (0..3).for_each(|n| line.tell(snapshot(n, n + 1)));
            });
            let bad = scope.spawn(move || {
                let _line = Line { core: bad.0, tell: &bad.1 };
                std::panic::resume_unwind(Box::new("the core is broken"));
            });
            drop(tell);
            let stock = Stock::new(2, Duration::from_nanos(1), crate::Rows::None);
            relay(&told, stock, &mut |event| seen += usize::from(matches!(event, Event::Snapshot(_))));
            assert!(bad.join().is_err());
        });
        assert!((1..=3).contains(&seen), "{seen} snapshots");
    }
}
