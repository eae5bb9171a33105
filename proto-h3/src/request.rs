//! Requests: templates as frames, and what a connection keeps to write them without encoding anything.

use crate::frame::{kind, put_frame, put_varint};
use crate::qpack::{put_field, put_name, put_prefix};
use crate::{frame, limits};
use bytes::{Bytes, BytesMut};
use proto::{Framing, Template, Text};
use proto_h2::hpack::put_string;
use proto_h2::render::{Place, Variable, is_sent, trim};

/// A [`Template`] in wire form. Shared by all connections: nothing in it depends on one.
#[derive(Debug)]
pub struct Prepared {
    index: u32,
    /// The fixed parts of the header section: before, between and after the variables.
    parts: Box<[Vec<u8>]>,
    variables: Box<[Variable]>,
    /// Without variables: the whole HEADERS frame.
    frame: Vec<u8>,
    pub(crate) is_head: bool,
    /// It may go out as early data: a server that is made to see it twice is not asked to do anything twice (RFC 8470
    /// section 4, RFC 9110 section 9.2.1).
    pub(crate) is_safe: bool,
    pub(crate) expects_continue: bool,
}

impl Prepared {
    /// Pseudo fields first (RFC 9114 section 4.3), names in lower case, connection-specific fields left out (4.2).
    pub(crate) fn new(index: u32, template: &Template) -> Prepared {
        let mut b = Builder::new();
        put_field(b.bytes(), false, b":method", template.method().as_bytes());
        // A CONNECT request has an authority only (section 4.4).
        let connect = template.method() == "CONNECT";
        if !connect {
            put_field(b.bytes(), false, b":scheme", template.scheme().as_str().as_bytes());
        }
        b.text(b":authority", template.authority(), Place::Authority, false);
        if !connect {
            b.text(b":path", template.path(), Place::Path, false);
        }
        for field in template.fields() {
            let name = field.name.to_ascii_lowercase();
            if is_sent(&name, field.value.as_literal().as_deref()) {
                b.text(name.as_bytes(), &field.value, Place::Field, field.secret);
            }
        }
        if template.framing() == Framing::Length {
            let mut name = Vec::new();
            put_name(&mut name, false, b"content-length");
            b.variable(Variable::Length { name: name.into() });
        }
        if template.expect_continue() {
            let mut field = Vec::new();
            put_field(&mut field, false, b"expect", b"100-continue");
            b.variable(Variable::Expect { field: field.into() });
        }
        let mut frame = Vec::new();
        if b.variables.is_empty() {
            put_frame(&mut frame, kind::HEADERS, b.bytes());
        }
        Prepared {
            index,
            parts: b.parts.into(),
            variables: b.variables.into(),
            frame,
            is_head: template.method() == "HEAD",
            is_safe: matches!(template.method(), "GET" | "HEAD"),
            expects_continue: template.expect_continue(),
        }
    }

    /// The slot of the first value that must not stand where it would.
    #[inline]
    pub(crate) fn bad_value(&self, values: &[&[u8]]) -> Option<u16> {
        self.variables.iter().find_map(|v| v.bad_value(values))
    }
}

struct Builder {
    parts: Vec<Vec<u8>>,
    variables: Vec<Variable>,
}

impl Builder {
    fn new() -> Builder {
        let mut prefix = Vec::new();
        put_prefix(&mut prefix);
        Builder { parts: vec![prefix], variables: Vec::new() }
    }

    fn bytes(&mut self) -> &mut Vec<u8> {
        self.parts.last_mut().expect("there is one from the start")
    }

    fn variable(&mut self, v: Variable) {
        self.variables.push(v);
        self.parts.push(Vec::new());
    }

    fn text(&mut self, name: &[u8], text: &Text, place: Place, secret: bool) {
        match text.as_literal() {
            // A secret is written as a literal even where the static table has it, so that the mark goes with it.
            Some(value) if secret => {
                put_name(self.bytes(), true, name);
                put_string(self.bytes(), trim(&value));
            }
            Some(value) => put_field(self.bytes(), false, name, trim(&value)),
            None => {
                let mut coded = Vec::new();
                put_name(&mut coded, secret, name);
                self.variable(Variable::Text { name: coded.into(), pieces: text.pieces().into(), place });
            }
        }
    }
}

/// Writes the requests of a connection.
#[derive(Debug, Default)]
pub(crate) struct RequestWriter {
    /// By template index: frames that are the same each time. Each connection has a copy of its own, since a reference
    /// count shared by all cores would be what they wait for.
    frames: Vec<Bytes>,
    /// Rendered requests are cut from its front.
    arena: BytesMut,
    scratch: Vec<u8>,
}

impl RequestWriter {
    /// The frames of a request up to its body: HEADERS, and with a body the header of its DATA frame.
    #[inline]
    pub(crate) fn write(&mut self, prepared: &Prepared, values: &[&[u8]], body_len: usize) -> Bytes {
        if prepared.variables.is_empty() && body_len == 0 {
            let index = prepared.index as usize;
            match self.frames.get(index) {
                Some(frame) if !frame.is_empty() => return frame.clone(),
                _ if index < limits::CACHED_TEMPLATES => return self.keep(prepared, index),
                _ => {}
            }
        }
        self.render(prepared, values, body_len)
    }

    #[cold]
    fn keep(&mut self, prepared: &Prepared, index: usize) -> Bytes {
        if self.frames.len() <= index {
            self.frames.resize(index + 1, Bytes::new());
        }
        self.frames[index] = Bytes::copy_from_slice(&prepared.frame);
        self.frames[index].clone()
    }

    fn render(&mut self, prepared: &Prepared, values: &[&[u8]], body_len: usize) -> Bytes {
        let section = &mut self.scratch;
        section.clear();
        let (last, before) = prepared.parts.split_last().expect("there is one at least");
        for (part, variable) in before.iter().zip(&prepared.variables) {
            section.extend_from_slice(part);
            variable.put(values, body_len, section);
        }
        section.extend_from_slice(last);
        let needed = section.len() + 2 * frame::HEADER;
        if self.arena.capacity() < needed {
            self.arena.reserve(needed.max(limits::ARENA));
        }
        put_varint(&mut self.arena, kind::HEADERS);
        put_varint(&mut self.arena, section.len() as u64);
        self.arena.extend_from_slice(section);
        if body_len > 0 {
            put_varint(&mut self.arena, kind::DATA);
            put_varint(&mut self.arena, body_len as u64);
        }
        self.arena.split().freeze()
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        let frames: usize = self.frames.iter().map(|f| f.len() + size_of::<Bytes>()).sum();
        frames + self.arena.capacity() + self.scratch.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Item, Reader};
    use crate::qpack::Decoder;
    use proto::{Field, Piece, Scheme};

    /// The fields of a request, and what follows the HEADERS frame.
    fn read(wire: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
        let (mut reader, mut rest) = (Reader::new(), wire);
        assert!(matches!(reader.next(&mut rest), Some(Item::Frame { kind: kind::HEADERS, .. })));
        let Some(Item::Payload { bytes, last: true }) = reader.next(&mut rest) else { panic!("no payload") };
        let mut fields = Vec::new();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Decoder::new(0).decode(bytes, |n, v| fields.push((text(n), text(v)))).unwrap();
        (fields, rest.to_vec())
    }

    fn field(name: &str, value: Text, secret: bool) -> Field {
        Field { name: name.into(), value, secret }
    }

    #[test]
    fn a_request_without_variables_is_written_once() {
        let template = Template::new("GET", Scheme::Https, Text::literal("a.test"), Text::literal("/x"))
            .and_then(|t| t.field(field("User-Agent", Text::literal(" x "), false)))
            .and_then(|t| t.field(field("connection", Text::literal("close"), false)))
            .unwrap();
        let mut writer = RequestWriter::default();
        let prepared = Prepared::new(3, &template);
        let one = writer.write(&prepared, &[], 0);
        assert_eq!(one.as_ptr(), writer.write(&prepared, &[], 0).as_ptr());
        let expected = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "a.test"),
            (":path", "/x"),
            ("user-agent", "x"),
        ];
        let expected: Vec<_> = expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        assert_eq!(read(&one), (expected.clone(), vec![]));
        let many = Prepared::new(limits::CACHED_TEMPLATES as u32, &template);
        assert_eq!(read(&writer.write(&many, &[], 0)).0, expected);
    }

    #[test]
    fn variables_and_bodies() {
        let path = Text::new(vec![Piece::Literal((*b"/a/").into()), Piece::Slot(0)]);
        let template = Template::new("POST", Scheme::Https, Text::literal("a.test"), path)
            .and_then(|t| t.field(field("cookie", Text::new(vec![Piece::Slot(1)]), true)))
            .and_then(|t| t.field(field("authorization", Text::literal("s"), true)))
            .unwrap()
            .body(Framing::Length, true);
        let prepared = Prepared::new(0, &template);
        assert_eq!(prepared.bad_value(&[b"a b", b"c"]), Some(0));
        let mut writer = RequestWriter::default();
        let wire = writer.write(&prepared, &[b"77", b" c "], 1000);
        let (fields, rest) = read(&wire);
        let value = |name: &str| fields.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
        assert_eq!(
            (value(":path"), value("cookie"), value("authorization")),
            (Some("/a/77"), Some("c"), Some("s"))
        );
        assert_eq!((value("content-length"), value("expect")), (Some("1000"), Some("100-continue")));
        assert_eq!(rest, [0x00, 0x43, 0xe8]);
        // The mark of what must never be indexed: name references with N.
        for secret in [&[0x75, 1, b'c'][..], &[0x7f, 84 - 15, 1, b's']] {
            assert!(wire.windows(secret.len()).any(|w| w == secret), "{secret:x?} in {wire:x?}");
        }
        let (fields, rest) = read(&writer.write(&prepared, &[b"77", b"c"], 0));
        assert!(rest.is_empty() && !fields.iter().any(|f| f.0 == "expect"));
    }
}
