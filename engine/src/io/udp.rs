//! Datagrams of a connected UDP socket: many in one call, both ways (udp(7), `UDP_GRO` and `UDP_SEGMENT`), with their ECN
//! bits. Raw calls, because each is one system call for up to 64 datagrams and nothing else is to be gained; who calls them
//! when a socket is readable is the driver.

use bytes::BytesMut;
use proto_h3::{Received, Transmit};
use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The largest datagram, and what one receive with GRO may bring.
const LARGEST: usize = 65_536;
/// Datagrams are received behind each other into blocks of this size: a block is used again when all of it was read.
const BLOCK: usize = 8 * LARGEST;
/// Receives in one go on a socket: beyond this, others wait for their turn.
const MOST: usize = 32;
/// Room for the three control messages there may be.
const CONTROL: usize = 128;
/// `SK_MEMINFO_DROPS` and the number of values, of the kernel's sock_diag.h.
const DROPS: usize = 8;
const MEMINFO: usize = 9;

/// The control messages of a call, aligned as the kernel wants them.
#[repr(align(8))]
struct Control([MaybeUninit<u8>; CONTROL]);

/// Memory that datagrams are received into: one for a core, not for each connection.
#[derive(Default)]
pub(crate) struct Receiver {
    block: BytesMut,
    /// The block before, whose datagrams are read by the time this one is full.
    before: BytesMut,
}

impl Receiver {
    /// Receives what is there, in order. True: there may be more.
    pub(crate) fn receive(&mut self, fd: RawFd, into: &mut Vec<Received>) -> io::Result<bool> {
        for _ in 0..MOST {
            self.make_room();
            match self.one(fd) {
                Ok(received) => into.push(received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Room for one more receive, where it can be in memory that was used before.
    fn make_room(&mut self) {
        if self.block.capacity() >= LARGEST || self.block.try_reclaim(LARGEST) {
            return;
        }
        std::mem::swap(&mut self.block, &mut self.before);
        if !self.block.try_reclaim(BLOCK) {
            self.block = BytesMut::with_capacity(BLOCK);
        }
    }

    fn one(&mut self, fd: RawFd) -> io::Result<Received> {
        let room = self.block.spare_capacity_mut();
        let mut iov = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len().min(LARGEST) };
        let mut control = Control([MaybeUninit::uninit(); CONTROL]);
        // SAFETY: all-zero is a valid msghdr: no name, no buffers.
        let mut header: libc::msghdr = unsafe { zeroed() };
        (header.msg_iov, header.msg_iovlen) = (&raw mut iov, 1);
        (header.msg_control, header.msg_controllen) = (control.0.as_mut_ptr().cast(), CONTROL);
        // SAFETY: the header points to `iov` and `control`, which live through the call; the kernel writes at most their
        // lengths, the first into spare capacity that is ours alone.
        let n = unsafe { libc::recvmsg(fd, &raw mut header, 0) };
        let Ok(len) = usize::try_from(n) else { return Err(io::Error::last_os_error()) };
        let (stride, ecn) = read_control(&header);
        // SAFETY: the kernel has written so many bytes behind what was filled.
        unsafe { self.block.set_len(self.block.len() + len) };
        let bytes = self.block.split();
        Ok(Received { stride: stride.unwrap_or(len).max(1), bytes, ecn })
    }
}

/// The size of the datagrams, where there are several, and their ECN bits.
fn read_control(header: &libc::msghdr) -> (Option<usize>, u8) {
    let (mut stride, mut ecn) = (None, 0);
    // SAFETY: the header is one that recvmsg has filled: CMSG_FIRSTHDR and CMSG_NXTHDR stay within its control buffer.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: not null, so it is a whole control message; its data may not be aligned.
        unsafe {
            let data = libc::CMSG_DATA(next);
            match ((*next).cmsg_level, (*next).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    stride = Some(data.cast::<libc::c_int>().read_unaligned() as usize);
                }
                // One byte in IPv4 (ip(7)), an int in IPv6 (ipv6(7)): the lower bits come first where we run.
                (libc::IPPROTO_IP, libc::IP_TOS) | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    ecn = data.read() & 3;
                }
                _ => {}
            }
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
    (stride, ecn)
}

/// Sends datagrams in one call. `WouldBlock`: nothing was sent.
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8], transmit: Transmit, v6: bool) -> io::Result<()> {
    let segment = transmit.segment_size.filter(|size| *size < bytes.len());
    match send_once(fd, bytes, segment, transmit.ecn, v6) {
        // No GSO on this way (a device without checksum offload, an old kernel): one by one.
        Err(error) if segment.is_some() && matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => {
            let size = segment.unwrap_or(bytes.len());
            bytes.chunks(size).try_for_each(|one| send_once(fd, one, None, transmit.ecn, v6))
        }
        done => done,
    }
}

fn send_once(fd: BorrowedFd<'_>, bytes: &[u8], segment: Option<usize>, ecn: u8, v6: bool) -> io::Result<()> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([MaybeUninit::zeroed(); CONTROL]);
    // SAFETY: all-zero is a valid msghdr.
    let mut header: libc::msghdr = unsafe { zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut iov, 1);
    header.msg_control = control.0.as_mut_ptr().cast();
    let mut used = 0;
    if let Some(size) = segment {
        used = put_control(&mut header, used, libc::SOL_UDP, libc::UDP_SEGMENT, size as u16);
    }
    if ecn != 0 {
        let (level, kind) = match v6 {
            true => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            false => (libc::IPPROTO_IP, libc::IP_TOS),
        };
        used = put_control(&mut header, used, level, kind, libc::c_int::from(ecn));
    }
    header.msg_controllen = used;
    if used == 0 {
        header.msg_control = std::ptr::null_mut();
    }
    loop {
        // SAFETY: the header points to `iov`, `bytes` and `control`, which live through the call and are only read.
        if unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) } >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Appends a control message behind `used` bytes of them. Returns how many are used then.
fn put_control<T>(
    header: &mut libc::msghdr,
    used: usize,
    level: libc::c_int,
    kind: libc::c_int,
    value: T,
) -> usize {
    let len = size_of::<T>() as u32;
    // SAFETY: pure arithmetic.
    let (space, cmsg_len) = unsafe { (libc::CMSG_SPACE(len) as usize, libc::CMSG_LEN(len) as usize) };
    assert!(used + space <= CONTROL, "the control messages there are fit");
    // SAFETY: `msg_control` points to CONTROL bytes, aligned for cmsghdr since `used` is a sum of CMSG_SPACEs, and the
    // message ends within them.
    unsafe {
        let message = header.msg_control.cast::<u8>().add(used).cast::<libc::cmsghdr>();
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = cmsg_len;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(value);
    }
    used + space
}

/// Datagrams that the kernel threw away because the socket's receive buffer was full.
pub(crate) fn drops(fd: RawFd) -> u64 {
    let mut info = [0_u32; MEMINFO];
    let mut len = size_of::<[u32; MEMINFO]>() as libc::socklen_t;
    // SAFETY: the pointer and the length are those of `info`.
    let rc = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, info.as_mut_ptr().cast(), &raw mut len)
    };
    if rc == 0 { u64::from(info[DROPS]) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::socket::{self, Peer};
    use scenario::plan::Socket as SocketOptions;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    /// A socket of ours connected to one of the standard library, and that one.
    fn pair(address: &str) -> (std::os::fd::OwnedFd, UdpSocket) {
        let far = UdpSocket::bind(address).unwrap();
        far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let peer = Peer::ip(far.local_addr().unwrap());
        let near = socket::make_datagram(&peer, None, &SocketOptions::default()).unwrap();
        (near, far)
    }

    #[test]
    fn segments_arrive_as_datagrams_and_come_back_together() {
        for (address, v6) in [("127.0.0.1:0", false), ("[::1]:0", true)] {
            let (near, far) = pair(address);
            let bytes: Vec<u8> = (0..2500_u32).map(|i| i as u8).collect();
            let transmit = Transmit { ecn: 2, segment_size: Some(1000) };
            send(near.as_fd(), &bytes, transmit, v6).unwrap();
            let (mut got, mut sizes, mut from) = (Vec::new(), Vec::new(), None);
            for _ in 0..3 {
                let mut buffer = [0; 2000];
                let (n, address) = far.recv_from(&mut buffer).unwrap();
                got.extend_from_slice(&buffer[..n]);
                sizes.push(n);
                from = Some(address);
            }
            assert_eq!((got, sizes), (bytes, vec![1000, 1000, 500]));
            // Back, one by one: they are all there, in order, whatever the kernel put together.
            let mut receiver = Receiver::default();
            for i in 0..3_u8 {
                far.send_to(&[i; 300], from.unwrap()).unwrap();
            }
            let (mut received, mut all) = (Vec::new(), Vec::new());
            while all.len() < 900 {
                assert!(!receiver.receive(near.as_raw_fd(), &mut received).unwrap());
                for r in received.drain(..) {
                    assert!(r.stride == 300 && r.ecn == 0, "{} {}", r.stride, r.ecn);
                    all.extend_from_slice(&r.bytes);
                }
            }
            assert_eq!(all, [[0; 300], [1; 300], [2; 300]].concat());
            assert_eq!(drops(near.as_raw_fd()), 0);
        }
    }

    #[test]
    fn ecn_bits_go_both_ways() {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let near = socket::make_datagram(&Peer::ip(a.local_addr().unwrap()), None, &SocketOptions::default())
            .unwrap();
        // The far end is one of ours as well, connected back.
        let local = socket2::SockRef::from(&near).local_addr().unwrap().as_socket().unwrap();
        let to = a.local_addr().unwrap();
        drop(a);
        let far = UdpSocket::bind(to).unwrap();
        far.connect(local).unwrap();
        far.set_nonblocking(true).unwrap();
        socket::want_ecn(&far, false).unwrap();
        send(near.as_fd(), b"x", Transmit { ecn: 2, segment_size: None }, false).unwrap();
        let (mut receiver, mut received) = (Receiver::default(), Vec::new());
        while received.is_empty() {
            receiver.receive(far.as_raw_fd(), &mut received).unwrap();
        }
        assert_eq!((received[0].ecn, received[0].bytes.as_ref()), (2, &b"x"[..]));
    }

    #[test]
    fn blocks_are_used_again_once_their_datagrams_are_gone() {
        let (near, far) = pair("127.0.0.1:0");
        send(near.as_fd(), b"hello", Transmit { ecn: 0, segment_size: None }, false).unwrap();
        let (_, from) = far.recv_from(&mut [0; 10]).unwrap();
        let (mut receiver, mut received) = (Receiver::default(), Vec::new());
        let mut places = std::collections::HashSet::new();
        for _ in 0..100 {
            far.send_to(&[7; 60_000], from).unwrap();
            while received.is_empty() {
                receiver.receive(near.as_raw_fd(), &mut received).unwrap();
            }
            places.insert(received[0].bytes.as_ptr() as usize);
            received.clear();
        }
        assert!(places.len() <= 2 * BLOCK / 60_000, "{} places of 100 receives", places.len());
    }

    #[test]
    fn what_does_not_fit_the_receive_buffer_is_counted() {
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        let options = SocketOptions { receive_buffer: Some(4096), ..SocketOptions::default() };
        let near = socket::make_datagram(&Peer::ip(far.local_addr().unwrap()), None, &options).unwrap();
        let local = socket2::SockRef::from(&near).local_addr().unwrap().as_socket().unwrap();
        for _ in 0..100 {
            far.send_to(&[0; 1000], local).unwrap();
        }
        assert!(drops(near.as_raw_fd()) > 50);
    }

    #[test]
    fn nobody_there_is_an_error_of_the_socket() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let near = socket::make_datagram(&Peer::ip(gone), None, &SocketOptions::default()).unwrap();
        send(near.as_fd(), b"hello", Transmit { ecn: 0, segment_size: None }, false).unwrap();
        let (mut receiver, mut received) = (Receiver::default(), Vec::new());
        let error = receiver.receive(near.as_raw_fd(), &mut received).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    }
}
