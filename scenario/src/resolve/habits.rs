//! What requests have in common: the plan's `defaults`, a scenario's own, and a step's own; and where they go.

use super::headers::{self, Header};
use super::tags;
use super::targets::Targets;
use crate::limits;
use crate::place;
use crate::plan::{Protocol, Target};
use crate::program::{Lifetime, OnError, Redirects};
use crate::reader::{Fields, Reader};
use crate::source::Span;
use crate::tags::Tags;
use crate::tree::Entry;
use std::time::Duration;

/// How requests are made unless a step says otherwise.
#[derive(Clone)]
pub(crate) struct Habits {
    pub headers: Vec<Header>,
    pub redirects: Redirects,
    pub cookies: bool,
    pub compression: bool,
    pub body_limit: usize,
    /// Read with each step: its templates are the scenario's.
    pub auth: Option<Entry>,
    pub lifetime: Lifetime,
    pub on_error: OnError,
    pub tags: Tags,
    /// What is spoken, and where that was said, if not what the plan says.
    pub protocol: Option<(Protocol, Span)>,
    /// Where relative steps go, if not to the plan's target.
    pub target: Option<Target>,
    /// How long a request may take, if not what the plan says.
    pub timeout: Option<Duration>,
}

/// The plan's `defaults`, over its `tags`. (`defaults.timeout` is read with the other timeouts.)
pub(crate) fn defaults(reader: &mut Reader<'_>, plan: &Fields<'_>) -> Habits {
    let habits = Habits {
        headers: vec![],
        redirects: Redirects::Manual,
        cookies: false,
        compression: false,
        body_limit: limits::BODY_LIMIT as usize,
        auth: None,
        lifetime: Lifetime::Iteration,
        on_error: OnError::Continue,
        tags: tags::read(reader, plan, &Tags::default()),
        protocol: None,
        target: None,
        timeout: None,
    };
    let Some(entry) = plan.get("defaults") else { return habits };
    let Some(fields) = reader.map(entry, &place::DEFAULTS) else { return habits };
    let mut habits = habits.with(reader, &fields);
    habits.headers = fields.get("headers").map(|entry| headers::read(reader, entry)).unwrap_or_default();
    habits
}

impl Habits {
    /// These, changed by the keys that are there. Headers stay as they are.
    pub fn with(&self, reader: &mut Reader<'_>, fields: &Fields<'_>) -> Habits {
        let mut habits = self.clone();
        if let Some(cookies) = fields.get("cookies").and_then(|entry| reader.boolean(entry)) {
            habits.cookies = cookies;
        }
        if let Some(compression) = fields.get("compression").and_then(|entry| reader.boolean(entry)) {
            habits.compression = compression;
        }
        let limit =
            fields.get("body_limit").and_then(|entry| reader.integer(entry, 1..=limits::MAX_BODY_LIMIT));
        if let Some(limit) = limit {
            habits.body_limit = limit as usize;
        }
        if let Some(entry) = fields.get("auth") {
            habits.auth = Some(entry.clone());
        }
        if let Some(entry) = fields.get("lifetime") {
            let words = [("per_iteration", Lifetime::Iteration), ("per_user", Lifetime::User)];
            habits.lifetime = reader.word(entry, &words).unwrap_or_default();
        }
        if let Some(entry) = fields.get("on_error") {
            let words = [("continue", OnError::Continue), ("end_iteration", OnError::EndIteration)];
            habits.on_error = reader.word(entry, &words).unwrap_or_default();
        }
        if let Some(redirects) = redirects(reader, fields) {
            habits.redirects = redirects;
        }
        habits.tags = tags::read(reader, fields, &self.tags);
        if let Some(entry) = fields.get("protocol") {
            let protocol = reader.word(entry, Protocol::WORDS);
            habits.protocol = protocol.map(|p| (p, entry.value.span)).or(habits.protocol);
        }
        habits
    }

    /// A scenario's: these, changed by the keys that are there.
    pub fn of_scenario(&self, reader: &mut Reader<'_>, fields: &Fields<'_>, targets: &mut Targets) -> Habits {
        let mut habits = self.with(reader, fields);
        if let Some(entry) = fields.get("headers") {
            habits.headers = headers::combine(&self.headers, headers::read(reader, entry));
        }
        if let Some(entry) = fields.get("timeout") {
            habits.timeout = reader.positive_duration(entry).or(habits.timeout);
        }
        if let Some(entry) = fields.get("target") {
            habits.target = targets.of_scenario(reader, entry);
            if habits.target.is_none() {
                // It was said that this is no target; what could be spoken there is not known.
                habits.protocol = None;
            }
        }
        habits
    }
}

fn redirects(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Redirects> {
    let most = match fields.get("follow_redirects") {
        None => None,
        Some(entry) => Some((reader.integer(entry, 0..=limits::MAX_REDIRECTS)?, entry)),
    };
    let Some(entry) = fields.get("redirects") else {
        return most.map(|(n, _)| if n == 0 { Redirects::Manual } else { Redirects::Follow(n as u8) });
    };
    let follow = Redirects::Follow(limits::REDIRECTS as u8);
    let words = [("follow", follow), ("manual", Redirects::Manual), ("error", Redirects::Error)];
    match (reader.word(entry, &words)?, most) {
        (Redirects::Follow(_), Some((n, _))) if n > 0 => Some(Redirects::Follow(n as u8)),
        (_, Some((_, entry))) => reader.fail(
            entry.key_span,
            "`follow_redirects` goes with `redirects: follow`",
            "leave one of them out",
        ),
        (redirects, None) => Some(redirects),
    }
}
