//! `--smoke`: a plan made small, to see in moments whether it runs at all. It proves nothing about speed.

use scenario::Plan;
use scenario::plan::{Curve, Handshakes, Load, Phase, Stop};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Of all phases together.
const TOTAL: Duration = Duration::from_secs(2);
/// Of one.
const PHASE: Duration = Duration::from_secs(1);
/// The last second is for requests that are still in flight.
const TIMEOUT: Duration = Duration::from_secs(1);
const USERS: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
const ITERATIONS: u64 = 40;
/// Arrivals per second.
const RATE: f64 = 100.0;

/// The same plan, small.
pub fn shrink(mut plan: Plan) -> Plan {
    // One probe of a search stands for all of them.
    plan.search = None;
    let each = (TOTAL / plan.phases.len().max(1) as u32).min(PHASE);
    for phase in &mut plan.phases {
        shrink_phase(phase, each);
    }
    plan.connections.max = plan.connections.max.min(USERS);
    plan.connections.ramp_up = plan.connections.ramp_up.min(each / 2);
    let t = &mut plan.timeouts;
    for limit in [&mut t.connect, &mut t.handshake, &mut t.request] {
        *limit = Some(limit.unwrap_or(TIMEOUT).min(TIMEOUT));
    }
    // Who is waited for must be able to come.
    let most = plan.phases.iter().map(|p| p.users).max().unwrap_or(USERS);
    plan.script.meetings.iter_mut().for_each(|m| m.users = m.users.min(most));
    for step in plan.scenarios.iter_mut().flat_map(|s| &mut s.steps) {
        step.timeout = step.timeout.map(|t| t.min(TIMEOUT));
    }
    plan
}

fn shrink_phase(phase: &mut Phase, each: Duration) {
    phase.users = phase.users.min(USERS);
    shrink_load(&mut phase.load, each);
    phase.stop = match phase.stop {
        Stop::After(time) => Stop::After(time.min(each)),
        Stop::Iterations(n) => Stop::Iterations(n.min(NonZeroU64::new(ITERATIONS).expect("not zero"))),
        Stop::IterationsPerUser(_) => Stop::IterationsPerUser(NonZeroU64::MIN),
    };
}

/// Slower, and over the shorter time.
fn shrink_load(load: &mut Load, each: Duration) {
    match load {
        Load::Closed => {}
        Load::Ramp { from, to } => {
            (*from, *to) = ((*from).min(USERS.get()), (*to).min(USERS.get()));
            if from == to {
                *load = Load::Closed;
            }
        }
        Load::Open(arrivals) => shrink_curve(&mut arrivals.curve, each),
        Load::Handshakes(Handshakes { arrivals, hold }) => {
            shrink_curve(&mut arrivals.curve, each);
            *hold = (*hold).min(each);
        }
    }
}

fn shrink_curve(curve: &mut Curve, each: Duration) {
    match curve {
        Curve::Constant(rate) => *rate = rate.min(RATE),
        Curve::Ramp { from, to, over } | Curve::Stairs { from, to, over, .. } => {
            let factor = (RATE / from.max(*to)).min(1.0);
            (*from, *to, *over) = (*from * factor, *to * factor, (*over).min(each));
        }
        Curve::Times { .. } => {}
    }
}
