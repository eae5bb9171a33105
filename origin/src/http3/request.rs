//! One request over HTTP/3: its head, the response of whichever page, and the response's body. A task of its
//! own, dropped with the connection. Called by `connection.rs`.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use h3::error::StreamError;
use h3::server::{RequestResolver, RequestStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::body::Body as _;

use crate::body::Body;
use crate::counters::Count;
use crate::http3::connection::TORN;
use crate::http3::upload::Http3Upload;
use crate::link::Link;
use crate::service::Answer;
use crate::upload::Upload;

type Sender = RequestStream<h3_quinn::SendStream<Bytes>, Bytes>;

/// Answers a request.
pub(crate) async fn serve(link: Rc<Link>, resolver: RequestResolver<h3_quinn::Connection, Bytes>) {
    let (request, stream) = match resolver.resolve_request().await {
        Ok(resolved) => resolved,
        Err(error) => {
            if matches!(error, StreamError::StreamError { .. } | StreamError::HeaderTooBig { .. }) {
                link.worker.counters.add(Count::Malformed, 1);
            }
            return;
        }
    };
    let (mut sender, receiver) = stream.split();
    let is_head = request.method() == Method::HEAD;
    let mut upload = Http3Upload::new(receiver, request.headers());
    upload.look_ahead().await;
    let request = request.map(|()| Upload::Http3(Box::new(upload)));
    let Ok(response) = Answer::to(&link, request).await;
    // An error means that the client wants no more of it, or has gone.
    if send(&mut sender, response, is_head).await.is_ok() {
        link.flushed();
    }
}

async fn send(sender: &mut Sender, response: Response<Body>, is_head: bool) -> Result<(), StreamError> {
    let (mut parts, mut body) = response.into_parts();
    let bodiless = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let Some(size) = body.size_hint().exact()
        && !bodiless
    {
        parts.headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from(size));
    }
    sender.send_response(Response::from_parts(parts, ())).await?;
    while !bodiless
        && !is_head
        && let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        match frame {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    sender.send_data(data).await?;
                }
            }
            Err(_) => {
                sender.stop_stream(TORN);
                return Ok(());
            }
        }
    }
    // It counts itself as ended, and the caller counts it as sent.
    drop(body);
    sender.finish().await
}
