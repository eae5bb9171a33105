//! What QUIC goes through with a server that keeps the rules, and what a client owes it: version negotiation, Retry, resets, key
//! updates, ECN, probes, acknowledgements, flow control, endings, timers.

mod common;

use common::scripted::{RESET_TOKEN, Server, param};
use common::wire::{self, Frame, Level, varint};
use common::world::{World, config, crypto};
use common::*;
use proto::Time;
use proto_quic::tls::Tls;
use proto_quic::{Config, Congestion, Connection, Event, Lost, StreamId};
use std::sync::Arc;
use std::time::Duration;

/// The client has said its first word; the server says nothing by itself.
fn greeted() -> World {
    let mut w = World::new(&config(), Server::new());
    w.server.answers = false;
    w.server.acks = false;
    w.flush();
    w
}

/// The server does what it is there for, and everything works.
fn proceeds(w: &mut World) {
    w.server.answers = true;
    w.server.acks = true;
    w.run();
    w.wait(secs(2));
    assert!(w.log.is_connected(), "{:?} {:?}", w.log.events, w.server.tls_error);
    w.exchange();
    assert_eq!(w.server.closed(), None);
}

fn connected() -> World {
    World::connected(&config(), Server::new())
}

/// After the end nothing is said and no timer runs.
fn is_silent(w: &mut World) {
    let before = w.server.datagrams;
    for _ in 0..10 {
        w.server.push(&[0x41; 100]);
    }
    w.run();
    w.wait(secs(300));
    assert_eq!(w.server.datagrams, before, "it talks after its end");
    assert_eq!(w.client.poll_timeout(), None);
}

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

// RFC 9000 section 10.3: stateless reset.

#[test]
fn a_stateless_reset_ends_it() {
    for len in [21, 22, 43, 200, 1200] {
        let mut w = connected();
        w.open(b"x", true);
        w.run();
        w.deliver(&Server::reset(&RESET_TOKEN, len), 0);
        assert_eq!(w.log.lost(), Some(&Lost::Reset), "{len} bytes");
        is_silent(&mut w);
    }
}

#[test]
fn a_reset_with_another_token_is_ignored() {
    let mut w = connected();
    for at in 0..16 {
        let mut token = RESET_TOKEN;
        token[at] ^= 1;
        w.deliver(&Server::reset(&token, 50), 0);
    }
    w.deliver(&Server::reset(&[0; 16], 50), 0);
    w.exchange();
}

#[test]
fn tokens_count_while_their_id_is_in_use() {
    let mut w = connected();
    let id = |seq, retire, name: &[u8], token| Frame::NewConnectionId {
        seq,
        retire,
        id: name.to_vec(),
        token: [token; 16],
    };
    w.tell(&[id(1, 0, b"id-no--1", 1)]);
    // Not used yet.
    w.deliver(&Server::reset(&[1; 16], 50), 0);
    w.exchange();
    w.tell(&[id(2, 1, b"id-no--2", 2)]);
    w.settle();
    // Retired.
    w.deliver(&Server::reset(&RESET_TOKEN, 50), 0);
    w.exchange();
    let token = w.server.seen.last().unwrap().dcid[7] - b'0';
    w.deliver(&Server::reset(&[token; 16], 50), 0);
    assert_eq!(w.log.lost(), Some(&Lost::Reset));
}

// RFC 9001 section 6: key updates.

#[test]
fn the_server_updates_its_keys() {
    let mut w = connected();
    for generation in 1..6 {
        w.server.send_generation += 1;
        w.exchange();
        w.exchange();
        let last = w.server.seen.last().unwrap();
        assert_eq!((last.generation, last.key_phase), (generation, generation % 2 == 1));
        w.wait(secs(1));
    }
}

#[test]
fn keys_after_the_next_ones_are_nobodys() {
    let mut w = connected();
    w.server.send_generation += 2;
    w.tell(&[Frame::stream(3, 0, b"lost", false)]);
    w.server.send_generation -= 2;
    w.exchange();
    assert!(!w.log.data.contains_key(&3));
    assert_eq!(w.server.receive_generation, 0);
}

#[test]
fn a_flipped_key_phase_is_no_update() {
    let mut w = connected();
    for _ in 0..20 {
        let mut shape = w.server.shape(Level::OneRtt);
        shape.key_phase = true;
        let bytes = w.server.sealed(&shape, &wire::payload(&[Frame::stream(3, 0, b"lost", false)]));
        w.deliver(&bytes, 0);
    }
    w.exchange();
    assert!(!w.log.data.contains_key(&3) && w.server.receive_generation == 0);
}

#[test]
fn packets_of_old_keys_may_be_late() {
    let mut w = connected();
    let late = w.server.framed(Level::OneRtt, &[Frame::stream(3, 0, b"late", true)]);
    w.server.send_generation += 1;
    w.tell(&[Frame::Ping]);
    w.deliver(&late, 0);
    w.run();
    assert_eq!(w.log.data[&3], b"late");
    w.exchange();
}

/// Section 6.4: an error, for those who try old keys on packets with higher numbers at all; never something to believe.
#[test]
fn old_keys_behind_new_ones_are_nobodys() {
    let mut w = connected();
    w.server.send_generation += 1;
    w.tell(&[Frame::Ping]);
    w.server.send_generation -= 1;
    w.tell(&[Frame::stream(3, 0, b"lost", false)]);
    w.server.send_generation += 1;
    assert!(!w.log.data.contains_key(&3));
    if w.log.is_lost() {
        assert_eq!(w.server.closed().map(|c| c.1), Some(0xe));
    } else {
        w.exchange();
    }
}

/// Section 6.5 lets the client take it for an error.
#[test]
fn an_update_before_the_last_was_answered() {
    let mut w = connected();
    for _ in 0..2 {
        w.server.send_generation += 1;
        let bytes = w.server.framed(Level::OneRtt, &[Frame::Ping]);
        w.deliver(&bytes, 0);
    }
    w.run();
    if w.log.is_lost() {
        assert_eq!(w.server.closed().map(|c| c.1), Some(0xe));
    } else {
        w.exchange();
    }
}

#[test]
fn the_client_updates_its_keys() {
    let mut w = connected();
    for generation in 1..6 {
        w.client.update_keys();
        w.exchange();
        w.exchange();
        assert_eq!(w.server.receive_generation, generation);
        w.wait(secs(2));
    }
}

/// Section 6.1: not before the first was acknowledged, nor before the handshake is confirmed.
#[test]
fn the_client_waits_with_its_next_update() {
    let mut w = World::new(&config(), Server::new());
    w.server.confirms = false;
    w.run();
    w.settle();
    w.client.update_keys();
    w.exchange();
    assert_eq!(w.server.receive_generation, 0, "the handshake was not confirmed");
    w.server.confirms = true;
    w.run();
    w.settle();
    w.exchange();
    assert_eq!(w.server.receive_generation, 1, "as soon as it is allowed");
    w.wait(secs(2));
    w.server.acks = false;
    w.client.update_keys();
    w.open(b"x", true);
    w.run();
    w.client.update_keys();
    w.open(b"x", true);
    w.run();
    assert!(w.server.receive_generation <= 2, "{}", w.server.receive_generation);
}

// RFC 9000 section 13.4: ECN.

#[test]
fn marks_go_on_while_they_are_counted_right() {
    let mut w = connected();
    for _ in 0..50 {
        w.exchange();
    }
    assert_eq!(w.server.seen.last().unwrap().ecn, 2);
}

fn stops_marking(mut w: World) {
    for _ in 0..50 {
        w.exchange();
    }
    let before = w.server.seen.len();
    w.remark = |ecn| ecn;
    for _ in 0..5 {
        w.exchange();
    }
    assert!(w.since(before).iter().all(|p| p.ecn == 0), "it goes on marking");
}

#[test]
fn marks_end_where_nobody_counts_them() {
    let mut w = World::new(&config(), Server::new());
    w.server.reports_ecn = false;
    w.run();
    w.settle();
    stops_marking(w);
}

#[test]
fn marks_end_where_they_are_washed_off() {
    let mut w = World::new(&config(), Server::new());
    w.remark = |_| 0;
    w.run();
    w.settle();
    stops_marking(w);
}

#[test]
fn marks_end_where_they_become_others() {
    let mut w = World::new(&config(), Server::new());
    w.remark = |ecn| if ecn == 2 { 1 } else { ecn };
    w.run();
    w.settle();
    stops_marking(w);
}

#[test]
fn a_congested_path_narrows_the_window() {
    for congestion in [Congestion::Cubic, Congestion::NewReno] {
        let mut w = World::connected(&Config { congestion, ..config() }, Server::new());
        for _ in 0..5 {
            w.exchange();
        }
        let before = w.client.stats().congestion_window;
        w.remark = |ecn| if ecn == 2 { 3 } else { ecn };
        w.exchange();
        let after = w.client.stats().congestion_window;
        assert!(after < before, "{congestion:?}: {before} and then {after}");
    }
}

#[test]
fn marks_of_the_server_are_counted() {
    let mut w = connected();
    w.ecn = 2;
    w.exchange();
    w.ecn = 3;
    w.exchange();
    let counts = w.server.frames().filter_map(|f| if let Frame::Ack { ecn, .. } = f { *ecn } else { None });
    let last = counts.last().expect("RFC 9000 section 13.4.1: ACK_ECN");
    assert!(last[0] > 0 && last[1] == 0 && last[2] > 0, "{last:?}");
}

// RFC 9002: probes.

/// Section 6.2.1 and RFC 9000 section 14.1.
#[test]
fn a_server_that_is_not_there() {
    let mut w = World::new(&config(), Server::new());
    w.deaf = true;
    let mut times = Vec::new();
    while !w.log.is_lost() {
        let spoken = w.spoken();
        assert!(spoken.iter().all(|d| d.0.len() >= 1200), "an Initial in less than 1200 bytes");
        if !spoken.is_empty() {
            times.push(w.now);
            assert!(spoken.len() <= 3, "{} datagrams at once", spoken.len());
        }
        let next = w.client.poll_timeout().expect("something must happen");
        assert!(next > w.now);
        w.now = next;
        w.client.handle_timeout(w.now);
        while let Some(event) = w.client.poll_event() {
            w.log.events.push(event);
        }
    }
    assert_eq!(w.log.lost(), Some(&Lost::TimedOut));
    assert!(w.now.since(Time::ZERO) >= secs(29) && w.now.since(Time::ZERO) <= secs(31), "{:?}", w.now);
    // 3 times the initial round trip, and then twice as long each time.
    let gaps: Vec<Duration> = times.windows(2).map(|t| t[1].since(t[0])).collect();
    assert!((millis(140)..millis(200)).contains(&gaps[0]), "{gaps:?}");
    for pair in gaps.windows(2).take(5) {
        assert!(pair[1] > pair[0] * 19 / 10 && pair[1] < pair[0] * 21 / 10, "{gaps:?}");
    }
    is_silent(&mut w);
}

/// Section 6.2.2.1: the server may not send more before it knows the client's address.
#[test]
fn the_client_breaks_the_deadlock() {
    let mut w = greeted();
    // Its packets were acknowledged, and nothing is in flight.
    let ack = w.server.ack_frame(0).unwrap();
    w.say(Level::Initial, &[ack]);
    let before = w.server.seen.len();
    w.wait(secs(1));
    let probe = w.since(before).first().expect("a probe");
    assert_eq!((probe.level, probe.size >= 1200), (Level::Initial, true));
    proceeds(&mut w);
    // The same with the keys of Handshake packets.
    let mut w = greeted();
    let ack = w.server.ack_frame(0).unwrap();
    w.server.speak(Level::Initial);
    w.say(Level::Initial, &[ack]);
    let before = w.server.seen.len();
    w.wait(secs(1));
    assert!(w.since(before).iter().any(|p| p.level == Level::Handshake), "{:?}", w.since(before));
    proceeds(&mut w);
}

/// RFC 9001 section 4.9.
#[test]
fn keys_that_are_over_are_not_used() {
    let mut w = connected();
    for _ in 0..3 {
        w.exchange();
    }
    let first = w.server.seen.iter().position(|p| p.level == Level::Handshake).unwrap();
    assert!(w.since(first).iter().all(|p| p.level != Level::Initial), "Initial after Handshake");
    let last = w.server.seen.iter().rposition(|p| p.level == Level::Handshake).unwrap();
    assert!(w.server.seen.len() - last > 5, "Handshake after it was confirmed");
}

#[test]
fn what_was_lost_is_said_again() {
    let mut w = connected();
    w.exchange();
    w.deaf = true;
    let id = w.open(b"lost at first", true);
    let uni = w.client.open_uni().unwrap();
    w.client.write(uni, b"too".as_slice().into(), false);
    w.log.cookies.insert(uni.0, 0);
    w.flush();
    w.deaf = false;
    w.wait(secs(2));
    assert_eq!(w.server.streams[&id].whole().unwrap(), b"lost at first");
    assert_eq!(w.log.sent.iter().filter(|s| **s == id).count(), 1, "sent is told once");
    w.deaf = true;
    w.client.reset(uni, 77);
    w.client.stop_sending(StreamId(id), 78);
    w.flush();
    w.deaf = false;
    w.wait(secs(2));
    assert_eq!(w.server.streams[&uni.0].reset, Some(77));
    assert!(w.server.frames().any(|f| *f == Frame::StopSending { id, code: 78 }));
    w.exchange();
}

/// RFC 9002 section 6.1.1: three packets later.
#[test]
fn a_packet_that_was_overtaken_is_lost() {
    let mut w = connected();
    w.exchange();
    w.deaf = true;
    let first = w.open(b"lost", true);
    w.flush();
    w.deaf = false;
    for _ in 0..4 {
        w.open(b"seen", true);
        w.flush();
    }
    w.answer();
    w.flush();
    assert_eq!(w.server.streams[&first].whole().as_deref(), Some(&b"lost"[..]), "without a timer");
    assert!(w.client.stats().packets_lost >= 1);
}

/// RFC 9002 section 7: the initial window, and the probes.
#[test]
fn a_server_that_acknowledges_nothing_gets_a_window_and_probes() {
    for congestion in [Congestion::Cubic, Congestion::NewReno, Congestion::Bbr] {
        let mut w = World::connected(&Config { congestion, ..config() }, Server::new());
        w.server.acks = false;
        let window = w.client.stats().congestion_window;
        let before = w.server.seen.len();
        w.open(&vec![7; 800_000], true);
        for _ in 0..100 {
            w.now = w.now.after(millis(1));
            w.flush();
        }
        let bytes: usize = w.since(before).iter().map(|p| p.size).sum();
        assert!(
            bytes as u64 <= window + 2 * 1500 + 1500,
            "{congestion:?}: {bytes} bytes, the window is {window}"
        );
        assert!(bytes as u64 > window / 2, "{congestion:?}: {bytes} bytes, the window is {window}");
    }
}

/// RFC 9002 section 7.6.
#[test]
fn a_path_that_is_dead_for_long_narrows_the_window_to_the_least() {
    for congestion in [Congestion::Cubic, Congestion::NewReno] {
        let mut w = World::connected(&Config { congestion, ..config() }, Server::new());
        for _ in 0..5 {
            w.exchange();
        }
        w.deaf = true;
        for _ in 0..10 {
            w.open(&[7; 1000], true);
            w.flush();
            w.wait(millis(300));
        }
        w.deaf = false;
        w.wait(secs(2));
        let least = 2 * u64::from(w.client.mtu());
        assert!(w.narrowest <= least + 1000, "{congestion:?}: {} and not {least}", w.narrowest);
        w.exchange();
    }
}

// RFC 9000 section 13.2: acknowledgements.

#[test]
fn every_second_packet_is_acknowledged_at_once() {
    let mut w = connected();
    w.exchange();
    w.settle();
    let acked = |w: &World, before: usize| {
        w.since(before).iter().any(|p| p.frames.iter().any(|f| matches!(f, Frame::Ack { .. })))
    };
    let before = w.server.seen.len();
    w.server.tell(&[Frame::Ping]);
    w.answer();
    w.flush();
    assert!(!acked(&w, before), "the first may wait");
    w.server.tell(&[Frame::Ping]);
    w.answer();
    w.flush();
    assert!(acked(&w, before), "the second may not");
    // One alone: within max_ack_delay.
    w.settle();
    let before = w.server.seen.len();
    let most = w.server.client_param(param::MAX_ACK_DELAY).unwrap_or(25);
    w.tell(&[Frame::Ping]);
    w.wait(millis(most));
    assert!(acked(&w, before), "not within max_ack_delay");
    // Out of order: at once.
    w.settle();
    let before = w.server.seen.len();
    w.server.next_number[2] += 1;
    w.server.tell(&[Frame::Ping]);
    w.answer();
    w.flush();
    assert!(acked(&w, before), "RFC 9000 section 13.2.1: out of order");
}

#[test]
fn acknowledgements_are_not_acknowledged() {
    let mut w = connected();
    w.exchange();
    w.settle();
    let before = w.server.seen.len();
    for _ in 0..20 {
        let ack = w.server.ack_frame(2).unwrap();
        w.tell(&[ack]);
    }
    w.wait(secs(3));
    assert_eq!(w.server.seen.len(), before, "{:?}", w.since(before));
}

#[test]
fn the_handshake_is_acknowledged_at_once() {
    let mut w = greeted();
    w.server.speak(Level::Initial);
    w.answer();
    w.flush();
    let acks = |w: &World, level| {
        w.server.seen.iter().any(|p| p.level == level && matches!(p.frames[0], Frame::Ack { .. }))
    };
    assert!(acks(&w, Level::Initial));
    w.server.say(Level::Handshake, &[Frame::Ping]);
    w.answer();
    w.flush();
    assert!(acks(&w, Level::Handshake));
}

// RFC 9000 section 8.2.

#[test]
fn a_path_challenge_is_answered() {
    let mut w = connected();
    let before = w.server.seen.len();
    w.tell(&[Frame::PathChallenge(*b"question")]);
    let answer = w.since(before).iter().find(|p| p.frames.contains(&Frame::PathResponse(*b"question")));
    assert!(answer.expect("an answer").size >= 1200, "RFC 9000 section 8.2.2: in 1200 bytes");
    // It is not repeated when it is lost.
    w.deaf = true;
    w.tell(&[Frame::PathChallenge(*b"another!")]);
    w.deaf = false;
    w.wait(secs(2));
    assert!(!w.server.frames().any(|f| *f == Frame::PathResponse(*b"another!")));
}

// RFC 9000 section 4: what the server allows.

fn set(params: &mut scripted::Params, id: u64, value: u64) {
    params.retain(|p| p.0 != id);
    params.push((id, varint(value)));
}

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

// RFC 9000 section 14, RFC 8899: sizes.

#[test]
fn larger_datagrams_are_tried_and_used() {
    let mut w = connected();
    w.exchange();
    w.wait(secs(1));
    assert_eq!(w.client.mtu(), 1452);
    let before = w.server.seen.len();
    w.open(&[7; 20_000], true);
    w.settle();
    let most = w.since(before).iter().map(|p| p.size).max().unwrap();
    assert_eq!(most, 1452);
}

#[test]
fn the_server_limits_the_size() {
    let mut w = World::connected(&config(), Server::with(|p| set(p, param::MAX_UDP_PAYLOAD, 1300)));
    w.exchange();
    w.open(&[7; 50_000], true);
    w.settle();
    assert!(w.server.seen.iter().all(|p| p.size <= 1300), "RFC 9000 section 18.2");
    assert!(w.client.mtu() <= 1300);
}

#[test]
fn a_known_size_is_used_at_once() {
    let known = Config { known_udp_payload: 1400, max_udp_payload: 1400, ..config() };
    let mut w = World::connected(&known, Server::new());
    assert_eq!(w.client.mtu(), 1400);
    w.open(&[7; 20_000], true);
    w.settle();
    assert!(w.server.seen.iter().any(|p| p.size == 1400) && w.server.seen.iter().all(|p| p.size <= 1400));
}

#[test]
fn batches_are_of_one_size_but_the_last() {
    for segments in [1, 4, 64] {
        let mut w = World::connected(&Config { segments, ..config() }, Server::new());
        w.open(&[7; 100_000], true);
        let mut most = 0;
        for _ in 0..500 {
            w.now = w.now.after(millis(1));
            loop {
                let mut out = b"kept".to_vec();
                let Some(t) = w.client.poll_transmit(w.now, 65_536, &mut out, &mut |_, _| {}) else { break };
                assert_eq!(&out[..4], b"kept");
                let bytes = &out[4..];
                let size = t.segment_size.unwrap_or(bytes.len());
                assert!(t.segment_size.is_none_or(|s| s < bytes.len()));
                most = most.max(bytes.len().div_ceil(size));
                for datagram in bytes.chunks(size) {
                    w.server.datagram(w.now, t.ecn, datagram);
                }
            }
            w.answer();
            if w.client.poll_timeout().is_some_and(|t| t <= w.now) {
                w.client.handle_timeout(w.now);
            }
        }
        assert_eq!(w.server.streams[&0].whole().map(|b| b.len()), Some(100_000));
        assert!(most <= segments && (segments == 1 || most > 1), "{most} of {segments}");
    }
}

#[test]
fn a_small_limit_is_no_more_than_that() {
    let mut w = connected();
    w.open(&[7; 10_000], true);
    for limit in [0, 1, 100, 1199] {
        let mut out = Vec::new();
        assert_eq!(w.client.poll_transmit(w.now, limit, &mut out, &mut |_, _| {}), None, "{limit}");
        assert!(out.is_empty());
    }
    let mut out = Vec::new();
    w.client.poll_transmit(w.now, 3000, &mut out, &mut |_, _| {}).unwrap();
    assert!(out.len() <= 3000);
}

#[test]
fn datagrams_come_in_batches() {
    let mut w = connected();
    let mut all = Vec::new();
    let mut stride = 0;
    for n in 0..20u64 {
        let last = n == 19;
        let len = if last { 50 } else { 1000 };
        let bytes = w.server.framed(
            Level::OneRtt,
            &[Frame::Stream { id: 3, offset: n * 1000, data: vec![7; len], fin: last }],
        );
        // Numbers of the same length, offsets not: the frames behind pad what is missing.
        stride = stride.max(bytes.len());
        let mut bytes = bytes;
        if !last && bytes.len() < stride + 8 {
            let short = 1040 - bytes.len();
            bytes = w.server.framed(
                Level::OneRtt,
                &[
                    Frame::Stream { id: 3, offset: n * 1000, data: vec![7; len], fin: last },
                    Frame::Padding(short),
                ],
            );
        }
        all.extend(bytes);
    }
    w.client.handle_datagrams(w.now, &mut all, 1040, 0, &mut w.log);
    assert_eq!(w.log.data[&3], [7; 19_050]);
    for stride in [0, 1, 7, 5000] {
        w.client.handle_datagrams(w.now, &mut [0x40; 1000], stride, 0, &mut w.log);
    }
    w.client.handle_datagrams(w.now, &mut [], 0, 0, &mut w.log);
    w.exchange();
}

// RFC 9000 section 10: endings.

#[test]
fn the_owner_closes() {
    let mut w = connected();
    w.open(b"x", true);
    w.client.close(w.now, 0x123, b"enough");
    w.run();
    let close = Frame::Close { code: 0x123, frame: None, reason: b"enough".to_vec() };
    assert_eq!(w.server.frames().filter(|f| **f == close).count(), 1);
    assert!(w.log.lost().is_none_or(|l| *l == Lost::ClosedLocally));
    assert_eq!((w.client.bi_available(), w.client.open_bi(1), w.client.open_uni()), (0, None, None));
    w.client.close(w.now, 0x124, b"again");
    w.wait(secs(300));
    assert_eq!(w.client.poll_timeout(), None);
}

/// Section 10.2.3: the application's code is not for those who may not be the server.
#[test]
fn the_owner_closes_during_the_handshake() {
    for keys in [false, true] {
        let mut w = greeted();
        if keys {
            w.server.speak(Level::Initial);
            w.run();
        }
        w.client.close(w.now, 0x123, b"enough");
        w.run();
        let (level, code, frame) = w.server.closed().expect("it is said");
        assert_eq!((code, frame.is_some()), (0xc, true));
        assert_eq!(level, if keys { Level::Handshake } else { Level::Initial });
        let reasons =
            w.server.frames().filter(|f| matches!(f, Frame::Close { reason, .. } if !reason.is_empty()));
        assert_eq!(reasons.count(), 0, "RFC 9000 section 10.2.3: no reason");
    }
}

#[test]
fn the_owner_closes_before_anything() {
    let mut client = Connection::new(&config(), crypto(), "peer.test", None, Time::ZERO).unwrap();
    client.close(Time::ZERO, 1, b"");
    let mut out = Vec::new();
    while client.poll_transmit(Time::ZERO, 65_536, &mut out, &mut |_, _| {}).is_some() {}
    while let Some(at) = client.poll_timeout() {
        assert!(at > Time::ZERO && at < Time::ZERO.after(secs(60)));
        client.handle_timeout(at);
    }
}

fn closed_by(level: Level, frame: Frame) -> (World, Lost) {
    let mut w = match level {
        Level::OneRtt => connected(),
        _ => greeted(),
    };
    if level == Level::Handshake {
        w.server.speak(Level::Initial);
        w.run();
    }
    let before = w.server.seen.len();
    w.say(level, &[frame]);
    // Section 10.2.2: one packet may be sent, and then nothing more.
    assert!(w.server.seen.len() - before <= 2, "{:?}", w.since(before));
    let lost = w.log.lost().expect("it is over").clone();
    is_silent(&mut w);
    (w, lost)
}

#[test]
fn the_server_closes() {
    let quic = |code| Frame::Close { code, frame: Some(6), reason: b"why not".to_vec() };
    for level in [Level::Initial, Level::Handshake, Level::OneRtt] {
        let (_, lost) = closed_by(level, quic(0x178));
        assert_eq!(lost, Lost::ClosedByTransport { code: 0x178, reason: "why not".into() });
    }
    let app = Frame::Close { code: 0x100, frame: None, reason: b"done \xff".to_vec() };
    let (_, lost) = closed_by(Level::OneRtt, app);
    let Lost::ClosedByApplication { code: 0x100, reason } = lost else { panic!("{lost:?}") };
    assert!(reason.starts_with("done"));
}

#[test]
fn data_before_the_end_is_delivered() {
    let mut w = connected();
    let id = w.open(b"x", true);
    w.run();
    w.tell(&[Frame::stream(id, 0, b"last", true), Frame::Close { code: 0, frame: None, reason: vec![] }]);
    assert_eq!(w.log.data[&id], b"last");
    assert!(w.log.is_lost());
}

#[test]
fn a_certificate_of_nobody() {
    let other = rcgen::generate_simple_self_signed(vec!["peer.test".into()]).unwrap();
    let tls = Tls::new(Arc::new(client_tls_trusting(other.cert.der()))).unwrap();
    let mut w = World::over(&config(), &tls, Server::new());
    w.run();
    let Some(Lost::Transport { code, .. }) = w.log.lost() else { panic!("{:?}", w.log.events) };
    assert!((0x100..0x200).contains(code));
    assert_eq!(w.server.closed().map(|c| c.1), Some(*code));
}

#[test]
fn a_server_without_our_protocol() {
    let mut tls = client_tls();
    tls.alpn_protocols = vec![b"other".to_vec()];
    let tls = Tls::new(Arc::new(tls)).unwrap();
    let mut w = World::over(&config(), &tls, Server::new());
    w.run();
    assert!(w.server.tls_error.is_some());
    // RFC 9001 section 8.1: no_application_protocol. A server says it with all the keys it has.
    for level in [Level::Handshake, Level::Initial] {
        if w.server.has_keys(level) && !w.log.is_lost() {
            w.say(level, &[Frame::Close { code: 0x178, frame: Some(6), reason: vec![] }]);
        }
    }
    assert_eq!(w.log.lost(), Some(&Lost::ClosedByTransport { code: 0x178, reason: String::new() }));
}

// RFC 9000 section 10.1: silence.

#[test]
fn silence_ends_it() {
    for (ours, theirs, after) in [
        (Some(10), 30_000, Some(10)),
        (Some(30), 5_000, Some(5)),
        (None, 5_000, Some(5)),
        (Some(7), 0, Some(7)),
        (None, 0, None),
    ] {
        let idle = Config { idle_timeout: ours.map(secs), ..config() };
        let mut w = World::connected(&idle, Server::with(move |p| set(p, param::IDLE_TIMEOUT, theirs)));
        w.exchange();
        w.settle();
        let last = w.now;
        let Some(after) = after else {
            w.wait(secs(3600));
            assert!(!w.log.is_lost());
            w.exchange();
            continue;
        };
        w.deaf = true;
        w.wait(secs(after - 1));
        assert!(!w.log.is_lost(), "{ours:?} {theirs}: {:?} after {:?}", w.log.lost(), w.now.since(last));
        w.wait(secs(2));
        assert_eq!(w.log.lost(), Some(&Lost::TimedOut), "{ours:?} {theirs}");
        is_silent(&mut w);
    }
}

#[test]
fn packets_put_silence_off() {
    let idle = Config { idle_timeout: Some(secs(5)), ..config() };
    let mut w = World::connected(&idle, Server::new());
    for _ in 0..10 {
        w.wait(secs(4));
        w.tell(&[Frame::Ping]);
    }
    assert!(!w.log.is_lost());
    for _ in 0..10 {
        w.wait(secs(4));
        w.exchange();
    }
    assert!(!w.log.is_lost());
    // What cannot be read does not.
    w.wait(secs(3));
    w.deliver(&[0x41; 100], 0);
    w.wait(secs(3));
    assert_eq!(w.log.lost(), Some(&Lost::TimedOut));
}

#[test]
fn an_idle_connection_has_nothing_to_do() {
    let mut w = connected();
    w.exchange();
    w.wait(secs(2));
    let before = w.server.seen.len();
    let wakes = (0..20).filter(|_| {
        let soon = w.client.poll_timeout().is_some_and(|t| t <= w.now.after(secs(1)));
        w.wait(secs(1));
        soon
    });
    assert!(wakes.count() <= 3, "it wakes up for nothing");
    assert!(w.server.seen.len() - before <= 2, "{:?}", w.since(before));
}

// RFC 9001 section 4.6: early data.

fn early_tls() -> Tls {
    let mut tls = client_tls();
    tls.enable_early_data = true;
    tls.resumption = rustls::client::Resumption::in_memory_sessions(4);
    Tls::new(Arc::new(tls)).unwrap()
}

/// Both servers resume each other's sessions; the second may refuse early data, and may have changed its parameters.
fn resumed(take: bool, adjust: impl Fn(&mut scripted::Params) + 'static) -> World {
    let (tls, sessions) = (early_tls(), rustls::server::ServerSessionMemoryCache::new(16));
    let server = |early| {
        let mut config = server_tls(ALPN, early);
        config.session_storage = sessions.clone();
        Arc::new(config)
    };
    let mut first = World::over(&config(), &tls, Server::over(server(true), |_| {}));
    first.run();
    first.settle();
    assert!(!first.client.has_early_data());
    first.exchange();
    World::over(&config(), &tls, Server::over(server(take), adjust))
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
