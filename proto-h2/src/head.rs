//! What a list of response fields says, checked field by field. The rules are those of HTTP/2 and HTTP/3 alike, so
//! HTTP/3 calls this too.

pub use crate::hpack::class::NO_STATUS;
use crate::hpack::class::{Class, Info};
use crate::limits;
use proto::Fields;

/// No `content-length`.
pub const NO_LENGTH: u64 = u64::MAX;

/// The rules that a list of response fields can break (RFC 9113 sections 8.2 and 8.3, RFC 9114 sections 4.2 and 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A value with NUL, LF, CR, or blanks around it.
    Value,
    /// A pseudo field that no response has.
    Pseudo,
    /// A connection-specific field.
    Forbidden,
    /// A name that is empty, not in lower case, or holds another byte it must not.
    Name,
    /// A pseudo field behind another field.
    PseudoLate,
    /// `:status` twice.
    StatusTwice,
    /// `:status` that is not three digits.
    Status,
    /// `content-length` that is no length.
    Length,
    /// `content-length` twice, with different values.
    LengthTwice,
    /// Larger than `HEADER_LIST` of `limits.rs`.
    TooLarge,
}

/// What a block says, as far as the connection cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// `:status`, or [`NO_STATUS`].
    pub status: u16,
    /// `content-length`, or [`NO_LENGTH`].
    pub length: u64,
    /// Bytes of all names and values.
    pub decoded: u64,
    /// The list is larger than `HEADER_LIST` of `limits.rs`.
    pub too_large: bool,
    /// The first rule broken.
    pub malformed: Option<Malformed>,
}

impl Head {
    /// The first rule that it breaks.
    #[inline]
    pub fn problem(&self) -> Option<Malformed> {
        self.malformed.or(self.too_large.then_some(Malformed::TooLarge))
    }
}

/// A head without a field.
pub(crate) const EMPTY: Head =
    Head { status: NO_STATUS, length: NO_LENGTH, decoded: 0, too_large: false, malformed: None };

/// Fields in one buffer.
#[derive(Debug, Default)]
pub struct FieldList {
    bytes: Vec<u8>,
    /// Ends of name and value.
    ends: Vec<(u32, u32)>,
}

impl FieldList {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        if self.bytes.capacity() > limits::KEPT_CAPACITY {
            *self = FieldList::default();
        }
    }
    /// Adds one.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.ends.push((name_end, self.bytes.len() as u32));
    }
    /// Heap bytes held.
    pub fn footprint(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<(u32, u32)>()
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

/// Looks at the fields of one block in order.
#[derive(Debug)]
pub struct Checker {
    head: Head,
    /// As RFC 9113 section 6.5.2 counts.
    size: u64,
    /// A field that is not a pseudo field came.
    regular: bool,
}

impl Default for Checker {
    fn default() -> Checker {
        Checker::new()
    }
}

impl Checker {
    /// Before the first field.
    pub const fn new() -> Checker {
        Checker { head: EMPTY, size: 0, regular: false }
    }
    /// What all fields together say.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Takes note of a field; returns whether a list should hold it.
    #[inline]
    pub fn field(&mut self, info: Info, name: &[u8], value: &[u8]) -> bool {
        let len = (name.len() + value.len()) as u64;
        self.head.decoded += len;
        self.size += len + 32;
        let problem = match info.class() {
            Class::Plain => {
                self.regular = true;
                (!info.value_ok()).then_some(Malformed::Value)
            }
            Class::Status => {
                return self.status(info);
            }
            Class::ContentLength => self.content_length(value),
            Class::Pseudo => Some(Malformed::Pseudo),
            Class::Forbidden | Class::Te => Some(Malformed::Forbidden),
            Class::BadName => Some(Malformed::Name),
        };
        if problem.is_some() {
            self.malformed(problem);
        }
        if self.size > limits::HEADER_LIST {
            self.head.too_large = true;
        }
        !self.head.too_large
    }

    fn malformed(&mut self, problem: Option<Malformed>) {
        self.head.malformed = self.head.malformed.or(problem);
    }

    #[inline]
    fn status(&mut self, info: Info) -> bool {
        let problem = if self.regular {
            Some(Malformed::PseudoLate)
        } else if self.head.status != NO_STATUS {
            Some(Malformed::StatusTwice)
        } else if info.status_code() == NO_STATUS {
            Some(Malformed::Status)
        } else {
            None
        };
        if problem.is_some() {
            self.malformed(problem);
        }
        self.head.status = info.status_code();
        false
    }

    fn content_length(&mut self, value: &[u8]) -> Option<Malformed> {
        self.regular = true;
        let Some(length) = parse_length(value) else {
            return Some(Malformed::Length);
        };
        if self.head.length != NO_LENGTH && self.head.length != length {
            return Some(Malformed::LengthTwice);
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
