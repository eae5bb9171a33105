//! One HTTP/3 connection from its first packet to its end: the handshake, its requests (each a task), breaking
//! off on request, and GOAWAY when the server stops. Called by `endpoint.rs`, once per connection attempt.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h3::error::{Code, ConnectionError};
use quinn::VarInt;
use tokio::select;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::counters::Count;
use crate::http3::request;
use crate::limits::{H2_HEADER_LIST, HANDSHAKE_TIMEOUT, QUIC_DRAIN};
use crate::link::{Break, Link};
use crate::worker::Worker;

/// `H3_NO_ERROR` and `H3_INTERNAL_ERROR` (RFC 9114 section 8.1).
pub(crate) const NO_ERROR: VarInt = VarInt::from_u32(0x100);
const INTERNAL_ERROR: VarInt = VarInt::from_u32(0x102);

type Http3 = h3::server::Connection<h3_quinn::Connection, Bytes>;

/// Serves a connection.
pub(crate) async fn serve(worker: Rc<Worker>, incoming: quinn::Incoming, stopping: watch::Receiver<bool>) {
    let served = serve_from_first_packet(&worker, incoming, stopping).await;
    if served.is_none() {
        worker.counters.add(Count::HandshakesFailed, 1);
    }
}

/// A server has its connection before the handshake ends, so what comes as early data is answered at once.
/// `None`: the handshake never ended.
async fn serve_from_first_packet(
    worker: &Rc<Worker>,
    incoming: quinn::Incoming,
    stopping: watch::Receiver<bool>,
) -> Option<()> {
    let (quic, handshake) = incoming.accept().ok()?.into_0rtt().ok()?;
    let early = Cell::new(true);
    let mut serving = pin!(serve_http3(worker.clone(), quic.clone(), &early, stopping));
    select! {
        biased;
        ended = worker.timers.within(HANDSHAKE_TIMEOUT, handshake) => {
            ended?;
            // It ends when the connection does, too. The client's HTTP/3 can only have closed a connection that
            // was complete (RFC 9000 section 10.2.3).
            let reason = quic.close_reason();
            let complete = matches!(reason, None | Some(quinn::ConnectionError::ApplicationClosed(_)));
            complete.then_some(())?;
            early.set(false);
        }
        () = &mut serving => return None,
    }
    serving.await;
    Some(())
}

/// `early`: the handshake goes on, so what comes is early data.
async fn serve_http3(
    worker: Rc<Worker>,
    quic: quinn::Connection,
    early: &Cell<bool>,
    stopping: watch::Receiver<bool>,
) {
    let link = Link::new(worker, true);
    let mut settings = h3::server::builder();
    settings.max_field_section_size(H2_HEADER_LIST.into());
    let Ok(http3) = settings.build(h3_quinn::Connection::new(quic.clone())).await else { return };
    until_end(&link, http3, &quic, early, stopping).await;
}

/// Dropping the connection closes it with `H3_NO_ERROR`, and the requests still in work end with it.
async fn until_end(
    link: &Rc<Link>,
    mut http3: Http3,
    quic: &quinn::Connection,
    early: &Cell<bool>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut requests = JoinSet::new();
    loop {
        select! {
            biased;
            how = broken(link) => {
                // QUIC has no FIN and no RST of a connection; to the client the first is an orderly end, the
                // second a server that failed.
                let code = if how == Break::Close { NO_ERROR } else { INTERNAL_ERROR };
                return quic.close(code, b"");
            }
            accepted = http3.accept() => match accepted {
                Ok(Some(request)) => {
                    link.worker.counters.add(Count::EarlyRequests, early.get().into());
                    requests.spawn_local(request::serve(link.clone(), request));
                }
                Ok(None) => return,
                Err(error) => return count(link, &error),
            },
            Some(_) = requests.join_next(), if !requests.is_empty() => {}
            _ = stopping.changed() => return go_away(link, &mut http3, quic).await,
        }
    }
}

async fn broken(link: &Link) -> Break {
    poll_fn(|cx| match link.broken() {
        Some(how) => Poll::Ready(how),
        None => {
            link.watch(cx);
            Poll::Pending
        }
    })
    .await
}

/// Accepts nothing more and tells the client from which request on (RFC 9114 section 5.2). It closes the
/// connection when it has the answers it still gets, or we do when its time is up.
async fn go_away(link: &Link, http3: &mut Http3, quic: &quinn::Connection) {
    // The identifier in the frame is the first that is not served: one after the last accepted.
    if http3.shutdown(1).await.is_ok() {
        link.worker.timers.within(QUIC_DRAIN, quic.closed()).await;
    }
}

/// What the peer did wrong, h3 has told it.
fn count(link: &Link, error: &ConnectionError) {
    if matches!(error, ConnectionError::Local { .. }) && !error.is_h3_no_error() {
        link.worker.counters.add(Count::Malformed, 1);
    }
}

/// What a stream is reset with when its response cannot be finished.
pub(crate) const TORN: Code = Code::H3_INTERNAL_ERROR;
