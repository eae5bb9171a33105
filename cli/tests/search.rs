//! A search by the real binary, against servers whose capacity is known.

mod common;

use common::plan::{Going, PlanFile};
use common::{Server, command, json, loadgen, scratch, signal, stderr, stdout};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// Searches on a path with probes so short that the test is, too.
fn plan(target: &str, path: &str, search: &str) -> String {
    format!(
        "version: 1\ntarget: {target}\nconnections: 16\nscenarios: {{ s: {{ steps: [ get: '{path}' ] }} }}\nsearch:\n  \
         probe: 700ms\n  warm_up: 200ms\n  settle: 50ms\n{search}"
    )
}

/// Time plays no part in the condition, so that a slow machine finds the same.
const RATE: &str = "  highest: rate\n  while: error_rate < 1%\n  from: 50/s\n  to: 5k/s\n";

#[test]
fn the_capacity_of_a_token_bucket_is_found() {
    let file = PlanFile::new("bucket", &plan("builtin", "/limited?rate=400&burst=20", RATE));
    let output = loadgen(&["-f", file.path(), "--format", "json"]);
    let result = json(&output);
    let search = &result["search"];
    assert_eq!(output.status.code(), Some(0), "{search:#}");
    let highest = search["highest"].as_f64().expect("a rate");
    // 400 per second, one in a hundred of them may fail, and the burst is spread over 700 ms.
    assert!((380.0..=425.0).contains(&highest), "{search:#}");
    assert_eq!(search["confirmed"], true);
    let probes = search["probes"].as_array().expect("a list");
    let loads: Vec<f64> = probes.iter().filter_map(|p| p["load"].as_f64()).collect();
    assert_eq!(loads[..4], [50.0, 100.0, 200.0, 400.0]);
    let came = |word: &str| probes.iter().filter(|p| p["came_out"] == word).count();
    // On a busy machine some that fail are put down to the client.
    assert!(came("held") >= 5 && came("failed") + came("unclear") >= 3 && came("failed") >= 1, "{search:#}");
    // The rest of the result is of the probe at that load.
    let (started, probe) = (result["started"].as_u64().expect("a count") as f64, 0.7);
    assert!((started / probe / highest - 1.0).abs() < 0.1, "{started}");
    assert_eq!(result["thresholds"][0]["holds"], true);
    assert_eq!(result["plan"]["search"]["highest"], "rate");
}

#[test]
fn people_read_the_load_the_interval_and_every_probe() {
    let search = "  highest: rate\n  while: error_rate < 1%\n  from: 50/s\n  to: 100/s\n  at_least: 200/s\n  confirm: 1\n";
    let file = PlanFile::new("text", &plan("builtin", "/", search));
    let junit = scratch("search.xml");
    let output = loadgen(&["-f", file.path(), "-o", junit.to_str().expect("UTF-8")]);
    let (text, progress) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(99), "less than at_least: {text}");
    let junit = std::fs::read_to_string(&junit).expect("an output");
    let (test, reason) = ("name=\"at_least 200/s\"", "message=\"the highest rate that holds is 100/s\"");
    assert!(junit.contains(test) && junit.contains(reason), "{junit}");
    for part in [
        "highest rate: 100/s",
        "`to` was reached",
        "FAIL  at_least 200/s",
        "limit: at least 100/s",
        "error_rate < 1%",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(
        progress.contains("probe 1   rate 50/s") && progress.contains("probe 2   rate 100/s"),
        "{progress}"
    );
}

#[test]
fn a_load_that_never_holds() {
    let search = "  highest: users\n  while: error_rate < 1%\n  from: 1\n  to: 8\n";
    let file = PlanFile::new("never", &plan("builtin", "/?r=503", search));
    let output = loadgen(&["-f", file.path(), "--format", "json"]);
    let search = json(&output)["search"].clone();
    assert!(search["highest"].is_null() && search["interval"].is_null(), "{search:#}");
    let probes = search["probes"].as_array().expect("a list");
    // Twice, and again where other work kept the client from its CPU.
    assert!((2..=5).contains(&probes.len()) && probes.iter().all(|p| p["load"] == 1.0), "{search:#}");
    assert_eq!(output.status.code(), Some(99), "what was looked for was not found");
    assert_eq!(json(&output)["exit_code"], 99);
}

#[test]
fn users_are_searched_too() {
    let search = "  highest: users\n  while: error_rate < 5%\n  from: 1\n  to: 4\n";
    let file = PlanFile::new("users", &plan("builtin", "/?t=10ms", search));
    let search = json(&loadgen(&["-f", file.path(), "--format", "json"]))["search"].clone();
    assert_eq!(
        (search["quantity"].as_str(), search["highest"].as_f64()),
        (Some("users"), Some(4.0)),
        "{search:#}"
    );
    let loads: Vec<&Value> =
        search["probes"].as_array().expect("a list").iter().map(|p| &p["load"]).collect();
    assert_eq!(loads, [1.0, 2.0, 4.0, 4.0, 4.0]);
}

#[test]
fn an_interrupt_ends_it_with_what_is_known() {
    let file = PlanFile::new("interrupt", &plan("builtin", "/", RATE).replace("700ms", "2s"));
    let run = Going::since(&file, "probe 1");
    signal(run.pid(), libc::SIGINT);
    let output = run.end();
    assert_eq!(output.status.code(), Some(130));
    let result = json(&output);
    let search = &result["search"];
    assert_eq!((search["limited_by"].as_str(), search["highest"].as_f64()), (Some("unfinished"), Some(50.0)));
    // The probe that is shown came to its end, the search did not.
    assert_eq!((&result["interrupted"], &result["exit_code"]), (&true.into(), &130.into()));
}

#[test]
fn an_interrupt_between_two_probes_is_one_in_every_output() {
    let plan = plan("builtin", "/", RATE).replace("700ms", "300ms").replace("settle: 50ms", "settle: 60s");
    let (file, result) = (PlanFile::new("between", &plan), scratch("between.json"));
    let mut child = command(&["-f", file.path(), "-o", result.to_str().expect("UTF-8")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = said.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("probe 1 ")), "it ended early");
    signal(child.id(), libc::SIGINT);
    let drain = std::thread::spawn(move || lines.count());
    let output = child.wait_with_output().expect("it ends");
    drain.join().expect("a thread");
    assert_eq!(output.status.code(), Some(130));
    let text = stdout(&output);
    assert!(text.contains("(not confirmed: interrupted)"), "{text}");
    assert!(text.contains("interrupted: the search is not finished"), "{text}");
    let json: Value = serde_json::from_slice(&std::fs::read(&result).expect("a result")).expect("JSON");
    let _ = std::fs::remove_file(&result);
    assert_eq!((&json["interrupted"], &json["exit_code"]), (&true.into(), &130.into()));
    assert_eq!(json["search"]["limited_by"], "unfinished");
}

#[test]
fn no_server_is_an_error_and_no_search() {
    let file = PlanFile::new("nobody", &plan("http://127.0.0.1:1", "/", RATE));
    let output = loadgen(&["-f", file.path()]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let output = loadgen(&["-f", file.path(), "--timeline", "x.jsonl"]);
    assert!(stderr(&output).contains("--timeline is of one run"), "{}", stderr(&output));
}

#[test]
fn a_server_limited_as_a_whole_can_be_tried() {
    let server = Server::with(&["--limit", "0.01/s"]);
    let output = loadgen(&["--h1", "-n", "5", &server.http]);
    assert!(stdout(&output).contains("status codes: 1 2xx, 0 3xx, 4 4xx, 0 5xx"), "{}", stdout(&output));
}
