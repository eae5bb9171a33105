//! What the driver and its tasks share: the sockets, what happened to them, and what the tasks are to do next.
//!
//! Nothing here calls the runtime, because tasks can only be woken and started from inside it: what is to be done there is
//! noted, and done when the core waits.

use crate::io::{Receive, What};
use monoio::net::TcpStream;
use proto::Time;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{OwnedFd, RawFd};
use std::rc::Rc;
use std::task::Waker;

/// The state as the driver and its tasks hold it. Never borrowed across an await.
pub(super) type Shared = Rc<RefCell<State>>;

/// What the task that watches a socket for input does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    /// Nothing: the core has not asked for input, or has not taken what is there.
    Held,
    /// Waits until there is something to receive.
    Polling,
    /// There is something: the socket is in `State::ready`.
    Ready,
}

/// One socket.
pub(super) struct Slot {
    /// Gone once no task runs on it and it is retired.
    pub(super) stream: Option<Rc<TcpStream>>,
    pub(super) fd: RawFd,
    pub(super) tag: u32,
    pub(super) generation: u16,
    /// Tasks that have not ended.
    pub(super) tasks: u8,
    pub(super) watch: Watch,
    /// The watching task, where it waits to be told to go on.
    pub(super) waker: Option<Waker>,
    pub(super) connecting: bool,
    /// A UDP socket to an IPv6 address (`Some(true)`) or an IPv4 one.
    pub(super) datagrams: Option<bool>,
    pub(super) how: Receive,
    /// Nothing more is received: the peer has closed, or receiving failed.
    pub(super) deaf: bool,
    pub(super) retired: bool,
    /// Retired, and waiting for the peer's FIN.
    pub(super) lingers: bool,
    /// Retired, and not waiting for anything: every task ends.
    pub(super) aborted: bool,
    /// Retired, and FIN goes out once the send under way has ended.
    pub(super) finish: bool,
    /// The rest of a send is with a task.
    pub(super) unsent: bool,
    pub(super) sending: Vec<u8>,
    pub(super) sent: usize,
}

/// Everything the driver and its tasks share.
#[derive(Default)]
pub(super) struct State {
    pub(super) slots: Vec<Slot>,
    pub(super) free: Vec<u32>,
    /// Sockets with something to receive, in the order in which that was seen.
    pub(super) ready: VecDeque<u32>,
    /// Other things that happened, of sockets and their generations.
    pub(super) happened: VecDeque<(u32, u16, What)>,
    /// Sends that failed: told after what could still be received, which may say why.
    pub(super) failed: VecDeque<(u32, u16, What)>,
    /// For the tasks: sockets to be watched from now on...
    pub(super) born: Vec<(u32, OwnedFd)>,
    /// ...sends that the kernel did not take whole...
    pub(super) partial: Vec<u32>,
    /// ...tasks that may go on...
    pub(super) wakes: Vec<Waker>,
    /// ...and sockets that nobody needs any more.
    pub(super) done_with: Vec<u32>,
    /// The waiting core.
    pub(super) core: Option<Waker>,
    /// Something happened that ends its wait.
    pub(super) due: bool,
    /// What the timer is set to.
    pub(super) timer: Option<Time>,
    /// Sockets that linger.
    pub(super) lingering: usize,
    /// Tasks that have not ended.
    pub(super) tasks: usize,
    /// The driver is being dropped: every task ends, the timer's last.
    pub(super) closing: bool,
    /// The timer's task has ended.
    pub(super) closed: bool,
}

impl State {
    pub(super) fn slot(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }

    /// Ends the core's wait.
    pub(super) fn wake_core(&mut self) {
        if !std::mem::replace(&mut self.due, true)
            && let Some(core) = &self.core
        {
            core.wake_by_ref();
        }
    }

    /// A new socket's place.
    pub(super) fn insert(&mut self, fd: RawFd, tag: u32) -> u32 {
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        let generation = self.slots.get(index as usize).map_or(0, |s| s.generation);
        let slot = Slot {
            stream: None,
            fd,
            tag,
            generation,
            tasks: 0,
            watch: Watch::Held,
            waker: None,
            connecting: true,
            datagrams: None,
            how: Receive::Stream,
            deaf: false,
            retired: false,
            lingers: false,
            aborted: false,
            finish: false,
            unsent: false,
            sending: Vec::new(),
            sent: 0,
        };
        match self.slots.get_mut(index as usize) {
            Some(old) => *old = slot,
            None => self.slots.push(slot),
        }
        index
    }

    /// Notes what happened to a socket.
    pub(super) fn tell(&mut self, index: u32, what: What) {
        let generation = self.slot(index).generation;
        match what {
            What::SendFailed(..) => self.failed.push_back((index, generation, what)),
            _ => self.happened.push_back((index, generation, what)),
        }
    }

    /// Lets the watching task of a socket go on: to watch, or to its end.
    pub(super) fn release_watch(&mut self, index: u32) {
        let slot = self.slot(index);
        if slot.watch == Watch::Held {
            slot.watch = Watch::Polling;
            let waker = slot.waker.take();
            self.wakes.extend(waker);
        }
    }

    /// A task of a socket has ended.
    pub(super) fn task_ended(&mut self, index: u32) {
        self.tasks -= 1;
        self.slot(index).tasks -= 1;
        if self.closing {
            self.wake_core();
        }
        let slot = self.slot(index);
        if slot.retired && slot.tasks == 0 {
            self.remove(index);
        }
    }

    /// Closes a socket. Inside the runtime only, which has to know.
    pub(super) fn remove(&mut self, index: u32) {
        let slot = self.slot(index);
        slot.stream = None;
        let lingered = std::mem::take(&mut slot.lingers);
        slot.generation = slot.generation.wrapping_add(1);
        self.lingering -= usize::from(lingered);
        self.free.push(index);
    }
}
