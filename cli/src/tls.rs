//! The TLS flags and the choice of protocol.

use crate::args::{ProtocolArgs, TlsArgs};
use crate::error::Failure;
use crate::not_yet::unsupported;
use crate::values::{NoTlsProto, list};
use proto::Scheme;
use scenario::plan::{Protocol, Tls};

/// h2load's defaults, of which this TLS library has these (no DHE, no CCM).
const TLS13: &[&str] = &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
const TLS12: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/// How TLS behaves in flag mode: no verification unless asked for, as h2load.
pub fn settings(args: &TlsArgs) -> Tls {
    Tls {
        verify: args.verify || args.tls_ca.is_some(),
        ca: args.tls_ca.clone(),
        sni: args.sni.clone(),
        ciphers: ciphers(args),
        groups: args.groups.as_deref().map_or(vec![], |g| list(g, ':')),
        ..Tls::default()
    }
}

/// One list for all versions; the half that was not given keeps its defaults.
fn ciphers(args: &TlsArgs) -> Vec<String> {
    if let Some(all) = &args.tls_ciphers {
        return list(&all.replace(',', ":"), ':');
    }
    if args.ciphers.is_none() && args.tls13_ciphers.is_none() {
        return vec![];
    }
    let half = |given: &Option<String>, default: &[&str]| match given {
        Some(text) => list(text, ':'),
        None => default.iter().map(|s| (*s).to_owned()).collect(),
    };
    let mut both = half(&args.tls13_ciphers, TLS13);
    both.extend(half(&args.ciphers, TLS12));
    both
}

/// The protocol, and what the user should know about the choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which HTTP.
    pub protocol: Protocol,
    /// Said once on stderr.
    pub note: Option<&'static str>,
}

const ONLY_H1: &str =
    "HTTP/2 is not supported yet, so this run speaks HTTP/1.1; --h1 says so and silences this note";

/// Over TLS what the ALPN list allows, in clear what `-p` says. As long as HTTP/2 is missing that is HTTP/1.1; then
/// `Protocol::Auto` takes the place of the notes.
pub fn protocol(args: &ProtocolArgs, scheme: Scheme) -> Result<Choice, Failure> {
    let silent = Choice { protocol: Protocol::H1, note: None };
    if args.h1 {
        return Ok(silent);
    }
    let alpn = args.alpn_list.as_ref().or(args.npn_list.as_ref());
    if let Some(text) = alpn {
        check_alpn(text, scheme)?;
    }
    match (scheme, args.no_tls_proto) {
        (Scheme::Http, Some(NoTlsProto::H2c)) => Err(unsupported("-p h2c (HTTP/2)")),
        (Scheme::Http, Some(NoTlsProto::Http11)) => Ok(silent),
        (Scheme::Https, _) if alpn.is_some_and(|text| list(text, ',') == ["http/1.1"]) => Ok(silent),
        (Scheme::Http | Scheme::Https, _) => Ok(Choice { protocol: Protocol::H1, note: Some(ONLY_H1) }),
    }
}

/// QUIC is spoken if h3 comes first, as in h2load; a list without `http/1.1` cannot be honoured yet.
fn check_alpn(text: &str, scheme: Scheme) -> Result<(), Failure> {
    let names = list(text, ',');
    match names.first() {
        None => return Err(Failure::new("--alpn-list: empty: expected names like h2,http/1.1")),
        Some(first) if first.starts_with("h3") => return Err(unsupported("HTTP/3 (--alpn-list h3)")),
        Some(_) => {}
    }
    if scheme == Scheme::Https && !names.iter().any(|n| n == "http/1.1") {
        return Err(unsupported(&format!("--alpn-list {text} (without http/1.1)")));
    }
    Ok(())
}
