//! `extract`: from a response into variables.

use super::check::{bad_path, pattern, value};
use crate::limits;
use crate::outline;
use crate::place;
use crate::program::{Extract, From, Path, Pick, Selector};
use crate::reader::{Fields, Reader};
use crate::source::quote;
use crate::tree::Entry;

/// Reads `extract`. The variables exist from here on.
pub(crate) fn read(reader: &mut Reader<'_>, step: &Fields<'_>) -> Option<Vec<Extract>> {
    let Some(entry) = step.get("extract") else { return Some(vec![]) };
    let entries = reader.named(entry, "variables to where they come from")?;
    if entries.len() > limits::MAX_CHECKS {
        return reader.fail(
            entry.key_span,
            format!("a step has at most {} extractors", limits::MAX_CHECKS),
            "",
        );
    }
    // All are defined even if some are wrong, so that later steps have no errors of their own.
    let places: Vec<Option<u16>> = entries.iter().map(|e| define(reader, e)).collect();
    let mut all = Vec::new();
    for (entry, place) in entries.iter().zip(places) {
        all.push(one(reader, entry, place));
    }
    all.into_iter().collect()
}

/// The place of a variable that gets a value here.
pub(crate) fn define(reader: &mut Reader<'_>, entry: &Entry) -> Option<u16> {
    match reader.scope.define(&entry.key) {
        Ok(place) => Some(place),
        Err(reason) => {
            reader.fail(entry.key_span, format!("{} cannot be a variable", quote(&entry.key)), reason)
        }
    }
}

fn one(reader: &mut Reader<'_>, entry: &Entry, place: Option<u16>) -> Option<Extract> {
    let fields = reader.map(entry, &place::EXTRACT)?;
    let mut given = place::EXTRACT_FROM.iter().filter_map(|key| fields.get(key));
    let Some(what) = given.next() else {
        if fields.odd {
            return None;
        }
        let message = format!("nothing says where {} comes from", quote(&entry.key));
        return reader.fail(entry.key_span, message, format!("give it {}", place::list(place::EXTRACT_FROM)));
    };
    if let Some(second) = given.next() {
        let message = format!("a variable comes from one place, and there is {} already", quote(&what.key));
        return reader.fail(second.key_span, message, "make it a variable of its own");
    }
    let from = from(reader, what, &fields)?;
    let pick = match fields.get("pick") {
        None => Pick::First,
        Some(entry) => pick(reader, entry)?,
    };
    let default = match fields.get("default") {
        None => None,
        Some(entry) => Some(value(reader, &entry.value)?),
    };
    let required = match fields.get("required") {
        None => true,
        Some(entry) => reader.boolean(entry)?,
    };
    for (key, of) in [("group", "regex"), ("attribute", "css")] {
        if let Some(odd) = fields.get(key).filter(|_| what.key != of) {
            return reader.fail(odd.key_span, format!("{} goes with `{of}`", quote(key)), "");
        }
    }
    let shown = outline::value(&entry.key, &entry.value).to_string();
    Some(Extract { name: entry.key.clone(), place: place?, from, pick, default, required, shown })
}

fn from(reader: &mut Reader<'_>, what: &Entry, fields: &Fields<'_>) -> Option<From> {
    if what.key == "body" {
        return match reader.boolean(what)? {
            true => Some(From::Body),
            false => reader.mismatch(what, "`true`"),
        };
    }
    let text = reader.text(what)?;
    Some(match what.key.as_str() {
        "json" => match Path::parse(text) {
            Ok(path) => From::Json(path),
            Err(error) => return bad_path(reader, what.value.span, text, error),
        },
        "header" => From::Header(text.to_owned()),
        "cookie" => From::Cookie(text.to_owned()),
        "css" => {
            let selector = match Selector::parse(text) {
                Ok(selector) => selector,
                Err((message, at)) => {
                    let span = reader.part(&what.value, at.start, at.end);
                    return reader.fail(span, format!("{} is not a selector", quote(text)), message);
                }
            };
            let attribute = match fields.get("attribute") {
                None => None,
                Some(entry) => Some(reader.text(entry)?.to_ascii_lowercase()),
            };
            From::Css(selector, attribute)
        }
        _ => {
            let pattern = pattern(reader, &what.value)?;
            let group = match fields.get("group") {
                None => usize::from(pattern.captures_len() > 1),
                Some(entry) => group(reader, entry, &pattern)?,
            };
            From::Regex(pattern, group)
        }
    })
}

fn group(reader: &mut Reader<'_>, entry: &Entry, pattern: &regex::bytes::Regex) -> Option<usize> {
    let text = reader.text(entry)?;
    let by_name = pattern.capture_names().position(|name| name == Some(text));
    let by_number = text.parse::<usize>().ok().filter(|n| *n < pattern.captures_len());
    match by_name.or(by_number) {
        Some(group) => Some(group),
        None => {
            let label = format!("it has {} besides the whole match", pattern.captures_len() - 1);
            reader.fail(entry.value.span, format!("the pattern has no group {}", quote(text)), label)
        }
    }
}

fn pick(reader: &mut Reader<'_>, entry: &Entry) -> Option<Pick> {
    let text = reader.text(entry)?;
    Some(match text {
        "first" => Pick::First,
        "last" => Pick::Last,
        "random" => Pick::Random,
        "all" => Pick::All,
        "count" => Pick::Count,
        number => match number.parse::<u64>() {
            Ok(n) => Pick::Nth(n),
            Err(_) => {
                return reader
                    .mismatch(entry, "`first`, `last`, `random`, `all`, `count` or a number from 0");
            }
        },
    })
}
