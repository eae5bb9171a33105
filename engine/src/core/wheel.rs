//! Which scenario comes next: smooth weighted round robin, so that shares are exact at any moment.

/// Which scenario the next iteration takes.
#[derive(Default)]
pub(super) struct Wheel {
    scenarios: Vec<u16>,
    weights: Vec<i64>,
    current: Vec<i64>,
    /// Those that are out, one way or the other.
    out: Vec<u16>,
}

impl Wheel {
    /// Of scenarios and their weights; at least one is above 0.
    pub(super) fn new(weighted: impl Iterator<Item = (usize, u32)>) -> Wheel {
        let (scenarios, weights): (Vec<u16>, Vec<i64>) =
            weighted.filter(|(_, w)| *w > 0).map(|(s, w)| (s as u16, i64::from(w))).unzip();
        Wheel { current: vec![0; weights.len()], weights, scenarios, out: vec![] }
    }

    #[inline]
    pub(super) fn next(&mut self) -> u16 {
        if self.weights.len() == 1 {
            return self.scenarios[0];
        }
        let total: i64 = self.weights.iter().sum();
        for (current, weight) in self.current.iter_mut().zip(&self.weights) {
            *current += weight;
        }
        let best =
            (0..self.current.len()).max_by_key(|&i| (self.current[i], std::cmp::Reverse(i))).unwrap_or(0);
        self.current[best] -= total;
        self.scenarios[best]
    }

    /// The next of those that are allowed, as if there were no others.
    pub(super) fn next_of(&mut self, allowed: impl Fn(u16) -> bool) -> Option<u16> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for i in 0..self.scenarios.len() {
            if !allowed(self.scenarios[i]) {
                continue;
            }
            self.current[i] += self.weights[i];
            total += self.weights[i];
            best = best.filter(|&b| self.current[b] >= self.current[i]).or(Some(i));
        }
        let best = best?;
        self.current[best] -= total;
        Some(self.scenarios[best])
    }

    /// Whether one of them is allowed.
    pub(super) fn has(&self, allowed: impl FnMut(&u16) -> bool) -> bool {
        self.scenarios.iter().any(allowed)
    }

    /// A scenario is out, and its turns go to the others. The last one stays in.
    pub(super) fn remove(&mut self, scenario: u16) {
        let Some(at) = self.scenarios.iter().position(|&s| s == scenario) else { return };
        if self.scenarios.len() > 1 {
            self.scenarios.remove(at);
            self.weights.remove(at);
            // What it owed was owed to all: the others begin anew.
            self.current = vec![0; self.weights.len()];
            self.out.push(scenario);
        }
    }

    /// A scenario is out, and its turns come all the same: those of the others stay as they are. Whether all are out now.
    pub(super) fn leave_turns(&mut self, scenario: u16) -> bool {
        if !self.out.contains(&scenario) {
            self.out.push(scenario);
        }
        self.out.len() == self.scenarios.len()
    }

    /// Whether none is out.
    pub(super) fn is_whole(&self) -> bool {
        self.out.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_keeps_the_shares_at_every_moment() {
        let mut wheel = Wheel::new([(0, 3), (2, 0), (1, 1)].into_iter());
        let mut counts = [0_i64; 2];
        for i in 1..=4000_i64 {
            counts[usize::from(wheel.next())] += 1;
            assert!((counts[0] * 4 - i * 3).abs() <= 4, "after {i}: {counts:?}");
        }
        assert_eq!(counts, [3000, 1000]);
    }

    /// How often each of three comes in so many turns.
    fn turns(n: usize, mut next: impl FnMut() -> u16) -> [u64; 3] {
        let mut counts = [0; 3];
        (0..n).for_each(|_| counts[usize::from(next())] += 1);
        counts
    }

    #[test]
    fn who_is_out_leaves_the_others_their_weights() {
        let of_three = || Wheel::new([(0, 3), (1, 2), (2, 1)].into_iter());
        for before in 0..6 {
            let mut wheel = of_three();
            turns(before, || wheel.next());
            wheel.remove(0);
            assert!(!wheel.is_whole());
            let [none, two, one] = turns(300, || wheel.next());
            assert!(none == 0 && two.abs_diff(200) <= 2 && one.abs_diff(100) <= 2, "{before}: {two} {one}");
            wheel.remove(1);
            wheel.remove(2);
            assert_eq!(turns(9, || wheel.next()), [0, 0, 9], "the last one stays");
        }
        let mut wheel = of_three();
        assert!(!wheel.leave_turns(0) && !wheel.leave_turns(0) && !wheel.leave_turns(2));
        assert_eq!(turns(600, || wheel.next()), [300, 200, 100]);
        assert!(wheel.leave_turns(1) && !wheel.is_whole());
        let mut wheel = of_three();
        assert_eq!(turns(400, || wheel.next_of(|s| s != 1).unwrap()), [300, 0, 100]);
        assert_eq!(wheel.next_of(|_| false), None);
        assert!(wheel.is_whole() && wheel.has(|s| *s == 2) && !wheel.has(|s| *s == 3));
    }
}
