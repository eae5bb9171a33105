//! The time series as an HdrHistogram log, format 1.3, which the standard tools read, merge and plot.
//!
//! A line is one series of one row, told apart by its tag: `response_time`, `service_time`, `send_lag`, and `opening_time` of
//! phases of handshakes; those of phases that are not recorded have `unrecorded.` before it, so that all lines of a tag
//! together are the series of the result. Values are nanoseconds; `Interval_Max` is in milliseconds, which is how the format
//! wants it.

use crate::{tags, time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::stats::{KeepEncoder, Packed, Row, RunResult};
use scenario::Plan;
use scenario::plan::Load;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

/// The whole log. Without a time series in the result it has no lines.
pub fn render(result: &RunResult, plan: &Plan) -> String {
    let _kept = KeepEncoder::from_now();
    let began = result.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let tags = match tags::of_all(result) {
        none if none.is_empty() => String::new(),
        tags => format!("#[Tags: {}]\n", tags::line(&tags)),
    };
    let mut out = format!(
        "#[Logged by loadgen {}; values are nanoseconds]\n\
         #[Histogram log format version 1.3]\n\
         {tags}\
         #[StartTime: {began:.3} (seconds since epoch), {}]\n\
         #[BaseTime: {began:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        env!("CARGO_PKG_VERSION"),
        time::rfc3339(result.began)
    );
    for row in result.timeline.iter().flat_map(|t| &t.rows) {
        let phase = &plan.phases[row.phase];
        let series = [
            ("response_time", &row.response_time),
            ("service_time", &row.service_time),
            ("send_lag", &row.send_lag),
            ("opening_time", &row.opening_time),
        ];
        // Empty lines of requests are silence; where nothing is opened there is none.
        let all = if matches!(phase.load, Load::Handshakes(_)) { &series[..] } else { &series[..3] };
        for (name, series) in all {
            line(&mut out, row, if phase.record { "" } else { "unrecorded." }, name, series);
        }
    }
    out
}

fn line(out: &mut String, row: &Row, prefix: &str, name: &str, series: &Packed) {
    let (began, length) = (row.began.as_secs_f64(), row.ended.saturating_sub(row.began).as_secs_f64());
    let histogram = STANDARD.encode(series.v2_deflate());
    let max_ms = series.max_ns() as f64 / 1e6;
    writeln!(out, "Tag={prefix}{name},{began:.3},{length:.3},{max_ms:.6},{histogram}")
        .expect("a String takes every text");
}
