//! Counts and times of one selection of requests in JSON: the whole run, a phase, a step. All three look alike.

use super::series;
use crate::{counts, words};
use engine::stats::{Bytes, ErrorCount, Figures};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The counts that open every selection.
pub(super) fn books(into: &mut Map<String, Value>, figures: &Figures, elapsed: Duration) {
    let books = &figures.books;
    let fields = [
        ("started", json!(books.started)),
        ("succeeded", json!(books.succeeded)),
        ("failed", json!(books.failed)),
        ("abandoned", json!(books.abandoned)),
        ("elapsed_s", json!(elapsed.as_secs_f64())),
        ("rate", json!(counts::rate(figures, elapsed))),
        ("error_rate", json!(figures.error_rate())),
        ("iterations", json!(figures.iterations)),
        ("iterations_failed", json!(figures.iterations_failed)),
        ("iterations_cut", json!(figures.iterations_cut)),
        ("failed_status", json!(books.failed_status)),
        ("failed_timeout", json!(books.failed_timeout)),
        ("retried", json!(books.retried)),
        ("never_sent", json!(books.never_sent)),
    ];
    into.extend(fields.map(|(name, value)| (name.to_owned(), value)));
}

/// The series every selection has.
pub(super) fn times(into: &mut Map<String, Value>, figures: &Figures) {
    let fields = [
        ("response_time", &figures.response_time),
        ("service_time", &figures.service_time),
        ("send_lag", &figures.send_lag),
        ("first_byte", &figures.first_byte),
        ("failed_time", &figures.failed_time),
    ];
    into.extend(fields.map(|(name, s)| (name.to_owned(), series::object(s))));
}

/// Connections of phases of handshakes; null where none was begun.
pub(super) fn handshakes(figures: &Figures) -> Value {
    let handshakes = &figures.handshakes;
    if handshakes.begun() == 0 {
        return Value::Null;
    }
    json!({
        "opened": handshakes.opened,
        "failed": handshakes.failed,
        "abandoned": handshakes.abandoned,
        "opening_time": series::object(&handshakes.opening_time),
    })
}

/// What else a selection holds.
pub(super) fn rest(into: &mut Map<String, Value>, figures: &Figures) {
    let status: Map<String, Value> =
        figures.status.iter().map(|(code, n)| (code.to_string(), json!(n))).collect();
    into.insert("status".into(), Value::Object(status));
    into.insert("errors".into(), errors(&figures.errors));
    into.insert("bytes".into(), bytes(&figures.bytes));
    into.insert("checks".into(), json!({ "passed": figures.checks_passed, "failed": figures.checks_failed }));
}

/// The whole selection of a step or of steps together. What is counted by connection or by iteration is of no step, so it is
/// null.
pub(super) fn of_steps(into: &mut Map<String, Value>, figures: &Figures, elapsed: Duration) {
    books(into, figures, elapsed);
    times(into, figures);
    rest(into, figures);
    for field in ["received", "sent", "headers", "headers_decoded"] {
        into["bytes"][field] = Value::Null;
    }
    for field in ["iterations", "iterations_failed", "iterations_cut"] {
        into[field] = Value::Null;
    }
}

/// Failures by cause, the most frequent first.
pub(super) fn errors(errors: &[ErrorCount]) -> Value {
    let mut sorted: Vec<&ErrorCount> = errors.iter().collect();
    sorted.sort_by_key(|e| std::cmp::Reverse(e.count));
    sorted
        .into_iter()
        .map(|e| {
            json!({
                "fault": words::fault(e.fault),
                "kind": words::kind(e.kind),
                "detail": e.detail,
                "count": e.count,
            })
        })
        .collect()
}

fn bytes(bytes: &Bytes) -> Value {
    json!({
        "received": bytes.received,
        "sent": bytes.sent,
        "headers": bytes.headers,
        "headers_decoded": bytes.headers_decoded,
        "data": bytes.data,
    })
}
