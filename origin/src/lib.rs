//! The built-in target server: something to put load on where there is nothing else, and the independent peer
//! that the client is tested against. It is built on other people's stacks (hyper, quinn, h3, rustls, tokio)
//! and shares no protocol code with the client, so a mistake of one does not hide a mistake of the other.
//!
//! It serves HTTP/1.x and HTTP/2, in clear and over TLS, and HTTP/3 on the UDP port of the same number as the
//! TLS port, with one thread per core that shares nothing with the others. What it serves:
//!
//! - `/?s=256k&t=20ms&r=503`: any size, delay and status, in the query language of haterm (see `query.rs`, or
//!   ask `/?`). `/any/...` does the same under any path. A delay is kept to microseconds and the true one is
//!   reported in `Server-Timing`.
//! - `/echo`, `/headers`: what the client sent.
//! - `/login`, `/inbox`, `/api/...`, `/logout`, `/static/...`: a small web mail with sessions, a form token
//!   and a JSON API. User and password are both `demo`.
//! - `/redirect/N`: N redirects, each setting a cookie.
//! - `/fault/...`: connections that break, responses that stop or drip.
//! - `/limited?rate=N`: a page that answers so many requests a second ([`Config::limit`] limits all of them).
//! - `/alt-svc/clear`: a response that takes back where HTTP/3 is, which others over TLS say ([`Config::alt_svc`]).
//! - `/stats`, `/stats/reset`: exact counts.
//!
//! It is not a general web server: it serves no files, logs nothing and has no settings beyond [`Config`].
//!
//! ```no_run
//! let origin = origin::start(origin::Config::default())?;
//! println!("http://{}", origin.clear_addr().expect("the default listens in clear"));
//! origin.stop();
//! # Ok::<(), origin::StartError>(())
//! ```

mod body;
mod bucket;
mod cert;
mod config;
mod connection;
mod counters;
mod error;
mod exchange;
mod http3;
mod limits;
mod link;
mod listen;
mod pages;
mod pattern;
mod pin;
mod query;
mod random;
mod server;
mod service;
mod session;
mod shared;
mod stats;
mod timerfd;
mod timers;
mod tls;
mod upload;
mod wire;
mod worker;

pub use bucket::Limit;
pub use config::Config;
pub use error::{CertError, StartError};
pub use server::{Origin, start};
pub use stats::{ConnectionStats, PathStats, Stats};
