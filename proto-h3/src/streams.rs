//! The requests in flight, by stream.
//!
//! Slots are reused; a stream's index leads to its slot through a ring of twice their number. Where a newer stream needs
//! the place of a slower one, the slower one moves to a short list: QUIC numbers streams without gaps, so a slow stream
//! cannot be stepped around, and must not make the ring grow without end.
//!
//! With thousands of requests in flight each is out of the cache when its response comes, so a slot is one line of it.
//! What most requests never need lies aside.

use crate::frame::{OnRequest, Reader};
use bytes::Bytes;
use proto::{Time, Token};
use proto_h2::head::NO_LENGTH;
use quinn_proto::StreamId;

/// How far a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// No final head.
    Before,
    /// The final head came.
    Head,
    /// Trailers came.
    Trailers,
}

/// What a request has to do with early data (0-RTT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Early {
    /// Nothing.
    No,
    /// It went out as early data, or may have.
    Out,
    /// It must not go out as such, and waits for the end of the handshake.
    Waits,
}

/// One request.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Stream {
    pub(crate) token: Token,
    pub(crate) id: StreamId,
    /// Content still due by `content-length`.
    pub(crate) length_left: u64,
    pub(crate) reader: Reader,
    /// The batch in which it was last read.
    pub(crate) read_in: u32,
    pub(crate) frame: OnRequest,
    pub(crate) part: Part,
    /// The caller wants the fields of heads.
    pub(crate) fields: bool,
    pub(crate) live: bool,
    /// The response has no content whatever its fields say: HEAD, 204, 304.
    pub(crate) no_content: bool,
    /// The answer to HEAD.
    pub(crate) is_head: bool,
    pub(crate) informational: u8,
    /// It waits for the encoder stream.
    pub(crate) blocked: bool,
    /// All of the request was given to QUIC, or it was told to stop.
    pub(crate) written: bool,
    /// The caller knows that it is sent.
    pub(crate) sent: bool,
    pub(crate) early: Early,
    /// Something of it lies aside.
    aside: bool,
}

const _: () = assert!(size_of::<Stream>() == 64);

/// What few requests have, and those not for long.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// A header section on its way in, or one that waits for the encoder stream.
    pub(crate) section: Vec<u8>,
    /// What came behind a header section that waits.
    pub(crate) rest: Bytes,
    /// What is still to be given to QUIC: head and body.
    pub(crate) unwritten: [Bytes; 2],
    /// The body waits for `100 Continue` until then; [`Time::ZERO`]: it does not wait.
    pub(crate) hold: Time,
}

impl Stream {
    fn new(id: StreamId) -> Stream {
        Stream {
            token: Token(0),
            id,
            length_left: NO_LENGTH,
            reader: Reader::new(),
            read_in: 0,
            frame: OnRequest::Skip,
            part: Part::Before,
            fields: false,
            live: false,
            no_content: false,
            is_head: false,
            informational: 0,
            blocked: false,
            written: false,
            sent: false,
            early: Early::No,
            aside: false,
        }
    }
}

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Stream>,
    /// By slot; no longer than to the last that ever had something aside.
    aside: Vec<Aside>,
    vacant: Vec<u32>,
    /// Stream index and slot, at the index modulo the ring's size.
    ring: Vec<(u64, u32)>,
    strays: Vec<(u64, u32)>,
    live: u32,
}

/// No stream: indices are below 2^60.
const NOBODY: (u64, u32) = (u64::MAX, 0);

impl Streams {
    /// In flight.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Adds a stream and returns its slot.
    #[inline]
    pub(crate) fn open(&mut self, id: StreamId) -> usize {
        if self.ring.len() < 2 * (self.live as usize + 1) {
            self.grow();
        }
        let slot = match self.vacant.pop() {
            Some(slot) => slot as usize,
            None => {
                self.slots.push(Stream::new(id));
                self.slots.len() - 1
            }
        };
        self.slots[slot] = Stream { live: true, ..Stream::new(id) };
        self.live += 1;
        self.place(id.index(), slot as u32);
        slot
    }

    fn place(&mut self, index: u64, slot: u32) {
        let place = index as usize & (self.ring.len() - 1);
        let before = std::mem::replace(&mut self.ring[place], (index, slot));
        if before != NOBODY {
            self.strays.push(before);
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.ring.len() * 2).max(4);
        let mut all = std::mem::replace(&mut self.ring, vec![NOBODY; size]);
        all.append(&mut self.strays);
        all.sort_unstable();
        for (index, slot) in all.into_iter().filter(|e| *e != NOBODY) {
            self.place(index, slot);
        }
    }

    /// The slot of a stream in flight.
    #[inline]
    pub(crate) fn find(&self, id: StreamId) -> Option<usize> {
        let index = id.index();
        if self.ring.is_empty() {
            return None;
        }
        let entry = self.ring[index as usize & (self.ring.len() - 1)];
        if entry.0 == index {
            return Some(entry.1 as usize);
        }
        self.strays.iter().find(|e| e.0 == index).map(|e| e.1 as usize)
    }

    /// The slot of a token in flight. Linear: cancels are rare.
    pub(crate) fn find_token(&self, token: Token) -> Option<usize> {
        self.slots.iter().position(|s| s.live && s.token == token)
    }

    #[inline]
    pub(crate) fn at(&mut self, slot: usize) -> &mut Stream {
        &mut self.slots[slot]
    }

    /// To look at.
    pub(crate) fn peek(&self, slot: usize) -> &Stream {
        &self.slots[slot]
    }

    /// What lies aside of a stream, if anything does.
    #[inline]
    pub(crate) fn aside(&self, slot: usize) -> Option<&Aside> {
        if self.slots[slot].aside { Some(&self.aside[slot]) } else { None }
    }

    /// To lay something aside.
    pub(crate) fn aside_mut(&mut self, slot: usize) -> &mut Aside {
        self.slots[slot].aside = true;
        if self.aside.len() <= slot {
            self.aside.resize_with(slot + 1, Aside::default);
        }
        &mut self.aside[slot]
    }

    /// Whether a body waits for `100 Continue`.
    #[inline]
    pub(crate) fn is_held(&self, slot: usize) -> bool {
        self.aside(slot).is_some_and(|a| a.hold != Time::ZERO)
    }

    /// The body waits no longer.
    pub(crate) fn release(&mut self, slot: usize) {
        if self.slots[slot].aside {
            self.aside[slot].hold = Time::ZERO;
        }
    }

    /// What is still to be written will not be.
    pub(crate) fn give_up_writing(&mut self, slot: usize) {
        if self.slots[slot].aside {
            let aside = &mut self.aside[slot];
            (aside.hold, aside.unwritten) = (Time::ZERO, Default::default());
        }
    }

    /// A stream is no longer in flight; it can be looked at until the next one is opened.
    #[inline]
    pub(crate) fn retire(&mut self, slot: usize) -> &mut Stream {
        let s = &mut self.slots[slot];
        assert!(s.live, "a stream ends once");
        s.live = false;
        if std::mem::take(&mut s.aside) {
            let aside = std::mem::take(&mut self.aside[slot]);
            // The buffer stays with its slot.
            if aside.section.capacity() <= crate::limits::KEPT_CAPACITY {
                self.aside[slot].section = aside.section;
                self.aside[slot].section.clear();
            }
        }
        self.live -= 1;
        self.vacant.push(slot as u32);
        let index = s.id.index();
        let place = index as usize & (self.ring.len() - 1);
        if self.ring[place].0 == index {
            self.ring[place] = NOBODY;
        } else {
            self.strays.retain(|e| e.0 != index);
        }
        &mut self.slots[slot]
    }

    /// The slots of those in flight for which `which` holds, in the order of their ids.
    pub(crate) fn select(&self, which: impl Fn(&Stream) -> bool) -> Vec<usize> {
        let mut out: Vec<usize> =
            (0..self.slots.len()).filter(|&i| self.slots[i].live && which(&self.slots[i])).collect();
        out.sort_unstable_by_key(|&i| self.slots[i].id.index());
        out
    }

    fn holds(&self) -> impl Iterator<Item = (usize, Time)> {
        self.aside.iter().map(|aside| aside.hold).enumerate().filter(|(_, hold)| *hold != Time::ZERO)
    }

    /// When the first body that waits has waited long enough.
    pub(crate) fn first_hold(&self) -> Option<Time> {
        self.holds().map(|(_, hold)| hold).min()
    }

    /// The slots of the bodies that have waited long enough.
    pub(crate) fn held_until(&self, now: Time) -> Vec<usize> {
        self.holds().filter(|(_, hold)| *hold <= now).map(|(slot, _)| slot).collect()
    }

    /// Heap bytes held, without bodies, which are shared.
    pub(crate) fn footprint(&self) -> usize {
        self.slots.capacity() * size_of::<Stream>()
            + self.aside.capacity() * size_of::<Aside>()
            + self.aside.iter().map(|a| a.section.capacity()).sum::<usize>()
            + (self.ring.capacity() + self.strays.capacity()) * size_of::<(u64, u32)>()
            + self.vacant.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn_proto::{Dir, Side};

    fn id(index: u64) -> StreamId {
        StreamId::new(Side::Client, Dir::Bi, index)
    }

    #[test]
    fn a_slow_stream_stays_known_and_costs_nothing() {
        let mut s = Streams::default();
        let slow = s.open(id(0));
        for n in 1..1000 {
            let slot = s.open(id(n));
            assert_eq!((s.find(id(n)), s.find(id(0)), s.find(id(n + 1))), (Some(slot), Some(slow), None));
            s.retire(slot);
            assert_eq!(s.find(id(n)), None);
        }
        assert!(s.ring.len() <= 8 && s.slots.len() <= 2 && s.strays.len() <= 1);
        s.retire(slow);
        assert_eq!((s.find(id(0)), s.live()), (None, 0));
    }

    #[test]
    fn growing_loses_nobody() {
        let mut s = Streams::default();
        let slots: Vec<usize> = (0..1000).map(|n| s.open(id(n))).collect();
        for (n, slot) in slots.iter().enumerate() {
            assert_eq!(s.find(id(n as u64)), Some(*slot));
        }
        let even = s.select(|stream| stream.id.index() % 2 == 0);
        assert_eq!(even.len(), 500);
        for slot in even {
            s.retire(slot);
        }
        assert_eq!((s.live(), s.find(id(2)), s.find(id(3)).is_some()), (500, None, true));
    }
}
