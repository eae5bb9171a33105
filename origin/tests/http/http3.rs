//! HTTP/3 on the UDP port of the TLS address, with the h3 crate's client over quinn as the peer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use h3::client::{RequestStream, SendRequest};
use h3::error::{Code, ConnectionError, StreamError};
use http::{HeaderMap, Request, StatusCode};
use hyper::body::{Buf, Bytes};
use origin::{Config, Origin, StartError};
use quinn::crypto::rustls::QuicClientConfig;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::Instant;

use crate::client::PATIENCE;
use crate::stats::eventually;
use crate::{config, server, server_with, tls};

type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// One connection, or another handle to it.
#[derive(Clone)]
struct Client {
    sender: SendRequest<h3_quinn::OpenStreams, Bytes>,
    quic: quinn::Connection,
    endpoint: quinn::Endpoint,
}

/// What came back, complete.
struct Response {
    status: StatusCode,
    fields: HeaderMap,
    body: Vec<u8>,
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(PATIENCE, test).await.expect("in time");
    });
}

fn settings(origin: &Origin) -> quinn::ClientConfig {
    let mut settings = tls::settings(origin, &[&rustls::version::TLS13]);
    let tls = Arc::make_mut(&mut settings);
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls.enable_early_data = true;
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(settings).expect("a cipher for QUIC")))
}

fn endpoint(settings: quinn::ClientConfig) -> quinn::Endpoint {
    let mut endpoint = quinn::Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a socket");
    endpoint.set_default_client_config(settings);
    endpoint
}

async fn connect(origin: &Origin) -> Client {
    connect_and_watch(origin).await.0
}

async fn connect_and_watch(origin: &Origin) -> (Client, JoinHandle<ConnectionError>) {
    let endpoint = endpoint(settings(origin));
    let addr = origin.tls_addr().expect("TLS");
    let quic = endpoint.connect(addr, "localhost").expect("a name").await.expect("a handshake");
    over(quic, endpoint).await
}

/// HTTP/3 over a QUIC connection, and what ends as that does and says how.
async fn over(quic: quinn::Connection, endpoint: quinn::Endpoint) -> (Client, JoinHandle<ConnectionError>) {
    let (mut connection, sender) =
        h3::client::new(h3_quinn::Connection::new(quic.clone())).await.expect("settings");
    let driver = spawn_local(async move { std::future::poll_fn(|cx| connection.poll_close(cx)).await });
    (Client { sender, quic, endpoint }, driver)
}

impl Client {
    async fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], &[]).await
    }

    async fn request(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut stream = self.begin(method, target, fields).await.expect("sends");
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body)).await.expect("sends");
        }
        stream.finish().await.expect("sends");
        response(stream).await.expect("a response")
    }

    async fn begin(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
    ) -> Result<Stream, StreamError> {
        let mut request = Request::builder().method(method).uri(format!("https://test{target}"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        self.sender.send_request(request.body(()).expect("a request")).await
    }

    /// Closes the connection and sees to it that the server learns of it.
    async fn close(self) {
        self.quic.close(quinn::VarInt::from_u32(0x100), b"");
        self.endpoint.wait_idle().await;
    }

    /// Sends a request that gets no response, and tells how it failed.
    async fn fail(&mut self, target: &str) -> StreamError {
        let mut stream = self.begin("GET", target, &[]).await.expect("sends");
        stream.finish().await.expect("sends");
        response(stream).await.err().expect("no response")
    }
}

async fn response(mut stream: Stream) -> Result<Response, StreamError> {
    let (parts, ()) = stream.recv_response().await?.into_parts();
    let mut body = Vec::new();
    while let Some(mut data) = stream.recv_data().await? {
        body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    Ok(Response { status: parts.status, fields: parts.headers, body })
}

impl Response {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.to_str().expect("text"))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

#[test]
fn sizes_and_statuses_are_as_asked() {
    let origin = server();
    run(async {
        let mut client = connect(&origin).await;
        for (target, status, size) in [
            ("/", 200, 0),
            ("/?s=100", 200, 100),
            ("/?s=256k", 200, 256 * 1024),
            ("/?s=3m&R=1", 200, 3 << 20),
            ("/?k=1&s=9&r=404", 404, 9),
            ("/any/a?s=5&C=1", 200, 5),
            ("/?r=204", 204, 0),
            ("/?r=304&s=5", 304, 0),
            ("/none", 404, 37),
        ] {
            let response = client.get(target).await;
            assert_eq!((response.status.as_u16(), response.body.len()), (status, size), "{target}");
            let known = (!target.contains("k=1") && status != 204 && status != 304).then(|| size.to_string());
            assert_eq!(response.field("content-length"), known.as_deref(), "{target}");
            assert_eq!(response.field("connection"), None);
        }
        let head = client.request("HEAD", "/?s=7", &[], &[]).await;
        assert_eq!((head.field("content-length"), head.body.len()), (Some("7"), 0));
        client.close().await;
    });
    let stats = origin.stats();
    assert_eq!((stats.requests, stats.responses), (10, 10));
    assert_eq!((stats.by_path["/"].by_status[&200], stats.by_path["/any/a"].requests), (5, 1));
    assert_eq!((stats.connections.h3, stats.connections.tls, stats.connections.h2), (1, 0, 0));
    eventually(|| origin.stats().responses_sent == 10);
    eventually(|| origin.stats().connections.open == 0);
}

#[test]
fn delays_are_kept_to_the_microsecond() {
    let origin = server();
    run(async {
        let mut client = connect(&origin).await;
        for micros in [250u32, 1000, 20_000] {
            let begun = Instant::now();
            let response = client.get(&format!("/?t={micros}us&s=3")).await;
            let took = begun.elapsed();
            let timing = response.field("server-timing").expect("a delay").strip_prefix("delay;dur=");
            let told: f64 = timing.and_then(|text| text.parse().ok()).expect("milliseconds");
            assert!(told * 1000.0 >= f64::from(micros), "{told}");
            assert!(took >= Duration::from_micros(micros.into()), "{took:?}");
        }
    });
}

#[test]
fn bodies_are_echoed_as_they_come() {
    let origin = server();
    run(async {
        let mut client = connect(&origin).await;
        for size in [0, 1, 1000, 2 << 20] {
            let body: Vec<u8> = (0..size).map(|index| index as u8).collect();
            let length = size.to_string();
            let fields = [("content-type", "application/x-test"), ("content-length", length.as_str())];
            let response = client.request("PUT", "/echo", &fields, &body).await;
            assert!(response.body == body, "{size}");
            assert_eq!(response.field("content-length"), Some(length.as_str()));
            assert_eq!(response.field("x-echo-method"), Some("PUT"));
            assert_eq!(response.field("content-type"), Some("application/x-test"));
        }
        // The first piece comes back before the second is sent.
        let mut stream = client.begin("POST", "/echo", &[]).await.expect("sends");
        stream.send_data(Bytes::from_static(b"one")).await.expect("sends");
        assert_eq!(stream.recv_response().await.expect("a head").headers().get("content-length"), None);
        let mut first = stream.recv_data().await.expect("data").expect("a piece");
        assert_eq!(first.copy_to_bytes(first.remaining()), "one");
        drop(first);
        stream.send_data(Bytes::from_static(b"two")).await.expect("sends");
        stream.finish().await.expect("sends");
        let mut second = stream.recv_data().await.expect("data").expect("a piece");
        assert_eq!(second.copy_to_bytes(second.remaining()), "two");
        drop(second);
        assert!(stream.recv_data().await.expect("an end").is_none());
    });
    let stats = origin.stats();
    let size = 1 + 1000 + (2 << 20) + 6;
    assert_eq!((stats.body_bytes_received, stats.body_bytes_sent), (size, size));
}

#[test]
fn an_upload_that_is_not_as_long_as_it_says_is_refused() {
    let origin = server();
    run(async {
        let mut client = connect(&origin).await;
        for (length, body) in [("3", "four"), ("5", "four")] {
            let fields = [("content-length", length)];
            let response = client.request("POST", "/api/login", &fields, body.as_bytes()).await;
            assert_eq!(response.status, 400, "{length}");
        }
        assert_eq!(client.get("/?s=1").await.body.len(), 1);
    });
}

#[test]
fn the_site_and_the_other_pages() {
    let origin = server();
    run(async {
        let mut client = connect(&origin).await;
        assert_eq!(client.get("/inbox").await.status, 401);
        let form = b"_user=demo&_pass=demo";
        let login = client.request("POST", "/login?csrf=off", &[], form).await;
        assert_eq!((login.status.as_u16(), login.field("location")), (303, Some("/inbox")));
        let cookie =
            login.field("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a session");
        let inbox = client.request("GET", "/inbox", &[("cookie", cookie)], &[]).await;
        assert_eq!(inbox.status, 200);
        let bearer = [("authorization", "Bearer demo-token")];
        let messages = client.request("GET", "/api/messages", &bearer, &[]).await;
        assert_eq!(messages.json().as_array().map(Vec::len), Some(25));
        assert_eq!(client.get("/static/app.css").await.status, 200);

        let hop = client.get("/redirect/2?absolute=1").await;
        assert_eq!(hop.status, 302);
        assert_eq!(hop.field("location"), Some("https://test/redirect/1?absolute=1"));
        assert_eq!(hop.field("set-cookie"), Some("hop=2; Path=/redirect"));

        let headers = client.request("GET", "/headers", &[("x-one", "1")], &[]).await.json();
        assert_eq!((&headers["version"], &headers["headers"]["x-one"]), (&"HTTP/3.0".into(), &"1".into()));
        let stats = client.get("/stats").await.json();
        assert_eq!((&stats["requests"], &stats["connections"]["h3"]), (&7.into(), &1.into()));
    });
}

#[test]
fn many_streams_on_many_connections_are_counted_once_each() {
    const CONNECTIONS: usize = 8;
    const STREAMS: usize = 200;
    let origin = server_with(2);
    run(async {
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = connect(&origin).await;
            for number in 0..STREAMS {
                let mut client = client.clone();
                tasks.push(spawn_local(async move {
                    let (target, size) =
                        [("/?s=10k&t=5", 10 * 1024), ("/?s=100", 100), ("/any/x?s=1&r=503", 1)][number % 3];
                    assert_eq!(client.get(target).await.body.len(), size);
                }));
            }
        }
        for task in tasks {
            task.await.expect("a response");
        }
    });
    let stats = origin.stats();
    let all = (CONNECTIONS * STREAMS) as u64;
    assert_eq!((stats.requests, stats.responses), (all, all));
    assert_eq!(stats.by_path["/any/x"].by_status[&503], CONNECTIONS as u64 * (STREAMS as u64 / 3));
    assert_eq!(stats.connections.h3, CONNECTIONS as u64);
}

#[test]
fn faults_hit_the_connection_or_the_stream() {
    let origin = server();
    run(async {
        let mut client = connect(&origin).await;
        // The stream alone: the connection goes on.
        // A reset makes QUIC drop what the client has not read by then, so not every try shows the half.
        while half_of(&mut client).await != 500 {}
        assert_eq!(client.get("/fault/slow?s=20&t=1").await.body, b".".repeat(20));
        assert_eq!(client.get("/fault/random-reset?p=0").await.body.len(), 100);

        // The connection, and what else is on it.
        for (target, code) in [("/fault/close", 0x100u32), ("/fault/reset", 0x102)] {
            let mut client = connect(&origin).await;
            let mut other = client.clone();
            let other = spawn_local(async move { other.fail("/?t=1000s").await });
            eventually_async(|| origin.stats().by_path.get("/").is_some_and(|path| path.requests > 0)).await;
            client.fail(target).await;
            other.await.expect("it fails");
            let reason = client.quic.closed().await;
            let quinn::ConnectionError::ApplicationClosed(close) = &reason else { panic!("{reason}") };
            assert_eq!(close.error_code, quinn::VarInt::from_u32(code), "{target}");
            origin.reset_stats();
        }
        client.close().await;
    });
    eventually(|| origin.stats().connections.open == 0);
}

#[test]
fn the_end_is_announced_and_what_was_accepted_is_answered() {
    let origin = server();
    run(async {
        let (mut client, driver) = connect_and_watch(&origin).await;
        let mut streams = Vec::new();
        for _ in 0..10 {
            let mut stream = client.begin("GET", "/?t=20ms&s=100k", &[]).await.expect("sends");
            stream.finish().await.expect("sends");
            streams.push(spawn_local(response(stream)));
        }
        eventually_async(|| origin.stats().requests == 10).await;
        let stopping = std::thread::spawn(move || origin.stop());
        for stream in streams {
            let response = stream.await.expect("ends").expect("answered");
            assert_eq!(response.body.len(), 100 << 10);
        }
        // What comes after GOAWAY is not sent any more.
        let refused = loop {
            match client.begin("GET", "/?t=1000s", &[]).await {
                Err(error) => break error,
                Ok(stream) => drop(stream),
            }
            tokio::task::yield_now().await;
        };
        assert!(!matches!(refused, StreamError::HeaderTooBig { .. }), "{refused:?}");
        assert!(driver.await.expect("ends").is_h3_no_error());
        tokio::task::spawn_blocking(|| stopping.join()).await.expect("runs").expect("stopped");
    });
}

#[test]
fn an_idle_client_is_told_too() {
    let origin = server();
    run(async {
        let (client, driver) = connect_and_watch(&origin).await;
        tokio::task::spawn_blocking(|| origin.stop()).await.expect("stops");
        assert!(driver.await.expect("ends").is_h3_no_error());
        drop(client);
    });
}

#[test]
fn a_client_that_does_not_speak_it_is_counted() {
    let origin = server();
    run(async {
        let mut tls = tls::settings(&origin, &[&rustls::version::TLS13]);
        Arc::make_mut(&mut tls).alpn_protocols = vec![b"other".to_vec()];
        let settings = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a cipher")));
        let endpoint = endpoint(settings);
        let addr = origin.tls_addr().expect("TLS");
        assert!(endpoint.connect(addr, "localhost").expect("a name").await.is_err());
    });
    eventually(|| origin.stats().connections.handshakes_failed == 1);
    assert_eq!((origin.stats().requests, origin.stats().connections.h3), (0, 1));
    eventually(|| origin.stats().connections.open == 0);
}

/// Asks for a response that breaks off, and tells how much of it came.
async fn half_of(client: &mut Client) -> usize {
    let mut stream = client.begin("GET", "/fault/partial?s=1000", &[]).await.expect("sends");
    stream.finish().await.expect("sends");
    let mut got = 0;
    let error = match stream.recv_response().await {
        Err(error) => error,
        Ok(head) => {
            assert_eq!(head.headers()["content-length"], "1000");
            loop {
                match stream.recv_data().await {
                    Ok(Some(data)) => got += data.remaining(),
                    Ok(None) => panic!("a complete body of {got}"),
                    Err(error) => break error,
                }
            }
        }
    };
    assert!(matches!(error, StreamError::RemoteTerminate { code: Code::H3_INTERNAL_ERROR, .. }), "{error:?}");
    got
}

/// Waits without blocking the runtime that the client runs on.
async fn eventually_async(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_resumed_session_sends_its_first_request_as_early_data() {
    let origin = server();
    run(async {
        let endpoint = endpoint(settings(&origin));
        let addr = origin.tls_addr().expect("TLS");
        let quic = endpoint.connect(addr, "localhost").expect("a name").await.expect("a handshake");
        let (mut client, _) = over(quic, endpoint.clone()).await;
        assert_eq!(client.get("/?s=1").await.body.len(), 1);
        client.close().await;

        let Ok((quic, accepted)) = endpoint.connect(addr, "localhost").expect("a name").into_0rtt() else {
            panic!("no session to resume");
        };
        let (mut client, _) = over(quic, endpoint).await;
        assert_eq!(client.get("/?s=2").await.body.len(), 2);
        assert!(accepted.await);
    });
    assert_eq!((origin.stats().requests, origin.stats().connections.h3), (2, 2));
}

#[test]
fn where_it_is_may_be_told_otherwise_or_taken_back() {
    let told = |field: &str| {
        let config = Config { alt_svc: Some(field.to_owned()), ..config(1) };
        let origin = origin::start(config).expect("it starts");
        let mut client = tls::client(&origin);
        let field = |path| client.get(path).field("alt-svc").map(str::to_owned);
        (["/?s=1", "/alt-svc/clear"].map(field), origin.tls_addr().expect("TLS").port())
    };
    let clear = Some("clear".to_owned());
    let (fields, port) = told("h3=\"a:PORT\", h3=\":PORT\"; ma=1");
    assert_eq!(fields, [Some(format!("h3=\"a:{port}\", h3=\":{port}\"; ma=1")), clear.clone()]);
    assert_eq!(told("").0, [None, clear]);
    let refused = origin::start(Config { alt_svc: Some("h3=\n".to_owned()), ..config(1) });
    assert!(matches!(refused, Err(StartError::AltSvc)));
}

#[test]
fn responses_over_tls_tell_where_it_is() {
    let origin = server();
    let port = origin.tls_addr().expect("TLS").port();
    let mut client = tls::client(&origin);
    assert_eq!(client.get("/?s=1").field("alt-svc"), Some(format!("h3=\":{port}\"").as_str()));
    assert_eq!(crate::client::get(&origin, "/?s=1").field("alt-svc"), None);
    run(async {
        assert_eq!(connect(&origin).await.get("/?s=1").await.field("alt-svc"), None);
    });
}
