//! Requests and responses as they should be, and the ways a connection may end.

mod common;

use bytes::Bytes;
use common::*;
use proto::conformance::Event;
use proto::{ClientConn, CloseReason, Fault, Kind, Refused, Request, Time, Token, Want};
use proto_h3::frame::{kind, stream};
use proto_h3::{Code, Config, Connection, Input};
use std::time::Duration;

fn config(depth: u32) -> Config {
    Config { max_streams: depth, ..Config::default() }
}
fn pair(depth: u32) -> Pair {
    Pair::connected(config(depth), Server::new())
}
const OK: &[(&str, &str)] = &[(":status", "200"), ("x-a", "b")];

fn answer(p: &mut Pair, index: u64, bytes: &[u8], fin: bool) {
    p.server.write(request_stream(index), bytes, fin);
    p.run();
}

#[test]
fn a_request_and_its_response() {
    let mut p = pair(4);
    assert_eq!(p.log.events, [Event::Ready]);
    p.get(7);
    p.run();
    let asked = &p.server.requests[&0];
    assert!(asked.complete);
    let fields: Vec<_> = asked.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let expected = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "peer.test"),
        (":path", "/n/1"),
        ("x-slot", "v1"),
    ];
    assert_eq!(fields, expected);
    let trailers = headers(&[("x-t", "1")]);
    let bytes = cat(&[
        headers(&[(":status", "103"), ("link", "</a>")]),
        headers(OK),
        data(b"hello "),
        frame(0x21, b"grease"),
        data(b"world"),
        trailers,
    ]);
    answer(&mut p, 0, &bytes, true);
    let t = Token(7);
    assert_eq!(
        p.log.events[1..],
        [
            Event::Sent(t),
            Event::Informational(t, 103),
            Event::Head(t, 200, vec![("x-a".into(), b"b".to_vec())]),
            Event::Body(t, 11, b"hello world".to_vec()),
            Event::Trailers(t, vec![("x-t".into(), b"1".to_vec())]),
            Event::Done(t),
        ]
    );
    let stats = p.client.stats();
    assert_eq!((stats.data_bytes, stats.informational), (11, 1));
    assert!(stats.header_bytes > 0 && stats.header_bytes_decoded > stats.header_bytes);
    let path = p.client.path().unwrap();
    assert!(
        path.packets_sent > 2 && path.datagrams_received > 2 && path.rtt_min_ns > 0 && path.packets_lost == 0
    );
}

#[test]
fn our_settings_are_said() {
    let p =
        Pair::connected(Config { header_table_size: 4096, blocked_streams: 100, ..config(1) }, Server::new());
    let control: Vec<_> = p.server.client_streams.values().collect();
    assert_eq!(control, [&hex("00 04 06 01 5000 07 4064")]);
}

#[test]
fn a_body_goes_up_under_flow_control() {
    let window = 5000u32;
    let server = Server::with(|t| {
        t.stream_receive_window(window.into());
    });
    let mut p = Pair::connected(config(2), server);
    let body: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
    p.submit(1, 2, body.clone().into(), Want::default());
    p.flush();
    assert!(!p.log.events.contains(&Event::Sent(Token(1))), "not sent while the window is shut");
    p.run();
    let asked = &p.server.requests[&0];
    assert!(asked.complete && asked.body == body && asked.field("content-length") == Some("300000"));
    assert!(p.log.events.contains(&Event::Sent(Token(1))));
    answer(&mut p, 0, &headers(&[(":status", "204")]), true);
    assert_eq!(p.log.events.last(), Some(&Event::Done(Token(1))));
}

#[test]
fn an_early_answer_ends_the_upload() {
    let server = Server::with(|t| {
        t.stream_receive_window(5000u32.into());
    });
    let mut p = Pair::connected(config(2), server);
    p.submit(1, 2, vec![1; 100_000].into(), Want::default());
    p.flush();
    p.server.write(request_stream(0), &headers(&[(":status", "413")]), true);
    let back = p.server.transmit(p.now);
    let mut batch: Vec<_> = back.iter().map(|(b, e)| received(b, *e)).collect();
    p.client.handle_input(p.now, Input::Datagrams(&mut batch), &mut p.log);
    assert_eq!(p.log.events.last(), Some(&Event::Done(Token(1))));
    p.run();
    assert_eq!(p.server.resets.get(&0), Some(&Code::NO_ERROR.0));
}

#[test]
fn a_server_may_stop_an_upload_and_still_answer() {
    let server = Server::with(|t| {
        t.stream_receive_window(5000u32.into());
    });
    let mut p = Pair::connected(config(2), server);
    p.submit(1, 3, vec![1; 100_000].into(), Want::default());
    p.flush();
    p.server.conn().recv_stream(request_stream(0)).stop(code(Code::NO_ERROR.0)).unwrap();
    p.run();
    assert_eq!(p.client.in_flight(), 1);
    answer(&mut p, 0, &headers(OK), true);
    assert_eq!(p.log.events.last(), Some(&Event::Done(Token(1))));
    assert!(!p.log.events.contains(&Event::Sent(Token(1))), "the body was cut short");
}

#[test]
fn a_body_waits_for_100_continue_but_not_for_ever() {
    let mut p =
        Pair::connected(Config { continue_timeout: Duration::from_millis(300), ..config(2) }, Server::new());
    for token in [0, 1] {
        p.submit(token, 4, Bytes::from_static(b"body"), Want::default());
    }
    p.run();
    assert!(p.server.requests.values().all(|a| a.expects && a.body.is_empty()));
    answer(&mut p, 0, &headers(&[(":status", "100")]), false);
    assert_eq!((&p.server.requests[&0].body[..], &p.server.requests[&1].body[..]), (&b"body"[..], &b""[..]));
    p.wait(Duration::from_millis(400));
    assert_eq!(&p.server.requests[&1].body[..], b"body");
    assert!(p.server.requests.values().all(|a| a.complete));
}

#[test]
fn heads_without_content() {
    let mut p = pair(4);
    p.submit(0, 1, Bytes::new(), Want::default());
    p.get(1);
    p.run();
    answer(&mut p, 0, &headers(&[(":status", "200"), ("content-length", "1000")]), true);
    answer(&mut p, 1, &headers(&[(":status", "304"), ("content-length", "9")]), true);
    assert!(p.log.events.contains(&Event::Done(Token(0))) && p.log.events.contains(&Event::Done(Token(1))));
}

#[test]
fn capacity_follows_the_peer() {
    let server = Server::with(|t| {
        t.max_concurrent_bidi_streams(3u32.into());
    });
    let mut p = Pair::connected(config(10), server);
    assert_eq!(p.client.capacity(), 3);
    for token in 0..3 {
        p.get(token);
    }
    assert_eq!(p.client.capacity(), 0);
    let prepared = Connection::prepare(9, &templates()[0]);
    let request =
        Request { prepared: &prepared, values: &[b"1", b"1"], body: Bytes::new(), want: Want::default() };
    assert_eq!(p.client.submit(p.now, Token(9), request), Err(Refused::Full));
    p.run();
    p.log.events.clear();
    // QUIC gives credit back when a stream is over on both sides.
    answer(&mut p, 0, &headers(OK), true);
    p.wait(Duration::from_millis(100));
    assert_eq!(p.client.capacity(), 1);
    assert!(p.log.events.contains(&Event::Ready));
}

#[test]
fn goaway_drains() {
    let mut p = pair(4);
    for token in 0..3 {
        p.get(token);
    }
    p.run();
    p.log.events.clear();
    let control = p.server.opened[0];
    p.server.write(control, &frame(kind::GOAWAY, &[8]), false);
    p.run();
    let error = proto::Error::peer(Kind::GoAway(0x100), "the server went away (RFC 9114 section 5.2)");
    assert_eq!(p.log.events, [Event::Draining, Event::Failed(Token(2), error, true)]);
    assert_eq!((p.client.capacity(), p.client.in_flight()), (0, 2));
    assert_eq!(p.server.stops.get(&2), Some(&Code::REQUEST_CANCELLED.0));
    answer(&mut p, 0, &headers(OK), true);
    answer(&mut p, 1, &headers(OK), true);
    assert_eq!(p.log.events.last(), Some(&Event::Closed(CloseReason::Graceful)));
    p.run();
    assert!(
        matches!(&p.server.quic.lost, Some(quinn_proto::ConnectionError::ApplicationClosed(c)) if c.error_code == code(0x100))
    );
}

#[test]
fn a_cancelled_request_is_reset_both_ways() {
    let mut p = pair(4);
    p.get(0);
    p.get(1);
    p.run();
    p.client.cancel(p.now, Token(0), &mut p.log);
    p.run();
    assert_eq!(p.server.stops.get(&0), Some(&Code::REQUEST_CANCELLED.0));
    answer(&mut p, 1, &headers(OK), true);
    assert_eq!(p.log.events.last(), Some(&Event::Done(Token(1))));
    assert!(matches!(&p.log.events[3], Event::Failed(Token(0), e, false) if e.kind == Kind::Cancelled));
    // The decoder stream tells the encoder that the stream's sections will not be read (RFC 9204 section 4.4.2).
    assert!(p.server.client_streams.values().any(|b| b[..] == [stream::QPACK_DECODER as u8, 0x40]));
}

#[test]
fn a_rejected_request_may_be_sent_again() {
    let mut p = pair(4);
    p.get(0);
    p.get(1);
    p.run();
    for (index, c) in [(0, Code::REQUEST_REJECTED), (1, Code::INTERNAL_ERROR)] {
        p.server.conn().send_stream(request_stream(index)).reset(code(c.0)).unwrap();
    }
    p.run();
    let mut failed: Vec<_> = p
        .log
        .events
        .iter()
        .filter_map(|e| if let Event::Failed(t, e, u) = e { Some((*t, e.kind, *u)) } else { None })
        .collect();
    failed.sort_by_key(|f| f.0);
    assert_eq!(
        failed,
        [(Token(0), Kind::StreamReset(0x10b), true), (Token(1), Kind::StreamReset(0x102), false)]
    );
    assert_eq!(p.client.in_flight(), 0);
}

#[test]
fn sections_wait_for_the_dynamic_table_and_are_acknowledged() {
    let mut p = pair(4);
    for token in 0..3 {
        p.get(token);
    }
    p.run();
    // ":status: 200" is static; entry 0 is "x: y". All three need it, and content follows in the same packets.
    let blocked = cat(&[frame(kind::HEADERS, &[2, 0, 0xd9, 0x80]), data(b"abc")]);
    for index in 0..3 {
        answer(&mut p, index, &blocked, true);
    }
    assert!(!p.log.events.iter().any(|e| matches!(e, Event::Head(..))));
    let encoder = p.server.uni(&hex("02 3fe11f 41"));
    p.run();
    p.server.write(encoder, b"x\x01y", false);
    p.run();
    let done = p.log.events.iter().filter(|e| matches!(e, Event::Done(_))).count();
    let heads = p.log.events.iter().filter(|e| matches!(e, Event::Head(_, 200, f) if f[0].1 == b"y")).count();
    assert_eq!((done, heads), (3, 3));
    // Acknowledgements of streams 0, 4 and 8, and no increment beside them.
    assert!(
        p.server.client_streams.values().any(|b| b[..] == [3, 0x80, 0x84, 0x88]),
        "{:?}",
        p.server.client_streams
    );
}

#[test]
fn the_server_closes() {
    for (c, in_flight, reason) in [
        (Code::NO_ERROR, false, None),
        (Code::NO_ERROR, true, Some(Kind::Closed)),
        (Code::INTERNAL_ERROR, true, Some(Kind::GoAway(0x102))),
    ] {
        let mut p = pair(4);
        if in_flight {
            p.get(0);
            p.run();
        }
        let at = instant(p.now);
        p.server.conn().close(at, code(c.0), Bytes::new());
        p.run();
        let Some(Event::Closed(closed)) = p.log.events.last() else { panic!("not closed") };
        match reason {
            None => assert_eq!(*closed, CloseReason::Graceful),
            Some(kind) => assert!(matches!(closed, CloseReason::Error(e) if e.kind == kind), "{closed:?}"),
        }
        assert_eq!(p.client.poll_timeout(), None);
    }
}

#[test]
fn nobody_there() {
    let mut p = Pair::new(config(1), Server::new());
    p.client.handle_input(p.now, Input::Unreachable, &mut p.log);
    let Some(Event::Closed(CloseReason::Error(e))) = p.log.events.last() else { panic!("not closed") };
    assert_eq!((e.fault, e.kind), (Fault::Network, Kind::Connect));

    // A server that never answers: the handshake is given up after the idle timeout.
    let config = Config { idle_timeout: Some(Duration::from_secs(5)), ..config(1) };
    let (mut conn, mut log, mut now) =
        (client(config, Time::ZERO), proto::conformance::Recorder::default(), Time::ZERO);
    while conn.poll_transmit(now, 65_536, &mut Vec::new(), &mut log).is_some() {}
    while let Some(at) = conn.poll_timeout() {
        now = now.max(at);
        conn.handle_timeout(now, &mut log);
        while conn.poll_transmit(now, 65_536, &mut Vec::new(), &mut log).is_some() {}
        assert!(now < Time::ZERO.after(Duration::from_secs(60)));
    }
    let end = log.events.last();
    assert!(
        matches!(end, Some(Event::Closed(CloseReason::Error(e))) if e.kind == Kind::Connect),
        "{end:?} at {now:?}"
    );
}

#[test]
fn a_server_that_falls_silent() {
    let config = Config { idle_timeout: Some(Duration::from_secs(5)), ..config(1) };
    let mut p = Pair::connected(config, Server::new());
    p.get(0);
    p.flush();
    while let Some(at) = p.client.poll_timeout() {
        p.now = p.now.max(at);
        p.client.handle_timeout(p.now, &mut p.log);
        while p.client.poll_transmit(p.now, 65_536, &mut Vec::new(), &mut p.log).is_some() {}
    }
    assert!(
        matches!(p.log.events.last(), Some(Event::Closed(CloseReason::Error(e))) if e.kind == Kind::Timeout)
    );
    assert!(
        matches!(p.log.events.iter().rev().nth(1), Some(Event::Failed(Token(0), e, false)) if e.kind == Kind::Timeout)
    );
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let mut p = Pair::new(config(1), Server::new());
    let setup = proto_h3::Setup::new(config(1), tls().client.clone()).unwrap();
    p.client = Connection::new(&setup, "other.test", p.now).unwrap();
    p.run();
    assert!(
        matches!(p.log.events.last(), Some(Event::Closed(CloseReason::Error(e))) if e.kind == Kind::Tls && e.fault == Fault::Peer)
    );
    let why = p.client.why_lost().unwrap_or_default();
    assert!(why.contains("certificate") && why.contains("other.test"), "{why}");
}

#[test]
fn a_server_without_h3() {
    let mut p = Pair::new(config(1), Server::new());
    let mut other = (*tls().client).clone();
    other.alpn_protocols = vec![b"hq-interop".to_vec()];
    let setup = proto_h3::Setup::new(config(1), std::sync::Arc::new(other)).unwrap();
    p.client = Connection::new(&setup, "peer.test", p.now).unwrap();
    p.run();
    let Some(Event::Closed(CloseReason::Error(e))) = p.log.events.last() else {
        panic!("{:?}", p.log.events)
    };
    assert_eq!((e.kind, e.fault), (Kind::Tls, Fault::Peer), "{e}");
}
