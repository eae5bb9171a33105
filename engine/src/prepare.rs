//! Everything that is checked and made before the first packet: addresses, TLS, descriptors, ports, CPUs.
//!
//! Each check that fails says what is wrong and the exact remedy.

use crate::addresses::Ways;
use crate::budget::{self, Churn, Demand, Ports};
use crate::core::QuicSetup;
use crate::core::{Numbers, PreludeSetup, ScenarioSetup, Script, Setup, StepSetup, TargetSetup, TargetTls};
use crate::descriptors::FileLimit;
use crate::io::socket::{self, Peer};
use crate::rendezvous::Rendezvous;
use crate::stats::interval::Keep;
use crate::tls::{Sessions, TlsSetup, server_name};
use crate::{Event, Options, StartError, limits};
use proto::Scheme;
use scenario::Plan;
use scenario::plan::{
    Arrivals, Congestion, Curve, Endpoint, Load, Protocol, Share, Stop, Target, Tls, TlsVersion, Track,
};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Makes what all cores share.
pub(crate) fn setup(
    plan: &Plan,
    options: &Options,
    observe: &mut dyn FnMut(Event),
) -> Result<Setup, StartError> {
    let mut tls = TlsByTarget { plan, key_log: options.key_log, made: [None, None], sessions: vec![] };
    let targets = (0..plan.targets.len()).map(|t| target(t, &mut tls)).collect::<Result<Vec<_>, _>>()?;
    if plan.mix().early > 0 && !plan.speaks_quic() {
        return Err(StartError(
            "early data (0-RTT) is sent over QUIC only: use HTTP/3, or leave it out".into(),
        ));
    }
    if options.qlog.is_some() && targets.iter().all(|t| t.quic.is_none()) {
        observe(Event::Warning(
            "--qlog-file-base has no effect: a qlog is of QUIC, and HTTP/3 is not spoken".into(),
        ));
    }
    let unix = plan.targets.iter().any(|t| matches!(t.endpoint, Endpoint::Unix(_)));
    let in_clear =
        targets.iter().all(|t| t.tls.is_none() && matches!(t.protocol, Protocol::Auto | Protocol::H1));
    let discard = options.discard_body && in_clear && !unix;
    if options.discard_body && !discard {
        let text = match in_clear {
            true => "--discard-body has no effect on Unix sockets: only TCP can throw bytes away unread",
            false => "--discard-body has no effect over TLS and HTTP/2: records and frames must be read",
        };
        observe(Event::Warning(text.into()));
    }
    sockets(plan, &targets, observe)?;
    check_cpus(options)?;
    let lingering = budget(plan, &targets, cores(plan, options, &mut |_| {}), observe)?;
    let mut first = 0;
    let scenarios = plan
        .scenarios
        .iter()
        .map(|s| {
            let len = s.steps.len() as u32;
            first += len;
            ScenarioSetup { first: first - len, len, order: s.order, scripted: s.program.is_some() }
        })
        .collect();
    let steps = steps(plan);
    Ok(Setup {
        steps,
        scenarios,
        targets,
        lingering,
        h1: proto_h1::Config { depth: pipelining(plan), first_alone: true, ..proto_h1::Config::default() },
        h2: h2_config(plan),
        discard,
        keep: Keep::of(plan, options),
        meetings: plan.script.meetings.iter().map(|m| Rendezvous::new(m.users)).collect(),
        options: options.clone(),
        plan: plan.clone(),
    })
}

/// A target of the plan, ready to be connected to.
fn target(index: usize, all_tls: &mut TlsByTarget<'_>) -> Result<TargetSetup, StartError> {
    let plan = all_tls.plan;
    let target = &plan.targets[index];
    let protocol = plan.protocol_of(target);
    let (prelude, ways) = PreludeSetup::new(target, plan)?;
    let tls = match target.scheme {
        Scheme::Https => Some(all_tls.of(target, protocol)?),
        Scheme::Http => None,
    };
    let quic = match (protocol, &tls) {
        (Protocol::H3, None) => {
            return Err(StartError("HTTP/3 is spoken over TLS only: use an https:// URL".into()));
        }
        (Protocol::H3, Some(tls)) => Some(quic(plan, target, tls, &ways)?),
        _ if plan.may_move(target) => Some(quic(plan, target, &all_tls.of(target, Protocol::H3)?, &ways)?),
        _ => None,
    };
    let lazy = plan.steps().all(|(_, step)| step.target != index);
    Ok(TargetSetup { ways, protocol, prelude, tls, quic, lazy })
}

/// What connections of QUIC to a target are made with.
fn quic(plan: &Plan, target: &Target, tls: &TargetTls, ways: &Ways) -> Result<QuicSetup, StartError> {
    over_udp(plan, target)?;
    let setups = tls.setup.quic(h3_config(plan, ways)).map_err(StartError)?;
    Ok(QuicSetup { setups, given_rtt: plan.http3.initial_rtt.is_some() })
}

/// The TLS of targets, as they come. What takes time (files, the system's certificates) is done once, and once for QUIC.
struct TlsByTarget<'p> {
    plan: &'p Plan,
    key_log: bool,
    /// Over TCP, and over QUIC.
    made: [Option<TlsSetup>; 2],
    sessions: Vec<(Server, Arc<Sessions>)>,
}

/// Who may continue a session: the same name, port and kind of connection. Another port is another server, which would not
/// know it; a ticket of QUIC's says what QUIC may assume (RFC 9001 section 4.5).
#[derive(PartialEq, Eq)]
struct Server {
    name: String,
    port: u16,
    quic: bool,
}

impl TlsByTarget<'_> {
    fn of(&mut self, target: &Target, protocol: Protocol) -> Result<TargetTls, StartError> {
        let tls = &self.plan.tls;
        let name = server_name(tls.sni.as_deref().unwrap_or(&target.host)).map_err(StartError)?;
        let quic = protocol == Protocol::H3;
        let made = &mut self.made[usize::from(quic)];
        let made = match made {
            Some(made) => made,
            None => {
                let wanted = if quic { quic_tls(tls)? } else { tls.clone() };
                let setup = TlsSetup::new(&wanted, self.plan.mix(), self.key_log).map_err(StartError)?;
                made.insert(setup)
            }
        };
        let server = Server { name: target.host.clone(), port: target.port(), quic };
        let known = self.sessions.iter().position(|(s, _)| *s == server);
        let known = known.unwrap_or_else(|| {
            self.sessions.push((server, Arc::default()));
            self.sessions.len() - 1
        });
        let sessions = &self.sessions[known].1;
        // What the plan offers it does not offer to an alternative, which is HTTP/3.
        let moved = quic && self.plan.protocol_of(target) != Protocol::H3;
        let setup = match tls.alpn.is_empty() || moved {
            true => made.with(alpn(protocol).iter().copied(), sessions),
            false => made.with(tls.alpn.iter().map(String::as_str), sessions),
        };
        Ok(TargetTls { name, setup })
    }
}

/// What a protocol offers where the plan does not say.
fn alpn(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Auto => &["h2", "http/1.1"],
        Protocol::H1 => &["http/1.1"],
        Protocol::H2 => &["h2"],
        Protocol::H2c => &[],
        Protocol::H3 => &["h3"],
    }
}

/// All steps in their dense order; templates that redirects and cookies need are numbered behind them.
fn steps(plan: &Plan) -> Vec<StepSetup> {
    let mut numbers = Numbers(plan.steps().count() as u32);
    let mut steps = Vec::new();
    for scenario in &plan.scenarios {
        for (at, step) in scenario.steps.iter().enumerate() {
            let script = scenario.program.as_ref().map(|p| Script::new(plan, step, p, at, &mut numbers));
            steps.push(StepSetup::new(steps.len() as u32, step, plan, script));
        }
    }
    steps
}

/// HTTP/1.1 requests in flight on a connection. Bodies are not pipelined: the server may refuse the first (RFC 9112 section
/// 9.3.2, and h2load does not either).
fn pipelining(plan: &Plan) -> NonZeroU32 {
    let programs = plan.scenarios.iter().filter_map(|s| s.program.as_ref());
    let bodies = plan.steps().any(|(_, step)| !step.body.is_empty())
        || programs.flat_map(|p| p.exchanges()).any(|e| e.has_body());
    if bodies { NonZeroU32::MIN } else { plan.connections.streams }
}

fn h2_config(plan: &Plan) -> proto_h2::Config {
    proto_h2::Config {
        max_streams: plan.connections.streams.get(),
        stream_window_bits: plan.http2.stream_window_bits,
        connection_window_bits: plan.http2.connection_window_bits,
        max_frame_size: plan.http2.max_frame_size,
        header_table_size: plan.http2.header_table_size,
        encoder_header_table_size: plan.http2.encoder_header_table_size,
        ..proto_h2::Config::default()
    }
}

/// What only TCP can do is refused by name.
fn over_udp(plan: &Plan, target: &Target) -> Result<(), StartError> {
    let route = &plan.connections.route;
    let unix = matches!(target.endpoint, Endpoint::Unix(_));
    let what = match (route.proxy.is_some(), route.proxy_protocol.is_some(), unix) {
        (true, ..) => "through an HTTP proxy",
        (_, true, _) => "behind the header of the PROXY protocol",
        (.., true) => "over a Unix socket",
        _ => return Ok(()),
    };
    Err(StartError(format!(
        "HTTP/3 does not go {what}: it is spoken over UDP; use h1 or h2 there, or leave it out"
    )))
}

/// QUIC's TLS is 1.3 (RFC 9001 section 4.2): what asks for less is refused by name.
fn quic_tls(tls: &Tls) -> Result<Tls, StartError> {
    if tls.max < TlsVersion::V1_3 {
        return Err(StartError("HTTP/3 needs TLS 1.3: raise tls: max_version (--tls-max)".into()));
    }
    if let Some(old) =
        tls.ciphers.iter().find(|name| !is_tls13(name) && crate::tls::knows_cipher(name.trim()))
    {
        return Err(StartError(format!(
            "HTTP/3 needs TLS 1.3, and {old} is a cipher of TLS 1.2: name ciphers that begin with TLS_AES or TLS_CHACHA20"
        )));
    }
    Ok(Tls { min: TlsVersion::V1_3, ..tls.clone() })
}

/// The names of TLS 1.3's suites say no key exchange (RFC 8446 appendix B.4).
fn is_tls13(name: &str) -> bool {
    let name = name.trim().to_ascii_uppercase().replace('-', "_");
    (name.starts_with("TLS_AES") || name.starts_with("TLS_CHACHA20")) && !name.contains("_WITH_")
}

/// On this machine and beside it a packet is back within a millisecond; what is assumed before one was measured decides how
/// long a lost first packet is waited for.
const NEAR_RTT: Duration = Duration::from_millis(1);

fn h3_config(plan: &Plan, ways: &Ways) -> proto_h3::Config {
    let all = |holds: fn(&Peer) -> bool| ways.peers.iter().all(|p| holds(p));
    let near = all(Peer::is_near);
    let h3 = &plan.http3;
    let defaults = proto_h3::Config::default();
    let max_udp_payload = h3.max_udp_payload.unwrap_or(defaults.max_udp_payload);
    // The loopback device carries datagrams of any size (its MTU is 65536).
    let known = if all(Peer::is_local) { defaults.max_udp_payload } else { defaults.known_udp_payload };
    proto_h3::Config {
        max_streams: plan.connections.streams.get(),
        stream_window_bits: h3.stream_window_bits,
        connection_window_bits: h3.connection_window_bits,
        header_table_size: h3.header_table_size,
        congestion: match h3.congestion {
            Congestion::Cubic => proto_h3::Congestion::Cubic,
            Congestion::Bbr => proto_h3::Congestion::Bbr,
            Congestion::NewReno => proto_h3::Congestion::NewReno,
        },
        initial_rtt: h3.initial_rtt.unwrap_or(if near { NEAR_RTT } else { defaults.initial_rtt }),
        max_udp_payload,
        known_udp_payload: known,
        segments: if h3.segmentation { defaults.segments } else { 1 },
        ..defaults
    }
}

/// Sockets as the plan wants them can be made here.
fn sockets(plan: &Plan, targets: &[TargetSetup], observe: &mut dyn FnMut(Event)) -> Result<(), StartError> {
    let c = &plan.connections;
    for quic in [false, true] {
        // What may move is spoken to over both.
        let of = targets.iter().filter(|t| match quic {
            true => t.quic.is_some(),
            false => t.protocol != Protocol::H3,
        });
        let peers: Vec<&Peer> = of.flat_map(|t| &t.ways.peers).map(|p| &**p).collect();
        if peers.is_empty() {
            continue;
        }
        let check = if quic { socket::check_datagrams } else { socket::check };
        let warnings = check(&peers, &c.route.sources, &c.socket).map_err(StartError)?;
        warnings.into_iter().for_each(|text| observe(Event::Warning(text)));
    }
    Ok(())
}

/// Ports and descriptors suffice; raises the soft limit of descriptors as far as needed. Returns how many closed
/// connections may linger on each core.
fn budget(
    plan: &Plan,
    targets: &[TargetSetup],
    cores: usize,
    observe: &mut dyn FnMut(Event),
) -> Result<usize, StartError> {
    let ports = budget::ports(&demands(plan, targets), machine_ports(plan)).map_err(StartError)?;
    ports.warnings.into_iter().for_each(|text| observe(Event::Warning(text)));
    let cores = cores as u64;
    let needs = budget::Needs {
        connections: reached(plan, targets).map(|(at, _)| connections_to(plan, at)).sum(),
        cores,
        lingering: (limits::LINGERING_MAX as u64 * cores).min(ports.room),
    };
    let Ok(limit) = FileLimit::of_process() else { return Ok(limits::LINGERING_MAX) };
    let files = budget::descriptors(needs, limit).map_err(StartError)?;
    if let Some(soft) = files.raise_to {
        limit.raise(soft).map_err(|error| {
            StartError(format!(
                "the limit of file descriptors cannot be raised to {soft}: {error}: run `ulimit -n {soft}` first"
            ))
        })?;
    }
    Ok((files.lingering / cores) as usize)
}

/// The targets that steps or handshakes go to, or a redirect may lead to, with their places among all.
fn reached<'t>(plan: &Plan, targets: &'t [TargetSetup]) -> impl Iterator<Item = (usize, &'t TargetSetup)> {
    let programs = plan.scenarios.iter().filter_map(|s| s.program.as_ref());
    let follows = programs.flat_map(|p| p.exchanges()).any(|e| e.follows());
    let handshakes = plan.handshakes() > 0;
    targets.iter().enumerate().filter(move |(at, t)| follows || !t.lazy || (handshakes && *at == 0))
}

/// Connections to one of the targets that are reached: handshakes go to the first.
fn connections_to(plan: &Plan, at: usize) -> u64 {
    let pool = if plan.makes_requests() { plan.connections.max.get() } else { 0 };
    let handshakes = if at == 0 { plan.handshakes() } else { 0 };
    u64::from(pool) + u64::from(handshakes)
}

/// What each remote address and port is asked for; targets may share one. Those of UDP are one demand: there the kernel gives
/// a port to one socket alone, wherever it is connected to.
fn demands(plan: &Plan, targets: &[TargetSetup]) -> Vec<Demand> {
    let mut demands: Vec<(Option<SocketAddr>, Demand)> = Vec::new();
    for (at, target) in reached(plan, targets) {
        let (ways, udp) = (&target.ways, target.protocol == Protocol::H3);
        let addresses = ways.peers.len() as u64;
        let connections = connections_to(plan, at).div_ceil(addresses);
        let churn = if udp { None } else { churn(plan, at).map(|churn| churn.over(addresses)) };
        for address in ways.peers.iter().filter_map(|p| p.socket_addr()) {
            let place = (!udp).then_some(address);
            match demands.iter_mut().find(|(p, _)| *p == place) {
                Some((_, same)) => {
                    same.connections += connections;
                    same.churn = Churn::together([same.churn, churn]);
                }
                None => {
                    let demand = Demand {
                        peer: if udp { "servers over UDP".into() } else { address.to_string() },
                        udp,
                        on_loopback: address.ip().is_loopback(),
                        connections,
                        sources: ways.sources.len() as u64,
                        churn,
                    };
                    demands.push((place, demand));
                }
            }
        }
    }
    demands.into_iter().map(|(_, demand)| demand).collect()
}

/// Connections to one of the targets that are closed from here while the run goes on: those of the pool that have served as
/// often as they may, and handshakes, which go to the first.
fn churn(plan: &Plan, at: usize) -> Option<Churn> {
    let handshakes = if at == 0 { churn_of_handshakes(plan) } else { None };
    let pool = if plan.makes_requests() { churn_of_pool(plan, at) } else { None };
    Churn::together([pool, handshakes])
}

/// Each handshake is a connection.
fn churn_of_handshakes(plan: &Plan) -> Option<Churn> {
    let phases = || plan.phases.iter().filter_map(|phase| Some((handshakes(&phase.load)?, phase.stop)));
    phases().next()?;
    let mut totals = phases().map(|(arrivals, stop)| match (stop, &arrivals.curve) {
        (Stop::Iterations(n), _) => Some(n.get()),
        (Stop::After(_), Curve::Times { at, each }) => Some(at.len() as u64 * u64::from(each.get())),
        // At most: a ramp does not always go at its highest rate.
        (Stop::After(time), curve) => peak(curve).map(|rate| (rate * time.as_secs_f64()).ceil() as u64),
        (Stop::IterationsPerUser(_), _) => None,
    });
    let total = totals.try_fold(0_u64, |sum, n| Some(sum.saturating_add(n?)));
    let rate = together(plan, |load| handshakes(load).map_or(Some(0.0), |arrivals| peak(&arrivals.curve)));
    Some(Churn { total, rate })
}

fn handshakes(load: &Load) -> Option<&Arrivals> {
    match load {
        Load::Handshakes(handshakes) => Some(&handshakes.arrivals),
        Load::Closed | Load::Ramp { .. } | Load::Open(_) => None,
    }
}

fn churn_of_pool(plan: &Plan, at: usize) -> Option<Churn> {
    let per_connection = plan.connections.requests_per_connection?.get();
    let target = &plan.targets[at];
    let h1 = match plan.protocol_of(target) {
        Protocol::H1 => true,
        Protocol::Auto => target.scheme == Scheme::Http,
        Protocol::H2 | Protocol::H2c | Protocol::H3 => false,
    };
    // A single request of HTTP/1 says `connection: close`, and the server closes. Otherwise it is done from here.
    if per_connection == 1 && h1 {
        return None;
    }
    let steps = plan.scenarios.iter().map(|s| s.steps.len() as u64).max().unwrap_or(1);
    let iterations = plan.phases.iter().filter(|p| p.load.makes_requests()).map(|phase| match phase.stop {
        Stop::After(_) => None,
        Stop::Iterations(n) => Some(n.get()),
        Stop::IterationsPerUser(n) => n.get().checked_mul(u64::from(phase.users.get())),
    });
    let total = iterations.sum::<Option<u64>>();
    // Unknown where a phase goes as fast as it can.
    let rate = together(plan, |load| match load {
        Load::Open(arrivals) => peak(&arrivals.curve),
        Load::Handshakes(_) => Some(0.0),
        Load::Closed | Load::Ramp { .. } => None,
    });
    Some(Churn {
        total: total.map(|n| n.saturating_mul(steps).div_ceil(per_connection)),
        rate: rate.map(|r| r * steps as f64 / per_connection as f64),
    })
}

/// The rate of the fastest phase of each track, and of all tracks together, since they run at a time. `None`: it is not known of
/// some phase.
fn together(plan: &Plan, rate: impl Fn(&Load) -> Option<f64>) -> Option<f64> {
    let of = |t: &Track| {
        let mut rates = plan.phases[t.phases.clone()].iter().map(|phase| rate(&phase.load));
        rates.try_fold(0.0, |most, rate| Some(f64::max(most, rate?)))
    };
    plan.all_tracks().iter().map(of).sum()
}

/// The highest rate of a schedule; `None`: it is a list of times.
fn peak(curve: &Curve) -> Option<f64> {
    match *curve {
        Curve::Constant(rate) => Some(rate),
        Curve::Ramp { from, to, .. } | Curve::Stairs { from, to, .. } => Some(from.max(to)),
        Curve::Times { .. } => None,
    }
}

/// The ports that a connection may get. What cannot be read is Linux's default.
fn machine_ports(plan: &Plan) -> Ports {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
    let tw_reuse = read("tcp_tw_reuse").trim().parse().unwrap_or(2);
    if let Some((low, high)) = plan.connections.socket.local_ports {
        return Ports { usable: u64::from(high - low) + 1, of_plan: true, tw_reuse };
    }
    let range = read("ip_local_port_range");
    let mut bounds = range.split_whitespace().filter_map(|n| n.parse::<u64>().ok());
    let (low, high) = (bounds.next().unwrap_or(32_768), bounds.next().unwrap_or(60_999));
    let reserved = reserved_within(&read("ip_local_reserved_ports"), low, high);
    Ports { usable: (high + 1).saturating_sub(low).saturating_sub(reserved), of_plan: false, tw_reuse }
}

/// How many ports of a list like `8080,9000-9100` lie in a range.
fn reserved_within(list: &str, low: u64, high: u64) -> u64 {
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
        Some((last.min(high) + 1).saturating_sub(first.max(low)))
    };
    list.split(',').filter_map(count).sum()
}

/// The CPUs that were asked for are there, and this process may use them.
fn check_cpus(options: &Options) -> Result<(), StartError> {
    let (Some(wanted), Some(allowed)) = (&options.cpus, core_affinity::get_core_ids()) else { return Ok(()) };
    let allowed: Vec<usize> = allowed.iter().map(|c| c.id).collect();
    match wanted.iter().find(|id| !allowed.contains(id)) {
        None => Ok(()),
        Some(id) => Err(StartError(format!(
            "--cpus {id}: this process may use the CPUs {} only (taskset and the cpuset of a container limit them): name \
             some of these",
            ranges(&allowed)
        ))),
    }
}

/// `0-3,5`.
fn ranges(sorted: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &n in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    let shown = runs.iter().map(|&(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    shown.collect::<Vec<_>>().join(",")
}

/// How many cores the plan can use.
pub(crate) fn cores(plan: &Plan, options: &Options, observe: &mut dyn FnMut(Event)) -> usize {
    let users = plan.users().max(1) as usize;
    let connections = plan.connections.max.get() as usize;
    let most = match plan.connections.share {
        Share::PerUser => connections,
        Share::Pool => connections.min(users),
    };
    let wanted = options.threads.get();
    if wanted > most {
        observe(Event::Warning(format!(
            "{most} threads instead of {wanted}: a thread needs a connection and a user of its own"
        )));
    }
    wanted.min(most)
}

/// The CPU of each core. `None`: not pinned.
///
/// Where the server is on this machine and the cores would take every CPU, one of them would sit on the server's: then
/// the scheduler places them better, unless the user names the CPUs.
pub(crate) fn cpus(
    setup: &Setup,
    options: &Options,
    cores: usize,
    observe: &mut dyn FnMut(Event),
) -> Vec<Option<usize>> {
    let list: Vec<usize> = match &options.cpus {
        Some(list) => list.clone(),
        // The highest first: CPU 0 has most of the interrupts.
        None => core_affinity::get_core_ids().unwrap_or_default().iter().rev().map(|c| c.id).collect(),
    };
    let local = setup.targets.iter().flat_map(|t| &t.ways.peers).any(|p| p.is_local());
    if list.is_empty() || (options.cpus.is_none() && local && cores >= list.len() && cores > 1) {
        return vec![None; cores];
    }
    if cores > list.len() {
        observe(Event::Warning(format!(
            "{cores} threads share {} CPUs: they take time from each other, so latencies include waiting for a CPU",
            list.len()
        )));
    }
    (0..cores).map(|i| Some(list[i % list.len()])).collect()
}

/// Why there is no ring.
pub(crate) fn explain_ring(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => format!(
            "io_uring is forbidden here ({error}): allow it with sysctl -w kernel.io_uring_disabled=0, or in a container \
             with a seccomp profile that permits io_uring_setup"
        ),
        Some(libc::ENOSYS) => "this kernel has no io_uring: Linux 6.0 or later is needed".into(),
        Some(libc::ENOMEM) => format!("io_uring: {error}: raise the limit of locked memory (ulimit -l)"),
        _ => format!("io_uring: {error}"),
    }
}

/// Why a core runs on epoll that might have run on io_uring.
pub(crate) fn explain_fallback(refusal: &io::Error) -> String {
    format!("running on epoll, which costs more CPU per request: {}", explain_ring(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_are_no_ports() {
        for (list, n) in [
            ("", 0),
            ("\n", 0),
            ("8080", 0),
            ("40000", 1),
            ("32000-32768,60999-61100", 2),
            ("40000-40009,x", 10),
        ] {
            assert_eq!(reserved_within(list, 32_768, 60_999), n, "{list}");
        }
    }

    fn plan(text: &str) -> Plan {
        let plan = scenario::parse(text, "plan", std::path::Path::new(""), &scenario::Overrides::default());
        plan.unwrap_or_else(|e| panic!("{e}"))
    }

    /// A plan of two requests an iteration, where a phase makes any.
    fn two_steps(lines: &str, phases: &str) -> Plan {
        let requests = phases.contains("users") || phases.contains("rate");
        let steps = if requests { "scenarios: { s: { steps: [ get: /a, get: /b ] } }" } else { "" };
        plan(&format!("version: 1\n{lines}\n{steps}\nphases: [ {{ {phases} }} ]\n"))
    }

    #[test]
    fn who_closes_and_how_often_follows_from_the_plan() {
        let of = |lines: &str, phases: &str| churn(&two_steps(lines, phases), 0);
        let counted = "users: 4, iterations: 30";
        assert!(of("target: http://a", counted).is_none(), "nothing comes and goes");
        for (lines, total) in [
            ("target: http://a\nconnections: { keep_alive: false }", None),
            ("target: http://a\nprotocol: h1\nconnections: { keep_alive: false }", None),
            ("target: http://a\nprotocol: h2c\nconnections: { keep_alive: false }", Some(60)),
            ("target: https://a\nconnections: { keep_alive: false }", Some(60)),
            ("target: http://a\nconnections: { requests_per_connection: 7 }", Some(9)),
        ] {
            // Where the server closes it is no matter of ours.
            let want = total.map(|total| Churn { total: Some(total), rate: None });
            assert_eq!(of(lines, counted), want, "{lines}");
        }
        let lines = "target: http://a\nconnections: { requests_per_connection: 4 }";
        let churn = of(lines, "rate: 100/s..300/s, for: 10s, users_max: 9").unwrap();
        assert_eq!((churn.total, churn.rate), (None, Some(150.0)));
        assert_eq!(of(lines, "users: 4, for: 10s").unwrap().rate, None);
    }

    #[test]
    fn each_handshake_is_a_connection_to_the_first_target() {
        let of = |lines: &str, phases: &str| churn(&two_steps(lines, phases), 0);
        let kept = "target: http://a";
        for (phases, total, rate) in [
            ("handshakes: 100/s, iterations: 70", 70, 100.0),
            ("handshakes: 100/s, for: 9s", 900, 100.0),
            // At most: the rate of a ramp is its highest.
            ("users: 4, for: 10s }, { handshakes: 100/s..300/s, for: 10s", 3000, 300.0),
            ("handshakes: 50/s, iterations: 70 }, { handshakes: 20/s, for: 5s", 170, 50.0),
        ] {
            let want = Churn { total: Some(total), rate: Some(rate) };
            assert_eq!(of(kept, phases), Some(want), "{phases}");
        }
        // With them those of requests, which wear out connections.
        let worn = "target: http://a\nconnections: { requests_per_connection: 4 }";
        let both = of(worn, "rate: 30/s, iterations: 10, users_max: 9 }, { handshakes: 7/s, iterations: 70");
        assert_eq!(both, Some(Churn { total: Some(75), rate: Some(22.0) }));
        let both = of(worn, "users: 4, for: 10s }, { handshakes: 7/s, iterations: 70");
        assert_eq!(both, Some(Churn { total: None, rate: None }));
        let second = "version: 1\ntarget: http://a\nscenarios: { s: { steps: [ get: /a, get: \"http://b/\" ] } }\n\
                      phases: [ { users: 1, iterations: 5 }, { handshakes: 100/s, iterations: 70 } ]\n";
        assert_eq!(churn(&plan(second), 1), None);
        assert_eq!(churn(&plan(second), 0).unwrap().total, Some(70));
    }

    #[test]
    fn ports_of_udp_are_of_all_servers_and_those_of_tcp_of_each() {
        let of = |protocol: &str| {
            let text = format!(
                "version: 1\ntarget: https://127.0.0.1:9443\nprotocol: {protocol}\ntls: {{ insecure: true }}\nconnections: {{ \
                 max: 30, requests_per_connection: 4 }}\nscenarios: {{ s: {{ steps: [ get: /a, get: \
                 \"https://127.0.0.1:9444/\" ] }} }}\nphases: [ {{ users: 30, iterations: 100 }}, {{ handshakes: 100/s, \
                 iterations: 70 }} ]\n"
            );
            let plan = plan(&text);
            let setup = setup(&plan, &Options::default(), &mut |_| {}).unwrap();
            let demands = demands(&plan, &setup.targets).into_iter();
            demands.map(|d| (d.peer, d.udp, d.connections, d.churn.map(|c| c.total))).collect::<Vec<_>>()
        };
        let tcp = |port: u16, connections, total| {
            (format!("127.0.0.1:{port}"), false, connections, Some(Some(total)))
        };
        assert_eq!(of("h2"), [tcp(9443, 60, 120), tcp(9444, 30, 50)]);
        assert_eq!(of("h3"), [("servers over UDP".into(), true, 90, None)]);
    }

    #[test]
    fn tracks_run_at_a_time_and_phases_do_not() {
        let text = "version: 1\ntarget: http://a\nscenarios:\n  s: { steps: [ get: /a ], phases: [ { rate: 5/s, for: 1s }, { rate: 9/s, for: 1s } ] }\n  \
                    t: { steps: [ get: /b ], phases: [ { rate: 30/s..20/s, for: 1s } ] }\n";
        let plan = plan(text);
        let rate = |load: &Load| load.schedule().and_then(|a| peak(&a.curve));
        assert_eq!(together(&plan, rate), Some(39.0));
        assert_eq!(together(&plan, |load| rate(load).filter(|rate| *rate > 5.0)), None);
    }

    #[test]
    fn cpus_that_may_not_be_used_are_refused_before_the_start() {
        let asked = |list: &[usize]| {
            check_cpus(&Options { cpus: Some(list.to_vec()), ..Options::default() })
                .map_err(|e| e.to_string())
        };
        let allowed = core_affinity::get_core_ids().unwrap()[0].id;
        assert_eq!(asked(&[allowed]), Ok(()));
        for id in [1024, 4095] {
            let error = asked(&[allowed, id]).unwrap_err();
            assert!(error.starts_with(&format!("--cpus {id}: this process may use the CPUs ")), "{error}");
        }
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
    }
}
