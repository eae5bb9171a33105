//! What a core costs the machine, as the kernel counts it.

use super::Cost;
use std::time::Duration;

/// The calling thread's costs so far.
pub(crate) fn of_thread() -> Cost {
    let usage = usage(libc::RUSAGE_THREAD);
    Cost {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        voluntary_switches: usage.ru_nvcsw as u64,
        involuntary_switches: usage.ru_nivcsw as u64,
        peak_rss: peak_rss(),
        waited: waited(),
        ..Cost::default()
    }
}

/// The calling thread's costs since `before`.
pub(crate) fn since(before: Cost) -> Cost {
    let now = of_thread();
    Cost {
        user: now.user.saturating_sub(before.user),
        system: now.system.saturating_sub(before.system),
        voluntary_switches: now.voluntary_switches - before.voluntary_switches,
        involuntary_switches: now.involuntary_switches - before.involuntary_switches,
        waited: now.waited.saturating_sub(before.waited),
        ..now
    }
}

/// Largest resident set of the process so far, in bytes.
pub(crate) fn peak_rss() -> u64 {
    usage(libc::RUSAGE_SELF).ru_maxrss as u64 * 1024
}

/// How long the calling thread was ready to run and had no CPU; zero where the kernel does not count it.
fn waited() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    Duration::from_nanos(ns)
}

fn usage(who: libc::c_int) -> libc::rusage {
    // SAFETY: an all-zero rusage is a valid value, and getrusage fills it for the two constants used here.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    }
}

fn duration(t: libc::timeval) -> Duration {
    Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
}
