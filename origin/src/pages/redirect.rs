//! `/redirect/N`: N redirects, then a page. Each hop sets the cookie `hop` to its number, so a client's
//! cookie jar can be checked; `?absolute=1` makes the locations absolute. Called by `pages/mod.rs`.

use http::header::{HOST, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use crate::body::Body;
use crate::limits::MAX_REDIRECTS;
use crate::link::Link;
use crate::pages::reply;

/// The hop number `hops`.
pub(crate) fn page(link: &Link, parts: &Parts, hops: &str) -> Response<Body> {
    let Some(hops) = hops.parse::<u32>().ok().filter(|hops| *hops <= MAX_REDIRECTS) else {
        return reply::text(
            StatusCode::BAD_REQUEST,
            format!("expected /redirect/0 to /redirect/{MAX_REDIRECTS}\n"),
        );
    };
    let mut response = reply::text(StatusCode::OK, "arrived\n");
    if hops > 0 {
        let location = location(link, parts, hops - 1);
        let Ok(location) = HeaderValue::try_from(location) else {
            return reply::text(StatusCode::BAD_REQUEST, "the host is not fit for a location\n");
        };
        response = reply::text(StatusCode::FOUND, "not here\n");
        response.headers_mut().insert(LOCATION, location);
    }
    if let Ok(cookie) = HeaderValue::try_from(format!("hop={hops}; Path=/redirect")) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn location(link: &Link, parts: &Parts, hops: u32) -> String {
    let absolute =
        parts.uri.query().is_some_and(|query| query.split('&').any(|argument| argument == "absolute=1"));
    match host(parts) {
        Some(host) if absolute => {
            let scheme = if link.tls { "https" } else { "http" };
            format!("{scheme}://{host}/redirect/{hops}?absolute=1")
        }
        _ => format!("/redirect/{hops}"),
    }
}

/// HTTP/2 and absolute targets name it in the target, HTTP/1 in a field.
fn host(parts: &Parts) -> Option<&str> {
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    target.or_else(|| parts.headers.get(HOST)?.to_str().ok())
}
