//! The suite of `proto::conformance` against this crate, with a small HTTP/2 server as the peer.

use proto::conformance::{self, Answer, Fixture, Peer, Recorder, Rng};
use proto::{ByteInput, ClientConn, Time};
use proto_h2::frame::{FrameHeader, flag, kind};
use proto_h2::hpack::{Decoder, Encoder, Indexing};
use proto_h2::{Config, Connection};

struct H2;

impl Fixture for H2 {
    type Conn = Connection;
    type Peer = Server;
    const CAN_SKIP: bool = true;

    fn connect(&mut self, depth: u32) -> (Connection, Server) {
        let config = Config { max_streams: depth, stream_window_bits: 12, ..Config::default() };
        (Connection::new(config), Server::new())
    }
    fn bytes(conn: &mut Connection, now: Time, piece: &[u8], sink: &mut Recorder) {
        conn.handle_input(now, ByteInput::Bytes(piece), sink);
    }
    fn skipped(conn: &mut Connection, now: Time, n: u64, sink: &mut Recorder) {
        conn.handle_input(now, ByteInput::Skipped(n), sink);
    }
    fn eof(conn: &mut Connection, now: Time, sink: &mut Recorder) {
        conn.handle_input(now, ByteInput::Eof, sink);
    }
}

/// A request not yet answered.
struct Asked {
    stream: u32,
    method: Vec<u8>,
    expects: bool,
    complete: bool,
}

struct Server {
    input: Vec<u8>,
    preface: bool,
    decoder: Decoder,
    encoder: Encoder,
    asked: Vec<Asked>,
    /// Frames to be said at the next occasion.
    due: Vec<u8>,
    gone: bool,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = FrameHeader { len: payload.len() as u32, kind, flags, stream }.bytes().to_vec();
    out.extend_from_slice(payload);
    out
}

impl Server {
    fn new() -> Server {
        let due = frame(kind::SETTINGS, 0, 0, &[]);
        let (decoder, encoder) = (Decoder::new(4096), Encoder::new(4096));
        Server { input: Vec::new(), preface: false, decoder, encoder, asked: Vec::new(), due, gone: false }
    }

    fn frame(&mut self, header: FrameHeader, payload: &[u8]) {
        let ended = header.flags & flag::END_STREAM != 0;
        match header.kind {
            kind::HEADERS => {
                assert!(header.has(flag::END_HEADERS) && header.stream % 2 == 1);
                let mut a =
                    Asked { stream: header.stream, method: Vec::new(), expects: false, complete: ended };
                let mut pseudo = 0;
                let read = |name: &[u8], value: &[u8]| match name {
                    b":method" => {
                        a.method = value.to_vec();
                        pseudo += 1;
                    }
                    b":scheme" | b":authority" | b":path" => pseudo += 1,
                    b"expect" => a.expects = true,
                    b"x-slot" => assert_eq!(value, b"v1"),
                    b"content-length" => {}
                    other => panic!("unexpected field {other:?}"),
                };
                self.decoder.decode(payload, read).expect("the client's HPACK is sound");
                assert_eq!(pseudo, 4);
                self.asked.push(a);
            }
            kind::DATA => {
                if ended && let Some(a) = self.asked.iter_mut().find(|a| a.stream == header.stream) {
                    a.complete = true;
                }
                if header.len > 0 {
                    for stream in [0, header.stream] {
                        self.due.extend(frame(kind::WINDOW_UPDATE, 0, stream, &header.len.to_be_bytes()));
                    }
                }
            }
            kind::RST_STREAM => self.asked.retain(|a| a.stream != header.stream),
            kind::SETTINGS if !header.has(flag::ACK) => {
                self.due.extend(frame(kind::SETTINGS, flag::ACK, 0, &[]))
            }
            kind::SETTINGS | kind::WINDOW_UPDATE | kind::PING | kind::GOAWAY => {}
            other => panic!("a client does not send kind {other}"),
        }
    }

    /// A header block in one or more frames.
    fn headers(&mut self, stream: u32, fields: &[(&str, &str)], end: bool, style: &mut Rng) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in fields {
            let indexing = if style.one_in(2) { Indexing::Allowed } else { Indexing::Without };
            self.encoder.field(name.as_bytes(), value.as_bytes(), indexing, &mut block);
        }
        let mut flags = if end { flag::END_STREAM } else { 0 };
        let pieces = if style.one_in(3) { block.len().div_ceil(3) } else { block.len() };
        let mut chunks = block.chunks(pieces).peekable();
        let mut payload = chunks.next().expect("not empty").to_vec();
        if style.one_in(4) {
            flags |= flag::PADDED;
            payload.insert(0, 3);
            payload.extend([0; 3]);
        }
        if chunks.peek().is_none() {
            flags |= flag::END_HEADERS;
        }
        let mut out = frame(kind::HEADERS, flags, stream, &payload);
        while let Some(chunk) = chunks.next() {
            let flags = if chunks.peek().is_none() { flag::END_HEADERS } else { 0 };
            out.extend(frame(kind::CONTINUATION, flags, stream, chunk));
        }
        out
    }

    fn write(&mut self, asked: &Asked, answer: &Answer) -> Vec<u8> {
        let mut style = Rng::new(answer.style);
        let mut out = Vec::new();
        let stream = asked.stream;
        if answer.informational {
            out.extend(self.headers(stream, &[(":status", "103"), ("link", "</a>")], false, &mut style));
        }
        let bare = asked.method == b"HEAD" || matches!(answer.status, 204 | 304);
        let body: &[u8] = if bare { &[] } else { &answer.body };
        let (status, length) = (answer.status.to_string(), body.len().to_string());
        let mut fields = vec![(":status", &status[..]), ("x-a", "value")];
        if style.one_in(2) {
            fields.push(("content-length", &length));
        }
        let ends = body.is_empty() && !answer.trailers && style.one_in(2);
        out.extend(self.headers(stream, &fields, ends, &mut style));
        if ends {
            return out;
        }
        let mut rest = body;
        while !rest.is_empty() || !answer.trailers {
            let (piece, after) = rest.split_at(style.below(rest.len() as u64 + 1) as usize);
            rest = after;
            let end = rest.is_empty() && !answer.trailers;
            let flags = if end { flag::END_STREAM } else { 0 };
            if style.one_in(4) {
                let padded = [&[5][..], piece, &[0; 5]].concat();
                out.extend(frame(kind::DATA, flags | flag::PADDED, stream, &padded));
            } else {
                out.extend(frame(kind::DATA, flags, stream, piece));
            }
            if style.one_in(5) {
                out.extend(frame(kind::PING, 0, 0, b"12345678"));
            }
            if end {
                return out;
            }
        }
        out.extend(self.headers(stream, &[("x-checksum", "1234")], true, &mut style));
        out
    }
}

impl Peer<()> for Server {
    fn receive(&mut self, _now: Time, (): (), bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let mut input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        if !self.preface && rest.len() >= 24 {
            assert!(rest.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
            rest = &rest[24..];
            self.preface = true;
        }
        while self.preface
            && let Some((head, after)) = rest.split_first_chunk::<9>()
        {
            let header = FrameHeader::parse(head);
            let Some((payload, after)) = after.split_at_checked(header.len as usize) else { break };
            self.frame(header, payload);
            rest = after;
        }
        let done = input.len() - rest.len();
        input.drain(..done);
        self.input = input;
    }

    fn speak(&mut self, _now: Time, out: &mut Vec<Vec<u8>>) {
        let expecting: Vec<u32> =
            self.asked.iter().filter(|a| a.expects && !a.complete).map(|a| a.stream).collect();
        for stream in expecting {
            let hundred = self.headers(stream, &[(":status", "100")], false, &mut Rng::new(1));
            self.due.extend(hundred);
            for a in self.asked.iter_mut().filter(|a| a.stream == stream) {
                a.expects = false;
            }
        }
        if !self.due.is_empty() {
            out.push(std::mem::take(&mut self.due));
        }
    }

    fn answer(&mut self, now: Time, answer: &Answer, out: &mut Vec<Vec<u8>>) -> bool {
        let ready = self.asked.first().is_some_and(|a| a.complete || answer.early);
        if self.gone || !ready {
            return false;
        }
        self.speak(now, out);
        let asked = self.asked.remove(0);
        let mut bytes = self.write(&asked, answer);
        if answer.last {
            self.gone = true;
            let goaway =
                frame(kind::GOAWAY, 0, 0, &[&asked.stream.to_be_bytes()[..], &[0; 4], b"bye"].concat());
            if answer.style.is_multiple_of(2) {
                bytes.splice(0..0, goaway).for_each(drop)
            } else {
                bytes.extend(goaway)
            }
        }
        out.push(bytes);
        true
    }

    fn garbage(&mut self, _now: Time, rng: &mut Rng, out: &mut Vec<Vec<u8>>) {
        let stream = 1 + 2 * rng.below(8) as u32;
        let rows = [
            frame(kind::HEADERS, 5, stream, b"\x88"),
            frame(kind::HEADERS, 4, stream, b"\xff\xff\xff\xff\xff\xff"),
            frame(kind::DATA, 1, stream, b"stray"),
            frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, rng.below(14) as u8]),
            frame(kind::WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]),
            frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
            frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, rng.below(256) as u8]),
            frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, rng.below(4) as u8]),
            frame(kind::PUSH_PROMISE, 4, stream, &[0, 0, 0, 2]),
            frame(kind::GOAWAY, 0, 0, &[0, 0, 0, stream as u8, 0, 0, 0, rng.below(14) as u8]),
            frame(kind::CONTINUATION, 4, stream, b"\x88"),
            frame(kind::HEADERS, 4, stream, b"\x00\x01X\x01y"),
            frame(0x99, 0xff, stream, b"unknown"),
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ];
        out.push(rows[rng.below(rows.len() as u64) as usize].clone());
    }
}

#[test]
fn keeps_the_promises() {
    // Each round replays an exchange under every cut, which takes its time without optimization.
    conformance::run(&mut H2, if cfg!(debug_assertions) { 50 } else { 1000 });
}
