//! The limits of a connection's life and of its silence: what is in flight when one is passed has timed out, the books
//! balance, and the run goes on with another connection.

mod support;

use proto::Kind;
use scenario::plan::{Protocol, Share, Stop};
use std::sync::{Mutex, mpsc};
use support::h2::Server;
use support::hostile::Hostile;
use support::{Load, iterations, left, ms, run};

support::drivers::over_all_drivers!();

const SHARES: [Share; 2] = [Share::PerUser, Share::Pool];

/// For a time limit to come in the middle of a request.
fn answers_in_a_millisecond() -> Hostile {
    Hostile::new(|visit| {
        loop {
            visit.request()?;
            std::thread::sleep(ms(1));
            visit.answer()?;
        }
    })
}

#[test]
fn a_silent_server_is_a_timeout_for_what_is_in_flight() {
    for share in SHARES {
        let server = Hostile::new(|visit| {
            visit.request()?;
            visit.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")?;
            visit.stall()
        });
        let mut plan = Load { share, ..Load::on(server.address(), iterations(12)) }.plan();
        plan.timeouts.inactive = Some(ms(60));
        let result = run(plan);
        server.settle();
        let books = result.totals.books;
        assert_eq!((books.started, books.failed, books.failed_timeout), (12, 12, 12), "{share:?} {books:?}");
        assert_eq!((server.requests(), left(&books)), (12, 12), "{share:?}");
        let c = &result.connections;
        assert_eq!((c.opened, c.lost, c.timed_out), (12, 0, 12), "{share:?}");
        assert!(c.errors.is_empty(), "every attempt went well: {:?}", c.errors);
        assert!(result.totals.failed_time.min_ns() >= 60_000_000, "{share:?}");
        let causes = &result.totals.errors;
        assert!(causes.len() == 1 && causes[0].kind == Kind::Timeout && causes[0].count == 12, "{causes:?}");
    }
}

#[test]
fn whoever_sends_a_little_now_and_then_is_not_silent() {
    let server = Hostile::new(|visit| {
        loop {
            visit.request()?;
            for piece in ["HTTP/1.1 200 OK\r\n", "content-length: 4\r\n", "\r\n", "good"] {
                std::thread::sleep(ms(60));
                visit.say(piece)?;
            }
        }
    });
    let mut plan = Load::on(server.address(), iterations(8)).plan();
    plan.timeouts.inactive = Some(ms(200));
    let result = run(plan);
    server.settle();
    assert_eq!((result.totals.books.succeeded, result.connections.opened), (8, 4), "{:?}", result.totals);
}

#[test]
fn a_connection_ends_at_its_age_limit_and_another_goes_on() {
    for share in SHARES {
        let server = answers_in_a_millisecond();
        let mut plan = Load { share, ..Load::on(server.address(), Stop::After(ms(700))) }.plan();
        plan.timeouts.active = Some(ms(100));
        let result = run(plan);
        server.settle();
        let (books, opened) = (result.totals.books, result.connections.opened);
        assert!((12..=28).contains(&opened), "{share:?}: {opened} connections");
        assert!(books.failed == books.failed_timeout && books.failed <= opened, "{share:?}: {books:?}");
        assert!(books.failed > 0 && books.succeeded > 100, "{share:?}: {books:?}");
        let c = &result.connections;
        assert!(c.lost == 0 && c.timed_out >= opened - 4 && c.errors.is_empty(), "{share:?}: {c:?}");
    }
}

#[test]
fn a_count_is_kept_across_connections_that_grow_old() {
    let server = Hostile::new(|visit| {
        loop {
            visit.request()?;
            visit.answer()?;
        }
    });
    let mut plan = Load::on(server.address(), iterations(3000)).plan();
    plan.timeouts.active = Some(ms(10));
    let books = run(plan).totals.books;
    server.settle();
    assert_eq!((books.started, books.failed), (3000, books.failed_timeout), "{books:?}");
}

#[test]
fn over_h2_every_stream_of_a_silent_connection_has_timed_out() {
    let server = Hostile::new(|visit| {
        let mut h2 = Server::greet(visit, &[])?;
        loop {
            h2.request()?;
        }
    });
    let load =
        Load { protocol: Protocol::H2c, streams: 8, users: 32, ..Load::on(server.address(), iterations(64)) };
    let mut plan = load.plan();
    plan.timeouts.inactive = Some(ms(100));
    let result = run(plan);
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.started, books.failed_timeout, server.requests()), (64, 64, 64), "{books:?}");
    assert_eq!((result.connections.opened, result.connections.lost, result.connections.timed_out), (8, 0, 8));
}

/// Unlike the age limit: what is in flight ends well.
#[test]
fn a_connection_lives_as_long_as_the_plan_says_and_nothing_fails() {
    for share in SHARES {
        let server = answers_in_a_millisecond();
        let mut plan = Load { share, ..Load::on(server.address(), Stop::After(ms(500))) }.plan();
        plan.connections.lifetime = Some(ms(50));
        let result = run(plan);
        let (c, books) = (&result.connections, &result.totals.books);
        assert_eq!((books.failed, c.lost), (0, 0), "{share:?} {:?}", result.totals.errors);
        assert!((16..=44).contains(&c.opened), "{share:?}: {} connections", c.opened);
        assert!(books.succeeded > 2 * c.opened, "{share:?} {books:?}");
    }
}

/// The first connection is answered at once; the others when the client has closed that one, which it does only if it waits
/// for nothing else.
#[test]
fn a_connection_is_closed_when_its_users_have_done_their_part() {
    // With a ramp, each connection has its part of the requests; else whoever is first takes the next one.
    for (ramp, each) in [(ms(0), 1), (ms(1), 3)] {
        let (close, closed) = mpsc::channel();
        let (close, closed) = (Mutex::new(close), Mutex::new(closed));
        let server = Hostile::new(move |visit| {
            if visit.number == 0 {
                let _ = visit.serve();
                let _ = close.lock().unwrap().send(());
                return Ok(());
            }
            visit.request()?;
            let waited = closed.lock().unwrap().recv_timeout(ms(10_000));
            waited.map_err(std::io::Error::other)?;
            visit.answer()?;
            visit.serve()
        });
        let load = Load { connections: 2, users: 2, ..Load::on(server.address(), iterations(2 * each)) };
        let mut plan = load.plan();
        plan.connections.ramp_up = ramp;
        let result = run(plan);
        server.settle();
        let books = result.totals.books;
        assert_eq!((books.succeeded, server.requests()), (2 * each, 2 * each), "{ramp:?} {books:?}");
        let c = &result.connections;
        assert_eq!((c.opened, server.connections(), c.lost), (2, 2, 0), "{ramp:?}");
    }
}
