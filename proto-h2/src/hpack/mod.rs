//! Header compression (RFC 7541): a decoder, an encoder and the tables they need. Knows nothing of frames; what a field
//! means in a response is classified here (`class`) because the dynamic table remembers it per entry.

pub mod class;
mod decoder;
mod encoder;
pub mod huffman;
mod integer;
pub(crate) mod static_table;
pub mod table;

pub use decoder::Decoder;
pub use encoder::{Encoder, Indexing};
pub(crate) use encoder::{Entry, Literal, put_literal, put_name};
pub use integer::{put as put_integer, put_plain, put_string};

/// A table size before anything was agreed (RFC 7541 section 4.2, RFC 9113 section 6.5.2).
pub(crate) const DEFAULT_TABLE_SIZE: usize = 4096;

/// Why a header block cannot be decoded. Each ends the connection: the peers' tables no longer agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The block ends within a field.
    Truncated,
    /// An integer beyond what any limit allows (section 5.1).
    Integer,
    /// An index into neither table (section 2.3.3).
    Index,
    /// Huffman padding longer than seven bits or not of ones, or EOS (section 5.2).
    Huffman,
    /// A table size update that is too large, out of place, or missing (sections 4.2 and 6.3).
    TableSize,
}

impl Error {
    /// For people.
    pub const fn detail(self) -> &'static str {
        match self {
            Error::Truncated => "header block ends within a field (RFC 7541 section 6)",
            Error::Integer => "integer too large in a header block (RFC 7541 section 5.1)",
            Error::Index => "index into no table (RFC 7541 section 2.3.3)",
            Error::Huffman => "illegal Huffman padding or EOS (RFC 7541 section 5.2)",
            Error::TableSize => "illegal or missing table size update (RFC 7541 section 6.3)",
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for Error {}
