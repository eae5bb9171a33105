//! A token bucket: so many requests a second, and a few at a time. A server of known capacity, for whoever wants to see a load
//! generator find it. Shared by all threads. Made by `shared.rs`; asked by `service.rs` and by the page `/limited`.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What is limited, and what happens above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Requests per second; above zero.
    pub rate: f64,
    /// Requests at a time that come before their turn.
    pub burst: NonZeroU32,
    /// Answer a request above the rate when its turn has come, instead of refusing it.
    pub delay: bool,
}

impl Limit {
    /// A limit with the usual burst: what comes in ten milliseconds, for no client is more even than that.
    pub fn of(rate: f64, delay: bool) -> Self {
        let burst = NonZeroU32::new((rate / 100.0) as u32).unwrap_or(NonZeroU32::MIN);
        Self { rate, burst, delay }
    }
}

/// Whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    After(Duration),
    Refused,
}

/// The bucket. As the generic cell rate algorithm keeps it: one number, the time at which it will be full again.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) limit: Limit,
    begun: Instant,
    /// Nanoseconds since it was made.
    full_at: AtomicU64,
}

/// A request that would wait longer is refused: its client has gone.
const LONGEST: Duration = Duration::from_secs(60);

impl Bucket {
    pub(crate) fn new(limit: Limit) -> Self {
        Self { limit, begun: Instant::now(), full_at: AtomicU64::new(0) }
    }

    /// Takes a token.
    pub(crate) fn take(&self) -> Turn {
        self.take_at(self.begun.elapsed())
    }

    fn take_at(&self, now: Duration) -> Turn {
        let now = now.as_nanos() as u64;
        let each = 1e9 / self.limit.rate;
        // In units of a nanosecond a rate of a million and more would be off; the remainder is carried by rounding the sum
        // and not the part.
        let allowed = (each * f64::from(self.limit.burst.get() - 1)) as u64;
        let longest = if self.limit.delay { LONGEST.as_nanos() as u64 } else { 0 };
        let mut early = 0;
        let taken = self.full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
            let turn = full_at.max(now << FRACTION);
            early = (turn >> FRACTION).saturating_sub(now);
            (early <= allowed + longest).then(|| turn + (each * f64::from(1 << FRACTION)) as u64)
        });
        match taken {
            Err(_) => Turn::Refused,
            Ok(_) if early <= allowed => Turn::Now,
            Ok(_) => Turn::After(Duration::from_nanos(early - allowed)),
        }
    }
}

/// Bits of a fraction of a nanosecond: a hundred days of them fit in beside it.
const FRACTION: u32 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: f64, burst: u32, delay: bool) -> Bucket {
        Bucket::new(Limit { rate, burst: NonZeroU32::new(burst).unwrap(), delay })
    }

    /// Requests that pass of those that come evenly for ten seconds.
    fn passed(bucket: &Bucket, rate: f64) -> f64 {
        let turn = |i: u64| bucket.take_at(Duration::from_secs_f64(i as f64 / rate));
        (0..(rate * 10.0) as u64).filter(|i| turn(*i) == Turn::Now).count() as f64
    }

    #[test]
    fn so_many_pass_and_no_more() {
        for rate in [10.0, 1000.0, 3333.3, 50_000.0] {
            assert_eq!(passed(&bucket(rate, 2, false), rate * 0.99), (rate * 9.9).floor(), "{rate}");
            let most = passed(&bucket(rate, 2, false), rate * 1.5);
            assert!((most / (rate * 10.0) - 1.0).abs() < 0.02, "{rate}: {most}");
        }
    }

    #[test]
    fn a_burst_passes_at_once() {
        let bucket = bucket(100.0, 5, false);
        let now = Duration::from_secs(1);
        let turns: Vec<Turn> = (0..6).map(|_| bucket.take_at(now)).collect();
        assert_eq!(turns[..5], [Turn::Now; 5]);
        assert_eq!(turns[5], Turn::Refused);
        // A refusal costs no token.
        assert_eq!(bucket.take_at(now + Duration::from_millis(11)), Turn::Now);
    }

    #[test]
    fn who_is_delayed_gets_a_turn_of_its_own() {
        let bucket = bucket(100.0, 1, true);
        let now = Duration::from_secs(1);
        let turns: Vec<Turn> = (0..3).map(|_| bucket.take_at(now)).collect();
        let after = |ms| Turn::After(Duration::from_millis(ms));
        assert_eq!(turns, [Turn::Now, after(10), after(20)]);
        assert!((0..5996).all(|_| bucket.take_at(now) != Turn::Refused));
        assert!((0..10).any(|_| bucket.take_at(now) == Turn::Refused), "a minute is the most");
    }
}
