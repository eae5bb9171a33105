//! A step that is a request: its shape, and what is made of its response.

use super::habits::Habits;
use super::headers::{self, Header, Slots};
use super::targets::Targets;
use super::{body, check, extract};
use crate::expr::functions::Function;
use crate::expr::text::{Escape, Phrase, Raw, is_template, split};
use crate::expr::value::Value;
use crate::expr::{Binary, Expr};
use crate::limits;
use crate::place;
use crate::plan::{Check, Step};
use crate::program::aws::{self, Signer};
use crate::program::{CheckKind, Exchange, Payload, Redirects};
use crate::reader::{Fields, Reader};
use crate::secret;
use crate::source::{Span, quote};
use crate::tree::{Entry, Kind, Node};
use bytes::Bytes;
use proto::{Framing, Template, Text, Want};

/// Methods whose requests have a length even without a body (RFC 9110 section 8.6).
const EXPECT_BODY: &[&str] = &["POST", "PUT", "PATCH"];

/// A request of a scenario.
pub(crate) struct Made {
    pub step: Step,
    /// The place of its name, if it was given one.
    pub given: Option<Span>,
    pub exchange: Exchange,
    /// It is a constant request of which at most the status is judged: no interpreter is needed for it.
    pub plain: bool,
}

/// Reads a step.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    node: &Node,
    habits: &Habits,
    targets: &mut Targets,
) -> Option<Made> {
    let fields = reader.map_node(node, &place::STEP)?;
    let line = request_line(reader, &fields);
    let name = fields.get("name").map(|entry| {
        let name = reader.fixed(entry)?;
        reader.name(name, entry.value.span).map(|name| (name.to_owned(), entry.value.span))
    });
    let own = fields.get("headers").map(|entry| headers::read(reader, entry)).unwrap_or_default();
    let habits = habits.with(reader, &fields);
    let body = body::read(reader, &fields);
    let checks = check::read(reader, &fields);
    let timeout = fields.get("timeout").map(|entry| reader.positive_duration(entry));
    let request = line.and_then(|line| Request::read(reader, &fields, line, own, body, &habits, targets));
    // After everything that is sent: what is extracted exists from the next step on.
    let extracts = extract::read(reader, &fields);

    let (request, checks, extracts) = (request?, checks?, extracts?);
    let (name, given) = match name {
        Some(name) => name.map(|(name, span)| (name, Some(span)))?,
        None => (default_name(&request.method, &request.shown), None),
    };
    let timeout = match timeout {
        Some(timeout) => Some(timeout?),
        None => habits.timeout,
    };
    Some(assemble(request, (name, given), &habits, checks, extracts, timeout))
}

fn assemble(
    request: Request,
    (name, given): (String, Option<Span>),
    habits: &Habits,
    checks: Vec<crate::program::Check>,
    extracts: Vec<crate::program::Extract>,
    timeout: Option<std::time::Duration>,
) -> Made {
    let statuses: Vec<Check> = checks
        .iter()
        .filter_map(|c| match &c.kind {
            CheckKind::Status(set) => Some(Check::Status(set.clone())),
            _ => None,
        })
        .collect();
    let fixed = match &request.payload {
        Payload::Fixed(bytes) => Some(bytes.clone()),
        Payload::Rendered(_) => None,
    };
    let want = Want {
        fields: habits.cookies
            || matches!(habits.redirects, Redirects::Follow(_))
            || checks.iter().any(|c| c.kind.needs_fields())
            || extracts.iter().any(|e| !e.from.needs_body())
            || habits.compression,
        body: checks.iter().any(|c| c.kind.needs_body()) || extracts.iter().any(|e| e.from.needs_body()),
    };
    // Whether a body is coded is said by a field.
    let want = Want { fields: want.fields || want.body, ..want };
    let plain = fixed.is_some()
        && request.values.is_empty()
        && !habits.cookies
        && habits.redirects == Redirects::Manual
        && extracts.is_empty()
        && check::is_plain(&checks);
    let path = request.template.path().clone();
    let credentials = request
        .template
        .fields()
        .iter()
        .filter(|field| secret::is_credential(field))
        .map(|field| (field.name.clone(), field.value.clone()))
        .collect();
    let parameters = secret::in_query(&path);
    let step = Step {
        name: name.clone(),
        target: request.target,
        template: request.template,
        body: fixed.unwrap_or_default(),
        checks: statuses,
        timeout,
        want: if plain { Want::default() } else { want },
        tags: habits.tags.clone(),
    };
    let exchange = Exchange {
        name,
        target: request.target,
        values: request.values,
        path,
        signer: request.signer,
        payload: request.payload,
        cookies: habits.cookies,
        redirects: habits.redirects,
        expected: step.expected(),
        checks,
        first_check: 0,
        extracts,
        body_limit: habits.body_limit,
        want,
        credentials,
        parameters,
    };
    Made { step, given, exchange, plain }
}

/// What is sent.
struct Request {
    method: String,
    target: usize,
    template: Template,
    values: Vec<Phrase>,
    payload: Payload,
    signer: Option<Box<Signer>>,
    /// The path for the step's name: with its templates as they are written.
    shown: String,
}

impl Request {
    fn read(
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        (method, url): (String, &Node),
        own: Vec<Header>,
        body: Option<Option<body::Body>>,
        habits: &Habits,
        targets: &mut Targets,
    ) -> Option<Request> {
        let text = url.as_text().unwrap_or_default();
        let masked = Masked::new(reader, url, text)?;
        let (target, path) = targets.of_step(reader, (url, &masked.text), method == "OPTIONS", habits)?;
        let shown = masked.show(&path);
        let mut path = masked.restore(reader, url, &path)?;
        query(reader, fields, &mut path)?;
        let mut slots = Slots::default();
        let place = &targets.list[target];
        let (authority, line) = (Text::literal(&place.authority), slots.text(path));
        let template = match Template::new(&method, place.scheme, authority, line) {
            Ok(template) => template,
            Err(error) => return reader.fail(url.span, format!("not a request: {error}"), ""),
        };
        let mut all = headers::combine(&habits.headers, own);
        let has = |all: &[Header], name: &str| headers::has(all, name);
        let body = body?;
        if let Some(body) = &body
            && let Some(kind) = body.content_type.as_ref().filter(|_| !has(&all, "content-type"))
        {
            let mut phrase = Phrase::default();
            phrase.literal(kind.as_bytes());
            all.push(Header::made("content-type", phrase, url.span));
        }
        let mut signer = None;
        if let Some(entry) = habits.auth.as_ref().filter(|_| !has(&all, "authorization")) {
            match auth(reader, entry)? {
                Auth::Value(value) => all.push(Header::made("authorization", value, entry.key_span)),
                Auth::Aws(aws) => {
                    signer = Some(aws.signer(reader, (&method, &place.authority), &mut all, habits)?);
                }
            }
        }
        if habits.compression && !has(&all, "accept-encoding") {
            let mut phrase = Phrase::default();
            phrase.literal(b"gzip, br");
            all.push(Header::made("accept-encoding", phrase, url.span));
        }
        if let (true, Some(own)) = (habits.cookies, headers::span_of(&all, "cookie")) {
            return reader.fail(
                own,
                "the header `cookie` is written from the user's cookies",
                "or say `cookies: false`",
            );
        }
        if signer.is_some() {
            // Last, so that theirs are the last slots.
            let later = [
                ("x-amz-date", "time of sending"),
                ("x-amz-content-sha256", "digest of the body"),
                ("authorization", "signature"),
            ];
            for (name, what) in later {
                all.push(Header::made(name, unknown(what), url.span));
            }
        }
        let template = headers::add(reader, template, all, &mut slots)?;
        if let Some(signer) = &mut signer {
            let fields = template.fields();
            let named =
                fields[..fields.len() - aws::SLOTS].iter().map(|f| (f.name.to_ascii_lowercase(), &f.value));
            let signed = named.filter(|(name, _)| name.starts_with("x-amz-"));
            signer.fields = signed.map(|(name, value)| (name, value.clone())).collect();
        }
        let framing = match body.is_some() || EXPECT_BODY.contains(&method.as_str()) {
            true => Framing::Length,
            false => Framing::None,
        };
        if slots.0.len() > limits::MAX_SLOTS {
            let message =
                format!("path and headers of a request hold at most {} templates", limits::MAX_SLOTS);
            return reader.fail(url.span, message, format!("this one has {}", slots.0.len()));
        }
        let payload = body.map_or(Payload::Fixed(Bytes::new()), |b| b.payload);
        let template = template.body(framing, false);
        Some(Request { method, target, template, values: slots.0, payload, signer, shown })
    }
}

/// A URL whose templates are replaced by words that any URL may hold, so that the rest can be checked as one.
struct Masked<'a> {
    text: String,
    /// What was replaced: the template as it is written.
    templates: Vec<&'a str>,
}

impl<'a> Masked<'a> {
    fn new(reader: &mut Reader<'_>, node: &Node, text: &'a str) -> Option<Masked<'a>> {
        if !is_template(text) {
            return Some(Masked { text: text.to_owned(), templates: vec![] });
        }
        let Ok(parts) = split(text) else {
            reader.phrase(text, node.span, Escape::Raw);
            return None;
        };
        let (mut masked, mut templates) = (String::new(), Vec::new());
        for part in parts {
            match part {
                Raw::Literal(text) => masked.push_str(text),
                Raw::Expr(_, at) => {
                    masked.push_str(&mask(templates.len()));
                    templates.push(&text[at.start - 2..at.end + 2]);
                }
            }
        }
        let host_end = masked.find("://").map_or(0, |at| at + 3);
        let host = masked[host_end..].split(['/', '?']).next().unwrap_or_default();
        if host_end > 0 && host.contains(MASK) {
            let message = "the host of a URL cannot be a template";
            return reader.fail(node.span, message, "connections are opened before the run begins");
        }
        if host_end == 0 && !masked.starts_with('/') {
            let message = format!("{} is neither a path nor a URL", quote(text));
            return reader.fail(node.span, message, "a path begins with `/`, before any template");
        }
        Some(Masked { text: masked, templates })
    }

    fn show(&self, path: &str) -> String {
        self.templates.iter().enumerate().fold(path.to_owned(), |p, (i, t)| p.replace(&mask(i), t))
    }

    /// The path with its templates.
    fn restore(&self, reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Phrase> {
        let (mut phrase, mut rest) = (Phrase::default(), path);
        for (i, template) in self.templates.iter().enumerate() {
            let (before, after) = rest.split_once(&mask(i)).unwrap_or((rest, ""));
            phrase.literal(before.as_bytes());
            // The whole text is read for the place of an error; of its parts only this one counts.
            let part = reader.part_phrase(node, template)?;
            phrase.append(part);
            rest = after;
        }
        phrase.literal(rest.as_bytes());
        Some(phrase)
    }
}

const MASK: &str = "xTEMPLATEx";

fn mask(i: usize) -> String {
    format!("{MASK}{i}x")
}

/// `query`: names and values behind the path, encoded.
fn query(reader: &mut Reader<'_>, fields: &Fields<'_>, path: &mut Phrase) -> Option<()> {
    let Some(entry) = fields.get("query") else { return Some(()) };
    let literal = |part: &crate::expr::text::Part| matches!(part, crate::expr::text::Part::Literal(b) if b.contains(&b'?'));
    let mut separator: &[u8] = if path.0.iter().any(literal) { b"&" } else { b"?" };
    for field in reader.named(entry, "names to values")? {
        let values: Vec<&Node> = match &field.value.kind {
            Kind::List(items) => items.iter().map(|item| &**item).collect(),
            _ => vec![&*field.value],
        };
        for value in values {
            let Some(text) = value.as_text() else {
                let span = if value.is_null() { field.key_span } else { value.span };
                let message = format!("the value of {} must be text", quote(&field.key));
                return reader.fail(span, message, format!("found {}", Reader::found(value)));
            };
            let mut name = Vec::new();
            crate::expr::functions::url_encode(field.key.as_bytes(), &mut name);
            path.literal(separator);
            path.literal(&name);
            path.literal(b"=");
            path.append(reader.phrase(text, value.span, Escape::Url)?);
            separator = b"&";
        }
    }
    Some(())
}

/// A value that is worked out when all others are known.
fn unknown(what: &str) -> Phrase {
    let mut phrase = Phrase::default();
    phrase.value(Expr::Var(u16::MAX), Escape::Raw, what);
    phrase
}

/// What `auth` asks for.
enum Auth<'e> {
    /// The value of `authorization`.
    Value(Phrase),
    /// A signature over the request.
    Aws(Aws<'e>),
}

/// `auth: { aws: ... }`.
struct Aws<'e> {
    fields: Fields<'e>,
    place: Span,
}

impl Aws<'_> {
    fn signer(
        &self,
        reader: &mut Reader<'_>,
        (method, host): (&str, &str),
        all: &mut Vec<Header>,
        habits: &Habits,
    ) -> Option<Box<Signer>> {
        if matches!(habits.redirects, Redirects::Follow(_)) {
            let label = "a signature is for one path: say `redirects: manual`";
            return reader.fail(self.place, "a signed request cannot follow redirects", label);
        }
        let mut value = |key: &str| {
            let Some(entry) = self.fields.get(key) else {
                if self.fields.odd {
                    return None;
                }
                let label = "it takes `access_key`, `secret_key`, `region` and `service`";
                return reader.fail(self.place, format!("`aws` has no `{key}`"), label);
            };
            let text = reader.text(entry)?;
            reader.phrase(text, entry.value.span, Escape::Raw)
        };
        let (access_key, secret_key) = (value("access_key")?, value("secret_key")?);
        let (region, service) = (value("region")?, value("service")?);
        if self.fields.get("session_token").is_some() {
            all.push(Header::made("x-amz-security-token", value("session_token")?, self.place));
        }
        let (method, host) = (method.to_owned(), host.to_owned());
        let fields = vec![]; // known when the template is
        Some(Box::new(Signer { access_key, secret_key, region, service, method, host, fields }))
    }
}

fn auth<'e>(reader: &mut Reader<'_>, entry: &'e Entry) -> Option<Auth<'e>> {
    let fields = reader.map(entry, &place::AUTH)?;
    let mut phrase = Phrase::default();
    match (fields.get("basic"), fields.get("bearer"), fields.get("aws")) {
        (None, None, Some(entry)) => {
            let fields = reader.map(entry, &place::AWS)?;
            return Some(Auth::Aws(Aws { fields, place: entry.key_span }));
        }
        (Some(entry), None, None) => {
            let fields = reader.map(entry, &place::BASIC)?;
            let (Some(user), Some(password)) = (fields.get("user"), fields.get("password")) else {
                return reader.fail(entry.key_span, "`basic` needs `user` and `password`", "");
            };
            let (user, password) = (whole(reader, user)?, whole(reader, password)?);
            let colon = Expr::Const(Value::Text(":".into()));
            let plus = |a, b| Expr::Binary(Binary::Plus, Box::new(a), Box::new(b));
            let pair = Expr::Call(Function::Base64, vec![plus(plus(user, colon), password)]);
            phrase.literal(b"Basic ");
            phrase.value(crate::expr::parse::settle(pair), Escape::Raw, "user and password");
        }
        (None, Some(entry), None) => {
            let text = reader.text(entry)?;
            phrase.literal(b"Bearer ");
            phrase.append(reader.phrase(text, entry.value.span, Escape::Raw)?);
        }
        _ if fields.odd => return None,
        _ => return reader.fail(entry.key_span, "`auth` is one of `basic`, `bearer` and `aws`", ""),
    }
    Some(Auth::Value(phrase))
}

/// A value that is plain text or one template.
fn whole(reader: &mut Reader<'_>, entry: &Entry) -> Option<Expr> {
    let text = reader.text(entry)?;
    let phrase = reader.phrase(text, entry.value.span, Escape::Raw)?;
    match (phrase.as_constant(), phrase.as_single()) {
        (Some(bytes), _) => Some(Expr::Const(Value::Text(String::from_utf8_lossy(bytes).into_owned()))),
        (None, Some(expr)) => Some(expr.clone()),
        (None, None) => {
            reader.fail(entry.value.span, "this must be plain text or one template", "put `+` inside of it")
        }
    }
}

/// The method and the value that holds the path or URL.
fn request_line<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>) -> Option<(String, &'n Node)> {
    let says = |e: &&Entry| place::METHODS.contains(&e.key.as_str()) || e.key == "request";
    let mut given = fields.iter().filter(says);
    let Some(entry) = given.next() else {
        // A step of a kind that is not built yet, or with a typing error, has its message already.
        if !fields.odd {
            let methods = place::list(place::METHODS);
            reader.problems.add(fields.span, "the step requests nothing", format!("give it {methods}"));
        }
        return None;
    };
    if let Some(second) = given.next() {
        let message = format!("a step makes one request, and {} is there already", quote(&entry.key));
        return reader.fail(second.key_span, message, "make it a step of its own");
    }
    if entry.key != "request" {
        reader.text(entry)?;
        return Some((entry.key.to_ascii_uppercase(), &entry.value));
    }
    let fields = reader.map(entry, &place::REQUEST)?;
    let (Some(method), Some(path)) = (fields.get("method"), fields.get("path")) else {
        return reader.fail(entry.key_span, "`request` needs `method` and `path`", "");
    };
    let (name, _) = (reader.fixed(method)?, reader.text(path)?);
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.len() > limits::MAX_NAME || !name.bytes().all(is_token) {
        return reader.fail(method.value.span, format!("{} is not a method", quote(name)), "");
    }
    if name == "CONNECT" {
        return reader.fail(
            method.value.span,
            "CONNECT asks for a tunnel, which is not a request to measure",
            "",
        );
    }
    Some((name.to_owned(), &path.value))
}

/// Method and path, cut to the length of a name.
fn default_name(method: &str, path: &str) -> String {
    let name = format!("{method} {path}");
    if name.chars().count() <= limits::MAX_NAME {
        return name;
    }
    name.chars().take(limits::MAX_NAME - 3).chain("...".chars()).collect()
}
