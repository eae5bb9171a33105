//! What comes on streams: contents go to the owner while the packet is read, limits are taken down.

use super::Streams;
use super::bi::{Bi, Receiving, Sending};
use super::incoming::{Extent, Incoming, SIZE_CHANGED};
use crate::error::{Violation, code};
use crate::event::Receiver;
use crate::stream_id::StreamId;

/// A STREAM frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) id: StreamId,
    pub(crate) offset: u64,
    pub(crate) data: &'a [u8],
    pub(crate) fin: bool,
}

impl Piece<'_> {
    /// Frames bound offsets to 2^62 (RFC 9000 section 19.8), so nothing wraps.
    #[inline]
    fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }
}

const WRONG_DIRECTION: Violation =
    Violation::new(code::STREAM_STATE, "a frame on a stream that goes the other way");
const NOT_OPENED: Violation = Violation::new(code::STREAM_STATE, "a frame on a stream that was not opened");
const TOO_MANY: Violation = Violation::new(code::STREAM_LIMIT, "more streams than are allowed");
const TOO_MUCH: Violation = Violation::new(code::FLOW_CONTROL, "more than the connection's window");
const GAPS: Violation = Violation::new(code::INTERNAL, "a stream with too many gaps");

impl Streams {
    #[inline]
    pub(crate) fn on_stream(&mut self, piece: Piece<'_>, to: &mut impl Receiver) -> Result<(), Violation> {
        if piece.id.is_bi() && piece.id.is_client() {
            self.on_response(piece, to)
        } else {
            self.on_server_stream(piece, to)
        }
    }

    /// On the stream of a request.
    #[inline]
    fn on_response(&mut self, piece: Piece<'_>, to: &mut impl Receiver) -> Result<(), Violation> {
        let (window, index, end) = (self.window, piece.id.index(), piece.end());
        let Some(stream) = self.bi.find(index) else { return self.check_opened(piece.id) };
        let plain = stream.receiving == Receiving::Open
            && stream.aside.is_none()
            && stream.received == piece.offset
            && end <= window / 2;
        if !plain {
            return self.on_response_slow(piece, to);
        }
        stream.received = end;
        let cookie = stream.cookie;
        let mut over = false;
        if piece.fin {
            stream.receiving = Receiving::Done;
            over = stream.is_over();
        }
        let len = piece.data.len() as u64;
        self.data_received += len;
        if self.data_received > self.max_data {
            return Err(TOO_MUCH);
        }
        if over {
            self.bi.remove(index);
        }
        let taken = to.data(piece.id, cookie, piece.data, piece.fin) as u64;
        if taken < len {
            self.hold(piece.id, len - taken);
        }
        self.consume(taken);
        Ok(())
    }

    /// What comes on a stream may have ended and what goes not yet: nothing more may come then, nor another end (RFC 9000 section
    /// 4.5).
    fn check_ended(stream: &Bi, end: u64, fin: bool) -> Result<(), Violation> {
        let size = stream.aside.as_ref().and_then(|a| a.incoming.final_size).unwrap_or(stream.received);
        if end > size || (fin && end != size) { Err(SIZE_CHANGED) } else { Ok(()) }
    }

    /// Of the streams of requests, those that are over may still be spoken of (RFC 9000 section 13.3).
    #[cold]
    fn check_opened(&self, id: StreamId) -> Result<(), Violation> {
        if id.index() < self.next_bi { Ok(()) } else { Err(NOT_OPENED) }
    }

    /// The owner keeps bytes of a response, which count as not consumed.
    #[cold]
    fn hold(&mut self, id: StreamId, bytes: u64) {
        if self.bi.find(id.index()).is_some_and(|s| s.receiving == Receiving::Open)
            && let Some(stream) = self.with_aside(id.index())
            && let Some(aside) = &mut stream.aside
        {
            aside.incoming.held += bytes;
        }
    }

    /// Out of order, much, or unwanted.
    fn on_response_slow(&mut self, piece: Piece<'_>, to: &mut impl Receiver) -> Result<(), Violation> {
        let index = piece.id.index();
        if let Some(stream) = self.bi.find(index).filter(|s| s.receiving == Receiving::Done) {
            return Self::check_ended(stream, piece.end(), piece.fin);
        }
        let Some(stream) = self.with_aside(index) else { return Ok(()) };
        let Some(aside) = &mut stream.aside else { return Ok(()) };
        let (cookie, stopped) = (stream.cookie, stream.receiving == Receiving::Stopped);
        let came = take(&mut aside.incoming, &mut stream.received, stopped, piece, |bytes, fin| {
            to.data(piece.id, cookie, bytes, fin)
        })?;
        if aside.incoming.final_size == Some(stream.received) {
            stream.receiving = Receiving::Done;
        }
        self.count(came)?;
        self.remove_if_over(index);
        self.tell_credit(piece.id);
        Ok(())
    }

    /// So much more came on streams, and the owner is done with so much.
    fn count(&mut self, came: Came) -> Result<(), Violation> {
        self.data_received += came.new;
        if self.data_received > self.max_data {
            return Err(TOO_MUCH);
        }
        self.consume(came.consumed);
        Ok(())
    }

    #[inline]
    pub(super) fn remove_if_over(&mut self, index: u64) {
        if self.bi.find(index).is_some_and(|s: &mut Bi| s.is_over()) {
            self.bi.remove(index);
        }
    }

    /// Queues MAX_STREAM_DATA if it is worth it.
    pub(super) fn tell_credit(&mut self, id: StreamId) {
        let window = self.window;
        if let Some((received, incoming)) = self.incoming(id)
            && incoming.wants_credit(received, window)
        {
            incoming.credit_queued = true;
            self.credits.push_back(id);
        }
    }

    /// On a stream of the server.
    fn on_server_stream(&mut self, piece: Piece<'_>, to: &mut impl Receiver) -> Result<(), Violation> {
        let window = self.window;
        self.check_server_stream(piece.id)?;
        let Some(stream) = self.uni.accept(piece.id, window).map_err(|()| TOO_MANY)? else { return Ok(()) };
        let stopped = stream.stopped.is_some();
        let came = take(&mut stream.incoming, &mut stream.received, stopped, piece, |bytes, fin| {
            to.data(piece.id, 0, bytes, fin)
        })?;
        if stream.incoming.final_size == Some(stream.received) {
            self.tell_max_uni |= self.uni.over(piece.id);
        }
        self.count(came)?;
        self.tell_credit(piece.id);
        Ok(())
    }

    /// Only unidirectional streams of the server carry what is not on a request's.
    fn check_server_stream(&self, id: StreamId) -> Result<(), Violation> {
        match (id.is_client(), id.is_bi()) {
            (true, true) => Ok(()),
            (true, false) => Err(WRONG_DIRECTION),
            (false, true) => Err(TOO_MANY),
            (false, false) => Ok(()),
        }
    }

    /// What is said of our sending must be about a stream that we opened.
    fn check_our_stream(&self, id: StreamId) -> Result<(), Violation> {
        match (id.is_client(), id.is_bi()) {
            (true, true) => self.check_opened(id),
            (true, false) if self.uni.was_opened(id) => Ok(()),
            (true, false) => Err(NOT_OPENED),
            (false, true) => Err(TOO_MANY),
            (false, false) => Err(WRONG_DIRECTION),
        }
    }

    pub(super) fn stop_uni(&mut self, id: StreamId, code: u64) {
        let Some(stream) = self.uni.find_theirs(id).filter(|s| s.stopped.is_none()) else { return };
        stream.stopped = Some(code);
        let dropped = stream.incoming.drop_waiting(&mut stream.received);
        self.stops.push_back(id);
        self.consume(dropped);
    }

    /// RESET_STREAM (RFC 9000 section 19.4).
    pub(crate) fn on_reset(
        &mut self,
        id: StreamId,
        error: u64,
        size: u64,
        to: &mut impl Receiver,
    ) -> Result<(), Violation> {
        self.check_server_stream(id)?;
        if !id.is_bi() {
            let window = self.window;
            let Some(stream) = self.uni.accept(id, window).map_err(|()| TOO_MANY)? else { return Ok(()) };
            let extent = stream.incoming.check(stream.received, size, true)?;
            let (left, wanted) = (size.saturating_sub(stream.received), stream.stopped.is_none());
            self.tell_max_uni |= self.uni.over(id);
            self.count(Came { new: extent.new, consumed: left })?;
            if wanted {
                to.reset(id, 0, error);
            }
            return Ok(());
        }
        let Some(stream) = self.bi.find(id.index()) else { return self.check_opened(id) };
        if stream.receiving == Receiving::Done {
            return Self::check_ended(stream, size, true);
        }
        let Some(stream) = self.with_aside(id.index()) else { return Ok(()) };
        let (wanted, cookie) = (stream.receiving == Receiving::Open, stream.cookie);
        let Some(aside) = &mut stream.aside else { return Ok(()) };
        let extent = aside.incoming.check(stream.received, size, true)?;
        aside.incoming.final_size = Some(size);
        aside.incoming.assembler.clear();
        let left = size.saturating_sub(stream.received);
        stream.receiving = Receiving::Done;
        self.count(Came { new: extent.new, consumed: left })?;
        self.remove_if_over(id.index());
        if wanted {
            to.reset(id, cookie, error);
        }
        Ok(())
    }

    /// STOP_SENDING (RFC 9000 section 19.5): RESET_STREAM with the same code answers (section 3.5).
    pub(crate) fn on_stop(
        &mut self,
        id: StreamId,
        error: u64,
        to: &mut impl Receiver,
    ) -> Result<(), Violation> {
        self.check_our_stream(id)?;
        if !id.is_bi() {
            if self.uni.out(id).is_some() {
                self.reset(id, error);
                to.stopped(id, 0, error);
            }
            return Ok(());
        }
        if let Some(stream) = self.bi.find(id.index())
            && !matches!(stream.sending, Sending::Reset | Sending::Done)
        {
            let cookie = stream.cookie;
            self.reset(id, error);
            to.stopped(id, cookie, error);
        }
        Ok(())
    }

    /// MAX_DATA.
    pub(crate) fn on_max_data(&mut self, limit: u64) {
        self.peer.max_data = self.peer.max_data.max(limit);
    }

    /// MAX_STREAMS.
    pub(crate) fn on_max_streams(&mut self, bi: bool, limit: u64) {
        if bi {
            self.more_available |= limit > self.peer.max_bi;
            self.peer.max_bi = self.peer.max_bi.max(limit);
        } else {
            self.peer.max_uni = self.peer.max_uni.max(limit);
        }
    }

    /// MAX_STREAM_DATA (RFC 9000 section 19.10).
    pub(crate) fn on_max_stream_data(&mut self, id: StreamId, limit: u64) -> Result<(), Violation> {
        self.check_our_stream(id)?;
        if id.is_bi()
            && let Some(stream) = self.bi.find(id.index())
            && matches!(stream.sending, Sending::Idle | Sending::Waiting)
            && limit > self.peer.bi_window
        {
            // What is to be said may be more than the first window takes.
            let stream = self.with_aside(id.index());
            if let Some(aside) = stream.and_then(|s| s.aside.as_mut()) {
                aside.out.limit = aside.out.limit.max(limit);
            }
            return Ok(());
        }
        // A request that left in one piece fitted into the first window.
        if let Some(out) = self.outgoing(id) {
            out.limit = out.limit.max(limit);
            self.queue(id);
        }
        Ok(())
    }

    /// STREAM_DATA_BLOCKED: means nothing to us but may be wrong (RFC 9000 section 19.13).
    pub(crate) fn on_stream_blocked(&mut self, id: StreamId) -> Result<(), Violation> {
        self.check_server_stream(id)?;
        if id.is_bi() {
            return self.check_opened(id);
        }
        self.uni.accept(id, self.window).map_err(|()| TOO_MANY)?;
        Ok(())
    }
}

/// What a frame brought.
struct Came {
    /// Bytes that had not come before.
    new: u64,
    /// Bytes that the owner is done with.
    consumed: u64,
}

/// Takes a frame down and gives the owner what is in order; `stopped`: it wants no more.
fn take(
    incoming: &mut Incoming,
    received: &mut u64,
    stopped: bool,
    piece: Piece<'_>,
    to: impl FnMut(&[u8], bool) -> usize,
) -> Result<Came, Violation> {
    let Extent { new, highest } = incoming.check(*received, piece.end(), piece.fin)?;
    if piece.fin {
        incoming.final_size = Some(piece.end());
    }
    if stopped {
        *received = highest;
        return Ok(Came { new, consumed: new });
    }
    let before = *received;
    let held = deliver(incoming, received, piece, to)?;
    Ok(Came { new, consumed: *received - before - held })
}

/// Gives the owner what is in order now, the rest waits. Returns how many of the bytes the owner keeps.
fn deliver(
    incoming: &mut Incoming,
    received: &mut u64,
    piece: Piece<'_>,
    mut to: impl FnMut(&[u8], bool) -> usize,
) -> Result<u64, Violation> {
    let (end, size) = (piece.end(), incoming.final_size);
    let known = received.saturating_sub(piece.offset).min(piece.data.len() as u64);
    let (offset, data) = (piece.offset + known, &piece.data[known as usize..]);
    if offset > *received {
        incoming.assembler.insert(*received, offset, data).map_err(|_| GAPS)?;
        return Ok(0);
    }
    let mut held = 0;
    if !data.is_empty() || (piece.fin && *received == end) {
        *received = (*received).max(end);
        let fin = size == Some(*received);
        held += (data.len() - to(data, fin).min(data.len())) as u64;
    }
    if !incoming.assembler.is_empty() {
        let ready = incoming.assembler.ready(*received);
        if !ready.is_empty() {
            let len = ready.len();
            let fin = size == Some(*received + len as u64);
            held += (len - to(ready, fin).min(len)) as u64;
            *received += len as u64;
        }
        incoming.assembler.advance(*received);
    }
    incoming.held += held;
    Ok(held)
}
