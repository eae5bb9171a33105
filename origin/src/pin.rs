//! Pins the calling thread to one CPU. Called by `worker.rs` at the start of each thread.

use std::io;
use std::mem;

/// Lets the calling thread run on `cpu` alone.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: cpu_set_t is plain data for which all zero bytes mean the empty set; CPU_SET is given an index
    // below CPU_SETSIZE; sched_setaffinity only reads the set, whose size is stated.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_cpu_is_an_error() {
        assert!(pin(1 << 20).is_err());
        assert!(pin(libc::CPU_SETSIZE as usize - 1).is_err());
    }
}
