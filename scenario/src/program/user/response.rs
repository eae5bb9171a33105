//! What a user makes of a response: cookies, redirects, checks, extractors.

use super::{Done, Hop, Origin, Tally, User, Verdict, World, place};
use crate::expr::value::{Val, Value};
use crate::expr::{Env, EvalError};
use crate::limits;
use crate::program::check::{self, Check, CheckKind, Test};
use crate::program::cookies::Bomb;
use crate::program::decode::{Coding, decode};
use crate::program::extract::{Extract, From, Picker};
use crate::program::{
    BUILT_IN, Exchange, Handed, Hidden, OK, OnError, Program, RESPONSE_MS, Redirects, Rendered, STATUS,
};
use crate::secret::{self, Secrets};
use bytes::Bytes;
use proto::Fields;
use std::collections::HashMap;
use std::time::Duration;

/// What came of a check.
#[derive(Debug)]
pub(super) struct Judged {
    /// Which of the step's.
    index: usize,
    passed: bool,
    /// What was found instead, if somebody wants to know.
    found: Option<String>,
}

impl User {
    /// The head of the final response.
    pub fn head(
        &mut self,
        program: &Program,
        world: &mut World,
        status: u16,
        fields: &dyn Fields,
        tally: Tally,
    ) {
        let exchange = &program.exchanges[self.flight.step as usize];
        (self.flight.status, self.flight.truncated) = (status, false);
        (self.flight.coding, self.flight.hop) = (Coding::Identity, None);
        self.flight.judged.clear();
        if exchange.want.fields {
            self.fields(exchange, world, status, fields);
        }
        if exchange.want.body && self.flight.hop.is_none() && self.flight.body.capacity() == 0 {
            self.flight.body = world.pool.pop().unwrap_or_default();
        }
        self.flight.body.clear();
        if exchange.redirects == Redirects::Error && (300..400).contains(&status) && status != 304 {
            self.breaks(exchange, "a redirect, which the plan does not allow");
        }
        if self.flight.hop.is_none() && exchange.want.fields {
            self.judge_fields(program, world, fields, tally);
        }
    }

    /// Cookies, the coding, and where a redirect leads.
    fn fields(&mut self, exchange: &Exchange, world: &mut World, status: u16, fields: &dyn Fields) {
        let follows = exchange.follows() && matches!(status, 301 | 302 | 303 | 307 | 308);
        let (mut location, mut bomb) = (None, None);
        let (path, target) = (&self.flight.path, self.flight.target);
        let (jar, coding) = (&mut self.jar, &mut self.flight.coding);
        fields.each(&mut |name, value| match name.len() {
            8 if follows && name.eq_ignore_ascii_case(b"location") => location = Some(value.to_vec()),
            10 if exchange.cookies && name.eq_ignore_ascii_case(b"set-cookie") => {
                let path = std::str::from_utf8(path).unwrap_or("/");
                if let Err(error) = jar.store(value, place(world, target, path), world.wall) {
                    bomb = Some(error);
                }
            }
            16 if exchange.want.body && name.eq_ignore_ascii_case(b"content-encoding") => {
                *coding = Coding::of(value);
            }
            _ => {}
        });
        match bomb {
            Some(Bomb::Large) => self.breaks(exchange, "the server set a cookie of more than 4096 bytes"),
            Some(Bomb::Many) => self.breaks(exchange, "the server set more than 50 cookies"),
            None => {}
        }
        let Some(location) = location else { return };
        let Redirects::Follow(most) = exchange.redirects else { return };
        if self.flight.hops >= most {
            return self.breaks(exchange, "more redirects than are followed");
        }
        match self.resolve(world, &location) {
            Ok(target) => self.flight.hop = Some(Hop { target, same: matches!(status, 307 | 308) }),
            Err(reason) => self.breaks(exchange, reason),
        }
    }

    /// Where a location leads: the target; the path goes into `self.flight.path`.
    fn resolve(&mut self, world: &World, location: &[u8]) -> Result<u16, &'static str> {
        const BAD: &str = "a redirect to what is not a URL";
        let location = std::str::from_utf8(location).map_err(|_| BAD)?;
        let origin = &world.origins[usize::from(self.flight.target)];
        let path = std::str::from_utf8(&self.flight.path).map_err(|_| BAD)?;
        let base = format!("{}://{}{path}", origin.scheme.as_str(), origin.authority);
        let url = url::Url::parse(&base).and_then(|base| base.join(location)).map_err(|_| BAD)?;
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let is =
            |o: &Origin| o.scheme.as_str() == url.scheme() && o.authority.eq_ignore_ascii_case(authority);
        // It stays with the protocol of the step.
        let target = world.origins.iter().position(|o| o.protocol == origin.protocol && is(o));
        let target = target.ok_or(match world.origins.iter().any(is) {
            true => "a redirect to where the step's protocol is not spoken",
            false => "a redirect to a host that is not in the plan",
        })?;
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        if path.len() > limits::MAX_PATH_BYTES {
            return Err(BAD);
        }
        self.flight.path.clear();
        self.flight.path.extend_from_slice(path.as_bytes());
        Ok(target as u16)
    }

    /// Checks and extractors that look at header fields.
    fn judge_fields(&mut self, program: &Program, world: &mut World, fields: &dyn Fields, to: Tally) {
        let exchange = &program.exchanges[self.flight.step as usize];
        for (i, check) in exchange.checks.iter().enumerate() {
            let (name, test) = match &check.kind {
                CheckKind::Header(name, test) => (name, test),
                CheckKind::Cookie(name, test) => {
                    let found = self.jar.get(name);
                    let outcome = one(test, found.map(str::as_bytes), self.env(world));
                    self.judge(program, world, i, outcome, to, |_| secret::MASK.into());
                    continue;
                }
                _ => continue,
            };
            let env = self.env(world);
            let (mut any, mut outcome, mut sample) = (false, Ok(false), Vec::new());
            fields.each(&mut |n, value| {
                if n.eq_ignore_ascii_case(name.as_bytes()) {
                    any = true;
                    if outcome == Ok(false) {
                        outcome = test.holds_for_bytes(value, env);
                        if outcome == Ok(false) && sample.is_empty() {
                            sample.extend_from_slice(&value[..value.len().min(limits::MAX_SAMPLE)]);
                        }
                    }
                }
            });
            if matches!(test, Test::Absent) {
                outcome = Ok(!any);
            }
            self.judge(program, world, i, outcome, to, |_| match (any, secret::is_field(name)) {
                (false, _) => "the header is not there".into(),
                (true, true) => secret::MASK.into(),
                (true, false) => show(&sample),
            });
        }
        for extract in &exchange.extracts {
            match &extract.from {
                From::Header(name) => self.extract(program, extract, |picker| {
                    let mut more = true;
                    fields.each(&mut |n, value| {
                        if more && n.eq_ignore_ascii_case(name.as_bytes()) {
                            more = picker.offer_bytes(value);
                        }
                    });
                    Ok(())
                }),
                From::Cookie(name) => {
                    let value = self.jar.get(name).map(str::to_owned);
                    self.extract(program, extract, |picker| {
                        value.map(|v| picker.offer_bytes(v.as_bytes()));
                        Ok(())
                    });
                }
                _ => {}
            }
        }
    }

    /// A piece of the body.
    #[inline]
    pub fn body(&mut self, program: &Program, bytes: &[u8]) {
        let exchange = &program.exchanges[self.flight.step as usize];
        if !exchange.want.body || self.flight.hop.is_some() {
            return;
        }
        let room = exchange.body_limit - self.flight.body.len().min(exchange.body_limit);
        if bytes.len() > room {
            self.flight.truncated = true;
        }
        self.flight.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The response is complete: checks and extractors.
    pub fn done(&mut self, program: &Program, world: &mut World, done: Done) -> Verdict {
        let exchange = &program.exchanges[self.flight.step as usize];
        self.vars[STATUS] = Value::Int(i64::from(self.flight.status));
        if self.flight.hop.is_some() {
            return Verdict { expected: true, passed: 0, failed: 0 };
        }
        let expected = exchange.expected.contains(self.flight.status);
        if exchange.want.body {
            self.judge_body(program, world, done.tally);
        }
        for (i, check) in exchange.checks.iter().enumerate() {
            let outcome = match &check.kind {
                CheckKind::Status(set) => set.contains(self.flight.status),
                CheckKind::Time(limit) => limit.holds(done.response),
                CheckKind::Protocol(name) => name == done.protocol,
                _ => continue,
            };
            let status = self.flight.status;
            self.judge(program, world, i, Ok(outcome), done.tally, |check| match &check.kind {
                CheckKind::Status(_) => status.to_string(),
                CheckKind::Time(_) => crate::duration::show_duration(Duration::from_nanos(done.response)),
                _ => done.protocol.to_owned(),
            });
        }
        self.vars[RESPONSE_MS] = Value::Float(done.response as f64 / 1e6);
        let (passed, failed) = self.count_checks(program, world, done.tally);
        self.vars[OK] = Value::Bool(expected && failed == 0);
        if !expected && program.on_error == OnError::EndIteration {
            let status = self.flight.status;
            self.broken
                .get_or_insert_with(|| format!("{}: the status {status} was not expected", exchange.name));
        }
        self.note_extracts(exchange, world);
        world.give_back(std::mem::take(&mut self.flight.body));
        self.flight.payload = Bytes::new();
        Verdict { expected, passed, failed }
    }

    /// The request failed without a complete response.
    pub fn failed(&mut self, program: &Program, world: &mut World, detail: &'static str) {
        let exchange = &program.exchanges[self.flight.step as usize];
        world.give_back(std::mem::take(&mut self.flight.body));
        self.flight.payload = Bytes::new();
        self.flight.hop = None;
        (self.vars[STATUS], self.vars[OK]) = (Value::Int(0), Value::Bool(false));
        let needed = exchange.extracts.iter().any(|e| e.required && e.default.is_none());
        if needed || program.on_error == OnError::EndIteration {
            self.broken.get_or_insert_with(|| format!("{}: {detail}", exchange.name));
        } else {
            exchange.extracts.iter().for_each(|e| {
                if let Some(default) = &e.default {
                    self.assign(e.place, default.clone(), program);
                }
            });
        }
    }

    /// The iteration ends here for a reason of the engine's.
    pub fn give_up(&mut self, program: &Program, detail: &str) {
        let name = &program.exchanges[self.flight.step as usize].name;
        self.broken.get_or_insert_with(|| format!("{name}: {detail}"));
    }

    fn judge_body(&mut self, program: &Program, world: &mut World, to: Tally) {
        let exchange = &program.exchanges[self.flight.step as usize];
        let body = std::mem::take(&mut self.flight.body);
        let mut decoded = std::mem::take(&mut world.scratch);
        let mut seen = Some(&body[..]);
        if self.flight.coding != Coding::Identity {
            // A body cut off at the limit cannot be decoded to its end; what comes out before is good.
            match decode(self.flight.coding, &body, exchange.body_limit, &mut decoded) {
                Ok(more) => {
                    self.flight.truncated |= more;
                    seen = Some(&decoded[..]);
                }
                Err(_) if self.flight.truncated => seen = Some(&decoded[..]),
                Err(_) => seen = None,
            }
        }
        for (i, check) in exchange.checks.iter().enumerate() {
            if !check.kind.needs_body() {
                continue;
            }
            let outcome = match seen {
                Some(seen) => self.check_body(&check.kind, seen, world),
                None => Ok(false),
            };
            let truncated = self.flight.truncated;
            self.judge(program, world, i, outcome, to, |check| match (seen, &check.kind) {
                (None, _) => "the body is not what content-encoding says".into(),
                (Some(_), _) if truncated => "only the start of the body was kept: raise body_limit".into(),
                (Some(seen), CheckKind::JsonSchema(schema)) => {
                    show(schema.fault(seen).unwrap_or_default().as_bytes())
                }
                (Some(seen), _) => show(seen),
            });
        }
        for extract in exchange.extracts.iter().filter(|e| e.from.needs_body()) {
            match seen {
                Some(seen) => {
                    let locations = &mut world.locations;
                    self.extract(program, extract, |picker| find(&extract.from, seen, locations, picker));
                }
                None => self.breaks(exchange, "the body is not what content-encoding says"),
            }
        }
        decoded.clear();
        world.scratch = decoded;
        self.flight.body = body;
    }

    fn check_body(&self, kind: &CheckKind, body: &[u8], world: &World) -> Result<bool, EvalError> {
        let env = self.env(world);
        match kind {
            CheckKind::Body(test) => match test {
                Test::Absent => Ok(body.is_empty()),
                Test::Exists => Ok(!body.is_empty()),
                Test::Equals(_) if self.flight.truncated => Ok(false),
                test => test.holds_for_bytes(body, env),
            },
            CheckKind::BodySize(limit) => Ok(!self.flight.truncated && limit.holds(body.len() as u64)),
            CheckKind::BodySha256(digest) => Ok(!self.flight.truncated && check::sha256(body) == *digest),
            CheckKind::JsonSchema(schema) => Ok(!self.flight.truncated && schema.fault(body).is_none()),
            CheckKind::Json(path, test) => {
                let (mut any, mut outcome) = (false, Ok(false));
                let read = path.each(body, |value| {
                    any = true;
                    outcome = test.holds(&value, env);
                    outcome == Ok(false)
                });
                match (read, test) {
                    (Err(_), _) => Ok(false),
                    (Ok(()), Test::Absent) => Ok(!any),
                    (Ok(()), _) => outcome,
                }
            }
            CheckKind::Css(selector, attribute, test) => {
                let (mut any, mut outcome) = (false, Ok(false));
                selector.each(body, attribute.as_deref(), |text| {
                    any = true;
                    outcome = test.holds_for_bytes(text, env);
                    outcome == Ok(false)
                });
                if matches!(test, Test::Absent) { Ok(!any) } else { outcome }
            }
            _ => Ok(true),
        }
    }

    fn extract(
        &mut self,
        program: &Program,
        extract: &Extract,
        find: impl FnOnce(&mut Picker<'_>) -> Result<(), &'static str>,
    ) {
        let now = &mut self.vars[usize::from(extract.place)];
        // The memory of what is there is used again, unless it is to be remembered.
        let mut value = match program.hidden.has(extract.place) && *now != Value::Unset {
            true => self.past.spare(),
            false => std::mem::take(now),
        };
        let mut picker = Picker::new(extract.pick, &self.random, &mut value);
        let read = find(&mut picker);
        picker.finish();
        let (found, bad) = (picker.found, picker.bad);
        let reason = match (found, read, bad) {
            (true, _, None) => None,
            (_, _, Some(bad)) => Some(bad.0),
            (_, Err(reason), _) => Some(reason),
            (false, Ok(()), None) => Some(extract.from.what()),
        };
        let Some(reason) = reason else { return self.assign(extract.place, value, program) };
        let truncated = if self.flight.truncated {
            " (only the start of the body was kept: raise body_limit)"
        } else {
            ""
        };
        match &extract.default {
            Some(default) => self.assign(extract.place, default.clone(), program),
            None => {
                self.assign(extract.place, Value::Unset, program);
                if extract.required {
                    let (step, name) = (&program.exchanges[self.flight.step as usize].name, &extract.name);
                    self.broken
                        .get_or_insert_with(|| format!("{step}: nothing for {name}: {reason}{truncated}"));
                }
            }
        }
    }

    /// Judges a check. It counts when the response is complete.
    fn judge(
        &mut self,
        program: &Program,
        world: &World,
        index: usize,
        outcome: Result<bool, EvalError>,
        to: Tally,
        sample: impl FnOnce(&Check) -> String,
    ) {
        let exchange = &program.exchanges[self.flight.step as usize];
        let passed = outcome == Ok(true);
        let at = to.map(|first| first + exchange.first_check as usize + index);
        let sampled = at.is_some_and(|at| world.checks[at].samples.len() < limits::MAX_SAMPLES);
        let found = (!passed && (sampled || world.notes.is_some())).then(|| match outcome {
            Ok(_) => sample(&exchange.checks[index]),
            Err(EvalError::Unset(_)) => "the expected value has a variable without a value".into(),
            Err(EvalError::Bad(reason)) => reason.into(),
        });
        self.flight.judged.push(Judged { index, passed, found });
    }

    /// Counts the checks of a complete response; returns how many passed and how many failed. What was found instead shows nothing
    /// that extractors have found in it either.
    fn count_checks(&mut self, program: &Program, world: &mut World, to: Tally) -> (u32, u32) {
        let exchange = &program.exchanges[self.flight.step as usize];
        let mut judged = std::mem::take(&mut self.flight.judged);
        let any = judged.iter().any(|j| j.found.is_some());
        let secrets = any.then(|| self.secrets(program, world));
        let passed = judged.iter().filter(|j| j.passed).count() as u32;
        let failed = judged.len() as u32 - passed;
        for Judged { index, passed, found } in judged.drain(..) {
            let found = found.zip(secrets.as_ref()).map(|(found, secrets)| secrets.mask_text(&found));
            if let Some(notes) = &mut world.notes {
                let name = &exchange.checks[index].name;
                notes.push(match &found {
                    None => format!("check {name}: ok"),
                    Some(found) => format!("check {name}: FAIL, found {found}"),
                });
            }
            let Some(first) = to else { continue };
            let tally = &mut world.checks[first + exchange.first_check as usize + index];
            tally.passed += u64::from(passed);
            tally.failed += u64::from(!passed);
            if tally.samples.len() < limits::MAX_SAMPLES {
                tally.samples.extend(found);
            }
        }
        self.flight.judged = judged;
        (passed, failed)
    }

    /// What nobody is to see of the present request, its response and the user.
    pub fn secrets(&self, program: &Program, world: &World) -> Secrets {
        let exchange = &program.exchanges[self.flight.step as usize];
        let mut secrets = self.lasting_secrets(&program.hidden, world);
        // A value could not be worked out: nothing was sent then.
        if self.flight.ends.len() >= exchange.values.len() {
            let rendered = Rendered { values: &self.flight.rendered, ends: &self.flight.ends };
            for (name, text) in &exchange.credentials {
                let mut value = Vec::new();
                rendered.write(text, &mut value);
                secrets.add_field(name, &value);
            }
            for text in &exchange.parameters {
                let mut value = Vec::new();
                rendered.write(text, &mut value);
                secrets.add_parameter(&value);
            }
        }
        secrets
    }

    /// What nobody is to see of the user, whatever its present request is.
    fn lasting_secrets(&self, hidden: &Hidden, world: &World) -> Secrets {
        let mut secrets = world.known.clone();
        // `iteration` and the like are in any text.
        for place in hidden.places.iter().filter(|place| usize::from(**place) >= BUILT_IN.len()) {
            self.env(world).value(*place).into_iter().for_each(|value| hide(value, &mut secrets));
        }
        self.past.iter().for_each(|value| hide(value, &mut secrets));
        for pair in hidden.pairs.iter().filter_map(|pair| pair.eval(self.env(world)).ok()) {
            secrets.add(pair.into_text().as_bytes());
        }
        for (name, value) in &hidden.fields {
            secrets.add_field(name, value.reveal().as_bytes());
        }
        self.jar.values().for_each(|cookie| secrets.add(cookie.as_bytes()));
        secrets
    }

    /// A text that the plan makes for people, without what nobody is to see.
    pub fn masked(&self, program: &Program, world: &World, text: &str) -> String {
        let secrets = self.lasting_secrets(&program.hidden, world);
        secrets.mask_whole(text)
    }

    /// What the extractors of a step have found, for whoever looks at single requests.
    fn note_extracts(&self, exchange: &Exchange, world: &mut World) {
        let Some(notes) = &mut world.notes else { return };
        for extract in &exchange.extracts {
            let value = &self.vars[usize::from(extract.place)];
            let text = value.get().map(Val::into_text);
            notes.push(match (text, extract.is_secret()) {
                (None, _) => format!("extract {}: nothing", extract.name),
                (Some(text), true) => {
                    format!("extract {}: {} ({} bytes)", extract.name, secret::MASK, text.len())
                }
                (Some(text), false) => format!("extract {}: {}", extract.name, show(text.as_bytes())),
            });
        }
    }

    fn breaks(&mut self, exchange: &Exchange, reason: &str) {
        self.broken.get_or_insert_with(|| format!("{}: {reason}", exchange.name));
    }

    /// The values that this user, who does the setup of a run, hands to all others.
    pub fn hand_over(&self, world: &World) -> Handed {
        let value = |place: &u16| self.vars.get(usize::from(*place)).cloned().unwrap_or(Value::Unset);
        Handed(world.hands.iter().map(value).collect())
    }

    /// Bytes that the user takes, without its response buffer.
    pub fn footprint(&self) -> usize {
        size_of::<User>()
            + self.vars.capacity() * size_of::<Value>()
            + self.vars.iter().chain(self.past.iter()).map(Value::footprint).sum::<usize>()
            + self.flight.rendered.capacity()
            + self.flight.ends.capacity() * 4
            + self.flight.path.capacity()
            + self.counters.capacity() * 4
    }
}

fn one(test: &Test, found: Option<&[u8]>, env: Env<'_>) -> Result<bool, EvalError> {
    match (found, test) {
        (None, test) => Ok(matches!(test, Test::Absent)),
        (Some(value), test) => test.holds_for_bytes(value, env),
    }
}

/// Where the groups of a pattern matched: kept by pattern (by its address; programs outlive worlds), since to make one
/// takes memory.
pub(super) type Locations = HashMap<usize, regex::bytes::CaptureLocations>;

/// Offers what a group matched in each match of a pattern, as `captures_iter` would find them.
fn find_pattern(
    pattern: &regex::bytes::Regex,
    group: usize,
    body: &[u8],
    locations: &mut Locations,
    picker: &mut Picker<'_>,
) {
    let key = std::ptr::from_ref(pattern).addr();
    let places = locations.entry(key).or_insert_with(|| pattern.capture_locations());
    let (mut at, mut last) = (0, None);
    while at <= body.len()
        && let Some(found) = pattern.captures_read_at(places, body, at)
    {
        let (empty, end) = (found.is_empty(), found.end());
        at = if empty { end + 1 } else { end };
        // Nothing right behind a match is no match of its own.
        if empty && last == Some(end) {
            continue;
        }
        last = Some(end);
        if let Some((from, to)) = places.get(group)
            && !picker.offer_bytes(&body[from..to])
        {
            return;
        }
    }
}

fn find(
    from: &From,
    body: &[u8],
    locations: &mut Locations,
    picker: &mut Picker<'_>,
) -> Result<(), &'static str> {
    match from {
        From::Json(path) => path.each(body, |value| picker.offer(value)).map_err(|_| "the body is not JSON"),
        From::Regex(pattern, group) => {
            find_pattern(pattern, *group, body, locations, picker);
            Ok(())
        }
        From::Css(selector, attribute) => {
            selector.each(body, attribute.as_deref(), |text| picker.offer_bytes(text));
            Ok(())
        }
        From::Body if body.is_empty() => Ok(()),
        From::Body => {
            picker.offer_bytes(body);
            Ok(())
        }
        From::Header(_) | From::Cookie(_) => Ok(()),
    }
}

/// Adds the text of a value, of a list those of all in it. That something is true or missing is no secret.
fn hide(value: &Value, secrets: &mut Secrets) {
    match value {
        Value::List(list) => list.iter().for_each(|value| hide(value, secrets)),
        Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Number(_) => {
            let text = value.get().map(Val::into_text).unwrap_or_default();
            secrets.add(text.as_bytes());
        }
        Value::Unset | Value::Null | Value::Bool(_) => {}
    }
}

/// The start of something, harmless for a terminal.
pub(super) fn show(bytes: &[u8]) -> String {
    let part = &bytes[..bytes.len().min(limits::MAX_SAMPLE * 4)];
    let text = String::from_utf8_lossy(part);
    let mut out: String =
        text.chars().take(limits::MAX_SAMPLE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > limits::MAX_SAMPLE || part.len() < bytes.len() {
        out.push_str("...");
    }
    out
}

const _: () = assert!(size_of::<User>() <= 512, "20,000 users fit into little memory");
