//! What people want to know of a certificate, read from its DER (RFC 5280 section 4.1): who issued it to whom; and a time as
//! a date. Judges nothing: whether it holds is the TLS library's.

use std::time::Duration;

/// Who issued it, and to whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) self_signed: bool,
}

const SEQUENCE: u8 = 0x30;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// Of a name that a peer chose, this much is shown.
const SHOWN: usize = 60;

/// `None`: it is not the DER of a certificate.
pub(crate) fn names(certificate: &[u8]) -> Option<Names> {
    let mut outer = certificate;
    let mut certificate = expect(&mut outer, SEQUENCE)?;
    let mut tbs = expect(&mut certificate, SEQUENCE)?;
    if tbs.first() == Some(&0xa0) {
        next(&mut tbs)?; // the version
    }
    next(&mut tbs)?; // serial number
    next(&mut tbs)?; // signature algorithm
    let issuer = expect(&mut tbs, SEQUENCE)?;
    next(&mut tbs)?; // validity
    let subject = expect(&mut tbs, SEQUENCE)?;
    Some(Names { issuer: shown(issuer), subject: shown(subject), self_signed: issuer == subject })
}

/// The common name, or else the organisation.
fn shown(name: &[u8]) -> String {
    let bytes =
        attribute(name, COMMON_NAME).or_else(|| attribute(name, ORGANIZATION)).unwrap_or(b"(no name)");
    let clean = |c: char| if c.is_control() { '?' } else { c };
    String::from_utf8_lossy(bytes).chars().map(clean).take(SHOWN).collect()
}

fn attribute<'a>(mut name: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    while !name.is_empty() {
        let (_, mut set) = next(&mut name)?;
        while !set.is_empty() {
            let (_, mut pair) = next(&mut set)?;
            let (_, oid) = next(&mut pair)?;
            let (_, value) = next(&mut pair)?;
            if oid == wanted {
                return Some(value);
            }
        }
    }
    None
}

fn expect<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(der).filter(|(t, _)| *t == tag).map(|(_, content)| content)
}

/// The next element: tag and content.
fn next<'a>(der: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = der.split_first()?;
    *der = rest;
    let len = length(der)?;
    let (content, rest) = der.split_at_checked(len)?;
    *der = rest;
    Some((tag, content))
}

/// A length of DER, up to three octets of it.
pub(crate) fn length(der: &mut &[u8]) -> Option<usize> {
    let (&first, rest) = der.split_first()?;
    *der = rest;
    if first < 0x80 {
        return Some(usize::from(first));
    }
    let octets = usize::from(first & 0x7f);
    if octets > 3 || rest.len() < octets {
        return None;
    }
    *der = &rest[octets..];
    Some(rest[..octets].iter().fold(0, |n, &b| n << 8 | usize::from(b)))
}

/// A time since 1970 as `2026-11-28 01:20:00 UTC`.
pub(crate) fn date(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March put the leap day last; 400 of them have 146097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month < 10 {
        true => (era * 400 + year, month + 3),
        false => (era * 400 + year + 1, month - 9),
    };
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day_of_month:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_009_843_199, "2001-12-31 23:59:59 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn names_of_a_certificate() {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Works");
        params.distinguished_name.push(DnType::CommonName, "a\u{7}.test");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        let expected = Names { issuer: "a?.test".into(), subject: "a?.test".into(), self_signed: true };
        assert_eq!(names(der), Some(expected));
        for end in 0..der.len() {
            names(&der[..end]); // nothing to find, and nothing to fall over
        }
        assert_eq!(names(b""), None);
    }
}
