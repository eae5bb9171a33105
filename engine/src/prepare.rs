//! Everything that is checked and made before the first packet: addresses, TLS, descriptors, ports, CPUs.
//!
//! Each check that fails says what is wrong and the exact remedy.

use crate::core::{ScenarioSetup, Setup, StepSetup, TargetSetup};
use crate::io::socket::SocketOptions;
use crate::stats::interval::Keep;
use crate::tls::{TlsSetup, server_name};
use crate::{Event, Options, StartError, limits};
use proto::Scheme;
use scenario::Plan;
use scenario::plan::{Endpoint, Family, Protocol, Share, Target};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;

/// Makes what all cores share.
pub(crate) fn setup(
    plan: &Plan,
    options: &Options,
    observe: &mut dyn FnMut(Event),
) -> Result<Setup, StartError> {
    let alpn: &[&str] = match plan.protocol {
        Protocol::Auto => &["h2", "http/1.1"],
        Protocol::H1 => &["http/1.1"],
        Protocol::H2 => &["h2"],
        Protocol::H2c => &[],
        Protocol::H3 => return Err(StartError("HTTP/3 is not supported yet: use h1 or h2".into())),
    };
    let targets = plan
        .targets
        .iter()
        .map(|t| {
            let sni = plan.tls.sni.as_deref().unwrap_or(&t.host);
            let name = match t.scheme {
                Scheme::Https => Some(server_name(sni).map_err(StartError)?),
                Scheme::Http => None,
            };
            Ok(TargetSetup { addresses: resolve(t, plan.connections.family)?, tls: name })
        })
        .collect::<Result<Vec<_>, StartError>>()?;
    let any_tls = targets.iter().any(|t| t.tls.is_some());
    let tls = match any_tls {
        true => Some(TlsSetup::new(&plan.tls, alpn, options.key_log.is_some()).map_err(StartError)?),
        false => None,
    };
    let discard = options.discard_body && !any_tls && matches!(plan.protocol, Protocol::Auto | Protocol::H1);
    if options.discard_body && !discard {
        let text = "--discard-body has no effect over TLS and HTTP/2: records and frames must be read";
        observe(Event::Warning(text.into()));
    }
    ports(plan, &targets)?;
    let mut first = 0;
    let scenarios = plan
        .scenarios
        .iter()
        .map(|s| {
            let len = s.steps.len() as u32;
            first += len;
            ScenarioSetup { first: first - len, len, order: s.order }
        })
        .collect();
    let steps = plan.steps().enumerate().map(|(i, (_, step))| StepSetup::new(i as u32, step, plan)).collect();
    Ok(Setup {
        steps,
        scenarios,
        targets,
        tls,
        sockets: SocketOptions { quickack: plan.connections.socket.quickack },
        h1: proto_h1::Config { depth: pipelining(plan), ..proto_h1::Config::default() },
        h2: h2_config(plan),
        discard,
        keep: Keep::of(plan, options),
        options: options.clone(),
        plan: plan.clone(),
    })
}

/// HTTP/1.1 requests in flight on a connection. Bodies are not pipelined: the server may refuse the first (RFC 9112 section
/// 9.3.2, and h2load does not either).
fn pipelining(plan: &Plan) -> NonZeroU32 {
    let bodies = plan.steps().any(|(_, step)| !step.body.is_empty());
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

/// The addresses of a target, resolved once.
fn resolve(target: &Target, family: Family) -> Result<Vec<SocketAddr>, StartError> {
    let (host, port) = match &target.endpoint {
        Endpoint::Address(address) => return Ok(vec![*address]),
        Endpoint::Builtin => return Err(StartError("the built-in target was not started".into())),
        Endpoint::Name { host, port } => (host, *port),
    };
    let all = (host.as_str(), port).to_socket_addrs().map_err(|e| {
        StartError(format!("cannot resolve \"{host}\": {e} (is the name right, does DNS answer?)"))
    })?;
    let mut found: Vec<SocketAddr> = Vec::new();
    for address in all {
        let wanted = match family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        };
        if wanted && !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() {
        return Err(StartError(format!("\"{host}\" has no {family:?} address")));
    }
    if family == Family::Any {
        // One family per run: a mix would be two targets in one figure. As the resolver orders them, the first decides.
        let v4 = found[0].is_ipv4();
        found.retain(|a| a.is_ipv4() == v4);
    }
    Ok(found)
}

/// Local ports: one per connection and remote address.
fn ports(plan: &Plan, targets: &[TargetSetup]) -> Result<(), StartError> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = range.split_whitespace().filter_map(|n| n.parse::<u64>().ok());
    let (Some(low), Some(high)) = (bounds.next(), bounds.next()) else { return Ok(()) };
    let ports = (high + 1).saturating_sub(low);
    let wanted = u64::from(plan.connections.max.get());
    for target in targets {
        let possible = ports * target.addresses.len() as u64;
        if wanted > possible {
            return Err(StartError(format!(
                "{wanted} connections to {} need more local ports than there are ({possible}): widen the range with \
                 sysctl -w net.ipv4.ip_local_port_range='1024 65535' (64512 ports), or use fewer connections",
                target.addresses[0]
            )));
        }
    }
    Ok(())
}

/// Raises the soft limit of descriptors as far as needed.
pub(crate) fn descriptors(plan: &Plan, cores: usize) -> Result<(), StartError> {
    let targets = plan.targets.len() as u64;
    let needed =
        u64::from(plan.connections.max.get()) * targets + limits::SPARE_DESCRIPTORS + 2 * cores as u64;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 || limit.rlim_cur >= needed {
        return Ok(());
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max.min(needed.max(limit.rlim_cur)), ..limit };
    // SAFETY: `raised` is a valid rlimit with the soft limit not above the hard one.
    let done = limit.rlim_max >= needed && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0;
    if done {
        return Ok(());
    }
    Err(StartError(format!(
        "{} connections need {needed} file descriptors, but the limit is {} (hard limit {}): run `ulimit -n {needed}` \
         first (as root, or raise nofile in /etc/security/limits.conf)",
        plan.connections.max, limit.rlim_cur, limit.rlim_max
    )))
}

/// How many cores the plan can use.
pub(crate) fn cores(plan: &Plan, options: &Options, observe: &mut dyn FnMut(Event)) -> usize {
    let users = plan.phases.iter().map(|p| p.users.get()).max().unwrap_or(1) as usize;
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
    let local = setup.targets.iter().flat_map(|t| &t.addresses).any(|a| a.ip().is_loopback());
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
