//! The tests' own server against a client that is nobody's work here: what it demands can be done.

mod common;

use bytes::BytesMut;
use common::scripted::Server;
use common::wire::{Frame, Level};
use common::*;
use proto::Time;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    RandomConnectionIdGenerator, StreamId,
};
use std::sync::Arc;

struct Peer {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    conn: Connection,
    events: Vec<String>,
    now: Time,
}

impl Peer {
    fn new() -> Peer {
        let mut config = EndpointConfig::default();
        config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(0)));
        let mut endpoint = Endpoint::new(Arc::new(config), None, true, None);
        let tls = QuicClientConfig::try_from(client_tls(ALPN)).unwrap();
        let config = ClientConfig::new(Arc::new(tls));
        let address = "127.0.0.1:4433".parse().unwrap();
        let (handle, conn) = endpoint.connect(instant(Time::ZERO), config, address, "peer.test").unwrap();
        Peer { endpoint, handle, conn, events: Vec::new(), now: Time::ZERO }
    }

    fn run(&mut self, server: &mut Server) {
        for _ in 0..1000 {
            self.now = self.now.after(millis(1));
            let at = instant(self.now);
            if self.conn.poll_timeout().is_some_and(|t| t <= at) {
                self.conn.handle_timeout(at);
            }
            while let Some(event) = self.conn.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                    self.conn.handle_event(event);
                }
            }
            while let Some(event) = self.conn.poll() {
                if let Event::ConnectionLost { reason } = &event {
                    self.events.push(format!("{reason:?}"));
                }
            }
            let mut any = false;
            loop {
                let mut out = Vec::new();
                let Some(t) = self.conn.poll_transmit(at, 1, &mut out) else { break };
                any = true;
                server.datagram(self.now, t.ecn.map_or(0, |e| e as u8), &out);
            }
            for (datagram, _) in server.flush() {
                any = true;
                let (mut buf, from) = (Vec::new(), "127.0.0.1:4433".parse().unwrap());
                let bytes = BytesMut::from(&datagram[..]);
                if let Some(DatagramEvent::ConnectionEvent(_, event)) =
                    self.endpoint.handle(at, from, None, None, bytes, &mut buf)
                {
                    self.conn.handle_event(event);
                }
            }
            if !any {
                return;
            }
        }
        panic!("they never stop talking");
    }
}

fn exchange(peer: &mut Peer, server: &mut Server) -> StreamId {
    let id = peer.conn.streams().open(Dir::Bi).unwrap();
    peer.conn.send_stream(id).write(b"request").unwrap();
    peer.conn.send_stream(id).finish().unwrap();
    peer.run(server);
    let number = u64::from(id);
    assert_eq!(server.streams[&number].whole().unwrap(), b"request");
    server.tell(&[Frame::stream(number, 0, b"response", true)]);
    peer.run(server);
    let mut receiver = peer.conn.recv_stream(id);
    let mut chunks = receiver.read(true).unwrap();
    assert_eq!(&chunks.next(100).unwrap().unwrap().bytes[..], b"response");
    let _ = chunks.finalize();
    id
}

#[test]
fn a_client_gets_along_with_it() {
    let (mut peer, mut server) = (Peer::new(), Server::new());
    peer.run(&mut server);
    assert!(server.is_complete() && !peer.conn.is_handshaking(), "{:?}", peer.events);
    for _ in 0..3 {
        exchange(&mut peer, &mut server);
    }
    // Key updates of both sides.
    peer.conn.force_key_update();
    exchange(&mut peer, &mut server);
    assert_eq!(server.receive_generation, 1);
    server.send_generation += 1;
    exchange(&mut peer, &mut server);
    exchange(&mut peer, &mut server);
    assert_eq!(server.receive_generation, 2);
    assert!(peer.events.is_empty(), "{:?}", peer.events);
    server.tell_raw(&[0x21]);
    peer.run(&mut server);
    assert_eq!(
        server.closed().map(|c| (c.0, c.1)),
        Some((Level::OneRtt, 0x7)),
        "{:?} {:?}",
        peer.events,
        server.seen.last()
    );
}

#[test]
fn a_client_follows_its_retry() {
    let (mut peer, mut server) = (Peer::new(), Server::new());
    server.retry = Some(b"token".to_vec());
    peer.run(&mut server);
    assert!(server.is_complete() && server.retried.is_some(), "{:?}", peer.events);
    exchange(&mut peer, &mut server);
}

#[test]
fn a_client_sees_what_is_wrong_in_it() {
    let (mut peer, mut server) = (Peer::new(), Server::with(|p| p.retain(|p| p.0 != 0x0f)));
    peer.run(&mut server);
    assert_eq!(server.closed().map(|c| c.1), Some(0x8), "{:?}", peer.events);
}
