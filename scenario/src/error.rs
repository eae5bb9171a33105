//! What is wrong with a plan: collected while it is read, shown like a compiler's errors.

use crate::limits;
use crate::source::{Excerpt, Sources, Span};
use std::fmt;

/// One error, not yet shown.
#[derive(Debug)]
struct Problem {
    message: String,
    span: Span,
    label: String,
    notes: Vec<String>,
}

/// The errors so far, bounded.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// Adds an error: what is wrong, where, and what to do about it (shown beside the caret; may be empty).
    pub fn add(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>) {
        let (message, label) = (message.into(), label.into());
        // A node reached by two aliases says the same thing twice.
        if self.list.iter().any(|p| p.span == span && p.message == message) {
            return;
        }
        let (label, notes) = match label.chars().count() > limits::MAX_LABEL {
            true => (String::new(), vec![label]),
            false => (label, vec![]),
        };
        self.push(Problem { message, span, label, notes });
    }

    /// Adds a line to the newest error.
    pub fn note(&mut self, note: impl Into<String>) {
        if let Some(last) = self.list.last_mut().filter(|_| self.more == 0) {
            last.notes.push(note.into());
        }
    }

    fn push(&mut self, problem: Problem) {
        match self.list.len() < limits::MAX_ERRORS {
            true => self.list.push(problem),
            false => self.more += 1,
        }
    }

    /// How many there are, shown or not.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// Whether further ones would not be shown.
    pub fn is_full(&self) -> bool {
        self.more > 0
    }

    /// The errors in the order of the text, or `None` if there are none.
    pub fn finish(mut self, sources: &Sources<'_>, file: &str) -> Option<Errors> {
        if self.list.is_empty() {
            return None;
        }
        self.list.sort_by_key(|p| p.span);
        let show = |p: Problem| Diagnostic {
            message: p.message,
            place: sources
                .0
                .get(p.span.source as usize)
                .map(|source| source.excerpt(p.span.start, p.span.end)),
            label: p.label,
            notes: p.notes,
        };
        Some(Errors {
            file: file.to_owned(),
            list: self.list.into_iter().map(show).collect(),
            more: self.more,
        })
    }
}

/// One error, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// Where; `None` if it is about the whole file.
    pub place: Option<Excerpt>,
    /// Shown beside the caret; may be empty.
    pub label: String,
    /// Further lines below.
    pub notes: Vec<String>,
}

/// Why a plan is not a legal plan. Never empty; in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    file: String,
    list: Vec<Diagnostic>,
    more: usize,
}

impl Errors {
    /// A single error about a whole file: it cannot be read, it is too large.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Errors {
        let diagnostic =
            Diagnostic { message: message.into(), place: None, label: String::new(), notes: vec![] };
        Errors { file: file.to_owned(), list: vec![diagnostic], more: 0 }
    }

    /// A single error at a place.
    pub(crate) fn at(file: &str, message: impl Into<String>, place: Excerpt, note: &str) -> Errors {
        let diagnostic = Diagnostic {
            message: message.into(),
            place: Some(place),
            label: String::new(),
            notes: vec![note.to_owned()],
        };
        Errors { file: file.to_owned(), list: vec![diagnostic], more: 0 }
    }

    /// The errors shown.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// How many more there are that are not shown.
    pub fn more(&self) -> usize {
        self.more
    }
}

impl std::error::Error for Errors {}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            diagnostic.show(f, &self.file)?;
        }
        if self.more > 0 {
            writeln!(f, "\n{} more errors in {} are not shown", self.more, self.file)?;
        } else if self.list.len() > 1 {
            writeln!(f, "\n{} errors in {}", self.list.len(), self.file)?;
        }
        Ok(())
    }
}

impl Diagnostic {
    fn show(&self, f: &mut fmt::Formatter<'_>, file: &str) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        let mut gutter = 2;
        match &self.place {
            Some(place) => {
                gutter = place.line.to_string().len() + 1;
                writeln!(f, "{:gutter$}--> {}:{}:{}", "", place.file, place.line, place.column)?;
                writeln!(f, "{:gutter$} |", "")?;
                writeln!(f, " {} | {}", place.line, place.text)?;
                let caret =
                    format!("{:indent$}{:^<width$}", "", "", indent = place.indent, width = place.width);
                writeln!(
                    f,
                    "{}",
                    format_args!("{:gutter$} | {caret} {}", "", self.label).to_string().trim_end()
                )?;
            }
            None => writeln!(f, "{:gutter$}--> {file}", "")?,
        }
        for note in &self.notes {
            for (i, line) in note.lines().enumerate() {
                let mark = if i == 0 { "= " } else { "  " };
                writeln!(f, "{:gutter$} {mark}{line}", "")?;
            }
        }
        Ok(())
    }
}
