//! What is to be done, decided: a plan, how to run it, and which front end asked for it.

use crate::args::RunArgs;
use crate::error::Failure;
use crate::{file, h2load, http2, refused};
use engine::Options;
use proto::Scheme;
use report::h2load::{Lots, Mode};
use scenario::Plan;
use scenario::plan::{Arrivals, Curve, Load, Protocol, Stop};
use std::time::Duration;

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// What is run.
    pub plan: Plan,
    /// How.
    pub options: Options,
    /// Who asked.
    pub front: Front,
    /// The first URL, or the plan's file.
    pub url: String,
    /// Connections begin so many at a time.
    pub lots: Option<Lots>,
    /// What the user should know before it begins.
    pub notes: Vec<String>,
}

/// The front end: it decides what people get to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// Flags and URLs: h2load's text.
    Flags,
    /// A plan: the summary.
    Plan,
}

impl Job {
    /// From the arguments.
    pub fn from_args(args: &RunArgs) -> Result<Job, Failure> {
        refused::refuse(args)?;
        let mut job = match args.file.as_deref() {
            Some(path) if http2::frame_size_by_f(args).is_none() => file::job(path, args),
            _ => h2load::job(args),
        }?;
        job.plan.script.seed = args.seed.unwrap_or(job.plan.script.seed);
        job.options.qlog = args.protocol.qlog_file_base.clone();
        Ok(job)
    }

    /// The run in h2load's words. A plan of flags has one phase, or two if there is a warm-up.
    pub fn mode(&self) -> Mode {
        let last = self.plan.phases.last().expect("a plan has phases");
        match last.stop {
            Stop::After(main) => Mode::Timed { warm_up: self.warm_up(), main },
            Stop::Iterations(n) => Mode::Count(n.get()),
            Stop::IterationsPerUser(n) => Mode::Count(n.get() * u64::from(last.users.get())),
        }
    }

    /// The requests per second that flags asked for, over all clients. A plan's rates are of iterations, whatever number of
    /// requests each makes.
    pub fn rate(&self) -> Option<f64> {
        match &self.plan.phases.last()?.load {
            Load::Open(Arrivals { curve: Curve::Constant(rate), .. }) if self.front == Front::Flags => {
                Some(*rate)
            }
            _ => None,
        }
    }

    /// Whether response bodies are thrown away unseen: asked for, and possible. Only HTTP/1.1 in clear has bodies that
    /// nobody must look into.
    pub fn discards_bodies(&self) -> bool {
        let clear = self.plan.targets.iter().all(|t| t.scheme == Scheme::Http);
        self.options.discard_body && clear && matches!(self.plan.protocol, Protocol::H1 | Protocol::Auto)
    }

    fn warm_up(&self) -> Duration {
        let first = self.plan.phases.first().expect("a plan has phases");
        match first.stop {
            Stop::After(time) if !first.record => time,
            _ => Duration::ZERO,
        }
    }
}
