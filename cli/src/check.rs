//! `loadgen check`: the plan as it would be run, and no traffic; with `--run` each scenario once, to look at.

use crate::args::CheckArgs;
use crate::error::Failure;
use crate::{builtin, exit, file, output, signals, trace};
use engine::stats::RunResult;
use engine::{Event, Options};
use scenario::Plan;
use scenario::plan::{Load, Phase, Stop};
use scenario::secret::Secrets;
use std::num::{NonZeroU32, NonZeroU64};

/// Shows the plan or says what is wrong with it.
pub fn check(args: &CheckArgs) -> Result<u8, Failure> {
    let plan = file::load(&args.plan, &args.set)?;
    let text = if args.json {
        format!("{:#}\n", report::json::plan::object(&plan))
    } else {
        scenario::describe(&plan)
    };
    output::stdout(&text);
    if args.run { try_all(plan) } else { Ok(exit::OK) }
}

/// Requests shown of a scenario: all of an iteration that a person would read.
const SHOWN: u32 = 1000;

/// One iteration of each scenario.
fn try_all(mut plan: Plan) -> Result<u8, Failure> {
    let mut options = Options { trace: SHOWN, ..Options::default() };
    let _server = builtin::start(&mut plan, &mut options)?;
    let control = signals::control()?;
    let (mut good, mut succeeded) = (true, 0);
    for scenario in 0..plan.scenarios.len() {
        let alone = alone(&plan, scenario);
        let name = &alone.scenarios[0].name;
        output::stdout(&format!("\n# scenario {name}, one iteration of one user\n\n"));
        let known = alone.secrets();
        let result = engine::run(&alone, &options, &control, &mut |event| show(&event, &alone, &known))
            .map_err(|error| Failure::of_run(&error, &control))?;
        output::stdout(&summary(&result));
        good &= is_good(&result);
        succeeded += result.totals.books.succeeded;
        if control.interrupts() > 0 {
            return Ok(exit::INTERRUPTED);
        }
    }
    Ok(match (good, succeeded) {
        (true, _) => exit::OK,
        (false, 0) => exit::NOTHING_SUCCEEDED,
        (false, _) => exit::THRESHOLD,
    })
}

/// The plan of one iteration of one scenario.
fn alone(plan: &Plan, scenario: usize) -> Plan {
    let mut plan = plan.clone();
    plan.scenarios = vec![plan.scenarios.swap_remove(scenario)];
    // The scenario is on its own.
    plan.tracks.clear();
    plan.phases = vec![Phase {
        name: "check".into(),
        users: NonZeroU32::MIN,
        load: Load::Closed,
        stop: Stop::IterationsPerUser(NonZeroU64::MIN),
        record: true,
        overrides: Default::default(),
    }];
    plan.thresholds.clear();
    plan.search = None;
    let width = plan.scenarios[0].program.as_ref().map_or(1, |program| program.width());
    plan.connections.max = plan.connections.max.min(NonZeroU32::new(width).unwrap_or(NonZeroU32::MIN));
    // One user waits for nobody.
    plan.script.meetings.iter_mut().for_each(|meeting| meeting.users = NonZeroU32::MIN);
    plan
}

fn show(event: &Event, plan: &Plan, known: &Secrets) {
    match event {
        Event::Traced { core, exchange } => output::stdout(&trace::render(*core, exchange, plan, known)),
        Event::Said(text) => output::stdout(&format!("* log: {}\n\n", output::line(text))),
        Event::Warning(text) => output::stderr(&format!("loadgen: warning: {text}\n")),
        _ => {}
    }
}

fn is_good(result: &RunResult) -> bool {
    let t = &result.totals;
    t.books.failed == 0 && t.checks_failed == 0 && t.iterations_failed == 0 && !result.interrupted
}

/// What became of the iteration, and why.
fn summary(result: &RunResult) -> String {
    let t = &result.totals;
    let word = if is_good(result) { "ok" } else { "FAIL" };
    let mut out = format!(
        "# {word}: {} requests, {} failed; {} checks passed, {} failed\n",
        t.books.started, t.books.failed, t.checks_passed, t.checks_failed
    );
    for check in result.script.checks.iter().filter(|c| c.failed > 0) {
        let found = check.samples.first().map_or(String::new(), |s| format!(", found: {s}"));
        out += &format!("#   {}: {} failed{found}\n", check.step, check.name);
    }
    for (reason, _) in &result.script.reasons {
        out += &format!("#   the iteration failed: {reason}\n");
    }
    out
}
