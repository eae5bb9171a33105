//! `search`: which load to look for, under which condition, and how its probes are made.

use super::{arrivals, connections, thresholds};
use crate::limits;
use crate::place;
use crate::plan::{Arrivals, Curve, SeriesName};
use crate::reader::{Fields, Reader};
use crate::search::{Quantity, Search};
use crate::source::quote;
use crate::threshold::{self, Parsed};
use crate::tree::Entry;
use std::num::NonZeroU32;
use std::time::Duration;

/// What a search makes higher.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Rate,
    Users,
}

/// Keys that a schedule of arrivals has and a number of users does not.
const ONLY_RATE: &[&str] = &["arrivals", "users_max", "backlog"];

/// Reads `search`, and its condition with the places of the names in it. `None`: there is none, or it is wrong.
pub(crate) fn read(reader: &mut Reader<'_>, plan: &Fields<'_>) -> Option<(Search, Vec<Parsed>)> {
    let entry = plan.get("search")?;
    let fields = reader.map(entry, &place::SEARCH)?;
    for key in ["phases", "thresholds"] {
        if let Some(other) = plan.get(key) {
            let message = format!("a plan has `search` or {}, not both", quote(key));
            reader.problems.add(
                other.key_span,
                message,
                match key {
                    "phases" => "a search makes its phases itself",
                    _ => "what must hold is said by `while`; what must be found by `at_least`",
                },
            );
        }
    }
    let word = match fields.get("highest") {
        Some(entry) => reader.word(entry, &[("rate", Word::Rate), ("users", Word::Users)]),
        None => missing(reader, &fields, "highest", "write `highest: rate` or `highest: users`"),
    };
    let condition = match fields.get("while") {
        Some(entry) => condition(reader, entry),
        None => missing(reader, &fields, "while", "for example `while: p99(response_time) < 50ms`"),
    };
    let word = word?;
    let example = if word == Word::Rate { "`from: 100/s`, `to: 100k/s`" } else { "`from: 1`, `to: 1000`" };
    let mut bound = |key: &str| match fields.get(key) {
        Some(entry) => load(reader, entry, word),
        None => missing(reader, &fields, key, &format!("say where to look: {example}")),
    };
    let (from, to) = (bound("from"), bound("to"));
    let at_least = match fields.get("at_least") {
        Some(entry) => Some(load(reader, entry, word)?),
        None => None,
    };
    let confirm = match fields.get("confirm") {
        Some(entry) => NonZeroU32::new(reader.integer(entry, 1..=limits::MAX_CONFIRM)? as u32),
        None => NonZeroU32::new(3),
    };
    let precision = precision(reader, &fields);
    let probe = time(reader, &fields, "probe", limits::DEFAULT_PROBE, false);
    let warm_up = time(reader, &fields, "warm_up", limits::DEFAULT_PROBE_WARM_UP, true);
    let settle = time(reader, &fields, "settle", limits::DEFAULT_SETTLE, true);
    let highest = quantity(reader, plan, &fields, word, from);
    let (from, to) = (from?, to?);
    if from >= to {
        let entry = fields.get("to").expect("it was read");
        return reader.fail(entry.value.span, "`to` is not above `from`", "there is nothing between them");
    }
    let (parts, text) = condition?;
    let search = Search {
        highest: highest?,
        condition: parts.iter().map(|part| part.threshold.clone()).collect(),
        text,
        from,
        to,
        confirm: confirm?,
        precision: precision?,
        warm_up: warm_up?,
        probe: probe?,
        settle: settle?,
        at_least,
        own_connections: connections::places(plan).is_some(),
    };
    Some((search, parts))
}

fn missing<T>(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str, label: &str) -> Option<T> {
    if fields.lacks(key) {
        reader.problems.add(fields.span, format!("the search has no {}", quote(key)), label);
    }
    None
}

fn quantity(
    reader: &mut Reader<'_>,
    plan: &Fields<'_>,
    fields: &Fields<'_>,
    word: Word,
    from: Option<f64>,
) -> Option<Quantity> {
    if word == Word::Users {
        if let Some(entry) = ONLY_RATE.iter().find_map(|key| fields.get(key)) {
            let message = format!("{} needs a schedule of arrivals", quote(&entry.key));
            return reader.fail(entry.key_span, message, "search for the highest rate, or leave it out");
        }
        return Some(Quantity::Users);
    }
    let (spread, backlog) = (arrivals::spread(reader, fields), arrivals::backlog(reader, fields));
    let users = arrivals::users_max(reader, fields, connections::places(plan));
    let curve = Curve::Constant(from?);
    Some(Quantity::Rate(Arrivals { curve, spread: spread?, backlog: backlog? }, users?))
}

/// A rate or a number of users.
fn load(reader: &mut Reader<'_>, entry: &Entry, word: Word) -> Option<f64> {
    if word == Word::Users {
        return reader.integer(entry, 1..=limits::MAX_USERS).map(|n| n as f64);
    }
    let Some(text) = entry.value.as_text() else { return reader.mismatch(entry, "a rate such as `100/s`") };
    match arrivals::rate(reader, entry, text)? {
        0.0 => reader.fail(entry.value.span, "a rate of 0 has no arrivals", "begin with `1/s`"),
        rate => Some(rate),
    }
}

fn precision(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<f64> {
    let Some(entry) = fields.get("precision") else { return Some(limits::DEFAULT_PRECISION) };
    let share = entry.value.as_text().and_then(threshold::share);
    match share.filter(|s| (limits::MIN_PRECISION..=0.5).contains(s)) {
        Some(share) => Some(share),
        None => reader.mismatch(entry, "a share from 0.1% to 50%, such as `2%`"),
    }
}

fn time(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &str,
    default: Duration,
    zero: bool,
) -> Option<Duration> {
    match fields.get(key) {
        None => Some(default),
        Some(entry) if zero => reader.duration(entry),
        Some(entry) => reader.positive_duration(entry),
    }
}

/// `A and B and C`, each a threshold.
fn condition(reader: &mut Reader<'_>, entry: &Entry) -> Option<(Vec<Parsed>, String)> {
    let text = reader.text(entry)?.to_owned();
    let mut all = Vec::new();
    let mut at = 0;
    for part in parts(&text) {
        let (start, end) = (at, at + part.len());
        at = end + AND.len();
        let parsed = thresholds::parsed(reader, &entry.value, part, start)?;
        let span = reader.part(&entry.value, start, end);
        if parsed.threshold.phase.is_some() {
            return reader.fail(span, "a search has no phases to name", "leave `phase=` out");
        }
        if parsed.threshold.metric.of_handshakes() {
            let label = "leave it out, or measure a phase of `handshakes` without a search";
            return reader.fail(span, "a search has no phases of handshakes", label);
        }
        if let Some(SeriesName::Connect | SeriesName::Handshake) = parsed.threshold.metric.series() {
            let label = "they are opened before a probe begins, whatever its load";
            return reader.fail(span, "connections do not tell loads apart", label);
        }
        all.push(parsed);
    }
    if all.len() > limits::MAX_LIST {
        return reader.fail(entry.value.span, "too many conditions", "");
    }
    Some((all, text.trim().to_owned()))
}

const AND: &str = " and ";

/// The text between the `and`s. One within quotes or brackets belongs to a name.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut begun) = (Vec::new(), 0);
    let (mut quoted, mut depth) = (false, 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ' ' if !quoted && depth == 0 && at >= begun && text[at..].starts_with(AND) => {
                parts.push(&text[begun..at]);
                begun = at + AND.len();
            }
            _ => {}
        }
    }
    parts.push(&text[begun..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn conditions_are_told_apart() {
        assert_eq!(parts("a < 1"), ["a < 1"]);
        assert_eq!(parts("p99(x) < 1s and b < 2 and c"), ["p99(x) < 1s", "b < 2", "c"]);
        assert_eq!(parts("p(x, step=a and b) < 1 and c"), ["p(x, step=a and b) < 1", "c"]);
        assert_eq!(parts("p(step=\") and \") < 1"), ["p(step=\") and \") < 1"]);
        assert_eq!(parts("a and  and b"), ["a", "", "b"]);
    }
}
