//! What to try after a run in which nothing worked.

use engine::stats::RunResult;
use proto::Fault;
use scenario::Plan;
use scenario::plan::Protocol;

const NO_H2C: &str =
    "the server does not speak HTTP/2 in clear, which is what http:// URLs mean here as in h2load: use --h1";

/// HTTP/2 in clear is spoken without asking first. Where no request got any response and it was never our doing, the
/// server most likely does not understand it.
pub fn of(plan: &Plan, result: &RunResult) -> Option<&'static str> {
    let t = &result.totals;
    let deaf =
        t.status.is_empty() && !t.errors.is_empty() && t.errors.iter().all(|e| e.fault != Fault::Local);
    (plan.protocol == Protocol::H2c && deaf && result.connections.opened > 0).then_some(NO_H2C)
}
