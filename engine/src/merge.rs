//! From what each core found out to the result of the run.

use crate::StartError;
use crate::core::{Client, CoreResult, ScriptFigures, Setup};
use crate::run::{CALLED_OFF, Outcome};
use crate::spans::covered;
use crate::stats::{
    CheckFigures, ClientFigures, ConnectionFigures, Cost, Figures, Passed, PhaseFigures, RunResult,
    ScriptResult, StepFigures, cost, environment,
};
use crate::verdict::{self, CoreFacts, Evidence};
use proto::{Kind, Time};
use scenario::plan::{CheckTally, NamedCheck, Stop, Threshold};
use scenario::tags::Tags;
use std::time::{Duration, SystemTime};

/// Merges the cores. Fails only where no connection was ever opened, or no core ran.
pub(crate) fn result(
    setup: &Setup,
    outcomes: Vec<Outcome>,
    began: SystemTime,
) -> Result<RunResult, StartError> {
    let mut cores = Vec::new();
    let mut broken = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(core) => cores.push(core),
            // Cores that were called off because another could not start have nothing to say.
            Err(error) if error == CALLED_OFF => {}
            Err(error) => broken.push(error),
        }
    }
    if cores.is_empty() {
        return Err(StartError(broken.into_iter().next().unwrap_or_else(|| "no core ran".into())));
    }
    let mut connections = ConnectionFigures::default();
    cores.iter().for_each(|(c, _)| connections.merge(&c.recorder.connections));
    let interrupted = cores.iter().any(|(c, _)| c.interrupted);
    // A plan whose iterations all end before their first request needs no connection.
    let wanted = cores.iter().any(|(c, _)| c.recorder.books(0).started > 0) || !broken.is_empty();
    if connections.opened == 0 && wanted && !interrupted && !setup.options.unopened_is_result {
        return Err(never_opened(&connections));
    }
    let (phases, steps, phase_steps) = phases_and_steps(setup, &mut cores);
    let mut totals = Figures::default();
    phases.iter().filter(|p| p.record).for_each(|p| totals.merge(&p.figures));
    let (elapsed, wall) = (length(setup, &cores, |record| record), length(setup, &cores, |_| true));
    let facts: Vec<CoreFacts<'_>> = cores
        .iter()
        .map(|(core, _)| CoreFacts {
            cost: core.of_phases,
            spun: Duration::from_nanos(core.spun),
            pauses: core.pauses,
            down: core.recorder.connections.down,
            overflows: core.overflows,
            log_waits: core.log_waits,
            unpinned: core.unpinned,
            gave_up: core.gave_up.as_deref(),
        })
        .collect();
    let script = script(setup, &cores, &steps, &phase_steps);
    let verdict = verdict::judge(&Evidence {
        plan: &setup.plan,
        cores: &facts,
        broken: &broken,
        totals: &totals,
        phases: &phases,
        wall,
        quic: &connections.quic,
        failures: &script.reasons,
        interrupted,
    });
    Ok(RunResult {
        began,
        interrupted,
        elapsed,
        wall,
        clients: clients(setup, &cores),
        cost: total_cost(&cores),
        environment: environment::read(&cores[0].0.driver),
        batching: cores.iter().map(|(c, _)| c.batching).collect(),
        totals,
        phases,
        steps,
        phase_steps,
        connections,
        verdict,
        script,
        timeline: None,
        setup: None,
        teardown: None,
    })
}

/// The checks of all programs, then those of plain steps, and why iterations failed.
fn script(
    setup: &Setup,
    cores: &[(CoreResult, Cost)],
    steps: &[StepFigures],
    phase_steps: &[Vec<Figures>],
) -> ScriptResult {
    let mut all = ScriptFigures::default();
    cores.iter().for_each(|(core, _)| all.merge(&core.script));
    let plan = &setup.plan;
    // Those of plain steps are counted with the requests of the step.
    let plain: Vec<usize> = plan
        .steps()
        .enumerate()
        .filter(|(at, (scenario, step))| *at < steps.len() && scenario.counts_in_step(step))
        .map(|(at, _)| at)
        .collect();
    let of_step = |f: &Figures| Passed { passed: f.checks_passed, failed: f.checks_failed };
    let rows: Vec<&[CheckTally]> = match plan.script.checks.len() {
        0 => vec![],
        n => all.checks.chunks(n).collect(),
    };
    let by_phase = match plan.tallies_by_phase() {
        false => vec![],
        true => (0..plan.phases.len())
            .map(|phase| {
                let of_tally = |t: &CheckTally| Passed { passed: t.passed, failed: t.failed };
                let scripted = rows.get(phase).into_iter().flat_map(|row| row.iter().map(of_tally));
                scripted.chain(plain.iter().map(|&at| of_step(&phase_steps[phase][at]))).collect()
            })
            .collect(),
    };
    let known = plan.script.checks.len() + plain.len();
    let mut tallies = Vec::with_capacity(known);
    rows.iter().for_each(|row| ScriptFigures::add_tallies(&mut tallies, row));
    tallies.resize(known, CheckTally::default());
    let mut figures: Vec<CheckFigures> = plan.checks().zip(tallies).map(named).collect();
    for (figures, at) in figures.iter_mut().skip(plan.script.checks.len()).zip(plain) {
        let Passed { passed, failed } = of_step(&steps[at].figures);
        (figures.passed, figures.failed) = (passed, failed);
        figures.step.clone_from(&steps[at].name);
    }
    ScriptResult { checks: figures, by_phase, reasons: all.reasons }
}

/// A check, and what was counted of it.
fn named((check, tally): (NamedCheck, CheckTally)) -> CheckFigures {
    let NamedCheck { scenario, step, tags, name } = check;
    let CheckTally { passed, failed, samples } = tally;
    CheckFigures { scenario, step, tags, name, passed, failed, samples }
}

/// The first cause, and what to look at.
fn never_opened(connections: &ConnectionFigures) -> StartError {
    let Some(first) = connections.errors.first() else {
        return StartError("no connection could be opened: no attempt was made".into());
    };
    let remedy = match first.kind {
        Kind::Timeout => {
            " (is the address right, does a firewall drop packets? --connect-timeout allows more time)"
        }
        Kind::Connect if first.detail.contains("refused") => " (is the server running, and on this port?)",
        Kind::Connect if first.detail.contains("unreachable") => " (is there a route to this address?)",
        _ => "",
    };
    StartError(format!("no connection could be opened: {}{remedy}", first.detail))
}

/// Figures by phase, by step, and by both.
type Merged = (Vec<PhaseFigures>, Vec<StepFigures>, Vec<Vec<Figures>>);

/// Empty figures of each step, or of all together.
fn step_figures(setup: &Setup) -> Vec<StepFigures> {
    let figures = |scenario: &str, name: String, tags: Tags| StepFigures {
        scenario: scenario.to_owned(),
        name,
        tags,
        figures: Figures::default(),
    };
    if !setup.options.by_step {
        let scenario = setup.plan.scenarios.first().map_or("", |s| &s.name);
        let tags = Tags::common(setup.plan.steps().map(|(_, step)| &step.tags));
        return vec![figures(scenario, format!("all {} steps", setup.steps.len()), tags)];
    }
    let steps = setup.plan.steps();
    steps.map(|(scenario, step)| figures(&scenario.name, step.name.clone(), step.tags.clone())).collect()
}

fn phases_and_steps(setup: &Setup, cores: &mut [(CoreResult, Cost)]) -> Merged {
    let asks = |t: &Threshold| t.phase.is_some() && (t.of_steps() || t.check.is_some());
    let both = setup.plan.thresholds.iter().any(asks);
    let phases = if both { setup.plan.phases.len() } else { 0 };
    let mut phase_steps = vec![vec![Figures::default(); setup.steps.len()]; phases];
    let mut steps = step_figures(setup);
    let mut phases: Vec<PhaseFigures> = setup
        .plan
        .phases
        .iter()
        .enumerate()
        .map(|(index, phase)| PhaseFigures {
            name: phase.name.clone(),
            record: phase.record,
            elapsed: elapsed(index, cores),
            figures: Figures::default(),
        })
        .collect();
    for (core, _) in cores {
        for (index, by_step) in core.recorder.take_figures().into_iter().enumerate() {
            let phase = &mut phases[index];
            for (at, (step, figures)) in steps.iter_mut().zip(by_step).enumerate() {
                if let Some(of_phase) = phase_steps.get_mut(index) {
                    of_phase[at].merge(&figures);
                }
                phase.figures.merge(&figures);
                if phase.record {
                    step.figures.merge(&figures);
                }
            }
            phase.figures.bytes.merge(&core.recorder.bytes[index]);
            phase.figures.iterations += core.recorder.iterations[index];
            phase.figures.iterations_failed += core.recorder.iterations_failed[index];
            phase.figures.iterations_cut += core.recorder.iterations_cut[index];
            phase.figures.arrived += core.recorder.arrived[index];
            phase.figures.dropped += core.recorder.dropped[index];
            phase.figures.without_data += core.recorder.without_data[index];
            phase.figures.waited += core.recorder.waited[index];
            phase.figures.abandoned_time += core.recorder.abandoned_time[index];
            std::mem::take(&mut core.recorder.handshakes[index]).merge_into(&mut phase.figures);
        }
    }
    (phases, steps, phase_steps)
}

/// What each connection did in the recorded phases, over the time that was its own: h2load's is from its first connect, or
/// the end of the warm-up, to its last answer, or to the end of a run that the clock ends.
fn clients(setup: &Setup, cores: &[(CoreResult, Cost)]) -> Vec<ClientFigures> {
    let phases = &setup.plan.phases;
    let spans = Vec::from_iter((0..phases.len()).map(|index| span(index, cores)));
    let start = spans.iter().map(|(began, _)| *began).min().unwrap_or_default();
    let recorded = spans.iter().zip(phases).filter(|(_, phase)| phase.record);
    // Connecting is a part of it, where that comes before the first phase.
    let recorded = Vec::from_iter(recorded.map(|(&(began, ended), phase)| {
        let timed = matches!(phase.stop, Stop::After(_));
        (if began == start { 0 } else { began }, ended, timed)
    }));
    let figures = |client: &Client| {
        let began = client.began.map_or(u64::MAX, Time::as_nanos);
        let last = client.ended.as_nanos();
        let own = recorded
            .iter()
            .map(|&(from, to, timed)| (began.max(from), if timed { to } else { last.min(to) }));
        let at = Duration::from_nanos;
        ClientFigures { answered: client.answered, lasted: covered(own.map(|(from, to)| (at(from), at(to)))) }
    };
    cores.iter().flat_map(|(core, _)| core.clients.iter().map(figures)).collect()
}

/// How long phases went on, those that ran at a time counted once.
fn length(setup: &Setup, cores: &[(CoreResult, Cost)], counts: impl Fn(bool) -> bool) -> Duration {
    let phases = setup.plan.phases.iter().enumerate().filter(|(_, p)| counts(p.record));
    let at = Duration::from_nanos;
    covered(phases.map(|(index, _)| span(index, cores)).map(|(began, ended)| (at(began), at(ended))))
}

/// From when the first core began a phase to when the last ended it.
fn elapsed(phase: usize, cores: &[(CoreResult, Cost)]) -> Duration {
    let (began, ended) = span(phase, cores);
    Duration::from_nanos(ended.saturating_sub(began))
}

fn span(phase: usize, cores: &[(CoreResult, Cost)]) -> (u64, u64) {
    let times = cores.iter().filter_map(|(c, _)| c.phases[phase]);
    times.fold((u64::MAX, 0), |(b, e), (began, ended)| (b.min(began.as_nanos()), e.max(ended.as_nanos())))
}

fn total_cost(cores: &[(CoreResult, Cost)]) -> Cost {
    let mut total = Cost { peak_rss: cost::peak_rss(), ..Cost::default() };
    for (core, cost) in cores {
        total.user += cost.user;
        total.system += cost.system;
        total.voluntary_switches += cost.voluntary_switches;
        total.involuntary_switches += cost.involuntary_switches;
        total.turns += core.turns;
        total.waited += cost.waited;
        total.spun += Duration::from_nanos(core.spun);
        total.pauses.merge(core.pauses);
    }
    total
}
