//! Whole runs by the real binary against the real server: counts are exact, the books balance, output goes where it should.
#![allow(clippy::disallowed_methods, reason = "a test looks at the clock on the wall")]

mod common;

use common::plan::PlanFile;
use common::{Server, assert_balanced, command, json, loadgen, number, scratch, signal, stderr, stdout};
use serde_json::Value;
use std::io::BufRead as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

common::drivers::over_all_drivers!();

#[test]
fn the_server_sees_exactly_what_was_asked_for() {
    let server = Server::start();
    let mut sent = 0;
    for (n, c, t) in [("1", "1", "1"), ("500", "7", "1"), ("1000", "64", "2")] {
        let output = loadgen(&["--h1", "-n", n, "-c", c, "-t", t, "--format", "json", &server.http]);
        let result = json(&output);
        sent += n.parse::<u64>().unwrap();
        assert_eq!(
            (number(&result["succeeded"]), output.status.code()),
            (n.parse().unwrap(), Some(0)),
            "{result}"
        );
        assert_balanced(&result);
    }
    let stats = server.stats();
    assert_eq!((number(&stats["requests"]), number(&stats["by_status"]["200"])), (sent, sent));
}

#[test]
fn the_text_is_h2loads() {
    let server = Server::start();
    let output = loadgen(&["--h1", "-n", "20", "-c", "2", &format!("{}/?s=1k", server.http)]);
    let text = stdout(&output);
    assert_eq!((output.status.code(), text.lines().next()), (Some(0), Some("starting benchmark...")));
    for line in [
        "spawning thread #0: 2 total client(s). 20 total requests",
        "Application protocol: http/1.1",
        "progress: 10% done",
        "progress: 100% done",
        "requests: 20 total, 20 started, 20 done, 20 succeeded, 0 failed, 0 errored, 0 timeout",
        "status codes: 20 2xx, 0 3xx, 0 4xx, 0 5xx",
        "                 min         max         median      p95         p99         mean        sd         +/- sd",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(text.contains("20.00KB (20480) data"), "{text}");
    let labels: Vec<&str> =
        text.lines().rev().take(4).filter_map(|l| l.split(':').next()).map(str::trim_end).collect();
    assert_eq!(labels, ["req/s", "TTFB", "connect", "request"]);
    let classic = stdout(&loadgen(&["--h1", "--compat-output", "classic", &server.http]));
    assert!(classic.contains("\ntime for request: "), "{classic}");
}

#[test]
fn tls_and_its_lines() {
    let server = Server::start();
    let output = loadgen(&["--h1", "-n", "10", "-c", "2", &server.https]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    for begin in [
        "TLS Protocol: TLSv1.3",
        "Cipher: TLS_AES_128_GCM_SHA256",
        "Negotiated Group: X25519",
        "Resumption: no",
    ] {
        assert!(text.lines().any(|l| l.starts_with(begin)), "{begin}\n{text}");
    }
    let verified = loadgen(&["--h1", "--verify", &server.https]);
    assert_eq!(verified.status.code(), Some(1), "a certificate that nobody knows");
    assert!(stderr(&verified).contains("certificate"), "{}", stderr(&verified));
}

#[test]
fn a_timed_run_abandons_and_balances() {
    let server = Server::start();
    let url = format!("{}/?t=20ms", server.http);
    let begin = Instant::now();
    let result =
        json(&loadgen(&["--h1", "-D", "1s", "--warm-up-time", "500ms", "-c", "4", "--format", "json", &url]));
    assert!(begin.elapsed() >= Duration::from_millis(1500));
    assert_balanced(&result);
    assert!(number(&result["succeeded"]) > 40 && result["elapsed_s"].as_f64() == Some(1.0), "{result}");
    assert!(result["service_time"]["min_us"].as_f64() > Some(20_000.0), "{result}");
    let phases: u64 = result["phases"].as_array().unwrap().iter().map(|p| number(&p["started"])).sum();
    let stats = server.stats();
    assert!(number(&stats["requests"]) <= phases, "{stats}");
}

#[test]
fn a_body_is_posted_and_headers_arrive() {
    let server = Server::start();
    let args =
        ["--h1", "-n", "3", "--body", "hello", "-H", "x-a: b", "-H", "host: other", "--format", "json"];
    let url = format!("{}/echo", server.http);
    let result = json(&loadgen(&[&args[..], &[url.as_str()]].concat()));
    assert_eq!(number(&result["succeeded"]), 3, "{result}");
    assert_eq!(number(&server.stats()["body_bytes_received"]), 15);
}

#[test]
fn several_urls_share_the_requests() {
    let server = Server::start();
    let (a, b) = (format!("{}/any/a", server.http), "/any/b");
    assert_eq!(loadgen(&["--h1", "-n", "10", &a, b]).status.code(), Some(0));
    let stats = server.stats();
    let at = |path: &str| number(&stats["by_path"][path]["requests"]);
    assert_eq!((at("/any/a"), at("/any/b")), (5, 5), "{stats}");
}

#[test]
fn nothing_succeeded_is_2_and_0_for_h2load() {
    let server = Server::start();
    let url = format!("{}/?r=503", server.http);
    let output = loadgen(&["--h1", "-n", "5", &url]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("0 succeeded, 5 failed, 0 errored"), "{}", stdout(&output));
    let link = scratch("link");
    std::fs::create_dir_all(&link).unwrap();
    let h2load = link.join("h2load");
    let _ = std::fs::remove_file(&h2load);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_loadgen"), &h2load).unwrap();
    let status = std::process::Command::new(&h2load).args(["--h1", "-n", "5", &url]).output().unwrap().status;
    assert_eq!(status.code(), Some(0));
    std::fs::remove_dir_all(link).unwrap();
}

#[test]
fn machine_output_has_stdout_for_itself() {
    let server = Server::start();
    let output = loadgen(&["--h1", "-n", "5", "--format", "json", "--pretty", &server.http]);
    let parsed: Value = serde_json::from_str(&stdout(&output)).expect("only JSON");
    assert_eq!(number(&parsed["started"]), 5);
    let csv = stdout(&loadgen(&["--h1", "--format", "csv", &server.http]));
    assert!(csv.starts_with("proto,url,") && csv.lines().count() == 2, "{csv}");
}

#[test]
fn files_are_replaced_or_appended_to() {
    let server = Server::start();
    for (name, lines) in [("a.json", 1), ("b.jsonl", 2), ("c.csv", 3)] {
        let path = scratch(name);
        let _ = std::fs::remove_file(&path);
        for _ in 0..2 {
            let output = loadgen(&["--h1", "-n", "3", "-o", path.to_str().unwrap(), &server.http]);
            assert!(stdout(&output).contains("finished in"), "the text stays on stdout");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), lines, "{text}");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn one_run_into_every_format_and_a_time_series_that_adds_up() {
    let server = Server::start();
    let path = |name: &str| scratch(name).to_str().unwrap().to_owned();
    let (json, hlog, csv, rows) = (path("s.json"), path("s.hlog"), path("s.csv"), path("s.rows"));
    let xml = path("s.xml");
    let url = format!("{}/?t=5ms", server.http);
    let mut args = vec!["--h1", "-D", "600ms", "--warm-up-time", "300ms", "-c", "4", "-t", "2"];
    [&json, &hlog, &csv, &xml].iter().for_each(|file| args.extend(["-o", file.as_str()]));
    args.extend(["--interval", "100ms", "--json-timeline", "--timeline", &rows, &url]);
    let output = loadgen(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let read = |path: &str| {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::remove_file(path).unwrap();
        text
    };
    let result: Value = serde_json::from_str(&read(&json)).unwrap();
    let told: Vec<Value> = read(&rows).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Some(&told), result["timeline"]["rows"].as_array(), "told on the way and at the end");
    assert!(told.len() >= 9, "{} intervals of 100 ms", told.len());
    let sum = |record: bool, field: &str| -> u64 {
        told.iter().filter(|r| r["record"] == record).map(|r| number(&r[field])).sum()
    };
    for field in ["started", "succeeded", "abandoned"] {
        assert_eq!(sum(true, field), number(&result[field]), "{field}");
        assert_eq!(sum(false, field), number(&result["phases"][0][field]), "{field} of the warm-up");
    }
    let log = read(&hlog);
    assert!(log.contains("\n#[Histogram log format version 1.3]\n"), "{log}");
    let tagged = |tag: &str| log.lines().filter(|l| l.starts_with(&format!("Tag={tag},"))).count();
    let recorded = told.iter().filter(|r| r["record"] == true).count();
    assert_eq!((tagged("response_time"), tagged("unrecorded.send_lag")), (recorded, told.len() - recorded));
    assert_eq!(read(&csv).lines().count(), 2);
    assert!(read(&xml).contains("<testsuite name=\"verdict\""));
}

#[test]
fn a_time_series_on_stdout_has_it_for_itself() {
    let server = Server::start();
    let args = ["--h1", "-n", "20", "--timeline", "-", &server.http];
    let lines = stdout(&loadgen(&args));
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("only JSON")).collect();
    assert_eq!(rows.iter().map(|r| number(&r["succeeded"])).sum::<u64>(), 20);
}

#[test]
fn quiet_and_no_human() {
    let server = Server::start();
    let quiet = loadgen(&["-q", "-n", "3", &server.http]);
    assert!(stdout(&quiet).starts_with("\nfinished in") && stderr(&quiet).is_empty(), "{}", stderr(&quiet));
    let silent = loadgen(&["--no-human", "-n", "3", &server.http]);
    assert!(silent.stdout.is_empty() && silent.stderr.is_empty());
}

/// What a run of `seconds` says that gets this signal, and how long it then took. It begins with SIGHUP handled as given.
fn signalled(sent: i32, hangup: libc::sighandler_t, seconds: &str) -> (Output, Duration) {
    let server = Server::start();
    let args = ["--h1", "-D", seconds, "-c", "2", "--format", "json", &server.http];
    let mut command = command(&args);
    // SAFETY: signal(2) may be called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::signal(libc::SIGHUP, hangup);
            Ok(())
        });
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(800));
    let begin = Instant::now();
    signal(child.id(), sent);
    (child.wait_with_output().unwrap(), begin.elapsed())
}

#[test]
fn an_interrupt_reports_and_exits_130() {
    for sent in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let (output, took) = signalled(sent, libc::SIG_DFL, "60s");
        assert!(took < Duration::from_secs(5), "signal {sent}");
        assert_eq!(output.status.code(), Some(130), "signal {sent}: {}", stderr(&output));
        let result = json(&output);
        assert_balanced(&result);
        assert_eq!((result["interrupted"].as_bool(), number(&result["exit_code"])), (Some(true), 130));
        assert!(number(&result["succeeded"]) > 0);
    }
}

#[test]
fn under_nohup_the_end_of_the_terminal_ends_nothing() {
    let (output, _) = signalled(libc::SIGHUP, libc::SIG_IGN, "1500ms");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(json(&output)["interrupted"], false);
}

/// Stopped, frozen with its container or its machine: what was in flight looks slow, and that is not the server's doing.
#[test]
fn a_client_that_stood_still_says_so() {
    let server = Server::start();
    let file = scratch("stopped.json");
    let args = [
        "--h1",
        "-D",
        "60s",
        "--interval",
        "50ms",
        "--timeline",
        "-",
        "-o",
        file.to_str().unwrap(),
        &server.http,
    ];
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut rows = std::io::BufReader::new(child.stdout.take().unwrap());
    assert_ne!(rows.read_line(&mut String::new()).unwrap(), 0, "it runs");
    signal(child.id(), libc::SIGSTOP);
    std::thread::sleep(Duration::from_millis(500));
    signal(child.id(), libc::SIGCONT);
    assert_ne!(rows.read_line(&mut String::new()).unwrap(), 0, "it goes on");
    signal(child.id(), libc::SIGINT);
    std::io::copy(&mut rows, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let result: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let _ = std::fs::remove_file(&file);
    assert_eq!(result["verdict"], "SUSPECT", "{result}");
    assert!(result["verdict_reasons"].to_string().contains("this client stood still"), "{result}");
    assert!(result["cost"]["longest_pause_us"].as_f64() > Some(250_000.0), "{result}");
}

#[test]
fn a_second_interrupt_does_not_wait() {
    let server = Server::start();
    let args = ["--h1", "-D", "60s", "--format", "json", &format!("{}/?t=30s", server.http)];
    let child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let begin = Instant::now();
    signal(child.id(), libc::SIGINT);
    std::thread::sleep(Duration::from_millis(200));
    signal(child.id(), libc::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(number(&json(&output)["abandoned"]), 1);
}

#[test]
fn the_command_lines_of_loadgen_rs_run_unchanged() {
    let server = Server::start();
    for line in [
        "-n 0 -D 1s -c 8 -t 4 --h1 --insecure",
        "--alpn-list|h2, http/1.1",
        "--duration 1s",
        "-n 5 --metrics-sample 10 --tail-friendly --connect-timeout 5s --request-timeout 5s -4 --tcp-quickack --method GET",
        "-n 5 --no-human --tls-ciphers TLS_AES_128_GCM_SHA256",
    ] {
        let args: Vec<&str> = match line.split_once('|') {
            Some((option, value)) => vec![option, value],
            None => line.split(' ').collect(),
        };
        let output = loadgen(&[&args[..], &[server.https.as_str()]].concat());
        assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
    }
}

#[test]
fn the_server_inside() {
    for url in ["builtin", "builtin/login", "builtin+tls/"] {
        let result = json(&loadgen(&["--h1", "-n", "20", "-c", "2", "--format", "json", url]));
        assert_eq!(number(&result["succeeded"]), 20, "{url}: {result}");
    }
    let verified = loadgen(&["--h1", "--verify", "-n", "5", "builtin+tls/"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
}

#[test]
fn every_plan_in_configs_runs() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        seen += 1;
        let file = path.to_str().unwrap();
        let output = loadgen(&["-f", file, "--smoke", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", stderr(&output));
        let result = json(&output);
        assert_balanced(&result);
        assert!(number(&result["succeeded"]) > 0, "{file}: {result}");
        // By the run's own clock: other tests may leave a process waiting for a CPU before and after.
        assert!(result["wall_s"].as_f64() < Some(5.0), "{file}: {result}");
    }
    assert!(seen > 0);
}

#[test]
fn a_plan_ends_with_the_summary() {
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/quickstart.yaml");
    let text = stdout(&loadgen(&["-f", plan, "--smoke"]));
    for part in ["quickstart", "response time", "steady", "messages", "thresholds", "client cost"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_threshold_that_fails_is_99() {
    let path = scratch("threshold.yaml");
    let plan = "version: 1\ntarget: builtin\nscenarios:\n  s:\n    steps:\n      - get: /\nphases:\n  - { users: 1, iterations: 20 }\n\
                thresholds:\n  - max(response_time) < 1us\n  - error_rate < 1%\n";
    std::fs::write(&path, plan).unwrap();
    let output = loadgen(&["-f", path.to_str().unwrap()]);
    std::fs::remove_file(path).unwrap();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(99), "{text}{}", stderr(&output));
    assert!(
        text.contains("FAIL  max(response_time) < 1us") && text.contains("ok    error_rate < 1%"),
        "{text}"
    );
}

/// A plan of a fast and a slow step that would take a minute.
fn minute(thresholds: &str) -> String {
    format!(
        "version: 1\ntarget: builtin\nscenarios:\n  s:\n    steps:\n      - {{ get: /, name: fast }}\n      \
         - {{ get: \"/?t=5ms\", name: slow }}\nphases:\n  - {{ name: warm-up, users: 2, for: 300ms, record: false }}\n  \
         - {{ name: main, users: 2, for: 60s }}\nthresholds:\n{thresholds}"
    )
}

#[test]
fn a_threshold_that_is_watched_ends_the_run_with_99_and_the_result_so_far() {
    let path = scratch("abort.yaml");
    let that = "\"p50(service_time, step=slow, phase=main) < 4ms\"";
    let thresholds = format!(
        "  - error_rate < 1%\n  - {{ that: {that}, abort_after: 400ms }}\n  - {{ that: failed < 9, abort_after: 0s }}\n"
    );
    std::fs::write(&path, minute(&thresholds)).unwrap();
    let (file, json) = (path.to_str().unwrap(), scratch("abort.json"));
    let output = loadgen(&["-f", file, "--interval", "100ms", "-t", "2", "-o", json.to_str().unwrap()]);
    let (text, said) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(99), "{text}{said}");
    assert!(text.contains("(aborted by a threshold)") && text.contains("; ended the run after "), "{text}");
    assert!(
        said.contains("the threshold `p50(service_time, step=slow, phase=main) < 4ms` fails after "),
        "{said}"
    );
    let result: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    std::fs::remove_file(json).unwrap();
    assert_balanced(&result);
    assert_eq!((result["aborted"].as_bool(), result["interrupted"].as_bool()), (Some(true), Some(false)));
    assert_eq!((number(&result["exit_code"]), number(&result["abandoned"])), (99, 0), "it drained");
    let wall = result["wall_s"].as_f64().unwrap();
    let t = &result["thresholds"];
    let (at, by) = (t[1]["aborted_at_s"].as_f64().unwrap(), t[1]["aborted_by"].as_f64().unwrap());
    // The wall time is that of the phases; what was watched began with the first core.
    assert!((0.7..=wall + 0.3).contains(&at) && wall < 30.0 && by > 4000.0, "at {at} of {wall} s by {by} us");
    assert_eq!(
        (t[0]["holds"].as_bool(), t[1]["holds"].as_bool(), t[2]["holds"].as_bool()),
        (Some(true), Some(false), Some(true))
    );
    assert!(t[0]["aborted_at_s"].is_null());
    // A moment of load ends nothing.
    let smoke = loadgen(&["-f", file, "--smoke", "--interval", "100ms"]);
    assert_eq!(smoke.status.code(), Some(0), "{}", stderr(&smoke));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_interrupt_before_a_watched_threshold_fails_is_an_interrupt() {
    let path = scratch("watched.yaml");
    std::fs::write(&path, minute("  - { that: error_rate < 1%, abort_after: 0s }\n")).unwrap();
    let args = ["-f", path.to_str().unwrap(), "--interval", "20ms", "--timeline", "-"];
    let mut child = command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut rows = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // It runs, and its series is told as it goes.
    while !line.contains("\"phase\":\"main\"") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut rows, &mut line).unwrap() > 0, "the run ended");
    }
    signal(child.id(), libc::SIGINT);
    std::io::Read::read_to_end(&mut rows, &mut Vec::new()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_invalid_run_is_3_where_valid_ones_are_required() {
    let server = Server::start();
    // The server goes away for good: a run that counts gives up, and its figures are not what was asked for.
    let args = ["--h1", "-n", "100000000", "-c", "4", "--require-valid", "--format", "json", &server.http];
    let child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    drop(server);
    let output = child.wait_with_output().unwrap();
    let result = json(&output);
    assert!(number(&result["succeeded"]) > 0, "{result}");
    assert_eq!(
        (result["verdict"].as_str(), output.status.code()),
        (Some("INVALID"), Some(3)),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_run_that_begins_no_request_says_why() {
    let text = |steps: &str, phases: &str| {
        format!(
            "version: 1\ntarget: builtin\ndata: {{ d: {{ values: [a], order: unique }} }}\nscenarios: {{ s: {{ steps: [ {steps} ] }} }}\n\
             phases: [ {phases} ]\n"
        )
    };
    let never = "{ if: user_number > 99, then: [ get: / ] }";
    let rows = "{ name: warm-up, users: 1, iterations: 1, record: false }, { users: 2, for: 10s }";
    for (steps, phases, reason) in [
        (never, "{ users: 2, iterations: 8 }", "no request was begun; 8 iterations went by without one"),
        (
            "{ if: user_number >= 0, then: [ { fail: no luck } ] }, get: /",
            "{ users: 2, iterations: 8 }",
            "no request was begun; 8 iterations failed for this reason: no luck",
        ),
        ("get: '/{{d}}'", rows, "no request was begun in a recorded phase; the rows of d may be used up"),
    ] {
        let plan = PlanFile::new("nothing", &text(steps, phases));
        let output = loadgen(&["-f", plan.path()]);
        let shown = stdout(&output);
        assert_eq!(output.status.code(), Some(2), "{shown}");
        assert!(shown.starts_with("INVALID") && shown.contains(reason), "{reason}\n{shown}");
        let result = json(&loadgen(&["-f", plan.path(), "--format", "json"]));
        assert_eq!((&result["exit_code"], &result["started"]), (&2.into(), &0.into()));
        assert_eq!(result["verdict"], "INVALID");
        assert!(result["verdict_reasons"].to_string().contains(reason), "{}", result["verdict_reasons"]);
    }
}
