//! `/echo`, `/headers` and `/redirect/N`.

use crate::client::{Client, get};
use crate::server;

#[test]
fn echo_gives_back_body_method_and_type() {
    let origin = server();
    let mut client = Client::clear(&origin);
    for (method, body) in [("POST", "a=1"), ("PUT", "x"), ("PATCH", "{}"), ("DELETE", ""), ("GET", "")] {
        let response = client.request(method, "/echo?x=1", &[("content-type", "application/x-test")], body);
        assert_eq!((response.status, response.text()), (200, body));
        assert_eq!(response.field("x-echo-method"), Some(method));
        assert_eq!(response.field("content-type"), Some("application/x-test"));
    }
}

#[test]
fn echo_streams_what_is_chunked() {
    let origin = server();
    let mut client = Client::clear(&origin);
    client.send("POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let head = client.head();
    assert_eq!(head.field("transfer-encoding"), Some("chunked"));
    client.send("6\r\n world\r\n0\r\n\r\n");
    // The head is read, so what is left are the chunks, however they were cut.
    client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let rest = String::from_utf8(client.rest()).expect("text");
    assert!(rest.starts_with("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nHTTP/1.1 200"), "{rest}");
}

#[test]
fn echo_holds_a_large_body_in_little_memory() {
    let origin = server();
    let size = 32 << 20;
    let socket = crate::client::connect(origin.clear_addr().expect("clear"));
    let mut reader = Client::over(socket.try_clone().expect("a second handle"));
    let writer = std::thread::spawn(move || {
        let mut client = Client::over(socket);
        client.send(&format!("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: {size}\r\n\r\n"));
        for _ in 0..size / 65_536 {
            client.send(&"x".repeat(65_536));
        }
    });
    assert_eq!(reader.response().body.len(), size);
    writer.join().expect("all sent");
    let stats = origin.stats();
    assert_eq!((stats.body_bytes_received, stats.body_bytes_sent), (size as u64, size as u64));
}

#[test]
fn headers_are_listed() {
    let origin = server();
    let fields = [("x-one", "1"), ("x-two", "a"), ("X-Two", "b")];
    let document = Client::clear(&origin).request("GET", "/headers?q=1", &fields, "").json();
    assert_eq!(document["method"], "GET");
    assert_eq!(document["target"], "/headers?q=1");
    assert_eq!(document["headers"]["x-one"], "1");
    assert_eq!(document["headers"]["x-two"], serde_json::json!(["a", "b"]));
}

#[test]
fn redirects_lead_to_a_page_and_set_a_cookie_at_each_hop() {
    let origin = server();
    let mut client = Client::clear(&origin);
    let mut target = "/redirect/3".to_owned();
    for hop in [3, 2, 1] {
        let response = client.get(&target);
        assert_eq!((response.status, response.cookie()), (302, Some(format!("hop={hop}").as_str())));
        target = response.field("location").expect("a location").to_owned();
        assert_eq!(target, format!("/redirect/{}", hop - 1));
    }
    let response = client.get(&target);
    assert_eq!((response.status, response.cookie()), (200, Some("hop=0")));

    let response = client.get("/redirect/2?absolute=1");
    assert_eq!(response.field("location"), Some("http://test/redirect/1?absolute=1"));
    for bad in ["/redirect/", "/redirect/x", "/redirect/-1", "/redirect/1001"] {
        assert_eq!(get(&origin, bad).status, 400, "{bad}");
    }
}

/// The bucket is full at first; what comes at once beyond it is refused, whoever asks.
#[test]
fn a_page_behind_a_token_bucket() {
    let origin = server();
    let (mut one, mut other) = (Client::clear(&origin), Client::clear(&origin));
    let mut ask = |n: usize| {
        let client = if n.is_multiple_of(2) { &mut one } else { &mut other };
        client.get("/limited?rate=0.01&burst=5").status
    };
    let statuses: Vec<u16> = (0..8).map(&mut ask).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(Client::clear(&origin).get("/limited?rate=0").status, 400);
}

#[test]
fn a_server_that_is_limited_as_a_whole() {
    let limit = Some(origin::Limit::of(0.01, false));
    let origin = origin::start(origin::Config { limit, ..crate::config(1) }).expect("starts");
    let mut client = Client::clear(&origin);
    assert_eq!((client.get("/").status, client.get("/").status, client.get("/echo").status), (200, 429, 429));
    assert_eq!(client.get("/stats").status, 200, "the counters can be seen");
}

#[test]
fn who_is_delayed_waits_for_its_turn() {
    let limit = Some(origin::Limit { rate: 20.0, burst: std::num::NonZeroU32::MIN, delay: true });
    let origin = origin::start(origin::Config { limit, ..crate::config(1) }).expect("starts");
    let begun = tokio::time::Instant::now();
    let mut client = Client::clear(&origin);
    assert!((0..4).all(|_| client.get("/").status == 200));
    assert!(begun.elapsed() >= std::time::Duration::from_millis(140), "three turns of 50 ms");
}
