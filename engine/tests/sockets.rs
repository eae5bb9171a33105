//! Where connections go and come from: Unix sockets, several addresses, source addresses, a range of ports that runs out.

mod support;

use engine::stats::RunResult;
use scenario::plan::{Endpoint, Protocol, Share, Stop};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use support::hostile::Hostile;
use support::{Load, iterations, ms, run, try_run};

support::drivers::over_all_drivers!();

/// An HTTP/1.1 server on a Unix socket that lives as long as the test; counts requests.
fn on_unix_socket(name: &str) -> (PathBuf, Arc<AtomicU64>) {
    let path = std::env::temp_dir().join(format!("loadgen-{}-{name}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let requests = Arc::new(AtomicU64::new(0));
    let count = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, count) = (stream.unwrap(), count.clone());
            std::thread::spawn(move || serve(stream, &count));
        }
    });
    (path, requests)
}

fn serve(mut stream: UnixStream, count: &AtomicU64) {
    let (mut unread, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut piece) {
        unread.extend_from_slice(&piece[..n]);
        while let Some(at) = unread.windows(4).position(|w| w == b"\r\n\r\n") {
            let body = "k".repeat(if unread.starts_with(b"GET /large ") { 100_000 } else { 2 });
            unread.drain(..at + 4);
            count.fetch_add(1, SeqCst);
            if write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).is_err() {
                return;
            }
        }
    }
}

#[test]
fn a_server_on_a_unix_socket() {
    let (path, requests) = on_unix_socket("server");
    let mut plan = Load::on("127.0.0.1:1".parse().unwrap(), iterations(500)).plan();
    plan.targets[0].endpoint = Endpoint::Unix(path.clone());
    // What TCP alone knows is left out.
    plan.connections.socket.congestion = Some("reno".into());
    plan.connections.route.sources = vec!["127.0.0.2".parse().unwrap()];
    let result = run(plan);
    assert_eq!((result.totals.books.succeeded, requests.load(SeqCst)), (500, 500));
    assert_eq!((result.connections.opened, result.connections.by_address.len()), (4, 0));
    std::fs::remove_file(&path).unwrap();
}

/// The kernel throws away what TCP has received (`MSG_TRUNC`), and nothing else.
#[test]
fn bodies_from_a_unix_socket_are_read_where_they_were_to_be_discarded() {
    let (path, requests) = on_unix_socket("discard");
    let on = Load::on("127.0.0.1:1".parse().unwrap(), iterations(20));
    let mut plan = Load { paths: vec!["/large"], ..on }.plan();
    plan.targets[0].endpoint = Endpoint::Unix(path.clone());
    let options = engine::Options { discard_body: true, ..support::drivers::options() };
    let mut warnings = Vec::new();
    let result = engine::run(&plan, &options, &Default::default(), &mut |event| {
        if let engine::Event::Warning(text) = event {
            warnings.push(text);
        }
    });
    let totals = result.unwrap().totals;
    assert_eq!((totals.books.succeeded, requests.load(SeqCst)), (20, 20), "{:?}", totals.errors);
    assert_eq!(totals.bytes.data, 20 * 100_000);
    assert!(warnings.len() == 1 && warnings[0].contains("--discard-body has no effect"), "{warnings:?}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_unix_socket_that_is_not_there_is_named() {
    let mut plan = Load::on("127.0.0.1:1".parse().unwrap(), iterations(5)).plan();
    plan.targets[0].endpoint = Endpoint::Unix("/no/such.sock".into());
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains("unix:/no/such.sock") && error.contains("No such file"), "{error}");
}

/// A server that notes where each connection came from, and closes after so many requests.
fn noting(each: u64) -> (Hostile, Arc<Mutex<BTreeMap<IpAddr, u64>>>) {
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let list = seen.clone();
    let server = Hostile::new(move |visit| {
        *list.lock().unwrap().entry(visit.stream.peer_addr()?.ip()).or_default() += 1;
        for _ in 0..each {
            visit.request()?;
            visit.answer()?;
        }
        Ok(())
    });
    (server, seen)
}

fn ips<const N: usize>(list: [&str; N]) -> Vec<IpAddr> {
    list.map(|a| a.parse().unwrap()).to_vec()
}

#[test]
fn churn_from_two_source_addresses_uses_both_equally() {
    let (server, seen) = noting(1);
    let mut plan = Load::on(server.address(), iterations(400)).plan();
    plan.connections.requests_per_connection = NonZeroU64::new(1);
    plan.connections.route.sources = ips(["127.0.0.2", "127.0.0.3"]);
    let result = run(plan);
    server.settle();
    assert_eq!(result.totals.books.succeeded, 400, "{:?}", result.connections.errors);
    let seen = seen.lock().unwrap();
    let from: Vec<String> = seen.keys().map(ToString::to_string).collect();
    assert_eq!(from, ["127.0.0.2", "127.0.0.3"]);
    // Four connections take turns, each on its own; the last of each may be opened in vain.
    assert!(seen.values().all(|n| (190..=210).contains(n)), "{seen:?}");
    let told: u64 = result.connections.by_source.values().sum();
    assert_eq!((result.connections.by_source.len(), told), (2, result.connections.opened));
}

#[test]
fn a_target_with_several_addresses_is_connected_to_at_each() {
    let first = Hostile::new(|visit| visit.serve());
    let second: std::net::SocketAddr = format!("127.0.0.5:{}", first.address().port()).parse().unwrap();
    let other = Hostile::at(second, |visit| visit.serve());
    let mut plan = Load::on(first.address(), iterations(100)).plan();
    plan.targets[0].endpoint = Endpoint::Addresses(vec![first.address(), second]);
    let result = run(plan);
    assert_eq!((first.connections(), other.connections()), (2, 2));
    assert_eq!(result.connections.by_address.into_values().collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn quickack_and_small_buffers_change_no_count() {
    let server = Hostile::new(|visit| visit.serve());
    let mut plan = Load::on(server.address(), iterations(200)).plan();
    let socket = &mut plan.connections.socket;
    (socket.quickack, socket.nodelay) = (true, false);
    (socket.send_buffer, socket.receive_buffer) = (Some(4608), Some(4608));
    let result = run(plan);
    server.settle();
    assert_eq!((result.totals.books.succeeded, server.requests()), (200, 200));
}

#[test]
fn an_option_that_cannot_be_set_is_told_before_the_start() {
    let server = Hostile::new(|visit| visit.serve());
    let mut plan = Load::on(server.address(), iterations(2)).plan();
    plan.connections.socket.congestion = Some("no_such".into());
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains("TCP_CONGESTION cannot be set to no_such"), "{error}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn more_connections_than_ports_are_refused_before_the_start() {
    let server = Hostile::new(|visit| visit.serve());
    let plan = |connections, sources: &[&str]| {
        let load = Load { connections, users: connections, ..Load::on(server.address(), iterations(50)) };
        let mut plan = load.plan();
        plan.connections.socket.local_ports = Some((41_000, 41_009));
        plan.connections.route.sources = sources.iter().map(|a| a.parse().unwrap()).collect();
        plan
    };
    let error = try_run(plan(11, &[])).unwrap_err().to_string();
    assert!(
        error.contains("11 connections to 127.0.0.1:") && error.contains("local ports than there are (10)"),
        "{error}"
    );
    assert_eq!(server.connections(), 0);
    let result = run(plan(11, &["127.0.0.2", "127.0.0.3"]));
    assert_eq!(result.connections.opened, 11, "each source has all ports: {:?}", result.connections.errors);
}

fn exhausted(result: &RunResult) -> bool {
    result.connections.errors.iter().any(|e| e.detail.contains("no local port is free: widen the range"))
}

#[test]
fn ports_that_run_out_in_the_run_are_named() {
    let server = Hostile::new(|visit| visit.serve());
    let load = Load { connections: 2, users: 2, ..Load::on(server.address(), Stop::After(ms(500))) };
    let mut plan = Load { protocol: Protocol::H1, share: Share::PerUser, ..load }.plan();
    // Closed from here after two requests: each leaves its port in TIME_WAIT.
    plan.connections.requests_per_connection = NonZeroU64::new(2);
    plan.connections.socket.local_ports = Some((42_000, 42_007));
    let result = run(plan);
    assert!(exhausted(&result), "{:?}", result.connections.errors);
    assert!((2..=8).contains(&result.connections.opened), "{}", result.connections.opened);
}
