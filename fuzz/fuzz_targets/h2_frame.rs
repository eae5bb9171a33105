//! Frame headers and payloads: no panic, and what is accepted is within its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto_h2::frame::{Frame, FrameHeader, unpad};

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Some((head, after)) = rest.split_first_chunk::<9>() {
        let header = FrameHeader::parse(head);
        assert_eq!(FrameHeader::parse(&header.bytes()), header);
        let len = (header.len as usize).min(after.len());
        let header = FrameHeader { len: len as u32, ..header };
        let (payload, next) = after.split_at(len);
        if header.check(16_384).is_ok() {
            let _ = unpad(header, payload).map(|content| assert!(content.len() <= len));
            if let Ok(Frame::Settings { entries }) = Frame::parse(header, payload) {
                assert!(entries.len().is_multiple_of(6));
            }
        }
        rest = next;
    }
});
