//! What wakes a waiting core when no socket does: a timer that is precise to some microseconds, and a bell that is rung
//! for a wait that shall not wait. Both are descriptors that monoio watches like sockets.
//!
//! monoio's own timers have a resolution of a millisecond, which neither pacing nor short waits can live with.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A descriptor that becomes readable at a time (`timerfd`). The deadline may be moved as long as it has not passed.
pub(super) struct Timer(OwnedFd);

/// A descriptor that becomes readable when told to (`eventfd`).
pub(super) struct Bell(OwnedFd);

impl Timer {
    /// The timer, not set, and the descriptor to watch.
    pub(super) fn new() -> io::Result<(Timer, OwnedFd)> {
        // SAFETY: no memory is passed; the result is checked.
        let fd =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        let fd = own(fd)?;
        Ok((Timer(fd.try_clone()?), fd))
    }

    /// Rings after this time, instead of when it was set to.
    pub(super) fn set(&self, after: Duration) {
        // A value of zero would switch it off.
        let after = after.max(Duration::from_nanos(1));
        let it_value = libc::timespec {
            tv_sec: after.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(after.subsec_nanos() as i32),
        };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::itimerspec { it_interval: never, it_value };
        // SAFETY: the value lives through the call; the old one is not asked for.
        let rc =
            unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const value, std::ptr::null_mut()) };
        assert_eq!(rc, 0, "timerfd_settime failed: {}", io::Error::last_os_error());
    }
}

impl Bell {
    /// The bell and the descriptor to watch.
    pub(super) fn new() -> io::Result<(Bell, OwnedFd)> {
        // SAFETY: no memory is passed; the result is checked.
        let fd = own(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        Ok((Bell(fd.try_clone()?), fd))
    }

    /// Makes it readable.
    pub(super) fn ring(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes that live through the call. It can only fail where the bell rings already.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }
}

/// Makes a timer or a bell that rang unreadable again.
pub(super) fn hush(fd: RawFd) {
    let mut count = 0_u64;
    // SAFETY: eight bytes that live through the call. Where it did not ring this only fails.
    unsafe { libc::read(fd, (&raw mut count).cast(), size_of::<u64>()) };
}

fn own(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
