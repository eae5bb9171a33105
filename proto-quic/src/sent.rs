//! Packets that were sent and whose fate is not known, with what must be said again if they are lost (RFC 9002 section A.1): a
//! ring by packet number, and the frames of all of them in another, in a compact form.

use crate::stream_id::StreamId;
use proto::Time;
use std::collections::VecDeque;

/// A frame that must arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Requests in one piece on streams behind each other.
    Whole { first: u64, count: u32 },
    /// Any other STREAM frame.
    Stream { id: StreamId, offset: u64, len: u32, fin: bool },
    /// Of the handshake.
    Crypto { offset: u64, len: u32 },
    /// RESET_STREAM.
    Reset(StreamId),
    /// STOP_SENDING.
    Stop(StreamId),
    /// MAX_DATA.
    MaxData,
    /// MAX_STREAMS, unidirectional.
    MaxUni,
    /// MAX_STREAM_DATA.
    MaxStreamData(StreamId),
    /// DATA_BLOCKED or STREAMS_BLOCKED.
    Blocked(u8),
    /// STREAM_DATA_BLOCKED.
    StreamBlocked(StreamId),
    /// RETIRE_CONNECTION_ID.
    RetireId(u64),
}

/// The frames of packets, in the order of the packets.
#[derive(Debug, Default)]
pub(crate) struct FrameLog {
    frames: VecDeque<Sent>,
    /// The number of the first one that is kept, counting from the beginning of the connection.
    first: u64,
    /// That of the first one of the packet that is being written.
    packet: u64,
}

impl FrameLog {
    fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    #[inline]
    pub(crate) fn push(&mut self, frame: Sent) {
        self.frames.push_back(frame);
    }

    /// A request in one piece; those behind each other are one entry.
    #[inline]
    pub(crate) fn whole(&mut self, index: u64) {
        if self.end() > self.packet
            && let Some(Sent::Whole { first, count }) = self.frames.back_mut()
            && *first + u64::from(*count) == index
        {
            *count += 1;
            return;
        }
        self.push(Sent::Whole { first: index, count: 1 });
    }
}

/// What is known of a packet's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Unknown,
    Acked,
    Lost,
    /// Its number was never used (RFC 9000 section 21.4).
    Skipped,
}

/// A packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) sent: Time,
    /// The largest number in its ACK frame.
    pub(crate) acks: Option<u64>,
    frames: u32,
    pub(crate) size: u16,
    pub(crate) fate: Fate,
    /// It counts for congestion (RFC 9002 section 2).
    pub(crate) in_flight: bool,
    pub(crate) eliciting: bool,
    /// A probe of the path's MTU, whose loss says nothing of congestion.
    pub(crate) probe: bool,
    /// Sent with ECT(0).
    pub(crate) ect: bool,
}

impl Packet {
    pub(crate) fn new(sent: Time, size: u16) -> Packet {
        Packet {
            sent,
            acks: None,
            frames: 0,
            size,
            fate: Fate::Unknown,
            in_flight: false,
            eliciting: false,
            probe: false,
            ect: false,
        }
    }
}

/// What packets were that are no longer waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// Bytes in flight.
    pub(crate) in_flight: u64,
    /// Packets with ECT(0).
    pub(crate) marked: u32,
}

/// Packets that are kept although nobody may ever tell that they arrived.
const UNANSWERED: usize = 128;

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct SentPackets {
    packets: VecDeque<Packet>,
    /// The number of the first that is kept.
    first: u64,
    /// Where the frames of the first one begin.
    pub(crate) log: FrameLog,
}

impl SentPackets {
    /// The number of the next packet.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// A packet left; its frames are those that were logged since the one before.
    #[inline]
    pub(crate) fn push(&mut self, mut packet: Packet) {
        packet.frames = (self.log.end() - self.log.packet) as u32;
        self.log.packet = self.log.end();
        // Who only receives sends acknowledgements that nobody acknowledges.
        if self.packets.len() >= UNANSWERED && self.packets.front().is_some_and(|p| !p.in_flight) {
            self.packets[0].fate = Fate::Acked;
            self.forget_known();
        }
        self.packets.push_back(packet);
    }

    /// A number that is not used.
    pub(crate) fn skip(&mut self, now: Time) {
        self.push(Packet { fate: Fate::Skipped, ..Packet::new(now, 0) });
    }

    #[inline]
    pub(crate) fn get(&self, number: u64) -> Option<&Packet> {
        self.packets.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Packet> {
        self.packets.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The place in the log where the frames of a packet begin. Walked to from the nearer end.
    fn frames_of(&self, number: u64) -> std::ops::Range<u64> {
        let at = (number - self.first) as usize;
        let len = u64::from(self.packets[at].frames);
        let start = if at <= self.packets.len() / 2 {
            self.log.first + self.packets.range(..at).map(|p| u64::from(p.frames)).sum::<u64>()
        } else {
            self.log.packet - self.packets.range(at..).map(|p| u64::from(p.frames)).sum::<u64>()
        };
        start..start + len
    }

    /// Puts the frames of some packets behind each other into `out`.
    pub(crate) fn collect_frames(&self, range: std::ops::Range<u64>, out: &mut Vec<Sent>) {
        if range.is_empty() {
            return;
        }
        let (from, to) = (self.frames_of(range.start).start, self.frames_of(range.end - 1).end);
        let first = self.log.first;
        out.extend(self.log.frames.range((from - first) as usize..(to - first) as usize));
    }

    /// Forgets the packets in front whose fate is known.
    #[inline]
    pub(crate) fn forget_known(&mut self) {
        while let Some(packet) = self.packets.front()
            && packet.fate != Fate::Unknown
        {
            let frames = packet.frames as usize;
            self.packets.pop_front();
            self.first += 1;
            self.log.frames.drain(..frames);
            self.log.first += frames as u64;
        }
    }

    /// Forgets all; returns what was not yet known to have arrived or to be lost.
    pub(crate) fn forget_all(&mut self) -> Forgotten {
        let mut forgotten = Forgotten::default();
        for packet in self.packets.iter().filter(|p| p.fate == Fate::Unknown) {
            forgotten.in_flight += if packet.in_flight { u64::from(packet.size) } else { 0 };
            forgotten.marked += u32::from(packet.ect);
        }
        self.first = self.next();
        self.packets.clear();
        self.log.first = self.log.end();
        self.log.packet = self.log.first;
        self.log.frames.clear();
        forgotten
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Packet)> {
        self.packets.iter().enumerate().map(|(n, p)| (self.first + n as u64, p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stay_with_their_packets() {
        let mut s = SentPackets::default();
        for n in 0..20u64 {
            // Requests behind each other are one entry, but not across packets.
            (0..n % 4).for_each(|k| s.log.whole(n * 10 + k));
            if n % 3 == 0 {
                s.log.push(Sent::MaxData);
            }
            if n == 7 { s.skip(Time::ZERO) } else { s.push(Packet::new(Time::ZERO, 100)) }
        }
        let of = |s: &SentPackets, n| {
            let mut out = Vec::new();
            s.collect_frames(n..n + 1, &mut out);
            out
        };
        assert_eq!(of(&s, 3), [Sent::Whole { first: 30, count: 3 }, Sent::MaxData]);
        assert_eq!(
            (of(&s, 4), of(&s, 18)),
            (vec![], vec![Sent::Whole { first: 180, count: 2 }, Sent::MaxData])
        );
        for n in [0, 1, 2, 4] {
            s.get_mut(n).unwrap().fate = Fate::Acked;
        }
        s.forget_known();
        assert_eq!((s.first(), s.next(), s.get(2).is_none()), (3, 20, true));
        assert_eq!(of(&s, 19), [Sent::Whole { first: 190, count: 3 }]);
        assert_eq!((s.forget_all(), s.next()), (Forgotten::default(), 20));
        s.log.whole(5);
        s.push(Packet { in_flight: true, ect: true, ..Packet::new(Time::ZERO, 7) });
        s.push(Packet { ect: true, fate: Fate::Lost, ..Packet::new(Time::ZERO, 9) });
        assert_eq!(of(&s, 20), [Sent::Whole { first: 5, count: 1 }]);
        assert_eq!(s.forget_all(), Forgotten { in_flight: 7, marked: 1 });
    }
}
