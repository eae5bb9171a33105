//! CPU per request of the protocol alone: a connection fed with canned server bytes.
//!
//! `cargo run --release -p proto-h2 --example throughput [requests [streams [body [literal|indexed|varying]]]]`
//!
//! For instructions per request, run it under `valgrind --tool=callgrind --toggle-collect='*measured*'` and divide by the
//! number of requests.
#![allow(clippy::print_stdout)]

use bytes::Bytes;
use proto::{
    ByteInput, ClientConn, CloseReason, Error, Field, Fields, Request, Scheme, Sink, Template, Text, Time,
    Token, Want,
};
use proto_h2::frame::{FrameHeader, flag, kind};
use proto_h2::hpack::{Encoder, Indexing};
use proto_h2::{Config, Connection, Prepared};

/// Counts as a driver does.
#[derive(Default)]
struct Counts {
    sent: u64,
    heads: u64,
    body: u64,
    done: u64,
}

impl Sink for Counts {
    fn sent(&mut self, _: Token) {
        self.sent += 1;
    }
    fn head(&mut self, _: Token, status: u16, _: &dyn Fields) {
        assert_eq!(status, 200);
        self.heads += 1;
    }
    fn body(&mut self, _: Token, len: u64, _: &[u8]) {
        self.body += len;
    }
    fn done(&mut self, _: Token) {
        self.done += 1;
    }
    fn failed(&mut self, _: Token, error: Error, _: bool) {
        panic!("{error}");
    }
    fn closed(&mut self, reason: CloseReason) {
        panic!("{reason:?}");
    }
}

/// A server's answers to a batch of streams, the ids to be patched in.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
    /// Where stream ids stand, and of which request of the batch.
    ids: Vec<(usize, u32)>,
}

impl Answers {
    fn new(streams: u32, body: usize, encoder: &mut Encoder, indexing: Indexing, time: u32) -> Answers {
        let mut a = Answers::default();
        let length = body.to_string();
        let rsp = format!("id=dummy, code=200, cache=1, size=100, time={time} ms (0 real)");
        for n in 0..streams {
            let mut block = Vec::new();
            for (name, value) in [
                (":status", "200"),
                ("content-length", &length),
                ("content-type", "text/plain"),
                ("cache-control", "no-cache"),
                ("x-req", "size=100, time=0 ms"),
                ("x-rsp", &rsp),
            ] {
                encoder.field(name.as_bytes(), value.as_bytes(), indexing, &mut block);
            }
            a.frame(n, kind::HEADERS, flag::END_HEADERS, &block);
            let payload = vec![b'x'; body];
            for (i, piece) in payload.chunks(16_384).enumerate() {
                a.frame(n, kind::DATA, u8::from((i + 1) * 16_384 >= body), piece);
            }
        }
        a
    }
    fn frame(&mut self, n: u32, kind: u8, flags: u8, payload: &[u8]) {
        self.ids.push((self.bytes.len() + 5, n));
        let header = FrameHeader { len: payload.len() as u32, kind, flags, stream: 0 };
        self.bytes.extend_from_slice(&header.bytes());
        self.bytes.extend_from_slice(payload);
    }
    fn address(&mut self, first_id: u32) {
        for &(at, n) in &self.ids {
            self.bytes[at..at + 4].copy_from_slice(&(first_id + 2 * n).to_be_bytes());
        }
    }
}

fn template() -> Prepared {
    let field =
        |name: &str, value: &str| Field { name: name.into(), value: Text::literal(value), secret: false };
    let t = Template::new("GET", Scheme::Http, Text::literal("127.0.0.1:8080"), Text::literal("/?s=100"))
        .and_then(|t| t.field(field("user-agent", "loadgen/0.1")))
        .expect("a legal template");
    Connection::prepare(0, &t)
}

/// What is to be measured: one batch of requests out, one batch of answers in.
#[inline(never)]
fn measured(
    conn: &mut Connection,
    prepared: &Prepared,
    streams: u32,
    answers: &[u8],
    wire: &mut Vec<u8>,
    sink: &mut Counts,
) {
    let now = Time::from_nanos(1);
    for n in 0..streams {
        let request = Request { prepared, values: &[], body: Bytes::new(), want: Want::default() };
        conn.submit(now, Token(u64::from(n)), request).expect("room");
    }
    wire.clear();
    while conn.poll_transmit(now, usize::MAX, wire, sink).is_some() {}
    conn.handle_input(now, ByteInput::Bytes(answers), sink);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (requests, streams, body) = (number(0, 1_000_000), number(1, 8) as u32, number(2, 100) as usize);
    let how = args.get(3).map_or("literal", String::as_str);
    let mut conn = Connection::new(Config { max_streams: streams, ..Config::default() });
    let (prepared, mut sink, mut wire) = (template(), Counts::default(), Vec::new());
    let settings = FrameHeader { len: 0, kind: kind::SETTINGS, flags: 0, stream: 0 };
    conn.handle_input(Time::ZERO, ByteInput::Bytes(&settings.bytes()), &mut sink);
    let mut encoder = Encoder::new(4096);
    let indexing = if how == "indexed" { Indexing::Allowed } else { Indexing::Without };
    // The first response fills the tables; those that follow are what is measured.
    let mut first = Answers::new(1, body, &mut encoder, indexing, 0);
    let variants = if how == "varying" { 2 } else { 1 };
    let mut answers: Vec<Answers> =
        (0..variants).map(|n| Answers::new(streams, body, &mut encoder, indexing, n)).collect();
    first.address(1);
    measured(&mut conn, &prepared, 1, &first.bytes, &mut wire, &mut sink);
    let mut next_id = 3u32;
    let batches = requests / u64::from(streams);
    let mut busy = std::time::Duration::ZERO;
    for batch in 0..batches {
        let answers = &mut answers[batch as usize % variants as usize];
        answers.address(next_id);
        next_id += 2 * streams;
        #[allow(clippy::disallowed_methods)] // this is a driver
        let start = std::time::Instant::now();
        measured(&mut conn, &prepared, streams, &answers.bytes, &mut wire, &mut sink);
        busy += start.elapsed();
    }
    assert_eq!((sink.done, sink.sent), (1 + batches * u64::from(streams), sink.heads));
    println!(
        "{} requests, {} bytes of body, {:.1} ns each; connection: {} bytes + {} on the heap",
        sink.done,
        sink.body,
        busy.as_nanos() as f64 / sink.done as f64,
        size_of::<Connection>(),
        conn.footprint()
    );
}
