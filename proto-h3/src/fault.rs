//! A rule broken by the peer: what we tell it, what we tell the caller, and how far it reaches.

use crate::code::Code;
use crate::qpack;
use proto::{Error, Kind};
use proto_h2::head::Malformed;

/// What an error ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One stream: RESET_STREAM and STOP_SENDING (RFC 9114 section 8).
    Stream,
    /// All: CONNECTION_CLOSE.
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
    const fn connection(code: Code, detail: &'static str) -> Breach {
        Breach { scope: Scope::Connection, code, error: Error::peer(kind_of(code), detail) }
    }
    /// A response that breaks the grammar (section 4.1.2).
    const fn malformed(detail: &'static str) -> Breach {
        let error = Error::peer(Kind::Head, detail);
        Breach { scope: Scope::Stream, code: Code::MESSAGE_ERROR, error }
    }
    /// A response whose content breaks a rule.
    const fn content(detail: &'static str) -> Breach {
        let error = Error::peer(Kind::Framing, detail);
        Breach { scope: Scope::Stream, code: Code::MESSAGE_ERROR, error }
    }
    /// No rule broken: the server will not do in early data what it would do later.
    const fn refused(detail: &'static str) -> Breach {
        let error = Error::peer(Kind::Status, detail);
        Breach { scope: Scope::Stream, code: Code::REQUEST_CANCELLED, error }
    }
    const fn too_much(detail: &'static str) -> Breach {
        let error = Error::peer(Kind::TooLarge, detail);
        Breach { scope: Scope::Stream, code: Code::EXCESSIVE_LOAD, error }
    }
}

const fn kind_of(code: Code) -> Kind {
    match code {
        Code::QPACK_DECOMPRESSION_FAILED
        | Code::QPACK_ENCODER_STREAM_ERROR
        | Code::QPACK_DECODER_STREAM_ERROR => Kind::Compression,
        Code::EXCESSIVE_LOAD => Kind::TooLarge,
        _ => Kind::Framing,
    }
}

/// Declares the breach of each QPACK error in one place of the protocol.
macro_rules! compression {
    ($(#[$doc:meta])* $name:ident, $code:expr) => {
        $(#[$doc])*
        #[cold]
        pub(crate) fn $name(error: qpack::Error) -> &'static Breach {
            use qpack::Error::*;
            static ALL: [Breach; 9] = [
                Breach::connection($code, Truncated.detail()),
                Breach::connection($code, Integer.detail()),
                Breach::connection($code, Index.detail()),
                Breach::connection($code, Huffman.detail()),
                Breach::connection($code, Prefix.detail()),
                Breach::connection($code, Capacity.detail()),
                Breach::connection($code, TooLarge.detail()),
                Breach::connection($code, Acknowledgement.detail()),
                Breach::connection($code, Blocked.detail()),
            ];
            &ALL[error as usize]
        }
    };
}
compression!(
    /// An error in a field section.
    decompression, Code::QPACK_DECOMPRESSION_FAILED
);
compression!(
    /// An error on the peer's encoder stream.
    encoder_stream, Code::QPACK_ENCODER_STREAM_ERROR
);
compression!(
    /// An error on the peer's decoder stream.
    decoder_stream, Code::QPACK_DECODER_STREAM_ERROR
);

/// The rule of HTTP/3 that a malformed head breaks.
#[cold]
pub(crate) fn of_head(malformed: Malformed) -> &'static Breach {
    match malformed {
        Malformed::Value => &FIELD_VALUE,
        Malformed::Pseudo => &PSEUDO_UNKNOWN,
        Malformed::Forbidden => &FIELD_FORBIDDEN,
        Malformed::Name => &FIELD_NAME,
        Malformed::PseudoLate => &PSEUDO_LATE,
        Malformed::StatusTwice => &STATUS_TWICE,
        Malformed::Status => &STATUS_ILLEGAL,
        Malformed::Length => &LENGTH_ILLEGAL,
        Malformed::LengthTwice => &LENGTH_TWICE,
        Malformed::TooLarge => &LIST_TOO_LARGE,
    }
}

/// Makes the statics: every rule that a peer can break, so that a result is one pointer.
macro_rules! breaches {
    ($($name:ident = $make:ident($($code:ident,)? $detail:literal);)*) => {
        $(pub(crate) static $name: Breach = Breach::$make($(Code::$code,)? $detail);)*
    };
}
breaches! {
    // Streams.
    SECOND_CONTROL = connection(STREAM_CREATION_ERROR, "a second control stream (RFC 9114 section 6.2.1)");
    SECOND_QPACK = connection(STREAM_CREATION_ERROR, "a second QPACK stream of its kind (RFC 9204 section 4.2)");
    PUSH_STREAM = connection(ID_ERROR, "a push stream though push was never allowed (RFC 9114 section 4.6)");
    CRITICAL_CLOSED = connection(CLOSED_CRITICAL_STREAM, "a control or QPACK stream was closed (RFC 9114 section 6.2.1)");
    // Frames.
    TRUNCATED = connection(FRAME_ERROR, "a stream ends within a frame (RFC 9114 section 7.1)");
    FRAME_SIZE = connection(FRAME_ERROR, "a frame whose fields do not fill it (RFC 9114 section 7.1)");
    HTTP2_FRAME = connection(FRAME_UNEXPECTED, "a frame type that HTTP/3 reserves (RFC 9114 section 7.2.8)");
    NOT_ON_REQUEST = connection(FRAME_UNEXPECTED, "a control frame on a request stream (RFC 9114 section 7.2)");
    NOT_ON_CONTROL = connection(FRAME_UNEXPECTED, "a frame that does not belong on a control stream (RFC 9114 section 7.2)");
    CLIENT_FRAME = connection(FRAME_UNEXPECTED, "a frame that only clients send (RFC 9114 section 7.2.7)");
    PUSH_PROMISE = connection(ID_ERROR, "PUSH_PROMISE though push was never allowed (RFC 9114 section 7.2.5)");
    CANCEL_PUSH = connection(ID_ERROR, "CANCEL_PUSH of a push never promised (RFC 9114 section 7.2.3)");
    MISSING_SETTINGS = connection(MISSING_SETTINGS, "the control stream does not begin with SETTINGS (RFC 9114 section 6.2.1)");
    SECOND_SETTINGS = connection(FRAME_UNEXPECTED, "a second SETTINGS frame (RFC 9114 section 7.2.4)");
    SETTINGS_HTTP2 = connection(SETTINGS_ERROR, "a setting that HTTP/3 reserves (RFC 9114 section 7.2.4.1)");
    SETTINGS_TWICE = connection(SETTINGS_ERROR, "a setting twice (RFC 9114 section 7.2.4)");
    SETTINGS_VALUE = connection(SETTINGS_ERROR, "a setting that must be 0 or 1 (RFC 9220 section 3, RFC 9297 section 2.1.1)");
    CONTROL_TOO_LARGE = connection(EXCESSIVE_LOAD, "a frame on the control stream too large");
    GOAWAY_ID = connection(ID_ERROR, "GOAWAY with the id of no request (RFC 9114 section 7.2.6)");
    GOAWAY_GREW = connection(ID_ERROR, "GOAWAY with a larger id than before (RFC 9114 section 5.2)");
    FLOOD = connection(EXCESSIVE_LOAD, "flood of frames that carry nothing (RFC 9114 section 10.5)");
    TOO_MANY_BLOCKED = connection(QPACK_DECOMPRESSION_FAILED, "more blocked streams than announced (RFC 9204 section 2.1.2)");
    DATA_BEFORE_HEAD = connection(FRAME_UNEXPECTED, "DATA before the response head (RFC 9114 section 4.1)");
    AFTER_TRAILERS = connection(FRAME_UNEXPECTED, "DATA or HEADERS after the trailers (RFC 9114 section 4.1)");
    // Messages.
    BLOCK_TOO_LARGE = too_much("header section too large");
    LIST_TOO_LARGE = too_much("response head too large (RFC 9114 section 4.2.2)");
    INFORMATIONAL_FLOOD = too_much("too many 1xx responses");
    NO_HEAD = malformed("the stream ends before the response head (RFC 9114 section 4.1)");
    NO_STATUS = malformed("response without :status (RFC 9114 section 4.3.2)");
    SWITCHING_PROTOCOLS = malformed("101 in HTTP/3 (RFC 9114 section 4.5)");
    TRAILERS_PSEUDO = malformed("pseudo field in trailers (RFC 9114 section 4.3)");
    FIELD_VALUE = malformed("illegal field value (RFC 9114 section 10.3)");
    FIELD_NAME = malformed("illegal field name (RFC 9114 section 4.2)");
    FIELD_FORBIDDEN = malformed("connection-specific field (RFC 9114 section 4.2)");
    PSEUDO_UNKNOWN = malformed("a pseudo field that no response has (RFC 9114 section 4.3)");
    PSEUDO_LATE = malformed("pseudo field after another field (RFC 9114 section 4.3)");
    STATUS_TWICE = malformed(":status twice (RFC 9114 section 4.3.2)");
    STATUS_ILLEGAL = malformed("illegal :status (RFC 9110 section 15)");
    LENGTH_ILLEGAL = malformed("illegal content-length (RFC 9110 section 8.6)");
    LENGTH_TWICE = malformed("content-length twice and different (RFC 9110 section 8.6)");
    WRONG_LENGTH = content("content differs from content-length (RFC 9114 section 4.1.2)");
    TOO_EARLY = refused("425 to a request in early data (RFC 8470 section 5.2)");
    CONTENT_NOT_ALLOWED = content("content in a response that has none (RFC 9110 section 6.4.1)");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_compression_error_has_its_own_words() {
        for e in [qpack::Error::Truncated, qpack::Error::Index, qpack::Error::Blocked] {
            assert_eq!(decompression(e).error.detail, e.detail());
            assert_eq!(encoder_stream(e).code, Code::QPACK_ENCODER_STREAM_ERROR);
            assert_eq!(decoder_stream(e).error.kind, Kind::Compression);
        }
    }
}
