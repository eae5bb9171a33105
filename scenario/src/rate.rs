//! Rates as people write them: `500/s`, `30/m`, `2.5k/s`.

use std::fmt;

/// Seconds in the units a rate may be per.
const UNITS: &[(&str, f64)] = &[("s", 1.0), ("ms", 0.001), ("m", 60.0), ("min", 60.0), ("h", 3600.0)];
/// Multiples that may follow the number.
const MULTIPLES: &[(char, f64)] = &[('k', 1e3), ('K', 1e3), ('M', 1e6)];

/// Why a text is not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateError {
    /// There is no number.
    Number,
    /// A number without `/s`.
    NoUnit,
    /// Not per second, minute or hour.
    Unit,
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RateError::Number => "a rate is a number and what it is per",
            RateError::NoUnit => "a rate needs to say per what",
            RateError::Unit => "a rate is per s, ms, m or h",
        })
    }
}

impl std::error::Error for RateError {}

/// Reads a rate, in events per second; zero is one.
pub fn parse_rate(text: &str) -> Result<f64, RateError> {
    let text = text.trim();
    let (number, unit) = match text.split_once('/') {
        Some((number, unit)) => (number.trim_end(), unit.trim_start()),
        None => return Err(if plain(text).is_some() { RateError::NoUnit } else { RateError::Number }),
    };
    let value = plain(number).ok_or(RateError::Number)?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(RateError::Unit)?;
    Ok(value / seconds)
}

/// A number such as `1`, `0.5`, `2k`: digits, at most one dot, at most one multiple.
fn plain(text: &str) -> Option<f64> {
    let (digits, by) = match MULTIPLES.iter().find(|(letter, _)| text.ends_with(*letter)) {
        Some((letter, by)) => (text.strip_suffix(*letter)?, *by),
        None => (text, 1.0),
    };
    let well = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    digits.parse::<f64>().ok().filter(|n| well && n.is_finite()).map(|n| n * by)
}

/// Writes a rate as [`parse_rate`] reads it.
pub fn show_rate(rate: f64) -> String {
    format!("{rate}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_multiples() {
        for (text, rate) in [
            ("500/s", 500.0),
            ("0/s", 0.0),
            ("0.1/s", 0.1),
            ("30/m", 0.5),
            ("2/ms", 2000.0),
            ("3600/h", 1.0),
            ("200k/s", 200_000.0),
            ("1.5M/s", 1_500_000.0),
            (" 10 / s ", 10.0),
        ] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
            assert_eq!(parse_rate(&show_rate(rate)), Ok(rate));
        }
    }

    #[test]
    fn what_is_no_rate() {
        for (text, error) in [
            ("", RateError::Number),
            ("500", RateError::NoUnit),
            ("2k", RateError::NoUnit),
            ("fast", RateError::Number),
            ("-1/s", RateError::Number),
            ("1e9/s", RateError::Number),
            (".5/s", RateError::Number),
            ("1.2.3/s", RateError::Number),
            ("inf/s", RateError::Number),
            ("k/s", RateError::Number),
            ("5/day", RateError::Unit),
            ("5/", RateError::Unit),
        ] {
            assert_eq!(parse_rate(text), Err(error), "{text:?}");
        }
    }
}
