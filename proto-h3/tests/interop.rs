//! Against the server of the `h3` crate, whose frames and QPACK share nothing with ours. Both sides are driven by hand over
//! `quinn_proto`: no socket, no runtime, no time but ours.

mod common;

use bytes::{Buf, Bytes, BytesMut};
use common::{client, client_address, epoch, instant, received, templates, tls};
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, WriteBuf};
use http::{HeaderMap, Response};
use proto::conformance::{Event, Recorder};
use proto::{ClientConn, CloseReason, Request, Time, Token, Want};
use proto_h3::{Config, Connection, Input};
use quinn_proto::{
    ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Endpoint, EndpointConfig, ReadError, ServerConfig,
    StreamId, VarInt, WriteError,
};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// QUIC as `h3` wants it.
#[derive(Clone)]
struct Quic(Rc<RefCell<quinn_proto::Connection>>);

struct Stream {
    quic: Quic,
    id: StreamId,
    out: Bytes,
}

fn id(id: StreamId) -> quic::StreamId {
    VarInt::from(id).into_inner().try_into().expect("a legal id")
}
fn terminated(code: u64) -> StreamErrorIncoming {
    StreamErrorIncoming::StreamTerminated { error_code: code }
}

impl Quic {
    fn stream(&self, id: StreamId) -> Stream {
        Stream { quic: self.clone(), id, out: Bytes::new() }
    }
    fn accept(&self, dir: Dir) -> Poll<Result<Stream, ConnectionErrorIncoming>> {
        match self.0.borrow_mut().streams().accept(dir) {
            Some(id) => Poll::Ready(Ok(self.stream(id))),
            None => Poll::Pending,
        }
    }
}

impl quic::OpenStreams<Bytes> for Quic {
    type BidiStream = Stream;
    type SendStream = Stream;
    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Stream, StreamErrorIncoming>> {
        Poll::Pending
    }
    fn poll_open_send(&mut self, _: &mut Context<'_>) -> Poll<Result<Stream, StreamErrorIncoming>> {
        let opened = self.0.borrow_mut().streams().open(Dir::Uni);
        opened.map_or(Poll::Pending, |id| Poll::Ready(Ok(self.stream(id))))
    }
    fn close(&mut self, code: h3::error::Code, _: &[u8]) {
        assert_eq!(code, h3::error::Code::H3_NO_ERROR, "the server found fault with us");
    }
}

impl quic::Connection<Bytes> for Quic {
    type RecvStream = Stream;
    type OpenStreams = Quic;
    fn poll_accept_recv(&mut self, _: &mut Context<'_>) -> Poll<Result<Stream, ConnectionErrorIncoming>> {
        self.accept(Dir::Uni)
    }
    fn poll_accept_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Stream, ConnectionErrorIncoming>> {
        self.accept(Dir::Bi)
    }
    fn opener(&self) -> Quic {
        self.clone()
    }
}

impl quic::SendStream<Bytes> for Stream {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while !self.out.is_empty() {
            match self.quic.0.borrow_mut().send_stream(self.id).write(&self.out) {
                Ok(n) => self.out.advance(n),
                Err(WriteError::Blocked) => return Poll::Pending,
                Err(_) => return Poll::Ready(Err(terminated(0))),
            }
        }
        Poll::Ready(Ok(()))
    }
    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        let mut data: WriteBuf<Bytes> = data.into();
        assert!(self.out.is_empty(), "poll_ready comes first");
        self.out = data.copy_to_bytes(data.remaining());
        Ok(())
    }
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        if self.poll_ready(cx)?.is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.quic.0.borrow_mut().send_stream(self.id).finish().map_err(|_| terminated(0)))
    }
    fn reset(&mut self, code: u64) {
        let _ = self.quic.0.borrow_mut().send_stream(self.id).reset(common::code(code));
    }
    fn send_id(&self) -> quic::StreamId {
        id(self.id)
    }
}

impl quic::RecvStream for Stream {
    type Buf = Bytes;
    fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let mut quic = self.quic.0.borrow_mut();
        let mut receiver = quic.recv_stream(self.id);
        // What was read to its end is gone from QUIC.
        let Ok(mut chunks) = receiver.read(true) else { return Poll::Ready(Ok(None)) };
        match chunks.next(usize::MAX) {
            Ok(chunk) => Poll::Ready(Ok(chunk.map(|c| c.bytes))),
            Err(ReadError::Blocked) => Poll::Pending,
            Err(ReadError::Reset(code)) => Poll::Ready(Err(terminated(code.into_inner()))),
        }
    }
    fn stop_sending(&mut self, code: u64) {
        let _ = self.quic.0.borrow_mut().recv_stream(self.id).stop(common::code(code));
    }
    fn recv_id(&self) -> quic::StreamId {
        id(self.id)
    }
}

impl quic::BidiStream<Bytes> for Stream {
    type SendStream = Stream;
    type RecvStream = Stream;
    fn split(self) -> (Stream, Stream) {
        (self.quic.stream(self.id), self)
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Tasks = Rc<RefCell<Vec<Task>>>;

/// Answers every request: its method and path as fields, its body as content, and trailers.
async fn serve(quic: Quic, tasks: Tasks, last: usize) {
    let mut connection = h3::server::builder().send_grease(true).build(quic).await.expect("a connection");
    let mut served = 0;
    while let Ok(Some(resolver)) = connection.accept().await {
        served += 1;
        if served == last {
            connection.shutdown(0).await.expect("GOAWAY");
        }
        let task = async move {
            let Ok((request, mut stream)) = resolver.resolve_request().await else { return };
            let mut body = BytesMut::new();
            while let Ok(Some(mut piece)) = stream.recv_data().await {
                body.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
            }
            let response = Response::builder()
                .header("x-method", request.method().as_str())
                .header("x-path", request.uri().path())
                .header("x-authority", request.uri().authority().map_or("", |a| a.as_str()))
                .header("x-slot", request.headers().get("x-slot").map_or("", |v| v.to_str().unwrap()))
                .body(())
                .unwrap();
            // What the server went away from may be given up by the client.
            if stream.send_response(response).await.is_err() {
                return;
            }
            if request.method() != "HEAD" {
                for piece in body.chunks(7000) {
                    stream.send_data(Bytes::copy_from_slice(piece)).await.expect("content");
                }
                let mut trailers = HeaderMap::new();
                trailers.insert("x-length", body.len().into());
                stream.send_trailers(trailers).await.expect("trailers");
            }
            stream.finish().await.expect("an end");
        };
        tasks.borrow_mut().push(Box::pin(task));
    }
}

struct World {
    client: Connection,
    log: Recorder,
    now: Time,
    endpoint: Endpoint,
    server: Option<(ConnectionHandle, Quic)>,
    tasks: Tasks,
    /// The request after which the server goes away.
    last: usize,
}

impl World {
    fn new(depth: u32, last: usize) -> World {
        let config = ServerConfig::with_crypto(tls().server.clone());
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), Some(Arc::new(config)), true, None);
        let config = Config { max_streams: depth, ..Config::default() };
        World {
            client: client(config, Time::ZERO),
            log: Recorder::default(),
            now: Time::ZERO,
            endpoint,
            server: None,
            tasks: Tasks::default(),
            last,
        }
    }

    fn deliver(&mut self, ecn: u8, datagram: &[u8]) {
        let (at, ecn, mut answer) = (instant(self.now), EcnCodepoint::from_bits(ecn), Vec::new());
        let event = self.endpoint.handle(at, client_address(), None, ecn, datagram.into(), &mut answer);
        match (event, &self.server) {
            (Some(DatagramEvent::NewConnection(incoming)), None) => {
                let (handle, conn) = self.endpoint.accept(incoming, at, &mut answer, None).expect("accepted");
                let quic = Quic(Rc::new(RefCell::new(conn)));
                self.tasks.borrow_mut().push(Box::pin(serve(quic.clone(), self.tasks.clone(), self.last)));
                self.server = Some((handle, quic));
            }
            (Some(DatagramEvent::ConnectionEvent(_, event)), Some((_, quic))) => {
                quic.0.borrow_mut().handle_event(event);
            }
            _ => {}
        }
    }

    /// One turn: what the client says, what the server makes of it, what comes back.
    fn turn(&mut self) {
        let mut out = Vec::new();
        while let Some(t) = self.client.poll_transmit(self.now, 65_536, &mut out, &mut self.log) {
            for datagram in out.chunks(t.segment_size.unwrap_or(out.len())) {
                self.deliver(t.ecn, datagram);
            }
            out.clear();
        }
        self.now = self.now.after(Duration::from_millis(1));
        let Some((handle, quic)) = self.server.clone() else { return };
        {
            let mut conn = quic.0.borrow_mut();
            if conn.poll_timeout().is_some_and(|t| t <= instant(self.now)) {
                conn.handle_timeout(instant(self.now));
            }
            while let Some(event) = conn.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(handle, event) {
                    conn.handle_event(event);
                }
            }
            while conn.poll().is_some() {}
        }
        if !quic.0.borrow().is_handshaking() {
            let mut tasks = std::mem::take(&mut *self.tasks.borrow_mut());
            tasks.retain_mut(|t| t.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            self.tasks.borrow_mut().append(&mut tasks);
        }
        let mut batch = Vec::new();
        loop {
            let mut bytes = Vec::new();
            match quic.0.borrow_mut().poll_transmit(instant(self.now), 1, &mut bytes) {
                Some(t) => batch.push(received(&bytes, t.ecn.map_or(0, |e| e as u8))),
                None => break,
            }
        }
        self.now = self.now.after(Duration::from_millis(1));
        self.client.handle_input(self.now, Input::Datagrams(&mut batch), &mut self.log);
        if self.client.poll_timeout().is_some_and(|t| t <= self.now) {
            self.client.handle_timeout(self.now, &mut self.log);
        }
    }
}

#[test]
fn five_hundred_requests() {
    assert!(epoch() <= instant(Time::from_nanos(1)));
    let mut w = World::new(10, usize::MAX);
    let prepared: Vec<_> =
        templates().iter().enumerate().map(|(i, t)| Connection::prepare(i as u32, t)).collect();
    let bodies: Vec<Bytes> = [1, 100, 5000, 60_000].iter().map(|n| Bytes::from(vec![7u8; *n])).collect();
    let (mut next, mut sent) = (0u64, Vec::new());
    for _ in 0..20_000 {
        while next < 500 && w.client.capacity() > 0 {
            let which = [0, 1, 2, 3, 5][next as usize % 5];
            let body = if matches!(which, 2 | 3) { bodies[next as usize % 4].clone() } else { Bytes::new() };
            sent.push((which, body.len()));
            let want = Want { fields: true, body: true };
            let request = Request { prepared: &prepared[which], values: &[b"a", b"b"], body, want };
            w.client.submit(w.now, Token(next), request).unwrap();
            w.log.accept(Token(next), want);
            next += 1;
        }
        if next == 500 && w.client.in_flight() == 0 {
            break;
        }
        w.turn();
    }
    let mut done = 0;
    for event in &w.log.events {
        match event {
            Event::Head(t, status, fields) => {
                let (which, _) = sent[t.0 as usize];
                let method = ["GET", "HEAD", "POST", "POST", "POST", "GET"][which];
                let (path, slot) = if which == 5 { ("/same", "") } else { ("/n/a", "vb") };
                let expected =
                    [("x-method", method), ("x-path", path), ("x-authority", "peer.test"), ("x-slot", slot)];
                let got: Vec<_> =
                    fields.iter().map(|(n, v)| (n.as_str(), std::str::from_utf8(v).unwrap())).collect();
                assert_eq!((*status, &got[..]), (200, &expected[..]));
            }
            Event::Trailers(t, fields) => {
                assert_eq!(fields[0].1, sent[t.0 as usize].1.to_string().as_bytes());
            }
            Event::Done(_) => done += 1,
            Event::Failed(t, error, _) => panic!("{t:?}: {error}"),
            _ => {}
        }
    }
    let content: u64 = sent.iter().map(|s| s.1 as u64).sum();
    assert_eq!((done, w.client.stats().data_bytes), (500, content));
}

#[test]
fn its_goaway_is_followed() {
    let mut w = World::new(4, 3);
    let prepared = Connection::prepare(0, &templates()[5]);
    let mut next = 0;
    for _ in 0..1000 {
        while w.client.capacity() > 0 && next < 20 {
            let want = Want::default();
            let request = Request { prepared: &prepared, values: &[], body: Bytes::new(), want };
            w.client.submit(w.now, Token(next), request).unwrap();
            w.log.accept(Token(next), want);
            next += 1;
        }
        w.turn();
        if w.log.is_closed() {
            break;
        }
    }
    assert!(w.log.is_draining());
    assert_eq!(w.log.events.last(), Some(&Event::Closed(CloseReason::Graceful)));
    for event in &w.log.events {
        assert!(!matches!(event, Event::Failed(_, _, false)), "{event:?}");
    }
}
