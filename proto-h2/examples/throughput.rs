//! CPU per request of the protocol alone: a connection fed with canned server bytes.
//!
//! `cargo run --release -p proto-h2 --example throughput [requests [streams [body [literal|indexed|varying]]]]`
//!
//! For instructions per request, run it under `valgrind --tool=callgrind --toggle-collect='*measured*'` and divide by the
//! number of requests.
#![allow(clippy::print_stdout)]

use bytes::Bytes;
use proto::{
    ByteInput, ClientConn, CloseReason, Error, Field, Fields, Request, Scheme, Sink, Template, Text, Time, Token, Want,
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

/// A server's answers to streams 1, 3, 5 and so on, the ids to be patched in.
struct Answers {
    bytes: Vec<u8>,
    /// Where the stream ids stand, for each answer.
    ids: Vec<Vec<usize>>,
    /// Where a byte of the header block may be changed, to make each block another.
    varying: Vec<usize>,
}

impl Answers {
    fn new(streams: u32, body: usize, how: &str) -> Answers {
        let mut a = Answers { bytes: Vec::new(), ids: Vec::new(), varying: Vec::new() };
        let indexing = if how == "indexed" { Indexing::Allowed } else { Indexing::Without };
        let mut encoder = Encoder::new(4096);
        let mut block = |encoder: &mut Encoder| {
            let mut out = Vec::new();
            let length = body.to_string();
            let fields = [
                (":status", "200"),
                ("content-length", &length),
                ("content-type", "text/plain"),
                ("cache-control", "no-cache"),
                ("x-req", "size=100, time=0 ms"),
                ("x-rsp", "id=dummy, code=200, cache=1, size=100, time=0 ms (0 real)"),
            ];
            for (name, value) in fields {
                encoder.field(name.as_bytes(), value.as_bytes(), indexing, &mut out);
            }
            out
        };
        if indexing == Indexing::Allowed {
            // The first one fills the table; it is sent once, before everything else.
            let first = block(&mut encoder);
            let header = FrameHeader { len: first.len() as u32, kind: kind::HEADERS, flags: 5, stream: 1 };
            a.bytes.extend_from_slice(&header.bytes());
            a.bytes.extend_from_slice(&first);
            return a;
        }
        for _ in 0..streams {
            let block = block(&mut encoder);
            let mut ids = vec![a.bytes.len() + 5];
            a.frame(kind::HEADERS, flag::END_HEADERS, &block);
            a.varying.push(a.bytes.len() - 1);
            let payload = vec![b'x'; body];
            for (i, piece) in payload.chunks(16_384).enumerate() {
                let last = (i + 1) * 16_384 >= body;
                ids.push(a.bytes.len() + 5);
                a.frame(kind::DATA, u8::from(last), piece);
            }
            a.ids.push(ids);
        }
        a
    }
    fn frame(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        let header = FrameHeader { len: payload.len() as u32, kind, flags, stream: 0 };
        self.bytes.extend_from_slice(&header.bytes());
        self.bytes.extend_from_slice(payload);
    }
}

fn template() -> Prepared {
    let field = |name: &str, value: &str| Field { name: name.into(), value: Text::literal(value), secret: false };
    let t = Template::new("GET", Scheme::Http, Text::literal("127.0.0.1:8080"), Text::literal("/?s=100"))
        .and_then(|t| t.field(field("user-agent", "loadgen/0.1")))
        .expect("a legal template");
    Connection::prepare(0, &t)
}

/// What is to be measured: one batch of requests out, one batch of answers in.
#[inline(never)]
fn measured(conn: &mut Connection, prepared: &Prepared, streams: u32, answers: &[u8], wire: &mut Vec<u8>, sink: &mut Counts) {
    let now = Time::from_nanos(1);
    for n in 0..streams {
        let request = Request { prepared, values: &[], body: Bytes::new(), want: Want::default() };
        conn.submit(now, Token(u64::from(n)), request).expect("room");
    }
    wire.clear();
    while conn.poll_transmit(now, usize::MAX, wire, sink).is_some() {}
    conn.handle_input(now, ByteInput::Bytes(answers), sink);
    assert!(!conn.wants_transmit() || wire.capacity() > 0);
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
    let mut answers = Answers::new(streams, body, how);
    let mut next_id = 1u32;
    let batches = requests / u64::from(streams);
    let mut busy = std::time::Duration::ZERO;
    for batch in 0..batches {
        for (i, places) in answers.ids.iter().enumerate() {
            for &at in places {
                answers.bytes[at - 0..at + 4].copy_from_slice(&(next_id + 2 * i as u32).to_be_bytes());
            }
        }
        if how == "varying" {
            for &at in &answers.varying {
                answers.bytes[at] = b'a' + (batch % 20) as u8;
            }
        }
        let start = cpu_time();
        measured(&mut conn, &prepared, streams, &answers.bytes, &mut wire, &mut sink);
        busy += cpu_time().saturating_sub(start);
        next_id += 2 * streams;
    }
    assert_eq!((sink.done, sink.sent, sink.heads), (batches * u64::from(streams), sink.sent, sink.done));
    println!(
        "{} requests, {} bytes of body, {:.1} ns each; connection: {} bytes + {} on the heap",
        sink.done,
        sink.body,
        busy.as_nanos() as f64 / sink.done as f64,
        size_of::<Connection>(),
        conn.footprint()
    );
}
