//! The open model of a phase: `rate`, `handshakes`, `arrivals`, `stairs`, `backlog`, `replay`; and ramps of users.

use crate::limits;
use crate::place;
use crate::plan::{Arrivals, Backlog, Curve, Handshakes, Load, Spread, Stop};
use crate::rate::{RateError, parse_rate};
use crate::reader::{Fields, Reader};
use crate::replay;
use crate::source::quote;
use crate::tree::{Entry, Kind};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Keys that make sense with a schedule alone.
const ONLY_OPEN: &[&str] = &["arrivals", "stairs", "users_max", "backlog"];

/// Keys that make sense with users alone.
const ONLY_REQUESTS: &[&str] =
    &["users", "rate", "replay", "users_max", "iterations_per_user", "scenarios", "think"];

/// What makes the iterations of a phase begin, and how many users it has at most. `places`: what the connections hold, where
/// the plan says so.
pub(super) fn read(
    reader: &mut Reader<'_>,
    phase: &Fields<'_>,
    stop: Option<Stop>,
    places: Option<NonZeroU32>,
) -> Option<(NonZeroU32, Load)> {
    let (rate, replayed) = (phase.get("rate"), phase.get("replay"));
    if let Some(entry) = phase.get("handshakes") {
        return handshakes(reader, phase, entry, stop);
    }
    if let Some(hold) = phase.get("hold") {
        let message = "`hold` is how long a connection of a phase of handshakes is kept";
        return reader.fail(hold.key_span, message, "give the phase `handshakes: 100/s`, or leave it out");
    }
    if let (Some(_), Some(second)) = (rate, replayed) {
        return reader.fail(second.key_span, "the phase has a rate already", "give `rate` or `replay`");
    }
    if rate.is_none() && replayed.is_none() {
        return closed(reader, phase, stop);
    }
    if let Some(users) = phase.get("users") {
        let message = "a phase has `users` or a schedule of arrivals, not both";
        return reader.fail(users.key_span, message, "did you mean `users_max`?");
    }
    if let Some(each) = phase.get("iterations_per_user") {
        let message = "with a schedule of arrivals no user has a number of iterations of its own";
        return reader.fail(each.key_span, message, "use `for` or `iterations`");
    }
    let curve = match (rate, replayed) {
        (Some(entry), _) => curve(reader, phase, entry, stop),
        (None, Some(entry)) => replay(reader, entry),
        (None, None) => unreachable!("one of them is there"),
    };
    let spread = spread(reader, phase);
    let backlog = backlog(reader, phase);
    let users = users_max(reader, phase, places);
    let (curve, spread) = (curve?, spread?);
    if let (Curve::Times { .. }, Some(entry)) = (&curve, phase.get("arrivals")) {
        return reader.fail(
            entry.key_span,
            "a replay says itself when arrivals come",
            "leave `arrivals` out",
        );
    }
    Some((users?, Load::Open(Arrivals { curve, spread, backlog: backlog? })))
}

/// Connections at a rate of their own. How many there may be at a time is known when `connections` are.
fn handshakes(
    reader: &mut Reader<'_>,
    phase: &Fields<'_>,
    entry: &Entry,
    stop: Option<Stop>,
) -> Option<(NonZeroU32, Load)> {
    if let Some(other) = ONLY_REQUESTS.iter().find_map(|key| phase.get(key)) {
        let message =
            format!("a phase of handshakes makes no requests: {} has no meaning", quote(&other.key));
        let label = match other.key.as_str() {
            "users_max" => "`connections: max` is how many there are at a time, at most",
            _ => "leave it out, or make it a phase of its own",
        };
        return reader.fail(other.key_span, message, label);
    }
    let curve = curve(reader, phase, entry, stop);
    let (spread, backlog) = (spread(reader, phase), backlog(reader, phase));
    let hold = match phase.get("hold") {
        Some(entry) => reader.duration(entry)?,
        None => Duration::ZERO,
    };
    let arrivals = Arrivals { curve: curve?, spread: spread?, backlog: backlog? };
    Some((NonZeroU32::MIN, Load::Handshakes(Handshakes { arrivals, hold })))
}

/// Users at most of a schedule.
pub(super) fn users_max(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    places: Option<NonZeroU32>,
) -> Option<NonZeroU32> {
    match fields.get("users_max") {
        Some(entry) => NonZeroU32::new(reader.integer(entry, 1..=limits::MAX_USERS)? as u32),
        None => places.or(NonZeroU32::new(limits::DEFAULT_USERS_MAX)),
    }
}

fn closed(reader: &mut Reader<'_>, phase: &Fields<'_>, stop: Option<Stop>) -> Option<(NonZeroU32, Load)> {
    if let Some(entry) = ONLY_OPEN.iter().find_map(|key| phase.get(key)) {
        let message = format!("{} needs a schedule of arrivals", quote(&entry.key));
        return reader.fail(entry.key_span, message, "give the phase a rate, such as `rate: 100/s`");
    }
    let Some(entry) = phase.get("users") else {
        return match phase.odd {
            true => None,
            false => reader.fail(
                phase.span,
                "the phase has no load",
                "say `users: 16` for a closed loop or `rate: 100/s` for a schedule",
            ),
        };
    };
    if let Some((from, to)) = entry.value.as_text().and_then(|text| text.split_once("..")) {
        return ramp_of_users(reader, entry, from, to, stop);
    }
    let users = reader.integer(entry, 1..=limits::MAX_USERS)?;
    Some((NonZeroU32::new(u32::try_from(users).ok()?)?, Load::Closed))
}

fn ramp_of_users(
    reader: &mut Reader<'_>,
    entry: &Entry,
    from: &str,
    to: &str,
    stop: Option<Stop>,
) -> Option<(NonZeroU32, Load)> {
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|n| u64::from(*n) <= limits::MAX_USERS);
    let (Some(from), Some(to)) = (number(from), number(to)) else {
        return reader.mismatch(entry, "a number of users, or two with `..` between, such as `0..100`");
    };
    let Some(most) = NonZeroU32::new(from.max(to)) else {
        return reader.fail(entry.value.span, "a ramp from 0 to 0 has no users", "");
    };
    match stop {
        Some(Stop::After(_)) if from != to => Some((most, Load::Ramp { from, to })),
        Some(Stop::After(_)) => Some((most, Load::Closed)),
        None => None,
        Some(_) => reader.fail(
            entry.value.span,
            "a ramp needs a time",
            "give the phase `for: 1m` instead of a number of iterations",
        ),
    }
}

fn curve(reader: &mut Reader<'_>, phase: &Fields<'_>, entry: &Entry, stop: Option<Stop>) -> Option<Curve> {
    let Some(text) = entry.value.as_text() else {
        return reader.mismatch(entry, "a rate such as `500/s`, or two such as `0/s..500/s`");
    };
    let stairs = match phase.get("stairs") {
        Some(entry) => {
            let count = reader.integer(entry, 2..=limits::MAX_STAIRS)?;
            NonZeroU32::new(count as u32)
        }
        None => None,
    };
    let Some((from, to)) = text.split_once("..") else {
        if let Some(entry) = phase.get("stairs") {
            let label = "write `rate: 100/s..1000/s`";
            return reader.fail(entry.key_span, "stairs lead from one rate to another", label);
        }
        let rate = rate(reader, entry, text)?;
        return match rate > 0.0 {
            true => Some(Curve::Constant(rate)),
            false => reader.fail(entry.value.span, "a rate of 0 has no arrivals", "leave the phase out"),
        };
    };
    // `0..500/s`: the first takes the unit of the second.
    let unit = to.split_once('/').map_or("", |(_, unit)| unit);
    let from = if from.contains('/') { from.to_owned() } else { format!("{}/{unit}", from.trim()) };
    let (from, to) = (rate(reader, entry, &from)?, rate(reader, entry, to)?);
    let over = match stop {
        Some(Stop::After(over)) => over,
        None => return None,
        Some(_) => {
            let label = "give the phase `for: 1m` instead of a number of iterations";
            return reader.fail(entry.value.span, "a ramp needs a time", label);
        }
    };
    match (from == 0.0 && to == 0.0, from == to, stairs) {
        (true, ..) => reader.fail(entry.value.span, "a rate of 0 has no arrivals", "leave the phase out"),
        (false, true, _) => Some(Curve::Constant(from)),
        (false, false, Some(stairs)) => Some(Curve::Stairs { from, to, stairs, over }),
        (false, false, None) => Some(Curve::Ramp { from, to, over }),
    }
}

pub(super) fn rate(reader: &mut Reader<'_>, entry: &Entry, text: &str) -> Option<f64> {
    let label = match parse_rate(text) {
        Ok(rate) if rate <= limits::MAX_RATE => return Some(rate),
        Ok(_) => format!("at most {}/s", limits::MAX_RATE),
        Err(RateError::NoUnit) => format!("did you mean `{}/s`?", text.trim()),
        Err(_) => "write `500/s`, `30/m` or `2k/s`".to_owned(),
    };
    let message = match parse_rate(text) {
        Err(error) => format!("{}: {error}", quote(&entry.key)),
        Ok(_) => format!("{} is too high", quote(&entry.key)),
    };
    reader.fail(entry.value.span, message, label)
}

pub(super) fn spread(reader: &mut Reader<'_>, phase: &Fields<'_>) -> Option<Spread> {
    let Some(entry) = phase.get("arrivals") else { return Some(Spread::Even) };
    if let Some(text) = entry.value.as_text().and_then(|t| t.strip_prefix("burst(")?.strip_suffix(')')) {
        let number = text.trim().parse::<u32>().ok().filter(|n| u64::from(*n) <= limits::MAX_BURST);
        return match number.and_then(NonZeroU32::new) {
            Some(n) => Some(Spread::Burst(n)),
            None => {
                let label = format!("a number from 1 to {}", limits::MAX_BURST);
                reader.fail(entry.value.span, "a burst is so many arrivals at a time", label)
            }
        };
    }
    reader.word(entry, &[("even", Spread::Even), ("poisson", Spread::Poisson)]).or_else(|| {
        reader.problems.note("arrivals are `even`, `poisson` or `burst(N)`".to_owned());
        None
    })
}

/// A time, a number, or both.
pub(super) fn backlog(reader: &mut Reader<'_>, phase: &Fields<'_>) -> Option<Backlog> {
    let default = Backlog { time: Some(limits::DEFAULT_BACKLOG), number: limits::MAX_BACKLOG };
    let Some(entry) = phase.get("backlog") else { return Some(default) };
    if let Kind::Map(_) = entry.value.kind {
        let fields = reader.map(entry, &place::BACKLOG)?;
        let time = match fields.get("time") {
            Some(entry) => limit(reader, entry)?,
            None => default.time,
        };
        let number = match fields.get("number") {
            Some(entry) => reader.integer(entry, 0..=limits::MAX_BACKLOG)?,
            None => default.number,
        };
        return Some(Backlog { time, number });
    }
    match entry.value.as_plain() {
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            let number = reader.integer(entry, 0..=limits::MAX_BACKLOG)?;
            Some(Backlog { number, ..default })
        }
        _ => Some(Backlog { time: limit(reader, entry)?, ..default }),
    }
}

fn limit(reader: &mut Reader<'_>, entry: &Entry) -> Option<Option<Duration>> {
    match entry.value.as_plain() {
        Some("none") => Some(None),
        _ => reader.duration(entry).map(Some),
    }
}

/// Arrivals at the times of a file.
fn replay(reader: &mut Reader<'_>, entry: &Entry) -> Option<Curve> {
    let (file, speed) = match entry.value.kind {
        Kind::Map(_) => {
            let fields = reader.map(entry, &place::REPLAY)?;
            let Some(file) = fields.get("file") else {
                return reader.fail(entry.key_span, "the replay has no `file`", "name one");
            };
            let speed = match fields.get("speed") {
                Some(entry) => {
                    let speed = entry.value.as_plain().and_then(|t| t.parse::<f64>().ok());
                    match speed.filter(|s| (0.001..=1_000_000.0).contains(s)) {
                        Some(speed) => speed,
                        None => return reader.mismatch(entry, "a factor above 0, such as `2` or `0.5`"),
                    }
                }
                None => 1.0,
            };
            (file, speed)
        }
        _ => (entry, 1.0),
    };
    let name = reader.text(file)?;
    let path = reader.base_dir.join(name);
    let text = match std::fs::read(&path) {
        Ok(bytes) if bytes.len() as u64 <= limits::MAX_ALL_BODY_BYTES => bytes,
        Ok(bytes) => {
            let label = format!("{} bytes; the limit is {}", bytes.len(), limits::MAX_ALL_BODY_BYTES);
            return reader.fail(file.value.span, format!("{} is too large", quote(name)), label);
        }
        Err(error) => return super::body::unreadable(reader, file.value.span, name, &error),
    };
    reader.files.push(path);
    match replay::times(&text, speed) {
        Ok(at) => Some(Curve::Times { at: Arc::from(at), each: NonZeroU32::MIN }),
        Err(error) => {
            let message = format!("{} cannot be replayed: {error}", quote(name));
            reader.fail(file.value.span, message, "lines begin with a time in ms, or are of an access log")
        }
    }
}
