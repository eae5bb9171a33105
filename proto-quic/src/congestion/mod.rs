//! How much may be in flight (RFC 9002 section 7): what all controllers share, and the choice among them. Not here: when packets
//! are lost (`loss.rs`), and how they are spread over a round trip (`pacer.rs`).

mod bbr;
mod cubic;
mod newreno;

use crate::config::Congestion;
use crate::rtt::Rtt;
use bbr::Bbr;
use cubic::Cubic;
use newreno::NewReno;
use proto::Time;

/// The window never falls below two packets (RFC 9002 section 7.2).
fn least_window(mtu: u64) -> u64 {
    2 * mtu
}

/// RFC 9002 section 7.2.
fn initial_window(mtu: u64) -> u64 {
    (10 * mtu).min((2 * mtu).max(14_720))
}

/// What the controllers that answer to loss have in common.
#[derive(Debug)]
struct Window {
    bytes: u64,
    /// Below it is slow start.
    threshold: u64,
    mtu: u64,
    /// When the present recovery period began: packets sent until then say nothing new (RFC 9002 section 7.3.2).
    recovery: Option<Time>,
}

impl Window {
    fn new(mtu: u64) -> Window {
        Window { bytes: initial_window(mtu), threshold: u64::MAX, mtu, recovery: None }
    }

    fn is_slow_start(&self) -> bool {
        self.bytes < self.threshold
    }

    /// Sent in the present recovery period, or before it.
    fn is_old(&self, sent: Time) -> bool {
        self.recovery.is_some_and(|began| sent <= began)
    }

    /// A recovery period begins: the window is multiplied by `numerator / 10`.
    fn reduce(&mut self, now: Time, numerator: u64) {
        self.recovery = Some(now);
        self.bytes = (self.bytes / 10 * numerator).max(least_window(self.mtu));
        self.threshold = self.bytes;
    }

    /// Persistent congestion (RFC 9002 section 7.6.2).
    fn collapse(&mut self) {
        self.bytes = least_window(self.mtu);
        self.recovery = None;
    }

    /// Datagrams of another size fit; a window that was never used is made anew (RFC 9002 section 7.2).
    fn on_mtu(&mut self, mtu: u64) {
        if self.bytes == initial_window(self.mtu) && self.recovery.is_none() {
            self.bytes = initial_window(mtu);
        }
        self.mtu = mtu;
        self.bytes = self.bytes.max(least_window(mtu));
    }
}

/// What one ACK acknowledged of what was in flight, but for packets of before a recovery period that lasts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Acked {
    /// When the newest of the packets left.
    pub(crate) newest: Time,
    pub(crate) bytes: u64,
    /// Those that were in flight when the window was full: it grows by no others (RFC 9002 section 7.8).
    pub(crate) full: u64,
}

/// One connection's controller.
#[derive(Debug)]
pub(crate) enum Controller {
    NewReno(NewReno),
    Cubic(Cubic),
    Bbr(Box<Bbr>),
}

impl Controller {
    pub(crate) fn new(kind: Congestion, mtu: u16, now: Time) -> Controller {
        match kind {
            Congestion::NewReno => Controller::NewReno(NewReno::new(mtu.into())),
            Congestion::Cubic => Controller::Cubic(Cubic::new(mtu.into())),
            Congestion::Bbr => Controller::Bbr(Box::new(Bbr::new(mtu.into(), now))),
        }
    }

    /// A packet that counts as in flight left; `in_flight` with it.
    #[inline]
    pub(crate) fn on_sent(&mut self, in_flight: u64) {
        if let Controller::Bbr(bbr) = self {
            bbr.on_sent(in_flight);
        }
    }

    /// When the present recovery period began, of those who have one.
    #[inline]
    pub(crate) fn recovery(&self) -> Option<Time> {
        match self {
            Controller::NewReno(newreno) => newreno.window.recovery,
            Controller::Cubic(cubic) => cubic.window.recovery,
            Controller::Bbr(_) => None,
        }
    }

    /// Once for an ACK, whose round trip `rtt` knows and whose losses are known (RFC 9002 section A.7).
    #[inline]
    pub(crate) fn on_ack(&mut self, now: Time, acked: &Acked, rtt: &Rtt) {
        let sent = acked.newest;
        match self {
            Controller::NewReno(newreno) => newreno.on_ack(sent, acked.full),
            Controller::Cubic(cubic) => cubic.on_ack(now, sent, acked.full, rtt),
            // It measures what the path delivered, and that is all of it.
            Controller::Bbr(bbr) => bbr.on_ack(now, sent, acked.bytes, acked.full < acked.bytes, rtt),
        }
    }

    /// Packets of so many bytes are lost, or some came marked (ECN): the newest of them left at `sent`. `persistent`: everything
    /// within a long time is lost (RFC 9002 section 7.6).
    pub(crate) fn on_congestion(&mut self, now: Time, sent: Time, persistent: bool, bytes: u64) {
        match self {
            Controller::NewReno(newreno) => newreno.on_congestion(now, sent, persistent),
            Controller::Cubic(cubic) => cubic.on_congestion(now, sent, persistent),
            Controller::Bbr(bbr) => bbr.on_congestion(persistent, bytes),
        }
    }

    /// Bytes that may be in flight.
    #[inline]
    pub(crate) fn window(&self) -> u64 {
        match self {
            Controller::NewReno(newreno) => newreno.window.bytes,
            Controller::Cubic(cubic) => cubic.window.bytes,
            Controller::Bbr(bbr) => bbr.window(),
        }
    }

    /// The size of the datagrams that fit the path changed.
    pub(crate) fn on_mtu(&mut self, mtu: u16) {
        match self {
            Controller::NewReno(newreno) => newreno.window.on_mtu(mtu.into()),
            Controller::Cubic(cubic) => cubic.window.on_mtu(mtu.into()),
            Controller::Bbr(bbr) => bbr.on_mtu(mtu.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ALL: [Congestion; 3] = [Congestion::NewReno, Congestion::Cubic, Congestion::Bbr];

    pub(super) fn ms(n: u64) -> Time {
        Time::from_nanos(n * 1_000_000)
    }

    pub(super) fn rtt(n: u64) -> Rtt {
        let mut rtt = Rtt::new(Duration::from_millis(n));
        rtt.update(ms(0), Duration::from_millis(n), Duration::ZERO);
        rtt
    }

    #[test]
    fn the_first_window_is_ten_packets_or_as_many_as_14720_bytes_hold() {
        for kind in ALL {
            assert_eq!(Controller::new(kind, 1200, ms(0)).window(), 12_000);
            assert_eq!(Controller::new(kind, 1452, ms(0)).window(), 14_520);
            assert_eq!(Controller::new(kind, 9000, ms(0)).window(), 18_000);
            let mut grown = Controller::new(kind, 1200, ms(0));
            grown.on_mtu(1452);
            assert_eq!(grown.window(), 14_520, "{kind:?}");
        }
    }

    #[test]
    fn persistent_congestion_leaves_little_and_it_grows_again() {
        for kind in ALL {
            let mut c = Controller::new(kind, 1200, ms(0));
            c.on_congestion(ms(10), ms(5), true, 12_000);
            assert!(c.window() <= 4 * 1200, "{kind:?}: {}", c.window());
            let mut now = 20;
            for _ in 0..40 {
                let window = c.window();
                c.on_sent(window);
                c.on_ack(ms(now + 10), &Acked { newest: ms(now), bytes: window, full: window }, &rtt(10));
                now += 10;
            }
            assert!(c.window() > 12_000, "{kind:?}: {}", c.window());
        }
    }

    #[test]
    fn who_does_not_use_the_window_does_not_grow_it() {
        for kind in [Congestion::NewReno, Congestion::Cubic] {
            let mut c = Controller::new(kind, 1200, ms(0));
            for n in 0..100 {
                c.on_ack(ms(10 * n + 10), &Acked { newest: ms(10 * n), bytes: 1200, full: 0 }, &rtt(10));
            }
            assert_eq!(c.window(), 12_000, "{kind:?}");
        }
    }
}
