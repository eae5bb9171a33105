//! What QUIC wants of TLS (RFC 9001). Keys are rustls' own traits, so a packet costs one dynamic call for its payload and one for
//! its header; a session without rustls (as tests bring it) implements them, too.

use crate::error::BadServerName;
use rustls::{CipherSuite, NamedGroup};

pub use rustls::quic::{HeaderProtectionKey, PacketKey};

/// The keys of one direction at one level.
pub struct Keys {
    /// Header protection.
    pub header: Box<dyn HeaderProtectionKey>,
    /// Payload protection.
    pub packet: Box<dyn PacketKey>,
}

/// The keys of both directions at one level.
pub struct KeyPair {
    /// For what we send.
    pub local: Keys,
    /// For what we receive.
    pub remote: Keys,
}

/// The payload keys after a key update (RFC 9001 section 6).
pub struct PacketKeyPair {
    /// For what we send.
    pub local: Box<dyn PacketKey>,
    /// For what we receive.
    pub remote: Box<dyn PacketKey>,
}

/// Keys that the handshake brought.
pub enum KeyChange {
    /// Of Handshake packets.
    Handshake(KeyPair),
    /// Of 1-RTT packets.
    OneRtt(KeyPair),
}

/// TLS failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeFailure {
    /// As CONNECTION_CLOSE carries it: 0x100 and the alert (RFC 9001 section 4.8).
    pub code: u64,
    /// In words.
    pub reason: String,
}

/// What TLS agreed on, once the handshake is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The cipher suite.
    pub cipher: CipherSuite,
    /// The group of the key exchange.
    pub group: Option<NamedGroup>,
    /// A session of an earlier connection was continued: the server showed no certificate.
    pub resumed: bool,
    /// Tickets that have come, for connections to come.
    pub tickets: u32,
}

/// Begins sessions.
pub trait Crypto: Send + Sync {
    /// A session with our transport parameters (RFC 9000 section 18).
    fn start(&self, server_name: &str, params: Vec<u8>) -> Result<Box<dyn Session>, BadServerName>;
}

/// The TLS of one connection, always the client's side.
pub trait Session: Send {
    /// RFC 9001 section 5.2.
    fn initial_keys(&self, dcid: &[u8]) -> KeyPair;
    /// The keys of 0-RTT packets, if early data may be sent.
    fn early_keys(&self) -> Option<Keys>;
    /// Whether the server took early data; known once the handshake is over.
    fn early_data_accepted(&self) -> bool;
    /// Whether TLS is still at it.
    fn is_handshaking(&self) -> bool;
    /// Bytes of CRYPTO frames, in order, of whatever level.
    fn read_handshake(&mut self, bytes: &[u8]) -> Result<(), HandshakeFailure>;
    /// Appends what is to be sent at the present level; keys mean that what follows belongs to the next.
    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<KeyChange>;
    /// The server's transport parameters: before the handshake those remembered for early data, if any.
    fn transport_parameters(&self) -> Option<&[u8]>;
    /// The next generation of payload keys, once 1-RTT keys are there.
    fn next_keys(&mut self) -> Option<PacketKeyPair>;
    /// Whether a Retry is the answer to our first packet (RFC 9001 section 5.8). `packet` ends with the tag.
    fn is_valid_retry(&self, original_dcid: &[u8], packet: &[u8]) -> bool;
    /// What was agreed on.
    fn handshake(&self) -> Option<Handshake>;
    /// The server's certificate in DER.
    fn certificate(&self) -> Option<Vec<u8>>;
}
