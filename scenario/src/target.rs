//! URLs into [`Target`]s. Used for plans and by `cli` for flags.

use crate::plan::{Endpoint, Protocol, Target};
use proto::Scheme;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Why a text is not a URL that can be requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError {
    /// What is wrong.
    pub kind: UrlErrorKind,
    /// Which bytes of the text.
    pub at: Range<usize>,
}

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlErrorKind {
    /// It does not begin with `http://` or `https://`.
    NoScheme,
    /// Another scheme.
    Scheme,
    /// A blank or a control character.
    Blank,
    /// `user@`.
    UserInfo,
    /// No host, or none that can be.
    Host,
    /// Not a number from 1 to 65535.
    Port,
    /// `#...`, which is never sent.
    Fragment,
}

impl UrlErrorKind {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            UrlErrorKind::NoScheme => "a URL begins with `http://` or `https://`",
            UrlErrorKind::Scheme => "use `http` or `https`",
            UrlErrorKind::Blank => "write a blank as `%20`",
            UrlErrorKind::UserInfo => "give credentials in the header `authorization`",
            UrlErrorKind::Host => "expected a name, an IPv4 address or an IPv6 address in brackets",
            UrlErrorKind::Port => "a port is a number from 1 to 65535",
            UrlErrorKind::Fragment => "leave it out: what follows `#` never leaves a client",
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            UrlErrorKind::NoScheme => "a URL without a scheme",
            UrlErrorKind::Scheme => "an unknown scheme",
            UrlErrorKind::Blank => "a URL holds no blank and no control character",
            UrlErrorKind::UserInfo => "a URL holds no user name",
            UrlErrorKind::Host => "not a host",
            UrlErrorKind::Port => "not a port",
            UrlErrorKind::Fragment => "a URL of a request has no fragment",
        })
    }
}

impl std::error::Error for UrlError {}

fn error<T>(kind: UrlErrorKind, at: Range<usize>) -> Result<T, UrlError> {
    Err(UrlError { kind, at })
}

impl Target {
    /// The server inside this process.
    pub fn builtin(scheme: Scheme) -> Target {
        let host = "localhost".to_owned();
        Target { scheme, authority: host.clone(), host, endpoint: Endpoint::Builtin, protocol: None }
    }

    /// A server on a Unix socket, in clear, under the name `localhost`.
    pub fn unix(path: PathBuf) -> Target {
        Target { endpoint: Endpoint::Unix(path), ..Target::builtin(Scheme::Http) }
    }

    /// The port of its URL.
    pub fn port(&self) -> u16 {
        let host_end = self.authority.rfind(']').map_or(0, |at| at + 1);
        let port = self.authority[host_end..].rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.unwrap_or(self.scheme.default_port())
    }

    /// Whether it may say that it speaks HTTP/3 as well: over TLS alone, where it is known who says so, and not where a step or
    /// scenario wants a protocol of its own.
    pub fn has_alternative(&self, of_plan: Protocol) -> bool {
        let open = match self.protocol {
            None => matches!(of_plan, Protocol::Auto | Protocol::H1 | Protocol::H2),
            Some(own) => own == Protocol::Auto,
        };
        open && self.scheme == Scheme::Https
    }

    /// The target of an absolute URL, and its path with the query, never empty, otherwise as written.
    pub fn from_url(url: &str) -> Result<(Target, String), UrlError> {
        if let Some(at) = url.find(|c: char| c.is_whitespace() || c.is_control()) {
            return error(UrlErrorKind::Blank, at..at + url[at..].chars().next().map_or(1, char::len_utf8));
        }
        let Some(colon) = url.find("://") else { return error(UrlErrorKind::NoScheme, 0..url.len()) };
        let scheme = match &url[..colon] {
            s if s.eq_ignore_ascii_case("http") => Scheme::Http,
            s if s.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return error(UrlErrorKind::Scheme, 0..colon),
        };
        let start = colon + 3;
        let end = url[start..].find(['/', '?', '#', '\\']).map_or(url.len(), |at| start + at);
        let target = target(scheme, &url[start..end], start..end)?;
        Ok((target, path_and_query(&url[end..]).map_err(|at| shift(at, end))?))
    }
}

fn shift(mut e: UrlError, by: usize) -> UrlError {
    e.at = e.at.start + by..e.at.end + by;
    e
}

fn target(scheme: Scheme, authority: &str, at: Range<usize>) -> Result<Target, UrlError> {
    if let Some(user) = authority.rfind('@') {
        return error(UrlErrorKind::UserInfo, at.start..at.start + user + 1);
    }
    let host_end = match authority.rfind(':') {
        Some(colon) if !authority.starts_with('[') || authority[..colon].ends_with(']') => colon,
        _ => authority.len(),
    };
    let port = match authority.get(host_end + 1..) {
        None => scheme.default_port(),
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => port,
            _ => {
                return error(
                    UrlErrorKind::Port,
                    at.start + host_end + 1..at.end.max(at.start + host_end + 2),
                );
            }
        },
    };
    let bad_host = || UrlError { kind: UrlErrorKind::Host, at: at.start..at.start + host_end.max(1) };
    let url = url::Url::parse(&format!("{}://{}/", scheme.as_str(), &authority[..host_end]));
    let url = url.map_err(|_| bad_host())?;
    let shown =
        url.host_str().filter(|host| !host.is_empty() && url.port().is_none()).ok_or_else(bad_host)?;
    let host = shown.trim_start_matches('[').trim_end_matches(']').to_owned();
    let authority = match port == scheme.default_port() {
        true => shown.to_owned(),
        false => format!("{shown}:{port}"),
    };
    let endpoint = Endpoint::Name { host: host.clone(), port };
    Ok(Target { scheme, authority, endpoint, host, protocol: None })
}

/// What is sent as the path: as written, but never empty, and what is not ASCII percent-encoded (RFC 3986 section 2.1).
pub(crate) fn path_and_query(text: &str) -> Result<String, UrlError> {
    if let Some(at) = text.find(|c: char| c.is_whitespace() || c.is_control()) {
        return error(UrlErrorKind::Blank, at..at + text[at..].chars().next().map_or(1, char::len_utf8));
    }
    if let Some(at) = text.find('#') {
        return error(UrlErrorKind::Fragment, at..text.len());
    }
    let mut path = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') && text != "*" {
        path.push('/');
    }
    for c in text.chars() {
        match c.is_ascii() {
            true => path.push(c),
            false => {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    path.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let cases = [
            ("http://a", "a", "a", 80, "/"),
            ("HTTP://A.example:8080", "a.example:8080", "a.example", 8080, "/"),
            ("https://a:443/x", "a", "a", 443, "/x"),
            ("https://a:80/x?y=1", "a:80", "a", 80, "/x?y=1"),
            ("http://[::1]:8081/", "[::1]:8081", "::1", 8081, "/"),
            ("http://[2001:db8::1]?q", "[2001:db8::1]", "2001:db8::1", 80, "/?q"),
            ("http://127.0.0.1/ä/../b%20", "127.0.0.1", "127.0.0.1", 80, "/%C3%A4/../b%20"),
            ("http://bücher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example", 80, "/"),
        ];
        for (url, authority, host, port, path) in cases {
            let (target, got) = Target::from_url(url).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!(
                (target.authority.as_str(), target.host.as_str(), got.as_str()),
                (authority, host, path)
            );
            assert_eq!(target.endpoint, Endpoint::Name { host: host.into(), port });
        }
    }

    #[test]
    fn what_is_no_url() {
        use UrlErrorKind::*;
        let cases = [
            ("", NoScheme, 0..0),
            ("example.com", NoScheme, 0..11),
            ("ftp://a", Scheme, 0..3),
            ("http://", Host, 7..8),
            ("http:///x", Host, 7..8),
            ("http://a b/", Blank, 8..9),
            ("http://a\n", Blank, 8..9),
            ("http://u:p@a/", UserInfo, 7..11),
            ("http://a:0/", Port, 9..10),
            ("http://a:/", Port, 9..10),
            ("http://a:+80/", Port, 9..12),
            ("http://a:65536/", Port, 9..14),
            ("http://[::1/", Host, 7..11),
            ("http://a<b/", Host, 7..10),
            ("http://1.2.3.400/", Host, 7..16),
            ("http://a/#x", Fragment, 9..11),
        ];
        for (url, kind, at) in cases {
            assert_eq!(Target::from_url(url).unwrap_err(), UrlError { kind, at }, "{url}");
        }
    }
}
