//! Decodes field sections, and keeps the dynamic table as the peer's encoder stream says.

use super::integer::{self, take_string};
use super::{Error, static_table};
use proto_h2::hpack::class::{Class, Info};
use proto_h2::hpack::table::{ENTRY_OVERHEAD, Table};

/// The decoding side of a connection's field compression.
///
/// ```
/// let mut decoder = proto_h3::qpack::Decoder::new(4096);
/// let mut seen = Vec::new();
/// decoder.decode(&[0, 0, 0xd1, 0xd9], |name, value| seen.push((name.to_vec(), value.to_vec()))).unwrap();
/// assert_eq!(seen, [(b":method".to_vec(), b"GET".to_vec()), (b":status".to_vec(), b"200".to_vec())]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// What we announced: the largest capacity that the peer may set. It also decides how insert counts wrap.
    limit: usize,
    /// Insertions since the beginning.
    inserted: u64,
    /// Of these, what the peer's encoder knows to have arrived.
    known: u64,
    /// The beginning of an instruction on the encoder stream.
    partial: Vec<u8>,
    scratch: Vec<u8>,
}

/// What is known of a section besides its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// How many insertions it needed. Not 0: it must be acknowledged (RFC 9204 section 2.2.2.1).
    pub(crate) required: u64,
}

/// Counts on which a section's references rest.
#[derive(Clone, Copy)]
struct Frame {
    required: u64,
    base: u64,
}

impl Decoder {
    /// A decoder whose table has this capacity from the start.
    pub fn new(max_size: usize) -> Decoder {
        let mut decoder = Decoder::announcing(max_size);
        decoder.table.set_max(decoder.limit);
        decoder
    }

    /// A decoder for a connection that announces this capacity: it is 0 until the peer's encoder sets another (RFC 9204
    /// section 3.2.3).
    pub fn announcing(max_size: usize) -> Decoder {
        let limit = max_size.min(crate::limits::TABLE);
        Decoder {
            table: Table::new(0),
            limit,
            inserted: 0,
            known: 0,
            partial: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Takes bytes of the peer's encoder stream, cut anywhere. After an error the decoder is of no further use.
    pub fn handle_encoder_stream(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.partial.is_empty() {
            let done = self.instructions(bytes)?;
            self.partial.extend_from_slice(&bytes[done..]);
            return Ok(());
        }
        // A started instruction is short (see `string_limit`), so its bytes are joined and read again.
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let done = self.instructions(&joined)?;
        joined.drain(..done);
        self.partial = joined;
        Ok(())
    }

    /// Decodes one whole field section and calls `field(name, value)` for each field in order. [`Error::Blocked`] says
    /// that it has to wait; after any other error the decoder is of no further use.
    pub fn decode(&mut self, section: &[u8], mut field: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        self.decode_with(section, |_, name, value| field(name, value)).map(|_| ())
    }

    /// How many entries the peer has inserted.
    pub fn inserted(&self) -> u64 {
        self.inserted
    }

    /// Appends what the peer's encoder has to know for a section that was decoded: Section Acknowledgement (section
    /// 4.4.1).
    pub(crate) fn acknowledge(&mut self, stream: u64, section: Section, out: &mut Vec<u8>) {
        if section.required > 0 {
            integer::put(out, 0x80, 7, stream);
            self.known = self.known.max(section.required);
        }
    }

    /// Appends a Stream Cancellation (section 4.4.2): this stream's sections will not be read. Without a table there is
    /// nothing to release (section 2.2.2.2).
    pub(crate) fn cancel(&self, stream: u64, out: &mut Vec<u8>) {
        if self.limit > 0 {
            integer::put(out, 0x40, 6, stream);
        }
    }

    /// Appends an Insert Count Increment (section 4.4.3) for insertions that no acknowledgement told of. To be called once
    /// per batch of input, so that many insertions cost one.
    pub(crate) fn put_increment(&mut self, out: &mut Vec<u8>) {
        if self.inserted > self.known {
            integer::put(out, 0x00, 6, self.inserted - self.known);
            self.known = self.inserted;
        }
    }

    /// Differs from an earlier value if the table changed since.
    pub(crate) fn version(&self) -> u32 {
        self.table.version()
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.table.footprint() + self.scratch.capacity() + self.partial.capacity()
    }
}

/// The encoder stream (section 4.3).
impl Decoder {
    /// Carries out whole instructions; returns the bytes they took.
    fn instructions(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut ahead = rest;
            match self.instruction(&mut ahead) {
                Ok(()) => rest = ahead,
                Err(Error::Truncated) => break,
                Err(e) => return Err(e),
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// The longest coded string that could still fit: a Huffman word has at most 30 bits.
    fn string_limit(&self) -> usize {
        self.table.max() * 4
    }

    fn instruction(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let first = input[0];
        if first & 0x80 != 0 {
            // Insert With Name Reference, 4.3.2.
            let index = integer::take(input, 6)?;
            let value = take_string(input, 7, self.string_limit())?;
            let start = self.table.begin().len();
            if first & 0x40 != 0 {
                let ((name, _), info) = static_table::get(index).ok_or(Error::Index)?;
                self.table.bytes().extend_from_slice(name);
                return self.insert(start, info.class(), value);
            }
            let class = self.copy_name(index, start)?;
            self.insert(start, class, value)
        } else if first & 0x40 != 0 {
            // Insert With Literal Name, 4.3.3.
            let name = take_string(input, 5, self.string_limit())?;
            let value = take_string(input, 7, self.string_limit())?;
            let start = self.table.begin().len();
            name.append_to(self.table.bytes())?;
            let class = Class::of(&self.table.bytes()[start..]);
            self.insert(start, class, value)
        } else if first & 0x20 != 0 {
            // Set Dynamic Table Capacity, 4.3.1.
            let capacity = integer::take(input, 5)?;
            if capacity > self.limit as u64 {
                return Err(Error::Capacity);
            }
            self.table.set_max(capacity as usize);
            Ok(())
        } else {
            // Duplicate, 4.3.4.
            let index = integer::take(input, 5)?;
            let start = self.table.begin().len();
            let class = self.copy_name(index, start)?;
            let place = usize::try_from(index).map_err(|_| Error::Index)?;
            let value = self.table.value_range(place).ok_or(Error::Index)?;
            let name = self.table.bytes().len() - start;
            self.table.bytes().extend_from_within(value);
            self.commit(start, name, class)
        }
    }

    /// Copies the name of an entry (0 is the newest) to the end of the table's buffer, where an entry is being made.
    fn copy_name(&mut self, index: u64, start: usize) -> Result<Class, Error> {
        let place = usize::try_from(index).map_err(|_| Error::Index)?;
        let (range, _) = self.table.name_range(place).ok_or(Error::Index)?;
        self.table.bytes().extend_from_within(range);
        Ok(Class::of(&self.table.bytes()[start..]))
    }

    fn insert(&mut self, start: usize, class: Class, value: integer::Coded<'_>) -> Result<(), Error> {
        let name = self.table.bytes().len() - start;
        value.append_to(self.table.bytes())?;
        self.commit(start, name, class)
    }

    fn commit(&mut self, start: usize, name: usize, class: Class) -> Result<(), Error> {
        let bytes = self.table.bytes();
        let size = bytes.len() - start + ENTRY_OVERHEAD;
        let info = Info::new(class, &bytes[start + name..]);
        if size > self.table.max() {
            return Err(Error::TooLarge);
        }
        self.table.commit(start, name, info);
        self.inserted += 1;
        Ok(())
    }
}

/// Field sections (section 4.5).
impl Decoder {
    /// As [`Decoder::decode`], with what is known about each field.
    #[inline]
    pub(crate) fn decode_with(
        &mut self,
        mut section: &[u8],
        mut visit: impl FnMut(Info, &[u8], &[u8]),
    ) -> Result<Section, Error> {
        let frame = self.prefix(&mut section)?;
        if frame.required > self.inserted {
            return Err(Error::Blocked);
        }
        // The shortest line has one byte, so the loop is bounded by the section.
        while let Some(&b) = section.first() {
            if b & 0xc0 == 0xc0 {
                let index = integer::take(&mut section, 6)?;
                let ((name, value), info) = static_table::get(index).ok_or(Error::Index)?;
                visit(info, name, value);
            } else if b & 0x80 != 0 {
                let relative = integer::take(&mut section, 6)?;
                self.indexed(frame.before_base(relative)?, &mut visit)?;
            } else if b & 0xf0 == 0x10 {
                let index = integer::take(&mut section, 4)?;
                self.indexed(frame.after_base(index)?, &mut visit)?;
            } else {
                self.literal(b, frame, &mut section, &mut visit)?;
            }
        }
        Ok(Section { required: frame.required })
    }

    /// Section 4.5.1.
    #[inline]
    fn prefix(&self, section: &mut &[u8]) -> Result<Frame, Error> {
        let encoded = integer::take(section, 8)?;
        let sign = section.first().is_some_and(|b| b & 0x80 != 0);
        let delta = integer::take(section, 7)?;
        let required = if encoded == 0 { 0 } else { self.required(encoded)? };
        let base = if sign {
            required.checked_sub(delta + 1).ok_or(Error::Prefix)?
        } else {
            required.checked_add(delta).ok_or(Error::Prefix)?
        };
        Ok(Frame { required, base })
    }

    /// Section 4.5.1.1: the count travels modulo twice the number of entries that could fit.
    fn required(&self, encoded: u64) -> Result<u64, Error> {
        let entries = (self.limit / ENTRY_OVERHEAD) as u64;
        let range = 2 * entries;
        if encoded > range {
            return Err(Error::Prefix);
        }
        let largest = self.inserted + entries;
        let mut required = largest / range * range + encoded - 1;
        if required > largest {
            required = required.checked_sub(range).ok_or(Error::Prefix)?;
        }
        if required == 0 { Err(Error::Prefix) } else { Ok(required) }
    }

    /// The place in the table of an absolute index.
    #[inline]
    fn place(&self, absolute: u64) -> Result<usize, Error> {
        // It is below the required count, which is at most `inserted`. Places of evicted entries are beyond the table.
        usize::try_from(self.inserted - 1 - absolute).map_err(|_| Error::Index)
    }

    #[inline]
    fn indexed(&self, absolute: u64, visit: &mut impl FnMut(Info, &[u8], &[u8])) -> Result<(), Error> {
        let entry = self.table.get(self.place(absolute)?).ok_or(Error::Index)?;
        visit(entry.info, entry.name, entry.value);
        Ok(())
    }

    /// Sections 4.5.4 to 4.5.6: plain text is lent from the section itself.
    #[inline]
    fn literal(
        &mut self,
        first: u8,
        frame: Frame,
        section: &mut &[u8],
        visit: &mut impl FnMut(Info, &[u8], &[u8]),
    ) -> Result<(), Error> {
        self.scratch.clear();
        let mut coded_name = 0;
        let (name, class): (&[u8], Option<Class>) = if first & 0x40 != 0 {
            let index = integer::take(section, 4)?;
            if first & 0x10 != 0 {
                let ((name, _), info) = static_table::get(index).ok_or(Error::Index)?;
                (name, Some(info.class()))
            } else {
                let place = self.place(frame.before_base(index)?)?;
                (self.table.get(place).ok_or(Error::Index)?.name, None)
            }
        } else if first & 0x20 != 0 {
            let coded = take_string(section, 3, usize::MAX)?;
            if coded.huffman {
                coded.append_to(&mut self.scratch)?;
                coded_name = self.scratch.len();
            }
            (coded.bytes, None)
        } else {
            let index = integer::take(section, 3)?;
            let place = self.place(frame.after_base(index)?)?;
            (self.table.get(place).ok_or(Error::Index)?.name, None)
        };
        let value = take_string(section, 7, usize::MAX)?;
        if value.huffman {
            value.append_to(&mut self.scratch)?;
        }
        let (scratch_name, scratch_value) = self.scratch.split_at(coded_name);
        let name = if coded_name > 0 { scratch_name } else { name };
        let value = if value.huffman { scratch_value } else { value.bytes };
        let class = class.unwrap_or_else(|| Class::of(name));
        visit(Info::new(class, value), name, value);
        Ok(())
    }
}

impl Frame {
    /// The absolute index of a relative one (section 3.2.5).
    #[inline]
    fn before_base(self, relative: u64) -> Result<u64, Error> {
        let absolute = self.base.checked_sub(relative + 1).ok_or(Error::Index)?;
        self.check(absolute)
    }
    /// The absolute index of a post-base one (section 3.2.6).
    #[inline]
    fn after_base(self, index: u64) -> Result<u64, Error> {
        self.check(self.base.checked_add(index).ok_or(Error::Index)?)
    }
    #[inline]
    fn check(self, absolute: u64) -> Result<u64, Error> {
        if absolute < self.required { Ok(absolute) } else { Err(Error::Index) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9204 appendix B: what goes back on the decoder stream.
    #[test]
    fn acknowledgements_of_appendix_b() {
        let (mut d, mut out) = (Decoder::new(220), Vec::new());
        let inserts = b"\x3f\xbd\x01\xc0\x0fwww.example.com\xc1\x0c/sample/path";
        d.handle_encoder_stream(inserts).unwrap();
        let section = d.decode_with(&[0x03, 0x81, 0x10, 0x11], |_, _, _| {}).unwrap();
        assert_eq!(section, Section { required: 2 });
        d.acknowledge(4, section, &mut out);
        d.put_increment(&mut out);
        assert_eq!(out, [0x84]);
        d.handle_encoder_stream(b"\x4acustom-key\x0ccustom-value").unwrap();
        d.put_increment(&mut out);
        d.cancel(8, &mut out);
        assert_eq!(out, [0x84, 0x01, 0x48]);
        d.put_increment(&mut out);
        assert_eq!(out.len(), 3);
    }

    #[test]
    fn a_section_without_references_is_not_acknowledged() {
        let (mut d, mut out) = (Decoder::new(220), Vec::new());
        let section = d.decode_with(&[0, 0, 0xd9], |_, _, _| {}).unwrap();
        d.acknowledge(4, section, &mut out);
        Decoder::new(0).cancel(8, &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn churn_does_not_grow_the_buffers() {
        let mut d = Decoder::new(4096);
        d.handle_encoder_stream(b"\x3f\xe1\x1f").unwrap();
        for i in 0..50_000u32 {
            let mut insert = b"\x43x-y".to_vec();
            let value = format!("{i:0>width$}", width = (i % 90) as usize);
            integer::put(&mut insert, 0, 7, value.len() as u64);
            insert.extend_from_slice(value.as_bytes());
            let (a, b) = insert.split_at(i as usize % insert.len());
            d.handle_encoder_stream(a).unwrap();
            d.handle_encoder_stream(b).unwrap();
        }
        assert_eq!(d.inserted(), 50_000);
        assert!(d.footprint() < 32 * 1024, "{}", d.footprint());
    }
}
