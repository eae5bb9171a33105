//! Streams and windows with a server that keeps the rules, and what is told of a connection.

mod common;

use common::scripted::{Server, param, set};
use common::wire::Frame;
use common::world::{World, config, connected, crypto};
use proto::Time;
use proto_quic::{Config, Connection, Event, StreamId};
use std::time::Duration;

// RFC 9000 section 4: what the server allows.

#[test]
fn windows_of_the_server_are_kept() {
    let server = Server::with(|p| {
        set(p, param::MAX_DATA, 1000);
        set(p, param::STREAM_DATA_BIDI_REMOTE, 600);
    });
    let mut w = World::connected(&config(), server);
    let (a, b) = (w.open(&[1; 5000], true), w.open(&[2; 5000], true));
    w.run();
    let sent: u64 = w.server.streams.values().map(|s| s.bytes.len() as u64).sum();
    assert_eq!(sent, 1000, "what is allowed is used");
    let said = |w: &World, f: &dyn Fn(&Frame) -> bool| w.server.frames().any(f);
    assert!(said(&w, &|f| *f == Frame::DataBlocked(1000)));
    assert!(said(&w, &|f| *f == Frame::StreamDataBlocked { id: a, max: 600 }));
    assert!(w.log.sent.is_empty(), "not all has left");
    w.tell(&[Frame::MaxData(20_000)]);
    w.tell(&[Frame::MaxStreamData { id: a, max: 5000 }]);
    w.settle();
    assert_eq!(w.server.streams[&a].whole().unwrap(), [1; 5000]);
    assert_eq!(w.server.streams[&b].bytes.len(), 600);
    w.tell(&[Frame::MaxStreamData { id: b, max: 4999 }]);
    w.settle();
    assert!(w.server.streams[&b].whole().is_none() && !w.log.sent.contains(&b));
    w.tell(&[Frame::MaxStreamData { id: b, max: 50_000 }]);
    w.settle();
    assert_eq!(w.server.streams[&b].whole().unwrap(), [2; 5000]);
    assert_eq!(w.log.sent, [a, b]);
}

/// RFC 9000 section 4.2: what the owner keeps for later is not yet consumed.
#[test]
fn windows_move_when_the_owner_says_so() {
    let small = Config { stream_window: 10_000, connection_window: 15_000, ..config() };
    let mut w = World::connected(&small, Server::new());
    w.log.hoards = true;
    let grants = |w: &World| {
        let mut most = (0, 0);
        for frame in w.server.frames() {
            match frame {
                Frame::MaxData(max) => most.0 = most.0.max(*max),
                Frame::MaxStreamData { id: 3, max } => most.1 = most.1.max(*max),
                _ => {}
            }
        }
        most
    };
    for offset in (0..10_000).step_by(1000) {
        w.tell(&[Frame::stream(3, offset, &[7; 1000], false)]);
    }
    w.settle();
    assert_eq!(grants(&w), (0, 0), "nothing was consumed");
    w.client.consumed(StreamId(3), 10_000);
    w.settle();
    let (all, one) = grants(&w);
    assert!(all == 25_000 && one == 20_000, "{all} and {one}");
    // A stream that has ended counts for the connection's window all the same.
    for n in 0..3 {
        let id = 7 + 4 * n;
        for offset in (0..5000).step_by(1000) {
            w.tell(&[Frame::stream(id, offset, &[7; 1000], offset == 4000)]);
        }
    }
    for n in 0..3 {
        w.client.consumed(StreamId(7 + 4 * n), 5000);
    }
    w.settle();
    assert_eq!(grants(&w).0, 40_000);
    // What was thrown away is consumed, too.
    w.client.stop_sending(StreamId(3), 1);
    w.tell(&[Frame::stream(3, 10_000, &[7; 1000], false)]);
    w.tell(&[Frame::ResetStream { id: 3, code: 1, size: 20_000 }]);
    w.settle();
    assert_eq!(grants(&w).0, 50_000);
    w.log.hoards = false;
    w.exchange();
}

#[test]
fn limits_of_streams_are_kept() {
    let server = Server::with(|p| {
        set(p, param::STREAMS_BIDI, 2);
        set(p, param::STREAMS_UNI, 1);
    });
    let mut w = World::connected(&config(), server);
    assert_eq!(w.client.bi_available(), 2);
    w.open(b"a", true);
    w.open(b"b", true);
    assert_eq!((w.client.bi_available(), w.client.open_bi(9)), (0, None));
    assert_eq!(w.client.open_uni(), Some(StreamId(2)));
    assert_eq!(w.client.open_uni(), None);
    w.run();
    let available = |w: &World| w.log.events.iter().filter(|e| **e == Event::StreamsAvailable).count();
    let before = available(&w);
    w.tell(&[Frame::MaxStreams { bidi: true, max: 2 }]);
    assert_eq!(available(&w), before);
    w.tell(&[Frame::MaxStreams { bidi: true, max: 5 }]);
    assert_eq!((available(&w), w.client.bi_available()), (before + 1, 3));
    w.tell(&[Frame::MaxStreams { bidi: false, max: 2 }]);
    assert_eq!(w.client.open_uni(), Some(StreamId(6)));
    w.exchange();
}

#[test]
fn a_server_that_allows_nothing() {
    let server = Server::with(|p| {
        p.retain(|p| [param::ORIGINAL_DCID, param::INITIAL_SCID].contains(&p.0));
    });
    let mut w = World::connected(&config(), server);
    assert_eq!((w.client.bi_available(), w.client.open_bi(1), w.client.open_uni()), (0, None, None));
    w.tell(&[Frame::MaxStreams { bidi: true, max: 1 }]);
    let id = w.open(b"request", true);
    w.run();
    assert!(w.server.streams.get(&id).is_none_or(|s| s.bytes.is_empty()));
    w.tell(&[Frame::MaxData(7), Frame::MaxStreamData { id, max: 7 }]);
    w.settle();
    assert_eq!(w.server.streams[&id].whole().unwrap(), b"request");
}

#[test]
fn an_empty_stream_has_an_end() {
    let mut w = connected();
    let id = w.open(b"", true);
    w.run();
    assert_eq!(w.server.streams[&id].whole().unwrap(), b"");
    assert_eq!(w.log.sent, [id]);
    let id = w.open(b"abc", false);
    w.run();
    w.write(id, b"", true);
    w.run();
    assert_eq!(w.server.streams[&id].whole().unwrap(), b"abc");
}

/// RFC 9000 section 3.5.
#[test]
fn stop_sending_is_answered_with_a_reset() {
    let server = Server::with(|p| set(p, param::STREAM_DATA_BIDI_REMOTE, 100));
    let mut w = World::connected(&config(), server);
    let id = w.open(&[7; 5000], true);
    w.run();
    w.tell(&[Frame::StopSending { id, code: 99 }]);
    assert_eq!(w.server.streams[&id].reset, Some(99));
    assert_eq!(w.log.stopped.get(&id), Some(&99));
    w.write(id, b"more", true);
    w.run();
    w.exchange();
}

#[test]
fn streams_are_given_up() {
    let mut w = connected();
    let id = w.open(b"half", false);
    w.run();
    w.client.reset(StreamId(id), 5);
    w.client.reset(StreamId(id), 6);
    w.client.stop_sending(StreamId(id), 7);
    w.write(id, b"more", true);
    w.run();
    assert_eq!(w.server.streams[&id].reset, Some(5));
    assert!(w.server.frames().any(|f| *f == Frame::StopSending { id, code: 7 }));
    // What still comes is nobody's.
    w.tell(&[Frame::stream(id, 0, b"response", true)]);
    w.exchange();
    // Those that were never there or are gone.
    for id in [4000, 2, 1, 3, id] {
        w.client.reset(StreamId(id), 1);
        w.client.stop_sending(StreamId(id), 1);
        w.write(id, b"nothing", true);
        w.client.consumed(StreamId(id), 5);
    }
    w.exchange();
}

// What is told.

#[test]
fn what_tls_agreed_on_is_told() {
    let mut w = World::new(&config(), Server::new());
    assert!(w.client.handshake().is_none() && w.client.certificate().is_none() && w.client.is_handshaking());
    w.run();
    let told = w.client.handshake().unwrap();
    assert!(!told.resumed && told.group.is_some() && !w.client.is_handshaking());
    assert!(w.client.certificate().is_some());
    assert_eq!(w.log.events.iter().filter(|e| **e == Event::Connected).count(), 1);
}

#[test]
fn the_path_is_measured() {
    let mut w = connected();
    for _ in 0..10 {
        w.exchange();
    }
    let path = w.client.stats();
    assert!((400_000..3_000_000).contains(&path.rtt_min_ns), "{path:?}");
    assert!((400_000..40_000_000).contains(&path.rtt_smoothed_ns), "{path:?}");
    assert_eq!(path.datagrams_sent as usize, w.server.datagrams);
    assert!(
        path.bytes_sent > 0 && path.bytes_received > 0 && path.packets_sent > 10 && path.packets_lost == 0
    );
}

#[test]
fn values_out_of_range_are_brought_into_it() {
    let odd = Config {
        stream_window: u64::MAX,
        connection_window: u64::MAX,
        uni_streams: u64::MAX,
        initial_rtt: Duration::ZERO,
        max_udp_payload: 0,
        known_udp_payload: u16::MAX,
        segments: 0,
        idle_timeout: Some(Duration::MAX),
        ..config()
    };
    let mut w = World::connected(&odd, Server::new());
    w.exchange();
    let none = Config { stream_window: 0, connection_window: 0, uni_streams: 0, ..odd };
    let mut w = World::new(&none, Server::new());
    w.run();
    w.settle();
    assert!(w.log.is_connected(), "{:?}", w.log.events);
}

#[test]
fn a_name_that_is_none() {
    assert!(Connection::new(&config(), crypto(), "not a name", None, Time::ZERO).is_err());
}

/// RFC 9000 section 7.2 and 18.2: what the client says of itself.
#[test]
fn the_parameters_of_the_client() {
    let own = Config { stream_window: 77_777, connection_window: 88_888, uni_streams: 9, ..config() };
    let w = World::connected(&own, Server::new());
    let s = &w.server;
    assert_eq!(s.client_params.get(&param::INITIAL_SCID).map(Vec::len), Some(0));
    assert_eq!(s.client_param(param::MAX_DATA), Some(88_888));
    assert_eq!(s.client_param(param::STREAM_DATA_BIDI_LOCAL), Some(77_777));
    assert_eq!(s.client_param(param::STREAM_DATA_UNI), Some(77_777));
    assert_eq!(s.client_param(param::STREAMS_UNI), Some(9));
    assert_eq!(s.client_param(param::STREAMS_BIDI).unwrap_or(0), 0);
    assert_eq!(s.client_param(param::IDLE_TIMEOUT), Some(30_000));
    for id in [param::ORIGINAL_DCID, param::RESET_TOKEN, param::PREFERRED_ADDRESS, param::RETRY_SCID] {
        assert!(!s.client_params.contains_key(&id), "RFC 9000 section 18.2: a client must not send {id:#x}");
    }
}

/// RFC 9000 section 4.5: what came has ended, what goes has not, so its size is still known.
#[test]
fn a_response_that_has_ended_keeps_its_size() {
    let ended = |by: Frame| {
        let mut w = connected();
        let id = w.open(b"request", false);
        assert_eq!(id, 0);
        w.run();
        w.tell(&[by]);
        w
    };
    let reset = |size| Frame::ResetStream { id: 0, code: 9, size };
    for by in [Frame::stream(0, 0, b"response", true), reset(8)] {
        for same in [
            Frame::stream(0, 0, b"response", true),
            Frame::stream(0, 2, b"spon", false),
            Frame::stream(0, 8, b"", true),
            reset(8),
        ] {
            let mut w = ended(by.clone());
            w.tell(std::slice::from_ref(&same));
            w.write(0, b"", true);
            w.settle();
            assert_eq!((w.server.closed(), w.log.lost()), (None, None), "{same:?} behind {by:?}");
            w.exchange();
        }
        for other in [
            Frame::stream(0, 8, b"!", false),
            Frame::stream(0, 0, b"respon", true),
            Frame::stream(0, 0, b"response!", true),
            reset(7),
            reset(9),
        ] {
            let mut w = ended(by.clone());
            w.tell(std::slice::from_ref(&other));
            assert_eq!(w.server.closed().map(|c| c.1), Some(0x6), "{other:?} behind {by:?}");
        }
    }
}

/// However small it is: nothing is told of a window in which nothing came.
#[test]
fn a_window_of_one_byte_is_told_when_it_was_used() {
    let mut w = World::connected(&Config { connection_window: 1, ..config() }, Server::new());
    let told = |w: &World| w.server.frames().filter(|f| matches!(f, Frame::MaxData(_))).count();
    for data in [&b""[..], b"", b"x"] {
        let id = w.open(b"request", true);
        w.run();
        assert_eq!(told(&w), 0);
        w.tell(&[Frame::stream(id, 0, data, true)]);
        w.settle();
    }
    assert_eq!(told(&w), 1);
}
