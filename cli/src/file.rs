//! A plan file into a job. Flags about the machine and the output go with a plan; flags that say what a plan says do not.

use crate::args::{Cli, RunArgs};
use crate::error::Failure;
use crate::job::{Front, Job};
use crate::{machine, smoke};
use clap::CommandFactory as _;
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
    let notes = warning.into_iter().collect();
    Ok(Job { plan, options, front: Front::Plan, url: path.to_owned(), lots: None, notes })
}

/// Reads a plan with settings applied.
pub fn load(path: &Path, set: &[String]) -> Result<Plan, Failure> {
    let plan = scenario::load(path, &Overrides { set: set.to_vec() })?;
    // Which names there are the engine knows, and not the language.
    engine::check_names(&plan.tls).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    Ok(plan)
}

/// What has a meaning beside a plan, by clap's names: what plan and how of it is run, on which machine, and what is said where. All
/// else is refused: one of the two would be silently ignored.
const BESIDE: &[&str] = &[
    "file",
    "set",
    "smoke",
    "seed",
    "insecure",
    "verify",
    "tls_ca",
    "qlog_file_base",
    "threads",
    "cpus",
    "io",
    "pacing",
    "no_batch",
    "discard_body",
    // Without effect anywhere, as their help says.
    "metrics_sample",
    "tail_friendly",
    "format",
    "output",
    "timeline",
    "json_timeline",
    "interval",
    "pretty",
    "quiet",
    "no_human",
    "require_valid",
    "log_file",
    "output_file",
    "trace",
];

/// What stands in the way of a flag.
#[derive(Clone, Copy, Debug)]
enum Instead {
    /// The plan says it here.
    Key(&'static str),
    /// A plan has nothing like it, and why.
    Nothing(&'static str),
}

use Instead::{Key, Nothing};

/// What is refused, by clap's names, and what to write instead.
const INSTEAD: &[(&str, Instead)] = &[
    ("urls", Key("target")),
    ("requests", Key("phases.NAME.iterations")),
    ("clients", Key("connections.max")),
    ("max_concurrent_streams", Key("connections.streams")),
    ("duration", Key("phases.NAME.for")),
    ("warm_up_time", Nothing("put a phase with `record: false` before the others")),
    ("ramp_up_time", Key("connections.ramp_up")),
    ("rps", Key("phases.NAME.rate")),
    ("rate_total", Key("phases.NAME.rate")),
    ("rate", Key("connections.ramp_up")),
    ("rate_period", Key("connections.ramp_up")),
    ("timing_script_file", Key("phases.NAME.replay")),
    ("input_file", Nothing("name what is requested in the steps of its scenarios")),
    ("header", Key("defaults.headers")),
    ("data", Nothing("give its steps a `body`")),
    ("body", Nothing("give its steps a `body`")),
    ("method", Nothing("give its steps a method, such as `post: /path`")),
    ("base_uri", Key("target")),
    ("h1", Key("protocol")),
    ("h3", Key("protocol")),
    ("alpn_list", Key("tls.alpn")),
    ("npn_list", Key("tls.alpn")),
    ("no_tls_proto", Key("protocol")),
    ("max_frame_size", Key("http2.max_frame_size")),
    ("window_bits", Key("http2.stream_window_bits")),
    ("connection_window_bits", Key("http2.connection_window_bits")),
    ("header_table_size", Key("http2.header_table_size")),
    ("encoder_header_table_size", Key("http2.encoder_header_table_size")),
    ("no_udp_gso", Key("http3.segmentation")),
    ("max_udp_payload_size", Key("http3.max_udp_payload")),
    ("quic_congestion", Key("http3.congestion")),
    ("initial_rtt", Key("http3.initial_rtt")),
    ("sni", Key("tls.sni")),
    ("ciphers", Key("tls.ciphers")),
    ("tls13_ciphers", Key("tls.ciphers")),
    ("tls_ciphers", Key("tls.ciphers")),
    ("groups", Key("tls.groups")),
    ("cert", Key("tls.cert")),
    ("key", Key("tls.key")),
    ("tls_min", Key("tls.min_version")),
    ("tls_max", Key("tls.max_version")),
    ("tls_resumption", Key("tls.resumption")),
    ("tls_early_data", Key("tls.early_data")),
    // With a plan or without: these come no further, see `refused`.
    ("ktls", Nothing("leave it out")),
    ("tls_session_file", Key("tls.resumption")),
    ("connect_to", Key("connections.connect_to")),
    ("resolve", Key("connections.resolve")),
    ("source_address", Key("connections.source")),
    ("proxy", Key("connections.proxy")),
    ("proxy_protocol", Key("connections.proxy_protocol")),
    ("proxy_protocol_source", Key("connections.proxy_protocol.source")),
    ("local_ports", Key("connections.socket.local_ports")),
    ("connect_timeout", Key("timeouts.connect")),
    ("request_timeout", Key("timeouts.request")),
    ("requests_per_connection", Key("connections.requests_per_connection")),
    ("connection_active_timeout", Key("timeouts.active")),
    ("connection_inactivity_timeout", Key("timeouts.inactive")),
    ("v4", Key("connections.family")),
    ("v6", Key("connections.family")),
    ("tcp_quickack", Key("connections.socket.quickack")),
    ("no_tcp_nodelay", Key("connections.socket.nodelay")),
    ("send_buffer", Key("connections.socket.send_buffer")),
    ("receive_buffer", Key("connections.socket.receive_buffer")),
    ("busy_poll", Key("connections.socket.busy_poll")),
    ("congestion", Key("connections.socket.congestion")),
    ("bind_device", Key("connections.socket.device")),
    ("mark", Key("connections.socket.mark")),
    ("dscp", Key("connections.socket.dscp")),
    ("verbose", Nothing("its summary is the longer one: leave it out")),
    ("compat_output", Nothing("its text is a summary, and h2load's that of flags: leave it out")),
    ("histogram", Nothing("its text is a summary, and h2load's that of flags: leave it out")),
];

/// What a plan says itself must not be typed beside it: one of the two would be silently ignored.
fn refuse_flags_of_load(args: &RunArgs) -> Result<(), Failure> {
    let Some(typed) = args.typed.iter().find(|id| !BESIDE.contains(&id.as_str())) else { return Ok(()) };
    let command = Cli::command();
    let arg = command.get_arguments().find(|arg| arg.get_id() == typed);
    let what = match arg.map(|arg| (arg.get_short(), arg.get_long())) {
        Some((Some(short), _)) => format!("-{short}"),
        Some((_, Some(long))) => format!("--{long}"),
        _ => "a URL".to_owned(),
    };
    let instead = INSTEAD.iter().find(|(id, _)| typed == id).map(|(_, instead)| *instead);
    let (itself, remedy) = match instead {
        Some(Key(key)) => (
            ", which says that itself",
            format!("change `{key}` in the plan, or for one run give --set {key}=VALUE"),
        ),
        Some(Nothing(remedy)) => ("", remedy.to_owned()),
        None => ("", "leave it out".to_owned()),
    };
    Err(Failure::new(format!("{what} cannot be given beside a plan{itself}: {remedy}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::typed;
    use clap::Arg;
    use std::collections::BTreeSet;

    const PLAN: &str = "../configs/quickstart.yaml";

    fn job(line: &str) -> Result<Job, String> {
        let cli = typed(&format!("-f {PLAN} {line}")).unwrap_or_else(|e| panic!("{line}: {e}"));
        Job::from_args(&cli.run).map_err(|e| e.to_string())
    }

    /// Of clap's own.
    fn is_a_flag(arg: &&Arg) -> bool {
        !["help", "version"].contains(&arg.get_id().as_str())
    }

    #[test]
    fn every_flag_has_a_meaning_beside_a_plan_or_is_refused_with_a_remedy() {
        let command = Cli::command();
        let all: BTreeSet<&str> =
            command.get_arguments().filter(is_a_flag).map(|a| a.get_id().as_str()).collect();
        let (beside, instead) = (
            BTreeSet::from_iter(BESIDE.iter().copied()),
            BTreeSet::from_iter(INSTEAD.iter().map(|(id, _)| *id)),
        );
        let known = BTreeSet::from_iter(beside.union(&instead).copied());
        assert_eq!(all, known, "a flag belongs into one of the two lists");
        assert_eq!(beside.len() + instead.len(), known.len(), "and into one alone");
    }

    /// A value that each flag takes.
    fn value(arg: &Arg) -> String {
        let first = arg.get_possible_values().first().map(|value| value.get_name().to_owned());
        let by_name = match arg.get_id().as_str() {
            "no_tls_proto" => "h2c",
            "max_frame_size" | "receive_buffer" | "send_buffer" => "16K",
            "max_udp_payload_size" => "1400",
            "tls_min" | "tls_max" => "1.3",
            "proxy_protocol" => "v1",
            "local_ports" => "2000-3000",
            _ => "1",
        };
        first.unwrap_or_else(|| by_name.to_owned())
    }

    #[test]
    fn what_a_plan_says_itself_is_refused() {
        for arg in Cli::command().get_arguments().filter(is_a_flag) {
            let Some((id, instead)) = INSTEAD.iter().find(|(id, _)| arg.get_id() == id) else { continue };
            if ["ktls", "tls_session_file"].contains(id) {
                continue; // with a message of their own
            }
            let mut line = match arg.get_long() {
                Some(long) if arg.get_action().takes_values() => format!("--{long}={}", value(arg)),
                Some(long) => format!("--{long}"),
                None => "http://a/".to_owned(),
            };
            match *id {
                "key" => line += " --cert=x",
                "proxy_protocol_source" => line += " --proxy-protocol=v1",
                _ => {}
            }
            let error = job(&line).expect_err(id);
            assert!(error.contains(" cannot be given beside a plan"), "{line}: {error}");
            match instead {
                Key(key) if line.matches("--").count() == 1 => {
                    assert!(error.contains(&format!("--set {key}=")), "{line}: {error}");
                }
                _ => {}
            }
        }
    }

    /// Those that say what is done. What the others say is done with the result.
    #[test]
    fn what_has_a_meaning_beside_a_plan_changes_the_job() {
        let plain = format!("{:?}", job("").unwrap());
        for line in [
            "--set target=http://a",
            "--smoke",
            "--seed 2",
            "--tls-ca x.pem",
            "--qlog-file-base x",
            "-t 2",
            "--cpus 0",
            "--io epoll",
            "--pacing sleep",
            "--no-batch",
            "--discard-body",
        ] {
            assert_ne!(format!("{:?}", job(line).unwrap()), plain, "{line}");
        }
        let verifies = |line: &str| job(line).unwrap().plan.tls.verify;
        for (target, default) in [("https://a", true), ("builtin+tls", false)] {
            let line = format!("--set target={target}");
            assert_eq!(verifies(&line), default);
            assert!(verifies(&format!("{line} --verify")) && !verifies(&format!("{line} -k")));
        }
    }

    /// A key that a message names is one of the language.
    #[test]
    fn keys_in_messages_are_in_the_schema() {
        let schema = scenario::schema().to_string();
        for (_, instead) in INSTEAD {
            if let Key(key) = instead {
                key.split('.').filter(|part| *part != "NAME").for_each(|part| {
                    assert!(schema.contains(&format!("\"{part}\"")), "{key}");
                });
            }
        }
    }
}
