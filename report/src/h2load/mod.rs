//! A result in the words of h2load, to the letter: what scripts written for h2load read.
//!
//! How its numbers come from ours:
//! - `total` is what was asked for (`-n`); with `-D` it is what ended. `done` are complete responses and streams
//!   that the server reset: what was lost with its connection, timed out or never begun is not done in h2load's eyes.
//! - `succeeded` are complete 2xx and 3xx responses. `failed` are all others: unexpected status, broken, timed out, never
//!   begun although asked for. `errored` are those of them that never got a complete response.
//! - `req/s` of the first line counts every complete response whatever its status, over the time measured (`-D`) or the
//!   time of the whole run (`-n`), as h2load does.
//! - row `request` is the service time (sent to last byte). h2load times every complete response; our service time is of
//!   requests that ended well, so where every failure is one of status, their times are added, and where some failures
//!   have no response the row is of the successes only. Where requests are logged one by one it is of every complete
//!   response, to the microsecond. Percentiles are h2load's: the value at `floor(n * p)` of the sorted ones.
//! - row `connect` is from the start of the connect until requests may go: TCP, and TLS where it is spoken.
//! - `traffic` of HTTP/2 counts header blocks as they came, compressed, and saves what decompressing them adds. HTTP/1.1
//!   compresses nothing.
//! - row `TTFB` is once a connection: from the start of its connect to the first byte of its first response body.
//! - row `req/s` is of the rates of the single connections: complete responses of any status, each over its own time.

mod exact;
mod format;
pub mod json;
mod live;
pub mod log;
mod row;
mod units;

pub use exact::Exact;
pub use format::Format;
pub use live::{Live, Lots};

use engine::stats::{Books, ErrorCount, Figures, QuicFigures, RunResult, Series};
use proto::Kind;
use row::Row;
use std::fmt::Write as _;
use std::time::Duration;

/// What ends the run: h2load's two modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `-n`.
    Count(u64),
    /// `-D`, after a warm-up that may be zero.
    Timed {
        /// `--warm-up-time`.
        warm_up: Duration,
        /// `-D`.
        main: Duration,
    },
}

/// How to show it.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    /// The version whose text is written.
    pub format: Format,
    /// `--histogram`: bars under each row.
    pub histogram: bool,
    /// The service times of every complete response, where they were kept one by one.
    pub exact: Option<&'a Exact>,
}

/// The text h2load ends with, from the empty line before `finished in` on.
pub fn render(result: &RunResult, mode: Mode, style: Style<'_>) -> String {
    let mut out = String::from("\n");
    head(&mut out, result, mode).expect("a String takes every byte");
    out.push_str(style.format.header());
    out.push('\n');
    let [request, connect, first, rate] = style.format.labels();
    let times = [
        (request, request_time(&result.totals)),
        (connect, result.connections.ready.clone()),
        (first, result.connections.connection_first_byte.clone()),
    ];
    for (label, series) in &times {
        let row = match style.exact.filter(|_| *label == request) {
            Some(exact) => Row::of_exact(exact, style.histogram),
            None => Row::of_series(series, style.histogram),
        };
        style.format.row(&mut out, label, &row, units::duration);
    }
    let rates = Row::of_values(&result.client_rates(), style.histogram);
    style.format.row(&mut out, rate, &rates, units::decimal);
    quic_rows(&mut out, &result.connections.quic, style);
    out
}

/// What h2load says of QUIC, in its newer formats.
fn quic_rows(out: &mut String, quic: &QuicFigures, style: Style<'_>) {
    if quic.connections == 0 || style.format == Format::Classic {
        return;
    }
    for (label, series) in [("min RTT", &quic.rtt_min), ("smoothed RTT", &quic.rtt_smoothed)] {
        style.format.row(out, label, &Row::of_series(series, style.histogram), units::duration);
    }
    for (label, series) in [
        ("packets sent", &quic.packets_sent),
        ("packets recv", &quic.packets_received),
        ("packets lost", &quic.packets_lost),
        ("GRO packets", &quic.received_together),
    ] {
        style.format.row_of_numbers(out, label, &Row::of_numbers(series, style.histogram));
    }
}

fn head(out: &mut String, result: &RunResult, mode: Mode) -> std::fmt::Result {
    let (books, bytes) = (&result.totals.books, &result.totals.bytes);
    let totals = Totals::of(result, mode);
    writeln!(
        out,
        "finished in {}, {:.2} req/s, {}B/s",
        units::duration(result.wall.as_micros() as f64 / 1e6),
        totals.requests_per_second,
        units::bytes(totals.bytes_per_second as u64)
    )?;
    writeln!(
        out,
        "requests: {} total, {} started, {} done, {} succeeded, {} failed, {} errored, {} timeout",
        totals.total,
        totals.started,
        totals.done,
        books.succeeded,
        totals.failed,
        totals.errored,
        books.failed_timeout
    )?;
    let class = |n| result.totals.status_class(n);
    writeln!(out, "status codes: {} 2xx, {} 3xx, {} 4xx, {} 5xx", class(2), class(3), class(4), class(5))?;
    let saved = match bytes.headers_decoded {
        0 => 0.0,
        decoded => (1.0 - bytes.headers as f64 / decoded as f64) * 100.0,
    };
    let sized = |n: u64| format!("{}B ({n})", units::bytes(n));
    writeln!(
        out,
        "traffic: {} total, {} headers (space savings {saved:.2}%), {} data",
        sized(bytes.received),
        sized(bytes.headers),
        sized(bytes.data)
    )?;
    let quic = &result.connections.quic;
    if quic.connections > 0 {
        writeln!(out, "UDP datagram: {} sent, {} received", quic.datagrams_sent, quic.datagrams_received)?;
    }
    Ok(())
}

/// What the first lines say beside the books.
struct Totals {
    total: u64,
    started: u64,
    done: u64,
    failed: u64,
    errored: u64,
    requests_per_second: f64,
    bytes_per_second: f64,
}

impl Totals {
    fn of(result: &RunResult, mode: Mode) -> Totals {
        let books = &result.totals.books;
        let (total, measured) = match mode {
            Mode::Count(n) => (n, result.wall.as_secs_f64()),
            Mode::Timed { .. } => (books.ended(), result.elapsed.as_secs_f64()),
        };
        let per_second = |n: u64| if measured > 0.0 { n as f64 / measured } else { 0.0 };
        let never_ended = total.saturating_sub(books.ended());
        let is_reset = |e: &&ErrorCount| matches!(e.kind, Kind::StreamReset(_));
        let reset: u64 = result.totals.errors.iter().filter(is_reset).map(|e| e.count).sum();
        // Where there was no connection h2load has started nothing.
        let (started, done) = match result.connections.opened {
            0 => (0, 0),
            _ => (books.started, complete(books) + reset),
        };
        Totals {
            total,
            started,
            done,
            failed: books.failed + never_ended,
            errored: books.failed - books.failed_status + never_ended,
            requests_per_second: per_second(complete(books)),
            bytes_per_second: per_second(result.totals.bytes.received),
        }
    }
}

/// Requests with a complete response.
fn complete(books: &Books) -> u64 {
    books.succeeded + books.failed_status
}

fn request_time(figures: &Figures) -> Series {
    let mut series = figures.service_time.clone();
    if figures.books.failed > 0 && figures.books.failed == figures.books.failed_status {
        series.merge(&figures.failed_time);
    }
    series
}
