//! QUIC frames: no panic; a payload that is cut reads the same up to the cut; what a client may say is read as it was written;
//! and an acknowledgement names what came and nothing else.
#![no_main]
// The files under test, as they are: the crate shows none of this.
#![allow(dead_code)]

#[path = "../../proto-quic/src/cids.rs"]
mod cids;
#[path = "../../proto-quic/src/error.rs"]
mod error;
#[path = "../../proto-quic/src/frame.rs"]
mod frame;
#[path = "../../proto-quic/src/limits.rs"]
mod limits;
#[path = "../../proto-quic/src/ranges.rs"]
mod ranges;
#[path = "../../proto-quic/src/spans.rs"]
mod spans;
#[path = "../../proto-quic/src/varint.rs"]
mod varint;

use frame::{Frame, In, next};
use libfuzzer_sys::fuzz_target;
use ranges::Ranges;

/// All frames of a payload with the places where they end; the last one, if it is none.
fn read(payload: &[u8], within: In) -> (Vec<(Frame<'_>, usize)>, Option<error::Violation>) {
    let (mut rest, mut frames) = (payload, Vec::new());
    while !rest.is_empty() {
        let before = rest.len();
        match next(&mut rest, within) {
            Ok(frame) => frames.push((frame, payload.len() - rest.len())),
            Err(violation) => return (frames, Some(violation)),
        }
        assert!(rest.len() < before, "each frame takes something");
    }
    (frames, None)
}

/// A frame that a client says, written; false: it is not one.
fn put(frame: Frame<'_>, out: &mut Vec<u8>) -> bool {
    match frame {
        Frame::Ping => out.push(frame::PING),
        Frame::Stream { id, offset, fin, data } => {
            if data.len() >= 0x4000 {
                return false;
            }
            frame::put_stream_head(out, id, offset, data.len(), fin);
            out.extend_from_slice(data);
        }
        Frame::Crypto { offset, data } => {
            if data.len() >= 0x4000 {
                return false;
            }
            frame::put_crypto_head(out, offset, data.len());
            out.extend_from_slice(data);
        }
        Frame::ResetStream { id, code, size } => frame::put_reset_stream(out, id, code, size),
        Frame::StopSending { id, code } => frame::put_stop_sending(out, id, code),
        Frame::MaxData(limit) => frame::put_max_data(out, limit),
        Frame::MaxStreamData { id, limit } => frame::put_max_stream_data(out, id, limit),
        Frame::MaxStreams { bi, limit } => frame::put_max_streams(out, bi, limit),
        Frame::DataBlocked(limit) => frame::put_data_blocked(out, limit),
        Frame::StreamDataBlocked { id, limit } => frame::put_stream_data_blocked(out, id, limit),
        Frame::StreamsBlocked { bi, limit } => frame::put_streams_blocked(out, bi, limit),
        Frame::RetireConnectionId(sequence) => frame::put_retire_connection_id(out, sequence),
        Frame::PathResponse(data) => frame::put_path_response(out, data),
        Frame::Close { application, code, reason } if reason.len() <= limits::REASON => {
            frame::put_close(out, application, code, reason);
        }
        _ => return false,
    }
    true
}

fn check(frame: Frame<'_>) {
    if let Frame::Ack(ack) = frame {
        let mut above = None;
        for range in ack.ranges() {
            assert!(range.start() <= range.end() && *range.end() <= ack.largest);
            assert!(above.is_none_or(|a| *range.end() + 1 < a), "ranges do not touch");
            above = Some(*range.start());
        }
    }
    let mut out = Vec::new();
    if put(frame, &mut out) {
        assert_eq!(read(&out, In::OneRtt).0, [(frame, out.len())]);
    }
}

/// The bytes as steps between numbers that come, or come again.
fn acknowledge(steps: &[u8]) {
    let (mut ranges, mut came, mut number) = (Ranges::default(), std::collections::BTreeSet::new(), 1000_u64);
    for step in steps {
        match step {
            0..0xe0 => number = number.saturating_add_signed(i64::from(*step as i8)),
            _ => number += u64::from(*step) << (step & 0x1f),
        }
        let (new, fresh) = (ranges.insert(number), came.insert(number));
        // What is new may be given up, as too old; what came is never new.
        assert!(fresh || !new);
        assert!(new || !fresh || came.len() > limits::ACK_RANGES);
        assert!(!ranges.is_new(number));
    }
    for room in [20, 60, 1200] {
        let mut out = Vec::new();
        if !ranges.put_ack(&mut out, 7, None, room) {
            assert!(out.is_empty());
            continue;
        }
        assert!(out.len() <= room);
        let mut rest = &out[..];
        let Ok(Frame::Ack(ack)) = next(&mut rest, In::InitialOrHandshake) else { panic!("no ACK") };
        assert!(rest.is_empty() && Some(ack.largest) == ranges.largest());
        for range in ack.ranges() {
            assert_eq!(came.range(range.clone()).count() as u64, range.end() - range.start() + 1);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    let data = &data[..data.len().min(512)];
    if first & 2 != 0 {
        return acknowledge(data);
    }
    let within = if first & 1 == 0 { In::OneRtt } else { In::InitialOrHandshake };
    let (whole, _) = read(data, within);
    whole.iter().for_each(|(frame, _)| check(*frame));
    for cut in 0..data.len() {
        let (frames, violation) = read(&data[..cut], within);
        let full = whole.iter().take_while(|(_, end)| *end <= cut).count();
        assert_eq!(frames[..full], whole[..full]);
        // Behind them at most what goes on to the end of the packet, whatever that is.
        match (&frames[full..], violation) {
            ([], _) | ([(Frame::Padding(_) | Frame::Stream { .. }, _)], None) => {}
            (rest, violation) => panic!("cut at {cut}: {rest:?} {violation:?}"),
        }
    }
});
