//! What all threads share: the settings of the site, and everybody's counters for whoever asks. Read-only on
//! the request path. Made by `server.rs`; read by `stats_page.rs` and the demo site.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use tokio::time::Instant;

use crate::bucket::{Bucket, Limit};
use crate::counters::{self, Counters};
use crate::limits::MAX_BUCKETS;
use crate::session::Keys;
use crate::stats::Stats;

/// One per server.
pub(crate) struct Shared {
    pub(crate) sessions: Keys,
    pub(crate) begun: Instant,
    /// Where HTTP/3 is, for the responses over TLS (RFC 7838). Empty: nothing is said.
    pub(crate) alt_svc: HeaderValue,
    /// What the whole site is limited by.
    pub(crate) limit: Option<Bucket>,
    /// Those of the page `/limited`.
    buckets: Mutex<Vec<Arc<Bucket>>>,
    threads: Vec<Arc<Counters>>,
    /// QUIC handshakes that resumed a session: which thread's they were is not known where that shows.
    resumed: Arc<AtomicU64>,
    /// The counters never go back, as their owners write without looking; a reset only moves where we count
    /// from.
    baseline: Mutex<Stats>,
}

impl Shared {
    pub(crate) fn new(
        threads: usize,
        alt_svc: HeaderValue,
        resumed: Arc<AtomicU64>,
        limit: Option<Limit>,
    ) -> Self {
        Self {
            sessions: Keys::new(),
            begun: Instant::now(),
            alt_svc,
            resumed,
            limit: limit.map(Bucket::new),
            buckets: Mutex::default(),
            threads: (0..threads).map(|_| Arc::new(Counters::new())).collect(),
            baseline: Mutex::default(),
        }
    }

    /// The bucket of a limit: one for all who ask for the same. `None`: there are too many.
    pub(crate) fn bucket(&self, limit: Limit) -> Option<Arc<Bucket>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.iter().find(|bucket| bucket.limit == limit) {
            return Some(bucket.clone());
        }
        (buckets.len() < MAX_BUCKETS).then(|| {
            let bucket = Arc::new(Bucket::new(limit));
            buckets.push(bucket.clone());
            bucket
        })
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
        let mut stats = counters::sum(self.threads.iter().map(|counters| &**counters));
        stats.connections.handshakes_resumed += self.resumed.load(Relaxed);
        stats
    }
}
