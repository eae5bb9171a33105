//! The server's connection ids (RFC 9000 section 5.1), with the tokens of their stateless resets. Ours have no length.

use crate::error::{Violation, code};
use crate::spans::Spans;
use std::collections::VecDeque;

/// A connection id of at most 20 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cid {
    bytes: [u8; 20],
    len: u8,
}

impl Cid {
    /// `None`: it is too long.
    pub(crate) fn new(bytes: &[u8]) -> Option<Cid> {
        let mut cid = Cid { bytes: [0; 20], len: bytes.len() as u8 };
        cid.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(cid)
    }

    /// Takes one with its length before it off the front; `None`: it is not all there, or too long.
    pub(crate) fn take(bytes: &mut &[u8]) -> Option<Cid> {
        let (len, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(*len))?;
        *bytes = rest;
        Cid::new(id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// An id of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    sequence: u64,
    cid: Cid,
    token: Option<[u8; 16]>,
}

/// How many we keep: the least that may be announced, which is what holds without a word (RFC 9000 section 18.2).
const LIMIT: usize = 2;

/// Retired ids of which the server was not told yet. RFC 9000 section 5.1.2 asks for a bound of at least twice the limit.
const RETIRED: usize = 8 * LIMIT;

/// See the file's header.
#[derive(Debug)]
pub(crate) struct Cids {
    /// The one in use is first.
    known: Vec<Known>,
    retire_prior_to: u64,
    /// Sequence numbers for RETIRE_CONNECTION_ID.
    pub(crate) retired: VecDeque<u64>,
    unacknowledged: usize,
    /// Sequence numbers retired ever: each is retired once (RFC 9000 section 19.15).
    gone: Spans,
}

impl Cids {
    /// With the id that we chose for the first packets.
    pub(crate) fn new(cid: Cid) -> Cids {
        let first = Known { sequence: 0, cid, token: None };
        Cids {
            known: vec![first],
            retire_prior_to: 0,
            retired: VecDeque::new(),
            unacknowledged: 0,
            gone: Spans::default(),
        }
    }

    /// What goes into the headers of packets.
    #[inline]
    pub(crate) fn active(&self) -> Cid {
        self.known[0].cid
    }

    /// The server chose another (RFC 9000 section 7.2), or a Retry did.
    pub(crate) fn replace_first(&mut self, cid: Cid) {
        self.known[0].cid = cid;
    }

    /// The token of the first id, from the transport parameters.
    pub(crate) fn set_token(&mut self, token: [u8; 16]) {
        if let Some(first) = self.known.iter_mut().find(|k| k.sequence == 0) {
            first.token = Some(token);
        }
    }

    /// NEW_CONNECTION_ID (RFC 9000 section 19.15).
    pub(crate) fn on_new(
        &mut self,
        sequence: u64,
        retire_prior_to: u64,
        cid: Cid,
        token: [u8; 16],
    ) -> Result<(), Violation> {
        const CHANGED: Violation =
            Violation::new(code::PROTOCOL_VIOLATION, "a connection id that was another before");
        if self.active().is_empty() {
            return Err(Violation::new(code::PROTOCOL_VIOLATION, "a connection id where none had a length"));
        }
        let new = Known { sequence, cid, token: Some(token) };
        match self.known.iter().find(|k| k.sequence == sequence || k.cid == cid) {
            Some(k) if k.sequence != sequence || k.cid != cid || k.token.is_some_and(|t| t != token) => {
                return Err(CHANGED);
            }
            Some(_) => {}
            None if sequence < self.retire_prior_to => self.retire(sequence)?,
            None => self.known.push(new),
        }
        if retire_prior_to > self.retire_prior_to {
            self.retire_prior_to = retire_prior_to;
            let old: Vec<u64> =
                self.known.iter().map(|k| k.sequence).filter(|s| *s < retire_prior_to).collect();
            self.known.retain(|k| k.sequence >= retire_prior_to);
            old.into_iter().try_for_each(|sequence| self.retire(sequence))?;
        }
        // The frame's own id is not retired by it, so one is left.
        if self.known.is_empty() || self.known.len() > LIMIT {
            return Err(Violation::new(code::CONNECTION_ID_LIMIT, "more connection ids than are allowed"));
        }
        Ok(())
    }

    fn retire(&mut self, sequence: u64) -> Result<(), Violation> {
        let range = sequence..sequence + 1;
        if self.gone.covers(range.clone()) {
            return Ok(());
        }
        self.gone.insert(range);
        // A server counts its ids one by one (section 5.1.1), so there are gaps only where a frame is late.
        if self.unacknowledged >= RETIRED || self.gone.len() > RETIRED {
            return Err(Violation::new(code::CONNECTION_ID_LIMIT, "connection ids retired too fast"));
        }
        self.unacknowledged += 1;
        self.retired.push_back(sequence);
        Ok(())
    }

    /// RETIRE_CONNECTION_ID arrived.
    pub(crate) fn on_retirement_acked(&mut self) {
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
    }

    /// RETIRE_CONNECTION_ID was lost.
    pub(crate) fn on_retirement_lost(&mut self, sequence: u64) {
        self.retired.push_back(sequence);
    }

    /// Whether a datagram that cannot be read and ends so is a stateless reset (RFC 9000 section 10.3.1). The comparison takes the
    /// same time whatever differs.
    pub(crate) fn is_reset(&self, tail: &[u8; 16]) -> bool {
        // Tokens of ids that were not used yet, or no longer are, must not count.
        let token = self.known[0].token.as_ref();
        token.is_some_and(|t| t.iter().zip(tail).fold(0, |d, (a, b)| d | (a ^ b)) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cid(n: u8) -> Cid {
        Cid::new(&[n; 8]).unwrap()
    }

    #[test]
    fn ids_are_replaced() {
        let mut c = Cids::new(cid(0));
        assert_eq!(c.on_new(1, 0, cid(1), [1; 16]), Ok(()));
        assert_eq!((c.active(), c.on_new(1, 0, cid(1), [1; 16])), (cid(0), Ok(())));
        assert_eq!(c.on_new(2, 1, cid(2), [2; 16]), Ok(()));
        assert_eq!((c.active(), c.retired.pop_front()), (cid(1), Some(0)));
        // One too many, one that changed, one that came late.
        assert_eq!(c.on_new(3, 1, cid(3), [3; 16]).map_err(|v| v.code), Err(code::CONNECTION_ID_LIMIT));
        assert_eq!(c.on_new(2, 1, cid(9), [2; 16]).map_err(|v| v.code), Err(code::PROTOCOL_VIOLATION));
        assert_eq!(c.on_new(2, 1, cid(2), [9; 16]).map_err(|v| v.code), Err(code::PROTOCOL_VIOLATION));
        let mut c = Cids::new(cid(0));
        c.on_new(5, 5, cid(5), [5; 16]).unwrap();
        c.on_new(3, 0, cid(3), [3; 16]).unwrap();
        assert_eq!((c.active(), c.retired.make_contiguous()), (cid(5), &mut [0, 3][..]));
    }

    #[test]
    fn retirement_is_bounded() {
        let mut c = Cids::new(cid(0));
        let all = (1..100).try_for_each(|n| c.on_new(n, n, cid(n as u8), [n as u8; 16]));
        assert_eq!(all.map_err(|v| v.code), Err(code::CONNECTION_ID_LIMIT));
        let mut none = Cids::new(Cid::default());
        assert!(none.on_new(1, 0, cid(1), [1; 16]).is_err());
    }

    #[test]
    fn resets_are_known_by_the_id_in_use() {
        let mut c = Cids::new(cid(0));
        assert!(!c.is_reset(&[0; 16]));
        c.set_token([7; 16]);
        assert!(c.is_reset(&[7; 16]) && !c.is_reset(&[6; 16]));
        c.on_new(1, 0, cid(1), [1; 16]).unwrap();
        assert!(c.is_reset(&[7; 16]) && !c.is_reset(&[1; 16]), "not used yet");
        c.on_new(2, 1, cid(2), [2; 16]).unwrap();
        assert!(c.is_reset(&[1; 16]) && !c.is_reset(&[7; 16]) && !c.is_reset(&[2; 16]), "retired");
        for at in 0..128 {
            let mut almost = [1; 16];
            almost[at / 8] ^= 1 << (at % 8);
            assert!(!c.is_reset(&almost));
        }
    }

    #[test]
    fn each_is_retired_once_and_again_only_if_that_was_lost() {
        let mut c = Cids::new(cid(0));
        c.on_new(5, 5, cid(5), [5; 16]).unwrap();
        c.on_new(3, 0, cid(3), [3; 16]).unwrap();
        assert_eq!(c.retired.drain(..).collect::<Vec<_>>(), [0, 3]);
        (0..100).for_each(|_| c.on_new(3, 0, cid(3), [3; 16]).unwrap());
        assert!(c.retired.is_empty());
        c.on_retirement_lost(3);
        assert_eq!(c.retired, [3]);
        // So many that the server takes note of may come and go.
        for n in 6..200 {
            c.on_new(n, n, cid(n as u8), [n as u8; 16]).unwrap();
            c.on_retirement_acked();
        }
        assert_eq!(c.active(), cid(199));
    }

    proptest! {
        /// Whatever a server says: an id is in use, two at most are kept, and none of those was retired.
        #[test]
        fn anything_goes_or_ends_it(frames in prop::collection::vec((0..12_u64, 0..12_u64, 0..3_u8), 0..60)) {
            let mut c = Cids::new(cid(0));
            for (sequence, retire, twist) in frames {
                let id = cid(sequence as u8 + if twist == 2 { 1 } else { 0 });
                let before: Vec<_> = c.retired.iter().copied().collect();
                if c.on_new(sequence, retire.min(sequence), id, [sequence as u8; 16]).is_err() {
                    break;
                }
                prop_assert!(!c.known.is_empty() && c.known.len() <= LIMIT);
                prop_assert!(c.known.iter().all(|k| k.sequence >= c.retire_prior_to && !c.retired.contains(&k.sequence)));
                prop_assert!(c.known.windows(2).all(|w| w[0].sequence != w[1].sequence && w[0].cid != w[1].cid));
                prop_assert_eq!(&before, &c.retired.iter().copied().take(before.len()).collect::<Vec<_>>());
                let once: std::collections::BTreeSet<_> = c.retired.iter().collect();
                prop_assert!(once.len() == c.retired.len() && c.retired.len() <= RETIRED);
            }
        }
    }
}
