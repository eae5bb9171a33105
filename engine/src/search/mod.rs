//! Which load a search probes next, and when it is done: doubling until the condition fails, bisection between the highest
//! load that held and the lowest that did not, and confirmation of what was found.
//!
//! A pure function of what the probes found: it measures nothing and knows no time. `cli` asks it for a load, has the engine
//! run that probe, and tells it how the probe came out.

mod knee;

pub use knee::{Interval, interval};

use crate::limits;
use std::num::NonZeroU32;

/// How a probe came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The load was there and the condition held.
    Held,
    /// The server did not bear it.
    Failed,
    /// The client could not make the load or was itself the bottleneck: it says nothing about the server.
    Unclear,
}

/// How often a load is tried when the client is the bottleneck: other work on its machine may have been the reason.
const UNCLEAR: u32 = 4;

/// Where to look, and how exactly.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The lowest load; above zero.
    pub from: f64,
    /// The highest.
    pub to: f64,
    /// How near the two sides must come, as a share of the lower.
    pub precision: f64,
    /// Probes in a row that the load that is found must hold.
    pub confirm: NonZeroU32,
    /// Loads are whole numbers.
    pub whole: bool,
}

/// A search that goes on.
#[derive(Clone, Debug)]
pub struct Hunt {
    bounds: Bounds,
    /// What was tried, lowest load first.
    levels: Vec<Level>,
    probes: usize,
}

/// A load and how its probes came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The load.
    pub load: f64,
    /// Probes of it that held.
    pub held: u32,
    /// That failed.
    pub failed: u32,
    /// That said nothing about the server.
    pub unclear: u32,
}

/// What is above the load that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The server fails at this load, the lowest that was tried and failed.
    Server(f64),
    /// The client could not do more than the load that was found: at this load it was itself the bottleneck.
    Client(f64),
    /// Nothing was tried above: the end of the range was reached.
    Range,
    /// The search was ended before it knew: by an interrupt, or after too many probes.
    Unfinished,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The highest load that holds. `None`: not even the lowest does, or nothing is known.
    pub highest: Option<f64>,
    /// Whether it held often enough.
    pub confirmed: bool,
    /// Why it is not higher.
    pub limit: Limit,
    /// Where the limit of the server is in truth, as far as the probes tell.
    pub interval: Option<Interval>,
}

impl Hunt {
    /// Nothing is known yet.
    pub fn new(bounds: Bounds) -> Hunt {
        assert!(bounds.from > 0.0 && bounds.from < bounds.to && bounds.precision > 0.0, "{bounds:?}");
        Hunt { bounds, levels: Vec::new(), probes: 0 }
    }

    /// The load of the next probe. `None`: the search is over.
    pub fn next(&self) -> Option<f64> {
        if self.probes >= limits::PROBES {
            return None;
        }
        // One failure may be a hiccup: what is in doubt is tried again before anything follows from it.
        if let Some(level) = self.levels.iter().find(|l| self.in_doubt(l)) {
            return Some(level.load);
        }
        match (self.low(), self.high()) {
            (None, None) => Some(self.bounds.from),
            (None, Some(_)) => None,
            (Some(low), None) if low.load < self.bounds.to => Some((low.load * 2.0).min(self.bounds.to)),
            (Some(low), None) => (!self.confirmed(low)).then_some(low.load),
            (Some(low), Some(high)) => match self.near(low.load, high.load) {
                true => (!self.confirmed(low)).then_some(low.load),
                false => Some(self.between(low.load, high.load)),
            },
        }
    }

    /// How a probe of this load came out.
    pub fn tell(&mut self, load: f64, finding: Finding) {
        let at = match self.levels.binary_search_by(|l| l.load.total_cmp(&load)) {
            Ok(at) => at,
            Err(at) => {
                self.levels.insert(at, Level { load, held: 0, failed: 0, unclear: 0 });
                at
            }
        };
        let level = &mut self.levels[at];
        match finding {
            Finding::Held => level.held += 1,
            Finding::Failed => level.failed += 1,
            Finding::Unclear => level.unclear += 1,
        }
        self.probes += 1;
    }

    /// What is known, whether or not the search is over.
    pub fn found(&self) -> Found {
        let over = self.next().is_none() && self.probes < limits::PROBES;
        let (low, high) = (self.low(), self.high());
        let limit = match high {
            _ if !over => Limit::Unfinished,
            None => Limit::Range,
            Some(level) if level.failed < self.enough() => Limit::Client(level.load),
            Some(level) => Limit::Server(level.load),
        };
        Found {
            highest: low.map(|l| l.load),
            confirmed: low.is_some_and(|l| self.confirmed(l)),
            limit,
            interval: interval(&self.levels),
        }
    }

    /// How often a load must fail to have failed.
    fn enough(&self) -> u32 {
        self.bounds.confirm.get().min(2)
    }

    fn ruled_out(&self, level: &Level) -> bool {
        level.failed >= self.enough() || level.unclear >= UNCLEAR
    }

    fn in_doubt(&self, level: &Level) -> bool {
        !self.ruled_out(level) && level.held <= level.failed
    }

    /// Each failure asks for one more success.
    fn confirmed(&self, level: &Level) -> bool {
        level.held >= self.bounds.confirm.get() + level.failed
    }

    /// The highest load that holds for all that is known, below every load that is ruled out.
    fn low(&self) -> Option<&Level> {
        self.levels.iter().take_while(|l| !self.ruled_out(l)).filter(|l| !self.in_doubt(l)).last()
    }

    /// The lowest that is ruled out.
    fn high(&self) -> Option<&Level> {
        self.levels.iter().find(|l| self.ruled_out(l))
    }

    fn near(&self, low: f64, high: f64) -> bool {
        let gap = high - low;
        gap <= low * self.bounds.precision || (self.bounds.whole && gap <= 1.0)
    }

    /// About the middle, with no more digits than tell it from both ends.
    fn between(&self, low: f64, high: f64) -> f64 {
        let middle = f64::midpoint(low, high);
        let step = 10_f64.powf(((high - low) / 4.0).log10().floor());
        let step = if self.bounds.whole { step.max(1.0) } else { step };
        // Dividing by a power of ten that is whole gives the nearest number to what a person would write.
        let round = match step < 1.0 {
            true => (middle / step).round() / (1.0 / step).round(),
            false => (middle / step).round() * step,
        };
        if low < round && round < high { round } else { middle }
    }
}

#[cfg(test)]
mod tests;
