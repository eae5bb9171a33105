//! Frames (RFC 9000 section 19), read without copying and written.

use crate::cids::Cid;
use crate::error::{Violation, code};
use crate::varint::{self, put, take};
use std::ops::RangeInclusive;

/// A frame as it lies in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// So many bytes of it.
    Padding(usize),
    Ping,
    Ack(Ack<'a>),
    ResetStream {
        id: u64,
        code: u64,
        size: u64,
    },
    StopSending {
        id: u64,
        code: u64,
    },
    Crypto {
        offset: u64,
        data: &'a [u8],
    },
    NewToken(&'a [u8]),
    Stream {
        id: u64,
        offset: u64,
        fin: bool,
        data: &'a [u8],
    },
    MaxData(u64),
    MaxStreamData {
        id: u64,
        limit: u64,
    },
    MaxStreams {
        bi: bool,
        limit: u64,
    },
    DataBlocked(u64),
    StreamDataBlocked {
        id: u64,
        limit: u64,
    },
    StreamsBlocked {
        bi: bool,
        limit: u64,
    },
    NewConnectionId {
        sequence: u64,
        retire_prior_to: u64,
        cid: Cid,
        token: &'a [u8; 16],
    },
    RetireConnectionId(u64),
    PathChallenge([u8; 8]),
    PathResponse([u8; 8]),
    Close {
        application: bool,
        code: u64,
        reason: &'a [u8],
    },
    HandshakeDone,
}

/// ACK (section 19.3). Its ranges were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack<'a> {
    pub(crate) largest: u64,
    /// As it stands there, without the exponent.
    pub(crate) delay: u64,
    pub(crate) ecn: Option<EcnCounts>,
    first: u64,
    ranges: &'a [u8],
}

/// Packets that came with these marks (section 19.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EcnCounts {
    pub(crate) ect0: u64,
    pub(crate) ect1: u64,
    pub(crate) ce: u64,
}

impl<'a> Ack<'a> {
    /// The ranges, the newest first.
    #[inline]
    pub(crate) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + use<'a> {
        let (mut rest, mut smallest) = (self.ranges, self.largest - self.first);
        let newest = smallest..=self.largest;
        std::iter::once(newest).chain(std::iter::from_fn(move || {
            let (gap, len) = (take(&mut rest)?, take(&mut rest)?);
            let largest = smallest.checked_sub(gap + 2)?;
            smallest = largest.checked_sub(len)?;
            Some(smallest..=largest)
        }))
    }
}

/// What kinds of packets a frame may be in (section 12.4, table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum In {
    InitialOrHandshake,
    OneRtt,
}

const MALFORMED: Violation = Violation::new(code::FRAME_ENCODING, "a frame that is malformed");
const UNKNOWN: Violation = Violation::new(code::FRAME_ENCODING, "a frame of an unknown type");
const FORBIDDEN: Violation =
    Violation::new(code::PROTOCOL_VIOLATION, "a frame that this kind of packet must not have");

/// Takes the next frame off the front of a payload that is not empty.
#[inline]
pub(crate) fn next<'a>(rest: &mut &'a [u8], within: In) -> Result<Frame<'a>, Violation> {
    // Most frames of a packet with responses.
    if let Some(&first @ 0x08..=0x0f) = rest.first()
        && within == In::OneRtt
    {
        *rest = &rest[1..];
        return stream(rest, first).ok_or(MALFORMED);
    }
    other(rest, within)
}

#[inline]
fn stream<'a>(rest: &mut &'a [u8], kind: u8) -> Option<Frame<'a>> {
    let id = take(rest)?;
    let offset = if kind & 0x04 != 0 { take(rest)? } else { 0 };
    let data = if kind & 0x02 != 0 { bytes(rest)? } else { std::mem::take(rest) };
    // Section 19.8: nothing lies beyond 2^62-1.
    (offset + data.len() as u64 <= varint::MAX).then_some(Frame::Stream {
        id,
        offset,
        fin: kind & 1 != 0,
        data,
    })
}

/// A length and so many bytes.
#[inline]
fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take(rest)?).ok()?;
    let (data, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(data)
}

fn array<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (data, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(data)
}

fn other<'a>(rest: &mut &'a [u8], within: In) -> Result<Frame<'a>, Violation> {
    let before = rest.len();
    let kind = take(rest).ok_or(MALFORMED)?;
    if before - rest.len() != varint::size(kind) {
        return Err(Violation::new(
            code::PROTOCOL_VIOLATION,
            "a frame type that is not in its shortest form",
        ));
    }
    if kind > 0x1e {
        return Err(UNKNOWN);
    }
    if within == In::InitialOrHandshake && !matches!(kind, 0x00..=0x03 | 0x06 | 0x1c) {
        return Err(FORBIDDEN);
    }
    parse(rest, kind).ok_or(MALFORMED)
}

fn parse<'a>(rest: &mut &'a [u8], kind: u64) -> Option<Frame<'a>> {
    Some(match kind {
        0x00 => {
            let len = rest.iter().take_while(|b| **b == 0).count();
            *rest = &rest[len..];
            Frame::Padding(len + 1)
        }
        0x01 => Frame::Ping,
        0x02 | 0x03 => Frame::Ack(ack(rest, kind == 0x03)?),
        0x04 => Frame::ResetStream { id: take(rest)?, code: take(rest)?, size: take(rest)? },
        0x05 => Frame::StopSending { id: take(rest)?, code: take(rest)? },
        0x06 => {
            let (offset, data) = (take(rest)?, bytes(rest)?);
            (offset + data.len() as u64 <= varint::MAX).then_some(Frame::Crypto { offset, data })?
        }
        // Section 19.7: an empty token is an error.
        0x07 => Frame::NewToken(bytes(rest).filter(|t| !t.is_empty())?),
        0x08..=0x0f => stream(rest, kind as u8)?,
        0x10 => Frame::MaxData(take(rest)?),
        0x11 => Frame::MaxStreamData { id: take(rest)?, limit: take(rest)? },
        0x12 | 0x13 => Frame::MaxStreams { bi: kind == 0x12, limit: streams(rest)? },
        0x14 => Frame::DataBlocked(take(rest)?),
        0x15 => Frame::StreamDataBlocked { id: take(rest)?, limit: take(rest)? },
        0x16 | 0x17 => Frame::StreamsBlocked { bi: kind == 0x16, limit: streams(rest)? },
        0x18 => new_connection_id(rest)?,
        0x19 => Frame::RetireConnectionId(take(rest)?),
        0x1a => Frame::PathChallenge(*array(rest)?),
        0x1b => Frame::PathResponse(*array(rest)?),
        0x1c => {
            let (code, _frame) = (take(rest)?, take(rest)?);
            Frame::Close { application: false, code, reason: bytes(rest)? }
        }
        0x1d => Frame::Close { application: true, code: take(rest)?, reason: bytes(rest)? },
        _ => Frame::HandshakeDone,
    })
}

/// A number of streams: at most 2^60 (section 19.11).
fn streams(rest: &mut &[u8]) -> Option<u64> {
    take(rest).filter(|n| *n <= 1 << 60)
}

fn new_connection_id<'a>(rest: &mut &'a [u8]) -> Option<Frame<'a>> {
    let (sequence, retire_prior_to) = (take(rest)?, take(rest)?);
    // Section 19.15.
    let cid = Cid::take(rest).filter(|cid| !cid.is_empty() && retire_prior_to <= sequence)?;
    Some(Frame::NewConnectionId { sequence, retire_prior_to, cid, token: array(rest)? })
}

fn ack<'a>(rest: &mut &'a [u8], ecn: bool) -> Option<Ack<'a>> {
    let (largest, delay, count, first) = (take(rest)?, take(rest)?, take(rest)?, take(rest)?);
    let mut smallest = largest.checked_sub(first)?;
    let begin = *rest;
    for _ in 0..count {
        let (gap, len) = (take(rest)?, take(rest)?);
        smallest = smallest.checked_sub(gap + 2)?.checked_sub(len)?;
    }
    let ranges = &begin[..begin.len() - rest.len()];
    let ecn = match ecn {
        true => Some(EcnCounts { ect0: take(rest)?, ect1: take(rest)?, ce: take(rest)? }),
        false => None,
    };
    Some(Ack { largest, delay, ecn, first, ranges })
}

impl Frame<'_> {
    /// Whether it asks for an acknowledgement (section 13.2.1).
    #[inline]
    pub(crate) fn is_eliciting(&self) -> bool {
        !matches!(self, Frame::Padding(_) | Frame::Ack(_) | Frame::Close { .. })
    }
}

pub(crate) const PING: u8 = 0x01;

/// The most that a CRYPTO frame has beside its data, with a length of two bytes.
pub(crate) const CRYPTO_HEAD: usize = 1 + 8 + 2;

/// A length in two bytes, whatever it is.
fn put_len(out: &mut Vec<u8>, len: usize) {
    debug_assert!(len < 0x4000, "packets are no longer");
    out.extend_from_slice(&(len as u16 | 0x4000).to_be_bytes());
}

/// STREAM up to its data.
pub(crate) fn put_stream_head(out: &mut Vec<u8>, id: u64, offset: u64, len: usize, fin: bool) {
    out.push(0x0a | u8::from(fin) | if offset > 0 { 0x04 } else { 0 });
    put(out, id);
    if offset > 0 {
        put(out, offset);
    }
    put_len(out, len);
}

pub(crate) fn put_crypto_head(out: &mut Vec<u8>, offset: u64, len: usize) {
    out.push(0x06);
    put(out, offset);
    put_len(out, len);
}

fn put_all<const N: usize>(out: &mut Vec<u8>, kind: u8, numbers: [u64; N]) {
    out.push(kind);
    numbers.into_iter().for_each(|n| put(out, n));
}

pub(crate) fn put_reset_stream(out: &mut Vec<u8>, id: u64, code: u64, size: u64) {
    put_all(out, 0x04, [id, code, size]);
}
pub(crate) fn put_stop_sending(out: &mut Vec<u8>, id: u64, code: u64) {
    put_all(out, 0x05, [id, code]);
}
pub(crate) fn put_max_data(out: &mut Vec<u8>, limit: u64) {
    put_all(out, 0x10, [limit]);
}
pub(crate) fn put_max_stream_data(out: &mut Vec<u8>, id: u64, limit: u64) {
    put_all(out, 0x11, [id, limit]);
}
pub(crate) fn put_max_streams(out: &mut Vec<u8>, bi: bool, limit: u64) {
    put_all(out, if bi { 0x12 } else { 0x13 }, [limit]);
}
pub(crate) fn put_data_blocked(out: &mut Vec<u8>, limit: u64) {
    put_all(out, 0x14, [limit]);
}
pub(crate) fn put_stream_data_blocked(out: &mut Vec<u8>, id: u64, limit: u64) {
    put_all(out, 0x15, [id, limit]);
}
pub(crate) fn put_streams_blocked(out: &mut Vec<u8>, bi: bool, limit: u64) {
    put_all(out, if bi { 0x16 } else { 0x17 }, [limit]);
}
pub(crate) fn put_retire_connection_id(out: &mut Vec<u8>, sequence: u64) {
    put_all(out, 0x19, [sequence]);
}
pub(crate) fn put_path_response(out: &mut Vec<u8>, data: [u8; 8]) {
    out.push(0x1b);
    out.extend_from_slice(&data);
}

/// The most that CONNECTION_CLOSE has beside its reason.
pub(crate) const CLOSE_HEAD: usize = 1 + 8 + 1 + 2;

/// CONNECTION_CLOSE (section 19.19).
pub(crate) fn put_close(out: &mut Vec<u8>, application: bool, code: u64, reason: &[u8]) {
    if application {
        put_all(out, 0x1d, [code]);
    } else {
        // The frame type that was at fault is not told.
        put_all(out, 0x1c, [code, 0]);
    }
    put(out, reason.len() as u64);
    out.extend_from_slice(reason);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(mut rest: &[u8], within: In) -> Result<Vec<Frame<'_>>, Violation> {
        let mut out = Vec::new();
        while !rest.is_empty() {
            out.push(next(&mut rest, within)?);
        }
        Ok(out)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        put_stream_head(&mut out, 4, 0, 2, true);
        out.extend(b"ab");
        put_stream_head(&mut out, 1 << 30, 1 << 40, 0, false);
        put_crypto_head(&mut out, 70, 1);
        out.push(b'c');
        put_reset_stream(&mut out, 1, 2, 3);
        put_stop_sending(&mut out, 4, 5);
        put_max_data(&mut out, 6);
        put_max_stream_data(&mut out, 7, 8);
        put_max_streams(&mut out, false, 9);
        put_data_blocked(&mut out, 10);
        put_stream_data_blocked(&mut out, 11, 12);
        put_streams_blocked(&mut out, true, 13);
        put_retire_connection_id(&mut out, 14);
        put_path_response(&mut out, [1; 8]);
        put_close(&mut out, true, 15, b"bye");
        put_close(&mut out, false, 16, b"");
        out.extend([0, 0, 0]);
        assert_eq!(
            all(&out, In::OneRtt).unwrap(),
            [
                Frame::Stream { id: 4, offset: 0, fin: true, data: b"ab" },
                Frame::Stream { id: 1 << 30, offset: 1 << 40, fin: false, data: b"" },
                Frame::Crypto { offset: 70, data: b"c" },
                Frame::ResetStream { id: 1, code: 2, size: 3 },
                Frame::StopSending { id: 4, code: 5 },
                Frame::MaxData(6),
                Frame::MaxStreamData { id: 7, limit: 8 },
                Frame::MaxStreams { bi: false, limit: 9 },
                Frame::DataBlocked(10),
                Frame::StreamDataBlocked { id: 11, limit: 12 },
                Frame::StreamsBlocked { bi: true, limit: 13 },
                Frame::RetireConnectionId(14),
                Frame::PathResponse([1; 8]),
                Frame::Close { application: true, code: 15, reason: b"bye" },
                Frame::Close { application: false, code: 16, reason: b"" },
                Frame::Padding(3),
            ]
        );
        assert_eq!(all(&out, In::InitialOrHandshake), Err(FORBIDDEN));
    }

    #[test]
    fn acknowledgements() {
        let frames = all(&[0x03, 10, 5, 2, 1, 0, 2, 1, 0, 7, 8, 9], In::InitialOrHandshake).unwrap();
        let [Frame::Ack(ack)] = frames[..] else { panic!("{frames:?}") };
        assert_eq!(ack.ranges().collect::<Vec<_>>(), [9..=10, 5..=7, 2..=2]);
        assert_eq!((ack.delay, ack.ecn), (5, Some(EcnCounts { ect0: 7, ect1: 8, ce: 9 })));
        for bad in
            [&[0x02, 1, 0, 0, 2][..], &[2, 5, 0, 1, 0, 4, 0], &[2, 5, 0, 1, 0, 3, 1], &[2, 5, 0, 1, 0, 3]]
        {
            assert_eq!(all(bad, In::OneRtt), Err(MALFORMED), "{bad:?}");
        }
    }

    #[test]
    fn what_must_not_be() {
        for bad in [
            &[0x07, 0][..],
            &[0x18, 0, 1, 4],
            &[0x18, 1, 0, 0],
            &[0x18, 1, 0, 21],
            &[0x12, 0xd0, 0, 0, 0, 0, 0, 0, 1],
            &[0x0e, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0],
            &[0x1f],
            &[0x40],
        ] {
            let code = all(bad, In::OneRtt).map_err(|v| v.code);
            assert_eq!(code, Err(code::FRAME_ENCODING), "{bad:?}");
        }
        assert_eq!(all(&[0x40, 0x01], In::OneRtt).map_err(|v| v.code), Err(code::PROTOCOL_VIOLATION));
    }

    proptest! {
        /// Whatever comes, reading ends.
        #[test]
        fn anything_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for frame in all(&bytes, In::OneRtt).into_iter().flatten() {
                if let Frame::Ack(ack) = frame {
                    prop_assert!(ack.ranges().all(|r| r.start() <= r.end() && *r.end() <= ack.largest));
                }
            }
        }
    }
}
