//! The driver on the kernel's ring: `SINGLE_ISSUER | DEFER_TASKRUN`, multishot receive into provided buffers, one
//! `io_uring_enter` per turn.

use super::buffers::Buffers;
use super::line::Line;
use super::socket::{self, Peer};
use super::spare::Spare;
use super::{Chunk, Completion, Driver, Farewell, Receive, Sock, Wait, What, udp};
use crate::limits;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use proto::Time;
use proto_h3::{Received, Transmit};
use scenario::plan::Socket as SocketOptions;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Buffer groups. A large body that comes in few large pieces costs less than in many small ones; small responses do better
/// in memory that stays in the cache. So must the large ones: half a megabyte in all.
const SMALL: u16 = 0;
const LARGE: u16 = 1;
const LARGE_COUNT: u16 = 8;
const LARGE_SIZE: usize = 64 * 1024;
/// A receive of so many bytes is one of a large body.
const BULK: usize = 24 * 1024;
/// `IORING_ENTER_GETEVENTS` of the kernel's header.
const GET_EVENTS: u32 = 1;
/// `IORING_RECVSEND_POLL_FIRST` of the kernel's header.
const POLL_FIRST: u16 = 1;
/// In discard mode a head is received on its own, in pieces if it is longer: the less of the body comes with it, the
/// less is copied from the cache of the server's CPU.
const HEAD: u32 = 512;

/// Sends of at most this many bytes are expected to end within the submission: a fresh request fits any socket buffer.
const SMALL_SEND: usize = 16 * 1024;

/// What a completion belongs to, in the upper bits of its `user_data`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Op {
    Connect = 1,
    Receive = 2,
    Discard = 3,
    Send = 4,
    Timeout = 5,
    Ignore = 6,
    /// Datagrams may be there.
    Poll = 7,
}

impl Op {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// One socket.
struct Slot {
    fd: Option<OwnedFd>,
    tag: u32,
    generation: u16,
    /// Operations in the kernel, a bit each (`Op::bit`).
    pending: u8,
    retired: bool,
    /// Retired, and FIN goes out once the send in the kernel has ended.
    finish: bool,
    /// Retired, and waiting for the peer's FIN.
    lingers: bool,
    how: Receive,
    /// Receives into the large buffers.
    bulk: bool,
    /// A UDP socket to an IPv6 address (`Some(true)`) or an IPv4 one.
    datagrams: Option<bool>,
    /// The buffer group of the receive in the kernel.
    group: u16,
    /// It was let in from the line for memory, and has not received yet.
    let_in: bool,
    sending: Vec<u8>,
    sent: usize,
}

/// The ring of a core.
pub(crate) struct Uring {
    // Dropped in this order: the ring first, then the memory registered with it.
    ring: IoUring,
    /// Small buffers that everything is received into, and large ones for sockets in the middle of large bodies (touched
    /// only once there are such).
    buffers: [Buffers; 2],
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Whom sockets were connected to: the kernel may look at an address until the submission ends.
    peers: Vec<Arc<Peer>>,
    batch: VecDeque<(u64, i32, u32)>,
    /// Sockets (and their generations) whose multishot receive ended and must be armed again.
    rearm: Vec<(u32, u16)>,
    /// The same where it ended for want of memory, by group.
    lines: [Line<(u32, u16)>; 2],
    /// Retired sockets waiting for the peer's FIN, in order of their deadline.
    lingering: VecDeque<(Time, Sock, u16)>,
    /// How many of them are open still, and how many may be.
    lingering_open: usize,
    lingering_max: usize,
    /// Timeouts in the kernel, earliest last.
    armed: Vec<Time>,
    datagrams: udp::Receiver,
    /// Sockets (and their generations) that were not read empty.
    again: Vec<(u32, u16)>,
    /// Those of the wait before.
    told_again: Vec<(u32, u16)>,
    timeout: Box<types::Timespec>,
    spare: Spare,
    queued_sends: u32,
    nap: bool,
    flags: &'static str,
}

impl Uring {
    /// A ring for about `connections` sockets.
    pub(crate) fn new(connections: u32) -> io::Result<Uring> {
        let entries = connections.next_power_of_two().clamp(64, 1024);
        let completions = (4 * connections).next_power_of_two().clamp(512, 32_768);
        let mut builder = IoUring::builder();
        builder.setup_cqsize(completions).setup_clamp().setup_submit_all();
        let deferred = builder.clone().setup_single_issuer().setup_defer_taskrun().build(entries);
        let (ring, flags) = match deferred {
            Ok(ring) => (ring, "SINGLE_ISSUER|DEFER_TASKRUN"),
            Err(_) => (builder.setup_coop_taskrun().build(entries)?, "COOP_TASKRUN"),
        };
        let (count, size) = buffer_plan(connections);
        let small = Buffers::register(&ring, SMALL, count, size)?;
        let large = Buffers::register(&ring, LARGE, LARGE_COUNT, LARGE_SIZE)?;
        let nap = ring.params().is_feature_min_timeout();
        Ok(Uring {
            ring,
            buffers: [small, large],
            slots: Vec::with_capacity(connections as usize),
            free: Vec::new(),
            peers: Vec::new(),
            batch: VecDeque::with_capacity(completions as usize),
            rearm: Vec::new(),
            lines: [Line::new(), Line::new()],
            lingering: VecDeque::new(),
            lingering_open: 0,
            lingering_max: limits::LINGERING_MAX,
            armed: Vec::new(),
            datagrams: udp::Receiver::default(),
            again: Vec::new(),
            told_again: Vec::new(),
            timeout: Box::new(types::Timespec::new()),
            spare: Spare::default(),
            queued_sends: 0,
            nap,
            flags,
        })
    }

    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: everything an entry points to (buffers of slots, addresses, the timespec) lives in `self` at a stable
        // place until the completion is there, or at least until the entry was submitted where the kernel copies it.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            if let Err(error) = self.ring.submit() {
                assert!(is_transient(&error), "io_uring_enter failed: {error}");
            }
        }
    }

    /// A place for a socket.
    fn take_slot(&mut self, tag: u32, fd: OwnedFd) -> Sock {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                fd: None,
                tag: 0,
                generation: 0,
                pending: 0,
                retired: false,
                finish: false,
                lingers: false,
                how: Receive::Stream,
                bulk: false,
                datagrams: None,
                group: SMALL,
                let_in: false,
                sending: Vec::new(),
                sent: 0,
            });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        debug_assert_eq!(slot.pending, 0);
        (slot.fd, slot.tag, slot.how) = (Some(fd), tag, Receive::Stream);
        (slot.retired, slot.finish, slot.bulk, slot.datagrams) = (false, false, false, None);
        slot.let_in = false;
        Sock(index)
    }

    /// Has the kernel tell whenever datagrams come.
    fn arm_poll(&mut self, sock: Sock) {
        let (fd, data) = (self.fd(sock), self.data(sock, Op::Poll));
        self.slot(sock).pending |= Op::Poll.bit();
        self.push(opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build().user_data(data));
    }

    fn slot(&mut self, sock: Sock) -> &mut Slot {
        &mut self.slots[sock.0 as usize]
    }

    fn data(&self, sock: Sock, op: Op) -> u64 {
        let generation = self.slots[sock.0 as usize].generation;
        u64::from(op as u8) << 56 | u64::from(generation) << 32 | u64::from(sock.0)
    }

    fn fd(&self, sock: Sock) -> types::Fd {
        types::Fd(self.slots[sock.0 as usize].fd.as_ref().expect("a socket in use is open").as_raw_fd())
    }

    /// The address in the kernel's form, at a place that stays.
    fn address(&mut self, to: &Arc<Peer>) -> (*const libc::sockaddr, libc::socklen_t) {
        if !self.peers.iter().any(|p| Arc::ptr_eq(p, to)) {
            self.peers.push(to.clone());
        }
        to.raw()
    }

    fn arm_receive(&mut self, sock: Sock) {
        let fd = self.fd(sock);
        let slot = self.slot(sock);
        slot.group = if slot.bulk { LARGE } else { SMALL };
        let (how, group) = (slot.how, slot.group);
        let (entry, op) = match how {
            Receive::Stream => (opcode::RecvMulti::new(fd, group).build(), Op::Receive),
            Receive::Once => {
                let recv = opcode::Recv::new(fd, std::ptr::null_mut(), HEAD).buf_group(group).build();
                (recv.flags(squeue::Flags::BUFFER_SELECT), Op::Receive)
            }
            Receive::Discard(n) => {
                // With MSG_TRUNC TCP throws the bytes away and never writes to the pointer. Without a first attempt
                // (POLL_FIRST), which would take what little is there and not wait for the low-water mark.
                let len = n.min(1 << 30) as u32;
                let nowhere = std::ptr::NonNull::<u8>::dangling().as_ptr();
                (
                    opcode::Recv::new(fd, nowhere, len).flags(libc::MSG_TRUNC).ioprio(POLL_FIRST).build(),
                    Op::Discard,
                )
            }
        };
        let data = self.data(sock, op);
        self.slot(sock).pending |= op.bit();
        self.push(entry.user_data(data));
    }

    fn arm_send(&mut self, sock: Sock) {
        let fd = self.fd(sock);
        let slot = self.slot(sock);
        let rest = &slot.sending[slot.sent..];
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let (small, entry) = (
            // What is left of a send that did not fit waits for the peer, however little it is.
            rest.len() <= SMALL_SEND && slot.sent == 0,
            opcode::Send::new(fd, rest.as_ptr(), rest.len() as u32).flags(flags).build(),
        );
        slot.pending |= Op::Send.bit();
        let data = self.data(sock, Op::Send);
        self.push(entry.user_data(data));
        self.queued_sends += u32::from(small);
    }

    /// Arms the receive of a socket whose last one ended. It may be gone meanwhile, and its slot another's already.
    fn arm_again(&mut self, (index, generation): (u32, u16), let_in: bool) {
        let slot = &mut self.slots[index as usize];
        if slot.generation == generation && slot.fd.is_some() && !slot.retired {
            slot.let_in = let_in;
            self.arm_receive(Sock(index));
        }
    }

    /// Of those that wait for memory, lets in as many as will find some. Whether others wait still: then nothing is to be waited for.
    fn let_in(&mut self) -> bool {
        for group in 0..self.lines.len() {
            for _ in 0..self.lines[group].admit() {
                let Some(who) = self.lines[group].next() else { break };
                self.arm_again(who, true);
            }
        }
        self.lines.iter().any(|line| !line.is_empty())
    }

    /// Closes a retired socket once the kernel holds nothing of it.
    fn close_if_quiet(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if !slot.retired || slot.pending != 0 {
            return;
        }
        let Some(fd) = slot.fd.take() else { return };
        slot.generation = slot.generation.wrapping_add(1);
        self.lingering_open -= usize::from(std::mem::take(&mut slot.lingers));
        let buffer = std::mem::take(&mut slot.sending);
        self.free.push(index);
        self.recycle(buffer);
        let close = opcode::Close::new(types::Fd(fd.into_raw_fd())).build();
        self.push(close.user_data(u64::from(Op::Ignore as u8) << 56));
    }

    fn end_lingering(&mut self, now: Time) {
        while let Some(&(deadline, sock, generation)) = self.lingering.front() {
            if deadline > now {
                break;
            }
            self.lingering.pop_front();
            self.end_one((deadline, sock, generation));
        }
    }

    /// Closes a socket that has lingered long enough, if it was not closed meanwhile.
    fn end_one(&mut self, (_, sock, generation): (Time, Sock, u16)) {
        let slot = &mut self.slots[sock.0 as usize];
        if slot.generation == generation {
            self.lingering_open -= usize::from(std::mem::take(&mut slot.lingers));
            slot.fd.as_ref().map(socket::shutdown).unwrap_or_default();
            self.close_if_quiet(sock.0);
        }
    }

    /// Submits, and lets the kernel finish what is ready, without waiting. Completions of a ring with deferred work come
    /// only where they are asked for (`IORING_ENTER_GETEVENTS`), which `submit` alone does not.
    fn poll(&mut self) -> io::Result<usize> {
        let queued = self.ring.submission().len() as u32;
        // SAFETY: no argument is passed; what the queued entries point to is covered where they are pushed.
        unsafe { self.ring.submitter().enter::<()>(queued, 0, GET_EVENTS, None) }
    }

    fn arm_timeout(&mut self, now: Time, deadline: Time) {
        if deadline <= now || deadline == Time::NEVER || self.armed.last().is_some_and(|&t| t <= deadline) {
            return;
        }
        let ns = deadline.nanos_since(now);
        *self.timeout = types::Timespec::new().sec(ns / 1_000_000_000).nsec((ns % 1_000_000_000) as u32);
        let entry = opcode::Timeout::new(&raw const *self.timeout).build();
        self.push(entry.user_data(u64::from(Op::Timeout as u8) << 56));
        self.armed.push(deadline);
    }

    /// Turns a raw completion into what the core wants to know, if anything.
    fn translate(&mut self, data: u64, result: i32, flags: u32) -> Option<Completion> {
        let op = data >> 56;
        if op == Op::Timeout as u64 {
            self.armed.pop();
            return None;
        }
        if op == Op::Ignore as u64 {
            return None;
        }
        let index = data as u32;
        let slot = &mut self.slots[index as usize];
        debug_assert_eq!(slot.generation, (data >> 32) as u16, "a slot is reused only when it is quiet");
        let what = if op == Op::Connect as u64 {
            slot.pending &= !Op::Connect.bit();
            Some(What::Connected(if result < 0 { Err(os_error(result)) } else { Ok(()) }))
        } else if op == Op::Send as u64 {
            self.translate_send(index, result)
        } else if op == Op::Poll as u64 {
            if !cqueue::more(flags) {
                slot.pending &= !Op::Poll.bit();
                if !slot.retired && result >= 0 {
                    self.arm_poll(Sock(index));
                }
            }
            Some(if result < 0 { What::ReceiveFailed(os_error(result)) } else { What::Readable })
        } else if op == Op::Discard as u64 {
            slot.pending &= !Op::Discard.bit();
            Some(match result {
                0 => What::Eof,
                n if n < 0 => What::ReceiveFailed(os_error(n)),
                n => What::Skipped(n as u64),
            })
        } else {
            self.translate_receive(index, result, flags)
        };
        let slot = &mut self.slots[index as usize];
        if slot.retired {
            self.swallow(index, what);
            return None;
        }
        let tag = slot.tag;
        what.map(|what| Completion { tag, what })
    }

    fn translate_send(&mut self, index: u32, result: i32) -> Option<What> {
        let slot = &mut self.slots[index as usize];
        slot.pending &= !Op::Send.bit();
        if result < 0 {
            return Some(What::SendFailed(os_error(result), std::mem::take(&mut slot.sending)));
        }
        slot.sent += result as usize;
        if slot.sent < slot.sending.len() && !slot.retired {
            self.arm_send(Sock(index));
            return None;
        }
        Some(What::Sent(std::mem::take(&mut slot.sending)))
    }

    fn translate_receive(&mut self, index: u32, result: i32, flags: u32) -> Option<What> {
        let slot = &mut self.slots[index as usize];
        if !cqueue::more(flags) {
            slot.pending &= !Op::Receive.bit();
        }
        let let_in = std::mem::take(&mut slot.let_in);
        if result <= 0 {
            if result == -libc::ENOBUFS {
                self.lines[usize::from(slot.group)].join((index, slot.generation), let_in);
                return None;
            }
            // Cancelled to move over to the large buffers.
            if result == -libc::ECANCELED && slot.bulk {
                self.rearm.push((index, slot.generation));
                return None;
            }
            return Some(if result == 0 { What::Eof } else { What::ReceiveFailed(os_error(result)) });
        }
        if !cqueue::more(flags) && slot.how == Receive::Stream {
            self.rearm.push((index, slot.generation));
        }
        let id = cqueue::buffer_select(flags).expect("a receive into provided buffers names one");
        let more = cqueue::buffer_more(flags);
        let group = usize::from(slot.group);
        if result as usize >= BULK && !slot.bulk {
            self.move_to_large(index);
        }
        Some(What::Received(self.buffers[group].take(id, result as u32, more)))
    }

    /// A socket that receives much at a time uses the large buffers from now on.
    fn move_to_large(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.bulk = true;
        if slot.pending & Op::Receive.bit() != 0 && slot.how == Receive::Stream {
            let data = self.data(Sock(index), Op::Receive);
            let cancel = opcode::AsyncCancel::new(data).build();
            self.push(cancel.user_data(u64::from(Op::Ignore as u8) << 56));
        }
    }

    /// What arrives for a retired socket: only its end matters.
    fn swallow(&mut self, index: u32, what: Option<What>) {
        let slot = &mut self.slots[index as usize];
        if slot.finish && slot.pending & Op::Send.bit() == 0 {
            slot.finish = false;
            slot.fd.as_ref().map(socket::shutdown_write).unwrap_or_default();
        }
        match what {
            Some(What::Received(chunk)) => self.release(chunk),
            Some(What::Sent(buffer) | What::SendFailed(_, buffer)) => self.recycle(buffer),
            _ => {}
        }
        self.close_if_quiet(index);
    }
}

impl Driver for Uring {
    fn open(
        &mut self,
        tag: u32,
        to: &Arc<Peer>,
        from: Option<IpAddr>,
        options: &SocketOptions,
    ) -> io::Result<Sock> {
        let fd = socket::make(to, from, options)?;
        let sock = self.take_slot(tag, fd);
        self.slot(sock).pending = Op::Connect.bit();
        let (address, len) = self.address(to);
        let (fd, data) = (self.fd(sock), self.data(sock, Op::Connect));
        self.push(opcode::Connect::new(fd, address, len).build().user_data(data));
        Ok(sock)
    }

    fn open_datagrams(
        &mut self,
        tag: u32,
        to: &Arc<Peer>,
        from: Option<IpAddr>,
        options: &SocketOptions,
    ) -> io::Result<Sock> {
        let fd = socket::make_datagram(to, from, options)?;
        let sock = self.take_slot(tag, fd);
        self.slot(sock).datagrams = Some(to.socket_addr().is_some_and(|a| a.is_ipv6()));
        self.arm_poll(sock);
        Ok(sock)
    }

    fn receive_datagrams(&mut self, sock: Sock, into: &mut Vec<Received>) -> io::Result<()> {
        let fd = self.fd(sock).0;
        if self.datagrams.receive(fd, into)? {
            // The kernel tells of what comes, not of what is left.
            self.again.push((sock.0, self.slots[sock.0 as usize].generation));
        }
        Ok(())
    }

    fn send_datagrams(&mut self, sock: Sock, bytes: &[u8], transmit: Transmit) -> io::Result<()> {
        let slot = &self.slots[sock.0 as usize];
        let fd = slot.fd.as_ref().expect("a socket in use is open");
        udp::send(fd.as_fd(), bytes, transmit, slot.datagrams == Some(true))
    }

    fn datagram_drops(&self, sock: Sock) -> u64 {
        udp::drops(self.fd(sock).0)
    }

    fn receive(&mut self, sock: Sock, how: Receive) {
        self.slot(sock).how = how;
        self.arm_receive(sock);
    }

    fn send(&mut self, sock: Sock, bytes: Vec<u8>) {
        let slot = self.slot(sock);
        assert!(slot.pending & Op::Send.bit() == 0, "one send at a time per socket");
        (slot.sending, slot.sent) = (bytes, 0);
        self.arm_send(sock);
    }

    fn set_low_water(&mut self, sock: Sock, bytes: u32) {
        let slot = self.slot(sock);
        if let Some(fd) = &slot.fd {
            socket::set_low_water(fd.as_raw_fd(), bytes);
        }
    }

    fn set_quickack(&mut self, sock: Sock) {
        if let Some(fd) = &self.slot(sock).fd {
            socket::set_quickack(fd.as_raw_fd());
        }
    }

    fn unacknowledged(&mut self, sock: Sock) -> u64 {
        // A send that is queued still would be missing. Failing is harmless: it is missing, as if it had been acknowledged.
        let _ = self.ring.submit();
        socket::unacknowledged(self.fd(sock).0)
    }

    fn local_address(&self, sock: Sock) -> Option<SocketAddr> {
        self.slots[sock.0 as usize].fd.as_ref().and_then(socket::local_address)
    }

    fn set_lingering_max(&mut self, most: usize) {
        self.lingering_max = most;
    }

    fn retire(&mut self, sock: Sock, now: Time, farewell: Farewell) {
        let connect = self.data(sock, Op::Connect);
        let slot = self.slot(sock);
        slot.retired = true;
        let (pending, generation) = (slot.pending, slot.generation);
        if slot.datagrams.is_some() {
            let poll = self.data(sock, Op::Poll);
            if pending & Op::Poll.bit() != 0 {
                let cancel = opcode::AsyncCancel::new(poll).build();
                self.push(cancel.user_data(u64::from(Op::Ignore as u8) << 56));
            }
        } else if pending & Op::Connect.bit() != 0 {
            let cancel = opcode::AsyncCancel::new(connect).build();
            self.push(cancel.user_data(u64::from(Op::Ignore as u8) << 56));
        } else if farewell == Farewell::Abort {
            if pending != 0 {
                socket::shutdown(slot.fd.as_ref().expect("a socket in use is open"));
            }
        } else {
            if farewell == Farewell::Finish {
                slot.finish = pending & Op::Send.bit() != 0;
                if !slot.finish {
                    socket::shutdown_write(slot.fd.as_ref().expect("a socket in use is open"));
                }
            }
            if pending & (Op::Receive.bit() | Op::Discard.bit()) == 0 {
                slot.how = Receive::Once;
                self.arm_receive(sock);
            }
            self.lingering.push_back((now.after(limits::LINGER), sock, generation));
            self.slot(sock).lingers = true;
            self.lingering_open += 1;
            while self.lingering_open > self.lingering_max {
                let oldest = self.lingering.pop_front().expect("what lingers is in the queue");
                self.end_one(oldest);
            }
        }
        self.close_if_quiet(sock.0);
    }

    fn wait(&mut self, now: Time, wait: Wait) -> io::Result<()> {
        self.end_lingering(now);
        self.buffers.iter().for_each(Buffers::publish);
        let mut rearm = std::mem::take(&mut self.rearm);
        rearm.drain(..).for_each(|who| self.arm_again(who, false));
        self.rearm = rearm;
        let crowded = self.let_in();
        self.arm_timeout(now, wait.deadline);
        let want = wait.want.max(1) as usize + self.queued_sends as usize;
        self.queued_sends = 0;
        std::mem::swap(&mut self.again, &mut self.told_again);
        let result = if wait.deadline <= now || crowded || !self.told_again.is_empty() {
            self.poll()
        } else if wait.nap.is_zero() {
            self.ring.submit_and_wait(want)
        } else {
            let limit = wait.limit.max(wait.nap) + Duration::from_micros(1);
            let limit = types::Timespec::new().sec(limit.as_secs()).nsec(limit.subsec_nanos());
            let nap = wait.nap.as_micros() as u32;
            self.ring
                .submitter()
                .submit_with_args(want, &types::SubmitArgs::new().timespec(&limit).min_wait_usec(nap))
        };
        match result {
            Err(error) if !is_transient(&error) => return Err(error),
            _ => {}
        }
        let completions = self.ring.completion();
        self.batch.extend(completions.map(|c| (c.user_data(), c.result(), c.flags())));
        Ok(())
    }

    fn is_idle(&self) -> bool {
        // The end of a timeout is news to nobody.
        self.told_again.is_empty() && self.batch.iter().all(|(data, ..)| data >> 56 == Op::Timeout as u64)
    }

    fn next(&mut self) -> Option<Completion> {
        while let Some((index, generation)) = self.told_again.pop() {
            let slot = &self.slots[index as usize];
            if slot.generation == generation && slot.fd.is_some() && !slot.retired {
                return Some(Completion { tag: slot.tag, what: What::Readable });
            }
        }
        while let Some((data, result, flags)) = self.batch.pop_front() {
            if let Some(completion) = self.translate(data, result, flags) {
                return Some(completion);
            }
        }
        None
    }

    #[inline]
    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        self.buffers[usize::from(chunk.group)].bytes(chunk)
    }

    #[inline]
    fn bytes_mut(&mut self, chunk: &Chunk) -> &mut [u8] {
        self.buffers[usize::from(chunk.group)].bytes_mut(chunk)
    }

    #[inline]
    fn release(&mut self, chunk: Chunk) {
        self.buffers[usize::from(chunk.group)].release(chunk);
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.take()
    }

    fn recycle(&mut self, buffer: Vec<u8>) {
        self.spare.keep(buffer);
    }

    fn receive_capacity(&self) -> u32 {
        self.buffers[0].capacity()
    }

    fn can_nap(&self) -> bool {
        self.nap
    }

    fn overflows(&mut self) -> u64 {
        u64::from(self.ring.completion().overflow())
    }

    fn describe(&self) -> String {
        format!("io_uring {}", self.flags)
    }
}

/// How many small buffers of which size: 16 KiB a connection, between 64 KiB and 1 MiB in all, which the cache can hold.
fn buffer_plan(connections: u32) -> (u16, usize) {
    let size = 32 * 1024;
    let total = (connections as usize * 16 * 1024).clamp(64 * 1024, 1024 * 1024);
    ((total / size).next_power_of_two() as u16, size)
}

fn os_error(result: i32) -> io::Error {
    io::Error::from_raw_os_error(-result)
}

/// Errors of `io_uring_enter` that mean "look at the completions and come again".
fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN | libc::ETIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    /// As many open connections, and the server's ends of them.
    fn connected(ring: &mut Uring, n: u32) -> (Vec<Sock>, Vec<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Arc::new(Peer::ip(listener.local_addr().unwrap()));
        let options = SocketOptions::default();
        let socks = (0..n).map(|tag| ring.open(tag, &peer, None, &options).unwrap()).collect();
        let theirs = (0..n).map(|_| {
            turn(ring, Time::ZERO);
            listener.accept().unwrap().0
        });
        let theirs = theirs.collect();
        while ring.slots.iter().any(|s| s.pending != 0) {
            turn(ring, Time::ZERO);
        }
        (socks, theirs)
    }

    fn turn(ring: &mut Uring, now: Time) {
        // Not at once: without waiting the kernel does no deferred work.
        let deadline = now.after(Duration::from_millis(1));
        let wait = Wait { deadline, want: 1, nap: Duration::ZERO, limit: Duration::ZERO };
        ring.wait(now, wait).unwrap();
        while ring.next().is_some() {}
    }

    fn open(ring: &Uring) -> usize {
        ring.slots.iter().filter(|s| s.fd.is_some()).count()
    }

    #[test]
    fn of_more_than_may_linger_the_oldest_are_closed_at_once() {
        let mut ring = Uring::new(8).unwrap();
        ring.set_lingering_max(3);
        let (socks, mut theirs) = connected(&mut ring, 8);
        for (i, sock) in socks.iter().enumerate() {
            let how = if i % 2 == 0 { Farewell::Await } else { Farewell::Finish };
            ring.retire(*sock, Time::ZERO, how);
            assert!(ring.lingering_open <= 3);
        }
        while open(&ring) > 3 {
            turn(&mut ring, Time::ZERO);
        }
        let survivors: Vec<bool> = socks.iter().map(|s| ring.slots[s.0 as usize].fd.is_some()).collect();
        assert_eq!(survivors, [false, false, false, false, false, true, true, true]);
        // The peer of one closes: it no longer counts, and another may linger in its place.
        drop(theirs.remove(5));
        while open(&ring) > 2 {
            turn(&mut ring, Time::ZERO);
        }
        assert_eq!(ring.lingering_open, 2);
        let late = Time::ZERO.after(limits::LINGER).after(Duration::from_nanos(1));
        while open(&ring) > 0 {
            turn(&mut ring, late);
        }
        assert_eq!((ring.lingering_open, ring.lingering.len()), (0, 0));
    }
}
