//! A scenario that is more than constant requests: compiled once into a [`Program`] that all cores share, and walked by a
//! small interpreter, [`User`], that the engine asks what to do next and tells what came back.
//!
//! Pure: no I/O but reading pieces of large data files, no clock. `resolve` makes programs, `engine` runs them.

pub(crate) mod aws;
mod check;
mod cookies;
pub mod data;
mod decode;
mod extract;
mod html;
mod json;
mod json_schema;
mod json_text;
mod past;
mod user;

pub(crate) use check::{Check, CheckKind, Limit, Operand, Test};
pub(crate) use extract::{Extract, From, Pick};
pub(crate) use html::Selector;
pub(crate) use json::{Path, PathError};
pub(crate) use json_schema::{Schema, Wrong};
pub use user::{Action, Done, Flight, Hop, Reason, Tally, User, Verdict, World, tallies};

use crate::expr::Expr;
use crate::expr::random::Random;
use crate::expr::text::Phrase;
use crate::expr::value::Value;
use crate::outline::Outline;
pub use crate::outline::{Act, Part, Shown};
use crate::plan::{Secret, StatusSet};
use bytes::Bytes;
use proto::{Piece, Text, Want};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Places of the variables that every scenario has.
pub(crate) const BUILT_IN: &[&str] = &["user_number", "iteration", "status", "ok", "response_ms"];
pub(crate) const USER: usize = 0;
pub(crate) const ITERATION: usize = 1;
pub(crate) const STATUS: usize = 2;
pub(crate) const OK: usize = 3;
pub(crate) const RESPONSE_MS: usize = 4;

/// What the users of a scenario do.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub(crate) ops: Vec<Op>,
    /// The same for people.
    pub(crate) outline: Outline,
    /// By the scenario's step.
    pub(crate) exchanges: Vec<Exchange>,
    /// Names of variables by place.
    pub(crate) names: Vec<String>,
    /// Names of the values that the setup of the run hands to all users.
    pub(crate) handed: Vec<String>,
    /// What variables hold when an iteration (or a user) begins.
    pub(crate) initial: Vec<(u16, Source)>,
    /// The same for people.
    pub(crate) variables: Vec<(String, Shown)>,
    /// Which rows an iteration takes.
    pub(crate) rows: Vec<RowUse>,
    /// Loops, each with a counter.
    pub(crate) counters: u16,
    pub(crate) lifetime: Lifetime,
    pub(crate) on_error: OnError,
    /// What nobody is to see.
    pub(crate) hidden: Hidden,
}

/// What the setup of a run hands to all users; they cannot change it.
#[derive(Clone, Debug)]
pub struct Handed(pub(crate) Arc<[Value]>);

impl Default for Handed {
    fn default() -> Handed {
        Handed(Arc::new([]))
    }
}

/// How long variables and cookies live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// Each iteration begins anew.
    #[default]
    Iteration,
    /// As long as the user.
    User,
}

/// What a failed request does to the iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The next step follows, unless something that it needs is missing.
    #[default]
    Continue,
    /// The iteration ends as failed.
    EndIteration,
}

/// Columns of a data source and the places of the variables they go to.
#[derive(Clone, Debug)]
pub(crate) struct RowUse {
    pub source: usize,
    pub columns: Vec<(u16, u16)>,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Expr(Expr),
    Text(Phrase),
}

impl Source {
    /// The bytes of a text that is the same each time.
    fn as_constant(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Source::Text(phrase) => phrase.as_constant().map(Cow::Borrowed),
            Source::Expr(Expr::Const(value @ Value::Text(_))) => {
                value.get().map(|value| Cow::Owned(value.into_text().into_bytes()))
            }
            Source::Expr(_) => None,
        }
    }
}

/// One thing that a user does.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Request(u32),
    /// Requests of these steps at once, at most so many at a time.
    Parallel {
        first: u32,
        count: u32,
        most: u16,
    },
    /// Waits for other users; in vain, if it `must`, fails the iteration.
    Meet {
        at: u16,
        timeout: Duration,
        must: bool,
    },
    Think(Think),
    Set(u16, Source),
    Log(Phrase),
    Fail(Phrase),
    Jump(usize),
    /// Jumps unless the condition holds.
    Unless(Expr, usize),
    /// Begins a loop of so many rounds, or jumps over it; less than none fail the iteration.
    Repeat {
        counter: u16,
        times: Expr,
        /// The same for people.
        written: Box<str>,
        exit: usize,
    },
    /// Goes back while rounds are left.
    Again {
        counter: u16,
        to: usize,
    },
    /// Begins a loop with a bound on its rounds.
    Rounds {
        counter: u16,
        most: u32,
    },
    /// Counts a round; too many fail the iteration.
    Round {
        counter: u16,
    },
    /// Jumps to one of these; weights added up.
    Choose(Vec<(u64, usize)>),
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Think {
    Fixed(Duration),
    Uniform(Duration, Duration),
    Normal { mean: Duration, deviation: Duration },
    Exponential { mean: Duration },
}

impl fmt::Display for Think {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = crate::duration::show_duration;
        match *self {
            Think::Fixed(time) => f.write_str(&show(time)),
            Think::Uniform(low, high) => write!(f, "{}..{}", show(low), show(high)),
            Think::Normal { mean, deviation } => {
                write!(f, "{{ normal: {}, deviation: {} }}", show(mean), show(deviation))
            }
            Think::Exponential { mean } => write!(f, "{{ exponential: {} }}", show(mean)),
        }
    }
}

impl Think {
    fn draw(self, random: &Random) -> Duration {
        let spread = |mean: Duration, x: f64| {
            let seconds = mean.as_secs_f64() * x;
            Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(crate::limits::MAX_DURATION)
        };
        match self {
            Think::Fixed(time) => time,
            Think::Uniform(low, high) => low + spread(high - low, random.unit()),
            Think::Normal { mean, deviation } => {
                let seconds = mean.as_secs_f64() + deviation.as_secs_f64() * random.normal();
                Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(mean)
            }
            Think::Exponential { mean } => spread(mean, random.exponential()),
        }
    }
}

/// What becomes of a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// It is an answer like any other.
    #[default]
    Manual,
    /// It is followed, at most so often.
    Follow(u8),
    /// It fails the iteration.
    Error,
}

/// The values of a request's slots, one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Rendered<'a> {
    pub values: &'a [u8],
    /// Where each ends.
    pub ends: &'a [u32],
}

impl Rendered<'_> {
    /// A text of the template as it is sent.
    pub fn write(self, text: &Text, out: &mut Vec<u8>) {
        for piece in text.pieces() {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Slot(slot) => {
                    let slot = usize::from(*slot);
                    let from = slot.checked_sub(1).map_or(0, |before| self.ends[before]);
                    out.extend_from_slice(&self.values[from as usize..self.ends[slot] as usize]);
                }
            }
        }
    }
}

/// What is sent as the body.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Fixed(Bytes),
    Rendered(Phrase),
}

/// One request of a program and what is made of its response. The step's `proto` template has the same slots.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub(crate) name: String,
    /// Index into the plan's targets.
    pub(crate) target: usize,
    /// What goes into the slots of the step's template.
    pub(crate) values: Vec<Phrase>,
    /// The template's: what cookies and signatures are for.
    pub(crate) path: Text,
    /// Works out the last three of the values.
    pub(crate) signer: Option<Box<aws::Signer>>,
    pub(crate) payload: Payload,
    pub(crate) cookies: bool,
    pub(crate) redirects: Redirects,
    pub(crate) expected: StatusSet,
    pub(crate) checks: Vec<Check>,
    /// Index of the first of them among those of the plan.
    pub(crate) first_check: u32,
    pub(crate) extracts: Vec<Extract>,
    pub(crate) body_limit: usize,
    pub(crate) want: Want,
    /// Fields of the request whose values are secrets, by name.
    pub(crate) credentials: Vec<(String, Text)>,
    /// Likewise values of parameters of its query.
    pub(crate) parameters: Vec<Text>,
}

/// Values that are not shown, whoever sends them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden {
    /// Places of variables, in order.
    pub places: Vec<u16>,
    /// Credentials that are the same in all requests, with the names of their fields.
    pub fields: Vec<(String, Secret)>,
    /// What users and passwords are sent as.
    pub pairs: Vec<Expr>,
}

impl Hidden {
    /// Whether the variable in this place is not shown.
    pub fn has(&self, place: u16) -> bool {
        self.places.binary_search(&place).is_ok()
    }
}

impl Exchange {
    /// The credentials of its requests that are known before the run, with the names of their fields.
    pub(crate) fn known_credentials(&self) -> impl Iterator<Item = (String, Secret)> {
        self.credentials.iter().filter_map(|(name, value)| {
            let bytes = value.as_literal()?;
            Some((name.clone(), Secret::new(&*String::from_utf8_lossy(&bytes))))
        })
    }

    /// What its credentials are made of.
    pub(crate) fn made_credentials(&self) -> impl Iterator<Item = &Expr> {
        let secret = self.credentials.iter().map(|(_, text)| text).chain(&self.parameters);
        let slots = secret.flat_map(|text| text.pieces());
        let made_of = slots.filter_map(|piece| match piece {
            Piece::Slot(slot) => self.values.get(usize::from(*slot)),
            Piece::Literal(_) => None,
        });
        made_of.chain(self.signer.as_ref().map(|signer| &signer.secret_key)).flat_map(Phrase::expressions)
    }

    /// What must be looked at in the response.
    pub fn want(&self) -> Want {
        self.want
    }
    /// Whether requests may carry cookies.
    pub fn cookies(&self) -> bool {
        self.cookies
    }
    /// Whether redirects are followed.
    pub fn follows(&self) -> bool {
        matches!(self.redirects, Redirects::Follow(_))
    }
    /// The slot of the value of `cookie`.
    pub fn cookie_slot(&self) -> u16 {
        self.values.len() as u16
    }
    /// The slot of the path, without its first `/`, that a redirect leads to.
    pub fn location_slot(&self) -> u16 {
        self.values.len() as u16 + 1
    }
    /// Names of its checks.
    pub fn check_names(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().map(|c| c.name.as_str())
    }
    /// The template in a slot, as it is written in the plan.
    fn written(&self, slot: u16) -> String {
        self.values.get(usize::from(slot)).map(Phrase::written).unwrap_or_default()
    }
    /// The known bytes and the templates of a body that is worked out anew for each request.
    pub(crate) fn body_of_templates(&self) -> Option<&Phrase> {
        match &self.payload {
            Payload::Fixed(_) => None,
            Payload::Rendered(phrase) => Some(phrase),
        }
    }
    /// How long its body is, where that is the same for all requests.
    pub fn body_len(&self) -> Option<usize> {
        match &self.payload {
            Payload::Fixed(bytes) => Some(bytes.len()),
            Payload::Rendered(_) => None,
        }
    }
    /// Whether it has a body whose length is not known before.
    pub fn has_body(&self) -> bool {
        match &self.payload {
            Payload::Fixed(bytes) => !bytes.is_empty(),
            Payload::Rendered(_) => true,
        }
    }
}

/// A text of a step's template with the templates of its exchange as they are written in the plan. A step that is sent without
/// interpretation has no exchange, and no templates.
pub fn written(text: &Text, exchange: Option<&Exchange>) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Literal(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Piece::Slot(slot) => exchange.map(|exchange| exchange.written(*slot)).unwrap_or_default(),
    };
    text.pieces().iter().map(piece).collect()
}

impl OnError {
    /// As the plan writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            OnError::Continue => "continue",
            OnError::EndIteration => "end_iteration",
        }
    }
}

impl Lifetime {
    /// As the plan writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Lifetime::Iteration => "per_iteration",
            Lifetime::User => "per_user",
        }
    }
}

impl Program {
    /// What a failed request does.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }

    /// How long variables and cookies live.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// What variables hold at first, by their names, as the plan writes it.
    pub fn variables(&self) -> &[(String, Shown)] {
        &self.variables
    }

    /// Indices of the sources of data that an iteration takes a row of.
    pub fn sources(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|row| row.source)
    }

    /// What an iteration does, nearly as the plan writes it.
    pub fn acts(&self) -> Vec<Act> {
        self.outline.acts()
    }

    /// The places of its variables that are not shown.
    pub(crate) fn hidden_places(&self) -> &[u16] {
        &self.hidden.places
    }

    /// What the plan writes into variables that are not shown, and keys that sign.
    pub(crate) fn hidden_constants(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let set = self.ops.iter().filter_map(|op| match op {
            Op::Set(place, source) => Some((place, source)),
            _ => None,
        });
        let written = self.initial.iter().map(|(place, source)| (place, source)).chain(set);
        let keys = self.exchanges.iter().flat_map(|exchange| &exchange.signer);
        let keys = keys.filter_map(|signer| signer.secret_key.as_constant().map(Cow::Borrowed));
        written
            .filter(|(place, _)| self.hidden.has(**place))
            .filter_map(|(_, source)| source.as_constant())
            .chain(keys)
    }

    /// Requests that a user has under way at a time, at most.
    pub fn width(&self) -> u32 {
        let width = |op: &Op| match op {
            Op::Parallel { count, most, .. } => (*count).min(u32::from(*most)),
            _ => 1,
        };
        self.ops.iter().map(width).max().unwrap_or(1)
    }

    /// Whether a user has one request under way at any time: it never pauses, waits for others, runs out of rows, fails on
    /// purpose or makes several at once.
    pub fn always_in_one_request(&self) -> bool {
        let other =
            |op: &Op| matches!(op, Op::Think(_) | Op::Meet { .. } | Op::Fail(_) | Op::Parallel { .. });
        self.rows.is_empty() && !self.ops.iter().any(other)
    }

    /// What is made of the responses, by the scenario's step.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }
}
