//! How packets are put together: header, frames, padding, encryption, and the record of what was sent.

use super::Connection;
use crate::crypto::PacketKeyPair;
use crate::error::{Violation, code};
use crate::frame;
use crate::packet::{LONG_HEADER, Level, Open, TAG};
use crate::params::ACK_DELAY_EXPONENT;
use crate::sent::{Packet, Sent};
use crate::space::{DATA, HANDSHAKE, INITIAL};
use crate::stream_id::StreamId;
use proto::Time;

/// What a datagram with an Initial packet is padded to (RFC 9000 section 14.1).
pub(super) const LEAST_INITIAL: usize = 1200;
/// Room in which another packet can say something.
pub(super) const WORTH_A_PACKET: usize = LONG_HEADER + TAG + 64;

/// What a packet turned out to hold.
#[derive(Clone, Copy, Debug, Default)]
struct Holds {
    acks: Option<u64>,
    eliciting: bool,
    padded: bool,
    probe: bool,
}

impl Connection {
    /// One 1-RTT packet of at most `mtu` bytes; `data`: not only acknowledgements; `last`: none may follow. Returns its size, 0 for
    /// none.
    #[inline]
    pub(super) fn put_one_rtt(
        &mut self,
        now: Time,
        out: &mut Vec<u8>,
        mtu: usize,
        data: bool,
        last: bool,
        sent: &mut impl FnMut(StreamId, u32),
    ) -> usize {
        let Some(open) = self.open_one_rtt(now, out) else { return 0 };
        let end = out.len() + mtu - (open.payload_at - open.start());
        let (mut holds, challenged) = self.put_data_frames(now, out, end - TAG, data, true, sent);
        if open.is_empty(out) {
            open.abandon(out);
            return 0;
        }
        let start = open.start();
        // RFC 9000 section 8.2.2: an answer shows that the path carries as much.
        if challenged {
            open.pad(out, start + LEAST_INITIAL);
            holds.padded = true;
        }
        let size = out.len() + TAG - start;
        if !last && size < mtu && self.more_follows(size) {
            open.pad(out, start + mtu);
            holds.padded = true;
        }
        let size = self.seal_one_rtt(open, out);
        self.packet_sent(now, DATA, size, holds);
        size
    }

    /// A datagram that tries how much the path carries (RFC 9000 section 14.4).
    pub(super) fn put_mtu_probe(&mut self, now: Time, out: &mut Vec<u8>) -> bool {
        if !self.confirmed || !self.in_flight_allows_probe() {
            return false;
        }
        let Some(size) = self.mtu.poll_probe(now) else { return false };
        let Some(open) = self.open_one_rtt(now, out) else { return false };
        let start = open.start();
        out.push(frame::PING);
        open.pad(out, start + usize::from(size));
        let size = self.seal_one_rtt(open, out);
        let holds = Holds { eliciting: true, probe: true, ..Holds::default() };
        self.packet_sent(now, DATA, size, holds);
        true
    }

    fn in_flight_allows_probe(&self) -> bool {
        self.in_flight + u64::from(self.max_udp_payload) <= self.congestion.window()
    }

    fn open_one_rtt(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Open> {
        if !self.is_over() {
            self.maybe_update_keys(now);
            if self.is_over() {
                return None;
            }
        }
        self.maybe_skip(now);
        let s = &self.spaces[DATA];
        let phase = self.keys.one_rtt.as_ref()?.phase;
        Some(Open::short(out, &self.cids.active(), s.sent.next(), s.largest_acked, phase))
    }

    #[inline]
    fn seal_one_rtt(&mut self, open: Open, out: &mut Vec<u8>) -> usize {
        let Some(keys) = &mut self.keys.one_rtt else { return 0 };
        keys.sealed += 1;
        open.seal(out, &*keys.local_header, &*keys.local)
    }

    /// A number is left out now and then: who acknowledges it has not looked (RFC 9000 section 21.4).
    #[inline]
    fn maybe_skip(&mut self, now: Time) {
        let next = self.spaces[DATA].sent.next();
        // 0-RTT packets may have passed it.
        if next >= self.skip_at {
            self.spaces[DATA].sent.skip(now);
            // Ever more rarely: those who cheat do so from the beginning.
            self.skip_at = next + 2 + next / 2 + self.next_random() % (next / 2 + 64);
        }
    }

    /// RFC 9001 sections 6.1 and 6.6: when asked, and before keys have protected too much.
    #[inline]
    fn maybe_update_keys(&mut self, now: Time) {
        let Some(keys) = &self.keys.one_rtt else { return };
        if !self.update_keys && keys.sealed < keys.local.confidentiality_limit() / 2 {
            return;
        }
        let known = self.spaces[DATA].largest_acked.is_some_and(|n| n >= keys.first_sent);
        if !self.confirmed || !known {
            // One packet is left for CONNECTION_CLOSE.
            if keys.sealed + 1 >= keys.local.confidentiality_limit() {
                self.violation(
                    now,
                    Violation::new(code::AEAD_LIMIT_REACHED, "keys that cannot be changed are worn out"),
                );
            }
            return;
        }
        let until = now.after(self.peer_pto() * 3);
        let number = self.spaces[DATA].sent.next();
        let Some(keys) = &mut self.keys.one_rtt else { return };
        let next: Option<PacketKeyPair> = keys.next.take().or_else(|| self.session.next_keys());
        if let Some(next) = next {
            keys.update(next, number, until);
            self.update_keys = false;
        }
    }

    /// Frames of the data space, until `out` is `end` long. `one_rtt`: what early data must not have, too (RFC 9000 section
    /// 12.4). Returns what they are, and whether a challenge was answered.
    #[inline]
    fn put_data_frames(
        &mut self,
        now: Time,
        out: &mut Vec<u8>,
        end: usize,
        data: bool,
        one_rtt: bool,
        sent: &mut impl FnMut(StreamId, u32),
    ) -> (Holds, bool) {
        let mut holds = Holds::default();
        let s = &self.spaces[DATA];
        if one_rtt && (s.ack_now || (data && s.unacked > 0)) {
            holds.acks = self.put_ack(now, DATA, out, end);
        }
        if !data {
            return (holds, false);
        }
        let before = out.len();
        let challenged = one_rtt && self.put_rare_frames(out, end);
        let space = &mut self.spaces[DATA];
        if space.crypto_out.can_send(u64::MAX) && one_rtt {
            self.put_crypto(DATA, out, end);
        }
        self.streams.put(out, end, &mut self.spaces[DATA].sent.log, sent);
        let space = &mut self.spaces[DATA];
        if out.len() == before && space.probes > 0 && out.len() < end {
            out.push(frame::PING);
        }
        holds.eliciting = out.len() > before;
        if holds.eliciting {
            space.probes = space.probes.saturating_sub(1);
        }
        (holds, challenged)
    }

    /// PATH_RESPONSE and RETIRE_CONNECTION_ID; true if the former.
    #[inline]
    fn put_rare_frames(&mut self, out: &mut Vec<u8>, end: usize) -> bool {
        let mut challenged = false;
        while out.len() + 9 <= end
            && let Some(data) = self.path_responses.pop_front()
        {
            frame::put_path_response(out, data);
            challenged = true;
        }
        while out.len() + 9 <= end
            && let Some(sequence) = self.cids.retired.pop_front()
        {
            frame::put_retire_connection_id(out, sequence);
            self.spaces[DATA].sent.log.push(Sent::RetireId(sequence));
        }
        challenged
    }

    /// ACK; returns the largest number in it.
    #[inline]
    fn put_ack(&mut self, now: Time, space: usize, out: &mut Vec<u8>, end: usize) -> Option<u64> {
        let s = &mut self.spaces[space];
        let delay = (now.nanos_since(s.largest_received_at) / 1000) >> ACK_DELAY_EXPONENT;
        let ecn = s.ecn_counts();
        s.ack_now = false;
        s.ack_at = None;
        s.unacked = 0;
        let room = end.saturating_sub(out.len());
        if s.received.put_ack(out, delay, ecn, room) { s.received.largest() } else { None }
    }

    fn put_crypto(&mut self, space: usize, out: &mut Vec<u8>, end: usize) {
        let s = &mut self.spaces[space];
        while let Some(room) = end.checked_sub(out.len() + frame::CRYPTO_HEAD)
            && let Some(chunk) = s.crypto_out.next(room, u64::MAX)
        {
            frame::put_crypto_head(out, chunk.offset, chunk.len);
            s.crypto_out.put(chunk, out);
            s.crypto_out.on_sent(chunk);
            s.sent.log.push(Sent::Crypto { offset: chunk.offset, len: chunk.len as u32 });
        }
    }

    /// An Initial or Handshake packet in a datagram that began at `start`. `initial`: the datagram has an Initial packet;
    /// `later`: another packet may follow; `room`: so does the window, for what is no probe (RFC 9002 section 7).
    pub(super) fn put_crypto_packet(
        &mut self,
        now: Time,
        space: usize,
        out: &mut Vec<u8>,
        start: usize,
        end: usize,
        (initial, later, room): (bool, bool, bool),
    ) {
        let level = Self::level_of(space);
        let token = if space == INITIAL { self.token.len() } else { 0 };
        if end.saturating_sub(out.len()) < WORTH_A_PACKET + token {
            return;
        }
        let s = &self.spaces[space];
        let (dcid, number, acked) = (self.cids.active(), s.sent.next(), s.largest_acked);
        let open = Open::long(out, level, &dcid, &self.token, number, acked);
        let end = end - TAG;
        let mut holds = Holds::default();
        if s.ack_now {
            holds.acks = self.put_ack(now, space, out, end);
        }
        let before = out.len();
        if room || self.spaces[space].probes > 0 {
            self.put_crypto(space, out, end);
        }
        let s = &mut self.spaces[space];
        if s.probes > 0 && out.len() == before {
            out.push(frame::PING);
        }
        holds.eliciting = out.len() > before;
        if holds.eliciting {
            s.probes = s.probes.saturating_sub(1);
        }
        if open.is_empty(out) {
            return open.abandon(out);
        }
        let follows = later && end.saturating_sub(out.len()) >= WORTH_A_PACKET;
        if initial && !follows {
            open.pad(out, start + LEAST_INITIAL);
            holds.padded = true;
        }
        let Some(keys) = self.keys.of(space) else { return open.abandon(out) };
        let size = keys.local.seal(open, out);
        self.packet_sent(now, space, size, holds);
    }

    /// The 0-RTT or 1-RTT packet behind those of the handshake; `pad`: up to the size of a datagram with an Initial packet.
    pub(super) fn put_last_packet(
        &mut self,
        now: Time,
        out: &mut Vec<u8>,
        start: usize,
        end: usize,
        (pad, data): (bool, bool),
        sent: &mut impl FnMut(StreamId, u32),
    ) {
        let one_rtt = self.keys.one_rtt.is_some();
        let open = if one_rtt {
            self.open_one_rtt(now, out)
        } else {
            let s = &self.spaces[DATA];
            let dcid = self.cids.active();
            Some(Open::long(out, Level::Early, &dcid, &[], s.sent.next(), s.largest_acked))
        };
        let Some(open) = open else { return };
        let (mut holds, challenged) = self.put_data_frames(now, out, end - TAG, data, one_rtt, sent);
        if pad || challenged {
            open.pad(out, start + LEAST_INITIAL);
            holds.padded = true;
        }
        if open.is_empty(out) {
            return open.abandon(out);
        }
        let size = match (&self.keys.early, one_rtt) {
            (_, true) => self.seal_one_rtt(open, out),
            (Some(keys), false) => keys.seal(open, out),
            (None, false) => return open.abandon(out),
        };
        self.packet_sent(now, DATA, size, holds);
    }

    #[inline]
    fn packet_sent(&mut self, now: Time, space: usize, size: usize, holds: Holds) {
        let mut packet = Packet::new(now, size as u16);
        packet.acks = holds.acks;
        packet.eliciting = holds.eliciting;
        packet.in_flight = holds.eliciting || holds.padded;
        packet.probe = holds.probe;
        packet.ect = self.mark != 0;
        if packet.ect {
            self.ecn.on_sent();
        }
        self.counts.packets_sent += 1;
        if packet.in_flight {
            self.in_flight += size as u64;
            self.congestion.on_sent(self.in_flight);
            self.pacer.on_sent(size as u64);
        }
        if let Some(qlog) = &mut self.qlog {
            let early = space == DATA && self.keys.one_rtt.is_none();
            let level = if early { Level::Early } else { Self::level_of(space) };
            qlog.packet_sent(now, level, self.spaces[space].sent.next(), size);
        }
        let s = &mut self.spaces[space];
        if packet.eliciting {
            s.eliciting_in_flight += 1;
            s.last_eliciting = now;
            self.deadlock_base = now;
            // RFC 9000 section 10.1: what is asked must have the time to be answered.
            if !std::mem::replace(&mut self.idle.asked, true) {
                self.idle.since = now;
            }
        }
        s.sent.push(packet);
    }

    /// CONNECTION_CLOSE at every level that the server may be able to read (RFC 9000 section 10.2.3).
    pub(super) fn put_farewell(&mut self, out: &mut Vec<u8>) {
        let Some(farewell) = self.farewell.as_mut().filter(|f| f.due) else { return };
        farewell.due = false;
        let farewell = farewell.clone();
        let start = out.len();
        let one_rtt = self.keys.one_rtt.is_some();
        for space in [INITIAL, HANDSHAKE] {
            let Some(keys) = self.keys.of(space).filter(|_| !self.confirmed) else { continue };
            let s = &mut self.spaces[space];
            let level = Self::level_of(space);
            let open =
                Open::long(out, level, &self.cids.active(), &self.token, s.sent.next(), s.largest_acked);
            // One datagram has to do for all of them, and a token may be long.
            let behind = if space == INITIAL { 2 } else { 1 } * WORTH_A_PACKET;
            let room = (start + LEAST_INITIAL).saturating_sub(out.len() + frame::CLOSE_HEAD + TAG + behind);
            let reason = &farewell.reason[..farewell.reason.len().min(room)];
            match farewell.application {
                // What the application says is not for everyone to read.
                true => frame::put_close(out, false, code::APPLICATION, b""),
                false => frame::put_close(out, false, farewell.code, reason),
            }
            let last = !one_rtt && (space == HANDSHAKE || self.keys.handshake.is_none());
            if last && self.keys.initial.is_some() {
                open.pad(out, start + LEAST_INITIAL);
            }
            keys.local.seal(open, out);
            s.sent.push(Packet::new(self.now, 0));
        }
        if one_rtt && let Some(open) = self.open_one_rtt(self.now, out) {
            frame::put_close(out, farewell.application, farewell.code, &farewell.reason);
            if self.keys.initial.is_some() {
                open.pad(out, start + LEAST_INITIAL);
            }
            self.seal_one_rtt(open, out);
            self.spaces[DATA].sent.push(Packet::new(self.now, 0));
        }
    }
}
