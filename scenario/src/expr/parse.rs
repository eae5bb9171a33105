//! Text into expressions: a Pratt parser with a bound on depth.
//!
//! ```text
//! or: and ('or' and)*          and: not ('and' not)*        not: ('not' | '!') not | comparison
//! comparison: sum (('==' | '!=' | '<' | '<=' | '>' | '>=') sum)?
//! sum: product (('+' | '-') product)*                       product: unary (('*' | '/' | '%') unary)*
//! unary: '-' unary | number | 'text' | "text" | true | false | null | name | name(...) | ( or )
//! ```

use super::functions::FUNCTIONS;
use super::number::is_json;
use super::random::Random;
use super::value::Value;
use super::{Binary, Env, Expr, Function};
use crate::limits;
use crate::place;
use crate::source::quote;
use std::ops::Range;

/// What is wrong with an expression, and which bytes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExprError {
    pub message: String,
    pub label: String,
    pub at: Range<usize>,
}

/// What a name means.
pub(crate) enum Meaning {
    Place(u16),
    Value(Value),
    /// Nothing; what to say beside it.
    Unknown(String, String),
}

/// Reads an expression. `names` says what a name (`a`, `users.name`, `env.HOME`) means.
pub(crate) fn expression(text: &str, names: &mut dyn FnMut(&str) -> Meaning) -> Result<Expr, ExprError> {
    if text.len() > limits::MAX_EXPRESSION {
        return fail(0..text.len(), "the expression is too long", "use `set` for parts of it");
    }
    let mut parser = Parser { text, at: 0, depth: 0, operators: 0, names };
    let expr = parser.or()?;
    match parser.peek() {
        "" => Ok(expr),
        _ => {
            let at = parser.token_range();
            let message = format!("{} was not expected here", quote(&text[at.clone()]));
            let label = match &text[at.clone()] {
                "=" => "did you mean `==`?",
                "&" => "did you mean `and`?",
                "|" => "did you mean `or`?",
                _ => "the expression is over before it",
            };
            fail(at, message, label)
        }
    }
}

fn fail<T>(at: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Result<T, ExprError> {
    Err(ExprError { message: message.into(), label: label.into(), at })
}

struct Parser<'a, 'n> {
    text: &'a str,
    at: usize,
    depth: u32,
    operators: u32,
    names: &'n mut dyn FnMut(&str) -> Meaning,
}

impl<'a> Parser<'a, '_> {
    /// The next token, without taking it; empty at the end.
    fn peek(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        &self.text[self.token_range()]
    }

    fn token_range(&self) -> Range<usize> {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return self.at..self.at };
        let len = match first {
            c if c.is_alphabetic() || c == '_' => {
                let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '-';
                // `a-b` is a name (headers and columns are written so) where it is no number that follows.
                rest.find(|c| !word(c)).unwrap_or(rest.len())
            }
            c if c.is_ascii_digit() => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len())
            }
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            _ if ["==", "!=", "<=", ">=", "&&", "||"].iter().any(|t| rest.starts_with(t)) => 2,
            c => c.len_utf8(),
        };
        self.at..self.at + len
    }

    fn take(&mut self) -> Range<usize> {
        self.peek();
        let range = self.token_range();
        self.at = range.end;
        range
    }

    fn accept(&mut self, tokens: &[&str]) -> Option<&'a str> {
        let token = self.peek();
        tokens.contains(&token).then(|| {
            self.take();
            token
        })
    }

    fn deeper(&mut self) -> Result<(), ExprError> {
        self.depth += 1;
        match self.depth > limits::MAX_EXPRESSION_DEPTH {
            true => fail(self.at..self.at, "the expression is nested too deeply", ""),
            false => Ok(()),
        }
    }

    /// One more operator: what is in a row is one in the other in the tree.
    fn operator(&mut self) -> Result<(), ExprError> {
        self.operators += 1;
        match self.operators > limits::MAX_OPERATORS {
            true => {
                let message = format!("an expression has at most {} operators", limits::MAX_OPERATORS);
                fail(self.at..self.at, message, "use `set` for parts of it")
            }
            false => Ok(()),
        }
    }

    fn or(&mut self) -> Result<Expr, ExprError> {
        self.deeper()?;
        let mut left = self.and()?;
        while self.accept(&["or", "||"]).is_some() {
            self.operator()?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, ExprError> {
        let mut left = self.not()?;
        while self.accept(&["and", "&&"]).is_some() {
            self.operator()?;
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, ExprError> {
        if self.accept(&["not", "!"]).is_some() {
            self.deeper()?;
            let inner = self.not()?;
            self.depth -= 1;
            return Ok(Expr::Not(Box::new(inner)));
        }
        let left = self.sum()?;
        let Some(op) = self.accept(&["==", "!=", "<", "<=", ">", ">="]) else { return Ok(left) };
        let op = match op {
            "==" => Binary::Equal,
            "!=" => Binary::Differs,
            "<" => Binary::Less,
            "<=" => Binary::AtMost,
            ">" => Binary::More,
            _ => Binary::AtLeast,
        };
        Ok(Expr::Binary(op, Box::new(left), Box::new(self.sum()?)))
    }

    fn sum(&mut self) -> Result<Expr, ExprError> {
        let mut left = self.product()?;
        while let Some(op) = self.accept(&["+", "-"]) {
            self.operator()?;
            let op = if op == "+" { Binary::Plus } else { Binary::Minus };
            left = Expr::Binary(op, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expr, ExprError> {
        let mut left = self.unary()?;
        while let Some(op) = self.accept(&["*", "/", "%"]) {
            self.operator()?;
            let op = match op {
                "*" => Binary::Times,
                "/" => Binary::Over,
                _ => Binary::Modulo,
            };
            left = Expr::Binary(op, Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, ExprError> {
        if self.accept(&["-"]).is_some() {
            self.deeper()?;
            let inner = self.unary()?;
            self.depth -= 1;
            return Ok(Expr::Minus(Box::new(inner)));
        }
        let range = self.take();
        let token = &self.text[range.clone()];
        match token.chars().next() {
            None => fail(range, "the expression ends too early", "a value is missing here"),
            Some('(') => {
                let inner = self.or()?;
                self.close(range.start)?;
                Ok(inner)
            }
            Some(c @ ('\'' | '"')) => match token.len() > 1 && token.ends_with(c) {
                true => Ok(Expr::Const(Value::Text(token[1..token.len() - 1].to_owned()))),
                false => fail(range, "the text has no end", format!("close it with {c}")),
            },
            Some(c) if c.is_ascii_digit() => number(token, range),
            Some(c) if c.is_alphabetic() || c == '_' => self.word(token, range),
            Some(_) => fail(range, format!("{} was not expected here", quote(token)), "a value belongs here"),
        }
    }

    fn word(&mut self, word: &str, range: Range<usize>) -> Result<Expr, ExprError> {
        match word {
            "true" => return Ok(Expr::Const(Value::Bool(true))),
            "false" => return Ok(Expr::Const(Value::Bool(false))),
            "null" => return Ok(Expr::Const(Value::Null)),
            _ => {}
        }
        if self.peek() == "(" {
            return self.call(word, range);
        }
        match (self.names)(word) {
            Meaning::Place(place) => Ok(Expr::Var(place)),
            Meaning::Value(value) => Ok(Expr::Const(value)),
            Meaning::Unknown(message, label) => match FUNCTIONS.iter().any(|f| f.0 == word) {
                true => fail(range, format!("{} is a function", quote(word)), format!("write `{word}(...)`")),
                false => fail(range, message, label),
            },
        }
    }

    fn call(&mut self, name: &str, range: Range<usize>) -> Result<Expr, ExprError> {
        let open = self.take();
        let mut args = Vec::new();
        if self.accept(&[")"]).is_none() {
            loop {
                args.push(self.or()?);
                if self.accept(&[","]).is_none() {
                    break;
                }
            }
            self.close(open.start)?;
        }
        let whole = range.start..self.at;
        if name == "matches" {
            return matches(args, whole);
        }
        if name == "env" {
            return self.env(args, whole);
        }
        let Some((_, function, count, _)) = FUNCTIONS.iter().find(|f| f.0 == name) else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|f| f.0).chain(["matches", "env"]).collect();
            let label = match place::nearest(name, &known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "docs/plan.md lists the functions".to_owned(),
            };
            return fail(range, format!("there is no function {}", quote(name)), label);
        };
        if !count.contains(&args.len()) {
            let label = match (count.start(), count.end()) {
                (a, b) if a == b => format!("it takes {a}"),
                (a, b) => format!("it takes {a} to {b}"),
            };
            let message = format!("{} was given {} arguments", quote(name), args.len());
            return fail(whole, message, label);
        }
        fold(Expr::Call(*function, args), whole)
    }

    fn env(&mut self, args: Vec<Expr>, whole: Range<usize>) -> Result<Expr, ExprError> {
        let Some(Expr::Const(Value::Text(name))) = args.first() else {
            return fail(whole, "`env` needs the name of a variable as text", "write `env('HOME')`");
        };
        match ((self.names)(&format!("env.{name}")), args.into_iter().nth(1)) {
            (Meaning::Value(value), _) => Ok(Expr::Const(value)),
            (_, Some(otherwise)) => Ok(otherwise),
            (Meaning::Unknown(message, label), None) => fail(whole, message, label),
            (Meaning::Place(_), None) => fail(whole, "`env` is no variable", ""),
        }
    }

    fn close(&mut self, open: usize) -> Result<(), ExprError> {
        match self.accept(&[")"]) {
            Some(_) => Ok(()),
            None => fail(open..open + 1, "the bracket is not closed", "its `)` is missing"),
        }
    }
}

fn number(token: &str, range: Range<usize>) -> Result<Expr, ExprError> {
    if let Ok(n) = token.parse::<i64>() {
        return Ok(Expr::Const(Value::Int(n)));
    }
    match token.parse::<f64>() {
        // Such as 1.10 and what is too long keeps its digits.
        Ok(x) if x.is_finite() && is_json(token) && x.to_string() != token => {
            Ok(Expr::Const(Value::of_number(token)))
        }
        Ok(x) if x.is_finite() => Ok(Expr::Const(Value::Float(x))),
        _ => fail(range, format!("{} is not a number", quote(token)), "units are not known here"),
    }
}

fn matches(args: Vec<Expr>, whole: Range<usize>) -> Result<Expr, ExprError> {
    let mut args = args.into_iter();
    match (args.next(), args.next(), args.next()) {
        (Some(text), Some(Expr::Const(Value::Text(pattern))), None) => match pattern_of(&pattern) {
            Ok(pattern) => Ok(Expr::Matches(Box::new(text), pattern)),
            Err(reason) => fail(whole, "the pattern is not a regular expression", reason),
        },
        _ => fail(whole, "`matches` takes a value and a pattern as text", "write `matches(name, '^a')`"),
    }
}

/// A regular expression within bounds, or why not.
pub(crate) fn pattern_of(pattern: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(pattern)
        .size_limit(limits::MAX_REGEX_BYTES)
        .nest_limit(limits::MAX_EXPRESSION_DEPTH)
        .build()
        .map_err(|error| regex_reason(&error))
}

/// The last line of the error says what is wrong; those before draw a picture of it.
pub(crate) fn regex_reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it becomes too large".to_owned(),
        other => {
            let text = other.to_string();
            text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
        }
    }
}

/// Works out what is the same always, if it can be.
pub(crate) fn settle(expr: Expr) -> Expr {
    fold(expr.clone(), 0..0).unwrap_or(expr)
}

/// Works out what is the same always.
fn fold(expr: Expr, whole: Range<usize>) -> Result<Expr, ExprError> {
    if !expr.is_constant() || matches!(expr, Expr::Call(Function::Default | Function::Defined, _)) {
        return Ok(expr);
    }
    let random = Random::new(0, 0);
    let mut value = Value::Null;
    match expr.eval(Env { vars: &[], handed: &[], random: &random, wall: 0 }) {
        Ok(val) => value.set(val),
        Err(super::EvalError::Bad(reason)) => return fail(whole, reason, ""),
        Err(super::EvalError::Unset(_)) => return Ok(expr),
    }
    Ok(Expr::Const(value))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn eval_with(text: &str, seed: u64) -> Result<String, String> {
        let vars = [
            Value::Text("ada".into()),
            Value::Int(3),
            Value::Unset,
            Value::List(vec![Value::Int(1), Value::Int(2), Value::Int(3)]),
        ];
        let mut names = |name: &str| match name {
            "name" => Meaning::Place(0),
            "n" => Meaning::Place(1),
            "nothing" => Meaning::Place(2),
            "list" => Meaning::Place(3),
            "env.HOST" => Meaning::Value(Value::Text("h".into())),
            other => Meaning::Unknown(format!("no {other}"), String::new()),
        };
        let expr = expression(text, &mut names).map_err(|e| format!("{} {:?}", e.message, e.at))?;
        let env =
            Env { vars: &vars, handed: &[], random: &Random::new(seed, 0), wall: 1_700_000_000_123_000_000 };
        expr.eval(env).map(super::super::Val::into_text).map_err(|e| format!("{e:?}"))
    }

    pub(crate) fn eval(text: &str) -> Result<String, String> {
        eval_with(text, 1)
    }

    #[test]
    fn precedence_and_types() {
        for (text, expected) in [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("10 - 2 - 3", "5"),
            ("7 / 2", "3.5"),
            ("6 / 2", "3"),
            ("7 % 4", "3"),
            ("-n + 1", "-2"),
            ("1 + '2'", "3"),
            ("'a' + 1", "a1"),
            ("name == 'ada' and n > 2", "true"),
            ("name == 'ada' && !(n > 2)", "false"),
            ("not n == 4 or nothing", "true"),
            ("n >= 3", "true"),
            ("'10' > '9'", "true"),
            ("'b' > 'a'", "true"),
            ("null == null", "true"),
            ("true == 'true'", "true"),
            ("matches(name, '^a.a$')", "true"),
            ("env('HOST') + env('NONE', 'x')", "hx"),
            ("env.HOST", "h"),
            ("12345678901234567890", "12345678901234567890"),
            ("-12345678901234567890", "-12345678901234567890"),
            ("-9223372036854775808 + 1", "-9223372036854775807"),
            ("12345678901234567890 == '12345678901234567890'", "true"),
            ("12345678901234567890 == 12345678901234567000", "false"),
            ("12345678901234567891 > 12345678901234567890", "true"),
            ("'12345678901234567891' > '12345678901234567890'", "true"),
            ("9007199254740993 == 9007199254740992.0", "false"),
            ("'id-' + 12345678901234567890", "id-12345678901234567890"),
            ("1.10", "1.10"),
            ("1.10 + 1", "2.1"),
            ("1.10 == 1.1", "true"),
            ("1e3 + .5", "error"),
        ] {
            match expected {
                "error" => assert!(eval(text).is_err(), "{text}"),
                expected => assert_eq!(eval(text).as_deref(), Ok(expected), "{text}"),
            }
        }
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        for (text, expected) in [
            ("", "the expression ends too early 0..0"),
            ("1 +", "the expression ends too early 3..3"),
            ("n = 3", "`=` was not expected here 2..3"),
            ("a.b == 1", "no a.b 0..3"),
            ("(n", "the bracket is not closed 0..1"),
            ("'x", "the text has no end 0..2"),
            ("uid()", "there is no function `uid` 0..3"),
            ("uuid(1)", "`uuid` was given 1 arguments 0..7"),
            ("5ms", "`5ms` is not a number 0..3"),
            ("matches(n, '(')", "the pattern is not a regular expression 0..15"),
            ("sha256", "`sha256` is a function 0..6"),
            ("n ü", "`ü` was not expected here 2..4"),
        ] {
            assert_eq!(eval(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn run_time_faults_are_values() {
        assert_eq!(eval("nothing + 1"), Err("Unset(2)".into()));
        for bad in [
            "n / 0",
            "n % 0",
            "9223372036854775807 + n",
            "list < 3",
            "-name",
            "9223372036854775807 * n",
            "12345678901234567890 - n",
            "'12345678901234567890' * n",
        ] {
            assert!(eval(bad).is_err_and(|e| e.starts_with("Bad")), "{bad}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        for text in ["(".repeat(5000), "-".repeat(5000), "!".repeat(5000), "not ".repeat(1000)] {
            assert!(eval(&text).is_err());
        }
    }

    #[test]
    fn so_are_operators_in_a_row() {
        for op in ["+", "-", "*", " % ", " and ", "||"] {
            let row = |n: usize| format!("1{}", format!("{op} 1").repeat(n));
            assert!(eval(&row(limits::MAX_OPERATORS as usize)).is_ok(), "{op}");
            // Working these out overflowed the stack.
            assert!(eval(&row(4000 / (op.len() + 2))).is_err_and(|e| e.contains("operators")), "{op}");
        }
    }
}
