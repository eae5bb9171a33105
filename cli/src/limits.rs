//! File descriptors: a connection needs one, and many systems start processes with room for 1024.

use crate::error::Failure;

/// Descriptors of the program itself: standard streams, rings, event descriptors, files.
const OWN: u64 = 64;
const PER_THREAD: u64 = 8;

/// What a run holds open at once.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Connections of the plan.
    pub connections: u64,
    /// Threads of the engine.
    pub threads: u64,
    /// Whether the server is in this process too: each connection then has two ends here.
    pub both_ends: bool,
}

impl Need {
    fn descriptors(self) -> u64 {
        let ends = if self.both_ends { 2 } else { 1 };
        self.connections * ends + self.threads * PER_THREAD + OWN
    }
}

/// Raises the soft limit as far as it is needed and allowed.
pub fn raise_descriptors(need: Need) -> Result<(), Failure> {
    let wanted = need.descriptors();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 || limit.rlim_cur >= wanted {
        return Ok(());
    }
    if limit.rlim_max < wanted {
        return Err(Failure::new(format!(
            "-c: {} connections need {wanted} file descriptors and this process may have {}: run `ulimit -n {wanted}` \
             first (as root, or raise the hard limit in /etc/security/limits.conf), or use fewer connections",
            need.connections, limit.rlim_max
        )));
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a live rlimit.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(()),
        _ => Err(Failure::new(format!(
            "cannot raise the limit of file descriptors: run `ulimit -n {wanted}` first"
        ))),
    }
}
