//! A template in HTTP/1.1 wire form: one literal with places for rendered values.

use bytes::Bytes;
use proto::{Framing, Piece, Request, Template, Text};
use std::io::Write;

/// What the rules of RFC 9112 section 6.3 must know of the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    Connect,
    Other,
}

/// What the connection must remember of a template while a request is in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    pub(crate) method: Method,
    pub(crate) framing: Framing,
    pub(crate) expect: bool,
    /// Nothing may follow this request on its connection.
    pub(crate) last: bool,
    /// The request asks for another protocol.
    pub(crate) upgrade: bool,
    /// The low bits of the template's index: its place in the memo of heads.
    pub(crate) index: u8,
}

/// A [`Template`] in HTTP/1.1 wire form. Without slots, writing its head is one copy.
#[derive(Debug)]
pub struct Prepared {
    literal: Box<[u8]>,
    slots: Box<[Slot]>,
    pub(crate) traits: Traits,
}

/// A value goes before byte `at` of the literal.
#[derive(Debug)]
struct Slot {
    at: u32,
    index: u16,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Authority,
    Path,
    Field,
}

impl Prepared {
    pub(crate) fn new(index: u32, template: &Template) -> Prepared {
        let method = match template.method() {
            "HEAD" => Method::Head,
            "CONNECT" => Method::Connect,
            _ => Method::Other,
        };
        let mut b = Builder::default();
        b.literal(template.method().as_bytes());
        b.literal(b" ");
        // RFC 9112 section 3.2.3: the target of CONNECT is the authority alone.
        match method {
            Method::Connect => b.text(template.authority(), Place::Authority),
            _ if template.is_absolute() => {
                b.literal(template.scheme().as_str().as_bytes());
                b.literal(b"://");
                b.text(template.authority(), Place::Authority);
                // `OPTIONS *` names the server alone (RFC 9112 section 3.2.4).
                if template.path().as_literal().as_deref() != Some(b"*") {
                    b.text(template.path(), Place::Path);
                }
            }
            _ => b.text(template.path(), Place::Path),
        }
        b.literal(b" HTTP/1.1\r\nHost: ");
        b.text(template.authority(), Place::Authority);
        b.literal(b"\r\n");
        let mut last = method == Method::Connect;
        let mut upgrade = false;
        for field in template.fields() {
            b.literal(field.name.as_bytes());
            b.literal(b": ");
            b.text(&field.value, Place::Field);
            b.literal(b"\r\n");
            upgrade |= field.name.eq_ignore_ascii_case("upgrade");
            last |= field.name.eq_ignore_ascii_case("connection") && says_close(&field.value);
        }
        match template.framing() {
            Framing::None => b.literal(b"\r\n"),
            // The rest depends on the body: `Prepared::tail`.
            Framing::Length | Framing::Chunked => {}
        }
        let traits = Traits {
            method,
            framing: template.framing(),
            expect: template.expect_continue(),
            last,
            upgrade,
            index: index as u8,
        };
        Prepared { literal: b.literal.into(), slots: b.slots.into(), traits }
    }

    /// The first slot whose value is missing or must not stand where it would.
    pub(crate) fn bad_value(&self, values: &[&[u8]]) -> Option<u16> {
        let good = |slot: &Slot| {
            values.get(usize::from(slot.index)).is_some_and(|value| match slot.place {
                Place::Field => Request::<()>::is_field_value(value),
                Place::Path => Request::<()>::is_target_value(value) && !value.contains(&b'#'),
                Place::Authority => {
                    Request::<()>::is_target_value(value)
                        && !value.iter().any(|b| matches!(b, b'/' | b'?' | b'#' | b'@'))
                }
            })
        };
        self.slots.iter().find(|slot| !good(slot)).map(|slot| slot.index)
    }

    /// Appends the head. The values must have been found good.
    #[inline]
    pub(crate) fn render(&self, values: &[&[u8]], body: &Bytes, out: &mut Vec<u8>) {
        let mut from = 0;
        for slot in &self.slots {
            out.extend_from_slice(&self.literal[from..slot.at as usize]);
            out.extend_from_slice(values[usize::from(slot.index)]);
            from = slot.at as usize;
        }
        out.extend_from_slice(&self.literal[from..]);
        if self.traits.framing != Framing::None {
            self.tail(body, out);
        }
    }

    fn tail(&self, body: &Bytes, out: &mut Vec<u8>) {
        // RFC 9110 section 10.1.1: no expectation without content.
        if self.traits.expect && !body.is_empty() {
            out.extend_from_slice(b"expect: 100-continue\r\n");
        }
        match self.traits.framing {
            Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
            // Writing to a Vec cannot fail.
            _ => drop(write!(out, "content-length: {}\r\n\r\n", body.len())),
        }
    }
}

fn says_close(value: &Text) -> bool {
    // A value with a slot is not looked into: the server will say `close` itself (RFC 9112 section 9.6).
    value
        .as_literal()
        .is_some_and(|v| v.split(|&b| b == b',').any(|o| o.trim_ascii().eq_ignore_ascii_case(b"close")))
}

#[derive(Default)]
struct Builder {
    literal: Vec<u8>,
    slots: Vec<Slot>,
}

impl Builder {
    fn literal(&mut self, bytes: &[u8]) {
        self.literal.extend_from_slice(bytes);
    }
    fn text(&mut self, text: &Text, place: Place) {
        for piece in text.pieces() {
            match piece {
                Piece::Literal(bytes) => self.literal(bytes),
                Piece::Slot(index) => {
                    let at = u32::try_from(self.literal.len()).expect("a head of less than 4 GiB");
                    self.slots.push(Slot { at, index: *index, place });
                }
            }
        }
    }
}
