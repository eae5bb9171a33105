//! HTTP/2, by prior knowledge and by ALPN, with hyper's client as the peer.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use origin::Origin;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::client::PATIENCE;
use crate::{server, tls};

type Sender = SendRequest<Empty<Bytes>>;

#[derive(Clone)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(PATIENCE, pin!(test)).await.expect("in time");
    });
}

async fn connect(io: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Sender {
    let (sender, connection) = http2::handshake(Local, TokioIo::new(io)).await.expect("a handshake");
    spawn_local(connection);
    sender
}

async fn clear(origin: &Origin) -> Sender {
    connect(TcpStream::connect(origin.clear_addr().expect("clear")).await.expect("connects")).await
}

async fn send(sender: &mut Sender, method: &str, target: &str) -> Result<Response<Incoming>, hyper::Error> {
    let target = format!("http://test{target}");
    let request = Request::builder().method(method).uri(target).body(Empty::new()).expect("a request");
    sender.ready().await?;
    sender.send_request(request).await
}

async fn length(response: Response<Incoming>) -> usize {
    response.into_body().collect().await.expect("a body").to_bytes().len()
}

#[test]
fn prior_knowledge_and_all_pages() {
    let origin = server();
    run(async {
        let mut sender = clear(&origin).await;
        for (target, status, size) in
            [("/?s=100", 200, 100), ("/?s=1m&t=1ms&C=1", 200, 1 << 20), ("/?k=1&s=9&r=404", 404, 9)]
        {
            let response = send(&mut sender, "GET", target).await.expect("a response");
            assert_eq!(response.status(), status);
            assert_eq!(length(response).await, size);
        }
        let response = send(&mut sender, "HEAD", "/?s=7").await.expect("a response");
        assert_eq!(response.headers()["content-length"], "7");
        let response = send(&mut sender, "GET", "/redirect/1?absolute=1").await.expect("a response");
        assert_eq!(response.headers()["location"], "http://test/redirect/0?absolute=1");
    });
    let stats = origin.stats();
    assert_eq!((stats.requests, stats.responses, stats.connections.h2), (5, 5, 1));
}

#[test]
fn streams_run_side_by_side() {
    let origin = server();
    run(async {
        let sender = clear(&origin).await;
        let streams: Vec<_> = (0..100)
            .map(|_| {
                let mut sender = sender.clone();
                spawn_local(async move {
                    length(send(&mut sender, "GET", "/?s=10k&t=5").await.expect("a response")).await
                })
            })
            .collect();
        for stream in streams {
            assert_eq!(stream.await.expect("a stream"), 10 * 1024);
        }
    });
    assert_eq!(origin.stats().by_status[&200], 100);
}

#[test]
fn alpn_chooses_it() {
    let origin = server();
    let mut settings = tls::settings(&origin, rustls::DEFAULT_VERSIONS);
    Arc::make_mut(&mut settings).alpn_protocols = vec![b"h2".to_vec()];
    run(async {
        let socket = TcpStream::connect(origin.tls_addr().expect("TLS")).await.expect("connects");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream =
            tokio_rustls::TlsConnector::from(settings).connect(name, socket).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut sender = connect(stream).await;
        assert_eq!(length(send(&mut sender, "GET", "/?s=100k").await.expect("a response")).await, 100 * 1024);
    });
    assert_eq!(origin.stats().connections.h2, 1);
}

#[test]
fn faults_hit_the_connection_or_the_stream() {
    let origin = server();
    run(async {
        let sender = Rc::new(clear(&origin).await);
        // The stream alone: the connection goes on.
        let mut one = (*sender).clone();
        let torn = send(&mut one, "GET", "/fault/partial").await.expect("a head");
        assert!(torn.into_body().collect().await.is_err());
        assert_eq!(length(send(&mut one, "GET", "/?s=3").await.expect("a response")).await, 3);
        // The connection with all its streams.
        let mut other = (*sender).clone();
        let waiting = spawn_local(async move { send(&mut other, "GET", "/?t=3600s").await.is_err() });
        assert!(send(&mut one, "GET", "/fault/reset").await.is_err());
        assert!(waiting.await.expect("a task"));
        assert!(send(&mut one, "GET", "/").await.is_err());
    });
}
