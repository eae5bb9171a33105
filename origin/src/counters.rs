//! The counters of one thread, and their sum over all threads. One thread writes, anyone reads: no counter is
//! shared between writers, so none is contended. `Exchange` and `Link` count here; `shared.rs` reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use crate::limits::{MAX_PATH_LENGTH, MAX_PATHS};
use crate::stats::{ConnectionStats, PathStats, Stats};

/// A plain number.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    AcceptedClear,
    AcceptedTls,
    AcceptedQuic,
    Http2,
    RequestsH1,
    RequestsH2,
    RequestsH3,
    HandshakesFailed,
    HandshakesResumed,
    EarlyRequests,
    Refused,
    Closed,
    Malformed,
    Faults,
    ResponsesSent,
    BodyBytesSent,
    BodyBytesReceived,
}

const COUNTS: usize = Count::BodyBytesReceived as usize + 1;

/// Statuses have three digits.
const STATUSES: usize = 1000;

/// The counters of one thread. On cache lines of its own (two, as they are fetched in pairs).
#[repr(align(128))]
pub(crate) struct Counters {
    counts: [AtomicU64; COUNTS],
    /// `/` alone, as it takes nearly all requests in a benchmark and must not cost a lookup.
    root_requests: AtomicU64,
    root_statuses: [AtomicU64; STATUSES],
    /// All other paths. Locked by readers too, but they come once in a while.
    paths: Mutex<Paths>,
}

/// Where a request was counted, and its response will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathId {
    Root,
    Other(usize),
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTS],
            root_requests: AtomicU64::new(0),
            root_statuses: [const { AtomicU64::new(0) }; STATUSES],
            paths: Mutex::default(),
        }
    }

    /// Adds `n`. Only from the thread that owns these counters.
    pub(crate) fn add(&self, count: Count, n: u64) {
        increase(&self.counts[count as usize], n);
    }

    /// Counts a request, once its head is there. Only from the owning thread.
    pub(crate) fn request(&self, path: &str) -> PathId {
        if path == "/" {
            increase(&self.root_requests, 1);
            return PathId::Root;
        }
        PathId::Other(self.paths().request(path))
    }

    /// Counts the response to it. Only from the owning thread.
    pub(crate) fn response(&self, path: PathId, status: StatusCode) {
        let status = status.as_u16();
        match path {
            PathId::Root => increase(&self.root_statuses[usize::from(status)], 1),
            PathId::Other(index) => self.paths().response(index, status),
        }
    }

    fn count(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Relaxed)
    }

    fn paths(&self) -> MutexGuard<'_, Paths> {
        // The numbers are good even if a reader died while holding them.
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sums the counters of all threads.
pub(crate) fn sum<'a>(threads: impl Iterator<Item = &'a Counters> + Clone) -> Stats {
    let total = |count| threads.clone().map(|counters| counters.count(count)).sum::<u64>();
    let accepted = total(Count::AcceptedClear) + total(Count::AcceptedTls) + total(Count::AcceptedQuic);
    let mut stats = Stats {
        responses_sent: total(Count::ResponsesSent),
        connections: ConnectionStats {
            clear: total(Count::AcceptedClear),
            tls: total(Count::AcceptedTls),
            h2: total(Count::Http2),
            h3: total(Count::AcceptedQuic),
            handshakes_failed: total(Count::HandshakesFailed),
            handshakes_resumed: total(Count::HandshakesResumed),
            early_requests: total(Count::EarlyRequests),
            refused: total(Count::Refused),
            // A connection may close between the two readings.
            open: accepted.saturating_sub(total(Count::Closed)),
        },
        by_protocol: [
            ("h1", total(Count::RequestsH1)),
            ("h2", total(Count::RequestsH2)),
            ("h3", total(Count::RequestsH3)),
        ]
        .into(),
        malformed: total(Count::Malformed),
        faults: total(Count::Faults),
        body_bytes_sent: total(Count::BodyBytesSent),
        body_bytes_received: total(Count::BodyBytesReceived),
        ..Stats::default()
    };
    for counters in threads {
        add_paths(&mut stats.by_path, counters);
    }
    total_up(&mut stats);
    stats
}

/// What was counted since `baseline`, an earlier [`sum`].
pub(crate) fn since(mut stats: Stats, baseline: &Stats) -> Stats {
    stats.responses_sent -= baseline.responses_sent;
    for (protocol, then) in &baseline.by_protocol {
        *stats.by_protocol.entry(protocol).or_insert(*then) -= then;
    }
    stats.malformed -= baseline.malformed;
    stats.faults -= baseline.faults;
    stats.body_bytes_sent -= baseline.body_bytes_sent;
    stats.body_bytes_received -= baseline.body_bytes_received;
    let (now, then) = (&mut stats.connections, &baseline.connections);
    now.clear -= then.clear;
    now.tls -= then.tls;
    now.h2 -= then.h2;
    now.h3 -= then.h3;
    now.handshakes_failed -= then.handshakes_failed;
    now.handshakes_resumed -= then.handshakes_resumed;
    now.early_requests -= then.early_requests;
    now.refused -= then.refused;
    for (path, then) in &baseline.by_path {
        let Some(now) = stats.by_path.get_mut(path) else { continue };
        now.requests -= then.requests;
        for (status, count) in &then.by_status {
            *now.by_status.entry(*status).or_insert(*count) -= count;
        }
        now.by_status.retain(|_, count| *count > 0);
    }
    stats.by_path.retain(|_, path| path.requests > 0 || !path.by_status.is_empty());
    total_up(&mut stats);
    stats
}

/// Fills in what follows from the paths, so that the sums always agree.
fn total_up(stats: &mut Stats) {
    stats.by_status.clear();
    for path in stats.by_path.values() {
        for (status, count) in &path.by_status {
            *stats.by_status.entry(*status).or_default() += count;
        }
    }
    stats.requests = stats.by_path.values().map(|path| path.requests).sum();
    stats.responses = stats.by_status.values().sum();
}

fn add_paths(by_path: &mut BTreeMap<String, PathStats>, counters: &Counters) {
    let paths = counters.paths();
    let names = paths.index.iter().map(|(name, index)| (&**name, *index));
    for (name, index) in names.chain([("other", OTHER)]) {
        let Some(cell) = paths.cells.get(index) else { continue };
        let path = by_path.entry(name.to_owned()).or_default();
        path.requests += cell.requests;
        for (status, count) in &cell.statuses {
            *path.by_status.entry(*status).or_default() += count;
        }
    }
    drop(paths);
    let root = by_path.entry("/".to_owned()).or_default();
    root.requests += counters.root_requests.load(Relaxed);
    for (status, count) in (0..).zip(&counters.root_statuses) {
        let count = count.load(Relaxed);
        if count > 0 {
            *root.by_status.entry(status).or_default() += count;
        }
    }
    by_path.retain(|_, path| path.requests > 0);
}

/// An atomic add would lock the cache line for nothing: there is one writer.
fn increase(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// The place in [`Paths::cells`] for paths that get none of their own.
const OTHER: usize = 0;

#[derive(Default)]
struct Paths {
    index: HashMap<Box<str>, usize>,
    cells: Vec<Cell>,
}

#[derive(Clone, Default)]
struct Cell {
    requests: u64,
    /// Few, so a list beats a map; never more than there are statuses.
    statuses: Vec<(u16, u64)>,
}

impl Paths {
    fn request(&mut self, path: &str) -> usize {
        let index = self.place(path);
        self.cells[index].requests += 1;
        index
    }

    fn place(&mut self, path: &str) -> usize {
        if let Some(index) = self.index.get(path) {
            return *index;
        }
        if self.cells.is_empty() {
            self.cells.push(Cell::default());
        }
        if self.cells.len() > MAX_PATHS || path.len() > MAX_PATH_LENGTH {
            return OTHER;
        }
        self.cells.push(Cell::default());
        self.index.insert(path.into(), self.cells.len() - 1);
        self.cells.len() - 1
    }

    fn response(&mut self, index: usize, status: u16) {
        let statuses = &mut self.cells[index].statuses;
        match statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => statuses.push((status, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(counters: &Counters, path: &str, status: u16) {
        let path = counters.request(path);
        counters.response(path, StatusCode::from_u16(status).unwrap());
    }

    #[test]
    fn threads_add_up_and_a_baseline_takes_away() {
        let threads = [Counters::new(), Counters::new()];
        for counters in &threads {
            exchange(counters, "/", 200);
            exchange(counters, "/", 503);
            exchange(counters, "/a", 404);
            counters.add(Count::BodyBytesSent, 7);
        }
        let before = sum(threads.iter());
        assert_eq!((before.requests, before.responses, before.body_bytes_sent), (6, 6, 14));
        assert_eq!(before.by_status, BTreeMap::from([(200, 2), (404, 2), (503, 2)]));
        assert_eq!(before.by_path["/a"].requests, 2);

        exchange(&threads[1], "/a", 200);
        let after = since(sum(threads.iter()), &before);
        assert_eq!((after.requests, after.body_bytes_sent), (1, 0));
        assert_eq!(after.by_path.len(), 1);
        assert_eq!(after.by_path["/a"].by_status, BTreeMap::from([(200, 1)]));
    }

    #[test]
    fn paths_beyond_the_bound_share_one_place() {
        let counters = Counters::new();
        for number in 0..MAX_PATHS + 10 {
            exchange(&counters, &format!("/{number}"), 404);
        }
        exchange(&counters, &"/long".repeat(MAX_PATH_LENGTH), 404);
        let stats = sum([&counters].into_iter());
        assert_eq!(stats.requests, MAX_PATHS as u64 + 11);
        assert_eq!(stats.by_path.len(), MAX_PATHS + 1);
        assert_eq!(stats.by_path["other"].requests, 11);
    }

    #[test]
    fn a_request_without_response_is_still_counted() {
        let counters = Counters::new();
        counters.request("/");
        let stats = sum([&counters].into_iter());
        assert_eq!((stats.requests, stats.responses), (1, 0));
    }
}
