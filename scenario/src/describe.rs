//! A [`Plan`] as text, for `loadgen check`: everything resolved, defaults filled in, secrets masked.

mod steps;

use crate::duration::show_duration;
use crate::plan::{
    Arrivals, Congestion, Connections, Curve, Endpoint, Family, Handshakes, Http2, Http3, Load, Mix, Phase,
    PhaseOverrides, Plan, ProxyVersion, Share, Socket, Spread, Stop, Target, Timeouts, Tls,
};
use crate::program::data::Source;
use crate::rate::show_rate;
use crate::search::{Quantity, Search};
use crate::secret::MASK;
use std::fmt::{self, Write};
use std::time::Duration;

/// The resolved plan, in the shape of the plan language. Templates are shown as the plan writes them, bodies by size,
/// secret headers as `***`.
pub fn describe(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_plan(&mut out, plan);
    plan.secrets().mask_whole(&out)
}

fn write_plan(out: &mut String, plan: &Plan) -> fmt::Result {
    writeln!(out, "version: 1")?;
    writeln!(out, "name: {}", plain(&plan.name))?;
    if let Some(first) = plan.targets.first() {
        writeln!(out, "target: {}", origin(first))?;
    }
    writeln!(out, "protocol: {}", plan.protocol.as_str())?;
    write_tls(out, plan)?;
    write_connections(out, plan)?;
    write_http2(out, &plan.http2)?;
    if plan.speaks_quic() {
        write_http3(out, &plan.http3)?;
    }
    write_timeouts(out, &plan.timeouts)?;
    writeln!(out, "seed: {}", plan.script.seed)?;
    write_data(out, &plan.script.data)?;
    for once in plan.script.setup.iter().chain(&plan.script.teardown) {
        steps::once(out, &plan.once(once), &once.scenario)?;
    }
    if !plan.scenarios.is_empty() {
        writeln!(out, "scenarios:")?;
    }
    for (index, scenario) in plan.scenarios.iter().enumerate() {
        steps::scenario(out, plan, scenario, plan.own_track(index))?;
    }
    if let Some(search) = &plan.search {
        write_search(out, search)?;
        writeln!(out, "# the phases of the first probe:")?;
        return plan.phases.iter().try_for_each(|phase| write_phase(out, "#  ", plan, phase));
    }
    let shared = plan.all_tracks().iter().find(|t| !t.own).map(|t| t.phases.clone());
    if let Some(phases) = shared {
        writeln!(out, "phases:")?;
        plan.phases[phases].iter().try_for_each(|phase| write_phase(out, "  ", plan, phase))?;
    }
    if !plan.thresholds.is_empty() {
        writeln!(out, "thresholds:")?;
    }
    plan.thresholds.iter().try_for_each(|t| match t.abort_after {
        None => writeln!(out, "  - {}", plain(&t.text)),
        // Inside braces a comma ends the text.
        Some(after) => {
            let that = if t.text.contains(',') { format!("{:?}", t.text) } else { plain(&t.text) };
            writeln!(out, "  - {{ that: {that}, abort_after: {} }}", show_duration(after))
        }
    })
}

fn origin(target: &Target) -> String {
    match (&target.endpoint, target.scheme) {
        (Endpoint::Builtin, proto::Scheme::Http) => "builtin".to_owned(),
        (Endpoint::Builtin, proto::Scheme::Https) => "builtin+tls".to_owned(),
        _ => format!("{}://{}", target.scheme.as_str(), target.authority),
    }
}

/// Whether two targets differ in what is spoken at most.
fn is_same_host(a: &Target, b: &Target) -> bool {
    (a.scheme, &a.authority, &a.endpoint) == (b.scheme, &b.authority, &b.endpoint)
}

fn write_tls(out: &mut String, plan: &Plan) -> fmt::Result {
    let tls: &Tls = &plan.tls;
    write!(out, "tls: {{ verify: {}", tls.verify)?;
    if plan.connections.mix.is_none() {
        write!(out, ", resumption: {}", tls.resumption)?;
        if plan.speaks_quic() {
            write!(out, ", early_data: {}", tls.early_data)?;
        }
    }
    if let Some(ca) = &tls.ca {
        write!(out, ", ca: {}", plain(&ca.display().to_string()))?;
    }
    if let Some(sni) = &tls.sni {
        write!(out, ", sni: {sni}")?;
    }
    for (key, names) in [("ciphers", &tls.ciphers), ("groups", &tls.groups), ("alpn", &tls.alpn)] {
        if !names.is_empty() {
            write!(out, ", {key}: [{}]", names.join(", "))?;
        }
    }
    if let Some(identity) = &tls.identity {
        let file = |path: &std::path::Path| plain(&path.display().to_string());
        write!(out, ", cert: {}, key: {}", file(&identity.cert), file(&identity.key))?;
    }
    writeln!(out, ", min_version: {}, max_version: {} }}", tls.min.as_str(), tls.max.as_str())
}

fn write_connections(out: &mut String, plan: &Plan) -> fmt::Result {
    let c: &Connections = &plan.connections;
    let share = match c.share {
        Share::Pool => "pool",
        Share::PerUser => "per_user",
    };
    write!(out, "connections: {{ max: {}, streams: {}, share: {share}", c.max, c.streams)?;
    match c.requests_per_connection {
        None => write!(out, ", keep_alive: true")?,
        Some(n) if n.get() == 1 => write!(out, ", keep_alive: false")?,
        Some(n) => write!(out, ", requests_per_connection: {n}")?,
    }
    if let Some(lifetime) = c.lifetime {
        write!(out, ", lifetime: {}", show_duration(lifetime))?;
    }
    if c.alt_svc {
        write!(out, ", alt_svc: true")?;
    }
    if let Some(mix) = c.mix {
        let share = |part: u32| format!("{}%", f64::from(part) / f64::from(Mix::WHOLE / 100));
        let (fresh, resumed, early) = (share(mix.fresh), share(mix.resumed), share(mix.early));
        write!(out, ", mix: {{ fresh: {fresh}, resumed: {resumed}, early_data: {early} }}")?;
    }
    let family = match c.family {
        Family::Any => "any",
        Family::V4 => "v4",
        Family::V6 => "v6",
    };
    write!(out, ", ramp_up: {}, family: {family}", show_duration(c.ramp_up))?;
    if !c.route.sources.is_empty() {
        let list: Vec<String> = c.route.sources.iter().map(|ip| plain(&ip.to_string())).collect();
        write!(out, ", source: [{}]", list.join(", "))?;
    }
    write_redirections(out, &plan.targets)?;
    if let Some(proxy) = &c.route.proxy {
        let user = if proxy.authorization.is_some() { "***@" } else { "" };
        write!(out, ", proxy: {:?}", format!("http://{user}{}", proxy.name))?;
    }
    if let Some(p) = &c.route.proxy_protocol {
        let version = match p.version {
            ProxyVersion::V1 => "v1",
            ProxyVersion::V2 => "v2",
        };
        let list: Vec<String> = p.sources.iter().map(|ip| plain(&ip.to_string())).collect();
        match list.is_empty() {
            true => write!(out, ", proxy_protocol: {version}")?,
            false => {
                write!(out, ", proxy_protocol: {{ version: {version}, source: [{}] }}", list.join(", "))?
            }
        }
    }
    if c.socket != Socket::default() {
        write_socket(out, &c.socket)?;
    }
    writeln!(out, " }}")
}

/// Where connections go if not to the host of their URL.
fn write_redirections(out: &mut String, targets: &[Target]) -> fmt::Result {
    let (mut elsewhere, mut resolved) = (vec![], vec![]);
    for (i, target) in targets.iter().enumerate() {
        // The same host in another protocol.
        if targets[..i].iter().any(|t| is_same_host(t, target)) {
            continue;
        }
        let name = plain(&target.authority);
        match &target.endpoint {
            Endpoint::Unix(path) => {
                elsewhere.push(format!("{name}: {:?}", format!("unix:{}", path.display())))
            }
            Endpoint::Name { host, port } if (host, *port) != (&target.host, target.port()) => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                elsewhere.push(format!("{name}: {:?}", format!("{host}:{port}")));
            }
            Endpoint::Addresses(list) => {
                let list: Vec<String> = list.iter().map(|a| plain(&a.ip().to_string())).collect();
                resolved.push(format!("{name}: [{}]", list.join(", ")));
            }
            Endpoint::Name { .. } | Endpoint::Address(_) | Endpoint::Builtin => {}
        }
    }
    for (key, list) in [("connect_to", elsewhere), ("resolve", resolved)] {
        if !list.is_empty() {
            write!(out, ", {key}: {{ {} }}", list.join(", "))?;
        }
    }
    Ok(())
}

fn write_socket(out: &mut String, s: &Socket) -> fmt::Result {
    write!(out, ", socket: {{ nodelay: {}, quickack: {}", s.nodelay, s.quickack)?;
    let number = |n: Option<u32>| n.map(|n| n.to_string());
    let name = |n: &Option<String>| n.as_ref().map(|n| plain(n));
    let given = [
        ("send_buffer", number(s.send_buffer)),
        ("receive_buffer", number(s.receive_buffer)),
        ("busy_poll", s.busy_poll_us.map(|us| format!("{us}us"))),
        ("congestion", name(&s.congestion)),
        ("device", name(&s.device)),
        ("mark", number(s.mark)),
        ("dscp", s.dscp.map(|n| n.to_string())),
        ("local_ports", s.local_ports.map(|(low, high)| format!("{low}-{high}"))),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            write!(out, ", {key}: {value}")?;
        }
    }
    write!(out, " }}")
}

fn write_http2(out: &mut String, h: &Http2) -> fmt::Result {
    writeln!(
        out,
        "http2: {{ stream_window_bits: {}, connection_window_bits: {}, max_frame_size: {}, header_table_size: {}, \
         encoder_header_table_size: {} }}",
        h.stream_window_bits,
        h.connection_window_bits,
        h.max_frame_size,
        h.header_table_size,
        h.encoder_header_table_size
    )
}

fn write_http3(out: &mut String, h: &Http3) -> fmt::Result {
    write!(
        out,
        "http3: {{ stream_window_bits: {}, connection_window_bits: {}, header_table_size: {}, congestion: {}, \
         segmentation: {}",
        h.stream_window_bits,
        h.connection_window_bits,
        h.header_table_size,
        congestion(h.congestion),
        h.segmentation
    )?;
    if let Some(rtt) = h.initial_rtt {
        write!(out, ", initial_rtt: {}", show_duration(rtt))?;
    }
    if let Some(size) = h.max_udp_payload {
        write!(out, ", max_udp_payload: {size}")?;
    }
    writeln!(out, " }}")
}

fn congestion(congestion: Congestion) -> &'static str {
    match congestion {
        Congestion::Cubic => "cubic",
        Congestion::Bbr => "bbr",
        Congestion::NewReno => "newreno",
    }
}

fn write_timeouts(out: &mut String, t: &Timeouts) -> fmt::Result {
    let show = |limit: Option<Duration>| limit.map_or("none".to_owned(), show_duration);
    writeln!(
        out,
        "timeouts: {{ connect: {}, handshake: {}, request: {}, idle: {}, active: {}, inactive: {} }}",
        show(t.connect),
        show(t.handshake),
        show(t.request),
        show(t.idle),
        show(t.active),
        show(t.inactive)
    )
}

fn write_data(out: &mut String, data: &[Source]) -> fmt::Result {
    if !data.is_empty() {
        writeln!(out, "data:")?;
    }
    data.iter().try_for_each(|source| {
        let (order, at_end) = (source.order.as_str(), source.at_end.as_str());
        let (name, rows) = (plain(&source.name), source.table.rows());
        let columns = source.table.columns.join(", ");
        writeln!(out, "  {name}: {{ order: {order}, at_end: {at_end} }}  # rows: {rows}, columns: {columns}")
    })
}

fn write_phase(out: &mut String, indent: &str, plan: &Plan, phase: &Phase) -> fmt::Result {
    let stop = match phase.stop {
        Stop::After(time) => format!("for: {}", show_duration(time)),
        Stop::Iterations(n) => format!("iterations: {n}"),
        Stop::IterationsPerUser(n) => format!("iterations_per_user: {n}"),
    };
    let name = plain(&phase.name);
    let load = match &phase.load {
        Load::Closed => format!("users: {}", phase.users),
        Load::Ramp { from, to } => format!("users: {from}..{to}"),
        Load::Open(arrivals) => format!("{}, users_max: {}", schedule("rate", arrivals), phase.users),
        Load::Handshakes(Handshakes { arrivals, hold }) => {
            format!("{}, hold: {}", schedule("handshakes", arrivals), show_duration(*hold))
        }
    };
    write!(out, "{indent}- {{ name: {name}, {load}, {stop}, record: {}", phase.record)?;
    let PhaseOverrides { graceful_stop, weights, think } = &phase.overrides;
    if let Some(time) = graceful_stop {
        write!(out, ", graceful_stop: {}", show_duration(*time))?;
    }
    if let Some(factor) = think {
        write!(out, ", think: {factor}")?;
    }
    if let Some(weights) = weights {
        let named = plan.scenarios.iter().zip(weights).filter(|(_, w)| **w > 0);
        let all: Vec<String> = named.map(|(s, w)| format!("{}: {w}", plain(&s.name))).collect();
        write!(out, ", scenarios: {{ {} }}", all.join(", "))?;
    }
    writeln!(out, " }}")
}

fn write_search(out: &mut String, search: &Search) -> fmt::Result {
    writeln!(out, "search:")?;
    writeln!(out, "  highest: {}", search.quantity())?;
    writeln!(out, "  while: {}", plain(&search.text))?;
    writeln!(out, "  from: {}", search.show(search.from))?;
    writeln!(out, "  to: {}", search.show(search.to))?;
    writeln!(out, "  confirm: {}", search.confirm)?;
    writeln!(out, "  precision: {}", search.precision)?;
    for (key, time) in [("probe", search.probe), ("warm_up", search.warm_up), ("settle", search.settle)] {
        writeln!(out, "  {key}: {}", show_duration(time))?;
    }
    if let Quantity::Rate(arrivals, users) = &search.highest {
        writeln!(out, "  users_max: {users}")?;
        writeln!(out, "  {}", spread(arrivals))?;
        writeln!(out, "  {}", backlog(arrivals))?;
    }
    search.at_least.map_or(Ok(()), |least| writeln!(out, "  at_least: {}", search.show(least)))
}

fn spread(arrivals: &Arrivals) -> String {
    match arrivals.spread {
        Spread::Even => "arrivals: even".to_owned(),
        Spread::Poisson => "arrivals: poisson".to_owned(),
        Spread::Burst(n) => format!("arrivals: burst({n})"),
    }
}

fn backlog(arrivals: &Arrivals) -> String {
    let time = arrivals.backlog.time.map_or("none".to_owned(), show_duration);
    format!("backlog: {{ time: {time}, number: {} }}", arrivals.backlog.number)
}

/// How many arrive, under the key that says so, and how.
fn schedule(key: &str, arrivals: &Arrivals) -> String {
    let curve = match &arrivals.curve {
        Curve::Constant(rate) => format!("{key}: {}", show_rate(*rate)),
        Curve::Ramp { from, to, .. } => format!("{key}: {}..{}", show_rate(*from), show_rate(*to)),
        Curve::Stairs { from, to, stairs, .. } => {
            format!("{key}: {}..{}, stairs: {stairs}", show_rate(*from), show_rate(*to))
        }
        Curve::Times { at, each } => {
            let last = Duration::from_nanos(at.last().copied().unwrap_or(0));
            let count = at.len() as u64 * u64::from(each.get());
            format!("replay: {count} arrivals in {}", show_duration(last))
        }
    };
    let spread = match &arrivals.curve {
        Curve::Times { .. } => String::new(),
        _ => format!(", {}", spread(arrivals)),
    };
    format!("{curve}{spread}, {}", backlog(arrivals))
}

/// A text as a YAML scalar: in quotes if it would otherwise read as something else.
fn plain(text: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || " _-./()<>=%+*;?&~@".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_alphabetic() || c == '/');
    match starts_well && text.chars().all(safe) && !text.ends_with(' ') {
        true => text.to_owned(),
        false => format!("{text:?}"),
    }
}
