//! The books: every request that was started is in exactly one place.

/// Counts of requests. `started == succeeded + failed + abandoned + in_flight`, asserted at every snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Begun by a virtual user. A retry of the engine's is not another start.
    pub started: u64,
    /// Complete, with a status that was expected.
    pub succeeded: u64,
    /// Ended badly: an unexpected status, a broken response, a timeout, a lost connection.
    pub failed: u64,
    /// Still in flight when the run ended.
    pub abandoned: u64,
    /// In flight now; zero in a result.
    pub in_flight: u64,
    /// Of `failed`: a complete response with an unexpected status.
    pub failed_status: u64,
    /// Of `failed`: no answer within a timeout.
    pub failed_timeout: u64,
    /// Attempts beyond the first, made because the server certainly had not processed the one before.
    pub retried: u64,
    /// Attempts of which no byte was handed to the kernel when they ended: what the server cannot have seen.
    pub never_sent: u64,
}

impl Books {
    /// Whether every started request is accounted for.
    pub fn balance(&self) -> bool {
        self.started == self.succeeded + self.failed + self.abandoned + self.in_flight
    }

    /// Adds another set of books to these.
    pub fn merge(&mut self, other: &Books) {
        self.started += other.started;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.abandoned += other.abandoned;
        self.in_flight += other.in_flight;
        self.failed_status += other.failed_status;
        self.failed_timeout += other.failed_timeout;
        self.retried += other.retried;
        self.never_sent += other.never_sent;
    }

    /// What was added to earlier books of the same requests. `in_flight` is no count: it stays as it is.
    pub(crate) fn since(&self, before: &Books) -> Books {
        Books {
            started: self.started - before.started,
            succeeded: self.succeeded - before.succeeded,
            failed: self.failed - before.failed,
            abandoned: self.abandoned - before.abandoned,
            in_flight: self.in_flight,
            failed_status: self.failed_status - before.failed_status,
            failed_timeout: self.failed_timeout - before.failed_timeout,
            retried: self.retried - before.retried,
            never_sent: self.never_sent - before.never_sent,
        }
    }

    /// Ended, well or badly.
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed
    }
}
