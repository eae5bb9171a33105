//! The time series of a run: a row for each interval and each phase whose requests did something in it, with histograms
//! that merge. Made by `stock` on the caller's thread, rendered by `report`.

use super::series::Packed;
use super::{Books, Bytes, Figures};
use std::time::Duration;

/// The rows of a run, in order.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// What was asked for; a row may be longer where a core was late, and the last is shorter.
    pub interval: Duration,
    /// By time, then by phase. All rows of a phase together are the figures of the phase, to the request.
    pub rows: Vec<Row>,
}

/// What happened in an interval to the requests that began in one phase.
#[derive(Clone, Debug)]
pub struct Row {
    /// Since the start of the run.
    pub began: Duration,
    /// Likewise. What a core did in the turn that met the end of an interval is in the interval before.
    pub ended: Duration,
    /// Index of the phase.
    pub phase: usize,
    /// What changed in the interval, but `in_flight`: at its end.
    pub books: Books,
    /// Iterations that ended.
    pub iterations: u64,
    /// Arrivals of the open model that came due.
    pub arrived: u64,
    /// Of them: found every user busy.
    pub waited: u64,
    /// Of them: never begun.
    pub dropped: u64,
    /// Of them: not begun because their scenario had no more rows of data.
    pub without_data: u64,
    /// Connections of phases of handshakes that were opened.
    pub handshakes_opened: u64,
    /// Those that were not.
    pub handshakes_failed: u64,
    /// Those that were still being opened at the end of the run, or of a phase that does not wait.
    pub handshakes_abandoned: u64,
    /// Checks that passed.
    pub checks_passed: u64,
    /// Checks that failed.
    pub checks_failed: u64,
    /// Bytes moved; heads are not counted here.
    pub bytes: Bytes,
    /// Connections open at the end of the interval, whatever the phase.
    pub open: u64,
    /// Due to last byte, of requests that ended well.
    pub response_time: Packed,
    /// Sent to last byte, of the same.
    pub service_time: Packed,
    /// Due to sent, of the same; due to begun, of connections of phases of handshakes.
    pub send_lag: Packed,
    /// Due to open, of connections of phases of handshakes.
    pub opening_time: Packed,
}

impl Row {
    /// Where requests without delay are the only ones, response and service time are the same values, kept once.
    pub(crate) fn new(
        times: (Duration, Duration),
        phase: usize,
        figures: &Figures,
        in_flight: u64,
        open: u64,
    ) -> Row {
        let response_time = figures.response_time.pack();
        let service_time = match figures.send_lag.max_ns() {
            0 => response_time.clone(),
            _ => figures.service_time.pack(),
        };
        Row {
            began: times.0,
            ended: times.1,
            phase,
            books: Books { in_flight, ..figures.books },
            iterations: figures.iterations,
            arrived: figures.arrived,
            waited: figures.waited,
            dropped: figures.dropped,
            without_data: figures.without_data,
            handshakes_opened: figures.handshakes.opened,
            handshakes_failed: figures.handshakes.failed,
            handshakes_abandoned: figures.handshakes.abandoned,
            checks_passed: figures.checks_passed,
            checks_failed: figures.checks_failed,
            bytes: figures.bytes,
            open,
            response_time,
            service_time,
            send_lag: figures.send_lag.pack(),
            opening_time: figures.handshakes.opening_time.pack(),
        }
    }
}
