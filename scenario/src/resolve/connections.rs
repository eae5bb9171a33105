//! `tls`, `connections` and `timeouts`.

use super::targets::Targets;
use super::{mix, network};
use crate::limits;
use crate::place;
use crate::plan::{
    Connections, Family, Identity, Phase, Protocol, Route, Share, Socket, Timeouts, Tls, TlsVersion, Track,
    most_users,
};
use crate::reader::{Fields, Reader};
use crate::source::quote;
use crate::tree::{Entry, Kind, Node};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

/// Whether the user decided on verification.
pub(crate) fn says_verify(tls: &Entry) -> bool {
    match &tls.value.kind {
        Kind::Map(entries) => entries.iter().any(|e| matches!(e.key.as_str(), "verify" | "insecure" | "ca")),
        _ => false,
    }
}

/// Reads `tls`.
pub(crate) fn tls(reader: &mut Reader<'_>, plan: &Fields<'_>) -> Option<Tls> {
    let mut tls = Tls::default();
    let Some(entry) = plan.get("tls") else { return Some(tls) };
    let fields = reader.map(entry, &place::TLS)?;
    if let Some(entry) = fields.get("verify") {
        tls.verify = reader.boolean(entry).unwrap_or_default();
    }
    if let Some(entry) = fields.get("insecure") {
        if fields.get("verify").is_some() {
            let message = "`verify` and `insecure` say the same thing";
            reader.problems.add(entry.key_span, message, "leave one of them out");
        }
        tls.verify = !reader.boolean(entry).unwrap_or_default();
    }
    if let Some(entry) = fields.get("ca") {
        tls.ca = certificates(reader, entry);
    }
    if let Some(entry) = fields.get("sni") {
        tls.sni = server_name(reader, entry);
    }
    if let Some(entry) = fields.get("ciphers") {
        tls.ciphers = names(reader, entry, "cipher suites").unwrap_or_default();
    }
    if let Some(entry) = fields.get("groups") {
        tls.groups = names(reader, entry, "key-exchange groups").unwrap_or_default();
    }
    if let Some(entry) = fields.get("resumption") {
        tls.resumption = reader.boolean(entry).unwrap_or_default();
    }
    if let Some(entry) = fields.get("early_data") {
        tls.early_data = reader.boolean(entry).unwrap_or_default();
    }
    tls.identity = identity(reader, &fields);
    if let Some(entry) = fields.get("alpn") {
        tls.alpn = names(reader, entry, "protocols").unwrap_or_default();
    }
    for (key, place) in [("min_version", &mut tls.min), ("max_version", &mut tls.max)] {
        if let Some(entry) = fields.get(key) {
            *place = version(reader, entry).unwrap_or(*place);
        }
    }
    if let (true, Some(entry)) = (tls.min > tls.max, fields.get("min_version")) {
        let message = "`min_version` is above `max_version`";
        reader.problems.add(entry.value.span, message, "then no version is left");
    }
    Some(tls)
}

/// A key may stand in the file of its certificate; a certificate may not go without one.
fn identity(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Identity> {
    let (cert, key) = (fields.get("cert"), fields.get("key"));
    if let (None, Some(key)) = (cert, key) {
        return reader.fail(key.key_span, "`key` without `cert`", "add `cert: FILE`");
    }
    let cert = certificates(reader, cert?)?;
    let key = match key {
        Some(entry) => certificates(reader, entry)?,
        None => cert.clone(),
    };
    Some(Identity { cert, key })
}

fn version(reader: &mut Reader<'_>, entry: &Entry) -> Option<TlsVersion> {
    let text = reader.text(entry)?;
    match TlsVersion::parse(text) {
        Ok(version) => Some(version),
        Err(expected) => {
            reader.fail(entry.value.span, format!("{} is no version of TLS", quote(text)), expected)
        }
    }
}

/// What is offered must hold what the protocol needs.
pub(crate) fn check_alpn(reader: &mut Reader<'_>, plan: &Fields<'_>, tls: &Tls, lists: &[&Targets]) {
    let entry = plan.get("tls").and_then(|tls| tls.value.entry("alpn"));
    let Some(entry) = entry.filter(|_| !tls.alpn.is_empty()) else { return };
    if lists.iter().any(|targets| targets.is_mixed()) {
        let message =
            "`alpn` is one list, and this plan's steps and scenarios have a `protocol` of their own";
        return reader.problems.add(
            entry.key_span,
            message,
            "leave it out: each protocol offers what it needs",
        );
    }
    let offers = |name: &str| tls.alpn.iter().any(|n| n == name);
    let lacks = match lists[0].plan_protocol() {
        Protocol::H1 if !offers("http/1.1") => "http/1.1",
        Protocol::H2 if !offers("h2") => "h2",
        Protocol::Auto if !offers("h2") && !offers("http/1.1") => "h2` or `http/1.1",
        _ => return,
    };
    let message = format!("`alpn` does not offer `{lacks}`, which the plan's protocol needs");
    reader.problems.add(entry.value.span, message, format!("add `{lacks}`"));
}

fn certificates(reader: &mut Reader<'_>, entry: &Entry) -> Option<PathBuf> {
    let name = reader.text(entry)?;
    let path = reader.base_dir.join(name);
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_file() => {
            reader.files.push(path.clone());
            Some(path)
        }
        Ok(_) => {
            reader.fail(entry.value.span, format!("{} is not a file", quote(name)), "expected a regular file")
        }
        Err(error) => super::body::unreadable(reader, entry.value.span, name, &error),
    }
}

fn server_name(reader: &mut Reader<'_>, entry: &Entry) -> Option<String> {
    let name = reader.text(entry)?;
    match url::Host::parse(name) {
        Ok(url::Host::Domain(name)) => Some(name),
        _ => reader.fail(
            entry.value.span,
            format!("{} is not a server name", quote(name)),
            "expected a DNS name",
        ),
    }
}

/// A list of names, or one text with `:` between them, as OpenSSL writes it.
fn names(reader: &mut Reader<'_>, entry: &Entry, of: &str) -> Option<Vec<String>> {
    if let Some(text) = entry.value.as_text() {
        let names: Vec<String> = text.split(':').map(|n| n.trim().to_owned()).collect();
        return match names.len() <= limits::MAX_LIST && names.iter().all(|n| is_algorithm(n)) {
            true => Some(names),
            false => reader.mismatch(entry, &format!("names of {of}")),
        };
    }
    let mut names = Vec::new();
    for item in reader.list(entry, of, limits::MAX_LIST)? {
        match item.as_text().filter(|text| is_algorithm(text)) {
            Some(text) => names.push(text.to_owned()),
            None => {
                let found = Reader::found(item);
                reader.problems.add(
                    item.span,
                    format!("{} must be names of {of}", quote(&entry.key)),
                    format!("found {found}"),
                );
            }
        }
    }
    Some(names)
}

fn is_algorithm(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::MAX_NAME
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

/// Reads `timeouts` and, since it means the same as `timeouts.request`, `defaults.timeout`.
pub(crate) fn timeouts(reader: &mut Reader<'_>, plan: &Fields<'_>) -> Option<Timeouts> {
    let mut timeouts = Timeouts::default();
    let default = default_timeout(plan);
    if let Some(entry) = default {
        timeouts.request = reader.time_limit(entry).unwrap_or_default();
    }
    let Some(entry) = plan.get("timeouts") else { return Some(timeouts) };
    let fields = reader.map(entry, &place::TIMEOUTS)?;
    let places: [(&str, &mut Option<Duration>); 6] = [
        ("connect", &mut timeouts.connect),
        ("handshake", &mut timeouts.handshake),
        ("request", &mut timeouts.request),
        ("idle", &mut timeouts.idle),
        ("active", &mut timeouts.active),
        ("inactive", &mut timeouts.inactive),
    ];
    for (key, place) in places {
        if let Some(entry) = fields.get(key) {
            *place = reader.time_limit(entry).unwrap_or_default();
        }
    }
    if let (Some(_), Some(entry)) = (default, fields.get("request")) {
        let message = "`timeouts.request` and `defaults.timeout` say the same thing";
        reader.problems.add(entry.key_span, message, "leave one of them out");
    }
    Some(timeouts)
}

fn default_timeout<'n>(plan: &Fields<'n>) -> Option<&'n Entry> {
    plan.get("defaults")?.value.entry("timeout")
}

/// Requests that a user has under way at a time, and whether a connection can hold several.
#[derive(Clone, Copy)]
pub(crate) struct Width {
    pub width: u32,
    pub multiplexed: bool,
}

/// Reads `connections`; what it leaves open follows from the phases.
pub(crate) fn connections(
    reader: &mut Reader<'_>,
    plan: &Fields<'_>,
    phases: &[Phase],
    tracks: &[Track],
    Width { width, multiplexed }: Width,
) -> Option<Connections> {
    // More users than are allowed are refused elsewhere.
    let users = match most_users(tracks, phases, |p| p.load.makes_requests()) {
        // All phases are of handshakes.
        0 if !phases.is_empty() => limits::DEFAULT_USERS_MAX,
        users => users,
    };
    let users = NonZeroU32::new(users).unwrap_or(NonZeroU32::MIN);
    let width = NonZeroU32::new(width).unwrap_or(NonZeroU32::MIN);
    let mut connections = Connections {
        max: users,
        streams: NonZeroU32::MIN,
        share: Share::Pool,
        requests_per_connection: None,
        lifetime: None,
        mix: None,
        ramp_up: Duration::ZERO,
        ramp_step: NonZeroU32::MIN,
        own_parts: false,
        alt_svc: false,
        socket: Socket::default(),
        family: Family::Any,
        route: Route::default(),
    };
    // As browsers do: requests at a time share a connection where they can, and have one each where not.
    let all = u32::try_from(limits::MAX_CONNECTIONS).ok().and_then(NonZeroU32::new).unwrap_or(users);
    match multiplexed {
        true => connections.streams = width,
        false => connections.max = users.saturating_mul(width).min(all),
    }
    let Some(entry) = plan.get("connections") else { return Some(connections) };
    if matches!(entry.value.kind, Kind::Scalar { .. }) {
        connections.max = count(reader, entry, limits::MAX_CONNECTIONS)?;
        return Some(connections);
    }
    let fields = reader.map(entry, &place::CONNECTIONS)?;
    // What is wrong has its message; going on with the default finds the next one.
    if let Some(entry) = fields.get("max") {
        connections.max = count(reader, entry, limits::MAX_CONNECTIONS).unwrap_or(users);
    }
    if let Some(entry) = fields.get("streams") {
        connections.streams = count(reader, entry, limits::MAX_STREAMS).unwrap_or(users);
    }
    if let Some(entry) = fields.get("ramp_up") {
        connections.ramp_up = reader.duration(entry).unwrap_or_default();
    }
    if let Some(entry) = fields.get("family") {
        let words = [("any", Family::Any), ("v4", Family::V4), ("v6", Family::V6)];
        connections.family = reader.word(entry, &words).unwrap_or_default();
    }
    connections.requests_per_connection = lifetime(reader, &fields);
    connections.lifetime = fields.get("lifetime").and_then(|entry| reader.positive_duration(entry));
    connections.alt_svc = fields.get("alt_svc").and_then(|entry| reader.boolean(entry)).unwrap_or_default();
    connections.mix = mix::read(reader, &fields);
    connections.route = network::route(reader, &fields);
    connections.socket = network::socket(reader, &fields);
    if let Some(entry) = fields.get("share") {
        let words = [("pool", Share::Pool), ("per_user", Share::PerUser)];
        connections.share = reader.word(entry, &words).unwrap_or(Share::Pool);
        if connections.share == Share::PerUser && fields.get("max").is_none() {
            connections.max = users;
        }
        check_share(reader, entry, &connections, users);
        if connections.share == Share::PerUser && tracks.len() > 1 {
            let message = "users own connections only where all scenarios go through the same phases";
            reader.problems.add(entry.value.span, message, "use `share: pool`");
        }
    }
    Some(connections)
}

/// Of handshakes there are as many at a time as there may be connections, or where the plan does not say, as many as a schedule
/// has users.
pub(crate) fn bound_handshakes(plan: &Fields<'_>, phases: &mut [Phase], max: NonZeroU32) {
    let most = match places(plan) {
        Some(_) => max,
        None => NonZeroU32::new(limits::DEFAULT_USERS_MAX).map_or(max, |default| default.max(max)),
    };
    phases.iter_mut().filter(|p| !p.load.makes_requests()).for_each(|p| p.users = most);
}

/// How many requests the plan's connections hold at a time, where it says how many there are. Errors are [`connections`]'
/// affair.
pub(crate) fn places(plan: &Fields<'_>) -> Option<NonZeroU32> {
    let number = |node: &Node| node.as_plain()?.parse::<u32>().ok();
    let entry = plan.get("connections")?;
    let places = match &entry.value.kind {
        Kind::Map(entries) => {
            let of = |key: &str| entries.iter().find(|e| e.key == key).map(|e| number(&e.value));
            of("max")??.checked_mul(of("streams").flatten().unwrap_or(1))?
        }
        _ => number(&entry.value)?,
    };
    NonZeroU32::new(places.min(limits::MAX_USERS as u32))
}

fn count(reader: &mut Reader<'_>, entry: &Entry, most: u64) -> Option<NonZeroU32> {
    reader.integer(entry, 1..=most).and_then(|n| u32::try_from(n).ok()).and_then(NonZeroU32::new)
}

/// `keep_alive: false` is one request per connection.
fn lifetime(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<NonZeroU64> {
    let limit = fields
        .get("requests_per_connection")
        .and_then(|entry| reader.integer(entry, 1..=u64::MAX))
        .and_then(NonZeroU64::new);
    let Some(entry) = fields.get("keep_alive") else { return limit };
    match (reader.boolean(entry), limit) {
        (Some(false), Some(limit)) if limit.get() > 1 => reader.fail(
            entry.key_span,
            format!("`keep_alive: false` contradicts `requests_per_connection: {limit}`"),
            "leave one of them out",
        ),
        (Some(false), _) => Some(NonZeroU64::MIN),
        _ => limit,
    }
}

/// Where each user owns a place on a connection there must be one for each.
fn check_share(reader: &mut Reader<'_>, entry: &Entry, c: &Connections, users: NonZeroU32) {
    let places = u64::from(c.max.get()) * u64::from(c.streams.get());
    if c.share == Share::Pool || places >= u64::from(users.get()) {
        return;
    }
    let message = format!("`share: per_user` with {users} users needs as many places on connections");
    let label = format!("max {} x streams {} gives {places}", c.max, c.streams);
    reader.problems.add(entry.value.span, message, label);
}
