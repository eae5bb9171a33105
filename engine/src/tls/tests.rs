//! Names of suites; and [`TlsSession`] against the library's server, in memory: records cut anywhere, keys that change, ends of
//! every kind.

use super::session::{Fed, Pieces};
use super::*;
use crate::limits;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};
use std::io::{Read, Write};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::V1_2, TlsVersion::V1_3];

/// A server's configuration; its records hold at most `fragment` bytes.
fn serving(fragment: Option<usize>) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    config.max_fragment_size = fragment;
    Arc::new(config)
}

fn asking(version: TlsVersion, cipher: Option<&str>) -> TlsSetup {
    let ciphers = cipher.map(str::to_owned).into_iter().collect();
    let tls = Tls { verify: false, min: version, max: version, ciphers, ..Tls::default() };
    let setup = TlsSetup::new(&tls, Mix { fresh: Mix::WHOLE, resumed: 0, early: 0 }, false).unwrap();
    setup.with(["h2"].into_iter(), &Arc::default())
}

/// A client's session and its server.
struct Pair {
    client: TlsSession,
    server: ServerConnection,
    pieces: Pieces,
    /// What the client was told.
    heard: Vec<u8>,
}

impl Pair {
    fn new(setup: &TlsSetup, server: &Arc<ServerConfig>) -> Pair {
        Pair {
            client: setup.session(&server_name("localhost").unwrap(), Opening::Fresh).unwrap(),
            server: ServerConnection::new(server.clone()).unwrap(),
            pieces: Pieces::default(),
            heard: Vec::new(),
        }
    }

    /// With the handshake behind them.
    fn connected(setup: &TlsSetup, server: &Arc<ServerConfig>) -> Pair {
        let mut pair = Pair::new(setup, server);
        pair.shake_hands(|pair, flight| {
            pair.give(flight).unwrap();
        });
        pair
    }

    /// Shakes hands; `deliver` gives a flight of the server's to the client.
    fn shake_hands(&mut self, mut deliver: impl FnMut(&mut Pair, Vec<u8>)) {
        while self.client.is_handshaking() || self.server.is_handshaking() || self.client.wants_output() {
            self.ask();
            let flight = self.records();
            deliver(self, flight);
        }
    }

    /// What the client has to send reaches the server. Returns what it reads of it.
    fn ask(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.client.take_output(&mut out);
        self.hear(&out).unwrap()
    }

    fn hear(&mut self, mut records: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let mut read = Vec::new();
        while !records.is_empty() {
            self.server.read_tls(&mut records).unwrap();
            let state = self.server.process_new_packets()?;
            let start = read.len();
            read.resize(start + state.plaintext_bytes_to_read(), 0);
            self.server.reader().read_exact(&mut read[start..]).unwrap();
        }
        Ok(read)
    }

    /// What the server has to send.
    fn records(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut out).unwrap();
        }
        out
    }

    /// The records of what the server says.
    fn say(&mut self, text: &[u8]) -> Vec<u8> {
        self.server.set_buffer_limit(None);
        self.server.writer().write_all(text).unwrap();
        self.records()
    }

    /// The client receives these bytes, at once.
    fn give(&mut self, mut records: Vec<u8>) -> Result<Fed, String> {
        let heard = &mut self.heard;
        self.client.feed(&mut records, &mut self.pieces, |plain| heard.extend_from_slice(plain))
    }

    /// The client seals this, and the server reads it.
    fn sends(&mut self, text: &[u8]) -> bool {
        let mut out = Vec::new();
        self.client.seal(text, &mut out);
        self.hear(&out).unwrap() == text
    }
}

/// A flight cut in two there.
fn cut(mut flight: Vec<u8>, at: usize) -> [Vec<u8>; 2] {
    let rest = flight.split_off(at.min(flight.len()));
    [flight, rest]
}

/// Numbered, so that nothing is mistaken for anything else.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

#[test]
fn a_handshake_may_be_cut_anywhere() {
    for (version, fragment) in VERSIONS.into_iter().flat_map(|v| [(v, None), (v, Some(100))]) {
        let (setup, server) = (asking(version, None), serving(fragment));
        let (mut at, mut longest) = (1, 100);
        while at < longest {
            let mut pair = Pair::new(&setup, &server);
            pair.shake_hands(|pair, flight| {
                longest = longest.max(flight.len());
                for piece in cut(flight, at) {
                    pair.give(piece).unwrap();
                }
            });
            // With it come the tickets of TLS 1.3.
            let said = pair.say(&text(50));
            pair.give(said).unwrap();
            assert_eq!(pair.heard, text(50), "{version:?} {fragment:?} cut at {at}");
            assert!(pair.sends(b"heard") && pair.client.pending() == 0);
            at += 3;
        }
        assert!(longest > 500, "{longest}");
    }
}

#[test]
fn bytes_may_come_one_at_a_time() {
    for (version, fragment) in VERSIONS.into_iter().flat_map(|v| [(v, None), (v, Some(100))]) {
        let mut pair = Pair::new(&asking(version, None), &serving(fragment));
        let singly = |pair: &mut Pair, flight: Vec<u8>| {
            for byte in flight {
                pair.give(vec![byte]).unwrap();
            }
        };
        pair.shake_hands(singly);
        let said = pair.say(&text(1000));
        singly(&mut pair, said);
        assert_eq!(pair.heard, text(1000), "{version:?}");
        assert!(pair.sends(b"heard") && pair.client.pending() == 0);
    }
}

/// Several records, and between two of them a change of keys that asks for ours in return (RFC 8446 section 4.6.3).
#[test]
fn records_may_be_cut_anywhere_and_keys_may_change_between_them() {
    for version in VERSIONS {
        let (setup, server) = (asking(version, None), serving(None));
        let mut pair = Pair::connected(&setup, &server);
        let mut at = 0;
        loop {
            let mut flight = pair.say(&text(40));
            if version == TlsVersion::V1_3 {
                // A peer may ask for so many only (`PeerMisbehaved::TooManyKeyUpdateRequests`).
                if at % 20 == 0 {
                    pair = Pair::connected(&setup, &server);
                    flight = pair.say(&text(40));
                }
                pair.server.refresh_traffic_keys().unwrap();
            }
            flight.extend(pair.say(&text(30)));
            flight.extend(pair.say(&text(20)));
            let len = flight.len();
            for piece in cut(flight, at) {
                pair.give(piece).unwrap();
            }
            let wanted = [text(40), text(30), text(20)].concat();
            assert_eq!(std::mem::take(&mut pair.heard), wanted, "{version:?} cut at {at}");
            assert!(pair.sends(b"with new keys") && pair.sends(b"and again"), "{version:?} {at}");
            assert_eq!(pair.client.pending(), 0);
            at += 1;
            if at > len {
                break;
            }
        }
    }
}

#[test]
fn large_bodies_come_whole_whatever_the_suite_and_the_receives() {
    for suite in suites::all().iter().filter(|s| !iana_name(s.suite()).contains("_RSA_")) {
        let name = iana_name(suite.suite());
        let version = if suite.version().version == rustls::ProtocolVersion::TLSv1_3 {
            VERSIONS[1]
        } else {
            VERSIONS[0]
        };
        let mut pair = Pair::connected(&asking(version, Some(&name)), &serving(None));
        assert_eq!(pair.client.facts().cipher, name);
        for size in [1, 5, 1460, 4096, 16_401, 32_768, 1 << 20] {
            // What is opened stands where it was received: records of 16 KiB, each opened once.
            let body = text(if size < 100 { 20_000 } else { 200_000 });
            for piece in pair.say(&body).chunks(size) {
                pair.give(piece.to_vec()).unwrap();
            }
            assert!(std::mem::take(&mut pair.heard) == body, "{name}, {size} bytes at a time");
        }
        assert!(pair.sends(&text(100_000)), "{name}");
        assert_eq!(pair.client.pending(), 0);
    }
}

#[test]
fn whole_records_are_handed_on_from_where_they_were_received() {
    for version in VERSIONS {
        let mut pair = Pair::connected(&asking(version, None), &serving(None));
        let mut records = [pair.say(&text(100)), pair.say(&text(200))].concat();
        let within = records.as_ptr_range();
        let mut lengths = Vec::new();
        let fed = pair.client.feed(&mut records, &mut pair.pieces, |plain| {
            assert!(within.contains(&plain.as_ptr()));
            lengths.push(plain.len());
        });
        assert!(!fed.unwrap().closed);
        assert_eq!(lengths, [100, 200]);
    }
}

#[test]
fn a_close_in_order_ends_the_input_and_ours_is_heard() {
    for version in VERSIONS {
        let (setup, server) = (asking(version, None), serving(None));
        let mut pair = Pair::connected(&setup, &server);
        let mut flight = pair.say(b"the end");
        pair.server.send_close_notify();
        flight.extend(pair.records());
        // "Any data received after a closure alert has been received MUST be ignored" (RFC 8446 section 6.1).
        flight.extend(b"not even a record");
        assert!(pair.give(flight).unwrap().closed, "{version:?}");
        assert!(pair.give(b"still none".to_vec()).unwrap().closed, "{version:?}");
        assert_eq!(pair.heard, b"the end");
        assert!(pair.sends(b"what is left to say"));
        pair.client.close();
        assert!(pair.client.wants_output());
        pair.ask();
        assert!(pair.server.process_new_packets().unwrap().peer_has_closed(), "{version:?}");

        let mut pair = Pair::connected(&setup, &server);
        pair.client.close();
        pair.ask();
        assert!(pair.server.process_new_packets().unwrap().peer_has_closed(), "{version:?}");
    }
}

#[test]
fn a_record_that_was_tampered_with_is_refused_and_the_server_is_told() {
    for (version, pieces) in VERSIONS.into_iter().flat_map(|v| [(v, 1), (v, 2)]) {
        let mut pair = Pair::connected(&asking(version, None), &serving(None));
        let (good, mut bad) = (pair.say(b"good"), pair.say(b"bad"));
        *bad.last_mut().unwrap() ^= 1;
        let mut flight = [good, bad, pair.say(b"never read")].concat();
        if pieces == 2 {
            let rest = flight.split_off(50);
            assert!(!pair.give(std::mem::replace(&mut flight, rest)).unwrap().closed);
        }
        let error = pair.give(flight).map(|fed| fed.closed).unwrap_err();
        assert!(error.contains("decrypt"), "{error}");
        assert_eq!(pair.heard, b"good");
        // Nothing more is sealed, and nothing is read.
        let mut out = Vec::new();
        pair.client.seal(b"whatever", &mut out);
        pair.client.close();
        assert!(!pair.client.wants_output());
        let told = pair.hear(&out).unwrap_err();
        assert_eq!(told, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac), "{version:?}");
    }
}

#[test]
fn a_handshake_message_without_end_is_given_up() {
    let setup = asking(TlsVersion::V1_3, None);
    let mut pair = Pair::new(&setup, &serving(None));
    // A ServerHello of 60,000 bytes, in records of one byte.
    let mut message = vec![2, 0, 0xea, 0x60];
    message.resize(60_000, 0);
    let mut given = 0;
    let error = message.iter().find_map(|byte| {
        given += 6;
        pair.give(vec![22, 3, 3, 0, 1, *byte]).err()
    });
    assert!(error.unwrap().contains("too long"));
    assert!(given <= limits::TLS_PENDING + 6, "{given}");
}

#[test]
fn openssl_names_are_understood() {
    for (openssl, iana) in [
        ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
        ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    ] {
        assert_eq!(openssl_to_iana(openssl), iana);
        assert!(aws_lc_rs::ALL_CIPHER_SUITES.iter().any(|s| iana_name(s.suite()) == iana), "{iana}");
    }
}

#[test]
fn aes_128_gcm_comes_first_and_a_list_is_obeyed() {
    let first = |tls: &Tls| iana_name(provider(tls).unwrap().cipher_suites[0].suite());
    assert!(first(&Tls::default()).contains("AES_128_GCM"));
    let chosen = Tls { ciphers: vec!["ECDHE-RSA-AES256-GCM-SHA384".into()], ..Tls::default() };
    assert_eq!(first(&chosen), "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
}

#[test]
fn an_unknown_name_is_refused_also_beside_known_ones() {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    for list in
        [&["RC4-MD5"][..], &["TLS_AES_128_GCM_SHA256", "RC4-MD5"], &["RC4-MD5", "TLS_AES_128_GCM_SHA256"]]
    {
        let error = provider(&Tls { ciphers: names(list), ..Tls::default() }).unwrap_err();
        assert!(error.contains("no cipher suite \"RC4-MD5\"") && error.contains("tls: ciphers"), "{error}");
        assert!(error.contains("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), "{error}");
    }
    for list in [&["P-521"][..], &["X25519", "P-521"]] {
        let error = provider(&Tls { groups: names(list), ..Tls::default() }).unwrap_err();
        assert!(
            error.contains("no key-exchange group \"P-521\"") && error.contains("tls: groups"),
            "{error}"
        );
    }
    // Those that the error names are known.
    let error = provider(&Tls { groups: names(&["none"]), ..Tls::default() }).unwrap_err();
    let known = error.rsplit_once("there are ").unwrap().1;
    assert!(known.split(", ").all(knows_group) && known.contains("MLKEM"), "{known}");
}
