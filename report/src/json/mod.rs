//! The result as one JSON object. Its fields are a promise: `docs/result.md` names each with its unit and meaning, and a
//! test compares the two.

mod figures;
pub mod plan;
mod search;
pub(crate) mod series;

use crate::search::Searched;
use crate::tags::Tagged;
use crate::thresholds::{self, Outcome, Unit};
use crate::{counts, tags, time, timeline};
use engine::stats::{
    AltSvcFigures, Batching, CheckFigures, ConnectionFigures, Cost, KeepEncoder, OnceFigures, PhaseFigures,
    QuicFigures, RunResult, Series, StepFigures,
};
use scenario::Plan;
use serde_json::{Map, Value, json};
use std::time::UNIX_EPOCH;

/// The version of the format: raised when a field changes its meaning or goes away, not when one is added.
pub const FORMAT: u32 = 1;

/// What the result cannot know by itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What was run.
    pub plan: &'a Plan,
    /// How its thresholds came out.
    pub outcomes: &'a [Outcome],
    /// What the process will exit with.
    pub exit_code: u8,
    /// Whether response bodies were counted and thrown away unseen.
    pub bodies_discarded: bool,
    /// Whether the time series is wanted, where there is one.
    pub timeline: bool,
    /// The search whose result this is: that of the probe at the load it found.
    pub search: Option<&'a Searched>,
}

/// The object.
pub fn object(result: &RunResult, context: &Context<'_>) -> Value {
    let _kept = KeepEncoder::from_now();
    let mut out = Map::new();
    out.insert("format".into(), json!(FORMAT));
    out.insert("loadgen".into(), json!(env!("CARGO_PKG_VERSION")));
    out.insert("verdict".into(), json!(result.verdict.level.as_str()));
    out.insert("verdict_reasons".into(), json!(result.verdict.reasons));
    figures::books(&mut out, &result.totals, result.elapsed);
    out.insert("dropped".into(), json!(counts::dropped(result)));
    out.insert("without_data".into(), json!(result.totals.without_data));
    out.insert("wall_s".into(), json!(result.wall.as_secs_f64()));
    out.insert("began".into(), json!(time::rfc3339(result.began)));
    let since = result.began.duration_since(UNIX_EPOCH).unwrap_or_default();
    out.insert("began_unix_s".into(), json!(since.as_secs_f64()));
    let aborted = thresholds::aborted(context.outcomes);
    // A search that was interrupted may show a probe that was not.
    let interrupted = context.search.map_or(result.interrupted, |search| search.interrupted);
    out.insert("interrupted".into(), json!(interrupted && !aborted));
    out.insert("aborted".into(), json!(aborted));
    out.insert("exit_code".into(), json!(context.exit_code));
    out.insert("bodies_discarded".into(), json!(context.bodies_discarded));
    figures::times(&mut out, &result.totals);
    out.insert("handshakes".into(), figures::handshakes(&result.totals));
    let connections = &result.connections;
    out.insert("connect".into(), series::object(&connections.connect));
    out.insert("handshake".into(), series::object(&connections.handshake));
    out.insert("ready".into(), series::object(&connections.ready));
    out.insert("connection_first_byte".into(), series::object(&connections.connection_first_byte));
    figures::rest(&mut out, &result.totals);
    let checks: Vec<Value> = result.script.checks.iter().map(check).collect();
    out.insert("checks_by_name".into(), json!(checks));
    let reason = |(reason, count): &(String, u64)| json!({ "reason": reason, "count": count });
    out.insert("iteration_failures".into(), result.script.reasons.iter().map(reason).collect());
    out.insert("setup".into(), result.setup.as_ref().map_or(Value::Null, once));
    out.insert("teardown".into(), result.teardown.as_ref().map_or(Value::Null, once));
    out.insert("connections".into(), connection_object(connections));
    out.insert("client_rates".into(), json!(result.client_rates()));
    out.insert("phases".into(), result.phases.iter().map(phase).collect());
    out.insert("steps".into(), result.steps.iter().map(|s| step(s, result)).collect());
    out.insert("tags".into(), tags::by_tag(result, |_| true).iter().map(|t| tag(t, result)).collect());
    out.insert("thresholds".into(), context.outcomes.iter().map(threshold).collect());
    let search = context.plan.search.as_ref().zip(context.search);
    out.insert("search".into(), json!(search.map(|(search, searched)| search::object(search, searched))));
    let timeline =
        result.timeline.as_ref().filter(|_| context.timeline).map(|t| timeline::object(t, context.plan));
    out.insert("timeline".into(), json!(timeline));
    out.insert("batching".into(), result.batching.iter().map(batching).collect());
    out.insert("cost".into(), cost(&result.cost, counts::ended_in_all_phases(result)));
    out.insert("environment".into(), environment(result));
    out.insert("plan".into(), plan::object(context.plan));
    Value::Object(out)
}

/// The object in text: one line, or many to read.
pub fn render(result: &RunResult, context: &Context<'_>, pretty: bool) -> String {
    let value = object(result, context);
    let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
    text.expect("a value of strings and numbers") + "\n"
}

fn once(once: &OnceFigures) -> Value {
    let books = &once.books;
    json!({
        "started": books.started,
        "succeeded": books.succeeded,
        "failed": books.failed,
        "abandoned": books.abandoned,
        "elapsed_s": once.elapsed.as_secs_f64(),
        "checks_by_name": once.checks.iter().map(check).collect::<Vec<_>>(),
        "failure": once.failure,
    })
}

fn check(check: &CheckFigures) -> Value {
    json!({
        "scenario": check.scenario,
        "step": check.step,
        "name": check.name,
        "tags": tags::object(&check.tags),
        "passed": check.passed,
        "failed": check.failed,
        "samples": check.samples,
    })
}

fn phase(phase: &PhaseFigures) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), json!(phase.name));
    out.insert("record".into(), json!(phase.record));
    figures::books(&mut out, &phase.figures, phase.elapsed);
    figures::times(&mut out, &phase.figures);
    out.insert("handshakes".into(), figures::handshakes(&phase.figures));
    figures::rest(&mut out, &phase.figures);
    Value::Object(out)
}

fn step(step: &StepFigures, result: &RunResult) -> Value {
    let mut out = Map::new();
    out.insert("scenario".into(), json!(step.scenario));
    out.insert("name".into(), json!(step.name));
    out.insert("tags".into(), tags::object(&step.tags));
    figures::of_steps(&mut out, &step.figures, result.elapsed);
    Value::Object(out)
}

fn tag(tag: &Tagged<'_>, result: &RunResult) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), json!(tag.name));
    out.insert("value".into(), json!(tag.value));
    figures::of_steps(&mut out, &tag.figures, result.elapsed);
    Value::Object(out)
}

fn threshold(outcome: &Outcome) -> Value {
    json!({
        "threshold": outcome.text,
        "holds": outcome.holds,
        "actual": outcome.actual.map(|v| in_unit(outcome.unit, v)),
        "limit": in_unit(outcome.unit, outcome.limit),
        "margin": outcome.margin.map(|v| in_unit(outcome.unit, v)),
        "unit": unit_name(outcome.unit),
        "note": outcome.note,
        "aborted_at_s": outcome.aborted.map(|a| a.at.as_secs_f64()),
        "aborted_by": outcome.aborted.map(|a| in_unit(outcome.unit, a.actual)),
    })
}

/// Times leave in microseconds, like every other time of the result.
fn in_unit(unit: Unit, value: f64) -> f64 {
    match unit {
        Unit::Nanoseconds => series::micros(value),
        Unit::Fraction | Unit::PerSecond | Unit::Count => value,
    }
}

/// The name of what [`in_unit`] gives.
fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "us",
        Unit::Fraction | Unit::PerSecond | Unit::Count => unit.as_str(),
    }
}

fn connection_object(c: &ConnectionFigures) -> Value {
    let by_address: Map<String, Value> =
        c.by_address.iter().map(|(ip, n)| (ip.to_string(), json!(n))).collect();
    let by_source: Map<String, Value> =
        c.by_source.iter().map(|(ip, n)| (ip.to_string(), json!(n))).collect();
    let goaways: Map<String, Value> =
        c.goaways.iter().map(|(code, n)| (code.to_string(), json!(n))).collect();
    let tls = c.tls.as_ref().map(|t| {
        json!({
            "version": t.version,
            "cipher": t.cipher,
            "group": t.group,
            "certificate": t.certificate,
            "resumed": t.resumed,
        })
    });
    json!({
        "attempted": c.attempted,
        "opened": c.opened,
        "failed": c.failed,
        "lost": c.lost,
        "timed_out": c.timed_out,
        "down_s": c.down.as_secs_f64(),
        "fresh": c.fresh,
        "resumed": c.resumed,
        "early_accepted": c.early_accepted,
        "early_rejected": c.early_rejected,
        "by_address": by_address,
        "by_source": by_source,
        "application_protocol": c.application_protocol,
        "by_protocol": c.by_protocol,
        "tls": tls,
        "peer_max_streams": c.peer_max_streams,
        "goaways": goaways,
        "alt_svc": alt_svc(c),
        "quic": quic(c),
        "errors": figures::errors(&c.errors),
    })
}

/// Null where nothing was heard.
fn alt_svc(c: &ConnectionFigures) -> Value {
    let a = c.alt_svc;
    if a == AltSvcFigures::default() {
        return Value::Null;
    }
    json!({
        "heard": a.heard,
        "opened": a.opened,
        "failed": a.failed,
        "refused": a.refused,
        "cleared": a.cleared,
        "misdirected": a.misdirected,
    })
}

/// Null where no connection was QUIC.
fn quic(c: &ConnectionFigures) -> Value {
    let q: &QuicFigures = &c.quic;
    if q.connections == 0 {
        return Value::Null;
    }
    let median = |s: &Series| json!(s.quantile_ns(0.5));
    let sum = |s: &Series| json!((s.mean_ns() * s.count() as f64).round() as u64);
    json!({
        "connections": q.connections,
        "datagrams_sent": q.datagrams_sent,
        "datagrams_received": q.datagrams_received,
        "packets_sent": sum(&q.packets_sent),
        "packets_lost": sum(&q.packets_lost),
        "rtt_min_us": q.rtt_min.quantile_ns(0.5) as f64 / 1e3,
        "rtt_smoothed_us": q.rtt_smoothed.quantile_ns(0.5) as f64 / 1e3,
        "received_together": median(&q.received_together),
        "unsent": q.unsent,
        "receive_drops": q.drops,
        "early_data": c.early_accepted,
    })
}

fn batching(b: &Batching) -> Value {
    json!({ "disabled": b.disabled, "on": b.on, "nap_us": b.nap_us, "gain": b.gain, "naps": b.naps })
}

fn cost(c: &Cost, ended: u64) -> Value {
    let per_request = |total: f64| if ended == 0 { Value::Null } else { json!(total / ended as f64) };
    let (user, system) = (c.user.as_secs_f64(), c.system.as_secs_f64());
    json!({
        "user_s": user,
        "system_s": system,
        "user_us_per_request": per_request(user * 1e6),
        "system_us_per_request": per_request(system * 1e6),
        "cpu_us_per_request": per_request((user + system) * 1e6),
        "voluntary_switches": c.voluntary_switches,
        "involuntary_switches": c.involuntary_switches,
        "switches_per_request": per_request((c.voluntary_switches + c.involuntary_switches) as f64),
        "peak_rss_bytes": c.peak_rss,
        "turns": c.turns,
        "waited_s": c.waited.as_secs_f64(),
        "spun_s": c.spun.as_secs_f64(),
        "pauses": c.pauses.count,
        "paused_s": c.pauses.total.as_secs_f64(),
        "longest_pause_us": c.pauses.longest.as_nanos() as f64 / 1e3,
    })
}

fn environment(result: &RunResult) -> Value {
    let facts = result.environment.facts.iter();
    Value::Object(facts.map(|(name, value)| ((*name).to_owned(), json!(value))).collect())
}
