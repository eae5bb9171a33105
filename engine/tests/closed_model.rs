//! The engine against the built-in server: what the client counted is what the server counted.

mod support;

use scenario::plan::*;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

support::drivers::over_all_drivers!();

fn n32(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

struct Load {
    tls: bool,
    h2: bool,
    path: &'static str,
    connections: u32,
    depth: u32,
    share: Share,
    users: u32,
    stop: Stop,
    per_connection: Option<u64>,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            tls: false,
            h2: false,
            path: "/?s=100",
            connections: 4,
            depth: 1,
            share: Share::PerUser,
            users: 4,
            stop: Stop::Iterations(NonZeroU64::new(1000).unwrap()),
            per_connection: None,
        }
    }
}

fn plan(server: &origin::Origin, load: &Load) -> Plan {
    let (scheme, address) = match load.tls {
        true => (proto::Scheme::Https, server.tls_addr().unwrap()),
        false => (proto::Scheme::Http, server.clear_addr().unwrap()),
    };
    let template = proto::Template::new(
        "GET",
        scheme,
        proto::Text::literal("localhost"),
        proto::Text::literal(load.path),
    )
    .unwrap();
    Plan {
        name: "test".into(),
        targets: vec![Target {
            scheme,
            authority: "localhost".into(),
            host: "localhost".into(),
            endpoint: Endpoint::Address(address),
            protocol: None,
        }],
        protocol: match (load.h2, load.tls) {
            (false, _) => Protocol::H1,
            (true, true) => Protocol::Auto,
            (true, false) => Protocol::H2c,
        },
        tls: Tls { verify: false, ..Tls::default() },
        connections: Connections {
            max: n32(load.connections),
            streams: n32(load.depth),
            share: load.share,
            requests_per_connection: load.per_connection.and_then(NonZeroU64::new),
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
            weight: n32(1),
            order: Order::Sequence,
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
            users: n32(load.users),
            load: scenario::plan::Load::Closed,
            stop: load.stop,
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
    }
}

fn run(plan: &Plan, threads: usize) -> engine::stats::RunResult {
    let options =
        engine::Options { threads: NonZeroUsize::new(threads).unwrap(), ..support::drivers::options() };
    let result = engine::run(plan, &options, &engine::Control::default(), &mut |_| {}).unwrap();
    support::drivers::assert_used(&result);
    result
}

#[test]
fn count_mode_is_exact() {
    for (connections, depth, threads, tls, share) in [
        (1, 1, 1, false, Share::PerUser),
        (7, 1, 2, false, Share::PerUser),
        (7, 3, 2, false, Share::PerUser),
        (4, 1, 1, true, Share::PerUser),
        (3, 1, 1, false, Share::Pool),
        (5, 2, 2, true, Share::Pool),
    ] {
        let server = support::built_in();
        let load = Load { connections, depth, tls, share, users: connections * depth, ..Load::default() };
        let result = run(&plan(&server, &load), threads);
        let case = format!("c{connections} m{depth} t{threads} tls {tls} {share:?}");
        assert_eq!(result.totals.books.started, 1000, "{case}");
        assert_eq!(result.totals.books.succeeded, 1000, "{case}: {:?}", result.totals.errors);
        assert_eq!(server.stats().requests, 1000, "{case}");
        assert_eq!(result.totals.response_time.count(), 1000, "{case}");
        assert_eq!(result.totals.status[&200], 1000, "{case}");
        assert_eq!(result.totals.bytes.data, 100_000, "{case}");
        assert_eq!(result.connections.opened, u64::from(connections), "{case}");
        assert_eq!(result.connections.tls.is_some(), tls, "{case}");
    }
}

#[test]
fn count_mode_is_exact_over_h2() {
    for (connections, depth, threads, tls, share) in [
        (1, 1, 1, false, Share::PerUser),
        (4, 8, 1, false, Share::PerUser),
        (3, 250, 2, false, Share::PerUser),
        (4, 8, 2, true, Share::PerUser),
        (2, 16, 1, true, Share::Pool),
    ] {
        let server = support::built_in();
        let users = connections * depth;
        let load = Load { connections, depth, tls, share, users, h2: true, ..Load::default() };
        let result = run(&plan(&server, &load), threads);
        let case = format!("c{connections} m{depth} t{threads} tls {tls} {share:?}");
        assert_eq!(result.totals.books.succeeded, 1000, "{case}: {:?}", result.totals.errors);
        assert_eq!(server.stats().requests, 1000, "{case}");
        assert_eq!(server.stats().connections.h2, u64::from(connections), "{case}");
        assert_eq!(result.totals.bytes.data, 100_000, "{case}");
        assert_eq!(result.connections.application_protocol, Some(if tls { "h2" } else { "h2c" }));
    }
}

#[test]
fn a_pool_smaller_than_its_users_serves_all_of_them() {
    let server = support::built_in();
    let load = Load { connections: 2, users: 50, share: Share::Pool, ..Load::default() };
    let result = run(&plan(&server, &load), 1);
    assert_eq!((result.totals.books.succeeded, server.stats().requests), (1000, 1000));
    assert_eq!(result.connections.opened, 2);
}

#[test]
fn a_run_by_time_balances_and_the_server_saw_what_left() {
    let server = support::built_in();
    let load = Load { stop: Stop::After(Duration::from_millis(300)), ..Load::default() };
    let result = run(&plan(&server, &load), 1);
    let books = result.totals.books;
    assert_eq!(books.started, books.succeeded + books.failed + books.abandoned);
    assert!(books.succeeded > 100, "{books:?}");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.stats().requests, books.started - books.never_sent);
    assert!(result.elapsed >= Duration::from_millis(300) && result.elapsed < Duration::from_secs(5));
}

#[test]
fn one_request_per_connection_opens_one_each() {
    for tls in [false, true] {
        let server = support::built_in();
        let load = Load { per_connection: Some(1), tls, ..Load::default() };
        let result = run(&plan(&server, &load), 1);
        assert_eq!(
            (result.totals.books.succeeded, server.stats().requests),
            (1000, 1000),
            "{:?}",
            result.totals.errors
        );
        assert!((1000..=1004).contains(&result.connections.opened), "{}", result.connections.opened);
    }
}

#[test]
fn large_bodies_are_counted_to_the_byte() {
    for (tls, discard, h2) in [
        (false, false, false),
        (false, true, false),
        (true, false, false),
        (true, false, true),
        (false, false, true),
    ] {
        let server = support::built_in();
        let load = Load {
            tls,
            h2,
            path: "/?s=256k",
            stop: Stop::Iterations(NonZeroU64::new(200).unwrap()),
            ..Load::default()
        };
        let options = engine::Options { discard_body: discard, ..support::drivers::options() };
        let result =
            engine::run(&plan(&server, &load), &options, &engine::Control::default(), &mut |_| {}).unwrap();
        assert_eq!(
            result.totals.books.succeeded, 200,
            "tls {tls} discard {discard} h2 {h2}: {:?}",
            result.totals.errors
        );
        assert_eq!(result.totals.bytes.data, 200 * 256 * 1024);
    }
}

#[test]
fn a_server_that_waits_5_ms_is_measured_as_waiting_5_ms() {
    let server = support::built_in();
    let load = Load {
        path: "/?s=100&t=5ms",
        stop: Stop::Iterations(NonZeroU64::new(100).unwrap()),
        ..Load::default()
    };
    let result = run(&plan(&server, &load), 1);
    assert!(result.totals.service_time.min_ns() >= 5_000_000);
    assert!(result.totals.service_time.quantile_ns(0.5) < 50_000_000);
}

#[test]
fn a_closed_port_is_one_clear_message() {
    let server = support::built_in();
    let mut plan = plan(&server, &Load::default());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    plan.targets[0].endpoint = Endpoint::Address(closed);
    let error = engine::run(&plan, &support::drivers::options(), &engine::Control::default(), &mut |_| {})
        .unwrap_err();
    assert!(error.0.contains("refused") && error.0.contains(&closed.to_string()), "{error}");
}

#[test]
fn a_request_timeout_fails_the_request_and_the_run_goes_on() {
    let server = support::built_in();
    let load = Load {
        path: "/?s=100&t=300ms",
        stop: Stop::Iterations(NonZeroU64::new(8).unwrap()),
        ..Load::default()
    };
    let mut plan = plan(&server, &load);
    plan.timeouts.request = Some(Duration::from_millis(50));
    let result = run(&plan, 1);
    let books = result.totals.books;
    assert_eq!((books.started, books.failed, books.failed_timeout), (8, 8, 8), "{:?}", result.totals.errors);
}

#[test]
fn resets_and_closes_balance() {
    for path in ["/fault/close", "/fault/reset", "/fault/partial?s=1000", "/fault/random-reset?p=0.05"] {
        let server = support::built_in();
        let load = Load { path, stop: Stop::Iterations(NonZeroU64::new(200).unwrap()), ..Load::default() };
        let result = run(&plan(&server, &load), 1);
        let books = result.totals.books;
        assert_eq!(books.started, 200, "{path}");
        assert_eq!(books.started, books.succeeded + books.failed, "{path}");
        assert!(books.failed > 0, "{path}");
        assert_eq!(
            server.stats().requests,
            books.started - books.never_sent + books.retried,
            "{path}: {books:?}"
        );
    }
}

#[test]
fn the_time_of_abandoned_requests_is_kept() {
    let server = support::built_in();
    // Nobody gets an answer: each user has one request from the start of the phase to its end.
    let load = Load { path: "/?t=100s", stop: Stop::After(Duration::from_millis(300)), ..Load::default() };
    let options = support::drivers::options();
    let result =
        engine::run(&plan(&server, &load), &options, &engine::Control::default(), &mut |_| {}).unwrap();
    let t = &result.totals;
    assert_eq!((t.books.started, t.books.abandoned), (4, 4), "{t:?}");
    assert!(t.abandoned_time > 2 * result.elapsed && t.abandoned_time <= 4 * result.elapsed, "{t:?}");
}
