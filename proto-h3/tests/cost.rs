//! What requests cost in allocations: none in steady state, QUIC included.
//! Its own file, because the allocator that counts serves the whole process.

mod common;

use bytes::Bytes;
use common::*;
use proto::{ClientConn, CloseReason, Error, Fields, Request, Sink, Time, Token, Want};
use proto_h3::{Config, Connection, Input};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

struct Counting;

thread_local! {
    /// Allocations of this thread while it counts; tests run in threads of their own.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    let _ = COUNTS.try_with(|on| {
        if on.get() {
            let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        }
    });
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `f` allocates is counted.
fn counted<T>(f: impl FnOnce() -> T) -> T {
    COUNTS.set(true);
    let result = f();
    COUNTS.set(false);
    result
}

#[derive(Default)]
struct Counts {
    done: u64,
    sent: u64,
}

impl Sink for Counts {
    fn sent(&mut self, _: Token) {
        self.sent += 1;
    }
    fn head(&mut self, _: Token, status: u16, _: &dyn Fields) {
        assert_eq!(status, 200);
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

/// Allocations per request of the whole client, QUIC included, in steady state.
fn per_request(template: usize, body: &Bytes) -> f64 {
    const ROUNDS: u64 = 600;
    const DEPTH: u64 = 8;
    let mut p = Pair::connected(Config { max_streams: DEPTH as u32, ..Config::default() }, Server::new());
    let prepared = Connection::prepare(0, &templates()[template]);
    let (mut sink, mut out) = (Counts::default(), Vec::with_capacity(1 << 17));
    let response = cat(&[headers(&[(":status", "200"), ("server", "x")]), data(&[b'x'; 100])]);
    let mut next = 0;
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            ALLOCATIONS.set(0);
        }
        p.now = p.now.after(Duration::from_micros(300));
        counted(|| {
            for n in 0..DEPTH {
                let want = Want { fields: n % 2 == 0, body: n % 4 == 0 };
                let request =
                    Request { prepared: &prepared, values: &[b"1", b"1"], body: body.clone(), want };
                p.client.submit(p.now, Token(n), request).unwrap();
            }
        });
        // Until all have come: bodies may take several turns.
        for _ in 0..100 {
            loop {
                out.clear();
                let t = counted(|| p.client.poll_transmit(p.now, 1 << 16, &mut out, &mut sink));
                let Some(t) = t else { break };
                p.server.receive(p.now, t, &out);
            }
            let complete: Vec<u64> =
                p.server.requests.values().filter(|a| a.complete).map(|a| a.stream).collect();
            for stream in complete {
                p.server.requests.remove(&stream);
                p.server.write(request_stream(stream), &response, true);
                next += 1;
            }
            p.now = p.now.after(Duration::from_micros(300));
            let mut batch: Vec<_> = p.server.transmit(p.now).iter().map(|(b, e)| received(b, *e)).collect();
            counted(|| {
                p.client.handle_input(p.now, Input::Datagrams(&mut batch), &mut sink);
                if p.client.poll_timeout().is_some_and(|t| t <= p.now) {
                    p.client.handle_timeout(p.now, &mut sink);
                }
            });
            if sink.done == next && next == (round + 1) * DEPTH {
                break;
            }
        }
        assert_eq!(sink.done, (round + 1) * DEPTH);
    }
    assert!(sink.sent >= sink.done - DEPTH && p.now > Time::ZERO);
    ALLOCATIONS.get() as f64 / (ROUNDS / 2 * DEPTH) as f64
}

#[test]
#[allow(clippy::print_stdout)]
fn requests_allocate_nothing() {
    // A request that is the same each time, one that is rendered, one with a body.
    let same = per_request(5, &Bytes::new());
    let rendered = per_request(0, &Bytes::new());
    let body = per_request(3, &Bytes::from_static(&[7; 2000]));
    println!("allocations per request: {same:.2} the same, {rendered:.2} rendered, {body:.2} with a body");
    // What rendering adds is a buffer of 8 KiB for a hundred requests.
    assert!(same < 0.02, "{same}");
    assert!(rendered < same + 0.2, "rendering allocates: {rendered} and not {same}");
    assert!(body < same + 0.2, "{body}");
}

#[test]
fn a_connection_is_small_beside_quic() {
    let mut p = Pair::connected(Config { max_streams: 1, ..Config::default() }, Server::new());
    for token in 0..100 {
        p.get(token);
        p.run();
        let stream = *p.server.requests.keys().last().unwrap();
        p.server.write(request_stream(stream), &headers(&[(":status", "200"), ("server", "x")]), true);
        p.run();
    }
    assert!(p.client.footprint() <= 12_000, "{}", p.client.footprint());
}
