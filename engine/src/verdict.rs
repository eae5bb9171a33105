//! Whether the load generator itself distorted the figures: VALID, SUSPECT or INVALID, and why.
//!
//! A pure function of what the cores found out; `merge` calls it.

use crate::stats::{Cost, Figures, Pauses, PhaseFigures, QuicFigures, Verdict, VerdictLevel};
use proto::Kind;
use scenario::Plan;
use scenario::plan::{Load, Share, Stop};
use scenario::program::data::AtEnd;
use std::time::Duration;

/// A core that works more than this share of the time is late for what comes.
const BUSY: f64 = 0.9;
/// A core that waits for its CPU more than this share of the time shares it with other work.
const STOLEN: f64 = 0.05;
/// A core that waits for its CPU more than this share of the time makes another load than the one asked for.
const KEPT: f64 = 0.3;
/// Send lag (99th percentile) up to this is no matter, however short responses are.
const LAG: Duration = Duration::from_micros(100);
/// A client that was kept from running for more than this share of the time, in pauses, is told so where it was late.
const PAUSED: f64 = 0.002;
/// The same in the closed model, which does not show it by itself.
const STILL: f64 = 0.01;
/// A server that could not be reached for more than this share of the time is spoken of.
const DOWN: f64 = 0.01;
/// Arrivals that found every user busy, as a share: beyond it the limit of users shaped the load.
const CROWDED: f64 = 0.01;
/// Arrivals dropped, as a share: beyond it the load was not the one asked for.
const LOST: f64 = 0.01;
/// How far the requests in flight by Little's law may be from the users there were.
const LITTLE: f64 = 0.1;
/// Little's law holds on average over a time that is long against a response.
const LONG: f64 = 20.0;

/// A run shorter than this says nothing about how busy a core is.
const SHORT: Duration = Duration::from_millis(100);

/// All that is judged.
pub(crate) struct Evidence<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) cores: &'a [CoreFacts<'a>],
    /// Cores that ended early, and why.
    pub(crate) broken: &'a [String],
    pub(crate) totals: &'a Figures,
    pub(crate) phases: &'a [PhaseFigures],
    /// From the start of the first phase to the end of the last.
    pub(crate) wall: Duration,
    pub(crate) quic: &'a QuicFigures,
    /// Why iterations failed, and how many.
    pub(crate) failures: &'a [(String, u64)],
    pub(crate) interrupted: bool,
}

/// What one core has to say about itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct CoreFacts<'a> {
    /// From the start of the first phase to the end of the last.
    pub(crate) cost: Cost,
    /// CPU time spent spinning: not work.
    pub(crate) spun: Duration,
    pub(crate) pauses: Pauses,
    /// How long it had no connection and could open none.
    pub(crate) down: Duration,
    pub(crate) overflows: u64,
    pub(crate) log_waits: u64,
    /// The CPU that it should have been kept on and was not.
    pub(crate) unpinned: Option<usize>,
    pub(crate) gave_up: Option<&'a str>,
}

impl CoreFacts<'_> {
    /// How much of the time it worked.
    fn busy(&self, wall: Duration) -> f64 {
        share((self.cost.user + self.cost.system).saturating_sub(self.spun), wall)
    }

    /// How much of the time it waited for its CPU.
    fn kept(&self, wall: Duration) -> f64 {
        share(self.cost.waited, wall)
    }
}

/// 0 where the run was too short to tell.
fn share(part: Duration, wall: Duration) -> f64 {
    if wall < SHORT { 0.0 } else { part.as_secs_f64() / wall.as_secs_f64() }
}

/// Judges a run.
pub(crate) fn judge(e: &Evidence<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    ended_early(e, &mut verdict);
    if is_open(e.plan) {
        core_load(e, &mut verdict);
        send_lag(e, &mut verdict);
        arrivals(e, &mut verdict);
    } else {
        little(e, &mut verdict);
        stood_still(e, &mut verdict);
        out_of_reach(e, &mut verdict);
    }
    verdict.client_limited |=
        !e.broken.is_empty() || e.cores.iter().any(|c| c.busy(e.wall) > BUSY || c.kept(e.wall) > KEPT);
    datagrams(e, &mut verdict);
    if e.totals.books.started > 0 && e.totals.books.succeeded == 0 {
        say(&mut verdict, VerdictLevel::Invalid, nothing_succeeded(e.totals));
    }
    if let Some(why) = nothing_begun(e) {
        say(&mut verdict, VerdictLevel::Invalid, why);
    }
    let handshakes = &e.totals.handshakes;
    if handshakes.failed + handshakes.abandoned > 0 && handshakes.opened == 0 {
        say(&mut verdict, VerdictLevel::Invalid, "no connection was opened in a phase of handshakes".into());
    }
    verdict
}

/// With the most frequent cause: the text in h2load's words has no place for it.
fn nothing_succeeded(totals: &Figures) -> String {
    let Some(error) = totals.errors.iter().max_by_key(|error| error.count) else {
        return "no request succeeded".into();
    };
    let detail = match totals.status.iter().max_by_key(|(_, count)| **count) {
        Some((code, _)) if error.kind == Kind::Status => format!("{}: {code}", error.detail),
        _ => error.detail.clone(),
    };
    let (count, failed) = (error.count, totals.books.failed);
    format!("no request succeeded; {count} of {failed} failed for this reason: {detail}")
}

/// Why nothing was begun of what was to be measured. An interrupt is a reason of its own.
fn nothing_begun(e: &Evidence<'_>) -> Option<String> {
    let (plan, totals) = (e.plan, e.totals);
    let makes_requests = plan.phases.iter().any(|p| p.record && p.load.makes_requests());
    let begun = if makes_requests { totals.books.started } else { totals.handshakes.begun() };
    if begun > 0 || e.interrupted {
        return None;
    }
    let what = if makes_requests { "request" } else { "connection" };
    let place = if plan.phases.iter().all(|p| p.record) { "" } else { " in a recorded phase" };
    let used_up: Vec<&str> = plan
        .script
        .data
        .iter()
        .filter(|source| source.at_end == AtEnd::Stop)
        .map(|source| source.name.as_str())
        .collect();
    let (ended, cut) = (totals.iterations, totals.iterations_cut);
    let why = match e.failures.iter().max_by_key(|(_, count)| *count) {
        Some((reason, count)) => format!("; {count} iterations failed for this reason: {reason}"),
        None if ended > 0 => format!("; {ended} iterations went by without one: no condition led to it"),
        None if cut > 0 => format!("; {cut} iterations were cut before they came to one"),
        None if totals.dropped > 0 => format!("; {} arrivals were dropped", totals.dropped),
        None if totals.without_data > 0 => {
            format!("; {} arrivals found no row left of {}", totals.without_data, used_up.join(" or "))
        }
        None if is_open(plan) && totals.arrived == 0 => "; no arrival was due".to_owned(),
        None if !used_up.is_empty() => format!("; the rows of {} may be used up", used_up.join(", ")),
        None => String::new(),
    };
    Some(format!("no {what} was begun{place}{why}"))
}

fn say(verdict: &mut Verdict, level: VerdictLevel, reason: String) {
    verdict.level = verdict.level.max(level);
    // What cores have to say may be the same of each.
    if !verdict.reasons.contains(&reason) {
        verdict.reasons.push(reason);
    }
}

/// Whether a recorded phase follows a schedule.
fn is_open(plan: &Plan) -> bool {
    plan.phases.iter().any(|p| p.record && p.load.schedule().is_some())
}

/// What writes the request log failed before it had written all.
pub(crate) fn log_cut_short(verdict: &mut Verdict) {
    let reason = "the request log is not complete: what writes it panicked (the figures do not depend on it)";
    say(verdict, VerdictLevel::Suspect, reason.into());
}

fn ended_early(e: &Evidence<'_>, verdict: &mut Verdict) {
    for error in e.broken {
        let reason = format!("a core ended early and its requests are missing: {error}");
        say(verdict, VerdictLevel::Invalid, reason);
    }
    for (index, core) in e.cores.iter().enumerate() {
        if let Some(cpu) = core.unpinned {
            let reason = format!(
                "note: core {index} could not be kept on CPU {cpu}: it ran wherever the scheduler put it"
            );
            verdict.reasons.push(reason);
        }
        if let Some(reason) = core.gave_up {
            let reason = format!("the run ended before its time: {reason}");
            say(verdict, VerdictLevel::Invalid, reason);
        }
        if core.log_waits > 0 {
            let text = "the request log was written slower than requests ended: a core waited for it";
            say(verdict, VerdictLevel::Suspect, format!("{text} {} times", core.log_waits));
        }
        if core.overflows > 0 {
            let reason = format!("the completion queue overflowed {} times", core.overflows);
            say(verdict, VerdictLevel::Suspect, reason);
        }
    }
}

/// A core that is busy, or kept from its CPU, sends late and reads answers late. In the closed model being busy is the
/// purpose.
fn core_load(e: &Evidence<'_>, verdict: &mut Verdict) {
    for (index, core) in e.cores.iter().enumerate() {
        let (busy, kept) = (core.busy(e.wall), core.kept(e.wall));
        if busy > BUSY {
            let reason = format!(
                "core {index} was {:.0} % busy (spinning not counted): use more threads (-t) or a lower rate",
                busy * 100.0
            );
            say(verdict, VerdictLevel::Suspect, reason);
        }
        if kept > STOLEN {
            let reason = format!(
                "core {index} waited {:.0} % of the time for its CPU: other work runs there",
                kept * 100.0
            );
            say(verdict, VerdictLevel::Suspect, reason);
        }
    }
}

/// What the kernel threw away here was no loss of the network.
fn datagrams(e: &Evidence<'_>, verdict: &mut Verdict) {
    let quic = e.quic;
    if quic.drops > 0 {
        let reason = format!(
            "{} datagrams were dropped here because a receive buffer was full: raise it with sysctl -w \
             net.core.rmem_max=8388608, or use more threads (-t)",
            quic.drops
        );
        say(verdict, VerdictLevel::Suspect, reason);
    }
    if quic.unsent > 0 {
        let reason = format!("{} sends were refused by the kernel and had to be repeated", quic.unsent);
        say(verdict, VerdictLevel::Suspect, reason);
    }
}

fn send_lag(e: &Evidence<'_>, verdict: &mut Verdict) {
    let lag = &e.totals.send_lag;
    let response = match e.totals.response_time.count() {
        0 => &e.totals.handshakes.opening_time,
        _ => &e.totals.response_time,
    };
    let bound = (LAG.as_nanos() as u64).max(response.quantile_ns(0.5) / 10);
    let (p50, p99) = (lag.quantile_ns(0.5), lag.quantile_ns(0.99));
    if lag.count() == 0 || p99 <= bound {
        return;
    }
    // Where most requests were late the schedule was not kept at all.
    let level = if p50 > bound { VerdictLevel::Invalid } else { VerdictLevel::Suspect };
    // Where arrivals waited for a user, it was the server that kept the users.
    let kept = e.totals.waited as f64 > e.totals.arrived as f64 * CROWDED;
    verdict.client_limited |= p50 > bound && !kept;
    let us = |ns: u64| ns as f64 / 1e3;
    let mut reason = format!(
        "requests were sent late: send lag p50 {:.0} us, p99 {:.0} us, where at most {:.0} us would not matter",
        us(p50),
        us(p99),
        us(bound)
    );
    let pauses = pauses(e);
    if pauses.total > e.wall.mul_f64(PAUSED) {
        reason += &format!(
            "; {} pauses of this client, {:.0} ms in all, the longest {:.1} ms, in which other work or the hypervisor had \
             its CPU",
            pauses.count,
            pauses.total.as_secs_f64() * 1e3,
            pauses.longest.as_secs_f64() * 1e3
        );
    }
    say(verdict, level, reason);
}

fn arrivals(e: &Evidence<'_>, verdict: &mut Verdict) {
    let slow = "the server is too slow for this rate, or users_max too low";
    let pauses = pauses(e);
    let why = if let Some(down) = down(e) {
        format!("no connection could be opened for {:.1} s", down.as_secs_f64())
    } else if pauses.total > e.wall.mul_f64(PAUSED) {
        format!("this client stood still for {:.0} ms, or {slow}", pauses.total.as_secs_f64() * 1e3)
    } else {
        slow.to_owned()
    };
    crowded(e, true, &format!("found every user busy: {why}"), verdict);
    let places = "of handshakes found as many connections as there may be at a time: the server is too slow for this rate, \
                  `connections: max` too low or `hold` too long";
    crowded(e, false, places, verdict);
    let (arrived, dropped) = (e.totals.arrived, e.totals.dropped);
    let share = |n: u64| n as f64 / arrived.max(1) as f64;
    if dropped > 0 {
        let level = if share(dropped) > LOST { VerdictLevel::Invalid } else { VerdictLevel::Suspect };
        let reason =
            format!("{dropped} of {arrived} arrivals ({:.2} %) were dropped", share(dropped) * 100.0);
        say(verdict, level, reason);
    }
}

/// Arrivals that had to wait, of requests or of handshakes.
fn crowded(e: &Evidence<'_>, requests: bool, why: &str, verdict: &mut Verdict) {
    let phases = e.phases.iter().zip(&e.plan.phases);
    let of = phases.filter(|(_, plan)| plan.record && plan.load.makes_requests() == requests);
    let (arrived, waited) =
        of.fold((0, 0), |(a, w), (phase, _)| (a + phase.figures.arrived, w + phase.figures.waited));
    let share = waited as f64 / arrived.max(1) as f64;
    if share > CROWDED {
        let reason = format!("{waited} of {arrived} arrivals ({:.1} %) {why}", share * 100.0);
        say(verdict, VerdictLevel::Suspect, reason);
    }
}

/// Requests in flight = rate x mean response time, and in a closed loop every user that does not pause has one. What is
/// measured must agree with itself.
fn little(e: &Evidence<'_>, verdict: &mut Verdict) {
    let recorded = |index: &usize| e.plan.phases[*index].record;
    // Users that pause have none meanwhile, others may have several.
    let mut programs = e.plan.scenarios.iter().filter_map(|scenario| scenario.program.as_ref());
    if !programs.all(|program| program.always_in_one_request()) {
        return;
    }
    // Each user may begin and end a phase with a request that counts whole in one and happened in two.
    let max = |p: &PhaseFigures| p.figures.response_time.max_ns().max(p.figures.failed_time.max_ns());
    let longest = e.phases.iter().map(max).max().unwrap_or(0);
    for (index, phase) in e.phases.iter().enumerate().filter(|(i, _)| recorded(i)) {
        let plan = &e.plan.phases[index];
        let figures = &phase.figures;
        let ended = figures.books.ended();
        let sum = figures.response_time.mean_ns() * figures.response_time.count() as f64
            + figures.failed_time.mean_ns() * figures.failed_time.count() as f64
            + figures.abandoned_time.as_nanos() as f64;
        let (elapsed, mean) = (phase.elapsed.as_nanos() as f64, sum / ended.max(1) as f64);
        if plan.load != Load::Closed || ended < 1000 || elapsed < LONG * mean {
            continue;
        }
        let (in_flight, users) = (sum / elapsed, f64::from(plan.users.get()));
        if (in_flight / users - 1.0).abs() <= LITTLE + longest as f64 / elapsed {
            continue;
        }
        let connections = &e.plan.connections;
        let before = e.phases[..index].iter().map(|p| p.elapsed).sum::<Duration>();
        if in_flight < users && connections.share == Share::PerUser && before < connections.ramp_up {
            continue; // users come with their connections
        }
        let counts = !matches!(plan.stop, Stop::After(_));
        if counts && in_flight < users {
            verdict.reasons.push(format!(
                "note: on average {in_flight:.1} of {users} users were busy in phase {}: a short count run begins and ends \
                 with idle users, and its rate is below what the server can do; measure over a time instead",
                phase.name
            ));
        } else {
            let reason = format!(
                "by Little's law {in_flight:.1} requests were in flight in phase {}, but there were {users} users: rate and \
                 response time do not belong together",
                phase.name
            );
            say(verdict, VerdictLevel::Suspect, reason);
        }
    }
}

/// Responses that came while nobody was there to take them are as late as we were.
fn stood_still(e: &Evidence<'_>, verdict: &mut Verdict) {
    let pauses = pauses(e);
    if pauses.total > e.wall.mul_f64(STILL) {
        let reason = format!(
            "this client stood still {} times, {:.0} ms in all, the longest {:.0} ms: it was stopped, or other work or the \
             hypervisor had its CPU, and responses seem to have taken as long",
            pauses.count,
            pauses.total.as_secs_f64() * 1e3,
            pauses.longest.as_secs_f64() * 1e3
        );
        say(verdict, VerdictLevel::Suspect, reason);
    }
}

/// In the closed model nobody asks a server that is not there: its failures are few however long that lasts.
fn out_of_reach(e: &Evidence<'_>, verdict: &mut Verdict) {
    if let Some(down) = down(e) {
        verdict.reasons.push(format!(
            "note: for {:.1} of {:.1} s no connection could be opened, and users waited for one: few requests could fail \
             meanwhile, so the error rate does not show how long it lasted (that of an open model does)",
            down.as_secs_f64(),
            e.wall.as_secs_f64()
        ));
    }
}

/// How long a core had no connection and could open none, if that matters.
fn down(e: &Evidence<'_>) -> Option<Duration> {
    e.cores.iter().map(|core| core.down).max().filter(|down| *down > e.wall.mul_f64(DOWN))
}

fn pauses(e: &Evidence<'_>) -> Pauses {
    let mut pauses = Pauses::default();
    e.cores.iter().for_each(|core| pauses.merge(core.pauses));
    pauses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::ErrorCount;
    use proto::Fault;
    use scenario::plan::{Arrivals, Backlog, Curve, Handshakes, Phase, Spread};
    use std::num::{NonZeroU32, NonZeroU64};

    const S: Duration = Duration::from_secs(1);

    /// A plan of one phase of 10 seconds.
    fn plan(load: Load, stop: Stop) -> Plan {
        let text = "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ get: / ] } }\nphases: [ { users: 10, for: 10s } ]\n";
        let mut plan = scenario::parse(text, "", std::path::Path::new(""), &Default::default()).unwrap();
        let users = NonZeroU32::new(10).unwrap();
        plan.phases = vec![Phase {
            name: "main".into(),
            users,
            load,
            stop,
            record: true,
            overrides: Default::default(),
        }];
        plan
    }

    fn open() -> Plan {
        let backlog = Backlog { time: None, number: 10 };
        let arrivals = Arrivals { curve: Curve::Constant(1000.0), spread: Spread::Even, backlog };
        plan(Load::Open(arrivals), Stop::After(10 * S))
    }

    /// A good run: 10,000 responses of 10 ms, sent with this lag (ns).
    fn figures(lag: impl Fn(u64) -> u64) -> Figures {
        let mut f = Figures { arrived: 10_000, ..Figures::default() };
        (f.books.started, f.books.succeeded) = (10_000, 10_000);
        for i in 0..10_000 {
            f.response_time.record(10_000_000);
            f.send_lag.record(lag(i));
        }
        f
    }

    fn judged(plan: &Plan, core: CoreFacts<'_>, totals: &Figures) -> Verdict {
        judged_with(plan, core, totals, &QuicFigures::default())
    }

    fn judged_with(plan: &Plan, core: CoreFacts<'_>, totals: &Figures, quic: &QuicFigures) -> Verdict {
        let phase =
            PhaseFigures { name: "main".into(), record: true, elapsed: 10 * S, figures: totals.clone() };
        judge(&Evidence {
            plan,
            cores: &[core],
            broken: &[],
            totals,
            wall: phase.elapsed,
            phases: &[phase],
            quic,
            failures: &[],
            interrupted: false,
        })
    }

    fn busy(cpu: Duration, spun: Duration, waited: Duration) -> CoreFacts<'static> {
        CoreFacts { cost: Cost { user: cpu, waited, ..Cost::default() }, spun, ..CoreFacts::default() }
    }

    fn expect(verdict: &Verdict, level: VerdictLevel, reason: &str) {
        assert_eq!(verdict.level, level, "{verdict:?}");
        let named = verdict.reasons.iter().any(|r| r.contains(reason));
        assert!(named || (reason.is_empty() && verdict.reasons.is_empty()), "{verdict:?}");
    }

    #[test]
    fn an_idle_client_is_valid_and_spinning_is_no_work() {
        let good = figures(|_| 5_000);
        expect(&judged(&open(), busy(S, S / 2, S / 10), &good), VerdictLevel::Valid, "");
        expect(&judged(&open(), busy(10 * S, 9 * S, S / 10), &good), VerdictLevel::Valid, "");
    }

    #[test]
    fn a_core_that_was_not_pinned_is_noted_and_distorts_nothing_by_itself() {
        let core = CoreFacts { unpinned: Some(7), ..busy(S, S / 2, S / 10) };
        for plan in [open(), plan(Load::Closed, Stop::Iterations(NonZeroU64::MIN))] {
            let verdict = judged(&plan, core, &figures(|_| 5_000));
            assert!(
                verdict.reasons.iter().any(|r| r.starts_with("note: core 0") && r.contains("CPU 7")),
                "{verdict:?}"
            );
        }
        expect(&judged(&open(), core, &figures(|_| 5_000)), VerdictLevel::Valid, "CPU 7");
    }

    #[test]
    fn a_client_that_was_the_bottleneck_says_so_by_the_right_reason() {
        let good = figures(|_| 5_000);
        let suspect = VerdictLevel::Suspect;
        expect(&judged(&open(), busy(95 * S / 10, S / 10, S / 10), &good), suspect, "94 % busy");
        expect(&judged(&open(), busy(S, S / 2, 2 * S), &good), suspect, "20 % of the time for its CPU");
        // One in fifty late, by more than a tenth of the response time.
        let late = figures(|i| if i % 50 == 0 { 2_000_000 } else { 5_000 });
        expect(&judged(&open(), busy(S, S / 2, S / 10), &late), suspect, "p99 2000 us");
        let mut paused = busy(S, S / 2, S / 10);
        paused.pauses.note(S / 8);
        paused.pauses.note(S / 16);
        let pauses = "2 pauses of this client, 188 ms in all, the longest 125.0 ms";
        expect(&judged(&open(), paused, &late), suspect, pauses);
        expect(&judged(&open(), paused, &good), VerdictLevel::Valid, "");
        // As late as would not matter.
        let late = figures(|i| if i % 50 == 0 { 900_000 } else { 5_000 });
        expect(&judged(&open(), busy(S, S / 2, S / 10), &late), VerdictLevel::Valid, "");
        // Most of them late: the schedule was not kept.
        let late = figures(|_| 2_000_000);
        expect(&judged(&open(), busy(S, S / 2, S / 10), &late), VerdictLevel::Invalid, "sent late");
    }

    /// In any model: what was thrown away here is not the network's loss.
    #[test]
    fn datagrams_that_this_machine_dropped_are_told() {
        let (idle, good) = (busy(S, S / 2, S / 10), figures(|_| 5_000));
        for (quic, reason) in [
            (QuicFigures { drops: 7, ..QuicFigures::default() }, "7 datagrams were dropped here"),
            (QuicFigures { unsent: 3, ..QuicFigures::default() }, "3 sends were refused by the kernel"),
        ] {
            expect(&judged_with(&open(), idle, &good, &quic), VerdictLevel::Suspect, reason);
        }
    }

    #[test]
    fn who_was_the_bottleneck() {
        let (idle, full) = (busy(S, S / 2, S / 10), busy(95 * S / 10, S / 10, S / 10));
        let good = figures(|_| 5_000);
        assert!(!judged(&open(), idle, &good).client_limited);
        assert!(judged(&open(), full, &good).client_limited);
        let late = figures(|_| 2_000_000);
        assert!(judged(&open(), idle, &late).client_limited);
        let kept = Figures { waited: 9_000, ..late };
        assert!(!judged(&open(), idle, &kept).client_limited, "the server kept the users");
        assert!(judged(&open(), busy(S, S / 2, 5 * S), &good).client_limited, "others had its CPU");
        let closed = plan(Load::Closed, Stop::After(10 * S));
        assert!(judged(&closed, full, &good).client_limited && !judged(&closed, idle, &good).client_limited);
    }

    #[test]
    fn arrivals_that_waited_or_were_dropped_are_told() {
        let idle = busy(S, S / 2, S / 10);
        let waited = Figures { waited: 200, ..figures(|_| 5_000) };
        expect(&judged(&open(), idle, &waited), VerdictLevel::Suspect, "busy: the server is too slow");
        // Whose fault it was.
        let mut stopped = idle;
        stopped.pauses.note(S);
        let reason = "busy: this client stood still for 1000 ms, or the server is too slow";
        expect(&judged(&open(), stopped, &waited), VerdictLevel::Suspect, reason);
        let gone = CoreFacts { down: 2 * S, ..idle };
        expect(
            &judged(&open(), gone, &waited),
            VerdictLevel::Suspect,
            "busy: no connection could be opened for 2.0 s",
        );
        let Load::Open(arrivals) = open().phases[0].load.clone() else { unreachable!() };
        let handshakes = Load::Handshakes(Handshakes { arrivals, hold: S });
        let mut opened = waited.clone();
        opened.handshakes.opened = 10_000;
        let verdict = judged(&plan(handshakes, Stop::After(10 * S)), idle, &opened);
        expect(&verdict, VerdictLevel::Suspect, "`connections: max` too low or `hold` too long");
        assert!(!verdict.reasons.iter().any(|r| r.contains("users_max")), "{verdict:?}");
        let dropped = Figures { dropped: 5, ..figures(|_| 5_000) };
        expect(&judged(&open(), idle, &dropped), VerdictLevel::Suspect, "5 of 10000 arrivals");
        let dropped = Figures { dropped: 500, ..figures(|_| 5_000) };
        expect(&judged(&open(), idle, &dropped), VerdictLevel::Invalid, "500 of 10000 arrivals");
    }

    /// 10 users, 10 s, 10,000 responses: 10 ms each, or the figures do not belong together.
    #[test]
    fn a_closed_loop_must_agree_with_littles_law() {
        let timed = plan(Load::Closed, Stop::After(10 * S));
        let full = busy(10 * S, Duration::ZERO, 3 * S); // being busy is the purpose here
        let of = |ns: u64| {
            let mut f = Figures::default();
            (f.books.started, f.books.succeeded) = (10_000, 10_000);
            (0..10_000).for_each(|_| f.response_time.record(ns));
            f
        };
        expect(&judged(&timed, full, &of(10_000_000)), VerdictLevel::Valid, "");
        expect(&judged(&timed, full, &of(9_500_000)), VerdictLevel::Valid, "");
        expect(&judged(&timed, full, &of(5_000_000)), VerdictLevel::Suspect, "Little's law 5.0 requests");
        expect(&judged(&timed, full, &of(15_000_000)), VerdictLevel::Suspect, "Little's law 15.0 requests");
        // A server that falls silent before the end leaves requests without a response time.
        let mut silent = of(5_000_000);
        (silent.books.started, silent.books.abandoned) = (10_010, 10);
        silent.abandoned_time = 50 * S;
        expect(&judged(&timed, full, &silent), VerdictLevel::Valid, "");
        // Requests may go on from one phase into the next, and count in the one that they began in.
        let mut crossing = of(10_000_000);
        (0..10).for_each(|_| crossing.failed_time.record(3 * S.as_nanos() as u64));
        (crossing.books.started, crossing.books.failed) = (10_010, 10);
        expect(&judged(&timed, full, &crossing), VerdictLevel::Valid, "");
        // Users that pause are in no request meanwhile; those of several at once are in more than one.
        for steps in ["get: /, think: 3ms", "parallel: [ get: /a, get: /b ]"] {
            let text = format!(
                "version: 1\ntarget: builtin\nscenarios: {{ s: {{ steps: [ {steps} ] }} }}\nphases: [ {{ users: 10, for: 10s }} ]\n"
            );
            let pausing = scenario::parse(&text, "", std::path::Path::new(""), &Default::default()).unwrap();
            expect(&judged(&pausing, full, &of(5_000_000)), VerdictLevel::Valid, "");
            expect(&judged(&pausing, full, &of(15_000_000)), VerdictLevel::Valid, "");
        }
        let mut two = timed.clone();
        two.phases.push(timed.phases[0].clone());
        let phase = |figures| PhaseFigures { name: "main".into(), record: true, elapsed: 10 * S, figures };
        let quic = QuicFigures::default();
        let phases = [phase(crossing), phase(of(7_000_000))];
        let (totals, wall) = (&phases[0].figures, 20 * S);
        let evidence = Evidence {
            plan: &two,
            cores: &[full],
            broken: &[],
            totals,
            phases: &phases,
            wall,
            quic: &quic,
            failures: &[],
            interrupted: false,
        };
        expect(&judge(&evidence), VerdictLevel::Valid, "");
        // What was measured while the client stood still says nothing of the server.
        let mut still = full;
        still.pauses.note(S / 4);
        let reason = "stood still 1 times, 250 ms in all, the longest 250 ms";
        expect(&judged(&timed, still, &of(10_000_000)), VerdictLevel::Suspect, reason);
        // Users that come one after the other with their connections are fewer on average, but never more.
        let mut ramped = timed.clone();
        (ramped.connections.share, ramped.connections.ramp_up) = (Share::PerUser, 9 * S);
        expect(&judged(&ramped, full, &of(5_000_000)), VerdictLevel::Valid, "");
        expect(&judged(&ramped, full, &of(15_000_000)), VerdictLevel::Suspect, "Little's law 15.0 requests");
        // In a count run users are idle at the end; that is said, and no fault of the client.
        let counted = plan(Load::Closed, Stop::Iterations(NonZeroU64::new(10_000).unwrap()));
        expect(&judged(&counted, full, &of(5_000_000)), VerdictLevel::Valid, "short count run");
    }

    #[test]
    fn a_server_that_was_out_of_reach_is_told_of() {
        let timed = plan(Load::Closed, Stop::After(10 * S));
        let of = |down| judged(&timed, CoreFacts { down, ..busy(S, S / 2, S / 10) }, &figures(|_| 5_000));
        expect(&of(3 * S), VerdictLevel::Valid, "note: for 3.0 of 10.0 s no connection could be opened");
        expect(&of(S / 20), VerdictLevel::Valid, "");
    }

    #[test]
    fn what_ended_early_is_invalid() {
        let good = figures(|_| 5_000);
        let core = CoreFacts { gave_up: Some("the server is gone"), ..CoreFacts::default() };
        expect(&judged(&open(), core, &good), VerdictLevel::Invalid, "the server is gone");
        let mut twice = Verdict::default();
        for _ in 0..2 {
            say(&mut twice, VerdictLevel::Invalid, "the server is gone".into());
        }
        assert_eq!(twice.reasons.len(), 1, "what all cores say is said once");
        let core = CoreFacts { overflows: 3, ..CoreFacts::default() };
        expect(&judged(&open(), core, &good), VerdictLevel::Suspect, "overflowed 3 times");
        let mut none = figures(|_| 5_000);
        (none.books.succeeded, none.books.failed) = (0, 10_000);
        expect(&judged(&open(), CoreFacts::default(), &none), VerdictLevel::Invalid, "no request succeeded");
        let cause =
            |kind, detail: &str, count| ErrorCount { fault: Fault::Peer, kind, detail: detail.into(), count };
        none.errors =
            vec![cause(Kind::Closed, "it went away", 1), cause(Kind::Status, "not expected", 9_999)];
        none.status = [(503, 9_000), (500, 999)].into();
        let reason = "9999 of 10000 failed for this reason: not expected: 503";
        expect(&judged(&open(), CoreFacts::default(), &none), VerdictLevel::Invalid, reason);
    }

    #[test]
    fn where_nothing_was_begun_it_is_said_why() {
        let parse =
            |text: &str| scenario::parse(text, "", std::path::Path::new(""), &Default::default()).unwrap();
        let head = "version: 1\ntarget: builtin\ndata: { once: { values: [a], order: unique }, again: { values: [a] } }\n\
                    scenarios: { s: { steps: [ get: '/{{once}}{{again}}' ] } }\n";
        let closed = parse(&format!("{head}phases: [ {{ users: 2, for: 10s }} ]\n"));
        let warmed = parse(&format!(
            "{head}phases: [ {{ users: 2, for: 1s, record: false }}, {{ users: 2, for: 10s }} ]\n"
        ));
        let knocks = parse("version: 1\ntarget: builtin\nphases: [ { handshakes: 9/s, for: 1s } ]\n");
        let quic = QuicFigures::default();
        let judged = |plan: &Plan, totals: &Figures, failures: &[(String, u64)], interrupted| {
            let (wall, cores) = (10 * S, [CoreFacts::default()]);
            judge(&Evidence {
                plan,
                cores: &cores,
                broken: &[],
                totals,
                phases: &[],
                wall,
                quic: &quic,
                failures,
                interrupted,
            })
        };
        let none = Figures::default();
        let ended = Figures { iterations: 8, iterations_cut: 1, ..Figures::default() };
        let reasons = [("no luck".to_owned(), 3), ("bad luck".to_owned(), 5)];
        for (plan, totals, failures, reason) in [
            (&closed, &none, &[][..], "no request was begun; the rows of once may be used up"),
            (
                &warmed,
                &none,
                &[],
                "no request was begun in a recorded phase; the rows of once may be used up",
            ),
            (
                &closed,
                &ended,
                &[],
                "no request was begun; 8 iterations went by without one: no condition led to it",
            ),
            (
                &closed,
                &ended,
                &reasons,
                "no request was begun; 5 iterations failed for this reason: bad luck",
            ),
            (
                &closed,
                &Figures { iterations_cut: 2, ..Figures::default() },
                &[],
                "no request was begun; 2 iterations were cut before they came to one",
            ),
            (&open(), &none, &[], "no request was begun; no arrival was due"),
            (
                &open(),
                &Figures { arrived: 9, dropped: 9, ..Figures::default() },
                &[],
                "no request was begun; 9 arrivals were dropped",
            ),
            (
                &closed,
                &Figures { arrived: 9, without_data: 9, ..Figures::default() },
                &[],
                "no request was begun; 9 arrivals found no row left of once",
            ),
            (&knocks, &none, &[], "no connection was begun; no arrival was due"),
        ] {
            let verdict = judged(plan, totals, failures, false);
            assert_eq!(verdict.level, VerdictLevel::Invalid, "{reason}");
            assert!(verdict.reasons.iter().any(|r| r == reason), "{reason}: {verdict:?}");
            assert!(!judged(plan, totals, failures, true).reasons.iter().any(|r| r == reason), "interrupted");
        }
        let mut opened = Figures::default();
        opened.handshakes.opened = 1;
        expect(&judged(&knocks, &opened, &[], false), VerdictLevel::Valid, "");
    }
}
