//! Fields of requests that are rendered per request: values checked, then written as HPACK literals. QPACK's literals have
//! the same form behind their first byte (RFC 9204 section 4.1.2), so HTTP/3 calls this too.

use crate::hpack;
use proto::{Piece, Request};

/// A field of a request whose value is known per request only.
#[derive(Debug)]
pub enum Variable {
    /// The name's literal, then pieces.
    Text {
        /// The line up to its value.
        name: Box<[u8]>,
        /// The value.
        pieces: Box<[Piece]>,
        /// Where it stands.
        place: Place,
    },
    /// `content-length` of the body.
    Length {
        /// The line up to its value.
        name: Box<[u8]>,
    },
    /// `expect: 100-continue`, where there is a body.
    Expect {
        /// The whole line.
        field: Box<[u8]>,
    },
}

/// Where a value stands, which says what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `:authority`.
    Authority,
    /// `:path`.
    Path,
    /// A field.
    Field,
}

/// Whether a field may be sent in HTTP/2 and 3.
pub fn is_sent(name: &str, value: Option<&[u8]>) -> bool {
    match name {
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
        | "http2-settings" => false,
        "te" => value.is_some_and(|v| v.trim_ascii().eq_ignore_ascii_case(b"trailers")),
        _ => true,
    }
}

const fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// Without spaces and tabs around it: they are not part of a field's value (RFC 9110 section 5.5), and HTTP/2 forbids
/// them there (RFC 9113 section 8.2.1).
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b, rest @ ..] = value
        && is_blank(*b)
    {
        value = rest;
    }
    while let [rest @ .., b] = value
        && is_blank(*b)
    {
        value = rest;
    }
    value
}

/// The text of a piece. Slots were checked by `bad_value`.
fn text_of<'a>(piece: &'a Piece, values: &[&'a [u8]]) -> &'a [u8] {
    match piece {
        Piece::Literal(text) => text,
        Piece::Slot(slot) => values[usize::from(*slot)],
    }
}

impl Variable {
    /// The slot of the first value that must not stand here.
    #[inline]
    pub fn bad_value(&self, values: &[&[u8]]) -> Option<u16> {
        let Variable::Text { pieces, place, .. } = self else { return None };
        let mut empty = true;
        let mut last_slot = 0;
        for piece in pieces {
            let Piece::Slot(slot) = piece else {
                empty &= matches!(piece, Piece::Literal(l) if l.is_empty());
                continue;
            };
            last_slot = *slot;
            let ok = values.get(usize::from(*slot)).is_some_and(|v| {
                empty &= v.is_empty();
                match place {
                    Place::Field => Request::<()>::is_field_value(v),
                    Place::Path => Request::<()>::is_target_value(v) && !v.contains(&b'#'),
                    Place::Authority => {
                        Request::<()>::is_target_value(v)
                            && !v.iter().any(|b| matches!(b, b'/' | b'?' | b'#' | b'@'))
                    }
                }
            });
            if !ok {
                return Some(*slot);
            }
        }
        (empty && *place == Place::Authority).then_some(last_slot)
    }

    /// Appends the line. Values were checked by [`Variable::bad_value`].
    #[inline]
    pub fn put(&self, values: &[&[u8]], body_len: usize, out: &mut Vec<u8>) {
        match self {
            Variable::Text { name, pieces, .. } => {
                out.extend_from_slice(name);
                put_rendered(pieces, values, out);
            }
            Variable::Length { name } => {
                out.extend_from_slice(name);
                put_decimal(body_len, out);
            }
            Variable::Expect { field } if body_len > 0 => out.extend_from_slice(field),
            Variable::Expect { .. } => {}
        }
    }
}

/// A rendered value as a plain string: it is used once, so coding it would cost more than it saves.
fn put_rendered(pieces: &[Piece], values: &[&[u8]], out: &mut Vec<u8>) {
    let texts = || pieces.iter().map(|p| text_of(p, values));
    let blank_at_edge = texts().find_map(|t| t.first()).is_some_and(|&b| is_blank(b))
        || texts().rev().find_map(|t| t.last()).is_some_and(|&b| is_blank(b));
    if blank_at_edge {
        // Rare, so it may allocate.
        let whole: Vec<u8> = texts().flatten().copied().collect();
        return hpack::put_plain(out, trim(&whole));
    }
    hpack::put_integer(out, 0, 7, texts().map(<[u8]>::len).sum());
    for text in texts() {
        out.extend_from_slice(text);
    }
}

fn put_decimal(mut n: usize, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    hpack::put_plain(out, &digits[at..]);
}
