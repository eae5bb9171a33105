//! `/` and `/any/...`: a response of any size, delay and status, as the query asks (see `query.rs`). Called
//! by `service.rs` directly when there is nothing to wait for, else by `pages/mod.rs`.

use std::rc::Rc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONNECTION};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Body as _;
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::body::Body;
use crate::link::Link;
use crate::pages::{incoming, reply};
use crate::query::Ask;
use crate::upload::Upload;

/// The response, if it needs no waiting: no delay is asked for and no body is on its way.
pub(crate) fn at_once(link: &Link, request: &Request<Upload>) -> Option<Response<Body>> {
    if request.uri().path() != "/" || !request.body().is_end_stream() {
        return None;
    }
    // A query that cannot be read gets its answer on the way that waits.
    let ask = match request.uri().query() {
        None => Ask::default(),
        Some("") => return None,
        Some(query) => Ask::parse(query, &link.worker.random).ok()?,
    };
    ask.delay.is_none().then(|| respond(&ask, request.version()))
}

/// The response, after whatever has to be waited for.
pub(crate) async fn page(link: &Rc<Link>, parts: &Parts, body: Upload) -> Response<Body> {
    let query = parts.uri.query();
    let ask = Ask::parse(query.unwrap_or_default(), &link.worker.random);
    if matches!(&ask, Ok(ask) if ask.respond_first) {
        let link = link.clone();
        spawn_local(async move { incoming::drain(&link, body).await });
    } else {
        incoming::drain(link, body).await;
    }
    match ask {
        _ if query == Some("") => reply::text(StatusCode::OK, HELP),
        Err(error) => reply::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        Ok(ask) => {
            let waited = match ask.delay {
                Some(delay) => Some(wait(link, delay).await),
                None => None,
            };
            let mut response = respond(&ask, parts.version);
            if let Some(waited) = waited {
                response.headers_mut().insert(SERVER_TIMING, server_timing(waited));
            }
            response
        }
    }
}

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const HELP: &str = "\
loadgen's target server. The query of / (and of any path under /any/) says what to answer:
  s=<size>    body of that many bytes, with k, m or g for powers of 1024    /?s=20k
  r=<status>  status of the response                                        /?r=404
  t=<time>    wait first; us, ms or s, milliseconds without a unit          /?t=250us
  c=<0|1>     0: not cacheable                                              /?c=0
  C=<0|1>     1: close the connection afterwards                            /?C=1
  K=<0|1>     1: keep it open, which is the default                         /?K=1
  k=<0|1>     1: chunked                                                    /?k=1&s=1m
  R=<0|1>     1: random body                                                /?R=1&s=1m
  A=<0|1>     1: answer before the request body has been read               /?A=1
Separate them by any of & ? , ; /. An r after a number makes it random, from 0 up to it: /?s=20kr,t=5r
Other pages: /echo /headers /limited /login /inbox /api/status /redirect/3 /fault/reset /stats
";

/// Waits at least `delay` and tells how long it was.
async fn wait(link: &Link, delay: Duration) -> Duration {
    let begun = Instant::now();
    link.worker.timers.sleep_until(begun + delay).await;
    begun.elapsed()
}

/// Milliseconds, cut to whole microseconds: never more than the truth, never less than what was asked for.
fn server_timing(waited: Duration) -> HeaderValue {
    let micros = waited.as_micros();
    let text = format!("delay;dur={}.{:03}", micros / 1000, micros % 1000);
    // Digits and a point are legal in a header; the fallback cannot happen.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("delay"))
}

fn respond(ask: &Ask, version: Version) -> Response<Body> {
    let mut response = Response::new(Body::sized(ask.size.unwrap_or(0), ask.random, ask.chunked));
    *response.status_mut() = ask.status;
    if ask.no_cache {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    // HTTP/2 has no such field (RFC 9113 section 8.2.2).
    if ask.close && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
