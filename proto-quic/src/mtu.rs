//! The path's MTU (RFC 9000 section 14.3, RFC 8899): a search between what is known to pass and the largest wanted, and the way
//! back where large packets vanish.

use proto::Time;
use std::time::Duration;

/// Probes of one size before it counts as too large (RFC 8899 section 5.1.2, MAX_PROBES).
const PROBES: u8 = 3;
/// A search that comes so near is over: fewer than 2 % are to be gained.
const CLOSE_ENOUGH: u16 = 20;
/// A path may become wider (RFC 8899 section 5.1.1, PMTU_RAISE_TIMER).
const RAISE: Duration = Duration::from_secs(600);
/// Large packets lost behind each other, with none acknowledged between, before the path counts as narrower.
const BLACK_HOLE: u8 = 3;
/// What every path carries (RFC 9000 section 14).
const BASE: u16 = 1200;

/// See the file's header.
#[derive(Debug)]
pub(crate) struct Mtu {
    current: u16,
    /// The largest that may pass; no larger than the configuration wants.
    ceiling: u16,
    wanted: u16,
    probes_lost: u8,
    in_flight: Option<u16>,
    search_at: Option<Time>,
    large_lost: u8,
}

impl Mtu {
    pub(crate) fn new(known: u16, wanted: u16) -> Mtu {
        Mtu {
            current: known,
            ceiling: wanted,
            wanted,
            probes_lost: 0,
            in_flight: None,
            search_at: (wanted > known).then_some(Time::ZERO),
            large_lost: 0,
        }
    }

    #[inline]
    pub(crate) fn current(&self) -> u16 {
        self.current
    }

    /// The peer takes no larger ones (RFC 9000 section 18.2).
    pub(crate) fn set_peer_limit(&mut self, limit: u64) {
        let limit = u16::try_from(limit).unwrap_or(u16::MAX).max(BASE);
        self.wanted = self.wanted.min(limit);
        self.ceiling = self.ceiling.min(limit);
        self.current = self.current.min(limit);
    }

    /// The size of a probe to be sent now.
    pub(crate) fn poll_probe(&mut self, now: Time) -> Option<u16> {
        if self.in_flight.is_some() || self.search_at.is_none_or(|at| now < at) {
            return None;
        }
        if self.ceiling < self.wanted && self.ceiling <= self.current + CLOSE_ENOUGH {
            // A new search, after a long while.
            self.ceiling = self.wanted;
        }
        // What is wanted is likely to pass, since paths are mostly Ethernet; then the middle.
        let size = if self.ceiling == self.wanted && self.probes_lost == 0 {
            self.wanted
        } else {
            self.current + (self.ceiling - self.current).div_ceil(2)
        };
        (size > self.current).then(|| *self.in_flight.insert(size))
    }

    pub(crate) fn on_probe_acked(&mut self, now: Time, size: u16) {
        self.in_flight = None;
        self.probes_lost = 0;
        self.large_lost = 0;
        self.current = self.current.max(size).min(self.wanted);
        self.search_on(now);
    }

    pub(crate) fn on_probe_lost(&mut self, now: Time) {
        let Some(size) = self.in_flight.take() else { return };
        self.probes_lost += 1;
        if self.probes_lost >= PROBES {
            self.probes_lost = 0;
            self.ceiling = size - 1;
        }
        self.search_on(now);
    }

    fn search_on(&mut self, now: Time) {
        let done = self.ceiling <= self.current + CLOSE_ENOUGH;
        self.search_at = match done {
            true if self.ceiling < self.wanted => Some(now.after(RAISE)),
            true => None,
            false => Some(now),
        };
    }

    /// An ordinary packet arrived.
    #[inline]
    pub(crate) fn on_acked(&mut self, size: u16) {
        if size > BASE {
            self.large_lost = 0;
        }
    }

    /// An ordinary packet was lost; true: the MTU is smaller now.
    pub(crate) fn on_lost(&mut self, now: Time, size: u16) -> bool {
        if size <= BASE || size > self.current {
            return false;
        }
        self.large_lost += 1;
        if self.large_lost < BLACK_HOLE {
            return false;
        }
        // RFC 8899 section 4.3.
        self.large_lost = 0;
        self.ceiling = self.current - 1;
        self.current = BASE;
        self.search_at = Some(now.after(RAISE));
        self.in_flight = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The search over a path of that width.
    fn search(path: u16) -> (u16, u32) {
        let (mut mtu, mut probes, now) = (Mtu::new(1200, 1500), 0, Time::from_nanos(5));
        while let Some(size) = mtu.poll_probe(now) {
            probes += 1;
            assert!(size <= 1500 && mtu.poll_probe(now).is_none(), "one at a time");
            if size <= path { mtu.on_probe_acked(now, size) } else { mtu.on_probe_lost(now) }
        }
        (mtu.current(), probes)
    }

    #[test]
    fn a_search_finds_the_width() {
        assert_eq!(search(1500), (1500, 1));
        for path in [1200, 1203, 1280, 1400, 1499] {
            let (found, probes) = search(path);
            assert!(
                found <= path && found + CLOSE_ENOUGH >= path && probes < 30,
                "{path}: {found}, {probes}"
            );
        }
    }

    #[test]
    fn a_black_hole_leads_back() {
        let (mut mtu, now) = (Mtu::new(1452, 1452), Time::from_nanos(5));
        assert_eq!(mtu.poll_probe(now), None);
        assert!(!mtu.on_lost(now, 1452) && !mtu.on_lost(now, 1452));
        mtu.on_acked(1452);
        assert!(!mtu.on_lost(now, 1452) && !mtu.on_lost(now, 1452) && !mtu.on_lost(now, 1200));
        assert!(mtu.on_lost(now, 1452));
        assert_eq!((mtu.current(), mtu.poll_probe(now)), (1200, None));
        assert!(mtu.poll_probe(now.after(RAISE)).is_some());
    }

    #[test]
    fn the_peer_may_want_less() {
        let mut mtu = Mtu::new(1452, 9000);
        mtu.set_peer_limit(1300);
        assert_eq!((mtu.current(), mtu.poll_probe(Time::ZERO)), (1300, None));
    }
}
