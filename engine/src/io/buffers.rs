//! Memory the kernel receives into: a ring of provided buffers, registered once, shared by all sockets of a core, so that
//! an idle connection holds none.
//!
//! Where the kernel can (6.12), buffers are consumed piece by piece: a small response takes only the bytes it has, so a
//! megabyte serves thousands of sockets and stays in the cache.

use super::Chunk;
use io_uring::{IoUring, types};
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

/// `IOU_PBUF_RING_INC` of the kernel's header: consume buffers incrementally.
const INCREMENTAL: u16 = 2;

/// A ring of buffers, one of at most two groups. Owned by the driver; must be dropped after the `IoUring` it is registered with.
pub(super) struct Buffers {
    group: u16,
    entries: Mapping,
    memory: Mapping,
    count: u16,
    size: usize,
    tail: u16,
    used: Vec<u32>,
    /// What a receive brings on average, times 16.
    average: u32,
    incremental: bool,
}

impl Buffers {
    /// Registers `count` (a power of two) buffers of `size` bytes as this group.
    pub(super) fn register(ring: &IoUring, group: u16, count: u16, size: usize) -> io::Result<Buffers> {
        assert!(count.is_power_of_two());
        let entries = Mapping::new((usize::from(count) * size_of::<types::BufRingEntry>()).max(4096))?;
        let memory = Mapping::new(usize::from(count) * size)?;
        let register = |flags| {
            // SAFETY: the mapping is page-aligned, large enough for `count` entries, and outlives the registration:
            // `Uring` drops its `IoUring` before its `Buffers`.
            unsafe { ring.submitter().register_buf_ring_with_flags(entries.base as u64, count, group, flags) }
        };
        let incremental = register(INCREMENTAL).is_ok();
        if !incremental {
            register(0)?;
        }
        let mut buffers = Buffers {
            group,
            entries,
            memory,
            count,
            size,
            tail: 0,
            used: vec![0; usize::from(count)],
            average: 0,
            incremental,
        };
        (0..count).for_each(|id| buffers.give(id));
        buffers.publish();
        Ok(buffers)
    }

    /// How many receives of the present size they hold.
    pub(super) fn capacity(&self) -> u32 {
        let average = if self.incremental { self.average / 16 } else { 0 }.max(256) as usize;
        match self.incremental {
            true => (usize::from(self.count) * self.size / average) as u32,
            false => u32::from(self.count),
        }
    }

    /// The chunk that a completion describes. `more`: the kernel goes on filling this buffer.
    #[inline]
    pub(super) fn take(&mut self, id: u16, len: u32, more: bool) -> Chunk {
        let used = &mut self.used[usize::from(id)];
        let offset = *used;
        assert!((offset + len) as usize <= self.size, "the kernel wrote past a buffer");
        *used = if more { offset + len } else { 0 };
        self.average = self.average - self.average / 16 + len;
        Chunk { group: self.group, buffer: id, offset, len, last: !more }
    }

    /// The bytes of a chunk.
    #[inline]
    pub(super) fn bytes(&self, chunk: &Chunk) -> &[u8] {
        // SAFETY: `take` checked that the range lies in this buffer, so it lies in the mapping; the kernel has finished
        // with these bytes and does not write them again before `release` gives the buffer back, which needs `&mut self`
        // and the chunk itself, so no such slice is alive then.
        unsafe { std::slice::from_raw_parts(self.memory.base.add(self.start(chunk)), chunk.len as usize) }
    }

    /// The bytes of a chunk, to be changed.
    #[inline]
    pub(super) fn bytes_mut(&mut self, chunk: &Chunk) -> &mut [u8] {
        // SAFETY: as for `bytes`; and `&mut self` keeps every other such slice away as long as this one lives.
        unsafe { std::slice::from_raw_parts_mut(self.memory.base.add(self.start(chunk)), chunk.len as usize) }
    }

    /// Where in the memory a chunk starts.
    #[inline]
    fn start(&self, chunk: &Chunk) -> usize {
        usize::from(chunk.buffer) * self.size + chunk.offset as usize
    }

    /// Gives the buffer back if this was its last chunk. Visible to the kernel after `publish`.
    #[inline]
    pub(super) fn release(&mut self, chunk: Chunk) {
        if chunk.last {
            self.give(chunk.buffer);
        }
    }

    fn give(&mut self, id: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        // SAFETY: `slot < count`, and the mapping holds `count` entries; the kernel does not read this entry before
        // `publish` moves the tail past it.
        unsafe {
            let entry = &mut *self.entries.base.cast::<types::BufRingEntry>().add(slot);
            entry.set_addr(self.memory.base.add(usize::from(id) * self.size) as u64);
            entry.set_len(self.size as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel the buffers given since the last call.
    #[inline]
    pub(super) fn publish(&self) {
        // SAFETY: the ring's tail lies in the mapping, is aligned, and is only ever accessed as an atomic from here.
        unsafe {
            let tail = types::BufRingEntry::tail(self.entries.base.cast::<types::BufRingEntry>())
                as *const AtomicU16;
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

/// Anonymous zeroed memory, page-aligned.
struct Mapping {
    base: *mut u8,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> io::Result<Mapping> {
        // SAFETY: a fresh anonymous mapping touches no existing memory.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { base: base.cast(), len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are those of a mapping made in `new` and unmapped only here.
        unsafe {
            libc::munmap(self.base.cast(), self.len);
        }
    }
}
