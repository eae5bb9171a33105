//! Sockets whose receive found no memory left, waiting in line for it.
//!
//! Armed again all at once, the first of them would use up the memory that has come back and the others find none again: of
//! 16 sockets in the middle of large bodies most would be turned away several times for each response. So only as many are
//! let in at a time as have been found to fit.

use std::collections::VecDeque;

/// How many are let in at first.
const AT_FIRST: u32 = 2;
/// One more is tried after so many times that all fitted.
const PATIENCE: u32 = 8;
/// More than ever fit.
const MOST: u32 = 4096;

/// The line before one group of buffers. `T` names a socket.
pub(super) struct Line<T> {
    waiting: VecDeque<T>,
    /// How many fit, in parts of `PATIENCE`.
    fit: u32,
}

impl<T> Line<T> {
    pub(super) fn new() -> Line<T> {
        Line { waiting: VecDeque::new(), fit: AT_FIRST * PATIENCE }
    }

    /// Stands in line. `again`: it had just been let in, so too many were.
    pub(super) fn join(&mut self, who: T, again: bool) {
        if again {
            self.fit = self.fit.saturating_sub(PATIENCE).max(PATIENCE);
        }
        self.waiting.push_back(who);
    }

    /// How many may go in now. Call `next` as often.
    pub(super) fn admit(&mut self) -> usize {
        let n = ((self.fit / PATIENCE) as usize).min(self.waiting.len());
        if n < self.waiting.len() {
            self.fit = (self.fit + 1).min(MOST * PATIENCE);
        }
        n
    }

    pub(super) fn next(&mut self) -> Option<T> {
        self.waiting.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty wait, `fit` of those let in get something, who gets nothing stands in line again: how often that was, in so many turns.
    fn turned_away(line: &mut Line<u32>, fit: usize, turns: u32) -> usize {
        (0..20).for_each(|i| line.join(i, false));
        let mut away = 0;
        for _ in 0..turns {
            let n = line.admit();
            assert!(n > 0, "somebody is always let in");
            let these: Vec<u32> = (0..n).filter_map(|_| line.next()).collect();
            for (i, who) in these.into_iter().enumerate() {
                away += usize::from(i >= fit);
                // Who is served comes back with the next response.
                line.join(who, i >= fit);
            }
        }
        away
    }

    #[test]
    fn as_many_are_let_in_as_fit() {
        for fit in [1, 2, 7, 16] {
            let mut line = Line::new();
            turned_away(&mut line, fit, 200);
            assert!((fit..=fit + 1).contains(&line.admit()), "{fit}");
            let away = turned_away(&mut line, fit, 800);
            assert!(away <= 800 / PATIENCE as usize + fit, "{fit}: {away}");
        }
    }

    #[test]
    fn who_came_first_goes_first_and_nobody_is_lost() {
        let mut line = Line::new();
        (0..5).for_each(|i| line.join(i, false));
        let mut gone = Vec::new();
        while !line.is_empty() {
            (0..line.admit()).for_each(|_| gone.extend(line.next()));
        }
        assert_eq!(gone, [0, 1, 2, 3, 4]);
    }
}
