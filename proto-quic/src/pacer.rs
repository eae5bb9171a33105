//! Spreads a window over the round trip that it belongs to (RFC 9002 section 7.7), so that it does not reach the path all at once:
//! a token bucket that a fraction more than the window fills in a round trip.

use crate::rtt::Rtt;
use proto::Time;
use std::time::Duration;

/// Paths shorter than this are not paced: the whole window is shorter than the timers of servers and kernels are exact, and on
/// loopback a wait would cost more than it saves. It is the least round trip that counts: a server that takes its time does not
/// make the path longer.
const LEAST_RTT: Duration = Duration::from_millis(1);
/// N of section 7.7, as a fraction: a fourth more than the window in a round trip, so that the window stays the bound.
const FASTER: (u128, u128) = (5, 4);
/// Packets that may leave at once, so that batches stay batches.
const BURST: u64 = 10;
/// And as many as the path takes in this time.
const BURST_TIME: Duration = Duration::from_millis(2);

/// See the file's header.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// Bytes that may leave.
    tokens: u64,
    /// When that was so.
    at: Time,
}

impl Pacer {
    pub(crate) fn new(now: Time) -> Pacer {
        Pacer { tokens: u64::MAX, at: now }
    }

    /// Whether so many bytes have to wait, and until when.
    #[inline]
    pub(crate) fn next(&mut self, now: Time, bytes: u64, window: u64, rtt: &Rtt, mtu: u16) -> Option<Time> {
        if rtt.min < LEAST_RTT {
            return None;
        }
        self.wait(now, bytes, window, rtt.smoothed, mtu)
    }

    fn wait(&mut self, now: Time, bytes: u64, window: u64, rtt: Duration, mtu: u16) -> Option<Time> {
        let rtt = rtt.as_nanos();
        let per_round = u128::from(window.max(1)) * FASTER.0 / FASTER.1;
        let in_time = |nanos: u128| u64::try_from(per_round * nanos / rtt).unwrap_or(u64::MAX);
        let most = in_time(BURST_TIME.as_nanos()).max(BURST * u64::from(mtu));
        let new = in_time(now.nanos_since(self.at).into());
        // Too little time for a byte is kept for the next look.
        if new > 0 || self.tokens > most {
            self.tokens = self.tokens.saturating_add(new).min(most);
            self.at = now;
        }
        let bytes = bytes.min(most);
        if self.tokens >= bytes {
            return None;
        }
        // Whoever has to wait waits for half a burst: a timer for each packet would cost more than the packet.
        let missing = u128::from(bytes.max(most / 2) - self.tokens);
        let nanos = (missing * rtt).div_ceil(per_round);
        Some(self.at.after(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))))
    }

    /// So many bytes left.
    #[inline]
    pub(crate) fn on_sent(&mut self, bytes: u64) {
        self.tokens = self.tokens.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rtt(micros: u64) -> Rtt {
        let mut rtt = Rtt::new(Duration::from_micros(micros));
        rtt.update(Time::ZERO, Duration::from_micros(micros), Duration::ZERO);
        rtt
    }

    fn us(n: u64) -> Time {
        Time::from_nanos(n * 1000)
    }

    #[test]
    fn short_round_trips_are_not_paced() {
        let mut pacer = Pacer::new(us(0));
        for _ in 0..1000 {
            assert_eq!(pacer.next(us(1), 1200, 12_000, &rtt(999), 1200), None);
            pacer.on_sent(1200);
        }
        // The server is slow, the path is not.
        let mut slow = rtt(999);
        (0..20).for_each(|_| slow.update(Time::ZERO, Duration::from_millis(50), Duration::ZERO));
        assert_eq!(pacer.next(us(1), 1200, 12_000, &slow, 1200), None);
    }

    #[test]
    fn whoever_waited_may_send_several() {
        let (rtt, window) = (rtt(100_000), 120_000);
        let mut pacer = Pacer::new(us(0));
        let mut now = us(0);
        let mut waits = 0;
        for _ in 0..1000 {
            while let Some(at) = pacer.next(now, 1200, window, &rtt, 1200) {
                (now, waits) = (at, waits + 1);
            }
            pacer.on_sent(1200);
        }
        assert!((150..=200).contains(&waits), "{waits}");
        // 990 packets of 1200 bytes, a fourth more than the window in 100 ms.
        assert!(now.as_nanos().abs_diff(792_000_000) < 10_000_000, "{now:?}");
    }

    proptest! {
        /// Whatever is asked for when: never more than the burst and a fourth above the window a round trip; and whoever comes when
        /// told to may send.
        #[test]
        fn it_is_never_exceeded_and_keeps_its_word(
            window in 2400..10_000_000_u64, millis in 1..500_u64, pauses in prop::collection::vec(0..20_000_u64, 1..200),
        ) {
            let rtt = rtt(millis * 1000);
            let mut pacer = Pacer::new(us(0));
            let (mut now, mut sent) = (us(0), 0_u64);
            let most = (window * 5 / 4 * 2 / millis).max(12_000);
            for pause in pauses {
                now = now.after(Duration::from_micros(pause));
                match pacer.next(now, 1200, window, &rtt, 1200) {
                    None => {}
                    Some(at) => {
                        prop_assert!(at > now);
                        now = at;
                        prop_assert_eq!(pacer.next(now, 1200, window, &rtt, 1200), None);
                    }
                }
                pacer.on_sent(1200);
                sent += 1200;
                let allowed = most as u128 + u128::from(window) * 5 / 4 * u128::from(now.as_nanos()) / (u128::from(millis) * 1_000_000);
                prop_assert!(u128::from(sent) <= allowed + 1200, "{sent} of {allowed} at {now:?}");
            }
        }
    }
}
