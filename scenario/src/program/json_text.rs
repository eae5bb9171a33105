//! Pieces of text that is known to be JSON, without a tree of it: a number has all its digits here and nowhere else.

use crate::expr::value::{Val, Value};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Nesting of lists that are read: as deep as serde_json goes.
const MAX_DEPTH: usize = 128;

/// The value of a text that is one value of JSON. An object becomes its text, since variables have no fields. `None`: a string has
/// an escape that is no character, or lists are too deep in one another.
pub(crate) fn value(text: &str) -> Option<Val<'_>> {
    let mut scan = Scan { text, at: 0 };
    match scan.peek() {
        b'[' => Some(Val::List(Cow::Owned(scan.list(0)?))),
        _ => scalar(scan.skip()),
    }
}

/// The members of an object by name; of two with one name the last counts.
pub(crate) fn members(text: &str) -> Option<HashMap<Cow<'_, str>, &str>> {
    let mut scan = Scan { text, at: 0 };
    let mut all = HashMap::new();
    scan.members(|scan, name| {
        all.insert(name, scan.skip());
        Some(())
    })?;
    Some(all)
}

/// The names of an object's members in the order of the text.
pub(crate) fn names(text: &str) -> Option<Vec<String>> {
    let mut scan = Scan { text, at: 0 };
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    scan.members(|scan, name| {
        scan.skip();
        if seen.insert(name.clone()) {
            all.push(name.into_owned());
        }
        Some(())
    })?;
    Some(all)
}

/// Finds the text of values of a tree by their addresses; the tree was made of this text.
pub(crate) fn locate<'t>(text: &'t str, tree: &serde_json::Value, wanted: &mut HashMap<usize, &'t str>) {
    Scan { text, at: 0 }.locate(Some(tree), wanted);
}

/// Anything but a list.
fn scalar(text: &str) -> Option<Val<'_>> {
    Some(match text.as_bytes().first()? {
        b'"' => Val::Text(string(text)?),
        b'{' => Val::Text(Cow::Owned(compact(text)?)),
        b't' => Val::Bool(true),
        b'f' => Val::Bool(false),
        b'n' => Val::Null,
        _ => Val::of_number(text),
    })
}

/// What a string says; its text has the quotes.
fn string(text: &str) -> Option<Cow<'_, str>> {
    match text.contains('\\') {
        true => serde_json::from_str::<String>(text).ok().map(Cow::Owned),
        false => Some(Cow::Borrowed(text.get(1..text.len() - 1)?)),
    }
}

/// The same without blanks, and without escapes that need not be.
fn compact(text: &str) -> Option<String> {
    let (mut scan, mut out) = (Scan { text, at: 0 }, String::with_capacity(text.len()));
    while scan.at < text.len() {
        match scan.peek() {
            b'"' => {
                let piece = scan.skip();
                match piece.contains('\\') {
                    true => out.push_str(&serde_json::to_string(&*string(piece)?).ok()?),
                    false => out.push_str(piece),
                }
            }
            // Not in a string all is ASCII.
            byte => {
                scan.at += 1;
                out.extend((byte != 0).then_some(char::from(byte)));
            }
        }
    }
    Some(out)
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    /// The next byte that is not blank; 0 at the end.
    fn peek(&mut self) -> u8 {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(rest.len());
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Takes the next byte that is not blank if it is this one.
    fn accept(&mut self, byte: u8) -> bool {
        let there = self.peek() == byte;
        self.at += usize::from(there);
        there
    }

    /// The text of the next value.
    fn skip(&mut self) -> &'t str {
        let first = self.peek();
        let (from, bytes) = (self.at, self.text.as_bytes());
        let mut depth = 0_usize;
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => self.string_end(),
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            let over = match first {
                b'"' => true,
                b'[' | b'{' => depth == 0,
                _ => !bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)),
            };
            if over {
                break;
            }
        }
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// Behind the quote that closes the string it is in.
    fn string_end(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        if depth >= MAX_DEPTH || !self.accept(b'[') {
            return None;
        }
        while !matches!(self.peek(), b']' | 0) {
            let mut item = Value::Null;
            match self.peek() {
                b'[' => item = Value::List(self.list(depth + 1)?),
                _ => item.set(scalar(self.skip())?),
            }
            items.push(item);
            self.accept(b',');
        }
        self.accept(b']').then_some(items)
    }

    /// Calls `each` with the name of each member, in front of its value.
    fn members(&mut self, mut each: impl FnMut(&mut Self, Cow<'t, str>) -> Option<()>) -> Option<()> {
        if !self.accept(b'{') {
            return None;
        }
        while self.peek() == b'"' {
            let name = string(self.skip())?;
            self.accept(b':');
            each(self, name)?;
            self.accept(b',');
        }
        self.accept(b'}').then_some(())
    }

    fn locate(&mut self, node: Option<&serde_json::Value>, wanted: &mut HashMap<usize, &'t str>) {
        let first = self.peek();
        let from = self.at;
        match (node, first) {
            (Some(serde_json::Value::Array(items)), b'[') => {
                self.at += 1;
                let mut items = items.iter();
                while !matches!(self.peek(), b']' | 0) {
                    self.locate(items.next(), wanted);
                    self.accept(b',');
                }
                self.accept(b']');
            }
            (Some(serde_json::Value::Object(map)), b'{') => {
                // Names were read before, when the tree was made.
                let _ = self.members(|scan, name| {
                    scan.locate(map.get(&*name), wanted);
                    Some(())
                });
            }
            _ => {
                self.skip();
            }
        }
        if let Some(text) = node.and_then(|node| wanted.get_mut(&std::ptr::from_ref(node).addr())) {
            *text = self.text.get(from..self.at).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let text = r#"[a-z"\\\n\u{1}\u{e9}\[\]{},: ]{0,8}"#;
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<u64>().prop_map(serde_json::Value::from),
            text.prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 30, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::vec((text, inner), 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// What a tree says.
    fn expected(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => Value::of_number(&n.to_string()),
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(expected).collect()),
            serde_json::Value::Object(_) => Value::Text(json.to_string()),
        }
    }

    proptest! {
        #[test]
        fn any_text_says_what_its_tree_says(json in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&json).unwrap() } else { json.to_string() };
            let mut found = Value::Unset;
            found.set(value(&text).unwrap());
            prop_assert_eq!(found, expected(&json));
            if let serde_json::Value::Object(map) = &json {
                let members = members(&text).unwrap();
                prop_assert_eq!(members.len(), map.len());
                let mut wanted: HashMap<usize, &str> =
                    map.values().map(|v| (std::ptr::from_ref(v).addr(), "")).collect();
                locate(&text, &json, &mut wanted);
                for (name, member) in map {
                    prop_assert_eq!(members[&**name], wanted[&std::ptr::from_ref(member).addr()]);
                }
            }
        }

        #[test]
        fn any_text_that_is_no_json_does_no_harm(text in r#"[\[\]{}",:\\ a1é]{0,20}"#) {
            let _ = (value(&text), members(&text), names(&text));
            let mut wanted = HashMap::new();
            locate(&text, &serde_json::json!([{ "a": [1] }]), &mut wanted);
        }
    }

    #[test]
    fn values_keep_their_digits() {
        let number = |text| Value::of_number(text);
        for (text, expected) in [
            ("1.10", number("1.10")),
            (" -0 ", number("-0")),
            ("12345678901234567890", number("12345678901234567890")),
            (r#""a\u00e9\"b""#, Value::Text("aé\"b".into())),
            (r#"[1, [2.0 ,"x]"], {"a" : [1.50, "b c"]}, null,true ]"#, {
                let inner = Value::List(vec![number("2.0"), Value::Text("x]".into())]);
                let object = Value::Text(r#"{"a":[1.50,"b c"]}"#.into());
                Value::List(vec![number("1"), inner, object, Value::Null, Value::Bool(true)])
            }),
            (r#"{ "k\u00e9\n" : 1E5 }"#, Value::Text("{\"ké\\n\":1E5}".into())),
            ("[]", Value::List(vec![])),
            ("{}", Value::Text("{}".into())),
        ] {
            let mut is = Value::Unset;
            is.set(value(text).unwrap());
            assert_eq!(is, expected, "{text}");
        }
        assert_eq!(value(r#""\ud800""#), None);
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(value(&deep(MAX_DEPTH)).is_some() && value(&deep(MAX_DEPTH + 1)).is_none());
        assert!(value(&deep(100_000)).is_none());
    }

    #[test]
    fn members_by_name() {
        let text = r#"{"a":1.0,"b":{"a":[2]},"a":3.0}"#;
        assert_eq!(names(text).unwrap(), ["a", "b"]);
        let members = members(text).unwrap();
        assert_eq!((members["a"], members["b"]), ("3.0", r#"{"a":[2]}"#));
    }

    #[test]
    fn the_text_of_a_part_of_a_tree() {
        let text = r#"{"a":{"x":0.1},"l":[1,{"p":1.10,"p":2.20}, 3.0],"a":[7.0]}"#;
        let tree: serde_json::Value = serde_json::from_str(text).unwrap();
        let nodes = [&tree["l"][1]["p"], &tree["l"][2], &tree["a"], &tree["a"][0], &tree["l"]];
        let address = |node: &serde_json::Value| std::ptr::from_ref(node).addr();
        let mut wanted = nodes.iter().map(|node| (address(node), "")).collect();
        locate(text, &tree, &mut wanted);
        let found: Vec<&str> = nodes.iter().map(|node| wanted[&address(node)]).collect();
        assert_eq!(found, ["2.20", "3.0", "[7.0]", "7.0", r#"[1,{"p":1.10,"p":2.20}, 3.0]"#]);
    }
}
