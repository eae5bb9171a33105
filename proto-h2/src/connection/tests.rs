//! What can only be reached from inside: the end of the stream ids.

use super::*;
use bytes::Bytes;
use proto::conformance::{Event, Recorder};
use proto::{Scheme, Text, Want};

#[test]
fn when_stream_ids_run_out_the_connection_drains() {
    let template = Template::new("GET", Scheme::Http, Text::literal("a"), Text::literal("/")).unwrap();
    let prepared = Connection::prepare(0, &template);
    let mut conn = Connection::new(Config { max_streams: 50, ..Config::default() });
    let (mut log, mut out, now) = (Recorder::default(), Vec::new(), Time::from_nanos(1));
    conn.handle_input(now, ByteInput::Bytes(&[0, 0, 0, 4, 0, 0, 0, 0, 0]), &mut log);
    conn.streams.skip_to(crate::limits::LAST_STREAM_ID - 60);
    let mut ids = Vec::new();
    while conn.capacity() > 0 {
        let (token, want) = (Token(ids.len() as u64), Want::default());
        let request = Request { prepared: &prepared, values: &[], body: Bytes::new(), want };
        assert!(conn.submit(now, token, request).is_ok(), "capacity was promised");
        log.accept(token, want);
        let slot = conn.streams.find_token(token).unwrap();
        ids.push(conn.streams.at(slot).id);
    }
    assert!(!ids.is_empty() && ids.iter().all(|id| id % 2 == 1 && *id <= crate::limits::LAST_STREAM_ID));
    let request = Request { prepared: &prepared, values: &[], body: Bytes::new(), want: Want::default() };
    assert_eq!(conn.submit(now, Token(99), request), Err(Refused::Closed));
    assert!(!log.is_draining());
    while conn.poll_transmit(now, 1 << 16, &mut out, &mut log).is_some() {}
    assert!(log.is_draining());
    for id in &ids {
        let head = crate::frame::FrameHeader { len: 1, kind: 1, flags: 5, stream: *id };
        conn.handle_input(now, ByteInput::Bytes(&[&head.bytes()[..], b"\x88"].concat()), &mut log);
    }
    assert_eq!(log.events.last(), Some(&Event::Closed(CloseReason::Graceful)));
}
