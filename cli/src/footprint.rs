//! Keeps the program's own file out of its resident memory where only one stage of a run needed it.
//!
//! The kernel maps sixteen pages around each one that is touched first, so reading eighty flags makes some megabytes of
//! code resident that are never run again. They are clean pages of files: letting go of them costs a system call for each
//! segment, and touching one again a soft fault. Called by `main` and `run` between stages, never while there is load.
//! See `docs/decisions/011-resident-memory.md`.

use std::ffi::{CStr, c_int, c_void};

/// Lets go of code and constants, of the program and of its libraries. What is needed next comes back from the page cache.
pub fn let_go() {
    // A debugger's breakpoints are changes of these pages, and would be lost.
    if cfg!(debug_assertions) {
        return;
    }
    // SAFETY: the callback only reads what it is lent for the time of the call, and does not unwind.
    unsafe {
        libc::dl_iterate_phdr(Some(object), std::ptr::null_mut());
    }
}

/// One object of the process.
unsafe extern "C" fn object(info: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: the loader lends a filled-in description for the time of this call.
    let (info, name, headers) = unsafe {
        let info = &*info;
        let name = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
        (info, name, std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    // The kernel's own object is no file.
    if name.to_bytes().starts_with(b"linux-") {
        return 0;
    }
    for header in headers {
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0 {
            forget(info.dlpi_addr as usize + header.p_vaddr as usize, header.p_memsz as usize);
        }
    }
    0
}

/// The whole pages within `len` bytes from `start`, which are those of a file and were never written.
fn forget(start: usize, len: usize) {
    // SAFETY: asks for a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let (first, end) = (start.next_multiple_of(page), (start + len) / page * page);
    if first < end {
        // SAFETY: the range lies within a segment that is mapped from a file and cannot be written, so its pages are
        // read again from the file when they are touched, and nothing is lost. Where that is refused, nothing is done.
        unsafe {
            libc::madvise(first as *mut c_void, end - first, libc::MADV_DONTNEED);
        }
    }
}
