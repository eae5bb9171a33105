//! What a connection costs in memory: nothing per request in steady state, little when idle. Its own file, because the
//! allocator that counts serves the whole process.

use bytes::Bytes;
use proto::{
    ByteInput, ClientConn, CloseReason, Error, Field, Fields, Framing, Piece, Request, Scheme, Sink,
    Template, Text, Time, Token, Want,
};
use proto_h2::frame::{FrameHeader, flag, kind};
use proto_h2::hpack::{Encoder, Indexing};
use proto_h2::{Config, Connection, Prepared};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Allocations of this thread; tests run in threads of their own.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Counts {
    done: u64,
    fields: u64,
}

impl Sink for Counts {
    fn sent(&mut self, _: Token) {}
    fn head(&mut self, _: Token, _: u16, fields: &dyn Fields) {
        fields.each(&mut |_, _| self.fields += 1);
    }
    fn body(&mut self, _: Token, _: u64, _: &[u8]) {}
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

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&FrameHeader { len: payload.len() as u32, kind, flags, stream }.bytes());
    out.extend_from_slice(payload);
}

fn templates() -> [Prepared; 2] {
    let field = |name: &str, value| Field { name: name.into(), value, secret: false };
    let path = || Text::new(vec![Piece::Literal((*b"/a/").into()), Piece::Slot(0)]);
    let get = Template::new("GET", Scheme::Http, Text::literal("example.org"), path())
        .and_then(|t| t.field(field("user-agent", Text::literal("x"))))
        .unwrap();
    let post = Template::new("POST", Scheme::Http, Text::literal("example.org"), Text::literal("/b"))
        .and_then(|t| t.field(field("x-id", Text::new(vec![Piece::Slot(0)]))))
        .unwrap()
        .body(Framing::Length, false);
    [Connection::prepare(0, &get), Connection::prepare(1, &post)]
}

#[test]
fn nothing_is_allocated_per_request() {
    let prepared = templates();
    let mut conn = Connection::new(Config { max_streams: 16, ..Config::default() });
    let (mut sink, mut wire, mut says) =
        (Counts::default(), Vec::with_capacity(1 << 16), Vec::with_capacity(1 << 16));
    let (mut encoder, now) = (Encoder::new(4096), Time::from_nanos(1));
    let body = Bytes::from_static(&[7; 5000]);
    frame(&mut says, kind::SETTINGS, 0, 0, &[]);
    let mut next = 1;
    let mut block = Vec::with_capacity(4096);
    for round in 0..3000u64 {
        if round == 2000 {
            ALLOCATIONS.set(0);
        }
        for n in 0..16u64 {
            let which = (n % 3 == 0) as usize;
            let request = Request {
                prepared: &prepared[which],
                values: &[b"value"],
                body: if which == 1 { body.clone() } else { Bytes::new() },
                want: Want { fields: n % 2 == 0, body: n % 4 == 0 },
            };
            conn.submit(now, Token(n), request).unwrap();
        }
        wire.clear();
        while conn.poll_transmit(now, 4096, &mut wire, &mut sink).is_some() {}
        for _ in 0..16 {
            block.clear();
            encoder.field(b":status", b"200", Indexing::Without, &mut block);
            // A value that changes: the peer's table turns over, as with dates and ids. The encoder used here never
            // evicts, so the insertion is written by hand.
            block.extend_from_slice(b"\x40\x04x-id\x06");
            block.extend_from_slice(format_id(next).as_slice());
            encoder.field(b"content-length", b"100", Indexing::Without, &mut block);
            frame(&mut says, kind::HEADERS, flag::END_HEADERS, next, &block);
            frame(&mut says, kind::DATA, 1, next, &[b'x'; 100]);
            next += 2;
        }
        frame(&mut says, kind::WINDOW_UPDATE, 0, 0, &(6u32 * 5000).to_be_bytes());
        // In two pieces, cut somewhere else each time.
        let cut = (round as usize * 37) % says.len();
        conn.handle_input(now, ByteInput::Bytes(&says[..cut]), &mut sink);
        conn.handle_input(now, ByteInput::Bytes(&says[cut..]), &mut sink);
        says.clear();
    }
    assert_eq!(sink.done, 3000 * 16);
    assert_eq!(ALLOCATIONS.get(), 0, "allocations in 16000 requests");
    assert!(conn.footprint() < 20_000, "{}", conn.footprint());
}

/// Six digits, without allocating.
fn format_id(n: u32) -> [u8; 6] {
    let mut out = [b'0'; 6];
    let mut rest = n;
    for d in out.iter_mut().rev() {
        *d = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out
}

#[test]
fn an_idle_connection_is_small() {
    let prepared = templates();
    let (mut sink, mut wire, now) = (Counts::default(), Vec::new(), Time::from_nanos(1));
    let mut conn = Connection::new(Config::default());
    assert!(size_of::<Connection>() <= 900, "{}", size_of::<Connection>());
    let mut says = Vec::new();
    frame(&mut says, kind::SETTINGS, 0, 0, &[]);
    frame(&mut says, kind::HEADERS, 5, 1, b"\x88\x40\x01a\x01b");
    let request =
        Request { prepared: &prepared[0], values: &[b"v"], body: Bytes::new(), want: Want::default() };
    conn.submit(now, Token(1), request).unwrap();
    while conn.poll_transmit(now, 1 << 20, &mut wire, &mut sink).is_some() {}
    conn.handle_input(now, ByteInput::Bytes(&says), &mut sink);
    while conn.poll_transmit(now, 1 << 20, &mut wire, &mut sink).is_some() {}
    assert_eq!(sink.done, 1);
    assert!(conn.footprint() <= 1200, "{}", conn.footprint());
}
