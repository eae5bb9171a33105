//! The handshake (RFC 9001 section 4, RFC 9000 section 7): what TLS says goes into CRYPTO frames, what it brings are keys and the
//! server's transport parameters.

use super::keys::OneRtt;
use super::{Connection, State};
use crate::crypto::KeyChange;
use crate::error::{Lost, Violation, code};
use crate::event::Event;
use crate::packet::VERSION;
use crate::params::TransportParams;
use crate::space::{DATA, HANDSHAKE, INITIAL};
use crate::streams::PeerLimits;
use proto::Time;

const UNEXPECTED_CRYPTO: Violation = Violation::new(code::PROTOCOL_VIOLATION, "TLS data where there is none");

impl Connection {
    /// The first flight, with early data if a session allows it.
    pub(super) fn begin_handshake(&mut self) {
        self.write_crypto();
        let Some(keys) = self.session.early_keys() else { return };
        let Some(Ok(params)) = self.session.transport_parameters().map(TransportParams::read) else { return };
        self.keys.early = Some(keys);
        self.early = true;
        self.streams.set_peer(limits_of(&params));
        self.peer = params.for_early();
    }

    /// The space that TLS writes in now.
    fn writing_space(&self) -> usize {
        match (&self.keys.one_rtt, &self.keys.handshake) {
            (Some(_), _) => DATA,
            _ if self.handshake_keys_came => HANDSHAKE,
            _ => INITIAL,
        }
    }

    fn write_crypto(&mut self) {
        loop {
            let space = self.writing_space();
            let mut out = Vec::new();
            let change = self.session.write_handshake(&mut out);
            if change.is_none() && out.is_empty() {
                return;
            }
            if !out.is_empty() {
                self.spaces[space].crypto_out.write(out.into(), false);
            }
            match change {
                Some(KeyChange::Handshake(keys)) => {
                    self.keys.handshake = Some(keys);
                    self.handshake_keys_came = true;
                }
                Some(KeyChange::OneRtt(keys)) => {
                    self.keys.one_rtt = Some(OneRtt::new(keys));
                    // RFC 9001 section 4.9.3.
                    self.keys.early = None;
                }
                None => {}
            }
        }
    }

    /// A CRYPTO frame.
    pub(super) fn on_crypto(&mut self, space: usize, offset: u64, data: &[u8]) -> Result<(), Violation> {
        let s = &mut self.spaces[space];
        let end = offset + data.len() as u64;
        if end > s.crypto_read + crate::limits::CRYPTO_BUFFER {
            return Err(Violation::new(code::CRYPTO_BUFFER_EXCEEDED, "too much of the handshake ahead"));
        }
        if end <= s.crypto_read {
            return Ok(());
        }
        // Nothing new may come at a level that is over (RFC 9001 section 4.1.3).
        if space == INITIAL && self.handshake_keys_came {
            return Err(UNEXPECTED_CRYPTO);
        }
        let known = s.crypto_read.saturating_sub(offset) as usize;
        let (offset, data) = (offset + known as u64, &data[known..]);
        if offset > s.crypto_read {
            return match s.crypto_in.insert(s.crypto_read, offset, data) {
                Ok(()) => Ok(()),
                Err(_) => Err(Violation::new(code::CRYPTO_BUFFER_EXCEEDED, "a handshake with too many gaps")),
            };
        }
        self.read_crypto(data)?;
        let s = &mut self.spaces[space];
        s.crypto_read = end;
        let more = s.crypto_in.ready(end).to_vec();
        if !more.is_empty() {
            self.read_crypto(&more)?;
        }
        let s = &mut self.spaces[space];
        s.crypto_read += more.len() as u64;
        s.crypto_in.advance(s.crypto_read);
        self.write_crypto();
        if self.state == State::Handshake && !self.session.is_handshaking() && self.keys.one_rtt.is_some() {
            self.complete()?;
        }
        Ok(())
    }

    fn read_crypto(&mut self, data: &[u8]) -> Result<(), Violation> {
        self.session.read_handshake(data).map_err(|e| Violation { code: e.code, reason: e.reason.into() })
    }

    /// TLS is done.
    fn complete(&mut self) -> Result<(), Violation> {
        const MISSING: Violation = Violation::new(0x16d, "no transport parameters (RFC 9001 section 8.2)");
        let params = TransportParams::read(self.session.transport_parameters().ok_or(MISSING)?)?;
        self.check_ids(&params)?;
        if self.early && !self.session.early_data_accepted() {
            // RFC 9001 section 4.6.2: as if it had never been sent.
            self.forget_sent(DATA);
            self.streams.forget_all();
        } else if self.early && params.shrank(&self.peer) {
            return Err(Violation::new(code::PROTOCOL_VIOLATION, "less allowed than early data relied on"));
        }
        if let Some(token) = params.reset_token {
            self.cids.set_token(token);
        }
        // RFC 9000 section 5.1.1: it has a number, though the address is not used, and may be retired by it.
        if let Some((id, token)) = params.preferred {
            self.cids.on_new(1, 0, id, token)?;
        }
        self.mtu.set_peer_limit(params.max_udp_payload);
        self.streams.set_peer(limits_of(&params));
        self.streams.more_available = false;
        self.idle.timeout = [self.idle.timeout, params.idle_timeout].into_iter().flatten().min();
        self.peer = params;
        self.state = State::Connected;
        self.events.push_back(Event::Connected);
        Ok(())
    }

    /// RFC 9000 section 7.3: nobody in between changed the ids.
    fn check_ids(&self, params: &TransportParams) -> Result<(), Violation> {
        let same = params.original_dcid == Some(self.first_dcid)
            && params.initial_scid == self.server_scid
            && params.retry_scid == self.retry_scid;
        match same {
            true => Ok(()),
            false => Err(Violation::new(code::TRANSPORT_PARAMETER, "the server's connection ids do not fit")),
        }
    }

    /// Retry (RFC 9000 section 17.2.5): from the beginning, with a token.
    pub(super) fn on_retry(&mut self, now: Time, packet: &[u8], scid: crate::cids::Cid, token: &[u8]) {
        let answered = self.retry_scid.is_some() || self.server_scid.is_some();
        if answered
            || token.is_empty()
            || scid == self.cids.active()
            || !self.session.is_valid_retry(self.cids.active().as_slice(), packet)
        {
            return;
        }
        self.retry_scid = Some(scid);
        self.token = token.to_vec();
        self.cids.replace_first(scid);
        self.keys.initial = Some(self.session.initial_keys(scid.as_slice()));
        self.forget_sent(INITIAL);
        self.spaces[INITIAL].crypto_out.rewind();
        // Early data was thrown away with it.
        self.requeue_all(DATA);
        self.pto_count = 0;
        self.deadlock_base = now;
    }

    /// Version negotiation (RFC 9000 section 6.2). We know one version only.
    pub(super) fn on_versions(&mut self, now: Time, dcid: &[u8], scid: crate::cids::Cid, list: &[u8]) {
        let answered = self.retry_scid.is_some() || self.server_scid.is_some();
        let ours = dcid.is_empty() && scid == self.first_dcid;
        let has_ours = list.as_chunks::<4>().0.iter().any(|v| u32::from_be_bytes(*v) == VERSION);
        if !answered && ours && !has_ours && !list.is_empty() {
            self.lose(now, Lost::VersionMismatch);
        }
    }

    /// HANDSHAKE_DONE (RFC 9001 section 4.9.2).
    pub(super) fn on_handshake_done(&mut self, now: Time) {
        if !self.confirmed {
            self.confirmed = true;
            self.discard(INITIAL);
            self.discard(HANDSHAKE);
            self.deadlock_base = now;
        }
    }

    /// The keys of a space are no longer needed (RFC 9001 section 4.9).
    pub(super) fn discard(&mut self, space: usize) {
        let keys = if space == INITIAL { &mut self.keys.initial } else { &mut self.keys.handshake };
        if keys.take().is_some() {
            self.forget_sent(space);
            self.spaces[space].discard();
            // RFC 9002 section 6.2.2.
            self.pto_count = 0;
        }
    }
}

fn limits_of(params: &TransportParams) -> PeerLimits {
    PeerLimits {
        max_data: params.max_data,
        max_bi: params.max_streams_bidi,
        max_uni: params.max_streams_uni,
        bi_window: params.max_stream_data_bidi_remote,
        uni_window: params.max_stream_data_uni,
    }
}
