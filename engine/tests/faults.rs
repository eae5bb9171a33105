//! The engine against servers that die, stall, break off and talk nonsense, over HTTP/1.1 in clear.
//!
//! Whatever the server does, the run ends, the books balance, and what left the client ([`support::left`]) is what the
//! server read: exactly where it reads to the end, else short of what lay in the sockets it broke.

mod support;

use engine::Control;
use engine::stats::VerdictLevel;
use proto::{Fault, Kind};
use scenario::plan::{Share, Stop};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;
use support::hostile::Hostile;
use support::{Load, iterations, left, ms, run, run_with, try_run};

support::drivers::over_all_drivers!();

/// Waits for something to come true, within ten seconds.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        std::thread::sleep(ms(1));
    }
    panic!("waited in vain for {what}");
}

/// Kills the server once it has answered some requests, starts it again 300 ms later. Returns its count in between.
fn kill_and_restart(server: &mut Hostile) -> u64 {
    wait_for("the first requests", || server.requests() >= 200);
    server.kill();
    std::thread::sleep(ms(300));
    let before = server.requests();
    server.start();
    before
}

#[test]
fn a_counted_run_survives_a_server_that_is_killed_and_restarted() {
    let mut server = Hostile::new(|visit| {
        loop {
            visit.request()?;
            std::thread::sleep(Duration::from_micros(200));
            visit.answer()?;
        }
    });
    for share in [Share::PerUser, Share::Pool] {
        let before_run = server.requests();
        let load = Load { share, ..Load::on(server.address(), iterations(3000)) };
        let running = std::thread::spawn(move || run(load.plan()));
        wait_for("the run", || server.requests() > before_run + 200);
        let before = kill_and_restart(&mut server);
        let result = running.join().unwrap();
        server.settle();
        let books = result.totals.books;
        assert_eq!(books.started, 3000);
        assert!(books.failed > 0, "nobody noticed: {books:?}");
        assert!(server.requests() > before + 1000, "no recovery: {books:?}");
        let seen = server.requests() - before_run;
        assert!(seen <= left(&books) && left(&books) <= seen + 4, "{share:?}: server {seen}, {books:?}");
        assert!(result.connections.failed > 0 && result.connections.opened >= 8, "{:?}", result.connections);
        // It was away for 300 ms, and was found again within the longest pause between attempts.
        let down = result.connections.down;
        assert!(down > ms(200) && down < ms(700), "{share:?}: {down:?}");
        let told = |reason: &String| {
            reason.starts_with("note: for 0.") && reason.contains("no connection could be opened")
        };
        assert!(result.verdict.reasons.iter().any(told), "{:?}", result.verdict);
    }
}

#[test]
fn a_run_by_time_survives_a_server_that_is_killed_and_restarted() {
    let mut server = Hostile::new(|visit| visit.serve());
    let control = Arc::new(Control::default());
    let load = Load::on(server.address(), Stop::After(Duration::from_secs(25)));
    let running = {
        let control = control.clone();
        std::thread::spawn(move || run_with(load.plan(), 1, control).unwrap())
    };
    let before = kill_and_restart(&mut server);
    wait_for("recovery", || server.requests() > before + 200);
    control.interrupt();
    let result = running.join().unwrap();
    server.settle();
    let (books, seen) = (result.totals.books, server.requests());
    assert!(result.interrupted && books.failed > 0, "{books:?}");
    assert!(seen <= left(&books) && left(&books) <= seen + 4, "server {seen}, {books:?}");
}

#[test]
fn every_hundredth_request_reset_is_one_failure_each() {
    let server = Hostile::new(|visit| {
        loop {
            if visit.request()? % 100 == 0 {
                return visit.reset();
            }
            visit.answer()?;
        }
    });
    let result = run(Load::on(server.address(), iterations(5000)).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!(
        (books.started, books.succeeded, books.failed),
        (5000, 4950, 50),
        "{:?}",
        result.totals.errors
    );
    assert_eq!((server.requests(), books.never_sent), (5000, 0), "the server reads before it resets");
    assert_eq!(result.connections.lost, 50);
    let [error] = &result.totals.errors[..] else { panic!("{:?}", result.totals.errors) };
    assert_eq!((error.fault, error.kind, error.count), (Fault::Network, Kind::Reset, 50));
}

#[test]
fn connections_reset_when_accepted_cost_at_most_the_request_on_them() {
    let server = Hostile::new(|visit| match visit.number % 10 {
        9 => visit.reset(),
        _ => visit.serve(),
    });
    let mut plan = Load::on(server.address(), iterations(1000)).plan();
    plan.connections.requests_per_connection = NonZeroU64::new(5);
    let result = run(plan);
    server.settle();
    let (books, reset) = (result.totals.books, server.connections() / 10);
    assert_eq!(books.started, 1000);
    assert!(reset >= 20 && books.failed <= reset, "{books:?}, {reset} reset");
    assert!(left(&books) >= server.requests() && left(&books) <= server.requests() + reset, "{books:?}");
}

#[test]
fn a_server_that_never_answers_is_a_timeout_for_every_request() {
    for manners in ["nothing", "half a head", "half a body"] {
        let server = Hostile::new(move |visit| {
            visit.request()?;
            visit.say(match manners {
                "half a head" => "HTTP/1.1 200 OK\r\ncontent-le",
                "half a body" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
                _ => "",
            })?;
            visit.stall()
        });
        let mut plan = Load::on(server.address(), iterations(12)).plan();
        plan.timeouts.request = Some(ms(60));
        let result = run(plan);
        server.settle();
        let books = result.totals.books;
        assert_eq!((books.started, books.failed, books.failed_timeout), (12, 12, 12), "{manners}: {books:?}");
        assert_eq!((server.requests(), left(&books)), (12, 12), "{manners}");
        assert!(result.totals.failed_time.min_ns() >= 60_000_000, "{manners}");
        assert_eq!(result.verdict.level, VerdictLevel::Invalid, "{manners}");
    }
}

/// HTTP/1.1 cannot take one request back: the connection ends, and with it what was pipelined beside it.
#[test]
fn what_is_pipelined_beside_a_late_request_is_late_or_cancelled_by_its_own_time() {
    let pipelined = |server: &Hostile, streams: u32, requests: u64, timeout| {
        let load = Load {
            connections: 1,
            streams,
            users: streams,
            share: Share::Pool,
            ..Load::on(server.address(), iterations(requests))
        };
        let mut plan = load.plan();
        plan.timeouts.request = Some(timeout);
        let result = run(plan);
        let errors = result.totals.errors.iter().map(|e| (e.kind, e.count)).collect::<Vec<_>>();
        (result.totals.books, errors, result)
    };
    // All were sent at once, behind an answer: all are late, and not only the first whose timer fires.
    let silent = Hostile::new(|visit| {
        visit.request()?;
        visit.answer()?;
        visit.stall()
    });
    let (books, errors, _) = pipelined(&silent, 4, 5, ms(60));
    assert_eq!((books.succeeded, books.failed, books.failed_timeout), (1, 4, 4), "{books:?} {errors:?}");
    assert_eq!(errors, [(Kind::Timeout, 4)]);
    // The last was sent a second after the one before.
    let slow = Hostile::new(|visit| {
        visit.request()?;
        visit.answer()?;
        visit.request()?;
        visit.request()?;
        std::thread::sleep(ms(1000));
        visit.answer()?;
        visit.stall()
    });
    let (books, mut errors, result) = pipelined(&slow, 2, 4, ms(2000));
    errors.sort_by_key(|(kind, _)| *kind != Kind::Timeout);
    assert_eq!((books.succeeded, books.failed, books.failed_timeout), (2, 2, 1), "{books:?} {errors:?}");
    assert_eq!(errors, [(Kind::Timeout, 1), (Kind::Cancelled, 1)]);
    let cancelled = result.totals.errors.iter().find(|e| e.kind == Kind::Cancelled).unwrap();
    assert_eq!(cancelled.fault, Fault::Local);
    assert!(cancelled.detail.contains("pipelined on the connection timed out"), "{}", cancelled.detail);
}

#[test]
fn a_server_that_stalls_now_and_then_costs_those_requests_only() {
    let server = Hostile::new(|visit| {
        loop {
            if visit.request()? % 50 == 0 {
                return visit.stall();
            }
            visit.answer()?;
        }
    });
    let mut plan = Load::on(server.address(), iterations(400)).plan();
    plan.timeouts.request = Some(Duration::from_secs(1));
    let result = run(plan);
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.started, books.failed_timeout, server.requests()), (400, 8, 400), "{books:?}");
    assert_eq!((result.connections.lost, result.connections.timed_out), (0, 8), "we closed them");
}

/// A listener whose queue is full: the kernel answers no further SYN.
fn full_backlog() -> (socket2::Socket, SocketAddr, Vec<TcpStream>) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let waiting = (0..8).map_while(|_| TcpStream::connect_timeout(&address, ms(150)).ok()).collect();
    (listener, address, waiting)
}

#[test]
fn a_server_that_accepts_nobody_is_a_connect_timeout_in_words() {
    let (_listener, address, waiting) = full_backlog();
    assert!(waiting.len() < 8, "the backlog does not fill on this system");
    let mut plan = Load::on(address, iterations(8)).plan();
    plan.timeouts.connect = Some(ms(100));
    let error = try_run(plan).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no answer within 100ms") && text.contains(&address.to_string()), "{text}");
}

#[test]
fn a_server_that_closes_after_each_response_without_a_word_costs_one_request_each_at_most() {
    let server = Hostile::new(|visit| {
        visit.request()?;
        visit.answer()
    });
    let result = run(Load::on(server.address(), iterations(500)).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!(books.started, 500);
    assert_eq!(books.succeeded, server.requests(), "{books:?} {:?}", result.totals.errors);
    assert!(books.failed <= books.succeeded, "{books:?}");
    assert!(result.totals.errors.iter().all(|e| e.fault == Fault::Network), "{:?}", result.totals.errors);
}

/// Pipelined behind a response that closes, a request is thrown away by the server; whoever does that each time would
/// fail most of them (RFC 9112 section 9.3.2).
#[test]
fn a_server_that_says_close_with_each_response_is_not_pipelined_to() {
    let server = Hostile::new(|visit| {
        visit.request()?;
        visit.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    });
    let load = Load { streams: 8, users: 32, ..Load::on(server.address(), iterations(300)) };
    let result = run(load.plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.succeeded, books.failed, books.retried), (300, 0, 0), "{:?}", result.totals.errors);
    assert_eq!((server.requests(), server.connections()), (300, 300));
}

/// A server that says with the last of so many answers that it closes, and then reads the rest away: as nginx does with
/// `keepalive_requests`.
fn served_at_most(most: u32) -> Hostile {
    Hostile::new(move |visit| {
        for _ in 1..most {
            visit.request()?;
            visit.answer()?;
        }
        visit.request()?;
        visit.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
        visit.stream.shutdown(Shutdown::Write)?;
        visit.stall()
    })
}

/// The last answer on a connection says so; what is pipelined behind it goes to the next one, the oldest first: four
/// connections serve each of them.
#[test]
fn what_is_pipelined_behind_the_last_of_a_connection_is_sent_again_in_its_order() {
    let server = served_at_most(10);
    let load = Load { streams: 24, users: 96, ..Load::on(server.address(), iterations(2000)) };
    let result = run(load.plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.succeeded, books.failed), (2000, 0), "{:?}", result.totals.errors);
    assert_eq!(server.requests(), 2000);
    assert!(books.retried > 1000, "{books:?}");
}

/// However deep the pipelines are and whoever takes which connection: as long as each connection brings answers, what it
/// leaves over is not given up.
#[test]
fn what_a_connection_that_answers_leaves_over_is_sent_again_until_it_is_answered() {
    for (share, most, users) in [
        (Share::PerUser, 3, 32),
        (Share::PerUser, 2, 32),
        (Share::Pool, 3, 32),
        (Share::Pool, 2, 32),
        (Share::Pool, 3, 20),
        (Share::Pool, 3, 96),
    ] {
        let server = served_at_most(most);
        let load = Load { streams: 8, users, share, ..Load::on(server.address(), iterations(1500)) };
        let result = run(load.plan());
        server.settle();
        let books = result.totals.books;
        let case = format!("{share:?}, {most} answers, {users} users: {books:?} {:?}", result.totals.errors);
        assert_eq!((books.succeeded, books.failed), (1500, 0), "{case}");
        assert_eq!(server.requests(), 1500, "{case}");
        assert!(books.retried > 500, "{case}");
    }
}

/// A server whose every response ends its connection, without a word, in the same segment: whatever is sent next on it
/// crosses the close.
fn silent_closer() -> Hostile {
    Hostile::new(|visit| {
        visit.request()?;
        set_cork(&visit.stream);
        visit.answer()
    })
}

/// `TCP_CORK`: nothing leaves before the close.
fn set_cork(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_tcp_cork(true).unwrap();
}

#[test]
fn a_request_that_crosses_the_close_of_an_idle_connection_is_sent_again() {
    for share in [Share::PerUser, Share::Pool] {
        let server = silent_closer();
        let load = Load { share, ..Load::on(server.address(), iterations(500)) };
        let result = run(load.plan());
        server.settle();
        let books = result.totals.books;
        assert_eq!(books.started, 500);
        assert_eq!(books.succeeded, server.requests(), "what crossed was seen by nobody: {books:?}");
        // Of a pool the next connection may be closed already, too: once is all.
        let most = if share == Share::Pool { books.retried } else { 0 };
        assert!(books.failed <= most, "{books:?} {:?}", result.totals.errors);
        // The ring brings the end with what comes before it.
        let crosses = share == Share::PerUser && support::drivers::options().io != engine::Io::Uring;
        assert!(!crosses || books.retried > books.never_sent, "none has crossed: {books:?}");
    }
}

#[test]
fn one_that_twice_may_not_be_is_not_sent_again() {
    let server = silent_closer();
    let mut plan = Load::on(server.address(), iterations(500)).plan();
    let text = proto::Text::literal;
    plan.scenarios[0].steps[0].template =
        proto::Template::new("POST", proto::Scheme::Http, text("localhost"), text("/")).unwrap();
    let result = run(plan);
    server.settle();
    let books = result.totals.books;
    assert_eq!((books.started, books.succeeded), (500, server.requests()), "{books:?}");
    assert_eq!(books.retried, books.never_sent, "{books:?}");
    let crosses = support::drivers::options().io != engine::Io::Uring;
    assert!(!crosses || books.failed > 0, "none has crossed: {books:?}");
}

#[test]
fn one_that_the_server_had_before_it_closed_has_failed() {
    let server = Hostile::new(|visit| {
        visit.request()?;
        visit.answer()?;
        visit.request().map(|_| ()) // and not a word
    });
    let result = run(Load::on(server.address(), iterations(500)).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!(
        (books.started, books.succeeded + books.failed, server.requests()),
        (500, 500, 500),
        "{books:?}"
    );
    assert!(books.failed >= 240 && books.retried == 0, "the second on each connection: {books:?}");
    assert!(result.totals.errors.iter().all(|e| e.kind == Kind::Closed), "{:?}", result.totals.errors);
}

#[test]
fn nonsense_fails_with_the_rule_it_broke() {
    let cases: [(&str, &[u8], Kind); 6] = [
        ("garbage", b"\x00\xff\x17\x03 what is this?\r\n\r\n", Kind::Head),
        ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n", Kind::Head),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok",
            Kind::Framing,
        ),
        ("bad chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Kind::Framing),
        ("short body", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", Kind::Truncated),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le", Kind::Truncated),
    ];
    for (name, nonsense, kind) in cases {
        let server = Hostile::new(move |visit| {
            visit.request()?;
            visit.say(nonsense)
        });
        let result = run(Load::on(server.address(), iterations(12)).plan());
        server.settle();
        let (books, errors) = (result.totals.books, &result.totals.errors);
        assert_eq!((books.started, books.failed), (12, 12), "{name}: {errors:?}");
        assert_eq!((server.requests(), left(&books)), (12, 12), "{name}");
        assert!(errors.iter().all(|e| e.kind == kind), "{name}: {errors:?}");
    }
}

#[test]
fn an_endless_head_ends_at_the_limit() {
    let server = Hostile::new(|visit| {
        visit.request()?;
        visit.say("HTTP/1.1 200 OK\r\n")?;
        loop {
            visit.say("x-more: and more\r\n".repeat(100))?;
        }
    });
    let result = run(Load::on(server.address(), iterations(8)).plan());
    server.settle();
    let (books, errors) = (result.totals.books, &result.totals.errors);
    assert_eq!((books.started, books.failed, server.requests()), (8, 8, 8));
    assert!(errors.iter().all(|e| (e.fault, e.kind) == (Fault::Peer, Kind::TooLarge)), "{errors:?}");
}

/// An answer to nothing may meet a request already on its way and be taken for its answer; never for that of two.
#[test]
fn bytes_that_answer_no_request_are_counted_for_none() {
    let early = Hostile::new(|visit| {
        visit.answer()?;
        visit.stall()
    });
    let mut plan = Load::on(early.address(), iterations(12)).plan();
    plan.timeouts.request = Some(ms(200));
    let books = run(plan).totals.books;
    assert_eq!(books.started, 12);
    early.settle();

    let twice = Hostile::new(|visit| {
        loop {
            visit.request()?;
            visit.answer_times(2)?; // one after the other, each request could meet the answer before its own
        }
    });
    let result = run(Load::on(twice.address(), iterations(200)).plan());
    twice.settle();
    let (books, seen) = (result.totals.books, twice.requests());
    assert_eq!(books.started, 200);
    assert!(left(&books) >= seen && left(&books) <= seen + twice.connections(), "{books:?}, {seen}");
}

/// RFC 9112 section 8: a body that the end of the connection ends is complete only where the connection ended in order.
#[test]
fn a_reset_does_not_complete_a_body_that_lasts_until_the_close() {
    for reset in [false, true] {
        let server = Hostile::new(move |visit| {
            visit.request()?;
            visit.say("HTTP/1.1 200 OK\r\n\r\nas far as it goes")?;
            std::thread::sleep(ms(10)); // the client has read it
            if reset { visit.reset() } else { Ok(()) }
        });
        let result = run(Load::on(server.address(), iterations(12)).plan());
        server.settle();
        let books = result.totals.books;
        let expected = if reset { (0, 12) } else { (12, 0) };
        assert_eq!((books.succeeded, books.failed), expected, "reset {reset}: {:?}", result.totals.errors);
        assert_eq!(result.connections.lost, expected.1, "reset {reset}");
        assert_eq!(server.requests(), left(&books));
        assert!(result.totals.errors.iter().all(|e| e.kind == Kind::Reset), "{:?}", result.totals.errors);
    }
}

#[test]
fn an_early_answer_to_an_upload_is_an_answer() {
    let server = Hostile::new(|visit| {
        visit.request()?;
        // The close is a reset, because the upload is unread: the answer is there before it.
        visit.say("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    });
    let mut plan = Load::on(server.address(), iterations(100)).plan();
    let step = &mut plan.scenarios[0].steps[0];
    step.template = proto::Template::new(
        "POST",
        proto::Scheme::Http,
        proto::Text::literal("localhost"),
        proto::Text::literal("/"),
    )
    .unwrap()
    .body(proto::Framing::Length, false);
    step.body = bytes::Bytes::from(vec![b'x'; 8 << 20]);
    let result = run(plan);
    server.settle();
    assert_eq!(result.totals.status.get(&413), Some(&100), "{:?}", result.totals.errors);
    assert_eq!(result.totals.books.failed_status, 100);
}
