//! The flat rows: every field of loadgen-rs's report, and CSV that stays CSV.

mod common;

use report::flat::{self, Context};

const CONTEXT: Context<'_> = Context {
    url: "https://example.com/a,b?\"c\"",
    clients: 4,
    threads: 1,
    max_streams: 1,
    requests_target: Some(10),
    rps_target: None,
};

#[test]
fn a_line_of_json_has_the_fields_of_loadgen_rs() {
    let object = flat::object(&common::result(), &CONTEXT);
    let plain = "proto url clients threads max_streams mode tls_protocol tls_cipher duration_s metrics_sample \
         requests_target requests_started requests_completed ok err_total status_counts status_2xx status_3xx \
         status_4xx status_5xx rps started_rps bytes_in bytes_out mbps_in mbps_out connect_v4_count connect_v6_count \
         connect_addr_counts err_connect err_tls err_timeout err_http elapsed_s latency_hist_b64 ttfb_hist_b64 \
         connect_hist_b64 h3_backend rps_target rps_target_achieved_pct";
    for field in plain.split_whitespace() {
        assert!(object.contains_key(field), "{field}");
    }
    for series in ["latency", "ttfb", "connect"] {
        for figure in ["min", "p50", "p90", "p99", "mean", "max", "stdev"] {
            assert!(object.contains_key(&format!("{series}_{figure}_us")), "{series} {figure}");
        }
    }
    assert_eq!(
        (object["ok"].as_u64(), object["rps"].as_f64(), object["mode"].as_str()),
        (Some(6), Some(0.6), Some("count"))
    );
    assert_eq!(
        (object["connect_v4_count"].as_u64(), object["connect_v6_count"].as_u64()),
        (Some(3), Some(1))
    );
    assert!(object["rps_target"].is_null() && object["rps_target_achieved_pct"].is_null());
    let at_a_rate = flat::object(&common::result(), &Context { rps_target: Some(2.0), ..CONTEXT });
    assert_eq!(at_a_rate["rps_target"].as_f64(), Some(2.0));
    assert_eq!(
        at_a_rate["rps_target_achieved_pct"].as_f64(),
        at_a_rate["started_rps"].as_f64().map(|r| r * 50.0)
    );
    let line = flat::jsonl(&common::result(), &CONTEXT);
    assert!(
        line.starts_with("{\"proto\":\"h1\"") && line.ends_with("}\n") && line.matches('\n').count() == 1
    );
}

#[test]
fn csv_quotes_what_needs_it() {
    let header = flat::csv_header();
    let line = flat::csv(&common::result(), &CONTEXT);
    assert!(line.starts_with("h1,\"https://example.com/a,b?\"\"c\"\"\",,4,1,1,count,TLSv1.3,"), "{line}");
    let outside_quotes = line.split('"').step_by(2).map(|part| part.matches(',').count()).sum::<usize>();
    assert_eq!(outside_quotes, header.matches(',').count());
    assert!(line.ends_with("127.0.0.1=3 ::1=1\n"), "{line}");
}
