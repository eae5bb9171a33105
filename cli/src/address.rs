//! From what a user calls a server to a target: URLs, `builtin`, `--base-uri`, credentials.

use crate::error::Failure;
use proto::Scheme;
use scenario::UrlErrorKind;
use scenario::network::basic;
use scenario::plan::Target;

/// A URL taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where to.
    pub target: Target,
    /// Path and query.
    pub path: String,
    /// The value of an `authorization` header, if the URL named a user.
    pub authorization: Option<String>,
}

impl Address {
    /// Of an absolute URL or of the server inside this process.
    pub fn parse(text: &str) -> Result<Address, Failure> {
        let text = without_fragment(text);
        if let Some((target, path)) = builtin(text) {
            return Ok(Address { target, path: path_of(path)?, authorization: None });
        }
        match Target::from_url(text) {
            Ok((target, path)) => Ok(Address { target, path, authorization: None }),
            Err(error) if error.kind == UrlErrorKind::UserInfo => {
                let user = text[error.at.clone()].trim_end_matches('@');
                let bare = format!("{}{}", &text[..error.at.start], &text[error.at.end..]);
                let (target, path) = Target::from_url(&bare).map_err(|e| invalid(&bare, &e))?;
                Ok(Address { target, path, authorization: Some(basic(user)) })
            }
            Err(error) => Err(invalid(text, &error)),
        }
    }
}

/// What is sent of a URL: h2load takes one as it stands in a browser.
fn without_fragment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}

/// The path of a URL whose host does not matter: every URL but the first, and each beside `--base-uri`.
pub fn path_of(text: &str) -> Result<String, Failure> {
    let text = without_fragment(text);
    let absolute = if text.is_empty() || text.starts_with(['/', '?']) {
        format!("http://host{text}")
    } else {
        text.to_owned()
    };
    let url = Target::from_url(&absolute);
    match url {
        Err(e) if e.kind == UrlErrorKind::UserInfo => Address::parse(text).map(|a| a.path),
        other => other.map(|(_, path)| path).map_err(|e| invalid(text, &e)),
    }
}

fn invalid(text: &str, error: &scenario::UrlError) -> Failure {
    let is_plan = text == "run" || [".yaml", ".yml"].iter().any(|ending| text.ends_with(ending));
    let hint = match error.kind {
        UrlErrorKind::NoScheme if is_plan => {
            format!("; a plan is run by loadgen -f {}", if text == "run" { "PLAN.yaml" } else { text })
        }
        UrlErrorKind::NoScheme if !text.is_empty() && !text.contains(['/', '\\']) || text.contains('.') => {
            format!("; did you mean http://{text} ?")
        }
        _ => String::new(),
    };
    Failure::new(format!("invalid URI: {text}: {error}; {}{hint}", error.kind.advice()))
}

fn builtin(text: &str) -> Option<(Target, &str)> {
    let rest = text.strip_prefix("builtin")?;
    let (scheme, rest) = match rest.strip_prefix("+tls") {
        Some(rest) => (Scheme::Https, rest),
        None => (Scheme::Http, rest),
    };
    let ends_here = rest.is_empty() || rest.starts_with(['/', '?']);
    ends_here.then(|| (Target::builtin(scheme), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_url_for_a_header() {
        let address = Address::parse("http://us%40er:p%C3%A4ss@host:81/x?y").unwrap();
        assert_eq!((address.target.authority.as_str(), address.path.as_str()), ("host:81", "/x?y"));
        assert_eq!(address.authorization.as_deref(), Some("Basic dXNAZXI6cMOkc3M="));
    }

    #[test]
    fn the_builtin_server_has_a_name() {
        let address = Address::parse("builtin/login?x=1").unwrap();
        assert_eq!((address.target.scheme, address.path.as_str()), (Scheme::Http, "/login?x=1"));
        assert_eq!(Address::parse("builtin+tls").unwrap().target.scheme, Scheme::Https);
        assert!(Address::parse("builtins/").is_err());
    }

    #[test]
    fn what_follows_a_number_sign_is_not_sent() {
        for (text, path) in [
            ("http://host/a?b#c?d/e f", "/a?b"),
            ("http://host#top", "/"),
            ("http://u:p@host/#top", "/"),
            ("builtin/a#b#c", "/a"),
            ("builtin+tls#b", "/"),
        ] {
            assert_eq!(Address::parse(text).unwrap().path, path, "{text}");
        }
        for (text, path) in [("/a#b", "/a"), ("http://other/x?y#", "/x?y"), ("?q#b", "/?q")] {
            assert_eq!(path_of(text).unwrap(), path, "{text}");
        }
    }

    #[test]
    fn bad_urls_say_what_to_do() {
        for (text, part) in [
            ("localhost", "did you mean http://localhost ?"),
            ("plans/shop.yaml", "a plan is run by loadgen -f plans/shop.yaml"),
            ("run", "a plan is run by loadgen -f plan.yaml"),
            ("ftp://a/", "http"),
            ("http://a:99999/", "port"),
            ("http://a/ b", "%20"),
            ("http://", "host"),
        ] {
            let message = Address::parse(text).unwrap_err().to_string();
            assert!(message.contains("invalid URI") && message.to_lowercase().contains(part), "{message}");
        }
    }
}
