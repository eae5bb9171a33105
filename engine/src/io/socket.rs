//! Making sockets: the only place that sets their options.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// What a plan says about sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketOptions {
    /// `TCP_QUICKACK` from the start.
    pub quickack: bool,
}

/// A non-blocking TCP socket for this address, not connected.
pub(crate) fn tcp(to: SocketAddr, options: &SocketOptions) -> io::Result<OwnedFd> {
    let socket =
        Socket::new(Domain::for_address(to), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if options.quickack {
        socket.set_tcp_quickack(true)?;
    }
    // SAFETY: `into_raw_fd` gave up the only ownership of the descriptor, which is taken over here.
    Ok(unsafe { OwnedFd::from_raw_fd(socket.into_raw_fd()) })
}

/// `SO_RCVLOWAT`: how many bytes must be there before a receive completes. Failing is harmless: more wake-ups.
pub(crate) fn set_low_water(fd: RawFd, bytes: u32) {
    let value = bytes as libc::c_int;
    // SAFETY: the option value is a c_int that lives through the call; a closed or wrong descriptor only gives an error.
    unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// Sends FIN and ends receiving, so that operations in the kernel on this socket end.
pub(crate) fn shutdown(fd: &OwnedFd) {
    // SAFETY: the descriptor is owned by `fd` and stays open through the call.
    unsafe {
        libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR);
    }
}

/// Sends FIN; receiving goes on.
pub(crate) fn shutdown_write(fd: &OwnedFd) {
    // SAFETY: as above.
    unsafe {
        libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR);
    }
}
