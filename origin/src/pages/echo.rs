//! `/echo` and `/headers`: what the client sent, so that it can check. Called by `pages/mod.rs`.

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde_json::{Map, Value};

use crate::body::Body;
use crate::counters::Count;
use crate::link::Link;
use crate::pages::reply;
use crate::upload::Upload;

const X_ECHO_METHOD: HeaderName = HeaderName::from_static("x-echo-method");

/// The request body as it comes in, with its type and the request's method.
pub(crate) async fn body(link: &Link, parts: &Parts, mut incoming: Upload) -> Response<Body> {
    let size = incoming.size_hint();
    // A client that expects `100 Continue` gets it when its body is first asked for, which has to be before
    // the response begins. The rest is passed on as it comes.
    let first = if incoming.is_end_stream() { None } else { incoming.frame().await };
    let first = match first.transpose() {
        Ok(first) => first.and_then(|frame| frame.into_data().ok()).unwrap_or_default(),
        Err(_) => return reply::text(StatusCode::BAD_REQUEST, "the body broke off\n"),
    };
    link.worker.counters.add(Count::BodyBytesReceived, first.len() as u64);
    let mut response = Response::new(Body::echo(first, incoming, size));
    if let Ok(method) = HeaderValue::from_str(parts.method.as_str()) {
        response.headers_mut().insert(X_ECHO_METHOD, method);
    }
    if let Some(content_type) = parts.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    response
}

/// The request head as JSON. A field that came more than once is an array.
pub(crate) fn headers(parts: &Parts) -> Response<Body> {
    let mut fields = Map::new();
    for name in parts.headers.keys() {
        let mut values: Vec<Value> = parts.headers.get_all(name).iter().map(text).collect();
        let value = if values.len() == 1 { values.swap_remove(0) } else { Value::Array(values) };
        fields.insert(name.as_str().to_owned(), value);
    }
    let document = serde_json::json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "version": format!("{:?}", parts.version),
        "headers": fields,
    });
    reply::json(StatusCode::OK, &document)
}

fn text(value: &HeaderValue) -> Value {
    Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned())
}
