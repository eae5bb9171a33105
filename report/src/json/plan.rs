//! The plan as it was run, in JSON. What is secret is masked: results are passed around more freely than plans.

use crate::tags;
use scenario::Plan;
use scenario::plan::{
    Arrivals, Check, Congestion, Connections, Curve, Endpoint, Family, Http2, Http3, Load, Mix, Order, Phase,
    ProxyVersion, STATUS_CHECK, Scenario, Share, Socket, Spread, Step, Stop, Target, Threshold, Timeouts,
    Tls,
};
use scenario::program::data::Source;
use scenario::program::{Act, Exchange, OnError, Part, Program, Shown, written};
use scenario::secret::{MASK, Secrets, is_credential, mask_query};
use serde_json::{Map, Value, json};
use std::time::Duration;

use proto::{Field, Text};

/// The whole plan.
pub fn object(plan: &Plan) -> Value {
    let secrets = plan.secrets();
    json!({
        "name": plan.name,
        "protocol": plan.protocol.as_str(),
        "targets": plan.targets.iter().map(|t| target(t, plan)).collect::<Value>(),
        "tls": tls(&plan.tls),
        "connections": connections(&plan.connections),
        "http2": http2(&plan.http2),
        "http3": http3(&plan.http3),
        "timeouts": timeouts(&plan.timeouts),
        "data": plan.script.data.iter().map(data).collect::<Value>(),
        "scenarios": plan.scenarios.iter().enumerate().map(|(i, s)| scenario(i, s, plan, &secrets)).collect::<Value>(),
        "phases": plan.phases.iter().map(|p| phase(p, plan)).collect::<Value>(),
        "thresholds": plan.thresholds.iter().map(threshold).collect::<Value>(),
        "search": plan.search.as_ref().map(super::search::plan),
    })
}

/// Its text, or an object where it is watched: as plans are written.
fn threshold(threshold: &Threshold) -> Value {
    match threshold.abort_after {
        None => json!(threshold.text),
        Some(after) => json!({ "that": threshold.text, "abort_after_s": after.as_secs_f64() }),
    }
}

fn target(target: &Target, plan: &Plan) -> Value {
    let endpoint = match &target.endpoint {
        Endpoint::Name { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Endpoint::Name { host, port } => format!("{host}:{port}"),
        Endpoint::Address(address) => address.to_string(),
        Endpoint::Addresses(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Endpoint::Unix(path) => format!("unix:{}", path.display()),
        Endpoint::Builtin => "builtin".into(),
    };
    json!({
        "url": format!("{}://{}", target.scheme.as_str(), target.authority),
        "connect_to": endpoint,
        "protocol": plan.protocol_of(target).as_str(),
    })
}

fn tls(tls: &Tls) -> Value {
    json!({
        "verify": tls.verify,
        "ca": tls.ca.as_ref().map(|p| p.display().to_string()),
        "sni": tls.sni,
        "ciphers": tls.ciphers,
        "groups": tls.groups,
        "resumption": tls.resumption,
        "early_data": tls.early_data,
        "alpn": tls.alpn,
        "cert": tls.identity.as_ref().map(|i| i.cert.display().to_string()),
        "min_version": tls.min.as_str(),
        "max_version": tls.max.as_str(),
    })
}

fn connections(c: &Connections) -> Value {
    json!({
        "max": c.max,
        "streams": c.streams,
        "share": match c.share { Share::Pool => "pool", Share::PerUser => "per_user" },
        "requests_per_connection": c.requests_per_connection,
        "lifetime_s": seconds(c.lifetime),
        "alt_svc": c.alt_svc,
        "mix": c.mix.map(|mix| {
            let share = |part: u32| f64::from(part) / f64::from(Mix::WHOLE);
            json!({
                "fresh": share(mix.fresh),
                "resumed": share(mix.resumed),
                "early_data": share(mix.early),
            })
        }),
        "ramp_up_s": c.ramp_up.as_secs_f64(),
        "family": match c.family { Family::Any => "any", Family::V4 => "v4", Family::V6 => "v6" },
        "source": c.route.sources.iter().map(|ip| json!(ip.to_string())).collect::<Value>(),
        "proxy": c.route.proxy.as_ref().map(|p| {
            let user = if p.authorization.is_some() { format!("{MASK}@") } else { String::new() };
            format!("http://{user}{}", p.name)
        }),
        "proxy_protocol": c.route.proxy_protocol.as_ref().map(|p| {
            json!({
                "version": match p.version { ProxyVersion::V1 => "v1", ProxyVersion::V2 => "v2" },
                "source": p.sources.iter().map(|ip| json!(ip.to_string())).collect::<Value>(),
            })
        }),
        "socket": socket(&c.socket),
    })
}

fn socket(s: &Socket) -> Value {
    json!({
        "nodelay": s.nodelay,
        "quickack": s.quickack,
        "send_buffer": s.send_buffer,
        "receive_buffer": s.receive_buffer,
        "busy_poll_us": s.busy_poll_us,
        "congestion": s.congestion,
        "device": s.device,
        "mark": s.mark,
        "dscp": s.dscp,
        "local_ports": s.local_ports.map(|(low, high)| format!("{low}-{high}")),
    })
}

fn http2(h: &Http2) -> Value {
    json!({
        "stream_window_bits": h.stream_window_bits,
        "connection_window_bits": h.connection_window_bits,
        "max_frame_size": h.max_frame_size,
        "header_table_size": h.header_table_size,
        "encoder_header_table_size": h.encoder_header_table_size,
    })
}

fn http3(h: &Http3) -> Value {
    json!({
        "stream_window_bits": h.stream_window_bits,
        "connection_window_bits": h.connection_window_bits,
        "header_table_size": h.header_table_size,
        "congestion": match h.congestion {
            Congestion::Cubic => "cubic",
            Congestion::Bbr => "bbr",
            Congestion::NewReno => "newreno",
        },
        "initial_rtt_s": seconds(h.initial_rtt),
        "max_udp_payload": h.max_udp_payload,
        "segmentation": h.segmentation,
    })
}

fn timeouts(t: &Timeouts) -> Value {
    json!({
        "connect_s": seconds(t.connect),
        "handshake_s": seconds(t.handshake),
        "request_s": seconds(t.request),
        "idle_s": seconds(t.idle),
        "active_s": seconds(t.active),
        "inactive_s": seconds(t.inactive),
    })
}

/// Not its values: there may be millions, and secrets among them.
fn data(source: &Source) -> Value {
    json!({
        "name": source.name,
        "order": source.order.as_str(),
        "at_end": source.at_end.as_str(),
        "rows": source.rows(),
        "columns": source.columns(),
    })
}

fn scenario(index: usize, scenario: &Scenario, plan: &Plan, secrets: &Secrets) -> Value {
    let program = scenario.program.as_deref();
    // Without a program there is nothing that ends an iteration, and nothing that lasts.
    let on_error = program.map_or(OnError::Continue, Program::on_error);
    let flow = match program {
        Some(program) => acts(&program.acts(), scenario, secrets),
        None => scenario.steps.iter().map(|step| json!({ "step": step.name })).collect(),
    };
    let variables = program.map_or(&[][..], Program::variables);
    let sources = program.into_iter().flat_map(Program::sources);
    let mut object = json!({
        "name": scenario.name,
        "weight": scenario.weight,
        "order": match scenario.order { Order::Sequence => "sequence", Order::RoundRobin => "round_robin" },
        "on_error": on_error.as_str(),
        "lifetime": program.map(|program| program.lifetime().as_str()),
        "variables": pairs(variables, secrets),
        "data": sources.map(|at| json!(plan.script.data[at].name)).collect::<Value>(),
        "flow": flow,
        "steps": scenario.steps.iter().enumerate().map(|(at, s)| step(s, exchange(scenario, at), plan, secrets)).collect::<Value>(),
    });
    if let Some(own) = plan.own_track(index) {
        object["start_after_s"] = json!(own.start_after.as_secs_f64());
        object["phases"] = plan.phases[own.phases.clone()].iter().map(|p| json!(p.name)).collect();
    }
    object
}

/// What is done, as a list of steps by name and of objects with the keys of the plan.
fn acts(acts: &[Act], scenario: &Scenario, secrets: &Secrets) -> Value {
    let part = |part: &Part| match part {
        Part::Value(value) => shown(value, secrets),
        Part::Acts(inner) => self::acts(inner, scenario, secrets),
    };
    let act = |act: &Act| match act {
        Act::Step(index) => json!({ "step": scenario.steps[*index].name }),
        Act::Other(keys) => keys.iter().map(|(key, value)| ((*key).to_owned(), part(value))).collect(),
    };
    acts.iter().map(act).collect()
}

fn shown(value: &Shown, secrets: &Secrets) -> Value {
    match value {
        // What is long has been cut, possibly within a secret.
        Shown::Text(text) | Shown::Yaml(text) => json!(secrets.mask_shown(text)),
        Shown::Number(n) => json!(n),
        Shown::Pairs(all) => pairs(all, secrets),
    }
}

fn pairs(pairs: &[(String, Shown)], secrets: &Secrets) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), shown(value, secrets))).collect::<Map<_, _>>().into()
}

/// What a step's templates are, if it may have some.
fn exchange(scenario: &Scenario, step: usize) -> Option<&Exchange> {
    scenario.program.as_ref().map(|program| &program.exchanges()[step])
}

fn step(step: &Step, exchange: Option<&Exchange>, plan: &Plan, secrets: &Secrets) -> Value {
    let template = &step.template;
    let shown = |text: &Text| secrets.mask_whole(&written(text, exchange));
    let headers: Vec<Value> = template.fields().iter().map(|field| header(field, shown)).collect();
    // Statuses are told as they are; of the other checks a name says it.
    let mut checks: Vec<String> =
        step.checks.iter().map(|Check::Status(set)| format!("status {set}")).collect();
    let names = exchange.into_iter().flat_map(Exchange::check_names);
    checks.extend(names.filter(|name| *name != STATUS_CHECK).map(|name| secrets.mask_whole(name)));
    let target = &plan.targets[step.target];
    json!({
        "name": step.name,
        "request": format!("{} {}", template.method(), mask_query(&shown(template.path()))),
        "target": format!("{}://{}", target.scheme.as_str(), target.authority),
        "protocol": plan.protocol_of(target).as_str(),
        "authority": shown(template.authority()),
        "headers": headers,
        "body_bytes": exchange.map_or(Some(step.body.len()), Exchange::body_len),
        "checks": checks,
        "timeout_s": seconds(step.timeout.or(plan.timeouts.request)),
        "tags": tags::object(&step.tags),
    })
}

fn header(field: &Field, shown: impl Fn(&Text) -> String) -> Value {
    let value = if is_credential(field) { MASK.to_owned() } else { shown(&field.value) };
    json!({ "name": field.name, "value": value })
}

fn phase(phase: &Phase, plan: &Plan) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), json!(phase.name));
    object.insert("users".into(), json!(phase.users));
    match &phase.load {
        Load::Closed => {}
        Load::Ramp { from, to } => {
            object.insert("ramp".into(), json!({ "from": from, "to": to }));
        }
        Load::Open(arrivals) => {
            object.insert("arrivals".into(), schedule(arrivals));
        }
        Load::Handshakes(handshakes) => {
            object.insert("handshakes".into(), schedule(&handshakes.arrivals));
            object.insert("hold_s".into(), json!(handshakes.hold.as_secs_f64()));
        }
    }
    let (name, value) = match phase.stop {
        Stop::After(time) => ("for_s", json!(time.as_secs_f64())),
        Stop::Iterations(n) => ("iterations", json!(n)),
        Stop::IterationsPerUser(n) => ("iterations_per_user", json!(n)),
    };
    object.insert(name.into(), value);
    object.insert("record".into(), json!(phase.record));
    let overrides = &phase.overrides;
    if let Some(time) = overrides.graceful_stop {
        object.insert("graceful_stop_s".into(), json!(time.as_secs_f64()));
    }
    if let Some(factor) = overrides.think {
        object.insert("think".into(), json!(factor));
    }
    if let Some(weights) = &overrides.weights {
        let named = plan.scenarios.iter().zip(weights).map(|(s, w)| (s.name.clone(), json!(w)));
        object.insert("scenarios".into(), Value::Object(named.collect()));
    }
    Value::Object(object)
}

fn schedule(arrivals: &Arrivals) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| drop(object.insert(key.into(), value));
    match &arrivals.curve {
        Curve::Constant(rate) => put("rate", json!(rate)),
        Curve::Ramp { from, to, .. } => put("rate", json!([from, to])),
        Curve::Stairs { from, to, stairs, .. } => {
            put("rate", json!([from, to]));
            put("stairs", json!(stairs));
        }
        Curve::Times { at, each } => put("replayed", json!(at.len() as u64 * u64::from(each.get()))),
    }
    put(
        "spread",
        match arrivals.spread {
            Spread::Even => json!("even"),
            Spread::Poisson => json!("poisson"),
            Spread::Burst(n) => json!({ "burst": n }),
        },
    );
    put("backlog", json!({ "time_s": seconds(arrivals.backlog.time), "number": arrivals.backlog.number }));
    Value::Object(object)
}

fn seconds(time: Option<Duration>) -> Value {
    json!(time.map(|t| t.as_secs_f64()))
}
