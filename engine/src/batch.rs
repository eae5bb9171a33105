//! How long a core in the closed model waits for more completions before it handles the first.
//!
//! A client that answers each small write at once makes both sides do more system calls: throughput falls while CPU
//! rises. So a core may nap: wait until all its connections have something, or for a part of the response time,
//! whichever is first. Whether that pays, and how long a nap pays best, depends on the server, so it is measured: windows
//! with the present nap and with another alternate (A B A), now and then, and the core keeps what gains. See
//! `docs/decisions/005-batching.md`.
//!
//! Pure: times, counts and CPU time come in, a nap comes out. Not for the open model, which never waits past a due time.

use proto::Time;
use std::time::Duration;

/// The naps to choose from: none, or the response time divided by this...
const PARTS: [f64; 5] = [f64::INFINITY, 10.0, 5.0, 3.0, 5.0];
const NO_NAP: usize = 0;
/// What is begun with where a nap is begun with.
const LONGEST: usize = 3;
/// ...but never longer than this: a core must not sleep through what others send...
const LONGEST_NAP_US: f64 = 200.0;
/// ...except the last, for large bodies: until about so many requests have ended, which shorter ones would not gather...
const SLOW: usize = 4;
const WORTH_GATHERING: f64 = 16.0;
/// ...and at most so long. It is never begun with: where the server only waits it would show in the response times.
const LONGEST_SLOW_NAP_US: f64 = 1000.0;
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
/// A window of a probe lasts at least so long...
const SHORTEST_WINDOW_NS: u64 = 5_000_000;
/// ...and until so many requests have ended, because the rate of fewer says little...
const WINDOW_REQUESTS: f64 = 500.0;
/// ...but not longer than this for their sake.
const PATIENCE_NS: f64 = 50e6;
/// A nap that is worse than today's by so much (a log-ratio, as of gains) after a part of its window need not be looked at to the
/// end of it...
const PLAINLY_WORSE: f64 = -0.15;
/// ...but so long at least, as a part of the window.
const GLANCE: u64 = 4;
/// A log-ratio of rates beyond which the setting flips.
const DECISIVE: f64 = 0.012;
/// What a share of CPU saved by another nap is worth against the same share of rate: little, because CPU must not be
/// bought with throughput. Five per cent of CPU make up for one of rate.
const WORTH_OF_CPU_SAVED: f64 = 0.2;
/// What a share of CPU wasted by it costs: where the rate is the same either way, CPU decides.
const PRICE_OF_CPU_WASTED: f64 = 0.3;
/// The same where the longer nap is the one that wastes CPU: as much. It brings throughput there by keeping the server's
/// CPU from sleeping, which is worth no more than it costs.
const PRICE_OF_CPU_NAPPED_AWAY: f64 = 1.0;
/// Probes of a nap that are remembered. Their median decides: a window in which the machine was busy with something else
/// is wrong by more than what is looked for.
const REMEMBERED: usize = 5;
/// With fewer probes nothing is decided.
const FEWEST_PROBES: usize = 2;

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

/// What the last probes of a nap found it to gain over the present one, as log-ratios.
#[derive(Clone, Copy, Default)]
struct Gains {
    last: [f64; REMEMBERED],
    /// All there ever were.
    count: usize,
}

impl Gains {
    fn of(first: f64) -> Gains {
        let mut gains = Gains::default();
        gains.note(first);
        gains
    }

    fn note(&mut self, gain: f64) {
        self.last[self.count % REMEMBERED] = gain;
        self.count += 1;
    }

    /// The median; of two in the middle the one that claims less, and nothing where they contradict each other. Zero
    /// where too few are known.
    fn median(&self) -> f64 {
        let n = self.count.min(REMEMBERED);
        if n < FEWEST_PROBES {
            return 0.0;
        }
        let mut sorted = self.last;
        sorted[..n].sort_by(f64::total_cmp);
        let (low, high) = (sorted[(n - 1) / 2], sorted[n / 2]);
        if low > 0.0 {
            low
        } else if high < 0.0 {
            high
        } else {
            0.0
        }
    }

    /// What is known of it, be it by a single probe: for people.
    fn estimate(&self) -> f64 {
        if self.count == 1 { self.last[0] } else { self.median() }
    }

    /// The last probe says that it gains, and too few have said so.
    fn is_promising(&self) -> bool {
        let said = self.count > 0 && self.last[(self.count - 1) % REMEMBERED] > DECISIVE;
        said && self.count <= FEWEST_PROBES && self.median() <= DECISIVE
    }
}

/// The policy of one core.
pub(crate) struct Batch {
    enabled: bool,
    /// Which of `PARTS` it naps for...
    level: usize,
    /// ...what each of the others would gain over it...
    gains: [Gains; PARTS.len()],
    /// ...and which of them is or was probed last.
    other: usize,
    nap_us: u32,
    rate: f64,
    response_us: f64,
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
            level: if multiplexed { LONGEST } else { NO_NAP },
            gains: [if multiplexed { Gains::of(-0.03) } else { Gains::default() }; PARTS.len()],
            other: NO_NAP,
            nap_us: 0,
            rate: 0.0,
            response_us: 0.0,
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
        if in_flight < FEWEST_IN_FLIGHT {
            return 0;
        }
        let other = matches!(self.probe, Probe::SettleOther | Probe::Other);
        self.nap_of(if other { self.other } else { self.level })
    }

    fn nap_of(&self, level: usize) -> u32 {
        let longest = match level {
            SLOW => (WORTH_GATHERING / self.rate).clamp(LONGEST_NAP_US, LONGEST_SLOW_NAP_US),
            _ => LONGEST_NAP_US,
        };
        let nap = (self.response_us / PARTS[level]).min(longest);
        if nap < SHORTEST_NAP_US { 0 } else { nap as u32 }
    }

    /// The next level whose nap is another than today's (the bounds of a nap make some of them one): in turn, but one that
    /// seems to gain is looked at again first.
    fn next_other(&self) -> Option<usize> {
        let first = usize::from(!self.gains[self.other].is_promising());
        (first..=PARTS.len())
            .map(|i| (self.other + i) % PARTS.len())
            .find(|&level| (0..level).chain([self.level]).all(|l| self.nap_of(level) != self.nap_of(l)))
    }

    fn advance_probe(&mut self, now: Time, done: u64, in_flight: u32, cpu: impl Fn() -> u64) {
        if in_flight < FEWEST_IN_FLIGHT || self.nap_of(LONGEST) == 0 {
            self.probe = Probe::Rest;
            self.probe_at = now.after(Duration::from_nanos(self.gap_ns));
            return;
        }
        let due = match self.probe {
            Probe::Rest => now >= self.probe_at,
            _ => now.nanos_since(self.window_at) >= self.window_ns,
        };
        if !due {
            if self.probe == Probe::Other && now.nanos_since(self.window_at) >= self.window_ns / GLANCE {
                self.glance(now, done, cpu());
            }
            return;
        }
        if self.probe == Probe::Rest {
            let Some(other) = self.next_other() else { return };
            self.other = other;
        }
        let response_ns = self.response_us * 1e3;
        let enough = (1e3 * WINDOW_REQUESTS / self.rate).min(PATIENCE_NS);
        let measure = ((4.0 * response_ns).max(enough) as u64).clamp(SHORTEST_WINDOW_NS, 100_000_000);
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

    /// Ends a probe whose other nap is plainly worse: to try it costs what it costs.
    fn glance(&mut self, now: Time, done: u64, cpu: u64) {
        (self.windows[1], self.windows[2]) = (self.window(now, done, cpu), self.windows[0]);
        if self.gain() < PLAINLY_WORSE {
            self.judge(now);
            self.probe = Probe::Rest;
        }
    }

    fn window(&self, now: Time, done: u64, cpu: u64) -> Window {
        let ended = ((done - self.window_done) as f64).max(1.0);
        Window {
            log_rate: (ended / now.nanos_since(self.window_at).max(1) as f64).ln(),
            log_cpu: ((cpu - self.window_cpu).max(1) as f64 / ended).ln(),
        }
    }

    /// After A B A: what the other nap gains.
    fn gain(&self) -> f64 {
        let [a, b, c] = self.windows;
        let rate = b.log_rate - (a.log_rate + c.log_rate) / 2.0;
        let cpu = b.log_cpu - (a.log_cpu + c.log_cpu) / 2.0;
        let longer = self.other > self.level;
        let worth = if longer == (cpu > 0.0) {
            PRICE_OF_CPU_NAPPED_AWAY
        } else if cpu > 0.0 {
            PRICE_OF_CPU_WASTED
        } else {
            WORTH_OF_CPU_SAVED
        };
        rate - cpu * worth
    }

    /// Does the other nap gain? The setting changes only when what several probes say is decisive.
    fn judge(&mut self, now: Time) {
        self.gains[self.other].note(self.gain());
        let gain = self.gains[self.other].median();
        if gain > DECISIVE {
            self.gains = [Gains::default(); PARTS.len()];
            self.gains[self.level] = Gains::of(-gain);
            self.level = self.other;
            self.gap_ns = SHORTEST_GAP_NS;
        } else {
            // Each of the others in turn: by 1.5, 2.5 or 16 a round.
            let factor = match self.gains[self.other].estimate() {
                gain if gain < PLAINLY_WORSE => 2.0,
                gain if gain < -0.02 => 1.36,
                _ => 1.15,
            };
            self.gap_ns = ((self.gap_ns as f64 * factor) as u64).min(LONGEST_GAP_NS);
        }
        self.probe_at = now.after(Duration::from_nanos(self.gap_ns));
    }

    /// What it chose, for the result.
    pub(crate) fn report(&self) -> crate::stats::Batching {
        crate::stats::Batching {
            disabled: !self.enabled,
            on: self.enabled && self.level != NO_NAP && self.nap_us > 0,
            nap_us: if self.level == NO_NAP { 0 } else { self.nap_us },
            gain: if self.level == NO_NAP {
                self.gains[NO_NAP + 1..].iter().map(Gains::estimate).fold(f64::MIN, f64::max)
            } else {
                -self.gains[NO_NAP].estimate()
            },
            naps: self.naps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A closed-loop server: requests a second and CPU a second by the length of the nap in us.
    fn run(multiplexed: bool, in_flight: u32, seconds: u64, server: impl Fn(u128) -> (f64, f64)) -> Batch {
        let mut batch = Batch::new(true, multiplexed, Time::ZERO);
        let (mut ns, mut done, mut cpu) = (0_u64, 0.0_f64, 0.0_f64);
        while ns < seconds * 1_000_000_000 {
            let nap = batch.nap(in_flight);
            assert!(multiplexed || nap.is_zero() || ns > FIRST_PROBE_NS);
            let (rate, busy) = server(nap.as_micros());
            ns += 100_000;
            done += rate * 1e-4;
            cpu += busy * 1e5;
            batch.after_turn(Time::from_nanos(ns), done as u64, in_flight, || cpu as u64);
        }
        batch
    }

    #[test]
    fn naps_where_it_gains_and_not_where_it_loses() {
        for multiplexed in [false, true] {
            let gains = run(multiplexed, 64, 5, |nap| (if nap == 0 { 150e3 } else { 170e3 }, 0.5));
            assert!(gains.level != NO_NAP && gains.nap_us > 0);
            let loses = run(multiplexed, 64, 5, |nap| (if nap == 0 { 170e3 } else { 150e3 }, 0.5));
            assert_eq!((loses.level, loses.nap_us), (NO_NAP, 0));
        }
    }

    #[test]
    fn finds_the_length_that_gains_most() {
        // 320 us of response time: 32, 64 and 107 us.
        for (best, level) in [(32.0, 1), (64.0, 2), (107.0, 3)] {
            for multiplexed in [false, true] {
                let batch = run(multiplexed, 64, 5, |nap| (200e3 - 1e3 * (nap as f64 - best).abs(), 0.5));
                assert_eq!(batch.level, level, "{multiplexed}");
            }
        }
    }

    #[test]
    fn where_the_rate_is_the_same_cpu_decides() {
        assert_eq!(run(true, 64, 5, |nap| (150e3, if nap == 0 { 0.5 } else { 0.6 })).level, NO_NAP);
        assert_eq!(run(false, 64, 5, |nap| (150e3, 0.8 - nap as f64 * 2e-3)).level, LONGEST);
    }

    #[test]
    fn cpu_is_not_bought_with_throughput() {
        // Four per cent of rate for ten of CPU.
        let batch = run(false, 64, 5, |nap| if nap == 0 { (150e3, 0.5) } else { (144e3, 0.43) });
        assert_eq!(batch.level, NO_NAP);
    }

    #[test]
    fn throughput_is_not_bought_with_as_much_cpu() {
        // Five per cent of rate for nine of CPU a request.
        let batch = run(false, 64, 5, |nap| if nap == 0 { (150e3, 0.5) } else { (158e3, 0.575) });
        assert_eq!(batch.level, NO_NAP);
        let batch = run(false, 64, 5, |nap| if nap == 0 { (150e3, 0.5) } else { (165e3, 0.575) });
        assert_ne!(batch.level, NO_NAP, "ten for five");
    }

    #[test]
    fn a_nap_that_is_plainly_worse_is_not_tried_for_long() {
        // 15,000 requests a second: a window of 33 ms. Ten per cent more CPU are looked at to the end, half as much again is not.
        let share = |more: f64| {
            let mut batch = Batch::new(true, false, Time::ZERO);
            let (mut ns, mut done, mut cpu, mut napped) = (0_u64, 0.0_f64, 0.0_f64, 0);
            while ns < 2_000_000_000 {
                let naps = !batch.nap(64).is_zero();
                napped += u32::from(naps);
                ns += 100_000;
                done += 1.5;
                cpu += if naps { 15e3 * more } else { 15e3 };
                batch.after_turn(Time::from_nanos(ns), done as u64, 64, || cpu as u64);
            }
            assert_eq!(batch.level, NO_NAP);
            f64::from(napped) / 20_000.0
        };
        let (worse, plainly) = (share(1.1), share(1.5));
        assert!(worse > 0.1 && plainly < worse / 2.0, "{worse} and {plainly} of the time");
    }

    #[test]
    fn one_window_disturbed_from_outside_changes_nothing() {
        for multiplexed in [true, false] {
            let mut batch = Batch::new(true, multiplexed, Time::ZERO);
            let before = batch.level;
            let (mut ns, mut done, mut probes, mut disturbed) = (0_u64, 0.0_f64, 0, false);
            while ns < 3_000_000_000 {
                // In the second probe the setting that is not the current one seems twice as good.
                let odd = probes == 1 && batch.probe == Probe::Other;
                let last = batch.probe == Probe::Last;
                disturbed |= odd;
                ns += 100_000;
                done += if odd { 30.0 } else { 15.0 };
                let ended = done as u64;
                batch.after_turn(Time::from_nanos(ns), ended, 64, || ended * 5_000);
                probes += u32::from(last && batch.probe == Probe::Rest);
                assert_eq!(batch.level, before);
            }
            assert!(disturbed && probes > 5);
        }
    }

    #[test]
    fn a_slow_server_is_given_time_to_answer_in_each_window() {
        // 10 000 requests/s: 5 ms would see 50 of them.
        let mut batch = Batch::new(true, false, Time::ZERO);
        let (mut ns, mut done, mut longest) = (0_u64, 0_u64, 0);
        while ns < 2_000_000_000 {
            ns += 100_000;
            done += 1;
            batch.after_turn(Time::from_nanos(ns), done, 16, || done * 60_000);
            longest = longest.max(batch.window_ns);
        }
        assert!((40_000_000..=50_000_000).contains(&longest), "{longest}");
    }

    #[test]
    fn of_probes_that_contradict_each_other_nothing_is_believed() {
        let mut gains = Gains::of(0.5);
        assert_eq!(gains.median(), 0.0, "one is none");
        assert!(gains.is_promising());
        gains.note(-0.5);
        assert_eq!(gains.median(), 0.0);
        assert!(!gains.is_promising());
        gains.note(0.02);
        assert_eq!(gains.median(), 0.02);
        gains.note(0.03);
        assert_eq!(gains.median(), 0.02, "of two in the middle the one that claims less");
        (0..REMEMBERED).for_each(|_| gains.note(-0.04));
        assert_eq!(gains.median(), -0.04, "what is long ago is forgotten");
    }

    #[test]
    fn never_naps_with_few_requests_in_flight_or_a_fast_server() {
        assert_eq!(run(true, 4, 1, |nap| (if nap == 0 { 50e3 } else { 90e3 }, 0.5)).naps, 0);
        assert_eq!(run(true, 8, 1, |_| (170e3, 0.5)).naps, 0, "a third of 47 us is below the shortest nap");
    }

    #[test]
    fn the_nap_is_bounded_however_slow_the_server() {
        let batch = run(true, 64, 3, |_| (100.0, 0.5));
        assert!(batch.nap_us <= LONGEST_NAP_US as u32);
        // Where a long nap is seen to gain, too: with 1000 requests a second, and with 32,000.
        for (rate, longest) in [(1000.0, 1000..=1000), (32e3, 450..=500)] {
            let batch = run(true, 640, 5, |nap| (rate * (1.0 + nap as f64 / 1e4), 0.5));
            assert_eq!(batch.level, SLOW);
            assert!(longest.contains(&batch.nap_of(SLOW)), "{}", batch.nap_of(SLOW));
        }
    }

    #[test]
    fn a_server_that_only_waits_is_not_made_to_look_slower() {
        // 5 ms of its own, which a nap makes longer by half of itself.
        let batch = run(true, 64, 5, |nap| (64.0 / (5e-3 + nap as f64 * 0.5e-6), 0.5));
        assert_eq!(batch.level, NO_NAP);
    }

    #[test]
    fn naps_that_are_one_for_their_bounds_are_not_held_against_each_other() {
        // 64 ms of response time: every nap is 200 us, and the only question is whether.
        let batch = run(true, 64, 5, |nap| (if nap == 0 { 1000.0 } else { 900.0 }, 0.1));
        assert_eq!(batch.level, NO_NAP);
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
