//! The search in the JSON result.

use super::{in_unit, unit_name};
use crate::search::{Probe, Searched, word};
use crate::thresholds::Outcome;
use engine::search::Limit;
use scenario::search::Search;
use serde_json::{Value, json};

/// The object.
pub(super) fn object(search: &Search, searched: &Searched) -> Value {
    let found = &searched.found;
    let (limited_by, fails_at) = match found.limit {
        Limit::Server(load) => ("server", Some(load)),
        Limit::Client(load) => ("client", Some(load)),
        Limit::Range => ("range", None),
        Limit::Unfinished => ("unfinished", None),
    };
    json!({
        "quantity": search.quantity(),
        "condition": search.text,
        "from": search.from,
        "to": search.to,
        "precision": search.precision,
        "confirm": search.confirm,
        "at_least": search.at_least,
        "highest": found.highest,
        "confirmed": found.confirmed,
        "holds": searched.holds(search),
        "limited_by": limited_by,
        "fails_at": fails_at,
        "interval": found.interval.map(|i| json!({ "low": i.low, "high": i.high, "confidence": 0.95 })),
        "probes": searched.probes.iter().map(probe).collect::<Value>(),
    })
}

fn probe(probe: &Probe) -> Value {
    json!({
        "load": probe.load,
        "achieved": probe.achieved,
        "came_out": word(probe.finding),
        "condition": probe.outcomes.iter().map(part).collect::<Value>(),
        "note": probe.note,
        "verdict": probe.verdict.as_str(),
        "verdict_reasons": probe.reasons,
        "elapsed_s": probe.elapsed.as_secs_f64(),
    })
}

fn part(outcome: &Outcome) -> Value {
    json!({
        "threshold": outcome.text,
        "holds": outcome.holds,
        "actual": outcome.actual.map(|v| in_unit(outcome.unit, v)),
        "unit": unit_name(outcome.unit),
    })
}

/// The search in the plan.
pub(super) fn plan(search: &Search) -> Value {
    json!({
        "highest": search.quantity(),
        "while": search.text,
        "from": search.from,
        "to": search.to,
        "confirm": search.confirm,
        "precision": search.precision,
        "probe_s": search.probe.as_secs_f64(),
        "warm_up_s": search.warm_up.as_secs_f64(),
        "settle_s": search.settle.as_secs_f64(),
        "at_least": search.at_least,
    })
}
