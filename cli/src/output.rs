//! Everything that leaves the program. A closed pipe is no error: whoever reads has seen enough.

use crate::args::{MachineFormat, OutputArgs};
use crate::error::Failure;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

/// What kept a text from standard output, as the system numbers it; 0: nothing did.
static LOST: AtomicI32 = AtomicI32::new(0);

/// To standard output, at once.
pub fn stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            LOST.store(error.raw_os_error().unwrap_or(libc::EIO), Relaxed);
        }
        _ => {}
    }
}

/// Whether all that was said on standard output went there: a full disk must not look like a result.
pub fn end() -> Result<(), Failure> {
    match LOST.load(Relaxed) {
        0 => Ok(()),
        errno => {
            let error = std::io::Error::from_raw_os_error(errno);
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
    }
}

/// To standard error.
pub fn stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// A text of the plan's or the server's as one line that does nothing to a terminal.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
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
    /// By the flags; `stdout_taken`: a machine reads standard output.
    pub fn of(args: &OutputArgs, stdout_taken: bool) -> Human {
        match stdout_taken {
            _ if args.no_human => Human::Nobody,
            true => match std::io::stderr().is_terminal() {
                true => Human::Stderr,
                false => Human::Nobody,
            },
            false => Human::Stdout,
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

/// Where something for machines goes.
#[derive(Debug)]
pub enum Place {
    /// Standard output.
    Stdout,
    /// Opened before the run, so that a wrong path costs no run.
    File(PathBuf, File),
}

impl Place {
    /// `-` is standard output. `option` is who asked.
    pub fn of(path: &Path, option: &str) -> Result<Place, Failure> {
        if path == Path::new("-") {
            return Ok(Place::Stdout);
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            Failure::new(format!(
                "{option}: cannot write {}: {error}: give a file in a directory that exists and is yours",
                path.display()
            ))
        })?;
        Ok(Place::File(path.to_owned(), file))
    }

    /// Whether it is standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self, Place::Stdout)
    }

    /// Empties a file; a device or a pipe has no length and cannot be cut.
    pub fn clear(&self) -> std::io::Result<()> {
        match self {
            Place::File(_, file) if file.metadata()?.is_file() => file.set_len(0),
            _ => Ok(()),
        }
    }

    /// Whether nothing is before what is written next.
    fn is_at_start(&self) -> std::io::Result<bool> {
        match self {
            Place::Stdout => Ok(true),
            Place::File(_, file) => file.metadata().map(|m| !m.is_file() || m.len() == 0),
        }
    }

    /// Writes at the end.
    pub fn write(&mut self, text: &str) -> std::io::Result<()> {
        match self {
            Place::Stdout => {
                stdout(text);
                Ok(())
            }
            Place::File(_, file) => file.write_all(text.as_bytes()),
        }
    }

    /// What is said where it cannot be written.
    pub fn failure(&self, option: &str, error: &std::io::Error) -> Failure {
        let name = match self {
            Place::Stdout => Path::new("-"),
            Place::File(path, _) => path,
        };
        Failure::new(format!("{option}: cannot write {}: {error}", name.display()))
    }
}

impl Machine {
    /// By the flags; empty if nobody asked.
    pub fn all(args: &OutputArgs) -> Result<Vec<Machine>, Failure> {
        if args.format.is_some() && args.output.len() > 1 {
            return Err(Failure::new(
                "--format beside several -o: leave it out, the ending of each file says its format",
            ));
        }
        if let (Some(format), []) = (args.format, args.output.as_slice()) {
            return Ok(vec![Machine { format, place: Place::Stdout }]);
        }
        let machine = |path: &PathBuf| {
            let format = match args.format {
                Some(format) => format,
                None => by_extension(path)?,
            };
            Ok(Machine { format, place: Place::of(path, "-o")? })
        };
        args.output.iter().map(machine).collect()
    }

    /// Whether it takes standard output.
    pub fn is_stdout(&self) -> bool {
        self.place.is_stdout()
    }

    /// Writes the result; `header` goes before the first line of a file that has none.
    pub fn write(mut self, text: &str, header: &str) -> Result<(), Failure> {
        let mut write = || -> std::io::Result<()> {
            if matches!(self.format, MachineFormat::Json | MachineFormat::Hlog | MachineFormat::Junit) {
                self.place.clear()?;
            }
            let header = if self.place.is_at_start()? { header } else { "" };
            self.place.write(&format!("{header}{text}"))
        };
        write().map_err(|error| self.place.failure("-o", &error))
    }
}

/// What the ending of a file says; one without an ending is JSON, as standard output is.
fn by_extension(path: &Path) -> Result<MachineFormat, Failure> {
    let Some(ending) = path.extension() else { return Ok(MachineFormat::Json) };
    Ok(match ending.to_ascii_lowercase().to_str() {
        Some("json") => MachineFormat::Json,
        Some("jsonl") => MachineFormat::Jsonl,
        Some("csv") => MachineFormat::Csv,
        Some("hlog") => MachineFormat::Hlog,
        Some("xml") => MachineFormat::Junit,
        _ => {
            return Err(Failure::new(format!(
                "-o {}: no format is known by the ending .{}: end it in .json, .jsonl, .csv, .hlog or .xml, or say which with --format",
                path.display(),
                ending.display()
            )));
        }
    })
}
