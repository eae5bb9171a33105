//! Variable-length integers (RFC 9000 section 16). HTTP/3 writes its own with these, too.

use bytes::BufMut;

/// The largest.
pub const MAX: u64 = (1 << 62) - 1;

/// How many bytes a number takes.
#[inline]
pub const fn size(v: u64) -> usize {
    match v {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends a number of at most [`MAX`].
#[inline]
pub fn put(out: &mut impl BufMut, v: u64) {
    match v {
        0..=0x3f => out.put_u8(v as u8),
        0x40..=0x3fff => out.put_u16(v as u16 | 0x4000),
        0x4000..=0x3fff_ffff => out.put_u32(v as u32 | 0x8000_0000),
        _ => out.put_u64(v.min(MAX) | 0xc000_0000_0000_0000),
    }
}

/// Takes a number off the front; `None`: it is not all there.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.first()?;
    let v = match first >> 6 {
        0 => {
            *bytes = &bytes[1..];
            return Some(u64::from(first));
        }
        1 => {
            let (b, rest) = bytes.split_first_chunk::<2>()?;
            *bytes = rest;
            u64::from(u16::from_be_bytes(*b)) & 0x3fff
        }
        2 => {
            let (b, rest) = bytes.split_first_chunk::<4>()?;
            *bytes = rest;
            u64::from(u32::from_be_bytes(*b)) & 0x3fff_ffff
        }
        _ => {
            let (b, rest) = bytes.split_first_chunk::<8>()?;
            *bytes = rest;
            u64::from_be_bytes(*b) & MAX
        }
    };
    Some(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9000 appendix A.1.
    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            let mut rest = bytes;
            assert_eq!((take(&mut rest), rest.len(), size(value)), (Some(value), 0, bytes.len()));
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out, bytes);
            (0..bytes.len()).for_each(|n| assert_eq!(take(&mut &bytes[..n]), None));
        }
        assert_eq!(take(&mut &[0x40, 0x25][..]), Some(37));
    }
}
