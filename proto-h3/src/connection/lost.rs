//! Why QUIC gave up, in the words of the contract.

use crate::code::Code;
use proto::{CloseReason, Error, Kind};
use quinn_proto::ConnectionError;

/// What a lost connection means to its requests and as a whole.
pub(super) struct Lost {
    pub(super) error: Error,
    pub(super) reason: CloseReason,
}

/// TLS alerts as QUIC carries them (RFC 9001 section 4.8).
const CRYPTO: std::ops::Range<u64> = 0x100..0x200;
/// CONNECTION_REFUSED (RFC 9000 section 20.1).
const REFUSED: u64 = 0x2;
/// FLOW_CONTROL_ERROR.
const FLOW_CONTROL: u64 = 0x3;

/// What failed in TLS, by its alert (RFC 8446 section 6.2, RFC 7301 section 3.2).
fn alert(code: u64) -> &'static str {
    match code - CRYPTO.start {
        42..=46 | 48 => "the server's certificate does not hold",
        120 => "the server does not speak h3 (ALPN)",
        _ => "the TLS handshake failed",
    }
}

/// Sorts the reason; `connected`: the handshake was over, `idle`: no request was in flight.
pub(super) fn sort(reason: &ConnectionError, connected: bool, idle: bool) -> Lost {
    let error = match reason {
        ConnectionError::VersionMismatch => {
            Error::peer(Kind::Connect, "the server speaks no QUIC version of ours (RFC 9000 section 6)")
        }
        ConnectionError::TransportError(e) => match u64::from(e.code) {
            code if CRYPTO.contains(&code) => Error::peer(Kind::Tls, alert(code)),
            FLOW_CONTROL => {
                Error::peer(Kind::FlowControl, "a QUIC flow-control rule broken (RFC 9000 section 4)")
            }
            _ => Error::peer(Kind::Framing, "a QUIC rule broken (RFC 9000 section 20.1)"),
        },
        ConnectionError::ConnectionClosed(close) => match u64::from(close.error_code) {
            code if CRYPTO.contains(&code) => Error::peer(Kind::Tls, "the server refused in TLS"),
            REFUSED => Error::peer(Kind::Connect, "the server refused the connection"),
            0 => Error::network(Kind::Closed, "the server closed the connection"),
            _ => Error::peer(Kind::Reset, "the server's QUIC gave up the connection"),
        },
        ConnectionError::ApplicationClosed(close) => match Code(close.error_code.into_inner()) {
            Code::NO_ERROR => Error::network(Kind::Closed, "the server closed the connection"),
            code => Error::peer(Kind::GoAway(code.short()), "the server closed the connection with an error"),
        },
        ConnectionError::Reset => {
            Error::network(Kind::Reset, "the server no longer knows the connection (RFC 9000 section 10.3)")
        }
        ConnectionError::TimedOut if connected => {
            Error::network(Kind::Timeout, "nothing came for the idle timeout (RFC 9000 section 10.1)")
        }
        ConnectionError::TimedOut => Error::network(Kind::Connect, "no answer to the QUIC handshake"),
        ConnectionError::LocallyClosed => Error::local(Kind::Cancelled, "closed by the caller"),
        ConnectionError::CidsExhausted => Error::local(Kind::Unsendable, "no connection id is left"),
    };
    // A close without error, or silence while nothing was asked, is how connections end.
    let quiet = matches!(error.kind, Kind::Closed | Kind::Timeout);
    let reason = if connected && idle && quiet { CloseReason::Graceful } else { CloseReason::Error(error) };
    Lost { error, reason }
}
