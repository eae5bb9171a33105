//! A server that breaks every rule of QUIC that a client has to enforce: one row each, with the code that must be on the wire and
//! what the owner must be told. Where the RFC leaves a choice, all its codes are there. No row may make the client hang, talk
//! without end or keep more than a bound.

mod common;

use common::meter::{self, Meter};
use common::scripted::{Params, Server, TRUNCATED, param};
use common::wire::{Frame, Level, payload, varint};
use common::world::{End, World, config};
use common::*;
use proto_quic::{Config, Lost, StreamId};

#[global_allocator]
static ALLOCATOR: Meter = Meter;

/// What must become of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The connection ends with one of these codes of RFC 9000 section 20.1.
    Closes(&'static [u64]),
    /// TLS objects: the connection ends with an alert's code (RFC 9001 section 4.8).
    Alert,
    /// It is legal, or to be ignored: the connection goes on.
    Tolerated,
    /// It may go unnoticed, and then the connection goes on; or the connection ends with one of these codes.
    May(&'static [u64]),
}
use Outcome::{Alert, Closes, May, Tolerated};

const FLOW: Outcome = Closes(&[0x3]);
const LIMIT: Outcome = Closes(&[0x4]);
const STATE: Outcome = Closes(&[0x5]);
const SIZE: Outcome = Closes(&[0x6]);
const ENCODING: Outcome = Closes(&[0x7]);
const PARAMETER: Outcome = Closes(&[0x8]);
const ID_LIMIT: Outcome = Closes(&[0x9]);
const VIOLATION: Outcome = Closes(&[0xa]);

/// How far things are when the row begins.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The client has said its first word and has no answer.
    Hello,
    /// It has the keys of Handshake packets, and nothing in them.
    Handshake,
    /// The handshake is confirmed, stream 0 waits for a response, stream 2 of the client is open.
    Connected,
}

struct Row {
    name: String,
    outcome: Outcome,
    stage: Stage,
    server: Server,
    play: Box<dyn Fn(&mut World)>,
}

fn row(name: &str, outcome: Outcome, play: impl Fn(&mut World) + 'static) -> Row {
    let (stage, server) = (Stage::Connected, Server::new());
    Row { name: name.into(), outcome, stage, server, play: Box::new(play) }
}
fn early(stage: Stage, name: &str, outcome: Outcome, play: impl Fn(&mut World) + 'static) -> Row {
    Row { stage, ..row(name, outcome, play) }
}
/// These frames, each packet one.
fn says(name: &str, outcome: Outcome, frames: Vec<Frame>) -> Row {
    row(name, outcome, move |w| {
        for frame in &frames {
            w.tell(std::slice::from_ref(frame));
        }
    })
}
/// A packet with these numbers for a payload.
fn raw(name: &str, outcome: Outcome, numbers: &[u64]) -> Row {
    let bytes = list(numbers);
    row(name, outcome, move |w| {
        w.server.tell_raw(&bytes);
        w.run();
    })
}
/// Parameters of a server that are changed.
fn with(name: &str, outcome: Outcome, adjust: impl Fn(&mut Params) + 'static) -> Row {
    let row = early(Stage::Hello, name, outcome, |_| {});
    Row { server: Server::with(adjust), ..row }
}
impl Row {
    fn may(self, codes: &'static [u64]) -> Row {
        Row { outcome: May(codes), ..self }
    }
}
fn list(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|v| varint(*v)).collect()
}

const STREAM_WINDOW: u64 = 100_000;
const WINDOW: u64 = 150_000;
const UNI: u64 = 5;
const MOST: u64 = (1 << 62) - 1;
/// Streams: the request, the client's unidirectional one, the server's.
const REQUEST: u64 = 0;
const OURS: u64 = 2;
const THEIRS: u64 = 3;

fn client_config() -> Config {
    Config { stream_window: STREAM_WINDOW, connection_window: WINDOW, uni_streams: UNI, ..config() }
}

fn stream(id: u64, offset: u64, len: usize, fin: bool) -> Frame {
    Frame::stream(id, offset, &vec![0x55; len], fin)
}
fn reset(id: u64, size: u64) -> Frame {
    Frame::ResetStream { id, code: 9, size }
}
fn new_id(seq: u64, retire: u64, name: &[u8; 8]) -> Frame {
    Frame::NewConnectionId { seq, retire, id: name.to_vec(), token: [seq as u8; 16] }
}
fn numbered(seq: u64) -> [u8; 8] {
    (0x6964_0000_0000_0000 + seq).to_be_bytes()
}

/// RFC 9000 sections 12.4 and 19: what is no frame.
fn encoding_rows() -> Vec<Row> {
    let cut = |name: &str, frame: Frame| {
        let mut bytes = payload(&[frame]);
        bytes.pop();
        row(&format!("{name} cut"), ENCODING, move |w| {
            // Other frames before it, so that it is no matter of the packet's length.
            let mut all = payload(&[Frame::Ping, Frame::Ping, Frame::Ping, Frame::Ping]);
            all.extend(&bytes);
            w.server.tell_raw(&all);
            w.run();
        })
    };
    let mut rows = vec![
        raw("frame 0x1f", ENCODING, &[0x1f]),
        raw("frame 0x21", ENCODING, &[0x21, 1, 2, 3]),
        raw("DATAGRAM that was not negotiated", Closes(&[0x7, 0xa]), &[0x30, 1, 2, 3]),
        raw("frame of eight bytes", ENCODING, &[MOST]),
        raw("unknown frame behind a known one", ENCODING, &[0x01, 0x01, 0x2f]),
        row("PING in two bytes", Closes(&[0x7, 0xa]), |w| {
            w.server.tell_raw(&[0x40, 0x01, 0, 0]);
            w.run();
        }),
        row("STREAM in four bytes", Closes(&[0x7, 0xa]), |w| {
            w.server.tell_raw(&[0x80, 0, 0, 0x0a, 0, 1, b'x']);
            w.run();
        }),
        row("no frames at all", VIOLATION, |w| {
            w.server.tell_raw(&[]);
            w.run();
        }),
        raw("ACK with a first range below 0", ENCODING, &[0x02, 2, 0, 0, 3]),
        raw("ACK with a gap below 0", ENCODING, &[0x02, 2, 0, 1, 1, 0, 0]),
        raw("ACK with a range below 0", ENCODING, &[0x02, 4, 0, 1, 0, 1, 2]),
        raw("ACK with more ranges than bytes", ENCODING, &[0x02, 4, 0, MOST, 0]),
        raw("ACK_ECN without counts", ENCODING, &[0x03, 0, 0, 0, 0, 1]),
        raw("STREAM longer than its packet", ENCODING, &[0x0a, THEIRS, 100, 1, 2]),
        raw("CRYPTO longer than its packet", ENCODING, &[0x06, 0, 100, 1, 2]),
        raw("NEW_TOKEN longer than its packet", ENCODING, &[0x07, 100, 1, 2]),
        raw("CONNECTION_CLOSE longer than its packet", ENCODING, &[0x1c, 0, 0, 100, 1, 2]),
        raw("STREAM with a length of 2^62-1", Closes(&[0x7, 0x3]), &[0x0e, THEIRS, 0, MOST]),
        says("STREAM beyond 2^62", Closes(&[0x7, 0x3]), vec![stream(THEIRS, MOST, 9, false)]),
        row("CRYPTO beyond 2^62", Closes(&[0x7, 0xd]), |w| {
            w.tell(&[Frame::Crypto { offset: MOST, data: vec![1; 9] }]);
        }),
        says("MAX_STREAMS beyond 2^60", ENCODING, vec![Frame::MaxStreams { bidi: true, max: (1 << 60) + 1 }]),
        says(
            "MAX_STREAMS of the other kind beyond 2^60",
            ENCODING,
            vec![Frame::MaxStreams { bidi: false, max: MOST }],
        ),
        says(
            "STREAMS_BLOCKED beyond 2^60",
            Closes(&[0x4, 0x7]),
            vec![Frame::StreamsBlocked { bidi: true, max: (1 << 60) + 1 }],
        ),
        says(
            "STREAMS_BLOCKED of the other kind beyond 2^60",
            Closes(&[0x4, 0x7]),
            vec![Frame::StreamsBlocked { bidi: false, max: MOST }],
        ),
        says("NEW_TOKEN without a token", ENCODING, vec![Frame::NewToken(Vec::new())]),
        says(
            "NEW_CONNECTION_ID without an id",
            ENCODING,
            vec![Frame::NewConnectionId { seq: 1, retire: 0, id: Vec::new(), token: [1; 16] }],
        ),
        says(
            "NEW_CONNECTION_ID of 21 bytes",
            ENCODING,
            vec![Frame::NewConnectionId { seq: 1, retire: 0, id: vec![7; 21], token: [1; 16] }],
        ),
        says("NEW_CONNECTION_ID that retires itself and more", ENCODING, vec![new_id(1, 2, b"id-no--1")]),
    ];
    rows.extend([
        cut("ACK", Frame::ack(0)),
        cut("RESET_STREAM", reset(THEIRS, 0)),
        cut("STOP_SENDING", Frame::StopSending { id: REQUEST, code: 1 }),
        cut("CRYPTO", Frame::Crypto { offset: 0, data: b"abc".to_vec() }),
        cut("NEW_TOKEN", Frame::NewToken(b"abc".to_vec())),
        cut("STREAM", stream(THEIRS, 5, 5, false)),
        cut("MAX_DATA", Frame::MaxData(1 << 40)),
        cut("MAX_STREAM_DATA", Frame::MaxStreamData { id: REQUEST, max: 1 << 40 }),
        cut("MAX_STREAMS", Frame::MaxStreams { bidi: true, max: 500 }),
        cut("DATA_BLOCKED", Frame::DataBlocked(500)),
        cut("STREAM_DATA_BLOCKED", Frame::StreamDataBlocked { id: THEIRS, max: 500 }),
        cut("STREAMS_BLOCKED", Frame::StreamsBlocked { bidi: false, max: 500 }),
        cut("NEW_CONNECTION_ID", new_id(1, 0, b"id-no--1")),
        cut("RETIRE_CONNECTION_ID", Frame::RetireConnectionId(500)),
        cut("PATH_CHALLENGE", Frame::PathChallenge([1; 8])),
        cut("PATH_RESPONSE", Frame::PathResponse([1; 8])),
        cut("CONNECTION_CLOSE", Frame::Close { code: 1, frame: Some(0), reason: b"why".to_vec() }),
    ]);
    rows
}

/// RFC 9000 section 12.4, table 3: frames in packets that must not have them.
fn level_rows() -> Vec<Row> {
    let forbidden = [
        ("RESET_STREAM", reset(REQUEST, 0)),
        ("STOP_SENDING", Frame::StopSending { id: REQUEST, code: 1 }),
        ("NEW_TOKEN", Frame::NewToken(b"abc".to_vec())),
        ("STREAM", stream(THEIRS, 0, 5, false)),
        ("MAX_DATA", Frame::MaxData(1 << 40)),
        ("MAX_STREAM_DATA", Frame::MaxStreamData { id: REQUEST, max: 1 << 40 }),
        ("MAX_STREAMS", Frame::MaxStreams { bidi: true, max: 500 }),
        ("DATA_BLOCKED", Frame::DataBlocked(500)),
        ("STREAM_DATA_BLOCKED", Frame::StreamDataBlocked { id: THEIRS, max: 500 }),
        ("STREAMS_BLOCKED", Frame::StreamsBlocked { bidi: false, max: 500 }),
        ("NEW_CONNECTION_ID", new_id(1, 0, b"id-no--1")),
        ("RETIRE_CONNECTION_ID", Frame::RetireConnectionId(0)),
        ("PATH_CHALLENGE", Frame::PathChallenge([1; 8])),
        ("PATH_RESPONSE", Frame::PathResponse([1; 8])),
        ("CONNECTION_CLOSE of the application", Frame::Close { code: 1, frame: None, reason: vec![] }),
        ("HANDSHAKE_DONE", Frame::HandshakeDone),
    ];
    let mut rows = Vec::new();
    for (stage, level) in [(Stage::Hello, Level::Initial), (Stage::Handshake, Level::Handshake)] {
        for (name, frame) in forbidden.clone() {
            rows.push(early(stage, &format!("{name} in {level:?}"), VIOLATION, move |w| {
                w.say(level, std::slice::from_ref(&frame));
            }));
        }
        rows.push(early(stage, &format!("unknown frame in {level:?}"), ENCODING, move |w| {
            let mut bytes = w.server.raw(level, &[0x21; 1100]);
            bytes.resize(1200, 0);
            w.server.push(&bytes);
            w.run();
        }));
        rows.push(early(stage, &format!("nothing in {level:?}"), VIOLATION, move |w| {
            let bytes = w.server.raw(level, &[]);
            w.server.push(&bytes);
            w.run();
        }));
        rows.push(early(stage, &format!("PING and PADDING in {level:?}"), Tolerated, move |w| {
            w.say(level, &[Frame::Padding(9), Frame::Ping, Frame::Padding(1000)]);
        }));
    }
    rows
}

/// RFC 9000 sections 2, 3, 4.6 and 19: which stream may have which frame.
fn stream_rows() -> Vec<Row> {
    let block = |id| Frame::StreamDataBlocked { id, max: 5 };
    let allow = |id| Frame::MaxStreamData { id, max: 1 << 20 };
    let stop = |id| Frame::StopSending { id, code: 5 };
    let last = 4 * (UNI - 1) + 3;
    vec![
        says("STREAM on a bidirectional stream of the server", LIMIT, vec![stream(1, 0, 1, false)]),
        says("RESET_STREAM on a bidirectional stream of the server", LIMIT, vec![reset(1, 0)]),
        says("STOP_SENDING on a bidirectional stream of the server", Closes(&[0x4, 0x5]), vec![stop(1)]),
        says("MAX_STREAM_DATA on a bidirectional stream of the server", Closes(&[0x4, 0x5]), vec![allow(1)]),
        says("STREAM_DATA_BLOCKED on a bidirectional stream of the server", LIMIT, vec![block(1)]),
        says("STREAM on a stream that only we send on", STATE, vec![stream(OURS, 0, 1, false)]),
        says("RESET_STREAM on a stream that only we send on", STATE, vec![reset(OURS, 0)]),
        says("STREAM_DATA_BLOCKED on a stream that only we send on", STATE, vec![block(OURS)]),
        says("STREAM on a stream that we did not open", STATE, vec![stream(4, 0, 1, false)]),
        says("STREAM on a distant stream that we did not open", STATE, vec![stream(4 << 40, 0, 1, false)]),
        says("RESET_STREAM on a stream that we did not open", STATE, vec![reset(4, 0)]),
        says("STOP_SENDING on a stream that we did not open", STATE, vec![stop(4)]),
        says("STOP_SENDING on a unidirectional stream that we did not open", STATE, vec![stop(6)]),
        says("MAX_STREAM_DATA on a stream that we did not open", STATE, vec![allow(4)]),
        says("MAX_STREAM_DATA on a unidirectional stream that we did not open", STATE, vec![allow(6)]),
        says("STREAM_DATA_BLOCKED on a stream that we did not open", May(&[0x5]), vec![block(4)]),
        says("STOP_SENDING on a stream that only the server sends on", STATE, vec![stop(THEIRS)]),
        says("the same while it is open", STATE, vec![stream(THEIRS, 0, 1, false), stop(THEIRS)]),
        says("MAX_STREAM_DATA on a stream that only the server sends on", STATE, vec![allow(THEIRS)]),
        says("STREAM beyond the limit of streams", LIMIT, vec![stream(last + 4, 0, 1, false)]),
        says("empty STREAM beyond the limit of streams", LIMIT, vec![stream(last + 4, 0, 0, true)]),
        says("RESET_STREAM beyond the limit of streams", LIMIT, vec![reset(last + 4, 0)]),
        says("STREAM_DATA_BLOCKED beyond the limit of streams", LIMIT, vec![block(last + 4)]),
        says("the greatest stream there is", LIMIT, vec![stream(MOST, 0, 1, false)]),
        row("the last stream first", Tolerated, move |w| {
            w.tell(&[stream(last, 0, 3, true)]);
            w.tell(&[stream(THEIRS, 0, 4, true)]);
            assert_eq!((w.log.data[&last].len(), w.log.data[&THEIRS].len()), (3, 4));
        }),
        row("more streams than the limit, one after the other", Tolerated, |w| {
            for index in 0..10 * UNI {
                w.tell(&[stream(4 * index + 3, 0, 3, true)]);
                w.settle();
            }
            assert_eq!(w.log.ends.len() as u64, 10 * UNI);
        }),
        row("streams that are reset at once", Tolerated, |w| {
            for index in 0..10 * UNI {
                w.tell(&[reset(4 * index + 3, 0)]);
                w.settle();
            }
        }),
        row("MAX_STREAM_DATA and STOP_SENDING on a stream that is over", Tolerated, move |w| {
            w.tell(&[stream(REQUEST, 0, 3, true)]);
            w.settle();
            w.tell(&[allow(REQUEST), stop(REQUEST), block(REQUEST), stream(REQUEST, 0, 3, true)]);
            w.tell(&[reset(REQUEST, 3)]);
            assert_eq!(w.log.ends[&REQUEST], End::Fin);
        }),
        row("STOP_SENDING twice", Tolerated, move |w| {
            w.tell(&[stop(OURS)]);
            w.tell(&[stop(OURS)]);
            assert_eq!(w.log.stopped.get(&OURS), Some(&5));
            // RFC 9000 section 3.5: it must be answered.
            assert!(w.server.streams[&OURS].reset.is_some(), "no RESET_STREAM");
        }),
        says(
            "limits that fall",
            Tolerated,
            vec![
                Frame::MaxData(1),
                Frame::MaxStreams { bidi: true, max: 1 },
                Frame::MaxStreams { bidi: false, max: 0 },
                Frame::MaxStreamData { id: REQUEST, max: 1 },
            ],
        ),
        says(
            "words of a blocked server",
            Tolerated,
            vec![
                Frame::DataBlocked(0),
                Frame::DataBlocked(MOST),
                Frame::StreamsBlocked { bidi: true, max: 1 << 60 },
                Frame::StreamsBlocked { bidi: false, max: 0 },
                block(REQUEST),
                block(THEIRS),
            ],
        ),
    ]
}

/// The stream is over: to remember its final size is not mandatory (RFC 9000 section 4.5).
const GONE: Outcome = May(&[0x6]);

/// RFC 9000 section 4.5: the final size never changes.
fn size_rows() -> Vec<Row> {
    vec![
        says("STREAM behind FIN", SIZE, vec![stream(REQUEST, 10, 0, true), stream(REQUEST, 8, 5, false)]),
        says(
            "STREAM behind a FIN that was delivered",
            GONE,
            vec![stream(THEIRS, 0, 10, true), stream(THEIRS, 10, 5, false)],
        ),
        says("FIN further than FIN", SIZE, vec![stream(REQUEST, 10, 0, true), stream(REQUEST, 11, 0, true)]),
        says("FIN nearer than FIN", SIZE, vec![stream(REQUEST, 10, 0, true), stream(REQUEST, 9, 0, true)]),
        says("FIN before what came", SIZE, vec![stream(REQUEST, 5, 10, false), stream(REQUEST, 4, 0, true)]),
        says(
            "FIN before what was delivered",
            SIZE,
            vec![stream(REQUEST, 0, 10, false), stream(REQUEST, 0, 9, true)],
        ),
        says(
            "RESET_STREAM smaller than what came",
            SIZE,
            vec![stream(REQUEST, 0, 10, false), reset(REQUEST, 9)],
        ),
        says(
            "RESET_STREAM smaller than what came out of order",
            SIZE,
            vec![stream(REQUEST, 50, 10, false), reset(REQUEST, 59)],
        ),
        says(
            "RESET_STREAM of another size than FIN",
            SIZE,
            vec![stream(REQUEST, 10, 5, true), reset(REQUEST, 16)],
        ),
        says("STREAM behind RESET_STREAM", GONE, vec![reset(THEIRS, 10), stream(THEIRS, 10, 1, false)]),
        says(
            "FIN of another size than RESET_STREAM",
            GONE,
            vec![reset(THEIRS, 10), stream(THEIRS, 5, 4, true)],
        ),
        says(
            "RESET_STREAM of another size than RESET_STREAM",
            GONE,
            vec![reset(THEIRS, 10), reset(THEIRS, 11)],
        ),
        row("the same end in every way", Tolerated, |w| {
            for frame in [
                stream(THEIRS, 5, 5, true),
                stream(THEIRS, 10, 0, true),
                stream(THEIRS, 0, 10, false),
                stream(THEIRS, 0, 10, true),
                reset(THEIRS, 10),
            ] {
                w.tell(&[frame]);
            }
            assert_eq!(w.log.ends[&THEIRS], End::Fin);
            assert_eq!(w.log.data[&THEIRS].len(), 10);
        }),
        row("RESET_STREAM, then what was on its way", Tolerated, |w| {
            for frame in [reset(THEIRS, 10), stream(THEIRS, 0, 10, true), reset(THEIRS, 10)] {
                w.tell(&[frame]);
            }
            assert_eq!(w.log.ends[&THEIRS], End::Reset(9));
        }),
        row("pieces that overlap in every way", Tolerated, |w| {
            let text: Vec<u8> = (0..100).collect();
            let piece =
                |from: usize, upto: usize| Frame::stream(THEIRS, from as u64, &text[from..upto], upto == 100);
            for (from, upto) in [
                (50, 60),
                (40, 55),
                (45, 65),
                (80, 100),
                (62, 81),
                (10, 20),
                (0, 5),
                (3, 12),
                (19, 41),
                (0, 100),
            ] {
                w.tell(&[piece(from, upto)]);
            }
            assert_eq!(w.log.data[&THEIRS], text);
        }),
    ]
}

/// RFC 9000 sections 4.1 and 7.5: more than was allowed.
fn flow_rows() -> Vec<Row> {
    let window = STREAM_WINDOW;
    vec![
        says("STREAM beyond the window of the stream", FLOW, vec![stream(REQUEST, window, 1, false)]),
        says("STREAM across the window of the stream", FLOW, vec![stream(THEIRS, window - 1, 2, true)]),
        says("FIN beyond the window of the stream", FLOW, vec![stream(THEIRS, window + 1, 0, true)]),
        says("RESET_STREAM beyond the window of the stream", FLOW, vec![reset(THEIRS, window + 1)]),
        says(
            "STREAM beyond the window of the connection",
            FLOW,
            vec![stream(REQUEST, window - 1, 1, false), stream(THEIRS, WINDOW - window, 1, false)],
        ),
        row("RESET_STREAM beyond the window of the connection", FLOW, move |w| {
            w.tell(&[reset(THEIRS, window), reset(THEIRS + 4, WINDOW - window + 1)]);
        }),
        row("STREAM up to the window of the stream and not beyond", Tolerated, move |w| {
            w.tell(&[stream(THEIRS, window - 1, 1, false)]);
            w.tell(&[stream(REQUEST, WINDOW - window - 1, 1, false)]);
            assert!(!w.log.is_lost(), "{:?}", w.log.events);
            // The gaps are filled, so that there is room again.
            for offset in (0..window - 1).step_by(1000) {
                w.tell(&[stream(THEIRS, offset, 1000.min(window - 1 - offset) as usize, false)]);
            }
            assert_eq!(w.log.received, window);
        }),
        row("windows move when data is consumed", Tolerated, move |w| {
            let mut offset = 0;
            while offset < 5 * WINDOW {
                w.tell(&[stream(THEIRS, offset, 1000, false)]);
                offset += 1000;
            }
            assert_eq!(w.log.received, offset);
            let moved = |f: &Frame| matches!(f, Frame::MaxData(m) if *m > 5 * WINDOW);
            assert!(w.server.frames().any(moved), "no MAX_DATA");
            // In large steps.
            let grants = w.server.frames().filter(|f| matches!(f, Frame::MaxStreamData { .. })).count();
            assert!((5..=20).contains(&grants), "{grants} MAX_STREAM_DATA");
        }),
        row("windows do not move when nothing is consumed", FLOW, move |w| {
            w.log.hoards = true;
            for offset in (0..=window).step_by(1000) {
                w.tell(&[stream(THEIRS, offset, 1000, false)]);
            }
        }),
        row("a stream that was reset gives its part of the connection's window back", Tolerated, move |w| {
            for index in 0..20 {
                w.tell(&[reset(4 * index + 3, window)]);
                w.settle();
            }
        }),
        row("CRYPTO beyond what anyone buffers", Closes(&[0xd]), |w| {
            // RFC 9000 section 7.5 wants 4096 bytes at least; nobody needs a gap of 16 MB.
            let offset = w.server.crypto_offset[2];
            w.tell(&[Frame::Crypto { offset: offset + (16 << 20), data: vec![1; 100] }]);
        }),
        row("a flood of CRYPTO behind a gap", Closes(&[0xd]), |w| {
            let offset = w.server.crypto_offset[2];
            for n in 0..3000 {
                w.server.tell(&[Frame::Crypto { offset: offset + 1 + n * 1000, data: vec![1; 1000] }]);
            }
            w.run();
        }),
        early(Stage::Hello, "a flood of CRYPTO behind a gap in Initial", Closes(&[0xd]), |w| {
            for n in 0..3000 {
                w.server.say(Level::Initial, &[Frame::Crypto { offset: 1 + n * 1000, data: vec![1; 1000] }]);
            }
            w.run();
        }),
        early(Stage::Hello, "4096 bytes of CRYPTO in the wrong order", Tolerated, |w| {
            let frames = w.server.crypto_frames(|l| l == Level::Initial);
            for (level, frame) in frames.into_iter().rev() {
                let Frame::Crypto { offset, data } = frame else { unreachable!() };
                for at in (0..data.len()).rev() {
                    w.server
                        .say(level, &[Frame::Crypto { offset: offset + at as u64, data: vec![data[at]] }]);
                }
            }
            w.run();
        }),
    ]
}

/// Where rustls has no alert for it, it is a violation.
const GARBAGE: &[u64] = &[0xa, 0x10a, 0x132];

/// RFC 9001 section 4: what TLS says where.
fn tls_rows() -> Vec<Row> {
    let at = |w: &World, space: usize| w.server.crypto_offset[space];
    vec![
        row("TLS KeyUpdate", Closes(&[0x10a]), move |w| {
            let offset = at(w, 2);
            w.tell(&[Frame::Crypto { offset, data: vec![24, 0, 0, 1, 0] }]);
        }),
        row("TLS Finished again", Alert, move |w| {
            let offset = at(w, 2);
            let mut data = vec![20, 0, 0, 32];
            data.resize(36, 7);
            w.tell(&[Frame::Crypto { offset, data }]);
        }),
        row("a ticket with another amount of early data", VIOLATION, move |w| {
            // RFC 9001 section 4.6.1: 2^32-1 is the only one there is.
            let mut ticket = vec![0, 0, 1, 0, 1, 2, 3, 4, 1, 9, 0, 4, b't', b'i', b'c', b'k'];
            ticket.extend([0, 8, 0, 42, 0, 4, 0, 0, 1, 0]);
            let mut data = vec![4, 0, 0, ticket.len() as u8];
            data.extend(ticket);
            w.tell(&[Frame::Crypto { offset: at(w, 2), data }]);
        }),
        early(Stage::Hello, "no TLS at all", Closes(GARBAGE), |w| {
            w.say(Level::Initial, &[Frame::Crypto { offset: 0, data: vec![0xff; 64] }]);
        }),
        early(Stage::Hello, "ServerHello with more behind it", Closes(&[0xa, 0x10a]), |w| {
            w.server.speak(Level::Initial);
            let offset = w.server.crypto_offset[0];
            let said = w.server.framed(Level::Initial, &[Frame::Crypto { offset, data: vec![8] }]);
            w.server.push(&said);
            w.run();
        }),
        early(
            Stage::Handshake,
            "new CRYPTO in Initial when Handshake has begun",
            Closes(&[0xa, 0x10a]),
            |w| {
                let offset = w.server.crypto_offset[0];
                w.say(Level::Initial, &[Frame::Crypto { offset, data: vec![8, 0, 0, 2, 0, 0] }]);
            },
        ),
        early(Stage::Handshake, "new CRYPTO in Handshake when 1-RTT has begun", Closes(&[0xa, 0x10a]), |w| {
            w.server.confirms = false;
            w.server.speak(Level::Handshake);
            w.run();
            assert!(w.log.is_connected());
            let offset = w.server.crypto_offset[1];
            w.say(Level::Handshake, &[Frame::Crypto { offset, data: vec![4, 0, 0, 40, 0, 0] }]);
        }),
        early(Stage::Handshake, "garbage in Handshake", Closes(GARBAGE), |w| {
            w.say(Level::Handshake, &[Frame::Crypto { offset: 0, data: vec![0xff; 64] }]);
        }),
        early(Stage::Handshake, "old CRYPTO in Initial again", Tolerated, |w| {
            w.say(Level::Initial, &[Frame::Crypto { offset: 0, data: vec![0x55; 20] }]);
        }),
    ]
}

/// RFC 9000 section 13.1, 19.3.
fn ack_rows() -> Vec<Row> {
    let ack = |ranges: Vec<std::ops::RangeInclusive<u64>>| Frame::Ack { delay: 0, ranges, ecn: None };
    vec![
        says("ACK of what was never sent", VIOLATION, vec![ack(vec![1000..=1000])]),
        says("ACK of 2^62-1", VIOLATION, vec![ack(vec![MOST..=MOST])]),
        says("ACK of everything there could be", VIOLATION, vec![ack(vec![0..=MOST])]),
        row("ACK of the next packet", VIOLATION, |w| {
            // One further than the last that is sure not to be under way.
            let next = w.server.got[2].last().unwrap() + 20;
            w.tell(&[Frame::ack(next)]);
        }),
        early(Stage::Hello, "ACK of an Initial never sent", VIOLATION, |w| {
            w.say(Level::Initial, &[Frame::ack(77)]);
        }),
        early(Stage::Handshake, "ACK of a Handshake packet never sent", VIOLATION, |w| {
            w.say(Level::Handshake, &[Frame::ack(77)]);
        }),
        row("ACK over and over, newest and oldest", Tolerated, move |w| {
            let got: Vec<u64> = w.server.got[2].iter().copied().collect();
            for n in got.iter().rev().chain(&got) {
                w.tell(&[Frame::ack(*n)]);
            }
        }),
        row("ACK with the longest delay there is", Tolerated, |w| {
            w.server.acks = false;
            w.open(b"x", true);
            w.run();
            let ranges = wire::ranges_of(w.server.got[2].iter().copied());
            w.tell(&[Frame::Ack { delay: MOST, ranges, ecn: None }]);
            w.server.acks = true;
            assert!(w.client.stats().rtt_smoothed_ns < 2_000_000_000, "{:?}", w.client.stats());
        }),
    ]
}

/// RFC 9000 sections 5.1, 19.15 and 19.16.
fn id_rows() -> Vec<Row> {
    let limit = |w: &World| w.server.client_param(param::CID_LIMIT).unwrap_or(2);
    let retired = |w: &World| -> Vec<u64> {
        let seq = |f: &Frame| if let Frame::RetireConnectionId(seq) = f { Some(*seq) } else { None };
        w.server.frames().filter_map(seq).collect()
    };
    let other = |token: u8| Frame::NewConnectionId {
        seq: 1,
        retire: 0,
        id: b"id-no--1".to_vec(),
        token: [token; 16],
    };
    vec![
        says("two ids of one number", VIOLATION, vec![new_id(1, 0, b"id-no--1"), new_id(1, 0, b"id-no--2")]),
        says("two tokens of one id", VIOLATION, vec![other(1), other(2)]),
        says("two numbers of one id", VIOLATION, vec![new_id(1, 0, b"id-no--1"), new_id(2, 1, b"id-no--1")]),
        says("number 0 is another id", VIOLATION, vec![new_id(0, 0, b"id-no--0")]),
        row("more ids than the limit", ID_LIMIT, move |w| {
            for seq in 1..=limit(w) {
                w.tell(&[new_id(seq, 0, &numbered(seq))]);
            }
        }),
        row("ids up to the limit", Tolerated, move |w| {
            for seq in 1..limit(w) {
                w.tell(&[new_id(seq, 0, &numbered(seq))]);
                w.tell(&[new_id(seq, 0, &numbered(seq))]);
            }
        }),
        row("the id in use is retired", Tolerated, move |w| {
            w.tell(&[new_id(1, 1, b"id-no--1")]);
            w.settle();
            assert_eq!(retired(w), [0]);
            w.exchange();
            assert_eq!(w.server.seen.last().unwrap().dcid, b"id-no--1");
        }),
        row("an id that comes after it was retired", Tolerated, move |w| {
            w.tell(&[new_id(2, 2, b"id-no--2")]);
            w.tell(&[new_id(1, 0, b"id-no--1")]);
            w.settle();
            let mut retired = retired(w);
            retired.sort_unstable();
            retired.dedup();
            assert_eq!(retired, [0, 1], "RFC 9000 section 19.15: it must be retired at once");
            assert_eq!(w.server.seen.last().unwrap().dcid, b"id-no--2");
        }),
        row("retire_prior_to that falls", Tolerated, move |w| {
            w.tell(&[new_id(2, 2, b"id-no--2")]);
            w.tell(&[new_id(3, 1, b"id-no--3")]);
            w.settle();
            assert_eq!(w.server.seen.last().unwrap().dcid, b"id-no--2");
        }),
        row("ids without end, each retires the last", Tolerated, move |w| {
            for seq in 1..500 {
                w.tell(&[new_id(seq, seq, &numbered(seq))]);
                w.settle();
            }
            assert_eq!(w.server.seen.last().unwrap().dcid, numbered(499));
            let retired: std::collections::BTreeSet<u64> = retired(w).into_iter().collect();
            assert_eq!(retired.len(), 499);
        }),
        row("ids without end, and no retirement is acknowledged", May(&[0x9]), move |w| {
            w.server.acks = false;
            for seq in 1..3000 {
                w.server.tell(&[new_id(seq, seq, &numbered(seq))]);
            }
            w.run();
        }),
        row("a jump of retire_prior_to", May(&[0x9, 0xa]), move |w| {
            w.tell(&[new_id(MOST >> 1, MOST >> 1, b"id-far-1")]);
        }),
        says(
            "RETIRE_CONNECTION_ID where we have none to retire",
            VIOLATION,
            vec![Frame::RetireConnectionId(0)],
        ),
        says("RETIRE_CONNECTION_ID of what was never given", VIOLATION, vec![Frame::RetireConnectionId(5)]),
        Row {
            server: Server::new().named(b""),
            ..says("NEW_CONNECTION_ID of a server without ids", VIOLATION, vec![new_id(1, 0, b"id-no--1")])
        },
        Row { server: Server::new().named(b""), ..row("a server without ids", Tolerated, |_| {}) },
        Row {
            server: Server::new().named(&[7; 20]),
            ..row("a server with an id of 20 bytes", Tolerated, |_| {})
        },
    ]
}

/// RFC 9000 sections 7.3, 7.4 and 18.2.
fn parameter_rows() -> Vec<Row> {
    fn set(params: &mut Params, id: u64, value: Vec<u8>) {
        params.retain(|p| p.0 != id);
        params.push((id, value));
    }
    let drop = |name, id| with(name, PARAMETER, move |p| p.retain(|p| p.0 != id));
    let bytes = |name, outcome, id, value: Vec<u8>| with(name, outcome, move |p| set(p, id, value.clone()));
    let number = |name, outcome, id, value| bytes(name, outcome, id, varint(value));
    let ids = Closes(&[0x8, 0xa]);
    let preferred = |id: &[u8]| {
        let mut value = hex("7f000001 1151 00000000000000000000000000000001 1151");
        value.push(id.len() as u8);
        value.extend_from_slice(id);
        value.extend([9; 16]);
        value
    };
    vec![
        drop("without original_destination_connection_id", param::ORIGINAL_DCID),
        drop("without initial_source_connection_id", param::INITIAL_SCID),
        bytes("another original_destination_connection_id", ids, param::ORIGINAL_DCID, vec![0xab; 8]),
        bytes("empty original_destination_connection_id", ids, param::ORIGINAL_DCID, vec![]),
        bytes("another initial_source_connection_id", ids, param::INITIAL_SCID, vec![0xab; 8]),
        bytes("original_destination_connection_id of 21 bytes", ids, param::ORIGINAL_DCID, vec![1; 21]),
        bytes("retry_source_connection_id without a Retry", ids, param::RETRY_SCID, b"retry-id".to_vec()),
        with("a parameter twice", PARAMETER, |p| p.push((param::MAX_DATA, varint(5)))),
        with("a parameter twice the same", PARAMETER, |p| {
            let first = p[0].clone();
            p.push(first);
        }),
        with("an unknown parameter", Tolerated, |p| p.push((0x1f * 99 + 27, vec![1; 300]))),
        with("unknown parameters without a value", Tolerated, |p| {
            p.extend((0..20).map(|n| (31 * n + 27, vec![])));
        }),
        // Nobody keeps all ids that it does not know.
        with("an unknown parameter twice", May(&[0x8]), |p| p.extend([(58, vec![1]), (58, vec![2])])),
        number("max_udp_payload_size of 1199", PARAMETER, param::MAX_UDP_PAYLOAD, 1199),
        number("max_udp_payload_size of 1200", Tolerated, param::MAX_UDP_PAYLOAD, 1200),
        number("max_udp_payload_size of 2^62-1", Tolerated, param::MAX_UDP_PAYLOAD, MOST),
        number("ack_delay_exponent of 21", PARAMETER, param::ACK_DELAY_EXPONENT, 21),
        number("ack_delay_exponent of 20", Tolerated, param::ACK_DELAY_EXPONENT, 20),
        number("max_ack_delay of 2^14", PARAMETER, param::MAX_ACK_DELAY, 1 << 14),
        number("max_ack_delay of 2^14-1", Tolerated, param::MAX_ACK_DELAY, (1 << 14) - 1),
        number("active_connection_id_limit of 1", PARAMETER, param::CID_LIMIT, 1),
        number("active_connection_id_limit of 2", Tolerated, param::CID_LIMIT, 2),
        number("initial_max_streams_bidi of 2^60+1", PARAMETER, param::STREAMS_BIDI, (1 << 60) + 1),
        number("initial_max_streams_uni of 2^60+1", PARAMETER, param::STREAMS_UNI, (1 << 60) + 1),
        number("initial_max_streams_bidi of 2^60", Tolerated, param::STREAMS_BIDI, 1 << 60),
        number("max_idle_timeout of 2^62-1", Tolerated, param::IDLE_TIMEOUT, MOST),
        number("max_idle_timeout of 0", Tolerated, param::IDLE_TIMEOUT, 0),
        number("initial_max_data of 2^62-1", Tolerated, param::MAX_DATA, MOST),
        bytes("stateless_reset_token of 15 bytes", PARAMETER, param::RESET_TOKEN, vec![1; 15]),
        bytes("stateless_reset_token of 17 bytes", PARAMETER, param::RESET_TOKEN, vec![1; 17]),
        bytes("disable_active_migration with a value", PARAMETER, param::DISABLE_MIGRATION, vec![1]),
        bytes("disable_active_migration", Tolerated, param::DISABLE_MIGRATION, vec![]),
        bytes("initial_max_data without a value", PARAMETER, param::MAX_DATA, vec![]),
        bytes("initial_max_data cut", PARAMETER, param::MAX_DATA, vec![0xc0, 0, 0]),
        bytes("initial_max_data with more behind it", PARAMETER, param::MAX_DATA, vec![1, 1]),
        bytes("max_idle_timeout in eight bytes", Tolerated, param::IDLE_TIMEOUT, hex("c000000000007530")),
        bytes("preferred_address", Tolerated, param::PREFERRED_ADDRESS, preferred(b"preferrd")),
        bytes("preferred_address without an id", ids, param::PREFERRED_ADDRESS, preferred(b"")),
        bytes("preferred_address with an id of 21 bytes", ids, param::PREFERRED_ADDRESS, preferred(&[1; 21])),
        bytes(
            "preferred_address cut",
            PARAMETER,
            param::PREFERRED_ADDRESS,
            preferred(b"preferrd")[..40].to_vec(),
        ),
        with("parameters cut", PARAMETER, |p| p.push((TRUNCATED, vec![]))),
    ]
}

/// RFC 9000 sections 12.2 and 17, RFC 9001 section 5: packets.
fn packet_rows() -> Vec<Row> {
    let flipped = |level: Level, flip: u8| {
        move |w: &mut World| {
            let mut shape = w.server.shape(level);
            shape.flip = flip;
            let bytes = w.server.sealed(&shape, &[1; 30]);
            w.server.push(&bytes);
            w.run();
        }
    };
    let raw_datagram = |name: &str, bytes: Vec<u8>| {
        row(name, Tolerated, move |w| {
            w.server.push(&bytes);
            w.run();
        })
    };
    vec![
        row("reserved bits of a short header", VIOLATION, flipped(Level::OneRtt, 0x18)),
        row("one reserved bit of a short header", VIOLATION, flipped(Level::OneRtt, 0x08)),
        early(Stage::Hello, "reserved bits of an Initial", VIOLATION, flipped(Level::Initial, 0x0c)),
        early(
            Stage::Handshake,
            "reserved bits of a Handshake packet",
            VIOLATION,
            flipped(Level::Handshake, 0x04),
        ),
        row("a packet whose every byte was touched in turn", Tolerated, |w| {
            let good = w.server.framed(Level::OneRtt, &[stream(THEIRS, 0, 20, true)]);
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x01;
                w.server.push(&bad);
            }
            w.run();
            assert!(!w.log.data.contains_key(&THEIRS));
            w.server.push(&good);
            w.run();
            assert_eq!(w.log.data[&THEIRS].len(), 20);
        }),
        row("a packet twice", Tolerated, |w| {
            let before = w.log.received;
            let bytes =
                w.server.framed(Level::OneRtt, &[stream(THEIRS, 0, 20, false), Frame::PathChallenge([3; 8])]);
            for _ in 0..50 {
                w.server.push(&bytes);
            }
            w.run();
            assert_eq!(w.log.received, before + 20);
            let responses = w.server.frames().filter(|f| **f == Frame::PathResponse([3; 8])).count();
            assert_eq!(responses, 1, "RFC 9000 section 12.3: it must be discarded");
        }),
        row("packets in the wrong order", Tolerated, |w| {
            let packets: Vec<Vec<u8>> = (0..50)
                .map(|n| w.server.framed(Level::OneRtt, &[stream(THEIRS, n * 10, 10, n == 49)]))
                .collect();
            for packet in packets.iter().rev() {
                w.server.push(packet);
            }
            w.run();
            assert_eq!(w.log.data[&THEIRS].len(), 500);
        }),
        row("numbers in one, two and three bytes", Tolerated, |w| {
            for len in [1, 2, 3, 4] {
                let mut shape = w.server.shape(Level::OneRtt);
                shape.number_len = len;
                let bytes = w.server.sealed(&shape, &payload(&[stream(THEIRS, len as u64, 1, false)]));
                w.server.push(&bytes);
            }
            w.run();
            w.tell(&[stream(THEIRS, 0, 1, false)]);
            assert_eq!(w.log.data[&THEIRS].len(), 5);
        }),
        row("numbers with large gaps", Tolerated, |w| {
            for n in 0..20 {
                w.server.next_number[2] += 1 << n;
                w.tell(&[stream(THEIRS, n, 1, false)]);
            }
            assert_eq!(w.log.data[&THEIRS].len(), 20);
        }),
        raw_datagram("an empty datagram", vec![]),
        raw_datagram("one byte", vec![0x40]),
        raw_datagram("a long header cut", vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3]),
        raw_datagram("zeros", vec![0; 1200]),
        raw_datagram("ones", vec![0xff; 1200]),
        raw_datagram("a long header of ids too long", [vec![0xc0, 0, 0, 0, 1, 255], vec![1; 600]].concat()),
        row("noise", Tolerated, |w| {
            let mut rng = Rng::new(7);
            for _ in 0..2000 {
                let len = rng.below(100);
                let bytes: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
                w.server.push(&bytes);
            }
            w.run();
        }),
        row("a packet of another version", Tolerated, |w| {
            let mut shape = w.server.shape(Level::Handshake);
            shape.version = 0x6b33_43cf;
            let bytes = w.server.sealed(&shape, &[0x21; 30]);
            w.server.push(&bytes);
            w.run();
        }),
        early(Stage::Handshake, "Handshake of another version", Tolerated, |w| {
            let mut shape = w.server.shape(Level::Handshake);
            shape.version = 0x6b33_43cf;
            let bytes = w.server.sealed(&shape, &[0x21; 30]);
            w.server.push(&bytes);
            w.run();
        }),
        row("Initial and Handshake packets when all that is over", Tolerated, |w| {
            w.say(Level::Initial, &[Frame::HandshakeDone]);
            w.say(Level::Handshake, &[Frame::HandshakeDone]);
        }),
        early(Stage::Hello, "an Initial with a token", May(&[0xa]), |w| {
            let mut shape = w.server.shape(Level::Initial);
            shape.token = b"token".to_vec();
            let bytes = w.server.sealed(&shape, &[1; 1200]);
            w.server.push(&bytes);
            w.run();
        }),
        early(Stage::Handshake, "a packet from another id", Tolerated, |w| {
            // RFC 9000 section 7.2: any packet with another source is to be discarded.
            let mut shape = w.server.shape(Level::Handshake);
            shape.scid = b"somebody".to_vec();
            let bytes = w.server.sealed(&shape, &payload(&[Frame::HandshakeDone]));
            w.server.push(&bytes);
            w.run();
        }),
        early(Stage::Handshake, "a packet to somebody else", Tolerated, |w| {
            let mut shape = w.server.shape(Level::Handshake);
            shape.dcid = b"somebody".to_vec();
            let bytes = w.server.sealed(&shape, &payload(&[Frame::HandshakeDone]));
            w.server.push(&bytes);
            w.run();
        }),
        early(Stage::Handshake, "0-RTT from a server", Tolerated, |w| {
            let bytes = w.server.raw(Level::Handshake, &[0x21; 40]);
            let mut bytes = bytes;
            bytes[0] = bytes[0] & 0xcf | 0x10;
            w.server.push(&bytes);
            w.run();
        }),
        early(Stage::Handshake, "a Length beyond the datagram", Tolerated, |w| {
            let mut shape = w.server.shape(Level::Handshake);
            shape.longer = 1;
            let bytes = w.server.sealed(&shape, &payload(&[Frame::HandshakeDone]));
            w.server.push(&bytes);
            w.run();
        }),
        early(Stage::Handshake, "a Length too short for a sample", Tolerated, |w| {
            let mut shape = w.server.shape(Level::Handshake);
            shape.longer = -20;
            let bytes = w.server.sealed(&shape, &payload(&[Frame::HandshakeDone]));
            w.server.push(&bytes);
            w.run();
        }),
        early(Stage::Hello, "the whole handshake in one datagram", Tolerated, |w| {
            let frames = w.server.crypto_frames(|_| true);
            let mut all = Vec::new();
            for (level, frame) in frames {
                all.extend(w.server.framed(level, &[frame]));
            }
            w.server.push(&all);
            w.run();
            assert!(w.log.is_connected(), "{:?}", w.log.events);
        }),
        early(Stage::Hello, "the handshake back to front", Tolerated, |w| {
            let frames = w.server.crypto_frames(|_| true);
            let again = frames.clone();
            for (level, frame) in frames.into_iter().rev() {
                w.say(level, &[frame]);
            }
            // What came too early may have been thrown away: the server says it again.
            w.run();
            for (level, frame) in again {
                w.say(level, &[frame]);
            }
        }),
        early(Stage::Handshake, "1-RTT packets before the handshake is over", Tolerated, |w| {
            // RFC 9001 section 5.7: not to be processed before.
            w.say(Level::OneRtt, &[stream(THEIRS, 0, 5, true)]);
            assert!(w.log.data.is_empty());
        }),
        early(Stage::Handshake, "a flood of packets whose keys are not there", Tolerated, |w| {
            for n in 0..2000 {
                w.server.say(Level::OneRtt, &[stream(THEIRS, n * 10, 10, false), Frame::Padding(1000)]);
            }
            w.run();
        }),
    ]
}

/// Sections 8.2, 9, 10.2, 13.2, 19 and 21: legal things in amounts that nobody has a reason for.
fn flood_rows() -> Vec<Row> {
    let flood = |name: &str, most: usize, frame: fn(u64) -> Vec<Frame>| {
        row(name, Tolerated, move |w| {
            let before = w.server.seen.len();
            for n in 0..10_000 {
                w.server.tell(&frame(n));
            }
            w.run();
            let answers = w.server.seen.len() - before;
            assert!(answers <= most, "{answers} packets in answer");
        })
    };
    vec![
        flood("PING", 5100, |_| vec![Frame::Ping]),
        flood("PADDING alone", 10, |_| vec![Frame::Padding(30)]),
        flood("PATH_CHALLENGE", 10_100, |n| vec![Frame::PathChallenge(n.to_be_bytes())]),
        flood("PATH_RESPONSE nobody asked for", 5100, |n| vec![Frame::PathResponse(n.to_be_bytes())])
            .may(&[0xa]),
        flood("HANDSHAKE_DONE", 5100, |_| vec![Frame::HandshakeDone]),
        flood("NEW_TOKEN", 5100, |n| vec![Frame::NewToken(vec![n as u8; 1000])]),
        flood("MAX_DATA", 5100, |n| vec![Frame::MaxData(1 << 40 | n)]),
        flood("MAX_STREAMS", 5100, |n| vec![Frame::MaxStreams { bidi: true, max: 1000 + n }]),
        flood("MAX_STREAM_DATA", 5100, |n| vec![Frame::MaxStreamData { id: REQUEST, max: 1 << 40 | n }]),
        flood("DATA_BLOCKED", 5100, |n| vec![Frame::DataBlocked(n)]),
        flood("STOP_SENDING", 5100, |n| vec![Frame::StopSending { id: OURS, code: n }]),
        flood("RESET_STREAM", 5100, |_| vec![reset(THEIRS, 5)]),
        flood("empty STREAM", 5100, |_| vec![stream(THEIRS, 0, 0, false)]),
        flood("STREAM of single bytes with gaps", 10_100, |n| vec![stream(THEIRS, 1 + n * 2, 1, false)])
            .may(&[0x1]),
        flood("the same NEW_CONNECTION_ID", 5100, |_| vec![new_id(1, 0, b"id-no--1")]),
        flood("many PINGs in a packet", 5100, |_| vec![Frame::Ping; 1000]),
        row("packets with a gap between each two", Tolerated, |w| {
            // The ranges of our ACK would grow without end.
            for _ in 0..10_000 {
                w.server.next_number[2] += 1;
                w.server.tell(&[Frame::Ping]);
            }
            w.run();
            let most =
                w.server.frames().map(|f| if let Frame::Ack { ranges, .. } = f { ranges.len() } else { 0 });
            assert!(most.max() > Some(10));
        }),
        row("packets with a gap between each two, from the newest to the oldest", Tolerated, |w| {
            let mut packets = Vec::new();
            for _ in 0..5000 {
                w.server.next_number[2] += 1;
                packets.push(w.server.framed(Level::OneRtt, &[Frame::Ping]));
            }
            packets.iter().rev().for_each(|p| w.server.push(p));
            w.run();
        }),
        row("an answer that is never acknowledged", Tolerated, |w| {
            w.server.acks = false;
            for n in 0..5000u64 {
                w.server.tell(&[Frame::PathChallenge(n.to_be_bytes())]);
            }
            w.run();
            w.server.acks = true;
        }),
        row("requests that are answered before they are complete", Tolerated, |w| {
            for _ in 0..50 {
                let id = w.open(b"half a requ", false);
                w.run();
                w.tell(&[Frame::StopSending { id, code: 0 }, stream(id, 0, 10, true)]);
                assert_eq!(w.log.ends[&id], End::Fin);
            }
        }),
    ]
}

fn prepare(row: &mut Row) -> World {
    meter::reset();
    let server = std::mem::take(&mut row.server);
    if row.stage == Stage::Connected {
        let mut w = World::connected(&client_config(), server);
        assert_eq!(w.open(b"request", true), REQUEST);
        let uni = w.client.open_uni().expect("the server allows some");
        assert_eq!(uni, StreamId(OURS));
        w.log.cookies.insert(OURS, 0);
        w.write(OURS, b"words", false);
        w.run();
        w.settle();
        return w;
    }
    let mut w = World::new(&client_config(), server);
    w.server.answers = false;
    w.server.acks = false;
    w.run();
    if row.stage == Stage::Handshake {
        w.server.speak(Level::Initial);
        w.run();
    }
    w
}

fn check(mut row: Row) {
    let mut w = prepare(&mut row);
    (row.play)(&mut w);
    w.server.answers = true;
    w.server.acks = true;
    w.run();
    let name = &row.name;
    match row.outcome {
        Closes(codes) => expect_close(&mut w, name, codes),
        Alert => {
            let Some(Lost::Transport { code, .. }) = w.log.lost() else { panic!("{:?}", w.log.events) };
            assert!((0x100..0x200).contains(code), "{code:#x}");
            let code = *code;
            expect_close(&mut w, name, &[code]);
        }
        May(codes) if w.log.is_lost() => expect_close(&mut w, name, codes),
        Tolerated | May(_) => {
            w.settle();
            assert_eq!(w.server.closed(), None, "{:?}", w.log.events);
            assert!(!w.log.is_lost() && w.log.is_connected(), "{:?}", w.log.events);
            w.exchange();
        }
    }
    let (_, most) = meter::held();
    assert!(most < 1 << 20, "the client held {most} bytes");
}

/// The connection is closed with one of these codes, the owner knows, and soon nobody says anything any more.
fn expect_close(w: &mut World, name: &str, codes: &[u64]) {
    let said = w.server.closed();
    let Some(Lost::Transport { code, reason }) = w.log.lost() else {
        panic!("{name}: the owner was told {:?}, the server {said:x?}", w.log.events)
    };
    assert!(codes.contains(code), "{name}: {code:#x} ({reason}) and not one of {codes:x?}");
    let (_, on_wire, frame) = said.unwrap_or_else(|| panic!("{name}: nothing was said to the server"));
    assert_eq!(on_wire, *code, "{name}");
    assert!(frame.is_some(), "{name}: an application's code");
    // RFC 9000 section 10.2.1: what still comes is answered by few packets, then by none.
    let before = w.server.seen.len();
    for _ in 0..1000 {
        w.server.push(&[0x40; 50]);
    }
    w.run();
    assert!(w.server.seen.len() - before <= 50, "{name}: it goes on talking");
    w.wait(secs(60));
    let before = w.server.seen.len();
    w.run();
    w.wait(secs(60));
    assert_eq!(w.server.seen.len(), before, "{name}: it goes on talking");
}

/// All rows run, then those that failed are told.
fn run(rows: Vec<Row>) {
    let only = std::env::var("ROW").ok();
    let mut failed = Vec::new();
    let number = rows.len();
    for row in rows {
        let name = row.name.clone();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(row)));
        if let Err(why) = result {
            let text = why.downcast_ref::<String>().map(String::as_str);
            let text = text.or(why.downcast_ref::<&str>().copied()).unwrap_or("?");
            failed.push(format!("{name}: {text}"));
        }
    }
    assert!(failed.is_empty(), "{} of {number} rows failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn frames() {
    run(encoding_rows());
}

#[test]
fn levels() {
    run(level_rows());
}

#[test]
fn streams() {
    run(stream_rows());
}

#[test]
fn final_sizes() {
    run(size_rows());
}

#[test]
fn flow_control() {
    run(flow_rows());
}

#[test]
fn tls() {
    run(tls_rows());
}

#[test]
fn acknowledgements() {
    run(ack_rows());
}

#[test]
fn connection_ids() {
    run(id_rows());
}

#[test]
fn transport_parameters() {
    run(parameter_rows());
}

#[test]
fn packets() {
    run(packet_rows());
}

#[test]
fn floods() {
    run(flood_rows());
}
