//! CUBIC (RFC 9438): after a loss the window returns to where it was along a cubic function of time, slowly near that place, and
//! is never smaller than NewReno's would be.

use super::Window;
use crate::rtt::Rtt;
use proto::Time;

/// C of section 4.1, in packets per second cubed.
const C: f64 = 0.4;
/// What a loss leaves of the window (section 4.6), in tenths and as it is.
const BETA_TENTHS: u64 = 7;
const BETA: f64 = 0.7;
/// By which NewReno with this beta would grow a round (section 4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// See the file's header. Windows are in packets where they are floats, as in the RFC.
#[derive(Debug)]
pub(crate) struct Cubic {
    pub(super) window: Window,
    /// W_max: the window before the last reduction, or less by fast convergence (section 4.7).
    peak: f64,
    /// The window before the last reduction (cwnd_prior).
    before: f64,
    /// The present avoidance of congestion.
    epoch: Option<Epoch>,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    began: Time,
    /// K: seconds from the beginning until the peak is reached.
    k: f64,
    /// W_est: NewReno's window.
    reno: f64,
    /// Since when the sender has not used its window: that time does not count (section 4.2).
    idle: Option<Time>,
}

/// The cube root of a number that is not negative, by Newton's method: this is asked for once a loss, and `f64::cbrt` would bring
/// a library.
fn cube_root(x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    // A third of the exponent is a first guess within a factor of two.
    let mut root = f64::from_bits(x.to_bits() / 3 + (682 << 52));
    for _ in 0..6 {
        root -= (root - x / (root * root)) / 3.0;
    }
    root
}

impl Cubic {
    pub(super) fn new(mtu: u64) -> Cubic {
        Cubic { window: Window::new(mtu), peak: 0.0, before: 0.0, epoch: None }
    }

    /// `bytes`: of those that used the window; none did where there are none.
    #[inline]
    pub(super) fn on_ack(&mut self, now: Time, sent: Time, bytes: u64, rtt: &Rtt) {
        if bytes == 0 {
            if let Some(epoch) = &mut self.epoch {
                epoch.idle.get_or_insert(now);
            }
            return;
        }
        if self.window.is_old(sent) {
            return;
        }
        if self.window.is_slow_start() {
            self.window.bytes += bytes;
            return;
        }
        self.avoid(now, bytes, rtt);
    }

    /// Section 4.2 to 4.5.
    fn avoid(&mut self, now: Time, bytes: u64, rtt: &Rtt) {
        let mtu = self.window.mtu as f64;
        let window = self.window.bytes as f64 / mtu;
        let peak = &mut self.peak;
        let epoch = self.epoch.get_or_insert_with(|| {
            // Without a loss before, or beyond its place: from here on it only grows.
            *peak = peak.max(window);
            Epoch { began: now, k: cube_root((*peak - window) / C), reno: window, idle: None }
        });
        if let Some(since) = epoch.idle.take() {
            epoch.began = epoch.began.after(now.since(since));
        }
        let acked = bytes as f64 / mtu;
        let cubic = |t: f64| C * (t - epoch.k) * (t - epoch.k) * (t - epoch.k) + *peak;
        let t = now.since(epoch.began).as_secs_f64();
        // NewReno with alpha until it is where the reduction began, then as fast as NewReno itself (section 4.3).
        let alpha = if epoch.reno < self.before { ALPHA } else { 1.0 };
        epoch.reno += alpha * acked / window;
        let grown = if cubic(t) < epoch.reno {
            window.max(epoch.reno)
        } else {
            let target = cubic(t + rtt.smoothed.as_secs_f64()).clamp(window, 1.5 * window);
            window + (target - window) / window * acked
        };
        // Rounded: cut off, a window that stands would lose a byte with each acknowledgement.
        self.window.bytes = (grown * mtu + 0.5) as u64;
    }

    pub(super) fn on_congestion(&mut self, now: Time, sent: Time, persistent: bool) {
        if !self.window.is_old(sent) {
            let window = self.window.bytes as f64 / self.window.mtu as f64;
            // Fast convergence (section 4.7): who had to give way before it was back leaves room for others.
            self.peak = if window < self.peak { window * (1.0 + BETA) / 2.0 } else { window };
            self.before = window;
            self.window.reduce(now, BETA_TENTHS);
            self.epoch = None;
        }
        if persistent {
            self.window.collapse();
            self.epoch = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ms, rtt};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cube_roots() {
        for x in [1e-9, 0.001, 0.5, 1.0, 2.0, 8.0, 27.0, 12_345.678, 1e12] {
            let root = cube_root(x);
            assert!((root * root * root / x - 1.0).abs() < 1e-12, "{x}: {root}");
        }
        assert_eq!((cube_root(0.0), cube_root(-1.0)), (0.0, 0.0));
    }

    /// A connection whose window is 100 packets of 1000 bytes, which then loses one at 0 and keeps its window full with round
    /// trips of 100 ms; the window after so many ms.
    fn after(until: u64) -> f64 {
        let mut cubic = Cubic::new(1000);
        cubic.window.bytes = 100_000;
        cubic.on_congestion(ms(0), ms(0), false);
        assert_eq!(cubic.window.bytes, 70_000);
        let mut now = 1;
        while now < until {
            // Each ms a 100th of the window arrives.
            let bytes = cubic.window.bytes / 100;
            cubic.on_ack(ms(now), ms(now), bytes, &rtt(100));
            now += 1;
        }
        cubic.window.bytes as f64 / 1000.0
    }

    /// W_cubic(t) = C (t - K)^3 + W_max with K = cbrt(W_max (1 - beta) / C) = 4.217 s (section 4.2).
    #[test]
    fn it_returns_along_the_function_of_the_rfc() {
        let k = 4.217;
        for t in [1.0, 3.0, 4.2, 6.0, 8.0_f64] {
            let expected = 0.4 * (t - k) * (t - k) * (t - k) + 100.0;
            let seen = after((t * 1000.0) as u64);
            // The window follows the function one round trip behind at most.
            assert!(
                (seen - expected).abs() < 1.5 + expected * 0.03,
                "{t} s: {seen}, by the formula {expected}"
            );
        }
    }

    #[test]
    fn it_is_never_below_newreno() {
        // With round trips of 10 ms NewReno grows by 0.53 packets each, which is faster than the cubic function.
        let mut cubic = Cubic::new(1000);
        cubic.window.bytes = 10_000;
        cubic.on_congestion(ms(0), ms(0), false);
        let mut reno = 7.0;
        for round in 1..=10_u64 {
            let bytes = cubic.window.bytes;
            reno += if reno < 10.0 { ALPHA } else { 1.0 };
            cubic.on_ack(ms(round * 10), ms(round * 10 - 9), bytes, &rtt(10));
        }
        assert!((cubic.window.bytes as f64 / 1000.0 - reno).abs() < 0.6, "{} {reno}", cubic.window.bytes);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// With a window that is always full, the window is the larger of W_cubic(t) (section 4.2) and of W_est, which grows by
        /// alpha a round trip and by one from where it was before on (section 4.3), whatever the path.
        #[test]
        fn the_window_is_what_the_rfc_says(peak in 20..1500_u64, trip in 5..300_u64, part in 0.1..2.0_f64) {
            let mut cubic = Cubic::new(1200);
            cubic.window.bytes = peak * 1200;
            cubic.on_congestion(ms(0), ms(0), false);
            let (w_max, rtt) = (peak as f64, rtt(trip));
            let k = (w_max * 0.3 / 0.4).cbrt();
            let (mut step, mut t) = (0_u64, 0.0);
            while t < k * part {
                step += 1;
                let now = Time::from_nanos(step * trip * 50_000);
                t = now.as_nanos() as f64 / 1e9;
                let bytes = cubic.window.bytes / 20;
                cubic.on_ack(now, now, bytes, &rtt);
            }
            let seen = cubic.window.bytes as f64 / 1200.0;
            let rounds = t / (trip as f64 / 1000.0);
            let slow = (0.3 * w_max / ALPHA).min(rounds);
            let w_est = 0.7 * w_max + slow * ALPHA + (rounds - slow);
            let w_cubic = 0.4 * (t - k).powi(3) + w_max;
            let expected = w_cubic.max(w_est);
            prop_assert!((seen - expected).abs() < 2.0 + expected * 0.04, "{seen} after {t} s, by the formulae {w_cubic} and {w_est}");
        }

        /// Acknowledgements alone never make it smaller, however small the pieces.
        #[test]
        fn it_does_not_shrink_by_itself(peak in 3..2000_u64, mtu in 1200..9000_u64, pieces in prop::collection::vec(1..1500_u64, 1..400)) {
            let mut cubic = Cubic::new(mtu);
            cubic.window.bytes = peak * mtu + 7;
            cubic.on_congestion(ms(0), ms(0), false);
            for (n, bytes) in pieces.into_iter().enumerate() {
                let before = cubic.window.bytes;
                cubic.on_ack(ms(1 + n as u64 / 50), ms(1), bytes, &rtt(1));
                prop_assert!(cubic.window.bytes >= before && cubic.window.bytes <= before + bytes);
            }
        }
    }

    /// A probe timeout's worth of silence in recovery, then persistent congestion: slow start up to what the loss left (RFC 9002
    /// section 7.6.2), and from there along the function.
    #[test]
    fn after_persistent_congestion_it_starts_slowly() {
        let mut cubic = Cubic::new(1000);
        cubic.window.bytes = 100_000;
        cubic.on_congestion(ms(10), ms(5), true);
        assert_eq!((cubic.window.bytes, cubic.window.threshold), (2000, 70_000));
        let mut now = 20;
        while cubic.window.bytes < 70_000 {
            let (before, bytes) = (cubic.window.bytes, cubic.window.bytes);
            cubic.on_ack(ms(now), ms(now), bytes, &rtt(10));
            assert_eq!(cubic.window.bytes, 2 * before);
            now += 10;
        }
        let before = cubic.window.bytes;
        cubic.on_ack(ms(now), ms(now), before, &rtt(10));
        assert!(cubic.window.bytes > before && cubic.window.bytes < before + 5000);
    }

    #[test]
    fn who_gives_way_twice_leaves_room() {
        let mut cubic = Cubic::new(1000);
        cubic.window.bytes = 100_000;
        cubic.on_congestion(ms(10), ms(5), false);
        cubic.on_congestion(ms(20), ms(15), false);
        assert_eq!((cubic.window.bytes, cubic.peak), (49_000, 70.0 * 0.85));
    }

    #[test]
    fn time_without_anything_to_send_does_not_count() {
        let run = |pause: u64| {
            let mut cubic = Cubic::new(1000);
            cubic.window.bytes = 100_000;
            cubic.on_congestion(ms(0), ms(0), false);
            cubic.on_ack(ms(1), ms(1), 1000, &rtt(100));
            cubic.on_ack(ms(2), ms(1), 0, &rtt(100));
            cubic.on_ack(ms(2 + pause), ms(1 + pause), 1000, &rtt(100));
            cubic.window.bytes
        };
        assert_eq!(run(0), run(60_000));
    }
}
