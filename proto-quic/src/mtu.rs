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
/// Times that large packets were found lost, with none acknowledged between, before the path counts as narrower. Those that are
/// missed at the same moment count once: a queue that was full drops many behind each other.
const BLACK_HOLE: u8 = 3;
/// What every path carries (RFC 9000 section 14).
pub(crate) const BASE: u16 = 1200;

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
    /// When that was counted last.
    lost_at: Option<Time>,
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
            lost_at: None,
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

    /// A probe has been due since before `busy`, when there was last more to say than could be sent.
    #[inline]
    pub(crate) fn is_overdue(&self, busy: Option<Time>) -> bool {
        self.search_at.is_some_and(|at| busy.is_some_and(|busy| at <= busy)) && self.in_flight.is_none()
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
        // One of before the path became narrower says nothing of it now.
        if self.in_flight.take_if(|probe| *probe == size).is_none() {
            return;
        }
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
        if size <= BASE || size > self.current || self.lost_at.replace(now) == Some(now) {
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
    use proptest::prelude::*;

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

    fn ns(n: u64) -> Time {
        Time::from_nanos(n)
    }

    #[test]
    fn a_black_hole_leads_back() {
        let mut mtu = Mtu::new(1452, 1452);
        assert_eq!(mtu.poll_probe(ns(1)), None);
        assert!(!mtu.on_lost(ns(1), 1452) && !mtu.on_lost(ns(2), 1452));
        mtu.on_acked(1452);
        assert!(!mtu.on_lost(ns(3), 1452) && !mtu.on_lost(ns(4), 1452) && !mtu.on_lost(ns(5), 1200));
        // What is small arrives all the time in a black hole.
        mtu.on_acked(1200);
        assert!(mtu.on_lost(ns(6), 1452));
        assert_eq!((mtu.current(), mtu.poll_probe(ns(6))), (1200, None));
        assert!(mtu.poll_probe(ns(6).after(RAISE)).is_some());
    }

    /// A full queue drops many behind each other, of which one ACK tells.
    #[test]
    fn a_burst_lost_is_no_black_hole() {
        let mut mtu = Mtu::new(1452, 1452);
        assert!((0..100).all(|_| !mtu.on_lost(ns(7), 1452)));
        assert_eq!(mtu.current(), 1452);
    }

    #[test]
    fn a_probe_of_before_a_black_hole_proves_nothing() {
        let mut mtu = Mtu::new(1300, 1452);
        assert_eq!(mtu.poll_probe(ns(1)), Some(1452));
        assert!((2..5).any(|n| mtu.on_lost(ns(n), 1300)));
        mtu.on_probe_acked(ns(6), 1452);
        mtu.on_probe_lost(ns(6));
        assert_eq!((mtu.current(), mtu.poll_probe(ns(7))), (1200, None));
    }

    proptest! {
        /// Over a path that changes its width now and then and loses some packets of any size: the MTU stays within what is
        /// allowed, never above what a probe has shown, and in the end it fits the path again.
        #[test]
        fn it_follows_the_path(
            wanted in 1200..1500_u16, widths in prop::collection::vec(1200..1600_u16, 1..5), luck in prop::collection::vec(0..10_u8, 400),
        ) {
            let (mut mtu, mut now, mut luck) = (Mtu::new(1200, wanted), ns(1), luck.into_iter().cycle());
            let (mut shown, last) = (1200, widths.len() - 1);
            for (n, width) in widths.into_iter().enumerate() {
                for _ in 0..200 {
                    now = now.after(Duration::from_secs(20));
                    let unlucky = n < last && luck.next() == Some(0);
                    if let Some(size) = mtu.poll_probe(now) {
                        prop_assert!(size > mtu.current() && size <= wanted);
                        if size <= width && !unlucky {
                            mtu.on_probe_acked(now, size);
                            shown = shown.max(size);
                        } else {
                            mtu.on_probe_lost(now);
                        }
                    }
                    let size = mtu.current();
                    prop_assert!((1200..=wanted).contains(&size) && size <= shown);
                    if size <= width && !unlucky { mtu.on_acked(size) } else { mtu.on_lost(now, size); }
                }
                if n == last {
                    prop_assert!(mtu.current() <= width, "{mtu:?} over {width}");
                    prop_assert!(mtu.current() + CLOSE_ENOUGH >= wanted.min(width), "{mtu:?} over {width}");
                }
            }
        }
    }

    #[test]
    fn the_peer_may_want_less() {
        let mut mtu = Mtu::new(1452, 9000);
        mtu.set_peer_limit(1300);
        assert_eq!((mtu.current(), mtu.poll_probe(Time::ZERO)), (1300, None));
    }
}
