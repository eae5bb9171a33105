//! The cookies of a virtual user (RFC 6265), bounded. Public suffixes are not known: a test sends its own cookies to its own
//! servers.

use super::past::Past;
use crate::limits;
use std::borrow::Cow;

/// A cookie jar.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<Cookie>,
    /// Values that cookies had.
    past: Past<String>,
}

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    value: String,
    /// Lower case, without a dot in front.
    domain: String,
    /// Sent to exactly this host.
    host_only: bool,
    path: String,
    secure: bool,
    /// Nanoseconds since 1970.
    expires: u64,
}

/// Where a request goes, as cookies see it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub secure: bool,
}

/// Why a cookie was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bomb {
    /// A cookie larger than the limit.
    Large,
    /// More cookies than the limit.
    Many,
}

impl Jar {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.cookies.clear();
    }

    /// Takes one `set-cookie` field.
    pub fn store(&mut self, field: &[u8], place: Place<'_>, wall: u64) -> Result<(), Bomb> {
        let field = String::from_utf8_lossy(field);
        let mut parts = field.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return Ok(()) };
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Ok(());
        }
        if name.len() + value.len() > limits::MAX_COOKIE_BYTES {
            return Err(Bomb::Large);
        }
        let (mut domain, mut path, mut secure) = (None, None, false);
        let (mut expires, mut max_age) = (None, None);
        for attribute in parts {
            let (key, text) = attribute.split_once('=').unwrap_or((attribute, ""));
            let (key, text) = (key.trim(), text.trim());
            match () {
                _ if key.eq_ignore_ascii_case("domain") => {
                    domain =
                        Some(text.trim_start_matches('.').to_ascii_lowercase()).filter(|d| !d.is_empty());
                }
                _ if key.eq_ignore_ascii_case("path") => path = Some(text).filter(|p| p.starts_with('/')),
                _ if key.eq_ignore_ascii_case("secure") => secure = true,
                _ if key.eq_ignore_ascii_case("max-age") => max_age = text.parse::<i64>().ok(),
                _ if key.eq_ignore_ascii_case("expires") => expires = date(text),
                () => {}
            }
        }
        let host_only = domain.is_none();
        let domain = match domain {
            Some(domain) => Cow::Owned(domain),
            // The usual case costs no memory: it was kept before, or is the host as it stands in the plan.
            None if place.host.bytes().any(|b| b.is_ascii_uppercase()) => {
                Cow::Owned(place.host.to_ascii_lowercase())
            }
            None => Cow::Borrowed(place.host),
        };
        let path = path.unwrap_or_else(|| default_path(place.path));
        if !domain_matches(place.host, &domain) || domain.len() + path.len() > limits::MAX_COOKIE_BYTES {
            return Ok(()); // section 5.3 step 6: not this server's to set
        }
        let expires = match (max_age, expires) {
            (Some(s), _) if s <= 0 => 0,
            (Some(s), _) => wall.saturating_add((s as u64).saturating_mul(1_000_000_000)),
            (None, Some(at)) => at,
            (None, None) => u64::MAX,
        };
        let same = |c: &Cookie| c.name == name && c.domain == domain && c.path == path;
        let at = self.cookies.iter().position(same);
        if expires <= wall {
            at.map(|at| self.cookies.remove(at)).into_iter().for_each(|cookie| self.past.keep(cookie.value));
            return Ok(());
        }
        match at {
            Some(at) => {
                let cookie = &mut self.cookies[at];
                if cookie.value != value {
                    let old = std::mem::replace(&mut cookie.value, self.past.spare());
                    self.past.keep(old);
                    cookie.value.clear();
                    cookie.value.push_str(value);
                }
                (cookie.host_only, cookie.secure, cookie.expires) = (host_only, secure, expires);
            }
            None if self.cookies.len() >= limits::MAX_COOKIES => return Err(Bomb::Many),
            None => self.cookies.push(Cookie {
                name: name.to_owned(),
                value: value.to_owned(),
                domain: domain.into_owned(),
                host_only,
                path: path.to_owned(),
                secure,
                expires,
            }),
        }
        Ok(())
    }

    /// Appends the value of `cookie` for a request; nothing if there is none.
    pub fn write(&self, place: Place<'_>, wall: u64, out: &mut Vec<u8>) {
        let from = out.len();
        let fits = |c: &&Cookie| {
            let host = if c.host_only {
                c.domain.eq_ignore_ascii_case(place.host)
            } else {
                domain_matches(place.host, &c.domain)
            };
            host && path_matches(place.path, &c.path) && (!c.secure || place.secure) && c.expires > wall
        };
        // Longer paths first, then the older (section 5.4). Lengths are few, so this is a handful of passes at most.
        let mut longest = usize::MAX;
        while let Some(len) =
            self.cookies.iter().filter(fits).map(|c| c.path.len()).filter(|n| *n < longest).max()
        {
            for cookie in self.cookies.iter().filter(fits).filter(|c| c.path.len() == len) {
                if out.len() > from {
                    out.extend_from_slice(b"; ");
                }
                out.extend_from_slice(cookie.name.as_bytes());
                out.push(b'=');
                out.extend_from_slice(cookie.value.as_bytes());
            }
            longest = len;
        }
    }

    /// The value of a cookie by its name, of whatever path.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.cookies.iter().rev().find(|c| c.name == name).map(|c| c.value.as_str())
    }

    /// The values of all, and the last few that they had before.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.cookies.iter().map(|c| c.value.as_str()).chain(self.past.iter().map(String::as_str))
    }

    /// Heap bytes held.
    #[cfg(test)]
    fn footprint(&self) -> usize {
        self.cookies.iter().map(|c| c.name.len() + c.value.len() + c.path.len() + size_of::<Cookie>()).sum()
    }
}

/// Section 5.1.3.
fn domain_matches(host: &str, domain: &str) -> bool {
    if host.eq_ignore_ascii_case(domain) {
        return true;
    }
    let is_address = host.starts_with('[') || host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let cut = host.len().checked_sub(domain.len() + 1);
    !is_address
        && cut.is_some_and(|at| {
            host.is_char_boundary(at)
                && host.as_bytes()[at] == b'.'
                && host[at + 1..].eq_ignore_ascii_case(domain)
        })
}

/// Section 5.1.4.
fn path_matches(request: &str, cookie: &str) -> bool {
    let request = request.split(['?', '#']).next().unwrap_or("/");
    request
        .strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// Section 5.1.4.
fn default_path(request: &str) -> &str {
    let request = request.split(['?', '#']).next().unwrap_or("/");
    match request.rfind('/') {
        Some(at) if at > 0 && request.starts_with('/') => &request[..at],
        _ => "/",
    }
}

/// Section 5.1.1, as nanoseconds since 1970; before that is 0.
fn date(text: &str) -> Option<u64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|t| !t.is_empty()) {
        let number = token.parse::<u64>().ok();
        if time.is_none() && token.contains(':') {
            let mut parts = token.split(':').map(|p| p.parse::<u64>().ok());
            let (h, m, s) = (parts.next()??, parts.next()??, parts.next()??);
            time = (h < 24 && m < 60 && s < 60).then_some(h * 3600 + m * 60 + s);
        } else if day.is_none() && token.len() <= 2 && number.is_some() {
            day = number.filter(|d| (1..=31).contains(d));
        } else if month.is_none() && number.is_none() && token.len() >= 3 {
            const MONTHS: &str = "janfebmaraprmayjunjulaugsepoctnovdec";
            let name = token.get(..3)?.to_ascii_lowercase();
            month = MONTHS.find(&name).filter(|at| at % 3 == 0).map(|at| at as u64 / 3);
        } else if year.is_none() && (token.len() == 2 || token.len() == 4) {
            year = number.map(|y| match y {
                0..70 => y + 2000,
                70..100 => y + 1900,
                y => y,
            });
        }
    }
    let (year, month) = (year?, month?);
    if !(1601..=9999).contains(&year) {
        return None;
    }
    if year < 1970 {
        return Some(0);
    }
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let mut days: u64 = (1970..year).map(|y| 365 + u64::from(leap(y))).sum();
    days += BEFORE[month as usize] + u64::from(leap(year) && month > 1) + day? - 1;
    (days * 86_400 + time?).checked_mul(1_000_000_000).or(Some(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;

    fn at<'a>(host: &'a str, path: &'a str, secure: bool) -> Place<'a> {
        Place { host, path, secure }
    }

    fn sent(jar: &Jar, place: Place<'_>) -> String {
        let mut out = Vec::new();
        jar.write(place, NOW, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let mut jar = Jar::default();
        let from = at("www.example.com", "/a/b/c?x=/y", false);
        for field in [
            "one=1",
            "two=2; Path=/",
            "three=3; Domain=.example.com; path=/a",
            "four=4; Secure; Path=/",
            "five=5; Domain=other.com",
            "six=6; Max-Age=0",
            "seven=7; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "eight = 8 ; expires=Wed, 09-Jun-2099 10:18:14 GMT; path=/",
            "=nine",
            "ten",
        ] {
            jar.store(field.as_bytes(), from, NOW).unwrap();
        }
        assert_eq!(sent(&jar, at("www.example.com", "/a/b/d", false)), "one=1; three=3; two=2; eight=8");
        assert_eq!(sent(&jar, at("WWW.example.com", "/", true)), "two=2; four=4; eight=8");
        assert_eq!(sent(&jar, at("api.example.com", "/a", false)), "three=3");
        assert_eq!(sent(&jar, at("badexample.com", "/a", false)), "");
        assert_eq!(sent(&jar, at("www.example.com", "/ab", false)), "two=2; eight=8");
        assert_eq!((jar.get("one"), jar.get("five")), (Some("1"), None));
    }

    #[test]
    fn a_cookie_is_replaced_and_taken_back() {
        let mut jar = Jar::default();
        let here = at("h", "/", false);
        jar.store(b"sessid=a; Path=/; HttpOnly; SameSite=Lax", here, NOW).unwrap();
        jar.store(b"sessid=b; Path=/", here, NOW).unwrap();
        assert_eq!(sent(&jar, here), "sessid=b");
        jar.store(b"sessid=; Path=/; Max-Age=0", here, NOW).unwrap();
        assert_eq!(sent(&jar, here), "");
    }

    #[test]
    fn a_bomb_is_named_and_bounded() {
        let mut jar = Jar::default();
        let here = at("h", "/", false);
        assert_eq!(jar.store(&vec![b'='; 100_000], here, NOW), Ok(()), "without a name it is no cookie");
        assert_eq!(jar.store(format!("a={}", "x".repeat(10_000)).as_bytes(), here, NOW), Err(Bomb::Large));
        let many = (0..10_000)
            .filter(|n| jar.store(format!("c{n}=1").as_bytes(), here, NOW) == Err(Bomb::Many))
            .count();
        assert_eq!(many, 10_000 - limits::MAX_COOKIES);
        assert!(jar.footprint() < 100_000);
        jar.store(b"\xff\xfe=\x80", here, NOW).ok();
    }

    #[test]
    fn dates() {
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000_000_000));
        assert_eq!(date("Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777_000_000_000));
        assert_eq!(date("Sun Nov  6 08:49:37 1994"), Some(784_111_777_000_000_000));
        assert_eq!(date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800_000_000_000));
        assert_eq!(date("Thu, 01 Jan 1601 00:00:00 GMT"), Some(0));
        for bad in [
            "",
            "soon",
            "06 Nov 1994",
            "99 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "é é é 1:1:1",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }
}
