//! The suite of `proto::conformance` against this crate, with a server over `quinn_proto` as the peer.

mod common;

use common::*;
use proto::conformance::{self, Answer, Fixture, Peer, Recorder, Rng};
use proto::{ClientConn, Time};
use proto_h3::frame::kind;
use proto_h3::{Config, Connection, Input, Transmit};
use std::collections::BTreeSet;
use std::time::Duration;

struct H3;

impl Fixture for H3 {
    type Conn = Connection;
    type Peer = Peered;
    const STREAM: bool = false;

    /// Past the handshake: what comes before is tested in `exchange.rs`.
    fn connect(&mut self, depth: u32) -> (Connection, Peered) {
        let mut pair = Pair::new(Config { max_streams: depth, ..Config::default() }, Server::new());
        // The suite's time begins at zero.
        pair.way = Duration::ZERO;
        pair.run();
        assert!(pair.now == Time::ZERO && pair.client.capacity() == depth);
        (pair.client, Peered { server: pair.server, answered: BTreeSet::new(), gone: false })
    }
    fn bytes(conn: &mut Connection, now: Time, piece: &[u8], sink: &mut Recorder) {
        conn.handle_input(now, Input::Datagrams(&mut vec![received(piece, 0)]), sink);
    }
    fn eof(conn: &mut Connection, now: Time, sink: &mut Recorder) {
        conn.handle_input(now, Input::Unreachable, sink);
    }
}

/// The same from the first packet on: the handshake lies between the suite's own steps.
struct Fresh;

impl Fixture for Fresh {
    type Conn = Connection;
    type Peer = Peered;
    const STREAM: bool = false;

    fn connect(&mut self, depth: u32) -> (Connection, Peered) {
        let config = Config { max_streams: depth, ..Config::default() };
        let peer = Peered { server: Server::new(), answered: BTreeSet::new(), gone: false };
        (client(config, Time::ZERO), peer)
    }
    fn bytes(conn: &mut Connection, now: Time, piece: &[u8], sink: &mut Recorder) {
        H3::bytes(conn, now, piece, sink);
    }
    fn eof(conn: &mut Connection, now: Time, sink: &mut Recorder) {
        H3::eof(conn, now, sink);
    }
}

struct Peered {
    server: Server,
    answered: BTreeSet<u64>,
    gone: bool,
}

impl Peered {
    fn send(&mut self, now: Time, out: &mut Vec<Vec<u8>>) {
        out.extend(self.server.transmit(now).into_iter().map(|(bytes, _)| bytes));
    }

    /// Frames of an answer, in one or more writes.
    fn write(&mut self, index: u64, method: &str, answer: &Answer) {
        let mut style = Rng::new(answer.style);
        let mut bytes = Vec::new();
        if answer.informational {
            bytes.extend(headers(&[(":status", "103"), ("link", "</a>")]));
        }
        let bare = method == "HEAD" || matches!(answer.status, 204 | 304);
        let body: &[u8] = if bare { &[] } else { &answer.body };
        let (status, length) = (answer.status.to_string(), body.len().to_string());
        let mut fields = vec![(":status", &status[..]), ("x-a", "value")];
        if style.one_in(2) {
            fields.push(("content-length", &length));
        }
        bytes.extend(headers(&fields));
        let mut rest = body;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + style.below(rest.len() as u64) as usize);
            rest = after;
            bytes.extend(data(piece));
            if style.one_in(4) {
                bytes.extend(frame(0x21 + 0x1f * style.below(1000), &[7; 5]));
            }
        }
        if answer.trailers {
            bytes.extend(headers(&[("x-checksum", "1234")]));
        }
        self.server.write(request_stream(index), &bytes, true);
    }
}

impl Peer<Transmit> for Peered {
    fn receive(&mut self, now: Time, transmit: Transmit, bytes: &[u8]) {
        self.server.receive(now, transmit, bytes);
        for (index, asked) in &self.server.requests {
            if let Some(slot) = asked.field("x-slot") {
                assert_eq!(slot, "v1");
                assert!(
                    asked.field(":path").is_some() && asked.field(":authority") == Some("peer.test:8080")
                );
            }
            assert!(*index < 1 << 20);
        }
    }

    fn speak(&mut self, now: Time, out: &mut Vec<Vec<u8>>) {
        let mut expecting = Vec::new();
        for asked in self.server.requests.values_mut().filter(|a| a.expects) {
            asked.expects = false;
            expecting.push(asked.stream);
        }
        for index in expecting {
            self.server.write(request_stream(index), &headers(&[(":status", "100")]), false);
        }
        self.send(now, out);
    }

    fn answer(&mut self, now: Time, answer: &Answer, out: &mut Vec<Vec<u8>>) -> bool {
        let next = self.server.requests.values().find(|a| {
            let over = self.answered.contains(&a.stream) || self.server.resets.contains_key(&a.stream);
            !over && !a.fields.is_empty() && (a.complete || answer.early)
        });
        let Some(asked) = next.cloned().filter(|_| !self.gone) else { return false };
        self.speak(now, out);
        self.answered.insert(asked.stream);
        if answer.last {
            self.gone = true;
            let mut last = Vec::new();
            proto_h3::frame::put_varint(&mut last, (asked.stream + 1) * 4);
            let control = self.server.opened[0];
            self.server.write(control, &frame(kind::GOAWAY, &last), false);
        }
        self.write(asked.stream, asked.field(":method").unwrap_or_default(), answer);
        self.send(now, out);
        true
    }

    fn garbage(&mut self, now: Time, rng: &mut Rng, out: &mut Vec<Vec<u8>>) {
        if self.server.opened.is_empty() {
            // Before the handshake is over there are no streams.
            return out.push((0..rng.below(1300)).map(|_| rng.next() as u8).collect());
        }
        let streams: Vec<u64> = self.server.requests.keys().copied().collect();
        let index = streams.get(rng.below(streams.len() as u64) as usize).copied();
        let rows = [
            frame(kind::DATA, b"stray"),
            frame(kind::SETTINGS, &[]),
            frame(kind::PUSH_PROMISE, &[0, 0, 0, 0xd9]),
            frame(kind::HEADERS, &[0xff, 0xff]),
            frame(kind::HEADERS, &[0, 0, 0xd9, 0x80]),
            headers(&[("X", "y")]),
            headers(&[(":status", "200"), ("connection", "close")]),
            frame(0x6, b"h2 ping"),
            vec![0x01, 0x40],
        ];
        match (rng.below(8), index) {
            (0..4, Some(index)) => {
                let row = &rows[rng.below(rows.len() as u64) as usize];
                self.server.write(request_stream(index), row, rng.one_in(2));
                self.answered.insert(index);
            }
            (4, Some(index)) => {
                let reset =
                    self.server.conn().send_stream(request_stream(index)).reset(code(rng.below(0x300)));
                self.answered.extend(reset.is_ok().then_some(index));
            }
            (5, _) => {
                let row = &rows[rng.below(rows.len() as u64) as usize];
                let control = self.server.opened[0];
                self.server.write(control, row, false);
            }
            (6, _) => out.push((0..rng.below(100)).map(|_| rng.next() as u8).collect()),
            _ => {
                let at = instant(now);
                self.server.conn().close(at, code(rng.below(0x300)), "bye".into());
            }
        }
        self.send(now, out);
    }
}

#[test]
fn keeps_the_promises() {
    conformance::run(&mut H3, if cfg!(debug_assertions) { 100 } else { 1000 });
}

#[test]
fn keeps_the_promises_from_the_first_packet_on() {
    conformance::run(&mut Fresh, if cfg!(debug_assertions) { 100 } else { 1000 });
}
