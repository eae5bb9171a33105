//! Responses of a common kind. No decisions; called by the pages.

use bytes::Bytes;
use http::header::{ALLOW, ALT_SVC, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::body::Body;

/// Plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", text)
}

/// Says that what was said of other places of this server no longer holds (RFC 7838 section 3).
pub(crate) fn no_alternative() -> Response<Body> {
    let mut response = text(StatusCode::OK, "");
    response.headers_mut().insert(ALT_SVC, HeaderValue::from_static("clear"));
    response
}

/// An HTML page.
pub(crate) fn html(status: StatusCode, page: impl Into<Bytes>) -> Response<Body> {
    typed(status, "text/html; charset=utf-8", page)
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(document) => typed(status, "application/json", document),
        // Only maps with keys that are no strings do not serialize, and there are none.
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// Any bytes with a type.
pub(crate) fn typed(
    status: StatusCode,
    content_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::whole(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// No such page.
pub(crate) fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "no such page; /? tells what / can do\n")
}

/// The page exists, but not for this method.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("allowed here: {allowed}\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
