//! Results in words: a [`engine::stats::RunResult`] as h2load's text, a summary for people, JSON, and the flat rows of
//! loadgen-rs, HdrHistogram logs, JUnit; and the judgement of thresholds.
//!
//! Pure: text comes out, nothing is printed and nothing is read. `cli` decides what goes where.
#![forbid(unsafe_code)]

pub mod flat;
pub mod h2load;
pub mod hlog;
pub mod json;
pub mod junit;
pub mod search;
pub mod summary;
pub mod thresholds;
pub mod timeline;
pub mod watch;

mod counts;
mod tags;
mod time;
mod words;
