//! Why a connection ended, or could not begin.

use std::fmt;

/// Not a server name that TLS can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadServerName;

impl fmt::Display for BadServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a server name that TLS can use")
    }
}

impl std::error::Error for BadServerName {}

/// Why a connection is lost. `Display` says it in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The server speaks no version of ours (RFC 9000 section 6).
    VersionMismatch,
    /// The server broke a rule, or TLS failed on our side; we closed with this code (RFC 9000 section 20.1).
    Transport {
        /// The code sent.
        code: u64,
        /// What was wrong.
        reason: String,
    },
    /// The server's QUIC closed it (CONNECTION_CLOSE of type 0x1c).
    ClosedByTransport {
        /// The code received.
        code: u64,
        /// The server's words.
        reason: String,
    },
    /// The server's application closed it (CONNECTION_CLOSE of type 0x1d).
    ClosedByApplication {
        /// The code received.
        code: u64,
        /// The server's words.
        reason: String,
    },
    /// A stateless reset (RFC 9000 section 10.3).
    Reset,
    /// The idle timeout, or no answer to the handshake.
    TimedOut,
    /// [`crate::Connection::close`].
    ClosedLocally,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::VersionMismatch => f.write_str("peer doesn't implement any supported version"),
            Lost::Transport { code, reason } => write!(f, "{}: {reason}", Code(*code)),
            Lost::ClosedByTransport { code, reason } if reason.is_empty() => {
                write!(f, "closed by peer: {}", Code(*code))
            }
            Lost::ClosedByTransport { code, reason } => {
                write!(f, "closed by peer: {}: {reason}", Code(*code))
            }
            Lost::ClosedByApplication { code, reason } if reason.is_empty() => {
                write!(f, "closed by peer: {code}")
            }
            Lost::ClosedByApplication { code, reason } => write!(f, "closed by peer: {reason} (code {code})"),
            Lost::Reset => f.write_str("reset by peer"),
            Lost::TimedOut => f.write_str("timed out"),
            Lost::ClosedLocally => f.write_str("closed"),
        }
    }
}

/// A transport code's name (RFC 9000 section 20.1).
struct Code(u64);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0x0 => "no error",
            0x1 => "internal error",
            0x2 => "connection refused",
            0x3 => "flow control error",
            0x4 => "stream limit error",
            0x5 => "stream state error",
            0x6 => "final size error",
            0x7 => "frame encoding error",
            0x8 => "transport parameter error",
            0x9 => "connection id limit error",
            0xa => "protocol violation",
            0xb => "invalid token",
            0xc => "application error",
            0xd => "crypto buffer exceeded",
            0xe => "key update error",
            0xf => "AEAD limit reached",
            0x10 => "no viable path",
            0x100..0x200 => return write!(f, "the cryptographic handshake failed: error {}", self.0 - 0x100),
            code => return write!(f, "unknown error {code:#x}"),
        };
        f.write_str(name)
    }
}

/// A rule broken, with the code that closes the connection (RFC 9000 section 20.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) code: u64,
    pub(crate) reason: std::borrow::Cow<'static, str>,
}

impl Violation {
    pub(crate) const fn new(code: u64, reason: &'static str) -> Violation {
        Violation { code, reason: std::borrow::Cow::Borrowed(reason) }
    }
}

/// The codes that we close with (RFC 9000 section 20.1).
pub(crate) mod code {
    pub(crate) const INTERNAL: u64 = 0x1;
    pub(crate) const FLOW_CONTROL: u64 = 0x3;
    pub(crate) const STREAM_LIMIT: u64 = 0x4;
    pub(crate) const STREAM_STATE: u64 = 0x5;
    pub(crate) const FINAL_SIZE: u64 = 0x6;
    pub(crate) const FRAME_ENCODING: u64 = 0x7;
    pub(crate) const TRANSPORT_PARAMETER: u64 = 0x8;
    pub(crate) const CONNECTION_ID_LIMIT: u64 = 0x9;
    pub(crate) const PROTOCOL_VIOLATION: u64 = 0xa;
    pub(crate) const APPLICATION: u64 = 0xc;
    pub(crate) const CRYPTO_BUFFER_EXCEEDED: u64 = 0xd;
    pub(crate) const KEY_UPDATE: u64 = 0xe;
    pub(crate) const AEAD_LIMIT_REACHED: u64 = 0xf;
}
