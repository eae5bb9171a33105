//! The last few of the values that were replaced, in a ring: what was a credential a moment ago is none that may be shown, for a
//! server may still send it back. The memory of the oldest one is used for the next, so that this costs none once it is full.

use crate::limits::PAST_SECRETS;

#[derive(Clone, Debug)]
pub(super) struct Past<T> {
    list: Vec<T>,
    /// The oldest.
    next: u8,
}

impl<T> Default for Past<T> {
    fn default() -> Past<T> {
        Past { list: Vec::new(), next: 0 }
    }
}

impl<T: Default> Past<T> {
    /// The oldest value, which is forgotten, for its memory.
    pub fn spare(&mut self) -> T {
        match self.list.len() < PAST_SECRETS {
            true => T::default(),
            false => std::mem::take(&mut self.list[usize::from(self.next)]),
        }
    }

    /// Remembers a value in the place of the oldest.
    pub fn keep(&mut self, value: T) {
        let full = self.list.len() == PAST_SECRETS;
        self.give_back(value);
        if full {
            self.next = (self.next + 1) % PAST_SECRETS as u8;
        }
    }

    /// Takes memory back: the next value that is remembered takes its place.
    pub fn give_back(&mut self, value: T) {
        match self.list.len() < PAST_SECRETS {
            true => self.list.push(value),
            false => self.list[usize::from(self.next)] = value,
        }
    }

    /// All that are remembered.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.list.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_its_memory_is_used_again() {
        let mut past = Past::default();
        for n in 0..PAST_SECRETS + 2 {
            let mut spare: String = past.spare();
            assert_eq!(spare.capacity() > 0, n >= PAST_SECRETS, "{n}");
            spare.clear();
            spare.push_str(&n.to_string());
            past.keep(spare);
        }
        let mut kept: Vec<&str> = past.iter().map(String::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["2", "3", "4", "5"]);
        // What is given back is forgotten first.
        let oldest = past.spare();
        past.give_back(oldest + "x");
        assert_eq!(past.spare(), "2x");
    }
}
