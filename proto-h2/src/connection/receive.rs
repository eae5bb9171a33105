//! What arrives: frames are cut out of the bytes, whatever pieces those come in, and take effect in order.

use super::{Connection, GoneAway};
use crate::code::Code;
use crate::fault::{self, Breach};
use crate::flow::reaches_step;
use crate::frame::{Frame, FrameHeader, flag, kind};
use crate::head::{Head, NO_STATUS};
use crate::limits;
use crate::response::breach_of;
use crate::streams::{Found, Life, NO_LENGTH, NO_UPLOAD};
use proto::{Error, Kind, Sink, Time};

/// Where in a frame the input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Within the nine bytes of a header.
    #[default]
    Header,
    /// Within a payload that is looked at whole.
    Payload,
    /// Within a DATA frame.
    Data,
    /// Within what nobody looks at.
    Skip,
}

/// A DATA frame on its way in.
#[derive(Clone, Copy, Debug, Default)]
struct Data {
    /// The padding length comes first.
    pad_due: bool,
    content: u32,
    padding: u32,
    end_stream: bool,
    /// Its content is to be dropped.
    dropped: bool,
    stream: u32,
}

/// A header block that goes on in CONTINUATION frames.
#[derive(Clone, Copy, Debug)]
struct OpenBlock {
    stream: u32,
    end_stream: bool,
    continuations: u32,
}

/// The reading side's place in the bytes.
#[derive(Debug, Default)]
pub(super) struct Input {
    phase: Phase,
    head: [u8; FrameHeader::LEN],
    head_len: u8,
    header: FrameHeader,
    /// The beginning of a payload that came in pieces.
    partial: Vec<u8>,
    data: Data,
    skip: u32,
    open_block: Option<OpenBlock>,
    block: Vec<u8>,
}

impl Input {
    pub(super) fn is_between_frames(&self) -> bool {
        self.phase == Phase::Header && self.head_len == 0 && self.open_block.is_none()
    }
    pub(super) fn footprint(&self) -> usize {
        self.partial.capacity() + self.block.capacity()
    }

    /// The next frame header, once all its bytes came.
    #[inline]
    fn take_header(&mut self, bytes: &mut &[u8]) -> Option<FrameHeader> {
        if self.head_len == 0
            && let Some((head, rest)) = bytes.split_first_chunk::<{ FrameHeader::LEN }>()
        {
            *bytes = rest;
            return Some(FrameHeader::parse(head));
        }
        let have = usize::from(self.head_len);
        let n = bytes.len().min(FrameHeader::LEN - have);
        self.head[have..have + n].copy_from_slice(&bytes[..n]);
        *bytes = &bytes[n..];
        self.head_len += n as u8;
        if usize::from(self.head_len) < FrameHeader::LEN {
            return None;
        }
        self.head_len = 0;
        Some(FrameHeader::parse(&self.head))
    }
}

/// Empties a buffer, and gives its memory back if it is large.
fn recycle(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    if buffer.capacity() > limits::KEPT_CAPACITY { Vec::new() } else { buffer }
}

impl Connection {
    pub(super) fn receive(&mut self, now: Time, mut bytes: &[u8], sink: &mut impl Sink) {
        // Each turn takes at least one byte or ends a frame that needs none.
        while !self.is_closed() {
            let result = match self.input.phase {
                Phase::Header => match self.input.take_header(&mut bytes) {
                    Some(header) => self.begin_frame(now, header, &mut bytes, sink),
                    None => return,
                },
                Phase::Payload => {
                    let need = self.input.header.kept() as usize - self.input.partial.len();
                    if bytes.len() < need {
                        self.input.partial.extend_from_slice(bytes);
                        return;
                    }
                    let (now_here, rest) = bytes.split_at(need);
                    bytes = rest;
                    self.end_payload(now, now_here, sink)
                }
                Phase::Data if bytes.is_empty() => return,
                Phase::Data => self.data_bytes(now, &mut bytes, sink),
                Phase::Skip => {
                    let n = bytes.len().min(self.input.skip as usize);
                    self.input.skip -= n as u32;
                    bytes = &bytes[n..];
                    if self.input.skip > 0 {
                        return;
                    }
                    self.input.phase = Phase::Header;
                    Ok(())
                }
            };
            if let Err(breach) = result {
                self.breach(breach, None, sink);
            }
        }
    }

    /// Content that was thrown away unseen, up to what `due` said.
    pub(super) fn receive_skipped(&mut self, len: u64, sink: &mut impl Sink) {
        assert!(len <= self.due().unwrap_or(0), "more was skipped than was due");
        let content = len.min(u64::from(self.input.data.content)) as u32;
        self.input.data.content -= content;
        self.input.data.padding -= (len - u64::from(content)) as u32;
        self.content(content, &[], sink);
        if len > 0 {
            self.end_data_if_complete(sink);
        }
    }

    /// See [`proto::ClientConn::due_bytes`].
    pub(super) fn due(&self) -> Option<u64> {
        let data = &self.input.data;
        if self.input.phase != Phase::Data || data.pad_due {
            return None;
        }
        let wanted = self.live_data_slot().is_some_and(|s| self.streams.peek(s).want.body);
        (!wanted).then_some(u64::from(data.content) + u64::from(data.padding))
    }

    /// The slot of the stream whose DATA is coming in, if it is still in flight: it may have been cancelled meanwhile, and
    /// moved when others were opened.
    #[inline]
    fn live_data_slot(&self) -> Option<usize> {
        let data = &self.input.data;
        if data.dropped { None } else { self.streams.find_live(data.stream) }
    }

    #[inline]
    fn begin_frame(
        &mut self,
        now: Time,
        header: FrameHeader,
        bytes: &mut &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        if !self.peer.seen {
            check_first(header)?;
        }
        if let Some(open) = self.input.open_block
            && (header.kind != kind::CONTINUATION || header.stream != open.stream)
        {
            return Err(&fault::BLOCK_INTERRUPTED);
        }
        self.input.header = header;
        match header.check(self.config.max_frame_size) {
            Ok(()) if header.kind == kind::DATA => self.begin_data(now, header, sink),
            Ok(())
                if header.kind == kind::HEADERS
                    && is_plain_block(header)
                    && header.len as usize <= bytes.len() =>
            {
                // A whole block in one piece, as nearly all are: nothing to assemble.
                self.check_block_size(header)?;
                let (block, rest) = bytes.split_at(header.len as usize);
                *bytes = rest;
                self.block(now, header.stream, header.has(flag::END_STREAM), block, sink)
            }
            Ok(()) => {
                if header.kind == kind::CONTINUATION && self.input.open_block.is_none() {
                    return Err(&fault::CONTINUATION_ALONE);
                }
                self.check_block_size(header)?;
                self.input.phase = Phase::Payload;
                Ok(())
            }
            Err(breach) => {
                // Only PRIORITY breaks a stream alone, and its payload is passed over.
                self.input.phase = Phase::Skip;
                self.input.skip = header.len;
                let slot = self.streams.find(header.stream).live();
                self.spend(now)?;
                self.breach(breach, slot, sink);
                Ok(())
            }
        }
    }

    /// Header blocks are bounded before their bytes are kept.
    #[inline]
    fn check_block_size(&mut self, header: FrameHeader) -> Result<(), &'static Breach> {
        match header.kind {
            kind::HEADERS if header.len as usize <= limits::HEADER_BLOCK => Ok(()),
            kind::HEADERS => Err(&fault::BLOCK_TOO_LARGE),
            kind::CONTINUATION if self.input.block.len() + header.len as usize > limits::HEADER_BLOCK => {
                Err(&fault::BLOCK_TOO_LARGE)
            }
            _ => Ok(()),
        }
    }

    /// A frame that carries nothing for us came.
    fn spend(&mut self, now: Time) -> Result<(), &'static Breach> {
        if self.budget.take(now) {
            return Ok(());
        }
        Err(&fault::FLOOD)
    }

    #[inline]
    fn end_payload(&mut self, now: Time, bytes: &[u8], sink: &mut impl Sink) -> Result<(), &'static Breach> {
        let header = self.input.header;
        self.input.skip = header.len - header.kept();
        self.input.phase = if self.input.skip > 0 { Phase::Skip } else { Phase::Header };
        if self.input.partial.is_empty() {
            return self.frame(now, header, Frame::parse(header, bytes)?, sink);
        }
        let mut payload = std::mem::take(&mut self.input.partial);
        payload.extend_from_slice(bytes);
        let result = Frame::parse(header, &payload).and_then(|frame| self.frame(now, header, frame, sink));
        self.input.partial = recycle(payload);
        result
    }

    #[inline]
    fn frame(
        &mut self,
        now: Time,
        header: FrameHeader,
        frame: Frame<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        match frame {
            Frame::Headers { fragment } => self.headers(now, header, fragment, sink),
            Frame::Continuation { fragment } => self.continuation(now, header, fragment, sink),
            Frame::Reset { code } => self.reset_by_peer(now, header.stream, code, sink),
            Frame::Settings { .. } if header.has(flag::ACK) => self.spend(now),
            Frame::Settings { entries } => self.settings(now, entries, sink),
            Frame::Ping { .. } if header.has(flag::ACK) => self.spend(now),
            Frame::Ping { opaque } => {
                self.spend(now)?;
                self.acknowledge(kind::PING, &opaque)
            }
            Frame::GoAway { last, code } => self.go_away(now, GoneAway { last, code }, sink),
            Frame::WindowUpdate { increment } => self.window_update(now, header.stream, increment, sink),
            Frame::Ignored => self.spend(now),
        }
    }

    fn acknowledge(&mut self, kind: u8, payload: &[u8]) -> Result<(), &'static Breach> {
        if self.outbox.acknowledge(kind, payload) {
            return Ok(());
        }
        Err(&fault::ACKS_PENDING)
    }
}

/// HEADERS that are a block and nothing else.
#[inline]
fn is_plain_block(header: FrameHeader) -> bool {
    header.flags & (flag::END_HEADERS | flag::PADDED | flag::PRIORITY) == flag::END_HEADERS
}

/// The first frame of a server is SETTINGS, not an acknowledgement (RFC 9113 section 3.4).
fn check_first(header: FrameHeader) -> Result<(), &'static Breach> {
    if header.kind == kind::SETTINGS && !header.has(flag::ACK) {
        return Ok(());
    }
    let http1 = header.bytes().starts_with(b"HTTP/1.");
    Err(if http1 { &fault::HTTP1 } else { &fault::NO_PREFACE })
}

/// Header blocks.
impl Connection {
    #[inline]
    fn headers(
        &mut self,
        now: Time,
        header: FrameHeader,
        fragment: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        let end_stream = header.has(flag::END_STREAM);
        if header.has(flag::END_HEADERS) {
            return self.block(now, header.stream, end_stream, fragment, sink);
        }
        // What is wrong already need not wait for the rest.
        match self.streams.find(header.stream) {
            Found::Idle => return Err(&fault::HEADERS_IDLE),
            Found::Ended => return Err(&fault::AFTER_END),
            Found::Live(_) | Found::Gone => {}
        }
        self.input.block.extend_from_slice(fragment);
        self.input.open_block = Some(OpenBlock { stream: header.stream, end_stream, continuations: 0 });
        Ok(())
    }

    fn continuation(
        &mut self,
        now: Time,
        header: FrameHeader,
        fragment: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        let Some(open) = &mut self.input.open_block else { return Ok(()) };
        open.continuations += 1;
        if open.continuations > limits::CONTINUATIONS {
            return Err(&fault::CONTINUATIONS);
        }
        let open = *open;
        self.input.block.extend_from_slice(fragment);
        if !header.has(flag::END_HEADERS) {
            return Ok(());
        }
        self.input.open_block = None;
        let block = std::mem::take(&mut self.input.block);
        let result = self.block(now, open.stream, open.end_stream, &block, sink);
        self.input.block = recycle(block);
        result
    }

    /// A whole header block. It is decoded even where nobody waits for it: the tables must stay in step.
    #[inline]
    fn block(
        &mut self,
        now: Time,
        stream: u32,
        end_stream: bool,
        block: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        let found = self.streams.find(stream);
        let list = match found {
            Found::Live(slot) => self.streams.at(slot).want.fields,
            Found::Idle => {
                return Err(&fault::HEADERS_IDLE);
            }
            Found::Ended => return Err(&fault::AFTER_END),
            Found::Gone => {
                self.spend(now)?;
                false
            }
        };
        let head = self.reader.read(block, list).map_err(fault::compression)?;
        let Found::Live(slot) = found else { return Ok(()) };
        self.stats.header_bytes += block.len() as u64;
        self.stats.header_bytes_decoded += head.decoded;
        let result = match (self.streams.at(slot).head, head.status) {
            (true, _) => self.trailers(slot, end_stream, &head, sink),
            (false, 100..=199) => self.informational(slot, end_stream, &head, sink),
            (false, _) => self.response(slot, end_stream, &head, sink),
        };
        if let Err(breach) = result {
            self.breach(breach, Some(slot), sink);
        }
        Ok(())
    }

    #[inline]
    fn response(
        &mut self,
        slot: usize,
        end_stream: bool,
        head: &Head,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        well_formed(head)?;
        if head.status == NO_STATUS {
            return Err(&fault::NO_STATUS);
        }
        let stream = self.streams.at(slot);
        stream.head = true;
        stream.no_content = stream.is_head || matches!(head.status, 204 | 304);
        stream.length_left = if stream.no_content { NO_LENGTH } else { head.length };
        let (token, fields) = (stream.token, stream.want.fields);
        if end_stream && !matches!(stream.length_left, 0 | NO_LENGTH) {
            return Err(&fault::WRONG_LENGTH);
        }
        if fields {
            sink.head(token, head.status, &self.reader.fields);
        } else {
            sink.head(token, head.status, &());
        }
        if end_stream {
            self.complete(slot, sink);
        }
        Ok(())
    }

    fn informational(
        &mut self,
        slot: usize,
        end_stream: bool,
        head: &Head,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        well_formed(head)?;
        if end_stream {
            return Err(&fault::INFORMATIONAL_END);
        }
        if head.status == 101 {
            return Err(&fault::SWITCHING_PROTOCOLS);
        }
        let stream = self.streams.at(slot);
        stream.informational += 1;
        if stream.informational > limits::INFORMATIONAL {
            return Err(&fault::INFORMATIONAL_FLOOD);
        }
        let (token, upload) = (stream.token, stream.upload);
        self.stats.informational += 1;
        if head.status == 100 && upload != NO_UPLOAD {
            self.release(upload);
        }
        sink.informational(token, head.status);
        Ok(())
    }

    fn trailers(
        &mut self,
        slot: usize,
        end_stream: bool,
        head: &Head,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        well_formed(head)?;
        if head.status != NO_STATUS {
            return Err(&fault::TRAILERS_PSEUDO);
        }
        if !end_stream {
            return Err(&fault::TRAILERS_OPEN);
        }
        let stream = self.streams.at(slot);
        if !matches!(stream.length_left, 0 | NO_LENGTH) {
            return Err(&fault::WRONG_LENGTH);
        }
        let (token, fields) = (stream.token, stream.want.fields);
        if fields {
            sink.trailers(token, &self.reader.fields);
        } else {
            sink.trailers(token, &());
        }
        self.complete(slot, sink);
        Ok(())
    }

    /// The peer's END_STREAM after a response that is whole.
    #[inline]
    fn complete(&mut self, slot: usize, sink: &mut impl Sink) {
        let stream = self.streams.retire(slot, Life::Ended);
        self.budget.earn();
        if stream.upload != NO_UPLOAD {
            // The server answered without waiting for the rest of the request, so the rest is not sent (RFC 9113
            // section 8.1); the stream would stay half open without this.
            self.uploads.remove(stream.upload);
            self.outbox.reset(stream.id, Code::NO_ERROR);
        }
        sink.done(stream.token);
        if self.streams.live() == 0 {
            self.close_if_drained(sink);
        }
    }
}

#[inline]
fn well_formed(head: &Head) -> Result<(), &'static Breach> {
    match head.problem() {
        Some(malformed) => Err(breach_of(malformed)),
        None => Ok(()),
    }
}

/// DATA.
impl Connection {
    #[inline]
    fn begin_data(
        &mut self,
        now: Time,
        header: FrameHeader,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        let end_stream = header.has(flag::END_STREAM);
        let due = self.receive_window.receive(header.len)?;
        let found = self.streams.find(header.stream);
        let slot = match found {
            Found::Live(slot) => Some(slot),
            Found::Gone => None,
            Found::Ended => return Err(&fault::AFTER_END),
            Found::Idle => {
                return Err(&fault::DATA_IDLE);
            }
        };
        if due {
            self.owed.push(0);
        }
        if header.len == 0 && !(end_stream && slot.is_some()) {
            self.spend(now)?;
        }
        let pad_due = header.has(flag::PADDED);
        self.input.data = Data {
            pad_due,
            content: header.len - u32::from(pad_due),
            padding: 0,
            end_stream,
            dropped: slot.is_none(),
            stream: header.stream,
        };
        self.input.phase = Phase::Data;
        if let Some(slot) = slot
            && let Err(breach) = self.admit_data(slot, header, end_stream)
        {
            self.input.data.dropped = true;
            self.breach(breach, Some(slot), sink);
        }
        if header.len == 0 {
            self.end_data_if_complete(sink);
        }
        Ok(())
    }

    /// The stream's own rules for a DATA frame.
    #[inline]
    fn admit_data(
        &mut self,
        slot: usize,
        header: FrameHeader,
        end_stream: bool,
    ) -> Result<(), &'static Breach> {
        let stream = self.streams.at(slot);
        if !stream.head {
            return Err(&fault::DATA_BEFORE_HEAD);
        }
        let unreturned = stream.unreturned + header.len;
        let window = self.config.stream_window();
        if unreturned > window {
            return Err(&fault::STREAM_WINDOW);
        }
        let before = std::mem::replace(&mut stream.unreturned, unreturned);
        if reaches_step(before, unreturned, window) && !end_stream {
            self.owed.push(header.stream);
        }
        if header.has(flag::PADDED) { Ok(()) } else { self.admit_content(slot, header.len, end_stream) }
    }

    /// Content and `content-length`.
    #[inline]
    fn admit_content(&mut self, slot: usize, content: u32, end_stream: bool) -> Result<(), &'static Breach> {
        let stream = self.streams.at(slot);
        if stream.no_content && content > 0 {
            return Err(&fault::CONTENT_NOT_ALLOWED);
        }
        if stream.length_left == NO_LENGTH {
            return Ok(());
        }
        let Some(left) = stream.length_left.checked_sub(u64::from(content)) else {
            return Err(&fault::WRONG_LENGTH);
        };
        if end_stream && left > 0 {
            return Err(&fault::WRONG_LENGTH);
        }
        stream.length_left = left;
        Ok(())
    }

    #[inline]
    fn data_bytes(
        &mut self,
        now: Time,
        bytes: &mut &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        if self.input.data.pad_due {
            let (pad, rest) = bytes.split_at(1);
            *bytes = rest;
            self.padding_length(now, u32::from(pad[0]), sink)?;
        }
        let data = &mut self.input.data;
        let content = bytes.len().min(data.content as usize);
        let padding = (bytes.len() - content).min(data.padding as usize);
        data.content -= content as u32;
        data.padding -= padding as u32;
        self.content(content as u32, &bytes[..content], sink);
        *bytes = &bytes[content + padding..];
        self.end_data_if_complete(sink);
        Ok(())
    }

    fn padding_length(
        &mut self,
        now: Time,
        padding: u32,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        let data = &mut self.input.data;
        data.pad_due = false;
        data.content = data.content.checked_sub(padding).ok_or(&fault::BAD_PADDING)?;
        data.padding = padding;
        let (content, end_stream) = (data.content, data.end_stream);
        if content == 0 && !end_stream {
            self.spend(now)?;
        }
        if let Some(slot) = self.live_data_slot()
            && let Err(breach) = self.admit_content(slot, content, end_stream)
        {
            self.input.data.dropped = true;
            self.breach(breach, Some(slot), sink);
        }
        Ok(())
    }

    /// Passes content on.
    #[inline]
    fn content(&mut self, len: u32, bytes: &[u8], sink: &mut impl Sink) {
        if len == 0 {
            return;
        }
        if let Some(slot) = self.live_data_slot() {
            self.stats.data_bytes += u64::from(len);
            self.budget.earn();
            sink.body(self.streams.at(slot).token, u64::from(len), bytes);
        }
    }

    #[inline]
    fn end_data_if_complete(&mut self, sink: &mut impl Sink) {
        let data = &self.input.data;
        if data.content + data.padding > 0 || data.pad_due {
            return;
        }
        self.input.phase = Phase::Header;
        if data.end_stream
            && let Some(slot) = self.live_data_slot()
        {
            self.complete(slot, sink);
        }
    }
}

/// Everything else.
impl Connection {
    fn settings(&mut self, now: Time, entries: &[u8], sink: &mut impl Sink) -> Result<(), &'static Breach> {
        self.spend(now)?;
        let before = self.peer;
        let writer = &mut self.writer;
        self.peer.apply(entries, |size| writer.set_peer_max_size(size))?;
        self.acknowledge(kind::SETTINGS, &[])?;
        let change = i64::from(self.peer.initial_window) - i64::from(before.initial_window);
        if change != 0 {
            self.change_initial_window(change)?;
        }
        if !before.seen || self.peer.max_streams > before.max_streams {
            sink.ready();
        }
        Ok(())
    }

    /// All streams' windows move with the initial one (RFC 9113 section 6.9.2).
    fn change_initial_window(&mut self, change: i64) -> Result<(), &'static Breach> {
        for stream in self.streams.each_live() {
            if stream.send_window.change(change).is_err() {
                return Err(&fault::INITIAL_WINDOW_OVERFLOW);
            }
            if stream.upload != NO_UPLOAD {
                self.uploads.requeue(stream.upload, stream.send_window.available() > 0);
            }
        }
        Ok(())
    }

    fn window_update(
        &mut self,
        now: Time,
        stream: u32,
        increment: u32,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        self.spend(now)?;
        if stream == 0 {
            if increment == 0 {
                return Err(&fault::WINDOW_UPDATE_ZERO_CONNECTION);
            }
            let overflow = |_| &fault::SEND_WINDOW_CONNECTION;
            return self.send_window.change(i64::from(increment)).map_err(overflow);
        }
        let slot = match self.streams.find(stream) {
            Found::Live(slot) => slot,
            // It may have crossed the end of the stream (section 5.1).
            Found::Ended | Found::Gone => return Ok(()),
            Found::Idle => {
                return Err(&fault::WINDOW_UPDATE_IDLE);
            }
        };
        let s = self.streams.at(slot);
        if increment == 0 {
            self.breach(&fault::WINDOW_UPDATE_ZERO_STREAM, Some(slot), sink);
        } else if s.send_window.change(i64::from(increment)).is_err() {
            self.breach(&fault::SEND_WINDOW_STREAM, Some(slot), sink);
        } else if s.upload != NO_UPLOAD {
            self.uploads.requeue(s.upload, s.send_window.available() > 0);
        }
        Ok(())
    }

    fn reset_by_peer(
        &mut self,
        now: Time,
        stream: u32,
        code: Code,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        match self.streams.find(stream) {
            Found::Live(slot) => {
                let error = Error::peer(Kind::StreamReset(code.0), "the server reset the stream");
                self.fail(slot, error, code == Code::REFUSED_STREAM, sink);
                self.close_if_drained(sink);
                Ok(())
            }
            // After a whole response: "stop sending, without error" (RFC 9113 section 8.1), or it crossed ours.
            Found::Ended | Found::Gone => self.spend(now),
            Found::Idle => Err(&fault::RST_STREAM_IDLE),
        }
    }

    fn go_away(&mut self, now: Time, gone: GoneAway, sink: &mut impl Sink) -> Result<(), &'static Breach> {
        self.spend(now)?;
        if self.gone_away.is_some_and(|before| gone.last > before.last) {
            return Err(&fault::GOAWAY_GREW);
        }
        self.gone_away = Some(gone);
        self.stats.goaway_code = Some(gone.code.0);
        self.outbox.drop_streams_above(gone.last);
        self.drain(sink);
        for slot in self.streams.live_above(gone.last) {
            let error = super::went_away(gone);
            self.fail(slot, error, true, sink);
        }
        self.close_if_drained(sink);
        Ok(())
    }
}
