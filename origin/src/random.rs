//! Random numbers for delays, sizes and faults: one small generator per thread (SplitMix64). Fast, not
//! secret; keys come from the standard library's hasher instead. Called by `query.rs`, `fault.rs`,
//! `session.rs` and `pattern.rs`.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// A generator seeded by the operating system.
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new() -> Self {
        // A fresh RandomState is keyed at random, so the hash of anything is a seed.
        Self(Cell::new(RandomState::new().hash_one(0)))
    }

    /// Any 64 bits.
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 (included) to 1 (excluded).
    pub(crate) fn unit(&self) -> f64 {
        // 53 bits: what the mantissa holds.
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
