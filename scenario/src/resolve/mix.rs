//! How connections begin and how long they live: `mix` and `lifetime` of `connections`, held against `tls`.

use super::targets::Targets;
use crate::place;
use crate::plan::{Connections, Mix, Protocol, Tls};
use crate::reader::{Fields, Reader};
use crate::source::quote;
use crate::threshold;
use crate::tree::Entry;
use proto::Scheme;

/// Reads `mix`. What it does not name is fresh.
pub(crate) fn read(reader: &mut Reader<'_>, connections: &Fields<'_>) -> Option<Mix> {
    let entry = connections.get("mix")?;
    let fields = reader.map(entry, &place::MIX)?;
    let mut parts = [None; 3];
    for (key, part) in place::MIX.keys.iter().zip(&mut parts) {
        if let Some(entry) = fields.get(key) {
            *part = Some(share(reader, entry)?);
        }
    }
    let [fresh, resumed, early] = parts;
    let (resumed, early) = (resumed.unwrap_or(0), early.unwrap_or(0));
    let sum = resumed + early + fresh.unwrap_or(0);
    match (sum > Mix::WHOLE, sum < Mix::WHOLE && fresh.is_some()) {
        (false, false) => Some(Mix { fresh: Mix::WHOLE - resumed - early, resumed, early }),
        (too_much, _) => {
            let than = if too_much { "more" } else { "less" };
            let percent = f64::from(sum) / f64::from(Mix::WHOLE / 100);
            let label = format!("together they are {percent}%");
            reader.fail(
                entry.key_span,
                format!("the shares of the mix are {than} than all connections"),
                label,
            )
        }
    }
}

fn share(reader: &mut Reader<'_>, entry: &Entry) -> Option<u32> {
    let text = reader.text(entry)?;
    match threshold::share(text) {
        Some(share) => Some((share * f64::from(Mix::WHOLE)).round() as u32),
        None => {
            let message = format!("{} is not a share", quote(text));
            reader.fail(entry.value.span, message, "write `20%` or `0.2`")
        }
    }
}

/// What is said twice, or cannot be done.
pub(crate) fn check(
    reader: &mut Reader<'_>,
    plan: &Fields<'_>,
    tls: &Tls,
    connections: &Connections,
    targets: &Targets,
) {
    let mix = connections.mix;
    let written = plan.within("connections", "mix");
    if let (Some(_), Some(entry)) =
        (written, plan.within("tls", "resumption").or(plan.within("tls", "early_data")))
    {
        let message = format!("{} and the mix of connections say the same thing", quote(&entry.key));
        reader.problems.add(entry.key_span, message, "leave one of them out");
    }
    let early = mix.map_or(tls.early_data, |m| m.early > 0);
    let entry = written.or(plan.within("tls", "early_data"));
    let moves = connections.alt_svc && targets.have_alternatives();
    let quic = moves || targets.protocols().any(|p| p == Protocol::H3);
    if let (true, Some(entry)) = (early && !quic, entry) {
        let message = "early data (0-RTT) is sent by HTTP/3 alone";
        reader.problems.add(entry.key_span, message, "add `protocol: h3`, or leave it out");
    }
    let clear = targets.list.iter().all(|t| t.scheme == Scheme::Http);
    if let (true, Some(entry)) = (clear, written.filter(|_| mix.is_some_and(Mix::resumes))) {
        let message = "no target is over TLS, so there is no session to resume";
        reader.problems.add(entry.key_span, message, "use `https://` or `builtin+tls`, or leave it out");
    }
}
