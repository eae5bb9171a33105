//! Exchanges in which both directions matter: pipelining, bodies, `Expect`, early responses, cancels, ends.

mod support;

use bytes::Bytes;
use proto::{ClientConn, Framing, Piece, Refused, Request, Scheme, Template, Text, Time, Token, Want};
use proto_h1::{Config, Connection};
use support::{ALL, Case, config, field, prepare, template};

const OK: &[u8] = b"HTTP/1.1 204 N\r\n\r\n";
const CLOSE: &[u8] = b"HTTP/1.1 204 N\r\nConnection: close\r\n\r\n";

#[test]
fn the_request_on_the_wire() {
    let path =
        Text::new(vec![Piece::Literal((*b"/a/").into()), Piece::Slot(1), Piece::Literal((*b"?b").into())]);
    let authority = Text::new(vec![Piece::Slot(0), Piece::Literal((*b":80").into())]);
    let t = Template::new("PATCH", Scheme::Http, authority, path).expect("legal");
    let t = field(field(t, "User-Agent", "x y"), "accept", "*/*").body(Framing::Length, true);
    let prepared = Connection::prepare(3, &t);
    let mut conn = Connection::new(config(1));
    let mut log = proto::conformance::Recorder::default();
    let mut submit = |values: &[&[u8]], body: &'static [u8]| {
        let request =
            Request { prepared: &prepared, values, body: Bytes::from_static(body), want: Want::default() };
        conn.submit(Time::ZERO, Token(0), request)
    };
    let bad = |slot| Err(Refused::BadValue { slot });
    assert_eq!(submit(&[b"h", b"a b"], b""), bad(1));
    assert_eq!(submit(&[b"h", b"a#b"], b""), bad(1));
    assert_eq!(submit(&[b"h/", b"a"], b""), bad(0));
    assert_eq!(submit(&[b"h\r\nX: y", b"a"], b""), bad(0));
    assert_eq!(submit(&[b"h"], b""), bad(1));
    assert_eq!(submit(&[b"h", b"1"], b"body"), Ok(()));
    log.accept(Token(0), Want::default());
    let mut out = Vec::new();
    while conn.poll_transmit(Time::ZERO, 1 << 16, &mut out, &mut log).is_some() {}
    let head = "PATCH /a/1?b HTTP/1.1\r\nHost: h:80\r\nUser-Agent: x y\r\naccept: */*\r\n\
                expect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), head);
}

#[test]
fn bodies_on_the_wire_piece_by_piece() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\n";
    let rows: &[(Framing, &[u8], &str)] = &[
        (Framing::None, b"ignored", "\r\n"),
        (Framing::Length, b"", "content-length: 0\r\n\r\n"),
        (Framing::Length, b"abc", "content-length: 3\r\n\r\nabc"),
        (Framing::Chunked, b"", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        (
            Framing::Chunked,
            b"0123456789abcdefg",
            "transfer-encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n",
        ),
    ];
    for (framing, body, rest) in rows {
        for limit in [1, 2, 3, 7, 1000] {
            let mut case = Case::new(config(2));
            case.post(*framing, false, body);
            case.post(*framing, false, body);
            while case.transmit(limit) > 0 {}
            let wire = format!("{head}{rest}{head}{rest}");
            assert_eq!(String::from_utf8_lossy(&case.out), wire, "{framing:?}, {limit} at a time");
            assert_eq!(case.told(), ["sent 0", "sent 1"]);
        }
    }
}

#[test]
fn an_empty_body_expects_nothing() {
    for framing in [Framing::Length, Framing::Chunked] {
        let mut case = Case::new(config(1));
        case.post(framing, true, b"");
        case.flush();
        assert!(!String::from_utf8_lossy(&case.out).contains("expect"));
        assert_eq!(case.told(), ["sent 0"]);
        assert_eq!(case.conn.poll_timeout(), None);
    }
}

#[test]
fn pipelining_keeps_the_order_and_the_depth() {
    let mut case = Case::new(config(3));
    for _ in 0..3 {
        case.ask("GET");
    }
    assert_eq!(case.submit(&prepare(&template("GET")), b"", ALL), Err(Refused::Full));
    assert_eq!((case.conn.capacity(), case.conn.in_flight()), (0, 3));
    case.say(&[OK, OK].concat());
    assert_eq!(case.conn.capacity(), 2);
    case.ask("GET");
    case.say(&[OK, OK].concat());
    let done: Vec<String> = case.told().into_iter().filter(|e| e.starts_with("done")).collect();
    assert_eq!(done, ["done 0", "done 1", "done 2", "done 3"]);
    assert_eq!(case.conn.capacity(), 3);
}

#[test]
fn the_first_request_may_be_kept_alone() {
    let mut case = Case::new(Config { first_alone: true, ..config(3) });
    case.ask("GET");
    assert_eq!(case.conn.capacity(), 0);
    assert_eq!(case.submit(&prepare(&template("GET")), b"", ALL), Err(Refused::Full));
    case.say(b"HTTP/1.1 103 Early Hints\r\n\r\n");
    assert_eq!(case.conn.capacity(), 0, "an interim response shows nothing");
    case.say(OK);
    assert_eq!(case.conn.capacity(), 3);
    for _ in 0..3 {
        case.ask("GET");
    }
    assert_eq!(case.conn.in_flight(), 3);
}

#[test]
fn a_request_taken_back_leaves_its_place_to_one() {
    let mut case = Case::new(Config { first_alone: true, ..config(3) });
    let token = case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.cancel(token);
    assert_eq!(case.conn.capacity(), 1);
    case.ask("GET");
    case.say(CLOSE);
    assert_eq!(case.told().last().map(String::as_str), Some("closed"), "nobody stood behind it");
}

#[test]
fn what_is_left_after_close_is_unprocessed() {
    let mut case = Case::new(config(3));
    case.ask("GET");
    case.ask("GET");
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.log.events.clear();
    case.say(CLOSE);
    assert_eq!(
        case.told(),
        [
            "head 0 204 connection=close",
            "draining",
            "done 0",
            "failed 1 Peer Closed unprocessed",
            "failed 2 Peer Closed unprocessed",
            "closed"
        ]
    );
}

#[test]
fn nothing_is_accepted_while_a_closing_response_comes() {
    let mut case = Case::new(config(3));
    case.ask("GET");
    case.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\na");
    assert_eq!(case.conn.capacity(), 0);
    assert_eq!(case.submit(&prepare(&template("GET")), b"", ALL), Err(Refused::Closed));
    assert_eq!(case.say(b"b").told().last().map(String::as_str), Some("closed"));
}

#[test]
fn after_a_body_that_ended_with_the_connection_the_rest_may_have_been_processed() {
    let mut case = Case::new(config(3));
    case.ask("GET");
    case.ask("GET");
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.log.events.clear();
    case.say(b"HTTP/1.1 200 OK\r\n\r\nab").eof();
    assert_eq!(
        case.told(),
        [
            "head 0 200",
            "draining",
            "body 0 ab",
            "done 0",
            "failed 1 Peer Closed",
            "failed 2 Peer Closed unprocessed",
            "closed"
        ]
    );
}

#[test]
fn the_end_of_the_connection_tells_what_was_never_sent() {
    let mut case = Case::new(config(3));
    case.ask("GET");
    case.ask("GET");
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.log.events.clear();
    case.say(b"HTTP/1.1 2").eof();
    assert_eq!(
        case.told(),
        [
            "failed 0 Network Truncated",
            "failed 1 Network Closed",
            "failed 2 Network Closed unprocessed",
            "closed Network Truncated"
        ]
    );
    let mut case = Case::new(config(3));
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    assert_eq!(case.eof().told(), ["failed 0 Network Closed unprocessed", "closed"]);
}

#[test]
fn a_request_that_says_close_is_the_last() {
    for value in ["close", "Close", "te, CLOSE"] {
        let prepared = prepare(&field(template("GET"), "Connection", value));
        let mut case = Case::new(config(3));
        case.submit(&prepared, b"", ALL).expect("room");
        assert_eq!(case.submit(&prepared, b"", ALL), Err(Refused::Closed));
        case.flush();
        case.say(OK);
        assert_eq!(case.told(), ["sent 0", "draining", "head 0 204", "done 0", "closed"], "{value}");
    }
    let mut case = Case::new(config(3));
    case.submit(&prepare(&field(template("GET"), "Connection", "keep-alive")), b"", ALL).expect("room");
    assert_eq!(case.conn.capacity(), 2);
}

#[test]
fn bytes_that_answer_nothing() {
    let mut case = Case::new(config(1));
    assert_eq!(case.say(b"H").told(), ["closed Peer Unsolicited"]);

    // A response before its request: the request never left.
    let mut case = Case::new(config(1));
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    assert_eq!(case.say(OK).told(), ["failed 0 Peer Unsolicited unprocessed", "closed Peer Unsolicited"]);

    let mut case = Case::new(config(2));
    case.ask("GET");
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.say(&[OK, OK].concat());
    assert_eq!(
        case.told(),
        [
            "sent 0",
            "head 0 204",
            "done 0",
            "failed 1 Peer Unsolicited unprocessed",
            "closed Peer Unsolicited"
        ]
    );

    for after in [&b"x"[..], b"\r\n", b"HTTP/1.1 408 Timeout\r\nConnection: close\r\n\r\n", b"\0"] {
        let mut case = Case::new(config(1));
        case.ask("GET");
        case.say(&[OK, after].concat());
        assert_eq!(case.told(), ["sent 0", "head 0 204", "done 0", "closed Peer Unsolicited"]);
    }
}

#[test]
fn an_error_in_one_response_ends_those_behind() {
    let mut case = Case::new(config(3));
    case.ask("GET");
    case.ask("GET");
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.log.events.clear();
    case.say(b"HTTP/3");
    assert_eq!(
        case.told(),
        [
            "failed 0 Peer Head",
            "failed 1 Peer Closed",
            "failed 2 Peer Closed unprocessed",
            "closed Peer Head"
        ]
    );
}

#[test]
fn expect_waits_for_100() {
    let mut case = Case::new(config(1));
    case.post(Framing::Length, true, b"abc");
    case.flush();
    assert!(case.out.ends_with(b"\r\n\r\n") && !case.conn.wants_transmit());
    assert_eq!(case.conn.poll_timeout(), Some(Time::from_nanos(1_000_000_000)));
    case.say(b"HTTP/1.1 103 Early Hints\r\n\r\n");
    assert!(!case.conn.wants_transmit(), "only 100 lets the body go");
    case.say(b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(case.conn.poll_timeout(), None);
    case.flush();
    assert!(case.out.ends_with(b"\r\n\r\nabc"));
    case.say(OK);
    assert_eq!(case.told(), ["interim 0 103", "interim 0 100", "sent 0", "head 0 204", "done 0"]);
}

#[test]
fn expect_waits_no_longer_than_its_timeout() {
    let mut case = Case::new(config(1));
    case.wait(5);
    case.post(Framing::Chunked, true, b"abc");
    case.flush();
    case.wait(999);
    assert!(!case.conn.wants_transmit());
    case.wait(1);
    case.flush();
    assert!(case.out.ends_with(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
    // A 100 that comes late is an interim response like any other.
    case.say(b"HTTP/1.1 100 Continue\r\n\r\n").say(OK);
    assert_eq!(case.told(), ["sent 0", "interim 0 100", "head 0 204", "done 0"]);
}

#[test]
fn a_final_status_instead_of_100_keeps_the_body_back() {
    for status in ["200 OK", "302 Found", "401 Unauthorized", "417 Expectation Failed"] {
        let mut case = Case::new(config(2));
        case.post(Framing::Length, true, b"abc");
        case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
        case.flush();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n");
        case.say(head.as_bytes());
        assert!(!case.conn.wants_transmit());
        assert_eq!(case.conn.poll_timeout(), None);
        case.say(b"no");
        let told = case.told();
        let end = ["draining", "body 0 no", "done 0", "failed 1 Peer Closed unprocessed", "closed"];
        assert_eq!(told[1..], end, "{status}");
        assert!(!case.out.ends_with(b"abc"));
    }
}

#[test]
fn a_100_for_an_earlier_request_does_not_let_a_body_go() {
    let mut case = Case::new(config(2));
    case.ask("GET");
    case.post(Framing::Length, true, b"abc");
    case.flush();
    case.say(b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!case.conn.wants_transmit());
    case.say(OK).say(b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(case.conn.wants_transmit());
}

#[test]
fn an_early_error_stops_the_body() {
    for head in [
        "HTTP/1.1 413 Large\r\n",
        "HTTP/1.1 099 ?\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n",
        "HTTP/1.0 200 OK\r\n",
    ] {
        let mut case = Case::new(config(2));
        case.post(Framing::Length, false, b"0123456789");
        case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
        case.transmit(50);
        let sent = case.out.len();
        assert!(case.conn.wants_transmit());
        case.say(head.as_bytes()).say(b"Content-Length: 2\r\n\r\n");
        assert!(!case.conn.wants_transmit());
        case.flush();
        assert_eq!(case.out.len(), sent);
        case.say(b"no");
        let told = case.told();
        let end = ["draining", "body 0 no", "done 0", "failed 1 Peer Closed unprocessed", "closed"];
        assert_eq!(told[1..], end, "{head}");
    }
}

#[test]
fn an_early_success_waits_for_its_request() {
    let mut case = Case::new(config(2));
    case.post(Framing::Length, false, b"0123456789");
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.transmit(50);
    case.say(OK);
    assert_eq!(case.told(), ["head 0 204"]);
    assert_eq!(case.conn.in_flight(), 2);
    case.flush();
    assert_eq!(case.told(), ["head 0 204", "sent 0", "done 0", "sent 1"]);
    case.say(OK);
    assert_eq!(case.told()[4..], ["head 1 204", "done 1"]);
}

#[test]
fn bytes_after_an_early_success_answer_nothing() {
    let mut case = Case::new(config(1));
    case.post(Framing::Length, false, b"0123456789");
    case.transmit(50);
    case.say(&[OK, OK].concat());
    assert_eq!(case.told(), ["head 0 204", "failed 0 Peer Unsolicited", "closed Peer Unsolicited"]);
}

#[test]
fn the_end_after_an_early_success_is_a_success() {
    let mut case = Case::new(config(1));
    case.post(Framing::Length, false, b"0123456789");
    case.transmit(50);
    case.say(OK).eof();
    assert_eq!(case.told(), ["head 0 204", "done 0", "closed"]);
}

#[test]
fn upgrade() {
    let asks = prepare(&field(field(template("GET"), "Connection", "upgrade"), "Upgrade", "websocket"));
    let mut case = Case::new(config(2));
    case.submit(&asks, b"", Want::default()).expect("room");
    case.submit(&asks, b"", Want::default()).expect("room");
    case.flush();
    case.say(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello");
    let end = ["head 0 101", "draining", "done 0", "failed 1 Peer Closed", "closed"];
    assert_eq!(case.told()[2..], end);
}

#[test]
fn a_proxy_is_told_the_whole_url() {
    for (method, path, line) in [
        ("GET", "/a?b", "GET http://h:81/a?b HTTP/1.1"),
        ("OPTIONS", "/", "OPTIONS http://h:81/ HTTP/1.1"),
        ("OPTIONS", "*", "OPTIONS http://h:81 HTTP/1.1"), // RFC 9112 section 3.2.4
    ] {
        let t =
            Template::new(method, Scheme::Http, Text::literal("h:81"), Text::literal(path)).expect("legal");
        let mut case = Case::new(config(1));
        case.submit(&prepare(&t.absolute_form()), b"", Want::default()).expect("room");
        case.flush();
        assert_eq!(String::from_utf8_lossy(&case.out), format!("{line}\r\nHost: h:81\r\n\r\n"));
    }
}

#[test]
fn connect_names_its_authority() {
    let mut case = Case::new(config(1));
    case.ask("CONNECT");
    assert_eq!(case.out, b"CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n");
}

#[test]
fn cancel_before_anything_left_removes_the_request() {
    let mut case = Case::new(config(3));
    let first = case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    let second = case.post(Framing::Length, false, b"abc");
    let third = case.submit(&prepare(&template("HEAD")), b"", ALL).expect("room");
    case.cancel(second);
    assert_eq!(case.told(), ["failed 1 Local Cancelled unprocessed"]);
    case.flush();
    assert_eq!(case.out, b"GET / HTTP/1.1\r\nHost: h\r\n\r\nHEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    case.say(&[OK, OK].concat());
    assert_eq!(case.conn.capacity(), 3);
    case.cancel(first);
    case.cancel(third);
    assert_eq!(case.conn.capacity(), 3);
}

#[test]
fn cancel_of_an_unsent_last_request_opens_the_connection_again() {
    let mut case = Case::new(config(2));
    let last = prepare(&field(template("GET"), "Connection", "close"));
    let token = case.submit(&last, b"", ALL).expect("room");
    assert_eq!(case.conn.capacity(), 0);
    case.cancel(token);
    assert_eq!(case.conn.capacity(), 2);
    case.ask("GET");
    case.say(OK);
    assert_eq!(case.told().last().map(String::as_str), Some("done 1"));
}

#[test]
fn cancel_of_a_request_that_left_ends_the_connection() {
    let mut case = Case::new(config(4));
    case.ask("GET");
    let token = case.ask("GET");
    case.ask("GET");
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.log.events.clear();
    case.cancel(token);
    assert_eq!(
        case.told(),
        [
            "failed 1 Local Cancelled",
            "failed 0 Local Cancelled",
            "failed 2 Local Cancelled",
            "failed 3 Local Cancelled unprocessed",
            "closed Local Cancelled"
        ]
    );
    assert!(!case.conn.wants_transmit());
}

#[test]
fn close_fails_everything() {
    let mut case = Case::new(config(2));
    case.ask("GET");
    case.submit(&prepare(&template("GET")), b"", ALL).expect("room");
    case.log.events.clear();
    case.conn.close(case.now, &mut case.log);
    case.conn.close(case.now, &mut case.log);
    case.say(OK).eof();
    assert_eq!(case.told(), ["failed 0 Local Cancelled", "failed 1 Local Cancelled unprocessed", "closed"]);
}

#[test]
fn due_bytes_are_those_nobody_wants() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01";
    let mut case = Case::new(config(1));
    case.submit(&prepare(&template("GET")), b"", Want { fields: false, body: false }).expect("room");
    case.flush();
    assert_eq!(case.conn.due_bytes(), None);
    case.say(head);
    assert_eq!(case.conn.due_bytes(), Some(8));
    case.skip(5);
    case.skip(0);
    assert_eq!(case.conn.due_bytes(), Some(3));
    case.skip(3);
    assert_eq!(case.conn.due_bytes(), None);
    assert_eq!(case.told(), ["sent 0", "head 0 200", "body 0 10 unseen", "done 0"]);
    assert_eq!((case.conn.stats().data_bytes, case.conn.stats().header_bytes), (10, 39));

    let mut case = Case::new(config(1));
    case.ask("GET");
    case.say(head);
    assert_eq!(case.conn.due_bytes(), None, "a wanted body cannot be skipped");

    let mut case = Case::new(config(1));
    case.submit(&prepare(&template("GET")), b"", Want::default()).expect("room");
    case.flush();
    case.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1");
    assert_eq!(case.conn.due_bytes(), None, "chunk lines must be seen");
}

#[test]
#[should_panic(expected = "more skipped than due_bytes() allows")]
fn skipping_what_is_not_due_is_a_bug_of_the_caller() {
    let mut case = Case::new(config(1));
    case.ask("GET");
    case.skip(1);
}

/// `hand_out_body` once computed an offset into a part that it had not reached.
#[test]
fn regression_a_limit_inside_the_line_before_a_chunk() {
    let mut case = Case::new(config(1));
    case.post(Framing::Chunked, false, b"abc");
    let head = case.out.len() + "POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n".len();
    case.transmit(head + 1);
    case.flush();
    assert!(case.out.ends_with(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
}

#[test]
fn back_pressure_does_not_pile_up_what_was_handed_out() {
    let mut case = Case::new(config(8));
    let prepared = prepare(&template("GET"));
    for _ in 0..4 {
        case.submit(&prepared, b"", ALL).expect("room");
    }
    let one = "GET / HTTP/1.1\r\nHost: h\r\n\r\n".len();
    case.transmit(one / 2);
    for _ in 0..2000 {
        case.submit(&prepared, b"", ALL).expect("room");
        case.transmit(one);
        case.say(OK);
    }
    assert_eq!(case.conn.in_flight(), 4);
    case.flush();
    assert_eq!(case.out.len(), 2004 * one);
}
