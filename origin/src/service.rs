//! The door to the pages: every request comes in here, is counted, and goes to its page. [`Pages`] is made by
//! `connection.rs` and called by hyper; HTTP/3 (`http3/request.rs`) asks for an [`Answer`] itself.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;

use crate::body::Body;
use crate::bucket::Turn;
use crate::exchange::Exchange;
use crate::link::Link;
use crate::pages::{self, limited, sized};
use crate::upload::Upload;

/// Serves the requests of one connection.
pub(crate) struct Pages {
    link: Rc<Link>,
}

impl Pages {
    pub(crate) fn new(link: Rc<Link>) -> Self {
        Self { link }
    }
}

impl Service<Request<Incoming>> for Pages {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        Answer::to(&self.link, request.map(Upload::Hyper))
    }
}

/// The response, now or later.
#[allow(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and a box would be one more allocation"
)]
pub(crate) enum Answer {
    Now(Option<Response<Body>>),
    Later(Pin<Box<dyn Future<Output = Response<Body>>>>),
}

impl Answer {
    /// Counts `request` and answers it.
    pub(crate) fn to(link: &Rc<Link>, request: Request<Upload>) -> Self {
        let exchange = Exchange::begin(link, &request);
        // The counters can be seen whatever the load.
        if let Some(bucket) = &link.worker.shared.limit
            && !request.uri().path().starts_with("/stats")
        {
            return match bucket.take() {
                Turn::Now => Self::pages(link, request, exchange),
                Turn::Refused => Self::Now(Some(exchange.end(limited::refusal()))),
                Turn::After(time) => {
                    let link = link.clone();
                    Self::Later(Box::pin(async move {
                        link.worker.timers.sleep(time).await;
                        exchange.end(pages::answer(&link, request).await)
                    }))
                }
            };
        }
        Self::pages(link, request, exchange)
    }

    fn pages(link: &Rc<Link>, request: Request<Upload>, exchange: Exchange) -> Self {
        // What a benchmark asks for all the time costs no allocation for its future.
        if let Some(response) = sized::at_once(link, &request) {
            return Self::Now(Some(exchange.end(response)));
        }
        let link = link.clone();
        Self::Later(Box::pin(async move { exchange.end(pages::answer(&link, request).await) }))
    }
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            // A future is not polled again after it was ready, and until then the response is there.
            Self::Now(response) => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
            Self::Later(future) => future.as_mut().poll(cx).map(Ok),
        }
    }
}
