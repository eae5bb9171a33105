//! The clocks of requests that ended well, and a series for each. A cell of the recorder has them, and what an interval is
//! told of is put together from those of its cells.

use super::interval::{Keep, Split};
use super::{Figures, Series};

/// The clocks of a request that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Due to last byte.
    pub(crate) response: u64,
    /// Sent to last byte.
    pub(crate) service: u64,
    /// Due to sent.
    pub(crate) lag: u64,
    /// Sent to first byte of the head.
    pub(crate) first_byte: u64,
}

/// A series of each clock.
#[derive(Default)]
pub(super) struct Clocks<S> {
    /// Requests sent at their due time: response and service time are one value, recorded once.
    punctual: S,
    response: S,
    service: S,
    lag: S,
    first_byte: S,
}

impl Clocks<Split> {
    /// A request ended well.
    #[inline]
    pub(super) fn record(&mut self, times: Times) {
        self.first_byte.record(times.first_byte);
        if times.lag == 0 {
            self.punctual.record(times.response);
        } else {
            self.response.record(times.response);
            self.service.record(times.service);
            self.lag.record(times.lag);
        }
    }

    /// An interval ends: adds its values to others, of the series that are asked for.
    pub(super) fn close(&mut self, keep: &Keep, into: &mut Clocks<Series>) {
        if keep.first_byte {
            self.first_byte.close(&mut into.first_byte);
        }
        if keep.service {
            self.punctual.close(&mut into.punctual);
            self.service.close(&mut into.service);
            self.lag.close(&mut into.lag);
        } else if keep.response {
            self.punctual.close(&mut into.response);
        }
        if keep.response || keep.service {
            self.response.close(&mut into.response);
        }
    }

    /// All values of all intervals.
    pub(super) fn whole(self) -> Clocks<Series> {
        Clocks {
            punctual: self.punctual.whole(),
            response: self.response.whole(),
            service: self.service.whole(),
            lag: self.lag.whole(),
            first_byte: self.first_byte.whole(),
        }
    }
}

impl Clocks<Series> {
    /// The series as figures have them: those of punctual requests are response and service time, and no lag.
    pub(super) fn move_into(self, figures: &mut Figures) {
        let Clocks { mut punctual, response, service, lag, first_byte } = self;
        punctual.share();
        (figures.response_time, figures.service_time) = (response, service);
        figures.response_time.merge(&punctual);
        figures.service_time.merge(&punctual);
        figures.send_lag = lag;
        figures.send_lag.record_zeros(punctual.count());
        figures.first_byte = first_byte;
    }
}
