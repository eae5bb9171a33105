//! Where the connections of a target go and come from: names become addresses once, before the start.

use crate::StartError;
use crate::io::socket::Peer;
use scenario::plan::{Endpoint, Family, Target};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

/// The ways to a target: each of its addresses from each source, in turn.
#[derive(Clone)]
pub(crate) struct Ways {
    /// Never empty.
    pub(crate) peers: Vec<Arc<Peer>>,
    /// Local addresses of the peers' family; empty: the kernel chooses.
    pub(crate) sources: Vec<IpAddr>,
}

impl Ways {
    /// The ways to a target. Of a name with addresses of both families those that the sources can reach are taken.
    pub(crate) fn to(target: &Target, family: Family, sources: &[IpAddr]) -> Result<Ways, StartError> {
        let family = match (family, sources) {
            (Family::Any, [_, ..]) if sources.iter().all(IpAddr::is_ipv4) => Family::V4,
            (Family::Any, [_, ..]) if sources.iter().all(IpAddr::is_ipv6) => Family::V6,
            _ => family,
        };
        let addresses = match &target.endpoint {
            Endpoint::Address(address) => vec![*address],
            Endpoint::Addresses(list) => one_family(list.iter().copied(), family),
            Endpoint::Builtin => return Err(StartError("the built-in target was not started".into())),
            Endpoint::Unix(path) => return unix(path),
            Endpoint::Name { host, port } => {
                let all = (host.as_str(), *port).to_socket_addrs().map_err(|e| {
                    StartError(format!(
                        "cannot resolve \"{host}\": {e} (is the name right, does DNS answer?)"
                    ))
                })?;
                one_family(all, family)
            }
        };
        let Some(first) = addresses.first() else {
            return Err(StartError(format!("\"{}\" has no {family:?} address", target.host)));
        };
        let v4 = first.is_ipv4();
        let usable: Vec<IpAddr> = sources.iter().copied().filter(|s| s.is_ipv4() == v4).collect();
        if usable.is_empty() && !sources.is_empty() {
            return Err(StartError(format!(
                "no source address can reach {first}: give one of {}",
                if v4 { "IPv4" } else { "IPv6" }
            )));
        }
        Ok(Ways { peers: addresses.into_iter().map(|a| Arc::new(Peer::ip(a))).collect(), sources: usable })
    }

    /// The same ways, where datagrams take them: not to a Unix socket.
    pub(crate) fn over_udp(&self) -> Option<Ways> {
        self.peers.iter().all(|peer| peer.socket_addr().is_some()).then(|| self.clone())
    }

    /// The same ways to another port; `None`: it is a Unix socket, which has none.
    pub(crate) fn at_port(&self, port: u16) -> Option<Ways> {
        let mut peers: Vec<SocketAddr> = Vec::new();
        for peer in &self.peers {
            let address = SocketAddr::new(peer.socket_addr()?.ip(), port);
            if !peers.contains(&address) {
                peers.push(address);
            }
        }
        let peers = peers.into_iter().map(|a| Arc::new(Peer::ip(a))).collect();
        Some(Ways { peers, sources: self.sources.clone() })
    }

    /// The way of attempt `n`: all pairs of address and source come up equally often.
    pub(crate) fn take(&self, n: u32) -> (&Arc<Peer>, Option<IpAddr>) {
        let (n, peers) = (n as usize, self.peers.len());
        let source = match self.sources.len() {
            0 => None,
            sources => Some(self.sources[n / peers % sources]),
        };
        (&self.peers[n % peers], source)
    }
}

/// One family per run: a mix would be two targets in one figure. Where nobody says which, the first address decides.
fn one_family(all: impl Iterator<Item = SocketAddr>, family: Family) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for address in all {
        let wanted = match family {
            Family::Any => found.first().is_none_or(|first| first.is_ipv4() == address.is_ipv4()),
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        };
        if wanted && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

fn unix(path: &Path) -> Result<Ways, StartError> {
    let peer = Peer::unix(path.to_owned()).map_err(|e| {
        StartError(format!("{} is not a path of a Unix socket: {e} (at most 107 bytes)", path.display()))
    })?;
    Ok(Ways { peers: vec![Arc::new(peer)], sources: vec![] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Scheme;

    fn target(endpoint: Endpoint) -> Target {
        Target { scheme: Scheme::Http, authority: "a".into(), host: "a".into(), endpoint, protocol: None }
    }

    fn list(text: &str) -> Endpoint {
        Endpoint::Addresses(text.split(' ').map(|a| a.parse().unwrap()).collect())
    }

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn all_pairs_of_address_and_source_come_up_equally_often() {
        let to = target(list("10.0.0.1:80 10.0.0.2:80"));
        let ways = Ways::to(&to, Family::Any, &ips("10.0.0.8 10.0.0.9 10.0.0.10")).unwrap();
        let mut seen: Vec<String> = (0..12)
            .map(|n| {
                let (peer, source) = ways.take(n);
                format!("{peer} {}", source.unwrap())
            })
            .collect();
        seen.sort();
        assert!(seen.chunks(2).all(|two| two[0] == two[1]), "{seen:?}");
        seen.dedup();
        assert_eq!(seen.len(), 6);
        assert_eq!(Ways::to(&to, Family::Any, &[]).unwrap().take(3).1, None);
    }

    #[test]
    fn a_run_has_one_family_and_sources_of_it() {
        let both = || target(list("[::1]:80 127.0.0.1:80 [::2]:80"));
        let peers = |family, sources: &str| {
            let ways = Ways::to(&both(), family, &ips(sources)).map_err(|e| e.to_string())?;
            let shown: Vec<String> = ways.peers.iter().map(|p| p.to_string()).collect();
            Ok::<_, String>((shown.join(" "), ways.sources))
        };
        let v6 = "[::1]:80 [::2]:80".to_owned();
        assert_eq!(peers(Family::Any, ""), Ok((v6.clone(), vec![])));
        assert_eq!(peers(Family::V4, ""), Ok(("127.0.0.1:80".into(), vec![])));
        assert_eq!(peers(Family::Any, "127.0.0.2"), Ok(("127.0.0.1:80".into(), ips("127.0.0.2"))));
        assert_eq!(peers(Family::Any, "127.0.0.2 ::1"), Ok((v6, ips("::1"))));
        assert!(peers(Family::V6, "127.0.0.2").unwrap_err().contains("no source address can reach [::1]:80"));
    }

    #[test]
    fn a_unix_socket_has_no_sources() {
        let ways = Ways::to(&target(Endpoint::Unix("/run/x".into())), Family::V4, &ips("127.0.0.2")).unwrap();
        assert_eq!((ways.peers[0].to_string().as_str(), ways.sources.len()), ("unix:/run/x", 0));
        let long = Endpoint::Unix("x".repeat(200).into());
        assert!(Ways::to(&target(long), Family::Any, &[]).err().unwrap().to_string().contains("107 bytes"));
    }
}
