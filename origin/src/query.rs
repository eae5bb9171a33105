//! The query language of `/` and `/any/...`: one letter, `=`, a value; arguments separated by any of
//! `& ? , ; /`. It is the language of haterm and httpterm, so their users need learn nothing:
//!
//! | argument | meaning |
//! |---|---|
//! | `s=<size>` | body of that many bytes, `k`, `m`, `g` for powers of 1024; 0 if not given |
//! | `r=<status>` | status of the response, 200 to 999 |
//! | `t=<time>` | wait before responding; `us`, `ms`, `s`, milliseconds without a unit, fractions allowed |
//! | `c=<0\|1>` | 0: `cache-control: no-cache` |
//! | `C=<0\|1>` | 1: close the connection after the response (HTTP/1) |
//! | `K=<0\|1>` | 1: keep it open, which is the default; 0: as `C=1` |
//! | `k=<0\|1>` | 1: chunked, without `content-length` |
//! | `R=<0\|1>` | 1: a random body, which does not compress |
//! | `A=<0\|1>` | 1: respond before the request body has been read |
//!
//! An `r` after any number makes it random, from 0 up to the number. An argument not listed is ignored, so
//! cache busters do no harm, but a bad value of a listed one is an error: a test that asked for something
//! else than it meant is worse than none. An empty query (`/?`) asks for help. Pure; called by `sized.rs` and
//! `fault.rs`.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::limits::{MAX_BODY, MAX_DELAY};
use crate::random::Random;

/// What a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) size: Option<u64>,
    pub(crate) status: StatusCode,
    pub(crate) delay: Option<Duration>,
    pub(crate) no_cache: bool,
    pub(crate) close: bool,
    pub(crate) chunked: bool,
    pub(crate) random: bool,
    pub(crate) respond_first: bool,
}

/// An argument whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadArgument<'a> {
    argument: &'a str,
    wanted: &'static str,
}

impl Ask {
    /// Reads a query, without its first `?`.
    pub(crate) fn parse<'a>(query: &'a str, random: &Random) -> Result<Self, BadArgument<'a>> {
        let mut ask = Self::default();
        for argument in query.split(['&', '?', ',', ';', '/']) {
            let Some((name, value)) = argument.split_once('=') else { continue };
            ask.set(name, value, random).map_err(|wanted| BadArgument { argument, wanted })?;
        }
        Ok(ask)
    }

    fn set(&mut self, name: &str, value: &str, random: &Random) -> Result<(), &'static str> {
        match name {
            "s" => self.size = Some(size(value, random).ok_or("a size such as 100, 20k or 1m, up to 1024g")?),
            "r" => self.status = status(value).ok_or("a status from 200 to 999")?,
            "t" => {
                self.delay =
                    Some(time(value, random).ok_or("a time such as 20, 250us, 5ms or 1s, up to 3600s")?)
            }
            "c" => self.no_cache = !flag(value, random)?,
            "C" => self.close = flag(value, random)?,
            "K" => self.close = !flag(value, random)?,
            "k" => self.chunked = flag(value, random)?,
            "R" => self.random = flag(value, random)?,
            "A" => self.respond_first = flag(value, random)?,
            _ => {}
        }
        Ok(())
    }
}

impl fmt::Display for BadArgument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.argument, self.wanted)
    }
}

fn size(value: &str, random: &Random) -> Option<u64> {
    let (digits, unit) = split(value);
    let (unit, share) = share(unit, random);
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return None,
    };
    let size = part(digits.parse::<u64>().ok()?.checked_mul(1 << shift)?, share);
    (size <= MAX_BODY).then_some(size)
}

fn time(value: &str, random: &Random) -> Option<Duration> {
    let (digits, unit) = split(value);
    let (unit, share) = share(unit, random);
    let second = match unit {
        "" | "ms" => 1e-3,
        "us" => 1e-6,
        "s" => 1.0,
        _ => return None,
    };
    // Only digits and points get here: neither an exponent nor "inf" or "nan".
    let time = Duration::try_from_secs_f64(digits.parse::<f64>().ok()? * second).ok()?;
    let time = Duration::from_nanos(part(u64::try_from(time.as_nanos()).ok()?, share));
    (time <= MAX_DELAY).then_some(time)
}

/// Classes above 5xx exist in no RFC, but a client has to survive them. 1xx is never a final response.
fn status(value: &str) -> Option<StatusCode> {
    StatusCode::from_bytes(value.as_bytes()).ok().filter(|status| status.as_u16() >= 200)
}

fn flag(value: &str, random: &Random) -> Result<bool, &'static str> {
    size(value, random).map(|value| value > 0).ok_or("0 or 1")
}

/// Splits the number from what follows it.
fn split(value: &str) -> (&str, &str) {
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    value.split_at(end)
}

/// A share of a whole: less than it, unless it is all of it.
fn part(whole: u64, share: f64) -> u64 {
    if share < 1.0 { (whole as f64 * share) as u64 } else { whole }
}

/// Takes the `r` off a unit, and tells how much of the number to use.
fn share<'a>(unit: &'a str, random: &Random) -> (&'a str, f64) {
    match unit.strip_suffix(['r', 'R']) {
        Some(unit) => (unit, random.unit()),
        None => (unit, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Ask {
        Ask::parse(query, &Random::new()).unwrap()
    }

    #[test]
    fn every_argument() {
        let ask = parse("s=256k&t=20ms&r=503&c=0&C=1&k=1&R=1&A=1");
        assert_eq!(
            ask,
            Ask {
                size: Some(256 * 1024),
                status: StatusCode::SERVICE_UNAVAILABLE,
                delay: Some(Duration::from_millis(20)),
                no_cache: true,
                close: true,
                chunked: true,
                random: true,
                respond_first: true,
            }
        );
    }

    #[test]
    fn every_separator() {
        let ask = parse("r=500?s=0,c=0;t=1000/k=1");
        assert_eq!((ask.status.as_u16(), ask.size, ask.no_cache, ask.chunked), (500, Some(0), true, true));
        assert_eq!(ask.delay, Some(Duration::from_secs(1)));
    }

    #[test]
    fn units_of_time() {
        for (text, micros) in [("5", 5000), ("250us", 250), ("0.25", 250), ("1.5ms", 1500), ("2s", 2_000_000)]
        {
            assert_eq!(parse(&format!("t={text}")).delay, Some(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn random_values_stay_below() {
        let random = Random::new();
        for _ in 0..1000 {
            assert!(Ask::parse("s=10kr", &random).unwrap().size.unwrap() < 10 * 1024);
            assert!(Ask::parse("t=10r", &random).unwrap().delay.unwrap() < Duration::from_millis(10));
        }
    }

    #[test]
    fn the_largest_random_value_stays_below_as_well() {
        let largest = 1.0 - f64::EPSILON / 2.0;
        for whole in [1, 1000, 1024, 10_000_000, 3_600_000_000_000] {
            assert_eq!((part(whole, largest), part(whole, 1.0)), (whole - 1, whole));
        }
    }

    #[test]
    fn what_is_not_listed_is_ignored() {
        assert_eq!(parse("x=1&_=1699&time=abc&s"), Ask::default());
    }

    #[test]
    fn bad_values_are_named() {
        for bad in [
            "s=12x",
            "s=",
            "s=-1",
            "s=1025g",
            "s=99999999999999999999",
            "r=99",
            "r=100",
            "r=1000",
            "t=5m",
            "t=.",
        ] {
            let error = Ask::parse(bad, &Random::new()).unwrap_err();
            assert!(error.to_string().starts_with(bad), "{error}");
        }
        for bad in ["t=1e9", "t=inf", "t=3601s", "k=yes"] {
            assert!(Ask::parse(bad, &Random::new()).is_err(), "{bad}");
        }
    }
}
