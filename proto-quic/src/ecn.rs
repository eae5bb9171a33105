//! Explicit congestion notification (RFC 9000 section 13.4): packets are marked ECT(0) as long as the path is seen to carry
//! the marks.

use crate::frame::EcnCounts;

/// Marked packets sent before it is known whether the path carries marks (RFC 9000 section 13.4.2 suggests ten).
const TRIAL: u32 = 10;
/// The bits of an IP header (RFC 3168 section 5).
pub(crate) const ECT1: u8 = 0b01;
pub(crate) const ECT0: u8 = 0b10;
pub(crate) const CE: u8 = 0b11;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many marked ones were sent, and so many of them lost.
    Testing {
        sent: u32,
        lost: u32,
    },
    Capable,
    Failed,
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// Packets were marked on their way: congestion (RFC 9002 section 7.1).
    Congested,
    /// The counts cannot be right: no more marks.
    Failed,
}

/// See the file's header.
#[derive(Debug)]
pub(crate) struct Ecn {
    state: State,
    /// As last told, in each packet number space.
    counts: [EcnCounts; 3],
}

impl Ecn {
    pub(crate) fn new() -> Ecn {
        Ecn { state: State::Testing { sent: 0, lost: 0 }, counts: Default::default() }
    }

    /// For the IP header of a datagram that leaves.
    #[inline]
    pub(crate) fn codepoint(&self) -> u8 {
        match self.state {
            State::Capable => ECT0,
            State::Testing { sent, .. } if sent < TRIAL => ECT0,
            _ => 0,
        }
    }

    pub(crate) fn on_sent(&mut self) {
        if let State::Testing { sent, .. } = &mut self.state {
            *sent += 1;
        }
    }

    /// A marked packet was lost: a path that drops all marked ones must not be taken for a bad one.
    pub(crate) fn on_lost(&mut self) {
        if let State::Testing { sent, lost } = &mut self.state {
            *lost += 1;
            if *sent >= TRIAL && lost >= sent {
                self.state = State::Failed;
            }
        }
    }

    /// Nobody will tell what became of so many marked packets: others are to try the path.
    pub(crate) fn on_forgotten(&mut self, packets: u32) {
        if let State::Testing { sent, .. } = &mut self.state {
            *sent = sent.saturating_sub(packets);
        }
    }

    /// An ACK that raised the largest acknowledged number, with so many marked packets acknowledged for the first time
    /// (RFC 9000 section 13.4.2.1).
    pub(crate) fn on_ack(&mut self, space: usize, marked: u64, counts: Option<EcnCounts>) -> Verdict {
        if self.state == State::Failed {
            return Verdict::Fine;
        }
        let Some(counts) = counts else {
            if marked > 0 {
                self.state = State::Failed;
                return Verdict::Failed;
            }
            return Verdict::Fine;
        };
        let before = std::mem::replace(&mut self.counts[space], counts);
        let grown = |now: u64, then: u64| now.checked_sub(then);
        let grown =
            (grown(counts.ect0, before.ect0), grown(counts.ect1, before.ect1), grown(counts.ce, before.ce));
        let (Some(ect0), Some(0), Some(ce)) = grown else {
            self.state = State::Failed;
            return Verdict::Failed;
        };
        if ect0 + ce < marked {
            self.state = State::Failed;
            return Verdict::Failed;
        }
        if marked > 0 {
            self.state = State::Capable;
        }
        if ce > 0 { Verdict::Congested } else { Verdict::Fine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(ect0: u64, ect1: u64, ce: u64) -> Option<EcnCounts> {
        Some(EcnCounts { ect0, ect1, ce })
    }

    #[test]
    fn a_path_that_carries_marks() {
        let mut ecn = Ecn::new();
        (0..50).for_each(|_| ecn.on_sent());
        assert_eq!(ecn.codepoint(), 0, "waits for an answer");
        assert_eq!(ecn.on_ack(2, 3, counts(3, 0, 0)), Verdict::Fine);
        assert_eq!(ecn.codepoint(), ECT0);
        assert_eq!(ecn.on_ack(2, 2, counts(4, 0, 1)), Verdict::Congested);
        assert_eq!(ecn.on_ack(1, 1, counts(1, 0, 0)), Verdict::Fine);
    }

    #[test]
    fn paths_that_do_not() {
        for (marked, told) in [(1, None), (2, counts(1, 0, 0)), (1, counts(1, 1, 0)), (1, counts(0, 1, 0))] {
            let mut ecn = Ecn::new();
            assert_eq!((ecn.on_ack(2, marked, told), ecn.codepoint()), (Verdict::Failed, 0));
        }
        let mut ecn = Ecn::new();
        ecn.on_ack(2, 3, counts(3, 0, 0));
        assert_eq!(ecn.on_ack(2, 0, counts(2, 0, 0)), Verdict::Failed);
        let mut ecn = Ecn::new();
        (0..10).for_each(|_| ecn.on_sent());
        (0..10).for_each(|_| ecn.on_lost());
        assert_eq!(ecn.state, State::Failed);
    }

    proptest! {
        /// A path that carries marks, makes some CE and loses packets, with ACKs of which some are lost: validation holds, and each
        /// CE that an ACK tells of is answered (RFC 9000 section 13.4.2).
        #[test]
        fn an_honest_path_is_believed(packets in prop::collection::vec((0..10_u8, any::<bool>()), 1..300)) {
            let mut ecn = Ecn::new();
            let (mut told, mut acked, mut ce) = (EcnCounts::default(), 0, false);
            for (fate, acks) in packets {
                let marked = ecn.codepoint() == ECT0;
                if marked { ecn.on_sent() }
                match fate {
                    0 => continue,
                    1 if marked => (told.ce, ce) = (told.ce + 1, true),
                    _ if marked => told.ect0 += 1,
                    _ => {}
                }
                acked += u64::from(marked);
                if acks {
                    // What was not marked has no counts if nothing before had.
                    let counts = (told != EcnCounts::default()).then_some(told);
                    let expected = if ce { Verdict::Congested } else { Verdict::Fine };
                    prop_assert_eq!(ecn.on_ack(2, acked, counts), expected);
                    (acked, ce) = (0, false);
                }
            }
            prop_assert!(ecn.state != State::Failed);
        }

        /// Whatever a server says, nothing breaks; and what has failed stays so.
        #[test]
        fn any_counts(acks in prop::collection::vec((0..3_usize, 0..5_u64, prop::option::of([0..1_u64 << 62, 0..9, 0..1 << 62])), 0..30)) {
            let (mut ecn, mut failed) = (Ecn::new(), false);
            for (space, marked, told) in acks {
                let told = told.map(|[ect0, ect1, ce]| EcnCounts { ect0, ect1, ce });
                let verdict = ecn.on_ack(space, marked, told);
                prop_assert!(!failed || verdict == Verdict::Fine);
                failed |= verdict == Verdict::Failed;
                prop_assert!(!failed || ecn.codepoint() == 0);
            }
        }
    }
}
