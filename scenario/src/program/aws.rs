//! AWS Signature Version 4, in the header `authorization` (`auth: { aws: ... }`): worked out anew for each request, over what
//! is sent. Pure; `user` calls it, `resolve/step.rs` makes [`Signer`]s.
//!
//! Signed are `host` and all `x-amz-...` fields, which is what services ask for.

use super::Rendered;
use super::check::sha256;
use crate::expr::functions::{hex, hmac, iso, url_encode};
use crate::expr::text::Phrase;
use crate::expr::{Env, EvalError};
use crate::network::percent_decoded;
use proto::Text;

/// The values of a signed request's last slots: `x-amz-date`, `x-amz-content-sha256`, `authorization`.
pub(crate) const SLOTS: usize = 3;

/// How requests of a step are signed.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub access_key: Phrase,
    pub secret_key: Phrase,
    pub region: Phrase,
    pub service: Phrase,
    pub method: String,
    pub host: String,
    /// Further fields that are signed, names in lower case.
    pub fields: Vec<(String, Text)>,
}

impl Signer {
    /// The values of the three slots for a request with these values of the others, this path and query, and this body.
    pub fn sign(
        &self,
        env: Env<'_>,
        rendered: Rendered<'_>,
        path: &[u8],
        body: &[u8],
    ) -> Result<[String; SLOTS], EvalError> {
        let utf8 =
            |bytes| String::from_utf8(bytes).map_err(|_| EvalError::Bad("what is signed is not UTF-8"));
        let text = |phrase: &Phrase| {
            let mut out = Vec::new();
            phrase.render(env, &mut out)?;
            utf8(out)
        };
        let (stamp, digest) = (stamp(env.wall), sha256(body));
        let mut fields = vec![
            ("host".to_owned(), self.host.clone()),
            ("x-amz-date".to_owned(), stamp.clone()),
            ("x-amz-content-sha256".to_owned(), digest.clone()),
        ];
        for (name, value) in &self.fields {
            let mut out = Vec::new();
            rendered.write(value, &mut out);
            fields.push((name.clone(), utf8(out)?));
        }
        let keys = Keys {
            access: &text(&self.access_key)?,
            secret: &text(&self.secret_key)?,
            region: &text(&self.region)?,
            service: &text(&self.service)?,
        };
        let path = std::str::from_utf8(path).map_err(|_| EvalError::Bad("what is signed is not UTF-8"))?;
        let request = Request { method: &self.method, path, fields, digest: &digest };
        let authorization = keys.authorization(&stamp, request);
        Ok([stamp, digest, authorization])
    }
}

/// `20150830T123600Z`.
fn stamp(wall: u64) -> String {
    let iso = iso(wall);
    let seconds = iso.split('.').next().unwrap_or_default();
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

struct Keys<'a> {
    access: &'a str,
    secret: &'a str,
    region: &'a str,
    service: &'a str,
}

struct Request<'a> {
    method: &'a str,
    /// With the query.
    path: &'a str,
    /// Those that are signed.
    fields: Vec<(String, String)>,
    /// Of the body.
    digest: &'a str,
}

impl Keys<'_> {
    fn authorization(&self, stamp: &str, mut request: Request<'_>) -> String {
        let day = stamp.split('T').next().unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        request.fields.sort();
        let names: Vec<&str> = request.fields.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let canonical = request.canonical(&names, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let key = format!("AWS4{}", self.secret).into_bytes();
        let parts = [day, self.region, self.service, "aws4_request", &to_sign];
        let signature = parts.iter().fold(key, |key, part| hmac(&key, part.as_bytes()).to_vec());
        let access = self.access;
        let signature = hex(&signature);
        format!("AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}")
    }
}

impl Request<'_> {
    /// What is signed, in the one form that both sides make of it.
    fn canonical(&self, names: &str, service: &str) -> String {
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let once = encoded(path, true);
        // Services other than S3 encode what was encoded.
        let path = if service == "s3" { once } else { encode(once.as_bytes(), true) };
        let mut pairs: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (encoded(name, false), encoded(value, false)))
            .collect();
        pairs.sort();
        let query: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let one_blank = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
        let fields: String =
            self.fields.iter().map(|(name, value)| format!("{name}:{}\n", one_blank(value))).collect();
        format!("{}\n{path}\n{}\n{fields}\n{names}\n{}", self.method, query.join("&"), self.digest)
    }
}

/// The text with every byte encoded that is not unreserved, whether it was or not.
fn encoded(text: &str, path: bool) -> String {
    encode(&percent_decoded(text), path)
}

fn encode(bytes: &[u8], path: bool) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    match path {
        true => {
            for (i, segment) in bytes.split(|b| *b == b'/').enumerate() {
                if i > 0 {
                    out.push(b'/');
                }
                url_encode(segment, &mut out);
            }
        }
        false => url_encode(bytes, &mut out),
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::random::Random;
    use crate::expr::text::Part;
    use proto::Piece;

    /// The keys of AWS's published test suite, whose cases have these names.
    const SUITE: Keys<'_> = Keys {
        access: "AKIDEXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "service",
    };
    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn fields(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_published_cases() {
        let stamp = stamp(1_440_938_160_000_000_000);
        assert_eq!(stamp, "20150830T123600Z");
        for (case, method, path, signature) in [
            ("get-vanilla", "GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "get-vanilla-query-order-key-case",
                "GET",
                "/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            ("post-vanilla", "POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            let fields = fields(&[("x-amz-date", &stamp), ("host", "example.amazonaws.com")]);
            let request = Request { method, path, fields, digest: NOTHING };
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            assert_eq!(SUITE.authorization(&stamp, request), expected, "{case}");
        }
    }

    #[test]
    fn what_is_signed_is_what_is_sent() {
        let constant = |text: &str| Phrase(vec![Part::Literal(text.as_bytes().into())]);
        let signer = Signer {
            access_key: constant(SUITE.access),
            secret_key: constant(SUITE.secret),
            region: constant(SUITE.region),
            service: constant(SUITE.service),
            method: "GET".into(),
            host: "h".into(),
            fields: vec![(
                "x-amz-meta-id".into(),
                Text::new(vec![Piece::Literal(b"n-"[..].into()), Piece::Slot(1)]),
            )],
        };
        let random = Random::new(0, 0);
        let env = Env { vars: &[], handed: &[], random: &random, wall: 1_440_938_160_000_000_000 };
        let rendered = Rendered { values: b"abcde", ends: &[3, 5] };
        let [stamp, digest, authorization] = signer.sign(env, rendered, b"/abc", b"").unwrap();
        assert_eq!((stamp.as_str(), digest.as_str()), ("20150830T123600Z", NOTHING));
        let fields = fields(&[
            ("host", "h"),
            ("x-amz-content-sha256", NOTHING),
            ("x-amz-date", &stamp),
            ("x-amz-meta-id", "n-de"),
        ]);
        let request = Request { method: "GET", path: "/abc", fields, digest: NOTHING };
        assert_eq!(authorization, SUITE.authorization(&stamp, request));
    }

    #[test]
    fn the_example_of_s3() {
        let keys = Keys {
            access: "AKIAIOSFODNN7EXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "s3",
        };
        let stamp = "20130524T000000Z";
        let fields = fields(&[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", NOTHING),
            ("x-amz-date", stamp),
        ]);
        let request = Request { method: "GET", path: "/test.txt", fields, digest: NOTHING };
        let signed = keys.authorization(stamp, request);
        let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert!(signed.ends_with(&format!("Signature={signature}")), "{signed}");
    }

    #[test]
    fn paths_and_queries_have_one_form() {
        let canonical = |service: &str, path: &str| {
            let request = Request { method: "GET", path, fields: vec![], digest: "d" };
            request.canonical("", service)
        };
        let form = "GET\n/a%20b/c~\n=%2F&x=%2B&x=1%202&y=\n\n\nd";
        assert_eq!(canonical("s3", "/a%20b/c~?y&x=1%202&x=+&=/"), form);
        assert_eq!(canonical("s3", "/a%20b/%63%7E?y=&x=1%202&x=%2b&=%2f"), form);
        assert!(canonical("service", "/a%20b/c~").starts_with("GET\n/a%2520b/c~\n"));
    }
}
