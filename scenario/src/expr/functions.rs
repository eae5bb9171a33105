//! The functions of expressions. A line in [`FUNCTIONS`] and an arm in [`call`] is all that a new one takes.

use super::value::{Val, Value};
use super::{Env, EvalError, Expr};
use crate::limits;
use base64::Engine as _;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Uuid,
    RandomInt,
    RandomFloat,
    RandomChoice,
    RandomText,
    Now,
    NowMs,
    NowIso,
    Base64,
    Base64Decode,
    HmacSha256,
    HmacSha256Base64,
    Sha256,
    UrlEncode,
    Upper,
    Lower,
    Trim,
    Length,
    Substring,
    Replace,
    Contains,
    StartsWith,
    EndsWith,
    At,
    Join,
    Int,
    Round,
    Min,
    Max,
    Json,
    Default,
    Defined,
}

/// Name, function, how many arguments, whether equal arguments give equal values.
pub(super) const FUNCTIONS: &[(&str, Function, RangeInclusive<usize>, bool)] = &[
    ("uuid", Function::Uuid, 0..=0, false),
    ("random_int", Function::RandomInt, 2..=2, false),
    ("random_float", Function::RandomFloat, 2..=2, false),
    ("random_choice", Function::RandomChoice, 1..=100, false),
    ("random_text", Function::RandomText, 1..=1, false),
    ("now", Function::Now, 0..=0, false),
    ("now_ms", Function::NowMs, 0..=0, false),
    ("now_iso", Function::NowIso, 0..=0, false),
    ("base64", Function::Base64, 1..=1, true),
    ("base64_decode", Function::Base64Decode, 1..=1, true),
    ("hmac_sha256", Function::HmacSha256, 2..=2, true),
    ("hmac_sha256_base64", Function::HmacSha256Base64, 2..=2, true),
    ("sha256", Function::Sha256, 1..=1, true),
    ("url_encode", Function::UrlEncode, 1..=1, true),
    ("upper", Function::Upper, 1..=1, true),
    ("lower", Function::Lower, 1..=1, true),
    ("trim", Function::Trim, 1..=1, true),
    ("length", Function::Length, 1..=1, true),
    ("substring", Function::Substring, 2..=3, true),
    ("replace", Function::Replace, 3..=3, true),
    ("contains", Function::Contains, 2..=2, true),
    ("starts_with", Function::StartsWith, 2..=2, true),
    ("ends_with", Function::EndsWith, 2..=2, true),
    ("at", Function::At, 2..=2, true),
    ("join", Function::Join, 2..=2, true),
    ("int", Function::Int, 1..=1, true),
    ("round", Function::Round, 1..=1, true),
    ("min", Function::Min, 2..=2, true),
    ("max", Function::Max, 2..=2, true),
    ("json", Function::Json, 1..=1, true),
    ("default", Function::Default, 2..=2, true),
    ("defined", Function::Defined, 1..=1, true),
];

impl Function {
    pub fn is_pure(self) -> bool {
        FUNCTIONS.iter().any(|(_, f, _, pure)| *f == self && *pure)
    }
}

const WHOLE: EvalError = EvalError::Bad("an argument is not a whole number");
const NEGATIVE: EvalError = EvalError::Bad("an argument is below 0");
const NUMBER: EvalError = EvalError::Bad("an argument is not a number");
pub(crate) const TOO_LONG: EvalError = EvalError::Bad("a text became too long");

pub(super) fn text<'a>(text: impl Into<Cow<'a, str>>) -> Result<Val<'a>, EvalError> {
    let text = text.into();
    match text.len() <= limits::MAX_TEXT {
        true => Ok(Val::Text(text)),
        false => Err(TOO_LONG),
    }
}

/// Works a call out. The number of arguments was checked when the plan was read.
pub(super) fn call<'a>(f: Function, args: &'a [Expr], env: Env<'a>) -> Result<Val<'a>, EvalError> {
    let val = |i: usize| args[i].eval(env);
    let txt = |i: usize| args[i].eval(env).map(Val::into_text);
    let int = |i: usize| args[i].eval(env)?.int().ok_or(WHOLE);
    let float = |i: usize| args[i].eval(env)?.float().ok_or(NUMBER);
    Ok(match f {
        Function::Uuid => text(uuid(env))?,
        Function::RandomInt => {
            let (low, high) = (int(0)?, int(1)?);
            let span = i128::from(high) - i128::from(low) + 1;
            let span = u64::try_from(span).ok().filter(|n| *n > 0);
            let span = span.ok_or(EvalError::Bad("random_int needs a lower and a higher number"))?;
            Val::Int((i128::from(low) + i128::from(env.random.below(span))) as i64)
        }
        Function::RandomFloat => {
            let (low, high) = (float(0)?, float(1)?);
            Val::Float(low + (high - low) * env.random.unit())
        }
        Function::RandomChoice => choice(args, env)?,
        Function::RandomText => {
            let n = usize::try_from(int(0)?).map_err(|_| NEGATIVE)?;
            if n > limits::MAX_TEXT {
                return Err(TOO_LONG);
            }
            const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
            text((0..n).map(|_| LETTERS[env.random.below(62) as usize] as char).collect::<String>())?
        }
        Function::Now => Val::Int((env.wall / 1_000_000_000) as i64),
        Function::NowMs => Val::Int((env.wall / 1_000_000) as i64),
        Function::NowIso => text(iso(env.wall))?,
        Function::Base64 => text(base64::prelude::BASE64_STANDARD.encode(txt(0)?))?,
        Function::Base64Decode => {
            let bytes = base64::prelude::BASE64_STANDARD.decode(txt(0)?).ok();
            let decoded = bytes.and_then(|b| String::from_utf8(b).ok());
            text(decoded.ok_or(EvalError::Bad("base64_decode: not the base64 of a text"))?)?
        }
        Function::HmacSha256 => text(hex(&hmac(txt(0)?.as_bytes(), txt(1)?.as_bytes())))?,
        Function::HmacSha256Base64 => {
            text(base64::prelude::BASE64_STANDARD.encode(hmac(txt(0)?.as_bytes(), txt(1)?.as_bytes())))?
        }
        Function::Sha256 => text(hex(&Sha256::digest(txt(0)?)))?,
        Function::UrlEncode => {
            let mut out = Vec::new();
            url_encode(txt(0)?.as_bytes(), &mut out);
            text(String::from_utf8(out).unwrap_or_default())?
        }
        Function::Upper => text(txt(0)?.to_uppercase())?,
        Function::Lower => text(txt(0)?.to_lowercase())?,
        Function::Trim => text(txt(0)?.trim().to_owned())?,
        Function::Length => Val::Int(match val(0)? {
            Val::List(list) => list.len() as i64,
            other => other.into_text().chars().count() as i64,
        }),
        Function::Substring => {
            let (whole, from) = (txt(0)?, usize::try_from(int(1)?).map_err(|_| NEGATIVE)?);
            let most =
                if args.len() > 2 { usize::try_from(int(2)?).map_err(|_| NEGATIVE)? } else { usize::MAX };
            text(whole.chars().skip(from).take(most).collect::<String>())?
        }
        Function::Replace => {
            let (whole, from, to) = (txt(0)?, txt(1)?, txt(2)?);
            let grown = if from.is_empty() { usize::MAX } else { whole.matches(&*from).count() * to.len() };
            if grown > limits::MAX_TEXT {
                return Err(TOO_LONG);
            }
            text(whole.replace(&*from, &to))?
        }
        Function::Contains => Val::Bool(match val(0)? {
            Val::List(list) => {
                let wanted = val(1)?;
                list.iter().filter_map(Value::get).any(|item| item.equals(&wanted))
            }
            whole => whole.into_text().contains(&txt(1)?),
        }),
        Function::StartsWith => Val::Bool(txt(0)?.starts_with(&txt(1)?)),
        Function::EndsWith => Val::Bool(txt(0)?.ends_with(&txt(1)?)),
        Function::At => at(val(0)?, int(1)?)?,
        Function::Join => match val(0)? {
            Val::List(list) => {
                let between = txt(1)?;
                let texts: Vec<String> = list.iter().filter_map(Value::get).map(Val::into_text).collect();
                text(texts.join(&between))?
            }
            other => other,
        },
        Function::Int => Val::Int(whole(&val(0)?, f64::trunc)?),
        Function::Round => Val::Int(whole(&val(0)?, f64::round)?),
        Function::Min | Function::Max => {
            let (a, b) = (val(0)?, val(1)?);
            let first_is_less = a.compare(&b).ok_or(NUMBER)?.is_lt();
            let one = if first_is_less == (f == Function::Min) { &a } else { &b };
            one.number().ok_or(NUMBER)?.into_owned()
        }
        Function::Json => {
            let mut out = Vec::new();
            val(0)?.write_json(&mut out);
            text(String::from_utf8(out).unwrap_or_default())?
        }
        Function::Default | Function::Defined => unreachable!("handled where a missing value is no error"),
    })
}

/// A whole number of any.
fn whole(value: &Val<'_>, of: fn(f64) -> f64) -> Result<i64, EvalError> {
    match value.number().ok_or(NUMBER)? {
        Val::Int(n) => Ok(n),
        other => {
            let x = of(other.float().ok_or(NUMBER)?);
            // 2^63 is the first that does not fit.
            (x.abs() < -(i64::MIN as f64)).then_some(x as i64).ok_or(super::OVERFLOW)
        }
    }
}

fn choice<'a>(args: &'a [Expr], env: Env<'a>) -> Result<Val<'a>, EvalError> {
    if args.len() > 1 {
        return args[env.random.below(args.len() as u64) as usize].eval(env);
    }
    match args[0].eval(env)? {
        Val::List(list) if list.is_empty() => Err(EvalError::Bad("random_choice of an empty list")),
        Val::List(list) => {
            let i = env.random.below(list.len() as u64) as i64;
            at(Val::List(list), i)
        }
        one => Ok(one),
    }
}

/// An element of a list; counted from the end if negative.
fn at(list: Val<'_>, index: i64) -> Result<Val<'_>, EvalError> {
    let Val::List(list) = list else { return Err(EvalError::Bad("at() needs a list")) };
    let index = if index < 0 { index + list.len() as i64 } else { index };
    let index = usize::try_from(index).ok().filter(|i| *i < list.len());
    let index = index.ok_or(EvalError::Bad("the list has no such element"))?;
    match list {
        Cow::Borrowed(list) => list[index].get(),
        Cow::Owned(mut list) => match list.swap_remove(index) {
            Value::Text(text) => Some(Val::Text(Cow::Owned(text))),
            Value::List(list) => Some(Val::List(Cow::Owned(list))),
            other => other.number(),
        },
    }
    .ok_or(EvalError::Bad("the list's element is nothing"))
}

impl Value {
    /// A value without text or list in it.
    fn number(&self) -> Option<Val<'static>> {
        match self {
            Value::Null => Some(Val::Null),
            Value::Bool(b) => Some(Val::Bool(*b)),
            Value::Int(n) => Some(Val::Int(*n)),
            Value::Float(x) => Some(Val::Float(*x)),
            Value::Number(digits) => Some(Val::Number(Cow::Owned(digits.as_str().to_owned()))),
            Value::Unset | Value::Text(_) | Value::List(_) => None,
        }
    }
}

/// HMAC-SHA-256 (RFC 2104), which takes keys of any length.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// A random UUID (RFC 9562, version 4).
fn uuid(env: Env<'_>) -> String {
    let (high, low) = (env.random.next(), env.random.next());
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Everything but the unreserved characters of RFC 3986 in percent form.
pub(crate) fn url_encode(text: &[u8], out: &mut Vec<u8>) {
    for &b in text {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(b),
            b => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.extend_from_slice(&[b'%', DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
            }
        }
    }
}

/// As RFC 3339 with milliseconds, in UTC (days to dates by Howard Hinnant's algorithm).
pub(crate) fn iso(wall: u64) -> String {
    let (ms, s) = (wall / 1_000_000 % 1000, wall / 1_000_000_000);
    let (days, second) = ((s / 86_400) as i64, s % 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * of_year + 2) / 153;
    let day = of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::eval;

    #[test]
    fn functions_give_what_they_promise() {
        for (text, expected) in [
            ("base64('demo:demo')", "ZGVtbzpkZW1v"),
            ("base64_decode('ZGVtbzpkZW1v')", "demo:demo"),
            // RFC 4231 test case 2.
            (
                "hmac_sha256('Jefe', 'what do ya want for nothing?')",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            ("sha256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("url_encode('a b/ü~')", "a%20b%2F%C3%BC~"),
            ("upper('ab') + lower('CD')", "ABcd"),
            ("length('äö')", "2"),
            ("substring('abcdef', 2, 3)", "cde"),
            ("substring('abc', 9)", ""),
            ("replace('a-b-c', '-', '+')", "a+b+c"),
            ("min(3, 2) + max('5', 4)", "7"),
            ("int('7.9')", "7"),
            ("round(2.5)", "3"),
            ("int(9007199254740993) + round(9007199254740993)", "18014398509481986"),
            ("max('12345678901234567890', 12345678901234567891)", "12345678901234567891"),
            ("min(1.10, 1.2)", "1.10"),
            ("json('a\"b')", "\"a\\\"b\""),
            ("default(nothing, 'x')", "x"),
            ("defined(nothing)", "false"),
            ("at(list, 0) + at(list, -1)", "4"),
            ("join(list, '; ')", "1; 2; 3"),
            ("contains(list, 2)", "true"),
            ("contains('abc', 'bc')", "true"),
            ("random_int(5, 5)", "5"),
            ("now()", "1700000000"),
            ("now_ms()", "1700000000123"),
            ("now_iso()", "2023-11-14T22:13:20.123Z"),
            ("length(random_text(12))", "12"),
            ("length(uuid())", "36"),
        ] {
            assert_eq!(eval(text).as_deref(), Ok(expected), "{text}");
        }
        for bad in [
            "at(list, 3)",
            "random_int(2, 1)",
            "random_text(100000000)",
            "base64_decode('?')",
            "int('x')",
            "int(12345678901234567890)",
            "round(-1e19)",
        ] {
            assert!(eval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn faults_say_what_is_wrong() {
        for (text, expected) in [
            ("random_text(-1)", "an argument is below 0"),
            ("random_text(1048577)", "a text became too long"),
            ("random_text('x')", "an argument is not a whole number"),
            ("substring('abc', -1)", "an argument is below 0"),
            ("substring('abc', 0, -1)", "an argument is below 0"),
        ] {
            assert!(eval(text).is_err_and(|e| e.contains(expected)), "{text}: {:?}", eval(text));
        }
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        let uuid = eval("uuid()").unwrap();
        let parts: Vec<&str> = uuid.split('-').collect();
        assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && "89ab".contains(&parts[3][..1]), "{uuid}");
    }

    #[test]
    fn every_whole_number_of_a_range_is_drawn() {
        let drawn: std::collections::BTreeSet<String> = (0..200)
            .map(|seed| super::super::parse::tests::eval_with("random_int(-1, 2)", seed).unwrap())
            .collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), ["-1", "0", "1", "2"]);
    }
}
