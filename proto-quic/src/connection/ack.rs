//! Acknowledgements of ours (RFC 9000 section 13.1, RFC 9002 section A.7).

use super::Connection;
use crate::congestion::Acked;
use crate::ecn::Verdict;
use crate::error::{Violation, code};
use crate::frame::Ack;
use crate::sent::{Fate, Packet, Sent};
use crate::space::{DATA, HANDSHAKE};
use proto::Time;
use std::time::Duration;

/// What an ACK frame said for the first time.
#[derive(Default)]
struct News {
    any: bool,
    eliciting: bool,
    /// Packets with ECT(0).
    marked: u64,
    acked: Acked,
    /// When the recovery period began that lasts.
    recovery: Option<Time>,
    /// The largest number among those acknowledged that had an ACK frame of ours.
    acks: Option<u64>,
}

impl Connection {
    pub(super) fn on_ack(&mut self, now: Time, space: usize, ack: Ack<'_>) -> Result<(), Violation> {
        let s = &mut self.spaces[space];
        if ack.largest >= s.sent.next() {
            return Err(Violation::new(code::PROTOCOL_VIOLATION, "a packet acknowledged that was not sent"));
        }
        let raises = s.largest_acked.is_none_or(|largest| ack.largest > largest);
        let largest_sent = s.sent.get(ack.largest).filter(|p| p.fate == Fate::Unknown).map(|p| p.sent);
        s.largest_acked = s.largest_acked.max(Some(ack.largest));
        let mut news = News { recovery: self.congestion.recovery(), ..News::default() };
        for range in ack.ranges() {
            if *range.end() < self.spaces[space].sent.first() {
                break;
            }
            self.acked_range(now, space, range, &mut news)?;
        }
        if let Some(acks) = news.acks {
            self.spaces[space].received.forget_below(acks + 1);
        }
        if !news.any {
            return Ok(());
        }
        if let Some(sent) = largest_sent
            && news.eliciting
        {
            self.sample_rtt(now, space, sent, ack.delay);
        }
        if raises && self.ecn.on_ack(space, news.marked, ack.ecn) == Verdict::Congested {
            self.congestion.on_congestion(now, news.acked.newest, false, 0);
        }
        self.detect_lost(now, space);
        if news.acked.bytes > 0 {
            self.congestion.on_ack(now, &news.acked, &self.rtt);
        }
        self.spaces[space].sent.forget_known();
        if self.peer_has_validated() {
            self.pto_count = 0;
        }
        self.deadlock_base = now;
        if let Some(qlog) = &mut self.qlog {
            qlog.metrics_updated(now, &self.rtt, self.congestion.window(), self.in_flight, self.pto_count);
        }
        Ok(())
    }

    #[inline]
    fn acked_range(
        &mut self,
        now: Time,
        space: usize,
        range: std::ops::RangeInclusive<u64>,
        news: &mut News,
    ) -> Result<(), Violation> {
        let first = (*range.start()).max(self.spaces[space].sent.first());
        // Packets behind each other have their frames behind each other.
        let mut run = first..first;
        for number in first..=*range.end() {
            let Some(packet) = self.spaces[space].sent.get_mut(number) else { continue };
            match packet.fate {
                Fate::Unknown => packet.fate = Fate::Acked,
                Fate::Skipped => {
                    return Err(Violation::new(
                        code::PROTOCOL_VIOLATION,
                        "a number acknowledged that was not used",
                    ));
                }
                Fate::Acked | Fate::Lost => {
                    self.frames_acked(space, run);
                    run = number + 1..number + 1;
                    continue;
                }
            }
            run.end = number + 1;
            let packet = *packet;
            self.packet_acked(now, space, &packet, news);
        }
        self.frames_acked(space, run);
        Ok(())
    }

    #[inline]
    fn packet_acked(&mut self, now: Time, space: usize, packet: &Packet, news: &mut News) {
        news.any = true;
        news.eliciting |= packet.eliciting;
        news.marked += u64::from(packet.ect);
        news.acked.newest = news.acked.newest.max(packet.sent);
        news.acks = news.acks.max(packet.acks);
        if packet.eliciting {
            self.spaces[space].eliciting_in_flight -= 1;
        }
        if packet.probe {
            self.mtu.on_probe_acked(now, packet.size);
            self.congestion.on_mtu(self.mtu.current());
        } else {
            self.mtu.on_acked(packet.size);
        }
        if packet.in_flight {
            let bytes = u64::from(packet.size);
            self.in_flight -= bytes;
            // Those of before a recovery period say nothing new (RFC 9002 section 7.3.2).
            if news.recovery.is_none_or(|began| packet.sent > began) {
                news.acked.bytes += bytes;
                if self.full_at.is_some_and(|at| packet.sent <= at) {
                    news.acked.full += bytes;
                }
            }
        }
    }

    /// What packets carried has arrived.
    #[inline]
    fn frames_acked(&mut self, space: usize, run: std::ops::Range<u64>) {
        let mut frames = std::mem::take(&mut self.scratch);
        frames.clear();
        self.spaces[space].sent.collect_frames(run, &mut frames);
        for frame in &frames {
            match *frame {
                Sent::Crypto { offset, len } => {
                    let range = offset..offset + u64::from(len);
                    self.spaces[space].crypto_out.on_acked(range, false);
                }
                Sent::RetireId(_) => self.cids.on_retirement_acked(),
                frame => self.streams.on_acked(frame),
            }
        }
        self.scratch = frames;
    }

    /// RFC 9002 section 5.
    fn sample_rtt(&mut self, now: Time, space: usize, sent: Time, delay: u64) {
        let delay = if space == DATA {
            let micros = delay.saturating_mul(1 << self.peer.ack_delay_exponent);
            let told = Duration::from_micros(micros);
            // Only the handshake is excused for being slow (section 5.3).
            if self.confirmed { told.min(self.peer.max_ack_delay) } else { told }
        } else {
            Duration::ZERO
        };
        self.rtt.update(now, now.since(sent), delay);
    }

    /// The server must know our address by now (RFC 9002 section A.8). That it acknowledges early data is no sign of it.
    pub(super) fn peer_has_validated(&self) -> bool {
        self.confirmed || self.spaces[HANDSHAKE].largest_acked.is_some()
    }
}
