//! An allocator that knows what a thread holds: how much memory a peer can make a client keep. A file that wants it says
//! `#[global_allocator] static A: Meter = Meter;`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

pub struct Meter;

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn change(by: i64) {
    let _ = COUNTS.try_with(|on| {
        if on.get() {
            let now = HELD.get() + by;
            HELD.set(now);
            MOST.set(MOST.get().max(now));
            CALLS.set(CALLS.get() + u64::from(by > 0));
        }
    });
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        change(layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        change(-(layout.size() as i64));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        change(new_size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// What `f` allocates and frees is counted.
pub fn metered<T>(f: impl FnOnce() -> T) -> T {
    let before = COUNTS.replace(true);
    let result = f();
    COUNTS.set(before);
    result
}

/// What `f` allocates and frees within something metered is not counted.
pub fn unmetered<T>(f: impl FnOnce() -> T) -> T {
    let before = COUNTS.replace(false);
    let result = f();
    COUNTS.set(before);
    result
}

/// Bytes held now by what was metered on this thread, and the most that were ever held.
pub fn held() -> (i64, i64) {
    (HELD.get(), MOST.get())
}

/// Allocations metered on this thread.
pub fn calls() -> u64 {
    CALLS.get()
}

pub fn reset() {
    HELD.set(0);
    MOST.set(0);
    CALLS.set(0);
}
