//! The field `alt-svc` of a response (RFC 7838 section 3): where else an origin can be reached. Bytes in, alternatives out; what
//! is made of them is the core's affair (`core/alternative.rs`).

use crate::limits;

/// How long an alternative may be used where the field does not say: 24 hours (RFC 7838 section 3.1), in seconds.
const DEFAULT_AGE: u64 = 24 * 60 * 60;

/// An alternative that is HTTP/3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alternative {
    /// In lower case; empty: the origin's own.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Seconds that it holds for.
    pub(crate) max_age: u64,
}

/// Reads a field: the alternatives that are HTTP/3, best first. None of them, as where the field is `clear`: what was said
/// before no longer holds. `None`: it is malformed, and says nothing.
pub(crate) fn parse(field: &[u8]) -> Option<Vec<Alternative>> {
    let field = field.trim_ascii();
    if field.len() > limits::ALT_SVC {
        return None;
    }
    // Of this one word case counts.
    if field == b"clear" {
        return Some(vec![]);
    }
    let mut rest = Text(field);
    let (mut found, mut any) = (vec![], false);
    loop {
        rest.blanks();
        // A list may have empty elements (RFC 9110 section 5.6.1.2).
        if rest.0.first().is_some_and(|&byte| byte != b',') {
            found.extend(rest.alternative()?);
            any = true;
        }
        match rest.0.split_first() {
            None => break,
            Some((b',', after)) => rest.0 = after,
            Some(_) => return None,
        }
    }
    any.then_some(found)
}

/// What is still to be read.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// `h3=":443"; ma=60`. `Some(None)`: of another protocol.
    fn alternative(&mut self) -> Option<Option<Alternative>> {
        // Percent-encoded, but not where it need not be: it is compared as it stands (RFC 7838 section 3).
        let is_http3 = self.token()? == b"h3";
        self.sign(b'=')?;
        let authority = self.quoted()?;
        let mut max_age = DEFAULT_AGE;
        loop {
            self.blanks();
            if self.0.first() != Some(&b';') {
                break;
            }
            self.sign(b';')?;
            self.blanks();
            let name = self.token()?;
            self.sign(b'=')?;
            let value = if self.0.first() == Some(&b'"') { self.quoted()? } else { self.token()?.to_vec() };
            // Other parameters are passed over (RFC 7838 section 3.1).
            if name.eq_ignore_ascii_case(b"ma") {
                max_age = seconds(&value)?;
            }
        }
        if !is_http3 {
            return Some(None);
        }
        let (host, port) = place(&authority)?;
        Some(Some(Alternative { host, port, max_age }))
    }

    fn blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn sign(&mut self, sign: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[sign])?;
        Some(())
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
        let end = self.0.iter().position(|b| !is_token(b)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A quoted string, without its quotes (RFC 9110 section 5.6.4).
    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.sign(b'"')?;
        let mut text = Vec::new();
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => return Some(text),
                b'\\' => {
                    let (&escaped, rest) = self.0.split_first()?;
                    self.0 = rest;
                    text.push(escaped);
                }
                _ => text.push(byte),
            }
        }
    }
}

/// More than there are is as good as for ever.
fn seconds(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    Some(number.parse().unwrap_or(u64::MAX))
}

/// `HOST:PORT`, where the host may be missing.
fn place(authority: &[u8]) -> Option<(String, u16)> {
    let text = std::str::from_utf8(authority).ok()?;
    let (host, port) = text.rsplit_once(':')?;
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|&p| is_number && p > 0)?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = match bare {
        Some(v6) => v6,
        None if host.contains([':', '[', ']']) => return None,
        None => host,
    };
    let is_host = |c: char| c.is_ascii_graphic() && !"/?#@\\\"".contains(c);
    host.chars().all(is_host).then(|| (host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn http3(host: &str, port: u16, max_age: u64) -> Alternative {
        Alternative { host: host.into(), port, max_age }
    }

    #[test]
    fn what_servers_say() {
        let day = DEFAULT_AGE;
        for (field, expected) in [
            (r#"h3=":443""#, vec![http3("", 443, day)]),
            (r#"h3=":443"; ma=86400"#, vec![http3("", 443, 86_400)]),
            (r#"h3=":443"; ma=2592000,h3-29=":443"; ma=2592000"#, vec![http3("", 443, 2_592_000)]),
            (
                r#"h3-29=":1", h2="other:2" ;ma=5; persist=1 , h3=":3" ; persist=1;MA="7""#,
                vec![http3("", 3, 7)],
            ),
            (r#"h3="ALT.example:8443",h3=":1""#, vec![http3("alt.example", 8443, day), http3("", 1, day)]),
            (r#"h3="[2001:DB8::1]:443""#, vec![http3("2001:db8::1", 443, day)]),
            (r#" , h3="\:4\43";ma=0,, "#, vec![http3("", 443, 0)]),
            (r#"h3=":443"; ma=99999999999999999999999"#, vec![http3("", 443, u64::MAX)]),
            (r#"h3=":443"; v="a, \"b\"; c=\"d"; ma=9"#, vec![http3("", 443, 9)]),
            (r#"w%3Dx%3Ay#z=":1", %683=":2", h3=":3""#, vec![http3("", 3, day)]),
            (r#"quic=":443"; v="46,43""#, vec![]),
            (r#"H3=":443""#, vec![]),
            (r#"%68%33=":443""#, vec![]),
            (r#"h3-29=":443"; ma=60"#, vec![]),
            ("clear", vec![]),
            (" clear ", vec![]),
        ] {
            assert_eq!(parse(field.as_bytes()), Some(expected), "{field}");
        }
    }

    #[test]
    fn what_says_nothing() {
        let long = format!("h3=\":443\"; x={}", "y".repeat(limits::ALT_SVC));
        for field in [
            "",
            ",",
            " ",
            "Clear",
            "clear, h3=\":1\"",
            "h3",
            "h3=",
            "h3=:443",
            "h3=\":443",
            "h3=\"443\"",
            "h3=\":\"",
            "h3=\":0\"",
            "h3=\":65536\"",
            "h3=\":+1\"",
            "h3=\":443\" ma=1",
            "h3=\":443\"; ma",
            "h3=\":443\"; ma=x",
            "h3=\":443\"; ma=-1",
            "h3=\":443\";",
            "h3=\":443\"x",
            "=\":443\"",
            "h3=\"a b:1\"",
            "h3=\"u@a:1\"",
            "h3=\"a/b:1\"",
            "h3=\"::1:443\"",
            "h3=\"[::1:443\"",
            "h3=\"\u{e4}:443\"",
            "h3=\":443\\",
            "h3 =\":443\"",
            &long,
        ] {
            assert_eq!(parse(field.as_bytes()), None, "{field}");
        }
        assert_eq!(parse(b"h3=\"\xff:443\""), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(field in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&field);
        }

        #[test]
        fn nearly_right_is_read_or_refused(field in r#"(h3|h2|clear|=|"|:|443|;| |ma|,|\\|\[|\]|a){0,24}"#) {
            for found in parse(field.as_bytes()).unwrap_or_default() {
                prop_assert!(found.port > 0 && !found.host.contains(['"', ' ']));
            }
        }

        #[test]
        fn what_is_written_is_read(
            host in "([a-z0-9-]{1,10}(\\.[a-z]{1,5}){0,2})?", port in 1..u16::MAX, max_age in any::<u64>(),
            before in r#"([a-gi-z][a-z0-9]{0,4}="[a-z]{0,4}:[0-9]{1,3}"( ?; ?[b-z]{1,3}=[0-9]{1,3})? ?, ?){0,3}"#,
        ) {
            let field = format!("{before}h3=\"{host}:{port}\"; ma={max_age}");
            prop_assert_eq!(parse(field.as_bytes()), Some(vec![http3(&host, port, max_age)]));
        }
    }
}
