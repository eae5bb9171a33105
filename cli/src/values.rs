//! The types of option values: h2load's integers, sizes and durations, and lists. Each error says what is expected.

use std::time::Duration;

/// A whole number.
pub fn uint(text: &str) -> Result<u64, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| "expected a whole number, for example 100".into())
}

/// A whole number above zero.
pub fn positive(text: &str) -> Result<u64, String> {
    uint(text)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "expected a whole number above 0, for example 100".into())
}

/// A whole number with an optional unit `K`, `M` or `G` (powers of 1024).
pub fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let wrong = || "expected a size like 16384, 16K, 1M".to_owned();
    let n = uint(digits).map_err(|_| wrong())?;
    n.checked_mul(1 << shift).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(wrong)
}

/// h2load's `-f`: 16384 to 16777215.
pub fn frame_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        n if n < 16 << 10 => Err("the minimum is 16384".into()),
        n if n > (16 << 20) - 1 => Err("the maximum is 16777215".into()),
        n => Ok(n),
    }
}

/// A size that fits 32 bits.
pub fn table_size(text: &str) -> Result<u64, String> {
    size(text).and_then(|n| match u32::try_from(n) {
        Ok(_) => Ok(n),
        Err(_) => Err(format!("the maximum is {}", u32::MAX)),
    })
}

/// A socket buffer: the kernel counts it in an int and doubles it.
pub fn buffer(text: &str) -> Result<u64, String> {
    match size(text)? {
        n if (1..=1 << 30).contains(&n) => Ok(n),
        _ => Err("expected 1 byte to 1G".into()),
    }
}

/// `SO_BUSY_POLL`: whole microseconds.
pub fn busy_poll(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    match time.as_micros() {
        1..=1_000_000 => Ok(time),
        _ => Err("expected 1us to 1s".into()),
    }
}

/// A mark of packets: 32 bits, not 0, which means none.
pub fn mark(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => uint(text).ok(),
    };
    let number = number.filter(|n| *n > 0 && u32::try_from(*n).is_ok());
    number.ok_or_else(|| "expected a number from 1 to 4294967295, or 0x and hex digits".into())
}

/// h2load's `--max-udp-payload-size`.
pub fn udp_payload(text: &str) -> Result<u64, String> {
    size(text).and_then(|n| if n > 65_536 { Err("the maximum is 65536".into()) } else { Ok(n) })
}

/// h2load's `-w` and `-W`.
pub fn window_bits(text: &str) -> Result<u64, String> {
    let bits = uint(text).ok().filter(|n| *n <= 30);
    bits.ok_or_else(|| "specify the integer in the range [0, 30], inclusive".into())
}

/// h2load's durations (an integer and `h`, `m`, `s` or `ms`; seconds without a unit) and ours (`1.5s`, `250us`, `1m30s`).
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = uint(text) {
        return within_reason(Duration::from_secs(seconds));
    }
    // h2load takes whole seconds only; a fraction of them needs no unit either.
    let text = if text.parse::<f64>().is_ok() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        format!("{text}s")
    } else {
        text.to_ascii_lowercase()
    };
    let hint = "expected a duration like 10s, 500ms, 1.5s or 2m";
    let time = scenario::parse_duration(&text).map_err(|e| format!("{e}; {hint}"))?;
    within_reason(time)
}

/// The length of an interval. Shorter ones cost more than they show; longer ones are no series.
pub fn interval(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(10);
    const MOST: Duration = Duration::from_secs(3600);
    match duration(text)? {
        time if time < LEAST => Err("an interval is at least 10ms".into()),
        time if time > MOST => Err("an interval is at most 1h".into()),
        time => Ok(time),
    }
}

fn within_reason(time: Duration) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(366 * 86_400);
    if time > MOST { Err("a duration is at most 366 days".into()) } else { Ok(time) }
}

/// h2load's `--rps`.
pub fn rps(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|r| r.is_finite() && *r > 0.0 && *r <= 1e6);
    rate.ok_or_else(|| "expected requests per second and client, above 0 and at most 1000000".into())
}

/// `--rate-total`.
pub fn rate_total(text: &str) -> Result<f64, String> {
    let rate = match scenario::parse_rate(text) {
        Ok(rate) => Some(rate),
        Err(_) => text.parse::<f64>().ok(),
    };
    let rate = rate.filter(|r| r.is_finite() && *r > 0.0 && *r <= scenario::limits::MAX_RATE);
    rate.ok_or_else(|| {
        "expected requests per second, such as 500 or 30/m, above 0 and at most 10000000".into()
    })
}

/// h2load's `-r`.
pub fn rate(text: &str) -> Result<u64, String> {
    match uint(text)? {
        0 => Err("the rate at which connections are made must be positive".into()),
        n => Ok(n),
    }
}

/// h2load's `-p`.
pub fn no_tls_proto(text: &str) -> Result<NoTlsProto, String> {
    match text.to_ascii_lowercase().as_str() {
        "h2c" => Ok(NoTlsProto::H2c),
        "http/1.1" => Ok(NoTlsProto::Http11),
        _ => Err("unsupported protocol; use h2c or http/1.1".into()),
    }
}

/// What is spoken without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTlsProto {
    /// HTTP/2 with prior knowledge.
    H2c,
    /// HTTP/1.1.
    Http11,
}

/// A list of CPUs: `0-3,5`.
pub fn cpus(text: &str) -> Result<CpuList, String> {
    let wrong = || "expected CPU numbers like 0-3,5".to_owned();
    let number = |t: &str| uint(t.trim()).ok().filter(|n| *n < 4096).ok_or_else(wrong);
    let mut list = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((a, b)) => (number(a)?, number(b)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(wrong());
        }
        list.extend((first..=last).map(|n| n as usize));
    }
    Ok(CpuList(list))
}

/// CPU numbers in the order given. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

/// Items between separators, without the blanks around them; empty ones are left out.
pub fn list(text: &str, separator: char) -> Vec<String> {
    text.split(separator).map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_h2load_and_more() {
        let ms = Duration::from_millis;
        for (text, time) in [
            ("10", ms(10_000)),
            ("10s", ms(10_000)),
            ("500ms", ms(500)),
            ("2M", ms(120_000)),
            ("1h", ms(3_600_000)),
            ("1.5s", ms(1500)),
            ("0.5", ms(500)),
        ] {
            assert_eq!(duration(text), Ok(time), "{text}");
        }
        for bad in ["", "s", "-1s", "10x", "ten", "99999999999999999999"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn intervals_have_bounds() {
        assert_eq!(interval("100ms"), Ok(Duration::from_millis(100)));
        for bad in ["9ms", "0", "61m", "x"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!((size("16K"), size("1m"), size("7")), (Ok(16_384), Ok(1 << 20), Ok(7)));
        for bad in ["", "K", "1T", "-1", "1KB", "18446744073709551615G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert!(frame_size("16383").is_err() && frame_size("16K").is_ok() && frame_size("16M").is_err());
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(cpus("0-2,5"), Ok(CpuList(vec![0, 1, 2, 5])));
        for bad in ["", "a", "3-1", "1,", "0-99999"] {
            assert!(cpus(bad).is_err(), "{bad}");
        }
    }
}
