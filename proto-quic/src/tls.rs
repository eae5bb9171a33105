//! [`crate::crypto`] over `rustls::quic`. Not a policy: verification, sessions and ciphers are the caller's configuration.

use crate::crypto::{Crypto, Handshake, HandshakeFailure, KeyChange, KeyPair, Keys, PacketKeyPair, Session};
use crate::error::{BadServerName, code};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, DirectionalKeys, KeyChange as Change, Secrets, Suite, Version};
use rustls::{CipherSuite, HandshakeKind};
use std::sync::Arc;

/// What alerts are counted from (RFC 9001 section 4.8).
const CRYPTO_ERROR: u64 = 0x100;

/// The TLS of connections to come.
pub struct Tls {
    config: Arc<rustls::ClientConfig>,
    /// What protects the first packets (RFC 9001 section 5.2).
    initial: Suite,
}

impl Tls {
    /// `None`: the suite that the first packets need is not among the configuration's ciphers.
    pub fn new(config: Arc<rustls::ClientConfig>) -> Option<Tls> {
        let suites = &config.crypto_provider().cipher_suites;
        let first = suites.iter().find(|s| s.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256)?;
        let initial = first.tls13()?.quic_suite()?;
        Some(Tls { config, initial })
    }
}

impl Crypto for Tls {
    fn start(&self, server_name: &str, params: Vec<u8>) -> Result<Box<dyn Session>, BadServerName> {
        let name = ServerName::try_from(server_name).map_err(|_| BadServerName)?.to_owned();
        let tls = ClientConnection::new(self.config.clone(), Version::V1, name, params)
            .map_err(|_| BadServerName)?;
        Ok(Box::new(TlsSession { tls, initial: self.initial, next: None }))
    }
}

/// The TLS of one connection.
struct TlsSession {
    tls: ClientConnection,
    initial: Suite,
    /// What the keys after the present ones are made of.
    next: Option<Secrets>,
}

fn keys(keys: DirectionalKeys) -> Keys {
    Keys { header: keys.header, packet: keys.packet }
}

fn both(pair: rustls::quic::Keys) -> KeyPair {
    KeyPair { local: keys(pair.local), remote: keys(pair.remote) }
}

impl Session for TlsSession {
    fn initial_keys(&self, dcid: &[u8]) -> KeyPair {
        both(self.initial.keys(dcid, rustls::Side::Client, Version::V1))
    }

    fn early_keys(&self) -> Option<Keys> {
        self.tls.zero_rtt_keys().map(keys)
    }

    fn early_data_accepted(&self) -> bool {
        self.tls.is_early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<(), HandshakeFailure> {
        self.tls.read_hs(bytes).map_err(|error| HandshakeFailure {
            code: match self.tls.alert() {
                Some(alert) => CRYPTO_ERROR + u64::from(u8::from(alert)),
                None => code::PROTOCOL_VIOLATION,
            },
            reason: error.to_string(),
        })
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<KeyChange> {
        Some(match self.tls.write_hs(out)? {
            Change::Handshake { keys } => KeyChange::Handshake(both(keys)),
            Change::OneRtt { keys, next } => {
                self.next = Some(next);
                KeyChange::OneRtt(both(keys))
            }
        })
    }

    fn transport_parameters(&self) -> Option<&[u8]> {
        self.tls.quic_transport_parameters()
    }

    fn next_keys(&mut self) -> Option<PacketKeyPair> {
        let next = self.next.as_mut()?.next_packet_keys();
        Some(PacketKeyPair { local: next.local, remote: next.remote })
    }

    fn is_valid_retry(&self, original_dcid: &[u8], packet: &[u8]) -> bool {
        is_valid_retry(original_dcid, packet)
    }

    fn handshake(&self) -> Option<Handshake> {
        if self.tls.is_handshaking() {
            return None;
        }
        Some(Handshake {
            cipher: self.tls.negotiated_cipher_suite()?.suite(),
            group: self.tls.negotiated_key_exchange_group().map(|g| g.name()),
            resumed: self.tls.handshake_kind() == Some(HandshakeKind::Resumed),
            tickets: self.tls.tls13_tickets_received(),
        })
    }

    fn certificate(&self) -> Option<Vec<u8>> {
        self.tls.peer_certificates()?.first().map(|c| c.to_vec())
    }
}

/// The integrity tag of a Retry: AES-128-GCM over nothing, with the packet and the id that it answers as associated data and a
/// key that all the world knows (RFC 9001 section 5.8).
fn is_valid_retry(original_dcid: &[u8], packet: &[u8]) -> bool {
    const KEY: [u8; 16] =
        [0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e];
    const NONCE: [u8; 12] = [0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb];
    let Some(at) = packet.len().checked_sub(AES_128_GCM.tag_len()) else { return false };
    let (packet, tag) = packet.split_at(at);
    let mut pseudo = Vec::with_capacity(1 + original_dcid.len() + packet.len());
    pseudo.push(original_dcid.len() as u8);
    pseudo.extend_from_slice(original_dcid);
    pseudo.extend_from_slice(packet);
    let Ok(key) = UnboundKey::new(&AES_128_GCM, &KEY) else { return false };
    let mut tag = tag.to_vec();
    let nonce = Nonce::assume_unique_for_key(NONCE);
    LessSafeKey::new(key).open_in_place(nonce, Aad::from(pseudo), &mut tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_valid_retry;

    /// RFC 9001 appendix A.4.
    #[test]
    fn the_retry_of_the_rfc_is_valid() {
        let dcid = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        let mut retry = b"\xff\x00\x00\x00\x01\x00\x08\xf0\x67\xa5\x50\x2a\x42\x62\xb5token".to_vec();
        retry.extend([
            0x04, 0xa2, 0x65, 0xba, 0x2e, 0xff, 0x4d, 0x82, 0x90, 0x58, 0xfb, 0x3f, 0x0f, 0x24, 0x96, 0xba,
        ]);
        assert!(is_valid_retry(&dcid, &retry));
        for at in 0..retry.len() {
            retry[at] ^= 1;
            assert!(!is_valid_retry(&dcid, &retry));
            retry[at] ^= 1;
        }
        assert!(!is_valid_retry(&dcid[1..], &retry) && !is_valid_retry(&dcid, &[]));
    }
}
