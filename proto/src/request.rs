//! What is to be requested: a template known before the run, and the values rendered into it per request.

use bytes::Bytes;
use std::fmt;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
    /// 80 or 443.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// How a request body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Framing {
    /// No body, and no length field.
    #[default]
    None,
    /// `content-length`.
    Length,
    /// HTTP/1.1 `transfer-encoding: chunked`; in HTTP/2 and 3 simply no `content-length`.
    Chunked,
}

/// A part of a text: fixed, or a place for a rendered value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Fixed bytes.
    Literal(Box<[u8]>),
    /// Index into [`Request::values`].
    Slot(u16),
}

/// Text of literal pieces and slots.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Text(Vec<Piece>);

impl Text {
    /// Fixed text.
    pub fn literal(text: impl AsRef<[u8]>) -> Text {
        Text(vec![Piece::Literal(text.as_ref().into())])
    }
    /// From pieces.
    pub fn new(pieces: Vec<Piece>) -> Text {
        Text(pieces)
    }
    /// The pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
    /// The whole text if it has no slot.
    pub fn as_literal(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Slot(_) => return None,
            }
        }
        Some(out)
    }
    fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter_map(|p| match p {
            Piece::Literal(bytes) => Some(&bytes[..]),
            Piece::Slot(_) => None,
        })
    }
}

/// A header field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name, as the user wrote it. Protocols that want lower case make it so.
    pub name: String,
    /// The value.
    pub value: Text,
    /// Never enters a compression table and is masked where requests are shown.
    pub secret: bool,
}

/// The shape of a request, checked: method and names are tokens, no literal part holds a forbidden byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    method: String,
    scheme: Scheme,
    authority: Text,
    path: Text,
    fields: Vec<Field>,
    framing: Framing,
    expect_continue: bool,
    absolute: bool,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// The method is not a token (RFC 9110 section 5.6.2).
    Method(String),
    /// The path is empty, does not start with `/` (or is not `*`), or holds a space or control byte.
    Path,
    /// The authority is empty or holds a byte it must not.
    Authority,
    /// A field name is not a token.
    FieldName(String),
    /// A field value holds CR, LF, NUL or another control byte (RFC 9110 section 5.5).
    FieldValue(String),
    /// A field that the template writes itself: `content-length`, `transfer-encoding`, `host`.
    Reserved(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::Method(m) => write!(f, "\"{}\" is not a method", m.escape_debug()),
            TemplateError::Path => {
                f.write_str("a path starts with / and holds no space and no control character")
            }
            TemplateError::Authority => {
                f.write_str("the authority (host and port) is empty or holds a character it must not")
            }
            TemplateError::FieldName(n) => write!(f, "\"{}\" is not a header name", n.escape_debug()),
            TemplateError::FieldValue(n) => write!(f, "the value of header {n} holds a control character"),
            TemplateError::Reserved(n) => write!(f, "header {n} is written by loadgen itself"),
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// A template without fields and body.
    pub fn new(method: &str, scheme: Scheme, authority: Text, path: Text) -> Result<Template, TemplateError> {
        if !is_token(method.as_bytes()) {
            return Err(TemplateError::Method(method.to_owned()));
        }
        if !authority.pieces().iter().any(|p| !matches!(p, Piece::Literal(l) if l.is_empty()))
            || authority
                .literals()
                .any(|l| l.iter().any(|&b| !is_target_byte(b) || matches!(b, b'/' | b'?' | b'#' | b'@')))
        {
            return Err(TemplateError::Authority);
        }
        let starts_well = match path.pieces().first() {
            Some(Piece::Literal(l)) => l.first() == Some(&b'/') || (method == "OPTIONS" && **l == *b"*"),
            _ => false,
        };
        if !starts_well || path.literals().any(|l| l.iter().any(|&b| !is_target_byte(b) || b == b'#')) {
            return Err(TemplateError::Path);
        }
        Ok(Template {
            method: method.to_owned(),
            scheme,
            authority,
            path,
            fields: Vec::new(),
            framing: Framing::None,
            expect_continue: false,
            absolute: false,
        })
    }

    /// Adds a field at the end.
    pub fn field(mut self, field: Field) -> Result<Template, TemplateError> {
        if !is_token(field.name.as_bytes()) {
            return Err(TemplateError::FieldName(field.name));
        }
        if ["content-length", "transfer-encoding", "host"].iter().any(|r| field.name.eq_ignore_ascii_case(r))
        {
            return Err(TemplateError::Reserved(field.name));
        }
        if field.value.literals().any(|l| l.iter().any(|&b| !is_value_byte(b))) {
            return Err(TemplateError::FieldValue(field.name));
        }
        self.fields.push(field);
        Ok(self)
    }

    /// Says how the body travels, and whether the head asks `expect: 100-continue` first.
    pub fn body(mut self, framing: Framing, expect_continue: bool) -> Template {
        self.framing = framing;
        self.expect_continue = expect_continue && framing != Framing::None;
        self
    }

    /// HTTP/1: the request line names scheme and authority too, as a proxy wants it (RFC 9112 section 3.2.2).
    pub fn absolute_form(mut self) -> Template {
        self.absolute = true;
        self
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
    /// Host and port, as `host` or `:authority` say it.
    pub fn authority(&self) -> &Text {
        &self.authority
    }
    /// Path and query.
    pub fn path(&self) -> &Text {
        &self.path
    }
    /// The fields in order; `host` and the body's fields are not among them.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
    /// How the body travels.
    pub fn framing(&self) -> Framing {
        self.framing
    }
    /// Whether the request line of HTTP/1 names scheme and authority too.
    pub fn is_absolute(&self) -> bool {
        self.absolute
    }
    /// Whether the body waits for `100 Continue` (or a time of the connection's configuration).
    pub fn expect_continue(&self) -> bool {
        self.expect_continue
    }
}

/// What the caller wants to see of the response. What it does not want costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Want {
    /// Header and trailer fields.
    pub fields: bool,
    /// Body bytes.
    pub body: bool,
}

/// One request: a prepared template, the values for its slots, and the body.
#[derive(Debug)]
pub struct Request<'a, P> {
    /// The template in the wire form of the connection's protocol.
    pub prepared: &'a P,
    /// One rendered value for each slot. Borrowed for the call only.
    pub values: &'a [&'a [u8]],
    /// The body; empty without one. It outlives the call, so sharing it costs a reference count.
    pub body: Bytes,
    /// What the caller wants back.
    pub want: Want,
}

impl<P> Request<'_, P> {
    /// Whether a value may stand in a field: visible characters, space, tab and bytes above 0x7f (RFC 9110 section 5.5).
    pub fn is_field_value(value: &[u8]) -> bool {
        value.iter().all(|&b| is_value_byte(b))
    }
    /// Whether a value may stand in a path or an authority: no space, no control byte.
    pub fn is_target_value(value: &[u8]) -> bool {
        value.iter().all(|&b| is_target_byte(b))
    }
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
fn is_value_byte(b: u8) -> bool {
    b == b'\t' || (b >= 0x20 && b != 0x7f)
}
fn is_target_byte(b: u8) -> bool {
    b > 0x20 && b != 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Result<Template, TemplateError> {
        Template::new("GET", Scheme::Http, Text::literal("a:80"), Text::literal(path))
    }

    #[test]
    fn a_template_in_memory_is_a_legal_request() {
        assert!(get("/x?y=1").is_ok());
        for bad in ["", "x", "/a b", "/a\r\n", "/a#f", "/\0"] {
            assert_eq!(get(bad).unwrap_err(), TemplateError::Path, "{bad:?}");
        }
        for bad in ["", "G T", "GET\r\n", "G:T"] {
            assert!(Template::new(bad, Scheme::Http, Text::literal("a"), Text::literal("/")).is_err());
        }
        for bad in ["", "a b", "a/b", "u@h", "h\n"] {
            let t = Template::new("GET", Scheme::Http, Text::literal(bad), Text::literal("/"));
            assert_eq!(t.unwrap_err(), TemplateError::Authority, "{bad:?}");
        }
    }

    #[test]
    fn fields_cannot_smuggle() {
        let field = |name: &str, value: &str| {
            get("/").unwrap().field(Field { name: name.into(), value: Text::literal(value), secret: false })
        };
        assert!(field("x-a", "b c\tü").is_ok());
        assert!(matches!(field("x a", "b"), Err(TemplateError::FieldName(_))));
        assert!(matches!(field("x-a", "b\r\nx: y"), Err(TemplateError::FieldValue(_))));
        assert!(matches!(field("Content-Length", "3"), Err(TemplateError::Reserved(_))));
    }

    #[test]
    fn a_path_may_not_begin_with_a_slot() {
        let path = Text::new(vec![Piece::Slot(0)]);
        assert!(Template::new("GET", Scheme::Http, Text::literal("a"), path).is_err());
        let path = Text::new(vec![Piece::Literal((*b"/a/").into()), Piece::Slot(0)]);
        assert!(Template::new("GET", Scheme::Http, Text::literal("a"), path).is_ok());
    }
}
