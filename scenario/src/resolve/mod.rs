//! The tree into a [`Plan`]: what the keys mean, and everything that must hold between them.

mod alt_svc;
mod arrivals;
mod body;
mod check;
mod connections;
mod data;
mod extract;
mod flow;
mod habits;
mod headers;
mod http2;
mod http3;
mod mix;
mod network;
mod once;
mod phases;
mod scenarios;
mod schema;
mod search;
mod status;
mod step;
mod tags;
mod targets;
mod thresholds;

use crate::place;
use crate::plan::{Phase, Plan, Protocol, Script, Track, most_users};
use crate::reader::{Fields, Reader};
use crate::secret::Secrets;
use crate::source::Span;
use crate::tree::{Kind, Node};
use std::num::NonZeroU32;

/// What a newcomer is shown where the plan is empty or has no phases.
const EXAMPLE_PHASES: &str = "for example:\nphases:\n  - { name: steady, users: 16, for: 30s }";

/// Checks the whole tree. `None`: there are errors.
pub(crate) fn plan(reader: &mut Reader<'_>, root: &Node, fallback_name: &str) -> Option<Plan> {
    let whole = first_place(root);
    let Kind::Map(_) = &root.kind else {
        let found = Reader::found(root);
        let label = match root.as_text().is_some_and(|text| text.contains(':')) {
            true => "a blank belongs behind each `:`",
            false => "expected `version: 1` and further keys",
        };
        return reader.fail(root.span, format!("a plan is a map, found {found}"), label);
    };
    let fields = reader.map_node(root, &place::PLAN)?;
    version(reader, &fields, whole);
    let name = name(reader, &fields, fallback_name);
    let protocol = protocol(reader, &fields);
    let mut targets = targets::Targets::default();
    targets.read_default(reader, &fields, protocol.unwrap_or(Protocol::Auto));
    let tls = connections::tls(reader, &fields);
    let http2 = http2::http2(reader, &fields);
    let http3 = http3::http3(reader, &fields);
    let timeouts = connections::timeouts(reader, &fields);
    let defaults = habits::defaults(reader, &fields);
    let data = data::read(reader, &fields);
    let seed = match fields.get("seed") {
        None => 1,
        Some(entry) => reader.integer(entry, 0..=u64::MAX).unwrap_or(0),
    };

    let before = reader.problems.count();
    // What is done once has connections of its own, and so targets of its own.
    let (mut targets_before, mut targets_after) = (targets.clone(), targets.clone());
    let mut steps = 0;
    let walk = scenarios::Walk::new(reader, &fields, &defaults, &mut targets_before, &mut steps);
    let setup = once::read(reader, &fields, "setup", walk);
    let walk = scenarios::Walk::new(reader, &fields, &defaults, &mut targets, &mut steps);
    let scenarios = scenarios::read(reader, &fields, whole, walk);
    tags::check_number(reader, &fields, scenarios.as_deref().unwrap_or(&[]));
    let walk = scenarios::Walk::new(reader, &fields, &defaults, &mut targets_after, &mut steps);
    let teardown = once::read(reader, &fields, "teardown", walk);
    let (search, condition) = search::read(reader, &fields).unzip();
    let course = match (&search, fields.get("search")) {
        (Some(search), _) => {
            phases::refuse_own(reader, &fields);
            Some(phases::Course { phases: search.phases(search.to), tracks: vec![] })
        }
        // What is wrong with it has been said.
        (None, Some(_)) => None,
        (None, None) => phases::read(reader, &fields, whole),
    };
    let (mut phases, tracks) = course.map_or((None, vec![]), |c| (Some(c.phases), c.tracks));
    let names_known = reader.problems.count() == before;
    let width = scenarios.iter().flatten().flat_map(|s| &s.program).map(|p| p.width()).max().unwrap_or(1);
    targets.add_hops(reader, scenarios.iter().flatten());
    targets_before.add_hops(reader, setup.iter().flatten().map(|o| &o.scenario));
    targets_after.add_hops(reader, teardown.iter().flatten().map(|o| &o.scenario));
    if let Some(tls) = &tls {
        connections::check_alpn(reader, &fields, tls, &[&targets, &targets_before, &targets_after]);
    }
    let multiplexes = |p| matches!(p, Protocol::H2 | Protocol::H2c | Protocol::H3);
    let multiplexed = targets.protocols().all(multiplexes);
    let width = connections::Width { width, multiplexed };
    let stretches = phases.as_deref().unwrap_or(&[]);
    let connections = connections::connections(reader, &fields, stretches, &tracks, width);
    can_meet(reader, stretches, &tracks);
    if let (Some(phases), Some(connections)) = (&mut phases, &connections) {
        connections::bound_handshakes(&fields, phases, connections.max);
    }
    for entry in phases::of_handshakes(&fields).0 {
        targets.wants_default(reader, entry);
    }
    let mut lists = [&mut targets, &mut targets_before, &mut targets_after];
    targets::redirect(reader, &fields, &mut lists);
    for targets in lists {
        targets.check_protocol(reader);
    }
    if let (Some(tls), Some(connections)) = (&tls, &connections) {
        mix::check(reader, &fields, tls, connections, &targets);
        if connections.alt_svc {
            alt_svc::check(reader, &fields, &targets);
        }
    }
    let names = thresholds::Names {
        scenarios: scenarios.as_deref().unwrap_or(&[]),
        phases: phases.as_deref().unwrap_or(&[]),
        known: names_known,
    };
    let thresholds = thresholds::read(reader, &fields, &names);
    let written = fields.get("search").and_then(|search| search.value.entry("while"));
    if let (Some(condition), Some(written)) = (condition, written) {
        condition.iter().for_each(|part| thresholds::check_names(reader, &written.value, part, &names));
    }

    if reader.problems.count() > 0 {
        return None;
    }
    let mut scenarios = scenarios?;
    let (mut setup, mut teardown) = (setup?, teardown?);
    for (once, targets) in [(&mut setup, &targets_before), (&mut teardown, &targets_after)] {
        once.iter_mut().for_each(|once| once.targets.clone_from(&targets.list));
    }
    let mut tls = tls?;
    if !fields.get("tls").is_some_and(connections::says_verify)
        && targets::tls_only_builtin(&[&targets, &targets_before, &targets_after])
    {
        // The built-in server makes its own certificate at start.
        tls.verify = false;
    }
    let mut hidden = Secrets::default();
    reader.scope.secrets.iter().for_each(|secret| hidden.add(secret.reveal().as_bytes()));
    let mut plan = Plan {
        name: name?,
        targets: targets.list,
        protocol: protocol?,
        tls,
        connections: connections?,
        timeouts: timeouts?,
        phases: match &search {
            Some(search) => search.phases(search.from),
            None => phases?,
        },
        http2: http2?,
        http3: http3?,
        thresholds: thresholds?,
        search,
        tracks,
        files: {
            let mut files = std::mem::take(&mut reader.files);
            files.sort_unstable();
            files.dedup();
            files
        },
        script: Script {
            checks: scenarios::number_checks(&mut scenarios),
            data,
            seed,
            setup,
            teardown,
            meetings: std::mem::take(&mut reader.scope.meetings).into_iter().map(|(m, _)| m).collect(),
            hidden,
            ..Script::default()
        },
        scenarios,
    };
    plan.mask_names();
    plan.script.hidden = plan.secrets();
    Some(plan)
}

/// So many users as are waited for must be able to come.
fn can_meet(reader: &mut Reader<'_>, phases: &[Phase], tracks: &[Track]) {
    let Some(most) = NonZeroU32::new(most_users(tracks, phases, |p| p.load.makes_requests())) else { return };
    for (meeting, span) in reader.scope.meetings.iter().filter(|(meeting, _)| meeting.users > most) {
        let message = format!("{} users never meet", meeting.users);
        reader.problems.add(*span, message, format!("no phase has more than {most}"));
    }
}

/// Where an error about something missing points: the first line of the plan's content.
fn first_place(root: &Node) -> Span {
    match &root.kind {
        Kind::Map(entries) => entries.first().map_or(root.span, |e| e.key_span),
        _ => root.span,
    }
}

fn version(reader: &mut Reader<'_>, fields: &Fields<'_>, whole: Span) {
    let Some(entry) = fields.get("version") else {
        if fields.lacks("version") {
            reader.problems.add(whole, "the plan has no `version`", "begin it with `version: 1`");
        }
        return;
    };
    if entry.value.as_plain() != Some("1") {
        let message = format!("this loadgen reads plans of version 1, found {}", Reader::found(&entry.value));
        reader.problems.add(entry.value.span, message, "write `version: 1`");
    }
}

fn name(reader: &mut Reader<'_>, fields: &Fields<'_>, fallback: &str) -> Option<String> {
    match fields.get("name") {
        None => Some(fallback.to_owned()),
        Some(entry) => {
            let text = reader.text(entry)?;
            reader.name(text, entry.value.span).map(str::to_owned)
        }
    }
}

fn protocol(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Protocol> {
    match fields.get("protocol") {
        None => Some(Protocol::Auto),
        Some(entry) => reader.word(entry, Protocol::WORDS),
    }
}
