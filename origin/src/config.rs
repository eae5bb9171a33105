//! What the server is told before it starts. Not checked here: binding and reading tell. Made by `cli`, by
//! whoever runs `target: builtin`, and by tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::bucket::Limit;

/// What to listen on, and with how many threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address for clear text (HTTP/1.x, and HTTP/2 by prior knowledge). Port 0: any free one.
    pub clear: Option<SocketAddr>,
    /// Address for TLS: HTTP/1.1 and HTTP/2 by ALPN over TCP, HTTP/3 over UDP. Port 0: any free one.
    pub tls: Option<SocketAddr>,
    /// Number of serving threads, each with its own listeners (`SO_REUSEPORT`).
    pub threads: NonZeroUsize,
    /// CPUs to pin the threads to, round robin. Empty: not pinned.
    pub cpus: Vec<usize>,
    /// PEM file with the certificate chain and its private key. `None`: a certificate for localhost is made
    /// at start.
    pub cert: Option<PathBuf>,
    /// Requests a second that the whole site answers, except for its counters.
    pub limit: Option<Limit>,
    /// The field `alt-svc` of responses over TLS, with `PORT` for the port of HTTP/3. `None`: `h3=":PORT"`; empty: no field.
    pub alt_svc: Option<String>,
}

impl Default for Config {
    /// Clear on 127.0.0.1:8081, TLS on 127.0.0.1:8082, one thread, a certificate made at start.
    fn default() -> Self {
        Self {
            clear: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8081))),
            tls: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8082))),
            threads: NonZeroUsize::MIN,
            cpus: Vec::new(),
            cert: None,
            limit: None,
            alt_svc: None,
        }
    }
}
