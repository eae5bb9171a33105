//! Takes the input as a program: requests, bytes of the peer, cancels, time, the end. The recorder asserts the promises;
//! a second connection gets the same bytes in other pieces and must say and send the same.
//!
//! Byte by byte: an operation and its arguments. Peer bytes come as they are, or as frames whose header is made well, so
//! that the fuzzer reaches what lies behind it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use proto::conformance::Recorder;
use proto::{
    ByteInput, ClientConn, Field, Framing, Piece, Request, Scheme, Template, Text, Time, Token, Want,
};
use proto_h2::frame::FrameHeader;
use proto_h2::{Config, Connection, Prepared};
use std::sync::OnceLock;
use std::time::Duration;

fn prepared() -> &'static [Prepared] {
    static ALL: OnceLock<Vec<Prepared>> = OnceLock::new();
    ALL.get_or_init(|| {
        let make = |i: u32, method: &str, framing, expect| {
            let path = Text::new(vec![Piece::Literal((*b"/").into()), Piece::Slot(0)]);
            let field = Field { name: "X-Y".into(), value: Text::literal("z"), secret: i == 1 };
            let template = Template::new(method, Scheme::Http, Text::literal("a"), path)
                .and_then(|t| t.field(field))
                .expect("legal");
            Connection::prepare(i, &template.body(framing, expect))
        };
        vec![
            make(0, "GET", Framing::None, false),
            make(1, "HEAD", Framing::None, false),
            make(2, "POST", Framing::Length, false),
            make(3, "POST", Framing::Chunked, false),
            make(4, "POST", Framing::Length, true),
        ]
    })
}

/// One connection, and how its input is cut.
struct Side {
    conn: Connection,
    log: Recorder,
    wire: Vec<u8>,
    piece: usize,
    skip: bool,
}

impl Side {
    fn new(config: Config, piece: usize, skip: bool) -> Side {
        let conn = Connection::new(config);
        Side { conn, log: Recorder::default(), wire: Vec::new(), piece, skip }
    }

    fn submit(&mut self, now: Time, token: Token, which: usize, want: Want) {
        let room = self.conn.capacity();
        let body = if which < 2 { Bytes::new() } else { Bytes::from_static(&[b'b'; 3000]) };
        let request = Request { prepared: &prepared()[which], values: &[b"value"], body, want };
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
            if !piece.is_empty() {
                self.conn.handle_input(now, ByteInput::Bytes(piece), &mut self.log);
            }
        }
        assert!(self.conn.footprint() < 1 << 20, "memory is bounded");
    }

    fn flush(&mut self, now: Time, limit: usize) {
        for turn in 0.. {
            assert!(turn < 1_000_000, "poll_transmit never ends");
            let wants = self.conn.wants_transmit();
            let before = self.wire.len();
            let some = self.conn.poll_transmit(now, limit, &mut self.wire, &mut self.log).is_some();
            assert_eq!((some, wants), (self.wire.len() > before, some));
            assert!(self.wire.len() - before <= limit);
            if !some {
                break;
            }
        }
    }

    fn settle(&self) {
        assert_eq!(self.conn.in_flight(), self.log.in_flight());
        if self.log.is_closed() || self.log.is_draining() {
            assert_eq!(self.conn.capacity(), 0);
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { len: payload.len() as u32, kind, flags, stream: u32::from(stream) };
    [&header.bytes()[..], payload].concat()
}

fuzz_target!(|data: &[u8]| {
    let [a, b, c, rest @ ..] = data else { return };
    let config = Config {
        max_streams: u32::from(a % 8) + 1,
        stream_window_bits: 8 + b % 20,
        connection_window_bits: 8 + b / 20,
        header_table_size: u32::from(*c) * 32,
        encoder_header_table_size: u32::from(a / 8) * 128,
        ..Config::default()
    };
    let mut sides = [Side::new(config, usize::MAX, false), Side::new(config, 1 + usize::from(*c % 7), true)];
    let (mut now, mut token, mut rest) = (Time::from_nanos(1), 0, rest);
    if a % 3 != 0 {
        let hello = frame(4, 0, 0, &[]);
        sides.iter_mut().for_each(|s| s.input(now, &hello));
    }
    while let [op, arg, after @ ..] = rest {
        rest = after;
        let arg = *arg;
        match op % 10 {
            0 | 1 => {
                let want = Want { fields: arg & 1 != 0, body: arg & 2 != 0 };
                let which = usize::from(arg >> 2) % prepared().len();
                sides.iter_mut().for_each(|s| s.submit(now, Token(token), which, want));
                token += 1;
            }
            2 => {
                let (bytes, after) = rest.split_at(usize::from(arg).min(rest.len()));
                rest = after;
                sides.iter_mut().for_each(|s| s.input(now, bytes));
            }
            3..=6 => {
                let [flags, len, after @ ..] = rest else { break };
                let (payload, after) = after.split_at(usize::from(*len).min(after.len()));
                rest = after;
                let stream = if arg & 0x80 != 0 { 0 } else { (arg >> 4) * 2 + 1 };
                let bytes = frame(arg & 0xf, *flags, stream, payload);
                sides.iter_mut().for_each(|s| s.input(now, &bytes));
            }
            7 => {
                let limit = [1, 10, 100, 100_000][usize::from(arg % 4)];
                sides.iter_mut().for_each(|s| s.flush(now, limit));
            }
            8 => sides.iter_mut().for_each(|s| s.conn.cancel(now, Token(u64::from(arg) % 16), &mut s.log)),
            _ if arg > 250 => sides.iter_mut().for_each(|s| s.conn.close(now, &mut s.log)),
            _ => {
                now = now.after(Duration::from_millis(u64::from(arg) * 10));
                for s in &mut sides {
                    if s.conn.poll_timeout().is_some_and(|t| t <= now) {
                        s.conn.handle_timeout(now, &mut s.log);
                        assert!(s.conn.poll_timeout().is_none_or(|t| t > now));
                    }
                }
            }
        }
        sides.iter().for_each(Side::settle);
    }
    for s in &mut sides {
        s.flush(now, 1000);
        s.conn.handle_input(now, ByteInput::Eof, &mut s.log);
        s.flush(now, 1000);
        assert!(s.log.is_closed() && s.conn.in_flight() == 0);
    }
    let [one, two] = sides;
    assert_eq!(one.log.events, two.log.events);
    assert_eq!(one.wire, two.wire);
});
