//! Phases whose arrivals are connections: over TCP, TLS, HTTP/2 and QUIC, alone and beside requests. What came of them is what
//! the server counted.
#![allow(clippy::disallowed_methods, reason = "a test has its own clock beside the engine's")]

mod support;

use engine::stats::{RunResult, VerdictLevel};
use origin::Origin;
use proto::Kind;
use scenario::plan::{
    Arrivals, Backlog, Curve, Handshakes, Load as PhaseLoad, Mix, Phase, PhaseOverrides, Plan, Protocol,
    Share, Spread, Stop, Track,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::h2::Server;
use support::hostile::Hostile;
use support::{Load, built_in, iterations, ms, n32, phase, run, run_with};

support::drivers::over_all_drivers!();

/// Takes connections at once, and says HTTP/2's SETTINGS so much later.
fn greeting_after(time: Duration) -> Hostile {
    Hostile::new(move |visit| {
        std::thread::sleep(time);
        Server::greet(visit, &[])?;
        visit.stall()
    })
}

/// At most eight at a time, each kept for this time.
fn knocks(rate: f64, stop: Stop, hold: Duration) -> Phase {
    let backlog = Backlog { time: None, number: 1000 };
    let arrivals = Arrivals { curve: Curve::Constant(rate), spread: Spread::Even, backlog };
    Phase { load: PhaseLoad::Handshakes(Handshakes { arrivals, hold }), ..phase("knocks", 8, stop) }
}

fn plan(address: SocketAddr, (protocol, tls): (Protocol, bool), share: Share, phases: Vec<Phase>) -> Plan {
    let load = Load { protocol, tls, share, connections: 8, ..Load::on(address, iterations(1)) };
    Plan { phases, ..load.plan() }
}

const WAYS: [(Protocol, bool); 5] = [
    (Protocol::H1, false),
    (Protocol::H2c, false),
    (Protocol::H1, true),
    (Protocol::H2, true),
    (Protocol::H3, true),
];

/// Where each speaks.
fn address(server: &Origin, tls: bool) -> SocketAddr {
    if tls { server.tls_addr() } else { server.clear_addr() }.unwrap()
}

/// What arrived has one end, and what was opened its times.
fn assert_complete(result: &RunResult, case: &str) {
    for phase in &result.phases {
        let (f, h) = (&phase.figures, &phase.figures.handshakes);
        if h.begun() > 0 {
            assert_eq!(f.arrived, f.dropped + h.opened + h.failed + h.abandoned, "{case} {h:?}");
            assert_eq!((h.opened, h.opened), (f.iterations, h.opening_time.count()), "{case}");
            assert_eq!(f.send_lag.count(), h.begun(), "{case}");
        }
    }
}

/// The server has taken up so many connections, made its handshake with each, and has none any more. It may learn of the last
/// one a moment after its client has left.
fn assert_seen(server: &Origin, connections: u64, case: &str) {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = server.stats().connections;
        let accepted = seen.clear + seen.tls + seen.h3;
        if (accepted, seen.open) == (connections, 0) {
            return assert_eq!((seen.handshakes_failed, seen.refused), (0, 0), "{case}");
        }
        assert!(Instant::now() < patience, "{case}: {connections} opened, {seen:?}");
        std::thread::sleep(ms(5));
    }
}

#[test]
fn each_arrival_opens_a_connection_and_requests_nothing() {
    for (way, share, threads) in WAYS.into_iter().flat_map(|way| {
        [(way, Share::Pool, 1), (way, Share::Pool, 2), (way, Share::PerUser, 1), (way, Share::PerUser, 2)]
    }) {
        let server = built_in();
        let phases = vec![knocks(400.0, iterations(60), Duration::ZERO)];
        let result =
            run_with(plan(address(&server, way.1), way, share, phases), threads, Arc::default()).unwrap();
        let case = format!("{way:?} {share:?} {threads}: {:?}", result.connections.errors);
        let (t, c) = (&result.totals, &result.connections);
        assert_eq!((t.arrived, t.dropped, t.handshakes.opened, t.books.started), (60, 0, 60, 0), "{case}");
        assert_eq!((c.attempted, c.opened, c.failed, c.lost), (60, 60, 0, 0), "{case}");
        let tcp = if way.0 == Protocol::H3 { 0 } else { 60 };
        let shaken = if way.1 { 60 } else { 0 };
        assert_eq!((c.connect.count(), c.handshake.count()), (tcp, shaken), "{case}");
        assert_complete(&result, &case);
        assert_seen(&server, 60, &case);
        assert_eq!(server.stats().requests, 0, "{case}");
    }
}

#[test]
fn the_schedule_is_one_on_any_number_of_cores() {
    for threads in [1, 2] {
        let server = built_in();
        let phases = vec![knocks(500.0, Stop::After(ms(400)), Duration::ZERO)];
        let of = plan(address(&server, false), (Protocol::H1, false), Share::Pool, phases);
        let result = run_with(of, threads, Arc::default()).unwrap();
        assert_eq!(result.totals.arrived, 200, "{threads}");
        assert_eq!(result.phases[0].elapsed, ms(400));
        assert_complete(&result, "");
        assert_seen(&server, result.connections.opened, "");
    }
}

#[test]
fn between_phases_of_requests_and_with_sessions() {
    for way in [(Protocol::H1, true), (Protocol::H2, true), (Protocol::H3, true)] {
        for load in [PhaseLoad::Closed, open(400.0)] {
            let server = built_in();
            let requests = |name| Phase { load: load.clone(), ..phase(name, 4, iterations(40)) };
            let knocks = knocks(200.0, iterations(100), Duration::ZERO);
            let mut of = plan(
                address(&server, true),
                way,
                Share::Pool,
                vec![requests("before"), knocks, requests("after")],
            );
            of.connections.mix = Some(Mix { fresh: 500_000, resumed: 500_000, early: 0 });
            let result = run(of);
            let case = format!("{way:?} {load:?}: {:?}", result.connections.errors);
            assert_eq!(server.stats().requests, 80, "{case}");
            let knocked = &result.phases[1].figures;
            assert_eq!(
                (knocked.arrived, knocked.dropped, knocked.handshakes.opened),
                (100, 0, 100),
                "{case}"
            );
            assert_eq!(result.phases[0].figures.handshakes.begun(), 0, "{case}");
            let c = &result.connections;
            assert!((40..=55).contains(&c.resumed), "{case}: {} resumed of {}", c.resumed, c.opened);
            assert_eq!(c.lost, 0, "{case}");
            assert_complete(&result, &case);
            assert_seen(&server, c.opened, &case);
            assert_eq!(server.stats().connections.handshakes_resumed, c.resumed, "{case}");
        }
    }
}

fn open(rate: f64) -> PhaseLoad {
    let backlog = Backlog { time: None, number: 1000 };
    PhaseLoad::Open(Arrivals { curve: Curve::Constant(rate), spread: Spread::Even, backlog })
}

#[test]
fn early_data_is_offered_where_the_mix_says_so() {
    let server = built_in();
    let phases = vec![knocks(100.0, iterations(40), Duration::ZERO)];
    let mut of = plan(address(&server, true), (Protocol::H3, true), Share::Pool, phases);
    of.connections.mix = Some(Mix { fresh: 0, resumed: 0, early: 1_000_000 });
    let result = run(of);
    let c = &result.connections;
    // The first ones have no session to continue.
    assert!(
        c.early_accepted > 20 && c.early_rejected == 0,
        "{} of {}: {:?}",
        c.early_accepted,
        c.opened,
        c.errors
    );
    assert_eq!(result.totals.handshakes.opened, 40);
    assert_complete(&result, "");
    assert_seen(&server, 40, "");
}

#[test]
fn beside_scenarios_that_make_requests() {
    for way in [(Protocol::H1, false), (Protocol::H2, true)] {
        for threads in [1, 2] {
            let server = built_in();
            let phases =
                vec![phase("users", 4, iterations(400)), knocks(400.0, iterations(80), Duration::ZERO)];
            let mut of = plan(address(&server, way.1), way, Share::Pool, phases);
            let track =
                |scenarios, phases, own| Track { scenarios, phases, start_after: Duration::ZERO, own };
            of.tracks = vec![track(vec![], 1..2, false), track(vec![0], 0..1, true)];
            let result = run_with(of, threads, Arc::default()).unwrap();
            let case = format!("{way:?} {threads}");
            let (users, knocked) = (&result.phases[0].figures, &result.phases[1].figures);
            assert_eq!((users.books.succeeded, users.handshakes.begun()), (400, 0), "{case}");
            assert_eq!((knocked.books.started, knocked.handshakes.opened), (0, 80), "{case}");
            assert_eq!(result.connections.opened, 88, "{case}");
            assert_complete(&result, &case);
            assert_eq!(server.stats().requests, 400, "{case}");
        }
    }
}

#[test]
fn connections_are_held_and_bound_what_may_be_opened() {
    for way in WAYS {
        let server = built_in();
        let phases = vec![knocks(100.0, Stop::After(ms(300)), Duration::from_secs(3600))];
        let result = run(plan(address(&server, way.1), way, Share::Pool, phases));
        let (t, case) = (&result.totals, format!("{way:?}: {:?}", result.connections.errors));
        assert_eq!((t.arrived, t.waited, t.dropped, t.handshakes.opened), (30, 22, 22, 8), "{case}");
        assert_eq!(result.verdict.level, VerdictLevel::Invalid, "{:?}", result.verdict);
        assert_complete(&result, &case);
        assert_seen(&server, 8, &case); // closed in order at the end
        // A short hold frees the places again.
        let phases = vec![knocks(100.0, iterations(30), ms(100))];
        let result = run(plan(address(&server, way.1), way, Share::Pool, phases));
        assert_eq!((result.totals.handshakes.opened, result.connections.lost), (30, 0), "{case}");
        assert!(result.totals.waited > 0, "eight at a time for 100 ms are 80 a second");
        assert_seen(&server, 38, &case);
    }
}

/// Places that are held are free for the users of the next phase.
#[test]
fn what_is_held_is_closed_at_the_end_of_its_phase() {
    for (way, share, threads) in
        WAYS.into_iter().flat_map(|way| [(way, Share::Pool, 1), (way, Share::PerUser, 2)])
    {
        for load in [PhaseLoad::Closed, open(100.0)] {
            let server = built_in();
            let knocks = knocks(100.0, Stop::After(ms(200)), Duration::from_secs(3600));
            let requests = Phase { load: load.clone(), ..phase("requests", 8, iterations(40)) };
            let of = plan(address(&server, way.1), way, share, vec![knocks, requests]);
            let result = run_with(of, threads, Arc::default()).unwrap();
            let case = format!("{way:?} {share:?} {load:?}: {:?}", result.connections.errors);
            let (held, after) = (&result.phases[0].figures, &result.phases[1].figures);
            assert_eq!((held.handshakes.opened, held.dropped, held.waited), (8, 12, 12), "{case}");
            assert_eq!((after.books.succeeded, after.books.failed), (40, 0), "{case} {:?}", after.books);
            assert_eq!((after.dropped, result.connections.lost), (0, 0), "{case}");
            assert_complete(&result, &case);
            assert_seen(&server, result.connections.opened, &case);
        }
    }
}

/// A connection that bears no request is idle from the beginning.
#[test]
fn the_limit_of_idle_connections_is_not_one_of_handshakes() {
    let hold = ms(300);
    for way in WAYS {
        let server = built_in();
        let mut of =
            plan(address(&server, way.1), way, Share::Pool, vec![knocks(400.0, iterations(8), hold)]);
        of.timeouts.idle = Some(ms(20));
        let result = run(of);
        assert_eq!((result.totals.handshakes.opened, result.connections.lost), (8, 0), "{way:?}");
        assert!(result.phases[0].elapsed >= hold, "{way:?}: {:?}", result.phases[0].elapsed);
    }
    let server = greeting_after(ms(200));
    let phases = vec![knocks(400.0, iterations(8), Duration::ZERO)];
    let mut of = plan(server.address(), (Protocol::H2c, false), Share::Pool, phases);
    of.timeouts.idle = Some(ms(20));
    let h = run(of).totals.handshakes;
    assert_eq!((h.opened, h.failed), (8, 0), "its SETTINGS were waited for");
}

#[test]
fn a_server_that_is_not_there() {
    let address = "127.0.0.1:1".parse().unwrap();
    for way in [(Protocol::H1, false), (Protocol::H1, true), (Protocol::H3, true)] {
        let phases = vec![knocks(400.0, iterations(50), Duration::ZERO)];
        let result = run(plan(address, way, Share::Pool, phases));
        let (t, c) = (&result.totals, &result.connections);
        assert_eq!((t.arrived, t.handshakes.opened, t.handshakes.failed), (50, 0, 50), "{way:?}");
        assert_eq!((c.attempted, c.opened, c.failed), (50, 0, 50), "{way:?}");
        assert_eq!((result.verdict.level, t.error_rate()), (VerdictLevel::Invalid, 1.0));
        let said = &c.errors[0].detail;
        assert!(said.contains("refused") || said.contains("nobody listens"), "{way:?} {:?}", c.errors);
        assert_complete(&result, "");
    }
}

/// Over TLS no ServerHello comes; of HTTP/2 in clear no SETTINGS.
#[test]
fn a_server_that_accepts_and_says_nothing() {
    for (way, opened) in [((Protocol::H1, true), 0), ((Protocol::H2, true), 0), ((Protocol::H2c, false), 20)]
    {
        let server = Hostile::new(|visit| visit.stall());
        let phases = vec![knocks(400.0, iterations(20), Duration::ZERO)];
        let mut of = plan(server.address(), way, Share::Pool, phases);
        of.timeouts.handshake = Some(ms(50));
        let result = run(of);
        let (t, c) = (&result.totals, &result.connections);
        assert_eq!((t.handshakes.opened, t.handshakes.failed, t.iterations), (0, 20, 0), "{way:?}");
        // The connection itself stood in the last case.
        assert_eq!((c.opened, c.failed, c.lost), (opened, 20 - opened, opened), "{way:?}");
        let timeouts: u64 = c.errors.iter().filter(|e| e.kind == Kind::Timeout).map(|e| e.count).sum();
        assert_eq!(timeouts, 20, "{way:?} {:?}", c.errors);
        assert_complete(&result, "");
        server.settle();
        assert_eq!(server.connections(), 20, "{way:?}");
    }
}

#[test]
fn a_handshake_that_is_not_over_is_cut_by_a_graceful_stop() {
    let server = Hostile::new(|visit| visit.stall());
    let graceful_stop = Some(ms(50));
    let overrides = PhaseOverrides { graceful_stop, ..PhaseOverrides::default() };
    let first = Phase { overrides, ..knocks(100.0, Stop::After(ms(100)), Duration::ZERO) };
    let mut of = plan(server.address(), (Protocol::H1, true), Share::Pool, vec![first]);
    of.timeouts.handshake = None;
    let result = run(of);
    let h = &result.totals.handshakes;
    assert_eq!((h.opened, h.failed, h.abandoned, result.totals.dropped), (0, 0, 8, 2));
    assert_complete(&result, "");
    server.settle();
    assert_eq!(server.connections(), 8);
}

/// TCP stands at once, and HTTP/2 does not until after the end of the phase.
#[test]
fn a_handshake_that_has_begun_is_waited_for_at_the_end() {
    let server = greeting_after(ms(200));
    let phases = vec![knocks(100.0, Stop::After(ms(50)), Duration::ZERO)];
    let result = run(plan(server.address(), (Protocol::H2c, false), Share::Pool, phases));
    let h = &result.totals.handshakes;
    assert_eq!((result.totals.arrived, h.opened, h.failed, h.abandoned), (5, 5, 0, 0));
    assert!(h.opening_time.min_ns() >= 200_000_000, "{h:?}");
    assert_complete(&result, "");
}

/// The classic of coordinated omission, for handshakes: one connection at a time, and the first takes long.
#[test]
fn a_stall_is_in_the_opening_time_of_everything_that_was_due_meanwhile() {
    let stall = ms(200);
    let server = Hostile::new(move |visit| {
        if visit.count() == 1 {
            std::thread::sleep(stall);
        }
        Server::greet(visit, &[])?;
        visit.stall()
    });
    let phases = vec![Phase { users: n32(1), ..knocks(100.0, iterations(10), Duration::ZERO) }];
    let result = run(plan(server.address(), (Protocol::H2c, false), Share::Pool, phases));
    let opening = &result.totals.handshakes.opening_time;
    assert_eq!((opening.count(), result.totals.waited), (10, 9));
    // Due 0, 10, ... 90 ms after the start.
    assert!(opening.max_ns() >= 200_000_000 && opening.min_ns() >= 110_000_000, "{opening:?}");
    assert_complete(&result, "");
}
