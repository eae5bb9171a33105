//! The words of the network: source addresses, places to connect to, names with given addresses, socket option values.
//! Used for plans and by `cli` for flags; each error says what is expected.

use crate::limits;
use crate::plan::{Endpoint, Proxy, ProxyVersion, Secret, Target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Local addresses: `10.0.0.7`, a range `10.0.0.7-10.0.0.9`, or a network `10.0.0.0/29`. Of an IPv4 network with more than
/// two addresses the first and the last are left out, which no host has (RFC 1122 section 3.2.1.3).
pub fn sources(text: &str) -> Result<Vec<IpAddr>, String> {
    let wrong =
        || "expected an address like 10.0.0.7, a range 10.0.0.7-10.0.0.9 or a network 10.0.0.0/29".to_owned();
    let ip = |t: &str| t.trim().parse::<IpAddr>().map_err(|_| wrong());
    let (first, last) = if let Some((address, bits)) = text.split_once('/') {
        network(ip(address)?, bits.trim().parse().map_err(|_| wrong())?).ok_or_else(wrong)?
    } else if let Some((first, last)) = text.split_once('-') {
        (ip(first)?, ip(last)?)
    } else {
        (ip(text)?, ip(text)?)
    };
    if first.is_ipv4() != last.is_ipv4() || first > last {
        return Err(wrong());
    }
    let (low, high) = (number(first), number(last));
    if high - low >= limits::MAX_SOURCES as u128 {
        return Err(format!("at most {} source addresses", limits::MAX_SOURCES));
    }
    let back = |n: u128| match first {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(n).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(n)),
    };
    Ok((low..=high).map(back).collect())
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// First and last address of a network.
fn network(ip: IpAddr, bits: u32) -> Option<(IpAddr, IpAddr)> {
    match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
            let (low, high) = (u32::from(v4) & mask, u32::from(v4) | !mask);
            let (low, high) = if bits < 31 { (low + 1, high - 1) } else { (low, high) };
            Some((Ipv4Addr::from(low).into(), Ipv4Addr::from(high).into()))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(bits)?).unwrap_or(0);
            let (low, high) = (u128::from(v6) & mask, u128::from(v6) | !mask);
            Some((Ipv6Addr::from(low).into(), Ipv6Addr::from(high).into()))
        }
    }
}

/// A place to connect to: `HOST`, `HOST:PORT`, `[V6]:PORT`, `unix:PATH`.
pub fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, String> {
    if let Some(path) = unix_path(text) {
        return path.map(Endpoint::Unix);
    }
    let wrong = || "expected HOST, HOST:PORT or unix:PATH".to_owned();
    let (host, port) = host_and_port(text).ok_or_else(wrong)?;
    if host.is_empty() || host.contains(['/', ' ', '@']) {
        return Err(wrong());
    }
    Ok(Endpoint::Name { host: host.to_owned(), port: port.unwrap_or(default_port) })
}

/// The path of `unix:PATH`; `None`: it is no such thing.
pub fn unix_path(text: &str) -> Option<Result<PathBuf, String>> {
    let prefix = text.get(..5).filter(|p| p.eq_ignore_ascii_case("unix:"))?;
    let path = &text[prefix.len()..];
    // sun_path of unix(7), with its NUL.
    Some(match path.len() {
        0 => Err("expected a path behind unix:".to_owned()),
        1..=107 if !path.contains('\0') => Ok(path.into()),
        n => Err(format!("the path of a Unix socket has at most 107 bytes, this one has {n}")),
    })
}

/// Host without brackets, and the port if there is one.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        // More than one colon is an IPv6 address without brackets and without a port.
        None if text.matches(':').count() > 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p))),
    };
    match port {
        None => Some((host, None)),
        Some(p) => {
            let digits = p.bytes().all(|b| b.is_ascii_digit());
            let port = p.parse::<u16>().ok().filter(|p| digits && *p > 0)?;
            Some((host, Some(port)))
        }
    }
}

/// Which targets a rule is about: those that go to this host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// `None`: any.
    host: Option<String>,
    /// `None`: any.
    port: Option<u16>,
}

impl Whom {
    /// Every target.
    pub const ALL: Whom = Whom { host: None, port: None };

    /// `HOST`, `HOST:PORT`, or `*` for any host.
    pub fn parse(text: &str) -> Result<Whom, String> {
        let (host, port) =
            host_and_port(text).filter(|(h, _)| !h.is_empty()).ok_or("expected HOST or HOST:PORT")?;
        Ok(Whom { host: (host != "*").then(|| host.to_ascii_lowercase()), port })
    }

    fn is(&self, endpoint: &Endpoint) -> bool {
        let Endpoint::Name { host, port } = endpoint else { return false };
        self.host.as_ref().is_none_or(|h| host.eq_ignore_ascii_case(h))
            && self.port.is_none_or(|p| p == *port)
    }
}

/// Connections of these targets go elsewhere; their names stay.
pub fn connect_to(targets: &mut [Target], whom: &Whom, place: &str) -> Result<(), String> {
    let mut found = false;
    for target in targets.iter_mut().filter(|t| whom.is(&t.endpoint)) {
        let Endpoint::Name { port, .. } = target.endpoint else { continue };
        target.endpoint = endpoint(place, port)?;
        found = true;
    }
    if found { Ok(()) } else { Err(nobody(targets)) }
}

/// Connections of these targets go to these addresses in turn, and no name is looked up.
pub fn resolve(targets: &mut [Target], whom: &Whom, addresses: &[IpAddr]) -> Result<(), String> {
    let mut found = false;
    for target in targets.iter_mut().filter(|t| whom.is(&t.endpoint)) {
        let Endpoint::Name { port, .. } = target.endpoint else { continue };
        target.endpoint =
            Endpoint::Addresses(addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
        found = true;
    }
    if found { Ok(()) } else { Err(nobody(targets)) }
}

fn nobody(targets: &[Target]) -> String {
    let names: Vec<String> = targets
        .iter()
        .filter_map(|t| match &t.endpoint {
            Endpoint::Name { host, port } if host.contains(':') => Some(format!("[{host}]:{port}")),
            Endpoint::Name { host, port } => Some(format!("{host}:{port}")),
            _ => None,
        })
        .take(5)
        .collect();
    match names.is_empty() {
        true => "no connection goes to a host by its name".to_owned(),
        false => format!("no connection goes there: connections go to {}", names.join(", ")),
    }
}

/// Addresses with commas between, IPv6 with or without brackets.
pub fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let one = |t: &str| {
        let bare = t.trim().strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(t.trim());
        bare.parse::<IpAddr>().map_err(|_| "expected addresses like 10.0.0.7 or ::1".to_owned())
    };
    text.split(',').map(one).collect()
}

/// curl's `HOST:PORT:ADDRESS[,ADDRESS]`.
pub fn resolve_rule(text: &str) -> Result<(Whom, Vec<IpAddr>), String> {
    let wrong = || "expected HOST:PORT:ADDRESS[,ADDRESS...]".to_owned();
    let host_end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').ok_or_else(wrong)? + 2,
        None => text.find(':').ok_or_else(wrong)?,
    };
    let rest = text[host_end..].strip_prefix(':').ok_or_else(wrong)?;
    let (port, list) = rest.split_once(':').ok_or_else(wrong)?;
    let whom = Whom::parse(&format!("{}:{port}", &text[..host_end])).map_err(|_| wrong())?;
    Ok((whom, addresses(list)?))
}

/// An HTTP proxy: `http://[USER:PASSWORD@]HOST:PORT`. No error repeats the text: it may hold a password.
pub fn proxy(text: &str) -> Result<Proxy, String> {
    let wrong = || "expected http://HOST:PORT or http://USER:PASSWORD@HOST:PORT".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(
            "a proxy is spoken to in clear: http://HOST:PORT; TLS to the proxy and SOCKS are not supported"
                .into(),
        );
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let (host, port) = host_and_port(place).ok_or_else(wrong)?;
    if host.is_empty() || host.contains(['/', ' ', '?', '#']) {
        return Err(wrong());
    }
    let port = port.ok_or("the proxy's port is missing: http://HOST:PORT")?;
    let authorization = user.map(|user| Secret::new(basic(user)));
    let endpoint = Endpoint::Name { host: host.to_owned(), port };
    Ok(Proxy { endpoint, name: place.to_owned(), authorization })
}

/// The credentials of a URL, `user` or `user:password`, as the value of a field (RFC 7617), their percent-encoding undone.
pub fn basic(user: &str) -> String {
    let mut plain = percent_decoded(user);
    if !plain.contains(&b':') {
        plain.push(b':');
    }
    format!("Basic {}", STANDARD.encode(plain))
}

/// Bytes of which some are written `%41` (RFC 3986 section 2.1); a `%` that begins nothing such stays.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let (bytes, mut out) = (text.as_bytes(), Vec::with_capacity(text.len()));
    let mut at = 0;
    while at < bytes.len() {
        let hex = text
            .get(at + 1..at + 3)
            .filter(|h| bytes[at] == b'%' && h.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// A version of the PROXY protocol: `v1`, `v2`.
pub fn proxy_version(text: &str) -> Result<ProxyVersion, String> {
    match text.to_ascii_lowercase().trim_start_matches('v') {
        "1" => Ok(ProxyVersion::V1),
        "2" => Ok(ProxyVersion::V2),
        _ => Err("expected v1 or v2".into()),
    }
}

/// A code point of differentiated services: 0 to 63, or its name.
pub fn dscp(text: &str) -> Result<u8, String> {
    let name = text.to_ascii_lowercase();
    let digit = |b: u8| (b'0'..=b'7').contains(&b).then(|| b - b'0');
    let named = match name.as_bytes() {
        b"be" | b"df" => Some(0),
        b"le" => Some(1),                            // RFC 8622
        b"ef" => Some(46),                           // RFC 3246
        b"va" => Some(44),                           // RFC 5865
        [b'c', b's', n] => digit(*n).map(|n| n * 8), // RFC 2474 section 4.2.2
        // RFC 2597 section 6.
        [b'a', b'f', class @ b'1'..=b'4', drop @ b'1'..=b'3'] => Some((class - b'0') * 8 + (drop - b'0') * 2),
        _ => text.parse().ok().filter(|n| *n < 64),
    };
    named.ok_or_else(|| "expected 0 to 63, or a name such as ef, af41 or cs1".to_owned())
}

/// Local ports: `LOW-HIGH`.
pub fn local_ports(text: &str) -> Result<(u16, u16), String> {
    let wrong = || "expected LOW-HIGH, for example 20000-65000".to_owned();
    let (low, high) = text.split_once('-').ok_or_else(wrong)?;
    let port = |t: &str| t.trim().parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(wrong);
    let (low, high) = (port(low)?, port(high)?);
    if low <= high { Ok((low, high)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Scheme;

    fn target(url: &str) -> Target {
        Target::from_url(url).unwrap().0
    }

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn source_addresses() {
        for (text, list) in [
            ("10.0.0.7", "10.0.0.7"),
            ("10.0.0.7-10.0.0.9", "10.0.0.7 10.0.0.8 10.0.0.9"),
            ("10.0.0.5/30", "10.0.0.5 10.0.0.6"),
            ("10.0.0.4/31", "10.0.0.4 10.0.0.5"),
            ("10.0.0.4/32", "10.0.0.4"),
            ("::1", "::1"),
            ("fd00::4/127", "fd00::4 fd00::5"),
            ("fd00::4-fd00::5", "fd00::4 fd00::5"),
        ] {
            assert_eq!(sources(text), Ok(ips(list)), "{text}");
        }
        assert_eq!(sources("10.0.0.0/24").unwrap().len(), 254);
        for bad in ["", "x", "10.0.0.0/33", "10.0.0.9-10.0.0.7", "10.0.0.1-::1", "10.0.0.1/", "::/129"] {
            assert!(sources(bad).unwrap_err().starts_with("expected an address"), "{bad}");
        }
        for large in ["10.0.0.0/8", "::/0", "0.0.0.0/0", "fd00::/64"] {
            assert!(sources(large).unwrap_err().starts_with("at most "), "{large}");
        }
    }

    #[test]
    fn a_place_to_connect_to() {
        let name = |host: &str, port| Ok(Endpoint::Name { host: host.into(), port });
        for (text, host, port) in
            [("b", "b", 81), ("b:9", "b", 9), ("[::1]:9", "::1", 9), ("[::1]", "::1", 81), ("::1", "::1", 81)]
        {
            assert_eq!(endpoint(text, 81), name(host, port), "{text}");
        }
        for bad in ["", ":1", "a:x", "a:0", "a:+1", "a:65536", "[::1", "[x]:1", "a/b", "u@h", "unix:"] {
            assert!(endpoint(bad, 81).is_err(), "{bad}");
        }
        assert_eq!(endpoint("UNIX:/run/x", 1), Ok(Endpoint::Unix("/run/x".into())));
        assert!(endpoint(&format!("unix:{}", "x".repeat(108)), 1).unwrap_err().contains("107"));
    }

    #[test]
    fn rules_change_the_endpoint_of_whom_they_name_and_nothing_else() {
        let all = || [target("http://a:81/"), target("https://b/"), Target::builtin(Scheme::Http)];
        let (mut targets, before) = (all(), all());
        connect_to(&mut targets, &Whom::parse("A:81").unwrap(), "c:9").unwrap();
        assert_eq!(targets[0].endpoint, Endpoint::Name { host: "c".into(), port: 9 });
        assert_eq!((&targets[0].authority, &targets[1..]), (&before[0].authority, &before[1..]));
        let (whom, list) = resolve_rule("c:9:10.0.0.1,[::2],::3").unwrap();
        resolve(&mut targets, &whom, &list).unwrap();
        let shown: Vec<SocketAddr> =
            ["10.0.0.1:9", "[::2]:9", "[::3]:9"].map(|a| a.parse().unwrap()).to_vec();
        assert_eq!(targets[0].endpoint, Endpoint::Addresses(shown));

        let mut targets = all();
        connect_to(&mut targets, &Whom::ALL, "unix:/run/x").unwrap();
        assert!(targets[..2].iter().all(|t| t.endpoint == Endpoint::Unix("/run/x".into())));
        assert_eq!(targets[2], before[2], "the built-in server is where it is");
        let mut targets = all();
        resolve(&mut targets, &resolve_rule("*:443:10.0.0.1").unwrap().0, &ips("10.0.0.1")).unwrap();
        assert_eq!((&targets[0], &targets[1].host), (&before[0], &"b".to_owned()));
        let error = connect_to(&mut all(), &Whom::parse("z").unwrap(), "c").unwrap_err();
        assert_eq!(error, "no connection goes there: connections go to a:81, b:443");
    }

    #[test]
    fn rules_that_are_none() {
        for bad in ["", "a", "a:80", "a:80:", "a:80:b", "a:x:10.0.0.1", ":80:10.0.0.1", "[::1:80:::1"] {
            assert!(resolve_rule(bad).is_err(), "{bad}");
        }
        assert!(resolve_rule("[::1]:80:::2").is_ok());
    }

    #[test]
    fn a_proxy_and_its_credentials() {
        let known = |text: &str| proxy(text).unwrap();
        let p = known("http://us%40er:p%C3%A4ss@proxy.example:3128/");
        assert_eq!(p.authorization.as_ref().unwrap().reveal(), "Basic dXNAZXI6cMOkc3M=");
        assert_eq!(p.endpoint, Endpoint::Name { host: "proxy.example".into(), port: 3128 });
        assert!(!format!("{p:?}").contains("dXNA") && p.name == "proxy.example:3128");
        assert_eq!(known("http://[::1]:8080").endpoint, Endpoint::Name { host: "::1".into(), port: 8080 });
        assert_eq!(known("http://u@a:1").authorization.unwrap().reveal(), "Basic dTo=");
        assert_eq!(known("HTTP://%zz:%@a:1").authorization.unwrap().reveal(), "Basic JXp6OiU=");
        for (bad, part) in [
            ("proxy:3128", "expected http://HOST:PORT"),
            ("https://secret:secret@proxy:3128", "in clear"),
            ("socks5://proxy:1080", "SOCKS"),
            ("http://secret:secret@proxy", "port is missing"),
            ("http://secret@proxy:80/path", "expected"),
            ("http://:3128", "expected"),
        ] {
            let error = proxy(bad).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{bad}: {error}");
        }
        assert_eq!((proxy_version("v1"), proxy_version("2")), (Ok(ProxyVersion::V1), Ok(ProxyVersion::V2)));
        assert!(proxy_version("3").is_err());
    }

    #[test]
    fn values_of_socket_options() {
        for (text, value) in
            [("0", 0), ("63", 63), ("EF", 46), ("af11", 10), ("af43", 38), ("cs7", 56), ("le", 1)]
        {
            assert_eq!(dscp(text), Ok(value), "{text}");
        }
        for bad in ["", "64", "-1", "af51", "cs8", "x"] {
            assert!(dscp(bad).is_err(), "{bad}");
        }
        assert_eq!(local_ports("1024-65535"), Ok((1024, 65535)));
        for bad in ["", "5", "9-8", "0-9", "1-65536"] {
            assert!(local_ports(bad).is_err(), "{bad}");
        }
    }
}
