//! The static table of HPACK (RFC 7541 appendix A) and look-ups in it.

use super::class::{Class, Info};

/// A name and a value.
type Pair = (&'static [u8], &'static [u8]);

/// Number of entries; the dynamic table's first index is one more.
pub(super) const LEN: usize = 61;

/// The entries, index 1 first.
#[rustfmt::skip]
static ENTRIES: [Pair; LEN] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// What each entry means in a response, so that an indexed field is never looked at twice.
static INFOS: [Info; LEN] = infos();

const fn infos() -> [Info; LEN] {
    let mut out = [Info::of_name(Class::Plain); LEN];
    let mut i = 0;
    while i < LEN {
        out[i] = match i + 1 {
            1..=7 => Info::of_name(Class::Pseudo),
            8 => Info::status(200),
            9 => Info::status(204),
            10 => Info::status(206),
            11 => Info::status(304),
            12 => Info::status(400),
            13 => Info::status(404),
            14 => Info::status(500),
            28 => Info::of_name(Class::ContentLength),
            57 => Info::of_name(Class::Forbidden),
            _ => Info::of_name(Class::Plain),
        };
        i += 1;
    }
    out
}

/// The entry at a wire index, 1 to [`LEN`].
#[inline]
pub(super) fn get(index: usize) -> Option<(Pair, Info)> {
    let i = index.wrapping_sub(1);
    Some((*ENTRIES.get(i)?, INFOS[i]))
}

/// What the static table has for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Name and value.
    Field(u8),
    /// The name only.
    Name(u8),
    /// Nothing.
    Nothing,
}

/// Looks a field up. Linear: it runs when a template is prepared, not per request.
pub(crate) fn find(name: &[u8], value: &[u8]) -> Found {
    let mut found = Found::Nothing;
    for (i, (n, v)) in (1u8..).zip(ENTRIES.iter()) {
        if *n == name {
            if *v == value {
                return Found::Field(i);
            }
            if found == Found::Nothing {
                found = Found::Name(i);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_find_the_best_entry() {
        assert_eq!(find(b":method", b"GET"), Found::Field(2));
        assert_eq!(find(b":method", b"PUT"), Found::Name(2));
        assert_eq!(find(b"accept-encoding", b"gzip, deflate"), Found::Field(16));
        assert_eq!(find(b"www-authenticate", b"x"), Found::Name(61));
        assert_eq!(find(b"x-y", b"x"), Found::Nothing);
        assert!(get(0).is_none() && get(62).is_none());
    }

    #[test]
    fn the_meaning_of_an_entry_is_what_its_bytes_say() {
        for i in 1..=LEN {
            let ((name, value), info) = get(i).unwrap();
            assert_eq!(info.class(), Info::new(Class::of(name), value).class(), "{i}");
            if info.class() == Class::Status {
                assert_eq!(info, Info::new(Class::Status, value));
            }
        }
    }
}
