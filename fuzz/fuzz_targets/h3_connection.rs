//! A connection against a server that says anything on any stream. The input is a program: requests, bytes of the server
//! on the streams it may use, their ends, cancels, time. The recorder asserts the promises. QUIC itself is real, so that
//! streams and their order are what they would be; its packets are not the target, and go without encryption.
//!
//! Byte by byte: an operation and its arguments. Bytes come as they are, or as frames whose header is made well.
#![no_main]

#[path = "../../proto-h3/tests/common/mod.rs"]
mod common;

use common::*;
use libfuzzer_sys::fuzz_target;
use proto::{ClientConn, Request, Token, Want};
use proto_h3::Config;
use quinn_proto::StreamId;
use std::time::Duration;

/// The stream that a number stands for: requests, the control stream, further ones of the server.
fn stream(p: &mut Pair, n: u8) -> Option<StreamId> {
    match n % 8 {
        0..4 => p.server.requests.contains_key(&u64::from(n % 4)).then(|| request_stream(u64::from(n % 4))),
        n => {
            let n = usize::from(n - 4);
            if p.server.opened.len() <= n {
                return p
                    .server
                    .conn()
                    .streams()
                    .open(quinn_proto::Dir::Uni)
                    .inspect(|id| p.server.opened.push(*id));
            }
            Some(p.server.opened[n])
        }
    }
}

fn settle(p: &Pair) {
    assert_eq!(p.client.in_flight(), p.log.in_flight());
    if p.log.is_closed() || p.log.is_draining() {
        assert_eq!(p.client.capacity(), 0);
    }
    assert!(p.client.footprint() < 2 << 20, "memory is bounded");
}

fuzz_target!(|data: &[u8]| {
    let [a, b, rest @ ..] = data else { return };
    let mut rest = rest;
    let config = Config {
        max_streams: u32::from(a % 8) + 1,
        header_table_size: u32::from(*b) * 32,
        blocked_streams: u16::from(a / 8) % 4,
        ..Config::default()
    };
    let mut server = Server::plain();
    if a & 0x80 != 0 {
        server.greeting.clear();
    }
    let mut p = Pair::plain(config, server);
    let mut token = 0;
    while let [op, arg, after @ ..] = rest {
        rest = after;
        let arg = *arg;
        match op % 10 {
            0 | 1 => {
                let want = Want { fields: arg & 1 != 0, body: arg & 2 != 0 };
                let which = usize::from(arg >> 2) % prepared().len();
                let body = if matches!(which, 2..=4) { vec![b'b'; 3000].into() } else { Default::default() };
                let request = Request { prepared: &prepared()[which], values: &[b"1", b"1"], body, want };
                let room = p.client.capacity();
                let accepted = p.client.submit(p.now, Token(token), request).is_ok();
                assert_eq!(accepted, room > 0);
                if accepted {
                    p.log.accept(Token(token), want);
                }
                token += 1;
            }
            2 | 3 => {
                let (bytes, after) = rest.split_at(usize::from(arg >> 3).min(rest.len()));
                rest = after;
                if let Some(id) = stream(&mut p, arg) {
                    p.server.write(id, bytes, false);
                }
            }
            4..=6 => {
                let [kind, len, after @ ..] = rest else { break };
                let (payload, after) = after.split_at(usize::from(*len).min(after.len()));
                rest = after;
                if let Some(id) = stream(&mut p, arg) {
                    p.server.write(id, &frame(u64::from(*kind % 16), payload), arg & 0x80 != 0);
                }
            }
            7 => {
                if let Some(id) = stream(&mut p, arg) {
                    if arg & 0x40 != 0 {
                        let _ = p.server.conn().send_stream(id).reset(code(0x100 + u64::from(arg >> 3 & 7)));
                    } else {
                        p.server.write(id, &[], true);
                    }
                }
            }
            8 if arg > 250 => p.client.close(p.now, &mut p.log),
            8 => p.client.cancel(p.now, Token(u64::from(arg) % 16), &mut p.log),
            _ if arg & 1 == 0 => p.run(),
            _ => p.wait(Duration::from_millis(u64::from(arg))),
        }
        settle(&p);
    }
    p.run();
    settle(&p);
    p.client.close(p.now, &mut p.log);
    assert!(p.log.is_closed() && p.client.in_flight() == 0);
});
