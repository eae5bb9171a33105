//! What becomes of each request, one by one, for whoever wants to keep it (`--log-file`).
//!
//! The cores gather requests that ended and pass them on in batches; a thread of its own hands them to the caller's
//! function. The queue between them is bounded. When it is full a core waits, so that nothing is lost, and counts that it
//! did: such a run measured the log as well. Statistics come from elsewhere (`stats`).

use crate::limits;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// A request of a recorded phase that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When it was sent, in nanoseconds since 1970; when it was due if it never was sent.
    pub began_ns: u64,
    /// From then to its end, in nanoseconds.
    pub took_ns: u64,
    /// The status of its response; `None` if there was no complete one.
    pub status: Option<u16>,
}

type Function = dyn FnMut(&[Ended]) + Send;

/// Where requests that ended go.
#[derive(Clone)]
pub struct RequestLog(Arc<Mutex<Box<Function>>>);

impl RequestLog {
    /// To a function, which is called on one thread, batch by batch. Requests come in the order in which they ended on
    /// their core.
    pub fn to(function: impl FnMut(&[Ended]) + Send + 'static) -> RequestLog {
        RequestLog(Arc::new(Mutex::new(Box::new(function))))
    }

    /// What the writing thread does: hands batches on until every core has ended.
    pub(crate) fn write(&self, batches: &Receiver<Vec<Ended>>) {
        let mut function = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(batch) = batches.recv() {
            function(&batch);
        }
    }
}

impl fmt::Debug for RequestLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestLog")
    }
}

/// The queue from the cores to the writing thread.
pub(crate) fn queue() -> (SyncSender<Vec<Ended>>, Receiver<Vec<Ended>>) {
    sync_channel(limits::LOG_BATCHES)
}

/// A core's end of the log.
pub(crate) struct CoreLog {
    /// The run's zero of time, in nanoseconds since 1970.
    epoch_ns: u64,
    /// Which phases are recorded.
    recorded: Vec<bool>,
    batch: Vec<Ended>,
    queue: SyncSender<Vec<Ended>>,
    waits: u64,
}

impl CoreLog {
    pub(crate) fn new(epoch_ns: u64, recorded: Vec<bool>, queue: SyncSender<Vec<Ended>>) -> CoreLog {
        CoreLog { epoch_ns, recorded, batch: Vec::with_capacity(limits::LOG_BATCH), queue, waits: 0 }
    }

    /// A request ended. `began` is on the run's time line.
    #[inline]
    pub(crate) fn note(&mut self, phase: u16, began: proto::Time, took_ns: u64, status: Option<u16>) {
        if !self.recorded[usize::from(phase)] {
            return;
        }
        self.batch.push(Ended { began_ns: self.epoch_ns + began.as_nanos(), took_ns, status });
        if self.batch.len() == limits::LOG_BATCH {
            self.pass_on();
        }
    }

    /// Passes on what was gathered.
    pub(crate) fn pass_on(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(limits::LOG_BATCH));
        if let Err(TrySendError::Full(batch)) = self.queue.try_send(batch) {
            self.waits += 1;
            // Fails only where the writer is gone: the verdict says that it panicked.
            let _ = self.queue.send(batch);
        }
    }

    /// Passes on the rest. Returns how often the core had to wait.
    pub(crate) fn end(mut self) -> u64 {
        self.pass_on();
        self.waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Time;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::{Acquire, Release};

    #[test]
    fn nothing_is_lost_when_the_writer_is_slow() {
        let (send, receive) = queue();
        let n = (limits::LOG_BATCH * (limits::LOG_BATCHES + 3) + 7) as u64;
        let waiting = Arc::new(AtomicBool::new(false));
        let begin = waiting.clone();
        let core = std::thread::spawn(move || {
            let mut log = CoreLog::new(1000, vec![false, true], send);
            for i in 0..n {
                // The next batch finds the queue full.
                if i == (limits::LOG_BATCH * (limits::LOG_BATCHES + 1)) as u64 - 1 {
                    waiting.store(true, Release);
                }
                log.note(0, Time::from_nanos(i), 1, None);
                log.note(1, Time::from_nanos(i), 2 * i, Some(200));
            }
            log.end()
        });
        while !begin.load(Acquire) {
            std::thread::yield_now();
        }
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = RequestLog::to({
            let seen = seen.clone();
            move |batch| seen.lock().unwrap().extend_from_slice(batch)
        });
        log.write(&receive);
        assert!(core.join().unwrap() <= 4, "waits only where the queue is full");
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len() as u64, n);
        for (i, ended) in (0..n).zip(seen.iter()) {
            assert_eq!(*ended, Ended { began_ns: 1000 + i, took_ns: 2 * i, status: Some(200) });
        }
    }
}
