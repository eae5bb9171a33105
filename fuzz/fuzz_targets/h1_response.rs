//! Takes the input as a program: requests, bytes of the peer, cancels, time, the end. The recorder asserts the promises;
//! a second connection gets the same bytes in other pieces and must say the same.
//!
//! Byte by byte: an operation, its arguments, and for peer bytes a length and that many bytes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use proto::conformance::{Event, Recorder};
use proto::{ByteInput, ClientConn, Framing, Request, Scheme, Template, Text, Time, Token, Want};
use proto_h1::{Config, Connection, Prepared};
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

fn prepared() -> &'static [Prepared] {
    static ALL: OnceLock<Vec<Prepared>> = OnceLock::new();
    ALL.get_or_init(|| {
        let make = |i: u32, method: &str, framing, expect| {
            let template = Template::new(method, Scheme::Http, Text::literal("a"), Text::literal("/"));
            Connection::prepare(i, &template.expect("legal").body(framing, expect))
        };
        vec![
            make(0, "GET", Framing::None, false),
            make(0, "HEAD", Framing::None, false),
            make(2, "POST", Framing::Length, false),
            make(3, "POST", Framing::Chunked, false),
            make(3, "POST", Framing::Length, true),
            make(5, "CONNECT", Framing::None, false),
        ]
    })
}

/// One connection, and how its input is cut.
struct Side {
    conn: Connection,
    log: Recorder,
    piece: usize,
    skip: bool,
}

impl Side {
    fn new(config: Config, piece: usize, skip: bool) -> Side {
        Side { conn: Connection::new(config), log: Recorder::default(), piece, skip }
    }

    fn submit(&mut self, now: Time, token: Token, which: usize, want: Want) {
        let room = self.conn.capacity();
        let body = if which < 2 { Bytes::new() } else { Bytes::from_static(b"0123456789") };
        let request = Request { prepared: &prepared()[which], values: &[], body, want };
        let accepted = self.conn.submit(now, token, request).is_ok();
        assert_eq!(accepted, room > 0);
        if accepted {
            self.log.accept(token, want);
        }
    }

    fn input(&mut self, now: Time, bytes: &[u8]) {
        for mut piece in bytes.chunks(self.piece.max(1)) {
            while self.skip && !piece.is_empty() {
                let n = self.conn.due_bytes().unwrap_or(0).min(piece.len() as u64);
                if n == 0 {
                    break;
                }
                self.conn.handle_input(now, ByteInput::Skipped(n), &mut self.log);
                piece = &piece[n as usize..];
            }
            self.conn.handle_input(now, ByteInput::Bytes(piece), &mut self.log);
        }
    }

    fn transmit(&mut self, now: Time, limit: usize) {
        let mut out = Vec::new();
        let wanted = self.conn.wants_transmit();
        let any = self.conn.poll_transmit(now, limit, &mut out, &mut self.log).is_some();
        assert_eq!(any, !out.is_empty());
        assert!(out.len() <= limit);
        assert_eq!(any, wanted && limit > 0);
    }

    fn settled(&self) {
        assert_eq!(self.conn.in_flight(), self.log.in_flight());
        if self.log.is_closed() || self.log.is_draining() {
            assert_eq!(self.conn.capacity(), 0);
        }
        assert!(!self.log.is_closed() || !self.conn.wants_transmit());
    }
}

fuzz_target!(|data: &[u8]| {
    let mut program = data.iter().copied();
    let Some(setup) = program.next() else { return };
    let config = Config {
        depth: NonZeroU32::new(1 + u32::from(setup & 3)).expect("at least one"),
        first_alone: setup & 8 != 0,
        max_head: if setup & 4 == 0 { 64 * 1024 } else { 100 },
        expect_timeout: Duration::from_millis(10),
    };
    let mut sides =
        [Side::new(config, usize::MAX, false), Side::new(config, 1, false), Side::new(config, 7, true)];
    let mut now = Time::ZERO;
    let mut token = 0;
    while let Some(op) = program.next() {
        let arg = op >> 3;
        match op & 7 {
            0 | 1 => {
                let want = Want { fields: arg & 1 != 0, body: arg & 2 != 0 };
                let which = usize::from(arg >> 2) % prepared().len();
                for side in &mut sides {
                    side.submit(now, Token(token), which, want);
                    if op & 7 == 0 {
                        side.transmit(now, 1 << 16);
                    }
                }
                token += 1;
            }
            2..=4 => {
                let len = usize::from(program.next().unwrap_or(255)) << (op & 7).saturating_sub(3);
                let bytes: Vec<u8> = program.by_ref().take(len).collect();
                for side in &mut sides {
                    side.input(now, &bytes);
                }
            }
            5 => {
                for side in &mut sides {
                    side.transmit(now, usize::from(arg));
                }
            }
            6 => {
                for side in &mut sides {
                    side.conn.cancel(now, Token(u64::from(arg)), &mut side.log);
                }
            }
            _ if arg == 31 => {
                for side in &mut sides {
                    side.conn.close(now, &mut side.log);
                }
            }
            _ => {
                now = now.after(Duration::from_millis(u64::from(arg)));
                for side in &mut sides {
                    side.conn.handle_timeout(now, &mut side.log);
                    assert!(side.conn.poll_timeout().is_none_or(|t| t > now));
                }
            }
        }
        for side in &sides {
            side.settled();
        }
    }
    for side in &mut sides {
        side.conn.handle_input(now, ByteInput::Eof, &mut side.log);
        side.settled();
        assert!(matches!(side.log.events.last(), Some(Event::Closed(_))));
    }
    let [whole, single, skipped] = sides;
    assert_eq!(whole.log.events, single.log.events);
    assert_eq!(whole.log.events, skipped.log.events);
    assert_eq!(whole.conn.stats(), single.conn.stats());
    assert_eq!(whole.conn.stats(), skipped.conn.stats());
});
