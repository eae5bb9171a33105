//! Decodes header blocks. Keeps the dynamic table and a scratch for Huffman text, nothing else.

use super::class::{Class, Info};
use super::table::Table;
use super::{DEFAULT_TABLE_SIZE, Error, integer, static_table};

/// The decoding side of a connection's header compression.
///
/// ```
/// let mut decoder = proto_h2::hpack::Decoder::new(4096);
/// let mut seen = Vec::new();
/// decoder.decode(&[0x82, 0x88], |name, value| seen.push((name.to_vec(), value.to_vec()))).unwrap();
/// assert_eq!(seen, [(b":method".to_vec(), b"GET".to_vec()), (b":status".to_vec(), b"200".to_vec())]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// What we announced: the largest size an update may set.
    limit: usize,
    /// We announced less than the size in force: an update must come before the table is used (RFC 7541 section 4.2).
    update_due: bool,
    scratch: Vec<u8>,
}

impl Decoder {
    /// A decoder whose table has this size from the start.
    pub fn new(max_size: usize) -> Decoder {
        Decoder { table: Table::new(max_size), limit: max_size, update_due: false, scratch: Vec::new() }
    }

    /// A decoder for a connection that announces `limit` before the first block: the peer's encoder starts at the default
    /// and says by an update when it takes more, or must take less.
    pub(crate) fn announcing(limit: usize) -> Decoder {
        let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
        decoder.set_max_size(limit);
        decoder
    }

    /// A new limit was announced and acknowledged. A smaller one takes effect at once and obliges the peer to an update
    /// before it uses the table; a larger one takes effect with the peer's update.
    pub fn set_max_size(&mut self, max_size: usize) {
        self.limit = max_size;
        if max_size < self.table.max() {
            self.table.set_max(max_size);
            self.update_due = true;
        }
    }

    /// Decodes one whole header block and calls `field(name, value)` for each field in order. After an error the decoder
    /// is of no further use.
    pub fn decode(&mut self, block: &[u8], mut field: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        self.decode_with(block, |_, name, value| field(name, value))
    }

    /// Differs from an earlier value if the table changed since.
    pub(crate) fn version(&self) -> u32 {
        self.table.version()
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.table.footprint() + self.scratch.capacity()
    }

    /// As [`Decoder::decode`], with what is known about each field.
    #[inline]
    pub(crate) fn decode_with(
        &mut self,
        mut block: &[u8],
        mut visit: impl FnMut(Info, &[u8], &[u8]),
    ) -> Result<(), Error> {
        // Several updates may lead a block (section 4.2), nowhere else. The shortest field has one byte, so the loop is
        // bounded by the block.
        while let Some(&b) = block.first()
            && b & 0xe0 == 0x20
        {
            self.resize(integer::take(&mut block, 5)?)?;
        }
        while let Some(&b) = block.first() {
            if b & 0x80 != 0 {
                self.indexed(integer::take(&mut block, 7)?, &mut visit)?;
            } else if b & 0x40 != 0 {
                self.insert(&mut block, &mut visit)?;
            } else if b & 0x20 != 0 {
                return Err(Error::TableSize);
            } else {
                self.literal(&mut block, &mut visit)?;
            }
        }
        Ok(())
    }

    fn resize(&mut self, size: usize) -> Result<(), Error> {
        if size > self.limit {
            return Err(Error::TableSize);
        }
        self.update_due = false;
        if size != self.table.max() {
            self.table.set_max(size);
        }
        Ok(())
    }

    /// The place in the dynamic table that a wire index beyond the static table means.
    #[inline]
    fn place(&self, index: usize) -> Result<usize, Error> {
        if self.update_due {
            return Err(Error::TableSize);
        }
        index.checked_sub(static_table::LEN + 1).ok_or(Error::Index)
    }

    /// Section 6.1.
    #[inline]
    fn indexed(&self, index: usize, visit: &mut impl FnMut(Info, &[u8], &[u8])) -> Result<(), Error> {
        if let Some(((name, value), info)) = static_table::get(index) {
            visit(info, name, value);
            return Ok(());
        }
        let entry = self.table.get(self.place(index)?).ok_or(Error::Index)?;
        visit(entry.info, entry.name, entry.value);
        Ok(())
    }

    /// Section 6.2.1: name and value go straight into the table's buffer.
    fn insert(&mut self, block: &mut &[u8], visit: &mut impl FnMut(Info, &[u8], &[u8])) -> Result<(), Error> {
        if self.update_due {
            return Err(Error::TableSize);
        }
        let index = integer::take(block, 6)?;
        let start = self.table.begin().len();
        let class = if index == 0 {
            let bytes = self.table.bytes();
            integer::take_string(block)?.append_to(bytes)?;
            Class::of(&bytes[start..])
        } else if let Some(((name, _), info)) = static_table::get(index) {
            self.table.bytes().extend_from_slice(name);
            info.class()
        } else {
            let (range, _) = self.table.name_range(self.place(index)?).ok_or(Error::Index)?;
            let bytes = self.table.bytes();
            bytes.extend_from_within(range);
            Class::of(&bytes[start..])
        };
        let bytes = self.table.bytes();
        let name = bytes.len() - start;
        integer::take_string(block)?.append_to(bytes)?;
        let (n, v) = bytes[start..].split_at(name);
        let info = Info::new(class, v);
        visit(info, n, v);
        self.table.commit(start, name, info);
        Ok(())
    }

    /// Sections 6.2.2 and 6.2.3: nothing is kept, plain text is lent from the block itself.
    #[inline]
    fn literal(
        &mut self,
        block: &mut &[u8],
        visit: &mut impl FnMut(Info, &[u8], &[u8]),
    ) -> Result<(), Error> {
        let index = integer::take(block, 4)?;
        self.scratch.clear();
        let mut coded_name = 0;
        let (name, class): (&[u8], Option<Class>) = if index == 0 {
            let coded = integer::take_string(block)?;
            if coded.huffman {
                coded.append_to(&mut self.scratch)?;
                coded_name = self.scratch.len();
            }
            (coded.bytes, None)
        } else if let Some(((name, _), info)) = static_table::get(index) {
            (name, Some(info.class()))
        } else {
            (self.table.get(self.place(index)?).ok_or(Error::Index)?.name, None)
        };
        let value = integer::take_string(block)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Error> {
        let mut out = Vec::new();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        decoder.decode(block, |n, v| out.push((text(n), text(v))))?;
        Ok(out)
    }

    #[test]
    fn an_entry_larger_than_the_table_empties_it() {
        let mut d = Decoder::new(64);
        fields(&mut d, b"\x40\x01a\x01b").unwrap();
        assert_eq!(fields(&mut d, b"\xbe").unwrap(), [("a".into(), "b".into())]);
        let mut block = b"\x40\x01c\x40".to_vec();
        block.extend([b'x'; 64]);
        fields(&mut d, &block).unwrap();
        assert_eq!(fields(&mut d, b"\xbe"), Err(Error::Index));
    }

    #[test]
    fn a_name_may_come_from_the_entry_that_its_insertion_evicts() {
        let mut d = Decoder::new(40);
        fields(&mut d, b"\x40\x04name\x04aaaa").unwrap();
        assert_eq!(fields(&mut d, b"\x7e\x04bbbb").unwrap(), [("name".into(), "bbbb".into())]);
        assert_eq!(fields(&mut d, b"\xbe").unwrap(), [("name".into(), "bbbb".into())]);
        assert_eq!(fields(&mut d, b"\xbf"), Err(Error::Index));
    }

    #[test]
    fn size_updates_stand_first_and_stay_within_the_limit() {
        let mut d = Decoder::new(100);
        assert!(fields(&mut d, &[0x20, 0x3f, 0x45, 0x88]).is_ok());
        assert_eq!(fields(&mut d, &[0x88, 0x20]), Err(Error::TableSize));
        assert_eq!(fields(&mut Decoder::new(100), &[0x3f, 0x46]), Err(Error::TableSize));
        // A larger limit takes effect with the update only.
        let mut d = Decoder::announcing(8192);
        assert_eq!(d.table.max(), 4096);
        fields(&mut d, &[0x3f, 0xe1, 0x3f]).unwrap();
        assert_eq!(d.table.max(), 8192);
    }

    #[test]
    fn a_smaller_table_must_be_acknowledged_before_it_is_used() {
        let mut d = Decoder::announcing(0);
        assert_eq!(fields(&mut d, &[0x88]).unwrap().len(), 1);
        assert_eq!(fields(&mut d, b"\x40\x01a\x01b"), Err(Error::TableSize));
        let mut d = Decoder::announcing(0);
        assert!(fields(&mut d, b"\x20\x40\x01a\x01b").is_ok());
        let mut d = Decoder::new(4096);
        fields(&mut d, b"\x40\x01a\x01b").unwrap();
        d.set_max_size(1000);
        assert_eq!(fields(&mut d, b"\xbe"), Err(Error::TableSize));
    }

    #[test]
    fn churn_does_not_grow_the_buffer() {
        let mut d = Decoder::new(4096);
        for i in 0..100_000u32 {
            let v = format!("{i:0>width$}", width = (i % 90) as usize);
            let mut block = b"\x40\x03x-y".to_vec();
            integer::put_plain(&mut block, v.as_bytes());
            fields(&mut d, &block).unwrap();
        }
        assert!(d.footprint() < 16 * 1024, "{}", d.footprint());
    }

    #[test]
    fn a_block_cut_anywhere_is_an_error_or_shorter() {
        let block = b"\x88\x40\x03x-y\x85\xaa\xaa\xaa\xaa\x07\x0f\x0d\x02\x31\x30\x10\x01z\x00";
        for cut in 0..block.len() {
            let _ = fields(&mut Decoder::new(4096), &block[..cut]);
        }
    }
}
