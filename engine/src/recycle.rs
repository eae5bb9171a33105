//! An allocator in front of the system's that keeps small freed blocks of a core for the next use.
//!
//! Nothing is allocated per request in clear, but QUIC does: three blocks of 128 to 208 bytes a request, freed when it is
//! acknowledged, so in bursts of as many as a connection has streams. glibc keeps seven blocks of a size at hand; the rest
//! of a burst it joins with their neighbours and splits again, which costs more than the request's encryption. Here they
//! wait in a list per size. Only threads that ask for it ([`begin`]) keep any; the binary makes it its allocator.

use crate::limits;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Sizes are rounded up to multiples of this.
const GRAIN: usize = 32;
const ALIGN: usize = 16;
/// Blocks above `GRAIN * CLASSES` bytes are the system's affair.
const CLASSES: usize = 8;

/// A free block: its first bytes lead to the next.
struct Block {
    next: *mut Block,
}

/// The free blocks of one size.
#[derive(Clone, Copy)]
struct List {
    first: *mut Block,
    /// How many more it takes.
    room: u32,
}

thread_local! {
    // Without a destructor, so that looking at it is a load and never an allocation.
    static LISTS: UnsafeCell<[List; CLASSES]> =
        const { UnsafeCell::new([List { first: null_mut(), room: 0 }; CLASSES]) };
}

/// Runs with the lists of this thread. `call` must not allocate.
#[inline]
fn with_lists<T>(call: impl FnOnce(&mut [List; CLASSES]) -> T) -> T {
    // SAFETY: of one thread, and `call` does not come back here: it neither allocates nor frees.
    LISTS.with(|lists| call(unsafe { &mut *lists.get() }))
}

/// This thread keeps its free blocks from now on.
pub(crate) fn begin() {
    with_lists(|lists| lists.iter_mut().for_each(|list| list.room = limits::RECYCLED));
}

/// This thread gives back what it kept.
pub(crate) fn end() {
    let lists = with_lists(|lists| std::mem::replace(lists, [List { first: null_mut(), room: 0 }; CLASSES]));
    for (class, mut list) in lists.into_iter().enumerate() {
        while !list.first.is_null() {
            // SAFETY: what is in a list is a free block of its class, allocated by `System` with that layout.
            unsafe {
                let next = (*list.first).next;
                System.dealloc(list.first.cast(), layout(class));
                list.first = next;
            }
        }
    }
}

/// The list that a layout belongs to, if any.
#[inline]
fn class(layout: Layout) -> Option<usize> {
    let fits = layout.size() <= GRAIN * CLASSES && layout.size() > 0 && layout.align() <= ALIGN;
    fits.then(|| (layout.size() - 1) / GRAIN)
}

/// What blocks of a class are allocated with, by whichever thread.
#[inline]
fn layout(class: usize) -> Layout {
    // SAFETY: the alignment is a power of two and the size small.
    unsafe { Layout::from_size_align_unchecked((class + 1) * GRAIN, ALIGN) }
}

/// The allocator.
#[derive(Clone, Copy, Debug)]
pub struct Recycler;

// SAFETY: a block is handed out once until it is freed: it is taken out of its list, or comes from `System`; every block of a
// class has the layout of the class, which is at least what was asked for, so it does not matter whose list it came from or
// goes to.
unsafe impl GlobalAlloc for Recycler {
    #[inline]
    unsafe fn alloc(&self, asked: Layout) -> *mut u8 {
        let Some(class) = class(asked) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(asked) };
        };
        let kept = with_lists(|lists| {
            let list = &mut lists[class];
            let block = list.first;
            if !block.is_null() {
                // SAFETY: a block in a list is free, and its first bytes were written when it was put there.
                list.first = unsafe { (*block).next };
                list.room += 1;
            }
            block
        });
        if !kept.is_null() {
            return kept.cast();
        }
        // SAFETY: the layout of a class has a size.
        unsafe { System.alloc(layout(class)) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, asked: Layout) {
        let Some(class) = class(asked) else {
            // SAFETY: the caller's promise; blocks without a class come from `System` as asked for.
            return unsafe { System.dealloc(block, asked) };
        };
        let kept = with_lists(|lists| {
            let list = &mut lists[class];
            if list.room == 0 {
                return false;
            }
            list.room -= 1;
            let block = block.cast::<Block>();
            // SAFETY: the block is free from now on, at least GRAIN bytes long and aligned for a pointer.
            unsafe { block.write(Block { next: list.first }) };
            list.first = block;
            true
        });
        if !kept {
            // SAFETY: blocks of a class were allocated with its layout.
            unsafe { System.dealloc(block, layout(class)) }
        }
    }

    unsafe fn alloc_zeroed(&self, asked: Layout) -> *mut u8 {
        match class(asked) {
            // SAFETY: the caller's promise; and the block is as long as asked for at least.
            Some(_) => unsafe {
                let block = self.alloc(asked);
                if !block.is_null() {
                    block.write_bytes(0, asked.size());
                }
                block
            },
            // SAFETY: the caller's promise.
            None => unsafe { System.alloc_zeroed(asked) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, asked: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size rounded up to the alignment is legal.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, asked.align()) };
        match (class(asked), class(wanted)) {
            // SAFETY: the caller's promise; blocks without a class are `System`'s as asked for.
            (None, None) => unsafe { System.realloc(block, asked, size) },
            (before, after) if before == after => block,
            // SAFETY: both blocks are as long as what is copied, and they are two.
            _ => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    moved.copy_from_nonoverlapping(block, asked.size().min(size));
                    self.dealloc(block, asked);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn a_thread_that_asked_gets_its_own_blocks_back_and_others_do_not_keep_any() {
        let a = Recycler;
        // SAFETY: each block is freed once, with the layout that it was asked for with or grown to.
        unsafe {
            begin();
            let one = a.alloc(of(160));
            let two = a.alloc(of(161));
            a.dealloc(one, of(160));
            a.dealloc(two, of(161));
            assert_eq!(a.alloc(of(129)), one, "of the same class");
            assert_eq!(a.alloc(of(192)), two);
            one.write(7);
            two.write(8);
            assert_eq!(a.realloc(one, of(129), 150), one, "within its class");
            let grown = a.realloc(one, of(150), 5000);
            assert_eq!(grown.read(), 7);
            assert_eq!(a.alloc_zeroed(of(140)).cast::<u64>().read(), 0, "although used before");
            a.dealloc(grown, of(5000));
            a.dealloc(one, of(140));
            a.dealloc(two, of(192));
            end();
            with_lists(|lists| assert!(lists.iter().all(|l| l.first.is_null() && l.room == 0)));
            let block = a.alloc(of(100));
            a.dealloc(block, of(100));
            with_lists(|lists| assert!(lists.iter().all(|l| l.first.is_null())));
        }
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let a = Recycler;
        // SAFETY: each block is freed once, as it was asked for.
        unsafe {
            begin();
            let blocks: Vec<_> = (0..limits::RECYCLED + 10).map(|_| a.alloc(of(200))).collect();
            blocks.into_iter().for_each(|block| a.dealloc(block, of(200)));
            let (mut kept, mut next) = (0, with_lists(|lists| lists[class(of(200)).unwrap()].first));
            while !next.is_null() {
                (kept, next) = (kept + 1, (*next).next);
            }
            assert_eq!(kept, limits::RECYCLED);
            end();
        }
    }
}
