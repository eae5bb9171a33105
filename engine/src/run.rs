//! Starts the cores, watches them and merges what they found.

use crate::clock::Monotonic;
use crate::core::{self, Core, CoreResult, CoreSnapshot, Setup, Told};
use crate::io::uring::Uring;
use crate::stats::{Books, ConnectionFigures, Cost, RunResult, Series, TlsFacts, cost};
use crate::{Options, merge, prepare};
use scenario::Plan;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Barrier, mpsc};
use std::time::{Duration, SystemTime};

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
    /// All cores together, once an interval.
    Snapshot(Snapshot),
    /// Something the user should know now.
    Warning(String),
}

/// All cores together at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Since the first core began.
    pub elapsed: Duration,
    /// Index of the phase most cores are in.
    pub phase: usize,
    /// The books of all phases, warm-up included.
    pub books: Books,
    /// Connections open now.
    pub open: u64,
    /// Response times of the requests that ended since the last snapshot.
    pub response_time: Series,
    /// Connections so far.
    pub connections: ConnectionFigures,
    /// Body bytes received since the last snapshot.
    pub data_bytes: u64,
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
    let setup = prepare::setup(plan, options, observe)?;
    let cores = prepare::cores(plan, options, observe);
    let shares = core::shares(&setup, cores);
    prepare::descriptors(plan, cores)?;
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
    let gate = Barrier::new(cores);
    let (tell, told) = mpsc::sync_channel(NEWS);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(index, share)| {
                let (setup, gate, tell, cpu) = (&setup, &gate, tell.clone(), cpus[index]);
                let core = move || {
                    run_core(setup, share, cpu, epoch, gate, control, &mut |t| drop(tell.send((index, t))))
                };
                std::thread::Builder::new()
                    .name(format!("core-{index}"))
                    .spawn_scoped(scope, core)
                    .expect("a thread can be started")
            })
            .collect();
        drop(tell);
        relay(&told, cores, observe);
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a core panicked".into()))).collect()
    });
    merge::result(&setup, outcomes, began)
}

/// What a core thread ends with.
pub(crate) type Outcome = Result<(CoreResult, Cost), String>;

/// News that may wait between the cores and the caller's thread.
const NEWS: usize = 1024;

fn run_core(
    setup: &Setup,
    share: core::CoreShare,
    cpu: Option<usize>,
    epoch: Monotonic,
    gate: &Barrier,
    control: &Control,
    tell: &mut dyn FnMut(Told),
) -> Outcome {
    if let Some(id) = cpu {
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
    let links = share.links * setup.targets.len() as u32;
    // The ring belongs to the thread that made it. All threads reach the gate, also those whose ring failed.
    let io = Uring::new(links, setup.tls.is_none());
    gate.wait();
    let io = io.map_err(|e| prepare::explain_ring(&e))?;
    let before = cost::of_thread();
    let result = Core::new(setup, share, io, epoch).run(control, tell);
    let cost = cost::since(before);
    match result {
        Ok(result) => Ok((result, cost)),
        Err(error) => Err(format!("io_uring: {error}")),
    }
}

/// Passes the cores' news on to the caller until the last core is gone.
fn relay(told: &mpsc::Receiver<(usize, Told)>, cores: usize, observe: &mut dyn FnMut(Event)) {
    let mut stock = Stock::new(cores);
    while let Ok((core, news)) = told.recv() {
        match news {
            Told::Connected(tls, application_protocol) => {
                observe(Event::Connected { core, tls, application_protocol });
            }
            Told::PhaseBegan(phase) => observe(Event::PhaseBegan { core, phase }),
            Told::PhaseEnded(phase) => observe(Event::PhaseEnded { core, phase }),
            Told::Snapshot(snapshot) => {
                if let Some(all) = stock.take(core, *snapshot) {
                    observe(Event::Snapshot(all));
                }
            }
        }
    }
}

/// The cores' snapshots of one interval, put together.
struct Stock {
    latest: Vec<Option<CoreSnapshot>>,
    waiting: Vec<bool>,
    response_time: Series,
    data_before: u64,
}

impl Stock {
    fn new(cores: usize) -> Stock {
        Stock {
            latest: (0..cores).map(|_| None).collect(),
            waiting: vec![true; cores],
            response_time: Series::default(),
            data_before: 0,
        }
    }

    /// Takes one core's snapshot; gives all of them together once every core still running has reported.
    fn take(&mut self, core: usize, mut snapshot: CoreSnapshot) -> Option<Snapshot> {
        self.response_time.merge(&std::mem::take(&mut snapshot.response_time));
        self.waiting[core] = false;
        self.latest[core] = Some(snapshot);
        let finished = |s: &Option<CoreSnapshot>| s.as_ref().is_some_and(|s| s.finished);
        if (0..self.latest.len()).any(|c| self.waiting[c] && !finished(&self.latest[c])) {
            return None;
        }
        self.waiting.fill(true);
        let mut books = Books::default();
        let mut connections = ConnectionFigures::default();
        let (mut open, mut data, mut phase, mut at) = (0, 0, 0, proto::Time::ZERO);
        for s in self.latest.iter().flatten() {
            books.merge(&s.books);
            connections.attempted += s.attempted;
            connections.opened += s.opened;
            connections.failed += s.failed;
            open += s.open;
            data += s.data_bytes;
            phase = phase.max(s.phase);
            at = at.max(s.at);
        }
        assert!(books.balance(), "the books of all cores do not balance: {books:?}");
        let data_bytes = data - std::mem::replace(&mut self.data_before, data);
        Some(Snapshot {
            elapsed: Duration::from_nanos(at.as_nanos()),
            phase,
            books,
            open,
            response_time: std::mem::take(&mut self.response_time),
            connections,
            data_bytes,
        })
    }
}
