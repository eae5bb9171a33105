//! Colour, where it was asked for. Four meanings, no more.

/// Wraps text in escape sequences, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink(pub(super) bool);

impl Ink {
    pub(super) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }
    pub(super) fn doubtful(self, text: &str) -> String {
        self.wrap("33", text)
    }
    pub(super) fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }
    pub(super) fn heading(self, text: &str) -> String {
        self.wrap("1", text)
    }
    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
