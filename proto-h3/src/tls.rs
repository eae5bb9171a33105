//! TLS inside of QUIC (RFC 9001): rustls in the form that `quinn_proto` asks for. Not a policy: verification, sessions and
//! ciphers are the caller's configuration.
//!
//! `quinn_proto` has such a session of its own. That one tells neither what was agreed on nor whether a session was resumed,
//! which is what a load generator must report. What only it can do (the integrity of a Retry) is left to it.

use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::crypto::{
    ClientConfig, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, DirectionalKeys, KeyChange, Secrets, Suite, Version};
use rustls::{CipherSuite, HandshakeKind, NamedGroup};
use std::any::Any;
use std::sync::Arc;

/// The version of QUIC that is spoken (RFC 9000 section 15).
const QUIC_1: u32 = 1;

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

/// The TLS of connections to come.
pub(crate) struct Tls {
    config: Arc<rustls::ClientConfig>,
    /// What protects the first packets (RFC 9001 section 5.2).
    initial: Suite,
    retry: Arc<QuicClientConfig>,
}

impl Tls {
    /// `None`: the suite that the first packets need is not among its ciphers.
    pub(crate) fn new(config: Arc<rustls::ClientConfig>) -> Option<Tls> {
        let suites = &config.crypto_provider().cipher_suites;
        let first = suites.iter().find(|s| s.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256)?;
        let initial = first.tls13()?.quic_suite()?;
        let retry = Arc::new(QuicClientConfig::try_from(config.clone()).ok()?);
        Some(Tls { config, initial, retry })
    }
}

impl ClientConfig for Tls {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        if version != QUIC_1 {
            return Err(ConnectError::UnsupportedVersion);
        }
        let wrong = || ConnectError::InvalidServerName(server_name.into());
        let name = ServerName::try_from(server_name).map_err(|_| wrong())?.to_owned();
        let mut ours = Vec::new();
        params.write(&mut ours);
        let tls = ClientConnection::new(self.config.clone(), Version::V1, name, ours).map_err(|_| wrong())?;
        Ok(Box::new(TlsSession { tls, setup: self, next: None, told: false }))
    }
}

/// The TLS of one connection.
struct TlsSession {
    tls: ClientConnection,
    setup: Arc<Tls>,
    /// What the keys after the present ones are made of.
    next: Option<Secrets>,
    /// It was said that something is known.
    told: bool,
}

fn both(local: DirectionalKeys, remote: DirectionalKeys) -> Keys {
    Keys {
        header: KeyPair { local: Box::new(local.header), remote: Box::new(remote.header) },
        packet: KeyPair { local: Box::new(local.packet), remote: Box::new(remote.packet) },
    }
}

impl Session for TlsSession {
    fn initial_keys(&self, dst_cid: &ConnectionId, _: Side) -> Keys {
        let keys = self.setup.initial.keys(dst_cid, rustls::Side::Client, Version::V1);
        both(keys.local, keys.remote)
    }

    /// A [`Handshake`].
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        if self.tls.is_handshaking() {
            return None;
        }
        Some(Box::new(Handshake {
            cipher: self.tls.negotiated_cipher_suite()?.suite(),
            group: self.tls.negotiated_key_exchange_group().map(|g| g.name()),
            resumed: self.tls.handshake_kind() == Some(HandshakeKind::Resumed),
            tickets: self.tls.tls13_tickets_received(),
        }))
    }

    /// The certificate chain, the server's first: `Vec<CertificateDer<'static>>`.
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let chain: Vec<_> = self.tls.peer_certificates()?.iter().map(|c| c.clone().into_owned()).collect();
        Some(Box::new(chain))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        let keys = self.tls.zero_rtt_keys()?;
        Some((Box::new(keys.header), Box::new(keys.packet)))
    }

    fn early_data_accepted(&self) -> Option<bool> {
        Some(self.tls.is_early_data_accepted())
    }

    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        if let Err(error) = self.tls.read_hs(bytes) {
            // RFC 9001 section 4.8: an alert travels as a code of QUIC's.
            let code = match self.tls.alert() {
                Some(alert) => TransportErrorCode::crypto(alert.into()),
                None => TransportErrorCode::PROTOCOL_VIOLATION,
            };
            return Err(TransportError { code, frame: None, reason: error.to_string() });
        }
        let news = !self.told && !self.tls.is_handshaking();
        self.told |= news;
        Ok(news)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Some(mut bytes) = self.tls.quic_transport_parameters() else { return Ok(None) };
        Ok(Some(TransportParameters::read(Side::Client, &mut bytes)?))
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let keys = match self.tls.write_hs(out)? {
            KeyChange::Handshake { keys } => keys,
            KeyChange::OneRtt { keys, next } => {
                self.next = Some(next);
                keys
            }
        };
        Some(both(keys.local, keys.remote))
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let keys = self.next.as_mut()?.next_packet_keys();
        Some(KeyPair { local: Box::new(keys.local), remote: Box::new(keys.remote) })
    }

    /// Rare, and the same for every connection: the library's own session knows how (RFC 9001 section 5.8).
    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        let Some(params) = self.own_parameters() else { return false };
        let session = self.setup.retry.clone().start_session(QUIC_1, "retry.invalid", &params);
        session.is_ok_and(|s| s.is_valid_retry(orig_dst_cid, header, payload))
    }

    /// Nothing here binds anything to a connection.
    fn export_keying_material(
        &self,
        _: &mut [u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

impl TlsSession {
    /// Parameters that say nothing: any will do for a session that never speaks.
    fn own_parameters(&self) -> Option<TransportParameters> {
        TransportParameters::read(Side::Client, &mut [].as_slice()).ok()
    }
}
