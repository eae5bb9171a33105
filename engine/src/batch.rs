//! How long a core in the closed model waits for more completions before it handles the first.
//!
//! A client that answers each small write at once makes both sides do more system calls: throughput falls while CPU
//! rises. So a core may nap: wait until all its connections have something, or for a tenth of the response time,
//! whichever is first. Whether that pays depends on the server, so it is measured: windows with and without the nap
//! alternate (A B A), now and then, and the nap stays only while it gains. See `docs/decisions/005-batching.md`.
//!
//! Pure: times, counts and CPU time come in, a nap comes out. Not for the open model, which never waits past a due time.

use proto::Time;
use std::time::Duration;

/// Nap for this part of the response time...
const PART_OF_RESPONSE: f64 = 10.0;
/// ...but never longer than this: a core must not sleep through what others send.
const LONGEST_NAP_US: f64 = 200.0;
/// Below this a timer costs more than the nap gains.
const SHORTEST_NAP_US: f64 = 20.0;
/// With fewer requests in flight there is nothing to gather.
const FEWEST_IN_FLIGHT: u32 = 8;
/// The rate is estimated this often.
const ESTIMATE_NS: u64 = 2_000_000;
/// No probing before connections are warm.
const FIRST_PROBE_NS: u64 = 200_000_000;
const SHORTEST_GAP_NS: u64 = 60_000_000;
const LONGEST_GAP_NS: u64 = 2_000_000_000;
/// A log-ratio of rates beyond which the setting flips.
const DECISIVE: f64 = 0.012;
/// What a share of CPU saved by napping is worth against the same share of rate: little, because CPU must not be bought
/// with throughput.
const WORTH_OF_CPU_SAVED: f64 = 0.05;
/// What a share of CPU wasted by napping costs: where the rate is the same either way, CPU decides.
const PRICE_OF_CPU_WASTED: f64 = 0.3;

/// What a window of a probe saw.
#[derive(Clone, Copy, Default)]
struct Window {
    log_rate: f64,
    log_cpu: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Probe {
    Rest,
    First,
    SettleOther,
    Other,
    SettleBack,
    Last,
}

/// The policy of one core.
pub(crate) struct Batch {
    enabled: bool,
    on: bool,
    nap_us: u32,
    rate: f64,
    response_us: f64,
    gain: f64,
    estimate_at: Time,
    estimate_done: u64,
    probe: Probe,
    probe_at: Time,
    gap_ns: u64,
    window_at: Time,
    window_ns: u64,
    window_done: u64,
    window_cpu: u64,
    windows: [Window; 3],
    naps: u64,
}

impl Batch {
    /// A policy that measures before it naps, or, where connections are `multiplexed`, naps before it measures: there
    /// napping gains a third as a rule, and with one request a connection it depends. `enabled` false never naps.
    pub(crate) fn new(enabled: bool, multiplexed: bool, now: Time) -> Batch {
        Batch {
            enabled,
            on: multiplexed,
            nap_us: 0,
            rate: 0.0,
            response_us: 0.0,
            gain: if multiplexed { 0.03 } else { 0.0 },
            estimate_at: now,
            estimate_done: 0,
            probe: Probe::Rest,
            probe_at: now.after(Duration::from_nanos(FIRST_PROBE_NS)),
            gap_ns: SHORTEST_GAP_NS,
            window_at: now,
            window_ns: 0,
            window_done: 0,
            window_cpu: 0,
            windows: [Window::default(); 3],
            naps: 0,
        }
    }

    /// The nap for the next wait; zero: none.
    #[inline]
    pub(crate) fn nap(&mut self, in_flight: u32) -> Duration {
        if self.nap_us == 0 || in_flight < FEWEST_IN_FLIGHT {
            return Duration::ZERO;
        }
        self.naps += 1;
        Duration::from_micros(u64::from(self.nap_us))
    }

    /// Takes stock after a batch. `done`: requests ended so far on this core. `cpu` is asked for only when a window of a
    /// probe begins or ends.
    #[inline]
    pub(crate) fn after_turn(&mut self, now: Time, done: u64, in_flight: u32, cpu: impl Fn() -> u64) {
        if !self.enabled || now.nanos_since(self.estimate_at) < ESTIMATE_NS {
            return;
        }
        self.estimate(now, done, in_flight);
        self.advance_probe(now, done, in_flight, cpu);
        self.nap_us = self.choose(in_flight);
    }

    /// Little's law: response time is requests in flight over the rate. No histogram needed.
    fn estimate(&mut self, now: Time, done: u64, in_flight: u32) {
        let (us, ended) =
            (now.nanos_since(self.estimate_at) as f64 / 1e3, (done - self.estimate_done) as f64);
        (self.estimate_at, self.estimate_done) = (now, done);
        let weight = if self.rate == 0.0 { 1.0 } else { 0.2 };
        self.rate += weight * (ended / us - self.rate);
        self.response_us = if self.rate > 0.0 { f64::from(in_flight) / self.rate } else { 0.0 };
    }

    fn choose(&self, in_flight: u32) -> u32 {
        let other = matches!(self.probe, Probe::SettleOther | Probe::Other);
        let nap = (self.response_us / PART_OF_RESPONSE).min(LONGEST_NAP_US);
        if self.on == other || in_flight < FEWEST_IN_FLIGHT || nap < SHORTEST_NAP_US { 0 } else { nap as u32 }
    }

    fn advance_probe(&mut self, now: Time, done: u64, in_flight: u32, cpu: impl Fn() -> u64) {
        if in_flight < FEWEST_IN_FLIGHT || self.response_us / PART_OF_RESPONSE < SHORTEST_NAP_US {
            self.probe = Probe::Rest;
            self.probe_at = now.after(Duration::from_nanos(self.gap_ns));
            return;
        }
        let due = match self.probe {
            Probe::Rest => now >= self.probe_at,
            _ => now.nanos_since(self.window_at) >= self.window_ns,
        };
        if !due {
            return;
        }
        let response_ns = self.response_us * 1e3;
        let measure = ((4.0 * response_ns) as u64).clamp(5_000_000, 100_000_000);
        let settle = ((2.0 * response_ns) as u64).clamp(2_000_000, 50_000_000);
        let cpu = cpu();
        let (next, length) = match self.probe {
            Probe::Rest => (Probe::First, measure),
            Probe::First => (Probe::SettleOther, settle),
            Probe::SettleOther => (Probe::Other, measure),
            Probe::Other => (Probe::SettleBack, settle),
            Probe::SettleBack => (Probe::Last, measure),
            Probe::Last => (Probe::Rest, 0),
        };
        match self.probe {
            Probe::First => self.windows[0] = self.window(now, done, cpu),
            Probe::Other => self.windows[1] = self.window(now, done, cpu),
            Probe::Last => {
                self.windows[2] = self.window(now, done, cpu);
                self.judge(now);
            }
            _ => {}
        }
        self.probe = next;
        (self.window_at, self.window_ns, self.window_done, self.window_cpu) = (now, length, done, cpu);
    }

    fn window(&self, now: Time, done: u64, cpu: u64) -> Window {
        let ended = ((done - self.window_done) as f64).max(1.0);
        Window {
            log_rate: (ended / now.nanos_since(self.window_at).max(1) as f64).ln(),
            log_cpu: ((cpu - self.window_cpu).max(1) as f64 / ended).ln(),
        }
    }

    /// After A B A: does napping gain? The estimate moves slowly, the setting flips only when it is decisive.
    fn judge(&mut self, now: Time) {
        let [a, b, c] = self.windows;
        let sign = if self.on { 1.0 } else { -1.0 }; // of napping against not, whichever of them was the current setting
        let rate = sign * ((a.log_rate + c.log_rate) / 2.0 - b.log_rate);
        let cpu = sign * ((a.log_cpu + c.log_cpu) / 2.0 - b.log_cpu);
        let gain = rate - cpu * if cpu > 0.0 { PRICE_OF_CPU_WASTED } else { WORTH_OF_CPU_SAVED };
        self.gain += 0.35 * (gain.clamp(-0.1, 0.1) - self.gain);
        let flip = if self.on { self.gain < -DECISIVE } else { self.gain > DECISIVE };
        if flip {
            self.on = !self.on;
            self.gap_ns = SHORTEST_GAP_NS;
        } else {
            let factor = if self.gain.abs() > 0.02 { 2.5 } else { 1.5 };
            self.gap_ns = ((self.gap_ns as f64 * factor) as u64).min(LONGEST_GAP_NS);
        }
        self.probe_at = now.after(Duration::from_nanos(self.gap_ns));
    }

    /// What it chose, for the result.
    pub(crate) fn report(&self) -> crate::stats::Batching {
        crate::stats::Batching {
            disabled: !self.enabled,
            on: self.enabled && self.on && self.nap_us > 0,
            nap_us: if self.on { self.nap_us } else { 0 },
            gain: self.gain,
            naps: self.naps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A closed-loop server whose rate depends on whether the client naps.
    fn run(in_flight: u32, rate_plain: f64, rate_nap: f64, seconds: f64) -> Batch {
        let mut batch = Batch::new(true, true, Time::ZERO);
        let (mut ns, mut done) = (0_u64, 0.0_f64);
        while (ns as f64) < seconds * 1e9 {
            let rate = if batch.nap(in_flight).is_zero() { rate_plain } else { rate_nap };
            ns += 100_000;
            done += rate * 1e-4;
            batch.after_turn(Time::from_nanos(ns), done as u64, in_flight, || ns / 2);
        }
        batch
    }

    #[test]
    fn naps_where_it_gains_and_not_where_it_loses() {
        assert!(run(64, 150_000.0, 170_000.0, 5.0).nap_us > 0);
        assert!(!run(64, 170_000.0, 150_000.0, 5.0).on);
    }

    #[test]
    fn begins_without_a_nap_where_connections_are_not_multiplexed_and_takes_it_up_if_it_gains() {
        let mut batch = Batch::new(true, false, Time::ZERO);
        let (mut ns, mut done) = (0_u64, 0.0_f64);
        while ns < 5_000_000_000 {
            let napping = !batch.nap(64).is_zero();
            assert!(!napping || ns > FIRST_PROBE_NS);
            ns += 100_000;
            done += if napping { 17.0 } else { 15.0 };
            batch.after_turn(Time::from_nanos(ns), done as u64, 64, || ns / 2);
        }
        assert!(batch.on);
    }

    #[test]
    fn where_the_rate_is_the_same_cpu_decides() {
        let mut batch = Batch::new(true, true, Time::ZERO);
        let (mut ns, mut done, mut cpu) = (0_u64, 0_u64, 0_u64);
        while ns < 5_000_000_000 {
            cpu += if batch.nap(64).is_zero() { 50_000 } else { 60_000 };
            ns += 100_000;
            done += 15;
            batch.after_turn(Time::from_nanos(ns), done, 64, || cpu);
        }
        assert!(!batch.on);
    }

    #[test]
    fn never_naps_with_few_requests_in_flight_or_a_fast_server() {
        assert_eq!(run(4, 50_000.0, 90_000.0, 1.0).naps, 0);
        assert_eq!(run(16, 170_000.0, 170_000.0, 1.0).naps, 0, "a tenth of 94 us is below the shortest nap");
    }

    #[test]
    fn the_nap_is_bounded_however_slow_the_server() {
        let batch = run(64, 100.0, 100.0, 3.0);
        assert!(batch.nap_us <= LONGEST_NAP_US as u32);
    }

    #[test]
    fn disabled_means_never() {
        let mut batch = Batch::new(false, true, Time::ZERO);
        for i in 1..10_000_u64 {
            batch.after_turn(Time::from_nanos(i * 1_000_000), i * 100, 64, || 0);
            assert!(batch.nap(64).is_zero());
        }
        assert!(batch.report().disabled);
    }
}
