//! Sockets, as a core sees them: operations go in, completions come out, in batches.
//!
//! [`Driver`] is what a core needs and no more; `uring` implements it on the kernel's ring, `monoio` on that runtime. Tests
//! implement it over a simulated network. A socket is named by a [`Sock`] that the driver hands out; what arrives for a
//! socket that was released meanwhile is swallowed by the driver.

mod buffers;
pub(crate) mod choice;
mod line;
mod monoio;
pub(crate) mod socket;
mod spare;
#[cfg(test)]
mod tests;
mod udp;
mod uring;

use proto::Time;
use proto_h3::{Received, Transmit};
use scenario::plan::Socket as SocketOptions;
use socket::Peer;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A socket of a driver. `tag` is what the core wants to hear it called by in completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sock(pub(crate) u32);

/// Something that ended.
#[derive(Debug)]
pub struct Completion {
    /// The core's name for the socket's owner.
    pub tag: u32,
    /// What happened.
    pub what: What,
}

/// What happened to a socket.
#[derive(Debug)]
pub enum What {
    /// The TCP connection stands, or not.
    Connected(io::Result<()>),
    /// Bytes arrived; look at them with [`Driver::bytes`], then give them back with [`Driver::release`].
    Received(Chunk),
    /// Bytes arrived and were thrown away by the kernel.
    Skipped(u64),
    /// The peer will send no more.
    Eof,
    /// Datagrams are there: take them with [`Driver::receive_datagrams`].
    Readable,
    /// Receiving failed.
    ReceiveFailed(io::Error),
    /// The send ended: all bytes are the kernel's. The buffer comes back.
    Sent(Vec<u8>),
    /// The send failed. The buffer comes back.
    SendFailed(io::Error, Vec<u8>),
}

/// Received bytes, still in the driver's memory.
#[derive(Debug)]
pub struct Chunk {
    pub(crate) group: u16,
    pub(crate) buffer: u16,
    pub(crate) offset: u32,
    pub(crate) len: u32,
    pub(crate) last: bool,
}

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Come back at this time at the latest.
    pub deadline: Time,
    /// Come back when this many completions are there...
    pub want: u32,
    /// ...but not before this time has passed unless `want` are there. Zero: come back with the first.
    pub nap: Duration,
    /// When napping, come back after this with whatever is there.
    pub limit: Duration,
}

/// How bytes are received on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// Keep receiving into the driver's memory until closed.
    Stream,
    /// Receive once.
    Once,
    /// Receive at most this many bytes once, and throw them away unseen.
    Discard(u64),
}

/// How a socket that is retired is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Now.
    Abort,
    /// The peer is about to close; let it be first, for a time. The side that closes first keeps the port in TIME_WAIT.
    Await,
    /// Say that nothing more will be sent, and let the peer close, for a time.
    Finish,
}

/// The I/O of one core.
pub trait Driver {
    /// Starts to connect, from that local address if there is one. The completion is `Connected`. Fails at once where no
    /// socket can be made.
    fn open(
        &mut self,
        tag: u32,
        to: &Arc<Peer>,
        from: Option<IpAddr>,
        options: &SocketOptions,
    ) -> io::Result<Sock>;
    /// Makes a UDP socket connected to a peer, from that local address if there is one, and tells of datagrams from now on.
    fn open_datagrams(
        &mut self,
        tag: u32,
        to: &Arc<Peer>,
        from: Option<IpAddr>,
        options: &SocketOptions,
    ) -> io::Result<Sock> {
        let _ = (tag, to, from, options);
        Err(io::Error::new(io::ErrorKind::Unsupported, "this I/O driver has no datagrams: use --io uring"))
    }
    /// Takes what is there. More than fits in a turn is told of again.
    fn receive_datagrams(&mut self, sock: Sock, into: &mut Vec<Received>) -> io::Result<()> {
        let _ = (sock, into);
        Ok(())
    }
    /// Sends datagrams at once. `WouldBlock`: none was sent.
    fn send_datagrams(&mut self, sock: Sock, bytes: &[u8], transmit: Transmit) -> io::Result<()> {
        let _ = (sock, bytes, transmit);
        Ok(())
    }
    /// Datagrams the kernel could not keep for this socket.
    fn datagram_drops(&self, sock: Sock) -> u64 {
        let _ = sock;
        0
    }
    /// Arms receiving.
    fn receive(&mut self, sock: Sock, how: Receive);
    /// Sends all of `bytes`. One send at a time per socket.
    fn send(&mut self, sock: Sock, bytes: Vec<u8>);
    /// Says how many bytes must be there before a receive completes.
    fn set_low_water(&mut self, sock: Sock, bytes: u32);
    /// Acknowledges what was received at once (`TCP_QUICKACK`): the kernel leaves that mode by itself.
    fn set_quickack(&mut self, sock: Sock);
    /// How many of the bytes sent on a socket the peer's kernel has not said that it has. What was given to
    /// [`Driver::send`] before is the kernel's by then.
    fn unacknowledged(&mut self, sock: Sock) -> u64;
    /// Where a connected socket is bound; `None` for a Unix socket.
    fn local_address(&self, sock: Sock) -> Option<SocketAddr>;
    /// At most so many retired sockets wait for the peer to close; beyond that the oldest is closed at once.
    fn set_lingering_max(&mut self, most: usize);
    /// Forgets the socket: no completion for it is reported any more.
    fn retire(&mut self, sock: Sock, now: Time, farewell: Farewell);

    /// Hands everything queued to the kernel and waits.
    fn wait(&mut self, now: Time, wait: Wait) -> io::Result<()>;
    /// Whether the last wait brought nothing at all.
    fn is_idle(&self) -> bool;
    /// The next completion of this batch.
    fn next(&mut self) -> Option<Completion>;
    /// The bytes of a chunk.
    fn bytes(&self, chunk: &Chunk) -> &[u8];
    /// The same, to be changed: TLS is decrypted in place.
    fn bytes_mut(&mut self, chunk: &Chunk) -> &mut [u8];
    /// Gives a chunk's memory back.
    fn release(&mut self, chunk: Chunk);
    /// A send buffer of the driver's, empty. Comes back with `Sent`; give it to [`Driver::recycle`].
    fn buffer(&mut self) -> Vec<u8>;
    /// Takes a buffer back.
    fn recycle(&mut self, buffer: Vec<u8>);

    /// Most receives that may complete in one wait without running out of memory for them.
    fn receive_capacity(&self) -> u32;
    /// Whether a wait can nap (`min_wait`).
    fn can_nap(&self) -> bool;
    /// Completions the kernel could not queue in time.
    fn overflows(&mut self) -> u64;
    /// Its name and flags, for the result's environment.
    fn describe(&self) -> String;
}
