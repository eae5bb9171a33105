//! The server from outside, over real sockets, with a client of a few lines that shares no code with the
//! server or with the load generator. One module per subject.

mod client;
mod faults;
mod http2;
mod http3;
mod lifecycle;
mod pages;
mod protocol;
mod site;
mod sized;
mod stats;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;

use origin::{Config, Origin};

/// A server with one thread on free ports.
fn server() -> Origin {
    server_with(1)
}

/// A server with some threads on free ports.
fn server_with(threads: usize) -> Origin {
    origin::start(config(threads)).expect("starts")
}

fn config(threads: usize) -> Config {
    let any = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Config { clear: any, tls: any, threads: NonZeroUsize::new(threads).expect("some"), ..Config::default() }
}
