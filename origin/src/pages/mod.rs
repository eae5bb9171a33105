//! Which page answers which path. Called by `service.rs` for every request that is not answered at once.

mod echo;
mod fault;
mod incoming;
pub(crate) mod limited;
mod mailbox;
mod redirect;
mod reply;
mod site;
pub(crate) mod sized;
mod stats;

use std::rc::Rc;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};

use crate::body::Body;
use crate::link::Link;
use crate::upload::Upload;

/// Answers a request.
pub(crate) async fn answer(link: &Rc<Link>, request: Request<Upload>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    match path {
        _ if parts.method == Method::CONNECT => reply::text(StatusCode::NOT_IMPLEMENTED, "no tunnels here\n"),
        "/" => sized::page(link, &parts, body).await,
        "/echo" => echo::body(link, &parts, body).await,
        "/login" | "/logout" | "/inbox" => site::page(link, &parts, body).await,
        _ if path.starts_with("/any/") => sized::page(link, &parts, body).await,
        _ if path.starts_with("/api/") => site::page(link, &parts, body).await,
        _ => {
            // These pages do not look at it, but the next request comes behind it.
            incoming::drain(link, body).await;
            without_body(link, &parts).await
        }
    }
}

async fn without_body(link: &Rc<Link>, parts: &Parts) -> Response<Body> {
    let path = parts.uri.path();
    match path {
        "/headers" => echo::headers(parts),
        "/alt-svc/clear" => reply::no_alternative(),
        "/limited" => limited::page(link, parts).await,
        "/stats" => stats::show(link),
        "/stats/reset" => stats::reset(link),
        _ => {
            if let Some(name) = path.strip_prefix("/static/") {
                site::asset(name)
            } else if let Some(hops) = path.strip_prefix("/redirect/") {
                redirect::page(link, parts, hops)
            } else if let Some(kind) = path.strip_prefix("/fault/") {
                fault::page(link, parts, kind).await
            } else {
                reply::not_found()
            }
        }
    }
}
