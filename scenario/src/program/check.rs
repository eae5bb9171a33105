//! Checks: pass or fail on one response. A failed check is counted; it ends nothing.

use super::html::Selector;
use super::json::Path;
use super::json_schema::Schema;
use crate::expr::functions::hex;
use crate::expr::text::Phrase;
use crate::expr::value::{Val, Value};
use crate::expr::{Binary, Env, EvalError, Expr};
use crate::plan::StatusSet;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// A check with the name it is counted under.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub name: String,
    pub kind: CheckKind,
}

#[derive(Clone, Debug)]
pub(crate) enum CheckKind {
    Status(StatusSet),
    /// A field by its name, which matches if any of its values does.
    Header(String, Test),
    Cookie(String, Test),
    Body(Test),
    BodySize(Limit),
    /// Lower-case hexadecimal digits.
    BodySha256(String),
    Json(Path, Test),
    JsonSchema(Schema),
    Css(Selector, Option<String>, Test),
    /// Nanoseconds.
    Time(Limit),
    /// As ALPN names it.
    Protocol(String),
}

impl CheckKind {
    pub fn needs_body(&self) -> bool {
        matches!(
            self,
            CheckKind::Body(_)
                | CheckKind::BodySize(_)
                | CheckKind::BodySha256(_)
                | CheckKind::Json(..)
                | CheckKind::JsonSchema(_)
                | CheckKind::Css(..)
        )
    }
    pub fn needs_fields(&self) -> bool {
        matches!(self, CheckKind::Header(..) | CheckKind::Cookie(..))
    }
}

/// What a value is held against.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Exists,
    Absent,
    Equals(Operand),
    Includes(Operand),
    Matches(regex::bytes::Regex),
    Compare(Binary, Expr),
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Value(Value),
    Text(Phrase),
}

/// A bound on a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub op: Binary,
    pub value: u64,
}

impl Limit {
    pub fn holds(self, n: u64) -> bool {
        match self.op {
            Binary::Less => n < self.value,
            Binary::AtMost => n <= self.value,
            Binary::More => n > self.value,
            Binary::AtLeast => n >= self.value,
            Binary::Differs => n != self.value,
            _ => n == self.value,
        }
    }
}

impl Operand {
    fn bytes<'a>(&'a self, env: Env<'a>) -> Result<Cow<'a, [u8]>, EvalError> {
        match self {
            Operand::Value(Value::Text(text)) => Ok(Cow::Borrowed(text.as_bytes())),
            Operand::Value(value) => {
                Ok(Cow::Owned(value.get().unwrap_or(Val::Null).into_text().into_bytes()))
            }
            Operand::Text(phrase) => {
                if let Some(text) = phrase.as_variable(env) {
                    return Ok(Cow::Borrowed(text.as_bytes()));
                }
                let mut out = Vec::new();
                phrase.render(env, &mut out)?;
                Ok(Cow::Owned(out))
            }
        }
    }
}

impl Test {
    /// Whether one value that is there passes. For [`Test::Absent`] none should be.
    pub fn holds_for_bytes(&self, value: &[u8], env: Env<'_>) -> Result<bool, EvalError> {
        match self {
            Test::Exists => Ok(true),
            Test::Absent => Ok(false),
            Test::Equals(operand) => Ok(*value == *operand.bytes(env)?),
            Test::Includes(operand) => Ok(includes(value, &operand.bytes(env)?)),
            Test::Matches(pattern) => Ok(pattern.is_match(value)),
            Test::Compare(..) => self.holds(&Val::Text(String::from_utf8_lossy(value)), env),
        }
    }

    /// The same for a value with a type.
    pub fn holds(&self, value: &Val<'_>, env: Env<'_>) -> Result<bool, EvalError> {
        match (self, value) {
            (Test::Equals(Operand::Value(expected)), _) => {
                Ok(value.equals(&expected.get().unwrap_or(Val::Null)))
            }
            // Numbers by value here, too: what is calculated has no zeros at its end.
            (Test::Equals(operand), Val::Int(_) | Val::Float(_) | Val::Number(_)) => {
                let expected = operand.bytes(env)?;
                Ok(value.equals(&Val::Text(String::from_utf8_lossy(&expected))))
            }
            (Test::Compare(op, expr), _) => {
                crate::expr::binary(*op, value, &expr.eval(env)?).map(|holds| holds.truth())
            }
            (Test::Includes(operand), Val::List(list)) => {
                let wanted = operand.bytes(env)?;
                let wanted = Val::Text(String::from_utf8_lossy(&wanted));
                Ok(list.iter().filter_map(Value::get).any(|item| item.equals(&wanted)))
            }
            _ => self.holds_for_bytes(value.clone().into_text().as_bytes(), env),
        }
    }
}

/// Whether `part` is somewhere in `whole`.
pub(crate) fn includes(whole: &[u8], part: &[u8]) -> bool {
    let Some((&first, rest)) = part.split_first() else { return true };
    let mut from = 0;
    while let Some(at) = whole[from..].iter().position(|&b| b == first).map(|at| from + at) {
        if whole[at + 1..].starts_with(rest) {
            return true;
        }
        from = at + 1;
    }
    false
}

/// The digest as [`CheckKind::BodySha256`] has it.
pub(crate) fn sha256(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_wherever_it_is() {
        for (whole, part, expected) in [
            ("abc", "", true),
            ("", "a", false),
            ("aab", "ab", true),
            ("abab", "abb", false),
            ("xyz", "z", true),
            ("xy", "xyz", false),
        ] {
            assert_eq!(includes(whole.as_bytes(), part.as_bytes()), expected, "{whole} {part}");
        }
    }
}
