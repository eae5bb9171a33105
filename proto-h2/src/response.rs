//! Header blocks of responses: decoded, checked against RFC 9113 section 8, and kept as fields only where wanted.

use crate::fault::{self, Breach};
use crate::hpack::class::{Class, Info};
use crate::hpack::{self, Decoder};
use crate::limits;
use crate::streams::NO_LENGTH;
use proto::Fields;

/// What a block says, as far as the connection cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// `:status`, or 0.
    pub(crate) status: u16,
    /// `content-length`, or [`NO_LENGTH`].
    pub(crate) length: u64,
    /// Bytes of all names and values.
    pub(crate) decoded: u64,
    /// The list is larger than [`limits::HEADER_LIST`].
    pub(crate) too_large: bool,
    /// The first rule broken.
    pub(crate) malformed: Option<&'static Breach>,
}

const EMPTY: Head = Head { status: 0, length: NO_LENGTH, decoded: 0, too_large: false, malformed: None };

/// Fields in one buffer.
#[derive(Debug, Default)]
pub(crate) struct FieldList {
    bytes: Vec<u8>,
    /// Ends of name and value.
    ends: Vec<(u32, u32)>,
}

impl FieldList {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        if self.bytes.capacity() > limits::KEPT_CAPACITY {
            *self = FieldList::default();
        }
    }
    fn push(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.ends.push((name_end, self.bytes.len() as u32));
    }
}

impl Fields for FieldList {
    fn each(&self, f: &mut dyn FnMut(&[u8], &[u8])) {
        let mut start = 0;
        for &(name_end, end) in &self.ends {
            f(&self.bytes[start as usize..name_end as usize], &self.bytes[name_end as usize..end as usize]);
            start = end;
        }
    }
    fn count(&self) -> usize {
        self.ends.len()
    }
}

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
        let mut checker = Checker { head: EMPTY, size: 0, regular: false };
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
            self.last_head = checker.head;
            self.last_listed = list;
        }
        Ok(checker.head)
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.decoder.footprint()
            + self.last_block.capacity()
            + self.fields.bytes.capacity()
            + self.fields.ends.capacity() * 8
    }
}

/// Looks at the fields of one block in order.
struct Checker {
    head: Head,
    /// As RFC 9113 section 6.5.2 counts.
    size: u64,
    /// A field that is not a pseudo field came.
    regular: bool,
}

impl Checker {
    /// Takes note of a field; returns whether a list should hold it.
    #[inline]
    fn field(&mut self, info: Info, name: &[u8], value: &[u8]) -> bool {
        let len = (name.len() + value.len()) as u64;
        self.head.decoded += len;
        self.size += len + 32;
        let problem = match info.class() {
            Class::Plain => {
                self.regular = true;
                (!info.value_ok()).then_some(&fault::FIELD_VALUE)
            }
            Class::Status => {
                return self.status(info);
            }
            Class::ContentLength => self.content_length(value),
            Class::Pseudo => Some(&fault::PSEUDO_UNKNOWN),
            Class::Forbidden | Class::Te => Some(&fault::FIELD_FORBIDDEN),
            Class::BadName => Some(&fault::FIELD_NAME),
        };
        if problem.is_some() {
            self.malformed(problem);
        }
        if self.size > limits::HEADER_LIST {
            self.head.too_large = true;
        }
        !self.head.too_large
    }

    fn malformed(&mut self, problem: Option<&'static Breach>) {
        self.head.malformed = self.head.malformed.or(problem);
    }

    #[inline]
    fn status(&mut self, info: Info) -> bool {
        let problem = if self.regular {
            Some(&fault::PSEUDO_LATE)
        } else if self.head.status != 0 {
            Some(&fault::STATUS_TWICE)
        } else if info.status_code() == 0 {
            Some(&fault::STATUS_ILLEGAL)
        } else {
            None
        };
        if problem.is_some() {
            self.malformed(problem);
        }
        self.head.status = info.status_code();
        false
    }

    fn content_length(&mut self, value: &[u8]) -> Option<&'static Breach> {
        self.regular = true;
        let Some(length) = parse_length(value) else {
            return Some(&fault::LENGTH_ILLEGAL);
        };
        if self.head.length != NO_LENGTH && self.head.length != length {
            return Some(&fault::LENGTH_TWICE);
        }
        self.head.length = length;
        None
    }
}

/// Digits only, below 2^63 so that no sum overflows and [`NO_LENGTH`] is never a length.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value.iter().try_fold(0u64, |n, &b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

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
