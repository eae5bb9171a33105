//! What RFC 9002 and the parts of RFC 9000 about packets want: probes, acknowledgements, ECN, path challenges, sizes.

mod common;

use common::scripted::{Server, param, set};
use common::wire::{Frame, Level, ranges_of};
use common::world::{World, config, connected, greeted, is_silent, proceeds};
use common::*;
use proto::Time;
use proto_quic::tls::Tls;
use proto_quic::{Config, Congestion, Lost, StreamId};
use std::sync::Arc;
use std::time::Duration;

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
        // What the ACK acknowledges that tells of it counts again (section A.7).
        let least = 2 * u64::from(w.client.mtu());
        assert!(w.narrowest <= least + 1200, "{congestion:?}: {} and not {least}", w.narrowest);
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

// RFC 9002 section 7.8: whose window counts as used.

/// Ten milliseconds pass, so that nothing is held back by the pacer.
fn pass(w: &mut World) {
    for _ in 0..10 {
        w.now = w.now.after(millis(1));
        w.fire();
        w.flush();
    }
}

/// The window was full when they left, and has room when they are acknowledged.
#[test]
fn a_window_that_was_full_grows_though_nothing_more_waits() {
    for congestion in [Congestion::Cubic, Congestion::NewReno] {
        let mut w = World::new(&Config { congestion, ..config() }, Server::new());
        w.server.reports_ecn = false;
        w.run();
        w.settle();
        w.server.acks = false;
        let (window, before) = (w.client.stats().congestion_window, w.server.seen.len());
        let id = w.open(&vec![7; window as usize + 2000], true);
        pass(&mut w);
        let numbers: Vec<u64> = w.since(before).iter().map(|p| p.number).collect();
        assert!(w.server.streams[&id].whole().is_none() && numbers.len() >= 10, "the window is full");
        for upto in [2, numbers.len()] {
            let ranges = ranges_of(numbers[..upto].iter().copied());
            w.server.tell(&[Frame::Ack { delay: 0, ranges, ecn: None }]);
            w.answer();
            pass(&mut w);
            assert!(w.server.streams[&id].whole().is_some(), "nothing waits any more");
        }
        let (after, sent) = (w.client.stats().congestion_window, numbers.len() as u64 * 1400);
        assert!(after >= window + sent, "{congestion:?}: {window} and then {after}");
        // What left afterwards found room.
        let all = w.since(before).iter().map(|p| p.number);
        let ranges = ranges_of(all.collect::<Vec<_>>().into_iter());
        w.server.tell(&[Frame::Ack { delay: 0, ranges, ecn: None }]);
        w.answer();
        assert_eq!(w.client.stats().congestion_window, after, "{congestion:?}");
    }
}

/// It is full to the last datagram, and nothing waits behind that.
#[test]
fn a_window_that_is_just_filled_grows() {
    for congestion in [Congestion::Cubic, Congestion::NewReno] {
        let mut w = World::connected(&Config { congestion, ..config() }, Server::new());
        for _ in 0..3 {
            let window = w.client.stats().congestion_window;
            // Each datagram has some 35 bytes that are not the stream's.
            w.open(&vec![7; (window as usize - 700) * 1417 / 1452], true);
            pass(&mut w);
            w.answer();
            w.settle();
            let after = w.client.stats().congestion_window;
            assert!(after >= 2 * window - 3000, "{congestion:?}: {window} and then {after}");
        }
    }
}

/// Who is held back by the pacer uses its window: it doubles in each round trip of slow start.
#[test]
fn the_pacer_does_not_keep_the_window_small() {
    for congestion in [Congestion::Cubic, Congestion::NewReno] {
        let mut w = World::new(&Config { congestion, ..config() }, Server::new());
        w.way = millis(20);
        w.run();
        w.settle();
        w.open(&vec![7; 900_000], true);
        w.settle();
        let window = w.client.stats().congestion_window;
        assert!(window >= 450_000, "{congestion:?}: {window}");
    }
}

/// RFC 9002 section A.7: an acknowledgement's own round trip is known to the controller when it grows the window by it.
#[test]
fn the_round_trip_is_measured_before_the_window_grows() {
    let mut w = World::connected(&Config { congestion: Congestion::Bbr, ..config() }, Server::new());
    w.exchange();
    // The path becomes a longer one while what is known of it grows too old.
    w.wait(secs(12));
    w.way = millis(20);
    w.open(&vec![7; 900_000], true);
    w.settle();
    let window = w.client.stats().congestion_window;
    assert!(window > 100_000, "the shortest round trip that it believes in is one of before: {window}");
}

/// Section 6.2.1: before the handshake is confirmed the server may be unable to read 1-RTT packets, or the client their
/// acknowledgements.
#[test]
fn one_rtt_packets_are_not_probed_for_before_the_handshake_is_confirmed() {
    let mut w = World::new(&config(), Server::new());
    w.server.confirms = false;
    w.run();
    assert!(w.log.is_connected());
    let before = w.server.seen.len();
    w.deaf = true;
    let id = w.open(b"request", true);
    w.flush();
    w.deaf = false;
    w.wait(secs(10));
    assert!(w.since(before).iter().all(|p| p.level != Level::OneRtt), "{:?}", w.since(before));
    w.server.confirms = true;
    w.answer();
    w.wait(secs(2));
    assert_eq!(w.server.streams[&id].whole().as_deref(), Some(&b"request"[..]));
}

/// RFC 9002 section 7.6.2: what was sent before anything was measured is no sign of a path that is dead for long.
#[test]
fn congestion_persists_only_after_a_round_trip_was_measured() {
    for congestion in [Congestion::Cubic, Congestion::NewReno] {
        let mut w = World::new(&Config { congestion, ..config() }, Server::new());
        w.deaf = true;
        w.flush();
        w.wait(secs(5));
        w.deaf = false;
        w.wait(secs(10));
        assert!(w.log.is_connected() && w.client.stats().packets_lost >= 3, "{:?}", w.client.stats());
        assert!(w.narrowest > 4000, "{congestion:?}: {}", w.narrowest);
    }
}

/// RFC 9000 section 14.3: where nothing arrives any more, the path may be narrower. Probes find out, by a size that every path
/// carries.
#[test]
fn probes_that_are_not_answered_become_small() {
    let mut w = connected();
    w.exchange();
    assert_eq!(w.client.mtu(), 1452);
    w.deaf = true;
    let id = w.open(&vec![7; 20_000], true);
    pass(&mut w);
    let mut largest = Vec::new();
    while largest.len() < 8 {
        w.now = w.client.poll_timeout().unwrap();
        w.fire();
        largest.extend(w.spoken().iter().map(|d| d.0.len()).max());
    }
    assert!(largest[0] == 1452 && largest[1..].iter().all(|size| *size <= 1200), "{largest:?}");
    assert_eq!(w.client.mtu(), 1452, "an outage is no narrower path");
    w.deaf = false;
    w.wait(secs(60));
    assert!(w.server.streams[&id].whole().is_some());
}

/// RFC 8899 section 5.3: one who always has something to say searches as well.
#[test]
fn larger_datagrams_are_tried_by_who_is_never_idle() {
    for way in [Duration::from_micros(100), millis(10)] {
        let mut w = World::new(&config(), Server::new());
        w.way = way;
        let (mut id, mut half) = (None, false);
        for _ in 0..5000 {
            w.now = w.now.after(way);
            w.fire();
            w.flush();
            w.now = w.now.after(way);
            w.answer();
            if id.is_none() && w.log.is_connected() {
                id = Some(w.open(&vec![7; 1_000_000], true));
            }
            half = id.and_then(|id| w.server.streams.get(&id)).is_some_and(|s| s.bytes.len() > 500_000);
            if half {
                break;
            }
        }
        assert!(half && w.server.streams[&id.unwrap()].whole().is_none());
        assert_eq!(w.client.mtu(), 1452, "{way:?}");
    }
}

/// RFC 9000 section 18.2: what is promised includes how late our timers are.
#[test]
fn acknowledgements_are_due_before_the_time_that_was_promised() {
    let mut w = connected();
    w.settle();
    let most = w.server.client_param(param::MAX_ACK_DELAY).unwrap_or(25);
    w.server.tell(&[Frame::Ping]);
    w.answer();
    w.flush();
    let due = w.client.poll_timeout().expect("an acknowledgement is due").since(w.now);
    assert!(due < millis(most - 1), "{due:?} of {most} ms");
}

/// RFC 9002 section 7: the handshake keeps to the window, too.
#[test]
fn a_client_hello_of_many_packets_keeps_to_the_window() {
    let mut tls = client_tls(ALPN);
    tls.alpn_protocols.extend((0..80).map(|n| vec![n; 200]));
    let tls = Tls::new(Arc::new(tls)).expect("it has the cipher");
    let mut w = World::over(&config(), &tls, Server::new());
    let window = w.client.stats().congestion_window;
    let sizes: Vec<usize> = w.spoken().iter().map(|d| d.0.len()).collect();
    assert_eq!(sizes, [1200; 10]);
    assert_eq!(window, 12_000);
    w.wait(secs(5));
    assert!(w.log.is_connected(), "{:?} {:?}", w.log.events, w.server.tls_error);
    w.exchange();
}
