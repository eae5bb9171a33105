//! Unidirectional streams: ours, of which there are few, and those of the server.

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use crate::stream_id::StreamId;
use std::collections::VecDeque;

/// One of ours.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) id: StreamId,
    pub(super) out: Outgoing,
    /// RESET_STREAM with this code and final size is or was sent.
    pub(super) reset: Option<(u64, u64)>,
}

/// One of the server's.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) id: StreamId,
    /// What came in order; if stopped, whatever came.
    pub(super) received: u64,
    pub(super) incoming: Incoming,
    /// The owner wants no more; STOP_SENDING carries this code.
    pub(super) stopped: Option<u64>,
}

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Uni {
    pub(super) ours: Vec<Ours>,
    pub(super) theirs: Vec<Theirs>,
    next_ours: u64,
    /// How many the server opened, and may open.
    opened: u64,
    pub(super) max: u64,
    /// How many it may have open at once.
    at_once: u64,
}

impl Uni {
    pub(super) fn new(at_once: u64) -> Uni {
        Uni { max: at_once, at_once, ..Uni::default() }
    }

    pub(super) fn forget_ours(&mut self) {
        self.ours.clear();
        self.next_ours = 0;
    }

    pub(super) fn open(&mut self, limit: u64, window: u64) -> Option<StreamId> {
        if self.next_ours >= limit {
            return None;
        }
        let id = StreamId::uni(self.next_ours);
        self.next_ours += 1;
        self.ours.push(Ours { id, out: Outgoing::new(window), reset: None });
        Some(id)
    }

    /// Whether we opened it, now or once.
    pub(super) fn was_opened(&self, id: StreamId) -> bool {
        id.index() < self.next_ours
    }

    /// The larger window for those that are there; returns which.
    pub(super) fn raise(&mut self, window: u64) -> Vec<StreamId> {
        self.ours.iter_mut().for_each(|s| s.out.limit = s.out.limit.max(window));
        self.ours.iter().map(|s| s.id).collect()
    }

    pub(super) fn find_ours(&mut self, id: StreamId) -> Option<&mut Ours> {
        self.ours.iter_mut().find(|s| s.id == id)
    }

    /// What one of ours says, unless it was reset.
    pub(super) fn out(&mut self, id: StreamId) -> Option<&mut Outgoing> {
        self.find_ours(id).filter(|s| s.reset.is_none()).map(|s| &mut s.out)
    }

    pub(super) fn reset(&mut self, id: StreamId, code: u64, resets: &mut VecDeque<StreamId>) {
        if let Some(stream) = self.find_ours(id).filter(|s| s.reset.is_none()) {
            stream.reset = Some((code, stream.out.sent));
            stream.out.clear();
            resets.push_back(id);
        }
    }

    /// All of one of ours was acknowledged.
    pub(super) fn done(&mut self, id: StreamId) {
        self.ours.retain(|s| s.id != id);
    }

    /// One of the server's, opened if need be with all before it (RFC 9000 section 3.2). `Err`: beyond what we allow;
    /// `Ok(None)`: it is over.
    pub(super) fn accept(&mut self, id: StreamId, window: u64) -> Result<Option<&mut Theirs>, ()> {
        if id.index() >= self.max {
            return Err(());
        }
        while self.opened <= id.index() {
            let id = StreamId(self.opened << 2 | 3);
            self.opened += 1;
            self.theirs.push(Theirs { id, received: 0, incoming: Incoming::new(window), stopped: None });
        }
        Ok(self.find_theirs(id))
    }

    pub(super) fn find_theirs(&mut self, id: StreamId) -> Option<&mut Theirs> {
        self.theirs.iter_mut().find(|s| s.id == id)
    }

    /// One of the server's is over; returns whether it is worth telling how many more it may open.
    pub(super) fn over(&mut self, id: StreamId) -> bool {
        self.theirs.retain(|s| s.id != id);
        self.limit() - self.max > self.at_once / 2
    }

    /// How many it may open in all.
    pub(super) fn limit(&self) -> u64 {
        self.opened - self.theirs.len() as u64 + self.at_once
    }
}
