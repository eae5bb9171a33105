//! Single requests in files: h2load's `--log-file`, a line a request, and the samples of its `--output-file`.

use crate::args::OutputArgs;
use crate::error::Failure;
use crate::output::Place;
use engine::{Ended, RequestLog, stats::RunResult};
use report::h2load::{self, Exact, Mode};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is kept of single requests.
pub struct Requests {
    kept: Arc<Mutex<Kept>>,
    output_file: Option<Place>,
}

struct Kept {
    file: Option<(PathBuf, File)>,
    lines: Vec<u8>,
    exact: Exact,
    failed: Option<std::io::Error>,
}

impl Requests {
    /// By the flags; `None` if nobody asked. Files are opened before the run, so that a wrong path costs no run.
    pub fn of(args: &OutputArgs) -> Result<Option<Requests>, Failure> {
        if args.log_file.is_none() && args.output_file.is_none() {
            return Ok(None);
        }
        let file = match &args.log_file {
            None => None,
            // h2load appends, and keeps the file from others.
            Some(path) => match OpenOptions::new().create(true).append(true).mode(0o640).open(path) {
                Ok(file) => Some((path.clone(), file)),
                Err(error) => {
                    let path = path.display();
                    return Err(Failure::new(format!("--log-file: cannot write {path}: {error}")));
                }
            },
        };
        let output_file =
            args.output_file.as_deref().map(|path| Place::of(path, "--output-file")).transpose()?;
        let kept = Kept { file, lines: Vec::new(), exact: Exact::default(), failed: None };
        Ok(Some(Requests { kept: Arc::new(Mutex::new(kept)), output_file }))
    }

    /// Where the engine tells of them.
    pub fn log(&self) -> RequestLog {
        let kept = self.kept.clone();
        RequestLog::to(move |batch| lock(&kept).take(batch))
    }

    /// Gives the service times of every complete response away.
    pub fn with_exact<T>(&self, call: impl FnOnce(&Exact) -> T) -> T {
        call(&lock(&self.kept).exact)
    }

    /// Whether h2load's JSON takes standard output.
    pub fn is_stdout(&self) -> bool {
        self.output_file.as_ref().is_some_and(Place::is_stdout)
    }

    /// Writes h2load's JSON, and says whether all lines were written.
    pub fn end(mut self, result: &RunResult, mode: Mode) -> Result<(), Failure> {
        let kept = lock(&self.kept);
        if let Some(place) = &mut self.output_file {
            let json = h2load::json::render(result, mode, Some(&kept.exact));
            let written = place.clear().and_then(|()| place.write(&json));
            written.map_err(|error| place.failure("--output-file", &error))?;
        }
        match (&kept.failed, &kept.file) {
            (Some(error), Some((path, _))) => Err(Failure::new(format!(
                "--log-file: cannot write {}: {error}: lines are missing",
                path.display()
            ))),
            _ => Ok(()),
        }
    }
}

impl Kept {
    /// A disk that is full costs the lines and not the run.
    fn take(&mut self, batch: &[Ended]) {
        batch.iter().filter(|e| e.status.is_some()).for_each(|e| self.exact.record(e.took_ns));
        let Some((_, file)) = self.file.as_mut().filter(|_| self.failed.is_none()) else { return };
        self.lines.clear();
        batch.iter().for_each(|ended| h2load::log::line(&mut self.lines, ended));
        self.failed = file.write_all(&self.lines).err();
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
