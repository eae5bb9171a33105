//! The keys of all levels, and their change under way (RFC 9001 section 6).

use crate::crypto::{HeaderProtectionKey, KeyPair, Keys, PacketKey, PacketKeyPair};
use proto::Time;

/// Those of 1-RTT packets.
pub(super) struct OneRtt {
    pub(super) local_header: Box<dyn HeaderProtectionKey>,
    pub(super) remote_header: Box<dyn HeaderProtectionKey>,
    pub(super) local: Box<dyn PacketKey>,
    pub(super) remote: Box<dyn PacketKey>,
    /// The generation after this.
    pub(super) next: Option<PacketKeyPair>,
    /// The server's keys before this, for packets that come late, and until when.
    pub(super) previous: Option<(Box<dyn PacketKey>, Time)>,
    /// The bit in the header.
    pub(super) phase: bool,
    /// The first number that we sent, and the lowest that came, with the present keys.
    pub(super) first_sent: u64,
    pub(super) first_received: Option<u64>,
    /// Packets encrypted with the present keys.
    pub(super) sealed: u64,
}

impl OneRtt {
    pub(super) fn new(keys: KeyPair) -> OneRtt {
        OneRtt {
            local_header: keys.local.header,
            remote_header: keys.remote.header,
            local: keys.local.packet,
            remote: keys.remote.packet,
            next: None,
            previous: None,
            phase: false,
            first_sent: 0,
            first_received: None,
            sealed: 0,
        }
    }

    /// To the next generation; `next_number` is that of the next packet we send.
    pub(super) fn update(&mut self, next: PacketKeyPair, next_number: u64, previous_until: Time) {
        let old = std::mem::replace(&mut self.remote, next.remote);
        self.previous = Some((old, previous_until));
        self.local = next.local;
        self.phase = !self.phase;
        self.first_sent = next_number;
        self.first_received = None;
        self.sealed = 0;
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct AllKeys {
    pub(super) initial: Option<KeyPair>,
    pub(super) handshake: Option<KeyPair>,
    pub(super) early: Option<Keys>,
    pub(super) one_rtt: Option<OneRtt>,
    /// Packets that no key fits (RFC 9001 section 6.6).
    pub(super) failures: u64,
}

impl AllKeys {
    /// Those of Initial or Handshake packets.
    pub(super) fn of(&self, space: usize) -> Option<&KeyPair> {
        if space == crate::space::INITIAL { self.initial.as_ref() } else { self.handshake.as_ref() }
    }
}
