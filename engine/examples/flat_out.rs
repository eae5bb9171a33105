//! A bare closed loop without any front end: `flat_out URL-AUTHORITY PATH CONNECTIONS DEPTH SECONDS [h2] [discard] [churn] [nobatch]`.
//! For profiling the engine alone.
#![allow(clippy::print_stdout)]

use scenario::plan::*;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args[i].parse::<u32>().expect("a number");
    let has = |word: &str| args.iter().any(|a| a == word);
    let (scheme, authority) = match args[0].strip_prefix("https://") {
        Some(rest) => (proto::Scheme::Https, rest),
        None => (proto::Scheme::Http, args[0].trim_start_matches("http://")),
    };
    let (host, port) = authority.split_once(':').expect("host:port");
    let one = NonZeroU32::MIN;
    let template =
        proto::Template::new("GET", scheme, proto::Text::literal(authority), proto::Text::literal(&args[1]))
            .expect("a legal request");
    let (connections, depth) = (NonZeroU32::new(number(2)).unwrap(), NonZeroU32::new(number(3)).unwrap());
    let plan = Plan {
        name: "flat out".into(),
        targets: vec![Target {
            scheme,
            authority: authority.into(),
            host: host.into(),
            endpoint: Endpoint::Name { host: host.into(), port: port.parse().unwrap() },
            protocol: None,
        }],
        protocol: match (has("h2"), scheme) {
            (false, _) => Protocol::H1,
            (true, proto::Scheme::Https) => Protocol::H2,
            (true, proto::Scheme::Http) => Protocol::H2c,
        },
        tls: Tls { verify: false, ..Tls::default() },
        connections: Connections {
            max: connections,
            streams: depth,
            share: Share::PerUser,
            requests_per_connection: has("churn").then_some(std::num::NonZeroU64::MIN),
            lifetime: None,
            mix: None,
            ramp_up: Duration::ZERO,
            ramp_step: NonZeroU32::MIN,
            own_parts: false,
            alt_svc: false,
            socket: Socket::default(),
            family: Family::Any,
            route: Route::default(),
        },
        timeouts: Timeouts::default(),
        scenarios: vec![Scenario {
            name: "main".into(),
            weight: one,
            order: Order::RoundRobin,
            program: None,
            steps: vec![Step {
                name: "get".into(),
                target: 0,
                template,
                body: bytes::Bytes::new(),
                checks: vec![],
                timeout: None,
                want: proto::Want::default(),
                tags: Default::default(),
            }],
        }],
        phases: vec![Phase {
            name: "main".into(),
            users: connections.checked_mul(depth).unwrap(),
            load: Load::Closed,
            stop: Stop::After(Duration::from_secs(u64::from(number(4)))),
            record: true,
            overrides: Default::default(),
        }],
        http2: Default::default(),
        http3: Default::default(),
        tracks: vec![],
        files: vec![],
        thresholds: vec![],
        search: None,
        script: Default::default(),
    };
    let options = engine::Options {
        threads: NonZeroUsize::MIN,
        batch: !has("nobatch"),
        discard_body: has("discard"),
        ..engine::Options::default()
    };
    let result = engine::run(&plan, &options, &engine::Control::default(), &mut |event| {
        if let engine::Event::Warning(text) = event {
            eprintln!("{text}");
        }
    })
    .expect("the run starts");
    let (books, us) = (result.totals.books, |q| result.totals.response_time.quantile_ns(q) as f64 / 1e3);
    println!("{:?} {:?} {:?}", result.batching, result.verdict, result.totals.errors);
    println!("p50 {} p99 {} max {} us, cost {:?}", us(0.5), us(0.99), us(1.0), result.cost);
    println!("opened {} lost {}", result.connections.opened, result.connections.lost);
    println!(
        "requests: {0} total, {0} started, {1} done, {2} succeeded",
        books.started,
        books.ended(),
        books.succeeded
    );
}
