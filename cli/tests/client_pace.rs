//! h2load's flags that say when connections and requests begin and when a connection has lasted long enough: `-r`, `-T`, `-N`,
//! `--timing-script-file`, `--rps`, and our `--pacing`. What the server counted is what was asked for. Times are only held
//! against what they cannot be shorter than.

mod common;

use common::plan::seen;
use common::{Server, accepted, assert_balanced, command, json, loadgen, number, scratch, stderr, stdout};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ALL: [&str; 3] = ["--h1", "--alpn-list=h2", "--h3"];

fn url(server: &Server, http: &str, path: &str) -> String {
    let base = if http == "--h1" { &server.http } else { &server.https };
    format!("{base}{path}")
}

/// The result of a run with these arguments, which ends with this code.
fn run(args: &[&str], code: i32) -> Value {
    let output = loadgen(&[args, &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    let result = json(&output);
    assert_balanced(&result);
    result
}

/// Started, succeeded, failed, and failed for want of time.
fn books(result: &Value) -> [u64; 4] {
    ["started", "succeeded", "failed", "failed_timeout"].map(|name| number(&result[name]))
}

/// Exit 1 and one message with all these parts, before anything is sent.
fn refused(args: &[&str], parts: &[&str]) {
    let output = loadgen(&[args, &["--h1", "http://127.0.0.1:1/"]].concat());
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {message}");
    assert_eq!(message.matches("loadgen: error: ").count(), 1, "{args:?}: {message}");
    assert!(!stdout(&output).contains("starting benchmark"), "{args:?}");
    for part in parts {
        assert!(message.contains(part), "{args:?}: {part} is not in: {message}");
    }
}

#[test]
fn connections_are_made_so_many_a_period_and_no_more_than_there_are_clients() {
    for http in ALL {
        for threads in ["1", "2"] {
            let server = Server::start();
            let target = url(&server, http, "/");
            let args = ["-n", "7", "-c", "6", "-t", threads, "-r", "2", "--rate-period=150ms", http, &target];
            let result = run(&args, 0);
            assert_eq!(books(&result), [7, 7, 0, 0], "{http}");
            assert!(result["elapsed_s"].as_f64().unwrap() >= 0.3, "the last two come with the third period");
            let stats = server.stats_after(6);
            assert_eq!((accepted(&stats), number(&stats["requests"])), (6, 7), "{http} {stats}");
        }
    }
    // All at once, and the period plays no part without a rate.
    for more in [&["-r", "3", "--rate-period=1h"][..], &["--rate-period=1h"]] {
        let server = Server::start();
        run(&[&["-n", "3", "-c", "3", "--h1", &server.http], more].concat(), 0);
        assert_eq!(accepted(&server.stats_after(3)), 3, "{more:?}");
    }
}

#[test]
fn a_connection_that_has_lasted_its_time_is_ended_and_another_goes_on() {
    for http in ALL {
        let server = Server::start();
        // Each connection answers some and is ended within the next.
        let result = run(&["-n", "8", "-c", "1", "-T", "500ms", http, &url(&server, http, "/?t=150ms")], 0);
        let [started, succeeded, failed, late] = books(&result);
        assert_eq!((started, failed), (8, late), "{http} {result}");
        assert!(succeeded > 0 && failed > 0, "{http} {result}");
        let connections = accepted(&server.stats_after(failed));
        assert!((failed..=failed + 1).contains(&connections), "{http} {connections} {result}");
    }
    let server = Server::start();
    let result = run(&["-n", "2", "-c", "2", "-T", "200ms", "--h1", &url(&server, "--h1", "/?t=30s")], 2);
    assert_eq!(books(&result), [2, 0, 2, 2]);
}

#[test]
fn a_silent_connection_has_timed_out_and_one_that_is_heard_of_has_not() {
    for http in ALL {
        let server = Server::start();
        let result = run(&["-n", "2", "-c", "2", "-N", "250ms", http, &url(&server, http, "/?t=30s")], 2);
        assert_eq!(books(&result), [2, 0, 2, 2], "{http}");
        assert_eq!(accepted(&server.stats_after(2)), 2, "{http}");
        let server = Server::start();
        let result = run(&["-n", "4", "-c", "2", "-N", "10s", http, &url(&server, http, "/?t=50ms")], 0);
        assert_eq!(books(&result), [4, 4, 0, 0], "{http}");
        assert_eq!(accepted(&server.stats_after(2)), 2, "{http}");
    }
    // 0 is h2load's word for none.
    for option in ["-T", "-N"] {
        let server = Server::start();
        let result = run(&["-n", "1", option, "0", "--h1", &url(&server, "--h1", "/?t=50ms")], 0);
        assert_eq!(books(&result), [1, 1, 0, 0], "{option}");
    }
}

/// Offsets and paths; the host is the server's.
fn script(server: &Server, http: &str) -> String {
    [(0, "/any/a"), (60, "/any/b"), (60, "/any/b"), (240, "/any/c")]
        .map(|(at, path)| format!("{at}\t{}\n", url(server, http, path)))
        .concat()
}

#[test]
fn every_client_goes_through_the_timing_script() {
    for http in ALL {
        for (n, each) in [
            (&[][..], [1, 2, 1]),
            (&["-n", "3"], [1, 2, 0]),
            (&["-n", "1"], [1, 0, 0]),
            (&["-n", "99"], [1, 2, 1]),
        ] {
            let server = Server::start();
            let path = scratch("timing.txt");
            std::fs::write(&path, script(&server, http)).unwrap();
            let file = format!("--timing-script-file={}", path.to_str().unwrap());
            // A URL beside the script is not looked at.
            let result = run(&[&[&file, "-c", "2", "-t", "2", http, "http://other.invalid/"], n].concat(), 0);
            let total = 2 * each.iter().sum::<u64>();
            assert_eq!(books(&result), [total, total, 0, 0], "{http} {n:?}");
            let least = [0.0, 0.06, 0.24][each.iter().filter(|n| **n > 0).count() - 1];
            assert!(result["elapsed_s"].as_f64().unwrap() >= least, "{http} {n:?} {}", result["elapsed_s"]);
            let stats = server.stats_after(2);
            let seen = ["a", "b", "c"].map(|p| seen(&stats, &format!("/any/{p}")));
            assert_eq!(seen, each.map(|n| 2 * n), "{http} {n:?} {stats}");
            assert_eq!(accepted(&stats), 2, "{http} {n:?} {stats}");
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_line_of_a_timing_script_whose_time_has_passed_is_sent_at_once() {
    let server = Server::start();
    let path = scratch("passed.txt");
    let lines =
        [(120, "a"), (0, "b"), (60, "c")].map(|(at, name)| format!("{at}\t{}/any/{name}\n", server.http));
    std::fs::write(&path, lines.concat()).unwrap();
    let file = format!("--timing-script-file={}", path.to_str().unwrap());
    let result = run(&[&file, "--h1"], 0);
    std::fs::remove_file(path).unwrap();
    assert_eq!(books(&result), [3, 3, 0, 0]);
    assert!(result["elapsed_s"].as_f64().unwrap() >= 0.12, "the first is the first: {}", result["elapsed_s"]);
    let stats = server.stats();
    assert_eq!(["a", "b", "c"].map(|name| seen(&stats, &format!("/any/{name}"))), [1, 1, 1], "{stats}");
}

#[test]
fn a_timing_script_comes_from_standard_input_and_goes_to_the_base() {
    let server = Server::start();
    let mut child = command(&["--timing-script-file=-", "--h1", "-B", &server.http, "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().unwrap().write_all(b"0.5\thttp://other.invalid/any/a\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(seen(&server.stats(), "/any/a"), 1);
}

#[test]
fn each_client_keeps_its_rate_however_the_core_waits() {
    for pacing in ["precise", "sleep"] {
        for http in ALL {
            let server = Server::start();
            let target = url(&server, http, "/");
            let result = run(&["-n", "9", "-c", "2", "--rps", "20", "--pacing", pacing, http, &target], 0);
            assert_eq!(books(&result), [9, 9, 0, 0], "{http} {pacing}");
            assert!(
                result["elapsed_s"].as_f64().unwrap() >= 0.2,
                "the fifth of a client is due after 200 ms"
            );
            let stats = server.stats_after(2);
            assert_eq!((accepted(&stats), number(&stats["requests"])), (2, 9), "{http} {pacing} {stats}");
        }
        let server = Server::start();
        let args = ["-D", "1", "-c", "2", "-t", "2", "--rps", "20", "--pacing", pacing, "--h1", &server.http];
        let result = run(&args, 0);
        assert_eq!(number(&result["started"]) + number(&result["dropped"]), 40, "{pacing} {result}");
        let seen = number(&server.stats_after(2)["requests"]);
        assert_eq!(seen, number(&result["started"]), "{pacing}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (args, parts) in [
        (&["-r", "0"][..], &["-r, --rate", "positive"][..]),
        (&["-r", "-1"], &["-1: no option takes a negative number"]),
        (&["-r", "2"], &["-r, -c", "smaller than or equal to the number of clients", "-r 1"]),
        (&["-r", "2", "-D", "1"], &["-r, -D", "mutually exclusive", "--ramp-up-time"]),
        (&["-r", "2", "--rate-period=0"], &["--rate-period", "longer than 0", "1s"]),
        (&["-T", "-1"], &["-1: no option takes a negative number"]),
        (&["-N", "soon"], &["-N, --connection-inactivity-timeout: bad option value: soon", "10s"]),
        (&["--rps", "0"], &["--rps: bad option value: 0", "above 0"]),
        (&["--timing-script-file=/no/such"], &["--timing-script-file: /no/such: No such file", "OFFSET_MS"]),
        (&["--timing-script-file=/dev/null"], &["--timing-script-file: /dev/null", "no lines"]),
        (&["--pacing", "fast"], &["--pacing", "fast", "precise", "sleep"]),
    ] {
        refused(args, parts);
    }
    let path = scratch("exclusive.txt");
    std::fs::write(&path, "0\thttp://127.0.0.1:1/\n").unwrap();
    let file = format!("--timing-script-file={}", path.to_str().unwrap());
    refused(&["--rps", "5", &file], &["--rps", "--timing-script-file", "mutually exclusive"]);
    std::fs::remove_file(path).unwrap();
    // A value that is missing.
    for option in ["-r", "-T", "-N", "--rps", "--rate-period", "--timing-script-file", "--pacing"] {
        let output = loadgen(&["--h1", "http://127.0.0.1:1/", option]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{option}: {message}");
        assert!(message.contains("a value is required"), "{option}: {message}");
    }
}

/// A server of HTTP/1.1 that counts the requests of each connection. Of every two connections the second takes its time for
/// an answer.
struct Uneven {
    url: String,
    counts: Arc<Mutex<Vec<u64>>>,
}

impl Uneven {
    fn new(slow: Duration) -> Uneven {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let counts = Arc::new(Mutex::new(Vec::new()));
        let all = counts.clone();
        // It ends with the process.
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                all.lock().unwrap().push(0);
                let (counts, wait) = (all.clone(), slow * (index as u32 % 2));
                std::thread::spawn(move || {
                    answer(stream.unwrap(), wait, &|| counts.lock().unwrap()[index] += 1)
                });
            }
        });
        Uneven { url, counts }
    }

    /// Requests by connection, fewest first.
    fn counts(&self) -> Vec<u64> {
        let mut counts = self.counts.lock().unwrap().clone();
        counts.sort_unstable();
        counts
    }
}

/// Answers each request after this time, and tells of it.
fn answer(stream: TcpStream, wait: Duration, asked: &dyn Fn()) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    while lines.any(|line| line.is_empty()) {
        asked();
        std::thread::sleep(wait);
        if (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

#[test]
fn every_client_makes_its_own_part_of_the_requests_however_fast_it_is_answered() {
    let uneven = |args: &[&str]| {
        let server = Uneven::new(Duration::from_millis(30));
        let result = run(&[args, &["--h1", &server.url]].concat(), 0);
        let all: u64 = server.counts().iter().sum();
        assert_eq!(books(&result), [all, all, 0, 0], "{args:?}");
        server.counts()
    };
    for (args, parts) in [
        (&["-n", "20", "-c", "2"][..], &[10, 10][..]),
        (&["-n", "21", "-c", "4", "-t", "2"], &[5, 5, 5, 6]),
        (&["-n", "31", "-c", "2", "-m", "4"], &[15, 16]),
        // More at a time than a client has.
        (&["-n", "5", "-c", "2", "-m", "8"], &[2, 3]),
        (&["-n", "2", "-c", "2", "-t", "2"], &[1, 1]),
        (&["-n", "9", "-c", "2", "--rps", "100"], &[4, 5]),
        (&["-n", "10", "-c", "2", "-r", "1", "--rate-period", "50ms"], &[5, 5]),
    ] {
        assert_eq!(uneven(args), parts, "{args:?}");
    }
    // Several connections one after the other for each client: its part goes on, a fast one takes nothing over.
    let each = uneven(&["-n", "20", "-c", "1", "--requests-per-connection", "3"]);
    assert_eq!(each, [2, 3, 3, 3, 3, 3, 3]);
}

#[test]
fn with_several_urls_every_client_begins_with_the_first_and_makes_its_part() {
    let server = Server::start();
    let urls = ["/any/a", "/any/b", "/any/c"].map(|path| url(&server, "--h1", path));
    run(&["-n", "8", "-c", "2", "-t", "2", "--h1", &urls[0], &urls[1], &urls[2]], 0);
    let stats = server.stats_after(2);
    let seen = ["a", "b", "c"].map(|p| seen(&stats, &format!("/any/{p}")));
    assert_eq!(seen, [4, 2, 2], "four each: a, b, c, a");
}

/// Rates of the connections, lowest first.
fn rates(result: &Value) -> Vec<f64> {
    let mut rates =
        Vec::from_iter(result["client_rates"].as_array().unwrap().iter().map(|r| r.as_f64().unwrap()));
    rates.sort_unstable_by(f64::total_cmp);
    rates
}

#[test]
fn the_rate_of_a_client_is_over_its_own_time() {
    let server = Server::start();
    let fast = |args: &[&str]| {
        let rates = rates(&run(args, 0));
        assert!(rates[0] > 50.0, "{args:?}: {rates:?}");
    };
    // One lot a second: ten requests take a client no second.
    for threads in ["1", "2"] {
        fast(&["-n", "20", "-c", "2", "-t", threads, "-r", "1", "--rate-period=1s", "--h1", &server.http]);
    }
    // A client that has done its part waits for nobody.
    let uneven = Uneven::new(Duration::from_millis(50));
    let both = rates(&run(&["-n", "20", "-c", "2", "--h1", &uneven.url], 0));
    assert!(both[0] <= 20.0 && both[1] > 50.0, "{both:?}");
    // Over its connections, one after the other.
    let one = rates(&run(
        &["-n", "6", "--requests-per-connection=2", "--h1", &url(&server, "--h1", "/?t=50ms")],
        0,
    ));
    assert!(one.len() == 1 && one[0] > 2.0 && one[0] <= 20.0, "{one:?}");
    // To the end of the time, of the main part alone.
    let args = ["-D", "500ms", "--warm-up-time=300ms", "-c", "2", "--rps=20", "--h1", &server.http];
    for rate in rates(&run(&args, 0)) {
        assert!((18.0..=22.0).contains(&rate), "{rate}");
    }
}

#[test]
fn responses_of_any_status_are_in_the_rate_of_a_client() {
    let server = Server::start();
    let missing = url(&server, "--h1", "/?r=404");
    let output = loadgen(&["-n", "20", "-c", "2", "--h1", &missing]);
    let text = stdout(&output);
    assert!(text.contains("20 done, 0 succeeded, 20 failed, 0 errored"), "{text}");
    let row: Vec<f64> = {
        let row = text.lines().find(|line| line.starts_with("req/s  ")).expect("a row");
        row.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    assert!(row[0] > 0.0 && row[1] >= row[0], "{text}");
}

#[test]
fn the_text_says_how_connections_are_made() {
    let server = Server::start();
    let said = |args: &[&str]| stdout(&loadgen(&[args, &["--h1", &server.http]].concat()));
    let text = said(&["-n", "6", "-c", "3", "-r", "1", "--rate-period=50ms"]);
    let line = "spawning thread #0: 3 total client(s). Up to 1 client(s) will be created every 50ms 6 total requests\n";
    assert!(text.contains(line) && text.contains("progress: 100% of clients started\n"), "{text}");
    for args in [&["-n", "6", "-c", "3"][..], &["-n", "6", "-c", "3", "-r", "3"]] {
        assert!(said(args).contains("spawning thread #0: 3 total client(s). 6 total requests\n"), "{args:?}");
    }
}
