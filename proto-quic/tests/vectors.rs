//! The examples of RFC 9001 appendix A: the crate's TLS makes these keys, and the packets of the tests' own server are these
//! packets, bit by bit. That server is what all other rules are tried against.

mod common;

use common::wire::{self, Level, Outer, Shape};
use common::*;
use proto_quic::crypto::{Crypto, Session};
use rustls::crypto::cipher::{AeadKey, Iv};

fn session() -> Box<dyn Session> {
    world::crypto().start("peer.test", Vec::new()).unwrap()
}

fn dcid() -> Vec<u8> {
    hex("8394c8f03e515708")
}

fn shape(level: Level, number: u64, number_len: usize) -> Shape {
    Shape {
        level,
        version: 1,
        dcid: Vec::new(),
        scid: Vec::new(),
        token: Vec::new(),
        number,
        number_len,
        key_phase: false,
        flip: 0,
        longer: 0,
    }
}

const CLIENT_HELLO: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
    04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
    616d706c652e636f6dff01000100000a00080006001d00170018001000070005
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
    baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
    0d0010000e0403050306030203080408050806002d00020101001c0002400100
    3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
    75300901100f088394c8f03e51570806048000ffff";

#[test]
fn a_2_client_initial() {
    let keys = session().initial_keys(&dcid());
    let mut payload = hex(CLIENT_HELLO);
    payload.resize(1162, 0);
    let shape = Shape { dcid: dcid(), ..shape(Level::Initial, 2, 4) };
    let packet = wire::seal(&shape, &payload, &*keys.local.header, &*keys.local.packet);
    assert_eq!(packet.len(), 1200);
    let begin = hex("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11
        d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f63300099f399");
    assert_eq!(packet[..begin.len()], begin);
    let end = hex("e221af44860018ab0856972e194cd934");
    assert_eq!(packet[1200 - end.len()..], end);
    // The same the other way round.
    let mut rest = packet.as_slice();
    let outer = Outer::take(&mut rest, 0).unwrap();
    assert_eq!((outer.level, outer.dcid, outer.scid), (Level::Initial, &dcid()[..], &[][..]));
    let key = &*keys.local.packet;
    let (inner, _) = wire::open(&outer, &*keys.local.header, |_| vec![(0, key)], 0).unwrap();
    assert_eq!((inner.number, inner.payload), (2, payload));
}

#[test]
fn a_3_server_initial() {
    let keys = session().initial_keys(&dcid());
    let packet = hex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
        5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3
        dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84
        022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4
        2158407dd074ee");
    let payload = hex("02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf739
        88cfc79825df566dc5430b9a045a1200130100002e00330024001d00209d3c94
        0d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00
        020304");
    let mut rest = packet.as_slice();
    let outer = Outer::take(&mut rest, 0).unwrap();
    assert!(rest.is_empty() && outer.scid == hex("f067a5502a4262b5"));
    let key = &*keys.remote.packet;
    let (inner, _) = wire::open(&outer, &*keys.remote.header, |_| vec![(0, key)], 0).unwrap();
    assert_eq!((inner.first, inner.number, &inner.payload), (0xc1, 1, &payload));
    let shape = Shape { scid: hex("f067a5502a4262b5"), ..shape(Level::Initial, 1, 2) };
    assert_eq!(wire::seal(&shape, &payload, &*keys.remote.header, &*keys.remote.packet), packet);
}

/// Appendix A.1 gives the keys themselves: what they do shows what they are.
#[test]
fn a_1_keys() {
    let keys = session().initial_keys(&dcid());
    // A.2 and A.3: mask = 437b9aec36 and 2ec0d8356a.
    let (mut first, mut number) = (0xc3, [0, 0, 0, 2]);
    let sample = hex("d1b1c98dd7689fb8ec11d242b123dc9b");
    keys.local.header.encrypt_in_place(&sample, &mut first, &mut number).unwrap();
    assert_eq!((first, number.to_vec()), (0xc0, hex("7b9aec34")));
    let (mut first, mut number) = (0xc1, [0, 1]);
    let sample = hex("2cd0991cd25b0aac406a5816b6394100");
    keys.remote.header.encrypt_in_place(&sample, &mut first, &mut number).unwrap();
    assert_eq!((first, number.to_vec()), (0xcf, hex("c0d9")));
}

#[test]
fn a_4_retry() {
    let packet = hex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba");
    assert_eq!(wire::retry(&[], &hex("f067a5502a4262b5"), b"token", &dcid()), packet);
    assert!(session().is_valid_retry(&dcid(), &packet));
    for at in 0..packet.len() {
        let mut broken = packet.clone();
        broken[at] ^= 1;
        assert!(!session().is_valid_retry(&dcid(), &broken), "byte {at}");
    }
    assert!(!session().is_valid_retry(b"8394c8f0", &packet));
    for len in 0..packet.len() {
        assert!(!session().is_valid_retry(&dcid(), &packet[..len]));
    }
}

#[test]
fn a_5_chacha20_short_header() {
    let provider = provider();
    let suites = provider.cipher_suites.iter();
    let suite = suites
        .filter(|s| s.suite() == rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256)
        .find_map(|s| s.tls13()?.quic_suite())
        .unwrap();
    let key = |text: &str| AeadKey::from(<[u8; 32]>::try_from(hex(text)).unwrap());
    let iv = Iv::copy(&hex("e0459b3474bdd0e44a41c144"));
    let packet_key =
        suite.quic.packet_key(key("c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8"), iv);
    let header_key = suite
        .quic
        .header_protection_key(key("25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4"));
    let shape = shape(Level::OneRtt, 654_360_564, 3);
    let packet = wire::seal(&shape, &[1], &*header_key, &*packet_key);
    assert_eq!(packet, hex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb"));
    let mut rest = packet.as_slice();
    let outer = Outer::take(&mut rest, 0).unwrap();
    let (inner, _) = wire::open(&outer, &*header_key, |_| vec![(0, &*packet_key)], 654_360_000).unwrap();
    assert_eq!((inner.first, inner.number, inner.payload), (0x42, 654_360_564, vec![1]));
}

/// RFC 9000 appendix A.1 and A.3.
#[test]
fn numbers() {
    for (bytes, value) in [
        ("c2197c5eff14e88c", 151_288_809_941_952_652),
        ("9d7f3e7d", 494_878_333),
        ("7bbd", 15_293),
        ("25", 37),
        ("4025", 37),
    ] {
        assert_eq!(wire::take(&mut hex(bytes).as_slice()), Some(value), "{bytes}");
        if bytes != "4025" {
            assert_eq!(wire::varint(value), hex(bytes));
        }
    }
    assert_eq!(wire::nearest(0x9b32, 16, 0xa82f_30ea + 1), 0xa82f_9b32);
}
