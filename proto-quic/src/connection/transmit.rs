//! What goes: which datagrams, and when. How packets are put together is `datagram.rs`' matter.

use super::Connection;
use crate::event::Transmit;
use crate::mtu::BASE;
use crate::space::{DATA, HANDSHAKE, INITIAL};
use crate::stream_id::StreamId;
use proto::Time;

impl Connection {
    /// Appends datagrams of at most `limit` bytes together. `sent` is told of each stream whose last byte has left for the first
    /// time, with its cookie.
    #[inline]
    pub fn poll_transmit(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sent: &mut impl FnMut(StreamId, u32),
    ) -> Option<Transmit> {
        self.now = self.now.max(now);
        if limit < usize::from(self.mtu.current()) {
            return None;
        }
        let start = out.len();
        // One mark for all of a batch, and what is taken down of its packets is what they leave with.
        self.mark = self.ecn.codepoint();
        let datagrams = if self.is_over() {
            self.put_farewell(out);
            1
        } else if self.keys.initial.is_some() || self.keys.handshake.is_some() || self.keys.one_rtt.is_none()
        {
            self.put_coalesced(now, out, sent);
            1
        } else {
            self.put_batch(now, limit, out, sent)
        };
        let bytes = out.len() - start;
        if bytes == 0 {
            return None;
        }
        self.counts.datagrams_sent += datagrams as u64;
        self.counts.bytes_sent += bytes as u64;
        let segment_size = (datagrams > 1).then(|| usize::from(self.mtu.current()));
        Some(Transmit { ecn: self.mark, segment_size })
    }

    /// Whether the congestion window has room for one more datagram, beside those in `pending` bytes.
    #[inline]
    fn has_room(&self, pending: u64) -> bool {
        self.in_flight + pending + u64::from(self.mtu.current()) <= self.congestion.window()
    }

    /// Whether congestion or pacing holds new data back. Who is held back by either uses its window (RFC 9002 section 7.8).
    fn is_held_back(&mut self, now: Time) -> bool {
        let held_back = !self.has_room(0) || self.is_paced(now);
        if held_back {
            self.full_at = Some(now);
        }
        held_back
    }

    fn is_paced(&mut self, now: Time) -> bool {
        if self.paced_until.is_some_and(|at| now < at) {
            return true;
        }
        let mtu = self.mtu.current();
        self.paced_until = self.pacer.next(now, u64::from(mtu), self.congestion.window(), &self.rtt, mtu);
        self.paced_until.is_some()
    }

    /// Frames of the data space that are not about acknowledgements.
    #[inline]
    pub(super) fn has_data(&mut self) -> bool {
        self.streams.wants_transmit()
            || !self.path_responses.is_empty()
            || !self.cids.retired.is_empty()
            || self.spaces[DATA].crypto_out.can_send(u64::MAX)
    }

    /// 1-RTT packets, all but the last of one size (GSO). Returns how many.
    fn put_batch(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sent: &mut impl FnMut(StreamId, u32),
    ) -> usize {
        // Whoever always has more to say never has a moment for a probe (RFC 8899 section 5.3).
        if self.mtu.is_overdue(self.full_at) && self.put_probe(now, limit, out) {
            return 1;
        }
        let mut mtu = usize::from(self.mtu.current());
        let mut most = (limit / mtu).min(self.segments);
        // RFC 9000 section 14.3: the path may have become narrower, and while nothing arrives nothing else would show that.
        if self.pto_count > 1 && self.spaces[DATA].probes > 0 {
            (mtu, most) = (usize::from(BASE), 1);
        }
        let mut count = 0;
        while count < most {
            let space = &self.spaces[DATA];
            let (must, probes) = (space.ack_now || space.probes > 0, space.probes > 0);
            let data = self.has_data();
            if !data && !must {
                break;
            }
            let held = !probes && data && self.is_held_back(now);
            if held && !must {
                break;
            }
            let last = count + 1 == most;
            let size = self.put_one_rtt(now, out, mtu, !held, last, sent);
            count += usize::from(size > 0);
            if size < mtu {
                break;
            }
        }
        if count == 0 && !self.has_data() {
            // The last of what there was to say may just have filled the window.
            if !self.has_room(0) {
                self.full_at = Some(now);
            }
            return usize::from(self.put_probe(now, limit, out));
        }
        count
    }

    fn put_probe(&mut self, now: Time, limit: usize, out: &mut Vec<u8>) -> bool {
        usize::from(self.max_udp_payload) <= limit && self.is_connected() && self.put_mtu_probe(now, out)
    }

    /// Whether one more full packet would follow one of this size.
    #[inline]
    pub(super) fn more_follows(&mut self, size: usize) -> bool {
        self.has_room(size as u64) && self.paced_until.is_none() && self.has_data()
    }

    /// Whether a level of the handshake has something to say; `room`: the window has room for more than what must be said.
    fn crypto_wants(&self, space: usize, room: bool) -> bool {
        let s = &self.spaces[space];
        let must = s.ack_now || s.probes > 0;
        self.keys.of(space).is_some() && (must || (room && s.crypto_out.can_send(u64::MAX)))
    }

    /// During the handshake: packets of several levels in one datagram (RFC 9000 section 12.2).
    fn put_coalesced(&mut self, now: Time, out: &mut Vec<u8>, sent: &mut impl FnMut(StreamId, u32)) {
        let has_keys = self.keys.one_rtt.is_some() || self.keys.early.is_some();
        let space = &self.spaces[DATA];
        let acks = space.ack_now && self.keys.one_rtt.is_some();
        let must = acks || space.probes > 0;
        let data = has_keys && self.has_data();
        let probes = self.spaces.iter().any(|s| s.probes > 0);
        let held = !probes && self.is_held_back(now);
        let wants_data = has_keys && (must || (data && !held));
        let room = self.has_room(0);
        let wants = [self.crypto_wants(INITIAL, room), self.crypto_wants(HANDSHAKE, room), wants_data];
        if wants == [false; 3] {
            return;
        }
        let start = out.len();
        let end = start + usize::from(self.mtu.current());
        let mut initial = false;
        for space in [INITIAL, HANDSHAKE] {
            if wants[space] {
                initial |= space == INITIAL;
                let later = wants[space + 1..].contains(&true);
                self.put_crypto_packet(now, space, out, start, end, (initial, later, room));
            }
        }
        if wants_data && end.saturating_sub(out.len()) >= super::datagram::WORTH_A_PACKET {
            let pad = initial && out.len() - start < super::datagram::LEAST_INITIAL;
            self.put_last_packet(now, out, start, end, (pad, !held), sent);
        }
        // RFC 9001 section 4.9.1: when a Handshake packet was first sent, not when one only found no room.
        if self.spaces[HANDSHAKE].sent.next() > 0 {
            self.discard(INITIAL);
        }
    }
}
