//! A plan with `search`: runs probe after probe, each a run of its own with connections of its own, until the engine's
//! [`Hunt`] knows enough. The result of the search is that of the probe at the load it found.

use crate::args::{OutputArgs, RunArgs};
use crate::error::Failure;
use crate::exit::{self, Rules};
use crate::job::Job;
use crate::observe::Observer;
use crate::output::{self, Human};
use crate::persona::Persona;
use crate::run::Finished;
use crate::{builtin, signals};
use engine::Control;
use engine::search::{Bounds, Finding, Hunt};
use engine::stats::RunResult;
use report::h2load::Format;
use report::search::{Probe, Searched};
use report::summary;
use report::thresholds::{self, Outcome};
use scenario::Plan;
use scenario::search::Search;
use std::time::Duration;

/// Outputs that are of one run cannot be of thirty.
pub fn refuse(args: &OutputArgs) -> Result<(), Failure> {
    let given = [
        ("--timeline", args.timeline.is_some()),
        ("--json-timeline", args.json_timeline),
        ("--log-file", args.log_file.is_some()),
        ("--output-file", args.output_file.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((what, _)) => Err(Failure::new(format!(
            "{what} is of one run, and a search makes many: run a plan with phases at the load it finds"
        ))),
    }
}

/// Searches, and tells of each probe as it ends.
pub fn run(mut job: Job, args: &RunArgs, human: Human, format: Format) -> Result<Finished, Failure> {
    let _server = builtin::start(&mut job.plan, &mut job.options)?;
    let control = signals::control()?;
    let wanted = job.plan.search.clone().expect("asked before");
    let mut hunt = Hunt::new(Bounds {
        from: wanted.from,
        to: wanted.to,
        precision: wanted.precision,
        confirm: wanted.confirm,
        whole: wanted.is_whole(),
    });
    let mut probes = Vec::new();
    let mut runs = Runs::default();
    while let Some(load) = hunt.next() {
        let made = probe(&job, &args.output, (human, format), &control, load);
        let interrupted = control.interrupts() > 0;
        let probe = match made {
            Ok(run) => {
                let probe = Probe::of(load, &wanted, &run.result, run.outcomes.clone());
                // A part of a probe is shown only where there is nothing else.
                if !interrupted || probes.is_empty() {
                    runs.keep(run, probe.finding);
                }
                probe
            }
            // The first probe shows whether there is a server at all.
            Err(failure) if probes.is_empty() => return Err(failure),
            Err(_) if interrupted => break,
            Err(failure) => Probe::refused(load, failure.message().to_owned()),
        };
        if interrupted {
            break;
        }
        hunt.tell(load, probe.finding);
        if !args.output.quiet && !args.output.no_human {
            output::stderr(&format!("{}\n", summary::probe_line(probes.len() + 1, &wanted, &probe)));
        }
        probes.push(probe);
        settle(&wanted, &control, hunt.next().is_some());
        if control.interrupts() > 0 {
            break;
        }
    }
    // What was over by itself was not interrupted.
    let interrupted = control.interrupts() > 0 && hunt.next().is_some();
    let searched = Searched { probes, found: hunt.found(), interrupted };
    let run = runs.of(searched.found.highest).expect("the first probe has a result");
    let rules =
        Rules { persona: Persona::Loadgen, require_valid: args.output.require_valid, smoke: args.smoke };
    let code = exit::code(&run.plan, &run.result, &run.outcomes, rules);
    let code = exit::of_search(code, interrupted, searched.holds(&wanted));
    let (plan, result, outcomes) = (run.plan, run.result, run.outcomes);
    Ok(Finished { job, search: Some((plan, searched)), result, outcomes, format, code })
}

/// A probe that was run.
struct Run {
    load: f64,
    plan: Plan,
    result: RunResult,
    outcomes: Vec<Outcome>,
}

fn probe(
    job: &Job,
    args: &OutputArgs,
    (human, format): (Human, Format),
    control: &Control,
    load: f64,
) -> Result<Run, Failure> {
    let plan = job.plan.probe(load).expect("asked before");
    let mut job = Job { plan, ..job.clone() };
    let mut observer = Observer::new(&job, args, human, format);
    job.options.live = observer.is_live();
    let result = engine::run(&job.plan, &job.options, control, &mut |event| observer.event(&event));
    let result = result.map_err(|error| {
        observer.clear();
        Failure::of_run(&error, control)
    })?;
    observer.end(&result);
    let outcomes = thresholds::judge(&job.plan, &result);
    Ok(Run { load, plan: job.plan, result, outcomes })
}

/// Leaves the server alone, unless there is no probe to come.
fn settle(search: &Search, control: &Control, more: bool) {
    const NAP: Duration = Duration::from_millis(20);
    let mut left = if more { search.settle } else { Duration::ZERO };
    while !left.is_zero() && control.interrupts() == 0 {
        std::thread::sleep(NAP.min(left));
        left = left.saturating_sub(NAP);
    }
}

/// The runs that the result may be of: the last that held at each load, and the last of all.
#[derive(Default)]
struct Runs {
    held: Vec<Run>,
    last: Option<Run>,
}

impl Runs {
    /// Of loads that held, the highest few: a load that does not stand up to confirmation is followed by one below.
    const KEPT: usize = 8;

    fn keep(&mut self, run: Run, finding: Finding) {
        if finding != Finding::Held {
            self.last = Some(run);
            return;
        }
        self.held.retain(|other| other.load != run.load);
        self.held.push(run);
        self.held.sort_by(|a, b| a.load.total_cmp(&b.load));
        if self.held.len() > Runs::KEPT {
            self.held.remove(0);
        }
    }

    fn of(mut self, load: Option<f64>) -> Option<Run> {
        match self.held.iter().position(|run| Some(run.load) == load) {
            Some(at) => Some(self.held.swap_remove(at)),
            None => self.last.or_else(|| self.held.pop()),
        }
    }
}
