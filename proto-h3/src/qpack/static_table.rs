//! The static table of QPACK (RFC 9204 appendix A) and look-ups in it.

use proto_h2::hpack::class::{Class, Info};

/// A name and a value.
type Pair = (&'static [u8], &'static [u8]);

/// Number of entries.
const LEN: usize = 99;

/// The entries, index 0 first.
#[rustfmt::skip]
static ENTRIES: [Pair; LEN] = [
    (b":authority", b""),
    (b":path", b"/"),
    (b"age", b"0"),
    (b"content-disposition", b""),
    (b"content-length", b"0"),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"referer", b""),
    (b"set-cookie", b""),
    (b":method", b"CONNECT"),
    (b":method", b"DELETE"),
    (b":method", b"GET"),
    (b":method", b"HEAD"),
    (b":method", b"OPTIONS"),
    (b":method", b"POST"),
    (b":method", b"PUT"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"103"),
    (b":status", b"200"),
    (b":status", b"304"),
    (b":status", b"404"),
    (b":status", b"503"),
    (b"accept", b"*/*"),
    (b"accept", b"application/dns-message"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-ranges", b"bytes"),
    (b"access-control-allow-headers", b"cache-control"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-allow-origin", b"*"),
    (b"cache-control", b"max-age=0"),
    (b"cache-control", b"max-age=2592000"),
    (b"cache-control", b"max-age=604800"),
    (b"cache-control", b"no-cache"),
    (b"cache-control", b"no-store"),
    (b"cache-control", b"public, max-age=31536000"),
    (b"content-encoding", b"br"),
    (b"content-encoding", b"gzip"),
    (b"content-type", b"application/dns-message"),
    (b"content-type", b"application/javascript"),
    (b"content-type", b"application/json"),
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"content-type", b"image/gif"),
    (b"content-type", b"image/jpeg"),
    (b"content-type", b"image/png"),
    (b"content-type", b"text/css"),
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-type", b"text/plain"),
    (b"content-type", b"text/plain;charset=utf-8"),
    (b"range", b"bytes=0-"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"strict-transport-security", b"max-age=31536000; includesubdomains"),
    (b"strict-transport-security", b"max-age=31536000; includesubdomains; preload"),
    (b"vary", b"accept-encoding"),
    (b"vary", b"origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-xss-protection", b"1; mode=block"),
    (b":status", b"100"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"302"),
    (b":status", b"400"),
    (b":status", b"403"),
    (b":status", b"421"),
    (b":status", b"425"),
    (b":status", b"500"),
    (b"accept-language", b""),
    (b"access-control-allow-credentials", b"FALSE"),
    (b"access-control-allow-credentials", b"TRUE"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-allow-methods", b"get"),
    (b"access-control-allow-methods", b"get, post, options"),
    (b"access-control-allow-methods", b"options"),
    (b"access-control-expose-headers", b"content-length"),
    (b"access-control-request-headers", b"content-type"),
    (b"access-control-request-method", b"get"),
    (b"access-control-request-method", b"post"),
    (b"alt-svc", b"clear"),
    (b"authorization", b""),
    (b"content-security-policy", b"script-src 'none'; object-src 'none'; base-uri 'none'"),
    (b"early-data", b"1"),
    (b"expect-ct", b""),
    (b"forwarded", b""),
    (b"if-range", b""),
    (b"origin", b""),
    (b"purpose", b"prefetch"),
    (b"server", b""),
    (b"timing-allow-origin", b"*"),
    (b"upgrade-insecure-requests", b"1"),
    (b"user-agent", b""),
    (b"x-forwarded-for", b""),
    (b"x-frame-options", b"deny"),
    (b"x-frame-options", b"sameorigin"),
];

/// What each entry means in a response, so that an indexed field is never looked at twice.
static INFOS: [Info; LEN] = infos();

const fn infos() -> [Info; LEN] {
    let mut out = [Info::of_name(Class::Plain); LEN];
    let mut i = 0;
    while i < LEN {
        out[i] = match i {
            0 | 1 | 15..=23 => Info::of_name(Class::Pseudo),
            4 => Info::of_name(Class::ContentLength),
            24 => Info::status(103),
            25 => Info::status(200),
            26 => Info::status(304),
            27 => Info::status(404),
            28 => Info::status(503),
            63 => Info::status(100),
            64 => Info::status(204),
            65 => Info::status(206),
            66 => Info::status(302),
            67 => Info::status(400),
            68 => Info::status(403),
            69 => Info::status(421),
            70 => Info::status(425),
            71 => Info::status(500),
            _ => Info::of_name(Class::Plain),
        };
        i += 1;
    }
    out
}

/// The entry at a wire index.
#[inline]
pub(super) fn get(index: u64) -> Option<(Pair, Info)> {
    let i = usize::try_from(index).ok()?;
    Some((*ENTRIES.get(i)?, INFOS[i]))
}

/// What the static table has for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Name and value.
    Field(u8),
    /// The name only.
    Name(u8),
    /// Nothing.
    Nothing,
}

/// Looks a field up. Linear: it runs when a template is prepared, not per request.
pub(super) fn find(name: &[u8], value: &[u8]) -> Found {
    let mut found = Found::Nothing;
    for (i, (n, v)) in (0u8..).zip(ENTRIES.iter()) {
        if *n == name {
            if *v == value {
                return Found::Field(i);
            }
            if found == Found::Nothing {
                found = Found::Name(i);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_find_the_best_entry() {
        assert_eq!(find(b":method", b"GET"), Found::Field(17));
        assert_eq!(find(b":method", b"PATCH"), Found::Name(15));
        assert_eq!(find(b"user-agent", b"x"), Found::Name(95));
        assert_eq!(find(b"x-frame-options", b"sameorigin"), Found::Field(98));
        assert_eq!(find(b"x-y", b"x"), Found::Nothing);
        assert!(get(98).is_some() && get(99).is_none() && get(u64::MAX).is_none());
    }

    #[test]
    fn the_meaning_of_an_entry_is_what_its_bytes_say() {
        for i in 0..LEN as u64 {
            let ((name, value), info) = get(i).unwrap();
            assert_eq!(info.class(), Info::new(Class::of(name), value).class(), "{i}");
            if info.class() == Class::Status {
                assert_eq!(info, Info::new(Class::Status, value));
            }
        }
    }
}
