//! A plan file into a job. Flags about the machine and the output go with a plan; flags that say what a plan says do not.

use crate::args::RunArgs;
use crate::error::Failure;
use crate::job::{Front, Job};
use crate::{machine, smoke};
use scenario::{Overrides, Plan};
use std::path::Path;

/// The job of `-f PLAN`.
pub fn job(path: &str, args: &RunArgs) -> Result<Job, Failure> {
    refuse_flags_of_load(args)?;
    let mut plan = load(Path::new(path), &args.set)?;
    if args.tls.insecure {
        plan.tls.verify = false;
    }
    if args.tls.verify || args.tls.tls_ca.is_some() {
        plan.tls.verify = true;
    }
    if let Some(ca) = &args.tls.tls_ca {
        plan.tls.ca = Some(ca.clone());
    }
    let (options, warning) = machine::options(&args.machine)?;
    let plan = if args.smoke { smoke::shrink(plan) } else { plan };
    Ok(Job { plan, options, front: Front::Plan, url: path.to_owned(), notes: warning.into_iter().collect() })
}

/// Reads a plan with settings applied.
pub fn load(path: &Path, set: &[String]) -> Result<Plan, Failure> {
    let plan = scenario::load(path, &Overrides { set: set.to_vec() })?;
    // Which names there are the engine knows, and not the language.
    engine::check_names(&plan.tls).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    Ok(plan)
}

/// What a plan says itself must not be typed beside it: one of the two would be silently ignored.
fn refuse_flags_of_load(args: &RunArgs) -> Result<(), Failure> {
    let (l, r, p, c, t) = (&args.load, &args.request, &args.protocol, &args.connection, &args.tls);
    let given: &[(&str, bool)] = &[
        ("a URL", !args.urls.is_empty()),
        ("-n", l.requests.is_some()),
        ("-c", l.clients.is_some()),
        ("-m", l.max_concurrent_streams.is_some()),
        ("-D", l.duration.is_some()),
        ("--warm-up-time", l.warm_up_time.is_some()),
        ("--ramp-up-time", l.ramp_up_time.is_some()),
        ("-H", !r.header.is_empty()),
        ("-d", r.data.is_some()),
        ("--body", r.body.is_some()),
        ("--method", r.method.is_some()),
        ("-B", r.base_uri.is_some()),
        ("--h1", p.h1),
        ("--alpn-list", p.alpn_list.is_some() || p.npn_list.is_some()),
        ("-p", p.no_tls_proto.is_some()),
        ("--max-frame-size", p.max_frame_size.is_some()),
        ("-w", p.window_bits.is_some()),
        ("-W", p.connection_window_bits.is_some()),
        ("--header-table-size", p.header_table_size.is_some()),
        ("--encoder-header-table-size", p.encoder_header_table_size.is_some()),
        ("--sni", t.sni.is_some()),
        ("--ciphers", t.ciphers.is_some() || t.tls13_ciphers.is_some() || t.tls_ciphers.is_some()),
        ("--groups", t.groups.is_some()),
        ("--cert", t.cert.is_some()),
        ("--tls-min or --tls-max", t.tls_min.is_some() || t.tls_max.is_some()),
        ("--tls-resumption", t.tls_resumption),
        ("--tls-early-data", t.tls_early_data),
        ("--requests-per-connection", c.requests_per_connection.is_some()),
        ("--connect-to", c.connect_to.is_some()),
        ("--connect-timeout", c.connect_timeout.is_some()),
        ("--request-timeout", c.request_timeout.is_some()),
        ("-4 or -6", c.v4 || c.v6),
        ("--resolve", !c.resolve.is_empty()),
        ("--source-address", !c.source_address.is_empty()),
        ("--proxy", c.proxy.is_some()),
        ("--proxy-protocol", c.proxy_protocol.is_some()),
        ("--local-ports", c.local_ports.is_some()),
        ("--tcp-quickack", c.tcp_quickack),
        ("--no-tcp-nodelay", c.no_tcp_nodelay),
        ("--send-buffer", c.send_buffer.is_some()),
        ("--receive-buffer", c.receive_buffer.is_some()),
        ("--busy-poll", c.busy_poll.is_some()),
        ("--congestion", c.congestion.is_some()),
        ("--bind-device", c.bind_device.is_some()),
        ("--mark", c.mark.is_some()),
        ("--dscp", c.dscp.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((what, _)) => Err(Failure::new(format!(
            "{what} cannot be given beside a plan, which says that itself: change the plan, or one value of it with \
             --set PATH=VALUE"
        ))),
    }
}
