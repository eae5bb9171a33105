//! A series of times in JSON: figures in microseconds, and the histogram they came from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::stats::Series;
use serde_json::{Value, json};

/// The object of one series.
pub(crate) fn object(series: &Series) -> Value {
    let at = |q: f64| micros(series.quantile_ns(q) as f64);
    json!({
        "count": series.count(),
        "min_us": micros(series.min_ns() as f64),
        "mean_us": micros(series.mean_ns()),
        "stdev_us": micros(series.stdev_ns()),
        "p50_us": at(0.50),
        "p90_us": at(0.90),
        "p95_us": at(0.95),
        "p99_us": at(0.99),
        "p99_9_us": at(0.999),
        "max_us": micros(series.max_ns() as f64),
        "over_range": series.over_range(),
        "histogram": histogram(series),
    })
}

/// HdrHistogram's V2 deflate encoding in base64, as the `.hlog` format has it. Values are nanoseconds.
pub(crate) fn histogram(series: &Series) -> String {
    STANDARD.encode(series.v2_deflate())
}

/// Nanoseconds as microseconds, to the nanosecond.
pub(crate) fn micros(ns: f64) -> f64 {
    ns.round() / 1e3
}
