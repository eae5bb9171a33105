//! Packets and frames as RFC 9000 and RFC 9001 draw them, written for the tests alone: nothing here comes from the crate, so
//! that a mistake of the crate is not made twice. It reads strictly what a client sends and writes whatever it is told.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::quic::{DirectionalKeys, HeaderProtectionKey, PacketKey};
use std::ops::RangeInclusive;

/// Where a packet stands in the handshake (RFC 9001 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Initial,
    Early,
    Handshake,
    OneRtt,
}

impl Level {
    /// The packet number space (RFC 9000 section 12.3).
    pub fn space(self) -> usize {
        match self {
            Level::Initial => 0,
            Level::Handshake => 1,
            Level::Early | Level::OneRtt => 2,
        }
    }
}

/// A number in the shortest form (RFC 9000 section 16).
pub fn put(out: &mut Vec<u8>, v: u64) {
    let len = match v {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    };
    put_in(out, v, len);
}

/// A number in a form of 1, 2, 4 or 8 bytes.
pub fn put_in(out: &mut Vec<u8>, v: u64, len: usize) {
    assert!(v < 1 << 62);
    let at = out.len();
    out.extend_from_slice(&v.to_be_bytes()[8 - len..]);
    out[at] |= (len.trailing_zeros() as u8) << 6;
}

pub fn varint(v: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, v);
    out
}

/// The number at the front.
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let len = 1 << (bytes.first()? >> 6);
    let (number, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    let value = number.iter().fold(0, |v, b| v << 8 | u64::from(*b));
    Some(value & (u64::MAX >> 2 >> (64 - 8 * len)))
}

pub fn take_bytes<'a>(bytes: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
    *bytes = rest;
    Some(front)
}

/// All frames of RFC 9000 section 19.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    Padding(usize),
    Ping,
    Ack {
        delay: u64,
        ranges: Vec<RangeInclusive<u64>>,
        ecn: Option<[u64; 3]>,
    },
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
        data: Vec<u8>,
    },
    NewToken(Vec<u8>),
    Stream {
        id: u64,
        offset: u64,
        data: Vec<u8>,
        fin: bool,
    },
    MaxData(u64),
    MaxStreamData {
        id: u64,
        max: u64,
    },
    MaxStreams {
        bidi: bool,
        max: u64,
    },
    DataBlocked(u64),
    StreamDataBlocked {
        id: u64,
        max: u64,
    },
    StreamsBlocked {
        bidi: bool,
        max: u64,
    },
    NewConnectionId {
        seq: u64,
        retire: u64,
        id: Vec<u8>,
        token: [u8; 16],
    },
    RetireConnectionId(u64),
    PathChallenge([u8; 8]),
    PathResponse([u8; 8]),
    /// With a frame type it is QUIC's, without one the application's.
    Close {
        code: u64,
        frame: Option<u64>,
        reason: Vec<u8>,
    },
    HandshakeDone,
}

impl Frame {
    pub fn ack(number: u64) -> Frame {
        Frame::Ack { delay: 0, ranges: vec![number..=number], ecn: None }
    }
    pub fn stream(id: u64, offset: u64, data: &[u8], fin: bool) -> Frame {
        Frame::Stream { id, offset, data: data.to_vec(), fin }
    }

    /// RFC 9000 section 13.2.
    pub fn elicits_ack(&self) -> bool {
        !matches!(self, Frame::Padding(_) | Frame::Ack { .. } | Frame::Close { .. })
    }

    /// RFC 9000 table 3, for what a client may send.
    pub fn allowed_from_client(&self, level: Level) -> bool {
        let app = matches!(level, Level::Early | Level::OneRtt);
        match self {
            Frame::Padding(_) | Frame::Ping => true,
            Frame::Ack { .. } | Frame::Crypto { .. } => level != Level::Early,
            Frame::Close { frame: Some(_), .. } => true,
            Frame::NewToken(_) | Frame::HandshakeDone => false,
            Frame::RetireConnectionId(_) | Frame::PathResponse(_) => level == Level::OneRtt,
            _ => app,
        }
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        let numbers = |out: &mut Vec<u8>, all: &[u64]| all.iter().for_each(|v| put(out, *v));
        match self {
            Frame::Padding(n) => out.resize(out.len() + n, 0),
            Frame::Ping => out.push(0x01),
            Frame::Ack { delay, ranges, ecn } => {
                put_ack(out, *delay, ranges, ecn);
            }
            Frame::ResetStream { id, code, size } => numbers(out, &[0x04, *id, *code, *size]),
            Frame::StopSending { id, code } => numbers(out, &[0x05, *id, *code]),
            Frame::Crypto { offset, data } => {
                numbers(out, &[0x06, *offset, data.len() as u64]);
                out.extend_from_slice(data);
            }
            Frame::NewToken(token) => {
                numbers(out, &[0x07, token.len() as u64]);
                out.extend_from_slice(token);
            }
            Frame::Stream { id, offset, data, fin } => {
                numbers(out, &[0x0e | u64::from(*fin), *id, *offset, data.len() as u64]);
                out.extend_from_slice(data);
            }
            Frame::MaxData(max) => numbers(out, &[0x10, *max]),
            Frame::MaxStreamData { id, max } => numbers(out, &[0x11, *id, *max]),
            Frame::MaxStreams { bidi, max } => numbers(out, &[if *bidi { 0x12 } else { 0x13 }, *max]),
            Frame::DataBlocked(max) => numbers(out, &[0x14, *max]),
            Frame::StreamDataBlocked { id, max } => numbers(out, &[0x15, *id, *max]),
            Frame::StreamsBlocked { bidi, max } => numbers(out, &[if *bidi { 0x16 } else { 0x17 }, *max]),
            Frame::NewConnectionId { seq, retire, id, token } => {
                numbers(out, &[0x18, *seq, *retire]);
                out.push(id.len() as u8);
                out.extend_from_slice(id);
                out.extend_from_slice(token);
            }
            Frame::RetireConnectionId(seq) => numbers(out, &[0x19, *seq]),
            Frame::PathChallenge(data) => {
                out.push(0x1a);
                out.extend_from_slice(data);
            }
            Frame::PathResponse(data) => {
                out.push(0x1b);
                out.extend_from_slice(data);
            }
            Frame::Close { code, frame, reason } => {
                numbers(out, &[if frame.is_some() { 0x1c } else { 0x1d }, *code]);
                numbers(out, frame.as_slice());
                put(out, reason.len() as u64);
                out.extend_from_slice(reason);
            }
            Frame::HandshakeDone => out.push(0x1e),
        }
    }

    /// The frame at the front; `None` where the bytes are none.
    pub fn take(bytes: &mut &[u8]) -> Option<Frame> {
        let before = bytes.len();
        let kind = take(bytes)?;
        // RFC 9000 section 12.4: the shortest form.
        if before - bytes.len() != varint(kind).len() {
            return None;
        }
        Some(match kind {
            0x00 => {
                let more = bytes.iter().take_while(|b| **b == 0).count();
                *bytes = &bytes[more..];
                Frame::Padding(1 + more)
            }
            0x01 => Frame::Ping,
            0x02 | 0x03 => take_ack(bytes, kind == 0x03)?,
            0x04 => Frame::ResetStream { id: take(bytes)?, code: take(bytes)?, size: take(bytes)? },
            0x05 => Frame::StopSending { id: take(bytes)?, code: take(bytes)? },
            0x06 => {
                let (offset, len) = (take(bytes)?, take(bytes)?);
                Frame::Crypto { offset, data: take_bytes(bytes, len)?.to_vec() }
            }
            0x07 => {
                let len = take(bytes)?;
                Frame::NewToken(take_bytes(bytes, len)?.to_vec())
            }
            0x08..=0x0f => {
                let id = take(bytes)?;
                let offset = if kind & 4 != 0 { take(bytes)? } else { 0 };
                let len = if kind & 2 != 0 { take(bytes)? } else { bytes.len() as u64 };
                Frame::Stream { id, offset, data: take_bytes(bytes, len)?.to_vec(), fin: kind & 1 != 0 }
            }
            0x10 => Frame::MaxData(take(bytes)?),
            0x11 => Frame::MaxStreamData { id: take(bytes)?, max: take(bytes)? },
            0x12 | 0x13 => Frame::MaxStreams { bidi: kind == 0x12, max: take(bytes)? },
            0x14 => Frame::DataBlocked(take(bytes)?),
            0x15 => Frame::StreamDataBlocked { id: take(bytes)?, max: take(bytes)? },
            0x16 | 0x17 => Frame::StreamsBlocked { bidi: kind == 0x16, max: take(bytes)? },
            0x18 => {
                let (seq, retire) = (take(bytes)?, take(bytes)?);
                let len = take_bytes(bytes, 1)?[0];
                let id = take_bytes(bytes, len.into())?.to_vec();
                Frame::NewConnectionId { seq, retire, id, token: take_bytes(bytes, 16)?.try_into().ok()? }
            }
            0x19 => Frame::RetireConnectionId(take(bytes)?),
            0x1a => Frame::PathChallenge(take_bytes(bytes, 8)?.try_into().ok()?),
            0x1b => Frame::PathResponse(take_bytes(bytes, 8)?.try_into().ok()?),
            0x1c | 0x1d => {
                let code = take(bytes)?;
                let frame = if kind == 0x1c { Some(take(bytes)?) } else { None };
                let len = take(bytes)?;
                Frame::Close { code, frame, reason: take_bytes(bytes, len)?.to_vec() }
            }
            0x1e => Frame::HandshakeDone,
            _ => return None,
        })
    }

    /// All frames of a packet; `None` if it is not made of frames, or of none.
    pub fn all(mut payload: &[u8]) -> Option<Vec<Frame>> {
        let mut frames = Vec::new();
        while !payload.is_empty() {
            frames.push(Frame::take(&mut payload)?);
        }
        (!frames.is_empty()).then_some(frames)
    }
}

pub fn payload(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    frames.iter().for_each(|f| f.put(&mut out));
    out
}

/// The newest range comes first, as on the wire.
fn put_ack(out: &mut Vec<u8>, delay: u64, ranges: &[RangeInclusive<u64>], ecn: &Option<[u64; 3]>) {
    out.push(if ecn.is_some() { 0x03 } else { 0x02 });
    let (first, more) = ranges.split_first().expect("an ACK acknowledges something");
    for v in [*first.end(), delay, more.len() as u64, first.end() - first.start()] {
        put(out, v);
    }
    let mut below = *first.start();
    for range in more {
        put(out, below - range.end() - 2);
        put(out, range.end() - range.start());
        below = *range.start();
    }
    for v in ecn.iter().flatten() {
        put(out, *v);
    }
}

fn take_ack(bytes: &mut &[u8], ecn: bool) -> Option<Frame> {
    let (largest, delay, more) = (take(bytes)?, take(bytes)?, take(bytes)?);
    let mut low = largest.checked_sub(take(bytes)?)?;
    let mut ranges = vec![low..=largest];
    for _ in 0..more {
        let high = low.checked_sub(take(bytes)?)?.checked_sub(2)?;
        low = high.checked_sub(take(bytes)?)?;
        ranges.push(low..=high);
    }
    let ecn = if ecn { Some([take(bytes)?, take(bytes)?, take(bytes)?]) } else { None };
    Some(Frame::Ack { delay, ranges, ecn })
}

/// The newest of consecutive numbers first, as an ACK has them.
pub fn ranges_of(numbers: impl DoubleEndedIterator<Item = u64>) -> Vec<RangeInclusive<u64>> {
    let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
    for n in numbers.rev() {
        match ranges.last_mut() {
            Some(last) if *last.start() == n + 1 => *last = n..=*last.end(),
            _ => ranges.push(n..=n),
        }
    }
    ranges
}

/// What is written around a payload. Everything in it may be wrong.
#[derive(Clone, Debug)]
pub struct Shape {
    pub level: Level,
    pub version: u32,
    pub dcid: Vec<u8>,
    pub scid: Vec<u8>,
    pub token: Vec<u8>,
    pub number: u64,
    pub number_len: usize,
    pub key_phase: bool,
    /// Bits of the first byte that are inverted before it is protected: reserved bits, the fixed bit.
    pub flip: u8,
    /// Added to the Length of a long header.
    pub longer: i64,
}

/// The packet in clear and protected (RFC 9001 sections 5.3 and 5.4).
pub fn seal(
    shape: &Shape,
    payload: &[u8],
    header: &dyn HeaderProtectionKey,
    packet: &dyn PacketKey,
) -> Vec<u8> {
    let pn_bits = (shape.number_len - 1) as u8;
    let mut out = Vec::new();
    // The sample begins four bytes behind the number's start: there must be as many (section 5.4.2).
    let padding = 4usize.saturating_sub(shape.number_len + payload.len());
    match shape.level {
        Level::OneRtt => {
            out.push(0x40 | u8::from(shape.key_phase) << 2 | pn_bits);
            out.extend_from_slice(&shape.dcid);
        }
        long => {
            let kind = match long {
                Level::Initial => 0xc0,
                Level::Early => 0xd0,
                _ => 0xe0,
            };
            out.push(kind | pn_bits);
            out.extend_from_slice(&shape.version.to_be_bytes());
            for id in [&shape.dcid, &shape.scid] {
                out.push(id.len() as u8);
                out.extend_from_slice(id);
            }
            if long == Level::Initial {
                put(&mut out, shape.token.len() as u64);
                out.extend_from_slice(&shape.token);
            }
            let len = (shape.number_len + payload.len() + padding + 16) as i64 + shape.longer;
            put_in(&mut out, len as u64, 2);
        }
    }
    out[0] ^= shape.flip;
    let number_at = out.len();
    out.extend_from_slice(&shape.number.to_be_bytes()[8 - shape.number_len..]);
    let head = out.clone();
    let mut body = payload.to_vec();
    body.resize(payload.len() + padding, 0);
    let tag = packet.encrypt_in_place(shape.number, &head, &mut body).expect("it is short enough");
    out.extend_from_slice(&body);
    out.extend_from_slice(tag.as_ref());
    let sample = out[number_at + 4..number_at + 4 + header.sample_len()].to_vec();
    let (first, rest) = out.split_at_mut(1);
    let number = &mut rest[number_at - 1..number_at - 1 + shape.number_len];
    header.encrypt_in_place(&sample, &mut first[0], number).expect("the sample is of the right length");
    out
}

/// A packet whose header has been read as far as it is in clear.
#[derive(Clone, Debug)]
pub struct Outer<'a> {
    pub level: Level,
    pub version: u32,
    pub dcid: &'a [u8],
    pub scid: &'a [u8],
    pub token: &'a [u8],
    pub number_at: usize,
    /// The packet without those behind it.
    pub bytes: &'a [u8],
}

impl<'a> Outer<'a> {
    /// The packet at the front of a datagram of version 1 sent to ids of this length; takes it off.
    pub fn take(rest: &mut &'a [u8], id_len: usize) -> Option<Outer<'a>> {
        let all = *rest;
        if all.first()? & 0x80 == 0 {
            *rest = &[];
            let dcid = all.get(1..1 + id_len)?;
            let number_at = 1 + id_len;
            return Some(Outer {
                level: Level::OneRtt,
                version: 1,
                dcid,
                scid: &[],
                token: &[],
                number_at,
                bytes: all,
            });
        }
        let mut at = all.get(5..)?;
        let version = u32::from_be_bytes(all[1..5].try_into().ok()?);
        let len = take_bytes(&mut at, 1)?[0];
        let dcid = take_bytes(&mut at, len.into())?;
        let len = take_bytes(&mut at, 1)?[0];
        let scid = take_bytes(&mut at, len.into())?;
        let level = match all[0] >> 4 & 3 {
            0 => Level::Initial,
            1 => Level::Early,
            2 => Level::Handshake,
            _ => return None,
        };
        let mut token: &[u8] = &[];
        if level == Level::Initial {
            let len = take(&mut at)?;
            token = take_bytes(&mut at, len)?;
        }
        let len = take(&mut at)? as usize;
        let number_at = all.len() - at.len();
        let bytes = all.get(..number_at + len)?;
        *rest = &all[number_at + len..];
        Some(Outer { level, version, dcid, scid, token, number_at, bytes })
    }
}

/// What was within a packet.
#[derive(Clone, Debug)]
pub struct Inner {
    /// The first byte without its protection.
    pub first: u8,
    pub number: u64,
    pub payload: Vec<u8>,
}

/// A packet with its protection taken off. `expected` is the number that would follow the largest seen (RFC 9000 appendix
/// A.3). `candidates` are the keys to try, once the first byte is readable.
pub fn open<'k>(
    outer: &Outer<'_>,
    header: &dyn HeaderProtectionKey,
    candidates: impl FnOnce(u8) -> Vec<(usize, &'k dyn PacketKey)>,
    expected: u64,
) -> Option<(Inner, usize)> {
    let mut bytes = outer.bytes.to_vec();
    let sample = bytes.get(outer.number_at + 4..outer.number_at + 4 + header.sample_len())?.to_vec();
    let (first, rest) = bytes.split_at_mut(1);
    // Only as many bytes of it as the number has are masked.
    let number = &mut rest[outer.number_at - 1..outer.number_at + 3];
    header.decrypt_in_place(&sample, &mut first[0], number).ok()?;
    let first = bytes[0];
    let len = usize::from(first & 3) + 1;
    let (head, body) = bytes.split_at(outer.number_at + len);
    let short = head[outer.number_at..].iter().fold(0, |v, b| v << 8 | u64::from(*b));
    let number = nearest(short, 8 * len as u32, expected);
    for (generation, key) in candidates(first) {
        let mut body = body.to_vec();
        if let Ok(payload) = key.decrypt_in_place(number, head, &mut body) {
            return Some((Inner { first, number, payload: payload.to_vec() }, generation));
        }
    }
    None
}

/// RFC 9000 appendix A.3.
pub fn nearest(short: u64, bits: u32, expected: u64) -> u64 {
    let (window, half) = (1u64 << bits, 1u64 << bits >> 1);
    let near = (expected & !(window - 1)) | short;
    if near + half <= expected && near < (1 << 62) - window {
        near + window
    } else if near > expected + half && near >= window {
        near - window
    } else {
        near
    }
}

/// A Retry (RFC 9000 section 17.2.5, RFC 9001 section 5.8).
pub fn retry(dcid: &[u8], scid: &[u8], token: &[u8], original: &[u8]) -> Vec<u8> {
    let mut out = vec![0xff, 0, 0, 0, 1];
    for id in [dcid, scid] {
        out.push(id.len() as u8);
        out.extend_from_slice(id);
    }
    out.extend_from_slice(token);
    let tag = retry_tag(original, &out);
    out.extend_from_slice(&tag);
    out
}

pub fn retry_tag(original: &[u8], retry: &[u8]) -> [u8; 16] {
    let key =
        [0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e];
    let nonce = [0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb];
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("16 bytes"));
    let mut pseudo = vec![original.len() as u8];
    pseudo.extend_from_slice(original);
    pseudo.extend_from_slice(retry);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag =
        key.seal_in_place_separate_tag(nonce, Aad::from(pseudo), &mut []).expect("nothing is short enough");
    tag.as_ref().try_into().expect("16 bytes")
}

/// Version Negotiation (RFC 9000 section 17.2.1).
pub fn negotiation(dcid: &[u8], scid: &[u8], versions: &[u32]) -> Vec<u8> {
    let mut out = vec![0xca, 0, 0, 0, 0];
    for id in [dcid, scid] {
        out.push(id.len() as u8);
        out.extend_from_slice(id);
    }
    versions.iter().for_each(|v| out.extend_from_slice(&v.to_be_bytes()));
    out
}

/// Seals with one side's keys.
pub fn seal_with(shape: &Shape, payload: &[u8], keys: &DirectionalKeys) -> Vec<u8> {
    seal(shape, payload, &*keys.header, &*keys.packet)
}
