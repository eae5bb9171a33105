//! CSS selectors on HTML, in one pass and without a tree: html5gum cuts the page into tags, and each open element remembers
//! how much of the selector it and its ancestors have matched.
//!
//! Selectors: `tag`, `*`, `#id`, `.class`, `[a]`, `[a=v]`, `[a~=v]`, `[a^=v]`, `[a$=v]`, `[a*=v]`, `[a|=v]`, `:first-child`,
//! `:nth-child(N)`; combined by blank, `>`, `+`, `~` and `,`. End tags that HTML lets authors leave out are understood for
//! `p`, `li`, `tr`, `td`, `th`, `dt`, `dd` and `option`.

use crate::limits;
use html5gum::Tokenizer;
use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use std::ops::Range;

/// A compiled selector.
#[derive(Clone, Debug)]
pub(crate) struct Selector(Vec<Chain>);

/// One alternative: compounds from the outermost in.
type Chain = Vec<(Combinator, Compound)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Combinator {
    Descendant,
    Child,
    Next,
    Sibling,
}

#[derive(Clone, Debug, Default)]
struct Compound {
    tag: Option<Vec<u8>>,
    attributes: Vec<(Vec<u8>, Test)>,
    nth: Option<u32>,
}

#[derive(Clone, Debug)]
enum Test {
    Exists,
    Equals(Vec<u8>),
    Word(Vec<u8>),
    Begins(Vec<u8>),
    Ends(Vec<u8>),
    Includes(Vec<u8>),
    Dash(Vec<u8>),
}

impl Test {
    fn holds(&self, value: &[u8]) -> bool {
        let contains = |part: &[u8]| !part.is_empty() && value.windows(part.len()).any(|w| w == part);
        match self {
            Test::Exists => true,
            Test::Equals(v) => value == v,
            Test::Word(v) => value.split(u8::is_ascii_whitespace).any(|word| word == v),
            Test::Begins(v) => !v.is_empty() && value.starts_with(v),
            Test::Ends(v) => !v.is_empty() && value.ends_with(v),
            Test::Includes(v) => contains(v),
            Test::Dash(v) => {
                value.strip_prefix(&v[..]).is_some_and(|rest| rest.is_empty() || rest[0] == b'-')
            }
        }
    }
}

/// What is wrong with a selector and which bytes of it.
pub(crate) type SelectorError = (String, Range<usize>);

impl Selector {
    /// Compiles a selector.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        let mut parser = Parser { text: text.as_bytes(), at: 0 };
        let mut chains = vec![parser.chain()?];
        while parser.accept(b',') {
            chains.push(parser.chain()?);
        }
        match parser.at < text.len() {
            true => parser.fail("not part of a selector"),
            false => Ok(Selector(chains)),
        }
    }

    /// Calls `found` with the attribute, or else the text, of each element that matches, until it returns false. An
    /// element without the attribute does not count.
    pub fn each(&self, html: &[u8], attribute: Option<&str>, mut found: impl FnMut(&[u8]) -> bool) {
        let mut walk = Walk::new(self, attribute.map(str::as_bytes), &mut found);
        let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _span: html5gum::Span<()>| {
            walk.event(event);
            walk.over.then_some(())
        });
        emitter.naively_switch_states(true);
        // It goes on until the callback gives something back or the page is over.
        let _ = Tokenizer::new_with_emitter(html, emitter).next();
        walk.end();
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, message: &str) -> Result<T, SelectorError> {
        let end = (self.at + 1).min(self.text.len());
        Err((message.to_owned(), self.at.min(end)..end))
    }

    fn blank(&mut self) -> bool {
        let from = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.at > from
    }

    fn accept(&mut self, byte: u8) -> bool {
        let there = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn chain(&mut self) -> Result<Chain, SelectorError> {
        self.blank();
        let mut chain = vec![(Combinator::Descendant, self.compound()?)];
        loop {
            let blank = self.blank();
            let combinator = match self.text.get(self.at) {
                None | Some(b',') => return Ok(chain),
                Some(b'>') => Combinator::Child,
                Some(b'+') => Combinator::Next,
                Some(b'~') => Combinator::Sibling,
                Some(_) if blank => Combinator::Descendant,
                Some(_) => return self.fail("not part of a selector"),
            };
            if combinator != Combinator::Descendant {
                self.at += 1;
                self.blank();
            }
            if chain.len() >= limits::MAX_COMPOUNDS {
                return self.fail("the selector has too many parts");
            }
            chain.push((combinator, self.compound()?));
        }
    }

    fn compound(&mut self) -> Result<Compound, SelectorError> {
        let mut compound = Compound::default();
        let from = self.at;
        match self.text.get(self.at) {
            Some(b'*') => self.at += 1,
            Some(b) if is_name(*b) => compound.tag = Some(self.name()?.to_ascii_lowercase()),
            _ => {}
        }
        loop {
            match self.text.get(self.at) {
                Some(b'#') => {
                    self.at += 1;
                    compound.attributes.push((b"id".to_vec(), Test::Equals(self.name()?)));
                }
                Some(b'.') => {
                    self.at += 1;
                    compound.attributes.push((b"class".to_vec(), Test::Word(self.name()?)));
                }
                Some(b'[') => {
                    self.at += 1;
                    compound.attributes.push(self.attribute()?);
                }
                Some(b':') => {
                    self.at += 1;
                    compound.nth = Some(self.pseudo()?);
                }
                _ if self.at == from => {
                    return self.fail("a tag, `.class`, `#id` or `[attribute]` belongs here");
                }
                _ => return Ok(compound),
            }
        }
    }

    fn name(&mut self) -> Result<Vec<u8>, SelectorError> {
        let mut name = Vec::new();
        while let Some(&b) = self.text.get(self.at) {
            match b {
                b'\\' if self.at + 1 < self.text.len() => {
                    name.push(self.text[self.at + 1]);
                    self.at += 1;
                }
                b if is_name(b) => name.push(b),
                _ => break,
            }
            self.at += 1;
        }
        if name.is_empty() { self.fail("a name belongs here") } else { Ok(name) }
    }

    fn attribute(&mut self) -> Result<(Vec<u8>, Test), SelectorError> {
        self.blank();
        let name = self.name()?.to_ascii_lowercase();
        self.blank();
        if self.accept(b']') {
            return Ok((name, Test::Exists));
        }
        let kind = self.text.get(self.at).copied().unwrap_or_default();
        if b"~^$*|".contains(&kind) {
            self.at += 1;
        }
        if !self.accept(b'=') {
            return self.fail("`]` or `=` belongs here");
        }
        self.blank();
        let value = self.value()?;
        self.blank();
        if !self.accept(b']') {
            return self.fail("`]` belongs here");
        }
        Ok((
            name,
            match kind {
                b'~' => Test::Word(value),
                b'^' => Test::Begins(value),
                b'$' => Test::Ends(value),
                b'*' => Test::Includes(value),
                b'|' => Test::Dash(value),
                _ => Test::Equals(value),
            },
        ))
    }

    fn value(&mut self) -> Result<Vec<u8>, SelectorError> {
        let Some(&quote @ (b'"' | b'\'')) = self.text.get(self.at) else { return self.name() };
        let rest = &self.text[self.at + 1..];
        match rest.iter().position(|&b| b == quote) {
            Some(end) => {
                self.at += end + 2;
                Ok(rest[..end].to_vec())
            }
            None => self.fail("the text has no end"),
        }
    }

    fn pseudo(&mut self) -> Result<u32, SelectorError> {
        let from = self.at;
        let name = self.name()?;
        match &name[..] {
            b"first-child" => Ok(1),
            b"nth-child" if self.accept(b'(') => {
                self.blank();
                let digits = self.name()?;
                let n = std::str::from_utf8(&digits).ok().and_then(|d| d.parse().ok()).filter(|n| *n > 0);
                self.blank();
                match (n, self.accept(b')')) {
                    (Some(n), true) => Ok(n),
                    _ => self.fail("`:nth-child` takes a number"),
                }
            }
            _ => {
                self.at = from;
                self.fail("of these only `:first-child` and `:nth-child(N)` are known")
            }
        }
    }
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b >= 0x80
}

/// An open element.
#[derive(Default)]
struct Open {
    name: Vec<u8>,
    /// By chain: bit k is set where compounds 0 to k match, the last one this element.
    here: Vec<u32>,
    /// The same for this element or any ancestor.
    above: Vec<u32>,
    /// For the last child so far, and for any child so far.
    last_child: Vec<u32>,
    any_child: Vec<u32>,
    children: u32,
}

struct Walk<'s, F> {
    selector: &'s Selector,
    wanted: Option<&'s [u8]>,
    found: &'s mut F,
    over: bool,
    stack: Vec<Open>,
    /// The start tag that is being read.
    name: Vec<u8>,
    attributes: Vec<(Range<usize>, Range<usize>)>,
    bytes: Vec<u8>,
    /// Elements whose text is being gathered: how deep they are, and the text so far.
    texts: Vec<(usize, Vec<u8>)>,
    /// Bytes that may still be gathered: nested matches each have the inner text.
    room: usize,
}

impl<'s, F: FnMut(&[u8]) -> bool> Walk<'s, F> {
    fn new(selector: &'s Selector, wanted: Option<&'s [u8]>, found: &'s mut F) -> Walk<'s, F> {
        let mut walk = Walk {
            selector,
            wanted,
            found,
            over: false,
            stack: Vec::new(),
            name: Vec::new(),
            attributes: Vec::new(),
            bytes: Vec::new(),
            texts: Vec::new(),
            room: limits::MAX_TEXT,
        };
        walk.stack.push(walk.fresh());
        walk
    }

    fn fresh(&self) -> Open {
        let none = vec![0; self.selector.0.len()];
        Open {
            name: Vec::new(),
            here: none.clone(),
            above: none.clone(),
            last_child: none.clone(),
            any_child: none,
            children: 0,
        }
    }

    fn event(&mut self, event: CallbackEvent<'_>) {
        if self.over {
            return;
        }
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.name.clear();
                self.name.extend_from_slice(name);
                self.attributes.clear();
                self.bytes.clear();
            }
            CallbackEvent::AttributeName { name } => {
                let at = self.bytes.len();
                self.bytes.extend_from_slice(name);
                let end = self.bytes.len();
                self.attributes.push((at..end, end..end));
            }
            CallbackEvent::AttributeValue { value } => {
                let at = self.bytes.len();
                self.bytes.extend_from_slice(value);
                if let Some((_, range)) = self.attributes.last_mut() {
                    *range = at..self.bytes.len();
                }
            }
            CallbackEvent::CloseStartTag { self_closing } => self.start(self_closing),
            CallbackEvent::EndTag { name } => {
                if let Some(at) = self.stack.iter().rposition(|open| open.name == name) {
                    self.close_to(at);
                }
            }
            CallbackEvent::String { value } => {
                for (_, text) in &mut self.texts {
                    let part = &value[..value.len().min(self.room)];
                    self.room -= part.len();
                    text.extend_from_slice(part);
                }
            }
            CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => {}
        }
    }

    /// Closes all elements from this place of the stack.
    fn close_to(&mut self, at: usize) {
        let at = at.max(1);
        while !self.over && self.texts.last().is_some_and(|(depth, _)| *depth >= at) {
            let (_, text) = self.texts.pop().unwrap_or_default();
            self.over = !(self.found)(text.trim_ascii());
        }
        self.stack.truncate(at);
    }

    fn end(&mut self) {
        if !self.over {
            self.close_to(1);
        }
    }

    fn start(&mut self, self_closing: bool) {
        self.imply_end();
        let mut open = self.fresh();
        let depth = self.stack.len();
        let parent = &self.stack[depth - 1];
        let nth = parent.children + 1;
        let mut matched = false;
        for (c, chain) in self.selector.0.iter().enumerate() {
            let mut bits = 0_u32;
            for (k, (combinator, compound)) in chain.iter().enumerate() {
                let before = match combinator {
                    _ if k == 0 => u32::MAX,
                    Combinator::Descendant => parent.above[c],
                    Combinator::Child => parent.here[c],
                    Combinator::Next => parent.last_child[c],
                    Combinator::Sibling => parent.any_child[c],
                };
                let reached = k == 0 || before >> (k - 1) & 1 == 1;
                if reached && self.is(compound, nth) {
                    bits |= 1 << k;
                }
            }
            open.here[c] = bits;
            open.above[c] = parent.above[c] | bits;
            matched |= bits >> (chain.len() - 1) & 1 == 1;
        }
        let parent = &mut self.stack[depth - 1];
        parent.children = nth;
        for (c, bits) in open.here.iter().enumerate() {
            parent.last_child[c] = *bits;
            parent.any_child[c] |= *bits;
        }
        let is_void = VOID.contains(&&self.name[..]);
        if matched {
            self.matched(depth, is_void);
        }
        if is_void || (self_closing && self.foreign()) || depth > limits::MAX_HTML_DEPTH {
            return;
        }
        open.name.extend_from_slice(&self.name);
        self.stack.push(open);
    }

    fn matched(&mut self, depth: usize, is_void: bool) {
        match self.wanted {
            Some(wanted) => {
                let value = self.attributes.iter().find(|(name, _)| &self.bytes[name.clone()] == wanted);
                if let Some((_, value)) = value {
                    self.over = !(self.found)(&self.bytes[value.clone()]);
                }
            }
            None if is_void || depth > limits::MAX_HTML_DEPTH => self.over = !(self.found)(b""),
            None => self.texts.push((depth, Vec::new())),
        }
    }

    /// Inside SVG and MathML `/>` means what it says.
    fn foreign(&self) -> bool {
        self.name == b"svg" || self.stack.iter().any(|open| open.name == b"svg" || open.name == b"math")
    }

    fn is(&self, compound: &Compound, nth: u32) -> bool {
        compound.tag.as_ref().is_none_or(|tag| *tag == self.name)
            && compound.nth.is_none_or(|n| n == nth)
            && compound.attributes.iter().all(|(wanted, test)| {
                self.attributes.iter().any(|(name, value)| {
                    self.bytes[name.clone()] == **wanted && test.holds(&self.bytes[value.clone()])
                })
            })
    }

    /// Elements whose end tag was left out end where the next of their kind begins.
    fn imply_end(&mut self) {
        let ends: &[&[u8]] = match &self.name[..] {
            b"li" => &[b"li"],
            b"tr" => &[b"td", b"th", b"tr"],
            b"td" | b"th" => &[b"td", b"th"],
            b"dt" | b"dd" => &[b"dt", b"dd"],
            b"option" => &[b"option"],
            b"p" | b"div" | b"ul" | b"ol" | b"table" | b"form" | b"h1" | b"h2" | b"h3" | b"section" => {
                &[b"p"]
            }
            _ => return,
        };
        while self.stack.last().is_some_and(|open| ends.contains(&&open.name[..])) {
            self.close_to(self.stack.len() - 1);
        }
    }
}

const VOID: &[&[u8]] = &[
    b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"source",
    b"track", b"wbr",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn all(selector: &str, attribute: Option<&str>, html: &str) -> Vec<String> {
        let mut found = Vec::new();
        Selector::parse(selector).unwrap().each(html.as_bytes(), attribute, |text| {
            found.push(String::from_utf8(text.to_vec()).unwrap());
            true
        });
        found
    }

    const PAGE: &str = r#"<!doctype html><html><head><title>T &amp; U</title><script>if (a < b) "<p class=x>"</script></head>
<body class="a login b"><form id=login><input type=hidden name="_token" value="x&quot;y"><p>One<p class=x>Two <b>bold</b></form>
<ul><li>1<li class="x y">2<li>3<ul><li>3.1</ul></ul><table><tr><td>a<td>b<tr><td>c</table>
<a href="/1" data-id=abc-def>first</a><a href=/2>second</a><br/><img src=i.png></body></html>"#;

    #[test]
    fn selectors_find_what_they_say() {
        let text = |selector: &str| all(selector, None, PAGE);
        assert_eq!(text("title"), ["T & U"]);
        assert_eq!(text("p.x"), ["Two bold"]);
        assert_eq!(text("body.login form#login > p"), ["One", "Two bold"]);
        assert_eq!(text("body > p"), Vec::<String>::new());
        assert_eq!(text("body > ul > li"), ["1", "2", "33.1"]);
        assert_eq!(text("ul ul li"), ["3.1"]);
        assert_eq!(text("body > ul > li:nth-child(2)"), ["2"]);
        assert_eq!(text("tr:first-child td"), ["a", "b"]);
        assert_eq!(text("td + td"), ["b"]);
        assert_eq!(text("ul ~ a"), ["first", "second"]);
        assert_eq!(text("a[href^='/1'], td:first-child"), ["a", "c", "first"]);
        assert_eq!(text("[data-id|=abc]"), ["first"]);
        assert_eq!(text("a[href$='2'][href*=\"/\"]"), ["second"]);
        assert_eq!(text("li[class~=y]"), ["2"]);
        assert_eq!(text("img"), [""]);
        assert_eq!(text("P.X"), Vec::<String>::new(), "classes have case");
        assert_eq!(all(r#"input[name="_token"]"#, Some("value"), PAGE), ["x\"y"]);
        assert_eq!(all("a", Some("href"), PAGE), ["/1", "/2"]);
        assert_eq!(all("a", Some("title"), PAGE), Vec::<String>::new());
    }

    #[test]
    fn it_stops_when_told() {
        let mut n = 0;
        Selector::parse("li").unwrap().each(PAGE.as_bytes(), None, |_| {
            n += 1;
            n < 2
        });
        assert_eq!(n, 2);
    }

    #[test]
    fn bad_selectors_say_where() {
        for (selector, at) in [
            ("", 0),
            ("a >", 3),
            ("a[", 2),
            ("a[b", 3),
            ("a[b=", 4),
            ("a[b='x]", 4),
            ("a:hover", 2),
            ("a,", 2),
            ("a!", 1),
            ("..", 1),
        ] {
            assert_eq!(Selector::parse(selector).unwrap_err().1.start, at, "{selector}");
        }
    }

    #[test]
    fn hostile_pages_do_no_harm() {
        let deep = "<div>".repeat(100_000);
        assert_eq!(all("div", None, &deep).len(), 100_000);
        assert_eq!(all("a", None, "</a></b><<a<"), Vec::<String>::new());
        assert_eq!(all("p", None, "<p>a<p>b"), ["a", "b"]);
    }
}
