//! Frames (RFC 9114 section 7): their headers cut out of a stream in whatever pieces it comes, and which of them may stand
//! where. What they mean is the connection's business.

use crate::fault::{self, Breach};
pub use proto_quic::varint::{put as put_varint, take as take_varint};

/// Frame types (section 7.2).
#[allow(missing_docs)] // the RFC's own names say it
pub mod kind {
    pub const DATA: u64 = 0x0;
    pub const HEADERS: u64 = 0x1;
    pub const CANCEL_PUSH: u64 = 0x3;
    pub const SETTINGS: u64 = 0x4;
    pub const PUSH_PROMISE: u64 = 0x5;
    pub const GOAWAY: u64 = 0x7;
    pub const MAX_PUSH_ID: u64 = 0xd;
    /// RFC 9218 section 7.2.
    pub const PRIORITY_UPDATE_REQUEST: u64 = 0xf0700;
    pub const PRIORITY_UPDATE_PUSH: u64 = 0xf0701;
}

/// Types of unidirectional streams (section 6.2, RFC 9204 section 4.2).
#[allow(missing_docs)] // the RFCs' own names say it
pub mod stream {
    pub const CONTROL: u64 = 0x0;
    pub const PUSH: u64 = 0x1;
    pub const QPACK_ENCODER: u64 = 0x2;
    pub const QPACK_DECODER: u64 = 0x3;
}

/// Appends a whole frame.
pub fn put_frame(out: &mut Vec<u8>, kind: u64, payload: &[u8]) {
    put_varint(out, kind);
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// What comes next on a stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A frame begins. One of length 0 is over with it.
    Frame {
        /// Its type.
        kind: u64,
        /// Bytes of payload to come.
        len: u64,
    },
    /// Some of the payload, at least one byte.
    Payload {
        /// The bytes.
        bytes: &'a [u8],
        /// They end the frame.
        last: bool,
    },
}

/// Bytes of the longest frame header: two integers.
pub(crate) const HEADER: usize = 16;

/// Where a frame header was cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    #[default]
    Nowhere,
    /// Within the type.
    Kind,
    /// Behind the type or within the length.
    Length,
}

/// Cuts a stream into frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader {
    /// Payload still to come; of a header that was cut, the integer so far.
    left: u64,
    /// The type of a header that was cut behind it.
    kind: u64,
    cut: Cut,
    /// Bytes that the integer still lacks.
    lacks: u8,
}

impl Reader {
    /// At the beginning of a stream.
    pub const fn new() -> Reader {
        Reader { left: 0, kind: 0, cut: Cut::Nowhere, lacks: 0 }
    }

    /// Whether the stream may end here.
    #[inline]
    pub fn is_between_frames(&self) -> bool {
        self.left == 0 && self.cut == Cut::Nowhere
    }

    /// Takes the next item off the front of the input; none if more input is needed.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Item<'a>> {
        if self.left > 0 && self.cut == Cut::Nowhere {
            if input.is_empty() {
                return None;
            }
            let n = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
            let (bytes, rest) = input.split_at(n);
            *input = rest;
            self.left -= n as u64;
            return Some(Item::Payload { bytes, last: self.left == 0 });
        }
        let (kind, len) = self.header(input)?;
        self.left = len;
        Some(Item::Frame { kind, len })
    }

    #[inline]
    fn header(&mut self, input: &mut &[u8]) -> Option<(u64, u64)> {
        if input.is_empty() {
            return None;
        }
        if self.cut == Cut::Nowhere {
            let mut ahead = *input;
            if let Some(header) = take_header(&mut ahead) {
                *input = ahead;
                return Some(header);
            }
        }
        self.cut_header(input)
    }

    /// A header that does not lie in one piece: byte by byte, so that nothing behind it is taken.
    #[cold]
    fn cut_header(&mut self, input: &mut &[u8]) -> Option<(u64, u64)> {
        while let Some((&b, rest)) = input.split_first() {
            *input = rest;
            if self.lacks > 0 {
                (self.left, self.lacks) = (self.left << 8 | u64::from(b), self.lacks - 1);
            } else {
                (self.left, self.lacks) = (u64::from(b & 0x3f), (1 << (b >> 6)) - 1);
            }
            match self.cut {
                _ if self.lacks > 0 => self.cut = self.cut.max(Cut::Kind),
                Cut::Length => {
                    self.cut = Cut::Nowhere;
                    return Some((self.kind, self.left));
                }
                Cut::Nowhere | Cut::Kind => (self.kind, self.cut) = (self.left, Cut::Length),
            }
        }
        None
    }
}

#[inline]
fn take_header(input: &mut &[u8]) -> Option<(u64, u64)> {
    Some((take_varint(input)?, take_varint(input)?))
}

/// What to do with a frame on a request stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRequest {
    /// Content.
    Data,
    /// A field section.
    Headers,
    /// Unknown: to be passed over (section 9).
    Skip,
}

/// The rules of section 7.2 for request streams.
#[inline]
pub fn on_request(kind: u64) -> Result<OnRequest, &'static Breach> {
    match kind {
        kind::DATA => Ok(OnRequest::Data),
        kind::HEADERS => Ok(OnRequest::Headers),
        kind::PUSH_PROMISE => Err(&fault::PUSH_PROMISE),
        kind::CANCEL_PUSH | kind::SETTINGS | kind::GOAWAY => Err(&fault::NOT_ON_REQUEST),
        kind::MAX_PUSH_ID | kind::PRIORITY_UPDATE_REQUEST | kind::PRIORITY_UPDATE_PUSH => {
            Err(&fault::CLIENT_FRAME)
        }
        0x2 | 0x6 | 0x8 | 0x9 => Err(&fault::HTTP2_FRAME),
        _ => Ok(OnRequest::Skip),
    }
}

/// What to do with a frame on the control stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnControl {
    /// Settings.
    Settings,
    /// The server goes away.
    GoAway,
    /// Unknown: to be passed over (section 9).
    Skip,
}

/// The rules of sections 6.2.1 and 7.2 for the server's control stream.
pub fn on_control(kind: u64, first: bool) -> Result<OnControl, &'static Breach> {
    match kind {
        kind::SETTINGS if first => Ok(OnControl::Settings),
        _ if first => Err(&fault::MISSING_SETTINGS),
        kind::SETTINGS => Err(&fault::SECOND_SETTINGS),
        kind::GOAWAY => Ok(OnControl::GoAway),
        // We never allowed a push, so none can have been promised.
        kind::CANCEL_PUSH => Err(&fault::CANCEL_PUSH),
        kind::DATA | kind::HEADERS | kind::PUSH_PROMISE => Err(&fault::NOT_ON_CONTROL),
        kind::MAX_PUSH_ID | kind::PRIORITY_UPDATE_REQUEST | kind::PRIORITY_UPDATE_PUSH => {
            Err(&fault::CLIENT_FRAME)
        }
        0x2 | 0x6 | 0x8 | 0x9 => Err(&fault::HTTP2_FRAME),
        _ => Ok(OnControl::Skip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items with adjacent payload joined.
    fn read(pieces: &mut dyn Iterator<Item = &[u8]>) -> (Vec<(u64, u64, Vec<u8>)>, bool) {
        let (mut reader, mut out) = (Reader::new(), Vec::new());
        for mut piece in pieces {
            while let Some(item) = reader.next(&mut piece) {
                match item {
                    Item::Frame { kind, len } => out.push((kind, len, Vec::new())),
                    Item::Payload { bytes, last } => {
                        let frame = out.last_mut().unwrap();
                        frame.2.extend_from_slice(bytes);
                        assert_eq!(last, frame.2.len() as u64 == frame.1);
                    }
                }
            }
            assert!(piece.is_empty());
        }
        (out, reader.is_between_frames())
    }

    #[test]
    fn cuts_do_not_matter() {
        let mut wire = Vec::new();
        put_frame(&mut wire, kind::HEADERS, b"abc");
        put_frame(&mut wire, kind::DATA, b"");
        put_frame(&mut wire, 0x21 + 0x1f * 1_000_000_007, &[7; 70]);
        put_frame(&mut wire, kind::DATA, &[8; 20_000]);
        let whole = read(&mut [&wire[..]].into_iter());
        assert_eq!((whole.0.len(), whole.1), (4, true));
        assert_eq!(whole, read(&mut wire.chunks(1)));
        for cut in 0..200 {
            let (a, b) = wire.split_at(cut);
            assert_eq!(whole, read(&mut [a, b].into_iter()));
            assert_eq!(read(&mut [a].into_iter()).1, [0, 5, 7, 87].contains(&cut), "{cut}");
        }
    }

    #[test]
    fn where_frames_may_stand() {
        assert_eq!(on_control(kind::SETTINGS, true), Ok(OnControl::Settings));
        assert!(on_control(kind::GOAWAY, true).is_err() && on_control(0x21, true).is_err());
        assert_eq!(on_control(0x21, false), Ok(OnControl::Skip));
        assert_eq!(on_request(0x21), Ok(OnRequest::Skip));
        for reserved in [2, 6, 8, 9] {
            assert_eq!(on_request(reserved), Err(&fault::HTTP2_FRAME));
            assert_eq!(on_control(reserved, false), Err(&fault::HTTP2_FRAME));
        }
    }
}
