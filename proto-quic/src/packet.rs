//! Packets on the wire: headers (RFC 9000 section 17), their numbers, and protection in place (RFC 9001 section 5). The server's
//! packets carry no connection id for us, since ours have no length.

use crate::cids::Cid;
use crate::crypto::{HeaderProtectionKey, Keys, PacketKey};
use crate::varint;
use std::ops::Range;

/// The version that is spoken (RFC 9000 section 15).
pub(crate) const VERSION: u32 = 1;
/// Bytes behind each payload, and those that header protection samples.
pub(crate) const TAG: usize = 16;
const SAMPLE: usize = 16;
/// A packet number takes at most so many bytes.
pub(crate) const NUMBER: usize = 4;

/// The kinds of packets with keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Initial,
    Early,
    Handshake,
    OneRtt,
}

/// A packet of the server as its header shows it before any key is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Initial or Handshake: where its number begins, and the packet ends.
    Long { level: Level, scid: Cid, number_at: usize, end: usize },
    /// Retry: where its token lies.
    Retry { scid: Cid, token: Range<usize> },
    /// Version negotiation: where the versions lie.
    Versions { dcid: Cid, scid: Cid, list: Range<usize> },
    /// 1-RTT: its number begins behind the first byte.
    Short,
}

/// Reads a header; `None`: nothing for us.
#[inline]
pub(crate) fn parse(bytes: &[u8]) -> Option<Header> {
    let first = *bytes.first()?;
    // The second bit is not looked at: we announce that it may be anything (RFC 9287).
    if first & 0x80 == 0 { Some(Header::Short) } else { parse_long(bytes, first) }
}

fn parse_long(bytes: &[u8], first: u8) -> Option<Header> {
    let mut rest = &bytes[1..];
    let (version, after) = rest.split_first_chunk::<4>()?;
    rest = after;
    let (dcid, scid) = (Cid::take(&mut rest)?, Cid::take(&mut rest)?);
    let at = |rest: &[u8]| bytes.len() - rest.len();
    if *version == [0; 4] {
        return Some(Header::Versions { dcid, scid, list: at(rest)..bytes.len() });
    }
    if u32::from_be_bytes(*version) != VERSION || !dcid.is_empty() {
        return None;
    }
    let level = match first >> 4 & 0b11 {
        0 => {
            // A server has no token to show (section 17.2.2).
            varint::take(&mut rest).filter(|len| *len == 0)?;
            Level::Initial
        }
        2 => Level::Handshake,
        3 => {
            let token = at(rest)..bytes.len().checked_sub(TAG)?;
            return (token.start <= token.end).then_some(Header::Retry { scid, token });
        }
        // A server sends no 0-RTT.
        _ => return None,
    };
    let len = usize::try_from(varint::take(&mut rest)?).ok()?;
    let number_at = at(rest);
    let end = number_at.checked_add(len).filter(|end| *end <= bytes.len())?;
    Some(Header::Long { level, scid, number_at, end })
}

/// Takes header protection off (RFC 9001 section 5.4). Returns the number as it stands there and how long it is; `None`: too
/// short for a packet.
#[inline]
pub(crate) fn unmask(
    packet: &mut [u8],
    number_at: usize,
    key: &dyn HeaderProtectionKey,
) -> Option<(u32, usize)> {
    let (head, rest) = packet.split_at_mut_checked(number_at + NUMBER)?;
    let sample = rest.get(..SAMPLE)?;
    let (first, rest) = head.split_first_mut()?;
    let number = &mut rest[number_at - 1..];
    key.decrypt_in_place(sample, first, number).ok()?;
    let len = usize::from(*first & 0b11) + 1;
    Some((number[..len].iter().fold(0, |n, b| n << 8 | u32::from(*b)), len))
}

/// The number that is meant (RFC 9000 section A.3); `expected`: one above the largest so far.
#[inline]
pub(crate) fn expand(expected: u64, truncated: u32, len: usize) -> u64 {
    let window = 1u64 << (8 * len);
    let candidate = expected & !(window - 1) | u64::from(truncated);
    if candidate + window / 2 <= expected && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

/// Decrypts a packet in place; returns where its payload lies.
#[inline]
pub(crate) fn open(
    packet: &mut [u8],
    payload_at: usize,
    number: u64,
    key: &dyn PacketKey,
) -> Option<Range<usize>> {
    let (header, payload) = packet.split_at_mut_checked(payload_at)?;
    let len = key.decrypt_in_place(number, header, payload).ok()?.len();
    Some(payload_at..payload_at + len)
}

/// A packet that is being written at the end of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) level: Level,
    pub(crate) number: u64,
    start: usize,
    number_at: usize,
    pub(crate) payload_at: usize,
}

/// How many bytes of a number are needed for the peer to know it (RFC 9000 section A.2).
#[inline]
fn number_len(number: u64, acked: Option<u64>) -> usize {
    let unacked = acked.map_or(number + 1, |a| number - a);
    match unacked {
        0..0x80 => 1,
        0x80..0x8000 => 2,
        0x8000..0x80_0000 => 3,
        _ => 4,
    }
}

impl Open {
    /// Writes a header with a short form.
    #[inline]
    pub(crate) fn short(out: &mut Vec<u8>, dcid: &Cid, number: u64, acked: Option<u64>, phase: bool) -> Open {
        let (start, len) = (out.len(), number_len(number, acked));
        // The spin bit stays 0 (RFC 9000 section 17.4).
        out.push(0x40 | u8::from(phase) << 2 | (len - 1) as u8);
        out.extend_from_slice(dcid.as_slice());
        let number_at = out.len();
        out.extend_from_slice(&(number as u32).to_be_bytes()[NUMBER - len..]);
        Open { level: Level::OneRtt, number, start, number_at, payload_at: out.len() }
    }

    /// Writes a long header, its length left open.
    pub(crate) fn long(
        out: &mut Vec<u8>,
        level: Level,
        dcid: &Cid,
        token: &[u8],
        number: u64,
        acked: Option<u64>,
    ) -> Open {
        let (start, len) = (out.len(), number_len(number, acked));
        let kind = match level {
            Level::Initial => 0,
            Level::Early => 1,
            Level::Handshake | Level::OneRtt => 2,
        };
        out.push(0xc0 | kind << 4 | (len - 1) as u8);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.push(dcid.as_slice().len() as u8);
        out.extend_from_slice(dcid.as_slice());
        out.push(0);
        if level == Level::Initial {
            varint::put(out, token.len() as u64);
            out.extend_from_slice(token);
        }
        out.extend_from_slice(&[0, 0]);
        let number_at = out.len();
        out.extend_from_slice(&(number as u32).to_be_bytes()[NUMBER - len..]);
        Open { level, number, start, number_at, payload_at: out.len() }
    }

    /// Where it begins.
    #[inline]
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Nothing was written into it.
    #[inline]
    pub(crate) fn is_empty(&self, out: &[u8]) -> bool {
        out.len() == self.payload_at
    }

    /// It never was.
    pub(crate) fn abandon(self, out: &mut Vec<u8>) {
        out.truncate(self.start);
    }

    /// PADDING, so that the packet with its tag ends at `end`.
    #[inline]
    pub(crate) fn pad(&self, out: &mut Vec<u8>, end: usize) {
        let payload_end = end.saturating_sub(TAG);
        if out.len() < payload_end {
            out.resize(payload_end, 0);
        }
    }

    /// Encrypts; returns the packet's size.
    #[inline]
    pub(crate) fn seal(
        self,
        out: &mut Vec<u8>,
        header: &dyn HeaderProtectionKey,
        key: &dyn PacketKey,
    ) -> usize {
        // As much as the sample of header protection needs (RFC 9001 section 5.4.2).
        let least = self.number_at + NUMBER;
        if out.len() < least {
            out.resize(least, 0);
        }
        if self.level != Level::OneRtt {
            let len = (out.len() + TAG - self.number_at) as u16 | 0x4000;
            out[self.number_at - 2..self.number_at].copy_from_slice(&len.to_be_bytes());
        }
        let (before, payload) = out[self.start..].split_at_mut(self.payload_at - self.start);
        match key.encrypt_in_place(self.number, before, payload) {
            Ok(tag) => out.extend_from_slice(tag.as_ref()),
            // It would take a payload of 64 GB.
            Err(_) => out.resize(out.len() + TAG, 0),
        }
        let packet = &mut out[self.start..];
        let number_at = self.number_at - self.start;
        let (head, rest) = packet.split_at_mut(number_at + NUMBER);
        let len = self.payload_at - self.number_at;
        let (first, number) = head.split_at_mut(number_at);
        let sample = &rest[..SAMPLE];
        let _ = header.encrypt_in_place(sample, &mut first[0], &mut number[..len]);
        packet.len()
    }
}

/// The size of the header of an Initial, a Handshake or a 0-RTT packet without its token.
pub(crate) const LONG_HEADER: usize = 1 + 4 + 1 + 20 + 1 + 2 + 2 + NUMBER;

/// Both keys of one direction.
impl Keys {
    #[inline]
    pub(crate) fn seal(&self, open: Open, out: &mut Vec<u8>) -> usize {
        open.seal(out, &*self.header, &*self.packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9000 sections A.2 and A.3.
    #[test]
    fn numbers() {
        assert_eq!(expand(0xa82f_30eb, 0x9b32, 2), 0xa82f_9b32);
        assert_eq!(number_len(0xac_5c02, Some(0xab_e8b3)), 2);
        assert_eq!(number_len(0xac_e8fe, Some(0xab_e8b3)), 3);
        for (number, acked) in
            [(0, None), (127, None), (1 << 40, Some((1 << 40) - 300)), (70_000, Some(69_999))]
        {
            let len = number_len(number, acked);
            let truncated = (number & ((1 << (8 * len)) - 1)) as u32;
            assert_eq!(expand(acked.map_or(0, |a| a + 1), truncated, len), number);
        }
    }

    proptest! {
        /// Whatever comes, reading a header ends, and what it names is within the datagram.
        #[test]
        fn any_header(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), long: bool, known: bool) {
            if long && bytes.len() > 6 {
                bytes[0] |= 0x80;
                if known { bytes[1..6].copy_from_slice(&[0, 0, 0, 1, 0]); }
            }
            match parse(&bytes) {
                Some(Header::Long { number_at, end, .. }) => prop_assert!(number_at <= end && end <= bytes.len()),
                Some(Header::Retry { token, .. }) => prop_assert!(bytes.get(token).is_some()),
                Some(Header::Versions { list, .. }) => prop_assert!(bytes.get(list).is_some()),
                _ => {}
            }
        }
    }
}
