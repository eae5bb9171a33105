//! How to run a plan, as opposed to what to run.

use crate::RequestLog;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Everything about a run that is the machine's affair and not the plan's.
#[derive(Clone, Debug)]
pub struct Options {
    /// Cores: OS threads with a ring, connections and users of their own.
    pub threads: NonZeroUsize,
    /// CPUs to pin them to, round robin. `None`: the CPUs this process may use.
    pub cpus: Option<Vec<usize>>,
    /// The I/O driver.
    pub io: Io,
    /// Whether the closed model may wait for several completions (see `batch`).
    pub batch: bool,
    /// Let the kernel discard bodies nobody looks at (clear text only): counted, never seen.
    pub discard_body: bool,
    /// Time between snapshots.
    pub interval: Duration,
    /// How long requests in flight may take to end after an interrupt.
    pub drain: Duration,
    /// How exactly arrivals of the open model are kept.
    pub pacing: Pacing,
    /// Append TLS secrets to the file that the environment variable `SSLKEYLOGFILE` names.
    pub key_log: bool,
    /// Write a qlog of each QUIC connection: the first part of its name, before the core's and the connection's number.
    pub qlog: Option<PathBuf>,
    /// Somebody watches the snapshots: keep the response times of each interval.
    pub live: bool,
    /// What becomes of the rows of the time series. A request costs the same with and without.
    pub rows: Rows,
    /// Figures of each step. False: all steps are one; for so many that their histograms would not fit into memory.
    pub by_step: bool,
    /// A run in which no connection could be opened has a result like any other, as h2load's have.
    pub unopened_is_result: bool,
    /// Told of every request of a recorded phase that ended.
    pub request_log: Option<RequestLog>,
    /// Trace so many of the first requests ([`Event::Traced`](crate::Event::Traced)).
    pub trace: u32,
    /// Called once when everything is prepared and no core has begun: what only the preparation needed may be let go of.
    pub before_load: Option<fn()>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            threads: NonZeroUsize::MIN,
            cpus: None,
            io: Io::Auto,
            batch: true,
            discard_body: false,
            interval: Duration::from_secs(1),
            drain: Duration::from_secs(5),
            pacing: Pacing::Precise,
            key_log: false,
            qlog: None,
            live: false,
            rows: Rows::None,
            by_step: true,
            unopened_is_result: false,
            request_log: None,
            trace: 0,
            before_load: None,
        }
    }
}

/// The rows of the time series: one for each interval and phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// There are none.
    #[default]
    None,
    /// Told with the snapshots, and forgotten.
    Told,
    /// Kept in the result as well: one to ten KB a row.
    Kept,
}

/// How exactly arrivals of the open model are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// Wake up early and spin until an arrival is due: exact to some microseconds, at the price of CPU time.
    #[default]
    Precise,
    /// Sleep until an arrival is due: as late as the machine's timers.
    Sleep,
}

/// The I/O driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// The ring where the kernel allows it, else epoll; where it is not the ring, a warning says so and why.
    #[default]
    Auto,
    /// The raw ring, or an error.
    Uring,
    /// The monoio runtime: on io_uring where the kernel allows it, else on epoll, with a warning.
    Monoio,
    /// The monoio runtime on epoll.
    Epoll,
}
