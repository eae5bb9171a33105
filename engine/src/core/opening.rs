//! Links come to be: connecting, tunnels, TLS, the first users of a link, and which links have room.

use super::link::{Http, Link, LinkState};
use super::traffic::TLS_BROKEN;
use super::users::State;
use super::{Core, Told, backoff};
use crate::clock::Clock;
use crate::io::socket::Peer;
use crate::io::{Chunk, Driver, Farewell, Receive};
use crate::stats::recorder::note_connection_error;
use crate::tls::{Opening, quic_facts};
use proto::{ByteInput, ConnStats, Error, Kind, Time};
use scenario::plan::Protocol;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) const NO_CONNECTION: Error = Error::network(Kind::Connect, "no connection could be opened");

impl<D: Driver, C: Clock> Core<'_, D, C> {
    /// Opens a link now, or arms its timer for the time it may be.
    pub(super) fn start_link(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        // Those of phases of handshakes are opened when an arrival is due, and at no other time.
        if link.state != LinkState::Down || self.stopping || index >= self.pool {
            return;
        }
        if link.reopen_at > now {
            let at = link.reopen_at;
            self.arm_link(index, at);
            return;
        }
        self.open_link(index, now);
    }

    /// Begins to open a link.
    pub(super) fn open_link(&mut self, index: u32, now: Time) {
        let elsewhere = self.way_elsewhere(index, now);
        let link = &mut self.links[index as usize];
        let target = &self.setup.targets[usize::from(link.target)];
        let (peer, source) = target.ways.take(link.next_way);
        link.next_way = link.next_way.wrapping_add(1);
        link.elsewhere = elsewhere;
        self.recorder.connections.attempted += 1;
        if let Some((peer, source)) = link.elsewhere.clone() {
            return self.start_quic(index, &peer, source, now);
        }
        if target.protocol == Protocol::H3 {
            return self.start_quic(index, &peer.clone(), source, now);
        }
        match self.io.open(index, peer, source, &self.setup.plan.connections.socket) {
            Ok(sock) => {
                link.sock = Some(sock);
                (link.state, link.since) = (LinkState::Connecting, now);
                link.tidings = link.tidings.next(now);
                if let Some(limit) = self.setup.plan.timeouts.connect {
                    self.arm_link(index, now.after(limit));
                }
            }
            Err(error) => self.connect_failed(index, &error, now),
        }
    }

    /// A user wants this link: opens it if nothing else is under way.
    pub(super) fn want_link(&mut self, index: u32, now: Time) {
        if self.links[index as usize].state == LinkState::Down {
            self.start_link(index, now);
        }
    }

    /// A user wants any link of a target: one that was closed while idle is opened again.
    pub(super) fn want_any_link(&mut self, target: u16, now: Time) {
        if self.up[usize::from(target)] == self.share.links {
            return;
        }
        let mut range = self.links_of(target);
        if let Some(down) = range.find(|&l| self.links[l as usize].state == LinkState::Down) {
            self.start_link(down, now);
        }
    }

    pub(super) fn links_of(&self, target: u16) -> std::ops::Range<u32> {
        let first = u32::from(target) * self.share.links;
        first..first + self.share.links
    }

    pub(super) fn connected(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        self.recorder.connections.connect.record(now.nanos_since(link.since));
        let target = &self.setup.targets[usize::from(link.target)];
        let sock = link.sock.expect("a connecting link has a socket");
        let n = link.next_way.wrapping_sub(1);
        let peer = target.ways.take(n).0.socket_addr();
        let Some(prelude) = target.prelude.of(n, || self.io.local_address(sock), peer) else {
            return self.secure(index, false, now);
        };
        let tunnels = prelude.tunnels;
        link.prelude = Some(Box::new(prelude));
        self.touch(index);
        if !tunnels {
            return self.secure(index, false, now);
        }
        let link = &mut self.links[index as usize];
        (link.state, link.since) = (LinkState::Tunnelling, now);
        self.io.receive(sock, Receive::Stream);
        if let Some(limit) = self.setup.plan.timeouts.connect {
            self.arm_link(index, now.after(limit));
        }
    }

    /// The way to the server stands: TLS, or HTTP at once. `receiving`: a receive is armed already.
    fn secure(&mut self, index: u32, receiving: bool, now: Time) {
        // Over TCP nothing is sent early.
        let opening = match self.opening() {
            Opening::Early => Opening::Resumed,
            opening => opening,
        };
        let link = &mut self.links[index as usize];
        let target = &self.setup.targets[usize::from(link.target)];
        let sock = link.sock.expect("a connected link has a socket");
        match target.tls.as_ref().map(|tls| tls.setup.session(&tls.name, opening)) {
            None => {
                if !receiving {
                    self.receive(index);
                }
                self.open_http(index, now);
            }
            Some(Ok(session)) => {
                link.tls = Some(Box::new(session));
                (link.state, link.since) = (LinkState::Handshaking, now);
                if !receiving {
                    self.io.receive(sock, Receive::Stream);
                }
                if let Some(limit) = self.setup.plan.timeouts.handshake {
                    self.arm_link(index, now.after(limit));
                }
                self.touch(index);
            }
            Some(Err(detail)) => self.open_failed(index, TLS_BROKEN, detail, now),
        }
    }

    /// Bytes from a proxy that was asked for a tunnel.
    pub(super) fn tunnel_answered(&mut self, index: u32, chunk: Chunk, now: Time) {
        let link = &mut self.links[index as usize];
        let Some(prelude) = link.prelude.as_mut().filter(|_| link.state == LinkState::Tunnelling) else {
            return self.io.release(chunk);
        };
        let bytes = self.io.bytes(&chunk);
        let answer = prelude.answered(bytes);
        // A server that speaks first (HTTP/2) may do so in the segment that ends the answer.
        let rest = match answer {
            Ok(Some(n)) => bytes[n..].to_vec(),
            _ => vec![],
        };
        self.io.release(chunk);
        match answer {
            Ok(None) => {}
            Ok(Some(_)) => {
                link.prelude = None;
                let over_tls = self.setup.targets[usize::from(link.target)].tls.is_some();
                if over_tls && !rest.is_empty() {
                    return self.tunnel_failed(index, "it says more than its answer", now);
                }
                self.secure(index, true, now);
                if !rest.is_empty() {
                    self.with_http(index, now, |http, notes| {
                        http.handle_input(now, ByteInput::Bytes(&rest), notes);
                    });
                    self.after_events(index, now);
                }
            }
            Err(why) => self.tunnel_failed(index, &why, now),
        }
    }

    pub(super) fn tunnel_failed(&mut self, index: u32, why: &str, now: Time) {
        let detail = format!("{}: {why}", self.tunnel_of(index));
        self.open_failed(index, Error::network(Kind::Connect, "no tunnel through the proxy"), detail, now);
    }

    /// The tunnel of a link, for people.
    pub(super) fn tunnel_of(&self, index: u32) -> String {
        let target = &self.setup.targets[usize::from(self.links[index as usize].target)];
        format!("CONNECT through the proxy {} to {}", self.way_of(index).0, target.prelude.authority())
    }

    pub(super) fn open_http(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        if let Some(tls) = &link.tls {
            let (resumed, took) = (tls.resumed(), now.nanos_since(link.since));
            self.shaken_hands(resumed, took);
        }
        let link = &mut self.links[index as usize];
        let protocol = self.setup.targets[usize::from(link.target)].protocol;
        let h2 = match (protocol, &link.tls) {
            (Protocol::H2c, None) => true,
            (Protocol::H2 | Protocol::Auto, Some(tls)) => tls.alpn() == Some(b"h2"),
            _ => false,
        };
        if protocol == Protocol::H2 && !h2 {
            let detail = "the server did not choose h2 in ALPN: let it speak HTTP/1.1 (--h1, or protocol: auto in a plan)".to_owned();
            return self.open_failed(index, Error::peer(Kind::Tls, "no h2 in ALPN"), detail, now);
        }
        let http = match h2 {
            true => Http::H2(Box::new(proto_h2::Connection::new(self.setup.h2))),
            false => Http::H1(proto_h1::Connection::new(self.setup.h1)),
        };
        link.http = Some(http);
        self.installed(index, now);
    }

    /// A link's HTTP connection can take requests.
    pub(super) fn installed(&mut self, index: u32, now: Time) {
        let budget = self.budget_of(index);
        let link = &mut self.links[index as usize];
        let Some(http) = &link.http else { return };
        link.tidings.protocol = http.name(link.tls.is_some());
        link.tidings.early = matches!(http, Http::H3(c) if c.is_handshaking());
        (link.state, link.since, link.stirred) = (LinkState::Open, now, now);
        (link.low_water, link.harvested, link.budget) = (1, ConnStats::default(), budget);
        if !link.tidings.early {
            self.established(index, now);
        }
        let target = usize::from(self.links[index as usize].target);
        self.open += 1;
        self.up[target] += u32::from(index < self.pool);
        self.no_longer_down(now);
        self.arm_idle(index, now);
        self.overdue(index, now);
        if self.is_apart(index) {
            self.greet(index, now);
            return;
        }
        if let Some(lifetime) = self.setup.plan.connections.lifetime {
            self.arm_link(index, now.after(lifetime));
        }
        self.serve_waiting(index, now);
    }

    /// A link's handshakes are over: it counts as opened.
    pub(super) fn established(&mut self, index: u32, now: Time) {
        self.handshake_over(index);
        let budget = self.budget_of(index);
        let link = &mut self.links[index as usize];
        link.tidings.early = false;
        let Some(http) = &link.http else { return };
        let opened_at = link.tidings.opened_at;
        if let Http::H3(quic) = http {
            let resumed = quic.handshake().is_some_and(|h| h.resumed);
            let early = quic.early_data_accepted();
            if early == Some(false) {
                // What was sent early does not count as sent on it: it is to be sent again.
                link.budget = budget;
            }
            self.shaken_hands(resumed, now.nanos_since(opened_at));
            self.recorder.connections.early_accepted += u64::from(early == Some(true));
            self.recorder.connections.early_rejected += u64::from(early == Some(false));
        }
        if self.recorder.connections.opened == 0 {
            self.tell_first(index);
        }
        let (peer, source) = self.way_of(index);
        let address = peer.socket_addr();
        let ready = self.links[index as usize].since.nanos_since(opened_at);
        let connections = &mut self.recorder.connections;
        connections.opened += 1;
        *connections.by_protocol.entry(self.links[index as usize].tidings.protocol).or_default() += 1;
        connections.ready.record(ready);
        if let Some(address) = address {
            *connections.by_address.entry(address.ip()).or_default() += 1;
        }
        if let Some(source) = source {
            *connections.by_source.entry(source).or_default() += 1;
        }
        self.settle_elsewhere(index, now);
    }

    /// A TLS handshake is over.
    fn shaken_hands(&mut self, resumed: bool, took: u64) {
        let connections = &mut self.recorder.connections;
        connections.handshake.record(took);
        connections.resumed += u64::from(resumed);
        connections.fresh += u64::from(!resumed);
    }

    /// What was agreed on with the first connection.
    fn tell_first(&mut self, index: u32) {
        let link = &self.links[index as usize];
        let Some(http) = &link.http else { return };
        let facts = match http {
            Http::H3(connection) => quic_facts(connection),
            _ => link.tls.as_ref().map(|t| t.facts()),
        };
        let name = http.name(link.tls.is_some());
        self.recorder.connections.tls.clone_from(&facts);
        self.recorder.connections.application_protocol = Some(name);
        self.told.push(Told::Connected(facts, name));
    }

    /// How the next connection begins.
    pub(super) fn opening(&mut self) -> Opening {
        Opening::ALL[usize::from(self.openings.next())]
    }

    /// A link has room: whoever waits for it is served, and then it joins the pool.
    pub(super) fn serve_waiting(&mut self, index: u32, now: Time) {
        if self.pooling() {
            let target = usize::from(self.links[index as usize].target);
            while self.links[index as usize].room() > 0 {
                let Some(user) = self.queues.waiting[target].pop() else { break };
                self.pool_front(index);
                self.place(user, now);
            }
            self.pool(index);
        } else {
            self.serve_own(index, now);
        }
    }

    pub(super) fn serve_own(&mut self, index: u32, now: Time) {
        let (links, own) = (self.share.links, index % self.share.links);
        let owners = (self.users.len() as u32).saturating_sub(own).div_ceil(links);
        for _ in 0..owners {
            let link = &mut self.links[index as usize];
            if link.waiting == 0 || link.room() == 0 {
                return;
            }
            let user = own + link.turn % owners * links;
            link.turn = (link.turn + 1) % owners;
            let u = &self.users[user as usize];
            if u.state == State::Waiting && u.link == index {
                link.waiting -= 1;
                self.place(user, now);
            }
        }
    }

    pub(super) fn connect_failed(&mut self, index: u32, error: &io::Error, now: Time) {
        let (peer, source) = self.way_of(index);
        let from = source.map(|s| format!(" from {s}")).unwrap_or_default();
        let target = &self.setup.targets[usize::from(self.links[index as usize].target)];
        let proxy = if target.prelude.by_proxy { "the proxy " } else { "" };
        let detail = format!("connect to {proxy}{peer}{from}: {}", explain(error));
        self.open_failed(index, Error::network(Kind::Connect, "connect failed"), detail, now);
    }

    /// Address and source of a link's present or last attempt.
    pub(super) fn way_of(&self, index: u32) -> (&Arc<Peer>, Option<IpAddr>) {
        let link = &self.links[index as usize];
        match &link.elsewhere {
            Some((peer, source)) => (peer, *source),
            None => self.setup.targets[usize::from(link.target)].ways.take(link.next_way.wrapping_sub(1)),
        }
    }

    /// An attempt to open a link failed: whoever waited for it fails, and the link tries again later
    /// while anybody may ask for it.
    pub(super) fn open_failed(&mut self, index: u32, error: Error, detail: String, now: Time) {
        self.count_failed(index);
        note_connection_error(&mut self.recorder.connections, error, detail);
        let farewell = if self.say_goodbye(index, false, now) { Farewell::Finish } else { Farewell::Abort };
        if self.shun_elsewhere(index, now) {
            // The target itself is still there for those who wait.
            self.reset(index, now, now, farewell);
            if self.is_wanted(index) {
                self.start_link(index, now);
            }
            return;
        }
        let link = &mut self.links[index as usize];
        let pause = backoff(link.failures);
        link.note_failure(now);
        self.reset(index, now, now.after(pause), farewell);
        if self.is_apart(index) {
            return; // nobody waits for it but the arrival, which has had its try
        }
        let cause = Error {
            detail: if error.kind == Kind::Tls { error.detail } else { NO_CONNECTION.detail },
            ..error
        };
        self.fail_waiting(index, cause, now);
        // Also where no iteration is to begin any more: those that go on may ask for it, and whether the server is there is
        // known to who tries.
        if self.is_waited_for(index) || self.is_in_use(index) {
            if self.open == 0 && self.down_since.is_none() {
                self.down_since = Some(now);
            }
            self.start_link(index, now);
        }
    }

    /// A link is open again, or the run is over.
    pub(super) fn no_longer_down(&mut self, now: Time) {
        if let Some(since) = self.down_since.take() {
            self.recorder.connections.down += now.since(since);
        }
    }

    /// An attempt to open a link came to nothing.
    pub(super) fn count_failed(&mut self, index: u32) {
        self.recorder.connections.failed += 1;
        self.pool_failed += u64::from(index < self.pool);
    }

    pub(super) fn fail_waiting(&mut self, index: u32, error: Error, now: Time) {
        let target = self.links[index as usize].target;
        if self.pooling() {
            let hope = |l: &Link| l.state != LinkState::Down || (l.failures == 0 && l.reopen_at > now);
            if self.links_of(target).any(|l| hope(&self.links[l as usize])) {
                return; // another connection may still serve them
            }
            while let Some(user) = self.queues.waiting[usize::from(target)].pop() {
                self.fail_user(user, error, now);
            }
            return;
        }
        let mut user = index % self.share.links;
        while (user as usize) < self.users.len() {
            if self.users[user as usize].state == State::Waiting && self.users[user as usize].link == index {
                self.links[index as usize].waiting -= 1;
                self.fail_user(user, error, now);
            }
            user += self.share.links;
        }
    }

    // ---- pool ----

    /// Puts a link with room at the end of its target's queue.
    pub(super) fn pool(&mut self, index: u32) {
        if !self.pooling() {
            return;
        }
        let link = &mut self.links[index as usize];
        if !link.pooled && link.room() > 0 {
            link.pooled = true;
            self.queues.pooled[usize::from(link.target)].push_back(index);
        }
    }

    fn pool_front(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        if !link.pooled {
            link.pooled = true;
            self.queues.pooled[usize::from(link.target)].push_front(index);
        }
    }

    /// Takes the link with room that has waited longest.
    pub(super) fn take_pooled(&mut self, target: u16) -> Option<u32> {
        while let Some(index) = self.queues.pooled[usize::from(target)].pop_front() {
            let link = &mut self.links[index as usize];
            link.pooled = false;
            if link.room() > 0 {
                return Some(index);
            }
        }
        None
    }
}

/// A system error in the words of a remedy where there is one.
pub(super) fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => "no local port is free: widen the range (sysctl -w \
             net.ipv4.ip_local_port_range='1024 65535'), allow reuse (sysctl -w net.ipv4.tcp_tw_reuse=1) or name more \
             source addresses (--source-address, or connections: source)"
            .into(),
        Some(libc::EMFILE | libc::ENFILE) => "no descriptor is free: raise the limit (ulimit -n)".into(),
        _ => error.to_string(),
    }
}
