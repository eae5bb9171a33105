//! NewReno as RFC 9002 section 7 and appendix B have it.

use super::Window;
use proto::Time;

/// See the file's header.
#[derive(Debug)]
pub(crate) struct NewReno {
    pub(super) window: Window,
    /// Bytes acknowledged since the window last grew, in congestion avoidance.
    acked: u64,
}

/// kLossReductionFactor, in tenths.
const REDUCTION: u64 = 5;

impl NewReno {
    pub(super) fn new(mtu: u64) -> NewReno {
        NewReno { window: Window::new(mtu), acked: 0 }
    }

    /// `bytes`: of those that used the window; none did where there are none.
    #[inline]
    pub(super) fn on_ack(&mut self, sent: Time, bytes: u64) {
        let window = &mut self.window;
        if bytes == 0 || window.is_old(sent) {
            return;
        }
        if window.is_slow_start() {
            window.bytes += bytes;
            return;
        }
        // One packet for each window that has arrived.
        self.acked += bytes;
        if self.acked >= window.bytes {
            self.acked -= window.bytes;
            window.bytes += window.mtu;
        }
    }

    pub(super) fn on_congestion(&mut self, now: Time, sent: Time, persistent: bool) {
        if !self.window.is_old(sent) {
            self.window.reduce(now, REDUCTION);
            self.acked = 0;
        }
        if persistent {
            self.window.collapse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ms;
    use super::*;

    #[test]
    fn it_doubles_then_halves_then_adds_a_packet_a_round() {
        let mut reno = NewReno::new(1000);
        reno.on_ack(ms(0), 10_000);
        assert_eq!(reno.window.bytes, 20_000);
        reno.on_congestion(ms(10), ms(5), false);
        assert_eq!(reno.window.bytes, 10_000);
        // Sent before the recovery period began: neither less nor more for it.
        reno.on_congestion(ms(11), ms(10), false);
        reno.on_ack(ms(10), 10_000);
        assert_eq!(reno.window.bytes, 10_000);
        for n in 0..10 {
            assert_eq!(reno.window.bytes, 10_000);
            reno.on_ack(ms(11 + n), 1000);
        }
        assert_eq!(reno.window.bytes, 11_000);
    }
}
