//! Numbers for people: three or four digits and a unit.

/// Nanoseconds.
pub fn time(ns: f64) -> String {
    match ns {
        _ if ns < 1e3 => format!("{ns:.0} ns"),
        _ if ns < 1e6 => scaled(ns / 1e3, "us"),
        _ if ns < 1e9 => scaled(ns / 1e6, "ms"),
        _ if ns < 600e9 => scaled(ns / 1e9, "s"),
        _ => format!("{:.1} min", ns / 60e9),
    }
}

/// A number below a thousand or so, with as many decimals as make sense.
fn scaled(n: f64, unit: &str) -> String {
    let decimals = if n < 9.995 { 2 } else { 1 };
    format!("{n:.decimals$} {unit}")
}

/// Bytes in units of 1024.
pub(super) fn bytes(n: f64) -> String {
    match n {
        _ if n < 1024.0 => format!("{n:.0} B"),
        _ if n < 1_048_576.0 => scaled(n / 1024.0, "KiB"),
        _ if n < 1_073_741_824.0 => scaled(n / 1_048_576.0, "MiB"),
        _ => scaled(n / 1_073_741_824.0, "GiB"),
    }
}

/// Per second.
pub fn rate(n: f64) -> String {
    let decimals = if n < 100.0 { 2 } else { usize::from(n < 10_000.0) };
    format!("{n:.decimals$}/s")
}

/// A share, 0..=1.
pub(super) fn percent(share: f64) -> String {
    let p = share * 100.0;
    match p {
        _ if p == 0.0 => "0 %".into(),
        _ if p.abs() < 0.01 => format!("{p:.4} %"),
        _ => format!("{p:.2} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let times = [
            (512.0, "512 ns"),
            (1_234.0, "1.23 us"),
            (48_000.0, "48.0 us"),
            (2.5e9, "2.50 s"),
            (6e11, "10.0 min"),
        ];
        for (ns, text) in times {
            assert_eq!(time(ns), text);
        }
        assert_eq!((bytes(300.0), bytes(262_144.0)), ("300 B".into(), "256.0 KiB".into()));
        assert_eq!(
            (rate(4.0), rate(812.34), rate(61_234.5)),
            ("4.00/s".into(), "812.3/s".into(), "61234/s".into())
        );
        assert_eq!(
            (percent(0.0), percent(0.000_05), percent(0.123_4)),
            ("0 %".into(), "0.0050 %".into(), "12.34 %".into())
        );
    }
}
