//! What a run needs of the machine's local ports and file descriptors, against what there is: arithmetic only.
//!
//! `prepare` reads the machine and the plan into these structs. Every answer that is not "enough" carries the exact line
//! that changes it.

use crate::descriptors::FileLimit;
use crate::limits;

/// The machine's local ports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// Ports a connection may get: the range without those reserved.
    pub(crate) usable: u64,
    /// The range is the plan's own (`local_ports`) and not the machine's.
    pub(crate) of_plan: bool,
    /// `net.ipv4.tcp_tw_reuse`: 0 no, 1 everywhere, 2 on loopback.
    pub(crate) tw_reuse: u8,
}

/// What one remote address and port is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// For people.
    pub(crate) peer: String,
    pub(crate) udp: bool,
    pub(crate) on_loopback: bool,
    /// Connections open at a time.
    pub(crate) connections: u64,
    /// Local addresses they come from.
    pub(crate) sources: u64,
    /// None of UDP: it has no TIME_WAIT, and a port is free when its socket is closed.
    pub(crate) churn: Option<Churn>,
}

/// Connections that are closed from here while the run goes on, so that TIME_WAIT is here too (RFC 9293 section 3.6.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Churn {
    /// How many in the whole run, where the plan says how much it does.
    pub(crate) total: Option<u64>,
    /// How many a second, where the plan says how fast it goes.
    pub(crate) rate: Option<f64>,
}

impl Churn {
    /// All of them go to one peer.
    pub(crate) fn together(all: impl IntoIterator<Item = Option<Churn>>) -> Option<Churn> {
        all.into_iter().flatten().reduce(|a, b| Churn {
            total: a.total.zip(b.total).map(|(a, b)| a.saturating_add(b)),
            rate: a.rate.zip(b.rate).map(|(a, b)| a + b),
        })
    }

    /// The share of one of several addresses.
    pub(crate) fn over(self, addresses: u64) -> Churn {
        Churn {
            total: self.total.map(|n| n.div_ceil(addresses)),
            rate: self.rate.map(|rate| rate / addresses as f64),
        }
    }
}

/// What there is to say before the start, and how many closed connections to one peer may still hold a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortPlan {
    pub(crate) warnings: Vec<String>,
    pub(crate) room: u64,
}

/// One connection, one port: per remote address and port, and per local address.
pub(crate) fn ports(demands: &[Demand], ports: Ports) -> Result<PortPlan, String> {
    let mut plan = PortPlan { warnings: vec![], room: u64::MAX };
    for demand in demands {
        let possible = ports.usable * demand.sources.max(1);
        if demand.connections > possible {
            return Err(too_few(demand, possible, ports));
        }
        // What lingers is of TCP, and takes no port of UDP.
        if !demand.udp {
            plan.room = plan.room.min(possible - demand.connections);
        }
        let forecast = demand.churn.and_then(|churn| time_wait(demand, churn, possible, ports));
        if plan.warnings.is_empty() {
            plan.warnings.extend(forecast);
        }
    }
    Ok(plan)
}

fn too_few(demand: &Demand, possible: u64, ports: Ports) -> String {
    let Demand { peer, connections, sources, .. } = demand;
    let of = match sources {
        0 | 1 => String::new(),
        n => format!(" from {n} source addresses"),
    };
    let more = match ports.of_plan {
        true => "widen local_ports (--local-ports)".to_owned(),
        false => "widen the range with sysctl -w net.ipv4.ip_local_port_range='1024 65535' (64512 ports)"
            .to_owned(),
    };
    let needed = connections.div_ceil(ports.usable.max(1));
    format!(
        "{connections} connections to {peer} need more local ports than there are ({possible}{of}): {more}, let them come \
         from {needed} source addresses (--source-address, or connections: source), or use fewer connections"
    )
}

/// The forecast for connections closed from here: each holds its port for a time after its end.
fn time_wait(demand: &Demand, churn: Churn, possible: u64, ports: Ports) -> Option<String> {
    if churn.total.is_some_and(|total| total <= possible) {
        return None; // even if none of them ever came back
    }
    let reused = ports.tw_reuse == 1 || (ports.tw_reuse == 2 && demand.on_loopback);
    let held = if reused { limits::TIME_WAIT_REUSED } else { limits::TIME_WAIT };
    let sustained = (possible - demand.connections) as f64 / held.as_secs_f64();
    let exceeded = match churn.rate {
        Some(rate) => rate > sustained,
        // Nobody knows how fast a closed model goes; what is reused after a second lasts for more than a core can do.
        None => !reused,
    };
    if !exceeded {
        return None;
    }
    let allow = if reused { "" } else { "allow reuse with sysctl -w net.ipv4.tcp_tw_reuse=1, " };
    let widen = match ports.of_plan {
        true => "widen local_ports",
        false => "widen the range with sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
    };
    let rate = churn.rate.map(|r| format!(", and the plan asks for {r:.0}")).unwrap_or_default();
    Some(format!(
        "connections are closed from here, and each then holds its port for {} s (TIME_WAIT): the {possible} ports to {} \
         last for {sustained:.0} new connections a second{rate}: {allow}{widen}, or name more source addresses \
         (--source-address, or connections: source)",
        held.as_secs(),
        demand.peer
    ))
}

/// What needs descriptors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// Connections over all targets.
    pub(crate) connections: u64,
    pub(crate) cores: u64,
    /// Closed connections that wait for the peer to close too, over all cores.
    pub(crate) lingering: u64,
}

/// What to do about descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilePlan {
    /// The soft limit to set; `None`: it is high enough.
    pub(crate) raise_to: Option<u64>,
    /// Room for lingering connections over all cores, at most what was asked for.
    pub(crate) lingering: u64,
}

/// Connections must fit; those that linger get what is left below the hard limit.
pub(crate) fn descriptors(needs: Needs, limit: FileLimit) -> Result<FilePlan, String> {
    let fixed = needs.connections + limits::SPARE_DESCRIPTORS + 2 * needs.cores;
    let wanted = fixed + needs.lingering;
    if limit.soft >= wanted {
        return Ok(FilePlan { raise_to: None, lingering: needs.lingering });
    }
    if limit.hard < fixed {
        return Err(format!(
            "{} connections need {fixed} file descriptors, but the limit is {} (hard limit {}): run `ulimit -n {fixed}` \
             first (as root, or raise nofile in /etc/security/limits.conf)",
            needs.connections, limit.soft, limit.hard
        ));
    }
    let reached = limit.hard.min(wanted);
    let raise_to = (reached > limit.soft).then_some(reached);
    Ok(FilePlan { raise_to, lingering: needs.lingering.min(reached.max(limit.soft) - fixed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Ports = Ports { usable: 28_232, of_plan: false, tw_reuse: 2 };

    fn demand(connections: u64, sources: u64) -> Demand {
        Demand {
            peer: "10.0.0.1:80".into(),
            udp: false,
            on_loopback: false,
            connections,
            sources,
            churn: None,
        }
    }

    #[test]
    fn ports_are_per_peer_and_source() {
        for (connections, sources, ok) in
            [(28_232, 1, true), (28_233, 1, false), (28_232, 0, true), (56_464, 2, true), (56_465, 2, false)]
        {
            let plan = ports(&[demand(connections, sources)], MACHINE);
            assert_eq!(plan.is_ok(), ok, "{connections} from {sources}: {plan:?}");
        }
        let plan = ports(&[demand(100, 1), demand(28_000, 1)], MACHINE).unwrap();
        assert_eq!(plan, PortPlan { warnings: vec![], room: 232 });
        let of_udp = |connections| Demand { udp: true, ..demand(connections, 1) };
        let plan = ports(&[demand(100, 1), of_udp(28_000)], MACHINE).unwrap();
        assert_eq!(plan.room, 28_132, "what lingers takes no port of UDP");
        assert!(ports(&[of_udp(28_233)], MACHINE).is_err());
    }

    #[test]
    fn too_few_ports_say_how_to_get_more() {
        let error = ports(&[demand(60_000, 2)], MACHINE).unwrap_err();
        for part in [
            "60000 connections to 10.0.0.1:80",
            "(56464 from 2 source addresses)",
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
            "from 3 source addresses (--source-address",
        ] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        let own = Ports { usable: 10, of_plan: true, ..MACHINE };
        let error = ports(&[demand(11, 1)], own).unwrap_err();
        assert!(error.contains("(10)") && error.contains("widen local_ports") && !error.contains("sysctl"));
    }

    #[test]
    fn time_wait_is_forecast_where_connections_are_closed_from_here() {
        let here = Churn { total: None, rate: None };
        let warned = |churn: Churn, on_loopback, tw_reuse| {
            let demand = Demand { on_loopback, churn: Some(churn), ..demand(32, 1) };
            ports(&[demand.clone(), demand], Ports { tw_reuse, ..MACHINE }).unwrap().warnings
        };
        for (on_loopback, tw_reuse, warns) in
            [(false, 0, true), (true, 0, true), (false, 2, true), (true, 2, false), (false, 1, false)]
        {
            let got = warned(here, on_loopback, tw_reuse);
            assert_eq!(got.len(), usize::from(warns), "loopback {on_loopback}, reuse {tw_reuse}: {got:?}");
        }
        let text = &warned(here, false, 0)[0];
        for part in
            ["for 60 s", "28232 ports to 10.0.0.1:80", "470 new connections a second:", "tcp_tw_reuse=1"]
        {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        // A run whose connections all find a fresh port cannot run out.
        assert!(warned(Churn { total: Some(28_232), ..here }, false, 0).is_empty());
        assert_eq!(warned(Churn { total: Some(28_233), ..here }, false, 0).len(), 1);
        // Where the rate is known it decides.
        assert!(warned(Churn { rate: Some(469.0), ..here }, false, 0).is_empty());
        assert!(warned(Churn { rate: Some(471.0), ..here }, false, 0)[0].contains("the plan asks for 471"));
        let fast = &warned(Churn { rate: Some(30_000.0), ..here }, true, 2)[0];
        assert!(fast.contains("for 1 s") && !fast.contains("tcp_tw_reuse"), "{fast}");
    }

    #[test]
    fn descriptors_are_raised_as_far_as_needed() {
        let plan = |connections, lingering, soft, hard| {
            descriptors(Needs { connections, cores: 2, lingering }, FileLimit { soft, hard })
        };
        let fixed = limits::SPARE_DESCRIPTORS + 4;
        assert_eq!(plan(100, 50, 1024, 4096), Ok(FilePlan { raise_to: None, lingering: 50 }));
        assert_eq!(
            plan(2000, 500, 1024, 4096),
            Ok(FilePlan { raise_to: Some(2500 + fixed), lingering: 500 })
        );
        let rest = 4096 - 4000 - fixed;
        assert_eq!(plan(4000, 500, 1024, 4096), Ok(FilePlan { raise_to: Some(4096), lingering: rest }));
        assert_eq!(plan(4000, 500, 4096, 4096), Ok(FilePlan { raise_to: None, lingering: rest }));
        assert_eq!(plan(4096 - fixed, 500, 4096, 4096), Ok(FilePlan { raise_to: None, lingering: 0 }));
        let error = plan(5000, 500, 1024, 4096).unwrap_err();
        let line = format!("`ulimit -n {}`", 5000 + fixed);
        assert!(error.contains("5000 connections") && error.contains(&line), "{error}");
        assert!(error.contains("the limit is 1024 (hard limit 4096)"), "{error}");
    }
}
