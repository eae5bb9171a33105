//! The flags of connections and sockets, into what a plan says of them.

use crate::args::{ConnectionArgs, RunArgs};
use crate::error::Failure;
use crate::values;
use scenario::limits;
use scenario::network;
use scenario::plan::{Endpoint, ProxyProtocol, Route, Socket, Target};
use std::net::IpAddr;

/// Where connections come from, and what they pass through.
pub fn route(args: &ConnectionArgs) -> Result<Route, Failure> {
    let sources = addresses("--source-address", &args.source_address)?;
    let proxy = match &args.proxy {
        None => None,
        // The value is not repeated: it may hold a password.
        Some(text) => Some(network::proxy(text).map_err(|e| Failure::new(format!("--proxy: {e}")))?),
    };
    let proxy_protocol = match args.proxy_protocol {
        None => None,
        Some(version) => {
            let sources = addresses("--proxy-protocol-source", &args.proxy_protocol_source)?;
            Some(ProxyProtocol { version, sources })
        }
    };
    Ok(Route { sources, proxy, proxy_protocol })
}

fn addresses(flag: &str, lists: &[String]) -> Result<Vec<IpAddr>, Failure> {
    let mut all: Vec<IpAddr> = Vec::new();
    for text in lists.iter().flat_map(|list| values::list(list, ',')) {
        let list = network::sources(&text).map_err(|e| Failure::new(format!("{flag}: {text}: {e}")))?;
        all.extend(list);
    }
    if all.len() > limits::MAX_SOURCES {
        return Err(Failure::new(format!("{flag}: at most {} addresses", limits::MAX_SOURCES)));
    }
    Ok(all)
}

/// Socket options.
pub fn socket(args: &ConnectionArgs) -> Socket {
    let size = |n: Option<u64>| n.and_then(|n| u32::try_from(n).ok());
    Socket {
        nodelay: !args.no_tcp_nodelay,
        quickack: args.tcp_quickack,
        send_buffer: size(args.send_buffer),
        receive_buffer: size(args.receive_buffer),
        busy_poll_us: args.busy_poll.and_then(|t| u32::try_from(t.as_micros()).ok()),
        congestion: args.congestion.clone(),
        device: args.bind_device.clone(),
        mark: size(args.mark),
        dscp: args.dscp,
        local_ports: args.local_ports,
    }
}

/// Lets the connections of a target go elsewhere: `-B unix:`, else `--connect-to`; then `--resolve`. The name stays.
pub fn redirect(args: &RunArgs, target: &mut Target) -> Result<(), Failure> {
    if let Some(path) = args.request.base_uri.as_deref().and_then(network::unix_path) {
        let path = path.map_err(|e| Failure::new(format!("-B, --base-uri: {e}")))?;
        target.endpoint = Endpoint::Unix(path);
        return Ok(());
    }
    if let Some(text) = &args.connection.connect_to {
        let present = match &target.endpoint {
            Endpoint::Name { port, .. } => *port,
            _ => target.port(),
        };
        target.endpoint = network::endpoint(text, present)
            .map_err(|e| Failure::new(format!("--connect-to: Invalid value {text}: {e}")))?;
    }
    let mut missed = None;
    let mut found = false;
    for text in &args.connection.resolve {
        let (whom, list) =
            network::resolve_rule(text).map_err(|e| Failure::new(format!("--resolve: {text}: {e}")))?;
        match network::resolve(std::slice::from_mut(target), &whom, &list) {
            Ok(()) => found = true,
            Err(what) => missed = Some(format!("--resolve: {text}: {what}")),
        }
    }
    // As with curl a list of rules may hold some for other runs, but not nothing for this one.
    match missed {
        Some(message) if !found => Err(Failure::new(message)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::typed;
    use scenario::plan::Endpoint;

    fn args(line: &str) -> RunArgs {
        typed(line).unwrap_or_else(|e| panic!("{line}: {e}")).run
    }

    fn endpoint(line: &str) -> Result<Endpoint, String> {
        let mut target = Target::from_url("http://a:81/").unwrap().0;
        redirect(&args(line), &mut target).map_err(|e| e.to_string())?;
        assert_eq!((target.authority.as_str(), target.host.as_str()), ("a:81", "a"), "{line}");
        Ok(target.endpoint)
    }

    fn addresses(text: &str) -> Endpoint {
        Endpoint::Addresses(text.split(' ').map(|a| a.parse().unwrap()).collect())
    }

    #[test]
    fn connections_go_elsewhere_and_the_name_stays() {
        let name = |host: &str, port| Endpoint::Name { host: host.into(), port };
        for (line, expected) in [
            ("", name("a", 81)),
            ("--connect-to b", name("b", 81)),
            ("--connect-to b:9", name("b", 9)),
            ("--connect-to [::1]:9", name("::1", 9)),
            ("--connect-to unix:/run/x", Endpoint::Unix("/run/x".into())),
            ("-B unix:/run/x", Endpoint::Unix("/run/x".into())),
            ("-B UNIX:/run/x --connect-to b", Endpoint::Unix("/run/x".into())),
            ("--resolve a:81:10.0.0.1,10.0.0.2", addresses("10.0.0.1:81 10.0.0.2:81")),
            ("--resolve *:81:[::1]", addresses("[::1]:81")),
            ("--resolve z:81:10.0.0.9 --resolve a:81:10.0.0.1", addresses("10.0.0.1:81")),
            ("--connect-to b:9 --resolve b:9:10.0.0.1", addresses("10.0.0.1:9")),
        ] {
            assert_eq!(endpoint(line), Ok(expected), "{line}");
        }
        for (line, part) in [
            ("--connect-to :1", "--connect-to: Invalid value :1"),
            ("-B unix:", "-B, --base-uri: expected a path"),
            ("--resolve a:81", "expected HOST:PORT:ADDRESS"),
            ("--resolve a:80:10.0.0.1", "connections go to a:81"),
        ] {
            let error = endpoint(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn every_socket_flag_has_its_place() {
        let d = Socket::default();
        for (line, expected) in [
            ("", d.clone()),
            ("--no-tcp-nodelay", Socket { nodelay: false, ..d.clone() }),
            ("--tcp-quickack", Socket { quickack: true, ..d.clone() }),
            ("--send-buffer 64K", Socket { send_buffer: Some(65_536), ..d.clone() }),
            ("--receive-buffer 1M", Socket { receive_buffer: Some(1 << 20), ..d.clone() }),
            ("--busy-poll 50us", Socket { busy_poll_us: Some(50), ..d.clone() }),
            ("--congestion bbr", Socket { congestion: Some("bbr".into()), ..d.clone() }),
            ("--bind-device lo", Socket { device: Some("lo".into()), ..d.clone() }),
            ("--mark 7", Socket { mark: Some(7), ..d.clone() }),
            ("--mark 0x10", Socket { mark: Some(16), ..d.clone() }),
            ("--dscp ef", Socket { dscp: Some(46), ..d.clone() }),
            ("--local-ports 2000-2009", Socket { local_ports: Some((2000, 2009)), ..d.clone() }),
        ] {
            assert_eq!(socket(&args(line).connection), expected, "{line}");
        }
    }

    #[test]
    fn source_addresses_add_up() {
        let of = |line: &str| route(&args(line).connection).map(|r| r.sources).map_err(|e| e.to_string());
        let list = |text: &str| text.split(' ').map(|a| a.parse::<IpAddr>().unwrap()).collect::<Vec<_>>();
        let got = of("--source-address 127.0.0.2,127.0.0.3 --source-address 10.0.0.0/30").unwrap();
        assert_eq!(got, list("127.0.0.2 127.0.0.3 10.0.0.1 10.0.0.2"));
        assert_eq!(of(""), Ok(vec![]));
        assert!(of("--source-address x").unwrap_err().contains("--source-address: x: expected an address"));
        assert!(
            of("--source-address 10.0.0.0/21,10.9.0.0/21,10.8.0.0/28").unwrap_err().contains("at most 4096")
        );
    }

    #[test]
    fn proxies() {
        use scenario::plan::ProxyVersion;
        let of = |line: &str| route(&args(line).connection).map_err(|e| e.to_string());
        let proxy = of("--proxy http://u:p@a:3128").unwrap().proxy.unwrap();
        assert_eq!((proxy.name.as_str(), proxy.authorization.unwrap().reveal()), ("a:3128", "Basic dTpw"));
        let header =
            of("--proxy-protocol v2 --proxy-protocol-source 192.0.2.0/30").unwrap().proxy_protocol.unwrap();
        assert_eq!((header.version, header.sources.len()), (ProxyVersion::V2, 2));
        let error = of("--proxy https://u:secret@a:3128").unwrap_err();
        assert!(error.contains("--proxy: ") && !error.contains("secret"), "{error}");
        assert!(typed("--proxy-protocol v3").unwrap_err().contains("expected v1 or v2"));
        assert!(typed("--proxy-protocol-source 192.0.2.1").unwrap_err().contains("--proxy-protocol"));
    }
}
