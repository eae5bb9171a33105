//! Whether the load generator itself distorted the figures: VALID, SUSPECT or INVALID, and why.
//!
//! A pure function of what the cores found out; `merge` calls it.

use crate::core::CoreResult;
use crate::stats::{Cost, Figures, PhaseFigures, Verdict, VerdictLevel};
use scenario::Plan;
use scenario::plan::{Load, Stop};
use std::time::Duration;

/// A core that works more than this share of the time is late for what comes.
const BUSY: f64 = 0.9;
/// A core that waits for its CPU more than this share of the time shares it with other work.
const STOLEN: f64 = 0.05;
/// Send lag (99th percentile) up to this is no matter, however short responses are.
const LAG: Duration = Duration::from_micros(100);
/// Arrivals that found every user busy, as a share: beyond it the limit of users shaped the load.
const CROWDED: f64 = 0.01;
/// Arrivals dropped, as a share: beyond it the load was not the one asked for.
const LOST: f64 = 0.01;
/// How far the requests in flight by Little's law may be from the users there were.
const LITTLE: f64 = 0.1;
/// Little's law holds on average over a time that is long against a response.
const LONG: f64 = 20.0;

/// All that is judged.
pub(crate) struct Evidence<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) cores: &'a [(CoreResult, Cost)],
    /// Cores that ended early, and why.
    pub(crate) broken: &'a [String],
    pub(crate) totals: &'a Figures,
    pub(crate) phases: &'a [PhaseFigures],
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
    }
    if e.totals.books.started > 0 && e.totals.books.succeeded == 0 {
        say(&mut verdict, VerdictLevel::Invalid, "no request succeeded".into());
    }
    verdict
}

fn say(verdict: &mut Verdict, level: VerdictLevel, reason: String) {
    verdict.level = verdict.level.max(level);
    verdict.reasons.push(reason);
}

/// Whether a recorded phase follows a schedule.
fn is_open(plan: &Plan) -> bool {
    plan.phases.iter().any(|p| p.record && matches!(p.load, Load::Open(_)))
}

fn ended_early(e: &Evidence<'_>, verdict: &mut Verdict) {
    for error in e.broken {
        let reason = format!("a core ended early and its requests are missing: {error}");
        say(verdict, VerdictLevel::Invalid, reason);
    }
    for (core, _) in e.cores {
        if let Some(reason) = &core.gave_up {
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
    let wall: Duration = e.phases.iter().map(|p| p.elapsed).sum();
    if wall < Duration::from_millis(100) {
        return; // too short to tell
    }
    for (index, (core, cost)) in e.cores.iter().enumerate() {
        let worked = (cost.user + cost.system).saturating_sub(Duration::from_nanos(core.spun));
        let busy = worked.as_secs_f64() / wall.as_secs_f64();
        if busy > BUSY {
            let reason = format!(
                "core {index} was {:.0} % busy (spinning not counted): use more threads (-t) or a lower rate",
                busy * 100.0
            );
            say(verdict, VerdictLevel::Suspect, reason);
        }
        let stolen = cost.waited.as_secs_f64() / wall.as_secs_f64();
        if stolen > STOLEN {
            let reason = format!(
                "core {index} waited {:.0} % of the time for its CPU: other work runs there",
                stolen * 100.0
            );
            say(verdict, VerdictLevel::Suspect, reason);
        }
    }
}

fn send_lag(e: &Evidence<'_>, verdict: &mut Verdict) {
    let (lag, response) = (&e.totals.send_lag, &e.totals.response_time);
    let bound = (LAG.as_nanos() as u64).max(response.quantile_ns(0.5) / 10);
    let (p50, p99) = (lag.quantile_ns(0.5), lag.quantile_ns(0.99));
    if lag.count() == 0 || p99 <= bound {
        return;
    }
    // Where most requests were late the schedule was not kept at all.
    let level = if p50 > bound { VerdictLevel::Invalid } else { VerdictLevel::Suspect };
    let us = |ns: u64| ns as f64 / 1e3;
    let reason = format!(
        "requests were sent late: send lag p50 {:.0} us, p99 {:.0} us, where at most {:.0} us would not matter",
        us(p50),
        us(p99),
        us(bound)
    );
    say(verdict, level, reason);
}

fn arrivals(e: &Evidence<'_>, verdict: &mut Verdict) {
    let (arrived, dropped, waited) = (e.totals.arrived, e.totals.dropped, e.totals.waited);
    let share = |n: u64| n as f64 / arrived.max(1) as f64;
    if share(waited) > CROWDED {
        let reason = format!(
            "{waited} of {arrived} arrivals ({:.1} %) found every user busy: the server is too slow for this rate, or \
             users_max too low",
            share(waited) * 100.0
        );
        say(verdict, VerdictLevel::Suspect, reason);
    }
    if dropped > 0 {
        let level = if share(dropped) > LOST { VerdictLevel::Invalid } else { VerdictLevel::Suspect };
        let reason =
            format!("{dropped} of {arrived} arrivals ({:.2} %) were dropped", share(dropped) * 100.0);
        say(verdict, level, reason);
    }
}

/// Requests in flight = rate x mean response time, and in a closed loop every user has one. What is measured must agree with
/// itself.
fn little(e: &Evidence<'_>, verdict: &mut Verdict) {
    let recorded = |index: &usize| e.plan.phases[*index].record;
    for (index, phase) in e.phases.iter().enumerate().filter(|(i, _)| recorded(i)) {
        let plan = &e.plan.phases[index];
        let figures = &phase.figures;
        let ended = figures.books.ended();
        let sum = figures.response_time.mean_ns() * figures.response_time.count() as f64
            + figures.failed_time.mean_ns() * figures.failed_time.count() as f64;
        let (elapsed, mean) = (phase.elapsed.as_nanos() as f64, sum / ended.max(1) as f64);
        if plan.load != Load::Closed || ended < 1000 || elapsed < LONG * mean {
            continue;
        }
        let (in_flight, users) = (sum / elapsed, f64::from(plan.users.get()));
        if (in_flight / users - 1.0).abs() <= LITTLE {
            continue;
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
