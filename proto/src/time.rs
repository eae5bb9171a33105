//! Time as the data plane sees it: nanoseconds since an epoch that the run chose.
//!
//! A `u64` and not `std::time::Instant`: a latency is then one subtraction, a deadline compares in one instruction, and
//! a simulation makes any time it likes. 2^64 ns are 584 years, so nothing here wraps.

use std::time::Duration;

/// A moment: nanoseconds since the epoch of the run. It never goes back within a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The epoch itself.
    pub const ZERO: Time = Time(0);
    /// Later than every real moment: "no deadline" where an `Option` would cost a branch.
    pub const NEVER: Time = Time(u64::MAX);

    /// The moment `ns` nanoseconds after the epoch.
    #[inline]
    pub const fn from_nanos(ns: u64) -> Time {
        Time(ns)
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Nanoseconds from `earlier` to `self`, 0 if `earlier` is later.
    #[inline]
    pub const fn nanos_since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    #[inline]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// `self` plus `d`; saturates at [`Time::NEVER`].
    #[inline]
    pub fn after(self, d: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let t = Time::from_nanos(5);
        assert_eq!(t.nanos_since(Time::from_nanos(9)), 0);
        assert_eq!(t.after(Duration::MAX), Time::NEVER);
        assert_eq!(t.after(Duration::from_nanos(7)).as_nanos(), 12);
        assert_eq!(Time::from_nanos(12).since(t), Duration::from_nanos(7));
    }
}
