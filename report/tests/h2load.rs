//! h2load's text to the letter, in its three formats.

mod common;

use engine::stats::RunResult;
use engine::{Event, Snapshot};
use report::h2load::{Exact, Format, Live, Lots, Mode, Style, json, render};
use serde_json::Value;
use std::time::Duration;

const TIMED: Mode = Mode::Timed { warm_up: Duration::from_secs(1), main: Duration::from_secs(10) };

fn plain(format: Format) -> Style<'static> {
    Style { format, histogram: false, exact: None }
}

#[test]
fn the_newest_format() {
    let text = render(&common::result(), Mode::Count(12), plain(Format::V1_70));
    assert_eq!(
        text,
        "
finished in 11.00s, 0.64 req/s, 290B/s
requests: 12 total, 10 started, 9 done, 6 succeeded, 6 failed, 5 errored, 1 timeout
status codes: 5 2xx, 1 3xx, 0 4xx, 1 5xx
traffic: 3.12KB (3196) total, 561B (561) headers (space savings 74.24%), 2.26KB (2310) data
                 min         max         median      p95         p99         mean        sd         +/- sd
request     :     1.00ms    150.00ms      3.50ms    150.00ms    150.00ms     27.50ms     60.03ms    83.33%
connect     :      540us       570us       555us       570us       570us       555us        12us    50.00%
TTFB        :     1.50ms      1.80ms      1.65ms      1.80ms      1.80ms      1.65ms       129us    50.00%
req/s       :     226.06      256.86      235.00      256.86      256.86      238.23       13.74    75.00%
"
    );
}

#[test]
fn the_format_of_1_69_has_other_spacing() {
    let text = render(&common::result(), Mode::Count(12), plain(Format::V1_69));
    let table: Vec<&str> = text.lines().skip(5).collect();
    assert_eq!(
        table[..2],
        [
            "                 min         max         median     p95        p99        mean         sd        +/- sd",
            "request     :     1.00ms    150.00ms      3.50ms   150.00ms   150.00ms    27.50ms     60.03ms    83.33%",
        ]
    );
}

#[test]
fn the_classic_format_has_no_percentiles() {
    let text = render(&common::result(), TIMED, plain(Format::Classic));
    assert_eq!(
        text,
        "
finished in 11.00s, 0.70 req/s, 319B/s
requests: 9 total, 10 started, 9 done, 6 succeeded, 3 failed, 2 errored, 1 timeout
status codes: 5 2xx, 1 3xx, 0 4xx, 1 5xx
traffic: 3.12KB (3196) total, 561B (561) headers (space savings 74.24%), 2.26KB (2310) data
                     min         max         mean         sd        +/- sd
time for request:     1.00ms    150.00ms     27.50ms     60.03ms    83.33%
time for connect:      540us       570us       555us        12us    50.00%
time to 1st byte:     1.50ms      1.80ms      1.65ms       129us    50.00%
req/s           :     226.06      256.86      238.23       13.74    75.00%
"
    );
}

/// What h2load says when it runs over HTTP/2, from its first line to its last, in each of its formats.
#[test]
fn an_http2_run_in_every_format() {
    let (result, mode) = (common::h2_result(), Mode::Count(10));
    for (format, tls, name, golden) in [
        (Format::Classic, true, "h2-classic", include_str!("golden/h2-classic.txt")),
        (Format::V1_69, true, "h2-1.69", include_str!("golden/h2-1.69.txt")),
        (Format::V1_70, true, "h2-1.70", include_str!("golden/h2-1.70.txt")),
        (Format::Classic, false, "h2c-classic", include_str!("golden/h2c-classic.txt")),
    ] {
        let mut live = Live::new(format, mode, None);
        let connected = Event::Connected {
            core: 0,
            tls: tls.then(common::tls_facts),
            application_protocol: if tls { "h2" } else { "h2c" },
        };
        let text = [
            live.begin().to_owned(),
            live.event(&Event::CoreStarting { core: 0, connections: 4, iterations: Some(10) }),
            live.event(&connected),
            live.event(&snapshot(&result, 6)),
            live.end(&result),
            render(&result, mode, plain(format)),
        ]
        .concat();
        if std::env::var_os("GOLDEN").is_some() {
            let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, &text).unwrap();
            continue;
        }
        assert_eq!(text, golden, "{name}");
    }
}

#[test]
fn an_empty_run_is_all_zero() {
    let mut result = common::result();
    result.totals = Default::default();
    result.connections = Default::default();
    result.clients.clear();
    let text = render(&result, Mode::Count(5), plain(Format::V1_70));
    assert!(
        text.contains("requests: 5 total, 0 started, 0 done, 0 succeeded, 5 failed, 5 errored, 0 timeout\n")
    );
    assert!(text.contains("headers (space savings 0.00%)"));
    let zero = "request     :        0us         0us         0us         0us         0us         0us         0us     0.00%\n";
    assert!(text.contains(zero), "{text}");
    assert!(text.ends_with("0.00        0.00        0.00     0.00%\n"), "{text}");
}

#[test]
fn responses_with_a_bad_status_are_timed_as_h2load_times_them() {
    let mut result = common::result();
    let figures = &mut result.totals;
    (figures.books.failed, figures.books.failed_status, figures.books.failed_timeout) = (1, 1, 0);
    figures.books.started = 7;
    figures.failed_time = common::series(&[250_000]);
    let text = render(&result, TIMED, plain(Format::V1_70));
    assert!(text.contains("request     :     1.00ms    250.00ms"), "{text}");
}

#[test]
fn a_histogram_has_ten_bars_under_each_row() {
    let text =
        render(&common::result(), TIMED, Style { format: Format::V1_70, histogram: true, exact: None });
    let bars: Vec<&str> = text.lines().filter(|l| l.contains(" [")).collect();
    assert_eq!(bars.len(), 40);
    assert_eq!(bars[0], "    1.00ms-   15.90ms [////////////////////////////////////////]( 83.33/ 83.33%)");
    assert_eq!(bars[1], "   15.90ms-   30.80ms [                                        ](  0.00/ 83.33%)");
    assert_eq!(bars[9], "  135.10ms-  150.00ms [////////                                ]( 16.67/100.00%)");
}

fn snapshot(result: &RunResult, ended: u64) -> Event {
    let mut books = result.totals.books;
    (books.succeeded, books.failed, books.failed_status) = (ended, 0, 0);
    Event::Snapshot(Snapshot {
        elapsed: Duration::from_secs(1),
        phase: 0,
        books,
        open: 1,
        connections: result.connections.clone(),
        checks: vec![],
        data_bytes: 0,
        parts: vec![],
        phases: vec![],
        rows: vec![],
    })
}

#[test]
fn a_run_by_count_tells_each_tenth_once() {
    let mut result = common::result();
    let mut live = Live::new(Format::V1_70, Mode::Count(25), None);
    assert_eq!(live.begin(), "starting benchmark...\n");
    let start = |core| Event::CoreStarting { core, connections: 5, iterations: Some(13 - core as u64) };
    assert_eq!(live.event(&start(0)), "spawning thread #0: 5 total client(s). 13 total requests\n");
    assert_eq!(live.event(&start(1)), "spawning thread #1: 5 total client(s). 12 total requests\n");
    let connected =
        |core| Event::Connected { core, tls: Some(common::tls_facts()), application_protocol: "http/1.1" };
    assert_eq!(live.event(&connected(1)), "");
    assert_eq!(
        live.event(&connected(0)),
        "TLS Protocol: TLSv1.3\nCipher: TLS_AES_128_GCM_SHA256\nServer Temp Key: X25519 253 bits\n\
         Certificate: RSA 2048 bits\nNegotiated Group: X25519\nResumption: no\nApplication protocol: http/1.1\n"
    );
    assert_eq!(live.event(&connected(0)), "");
    assert_eq!(live.event(&Event::PhaseBegan { core: 0, phase: 0 }), "");
    assert_eq!(live.event(&snapshot(&result, 5)), "progress: 8% done\nprogress: 16% done\n");
    assert_eq!(live.event(&snapshot(&result, 5)), "");
    let books = &mut result.totals.books;
    (books.succeeded, books.failed_status) = (24, 1);
    assert!(live.end(&result).ends_with("progress: 96% done\n"));
}

/// What h2load says with `-r`, in all of its formats.
#[test]
fn connections_in_lots_are_told_of_instead_of_requests() {
    let begin = |rate, every, connections| {
        let lots = Lots { clients: 3, rate, every };
        let mut live = Live::new(Format::Classic, Mode::Count(6), Some(lots));
        live.event(&Event::CoreStarting { core: 0, connections, iterations: Some(6) })
    };
    for (ms, said) in
        [(1500, "1500ms"), (1000, "1s"), (90_000, "90s"), (60_000, "1m"), (7_200_000, "2h"), (250, "250ms")]
    {
        assert_eq!(
            begin(1, Duration::from_millis(ms), 3),
            format!(
                "spawning thread #0: 3 total client(s). Up to 1 client(s) will be created every {said} 6 total requests\n"
            )
        );
    }
    let second = Duration::from_secs(1);
    assert!(begin(2, second, 1).contains(". Up to 1 client(s) will"), "this thread has no more");
    assert_eq!(begin(3, second, 3), "spawning thread #0: 3 total client(s). 6 total requests\n");

    let mut result = common::result();
    let lots = Lots { clients: 3, rate: 1, every: second };
    let mut live = Live::new(Format::V1_70, Mode::Count(6), Some(lots));
    result.connections.attempted = 1;
    assert_eq!(live.event(&snapshot(&result, 2)), "progress: 33% of clients started\n");
    // One of them was opened again.
    result.connections.attempted = 4;
    assert_eq!(live.end(&result), "progress: 66% of clients started\nprogress: 100% of clients started\n");
}

#[test]
fn a_timed_run_tells_its_phases() {
    let mut live = Live::new(Format::Classic, TIMED, None);
    let spawn = Event::CoreStarting { core: 0, connections: 2, iterations: None };
    assert_eq!(
        live.event(&spawn),
        "spawning thread #0: 2 total client(s). Timing-based test with 1s of warm-up time and 10s of main duration for \
         measurements.\n"
    );
    assert_eq!(
        live.event(&Event::PhaseBegan { core: 0, phase: 0 }),
        "Warm-up started for thread #0.\nprogress: 50% of clients started\nprogress: 100% of clients started\n"
    );
    assert_eq!(live.event(&Event::PhaseBegan { core: 1, phase: 0 }), "Warm-up started for thread #1.\n");
    let connected =
        Event::Connected { core: 0, tls: Some(common::tls_facts()), application_protocol: "http/1.1" };
    assert_eq!(
        live.event(&connected),
        "TLS Protocol: TLSv1.3\nCipher: TLS_AES_128_GCM_SHA256\nServer Temp Key: X25519 253 bits\n\
         Application protocol: http/1.1\n"
    );
    assert_eq!(live.event(&Event::PhaseEnded { core: 0, phase: 0 }), "");
    assert_eq!(
        live.event(&Event::PhaseBegan { core: 0, phase: 1 }),
        "Warm-up phase is over for thread #0.\nMain benchmark duration is started for thread #0.\n"
    );
    assert_eq!(
        live.event(&Event::PhaseEnded { core: 0, phase: 1 }),
        "Main benchmark duration is over for thread #0. Stopping all clients.\nStopped all clients for thread #0\n"
    );
}

#[test]
fn without_a_warm_up_both_begin_at_once() {
    let mode = Mode::Timed { warm_up: Duration::ZERO, main: Duration::from_millis(500) };
    let mut live = Live::new(Format::V1_70, mode, None);
    let spawn = live.event(&Event::CoreStarting { core: 0, connections: 1, iterations: None });
    assert!(
        spawn.ends_with("with 0s of warm-up time and 0.5s of main duration for measurements.\n"),
        "{spawn}"
    );
    assert_eq!(
        live.event(&Event::PhaseBegan { core: 0, phase: 0 }),
        "Warm-up started for thread #0.\nprogress: 100% of clients started\nWarm-up phase is over for thread #0.\n\
         Main benchmark duration is started for thread #0.\n"
    );
}

/// The row `request` of a text, in its newest format.
fn request_row(text: &str) -> Vec<&str> {
    text.lines().find(|l| l.starts_with("request ")).unwrap().split_whitespace().skip(2).collect()
}

#[test]
fn times_kept_one_by_one_are_shown_as_they_are() {
    let mut exact = Exact::default();
    // Sorted: 0, 101, 202... us; those of three digits would be up to 0.1 % above.
    (0..1000).rev().for_each(|i| exact.record(i * 101_000));
    let style = Style { exact: Some(&exact), ..plain(Format::V1_70) };
    let text = render(&common::result(), Mode::Count(12), style);
    assert_eq!(
        request_row(&text)[..6],
        ["0us", "100.90ms", "50.45ms", "95.95ms", "99.99ms", "50.45ms"],
        "{text}"
    );
}

#[test]
fn the_output_file_has_the_fields_of_version_1() {
    let (result, mode) = (common::result(), Mode::Count(12));
    let mut exact = Exact::default();
    (1..=6).for_each(|i| exact.record(i * 1_000_000));
    let text = json::render(&result, mode, Some(&exact));
    let value: Value = serde_json::from_str(&text).unwrap();
    let keys = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&value), "version metadata measurements");
    assert_eq!((value["version"].as_str(), keys(&value["metadata"]).as_str()), (Some("v1"), "generator"));
    let m = &value["measurements"];
    assert_eq!(
        keys(m),
        "duration request_per_second bytes_per_second requests status_codes traffic performance"
    );
    assert_eq!(
        m["requests"].to_string(),
        r#"{"total":12,"started":10,"done":9,"succeeded":6,"failed":6,"errored":5,"timeout":1}"#
    );
    assert_eq!(m["status_codes"].to_string(), r#"{"2xx":5,"3xx":1,"4xx":0,"5xx":1}"#);
    assert_eq!(keys(&m["traffic"]), "total headers headers_decompressed data");
    assert!(m["bytes_per_second"].is_u64() && m["duration"].as_f64() == Some(11.0), "{m}");
    let p = &m["performance"];
    assert_eq!(keys(p), "request connect ttfb request_per_second");
    for (name, samples) in [("request", 6), ("connect", 4), ("ttfb", 4), ("request_per_second", 4)] {
        assert_eq!(keys(&p[name]), "min max median p95 p99 mean sd within_sd samples", "{name}");
        let values: Vec<f64> =
            p[name]["samples"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!((values.len(), values.is_sorted()), (samples, true), "{name}");
        assert_eq!(
            (Some(values[0]), values.last().copied()),
            (p[name]["min"].as_f64(), p[name]["max"].as_f64())
        );
    }
    assert_eq!(p["request"]["median"].as_f64(), Some(0.0035));
}
