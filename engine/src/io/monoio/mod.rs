//! The driver on the monoio runtime: a task per socket, on io_uring (`SINGLE_ISSUER | DEFER_TASKRUN`) or, where the kernel
//! refuses that, on epoll.
//!
//! The core's loop is not async: [`Monoio::wait`] lets the runtime run until a task has something to tell. Tasks wait for
//! readiness; the bytes are received when the core takes the completion, all into the same memory, and sent when it sends.
//! Not the fastest driver (that is `uring`), but one that runs wherever Linux does.

mod alarm;
mod state;
mod tasks;

use super::socket::{self, Peer};
use super::spare::Spare;
use super::{Chunk, Completion, Driver, Farewell, Receive, Sock, Wait, What, udp};
use crate::limits;
use alarm::{Bell, Timer};
use monoio::net::TcpStream;
use monoio::{FusionDriver, FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder};
use proto::Time;
use proto_h3::{Received, Transmit};
use scenario::plan::Socket as SocketOptions;
use state::{Shared, State, Watch};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// What is received at once, where large bodies may come in large pieces and where not (see `uring`).
const BULK: usize = 256 * 1024;
const PIECE: usize = 32 * 1024;
/// In discard mode a head is received on its own, in pieces if it is longer: the less of the body comes with it, the
/// less is copied from the cache of the server's CPU.
const HEAD: usize = 512;
/// The end of a larger send is worth a turn of its own: there may be more to send.
const SMALL_SEND: usize = 16 * 1024;
/// How long dropping the driver waits for its tasks, which only have to notice.
const LAST_TURN: Duration = Duration::from_secs(1);

type Runtime = FusionRuntime<IoUringDriver, LegacyDriver>;

/// The runtime of a core, its tasks and their sockets.
pub(crate) struct Monoio {
    runtime: Runtime,
    shared: Shared,
    timer: Timer,
    bell: Bell,
    /// Memory to receive into: as a rule one piece, because the core gives it back before it takes the next completion.
    memory: Vec<Box<[u8]>>,
    free_memory: Vec<u16>,
    piece: usize,
    datagrams: udp::Receiver,
    /// Retired sockets waiting for the peer's FIN, in order of their deadline.
    lingering: VecDeque<(Time, u32, u16)>,
    lingering_max: usize,
    spare: Spare,
    /// The next wait only looks: a completion that is worth a turn is there already.
    hurry: bool,
}

impl Monoio {
    /// On io_uring, or the kernel's reason against it. For about `connections` sockets; `bulk`: large bodies may be received
    /// in large pieces.
    pub(crate) fn on_uring(connections: u32, bulk: bool) -> io::Result<Monoio> {
        let mut ring = io_uring_06::IoUring::builder();
        ring.setup_single_issuer().setup_defer_taskrun().setup_clamp();
        // Each socket has at most two polls in the kernel.
        ring.setup_cqsize((4 * connections).next_power_of_two().clamp(512, 32_768));
        drop(ring.build(entries(connections))?); // monoio does not tell why it falls back to epoll
        let builder = RuntimeBuilder::<FusionDriver>::new().uring_builder(ring);
        match builder.with_entries(entries(connections)).build()? {
            FusionRuntime::Legacy(_) => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
            runtime => Monoio::on(runtime, bulk),
        }
    }

    /// On epoll.
    pub(crate) fn on_epoll(connections: u32, bulk: bool) -> io::Result<Monoio> {
        let builder = RuntimeBuilder::<LegacyDriver>::new().with_entries(entries(connections));
        Monoio::on(builder.build()?.into(), bulk)
    }

    fn on(mut runtime: Runtime, bulk: bool) -> io::Result<Monoio> {
        let ((timer, timer_fd), (bell, bell_fd)) = (Timer::new()?, Bell::new()?);
        let shared = Shared::new(RefCell::new(State::default()));
        runtime.block_on(async {
            for (fd, is_timer) in [(timer_fd, true), (bell_fd, false)] {
                let stream = watched(fd)?;
                shared.borrow_mut().tasks += 1;
                monoio::spawn(tasks::ring(shared.clone(), stream, is_timer));
            }
            io::Result::Ok(())
        })?;
        set_timer_slack();
        Ok(Monoio {
            runtime,
            shared,
            timer,
            bell,
            memory: Vec::new(),
            free_memory: Vec::new(),
            piece: if bulk { BULK } else { PIECE },
            datagrams: udp::Receiver::default(),
            lingering: VecDeque::new(),
            lingering_max: limits::LINGERING_MAX,
            spare: Spare::default(),
            hurry: false,
        })
    }

    fn is_epoll(&self) -> bool {
        matches!(self.runtime, FusionRuntime::Legacy(_))
    }

    /// Does what can only be done inside the runtime: starts and wakes tasks, closes sockets.
    fn start_tasks(&mut self) {
        let (shared, epoll) = (&self.shared, self.is_epoll());
        {
            let state = shared.borrow();
            let idle = state.born.is_empty() && state.partial.is_empty();
            if idle && state.wakes.is_empty() && state.done_with.is_empty() {
                return;
            }
        }
        self.runtime.block_on(async {
            let mut guard = shared.borrow_mut();
            let state = &mut *guard;
            while let Some((index, fd)) = state.born.pop() {
                if state.slot(index).retired {
                    continue;
                }
                match watched(fd) {
                    Ok(stream) => {
                        let stream = Rc::new(stream);
                        state.slot(index).stream = Some(stream.clone());
                        state.slot(index).tasks += 1;
                        state.tasks += 1;
                        monoio::spawn(tasks::link(shared.clone(), index, stream, epoll));
                    }
                    Err(error) => {
                        state.tell(index, What::Connected(Err(error)));
                        state.due = true;
                    }
                }
            }
            while let Some(index) = state.partial.pop() {
                if let Some(stream) = state.slot(index).stream.clone() {
                    state.slot(index).tasks += 1;
                    state.tasks += 1;
                    monoio::spawn(tasks::rest_of_send(shared.clone(), index, stream));
                }
            }
            state.wakes.drain(..).for_each(std::task::Waker::wake);
            while let Some(index) = state.done_with.pop() {
                state.remove(index);
            }
        });
    }

    /// Lets the runtime run until something is due, but look at the kernel once in any case.
    fn run_tasks(&mut self) {
        let (shared, bell) = (&self.shared, &self.bell);
        let mut looked = false;
        self.runtime.block_on(poll_fn(|context| {
            let mut state = shared.borrow_mut();
            if std::mem::replace(&mut looked, true) && state.due {
                return Poll::Ready(());
            }
            if state.due {
                bell.ring();
                state.due = false;
            }
            state.core = Some(context.waker().clone());
            Poll::Pending
        }));
    }

    fn set_timer(&self, now: Time, deadline: Time) {
        let mut state = self.shared.borrow_mut();
        if deadline != Time::NEVER && state.timer.is_none_or(|set| set > deadline) {
            state.timer = Some(deadline);
            self.timer.set(deadline.since(now));
        }
    }

    /// Ends every task of a socket, which closes it.
    fn abort(&mut self, index: u32) {
        let mut state = self.shared.borrow_mut();
        let slot = state.slot(index);
        slot.aborted = true;
        if slot.tasks == 0 {
            state.done_with.push(index);
            return;
        }
        socket::shutdown(&slot.fd);
        state.release_watch(index);
    }

    fn end_lingering(&mut self, now: Time) {
        while self.lingering.front().is_some_and(|(deadline, ..)| *deadline <= now) {
            self.end_one();
        }
    }

    /// Closes the socket that has lingered longest. False: it was closed already.
    fn end_one(&mut self) -> bool {
        let (_, index, generation) = self.lingering.pop_front().expect("what lingers is in the queue");
        let lingers = {
            let mut guard = self.shared.borrow_mut();
            let state = &mut *guard;
            let slot = state.slot(index);
            let lingers = slot.generation == generation && std::mem::take(&mut slot.lingers);
            state.lingering -= usize::from(lingers);
            lingers
        };
        if lingers {
            self.abort(index);
        }
        lingers
    }

    /// What happened to which socket. Without a `What` it concerns nobody. `None`: that was all.
    fn take_event(&mut self) -> Option<(u32, u16, Option<What>)> {
        let mut state = self.shared.borrow_mut();
        if let Some((index, generation, what)) = state.happened.pop_front() {
            return Some((index, generation, Some(what)));
        }
        if let Some(index) = state.ready.pop_front() {
            let generation = state.slot(index).generation;
            drop(state);
            return Some((index, generation, self.take_input(index)));
        }
        state.failed.pop_front().map(|(index, generation, what)| (index, generation, Some(what)))
    }

    /// A socket's input is there: receives what the core asked for. `None`: nothing that concerns it.
    fn take_input(&mut self, index: u32) -> Option<What> {
        let mut guard = self.shared.borrow_mut();
        let state = &mut *guard;
        let slot = state.slot(index);
        slot.watch = Watch::Held;
        if slot.aborted {
            state.release_watch(index);
            return None;
        }
        if slot.datagrams.is_some() {
            state.release_watch(index); // by the next wait the core has taken what is there
            return Some(What::Readable);
        }
        let (fd, how, retired) = (slot.fd, slot.how, slot.retired);
        let (received, chunk) = match how {
            Receive::Discard(n) => (socket::discard(fd, n.min(1 << 30) as usize), None),
            Receive::Stream | Receive::Once => {
                let buffer = self.free_memory.pop().unwrap_or_else(|| {
                    self.memory.push(vec![0; self.piece].into_boxed_slice());
                    self.memory.len() as u16 - 1
                });
                let most = if how == Receive::Once { HEAD } else { self.piece };
                let memory = &mut self.memory[usize::from(buffer)][..most];
                (socket::receive(fd, memory), Some(buffer))
            }
        };
        let what = match (received, chunk) {
            (Ok(n), Some(buffer)) if n > 0 && !retired => {
                if how == Receive::Stream {
                    state.release_watch(index);
                }
                let chunk = Chunk { group: 0, buffer, offset: 0, len: n as u32, last: true };
                return Some(What::Received(chunk));
            }
            (Ok(n), None) if n > 0 && !retired => Some(What::Skipped(n as u64)),
            (Ok(n), _) if n > 0 => {
                state.release_watch(index);
                None
            }
            (Err(error), _) if tasks::would_block(&error) => {
                state.release_watch(index);
                None
            }
            (Ok(_), _) => Some(What::Eof),
            (Err(error), _) => Some(What::ReceiveFailed(error)),
        };
        self.free_memory.extend(chunk);
        if matches!(what, Some(What::Eof | What::ReceiveFailed(_))) {
            state.slot(index).deaf = true;
            state.release_watch(index);
        }
        what
    }

    /// Whether the core still wants to hear of a socket; what it does not hear of is given back.
    fn wanted(&mut self, index: u32, generation: u16, what: What) -> Option<Completion> {
        let (current, tag) = {
            let mut state = self.shared.borrow_mut();
            let slot = state.slot(index);
            (slot.generation == generation && !slot.retired, slot.tag)
        };
        match what {
            what if current => return Some(Completion { tag, what }),
            What::Received(chunk) => self.release(chunk),
            What::Sent(buffer) | What::SendFailed(_, buffer) => self.recycle(buffer),
            _ => {}
        }
        None
    }
}

impl Driver for Monoio {
    fn open(
        &mut self,
        tag: u32,
        to: &Arc<Peer>,
        from: Option<IpAddr>,
        options: &SocketOptions,
    ) -> io::Result<Sock> {
        let fd = socket::make(to, from, options)?;
        socket::connect(&fd, to)?;
        let mut state = self.shared.borrow_mut();
        let index = state.insert(fd.as_raw_fd(), tag);
        state.born.push((index, fd));
        Ok(Sock(index))
    }

    fn open_datagrams(
        &mut self,
        tag: u32,
        to: &Arc<Peer>,
        from: Option<IpAddr>,
        options: &SocketOptions,
    ) -> io::Result<Sock> {
        let fd = socket::make_datagram(to, from, options)?;
        let mut state = self.shared.borrow_mut();
        let index = state.insert(fd.as_raw_fd(), tag);
        let slot = state.slot(index);
        (slot.connecting, slot.watch) = (false, Watch::Polling);
        slot.datagrams = Some(to.socket_addr().is_some_and(|a| a.is_ipv6()));
        state.born.push((index, fd));
        Ok(Sock(index))
    }

    fn receive_datagrams(&mut self, sock: Sock, into: &mut Vec<Received>) -> io::Result<()> {
        let fd = self.shared.borrow_mut().slot(sock.0).fd;
        self.datagrams.receive(fd, into).map(|_more| ()) // of which the socket tells again
    }

    fn send_datagrams(&mut self, sock: Sock, bytes: &[u8], transmit: Transmit) -> io::Result<()> {
        let mut state = self.shared.borrow_mut();
        let slot = state.slot(sock.0);
        // SAFETY: the descriptor is that of the slot's stream, or on its way into it, until the slot is retired.
        let fd = unsafe { BorrowedFd::borrow_raw(slot.fd) };
        udp::send(fd, bytes, transmit, slot.datagrams == Some(true))
    }

    fn datagram_drops(&self, sock: Sock) -> u64 {
        udp::drops(self.shared.borrow_mut().slot(sock.0).fd)
    }

    fn receive(&mut self, sock: Sock, how: Receive) {
        let mut state = self.shared.borrow_mut();
        state.slot(sock.0).how = how;
        state.release_watch(sock.0);
    }

    fn send(&mut self, sock: Sock, bytes: Vec<u8>) {
        let mut state = self.shared.borrow_mut();
        let slot = state.slot(sock.0);
        assert!(
            !slot.unsent && !slot.retired,
            "one send at a time per socket, and none on a socket given up"
        );
        self.hurry |= bytes.len() > SMALL_SEND;
        match socket::send(slot.fd, &bytes) {
            Ok(n) if n == bytes.len() => state.tell(sock.0, What::Sent(bytes)),
            Err(error) if !tasks::would_block(&error) => {
                self.hurry = true;
                state.tell(sock.0, What::SendFailed(error, bytes));
            }
            partly => {
                (slot.sending, slot.sent, slot.unsent) = (bytes, partly.unwrap_or(0), true);
                state.partial.push(sock.0);
            }
        }
    }

    fn set_low_water(&mut self, sock: Sock, bytes: u32) {
        socket::set_low_water(self.shared.borrow_mut().slot(sock.0).fd, bytes);
    }

    fn set_quickack(&mut self, sock: Sock) {
        socket::set_quickack(self.shared.borrow_mut().slot(sock.0).fd);
    }

    fn unacknowledged(&mut self, sock: Sock) -> u64 {
        socket::unacknowledged(self.shared.borrow_mut().slot(sock.0).fd)
    }

    fn local_address(&self, sock: Sock) -> Option<SocketAddr> {
        let state = self.shared.borrow();
        let slot = &state.slots[sock.0 as usize];
        let _open = slot.stream.as_ref()?;
        // SAFETY: the slot's stream owns the descriptor, and is borrowed as long.
        socket::local_address(&unsafe { BorrowedFd::borrow_raw(slot.fd) })
    }

    fn set_lingering_max(&mut self, most: usize) {
        self.lingering_max = most;
    }

    fn retire(&mut self, sock: Sock, now: Time, farewell: Farewell) {
        let mut guard = self.shared.borrow_mut();
        let slot = guard.slot(sock.0);
        slot.retired = true;
        let datagrams = slot.datagrams.is_some();
        if farewell == Farewell::Finish && !slot.connecting && !datagrams {
            slot.finish = slot.unsent;
            if !slot.finish {
                socket::shutdown_write(&slot.fd);
            }
        }
        let nothing_to_await = slot.deaf && !slot.unsent;
        if farewell == Farewell::Abort || slot.connecting || datagrams || nothing_to_await {
            drop(guard);
            return self.abort(sock.0);
        }
        (slot.how, slot.lingers) = (Receive::Stream, true);
        let entry = (now.after(limits::LINGER), sock.0, slot.generation);
        guard.release_watch(sock.0);
        guard.lingering += 1;
        let open = guard.lingering;
        drop(guard);
        self.lingering.push_back(entry);
        for _ in self.lingering_max..open {
            while !self.end_one() {}
        }
    }

    fn wait(&mut self, now: Time, wait: Wait) -> io::Result<()> {
        self.end_lingering(now);
        let mut look = wait.deadline <= now || std::mem::take(&mut self.hurry);
        if !look {
            self.set_timer(now, wait.deadline);
            if !wait.nap.is_zero() {
                // Readiness can wait: what has come until the end of the nap is found at once.
                std::thread::sleep(wait.nap.min(wait.deadline.since(now)));
                look = wait.limit <= wait.nap;
            }
        }
        self.shared.borrow_mut().due = look;
        self.start_tasks();
        self.run_tasks();
        Ok(())
    }

    fn is_idle(&self) -> bool {
        let state = self.shared.borrow();
        state.happened.is_empty() && state.ready.is_empty() && state.failed.is_empty()
    }

    fn next(&mut self) -> Option<Completion> {
        loop {
            let (index, generation, what) = self.take_event()?;
            if let Some(completion) = what.and_then(|what| self.wanted(index, generation, what)) {
                return Some(completion);
            }
        }
    }

    #[inline]
    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        &self.memory[usize::from(chunk.buffer)][..chunk.len as usize]
    }

    #[inline]
    fn bytes_mut(&mut self, chunk: &Chunk) -> &mut [u8] {
        &mut self.memory[usize::from(chunk.buffer)][..chunk.len as usize]
    }

    #[inline]
    fn release(&mut self, chunk: Chunk) {
        self.free_memory.push(chunk.buffer);
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.take()
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        self.spare.keep(buffer);
    }

    fn receive_capacity(&self) -> u32 {
        u32::MAX // what is not received yet lies in the sockets
    }

    fn can_nap(&self) -> bool {
        true
    }

    fn overflows(&mut self) -> u64 {
        0 // the ring is the runtime's, and large enough
    }

    fn describe(&self) -> String {
        match self.is_epoll() {
            true => "monoio epoll".into(),
            false => "monoio io_uring SINGLE_ISSUER|DEFER_TASKRUN".into(),
        }
    }
}

impl Drop for Monoio {
    /// Ends every task, because tasks and runtime hold each other, and with them their sockets.
    fn drop(&mut self) {
        let used: Vec<u32> = {
            let mut state = self.shared.borrow_mut();
            state.closing = true;
            // What nobody looks at any more: its tasks wait for that, and would not notice their end.
            while let Some(index) = state.ready.pop_front() {
                state.slot(index).watch = Watch::Held;
            }
            state.slots.iter_mut().for_each(|slot| slot.retired = true);
            (0..).zip(&state.slots).filter(|(_, slot)| slot.tasks > 0).map(|(index, _)| index).collect()
        };
        used.into_iter().for_each(|index| self.abort(index));
        self.bell.ring();
        self.timer.set(LAST_TURN);
        while !self.shared.borrow().closed {
            self.start_tasks();
            let mut state = self.shared.borrow_mut();
            state.due = false;
            if state.tasks == 1 {
                self.timer.set(Duration::ZERO);
            }
            drop(state);
            self.run_tasks();
        }
    }
}

/// Ring entries: operations that fit in one submission.
fn entries(connections: u32) -> u32 {
    connections.next_power_of_two().clamp(256, 1024)
}

/// Whatever can become readable, in the type that monoio has for that.
fn watched(fd: OwnedFd) -> io::Result<TcpStream> {
    TcpStream::from_std(std::net::TcpStream::from(fd))
}

/// Naps of this thread shall be as long as they say: by default the kernel may add 50 us.
fn set_timer_slack() {
    // SAFETY: no memory is passed. Failing is harmless: longer naps.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    /// Otherwise dropping it takes as long as it is ready to wait for tasks that hang: a second at the end of a run.
    #[test]
    fn a_driver_that_goes_ends_its_tasks_also_where_something_was_not_looked_at() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Arc::new(Peer::ip(listener.local_addr().unwrap()));
        for on in [Monoio::on_uring, Monoio::on_epoll] {
            let mut driver = on(8, false).unwrap();
            driver.open(0, &to, None, &SocketOptions::default()).unwrap();
            let mut peer = listener.accept().unwrap().0;
            peer.write_all(b"unread").unwrap();
            let shared = driver.shared.clone();
            let wait = || Wait { deadline: Time::NEVER, want: 1, nap: Duration::ZERO, limit: Duration::ZERO };
            let connected = std::iter::repeat_with(|| {
                driver.wait(Time::ZERO, wait()).unwrap();
                driver.next()
            });
            let connected = connected.flatten().next().expect("it never ends");
            assert!(matches!(connected.what, What::Connected(Ok(()))), "{connected:?}");
            driver.receive(Sock(0), Receive::Stream);
            while shared.borrow().ready.is_empty() {
                driver.wait(Time::ZERO, wait()).unwrap();
            }
            drop(driver);
            assert_eq!(shared.borrow().tasks, 0);
        }
    }
}
