//! Times to replay: the offsets of a timing script, or those of an access log.
//!
//! Each line that is not empty and no comment (`#`) is an arrival. It begins with milliseconds from the start (h2load's timing
//! script; what follows a tab is not looked at here), or holds a time in brackets as access logs have it
//! (`[10/Oct/2000:13:55:36 +0200]`). A log knows whole seconds only: arrivals of one second are spread evenly over it.

use std::fmt;

/// Why a file is not one of times. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// No line at all.
    Empty,
    /// A line without a time.
    NoTime(usize),
    /// A time before the one of the line before.
    Backwards(usize),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Empty => f.write_str("it has no lines"),
            ReplayError::NoTime(line) => write!(f, "line {line} has no time"),
            ReplayError::Backwards(line) => {
                write!(f, "the time of line {line} is before that of the line above")
            }
        }
    }
}

impl std::error::Error for ReplayError {}

/// The lines that count, with their numbers; at least one.
fn lines(text: &[u8]) -> Result<Vec<(usize, &[u8])>, ReplayError> {
    let lines: Vec<(usize, &[u8])> = text
        .split(|b| *b == b'\n')
        .enumerate()
        .map(|(i, line)| (i + 1, line.trim_ascii()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .collect();
    if lines.is_empty() { Err(ReplayError::Empty) } else { Ok(lines) }
}

/// The times of all lines of a timing script as h2load goes through it: in order, and at once where the time has passed.
pub fn script_times(text: &[u8]) -> Result<Vec<u64>, ReplayError> {
    let mut latest = 0;
    lines(text)?
        .into_iter()
        .map(|(number, line)| {
            let time = milliseconds(line).ok_or(ReplayError::NoTime(number))?;
            latest = latest.max(time.round() as u64);
            Ok(latest)
        })
        .collect()
}

/// The times of all arrivals in nanoseconds after the first (of a log) or after the start (of a script), `speed` times as
/// fast.
pub fn times(text: &[u8], speed: f64) -> Result<Vec<u64>, ReplayError> {
    let lines = lines(text)?;
    let (_, first) = lines[0];
    let script = first[0].is_ascii_digit() && milliseconds(first).is_some();
    let mut at = Vec::with_capacity(lines.len());
    for (number, line) in lines {
        let time = if script { milliseconds(line) } else { log_seconds(line).map(|s| s * 1e9) };
        let time = time.ok_or(ReplayError::NoTime(number))?;
        if at.last().is_some_and(|before| time < *before) {
            return Err(ReplayError::Backwards(number));
        }
        at.push(time);
    }
    if !script {
        spread_seconds(&mut at);
    }
    Ok(at.into_iter().map(|ns| (ns / speed).round() as u64).collect())
}

/// The number a line begins with, up to a blank; from milliseconds to nanoseconds.
fn milliseconds(line: &[u8]) -> Option<f64> {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let digits = std::str::from_utf8(&line[..end]).ok()?;
    let well = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    digits.parse::<f64>().ok().filter(|ms| well && *ms <= 1e12).map(|ms| ms * 1e6)
}

/// Seconds since 1970 of `[day/month/year:hour:minute:second zone]`.
fn log_seconds(line: &[u8]) -> Option<f64> {
    let start = line.iter().position(|b| *b == b'[')? + 1;
    let text = std::str::from_utf8(line.get(start..start + 26)?).ok()?;
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(text.get(3..6)?).filter(|at| at % 3 == 0)? as i64 / 3 + 1;
    let (day, year) = (number(0..2)?, number(7..11)?);
    let clock = number(12..14)? * 3600 + number(15..17)? * 60 + number(18..20)?;
    let sign = match text.get(21..22)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let zone = sign * (number(22..24)? * 3600 + number(24..26)? * 60);
    Some((days(year, month, day) * 86_400 + clock - zone) as f64)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// From the first on; equal times move apart, evenly over their second.
fn spread_seconds(at: &mut [f64]) {
    let first = at[0];
    let mut i = 0;
    while i < at.len() {
        let second = at[i];
        let same = at[i..].iter().take_while(|t| **t == second).count();
        for (k, time) in at[i..i + same].iter_mut().enumerate() {
            *time = second - first + 1e9 * k as f64 / same as f64;
        }
        i += same;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timing_script_is_in_milliseconds() {
        let script = b"# offsets\n0.0\thttp://a/\n1.5\thttp://a/b\n\n1.5\n20\t/x\n";
        assert_eq!(times(script, 1.0).unwrap(), [0, 1_500_000, 1_500_000, 20_000_000]);
        assert_eq!(times(script, 2.0).unwrap(), [0, 750_000, 750_000, 10_000_000]);
    }

    #[test]
    fn a_script_goes_on_where_a_time_has_passed() {
        let script = b"5\thttp://a/\n2.5\tb\n\n7\tc\n0\td\n9\te\n";
        let ms = |n: u64| n * 1_000_000;
        assert_eq!(script_times(script).unwrap(), [ms(5), ms(5), ms(7), ms(7), ms(9)]);
        assert_eq!(script_times(b"5\n[x\n"), Err(ReplayError::NoTime(2)));
        assert_eq!(script_times(b"\n"), Err(ReplayError::Empty));
    }

    #[test]
    fn a_log_is_spread_over_its_seconds() {
        let log = b"1.2.3.4 - - [31/Dec/2023:23:59:59 +0000] \"GET / HTTP/1.1\" 200 5\n\
                    ::1 - bob [01/Jan/2024:01:00:00 +0100] \"GET /a HTTP/1.1\" 200 5\n\
                    ::1 - bob [01/Jan/2024:00:00:00 +0000] \"GET /b HTTP/1.1\" 200 5\n\
                    ::1 - - [31/Dec/2023:16:00:02 -0800] \"GET /b HTTP/1.1\" 200 5\n";
        assert_eq!(times(log, 1.0).unwrap(), [0, 1_000_000_000, 1_500_000_000, 3_000_000_000]);
    }

    #[test]
    fn days_of_the_calendar() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2026, 11, 27), 20_784);
    }

    #[test]
    fn what_cannot_be_replayed() {
        assert_eq!(times(b"\n# nothing\n", 1.0), Err(ReplayError::Empty));
        assert_eq!(times(b"0\nsoon\n", 1.0), Err(ReplayError::NoTime(2)));
        assert_eq!(times(b"5\n4\n", 1.0), Err(ReplayError::Backwards(2)));
        assert_eq!(times(b"hello\n", 1.0), Err(ReplayError::NoTime(1)));
        assert_eq!(times(b"x [99/Foo/2000:00:00:00 +0000]\n", 1.0), Err(ReplayError::NoTime(1)));
        assert_eq!(times(b"x [\xff\xff/Jan/2000:00:00:00 +0000]\n", 1.0), Err(ReplayError::NoTime(1)));
    }
}
