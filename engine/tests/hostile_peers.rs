//! Peers that do what no peer should, one row each: every row has a named outcome, ends, and costs a bounded time. What TLS adds
//! is in `faults_tls`, HTTP/2 in `proto-h2/tests/hostile`, HTTP/3 in `proto-h3/tests/hostile.rs`.

mod support;

use proto::{Fault, Kind};
use std::io;
use std::net::Shutdown;
use std::time::Duration;
use support::hostile::{Hostile, Visit};
use support::{Load, iterations, left, ms, run};

support::drivers::over_all_drivers!();

/// What a row comes to.
enum Outcome {
    /// Every request succeeds.
    Good,
    /// Every request fails so.
    Bad(Fault, Kind),
}

use Outcome::{Bad, Good};

struct Row {
    name: &'static str,
    manners: fn(&mut Visit) -> io::Result<()>,
    outcome: Outcome,
}

/// A peer that reads a request, says this, and closes.
macro_rules! says {
    ($name:literal, $bytes:expr, $outcome:expr) => {
        Row {
            name: $name,
            manners: |visit| {
                visit.request()?;
                visit.say($bytes)
            },
            outcome: $outcome,
        }
    };
}

const HEAD: Outcome = Bad(Fault::Peer, Kind::Head);
const FRAMING: Outcome = Bad(Fault::Peer, Kind::Framing);
const TOO_LARGE: Outcome = Bad(Fault::Peer, Kind::TooLarge);
const TRUNCATED: Outcome = Bad(Fault::Network, Kind::Truncated);
const CLOSED: Outcome = Bad(Fault::Network, Kind::Closed);
const RESET: Outcome = Bad(Fault::Network, Kind::Reset);
const TIMEOUT: Outcome = Bad(Fault::Local, Kind::Timeout);

/// A close that reaches the client as RST.
fn reset_soon(visit: &mut Visit) -> io::Result<()> {
    std::thread::sleep(ms(10)); // what was said has been read
    visit.reset()
}

fn rows() -> Vec<Row> {
    vec![
        // heads
        Row {
            name: "head too large",
            manners: |visit| {
                visit.request()?;
                visit.say(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)))
            },
            outcome: TOO_LARGE,
        },
        Row {
            name: "head never ending",
            manners: |visit| {
                visit.request()?;
                visit.say("HTTP/1.1 200 OK\r\n")?;
                loop {
                    visit.say("x-more: and more\r\n".repeat(100))?;
                }
            },
            outcome: TOO_LARGE,
        },
        says!("bad status line", "HTTP/1.1 2x0 OK\r\n\r\n", HEAD),
        says!("no status line", "content-length: 0\r\n\r\n", HEAD),
        says!("another protocol", "SSH-2.0-OpenSSH_9.6\r\n", HEAD),
        says!("NUL in a field", b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n", HEAD),
        says!("bare CR in a value", "HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n", HEAD),
        says!("blank before the colon", "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n", HEAD),
        // RFC 9112 section 2.2 lets a recipient take it for the end of a line.
        says!("bare LF ends lines", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok", Good),
        // lengths
        says!("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok", FRAMING),
        says!(
            "a length that is huge",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
            FRAMING
        ),
        says!("a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nok", FRAMING),
        says!("bad chunk size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", FRAMING),
        says!(
            "chunk size that overflows",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            FRAMING
        ),
        says!(
            "chunk without its end",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay\r\n",
            FRAMING
        ),
        says!(
            "missing terminator",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
            TRUNCATED
        ),
        // ends
        says!("close without a word", "", CLOSED),
        says!("close in the head", "HTTP/1.1 200 OK\r\ncontent-le", TRUNCATED),
        says!("close in the body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", TRUNCATED),
        Row {
            name: "reset before a word",
            manners: |visit| {
                visit.request()?;
                reset_soon(visit)
            },
            outcome: RESET,
        },
        Row {
            name: "reset in the head",
            manners: |visit| {
                visit.request()?;
                visit.say("HTTP/1.1 200 OK\r\ncontent-le")?;
                reset_soon(visit)
            },
            outcome: RESET,
        },
        Row {
            name: "reset in the body",
            manners: |visit| {
                visit.request()?;
                visit.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")?;
                reset_soon(visit)
            },
            outcome: RESET,
        },
        Row {
            name: "half-close before the answer",
            manners: |visit| {
                visit.request()?;
                visit.stream.shutdown(Shutdown::Write)?;
                visit.stall()
            },
            outcome: CLOSED,
        },
        Row {
            name: "half-close as the end of a body",
            manners: |visit| {
                visit.request()?;
                visit.say("HTTP/1.1 200 OK\r\n\r\nthis is all")?;
                visit.stream.shutdown(Shutdown::Write)?;
                visit.stall()
            },
            outcome: Good,
        },
        // slowness
        Row {
            name: "byte by byte",
            manners: |visit| {
                visit.request()?;
                for byte in b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" {
                    visit.say([*byte])?;
                    std::thread::sleep(Duration::from_micros(200));
                }
                visit.stall()
            },
            outcome: Good,
        },
        Row {
            name: "silence",
            manners: |visit| {
                visit.request()?;
                visit.stall()
            },
            outcome: TIMEOUT,
        },
        Row {
            name: "silence in the body",
            manners: |visit| {
                visit.request()?;
                visit.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")?;
                visit.stall()
            },
            outcome: TIMEOUT,
        },
        Row {
            name: "a flood of 1xx",
            manners: |visit| {
                visit.request()?;
                loop {
                    visit.say("HTTP/1.1 102 Processing\r\n\r\n".repeat(50))?;
                }
            },
            outcome: TOO_LARGE,
        },
    ]
}

#[test]
fn every_row_has_its_outcome() {
    let mut wrong = String::new();
    for row in rows() {
        let server = Hostile::new(row.manners);
        let mut plan = Load::on(server.address(), iterations(8)).plan();
        plan.timeouts.request = Some(ms(400));
        // One request a connection where the server closes anyway.
        plan.connections.requests_per_connection = std::num::NonZeroU64::new(1);
        let result = run(plan);
        server.settle();
        let (books, errors) = (result.totals.books, &result.totals.errors);
        let good = match row.outcome {
            Good => books.succeeded == 8,
            Bad(fault, kind) => {
                books.failed == 8 && errors.iter().all(|e| (e.fault, e.kind) == (fault, kind))
            }
        };
        let counted = server.requests() == left(&books);
        if !good || !counted || books.started != 8 {
            wrong += &format!("{}: {books:?} {errors:?}, the server saw {}\n", row.name, server.requests());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Bytes behind a complete response answer nothing: the response counts, the connection does not go on (RFC 9112 section 9.2).
#[test]
fn bytes_after_a_response_end_the_connection() {
    let server = Hostile::new(|visit| {
        visit.request()?;
        visit.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more")?;
        visit.stall()
    });
    let result = run(Load::on(server.address(), iterations(12)).plan());
    server.settle();
    let books = result.totals.books;
    assert_eq!(books.started, 12);
    assert!(server.connections() > 4, "no connection took a second answer from what was left over");
    assert!(books.succeeded >= 4, "{books:?} {:?}", result.totals.errors);
}

/// A response to nothing belongs to no request (RFC 9112 section 9.2).
#[test]
fn a_response_before_the_request_answers_none_of_two() {
    let server = Hostile::new(|visit| {
        visit.answer()?;
        visit.stall()
    });
    let mut plan = Load::on(server.address(), iterations(12)).plan();
    plan.timeouts.request = Some(ms(200));
    let books = run(plan).totals.books;
    server.settle();
    assert_eq!(books.started, 12);
    assert!(books.succeeded <= server.connections(), "at most one answer a connection: {books:?}");
}

/// A peer that reads nothing: the upload does not fit into buffers, and the request times out.
#[test]
fn a_window_that_stays_shut_is_a_timeout() {
    let server = Hostile::new(|visit| {
        std::thread::sleep(ms(1500));
        visit.reset()
    });
    let mut plan = Load::on(server.address(), iterations(4)).plan();
    plan.timeouts.request = Some(ms(300));
    let step = &mut plan.scenarios[0].steps[0];
    let text = proto::Text::literal;
    step.template = proto::Template::new("POST", proto::Scheme::Http, text("localhost"), text("/"))
        .unwrap()
        .body(proto::Framing::Length, false);
    step.body = bytes::Bytes::from(vec![b'x'; 64 << 20]);
    let result = run(plan);
    let (books, errors) = (result.totals.books, &result.totals.errors);
    assert_eq!((books.started, books.failed), (4, 4), "{errors:?}");
    assert!(errors.iter().all(|e| e.kind == Kind::Timeout), "{errors:?}");
    assert!(result.wall < Duration::from_secs(10), "{:?}", result.wall);
}
