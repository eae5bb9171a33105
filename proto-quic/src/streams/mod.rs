//! All streams of a connection, their numbers and windows (RFC 9000 sections 2 to 4). Commands of the owner are here; what comes
//! is in `receive.rs`, what goes in `send.rs`.

pub(crate) mod bi;
pub(crate) mod incoming;
pub(crate) mod outgoing;
mod receive;
mod send;
mod uni;

use crate::config::Config;
use crate::stream_id::StreamId;
use bi::{Bi, Receiving, Ring, Sending};
use bytes::Bytes;
use incoming::Incoming;
use outgoing::Outgoing;
pub(crate) use receive::Piece;
use std::collections::VecDeque;
use uni::Uni;

/// What the peer's transport parameters allow (RFC 9000 section 18.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerLimits {
    pub(crate) max_data: u64,
    pub(crate) max_bi: u64,
    pub(crate) max_uni: u64,
    /// What it takes of each stream of these kinds that we open.
    pub(crate) bi_window: u64,
    pub(crate) uni_window: u64,
}

/// See the file's header.
#[derive(Debug)]
pub(crate) struct Streams {
    bi: Ring,
    uni: Uni,
    next_bi: u64,
    peer: PeerLimits,
    /// Our window of each stream, and of the connection.
    window: u64,
    connection_window: u64,
    /// Bytes of streams sent once, against the peer's MAX_DATA.
    data_sent: u64,
    /// What came, against our MAX_DATA, and what of it the owner is done with.
    data_received: u64,
    data_consumed: u64,
    max_data: u64,
    /// The streams whose request waits in one piece.
    fresh: VecDeque<u64>,
    /// Those with more to say.
    general: VecDeque<StreamId>,
    /// RESET_STREAM, STOP_SENDING and MAX_STREAM_DATA to be sent.
    resets: VecDeque<StreamId>,
    stops: VecDeque<StreamId>,
    credits: VecDeque<StreamId>,
    /// MAX_DATA and MAX_STREAMS (unidirectional) to be sent.
    tell_max_data: bool,
    tell_max_uni: bool,
    /// What stands in the way, to be told: DATA_BLOCKED and STREAMS_BLOCKED with their limits, and the last ones told.
    blocked: [Blocked; 3],
    /// The peer allows more streams than before.
    pub(crate) more_available: bool,
    /// Which of the queues begins the next packet.
    general_first: bool,
}

/// A limit of the peer that stood in the way (RFC 9000 sections 4.1 and 4.6).
#[derive(Clone, Copy, Debug, Default)]
struct Blocked {
    at: Option<u64>,
    told: Option<u64>,
}

/// Indices of [`Streams::blocked`].
const BLOCKED_DATA: usize = 0;
const BLOCKED_BI: usize = 1;
const BLOCKED_UNI: usize = 2;

impl Streams {
    pub(crate) fn new(config: &Config) -> Streams {
        Streams {
            bi: Ring::default(),
            uni: Uni::new(config.uni_streams),
            next_bi: 0,
            peer: PeerLimits::default(),
            window: config.stream_window,
            connection_window: config.connection_window,
            data_sent: 0,
            data_received: 0,
            data_consumed: 0,
            max_data: config.connection_window,
            fresh: VecDeque::new(),
            general: VecDeque::new(),
            resets: VecDeque::new(),
            stops: VecDeque::new(),
            credits: VecDeque::new(),
            tell_max_data: false,
            tell_max_uni: false,
            blocked: Default::default(),
            more_available: false,
            general_first: false,
        }
    }

    /// Early data was not accepted: nothing of it ever was (RFC 9001 section 4.6.2).
    pub(crate) fn forget_all(&mut self) {
        self.bi.clear();
        self.uni.forget_ours();
        self.next_bi = 0;
        self.data_sent = 0;
        self.peer = PeerLimits::default();
        for queue in [&mut self.general, &mut self.resets, &mut self.stops, &mut self.credits] {
            queue.clear();
        }
        self.fresh.clear();
        self.blocked = Default::default();
    }

    /// The peer's transport parameters; those remembered for early data may be followed by others that allow more.
    pub(crate) fn set_peer(&mut self, peer: PeerLimits) {
        self.more_available |= peer.max_bi > self.peer.max_bi;
        let before = std::mem::replace(&mut self.peer, peer);
        let windows = (peer.bi_window, peer.uni_window);
        if (before.bi_window, before.uni_window) != windows {
            let mut more = Vec::new();
            for stream in self.bi.iter_mut() {
                if let Some(aside) = &mut stream.aside {
                    aside.out.limit = aside.out.limit.max(peer.bi_window);
                    more.push(StreamId::bi(stream.index));
                }
            }
            more.extend(self.uni.raise(peer.uni_window));
            more.into_iter().for_each(|id| self.queue(id));
        }
    }

    #[inline]
    pub(crate) fn bi_available(&self) -> u64 {
        self.peer.max_bi.saturating_sub(self.next_bi)
    }

    #[inline]
    pub(crate) fn open_bi(&mut self, cookie: u32) -> Option<StreamId> {
        if self.next_bi >= self.peer.max_bi {
            self.blocked[BLOCKED_BI].at = Some(self.peer.max_bi);
            return None;
        }
        let index = self.next_bi;
        self.next_bi += 1;
        self.bi.open(index, cookie);
        Some(StreamId::bi(index))
    }

    pub(crate) fn open_uni(&mut self) -> Option<StreamId> {
        let id = self.uni.open(self.peer.max_uni, self.peer.uni_window);
        if id.is_none() {
            self.blocked[BLOCKED_UNI].at = Some(self.peer.max_uni);
        }
        id
    }

    #[inline]
    pub(crate) fn write(&mut self, id: StreamId, bytes: Bytes, fin: bool) {
        if !id.is_client() {
            return;
        }
        if !id.is_bi() {
            if let Some(out) = self.uni.out(id) {
                out.write(bytes, fin);
                self.queue(id);
            }
            return;
        }
        let Some(stream) = self.bi.find(id.index()) else { return };
        // A request in one piece, as most are.
        if stream.sending == Sending::Idle && fin && bytes.len() <= SMALL {
            stream.data = bytes;
            stream.sending = Sending::Waiting;
            self.fresh.push_back(id.index());
            return;
        }
        if stream.sending == Sending::Idle {
            stream.sending = Sending::General;
            self.need_aside(id.index());
        }
        if let Some(stream) = self.bi.find(id.index())
            && stream.sending == Sending::General
            && let Some(aside) = &mut stream.aside
        {
            aside.out.write(bytes, fin);
            self.queue(id);
        }
    }

    /// A request in one piece that must go out in several after all.
    fn make_general(&mut self, index: u64) {
        self.need_aside(index);
        let Some(stream) = self.bi.find(index) else { return };
        let data = std::mem::take(&mut stream.data);
        stream.sending = Sending::General;
        if let Some(aside) = &mut stream.aside {
            aside.out.write(data, true);
        }
        self.queue(StreamId::bi(index));
    }

    fn need_aside(&mut self, index: u64) {
        if self.bi.find(index).is_some_and(|s| s.aside.is_none()) {
            let aside = self.bi.aside(self.peer.bi_window, self.window);
            if let Some(stream) = self.bi.find(index) {
                stream.aside = Some(aside);
            }
        }
    }

    /// What is kept aside of a stream; made if it was not there.
    fn with_aside(&mut self, index: u64) -> Option<&mut Bi> {
        self.need_aside(index);
        self.bi.find(index)
    }

    fn outgoing(&mut self, id: StreamId) -> Option<&mut Outgoing> {
        if !id.is_bi() {
            return self.uni.out(id);
        }
        let stream = self.bi.find(id.index()).filter(|s| s.sending == Sending::General)?;
        stream.aside.as_mut().map(|a| &mut a.out)
    }

    /// What came of a stream in order, and the rest of what is known of its receiving part, as long as the owner wants more.
    fn incoming(&mut self, id: StreamId) -> Option<(u64, &mut Incoming)> {
        if id.is_bi() {
            let stream = self.bi.find(id.index()).filter(|s| s.receiving == Receiving::Open)?;
            Some((stream.received, &mut stream.aside.as_mut()?.incoming))
        } else {
            let stream = self.uni.find_theirs(id).filter(|s| s.stopped.is_none())?;
            Some((stream.received, &mut stream.incoming))
        }
    }

    /// Bytes written and not sent yet, where they are not a request in one piece.
    pub(crate) fn unsent(&mut self, id: StreamId) -> usize {
        self.outgoing(id).map_or(0, |out| (out.end() - out.sent) as usize)
    }

    /// A stream has something to say.
    fn queue(&mut self, id: StreamId) {
        if let Some(out) = self.outgoing(id)
            && !out.queued
            && out.has_more()
        {
            out.queued = true;
            self.general.push_back(id);
        }
    }

    /// RESET_STREAM, unless all was acknowledged.
    pub(crate) fn reset(&mut self, id: StreamId, code: u64) {
        if !id.is_bi() {
            return self.uni.reset(id, code, &mut self.resets);
        }
        let Some(stream) = self.with_aside(id.index()) else { return };
        if matches!(stream.sending, Sending::Reset | Sending::Done) {
            return;
        }
        let sent = match stream.sending {
            Sending::Sent => stream.data.len() as u64,
            Sending::Waiting if stream.told => stream.data.len() as u64,
            _ => stream.aside.as_ref().map_or(0, |a| a.out.sent),
        };
        stream.sending = Sending::Reset;
        stream.data = Bytes::new();
        if let Some(aside) = &mut stream.aside {
            aside.out.clear();
            (aside.reset_code, aside.reset_size) = (code, sent);
        }
        self.resets.push_back(id);
    }

    /// STOP_SENDING, unless all came.
    pub(crate) fn stop_sending(&mut self, id: StreamId, code: u64) {
        if !id.is_bi() {
            return self.stop_uni(id, code);
        }
        let Some(stream) = self.with_aside(id.index()) else { return };
        if stream.receiving != Receiving::Open {
            return;
        }
        stream.receiving = Receiving::Stopped;
        let Some(aside) = &mut stream.aside else { return };
        aside.stop_code = code;
        // What the owner still holds it gives back itself.
        let dropped = aside.incoming.drop_waiting(&mut stream.received);
        self.stops.push_back(id);
        self.consume(dropped);
    }

    /// The owner is done with so many bytes.
    pub(crate) fn consume(&mut self, bytes: u64) {
        self.data_consumed += bytes;
        // In large steps, so that few frames are needed (RFC 9000 section 4.2).
        let limit = self.data_consumed + self.connection_window;
        self.tell_max_data |= 2 * (limit - self.max_data) >= self.connection_window;
    }

    /// The owner is done with bytes that it had kept.
    pub(crate) fn consumed(&mut self, id: StreamId, bytes: u64) {
        if let Some((_, incoming)) = self.incoming(id) {
            incoming.held = incoming.held.saturating_sub(bytes);
            self.tell_credit(id);
        }
        self.consume(bytes);
    }
}

/// A request up to this size waits in one piece: with its frame it fits into the smallest packet.
const SMALL: usize = 1100;
