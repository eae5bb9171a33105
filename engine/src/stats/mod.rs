//! What is counted and timed. The words are those of the glossary: see each type.
//!
//! A core fills a recorder without sharing anything; [`Figures`] are what comes out, and one
//! `merge` serves cores, phases and, later, agents. Percentiles only ever come from merged histograms.

mod books;
mod clocks;
pub(crate) mod cost;
mod counts;
mod encoding;
pub(crate) mod environment;
pub(crate) mod interval;
mod quic;
pub(crate) mod recorder;
mod result;
mod series;
mod timeline;

pub use books::Books;
pub(crate) use clocks::Times;
pub use encoding::KeepEncoder;
pub use interval::Part;
pub use quic::QuicFigures;
pub use result::{
    AltSvcFigures, Batching, Bytes, CheckFigures, ClientFigures, ConnectionFigures, Cost, Environment,
    ErrorCount, Figures, HandshakeFigures, OnceFigures, Passed, Pauses, PhaseFigures, RunResult,
    ScriptResult, StepFigures, TlsFacts, Verdict, VerdictLevel,
};
pub use series::{Packed, Series};
pub use timeline::{Row, Timeline};
