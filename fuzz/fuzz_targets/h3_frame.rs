//! The cutter of frames: no panic, the same whatever pieces the bytes come in, and every frame has a rule.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto_h3::frame::{Item, Reader, on_control, on_request, put_varint, take_varint};

/// Frames with what is there of their payload, and whether the bytes end between two.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<(u64, u64, Vec<u8>)>, bool) {
    let (mut reader, mut out) = (Reader::new(), Vec::<(u64, u64, Vec<u8>)>::new());
    for mut piece in pieces {
        while let Some(item) = reader.next(&mut piece) {
            match item {
                Item::Frame { kind, len } => {
                    let _ = (on_request(kind), on_control(kind, out.is_empty()));
                    out.push((kind, len, Vec::new()));
                }
                Item::Payload { bytes, last } => {
                    let frame = out.last_mut().expect("a payload belongs to a frame");
                    frame.2.extend_from_slice(bytes);
                    assert_eq!(last, frame.2.len() as u64 == frame.1);
                }
            }
        }
        assert!(piece.is_empty(), "the reader takes all it is given");
    }
    (out, reader.is_between_frames())
}

fuzz_target!(|data: &[u8]| {
    let Some((&n, data)) = data.split_first() else { return };
    let whole = read([data].into_iter());
    assert_eq!(whole, read(data.chunks(1)));
    assert_eq!(whole, read(data.chunks(usize::from(n).max(1))));
    let mut rest = data;
    while let Some(value) = take_varint(&mut rest) {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        assert_eq!(take_varint(&mut &out[..]), Some(value));
    }
});
