//! Feeds a canned response to one connection again and again and prints what one exchange costs.
//!
//! `cargo run --release -p proto-h1 --example throughput -- [rounds] [haterm|nginx|chunked|close] [depth] [connections] [fields]`
//! With `fields` the request wants the fields, so that every head is parsed.
//! For instructions instead of time, run it under `valgrind --tool=callgrind` with two round counts and take the
//! difference.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark needs a clock and says what it found"
)]

use bytes::Bytes;
use proto::{ByteInput, ClientConn, CloseReason, Error, Fields, Request, Scheme, Sink, Template, Text, Time};
use proto::{Token, Want};
use proto_h1::{Config, Connection, Prepared};
use std::num::NonZeroU32;
use std::time::Instant;

#[derive(Default)]
struct Count {
    done: u64,
    bytes: u64,
    other: u64,
}

impl Sink for Count {
    fn sent(&mut self, _: Token) {}
    fn head(&mut self, _: Token, status: u16, _: &dyn Fields) {
        self.other += u64::from(status != 200);
    }
    fn body(&mut self, _: Token, len: u64, _: &[u8]) {
        self.bytes += len;
    }
    fn done(&mut self, _: Token) {
        self.done += 1;
    }
    fn failed(&mut self, _: Token, _: Error, _: bool) {
        self.other += 1;
    }
    fn closed(&mut self, _: CloseReason) {}
}

fn response(kind: &str) -> Vec<u8> {
    let body = "x".repeat(100);
    match kind {
        "haterm" => format!(
            "HTTP/1.1 200\r\nContent-length: 100\r\nX-req: size=35, time=0 ms\r\n\
             X-rsp: id=dummy, code=200, cache=1, size=100, time=0 ms (0 real)\r\n\r\n{body}"
        ),
        "chunked" => format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{body}\r\n0\r\n\r\n"),
        "close" => {
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{body}")
        }
        _ => format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.26.3\r\nDate: Mon, 24 Nov 2025 22:45:00 GMT\r\n\
             Content-Type: text/plain\r\nContent-Length: 100\r\nLast-Modified: Mon, 24 Nov 2025 20:00:00 GMT\r\n\
             Connection: keep-alive\r\nETag: \"6924b8a0-64\"\r\nAccept-Ranges: bytes\r\n\r\n{body}"
        ),
    }
    .into_bytes()
}

fn exchange(
    conn: &mut Connection,
    prepared: &Prepared,
    input: &[u8],
    depth: u32,
    want: Want,
    out: &mut Vec<u8>,
    sink: &mut Count,
) {
    for token in 0..depth {
        let request = Request { prepared, values: &[], body: Bytes::new(), want };
        conn.submit(Time::ZERO, Token(u64::from(token)), request).expect("room");
    }
    out.clear();
    while conn.poll_transmit(Time::ZERO, usize::MAX, out, sink).is_some() {}
    conn.handle_input(Time::ZERO, ByteInput::Bytes(input), sink);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default| args.get(i).map_or(default, |a| a.parse().expect("a number"));
    let rounds: u64 = number(1, 2_000_000);
    let kind = args.get(2).map_or("nginx", |s| s);
    let depth = number(3, 1) as u32;
    let connections = number(4, 1) as usize;

    let want = Want { fields: args.get(5).is_some_and(|a| a == "fields"), body: false };
    let template =
        Template::new("GET", Scheme::Http, Text::literal("127.0.0.1:8081"), Text::literal("/?s=100"));
    let prepared = Connection::prepare(0, &template.expect("legal"));
    let config = Config { depth: NonZeroU32::new(depth).expect("not zero"), ..Config::default() };
    let mut conns: Vec<Connection> = (0..connections).map(|_| Connection::new(config)).collect();
    let input = response(kind).repeat(depth as usize);
    let mut out = Vec::new();
    let mut sink = Count::default();

    let start = Instant::now();
    for round in 0..rounds as usize {
        let conn = &mut conns[round % connections];
        exchange(conn, &prepared, &input, depth, want, &mut out, &mut sink);
        if conn.capacity() == 0 {
            *conn = Connection::new(config);
        }
    }
    let elapsed = start.elapsed();
    assert_eq!((sink.done, sink.other), (rounds * u64::from(depth), 0));
    assert_eq!(sink.bytes, sink.done * 100);
    println!(
        "{kind}, depth {depth}, {connections} connections: {:.1} ns per exchange, size of a connection {} bytes",
        elapsed.as_nanos() as f64 / sink.done as f64,
        size_of::<Connection>()
    );
}
