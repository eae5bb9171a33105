//! Values of variables and expressions. Used by the expressions and by the virtual users that hold them.

use super::number::{self, Digits, Line};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::io::Write as _;

/// What a variable holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing was put into it yet: using it ends the iteration.
    #[default]
    Unset,
    /// JSON's null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number that was calculated.
    Float(f64),
    /// Another number, as it is written.
    Number(Digits),
    /// Text.
    Text(String),
    /// Several.
    List(Vec<Value>),
}

impl Value {
    /// Takes a text, in the memory that is there already.
    pub fn set_text(&mut self, text: &str) {
        match self {
            Value::Text(old) => {
                old.clear();
                old.push_str(text);
            }
            other => *other = Value::Text(text.to_owned()),
        }
    }

    /// Takes the result of an expression.
    pub(crate) fn set(&mut self, value: Val<'_>) {
        match value {
            Val::Text(text) => match text {
                Cow::Borrowed(text) => self.set_text(text),
                Cow::Owned(text) => *self = Value::Text(text),
            },
            Val::Null => *self = Value::Null,
            Val::Bool(b) => *self = Value::Bool(b),
            Val::Int(n) => *self = Value::Int(n),
            Val::Float(x) => *self = Value::Float(x),
            Val::Number(text) => *self = Value::Number(Digits::new(&text)),
            Val::List(list) => *self = Value::List(list.into_owned()),
        }
    }

    /// The value for reading; `None` if there is none.
    pub(crate) fn get(&self) -> Option<Val<'_>> {
        Some(match self {
            Value::Unset => return None,
            Value::Null => Val::Null,
            Value::Bool(b) => Val::Bool(*b),
            Value::Int(n) => Val::Int(*n),
            Value::Float(x) => Val::Float(*x),
            Value::Number(digits) => Val::Number(Cow::Borrowed(digits.as_str())),
            Value::Text(text) => Val::Text(Cow::Borrowed(text)),
            Value::List(list) => Val::List(Cow::Borrowed(list)),
        })
    }

    /// The value of a number that is written so, which JSON must allow.
    pub(crate) fn of_number(text: &str) -> Value {
        let mut value = Value::Null;
        value.set(Val::of_number(text));
        value
    }

    /// Whether two elements of lists are equal: of one kind, numbers by value.
    fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Text(_), _) | (_, Value::Text(_)) => false,
            (a, b) => match (a.get(), b.get()) {
                (Some(a), Some(b)) => a.equals(&b),
                (a, b) => a == b,
            },
        }
    }

    /// Heap bytes held.
    pub fn footprint(&self) -> usize {
        match self {
            Value::Text(text) => text.capacity(),
            Value::Number(digits) => digits.footprint(),
            Value::List(list) => {
                list.capacity() * size_of::<Value>() + list.iter().map(Value::footprint).sum::<usize>()
            }
            _ => 0,
        }
    }
}

/// A value while an expression is worked out: text is borrowed where it can be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// As JSON writes it.
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    List(Cow<'a, [Value]>),
}

impl<'a> Val<'a> {
    /// A number that is written so, which JSON must allow: it keeps its digits.
    pub fn of_number(text: &'a str) -> Val<'a> {
        match text.parse::<i64>() {
            Ok(n) if n != 0 || text == "0" => Val::Int(n),
            _ => Val::Number(Cow::Borrowed(text)),
        }
    }

    /// With the text that it borrows.
    pub fn into_owned(self) -> Val<'static> {
        match self {
            Val::Null => Val::Null,
            Val::Bool(b) => Val::Bool(b),
            Val::Int(n) => Val::Int(n),
            Val::Float(x) => Val::Float(x),
            Val::Number(text) => Val::Number(Cow::Owned(text.into_owned())),
            Val::Text(text) => Val::Text(Cow::Owned(text.into_owned())),
            Val::List(list) => Val::List(Cow::Owned(list.into_owned())),
        }
    }
}

/// Machine numbers up to here are exact in both kinds: 2^53.
const EXACT: i64 = 1 << 53;

impl Val<'_> {
    /// Whether it counts as true: what is neither `false`, null, 0 nor empty.
    pub fn truth(&self) -> bool {
        match self {
            Val::Null => false,
            Val::Bool(b) => *b,
            Val::Int(n) => *n != 0,
            Val::Float(x) => *x != 0.0,
            Val::Number(text) => !number::is_zero(text),
            Val::Text(text) => !text.is_empty(),
            Val::List(list) => !list.is_empty(),
        }
    }

    /// As a number; text that is one counts (columns of CSV files are text).
    pub fn number(&self) -> Option<Val<'_>> {
        match self {
            Val::Int(n) => Some(Val::Int(*n)),
            Val::Float(x) => Some(Val::Float(*x)),
            Val::Number(text) => Some(Val::Number(Cow::Borrowed(text))),
            Val::Text(text) => {
                let text = text.trim();
                if let Ok(n) = text.parse::<i64>() {
                    return Some(Val::Int(n));
                }
                let x = text.parse::<f64>().ok().filter(|x| x.is_finite())?;
                Some(if number::is_json(text) { Val::of_number(text) } else { Val::Float(x) })
            }
            _ => None,
        }
    }

    /// Whether it is a whole number beyond what is calculated with.
    pub fn is_large(&self) -> bool {
        matches!(self, Val::Number(text) if number::is_whole(text) && !number::is_zero(text))
    }

    /// As a floating number.
    pub fn float(&self) -> Option<f64> {
        match self.number()? {
            Val::Int(n) => Some(n as f64),
            Val::Float(x) => Some(x),
            Val::Number(text) => text.parse::<f64>().ok().filter(|x| x.is_finite()),
            _ => None,
        }
    }

    /// Which number is the larger, to the last digit; `None` if one of them is no number.
    pub fn compare(&self, other: &Val<'_>) -> Option<Ordering> {
        let exact = |n: i64| (-EXACT..=EXACT).contains(&n);
        match (self.number()?, other.number()?) {
            (Val::Int(a), Val::Int(b)) => Some(a.cmp(&b)),
            (Val::Float(a), Val::Float(b)) => a.partial_cmp(&b),
            (Val::Int(a), Val::Float(b)) if exact(a) => (a as f64).partial_cmp(&b),
            (Val::Float(a), Val::Int(b)) if exact(b) => a.partial_cmp(&(b as f64)),
            (a, b) => {
                let (mut x, mut y) = (Line::default(), Line::default());
                number::compare(a.digits(&mut x), b.digits(&mut y))
            }
        }
    }

    /// The digits of a number.
    fn digits<'t>(&'t self, line: &'t mut Line) -> &'t str {
        match self {
            Val::Int(n) => line.write(n),
            Val::Float(x) => line.write(x),
            Val::Number(text) => text,
            _ => "",
        }
    }

    /// As a whole number.
    pub fn int(&self) -> Option<i64> {
        match self.number()? {
            Val::Int(n) => Some(n),
            other => other.float().filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i64),
        }
    }

    /// Appends it as text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Val::Text(text) => out.extend_from_slice(text.as_bytes()),
            // Writing to a Vec cannot fail.
            Val::Int(n) => drop(write!(out, "{n}")),
            _ => self.write_json(out),
        }
    }

    /// Appends it as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Val::Null => out.extend_from_slice(b"null"),
            Val::Bool(b) => drop(write!(out, "{b}")),
            Val::Int(n) => drop(write!(out, "{n}")),
            Val::Float(x) if x.is_finite() => drop(write!(out, "{x}")),
            Val::Float(_) => out.extend_from_slice(b"null"),
            Val::Number(text) => out.extend_from_slice(text.as_bytes()),
            Val::Text(text) => {
                out.push(b'"');
                write_json_text(text, out);
                out.push(b'"');
            }
            Val::List(list) => {
                out.push(b'[');
                for (i, item) in list.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.get().unwrap_or(Val::Null).write_json(out);
                }
                out.push(b']');
            }
        }
    }

    /// Its text.
    pub fn into_text(self) -> String {
        match self {
            Val::Text(text) => text.into_owned(),
            other => {
                let mut out = Vec::new();
                other.write(&mut out);
                String::from_utf8(out).unwrap_or_default()
            }
        }
    }

    /// Equal, numbers by value and to the last digit: `"5"` equals 5, and 1.10 equals 1.1.
    pub fn equals(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Val::Text(a), Val::Text(b)) => a == b,
            (Val::Null, Val::Null) => true,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::Bool(a), Val::Text(t)) | (Val::Text(t), Val::Bool(a)) => {
                t == if *a { "true" } else { "false" }
            }
            (Val::List(a), Val::List(b)) => a.len() == b.len() && a.iter().zip(&**b).all(|(a, b)| a.same(b)),
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }
}

/// Appends the inside of a JSON string (RFC 8259 section 7).
pub(crate) fn write_json_text(text: &str, out: &mut Vec<u8>) {
    for &b in text.as_bytes() {
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => drop(write!(out, "\\u{b:04x}")),
            b => out.push(b),
        }
    }
}

const _: () = assert!(size_of::<Value>() <= 32, "each variable of each user has one");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_text_count_as_numbers() {
        let text = |t: &'static str| Val::Text(Cow::Borrowed(t));
        assert!(text("5").equals(&Val::Int(5)) && text("5.0").equals(&Val::Int(5)));
        assert!(!text("5x").equals(&Val::Int(5)) && !Val::Null.equals(&Val::Int(0)));
        assert!(!text("05").equals(&text("5")), "two texts compare as texts");
        assert_eq!((text("7").int(), text("7.5").int(), text("nan").float()), (Some(7), None, None));
    }

    #[test]
    fn numbers_are_equal_to_the_last_digit() {
        let of = Val::of_number;
        let text = |t: &'static str| Val::Text(Cow::Borrowed(t));
        assert!(!of("12345678901234567890").equals(&of("12345678901234567000")));
        assert!(!of("12345678901234568000000").equals(&text("12345678901234567890124")));
        assert!(text("12345678901234567890").equals(&of("12345678901234567890")));
        assert!(!of("9007199254740993").equals(&Val::Float(9_007_199_254_740_992.0)));
        assert!(
            of("1.10").equals(&Val::Float(1.1))
                && of("5.0").equals(&Val::Int(5))
                && of("-0").equals(&of("0"))
        );
        assert_eq!((of("7"), of("-0")), (Val::Int(7), Val::Number("-0".into())));
        assert_eq!(of("9223372036854775808").compare(&Val::Int(i64::MAX)), Some(Ordering::Greater));
        assert_eq!(Val::Float(0.5).compare(&Val::Int(i64::MIN)), Some(Ordering::Greater));
        let list = |texts: &[&str]| Val::List(texts.iter().map(|t| Value::of_number(t)).collect());
        assert!(list(&["1", "2.0"]).equals(&list(&["1.0", "2"])));
        assert!(!list(&["12345678901234567890"]).equals(&list(&["12345678901234567891"])));
        assert!(of("1e400").float().is_none() && of("0.0").truth() != of("0.1").truth());
    }

    #[test]
    fn a_list_is_written_as_json() {
        let list = [Value::Int(1), Value::Text("a\"\n".into()), Value::Null, Value::Float(0.5)];
        let mut out = Vec::new();
        Val::List(Cow::Borrowed(&list)).write(&mut out);
        assert_eq!(out, br#"[1,"a\"\n",null,0.5]"#);
    }

    #[test]
    fn text_is_put_into_the_memory_that_is_there() {
        let mut value = Value::Text("a long text that was here before".into());
        let before = value.footprint();
        value.set_text("short");
        assert_eq!((value.footprint(), value), (before, Value::Text("short".into())));
    }
}
