//! A server that breaks every rule a client has to enforce: one row each, with what must happen to the request and what
//! must be on the wire. Every row runs at once and byte by byte.

mod common;

use common::*;
use proto::conformance::Event;
use proto::{ClientConn, CloseReason, Fault, Kind, Token};
use proto_h3::frame::{kind, put_varint};
use proto_h3::{Code, Config};
use quinn_proto::{ConnectionError, StreamId};

/// What must become of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The connection ends with this code, the request fails with this kind, the peer is to blame.
    Connection(Code, Kind),
    /// The stream ends with this code; the connection goes on.
    Stream(Code, Kind),
    /// Nothing is said; the request fails like this.
    Fails(Kind, Unprocessed),
    /// It is legal or must be tolerated: the request succeeds.
    Tolerated,
}
type Unprocessed = bool;

/// Where the server says it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// The stream of request 0, a GET in flight.
    Request,
    /// The control stream, whose SETTINGS were sent.
    Control,
    /// The n-th new unidirectional stream, which so begins.
    Uni(usize),
}
use Place::{Control, Request, Uni};

struct Step {
    place: Place,
    bytes: Vec<u8>,
    /// FIN, or RESET_STREAM with a code.
    end: End,
}
#[derive(Clone, Copy, PartialEq)]
enum End {
    Open,
    Fin,
    Reset(Code),
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    /// Whether the usual control stream was sent.
    greeted: bool,
    steps: Vec<Step>,
}

fn row(name: &'static str, outcome: Outcome, steps: Vec<Step>) -> Row {
    Row { name, outcome, greeted: true, steps }
}
fn say(place: Place, bytes: Vec<u8>) -> Step {
    Step { place, bytes, end: End::Open }
}
fn end(place: Place, bytes: Vec<u8>) -> Step {
    Step { place, bytes, end: End::Fin }
}
fn reset(place: Place, code: Code) -> Step {
    Step { place, bytes: Vec::new(), end: End::Reset(code) }
}

const OK: &[(&str, &str)] = &[(":status", "200")];
fn ok() -> Vec<u8> {
    headers(OK)
}
fn done() -> Step {
    end(Request, ok())
}

const UNEXPECTED: Outcome = Outcome::Connection(Code::FRAME_UNEXPECTED, Kind::Framing);
const FRAME: Outcome = Outcome::Connection(Code::FRAME_ERROR, Kind::Framing);
const ID: Outcome = Outcome::Connection(Code::ID_ERROR, Kind::Framing);
const SETTINGS: Outcome = Outcome::Connection(Code::SETTINGS_ERROR, Kind::Framing);
const CREATION: Outcome = Outcome::Connection(Code::STREAM_CREATION_ERROR, Kind::Framing);
const CRITICAL: Outcome = Outcome::Connection(Code::CLOSED_CRITICAL_STREAM, Kind::Framing);
const MISSING: Outcome = Outcome::Connection(Code::MISSING_SETTINGS, Kind::Framing);
const LOAD: Outcome = Outcome::Connection(Code::EXCESSIVE_LOAD, Kind::TooLarge);
const QPACK: Outcome = Outcome::Connection(Code::QPACK_DECOMPRESSION_FAILED, Kind::Compression);
const ENCODER: Outcome = Outcome::Connection(Code::QPACK_ENCODER_STREAM_ERROR, Kind::Compression);
const DECODER: Outcome = Outcome::Connection(Code::QPACK_DECODER_STREAM_ERROR, Kind::Compression);
const MALFORMED: Outcome = Outcome::Stream(Code::MESSAGE_ERROR, Kind::Head);
const CONTENT: Outcome = Outcome::Stream(Code::MESSAGE_ERROR, Kind::Framing);
const TOO_LARGE: Outcome = Outcome::Stream(Code::EXCESSIVE_LOAD, Kind::TooLarge);

/// RFC 9114 section 7: frames where they do not belong.
fn frame_rows() -> Vec<Row> {
    let on_request = |bytes| vec![say(Request, bytes)];
    let on_control = |bytes| vec![say(Control, bytes)];
    let varint = |v| {
        let mut out = Vec::new();
        put_varint(&mut out, v);
        out
    };
    vec![
        row("DATA before HEADERS", UNEXPECTED, on_request(data(b"x"))),
        row("empty DATA before HEADERS", UNEXPECTED, on_request(data(b""))),
        row(
            "DATA after 1xx only",
            UNEXPECTED,
            on_request(cat(&[headers(&[(":status", "103")]), data(b"x")])),
        ),
        row("DATA after trailers", UNEXPECTED, on_request(cat(&[ok(), headers(&[("a", "b")]), data(b"x")]))),
        row(
            "HEADERS after trailers",
            UNEXPECTED,
            on_request(cat(&[ok(), headers(&[("a", "b")]), headers(&[("a", "b")])])),
        ),
        row("SETTINGS on a request", UNEXPECTED, on_request(frame(kind::SETTINGS, &[]))),
        row("GOAWAY on a request", UNEXPECTED, on_request(frame(kind::GOAWAY, &[0]))),
        row("CANCEL_PUSH on a request", UNEXPECTED, on_request(frame(kind::CANCEL_PUSH, &[0]))),
        row("MAX_PUSH_ID on a request", UNEXPECTED, on_request(frame(kind::MAX_PUSH_ID, &[0]))),
        row(
            "PRIORITY_UPDATE on a request",
            UNEXPECTED,
            on_request(frame(kind::PRIORITY_UPDATE_REQUEST, &[0])),
        ),
        row("PUSH_PROMISE", ID, on_request(frame(kind::PUSH_PROMISE, &[0, 0, 0, 0xd1]))),
        row("HTTP/2 PRIORITY on a request", UNEXPECTED, on_request(frame(0x2, &[0; 5]))),
        row("HTTP/2 PING on a request", UNEXPECTED, on_request(frame(0x6, &[0; 8]))),
        row("HTTP/2 WINDOW_UPDATE on a request", UNEXPECTED, on_request(frame(0x8, &[0; 4]))),
        row("HTTP/2 CONTINUATION on a request", UNEXPECTED, on_request(frame(0x9, &[0; 4]))),
        row(
            "unknown frames on a request",
            Outcome::Tolerated,
            vec![
                say(Request, frame(0x21, b"grease")),
                say(Request, cat(&[frame(0x1f * 1_000_000 + 0x21, &[7; 3000]), frame(0xf, b"")])),
                done(),
            ],
        ),
        row("FIN within a frame header", FRAME, vec![end(Request, cat(&[ok(), vec![0x40]]))]),
        row("FIN within a length", FRAME, vec![end(Request, cat(&[ok(), vec![0x00, 0x40]]))]),
        row("FIN within DATA", FRAME, vec![end(Request, cat(&[ok(), vec![0x00, 5, b'x']]))]),
        row("FIN within HEADERS", FRAME, vec![end(Request, vec![0x01, 9, 0, 0])]),
        row("FIN within an unknown frame", FRAME, vec![end(Request, cat(&[ok(), vec![0x21, 5, b'x']]))]),
        row("DATA on the control stream", UNEXPECTED, on_control(data(b"x"))),
        row("HEADERS on the control stream", UNEXPECTED, on_control(ok())),
        row("PUSH_PROMISE on the control stream", UNEXPECTED, on_control(frame(kind::PUSH_PROMISE, &[0]))),
        row("MAX_PUSH_ID from a server", UNEXPECTED, on_control(frame(kind::MAX_PUSH_ID, &[0]))),
        row(
            "PRIORITY_UPDATE from a server",
            UNEXPECTED,
            on_control(frame(kind::PRIORITY_UPDATE_REQUEST, &[0])),
        ),
        row("PRIORITY_UPDATE of a push", UNEXPECTED, on_control(frame(kind::PRIORITY_UPDATE_PUSH, &[0]))),
        row("HTTP/2 PING on the control stream", UNEXPECTED, on_control(frame(0x6, &[0; 8]))),
        row("second SETTINGS", UNEXPECTED, on_control(frame(kind::SETTINGS, &[]))),
        row("CANCEL_PUSH of nothing", ID, on_control(frame(kind::CANCEL_PUSH, &[0]))),
        row("GOAWAY empty", FRAME, on_control(frame(kind::GOAWAY, &[]))),
        row("GOAWAY longer than its id", FRAME, on_control(frame(kind::GOAWAY, &[8, 0]))),
        row("GOAWAY cut in its id", FRAME, on_control(frame(kind::GOAWAY, &[0x40]))),
        row("GOAWAY of a unidirectional stream", ID, on_control(frame(kind::GOAWAY, &[6]))),
        row("GOAWAY of a server's stream", ID, on_control(frame(kind::GOAWAY, &[5]))),
        row(
            "GOAWAY that grows",
            ID,
            on_control(cat(&[frame(kind::GOAWAY, &[8]), frame(kind::GOAWAY, &[12])])),
        ),
        row(
            "GOAWAY without this request",
            Outcome::Fails(Kind::GoAway(0x100), true),
            on_control(frame(kind::GOAWAY, &[0])),
        ),
        row(
            "GOAWAY with this request",
            Outcome::Tolerated,
            vec![say(Control, frame(kind::GOAWAY, &[4])), done()],
        ),
        row(
            "GOAWAY twice, falling",
            Outcome::Tolerated,
            vec![
                say(Control, cat(&[frame(kind::GOAWAY, &varint((1 << 62) - 4)), frame(kind::GOAWAY, &[4])])),
                done(),
            ],
        ),
        row(
            "unknown frames on the control stream",
            Outcome::Tolerated,
            vec![say(Control, cat(&[frame(0x21, b"grease"), frame(0x40, &[1; 5000])])), done()],
        ),
        row("GOAWAY too large", LOAD, on_control(frame(kind::GOAWAY, &[0; 5000]))),
        row("flood of empty DATA", LOAD, on_request(cat(&[ok(), data(b"").repeat(25_000)]))),
        row("flood of unknown frames", LOAD, on_control(frame(0x21, b"").repeat(25_000))),
    ]
}

/// Sections 6.2 and 7.2.4, RFC 9204 section 4.2: streams of the server, and settings.
fn stream_rows() -> Vec<Row> {
    let first = |name, outcome, bytes| Row { greeted: false, ..row(name, outcome, vec![say(Uni(0), bytes)]) };
    let settings = |name, outcome, payload: &[u8]| first(name, outcome, control_stream(payload));
    vec![
        first("control stream without SETTINGS", MISSING, cat(&[vec![0], frame(kind::GOAWAY, &[0])])),
        first("control stream with an unknown frame first", MISSING, cat(&[vec![0], frame(0x21, b"x")])),
        settings("SETTINGS 0x0", SETTINGS, &[0x0, 0]),
        settings("SETTINGS ENABLE_PUSH", SETTINGS, &[0x2, 0]),
        settings("SETTINGS MAX_CONCURRENT_STREAMS", SETTINGS, &[0x3, 9]),
        settings("SETTINGS INITIAL_WINDOW_SIZE", SETTINGS, &[0x4, 9]),
        settings("SETTINGS MAX_FRAME_SIZE", SETTINGS, &[0x5, 9]),
        settings("SETTINGS twice the same", SETTINGS, &[0x6, 9, 0x6, 9]),
        settings("SETTINGS ENABLE_CONNECT_PROTOCOL 2", SETTINGS, &[0x8, 2]),
        settings("SETTINGS H3_DATAGRAM 2", SETTINGS, &[0x33, 2]),
        settings("SETTINGS cut in an id", FRAME, &[0x40]),
        settings("SETTINGS cut in a value", FRAME, &[0x6, 0x80, 0]),
        settings("SETTINGS of 5000 bytes", LOAD, &[0x21; 5000]),
        row("second control stream", CREATION, vec![say(Uni(0), control_stream(&[]))]),
        row("second encoder stream", CREATION, vec![say(Uni(0), vec![2]), say(Uni(1), vec![2])]),
        row("second decoder stream", CREATION, vec![say(Uni(0), vec![3]), say(Uni(1), vec![3])]),
        row("push stream", ID, vec![say(Uni(0), vec![1, 0])]),
        row("control stream closed", CRITICAL, vec![end(Control, vec![])]),
        row("control stream reset", CRITICAL, vec![reset(Control, Code::NO_ERROR)]),
        row("encoder stream closed", CRITICAL, vec![end(Uni(0), vec![2])]),
        row("decoder stream reset", CRITICAL, vec![say(Uni(0), vec![3]), reset(Uni(0), Code::NO_ERROR)]),
        row(
            "unknown stream",
            Outcome::Tolerated,
            vec![say(Uni(0), hex("21 010203")), say(Uni(0), vec![1; 9]), done()],
        ),
        row("unknown stream closed", Outcome::Tolerated, vec![end(Uni(0), hex("40 21 010203")), done()]),
        row("stream closed before its type", Outcome::Tolerated, vec![end(Uni(0), vec![]), done()]),
        row("stream closed within its type", Outcome::Tolerated, vec![end(Uni(0), vec![0x40]), done()]),
        row(
            "stream reset before its type",
            Outcome::Tolerated,
            vec![say(Uni(0), vec![0x40]), reset(Uni(0), Code::NO_ERROR), done()],
        ),
        row("control stream type in two bytes", CREATION, vec![say(Uni(0), vec![0x40, 0x00])]),
        row(
            "reset with a code of ours",
            Outcome::Fails(Kind::StreamReset(0x102), false),
            vec![reset(Request, Code::INTERNAL_ERROR)],
        ),
        row(
            "reset without error and response",
            Outcome::Fails(Kind::StreamReset(0x100), false),
            vec![reset(Request, Code::NO_ERROR)],
        ),
        row(
            "rejected",
            Outcome::Fails(Kind::StreamReset(0x10b), true),
            vec![reset(Request, Code::REQUEST_REJECTED)],
        ),
        row(
            "reset with a private code",
            Outcome::Fails(Kind::StreamReset(u32::MAX), false),
            vec![reset(Request, Code(1 << 40))],
        ),
    ]
}

/// Section 4: messages.
fn message_rows() -> Vec<Row> {
    let head = |fields: &[(&str, &str)]| vec![say(Request, headers(fields))];
    let with = |name, value| head(&[(":status", "200"), (name, value)]);
    let trailers = |fields: &[(&str, &str)]| vec![say(Request, cat(&[ok(), headers(fields)]))];
    let len = |n, rest: Vec<u8>| {
        vec![end(Request, cat(&[headers(&[(":status", "200"), ("content-length", n)]), rest]))]
    };
    let bare = |status, body: &[u8]| vec![say(Request, cat(&[headers(&[(":status", status)]), data(body)]))];
    let large = "x".repeat(1000);
    let many: Vec<(&str, &str)> = OK.iter().copied().chain((0..300).map(|_| ("a", large.as_str()))).collect();
    let section = headers(&many);
    vec![
        row("no :status", MALFORMED, head(&[("a", "b")])),
        row(":status of two digits", MALFORMED, head(&[(":status", "20")])),
        row(":status of four digits", MALFORMED, head(&[(":status", "1000")])),
        row(":status of letters", MALFORMED, head(&[(":status", "2oo")])),
        row(":status twice", MALFORMED, head(&[(":status", "200"), (":status", "200")])),
        row(":status after a field", MALFORMED, head(&[("a", "b"), (":status", "200")])),
        row("request pseudo field", MALFORMED, with(":path", "/")),
        row("unknown pseudo field", MALFORMED, with(":x", "/")),
        row("name in upper case", MALFORMED, with("X-A", "b")),
        row("name with a space", MALFORMED, with("x a", "b")),
        row("name empty", MALFORMED, with("", "b")),
        row("value with NUL", MALFORMED, with("a", "b\0c")),
        row("value with LF", MALFORMED, with("a", "b\nc")),
        row("value with leading space", MALFORMED, with("a", " b")),
        row("connection", MALFORMED, with("connection", "close")),
        row("transfer-encoding", MALFORMED, with("transfer-encoding", "chunked")),
        row("upgrade", MALFORMED, with("upgrade", "h2c")),
        row("te", MALFORMED, with("te", "gzip")),
        row("101", MALFORMED, head(&[(":status", "101")])),
        row("trailers with :status", MALFORMED, trailers(OK)),
        row("trailers with upper case", MALFORMED, trailers(&[("A", "b")])),
        row("content-length in words", MALFORMED, with("content-length", "five")),
        row(
            "content-length twice and different",
            MALFORMED,
            head(&[(":status", "200"), ("content-length", "5"), ("content-length", "6")]),
        ),
        row("FIN without anything", MALFORMED, vec![end(Request, vec![])]),
        row("FIN after 1xx", MALFORMED, vec![end(Request, headers(&[(":status", "103")]))]),
        row("less than content-length", CONTENT, len("5", data(b"abcd"))),
        row("more than content-length", CONTENT, len("5", data(b"abcdef"))),
        row("content-length and no DATA", CONTENT, len("5", vec![])),
        row("less than content-length, trailers", CONTENT, len("5", headers(&[("a", "b")]))),
        row("content in 204", CONTENT, bare("204", b"x")),
        row("content in 304", CONTENT, bare("304", b"x")),
        row("status 000", Outcome::Tolerated, vec![end(Request, headers(&[(":status", "000")]))]),
        row("status 099", Outcome::Tolerated, vec![end(Request, headers(&[(":status", "099")]))]),
        row("status 600", Outcome::Tolerated, vec![end(Request, headers(&[(":status", "600")]))]),
        row("status 999", Outcome::Tolerated, vec![end(Request, headers(&[(":status", "999")]))]),
        row(
            "304 with a content-length",
            Outcome::Tolerated,
            vec![end(Request, headers(&[(":status", "304"), ("content-length", "9")]))],
        ),
        row(
            "value beyond ASCII",
            Outcome::Tolerated,
            vec![end(Request, headers(&[(":status", "200"), ("a", "ü")]))],
        ),
        row("101 1xx responses", TOO_LARGE, vec![say(Request, headers(&[(":status", "103")]).repeat(101))]),
        row("header section of 300 KB", TOO_LARGE, vec![say(Request, section)]),
        row(
            "header section announced as a gigabyte",
            TOO_LARGE,
            vec![say(Request, hex("01 c000000040000000"))],
        ),
    ]
}

/// RFC 9204.
fn compression_rows() -> Vec<Row> {
    let on_request = |section: &[u8]| vec![say(Request, frame(kind::HEADERS, section))];
    let encoder = |bytes: &str| vec![say(Uni(0), cat(&[vec![2], hex(bytes)]))];
    let decoder = |bytes: &str| vec![say(Uni(0), cat(&[vec![3], hex(bytes)]))];
    let mut refs = hex("0200 d9");
    refs.extend([0x80; 200]);
    vec![
        row("empty section", QPACK, on_request(&[])),
        row("section without a base", QPACK, on_request(&[0])),
        row("static index beyond the table", QPACK, on_request(&hex("0000 ff24"))),
        row("dynamic index where none is needed", QPACK, on_request(&hex("0000 80"))),
        row("base below zero", QPACK, on_request(&hex("0081"))),
        row("insert count that cannot be", QPACK, on_request(&hex("ff02 00"))),
        row("cut in a value", QPACK, on_request(&hex("0000 5105 41"))),
        row("Huffman EOS", QPACK, on_request(&hex("0000 5184ffffffff"))),
        row("endless integer", QPACK, on_request(&hex("0000 ffffffffffffffffffffff"))),
        row("error in trailers", QPACK, vec![say(Request, cat(&[ok(), frame(kind::HEADERS, &[0])]))]),
        row(
            "section that waits for ever",
            Outcome::Fails(Kind::GoAway(0x100), true),
            vec![
                say(Request, frame(kind::HEADERS, &hex("0200 80"))),
                say(Control, frame(kind::GOAWAY, &[0])),
            ],
        ),
        row(
            "waits, then evicted",
            QPACK,
            vec![
                say(Request, frame(kind::HEADERS, &hex("0200 d9 80"))),
                say(Uni(0), hex("02 3fe11f 416101 62 20 3fe11f")),
            ],
        ),
        row(
            "waits, then malformed",
            MALFORMED,
            vec![
                say(Request, frame(kind::HEADERS, &hex("0200 d9 80"))),
                say(Uni(0), hex("02 3fe11f 415801 62")),
            ],
        ),
        row(
            "waits, then comes",
            Outcome::Tolerated,
            vec![
                end(Request, cat(&[frame(kind::HEADERS, &refs), data(b"x")])),
                say(Uni(0), hex("02 3fe11f 417801 79")),
            ],
        ),
        row("capacity above ours", ENCODER, encoder("3fe21f")),
        row("insertion without a capacity", ENCODER, encoder("c000")),
        row("entry larger than the table", ENCODER, encoder("3f21 c0 7fff7f")),
        row("static name beyond the table", ENCODER, encoder("3fe11f ff24 00")),
        row("duplicate of nothing", ENCODER, encoder("3fe11f 00")),
        row("Huffman padding of zeros", ENCODER, encoder("3fe11f 6100 00")),
        row("acknowledgement of a section without references", DECODER, decoder("80")),
        row("increment of nothing", DECODER, decoder("01")),
        row("increment of zero", DECODER, decoder("00")),
        row("cancellation of anything", Outcome::Tolerated, vec![say(Uni(0), hex("03 44 7f80 01")), done()]),
    ]
}

fn place(p: &mut Pair, unis: &mut Vec<StreamId>, place: Place) -> StreamId {
    match place {
        Request => request_stream(0),
        Control => p.server.opened[0],
        Uni(n) => {
            while unis.len() <= n {
                let id = p.server.uni(&[]);
                unis.push(id);
            }
            unis[n]
        }
    }
}

fn play(row: &Row, piece: usize) -> Pair {
    let mut server = Server::new();
    if !row.greeted {
        server.greeting.clear();
    }
    let mut p = Pair::connected(Config { max_streams: 4, ..Config::default() }, server);
    p.get(0);
    p.run();
    let mut unis = Vec::new();
    for step in &row.steps {
        let id = place(&mut p, &mut unis, step.place);
        for bytes in step.bytes.chunks(piece) {
            p.server.write(id, bytes, false);
            p.run();
        }
        match step.end {
            End::Open => {}
            End::Fin => p.server.write(id, &[], true),
            End::Reset(c) => drop(p.server.conn().send_stream(id).reset(code(c.0))),
        }
        p.run();
    }
    p
}

fn check(row: &Row, piece: usize) {
    let mut p = play(row, piece);
    let name = row.name;
    let failed = p.log.events.iter().find_map(|e| match e {
        Event::Failed(Token(0), error, unprocessed) => Some((*error, *unprocessed)),
        _ => None,
    });
    let said = match &p.server.quic.lost {
        Some(ConnectionError::ApplicationClosed(close)) => Some(Code(close.error_code.into_inner())),
        _ => None,
    };
    let kind_of = |kind| {
        let (error, unprocessed) = failed.unwrap_or_else(|| panic!("{name}: {:?}", p.log.events));
        assert_eq!((error.kind, error.fault, unprocessed), (kind, Fault::Peer, false), "{name}: {error}");
    };
    match row.outcome {
        Outcome::Connection(code, kind) => {
            kind_of(kind);
            assert_eq!(said, Some(code), "{name}: {:?}", failed);
            let Some(Event::Closed(CloseReason::Error(e))) = p.log.events.last() else {
                panic!("{name}: open")
            };
            assert_eq!((e.kind, e.fault), (kind, Fault::Peer), "{name}");
        }
        Outcome::Stream(code, kind) => {
            kind_of(kind);
            // Where the stream had ended nothing is left to be stopped.
            let ended = row.steps.iter().any(|s| s.place == Request && s.end == End::Fin);
            let stopped = p.server.stops.get(&0).map(|c| Code(*c));
            assert!(stopped == Some(code) || ended, "{name}: {stopped:?}");
            assert!(p.client.capacity() == 4 && said.is_none(), "{name}");
            p.get(1);
            p.run();
            p.server.write(request_stream(1), &ok(), true);
            p.run();
            assert_eq!(p.log.events.last(), Some(&Event::Done(Token(1))), "{name}");
        }
        Outcome::Fails(kind, unprocessed) => {
            let (error, was) = failed.unwrap_or_else(|| panic!("{name}: {:?}", p.log.events));
            assert_eq!((error.kind, error.fault, was), (kind, Fault::Peer, unprocessed), "{name}");
        }
        Outcome::Tolerated => {
            assert!(p.log.events.contains(&Event::Done(Token(0))), "{name}: {:?}", p.log.events);
        }
    }
    assert!(p.client.footprint() < 1 << 20, "{name} made the client hold {} bytes", p.client.footprint());
}

fn run(rows: Vec<Row>) {
    for row in &rows {
        check(row, usize::MAX);
        // Floods are the same in any pieces, only slower. An entry that comes and goes is there in between.
        let bytes: usize = row.steps.iter().map(|s| s.bytes.len()).sum();
        if bytes < 500 && row.name != "waits, then evicted" {
            check(row, 1);
        }
    }
}

#[test]
fn frames() {
    run(frame_rows());
}

#[test]
fn streams_and_settings() {
    run(stream_rows());
}

#[test]
fn messages() {
    run(message_rows());
}

#[test]
fn compression() {
    run(compression_rows());
}

#[test]
fn more_streams_wait_than_were_allowed() {
    let config = Config { max_streams: 8, blocked_streams: 2, ..Config::default() };
    let mut p = Pair::connected(config, Server::new());
    for token in 0..3 {
        p.get(token);
    }
    p.run();
    for index in 0..3 {
        p.server.write(request_stream(index), &frame(kind::HEADERS, &hex("0200 80")), false);
        p.run();
    }
    assert!(
        matches!(p.log.events.last(), Some(Event::Closed(CloseReason::Error(e))) if e.kind == Kind::Compression)
    );
}

#[test]
fn our_critical_streams_are_not_to_be_stopped() {
    let mut p = Pair::connected(Config { max_streams: 8, ..Config::default() }, Server::new());
    p.get(0);
    p.run();
    let ours = *p.server.client_streams.keys().next().unwrap();
    p.server.conn().recv_stream(ours).stop(code(0x100)).unwrap();
    p.run();
    assert!(
        matches!(&p.server.quic.lost, Some(ConnectionError::ApplicationClosed(c)) if c.error_code == code(0x104))
    );
}
