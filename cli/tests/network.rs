//! Where connections go and come from, by the real binary: flags and plans mean the same.

mod common;

use common::{Server, json, loadgen, scratch, stderr};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

common::drivers::over_all_drivers!();

/// A Unix socket whose connections are passed on to a TCP server.
fn unix_to(server: &str, name: &str) -> PathBuf {
    let path = scratch(name);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let address = server.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (mut near, mut far) = (near.unwrap(), TcpStream::connect(&address).unwrap());
            let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            let pass = |from: &mut dyn std::io::Read, to: &mut dyn std::io::Write| {
                let mut piece = [0; 16 * 1024];
                while let Ok(n @ 1..) = from.read(&mut piece) {
                    if to.write_all(&piece[..n]).is_err() {
                        break;
                    }
                }
            };
            std::thread::spawn(move || pass(&mut from, &mut to));
            std::thread::spawn(move || pass(&mut near, &mut far));
        }
    });
    path
}

fn run(args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
    let output = loadgen(&args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    json(&output)
}

/// A plan of 50 requests on 4 connections with these lines.
fn run_plan(name: &str, lines: &str) -> Value {
    let path = scratch(name);
    let rest = "scenarios: { s: { steps: [ get: / ] } }\nphases: [ { users: 4, iterations: 50 } ]\n";
    std::fs::write(&path, format!("version: 1\n{lines}\n{rest}")).unwrap();
    let result = run(&["-f", path.to_str().unwrap()]);
    std::fs::remove_file(path).unwrap();
    result
}

fn succeeded(result: &Value) -> u64 {
    result["succeeded"].as_u64().unwrap()
}

#[test]
fn a_unix_socket() {
    let server = Server::start();
    let path = unix_to(&server.http, "a.sock");
    let place = format!("unix:{}", path.display());
    let h1 = run(&["--h1", "-n", "50", "-c", "4", "-B", &place, "http://shop.example/"]);
    assert_eq!((succeeded(&h1), &h1["plan"]["targets"][0]["url"]), (50, &Value::from("http://shop.example")));
    assert_eq!(h1["plan"]["targets"][0]["connect_to"], place);
    let h2 = run(&["-n", "50", "-c", "4", "-m", "4", "--connect-to", &place, "http://shop.example/"]);
    assert_eq!((succeeded(&h2), h2["connections"]["by_address"].as_object().unwrap().len()), (50, 0));
    let plan = run_plan("unix.yaml", &format!("target: {place}"));
    let elsewhere = run_plan(
        "unix2.yaml",
        &format!("target: http://shop.example\nconnections: {{ connect_to: '{place}' }}"),
    );
    assert_eq!((succeeded(&plan), succeeded(&elsewhere)), (50, 50));
    assert_eq!(server.stats()["requests"], 200);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn source_addresses_and_names_without_a_resolver() {
    let server = Server::start();
    let port = server.http.rsplit_once(':').unwrap().1;
    let url = format!("http://shop.example:{port}/");
    let resolve = format!("shop.example:{port}:127.0.0.1");
    let from = "127.0.0.2,127.0.0.3";
    let flags = run(&["--h1", "-n", "50", "-c", "4", "--resolve", &resolve, "--source-address", from, &url]);
    let plan = run_plan(
        "source.yaml",
        &format!(
            "target: http://shop.example:{port}\nconnections: {{ source: [127.0.0.2, 127.0.0.3], resolve: {{ \
             shop.example: 127.0.0.1 }} }}"
        ),
    );
    for result in [&flags, &plan] {
        let connections = &result["connections"];
        assert_eq!(
            connections["by_source"],
            serde_json::json!({ "127.0.0.2": 2, "127.0.0.3": 2 }),
            "{result}"
        );
        assert_eq!(connections["by_address"], serde_json::json!({ "127.0.0.1": 4 }));
        assert_eq!(succeeded(result), 50);
    }
    assert_eq!(flags["plan"]["connections"]["source"], plan["plan"]["connections"]["source"]);
}

#[test]
fn socket_options() {
    let server = Server::start();
    let flags = run(&[
        "--h1",
        "-n",
        "50",
        "-c",
        "4",
        "--tcp-quickack",
        "--no-tcp-nodelay",
        "--send-buffer",
        "16K",
        "--receive-buffer",
        "32K",
        "--congestion",
        "reno",
        "--dscp",
        "af41",
        "--local-ports",
        "20000-30000",
        &server.http,
    ]);
    let plan = run_plan(
        "socket.yaml",
        &format!(
            "target: {}\nconnections: {{ socket: {{ quickack: true, nodelay: false, send_buffer: 16384, receive_buffer: \
             32768, congestion: reno, dscp: 34, local_ports: 20000-30000 }} }}",
            server.http
        ),
    );
    assert_eq!((succeeded(&flags), succeeded(&plan)), (50, 50));
    assert_eq!(flags["plan"]["connections"]["socket"], plan["plan"]["connections"]["socket"]);
    assert_eq!(flags["plan"]["connections"]["socket"]["dscp"], 34);
}

/// What the connections of 50 requests over TLS did.
fn connections(server: &Server, base: &[&str], more: &[&str]) -> Value {
    let result = run(&[base, &["-n", "50", "-c", "4"], more, &[server.https.as_str()]].concat());
    assert_eq!(succeeded(&result), 50);
    result["connections"].clone()
}

#[test]
fn tls_as_it_is_asked_for() {
    let server = Server::start();
    let flags = |more: &[&str]| connections(&server, &["--h1", "-H", "connection: close"], more);
    assert_eq!(flags(&[])["resumed"], 0);
    assert_eq!(flags(&["--tls-max", "1.2"])["tls"]["version"], "TLSv1.2");
    assert_eq!(flags(&["--groups", "X25519MLKEM768"])["tls"]["group"], "X25519MLKEM768");
    let resumed = flags(&["--tls-resumption", "--tls-min", "1.3"]);
    assert!(
        resumed["resumed"].as_u64().unwrap() >= 40 && resumed["tls"]["version"] == "TLSv1.3",
        "{resumed}"
    );
    let plan = run_plan(
        "tls.yaml",
        &format!(
            "target: {}\nconnections: {{ keep_alive: false }}\ntls: {{ insecure: true, max_version: 1.2, resumption: true, \
             alpn: [http/1.1] }}",
            server.https
        ),
    );
    assert_eq!(plan["connections"]["tls"]["version"], "TLSv1.2");
    assert!(plan["connections"]["resumed"].as_u64().unwrap() >= 40, "{plan}");
}

#[test]
fn sessions_and_early_data_over_quic() {
    let server = Server::start();
    let flags = |more: &[&str]| connections(&server, &["--h3", "--requests-per-connection", "1"], more);
    let fresh = flags(&[]);
    assert_eq!((&fresh["resumed"], &fresh["fresh"]), (&serde_json::json!(0), &fresh["opened"]));
    assert_eq!(fresh["tls"]["cipher"], "TLS_AES_128_GCM_SHA256");
    let early = flags(&["--tls-early-data"]);
    // Where the answer comes with the end of the handshake, the connection is over before it has a ticket for the next one.
    assert!(early["early_accepted"].as_u64().unwrap() >= 15, "{early}");
    let plan = run_plan(
        "mix.yaml",
        &format!(
            "target: {}\nprotocol: h3\ntls: {{ insecure: true }}\nconnections: {{ keep_alive: false, mix: {{ fresh: 50%, \
             early_data: 0.25, resumed: 25% }} }}",
            server.https
        ),
    );
    let c = &plan["connections"];
    assert!(c["fresh"].as_u64() >= Some(20) && c["early_accepted"].as_u64() >= Some(5), "{c}");
    assert_eq!(
        plan["plan"]["connections"]["mix"],
        serde_json::json!({ "fresh": 0.5, "resumed": 0.25, "early_data": 0.25 })
    );
}

#[test]
fn a_qlog_of_each_quic_connection() {
    let server = Server::start();
    let base = scratch("trace");
    let flags = ["-n", "20", "-c", "2", "--requests-per-connection", "5", "--qlog-file-base"];
    let flags: Vec<&str> = flags.into_iter().chain([base.to_str().unwrap(), server.https.as_str()]).collect();
    let result = run(&[&["--h3"], flags.as_slice()].concat());
    assert_eq!(succeeded(&result), 20);
    let name = format!("{}.", base.file_name().unwrap().to_str().unwrap());
    let all = std::fs::read_dir(base.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
    let logs: Vec<PathBuf> =
        all.filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(&name)).collect();
    assert_eq!(Some(logs.len() as u64), result["connections"]["attempted"].as_u64(), "{logs:?}");
    let mut sent = 0;
    for log in &logs {
        assert!(log.extension().is_some_and(|e| e == "sqlog"), "{log:?}");
        let text = std::fs::read_to_string(log).unwrap();
        for record in text.split('\u{1e}').filter(|r| !r.is_empty()) {
            let record: Value =
                serde_json::from_str(record).unwrap_or_else(|e| panic!("{log:?}: {e}: {record}"));
            sent += u64::from(record["name"].as_str().is_some_and(|n| n.ends_with("packet_sent")));
        }
        std::fs::remove_file(log).unwrap();
    }
    // A probe of the path that is too large counts as sent in both.
    let packets = result["connections"]["quic"]["packets_sent"].as_u64().unwrap();
    assert!(sent > 0 && sent >= packets / 2, "{sent} in the logs, {packets} in the result");
    let over_tcp = loadgen(&[&["--h1"], flags.as_slice()].concat());
    assert!(stderr(&over_tcp).contains("--qlog-file-base has no effect"), "{}", stderr(&over_tcp));
}

/// A proxy that passes tunnels on to this server whatever name is asked for, and refuses whoever gives no password.
fn tunnel_to(server: &str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    let address = server.split_once("://").unwrap().1.to_owned();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (mut near, address) = (near.unwrap(), address.clone());
            std::thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && near.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                assert!(head.starts_with("CONNECT shop.example:443 HTTP/1.1\r\n"), "{head}");
                if !head.contains("\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n") {
                    let _ = near.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
                    return;
                }
                near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let mut far = TcpStream::connect(address).unwrap();
                let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let _ = std::io::copy(&mut near, &mut far);
            });
        }
    });
    proxy
}

#[test]
fn a_proxy_with_credentials_that_nobody_sees() {
    let server = Server::start();
    let proxy = tunnel_to(&server.https);
    let url = format!("http://user:secret@{proxy}");
    let base = ["-n", "50", "-c", "4", "https://shop.example/"];
    let output = loadgen(&[&base[..], &["--proxy", &url, "--format", "json"]].concat());
    let flags = json(&output);
    assert_eq!((succeeded(&flags), output.status.code()), (50, Some(0)), "{}", stderr(&output));
    assert_eq!(flags["plan"]["connections"]["proxy"], format!("http://***@{proxy}"));
    let lines =
        format!("target: https://shop.example\ntls: {{ insecure: true }}\nconnections: {{ proxy: '{url}' }}");
    let plan = run_plan("proxy.yaml", &lines);
    assert_eq!(succeeded(&plan), 50);
    for text in [flags.to_string(), plan.to_string(), stderr(&output)] {
        assert!(!text.contains("secret") && !text.contains("dXNl"), "{text}");
    }
    let refused = loadgen(&[&base[..], &["--proxy", &format!("http://{proxy}")]].concat());
    let message = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1));
    assert!(message.contains("407 Proxy Authentication Required (give credentials: --proxy"), "{message}");
}
