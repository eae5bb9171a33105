//! The number of a stream (RFC 9000 section 2.1).

/// A stream's number as frames carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The client's bidirectional stream with this index.
    #[inline]
    pub const fn bi(index: u64) -> StreamId {
        StreamId(index << 2)
    }

    /// The client's unidirectional stream with this index.
    pub const fn uni(index: u64) -> StreamId {
        StreamId(index << 2 | 2)
    }

    /// Its place among streams of its type.
    #[inline]
    pub const fn index(self) -> u64 {
        self.0 >> 2
    }

    /// The client opened it.
    #[inline]
    pub const fn is_client(self) -> bool {
        self.0 & 1 == 0
    }

    /// It goes both ways.
    #[inline]
    pub const fn is_bi(self) -> bool {
        self.0 & 2 == 0
    }
}
