//! HTTP/2 by the real binary against the real server, over TLS and in clear: exact counts, windows, the ALPN list, and
//! what is said where the server does not speak it.

mod common;

use common::{Server, json, loadgen, number, stderr, stdout};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

common::drivers::over_all_drivers!();

/// Runs with these flags in words against this URL, and gives the result.
fn run(flags: &str, url: &str) -> Value {
    let mut args: Vec<&str> = flags.split_whitespace().collect();
    args.extend(["--format", "json", url]);
    let output = loadgen(&args);
    assert_eq!(output.status.code(), Some(0), "{flags} {url}: {}", stderr(&output));
    json(&output)
}

fn protocol(result: &Value) -> &str {
    result["connections"]["application_protocol"].as_str().unwrap_or("none")
}

#[test]
fn the_server_sees_exactly_what_was_asked_for() {
    let server = Server::start();
    let (mut requests, mut connections) = (0, 0);
    for (n, c, t, m) in [(1, 1, 1, 1), (500, 7, 1, 1), (1000, 4, 2, 32), (999, 64, 2, 3), (40, 2, 1, 100)] {
        for (url, name) in [(&server.http, "h2c"), (&server.https, "h2")] {
            let result = run(&format!("-n {n} -c {c} -t {t} -m {m}"), &format!("{url}/?s=100"));
            let succeeded = number(&result["succeeded"]);
            assert_eq!((succeeded, number(&result["started"]), protocol(&result)), (n, n, name), "{result}");
            assert_eq!(number(&result["bytes"]["data"]), 100 * n);
            requests += n;
            connections += c;
        }
    }
    let stats = server.stats();
    assert_eq!(
        (number(&stats["requests"]), number(&stats["by_status"]["200"])),
        (requests, requests),
        "{stats}"
    );
    assert_eq!(number(&stats["connections"]["h2"]), connections, "{stats}");
}

#[test]
fn large_bodies_come_through_small_windows() {
    const BODY: u64 = 256 << 10;
    let server = Server::start();
    for flags in [
        "-w 14 -W 16",
        "-w 14 -W 16 -f 16K",
        "-w 30 -W 14",
        "-w 1 -n 1 -c 1 -m 1",
        "-f 1M -w 20",
        "--header-table-size 0 --encoder-header-table-size 0",
        "--header-table-size 64K --encoder-header-table-size 64K",
    ] {
        for url in [&server.http, &server.https] {
            // A window of one byte is a frame for each byte: a small body will do.
            let size = if flags.contains("-w 1 ") { 64 } else { BODY };
            let result = run(&format!("-n 48 -c 2 -m 8 {flags}"), &format!("{url}/?s={size}"));
            let n = number(&result["succeeded"]);
            assert_eq!(number(&result["bytes"]["data"]), n * size, "{flags} {url}: {result}");
            assert_eq!(n, if size == BODY { 48 } else { 1 }, "{flags} {url}: {result}");
        }
    }
}

#[test]
fn bodies_are_sent_on_streams_side_by_side() {
    let server = Server::start();
    for url in [&server.http, &server.https] {
        let result = run("-n 60 -c 2 -m 10 -d Cargo.toml", &format!("{url}/echo"));
        assert_eq!(number(&result["succeeded"]), 60, "{result}");
    }
    let size = std::fs::metadata("Cargo.toml").unwrap().len();
    assert_eq!(number(&server.stats()["body_bytes_received"]), 120 * size);
}

#[test]
fn the_alpn_list_decides_over_tls() {
    let server = Server::start();
    for (flags, name) in [
        (&[][..], "h2"),
        (&["--alpn-list", "h2"], "h2"),
        (&["--alpn-list", "http/1.1"], "http/1.1"),
        (&["--alpn-list", "h2, http/1.1"], "h2"),
        (&["--alpn-list=h2,h2-16,h2-14,http/1.1"], "h2"),
        (&["--alpn", "h2"], "h2"),
        (&["--npn-list", "http/1.1"], "http/1.1"),
        (&["-p", "http/1.1"], "h2"),
        (&["--h1"], "http/1.1"),
    ] {
        let args = [flags, &["-n", "9", "-c", "3", "--format", "json", &server.https]].concat();
        let result = json(&loadgen(&args));
        assert_eq!((protocol(&result), number(&result["succeeded"])), (name, 9), "{flags:?}: {result}");
    }
    for (flags, name) in
        [("", "h2c"), ("-p h2c", "h2c"), ("-p http/1.1", "http/1.1"), ("--alpn-list http/1.1", "h2c")]
    {
        assert_eq!(protocol(&run(flags, &server.http)), name, "{flags}");
    }
}

#[test]
fn the_server_inside_speaks_it() {
    for (url, name) in [("builtin", "h2c"), ("builtin+tls", "h2")] {
        let result = run("-n 20 -c 2 -m 4", url);
        assert_eq!((number(&result["succeeded"]), protocol(&result)), (20, name), "{result}");
    }
}

#[test]
fn the_text_names_the_protocol_and_what_compression_saved() {
    let server = Server::start();
    for (url, name) in [(&server.http, "h2c"), (&server.https, "h2")] {
        for format in ["classic", "1.69", "1.70"] {
            let output = loadgen(&["-n", "50", "--compat-output", format, &format!("{url}/?s=1k")]);
            let text = stdout(&output);
            assert!(text.contains(&format!("\nApplication protocol: {name}\n")), "{text}");
            let traffic = text.lines().find(|l| l.starts_with("traffic: ")).expect("a line of traffic");
            let saved = traffic.split_once("(space savings ").and_then(|(_, rest)| rest.split_once("%)"));
            let saved: f64 = saved.expect(traffic).0.parse().expect(traffic);
            assert!((1.0..100.0).contains(&saved), "{traffic}");
            assert!(stderr(&output).is_empty(), "{}", stderr(&output));
        }
    }
}

/// A server that knows HTTP/1.1 and nothing else: it answers whatever comes with 400 and closes.
fn only_http1() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    url
}

#[test]
fn a_server_without_http2_in_clear_brings_a_hint() {
    let url = only_http1();
    let output = loadgen(&["-n", "4", "-c", "2", &url]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert_eq!(stderr(&output).matches("does not speak HTTP/2 in clear").count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("use --h1"));
    assert!(stderr(&loadgen(&["-q", "-n", "4", &url])).is_empty());
    // It understands this, and dislikes it.
    assert!(!stderr(&loadgen(&["--h1", "-n", "4", &url])).contains("hint"));
}

#[test]
fn a_server_that_answers_badly_in_http2_brings_none() {
    let server = Server::start();
    let output = loadgen(&["-n", "4", &format!("{}/?r=503", server.http)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!stderr(&output).contains("hint"), "{}", stderr(&output));
}
