//! Integers and strings of HPACK (RFC 7541 sections 5.1 and 5.2).

use super::{Error, huffman};

/// Takes an integer with a prefix of `prefix` bits off the front.
#[inline]
pub(super) fn take(block: &mut &[u8], prefix: u32) -> Result<usize, Error> {
    let (&first, rest) = block.split_first().ok_or(Error::Truncated)?;
    *block = rest;
    let mask = 0xff_u8 >> (8 - prefix);
    if first & mask != mask {
        return Ok(usize::from(first & mask));
    }
    take_long(block, usize::from(mask))
}

/// Continuation bytes. Four of them reach 2^28, more than any block this side accepts; more are refused, whatever they
/// hold, so that leading zeros cannot keep us busy.
fn take_long(block: &mut &[u8], mask: usize) -> Result<usize, Error> {
    let mut value = mask;
    for shift in [0, 7, 14, 21, 28] {
        let (&b, rest) = block.split_first().ok_or(Error::Truncated)?;
        *block = rest;
        if shift == 28 && b > 0x0f {
            return Err(Error::Integer);
        }
        value = value.checked_add(usize::from(b & 0x7f) << shift).ok_or(Error::Integer)?;
        if b & 0x80 == 0 {
            return if value <= u32::MAX as usize { Ok(value) } else { Err(Error::Integer) };
        }
    }
    Err(Error::Integer)
}

/// A string as it stands in the block.
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
            return huffman::decode(self.bytes, out);
        }
        out.extend_from_slice(self.bytes);
        Ok(())
    }
}

/// Takes a string off the front.
#[inline]
pub(super) fn take_string<'a>(block: &mut &'a [u8]) -> Result<Coded<'a>, Error> {
    let huffman = block.first().is_some_and(|b| b & 0x80 != 0);
    let len = take(block, 7)?;
    let (bytes, rest) = block.split_at_checked(len).ok_or(Error::Truncated)?;
    *block = rest;
    Ok(Coded { bytes, huffman })
}

/// Appends an integer whose first byte carries `tag` above a prefix of `prefix` bits.
#[inline]
pub fn put(out: &mut Vec<u8>, tag: u8, prefix: u32, value: usize) {
    let mask = 0xff_u8 >> (8 - prefix);
    if value < usize::from(mask) {
        out.push(tag | value as u8);
        return;
    }
    out.push(tag | mask);
    let mut rest = value - usize::from(mask);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a string, Huffman coded where that is shorter.
pub fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    let coded = huffman::encoded_len(text);
    if coded < text.len() {
        put(out, 0x80, 7, coded);
        huffman::encode(text, out);
    } else {
        put_plain(out, text);
    }
}

/// Appends a string as it is: what is rendered per request is not worth the time of coding.
pub fn put_plain(out: &mut Vec<u8>, text: &[u8]) {
    put(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_appendix_c_1() {
        let mut out = Vec::new();
        put(&mut out, 0, 5, 10);
        put(&mut out, 0, 5, 1337);
        put(&mut out, 0, 8, 42);
        assert_eq!(out, [0x0a, 0x1f, 0x9a, 0x0a, 0x2a]);
        let mut b = &out[..];
        assert_eq!((take(&mut b, 5), take(&mut b, 5), take(&mut b, 8)), (Ok(10), Ok(1337), Ok(42)));
        assert!(b.is_empty());
    }

    #[test]
    fn integers_come_back_at_the_edges() {
        for prefix in 1..=8 {
            for base in
                [0usize, 1, 127, 128, 254, 255, 256, 16383, 16384, 1 << 21, 1 << 28, u32::MAX as usize]
            {
                for v in base.saturating_sub(2)..=(base + 2).min(u32::MAX as usize) {
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
    fn integers_beyond_32_bits_and_endless_ones_are_refused() {
        assert_eq!(take(&mut &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x10][..], 7), Err(Error::Integer));
        assert_eq!(take(&mut &[0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f][..], 7), Err(Error::Integer));
        assert_eq!(take(&mut &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..], 7), Err(Error::Integer));
    }
}
