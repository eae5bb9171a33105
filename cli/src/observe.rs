//! What people see while a run goes on: h2load's lines in flag mode, a progress line on a terminal, warnings.

use crate::args::OutputArgs;
use crate::job::{Front, Job};
use crate::output::{self, Human};
use crate::progress::Progress;
use crate::trace;
use engine::Event;
use engine::stats::RunResult;
use report::h2load::{Format, Live};
use report::summary;
use report::thresholds::Abort;
use scenario::Plan;
use scenario::plan::Threshold;
use scenario::secret::Secrets;
use std::io::IsTerminal as _;

/// Shows events.
pub struct Observer {
    human: Human,
    live: Option<Live>,
    progress: Option<Progress>,
    /// And what the plan says.
    warnings: bool,
    /// Names the steps of what is traced, and what must not be shown of it.
    traced: Option<(Plan, Secrets)>,
}

impl Observer {
    /// Of one job.
    pub fn new(job: &Job, args: &OutputArgs, human: Human, format: Format) -> Observer {
        let quiet = args.quiet || args.no_human;
        let live = (job.front == Front::Flags && !quiet).then(|| Live::new(format, job.mode(), job.lots));
        let terminal = std::io::stderr().is_terminal();
        Observer {
            human,
            live,
            progress: (terminal && !quiet).then(|| Progress::new(&job.plan)),
            warnings: !quiet,
            traced: args.trace.map(|_| (job.plan.clone(), job.plan.secrets())),
        }
    }

    /// Whether the response times of each interval are looked at.
    pub fn is_live(&self) -> bool {
        self.progress.is_some()
    }

    /// Before the first event.
    pub fn begin(&mut self) {
        if let Some(live) = &self.live {
            self.human.say(live.begin());
        }
    }

    /// One event.
    pub fn event(&mut self, event: &Event) {
        let lines = self.live.as_mut().map_or(String::new(), |live| live.event(event));
        self.say(&lines);
        match event {
            Event::Warning(text) if self.warnings => {
                self.clear();
                output::stderr(&format!("loadgen: warning: {text}\n"));
            }
            Event::Traced { core, exchange } => {
                if let Some((plan, known)) = &self.traced {
                    let text = trace::render(*core, exchange, plan, known);
                    self.clear();
                    output::stderr(&text);
                }
            }
            Event::Said(text) if self.warnings => {
                self.clear();
                output::stderr(&format!("loadgen: log: {}\n", output::line(text)));
            }
            Event::Snapshot(snapshot) => {
                if let Some(progress) = &mut self.progress {
                    progress.show(snapshot);
                }
            }
            _ => {}
        }
    }

    /// A threshold has just failed, and the run is being stopped.
    pub fn aborted(&mut self, threshold: &Threshold, abort: Abort) {
        if self.warnings {
            self.clear();
            output::stderr(&format!("loadgen: {}\n", summary::abort_line(threshold, abort)));
        }
    }

    /// After the last event.
    pub fn end(&mut self, result: &RunResult) {
        let lines = self.live.as_mut().map_or(String::new(), |live| live.end(result));
        self.say(&lines);
        self.clear();
    }

    /// Takes the progress line away.
    pub fn clear(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
    }

    fn say(&mut self, lines: &str) {
        if !lines.is_empty() {
            self.clear();
            self.human.say(lines);
        }
    }
}
