//! What `connections` says about the network: `source`, `proxy`, `connect_to`, `resolve`, `socket` and so on.

use crate::limits;
use crate::network::{self, Whom};
use crate::place;
use crate::plan::{Proxy, ProxyProtocol, Route, Socket, Target};
use crate::reader::{Fields, Reader};
use crate::source::quote;
use crate::tree::{Entry, Kind, Node};
use std::net::IpAddr;

/// Reads `source`, `proxy` and `proxy_protocol`.
pub(crate) fn route(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Route {
    Route {
        sources: fields.get("source").map(|entry| sources(reader, entry)).unwrap_or_default(),
        proxy: fields.get("proxy").and_then(|entry| proxy(reader, entry)),
        proxy_protocol: fields.get("proxy_protocol").and_then(|entry| proxy_protocol(reader, entry)),
    }
}

/// The value is not repeated: it may hold a password.
fn proxy(reader: &mut Reader<'_>, entry: &Entry) -> Option<Proxy> {
    match network::proxy(reader.text(entry)?) {
        Ok(proxy) => Some(proxy),
        Err(expected) => reader.fail(entry.key_span, "this is no proxy that can be used", expected),
    }
}

/// A version, or a map with the version and the addresses to name.
fn proxy_protocol(reader: &mut Reader<'_>, entry: &Entry) -> Option<ProxyProtocol> {
    if let Kind::Scalar { .. } = entry.value.kind {
        let version = parsed(reader, entry, network::proxy_version)?;
        return Some(ProxyProtocol { version, sources: vec![] });
    }
    let fields = reader.map(entry, &place::PROXY_PROTOCOL)?;
    let sources = fields.get("source").map(|entry| sources(reader, entry)).unwrap_or_default();
    match fields.get("version") {
        Some(entry) => {
            let version = parsed(reader, entry, network::proxy_version)?;
            Some(ProxyProtocol { version, sources })
        }
        None if !fields.lacks("version") => None,
        None => reader.fail(entry.key_span, "`proxy_protocol` has no `version`", "add `version: v1` or `v2`"),
    }
}

fn sources(reader: &mut Reader<'_>, entry: &Entry) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for node in one_or_more(entry) {
        let Some(text) = text(reader, entry, node, "addresses") else { continue };
        match network::sources(text) {
            Ok(list) => all.extend(list),
            Err(expected) => {
                reader.problems.add(node.span, format!("{} is not a source address", quote(text)), expected);
            }
        }
    }
    if all.len() > limits::MAX_SOURCES {
        let message = format!("at most {} source addresses", limits::MAX_SOURCES);
        reader.problems.add(entry.value.span, message, format!("these are {}", all.len()));
        all.clear();
    }
    all
}

/// Applies `connect_to`, then `resolve`, to the targets.
pub(crate) fn redirect(reader: &mut Reader<'_>, plan: &Fields<'_>, targets: &mut [Target]) {
    let Some(entry) = plan.get("connections") else { return };
    let Kind::Map(entries) = &entry.value.kind else { return };
    let get = |key: &str| entries.iter().find(|e| e.key == key);
    if let Some(entry) = get("connect_to") {
        for (whom, rule) in connect_to_rules(reader, entry) {
            let text = rule.value.as_text().unwrap_or_default();
            if let Err(expected) = network::endpoint(text, 1) {
                let message = format!("{} cannot be connected to", quote(text));
                reader.problems.add(rule.value.span, message, expected);
            } else if let Err(what) = network::connect_to(targets, &whom, text) {
                reader.problems.add(rule.key_span, format!("{} is about nobody", quote(&rule.key)), what);
            }
        }
    }
    if let Some(entry) = get("resolve") {
        resolve(reader, entry, targets);
    }
}

/// One place for all targets, or a map from hosts to places.
fn connect_to_rules<'n>(reader: &mut Reader<'_>, entry: &'n Entry) -> Vec<(Whom, &'n Entry)> {
    match &entry.value.kind {
        Kind::Scalar { .. } if entry.value.as_text().is_some() => vec![(Whom::ALL, entry)],
        Kind::Map(rules) if !rules.is_empty() => {
            let mut all = Vec::new();
            for rule in rules {
                if let (Some(whom), Some(_)) = (whom(reader, rule), reader.text(rule)) {
                    all.push((whom, rule));
                }
            }
            all
        }
        _ => {
            let none: Option<()> =
                reader.mismatch(entry, "`HOST:PORT`, `unix:PATH`, or a map of hosts to these");
            none.into_iter().flat_map(|()| vec![]).collect()
        }
    }
}

fn resolve(reader: &mut Reader<'_>, entry: &Entry, targets: &mut [Target]) {
    let Some(rules) = reader.named(entry, "hosts to addresses") else { return };
    for rule in rules {
        let Some(whom) = whom(reader, rule) else { continue };
        let mut all = Vec::new();
        for node in one_or_more(rule) {
            let Some(text) = text(reader, rule, node, "addresses") else { return };
            match network::addresses(text) {
                Ok(list) => all.extend(list),
                Err(expected) => {
                    let message = format!("{} is not an address", quote(text));
                    reader.problems.add(node.span, message, expected);
                    return;
                }
            }
        }
        if let Err(what) = network::resolve(targets, &whom, &all) {
            reader.problems.add(rule.key_span, format!("{} is about nobody", quote(&rule.key)), what);
        }
    }
}

fn whom(reader: &mut Reader<'_>, rule: &Entry) -> Option<Whom> {
    match Whom::parse(&rule.key) {
        Ok(whom) => Some(whom),
        Err(expected) => reader.fail(rule.key_span, format!("{} is not a host", quote(&rule.key)), expected),
    }
}

fn one_or_more(entry: &Entry) -> Vec<&Node> {
    match &entry.value.kind {
        Kind::List(items) if !items.is_empty() => items.iter().map(|n| &**n).collect(),
        _ => vec![&*entry.value],
    }
}

fn text<'n>(reader: &mut Reader<'_>, entry: &Entry, node: &'n Node, of: &str) -> Option<&'n str> {
    match node.as_text() {
        Some(text) => Some(text),
        None => reader.mismatch(entry, &format!("{of}, one or a list")),
    }
}

/// Reads `socket`.
pub(crate) fn socket(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Socket {
    let mut socket = Socket::default();
    let Some(fields) = fields.get("socket").and_then(|entry| reader.map(entry, &place::SOCKET)) else {
        return socket;
    };
    for (key, place) in [("nodelay", &mut socket.nodelay), ("quickack", &mut socket.quickack)] {
        *place = fields.get(key).and_then(|entry| reader.boolean(entry)).unwrap_or(*place);
    }
    // The kernel keeps them in an int, and doubles them.
    let sizes = [("send_buffer", &mut socket.send_buffer), ("receive_buffer", &mut socket.receive_buffer)];
    for (key, place) in sizes {
        let size = fields.get(key).and_then(|entry| reader.integer(entry, 1..=(1 << 30)));
        *place = size.and_then(|n| u32::try_from(n).ok());
    }
    socket.busy_poll_us = fields.get("busy_poll").and_then(|entry| busy_poll(reader, entry));
    socket.mark = fields
        .get("mark")
        .and_then(|entry| reader.integer(entry, 1..=u64::from(u32::MAX)))
        .and_then(|n| u32::try_from(n).ok());
    socket.congestion = fields.get("congestion").and_then(|entry| name(reader, entry));
    socket.device = fields.get("device").and_then(|entry| name(reader, entry));
    socket.dscp = fields.get("dscp").and_then(|entry| parsed(reader, entry, network::dscp));
    socket.local_ports =
        fields.get("local_ports").and_then(|entry| parsed(reader, entry, network::local_ports));
    socket
}

/// `SO_BUSY_POLL` counts microseconds.
fn busy_poll(reader: &mut Reader<'_>, entry: &Entry) -> Option<u32> {
    let time = reader.duration(entry)?;
    match u32::try_from(time.as_micros()) {
        Ok(us) if us > 0 && us <= 1_000_000 => Some(us),
        _ => reader.mismatch(entry, "a time from 1us to 1s"),
    }
}

/// A name the kernel knows things by: both kinds have at most 15 characters (`TCP_CA_NAME_MAX`, `IFNAMSIZ`).
fn name(reader: &mut Reader<'_>, entry: &Entry) -> Option<String> {
    let text = reader.text(entry)?;
    match (1..16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/') {
        true => Some(text.to_owned()),
        false => reader.mismatch(entry, "a name of at most 15 characters"),
    }
}

fn parsed<T>(reader: &mut Reader<'_>, entry: &Entry, parse: fn(&str) -> Result<T, String>) -> Option<T> {
    let text = reader.text(entry)?;
    match parse(text) {
        Ok(value) => Some(value),
        Err(expected) => reader.fail(
            entry.value.span,
            format!("{} cannot be {}", quote(&entry.key), quote(text)),
            expected,
        ),
    }
}
