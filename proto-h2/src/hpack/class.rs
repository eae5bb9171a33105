//! What a header field means in a response, decided once per field: at insertion into the dynamic table, not at each use.

/// The kinds of field name that a client has to tell apart (RFC 9113 sections 8.2 and 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing special.
    Plain,
    /// `:status`.
    Status,
    /// `content-length`.
    ContentLength,
    /// Another name that starts with a colon: illegal in a response.
    Pseudo,
    /// Connection-specific: illegal in HTTP/2 (section 8.2.2).
    Forbidden,
    /// `te`: legal only as `trailers`.
    Te,
    /// An empty name, or one with an upper-case letter or another byte that section 8.2.1 excludes.
    BadName,
}

/// No `:status`, or one that is not three digits.
pub const NO_STATUS: u16 = u16::MAX;

/// Class and what was learnt from the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    class: Class,
    value_ok: bool,
    status: u16,
}

/// Bytes that a name must not hold (section 8.2.1): 0x00-0x20, `A`-`Z`, 0x7f-0xff, and the colon.
static NAME_EXCLUDED: [bool; 256] = {
    let mut t = [false; 256];
    let mut b = 0;
    while b < 256 {
        t[b] = b <= 0x20 || b >= 0x7f || (b >= 0x41 && b <= 0x5a) || b == 0x3a;
        b += 1;
    }
    t
};

impl Class {
    /// The class of a name.
    pub fn of(name: &[u8]) -> Class {
        let (colon, rest) = match name {
            [b':', rest @ ..] => (true, rest),
            _ => (false, name),
        };
        if rest.is_empty() || rest.iter().fold(false, |bad, &b| bad | NAME_EXCLUDED[usize::from(b)]) {
            return Class::BadName;
        }
        if colon {
            return if rest == b"status" { Class::Status } else { Class::Pseudo };
        }
        match name {
            b"content-length" => Class::ContentLength,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
                Class::Forbidden
            }
            b"te" => Class::Te,
            _ => Class::Plain,
        }
    }
}

impl Info {
    /// A field of a class whose value is legal.
    pub const fn of_name(class: Class) -> Info {
        Info { class, value_ok: true, status: NO_STATUS }
    }
    /// A `:status` field.
    pub const fn status(status: u16) -> Info {
        Info { class: Class::Status, value_ok: true, status }
    }
    /// Looks at a value once.
    #[inline]
    pub fn new(class: Class, value: &[u8]) -> Info {
        match class {
            Class::Status => {
                let status = parse_status(value);
                Info { class, value_ok: status != NO_STATUS, status }
            }
            Class::Te if value.eq_ignore_ascii_case(b"trailers") => Info::of_name(Class::Plain),
            Class::Te => Info::of_name(Class::Forbidden),
            _ => Info { class, value_ok: is_legal_value(value), status: NO_STATUS },
        }
    }
    /// The class.
    pub fn class(self) -> Class {
        self.class
    }
    /// Whether the value is one that this name may have.
    pub fn value_ok(self) -> bool {
        self.value_ok
    }
    /// The three digits of a `:status` field, otherwise [`NO_STATUS`].
    pub fn status_code(self) -> u16 {
        self.status
    }
}

/// Three digits, or [`NO_STATUS`]. Those outside of 100 to 599 are a status, too: one of a final response, as if it were 5xx (RFC
/// 9110 section 15).
fn parse_status(value: &[u8]) -> u16 {
    match *value {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
        }
        _ => NO_STATUS,
    }
}

/// RFC 9113 section 8.2.1: no NUL, LF or CR anywhere, no space or tab at either end. Servers that say something new with each
/// response (a date, an id) have this done for each, so it goes by eight bytes.
fn is_legal_value(value: &[u8]) -> bool {
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) {
        return false;
    }
    let Some(last) = value.last_chunk::<8>() else {
        return value.iter().all(|b| !matches!(b, 0 | b'\n' | b'\r'));
    };
    // The last eight bytes may overlap those before.
    let words = value.as_chunks::<8>().0.iter().fold(excluded(last), |found, word| found | excluded(word));
    words == 0
}

/// Not 0 if one of eight bytes is NUL, LF or CR. Bytes behind (above) one that is may be marked, too, which changes nothing.
#[inline]
fn excluded(word: &[u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(*word);
    // A byte that is 0 borrows, and had no high bit.
    let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    zero(word) | zero(word ^ (ONES * b'\n' as u64)) | zero(word ^ (ONES * b'\r' as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Class::of(b"x-a"), Class::Plain);
        assert_eq!(Class::of(b":status"), Class::Status);
        assert_eq!(Class::of(b":path"), Class::Pseudo);
        assert_eq!(Class::of(b"transfer-encoding"), Class::Forbidden);
        for bad in [&b""[..], b":", b"X-a", b"a b", b"a:b", b"\xff", b"a\r", b":Status", b"a\0"] {
            assert_eq!(Class::of(bad), Class::BadName, "{bad:?}");
        }
    }

    #[test]
    fn values() {
        assert!(Info::new(Class::Plain, b"a b\tc").value_ok());
        assert!(Info::new(Class::Plain, b"").value_ok());
        for bad in [&b" a"[..], b"a\t", b"a\nb", b"\0", b"a\rb"] {
            assert!(!Info::new(Class::Plain, bad).value_ok(), "{bad:?}");
        }
        for (value, code) in [(b"404", 404), (b"000", 0), (b"099", 99), (b"600", 600), (b"999", 999)] {
            let info = Info::new(Class::Status, value);
            assert_eq!((info.value_ok(), info.status_code()), (true, code));
        }
        for bad in [&b"20"[..], b"2000", b"2x0", b"-20", b""] {
            assert!(!Info::new(Class::Status, bad).value_ok(), "{bad:?}");
        }
        assert_eq!(Info::new(Class::Te, b"Trailers").class(), Class::Plain);
        assert_eq!(Info::new(Class::Te, b"gzip").class(), Class::Forbidden);
    }

    /// Each byte at each place of values of each length up to four words.
    #[test]
    fn an_illegal_byte_is_found_wherever_it_stands() {
        for len in 1..=33 {
            for at in 0..len {
                for byte in 0..=255_u8 {
                    let mut value = vec![0x80; len];
                    value[at] = byte;
                    let edge = at == 0 || at == len - 1;
                    let illegal = matches!(byte, 0 | b'\n' | b'\r') || edge && matches!(byte, b' ' | b'\t');
                    assert_eq!(
                        Info::new(Class::Plain, &value).value_ok(),
                        !illegal,
                        "{byte:#x} at {at} of {len}"
                    );
                }
            }
        }
    }
}
