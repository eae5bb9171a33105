//! What QUIC itself goes through, seen from the client: Retry, version negotiation, stateless reset, key updates, new
//! connection ids, early data, GSO and GRO, and garbage.

mod common;

use bytes::BytesMut;
use common::*;
use proto::conformance::{Event, Recorder};
use proto::{ClientConn, CloseReason, Fault, Kind, Time, Token, Want};
use proto_h3::{Config, Congestion, Connection, Input, Received, Setup};
use quinn_proto::{
    DatagramEvent, Endpoint, EndpointConfig, HashedConnectionIdGenerator, RandomConnectionIdGenerator,
};
use std::sync::Arc;
use std::time::Duration;

fn config() -> Config {
    Config { max_streams: 8, ..Config::default() }
}

/// A GET that is answered.
fn exchange(p: &mut Pair, token: u64) {
    p.get(token);
    p.run();
    let stream = *p.server.requests.keys().last().unwrap();
    p.server.write(request_stream(stream), &cat(&[headers(&[(":status", "200")]), data(b"abc")]), true);
    p.run();
    assert!(p.log.events.contains(&Event::Done(Token(token))), "{:?}", p.log.events);
}

#[test]
fn a_retry_costs_a_round_trip_and_nothing_else() {
    let mut server = Server::new();
    server.quic.retry = true;
    let mut p = Pair::connected(config(), server);
    assert_eq!(p.server.quic.retries, 1, "a Retry was sent");
    exchange(&mut p, 1);
}

#[test]
fn version_negotiation_without_a_common_version() {
    let (mut conn, mut log, now) = (client(config(), Time::ZERO), Recorder::default(), Time::ZERO);
    let mut first = Vec::new();
    conn.poll_transmit(now, 65_536, &mut first, &mut log).unwrap();
    // RFC 8999 sections 5.1 and 6: the ids come back the other way round, and versions follow.
    let dcid_len = usize::from(first[5]);
    let dcid = &first[6..6 + dcid_len];
    let scid_len = usize::from(first[6 + dcid_len]);
    let scid = &first[7 + dcid_len..7 + dcid_len + scid_len];
    let mut answer = vec![0xc0, 0, 0, 0, 0, scid_len as u8];
    answer.extend(scid);
    answer.push(dcid_len as u8);
    answer.extend(dcid);
    answer.extend([0x1a, 0x2a, 0x3a, 0x4a]);
    conn.handle_input(now, Input::Datagrams(&mut vec![received(&answer, 0)]), &mut log);
    let Some(Event::Closed(CloseReason::Error(e))) = log.events.last() else { panic!("{:?}", log.events) };
    assert_eq!((e.fault, e.kind), (Fault::Peer, Kind::Connect));
}

#[test]
fn a_stateless_reset() {
    let mut endpoint = EndpointConfig::default();
    endpoint.cid_generator(|| Box::new(HashedConnectionIdGenerator::from_key(7)));
    let server = Server::made(server_config(), endpoint.clone(), |_| {});
    let mut p = Pair::connected(config(), server);
    p.get(0);
    p.run();
    // A server that was restarted: the same keys, no connections.
    let mut reborn = Endpoint::new(Arc::new(endpoint), Some(Arc::new(server_config())), true, None);
    p.submit(1, 2, vec![0; 500].into(), Want::default());
    let mut out = Vec::new();
    p.client.poll_transmit(p.now, 65_536, &mut out, &mut p.log).unwrap();
    let mut answer = Vec::new();
    let datagram = BytesMut::from(&out[..]);
    let event = reborn.handle(instant(p.now), client_address(), None, None, datagram, &mut answer);
    assert!(matches!(event, Some(DatagramEvent::Response(_))), "a short request gets no reset");
    p.client.handle_input(p.now, Input::Datagrams(&mut vec![received(&answer, 0)]), &mut p.log);
    let Some(Event::Closed(CloseReason::Error(e))) = p.log.events.last() else {
        panic!("{:?}", p.log.events)
    };
    assert_eq!((e.fault, e.kind), (Fault::Network, Kind::Reset));
}

#[test]
fn keys_are_updated_under_way() {
    let mut p = Pair::connected(config(), Server::new());
    for token in 0..5 {
        exchange(&mut p, token);
        p.server.conn().force_key_update();
        p.wait(Duration::from_secs(1));
    }
}

#[test]
fn connection_ids_of_the_server_are_replaced() {
    let lifetime = Duration::from_secs(2);
    let mut endpoint = EndpointConfig::default();
    endpoint.cid_generator(move || {
        let mut ids = RandomConnectionIdGenerator::new(8);
        ids.set_lifetime(lifetime);
        Box::new(ids)
    });
    let server = Server::made(server_config(), endpoint, |_| {});
    let mut p = Pair::connected(config(), server);
    for token in 0..10 {
        exchange(&mut p, token);
        p.wait(Duration::from_secs(1));
    }
    let retired = p.server.conn().stats().frame_rx.retire_connection_id;
    assert!(retired > 0, "ids were retired");
}

#[test]
fn garbage_between_datagrams_changes_nothing() {
    let mut p = Pair::connected(config(), Server::new());
    let mut rng = Rng::new(1);
    for token in 0..20 {
        let mut junk: Vec<Received> = (0..20)
            .map(|_| {
                let bytes: Vec<u8> = (0..rng.below(1500)).map(|_| rng.next() as u8).collect();
                Received {
                    stride: rng.below(70) as usize,
                    ecn: rng.next() as u8,
                    bytes: BytesMut::from(&bytes[..]),
                }
            })
            .collect();
        p.client.handle_input(p.now, Input::Datagrams(&mut junk), &mut p.log);
        assert!(junk.is_empty());
        exchange(&mut p, token);
    }
}

#[test]
fn batches_go_both_ways() {
    for segments in [1, 4, 64] {
        let mut p = Pair::connected(Config { segments, ..config() }, Server::new());
        p.submit(0, 2, vec![7; 100_000].into(), Want::default());
        let mut most = 0;
        for _ in 0..200 {
            p.now = p.now.after(Duration::from_millis(1));
            let mut out = Vec::new();
            while let Some(t) = p.client.poll_transmit(p.now, 65_536, &mut out, &mut p.log) {
                most = most.max(out.len().div_ceil(t.segment_size.unwrap_or(out.len())));
                assert!(t.segment_size.is_none_or(|s| s < out.len()));
                p.server.receive(p.now, t, &out);
                out.clear();
            }
            // What comes back is joined as GRO joins it: equal sizes, a shorter one last.
            let mut batch: Vec<Received> = Vec::new();
            for (bytes, ecn) in p.server.transmit(p.now) {
                match batch.last_mut() {
                    Some(last)
                        if last.bytes.len().is_multiple_of(last.stride) && bytes.len() <= last.stride =>
                    {
                        last.bytes.extend_from_slice(&bytes);
                    }
                    _ => batch.push(received(&bytes, ecn)),
                }
            }
            p.client.handle_input(p.now, Input::Datagrams(&mut batch), &mut p.log);
        }
        assert_eq!(p.server.requests[&0].body.len(), 100_000);
        assert!(most <= usize::from(segments) && (segments == 1 || most > 1), "{most} of {segments}");
    }
}

#[test]
fn a_small_limit_hands_out_whole_datagrams_or_nothing() {
    let mut p = Pair::connected(config(), Server::new());
    p.submit(0, 2, vec![7; 10_000].into(), Want::default());
    for limit in [0, 1, 100, 1199, 1200, 1451] {
        let mut out = b"kept".to_vec();
        assert_eq!(p.client.poll_transmit(p.now, limit, &mut out, &mut p.log), None);
        assert_eq!(out, b"kept");
    }
    let mut out = b"kept".to_vec();
    let t = p.client.poll_transmit(p.now, 3000, &mut out, &mut p.log).unwrap();
    assert!(out.starts_with(b"kept") && out.len() <= 3004 && t.segment_size.is_some());
}

#[test]
fn every_congestion_controller_carries_a_body() {
    for congestion in [Congestion::Cubic, Congestion::Bbr, Congestion::NewReno] {
        let mut p = Pair::connected(Config { congestion, ..config() }, Server::new());
        p.submit(0, 2, vec![7; 500_000].into(), Want::default());
        p.run();
        p.wait(Duration::from_secs(20));
        assert!(p.log.events.contains(&Event::Sent(Token(0))), "{congestion:?}");
        assert_eq!(p.server.requests[&0].body.len(), 500_000);
        let path = p.client.path().unwrap();
        assert!(path.bytes_sent > 500_000 && path.congestion_window > 0 && path.mtu >= 1200);
    }
}

#[test]
fn sent_is_not_told_while_quic_holds_data_back() {
    let mut p = Pair::connected(config(), Server::new());
    p.submit(0, 2, vec![7; 200_000].into(), Want::default());
    p.get(1);
    p.flush();
    // The congestion window is some ten packets at the beginning. A small request does not wait for a large one.
    assert_eq!(p.log.events.last(), Some(&Event::Sent(Token(1))));
    assert!(!p.log.events.contains(&Event::Sent(Token(0))), "{:?}", p.log.events);
    p.run();
    p.wait(Duration::from_secs(5));
    assert!(p.log.events.contains(&Event::Sent(Token(0))));
}

/// A client that resumes with early data, and the server that may or may not take it.
fn resumed(take: bool) -> Pair {
    let mut tls_config = (*tls().client).clone();
    tls_config.enable_early_data = true;
    tls_config.resumption = rustls::client::Resumption::in_memory_sessions(4);
    let setup = Setup::new(config(), Arc::new(tls_config)).unwrap();
    let connect = |now| Connection::new(&setup, "peer.test", now).unwrap();
    let mut first = Pair::new(config(), Server::new());
    first.client = connect(first.now);
    first.run();
    exchange(&mut first, 0);
    assert_eq!(first.client.early_data_accepted(), None);
    let server = if take { server_config() } else { without_early_data() };
    let mut second = Pair::new(config(), Server::made(server, EndpointConfig::default(), |_| {}));
    second.client = connect(second.now);
    second
}

#[test]
fn early_data_carries_requests() {
    let mut p = resumed(true);
    assert_eq!(p.client.capacity(), 8);
    p.get(7);
    p.flush();
    assert!(p.server.requests.values().any(|a| a.complete), "the request came with the first flight");
    p.run();
    p.server.write(request_stream(0), &headers(&[(":status", "200")]), true);
    p.run();
    assert_eq!(p.log.events.last(), Some(&Event::Done(Token(7))));
    assert_eq!(p.client.early_data_accepted(), Some(true));
}

#[test]
fn early_data_that_is_not_taken_was_not_processed() {
    let mut p = resumed(false);
    p.get(7);
    p.run();
    assert_eq!(p.client.early_data_accepted(), Some(false));
    assert!(p.log.events.iter().any(|e| matches!(e, Event::Failed(Token(7), _, true))), "{:?}", p.log.events);
    exchange(&mut p, 8);
}

/// RFC 8470 section 4: what is not safe waits for the end of the handshake.
#[test]
fn only_safe_requests_go_out_early() {
    let mut p = resumed(true);
    p.submit(1, 2, bytes::Bytes::from_static(b"pay"), Want::default());
    p.get(2);
    p.flush();
    let whole: Vec<u64> = p.server.requests.values().filter(|a| a.complete).map(|a| a.stream).collect();
    assert_eq!((whole.len(), p.server.requests.len()), (1, 1), "{:?}", p.server.requests);
    assert_eq!(p.server.requests.values().next().unwrap().field(":method"), Some("GET"));
    p.run();
    let both: Vec<_> = p.server.requests.values().map(|a| (a.field(":method"), a.complete)).collect();
    assert_eq!(both, [(Some("POST"), true), (Some("GET"), true)]);
    for stream in [0, 1] {
        p.server.write(request_stream(stream), &headers(&[(":status", "200")]), true);
    }
    p.run();
    assert!(p.log.events.contains(&Event::Done(Token(1))) && p.log.events.contains(&Event::Done(Token(2))));
}

#[test]
fn a_request_that_is_too_early_was_not_processed() {
    let mut p = resumed(true);
    p.get(7);
    p.run();
    p.server.write(request_stream(0), &headers(&[(":status", "425")]), true);
    p.run();
    assert!(p.log.events.iter().any(|e| matches!(e, Event::Failed(Token(7), _, true))), "{:?}", p.log.events);
    // In time it is an answer like any other.
    p.get(8);
    p.run();
    p.server.write(request_stream(1), &headers(&[(":status", "425")]), true);
    p.run();
    assert_eq!(p.log.events.last(), Some(&Event::Done(Token(8))));
}

#[test]
fn what_tls_agreed_on_is_told() {
    let mut first = Pair::new(config(), Server::new());
    assert_eq!(first.client.handshake(), None);
    first.run();
    let told = first.client.handshake().unwrap();
    assert!(!told.resumed && told.group == Some(rustls::NamedGroup::X25519), "{told:?}");
    assert!(told.cipher.as_str().unwrap().starts_with("TLS13_"), "{told:?}");
    assert!(first.client.certificate().is_some());
    let mut second = resumed(true);
    second.run();
    assert!(second.client.handshake().unwrap().resumed);
}

#[test]
fn values_out_of_range_are_brought_into_it() {
    let config = Config {
        max_streams: 0,
        stream_window_bits: 0,
        connection_window_bits: 99,
        header_table_size: u32::MAX,
        blocked_streams: u16::MAX,
        initial_rtt: Duration::ZERO,
        max_udp_payload: 0,
        segments: 0,
        idle_timeout: None,
        ..Config::default()
    };
    let mut p = Pair::connected(
        config,
        Server::with(|t| {
            t.max_idle_timeout(None);
        }),
    );
    exchange(&mut p, 0);
    assert_eq!(p.client.path().unwrap().mtu, 1200);
}
