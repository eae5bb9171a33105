//! What the tests share: a sink that writes a log, a connection with its clock, and frames in short notation.
#![allow(dead_code)] // each test file uses a part

use bytes::Bytes;
use proto::{
    ByteInput, ClientConn, CloseReason, Error, Fields, Framing, Piece, Refused, Request, Scheme, Sink,
    Template, Text, Time, Token, Want,
};
use proto_h2::frame::{FrameHeader, flag, kind};
use proto_h2::hpack::{Encoder, Indexing};
use proto_h2::{Code, Config, Connection, Prepared};
use std::fmt::Write;
use std::time::Duration;

/// An event, owned.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Ready,
    Sent(u64),
    Informational(u64, u16),
    Head(u64, u16, Vec<(String, String)>),
    /// Pieces of one body that follow each other are joined, so that splits do not show.
    Body(u64, u64, Vec<u8>),
    Trailers(u64, Vec<(String, String)>),
    Done(u64),
    Failed(u64, Error, bool),
    Draining,
    Closed(CloseReason),
}

/// A sink that keeps everything.
#[derive(Debug, Default)]
pub struct Log(pub Vec<Event>);

fn owned(fields: &dyn Fields) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    fields.each(&mut |n, v| out.push((text(n), text(v))));
    assert_eq!(out.len(), fields.count());
    out
}

impl Sink for Log {
    fn ready(&mut self) {
        self.0.push(Event::Ready);
    }
    fn sent(&mut self, token: Token) {
        self.0.push(Event::Sent(token.0));
    }
    fn informational(&mut self, token: Token, status: u16) {
        self.0.push(Event::Informational(token.0, status));
    }
    fn head(&mut self, token: Token, status: u16, fields: &dyn Fields) {
        self.0.push(Event::Head(token.0, status, owned(fields)));
    }
    fn body(&mut self, token: Token, len: u64, bytes: &[u8]) {
        if let Some(Event::Body(t, l, b)) = self.0.last_mut()
            && *t == token.0
        {
            *l += len;
            b.extend_from_slice(bytes);
            return;
        }
        self.0.push(Event::Body(token.0, len, bytes.to_vec()));
    }
    fn trailers(&mut self, token: Token, fields: &dyn Fields) {
        self.0.push(Event::Trailers(token.0, owned(fields)));
    }
    fn done(&mut self, token: Token) {
        self.0.push(Event::Done(token.0));
    }
    fn failed(&mut self, token: Token, error: Error, unprocessed: bool) {
        self.0.push(Event::Failed(token.0, error, unprocessed));
    }
    fn draining(&mut self) {
        self.0.push(Event::Draining);
    }
    fn closed(&mut self, reason: CloseReason) {
        self.0.push(Event::Closed(reason));
    }
}

/// A frame of ours as the server sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Seen {
    pub fn code(&self) -> Code {
        let at = if self.kind == kind::GOAWAY { 4 } else { 0 };
        Code(u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap()))
    }
}

/// Cuts frames out of bytes; all of them must be whole.
pub fn frames(mut bytes: &[u8]) -> Vec<Seen> {
    let mut out = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let h = FrameHeader::parse(head);
        let (payload, rest) = rest.split_at(h.len as usize);
        out.push(Seen { kind: h.kind, flags: h.flags, stream: h.stream, payload: payload.to_vec() });
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a frame is cut");
    out
}

/// A connection, its clock, its log, and what it sent.
pub struct Client {
    pub conn: Connection,
    pub now: Time,
    pub log: Log,
    pub wire: Vec<u8>,
    pub limit: usize,
}

pub fn config() -> Config {
    Config { max_streams: 1000, ..Config::default() }
}

impl Client {
    pub fn new(config: Config) -> Client {
        Client {
            conn: Connection::new(config),
            now: Time::from_nanos(1),
            log: Log::default(),
            wire: Vec::new(),
            limit: 1 << 20,
        }
    }
    /// A client that has exchanged prefaces with a server of these settings.
    pub fn ready(config: Config, peer: &[(u16, u32)]) -> Client {
        let mut c = Client::new(config);
        c.input(&settings(peer));
        c.flush();
        c.wire.clear();
        c.log.0.clear();
        c
    }
    pub fn input(&mut self, bytes: &[u8]) {
        self.conn.handle_input(self.now, ByteInput::Bytes(bytes), &mut self.log);
    }
    pub fn eof(&mut self) {
        self.conn.handle_input(self.now, ByteInput::Eof, &mut self.log);
    }
    pub fn flush(&mut self) {
        loop {
            let wants = self.conn.wants_transmit();
            let before = self.wire.len();
            let got = self.conn.poll_transmit(self.now, self.limit, &mut self.wire, &mut self.log);
            assert!(self.wire.len() - before <= self.limit);
            assert_eq!(got.is_some(), self.wire.len() > before);
            assert_eq!(wants, got.is_some(), "wants_transmit says what poll_transmit does");
            if got.is_none() {
                return;
            }
        }
    }
    pub fn later(&mut self, by: Duration) {
        self.now = self.now.after(by);
        if self.conn.poll_timeout().is_some_and(|t| t <= self.now) {
            self.conn.handle_timeout(self.now, &mut self.log);
        }
    }
    pub fn submit(&mut self, token: u64, prepared: &Prepared) -> Result<(), Refused> {
        self.submit_with(token, prepared, &[], Bytes::new(), Want::default())
    }
    pub fn submit_with(
        &mut self,
        token: u64,
        prepared: &Prepared,
        values: &[&[u8]],
        body: Bytes,
        want: Want,
    ) -> Result<(), Refused> {
        let capacity = self.conn.capacity();
        let result = self.conn.submit(self.now, Token(token), Request { prepared, values, body, want });
        assert!(capacity > 0 || result.is_err(), "no capacity, yet accepted");
        result
    }
    /// Frames sent since the last call.
    pub fn sent(&mut self) -> Vec<Seen> {
        self.flush();
        let wire = std::mem::take(&mut self.wire);
        let rest = wire.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap_or(&wire);
        frames(rest)
    }
    /// Events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.log.0)
    }
}

/// A template without slots.
pub fn template(method: &str, path: &str, fields: &[(&str, &str)]) -> Template {
    let mut t =
        Template::new(method, Scheme::Https, Text::literal("example.org"), Text::literal(path)).unwrap();
    for (name, value) in fields {
        let field = proto::Field { name: (*name).into(), value: Text::literal(value), secret: false };
        t = t.field(field).unwrap();
    }
    t
}
pub fn get(path: &str) -> Prepared {
    Connection::prepare(0, &template("GET", path, &[("user-agent", "test"), ("accept", "*/*")]))
}
pub fn head() -> Prepared {
    Connection::prepare(1, &template("HEAD", "/", &[]))
}
pub fn post() -> Prepared {
    Connection::prepare(2, &template("POST", "/up", &[]).body(Framing::Length, false))
}
pub fn post_expecting() -> Prepared {
    Connection::prepare(3, &template("POST", "/up", &[]).body(Framing::Length, true))
}
/// `/` and a slot.
pub fn get_slot() -> Prepared {
    let path = Text::new(vec![Piece::Literal((*b"/").into()), Piece::Slot(0)]);
    let t = Template::new("GET", Scheme::Https, Text::literal("example.org"), path).unwrap();
    Connection::prepare(4, &t)
}

pub const ALL: Want = Want { fields: true, body: true };

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = FrameHeader { len: payload.len() as u32, kind, flags, stream }.bytes().to_vec();
    out.extend_from_slice(payload);
    out
}
pub fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in entries {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(kind::SETTINGS, 0, 0, &payload)
}
/// A header block without use of the dynamic table.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(4096);
    for (name, value) in fields {
        encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Without, &mut out);
    }
    out
}
/// HEADERS in one frame.
pub fn headers(stream: u32, fields: &[(&str, &str)], flags: u8) -> Vec<u8> {
    frame(kind::HEADERS, flags | flag::END_HEADERS, stream, &block(fields))
}
pub fn data(stream: u32, payload: &[u8], end: bool) -> Vec<u8> {
    frame(kind::DATA, u8::from(end), stream, payload)
}
pub fn word(kind: u8, stream: u32, value: u32) -> Vec<u8> {
    frame(kind, 0, stream, &value.to_be_bytes())
}
pub fn window_update(stream: u32, by: u32) -> Vec<u8> {
    word(kind::WINDOW_UPDATE, stream, by)
}
pub fn rst(stream: u32, code: Code) -> Vec<u8> {
    word(kind::RST_STREAM, stream, code.0)
}
pub fn goaway(last: u32, code: Code) -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, &[last.to_be_bytes(), code.0.to_be_bytes()].concat())
}
pub fn cat(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect()
}
/// For messages.
pub fn show(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// The events of one script under every split in two, and byte by byte, must be those of one piece.
pub fn same_under_splits(mut script: impl FnMut(&mut Client, &mut dyn FnMut(&mut Client, &[u8]))) {
    let mut run = |split: Option<usize>| {
        let mut client = Client::new(config());
        let mut feed = |c: &mut Client, bytes: &[u8]| match split {
            None => c.input(bytes),
            Some(0) => bytes.chunks(1).for_each(|b| c.input(b)),
            Some(n) => {
                let n = n.min(bytes.len());
                c.input(&bytes[..n]);
                c.input(&bytes[n..]);
            }
        };
        script(&mut client, &mut feed);
        client.flush();
        (client.log.0, client.wire)
    };
    let whole = run(None);
    for split in 0..2000 {
        assert_eq!(run(Some(split)), whole, "split at {split}");
    }
}
