//! What quinn runs on: the thread's runtime, with the timers of this crate instead of tokio's. Those tick in
//! milliseconds, where pacing and loss detection on a short path count in tens of microseconds, and the
//! runtime is cheaper without them (see `worker.rs`). Called by quinn; set up by `endpoint.rs`.

use std::cell::RefCell;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

use crate::timers::{Alarm, Timers};

thread_local! {
    // quinn wants timers that could move to other threads. Ours never do, but they may not hold what cannot.
    static TIMERS: RefCell<Option<Rc<Timers>>> = const { RefCell::new(None) };
}

/// Has the QUIC connections of this thread sleep on `timers`.
pub(crate) fn use_timers(timers: Rc<Timers>) {
    TIMERS.set(Some(timers));
}

/// tokio without its timers.
#[derive(Debug)]
pub(crate) struct OurTimers;

impl Runtime for OurTimers {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer(Alarm::new(at.into())))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }
}

/// A deadline of one connection.
#[derive(Debug)]
struct Timer(Alarm);

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.cancel();
        self.0 = Alarm::new(at.into());
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let alarm = &mut self.0;
        TIMERS.with_borrow(|timers| match timers {
            Some(timers) => alarm.poll(timers, cx),
            // No endpoint on this thread, so no connection either.
            None => Poll::Pending,
        })
    }
}

impl Timer {
    fn cancel(&mut self) {
        // The thread may be ending, and its timers gone before its connections.
        let _ = TIMERS.try_with(|timers| {
            if let Some(timers) = &*timers.borrow() {
                self.0.cancel(timers);
            }
        });
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
    }
}
