//! What a scenario does, in the order and nearly in the words of the plan: for whoever does not read the jumps of a program.
//! `describe` writes it as lines, `report` as JSON.

use crate::limits;
use crate::secret::{MASK, is_name};
use crate::tree::{Entry, Kind, Node};
use std::fmt;

/// The lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    lines: Vec<Line>,
    level: usize,
}

/// A line, or all those of a request.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// How many lists of steps it is in, beside the outermost.
    pub level: usize,
    pub what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The scenario's step with this index.
    Step(u32),
    /// A key of what is no request: its first, or one that goes on below it. Without a value a list follows.
    Key { first: bool, key: &'static str, value: Option<Shown> },
    /// The steps of the fragment that is used here follow.
    Inside,
}

/// A value of the plan.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Text, without quotes.
    Text(String),
    /// Anything as YAML, on one line.
    Yaml(String),
    /// A number.
    Number(u64),
    /// Values by their names.
    Pairs(Vec<(String, Shown)>),
}

impl fmt::Display for Shown {
    /// As YAML on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Text(text) => f.write_str(&quoted(text)),
            Shown::Yaml(yaml) => f.write_str(yaml),
            Shown::Number(n) => write!(f, "{n}"),
            Shown::Pairs(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                f.write_str(&cut(format!("{{ {} }}", pairs.join(", "))))
            }
        }
    }
}

/// Something that is done: a request, or what the plan says under some keys.
#[derive(Clone, Debug)]
pub enum Act {
    /// The scenario's step with this index.
    Step(usize),
    /// By key, in order.
    Other(Vec<(&'static str, Part)>),
}

/// What stands behind a key.
#[derive(Clone, Debug)]
pub enum Part {
    /// A value.
    Value(Shown),
    /// What is done, one after the other; of `choose`, the choices.
    Acts(Vec<Act>),
}

impl Outline {
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// A list begins.
    pub fn open(&mut self) {
        self.level += 1;
    }

    /// It ends.
    pub fn close(&mut self) {
        self.level -= 1;
    }

    pub fn step(&mut self, index: u32) {
        self.add(What::Step(index));
    }

    /// The first key of what is no request.
    pub fn begin(&mut self, key: &'static str, value: Shown) {
        self.add(What::Key { first: true, key, value: Some(value) });
    }

    /// Another one.
    pub fn more(&mut self, key: &'static str, value: Shown) {
        self.add(What::Key { first: false, key, value: Some(value) });
    }

    /// A list of what is done follows under this key.
    pub fn list(&mut self, key: &'static str) {
        self.add(What::Key { first: false, key, value: None });
    }

    /// The same, where the key is the first.
    pub fn begin_list(&mut self, key: &'static str) {
        self.add(What::Key { first: true, key, value: None });
    }

    /// The steps of the fragment that is used follow.
    pub fn inside(&mut self) {
        self.add(What::Inside);
    }

    /// The same as a tree.
    pub fn acts(&self) -> Vec<Act> {
        acts(&mut &self.lines[..], 0)
    }

    fn add(&mut self, what: What) {
        self.lines.push(Line { level: self.level.saturating_sub(1), what });
    }
}

/// The acts of this level that the lines begin with, which are taken.
fn acts(lines: &mut &[Line], level: usize) -> Vec<Act> {
    let mut all = Vec::new();
    while let Some((line, rest)) = lines.split_first().filter(|(line, _)| line.level >= level) {
        *lines = rest;
        let (first, key, part) = match &line.what {
            What::Step(index) => {
                all.push(Act::Step(*index as usize));
                continue;
            }
            What::Key { first, key, value: Some(value) } => (*first, *key, Part::Value(value.clone())),
            What::Key { first, key, value: None } => (*first, *key, Part::Acts(acts(lines, level + 1))),
            What::Inside => (false, "steps", Part::Acts(acts(lines, level + 1))),
        };
        match all.last_mut() {
            Some(Act::Other(keys)) if !first => keys.push((key, part)),
            _ => all.push(Act::Other(vec![(key, part)])),
        }
    }
    all
}

/// A value as the plan writes it. Values of keys that are the names of secrets are not shown; `key` is its own.
pub(crate) fn value(key: &str, node: &Node) -> Shown {
    match whole(key, node) {
        Shown::Yaml(yaml) => Shown::Yaml(cut(yaml)),
        other => other,
    }
}

/// The same of each of a map.
pub(crate) fn values(entries: &[Entry]) -> Shown {
    Shown::Pairs(entries.iter().map(|entry| (entry.key.clone(), value(&entry.key, &entry.value))).collect())
}

/// An expression as it is written, without the keys of digests that stand in it.
pub(crate) fn expression(written: &str) -> String {
    let (mut out, mut rest) = (String::new(), written);
    while let Some(at) = rest.find("hmac_sha256") {
        let open = rest[at..].find('(').map_or(rest.len(), |open| at + open + 1);
        let (head, tail) = rest.split_at(open);
        out += head;
        let key = tail.trim_start();
        rest = match key.chars().next().filter(|quote| matches!(quote, '\'' | '"')) {
            None => tail,
            Some(quote) => {
                out += MASK;
                key[1..].find(quote).map_or("", |end| &key[end + 2..])
            }
        };
    }
    out + rest
}

/// A text as the plan writes it.
pub(crate) fn text(text: &str) -> Shown {
    Shown::Text(cut(expression(text.trim())))
}

/// A text as a value on one line.
fn quoted(text: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || " _-./()<>=%+*;?~'$".contains(c);
    let starts_well = |c: char| c.is_alphanumeric() || "/$".contains(c);
    match text.starts_with(starts_well) && text.chars().all(safe) {
        true => text.to_owned(),
        false => format!("{text:?}"),
    }
}

fn whole(key: &str, node: &Node) -> Shown {
    Shown::Yaml(match &node.kind {
        Kind::Scalar { .. } if is_name(key) => MASK.to_owned(),
        Kind::Scalar { text: written, plain: true } => return text(written),
        // What is in quotes is no number.
        Kind::Scalar { text: written, plain: false } => match written.parse::<f64>() {
            Ok(_) => format!("{written:?}"),
            Err(_) => return text(written),
        },
        Kind::List(items) => {
            let mut all: Vec<String> = items
                .iter()
                .take(limits::OUTLINE_ELEMENTS)
                .map(|item| whole(key, item).to_string())
                .collect();
            if items.len() > limits::OUTLINE_ELEMENTS {
                all.push(format!("... {} in all", items.len()));
            }
            format!("[{}]", all.join(", "))
        }
        Kind::Map(entries) => {
            // A default of a secret is one, too.
            let name = |own: &str| if own == "default" { key.to_owned() } else { own.to_owned() };
            let entry = |e: &Entry| format!("{}: {}", e.key, whole(&name(&e.key), &e.value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    })
}

fn cut(text: String) -> String {
    match text.char_indices().nth(limits::OUTLINE_TEXT) {
        None => text,
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_digests_are_not_shown() {
        for (written, shown) in [
            ("hmac_sha256('sesame', a + 'b')", "hmac_sha256(***, a + 'b')"),
            (" base64(hmac_sha256_base64( \"se'same\" , x)) ", " base64(hmac_sha256_base64(***, x)) "),
            ("hmac_sha256(hmac_sha256('sesame', 'x'), y)", "hmac_sha256(hmac_sha256(***, 'x'), y)"),
            ("hmac_sha256(key, 'text')", "hmac_sha256(key, 'text')"),
            ("hmac_sha256", "hmac_sha256"),
            ("upper('ä') + \"x\"", "upper('ä') + \"x\""),
        ] {
            assert_eq!(expression(written).replace(" , ", ", "), shown);
        }
    }

    #[test]
    fn texts_are_scalars_of_one_line() {
        for (written, shown) in [
            (" status == 200 ", "status == 200"),
            ("a: b", "\"a: b\""),
            ("{{x}}", "\"{{x}}\""),
            ("two\nlines", "\"two\\nlines\""),
            ("", "\"\""),
            ("- x", "\"- x\""),
        ] {
            assert_eq!(text(written).to_string(), shown);
        }
        let long = text(&"x".repeat(5000)).to_string();
        assert!(long.len() < 1100 && long.ends_with("..."), "{long}");
    }
}
