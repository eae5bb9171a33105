//! Runs a plan: one pinned thread per core, sharing nothing, each with its own connections, virtual users and statistics.
//!
//! The only crate that does I/O on the data plane. `cli` (and later the agent) hands it a checked
//! [`scenario::Plan`] and [`Options`], watches [`Snapshot`]s go by and gets a [`stats::RunResult`].

mod addresses;
mod alt_svc;
mod batch;
mod budget;
mod certificate;
mod clock;
mod core;
mod descriptors;
mod gate;
mod io;
mod limits;
mod merge;
mod once;
mod options;
mod pacing;
mod prepare;
mod recycle;
mod rendezvous;
mod request_log;
mod run;
pub mod search;
pub mod spans;
pub mod stats;
mod stock;
mod timers;
mod tls;
mod trace;
mod verdict;

pub use descriptors::FileLimit;
pub use options::{Io, Options, Pacing, Rows};
pub use recycle::Recycler;
pub use request_log::{Ended, RequestLog};
pub use run::{Control, Event, StartError, run};
pub use stock::Snapshot;
pub use tls::{check_names, knows_cipher, knows_group};
pub use trace::Exchange;
