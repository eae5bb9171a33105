//! Numbers as they are written: what no machine word holds with all of its digits, such as 12345678901234567890 or 1.10.

use std::cmp::Ordering;
use std::fmt;

/// The text of a JSON number. What is not long lies in place, so that it takes no memory of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits(Store);

/// Bytes that lie in place: as many as a text takes anyway.
const SHORT: usize = 22;

#[derive(Clone, PartialEq, Eq)]
enum Store {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl Digits {
    pub(crate) fn new(text: &str) -> Digits {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Digits(Store::Short(text.len() as u8, bytes))
            }
            None => Digits(Store::Long(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It came as text.
            Store::Short(len, bytes) => std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default(),
            Store::Long(text) => text,
        }
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        match &self.0 {
            Store::Short(..) => 0,
            Store::Long(text) => text.len(),
        }
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a text is a number of JSON (RFC 8259 section 6).
pub(crate) fn is_json(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)))
}

/// Whether a number is written without a fraction and an exponent.
pub(crate) fn is_whole(text: &str) -> bool {
    !text.contains(['.', 'e', 'E'])
}

/// Which of two numbers is the larger, to the last digit of each. `None`: one of them is no number, or its exponent is beyond
/// all bounds.
pub(crate) fn compare(a: &str, b: &str) -> Option<Ordering> {
    if a == b {
        return Some(Ordering::Equal);
    }
    let (a, b) = (Parts::of(a)?, Parts::of(b)?);
    let by_size = a.point.cmp(&b.point).then_with(|| a.digits().cmp(b.digits()));
    Some(match (a.is_zero(), b.is_zero()) {
        (true, true) => Ordering::Equal,
        (true, false) if b.negative => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, true) if a.negative => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => match (a.negative, b.negative) {
            (false, false) => by_size,
            (true, true) => by_size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        },
    })
}

/// Whether a number is 0 in any way of writing it.
pub(crate) fn is_zero(text: &str) -> bool {
    Parts::of(text).is_some_and(|parts| parts.is_zero())
}

/// A number taken apart: 0.DIGITS times ten to the power of `point`. Neither the first nor the last digit is 0.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    point: i64,
}

/// Exponents beyond are no numbers: none of these adds up to an overflow.
const MAX_EXPONENT: i64 = 1 << 40;

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Parts<'a>> {
        let negative = text.starts_with('-');
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent = exponent.parse::<i64>().ok().filter(|e| (-MAX_EXPONENT..=MAX_EXPONENT).contains(e))?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || mantissa.len() < 1 + usize::from(mantissa.contains('.')) {
            return None;
        }
        let mut parts = Parts {
            negative,
            whole: whole.trim_start_matches('0'),
            fraction: fraction.trim_end_matches('0'),
            point: exponent,
        };
        parts.point += parts.whole.len() as i64;
        if parts.whole.is_empty() {
            let significant = parts.fraction.trim_start_matches('0');
            parts.point -= (parts.fraction.len() - significant.len()) as i64;
            parts.fraction = significant;
        }
        if parts.fraction.is_empty() {
            parts.whole = parts.whole.trim_end_matches('0');
        }
        Some(parts)
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }
}

/// Room for the digits of a machine number.
#[derive(Default)]
pub(crate) struct Line {
    bytes: [u8; 32],
    len: usize,
}

impl Line {
    /// What a number is in digits.
    pub fn write(&mut self, number: impl fmt::LowerExp) -> &str {
        self.len = 0;
        // The longest, -2.2250738585072014e-308, fits.
        let _ = fmt::Write::write_fmt(self, format_args!("{number:e}"));
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_to_the_last_digit() {
        use Ordering::*;
        for (a, b, expected) in [
            ("1", "1.0", Some(Equal)),
            ("1.10", "1.1", Some(Equal)),
            ("100", "1e2", Some(Equal)),
            ("0.01", "1E-2", Some(Equal)),
            ("-0", "0.00e7", Some(Equal)),
            ("12345678901234567890", "12345678901234567000", Some(Greater)),
            ("12345678901234568000000", "12345678901234567890124", Some(Greater)),
            ("0.1", "0.10000000000000000001", Some(Less)),
            ("9007199254740993", "9007199254740992.0", Some(Greater)),
            ("9", "10", Some(Less)),
            ("-9", "-10", Some(Greater)),
            ("-1", "0", Some(Less)),
            ("0", "-1", Some(Greater)),
            ("0", "0.001", Some(Less)),
            ("-1", "1", Some(Less)),
            ("1", "-1", Some(Greater)),
            ("99", "100.5", Some(Less)),
            ("0.05", "0.5", Some(Less)),
            ("1e400", "1e401", Some(Less)),
            ("1e400", "1e400", Some(Equal)),
            ("1e99999999999999999999", "1", None),
            ("", "1", None),
            (".", "1", None),
            ("1x", "1", None),
        ] {
            assert_eq!(compare(a, b), expected, "{a} {b}");
            assert_eq!(compare(b, a), expected.map(Ordering::reverse), "{b} {a}");
        }
    }

    #[test]
    fn what_json_calls_a_number() {
        for good in ["0", "-0", "10", "1.10", "1e5", "-1.5E-07", "12345678901234567890", "0.0"] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1 ", "inf", "--1", "1.5.5"] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn digits_are_kept_short_or_long() {
        for text in ["", "1.10", &"9".repeat(SHORT), &"9".repeat(SHORT + 1), &"9".repeat(1000)] {
            let digits = Digits::new(text);
            assert_eq!(digits.as_str(), text);
            assert_eq!(digits.footprint(), if text.len() > SHORT { text.len() } else { 0 });
        }
        let mut line = Line::default();
        assert_eq!(line.write(-f64::MIN_POSITIVE), "-2.2250738585072014e-308");
        assert_eq!(line.write(i64::MIN), "-9.223372036854775808e18");
    }
}
