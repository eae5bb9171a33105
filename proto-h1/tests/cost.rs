//! What a connection costs: its size, and no allocation per request in steady state.
#![allow(unsafe_code, reason = "a counting allocator has no other form")]

use bytes::Bytes;
use proto::{
    ByteInput, ClientConn, CloseReason, Error, Fields, Framing, Piece, Request, Scheme, Sink, Template,
};
use proto::{Text, Time, Token, Want};
use proto_h1::{Config, Connection, Prepared};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::num::NonZeroU32;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to `System` unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Count {
    done: u64,
    fields: u64,
    body: u64,
}

impl Sink for Count {
    fn sent(&mut self, _: Token) {}
    fn head(&mut self, _: Token, _: u16, fields: &dyn Fields) {
        self.fields += fields.count() as u64;
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

const RESPONSES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
];

fn prepared() -> Vec<Prepared> {
    let path = || Text::new(vec![Piece::Literal((*b"/").into()), Piece::Slot(0)]);
    let make = |method: &str, framing| {
        let t = Template::new(method, Scheme::Http, Text::literal("h"), path()).expect("legal");
        Connection::prepare(0, &t.body(framing, false))
    };
    vec![make("GET", Framing::None), make("POST", Framing::Length), make("POST", Framing::Chunked)]
}

/// One batch of `depth` requests and their responses, in pieces of `piece` bytes.
fn round(
    conn: &mut Connection,
    all: &[Prepared],
    body: &Bytes,
    piece: usize,
    n: u64,
    out: &mut Vec<u8>,
    sink: &mut Count,
) {
    let depth = conn.capacity();
    for i in 0..u64::from(depth) {
        let request = Request {
            prepared: &all[(n + i) as usize % all.len()],
            values: &[b"value"],
            body: body.clone(),
            want: Want { fields: n.is_multiple_of(2), body: n.is_multiple_of(3) },
        };
        conn.submit(Time::ZERO, Token(i), request).expect("room");
    }
    out.clear();
    while conn.poll_transmit(Time::ZERO, 1000, out, sink).is_some() {}
    for i in 0..depth as usize {
        for bytes in RESPONSES[(n as usize + i) % RESPONSES.len()].chunks(piece) {
            conn.handle_input(Time::ZERO, ByteInput::Bytes(bytes), sink);
        }
    }
}

#[test]
fn steady_state_allocates_nothing() {
    let all = prepared();
    let body = Bytes::from(vec![b'x'; 3000]);
    let mut out = Vec::with_capacity(1 << 20);
    for depth in [1, 8] {
        for piece in [1, 10, 1000] {
            let config = Config { depth: NonZeroU32::new(depth).expect("a depth"), ..Config::default() };
            let mut conn = Connection::new(config);
            let mut sink = Count::default();
            for n in 0..6 {
                round(&mut conn, &all, &body, piece, n, &mut out, &mut sink);
            }
            let (before, done) = (ALLOCATIONS.get(), sink.done);
            for n in 0..600 {
                round(&mut conn, &all, &body, piece, n, &mut out, &mut sink);
            }
            assert_eq!(sink.done - done, 600 * u64::from(depth));
            assert_eq!(ALLOCATIONS.get() - before, 0, "depth {depth}, pieces of {piece} bytes");
        }
    }
}

#[test]
fn a_connection_is_small_and_a_new_one_allocates_nothing() {
    let before = ALLOCATIONS.get();
    let conn = Connection::new(Config::default());
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(conn.capacity(), 1);
    assert!(size_of::<Connection>() <= 200, "{} bytes", size_of::<Connection>());
}
