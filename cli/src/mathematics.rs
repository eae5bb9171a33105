//! The functions of the C library's mathematics that the program calls (`f64::ln`, `cos` and so on, of ours and of libraries),
//! under the names that the linker looks for. `.ci/run` looks that there is no other.
//!
//! With them here `libm.so` is not loaded: its start alone, which chooses among variants for the CPU, makes half a megabyte
//! resident, and every run would carry it. None of them is called per request. See
//! `docs/decisions/011-resident-memory.md`.

#[unsafe(no_mangle)]
extern "C" fn log(x: f64) -> f64 {
    libm::log(x)
}

#[unsafe(no_mangle)]
extern "C" fn log2(x: f64) -> f64 {
    libm::log2(x)
}

#[unsafe(no_mangle)]
extern "C" fn log10(x: f64) -> f64 {
    libm::log10(x)
}

#[unsafe(no_mangle)]
extern "C" fn exp(x: f64) -> f64 {
    libm::exp(x)
}

#[unsafe(no_mangle)]
extern "C" fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

#[unsafe(no_mangle)]
extern "C" fn cos(x: f64) -> f64 {
    libm::cos(x)
}

#[cfg(test)]
mod tests {
    /// What histograms and schedules rest on.
    #[test]
    fn what_the_standard_library_calls_is_right() {
        for exponent in 0..63 {
            assert_eq!(((1_u64 << exponent) as f64).log2(), f64::from(exponent));
        }
        let close = |a: f64, b: f64| (a - b).abs() < 1e-15;
        assert!(close(std::hint::black_box(std::f64::consts::E).ln(), 1.0));
        assert!(close(std::hint::black_box(0.5_f64).ln(), -std::f64::consts::LN_2));
        assert!(close(std::hint::black_box(std::f64::consts::PI).cos(), -1.0));
        assert!(close(std::hint::black_box(1.0_f64).exp(), std::f64::consts::E));
        for exponent in 0..20 {
            let power = std::hint::black_box(10.0_f64).powf(f64::from(exponent));
            assert_eq!(power, 10_u64.pow(exponent) as f64);
            assert!((power.log10() - f64::from(exponent)).abs() < 1e-14);
        }
    }
}
