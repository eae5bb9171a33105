//! The names of classes in results. They are part of the JSON format: never change one.

use proto::{Fault, Kind};

/// `peer`, `network`, `local`.
pub(crate) fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::Peer => "peer",
        Fault::Network => "network",
        Fault::Local => "local",
    }
}

/// The class of a failure; what carries a code has it in brackets.
pub(crate) fn kind(kind: Kind) -> String {
    match kind {
        Kind::Connect => "connect".into(),
        Kind::Tls => "tls".into(),
        Kind::Head => "head".into(),
        Kind::Framing => "framing".into(),
        Kind::Compression => "compression".into(),
        Kind::FlowControl => "flow_control".into(),
        Kind::TooLarge => "too_large".into(),
        Kind::Unsolicited => "unsolicited".into(),
        Kind::Closed => "closed".into(),
        Kind::Truncated => "truncated".into(),
        Kind::Reset => "reset".into(),
        Kind::StreamReset(code) => format!("stream_reset({code})"),
        Kind::GoAway(code) => format!("goaway({code})"),
        Kind::Timeout => "timeout".into(),
        Kind::Status => "status".into(),
        Kind::Cancelled => "cancelled".into(),
        Kind::Unsendable => "unsendable".into(),
        _ => "other".into(),
    }
}
