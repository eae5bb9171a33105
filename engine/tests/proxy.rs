//! Through an HTTP proxy, and behind the header of the PROXY protocol: what is said first, and every way it can fail.

mod support;

use scenario::plan::{Endpoint, Protocol, Proxy, ProxyProtocol, ProxyVersion, Secret};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use support::hostile::{Hostile, Visit};
use support::{Load, iterations, ms, run, try_run};

support::drivers::over_all_drivers!();

fn origin() -> origin::Origin {
    let any = Some("127.0.0.1:0".parse().unwrap());
    origin::start(origin::Config { clear: any, tls: any, ..origin::Config::default() }).unwrap()
}

/// The head of a request, lines and all, and what came after it.
fn head(visit: &mut Visit) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok((String::from_utf8(bytes).unwrap(), rest));
        }
        bytes.extend(visit.read()?);
    }
}

/// Passes bytes on in both directions until both have ended.
fn relay(visit: &Visit, to: SocketAddr, first: &[u8]) -> io::Result<()> {
    let mut far = TcpStream::connect(to)?;
    far.write_all(first)?;
    let (mut from, mut back) = (far.try_clone()?, visit.stream.try_clone()?);
    let other = std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut back);
        let _ = back.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut visit.stream.try_clone()?, &mut far);
    let _ = far.shutdown(Shutdown::Write);
    let _ = other.join();
    Ok(())
}

/// A proxy that passes tunnels on to this address, and notes the heads of the requests for them.
fn tunnelling(to: SocketAddr) -> (Hostile, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let list = heads.clone();
    let proxy = Hostile::new(move |visit| {
        let (head, rest) = head(visit)?;
        assert!(rest.is_empty(), "nothing may follow before the answer");
        list.lock().unwrap().push(head);
        visit.say("HTTP/1.1 200 Connection established\r\n")?;
        std::thread::sleep(ms(5)); // the answer in two segments
        visit.say("\r\n")?;
        relay(visit, to, &[])
    });
    (proxy, heads)
}

fn by(proxy: &Hostile) -> Option<Proxy> {
    let authorization = Some(Secret::new("Basic dTpw"));
    Some(Proxy { endpoint: Endpoint::Address(proxy.address()), name: "proxy".into(), authorization })
}

#[test]
fn a_tunnel_for_tls_and_for_http2_in_clear() {
    let origin = origin();
    let (tls, clear) = (origin.tls_addr().unwrap(), origin.clear_addr().unwrap());
    for (protocol, over_tls, to) in [
        (Protocol::H1, true, tls),
        (Protocol::H2, true, tls),
        (Protocol::Auto, true, tls),
        (Protocol::H2c, false, clear),
    ] {
        let (proxy, heads) = tunnelling(to);
        let load = Load { protocol, tls: over_tls, streams: 3, users: 12, ..Load::on(to, iterations(300)) };
        let mut plan = load.plan();
        plan.targets[0].endpoint = Endpoint::Name { host: "shop.example".into(), port: 8443 };
        plan.connections.route.proxy = by(&proxy);
        plan.connections.requests_per_connection = NonZeroU64::new(20);
        let result = run(plan);
        proxy.settle();
        let case = format!("{protocol:?}: {:?}", result.connections.errors);
        assert_eq!(result.totals.books.succeeded, 300, "{case}");
        let heads = heads.lock().unwrap();
        assert!(heads.len() >= 15, "{case}");
        let expected = "CONNECT shop.example:8443 HTTP/1.1\r\nHost: shop.example:8443\r\n\
                        Proxy-Authorization: Basic dTpw\r\n\r\n";
        assert!(heads.iter().all(|h| h == expected), "{heads:?}");
    }
}

#[test]
fn requests_in_clear_name_the_whole_url() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = seen.clone();
    let proxy = Hostile::new(move |visit| {
        loop {
            let (head, _) = head(visit)?;
            list.lock().unwrap().push(head);
            visit.answer()?;
        }
    });
    let mut plan = Load { paths: vec!["/a?b=c"], ..Load::on(proxy.address(), iterations(20)) }.plan();
    // Whose name nobody here can look up: that is the proxy's to do.
    plan.targets[0].endpoint = Endpoint::Name { host: "no-such-host.invalid".into(), port: 80 };
    plan.connections.route.proxy = by(&proxy);
    let result = run(plan);
    assert_eq!(result.totals.books.succeeded, 20);
    let expected =
        "GET http://localhost/a?b=c HTTP/1.1\r\nHost: localhost\r\nproxy-authorization: Basic dTpw\r\n\r\n";
    let seen = seen.lock().unwrap();
    assert!(seen.len() == 20 && seen.iter().all(|h| h == expected), "{:?}", seen.first());
}

#[test]
fn a_proxy_that_does_not_do_it_is_told_with_its_words() {
    let cases: [(&str, &'static str, bool, &str); 6] = [
        (
            "no credentials",
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            true,
            "it answered 407 Proxy Authentication Required (give credentials",
        ),
        (
            "forbidden",
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
            true,
            "it answered 403 Forbidden",
        ),
        ("no proxy", "220 mail.example ESMTP\r\n", true, "its answer is not HTTP/1"),
        ("close", "", false, "closed the connection instead of answering CONNECT"),
        (
            "half an answer",
            "HTTP/1.1 200 OK\r\n",
            false,
            "closed the connection instead of answering CONNECT",
        ),
        ("stall", "HTTP/1.1 200 OK\r\n", true, "no answer within 150ms"),
    ];
    for (name, says, stalls, expected) in cases {
        let proxy = Hostile::new(move |visit| {
            head(visit)?;
            visit.say(says)?;
            if stalls { visit.stall() } else { Ok(()) }
        });
        let mut plan = Load { tls: true, ..Load::on(proxy.address(), iterations(8)) }.plan();
        plan.targets[0].endpoint = Endpoint::Name { host: "shop.example".into(), port: 443 };
        plan.connections.route.proxy = by(&proxy);
        plan.timeouts.connect = Some(ms(150));
        let error = try_run(plan).expect_err(name).to_string();
        assert!(error.contains(expected) && error.contains("shop.example:443"), "{name}: {error}");
        assert!(!error.contains("dTpw"), "{name}: a secret: {error}");
    }
}

#[test]
fn a_proxy_that_resets_or_is_not_there() {
    let proxy = Hostile::new(|visit| {
        visit.read()?;
        visit.reset()
    });
    let mut plan = Load { tls: true, ..Load::on(proxy.address(), iterations(8)) }.plan();
    plan.connections.route.proxy = by(&proxy);
    let error = try_run(plan.clone()).unwrap_err().to_string();
    assert!(error.contains("CONNECT through the proxy 127.0.0.1:"), "{error}");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    plan.connections.route.proxy.as_mut().unwrap().endpoint = Endpoint::Address(gone);
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains(&format!("connect to the proxy {gone}")) && error.contains("refused"), "{error}");
}

/// The header of each connection, and where that really came from.
type Headers = Arc<Mutex<Vec<(Vec<u8>, SocketAddr)>>>;

/// A server behind a load balancer: takes the header off each connection, notes it, and passes the rest on.
fn behind(version: ProxyVersion, to: SocketAddr) -> (Hostile, Headers) {
    let headers = Arc::new(Mutex::new(Vec::new()));
    let list = headers.clone();
    let server = Hostile::new(move |visit| {
        let mut header = vec![0; 16];
        visit.stream.read_exact(&mut header)?;
        match version {
            ProxyVersion::V1 => {
                while !header.ends_with(b"\r\n") {
                    let mut byte = [0];
                    visit.stream.read_exact(&mut byte)?;
                    header.push(byte[0]);
                }
            }
            ProxyVersion::V2 => {
                let mut rest = vec![0; usize::from(u16::from_be_bytes([header[14], header[15]]))];
                visit.stream.read_exact(&mut rest)?;
                header.extend(rest);
            }
        }
        list.lock().unwrap().push((header, visit.stream.peer_addr()?));
        relay(visit, to, &[])
    });
    (server, headers)
}

#[test]
fn the_proxy_protocol_names_the_connection_itself_or_the_sources_given() {
    let origin = origin();
    let (tls, clear) = (origin.tls_addr().unwrap(), origin.clear_addr().unwrap());
    for (protocol, over_tls, to) in
        [(Protocol::H1, false, clear), (Protocol::H2, true, tls), (Protocol::H2c, false, clear)]
    {
        for sources in [vec![], vec!["192.0.2.1", "192.0.2.2"]] {
            let (server, headers) = behind(ProxyVersion::V1, to);
            let mut plan =
                Load { protocol, tls: over_tls, ..Load::on(server.address(), iterations(100)) }.plan();
            let listed = sources.iter().map(|a| a.parse().unwrap()).collect();
            plan.connections.route.proxy_protocol =
                Some(ProxyProtocol { version: ProxyVersion::V1, sources: listed });
            let result = run(plan);
            server.settle();
            assert_eq!(result.totals.books.succeeded, 100, "{protocol:?} {:?}", result.connections.errors);
            let headers = headers.lock().unwrap();
            assert_eq!(headers.len(), 4);
            for (i, (header, peer)) in headers.iter().enumerate() {
                let text = String::from_utf8(header.clone()).unwrap();
                let source = |ip: &str| {
                    let to = server.address();
                    format!("PROXY TCP4 {ip} {} {} {}\r\n", to.ip(), peer.port(), to.port())
                };
                let known = match sources.is_empty() {
                    true => text == source("127.0.0.1"),
                    false => sources.iter().any(|s| text == source(s)),
                };
                assert!(known, "{i}: {text}");
            }
            let from =
                |s: &str| headers.iter().filter(|(h, _)| String::from_utf8_lossy(h).contains(s)).count();
            assert!(sources.iter().all(|s| from(s) == 2), "in turn: {headers:?}");
        }
    }
}

#[test]
fn the_second_version_of_the_proxy_protocol() {
    let origin = origin();
    let (server, headers) = behind(ProxyVersion::V2, origin.clear_addr().unwrap());
    let mut plan = Load::on(server.address(), iterations(100)).plan();
    plan.connections.route.proxy_protocol =
        Some(ProxyProtocol { version: ProxyVersion::V2, sources: vec!["192.0.2.9".parse().unwrap()] });
    let result = run(plan);
    server.settle();
    assert_eq!(result.totals.books.succeeded, 100);
    let headers = headers.lock().unwrap();
    assert!(headers.len() == 4);
    for (header, peer) in headers.iter() {
        assert_eq!(&header[..16], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
        assert_eq!(header[16..24], [192, 0, 2, 9, 127, 0, 0, 1]);
        assert_eq!(header[24..26], peer.port().to_be_bytes());
        assert_eq!(header[26..], server.address().port().to_be_bytes());
    }
}
