//! HTTP/3 (RFC 9114) on the TLS port number, over UDP: quinn for QUIC, the h3 crate for HTTP/3. Not a second
//! server: requests go to the same pages and the same counters as those of HTTP/1 and HTTP/2, on the same
//! threads. Started and stopped by `worker.rs`.

mod connection;
mod endpoint;
mod request;
mod runtime;
mod upload;

pub(crate) use endpoint::{Endpoint, Settings};
pub(crate) use upload::Http3Upload;
