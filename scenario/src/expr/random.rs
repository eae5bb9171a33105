//! Random numbers of a virtual user: seeded, so that a run can be repeated; not for secrets.

use std::cell::Cell;

/// SplitMix64: eight bytes of state, good enough to choose rows and think times with.
#[derive(Clone, Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// A sequence of its own for every pair of seed and user.
    pub fn new(seed: u64, user: u64) -> Random {
        let random = Random(Cell::new(seed ^ user.wrapping_mul(0xd134_2543_de82_ef95)));
        random.next();
        random
    }

    /// The next 64 bits.
    #[inline]
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `n`, without bias worth speaking of (Lemire's multiplication). 0 for 0.
    #[inline]
    pub fn below(&self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// From 0 to below 1.
    #[inline]
    pub fn unit(&self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// With mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&self) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// With mean 1, exponentially distributed.
    pub fn exponential(&self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_users_differ() {
        let draw = |seed, user| {
            let random = Random::new(seed, user);
            [random.next(), random.next()]
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn distributions_have_their_means() {
        let random = Random::new(7, 0);
        let n = 20_000;
        let mean = |f: &dyn Fn() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        assert!((mean(&|| random.exponential()) - 1.0).abs() < 0.05);
        assert!(mean(&|| random.normal()).abs() < 0.05);
        assert!((mean(&|| random.below(10) as f64) - 4.5).abs() < 0.1);
        assert!((0..1000).all(|_| random.below(3) < 3 && random.unit() < 1.0));
        assert_eq!(random.below(0), 0);
    }
}
