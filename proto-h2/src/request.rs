//! Requests: templates in wire form, and what a connection keeps to write them in a few bytes.

use crate::hpack::{self, Encoder, Entry, Literal, static_table};
use crate::limits;
use crate::render::{Place, Variable, is_sent, trim};
use proto::{Framing, Template, Text};
use std::sync::Arc;

/// A [`Template`] as far as it can be encoded without a connection. Shared by all of them.
#[derive(Debug)]
pub struct Prepared {
    index: u32,
    parts: Box<[Part]>,
    variables: Box<[Variable]>,
    pub(crate) is_head: bool,
    pub(crate) expects_continue: bool,
}

#[derive(Debug)]
enum Part {
    /// The same on every connection: static indices and what must not be indexed.
    Bytes(Vec<u8>),
    /// May enter the dynamic table.
    Fixed { entry: Arc<Entry>, insert: Box<[u8]>, literal: Box<[u8]>, is_path: bool },
    /// Known per request only: the next of `variables`.
    Variable,
}

impl Prepared {
    /// Pseudo fields first (RFC 9113 section 8.3), names in lower case, connection-specific fields left out (8.2.2).
    pub(crate) fn new(index: u32, template: &Template) -> Prepared {
        let mut b = Builder::default();
        b.fixed(b":method", template.method().as_bytes(), false);
        // A CONNECT request has an authority only (section 8.5).
        let connect = template.method() == "CONNECT";
        if !connect {
            b.fixed(b":scheme", template.scheme().as_str().as_bytes(), false);
        }
        b.text(b":authority", template.authority(), Place::Authority, false);
        if !connect {
            b.text(b":path", template.path(), Place::Path, false);
        }
        for field in template.fields() {
            let name = field.name.to_ascii_lowercase();
            let literal = field.value.as_literal();
            if is_sent(&name, literal.as_deref()) {
                b.text(name.as_bytes(), &field.value, Place::Field, field.secret);
            }
        }
        if template.framing() == Framing::Length {
            let mut name = Vec::new();
            hpack::put_name(&mut name, Literal::Without, b"content-length");
            b.variable(Variable::Length { name: name.into() });
        }
        if template.expect_continue() {
            let mut field = Vec::new();
            hpack::put_literal(&mut field, Literal::Without, b"expect", b"100-continue");
            b.variable(Variable::Expect { field: field.into() });
        }
        Prepared {
            index,
            parts: b.parts.into(),
            variables: b.variables.into(),
            is_head: template.method() == "HEAD",
            expects_continue: template.expect_continue(),
        }
    }

    /// The slot of the first value that must not stand where it would.
    #[inline]
    pub(crate) fn bad_value(&self, values: &[&[u8]]) -> Option<u16> {
        self.variables.iter().find_map(|v| v.bad_value(values))
    }
}

#[derive(Default)]
struct Builder {
    parts: Vec<Part>,
    variables: Vec<Variable>,
}

impl Builder {
    fn bytes(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !matches!(self.parts.last(), Some(Part::Bytes(_))) {
            self.parts.push(Part::Bytes(Vec::new()));
        }
        if let Some(Part::Bytes(out)) = self.parts.last_mut() {
            write(out);
        }
    }

    fn variable(&mut self, v: Variable) {
        self.parts.push(Part::Variable);
        self.variables.push(v);
    }

    fn text(&mut self, name: &[u8], text: &Text, place: Place, secret: bool) {
        let kind = if secret { Literal::Never } else { Literal::Without };
        match text.as_literal() {
            Some(value) if secret => {
                self.bytes(|out| hpack::put_literal(out, kind, name, trim(&value)));
            }
            Some(value) => self.fixed(name, trim(&value), place == Place::Path),
            None => {
                let mut coded = Vec::new();
                hpack::put_name(&mut coded, kind, name);
                self.variable(Variable::Text { name: coded.into(), pieces: text.pieces().into(), place });
            }
        }
    }

    fn fixed(&mut self, name: &[u8], value: &[u8], is_path: bool) {
        if let static_table::Found::Field(index) = static_table::find(name, value) {
            return self.bytes(|out| hpack::put_integer(out, 0x80, 7, usize::from(index)));
        }
        let literal = |kind| {
            let mut out = Vec::new();
            hpack::put_literal(&mut out, kind, name, value);
            out.into_boxed_slice()
        };
        self.parts.push(Part::Fixed {
            entry: Arc::new(Entry::new(name, value)),
            insert: literal(Literal::Insert),
            literal: literal(Literal::Without),
            is_path,
        });
    }
}

/// A template as this connection encodes it now.
#[derive(Debug, Default)]
struct Cached {
    /// Of the encoder, when `runs` was made; 0 is none.
    version: u32,
    /// What stands before, between and after the variables, each run with its length in front.
    runs: Vec<u8>,
}

/// The requests of a connection: its encoder, and templates as they are encoded at the moment.
#[derive(Debug)]
pub(crate) struct RequestWriter {
    encoder: Encoder,
    /// By template index.
    cached: Vec<Cached>,
    /// For templates beyond the cache.
    spare: Cached,
}

impl RequestWriter {
    pub(crate) fn new(table_size: usize) -> RequestWriter {
        RequestWriter { encoder: Encoder::new(table_size), cached: Vec::new(), spare: Cached::default() }
    }

    pub(crate) fn set_peer_max_size(&mut self, size: u32) {
        self.encoder.set_peer_max_size(size as usize);
    }

    /// Appends the header block of a request. Returns whether it changes the peer's table: one that adds an entry, or says a
    /// new size, must reach the peer even if its request is not wanted any more, for all later blocks are encoded for the table
    /// as it is after it. One that only refers to entries can be left out.
    #[inline]
    pub(crate) fn write(
        &mut self,
        prepared: &Prepared,
        values: &[&[u8]],
        body_len: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let index = prepared.index as usize;
        let (cached, changes_table) = match self.cached.get_mut(index) {
            Some(cached) if cached.version == self.encoder.version() => (&*cached, false),
            _ => self.refresh(prepared, out),
        };
        let mut rest = &cached.runs[..];
        for variable in &prepared.variables {
            put_run(&mut rest, out);
            variable.put(values, body_len, out);
        }
        put_run(&mut rest, out);
        changes_table
    }

    /// Encodes a template for the table as it is, which may add to the table. Returns whether the block with it changes the
    /// table.
    #[cold]
    fn refresh(&mut self, prepared: &Prepared, out: &mut Vec<u8>) -> (&Cached, bool) {
        let index = prepared.index as usize;
        if index < limits::CACHED_TEMPLATES && self.cached.len() <= index {
            self.cached.resize_with(index + 1, Cached::default);
        }
        let cached = self.cached.get_mut(index).unwrap_or(&mut self.spare);
        let block = out.len();
        self.encoder.begin(out);
        let resized = out.len() > block;
        let before = self.encoder.version();
        let runs = &mut cached.runs;
        runs.clear();
        let mut start = begin_run(runs);
        for part in &prepared.parts {
            match part {
                Part::Bytes(bytes) => runs.extend_from_slice(bytes),
                Part::Fixed { entry, insert, literal, is_path } => {
                    let max = self.encoder.max_size();
                    let room = if *is_path { max / limits::PATHS_OF_TABLE } else { max };
                    if let Some(i) = self.encoder.index_of(entry) {
                        hpack::put_integer(runs, 0x80, 7, i);
                    } else if self.encoder.insert(entry, room) {
                        runs.extend_from_slice(insert);
                    } else {
                        runs.extend_from_slice(literal);
                    }
                }
                Part::Variable => {
                    end_run(runs, start);
                    start = begin_run(runs);
                }
            }
        }
        end_run(runs, start);
        // What inserts is right once only.
        let inserts = self.encoder.version() != before;
        cached.version = if inserts { 0 } else { before };
        (cached, inserts || resized)
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        let runs: usize = self.cached.iter().map(|c| c.runs.capacity() + size_of::<Cached>()).sum();
        self.encoder.footprint() + runs + self.spare.runs.capacity()
    }
}

/// Bytes of a run's length.
const RUN_PREFIX: usize = 4;

fn begin_run(runs: &mut Vec<u8>) -> usize {
    runs.extend_from_slice(&[0; RUN_PREFIX]);
    runs.len()
}

fn end_run(runs: &mut [u8], start: usize) {
    let len = (runs.len() - start) as u32;
    runs[start - RUN_PREFIX..start].copy_from_slice(&len.to_ne_bytes());
}

#[inline]
fn put_run(rest: &mut &[u8], out: &mut Vec<u8>) {
    let (len, tail) = rest.split_first_chunk::<RUN_PREFIX>().expect("as many runs as variables, and one");
    let (run, tail) = tail.split_at(u32::from_ne_bytes(*len) as usize);
    out.extend_from_slice(run);
    *rest = tail;
}
