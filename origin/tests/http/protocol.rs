//! HTTP/1 itself: versions, HEAD, keeping and closing connections, pipelining, `Expect`, and what is no HTTP
//! at all.

use crate::client::{Client, get};
use crate::server;
use crate::stats::eventually;

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let origin = server();
    let mut client = Client::clear(&origin);
    let response = client.request("HEAD", "/?s=1000", &[], "");
    assert_eq!((response.status, response.field("content-length")), (200, Some("1000")));
    assert_eq!(client.request("HEAD", "/inbox", &[], "").status, 401);
    assert_eq!(client.get("/?s=7").body.len(), 7);
}

#[test]
fn a_connection_is_kept_for_as_long_as_the_client_likes() {
    let origin = server();
    let mut client = Client::clear(&origin);
    for _ in 0..2000 {
        assert_eq!(client.get("/?s=100").body.len(), 100);
    }
    assert_eq!(origin.stats().connections.clear, 1);
}

#[test]
fn either_side_may_close() {
    let origin = server();
    let mut client = Client::clear(&origin);
    let response = client.request("GET", "/?s=3", &[("connection", "close")], "");
    assert_eq!((response.body.len(), response.field("connection")), (3, Some("close")));
    assert_eq!(client.rest(), b"");

    for target in ["/?C=1&s=3", "/?K=0&s=3", "/?C=1&s=3&t=1"] {
        let mut client = Client::clear(&origin);
        let response = client.get(target);
        assert_eq!((response.body.len(), response.field("connection")), (3, Some("close")), "{target}");
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    let origin = server();
    let mut client = Client::clear(&origin);
    client.send("GET /?s=3 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!((response.version.as_str(), response.body.len()), ("HTTP/1.0", 3));
    assert_eq!(response.field("connection"), Some("keep-alive"));
    client.send("GET /?s=4 HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().body.len(), 4);
    assert_eq!(client.rest(), b"");

    let mut client = Client::clear(&origin);
    client.send("GET /?s=5000&k=1 HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!((response.field("transfer-encoding"), response.body.len()), (None, 5000));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = server();
    let mut client = Client::clear(&origin);
    let batch: String =
        (0..10).map(|size| format!("GET /?s={size} HTTP/1.1\r\nhost: test\r\n\r\n")).collect();
    client.send(&batch);
    for size in 0..10 {
        assert_eq!(client.response().body.len(), size);
    }
    let delayed = "GET /?s=1&t=2 HTTP/1.1\r\nhost: test\r\n\r\n";
    let posted = "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nhi";
    client.send(&format!("{delayed}{posted}"));
    assert_eq!(client.response().body.len(), 1);
    assert_eq!(client.response().body, b"hi");
    assert_eq!(origin.stats().requests, 12);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let origin = server();
    let mut client = Client::clear(&origin);
    // Begins like the preface of HTTP/2, and then does not go on like it.
    for byte in "PRI / HTTP/1.1\r\nhost: test\r\n\r\n".chars() {
        client.send(&byte.to_string());
    }
    assert_eq!(client.response().status, 200);
    for byte in "GET /?s=9 HTTP/1.1\r\nhost: test\r\n\r\n".chars() {
        client.send(&byte.to_string());
    }
    assert_eq!(client.response().body.len(), 9);
}

#[test]
fn expect_100_continue_is_met_before_the_body() {
    let origin = server();
    let mut client = Client::clear(&origin);
    for target in ["/echo", "/?s=4"] {
        client.send(&format!(
            "POST {target} HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
        ));
        assert_eq!(client.head().status, 100);
        client.send("body");
        assert_eq!(client.response().body.len(), 4);
    }
}

#[test]
fn what_is_no_http_is_refused_and_counted_apart() {
    let origin = server();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(400_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
    let bad = [
        "\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/3.0\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        &long,
        &many,
    ];
    for (done, bad) in bad.into_iter().enumerate() {
        let mut client = Client::clear(&origin);
        // A large request may be cut off while it is being sent, and the answer with it.
        client.send_some(bad);
        let (answer, _) = client.until_end();
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
        eventually(|| origin.stats().malformed == done as u64 + 1);
    }
    let stats = origin.stats();
    assert_eq!((stats.requests, stats.responses), (0, 0));
    assert_eq!(get(&origin, "/").status, 200);
}

#[test]
fn a_tunnel_is_refused() {
    let origin = server();
    let mut client = Client::clear(&origin);
    client.send("CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n");
    assert_eq!(client.response().status, 501);
}
