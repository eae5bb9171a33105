//! Deadlines of a core, lazily: one entry per owner, looked at when it fires, not moved when the owner moves on.
//!
//! A request timeout of 30 s at 200 000 requests per second would otherwise mean six million entries; here an owner keeps
//! one entry, and when that fires the owner says whether it was still meant, and for when.

use proto::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Whose deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A virtual user, by index.
    User(u32),
    /// A link, by index.
    Link(u32),
}

/// The deadlines of a core.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, Owner)>>,
}

impl Timers {
    /// Adds an entry. The owner remembers that it has one.
    pub(crate) fn arm(&mut self, at: Time, owner: Owner) {
        self.heap.push(Reverse((at, owner)));
    }

    /// The earliest entry's time.
    #[inline]
    pub(crate) fn next(&self) -> Time {
        self.heap.peek().map_or(Time::NEVER, |Reverse((at, _))| *at)
    }

    /// Removes the earliest entry if its time has come.
    #[inline]
    pub(crate) fn expired(&mut self, now: Time) -> Option<Owner> {
        if self.next() > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, owner))| owner)
    }
}
