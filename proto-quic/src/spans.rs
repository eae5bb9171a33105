//! A set of offsets, as ranges in order that do not touch. For what few streams need, so it is a plain list.

use std::ops::Range;

/// See the file's header.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    list: Vec<Range<u64>>,
}

impl Spans {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Ranges that do not touch each other.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// The range of the least offsets.
    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.list.first().cloned()
    }

    /// The end of the last range.
    pub(crate) fn end(&self) -> u64 {
        self.list.last().map_or(0, |r| r.end)
    }

    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.list.partition_point(|r| r.end < range.start);
        let to = self.list.partition_point(|r| r.start <= range.end);
        if from == to {
            return self.list.insert(from, range);
        }
        let joined = self.list[from].start.min(range.start)..self.list[to - 1].end.max(range.end);
        self.list[from] = joined;
        self.list.drain(from + 1..to);
    }

    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.list.partition_point(|r| r.end <= range.start);
        let to = self.list.partition_point(|r| r.start < range.end);
        if from >= to {
            return;
        }
        let before = self.list[from].start..range.start;
        let after = range.end..self.list[to - 1].end;
        let rest = [before, after].into_iter().filter(|r| !r.is_empty());
        self.list.splice(from..to, rest);
    }

    /// Whether all of a range is in the set.
    pub(crate) fn covers(&self, range: Range<u64>) -> bool {
        let at = self.list.partition_point(|r| r.end <= range.start);
        range.is_empty() || self.list.get(at).is_some_and(|r| r.start <= range.start && range.end <= r.end)
    }

    /// The parts of a range that are not in the set.
    pub(crate) fn missing(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut rest = Spans::default();
        rest.insert(range);
        for r in &self.list {
            rest.remove(r.clone());
        }
        rest.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Whatever is done, it is the set that it stands for, in ranges that do not touch.
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0u64..40, 0u64..12), 0..40)) {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for (insert, start, len) in steps {
                let range = start..start + len;
                prop_assert_eq!(spans.covers(range.clone()), range.clone().all(|n| set.contains(&n)));
                let missing: Vec<u64> = spans.missing(range.clone()).into_iter().flatten().collect();
                prop_assert_eq!(missing, range.clone().filter(|n| !set.contains(n)).collect::<Vec<_>>());
                if insert {
                    spans.insert(range.clone());
                    set.extend(range);
                } else {
                    spans.remove(range.clone());
                    set.retain(|n| !range.contains(n));
                }
                let all: Vec<u64> = spans.list.iter().cloned().flatten().collect();
                prop_assert_eq!(all, set.iter().copied().collect::<Vec<_>>());
                prop_assert!(spans.list.windows(2).all(|w| w[0].end < w[1].start));
                prop_assert_eq!(spans.end(), set.last().map_or(0, |n| n + 1));
            }
        }
    }
}
