//! Integers and strings of QPACK (RFC 9204 section 4.1): those of HPACK, but of up to 62 bits and with string prefixes of
//! any width.

use super::Error;
use proto_h2::hpack::huffman;

/// Takes an integer with a prefix of `prefix` bits off the front.
#[inline]
pub(super) fn take(input: &mut &[u8], prefix: u32) -> Result<u64, Error> {
    let (&first, rest) = input.split_first().ok_or(Error::Truncated)?;
    *input = rest;
    let mask = 0xff_u8 >> (8 - prefix);
    if first & mask != mask {
        return Ok(u64::from(first & mask));
    }
    take_long(input, u64::from(mask))
}

/// Continuation bytes. Nine of them reach 2^63; section 4.1.1 asks for 62 bits, and more bytes are refused whatever they
/// hold, so that leading zeros cannot keep us busy.
fn take_long(input: &mut &[u8], mask: u64) -> Result<u64, Error> {
    let mut value = mask;
    for shift in (0..63).step_by(7) {
        let (&b, rest) = input.split_first().ok_or(Error::Truncated)?;
        *input = rest;
        value = value.checked_add(u64::from(b & 0x7f) << shift).ok_or(Error::Integer)?;
        if b & 0x80 == 0 {
            return if value < 1 << 62 { Ok(value) } else { Err(Error::Integer) };
        }
    }
    Err(Error::Integer)
}

/// A string as it stands in the input.
#[derive(Clone, Copy)]
pub(super) struct Coded<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) huffman: bool,
}

impl Coded<'_> {
    /// Appends the text.
    #[inline]
    pub(super) fn append_to(self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.huffman {
            return huffman::decode(self.bytes, out).map_err(|_| Error::Huffman);
        }
        out.extend_from_slice(self.bytes);
        Ok(())
    }
}

/// Takes a string off the front whose length has a prefix of `prefix` bits, with the Huffman bit above it. One longer than
/// `max` is refused before its bytes are there.
#[inline]
pub(super) fn take_string<'a>(input: &mut &'a [u8], prefix: u32, max: usize) -> Result<Coded<'a>, Error> {
    let huffman = input.first().is_some_and(|b| b >> prefix & 1 != 0);
    let len = take(input, prefix)?;
    if len > max as u64 {
        return Err(Error::TooLarge);
    }
    let (bytes, rest) = input.split_at_checked(len as usize).ok_or(Error::Truncated)?;
    *input = rest;
    Ok(Coded { bytes, huffman })
}

/// Appends an integer whose first byte carries `tag` above a prefix of `prefix` bits.
pub(super) fn put(out: &mut Vec<u8>, tag: u8, prefix: u32, value: u64) {
    let mask = 0xff_u8 >> (8 - prefix);
    if value < u64::from(mask) {
        out.push(tag | value as u8);
        return;
    }
    out.push(tag | mask);
    let mut rest = value - u64::from(mask);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a string, Huffman coded where that is shorter; the Huffman bit is the one above the prefix.
pub(super) fn put_string(out: &mut Vec<u8>, tag: u8, prefix: u32, text: &[u8]) {
    let coded = huffman::encoded_len(text);
    if coded < text.len() {
        put(out, tag | 1 << prefix, prefix, coded as u64);
        huffman::encode(text, out);
    } else {
        put(out, tag, prefix, text.len() as u64);
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back_at_the_edges() {
        for prefix in 3..=8 {
            for base in [0u64, 1, 127, 255, 16_384, 1 << 28, 1 << 35, 1 << 49, (1 << 62) - 3] {
                for v in base.saturating_sub(2)..=base + 2 {
                    let mut out = Vec::new();
                    put(&mut out, 0, prefix, v);
                    assert_eq!(take(&mut &out[..], prefix), Ok(v));
                    for cut in 0..out.len() {
                        assert_eq!(take(&mut &out[..cut], prefix), Err(Error::Truncated));
                    }
                }
            }
        }
    }

    #[test]
    fn integers_beyond_62_bits_and_endless_ones_are_refused() {
        let mut out = Vec::new();
        put(&mut out, 0, 8, 1 << 62);
        assert_eq!(take(&mut &out[..], 8), Err(Error::Integer));
        let endless = [0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
        assert_eq!(take(&mut &endless[..], 8), Err(Error::Integer));
    }

    #[test]
    fn strings_come_back() {
        for text in [&b""[..], b"a", b"www.example.com", b"\xff\x00\n", &[b'x'; 300]] {
            for prefix in [3, 5, 7] {
                let mut out = Vec::new();
                put_string(&mut out, 0, prefix, text);
                let (mut input, mut back) = (&out[..], Vec::new());
                take_string(&mut input, prefix, 1000).unwrap().append_to(&mut back).unwrap();
                assert_eq!((&back[..], input.len()), (text, 0));
                if text.len() > 10 {
                    assert!(matches!(take_string(&mut &out[..], prefix, 5), Err(Error::TooLarge)));
                }
            }
        }
    }
}
