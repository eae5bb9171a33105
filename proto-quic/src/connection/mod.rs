//! A client connection: the coordinator of everything else in this crate.

use crate::config::Config;
use crate::crypto::{Crypto, Handshake, Session};
use crate::error::BadServerName;
use crate::event::{Event, Receiver, Transmit};
use crate::stream_id::StreamId;
use bytes::Bytes;
use proto::{PathStats, Time};
use std::io::Write;

/// See the crate's front page for how to drive it.
pub struct Connection {
    session: Box<dyn Session>,
}

impl Connection {
    /// A connection about to send its first packet. `qlog` takes its events as JSON text sequences (RFC 7464).
    pub fn new(
        _config: &Config,
        crypto: &dyn Crypto,
        server_name: &str,
        _qlog: Option<Box<dyn Write + Send + Sync>>,
        _now: Time,
    ) -> Result<Connection, BadServerName> {
        Ok(Connection { session: crypto.start(server_name, Vec::new())? })
    }

    /// Datagrams as one receive call brought them: one, or several of `stride` bytes behind each other (GRO), with the ECN bits
    /// of their IP header. They are decrypted in place.
    pub fn handle_datagrams(
        &mut self,
        _now: Time,
        _bytes: &mut [u8],
        _stride: usize,
        _ecn: u8,
        _to: &mut impl Receiver,
    ) {
    }

    /// To be called at or after the moment that [`Connection::poll_timeout`] named.
    pub fn handle_timeout(&mut self, _now: Time) {}

    /// When [`Connection::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// Appends datagrams of at most `limit` bytes together. `sent` is told of each stream whose last byte has left for the first
    /// time, with its cookie.
    pub fn poll_transmit(
        &mut self,
        _now: Time,
        _limit: usize,
        _out: &mut Vec<u8>,
        _sent: &mut impl FnMut(StreamId, u32),
    ) -> Option<Transmit> {
        None
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Opens a bidirectional stream; nothing is said to the server by that. `None`: the server allows no more now.
    pub fn open_bi(&mut self, _cookie: u32) -> Option<StreamId> {
        None
    }

    /// Opens a unidirectional stream.
    pub fn open_uni(&mut self) -> Option<StreamId> {
        None
    }

    /// How many more bidirectional streams could be opened now.
    pub fn bi_available(&self) -> u64 {
        0
    }

    /// Adds to what a stream of ours says, `fin`: that was all. Nothing happens if it was reset or is gone.
    pub fn write(&mut self, _id: StreamId, _bytes: Bytes, _fin: bool) {}

    /// RESET_STREAM: what was not yet delivered is given up.
    pub fn reset(&mut self, _id: StreamId, _code: u64) {}

    /// STOP_SENDING: what still comes is thrown away.
    pub fn stop_sending(&mut self, _id: StreamId, _code: u64) {}

    /// Bytes that [`Receiver::data`] left to the owner were consumed.
    pub fn consumed(&mut self, _id: StreamId, _bytes: u64) {}

    /// Ends the connection with a code of the application's; the word to the server is left for `poll_transmit`.
    pub fn close(&mut self, _now: Time, _code: u64, _reason: &[u8]) {}

    /// Changes the keys of what we send (RFC 9001 section 6), as soon as that is allowed. For tests.
    pub fn update_keys(&mut self) {}

    /// Whether the handshake goes on.
    pub fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether early data may be sent, or was.
    pub fn has_early_data(&self) -> bool {
        false
    }

    /// Whether the server took the early data; known once connected.
    pub fn early_data_accepted(&self) -> bool {
        self.session.early_data_accepted()
    }

    /// What TLS agreed on.
    pub fn handshake(&self) -> Option<Handshake> {
        self.session.handshake()
    }

    /// The server's certificate in DER, where it showed one.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.session.certificate()
    }

    /// The largest datagram sent now.
    pub fn mtu(&self) -> u16 {
        1200
    }

    /// Figures of the path.
    pub fn stats(&self) -> PathStats {
        PathStats::default()
    }
}
