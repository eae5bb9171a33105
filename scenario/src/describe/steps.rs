//! Scenarios and their steps.

use super::{MASK, is_same_host, origin, plain, write_phase};
use crate::duration::show_duration;
use crate::limits;
use crate::outline::What;
use crate::plan::{Check, Order, Plan, Scenario, Step, Track};
use crate::program::{Exchange, Program, Redirects, written};
use crate::secret::{is_credential, mask_query};
use proto::{Field, Framing};
use std::fmt::{self, Write};

pub(super) fn scenario(
    out: &mut String,
    plan: &Plan,
    scenario: &Scenario,
    own: Option<&Track>,
) -> fmt::Result {
    writeln!(out, "  {}:", plain(&scenario.name))?;
    match own {
        None => writeln!(out, "    weight: {}", scenario.weight)?,
        Some(track) => {
            writeln!(out, "    start_after: {}\n    phases:", show_duration(track.start_after))?;
            let mut phases = plan.phases[track.phases.clone()].iter();
            phases.try_for_each(|phase| write_phase(out, "      ", plan, phase))?;
        }
    }
    if scenario.order == Order::RoundRobin {
        writeln!(out, "    # each request takes the next step in turn")?;
    }
    match &scenario.program {
        Some(program) => habits(out, plan, program)?,
        // Else there would be a program.
        None => writeln!(out, "    on_error: continue")?,
    }
    writeln!(out, "    steps:")?;
    steps(out, plan, scenario)
}

/// What holds for all steps of a scenario that is more than constant requests.
fn habits(out: &mut String, plan: &Plan, program: &Program) -> fmt::Result {
    let (on_error, lifetime) = (program.on_error.as_str(), program.lifetime.as_str());
    writeln!(out, "    on_error: {on_error}\n    lifetime: {lifetime}")?;
    let rows: Vec<&str> = program.sources().map(|source| plan.script.data[source].name.as_str()).collect();
    if !rows.is_empty() {
        writeln!(out, "    # an iteration takes a row of: {}", rows.join(", "))?;
    }
    if !program.variables.is_empty() {
        writeln!(out, "    variables:")?;
    }
    program.variables.iter().try_for_each(|(name, value)| writeln!(out, "      {name}: {value}"))
}

/// What is done once: steps without a scenario around them.
pub(super) fn once(out: &mut String, plan: &Plan, once: &Scenario) -> fmt::Result {
    writeln!(out, "{}:", once.name)?;
    for (name, value) in once.program.iter().flat_map(|program| &program.variables) {
        writeln!(out, "      # with the variable {name}: {value}")?;
    }
    steps(out, plan, once)
}

fn steps(out: &mut String, plan: &Plan, scenario: &Scenario) -> fmt::Result {
    let Some(program) = &scenario.program else {
        return scenario.steps.iter().try_for_each(|step| request(out, plan, step, None));
    };
    for line in program.outline.lines() {
        let mut text = String::new();
        match &line.what {
            What::Step(index) => {
                let exchange = &program.exchanges()[*index as usize];
                request(&mut text, plan, &scenario.steps[*index as usize], Some(exchange))?;
                response(&mut text, exchange)?;
            }
            What::Key { first, key, value } => {
                let dash = if *first { "- " } else { "  " };
                let value = value.as_ref().map_or(String::new(), |value| format!(" {value}"));
                writeln!(text, "      {dash}{key}:{value}")?;
            }
            What::Inside => writeln!(text, "        # its steps:")?,
        }
        let indent = 4 * line.level;
        text.lines().try_for_each(|line| writeln!(out, "{:indent$}{line}", ""))?;
    }
    Ok(())
}

/// What is made of a response.
fn response(out: &mut String, exchange: &Exchange) -> fmt::Result {
    let checks: Vec<String> = exchange.check_names().map(plain).collect();
    if !checks.is_empty() {
        writeln!(out, "        # checks: {}", checks.join(", "))?;
    }
    if !exchange.extracts.is_empty() {
        writeln!(out, "        extract:")?;
    }
    for extract in &exchange.extracts {
        writeln!(out, "          {}: {}", extract.name, extract.shown)?;
    }
    if exchange.cookies() {
        writeln!(out, "        cookies: true")?;
    }
    match exchange.redirects {
        Redirects::Manual => {}
        Redirects::Follow(most) => writeln!(out, "        follow_redirects: {most}")?,
        Redirects::Error => writeln!(out, "        redirects: error")?,
    }
    if exchange.body_limit as u64 != limits::BODY_LIMIT {
        writeln!(out, "        body_limit: {}", exchange.body_limit)?;
    }
    Ok(())
}

fn request(out: &mut String, plan: &Plan, step: &Step, exchange: Option<&Exchange>) -> fmt::Result {
    let template = &step.template;
    let target = &plan.targets[step.target];
    let host = match is_same_host(target, &plan.targets[0]) {
        true => String::new(),
        false => origin(target),
    };
    writeln!(
        out,
        "      - request: {} {host}{}",
        template.method(),
        mask_query(&written(template.path(), exchange))
    )?;
    writeln!(out, "        name: {}", plain(&step.name))?;
    if let Some(protocol) = target.protocol {
        writeln!(out, "        protocol: {}", protocol.as_str())?;
    }
    if let Some(signer) = exchange.and_then(|e| e.signer.as_ref()) {
        let (region, service) = (plain(&signer.region.written()), plain(&signer.service.written()));
        writeln!(
            out,
            "        auth: {{ aws: {{ region: {region}, service: {service}, access_key: {MASK}, secret_key: {MASK} }} }}"
        )?;
    }
    if !template.fields().is_empty() {
        writeln!(out, "        headers:")?;
    }
    for field in template.fields() {
        writeln!(out, "          {}: {}", field.name, value(field, exchange))?;
    }
    let body = || body(step, exchange);
    match template.framing() {
        Framing::None => {}
        Framing::Length => writeln!(out, "        body: {}", body())?,
        Framing::Chunked => writeln!(out, "        body: {}, chunked", body())?,
    }
    for check in &step.checks {
        match check {
            Check::Status(set) => writeln!(out, "        check: {{ status: [{set}] }}")?,
        }
    }
    if !step.tags.is_empty() {
        let tags: Vec<String> =
            step.tags.iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect();
        writeln!(out, "        tags: {{ {} }}", tags.join(", "))?;
    }
    match step.timeout {
        Some(timeout) => writeln!(out, "        timeout: {}", show_duration(timeout)),
        None => Ok(()),
    }
}

/// Its length, and what is worked out anew for each request. Its text may hold a password.
fn body(step: &Step, exchange: Option<&Exchange>) -> String {
    let Some(phrase) = exchange.and_then(Exchange::body_of_templates) else {
        return format!("{} bytes", step.body.len());
    };
    let templates: Vec<String> = phrase.templates().collect();
    let known = match phrase.fixed_len() {
        0 => String::new(),
        n => format!("{n} bytes and "),
    };
    format!("template of {known}{}", templates.join(", "))
}

fn value(field: &Field, exchange: Option<&Exchange>) -> String {
    match is_credential(field) {
        true => MASK.to_owned(),
        false => plain(&written(&field.value, exchange)),
    }
}
