//! The engine against HTTP/2 servers that go away, refuse, change their mind and break the rules.
//!
//! The servers are the `h2` crate's and one made by hand (`support::h2`), which counts every HEADERS frame that arrives:
//! exactly what left the client, refused ones included.

mod support;

use proto::{Fault, Kind};
use scenario::plan::{Protocol, Share};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use support::h2::{GOAWAY, HEADERS, NO_ERROR, SETTINGS, Server};
use support::hostile::Hostile;
use support::{Load, iterations, left, ms, run};

support::drivers::over_all_drivers!();

const MAX_CONCURRENT_STREAMS: u16 = 3;

/// Two connections of eight streams, all used.
fn load(address: SocketAddr, n: u64) -> Load {
    let on = Load::on(address, iterations(n));
    Load { protocol: Protocol::H2c, connections: 2, streams: 8, users: 16, ..on }
}

#[test]
fn a_server_that_goes_away_after_a_thousand_requests_fails_none() {
    // As nginx does with keepalive_requests 1000: one GOAWAY that names the last stream it will answer.
    let server = Hostile::new(|visit| {
        let mut h2 = Server::greet(visit, &[(MAX_CONCURRENT_STREAMS, 128)])?;
        for n in 1..=1000 {
            let stream = h2.request()?;
            if n == 1000 {
                h2.go_away(h2.last, NO_ERROR)?;
            }
            h2.answer(stream)?;
        }
        loop {
            h2.request()?; // too late: ignored
        }
    });
    for share in [Share::PerUser, Share::Pool] {
        let (seen, connections) = (server.requests(), server.connections());
        let result = run(Load { share, ..load(server.address(), 5000) }.plan());
        server.settle();
        let (books, seen) = (result.totals.books, server.requests() - seen);
        assert_eq!((books.succeeded, books.failed), (5000, 0), "{share:?}: {:?}", result.totals.errors);
        assert_eq!(seen, left(&books), "{books:?}");
        let opened = result.connections.opened;
        assert_eq!(server.connections() - connections, opened);
        assert!((5..=7).contains(&opened), "{opened}");
        assert!(result.connections.goaways[&NO_ERROR] >= 4, "{:?}", result.connections.goaways);
        assert_eq!(result.connections.lost, 0, "going away in order is no loss");
    }
}

/// Many more streams are open than a connection answers; each goes away in order.
#[test]
fn what_a_connection_that_answers_does_not_come_to_is_sent_again_until_it_is_answered() {
    for share in [Share::PerUser, Share::Pool] {
        let server = Hostile::new(|visit| {
            let mut h2 = Server::greet(visit, &[(MAX_CONCURRENT_STREAMS, 128)])?;
            for n in 1..=3 {
                let stream = h2.request()?;
                if n == 3 {
                    h2.go_away(h2.last, NO_ERROR)?;
                }
                h2.answer(stream)?;
            }
            loop {
                h2.request()?; // too late: ignored
            }
        });
        let result = run(Load { share, streams: 32, users: 64, ..load(server.address(), 300) }.plan());
        server.settle();
        let books = result.totals.books;
        assert_eq!((books.succeeded, books.failed), (300, 0), "{share:?}: {:?}", result.totals.errors);
        assert_eq!(server.requests(), left(&books), "{share:?}: {books:?}");
    }
}

#[test]
fn a_server_that_goes_away_at_once_is_asked_four_times_and_believed() {
    for share in [Share::PerUser, Share::Pool] {
        let server = Hostile::new(|visit| {
            let mut h2 = Server::greet(visit, &[])?;
            h2.request()?;
            h2.go_away(0, NO_ERROR)?;
            loop {
                h2.request()?;
            }
        });
        let result = run(Load { share, ..load(server.address(), 40) }.plan());
        server.settle();
        let books = result.totals.books;
        assert_eq!((books.started, books.failed, books.retried), (40, 40, 120), "{:?}", result.totals.errors);
        assert_eq!(server.requests(), left(&books), "{share:?}: {books:?}");
    }
}

/// Serves with the `h2` crate: at most `streams` at a time, going away in order after each `last` requests.
fn h2_crate(streams: u32, last: u64) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, answered) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
    listener.set_nonblocking(true).unwrap();
    let counter = answered.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let counter = counter.clone();
                tokio::spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    builder.max_concurrent_streams(streams);
                    let Ok(mut connection) = builder.handshake::<_, bytes::Bytes>(stream).await else {
                        return;
                    };
                    let mut n = 0;
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        let _ = respond.send_response(http::Response::new(()), true);
                        counter.fetch_add(1, SeqCst);
                        n += 1;
                        if n == last {
                            connection.graceful_shutdown();
                        }
                    }
                });
            }
        });
    });
    (address, answered)
}

#[test]
fn the_h2_crates_graceful_shutdown_and_stream_limit_fail_no_request() {
    for (streams, last) in [(100, 1000), (3, u64::MAX), (1, 100)] {
        let (address, answered) = h2_crate(streams, last);
        let result = run(load(address, 3000).plan());
        let books = result.totals.books;
        let case = format!("{streams} streams, {last} requests: {books:?} {:?}", result.totals.errors);
        assert_eq!((books.succeeded, books.failed), (3000, 0), "{case}");
        assert_eq!(answered.load(SeqCst), 3000, "{case}");
        assert_eq!(result.connections.peer_max_streams, Some(streams), "{case}");
        assert_eq!(result.connections.opened > 2, last < u64::MAX, "{case}");
    }
}

#[test]
fn a_refused_stream_is_sent_again() {
    let server = Hostile::new(|visit| {
        let mut h2 = Server::greet(visit, &[])?;
        for n in 1.. {
            let stream = h2.request()?;
            if n % 10 == 0 { h2.refuse(stream)? } else { h2.answer(stream)? }
        }
        Ok(())
    });
    // One connection: every tenth attempt on it is refused, so no request is refused four times in a row.
    let load = Load { connections: 1, users: 8, ..load(server.address(), 2000) };
    let result = run(load.plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.succeeded, books.failed), (2000, 0), "{:?}", result.totals.errors);
    assert!(books.retried >= 200, "{books:?}");
    assert_eq!((server.requests(), books.never_sent), (left(&books), 0), "{books:?}");
}

#[test]
fn a_server_that_refuses_everything_is_asked_four_times_and_believed() {
    let server = Hostile::new(|visit| {
        let mut h2 = Server::greet(visit, &[])?;
        loop {
            let stream = h2.request()?;
            h2.refuse(stream)?;
        }
    });
    let result = run(load(server.address(), 40).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.started, books.failed, books.retried), (40, 40, 120), "{:?}", result.totals.errors);
    assert_eq!((server.requests(), left(&books)), (160, 160), "refused attempts have left, too: {books:?}");
}

/// A server that answers late, so that as many streams are open as it allows, and changes the limit after so many
/// requests. From the client's acknowledgement on no stream beyond the limit may be opened. Returns its violations.
fn strict(limits: &'static [(u64, u32)]) -> (Hostile, Arc<AtomicU64>) {
    let violations = Arc::new(AtomicU64::new(0));
    let counter = violations.clone();
    let server = Hostile::new(move |visit| {
        visit.stream.set_read_timeout(Some(ms(10)))?;
        let mut h2 = Server::greet(visit, &[(MAX_CONCURRENT_STREAMS, limits[0].1)])?;
        let (mut open, mut seen, mut changes) = (Vec::new(), 0, 1);
        let mut acknowledged = vec![];
        loop {
            match h2.frame() {
                Ok(frame) if frame.kind == HEADERS => {
                    seen += 1;
                    h2.count();
                    open.push(frame.stream);
                    let limit = acknowledged.last().copied().unwrap_or(u32::MAX);
                    counter.fetch_add(u64::from(open.len() as u64 > u64::from(limit)), SeqCst);
                }
                Ok(frame) if frame.kind == SETTINGS && frame.flags == 1 => {
                    acknowledged.push(limits[acknowledged.len()].1);
                    // Streams opened before the client knew are served, not judged.
                    let limit = acknowledged[acknowledged.len() - 1] as usize;
                    let late = open.len().saturating_sub(limit);
                    for stream in open.drain(..late) {
                        h2.answer(stream)?;
                    }
                }
                Ok(frame) if frame.kind == SETTINGS => h2.send(SETTINGS, 1, 0, &[])?,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    for stream in open.drain(..) {
                        h2.answer(stream)?;
                    }
                }
                Err(e) => return Err(e),
            }
            if open.len() as u32 >= limits[changes - 1].1.max(1) {
                for stream in open.drain(..) {
                    h2.answer(stream)?;
                }
            }
            if changes < limits.len() && seen >= limits[changes].0 {
                h2.settings(&[(MAX_CONCURRENT_STREAMS, limits[changes].1)])?;
                changes += 1;
            }
        }
    });
    (server, violations)
}

#[test]
fn the_servers_limit_of_streams_is_kept_also_when_it_changes() {
    for limits in [&[(0, 3)][..], &[(0, 8), (100, 2)], &[(0, 6), (50, 1), (150, 7)]] {
        let (server, violations) = strict(limits);
        let result = run(load(server.address(), 600).plan());
        server.settle();
        let books = result.totals.books;
        assert_eq!((books.succeeded, books.failed), (600, 0), "{limits:?}: {:?}", result.totals.errors);
        assert_eq!((server.requests(), violations.load(SeqCst)), (left(&books), 0), "{limits:?}");
    }
}

/// Nothing is in flight, nothing may be sent, and the connection stands: only a time limit ends that.
#[test]
fn a_server_that_allows_no_streams_any_more_does_not_hang_the_run() {
    for share in [Share::PerUser, Share::Pool] {
        let server = Hostile::new(|visit| {
            let mut h2 = Server::greet(visit, &[])?;
            for _ in 0..10 {
                let stream = h2.request()?;
                h2.answer(stream)?;
            }
            h2.settings(&[(MAX_CONCURRENT_STREAMS, 0)])?;
            h2.serve()
        });
        let mut plan = Load { share, ..load(server.address(), 60) }.plan();
        plan.timeouts.request = Some(ms(100));
        let result = run(plan);
        server.settle();
        let books = result.totals.books;
        assert_eq!(books.started, 60);
        assert!(books.succeeded >= 20, "{share:?}: {books:?}");
        assert!(
            result.connections.errors.iter().any(|e| e.detail.contains("allowed no request")),
            "{share:?}"
        );
        assert_eq!(server.requests(), left(&books), "{share:?}: {books:?}");
    }
}

#[test]
fn a_stream_reset_for_another_reason_is_a_failure_and_not_sent_again() {
    let server = Hostile::new(|visit| {
        let mut h2 = Server::greet(visit, &[])?;
        for n in 1.. {
            let stream = h2.request()?;
            match n % 20 {
                0 => h2.send(support::h2::RST_STREAM, 0, stream, &2_u32.to_be_bytes())?,
                _ => h2.answer(stream)?,
            }
        }
        Ok(())
    });
    let result = run(load(server.address(), 400).plan());
    server.settle();
    let books = result.totals.books;
    assert!((18..=20).contains(&books.failed) && books.retried == 0, "{books:?}");
    assert_eq!((books.started, server.requests()), (400, 400));
    assert!(
        result.totals.errors.iter().all(|e| e.kind == Kind::StreamReset(2)),
        "{:?}",
        result.totals.errors
    );
}

#[test]
fn a_stalled_stream_times_out_and_the_others_go_on() {
    let server = Hostile::new(|visit| {
        let mut h2 = Server::greet(visit, &[])?;
        for n in 1.. {
            let stream = h2.request()?;
            if n % 50 != 0 {
                h2.answer(stream)?;
            }
        }
        Ok(())
    });
    let mut plan = load(server.address(), 400).plan();
    plan.timeouts.request = Some(ms(500));
    let result = run(plan);
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.started, server.requests()), (400, 400));
    assert_eq!((books.failed, result.connections.opened), (books.failed_timeout, 2), "{books:?}");
    assert!((7..=8).contains(&books.failed), "{books:?}");
}

#[test]
fn a_server_that_says_nothing_at_all_is_a_timeout_for_every_request() {
    let server = Hostile::new(|visit| visit.stall());
    let mut plan = load(server.address(), 32).plan();
    plan.timeouts.request = Some(ms(60));
    let books = run(plan).totals.books;
    server.settle();
    assert_eq!((books.started, books.failed_timeout), (32, 32), "{books:?}");
}

#[test]
fn a_server_that_is_killed_and_restarted_is_found_again() {
    let mut server = Hostile::new(|visit| Server::greet(visit, &[])?.serve());
    let load = load(server.address(), 20_000);
    let running = std::thread::spawn(move || run(load.plan()));
    while server.requests() < 500 {
        std::thread::sleep(ms(1));
    }
    server.kill();
    std::thread::sleep(ms(300));
    let before = server.requests();
    server.start();
    let result = running.join().unwrap();
    server.settle();
    let (books, seen) = (result.totals.books, server.requests());
    assert_eq!(books.started, 20_000);
    assert!(books.failed > 0 && seen > before, "{books:?}");
    assert!(seen <= left(&books) && left(&books) <= seen + 16, "server {seen}, {books:?}");
}

#[test]
fn a_broken_rule_fails_what_is_in_flight_and_the_server_is_told_which() {
    let told = Arc::new(AtomicU64::new(0));
    let counter = told.clone();
    let server = Hostile::new(move |visit| {
        let mut h2 = Server::greet(visit, &[])?;
        h2.request()?;
        h2.send(HEADERS, 0x5, 2, &[0x88])?; // a stream that a client never opened (RFC 9113 section 5.1.1)
        loop {
            let frame = h2.frame()?;
            if frame.kind == GOAWAY && frame.payload[4..8] == 1_u32.to_be_bytes() {
                counter.fetch_add(1, SeqCst);
            }
        }
    });
    let result = run(load(server.address(), 32).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.started, books.failed), (32, 32), "{books:?}");
    assert!(result.totals.errors.iter().all(|e| e.fault == Fault::Peer), "{:?}", result.totals.errors);
    let lost = result.connections.lost;
    assert!(lost >= 4 && told.load(SeqCst) >= lost - 2, "{lost} broken, {} told", told.load(SeqCst));
}

#[test]
fn what_is_not_http2_is_a_failure_of_the_peer() {
    let server = Hostile::new(|visit| {
        visit.read()?;
        visit.say("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    });
    let result = run(load(server.address(), 32).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.started, books.failed), (32, 32), "{books:?}");
    assert!(result.totals.errors.iter().any(|e| e.fault == Fault::Peer), "{:?}", result.totals.errors);
}
