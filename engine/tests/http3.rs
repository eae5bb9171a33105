//! HTTP/3 on the engine, against the built-in server's QUIC (other people's) and against servers that are none.

mod support;

use origin::{Config, Origin};
use scenario::plan::{
    Arrivals, Backlog, Curve, Endpoint, Load as PhaseLoad, Mix, Phase, Plan, Protocol, Share, Spread, Stop,
};
use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;
use support::{Load, assert_balanced, built_in, iterations, left, ms, n32, phase, run, run_with, try_run};

support::drivers::over_all_drivers!();

fn load(server: &Origin, stop: Stop) -> Load {
    let address = server.tls_addr().unwrap();
    Load { protocol: Protocol::H3, tls: true, ..Load::on(address, stop) }
}

#[test]
fn count_mode_is_exact() {
    for (connections, streams, threads, share) in [
        (1, 1, 1, Share::PerUser),
        (7, 3, 2, Share::PerUser),
        (3, 10, 1, Share::Pool),
        (16, 8, 2, Share::Pool),
    ] {
        let server = built_in();
        let users = connections * streams;
        let plan = Load { connections, streams, users, share, ..load(&server, iterations(1000)) }.plan();
        let result = run_with(plan, threads, Arc::default()).unwrap();
        let case = format!("c{connections} m{streams} t{threads} {share:?}: {:?}", result.totals.errors);
        assert_eq!(result.totals.books.succeeded, 1000, "{case}");
        assert_eq!(server.stats().requests, 1000, "{case}");
        // All may be done before the last connection is open.
        let opened = result.connections.opened;
        assert!((1..=u64::from(connections)).contains(&opened), "{opened} {case}");
        assert_eq!(result.connections.application_protocol, Some("h3"), "{case}");
        let quic = &result.connections.quic;
        assert!((opened..=u64::from(connections)).contains(&quic.connections), "{case}");
        assert!(
            quic.datagrams_sent > 0 && quic.datagrams_received > 0 && quic.rtt_min.max_ns() > 0,
            "{quic:?}"
        );
    }
}

#[test]
fn bodies_arrive_whole_in_both_directions() {
    let server = built_in();
    let mut plan =
        Load { paths: vec!["/?s=300000", "/?s=0", "/?s=1"], ..load(&server, iterations(60)) }.plan();
    let result = run(plan.clone());
    assert_eq!((result.totals.books.succeeded, result.totals.bytes.data), (180, 60 * 300_001));

    let body = bytes::Bytes::from(vec![b'x'; 100_000]);
    let step = &mut plan.scenarios[0].steps;
    step.truncate(1);
    step[0].template = proto::Template::new(
        "POST",
        proto::Scheme::Https,
        proto::Text::literal("localhost"),
        proto::Text::literal("/echo"),
    )
    .unwrap()
    .body(proto::Framing::Length, false);
    step[0].body = body;
    let result = run(plan);
    assert_eq!((result.totals.books.succeeded, result.totals.bytes.data), (60, 60 * 100_000));
}

#[test]
fn a_connection_per_request_opens_as_many_as_there_are_requests() {
    let server = built_in();
    let mut plan = load(&server, iterations(40)).plan();
    plan.connections.requests_per_connection = NonZeroU64::new(1);
    let result = run(plan);
    assert_eq!((result.totals.books.succeeded, server.stats().requests), (40, 40));
    // One that is opened while there is work may find it taken by the other three.
    let opened = result.connections.opened;
    assert!((40..=43).contains(&opened), "{opened} opened");
    assert_eq!(result.connections.lost, 0, "{:?}", result.connections.errors);
    assert_eq!(result.connections.handshake.count(), opened);
}

#[test]
fn the_open_model_begins_when_the_connections_stand() {
    let server = built_in();
    let backlog = Backlog { time: None, number: 1000 };
    let arrivals = Arrivals { curve: Curve::Constant(100.0), spread: Spread::Even, backlog };
    let open = Phase { load: PhaseLoad::Open(arrivals), ..phase("open", 8, Stop::After(ms(400))) };
    let plan = Plan { phases: vec![open], ..Load { streams: 2, ..load(&server, iterations(1)) }.plan() };
    let result = run(plan);
    let t = &result.totals;
    assert_eq!((t.arrived, t.dropped, t.books.succeeded), (40, 0, 40), "{:?}", t.errors);
    assert_eq!(server.stats().requests, 40);
}

#[test]
fn nobody_listening_is_said_at_once() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = Load { protocol: Protocol::H3, tls: true, ..Load::on(gone, iterations(10)) }.plan();
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains("nobody listens at the server's UDP port"), "{error}");
}

#[test]
fn a_server_that_never_answers_meets_the_handshake_timeout() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut plan =
        Load { protocol: Protocol::H3, tls: true, ..Load::on(silent.local_addr().unwrap(), iterations(10)) }
            .plan();
    plan.timeouts.handshake = Some(ms(200));
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains("no answer within 200ms"), "{error}");
}

#[test]
fn a_certificate_that_is_not_trusted_is_named() {
    let server = built_in();
    let mut plan = load(&server, iterations(10)).plan();
    plan.tls.verify = true;
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains("certificate") || error.contains("trusted"), "{error}");
    assert_eq!(server.stats().requests, 0);
}

#[test]
fn http3_in_clear_does_not_exist() {
    let server = built_in();
    let plan = Load { tls: false, ..load(&server, iterations(10)) }.plan();
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains("https://"), "{error}");
}

/// The server goes away in the middle and another comes to its place: the books balance, and the run goes on.
#[test]
fn a_server_that_is_killed_and_started_again_is_found_again() {
    let first = built_in();
    let address = first.tls_addr().unwrap();
    let mut plan = Load { streams: 4, users: 16, ..load(&first, Stop::After(ms(1500))) }.plan();
    plan.timeouts.request = Some(ms(300));
    plan.timeouts.handshake = Some(ms(300));
    let change = std::thread::spawn(move || {
        std::thread::sleep(ms(300));
        let before = first.stats().requests;
        drop(first);
        let again = || origin::start(Config { clear: None, tls: Some(address), ..Config::default() });
        let second = (0..50).find_map(|_| {
            std::thread::sleep(ms(20));
            again().ok()
        });
        (before, second.expect("the port is free again"))
    });
    let result = run_with(plan, 1, Arc::default()).unwrap();
    let (before, second) = change.join().unwrap();
    let books = &result.totals.books;
    assert_balanced(books);
    assert!(
        before > 0 && second.stats().requests > 0,
        "{before} before, {} after: {books:?}",
        second.stats().requests
    );
    assert!(result.connections.opened > 4, "{:?}", result.connections);
    assert!(before + second.stats().requests <= left(books), "no more than what left: {books:?}");
}

/// A request that is too late is cancelled and the connection lives on.
#[test]
fn requests_that_time_out_are_failed_and_the_connection_stays() {
    let server = built_in();
    let mut plan = Load { paths: vec!["/?t=2s", "/?s=10"], ..load(&server, iterations(8)) }.plan();
    plan.timeouts.request = Some(ms(150));
    let result = run(plan);
    let books = &result.totals.books;
    assert_eq!(
        (books.started, books.failed_timeout, books.succeeded),
        (16, 8, 8),
        "{:?}",
        result.totals.errors
    );
    assert_eq!(result.connections.opened, 4);
    assert!(result.wall < Duration::from_secs(5));
}

#[test]
fn what_only_tcp_can_do_is_refused_by_name() {
    let server = built_in();
    let mut plan = load(&server, iterations(10)).plan();
    plan.targets[0].endpoint = Endpoint::Unix("/nowhere".into());
    let error = try_run(plan).unwrap_err().to_string();
    assert!(error.contains("HTTP/3 does not go over a Unix socket"), "{error}");
}

/// The server hears that its connections are over, and need not wait for their idle timeout.
#[test]
fn connections_are_closed_at_the_end_of_the_run() {
    let server = built_in();
    let result = run(load(&server, iterations(20)).plan());
    assert_eq!(result.totals.books.succeeded, 20);
    let gone = (0..100).any(|_| {
        std::thread::sleep(ms(20));
        server.stats().connections.open == 0
    });
    assert!(gone, "{} connections are open", server.stats().connections.open);
}

#[test]
fn ipv6_is_spoken() {
    let any = "[::1]:0".parse().unwrap();
    let server = origin::start(Config { clear: None, tls: Some(any), ..Config::default() }).unwrap();
    let plan = Load { connections: 2, users: n32(2).get(), ..load(&server, iterations(50)) }.plan();
    let result = run(plan);
    assert_eq!(
        (result.totals.books.succeeded, server.stats().requests),
        (50, 50),
        "{:?}",
        result.totals.errors
    );
}

/// A connection for each request, and the sessions of earlier ones go on as `sessions` says.
fn churn(server: &Origin, sessions: impl Fn(&mut Plan)) -> Plan {
    let mut plan = load(server, iterations(40)).plan();
    plan.connections.requests_per_connection = NonZeroU64::new(1);
    sessions(&mut plan);
    plan
}

#[test]
fn sessions_are_continued_where_the_plan_says_so() {
    let server = built_in();
    let result = run(churn(&server, |_| {}));
    assert_eq!((result.connections.fresh, result.connections.resumed), (result.connections.opened, 0));
    assert_eq!(server.stats().connections.handshakes_resumed, 0);
    let result = run(churn(&server, |plan| plan.tls.resumption = true));
    let c = &result.connections;
    assert_eq!((result.totals.books.succeeded, c.fresh + c.resumed), (40, c.opened));
    // The first of each of the four has nothing to continue; one more may be opened at the very end.
    assert!(c.resumed >= c.opened - 8 && c.fresh > 0, "{} of {}", c.resumed, c.opened);
    assert_eq!((c.early_accepted, c.early_rejected), (0, 0));
    let seen = server.stats().connections;
    // One that is opened when the run ends is counted by the server alone.
    assert!((c.resumed..=c.resumed + 4).contains(&seen.handshakes_resumed), "{seen:?}, {}", c.resumed);
    assert_eq!(seen.early_requests, 0);
}

#[test]
fn requests_go_out_in_the_first_flight() {
    let server = built_in();
    let result = run(churn(&server, |plan| plan.tls.early_data = true));
    let (c, books) = (&result.connections, &result.totals.books);
    assert_eq!((books.started, books.succeeded, books.retried), (40, 40, 0), "{:?}", result.totals.errors);
    // Where the answer comes with the end of the handshake, the connection is over before it has a ticket for the next one.
    assert!(
        c.early_accepted >= c.opened / 4 && c.early_rejected == 0,
        "{} of {}",
        c.early_accepted,
        c.opened
    );
    assert!(c.resumed >= c.early_accepted && c.lost == 0);
    let seen = server.stats();
    assert_eq!(seen.requests, 40);
    assert!(seen.connections.early_requests > 0, "{:?}", seen.connections);
}

/// RFC 8470: what is not safe to be done twice is not sent early.
#[test]
fn a_post_is_never_sent_early() {
    let server = built_in();
    let plan = churn(&server, |plan| {
        plan.tls.early_data = true;
        let (text, scheme) = (proto::Text::literal, proto::Scheme::Https);
        let post = proto::Template::new("POST", scheme, text("localhost"), text("/echo")).unwrap();
        plan.scenarios[0].steps[0].template = post.body(proto::Framing::Length, false);
        plan.scenarios[0].steps[0].body = bytes::Bytes::from_static(b"pay");
    });
    let result = run(plan);
    assert_eq!((result.totals.books.succeeded, result.totals.bytes.data), (40, 120));
    assert!(result.connections.early_accepted > 10, "{:?}", result.connections);
    let seen = server.stats();
    assert_eq!((seen.requests, seen.connections.early_requests), (40, 0));
}

/// Two servers behind one name take turns, and neither knows the sessions of the other.
#[test]
fn early_data_that_is_rejected_is_sent_again_and_counts_once() {
    let servers = [built_in(), built_in()];
    let plan = churn(&servers[0], |plan| {
        plan.tls.early_data = true;
        plan.targets[0].endpoint =
            Endpoint::Addresses(servers.iter().map(|s| s.tls_addr().unwrap()).collect());
        plan.phases = vec![phase("all", 4, iterations(400))];
    });
    let result = run(plan);
    let (c, books) = (&result.connections, &result.totals.books);
    // Whether any is accepted depends on whose ticket came last: see the next test.
    assert!(c.early_rejected > 0, "{} and {}", c.early_rejected, c.early_accepted);
    assert!(books.retried > 0, "{books:?}");
    let seen = servers.map(|s| s.stats().requests);
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    assert_eq!((books.succeeded, books.failed, seen[0] + seen[1]), (400, 0, 400), "{books:?}");
    let rejected = result.totals.errors.iter().find(|e| e.detail.contains("early data"));
    assert!(rejected.is_none(), "what was rejected is sent again: {rejected:?}");
}

/// The same, one connection after the other, and the first server has two addresses. Each connection has the newest session, which
/// is of the server before: the second address of the first one accepts what goes there early, and whoever comes after the
/// other server does not.
#[test]
fn early_data_is_accepted_by_who_knows_the_session_and_rejected_by_who_does_not() {
    let everywhere = Config { clear: None, tls: Some("0.0.0.0:0".parse().unwrap()), ..Config::default() };
    let servers = [origin::start(everywhere).unwrap(), built_in()];
    let port = servers[0].tls_addr().unwrap().port();
    let addresses = vec![
        (Ipv4Addr::new(127, 0, 0, 1), port).into(),
        (Ipv4Addr::new(127, 0, 0, 2), port).into(),
        servers[1].tls_addr().unwrap(),
    ];
    let mut plan = churn(&servers[0], |plan| plan.tls.early_data = true);
    plan.connections.max = n32(1);
    plan.targets[0].endpoint = Endpoint::Addresses(addresses);
    plan.phases = vec![phase("all", 1, iterations(60))];
    let result = run(plan);
    let (c, books) = (&result.connections, &result.totals.books);
    assert_eq!((c.early_accepted, c.early_rejected), (20, 39), "{c:?}");
    assert_eq!((c.fresh, c.resumed, c.opened, c.lost), (40, 20, 60, 0), "{c:?}");
    assert_eq!((books.started, books.succeeded, books.failed, books.retried), (60, 60, 0, 39), "{books:?}");
    let seen = servers.map(|s| s.stats());
    assert_eq!(seen.each_ref().map(|s| s.requests), [40, 20]);
    assert_eq!(seen.each_ref().map(|s| s.connections.early_requests), [20, 0]);
    assert!(result.totals.errors.is_empty(), "{:?}", result.totals.errors);
}

#[test]
fn a_mix_of_fresh_resumed_and_early_connections() {
    let server = built_in();
    let mut plan = churn(&server, |plan| {
        plan.connections.mix = Some(Mix { fresh: 500_000, resumed: 250_000, early: 250_000 });
    });
    plan.phases = vec![phase("all", 4, iterations(400))];
    let result = run(plan);
    let c = &result.connections;
    assert_eq!((result.totals.books.succeeded, c.fresh + c.resumed), (400, c.opened));
    let about = |n: u64, share: f64| (n as f64 - share * c.opened as f64).abs() <= 8.0;
    let shown =
        format!("{} fresh, {} resumed, {} early of {}", c.fresh, c.resumed, c.early_accepted, c.opened);
    assert!(about(c.fresh, 0.5) && about(c.resumed, 0.5) && about(c.early_accepted, 0.25), "{shown}");
}

#[test]
fn what_tls_agreed_on_is_told() {
    let server = built_in();
    let facts = run(load(&server, iterations(10)).plan()).connections.tls.unwrap();
    assert_eq!((facts.version.as_str(), facts.group.as_str(), facts.resumed), ("TLSv1.3", "X25519", false));
    assert_eq!(
        (facts.cipher.as_str(), facts.certificate.as_str()),
        ("TLS_AES_128_GCM_SHA256", "ECDSA P-256 256 bits")
    );
}

#[test]
fn a_certificate_that_is_refused_is_explained_as_over_tcp() {
    let server = built_in(); // its certificate is its own, and nobody was told to trust it
    let why = |protocol| {
        let mut plan = Load { protocol, ..load(&server, iterations(8)) }.plan();
        plan.tls.verify = true;
        try_run(plan).expect_err("the certificate was accepted").to_string()
    };
    let (quic, tcp) = (why(Protocol::H3), why(Protocol::H1));
    let reason = &tcp[tcp.find("the server's certificate").expect(&tcp)..];
    assert!(quic.contains("QUIC handshake with 127.0.0.1:") && quic.ends_with(reason), "{quic}, but {tcp}");
}

#[test]
fn a_connection_lives_as_long_as_the_plan_says() {
    let server = built_in();
    let mut plan = load(&server, Stop::After(ms(600))).plan();
    plan.connections.lifetime = Some(ms(50));
    let result = run(plan);
    let (c, books) = (&result.connections, &result.totals.books);
    assert_eq!((books.failed, c.lost), (0, 0), "{:?}", result.totals.errors);
    // Four at a time: on a busy machine each takes its time to be opened, but none may be there early.
    assert!((5..=52).contains(&c.opened), "{} connections", c.opened);
    assert!(books.succeeded > c.opened);
}
