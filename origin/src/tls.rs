//! TLS settings of the server: over TCP TLS 1.2 and 1.3, tickets on, HTTP/2 and HTTP/1.1 by ALPN; over QUIC TLS
//! 1.3, sessions and early data, HTTP/3. The only file that sets up rustls. Called by `server.rs`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quinn::crypto::rustls::QuicServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::{ServerConfig, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::cert::{self, Identity};
use crate::error::CertError;
use crate::limits::QUIC_SESSIONS;

/// What accepts TLS connections, and the certificate in PEM for those who are to trust it.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) quic: QuicServerConfig,
    /// QUIC handshakes that resumed a session.
    pub(crate) resumed: Arc<AtomicU64>,
    pub(crate) ca_pem: String,
}

/// Sets up TLS with the certificate of `file`, or with a new one.
pub(crate) fn set_up(file: Option<&Path>) -> Result<Tls, CertError> {
    let Identity { chain, key, pem } = match file {
        Some(path) => cert::load(path)?,
        None => cert::generate()?,
    };
    let rejected = |source| CertError::Rejected { path: file.map(Path::to_path_buf), source };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let resumed = Arc::new(AtomicU64::new(0));
    let quic = set_up_quic(&provider, &chain, &key, resumed.clone()).map_err(rejected)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(rejected)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Stateless tickets: any thread resumes what any other began, and no cache is shared between them.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(rejected)?;
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), quic, resumed, ca_pem: pem })
}

fn set_up_quic(
    provider: &Arc<CryptoProvider>,
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    resumed: Arc<AtomicU64>,
) -> Result<QuicServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain.to_vec(), key.clone_key())?;
    config.alpn_protocols = vec![b"h3".to_vec()];
    // Kept here and used once, not in tickets: rustls takes early data only for a session that cannot be
    // replayed (RFC 8446 section 8.1). All or none of it is the choice that QUIC leaves (RFC 9001 section 4.6.1).
    config.session_storage =
        Arc::new(CountedSessions { kept: ServerSessionMemoryCache::new(QUIC_SESSIONS), resumed });
    config.max_early_data_size = u32::MAX;
    QuicServerConfig::try_from(config)
        .map_err(|_| rustls::Error::General("no cipher for QUIC's first packets".into()))
}

/// Counts the sessions that are taken up again: quinn does not tell which handshakes did.
#[derive(Debug)]
struct CountedSessions {
    kept: Arc<ServerSessionMemoryCache>,
    resumed: Arc<AtomicU64>,
}

impl StoresServerSessions for CountedSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.kept.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let taken = self.kept.take(key);
        self.resumed.fetch_add(taken.is_some().into(), Relaxed);
        taken
    }

    fn can_cache(&self) -> bool {
        self.kept.can_cache()
    }
}
