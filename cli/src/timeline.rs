//! The time series while the run goes on: a line of JSON for each row, as it becomes known.

use crate::args::{MachineFormat, OutputArgs};
use crate::error::Failure;
use crate::output::{Machine, Place};
use engine::{Rows, Snapshot};
use scenario::Plan;

/// `--timeline`: where the lines go.
#[derive(Debug)]
pub struct Timeline {
    place: Place,
    failed: Option<std::io::Error>,
}

impl Timeline {
    /// By the flags; `None` if nobody asked. Empties the file.
    pub fn of(args: &OutputArgs) -> Result<Option<Timeline>, Failure> {
        let Some(path) = &args.timeline else { return Ok(None) };
        let place = Place::of(path, "--timeline")?;
        place.clear().map_err(|error| place.failure("--timeline", &error))?;
        Ok(Some(Timeline { place, failed: None }))
    }

    /// Whether it takes standard output.
    pub fn is_stdout(&self) -> bool {
        self.place.is_stdout()
    }

    /// Writes what is new. A disk that is full costs the series and not the run.
    pub fn show(&mut self, snapshot: &Snapshot, plan: &Plan) {
        if self.failed.is_none() && !snapshot.rows.is_empty() {
            let lines = report::timeline::lines(&snapshot.rows, plan);
            self.failed = self.place.write(&lines).err();
        }
    }

    /// Whether all of it was written.
    pub fn end(self) -> Result<(), Failure> {
        match self.failed {
            Some(error) => Err(self.place.failure("--timeline", &error)),
            None => Ok(()),
        }
    }
}

/// What the engine must keep for the outputs.
pub fn rows(args: &OutputArgs, machines: &[Machine]) -> Result<Rows, Failure> {
    let has = |format| machines.iter().any(|m| m.format == format);
    if args.json_timeline && !has(MachineFormat::Json) {
        return Err(Failure::new("--json-timeline without a JSON result: add --format json or -o FILE.json"));
    }
    Ok(match () {
        () if args.json_timeline || has(MachineFormat::Hlog) => Rows::Kept,
        () if args.timeline.is_some() => Rows::Told,
        () => Rows::None,
    })
}
