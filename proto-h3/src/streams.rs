//! The requests in flight, by stream.
//!
//! Slots are reused; QUIC keeps the slot of each stream as its cookie, so nothing has to be looked up.
//!
//! With thousands of requests in flight each is out of the cache when its response comes, so a slot is one line of it.
//! What most requests never need lies aside.

use crate::frame::{OnRequest, Reader};
use bytes::Bytes;
use proto::{Time, Token};
use proto_h2::head::NO_LENGTH;
use proto_quic::StreamId;

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
    pub(crate) rest: Vec<u8>,
    /// Nothing comes behind that.
    pub(crate) ended: bool,
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
    live: u32,
}

impl Streams {
    /// In flight.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// The slot of the next stream to be opened.
    #[inline]
    pub(crate) fn next_slot(&self) -> u32 {
        self.vacant.last().copied().unwrap_or(self.slots.len() as u32)
    }

    /// Adds a stream in [`Streams::next_slot`].
    #[inline]
    pub(crate) fn open(&mut self, id: StreamId) -> usize {
        let slot = match self.vacant.pop() {
            Some(slot) => slot as usize,
            None => {
                self.slots.push(Stream::new(id));
                self.slots.len() - 1
            }
        };
        self.slots[slot] = Stream { live: true, ..Stream::new(id) };
        self.live += 1;
        slot
    }

    /// The slot that QUIC kept, if the stream is still in flight.
    #[inline]
    pub(crate) fn find(&self, id: StreamId, cookie: u32) -> Option<usize> {
        let slot = cookie as usize;
        self.slots.get(slot).filter(|s| s.live && s.id == id).map(|_| slot)
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
            + self.aside.iter().map(|a| a.section.capacity() + a.rest.capacity()).sum::<usize>()
            + self.vacant.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_old_cookies_lead_nowhere() {
        let mut s = Streams::default();
        let slow = s.open(StreamId::bi(0)) as u32;
        for n in 1..1000 {
            let (cookie, id) = (s.next_slot(), StreamId::bi(n));
            let slot = s.open(id);
            assert_eq!((slot, s.find(id, cookie)), (cookie as usize, Some(slot)));
            assert_eq!((s.find(StreamId::bi(0), slow), s.find(StreamId::bi(n - 1), cookie)), (Some(0), None));
            s.retire(slot);
            assert_eq!(s.find(id, cookie), None);
        }
        assert!(s.slots.len() == 2 && s.find(StreamId::bi(5), 77).is_none());
        let even = s.select(|stream| stream.id.index() % 2 == 0);
        assert_eq!((even, s.live()), (vec![0], 1));
    }
}
