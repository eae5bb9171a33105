//! Alternative services whose server is not what it should be, on the engine. Those that are: `cli/tests/alt_svc.rs`.

mod support;

use engine::Control;
use engine::stats::AltSvcFigures;
use origin::{Config, Origin};
use scenario::plan::{Plan, Protocol, Stop};
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU64;
use std::sync::Arc;
use support::{Load, built_in, iterations, ms, run, run_with};

support::drivers::over_all_drivers!();

/// A server that says that it speaks HTTP/3 at another one's port.
fn saying(at: SocketAddr) -> Origin {
    let any = Some("127.0.0.1:0".parse().unwrap());
    let field = format!("h3=\":{}\"", at.port());
    origin::start(Config { clear: None, tls: any, alt_svc: Some(field), ..Config::default() }).unwrap()
}

/// One user, who listens.
fn listening(server: &Origin, stop: Stop) -> Plan {
    let address = server.tls_addr().unwrap();
    let load =
        Load { protocol: Protocol::Auto, tls: true, connections: 1, users: 1, ..Load::on(address, stop) };
    let mut plan = load.plan();
    plan.connections.alt_svc = true;
    plan
}

fn assert_came_to_nothing(plan: Plan, server: &Origin) {
    let result = run(plan);
    assert_eq!(result.totals.books.succeeded, 50, "{:?}", result.totals.errors);
    let expected = AltSvcFigures { heard: 1, failed: 1, ..AltSvcFigures::default() };
    assert_eq!(result.connections.alt_svc, expected, "{:?}", result.connections.errors);
    assert_eq!(server.stats().by_protocol["h2"], 50);
}

#[test]
fn one_without_a_certificate_of_the_origin_gets_no_request() {
    let stranger = built_in();
    let server = saying(stranger.tls_addr().unwrap());
    let ca = std::env::temp_dir().join(format!("loadgen-alt-svc-{}.pem", std::process::id()));
    std::fs::write(&ca, server.ca_pem()).unwrap();
    let mut plan = listening(&server, iterations(50));
    (plan.tls.verify, plan.tls.ca) = (true, Some(ca.clone()));
    assert_came_to_nothing(plan, &server);
    assert_eq!(stranger.stats().requests, 0);
    std::fs::remove_file(ca).unwrap();
}

#[test]
fn one_that_never_answers_costs_a_handshake_timeout() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = saying(silent.local_addr().unwrap());
    let mut plan = listening(&server, iterations(50));
    plan.timeouts.handshake = Some(ms(1500));
    assert_came_to_nothing(plan, &server);
}

#[test]
fn one_that_goes_away_is_left_for_the_origin() {
    let there = built_in();
    let server = saying(there.tls_addr().unwrap());
    let mut plan = listening(&server, Stop::After(ms(20_000)));
    plan.timeouts.request = Some(ms(5000));
    let control = Arc::new(Control::default());
    let change = {
        let control = control.clone();
        std::thread::spawn(move || {
            let wait_for = |holds: &dyn Fn() -> bool| {
                while !holds() {
                    std::thread::sleep(ms(1));
                }
            };
            wait_for(&|| there.stats().requests >= 10);
            drop(there);
            let before = server.stats().requests;
            wait_for(&|| server.stats().requests >= before + 10);
            control.interrupt();
        })
    };
    let result = run_with(plan, 1, control).unwrap();
    change.join().unwrap();
    let books = &result.totals.books;
    assert!(books.failed <= 1, "{books:?} {:?}", result.totals.errors);
    let expected = AltSvcFigures { heard: 1, opened: 1, failed: 1, ..AltSvcFigures::default() };
    assert_eq!(result.connections.alt_svc, expected, "{:?}", result.connections.errors);
}

#[test]
fn sessions_are_continued_there() {
    for early in [false, true] {
        let there = built_in();
        let server = saying(there.tls_addr().unwrap());
        let mut plan = listening(&server, iterations(50));
        (plan.tls.resumption, plan.tls.early_data) = (true, early);
        plan.connections.requests_per_connection = NonZeroU64::new(10);
        let result = run(plan);
        let c = &result.connections;
        assert_eq!(result.totals.books.succeeded, 50, "{:?}", result.totals.errors);
        assert_eq!((c.opened, c.alt_svc.opened, c.lost), (6, 5, 0), "{:?}", c.errors);
        assert!(c.resumed >= 3, "{} of {}", c.resumed, c.opened);
        assert_eq!((c.early_accepted, c.early_rejected), (if early { c.resumed } else { 0 }, 0));
        assert_eq!((server.stats().requests, there.stats().requests), (1, 49));
        assert_eq!(there.stats().connections.handshakes_resumed, c.resumed);
    }
}
