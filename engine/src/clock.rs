//! The clocks of the data plane: the only place that reads one.
//!
//! A core reads the time once per batch of completions and passes it down; everything below takes it as an argument.

use proto::Time;

/// Where a core takes the time from. Real or simulated.
pub trait Clock {
    /// Now, on the run's time line.
    fn now(&self) -> Time;
    /// CPU time of the calling thread in nanoseconds, for the batching policy.
    fn thread_cpu(&self) -> u64;
}

/// `CLOCK_MONOTONIC` since an epoch shared by all cores.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    epoch: u64,
}

impl Monotonic {
    /// A clock whose epoch is now.
    pub fn starting_now() -> Monotonic {
        Monotonic { epoch: read(libc::CLOCK_MONOTONIC) }
    }
}

impl Clock for Monotonic {
    #[inline]
    fn now(&self) -> Time {
        Time::from_nanos(read(libc::CLOCK_MONOTONIC) - self.epoch)
    }

    fn thread_cpu(&self) -> u64 {
        read(libc::CLOCK_THREAD_CPUTIME_ID)
    }
}

/// Nanoseconds since 1970, for what a plan says about dates.
pub(crate) fn wall() -> u64 {
    read(libc::CLOCK_REALTIME)
}

#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid, writable timespec, and both clocks used here exist on every Linux.
    let rc = unsafe { libc::clock_gettime(clock, &mut ts) };
    assert_eq!(rc, 0, "clock_gettime failed");
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}
