//! TLS on the data plane: this file and those below it are the only ones that name rustls.
//!
//! [`TlsSetup`] is made once per run from the plan and shared; a [`TlsSession`] is the TLS of one connection, sans-IO:
//! records in, plaintext out, and the other way.

mod session;
mod sessions;
mod suites;
#[cfg(test)]
mod tests;

use crate::certificate;
use crate::stats::TlsFacts;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
pub(crate) use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use scenario::plan::{Identity, Mix, Tls, TlsVersion};
pub(crate) use session::{Pieces, TlsSession};
use sessions::Access;
pub(crate) use sessions::Sessions;
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How a connection begins, if the sessions that it needs are there: else it is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// With a whole handshake.
    Fresh,
    /// With a session of an earlier connection.
    Resumed,
    /// Likewise, and requests go out before the server has answered (RFC 8446 section 2.3). Over QUIC alone.
    Early,
}

impl Opening {
    /// In the order of [`Mix`]'s shares.
    pub(crate) const ALL: [Opening; 3] = [Opening::Fresh, Opening::Resumed, Opening::Early];
}

/// The TLS of connections: a configuration for each way to begin. All share their sessions.
#[derive(Clone)]
pub(crate) struct TlsSetup {
    /// In the order of [`Opening::ALL`].
    configs: [Arc<ClientConfig>; 3],
    mix: Mix,
}

impl TlsSetup {
    /// From the plan, for no server yet. Errors name what is wrong and the remedy.
    pub(crate) fn new(tls: &Tls, mix: Mix, key_log: bool) -> Result<TlsSetup, String> {
        let provider = Arc::new(provider(tls)?);
        let usable = versions(tls, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&usable)
            .map_err(|e| format!("TLS: {e}"))?;
        let verifier: Arc<dyn ServerCertVerifier> = if tls.verify {
            let (store, named) = roots(tls.ca.as_deref())?;
            let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
                .build()
                .map_err(|e| format!("TLS: {e}"))?;
            Arc::new(Verification { inner, named })
        } else {
            Arc::new(NoVerification(provider))
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &tls.identity {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let (chain, key) = identity(files)?;
                builder.with_client_auth_cert(chain, key).map_err(|e| unusable(files, &e))?
            }
        };
        if key_log {
            writable_key_log()?;
            config.key_log = Arc::new(rustls::KeyLogFile::new());
        }
        Ok(TlsSetup::of(&config, mix, &Arc::default()))
    }

    /// The same for a server that is offered these protocols. (The library continues a session only with the verifier that it
    /// began with, so connections that are to share sessions must come from one setup.)
    pub(crate) fn with<'a>(&self, alpn: impl Iterator<Item = &'a str>, sessions: &Arc<Sessions>) -> TlsSetup {
        let mut config = ClientConfig::clone(&self.configs[Opening::Fresh as usize]);
        config.alpn_protocols = alpn.map(|p| p.trim().as_bytes().to_vec()).collect();
        TlsSetup::of(&config, self.mix, sessions)
    }

    fn of(config: &ClientConfig, mix: Mix, sessions: &Arc<Sessions>) -> TlsSetup {
        let configs = Opening::ALL.map(|opening| {
            let mut config = config.clone();
            let continues = opening != Opening::Fresh;
            config.resumption = match mix.resumes() {
                true => Resumption::store(Arc::new(Access { sessions: sessions.clone(), continues })),
                false => Resumption::disabled(),
            };
            config.enable_early_data = opening == Opening::Early;
            Arc::new(config)
        });
        TlsSetup { configs, mix }
    }

    /// The same for QUIC, for each of [`Opening::ALL`]. TLS 1.3 is all it knows (RFC 9001 section 4.2).
    pub(crate) fn quic(&self, config: proto_h3::Config) -> Result<[proto_h3::Setup; 3], String> {
        let [fresh, resumed, early] = &self.configs;
        let all = proto_h3::Setup::new(config, fresh.clone()).and_then(|fresh| {
            let (resumed, early) = (fresh.with_tls(resumed.clone())?, fresh.with_tls(early.clone())?);
            Ok([fresh, resumed, early])
        });
        all.map_err(|e| format!("TLS: {e} (RFC 9001 section 5.2)"))
    }

    /// The TLS of a new connection to this server name.
    pub(crate) fn session(&self, name: &ServerName<'static>, opening: Opening) -> Result<TlsSession, String> {
        let config = self.configs[opening as usize].clone();
        let tls = UnbufferedClientConnection::new(config, name.clone()).map_err(|e| e.to_string())?;
        Ok(TlsSession::new(tls))
    }
}

/// A server name for TLS from a host in text.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| format!("\"{host}\" is not a server name that TLS can use"))
}

/// What was agreed on in a handshake of QUIC's, which is done by the same library.
pub(crate) fn quic_facts(connection: &proto_h3::Connection) -> Option<TlsFacts> {
    let handshake = connection.handshake()?;
    let certificate = connection.certificate().map(CertificateDer::from);
    Some(TlsFacts {
        version: TLS13.into(),
        cipher: iana_name(handshake.cipher),
        group: handshake.group.map(group_name).unwrap_or_default(),
        certificate: certificate.and_then(|c| key_of(&c)).unwrap_or_default(),
        resumed: handshake.resumed,
    })
}

const TLS13: &str = "TLSv1.3";

fn group_name(group: rustls::NamedGroup) -> String {
    format!("{group:?}")
}

/// A cipher suite by its IANA name: rustls prefixes those of TLS 1.3 with `TLS13_`.
fn iana_name(suite: rustls::CipherSuite) -> String {
    suite.as_str().unwrap_or("unknown").replacen("TLS13_", "TLS_", 1)
}

/// The algorithm and size of a certificate's key, found by the object identifier in its key information.
fn key_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let known: [(&[u8], &str); 5] = [
        (&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03], "ECDSA P-256 256 bits"),
        (&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03], "ECDSA P-384 384 bits"),
        (&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23, 0x03], "ECDSA P-521 521 bits"),
        (&[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03], "ED25519 256 bits"),
        (&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03], "RSA"),
    ];
    for (oid, name) in known {
        if let Some(at) = certificate.windows(oid.len()).position(|w| w == oid) {
            return Some(match name {
                "RSA" => format!("RSA {} bits", rsa_bits(&certificate[at + oid.len()..])?),
                other => other.to_owned(),
            });
        }
    }
    None
}

/// The size of the modulus in the BIT STRING (length octets first) that holds an RSA key.
fn rsa_bits(mut der: &[u8]) -> Option<usize> {
    certificate::length(&mut der)?; // of the BIT STRING
    der = der.strip_prefix(&[0x00, 0x30])?; // no unused bits, SEQUENCE
    certificate::length(&mut der)?;
    der = der.strip_prefix(&[0x02])?; // INTEGER: the modulus
    let len = certificate::length(&mut der)?;
    let sign = usize::from(*der.first()? == 0);
    Some((len - sign) * 8)
}

/// The versions within the plan's bounds for which there is a cipher suite.
fn versions(
    tls: &Tls,
    provider: &CryptoProvider,
) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, String> {
    let all = [(TlsVersion::V1_3, &rustls::version::TLS13), (TlsVersion::V1_2, &rustls::version::TLS12)];
    let usable: Vec<_> = all
        .into_iter()
        .filter(|(version, _)| (tls.min..=tls.max).contains(version))
        .map(|(_, version)| version)
        .filter(|v| provider.cipher_suites.iter().any(|s| s.version().version == v.version))
        .collect();
    match usable.is_empty() {
        false => Ok(usable),
        true => Err(format!(
            "no cipher suite of \"{}\" is one of TLS {} to {}: name others, or widen the bounds (tls: min_version, \
             max_version; --tls-min, --tls-max)",
            tls.ciphers.join(":"),
            tls.min.as_str(),
            tls.max.as_str()
        )),
    }
}

/// The client certificate with its chain, and its key.
fn identity(files: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let Identity { cert, key } = files;
    let read = CertificateDer::pem_file_iter(cert)
        .and_then(|list| list.collect::<Result<Vec<_>, _>>())
        .map_err(|e| format!("cannot read the client certificate {}: {e}", cert.display()))?;
    if read.is_empty() {
        return Err(format!("the file {} holds no certificate in PEM (tls: cert, --cert)", cert.display()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| {
        let encrypted = std::fs::read(key).is_ok_and(|t| t.windows(9).any(|w| w == b"ENCRYPTED"));
        let remedy = match encrypted {
            true => "it is encrypted: decrypt it with `openssl pkey -in FILE -out PLAIN`",
            false => "it must hold a private key in PEM (tls: key, --key)",
        };
        format!("cannot read the client key {}: {e}: {remedy}", key.display())
    })?;
    Ok((read, key))
}

fn unusable(files: &Identity, error: &rustls::Error) -> String {
    let (cert, key) = (files.cert.display(), files.key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => {
            format!(
                "the key {key} does not belong to the client certificate {cert}: name its own (tls: key, --key)"
            )
        }
        other => format!("the client certificate {cert} with the key {key} cannot be used: {other}"),
    }
}

/// Whom to trust, and the certificates that a CA file names.
fn roots(ca: Option<&Path>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let mut store = RootCertStore::empty();
    let mut named = Vec::new();
    match ca {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .map_err(|e| format!("cannot read the CA file {}: {e}", path.display()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|e| format!("{}: not PEM: {e}", path.display()))?;
                store.add(certificate.clone()).map_err(|e| format!("{}: {e}", path.display()))?;
                named.push(certificate);
            }
            if store.is_empty() {
                return Err(format!("the CA file {} holds no certificate in PEM", path.display()));
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err(
                    "no CA certificates on this system: install the package ca-certificates, name a CA file \
                            (tls: ca, --tls-ca) or switch verification off (tls: insecure, --insecure)"
                        .into(),
                );
            }
        }
    }
    Ok((store, named))
}

/// The suites and groups of the plan; AES-128-GCM first and the classical groups where it names none, as h2load does.
fn provider(tls: &Tls) -> Result<CryptoProvider, String> {
    let all = suites::all();
    let mut provider = aws_lc_rs::default_provider();
    if tls.ciphers.is_empty() {
        provider.cipher_suites = all.to_vec();
        provider.cipher_suites.sort_by_key(|s| !iana_name(s.suite()).contains("AES_128_GCM"));
    } else {
        provider.cipher_suites = select(&tls.ciphers, suite).map_err(|name| {
            let known: Vec<String> = all.iter().map(|s| iana_name(s.suite())).collect();
            unknown("cipher suite", name, "tls: ciphers, --tls-ciphers", &known.join(", "))
        })?;
    }
    if tls.groups.is_empty() {
        provider.kx_groups =
            vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1, aws_lc_rs::kx_group::SECP384R1];
    } else {
        provider.kx_groups = select(&tls.groups, group).map_err(|name| {
            let known = "X25519, P-256, P-384, X25519MLKEM768, MLKEM768";
            unknown("key-exchange group", name, "tls: groups, --groups", known)
        })?;
    }
    Ok(provider)
}

/// The library passes over a file that it cannot write, and a run without its secrets cannot be looked into.
fn writable_key_log() -> Result<(), String> {
    let Some(path) = std::env::var_os("SSLKEYLOGFILE") else { return Ok(()) };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    opened.map(drop).map_err(|error| {
        format!(
            "SSLKEYLOGFILE: cannot write {}: {error}: give a file in a directory that exists and is yours, or unset it",
            path.display()
        )
    })
}

/// Whether the cipher suites, groups and versions that a plan names are there and leave something to offer; the error says
/// which are. Where nothing is encrypted they are not used, and are a mistake all the same.
pub fn check_names(tls: &Tls) -> Result<(), String> {
    // Where none is named the defaults are: most plans, which need not look the library's up once more.
    if tls.ciphers.is_empty() && tls.groups.is_empty() {
        return Ok(());
    }
    versions(tls, &provider(tls)?).map(|_| ())
}

/// Whether the library has a cipher suite of this name, in OpenSSL's words or IANA's.
pub fn knows_cipher(name: &str) -> bool {
    suite(name).is_some()
}

/// Whether the library has a key-exchange group of this name.
pub fn knows_group(name: &str) -> bool {
    group(name).is_some()
}

fn suite(name: &str) -> Option<rustls::SupportedCipherSuite> {
    let wanted = openssl_to_iana(name);
    suites::all().iter().find(|s| iana_name(s.suite()) == wanted).copied()
}

fn group(name: &str) -> Option<&'static dyn rustls::crypto::SupportedKxGroup> {
    Some(match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "x25519" => aws_lc_rs::kx_group::X25519,
        "p256" | "secp256r1" | "prime256v1" => aws_lc_rs::kx_group::SECP256R1,
        "p384" | "secp384r1" => aws_lc_rs::kx_group::SECP384R1,
        "x25519mlkem768" => aws_lc_rs::kx_group::X25519MLKEM768,
        "mlkem768" => aws_lc_rs::kx_group::MLKEM768,
        _ => return None,
    })
}

/// Looks each name up; the first that is unknown. None is passed over: a run with fewer than were asked for measures something else.
fn select<T>(names: &[String], find: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, &str> {
    names.iter().map(|name| find(name.trim()).ok_or(name.as_str())).collect()
}

fn unknown(what: &str, name: &str, place: &str, known: &str) -> String {
    format!("{place}: there is no {what} \"{name}\" in this TLS library: leave it out; there are {known}")
}

/// `ECDHE-RSA-AES128-GCM-SHA256` is `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` in the IANA registry.
fn openssl_to_iana(name: &str) -> String {
    if name.starts_with("TLS_") {
        return name.to_owned();
    }
    let name = name.replace("AES128", "AES_128").replace("AES256", "AES_256").replace('-', "_");
    let name = match name.strip_suffix("CHACHA20_POLY1305") {
        Some(start) => format!("{start}CHACHA20_POLY1305_SHA256"),
        None => name,
    };
    for exchange in ["ECDHE_ECDSA_", "ECDHE_RSA_"] {
        if let Some(rest) = name.strip_prefix(exchange) {
            return format!("TLS_{exchange}WITH_{rest}");
        }
    }
    name
}

/// What a server showed that did not hold, for the explanation: the library reports the error alone.
struct Chain {
    error: rustls::Error,
    names: Option<certificate::Names>,
    intermediates: usize,
}

thread_local! {
    /// Set where a certificate is refused, taken where that is explained: both in one call into the library.
    static SHOWN: Cell<Option<Chain>> = const { Cell::new(None) };
}

/// Checks certificates as browsers do, but also accepts the one certificate a CA file names when the server itself shows
/// it: a self-signed certificate made by `openssl req -x509` says that it is a CA, which servers' certificates must not.
#[derive(Debug)]
struct Verification {
    inner: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verification {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // By then the dates have been checked; the name has not.
            Err(error) if is_ca_as_server(&error) && self.named.iter().any(|c| c == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => {
                if let Err(error) = &verdict {
                    SHOWN.set(Some(Chain {
                        error: error.clone(),
                        names: certificate::names(end_entity),
                        intermediates: intermediates.len(),
                    }));
                }
                verdict
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn is_ca_as_server(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    other.0.downcast_ref::<webpki::Error>().is_some_and(|e| *e == webpki::Error::CaUsedAsEndEntity)
}

/// Accepts every certificate and does not check signatures: for load on servers one trusts anyway.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A TLS failure in one line that names the remedy where there is one.
fn explain(error: &rustls::Error) -> String {
    explain_shown(error, SHOWN.take().as_ref())
}

/// Why a certificate was refused since this was last asked: QUIC tells a text of the library's alone.
pub(crate) fn why_refused() -> Option<String> {
    let shown = SHOWN.take()?;
    Some(explain_shown(&shown.error, Some(&shown)))
}

fn explain_shown(error: &rustls::Error, shown: Option<&Chain>) -> String {
    use rustls::AlertDescription as A;
    match error {
        error if is_ca_as_server(error) => {
            "the server's certificate says it is a CA, not a server's (name this very certificate with tls: ca or \
             --tls-ca, or use --insecure)"
                .into()
        }
        rustls::Error::InvalidCertificate(error) => explain_certificate(error, shown),
        rustls::Error::AlertReceived(A::CertificateRequired) => {
            "the server asks for a client certificate: alert CertificateRequired (give one with tls: cert and key, or \
             --cert and --key)"
                .into()
        }
        rustls::Error::AlertReceived(
            alert @ (A::UnknownCA | A::BadCertificate | A::CertificateUnknown | A::CertificateExpired),
        ) => format!("the server does not accept the client certificate: alert {alert:?} (tls: cert, --cert)"),
        rustls::Error::AlertReceived(A::ProtocolVersion) => {
            "the server speaks none of the versions of TLS offered: alert ProtocolVersion (tls: min_version, \
             max_version; --tls-min, --tls-max)"
                .into()
        }
        rustls::Error::AlertReceived(alert) => format!("the server refused the TLS handshake: alert {alert:?}"),
        rustls::Error::PeerIncompatible(why) => format!(
            "the server agrees to no version, cipher suite or group offered ({why:?}): see tls: min_version, max_version, \
             ciphers, groups (--tls-min, --tls-max, --tls-ciphers, --groups)"
        ),
        rustls::Error::InvalidMessage(_) => format!("what the server sent is not TLS ({error})"),
        other => other.to_string(),
    }
}

/// Dates, names and the chain, as the server showed them.
fn explain_certificate(error: &CertificateError, shown: Option<&Chain>) -> String {
    use CertificateError as C;
    let at = |time: &UnixTime| certificate::date(Duration::from_secs(time.as_secs()));
    let names = shown.and_then(|chain| chain.names.as_ref());
    match error {
        C::ExpiredContext { time, not_after } => format!(
            "the server's certificate has expired on {}, and now it is {} (renew it, or use --insecure)",
            at(not_after),
            at(time)
        ),
        C::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is valid from {} only, and now it is {} (is the clock of this machine right?)",
            at(not_before),
            at(time)
        ),
        C::Expired => "the server's certificate has expired".into(),
        C::NotValidForNameContext { expected, presented } => {
            // The library writes `DnsName("a.example")`.
            let names: Vec<&str> = presented.iter().map(|p| p.split('"').nth(1).unwrap_or(p)).collect();
            format!(
                "the server's certificate is not for {} but for {} (set another server name with tls: sni or --sni)",
                expected.to_str(),
                if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
            )
        }
        C::UnknownIssuer => {
            let chain = match (names, shown.map_or(0, |c| c.intermediates)) {
                (None, _) => String::new(),
                (Some(n), _) if n.self_signed => format!(": \"{}\" signed it itself", n.subject),
                (Some(n), 0) => format!(
                    ": \"{}\" was issued by \"{}\", and the server sends no certificate that leads on from there",
                    n.subject, n.issuer
                ),
                (Some(n), more) => {
                    format!(
                        ": \"{}\" was issued by \"{}\", with {more} more in the chain",
                        n.subject, n.issuer
                    )
                }
            };
            format!(
                "the server's certificate is not signed by a trusted CA{chain} (name its CA with tls: ca or --tls-ca, or \
                 use --insecure)"
            )
        }
        C::BadSignature => "the signature of the server's certificate is not its issuer's".into(),
        C::Revoked => "the server's certificate was revoked".into(),
        other => format!("the server's certificate does not hold: {other}"),
    }
}
