//! What can be typed. Names, short names, types and defaults of h2load's options are h2load's own; the rest is loadgen's
//! and loadgen-rs's. What it all means is decided elsewhere.

use crate::error::Failure;
use crate::output::Human;
use crate::persona::Persona;
use crate::values::{self, CpuList, NoTlsProto};
use crate::{strict, version};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches as _, Id, Parser, Subcommand, ValueEnum};
use scenario::plan::{ProxyVersion, TlsVersion};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "loadgen",
    version = version::NUMBER,
    long_version = version::FACTS.as_str(),
    about = "Puts HTTP load on a server and reports numbers that can be trusted",
    override_usage = "loadgen -f PLAN.yaml [OPTIONS]\n       loadgen [OPTIONS] URL...\n       loadgen check|serve|schema|completions|man ...",
    after_help = "A URL is http://HOST[:PORT]/PATH or https://..., or `builtin` (`builtin+tls`) for the server inside loadgen.\n\
        Over TLS the server chooses HTTP/2 or HTTP/1.1; http:// means HTTP/2 in clear, as in h2load, unless --h1 is given.\n\
        SIZE is an integer and K, M or G (powers of 1024). DUR is a number and h, m, s, ms or us; seconds without a unit.\n\
        Exit codes: 0 ran and thresholds held; 1 usage, plan or start-up error; 2 no request succeeded; 3 the verdict is\n\
        INVALID and --require-valid was given; 99 a threshold failed, or a search found too little; 130 interrupted\n\
        (results so far are reported).",
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    infer_long_args = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// What is not a run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a plan, show it with every default filled in, and send nothing; with --run try each scenario once
    Check(CheckArgs),
    /// Run the built-in target server until Ctrl-C
    Serve(ServeArgs),
    /// Print the JSON Schema of the plan, for editors
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, for example into ~/.local/share/man/man1/loadgen.1
    Man {
        /// The page of this sub-command
        command: Option<String>,
    },
}

/// `loadgen check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Replace one value of the plan before it is read, for example connections.max=64
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// The plan as JSON, the form it has in results
    #[arg(long)]
    pub json: bool,
    /// Then go through each scenario once with one user, and show every request and response, what checks found, and the values of
    /// extractors; credentials, cookies and tokens are masked
    #[arg(long, visible_alias = "trace", conflicts_with = "json")]
    pub run: bool,
}

/// `loadgen serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where to serve HTTP in clear (port 0: any free one)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub clear: SocketAddr,
    /// Where to serve TLS, and HTTP/3 over UDP (port 0: any free one)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8082")]
    pub tls: SocketAddr,
    /// Serving threads
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = values::uint)]
    pub threads: u64,
    /// CPUs to pin them to, like 0-3,5
    #[arg(long, value_name = "LIST", value_parser = values::cpus)]
    pub cpus: Option<CpuList>,
    /// PEM file with a certificate chain and its key; without it one is made for localhost
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Answer at most so many requests a second, such as 1000/s; more get 429 (Too Many Requests)
    #[arg(long, value_name = "RATE", value_parser = values::rate_total)]
    pub limit: Option<f64>,
    /// Let requests above the limit wait for their turn instead
    #[arg(long, requires = "limit")]
    pub limit_delay: bool,
    /// Field alt-svc of responses over TLS, with PORT for the port of HTTP/3; empty: none [default: h3=":PORT"]
    #[arg(long, value_name = "VALUE")]
    pub alt_svc: Option<String>,
    /// Print the server's counters as one line of JSON when it ends
    #[arg(long)]
    pub stats: bool,
}

/// A run, of a plan or of flags.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// What to request. Several: round robin, each connection from the first; scheme, host and port are the first's
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,

    /// A plan to run. With a URL and a SIZE it is h2load's --max-frame-size
    #[arg(short = 'f', long = "file", value_name = "PLAN", help_heading = "Plan")]
    pub file: Option<String>,
    /// Replace one value of the plan, for example connections.max=64 (may be repeated)
    #[arg(long, value_name = "PATH=VALUE", help_heading = "Plan")]
    pub set: Vec<String>,
    /// Run every phase for a moment only, at most 3 s in all; thresholds are shown but do not count
    #[arg(long, help_heading = "Plan")]
    pub smoke: bool,
    /// Seed of everything random, instead of the plan's
    #[arg(long, value_name = "N", value_parser = values::uint, help_heading = "Plan")]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub load: LoadArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    #[command(flatten)]
    pub protocol: ProtocolArgs,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    #[command(flatten)]
    pub output: OutputArgs,

    /// What of these was typed, by clap's names.
    #[arg(skip)]
    pub typed: Vec<Id>,
}

/// How much load.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Requests of the whole run; at least as many as clients [default: 1]
    #[arg(short = 'n', long, value_name = "N", value_parser = values::uint)]
    pub requests: Option<u64>,
    /// Connections; at least as many as threads [default: 1]
    #[arg(short = 'c', long, value_name = "N", value_parser = values::uint)]
    pub clients: Option<u64>,
    /// Requests in flight on a connection: the depth of pipelining on HTTP/1.1 [default: 1]
    #[arg(short = 'm', long, value_name = "N", value_parser = values::uint)]
    pub max_concurrent_streams: Option<u64>,
    /// Run for this time instead of a number of requests
    #[arg(short = 'D', long, value_name = "DUR", value_parser = values::duration)]
    pub duration: Option<Duration>,
    /// Load without measuring before -D begins
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub warm_up_time: Option<Duration>,
    /// Spread the opening of connections over this time
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub ramp_up_time: Option<Duration>,
    /// Requests per second of each client
    #[arg(long, value_name = "N", value_parser = values::rps)]
    pub rps: Option<f64>,
    /// Requests per second of all clients together
    #[arg(long, value_name = "N", value_parser = values::rate_total)]
    pub rate_total: Option<f64>,
    /// Connections made per period, until there are -c
    #[arg(short = 'r', long, value_name = "N", value_parser = values::rate)]
    pub rate: Option<u64>,
    /// The period of -r [default: 1s]
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub rate_period: Option<Duration>,
    /// Replay lines of offset in ms, tab, URL
    #[arg(long, value_name = "PATH")]
    pub timing_script_file: Option<PathBuf>,
    /// Read URLs from a file, one a line (`-`: from stdin), instead of from the command line
    #[arg(short = 'i', long, value_name = "PATH")]
    pub input_file: Option<PathBuf>,
}

/// What is requested.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Request")]
pub struct RequestArgs {
    /// Add a header; host, :authority, :method, :scheme and user-agent replace what is there
    #[arg(short = 'H', long, value_name = "NAME: VALUE", allow_hyphen_values = true)]
    pub header: Vec<String>,
    /// Send the content of this file, by POST
    #[arg(short = 'd', long, value_name = "FILE", visible_alias = "data-file", conflicts_with = "body")]
    pub data: Option<PathBuf>,
    /// Send this text, by POST
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub body: Option<String>,
    /// The method [default: GET, or POST with a body]
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// Take scheme, host and port from here
    #[arg(short = 'B', long, value_name = "URL|unix:PATH")]
    pub base_uri: Option<String>,
}

/// Which HTTP.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Protocol")]
pub struct ProtocolArgs {
    /// HTTP/1.1, in clear and over TLS, whatever --alpn-list and -p say
    #[arg(long)]
    pub h1: bool,
    /// HTTP/3
    #[arg(long)]
    pub h3: bool,
    /// Protocols to offer over TLS, best first [default: h2,http/1.1]
    #[arg(long, visible_alias = "alpn", value_name = "LIST")]
    pub alpn_list: Option<String>,
    /// The old name of --alpn-list
    #[arg(long, value_name = "LIST", hide = true)]
    pub npn_list: Option<String>,
    /// What http:// URLs speak: h2c (HTTP/2 without asking first) or http/1.1 [default: h2c]
    #[arg(short = 'p', long, value_name = "ID", value_parser = values::no_tls_proto)]
    pub no_tls_proto: Option<NoTlsProto>,
    /// HTTP/2: largest frame to accept [default: 16K]
    #[arg(long, value_name = "SIZE", value_parser = values::frame_size)]
    pub max_frame_size: Option<u64>,
    /// HTTP/2 and 3: window of a stream is 2^N-1 [default: 30]
    #[arg(short = 'w', long, value_name = "N", value_parser = values::window_bits)]
    pub window_bits: Option<u64>,
    /// HTTP/2 and 3: window of a connection is 2^N-1 [default: 30]
    #[arg(short = 'W', long, value_name = "N", value_parser = values::window_bits)]
    pub connection_window_bits: Option<u64>,
    /// HTTP/2 and 3: table of the header decoder [default: 4K]
    #[arg(long, value_name = "SIZE", value_parser = values::table_size)]
    pub header_table_size: Option<u64>,
    /// HTTP/2 and 3: table of the header encoder [default: 4K]
    #[arg(long, value_name = "SIZE", value_parser = values::table_size)]
    pub encoder_header_table_size: Option<u64>,
    /// HTTP/3: no segmentation offload
    #[arg(long)]
    pub no_udp_gso: bool,
    /// HTTP/3: largest datagram to send
    #[arg(long, value_name = "SIZE", value_parser = values::udp_payload)]
    pub max_udp_payload_size: Option<u64>,
    /// HTTP/3: how QUIC finds its sending rate
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Congestion::Cubic)]
    pub quic_congestion: Congestion,
    /// HTTP/3: round-trip time assumed before one was measured [default: from 1ms to near targets, else 333ms]
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub initial_rtt: Option<Duration>,
    /// HTTP/3: write a qlog per connection, to PATH.CORE.CLIENT.CONNECTION.sqlog
    #[arg(long, value_name = "PATH")]
    pub qlog_file_base: Option<PathBuf>,
}

/// TLS.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Do not check certificates: what flags do anyway, like h2load; for a plan it overrides the plan
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// Check the server's certificate against the system's store
    #[arg(long, conflicts_with = "insecure")]
    pub verify: bool,
    /// Check it against the certificates in this PEM file alone
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub tls_ca: Option<PathBuf>,
    /// Server name to send [default: the URL's host]
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    /// Cipher suites up to TLS 1.2, colons between, OpenSSL names
    #[arg(long, value_name = "SUITES")]
    pub ciphers: Option<String>,
    /// Cipher suites of TLS 1.3, colons between
    #[arg(long, value_name = "SUITES")]
    pub tls13_ciphers: Option<String>,
    /// Cipher suites of any version, colons or commas between; no others
    #[arg(long, value_name = "SUITES", conflicts_with_all = ["ciphers", "tls13_ciphers"])]
    pub tls_ciphers: Option<String>,
    /// Key-exchange groups, colons between [default: X25519:P-256:P-384]
    #[arg(long, value_name = "GROUPS")]
    pub groups: Option<String>,
    /// Client certificate and those that lead to its CA (PEM), for servers that ask for one
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its private key (PEM) [default: in the file of --cert]
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Lowest version of TLS to agree to [default: 1.2]
    #[arg(long, value_name = "VERSION", value_parser = TlsVersion::parse)]
    pub tls_min: Option<TlsVersion>,
    /// Highest version [default: 1.3]
    #[arg(long, value_name = "VERSION", value_parser = TlsVersion::parse)]
    pub tls_max: Option<TlsVersion>,
    /// Continue TLS sessions of earlier connections of this run
    #[arg(long)]
    pub tls_resumption: bool,
    /// HTTP/3: send requests in the first flight of such a session (0-RTT), GET and HEAD alone; implies --tls-resumption
    #[arg(long)]
    pub tls_early_data: bool,
    /// TLS in the kernel: refused, with the reason
    #[arg(long)]
    pub ktls: bool,
    /// Load a TLS session from a file and save one to it: refused, with the reason
    #[arg(long, value_name = "PATH")]
    pub tls_session_file: Option<PathBuf>,
}

/// Connections and sockets.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Connect there; host header and server name stay the URL's
    #[arg(long, value_name = "HOST[:PORT]|unix:PATH")]
    pub connect_to: Option<String>,
    /// Use these addresses for a host, in turn, and look up no name (may be repeated)
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]")]
    pub resolve: Vec<String>,
    /// Connect from these local addresses, in turn: addresses, ranges A-B, networks A/N
    #[arg(long, value_name = "LIST")]
    pub source_address: Vec<String>,
    /// Go through this HTTP proxy: by a tunnel for https and HTTP/2 in clear, else by requests with the whole URL
    #[arg(long, value_name = "http://[USER:PASSWORD@]HOST:PORT")]
    pub proxy: Option<String>,
    /// Begin each connection with the header of the PROXY protocol: v1 or v2
    #[arg(long, value_name = "VERSION", value_parser = scenario::network::proxy_version)]
    pub proxy_protocol: Option<ProxyVersion>,
    /// Client addresses to name in it, in turn [default: the connection's own]
    #[arg(long, value_name = "LIST", requires = "proxy_protocol")]
    pub proxy_protocol_source: Vec<String>,
    /// Connect from local ports of this range
    #[arg(long, value_name = "LOW-HIGH", value_parser = scenario::network::local_ports)]
    pub local_ports: Option<(u16, u16)>,
    /// Time limit of a connect and of a TLS handshake, 0 for none [default: 10s]
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub connect_timeout: Option<Duration>,
    /// Time limit of a request, 0 for none [default: none]
    #[arg(long, value_name = "DUR", value_parser = values::duration)]
    pub request_timeout: Option<Duration>,
    /// Close a connection after so many requests and open another
    #[arg(long, value_name = "N", value_parser = values::positive)]
    pub requests_per_connection: Option<u64>,
    /// Close a connection this long after it was opened; requests in flight on it have timed out, and another is opened
    #[arg(short = 'T', long, value_name = "DUR", value_parser = values::duration)]
    pub connection_active_timeout: Option<Duration>,
    /// Close a connection on which nothing is sent or received for this long, likewise
    #[arg(short = 'N', long, value_name = "DUR", value_parser = values::duration)]
    pub connection_inactivity_timeout: Option<Duration>,
    /// Use IPv4 only
    #[arg(short = '4', long = "v4", conflicts_with = "v6")]
    pub v4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long = "v6")]
    pub v6: bool,
    /// Acknowledge received segments at once (TCP_QUICKACK)
    #[arg(long)]
    pub tcp_quickack: bool,
    /// Let the kernel gather small segments (no TCP_NODELAY)
    #[arg(long)]
    pub no_tcp_nodelay: bool,
    /// Bytes of the send buffer (SO_SNDBUF)
    #[arg(long, value_name = "SIZE", value_parser = values::buffer)]
    pub send_buffer: Option<u64>,
    /// Bytes of the receive buffer (SO_RCVBUF)
    #[arg(long, value_name = "SIZE", value_parser = values::buffer)]
    pub receive_buffer: Option<u64>,
    /// Poll the device so long when there is nothing to receive (SO_BUSY_POLL)
    #[arg(long, value_name = "DUR", value_parser = values::busy_poll)]
    pub busy_poll: Option<Duration>,
    /// Congestion control, for example bbr (TCP_CONGESTION)
    #[arg(long, value_name = "NAME")]
    pub congestion: Option<String>,
    /// Go through this interface only (SO_BINDTODEVICE)
    #[arg(long, value_name = "NAME")]
    pub bind_device: Option<String>,
    /// Mark of every packet (SO_MARK)
    #[arg(long, value_name = "N", value_parser = values::mark)]
    pub mark: Option<u64>,
    /// Code point of differentiated services: 0 to 63, or ef, af41, cs1, ...
    #[arg(long, value_name = "DSCP", value_parser = scenario::network::dscp)]
    pub dscp: Option<u8>,
}

/// How the machine is used.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Machine")]
pub struct MachineArgs {
    /// Threads, one a core [default: 1]
    #[arg(short = 't', long, value_name = "N", value_parser = values::uint)]
    pub threads: Option<u64>,
    /// CPUs to pin threads to, like 0-3,5 [default: all that are allowed]
    #[arg(long, value_name = "LIST", value_parser = values::cpus)]
    pub cpus: Option<CpuList>,
    /// How to talk to the kernel
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    pub io: Io,
    /// How exactly a schedule of requests is kept: wake up early and spin, or sleep and be as late as timers are
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Pacing::Precise)]
    pub pacing: Pacing,
    /// Answer every response at once instead of waiting for several where that pays
    #[arg(long)]
    pub no_batch: bool,
    /// Let the kernel throw response bodies away (HTTP/1.1 in clear only): they are counted and never seen
    #[arg(long)]
    pub discard_body: bool,
    /// Accepted for loadgen-rs; every request is measured
    #[arg(long, value_name = "N", value_parser = values::uint, hide = true)]
    pub metrics_sample: Option<u64>,
    /// Accepted for loadgen-rs; connections are served in turn anyway
    #[arg(long, hide = true)]
    pub tail_friendly: bool,
}

/// QUIC's congestion controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Congestion {
    /// RFC 9438.
    Cubic,
    /// BBR.
    Bbr,
    /// RFC 9002.
    Newreno,
}

/// How exactly a schedule is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pacing {
    /// To some microseconds.
    Precise,
    /// As timers allow.
    Sleep,
}

/// What is reported where.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Result for machines; on stdout, instead of the text, unless -o is given
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<MachineFormat>,
    /// Write the result for machines here, in the format of its ending: json, hlog, xml (these replace the file), jsonl, csv
    /// (these append); may be repeated
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Write a line of JSON here for each interval while the run goes on (`-`: to stdout)
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Put the time series into the JSON result as well
    #[arg(long)]
    pub json_timeline: bool,
    /// Length of an interval of the time series and of the display, 10ms to 1h [default: 1s]
    #[arg(long, value_name = "DUR", value_parser = values::interval)]
    pub interval: Option<Duration>,
    /// JSON on many lines
    #[arg(long)]
    pub pretty: bool,
    /// Nothing for people but the result: no progress, no notes
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// No text for people at all
    #[arg(long)]
    pub no_human: bool,
    /// With flags: the longer summary of loadgen too, on stderr
    #[arg(short = 'v', long)]
    pub verbose: bool,
    /// Which h2load the text of flag mode is like (classic: up to 1.68)
    /// [default: $LOADGEN_COMPAT_OUTPUT, else 1.70]
    #[arg(long, value_enum, value_name = "VERSION")]
    pub compat_output: Option<CompatOutput>,
    /// Bars under each row of h2load's table
    #[arg(long)]
    pub histogram: bool,
    /// Exit 3 if the verdict is INVALID
    #[arg(long)]
    pub require_valid: bool,
    /// Append a line for each request: start (us since 1970), status or -1, duration (us)
    #[arg(long, value_name = "PATH")]
    pub log_file: Option<PathBuf>,
    /// Write h2load's JSON, with every sample
    #[arg(long, value_name = "PATH")]
    pub output_file: Option<PathBuf>,
    /// Show the first N (at most 1000) requests and responses on stderr; values of credentials and cookies are masked
    #[arg(long, value_name = "N", value_parser = values::uint)]
    pub trace: Option<u64>,
}

/// `--io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Io {
    /// The raw ring where the kernel allows it, else epoll, and why is said on stderr
    Auto,
    /// The raw ring (io_uring), or an error
    Uring,
    /// The monoio runtime on io_uring, or on epoll where the kernel forbids that
    Monoio,
    /// The monoio runtime on epoll
    Epoll,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MachineFormat {
    /// One object with everything
    Json,
    /// One flat line a run, the fields of loadgen-rs
    Jsonl,
    /// The same in columns, without counts by status and histograms
    Csv,
    /// The time series as an HdrHistogram log
    Hlog,
    /// Verdict, thresholds and checks as JUnit XML
    Junit,
}

/// `--compat-output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompatOutput {
    /// Up to 1.68
    Classic,
    /// 1.69
    #[value(name = "1.69")]
    V1_69,
    /// 1.70 and later
    #[value(name = "1.70")]
    V1_70,
}

/// Why there is nothing to dispatch.
pub enum Stop {
    /// Help or version: the answer.
    Said(String),
    /// A mistake.
    Wrong(Failure),
}

/// Reads the arguments of the process.
pub fn parse(persona: Persona) -> Result<Cli, Stop> {
    match persona {
        Persona::Loadgen => parse_from(std::env::args_os()),
        Persona::H2load => {
            let words = strict::written_out(std::env::args_os().skip(1)).map_err(Stop::Wrong)?;
            parse_as_h2load(words)
        }
    }
}

/// Only what h2load has is accepted and shown.
fn parse_as_h2load(words: Vec<std::ffi::OsString>) -> Result<Cli, Stop> {
    let command = Cli::command()
        .name("h2load")
        .override_usage("h2load [OPTIONS]... [URI]...")
        .about("loadgen under the name of h2load: its options, its text, its exit codes")
        .after_help(
            "SIZE is an integer and K, M or G. DUR is an integer and h, m, s or ms; seconds without a unit.\n\
             LOADGEN_COMPAT_OUTPUT=classic, 1.69 or 1.70 in the environment chooses the text.",
        )
        .disable_help_subcommand(true)
        .mut_args(|arg| {
            let known = arg.get_long().is_none_or(strict::knows);
            arg.hide(!known)
        })
        .mut_subcommands(|command| command.hide(true));
    let matches = command.try_get_matches_from(words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp => Stop::Said(answer(&error)),
        ErrorKind::DisplayVersion => Stop::Said(version::as_h2load()),
        _ => Stop::Wrong(Failure::of_arguments(&error, &Cli::command())),
    })?;
    of_matches(&matches)
}

fn parse_from(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, Stop> {
    let matches = Cli::command().try_get_matches_from(args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Said(answer(&error)),
        _ => Stop::Wrong(Failure::of_arguments(&error, &Cli::command())),
    })?;
    of_matches(&matches)
}

fn of_matches(matches: &ArgMatches) -> Result<Cli, Stop> {
    let mut cli = Cli::from_arg_matches(matches)
        .map_err(|error| Stop::Wrong(Failure::of_arguments(&error, &Cli::command())))?;
    let typed = |id: &Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    cli.run.typed = Cli::command().get_arguments().map(|arg| arg.get_id().clone()).filter(typed).collect();
    Ok(cli)
}

/// Bold headings on a terminal, plain text elsewhere.
fn answer(error: &clap::Error) -> String {
    let text = error.render();
    let bold = Human::Stdout.takes_colour();
    if bold { text.ansi().to_string() } else { text.to_string() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Arguments in words, for the tests of what they mean.
    pub(crate) fn typed(line: &str) -> Result<Cli, String> {
        let words = std::iter::once("loadgen").chain(line.split_whitespace()).map(Into::into);
        parse_from(words).map_err(|stop| match stop {
            Stop::Said(text) => text,
            Stop::Wrong(failure) => failure.to_string(),
        })
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
