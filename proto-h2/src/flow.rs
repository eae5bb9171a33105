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

    /// Counts a frame. `Ok(n)`, n > 0: give back so many bytes.
    #[inline]
    pub(crate) fn receive(&mut self, len: u32) -> Result<u32, &'static Breach> {
        let left = self.left.checked_sub(len).ok_or(&fault::CONNECTION_WINDOW)?;
        self.left = left;
        let due = self.full.saturating_sub(left);
        if due < step_of(self.full) {
            return Ok(0);
        }
        self.left = self.full;
        Ok(due)
    }
}

/// The step in which a window of `full` bytes is given back: half of it, so that the peer never waits for it.
#[inline]
pub(crate) fn step_of(full: u32) -> u32 {
    (full / 2).max(1)
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
        assert_eq!(w.receive((1 << 19) - 2), Ok(0));
        assert_eq!(w.receive(1), Ok((1 << 19) - 1));
        // A window below the default: nothing is given back until it is reached.
        let (mut w, extra) = ReceiveWindow::new(1023);
        assert_eq!((extra, w.receive(64_512), w.receive(510), w.receive(1)), (None, Ok(0), Ok(0), Ok(511)));
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
