//! Exchanges as they should be: requests, responses, bodies both ways, what leaves and when.

mod common;

use bytes::Bytes;
use common::*;
use proto::{ClientConn, CloseReason, Kind, Refused, Token, Want};
use proto_h2::frame::{flag, kind};
use proto_h2::hpack::Decoder;
use proto_h2::{Code, Config};
use std::time::Duration;

const END: u8 = flag::END_STREAM;

fn decoded(decoder: &mut Decoder, block: &[u8]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    decoder.decode(block, |n, v| out.push((text(n), text(v)))).unwrap();
    out
}

#[test]
fn the_preface_is_h2loads() {
    let mut c = Client::new(Config::default());
    c.flush();
    let expected = cat(&[
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        settings(&[(2, 0), (4, (1 << 30) - 1)]),
        window_update(0, (1 << 30) - 1 - 65_535),
    ]);
    assert_eq!(show(&c.wire), show(&expected));
    let mut c = Client::new(Config {
        max_frame_size: 65_536,
        header_table_size: 0,
        stream_window_bits: 16,
        connection_window_bits: 16,
        ..Config::default()
    });
    assert_eq!(c.sent()[0].payload, settings(&[(2, 0), (1, 0), (5, 65_536)])[9..].to_vec());
}

#[test]
fn a_request_and_its_response() {
    let mut c = Client::ready(config(), &[(3, 10)]);
    assert_eq!(c.conn.capacity(), 10);
    c.submit_with(7, &get("/x"), &[], Bytes::new(), ALL).unwrap();
    let sent = c.sent();
    assert_eq!((sent.len(), sent[0].kind, sent[0].flags, sent[0].stream), (1, kind::HEADERS, 5, 1));
    let fields = decoded(&mut Decoder::new(4096), &sent[0].payload);
    let expected = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "example.org"),
        (":path", "/x"),
        ("user-agent", "test"),
        ("accept", "*/*"),
    ];
    assert!(fields.iter().map(|(n, v)| (&n[..], &v[..])).eq(expected), "{fields:?}");
    c.input(&headers(1, &[(":status", "200"), ("content-length", "5")], 0));
    c.input(&data(1, b"hello", true));
    let fields = vec![("content-length".to_owned(), "5".to_owned())];
    assert_eq!(
        c.events(),
        [Event::Sent(7), Event::Head(7, 200, fields), Event::Body(7, 5, b"hello".to_vec()), Event::Done(7)]
    );
    assert_eq!((c.conn.capacity(), c.conn.in_flight()), (10, 0));
    let stats = c.conn.stats();
    assert_eq!((stats.data_bytes, stats.header_bytes_decoded, stats.peer_max_streams), (5, 25, Some(10)));
}

#[test]
fn a_repeated_template_becomes_a_few_bytes_and_means_the_same() {
    let (mut c, mut d) = (Client::ready(config(), &[]), Decoder::new(4096));
    let prepared = get("/some/where");
    let blocks: Vec<Vec<u8>> = (0..5)
        .map(|n| {
            c.submit(n, &prepared).unwrap();
            c.sent().remove(0).payload
        })
        .collect();
    let all: Vec<_> = blocks.iter().map(|b| decoded(&mut d, b)).collect();
    assert!(all.windows(2).all(|w| w[0] == w[1]));
    assert!(blocks[0].len() > 30);
    assert!(
        blocks[1..].iter().all(|b| b.len() == 6),
        "{:?}",
        blocks.iter().map(Vec::len).collect::<Vec<_>>()
    );
}

#[test]
fn values_are_rendered_and_checked() {
    let (mut c, mut d) = (Client::ready(config(), &[]), Decoder::new(4096));
    let p = get_slot();
    for (n, value) in [b"a?b=c".as_slice(), b"", b"zz"].into_iter().enumerate() {
        c.submit_with(n as u64, &p, &[value], Bytes::new(), Want::default()).unwrap();
        let fields = decoded(&mut d, &c.sent()[0].payload);
        assert_eq!(fields[3].1.as_bytes(), [b"/", value].concat());
    }
    for bad in [b"a b".as_slice(), b"a\r\nb", b"#f"] {
        let refused = c.submit_with(9, &p, &[bad], Bytes::new(), Want::default());
        assert_eq!(refused, Err(Refused::BadValue { slot: 0 }));
    }
    assert_eq!(c.submit(9, &p), Err(Refused::BadValue { slot: 0 }));
    assert_eq!(c.conn.in_flight(), 3);
    assert!(c.sent().is_empty());
}

/// Found by a simulation: the body was lost, and its request never ended.
#[test]
fn requests_made_in_the_middle_of_a_data_frame_do_not_lose_it() {
    let (mut c, prepared) = (Client::ready(config(), &[(3, 100)]), get("/"));
    for stream in [1, 3, 5, 7] {
        c.submit(u64::from(stream), &prepared).unwrap();
        c.flush();
        c.input(&headers(stream, &[(":status", "204")], END));
    }
    c.submit(9, &prepared).unwrap();
    c.flush();
    let answer = cat(&[headers(9, &[(":status", "200")], 0), data(9, b"hello", true)]);
    let (first, rest) = answer.split_at(answer.len() - 2);
    c.input(first);
    for token in 10..40 {
        c.submit(token, &prepared).unwrap();
    }
    c.flush();
    c.events();
    c.input(rest);
    assert!(matches!(c.events()[..], [Event::Body(9, 2, _), Event::Done(9)]));
}

#[test]
fn an_upload_respects_windows_and_frame_size() {
    let mut c = Client::ready(config(), &[(4, 10)]);
    let body = Bytes::from((0..100u8).collect::<Vec<_>>());
    c.submit_with(1, &post(), &[], body.clone(), Want::default()).unwrap();
    let sent = c.sent();
    assert_eq!(sent.iter().map(|f| (f.kind, f.payload.len())).skip(1).collect::<Vec<_>>(), [(0, 10)]);
    c.input(&window_update(1, 5));
    assert_eq!(c.sent()[0].payload, (10..15).collect::<Vec<u8>>());
    // A smaller initial window makes the stream's negative.
    c.input(&settings(&[(4, 0)]));
    c.input(&window_update(1, 10));
    assert_eq!(c.sent().iter().filter(|f| f.kind == kind::DATA).count(), 0);
    c.input(&window_update(1, 1));
    assert_eq!(c.sent()[0].payload, [15]);
    assert!(c.events().iter().all(|e| *e != Event::Sent(1)));
    c.input(&window_update(1, 1000));
    let rest = c.sent();
    assert_eq!((rest.len(), rest[0].flags, &rest[0].payload[..]), (1, END, &body[16..]));
    assert_eq!(c.events(), [Event::Sent(1)]);
}

#[test]
fn uploads_share_the_connections_window_in_turn() {
    let mut c = Client::ready(config(), &[(4, 1 << 20)]);
    for n in 0..3 {
        c.submit_with(n, &post(), &[], Bytes::from(vec![n as u8; 40_000]), Want::default()).unwrap();
    }
    let sent = c.sent();
    let total: usize = sent.iter().filter(|f| f.kind == kind::DATA).map(|f| f.payload.len()).sum();
    assert_eq!(total, 65_535);
    let streams: Vec<u32> = sent.iter().filter(|f| f.kind == kind::DATA).map(|f| f.stream).collect();
    assert_eq!(streams, [1, 3, 5, 1]);
    assert!(sent.iter().all(|f| f.payload.len() <= 16_384));
    c.input(&window_update(0, 1 << 20));
    c.sent();
    let events = c.events();
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Sent(_))).count(), 3);
}

#[test]
fn any_limit_makes_progress_and_the_same_bytes() {
    let run = |limit| {
        let mut c = Client::ready(config(), &[(4, 1 << 20)]);
        c.limit = limit;
        c.submit_with(1, &post(), &[], Bytes::from(vec![7; 3000]), Want::default()).unwrap();
        c.submit(2, &get("/")).unwrap();
        let sent = c.sent();
        let body: Vec<u8> =
            sent.iter().filter(|f| f.kind == kind::DATA).flat_map(|f| f.payload.clone()).collect();
        assert_eq!(body, vec![7; 3000], "limit {limit}");
        assert_eq!(sent.iter().filter(|f| f.kind == kind::DATA && f.flags == END).count(), 1);
        let mut events = c.events();
        events.sort_by_key(|e| format!("{e:?}"));
        events
    };
    for limit in [1, 2, 8, 9, 10, 11, 50, 1000, 1033, 1034, 2000, 1 << 20] {
        assert_eq!(run(limit), [Event::Sent(1), Event::Sent(2)], "limit {limit}");
    }
}

#[test]
fn a_body_waits_for_100_continue_or_its_time() {
    for by_time in [false, true] {
        let mut c = Client::ready(config(), &[]);
        c.submit_with(1, &post_expecting(), &[], Bytes::from_static(b"body"), Want::default()).unwrap();
        let sent = c.sent();
        assert_eq!(sent.len(), 1);
        let fields = decoded(&mut Decoder::new(4096), &sent[0].payload);
        assert_eq!(fields.last().unwrap(), &("expect".to_owned(), "100-continue".to_owned()));
        assert!(c.conn.poll_timeout().is_some());
        if by_time {
            c.later(Duration::from_millis(999));
            assert!(c.sent().is_empty());
            c.later(Duration::from_millis(2));
        } else {
            c.input(&headers(1, &[(":status", "103")], 0));
            assert!(c.sent().is_empty());
            c.input(&headers(1, &[(":status", "100")], 0));
        }
        assert_eq!(c.sent()[0].payload, b"body");
        assert_eq!(c.conn.poll_timeout(), None);
        c.input(&headers(1, &[(":status", "204")], END));
        assert_eq!(c.events().last(), Some(&Event::Done(1)));
    }
    // Without a body nothing is expected.
    let mut c = Client::ready(config(), &[]);
    c.submit(1, &post_expecting()).unwrap();
    let fields = decoded(&mut Decoder::new(4096), &c.sent()[0].payload);
    assert_eq!(fields.last().unwrap(), &("content-length".to_owned(), "0".to_owned()));
}

#[test]
fn an_early_response_ends_the_upload_without_error() {
    let mut c = Client::ready(config(), &[(4, 10)]);
    c.submit_with(1, &post(), &[], Bytes::from(vec![1; 100]), Want::default()).unwrap();
    c.sent();
    c.input(&headers(1, &[(":status", "413")], END));
    c.input(&rst(1, Code::NO_ERROR));
    c.input(&window_update(1, 1000));
    assert_eq!(c.events(), [Event::Head(1, 413, vec![]), Event::Done(1)]);
    let sent = c.sent();
    assert_eq!((sent.len(), sent[0].kind, sent[0].code()), (1, kind::RST_STREAM, Code::NO_ERROR));
    assert_eq!(c.conn.capacity(), 1000);
}

#[test]
fn informational_trailers_padding_and_unknown_frames() {
    let mut c = Client::ready(config(), &[]);
    c.submit_with(1, &get("/"), &[], Bytes::new(), ALL).unwrap();
    c.sent();
    c.input(&headers(1, &[(":status", "103"), ("link", "x")], 0));
    c.input(&frame(0x7a, 0xff, 1, b"unknown"));
    c.input(&frame(kind::PRIORITY, 0, 1, &[0; 5]));
    let mut padded = vec![3];
    padded.extend([0, 0, 0, 0, 9]);
    padded.extend(block(&[(":status", "200")]));
    padded.extend([0; 3]);
    c.input(&frame(kind::HEADERS, flag::END_HEADERS | flag::PADDED | flag::PRIORITY, 1, &padded));
    c.input(&frame(kind::DATA, flag::PADDED, 1, b"\x02ab\0\0"));
    c.input(&frame(kind::DATA, flag::PADDED, 1, b"\0cd"));
    c.input(&headers(1, &[("grpc-status", "0")], END));
    assert_eq!(
        c.events()[1..],
        [
            Event::Informational(1, 103),
            Event::Head(1, 200, vec![]),
            Event::Body(1, 4, b"abcd".to_vec()),
            Event::Trailers(1, vec![("grpc-status".into(), "0".into())]),
            Event::Done(1),
        ]
    );
}

#[test]
fn windows_are_given_back_in_steps() {
    let config = Config { stream_window_bits: 16, connection_window_bits: 17, ..config() };
    let mut c = Client::ready(config, &[]);
    c.submit(1, &get("/")).unwrap();
    c.sent();
    c.input(&headers(1, &[(":status", "200")], 0));
    let mut updates = Vec::new();
    for _ in 0..20 {
        c.input(&data(1, &[0; 8192], false));
        updates.extend(c.sent().iter().map(|f| {
            assert_eq!(f.kind, kind::WINDOW_UPDATE);
            (f.stream, f.code().0)
        }));
    }
    let of = |s| updates.iter().filter(|u| u.0 == s).map(|u| u.1).collect::<Vec<_>>();
    assert_eq!(of(1), [32_768; 5]);
    assert_eq!(of(0), [65_536; 2]);
    assert_eq!(c.conn.stats().data_bytes, 20 * 8192);
}

#[test]
fn the_peers_stream_limit_moves() {
    let mut c = Client::new(config());
    assert_eq!(c.conn.capacity(), 100, "before SETTINGS");
    for n in 0..100 {
        c.submit(n, &get("/")).unwrap();
    }
    assert_eq!(c.submit(100, &get("/")), Err(Refused::Full));
    c.input(&settings(&[]));
    assert_eq!(c.conn.capacity(), 900, "no limit but ours");
    c.input(&settings(&[(3, 50)]));
    assert_eq!(c.conn.capacity(), 0);
    c.flush();
    for n in 0..51 {
        c.input(&headers(2 * n + 1, &[(":status", "204")], END));
    }
    assert_eq!(c.conn.capacity(), 1);
    c.events();
    c.input(&settings(&[(3, 60)]));
    assert_eq!((c.conn.capacity(), c.events()), (11, vec![Event::Ready]));
    c.input(&settings(&[(3, 0)]));
    assert_eq!(c.conn.capacity(), 0);
}

#[test]
fn refused_and_gone_away_requests_were_not_processed() {
    let mut c = Client::ready(config(), &[]);
    for n in 0..4 {
        c.submit(n, &get("/")).unwrap();
    }
    c.sent();
    c.events();
    c.input(&rst(1, Code::REFUSED_STREAM));
    c.input(&rst(3, Code::INTERNAL_ERROR));
    c.input(&goaway(5, Code::NO_ERROR));
    let events = c.events();
    let failed: Vec<_> = events
        .iter()
        .map(|e| match e {
            Event::Failed(t, e, unprocessed) => (*t, Some(e.kind), *unprocessed),
            Event::Draining => (99, None, false),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        failed,
        [
            (0, Some(Kind::StreamReset(7)), true),
            (1, Some(Kind::StreamReset(2)), false),
            (99, None, false),
            (3, Some(Kind::GoAway(0)), true),
        ]
    );
    assert_eq!((c.conn.capacity(), c.submit(9, &get("/"))), (0, Err(Refused::Closed)));
    c.input(&headers(5, &[(":status", "200")], END));
    assert_eq!(
        c.events(),
        [Event::Head(2, 200, vec![]), Event::Done(2), Event::Closed(CloseReason::Graceful)]
    );
    let sent = c.sent();
    assert_eq!((sent.last().unwrap().kind, sent.last().unwrap().code()), (kind::GOAWAY, Code::NO_ERROR));
    c.input(&headers(5, &[(":status", "200")], END));
    c.eof();
    assert!(c.events().is_empty(), "nothing follows closed");
}

#[test]
fn cancel_and_close() {
    let mut c = Client::ready(config(), &[]);
    for n in 0..3 {
        c.submit(n, &get("/")).unwrap();
    }
    c.sent();
    c.events();
    c.conn.cancel(c.now, Token(1), &mut c.log);
    c.conn.cancel(c.now, Token(1), &mut c.log);
    let sent = c.sent();
    assert_eq!((sent.len(), sent[0].stream, sent[0].code()), (1, 3, Code::CANCEL));
    // What was on its way is dropped, and counts for the window.
    c.input(&headers(3, &[(":status", "200")], 0));
    c.input(&data(3, b"late", true));
    c.submit(4, &get("/")).unwrap();
    c.conn.close(c.now, &mut c.log);
    let events = c.events();
    assert!(matches!(events[0], Event::Failed(1, e, false) if e.kind == Kind::Cancelled), "{events:?}");
    assert!(matches!(events[1], Event::Failed(0, _, false)));
    assert!(matches!(events[2], Event::Failed(2, _, false)));
    assert!(matches!(events[3], Event::Failed(4, _, true)), "of which nothing was sent");
    assert_eq!(events[4..], [Event::Closed(CloseReason::Graceful)]);
    let sent = c.sent();
    assert_eq!((sent.len(), sent[0].kind, sent[0].code()), (1, kind::GOAWAY, Code::NO_ERROR));
    assert_eq!((c.conn.capacity(), c.conn.in_flight()), (0, 0));
}

#[test]
fn a_request_that_has_not_left_is_taken_back() {
    let (mut c, mut d) = (Client::ready(config(), &[]), Decoder::new(4096));
    // The first of a template fills the table that the others refer to.
    c.submit(0, &get("/")).unwrap();
    let first = decoded(&mut d, &c.sent()[0].payload);
    for n in 1..4 {
        c.submit_with(n, &post(), &[], Bytes::from_static(b"body"), Want::default()).unwrap();
        c.submit(n + 10, &get("/")).unwrap();
    }
    c.events();
    for n in [12, 3, 2] {
        c.conn.cancel(c.now, Token(n), &mut c.log);
    }
    let events = c.events();
    let unseen = |e: &Event| matches!(e, Event::Failed(_, e, true) if e.kind == Kind::Cancelled);
    assert!(events.len() == 3 && events.iter().all(unseen), "{events:?}");
    let sent = c.sent();
    let seen: Vec<_> = sent.iter().map(|f| (f.kind, f.stream)).collect();
    assert_eq!(seen, [(kind::HEADERS, 3), (kind::HEADERS, 5), (kind::HEADERS, 13), (kind::DATA, 3)]);
    let fields: Vec<_> = sent[..3].iter().map(|f| decoded(&mut d, &f.payload)).collect();
    assert_eq!(fields[0][0].1, "POST");
    assert!(fields[1] == first && fields[2] == first);
    // What was taken back is not waited for.
    c.input(&cat(&[headers(3, &[(":status", "200")], END), headers(5, &[(":status", "200")], END)]));
    c.input(&headers(13, &[(":status", "200")], END));
    assert_eq!((c.conn.in_flight(), c.events().len()), (1, 9));
}

/// Later blocks are encoded for the table as the first one leaves it.
#[test]
fn a_request_that_changes_the_peers_table_leaves_even_if_it_is_cancelled() {
    let (mut c, mut d) = (Client::ready(config(), &[]), Decoder::new(4096));
    for size in [None, Some(100), Some(0)] {
        if let Some(size) = size {
            c.input(&settings(&[(1, size)]));
            d.set_max_size(size as usize);
        }
        c.submit(1, &get("/")).unwrap();
        c.submit(2, &get("/")).unwrap();
        c.submit(3, &get("/")).unwrap();
        c.events();
        c.conn.cancel(c.now, Token(1), &mut c.log);
        c.conn.cancel(c.now, Token(2), &mut c.log);
        assert!(
            matches!(c.events()[..], [Event::Failed(1, _, false), Event::Failed(2, _, true)]),
            "{size:?}"
        );
        let sent: Vec<_> = c.sent().into_iter().filter(|f| f.kind != kind::SETTINGS).collect();
        let id = sent[0].stream;
        let seen: Vec<_> = sent.iter().map(|f| (f.kind, f.stream)).collect();
        assert_eq!(seen, [(kind::HEADERS, id), (kind::HEADERS, id + 4), (kind::RST_STREAM, id)], "{size:?}");
        assert_eq!(decoded(&mut d, &sent[0].payload), decoded(&mut d, &sent[1].payload));
        c.input(&headers(id + 4, &[(":status", "200")], END));
    }
}

/// Requests that time out while nothing leaves.
#[test]
fn a_server_that_does_not_read_cannot_fill_memory_with_what_was_cancelled() {
    let mut c = Client::ready(config(), &[]);
    let (get, slot) = (get("/"), get_slot());
    for n in 0..20_000 {
        // A hundred are in flight: each is cancelled in its turn.
        if n >= 100 {
            c.conn.cancel(c.now, Token(n - 100), &mut c.log);
        }
        let value = format!("{n:0100}");
        match n % 2 {
            0 => c.submit(n, &get).unwrap(),
            _ => c.submit_with(n, &slot, &[value.as_bytes()], Bytes::new(), Want::default()).unwrap(),
        }
        assert!(c.conn.footprint() < 100_000, "{} bytes held after {n}", c.conn.footprint());
        c.log.0.clear();
    }
    let sent = c.sent();
    assert!(sent.iter().filter(|f| f.kind == kind::HEADERS).count() < 110);
}

#[test]
fn end_of_input_says_what_was_lost() {
    let mut c = Client::ready(config(), &[]);
    c.submit(0, &get("/")).unwrap();
    c.submit(1, &get("/")).unwrap();
    c.sent();
    c.submit(2, &get("/")).unwrap();
    c.input(&headers(1, &[(":status", "200")], 0));
    c.events();
    c.eof();
    let kinds: Vec<_> = c
        .events()
        .iter()
        .map(|e| match e {
            Event::Failed(t, e, unprocessed) => (*t, e.kind, *unprocessed),
            Event::Closed(CloseReason::Error(e)) => (99, e.kind, false),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            (0, Kind::Truncated, false),
            (1, Kind::Closed, false),
            (2, Kind::Closed, true),
            (99, Kind::Closed, false)
        ]
    );
    let mut idle = Client::ready(config(), &[]);
    idle.eof();
    assert_eq!(idle.events(), [Event::Closed(CloseReason::Graceful)]);
}

#[test]
fn due_bytes_are_those_of_a_frame_nobody_wants() {
    let mut c = Client::ready(config(), &[]);
    c.submit(0, &get("/")).unwrap();
    c.submit_with(1, &get("/"), &[], Bytes::new(), ALL).unwrap();
    c.sent();
    c.input(&headers(1, &[(":status", "200")], 0));
    c.input(&headers(3, &[(":status", "200")], 0));
    assert_eq!(c.conn.due_bytes(), None);
    let wanted = data(3, &[1; 100], false);
    c.input(&wanted[..20]);
    assert_eq!(c.conn.due_bytes(), None);
    c.input(&wanted[20..]);
    let padded = frame(kind::DATA, flag::PADDED | END, 1, &[vec![10], vec![2; 100], vec![0; 10]].concat());
    c.input(&padded[..9]);
    assert_eq!(c.conn.due_bytes(), None, "the padding length is to be seen");
    c.input(&padded[9..15]);
    assert_eq!(c.conn.due_bytes(), Some(105));
    c.events();
    c.conn.handle_input(c.now, proto::ByteInput::Skipped(97), &mut c.log);
    assert_eq!(c.conn.due_bytes(), Some(8));
    assert_eq!(c.events(), [Event::Body(0, 95, vec![])]);
    c.conn.handle_input(c.now, proto::ByteInput::Skipped(8), &mut c.log);
    assert_eq!((c.conn.due_bytes(), c.events()), (None, vec![Event::Done(0)]));
    assert_eq!(c.conn.stats().data_bytes, 200);
}

#[test]
fn a_long_header_value_goes_out_in_continuations() {
    let mut c = Client::ready(config(), &[]);
    let value = vec![b'v'; 50_000];
    c.submit_with(0, &get_slot(), &[&value], Bytes::new(), Want::default()).unwrap();
    let sent = c.sent();
    let kinds: Vec<_> = sent.iter().map(|f| (f.kind, f.flags)).collect();
    assert_eq!(kinds, [(1, END), (9, 0), (9, 0), (9, flag::END_HEADERS)]);
    let block: Vec<u8> = sent.iter().flat_map(|f| f.payload.clone()).collect();
    assert_eq!(decoded(&mut Decoder::new(4096), &block)[3].1.len(), 50_001);
}

#[test]
fn the_peers_table_size_is_obeyed() {
    let prepared = get("/some/where");
    let (mut c, mut d) = (Client::ready(config(), &[]), Decoder::new(4096));
    let mut fields = Vec::new();
    for (n, size) in
        [None, None, Some(0u32), None, Some(4096), None, None, Some(60), None].into_iter().enumerate()
    {
        if let Some(size) = size {
            c.input(&settings(&[(1, size)]));
            d.set_max_size(size as usize);
        }
        c.submit(n as u64, &prepared).unwrap();
        let sent = c.sent();
        let block = &sent.iter().find(|f| f.kind == kind::HEADERS).unwrap().payload;
        fields.push(decoded(&mut d, block));
    }
    assert!(fields.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn an_exchange_is_the_same_under_every_split() {
    let prepared = get("/");
    same_under_splits(|c, feed| {
        for n in 0..3 {
            c.submit_with(n, &prepared, &[], Bytes::new(), ALL).unwrap();
        }
        c.flush();
        let long = "x".repeat(300);
        let parts = block(&[(":status", "200"), ("a", &long), ("content-length", "4")]);
        feed(
            c,
            &cat(&[
                settings(&[(3, 100), (4, 1000)]),
                frame(kind::PING, 0, 0, b"12345678"),
                headers(1, &[(":status", "103")], 0),
                headers(1, &[(":status", "200")], 0),
                data(1, b"abc", false),
                frame(kind::HEADERS, 0, 3, &parts[..10]),
                frame(kind::CONTINUATION, 0, 3, &parts[10..20]),
                frame(kind::CONTINUATION, flag::END_HEADERS, 3, &parts[20..]),
                frame(kind::DATA, flag::PADDED, 3, b"\x05abcd\0\0\0\0\0"),
                data(1, b"", false),
                headers(1, &[("t", "u")], END),
                data(3, b"", true),
                frame(0x55, 1, 0, &[9; 30]),
                frame(kind::GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\0debug data"),
                rst(5, Code::CANCEL),
                headers(7, &[(":status", "200")], END),
            ]),
        );
    });
}
