//! What frames mean (RFC 9000 section 19).

use super::{Connection, State};
use crate::ecn::{CE, ECT0, ECT1};
use crate::error::{Lost, Violation, code};
use crate::event::Receiver;
use crate::frame::{self, Frame, In};
use crate::limits;
use crate::packet::Level;
use crate::params::ACK_DELAY;
use crate::space::DATA;
use crate::stream_id::StreamId;
use crate::streams::Piece;
use proto::Time;

impl Connection {
    pub(super) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// The frames of a packet that was not read before.
    #[inline]
    pub(super) fn payload(
        &mut self,
        now: Time,
        space: usize,
        number: u64,
        payload: &[u8],
        ecn: u8,
        to: &mut impl Receiver,
    ) -> Result<(), Violation> {
        let (mut rest, mut eliciting) = (payload, false);
        let within = if space == DATA { In::OneRtt } else { In::InitialOrHandshake };
        while !rest.is_empty() {
            let frame = frame::next(&mut rest, within)?;
            eliciting |= frame.is_eliciting();
            if let Frame::Stream { id, offset, fin, data } = frame {
                self.streams.on_stream(Piece { id: StreamId(id), offset, data, fin }, to)?;
            } else {
                self.frame(now, space, frame, to)?;
                // CONNECTION_CLOSE ends it all.
                if self.is_over() {
                    return Ok(());
                }
            }
        }
        self.received(now, space, number, eliciting, ecn);
        Ok(())
    }

    /// Every other frame.
    fn frame(
        &mut self,
        now: Time,
        space: usize,
        frame: Frame<'_>,
        to: &mut impl Receiver,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Padding(_) | Frame::Ping => Ok(()),
            Frame::Ack(ack) => self.on_ack(now, space, ack),
            Frame::Crypto { offset, data } => self.on_crypto(space, offset, data),
            Frame::Stream { .. } => Ok(()),
            Frame::ResetStream { id, code, size } => self.streams.on_reset(StreamId(id), code, size, to),
            Frame::StopSending { id, code } => self.streams.on_stop(StreamId(id), code, to),
            Frame::MaxData(limit) => {
                self.streams.on_max_data(limit);
                Ok(())
            }
            Frame::MaxStreamData { id, limit } => self.streams.on_max_stream_data(StreamId(id), limit),
            Frame::MaxStreams { bi, limit } => {
                self.streams.on_max_streams(bi, limit);
                Ok(())
            }
            Frame::StreamDataBlocked { id, .. } => self.streams.on_stream_blocked(StreamId(id)),
            // What stands in the server's way is lifted when its data was consumed, not because it asks; tokens are for
            // connections to come, which have addresses of their own.
            Frame::DataBlocked(_) | Frame::StreamsBlocked { .. } | Frame::NewToken(_) => Ok(()),
            Frame::NewConnectionId { sequence, retire_prior_to, cid, token } => {
                self.cids.on_new(sequence, retire_prior_to, cid, *token)
            }
            // We gave out none: ours have no length (section 19.16).
            Frame::RetireConnectionId(_) => {
                Err(Violation::new(code::PROTOCOL_VIOLATION, "a connection id retired that was never given"))
            }
            Frame::PathChallenge(data) => {
                if self.path_responses.len() >= limits::PATH_RESPONSES {
                    self.path_responses.pop_front();
                }
                self.path_responses.push_back(data);
                Ok(())
            }
            // We challenge no path.
            Frame::PathResponse(_) => {
                Err(Violation::new(code::PROTOCOL_VIOLATION, "an answer to a challenge that was not made"))
            }
            Frame::HandshakeDone => {
                self.on_handshake_done(now);
                Ok(())
            }
            Frame::Close { application, code, reason } => {
                self.on_close(now, application, code, reason);
                Ok(())
            }
        }
    }

    /// CONNECTION_CLOSE (section 10.2.2): nothing more is said.
    fn on_close(&mut self, now: Time, application: bool, code: u64, reason: &[u8]) {
        let reason = String::from_utf8_lossy(reason).into_owned();
        self.lose(
            now,
            match application {
                true => Lost::ClosedByApplication { code, reason },
                false => Lost::ClosedByTransport { code, reason },
            },
        );
    }

    /// A packet was read: when it is to be acknowledged (section 13.2).
    #[inline]
    fn received(&mut self, now: Time, space: usize, number: u64, eliciting: bool, ecn: u8) {
        let s = &mut self.spaces[space];
        let expected = s.received.expected();
        s.received.insert(number);
        match ecn & CE {
            ECT0 => s.ecn.ect0 += 1,
            ECT1 => s.ecn.ect1 += 1,
            CE => s.ecn.ce += 1,
            _ => {}
        }
        if number >= expected {
            s.largest_received_at = now;
        }
        if !eliciting {
            return;
        }
        s.unacked += 1;
        // At once in the handshake, for every second packet, out of order, and where congestion shows (sections 13.2.1
        // and 13.2.2). What came in one batch is answered once, since datagrams are asked for when all of it was read. And at
        // once where no stream can be opened: many a server allows the next when it knows that a response has arrived.
        let waits = self.streams.bi_available() == 0;
        if space != DATA || s.unacked >= 2 || number != expected || ecn & CE == CE || waits {
            s.ack_now = true;
        } else if s.ack_at.is_none() {
            s.ack_at = Some(now.after(ACK_DELAY));
        }
    }

    /// What the packets of a space are, but for early data.
    pub(super) fn level_of(space: usize) -> Level {
        [Level::Initial, Level::Handshake, Level::OneRtt][space]
    }
}
