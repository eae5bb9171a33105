//! The body of a request, whichever protocol brought it. Not what is done with it, which is the pages' affair.
//! Made by `service.rs` (HTTP/1, HTTP/2) and `http3/request.rs`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::http3::Http3Upload;

/// What the client sends after the head.
pub(crate) enum Upload {
    Hyper(Incoming),
    Http3(Box<Http3Upload>),
}

/// Why a request body ended before its end.
#[derive(Debug)]
pub(crate) enum UploadError {
    Hyper(hyper::Error),
    Http3(h3::error::StreamError),
    /// It is not as long as its `content-length` (RFC 9114 section 4.1.2). hyper finds that by itself.
    Length,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match self.get_mut() {
            Self::Hyper(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(UploadError::Hyper)))
            }
            Self::Http3(upload) => {
                let data = ready!(upload.poll_data(cx));
                Poll::Ready(data.map(|data| data.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Hyper(incoming) => incoming.is_end_stream(),
            Self::Http3(upload) => upload.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Hyper(incoming) => incoming.size_hint(),
            Self::Http3(upload) => upload.size().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hyper(error) => error.fmt(f),
            Self::Http3(error) => error.fmt(f),
            Self::Length => write!(f, "its length is not its content-length"),
        }
    }
}

impl std::error::Error for UploadError {}
