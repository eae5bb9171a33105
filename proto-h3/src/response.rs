//! Header sections of responses: decoded, checked, and kept as fields only where wanted.

use crate::limits;
use crate::qpack::{self, Decoder, Section};
use proto_h2::head::{Checker, FieldList, Head};

/// Reads header sections. Servers under load answer with the same section again and again: one that refers to no dynamic
/// entry always decodes to the same, one that does as long as the table has not changed, so the last one is remembered.
#[derive(Debug)]
pub(crate) struct HeadReader {
    pub(crate) decoder: Decoder,
    pub(crate) fields: FieldList,
    last: Vec<u8>,
    last_head: Head,
    last_section: Section,
    /// The decoder's version then.
    last_version: u32,
    /// `fields` holds the last section's.
    last_listed: bool,
}

impl HeadReader {
    pub(crate) fn new(table_size: u32) -> HeadReader {
        HeadReader {
            decoder: Decoder::announcing(table_size as usize),
            fields: FieldList::default(),
            last: Vec::new(),
            last_head: Checker::new().head(),
            last_section: Section { required: 0 },
            last_version: 0,
            last_listed: false,
        }
    }

    /// Decodes a whole section. With `list` its fields without `:status` are in `fields` afterwards.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8], list: bool) -> Result<(Head, Section), qpack::Error> {
        if self.last == bytes
            && (self.last_section.required == 0 || self.last_version == self.decoder.version())
            && self.last_listed >= list
            && !bytes.is_empty()
        {
            return Ok((self.last_head, self.last_section));
        }
        self.read_new(bytes, list)
    }

    fn read_new(&mut self, bytes: &[u8], list: bool) -> Result<(Head, Section), qpack::Error> {
        self.fields.clear();
        self.last.clear();
        let mut checker = Checker::new();
        let fields = &mut self.fields;
        let section = self.decoder.decode_with(bytes, |info, name, value| {
            if checker.field(info, name, value) && list {
                fields.push(name, value);
            }
        })?;
        if bytes.len() <= limits::REMEMBERED_SECTION {
            self.last.extend_from_slice(bytes);
            self.last_head = checker.head();
            self.last_section = section;
            self.last_version = self.decoder.version();
            self.last_listed = list;
        }
        Ok((checker.head(), section))
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.decoder.footprint() + self.last.capacity() + self.fields.footprint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Fields;

    #[test]
    fn a_remembered_section_means_what_it_meant() {
        let mut r = HeadReader::new(4096);
        r.decoder.handle_encoder_stream(b"\x3f\xe1\x1f\x41a\x01b").unwrap();
        let repeat = b"\x02\x00\xd9\x80";
        let first = r.read(repeat, false).unwrap();
        assert_eq!((first.0.status, first.1.required), (200, 1));
        // Fields were not listed then; now they are.
        assert_eq!(r.read(repeat, true).unwrap(), first);
        assert_eq!(r.fields.count(), 1);
        // The capacity falls and rises again: the entry is gone.
        r.decoder.handle_encoder_stream(b"\x20\x3f\xe1\x1f").unwrap();
        assert_eq!(r.read(repeat, true), Err(qpack::Error::Index));
        // A section without references means the same for ever.
        let plain = b"\x00\x00\xd9";
        let first = r.read(plain, true).unwrap();
        r.decoder.handle_encoder_stream(b"\x41a\x01b").unwrap();
        assert_eq!(r.read(plain, true).unwrap(), first);
    }
}
