//! How many frames that carry nothing a peer may still send: a bucket that leaks with time and with work done. It bounds
//! what floods of SETTINGS, PING, PRIORITY, empty DATA and their like can cost, and never hurts a chatty server.

use crate::limits;
use proto::Time;

/// See the file's header.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: u32,
    refilled: Time,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::new()
    }
}

impl Budget {
    /// A full one.
    pub const fn new() -> Budget {
        Budget { left: limits::IDLE_FRAMES, refilled: Time::ZERO }
    }

    /// Takes one; false if none is left.
    pub fn take(&mut self, now: Time) -> bool {
        if self.left == 0 {
            let earned = now.nanos_since(self.refilled) / (1_000_000_000 / limits::IDLE_FRAMES_PER_SECOND);
            if earned > 0 {
                self.refilled = now;
            }
            self.left = u32::try_from(earned).unwrap_or(u32::MAX).min(limits::IDLE_FRAMES);
        }
        let ok = self.left > 0;
        self.left = self.left.saturating_sub(1);
        ok
    }

    /// Something useful happened.
    #[inline]
    pub fn earn(&mut self) {
        self.left = (self.left + limits::IDLE_FRAMES_PER_USE).min(limits::IDLE_FRAMES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_runs_dry_in_a_flood_and_refills_with_time_and_work() {
        let (mut b, t) = (Budget::new(), Time::ZERO.after(Duration::from_secs(5)));
        let mut n = 0;
        while b.take(t) {
            n += 1;
        }
        // What five seconds earned is there too: the bucket is filled lazily, when it is found empty.
        assert_eq!(n, limits::IDLE_FRAMES + 5 * limits::IDLE_FRAMES_PER_SECOND as u32);
        assert!(!b.take(t));
        b.earn();
        assert!(b.take(t));
        assert!(b.take(t.after(Duration::from_secs(1))));
    }
}
