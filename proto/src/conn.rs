//! The trait every protocol implements.

use crate::{Request, Sink, Template, Time};

/// The caller's name for a request on a connection; unique among those in flight there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// What a byte-stream protocol is fed. Datagram protocols bring an input type of their own.
#[derive(Debug)]
pub enum ByteInput<'a> {
    /// Bytes as received, in order.
    Bytes(&'a [u8]),
    /// This many body bytes were received and thrown away unseen. Only legal up to `due_bytes()`.
    Skipped(u64),
    /// The peer will send nothing more.
    Eof,
}

/// Why a request was not accepted. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No room now: `capacity()` is 0.
    Full,
    /// Draining or closed: never again on this connection.
    Closed,
    /// The rendered value for this slot holds a byte that this place of the request must not contain.
    BadValue {
        /// Index into `Request::values`.
        slot: u16,
    },
}

/// Counters of one connection since it was made, and what the peer announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnStats {
    /// Bytes of response heads and trailers as they came (compressed where the protocol compresses).
    pub header_bytes: u64,
    /// The same after decompression: names, values, and for HTTP/1 the whole head.
    pub header_bytes_decoded: u64,
    /// Content bytes of response bodies.
    pub data_bytes: u64,
    /// Responses of class 1xx.
    pub informational: u64,
    /// Requests the peer allows in flight at once, once known.
    pub peer_max_streams: Option<u32>,
    /// Code of the last GOAWAY received.
    pub goaway_code: Option<u32>,
}

/// Figures of a QUIC path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathStats {
    /// UDP datagrams handed out.
    pub datagrams_sent: u64,
    /// UDP datagrams taken in.
    pub datagrams_received: u64,
    /// Bytes of UDP payload handed out.
    pub bytes_sent: u64,
    /// Bytes of UDP payload taken in.
    pub bytes_received: u64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets deemed lost.
    pub packets_lost: u64,
    /// The least round-trip time, in nanoseconds.
    pub rtt_min_ns: u64,
    /// The smoothed round-trip time, in nanoseconds.
    pub rtt_smoothed_ns: u64,
    /// The congestion window in bytes.
    pub congestion_window: u64,
    /// The largest UDP payload in use.
    pub mtu: u16,
}

/// One client connection as a plain value. See the crate's front page for what every implementation promises.
///
/// Four kinds of method: commands (`submit`, `cancel`, `close`), inputs (`handle_*`), outputs (`poll_*`), getters.
/// After any command or input the driver polls: `poll_transmit` until `None`, then `poll_timeout`.
pub trait ClientConn {
    /// What arrives.
    type Input<'a>;
    /// What goes with the bytes handed out: nothing for byte streams; destination, ECN and segment size for datagrams.
    type Transmit;
    /// A [`Template`] in this protocol's wire form. Made once per run, shared by all connections of all cores.
    type Prepared: Send + Sync;

    /// Brings a template into wire form. `index` is dense and unique among the templates of the run, so that a
    /// connection can keep state per template in a table.
    fn prepare(index: u32, template: &Template) -> Self::Prepared;

    /// Accepts a request, or refuses and changes nothing.
    fn submit(
        &mut self,
        now: Time,
        token: Token,
        request: Request<'_, Self::Prepared>,
    ) -> Result<(), Refused>;
    /// Gives up a request in flight: it fails with `Kind::Cancelled`. Does nothing for a token not in flight.
    fn cancel(&mut self, now: Time, token: Token, sink: &mut impl Sink);
    /// Ends the connection: everything in flight fails as cancelled, then `closed`. What the protocol says in farewell
    /// is left for `poll_transmit`.
    fn close(&mut self, now: Time, sink: &mut impl Sink);

    /// Takes input.
    fn handle_input(&mut self, now: Time, input: Self::Input<'_>, sink: &mut impl Sink);
    /// To be called at or after the moment `poll_timeout` named.
    fn handle_timeout(&mut self, now: Time, sink: &mut impl Sink);

    /// Appends at most `limit` bytes to `out`, or returns `None` where there is nothing to send now.
    fn poll_transmit(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<Self::Transmit>;
    /// When `handle_timeout` wants to be called.
    fn poll_timeout(&mut self) -> Option<Time>;

    /// How many requests it would accept now.
    fn capacity(&self) -> u32;
    /// Body bytes that will certainly still come before anything else does, where known and nobody wants them:
    /// what `SO_RCVLOWAT` may wait for and what may be skipped unseen. `None` or `Some(0)`: look at every byte.
    fn due_bytes(&self) -> Option<u64>;
    /// Requests accepted and not yet ended.
    fn in_flight(&self) -> u32;
    /// Whether `poll_transmit` would hand out anything. Over datagrams it may be true in vain, since the transport decides
    /// only when asked; it is never false in vain.
    fn wants_transmit(&self) -> bool;
    /// Counters.
    fn stats(&self) -> ConnStats;
    /// What QUIC knows of its path; `None` over TCP, where the kernel knows it.
    fn path(&self) -> Option<PathStats> {
        None
    }
}
