//! Why the server did not start. Nothing here happens after [`crate::start`] has returned: what a client does
//! wrong is counted, never an error of the server. Read by `cli`.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why [`crate::start`] failed.
#[derive(Debug)]
pub enum StartError {
    /// The configuration names neither a clear nor a TLS address.
    NoListener,
    /// An address could not be listened on.
    Listen {
        /// The address as asked for.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The UDP port for HTTP/3, which has the number of the TLS port, could not be bound.
    ListenQuic {
        /// The address as asked for.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The certificate could not be made, read or used.
    Certificate(CertError),
    /// The field `alt-svc` holds what no field may.
    AltSvc,
    /// A thread could not be pinned.
    Pin {
        /// The CPU as asked for.
        cpu: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// A thread, or the runtime in it, could not be started.
    Thread(io::Error),
}

/// What is wrong with the certificate.
#[derive(Debug)]
pub enum CertError {
    /// The file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is not PEM.
    Pem {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: rustls_pki_types::pem::Error,
    },
    /// The file has no `CERTIFICATE` section.
    NoCertificate(PathBuf),
    /// The file has no private key section.
    NoKey(PathBuf),
    /// Chain and key do not fit each other, or the key is of an unknown kind. `None`: the certificate made at
    /// start.
    Rejected {
        /// The file, if it came from one.
        path: Option<PathBuf>,
        /// What the TLS library said.
        source: rustls::Error,
    },
    /// No certificate could be made.
    Generate(rcgen::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener => {
                write!(f, "nothing to listen on: neither a clear nor a TLS address was given")
            }
            Self::Listen { addr, source } => write!(f, "cannot listen on {addr}: {source}"),
            Self::ListenQuic { addr, source } => {
                write!(f, "cannot listen on {addr} over UDP, for HTTP/3: {source}")
            }
            Self::Certificate(error) => error.fmt(f),
            Self::AltSvc => write!(f, "the field alt-svc cannot hold what it was given"),
            Self::Pin { cpu, source } => write!(f, "cannot pin a thread to CPU {cpu}: {source}"),
            Self::Thread(source) => write!(f, "cannot start a server thread: {source}"),
        }
    }
}

impl fmt::Display for CertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "cannot read certificate file {}: {source}", path.display())
            }
            Self::Pem { path, source } => write!(f, "{} is not a PEM file: {source}", path.display()),
            Self::NoCertificate(path) => {
                write!(f, "{} has no certificate (no PEM section labelled CERTIFICATE)", path.display())
            }
            Self::NoKey(path) => {
                write!(f, "{} has no private key (no PEM section labelled PRIVATE KEY)", path.display())
            }
            Self::Rejected { path: Some(path), source } => {
                write!(f, "certificate and key of {} cannot be used: {source}", path.display())
            }
            Self::Rejected { path: None, source } => {
                write!(f, "the certificate made at start cannot be used: {source}")
            }
            Self::Generate(source) => write!(f, "cannot make a certificate: {source}"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoListener | Self::AltSvc => None,
            Self::Listen { source, .. }
            | Self::ListenQuic { source, .. }
            | Self::Pin { source, .. }
            | Self::Thread(source) => Some(source),
            Self::Certificate(error) => error.source(),
        }
    }
}

impl Error for CertError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Pem { source, .. } => Some(source),
            Self::Rejected { source, .. } => Some(source),
            Self::Generate(source) => Some(source),
            Self::NoCertificate(_) | Self::NoKey(_) => None,
        }
    }
}

impl From<CertError> for StartError {
    fn from(error: CertError) -> Self {
        Self::Certificate(error)
    }
}
