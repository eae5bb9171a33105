//! Phases, and how much load each brings.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

/// A named stretch with its own load and stop rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its name; unique.
    pub name: String,
    /// Virtual users of the whole run, over all cores: all of them, or in the open model and in a ramp the most there may be.
    /// Of handshakes: the most connections that are opened or held at a time.
    pub users: NonZeroU32,
    /// What makes iterations begin.
    pub load: Load,
    /// When it ends.
    pub stop: Stop,
    /// False: a warm-up. Paced like the rest, in the books, not in the result's figures.
    pub record: bool,
    /// What is different in it.
    pub overrides: PhaseOverrides,
}

/// What a phase does differently.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseOverrides {
    /// How long iterations may go on when the time of the phase is over, before they are ended after the request they are at.
    /// The next phase begins after that. `None`: they go on into the next phase.
    pub graceful_stop: Option<Duration>,
    /// Other weights than those of the scenarios; by scenario of the plan, 0 where it has no iterations in this phase.
    pub weights: Option<Vec<u32>>,
    /// What pauses are multiplied by.
    pub think: Option<f64>,
}

/// What makes iterations begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Load {
    /// The closed model: a user begins again when it has finished.
    #[default]
    Closed,
    /// The closed model with a number of users that moves evenly over the phase's time. Only with [`Stop::After`].
    Ramp {
        /// Users at the beginning.
        from: u32,
        /// Users at the end.
        to: u32,
    },
    /// The open model: iterations begin when a schedule says, whatever the server does.
    Open(Arrivals),
    /// Likewise, but what arrives is a connection: it is opened to the plan's first target, bears no request and is closed. An
    /// iteration is a connection that was opened.
    Handshakes(Handshakes),
}

impl Load {
    /// The schedule, where there is one.
    pub fn schedule(&self) -> Option<&Arrivals> {
        match self {
            Load::Open(arrivals) | Load::Handshakes(Handshakes { arrivals, .. }) => Some(arrivals),
            Load::Closed | Load::Ramp { .. } => None,
        }
    }

    /// Whether iterations are those of scenarios.
    pub fn makes_requests(&self) -> bool {
        !matches!(self, Load::Handshakes(_))
    }
}

/// Connections at a rate of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Handshakes {
    /// When they are opened.
    pub arrivals: Arrivals,
    /// How long each is kept once it is open.
    pub hold: Duration,
}

/// A schedule of arrivals, and what happens to those that nobody can take.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals {
    /// How many a second, over the time of the phase.
    pub curve: Curve,
    /// How they are spread within that.
    pub spread: Spread,
    /// Those that find no idle user.
    pub backlog: Backlog,
}

/// Arrivals per second over all cores, from the beginning of the phase.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// Always the same, above zero.
    Constant(f64),
    /// From one rate to another, evenly.
    Ramp {
        /// At the beginning; zero or more.
        from: f64,
        /// At the end; zero or more, and not both zero.
        to: f64,
        /// How long it takes.
        over: Duration,
    },
    /// From one rate to another in equal stairs.
    Stairs {
        /// The first stair; zero or more.
        from: f64,
        /// The last stair.
        to: f64,
        /// How many, at least two.
        stairs: NonZeroU32,
        /// All of them together.
        over: Duration,
    },
    /// At these times after the beginning, in order; each `lanes` times if it is given to each connection.
    Times {
        /// Nanoseconds, never falling.
        at: Arc<[u64]>,
        /// How many arrivals each time stands for.
        each: NonZeroU32,
    },
}

/// How arrivals are spread within the curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// As evenly as can be.
    #[default]
    Even,
    /// As independent events come: gaps are exponentially distributed.
    Poisson,
    /// So many at a time.
    Burst(NonZeroU32),
}

/// What happens to arrivals that find no idle user: they wait, their intended start kept, and are dropped and counted past
/// these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Longest wait. `None`: no limit.
    pub time: Option<Duration>,
    /// How many may wait over all cores.
    pub number: u64,
}

/// What ends a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After this time.
    After(Duration),
    /// When this many iterations were begun over all users (in the open model: have arrived) and have ended.
    Iterations(NonZeroU64),
    /// Each user does this many.
    IterationsPerUser(NonZeroU64),
}
