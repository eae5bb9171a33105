//! `/fault/...`: what goes wrong on purpose, to see what a client makes of it.
//!
//! | path | what happens |
//! |---|---|
//! | `/fault/close` | the connection is closed without a response |
//! | `/fault/reset` | the connection is reset (RST) without a response |
//! | `/fault/partial?s=1000` | `content-length: 1000`, 500 bytes, close; on HTTP/2 and HTTP/3 the stream is reset |
//! | `/fault/slow?s=100&t=1ms` | one byte at a time, with a pause before each |
//! | `/fault/cookies` | 60 cookies; with `?s=5000` one of that many bytes |
//! | `/fault/loop` | a redirect to itself |
//! | `/fault/random-reset?p=0.01` | with that probability a reset, else 100 bytes |
//!
//! On HTTP/2 and HTTP/3, `close` and `reset` take the whole connection with them, as a crashed server does. QUIC
//! has no RST: there a reset is a close with `H3_INTERNAL_ERROR`, and a close one with `H3_NO_ERROR`. Called by
//! `pages/mod.rs`.

use std::rc::Rc;
use std::time::Duration;

use http::header::{HeaderValue, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{Response, StatusCode, Version};
use url::form_urlencoded;

use crate::body::Body;
use crate::limits::{MAX_FAULT_BODY, MAX_FAULT_COOKIE};
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
        "cookies" => cookies(Ask::parse(query, &link.worker.random).ok().and_then(|ask| ask.size)),
        "loop" => round(),
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

/// More cookies, or a larger one, than a client should keep.
fn cookies(size: Option<u64>) -> Response<Body> {
    let mut response = Response::new(Body::sized(100, false, false));
    let (count, size) = size.map_or((60, 100), |size| (1, size.clamp(1, MAX_FAULT_COOKIE) as usize));
    for n in 0..count {
        let name = format!("bomb{n}=");
        let value = format!("{name}{}", "x".repeat(size.saturating_sub(name.len())));
        response.headers_mut().append(SET_COOKIE, HeaderValue::try_from(value).expect("letters and digits"));
    }
    response
}

fn round() -> Response<Body> {
    let mut response = Response::new(Body::sized(0, false, false));
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/fault/loop"));
    response
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
