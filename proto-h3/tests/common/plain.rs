//! QUIC without encryption: keys that change nothing, and a handshake of three messages that carries the transport parameters
//! of both sides and nothing else. For the fuzz target, whose time TLS and its keys would take.

use bytes::BytesMut;
use quinn_proto::crypto::{
    ClientConfig, CryptoError, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig,
    Session, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError, TransportErrorCode};
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

impl ClientConfig for Plain {
    fn start_session(
        self: Arc<Self>,
        _: u32,
        _: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        Ok(PlainSession::begin(Side::Client, params))
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
        PlainSession::begin(Side::Server, params)
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
    side: Side,
    ours: Vec<u8>,
    theirs: Option<TransportParameters>,
    next: Next,
    /// Messages read.
    read: u8,
}

impl PlainSession {
    fn begin(side: Side, params: &TransportParameters) -> Box<dyn Session> {
        let mut ours = Vec::new();
        params.write(&mut ours);
        let next = if side == Side::Client { Next::Hello } else { Next::Nothing };
        Box::new(PlainSession { side, ours, theirs: None, next, read: 0 })
    }
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
        let has_parameters = self.read == if self.side == Side::Client { 2 } else { 1 };
        if has_parameters {
            let theirs = TransportParameters::read(self.side, &mut message);
            self.theirs = Some(theirs.map_err(|e| TransportError {
                code: TransportErrorCode::TRANSPORT_PARAMETER_ERROR,
                frame: None,
                reason: e.to_string(),
            })?);
        }
        self.next = match (self.side, self.read) {
            (_, 1) => Next::Answer,
            (Side::Client, 2) => Next::Finish,
            _ => Next::Nothing,
        };
        Ok(self.read == 2)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        Ok(self.theirs)
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Hello => {
                out.extend_from_slice(&self.ours);
                None
            }
            Next::Answer if self.side == Side::Server => {
                out.push(b'S');
                self.next = Next::Finish;
                Some(keys())
            }
            Next::Answer => Some(keys()),
            Next::Finish if self.side == Side::Server => {
                out.extend_from_slice(&self.ours);
                Some(keys())
            }
            Next::Finish => {
                out.push(b'F');
                Some(keys())
            }
            Next::Nothing => None,
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
