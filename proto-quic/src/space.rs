//! A packet number space (RFC 9000 section 12.3): what was sent and received there, and the handshake's bytes.

use crate::assembler::Assembler;
use crate::frame::EcnCounts;
use crate::ranges::Ranges;
use crate::sent::{Forgotten, SentPackets};
use crate::streams::outgoing::Outgoing;
use proto::Time;

/// Indices of the three.
pub(crate) const INITIAL: usize = 0;
pub(crate) const HANDSHAKE: usize = 1;
pub(crate) const DATA: usize = 2;

/// See the file's header.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) sent: SentPackets,
    pub(crate) largest_acked: Option<u64>,
    /// Packets in flight that ask for an acknowledgement.
    pub(crate) eliciting_in_flight: u32,
    /// When the last one of them left.
    pub(crate) last_eliciting: Time,
    /// When a packet that is late will be lost.
    pub(crate) loss_time: Option<Time>,
    /// Packets to be sent whatever the congestion window says (RFC 9002 section 6.2.4).
    pub(crate) probes: u8,
    pub(crate) received: Ranges,
    pub(crate) largest_received_at: Time,
    /// Packets that ask for an acknowledgement and have none.
    pub(crate) unacked: u32,
    pub(crate) ack_now: bool,
    /// When an acknowledgement is due at the latest.
    pub(crate) ack_at: Option<Time>,
    pub(crate) ecn: EcnCounts,
    pub(crate) crypto_out: Outgoing,
    pub(crate) crypto_in: Assembler,
    /// Bytes of the handshake that TLS has.
    pub(crate) crypto_read: u64,
}

impl Space {
    pub(crate) fn new() -> Space {
        Space {
            sent: SentPackets::default(),
            largest_acked: None,
            eliciting_in_flight: 0,
            last_eliciting: Time::ZERO,
            loss_time: None,
            probes: 0,
            received: Ranges::default(),
            largest_received_at: Time::ZERO,
            unacked: 0,
            ack_now: false,
            ack_at: None,
            ecn: EcnCounts::default(),
            crypto_out: Outgoing::new(u64::MAX),
            crypto_in: Assembler::default(),
            crypto_read: 0,
        }
    }

    /// Nothing of what was sent is waited for any more.
    pub(crate) fn forget_sent(&mut self) -> Forgotten {
        self.eliciting_in_flight = 0;
        self.loss_time = None;
        self.sent.forget_all()
    }

    /// The keys are gone: nothing of it matters any more (RFC 9002 section 6.4).
    pub(crate) fn discard(&mut self) {
        *self = Space { sent: std::mem::take(&mut self.sent), ..Space::new() };
    }

    /// The counts for an ACK frame, if anything came with a mark.
    pub(crate) fn ecn_counts(&self) -> Option<EcnCounts> {
        (self.ecn != EcnCounts::default()).then_some(self.ecn)
    }
}
