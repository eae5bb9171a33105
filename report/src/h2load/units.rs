//! Numbers as h2load writes them.

/// Two decimals, rounded half away from zero.
pub(super) fn decimal(n: f64) -> String {
    let hundredths = (100.0 * n.max(0.0)).round() as u64;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Seconds: below 1 ms whole microseconds, below 1 s milliseconds, else seconds.
pub(super) fn duration(seconds: f64) -> String {
    if seconds >= 1.0 {
        decimal(seconds) + "s"
    } else if seconds >= 0.001 {
        decimal(seconds * 1e3) + "ms"
    } else {
        // Our nanoseconds come through a float: 12 us must not become 11.
        format!("{}us", (seconds * 1e6 + 1e-6) as u64)
    }
}

/// Bytes in units of 1024: the caller adds the `B`.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    for (size, unit) in UNITS {
        if n >= size {
            return decimal(n as f64 / size as f64) + unit;
        }
    }
    n.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_change_unit_at_a_thousand() {
        for (seconds, text) in [
            (0.0, "0us"),
            (0.000_012, "12us"),
            (0.000_999_9, "999us"),
            (0.001, "1.00ms"),
            (0.104_29, "104.29ms"),
            (0.999_999, "1000.00ms"),
            (1.0, "1.00s"),
            (75.5, "75.50s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn bytes_have_binary_units() {
        for (n, text) in
            [(561, "561"), (1024, "1.00K"), (3196, "3.12K"), (5 << 20, "5.00M"), (3 << 30, "3.00G")]
        {
            assert_eq!(bytes(n), text);
        }
    }
}
