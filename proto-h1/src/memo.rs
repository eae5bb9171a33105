//! The last heads that this thread has parsed, and what they said.
//!
//! Under load a server repeats itself: between two ticks of its `date` the heads of one URL are the same bytes, and
//! comparing them costs a tenth of parsing them (figures: `examples/throughput.rs`). This is a cache of a pure function of the bytes, so it
//! never changes what a connection says. It is kept per thread and not per connection, because with thousands of
//! connections a copy each would cost memory and be cold.

use crate::head::Facts;
use crate::limits::{MEMO_HEAD, MEMO_SLOTS};
use std::cell::RefCell;

struct Slot {
    /// 0 while nothing is known.
    len: usize,
    facts: Facts,
    head: [u8; MEMO_HEAD],
}

thread_local! {
    static MEMO: RefCell<[Slot; MEMO_SLOTS]> = const {
        RefCell::new([const { Slot { len: 0, facts: Facts::NONE, head: [0; MEMO_HEAD] } }; MEMO_SLOTS])
    };
}

/// The head that `input` begins with, if it is the one last seen in answer to such a request: its length and its facts.
#[inline]
pub(crate) fn recall(template: u8, input: &[u8]) -> Option<(usize, Facts)> {
    MEMO.with_borrow(|slots| {
        let slot = &slots[usize::from(template) % MEMO_SLOTS];
        let hit = slot.len > 0 && input.get(..slot.len).is_some_and(|head| *head == slot.head[..slot.len]);
        hit.then_some((slot.len, slot.facts))
    })
}

/// Remembers a complete head.
#[inline]
pub(crate) fn learn(template: u8, head: &[u8], facts: Facts) {
    if head.len() <= MEMO_HEAD {
        MEMO.with_borrow_mut(|slots| {
            let slot = &mut slots[usize::from(template) % MEMO_SLOTS];
            slot.head[..head.len()].copy_from_slice(head);
            slot.len = head.len();
            slot.facts = facts;
        });
    }
}
