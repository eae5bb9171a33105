//! The timers of one thread: an ordered queue of deadlines over one `timerfd`, so a delay keeps its
//! microseconds. Not a clock for anything else. `worker.rs` runs them; delayed responses, faults, handshakes
//! and QUIC connections sleep on them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::timerfd::TimerFd;

/// The deadlines of one thread.
pub(crate) struct Timers {
    fd: AsyncFd<TimerFd>,
    queue: RefCell<Queue>,
}

impl Timers {
    /// Needs the thread's runtime to be entered.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        let timer = TimerFd::new()?;
        // SAFETY: a TimerFd owns one open descriptor, always the same, and closes it when it is dropped with
        // the AsyncFd.
        let fd = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        Ok(Rc::new(Self { fd, queue: RefCell::default() }))
    }

    /// Ends at `deadline`, never before.
    pub(crate) fn sleep_until(self: &Rc<Self>, deadline: Instant) -> Sleep {
        Sleep { timers: self.clone(), alarm: Alarm::new(deadline) }
    }

    /// Ends `after` from now, never before.
    pub(crate) fn sleep(self: &Rc<Self>, after: Duration) -> Sleep {
        self.sleep_until(Instant::now() + after)
    }

    /// What `future` gives, or `None` once `limit` has passed.
    pub(crate) async fn within<F: Future>(self: &Rc<Self>, limit: Duration, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut sleep = self.sleep(limit);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| None),
        })
        .await
    }

    /// Wakes sleepers for ever. Ends only if the descriptor fails, which would be a bug of ours.
    pub(crate) async fn run(&self) -> io::Result<()> {
        loop {
            let mut ready = self.fd.readable().await?;
            self.fd.get_ref().clear();
            ready.clear_ready();
            self.wake_due()?;
        }
    }

    fn wake_due(&self) -> io::Result<()> {
        let now = Instant::now();
        let mut queue = self.queue.borrow_mut();
        queue.armed = None;
        while let Some(entry) = queue.sleepers.first_entry() {
            if entry.key().0 > now {
                let next = entry.key().0;
                queue.armed = Some(next);
                return self.fd.get_ref().arm(next - now);
            }
            // Waking only puts a task into the run queue; nobody calls back into ours.
            entry.remove().wake();
        }
        Ok(())
    }

    fn insert(&self, deadline: Instant, waker: Waker) -> Key {
        let mut queue = self.queue.borrow_mut();
        queue.serial += 1;
        let key = (deadline, queue.serial);
        queue.sleepers.insert(key, waker);
        if queue.armed.is_none_or(|armed| deadline < armed) {
            let after = deadline.saturating_duration_since(Instant::now());
            // Cannot fail with an open descriptor and a legal time; if it did, the sleeper would wait for the
            // next.
            if self.fd.get_ref().arm(after).is_ok() {
                queue.armed = Some(deadline);
            }
        }
        key
    }
}

type Key = (Instant, u64);

/// Bounded by the requests and handshakes in flight, as each sleeper is one of them.
#[derive(Default)]
struct Queue {
    sleepers: BTreeMap<Key, Waker>,
    /// When the descriptor will become readable. It may be earlier than the first sleeper, if that one has
    /// gone.
    armed: Option<Instant>,
    /// Tells equal deadlines apart.
    serial: u64,
}

/// A deadline, and its place in the queue once it has been waited for. Whoever has one cancels it.
#[derive(Debug)]
pub(crate) struct Alarm {
    deadline: Instant,
    key: Option<Key>,
}

impl Alarm {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { deadline, key: None }
    }

    pub(crate) fn poll(&mut self, timers: &Timers, cx: &Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        if let Some(key) = self.key
            && let Some(waker) = timers.queue.borrow_mut().sleepers.get_mut(&key)
        {
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        self.key = Some(timers.insert(self.deadline, cx.waker().clone()));
        Poll::Pending
    }

    pub(crate) fn cancel(&mut self, timers: &Timers) {
        if let Some(key) = self.key.take() {
            timers.queue.borrow_mut().sleepers.remove(&key);
        }
    }
}

/// A sleep on [`Timers`]; leaves the queue when dropped.
pub(crate) struct Sleep {
    timers: Rc<Timers>,
    alarm: Alarm,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { timers, alarm } = &mut *self;
        alarm.poll(timers, cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.alarm.cancel(&self.timers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;

    fn in_runtime<F: Future>(test: impl FnOnce(Rc<Timers>) -> F) -> F::Output {
        let runtime = Builder::new_current_thread().enable_io().build_local(Default::default()).unwrap();
        runtime.block_on(async {
            let timers = Timers::new().unwrap();
            let driver = timers.clone();
            tokio::task::spawn_local(async move { driver.run().await });
            test(timers).await
        })
    }

    #[test]
    fn sleeps_end_in_order_and_never_early() {
        in_runtime(async |timers| {
            let begun = Instant::now();
            let ended = Rc::new(RefCell::new(Vec::new()));
            let mut tasks = Vec::new();
            for micros in [3000, 250, 1000, 250] {
                let (timers, ended) = (timers.clone(), ended.clone());
                tasks.push(tokio::task::spawn_local(async move {
                    let after = Duration::from_micros(micros);
                    timers.sleep_until(begun + after).await;
                    assert!(begun.elapsed() >= after);
                    ended.borrow_mut().push(micros);
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*ended.borrow(), [250, 250, 1000, 3000]);
            assert!(timers.queue.borrow().sleepers.is_empty());
        });
    }

    #[test]
    fn a_dropped_sleep_leaves_the_queue() {
        in_runtime(async |timers| {
            let limit = Duration::from_secs(60);
            assert_eq!(timers.within(limit, timers.sleep(Duration::from_micros(100))).await, Some(()));
            assert!(timers.queue.borrow().sleepers.is_empty());
        });
    }

    #[test]
    fn a_limit_ends_what_would_never_end() {
        in_runtime(async |timers| {
            let never = std::future::pending::<()>();
            assert_eq!(timers.within(Duration::from_millis(1), never).await, None);
        });
    }
}
