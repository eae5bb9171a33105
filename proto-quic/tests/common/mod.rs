//! What several test files share.
#![allow(dead_code)]

pub mod meter;
pub mod quinn;
pub mod scripted;
pub mod wire;
pub mod world;

use proto::Time;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Bytes from hexadecimal text, blanks ignored.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

/// Numbers for tests: splitmix64.
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }
}

/// The moment that time zero stands for in tests. Any will do.
#[allow(clippy::disallowed_methods)]
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}
pub fn instant(now: Time) -> Instant {
    epoch() + Duration::from_nanos(now.as_nanos())
}

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

struct Identity {
    certificate: rustls_pki_types::CertificateDer<'static>,
    key: rustls_pki_types::PrivateKeyDer<'static>,
}

impl Identity {
    fn named(names: Vec<String>) -> Identity {
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        Identity {
            certificate: certified.cert.der().clone(),
            key: rustls_pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()).into(),
        }
    }
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| Identity::named(vec!["peer.test".into()]))
}

/// Both sides' TLS with a certificate of some eight kilobytes: a server may not send so much before it knows the client's
/// address (RFC 9000 section 8.1).
pub fn large_tls() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let many = (0..150).map(|n| format!("{n:050}.peer.test")).chain(["peer.test".into()]);
    let identity = Identity::named(many.collect());
    (server_tls_of(&identity, ALPN, false), client_tls_trusting(&identity.certificate))
}

pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A server's TLS. `early`: early data is taken.
pub fn server_tls(alpn: &[u8], early: bool) -> rustls::ServerConfig {
    server_tls_of(identity(), alpn, early)
}

fn server_tls_of(identity: &Identity, alpn: &[u8], early: bool) -> rustls::ServerConfig {
    let mut server = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .unwrap();
    server.alpn_protocols = vec![alpn.to_vec()];
    server.max_early_data_size = if early { u32::MAX } else { 0 };
    server
}

/// A client's TLS that trusts that server and remembers nothing.
pub fn client_tls() -> rustls::ClientConfig {
    client_tls_trusting(&identity().certificate)
}

pub fn client_tls_trusting(root: &rustls_pki_types::CertificateDer<'static>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![ALPN.to_vec()];
    client.resumption = rustls::client::Resumption::disabled();
    client
}

pub const ALPN: &[u8] = b"test";
