//! The names that a scenario's templates and conditions may use, and the places of their values.

use crate::expr::HANDED;
use crate::expr::parse::Meaning;
use crate::expr::value::Value;
use crate::limits;
use crate::place;
use crate::plan::{Meeting, Secret};
use crate::program::BUILT_IN;
use crate::secret;
use crate::source::{Span, quote};

/// A data source as far as names are concerned.
#[derive(Clone, Debug)]
pub(crate) struct DataNames {
    pub name: String,
    pub columns: Vec<String>,
}

/// The names in scope.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub data: Vec<DataNames>,
    /// Variables by place.
    names: Vec<String>,
    /// Columns that are used: source, column, place.
    pub used: Vec<(usize, u16, u16)>,
    /// Names that come later in the scenario: known, but not yet.
    pub open: bool,
    /// Names of what the setup of the run hands to all users.
    pub handed: Vec<String>,
    /// What is read is done once: there are no rows for it.
    pub once: bool,
    /// Variables from this place on get their values at the same time as what is read.
    pub hidden: Option<u16>,
    /// Where users wait for each other, and where that is written.
    pub meetings: Vec<(Meeting, Span)>,
    /// Values from the environment whose names say that they are secret.
    pub secrets: Vec<Secret>,
    /// Places of values that the setup hands over and that are not to be shown, whatever they are called.
    pub hidden_hands: Vec<u16>,
    /// Some names could not be read: nothing is said about unknown ones.
    pub partial: bool,
}

impl Scope {
    /// Begins a scenario: only what every scenario has.
    pub fn begin(&mut self) {
        self.names = BUILT_IN.iter().map(|n| (*n).to_owned()).collect();
        self.used.clear();
        self.open = true;
    }

    /// How many variables there are so far.
    pub fn count(&self) -> u16 {
        self.names.len() as u16
    }

    /// Ends a scenario.
    pub fn end(&mut self) -> Vec<String> {
        self.open = false;
        std::mem::take(&mut self.names)
    }

    /// The place of a variable that is given a value. `None`: the name cannot be one, and why.
    pub fn define(&mut self, name: &str) -> Result<u16, String> {
        let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !begins || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Err("a variable's name has letters, digits and `_`, and begins with no digit".into());
        }
        if BUILT_IN.contains(&name) || ["true", "false", "null", "and", "or", "not", "env"].contains(&name) {
            return Err(format!("{} has a meaning of its own", quote(name)));
        }
        if self.data.iter().any(|d| d.name == name) {
            return Err(format!("{} is a data source", quote(name)));
        }
        if self.handed.iter().any(|n| n == name) {
            return Err(format!("{} comes from `setup`, and users only read it", quote(name)));
        }
        if let Some(at) = self.names.iter().position(|n| n == name) {
            return Ok(at as u16);
        }
        self.place(name.to_owned())
            .ok_or_else(|| format!("a scenario has at most {} variables", limits::MAX_VARIABLES))
    }

    fn place(&mut self, name: String) -> Option<u16> {
        if self.names.len() >= limits::MAX_VARIABLES {
            return None;
        }
        self.names.push(name);
        Some(self.names.len() as u16 - 1)
    }

    /// What a name means.
    pub fn meaning(&mut self, name: &str) -> Meaning {
        if let Some(variable) = name.strip_prefix("env.") {
            return match std::env::var(variable) {
                Ok(value) => {
                    let hidden = Secret::new(value.as_str());
                    if secret::is_name(variable) && !self.secrets.contains(&hidden) {
                        self.secrets.push(hidden);
                    }
                    Meaning::Value(Value::Text(value))
                }
                Err(_) => Meaning::Unknown(
                    format!("the environment has no {}", quote(variable)),
                    format!("set it, or write `env('{variable}', 'default')`"),
                ),
            };
        }
        if !self.open {
            let message = "a variable cannot be used here".to_owned();
            return Meaning::Unknown(message, "only `env` and functions are known here".into());
        }
        if let Some(at) = self.names.iter().position(|n| n == name) {
            let of_data = self.used.iter().any(|(_, _, place)| usize::from(*place) == at);
            if !of_data && self.hidden.is_some_and(|hidden| at >= usize::from(hidden)) {
                let message = format!("{} gets its value in the same `parallel`", quote(name));
                return Meaning::Unknown(message, "it is known behind it".into());
            }
            return Meaning::Place(at as u16);
        }
        if let Some(at) = self.handed.iter().position(|n| n == name) {
            return Meaning::Place(HANDED + at as u16);
        }
        let (source, column) = name.split_once('.').unwrap_or((name, ""));
        if let Some(at) = self.data.iter().position(|d| d.name == source) {
            return self.column(at, column, name);
        }
        if self.partial {
            return Meaning::Place(0);
        }
        let data = self.data.iter().flat_map(|d| d.columns.iter().map(|c| format!("{}.{c}", d.name)));
        let known: Vec<String> = self.names.iter().chain(&self.handed).cloned().chain(data).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let label = match place::nearest(name, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "nothing before it gives it a value".to_owned(),
        };
        Meaning::Unknown(format!("there is no variable {}", quote(name)), label)
    }

    fn column(&mut self, source: usize, column: &str, name: &str) -> Meaning {
        if self.once {
            let message = "what is done once in a run takes no rows of data".to_owned();
            return Meaning::Unknown(message, "rows are for users".into());
        }
        let columns: Vec<&str> = self.data[source].columns.iter().map(String::as_str).collect();
        let at = match (columns.iter().position(|c| *c == column), column.is_empty() && columns.len() == 1) {
            (Some(at), _) => at,
            (None, true) => 0,
            (None, false) => {
                let label = match place::nearest(column, &columns) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("it has {}", place::list(&columns)),
                };
                let source = quote(&self.data[source].name);
                if column.is_empty() {
                    return Meaning::Unknown(format!("the data source {source} has several columns"), label);
                }
                return Meaning::Unknown(
                    format!("the data source {source} has no column {}", quote(column)),
                    label,
                );
            }
        };
        if let Some((_, _, place)) = self.used.iter().find(|(s, c, _)| (*s, usize::from(*c)) == (source, at))
        {
            return Meaning::Place(*place);
        }
        match self.place(name.to_owned()) {
            Some(place) => {
                self.used.push((source, at as u16, place));
                Meaning::Place(place)
            }
            None => Meaning::Unknown(
                format!("a scenario has at most {} variables", limits::MAX_VARIABLES),
                String::new(),
            ),
        }
    }
}
