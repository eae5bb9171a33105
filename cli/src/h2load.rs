//! Flags and URLs into a job: h2load's rules and messages, and a remedy in each.

use crate::address::{self, Address};
use crate::args::RunArgs;
use crate::error::Failure;
use crate::headers::Headers;
use crate::job::{Front, Job};
use crate::{machine, smoke, tls};
use bytes::Bytes;
use proto::{Field, Framing, Scheme, Template, TemplateError, Text, Want};
use scenario::Plan;
use scenario::plan::{Connections, Family, Order, Phase, Scenario, Share, Socket, Step, Stop, Timeouts};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

const USER_AGENT: &str = concat!("loadgen/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The job of a command line without a plan.
pub fn job(args: &RunArgs) -> Result<Job, Failure> {
    let mut notes = Vec::new();
    if args.protocol.npn_list.is_some() {
        notes.push("--npn-list: deprecated.  Use --alpn-list instead.".to_owned());
    }
    if !args.set.is_empty() {
        return Err(Failure::new("--set changes a plan: give one with -f PLAN"));
    }
    let (options, warning) = machine::options(&args.machine)?;
    let load = Load::of(args, options.threads.get() as u64)?;
    notes.extend(warning);
    if args.load.warm_up_time.is_some_and(|t| !t.is_zero()) && load.duration.is_none() {
        notes.push("--warm-up-time: has no effect without -D".to_owned());
    }
    let (mut target, requests) = Requests::of(args)?;
    let choice = tls::protocol(&args.protocol, target.scheme)?;
    notes.extend(choice.note.map(str::to_owned));
    if let Some(text) = &args.connection.connect_to {
        address::connect_to(&mut target, text)?;
    }
    let steps = requests.steps(&target.authority, target.scheme)?;
    let streams = if requests.body.is_some() { NonZeroU32::MIN } else { load.streams };
    let plan = Plan {
        name: format!("{}://{}", target.scheme.as_str(), target.authority),
        targets: vec![target],
        protocol: choice.protocol,
        tls: tls::settings(&args.tls),
        connections: connections(args, load.clients, streams),
        timeouts: timeouts(args),
        scenarios: vec![Scenario {
            name: "requests".into(),
            weight: NonZeroU32::MIN,
            steps,
            order: Order::RoundRobin,
        }],
        phases: load.phases(args.load.warm_up_time, streams)?,
        thresholds: vec![],
    };
    let plan = if args.smoke { smoke::shrink(plan) } else { plan };
    Ok(Job { plan, options, front: Front::Flags, url: args.urls[0].clone(), notes })
}

/// How much, checked.
struct Load {
    clients: NonZeroU32,
    streams: NonZeroU32,
    requests: u64,
    duration: Option<Duration>,
}

impl Load {
    fn of(args: &RunArgs, threads: u64) -> Result<Load, Failure> {
        let load = &args.load;
        if args.urls.is_empty() {
            return Err(Failure::new(
                "no URI or plan given: try `loadgen -n 1000 -c 10 http://127.0.0.1:8080/`, `loadgen -f plan.yaml` or \
                 `loadgen --help`",
            ));
        }
        let duration = load.duration.filter(|d| !d.is_zero());
        let (requests, clients) = (load.requests.unwrap_or(1), load.clients.unwrap_or(1));
        let positive = |n: u64, what: &str| {
            let fits = u32::try_from(n).ok().and_then(NonZeroU32::new);
            fits.ok_or_else(|| Failure::new(what))
        };
        let clients = positive(
            clients,
            "-c: the number of clients must be strictly greater than 0 (and at most 4294967295): give -c 1 or more",
        )?;
        let streams = positive(
            load.max_concurrent_streams.unwrap_or(1),
            "-m: the max concurrent streams must be strictly greater than 0: give -m 1 or more",
        )?;
        if requests == 0 && duration.is_none() {
            return Err(Failure::new(
                "-n: the number of requests must be strictly greater than 0 if timing-based test is not being run: give \
                 -n 1 or more, or a time with -D",
            ));
        }
        let clients64 = u64::from(clients.get());
        if duration.is_none() && requests < clients64 {
            return Err(Failure::new(format!(
                "-n, -c: the number of requests must be greater than or equal to the clients: give -n {clients} or more, \
                 or -c {requests} or less"
            )));
        }
        if clients64 < threads {
            return Err(Failure::new(format!(
                "-c, -t: the number of clients must be greater than or equal to the number of threads: give -c {threads} \
                 or more, or -t {clients} or less"
            )));
        }
        Ok(Load { clients, streams, requests, duration })
    }

    /// `streams` users own one connection.
    fn phases(&self, warm_up: Option<Duration>, streams: NonZeroU32) -> Result<Vec<Phase>, Failure> {
        let users = self.clients.checked_mul(streams).ok_or_else(|| {
            Failure::new("-c, -m: clients times concurrent streams is above 4294967295: lower one of them")
        })?;
        let phase = |name: &str, stop, record| Phase { name: name.into(), users, stop, record };
        let Some(duration) = self.duration else {
            let n = NonZeroU64::new(self.requests).expect("checked above");
            return Ok(vec![phase("main", Stop::Iterations(n), true)]);
        };
        let warm_up = warm_up.filter(|t| !t.is_zero()).map(|t| phase("warm-up", Stop::After(t), false));
        Ok(warm_up.into_iter().chain([phase("main", Stop::After(duration), true)]).collect())
    }
}

/// What is requested, not yet as templates.
struct Requests {
    paths: Vec<String>,
    headers: Headers,
    authorization: Option<String>,
    method: Option<String>,
    body: Option<Bytes>,
}

impl Requests {
    fn of(args: &RunArgs) -> Result<(scenario::plan::Target, Requests), Failure> {
        let base = args.request.base_uri.as_deref().map(Address::parse).transpose()?;
        let (first, paths) = match base {
            Some(base) => (base, paths(&args.urls)?),
            None => {
                let first = Address::parse(&args.urls[0])?;
                let mut all = vec![first.path.clone()];
                all.extend(paths(&args.urls[1..])?);
                (first, all)
            }
        };
        if first.target.host == "nghttp2.org" {
            return Err(Failure::new(
                "Using loadgen against public server nghttp2.org should be prohibited: use a server of your own",
            ));
        }
        let requests = Requests {
            paths,
            headers: Headers::parse(&args.request.header)?,
            authorization: first.authorization,
            method: args.request.method.clone(),
            body: body(args)?,
        };
        Ok((first.target, requests))
    }

    fn method(&self) -> &str {
        let default = if self.body.is_some() { "POST" } else { "GET" };
        self.headers.method.as_deref().or(self.method.as_deref()).unwrap_or(default)
    }

    /// One step a URL. Names in results must be unique, URLs may repeat.
    fn steps(&self, authority: &str, scheme: Scheme) -> Result<Vec<Step>, Failure> {
        let mut steps: Vec<Step> = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            let repeated = steps.iter().any(|s| s.name == *path);
            let name = if repeated { format!("{path} #{}", steps.len() + 1) } else { path.clone() };
            let template = self.template(authority, scheme, path).map_err(|e| bad_template(&e))?;
            let body = self.body.clone().unwrap_or_default();
            steps.push(Step {
                name,
                target: 0,
                template,
                body,
                checks: vec![],
                timeout: None,
                want: Want::default(),
            });
        }
        Ok(steps)
    }

    fn template(&self, authority: &str, scheme: Scheme, path: &str) -> Result<Template, TemplateError> {
        let authority = self.headers.authority.as_deref().unwrap_or(authority);
        let scheme = self.headers.scheme.unwrap_or(scheme);
        let mut template =
            Template::new(self.method(), scheme, Text::literal(authority), Text::literal(path))?;
        let agent = self.headers.user_agent.as_deref().unwrap_or(USER_AGENT);
        template = template.field(field("user-agent", agent))?;
        if let Some(value) = self.authorization.as_deref().filter(|_| !self.headers.has("authorization")) {
            template = template.field(field("authorization", value))?;
        }
        for (name, value) in &self.headers.fields {
            template = template.field(field(name, value))?;
        }
        let framing = if self.body.is_some() { Framing::Length } else { Framing::None };
        Ok(template.body(framing, false))
    }
}

fn paths(urls: &[String]) -> Result<Vec<String>, Failure> {
    urls.iter().map(|url| address::path_of(url)).collect()
}

fn field(name: &str, value: &str) -> Field {
    let secret = report::json::plan::is_secret(name);
    Field { name: name.to_owned(), value: Text::literal(value), secret }
}

fn bad_template(error: &TemplateError) -> Failure {
    match error {
        TemplateError::Method(_) => Failure::new(format!("--method: {error}: for example GET or PUT")),
        TemplateError::Reserved(_) => {
            Failure::new(format!("-H: {error}: leave it out; the body's length is known from -d or --body"))
        }
        other => Failure::new(format!("-H: {other}")),
    }
}

/// The body of every request. An empty file is a body of length 0.
fn body(args: &RunArgs) -> Result<Option<Bytes>, Failure> {
    if let Some(text) = &args.request.body {
        return Ok(Some(Bytes::copy_from_slice(text.as_bytes())));
    }
    let Some(path) = &args.request.data else { return Ok(None) };
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) => Err(Failure::new(format!(
            "-d: Could not open file {}: {error}: -d takes a file; for a body on the command line use --body TEXT",
            path.display()
        ))),
    }
}

fn connections(args: &RunArgs, clients: NonZeroU32, streams: NonZeroU32) -> Connections {
    let family = match (args.connection.v4, args.connection.v6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => Family::Any,
    };
    Connections {
        max: clients,
        streams,
        share: Share::PerUser,
        requests_per_connection: None,
        ramp_up: args.load.ramp_up_time.unwrap_or_default(),
        socket: Socket { quickack: args.connection.tcp_quickack },
        family,
    }
}

/// h2load has none; a connect that hangs for minutes helps nobody, a slow response may be what is measured.
fn timeouts(args: &RunArgs) -> Timeouts {
    let given = |time: Option<Duration>, default| time.map_or(default, |t| Some(t).filter(|t| !t.is_zero()));
    let connect = given(args.connection.connect_timeout, Some(CONNECT_TIMEOUT));
    Timeouts {
        connect,
        handshake: connect,
        request: given(args.connection.request_timeout, None),
        idle: None,
    }
}
