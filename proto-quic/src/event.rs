//! What a connection tells its owner: events that wait to be asked for, and data while packets are read.

use crate::error::Lost;
use crate::stream_id::StreamId;

/// What happened. Asked for with [`crate::Connection::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete: requests may go out, and whether early data was accepted is known. If it was not, all
    /// streams are gone and their numbers begin at 0 again (RFC 9001 section 4.6.2).
    Connected,
    /// The server allows more bidirectional streams than before.
    StreamsAvailable,
    /// The connection is over. Nothing follows.
    Lost(Lost),
}

/// What takes the contents of streams, called while packets are read. `cookie` is what the owner gave to
/// [`crate::Connection::open_bi`]; 0 for streams of the server.
pub trait Receiver {
    /// Bytes in order, `fin` with the last. Returns how many were consumed; those that the owner keeps for later count for
    /// flow control when it says so with [`crate::Connection::consumed`].
    fn data(&mut self, id: StreamId, cookie: u32, bytes: &[u8], fin: bool) -> usize;
    /// RESET_STREAM: no more comes.
    fn reset(&mut self, id: StreamId, cookie: u32, code: u64);
    /// STOP_SENDING: QUIC answers with RESET_STREAM by itself.
    fn stopped(&mut self, id: StreamId, cookie: u32, code: u64);
}

/// What goes with datagrams that are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The ECN bits for their IP header.
    pub ecn: u8,
    /// The size of each datagram but the last, where there are several (GSO).
    pub segment_size: Option<usize>,
}
