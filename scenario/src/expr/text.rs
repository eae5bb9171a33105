//! Text with expressions in it: `Bearer {{token}}`. Read once, rendered into a buffer that is reused.

use super::functions::url_encode;
use super::parse::{ExprError, Meaning, expression, settle};
use super::value::{Val, Value, write_json_text};
use super::{Env, EvalError, Expr};
use crate::outline;
use std::ops::Range;

/// How a value is written where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As it is.
    Raw,
    /// As the value of a form's field or of a query (percent-encoded).
    Url,
    /// Inside a JSON string.
    JsonText,
    /// As a JSON value of its own type.
    Json,
}

/// A part of a text.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Literal(Box<[u8]>),
    /// And how it is written, without the braces.
    Value(Expr, Escape, Box<str>),
}

/// A text with expressions in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phrase(pub Vec<Part>);

/// A part of a text that was only split.
pub(crate) enum Raw<'a> {
    Literal(&'a str),
    /// The inside of `{{ }}`, and where it stands.
    Expr(&'a str, Range<usize>),
}

/// Splits at `{{` and `}}`. `Err`: where the `{{` stands that has no end.
pub(crate) fn split(text: &str) -> Result<Vec<Raw<'_>>, usize> {
    let (mut parts, mut from) = (Vec::new(), 0);
    while let Some(open) = text[from..].find("{{").map(|at| from + at) {
        if open > from {
            parts.push(Raw::Literal(&text[from..open]));
        }
        let close = text[open..].find("}}").map(|at| open + at).ok_or(open)?;
        parts.push(Raw::Expr(&text[open + 2..close], open + 2..close));
        from = close + 2;
    }
    if from < text.len() {
        parts.push(Raw::Literal(&text[from..]));
    }
    Ok(parts)
}

/// Whether there is anything to work out in a text.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Reads a text with expressions; an error's place is in bytes of `text`.
pub(crate) fn phrase(
    text: &str,
    escape: Escape,
    names: &mut dyn FnMut(&str) -> Meaning,
) -> Result<Phrase, ExprError> {
    let parts = split(text).map_err(|at| ExprError {
        message: "`{{` without `}}`".to_owned(),
        label: "close it with `}}`".to_owned(),
        at: at..at + 2,
    })?;
    let mut phrase = Phrase::default();
    let whole = parts.len() == 1;
    for part in parts {
        match part {
            Raw::Literal(text) => {
                let mut bytes = Vec::new();
                write_escaped(&Val::Text(text.into()), literal_escape(escape), &mut bytes);
                phrase.literal(&bytes);
            }
            Raw::Expr(inside, at) => {
                let expr = expression(inside, names)
                    .map_err(|e| ExprError { at: at.start + e.at.start..at.start + e.at.end, ..e })?;
                let escape = match escape {
                    Escape::Json if !whole => Escape::JsonText,
                    other => other,
                };
                phrase.value(settle(expr), escape, inside);
            }
        }
    }
    Ok(phrase)
}

/// What the user wrote is in its wire form already, except inside JSON.
fn literal_escape(escape: Escape) -> Escape {
    match escape {
        Escape::Json => Escape::JsonText,
        other => other,
    }
}

impl Phrase {
    /// Adds fixed bytes.
    pub fn literal(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(Part::Literal(last)) => {
                let mut joined = std::mem::take(last).into_vec();
                joined.extend_from_slice(bytes);
                *last = joined.into();
            }
            _ => self.0.push(Part::Literal(bytes.into())),
        }
    }

    /// Adds an expression that is written like this; one that is known already becomes fixed bytes.
    pub fn value(&mut self, expr: Expr, escape: Escape, written: &str) {
        match &expr {
            Expr::Const(value) => {
                let mut bytes = Vec::new();
                write_escaped(&value.get().unwrap_or(Val::Null), escape, &mut bytes);
                self.literal(&bytes);
            }
            _ => self.0.push(Part::Value(expr, escape, written.into())),
        }
    }

    /// Adds another one at the end.
    pub fn append(&mut self, other: Phrase) {
        for part in other.0 {
            match part {
                Part::Literal(bytes) => self.literal(&bytes),
                value @ Part::Value(..) => self.0.push(value),
            }
        }
    }

    /// What has to be worked out.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Value(expr, ..) => Some(expr),
        })
    }

    /// The bytes, if nothing has to be worked out.
    pub fn as_constant(&self) -> Option<&[u8]> {
        match &self.0[..] {
            [] => Some(b""),
            [Part::Literal(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// The only expression, if there is nothing else: its type is kept then.
    pub fn as_single(&self) -> Option<&Expr> {
        match &self.0[..] {
            [Part::Value(expr, ..)] => Some(expr),
            _ => None,
        }
    }

    /// The text of a variable, if it is that and nothing else: the usual case, which needs no copy.
    pub fn as_variable<'a>(&self, env: Env<'a>) -> Option<&'a str> {
        match &self.0[..] {
            [Part::Value(Expr::Var(place), Escape::Raw, _)] => match env.value(*place) {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// How many bytes of it are known.
    pub fn fixed_len(&self) -> usize {
        let len = |part: &Part| match part {
            Part::Literal(bytes) => bytes.len(),
            Part::Value(..) => 0,
        };
        self.0.iter().map(len).sum()
    }

    /// Its templates as they are written, with their braces.
    pub fn templates(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Value(_, _, written) => Some(format!("{{{{{}}}}}", outline::expression(written))),
        })
    }

    /// All of it as it is written.
    pub fn written(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Part::Value(_, _, written) => format!("{{{{{}}}}}", outline::expression(written)),
        };
        self.0.iter().map(part).collect()
    }

    /// Appends the text.
    pub fn render(&self, env: Env<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
        for part in &self.0 {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Value(Expr::Var(place), Escape::Raw, _) => {
                    // The usual case, without a detour.
                    match env.value(*place) {
                        Some(Value::Text(text)) => out.extend_from_slice(text.as_bytes()),
                        Some(other) => other.get().ok_or(EvalError::Unset(*place))?.write(out),
                        None => return Err(EvalError::Unset(*place)),
                    }
                }
                Part::Value(expr, escape, _) => write_escaped(&expr.eval(env)?, *escape, out),
            }
        }
        Ok(())
    }
}

fn write_escaped(value: &Val<'_>, escape: Escape, out: &mut Vec<u8>) {
    match (escape, value) {
        (Escape::Raw, value) => value.write(out),
        (Escape::Json, value) => value.write_json(out),
        (Escape::Url, Val::Text(text)) => url_encode(text.as_bytes(), out),
        (Escape::JsonText, Val::Text(text)) => write_json_text(text, out),
        (escape, other) => {
            let text = other.clone().into_text();
            match escape {
                Escape::Url => url_encode(text.as_bytes(), out),
                _ => write_json_text(&text, out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::random::Random;

    fn render(text: &str, escape: Escape) -> Result<String, String> {
        let vars = [Value::Text("a b\"".into()), Value::Int(5), Value::Unset];
        let mut names = |name: &str| match name {
            "t" => Meaning::Place(0),
            "n" => Meaning::Place(1),
            "u" => Meaning::Place(2),
            other => Meaning::Unknown(format!("no {other}"), String::new()),
        };
        let phrase = phrase(text, escape, &mut names).map_err(|e| format!("{} {:?}", e.message, e.at))?;
        let mut out = Vec::new();
        let env = Env { vars: &vars, handed: &[], random: &Random::new(0, 0), wall: 0 };
        phrase.render(env, &mut out).map_err(|e| format!("{e:?}"))?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_are_written_as_their_place_needs() {
        assert_eq!(render("x {{t}} {{ n + 1 }}", Escape::Raw).unwrap(), "x a b\" 6");
        assert_eq!(render("{{t}}={{n}}&", Escape::Url).unwrap(), "a%20b%22%3D5%26");
        assert_eq!(render("{{t}}", Escape::Json).unwrap(), "\"a b\\\"\"");
        assert_eq!(render("{{n}}", Escape::Json).unwrap(), "5");
        assert_eq!(render("q\"{{n}}{{t}}", Escape::JsonText).unwrap(), "q\\\"5a b\\\"");
        assert_eq!(render("{{ 'x' }}{{ 2 * 3 }}", Escape::Raw).unwrap(), "x6");
    }

    #[test]
    fn faults_have_places() {
        assert_eq!(render("ab {{t", Escape::Raw), Err("`{{` without `}}` 3..5".into()));
        assert_eq!(render("ab {{ zz }}", Escape::Raw), Err("no zz 6..8".into()));
        assert_eq!(render("{{u}}", Escape::Raw), Err("Unset(2)".into()));
    }
}
