//! What the result is judged by.

use crate::tags::Tags;
use std::time::Duration;

/// Pass or fail on an aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// As the user wrote it.
    pub text: String,
    /// Left side.
    pub metric: Metric,
    /// Only steps of this scenario (by name).
    pub scenario: Option<String>,
    /// Only steps of this name.
    pub step: Option<String>,
    /// Only steps with these tags.
    pub tags: Tags,
    /// Only checks of this name; of the two figures of checks alone.
    pub check: Option<String>,
    /// Only this phase (by name); else all recorded phases.
    pub phase: Option<String>,
    /// How the sides compare.
    pub op: Op,
    /// Right side: nanoseconds for times, a fraction for rates of failure, a number for counts, per second for rates.
    pub value: f64,
    /// Watched during the run, which ends when it does not hold after so much recorded time.
    pub abort_after: Option<Duration>,
}

impl Threshold {
    /// Whether it speaks of some steps only.
    pub fn of_steps(&self) -> bool {
        self.scenario.is_some() || self.step.is_some() || !self.tags.is_empty()
    }

    /// Whether it speaks of this step of this scenario, which has these tags.
    pub fn speaks_of(&self, scenario: &str, step: &str, tags: &Tags) -> bool {
        self.scenario.as_ref().is_none_or(|s| s == scenario)
            && self.step.as_ref().is_none_or(|s| s == step)
            && tags.include(&self.tags)
    }

    /// Whether it speaks of checks of this name. A name that was given to several checks at once is the beginning of theirs.
    pub fn counts(&self, check: &str) -> bool {
        let behind = |name: &String| check.strip_prefix(name.as_str());
        self.check
            .as_ref()
            .is_none_or(|name| behind(name).is_some_and(|r| r.is_empty() || r.starts_with(": ")))
    }
}

/// Left side of a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// `p99.9(response_time)`: the quantile (0..=1) of a series.
    Quantile(f64, SeriesName),
    /// `mean(...)`.
    Mean(SeriesName),
    /// `min(...)`.
    Min(SeriesName),
    /// `max(...)`.
    Max(SeriesName),
    /// Failed over ended.
    ErrorRate,
    /// Succeeded per second.
    Rate,
    /// A count of the books.
    Count(CountName),
    /// Iterations that failed over those that ended.
    IterationFailureRate,
    /// Checks failed over checks made.
    CheckFailureRate,
    /// Checks passed over checks made.
    CheckRate,
}

impl Metric {
    /// The series it speaks of, if it speaks of times.
    pub fn series(self) -> Option<SeriesName> {
        match self {
            Metric::Quantile(_, name) | Metric::Mean(name) | Metric::Min(name) | Metric::Max(name) => {
                Some(name)
            }
            Metric::ErrorRate
            | Metric::Rate
            | Metric::Count(_)
            | Metric::IterationFailureRate
            | Metric::CheckFailureRate
            | Metric::CheckRate => None,
        }
    }

    /// Whether it is a share of something, 0 to 1.
    pub fn is_share(self) -> bool {
        use Metric::{CheckFailureRate, CheckRate, ErrorRate, IterationFailureRate};
        matches!(self, ErrorRate | IterationFailureRate | CheckFailureRate | CheckRate)
    }

    /// Whether it speaks of connections of phases of handshakes alone.
    pub fn of_handshakes(self) -> bool {
        let counts = matches!(self, Metric::Count(CountName::HandshakesOpened | CountName::HandshakesFailed));
        counts || self.series() == Some(SeriesName::OpeningTime)
    }
}

/// A series of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesName {
    /// Due to last byte.
    ResponseTime,
    /// Sent to last byte.
    ServiceTime,
    /// Due to sent.
    SendLag,
    /// Sent to first byte of the response head.
    FirstByte,
    /// TCP connect.
    Connect,
    /// TLS handshake.
    Handshake,
    /// Due to open, of connections of phases of handshakes.
    OpeningTime,
}

/// A count of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountName {
    /// Requests begun.
    Started,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// In flight at the end.
    Abandoned,
    /// Arrivals never begun.
    Dropped,
    /// Iterations ended.
    Iterations,
    /// Of them: failed.
    IterationsFailed,
    /// Connections of phases of handshakes that were opened.
    HandshakesOpened,
    /// Those that were not, for whatever reason.
    HandshakesFailed,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
}

impl Op {
    /// Whether `left op right` holds.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Op::Less => left < right,
            Op::AtMost => left <= right,
            Op::More => left > right,
            Op::AtLeast => left >= right,
            Op::Equal => left == right,
        }
    }
}
