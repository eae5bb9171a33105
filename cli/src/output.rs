//! Everything that leaves the program. A closed pipe is no error: whoever reads has seen enough.

use crate::args::{MachineFormat, OutputArgs};
use crate::error::Failure;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// To standard output, at once.
pub fn stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// To standard error.
pub fn stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Who reads the text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Human {
    /// Standard output, the usual place.
    Stdout,
    /// Standard error, a terminal: standard output belongs to a machine.
    Stderr,
    /// Nobody.
    Nobody,
}

impl Human {
    /// By the flags.
    pub fn of(args: &OutputArgs, machine: Option<&Machine>) -> Human {
        match machine {
            _ if args.no_human => Human::Nobody,
            Some(Machine { place: Place::Stdout, .. }) => match std::io::stderr().is_terminal() {
                true => Human::Stderr,
                false => Human::Nobody,
            },
            _ => Human::Stdout,
        }
    }

    /// Says it.
    pub fn say(self, text: &str) {
        match self {
            Human::Stdout => stdout(text),
            Human::Stderr => stderr(text),
            Human::Nobody => {}
        }
    }

    /// Whether colour arrives where it helps.
    pub fn takes_colour(self) -> bool {
        let terminal = match self {
            Human::Stdout => std::io::stdout().is_terminal(),
            Human::Stderr => std::io::stderr().is_terminal(),
            Human::Nobody => false,
        };
        terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
    }
}

/// Where the result for machines goes, and how.
#[derive(Debug)]
pub struct Machine {
    /// How.
    pub format: MachineFormat,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stdout,
    /// Opened before the run, so that a wrong path costs no run.
    File(PathBuf, File),
}

impl Machine {
    /// By the flags; `None` if nobody asked.
    pub fn of(args: &OutputArgs) -> Result<Option<Machine>, Failure> {
        let path = args.output.as_deref().filter(|p| *p != Path::new("-"));
        let to_stdout = args.output.is_some() && path.is_none();
        match (path, args.format) {
            (None, None) if !to_stdout => Ok(None),
            (None, format) => {
                Ok(Some(Machine { format: format.unwrap_or(MachineFormat::Json), place: Place::Stdout }))
            }
            (Some(path), format) => {
                let format = format.unwrap_or_else(|| by_extension(path));
                let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
                    Failure::new(format!(
                        "-o: cannot write {}: {error}: give a file in a directory that exists and is yours",
                        path.display()
                    ))
                })?;
                Ok(Some(Machine { format, place: Place::File(path.to_owned(), file) }))
            }
        }
    }

    /// Writes the result; `header` goes before the first line of a file that has none.
    pub fn write(self, text: &str, header: &str) -> Result<(), Failure> {
        let (path, mut file) = match self.place {
            Place::Stdout => {
                stdout(&format!("{header}{text}"));
                return Ok(());
            }
            Place::File(path, file) => (path, file),
        };
        let write = || -> std::io::Result<()> {
            // A device or a pipe has no length and cannot be cut.
            let regular = file.metadata()?.is_file();
            if self.format == MachineFormat::Json && regular {
                file.set_len(0)?;
            }
            let begins = !regular || file.metadata()?.len() == 0;
            let header = if begins { header } else { "" };
            file.write_all(format!("{header}{text}").as_bytes())
        };
        let mut write = write;
        write().map_err(|error| Failure::new(format!("-o: cannot write {}: {error}", path.display())))
    }
}

fn by_extension(path: &Path) -> MachineFormat {
    match path.extension().and_then(|e| e.to_str()) {
        Some("jsonl") => MachineFormat::Jsonl,
        Some("csv") => MachineFormat::Csv,
        _ => MachineFormat::Json,
    }
}
