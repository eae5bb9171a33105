//! Tells whether QUIC holds data back. `quinn_proto` does not say so, but it asks its congestion controller for the window
//! whenever it has something to send: a turn of `poll_transmit` that hands out nothing had nothing exactly if it did not
//! ask. So the controller is wrapped in one that counts the questions.

use crate::settings::Congestion;
use quinn_proto::RttEstimator;
use quinn_proto::congestion::{
    BbrConfig, Controller, ControllerFactory, ControllerMetrics, CubicConfig, NewRenoConfig,
};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// The count of one connection; also makes its controllers.
pub(crate) struct Gauge {
    kind: Congestion,
    /// Atomic because controllers must be `Sync`; one thread uses it.
    asked: AtomicU32,
}

impl Gauge {
    pub(crate) fn new(kind: Congestion) -> Arc<Gauge> {
        Arc::new(Gauge { kind, asked: AtomicU32::new(0) })
    }
    /// How often the window was asked for, so far.
    #[inline]
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ControllerFactory for Gauge {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let inner = match self.kind {
            Congestion::Cubic => Arc::new(CubicConfig::default()).build(now, mtu),
            Congestion::Bbr => Arc::new(BbrConfig::default()).build(now, mtu),
            Congestion::NewReno => Arc::new(NewRenoConfig::default()).build(now, mtu),
        };
        Box::new(Counted { inner, gauge: self })
    }
}

/// A controller whose questions are counted.
struct Counted {
    inner: Box<dyn Controller>,
    gauge: Arc<Gauge>,
}

impl Controller for Counted {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }
    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }
    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }
    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost: u64) {
        self.inner.on_congestion_event(now, sent, persistent, lost);
    }
    fn on_mtu_update(&mut self, mtu: u16) {
        self.inner.on_mtu_update(mtu);
    }
    fn window(&self) -> u64 {
        self.gauge.asked.store(self.gauge.asked().wrapping_add(1), Ordering::Relaxed);
        self.inner.window()
    }
    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Counted { inner: self.inner.clone_box(), gauge: self.gauge.clone() })
    }
    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.inner.into_any()
    }
}
