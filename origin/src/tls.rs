//! TLS settings of the server: TLS 1.2 and 1.3, tickets on, HTTP/2 and HTTP/1.1 by ALPN. The only file that
//! sets up rustls. Called by `server.rs`.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio_rustls::TlsAcceptor;

use crate::cert::{self, Identity};
use crate::error::CertError;

/// What accepts TLS connections, and the certificate in PEM for those who are to trust it.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
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
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(rejected)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Stateless tickets: any thread resumes what any other began, and no cache is shared between them.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(rejected)?;
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem: pem })
}
