//! Header blocks of responses: decoded, checked against RFC 9113 section 8, and kept as fields only where wanted.

use crate::fault::{self, Breach};
use crate::head::{Checker, EMPTY, FieldList, Head, Malformed};
use crate::hpack::{self, Decoder};
use crate::limits;

/// Reads header blocks. Servers under load answer with the same block again and again: one that decoded without changing
/// the table decodes to the same as long as the table has not changed, so the last block is remembered.
#[derive(Debug)]
pub(crate) struct HeadReader {
    decoder: Decoder,
    pub(crate) fields: FieldList,
    last_block: Vec<u8>,
    last_head: Head,
    /// The decoder's version after the last block.
    last_version: u32,
    /// `fields` holds the last block's.
    last_listed: bool,
}

impl HeadReader {
    pub(crate) fn new(table_size: u32) -> HeadReader {
        HeadReader {
            decoder: Decoder::announcing(table_size as usize),
            fields: FieldList::default(),
            last_block: Vec::new(),
            last_head: EMPTY,
            last_version: 0,
            last_listed: false,
        }
    }

    /// Decodes a whole block. With `list` its fields without `:status` are in `fields` afterwards.
    #[inline]
    pub(crate) fn read(&mut self, block: &[u8], list: bool) -> Result<Head, hpack::Error> {
        if self.last_block == block
            && self.last_version == self.decoder.version()
            && self.last_listed >= list
            && !block.is_empty()
        {
            return Ok(self.last_head);
        }
        self.read_new(block, list)
    }

    fn read_new(&mut self, block: &[u8], list: bool) -> Result<Head, hpack::Error> {
        let version = self.decoder.version();
        self.fields.clear();
        self.last_block.clear();
        let mut checker = Checker::new();
        let fields = &mut self.fields;
        self.decoder.decode_with(block, |info, name, value| {
            if checker.field(info, name, value) && list {
                fields.push(name, value);
            }
        })?;
        self.last_version = self.decoder.version();
        // A leading size update would be repeated with the block; it changes nothing the second time.
        if self.last_version == version && block.len() <= limits::REMEMBERED_BLOCK {
            self.last_block.extend_from_slice(block);
            self.last_head = checker.head();
            self.last_listed = list;
        }
        Ok(checker.head())
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.decoder.footprint() + self.last_block.capacity() + self.fields.footprint()
    }
}

/// The rule of HTTP/2 that a malformed head breaks.
#[cold]
pub(crate) fn breach_of(malformed: Malformed) -> &'static Breach {
    match malformed {
        Malformed::Value => &fault::FIELD_VALUE,
        Malformed::Pseudo => &fault::PSEUDO_UNKNOWN,
        Malformed::Forbidden => &fault::FIELD_FORBIDDEN,
        Malformed::Name => &fault::FIELD_NAME,
        Malformed::PseudoLate => &fault::PSEUDO_LATE,
        Malformed::StatusTwice => &fault::STATUS_TWICE,
        Malformed::Status => &fault::STATUS_ILLEGAL,
        Malformed::Length => &fault::LENGTH_ILLEGAL,
        Malformed::LengthTwice => &fault::LENGTH_TWICE,
        Malformed::TooLarge => &fault::LIST_TOO_LARGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Fields;

    fn read(fields: &[(&str, &str)]) -> Head {
        let mut block = Vec::new();
        let mut encoder = hpack::Encoder::new(4096);
        for (n, v) in fields {
            encoder.field(n.as_bytes(), v.as_bytes(), hpack::Indexing::Without, &mut block);
        }
        HeadReader::new(4096).read(&block, true).unwrap()
    }

    #[test]
    fn a_head_is_read_and_checked() {
        let h = read(&[(":status", "200"), ("content-length", "12"), ("x", "y")]);
        assert_eq!((h.status, h.length, h.decoded, h.malformed), (200, 12, 7 + 3 + 14 + 2 + 2, None));
        let bad: &[&[(&str, &str)]] = &[
            &[("x", "y"), (":status", "200")],
            &[(":status", "200"), (":status", "200")],
            &[(":status", "20")],
            &[(":status", "200"), ("X", "y")],
            &[(":status", "200"), ("x", "y\n")],
            &[(":status", "200"), ("connection", "close")],
            &[(":status", "200"), ("te", "gzip")],
            &[(":status", "200"), (":path", "/")],
            &[(":status", "200"), ("content-length", "1"), ("content-length", "2")],
            &[(":status", "200"), ("content-length", "-1")],
            &[(":status", "200"), ("content-length", "99999999999999999999")],
        ];
        for fields in bad {
            assert!(read(fields).malformed.is_some(), "{fields:?}");
        }
        assert!(
            read(&[(":status", "200"), ("content-length", "1"), ("content-length", "1")]).malformed.is_none()
        );
    }

    #[test]
    fn a_remembered_block_means_what_it_meant() {
        let mut r = HeadReader::new(4096);
        let insert = b"\x88\x40\x01a\x01b";
        let repeat = b"\x88\xbe";
        r.read(insert, false).unwrap();
        let first = r.read(repeat, false).unwrap();
        assert_eq!(r.read(repeat, false).unwrap(), first);
        // Fields were not listed then; now they are.
        assert_eq!(r.read(repeat, true).unwrap(), first);
        assert_eq!(r.fields.count(), 1);
        // The same bytes mean another field after an insertion.
        r.read(b"\x88\x40\x03abc\x01b", false).unwrap();
        assert_eq!(r.read(repeat, true).unwrap().decoded, first.decoded + 2);
        r.fields.each(&mut |n, _| assert_eq!(n, b"abc"));
    }

    #[test]
    fn a_bomb_is_counted_and_not_kept() {
        let mut r = HeadReader::new(4096);
        let mut block = b"\x88\x40\x01a\x7f\xa1\x1e".to_vec();
        block.extend(vec![b'x'; 127 + 0x21 + 0x1e * 128]);
        r.read(&block, false).unwrap();
        let mut bomb = vec![0xbe; 200_000];
        bomb[0] = 0x88;
        let head = r.read(&bomb, true).unwrap();
        assert!(head.too_large && head.decoded > 700_000_000);
        assert!(r.footprint() < 1 << 20, "{}", r.footprint());
    }
}
