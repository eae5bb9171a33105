//! QPACK: no panic, the same whatever pieces the encoder stream comes in, and what was read can be written and read again.
//!
//! The input is table size (one byte, times 64), then operations: a length (one byte); its lowest bit says whether that
//! many bytes (halved) are encoder stream or a field section.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto_h3::qpack::{self, Decoder, Error};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decode(decoder: &mut Decoder, section: &[u8]) -> Result<Fields, Error> {
    let mut out = Fields::new();
    decoder.decode(section, |n, v| out.push((n.to_vec(), v.to_vec())))?;
    Ok(out)
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, mut rest)) = data.split_first() else { return };
    let size = usize::from(size) * 64;
    let (mut whole, mut cut) = (Decoder::new(size), Decoder::new(size));
    while let Some((&op, after)) = rest.split_first() {
        let (bytes, next) = after.split_at(usize::from(op >> 1).min(after.len()));
        rest = next;
        if op & 1 == 0 {
            let one = whole.handle_encoder_stream(bytes);
            let two = bytes.chunks(1).try_for_each(|b| cut.handle_encoder_stream(b));
            assert_eq!(one, two);
            if one.is_err() {
                return;
            }
            continue;
        }
        let fields = decode(&mut whole, bytes);
        assert_eq!(fields, decode(&mut cut, bytes));
        match fields {
            Ok(fields) => {
                let mut out = Vec::new();
                qpack::put_prefix(&mut out);
                for (i, (name, value)) in fields.iter().enumerate() {
                    qpack::put_field(&mut out, i % 2 == 0, name, value);
                }
                assert_eq!(decode(&mut Decoder::new(0), &out), Ok(fields));
            }
            Err(Error::Blocked) => {}
            Err(_) => return,
        }
    }
});
