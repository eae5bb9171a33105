//! The request body of one HTTP/3 stream, as it comes. Not the head before it. Made by `request.rs`, read
//! through [`crate::upload::Upload`].

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::server::RequestStream;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use crate::upload::UploadError;

/// What is still to come on a stream.
pub(crate) struct Http3Upload {
    stream: RequestStream<h3_quinn::RecvStream, Bytes>,
    /// Read before anyone asked.
    ahead: Option<Result<Bytes, UploadError>>,
    /// What `content-length` says.
    promised: Option<u64>,
    received: u64,
    ended: bool,
}

impl Http3Upload {
    pub(crate) fn new(stream: RequestStream<h3_quinn::RecvStream, Bytes>, fields: &HeaderMap) -> Self {
        let promised = fields.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        Self { stream, ahead: None, promised, received: 0, ended: false }
    }

    /// Reads what is already there, without waiting: that nothing follows the head only shows this way, and a
    /// request without a body can be answered at once.
    pub(crate) async fn look_ahead(&mut self) {
        poll_fn(|cx| {
            if let Poll::Ready(Some(data)) = self.poll_stream(cx) {
                self.ahead = Some(data);
            }
            Poll::Ready(())
        })
        .await;
    }

    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        match self.ahead.take() {
            Some(data) => Poll::Ready(Some(data)),
            None => self.poll_stream(cx),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended && self.ahead.is_none()
    }

    /// The length of the whole body, if it is known.
    pub(crate) fn size(&self) -> Option<u64> {
        self.promised.or(self.ended.then_some(self.received))
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let data = ready!(self.stream.poll_recv_data(cx));
        let data = data.map(|data| data.map(|mut data| data.copy_to_bytes(data.remaining())));
        self.ended = !matches!(data, Ok(Some(_)));
        let data = match data {
            Ok(data) => data,
            Err(error) => return Poll::Ready(Some(Err(UploadError::Http3(error)))),
        };
        self.received += data.as_ref().map_or(0, |data| data.len() as u64);
        let wrong = |promised| self.received > promised || self.ended && self.received < promised;
        if self.promised.is_some_and(wrong) {
            self.ended = true;
            return Poll::Ready(Some(Err(UploadError::Length)));
        }
        Poll::Ready(data.map(Ok))
    }
}
