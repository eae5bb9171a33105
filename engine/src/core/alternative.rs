//! Alternative services (RFC 7838): a server says over HTTP/1.1 or 2 that it speaks HTTP/3 as well, and where.
//!
//! The core then tries it with one connection: the one that heard of it ends what is in flight, is closed and opens again over
//! HTTP/3. If its handshake succeeds, the others of the target follow, each behind a request; if not, they stay where they are,
//! and no alternative of the target is tried for a time. `alt_svc.rs` reads the field; `notes` hears it; `traffic` opens and closes.

use super::link::LinkState;
use super::{Core, Setup, Told};
use crate::addresses::Ways;
use crate::alt_svc;
use crate::clock::Clock;
use crate::io::Driver;
use crate::io::socket::Peer;
use crate::limits;
use proto::{Fields, Time};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The server does not answer for the origin there (RFC 9110 section 15.5.20).
const MISDIRECTED: u16 = 421;

/// What responses said of alternatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Heard {
    #[default]
    Nothing,
    /// There is something to be made of a field.
    News,
    /// 421.
    Misdirected,
}

/// An address to go to, and one to come from.
pub(super) type Way = (Arc<Peer>, Option<IpAddr>);

/// What a core knows of the alternative of a target.
#[derive(Default)]
pub(super) struct Alternative {
    /// The field as it last came: most responses say the same again.
    field: Vec<u8>,
    scratch: Vec<u8>,
    /// The field is still to be looked at.
    is_news: bool,
    /// Where it is, while it is known.
    place: Option<Place>,
    /// One came to nothing: none is tried before then.
    shunned: Option<Time>,
}

/// A known alternative.
struct Place {
    named: alt_svc::Alternative,
    ways: Ways,
    /// From then on no connection is opened to it.
    expires: Time,
    trust: Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Nobody has tried it.
    Untried,
    /// This link does.
    Trying(u32),
    /// A connection was opened to it.
    Proven,
}

/// What a field changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    /// An alternative that was not known.
    New,
    /// One that is known to be there holds on.
    Proven,
    /// There is none any more.
    Gone,
}

/// One for each target that may have an alternative; empty where the plan does not want to know.
pub(super) fn all(setup: &Setup) -> Vec<Option<Alternative>> {
    let plan = &setup.plan;
    match plan.connections.alt_svc {
        true => plan.targets.iter().map(|t| plan.may_move(t).then(Alternative::default)).collect(),
        false => vec![],
    }
}

impl Alternative {
    /// Looks at the head of a response.
    pub(super) fn hear(&mut self, status: u16, fields: &dyn Fields, now: Time) -> Heard {
        if status == MISDIRECTED {
            return Heard::Misdirected; // and what else it says does not count (RFC 7838 section 6)
        }
        self.scratch.clear();
        let scratch = &mut self.scratch;
        fields.each(&mut |name, value| {
            if name.eq_ignore_ascii_case(b"alt-svc") {
                if !scratch.is_empty() {
                    scratch.push(b',');
                }
                // One byte too much is enough to refuse it.
                let room = (limits::ALT_SVC + 1).saturating_sub(scratch.len());
                scratch.extend_from_slice(&value[..value.len().min(room)]);
            }
        });
        if self.scratch.is_empty() {
            return Heard::Nothing;
        }
        if self.scratch != self.field {
            std::mem::swap(&mut self.scratch, &mut self.field);
            self.is_news = true;
        } else {
            match &mut self.place {
                Some(place) if now < place.expires => place.renew(now),
                Some(_) => self.is_news = true,
                None => self.is_news |= self.shunned.is_some_and(|until| now >= until),
            }
        }
        if self.is_news { Heard::News } else { Heard::Nothing }
    }

    /// The alternatives that the field names, if it is to be looked at and can be read.
    fn news(&mut self, now: Time) -> Option<Vec<alt_svc::Alternative>> {
        if !std::mem::take(&mut self.is_news) || self.shunned.is_some_and(|until| now < until) {
            return None;
        }
        self.shunned = None;
        let named = alt_svc::parse(&self.field);
        if named.is_none() {
            // Said again it is no confirmation of what is known.
            self.field.clear();
        }
        named
    }

    /// This one is to be used, or none.
    fn learn(&mut self, chosen: Option<(alt_svc::Alternative, Ways)>, now: Time) -> Change {
        let Some((named, ways)) = chosen else {
            return if self.place.take().is_some() { Change::Gone } else { Change::Nothing };
        };
        match &mut self.place {
            Some(place) if (&place.named.host, place.named.port) == (&named.host, named.port) => {
                place.named = named;
                place.renew(now);
                if place.trust == Trust::Proven { Change::Proven } else { Change::Nothing }
            }
            place => {
                let place = place.insert(Place { named, ways, expires: now, trust: Trust::Untried });
                place.renew(now);
                Change::New
            }
        }
    }

    /// Where a link that is about to be opened goes instead, if it does. One goes first. `tries` says of another link whether it
    /// still does.
    fn way(&mut self, link: u32, nth: u32, now: Time, tries: impl FnOnce(u32) -> bool) -> Option<Way> {
        let place = self.place.as_mut().filter(|place| now < place.expires)?;
        match place.trust {
            Trust::Proven => {}
            Trust::Trying(other) if other != link && tries(other) => return None,
            Trust::Untried | Trust::Trying(_) => place.trust = Trust::Trying(link),
        }
        let (peer, source) = place.ways.take(nth);
        Some((peer.clone(), source))
    }

    /// A link reached it. True: it is the first.
    fn proven_by(&mut self, link: u32) -> bool {
        match &mut self.place {
            Some(place) if place.trust == Trust::Trying(link) => {
                place.trust = Trust::Proven;
                true
            }
            _ => false,
        }
    }

    /// Whether connections that are opened now go there.
    fn is_in_use(&self, now: Time) -> bool {
        self.place.as_ref().is_some_and(|place| place.trust == Trust::Proven && now < place.expires)
    }

    /// It came to nothing, and is not tried again in a loop. True: it was known.
    fn shun(&mut self, now: Time) -> bool {
        self.shunned = Some(now.after(limits::ALT_SVC_SHUNNED));
        self.place.take().is_some()
    }
}

impl Place {
    fn renew(&mut self, now: Time) {
        self.expires = now.after(Duration::from_secs(self.named.max_age));
    }
}

impl<D: Driver, C: Clock> Core<'_, D, C> {
    fn alternative(&mut self, target: u16) -> Option<&mut Alternative> {
        self.queues.alternatives.get_mut(usize::from(target))?.as_mut()
    }

    /// Acts on what responses on this link said of alternatives.
    pub(super) fn heed(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        let heard = std::mem::take(&mut link.tidings.heard);
        let (target, is_there) = (link.target, link.elsewhere.is_some());
        if heard == Heard::Misdirected && is_there {
            let known = self.alternative(target).is_some_and(|a| a.shun(now));
            self.recorder.connections.alt_svc.misdirected += u64::from(known);
            self.come_back(target, index, now);
        }
        let Some(mut named) = self.alternative(target).and_then(|a| a.news(now)) else { return };
        // What holds for no time is no alternative.
        named.retain(|a| a.max_age > 0);
        let chosen = named.iter().find_map(|a| Some((a.clone(), self.ways_to(target, a)?)));
        if let (None, Some(first)) = (&chosen, named.first()) {
            self.refuse(target, first);
        }
        match self.alternative(target).map_or(Change::Nothing, |a| a.learn(chosen, now)) {
            Change::Nothing => {}
            Change::New => {
                self.recorder.connections.alt_svc.heard += 1;
                if !is_there {
                    self.links[index as usize].budget = 0;
                }
            }
            Change::Proven => self.go_there(target),
            Change::Gone => {
                self.recorder.connections.alt_svc.cleared += 1;
                self.come_back(target, index, now);
            }
        }
    }

    /// The ways to an alternative. Only to hosts that the plan names: no server leads the load to others.
    fn ways_to(&self, target: u16, named: &alt_svc::Alternative) -> Option<Ways> {
        let all = &self.setup.plan.targets;
        let own = usize::from(target);
        let host = if named.host.is_empty() { &all[own].host } else { &named.host };
        let places = || std::iter::once(own).chain(0..all.len());
        let is_host = |at: &usize| all[*at].host.eq_ignore_ascii_case(host);
        // What the plan says of this very place holds, also where it leads to another port (`connect_to`).
        if let Some(at) = places().filter(is_host).find(|&at| all[at].port() == named.port) {
            return self.setup.targets[at].ways.over_udp();
        }
        self.setup.targets[places().find(is_host)?].ways.at_port(named.port)
    }

    fn refuse(&mut self, target: u16, named: &alt_svc::Alternative) {
        let refused = &mut self.recorder.connections.alt_svc.refused;
        *refused += 1;
        if *refused == 1 {
            let from = &self.setup.plan.targets[usize::from(target)].authority;
            let (host, port) = (&named.host, named.port);
            self.told.push(Told::Said(format!(
                "alt-svc: {from} says that it is at {host}:{port} as well, a host that the plan does not name: left alone"
            )));
        }
    }

    /// The open links of a target that are not at its alternative go there: what is in flight ends before, and who has nothing in
    /// flight goes behind the next request, so that not all shake hands at the same moment.
    fn go_there(&mut self, target: u16) {
        for index in self.links_of(target) {
            let link = &mut self.links[index as usize];
            if link.state == LinkState::Open && link.elsewhere.is_none() {
                link.budget = link.budget.min(u64::from(link.is_quiet()));
            }
        }
    }

    /// The open links of a target that are at its alternative are closed when nothing is in flight on them. Not the one that
    /// heard of it: its events are not dealt with yet, and it is looked at behind them.
    fn come_back(&mut self, target: u16, heard_on: u32, now: Time) {
        for index in self.links_of(target) {
            let link = &mut self.links[index as usize];
            if link.state == LinkState::Open && link.elsewhere.is_some() {
                link.budget = 0;
                if index != heard_on {
                    self.close_if_spent(index, now);
                }
            }
        }
    }

    /// Where a link that is about to be opened goes instead, if it does.
    pub(super) fn way_elsewhere(&mut self, index: u32, now: Time) -> Option<Way> {
        // Phases of handshakes are about the target itself.
        if self.is_apart(index) {
            return None;
        }
        let (links, link) = (&self.links, &self.links[index as usize]);
        let alternative = self.queues.alternatives.get_mut(usize::from(link.target))?.as_mut()?;
        alternative.way(index, link.next_way, now, |other| links[other as usize].elsewhere.is_some())
    }

    /// A link is open: if it is the first elsewhere the others follow, and if it is on the wrong side it leaves it behind a
    /// request.
    pub(super) fn settle_elsewhere(&mut self, index: u32, now: Time) {
        let link = &self.links[index as usize];
        let (target, is_there) = (link.target, link.elsewhere.is_some());
        if self.is_apart(index) {
            return;
        }
        let Some(alternative) = self.alternative(target) else { return };
        let known = alternative.place.is_some();
        let leaves = if is_there { !known } else { alternative.is_in_use(now) };
        let first = is_there && alternative.proven_by(index);
        self.recorder.connections.alt_svc.opened += u64::from(is_there);
        if leaves {
            let link = &mut self.links[index as usize];
            link.budget = link.budget.min(1);
        }
        if first {
            self.go_there(target);
        }
    }

    /// A connection or an attempt came to nothing: if it was to an alternative, that is left alone. Returns whether it was.
    pub(super) fn shun_elsewhere(&mut self, index: u32, now: Time) -> bool {
        let link = &self.links[index as usize];
        let (target, is_there) = (link.target, link.elsewhere.is_some());
        if is_there {
            self.recorder.connections.alt_svc.failed += 1;
            if let Some(alternative) = self.alternative(target) {
                alternative.shun(now);
            }
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenario::plan::{Endpoint, Family, Target};

    const LINK: u32 = 3;

    fn at(seconds: u64) -> Time {
        Time::ZERO.after(Duration::from_secs(seconds))
    }

    fn ways() -> Ways {
        let endpoint = Endpoint::Address("127.0.0.1:443".parse().unwrap());
        let (authority, host) = ("a".to_owned(), "a".to_owned());
        let target = Target { scheme: proto::Scheme::Https, authority, host, endpoint, protocol: None };
        Ways::to(&target, Family::Any, &[]).unwrap()
    }

    impl Alternative {
        fn hear_field(&mut self, field: &str, seconds: u64) -> Heard {
            let fields: &[(&[u8], &[u8])] = &[(b"server", b"x"), (b"Alt-Svc", field.as_bytes())];
            self.hear(200, &Lent(fields), at(seconds))
        }

        /// Hears, and makes something of it, as a core does.
        fn told(&mut self, field: &str, seconds: u64) -> Change {
            self.hear_field(field, seconds);
            let Some(named) = self.news(at(seconds)) else { return Change::Nothing };
            self.learn(named.into_iter().next().map(|a| (a, ways())), at(seconds))
        }

        fn goes(&mut self, link: u32, seconds: u64) -> bool {
            self.way(link, 0, at(seconds), |_| true).is_some()
        }
    }

    struct Lent<'a>(&'a [(&'a [u8], &'a [u8])]);

    impl Fields for Lent<'_> {
        fn each(&self, f: &mut dyn FnMut(&[u8], &[u8])) {
            self.0.iter().for_each(|(name, value)| f(name, value));
        }
    }

    #[test]
    fn one_tries_and_the_others_follow() {
        let mut known = Alternative::default();
        assert!(!known.goes(LINK, 0));
        assert_eq!(known.told("h3=\":443\"", 0), Change::New);
        assert_eq!(known.hear_field("h3=\":443\"", 1), Heard::Nothing, "the same again is no news");
        assert!(known.goes(LINK, 1) && known.goes(LINK, 1) && !known.goes(4, 1));
        assert!(!known.is_in_use(at(1)) && !known.proven_by(4) && known.proven_by(LINK));
        assert!(known.is_in_use(at(1)) && known.goes(4, 1));
    }

    #[test]
    fn who_was_to_try_and_does_not_leaves_it_to_another() {
        let mut known = Alternative::default();
        known.told("h3=\":443\"", 0);
        assert!(known.goes(LINK, 0));
        assert!(known.way(4, 0, at(0), |_| false).is_some());
        assert!(!known.proven_by(LINK) && known.proven_by(4));
    }

    #[test]
    fn it_holds_for_its_time_from_when_it_was_last_said() {
        let mut known = Alternative::default();
        known.told("h3=\":443\"; ma=10", 0);
        assert!(known.goes(LINK, 9) && known.proven_by(LINK));
        assert!(!known.goes(4, 10) && !known.is_in_use(at(10)));
        // Who hears it in time renews it, who hears it too late begins again: those that went back are told.
        assert_eq!(known.hear_field("h3=\":443\"; ma=10", 9), Heard::Nothing);
        assert!(known.goes(4, 18) && !known.goes(4, 19));
        assert_eq!(known.told("h3=\":443\"; ma=10", 30), Change::Proven);
        assert!(known.goes(4, 39));
        // A day where nothing is said.
        assert_eq!(known.told("h3=\":443\"", 39), Change::Proven);
        assert!(known.goes(4, 39 + 24 * 3600 - 1) && !known.goes(4, 39 + 24 * 3600));
    }

    #[test]
    fn what_is_malformed_changes_nothing_and_renews_nothing() {
        let mut known = Alternative::default();
        known.told("h3=\":443\"; ma=10", 0);
        for second in 1..10 {
            assert_eq!(known.told("h3=\":443\"; ma", second), Change::Nothing);
            assert!(known.goes(LINK, second));
        }
        assert!(!known.goes(LINK, 10));
    }

    #[test]
    fn what_is_cleared_or_replaced_is_gone() {
        let mut known = Alternative::default();
        assert_eq!(known.told("clear", 0), Change::Nothing);
        known.told("h3=\":443\"", 0);
        assert_eq!(known.told("clear", 1), Change::Gone);
        assert!(!known.goes(LINK, 1));
        assert_eq!(known.told("clear", 2), Change::Nothing);
        assert_eq!(known.told("h3=\":443\"", 3), Change::New);
        assert!(known.goes(LINK, 3) && known.proven_by(LINK));
        assert_eq!(known.told("h3=\":444\"", 4), Change::New);
        assert!(!known.is_in_use(at(4)), "the other has to prove itself");
        assert!(!known.proven_by(LINK), "and not by who went to the first");
    }

    #[test]
    fn what_came_to_nothing_is_left_alone_for_a_time() {
        let mut known = Alternative::default();
        known.told("h3=\":443\"", 0);
        assert!(known.goes(LINK, 0) && known.shun(at(0)) && !known.shun(at(0)));
        let until = limits::ALT_SVC_SHUNNED.as_secs();
        for field in ["h3=\":443\"", "h3=\":444\"", "h3=\":443\"", "clear", "h3=\":443\""] {
            assert_eq!(known.told(field, until - 1), Change::Nothing, "no other one in its place either");
            assert!(!known.goes(LINK, until - 1));
        }
        assert_eq!(known.told("h3=\":443\"", until), Change::New);
        assert!(known.goes(LINK, until));
    }

    #[test]
    fn several_fields_are_one_list_and_none_is_too_long() {
        let mut known = Alternative::default();
        let fields: &[(&[u8], &[u8])] = &[(b"alt-svc", b"h2=\":1\""), (b"ALT-SVC", b"h3=\":2\"")];
        assert_eq!(known.hear(200, &Lent(fields), at(0)), Heard::News);
        assert_eq!(known.news(at(0)).unwrap()[0].port, 2);
        let long = vec![b'x'; 10 * limits::ALT_SVC];
        let fields: &[(&[u8], &[u8])] = &[(b"alt-svc", b"h3=\":2\""), (b"alt-svc", &long)];
        assert_eq!(known.hear(200, &Lent(fields), at(0)), Heard::News);
        assert_eq!((known.field.len(), known.news(at(0))), (limits::ALT_SVC + 1, None));
    }

    #[test]
    fn what_a_misdirected_request_is_told_does_not_count() {
        let mut known = Alternative::default();
        let fields: &[(&[u8], &[u8])] = &[(b"alt-svc", b"h3=\":2\"")];
        assert_eq!(known.hear(MISDIRECTED, &Lent(fields), at(0)), Heard::Misdirected);
        assert_eq!(known.news(at(0)), None);
    }
}
