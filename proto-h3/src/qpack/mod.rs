//! Field compression (RFC 9204): a decoder with the dynamic table, and the literal forms that requests are written in.
//! Knows nothing of frames and streams beyond their ids. Huffman code, field classes and table are HPACK's, from
//! `proto_h2`.

mod decoder;
mod encoder;
mod integer;
mod peer;
mod static_table;

pub use decoder::Decoder;
pub(crate) use decoder::Section;
pub use encoder::{put_field, put_name, put_prefix};
pub(crate) use peer::PeerDecoder;

/// What is wrong with a field section or with the instructions of a QPACK stream. All but [`Error::Blocked`] end the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It ends within a field line. On the encoder stream: never, the rest is waited for.
    Truncated,
    /// An integer beyond 62 bits (section 4.1.1).
    Integer,
    /// An index into neither table, to an evicted entry, or beyond what the section said it needs (section 2.2.3).
    Index,
    /// Huffman padding longer than seven bits or not of ones, or EOS (RFC 7541 section 5.2).
    Huffman,
    /// A Required Insert Count or Base that no encoder can mean (section 4.5.1).
    Prefix,
    /// A capacity above what was announced (section 4.3.1).
    Capacity,
    /// An entry that does not fit into the table, or a string longer than anything accepted (sections 3.2.2 and 7.4).
    TooLarge,
    /// An acknowledgement of what was never sent (section 4.4).
    Acknowledgement,
    /// Not an error: the section needs insertions that have not come yet (section 2.1.2). Nothing was told and nothing
    /// changed; to be decoded again after more of the encoder stream.
    Blocked,
}

impl Error {
    /// For people.
    pub const fn detail(self) -> &'static str {
        match self {
            Error::Truncated => "field section ends within a line (RFC 9204 section 4.5)",
            Error::Integer => "integer too large (RFC 9204 section 4.1.1)",
            Error::Index => "reference to no entry (RFC 9204 section 2.2.3)",
            Error::Huffman => "illegal Huffman padding or EOS (RFC 7541 section 5.2)",
            Error::Prefix => "illegal Required Insert Count or Base (RFC 9204 section 4.5.1)",
            Error::Capacity => "table capacity above what was announced (RFC 9204 section 4.3.1)",
            Error::TooLarge => "string or entry too large (RFC 9204 section 3.2.2)",
            Error::Acknowledgement => "acknowledgement of what was not sent (RFC 9204 section 4.4)",
            Error::Blocked => "field section waits for the encoder stream (RFC 9204 section 2.1.2)",
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for Error {}
