//! What is to be run: a YAML plan or a set of flags becomes a [`Plan`], and a `Plan` in memory is a legal plan.
//!
//! Pure: no I/O but reading the files a plan names, no clock, no threads. `cli` builds plans, `engine` runs
//! them, `report` shows what they said.
//!
//! A scenario that does more than send constant requests becomes a `program`, with a small interpreter for the engine to ask.
//! `expr` has its templates and conditions.
//!
//! The way of a plan: `load` takes the text, `parse` makes a tree of it in which every value knows its place,
//! `overrides` changes single values, `include` adds the fragments of other files, `resolve` turns the tree into a [`Plan`] or collects what is wrong as [`Errors`].
//! `place` holds the words of the language, `limits` its bounds. `describe` goes back from a plan to text; what a
//! program cannot tell of itself is in its `outline`.
#![forbid(unsafe_code)]

pub mod limits;
pub mod network;
pub mod plan;
pub mod program;
pub mod search;
pub mod secret;
pub mod tags;

mod describe;
mod duration;
mod error;
mod expr;
mod include;
mod load;
mod outline;
mod overrides;
mod parse;
mod place;
mod rate;
mod reader;
mod replay;
mod resolve;
mod schema;
mod scope;
mod source;
mod target;
mod templates;
mod threshold;
mod tree;

pub use describe::describe;
pub use duration::{DurationError, parse_duration, show_duration};
pub use error::{Diagnostic, Errors};
pub use load::{load, parse};
pub use overrides::Overrides;
pub use plan::Plan;
pub use rate::{RateError, parse_rate, show_rate};
pub use replay::{ReplayError, script_times};
pub use schema::{ID as SCHEMA_ID, schema};
pub use source::Excerpt;
pub use target::{UrlError, UrlErrorKind};
