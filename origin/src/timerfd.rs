//! One kernel timer as a readable descriptor. It exists because the runtime's own timers tick in
//! milliseconds, and a delay of 250 us has to be one. Called by `timers.rs`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// A `timerfd` on the monotonic clock, not blocking.
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; the result is checked before it becomes a descriptor that we own.
        unsafe {
            let fd = libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(OwnedFd::from_raw_fd(fd))) }
        }
    }

    /// Becomes readable once, `after` from now.
    pub(crate) fn arm(&self, after: Duration) -> io::Result<()> {
        // All zero would disarm it.
        let after = after.max(Duration::from_nanos(1));
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::timespec {
            tv_sec: libc::time_t::try_from(after.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(after.subsec_nanos() as i32),
        };
        let spec = libc::itimerspec { it_interval: none, it_value: value };
        // SAFETY: the descriptor is open as long as self lives, `spec` is read during the call only, and no
        // old value is asked for.
        let failed = unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &spec, ptr::null_mut()) != 0 };
        if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes back the readiness.
    pub(crate) fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: the descriptor is open and the buffer is the eight bytes that a timerfd writes. A failure
        // means that there was nothing to take back.
        let _ = unsafe { libc::read(self.0.as_raw_fd(), ptr::from_mut(&mut count).cast(), size_of::<u64>()) };
    }
}

impl AsRawFd for TimerFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
