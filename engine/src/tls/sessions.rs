//! TLS sessions of earlier connections, kept for later ones. Part of `tls.rs`, which decides what connections may do with
//! them; rustls asks and tells.
//!
//! The library has such a store, which keeps eight tickets a server: too few for hundreds of connections that come and go.

use crate::limits;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of one server.
#[derive(Debug, Default)]
struct Known {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// Each is used once (RFC 8446 appendix C.4), the newest first: the others may have expired.
    tickets: VecDeque<Tls13ClientSessionValue>,
}

/// The sessions with one server (a host, a port, and whether it is QUIC), for all cores of a run: they meet here in handshakes
/// alone. By name, as the library asks for them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    servers: Mutex<HashMap<ServerName<'static>, Known>>,
}

impl Sessions {
    fn servers(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, Known>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sessions as one kind of connection sees them: every kind brings new ones, not every kind continues one.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) sessions: Arc<Sessions>,
    pub(super) continues: bool,
}

impl ClientSessionStore for Access {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.sessions.servers().entry(server).or_default().group = Some(group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.sessions.servers().get(&server.to_owned())?.group
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.sessions.servers().entry(server).or_default().tls12 = Some(session);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        if !self.continues {
            return None;
        }
        self.sessions.servers().get(&server.to_owned())?.tls12.clone()
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        if let Some(known) = self.sessions.servers().get_mut(server) {
            known.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut servers = self.sessions.servers();
        let tickets = &mut servers.entry(server).or_default().tickets;
        if tickets.len() >= limits::TICKETS {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        if !self.continues {
            return None;
        }
        self.sessions.servers().get_mut(server)?.tickets.pop_back()
    }
}
