//! Frames (RFC 9113 sections 4 and 6): headers, payloads and every rule that one frame alone can break. What a frame
//! means for a connection is not decided here. DATA is not parsed whole: its payload is passed on as it comes.

use crate::code::Code;
use crate::fault::Breach;
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
        FrameHeader {
            len: u32::from_be_bytes([0, b[0], b[1], b[2]]),
            kind: b[3],
            flags: b[4],
            stream: u32::from_be_bytes([b[5], b[6], b[7], b[8]]) & 0x7fff_ffff,
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
    pub fn check(self, max_len: u32) -> Result<(), Breach> {
        if self.len > max_len {
            return Err(size("frame larger than announced (RFC 9113 section 4.2)"));
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

    fn check_kind(self) -> Result<(), Breach> {
        let needs_stream = matches!(
            self.kind,
            kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM | kind::CONTINUATION
        );
        let needs_none = matches!(self.kind, kind::SETTINGS | kind::PING | kind::GOAWAY);
        if needs_stream && self.stream == 0 {
            return Err(protocol("frame needs a stream (RFC 9113 section 6)"));
        }
        if needs_none && self.stream != 0 {
            return Err(protocol("frame belongs to no stream (RFC 9113 section 6)"));
        }
        let len = self.len;
        match self.kind {
            kind::DATA if self.has(flag::PADDED) && len < 1 => {
                Err(size("DATA without its padding length (RFC 9113 section 6.1)"))
            }
            kind::HEADERS if len < self.headers_prefix() => {
                Err(size("HEADERS without its fixed part (RFC 9113 section 6.2)"))
            }
            kind::PRIORITY if len != 5 => {
                Err(Breach::stream(Code::FRAME_SIZE_ERROR, "PRIORITY not of 5 bytes (RFC 9113 section 6.3)"))
            }
            kind::RST_STREAM if len != 4 => Err(size("RST_STREAM not of 4 bytes (RFC 9113 section 6.4)")),
            kind::SETTINGS if self.has(flag::ACK) && len != 0 => {
                Err(size("SETTINGS acknowledgement with content (RFC 9113 section 6.5)"))
            }
            kind::SETTINGS if !len.is_multiple_of(6) => {
                Err(size("SETTINGS not of 6 bytes each (RFC 9113 section 6.5)"))
            }
            kind::SETTINGS if len / 6 > limits::SETTINGS_ENTRIES => {
                Err(Breach::connection(Code::ENHANCE_YOUR_CALM, "too many settings in one frame"))
            }
            kind::PUSH_PROMISE => Err(protocol("PUSH_PROMISE though push is off (RFC 9113 section 8.4)")),
            kind::PING if len != 8 => Err(size("PING not of 8 bytes (RFC 9113 section 6.7)")),
            kind::GOAWAY if len < 8 => Err(size("GOAWAY of fewer than 8 bytes (RFC 9113 section 6.8)")),
            kind::WINDOW_UPDATE if len != 4 => {
                Err(size("WINDOW_UPDATE not of 4 bytes (RFC 9113 section 6.9)"))
            }
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

const fn size(detail: &'static str) -> Breach {
    Breach::connection(Code::FRAME_SIZE_ERROR, detail)
}
const fn protocol(detail: &'static str) -> Breach {
    Breach::connection(Code::PROTOCOL_ERROR, detail)
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
    pub fn parse(header: FrameHeader, payload: &'a [u8]) -> Result<Frame<'a>, Breach> {
        let short = size("frame shorter than its kind needs (RFC 9113 section 4.2)");
        let word = |at: usize| -> Result<u32, Breach> {
            let b = payload.get(at..at + 4).ok_or(short)?;
            Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
        };
        Ok(match header.kind {
            kind::HEADERS => {
                let content = unpad(header, payload)?;
                let skip = if header.has(flag::PRIORITY) { 5 } else { 0 };
                Frame::Headers { fragment: content.get(skip..).ok_or(BAD_PADDING)? }
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

/// Padding as long as the rest of the payload or longer.
pub(crate) const BAD_PADDING: Breach = protocol("padding longer than its frame (RFC 9113 section 6.1)");

/// The payload of a DATA or HEADERS frame without padding length and padding.
pub fn unpad(header: FrameHeader, payload: &[u8]) -> Result<&[u8], Breach> {
    if !header.has(flag::PADDED) {
        return Ok(payload);
    }
    let (&pad, rest) = payload.split_first().ok_or(size("frame without its padding length"))?;
    let len = rest.len().checked_sub(usize::from(pad)).ok_or(BAD_PADDING)?;
    Ok(&rest[..len])
}
