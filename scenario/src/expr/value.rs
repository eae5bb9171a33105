//! Values of variables and expressions. Used by the expressions and by the virtual users that hold them.

use std::borrow::Cow;
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
    /// Another number.
    Float(f64),
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
            Value::Text(text) => Val::Text(Cow::Borrowed(text)),
            Value::List(list) => Val::List(Cow::Borrowed(list)),
        })
    }

    /// From JSON: an object becomes its text, since variables have no fields.
    pub(crate) fn from_json(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(n), _) => Value::Int(n),
                (None, Some(x)) => Value::Float(x),
                (None, None) => Value::Text(n.to_string()),
            },
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(_) => Value::Text(json.to_string()),
        }
    }

    /// Heap bytes held.
    pub fn footprint(&self) -> usize {
        match self {
            Value::Text(text) => text.capacity(),
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
    Text(Cow<'a, str>),
    List(Cow<'a, [Value]>),
}

impl Val<'_> {
    /// Whether it counts as true: what is neither `false`, null, 0 nor empty.
    pub fn truth(&self) -> bool {
        match self {
            Val::Null => false,
            Val::Bool(b) => *b,
            Val::Int(n) => *n != 0,
            Val::Float(x) => *x != 0.0,
            Val::Text(text) => !text.is_empty(),
            Val::List(list) => !list.is_empty(),
        }
    }

    /// As a number; text that is one counts (columns of CSV files are text).
    pub fn number(&self) -> Option<Val<'static>> {
        match self {
            Val::Int(n) => Some(Val::Int(*n)),
            Val::Float(x) => Some(Val::Float(*x)),
            Val::Text(text) => {
                let text = text.trim();
                match text.parse::<i64>() {
                    Ok(n) => Some(Val::Int(n)),
                    Err(_) => text.parse::<f64>().ok().filter(|x| x.is_finite()).map(Val::Float),
                }
            }
            _ => None,
        }
    }

    /// As a floating number.
    pub fn float(&self) -> Option<f64> {
        match self.number()? {
            Val::Int(n) => Some(n as f64),
            Val::Float(x) => Some(x),
            _ => None,
        }
    }

    /// As a whole number.
    pub fn int(&self) -> Option<i64> {
        match self.number()? {
            Val::Int(n) => Some(n),
            Val::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(x as i64),
            _ => None,
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

    /// Equal, numbers by value: `"5"` equals 5.
    pub fn equals(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Val::Text(a), Val::Text(b)) => a == b,
            (Val::Null, Val::Null) => true,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::Bool(a), Val::Text(t)) | (Val::Text(t), Val::Bool(a)) => {
                t == if *a { "true" } else { "false" }
            }
            (Val::List(a), Val::List(b)) => a == b,
            _ => match (self.number(), other.number()) {
                (Some(Val::Int(a)), Some(Val::Int(b))) => a == b,
                (Some(a), Some(b)) => a.float() == b.float(),
                _ => false,
            },
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
