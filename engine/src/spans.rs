//! Stretches of a run and how long they are together: what rates are per where phases run side by side.

use std::time::Duration;

/// A stretch from one moment after the start to another.
pub type Span = (Duration, Duration);

/// How long these are, what several of them cover counted once.
pub fn covered(spans: impl IntoIterator<Item = Span>) -> Duration {
    let mut spans = Vec::from_iter(spans);
    spans.sort_unstable();
    let (mut all, mut until) = (Duration::ZERO, Duration::ZERO);
    for (began, ended) in spans {
        all += ended.saturating_sub(began.max(until));
        until = until.max(ended);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_counts_once() {
        let of = |spans: &[(u64, u64)]| {
            covered(spans.iter().map(|&(a, b)| (Duration::from_secs(a), Duration::from_secs(b)))).as_secs()
        };
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[(3, 5), (0, 2)]), 4, "one after the other, with a gap");
        assert_eq!(of(&[(0, 10), (2, 3), (5, 12)]), 12);
        assert_eq!(of(&[(4, 9), (4, 9), (9, 10)]), 6);
        assert_eq!(of(&[(7, 3)]), 0, "one that never was");
    }
}
