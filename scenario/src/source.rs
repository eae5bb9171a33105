//! The texts a plan is made of, and places in them. A place becomes line, column and caret only when it is shown.

use crate::limits;
use std::borrow::Cow;
use std::path::PathBuf;

/// A range of bytes in one of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub source: u32,
    pub start: usize,
    pub end: usize,
}

/// A text and the name it is shown under.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub name: Cow<'a, str>,
    pub text: Cow<'a, str>,
    /// The file it stands in, if that is an included one: files that it names are looked for beside it.
    pub path: Option<PathBuf>,
}

/// All texts of a plan: the first is the plan itself, then one for each setting given beside it, then the included files.
#[derive(Debug)]
pub(crate) struct Sources<'a>(pub Vec<Source<'a>>);

impl Sources<'_> {
    /// The text of the span; empty if it lies outside.
    pub fn slice(&self, span: Span) -> &str {
        self.0.get(span.source as usize).and_then(|s| s.text.get(span.start..span.end)).unwrap_or("")
    }
}

/// Where a span is, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The name of the text.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line, cropped around the caret, tabs and control characters made harmless.
    pub text: String,
    /// Characters of `text` before the caret.
    pub indent: usize,
    /// How many characters the caret marks; at least 1.
    pub width: usize,
}

impl<'a> Source<'a> {
    /// A text that is there for as long as the plan is read.
    pub fn new(name: &'a str, text: &'a str) -> Source<'a> {
        Source { name: Cow::Borrowed(name), text: Cow::Borrowed(text), path: None }
    }

    /// Finds line and column of a range of bytes. A range outside is moved inside.
    pub fn excerpt(&self, start: usize, end: usize) -> Excerpt {
        let start = floor_char(&self.text, start);
        let end = floor_char(&self.text, end.max(start));
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let line = self.text[line_start..line_end].trim_end_matches('\r');
        let line_end = line_start + line.len();
        let marked = &self.text[start.min(line_end)..end.min(line_end).max(start.min(line_end))];
        let before = &self.text[line_start..start.min(line_end)];
        let (text, indent, width) = crop(before, marked, &line[before.len() + marked.len()..]);
        Excerpt {
            file: self.name.to_string(),
            line: self.text[..line_start].matches('\n').count() + 1,
            column: before.chars().count() + 1,
            text: without_passwords(&text),
            indent,
            width,
        }
    }
}

/// The largest character boundary that is at most `at`.
fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Shortens a line so that the marked part is seen, and makes it safe for a terminal.
fn crop(before: &str, marked: &str, after: &str) -> (String, usize, usize) {
    let context = limits::MAX_SNIPPET / 2;
    let (head, cut) = match before.char_indices().rev().nth(context - 1) {
        Some((at, _)) if at > 0 => (&before[at..], true),
        _ => (before, false),
    };
    let mut text = String::from(if cut { "..." } else { "" });
    push_visible(&mut text, head);
    let indent = text.chars().count();
    let shown: String = marked.chars().take(limits::MAX_SNIPPET - context).collect();
    push_visible(&mut text, &shown);
    // The end of a list or map is often the blanks behind it; a blank itself may be what is meant.
    let blanks = shown.chars().count() - shown.trim_end().chars().count();
    let width = (text.chars().count() - indent).saturating_sub(blanks).max(1);
    if shown.len() < marked.len() {
        text.push_str("...");
        return (text, indent, width);
    }
    let tail: String = after.chars().take(context).collect();
    push_visible(&mut text, &tail);
    if tail.len() < after.len() {
        text.push_str("...");
    }
    (text, indent, width)
}

/// What stands before the `@` of a URL is not for a log; every column stays where it was.
fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|c: char| c.is_whitespace() || "/\"',}]".contains(c)).unwrap_or(after.len());
        out.push_str(before);
        let user = after[..end].rfind('@').unwrap_or(0);
        out.extend(after[..user].chars().map(|_| '*'));
        rest = &after[user..];
    }
    out.push_str(rest);
    out
}

fn push_visible(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            c if c.is_control() || is_invisible(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// Characters that change how a line looks or reads: direction marks, zero widths, separators of lines.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A user's text for a message: short, in back quotes, harmless.
pub(crate) fn quote(text: &str) -> String {
    let mut shown = String::from("`");
    for (i, c) in text.chars().enumerate() {
        if i == limits::MAX_QUOTED {
            shown.push_str("...");
            break;
        }
        match c {
            c if c.is_control() || is_invisible(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown.push('`');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, start: usize, end: usize) -> Excerpt {
        Source::new("f", text).excerpt(start, end)
    }

    #[test]
    fn columns_count_characters() {
        let e = excerpt("a: 1\nü: x\r\n", 9, 10);
        assert_eq!((e.line, e.column, e.text.as_str(), e.indent, e.width), (2, 4, "ü: x", 3, 1));
    }

    #[test]
    fn outside_is_moved_inside() {
        for (start, end) in [(99, 100), (3, 1), (0, 99), (5, 5)] {
            let e = excerpt("ab\ncd", start, end);
            assert!(e.line <= 2 && e.column <= 3 && e.width >= 1, "{e:?}");
        }
        let e = excerpt("", 0, 0);
        assert_eq!((e.line, e.column, e.text.as_str(), e.width), (1, 1, "", 1));
    }

    #[test]
    fn a_long_line_is_cropped_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let e = excerpt(&text, 1000, 1001);
        assert_eq!(e.column, 1001);
        assert_eq!(e.text.chars().nth(e.indent), Some('X'));
        assert!(e.text.len() < 200 && e.text.starts_with("...") && e.text.ends_with("..."));
    }

    #[test]
    fn passwords_in_urls_are_not_shown() {
        let text = "p: http://u:sü@cret@a:1/@x, q: https://b/, r: 'http://u@c'";
        let shown = excerpt(text, 0, 1).text;
        assert_eq!(shown, "p: http://*********@a:1/@x, q: https://b/, r: 'http://*@c'");
        assert_eq!(shown.chars().count(), text.chars().count());
    }

    #[test]
    fn nothing_reaches_the_terminal_that_is_not_text() {
        assert_eq!(excerpt("\ta\u{1b}[31m", 1, 2).text, "    a\u{fffd}[31m");
        assert_eq!(quote("a\u{1b}\n"), "`a\\u{1b}\\n`");
    }
}
