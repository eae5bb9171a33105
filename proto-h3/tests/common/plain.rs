//! QUIC without encryption: keys that change nothing, and a handshake of three messages that carries the transport parameters
//! of both sides and nothing else: the client's side for `proto_quic`, the server's for `quinn_proto`. For the fuzz target, whose time TLS and its keys would take.

use bytes::BytesMut;
use proto_quic::crypto as ours;
use quinn_proto::crypto::{
    CryptoError, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session,
    UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError, TransportErrorCode};
use std::any::Any;
use std::sync::Arc;

/// Bytes behind each payload, as an AEAD has them: packets are as long as they would be.
const TAG: usize = 16;

/// Both sides' configuration, and all their keys.
pub struct Plain;

fn pair<T: ?Sized>(make: impl Fn() -> Box<T>) -> KeyPair<Box<T>> {
    KeyPair { local: make(), remote: make() }
}

fn keys() -> Keys {
    Keys { header: pair(|| Box::new(Plain) as _), packet: pair(|| Box::new(Plain) as _) }
}

impl HeaderKey for Plain {
    fn decrypt(&self, _: usize, _: &mut [u8]) {}
    fn encrypt(&self, _: usize, _: &mut [u8]) {}
    fn sample_size(&self) -> usize {
        TAG
    }
}

impl PacketKey for Plain {
    fn encrypt(&self, _: u64, _: &mut [u8], _: usize) {}
    fn decrypt(&self, _: u64, _: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        payload.truncate(payload.len().checked_sub(TAG).ok_or(CryptoError)?);
        Ok(())
    }
    fn tag_len(&self) -> usize {
        TAG
    }
    fn confidentiality_limit(&self) -> u64 {
        u64::MAX
    }
    fn integrity_limit(&self) -> u64 {
        u64::MAX
    }
}

impl ours::HeaderProtectionKey for Plain {
    fn encrypt_in_place(&self, _: &[u8], _: &mut u8, _: &mut [u8]) -> Result<(), rustls::Error> {
        Ok(())
    }
    fn decrypt_in_place(&self, _: &[u8], _: &mut u8, _: &mut [u8]) -> Result<(), rustls::Error> {
        Ok(())
    }
    fn sample_len(&self) -> usize {
        TAG
    }
}

impl ours::PacketKey for Plain {
    fn encrypt_in_place(&self, _: u64, _: &[u8], _: &mut [u8]) -> Result<rustls::quic::Tag, rustls::Error> {
        Ok(rustls::quic::Tag::from(&[0; TAG][..]))
    }
    fn decrypt_in_place<'a>(
        &self,
        _: u64,
        _: &[u8],
        payload: &'a mut [u8],
    ) -> Result<&'a [u8], rustls::Error> {
        let len = payload.len().checked_sub(TAG).ok_or(rustls::Error::DecryptError)?;
        Ok(&payload[..len])
    }
    fn tag_len(&self) -> usize {
        TAG
    }
    fn confidentiality_limit(&self) -> u64 {
        u64::MAX
    }
    fn integrity_limit(&self) -> u64 {
        u64::MAX
    }
}

fn our_keys() -> ours::KeyPair {
    let one = || ours::Keys { header: Box::new(Plain), packet: Box::new(Plain) };
    ours::KeyPair { local: one(), remote: one() }
}

impl ours::Crypto for Plain {
    fn start(&self, _: &str, params: Vec<u8>) -> Result<Box<dyn ours::Session>, proto_quic::BadServerName> {
        Ok(Box::new(Client { ours: params, theirs: None, next: Next::Hello, read: 0 }))
    }
}

/// Our side of the three messages.
struct Client {
    ours: Vec<u8>,
    theirs: Option<Vec<u8>>,
    next: Next,
    read: u8,
}

impl ours::Session for Client {
    fn initial_keys(&self, _: &[u8]) -> ours::KeyPair {
        our_keys()
    }
    fn early_keys(&self) -> Option<ours::Keys> {
        None
    }
    fn early_data_accepted(&self) -> bool {
        false
    }
    fn is_handshaking(&self) -> bool {
        self.read < 2
    }
    fn read_handshake(&mut self, message: &[u8]) -> Result<(), ours::HandshakeFailure> {
        self.read += 1;
        self.next = match self.read {
            1 => Next::Answer,
            2 => {
                self.theirs = Some(message.to_vec());
                Next::Finish
            }
            _ => Next::Nothing,
        };
        Ok(())
    }
    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<ours::KeyChange> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Hello => {
                out.extend_from_slice(&self.ours);
                None
            }
            Next::Answer => Some(ours::KeyChange::Handshake(our_keys())),
            Next::Finish => {
                out.push(b'F');
                Some(ours::KeyChange::OneRtt(our_keys()))
            }
            Next::Nothing => None,
        }
    }
    fn transport_parameters(&self) -> Option<&[u8]> {
        self.theirs.as_deref()
    }
    fn next_keys(&mut self) -> Option<ours::PacketKeyPair> {
        Some(ours::PacketKeyPair { local: Box::new(Plain), remote: Box::new(Plain) })
    }
    fn is_valid_retry(&self, _: &[u8], _: &[u8]) -> bool {
        true
    }
    fn handshake(&self) -> Option<ours::Handshake> {
        None
    }
    fn certificate(&self) -> Option<Vec<u8>> {
        None
    }
}

impl ServerConfig for Plain {
    fn initial_keys(&self, _: u32, _: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        Ok(keys())
    }
    fn retry_tag(&self, _: u32, _: &ConnectionId, _: &[u8]) -> [u8; 16] {
        [0; 16]
    }
    fn start_session(self: Arc<Self>, _: u32, params: &TransportParameters) -> Box<dyn Session> {
        let mut ours = Vec::new();
        params.write(&mut ours);
        Box::new(PlainSession { ours, theirs: None, next: Next::Nothing, read: 0 })
    }
}

/// What a side says next, in the order in which it says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The client's parameters.
    Hello,
    /// The server's first answer, behind which there are keys.
    Answer,
    /// The server's parameters, or the client's last message; behind it the keys of 1-RTT.
    Finish,
    Nothing,
}

struct PlainSession {
    ours: Vec<u8>,
    theirs: Option<TransportParameters>,
    next: Next,
    /// Messages read.
    read: u8,
}

impl Session for PlainSession {
    fn initial_keys(&self, _: &ConnectionId, _: Side) -> Keys {
        keys()
    }
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }
    fn early_data_accepted(&self) -> Option<bool> {
        None
    }
    fn is_handshaking(&self) -> bool {
        self.read < 2
    }

    /// Each message comes in one piece: there is one packet for each.
    fn read_handshake(&mut self, mut message: &[u8]) -> Result<bool, TransportError> {
        self.read += 1;
        if self.read == 1 {
            let theirs = TransportParameters::read(Side::Server, &mut message);
            self.theirs = Some(theirs.map_err(|e| TransportError {
                code: TransportErrorCode::TRANSPORT_PARAMETER_ERROR,
                frame: None,
                reason: e.to_string(),
            })?);
            self.next = Next::Answer;
        }
        Ok(self.read == 2)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        Ok(self.theirs)
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Answer => {
                out.push(b'S');
                self.next = Next::Finish;
                Some(keys())
            }
            Next::Finish => {
                out.extend_from_slice(&self.ours);
                Some(keys())
            }
            Next::Hello | Next::Nothing => None,
        }
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        Some(keys().packet)
    }
    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        true
    }
    fn export_keying_material(
        &self,
        _: &mut [u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}
