//! The suite of `proto::conformance` against this crate, with a small HTTP/1.1 server as the peer.

use proto::conformance::{self, Answer, Fixture, Peer, Recorder, Rng};
use proto::{ByteInput, ClientConn, Time};
use proto_h1::{Config, Connection};
use std::num::NonZeroU32;

struct H1;

impl Fixture for H1 {
    type Conn = Connection;
    type Peer = Server;
    const CAN_SKIP: bool = true;

    fn connect(&mut self, depth: u32) -> (Connection, Server) {
        let depth = NonZeroU32::new(depth).expect("a depth");
        (Connection::new(Config { depth, ..Config::default() }), Server::default())
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

/// Understands requests as they come and answers them in order.
#[derive(Default)]
struct Server {
    input: Vec<u8>,
    answered: usize,
    continued: usize,
    gone: bool,
}

/// A request found in the input.
struct Found {
    method: String,
    expects: bool,
    complete: bool,
}

impl Server {
    /// All requests so far; the last one may lack its body.
    fn requests(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let mut rest = &self.input[..];
        while let Some(end) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(rest[..end].to_vec()).expect("the suite writes ASCII");
            rest = &rest[end + 4..];
            let mut lines = head.lines();
            let first = lines.next().expect("a request line");
            assert!(first.ends_with(" HTTP/1.1"), "{first}");
            let (mut length, mut chunked, mut expects, mut host) = (0, false, false, 0);
            for line in lines {
                let (name, value) = line.split_once(": ").expect("a field");
                match name.to_ascii_lowercase().as_str() {
                    "host" => host += 1,
                    "content-length" => length = value.parse().expect("a length"),
                    "transfer-encoding" => chunked = value == "chunked",
                    "expect" => expects = value == "100-continue",
                    _ => {}
                }
            }
            assert_eq!(host, 1, "RFC 9112 section 3.2: exactly one host");
            let body = if chunked { chunked_len(rest) } else { Some(length).filter(|&n| n <= rest.len()) };
            let method = first.split(' ').next().expect("a method").to_owned();
            found.push(Found { method, expects, complete: body.is_some() });
            match body {
                Some(n) => rest = &rest[n..],
                None => break,
            }
        }
        found
    }
}

/// How long a complete chunked body is.
fn chunked_len(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = body[at..].windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&body[at..at + line]).expect("hex");
        let size = usize::from_str_radix(size, 16).expect("hex");
        at += line + 2 + size + 2;
        if at > body.len() {
            return None;
        }
        assert_eq!(&body[at - 2..at], b"\r\n");
        if size == 0 {
            return Some(at);
        }
    }
}

impl Peer<()> for Server {
    fn receive(&mut self, _now: Time, (): (), bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    fn speak(&mut self, _now: Time, out: &mut Vec<Vec<u8>>) {
        let oldest = self.requests().into_iter().nth(self.answered);
        if oldest.is_some_and(|r| r.expects && !r.complete) && self.continued <= self.answered && !self.gone {
            self.continued = self.answered + 1;
            out.push(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec());
        }
    }

    fn answer(&mut self, _now: Time, answer: &Answer, out: &mut Vec<Vec<u8>>) -> bool {
        let Some(request) = self.requests().into_iter().nth(self.answered) else { return false };
        if self.gone || !(request.complete || answer.early) {
            return false;
        }
        self.answered += 1;
        self.gone = answer.last;
        out.push(write(answer, &request.method));
        true
    }

    fn garbage(&mut self, _now: Time, rng: &mut Rng, out: &mut Vec<Vec<u8>>) {
        let rows: [&[u8]; 8] = [
            b"\0",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 600 No\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"\r\n",
            b"HTTP/1.1 103 Early Hints\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        ];
        out.push(rows[rng.below(8) as usize].to_vec());
    }
}

fn write(answer: &Answer, method: &str) -> Vec<u8> {
    let mut style = Rng::new(answer.style);
    let mut out = Vec::new();
    if answer.informational {
        out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    }
    let old = style.one_in(8) && !answer.trailers;
    let version = if old { 0 } else { 1 };
    out.extend_from_slice(format!("HTTP/1.{version} {} Reason\r\n", answer.status).as_bytes());
    if answer.last {
        let close: &[u8] = if style.one_in(2) {
            b"Connection: close\r\n"
        } else {
            b"connection: x, CLOSE\r\nConnection: y\r\n"
        };
        out.extend_from_slice(close);
    } else if old {
        out.extend_from_slice(b"Connection: Keep-Alive\r\n");
    }
    for i in 0..style.below(3) {
        out.extend_from_slice(format!("X-Field-{i}: value {i}\r\n").as_bytes());
    }
    let bare = method == "HEAD" || matches!(answer.status, 204 | 304);
    if bare && style.one_in(2) {
        out.extend_from_slice(b"\r\n");
    } else if answer.last && !bare && !answer.trailers && style.one_in(3) {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&answer.body);
    } else if !old && (answer.trailers || style.one_in(2)) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        if !bare {
            write_chunked(answer, &mut style, &mut out);
        }
    } else {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", answer.body.len()).as_bytes());
        if !bare {
            out.extend_from_slice(&answer.body);
        }
    }
    out
}

fn write_chunked(answer: &Answer, style: &mut Rng, out: &mut Vec<u8>) {
    let mut rest = &answer.body[..];
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(1 + style.below(rest.len() as u64) as usize);
        let extension = ["", ";a=b", " ; x=\"y z\"", ";"][style.below(4) as usize];
        out.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = after;
    }
    out.extend_from_slice(b"0\r\n");
    if answer.trailers {
        out.extend_from_slice(b"X-Checksum: 1234\r\nX-Other: 5\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[test]
fn keeps_the_promises() {
    conformance::run(&mut H1, 500);
}
