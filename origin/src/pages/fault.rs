//! `/fault/...`: what goes wrong on purpose, to see what a client makes of it.
//!
//! | path | what happens |
//! |---|---|
//! | `/fault/close` | the connection is closed without a response |
//! | `/fault/reset` | the connection is reset (RST) without a response |
//! | `/fault/partial?s=1000` | `content-length: 1000`, 500 bytes, close; on HTTP/2 and HTTP/3 the stream is reset |
//! | `/fault/slow?s=100&t=1ms` | one byte at a time, with a pause before each |
//! | `/fault/random-reset?p=0.01` | with that probability a reset, else 100 bytes |
//!
//! On HTTP/2 and HTTP/3, `close` and `reset` take the whole connection with them, as a crashed server does. QUIC
//! has no RST: there a reset is a close with `H3_INTERNAL_ERROR`, and a close one with `H3_NO_ERROR`. Called by
//! `pages/mod.rs`.

use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use http::{Response, StatusCode, Version};
use url::form_urlencoded;

use crate::body::Body;
use crate::limits::MAX_FAULT_BODY;
use crate::link::{Break, Link};
use crate::pages::reply;
use crate::query::Ask;

/// Does the damage.
pub(crate) async fn page(link: &Rc<Link>, parts: &Parts, kind: &str) -> Response<Body> {
    let query = parts.uri.query().unwrap_or_default();
    match kind {
        "close" => break_off(link, Break::Close).await,
        "reset" => break_off(link, Break::Reset).await,
        "random-reset" => random_reset(link, query).await,
        "partial" | "slow" => {
            let ask = match Ask::parse(query, &link.worker.random) {
                Ok(ask) => ask,
                Err(error) => return reply::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
            };
            let size =
                ask.size.unwrap_or(if kind == "partial" { 1000 } else { 100 }).clamp(1, MAX_FAULT_BODY);
            if kind == "partial" {
                Response::new(Body::torn(size, parts.version >= Version::HTTP_2))
            } else {
                Response::new(Body::drip(size, ask.delay.unwrap_or(Duration::from_millis(1))))
            }
        }
        _ => reply::not_found(),
    }
}

async fn random_reset(link: &Rc<Link>, query: &str) -> Response<Body> {
    let probability = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "p");
    match probability.and_then(|(_, value)| value.parse::<f64>().ok()) {
        Some(p) if (0.0..=1.0).contains(&p) => {
            if link.worker.random.unit() < p {
                break_off(link, Break::Reset).await
            } else {
                Response::new(Body::sized(100, false, false))
            }
        }
        _ => reply::text(StatusCode::BAD_REQUEST, "expected p=<probability from 0 to 1>\n"),
    }
}

/// The connection goes away, and this request with it.
async fn break_off(link: &Link, how: Break) -> Response<Body> {
    link.break_off(how);
    std::future::pending().await
}
