//! What is to be run: a YAML plan or a set of flags becomes a [`Plan`], and a `Plan` in memory is a legal plan.
//!
//! Pure: no I/O but reading the files a plan names (in `parse`), no clock, no threads. `cli` builds plans, `engine` runs
//! them, `report` shows what they said.
#![forbid(unsafe_code)]

pub mod plan;

pub use plan::Plan;
