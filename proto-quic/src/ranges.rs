//! Numbers of packets received (RFC 9000 section 13.2.3): what must be acknowledged, and what came before. The newest range
//! is last; the usual packet lengthens it.

use crate::frame::EcnCounts;
use crate::limits;
use crate::varint::{put, size};
use std::ops::Range;

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    /// In order, not touching.
    list: Vec<Range<u64>>,
    /// Below this, all counts as received.
    floor: u64,
    /// One above the largest that ever came; the list may have forgotten it.
    end: u64,
}

impl Ranges {
    /// Takes a number down; false: it came before, or may have.
    #[inline]
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        if let Some(newest) = self.list.last_mut()
            && newest.end == number
        {
            newest.end += 1;
            self.end = newest.end;
            return true;
        }
        self.end = self.end.max(number + 1);
        self.insert_slow(number)
    }

    fn insert_slow(&mut self, number: u64) -> bool {
        if number < self.floor {
            return false;
        }
        let at = self.list.partition_point(|r| r.end < number);
        match self.list.get_mut(at) {
            Some(r) if r.contains(&number) => return false,
            Some(r) if r.end == number => {
                r.end += 1;
                if self.list.get(at + 1).is_some_and(|next| next.start == number + 1) {
                    self.list[at].end = self.list[at + 1].end;
                    self.list.remove(at + 1);
                }
            }
            Some(r) if r.start == number + 1 => r.start = number,
            _ => self.list.insert(at, number..number + 1),
        }
        if self.list.len() > limits::ACK_RANGES {
            self.floor = self.list[0].end;
            self.list.remove(0);
        }
        true
    }

    /// Whether a number would be new.
    #[inline]
    pub(crate) fn is_new(&self, number: u64) -> bool {
        if self.list.last().is_none_or(|r| r.end <= number) {
            return number >= self.floor;
        }
        number >= self.floor && !self.list.iter().any(|r| r.contains(&number))
    }

    pub(crate) fn largest(&self) -> Option<u64> {
        self.list.last().map(|r| r.end - 1)
    }

    /// The number that is expected next: one above the largest that came.
    #[inline]
    pub(crate) fn expected(&self) -> u64 {
        self.end
    }

    /// The peer knows that these came: they need not be acknowledged again (RFC 9000 section 13.2.4). What is forgotten counts as
    /// received.
    pub(crate) fn forget_below(&mut self, number: u64) {
        if self.list.first().is_none_or(|r| r.start >= number) {
            return;
        }
        self.floor = self.floor.max(number);
        self.list.retain_mut(|r| {
            r.start = r.start.max(number);
            !r.is_empty()
        });
    }

    /// Appends an ACK frame with as many ranges as fit into `room`, the newest first; false: there is no room.
    #[inline]
    pub(crate) fn put_ack(&self, out: &mut Vec<u8>, delay: u64, ecn: Option<EcnCounts>, room: usize) -> bool {
        let Some(newest) = self.list.last() else { return false };
        let ecn_size = ecn.map_or(0, |e| size(e.ect0) + size(e.ect1) + size(e.ce));
        let (largest, first) = (newest.end - 1, newest.end - 1 - newest.start);
        // The count takes two bytes at most, see `limits::ACK_RANGES`.
        let mut used = 1 + size(largest) + size(delay) + 2 + size(first) + ecn_size;
        if used > room {
            return false;
        }
        let (mut count, mut before) = (0u64, newest.start);
        for r in self.list.iter().rev().skip(1) {
            used += size(before - r.end - 1) + size(r.end - 1 - r.start);
            if used > room {
                break;
            }
            (count, before) = (count + 1, r.start);
        }
        out.push(if ecn.is_some() { 0x03 } else { 0x02 });
        [largest, delay, count, first].into_iter().for_each(|n| put(out, n));
        let mut before = newest.start;
        for r in self.list.iter().rev().skip(1).take(count as usize) {
            put(out, before - r.end - 1);
            put(out, r.end - 1 - r.start);
            before = r.start;
        }
        if let Some(e) = ecn {
            [e.ect0, e.ect1, e.ce].into_iter().for_each(|n| put(out, n));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, In, next};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// What is acknowledged is what came, and nothing counts as new twice.
        #[test]
        fn acknowledges_what_came(numbers in proptest::collection::vec(0u64..100, 1..60), forget in 0u64..50) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for n in numbers {
                prop_assert_eq!(ranges.is_new(n), !set.contains(&n));
                prop_assert_eq!(ranges.insert(n), set.insert(n));
            }
            ranges.forget_below(forget);
            set.retain(|n| *n >= forget);
            let mut out = Vec::new();
            prop_assert_eq!(ranges.put_ack(&mut out, 9, None, 1000), !set.is_empty());
            if !set.is_empty() {
                let mut rest = &out[..];
                let Ok(Frame::Ack(ack)) = next(&mut rest, In::OneRtt) else { panic!("no ACK") };
                let mut told: Vec<u64> = ack.ranges().flatten().collect();
                told.sort_unstable();
                prop_assert_eq!(told, set.iter().copied().collect::<Vec<_>>());
                prop_assert!(rest.is_empty());
                let mut short = Vec::new();
                if ranges.put_ack(&mut short, 9, None, 8) {
                    prop_assert!(short.len() <= 8 && next(&mut &short[..], In::OneRtt).is_ok());
                }
            }
        }
    }

    #[test]
    fn the_oldest_ranges_are_given_up() {
        let mut ranges = Ranges::default();
        (0..1000).for_each(|n| assert!(ranges.insert(n * 2)));
        assert_eq!(ranges.list.len(), limits::ACK_RANGES);
        assert!(!ranges.insert(1) && !ranges.insert(1872 - 2) && ranges.insert(1999));
    }
}
