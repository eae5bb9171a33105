//! What a `search` looks for: the highest load at which a condition holds. It says what a probe is; which load comes next is
//! decided by `engine::search`, and whether the condition held by `report`.

use crate::plan::{Arrivals, Curve, Load, Phase, Plan, Stop, Threshold};
use std::num::NonZeroU32;
use std::time::Duration;

/// A search.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// What is made higher and higher.
    pub highest: Quantity,
    /// What must hold, all of it. Never empty.
    pub condition: Vec<Threshold>,
    /// The condition as the user wrote it.
    pub text: String,
    /// The lowest load that is tried; above zero.
    pub from: f64,
    /// The highest; above the lowest.
    pub to: f64,
    /// How many probes in a row the load that is found must hold.
    pub confirm: NonZeroU32,
    /// How near the highest load that holds and the lowest that does not must come, as a share of the former.
    pub precision: f64,
    /// How long each probe is paced before it counts.
    pub warm_up: Duration,
    /// How long each probe counts.
    pub probe: Duration,
    /// How long the server is left alone after each probe.
    pub settle: Duration,
    /// What must be found, or the search has failed.
    pub at_least: Option<f64>,
    /// Whether the number of connections is the plan's own, and not one for each user.
    pub own_connections: bool,
}

/// What a search makes higher and higher.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// The rate of an open model: a schedule whose rate is replaced, and users at most.
    Rate(Arrivals, NonZeroU32),
    /// The users of a closed model.
    Users,
}

impl Search {
    /// The phases of a probe.
    pub fn phases(&self, load: f64) -> Vec<Phase> {
        let (users, model) = match &self.highest {
            Quantity::Rate(arrivals, users) => {
                (*users, Load::Open(Arrivals { curve: Curve::Constant(load), ..arrivals.clone() }))
            }
            Quantity::Users => (users(load), Load::Closed),
        };
        let phase = |name: &str, time, record| Phase {
            name: name.to_owned(),
            users,
            load: model.clone(),
            stop: Stop::After(time),
            record,
            overrides: Default::default(),
        };
        let mut phases = Vec::with_capacity(2);
        if !self.warm_up.is_zero() {
            phases.push(phase("warm-up", self.warm_up, false));
        }
        phases.push(phase("probe", self.probe, true));
        phases
    }

    /// Whether loads are whole numbers.
    pub fn is_whole(&self) -> bool {
        self.highest == Quantity::Users
    }

    /// A load as it is written.
    pub fn show(&self, load: f64) -> String {
        match self.highest {
            Quantity::Rate(..) => crate::show_rate(load),
            Quantity::Users => format!("{load}"),
        }
    }

    /// `rate` or `users`.
    pub fn quantity(&self) -> &'static str {
        match self.highest {
            Quantity::Rate(..) => "rate",
            Quantity::Users => "users",
        }
    }
}

impl Plan {
    /// The plan of one probe: its condition are its thresholds. `None`: the plan has no search.
    pub fn probe(&self, load: f64) -> Option<Plan> {
        let search = self.search.as_ref()?;
        let mut plan = self.clone();
        plan.phases = search.phases(load);
        plan.thresholds.clone_from(&search.condition);
        plan.search = None;
        if search.is_whole() && !search.own_connections {
            // As many for each user as there are with the most users.
            let each = f64::from(plan.connections.max.get()) / search.to;
            plan.connections.max = users((load * each).ceil());
        }
        Some(plan)
    }
}

/// The bounds of a search keep it in range.
fn users(load: f64) -> NonZeroU32 {
    NonZeroU32::new(load as u32).unwrap_or(NonZeroU32::MIN)
}
