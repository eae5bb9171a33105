//! What QUIC knows of its paths, over all connections of a run.

use super::Series;
use proto::PathStats;

/// Figures of the QUIC connections.
#[derive(Clone, Debug, Default)]
pub struct QuicFigures {
    /// Connections these figures are of.
    pub connections: u64,
    /// UDP datagrams handed to the kernel.
    pub datagrams_sent: u64,
    /// UDP datagrams received.
    pub datagrams_received: u64,
    /// The least round-trip time of each connection.
    pub rtt_min: Series,
    /// The smoothed round-trip time of each connection at its end.
    pub rtt_smoothed: Series,
    /// QUIC packets sent, by connection. Numbers, not times.
    pub packets_sent: Series,
    /// QUIC packets received, by connection: datagrams, since a packet shares one only in the handshake.
    pub packets_received: Series,
    /// QUIC packets deemed lost, by connection.
    pub packets_lost: Series,
    /// Datagrams that came in one piece from the kernel (GRO), by receive. Numbers.
    pub received_together: Series,
    /// Sends that the kernel refused.
    pub unsent: u64,
    /// Datagrams the kernel threw away because a receive buffer was full.
    pub drops: u64,
}

impl QuicFigures {
    /// Adds a connection that ended.
    pub(crate) fn add(&mut self, path: &PathStats, drops: u64) {
        self.connections += 1;
        self.datagrams_sent += path.datagrams_sent;
        self.datagrams_received += path.datagrams_received;
        self.rtt_min.record(path.rtt_min_ns);
        self.rtt_smoothed.record(path.rtt_smoothed_ns);
        self.packets_sent.record(path.packets_sent);
        self.packets_received.record(path.datagrams_received);
        self.packets_lost.record(path.packets_lost);
        self.drops += drops;
    }

    /// Adds another core's connections.
    pub(crate) fn merge(&mut self, other: &QuicFigures) {
        self.connections += other.connections;
        self.datagrams_sent += other.datagrams_sent;
        self.datagrams_received += other.datagrams_received;
        self.rtt_min.merge(&other.rtt_min);
        self.rtt_smoothed.merge(&other.rtt_smoothed);
        self.packets_sent.merge(&other.packets_sent);
        self.packets_received.merge(&other.packets_received);
        self.packets_lost.merge(&other.packets_lost);
        self.received_together.merge(&other.received_together);
        self.unsent += other.unsent;
        self.drops += other.drops;
    }
}
