//! Which driver a core runs on. Called by `run`, on the core's thread: rings and runtimes belong to the thread that made them.

use super::monoio::Monoio;
use super::uring::Uring;
use crate::Io;
use std::io;

/// A driver of either kind. A core is compiled for each, so that the choice costs nothing while it runs.
#[expect(clippy::large_enum_variant, reason = "one a core, moved once")]
pub(crate) enum Chosen {
    Uring(Uring),
    Monoio(Monoio),
}

/// A driver for about `connections` sockets, and why it is not on io_uring where it might have been. `bulk`: large bodies
/// may be received in large pieces by monoio, too.
pub(crate) fn choose(wish: Io, connections: u32, bulk: bool) -> io::Result<(Chosen, Option<io::Error>)> {
    match wish {
        Io::Uring => Ok((Chosen::Uring(Uring::new(connections)?), None)),
        // Where the raw ring is refused monoio's is as a rule, too, and without today's flags it costs more than epoll.
        Io::Auto => match Uring::new(connections) {
            Ok(ring) => Ok((Chosen::Uring(ring), None)),
            Err(refusal) => Ok((Chosen::Monoio(Monoio::on_epoll(connections, bulk)?), Some(refusal))),
        },
        Io::Monoio => match Monoio::on_uring(connections, bulk) {
            Ok(monoio) => Ok((Chosen::Monoio(monoio), None)),
            Err(refusal) => Ok((Chosen::Monoio(Monoio::on_epoll(connections, bulk)?), Some(refusal))),
        },
        Io::Epoll => Ok((Chosen::Monoio(Monoio::on_epoll(connections, bulk)?), None)),
    }
}
