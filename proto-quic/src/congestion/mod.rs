//! A stand-in until the real ones are there.
use crate::config::Congestion;
use crate::rtt::Rtt;
use proto::Time;

#[derive(Debug)]
pub(crate) struct Controller {
    window: u64,
    threshold: u64,
    mtu: u64,
    since: Time,
}

impl Controller {
    pub(crate) fn new(_: Congestion, mtu: u16, now: Time) -> Controller {
        let mtu = u64::from(mtu);
        Controller { window: (10 * mtu).min((2 * mtu).max(14_720)), threshold: u64::MAX, mtu, since: now }
    }
    pub(crate) fn on_sent(&mut self, _now: Time, _bytes: u64, _in_flight: u64, _app_limited: bool) {}
    pub(crate) fn on_ack(&mut self, _now: Time, sent: Time, bytes: u64, app_limited: bool, _: &Rtt) {
        if app_limited || sent <= self.since {
            return;
        }
        self.window += if self.window < self.threshold { bytes } else { self.mtu * bytes / self.window };
    }
    pub(crate) fn on_congestion(&mut self, now: Time, sent: Time, persistent: bool, _bytes: u64, _ecn: bool) {
        if sent > self.since || persistent {
            self.since = now;
            self.window = (self.window / 2).max(2 * self.mtu);
            self.threshold = self.window;
        }
        if persistent {
            self.window = 2 * self.mtu;
        }
    }
    pub(crate) fn window(&self) -> u64 {
        self.window
    }
    pub(crate) fn on_mtu(&mut self, mtu: u16) {
        self.mtu = u64::from(mtu);
    }
}
