//! Response bodies. Whatever the size, nothing is allocated or copied: pieces of static bytes, or frames
//! passed on. Not the decision what to answer. Made by the pages, read by hyper and by `http3/request.rs`.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::counters::Count;
use crate::limits::TEAR_PAUSE;
use crate::link::Link;
use crate::pattern::{LINES, NOISE};
use crate::timers::Sleep;
use crate::upload::{Upload, UploadError};

/// The body of any response.
pub(crate) struct Body {
    source: Source,
    /// Where it is counted; `None` for responses that are not.
    link: Option<Rc<Link>>,
    /// The client wants no body (HEAD) or the status forbids one: it is complete without being read.
    unwanted: bool,
}

/// Why a body ends before its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The request body that it repeats did.
    Echo(UploadError),
    /// It was asked to.
    Torn,
}

enum Source {
    Whole(Bytes),
    Repeated { bytes: &'static [u8], offset: usize, left: u64, chunked: bool },
    Echo(Echo),
    Drip { left: u64, every: Duration, pause: Option<Sleep> },
    Torn(Torn),
}

/// Repeats what comes in.
struct Echo {
    first: Bytes,
    incoming: Upload,
    size: SizeHint,
    /// The end of a chunked body is only seen by asking for more.
    ended: bool,
}

/// Promises `size`, gives half, and ends the connection (HTTP/1) or the stream (HTTP/2, HTTP/3).
struct Torn {
    left: u64,
    missing: u64,
    stream_only: bool,
    pause: Option<Sleep>,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::new(Source::Whole(bytes.into()))
    }

    /// `size` bytes of text, or of noise. `chunked` hides the size from the protocol.
    pub(crate) fn sized(size: u64, noise: bool, chunked: bool) -> Self {
        let bytes = if noise { &NOISE[..] } else { &LINES[..] };
        Self::new(Source::Repeated { bytes, offset: 0, left: size, chunked })
    }

    /// What the client sends, as it comes: the piece already read, and the rest. `size` is of both.
    pub(crate) fn echo(first: Bytes, incoming: Upload, size: SizeHint) -> Self {
        Self::new(Source::Echo(Echo { first, incoming, size, ended: false }))
    }

    /// `size` bytes one by one, with a pause before each.
    pub(crate) fn drip(size: u64, every: Duration) -> Self {
        Self::new(Source::Drip { left: size, every, pause: None })
    }

    /// Half of `size`, then the end of the connection, or only of the stream.
    pub(crate) fn torn(size: u64, stream_only: bool) -> Self {
        let half = size / 2;
        Self::new(Source::Torn(Torn { left: half, missing: size - half, stream_only, pause: None }))
    }

    /// Counts what is sent on `link`.
    pub(crate) fn counted(&mut self, link: Rc<Link>, unwanted: bool) {
        self.link = Some(link);
        self.unwanted = unwanted;
    }

    fn new(source: Source) -> Self {
        Self { source, link: None, unwanted: false }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let bytes = match &mut self.source {
            Source::Whole(bytes) => std::mem::take(bytes),
            Source::Repeated { bytes, offset, left, .. } => piece(bytes, offset, left),
            Source::Echo(echo) => return echo.poll_frame(cx, self.link.as_deref()),
            Source::Drip { left, every, pause } => match (&*left, &self.link) {
                (0, _) | (_, None) => Bytes::new(),
                (_, Some(link)) => {
                    let sleep = pause.get_or_insert_with(|| link.worker.timers.sleep(*every));
                    ready!(Future::poll(Pin::new(sleep), cx));
                    *pause = None;
                    *left -= 1;
                    if *left == 0 {
                        // hyper 1 may see the end in the second write of a round, and then goes to sleep without looking at
                        // a pipelined request that it has read already: once more around.
                        cx.waker().wake_by_ref();
                    }
                    Bytes::from_static(b".")
                }
            },
            Source::Torn(torn) => match (torn.left, &self.link) {
                (0, Some(link)) => return torn.poll_tear(cx, link),
                (0, None) => return Poll::Ready(Some(Err(BodyError::Torn))),
                _ => piece(&LINES, &mut 0, &mut torn.left),
            },
        };
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn delivered(&self) -> bool {
        self.unwanted
            || match &self.source {
                Source::Whole(bytes) => bytes.is_empty(),
                Source::Repeated { left, .. } | Source::Drip { left, .. } => *left == 0,
                Source::Echo(echo) => echo.ended || echo.is_complete(),
                Source::Torn(_) => false,
            }
    }
}

impl Echo {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        link: Option<&Link>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        self.ended = frame.is_none();
        if let (Some(Ok(frame)), Some(link)) = (&frame, link)
            && let Some(data) = frame.data_ref()
        {
            link.worker.counters.add(Count::BodyBytesReceived, data.len() as u64);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Echo)))
    }

    fn is_complete(&self) -> bool {
        self.first.is_empty() && self.incoming.is_end_stream()
    }
}

impl Torn {
    /// The half has been given to the protocol, so what is left is to end it.
    fn poll_tear<T>(&mut self, cx: &mut Context<'_>, link: &Link) -> Poll<Option<Result<T, BodyError>>> {
        // An error at once would make the protocol drop what it still buffers; going idle makes it flush
        // first.
        if self.stream_only {
            let pause = self.pause.get_or_insert_with(|| link.worker.timers.sleep(TEAR_PAUSE));
            ready!(Future::poll(Pin::new(pause), cx));
            return Poll::Ready(Some(Err(BodyError::Torn)));
        }
        link.tear_after_flush();
        Poll::Pending
    }
}

/// The next piece of a repeated body.
fn piece(bytes: &'static [u8], offset: &mut usize, left: &mut u64) -> Bytes {
    let rest = &bytes[*offset..];
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
    *left -= count as u64;
    *offset = (*offset + count) % bytes.len();
    Bytes::from_static(&rest[..count])
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(self.poll_source(cx));
        if let (Some(Ok(frame)), Some(link)) = (&frame, &self.link)
            && let Some(data) = frame.data_ref()
        {
            let count = data.len() as u64;
            link.worker.counters.add(Count::BodyBytesSent, count);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Repeated { left, .. } | Source::Drip { left, .. } => *left == 0,
            Source::Echo(echo) => echo.is_complete(),
            Source::Torn(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Repeated { chunked: true, .. } => SizeHint::default(),
            Source::Repeated { left, .. } | Source::Drip { left, .. } => SizeHint::with_exact(*left),
            Source::Echo(echo) => echo.size,
            Source::Torn(torn) => SizeHint::with_exact(torn.left + torn.missing),
        }
    }
}

impl Drop for Body {
    /// hyper drops a body when it has taken the last of it, or when the connection dies.
    fn drop(&mut self) {
        if let Some(link) = &self.link
            && self.delivered()
        {
            link.response_ended();
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo(error) => write!(f, "the request body to be echoed broke off: {error}"),
            Self::Torn => write!(f, "the response body was torn on request"),
        }
    }
}

impl std::error::Error for BodyError {}
