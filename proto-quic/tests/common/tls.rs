//! TLS of both sides, with a certificate made once in a process. `proto-h3`'s tests include this file, too.

use std::sync::{Arc, OnceLock};

pub struct Identity {
    pub certificate: rustls_pki_types::CertificateDer<'static>,
    key: rustls_pki_types::PrivateKeyDer<'static>,
}

impl Identity {
    pub fn named(names: Vec<String>) -> Identity {
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

pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A server's TLS. `early`: early data is taken.
pub fn server_tls(alpn: &[u8], early: bool) -> rustls::ServerConfig {
    server_tls_of(identity(), alpn, early)
}

pub fn server_tls_of(identity: &Identity, alpn: &[u8], early: bool) -> rustls::ServerConfig {
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

/// A client's TLS that trusts that server and remembers nothing: what one test did must not change another's.
pub fn client_tls(alpn: &[u8]) -> rustls::ClientConfig {
    client_tls_trusting(&identity().certificate, alpn)
}

pub fn client_tls_trusting(
    root: &rustls_pki_types::CertificateDer<'static>,
    alpn: &[u8],
) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![alpn.to_vec()];
    client.resumption = rustls::client::Resumption::disabled();
    client
}
