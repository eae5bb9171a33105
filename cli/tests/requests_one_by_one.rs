//! What is kept of single requests, and where they come from: `-i`, `--log-file`, `--output-file`, `--trace`.

mod common;

use common::{Server, command, json, loadgen, scratch, signal, stderr, stdout, text};
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

/// A file that is gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &str) -> Scratch {
        let path = scratch(name);
        let _ = std::fs::remove_file(&path);
        if !content.is_empty() {
            std::fs::write(&path, content).unwrap();
        }
        Scratch(path)
    }
    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
    fn read(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A line of the log: start and duration in microseconds, and the status.
fn lines(log: &str) -> Vec<(u64, i64, u64)> {
    let each = log.lines().map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        assert_eq!(columns.len(), 3, "{line}");
        (columns[0].parse().unwrap(), columns[1].parse().unwrap(), columns[2].parse().unwrap())
    });
    each.collect()
}

/// As h2load's text shows a time of so many microseconds.
fn shown(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{}us", us as u64),
        us if us < 1e6 => format!("{:.2}ms", us / 1e3),
        us => format!("{:.2}s", us / 1e6),
    }
}

#[test]
fn a_file_of_urls_replaces_those_of_the_command_line() {
    let server = Server::start();
    let file = Scratch::new("urls", &format!("\u{feff}{0}/any/a\n{0}/any/b?x=1\n/any/c\n", server.http));
    for order in
        [["-i", file.path(), "http://nobody.invalid/"], ["http://nobody.invalid/", "-i", file.path()]]
    {
        let output = loadgen(&[&["--h1", "-n", "6", "-c", "2"][..], &order[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let mut child =
        command(&["--h1", "-n", "3", "-i", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(file.read().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let stats = server.stats();
    let at = |path: &str| stats["by_path"][path]["requests"].as_u64();
    // Each connection begins with the first: two of three requests each, twice, and one of three.
    assert_eq!((at("/any/a"), at("/any/b"), at("/any/c")), (Some(5), Some(5), Some(5)), "{stats}");
}

#[test]
fn files_that_are_no_list_of_urls() {
    for (content, part) in [("http://a/\n\nhttp://b/\n", "line 2: invalid URI"), ("x y\n", "invalid URI")] {
        let file = Scratch::new("no-urls", content);
        let output = loadgen(&["-i", file.path()]);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(part), "{}", stderr(&output));
    }
    let output = loadgen(&["-i", "/no/such/file"]);
    assert!(stderr(&output).contains("cannot read input file: /no/such/file"), "{}", stderr(&output));
}

#[test]
fn the_log_and_the_text_say_the_same_to_the_microsecond() {
    let server = Server::start();
    let us = |t: SystemTime| t.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64;
    // Fast ones and slow ones: what a histogram of three digits cannot tell apart.
    for (path, n) in [("/?s=100", 3000), ("/?t=37ms", 100)] {
        let (log, began) = (Scratch::new("log", ""), us(SystemTime::now()));
        let url = format!("{}{path}", server.http);
        let args = ["-n", &n.to_string(), "-c", "4", "-t", "2", "-m", "2", "--log-file", log.path(), &url];
        let output = loadgen(&args);
        let (text, lines) = (stdout(&output), lines(&log.read()));
        assert_eq!(lines.len(), n, "{}", stderr(&output));
        let now = us(SystemTime::now());
        assert!(lines.iter().all(|l| (began..now).contains(&l.0) && l.1 == 200), "{path}");
        let mut took: Vec<f64> = lines.iter().map(|l| l.2 as f64).collect();
        took.sort_unstable_by(f64::total_cmp);
        let at = |p: f64| took[(n as f64 * p) as usize];
        let want = [took[0], took[n - 1], (took[n / 2 - 1] + took[n / 2]) / 2.0, at(0.95), at(0.99)];
        let row = text.lines().find(|l| l.starts_with("request ")).unwrap_or_else(|| panic!("{text}"));
        let cells: Vec<&str> = row.split_whitespace().skip(2).collect();
        for (cell, us) in cells.iter().zip(want) {
            // The log has whole microseconds, cut off: at the edge of a digit the text may be of the next one.
            let near = [us, us + 0.9999].map(shown);
            assert!(near.iter().any(|s| s == cell), "{path}: {cell} is not one of {near:?}\n{text}");
        }
    }
}

#[test]
fn a_log_is_appended_to_and_holds_failures_and_every_status() {
    let server = Server::start();
    let log = Scratch::new("append", "");
    let missing = format!("{}/?r=404", server.http);
    assert_eq!(loadgen(&["--h1", "-n", "5", "--log-file", log.path(), &missing]).status.code(), Some(2));
    let args = ["--h1", "-n", "3", "--request-timeout", "50ms", "--log-file", log.path()];
    assert_eq!(loadgen(&[&args[..], &[&format!("{}/?t=10s", server.http)]].concat()).status.code(), Some(2));
    let lines = lines(&log.read());
    let statuses: Vec<i64> = lines.iter().map(|l| l.1).collect();
    assert_eq!(statuses, [404, 404, 404, 404, 404, -1, -1, -1]);
    assert!(lines[5..].iter().all(|l| l.2 >= 50_000), "{lines:?}");
}

#[test]
fn an_interrupt_loses_no_line() {
    let server = Server::start();
    let log = Scratch::new("interrupt", "");
    let args = ["--h1", "-D", "60s", "-c", "8", "--log-file", log.path(), "--format", "json", &server.http];
    let child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The first lines come while the run goes on.
    while log.read().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(child.id(), libc::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let result = json(&output);
    let ended = result["succeeded"].as_u64().unwrap() + result["failed"].as_u64().unwrap();
    assert_eq!(lines(&log.read()).len() as u64, ended, "{result}");
}

#[test]
fn warm_up_is_not_in_the_log() {
    let server = Server::start();
    let log = Scratch::new("warm-up", "");
    let args =
        ["--h1", "-D", "500ms", "--warm-up-time", "500ms", "--log-file", log.path(), "--format", "json"];
    let result = json(&loadgen(&[&args[..], &[&server.http]].concat()));
    assert_eq!(lines(&log.read()).len() as u64, result["succeeded"].as_u64().unwrap());
}

#[test]
fn the_output_file_is_h2loads_json() {
    let server = Server::start();
    let file = Scratch::new("output.json", "what was there before is replaced, however long it was");
    let url = format!("{}/?s=100", server.https);
    for n in [50, 20] {
        let output =
            loadgen(&["-n", &n.to_string(), "-c", "2", "-m", "4", "--output-file", file.path(), &url]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).contains("finished in"));
        let value: Value = serde_json::from_str(&file.read()).unwrap();
        assert_eq!(value["version"], "v1");
        let m = &value["measurements"];
        assert_eq!(
            (m["requests"]["succeeded"].as_u64(), m["status_codes"]["2xx"].as_u64()),
            (Some(n), Some(n))
        );
        let performance = m["performance"].as_object().unwrap();
        let samples: Vec<usize> =
            performance.values().map(|p| p["samples"].as_array().unwrap().len()).collect();
        assert_eq!(samples, [n as usize, 2, 2, 2]);
    }
}

#[test]
fn a_trace_shows_the_first_requests_on_stderr_and_nothing_secret() {
    let server = Server::start();
    for protocol in ["--h1", "-v"] {
        let url = format!("{}/?s=30", server.http);
        let args = ["-n", "9", "-c", "2", "--trace", "3", "-H", "authorization: sesame", protocol, &url];
        let output = loadgen(&args);
        let (out, err) = (stdout(&output), stderr(&output));
        assert!(out.contains("9 succeeded") && !out.contains("> GET"), "{out}");
        assert_eq!((err.matches("> GET /?s=30\n").count(), err.matches("< 200 ").count()), (3, 3), "{err}");
        assert!(err.contains("> authorization: ***\n") && !err.contains("sesame"), "{err}");
        assert!(err.contains("< content-length: 30\n"), "{err}");
    }
}

#[test]
fn places_that_cannot_be_written_are_said_before_the_run() {
    for option in ["--log-file", "--output-file"] {
        let output = loadgen(&[option, "/no/such/directory/x", "http://nobody.invalid/"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(option), "{}", stderr(&output));
    }
    let output = loadgen(&["-n", "5", "--log-file", "/dev/full", "builtin"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("5 succeeded"), "the results are shown all the same");
    assert!(stderr(&output).contains("--log-file: cannot write /dev/full"), "{}", stderr(&output));
}

#[test]
fn so_many_urls_have_figures_together() {
    let server = Server::start();
    for (n, steps) in [(1000, 1000), (1001, 1)] {
        let urls: String = (0..n).map(|i| format!("{}/any/{i}\n", server.http)).collect();
        let file = Scratch::new(&format!("many-{n}"), &urls);
        let result = json(&loadgen(&["--h1", "-n", &n.to_string(), "-i", file.path(), "--format", "json"]));
        assert_eq!(result["succeeded"], n);
        let of_steps = result["steps"].as_array().unwrap();
        assert_eq!(of_steps.len(), steps);
        let sum: u64 = of_steps.iter().map(|s| s["succeeded"].as_u64().unwrap()).sum();
        assert_eq!(sum, n);
    }
}
