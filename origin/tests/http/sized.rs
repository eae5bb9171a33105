//! `/` and `/any/...`: size, status, delay and the rest of the query language.

use std::io::Read;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::{Client, get};
use crate::server;
use crate::stats::eventually;

#[test]
fn sizes_from_nothing_to_many_pieces() {
    let origin = server();
    let mut client = Client::clear(&origin);
    assert_eq!(client.get("/").body, b"");
    for (text, size) in
        [("0", 0), ("1", 1), ("100", 100), ("64k", 65_536), ("256k", 262_144), ("3m", 3 << 20)]
    {
        let response = client.get(&format!("/?s={text}"));
        assert_eq!((response.status, response.body.len()), (200, size));
        assert_eq!(response.field("content-length"), Some(size.to_string().as_str()));
        assert!(
            response
                .body
                .chunks(50)
                .all(|line| b".123456789.123456789.123456789.123456789.12345678\n".starts_with(line))
        );
    }
}

#[test]
fn a_huge_body_is_made_as_the_client_reads_it() {
    let origin = server();
    for mut client in [Client::clear(&origin), Client::clear(&origin)] {
        client.send("GET /?s=1024g HTTP/1.1\r\nhost: test\r\n\r\nGET / HTTP/1.1\r\nhost: test\r\n\r\n");
        assert_eq!(client.head().field("content-length"), Some((1u64 << 40).to_string().as_str()));
        let mut some = vec![0; 10 << 20];
        client.into_inner().read_exact(&mut some).expect("some of it");
    }
    eventually(|| origin.stats().connections.open == 0);
    // What is beyond is socket buffers.
    assert!(origin.stats().body_bytes_sent < 64 << 20, "{}", origin.stats().body_bytes_sent);
}

#[test]
fn statuses_and_fields() {
    let origin = server();
    let mut client = Client::clear(&origin);
    for status in [200, 201, 299, 302, 404, 503, 599, 999] {
        let response = client.get(&format!("/?r={status}&s=5"));
        assert_eq!((response.status, response.body.len()), (status, 5));
    }
    for status in [204, 304] {
        assert_eq!(client.get(&format!("/?r={status}")).status, status);
    }
    assert_eq!(client.get("/?c=0").field("cache-control"), Some("no-cache"));
    assert_eq!(client.get("/?c=1").field("cache-control"), None);
    assert_eq!(client.get("/any/path/at.all?r=418&s=3").body.len(), 3);
    assert_eq!(client.get("/nothing").status, 404);
}

#[test]
fn bad_arguments_are_answered_with_the_reason() {
    let origin = server();
    let response = get(&origin, "/?s=12x");
    assert_eq!(response.status, 400);
    assert!(response.text().starts_with("s=12x: expected a size"), "{}", response.text());
    assert!(get(&origin, "/?").text().contains("s=<size>"));
}

#[test]
fn chunked_and_random_bodies() {
    let origin = server();
    let mut client = Client::clear(&origin);
    for size in [0, 1, 200_000] {
        let response = client.get(&format!("/?k=1&s={size}"));
        assert_eq!(response.field("content-length"), if size == 0 { Some("0") } else { None });
        assert_eq!(response.body.len(), size);
    }
    let noise = client.get("/?R=1&s=1000").body;
    assert!((0..=255u8).filter(|byte| noise.contains(byte)).count() > 200);
}

#[test]
fn a_delay_is_kept_and_its_true_length_reported() {
    let origin = server();
    let mut client = Client::clear(&origin);
    for (text, micros) in [("5", 5000), ("250us", 250), ("1.25ms", 1250), ("0.05s", 50_000)] {
        let begun = Instant::now();
        let response = client.get(&format!("/?t={text}&s=10"));
        let seen = begun.elapsed();
        let timing = response.field("server-timing").expect("a timing");
        let millis: f64 = timing.strip_prefix("delay;dur=").expect("a delay").parse().expect("a number");
        let told = Duration::from_secs_f64(millis / 1e3);
        assert!(told >= Duration::from_micros(micros), "{text}: {timing}");
        assert!(seen + Duration::from_micros(1) >= told, "{text}: {timing}, but it took {seen:?}");
    }
    assert_eq!(client.get("/").field("server-timing"), None);
}

#[test]
fn delays_of_many_connections_run_side_by_side() {
    let origin = server();
    let begun = Instant::now();
    let mut clients: Vec<_> = (0..50).map(|_| Client::clear(&origin)).collect();
    for client in &mut clients {
        client.send("GET /?t=200 HTTP/1.1\r\nhost: test\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert!(begun.elapsed() >= Duration::from_millis(200));
    // One after the other would be ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_request_body_is_read_before_the_answer_or_after_it() {
    let origin = server();
    let mut client = Client::clear(&origin);
    let body = "x".repeat(300_000);
    for target in ["/?s=10", "/?s=10&t=1", "/?A=1&s=10"] {
        assert_eq!(client.request("POST", target, &[], &body).body.len(), 10);
    }
    assert_eq!(client.get("/?s=1").body.len(), 1);
    eventually(|| origin.stats().body_bytes_received == 3 * 300_000);
}
