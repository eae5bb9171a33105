//! A rule broken by the peer: what we tell it, what we tell the caller, and how far it reaches.

use crate::code::Code;
use proto::{Error, Kind};

/// What an error ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One stream: RST_STREAM (RFC 9113 section 5.4.2).
    Stream,
    /// All: GOAWAY (section 5.4.1).
    Connection,
}

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// How far it reaches.
    pub scope: Scope,
    /// The code on the wire.
    pub code: Code,
    /// The failure as the caller sees it.
    pub error: Error,
}

impl Breach {
    pub(crate) const fn connection(code: Code, detail: &'static str) -> Breach {
        Breach { scope: Scope::Connection, code, error: Error::peer(kind_of(code), detail) }
    }
    pub(crate) const fn stream(code: Code, detail: &'static str) -> Breach {
        Breach { scope: Scope::Stream, code, error: Error::peer(kind_of(code), detail) }
    }
    /// A response head or trailer section that breaks the grammar (section 8.1.1).
    pub(crate) const fn malformed(detail: &'static str) -> Breach {
        let error = Error::peer(Kind::Head, detail);
        Breach { scope: Scope::Stream, code: Code::PROTOCOL_ERROR, error }
    }
}

const fn kind_of(code: Code) -> Kind {
    match code {
        Code::COMPRESSION_ERROR => Kind::Compression,
        Code::FLOW_CONTROL_ERROR => Kind::FlowControl,
        Code::ENHANCE_YOUR_CALM => Kind::TooLarge,
        _ => Kind::Framing,
    }
}
