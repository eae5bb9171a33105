//! What the bytes of streams mean. This half of a connection knows nothing of QUIC, so it can work on bytes that QUIC
//! still lends; what it wants done there it returns.

use crate::control::{Control, Said};
use crate::fault::{self, Breach};
use crate::frame::{Item, OnRequest, on_request};
use crate::incoming::Incoming;
use crate::limits;
use crate::qpack::{self, PeerDecoder};
use crate::response::HeadReader;
use crate::streams::{Early, Part, Stream, Streams};
use proto::{ConnStats, Sink, Time};
use proto_h2::budget::Budget;
use proto_h2::head::{Head, NO_LENGTH, NO_STATUS};

/// RFC 8470 section 5.2.
const TOO_EARLY: u16 = 425;

/// See the file's header.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) streams: Streams,
    pub(super) incoming: Incoming,
    pub(super) reader: HeadReader,
    pub(super) stats: ConnStats,
    /// The last GOAWAY.
    pub(super) gone_away: Option<u64>,
    /// Instructions for the peer's encoder, still to be given to QUIC.
    pub(super) decoder_out: Vec<u8>,
    /// Slots of the streams that wait for the encoder stream.
    pub(super) waiting: Vec<usize>,
    /// Slots of the requests that were submitted since datagrams were last handed out: nothing of them can have left.
    pub(super) fresh: Vec<u32>,
    blocked_streams: usize,
    control: Control,
    peer_decoder: PeerDecoder,
    budget: Budget,
}

impl Http {
    pub(super) fn new(table_size: u32, blocked_streams: u16) -> Http {
        Http {
            streams: Streams::default(),
            incoming: Incoming::default(),
            reader: HeadReader::new(table_size),
            stats: ConnStats::default(),
            gone_away: None,
            decoder_out: Vec::new(),
            waiting: Vec::new(),
            fresh: Vec::new(),
            blocked_streams: usize::from(blocked_streams),
            control: Control::default(),
            peer_decoder: PeerDecoder::default(),
            budget: Budget::new(),
        }
    }

    pub(super) fn footprint(&self) -> usize {
        self.streams.footprint() + self.reader.footprint() + self.decoder_out.capacity()
    }

    /// A frame that carries nothing for us came.
    fn spend(&mut self, now: Time) -> Result<(), &'static Breach> {
        if self.budget.take(now) { Ok(()) } else { Err(&fault::FLOOD) }
    }

    /// What was on its way when we reset a stream is not the peer's fault.
    pub(super) fn earn(&mut self) {
        self.budget.earn();
    }

    /// Takes a request that failed out of the books; returns it with how many bytes kept of its stream nobody will read.
    pub(super) fn give_up(&mut self, slot: usize) -> (&Stream, u64) {
        let kept = self.streams.aside(slot).map_or(0, |aside| aside.rest.len() as u64);
        self.waiting.retain(|s| *s != slot);
        self.fresh.retain(|s| *s as usize != slot);
        (self.streams.retire(slot), kept)
    }
}

/// Streams of requests.
impl Http {
    /// Takes bytes of a response; returns how many. Fewer than all: the stream waits for the encoder stream.
    #[inline]
    pub(super) fn response_bytes(
        &mut self,
        now: Time,
        slot: usize,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<usize, &'static Breach> {
        let mut rest = bytes;
        while let Some(item) = self.streams.at(slot).reader.next(&mut rest) {
            match item {
                Item::Frame { kind, len } => self.begin_frame(now, slot, kind, len, sink)?,
                Item::Payload { bytes, last } => self.payload(slot, bytes, last, sink)?,
            }
            if self.streams.peek(slot).blocked {
                break;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    #[inline]
    fn begin_frame(
        &mut self,
        now: Time,
        slot: usize,
        kind: u64,
        len: u64,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        let frame = on_request(kind)?;
        let stream = self.streams.at(slot);
        stream.frame = frame;
        match frame {
            OnRequest::Data if stream.part == Part::Before => Err(&fault::DATA_BEFORE_HEAD),
            OnRequest::Data | OnRequest::Headers if stream.part == Part::Trailers => {
                Err(&fault::AFTER_TRAILERS)
            }
            OnRequest::Data if len == 0 => self.spend(now),
            OnRequest::Data if stream.no_content => Err(&fault::CONTENT_NOT_ALLOWED),
            OnRequest::Data if stream.length_left == NO_LENGTH => Ok(()),
            OnRequest::Data => {
                stream.length_left = stream.length_left.checked_sub(len).ok_or(&fault::WRONG_LENGTH)?;
                Ok(())
            }
            OnRequest::Headers if len > limits::HEADER_SECTION => Err(&fault::BLOCK_TOO_LARGE),
            OnRequest::Headers => {
                if len == 0 {
                    self.section(slot, &[], sink)
                } else {
                    Ok(())
                }
            }
            OnRequest::Skip => self.spend(now),
        }
    }

    #[inline]
    fn payload(
        &mut self,
        slot: usize,
        bytes: &[u8],
        last: bool,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        let (frame, token) = (self.streams.peek(slot).frame, self.streams.peek(slot).token);
        match frame {
            OnRequest::Data => {
                let len = bytes.len() as u64;
                self.stats.data_bytes += len;
                self.budget.earn();
                sink.body(token, len, bytes);
                Ok(())
            }
            // A whole section in one piece, as nearly all are: nothing to assemble.
            OnRequest::Headers if last && self.streams.aside(slot).is_none_or(|a| a.section.is_empty()) => {
                self.section(slot, bytes, sink)
            }
            OnRequest::Headers => {
                self.streams.aside_mut(slot).section.extend_from_slice(bytes);
                if last { self.kept_section(slot, sink) } else { Ok(()) }
            }
            OnRequest::Skip => Ok(()),
        }
    }

    /// The section that a stream keeps is whole.
    fn kept_section(&mut self, slot: usize, sink: &mut impl Sink) -> Result<(), &'static Breach> {
        let mut bytes = std::mem::take(&mut self.streams.aside_mut(slot).section);
        let result = self.section(slot, &bytes, sink);
        if !self.streams.peek(slot).blocked {
            bytes.clear();
            self.streams.aside_mut(slot).section = bytes;
        }
        result
    }

    /// A stream that waited is tried again; false if it still waits.
    pub(super) fn retry(&mut self, slot: usize, sink: &mut impl Sink) -> Result<bool, &'static Breach> {
        self.streams.at(slot).blocked = false;
        self.waiting.retain(|s| *s != slot);
        self.kept_section(slot, sink)?;
        Ok(!self.streams.peek(slot).blocked)
    }

    /// A whole header section.
    #[inline]
    fn section(&mut self, slot: usize, bytes: &[u8], sink: &mut impl Sink) -> Result<(), &'static Breach> {
        let stream = self.streams.at(slot);
        let (list, id) = (stream.fields, stream.id);
        let (head, section) = match self.reader.read(bytes, list) {
            Ok(read) => read,
            Err(qpack::Error::Blocked) => return self.wait(slot, bytes),
            Err(e) => return Err(fault::decompression(e)),
        };
        self.reader.decoder.acknowledge(id.0, section, &mut self.decoder_out);
        self.stats.header_bytes += bytes.len() as u64;
        self.stats.header_bytes_decoded += head.decoded;
        match (self.streams.peek(slot).part, head.status) {
            (Part::Head | Part::Trailers, _) => self.trailers(slot, &head, sink),
            (Part::Before, 100..=199) => self.informational(slot, &head, sink),
            (Part::Before, _) => self.response(slot, &head, sink),
        }
    }

    #[cold]
    fn wait(&mut self, slot: usize, bytes: &[u8]) -> Result<(), &'static Breach> {
        if self.waiting.len() >= self.blocked_streams {
            return Err(&fault::TOO_MANY_BLOCKED);
        }
        self.waiting.push(slot);
        self.streams.at(slot).blocked = true;
        let section = &mut self.streams.aside_mut(slot).section;
        section.clear();
        section.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn response(&mut self, slot: usize, head: &Head, sink: &mut impl Sink) -> Result<(), &'static Breach> {
        well_formed(head)?;
        if head.status == NO_STATUS {
            return Err(&fault::NO_STATUS);
        }
        if head.status == TOO_EARLY && self.streams.peek(slot).early == Early::Out {
            return Err(&fault::TOO_EARLY);
        }
        let stream = self.streams.at(slot);
        stream.part = Part::Head;
        stream.no_content = stream.is_head || matches!(head.status, 204 | 304);
        stream.length_left = if stream.no_content { NO_LENGTH } else { head.length };
        if stream.fields {
            sink.head(stream.token, head.status, &self.reader.fields);
        } else {
            sink.head(stream.token, head.status, &());
        }
        Ok(())
    }

    fn informational(
        &mut self,
        slot: usize,
        head: &Head,
        sink: &mut impl Sink,
    ) -> Result<(), &'static Breach> {
        well_formed(head)?;
        if head.status == 101 {
            return Err(&fault::SWITCHING_PROTOCOLS);
        }
        let stream = self.streams.at(slot);
        stream.informational += 1;
        if stream.informational > limits::INFORMATIONAL {
            return Err(&fault::INFORMATIONAL_FLOOD);
        }
        let token = stream.token;
        if head.status == 100 {
            self.streams.release(slot);
        }
        self.stats.informational += 1;
        sink.informational(token, head.status);
        Ok(())
    }

    fn trailers(&mut self, slot: usize, head: &Head, sink: &mut impl Sink) -> Result<(), &'static Breach> {
        well_formed(head)?;
        if head.status != NO_STATUS {
            return Err(&fault::TRAILERS_PSEUDO);
        }
        let stream = self.streams.at(slot);
        if !matches!(stream.length_left, 0 | NO_LENGTH) {
            return Err(&fault::WRONG_LENGTH);
        }
        stream.part = Part::Trailers;
        if stream.fields {
            sink.trailers(stream.token, &self.reader.fields);
        } else {
            sink.trailers(stream.token, &());
        }
        Ok(())
    }

    /// The response stream ended: is it whole?
    #[inline]
    pub(super) fn end_of_response(&mut self, slot: usize) -> Result<(), &'static Breach> {
        let stream = self.streams.peek(slot);
        if !stream.reader.is_between_frames() {
            return Err(&fault::TRUNCATED);
        }
        if stream.part == Part::Before {
            return Err(&fault::NO_HEAD);
        }
        if !matches!(stream.length_left, 0 | NO_LENGTH) {
            return Err(&fault::WRONG_LENGTH);
        }
        Ok(())
    }
}

#[inline]
fn well_formed(head: &Head) -> Result<(), &'static Breach> {
    match head.problem() {
        Some(malformed) => Err(fault::of_head(malformed)),
        None => Ok(()),
    }
}

/// Streams of the server.
impl Http {
    /// The control stream; returns whether the server goes away.
    pub(super) fn control_bytes(&mut self, now: Time, bytes: &[u8]) -> Result<bool, &'static Breach> {
        let mut leaving = false;
        let (budget, gone_away) = (&mut self.budget, &mut self.gone_away);
        self.control.receive(bytes, |said| {
            if !budget.take(now) {
                return Err(&fault::FLOOD);
            }
            if let Said::GoAway(id) = said {
                if gone_away.is_some_and(|before| id > before) {
                    return Err(&fault::GOAWAY_GREW);
                }
                *gone_away = Some(id);
                leaving = true;
            }
            Ok(())
        })?;
        Ok(leaving)
    }

    /// The peer's encoder stream.
    pub(super) fn encoder_bytes(&mut self, bytes: &[u8]) -> Result<(), &'static Breach> {
        self.reader.decoder.handle_encoder_stream(bytes).map_err(fault::encoder_stream)
    }

    /// The peer's decoder stream.
    pub(super) fn decoder_bytes(&mut self, now: Time, bytes: &[u8]) -> Result<(), &'static Breach> {
        let n = self.peer_decoder.receive(bytes).map_err(fault::decoder_stream)?;
        (0..n).try_for_each(|_| self.spend(now))
    }
}
