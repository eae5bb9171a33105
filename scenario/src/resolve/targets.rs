//! Where requests go: the plan's `target`, and the hosts of steps with an absolute URL.

use super::habits::Habits;
use crate::limits;
use crate::network;
use crate::place;
use crate::plan::{Endpoint, Protocol, Scenario, Target};
use crate::program::Program;
use crate::reader::{Fields, Reader};
use crate::source::{Span, quote};
use crate::target::path_and_query;
use crate::tree::{Entry, Node};
use proto::Scheme;

/// The targets so far; index 0 is the plan's own. A host that is spoken to in several protocols is several targets.
#[derive(Clone, Default)]
pub(crate) struct Targets {
    pub list: Vec<Target>,
    places: Vec<Span>,
    /// What the plan says.
    protocol: Protocol,
    /// Relative steps have no meaning: there is no `target`, or it is wrong.
    no_default: bool,
    missing_noted: bool,
}

impl Targets {
    /// Reads the key `target`.
    pub fn read_default(&mut self, reader: &mut Reader<'_>, fields: &Fields<'_>, protocol: Protocol) {
        self.protocol = protocol;
        let target = match fields.get("target") {
            None => {
                self.missing_noted = !fields.lacks("target");
                None
            }
            Some(entry) => {
                // Said once; steps without a host need no second error.
                self.missing_noted = true;
                read(reader, entry).map(|t| (t, entry.value.span))
            }
        };
        match target {
            Some((target, place)) => {
                self.list.push(target);
                self.places.push(place);
            }
            None => self.no_default = true,
        }
    }

    /// The target of a scenario that has one of its own.
    pub fn of_scenario(&mut self, reader: &mut Reader<'_>, entry: &Entry) -> Option<Target> {
        let target = read(reader, entry);
        // What is wrong was said; steps without a host need no second error.
        self.missing_noted |= target.is_none();
        target
    }

    /// The target and the path that a step's URL means. `text` is the node's, with something harmless for templates.
    pub fn of_step(
        &mut self,
        reader: &mut Reader<'_>,
        (node, text): (&Node, &str),
        options: bool,
        habits: &Habits,
    ) -> Option<(usize, String)> {
        let (mut target, path) = self.host_of_step(reader, (node, text), options, habits.target.as_ref())?;
        if let Some((protocol, place)) = habits.protocol.filter(|(p, _)| *p != self.protocol) {
            target.protocol = Some(protocol);
            // Said once for each host: the target is there from now on.
            if !protocol.goes_with(target.scheme) && !self.list.contains(&target) {
                let (message, label) = mismatch(protocol, &target);
                reader.problems.add(place, message, label);
            }
        }
        Some((self.index(reader, target, node.span)?, path))
    }

    fn host_of_step(
        &mut self,
        reader: &mut Reader<'_>,
        (node, text): (&Node, &str),
        options: bool,
        base: Option<&Target>,
    ) -> Option<(Target, String)> {
        if text.len() > limits::MAX_PATH_BYTES {
            let message = format!("a path has at most {} bytes", limits::MAX_PATH_BYTES);
            return reader.fail(node.span, message, format!("this one has {}", text.len()));
        }
        if text.contains("://") && !text.starts_with('/') {
            return match Target::from_url(text) {
                Ok(url) => Some(url),
                Err(error) => url_fault(reader, node, &error),
            };
        }
        let is_path = text.starts_with('/') || (options && text == "*");
        if !is_path {
            if text.is_empty() {
                return reader.fail(node.span, "the path is empty", "a path begins with `/`");
            }
            let label = format!("a path begins with `/`: did you mean {}?", quote(&format!("/{text}")));
            return reader.fail(node.span, format!("{} is neither a path nor a URL", quote(text)), label);
        }
        let path = match path_and_query(text) {
            Ok(path) => path,
            Err(error) => return url_fault(reader, node, &error),
        };
        if self.no_default && base.is_none() {
            if !self.missing_noted {
                self.missing_noted = true;
                let message = "the plan has no `target`, and this step names no host";
                reader.problems.add(node.span, message, "add `target: http://...` or `target: builtin`");
            }
            return None;
        }
        let target = base.or(self.list.first());
        target.map(|target| (target.clone(), path))
    }

    /// A key of the plan has no meaning without its `target`.
    pub fn wants_default(&mut self, reader: &mut Reader<'_>, entry: &Entry) {
        if self.no_default && !self.missing_noted {
            self.missing_noted = true;
            let message = format!("the plan has no `target`, which {} goes to", quote(&entry.key));
            reader.problems.add(
                entry.key_span,
                message,
                "add `target: https://...` or `target: builtin+tls`",
            );
        }
    }

    fn index(&mut self, reader: &mut Reader<'_>, target: Target, place: Span) -> Option<usize> {
        if let Some(at) = self.list.iter().position(|t| *t == target) {
            return Some(at);
        }
        if self.list.len() >= limits::MAX_TARGETS {
            let message = format!("a plan has at most {} different hosts", limits::MAX_TARGETS);
            return reader.fail(place, message, "");
        }
        self.list.push(target);
        self.places.push(place);
        Some(self.list.len() - 1)
    }

    /// Whether the plan's protocol can be spoken with every target that has no other.
    pub fn check_protocol(&self, reader: &mut Reader<'_>) {
        let wrong = |t: &Target| t.protocol.is_none() && !self.protocol.goes_with(t.scheme);
        let Some(at) = self.list.iter().position(wrong) else { return };
        let (message, label) = mismatch(self.protocol, &self.list[at]);
        reader.problems.add(self.places[at], message, label);
    }

    /// Redirects stay with the protocol of their step: adds every host in the protocols of the steps that follow some, where
    /// it can be spoken.
    pub fn add_hops<'p>(&mut self, reader: &mut Reader<'_>, of: impl Iterator<Item = &'p Scenario>) {
        let programs = of.filter_map(|s| s.program.as_deref());
        let follow = programs.flat_map(Program::exchanges).filter(|e| e.follows());
        let mut protocols: Vec<Option<Protocol>> = follow.map(|e| self.list[e.target].protocol).collect();
        protocols.sort_unstable();
        protocols.dedup();
        for host in 0..self.list.len() {
            for &protocol in &protocols {
                let target = Target { protocol, ..self.list[host].clone() };
                if protocol.unwrap_or(self.protocol).goes_with(target.scheme) {
                    self.index(reader, target, self.places[host]);
                }
            }
        }
    }

    /// What the plan says.
    pub fn plan_protocol(&self) -> Protocol {
        self.protocol
    }

    /// What is spoken with some target.
    pub fn protocols(&self) -> impl Iterator<Item = Protocol> {
        self.list.iter().map(|t| t.protocol.unwrap_or(self.protocol))
    }

    /// Whether some target may say that it speaks HTTP/3 as well.
    pub fn have_alternatives(&self) -> bool {
        self.list.iter().any(|t| t.has_alternative(self.protocol))
    }

    /// Whether steps go to targets of several protocols.
    pub fn is_mixed(&self) -> bool {
        self.list.iter().any(|t| t.protocol.is_some())
    }
}

/// What is said of a protocol that cannot be spoken with a target.
fn mismatch(protocol: Protocol, target: &Target) -> (String, &'static str) {
    let name = protocol.as_str();
    match (target.scheme, &target.endpoint) {
        (Scheme::Http, endpoint) => {
            let label = match endpoint {
                Endpoint::Builtin => "use `target: builtin+tls`",
                _ if protocol == Protocol::H2 => "use `https://`, or `protocol: h2c`",
                _ => "use `https://`",
            };
            (format!("`protocol: {name}` needs TLS, and this target is in clear"), label)
        }
        (Scheme::Https, endpoint) => {
            let label = match endpoint {
                Endpoint::Builtin => "use `target: builtin`, or `protocol: h2`",
                _ => "use `http://`, or `protocol: h2`",
            };
            (format!("`protocol: {name}` is in clear, and this target is TLS"), label)
        }
    }
}

/// Applies `connect_to` and `resolve` to all lists as if they were one: a rule must concern somebody, and not somebody in each.
pub(crate) fn redirect(reader: &mut Reader<'_>, plan: &Fields<'_>, lists: &mut [&mut Targets]) {
    let mut all: Vec<Target> = lists.iter().flat_map(|t| t.list.iter().cloned()).collect();
    super::network::redirect(reader, plan, &mut all);
    let mut all = all.into_iter();
    for targets in lists {
        targets.list.iter_mut().zip(&mut all).for_each(|(old, new)| *old = new);
    }
}

/// Whether TLS is spoken with the built-in server and nobody else.
pub(crate) fn tls_only_builtin(lists: &[&Targets]) -> bool {
    let mut tls = lists.iter().flat_map(|t| &t.list).filter(|t| t.scheme == Scheme::Https).peekable();
    tls.peek().is_some() && tls.all(|t| t.endpoint == Endpoint::Builtin)
}

fn read(reader: &mut Reader<'_>, entry: &Entry) -> Option<Target> {
    let text = match entry.value.as_text() {
        Some(text) => text,
        None => return reader.mismatch(entry, "a URL, `unix:PATH`, `builtin` or `builtin+tls`"),
    };
    match text {
        "builtin" => return Some(Target::builtin(Scheme::Http)),
        "builtin+tls" => return Some(Target::builtin(Scheme::Https)),
        _ => {}
    }
    if let Some(path) = network::unix_path(text) {
        return match path {
            Ok(path) => Some(Target::unix(path)),
            Err(expected) => {
                reader.fail(entry.value.span, format!("{} is not a target", quote(text)), expected)
            }
        };
    }
    if !text.contains("://") {
        let label = match place::nearest(text, &["builtin", "builtin+tls"]) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                "write `http://HOST:PORT`, `https://HOST`, `unix:PATH`, `builtin` or `builtin+tls`".to_owned()
            }
        };
        return reader.fail(entry.value.span, format!("{} is not a target", quote(text)), label);
    }
    match Target::from_url(text) {
        Ok((target, path)) if path == "/" => Some(target),
        Ok((_, path)) => {
            let at = text.len().saturating_sub(path.len());
            let span = reader.part(&entry.value, at, text.len());
            reader.fail(span, "a target has no path", "put the path into the steps")
        }
        Err(error) => url_fault(reader, &entry.value, &error),
    }
}

fn url_fault<T>(reader: &mut Reader<'_>, node: &Node, error: &crate::target::UrlError) -> Option<T> {
    let span = reader.part(node, error.at.start, error.at.end);
    reader.fail(span, error.to_string(), error.kind.advice())
}
