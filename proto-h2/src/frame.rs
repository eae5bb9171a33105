//! Frames (RFC 9113 sections 4 and 6): headers, payloads and every rule that one frame alone can break. What a frame
//! means for a connection is not decided here. DATA is not parsed whole: its payload is passed on as it comes.

use crate::code::Code;
use crate::fault::{self, Breach};
use crate::limits;

/// Frame types.
pub mod kind {
    #![allow(missing_docs)] // the RFC's own names say it
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags. One bit may mean different things in different frames.
pub mod flag {
    #![allow(missing_docs)] // the RFC's own names say it
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// The first bytes of a client (section 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The nine bytes before a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameHeader {
    /// Payload bytes.
    pub len: u32,
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Stream, 0 for the connection.
    pub stream: u32,
}

impl FrameHeader {
    /// Bytes on the wire.
    pub const LEN: usize = 9;

    /// From the wire. The reserved bit is ignored (section 4.1).
    #[inline]
    pub fn parse(b: &[u8; 9]) -> FrameHeader {
        // One load instead of nine.
        let word = u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        FrameHeader {
            len: (word >> 40) as u32,
            kind: (word >> 32) as u8,
            flags: (word >> 24) as u8,
            stream: ((word as u32) << 8 | u32::from(b[8])) & 0x7fff_ffff,
        }
    }

    /// To the wire.
    #[inline]
    pub fn bytes(self) -> [u8; 9] {
        let [_, l0, l1, l2] = self.len.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }

    /// Whether a flag is set.
    #[inline]
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What can be judged before the payload arrives. `max_len` is what we announced.
    #[inline]
    pub fn check(self, max_len: u32) -> Result<(), &'static Breach> {
        if self.len > max_len {
            return Err(&fault::FRAME_TOO_LARGE);
        }
        match self.kind {
            // The two kinds of the hot path first.
            kind::DATA | kind::HEADERS
                if self.flags & (flag::PADDED | flag::PRIORITY) == 0 && self.stream != 0 =>
            {
                Ok(())
            }
            _ => self.check_kind(),
        }
    }

    fn check_kind(self) -> Result<(), &'static Breach> {
        let needs_stream = matches!(
            self.kind,
            kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM | kind::CONTINUATION
        );
        let needs_none = matches!(self.kind, kind::SETTINGS | kind::PING | kind::GOAWAY);
        if needs_stream && self.stream == 0 {
            return Err(&fault::STREAM_MISSING);
        }
        if needs_none && self.stream != 0 {
            return Err(&fault::STREAM_NOT_ALLOWED);
        }
        let len = self.len;
        match self.kind {
            kind::DATA if self.has(flag::PADDED) && len < 1 => Err(&fault::DATA_TOO_SHORT),
            kind::HEADERS if len < self.headers_prefix() => Err(&fault::HEADERS_TOO_SHORT),
            kind::PRIORITY if len != 5 => Err(&fault::PRIORITY_SIZE),
            kind::RST_STREAM if len != 4 => Err(&fault::RST_STREAM_SIZE),
            kind::SETTINGS if self.has(flag::ACK) && len != 0 => Err(&fault::SETTINGS_ACK_SIZE),
            kind::SETTINGS if !len.is_multiple_of(6) => Err(&fault::SETTINGS_SIZE),
            kind::SETTINGS if len / 6 > limits::SETTINGS_ENTRIES => Err(&fault::SETTINGS_TOO_MANY),
            kind::PUSH_PROMISE => Err(&fault::PUSH),
            kind::PING if len != 8 => Err(&fault::PING_SIZE),
            kind::GOAWAY if len < 8 => Err(&fault::GOAWAY_SIZE),
            kind::WINDOW_UPDATE if len != 4 => Err(&fault::WINDOW_UPDATE_SIZE),
            _ => Ok(()),
        }
    }

    fn headers_prefix(self) -> u32 {
        u32::from(self.has(flag::PADDED)) + if self.has(flag::PRIORITY) { 5 } else { 0 }
    }

    /// How much of the payload must be seen; the rest is skipped without being kept.
    pub(crate) fn kept(self) -> u32 {
        match self.kind {
            kind::GOAWAY => 8,
            kind::HEADERS
            | kind::RST_STREAM
            | kind::SETTINGS
            | kind::PING
            | kind::WINDOW_UPDATE
            | kind::CONTINUATION => self.len,
            _ => 0,
        }
    }
}

/// A frame other than DATA and HEADERS' relatives in full: what its payload says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// HEADERS without padding and priority.
    Headers {
        /// The header block or its beginning.
        fragment: &'a [u8],
    },
    /// CONTINUATION.
    Continuation {
        /// More of the header block.
        fragment: &'a [u8],
    },
    /// RST_STREAM.
    Reset {
        /// Why.
        code: Code,
    },
    /// SETTINGS; an acknowledgement is empty. Six bytes each.
    Settings {
        /// Identifier and value, one after the other.
        entries: &'a [u8],
    },
    /// PING.
    Ping {
        /// To be sent back.
        opaque: [u8; 8],
    },
    /// GOAWAY.
    GoAway {
        /// Streams above were not processed.
        last: u32,
        /// Why.
        code: Code,
    },
    /// WINDOW_UPDATE.
    WindowUpdate {
        /// Bytes more.
        increment: u32,
    },
    /// PRIORITY and what is unknown: to be ignored (sections 5.3.2 and 5.5).
    Ignored,
}

impl<'a> Frame<'a> {
    /// Reads the payload of a frame whose header passed [`FrameHeader::check`]. Of frames that keep only a part, that
    /// part is enough.
    pub fn parse(header: FrameHeader, payload: &'a [u8]) -> Result<Frame<'a>, &'static Breach> {
        let short = &fault::FRAME_TOO_SHORT;
        let word = |at: usize| -> Result<u32, &'static Breach> {
            let b = payload.get(at..at + 4).ok_or(short)?;
            Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
        };
        Ok(match header.kind {
            kind::HEADERS => {
                let content = unpad(header, payload)?;
                let skip = if header.has(flag::PRIORITY) { 5 } else { 0 };
                Frame::Headers { fragment: content.get(skip..).ok_or(&fault::BAD_PADDING)? }
            }
            kind::CONTINUATION => Frame::Continuation { fragment: payload },
            kind::RST_STREAM => Frame::Reset { code: Code(word(0)?) },
            kind::SETTINGS => Frame::Settings { entries: payload },
            kind::PING => Frame::Ping { opaque: *payload.first_chunk().ok_or(short)? },
            kind::GOAWAY => Frame::GoAway { last: word(0)? & 0x7fff_ffff, code: Code(word(4)?) },
            kind::WINDOW_UPDATE => Frame::WindowUpdate { increment: word(0)? & 0x7fff_ffff },
            _ => Frame::Ignored,
        })
    }
}

/// The payload of a DATA or HEADERS frame without padding length and padding.
pub fn unpad(header: FrameHeader, payload: &[u8]) -> Result<&[u8], &'static Breach> {
    if !header.has(flag::PADDED) {
        return Ok(payload);
    }
    let (&pad, rest) = payload.split_first().ok_or(&fault::PADDING_MISSING)?;
    let len = rest.len().checked_sub(usize::from(pad)).ok_or(&fault::BAD_PADDING)?;
    Ok(&rest[..len])
}
