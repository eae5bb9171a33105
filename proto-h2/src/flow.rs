//! Flow control (RFC 9113 section 5.2): what the peer may still send us, and what we may still send.

use crate::fault::{self, Breach};
use crate::settings::DEFAULT_WINDOW;

/// The connection's receive window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveWindow {
    /// What the peer may still send.
    left: u32,
    /// What it is filled up to.
    full: u32,
}

impl ReceiveWindow {
    /// A window of `full` bytes. A connection starts with the default one; the increment that makes it larger at once, if
    /// any, is returned too.
    pub(crate) fn new(full: u32) -> (ReceiveWindow, Option<u32>) {
        let left = full.max(DEFAULT_WINDOW);
        let extra = left - DEFAULT_WINDOW;
        (ReceiveWindow { left, full }, (extra > 0).then_some(extra))
    }

    /// Counts a frame. True: with it, it became time to give back.
    #[inline]
    pub(crate) fn receive(&mut self, len: u32) -> Result<bool, &'static Breach> {
        let left = self.left.checked_sub(len).ok_or(&fault::CONNECTION_WINDOW)?;
        let before = self.full.saturating_sub(self.left);
        self.left = left;
        Ok(reaches_step(before, self.full.saturating_sub(left), self.full))
    }

    /// Fills the window up, and says with how much.
    pub(crate) fn give_back(&mut self) -> u32 {
        let due = self.full.saturating_sub(self.left);
        self.left += due;
        due
    }
}

/// The step in which a window of `full` bytes is given back: half of it, so that the peer never waits for it.
#[inline]
fn step_of(full: u32) -> u32 {
    (full / 2).max(1)
}

/// Whether a window of `full` bytes becomes due when what was not given back grows like this: once each time.
#[inline]
pub(crate) fn reaches_step(before: u32, after: u32, full: u32) -> bool {
    let step = step_of(full);
    before < step && step <= after
}

/// A send window. Settings may make it negative (section 6.9.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SendWindow(i32);

/// A window above 2^31-1.
pub(crate) struct Overflow;

impl SendWindow {
    pub(crate) const ZERO: SendWindow = SendWindow(0);
    pub(crate) fn new(size: u32) -> SendWindow {
        SendWindow(i32::try_from(size).unwrap_or(i32::MAX))
    }
    /// What may be sent.
    #[inline]
    pub(crate) fn available(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }
    /// Counts what is sent: never more than was available.
    pub(crate) fn send(&mut self, len: usize) {
        assert!(len <= self.available(), "sent beyond the window");
        self.0 -= len as i32;
    }
    /// WINDOW_UPDATE, or a change of the initial window.
    #[inline]
    pub(crate) fn change(&mut self, by: i64) -> Result<(), Overflow> {
        // The lower end cannot be passed: initial windows are at least 0, so a window is at least -(2^31-1).
        self.0 = i32::try_from(i64::from(self.0) + by).map_err(|_| Overflow)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_given_back_by_halves() {
        let (mut w, extra) = ReceiveWindow::new((1 << 20) - 1);
        assert_eq!(extra, Some((1 << 20) - 1 - 65_535));
        assert_eq!(w.receive((1 << 19) - 2), Ok(false));
        assert_eq!(w.receive(1), Ok(true));
        // It is due already, and what comes until it is given back goes with it.
        assert_eq!((w.receive(10), w.give_back(), w.give_back()), (Ok(false), (1 << 19) + 9, 0));
        // A window below the default: nothing is given back until it is reached.
        let (mut w, extra) = ReceiveWindow::new(1023);
        assert_eq!(extra, None);
        assert_eq!([w.receive(64_512), w.receive(510), w.receive(1)], [Ok(false), Ok(false), Ok(true)]);
        assert!(w.receive(513).is_err());
        assert_eq!(w.give_back(), 511);
        assert!(w.receive(1024).is_err());
    }

    #[test]
    fn a_send_window_may_be_negative_but_not_too_large() {
        let mut w = SendWindow::new(10);
        w.send(10);
        assert!(w.change(-5).is_ok() && w.available() == 0);
        assert!(w.change(6).is_ok() && w.available() == 1);
        assert!(w.change(i64::from(i32::MAX)).is_err() && w.available() == 1);
    }
}
