//! What must not be shown: names that say so, and values that are masked wherever they appear, also where a server sends them
//! back: as they are, as they stand in a URL, a form, JSON or HTML, and in base64. Not a promise that nothing leaks: a value that
//! was changed in another way is not recognised. Asked by `program::User` for samples, notes and what a plan says, by `cli` and
//! `report` for what they print.

use crate::limits;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use proto::{Field, Piece, Text};
use std::borrow::Cow;
use std::fmt;

mod spelling;

/// What stands for a secret.
pub const MASK: &str = "***";

/// Whether the value of a header field is a secret.
pub fn is_field(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["authorization", "proxy-authorization", "cookie", "set-cookie", "www-authenticate"];
    NAMES.iter().any(|s| name.eq_ignore_ascii_case(s)) || is_name(name)
}

/// Whether the value of a field of a request is a secret: by what the plan says of it, or by its name.
pub fn is_credential(field: &Field) -> bool {
    field.secret || is_field(&field.name)
}

/// Whether the value of a field of a request enters no compression table (RFC 7541 section 7.1.3, RFC 9204 section 7.1.3): it is
/// then sent in full each time, so these are only the names that are always credentials.
pub fn is_never_indexed(name: &str) -> bool {
    const NAMES: [&str; 5] =
        ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-amz-security-token"];
    NAMES.iter().any(|s| name.eq_ignore_ascii_case(s))
}

/// Whether the name of a variable, of a column or of something in the environment says that the value is a secret.
pub fn is_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    ["token", "secret", "passw", "session", "api_key", "csrf"].iter().any(|part| name.contains(part))
}

/// A path, or a text that ends in one, without the values of those parameters of its query whose names say that they are secrets.
/// Values that are nothing but templates stay.
pub fn mask_query(text: &str) -> Cow<'_, str> {
    let Some(query) = text.find('?') else { return Cow::Borrowed(text) };
    let (mut out, mut copied, mut at) = (String::new(), 0, query + 1);
    while at < text.len() {
        let name = &text[at..at + text[at..].find(['=', '&', ' ']).unwrap_or(text.len() - at)];
        at += name.len();
        if text[at..].starts_with('=') {
            at += 1;
            let (length, only_templates) = value_in_query(&text[at..]);
            if is_name(name) && !only_templates {
                out += &text[copied..at];
                out += MASK;
                copied = at + length;
            }
            at += length;
        }
        if !text[at..].starts_with('&') {
            break;
        }
        at += 1;
    }
    match copied {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(out + &text[copied..]),
    }
}

/// How long the value is that a text begins with, and whether there is nothing in it that is no template.
fn value_in_query(text: &str) -> (usize, bool) {
    let (mut at, mut only_templates) = (0, true);
    while let Some(byte) = text.as_bytes().get(at).filter(|byte| !matches!(byte, b'&' | b' ')) {
        let template = (*byte == b'{').then(|| text[at..].strip_prefix("{{")?.find("}}")).flatten();
        only_templates &= template.is_some();
        at += template.map_or(1, |inside| inside + 4);
    }
    (at, only_templates)
}

/// The values of those parameters of a path's query whose names say that they are secrets.
pub fn in_query(path: &Text) -> Vec<Text> {
    let (mut all, mut name, mut value) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = InPath::Path;
    let mut add = |name: &mut Vec<u8>, value: &mut Vec<Piece>| {
        let (name, value) = (std::mem::take(name), std::mem::take(value));
        let name = String::from_utf8_lossy(&name).into_owned();
        if is_name(&name) && !value.is_empty() {
            all.push(Text::new(value));
        }
    };
    for piece in path.pieces() {
        let Piece::Literal(bytes) = piece else {
            // What is worked out is a part of a value, or of something without a name.
            if at == InPath::Value {
                value.push(piece.clone());
            }
            continue;
        };
        let mut literal = Vec::new();
        for &byte in bytes.iter() {
            match (at, byte) {
                (InPath::Path, b'?') => at = InPath::Name,
                (InPath::Path, _) => {}
                (InPath::Name, b'=') => at = InPath::Value,
                (InPath::Name, b'&') => name.clear(),
                (InPath::Name, _) => name.push(byte),
                (InPath::Value, b'&') => {
                    push_literal(&mut value, &mut literal);
                    add(&mut name, &mut value);
                    at = InPath::Name;
                }
                (InPath::Value, _) => literal.push(byte),
            }
        }
        push_literal(&mut value, &mut literal);
    }
    add(&mut name, &mut value);
    all
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InPath {
    Path,
    Name,
    Value,
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &mut Vec<u8>) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal).into()));
    }
}

/// Values of which no copy is shown.
#[derive(Clone, Default)]
pub struct Secrets(Vec<Vec<u8>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Secrets {
    /// Adds a value, and what it is in base64, alone or with something around it.
    pub fn add(&mut self, value: &[u8]) {
        self.add_form(value.to_vec());
        if value.len() < limits::MIN_SECRET_IN_BASE64 {
            return;
        }
        // Base64 takes three bytes at a time: how it writes a value depends on how many of them came before.
        for before in 0..3 {
            let text = BASE64_STANDARD_NO_PAD.encode([&[0; 2][..before], value].concat());
            // The digits that also hold bits of what is around it are left out.
            let own = &text[(before * 8).div_ceil(6)..(before + value.len()) * 8 / 6];
            self.add_form(own.as_bytes().to_vec());
            self.add_form(own.replace('+', "-").replace('/', "_").into_bytes());
        }
    }

    /// Adds what the value of a header field gives away: all of it, the credentials behind the scheme, and of cookies each.
    pub fn add_field(&mut self, name: &str, value: &[u8]) {
        self.add(value);
        let text = String::from_utf8_lossy(value);
        if name.to_ascii_lowercase().ends_with("cookie") {
            // Attributes such as `path=/` are too short or too common to be secrets: only the first of `set-cookie` is a cookie.
            let pairs = if name.eq_ignore_ascii_case("set-cookie") { 1 } else { usize::MAX };
            for (_, cookie) in text.split(';').take(pairs).filter_map(|pair| pair.split_once('=')) {
                self.add(cookie.trim().trim_matches('"').as_bytes());
            }
        } else if let Some((scheme, credentials)) = text.trim().split_once(' ') {
            self.add(credentials.trim().as_bytes());
            let decoded = BASE64_STANDARD.decode(credentials.trim()).unwrap_or_default();
            if let (true, Some(at)) =
                (scheme.eq_ignore_ascii_case("basic"), decoded.iter().position(|b| *b == b':'))
            {
                self.add(&decoded);
                self.add(&decoded[at + 1..]);
            }
            let parts = credentials.split(',').filter_map(|part| part.trim().split_once('='));
            for (_, signature) in parts.filter(|(name, _)| name.eq_ignore_ascii_case("signature")) {
                self.add(signature.as_bytes());
            }
        }
    }

    /// The same for what a plan writes, which is masked in all that is shown of it: what is short may stand there for something
    /// else. Of cookies many are no secrets.
    pub fn add_known(&mut self, name: &str, value: &[u8]) {
        let mut known = Secrets::default();
        if !name.to_ascii_lowercase().ends_with("cookie") {
            known.add_field(name, value);
        }
        known.0.retain(|value| value.len() >= limits::MIN_KNOWN_SECRET);
        self.merge(known);
    }

    /// Adds the value of a parameter of a query, as it stands in a path.
    pub fn add_parameter(&mut self, value: &[u8]) {
        self.add(&decoded(value));
    }

    /// The same of one that the plan writes.
    pub fn add_known_parameter(&mut self, value: &[u8]) {
        self.add_known("", &decoded(value));
    }

    /// Adds those of another.
    pub fn merge(&mut self, others: Secrets) {
        others.0.into_iter().for_each(|value| self.add_form(value));
    }

    fn add_form(&mut self, value: Vec<u8>) {
        if value.len() < limits::MIN_SECRET {
            return;
        }
        // The longest first: a part of it must not be masked before.
        let at = self.0.partition_point(|other| other.len() >= value.len());
        let mut as_long = self.0[..at].iter().rev().take_while(|other| other.len() == value.len());
        if !as_long.any(|other| *other == value) {
            self.0.insert(at, value);
        }
    }

    /// Without the secrets. `cut`: the end is missing, so a secret may have begun there.
    pub fn mask<'b>(&self, bytes: &'b [u8], cut: bool) -> Cow<'b, [u8]> {
        let mut out = Cow::Borrowed(bytes);
        for secret in &self.0 {
            if let Some(masked) = without(&out, secret, cut) {
                out = Cow::Owned(masked);
            }
        }
        out
    }

    /// The same for a text that may have been cut, with `...` in the place of the rest.
    pub fn mask_text(&self, text: &str) -> String {
        let (start, rest) = match text.strip_suffix("...") {
            Some(start) => (start, "..."),
            None => (text, ""),
        };
        String::from_utf8_lossy(&self.mask(start.as_bytes(), true)).into_owned() + rest
    }

    /// The same for a whole text.
    pub fn mask_whole(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask(text.as_bytes(), false)).into_owned()
    }

    /// The same for one that is whole unless it ends in `...`.
    pub fn mask_shown(&self, text: &str) -> String {
        if text.ends_with("...") { self.mask_text(text) } else { self.mask_whole(text) }
    }
}

/// Without the encoding of a query.
fn decoded(value: &[u8]) -> Vec<u8> {
    let pair = [b"v=", value].concat();
    let value = url::form_urlencoded::parse(&pair).next().map(|(_, value)| value.into_owned().into_bytes());
    value.unwrap_or_default()
}

fn without(bytes: &[u8], secret: &[u8], cut: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        if !spelling::may_begin(bytes[at], secret) {
            at += 1;
            continue;
        }
        let (length, matched) = spelling::prefix(&bytes[at..], secret);
        let begun = cut && at + length == bytes.len() && matched >= limits::MIN_SECRET;
        if matched == secret.len() || begun {
            out.extend_from_slice(&bytes[from..at]);
            out.extend_from_slice(MASK.as_bytes());
            at += length;
            from = at;
        } else {
            at += 1;
        }
    }
    (from > 0).then(|| {
        out.extend_from_slice(&bytes[from..]);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_so() {
        for name in ["Authorization", "Set-Cookie", "X-Api-Key", "x-csrf-token", "X-Amz-Security-Token"] {
            assert!(is_field(name), "{name}");
        }
        for name in ["users.password", "API_KEY", "_passwd", "client-secret", "SESSION_ID"] {
            assert!(is_name(name), "{name}");
        }
        assert!(!is_field("content-type") && !is_name("user") && !is_name("HOME"));
        for name in ["Authorization", "proxy-authorization", "cookie", "X-Api-Key", "x-amz-security-token"] {
            assert!(is_never_indexed(name) && is_field(name), "{name}");
        }
        assert!(!is_never_indexed("x-csrf-token"));
    }

    #[test]
    fn parameters_of_a_query_whose_names_say_so() {
        let literal = |text: &str| Piece::Literal(text.as_bytes().into());
        let pieces =
            [literal("/token=no?page=1&token=a%20"), Piece::Slot(3), literal("=&x&csrf=b?&password=")];
        let found = in_query(&Text::new([&pieces[..], &[Piece::Slot(4), literal("&session=")]].concat()));
        let expected = [
            Text::new(vec![literal("a%20"), Piece::Slot(3), literal("=")]),
            Text::literal("b?"),
            Text::new(vec![Piece::Slot(4)]),
        ];
        assert_eq!(found, expected);
        for (text, masked) in [
            ("GET /a?page=1&token=abc&x&csrf=b?=c&session=", "GET /a?page=1&token=***&x&csrf=***&session="),
            ("/?token={{ a & b }}&token={{a}}b{{c}}&token={x", "/?token={{ a & b }}&token=***&token=***"),
            ("GET /?token=a%20b #2", "GET /?token=*** #2"),
            ("see /?token=ä... and ?token=b", "see /?token=*** and ?token=b"),
            ("/token=a?page=token=b", "/token=a?page=token=b"),
        ] {
            assert_eq!(mask_query(text), masked);
        }
        assert_eq!(in_query(&Text::literal("/token=1")), []);
        let mut secrets = Secrets::default();
        secrets.add_known_parameter(b"open+sesame%2F");
        assert_eq!(secrets.mask_text("/?t=open+sesame%2F open sesame/ open%20sesame%2f"), "/?t=*** *** ***");
    }

    #[test]
    fn a_value_is_masked_as_it_is_and_encoded() {
        let mut secrets = Secrets::default();
        secrets.add("pa ss\"w/ö".as_bytes());
        secrets.add(b"abc");
        for (from, to) in [
            ("a pa ss\"w/ö b", "a *** b"),
            ("p=pa%20ss%22w%2F%C3%B6&q=1", "p=***&q=1"),
            ("p=pa+ss%22w%2F%C3%B6&q=1", "p=***&q=1"),
            (r#"{"p":"pa ss\"w/ö"}"#, r#"{"p":"***"}"#),
            ("pa ss\"w/öpa ss\"w/ö", "******"),
            ("abc is too short to be one", "abc is too short to be one"),
            ("p=pa%20ss%22w%2f%c3%b6, p=pa ss%22w/%C3%B6", "p=***, p=***"),
            (r#"{"p":"pa ss\u0022w\/\u00f6"}"#, r#"{"p":"***"}"#),
            ("<p>pa ss&quot;w&#x2F;ö</p> <p>pa ss&#34;w/ö</p>", "<p>***</p> <p>***</p>"),
            ("nothing, 100 % of it + \\ & more", "nothing, 100 % of it + \\ & more"),
        ] {
            assert_eq!(secrets.mask_whole(from), to);
        }
    }

    #[test]
    fn a_value_is_masked_in_base64_wherever_it_begins() {
        let mut secrets = Secrets::default();
        secrets.add(b"se?ame>>");
        for around in ["", "x", "xy", "xyz", "user:"] {
            let text = format!("{around}se?ame>>{around}");
            for engine in [BASE64_STANDARD, base64::prelude::BASE64_URL_SAFE] {
                let masked = secrets.mask(engine.encode(&text).as_bytes(), false).into_owned();
                let masked = String::from_utf8(masked).unwrap();
                // What is left holds the neighbours and at most four bits of the value at either side.
                let neighbours = 2 * (around.len() * 8).div_ceil(6) + 4;
                assert!(masked.contains("***") && masked.len() <= 3 + neighbours, "{text}: {masked}");
            }
        }
        let mut short = Secrets::default();
        short.add(b"abcde");
        assert_eq!(&*short.mask(b"YWJjZGU= abcde", false), b"YWJjZGU= ***");
    }

    #[test]
    fn what_fields_give_away() {
        let masked = |name: &str, value: &str, text: &str| {
            let mut secrets = Secrets::default();
            secrets.add_field(name, value.as_bytes());
            secrets.mask_whole(text)
        };
        assert_eq!(masked("Authorization", "Bearer abcdef", "you sent abcdef"), "you sent ***");
        assert_eq!(masked("authorization", "Basic bWU6c2VzYW1l", "bWU6c2VzYW1l me sesame"), "*** me ***");
        let signed = "AWS4-HMAC-SHA256 Credential=AKID/s, SignedHeaders=h, Signature=0a1b2c";
        assert_eq!(masked("authorization", signed, "you sent 0a1b2c"), "you sent ***");
        assert_eq!(masked("cookie", "a=11111; b=2222", "11111 and 2222"), "*** and ***");
        assert_eq!(masked("set-cookie", "a=11111; domain=test", "11111 of test"), "*** of test");
    }

    #[test]
    fn one_that_was_cut_is_masked_and_the_longest_goes_first() {
        let mut secrets = Secrets::default();
        secrets.add(b"sesame");
        secrets.add(b"open sesame now");
        assert_eq!(secrets.mask_text("say open sesame now"), "say ***");
        assert_eq!(secrets.mask_text("say sesame"), "say ***");
        assert_eq!(secrets.mask_text("say open ses..."), "say ***...");
        assert_eq!(secrets.mask_text("say sesam..."), "say ***...");
        assert_eq!(&*secrets.mask(b"say open ses", false), b"say open ses");
        assert_eq!(secrets.mask_text("say open%20se..."), "say ***...");
        assert_eq!(secrets.mask_text("say open%2..."), "say ***...");
        assert_eq!(format!("{secrets:?}"), "***");
    }
}
