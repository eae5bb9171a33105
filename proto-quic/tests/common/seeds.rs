//! Suites of random numbers: `NAME_SEED=n` runs that seed alone, `NAME_ROUNDS=n` other than the usual number of them, and a
//! failure prints its seed. `proto-h3`'s tests include this file, too.

fn number(name: String) -> Option<u64> {
    std::env::var(name).ok().and_then(|s| s.parse().ok())
}

/// Runs all seeds; returns how many there were if they are not fewer than usual, so that something must have been seen.
pub fn run(name: &str, usual: u64, mut one: impl FnMut(u64)) -> Option<u64> {
    struct OnPanic(String);
    impl Drop for OnPanic {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("{} repeats it", self.0);
            }
        }
    }
    let seeds = match number(format!("{name}_SEED")) {
        Some(seed) => seed..seed + 1,
        None => 0..number(format!("{name}_ROUNDS")).unwrap_or(usual),
    };
    let rounds = seeds.end - seeds.start;
    for seed in seeds {
        let _guard = OnPanic(format!("{name}_SEED={seed}"));
        one(seed);
    }
    (rounds >= usual).then_some(rounds)
}
