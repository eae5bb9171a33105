//! One connection from `accept` to its end: TLS if any, the protocol told from ALPN or from the first bytes,
//! hyper, and breaking off on request. Called by `worker.rs`, once per accepted socket.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, ready};

use bytes::Bytes;
use rustls::HandshakeKind;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::counters::Count;
use crate::limits::{FIRST_READ, HANDSHAKE_TIMEOUT};
use crate::link::Link;
use crate::service::Pages;
use crate::wire::{Stream, Wire};
use crate::worker::Worker;

/// Serves a connection of the clear address.
pub(crate) async fn serve_clear(worker: Rc<Worker>, mut socket: TcpStream) {
    let Ok(early) = first_bytes(&mut socket).await else { return };
    if early.is_empty() {
        return;
    }
    let link = Link::new(worker, false);
    if early.starts_with(PREFACE) {
        Box::pin(serve_h2(link, socket, early)).await;
    } else {
        serve_h1(link, socket, early).await;
    }
}

/// Serves a connection of the TLS address.
pub(crate) async fn serve_tls(worker: Rc<Worker>, acceptor: TlsAcceptor, socket: TcpStream) {
    let handshake = worker.timers.within(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await;
    let Some(Ok(stream)) = handshake else {
        worker.counters.add(Count::HandshakesFailed, 1);
        return;
    };
    let session = stream.get_ref().1;
    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
        worker.counters.add(Count::HandshakesResumed, 1);
    }
    let h2 = session.alpn_protocol() == Some(b"h2");
    let link = Link::new(worker, true);
    if h2 {
        Box::pin(serve_h2(link, stream, Bytes::new())).await;
    } else {
        serve_h1(link, stream, Bytes::new()).await;
    }
}

/// How HTTP/2 by prior knowledge begins (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is certain whether the connection begins with [`PREFACE`]. In HTTP/1 that is nearly always
/// one read, which takes the whole request head with it, so telling the protocol costs no system call.
async fn first_bytes(socket: &mut TcpStream) -> io::Result<Bytes> {
    let mut early = Vec::new();
    loop {
        let count = poll_fn(|cx| {
            // On the stack and only while polled: a connection that says nothing holds no buffer.
            let mut space = [MaybeUninit::<u8>::uninit(); FIRST_READ];
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *socket).poll_read(cx, &mut read))?;
            early.extend_from_slice(read.filled());
            Poll::Ready(io::Result::Ok(read.filled().len()))
        })
        .await?;
        let undecided = early.len() < PREFACE.len() && PREFACE.starts_with(&early);
        if count == 0 || !undecided {
            return Ok(Bytes::from(early));
        }
    }
}

async fn serve_h1<S: Stream + 'static>(link: Rc<Link>, stream: S, early: Bytes) {
    let wire = Wire::new(stream, early, link.clone());
    let connection = link.worker.http1.serve_connection(wire, Pages::new(link.clone()));
    if let Some(Err(error)) = until_broken(&link, connection).await
        && error.is_parse()
    {
        link.worker.counters.add(Count::Malformed, 1);
    }
}

async fn serve_h2<S: Stream + 'static>(link: Rc<Link>, stream: S, early: Bytes) {
    link.worker.counters.add(Count::Http2, 1);
    let wire = Wire::new(stream, early, link.clone());
    let connection = link.worker.http2.serve_connection(wire, Pages::new(link.clone()));
    // Whatever the peer did wrong, hyper has told it; there is nothing to add.
    let _ = until_broken(&link, connection).await;
}

/// Drives `connection` to its end, or until one of its requests breaks it off (`None`). Dropping it closes
/// the socket.
async fn until_broken<F: Future>(link: &Link, connection: F) -> Option<F::Output> {
    let mut connection = pin!(connection);
    poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        if link.broken().is_some() {
            return Poll::Ready(None);
        }
        link.watch(cx);
        polled.map(Some)
    })
    .await
}
