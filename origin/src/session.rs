//! Sessions of the demo site, kept by the client: a signed cookie, so that any thread knows it and none
//! stores anything.
//!
//! Signed with the standard library's keyed hash (SipHash, 64 bits, key made at start). That is no MAC to
//! protect money with; here it only has to tell a value that we made from one that a test made up. The price
//! of keeping nothing: a logout cannot revoke a cookie that the client keeps. Called by `site.rs`.

use std::hash::{BuildHasher, RandomState};

use crate::random::Random;

/// Signs and checks.
pub(crate) struct Keys(RandomState);

/// A session, as its cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// Has seen the login form.
    Visitor(u64),
    /// Has logged in.
    User(u64),
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self(RandomState::new())
    }

    /// A new session of somebody who has not logged in.
    pub(crate) fn visitor(&self, random: &Random) -> Session {
        Session::Visitor(random.next())
    }

    /// A new session of somebody who has. Never the old one: its number may be known to others.
    pub(crate) fn user(&self, random: &Random) -> Session {
        Session::User(random.next())
    }

    /// The cookie's value.
    pub(crate) fn sign(&self, session: Session) -> String {
        let (kind, number) = parts(session);
        format!("{kind}{number:016x}{:016x}", self.0.hash_one(("session", kind, number)))
    }

    /// The session of a cookie's value, if we made it.
    pub(crate) fn verify(&self, value: &str) -> Option<Session> {
        let number = u64::from_str_radix(value.get(1..17)?, 16).ok()?;
        let session = match value.get(..1)? {
            "v" => Session::Visitor(number),
            "u" => Session::User(number),
            _ => return None,
        };
        (self.sign(session) == value).then_some(session)
    }

    /// The token that a form of this session has to bring back.
    pub(crate) fn form_token(&self, session: Session) -> String {
        let (kind, number) = parts(session);
        format!("{:016x}", self.0.hash_one(("form", kind, number)))
    }
}

fn parts(session: Session) -> (char, u64) {
    match session {
        Session::Visitor(number) => ('v', number),
        Session::User(number) => ('u', number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_here_is_accepted() {
        let (keys, random) = (Keys::new(), Random::new());
        let user = keys.user(&random);
        let cookie = keys.sign(user);
        assert_eq!(keys.verify(&cookie), Some(user));
        assert_eq!(Keys::new().verify(&cookie), None);
        let visitor = keys.sign(keys.visitor(&random));
        for forged in [
            visitor.replace('v', "u"),
            cookie.to_uppercase(),
            format!("{cookie}0"),
            "é".repeat(20),
            String::new(),
        ] {
            assert_eq!(keys.verify(&forged), None, "{forged}");
        }
    }

    #[test]
    fn a_form_token_belongs_to_one_session() {
        let (keys, random) = (Keys::new(), Random::new());
        let (one, two) = (keys.visitor(&random), keys.visitor(&random));
        assert_eq!(keys.form_token(one), keys.form_token(one));
        assert_ne!(keys.form_token(one), keys.form_token(two));
    }
}
