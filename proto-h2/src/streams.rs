//! The streams in flight, and what is still known of those that ended.
//!
//! Ids go up by two, so the slot of a stream is its id, halved, modulo a power of two. The table is at least twice as
//! large as what is in flight; an id whose slot is taken by a slower stream is passed over (RFC 9113 section 5.1.1 lets
//! ids be skipped). A slot remembers its last stream until the next one needs it, so frames that come after the end of a
//! stream can be told from frames that cross our RST_STREAM.

use crate::flow::SendWindow;
pub(crate) use crate::head::NO_LENGTH;
use crate::limits;
use proto::{Token, Want};

/// No upload.
pub(crate) const NO_UPLOAD: u32 = u32::MAX;

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Life {
    /// Never used, reset by either side, or no longer remembered.
    #[default]
    Gone,
    /// Ended by the peer's END_STREAM.
    Ended,
    /// In flight.
    Live,
}

/// One stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) token: Token,
    /// Content still due by `content-length`.
    pub(crate) length_left: u64,
    pub(crate) id: u32,
    /// Received and not yet given back.
    pub(crate) unreturned: u32,
    pub(crate) send_window: SendWindow,
    /// Index of the body that is being sent.
    pub(crate) upload: u32,
    pub(crate) life: Life,
    pub(crate) want: Want,
    /// The final head came.
    pub(crate) head: bool,
    /// The response has no content whatever its fields say: HEAD, 204, 304.
    pub(crate) no_content: bool,
    /// The answer to HEAD.
    pub(crate) is_head: bool,
    /// The request's HEADERS were handed out.
    pub(crate) out: bool,
    pub(crate) informational: u8,
}

const VACANT: Stream = Stream {
    token: Token(0),
    length_left: NO_LENGTH,
    id: 0,
    unreturned: 0,
    send_window: SendWindow::ZERO,
    upload: NO_UPLOAD,
    life: Life::Gone,
    want: Want { fields: false, body: false },
    head: false,
    no_content: false,
    is_head: false,
    out: false,
    informational: 0,
};

/// What a stream id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// In flight, at this slot.
    Live(usize),
    /// Ended by the peer.
    Ended,
    /// Closed otherwise, or too long ago to say.
    Gone,
    /// Not opened by us, or nothing of its request has left yet.
    Idle,
}

impl Found {
    /// The slot of a stream in flight.
    #[inline]
    pub(crate) fn live(self) -> Option<usize> {
        match self {
            Found::Live(slot) => Some(slot),
            Found::Ended | Found::Gone | Found::Idle => None,
        }
    }
}

/// See the file's header.
#[derive(Debug)]
pub(crate) struct Streams {
    slots: Vec<Stream>,
    live: u32,
    next_id: u32,
    /// Above the last id that the peer can know of: requests leave in the order of their ids.
    idle_from: u32,
}

impl Streams {
    pub(crate) const fn new() -> Streams {
        Streams { slots: Vec::new(), live: 0, next_id: 1, idle_from: 1 }
    }

    /// In flight.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Whether no id is left, as far as can be promised: opening a stream may pass over as many ids as the table has
    /// slots.
    #[inline]
    pub(crate) fn exhausted(&self) -> bool {
        self.next_id as usize + 2 * (self.slots.len() + 2) > limits::LAST_STREAM_ID as usize
    }

    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, id: u32) {
        self.next_id = id;
    }

    #[inline]
    fn slot_of(&self, id: u32) -> usize {
        (id >> 1) as usize & (self.slots.len() - 1)
    }

    /// Opens a stream and returns its slot. Ids must not be [exhausted](Streams::exhausted).
    #[inline]
    pub(crate) fn open(&mut self, token: Token, want: Want) -> usize {
        assert!(!self.exhausted(), "no stream id is left");
        if self.live as usize * 2 >= self.slots.len() {
            self.grow();
        }
        // At most half of the slots are taken, so a free one comes before the lap is over.
        loop {
            let (id, slot) = (self.next_id, self.slot_of(self.next_id));
            self.next_id += 2;
            if self.slots[slot].life != Life::Live {
                self.slots[slot] = Stream { token, want, id, life: Life::Live, ..VACANT };
                self.live += 1;
                return slot;
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mut slots = vec![VACANT; (self.slots.len() * 2).max(4)];
        let mask = slots.len() - 1;
        for s in self.slots.drain(..).filter(|s| s.life != Life::Gone) {
            // Two streams that had slots of their own have them in a larger table too.
            slots[(s.id >> 1) as usize & mask] = s;
        }
        self.slots = slots;
    }

    /// The first bytes of a stream's request were handed out.
    #[inline]
    pub(crate) fn begun(&mut self, id: u32) {
        self.idle_from = self.idle_from.max(id + 1);
    }

    /// What an id that the peer names stands for. A request that has not left is not there to be answered.
    #[inline]
    pub(crate) fn find(&self, id: u32) -> Found {
        if id & 1 == 0 || id >= self.idle_from { Found::Idle } else { self.look_up(id) }
    }

    #[inline]
    fn look_up(&self, id: u32) -> Found {
        if self.slots.is_empty() {
            return Found::Gone;
        }
        let slot = self.slot_of(id);
        let s = &self.slots[slot];
        match s.life {
            _ if s.id != id => Found::Gone,
            Life::Live => Found::Live(slot),
            Life::Ended => Found::Ended,
            Life::Gone => Found::Gone,
        }
    }

    /// The slot of a stream in flight, whether its request has left or not: for ids that we name.
    #[inline]
    pub(crate) fn find_live(&self, id: u32) -> Option<usize> {
        self.look_up(id).live()
    }

    /// The slot of a token in flight. Linear: cancels are rare.
    pub(crate) fn find_token(&self, token: Token) -> Option<usize> {
        self.slots.iter().position(|s| s.life == Life::Live && s.token == token)
    }

    #[inline]
    pub(crate) fn at(&mut self, slot: usize) -> &mut Stream {
        &mut self.slots[slot]
    }

    /// To look at.
    pub(crate) fn peek(&self, slot: usize) -> &Stream {
        &self.slots[slot]
    }

    /// A stream is no longer in flight.
    #[inline]
    pub(crate) fn retire(&mut self, slot: usize, life: Life) -> Stream {
        let s = &mut self.slots[slot];
        assert!(s.life == Life::Live && life != Life::Live, "a stream ends once");
        s.life = life;
        self.live -= 1;
        *s
    }

    /// The slots of those in flight with an id above `last`, in the order of their ids.
    pub(crate) fn live_above(&self, last: u32) -> Vec<usize> {
        let live = |s: &Stream| s.life == Life::Live && s.id > last;
        let mut slots: Vec<usize> = (0..self.slots.len()).filter(|&i| live(&self.slots[i])).collect();
        slots.sort_unstable_by_key(|&i| self.slots[i].id);
        slots
    }

    /// All in flight.
    pub(crate) fn each_live(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slots.iter_mut().filter(|s| s.life == Life::Live)
    }

    /// Heap bytes held.
    pub(crate) fn footprint(&self) -> usize {
        self.slots.capacity() * size_of::<Stream>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_stream_costs_ids_and_not_slots() {
        let mut s = Streams::new();
        let slow = s.open(Token(0), Want::default());
        assert_eq!(s.at(slow).id, 1);
        for n in 1..100 {
            let slot = s.open(Token(n), Want::default());
            assert_ne!(slot, slow);
            let id = s.at(slot).id;
            assert_eq!((s.find(id), s.find_live(id)), (Found::Idle, Some(slot)));
            s.begun(id);
            assert_eq!(s.find(id), Found::Live(slot));
            s.retire(slot, Life::Ended);
            assert_eq!(s.find(id), Found::Ended);
        }
        assert_eq!(
            (s.find(1), s.find(2), s.find(0), s.live()),
            (Found::Live(slow), Found::Idle, Found::Idle, 1)
        );
        assert!(s.slots.len() <= 4);
    }

    #[test]
    fn growing_loses_nobody() {
        let mut s = Streams::new();
        for n in 0..1000 {
            s.open(Token(n), Want::default());
        }
        assert_eq!(s.live(), 1000);
        for n in 0..1000 {
            let slot = s.find_token(Token(n)).unwrap();
            let id = s.at(slot).id;
            s.begun(id);
            assert_eq!(s.find(id), Found::Live(slot));
        }
    }

    #[test]
    fn ids_run_out() {
        let mut s = Streams::new();
        s.skip_to(limits::LAST_STREAM_ID - 100);
        while !s.exhausted() {
            let slot = s.open(Token(1), Want::default());
            let id = s.at(slot).id;
            s.begun(id);
            assert!(id <= limits::LAST_STREAM_ID && s.find(id) == Found::Live(slot));
        }
    }
}
