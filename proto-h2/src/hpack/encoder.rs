//! Encodes fields, and keeps what the peer's decoder has in its table.
//!
//! Entries are inserted until the table is full and never displaced after that: a load generator repeats the same fixed
//! fields, so the first ones stay the right ones, and encoded blocks stay valid. Entries are shared with the templates
//! they come from; a connection holds a pointer for each.

use super::static_table::{self, Found};
use super::table::ENTRY_OVERHEAD;
use super::{DEFAULT_TABLE_SIZE, integer};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Whether a field may enter the dynamic table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// It may.
    Allowed,
    /// Not now: a literal without indexing (RFC 7541 section 6.2.2).
    Without,
    /// Never, by nobody on the way (section 6.2.3).
    Never,
}

/// A field that may stand in the dynamic table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    hash: u64,
    name: Box<[u8]>,
    value: Box<[u8]>,
}

impl Entry {
    pub(crate) fn new(name: &[u8], value: &[u8]) -> Entry {
        let mut hasher = DefaultHasher::new();
        (name, value).hash(&mut hasher);
        Entry { hash: hasher.finish(), name: name.into(), value: value.into() }
    }
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

/// The encoding side of a connection's header compression.
#[derive(Debug)]
pub struct Encoder {
    /// Oldest first.
    entries: VecDeque<Arc<Entry>>,
    size: usize,
    /// The size in force.
    max: usize,
    /// What we are willing to use.
    ours: usize,
    /// The least size since the last block and the one to end with, still to be told to the peer.
    update: Option<(usize, usize)>,
    /// Counts changes that move indices.
    version: u32,
}

impl Encoder {
    /// An encoder that uses at most `max_size` bytes of table. The peer's decoder starts with 4096.
    pub fn new(max_size: usize) -> Encoder {
        let mut encoder = Encoder {
            entries: VecDeque::new(),
            size: 0,
            max: DEFAULT_TABLE_SIZE,
            ours: max_size,
            update: None,
            version: 1,
        };
        encoder.set_peer_max_size(DEFAULT_TABLE_SIZE);
        encoder
    }

    /// The peer's decoder allows this size. If the size in force changes, the next block says so.
    pub fn set_peer_max_size(&mut self, peer: usize) {
        let target = peer.min(self.ours);
        if target == self.update.map_or(self.max, |(_, last)| last) {
            return;
        }
        let least = self.update.map_or(target, |(least, _)| least.min(target));
        self.update = Some((least, target));
        self.version = self.version.wrapping_add(1);
        while self.size > least {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.size -= oldest.size();
        }
        self.max = least;
    }

    /// Starts a block: tells the peer about changed sizes (section 4.2: the least one first).
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some((least, last)) = self.update.take() {
            if least < last {
                integer::put(out, 0x20, 5, least);
            }
            integer::put(out, 0x20, 5, last);
            self.max = last;
        }
    }

    /// Encodes one field. Not for the hot path: there, templates keep their fields prepared.
    pub fn field(&mut self, name: &[u8], value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        if let Some(index) = static_field(name, value) {
            return integer::put(out, 0x80, 7, usize::from(index));
        }
        if indexing == Indexing::Allowed {
            let entry = Arc::new(Entry::new(name, value));
            if let Some(index) = self.index_of(&entry) {
                return integer::put(out, 0x80, 7, index);
            }
            if self.insert(&entry, self.max) {
                return put_literal(out, Literal::Insert, name, value);
            }
        }
        let kind = if indexing == Indexing::Never { Literal::Never } else { Literal::Without };
        put_literal(out, kind, name, value);
    }

    /// Differs from an earlier value if indices moved or a size update is due.
    #[inline]
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The wire index of an entry.
    pub(crate) fn index_of(&self, entry: &Arc<Entry>) -> Option<usize> {
        let same = |e: &Arc<Entry>| Arc::ptr_eq(e, entry) || (e.hash == entry.hash && **e == **entry);
        let newest_first = self.entries.iter().rev().position(same)?;
        Some(static_table::LEN + 1 + newest_first)
    }

    /// Adds an entry if the table then holds no more than `room` bytes. To be called after [`Encoder::begin`].
    pub(crate) fn insert(&mut self, entry: &Arc<Entry>, room: usize) -> bool {
        if self.size + entry.size() > room.min(self.max) {
            return false;
        }
        self.size += entry.size();
        self.entries.push_back(Arc::clone(entry));
        self.version = self.version.wrapping_add(1);
        true
    }

    /// The size in force.
    pub(crate) fn max_size(&self) -> usize {
        self.max
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.entries.capacity() * size_of::<Arc<Entry>>()
    }
}

/// The static index of a whole field. An empty value in the static table means "name only" there, and is as good as a
/// whole field where the value really is empty.
pub(super) fn static_field(name: &[u8], value: &[u8]) -> Option<u8> {
    match static_table::find(name, value) {
        Found::Field(index) => Some(index),
        _ => None,
    }
}

/// The three kinds of literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    Insert,
    Without,
    Never,
}

/// Appends the name part of a literal; a value has to follow.
pub(crate) fn put_name(out: &mut Vec<u8>, kind: Literal, name: &[u8]) {
    let index = match static_table::find(name, b"") {
        Found::Field(i) | Found::Name(i) => usize::from(i),
        Found::Nothing => 0,
    };
    match kind {
        Literal::Insert => integer::put(out, 0x40, 6, index),
        Literal::Without => integer::put(out, 0x00, 4, index),
        Literal::Never => integer::put(out, 0x10, 4, index),
    }
    if index == 0 {
        integer::put_string(out, name);
    }
}

/// Appends a literal.
pub(crate) fn put_literal(out: &mut Vec<u8>, kind: Literal, name: &[u8], value: &[u8]) {
    put_name(out, kind, name);
    integer::put_string(out, value);
}
