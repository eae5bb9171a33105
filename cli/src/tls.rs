//! The TLS flags and the choice of protocol.

use crate::args::{ProtocolArgs, TlsArgs};
use crate::error::Failure;
use crate::values::{NoTlsProto, list};
use proto::Scheme;
use scenario::plan::{Identity, Protocol, Tls, TlsVersion};

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

/// Groups that OpenSSL has, and this TLS library has not.
const OPENSSL_GROUPS: &[&str] = &[
    "P-521",
    "secp521r1",
    "X448",
    "ffdhe2048",
    "ffdhe3072",
    "ffdhe4096",
    "ffdhe6144",
    "ffdhe8192",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
];

/// How TLS behaves in flag mode: no verification unless asked for, as h2load.
pub fn settings(args: &TlsArgs, choice: Choice, notes: &mut Vec<String>) -> Result<Tls, Failure> {
    let (min, max) = (args.tls_min.unwrap_or(TlsVersion::V1_2), args.tls_max.unwrap_or(TlsVersion::V1_3));
    if min > max {
        return Err(Failure::new(
            "--tls-min, --tls-max: the lowest version is above the highest: none is left",
        ));
    }
    let identity = args
        .cert
        .as_ref()
        .map(|cert| Identity { cert: cert.clone(), key: args.key.as_ref().unwrap_or(cert).clone() });
    Ok(Tls {
        verify: args.verify || args.tls_ca.is_some(),
        ca: args.tls_ca.clone(),
        sni: args.sni.clone(),
        ciphers: ciphers(args, choice.protocol, notes)?,
        groups: groups(args, notes),
        alpn: choice.alpn,
        resumption: args.tls_resumption,
        early_data: early_data(args, choice.protocol)?,
        identity,
        min,
        max,
    })
}

/// Over QUIC alone: elsewhere it would be left out in silence.
fn early_data(args: &TlsArgs, protocol: Protocol) -> Result<bool, Failure> {
    match args.tls_early_data && protocol != Protocol::H3 {
        true => Err(Failure::new("--tls-early-data: early data (0-RTT) is sent by HTTP/3 alone: give --h3")),
        false => Ok(args.tls_early_data),
    }
}

/// One list for all versions; the half that was not given keeps its defaults.
fn ciphers(args: &TlsArgs, protocol: Protocol, notes: &mut Vec<String>) -> Result<Vec<String>, Failure> {
    if let Some(all) = &args.tls_ciphers {
        return Ok(list(&all.replace(',', ":"), ':'));
    }
    if args.ciphers.is_none() && args.tls13_ciphers.is_none() {
        return Ok(vec![]);
    }
    let mut half = |option, given: &Option<String>, default: &[&str]| match given {
        Some(text) => known(option, list(text, ':'), notes),
        None => Ok(default.iter().map(|s| (*s).to_owned()).collect()),
    };
    let mut both = half("--tls13-ciphers", &args.tls13_ciphers, TLS13)?;
    // QUIC has no use for the older ones; who asks for one by name is told so.
    let older = if protocol == Protocol::H3 { &[] } else { TLS12 };
    both.extend(half("--ciphers", &args.ciphers, older)?);
    Ok(both)
}

/// h2load's two lists: OpenSSL passes over names that it does not know as long as it knows one. So it is here, but not in silence.
fn known(option: &str, names: Vec<String>, notes: &mut Vec<String>) -> Result<Vec<String>, Failure> {
    let (known, unknown): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| engine::knows_cipher(name));
    if known.is_empty() {
        return Err(Failure::new(format!(
            "{option}: \"{}\" names no cipher suite of this TLS library: give names such as \
             TLS_AES_256_GCM_SHA384 or ECDHE-RSA-AES256-GCM-SHA384 with colons between",
            unknown.join(":")
        )));
    }
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        notes.push(format!("{option}: this TLS library has no {unknown}: left out"));
    }
    Ok(known)
}

/// h2load refuses a group that OpenSSL does not know, but its own default has one that is not here: that is left out, and said.
fn groups(args: &TlsArgs, notes: &mut Vec<String>) -> Vec<String> {
    let names = args.groups.as_deref().map_or(vec![], |g| list(g, ':'));
    let (theirs, ours): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| is_of_openssl_alone(name));
    if theirs.is_empty() || ours.is_empty() {
        return names;
    }
    notes.push(format!("--groups: this TLS library has no {}: left out", theirs.join(", ")));
    ours
}

fn is_of_openssl_alone(group: &str) -> bool {
    !engine::knows_group(group) && OPENSSL_GROUPS.iter().any(|other| other.eq_ignore_ascii_case(group))
}

/// Names that nobody knows are a mistake also where nothing is encrypted. A group that OpenSSL has is none there: h2load runs.
pub fn check_unused(tls: &Tls) -> Result<(), Failure> {
    let groups = tls.groups.iter().filter(|name| !is_of_openssl_alone(name)).cloned().collect();
    engine::check_names(&Tls { groups, ..tls.clone() }).map_err(Failure::new)
}

/// Which HTTP is spoken, and what is offered over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which HTTP.
    pub protocol: Protocol,
    /// The ALPN list as it was given; empty: what the protocol says.
    pub alpn: Vec<String>,
}

/// Over TLS what the ALPN list allows, in clear what `-p` says: HTTP/2 with prior knowledge unless told otherwise.
pub fn protocol(args: &ProtocolArgs, scheme: Scheme) -> Result<Choice, Failure> {
    if args.h1 {
        return Ok(Choice { protocol: Protocol::H1, alpn: vec![] });
    }
    if args.h3 {
        return over_quic(vec![], scheme);
    }
    let alpn = match args.alpn_list.as_ref().or(args.npn_list.as_ref()) {
        Some(text) => alpn_list(text)?,
        None => vec![],
    };
    if alpn.first().is_some_and(|first| first == "h3") {
        return over_quic(alpn, scheme);
    }
    let protocol = match (scheme, args.no_tls_proto) {
        (Scheme::Http, None | Some(NoTlsProto::H2c)) => Protocol::H2c,
        (Scheme::Http, Some(NoTlsProto::Http11)) => Protocol::H1,
        (Scheme::Https, _) => over_tls(&alpn)?,
    };
    Ok(Choice { protocol, alpn })
}

/// QUIC is spoken if h3 comes first, as in h2load.
fn alpn_list(text: &str) -> Result<Vec<String>, Failure> {
    const LONGEST: usize = 255; // RFC 7301 section 3.1
    let names = list(text, ',');
    match names.first() {
        None => Err(Failure::new("--alpn-list: empty: expected names like h2,http/1.1")),
        Some(first) if first.starts_with("h3-") => Err(Failure::new(format!(
            "--alpn-list: {first} is a draft of HTTP/3 that nothing speaks any more: give h3"
        ))),
        Some(_) => match names.iter().find(|n| n.len() > LONGEST) {
            Some(long) => {
                let start: String = long.chars().take(20).collect();
                Err(Failure::new(format!("--alpn-list: {start}...: a name has at most {LONGEST} bytes")))
            }
            None => Ok(names),
        },
    }
}

fn over_quic(alpn: Vec<String>, scheme: Scheme) -> Result<Choice, Failure> {
    match scheme {
        Scheme::Https => Ok(Choice { protocol: Protocol::H3, alpn }),
        Scheme::Http => Err(Failure::new("--h3: HTTP/3 is spoken over TLS only: give an https:// URL")),
    }
}

fn over_tls(alpn: &[String]) -> Result<Protocol, Failure> {
    let offers = |name: &str| alpn.is_empty() || alpn.iter().any(|n| n == name);
    match (offers("h2"), offers("http/1.1")) {
        (true, true) => Ok(Protocol::Auto),
        (true, false) => Ok(Protocol::H2),
        (false, true) => Ok(Protocol::H1),
        (false, false) => Err(Failure::new(format!(
            "--alpn-list: nothing of {} is spoken here: give h2, http/1.1 or both",
            alpn.join(",")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::typed;

    fn choice(line: &str, scheme: Scheme) -> Result<Choice, String> {
        protocol(&typed(line).unwrap().run.protocol, scheme).map_err(|e| e.to_string())
    }

    #[test]
    fn the_protocol_is_chosen_as_h2load_chooses_it() {
        use Protocol::{Auto, H1, H2, H2c};
        for (line, clear, tls, alpn) in [
            ("", H2c, Auto, ""),
            ("--h1", H1, H1, ""),
            ("--h1 -p h2c --alpn-list h2", H1, H1, ""),
            ("-p h2c", H2c, Auto, ""),
            ("-p http/1.1", H1, Auto, ""),
            ("--alpn-list h2", H2c, H2, "h2"),
            ("--alpn h2", H2c, H2, "h2"),
            ("--npn-list h2", H2c, H2, "h2"),
            ("--alpn-list http/1.1", H2c, H1, "http/1.1"),
            ("--alpn-list http/1.1,h2", H2c, Auto, "http/1.1 h2"),
            ("--alpn-list h2,h2-16,h2-14,http/1.1", H2c, Auto, "h2 h2-16 h2-14 http/1.1"),
            ("--alpn-list h2,h3", H2c, H2, "h2 h3"),
            ("--alpn-list h2,http/1.1 -p http/1.1", H1, Auto, "h2 http/1.1"),
        ] {
            let alpn: Vec<String> = list(alpn, ' ');
            for (scheme, protocol) in [(Scheme::Http, clear), (Scheme::Https, tls)] {
                assert_eq!(choice(line, scheme), Ok(Choice { protocol, alpn: alpn.clone() }), "{line}");
            }
        }
    }

    #[test]
    fn quic_is_spoken_where_h3_comes_first() {
        let h3 = |alpn: &str| Ok(Choice { protocol: Protocol::H3, alpn: list(alpn, ' ') });
        assert_eq!(choice("--h3", Scheme::Https), h3(""));
        assert_eq!(choice("--alpn-list h3,h2", Scheme::Https), h3("h3 h2"));
        assert_eq!(choice("--h1 --h3 --no-udp-gso", Scheme::Https).unwrap().protocol, Protocol::H1);
        assert!(choice("--h3", Scheme::Http).unwrap_err().contains("https://"));
    }

    #[test]
    fn blanks_around_names_are_no_part_of_them() {
        let args =
            ProtocolArgs { alpn_list: Some(" h2 , http/1.1,".into()), ..typed("").unwrap().run.protocol };
        let choice = protocol(&args, Scheme::Https).unwrap();
        assert_eq!(choice, Choice { protocol: Protocol::Auto, alpn: list("h2 http/1.1", ' ') });
    }

    #[test]
    fn lists_that_name_nothing_we_speak() {
        let long = format!("--alpn-list h2,{}", "x".repeat(256));
        for (line, part) in [
            ("--alpn-list ,", "empty"),
            ("--alpn-list spdy/3,foo", "nothing of spdy/3,foo is spoken here"),
            ("--alpn-list h3-29,h2", "h3-29 is a draft of HTTP/3"),
            (long.as_str(), "at most 255 bytes"),
        ] {
            let error = choice(line, Scheme::Https).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
