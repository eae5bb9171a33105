//! A stand-in until the real one is there.
use crate::rtt::Rtt;
use proto::Time;

#[derive(Debug)]
pub(crate) struct Pacer {}

impl Pacer {
    pub(crate) fn new(_: Time) -> Pacer {
        Pacer {}
    }
    pub(crate) fn next(
        &mut self,
        _now: Time,
        _bytes: u64,
        _window: u64,
        _rtt: &Rtt,
        _mtu: u16,
    ) -> Option<Time> {
        None
    }
    pub(crate) fn on_sent(&mut self, _bytes: u64) {}
}
