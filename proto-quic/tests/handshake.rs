//! How a connection begins: version negotiation, Retry, early data, and what the client says of itself.

mod common;

use common::scripted::{Params, Server, param, set};
use common::wire::{self, Frame, Level};
use common::world::{World, config, greeted, is_silent, proceeds};
use common::*;
use proto_quic::Lost;
use proto_quic::tls::Tls;
use std::sync::Arc;

// RFC 9000 section 6.2: version negotiation.

#[test]
fn no_common_version() {
    let mut w = greeted();
    let answer = wire::negotiation(&[], &w.server.original, &[0x1a2a_3a4a, 0x6b33_43cf]);
    w.deliver(&answer, 0);
    assert_eq!(w.log.lost(), Some(&Lost::VersionMismatch));
    is_silent(&mut w);
}

#[test]
fn negotiation_with_our_own_version_is_ignored() {
    let mut w = greeted();
    let answer = wire::negotiation(&[], &w.server.original, &[0x1a2a_3a4a, 1]);
    w.deliver(&answer, 0);
    proceeds(&mut w);
}

#[test]
fn negotiation_after_any_packet_is_ignored() {
    let mut w = greeted();
    w.server.speak(Level::Initial);
    w.run();
    let answer = wire::negotiation(&[], &w.server.original, &[0x1a2a_3a4a]);
    w.deliver(&answer, 0);
    proceeds(&mut w);
    w.deliver(&answer, 0);
    w.exchange();
}

#[test]
fn negotiation_of_somebody_else_is_ignored() {
    let mut w = greeted();
    for (dcid, scid) in [(&b""[..], &b"somebody"[..]), (b"somebody", &w.server.original.clone())] {
        w.deliver(&wire::negotiation(dcid, scid, &[0x1a2a_3a4a]), 0);
    }
    let whole = wire::negotiation(&[], &w.server.original, &[0x1a2a_3a4a]);
    for len in 0..whole.len() - 4 {
        w.deliver(&whole[..len], 0);
    }
    proceeds(&mut w);
}

// RFC 9000 sections 8.1.2 and 17.2.5: Retry.

#[test]
fn a_retry_is_followed() {
    let mut w = World::new(&config(), Server::new());
    w.server.retry = Some(b"a token".to_vec());
    w.run();
    assert!(w.log.is_connected(), "{:?}", w.log.events);
    let first = w.server.seen.first().unwrap();
    assert_eq!(
        (first.level, &first.dcid[..], &first.token[..]),
        (Level::Initial, &b"retry-id"[..], &b"a token"[..])
    );
    assert!(first.number > 0, "RFC 9000 section 17.2.5.3: numbers go on");
    for packet in w.server.seen.iter().filter(|p| p.level == Level::Initial) {
        assert_eq!(packet.token, b"a token");
    }
    w.settle();
    w.exchange();
}

#[test]
fn a_retry_that_is_not_for_us_is_ignored() {
    let mut w = greeted();
    let original = w.server.original.clone();
    let good = wire::retry(&[], b"retry-id", b"token", &original);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        w.deliver(&bad, 0);
    }
    for len in 0..good.len() {
        w.deliver(&good[..len], 0);
    }
    w.deliver(&wire::retry(&[], b"retry-id", b"token", b"somebody"), 0);
    // Section 17.2.5.2: without a token; section 17.2.5.1: from the very id that was written to.
    w.deliver(&wire::retry(&[], b"retry-id", b"", &original), 0);
    w.deliver(&wire::retry(&[], &original, b"token", &original), 0);
    proceeds(&mut w);
    assert!(w.server.seen.iter().all(|p| p.token.is_empty()));
}

#[test]
fn a_second_retry_is_ignored() {
    let mut w = World::new(&config(), Server::new());
    w.server.answers = false;
    w.server.acks = false;
    w.server.retry = Some(b"first".to_vec());
    w.flush();
    w.answer();
    for original in [w.server.original.clone(), b"retry-id".to_vec()] {
        w.deliver(&wire::retry(&[], b"retry-no", b"second", &original), 0);
    }
    proceeds(&mut w);
    assert!(w.server.seen.iter().filter(|p| p.level == Level::Initial).all(|p| p.token == b"first"));
}

#[test]
fn a_retry_after_any_packet_is_ignored() {
    let mut w = greeted();
    w.server.speak(Level::Initial);
    w.run();
    let late = wire::retry(&[], b"retry-id", b"token", &w.server.original);
    w.deliver(&late, 0);
    proceeds(&mut w);
    assert!(w.server.seen.iter().all(|p| p.token.is_empty()));
}

#[test]
fn a_retry_is_proved_by_parameters() {
    for value in [None, Some(b"another!".to_vec())] {
        let server = Server::with(move |p| {
            p.retain(|p| p.0 != param::RETRY_SCID);
            p.extend(value.clone().map(|v| (param::RETRY_SCID, v)));
        });
        let mut w = World::new(&config(), server);
        w.server.retry = Some(b"token".to_vec());
        w.run();
        let Some(Lost::Transport { code, .. }) = w.log.lost() else { panic!("{:?}", w.log.events) };
        assert!([0x8, 0xa].contains(code), "RFC 9000 section 7.3");
    }
}

// RFC 9001 section 4.6: early data.

/// A connection with the session of one before; the server may refuse early data, and may have changed its parameters.
fn resumed(take: bool, adjust: impl Fn(&mut Params) + 'static) -> World {
    World::resumed(&config(), take, adjust)
}

#[test]
fn early_data_is_taken() {
    let mut w = resumed(true, |_| {});
    assert!(w.client.has_early_data() && w.client.is_handshaking());
    assert_eq!(w.client.bi_available(), 100);
    let id = w.open(b"early request", true);
    w.flush();
    assert_eq!(w.server.streams[&id].whole().unwrap(), b"early request");
    assert!(w.server.seen.iter().any(|p| p.level == Level::Early));
    w.run();
    assert!(w.log.is_connected() && w.client.early_data_accepted());
    assert!(w.client.handshake().unwrap().resumed);
    w.tell(&[Frame::stream(id, 0, b"answer", true)]);
    assert_eq!(w.log.data[&id], b"answer");
    let first = w.server.seen.iter().position(|p| p.level == Level::OneRtt).unwrap();
    assert!(
        w.since(first).iter().all(|p| p.level != Level::Early),
        "RFC 9001 section 5.6: no 0-RTT after 1-RTT"
    );
    w.settle();
    w.exchange();
}

#[test]
fn early_data_that_is_lost_is_said_again() {
    let mut w = resumed(true, |_| {});
    let id = w.open(b"early request", true);
    let spoken = w.spoken();
    for (datagram, ecn) in &spoken[..1] {
        w.server.datagram(w.now, *ecn, datagram);
    }
    w.run();
    w.wait(secs(2));
    assert_eq!(w.server.streams[&id].whole().unwrap(), b"early request");
}

#[test]
fn early_data_is_refused() {
    let mut w = resumed(false, |_| {});
    assert!(w.client.has_early_data());
    assert_eq!(w.open(b"early request", true), 0);
    w.run();
    assert!(w.log.is_connected() && !w.client.early_data_accepted());
    assert!(w.server.streams.is_empty(), "{:?}", w.server.streams);
    w.log.cookies.clear();
    w.log.sent.clear();
    // The numbers begin again.
    assert_eq!(w.open(b"request", true), 0);
    w.run();
    assert_eq!(w.server.streams[&0].whole().unwrap(), b"request");
    w.settle();
    w.exchange();
}

/// RFC 9000 section 7.4.1: a server that takes early data may not take back what it allowed.
#[test]
fn parameters_shrink_although_early_data_is_taken() {
    for id in [param::MAX_DATA, param::STREAM_DATA_BIDI_REMOTE, param::STREAMS_BIDI, param::STREAMS_UNI] {
        let mut w = resumed(true, move |p| set(p, id, 1));
        w.open(b"", true);
        w.server.strict = false;
        w.run();
        let Some(Lost::Transport { code, .. }) = w.log.lost() else { panic!("{id:#x}: {:?}", w.log.events) };
        assert_eq!(*code, 0xa);
    }
}

#[test]
fn parameters_grow_with_early_data() {
    let mut w = resumed(true, |p| set(p, param::STREAMS_BIDI, 500));
    w.open(b"x", true);
    w.run();
    assert_eq!(w.client.bi_available(), 499);
    assert!(w.log.is_connected());
}

/// RFC 9001 section 4.9.1: the keys of Initial packets go when a Handshake packet is sent. One that found no room beside the
/// ClientHello was not.
#[test]
fn initial_packets_are_sent_until_a_handshake_packet_is() {
    // The ClientHello takes two datagrams, and nobody acknowledges them: two probes.
    let mut tls = client_tls(ALPN);
    tls.alpn_protocols.extend((b'a'..b'h').map(|c| vec![c; 200]));
    let tls = Tls::new(Arc::new(tls)).expect("it has the cipher");
    let mut w = World::over(&config(), &tls, Server::new());
    (w.server.answers, w.server.acks) = (false, false);
    w.flush();
    assert_eq!(w.server.datagrams, 2);
    w.now = w.client.poll_timeout().unwrap();
    w.fire();
    w.server.speak(Level::Initial);
    w.server.say(Level::Handshake, &[Frame::Ping]);
    w.answer();
    let before = w.server.seen.len();
    w.flush();
    let levels: Vec<Level> = w.since(before).iter().map(|s| s.level).collect();
    assert_eq!(levels, [Level::Initial, Level::Initial, Level::Handshake]);
    proceeds(&mut w);
}

// RFC 9000 sections 5.1.1 and 18.2: the connection id of a preferred address has the sequence number 1.

fn preferring() -> World {
    let mut value = vec![0; 24];
    value.push(8);
    value.extend(b"preferrd");
    value.extend([0x77; 16]);
    World::connected(&config(), Server::with(move |p| p.push((param::PREFERRED_ADDRESS, value.clone()))))
}

fn new_id(seq: u64, retire: u64, id: &[u8; 8], token: u8) -> Frame {
    Frame::NewConnectionId { seq, retire, id: id.to_vec(), token: [token; 16] }
}

#[test]
fn the_id_of_a_preferred_address_is_retired_when_asked() {
    let mut w = preferring();
    w.tell(&[new_id(2, 2, b"server-2", 2)]);
    w.settle();
    let mut retired: Vec<u64> = w
        .server
        .frames()
        .filter_map(|f| if let Frame::RetireConnectionId(seq) = f { Some(*seq) } else { None })
        .collect();
    retired.sort_unstable();
    assert_eq!(retired, [0, 1]);
    w.exchange();
    assert_eq!(w.server.seen.last().unwrap().dcid, b"server-2");
}

#[test]
fn the_id_of_a_preferred_address_is_one_of_two() {
    // The same again means nothing, another one with its number or one more is too much.
    let mut w = preferring();
    w.tell(&[new_id(1, 0, b"preferrd", 0x77)]);
    w.exchange();
    for (frame, code) in [(new_id(1, 0, b"server-1", 1), 0xa), (new_id(2, 0, b"server-2", 2), 0x9)] {
        let mut w = preferring();
        w.tell(&[frame]);
        assert_eq!(w.server.closed().map(|c| c.1), Some(code));
    }
}

/// RFC 9000 section 21.4: numbers are left out in 1-RTT packets, however many went into 0-RTT packets before.
#[test]
fn numbers_are_left_out_after_early_data() {
    let mut w = resumed(true, |_| {});
    for _ in 0..10 {
        w.open(b"early request", true);
        w.flush();
    }
    w.run();
    assert!(w.client.early_data_accepted());
    for _ in 0..20 {
        w.tell(&[Frame::Ping]);
        w.exchange();
    }
    let numbers = &w.server.got[2];
    assert!(w.server.seen.iter().filter(|p| p.level == Level::Early).count() >= 10);
    assert!((numbers.len() as u64) < numbers.last().unwrap() + 1, "{} in a row", numbers.len());
}

/// RFC 9000 section 13.4.2: packets that are as if they had never been sent are no trial of the path.
#[test]
fn early_data_before_a_retry_does_not_end_the_marks() {
    let mut w = resumed(true, |_| {});
    let mut spoken = Vec::new();
    for _ in 0..12 {
        w.open(b"early request", true);
        spoken.extend(w.spoken());
    }
    let marks: Vec<u8> = spoken.iter().map(|d| d.1).collect();
    assert_eq!(marks, [[2; 9].as_slice(), &[0; 3]].concat(), "ten packets");
    w.server.retry = Some(b"token".to_vec());
    w.server.datagram(w.now, 2, &spoken[0].0);
    w.run();
    w.settle();
    w.exchange();
    assert!(w.server.retried.is_some());
    assert_eq!(w.server.seen.last().unwrap().ecn, 2);
}
