//! `/fault/...`: what a client sees of each, in clear and over TLS.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::{Client, get};
use crate::{server, tls};

#[test]
fn close_and_reset_leave_no_response() {
    let origin = server();
    for (target, was_reset) in [("/fault/close", false), ("/fault/reset", true)] {
        let mut client = Client::clear(&origin);
        assert_eq!(client.get("/?s=5").body.len(), 5);
        client.send(&format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        assert_eq!(client.until_end(), (Vec::new(), was_reset), "{target}");

        let mut client = tls::client(&origin);
        client.send(&format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        assert_eq!(client.until_end(), (Vec::new(), was_reset), "{target}");
    }
    let stats = origin.stats();
    assert_eq!((stats.requests, stats.responses, stats.faults), (6, 2, 4));
}

#[test]
fn close_after_pipelined_requests_answers_those_first() {
    let origin = server();
    let mut client = Client::clear(&origin);
    client.send("GET /?s=5 HTTP/1.1\r\nhost: test\r\n\r\nGET /fault/close HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.response().body.len(), 5);
    assert_eq!(client.rest(), b"");
}

#[test]
fn partial_promises_more_than_it_gives() {
    let origin = server();
    for size in [1, 1000, 500_000] {
        let target = format!("/fault/partial?s={size}");
        let mut client = Client::clear(&origin);
        client.send(&format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let head = client.head();
        assert_eq!(head.field("content-length"), Some(size.to_string().as_str()));
        assert_eq!(client.rest().len(), size / 2);
    }
    let mut client = tls::client(&origin);
    client.send("GET /fault/partial HTTP/1.1\r\nhost: test\r\n\r\n");
    client.head();
    assert_eq!(client.until_end().0.len(), 500);

    // With another request waiting behind it.
    let mut client = Client::clear(&origin);
    client.send(&"GET /fault/partial HTTP/1.1\r\nhost: test\r\n\r\n".repeat(2));
    client.head();
    assert_eq!(client.until_end().0.len(), 500);
    assert_eq!(origin.stats().responses_sent, 0);
}

#[test]
fn slow_takes_its_time() {
    let origin = server();
    let begun = Instant::now();
    let response = get(&origin, "/fault/slow?s=20&t=2");
    assert_eq!(response.body, b".".repeat(20));
    assert!(begun.elapsed() >= Duration::from_millis(40));
}

#[test]
fn slow_responses_to_pipelined_requests_all_come() {
    let origin = server();
    let mut client = Client::clear(&origin);
    // So short a pause that the body ends between two writes of one round of the server.
    client.send(&"GET /fault/slow?s=1&t=20us HTTP/1.1\r\nhost: test\r\n\r\n".repeat(50));
    for _ in 0..50 {
        assert_eq!(client.response().body, b".");
    }
}

#[test]
fn random_reset_is_random() {
    let origin = server();
    assert_eq!(get(&origin, "/fault/random-reset?p=0").body.len(), 100);
    for bad in ["", "?p=2", "?p=-1", "?p=nan", "?p=x"] {
        assert_eq!(get(&origin, &format!("/fault/random-reset{bad}")).status, 400, "{bad}");
    }
    let mut resets = 0;
    for _ in 0..200 {
        let mut client = Client::clear(&origin);
        client.send("GET /fault/random-reset?p=0.5 HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        let (bytes, reset) = client.until_end();
        assert_eq!(bytes.is_empty(), reset);
        resets += u32::from(reset);
    }
    // 100 with a deviation of 7: this fails once in 10^12 runs.
    assert!((50..150).contains(&resets), "{resets}");
    assert_eq!(origin.stats().faults, u64::from(resets));
    assert_eq!(get(&origin, "/fault/none").status, 404);
}
