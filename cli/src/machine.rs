//! The flags about the machine, into the engine's options.

use crate::args::{Io, MachineArgs, Pacing};
use crate::error::Failure;
use engine::Options;
use std::num::NonZeroUsize;

/// More threads than this are a mistake.
const MAX_THREADS: u64 = 1024;

/// The options, and a warning if there are more threads than CPUs.
pub fn options(args: &MachineArgs) -> Result<(Options, Option<String>), Failure> {
    let threads = args.threads.unwrap_or(1);
    let threads = usize::try_from(threads.min(MAX_THREADS + 1)).ok().and_then(NonZeroUsize::new);
    let Some(threads) = threads else {
        return Err(Failure::new(
            "-t: the number of threads must be strictly greater than 0: give -t 1 or more, one a core",
        ));
    };
    if threads.get() as u64 > MAX_THREADS {
        return Err(Failure::new(format!("-t: at most {MAX_THREADS} threads: one a core is enough")));
    }
    let cores = allowed_cpus().len();
    let warning = (threads.get() > cores).then(|| {
        format!("-t: warning: the number of threads is greater than hardware cores ({threads} on {cores})")
    });
    let io = match args.io {
        Io::Auto => engine::Io::Auto,
        Io::Uring => engine::Io::Uring,
        Io::Monoio => engine::Io::Monoio,
        Io::Epoll => engine::Io::Epoll,
    };
    let options = Options {
        threads,
        cpus: args.cpus.as_ref().map(|list| list.0.clone()),
        io,
        batch: !args.no_batch,
        discard_body: args.discard_body,
        pacing: match args.pacing {
            Pacing::Precise => engine::Pacing::Precise,
            Pacing::Sleep => engine::Pacing::Sleep,
        },
        key_log: std::env::var_os("SSLKEYLOGFILE").is_some_and(|v| !v.is_empty()),
        ..Options::default()
    };
    Ok((options, warning))
}

/// The CPUs this process may use. Never empty.
pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: an all-zero cpu_set_t is a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer and the size are those of `set`.
    let done = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
    if done != 0 {
        return vec![0];
    }
    // SAFETY: every index is below CPU_SETSIZE, the number of bits in the set.
    let cpus: Vec<usize> =
        (0..libc::CPU_SETSIZE as usize).filter(|&n| unsafe { libc::CPU_ISSET(n, &set) }).collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}
