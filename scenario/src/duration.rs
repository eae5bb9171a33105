//! Times as people write them: `250us`, `1.5s`, `1m30s`.

use crate::limits;
use std::fmt;
use std::time::Duration;

/// The units, longest first, in nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// There is no number.
    Number,
    /// A blank within.
    Blank,
    /// A number without a unit.
    NoUnit,
    /// A unit that does not exist.
    Unit(String),
    /// In `1m30s` each unit must be smaller than the one before.
    Order,
    /// Longer than a year, or a fraction finer than a nanosecond.
    Range,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DurationError::Number => f.write_str("a time is a number and a unit"),
            DurationError::Blank => f.write_str("a time holds no blank"),
            DurationError::NoUnit => f.write_str("a time needs a unit"),
            DurationError::Unit(unit) => write!(f, "{} is not a unit of time", crate::source::quote(unit)),
            DurationError::Order => f.write_str("the units of a time go from large to small, each once"),
            DurationError::Range => f.write_str("a time is at most 366 days and has whole nanoseconds"),
        }
    }
}

impl std::error::Error for DurationError {}

/// Reads a time.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut finest = u64::MAX;
    if rest.is_empty() {
        return Err(DurationError::Number);
    }
    if rest.contains(char::is_whitespace) {
        return Err(DurationError::Blank);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(DurationError::Number);
        }
        if unit.is_empty() {
            return Err(DurationError::NoUnit);
        }
        let Some(&(_, scale)) =
            UNITS.iter().find(|(name, _)| *name == unit || (*name == "us" && unit == "µs"))
        else {
            return Err(DurationError::Unit(unit.to_owned()));
        };
        if scale >= finest {
            return Err(DurationError::Order);
        }
        finest = scale;
        total = nanoseconds(number, scale)?.checked_add(total).ok_or(DurationError::Range)?;
        rest = tail;
    }
    match Duration::from_nanos(total) {
        time if time <= limits::MAX_DURATION => Ok(time),
        _ => Err(DurationError::Range),
    }
}

/// A decimal number times a unit, exactly.
fn nanoseconds(number: &str, scale: u64) -> Result<u64, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(DurationError::Number);
    }
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > 19 || fraction.len() > 18 {
        return Err(DurationError::Range);
    }
    let whole: u128 = whole.parse().map_err(|_| DurationError::Number)?;
    let part: u128 =
        if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| DurationError::Number)? };
    let tens = 10u128.pow(fraction.len() as u32);
    let scaled = part * u128::from(scale);
    if !scaled.is_multiple_of(tens) {
        return Err(DurationError::Range);
    }
    u64::try_from(whole * u128::from(scale) + scaled / tens).map_err(|_| DurationError::Range)
}

/// Writes a time as [`parse_duration`] reads it, in the largest unit that keeps it short.
pub fn show_duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    for &(unit, scale) in UNITS {
        let scale = u128::from(scale);
        if nanos.is_multiple_of(scale) {
            return format!("{}{unit}", nanos / scale);
        }
        // 1.5s rather than 1500ms; minutes and hours have no decimals.
        if scale <= 1_000_000_000 && nanos >= scale {
            let text =
                format!("{}.{:0width$}", nanos / scale, nanos % scale, width = scale.ilog10() as usize);
            return format!("{}{unit}", text.trim_end_matches('0'));
        }
    }
    format!("{nanos}ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(text: &str) -> u128 {
        parse_duration(text).unwrap_or_else(|e| panic!("{text}: {e}")).as_nanos()
    }

    #[test]
    fn units() {
        assert_eq!(ns("10ns"), 10);
        assert_eq!(ns("250us"), 250_000);
        assert_eq!(ns("250µs"), 250_000);
        assert_eq!(ns("500ms"), 500_000_000);
        assert_eq!(ns("1.5s"), 1_500_000_000);
        assert_eq!(ns("0.1s"), 100_000_000);
        assert_eq!(ns("2m"), 120_000_000_000);
        assert_eq!(ns("1h"), 3_600_000_000_000);
        assert_eq!(ns("1m30s"), 90_000_000_000);
        assert_eq!(ns("1h0.5s"), 3_600_500_000_000);
        assert_eq!(ns("0s"), 0);
        assert_eq!(ns("1.000s"), 1_000_000_000);
        assert_eq!(ns("366000000us"), 366_000_000_000);
    }

    #[test]
    fn what_is_no_time() {
        use DurationError::*;
        let cases = [
            ("", Number),
            ("s", Number),
            ("10", NoUnit),
            ("1.5", NoUnit),
            ("10 s", Blank),
            ("10S", Unit("S".into())),
            ("10sec", Unit("sec".into())),
            ("3d", Unit("d".into())),
            ("1.2.3s", Number),
            (".5s", Number),
            ("1.s", Number),
            ("-1s", Number),
            ("1s1s", Order),
            ("1s1m", Order),
            ("0.5ns", Range),
            ("9000h", Range),
            ("99999999999999999999s", Range),
            ("18446744073709551615h", Range),
        ];
        for (text, error) in cases {
            assert_eq!(parse_duration(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn shown_as_read() {
        for text in ["10ns", "250us", "1.5ms", "500ms", "1.5s", "90s", "2m", "1h", "0s", "1.000000001s"] {
            let shown = show_duration(parse_duration(text).unwrap());
            assert_eq!(shown, text);
        }
    }
}
