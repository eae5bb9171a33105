//! Links at work: opening, receiving, sending, closing.

use super::alternative::Heard;
use super::link::{Http, Link, LinkState, Tidings};
use super::notes::Notes;
use super::tracks::Track;
use super::users::State;
use super::{Core, Told, backoff};
use crate::clock::Clock;
use crate::io::socket::Peer;
use crate::io::{Chunk, Driver, Farewell, Receive};
use crate::limits;
use crate::stats::recorder::note_connection_error;
use crate::timers::Owner;
use crate::tls::{Opening, quic_facts};
use proto::{ByteInput, CloseReason, ConnStats, Error, Kind, Time};
use scenario::plan::Protocol;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const NO_CONNECTION: Error = Error::network(Kind::Connect, "no connection could be opened");
const TLS_BROKEN: Error = Error::peer(Kind::Tls, "a TLS record that cannot be read");
const TLS_CUT: Error =
    Error::peer(Kind::Truncated, "the connection was closed without TLS saying so (RFC 8446 section 6.1)");
const STUCK: Error = Error::peer(Kind::Timeout, "the server allowed no request on the connection");
const RESET: Error = Error::network(Kind::Reset, "the connection was reset");
const TOO_OLD: Error = Error::local(Kind::Timeout, "the connection had reached its age limit");
const SILENT: Error =
    Error::local(Kind::Timeout, "nothing was sent or received on the connection within its limit");
const NO_HANDSHAKE: Error = Error::local(Kind::Timeout, "no answer within the handshake timeout");
const BROKEN: Error = Error::network(Kind::Closed, "the connection broke");

impl<D: Driver, C: Clock> Core<'_, D, C> {
    // ---- opening ----

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
                let succeeded = link.tidings.succeeded;
                link.tidings = Tidings { opened_at: now, succeeded, ..Tidings::default() };
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
    fn tunnel_answered(&mut self, index: u32, chunk: Chunk, now: Time) {
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

    fn tunnel_failed(&mut self, index: u32, why: &str, now: Time) {
        let detail = format!("{}: {why}", self.tunnel_of(index));
        self.open_failed(index, Error::network(Kind::Connect, "no tunnel through the proxy"), detail, now);
    }

    /// The tunnel of a link, for people.
    fn tunnel_of(&self, index: u32) -> String {
        let target = &self.setup.targets[usize::from(self.links[index as usize].target)];
        format!("CONNECT through the proxy {} to {}", self.way_of(index).0, target.prelude.authority())
    }

    fn open_http(&mut self, index: u32, now: Time) {
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
        self.down_since = None;
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
        (link.tidings.early, link.failures) = (false, 0);
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
    fn serve_waiting(&mut self, index: u32, now: Time) {
        if self.pooling() {
            let target = usize::from(self.links[index as usize].target);
            while self.links[index as usize].room() > 0 {
                let Some(user) = self.queues.waiting[target].pop_front() else { break };
                self.pool_front(index);
                self.place(user, now);
            }
            self.pool(index);
        } else {
            self.serve_own(index, now);
        }
    }

    fn serve_own(&mut self, index: u32, now: Time) {
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
        link.failures += 1;
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

    /// An attempt to open a link came to nothing.
    pub(super) fn count_failed(&mut self, index: u32) {
        self.recorder.connections.failed += 1;
        self.pool_failed += u64::from(index < self.pool);
    }

    fn fail_waiting(&mut self, index: u32, error: Error, now: Time) {
        let target = self.links[index as usize].target;
        if self.pooling() {
            let hope = |l: &Link| l.state != LinkState::Down || (l.failures == 0 && l.reopen_at > now);
            if self.links_of(target).any(|l| hope(&self.links[l as usize])) {
                return; // another connection may still serve them
            }
            while let Some(user) = self.queues.waiting[usize::from(target)].pop_front() {
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

    // ---- receiving ----

    fn receive(&mut self, index: u32) {
        let discarding = self.setup.discard;
        let link = &mut self.links[index as usize];
        let sock = link.sock.expect("a connected link has a socket");
        if discarding {
            let due = link.http.as_ref().and_then(|h| h.due_bytes()).unwrap_or(0);
            let how = if due > 0 { Receive::Discard(due) } else { Receive::Once };
            link.unarmed = false;
            self.io.receive(sock, how);
        } else {
            self.io.receive(sock, Receive::Stream);
        }
    }

    pub(super) fn received(&mut self, index: u32, chunk: Chunk, now: Time) {
        self.bytes.received += u64::from(chunk.len);
        let link = &mut self.links[index as usize];
        if let (true, Some(sock)) = (self.setup.plan.connections.socket.quickack, link.sock) {
            self.io.set_quickack(sock);
        }
        (link.unarmed, link.stirred) = (true, now);
        match (&mut link.tls, &mut link.http) {
            (None, Some(http)) => {
                let mut notes = notes!(self, link, now);
                http.handle_input(now, ByteInput::Bytes(self.io.bytes(&chunk)), &mut notes);
                self.io.release(chunk);
                self.after_events(index, now);
            }
            (Some(_), _) => self.received_tls(index, chunk, now),
            (None, None) => self.tunnel_answered(index, chunk, now),
        }
    }

    fn received_tls(&mut self, index: u32, chunk: Chunk, now: Time) {
        let link = &mut self.links[index as usize];
        let tls = link.tls.as_mut().expect("called for links with TLS");
        let fed = match &mut link.http {
            Some(http) => {
                let mut notes = notes!(self, link, now);
                let records = self.io.bytes_mut(&chunk);
                tls.feed(records, &mut self.pieces, |plain| {
                    http.handle_input(now, ByteInput::Bytes(plain), &mut notes);
                })
            }
            None => {
                // A server that speaks first (HTTP/2) may do so in the segment that ends the handshake.
                let early = &mut self.scratch;
                early.clear();
                let records = self.io.bytes_mut(&chunk);
                tls.feed(records, &mut self.pieces, |plain| early.extend_from_slice(plain))
            }
        };
        self.io.release(chunk);
        let (done, wants) = (!tls.is_handshaking(), tls.wants_output());
        match fed {
            Ok(fed) => {
                if wants {
                    self.touch(index);
                }
                if done && self.links[index as usize].state == LinkState::Handshaking {
                    let early = std::mem::take(&mut self.scratch);
                    self.open_http(index, now);
                    if !early.is_empty() {
                        self.with_http(index, now, |http, notes| {
                            http.handle_input(now, ByteInput::Bytes(&early), notes);
                        });
                    }
                    self.scratch = early;
                }
                if fed.closed && self.links[index as usize].http.is_some() {
                    self.end_input(index, now);
                } else if fed.closed {
                    self.eof(index, now);
                } else {
                    self.after_events(index, now);
                }
            }
            Err(error) => self.tls_failed(index, error, now),
        }
    }

    fn tls_failed(&mut self, index: u32, error_text: String, now: Time) {
        if self.links[index as usize].http.is_none() {
            self.open_failed(index, Error::peer(Kind::Tls, "the TLS handshake failed"), error_text, now);
            return;
        }
        note_connection_error(&mut self.recorder.connections, TLS_BROKEN, error_text);
        self.cut_off(index, TLS_BROKEN, now);
    }

    pub(super) fn skipped(&mut self, index: u32, n: u64, now: Time) {
        self.bytes.received += n;
        let link = &mut self.links[index as usize];
        (link.unarmed, link.stirred) = (true, now);
        self.with_http(index, now, |http, notes| http.handle_input(now, ByteInput::Skipped(n), notes));
        self.after_events(index, now);
    }

    /// The peer will send nothing more.
    pub(super) fn eof(&mut self, index: u32, now: Time) {
        match self.links[index as usize].state {
            LinkState::Down => {}
            LinkState::Tunnelling => {
                self.tunnel_failed(index, "it closed the connection instead of answering CONNECT", now);
            }
            LinkState::Connecting | LinkState::Handshaking => {
                let detail = "the server closed the connection during the TLS handshake".to_owned();
                self.open_failed(index, Error::peer(Kind::Tls, "the TLS handshake failed"), detail, now);
            }
            LinkState::Open if self.links[index as usize].tls.is_some() => self.cut_off(index, TLS_CUT, now),
            LinkState::Open => self.end_input(index, now),
        }
    }

    fn end_input(&mut self, index: u32, now: Time) {
        self.note_crossing(index);
        self.with_http(index, now, |http, notes| http.handle_input(now, ByteInput::Eof, notes));
        self.after_events(index, now);
    }

    /// Whether the request in flight and the close of a connection that was idle for the server crossed each other. The
    /// server's FIN acknowledges what had come by then; where that is nothing of the request, the server had decided to close
    /// before it could see one. A reset proves nothing: it acknowledges nothing.
    fn note_crossing(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        let (Some(http @ Http::H1(_)), Some(sock)) = (&link.http, link.sock) else { return };
        let in_order = link.tidings.cut.is_none_or(|cut| cut.kind == Kind::Truncated);
        let on_the_way = link.tidings.on_the_way;
        if in_order && link.tidings.served && http.in_flight() == 1 && on_the_way > 0 {
            link.tidings.crossed = self.io.unacknowledged(sock) >= on_the_way;
        }
    }

    /// The end of input, not in order.
    fn cut_off(&mut self, index: u32, error: Error, now: Time) {
        self.links[index as usize].tidings.cut = Some(error);
        self.end_input(index, now);
    }

    /// The path failed.
    pub(super) fn broken(&mut self, index: u32, error: &io::Error, now: Time) {
        match self.links[index as usize].state {
            LinkState::Down => {}
            LinkState::Connecting => self.connect_failed(index, error, now),
            LinkState::Tunnelling => self.tunnel_failed(index, &explain(error), now),
            LinkState::Handshaking => {
                let detail = format!("TLS handshake: {}", explain(error));
                self.open_failed(index, Error::network(Kind::Tls, "the TLS handshake failed"), detail, now);
            }
            LinkState::Open => {
                let reset = matches!(error.raw_os_error(), Some(libc::ECONNRESET | libc::EPIPE));
                self.cut_off(index, if reset { RESET } else { BROKEN }, now);
            }
        }
    }

    /// Calls the connection of a link with the sink that writes into this core.
    pub(super) fn with_http(&mut self, index: u32, now: Time, call: impl FnOnce(&mut Http, &mut Notes<'_>)) {
        let link = &mut self.links[index as usize];
        if let Some(http) = &mut link.http {
            let mut notes = notes!(self, link, now);
            call(http, &mut notes);
        }
    }

    /// After a connection was given anything: what follows from what it said.
    pub(super) fn after_events(&mut self, index: u32, now: Time) {
        let link = &self.links[index as usize];
        // Also where the response was the last on its connection.
        if link.tidings.heard != Heard::Nothing {
            self.heed(index, now);
        }
        let link = &mut self.links[index as usize];
        let Some(http) = &link.http else { return };
        if link.tidings.closed.is_some() {
            self.closed(index, false, now);
            return;
        }
        if http.wants_transmit() {
            self.touch(index);
        }
        if self.close_if_spent(index, now) {
            return;
        }
        let Some(http) = &mut self.links[index as usize].http else { return };
        if let Some(at) = http.poll_timeout() {
            self.arm_link(index, at);
        }
        self.note_stuck(index, now);
        self.tune_receive(index);
        if self.pooling() {
            let target = usize::from(self.links[index as usize].target);
            if !self.queues.waiting[target].is_empty() && self.links[index as usize].room() > 0 {
                self.serve_waiting(index, now);
            } else {
                self.pool(index);
            }
        } else if self.links[index as usize].waiting > 0 && self.links[index as usize].room() > 0 {
            self.serve_own(index, now); // before those whose request just ended: they come last
        }
    }

    /// A connection that takes no request may do so for as long as a request may take.
    fn note_stuck(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        if !link.is_stuck() {
            link.stuck_since = Time::NEVER;
        } else if link.stuck_since == Time::NEVER {
            link.stuck_since = now;
            if let Some(limit) = self.setup.plan.timeouts.request {
                self.arm_link(index, now.after(limit));
            }
        }
    }

    /// Large bodies: fewer wake-ups by `SO_RCVLOWAT`, or none of the bytes at all by discarding.
    fn tune_receive(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        let (Some(http), Some(sock)) = (&link.http, link.sock) else { return };
        let due = http.due_bytes().unwrap_or(0);
        let on_wire = if link.tls.is_some() { due.saturating_sub(limits::TLS_RECORD) } else { due };
        // Raised once a body and lowered as late as possible: each change is a system call.
        let present = u64::from(link.low_water);
        let low = match on_wire >= limits::LOW_WATER_MIN {
            true if present > 1 && present <= on_wire => present,
            true => on_wire.min(limits::LOW_WATER_MAX),
            false => 1,
        } as u32;
        if low != link.low_water {
            link.low_water = low;
            self.io.set_low_water(sock, low);
        }
        if self.setup.discard && link.unarmed {
            self.receive(index);
        }
    }

    // ---- sending ----

    #[inline]
    pub(super) fn touch(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        if !link.touched {
            link.touched = true;
            self.touched.push(index);
        }
    }

    /// Gives every touched link's bytes to the kernel, one send each.
    pub(super) fn flush(&mut self, now: Time) {
        // In the open model the time from due to sent is what must be true; in the closed model the time of the batch does.
        let now = match !self.touched.is_empty() && self.has_schedule() {
            true => self.clock.now().max(now),
            false => now,
        };
        let mut touched = std::mem::take(&mut self.touched);
        let mut held = 0;
        for i in 0..touched.len() {
            let index = touched[i];
            if self.napping && self.hold(index) {
                touched[held] = index;
                held += 1;
                continue;
            }
            self.links[index as usize].touched = false;
            self.flush_link(index, now);
        }
        touched.truncate(held);
        self.holding = held > 0;
        self.touched = touched;
    }

    /// Requests that follow from the responses of a connection go out before the next connection is read: what they need is
    /// in the cache still, and the server has work.
    pub(super) fn answer_at_once(&mut self, index: u32, now: Time) {
        if self.has_schedule() || self.pooling() {
            return;
        }
        self.advance_users(now);
        let link = &mut self.links[index as usize];
        if self.touched.last() == Some(&index) && !(self.napping && link.is_partly_answered()) {
            self.touched.pop();
            (link.touched, link.held) = (false, false);
            self.flush_link(index, now);
        }
    }

    /// Whether a multiplexed connection waits one turn before it is flushed: other responses of it are on their way, and
    /// the requests that follow them then go out in the same write. Else a connection whose answers were once split over
    /// two reads stays split for ever.
    fn hold(&mut self, index: u32) -> bool {
        let link = &mut self.links[index as usize];
        let hold = link.is_partly_answered();
        link.held = hold;
        hold
    }

    fn flush_link(&mut self, index: u32, now: Time) {
        let link = &mut self.links[index as usize];
        if let Some(Http::H3(_)) = &link.http {
            return self.flush_quic(index, now);
        }
        let Some(sock) = link.sock else { return };
        if link.sending || link.state == LinkState::Connecting {
            return;
        }
        link.fresh = 0;
        let mut out = self.io.buffer();
        if let Some(prelude) = &mut link.prelude {
            out.append(&mut prelude.out);
            if link.state != LinkState::Tunnelling {
                link.prelude = None;
            }
        }
        match (&mut link.tls, &mut link.http) {
            (None, Some(http)) => {
                let mut notes = notes!(self, link, now);
                while out.len() < limits::SEND_CHUNK
                    && http.poll_transmit(now, limits::SEND_CHUNK - out.len(), &mut out, &mut notes).is_some()
                {
                }
            }
            (Some(tls), http) => {
                if let Some(http) = http {
                    let mut notes = notes!(self, link, now);
                    self.scratch.clear();
                    while self.scratch.len() < limits::SEND_CHUNK
                        && http
                            .poll_transmit(
                                now,
                                limits::SEND_CHUNK - self.scratch.len(),
                                &mut self.scratch,
                                &mut notes,
                            )
                            .is_some()
                    {}
                    if !self.scratch.is_empty() {
                        tls.seal(&self.scratch, &mut out);
                    }
                }
                tls.take_output(&mut out);
            }
            (None, None) => {}
        }
        if out.is_empty() {
            self.io.recycle(out);
            return;
        }
        link.sending = true;
        link.tidings.on_the_way += out.len() as u64;
        self.bytes.sent += out.len() as u64;
        self.io.send(sock, out);
    }

    pub(super) fn sent(&mut self, index: u32, buffer: Vec<u8>, now: Time) {
        self.io.recycle(buffer);
        let link = &mut self.links[index as usize];
        (link.sending, link.stirred) = (false, now);
        let more = link.http.as_ref().is_some_and(Http::wants_transmit)
            || link.tls.as_ref().is_some_and(|t| t.wants_output());
        if more {
            self.touch(index);
        }
        if self.is_apart(index) {
            self.close_if_spent(index, now);
        }
    }

    // ---- closing ----

    /// The HTTP connection is over: takes the link down and opens it again where there is work.
    pub(super) fn closed(&mut self, index: u32, by_us: bool, now: Time) {
        let tidings = &self.links[index as usize].tidings;
        let graceful = tidings.closed == Some(CloseReason::Graceful);
        match tidings.closed {
            Some(CloseReason::Error(error)) if tidings.early => self.early_failed(index, error),
            _ => self.recorder.connections.lost += u64::from(!graceful),
        }
        let said = self.say_goodbye(index, graceful, now);
        // A connection lost before it served anything is like a failed attempt: without a pause it would be opened in a
        // loop.
        let barren = !self.links[index as usize].tidings.served;
        if barren && !graceful {
            self.shun_elsewhere(index, now);
        }
        let link = &mut self.links[index as usize];
        let pause = if barren { backoff(link.failures) } else { Duration::ZERO };
        link.failures = if barren { link.failures + 1 } else { 0 };
        let farewell = match (graceful, by_us) {
            (false, _) if !said => Farewell::Abort,
            (false, _) => Farewell::Finish,
            (true, false) => Farewell::Await,
            (true, true) => Farewell::Finish,
        };
        self.reset(index, now, now.after(pause), farewell);
        if !self.is_apart(index) && self.is_wanted(index) {
            self.start_link(index, now);
        }
    }

    /// Whether a link that went down has work to come. Where not, it stays down until a user asks for it.
    fn is_wanted(&self, index: u32) -> bool {
        self.is_waited_for(index) || (self.tracks.iter().any(Track::has_work) && self.is_in_use(index))
    }

    /// Whether somebody waits for room on a link: on this one, or on any of its target.
    fn is_waited_for(&self, index: u32) -> bool {
        let link = &self.links[index as usize];
        link.waiting > 0 || !self.queues.waiting[usize::from(link.target)].is_empty()
    }

    /// Whether a link is there for users who go on, and not only for one who is led to its target.
    fn is_in_use(&self, index: u32) -> bool {
        !self.is_lazy(&self.links[index as usize]) && !self.is_done(index % self.share.links)
    }

    /// Closed for being idle: opened again only when a user wants it.
    fn closed_idle(&mut self, index: u32, now: Time) {
        self.say_goodbye(index, true, now);
        self.reset(index, now, now, Farewell::Finish);
    }

    /// Closed because it took no requests: whoever waited for it fails, and it is opened again where there is work.
    fn closed_stuck(&mut self, index: u32, limit: Duration, now: Time) {
        self.with_http(index, now, |http, notes| http.close(now, notes));
        let connections = &mut self.recorder.connections;
        connections.lost += 1;
        let detail = format!("the server allowed no request on a connection for {limit:?}");
        note_connection_error(connections, STUCK, detail);
        self.say_goodbye(index, true, now);
        self.reset(index, now, now, Farewell::Finish);
        self.fail_waiting(index, STUCK, now);
        if self.is_wanted(index) {
            self.start_link(index, now);
        }
    }

    /// Closed because it is too old or silent: what is in flight on it has timed out, and what had not left yet goes on
    /// another one. Opened again where somebody waits for it, else when a user wants it.
    fn closed_overdue(&mut self, index: u32, error: Error, limit: Duration, now: Time) {
        self.links[index as usize].tidings.cut = Some(error);
        self.with_http(index, now, |http, notes| http.close(now, notes));
        if self.links[index as usize].tidings.early {
            self.count_failed(index);
            self.shun_elsewhere(index, now);
        }
        note_connection_error(&mut self.recorder.connections, error, format!("{} ({limit:?})", error.detail));
        self.say_goodbye(index, true, now);
        self.reset(index, now, now, Farewell::Finish);
        if self.is_waited_for(index) {
            self.start_link(index, now);
        }
    }

    /// Sends what HTTP and TLS have to say at the end: GOAWAY, the alert that says why, where all is in order that TLS
    /// ends. False if that was nothing, or there was no way.
    fn say_goodbye(&mut self, index: u32, in_order: bool, now: Time) -> bool {
        let link = &mut self.links[index as usize];
        if let Some(tls) = link.tls.as_mut().filter(|_| in_order) {
            tls.close();
        }
        let before = link.sending;
        self.flush_link(index, now);
        self.links[index as usize].sending && !before
    }

    /// Forgets the socket and everything above it.
    pub(super) fn reset(&mut self, index: u32, now: Time, reopen_at: Time, farewell: Farewell) {
        self.handshake_over(index);
        let link = &self.links[index as usize];
        if link.state == LinkState::Open {
            let target = usize::from(link.target);
            self.open -= 1;
            self.up[target] -= u32::from(index < self.pool);
        }
        self.harvest(index);
        self.harvest_path(index);
        if let Some(code) = self.links[index as usize].harvested.goaway_code {
            *self.recorder.connections.goaways.entry(code).or_default() += 1;
        }
        let link = &mut self.links[index as usize];
        if let Some(sock) = link.sock.take() {
            self.io.retire(sock, now, farewell);
        }
        (link.http, link.tls, link.prelude, link.elsewhere) = (None, None, None, None);
        (link.state, link.since, link.reopen_at) = (LinkState::Down, now, reopen_at);
        (link.sending, link.unarmed, link.held, link.fresh) = (false, false, false, 0);
        // What was armed for the connection must not open the next one.
        (link.stuck_since, link.timer_at) = (Time::NEVER, Time::NEVER);
        if self.is_apart(index) {
            self.handshake_ended(index, now);
        }
    }

    /// Adds what the connection counted since the last time to the bytes of the phase.
    pub(super) fn harvest(&mut self, index: u32) {
        let link = &mut self.links[index as usize];
        let Some(http) = &link.http else { return };
        let (stats, before) = (http.stats(), link.harvested);
        self.bytes.headers += stats.header_bytes - before.header_bytes;
        self.bytes.headers_decoded += stats.header_bytes_decoded - before.header_bytes_decoded;
        link.harvested = stats;
        if let Some(streams) = stats.peer_max_streams {
            self.recorder.connections.peer_max_streams = Some(streams);
        }
    }

    // ---- timers ----

    pub(super) fn arm_link(&mut self, index: u32, at: Time) {
        let link = &mut self.links[index as usize];
        if at < link.timer_at {
            link.timer_at = at;
            self.timers.arm(at, Owner::Link(index));
        }
    }

    /// A connection of a phase of handshakes is idle all the time: it has `handshake` and `hold`.
    fn arm_idle(&mut self, index: u32, now: Time) {
        if let Some(idle) = self.setup.plan.timeouts.idle.filter(|_| index < self.pool) {
            self.arm_link(index, now.after(idle));
        }
    }

    /// A link's timer fired: something of it may be due, or the timer may be from an earlier state.
    pub(super) fn link_timer(&mut self, index: u32, now: Time) {
        let timeouts = self.setup.plan.timeouts;
        let link = &mut self.links[index as usize];
        if link.timer_at > now {
            return;
        }
        link.timer_at = Time::NEVER;
        if self.quic_timer(index, now) {
            return;
        }
        let link = &mut self.links[index as usize];
        let (state, since) = (link.state, link.since);
        let limit = match state {
            LinkState::Down => return self.start_link(index, now),
            LinkState::Connecting | LinkState::Tunnelling => timeouts.connect,
            LinkState::Handshaking => timeouts.handshake,
            LinkState::Open => return self.open_timer(index, now),
        };
        let Some(limit) = limit else { return };
        if now < since.after(limit) {
            self.arm_link(index, since.after(limit));
            return;
        }
        let what = match state {
            LinkState::Tunnelling => self.tunnel_of(index),
            LinkState::Connecting => format!("connect to {}", self.way_of(index).0),
            _ => format!("TLS handshake with {}", self.way_of(index).0),
        };
        let error = Error::local(Kind::Timeout, "no connection within the connect or handshake timeout");
        self.open_failed(index, error, format!("{what}: no answer within {limit:?}"), now);
    }

    /// The limit that an open connection has passed. Arms the timer for those it has not.
    fn overdue(&mut self, index: u32, now: Time) -> Option<(Error, Duration)> {
        let timeouts = &self.setup.plan.timeouts;
        let link = &self.links[index as usize];
        let handshake = timeouts.handshake.filter(|_| link.tidings.early);
        let limits = [
            (timeouts.active, link.since, TOO_OLD),
            (timeouts.inactive, link.stirred, SILENT),
            (handshake, link.since, NO_HANDSHAKE),
        ];
        for (limit, since, error) in limits {
            let Some(limit) = limit else { continue };
            if since.after(limit) <= now {
                return Some((error, limit));
            }
            self.arm_link(index, since.after(limit));
        }
        None
    }

    /// A connection that has lived as long as the plan wants takes no more requests. Returns whether it was closed at once.
    fn outlived(&mut self, index: u32, now: Time) -> bool {
        let Some(lifetime) = self.setup.plan.connections.lifetime else { return false };
        let link = &mut self.links[index as usize];
        let end = link.since.after(lifetime);
        if now < end {
            self.arm_link(index, end);
            return false;
        }
        link.budget = 0;
        self.close_if_spent(index, now)
    }

    /// Closes a connection that takes no more requests and has none. Not in the middle of a handshake: its end may say that
    /// what was sent early must be sent again.
    pub(super) fn close_if_spent(&mut self, index: u32, now: Time) -> bool {
        let link = &self.links[index as usize];
        let busy = link.http.as_ref().is_none_or(|http| http.in_flight() > 0);
        if link.budget > 0 || link.tidings.early || busy {
            return false;
        }
        if self.is_apart(index) {
            return self.greet(index, now);
        }
        self.with_http(index, now, |http, notes| http.close(now, notes));
        self.closed(index, true, now);
        true
    }

    fn open_timer(&mut self, index: u32, now: Time) {
        if let Some((error, limit)) = self.overdue(index, now) {
            return self.closed_overdue(index, error, limit, now);
        }
        if self.is_apart(index) {
            if self.greet(index, now) {
                return;
            }
        } else if self.outlived(index, now) {
            return;
        }
        let timeouts = self.setup.plan.timeouts;
        let link = &mut self.links[index as usize];
        let Some(http) = &mut link.http else { return };
        // QUIC's own were looked at already.
        let at = if matches!(http, Http::H3(_)) { None } else { http.poll_timeout() };
        if let Some(at) = at {
            if at > now {
                self.arm_link(index, at);
                return;
            }
            self.with_http(index, now, |http, notes| http.handle_timeout(now, notes));
            self.after_events(index, now);
            return;
        }
        if let (true, Some(limit)) = (link.stuck_since != Time::NEVER, timeouts.request) {
            let at = link.stuck_since.after(limit);
            if at <= now {
                return self.closed_stuck(index, limit, now);
            }
            self.arm_link(index, at);
        }
        let link = &mut self.links[index as usize];
        let Some(http) = &link.http else { return };
        let busy = http.in_flight() > 0;
        let Some(idle) = timeouts.idle.filter(|_| index < self.pool) else { return };
        let idle_since = if busy { now } else { link.since.max(link.tidings.last_end) };
        if now < idle_since.after(idle) {
            self.arm_link(index, idle_since.after(idle));
            return;
        }
        self.with_http(index, now, |http, notes| http.close(now, notes));
        self.closed_idle(index, now);
    }
}

/// A system error in the words of a remedy where there is one.
fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => "no local port is free: widen the range (sysctl -w \
             net.ipv4.ip_local_port_range='1024 65535'), allow reuse (sysctl -w net.ipv4.tcp_tw_reuse=1) or name more \
             source addresses (--source-address, or connections: source)"
            .into(),
        Some(libc::EMFILE | libc::ENFILE) => "no descriptor is free: raise the limit (ulimit -n)".into(),
        _ => error.to_string(),
    }
}
