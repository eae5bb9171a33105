//! Writes field sections without the dynamic table: static indices and literals (RFC 9204 section 4.5). Requests are
//! prepared once per template, so there is nothing left for a dynamic table to save but bytes on the wire, and a section
//! that refers to nothing can never block the server.

use super::integer::{put, put_string};
use super::static_table::{Found, find};

/// Appends the prefix of a section that uses no dynamic entry: Required Insert Count 0, Base 0 (section 4.5.1).
pub fn put_prefix(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
}

/// Appends a field line. `never`: nobody on the way may index it (the N bit, section 4.5.4).
pub fn put_field(out: &mut Vec<u8>, never: bool, name: &[u8], value: &[u8]) {
    if let Found::Field(index) = find(name, value) {
        return put(out, 0xc0, 6, u64::from(index));
    }
    put_name(out, never, name);
    put_string(out, 0, 7, value);
}

/// Appends a literal field line up to its value; a string with a prefix of seven bits has to follow.
pub fn put_name(out: &mut Vec<u8>, never: bool, name: &[u8]) {
    match find(name, b"") {
        Found::Field(i) | Found::Name(i) => put(out, 0x50 | u8::from(never) << 5, 4, u64::from(i)),
        Found::Nothing => put_string(out, 0x20 | u8::from(never) << 4, 3, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_the_rfc_writes_them() {
        let line = |never, name: &[u8], value: &[u8]| {
            let mut out = Vec::new();
            put_field(&mut out, never, name, value);
            out
        };
        assert_eq!(line(false, b":method", b"GET"), [0xd1]);
        // RFC 9204 appendix B.1, except that the value is Huffman coded here.
        assert_eq!(line(false, b":path", b"/index.html")[0], 0x51);
        assert_eq!(line(true, b"authorization", b"~"), [0x7f, 84 - 15, 1, b'~']);
        assert_eq!(line(false, b"~", b"~"), [0x21, b'~', 1, b'~']);
        assert_eq!(line(true, b"~", b"~"), [0x31, b'~', 1, b'~']);
    }
}
