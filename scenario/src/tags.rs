//! Tags: names and values that a plan gives its steps, to select their figures by and to find them again in every output.
//!
//! They are constants. Series are kept by step and put together by tag when they are looked at, so a tag costs no request
//! anything. Made by `resolve`; read by thresholds and by `report`.

use std::collections::BTreeMap;

/// The tags of a step, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Sets one; an earlier value of the same name is gone.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of these are among them, with the same values.
    pub fn include(&self, others: &Tags) -> bool {
        others.iter().all(|(name, value)| self.get(name) == Some(value))
    }

    /// Those that all have, with the same values.
    pub fn common<'t>(mut all: impl Iterator<Item = &'t Tags>) -> Tags {
        let Some(first) = all.next() else { return Tags::default() };
        let mut common = first.clone();
        all.for_each(|tags| common.0.retain(|name, value| tags.get(name) == Some(value)));
        common
    }
}

impl<'t> FromIterator<(&'t str, &'t str)> for Tags {
    fn from_iter<I: IntoIterator<Item = (&'t str, &'t str)>>(all: I) -> Tags {
        let mut tags = Tags::default();
        all.into_iter().for_each(|(name, value)| tags.set(name, value));
        tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_tags_are_those_of_all() {
        let tags = |list: &[(&'static str, &'static str)]| list.iter().copied().collect::<Tags>();
        let (a, b) = (tags(&[("x", "1"), ("y", "1")]), tags(&[("x", "1"), ("y", "2"), ("z", "1")]));
        assert_eq!(Tags::common([&a, &b].into_iter()), tags(&[("x", "1")]));
        assert_eq!(Tags::common([&a].into_iter()), a);
        assert!(Tags::common([&a, &Tags::default()].into_iter()).is_empty());
        assert!(Tags::common([].into_iter()).is_empty());
        assert!(b.include(&tags(&[("x", "1"), ("z", "1")])) && !a.include(&b) && a.include(&Tags::default()));
    }
}
