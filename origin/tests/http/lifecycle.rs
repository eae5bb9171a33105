//! Starting and stopping.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::time::Duration;

use origin::{Config, StartError};
use tokio::time::Instant;

use crate::client::{Client, get};
use crate::{config, server, server_with};

#[test]
fn stopping_does_not_wait_for_open_connections() {
    let origin = server_with(2);
    let addr = origin.clear_addr().expect("clear");
    let mut busy: Vec<_> = (0..20).map(|_| Client::clear(&origin)).collect();
    for client in &mut busy {
        client.send("GET /?t=3600s HTTP/1.1\r\nhost: test\r\n\r\n");
    }
    let mut idle = Client::clear(&origin);
    assert_eq!(idle.get("/").status, 200);
    let silent = crate::client::connect(origin.tls_addr().expect("TLS"));

    let begun = Instant::now();
    origin.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(idle.rest(), b"");
    for client in &mut busy {
        client.until_end();
    }
    drop(silent);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn dropping_stops_and_frees_the_ports() {
    let origin = server();
    let addr = origin.clear_addr();
    drop(origin);
    let again = origin::start(Config { clear: addr, tls: None, ..Config::default() }).expect("starts again");
    assert_eq!(get(&again, "/?s=1").body.len(), 1);
    assert_eq!((again.tls_addr(), again.ca_pem()), (None, ""));
}

#[test]
fn an_address_in_use_is_named() {
    let origin = server();
    let taken = origin.clear_addr();
    let error = origin::start(Config { clear: taken, ..config(2) }).err().expect("an error");
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot listen on {}: ", taken.expect("an address"))), "{text}");
}

#[test]
fn nothing_to_listen_on_is_an_error() {
    let error =
        origin::start(Config { clear: None, tls: None, ..Config::default() }).err().expect("an error");
    assert!(matches!(error, StartError::NoListener));
}

#[test]
fn an_impossible_cpu_is_an_error_and_leaves_nothing_behind() {
    let port = server().clear_addr();
    let bad = Config { clear: port, cpus: vec![0, 1_000_000], ..config(2) };
    let error = origin::start(bad).err().expect("an error");
    assert!(matches!(error, StartError::Pin { cpu: 1_000_000, .. }), "{error}");
    origin::start(Config { clear: port, ..config(2) }).expect("the port is free");
}

#[test]
fn pinned_threads_serve() {
    let origin = origin::start(Config { cpus: vec![0], ..config(3) }).expect("starts");
    for _ in 0..20 {
        assert_eq!(get(&origin, "/?s=100").body.len(), 100);
    }
    assert_eq!(origin.stats().requests, 20);
}

#[test]
fn the_defaults_are_as_documented() {
    let config = Config::default();
    assert_eq!(config.clear, Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8081))));
    assert_eq!(config.tls, Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8082))));
    assert_eq!((config.threads, config.cpus.len(), config.cert), (NonZeroUsize::MIN, 0, None));
}
