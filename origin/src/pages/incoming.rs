//! Request bodies: read to their end and counted, whether wanted or not. Called by the pages.

use http_body_util::BodyExt;
use hyper::body::Body as _;

use crate::counters::Count;
use crate::limits::MAX_FORM;
use crate::link::Link;
use crate::upload::Upload;

/// Why a request body could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    TooLarge,
    BrokenOff,
}

/// Reads a body and forgets it.
pub(crate) async fn drain(link: &Link, mut body: Upload) {
    while !body.is_end_stream() {
        // After an error there is no connection to answer on, so nobody needs to know.
        let Some(Ok(frame)) = body.frame().await else { return };
        if let Some(data) = frame.data_ref() {
            link.worker.counters.add(Count::BodyBytesReceived, data.len() as u64);
        }
    }
}

/// Reads a small document. What is too large is still read, so that the answer reaches the client.
pub(crate) async fn collect(link: &Link, mut body: Upload) -> Result<Vec<u8>, Unreadable> {
    let mut document = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unreadable::BrokenOff)?;
        let Some(data) = frame.data_ref() else { continue };
        link.worker.counters.add(Count::BodyBytesReceived, data.len() as u64);
        if document.len() + data.len() > MAX_FORM {
            drain(link, body).await;
            return Err(Unreadable::TooLarge);
        }
        document.extend_from_slice(data);
    }
    Ok(document)
}
