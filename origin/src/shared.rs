//! What all threads share: the settings of the site, and everybody's counters for whoever asks. Read-only on
//! the request path. Made by `server.rs`; read by `stats_page.rs` and the demo site.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::counters::{self, Counters};
use crate::session::Keys;
use crate::stats::Stats;

/// One per server.
pub(crate) struct Shared {
    pub(crate) sessions: Keys,
    pub(crate) begun: Instant,
    threads: Vec<Arc<Counters>>,
    /// The counters never go back, as their owners write without looking; a reset only moves where we count
    /// from.
    baseline: Mutex<Stats>,
}

impl Shared {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            sessions: Keys::new(),
            begun: Instant::now(),
            threads: (0..threads).map(|_| Arc::new(Counters::new())).collect(),
            baseline: Mutex::default(),
        }
    }

    /// The counters of each thread.
    pub(crate) fn threads(&self) -> &[Arc<Counters>] {
        &self.threads
    }

    /// What was counted since the last reset.
    pub(crate) fn stats(&self) -> Stats {
        // Locked first: a baseline read later could be ahead of the sum.
        let baseline = self.baseline.lock().unwrap_or_else(PoisonError::into_inner);
        counters::since(self.sum(), &baseline)
    }

    /// Counts from here.
    pub(crate) fn reset(&self) {
        let mut baseline = self.baseline.lock().unwrap_or_else(PoisonError::into_inner);
        *baseline = self.sum();
    }

    fn sum(&self) -> Stats {
        counters::sum(self.threads.iter().map(|counters| &**counters))
    }
}
