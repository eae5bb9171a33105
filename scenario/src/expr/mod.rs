//! The small expression language: conditions of `if` and `while`, and what stands in `{{ }}`.
//!
//! An expression is read once ([`parse::expression`]), with its names turned into places, and worked out as often as needed
//! without looking anything up. It has no loops and no functions of its own, so it always ends. Pure: the wall clock and the
//! random numbers come in as [`Env`].

pub(crate) mod functions;
pub(crate) mod number;
pub(crate) mod parse;
pub(crate) mod random;
pub(crate) mod text;
pub(crate) mod value;

use functions::Function;
use random::Random;
use value::{Val, Value};

/// An expression, ready to be worked out.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Const(Value),
    /// A variable by its place.
    Var(u16),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    /// `matches(text, 'pattern')`, the pattern compiled.
    Matches(Box<Expr>, regex::Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Equal,
    Differs,
    Less,
    AtMost,
    More,
    AtLeast,
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
}

/// What an expression is worked out with.
#[derive(Clone, Copy)]
pub(crate) struct Env<'a> {
    pub vars: &'a [Value],
    /// What the setup of the run handed to all users.
    pub handed: &'a [Value],
    pub random: &'a Random,
    /// Nanoseconds since 1970.
    pub wall: u64,
}

/// Places from here on are those of values that the setup of the run handed to all users.
pub(crate) const HANDED: u16 = 0x8000;
const _: () = assert!(crate::limits::MAX_VARIABLES < HANDED as usize, "a variable's place is below");

impl<'a> Env<'a> {
    #[inline]
    pub fn value(self, place: u16) -> Option<&'a Value> {
        match place.checked_sub(HANDED) {
            None => self.vars.get(usize::from(place)),
            Some(at) => self.handed.get(usize::from(at)),
        }
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EvalError {
    /// The variable in this place holds nothing yet.
    Unset(u16),
    /// Anything else.
    Bad(&'static str),
}

impl Expr {
    /// Visits the places of its variables.
    pub fn each_place(&self, visit: &mut impl FnMut(u16)) {
        match self {
            Expr::Const(_) => {}
            Expr::Var(place) => visit(*place),
            Expr::Not(e) | Expr::Minus(e) | Expr::Matches(e, _) => e.each_place(visit),
            Expr::And(a, b) | Expr::Or(a, b) | Expr::Binary(_, a, b) => {
                a.each_place(visit);
                b.each_place(visit);
            }
            Expr::Call(_, args) => args.iter().for_each(|e| e.each_place(visit)),
        }
    }

    /// The password, if it is `base64(user + ':' + password)` as `Basic` sends it (RFC 7617).
    pub fn password(&self) -> Option<&Expr> {
        let Expr::Call(Function::Base64, args) = self else { return None };
        let [Expr::Binary(Binary::Plus, _, password)] = &args[..] else { return None };
        Some(password)
    }

    /// Whether it is worked out the same way each time, and nothing is drawn or counted for it.
    pub fn is_steady(&self) -> bool {
        match self {
            Expr::Const(_) | Expr::Var(_) => true,
            Expr::Binary(_, a, b) => a.is_steady() && b.is_steady(),
            Expr::Call(Function::Base64, args) => args.iter().all(Expr::is_steady),
            _ => false,
        }
    }

    /// The value.
    pub fn eval<'a>(&'a self, env: Env<'a>) -> Result<Val<'a>, EvalError> {
        Ok(match self {
            Expr::Const(value) => value.get().unwrap_or(Val::Null),
            Expr::Var(place) => env.value(*place).and_then(Value::get).ok_or(EvalError::Unset(*place))?,
            Expr::Not(e) => Val::Bool(!e.eval(env)?.truth()),
            Expr::Minus(e) => match e.eval(env)?.number() {
                Some(Val::Int(n)) => Val::Int(n.checked_neg().ok_or(OVERFLOW)?),
                Some(Val::Float(x)) => Val::Float(-x),
                Some(Val::Number(text)) => Val::of_number(&match text.strip_prefix('-') {
                    Some(positive) => positive.to_owned(),
                    None => format!("-{text}"),
                })
                .into_owned(),
                _ => return Err(NOT_NUMBER),
            },
            Expr::And(a, b) => Val::Bool(a.eval(env)?.truth() && b.eval(env)?.truth()),
            Expr::Or(a, b) => Val::Bool(a.eval(env)?.truth() || b.eval(env)?.truth()),
            Expr::Binary(op, a, b) => binary(*op, &a.eval(env)?, &b.eval(env)?)?,
            Expr::Matches(e, pattern) => Val::Bool(pattern.is_match(&e.eval(env)?.into_text())),
            Expr::Call(Function::Default, args) => match args[0].eval(env) {
                Ok(Val::Null) | Err(EvalError::Unset(_)) => args[1].eval(env)?,
                other => other?,
            },
            Expr::Call(Function::Defined, args) => match args[0].eval(env) {
                Err(EvalError::Unset(_)) => Val::Bool(false),
                other => Val::Bool(other.map(|_| true)?),
            },
            Expr::Call(function, args) => functions::call(*function, args, env)?,
        })
    }

    /// Whether it is true.
    pub fn holds(&self, env: Env<'_>) -> Result<bool, EvalError> {
        Ok(self.eval(env)?.truth())
    }

    /// Whether it gives the same value always: it can be worked out when the plan is read.
    pub fn is_constant(&self) -> bool {
        match self {
            Expr::Const(_) => true,
            Expr::Var(_) => false,
            Expr::Not(e) | Expr::Minus(e) | Expr::Matches(e, _) => e.is_constant(),
            Expr::And(a, b) | Expr::Or(a, b) | Expr::Binary(_, a, b) => a.is_constant() && b.is_constant(),
            Expr::Call(f, args) => f.is_pure() && args.iter().all(Expr::is_constant),
        }
    }
}

const NOT_NUMBER: EvalError = EvalError::Bad("a value that is not a number was calculated with");
const OVERFLOW: EvalError = EvalError::Bad("a number became too large");
const TOO_LARGE: EvalError = EvalError::Bad("a number has too many digits to be calculated with");

pub(crate) fn binary(op: Binary, a: &Val<'_>, b: &Val<'_>) -> Result<Val<'static>, EvalError> {
    use std::cmp::Ordering;
    let order = |test: fn(Ordering) -> bool| {
        let ordering = match (a, b) {
            (Val::Text(x), Val::Text(y)) if a.number().is_none() || b.number().is_none() => Some(x.cmp(y)),
            _ => a.compare(b),
        };
        ordering.map(|o| Val::Bool(test(o))).ok_or(EvalError::Bad("two values cannot be compared by size"))
    };
    match op {
        Binary::Equal => Ok(Val::Bool(a.equals(b))),
        Binary::Differs => Ok(Val::Bool(!a.equals(b))),
        Binary::Less => order(Ordering::is_lt),
        Binary::AtMost => order(Ordering::is_le),
        Binary::More => order(Ordering::is_gt),
        Binary::AtLeast => order(Ordering::is_ge),
        Binary::Plus if a.number().is_none() || b.number().is_none() => {
            let mut text = a.clone().into_text();
            text.push_str(&b.clone().into_text());
            functions::text(text)
        }
        Binary::Plus | Binary::Minus | Binary::Times | Binary::Over | Binary::Modulo => calculate(op, a, b),
    }
}

fn calculate(op: Binary, a: &Val<'_>, b: &Val<'_>) -> Result<Val<'static>, EvalError> {
    let (a, b) = (a.number().ok_or(NOT_NUMBER)?, b.number().ok_or(NOT_NUMBER)?);
    if let (Val::Int(a), Val::Int(b)) = (&a, &b) {
        if matches!(op, Binary::Over | Binary::Modulo) && *b == 0 {
            return Err(EvalError::Bad("a division by 0"));
        }
        let whole = match op {
            Binary::Plus => a.checked_add(*b),
            Binary::Minus => a.checked_sub(*b),
            Binary::Times => a.checked_mul(*b),
            Binary::Modulo => a.checked_rem(*b),
            _ if a % b == 0 => a.checked_div(*b),
            _ => return Ok(Val::Float(*a as f64 / *b as f64)),
        };
        return whole.map(Val::Int).ok_or(OVERFLOW);
    }
    if a.is_large() || b.is_large() {
        return Err(TOO_LARGE);
    }
    let (a, b) = (a.float().ok_or(NOT_NUMBER)?, b.float().ok_or(NOT_NUMBER)?);
    let x = match op {
        Binary::Plus => a + b,
        Binary::Minus => a - b,
        Binary::Times => a * b,
        Binary::Modulo => a % b,
        _ => a / b,
    };
    x.is_finite()
        .then_some(Val::Float(x))
        .ok_or(EvalError::Bad("a division by 0, or a number became too large"))
}
