//! One line on the terminal that says how the run goes, rewritten at every snapshot.

use crate::output;
use engine::Snapshot;
use report::summary::{rate, time};
use scenario::Plan;
use scenario::plan::{Phase, Stop};
use std::time::Duration;

/// The line.
#[derive(Debug)]
pub struct Progress {
    phases: Vec<Phase>,
    /// Scenarios have phases of their own: there is no single one that the run is in.
    side_by_side: bool,
    /// There are phases of handshakes alone.
    handshakes: bool,
    /// When it was last shown, and what had ended well.
    last: (Duration, u64),
    shown: bool,
}

impl Progress {
    /// Of a run of this plan.
    pub fn new(plan: &Plan) -> Progress {
        Progress {
            phases: plan.phases.clone(),
            side_by_side: plan.tracks.len() > 1,
            handshakes: !plan.makes_requests(),
            last: (Duration::ZERO, 0),
            shown: false,
        }
    }

    /// Shows a snapshot.
    pub fn show(&mut self, snapshot: &Snapshot) {
        let line = self.line(snapshot);
        output::stderr(&format!("\r\x1b[2K{line}"));
        self.shown = true;
        self.last = (snapshot.elapsed, self.ended(snapshot).0);
    }

    /// Makes room for other text.
    pub fn clear(&mut self) {
        if self.shown {
            output::stderr("\r\x1b[2K");
            self.shown = false;
        }
    }

    /// What has ended so far: well, as failed, and all of it. Connections where no phase makes requests.
    fn ended(&self, snapshot: &Snapshot) -> (u64, u64, u64) {
        let (b, c) = (&snapshot.books, &snapshot.connections);
        match self.handshakes {
            true => (c.opened, c.failed, c.attempted),
            false => (b.succeeded, b.failed, b.ended()),
        }
    }

    fn line(&self, snapshot: &Snapshot) -> String {
        let (then, before) = self.last;
        let interval = snapshot.elapsed.saturating_sub(then).as_secs_f64();
        let (well, failed, _) = self.ended(snapshot);
        let ended = well.saturating_sub(before);
        let per_second = if interval > 0.0 { ended as f64 / interval } else { 0.0 };
        let s = snapshot.response_time();
        let times = if self.handshakes {
            format!("{well} opened")
        } else if s.count() == 0 {
            "no responses".to_owned()
        } else {
            let at = |q| time(s.quantile_ns(q) as f64);
            format!("p50 {}  p99 {}", at(0.5), at(0.99))
        };
        format!(
            "{}  {}  {times}  errors {failed}  open {}",
            self.stage(snapshot),
            rate(per_second),
            snapshot.open
        )
    }

    /// The phase's name, and how far it is.
    fn stage(&self, snapshot: &Snapshot) -> String {
        let Some(phase) = self.phases.get(snapshot.phase) else { return String::new() };
        if self.side_by_side {
            return format!("{:.0} s", snapshot.elapsed.as_secs_f64());
        }
        let timed = |p: &Phase| match p.stop {
            Stop::After(time) => Some(time),
            _ => None,
        };
        let before: Option<Duration> = self.phases[..snapshot.phase].iter().map(timed).sum();
        match (phase.stop, before) {
            (Stop::After(all), Some(before)) => {
                let since = snapshot.elapsed.saturating_sub(before).min(all);
                format!("{} {:.0}/{} s", phase.name, since.as_secs_f64(), all.as_secs_f64())
            }
            (Stop::Iterations(n), _) if self.phases.len() == 1 => {
                let (_, _, ended) = self.ended(snapshot);
                let done = ended * 100 / n.get().max(1);
                format!("{} {:.0} s, {}%", phase.name, snapshot.elapsed.as_secs_f64(), done.min(100))
            }
            _ => format!("{} {:.0} s", phase.name, snapshot.elapsed.as_secs_f64()),
        }
    }
}
