//! What leaves: requests into QUIC's streams, datagrams out of it.

use super::Connection;
use crate::frame::stream::QPACK_DECODER;
use crate::limits;
use crate::streams::Early;
use bytes::Bytes;
use proto::{Sink, Time};
use proto_quic::Transmit;

impl Connection {
    /// Gives QUIC a request, but for what must wait.
    #[inline]
    pub(super) fn write(&mut self, slot: usize, [head, body]: [Bytes; 2]) {
        let stream = self.http.streams.peek(slot);
        let id = stream.id;
        if stream.early == Early::Waits {
            self.http.streams.aside_mut(slot).unwritten = [head, body];
            return;
        }
        self.dirty = true;
        if self.http.streams.is_held(slot) {
            self.quic.write(id, head, false);
            self.http.streams.aside_mut(slot).unwritten = [Bytes::new(), body];
            return;
        }
        if body.is_empty() {
            self.quic.write(id, head, true);
        } else {
            self.quic.write(id, head, false);
            self.quic.write(id, body, true);
        }
        self.http.streams.at(slot).written = true;
    }

    /// Goes on with a request that had to wait.
    pub(super) fn write_rest(&mut self, slot: usize) {
        if !self.http.streams.peek(slot).written {
            let rest = std::mem::take(&mut self.http.streams.aside_mut(slot).unwritten);
            self.write(slot, rest);
        }
    }

    /// Gives QUIC the instructions for the peer's encoder.
    fn write_instructions(&mut self) {
        self.http.reader.decoder.put_increment(&mut self.http.decoder_out);
        let out = &mut self.http.decoder_out;
        if out.is_empty() {
            return;
        }
        if self.decoder_stream.is_none() {
            self.decoder_stream = self.quic.open_uni();
            if self.decoder_stream.is_some() {
                out.insert(0, QPACK_DECODER as u8);
            }
        }
        // A peer that gives its stream no credit has them wait in QUIC.
        if let Some(id) = self.decoder_stream
            && self.quic.unsent(id) < limits::DECODER_STREAM_BACKLOG
        {
            self.quic.write(id, Bytes::copy_from_slice(out), false);
            out.clear();
        }
        if out.len() > limits::DECODER_STREAM_BACKLOG {
            out.clear();
        }
    }

    #[inline]
    pub(super) fn transmit(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<Transmit> {
        if !self.dirty {
            return None;
        }
        if !self.is_closed() {
            self.write_instructions();
        }
        // A probe of the path may be as large as what is being tried.
        if limit < usize::from(self.max_udp_payload) {
            return None;
        }
        let streams = &mut self.http.streams;
        let transmit = self.quic.poll_transmit(now, limit, out, &mut |id, cookie| {
            if let Some(slot) = streams.find(id, cookie) {
                let stream = streams.at(slot);
                stream.sent = true;
                sink.sent(stream.token);
            }
        });
        if transmit.is_some() {
            self.http.fresh.clear();
            return transmit;
        }
        self.dirty = false;
        self.after_silence(now, limit, out, sink)
    }

    /// QUIC has nothing to send. It may have ended meanwhile: where its keys were worn out, and could not be changed.
    fn after_silence(
        &mut self,
        now: Time,
        limit: usize,
        out: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) -> Option<Transmit> {
        if self.is_closed() {
            return None;
        }
        self.drive(now, sink);
        if self.is_closed() { self.quic.poll_transmit(now, limit, out, &mut |_, _| {}) } else { None }
    }

    /// Opens what is needed at the beginning.
    pub(super) fn open_control(&mut self) {
        // A peer that gives no credit for it breaks RFC 9114 section 6.2, and will miss our settings.
        if let Some(id) = self.quic.open_uni() {
            self.quic.write(id, Bytes::copy_from_slice(&self.control_stream), false);
        }
    }

    /// Resets both directions of a request that is given up.
    pub(super) fn abandon(&mut self, slot: usize, code: crate::Code) {
        let id = self.http.streams.peek(slot).id;
        self.quic.reset(id, code.0);
        self.quic.stop_sending(id, code.0);
        self.http.reader.decoder.cancel(id.0, &mut self.http.decoder_out);
        self.http.earn();
        self.dirty = true;
    }
}
