//! TLS as the plan wants it: client certificates, versions, groups, resumption and its share.

mod support;

use engine::stats::RunResult;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use scenario::plan::{Identity, Mix, Protocol, TlsVersion};
use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use support::hostile::{Hostile, Visit, read_head};
use support::{Load, iterations, run, try_run};

support::drivers::over_all_drivers!();

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A file of this test's, with that in it.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

/// A client certificate from this issuer, as files.
fn client(by: &Issuer, name: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["client.test".to_owned()]).unwrap().signed_by(&key, by).unwrap();
    let cert = file(&format!("{name}.pem"), &leaf.pem());
    Identity { cert, key: file(&format!("{name}.key"), &key.serialize_pem()) }
}

/// A server's configuration; `clients`: it asks for certificates from this issuer.
fn config(
    versions: &[&'static rustls::SupportedProtocolVersion],
    clients: Option<&Issuer>,
) -> Arc<ServerConfig> {
    let by = issuer("servers");
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &by).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(issuer) => {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Arc::new(builder.with_single_cert(vec![leaf.der().clone()], key).unwrap())
}

type Versions = &'static [&'static rustls::SupportedProtocolVersion];
const BOTH: Versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
const ONLY_12: Versions = &[&rustls::version::TLS12];
const ONLY_13: Versions = &[&rustls::version::TLS13];

fn server(config: Arc<ServerConfig>) -> Hostile {
    Hostile::new(move |visit| serve(visit, &config))
}

fn serve(visit: &Visit, config: &Arc<ServerConfig>) -> io::Result<()> {
    let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, visit.stream.try_clone()?);
    loop {
        read_head(&mut stream)?;
        visit.count();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        stream.flush()?;
    }
}

fn plan(server: &Hostile) -> scenario::Plan {
    Load { tls: true, ..Load::on(server.address(), iterations(40)) }.plan()
}

fn causes(result: &RunResult) -> String {
    result.connections.errors.iter().map(|e| format!("{}; ", e.detail)).collect()
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let (good, bad) = (issuer("good"), issuer("bad"));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let with = |identity: Option<Identity>| {
            let server = server(config(&[version], Some(&good)));
            let mut plan = plan(&server);
            plan.tls.identity = identity;
            (try_run(plan), server.requests())
        };
        let (result, requests) = with(Some(client(&good, "good")));
        assert_eq!((result.unwrap().totals.books.succeeded, requests), (40, 40));
        // TLS 1.3 lets the client finish first: it learns of the refusal when it is connected.
        for (identity, expected) in [
            (None, "asks for a client certificate"),
            (Some(client(&bad, "bad")), "does not accept the client certificate"),
        ] {
            let (result, requests) = with(identity);
            let said = result.map_or_else(|e| e.to_string(), |r| causes(&r));
            assert_eq!(requests, 0, "{said}");
            let tls12 = version.version == rustls::ProtocolVersion::TLSv1_2;
            let vague = tls12 && said.contains("refused the TLS handshake: alert");
            assert!(said.contains(expected) || vague, "{expected}: {said}");
        }
    }
}

#[test]
fn files_that_are_no_identity_are_told_before_the_start() {
    let server = server(config(BOTH, None));
    let by = issuer("any");
    let (one, other) = (client(&by, "one"), client(&by, "other"));
    let garbage = file("garbage.pem", "nothing");
    let locked = file(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    for (cert, key, expected) in [
        (&one.cert, &other.key, "does not belong to the client certificate"),
        (&one.cert, &one.cert, "must hold a private key in PEM"),
        (&one.cert, &locked, "it is encrypted: decrypt it with `openssl pkey"),
        (&garbage, &one.key, "holds no certificate in PEM"),
        (&PathBuf::from("/no/such.pem"), &one.key, "cannot read the client certificate /no/such.pem"),
    ] {
        let mut plan = plan(&server);
        plan.tls.identity = Some(Identity { cert: cert.clone(), key: key.clone() });
        let error = try_run(plan).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn versions_within_the_bounds_and_no_others() {
    let (v12, v13) = (TlsVersion::V1_2, TlsVersion::V1_3);
    let agreed = |versions: Versions, min, max| {
        let server = server(config(versions, None));
        let mut plan = plan(&server);
        (plan.tls.min, plan.tls.max) = (min, max);
        try_run(plan).map(|r| r.connections.tls.unwrap().version).map_err(|e| e.to_string())
    };
    assert_eq!(agreed(BOTH, v12, v13).unwrap(), "TLSv1.3");
    assert_eq!(agreed(BOTH, v12, v12).unwrap(), "TLSv1.2");
    assert_eq!(agreed(ONLY_12, v12, v13).unwrap(), "TLSv1.2");
    let error = agreed(ONLY_12, v13, v13).unwrap_err();
    assert!(error.contains("--tls-min, --tls-max"), "{error}");
    let error = agreed(ONLY_13, v12, v12).unwrap_err();
    assert!(error.contains("--tls-min, --tls-max"), "{error}");

    let server = server(config(BOTH, None));
    let mut plan = plan(&server);
    (plan.tls.max, plan.tls.ciphers) = (v12, vec!["TLS_AES_128_GCM_SHA256".into()]);
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains("\"TLS_AES_128_GCM_SHA256\" is one of TLS 1.2 to 1.2"), "{error}");
}

#[test]
fn a_post_quantum_group_where_it_is_asked_for() {
    let server = server(config(BOTH, None));
    for (groups, agreed) in [(&[][..], "X25519"), (&["X25519MLKEM768", "X25519"], "X25519MLKEM768")] {
        let mut plan = plan(&server);
        plan.tls.groups = groups.iter().map(|g| (*g).to_owned()).collect();
        let result = run(plan);
        assert_eq!(result.connections.tls.unwrap().group, agreed);
    }
}

#[test]
fn sessions_are_continued_where_the_plan_says_so_and_counted() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let server = server(config(&[version], None));
        for resumption in [false, true] {
            let mut plan = plan(&server);
            plan.tls.resumption = resumption;
            plan.connections.requests_per_connection = NonZeroU64::new(2);
            let result = run(plan);
            let c = &result.connections;
            assert_eq!(result.totals.books.succeeded, 40);
            // The first of each of the four has nothing to continue; one more may be opened at the very end.
            match resumption {
                false => assert_eq!(c.resumed, 0),
                true => assert!(
                    c.resumed >= c.opened - 8 && c.resumed < c.opened,
                    "{} of {}",
                    c.resumed,
                    c.opened
                ),
            }
        }
    }
}

#[test]
fn a_mix_of_fresh_and_resumed_connections() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let server = server(config(&[version], None));
        let mut plan = plan(&server);
        plan.phases = vec![support::phase("all", 4, iterations(200))];
        plan.connections.requests_per_connection = NonZeroU64::new(1);
        plan.connections.mix = Some(Mix { fresh: 600_000, resumed: 400_000, early: 0 });
        let result = run(plan);
        let c = &result.connections;
        assert_eq!((result.totals.books.succeeded, c.fresh + c.resumed), (200, c.opened));
        let wanted = 0.4 * c.opened as f64;
        assert!((c.resumed as f64 - wanted).abs() <= 8.0, "{} of {}", c.resumed, c.opened);
    }
}

/// The end of the handshake and HTTP/2's SETTINGS in one segment.
fn speaks_first(visit: &Visit, config: &Arc<ServerConfig>) -> io::Result<()> {
    const PREFACE: usize = 24;
    const SETTINGS: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 77];
    let mut tls = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
    let mut stream = visit.stream.try_clone()?;
    let (mut said, mut begun, mut input) = (false, false, Vec::new());
    while tls.read_tls(&mut stream)? > 0 {
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let half_rtt = tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        if !said && (half_rtt || !tls.is_handshaking()) {
            said = true;
            tls.writer().write_all(SETTINGS)?;
        }
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        tls.reader().read_exact(&mut plain)?;
        input.append(&mut plain);
        if !begun && input.len() >= PREFACE {
            input.drain(..PREFACE);
            begun = true;
        }
        while begun && input.len() >= 9 {
            let end = 9 + u32::from_be_bytes([0, input[0], input[1], input[2]]) as usize;
            if input.len() < end {
                break;
            }
            let frame: Vec<u8> = input.drain(..end).collect();
            match (frame[3], frame[4] & 1) {
                (1, _) => {
                    visit.count();
                    tls.writer().write_all(&[&[0, 0, 1, 1, 5], &frame[5..9], &[0x88]].concat())?;
                }
                (4, 0) => tls.writer().write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0])?,
                _ => {}
            }
        }
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out)?;
        }
        stream.write_all(&out)?;
    }
    Ok(())
}

/// A server may speak before the client does (RFC 8446 section 4.4.4, RFC 9113 section 3.4). What comes in the read that
/// ends the handshake is not lost.
#[test]
fn what_comes_with_the_end_of_the_handshake_is_heard() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut config = (*config(&[version], None)).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.send_half_rtt_data = true;
        let config = Arc::new(config);
        let server = Hostile::new(move |visit| speaks_first(visit, &config));
        let mut plan = plan(&server);
        plan.protocol = Protocol::H2;
        plan.timeouts.request = Some(support::ms(5000));
        let result = run(plan);
        assert_eq!(result.totals.books.succeeded, 40, "{:?} {:?}", result.totals.errors, causes(&result));
        assert_eq!(result.connections.peer_max_streams, Some(77), "{version:?}");
        assert_eq!((server.requests(), result.connections.opened), (40, 4));
    }
}

/// Bodies of several records whose keys change on the way, over and over, and whose bytes leave in odd pieces (RFC 8446 section
/// 4.6.3). Our side answers with new keys of its own.
#[test]
fn keys_change_in_the_middle_of_a_body() {
    const BODY: usize = 40_000;
    let config = config(ONLY_13, None);
    let server = Hostile::new(move |visit| {
        let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, visit.stream.try_clone()?);
        stream.conn.set_buffer_limit(None);
        loop {
            read_head(&mut stream)?;
            visit.count();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n");
            stream.conn.writer().write_all(head.as_bytes())?;
            stream.conn.writer().write_all(&[b'a'; BODY / 2])?;
            stream.conn.refresh_traffic_keys().map_err(io::Error::other)?;
            stream.conn.writer().write_all(&[b'b'; BODY / 2])?;
            let mut records = Vec::new();
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut records)?;
            }
            for piece in records.chunks(7001) {
                stream.sock.write_all(piece)?;
            }
        }
    });
    let result = run(plan(&server));
    let books = result.totals.books;
    assert_eq!(
        (books.succeeded, server.requests()),
        (40, 40),
        "{:?} {}",
        result.totals.errors,
        causes(&result)
    );
    assert_eq!((result.connections.opened, result.totals.bytes.data), (4, 40 * BODY as u64));
}
