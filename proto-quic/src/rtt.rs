//! The round-trip time (RFC 9002 section 5).

use proto::Time;
use std::time::Duration;

/// kGranularity (RFC 9002 section 6.1.2).
pub(crate) const GRANULARITY: Duration = Duration::from_millis(1);

/// See the file's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    pub(crate) latest: Duration,
    pub(crate) smoothed: Duration,
    pub(crate) var: Duration,
    pub(crate) min: Duration,
    /// When it was first measured.
    pub(crate) measured: Option<Time>,
}

impl Rtt {
    pub(crate) fn new(initial: Duration) -> Rtt {
        Rtt { latest: initial, smoothed: initial, var: initial / 2, min: initial, measured: None }
    }

    /// A sample taken now; `ack_delay` is bounded by the peer's promise already (section 5.3).
    pub(crate) fn update(&mut self, now: Time, latest: Duration, ack_delay: Duration) {
        self.latest = latest;
        if self.measured.is_none() {
            *self = Rtt { latest, smoothed: latest, var: latest / 2, min: latest, measured: Some(now) };
            return;
        }
        self.min = self.min.min(latest);
        let adjusted = if latest >= self.min + ack_delay { latest - ack_delay } else { latest };
        self.var = (3 * self.var + self.smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = (7 * self.smoothed + adjusted) / 8;
    }

    /// The probe timeout without the peer's delay (section 6.2.1).
    pub(crate) fn pto(&self) -> Duration {
        self.smoothed + (4 * self.var).max(GRANULARITY)
    }

    /// How long a packet may be late before it is lost (section 6.1.2).
    pub(crate) fn loss_delay(&self) -> Duration {
        (self.latest.max(self.smoothed) * 9 / 8).max(GRANULARITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn samples_are_smoothed() {
        let ms = Duration::from_millis;
        let mut rtt = Rtt::new(ms(333));
        assert_eq!(rtt.pto(), ms(999));
        // The first sample takes no delay off.
        rtt.update(Time::ZERO, ms(80), ms(20));
        assert_eq!((rtt.smoothed, rtt.var, rtt.min), (ms(80), ms(40), ms(80)));
        rtt.update(Time::ZERO, ms(100), ms(20));
        assert_eq!((rtt.smoothed, rtt.var, rtt.min), (ms(80), ms(30), ms(80)));
        // A delay that would take it below the least is not believed.
        rtt.update(Time::ZERO, ms(88), ms(20));
        assert_eq!((rtt.smoothed, rtt.min), (ms(81), ms(80)));
        assert_eq!(rtt.loss_delay(), ms(99));
        rtt.update(Time::ZERO, ms(1), ms(0));
        assert_eq!(Rtt::new(Duration::ZERO).loss_delay(), GRANULARITY);
    }

    proptest! {
        /// Whatever is measured, and whatever the peer says of its delays: what is smoothed lies between the least and the largest
        /// sample, the least is the least, and timers are never shorter than a millisecond nor than the path.
        #[test]
        fn figures_stay_within_what_was_measured(samples in prop::collection::vec((0..10_000_000_u64, any::<u64>()), 1..50)) {
            let mut rtt = Rtt::new(Duration::from_millis(333));
            let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
            for (latest, delay) in samples {
                let latest = Duration::from_micros(latest);
                (least, most) = (least.min(latest), most.max(latest));
                rtt.update(Time::ZERO, latest, Duration::from_micros(delay));
                prop_assert_eq!((rtt.min, rtt.latest), (least, latest));
                prop_assert!(rtt.smoothed <= most && rtt.var <= most);
                // Divisions cut a few nanoseconds off.
                prop_assert!(rtt.smoothed + Duration::from_nanos(50) >= least);
                prop_assert!(rtt.pto() >= rtt.smoothed + GRANULARITY && rtt.loss_delay() >= GRANULARITY.max(latest));
            }
        }
    }
}
