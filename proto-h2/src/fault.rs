//! A rule broken by the peer: what we tell it, what we tell the caller, and how far it reaches.

use crate::code::Code;
use crate::hpack;
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
    const fn compression(error: hpack::Error) -> Breach {
        Breach::connection(Code::COMPRESSION_ERROR, error.detail())
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

/// An HPACK error.
#[cold]
pub(crate) fn compression(error: hpack::Error) -> &'static Breach {
    static TRUNCATED: Breach = Breach::compression(hpack::Error::Truncated);
    static INTEGER: Breach = Breach::compression(hpack::Error::Integer);
    static INDEX: Breach = Breach::compression(hpack::Error::Index);
    static HUFFMAN: Breach = Breach::compression(hpack::Error::Huffman);
    static TABLE_SIZE: Breach = Breach::compression(hpack::Error::TableSize);
    match error {
        hpack::Error::Truncated => &TRUNCATED,
        hpack::Error::Integer => &INTEGER,
        hpack::Error::Index => &INDEX,
        hpack::Error::Huffman => &HUFFMAN,
        hpack::Error::TableSize => &TABLE_SIZE,
    }
}

// Every rule that a peer can break, in the order of the code. They are statics, so that a result is one pointer.
pub(crate) static HTTP1: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "the server answers in HTTP/1, not HTTP/2");
pub(crate) static NO_PREFACE: Breach = Breach::connection(
    Code::PROTOCOL_ERROR,
    "the server does not begin with SETTINGS (RFC 9113 section 3.4)",
);
pub(crate) static BAD_PADDING: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "padding longer than its frame (RFC 9113 section 6.1)");
pub(crate) static FRAME_TOO_LARGE: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "frame larger than announced (RFC 9113 section 4.2)");
pub(crate) static STREAM_MISSING: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "frame needs a stream (RFC 9113 section 6)");
pub(crate) static STREAM_NOT_ALLOWED: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "frame belongs to no stream (RFC 9113 section 6)");
pub(crate) static DATA_TOO_SHORT: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "DATA without its padding length (RFC 9113 section 6.1)");
pub(crate) static HEADERS_TOO_SHORT: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "HEADERS without its fixed part (RFC 9113 section 6.2)");
pub(crate) static PRIORITY_SIZE: Breach =
    Breach::stream(Code::FRAME_SIZE_ERROR, "PRIORITY not of 5 bytes (RFC 9113 section 6.3)");
pub(crate) static RST_STREAM_SIZE: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "RST_STREAM not of 4 bytes (RFC 9113 section 6.4)");
pub(crate) static SETTINGS_ACK_SIZE: Breach = Breach::connection(
    Code::FRAME_SIZE_ERROR,
    "SETTINGS acknowledgement with content (RFC 9113 section 6.5)",
);
pub(crate) static SETTINGS_SIZE: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "SETTINGS not of 6 bytes each (RFC 9113 section 6.5)");
pub(crate) static SETTINGS_TOO_MANY: Breach =
    Breach::connection(Code::ENHANCE_YOUR_CALM, "too many settings in one frame");
pub(crate) static PUSH: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "PUSH_PROMISE though push is off (RFC 9113 section 8.4)");
pub(crate) static PING_SIZE: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "PING not of 8 bytes (RFC 9113 section 6.7)");
pub(crate) static GOAWAY_SIZE: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "GOAWAY of fewer than 8 bytes (RFC 9113 section 6.8)");
pub(crate) static WINDOW_UPDATE_SIZE: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "WINDOW_UPDATE not of 4 bytes (RFC 9113 section 6.9)");
pub(crate) static FRAME_TOO_SHORT: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "frame shorter than its kind needs (RFC 9113 section 4.2)");
pub(crate) static PADDING_MISSING: Breach =
    Breach::connection(Code::FRAME_SIZE_ERROR, "frame without its padding length");
pub(crate) static ENABLE_PUSH: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "a server enables push (RFC 9113 section 6.5.2)");
pub(crate) static INITIAL_WINDOW: Breach =
    Breach::connection(Code::FLOW_CONTROL_ERROR, "initial window above 2^31-1 (RFC 9113 section 6.5.2)");
pub(crate) static MAX_FRAME_SIZE: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "illegal frame size (RFC 9113 section 6.5.2)");
pub(crate) static CONNECT_PROTOCOL: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "illegal value (RFC 8441 section 3)");
pub(crate) static NO_PRIORITIES: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "illegal value (RFC 9218 section 2.1)");
pub(crate) static CONNECTION_WINDOW: Breach = Breach::connection(
    Code::FLOW_CONTROL_ERROR,
    "more data than the connection's window (RFC 9113 section 6.9.1)",
);
pub(crate) static BLOCK_INTERRUPTED: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "header block interrupted (RFC 9113 section 6.2)");
pub(crate) static CONTINUATION_ALONE: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "CONTINUATION without HEADERS (RFC 9113 section 6.10)");
pub(crate) static BLOCK_TOO_LARGE: Breach =
    Breach::connection(Code::ENHANCE_YOUR_CALM, "header block too large");
pub(crate) static FLOOD: Breach =
    Breach::connection(Code::ENHANCE_YOUR_CALM, "flood of frames that carry nothing (RFC 9113 section 10.5)");
pub(crate) static ACKS_PENDING: Breach = Breach::connection(
    Code::ENHANCE_YOUR_CALM,
    "too many acknowledgements wait to be sent (RFC 9113 section 10.5)",
);
pub(crate) static CONTINUATIONS: Breach =
    Breach::connection(Code::ENHANCE_YOUR_CALM, "too many CONTINUATION frames");
pub(crate) static HEADERS_IDLE: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "HEADERS on a stream never opened (RFC 9113 section 5.1)");
pub(crate) static NO_STATUS: Breach = Breach::malformed("response without :status (RFC 9113 section 8.3.2)");
pub(crate) static INFORMATIONAL_END: Breach =
    Breach::malformed("1xx that ends the stream (RFC 9113 section 8.1)");
pub(crate) static SWITCHING_PROTOCOLS: Breach = Breach::malformed("101 in HTTP/2 (RFC 9113 section 8.6)");
pub(crate) static INFORMATIONAL_FLOOD: Breach =
    Breach::stream(Code::ENHANCE_YOUR_CALM, "too many 1xx responses");
pub(crate) static TRAILERS_PSEUDO: Breach =
    Breach::malformed("pseudo field in trailers (RFC 9113 section 8.1)");
pub(crate) static TRAILERS_OPEN: Breach =
    Breach::malformed("trailers that do not end the stream (RFC 9113 section 8.1)");
pub(crate) static WRONG_LENGTH: Breach =
    Breach::stream(Code::PROTOCOL_ERROR, "content differs from content-length (RFC 9113 section 8.1.1)");
pub(crate) static AFTER_END: Breach =
    Breach::connection(Code::STREAM_CLOSED, "frame after the end of its stream (RFC 9113 section 5.1)");
pub(crate) static DATA_IDLE: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "DATA on a stream never opened (RFC 9113 section 5.1)");
pub(crate) static DATA_BEFORE_HEAD: Breach =
    Breach::stream(Code::PROTOCOL_ERROR, "DATA before the response head (RFC 9113 section 8.1)");
pub(crate) static STREAM_WINDOW: Breach =
    Breach::stream(Code::FLOW_CONTROL_ERROR, "more data than the stream's window (RFC 9113 section 6.9.1)");
pub(crate) static CONTENT_NOT_ALLOWED: Breach =
    Breach::stream(Code::PROTOCOL_ERROR, "content in a response that has none (RFC 9110 section 6.4.1)");
pub(crate) static INITIAL_WINDOW_OVERFLOW: Breach = Breach::connection(
    Code::FLOW_CONTROL_ERROR,
    "initial window takes a stream's above 2^31-1 (RFC 9113 section 6.9.2)",
);
pub(crate) static WINDOW_UPDATE_ZERO_CONNECTION: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "WINDOW_UPDATE of zero (RFC 9113 section 6.9)");
pub(crate) static SEND_WINDOW_CONNECTION: Breach =
    Breach::connection(Code::FLOW_CONTROL_ERROR, "window above 2^31-1 (RFC 9113 section 6.9.1)");
pub(crate) static WINDOW_UPDATE_IDLE: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "WINDOW_UPDATE on a stream never opened (RFC 9113 section 5.1)");
pub(crate) static WINDOW_UPDATE_ZERO_STREAM: Breach =
    Breach::stream(Code::PROTOCOL_ERROR, "WINDOW_UPDATE of zero (RFC 9113 section 6.9)");
pub(crate) static SEND_WINDOW_STREAM: Breach =
    Breach::stream(Code::FLOW_CONTROL_ERROR, "window above 2^31-1 (RFC 9113 section 6.9.1)");
pub(crate) static RST_STREAM_IDLE: Breach =
    Breach::connection(Code::PROTOCOL_ERROR, "RST_STREAM on a stream never opened (RFC 9113 section 6.4)");
pub(crate) static GOAWAY_GREW: Breach = Breach::connection(
    Code::PROTOCOL_ERROR,
    "GOAWAY with a larger last stream than before (RFC 9113 section 6.8)",
);
pub(crate) static FIELD_VALUE: Breach =
    Breach::malformed("illegal byte in a field value (RFC 9113 section 8.2.1)");
pub(crate) static PSEUDO_UNKNOWN: Breach =
    Breach::malformed("unknown pseudo field in a response (RFC 9113 section 8.3)");
pub(crate) static FIELD_FORBIDDEN: Breach =
    Breach::malformed("connection-specific field (RFC 9113 section 8.2.2)");
pub(crate) static FIELD_NAME: Breach = Breach::malformed("illegal field name (RFC 9113 section 8.2.1)");
pub(crate) static PSEUDO_LATE: Breach =
    Breach::malformed("pseudo field after a regular one (RFC 9113 section 8.3)");
pub(crate) static STATUS_TWICE: Breach = Breach::malformed("two :status fields (RFC 9113 section 8.3)");
pub(crate) static STATUS_ILLEGAL: Breach = Breach::malformed("illegal :status (RFC 9113 section 8.3.2)");
pub(crate) static LENGTH_ILLEGAL: Breach = Breach::malformed("illegal content-length (RFC 9110 section 8.6)");
pub(crate) static LENGTH_TWICE: Breach =
    Breach::malformed("two content-lengths that differ (RFC 9110 section 8.6)");
pub(crate) static LIST_TOO_LARGE: Breach =
    Breach::stream(Code::ENHANCE_YOUR_CALM, "header list larger than the limit");
