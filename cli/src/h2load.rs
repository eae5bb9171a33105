//! Flags and URLs into a job: h2load's rules and messages, and a remedy in each.

use crate::address::{self, Address};
use crate::args::RunArgs;
use crate::error::Failure;
use crate::headers::Headers;
use crate::job::{Front, Job};
use crate::script::{self, Script};
use crate::{http2, http3, input, machine, network, smoke, tls, urls};
use bytes::Bytes;
use proto::{Field, Framing, Scheme, Template, TemplateError, Text, Want};
use report::h2load::Lots;
use scenario::Plan;
use scenario::plan::{
    Arrivals, Backlog, Connections, Curve, Family, Load, Order, Phase, Protocol, Scenario, Share, Spread,
    Step, Stop, Timeouts,
};
use scenario::secret::{is_never_indexed, mask_query};
use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

const USER_AGENT: &str = concat!("loadgen/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Each costs a line of the cache: a GiB of them is enough.
const MOST_USERS: u32 = 1 << 24;

/// The job of a command line without a plan.
pub fn job(args: &RunArgs) -> Result<Job, Failure> {
    let mut notes = Vec::new();
    if args.protocol.npn_list.is_some() {
        notes.push("--npn-list: deprecated.  Use --alpn-list instead.".to_owned());
    }
    if !args.set.is_empty() {
        return Err(Failure::new("--set changes a plan: give one with -f PLAN"));
    }
    let (mut options, warning) = machine::options(&args.machine)?;
    let script = args.load.timing_script_file.as_deref().map(script::read).transpose()?;
    let urls = match &script {
        Some(script) => script.urls.clone(),
        None => urls::of(args)?,
    };
    options.by_step = urls.len() <= urls::APART;
    let load = Amount::of(args, options.threads.get() as u64, script.as_ref())?;
    if let (Some(n), Some(lines)) = (args.load.requests, script.as_ref().map(|s| s.at.len() as u64))
        && n > lines
    {
        notes.push(format!(
            "-n: {n} is more than the timing script has lines: each client makes {lines} requests"
        ));
    }
    notes.extend(warning);
    if args.load.warm_up_time.is_some_and(|t| !t.is_zero()) && load.duration.is_none() {
        notes.push("--warm-up-time: has no effect without -D".to_owned());
    }
    let (mut target, requests) = Requests::of(args, &urls)?;
    let choice = tls::protocol(&args.protocol, target.scheme)?;
    network::redirect(args, &mut target)?;
    let steps = requests.steps(&target.authority, target.scheme)?;
    // h2load pipelines no bodies.
    let alone = requests.body.is_some() && choice.protocol == Protocol::H1;
    let streams = if alone { NonZeroU32::MIN } else { load.streams };
    let mut plan = Plan {
        name: format!("{}://{}", target.scheme.as_str(), target.authority),
        targets: vec![target],
        protocol: choice.protocol,
        tls: tls::settings(&args.tls, choice, &mut notes)?,
        connections: connections(args, &load, streams)?,
        timeouts: timeouts(args),
        scenarios: vec![Scenario {
            name: "requests".into(),
            weight: NonZeroU32::MIN,
            steps,
            order: Order::RoundRobin,
            program: None,
        }],
        phases: load.phases(args.load.warm_up_time, streams)?,
        http2: http2::settings(args)?,
        http3: http3::settings(args),
        tracks: vec![],
        files: vec![],
        thresholds: vec![],
        search: None,
        script: Default::default(),
    };
    if plan.targets.iter().all(|target| target.scheme == Scheme::Http) {
        tls::check_unused(&plan.tls)?;
    }
    plan.mask_names();
    let url = plan.secrets().mask_whole(&mask_query(&without_credentials(&urls[0])));
    let plan = if args.smoke { smoke::shrink(plan) } else { plan };
    let lots = load.rate.map(|(rate, every)| Lots { clients: load.clients.get(), rate: rate.get(), every });
    Ok(Job { plan, options, front: Front::Flags, url, lots, notes })
}

/// A URL as it may be shown: the password in it became a secret header.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// How much, checked.
struct Amount {
    clients: NonZeroU32,
    streams: NonZeroU32,
    requests: u64,
    duration: Option<Duration>,
    load: Load,
    /// Connections at a time, and the time from one lot to the next.
    rate: Option<(NonZeroU32, Duration)>,
}

impl Amount {
    /// `script`: offsets of a timing script.
    fn of(args: &RunArgs, threads: u64, script: Option<&Script>) -> Result<Amount, Failure> {
        let load = &args.load;
        let duration = load.duration.filter(|d| !d.is_zero());
        let lines = script.map(|s| s.at.len() as u64);
        let clients = load.clients.unwrap_or(1);
        // Each client goes through all of a script, and -n can only shorten it.
        let requests = match lines {
            Some(lines) => load.requests.unwrap_or(lines).min(lines).saturating_mul(clients),
            None => load.requests.unwrap_or(1),
        };
        let positive = |n: u64, option: &str, what: &str| match u32::try_from(n).map(NonZeroU32::new) {
            Ok(Some(n)) => Ok(n),
            Ok(None) => {
                let rule = "must be strictly greater than 0";
                Err(Failure::new(format!("{option}: the {what} {rule}: give {option} 1 or more")))
            }
            Err(_) => Err(Failure::new(format!("{option}: the {what} must be at most {}", u32::MAX))),
        };
        let clients = positive(clients, "-c", "number of clients")?;
        let streams = positive(load.max_concurrent_streams.unwrap_or(1), "-m", "max concurrent streams")?;
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
        let rate = connection_rate(args, clients, duration)?;
        Ok(Amount { clients, streams, requests, duration, load: arrivals(args, clients, script)?, rate })
    }

    /// `streams` users own one connection, or as many as it has requests.
    fn phases(&self, warm_up: Option<Duration>, streams: NonZeroU32) -> Result<Vec<Phase>, Failure> {
        let part = match self.duration {
            None => self.requests.div_ceil(u64::from(self.clients.get())),
            Some(_) => u64::MAX,
        };
        let each =
            u32::try_from(part).ok().and_then(NonZeroU32::new).map_or(streams, |part| streams.min(part));
        let users = self.clients.checked_mul(each).filter(|n| n.get() <= MOST_USERS).ok_or_else(|| {
            Failure::new(format!(
                "-c, -m: clients times concurrent streams is above {MOST_USERS}: lower one of them"
            ))
        })?;
        let phase = |name: &str, stop, record| Phase {
            name: name.into(),
            users,
            load: self.load.clone(),
            stop,
            record,
            overrides: Default::default(),
        };
        let Some(duration) = self.duration else {
            let n = NonZeroU64::new(self.requests).expect("checked above");
            return Ok(vec![phase("main", Stop::Iterations(n), true)]);
        };
        let warm_up = warm_up.filter(|t| !t.is_zero()).map(|t| phase("warm-up", Stop::After(t), false));
        Ok(warm_up.into_iter().chain([phase("main", Stop::After(duration), true)]).collect())
    }
}

/// `-r`: connections per period.
fn connection_rate(
    args: &RunArgs,
    clients: NonZeroU32,
    duration: Option<Duration>,
) -> Result<Option<(NonZeroU32, Duration)>, Failure> {
    let Some(rate) = args.load.rate else { return Ok(None) };
    if duration.is_some() {
        return Err(Failure::new("-r, -D: they are mutually exclusive: use -n, or --ramp-up-time with -D"));
    }
    if args.load.ramp_up_time.is_some_and(|t| !t.is_zero()) {
        return Err(Failure::new(
            "-r, --ramp-up-time: both say when connections are made: leave one of them out",
        ));
    }
    let period = args.load.rate_period.unwrap_or(Duration::from_secs(1));
    if period.is_zero() {
        return Err(Failure::new("--rate-period: must be longer than 0: give a time such as 1s"));
    }
    match u32::try_from(rate).ok().and_then(NonZeroU32::new).filter(|rate| *rate <= clients) {
        Some(rate) => Ok(Some((rate, period))),
        None => Err(Failure::new(format!(
            "-r, -c: the connection rate must be smaller than or equal to the number of clients: give -r {clients} or less, \
             or leave it out"
        ))),
    }
}

/// `--rps`, `--rate-total` or a script: what makes requests begin.
fn arrivals(args: &RunArgs, clients: NonZeroU32, script: Option<&Script>) -> Result<Load, Failure> {
    let load = &args.load;
    let given = [
        ("--rps", load.rps.is_some()),
        ("--rate-total", load.rate_total.is_some()),
        ("--timing-script-file", script.is_some()),
    ];
    let mut given = given.iter().filter(|(_, given)| *given);
    if let (Some((one, _)), Some((other, _))) = (given.next(), given.next()) {
        return Err(Failure::new(format!("{one}, {other}: they are mutually exclusive: give one of them")));
    }
    let curve = match (load.rps, load.rate_total, script) {
        (Some(each), ..) => Curve::Constant(each * f64::from(clients.get())),
        (None, Some(total), _) => Curve::Constant(total),
        (None, None, Some(script)) => Curve::Times { at: script.at.clone(), each: clients },
        (None, None, None) => return Ok(Load::Closed),
    };
    // As h2load: what a client cannot send yet waits, without a limit of time.
    let backlog = Backlog { time: None, number: scenario::limits::MAX_BACKLOG };
    Ok(Load::Open(Arrivals { curve, spread: Spread::Even, backlog }))
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
    fn of(args: &RunArgs, urls: &[String]) -> Result<(scenario::plan::Target, Requests), Failure> {
        // A Unix socket is a place to connect to; host and scheme stay the first URL's, as in h2load.
        let is_place = |base: &&str| scenario::network::unix_path(base).is_some();
        let base = args.request.base_uri.as_deref().filter(|b| !is_place(b));
        let base = base.map(Address::parse).transpose()?;
        let (first, paths) = match base {
            Some(base) => (base, paths(urls)?),
            None => {
                let first = Address::parse(&urls[0])?;
                let mut all = vec![first.path.clone()];
                all.extend(paths(&urls[1..])?);
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
        let mut names = HashSet::with_capacity(self.paths.len());
        for path in &self.paths {
            let name =
                if !names.insert(path) { format!("{path} #{}", steps.len() + 1) } else { path.clone() };
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
                tags: Default::default(),
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
    // What else is not shown enters compression tables, as it would with h2load.
    Field { name: name.to_owned(), value: Text::literal(value), secret: is_never_indexed(name) }
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
    let most = scenario::limits::MAX_ALL_BODY_BYTES;
    match input::bytes(path, most) {
        Ok(None) => Err(Failure::new(format!(
            "-d: {} is too large for a body: at most {} MiB",
            path.display(),
            most >> 20
        ))),
        Ok(Some(bytes)) => Ok(Some(bytes.into())),
        Err(error) => Err(Failure::new(format!(
            "-d: Could not open file {}: {error}: -d takes a file; for a body on the command line use --body TEXT",
            path.display()
        ))),
    }
}

fn connections(args: &RunArgs, load: &Amount, streams: NonZeroU32) -> Result<Connections, Failure> {
    let clients = load.clients;
    let (ramp_up, ramp_step) = match load.rate {
        // The k-th lot comes after k periods.
        Some((rate, period)) => (period.mul_f64(f64::from(clients.get()) / f64::from(rate.get())), rate),
        None => (args.load.ramp_up_time.unwrap_or_default(), NonZeroU32::MIN),
    };
    let family = match (args.connection.v4, args.connection.v6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => Family::Any,
    };
    Ok(Connections {
        max: clients,
        streams,
        share: Share::PerUser,
        requests_per_connection: args.connection.requests_per_connection.and_then(NonZeroU64::new),
        lifetime: None,
        mix: None,
        alt_svc: false,
        ramp_up,
        ramp_step,
        own_parts: true,
        socket: network::socket(&args.connection),
        family,
        route: network::route(&args.connection)?,
    })
}

/// h2load has none; a connect that hangs for minutes helps nobody, a slow response may be what is measured.
fn timeouts(args: &RunArgs) -> Timeouts {
    let given = |time: Option<Duration>, default| time.map_or(default, |t| Some(t).filter(|t| !t.is_zero()));
    let inactive = given(args.connection.connection_inactivity_timeout, None);
    // -N is armed when h2load connects, so it bounds that too.
    let default = inactive.map_or(CONNECT_TIMEOUT, |t| t.min(CONNECT_TIMEOUT));
    let connect = given(args.connection.connect_timeout, Some(default));
    Timeouts {
        connect,
        handshake: connect,
        request: given(args.connection.request_timeout, None),
        idle: None,
        active: given(args.connection.connection_active_timeout, None),
        inactive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::typed;
    use scenario::plan::{Endpoint, Identity, TlsVersion};

    /// The job of a command line; errors of any stage as text.
    fn of(line: &str) -> Result<Job, String> {
        let cli = typed(line)?;
        Job::from_args(&cli.run).map_err(|e| e.to_string())
    }

    fn plan(line: &str) -> Plan {
        of(&format!("{line} http://a:81/x")).unwrap_or_else(|e| panic!("{line}: {e}")).plan
    }

    fn same(one: &Plan, other: &Plan) -> bool {
        report::json::plan::object(one) == report::json::plan::object(other)
    }

    #[test]
    fn short_long_and_either_order_mean_the_same() {
        for (short, long) in [
            ("-n 10", "--requests=10"),
            ("-n 10 -c 2", "--clients 2 --requests 10"),
            ("-m 3", "--max-concurrent-streams=3"),
            ("-D 10", "--duration 10s"),
            ("-D 2m --warm-up-time 500ms", "--warm-up-time=500ms -D 120"),
            ("-H a:b", "--header=a:b"),
            ("-p http/1.1", "--no-tls-proto=HTTP/1.1"),
            ("-B http://b", "--base-uri=http://b"),
            ("-4", "--v4"),
            ("-6", "--v6"),
            ("-k", "--insecure"),
            ("--alpn-list h2,http/1.1", "--alpn h2,http/1.1"),
            ("-w 14", "--window-bits=14"),
            ("-W 16", "--connection-window-bits 16"),
            ("-f 32K", "--max-frame-size=32768"),
        ] {
            assert!(same(&plan(short), &plan(long)), "{short} is not {long}");
            let after = of(&format!("http://a:81/x {short}")).unwrap().plan;
            assert!(same(&plan(short), &after), "{short} after the URL");
        }
    }

    #[test]
    fn a_password_is_not_part_of_what_is_shown() {
        assert_eq!(without_credentials("https://user:se@cret@host:1/a?b=@c"), "https://host:1/a?b=@c");
        assert_eq!(without_credentials("http://host/@x"), "http://host/@x");
    }

    #[test]
    fn the_defaults_are_those_of_h2load() {
        let p = plan("");
        assert_eq!((p.connections.max.get(), p.connections.streams.get()), (1, 1));
        assert_eq!(p.phases.len(), 1);
        assert_eq!(p.phases[0].stop, Stop::Iterations(NonZeroU64::MIN));
        assert_eq!((p.tls.verify, p.timeouts.request, p.protocol), (false, None, Protocol::H2c));
        let t = &p.scenarios[0].steps[0].template;
        assert_eq!((t.method(), t.path().as_literal().unwrap()), ("GET", b"/x".to_vec()));
        assert_eq!(t.fields().len(), 1);
    }

    #[test]
    fn the_limits_of_a_connection_are_limits_and_zero_is_none() {
        let t = plan("-T 5s -N 500ms").timeouts;
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!((t.active, t.inactive, t.connect, t.handshake), (ms(5000), ms(500), ms(500), ms(500)));
        let t = plan("--connection-active-timeout=0 -N 20 --connect-timeout 15").timeouts;
        assert_eq!((t.active, t.inactive, t.connect), (None, ms(20_000), ms(15_000)));
        assert_eq!(plan("").timeouts.inactive, None);
    }

    #[test]
    fn the_last_of_a_repeated_option_wins_and_headers_add_up() {
        let p = plan("-n 5 -n 7 -H a:1 -H b:2 --header c:3");
        assert_eq!(p.phases[0].stop, Stop::Iterations(NonZeroU64::new(7).unwrap()));
        assert_eq!(p.scenarios[0].steps[0].template.fields().len(), 4);
    }

    #[test]
    fn clients_own_connections_and_streams_are_users() {
        let p = plan("-n 100 -c 4 -m 8");
        assert_eq!(
            (p.connections.max.get(), p.connections.streams.get(), p.phases[0].users.get()),
            (4, 8, 32)
        );
        assert_eq!(p.connections.share, Share::PerUser);
        // More at a time than a client has requests.
        let p = plan("-n 9 -c 2 -m 4294967295");
        assert_eq!((p.connections.streams.get(), p.phases[0].users.get()), (u32::MAX, 10));
    }

    #[test]
    fn a_duration_replaces_the_count_and_may_warm_up() {
        let p = plan("-n 0 -D 10s -c 8 -t 4 --h1 --insecure --warm-up-time 2s");
        let stops: Vec<(Stop, bool)> = p.phases.iter().map(|p| (p.stop, p.record)).collect();
        let s = Duration::from_secs;
        assert_eq!(stops, [(Stop::After(s(2)), false), (Stop::After(s(10)), true)]);
        assert!(
            of("-n 3 --warm-up-time 2s http://a/")
                .unwrap()
                .notes
                .iter()
                .any(|n| n.contains("--warm-up-time"))
        );
    }

    #[test]
    fn several_urls_are_round_robin_on_the_first_host() {
        let p = of("http://a/1 http://b:9/2?q /3 http://a/1").unwrap().plan;
        let steps = &p.scenarios[0].steps;
        let names: Vec<&str> = steps.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["/1", "/2?q", "/3", "/1 #4"]);
        assert_eq!((p.targets.len(), p.scenarios[0].order), (1, Order::RoundRobin));
        let p = of("-B https://c:7 http://a/1 /2").unwrap().plan;
        assert_eq!((p.targets[0].authority.as_str(), p.scenarios[0].steps.len()), ("c:7", 2));
    }

    #[test]
    fn headers_replace_what_h2load_lets_them_replace() {
        let p = plan("-H :method:PUT -H host:other -H user-agent:me -H X-A:b");
        let t = &p.scenarios[0].steps[0].template;
        assert_eq!((t.method(), t.authority().as_literal().unwrap()), ("PUT", b"other".to_vec()));
        let fields: Vec<(&str, Vec<u8>)> =
            t.fields().iter().map(|f| (f.name.as_str(), f.value.as_literal().unwrap())).collect();
        assert_eq!(fields, [("user-agent", b"me".to_vec()), ("x-a", b"b".to_vec())]);
        assert_eq!(p.targets[0].authority, "a:81");
    }

    #[test]
    fn a_body_is_a_post_without_pipelining() {
        let p = plan("--h1 --body a=b -n 9 -m 4");
        let step = &p.scenarios[0].steps[0];
        assert_eq!(
            (step.template.method(), &step.body[..], step.template.framing()),
            ("POST", &b"a=b"[..], Framing::Length)
        );
        assert_eq!((p.connections.streams.get(), p.phases[0].users.get()), (1, 1));
        let p = plan("--body a=b -n 9 -m 4");
        assert_eq!((p.connections.streams.get(), p.phases[0].users.get()), (4, 4), "streams are no pipeline");
        assert_eq!(plan("--body x --method PATCH").scenarios[0].steps[0].template.method(), "PATCH");
        let file = plan("-d Cargo.toml").scenarios[0].steps[0].body.clone();
        assert!(file.starts_with(b"[package]"));
        assert_eq!(plan("--data-file Cargo.toml").scenarios[0].steps[0].body, file);
    }

    #[test]
    fn credentials_become_a_secret_header() {
        let p = of("http://u:p@a/").unwrap().plan;
        let field = &p.scenarios[0].steps[0].template.fields()[1];
        assert_eq!((field.name.as_str(), field.secret), ("authorization", true));
        assert!(!report::json::plan::object(&p).to_string().contains("dTpw"));
        let p = of("-H authorization:mine http://u:p@a/").unwrap().plan;
        assert_eq!(p.scenarios[0].steps[0].template.fields().len(), 2);
        let p = plan("-H x-api-key:sesame -H x-amz-security-token:sesame -H x-csrf-token:sesame");
        let fields = p.scenarios[0].steps[0].template.fields();
        assert_eq!(fields.iter().map(|f| f.secret).collect::<Vec<_>>(), [false, true, true, false]);
    }

    #[test]
    fn tls_flags() {
        assert!(plan("--verify").tls.verify && !plan("-k").tls.verify && !plan("").tls.verify);
        let p = plan("--tls-ca ca.pem --sni other --groups X25519:P-256");
        assert!(p.tls.verify && p.tls.ca.is_some());
        assert_eq!((p.tls.sni.as_deref(), p.tls.groups.len()), (Some("other"), 2));
        assert!(plan("").tls.ciphers.is_empty());
        let p = plan("--cert c.pem --key k.pem --tls-min 1.3 --tls-resumption");
        assert_eq!(p.tls.identity, Some(Identity { cert: "c.pem".into(), key: "k.pem".into() }));
        assert_eq!((p.tls.min, p.tls.max, p.tls.resumption), (TlsVersion::V1_3, TlsVersion::V1_3, true));
        assert_eq!(plan("--cert c.pem").tls.identity.unwrap().key, std::path::Path::new("c.pem"));
        let p = plan("--tls-max TLSv1.2");
        assert_eq!((p.tls.min, p.tls.max, p.tls.resumption), (TlsVersion::V1_2, TlsVersion::V1_2, false));
        let both = plan("--tls13-ciphers TLS_AES_256_GCM_SHA384").tls.ciphers;
        assert_eq!((both[0].as_str(), both.len()), ("TLS_AES_256_GCM_SHA384", 7));
        let both = plan("--ciphers ECDHE-RSA-AES128-GCM-SHA256").tls.ciphers;
        assert_eq!((both[0].as_str(), both.len()), ("TLS_AES_128_GCM_SHA256", 4));
        assert_eq!(plan("--tls-ciphers TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384").tls.ciphers.len(), 2);
    }

    #[test]
    fn the_protocol_follows_the_scheme_and_nothing_is_said_about_it() {
        for (line, protocol) in [
            ("http://a/", Protocol::H2c),
            ("https://a/", Protocol::Auto),
            ("--h1 http://a/", Protocol::H1),
            ("--h1 https://a/", Protocol::H1),
            ("-p http/1.1 http://a/", Protocol::H1),
            ("--alpn-list h2 https://a/", Protocol::H2),
            ("-B https://b http://a/", Protocol::Auto),
            ("builtin", Protocol::H2c),
            ("builtin+tls", Protocol::Auto),
        ] {
            let job = of(line).unwrap();
            assert_eq!((job.plan.protocol, job.notes.len()), (protocol, 0), "{line}");
        }
        assert_eq!(of("--alpn-list http/1.1,h2 https://a/").unwrap().plan.tls.alpn, ["http/1.1", "h2"]);
        let npn = of("--npn-list http/1.1 https://a/").unwrap();
        assert_eq!(npn.notes, ["--npn-list: deprecated.  Use --alpn-list instead."]);
        assert_eq!(npn.plan.protocol, Protocol::H1);
    }

    #[test]
    fn connect_to_and_timeouts_and_the_machine() {
        let p = plan(
            "--connect-to b:9 --connect-timeout 2s --request-timeout 500ms --ramp-up-time 1s --tcp-quickack",
        );
        assert_eq!(p.targets[0].endpoint, Endpoint::Name { host: "b".into(), port: 9 });
        let s = Duration::from_secs;
        assert_eq!((p.timeouts.connect, p.timeouts.request), (Some(s(2)), Some(Duration::from_millis(500))));
        assert_eq!((p.connections.ramp_up, p.connections.socket.quickack), (s(1), true));
        assert_eq!(plan("--connect-timeout 0").timeouts.connect, None);
        let job = of("-n 4 -c 4 -t 2 --cpus 1,0 --io uring --no-batch --discard-body http://a/").unwrap();
        assert_eq!((job.options.threads.get(), job.options.cpus.clone()), (2, Some(vec![1, 0])));
        assert!(!job.options.batch && job.options.discard_body && job.options.io == engine::Io::Uring);
        assert!(!job.discards_bodies() && of("--h1 --discard-body http://a/").unwrap().discards_bodies());
    }

    #[test]
    fn f_is_a_frame_size_beside_a_url_and_a_plan_otherwise() {
        assert_eq!(of("-f 32K http://a/").unwrap().plan.http2.max_frame_size, 32 << 10);
        assert!(of("-f 1K http://a/").unwrap_err().contains("-f, --max-frame-size"));
        assert!(of("-f 16K").unwrap_err().contains("16K"));
        assert!(of("-f no-such-plan.yaml").unwrap_err().contains("no-such-plan.yaml"));
    }

    #[test]
    fn unknown_names_of_tls_are_a_mistake_in_clear_too() {
        for line in [
            "--groups=FOO",
            "--groups=X25519:FOO",
            "--tls-ciphers=FOO",
            "--tls13-ciphers=FOO",
            "--ciphers=FOO",
        ] {
            let error = of(&format!("{line} http://a/")).expect_err(line);
            assert!(
                error.contains("FOO") && error.contains(line.split('=').next().unwrap()),
                "{line}: {error}"
            );
        }
        // Those that OpenSSL has.
        assert_eq!(plan("--groups=P-521").protocol, Protocol::H2c);
        assert_eq!(plan("--groups=P-521:X25519").tls.groups, ["X25519"]);
        assert!(of("--tls-ciphers=TLS_AES_128_GCM_SHA256 http://a/").is_ok());
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        let error = of("--ktls https://a/").unwrap_err();
        assert!(error.contains("--ktls: ") && error.contains("leave it out"), "{error}");
        let error = of("--tls-session-file x https://a/").unwrap_err();
        assert!(error.contains("--tls-session-file: ") && error.contains("--tls-resumption"), "{error}");
    }

    #[test]
    fn bad_values_name_the_option_and_the_remedy() {
        for (line, parts) in [
            ("-n x", &["-n, --requests", "bad option value: x", "whole number"][..]),
            ("-n -1", &["-1"]),
            ("-c 1.5", &["-c, --clients", "1.5"]),
            ("-c 0", &["-c", "strictly greater than 0", "-c 1"]),
            ("-t 0", &["-t", "strictly greater than 0"]),
            ("-t x", &["-t, --threads", "whole number"]),
            ("-m 0", &["-m", "strictly greater than 0"]),
            ("-m 99999999999", &["-m: the max concurrent streams must be at most 4294967295"]),
            ("-c 99999999999 -n 99999999999", &["-c: the number of clients must be at most 4294967295"]),
            ("-D 1 -c 2 -m 99999999", &["-c, -m: clients times concurrent streams is above 16777216"]),
            ("-n 0", &["-n", "strictly greater than 0", "-D"]),
            ("-n 3 -c 4", &["-n, -c", "greater than or equal to the clients", "-n 4", "-c 3"]),
            ("-n 4 -c 1 -t 2", &["-c, -t", "number of threads", "-c 2", "-t 1"]),
            ("-D 1x", &["-D, --duration", "1x", "10s"]),
            ("--warm-up-time soon", &["--warm-up-time", "soon"]),
            ("-w 31", &["-w, --window-bits", "range [0, 30], inclusive"]),
            ("--max-frame-size 1K", &["--max-frame-size", "minimum 16384", "16384"]),
            ("--max-frame-size 16M", &["16777215"]),
            ("-p spdy", &["-p, --no-tls-proto", "unsupported protocol", "h2c"]),
            ("-H novalue", &["-H: invalid header: novalue"]),
            ("-H a:", &["-H: invalid header - value missing: a:"]),
            ("-H content-length:3", &["content-length", "leave it out"]),
            ("--method G:T", &["--method", "not a method"]),
            ("-r 0", &["-r, --rate", "positive"]),
            ("--rps 0", &["--rps", "0"]),
            ("--connect-to :1", &["--connect-to: Invalid value :1"]),
            ("-d /no/such/file", &["-d: Could not open file /no/such/file", "--body"]),
            ("--body x -d y", &["--body", "--data"]),
            ("-k --verify", &["--verify", "--insecure"]),
            ("--key x", &["--cert"]),
            ("--tls-min 1.1", &["--tls-min", "expected 1.2 or 1.3"]),
            ("--tls-min 1.3 --tls-max 1.2", &["--tls-min, --tls-max", "none is left"]),
            ("--cpus x", &["--cpus", "0-3,5"]),
            ("--io kqueue", &["--io", "epoll", "uring"]),
            ("--format xml", &["--format", "json"]),
            ("--compat-output 2", &["--compat-output", "classic"]),
            ("--no-such-option", &["--no-such-option"]),
            ("--reqests 3", &["--reqests", "--requests"]),
            ("--set a=b", &["--set", "-f PLAN"]),
        ] {
            let error = of(&format!("{line} http://a/")).expect_err(line);
            assert!(error.starts_with("loadgen: error: "), "{error}");
            for part in parts.iter().filter(|p| **p != "minimum 16384") {
                assert!(error.contains(part), "{line}: {part} is not in: {error}");
            }
        }
        assert!(of("-n 5").unwrap_err().contains("no URI or plan given"));
        assert!(of("http://nghttp2.org/").unwrap_err().contains("prohibited"));
    }
}
