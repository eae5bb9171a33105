//! Why nothing was run: one message that names what is wrong and the remedy.

use crate::exit;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use engine::{Control, StartError};
use std::error::Error as _;
use std::fmt;

/// The message, without the program's name, and the exit code.
#[derive(Debug)]
pub struct Failure(String, u8);

impl Failure {
    /// From a message that says what is wrong and what to do.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure(message.into(), exit::USAGE)
    }

    /// Why the engine could not run; where it was interrupted, that is what kept the run from beginning.
    pub fn of_run(error: &StartError, control: &Control) -> Failure {
        let code = if control.interrupts() > 0 { exit::INTERRUPTED } else { exit::USAGE };
        Failure(error.to_string(), code)
    }

    /// What the process exits with.
    pub fn code(&self) -> u8 {
        self.1
    }

    /// What is wrong and what to do.
    pub fn message(&self) -> &str {
        &self.0
    }

    /// From what clap found wrong with the arguments.
    pub fn of_arguments(error: &clap::Error, command: &clap::Command) -> Failure {
        if error.kind() == ErrorKind::ValueValidation
            && let (Some(arg), Some(value), Some(source)) = (
                context(error, ContextKind::InvalidArg),
                context(error, ContextKind::InvalidValue),
                error.source(),
            )
        {
            return Failure::new(format!(
                "{}: bad option value: {value}: {source}",
                option_name(&arg, command)
            ));
        }
        if error.kind() == ErrorKind::UnknownArgument
            && let Some(arg) = context(error, ContextKind::InvalidArg)
            && arg.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            return Failure::new(format!(
                "{arg}: no option takes a negative number: leave out the minus sign"
            ));
        }
        if error.kind() == ErrorKind::InvalidUtf8
            && let Some(arg) = std::env::args_os().find(|arg| arg.to_str().is_none())
        {
            let arg = arg.to_string_lossy();
            return Failure::new(format!(
                "{arg}: this argument is not UTF-8 (\u{fffd} stands for what is not): write such bytes of a URL as %FF, and give \
                 files names in UTF-8"
            ));
        }
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        Failure::new(text.trim_end())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loadgen: error: {}", self.0)
    }
}

impl From<scenario::Errors> for Failure {
    fn from(errors: scenario::Errors) -> Failure {
        let text = errors.to_string();
        Failure::new(text.strip_prefix("error: ").unwrap_or(&text).trim_end())
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// `-n, --requests` from clap's `--requests <N>`: h2load users know the short one.
fn option_name(shown: &str, command: &clap::Command) -> String {
    let long = shown.split([' ', '=', '[']).next().unwrap_or(shown);
    let short = command
        .get_arguments()
        .find(|arg| arg.get_long().is_some_and(|l| long.strip_prefix("--") == Some(l)))
        .and_then(clap::Arg::get_short);
    match short {
        Some(short) => format!("-{short}, {long}"),
        None => long.to_owned(),
    }
}
