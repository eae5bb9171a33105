//! What a response head says that the connection must know: status, framing, persistence. The grammar is httparse's.

use crate::limits::{MAX_FIELDS, MAX_LENGTH};
use httparse::{EMPTY_HEADER, Header, ParserConfig, Response, Status};
use proto::{Error, Fields, Kind};
use std::mem::MaybeUninit;

/// How the message body is delimited, before the rules about methods and statuses (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// Neither `content-length` nor `transfer-encoding`.
    Unsaid,
    Exactly(u64),
    Chunked,
}

/// The facts of one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) length: BodyLength,
    pub(crate) status: u16,
    /// The connection ends after this message.
    pub(crate) close: bool,
}

impl Facts {
    /// What is known before a head was seen.
    pub(crate) const NONE: Facts = Facts { length: BodyLength::Unsaid, status: 0, close: false };
}

/// The fields of a head or a trailer section, lent.
pub(crate) struct Lent<'a>(pub(crate) &'a [Header<'a>]);

impl Fields for Lent<'_> {
    fn each(&self, f: &mut dyn FnMut(&[u8], &[u8])) {
        for h in self.0 {
            f(h.name.as_bytes(), h.value);
        }
    }
    fn count(&self) -> usize {
        self.0.len()
    }
}

/// Parses a head from the beginning of `input` and passes its length, facts and fields on; `None` if it is not complete.
pub(crate) fn parse<R>(
    input: &[u8],
    then: impl FnOnce(usize, Result<Facts, Error>, Lent<'_>) -> R,
) -> Result<Option<R>, Error> {
    // httparse would skip empty lines here.
    if input.first().is_some_and(|&b| b != b'H') {
        return Err(grammar(httparse::Error::Version));
    }
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
    let mut response = Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut response, input, &mut fields);
    match parsed {
        Ok(Status::Complete(n)) => {
            let facts = facts(response.version, response.code, response.headers);
            Ok(Some(then(n, facts, Lent(response.headers))))
        }
        Ok(Status::Partial) => Ok(None),
        Err(e) => Err(grammar(e)),
    }
}

/// Parses a trailer section, the empty line included.
pub(crate) fn parse_trailers<R>(
    input: &[u8],
    then: impl FnOnce(usize, Lent<'_>) -> R,
) -> Result<Option<R>, Error> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(input, &mut fields) {
        Ok(Status::Complete((n, fields))) => Ok(Some(then(n, Lent(fields)))),
        Ok(Status::Partial) => Ok(None),
        Err(e) => Err(grammar(e)),
    }
}

/// Whether a field section, of which `before` fields have been seen, ends within `input`.
pub(crate) fn fields_complete(input: &[u8], before: usize) -> Result<bool, Error> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let rest = fields.get_mut(before..).unwrap_or_default();
    httparse::parse_headers(input, rest).map(|status| status.is_complete()).map_err(grammar)
}

fn grammar(e: httparse::Error) -> Error {
    let (kind, detail) = match e {
        httparse::Error::HeaderName => (Kind::Head, "a field name that is no token (RFC 9112 5)"),
        httparse::Error::HeaderValue => (Kind::Head, "a byte that no field value may hold (RFC 9112 5)"),
        httparse::Error::NewLine => (Kind::Head, "CR without LF in a head (RFC 9112 2.2)"),
        httparse::Error::Status => (Kind::Head, "a malformed status line (RFC 9112 4)"),
        httparse::Error::Token => (Kind::Head, "a byte where a token belongs (RFC 9112 4)"),
        httparse::Error::Version => (Kind::Head, "not an HTTP/1.0 or HTTP/1.1 status line (RFC 9112 2.3)"),
        httparse::Error::TooManyHeaders => (Kind::TooLarge, "more fields than the limit"),
    };
    Error::peer(kind, detail)
}

fn facts(version: Option<u8>, code: Option<u16>, fields: &[Header<'_>]) -> Result<Facts, Error> {
    // The grammar has seen to it that there are three digits.
    let status = code.unwrap_or(0);
    let old = version == Some(0);
    let mut length: Option<u64> = None;
    let mut codings = Codings::None;
    let mut close = false;
    let mut keep_alive = false;
    for field in fields {
        // Only three names matter; their lengths tell them from nearly everything else. What well-behaved servers send
        // is compared first.
        match field.name.len() {
            10 if field.name.eq_ignore_ascii_case("connection") => match field.value {
                b"keep-alive" => keep_alive = true,
                b"close" => close = true,
                value => {
                    for option in list(value) {
                        close |= option.eq_ignore_ascii_case(b"close");
                        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
            },
            14 if field.name.eq_ignore_ascii_case("content-length") => {
                length = Some(content_length(field.value, length)?);
            }
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                codings = list(field.value).fold(codings, Codings::then);
                if let Codings::None = codings {
                    codings = Codings::Wrong;
                }
            }
            _ => {}
        }
    }
    let length = match (codings, length) {
        (Codings::None, None) => BodyLength::Unsaid,
        (Codings::None, Some(n)) => BodyLength::Exactly(n),
        (_, Some(_)) => {
            return Err(framing("both content-length and transfer-encoding (RFC 9112 6.3)"));
        }
        _ if old => return Err(framing("transfer-encoding in an HTTP/1.0 response (RFC 9112 6.1)")),
        (Codings::ChunkedLast, None) => BodyLength::Chunked,
        (Codings::Wrong | Codings::Twice, None) => {
            return Err(framing("a transfer-encoding that does not end in one chunked (RFC 9112 6.3)"));
        }
    };
    Ok(Facts { length, status, close: close || (old && !keep_alive) })
}

/// What the transfer codings seen so far amount to.
#[derive(Clone, Copy)]
enum Codings {
    None,
    ChunkedLast,
    Wrong,
    /// `chunked` and something after it.
    Twice,
}

impl Codings {
    fn then(self, coding: &[u8]) -> Codings {
        let chunked = coding.eq_ignore_ascii_case(b"chunked");
        match self {
            // After `chunked` nothing may follow, another `chunked` least of all.
            Codings::ChunkedLast => Codings::Twice,
            Codings::Twice => Codings::Twice,
            _ if chunked => Codings::ChunkedLast,
            _ => Codings::Wrong,
        }
    }
}

/// The elements of a comma list, without white space; empty ones do not count (RFC 9110 section 5.6.1).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|e| !e.is_empty())
}

/// One or several equal numbers (RFC 9110 section 8.6).
fn content_length(value: &[u8], before: Option<u64>) -> Result<u64, Error> {
    if before.is_none()
        && let Some(n) = short_decimal(value)
    {
        return Ok(n);
    }
    let mut length = before;
    for part in value.split(|&b| b == b',') {
        let n = decimal(part.trim_ascii())?;
        if length.is_some_and(|l| l != n) {
            return Err(framing("content-length values that differ (RFC 9112 6.3)"));
        }
        length = Some(n);
    }
    length.ok_or(framing("an empty content-length (RFC 9110 8.6)"))
}

/// A number short enough not to overflow.
fn short_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut n: u64 = 0;
    for &b in digits {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n = n * 10 + u64::from(digit);
    }
    Some(n)
}

fn decimal(digits: &[u8]) -> Result<u64, Error> {
    if digits.is_empty() {
        return Err(framing("an empty content-length (RFC 9110 8.6)"));
    }
    let mut n: u64 = 0;
    for &b in digits {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return Err(framing("a content-length that is not a number (RFC 9110 8.6)"));
        }
        n = n
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(digit)))
            .filter(|&n| n <= MAX_LENGTH)
            .ok_or(framing("a content-length out of range (RFC 9110 8.6)"))?;
    }
    Ok(n)
}

fn framing(detail: &'static str) -> Error {
    Error::peer(Kind::Framing, detail)
}
