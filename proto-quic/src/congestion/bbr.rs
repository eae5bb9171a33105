//! BBR in its first version (draft-cardwell-iccrg-bbr-congestion-control-00), as far as a window can carry it: the window follows
//! what the path was measured to deliver in its least round-trip time, and loss does not count. Different from the draft:
//! delivery is measured over whole round trips instead of packet by packet, and there is no sending rate of its own: the pacer
//! spreads the window over a round trip, for this controller as for the others.

use super::{initial_window, least_window};
use crate::rtt::Rtt;
use proto::Time;
use std::time::Duration;

/// 2 / ln 2: the least gain that doubles each round (section 4.3.2.1 of the draft).
const STARTUP_GAIN: f64 = 2.885;
/// Of the window while the bandwidth is watched (section 4.2.3).
const STEADY_GAIN: f64 = 2.0;
/// One after the other, a round each: more, to see whether there is more; less, to let the queue go; then as it is.
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
/// Rounds that a measured bandwidth counts for.
const MEMORY: u64 = 10;
/// The start is over after so many rounds without a quarter more.
const FULL_ROUNDS: u32 = 3;
/// How long the least round-trip time is believed, and how long the path is emptied to see it again (section 4.3.5).
const MIN_RTT_LIFE: Duration = Duration::from_secs(10);
const PROBE_RTT: Duration = Duration::from_millis(200);
/// No path holds more bytes, whatever was measured.
const MOST: u64 = 1 << 40;
/// Packets in flight while the path is emptied.
const PROBE_PACKETS: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Startup,
    Drain,
    /// With the place in [`CYCLE`].
    Steady(usize),
    /// Until then.
    ProbeRtt(Time),
}

/// See the file's header.
#[derive(Debug)]
pub(crate) struct Bbr {
    window: u64,
    mtu: u64,
    mode: Mode,
    round: Round,
    rounds: u64,
    /// The largest bandwidths in bytes a second, the best first, with the rounds that they are of: better ones come later in none.
    best: [(u64, f64); 3],
    /// The bandwidth that the start has to exceed by a quarter, and for how many rounds it has not.
    full: (f64, u32),
    min_rtt: (Duration, Time),
    in_flight: u64,
}

/// A round trip: it ends with the first acknowledgement of something sent within it.
#[derive(Clone, Copy, Debug)]
struct Round {
    began: Time,
    delivered: u64,
    app_limited: bool,
}

impl Bbr {
    pub(super) fn new(mtu: u64, now: Time) -> Bbr {
        Bbr {
            window: initial_window(mtu),
            mtu,
            mode: Mode::Startup,
            round: Round { began: now, delivered: 0, app_limited: false },
            rounds: 0,
            best: [(0, 0.0); 3],
            full: (0.0, 0),
            min_rtt: (Duration::MAX, now),
            in_flight: 0,
        }
    }

    pub(super) fn window(&self) -> u64 {
        match self.mode {
            Mode::ProbeRtt(_) => self.window.min(PROBE_PACKETS * self.mtu),
            _ => self.window,
        }
    }

    pub(super) fn on_mtu(&mut self, mtu: u64) {
        if self.window == initial_window(self.mtu) && self.rounds == 0 {
            self.window = initial_window(mtu);
        }
        self.mtu = mtu;
        self.window = self.window.max(least_window(mtu));
    }

    pub(super) fn on_sent(&mut self, in_flight: u64) {
        self.in_flight = in_flight;
    }

    pub(super) fn on_congestion(&mut self, persistent: bool, bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        if persistent {
            // The path may be another one: what was known of it goes.
            self.window = least_window(self.mtu);
            self.best = [(0, 0.0); 3];
            self.full = (0.0, 0);
            self.mode = Mode::Startup;
        }
    }

    pub(super) fn on_ack(&mut self, now: Time, sent: Time, bytes: u64, app_limited: bool, rtt: &Rtt) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        self.round.delivered = self.round.delivered.saturating_add(bytes);
        self.round.app_limited |= app_limited;
        let expired = now.since(self.min_rtt.1) > MIN_RTT_LIFE;
        // What the configuration assumed before anything was measured is none.
        if rtt.measured.is_some() && (rtt.latest <= self.min_rtt.0 || expired) {
            self.min_rtt = (rtt.latest, now);
        }
        if expired && !matches!(self.mode, Mode::ProbeRtt(_) | Mode::Startup) && !app_limited {
            self.mode = Mode::ProbeRtt(now.after(PROBE_RTT.max(rtt.smoothed)));
        }
        // Packets so few show nothing of the path (section 4.3.5 of the draft).
        self.round.app_limited |= matches!(self.mode, Mode::ProbeRtt(_));
        if sent >= self.round.began && now > self.round.began {
            self.end_round(now);
        }
        match self.mode {
            Mode::Drain if self.in_flight <= self.target(1.0) => self.mode = Mode::Steady(0),
            Mode::ProbeRtt(until) if now >= until => {
                self.mode = if self.full.1 >= FULL_ROUNDS { Mode::Steady(0) } else { Mode::Startup };
            }
            _ => {}
        }
        self.set_window(bytes, app_limited);
    }

    fn end_round(&mut self, now: Time) {
        let seconds = now.since(self.round.began).as_secs_f64();
        let bandwidth = self.round.delivered as f64 / seconds;
        // A sender with nothing to say shows no limit of the path, unless it is above what was known (section 4.1.2.3). Its rounds
        // do not count, so that what was known is not forgotten for a pause.
        let counts = !self.round.app_limited || bandwidth > self.bandwidth();
        if counts {
            self.rounds += 1;
            self.note(bandwidth);
        }
        self.round = Round { began: now, delivered: 0, app_limited: false };
        match self.mode {
            Mode::Startup if counts => {
                if self.bandwidth() >= self.full.0 * 1.25 {
                    self.full = (self.bandwidth(), 0);
                } else {
                    self.full.1 += 1;
                    if self.full.1 >= FULL_ROUNDS {
                        self.mode = Mode::Drain;
                    }
                }
            }
            Mode::Steady(place) => self.mode = Mode::Steady((place + 1) % CYCLE.len()),
            _ => {}
        }
    }

    /// The largest of the last rounds, kept as the three that may still be it.
    fn note(&mut self, bandwidth: f64) {
        let new = (self.rounds, bandwidth);
        if bandwidth >= self.best[0].1 || self.rounds - self.best[2].0 > MEMORY {
            self.best = [new; 3];
            return;
        }
        if bandwidth >= self.best[1].1 {
            (self.best[1], self.best[2]) = (new, new);
        } else if bandwidth >= self.best[2].1 {
            self.best[2] = new;
        }
        while self.rounds - self.best[0].0 > MEMORY {
            self.best = [self.best[1], self.best[2], new];
        }
    }

    fn bandwidth(&self) -> f64 {
        self.best[0].1
    }

    /// So many times what the path holds.
    fn target(&self, gain: f64) -> u64 {
        if self.bandwidth() == 0.0 || self.min_rtt.0 == Duration::MAX {
            return initial_window(self.mtu);
        }
        let held = self.bandwidth() * self.min_rtt.0.as_secs_f64();
        // Three packets more, for acknowledgements that come late (section 4.2.3.2).
        ((gain * held) as u64).min(MOST) + 3 * self.mtu
    }

    fn set_window(&mut self, acked: u64, app_limited: bool) {
        let target = match self.mode {
            Mode::Startup => self.target(STARTUP_GAIN),
            Mode::Drain => self.target(1.0),
            Mode::Steady(place) => self.target(STEADY_GAIN * CYCLE[place]),
            Mode::ProbeRtt(_) => return,
        };
        self.window = match self.mode {
            // Until the path was measured, as in slow start.
            Mode::Startup if app_limited => self.window,
            Mode::Startup => (self.window + acked).min(target.max(self.window)),
            _ => target.min(self.window + acked),
        };
        self.window = self.window.max(PROBE_PACKETS * self.mtu);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ms;
    use super::*;

    /// Packets over a path of so many bytes a ms with a round trip of `trip` ms, whose queue is as long as it has to be; the
    /// least window and the longest round trip of the last quarter.
    fn run(bytes_a_ms: u64, trip: u64, millis: u64) -> (u64, u64) {
        let mut bbr = Bbr::new(1000, ms(0));
        let mut waiting = std::collections::VecDeque::new();
        let (mut in_flight, mut free_at, mut longest, mut least) = (0, 0, 0, u64::MAX);
        for now in 0..millis {
            while let Some(&(arrives, sent)) = waiting.front()
                && arrives <= now
            {
                waiting.pop_front();
                in_flight -= 1000;
                let mut rtt = Rtt::new(Duration::from_millis(333));
                rtt.update(ms(now), Duration::from_millis(now - sent), Duration::ZERO);
                bbr.on_ack(ms(now), ms(sent), 1000, false, &rtt);
                if now > millis * 3 / 4 {
                    longest = longest.max(now - sent);
                    // As it is outside of the times in which the path is emptied.
                    least = least.min(bbr.window);
                }
            }
            while in_flight + 1000 <= bbr.window() {
                in_flight += 1000;
                bbr.on_sent(in_flight);
                // In thousandths of a ms.
                free_at = (now * 1000).max(free_at) + 1_000_000 / bytes_a_ms;
                waiting.push_back((free_at.div_ceil(1000) + trip, now));
            }
        }
        (least, longest)
    }

    #[test]
    fn the_window_is_twice_what_the_path_holds() {
        for bytes_a_ms in [1000, 10_000, 40_000] {
            let (window, longest) = run(bytes_a_ms, 10, 3000);
            let held = bytes_a_ms * 10;
            assert!(window >= held && window <= 3 * held + 10_000, "{bytes_a_ms}: window {window}");
            assert!(longest <= 40, "{bytes_a_ms}: a queue of {longest} ms");
        }
    }

    /// For 200 ms every ten seconds next to nothing is in flight; with round trips of 3 ms that is longer than a bandwidth counts.
    #[test]
    fn what_the_path_carries_is_not_forgotten_while_it_is_emptied() {
        let (window, longest) = run(10_000, 3, 24_000);
        assert!(window >= 30_000 && longest <= 12, "window {window}, {longest} ms");
    }

    #[test]
    fn what_was_assumed_of_the_round_trip_is_not_measured() {
        let mut bbr = Bbr::new(1000, ms(0));
        let mut rtt = Rtt::new(Duration::from_micros(1));
        bbr.on_sent(1000);
        bbr.on_ack(ms(100), ms(0), 1000, false, &rtt);
        rtt.update(ms(100), Duration::from_millis(100), Duration::ZERO);
        bbr.on_ack(ms(101), ms(1), 1000, false, &rtt);
        assert_eq!(bbr.min_rtt.0, Duration::from_millis(100));
    }

    #[test]
    fn loss_alone_changes_nothing() {
        let mut bbr = Bbr::new(1000, ms(0));
        let before = bbr.window();
        bbr.on_congestion(false, 1000);
        assert_eq!(bbr.window(), before);
    }
}
