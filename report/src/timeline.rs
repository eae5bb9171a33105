//! The time series in JSON: an object for each row, in the result under `timeline` or one a line as the run goes on.
//! `docs/result.md` names every field.

use crate::counts;
use crate::json::series;
use crate::tags;
use engine::stats::{Books, Row, Timeline};
use scenario::Plan;
use serde_json::{Value, json};

/// The series of the result.
pub(crate) fn object(timeline: &Timeline, plan: &Plan) -> Value {
    json!({
        "interval_s": timeline.interval.as_secs_f64(),
        "rows": rows(&timeline.rows, plan).collect::<Value>(),
    })
}

/// Each row as a line of its own.
pub fn lines(of: &[Row], plan: &Plan) -> String {
    rows(of, plan).map(|row| row.to_string() + "\n").collect()
}

fn rows(of: &[Row], plan: &Plan) -> impl Iterator<Item = Value> {
    let tags = tags::object(&tags::of_plan(plan));
    of.iter().map(move |r| row(r, plan, &tags))
}

fn row(row: &Row, plan: &Plan, tags: &Value) -> Value {
    let phase = &plan.phases[row.phase];
    let Books { started, succeeded, failed, abandoned, in_flight, .. } = row.books;
    let seconds = row.ended.saturating_sub(row.began);
    json!({
        "began_s": row.began.as_secs_f64(),
        "ended_s": row.ended.as_secs_f64(),
        "phase": phase.name,
        "record": phase.record,
        "tags": tags,
        "started": started,
        "succeeded": succeeded,
        "failed": failed,
        "abandoned": abandoned,
        "in_flight": in_flight,
        "rate": counts::per_second(succeeded, seconds),
        "iterations": row.iterations,
        "arrived": row.arrived,
        "waited": row.waited,
        "dropped": row.dropped,
        "without_data": row.without_data,
        "handshakes_opened": row.handshakes_opened,
        "handshakes_failed": row.handshakes_failed,
        "handshakes_abandoned": row.handshakes_abandoned,
        "failed_status": row.books.failed_status,
        "failed_timeout": row.books.failed_timeout,
        "retried": row.books.retried,
        "never_sent": row.books.never_sent,
        "checks_passed": row.checks_passed,
        "checks_failed": row.checks_failed,
        "open": row.open,
        "received_bytes": row.bytes.received,
        "sent_bytes": row.bytes.sent,
        "data_bytes": row.bytes.data,
        "response_time": series::object(&row.response_time.unpack()),
        "service_time": series::object(&row.service_time.unpack()),
        "send_lag": series::object(&row.send_lag.unpack()),
        "opening_time": series::object(&row.opening_time.unpack()),
    })
}
