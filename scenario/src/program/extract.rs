//! Extractors: from a response into a variable.

use super::html::Selector;
use super::json::Path;
use crate::expr::random::Random;
use crate::expr::value::{Val, Value};
use crate::limits;
use crate::secret;

/// One extractor.
#[derive(Clone, Debug)]
pub(crate) struct Extract {
    /// The variable's name, and its place.
    pub name: String,
    pub place: u16,
    pub from: From,
    pub pick: Pick,
    /// What the variable holds where nothing is found; without it the iteration fails, unless it is not required.
    pub default: Option<Value>,
    pub required: bool,
    /// How the plan says it.
    pub shown: String,
}

impl Extract {
    /// Whether nobody is to see what it finds: by where that comes from, or by the variable's name.
    pub fn is_secret(&self) -> bool {
        match &self.from {
            From::Cookie(_) => true,
            From::Header(name) if secret::is_field(name) => true,
            _ => secret::is_name(&self.name),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum From {
    Json(Path),
    Header(String),
    Cookie(String),
    /// And which group of it.
    Regex(regex::bytes::Regex, usize),
    /// And which attribute, else the text.
    Css(Selector, Option<String>),
    Body,
}

impl From {
    pub fn needs_body(&self) -> bool {
        !matches!(self, From::Header(_) | From::Cookie(_))
    }
    /// What it is, for the reason of a failure.
    pub fn what(&self) -> &'static str {
        match self {
            From::Json(_) => "the JSON path leads to nothing",
            From::Header(_) => "the header is not there",
            From::Cookie(_) => "the cookie is not there",
            From::Regex(..) => "the pattern matches nothing",
            From::Css(..) => "the selector finds nothing",
            From::Body => "the body is empty",
        }
    }
}

/// Which of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    First,
    Last,
    /// From 0.
    Nth(u64),
    Random,
    All,
    Count,
}

/// Why nothing was extracted though something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusable(pub &'static str);

/// Takes what an extractor finds, one after the other.
pub(crate) struct Picker<'a> {
    pick: Pick,
    random: &'a Random,
    seen: u64,
    pub found: bool,
    pub bad: Option<Unusable>,
    into: &'a mut Value,
}

impl<'a> Picker<'a> {
    pub fn new(pick: Pick, random: &'a Random, into: &'a mut Value) -> Picker<'a> {
        if pick == Pick::All {
            *into = Value::List(Vec::new());
        }
        Picker { pick, random, seen: 0, found: false, bad: None, into }
    }

    /// Takes the next one; false: the others do not matter.
    pub fn offer(&mut self, value: Val<'_>) -> bool {
        let n = self.seen;
        self.seen += 1;
        match self.pick {
            Pick::First => self.into.set(value),
            Pick::Nth(wanted) if n < wanted => return true,
            Pick::Nth(_) => self.into.set(value),
            Pick::Last => {
                self.into.set(value);
                self.found = true;
                return true;
            }
            Pick::Random => {
                // The n-th replaces what is there with probability 1/n: all are equally likely in the end.
                if self.random.below(self.seen) == 0 {
                    self.into.set(value);
                }
                self.found = true;
                return true;
            }
            Pick::Count => {
                self.found = true;
                *self.into = Value::Int(self.seen as i64);
                return true;
            }
            Pick::All => {
                self.found = true;
                let Value::List(list) = &mut *self.into else { return false };
                let mut item = Value::Null;
                item.set(value);
                list.push(item);
                return list.len() < limits::MAX_LIST_VALUES;
            }
        }
        self.found = true;
        false
    }

    /// The same from bytes, which must be text.
    pub fn offer_bytes(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > limits::MAX_TEXT {
            self.bad = Some(Unusable("it is too long for a variable"));
            return false;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => self.offer(Val::Text(text.into())),
            Err(_) => {
                self.bad = Some(Unusable("it is not UTF-8"));
                false
            }
        }
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        if self.pick == Pick::Count && !self.found {
            *self.into = Value::Int(0);
            self.found = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(pick: Pick) -> (bool, Value) {
        let (random, mut into) = (Random::new(3, 3), Value::Unset);
        let mut picker = Picker::new(pick, &random, &mut into);
        for text in ["a", "b", "c"] {
            if !picker.offer_bytes(text.as_bytes()) {
                break;
            }
        }
        picker.finish();
        (picker.found, into)
    }

    #[test]
    fn which_of_several() {
        let text = |t: &str| Value::Text(t.into());
        assert_eq!(pick(Pick::First), (true, text("a")));
        assert_eq!(pick(Pick::Last), (true, text("c")));
        assert_eq!(pick(Pick::Nth(1)), (true, text("b")));
        assert_eq!(pick(Pick::Nth(3)), (false, Value::Unset));
        assert_eq!(pick(Pick::All), (true, Value::List(vec![text("a"), text("b"), text("c")])));
        assert_eq!(pick(Pick::Count), (true, Value::Int(3)));
        let (found, value) = pick(Pick::Random);
        assert!(found && [text("a"), text("b"), text("c")].contains(&value));
    }

    #[test]
    fn what_is_no_text_is_said() {
        let (random, mut into) = (Random::new(0, 0), Value::Unset);
        let mut picker = Picker::new(Pick::First, &random, &mut into);
        picker.offer_bytes(b"\xff");
        assert_eq!((picker.found, picker.bad), (false, Some(Unusable("it is not UTF-8"))));
        assert_eq!(into, Value::Unset);
    }
}
