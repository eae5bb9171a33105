//! The streams of requests. With thousands of requests in flight each is out of the cache when its response comes, so a stream
//! is one line of it: a request in one piece goes out in one frame and its response comes in order. What does not is kept
//! aside, in boxes that are used again.
//!
//! A stream's index leads to it through a ring of a power of two. Where a newer stream needs the place of a slower one, the
//! slower one moves to a short list: QUIC numbers streams without gaps, so a slow stream cannot be stepped around, and must
//! not make the ring grow without end.

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use bytes::Bytes;

/// Where the sending part is (RFC 9000 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// Nothing was written.
    Idle,
    /// A request in one piece waits to be sent, or to be sent again.
    Waiting,
    /// It was sent in one frame.
    Sent,
    /// More than that: see [`Aside::out`].
    General,
    /// RESET_STREAM is or was sent.
    Reset,
    /// All was acknowledged.
    Done,
}

/// Where the receiving part is (RFC 9000 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiving {
    /// The owner takes what comes.
    Open,
    /// The owner wants no more; what comes is counted and thrown away.
    Stopped,
    /// All came, or RESET_STREAM did.
    Done,
}

/// One stream.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Bi {
    /// [`NOBODY`]: the place is free.
    pub(crate) index: u64,
    /// The request, if it is in one piece.
    pub(crate) data: Bytes,
    /// What came in order; if stopped, whatever came.
    pub(crate) received: u64,
    pub(crate) aside: Option<Box<Aside>>,
    pub(crate) cookie: u32,
    pub(crate) sending: Sending,
    pub(crate) receiving: Receiving,
    /// The owner knows that all was sent.
    pub(crate) told: bool,
}

const _: () = assert!(size_of::<Bi>() == 64);

/// What few streams have.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    pub(crate) out: Outgoing,
    pub(crate) incoming: Incoming,
    pub(crate) reset_code: u64,
    /// The size that RESET_STREAM names.
    pub(crate) reset_size: u64,
    pub(crate) stop_code: u64,
}

/// No stream: indices are below 2^60.
const NOBODY: u64 = u64::MAX;

const VACANT: Bi = Bi {
    index: NOBODY,
    data: Bytes::new(),
    received: 0,
    aside: None,
    cookie: 0,
    sending: Sending::Idle,
    receiving: Receiving::Open,
    told: false,
};

impl Bi {
    /// Both parts are over.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.sending == Sending::Done && self.receiving == Receiving::Done
    }
}

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    ring: Vec<Bi>,
    strays: Vec<Bi>,
    live: usize,
    #[expect(clippy::vec_box, reason = "they go into streams as they are")]
    spare: Vec<Box<Aside>>,
}

/// Boxes kept for streams to come.
const SPARE: usize = 64;

impl Ring {
    /// Adds a stream; its index is the highest so far.
    #[inline]
    pub(crate) fn open(&mut self, index: u64, cookie: u32) -> &mut Bi {
        if self.ring.len() < self.live + 1 {
            self.grow();
        }
        self.live += 1;
        let place = index as usize & (self.ring.len() - 1);
        if self.ring[place].index != NOBODY {
            let slow = std::mem::replace(&mut self.ring[place], VACANT);
            self.strays.push(slow);
        }
        let stream = &mut self.ring[place];
        stream.index = index;
        stream.received = 0;
        stream.cookie = cookie;
        stream.sending = Sending::Idle;
        stream.receiving = Receiving::Open;
        stream.told = false;
        stream
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.ring.len() * 2).max(4);
        let fresh = std::iter::repeat_with(|| VACANT).take(size).collect();
        let mut all = std::mem::replace(&mut self.ring, fresh);
        all.append(&mut self.strays);
        all.retain(|s| s.index != NOBODY);
        all.sort_unstable_by_key(|s| s.index);
        for stream in all {
            let place = stream.index as usize & (size - 1);
            if self.ring[place].index != NOBODY {
                let slow = std::mem::replace(&mut self.ring[place], VACANT);
                self.strays.push(slow);
            }
            self.ring[place] = stream;
        }
    }

    #[inline]
    pub(crate) fn find(&mut self, index: u64) -> Option<&mut Bi> {
        let place = index as usize & self.ring.len().wrapping_sub(1);
        match self.ring.get(place) {
            Some(stream) if stream.index == index => self.ring.get_mut(place),
            _ => self.strays.iter_mut().find(|s| s.index == index),
        }
    }

    /// A stream is over and forgotten.
    #[inline]
    pub(crate) fn remove(&mut self, index: u64) {
        let place = index as usize & self.ring.len().wrapping_sub(1);
        let aside = match self.ring.get_mut(place) {
            Some(stream) if stream.index == index => {
                stream.index = NOBODY;
                if !stream.data.is_empty() {
                    stream.data = Bytes::new();
                }
                stream.aside.take()
            }
            _ => match self.strays.iter().position(|s| s.index == index) {
                Some(at) => self.strays.swap_remove(at).aside,
                None => return,
            },
        };
        self.live -= 1;
        if let Some(aside) = aside {
            self.keep(aside);
        }
    }

    fn keep(&mut self, mut aside: Box<Aside>) {
        if self.spare.len() < SPARE {
            aside.out.clear();
            aside.incoming.assembler.clear();
            self.spare.push(aside);
        }
    }

    /// A box for a stream with these windows: the peer's and ours.
    pub(crate) fn aside(&mut self, send: u64, receive: u64) -> Box<Aside> {
        let mut aside = self.spare.pop().unwrap_or_default();
        aside.out.limit = send;
        aside.incoming = Incoming::new(receive);
        (aside.reset_code, aside.reset_size, aside.stop_code) = (0, 0, 0);
        aside
    }

    /// All streams that are there.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Bi> {
        self.ring.iter_mut().chain(&mut self.strays).filter(|s| s.index != NOBODY)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        let (spare, _) = (std::mem::take(&mut self.spare), std::mem::take(self));
        self.spare = spare;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_stream_stays_known_and_costs_nothing() {
        let mut r = Ring::default();
        r.open(0, 7);
        for n in 1..1000 {
            r.open(n, n as u32);
            assert_eq!(r.find(n).map(|s| s.cookie), Some(n as u32));
            assert_eq!((r.find(0).map(|s| s.cookie), r.find(n + 1).is_none()), (Some(7), true));
            r.remove(n);
            assert!(r.find(n).is_none());
        }
        assert!(r.ring.len() <= 4 && r.strays.len() <= 1);
        r.remove(0);
        assert!(r.find(0).is_none() && r.live == 0);
    }

    #[test]
    fn growing_loses_nobody() {
        let mut r = Ring::default();
        (0..1000).for_each(|n| {
            r.open(n, n as u32);
        });
        for n in 0..1000 {
            assert_eq!(r.find(n).map(|s| s.cookie), Some(n as u32));
        }
        (0..1000).step_by(2).for_each(|n| r.remove(n));
        assert_eq!((r.live, r.find(2).is_none(), r.find(3).is_some()), (500, true, true));
        assert_eq!(r.iter_mut().count(), 500);
    }
}
