//! Why QUIC gave up, in the words of the contract.

use crate::code::Code;
use proto::{CloseReason, Error, Kind};
use proto_quic::Lost as Reason;

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
pub(super) fn sort(reason: &Reason, connected: bool, idle: bool) -> Lost {
    let error = match reason {
        Reason::VersionMismatch => {
            Error::peer(Kind::Connect, "the server speaks no QUIC version of ours (RFC 9000 section 6)")
        }
        Reason::Transport { code, .. } => match *code {
            code if CRYPTO.contains(&code) => Error::peer(Kind::Tls, alert(code)),
            FLOW_CONTROL => {
                Error::peer(Kind::FlowControl, "a QUIC flow-control rule broken (RFC 9000 section 4)")
            }
            _ => Error::peer(Kind::Framing, "a QUIC rule broken (RFC 9000 section 20.1)"),
        },
        Reason::ClosedByTransport { code, .. } => match *code {
            code if CRYPTO.contains(&code) => Error::peer(Kind::Tls, "the server refused in TLS"),
            REFUSED => Error::peer(Kind::Connect, "the server refused the connection"),
            0 => Error::network(Kind::Closed, "the server closed the connection"),
            _ => Error::peer(Kind::Reset, "the server's QUIC gave up the connection"),
        },
        Reason::ClosedByApplication { code, .. } => match Code(*code) {
            Code::NO_ERROR => Error::network(Kind::Closed, "the server closed the connection"),
            code => Error::peer(Kind::GoAway(code.short()), "the server closed the connection with an error"),
        },
        Reason::Reset => {
            Error::network(Kind::Reset, "the server no longer knows the connection (RFC 9000 section 10.3)")
        }
        Reason::TimedOut if connected => {
            Error::network(Kind::Timeout, "nothing came for the idle timeout (RFC 9000 section 10.1)")
        }
        Reason::TimedOut => Error::network(Kind::Connect, "no answer to the QUIC handshake"),
        Reason::ClosedLocally => Error::local(Kind::Cancelled, "closed by the caller"),
    };
    // A close without error, or silence while nothing was asked, is how connections end.
    let quiet = matches!(error.kind, Kind::Closed | Kind::Timeout);
    let reason = if connected && idle && quiet { CloseReason::Graceful } else { CloseReason::Error(error) };
    Lost { error, reason }
}
