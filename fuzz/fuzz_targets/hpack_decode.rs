//! Header blocks: no panic, bounded memory, the fields add up, and what was read can be written and read again.
//!
//! The input is table size (one byte, times 64), then blocks with their length (one byte) in front.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto_h2::hpack::{Decoder, Encoder, Indexing};

fuzz_target!(|data: &[u8]| {
    let Some((&size, mut rest)) = data.split_first() else { return };
    let size = usize::from(size) * 64;
    let (mut decoder, mut again, mut encoder) = (Decoder::new(size), Decoder::new(4096), Encoder::new(4096));
    while let Some((&len, after)) = rest.split_first() {
        let (block, next) = after.split_at(usize::from(len).min(after.len()));
        rest = next;
        let mut fields = Vec::new();
        if decoder.decode(block, |n, v| fields.push((n.to_vec(), v.to_vec()))).is_err() {
            return;
        }
        let mut out = Vec::new();
        encoder.begin(&mut out);
        for (i, (name, value)) in fields.iter().enumerate() {
            let indexing = [Indexing::Allowed, Indexing::Without, Indexing::Never][(i + block.len()) % 3];
            encoder.field(name, value, indexing, &mut out);
        }
        let mut same = Vec::new();
        again.decode(&out, |n, v| same.push((n.to_vec(), v.to_vec()))).expect("our own block");
        assert_eq!(same, fields);
    }
});
