//! What a connection says before TLS and HTTP: the header of the PROXY protocol, and CONNECT to an HTTP proxy, whose answer
//! must come first. Bytes only; `traffic` sends and receives them.

use crate::StartError;
use crate::addresses::Ways;
use crate::limits;
use proto::Scheme;
use scenario::Plan;
use scenario::plan::{Endpoint, Protocol, Proxy, ProxyProtocol, ProxyVersion, Target};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The preludes of the connections to one target, made once.
#[derive(Clone, Default)]
pub(crate) struct PreludeSetup {
    header: Option<ProxyProtocol>,
    tunnel: Option<Tunnel>,
    /// Connections go to a proxy, tunnelled or not.
    pub(crate) by_proxy: bool,
}

#[derive(Clone)]
struct Tunnel {
    /// The request, whole.
    request: Vec<u8>,
    /// Where the tunnel shall lead.
    authority: String,
}

/// The prelude of one connection.
pub(super) struct Prelude {
    /// Still to be sent.
    pub(super) out: Vec<u8>,
    /// A proxy must answer before anything else is said.
    pub(super) tunnels: bool,
    /// What has come of its answer.
    head: Vec<u8>,
}

impl PreludeSetup {
    /// Of a target, and the ways that its connections take: to the proxy, if there is one.
    pub(crate) fn new(target: &Target, plan: &Plan) -> Result<(PreludeSetup, Ways), StartError> {
        let c = &plan.connections;
        let header = c.route.proxy_protocol.clone();
        let Some(proxy) = &c.route.proxy else {
            let ways = Ways::to(target, c.family, &c.route.sources)?;
            return Ok((PreludeSetup { header, ..PreludeSetup::default() }, ways));
        };
        let ways = Ways::to(
            &Target { endpoint: proxy.endpoint.clone(), ..target.clone() },
            c.family,
            &c.route.sources,
        )?;
        let tunnel = match tunnels(target.scheme, plan.protocol_of(target)) {
            true => Some(Tunnel::new(target, proxy)?),
            false => None,
        };
        Ok((PreludeSetup { header, tunnel, by_proxy: true }, ways))
    }

    /// The prelude of connection `n`; `None`: there is none. `local` says where the connection is bound.
    pub(super) fn of(
        &self,
        n: u32,
        local: impl FnOnce() -> Option<SocketAddr>,
        peer: Option<SocketAddr>,
    ) -> Option<Prelude> {
        if self.header.is_none() && self.tunnel.is_none() {
            return None;
        }
        let mut out = Vec::new();
        if let Some(header) = &self.header {
            let local = local();
            let port = local.map_or(0, |l| l.port());
            let source = match header.sources.len() {
                0 => local,
                len => Some(SocketAddr::new(header.sources[n as usize % len], port)),
            };
            proxy_header(header.version, source.zip(peer), &mut out);
        }
        if let Some(tunnel) = &self.tunnel {
            out.extend_from_slice(&tunnel.request);
        }
        Some(Prelude { out, tunnels: self.tunnel.is_some(), head: Vec::new() })
    }

    /// Where a tunnel shall lead, for people.
    pub(super) fn authority(&self) -> &str {
        self.tunnel.as_ref().map_or("", |t| &t.authority)
    }
}

/// Whether an HTTP proxy passes bytes on unseen, or requests (RFC 9110 sections 9.3.6 and 3.7).
pub(super) fn tunnels(scheme: Scheme, protocol: Protocol) -> bool {
    scheme == Scheme::Https || protocol == Protocol::H2c
}

impl Tunnel {
    fn new(target: &Target, proxy: &Proxy) -> Result<Tunnel, StartError> {
        let authority = match &target.endpoint {
            Endpoint::Name { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Name { host, port } => format!("{host}:{port}"),
            Endpoint::Address(address) => address.to_string(),
            Endpoint::Addresses(list) => list.first().map(SocketAddr::to_string).unwrap_or_default(),
            Endpoint::Unix(path) => {
                return Err(StartError(format!(
                    "no proxy leads to unix:{}: leave one of the two out",
                    path.display()
                )));
            }
            Endpoint::Builtin => return Err(StartError("the built-in target was not started".into())),
        };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(authorization) = &proxy.authorization {
            let _ = write!(request, "Proxy-Authorization: {}\r\n", authorization.reveal());
        }
        request.push_str("\r\n");
        Ok(Tunnel { request: request.into_bytes(), authority })
    }
}

/// The header of the PROXY protocol (haproxy's `proxy-protocol.txt`, sections 2.1 and 2.2). Without addresses: unknown.
fn proxy_header(version: ProxyVersion, ends: Option<(SocketAddr, SocketAddr)>, out: &mut Vec<u8>) {
    let ends = ends.map(|(source, destination)| one_family(source, destination));
    match version {
        ProxyVersion::V1 => {
            let line = match ends {
                None => "PROXY UNKNOWN\r\n".to_owned(),
                Some((s, d)) => {
                    let family = if s.is_ipv4() { "TCP4" } else { "TCP6" };
                    format!("PROXY {family} {} {} {} {}\r\n", s.ip(), d.ip(), s.port(), d.port())
                }
            };
            out.extend_from_slice(line.as_bytes());
        }
        ProxyVersion::V2 => {
            out.extend_from_slice(b"\r\n\r\n\0\r\nQUIT\n");
            match ends {
                // Version 2, command LOCAL: the receiver takes what the connection itself says.
                None => out.extend_from_slice(&[0x20, 0, 0, 0]),
                Some((s, d)) => {
                    let (family, len) = if s.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
                    out.extend_from_slice(&[0x21, family, 0, len]);
                    for ip in [s.ip(), d.ip()] {
                        match ip {
                            IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
                            IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
                        }
                    }
                    out.extend_from_slice(&s.port().to_be_bytes());
                    out.extend_from_slice(&d.port().to_be_bytes());
                }
            }
        }
    }
}

/// Both ends in one family: a mixed pair is written in IPv6.
fn one_family(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    if a.is_ipv4() == b.is_ipv4() {
        return (a, b);
    }
    let mapped = |end: SocketAddr| match end.ip() {
        IpAddr::V4(v4) => SocketAddr::new(Ipv4Addr::to_ipv6_mapped(&v4).into(), end.port()),
        IpAddr::V6(v6) => SocketAddr::new(Ipv6Addr::into(v6), end.port()),
    };
    (mapped(a), mapped(b))
}

impl Prelude {
    /// Takes bytes of the proxy's answer. Once the tunnel stands: how many of them belong to the answer.
    pub(super) fn answered(&mut self, bytes: &[u8]) -> Result<Option<usize>, String> {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let from = before.saturating_sub(3);
        let Some(end) = self.head[from..].windows(4).position(|w| w == b"\r\n\r\n") else {
            if self.head.len() > limits::PROXY_HEAD {
                return Err(format!("its answer is longer than {} bytes", limits::PROXY_HEAD));
            }
            if !b"HTTP/1.".starts_with(&self.head[..self.head.len().min(7)]) {
                return Err("its answer is not HTTP/1".into());
            }
            return Ok(None);
        };
        let end = from + end + 4;
        match status(&self.head) {
            Some((200..=299, _)) => Ok(Some(end - before)),
            // An interim response (RFC 9110 section 15.2): the answer is still to come.
            Some((100..=199, _)) => {
                let rest = self.head.split_off(end);
                self.head.clear();
                let taken = bytes.len() - rest.len();
                self.answered(&rest).map(|done| done.map(|n| taken + n))
            }
            Some((407, line)) => Err(format!(
                "it answered {line} (give credentials: --proxy http://USER:PASSWORD@HOST:PORT, or connections: proxy)"
            )),
            Some((_, line)) => Err(format!("it answered {line}")),
            None => Err("its answer is not HTTP/1".into()),
        }
    }
}

/// The status, and the status line without its version as far as it can be shown.
fn status(head: &[u8]) -> Option<(u16, String)> {
    const SHOWN: usize = 80;
    let line = head.split(|&b| b == b'\r').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?.get(2..)?;
    let code: u16 = std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()?;
    let clean = |c: char| if c.is_control() { '?' } else { c };
    Some((code, String::from_utf8_lossy(rest).chars().map(clean).take(SHOWN).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: ProxyVersion, source: &str, destination: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let ends = source.parse().ok().zip(destination.parse().ok());
        proxy_header(version, ends, &mut out);
        out
    }

    #[test]
    fn the_header_in_words() {
        for (source, destination, line) in [
            ("192.0.2.1:5000", "10.0.0.1:80", "PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\r\n"),
            ("[2001:db8::1]:5000", "[::1]:443", "PROXY TCP6 2001:db8::1 ::1 5000 443\r\n"),
            ("192.0.2.1:5000", "[::1]:443", "PROXY TCP6 ::ffff:192.0.2.1 ::1 5000 443\r\n"),
            ("-", "-", "PROXY UNKNOWN\r\n"),
        ] {
            assert_eq!(header(ProxyVersion::V1, source, destination), line.as_bytes(), "{source}");
        }
    }

    #[test]
    fn the_header_in_bytes() {
        let signature = b"\r\n\r\n\0\r\nQUIT\n";
        let expected = |rest: &[u8]| [&signature[..], rest].concat();
        assert_eq!(
            header(ProxyVersion::V2, "192.0.2.1:5000", "10.0.0.1:80"),
            expected(&[0x21, 0x11, 0, 12, 192, 0, 2, 1, 10, 0, 0, 1, 0x13, 0x88, 0, 80])
        );
        let v6 = header(ProxyVersion::V2, "[::1]:1", "10.0.0.1:2");
        assert_eq!((&v6[12..16], v6.len()), (&[0x21, 0x21, 0, 36][..], 16 + 36));
        assert_eq!(&v6[v6.len() - 8..], &[10, 0, 0, 1, 0, 1, 0, 2], "the address is mapped");
        assert_eq!(header(ProxyVersion::V2, "-", "-"), expected(&[0x20, 0, 0, 0]));
    }

    /// What an answer, given in pieces of this size, ends in.
    fn answer(text: &str, piece: usize) -> Result<Option<usize>, String> {
        let mut prelude = Prelude { out: vec![], tunnels: true, head: vec![] };
        let mut taken = 0;
        for piece in text.as_bytes().chunks(piece) {
            match prelude.answered(piece)? {
                Some(n) => return Ok(Some(taken + n)),
                None => taken += piece.len(),
            }
        }
        Ok(None)
    }

    #[test]
    fn an_answer_in_any_pieces() {
        let good = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
        let interim = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.0 204 x\r\n\r\n";
        for text in [good, interim] {
            for piece in 1..=text.len() + 4 {
                let more = format!("{text}more");
                assert_eq!(answer(&more, piece), Ok(Some(text.len())), "{text:?} by {piece}");
            }
            assert_eq!(answer(&text[..text.len() - 1], 5), Ok(None));
        }
    }

    #[test]
    fn answers_that_are_no_tunnel() {
        let long = format!("HTTP/1.1 200 x\r\nx: {}", "y".repeat(limits::PROXY_HEAD));
        for (text, part) in [
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                "it answered 407 Proxy Authentication Required (give",
            ),
            ("HTTP/1.1 502 Bad\u{7}Gateway\r\n\r\n", "it answered 502 Bad?Gateway"),
            ("HTTP/1.1 302 x\r\n\r\n", "it answered 302 x"),
            ("HTTP/2 200 x\r\n\r\n", "not HTTP/1"),
            ("HTTP/1.1 2x0 x\r\n\r\n", "not HTTP/1"),
            ("SSH-2.0-x\r\n", "not HTTP/1"),
            (long.as_str(), "longer than"),
        ] {
            for piece in [1, 7, 100_000] {
                let error = answer(text, piece).unwrap_err();
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
    }
}
