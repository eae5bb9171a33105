//! The result as one flat row with the field names of loadgen-rs: a JSON line or a line of CSV, for tools that expect them.
//!
//! Its `latency_*` is our service time (sent to last byte), its `ttfb_*` our first byte (sent to first byte of the
//! head); both in microseconds of successes only. Its `ok` is our `succeeded`, and rates count successes only.

use crate::counts::per_second;
use crate::json::series::{histogram, micros};
use crate::tags;
use engine::stats::{RunResult, Series};
use proto::Kind;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// What the result cannot know by itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The first URL, or the plan's name.
    pub url: &'a str,
    /// Connections asked for.
    pub clients: u32,
    /// Cores.
    pub threads: usize,
    /// Requests in flight on a connection at most.
    pub max_streams: u32,
    /// Requests asked for, if the run was by count.
    pub requests_target: Option<u64>,
    /// Requests per second asked for, over all connections, if the run was by rate.
    pub rps_target: Option<f64>,
}

/// The columns of CSV, in loadgen-rs's order.
const COLUMNS: &[&str] = &[
    "proto",
    "url",
    "h3_backend",
    "clients",
    "threads",
    "max_streams",
    "mode",
    "tls_protocol",
    "tls_cipher",
    "duration_s",
    "metrics_sample",
    "requests_target",
    "requests_started",
    "requests_completed",
    "ok",
    "err_total",
    "rps",
    "bytes_in",
    "bytes_out",
    "mbps_in",
    "mbps_out",
    "latency_min_us",
    "latency_p50_us",
    "latency_p90_us",
    "latency_p99_us",
    "latency_mean_us",
    "latency_max_us",
    "latency_stdev_us",
    "ttfb_min_us",
    "ttfb_p50_us",
    "ttfb_p90_us",
    "ttfb_p99_us",
    "ttfb_mean_us",
    "ttfb_max_us",
    "ttfb_stdev_us",
    "connect_min_us",
    "connect_p50_us",
    "connect_p90_us",
    "connect_p99_us",
    "connect_mean_us",
    "connect_max_us",
    "connect_stdev_us",
    "err_connect",
    "err_tls",
    "err_timeout",
    "err_http",
    "elapsed_s",
    "started_rps",
    "rps_target_achieved_pct",
    "connect_v4_count",
    "connect_v6_count",
    "connect_addrs",
];

/// The row as an object, in the order of loadgen-rs's report.
pub fn object(result: &RunResult, context: &Context<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    what_was_run(&mut out, result, context);
    requests(&mut out, result, context);
    for (name, series) in [
        ("latency", &result.totals.service_time),
        ("ttfb", &result.totals.first_byte),
        ("connect", &result.connections.connect),
    ] {
        times(&mut out, name, series);
    }
    connections(&mut out, result);
    out.insert("elapsed_s".into(), json!(result.wall.as_secs_f64()));
    out.insert("latency_hist_b64".into(), json!(histogram(&result.totals.service_time)));
    out.insert("ttfb_hist_b64".into(), json!(histogram(&result.totals.first_byte)));
    out.insert("connect_hist_b64".into(), json!(histogram(&result.connections.connect)));
    out
}

/// One line of JSON.
pub fn jsonl(result: &RunResult, context: &Context<'_>) -> String {
    Value::Object(object(result, context)).to_string() + "\n"
}

/// The header line of CSV.
pub fn csv_header() -> String {
    COLUMNS.join(",") + "\n"
}

/// One line of CSV.
pub fn csv(result: &RunResult, context: &Context<'_>) -> String {
    let mut object = object(result, context);
    let addresses = result.connections.by_address.iter().map(|(ip, n)| format!("{ip}={n}"));
    object.insert("connect_addrs".into(), json!(addresses.collect::<Vec<_>>().join(" ")));
    let cells: Vec<String> = COLUMNS.iter().map(|c| cell(object.get(*c))).collect();
    cells.join(",") + "\n"
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) if s.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", s.replace('"', "\"\""))
        }
        Some(Value::String(s)) => s.clone(),
        Some(other) => other.to_string(),
    }
}

fn what_was_run(out: &mut Map<String, Value>, result: &RunResult, context: &Context<'_>) {
    let tls = result.connections.tls.as_ref();
    let c = &result.connections;
    let short = |name: &'static str| if name == "http/1.1" { "h1" } else { name };
    let spoken = match c.by_protocol.len() {
        0 | 1 => short(c.application_protocol.unwrap_or("http/1.1")).to_owned(),
        _ => c.by_protocol.keys().map(|name| short(name)).collect::<Vec<_>>().join("+"),
    };
    put(out, "proto", json!(spoken));
    put(out, "url", json!(context.url));
    put(out, "tags", tags::object(&tags::of_all(result)));
    // What does not apply is null, not missing: every row has every column.
    put(out, "h3_backend", Value::Null);
    put(out, "clients", json!(context.clients));
    put(out, "threads", json!(context.threads));
    put(out, "max_streams", json!(context.max_streams));
    put(out, "mode", json!(if context.requests_target.is_some() { "count" } else { "duration" }));
    put(out, "tls_protocol", json!(tls.map_or("", |t| &t.version)));
    put(out, "tls_cipher", json!(tls.map_or("", |t| &t.cipher)));
    put(out, "duration_s", json!(result.elapsed.as_secs_f64()));
    put(out, "metrics_sample", json!(1));
    put(out, "requests_target", json!(context.requests_target.unwrap_or(0)));
    put(out, "rps_target", json!(context.rps_target));
}

fn requests(out: &mut Map<String, Value>, result: &RunResult, context: &Context<'_>) {
    let (books, bytes) = (&result.totals.books, &result.totals.bytes);
    let megabits = |n: u64| per_second(n, result.elapsed) * 8.0 / 1e6;
    put(out, "requests_started", json!(books.started));
    put(out, "requests_completed", json!(books.ended()));
    put(out, "ok", json!(books.succeeded));
    put(out, "err_total", json!(books.failed));
    let codes = result.totals.status.iter().map(|(code, n)| (code.to_string(), json!(n)));
    put(out, "status_counts", Value::Object(codes.collect()));
    for class in 2..=5 {
        put(out, &format!("status_{class}xx"), json!(result.totals.status_class(class)));
    }
    put(out, "rps", json!(per_second(books.succeeded, result.elapsed)));
    put(out, "started_rps", json!(per_second(books.started, result.elapsed)));
    let achieved = |target: f64| per_second(books.started, result.elapsed) / target * 100.0;
    put(out, "rps_target_achieved_pct", json!(context.rps_target.map(achieved)));
    put(out, "bytes_in", json!(bytes.received));
    put(out, "bytes_out", json!(bytes.sent));
    put(out, "mbps_in", json!(megabits(bytes.received)));
    put(out, "mbps_out", json!(megabits(bytes.sent)));
}

fn times(out: &mut Map<String, Value>, name: &str, series: &Series) {
    let at = |q: f64| series.quantile_ns(q) as f64;
    for (figure, ns) in [
        ("min", series.min_ns() as f64),
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p99", at(0.99)),
        ("mean", series.mean_ns()),
        ("max", series.max_ns() as f64),
        ("stdev", series.stdev_ns()),
    ] {
        put(out, &format!("{name}_{figure}_us"), json!(micros(ns)));
    }
}

fn connections(out: &mut Map<String, Value>, result: &RunResult) {
    let c = &result.connections;
    let of_family =
        |v4: bool| c.by_address.iter().filter(|(ip, _)| ip.is_ipv4() == v4).map(|(_, n)| n).sum::<u64>();
    put(out, "connect_v4_count", json!(of_family(true)));
    put(out, "connect_v6_count", json!(of_family(false)));
    let by_address = c.by_address.iter().map(|(ip, n): (&IpAddr, _)| (ip.to_string(), json!(n)));
    put(out, "connect_addr_counts", Value::Object(by_address.collect()));
    let of_kind = |kind: Kind| c.errors.iter().filter(|e| e.kind == kind).map(|e| e.count).sum::<u64>();
    let books = &result.totals.books;
    put(out, "err_connect", json!(of_kind(Kind::Connect)));
    put(out, "err_tls", json!(of_kind(Kind::Tls)));
    put(out, "err_timeout", json!(books.failed_timeout));
    put(out, "err_http", json!(books.failed - books.failed_timeout));
}

fn put(out: &mut Map<String, Value>, name: &str, value: Value) {
    out.insert(name.to_owned(), value);
}
