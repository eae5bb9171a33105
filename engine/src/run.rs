//! Starts the cores, watches them and merges what they found.

use crate::Options;
use crate::stats::{Books, ConnectionFigures, RunResult, Series, TlsFacts};
use scenario::Plan;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

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
pub fn run(
    plan: &Plan,
    options: &Options,
    control: &Control,
    observe: &mut dyn FnMut(Event),
) -> Result<RunResult, StartError> {
    let _ = (plan, options, control, observe);
    Err(StartError("not built yet".into()))
}
