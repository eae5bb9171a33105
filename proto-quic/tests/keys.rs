//! Keys change (RFC 9001 section 6), by either side's will and because they wear out.

mod common;

use common::scripted::Server;
use common::wire::{self, Frame, Level};
use common::world::{World, config, connected, crypto};
use common::*;
use proto_quic::crypto::{
    Crypto, Handshake, HandshakeFailure, KeyChange, KeyPair, Keys, PacketKey, PacketKeyPair, Session,
};
use proto_quic::{BadServerName, Lost};
use rustls::quic::Tag;

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

/// KEY_UPDATE_ERROR, or everything works.
fn is_an_error_or_nothing(mut w: World) {
    if w.log.is_lost() {
        assert_eq!(w.server.closed().map(|c| c.1), Some(0xe));
    } else {
        w.exchange();
    }
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
    is_an_error_or_nothing(w);
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
    is_an_error_or_nothing(w);
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
    assert_eq!(w.server.receive_generation, 2, "the last one was not acknowledged");
}

// Section 6.6: keys that wear out, with keys that say so after few packets.

/// Packets that a key may write, and forged ones that it may see.
#[derive(Clone, Copy)]
struct Limits {
    written: u64,
    forged: u64,
}

struct Weak(Limits);

struct WeakSession {
    inner: Box<dyn Session>,
    limits: Limits,
}

struct WeakKey {
    inner: Box<dyn PacketKey>,
    limits: Limits,
}

impl Crypto for Weak {
    fn start(&self, server_name: &str, params: Vec<u8>) -> Result<Box<dyn Session>, BadServerName> {
        Ok(Box::new(WeakSession { inner: crypto().start(server_name, params)?, limits: self.0 }))
    }
}

impl WeakSession {
    fn weak(&self, inner: Box<dyn PacketKey>) -> Box<dyn PacketKey> {
        Box::new(WeakKey { inner, limits: self.limits })
    }
}

impl Session for WeakSession {
    fn initial_keys(&self, dcid: &[u8]) -> KeyPair {
        self.inner.initial_keys(dcid)
    }
    fn early_keys(&self) -> Option<Keys> {
        self.inner.early_keys()
    }
    fn early_data_accepted(&self) -> bool {
        self.inner.early_data_accepted()
    }
    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }
    fn read_handshake(&mut self, bytes: &[u8]) -> Result<(), HandshakeFailure> {
        self.inner.read_handshake(bytes)
    }
    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<KeyChange> {
        Some(match self.inner.write_handshake(out)? {
            KeyChange::OneRtt(keys) => {
                let weak = |k: Keys| Keys { header: k.header, packet: self.weak(k.packet) };
                KeyChange::OneRtt(KeyPair { local: weak(keys.local), remote: weak(keys.remote) })
            }
            other => other,
        })
    }
    fn transport_parameters(&self) -> Option<&[u8]> {
        self.inner.transport_parameters()
    }
    fn next_keys(&mut self) -> Option<PacketKeyPair> {
        let keys = self.inner.next_keys()?;
        Some(PacketKeyPair { local: self.weak(keys.local), remote: self.weak(keys.remote) })
    }
    fn is_valid_retry(&self, original_dcid: &[u8], packet: &[u8]) -> bool {
        self.inner.is_valid_retry(original_dcid, packet)
    }
    fn handshake(&self) -> Option<Handshake> {
        self.inner.handshake()
    }
    fn certificate(&self) -> Option<Vec<u8>> {
        self.inner.certificate()
    }
}

impl PacketKey for WeakKey {
    fn encrypt_in_place(&self, number: u64, header: &[u8], payload: &mut [u8]) -> Result<Tag, rustls::Error> {
        self.inner.encrypt_in_place(number, header, payload)
    }
    fn decrypt_in_place<'a>(
        &self,
        number: u64,
        header: &[u8],
        payload: &'a mut [u8],
    ) -> Result<&'a [u8], rustls::Error> {
        self.inner.decrypt_in_place(number, header, payload)
    }
    fn tag_len(&self) -> usize {
        self.inner.tag_len()
    }
    fn confidentiality_limit(&self) -> u64 {
        self.limits.written
    }
    fn integrity_limit(&self) -> u64 {
        self.limits.forged
    }
}

fn weak(limits: Limits) -> World {
    let mut w = World::over(&config(), &Weak(limits), Server::new());
    w.run();
    w.settle();
    assert!(w.log.is_connected(), "{:?}", w.log.events);
    w
}

#[test]
fn keys_are_changed_before_they_are_worn_out() {
    let mut w = weak(Limits { written: 100, forged: 1 << 36 });
    for _ in 0..60 {
        for _ in 0..10 {
            w.tell(&[Frame::PathChallenge([1; 8])]);
        }
        w.exchange();
        w.wait(secs(1));
    }
    let generations = w.server.receive_generation;
    assert!(generations >= 6, "{generations} updates in {} packets", w.server.seen.len());
    for generation in 0..=generations {
        let written = w.server.seen.iter().filter(|p| p.level == Level::OneRtt && p.generation == generation);
        let written = written.count();
        assert!(written <= 100, "{written} packets with one key");
    }
}

#[test]
fn worn_out_keys_that_cannot_be_changed_end_the_connection() {
    let mut w = weak(Limits { written: 100, forged: 1 << 36 });
    // Nothing is acknowledged: no update is allowed any more after the next one (RFC 9001 section 6.1).
    w.server.acks = false;
    for _ in 0..1000 {
        w.tell(&[Frame::PathChallenge([1; 8])]);
        if w.log.is_lost() {
            break;
        }
    }
    let written = |generation| {
        w.server.seen.iter().filter(|p| p.level == Level::OneRtt && p.generation == generation).count()
    };
    assert!(written(0) <= 101 && written(1) <= 101, "{} and {}", written(0), written(1));
    assert!(w.log.is_lost(), "RFC 9001 section 6.6: it must stop using the connection");
}

#[test]
fn forged_packets_without_end_end_the_connection() {
    let mut w = weak(Limits { written: 1 << 23, forged: 50 });
    let good = w.server.framed(Level::OneRtt, &[Frame::Ping]);
    for n in 0..200u8 {
        let mut bad = good.clone();
        let last = bad.len() - 1;
        bad[last] ^= 1 + n;
        w.deliver(&bad, 0);
        if w.log.is_lost() {
            // Some of the handshake may have come without its keys.
            assert!(n >= 40, "after {n} already");
            break;
        }
    }
    w.run();
    // AEAD_LIMIT_REACHED.
    assert!(matches!(w.log.lost(), Some(Lost::Transport { code: 0xf, .. })), "{:?}", w.log.events);
    assert_eq!(w.server.closed().map(|c| c.1), Some(0xf));
}
