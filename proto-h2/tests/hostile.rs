//! A server that breaks every rule a client has to enforce: one row each, with what must happen to the request, what must
//! be on the wire, and how much memory may be held. Every row also runs byte by byte.

mod common;

use bytes::Bytes;
use common::*;
use proto::{ClientConn, CloseReason, Fault, Kind, Time, Want};
use proto_h2::frame::{flag, kind};
use proto_h2::{Code, Config};

const END: u8 = flag::END_STREAM;
const OK: &[(&str, &str)] = &[(":status", "200")];

/// What must become of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The connection ends: GOAWAY with this code, the request fails with this kind, the peer is to blame.
    Connection(Code, Kind),
    /// The stream ends: RST_STREAM with this code; the connection goes on.
    Stream(Code, Kind),
    /// Nothing is sent but acknowledgements and windows; the request fails like this.
    Fails(Kind, Unprocessed),
    /// It is legal or must be tolerated: the request succeeds.
    Tolerated,
}
type Unprocessed = bool;

struct Row {
    name: &'static str,
    outcome: Outcome,
    /// What the server says after the prefaces, with request 0 (GET) on stream 1 and request 1 (POST, 100 bytes, all sent)
    /// on stream 3 in flight.
    says: Vec<u8>,
}

fn row(name: &'static str, outcome: Outcome, says: Vec<u8>) -> Row {
    Row { name, outcome, says }
}
const PROTOCOL: Outcome = Outcome::Connection(Code::PROTOCOL_ERROR, Kind::Framing);
const SIZE: Outcome = Outcome::Connection(Code::FRAME_SIZE_ERROR, Kind::Framing);
const FLOW: Outcome = Outcome::Connection(Code::FLOW_CONTROL_ERROR, Kind::FlowControl);
const HPACK: Outcome = Outcome::Connection(Code::COMPRESSION_ERROR, Kind::Compression);
const CALM: Outcome = Outcome::Connection(Code::ENHANCE_YOUR_CALM, Kind::TooLarge);
const CLOSED: Outcome = Outcome::Connection(Code::STREAM_CLOSED, Kind::Framing);
const MALFORMED: Outcome = Outcome::Stream(Code::PROTOCOL_ERROR, Kind::Head);
const WRONG: Outcome = Outcome::Stream(Code::PROTOCOL_ERROR, Kind::Framing);

fn ok() -> Vec<u8> {
    headers(1, OK, END)
}
fn ok_open() -> Vec<u8> {
    headers(1, OK, 0)
}
fn raw_block(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, flag::END_HEADERS | END, stream, bytes)
}
fn then_ok(bytes: Vec<u8>) -> Vec<u8> {
    cat(&[bytes, ok()])
}
fn repeat(bytes: &[u8], n: usize) -> Vec<u8> {
    bytes.repeat(n)
}

/// Sections 4 to 6: frames.
fn frame_rows() -> Vec<Row> {
    let long = vec![0; 16_385];
    let many = settings(&vec![(0x99, 1); 129]);
    vec![
        row("DATA larger than announced", SIZE, cat(&[ok_open(), data(1, &long, true)])),
        row("HEADERS larger than announced", SIZE, raw_block(1, &long)),
        row("unknown frame larger than announced", SIZE, frame(0x77, 0, 1, &long)),
        row("DATA on stream 0", PROTOCOL, data(0, b"x", false)),
        row("DATA on an idle stream", PROTOCOL, data(7, b"x", false)),
        row("DATA on an even stream", PROTOCOL, data(2, b"x", false)),
        row("DATA padding as long as the frame", PROTOCOL, cat(&[ok_open(), frame(0, 8, 1, b"\x03ab")])),
        row("DATA padded and empty", SIZE, cat(&[ok_open(), frame(0, 8, 1, b"")])),
        row("HEADERS on stream 0", PROTOCOL, headers(0, OK, END)),
        row("HEADERS on an idle stream", PROTOCOL, headers(9, OK, END)),
        row("HEADERS on an idle stream, open", PROTOCOL, frame(1, 0, 9, b"\x88")),
        row("HEADERS after END_STREAM, open", CLOSED, cat(&[ok(), frame(1, 0, 1, b"\x88")])),
        row("HEADERS on an even stream", PROTOCOL, headers(2, OK, END)),
        row("HEADERS padding too long", PROTOCOL, frame(1, 0xd, 1, b"\x05\x88")),
        row("HEADERS padded and empty", SIZE, frame(1, 0xd, 1, b"")),
        row("HEADERS shorter than its priority", SIZE, frame(1, 0x25, 1, b"\0\0\0")),
        row("HEADERS padding eats the priority", PROTOCOL, frame(1, 0x2d, 1, b"\x03\0\0\0\0\0\0\x88")),
        row("PRIORITY on stream 0", PROTOCOL, frame(2, 0, 0, &[0; 5])),
        row(
            "PRIORITY of 4 bytes",
            Outcome::Stream(Code::FRAME_SIZE_ERROR, Kind::Framing),
            frame(2, 0, 1, &[0; 4]),
        ),
        row("PRIORITY on an idle stream", Outcome::Tolerated, then_ok(frame(2, 0, 99, &[0; 5]))),
        row("PRIORITY that depends on itself", Outcome::Tolerated, then_ok(frame(2, 0, 1, &[0, 0, 0, 1, 9]))),
        row("RST_STREAM on stream 0", PROTOCOL, rst(0, Code::CANCEL)),
        row("RST_STREAM on an idle stream", PROTOCOL, rst(5, Code::CANCEL)),
        row("RST_STREAM of 3 bytes", SIZE, frame(3, 0, 1, &[0; 3])),
        row("RST_STREAM refused", Outcome::Fails(Kind::StreamReset(7), true), rst(1, Code::REFUSED_STREAM)),
        row(
            "RST_STREAM unknown code",
            Outcome::Fails(Kind::StreamReset(0xdead), false),
            rst(1, Code(0xdead)),
        ),
        row(
            "RST_STREAM NO_ERROR without response",
            Outcome::Fails(Kind::StreamReset(0), false),
            rst(1, Code(0)),
        ),
        row("SETTINGS on a stream", PROTOCOL, frame(4, 0, 1, &[])),
        row("SETTINGS of 5 bytes", SIZE, frame(4, 0, 0, &[0; 5])),
        row("SETTINGS acknowledgement with content", SIZE, frame(4, 1, 0, &[0; 6])),
        row("SETTINGS enables push", PROTOCOL, settings(&[(2, 1)])),
        row("SETTINGS push 2", PROTOCOL, settings(&[(2, 2)])),
        row("SETTINGS push 0", Outcome::Tolerated, then_ok(settings(&[(2, 0)]))),
        row("SETTINGS window above 2^31-1", FLOW, settings(&[(4, 0x8000_0000)])),
        row("SETTINGS frame size 16383", PROTOCOL, settings(&[(5, 16_383)])),
        row("SETTINGS frame size 2^24", PROTOCOL, settings(&[(5, 1 << 24)])),
        row("SETTINGS connect protocol 2", PROTOCOL, settings(&[(8, 2)])),
        row("SETTINGS priorities 2", PROTOCOL, settings(&[(9, 2)])),
        row("SETTINGS unknown", Outcome::Tolerated, then_ok(settings(&[(0xff, 7), (0, 0)]))),
        row("SETTINGS unasked acknowledgement", Outcome::Tolerated, then_ok(frame(4, 1, 0, &[]))),
        row("SETTINGS of 129 entries", CALM, many),
        row("PUSH_PROMISE", PROTOCOL, frame(5, 4, 1, b"\0\0\0\x02\x82")),
        row("PUSH_PROMISE on stream 0", PROTOCOL, frame(5, 4, 0, b"\0\0\0\x02\x82")),
        row("PING on a stream", PROTOCOL, frame(6, 0, 1, &[0; 8])),
        row("PING of 7 bytes", SIZE, frame(6, 0, 0, &[0; 7])),
        row("PING unasked acknowledgement", Outcome::Tolerated, then_ok(frame(6, 1, 0, &[0; 8]))),
        row("GOAWAY on a stream", PROTOCOL, frame(7, 0, 1, &[0; 8])),
        row("GOAWAY of 7 bytes", SIZE, frame(7, 0, 0, &[0; 7])),
        row("GOAWAY that grows", PROTOCOL, cat(&[goaway(3, Code(0)), goaway(5, Code(0))])),
        row("WINDOW_UPDATE of 3 bytes", SIZE, frame(8, 0, 0, &[0; 3])),
        row("WINDOW_UPDATE of zero, connection", PROTOCOL, window_update(0, 0)),
        row("WINDOW_UPDATE of zero, stream", WRONG, window_update(1, 0)),
        row("WINDOW_UPDATE on an idle stream", PROTOCOL, window_update(5, 1)),
        row("WINDOW_UPDATE overflow, connection", FLOW, window_update(0, 0x7fff_ffff)),
        row(
            "WINDOW_UPDATE overflow, stream",
            Outcome::Stream(Code::FLOW_CONTROL_ERROR, Kind::FlowControl),
            window_update(1, 0x7fff_ffff),
        ),
        row("WINDOW_UPDATE reserved bit", Outcome::Tolerated, then_ok(window_update(1, 0x8000_0001))),
        row(
            "SETTINGS takes a window above 2^31-1",
            FLOW,
            cat(&[window_update(1, 0x7fff_ffff - 65_535), settings(&[(4, 65_536)])]),
        ),
        row("CONTINUATION on stream 0", PROTOCOL, frame(9, 4, 0, b"\x88")),
        row("CONTINUATION without HEADERS", PROTOCOL, frame(9, 4, 1, b"\x88")),
        row("CONTINUATION after the end of its block", PROTOCOL, cat(&[ok_open(), frame(9, 4, 1, b"")])),
        row("CONTINUATION of another stream", PROTOCOL, cat(&[frame(1, 1, 1, b""), frame(9, 4, 3, b"\x88")])),
        row("PING within a block", PROTOCOL, cat(&[frame(1, 1, 1, b""), frame(6, 0, 0, &[0; 8])])),
        row("unknown frame within a block", PROTOCOL, cat(&[frame(1, 1, 1, b""), frame(0x77, 0, 0, b"")])),
        row("DATA within a block", PROTOCOL, cat(&[frame(1, 1, 1, b"\x88"), data(1, b"", true)])),
        row("unknown frame and flags", Outcome::Tolerated, then_ok(frame(0xfe, 0xff, 1, b"?"))),
        row("reserved bit of the stream id", Outcome::Tolerated, frame(1, 5, 0x8000_0001, b"\x88")),
        row("undefined flags of HEADERS", Outcome::Tolerated, frame(1, 0xd7, 1, b"\x88")),
    ]
}

/// Section 8: messages.
fn message_rows() -> Vec<Row> {
    let head = |fields: &[(&str, &str)]| headers(1, fields, END);
    let with = |name, value| head(&[(":status", "200"), (name, value)]);
    let trailers = |fields: &[(&str, &str)], end| cat(&[ok_open(), headers(1, fields, end)]);
    let len =
        |n: &str, rest: Vec<u8>| cat(&[headers(1, &[(":status", "200"), ("content-length", n)], 0), rest]);
    vec![
        row("no :status", MALFORMED, head(&[("a", "b")])),
        row("empty block", MALFORMED, head(&[])),
        row(":status of two digits", MALFORMED, head(&[(":status", "20")])),
        row(":status of letters", MALFORMED, head(&[(":status", "2oo")])),
        row(":status of four digits", MALFORMED, head(&[(":status", "1000")])),
        row(":status twice", MALFORMED, head(&[(":status", "200"), (":status", "200")])),
        row(":status after a field", MALFORMED, head(&[("a", "b"), (":status", "200")])),
        row("request pseudo field", MALFORMED, with(":path", "/")),
        row("unknown pseudo field", MALFORMED, with(":x", "/")),
        row("name in upper case", MALFORMED, with("X-A", "b")),
        row("name with a space", MALFORMED, with("x a", "b")),
        row("name empty", MALFORMED, with("", "b")),
        row("name with a colon", MALFORMED, with("a:b", "b")),
        row("name beyond ASCII", MALFORMED, with("ä", "b")),
        row("value with NUL", MALFORMED, with("a", "b\0c")),
        row("value with LF", MALFORMED, with("a", "b\nc")),
        row("value with CR", MALFORMED, with("a", "b\rc")),
        row("value with leading space", MALFORMED, with("a", " b")),
        row("value with trailing tab", MALFORMED, with("a", "b\t")),
        row("value beyond ASCII", Outcome::Tolerated, with("a", "ü")),
        row("connection", MALFORMED, with("connection", "close")),
        row("keep-alive", MALFORMED, with("keep-alive", "1")),
        row("proxy-connection", MALFORMED, with("proxy-connection", "1")),
        row("transfer-encoding", MALFORMED, with("transfer-encoding", "chunked")),
        row("upgrade", MALFORMED, with("upgrade", "h2c")),
        row("te", MALFORMED, with("te", "gzip")),
        row("101", MALFORMED, headers(1, &[(":status", "101")], 0)),
        row("1xx that ends the stream", MALFORMED, head(&[(":status", "103")])),
        row("trailers that do not end", MALFORMED, trailers(&[("a", "b")], 0)),
        row("trailers with :status", MALFORMED, trailers(OK, END)),
        row("trailers with upper case", MALFORMED, trailers(&[("A", "b")], END)),
        row("1xx after the head", MALFORMED, trailers(&[(":status", "103")], 0)),
        row("DATA before the head", WRONG, data(1, b"x", true)),
        row("DATA after 1xx only", WRONG, cat(&[headers(1, &[(":status", "103")], 0), data(1, b"x", true)])),
        row("less than content-length", WRONG, len("5", data(1, b"abcd", true))),
        row("more than content-length", WRONG, len("5", data(1, b"abcdef", false))),
        row("content-length and no DATA", WRONG, with("content-length", "5")),
        row("less than content-length, trailers", WRONG, len("5", headers(1, &[("a", "b")], END))),
        row("less than content-length, padded", WRONG, len("5", frame(0, 9, 1, b"\x02abc\0\0"))),
        row("content-length in words", MALFORMED, with("content-length", "five")),
        row("content-length negative", MALFORMED, with("content-length", "-5")),
        row("content-length twice and different", MALFORMED, len("5", vec![])),
        row("content in 204", WRONG, cat(&[headers(1, &[(":status", "204")], 0), data(1, b"x", true)])),
        row("content in 304", WRONG, cat(&[headers(1, &[(":status", "304")], 0), data(1, b"x", true)])),
        row(
            "304 with a content-length",
            Outcome::Tolerated,
            head(&[(":status", "304"), ("content-length", "9")]),
        ),
        row("status 000", Outcome::Tolerated, head(&[(":status", "000")])),
        row("status 099", Outcome::Tolerated, head(&[(":status", "099")])),
        row("status 600", Outcome::Tolerated, head(&[(":status", "600")])),
        row("status 999", Outcome::Tolerated, head(&[(":status", "999")])),
        row("DATA after END_STREAM", CLOSED, cat(&[ok(), data(1, b"x", false)])),
        row("HEADERS after END_STREAM", CLOSED, cat(&[ok(), headers(1, OK, END)])),
        row("DATA after trailers", CLOSED, cat(&[trailers(&[("a", "b")], END), data(1, b"x", false)])),
        row("RST_STREAM after END_STREAM", Outcome::Tolerated, cat(&[ok(), rst(1, Code::NO_ERROR)])),
        row("WINDOW_UPDATE after END_STREAM", Outcome::Tolerated, cat(&[ok(), window_update(1, 1)])),
    ]
}

/// RFC 7541.
fn compression_rows() -> Vec<Row> {
    let mut bomb = hex("88 40 01 61 7f a1 1e");
    bomb.extend(vec![b'x'; 4000]);
    let mut refs = vec![0xbe; 16_000];
    refs[0] = 0x88;
    vec![
        row("index 0", HPACK, raw_block(1, b"\x80")),
        row("index beyond the table", HPACK, raw_block(1, b"\xbe")),
        row("name index beyond the table", HPACK, raw_block(1, b"\x7e\x01a")),
        row("name index beyond the table, not indexed", HPACK, raw_block(1, b"\x0f\x70\x01a")),
        row("cut in an integer", HPACK, raw_block(1, b"\x88\xff")),
        row("cut in a name", HPACK, raw_block(1, b"\x88\x40\x05ab")),
        row("cut in a value", HPACK, raw_block(1, b"\x88\x40\x01a\x05ab")),
        row("endless integer", HPACK, raw_block(1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00")),
        row("length beyond 32 bits", HPACK, raw_block(1, b"\x88\x00\x7f\xff\xff\xff\xff\x7f")),
        row("Huffman padding of eight bits", HPACK, raw_block(1, b"\x88\x00\x01a\x82\x1f\xff")),
        row("Huffman padding of zeros", HPACK, raw_block(1, b"\x88\x00\x01a\x81\x00")),
        row("Huffman EOS", HPACK, raw_block(1, b"\x88\x00\x01a\x84\xff\xff\xff\xff")),
        row("table size above ours", HPACK, raw_block(1, b"\x3f\xe2\x1f\x88")),
        row("table size after a field", HPACK, raw_block(1, b"\x88\x20")),
        row("table size twice at the start", Outcome::Tolerated, raw_block(1, b"\x20\x3f\xe1\x1f\x88")),
        row("error in a block of a closed stream", HPACK, cat(&[rst(1, Code(2)), raw_block(1, b"\x80")])),
        row("error in trailers", HPACK, cat(&[ok_open(), raw_block(1, b"\x80")])),
        row(
            "a bomb of 63 MB in 16 KB",
            Outcome::Stream(Code::ENHANCE_YOUR_CALM, Kind::TooLarge),
            cat(&[frame(1, 5, 3, &bomb), raw_block(1, &refs)]),
        ),
    ]
}

/// Section 10.5: floods.
fn flood_rows() -> Vec<Row> {
    let block = |n: usize, size: usize| {
        let piece = frame(9, 0, 1, &vec![b'x'; size]);
        cat(&[frame(1, 1, 1, b"\x88"), repeat(&piece, n), frame(9, 4, 1, b"")])
    };
    let open = ok_open();
    vec![
        row("PING flood", CALM, repeat(&frame(6, 0, 0, &[7; 8]), 20_000)),
        row("PING acknowledgement flood", CALM, repeat(&frame(6, 1, 0, &[7; 8]), 20_001)),
        row("SETTINGS flood", CALM, repeat(&settings(&[(3, 100)]), 20_000)),
        row("SETTINGS acknowledgement flood", CALM, repeat(&frame(4, 1, 0, &[]), 20_001)),
        row("PRIORITY flood", CALM, repeat(&frame(2, 0, 1, &[0; 5]), 20_001)),
        row("WINDOW_UPDATE flood", CALM, repeat(&window_update(1, 1), 20_001)),
        row("unknown frame flood", CALM, repeat(&frame(0x42, 0, 0, &[0; 5]), 20_001)),
        row("empty DATA flood", CALM, cat(&[open.clone(), repeat(&data(1, b"", false), 20_001)])),
        row("padding-only DATA flood", CALM, cat(&[open.clone(), repeat(&frame(0, 8, 1, b"\0"), 20_001)])),
        row("RST_STREAM flood", CALM, cat(&[rst(1, Code(2)), repeat(&rst(1, Code(2)), 20_001)])),
        row(
            "HEADERS on a reset stream flood",
            CALM,
            cat(&[rst(1, Code(2)), repeat(&headers(1, OK, 0), 20_001)]),
        ),
        row("CONTINUATION flood, empty", CALM, block(200, 0)),
        row("CONTINUATION flood, small", CALM, block(200, 10)),
        row("CONTINUATION flood, large", CALM, block(20, 16_384)),
        row(
            "1xx flood",
            Outcome::Stream(Code::ENHANCE_YOUR_CALM, Kind::TooLarge),
            repeat(&headers(1, &[(":status", "103")], 0), 101),
        ),
        row("a hundred PINGs", Outcome::Tolerated, then_ok(repeat(&frame(6, 0, 0, &[7; 8]), 100))),
    ]
}

fn check(row: &Row, pieces: usize) {
    let mut c = Client::ready(config(), &[(3, 100)]);
    let name = row.name;
    c.submit(0, &get("/")).unwrap();
    c.submit_with(1, &post(), &[], Bytes::from_static(&[9; 100]), Want::default()).unwrap();
    c.sent();
    c.events();
    let mut says = row.says.clone();
    if name == "content-length twice and different" {
        says = headers(1, &[(":status", "200"), ("content-length", "5"), ("content-length", "6")], END);
    }
    let mut most = 0;
    for piece in says.chunks(pieces) {
        c.input(piece);
        most = most.max(c.conn.footprint());
        if row.outcome == Outcome::Tolerated {
            assert!(c.conn.in_flight() > 0, "{name}");
        }
    }
    assert!(most < 700_000, "{name}: {most} bytes held");
    let events = c.events();
    let sent: Vec<Seen> = c.sent();
    let closed = events.iter().any(|e| matches!(e, Event::Closed(_)));
    let failed = |token: u64| {
        events.iter().find_map(|e| match e {
            Event::Failed(t, error, unprocessed) if *t == token => Some((*error, *unprocessed)),
            _ => None,
        })
    };
    let done = events.contains(&Event::Done(0));
    match row.outcome {
        Outcome::Connection(code, kind) => {
            let last = sent.last().unwrap_or_else(|| panic!("{name}: nothing sent"));
            assert_eq!((last.kind, last.code()), (kind::GOAWAY, code), "{name}");
            assert!(closed && c.conn.in_flight() == 0 && c.conn.capacity() == 0, "{name}");
            let (error, _) = failed(1).unwrap_or_else(|| panic!("{name}: {events:?}"));
            assert_eq!((error.kind, error.fault), (kind, Fault::Peer), "{name}: {error}");
            assert!(done != failed(0).is_some(), "{name}: ends once");
            assert!(
                matches!(events.last(), Some(Event::Closed(CloseReason::Error(e))) if *e == error),
                "{name}"
            );
        }
        Outcome::Stream(code, kind) => {
            let resets: Vec<_> = sent.iter().filter(|f| f.kind == kind::RST_STREAM).collect();
            assert!(!closed && !done, "{name}: {events:?}");
            assert_eq!(
                resets.iter().map(|f| (f.stream, f.code())).collect::<Vec<_>>(),
                [(1, code)],
                "{name}"
            );
            let (error, unprocessed) = failed(0).unwrap_or_else(|| panic!("{name}: {events:?}"));
            assert_eq!((error.kind, error.fault, unprocessed), (kind, Fault::Peer, false), "{name}: {error}");
        }
        Outcome::Fails(kind, unprocessed) => {
            assert!(sent.is_empty() && !closed, "{name}: {sent:?}");
            assert!(failed(0).is_some_and(|(e, u)| (e.kind, u) == (kind, unprocessed)), "{name}: {events:?}");
        }
        Outcome::Tolerated => {
            assert!(done && !closed && failed(0).is_none(), "{name}: {events:?}");
            let kinds = [kind::SETTINGS, kind::PING];
            assert!(sent.iter().all(|f| kinds.contains(&f.kind) && f.flags == flag::ACK), "{name}: {sent:?}");
        }
    }
    // Where the connection lives, the other request still gets its answer.
    if !closed {
        let gone = failed(1).is_some() || events.contains(&Event::Done(1));
        if !gone {
            c.input(&headers(3, &[(":status", "204")], END));
            assert!(c.events().contains(&Event::Done(1)), "{name}");
        }
    }
    c.eof();
    assert_eq!(c.conn.in_flight(), 0, "{name}");
}

#[test]
fn every_rule_has_its_outcome() {
    let rows: Vec<Row> =
        [frame_rows(), message_rows(), compression_rows(), flood_rows()].into_iter().flatten().collect();
    assert!(rows.len() >= 140, "{}", rows.len());
    for row in &rows {
        check(row, usize::MAX);
        check(row, 1);
        check(row, 7);
    }
}

#[test]
fn a_server_that_does_not_begin_with_settings() {
    for first in [
        frame(4, 1, 0, &[]),
        frame(6, 0, 0, &[0; 8]),
        headers(1, OK, END),
        goaway(0, Code(0)),
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        vec![0; 9],
    ] {
        let mut c = Client::new(config());
        c.submit(0, &get("/")).unwrap();
        c.sent();
        c.input(&first);
        let events = c.events();
        assert!(
            matches!(events.last(), Some(Event::Closed(CloseReason::Error(e))) if e.fault == Fault::Peer)
        );
        assert_eq!(c.sent().last().unwrap().code(), Code::PROTOCOL_ERROR);
    }
}

#[test]
fn an_answer_to_a_request_that_has_not_left_ends_the_connection() {
    let answers = [
        ok(),
        frame(kind::HEADERS, 0, 1, b"\x88"),
        data(1, b"x", true),
        rst(1, Code::REFUSED_STREAM),
        window_update(1, 1),
    ];
    for answer in &answers {
        let mut c = Client::ready(config(), &[]);
        c.submit(0, &get("/")).unwrap();
        c.input(answer);
        let events = c.events();
        // Nobody can have seen the request.
        assert!(
            matches!(events[..], [Event::Failed(0, e, true), Event::Closed(_)] if e.fault == Fault::Peer),
            "{events:?}"
        );
        let sent = c.sent();
        assert_eq!(
            sent.iter().map(|f| (f.kind, f.code())).collect::<Vec<_>>(),
            [(kind::GOAWAY, Code::PROTOCOL_ERROR)]
        );
    }
    // Nor does it help that one before it has left, or that it was given up.
    for answer in &answers {
        let mut c = Client::ready(config(), &[]);
        c.submit(7, &get("/")).unwrap();
        c.flush();
        c.input(&ok());
        c.submit(0, &get("/")).unwrap();
        c.conn.cancel(c.now, proto::Token(0), &mut c.log);
        let mut answer = answer.clone();
        answer[8] = 3;
        c.input(&answer);
        assert!(matches!(c.events().last(), Some(Event::Closed(CloseReason::Error(_)))));
        assert_eq!(c.sent().last().map(Seen::code), Some(Code::PROTOCOL_ERROR));
    }
}

/// How much of a request a server waits for is its own affair.
#[test]
fn a_request_can_be_answered_from_its_first_byte_on() {
    let mut c = Client::ready(config(), &[]);
    c.submit(0, &get("/")).unwrap();
    c.submit(1, &get("/")).unwrap();
    c.conn.poll_transmit(c.now, 1, &mut c.wire, &mut c.log).unwrap();
    c.input(&headers(1, &[(":status", "431")], END));
    assert!(matches!(c.events()[..], [Event::Head(0, 431, _), Event::Done(0)]));
    // The next one has not begun.
    c.input(&headers(3, OK, END));
    assert!(matches!(c.events()[..], [Event::Failed(1, _, true), Event::Closed(CloseReason::Error(_))]));
}

/// Waiting for `100 Continue` begins when the request is made, so the wait may be over before anything has left.
#[test]
fn a_body_may_be_released_before_its_request_has_left() {
    let mut c = Client::ready(config(), &[]);
    c.submit_with(0, &post_expecting(), &[], Bytes::from_static(b"body"), Want::default()).unwrap();
    c.later(std::time::Duration::from_secs(2));
    assert_eq!(c.sent().iter().map(|f| f.kind).collect::<Vec<_>>(), [kind::HEADERS, kind::DATA]);
    c.input(&ok());
    assert_eq!(c.events().last(), Some(&Event::Done(0)));
}

#[test]
fn data_beyond_the_windows() {
    let config = Config { stream_window_bits: 15, connection_window_bits: 30, ..config() };
    let mut c = Client::ready(config, &[]);
    c.submit(0, &get("/")).unwrap();
    c.sent();
    c.input(&ok_open());
    // The window is 32767 and half of it is given back at a time; a peer that sends it all in one turn and one byte more
    // overruns only what it was given.
    c.input(&data(1, &[0; 16_000], false));
    assert!(c.sent().is_empty());
    c.input(&data(1, &[0; 16_384], false));
    let sent = c.sent();
    assert_eq!(sent.len(), 1, "given back at half");
    assert_eq!(sent[0].code().0, 32_384);

    // Given back means allowed: what is checked is the window.
    let mut c = Client::ready(config, &[]);
    c.submit(0, &get("/")).unwrap();
    c.sent();
    c.input(&ok_open());
    c.input(&frame(kind::DATA, 0, 1, &[0; 16_383]));
    c.events();
    c.input(&frame(kind::DATA, 0, 1, &[0; 16_384]));
    assert!(c.events().iter().all(|e| matches!(e, Event::Body(..))));

    let config = Config { connection_window_bits: 16, max_frame_size: 1 << 20, ..config };
    let mut c = Client::ready(config, &[]);
    c.submit(0, &get("/")).unwrap();
    c.sent();
    c.input(&ok_open());
    c.input(&frame(kind::DATA, 0, 1, &[0; 65_536]));
    assert_eq!(c.sent().last().map(|f| (f.kind, f.code())), Some((kind::GOAWAY, Code::FLOW_CONTROL_ERROR)));

    let config = Config { connection_window_bits: 30, ..config };
    let mut c = Client::ready(config, &[]);
    c.submit(0, &get("/")).unwrap();
    c.sent();
    c.input(&ok_open());
    c.input(&frame(kind::DATA, 0, 1, &[0; 32_768]));
    assert_eq!(
        c.sent().last().map(|f| (f.kind, f.code())),
        Some((kind::RST_STREAM, Code::FLOW_CONTROL_ERROR))
    );
    assert!(matches!(c.events().last(), Some(Event::Failed(0, e, false)) if e.kind == Kind::FlowControl));
}

/// With windows of a few bytes, each DATA frame is answered by two frames larger than itself.
#[test]
fn a_server_that_sends_and_does_not_read_cannot_fill_memory_with_window_updates() {
    let config = Config { stream_window_bits: 1, connection_window_bits: 1, ..config() };
    for (read, most) in [(0, 10), (1, 10), (13, 66_000)] {
        let mut c = Client::ready(config, &[]);
        c.submit(0, &get("/")).unwrap();
        c.sent();
        c.input(&ok_open());
        let mut sent = 0;
        while c.conn.capacity() > 0 && c.conn.in_flight() > 0 && sent < 100_000 {
            c.input(&data(1, b"x", false));
            c.conn.poll_transmit(c.now, read, &mut c.wire, &mut c.log);
            assert!(c.conn.footprint() < 20_000, "{} bytes held", c.conn.footprint());
            sent += 1;
        }
        // It had a window of one byte, and then what it read. With the last one it reads one update for each byte until the
        // connection's first window is used up, and then would need two.
        assert!(sent < most, "{sent} bytes taken");
        let events = c.events();
        let failed = |e: &Event| matches!(e, Event::Failed(0, e, false) if e.kind == Kind::FlowControl);
        assert!(events.iter().any(failed), "{events:?}");
    }
}

/// What is given back waits in one frame for each window, however long the peer takes to read.
#[test]
fn a_server_that_reads_late_loses_no_credit() {
    let config = Config { stream_window_bits: 10, connection_window_bits: 17, ..config() };
    let mut c = Client::ready(config, &[]);
    for n in 0..3 {
        c.submit(n, &get("/")).unwrap();
    }
    c.sent();
    c.input(&cat(&[ok_open(), headers(3, OK, 0), headers(5, OK, 0)]));
    for _ in 0..1023 {
        c.input(&cat(&[data(1, b"x", false), data(3, b"x", false)]));
    }
    // What ended is given nothing.
    c.input(&data(3, b"", true));
    // The last request is longer than what the server reads at once: credit goes in the order of the queue.
    let long = [b'a'; 40_000];
    c.submit_with(3, &get_slot(), &[&long], Bytes::new(), Want::default()).unwrap();
    let updates = |c: &mut Client| {
        let all = c.sent();
        let updates = all.into_iter().filter(|f| f.kind == kind::WINDOW_UPDATE);
        updates.map(|f| (f.stream, f.code().0)).collect::<Vec<_>>()
    };
    c.conn.poll_transmit(c.now, 100, &mut c.wire, &mut c.log);
    assert!(c.conn.wants_transmit());
    assert_eq!(updates(&mut c), [(1, 1023)]);
    // All of it can be used, also in one frame, and is given back again.
    for _ in 0..64 {
        c.input(&data(1, &[0; 1023], false));
        assert_eq!(updates(&mut c).iter().filter(|u| u.0 == 1).collect::<Vec<_>>(), [&(1, 1023)]);
    }
    assert!(c.events().iter().all(|e| !matches!(e, Event::Failed(..) | Event::Closed(_))));
}

#[test]
fn content_for_head_is_refused() {
    let mut c = Client::ready(config(), &[]);
    c.submit(0, &head()).unwrap();
    c.submit(1, &head()).unwrap();
    c.sent();
    c.events();
    c.input(&headers(1, &[(":status", "200"), ("content-length", "500")], END));
    c.input(&headers(3, &[(":status", "200"), ("content-length", "5")], 0));
    c.input(&data(3, b"12345", true));
    let events = c.events();
    assert_eq!(events[1], Event::Done(0));
    assert!(matches!(events.last(), Some(Event::Failed(1, e, _)) if e.kind == Kind::Framing));
}

#[test]
fn goaways_of_every_kind() {
    // Two steps, as servers do it: first all is still processed, then the real last one.
    let mut c = Client::ready(config(), &[]);
    for n in 0..3 {
        c.submit(n, &get("/")).unwrap();
    }
    c.sent();
    c.events();
    c.input(&goaway(0x7fff_ffff, Code::NO_ERROR));
    assert_eq!(c.events(), [Event::Draining]);
    c.input(&goaway(1, Code::NO_ERROR));
    let events = c.events();
    assert!(matches!(events[..], [Event::Failed(1, _, true), Event::Failed(2, _, true)]), "{events:?}");
    c.input(&ok());
    assert_eq!(c.events().last(), Some(&Event::Closed(CloseReason::Graceful)));

    // With an error: what is not above `last` may still be answered; the end says the error.
    let mut c = Client::ready(config(), &[]);
    c.submit(0, &get("/")).unwrap();
    c.sent();
    c.events();
    c.input(&goaway(1, Code::ENHANCE_YOUR_CALM));
    assert_eq!(c.events(), [Event::Draining]);
    c.eof();
    let events = c.events();
    assert!(
        matches!(events[0], Event::Failed(0, e, false) if e.kind == Kind::GoAway(0xb) && e.fault == Fault::Peer)
    );
    assert!(matches!(events[1], Event::Closed(CloseReason::Error(e)) if e.kind == Kind::GoAway(0xb)));
    assert_eq!(c.conn.stats().goaway_code, Some(0xb));

    // With nothing in flight it is over at once.
    let mut c = Client::ready(config(), &[]);
    c.input(&goaway(0, Code::NO_ERROR));
    assert_eq!(c.events(), [Event::Draining, Event::Closed(CloseReason::Graceful)]);
}

#[test]
fn late_answers_to_cancelled_requests_are_no_flood() {
    let mut c = Client::ready(config(), &[]);
    let mut id = 1;
    for n in 0..20_000u64 {
        c.submit(n, &get("/")).unwrap();
        c.sent();
        c.conn.cancel(c.now, proto::Token(n), &mut c.log);
        c.input(&headers(id, OK, 0));
        c.input(&data(id, b"late", true));
        assert!(c.conn.capacity() > 0, "after {n}");
        id += 2;
    }
}

#[test]
fn a_server_that_pings_now_and_then_is_no_flood() {
    let mut c = Client::ready(config(), &[]);
    for n in 0..100_000u64 {
        c.now = Time::from_nanos(1 + n * 2_000_000);
        c.input(&frame(6, 0, 0, &[7; 8]));
        assert_eq!(c.sent().len(), 1);
    }
}
