//! The decoder's dynamic table (RFC 7541 section 2.3.2): entries newest first, their bytes in one buffer.
//!
//! The buffer is written at its end and its dead front is dropped now and then, so names and values stay in one piece
//! and can be lent. Nothing is allocated before the first insertion, nothing at all once the buffer has its size: at most
//! twice the table plus one block.

use super::class::Info;
use std::collections::VecDeque;
use std::ops::Range;

/// What RFC 7541 section 4.1 counts for an entry beside its bytes.
pub const ENTRY_OVERHEAD: usize = 32;
/// Dead bytes tolerated in front of the live ones, beside as many as are live: below that, moving is not worth a look.
const SLACK: usize = 512;

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    name: u32,
    value: u32,
    info: Info,
}

impl Entry {
    fn size(&self) -> usize {
        self.name as usize + self.value as usize + ENTRY_OVERHEAD
    }
}

/// A lent entry.
pub struct View<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// What it means in a response.
    pub info: Info,
}

/// See the file's header.
#[derive(Debug)]
pub struct Table {
    /// Newest first.
    entries: VecDeque<Entry>,
    bytes: Vec<u8>,
    size: usize,
    max: usize,
    /// Counts changes of the content.
    version: u32,
}

impl Table {
    /// An empty table of this size.
    pub const fn new(max: usize) -> Table {
        Table { entries: VecDeque::new(), bytes: Vec::new(), size: 0, max, version: 0 }
    }

    /// Differs from an earlier value if entries came or went since.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The size in force.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Heap bytes held.
    pub fn footprint(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Changes the size in force, evicting what no longer fits.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
        self.evict(0);
    }

    /// The entry at a place, 0 being the newest.
    #[inline]
    pub fn get(&self, place: usize) -> Option<View<'_>> {
        let e = self.entries.get(place)?;
        let (name, value) =
            self.bytes[e.start as usize..][..e.size() - ENTRY_OVERHEAD].split_at(e.name as usize);
        Some(View { name, value, info: e.info })
    }

    /// Where the name of the entry at a place lies, and the class of the name.
    pub fn name_range(&self, place: usize) -> Option<(Range<usize>, Info)> {
        let e = self.entries.get(place)?;
        Some((e.start as usize..(e.start + e.name) as usize, e.info))
    }

    /// Where the value of the entry at a place lies.
    pub fn value_range(&self, place: usize) -> Option<Range<usize>> {
        let e = self.entries.get(place)?;
        let start = (e.start + e.name) as usize;
        Some(start..start + e.value as usize)
    }

    /// Makes ready for an insertion: the caller appends name and value to the returned buffer and then calls
    /// [`Table::commit`]. Ranges got before are void.
    pub fn begin(&mut self) -> &mut Vec<u8> {
        let live = self.entries.back().map_or(self.bytes.len(), |e| e.start as usize);
        if live > SLACK + (self.bytes.len() - live) {
            self.bytes.copy_within(live.., 0);
            self.bytes.truncate(self.bytes.len() - live);
            for e in &mut self.entries {
                e.start -= live as u32;
            }
        }
        &mut self.bytes
    }

    /// The buffer again, between `begin` and `commit`.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Turns the bytes from `start` on into the newest entry, evicting what it displaces (section 4.4). An entry larger
    /// than the table empties it and is itself dropped.
    pub fn commit(&mut self, start: usize, name: usize, info: Info) {
        let value = self.bytes.len() - start - name;
        let size = name + value + ENTRY_OVERHEAD;
        self.version = self.version.wrapping_add(1);
        self.evict(size);
        if size > self.max {
            self.bytes.truncate(start);
            self.bytes.shrink_to(self.bytes.len() + self.max + SLACK);
            return;
        }
        self.size += size;
        self.entries.push_front(Entry { start: start as u32, name: name as u32, value: value as u32, info });
    }

    fn evict(&mut self, room: usize) {
        while self.size + room > self.max {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size -= oldest.size();
            self.version = self.version.wrapping_add(1);
        }
    }
}
