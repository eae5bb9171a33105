//! The limit of file descriptors of this process, read and raised. How many a run needs is the affair of `budget`; called by
//! `prepare`, and by `cli` for the built-in server, whose ends of the connections need as many again.

use std::io;

/// The limit of file descriptors, `RLIMIT_NOFILE`.
#[derive(Clone, Copy, Debug)]
pub struct FileLimit {
    /// What is in force.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}

impl FileLimit {
    /// As it is.
    pub fn of_process() -> io::Result<FileLimit> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is a valid, writable rlimit.
        match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
            0 => Ok(FileLimit { soft: limit.rlim_cur, hard: limit.rlim_max }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Has another one in force, not above the hard one.
    pub fn raise(self, soft: u64) -> io::Result<()> {
        let raised = libc::rlimit { rlim_cur: soft, rlim_max: self.hard };
        // SAFETY: `raised` is a valid rlimit.
        match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
