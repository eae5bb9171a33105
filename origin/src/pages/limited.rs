//! `/limited?rate=N`: a page behind a token bucket. All requests with the same query share one. Called by `pages/mod.rs`;
//! `service.rs` refuses in the same words where a server is limited as a whole.

use std::num::NonZeroU32;

use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use crate::body::Body;
use crate::bucket::{Bucket, Limit, Turn};
use crate::limits::MAX_LIMIT;
use crate::link::Link;
use crate::pages::reply;

/// The page.
pub(crate) async fn page(link: &Link, parts: &Parts) -> Response<Body> {
    let Some(limit) = parse(parts.uri.query().unwrap_or_default()) else {
        return reply::text(StatusCode::BAD_REQUEST, HELP);
    };
    let Some(bucket) = link.worker.shared.bucket(limit) else {
        return reply::text(StatusCode::SERVICE_UNAVAILABLE, "too many different limits on this server\n");
    };
    match enter(link, &bucket).await {
        Ok(()) => reply::text(StatusCode::OK, "in time\n"),
        Err(refusal) => refusal,
    }
}

/// Waits for a turn, or is refused one.
async fn enter(link: &Link, bucket: &Bucket) -> Result<(), Response<Body>> {
    match bucket.take() {
        Turn::Now => Ok(()),
        Turn::After(time) => {
            link.worker.timers.sleep(time).await;
            Ok(())
        }
        Turn::Refused => Err(refusal()),
    }
}

/// RFC 6585 section 4.
pub(crate) fn refusal() -> Response<Body> {
    let mut response = reply::text(StatusCode::TOO_MANY_REQUESTS, "too many requests\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

const HELP: &str = "/limited?rate=1000[&burst=10][&mode=reject|delay]: so many requests per second, and 429 above; \
                    with mode=delay they wait for their turn\n";

fn parse(query: &str) -> Option<Limit> {
    let (mut rate, mut burst, mut delay) = (None, None, false);
    for (key, value) in query.split('&').filter_map(|argument| argument.split_once('=')) {
        match key {
            "rate" => rate = value.parse::<f64>().ok().filter(|r| *r > 0.0 && *r <= MAX_LIMIT),
            "burst" => burst = Some(value.parse::<NonZeroU32>().ok()?),
            "mode" => {
                delay = match value {
                    "reject" => false,
                    "delay" => true,
                    _ => return None,
                }
            }
            _ => {}
        }
    }
    let usual = Limit::of(rate?, delay);
    Some(Limit { burst: burst.unwrap_or(usual.burst), ..usual })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let limit = |rate, burst, delay| Limit { rate, burst: NonZeroU32::new(burst).unwrap(), delay };
        assert_eq!(parse("rate=1000"), Some(limit(1000.0, 10, false)));
        assert_eq!(parse("rate=0.5&burst=3&mode=delay&_=1"), Some(limit(0.5, 3, true)));
        for bad in ["", "rate=0", "rate=-1", "rate=inf", "rate=nan", "rate=10&burst=0", "rate=10&mode=x"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
