//! How a connection ends: by a stateless reset, by either side's word, by silence; and that nothing follows.

mod common;

use common::scripted::{RESET_TOKEN, Server, param, set};
use common::wire::{Frame, Level};
use common::world::{World, config, connected, crypto, greeted, is_silent};
use common::*;
use proto::Time;
use proto_quic::tls::Tls;
use proto_quic::{Config, Connection, Lost};
use std::sync::Arc;

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
    let tls = Tls::new(Arc::new(client_tls_trusting(other.cert.der(), ALPN))).unwrap();
    let mut w = World::over(&config(), &tls, Server::new());
    w.run();
    let Some(Lost::Transport { code, .. }) = w.log.lost() else { panic!("{:?}", w.log.events) };
    assert!((0x100..0x200).contains(code));
    assert_eq!(w.server.closed().map(|c| c.1), Some(*code));
}

#[test]
fn a_server_without_our_protocol() {
    let mut tls = client_tls(ALPN);
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

/// RFC 9000 section 10.1: what was received and processed counts, and a copy of it is not processed.
#[test]
fn copies_do_not_keep_a_connection_alive() {
    let idle = Config { idle_timeout: Some(secs(5)), ..config() };
    let mut w = World::connected(&idle, Server::new());
    let copy = w.server.framed(Level::OneRtt, &[Frame::Ping]);
    w.deliver(&copy, 0);
    w.run();
    for _ in 0..8 {
        w.wait(secs(1));
        if w.log.is_lost() {
            break;
        }
        w.deliver(&copy, 0);
    }
    assert_eq!(w.log.lost(), Some(&Lost::TimedOut));
}

/// RFC 9000 section 10.2.3: what is said at several levels fits into one datagram beside a token, if need be without a reason.
#[test]
fn a_farewell_fits_beside_a_long_token() {
    for token in [0, 600, 1080] {
        let mut w = World::new(&config(), Server::new());
        (w.server.answers, w.server.acks) = (false, false);
        w.server.retry = (token > 0).then(|| vec![0x77; token]);
        w.run();
        w.server.speak(Level::Initial);
        w.server.say(Level::Handshake, &[Frame::Crypto { offset: 0, data: vec![0xff; 40] }]);
        w.answer();
        let spoken = w.spoken();
        assert!(w.log.is_lost() && spoken.len() == 1, "{:?}", w.log.events);
        assert_eq!(spoken[0].0.len(), 1200, "{token}");
        w.server.datagram(w.now, 0, &spoken[0].0);
        let said = w.server.frames().filter(|f| matches!(f, Frame::Close { .. })).count();
        assert_eq!(said, 2, "{token}");
    }
}
