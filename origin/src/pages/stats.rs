//! `/stats` and `/stats/reset`: the counters as JSON. Not counted themselves. Called by `pages/mod.rs`.

use http::{Response, StatusCode};

use crate::body::Body;
use crate::link::Link;
use crate::pages::reply;

/// What was counted since the last reset.
pub(crate) fn show(link: &Link) -> Response<Body> {
    reply::json(StatusCode::OK, &link.worker.shared.stats())
}

/// Counts from zero again. By any method, so that a browser's address line will do.
pub(crate) fn reset(link: &Link) -> Response<Body> {
    link.worker.shared.reset();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
