//! TLS: verification against the server's own certificate, both versions, ALPN, resumption, and certificates
//! from files.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use origin::{CertError, Config, Origin, StartError};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use crate::client::{Client, connect};
use crate::stats::eventually;
use crate::{config, server};

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts the server's certificate and nothing else.
pub fn client(origin: &Origin) -> Client<TlsStream> {
    Client::over(handshake(origin, &settings(origin, rustls::DEFAULT_VERSIONS), "localhost"))
}

pub fn settings(origin: &Origin, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(origin.ca_pem().as_bytes()) {
        roots.add(certificate.expect("PEM")).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn handshake(origin: &Origin, settings: &Arc<ClientConfig>, name: &'static str) -> TlsStream {
    let name = ServerName::try_from(name).expect("a name");
    let connection = ClientConnection::new(settings.clone(), name).expect("a connection");
    let mut stream = StreamOwned::new(connection, connect(origin.tls_addr().expect("listens for TLS")));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).expect("a handshake");
    }
    stream
}

#[test]
fn both_versions_and_all_names_verify() {
    let origin = server();
    let versions = [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ];
    for (version, name) in versions {
        for host in ["localhost", "127.0.0.1", "::1"] {
            let stream = handshake(&origin, &settings(&origin, &[version]), host);
            assert_eq!(stream.conn.protocol_version(), Some(name));
            let mut client = Client::over(stream);
            assert_eq!(client.get("/?s=300k").body.len(), 300 * 1024);
            assert_eq!(client.get("/?s=100&t=1").body.len(), 100);
            assert_eq!(
                client.get("/redirect/1?absolute=1").field("location"),
                Some("https://test/redirect/0?absolute=1")
            );
        }
    }
    assert_eq!(origin.stats().connections.tls, 6);
}

#[test]
fn sessions_resume_with_tickets() {
    let origin = server();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let settings = settings(&origin, &[version]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let stream = handshake(&origin, &settings, "localhost");
            assert_eq!(stream.conn.handshake_kind(), Some(kind));
            // TLS 1.3 sends its tickets after the handshake, so they are read with a response.
            let mut client = Client::over(stream);
            assert_eq!(client.get("/").status, 200);
        }
    }
    eventually(|| origin.stats().connections.handshakes_resumed == 2);
}

#[test]
fn a_close_is_announced() {
    let origin = server();
    let mut client = client(&origin);
    assert_eq!(client.request("GET", "/", &[("connection", "close")], "").status, 200);
    let mut stream = client.into_inner();
    // rustls gives an error instead if there was no close_notify.
    assert_eq!(std::io::Read::read(&mut stream, &mut [0; 1]).expect("an orderly end"), 0);
}

#[test]
fn failed_handshakes_are_counted() {
    let origin = server();
    let mut socket = connect(origin.tls_addr().expect("listens for TLS"));
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sends");
    eventually(|| origin.stats().connections.handshakes_failed == 1);
    assert_eq!(origin.stats().requests, 0);
}

/// A file of its own for each test.
fn file(name: &str, content: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("origin-{}-{name}.pem", std::process::id()));
    fs::write(&path, content).expect("writes");
    path
}

fn start_with(cert: PathBuf) -> Result<Origin, StartError> {
    origin::start(Config { cert: Some(cert), ..config(1) })
}

#[test]
fn a_certificate_from_a_file_is_used() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["files.example".into()]).expect("names");
    let certificate = params.self_signed(&key).expect("a certificate");
    for (name, content) in [
        ("key-last", format!("{}{}", certificate.pem(), key.serialize_pem())),
        ("key-first", format!("{}# a comment\n{}", key.serialize_pem(), certificate.pem())),
    ] {
        let path = file(name, &content);
        let origin = start_with(path.clone()).expect("starts");
        assert!(!origin.ca_pem().contains("PRIVATE KEY"));
        handshake(&origin, &settings(&origin, rustls::DEFAULT_VERSIONS), "files.example");
        fs::remove_file(path).expect("removes");
    }
}

#[test]
fn what_is_wrong_with_a_certificate_file_is_said() {
    let pair = || {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    };
    let ((certificate, key), (_, other_key)) = (pair(), pair());
    let error = |name, content: &str| {
        let path = file(name, content);
        let error = start_with(path.clone()).err().expect("an error");
        fs::remove_file(&path).expect("removes");
        let text = error.to_string();
        assert!(text.contains(path.to_str().expect("a path")), "{text}");
        match error {
            StartError::Certificate(error) => error,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(error("empty", ""), CertError::NoCertificate(_)));
    assert!(matches!(error("only-key", &key), CertError::NoCertificate(_)));
    assert!(matches!(error("only-cert", &certificate), CertError::NoKey(_)));
    assert!(matches!(error("mismatch", &(certificate.clone() + &other_key)), CertError::Rejected { .. }));
    assert!(matches!(error("cut", &certificate[..certificate.len() / 2]), CertError::Pem { .. }));
    let missing = start_with("/no/such/file".into()).err().expect("an error");
    assert!(missing.to_string().starts_with("cannot read certificate file /no/such/file: "), "{missing}");
}
