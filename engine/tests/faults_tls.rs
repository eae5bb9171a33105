//! The engine against servers whose TLS is broken, slow, or not to be trusted: clear words, no hang, balanced books.

mod support;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::hostile::{Hostile, Visit, read_head};
use support::{Load, iterations, left, ms, run, try_run};

support::drivers::over_all_drivers!();

/// What is wrong with a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    UnknownIssuer,
    OtherHost,
    Expired,
}

/// A server's configuration with a certificate like that, and the file of the CA that a client trusts.
fn certificate(flaw: Flaw) -> (Arc<ServerConfig>, PathBuf) {
    let issuer = |name: &str| {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (trusted, other) = (issuer("trusted"), issuer("other"));
    let host = if flaw == Flaw::OtherHost { "elsewhere.test" } else { "localhost" };
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    if flaw == Flaw::Expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let by = if flaw == Flaw::UnknownIssuer { &other } else { &trusted };
    let leaf = params.signed_by(&key, by).unwrap();
    let file =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ca-{}-{flaw:?}.pem", std::process::id()));
    std::fs::write(&file, trusted.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    (Arc::new(config), file)
}

/// The server's side of TLS on a visit.
struct Tls<'a> {
    stream: StreamOwned<ServerConnection, TcpStream>,
    visit: &'a Visit,
}

impl<'a> Tls<'a> {
    fn accept(visit: &'a Visit, config: &Arc<ServerConfig>) -> io::Result<Tls<'a>> {
        let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, visit.stream.try_clone()?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Tls { stream, visit })
    }

    fn request(&mut self) -> io::Result<u64> {
        read_head(&mut self.stream)?;
        Ok(self.visit.count())
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())?;
        self.stream.flush()
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            self.request()?;
            self.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        }
    }
}

fn load(server: &Hostile, n: u64) -> Load {
    Load { tls: true, ..Load::on(server.address(), iterations(n)) }
}

/// A fatal alert `handshake_failure` in a record of its own.
const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

#[test]
fn a_handshake_that_fails_says_why() {
    let cases: [(&str, &'static [u8], bool, &str); 5] = [
        ("garbage", b"HTTP/1.1 400 Bad Request\r\n\r\n", false, "is not TLS"),
        ("alert", ALERT, false, "refused the TLS handshake: alert HandshakeFailure"),
        ("close", b"", false, "closed the connection during the TLS handshake"),
        ("half a record", &[0x16, 3, 3, 1, 0, 2, 0], false, "closed the connection during the TLS handshake"),
        ("stall", b"", true, "no answer within 150ms"),
    ];
    for (name, says, stalls, expected) in cases {
        let server = Hostile::new(move |visit| {
            visit.read()?;
            visit.say(says)?;
            if stalls { visit.stall() } else { Ok(()) }
        });
        let mut plan = load(&server, 8).plan();
        plan.timeouts.handshake = Some(ms(150));
        let error = try_run(plan).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(server.connections() >= 4, "{name}: every connection was tried");
        server.settle();
    }
}

#[test]
fn a_certificate_that_does_not_hold_is_refused_and_the_server_is_told() {
    let cases = [
        (Flaw::UnknownIssuer, "was issued by \"other\", and the server sends no certificate", "UnknownCA"),
        (Flaw::OtherHost, "is not for localhost but for elsewhere.test (set another", "BadCertificate"),
        (Flaw::Expired, "has expired on 2002-01-01 00:00:00 UTC, and now it is 20", "CertificateExpired"),
    ];
    for (flaw, expected, alert) in cases {
        let (config, ca) = certificate(flaw);
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = told.clone();
        let server = Hostile::new(move |visit| {
            if let Err(error) = Tls::accept(visit, &config) {
                log.lock().unwrap().push(error.to_string());
            }
            Ok(())
        });
        let mut plan = load(&server, 8).plan();
        (plan.tls.verify, plan.tls.ca) = (true, Some(ca));
        let error = try_run(plan).expect_err("the certificate was accepted").to_string();
        server.settle();
        assert!(error.contains(expected), "{flaw:?}: {error}");
        let told = told.lock().unwrap();
        assert!(told.iter().any(|t| t.contains(alert)), "{flaw:?}: the server heard {told:?}");
        assert_eq!(server.requests(), 0, "nothing is sent to a server that is not trusted");
    }
}

#[test]
fn a_certificate_that_holds_is_accepted_and_a_flawed_one_where_nobody_checks() {
    for (flaw, verify) in
        [(Flaw::None, true), (Flaw::UnknownIssuer, false), (Flaw::OtherHost, false), (Flaw::Expired, false)]
    {
        let (config, ca) = certificate(flaw);
        let server = Hostile::new(move |visit| Tls::accept(visit, &config)?.serve());
        let mut plan = load(&server, 100).plan();
        (plan.tls.verify, plan.tls.ca) = (verify, Some(ca));
        let result = run(plan);
        server.settle();
        assert_eq!((result.totals.books.succeeded, server.requests()), (100, 100), "{flaw:?}");
    }
}

#[test]
fn every_third_handshake_that_fails_costs_the_requests_that_waited_for_it() {
    let (config, _) = certificate(Flaw::None);
    let server = Hostile::new(move |visit| match visit.number % 3 {
        2 => {
            visit.read()?;
            visit.say(if visit.number % 2 == 0 { ALERT } else { b"nonsense" })
        }
        _ => {
            let mut tls = Tls::accept(visit, &config)?;
            for _ in 0..10 {
                tls.request()?;
                tls.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
            }
            tls.request()?;
            visit.reset()
        }
    });
    let result = run(load(&server, 600).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!(books.started, 600);
    assert!(books.never_sent > 0 && books.never_sent <= result.connections.failed, "{books:?}");
    assert!(books.succeeded > 400, "{books:?}");
    assert_eq!(server.requests(), left(&books), "{books:?}");
}

#[test]
fn a_request_without_an_answer_times_out_over_tls() {
    let (config, _) = certificate(Flaw::None);
    let server = Hostile::new(move |visit| {
        let mut tls = Tls::accept(visit, &config)?;
        tls.request()?;
        let _ = tls.stream.read(&mut [0; 10]);
        Ok(())
    });
    let mut plan = load(&server, 8).plan();
    plan.timeouts.request = Some(ms(100));
    let books = run(plan).totals.books;
    server.settle();
    assert_eq!((books.failed_timeout, server.requests(), left(&books)), (8, 8, 8), "{books:?}");
}

/// RFC 9112 section 9.8: a body that lasts until the close is complete only where TLS was closed in order.
#[test]
fn tls_cut_off_does_not_complete_a_body_that_lasts_until_the_close() {
    for in_order in [true, false] {
        let (config, _) = certificate(Flaw::None);
        let server = Hostile::new(move |visit| {
            let mut tls = Tls::accept(visit, &config)?;
            tls.request()?;
            tls.say("HTTP/1.1 200 OK\r\n\r\nas far as it goes")?;
            if in_order {
                tls.stream.conn.send_close_notify();
                tls.stream.flush()?;
            }
            std::thread::sleep(Duration::from_millis(10));
            Ok(())
        });
        let result = run(load(&server, 8).plan());
        server.settle();
        let books = result.totals.books;
        let expected = if in_order { (8, 0) } else { (0, 8) };
        assert_eq!(
            (books.succeeded, books.failed),
            expected,
            "in order {in_order}: {:?}",
            result.totals.errors
        );
    }
}

#[test]
fn a_record_that_cannot_be_read_breaks_the_connection_and_the_run_goes_on() {
    let (config, _) = certificate(Flaw::None);
    let server = Hostile::new(move |visit| {
        let mut tls = Tls::accept(visit, &config)?;
        for n in 0..10 {
            tls.request()?;
            if n == 9 {
                return tls.stream.sock.write_all(&[
                    0x17, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0,
                ]);
            }
            tls.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        }
        Ok(())
    });
    let result = run(load(&server, 200).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.started, server.requests()), (200, left(&books)));
    assert!((16..=20).contains(&books.failed), "{books:?} {:?}", result.totals.errors);
    assert!(!result.connections.errors.is_empty(), "the cause is told");
}
