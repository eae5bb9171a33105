//! A run from its arguments to its exit code.

use crate::args::{CompatOutput, MachineFormat, OutputArgs, RunArgs};
use crate::error::Failure;
use crate::exit::{self, Rules};
use crate::footprint;
use crate::job::{Front, Job};
use crate::observe::Observer;
use crate::output::{self, Human, Machine};
use crate::persona::Persona;
use crate::request_log::Requests;
use crate::timeline::{self, Timeline};
use crate::{builtin, hint, places, search, signals};
use engine::Event;
use engine::stats::{RunResult, VerdictLevel};
use report::h2load::{Exact, Format, Mode, Style};
use report::search::Searched;
use report::thresholds::{self, Outcome};
use report::watch::Watch;
use report::{flat, hlog, json, junit, summary};
use scenario::Plan;

/// Runs and reports. A run that fails leaves no empty file where there was none.
pub fn run(args: &RunArgs, persona: Persona) -> Result<u8, Failure> {
    let missing = places::missing(&args.output, std::env::var_os("SSLKEYLOGFILE"));
    let code = report(args, persona);
    if code.is_err() {
        places::remove_empty(&missing);
    }
    code
}

fn report(args: &RunArgs, persona: Persona) -> Result<u8, Failure> {
    let mut job = Job::from_args(args)?;
    footprint::let_go();
    if job.plan.search.is_some() {
        search::refuse(&args.output)?;
    }
    let format = format(&args.output)?;
    job.options.unopened_is_result = persona == Persona::H2load;
    places::refuse_shared(args, &job.plan.files, std::env::var_os("SSLKEYLOGFILE"))?;
    let machines = Machine::all(&args.output)?;
    let mut timeline = Timeline::of(&args.output)?;
    job.options.rows = timeline::rows(&args.output, &machines)?;
    job.options.interval = args.output.interval.unwrap_or(job.options.interval);
    let requests = Requests::of(&args.output)?;
    job.options.request_log = requests.as_ref().map(Requests::log);
    job.options.trace = args.output.trace.map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX));
    let stdout_taken = machines.iter().any(Machine::is_stdout)
        || timeline.as_ref().is_some_and(Timeline::is_stdout)
        || requests.as_ref().is_some_and(Requests::is_stdout);
    let human = Human::of(&args.output, stdout_taken);
    if !args.output.quiet && !args.output.no_human {
        job.notes.iter().for_each(|note| output::stderr(&format!("loadgen: note: {note}\n")));
    }
    if job.plan.search.is_some() {
        let finished = search::run(job, args, human, format)?;
        finished.tell_people(&args.output, human, None);
        machines.into_iter().try_for_each(|m| finished.tell_machine(m, &args.output))?;
        return Ok(finished.code);
    }
    // A moment of load proves nothing, so it ends nothing either.
    let mut watch = Watch::new(&job.plan).filter(|_| !args.smoke);
    let result = perform(&mut job, &args.output, (human, format), (timeline.as_mut(), watch.as_mut()))?;
    let mut outcomes = thresholds::judge(&job.plan, &result);
    // A run that was over by itself was not ended.
    if let Some((index, abort)) = watch.and_then(|w| w.aborted()).filter(|_| result.interrupted) {
        thresholds::mark(&mut outcomes, index, abort);
    }
    footprint::let_go();
    let rules = Rules { persona, require_valid: args.output.require_valid, smoke: args.smoke };
    let code = exit::code(&job.plan, &result, &outcomes, rules);
    let finished = Finished { code, result, outcomes, job, search: None, format };
    match &requests {
        Some(requests) => requests.with_exact(|exact| finished.tell_people(&args.output, human, Some(exact))),
        None => finished.tell_people(&args.output, human, None),
    }
    for machine in machines {
        finished.tell_machine(machine, &args.output)?;
    }
    timeline.map_or(Ok(()), Timeline::end)?;
    requests.map_or(Ok(()), |r| r.end(&finished.result, finished.job.mode()))?;
    Ok(finished.code)
}

fn perform(
    job: &mut Job,
    args: &OutputArgs,
    (human, format): (Human, Format),
    (mut timeline, mut watch): (Option<&mut Timeline>, Option<&mut Watch>),
) -> Result<RunResult, Failure> {
    let _server = builtin::start(&mut job.plan, &mut job.options)?;
    let control = signals::control()?;
    let mut observer = Observer::new(job, args, human, format);
    job.options.live = observer.is_live();
    job.options.before_load = Some(footprint::let_go);
    observer.begin();
    let result = engine::run(&job.plan, &job.options, &control, &mut |event| {
        if matches!(event, Event::CoreStarting { core: 0, .. } | Event::Ended) {
            footprint::let_go();
        }
        observer.event(&event);
        let Event::Snapshot(snapshot) = &event else { return };
        if let Some(timeline) = &mut timeline {
            timeline.show(snapshot, &job.plan);
        }
        // Who interrupts needs no other reason to stop.
        if let Some(watch) = watch.as_mut().filter(|_| control.interrupts() == 0)
            && let Some((index, abort)) = watch.see(snapshot)
        {
            control.interrupt();
            observer.aborted(&job.plan.thresholds[index], abort);
        }
    });
    footprint::let_go();
    match result {
        Ok(result) => {
            observer.end(&result);
            Ok(result)
        }
        Err(error) => {
            observer.clear();
            Err(Failure::of_run(&error, &control))
        }
    }
}

/// By the flag, else by the environment: under h2load's name there is no such flag.
fn format(args: &OutputArgs) -> Result<Format, Failure> {
    const VARIABLE: &str = "LOADGEN_COMPAT_OUTPUT";
    let by_environment = || match std::env::var(VARIABLE) {
        Ok(name) if !name.is_empty() => Format::parse(&name).ok_or_else(|| {
            Failure::new(format!("{VARIABLE}: {name} is no format of h2load's text: classic, 1.69 or 1.70"))
        }),
        _ => Ok(Format::default()),
    };
    Ok(match args.compat_output {
        Some(CompatOutput::Classic) => Format::Classic,
        Some(CompatOutput::V1_69) => Format::V1_69,
        Some(CompatOutput::V1_70) => Format::V1_70,
        None => by_environment()?,
    })
}

/// A run that is over, or a search and the run at the load it found.
pub struct Finished {
    /// What was asked for.
    pub job: Job,
    /// The probe that was run, and the search it was made for.
    pub search: Option<(Plan, Searched)>,
    /// What came of it.
    pub result: RunResult,
    /// How its thresholds came out.
    pub outcomes: Vec<Outcome>,
    /// Which h2load.
    pub format: Format,
    /// The exit code.
    pub code: u8,
}

impl Finished {
    /// What the result is of.
    fn plan(&self) -> &Plan {
        self.search.as_ref().map_or(&self.job.plan, |(probe, _)| probe)
    }

    fn searched(&self) -> Option<&Searched> {
        self.search.as_ref().map(|(_, searched)| searched)
    }

    fn tell_people(&self, args: &OutputArgs, human: Human, exact: Option<&Exact>) {
        if human == Human::Nobody {
            return;
        }
        let connections = &self.result.connections;
        match self.job.front {
            Front::Plan => {
                if let Some((search, searched)) = self.job.plan.search.as_ref().zip(self.searched()) {
                    human.say(&summary::search(search, searched, human.takes_colour()));
                }
                human.say(&self.summary(human));
            }
            Front::Flags => {
                let style = Style { format: self.format, histogram: args.histogram, exact };
                human.say(&report::h2load::render(&self.result, self.job.mode(), style));
                if let (0, Some(cause)) = (connections.opened, connections.errors.first()) {
                    output::stderr(&format!("loadgen: client could not connect to host: {}\n", cause.detail));
                }
                if let Some(hint) = hint::of(&self.job.plan, &self.result).filter(|_| !args.quiet) {
                    output::stderr(&format!("loadgen: hint: {hint}\n"));
                }
                if args.verbose {
                    output::stderr(&format!("\n{}", self.summary(Human::Stderr)));
                } else if self.result.verdict.level != VerdictLevel::Valid && !args.quiet {
                    output::stderr(&format!("loadgen: {}\n", summary::verdict_line(&self.result)));
                }
            }
        }
    }

    fn summary(&self, human: Human) -> String {
        summary::render(
            &self.result,
            &summary::Context {
                plan: self.plan(),
                outcomes: &self.outcomes,
                bodies_discarded: self.job.discards_bodies(),
                colour: human.takes_colour(),
            },
        )
    }

    fn tell_machine(&self, machine: Machine, args: &OutputArgs) -> Result<(), Failure> {
        match machine.format {
            MachineFormat::Json => {
                let context = json::Context {
                    plan: &self.job.plan,
                    outcomes: &self.outcomes,
                    exit_code: self.code,
                    bodies_discarded: self.job.discards_bodies(),
                    timeline: args.json_timeline,
                    search: self.searched(),
                };
                machine.write(&json::render(&self.result, &context, args.pretty), "")
            }
            MachineFormat::Jsonl => machine.write(&flat::jsonl(&self.result, &self.flat()), ""),
            MachineFormat::Csv => machine.write(&flat::csv(&self.result, &self.flat()), &flat::csv_header()),
            MachineFormat::Junit => {
                let search = self.job.plan.search.as_ref().zip(self.searched());
                machine.write(&junit::render(&self.result, self.plan(), &self.outcomes, search), "")
            }
            MachineFormat::Hlog => machine.write(&hlog::render(&self.result, self.plan()), ""),
        }
    }

    fn flat(&self) -> flat::Context<'_> {
        let plan = self.plan();
        flat::Context {
            url: &self.job.url,
            clients: plan.connections.max.get(),
            threads: self.job.options.threads.get(),
            max_streams: plan.connections.streams.get(),
            requests_target: match self.job.mode() {
                Mode::Count(n) => Some(n),
                Mode::Timed { .. } => None,
            },
            rps_target: self.job.rate(),
        }
    }
}
