//! An allocator in front of the system's that keeps small freed blocks of a core for the next use.
//!
//! Plain requests allocate nothing, but what a plan does with a response does: a value that is extracted, a cookie, text that is
//! rendered, blocks of some dozens to some hundreds of bytes, freed in bursts when iterations end. glibc keeps seven blocks of a
//! size at hand; the rest of a burst it joins with their neighbours and splits again. Here they wait in a list per size: a log-in
//! of three steps costs a tenth less (`docs/decisions/012-http3-in-the-cache.md`). Only threads that ask for it ([`begin`]) keep
//! any; the binary makes it its allocator.

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
    use std::sync::mpsc::{Receiver, Sender, channel};

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

    /// SplitMix64.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    /// A block in use, by its address so that it may go to another thread, full of one byte.
    struct Held {
        at: usize,
        layout: Layout,
        byte: u8,
    }

    impl Held {
        fn new(seed: &mut u64) -> Held {
            let (size, align) = (1 + random(seed) % 400, 1 << (random(seed) % 7));
            let layout = Layout::from_size_align(size as usize, align).unwrap();
            let zeroed = random(seed).is_multiple_of(3);
            // SAFETY: the layout has a size.
            let block =
                unsafe { if zeroed { Recycler.alloc_zeroed(layout) } else { Recycler.alloc(layout) } };
            assert!(!block.is_null() && (block as usize).is_multiple_of(layout.align()), "{layout:?}");
            let mut held = Held { at: block as usize, layout, byte: 0 };
            assert!(!zeroed || held.is_full(), "zeroed, although used before");
            held.fill(random(seed) as u8);
            held
        }
        fn bytes(&mut self) -> &mut [u8] {
            // SAFETY: the block is as long, and this one's alone; all its bytes are written by `fill` or came zeroed.
            unsafe { std::slice::from_raw_parts_mut(self.at as *mut u8, self.layout.size()) }
        }
        fn fill(&mut self, byte: u8) {
            // SAFETY: as above; the bytes need not be initialized.
            unsafe { (self.at as *mut u8).write_bytes(byte, self.layout.size()) };
            self.byte = byte;
        }
        fn is_full(&mut self) -> bool {
            let byte = self.byte;
            self.bytes().iter().all(|b| *b == byte)
        }
        fn grow(&mut self, size: usize) {
            // SAFETY: the block came from this allocator with this layout, and the new size is no overflow.
            let block = unsafe { Recycler.realloc(self.at as *mut u8, self.layout, size) };
            let kept = self.layout.size().min(size);
            let layout = Layout::from_size_align(size, self.layout.align()).unwrap();
            (self.at, self.layout) = (block as usize, Layout::from_size_align(kept, layout.align()).unwrap());
            assert!(!block.is_null() && self.is_full(), "moved with what was in it");
            self.layout = layout;
            self.fill(self.byte.wrapping_add(1));
        }
        fn free(mut self) {
            assert!(self.is_full(), "nobody else wrote into it");
            // SAFETY: as in `grow`, and the block is not used after this.
            unsafe { Recycler.dealloc(self.at as *mut u8, self.layout) };
        }
    }

    /// Every block is one owner's alone, whatever is done with it and by whichever thread. With a sanitizer the same test
    /// also sees every access outside of a block.
    #[test]
    fn blocks_of_all_sizes_go_through_threads_that_keep_them_and_threads_that_do_not() {
        let (to_keeper, from_other) = channel::<Held>();
        let (to_other, from_keeper) = channel::<Held>();
        let work = |seed: u64, keeps: bool, there: Sender<Held>, here: Receiver<Held>| {
            move || {
                let (mut seed, mut held) = (seed, Vec::new());
                for round in 0..20_000 {
                    if keeps && round % 5_000 == 0 {
                        end();
                        begin();
                    }
                    held.extend(here.try_iter());
                    let i = random(&mut seed) as usize % held.len().max(1);
                    match random(&mut seed) % 6 {
                        0..3 => held.push(Held::new(&mut seed)),
                        _ if held.is_empty() => {}
                        3 => held.swap_remove(i).free(),
                        4 => held[i].grow(1 + random(&mut seed) as usize % 400),
                        // Gone: the other one has ended.
                        _ => there.send(held.swap_remove(i)).unwrap_or_else(|back| back.0.free()),
                    }
                    if held.len() > 500 {
                        held.drain(..250).for_each(Held::free);
                    }
                }
                drop(there);
                held.into_iter().chain(here).for_each(Held::free);
                end();
            }
        };
        let keeper = std::thread::spawn(work(1, true, to_other, from_other));
        let other = std::thread::spawn(work(2, false, to_keeper, from_keeper));
        assert!(keeper.join().is_ok() && other.join().is_ok());
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
