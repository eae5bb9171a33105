//! What comes: datagrams are taken apart into packets and decrypted in place; their frames are `frames.rs`' matter.

use super::Connection;
use crate::error::{Lost, Violation, code};
use crate::event::Receiver;
use crate::limits;
use crate::packet::{self, Header, Level};
use crate::space::{DATA, HANDSHAKE, INITIAL};
use proto::Time;
use std::ops::Range;

/// A packet that could be read.
struct Opened {
    number: u64,
    payload: Range<usize>,
}

/// Why one could not.
enum Unread {
    /// Its keys are not there yet.
    Early,
    /// Nothing for us, or nothing any more.
    Drop,
    /// No key fits: a datagram that begins so may be a stateless reset.
    Undecryptable,
    /// It decrypted and breaks a rule.
    Wrong(Violation),
}

impl Connection {
    /// Datagrams as one receive call brought them: one, or several of `stride` bytes behind each other (GRO), with the ECN bits
    /// of their IP header. They are decrypted in place.
    pub fn handle_datagrams(
        &mut self,
        now: Time,
        bytes: &mut [u8],
        stride: usize,
        ecn: u8,
        to: &mut impl Receiver,
    ) {
        self.now = self.now.max(now);
        for datagram in bytes.chunks_mut(stride.max(1)) {
            self.counts.datagrams_received += 1;
            self.counts.bytes_received += datagram.len() as u64;
            if self.is_over() {
                self.answer_with_farewell();
            } else {
                self.datagram(now, datagram, ecn, to);
            }
        }
        if !self.early_birds.is_empty() {
            self.read_early_birds(now, to);
        }
    }

    /// RFC 9000 section 10.2.1: whoever still talks is told again, ever more rarely.
    fn answer_with_farewell(&mut self) {
        if let Some(farewell) = &mut self.farewell {
            farewell.came += 1;
            farewell.due |= farewell.came.is_power_of_two();
        }
    }

    #[inline]
    fn datagram(&mut self, now: Time, datagram: &mut [u8], ecn: u8, to: &mut impl Receiver) {
        // Decryption that fails may spoil what a stateless reset is known by.
        let tail = datagram.last_chunk::<16>().copied();
        let len = datagram.len();
        let mut at = 0;
        while at < len && !self.is_over() {
            let (end, unread) = self.packet(now, &mut datagram[at..], ecn, to);
            match unread {
                Some(Unread::Undecryptable) if at == 0 && self.is_reset(len, tail) => {
                    return self.lose(now, Lost::Reset);
                }
                Some(Unread::Wrong(violation)) => return self.violation(now, violation),
                Some(Unread::Early) if self.early_birds.len() < limits::UNDECRYPTABLE => {
                    self.early_birds.push((datagram[at..at + end].to_vec(), ecn));
                }
                _ => {}
            }
            at += end.max(1);
        }
    }

    fn is_reset(&self, len: usize, tail: Option<[u8; 16]>) -> bool {
        tail.is_some_and(|tail| len >= 21 && self.cids.is_reset(&tail))
    }

    /// The packet in front; returns how long it is, and why it was not read.
    #[inline]
    fn packet(
        &mut self,
        now: Time,
        bytes: &mut [u8],
        ecn: u8,
        to: &mut impl Receiver,
    ) -> (usize, Option<Unread>) {
        let len = bytes.len();
        match packet::parse(bytes) {
            Some(Header::Short) => (len, self.short(now, bytes, ecn, to).err()),
            Some(Header::Long { level, scid, number_at, end }) => {
                // RFC 9000 section 7.2: the server keeps the id that it chose first.
                if self.server_scid.is_some_and(|known| known != scid) {
                    return (end, Some(Unread::Drop));
                }
                let space = if level == Level::Initial { INITIAL } else { HANDSHAKE };
                let read = self.long(now, &mut bytes[..end], space, number_at);
                let read = read.and_then(|opened| {
                    if self.server_scid.is_none() {
                        self.server_scid = Some(scid);
                        self.cids.replace_first(scid);
                    }
                    let payload = &bytes[opened.payload];
                    self.payload(now, space, opened.number, payload, ecn, to).map_err(Unread::Wrong)
                });
                (end, read.err())
            }
            Some(Header::Retry { scid, token }) => {
                let token = bytes[token].to_vec();
                self.on_retry(now, bytes, scid, &token);
                (len, None)
            }
            Some(Header::Versions { dcid, scid, list }) => {
                self.on_versions(now, dcid.as_slice(), scid, &bytes[list]);
                (len, None)
            }
            None => (len, Some(Unread::Undecryptable)),
        }
    }

    fn long(
        &mut self,
        now: Time,
        bytes: &mut [u8],
        space: usize,
        number_at: usize,
    ) -> Result<Opened, Unread> {
        let Some(keys) = self.keys.of(space) else {
            let early = space == HANDSHAKE && !self.handshake_keys_came;
            return Err(if early { Unread::Early } else { Unread::Drop });
        };
        let (truncated, len) = packet::unmask(bytes, number_at, &*keys.remote.header).ok_or(Unread::Drop)?;
        let expected = self.spaces[space].received.expected();
        let number = packet::expand(expected, truncated, len);
        let payload = packet::open(bytes, number_at + len, number, &*keys.remote.packet)
            .ok_or(Unread::Undecryptable)?;
        self.after_opening(now, space, bytes[0] & 0x0c, number, payload)
    }

    /// What holds for every packet that could be decrypted.
    #[inline]
    fn after_opening(
        &mut self,
        now: Time,
        space: usize,
        reserved: u8,
        number: u64,
        payload: Range<usize>,
    ) -> Result<Opened, Unread> {
        // RFC 9000 sections 17.2 and 17.3.1.
        if reserved != 0 {
            return Err(Unread::Wrong(Violation::new(code::PROTOCOL_VIOLATION, "reserved bits are set")));
        }
        // RFC 9000 section 12.4.
        if payload.is_empty() {
            return Err(Unread::Wrong(Violation::new(code::PROTOCOL_VIOLATION, "a packet without frames")));
        }
        if let Some(qlog) = &mut self.qlog {
            qlog.packet_received(now, Self::level_of(space), number, payload.end + packet::TAG);
        }
        if !self.spaces[space].received.is_new(number) {
            return Err(Unread::Drop);
        }
        // RFC 9000 section 10.1: only what is processed, and whoever copies a packet could keep the connection alive.
        self.idle.since = now;
        self.idle.asked = false;
        Ok(Opened { number, payload })
    }

    #[inline]
    fn short(&mut self, now: Time, bytes: &mut [u8], ecn: u8, to: &mut impl Receiver) -> Result<(), Unread> {
        let Some(keys) = &self.keys.one_rtt else { return Err(Unread::Early) };
        // RFC 9001 section 5.7: nothing of it is used before the handshake is complete.
        if !self.is_connected() {
            return Err(Unread::Early);
        }
        let (truncated, len) = packet::unmask(bytes, 1, &*keys.remote_header).ok_or(Unread::Undecryptable)?;
        let expected = self.spaces[DATA].received.expected();
        let number = packet::expand(expected, truncated, len);
        let phase = bytes[0] & 0x04 != 0;
        let payload = if phase == keys.phase {
            match packet::open(bytes, 1 + len, number, &*keys.remote) {
                Some(payload) => payload,
                None => return Err(self.on_undecryptable()),
            }
        } else {
            self.other_phase(now, bytes, 1 + len, number)?
        };
        let reserved = bytes[0] & 0x18;
        let opened = self.after_opening(now, DATA, reserved, number, payload)?;
        if let Some(keys) = &mut self.keys.one_rtt
            && phase == keys.phase
        {
            keys.first_received = Some(keys.first_received.map_or(number, |n| n.min(number)));
        }
        self.payload(now, DATA, opened.number, &bytes[opened.payload], ecn, to).map_err(Unread::Wrong)
    }

    /// A packet of the generation before, or the first of the next (RFC 9001 sections 6.3 and 6.5).
    #[cold]
    fn other_phase(
        &mut self,
        now: Time,
        bytes: &mut [u8],
        payload_at: usize,
        number: u64,
    ) -> Result<Range<usize>, Unread> {
        let after = self.peer_pto() * 3;
        let Some(keys) = &mut self.keys.one_rtt else { return Err(Unread::Drop) };
        let before = keys.first_received.is_none_or(|first| number < first);
        if let Some((previous, until)) = &keys.previous
            && (keys.first_received.is_none() || now <= *until)
        {
            if before {
                return match packet::open(bytes, payload_at, number, &**previous) {
                    Some(payload) => Ok(payload),
                    None => Err(self.on_undecryptable()),
                };
            }
            // RFC 9001 section 6.4: old keys must not be used with higher numbers than new ones. Tried on a copy, since
            // decryption that fails spoils what it is tried on.
            if packet::open(&mut bytes.to_vec(), payload_at, number, &**previous).is_some() {
                return Err(Unread::Wrong(Violation::new(code::KEY_UPDATE, "old keys behind new ones")));
            }
        }
        if keys.next.is_none() {
            keys.next = self.session.next_keys();
        }
        let Some(next) = keys.next.take() else { return Err(Unread::Drop) };
        let Some(payload) = packet::open(bytes, payload_at, number, &*next.remote) else {
            keys.next = Some(next);
            return Err(self.on_undecryptable());
        };
        // RFC 9001 section 6.4: new keys must not be used with lower numbers than old ones.
        if before && keys.first_received.is_some() {
            return Err(Unread::Wrong(Violation::new(
                code::KEY_UPDATE,
                "new keys with an old packet number",
            )));
        }
        let next_number = self.spaces[DATA].sent.next();
        keys.update(next, next_number, now.after(after));
        Ok(payload)
    }

    /// RFC 9001 section 6.6.
    #[cold]
    fn on_undecryptable(&mut self) -> Unread {
        self.keys.failures += 1;
        let limit = self.keys.one_rtt.as_ref().map_or(u64::MAX, |k| k.remote.integrity_limit());
        if self.keys.failures >= limit {
            return Unread::Wrong(Violation::new(
                code::AEAD_LIMIT_REACHED,
                "too many packets that no key fits",
            ));
        }
        Unread::Undecryptable
    }

    /// Packets that waited for their keys are tried again.
    #[cold]
    fn read_early_birds(&mut self, now: Time, to: &mut impl Receiver) {
        loop {
            let waiting = std::mem::take(&mut self.early_birds);
            let before = waiting.len();
            for (mut bytes, ecn) in waiting {
                if self.is_over() {
                    return;
                }
                self.datagram(now, &mut bytes, ecn, to);
            }
            if self.early_birds.len() == before || self.early_birds.is_empty() {
                return;
            }
        }
    }
}
