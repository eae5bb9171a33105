//! `-H`: header fields, and the five that replace what a request says anyway, as in h2load.

use crate::error::Failure;
use proto::Scheme;

/// All `-H` together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `host` or `:authority`.
    pub authority: Option<String>,
    /// `:method`.
    pub method: Option<String>,
    /// `:scheme`.
    pub scheme: Option<Scheme>,
    /// `user-agent`.
    pub user_agent: Option<String>,
    /// The others in order, names in lower case.
    pub fields: Vec<(String, String)>,
}

impl Headers {
    /// From the texts as typed.
    pub fn parse(texts: &[String]) -> Result<Headers, Failure> {
        let mut out = Headers::default();
        for text in texts {
            out.add(text)?;
        }
        Ok(out)
    }

    /// Whether a field of this (lower case) name is among them.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(n, _)| n == name)
    }

    fn add(&mut self, text: &str) -> Result<(), Failure> {
        // A pseudo header begins with a colon; the name ends at the next.
        let colon = text.char_indices().skip(1).find(|(_, c)| *c == ':').map(|(at, _)| at);
        let Some(colon) = colon.filter(|at| *at > 1 || !text.starts_with(':')) else {
            return Err(Failure::new(format!("-H: invalid header: {text}: expected NAME: VALUE")));
        };
        let name = text[..colon].trim().to_ascii_lowercase();
        let value = text[colon + 1..].trim().to_owned();
        if value.is_empty() {
            return Err(Failure::new(format!(
                "-H: invalid header - value missing: {text}: expected NAME: VALUE"
            )));
        }
        match name.as_str() {
            "host" | ":authority" => self.authority = Some(value),
            ":method" => self.method = Some(value),
            ":scheme" => self.scheme = Some(scheme(&value)?),
            "user-agent" => self.user_agent = Some(value),
            ":path" => {
                return Err(Failure::new("-H: :path cannot be set by a header: put the path into the URL"));
            }
            pseudo if pseudo.starts_with(':') => {
                return Err(Failure::new(format!(
                    "-H: invalid header: {pseudo}: the pseudo headers are :authority, :method and :scheme"
                )));
            }
            _ => self.fields.push((name, value)),
        }
        Ok(())
    }
}

fn scheme(text: &str) -> Result<Scheme, Failure> {
    match text {
        "http" => Ok(Scheme::Http),
        "https" => Ok(Scheme::Https),
        _ => Err(Failure::new(format!("-H: :scheme {text}: use http or https"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(texts: &[&str]) -> Result<Headers, String> {
        let owned: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        Headers::parse(&owned).map_err(|e| e.to_string())
    }

    #[test]
    fn five_names_replace_and_the_rest_is_added() {
        let h =
            headers(&[":method: PUT", "Host: a", ":scheme:https", "User-Agent: x y", "X-A: b:c", "x-a: d"])
                .unwrap();
        assert_eq!((h.method.as_deref(), h.authority.as_deref()), (Some("PUT"), Some("a")));
        assert_eq!((h.scheme, h.user_agent.as_deref()), (Some(Scheme::Https), Some("x y")));
        assert_eq!(h.fields, [("x-a".into(), "b:c".into()), ("x-a".into(), "d".into())]);
    }

    #[test]
    fn what_is_no_header() {
        for bad in
            ["", ":", "::x", "name", "name:", "name:  ", ":path: /x", ":other: x", ":scheme: ftp", ":method"]
        {
            assert!(headers(&[bad]).is_err(), "{bad}");
        }
    }
}
