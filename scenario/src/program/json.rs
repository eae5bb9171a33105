//! JSON paths (RFC 9535) on response bodies. A path that leads to one place is followed while the text is read, without a
//! tree; anything else takes serde_json_path on a tree.

use super::json_text;
use crate::expr::value::Val;
use crate::limits;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json_path::JsonPath;
use std::fmt;

/// A compiled path.
#[derive(Clone, Debug)]
pub(crate) enum Path {
    /// Names and numbers only.
    Singular(Vec<Segment>),
    /// Wildcards, filters and all the rest.
    Full(Box<JsonPath>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Name(String),
    Index(usize),
}

/// Why a text is no path, or none that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    /// What is wrong, as the package says it.
    Syntax(String),
    TooLong,
    /// The bracket at this byte is one too many in one another.
    TooDeep(usize),
}

/// The body is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl Path {
    /// Compiles a path.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        bounded(text)?;
        match JsonPath::parse(text) {
            Ok(path) => Ok(singular(text).map_or_else(|| Path::Full(Box::new(path)), Path::Singular)),
            Err(error) => Err(PathError::Syntax(error.message().to_owned())),
        }
    }

    /// Calls `found` with each value the path leads to, until it returns false.
    pub fn each(&self, body: &[u8], mut found: impl FnMut(Val<'_>) -> bool) -> Result<(), NotJson> {
        match self {
            Path::Singular(segments) => {
                let mut text = None;
                let mut json = serde_json::Deserializer::from_slice(body);
                Follow { path: segments, found: &mut text }.deserialize(&mut json).map_err(|_| NotJson)?;
                json.end().map_err(|_| NotJson)?;
                if let Some(text) = text {
                    found(json_text::value(text).ok_or(NotJson)?);
                }
                Ok(())
            }
            Path::Full(path) => {
                let body = std::str::from_utf8(body).map_err(|_| NotJson)?;
                let tree: serde_json::Value = serde_json::from_str(body).map_err(|_| NotJson)?;
                let nodes = path.query(&tree);
                let address = |node: &serde_json::Value| std::ptr::from_ref(node).addr();
                // In a tree numbers have lost their digits.
                let mut texts = nodes.iter().map(|node| (address(node), "")).collect();
                json_text::locate(body, &tree, &mut texts);
                for node in nodes.iter() {
                    let text = texts.get(&address(node)).copied().unwrap_or_default();
                    if !found(json_text::value(text).ok_or(NotJson)?) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Whether the package can be given the text: it reads a filter twice for each one that is around it, and recurses.
fn bounded(text: &str) -> Result<(), PathError> {
    if text.len() > limits::MAX_PATH {
        return Err(PathError::TooLong);
    }
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'[' | b'(') => depth += 1,
            (None, b']' | b')') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        if depth > limits::MAX_PATH_DEPTH {
            return Err(PathError::TooDeep(at));
        }
    }
    Ok(())
}

/// `$`, then `.name`, `['name']` or `[3]`; `None` for everything else.
fn singular(text: &str) -> Option<Vec<Segment>> {
    let mut rest = text.trim().strip_prefix('$')?;
    let mut segments = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let name = &after[..end];
            let plain = |c: char| c.is_alphanumeric() || c == '_';
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(plain) {
                return None;
            }
            segments.push(Segment::Name(name.to_owned()));
            rest = &after[end..];
            continue;
        }
        let after = rest.strip_prefix('[')?;
        if let Some(quote) = after.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let end = after[1..].find(quote)? + 1;
            let name = &after[1..end];
            if name.contains('\\') {
                return None;
            }
            segments.push(Segment::Name(name.to_owned()));
            rest = after[end + 1..].strip_prefix(']')?;
        } else {
            let end = after.find(']')?;
            segments.push(Segment::Index(after[..end].parse().ok()?));
            rest = &after[end + 1..];
        }
    }
    Some(segments)
}

/// Goes down a path while the text is read, to the text of what it leads to.
struct Follow<'p, 't> {
    path: &'p [Segment],
    found: &'p mut Option<&'t str>,
}

impl<'de> DeserializeSeed<'de> for Follow<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.path {
            [] => {
                *self.found = Some(<&RawValue>::deserialize(deserializer)?.get());
                Ok(())
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

macro_rules! nothing_below {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, _: $type) -> Result<(), E> { Ok(()) })*
    };
}

impl<'de> Visitor<'de> for Follow<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    nothing_below!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let wanted = match self.path.first() {
            Some(Segment::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        while let Some(is) = map.next_key_seed(Key(wanted))? {
            match is {
                true => map.next_value_seed(Follow { path: &self.path[1..], found: &mut *self.found })?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let wanted = match self.path.first() {
            Some(Segment::Index(index)) => Some(*index),
            _ => None,
        };
        for index in 0.. {
            let more = match wanted == Some(index) {
                true => list
                    .next_element_seed(Follow { path: &self.path[1..], found: &mut *self.found })?
                    .is_some(),
                false => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a key is the wanted one, without a copy of it.
struct Key<'p>(Option<&'p str>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(self.0 == Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::value::Value;

    const BODY: &str = r#"{"a":{"b":[1,2.5,"x",null,true,{"c":"deep"}],"k.e y":7},"list":[{"id":1,"n":"p"},{"id":2,"n":"q"}],"big":18446744073709551615,"numbers":[12345678901234567890124,1.10,-0, 1e5 ,{"x":1.0}]}"#;

    fn all(path: &str) -> Vec<Value> {
        let mut found = Vec::new();
        Path::parse(path)
            .unwrap()
            .each(BODY.as_bytes(), |v| {
                let mut value = Value::Unset;
                value.set(v);
                found.push(value);
                true
            })
            .unwrap();
        found
    }

    #[test]
    fn singular_and_full_paths_agree() {
        for path in [
            "$.a.b[0]",
            "$.a.b[1]",
            "$['a']['b'][2]",
            "$.a.b[3]",
            "$.a.b[4]",
            "$.a.b[5].c",
            "$.a['k.e y']",
            "$.list[1].n",
            "$.a.b",
            "$.list[0]",
            "$.none",
            "$.a.b.c",
            "$.a.b[9]",
            "$.a.b[2].x",
            "$.big",
            "$.numbers",
            "$.numbers[0]",
            "$.numbers[2]",
            "$.numbers[3]",
            "$.numbers[4]",
        ] {
            let parsed = Path::parse(path).unwrap();
            assert!(matches!(parsed, Path::Singular(_)), "{path}");
            let full = Path::Full(Box::new(JsonPath::parse(path).unwrap()));
            let mut expected = Vec::new();
            full.each(BODY.as_bytes(), |v| {
                let mut value = Value::Unset;
                value.set(v);
                expected.push(value);
                true
            })
            .unwrap();
            assert_eq!(all(path), expected, "{path}");
        }
        assert_eq!(all("$.a.b[5].c"), [Value::Text("deep".into())]);
        assert_eq!(all("$.list[0]"), [Value::Text(r#"{"id":1,"n":"p"}"#.into())]);
    }

    #[test]
    fn wildcards_and_filters() {
        assert_eq!(all("$.list[*].id"), [Value::Int(1), Value::Int(2)]);
        assert_eq!(all("$.list[?@.id > 1].n"), [Value::Text("q".into())]);
        assert_eq!(all("$..c"), [Value::Text("deep".into())]);
    }

    #[test]
    fn numbers_keep_their_digits() {
        let number = Value::of_number;
        assert_eq!(all("$.big"), [number("18446744073709551615")]);
        let several = [number("12345678901234567890124"), number("1.10"), number("-0"), number("1e5")];
        assert_eq!(all("$.numbers[0,1,2,3]"), several);
        assert_eq!(all("$.numbers[*].x"), [number("1.0")]);
        assert_eq!(all("$.numbers[4]"), [Value::Text(r#"{"x":1.0}"#.into())]);
        assert_eq!(all("$.numbers[1]"), [number("1.10")]);
    }

    #[test]
    fn a_path_is_bounded_before_it_is_read() {
        let nested = |n: usize| format!("${}{}", "[?@".repeat(n), "]".repeat(n));
        let most = limits::MAX_PATH_DEPTH;
        assert!(matches!(Path::parse(&nested(most)), Ok(Path::Full(_))));
        // Of these each level doubled the time, and thousands of them overflowed the stack.
        for n in [most + 1, 24, 1000] {
            assert_eq!(Path::parse(&nested(n)).unwrap_err(), PathError::TooDeep(1 + 3 * most), "{n}");
        }
        for deep in ["[?(", "[?!(", "[?count(@", "[", "[?length(value(@"] {
            let text = format!("${}", deep.repeat(limits::MAX_PATH / deep.len() - 1));
            assert!(matches!(Path::parse(&text), Err(PathError::TooDeep(_))), "{deep}");
        }
        assert_eq!(Path::parse(&nested(100_000)).unwrap_err(), PathError::TooLong);
        let quoted = format!("$['{}']", "[(".repeat(100));
        assert!(
            Path::parse(&quoted).is_ok()
                && Path::parse(&format!("$[?@ == \"\\\"{}\"]", "[".repeat(100))).is_ok()
        );
        // As much as can stand in the innermost filter.
        let inner = "@.a[0]==1||".repeat((limits::MAX_PATH - 4 * most - 10) / 11);
        assert!(
            Path::parse(&format!("${}[?{inner}@.a]{}", "[?@".repeat(most - 2), "]".repeat(most - 2))).is_ok()
        );
    }

    #[test]
    fn what_is_not_json_is_said() {
        let path = Path::parse("$.a").unwrap();
        for body in ["", "{", "{\"a\":1", "{\"a\":1}x", "<html>", "\u{0}"] {
            assert_eq!(path.each(body.as_bytes(), |_| true), Err(NotJson), "{body}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(path.each(deep.as_bytes(), |_| true), Err(NotJson));
        assert!(Path::parse("a.b").is_err() && Path::parse("$.a[").is_err());
    }
}
