//! Which scenario comes next: smooth weighted round robin, so that shares are exact at any moment.

/// Which scenario the next iteration takes.
pub(super) struct Wheel {
    scenarios: Vec<u16>,
    weights: Vec<i64>,
    current: Vec<i64>,
}

impl Wheel {
    /// Of scenarios and their weights; at least one is above 0.
    pub(super) fn new(weighted: impl Iterator<Item = (usize, u32)>) -> Wheel {
        let (scenarios, weights): (Vec<u16>, Vec<i64>) =
            weighted.filter(|(_, w)| *w > 0).map(|(s, w)| (s as u16, i64::from(w))).unzip();
        Wheel { current: vec![0; weights.len()], weights, scenarios }
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
}
