//! What belongs to one connection and its requests share: who serves it, what it was told to do to itself,
//! and which responses are on their way out. Not the socket (`wire.rs`) and not the protocol (hyper's).
//! Called by all three.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::counters::Count;
use crate::worker::Worker;

/// How to end a connection on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// FIN, without another byte (and without `close_notify` over TLS).
    Close,
    /// RST.
    Reset,
}

/// One connection, seen by its requests.
pub(crate) struct Link {
    pub(crate) worker: Rc<Worker>,
    pub(crate) tls: bool,
    broken: Cell<Option<Break>>,
    tear: Cell<bool>,
    ended: Cell<u64>,
    task: RefCell<Option<Waker>>,
}

impl Link {
    pub(crate) fn new(worker: Rc<Worker>, tls: bool) -> Rc<Self> {
        Rc::new(Self {
            worker,
            tls,
            broken: Cell::new(None),
            tear: Cell::new(false),
            ended: Cell::new(0),
            task: RefCell::new(None),
        })
    }

    /// Ends the connection as soon as its task runs; whoever asks must not answer.
    pub(crate) fn break_off(&self, how: Break) {
        if self.broken.replace(Some(how)).is_none() {
            self.worker.counters.add(Count::Faults, 1);
        }
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Ends the connection once everything written so far has reached the socket.
    pub(crate) fn tear_after_flush(&self) {
        self.tear.set(true);
    }

    /// How it was broken off, if it was.
    pub(crate) fn broken(&self) -> Option<Break> {
        self.broken.get()
    }

    /// The connection's task waits; [`Self::break_off`] is to wake it.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        match &mut *task {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *task = Some(cx.waker().clone()),
        }
    }

    /// A counted response has been given to the protocol to its end.
    pub(crate) fn response_ended(&self) {
        self.ended.set(self.ended.get() + 1);
    }

    /// Everything that the protocol had to write is in the socket.
    pub(crate) fn flushed(&self) {
        let ended = self.ended.take();
        if ended > 0 {
            self.worker.counters.add(Count::ResponsesSent, ended);
        }
        if self.tear.take() {
            self.break_off(Break::Close);
        }
    }
}
