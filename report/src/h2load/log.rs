//! A line of h2load's `--log-file`: when the request was sent (microseconds since 1970), the status of its response or -1,
//! and how long it took (microseconds), with tabs between.

use engine::Ended;
use std::io::Write as _;

/// Adds the line of a request.
pub fn line(out: &mut Vec<u8>, ended: &Ended) {
    let (began, took) = (ended.began_ns / 1000, ended.took_ns / 1000);
    let done = match ended.status {
        Some(status) => writeln!(out, "{began}\t{status}\t{took}"),
        None => writeln!(out, "{began}\t-1\t{took}"),
    };
    done.expect("a Vec takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_columns() {
        let mut out = Vec::new();
        let ended = Ended { began_ns: 1_700_000_000_123_456_789, took_ns: 999_999, status: Some(200) };
        line(&mut out, &ended);
        line(&mut out, &Ended { status: None, ..ended });
        assert_eq!(out, b"1700000000123456\t200\t999\n1700000000123456\t-1\t999\n");
    }
}
