//! Which packets are lost (RFC 9002 section 6.1), and what that means for congestion (section 7).

use super::Connection;
use crate::qlog::Trigger;
use crate::sent::{Fate, Packet, Sent};
use crate::space::DATA;
use proto::Time;
use std::time::Duration;

/// kPacketThreshold.
const REORDERING: u64 = 3;
/// kPersistentCongestionThreshold.
const PERSISTENT: u32 = 3;

impl Connection {
    pub(super) fn detect_lost(&mut self, now: Time, space: usize) {
        let s = &mut self.spaces[space];
        s.loss_time = None;
        let Some(largest) = s.largest_acked else { return };
        if s.sent.first() > largest {
            return;
        }
        let delay = self.rtt.loss_delay();
        let mut lost = Vec::new();
        for (number, packet) in s.sent.iter() {
            if number > largest {
                break;
            }
            if packet.fate != Fate::Unknown {
                continue;
            }
            let late = packet.sent.after(delay);
            if largest - number >= REORDERING || now >= late {
                lost.push((number, *packet));
            } else {
                s.loss_time = Some(s.loss_time.map_or(late, |t| t.min(late)));
            }
        }
        if !lost.is_empty() {
            self.on_lost(now, space, &lost);
        }
    }

    #[cold]
    fn on_lost(&mut self, now: Time, space: usize, lost: &[(u64, Packet)]) {
        let (mut newest, mut bytes) = (None, 0);
        for (number, packet) in lost {
            if let Some(p) = self.spaces[space].sent.get_mut(*number) {
                p.fate = Fate::Lost;
            }
            self.counts.packets_lost += 1;
            if let Some(qlog) = &mut self.qlog {
                let largest = self.spaces[space].largest_acked.unwrap_or(*number);
                let late = largest.saturating_sub(*number) < REORDERING;
                let trigger = if late { Trigger::Time } else { Trigger::Reordering };
                qlog.packet_lost(now, Self::level_of(space), *number, trigger);
            }
            self.requeue(space, *number..*number + 1);
            if packet.eliciting {
                self.spaces[space].eliciting_in_flight -= 1;
            }
            if packet.in_flight {
                self.in_flight -= u64::from(packet.size);
            }
            if packet.ect {
                self.ecn.on_lost();
            }
            if packet.probe {
                // RFC 9000 section 14.4: not congestion.
                self.mtu.on_probe_lost(now);
                continue;
            }
            if packet.in_flight {
                newest = newest.max(Some(packet.sent));
                bytes += u64::from(packet.size);
            }
            if self.mtu.on_lost(now, packet.size) {
                self.congestion.on_mtu(self.mtu.current());
            }
        }
        if let Some(newest) = newest {
            let persistent = self.is_persistent(lost);
            self.congestion.on_congestion(now, newest, persistent, bytes);
            if persistent {
                // RFC 9002 section 5.2: what was the least may be so no longer.
                self.rtt.min = self.rtt.latest;
            }
        }
        self.spaces[space].sent.forget_known();
    }

    /// RFC 9002 section 7.6: all that was sent for so long was lost. What was sent before the first round trip was measured does not
    /// count, since nobody knows what is long then.
    fn is_persistent(&self, lost: &[(u64, Packet)]) -> bool {
        let Some(measured) = self.rtt.measured else { return false };
        let duration = self.peer_pto() * PERSISTENT;
        let (mut begin, mut before): (Option<Time>, u64) = (None, 0);
        for (number, packet) in lost {
            // A gap is a packet that arrived, or one that was lost earlier and ended another period.
            if before + 1 != *number {
                begin = None;
            }
            before = *number;
            if packet.eliciting && !packet.probe && packet.sent > measured {
                let begin = *begin.get_or_insert(packet.sent);
                if packet.sent.since(begin) > duration {
                    return true;
                }
            }
        }
        false
    }

    /// The probe timeout with the delay of the peer's acknowledgements.
    pub(super) fn peer_pto(&self) -> Duration {
        self.rtt.pto() + self.peer.max_ack_delay
    }

    /// What packets carried is to be said again, as far as it still matters.
    pub(super) fn requeue(&mut self, space: usize, packets: std::ops::Range<u64>) {
        let mut frames = std::mem::take(&mut self.scratch);
        frames.clear();
        self.spaces[space].sent.collect_frames(packets, &mut frames);
        for frame in frames.iter().rev() {
            match *frame {
                Sent::Crypto { offset, len } => {
                    let range = offset..offset + u64::from(len);
                    self.spaces[space].crypto_out.on_lost(range, false);
                }
                Sent::RetireId(sequence) => self.cids.on_retirement_lost(sequence),
                frame => self.streams.on_lost(frame),
            }
        }
        self.scratch = frames;
    }

    /// All that is in flight is to be said again.
    pub(super) fn requeue_all(&mut self, space: usize) {
        let (first, next) = (self.spaces[space].sent.first(), self.spaces[space].sent.next());
        self.requeue(space, first..next);
        self.forget_sent(space);
    }

    /// Nothing of what was sent is waited for any more: it neither is in flight nor was it any trial of the path.
    pub(super) fn forget_sent(&mut self, space: usize) {
        let forgotten = self.spaces[space].forget_sent();
        self.in_flight -= forgotten.in_flight;
        self.ecn.on_forgotten(forgotten.marked);
    }

    /// What a probe says, where there is nothing new: what the oldest packet in flight said (RFC 9002 section 6.2.4).
    pub(super) fn requeue_oldest(&mut self, space: usize) {
        let s = &self.spaces[space].sent;
        let oldest =
            s.iter().find(|(_, p)| p.fate == Fate::Unknown && p.eliciting && !p.probe).map(|(n, _)| n);
        if let Some(oldest) = oldest
            && (space != DATA || self.is_connected() || self.early)
        {
            self.requeue(space, oldest..oldest + 1);
        }
    }
}
