//! What a scenario does, in the order and nearly in the words of the plan: for people, who do not read the jumps of a program.

use crate::limits;
use crate::secret::{MASK, is_name};
use crate::tree::{Kind, Node};

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
    Text(String),
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

    /// The first line of what is no request, which begins with `- `, or one that goes on below it.
    pub fn text(&mut self, text: impl Into<String>) {
        self.add(What::Text(text.into()));
    }

    fn add(&mut self, what: What) {
        self.lines.push(Line { level: self.level.saturating_sub(1), what });
    }
}

/// A value as the plan writes it, on one line. Values of keys that are the names of secrets are not shown; `key` is its own.
pub(crate) fn value(key: &str, node: &Node) -> String {
    cut(whole(key, node))
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

/// A text as the plan writes it, as a value on one line.
pub(crate) fn text(text: &str) -> String {
    let text = cut(expression(text.trim()));
    let safe = |c: char| c.is_alphanumeric() || " _-./()<>=%+*;?~'$".contains(c);
    let starts_well = |c: char| c.is_alphanumeric() || "/$".contains(c);
    match text.starts_with(starts_well) && text.chars().all(safe) {
        true => text,
        false => format!("{text:?}"),
    }
}

fn whole(key: &str, node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { .. } if is_name(key) => MASK.to_owned(),
        Kind::Scalar { text: written, plain: true } => text(written),
        // What is in quotes is no number.
        Kind::Scalar { text: written, plain: false } => match written.parse::<f64>() {
            Ok(_) => format!("{written:?}"),
            Err(_) => text(written),
        },
        Kind::List(items) => {
            let mut all: Vec<String> =
                items.iter().take(limits::OUTLINE_ELEMENTS).map(|item| whole(key, item)).collect();
            if items.len() > limits::OUTLINE_ELEMENTS {
                all.push(format!("... {} in all", items.len()));
            }
            format!("[{}]", all.join(", "))
        }
        Kind::Map(entries) => {
            // A default of a secret is one, too.
            let name = |own: &str| if own == "default" { key.to_owned() } else { own.to_owned() };
            let entry = |e: &crate::tree::Entry| format!("{}: {}", e.key, whole(&name(&e.key), &e.value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
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
            assert_eq!(text(written), shown);
        }
        let long = text(&"x".repeat(5000));
        assert!(long.len() < 1100 && long.ends_with("..."), "{long}");
    }
}
