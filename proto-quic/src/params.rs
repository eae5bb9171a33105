//! Transport parameters (RFC 9000 section 18): ours written, the server's read and checked.

use crate::cids::Cid;
use crate::config::Config;
use crate::error::{Violation, code};
use crate::varint::{put, size, take};
use std::time::Duration;

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransportParams {
    pub(crate) original_dcid: Option<Cid>,
    pub(crate) initial_scid: Option<Cid>,
    pub(crate) retry_scid: Option<Cid>,
    pub(crate) reset_token: Option<[u8; 16]>,
    /// Of the address that the server would rather be reached at: an id and its token.
    pub(crate) preferred: Option<(Cid, [u8; 16])>,
    /// `None`: never.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_udp_payload: u64,
    pub(crate) max_data: u64,
    /// Of streams that it opens, that we open, and that go one way.
    pub(crate) max_stream_data_bidi_local: u64,
    pub(crate) max_stream_data_bidi_remote: u64,
    pub(crate) max_stream_data_uni: u64,
    pub(crate) max_streams_bidi: u64,
    pub(crate) max_streams_uni: u64,
    pub(crate) ack_delay_exponent: u8,
    pub(crate) max_ack_delay: Duration,
    pub(crate) active_cid_limit: u64,
}

/// What holds for acknowledgements if nothing is said (section 18.2); we say nothing.
pub(crate) const ACK_DELAY_EXPONENT: u8 = 3;
pub(crate) const MAX_ACK_DELAY: Duration = Duration::from_millis(25);
/// How long we wait: what is promised includes how late a timer may be.
pub(crate) const ACK_DELAY: Duration = Duration::from_millis(20);

impl Default for TransportParams {
    /// What holds if nothing is said (section 18.2).
    fn default() -> TransportParams {
        TransportParams {
            original_dcid: None,
            initial_scid: None,
            retry_scid: None,
            reset_token: None,
            preferred: None,
            idle_timeout: None,
            max_udp_payload: 65_527,
            max_data: 0,
            max_stream_data_bidi_local: 0,
            max_stream_data_bidi_remote: 0,
            max_stream_data_uni: 0,
            max_streams_bidi: 0,
            max_streams_uni: 0,
            ack_delay_exponent: ACK_DELAY_EXPONENT,
            max_ack_delay: MAX_ACK_DELAY,
            active_cid_limit: 2,
        }
    }
}

/// Identifiers (section 18.2).
mod id {
    pub(super) const ORIGINAL_DCID: u64 = 0x00;
    pub(super) const MAX_IDLE_TIMEOUT: u64 = 0x01;
    pub(super) const RESET_TOKEN: u64 = 0x02;
    pub(super) const MAX_UDP_PAYLOAD: u64 = 0x03;
    pub(super) const MAX_DATA: u64 = 0x04;
    pub(super) const BIDI_LOCAL: u64 = 0x05;
    pub(super) const BIDI_REMOTE: u64 = 0x06;
    pub(super) const UNI: u64 = 0x07;
    pub(super) const STREAMS_BIDI: u64 = 0x08;
    pub(super) const STREAMS_UNI: u64 = 0x09;
    pub(super) const ACK_DELAY_EXPONENT: u64 = 0x0a;
    pub(super) const MAX_ACK_DELAY: u64 = 0x0b;
    pub(super) const DISABLE_ACTIVE_MIGRATION: u64 = 0x0c;
    pub(super) const PREFERRED_ADDRESS: u64 = 0x0d;
    pub(super) const ACTIVE_CID_LIMIT: u64 = 0x0e;
    pub(super) const INITIAL_SCID: u64 = 0x0f;
    pub(super) const RETRY_SCID: u64 = 0x10;
    pub(super) const GREASE_QUIC_BIT: u64 = 0x2ab2;
}

const fn wrong(reason: &'static str) -> Violation {
    Violation::new(code::TRANSPORT_PARAMETER, reason)
}

/// Parameters read at most. There are 18, and a server may say some that nobody knows.
const MOST: usize = 128;

const MALFORMED: Violation = wrong("malformed transport parameters");
const VALUE: Violation = wrong("a transport parameter out of its range");

impl TransportParams {
    /// A server's (section 7.4): nothing twice, nothing out of range. What is unknown is passed over.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<TransportParams, Violation> {
        let (mut params, mut seen) = (TransportParams::default(), Vec::new());
        while !bytes.is_empty() {
            let (id, len) = take(&mut bytes).zip(take(&mut bytes)).ok_or(MALFORMED)?;
            let len = usize::try_from(len).map_err(|_| MALFORMED)?;
            let (value, rest) = bytes.split_at_checked(len).ok_or(MALFORMED)?;
            bytes = rest;
            // No server says so many; each is looked for among all before it.
            if seen.len() == MOST {
                return Err(MALFORMED);
            }
            if seen.contains(&id) {
                return Err(wrong("a transport parameter twice"));
            }
            seen.push(id);
            params.set(id, value)?;
        }
        // Section 18.2: who chose an id of no length cannot be reached elsewhere by one.
        if params.preferred.is_some() && params.initial_scid.is_some_and(|id| id.is_empty()) {
            return Err(wrong("a preferred address without a connection id"));
        }
        Ok(params)
    }

    fn set(&mut self, id: u64, value: &[u8]) -> Result<(), Violation> {
        match id {
            id::ORIGINAL_DCID => self.original_dcid = Some(cid(value)?),
            id::INITIAL_SCID => self.initial_scid = Some(cid(value)?),
            id::RETRY_SCID => self.retry_scid = Some(cid(value)?),
            id::RESET_TOKEN => self.reset_token = Some(value.try_into().map_err(|_| MALFORMED)?),
            id::MAX_IDLE_TIMEOUT => {
                let ms = number(value)?;
                self.idle_timeout = (ms > 0).then(|| Duration::from_millis(ms));
            }
            id::MAX_UDP_PAYLOAD => self.max_udp_payload = within(value, 1200, u64::MAX)?,
            id::MAX_DATA => self.max_data = number(value)?,
            id::BIDI_LOCAL => self.max_stream_data_bidi_local = number(value)?,
            id::BIDI_REMOTE => self.max_stream_data_bidi_remote = number(value)?,
            id::UNI => self.max_stream_data_uni = number(value)?,
            id::STREAMS_BIDI => self.max_streams_bidi = within(value, 0, 1 << 60)?,
            id::STREAMS_UNI => self.max_streams_uni = within(value, 0, 1 << 60)?,
            id::ACK_DELAY_EXPONENT => self.ack_delay_exponent = within(value, 0, 20)? as u8,
            id::MAX_ACK_DELAY => {
                self.max_ack_delay = Duration::from_millis(within(value, 0, (1 << 14) - 1)?);
            }
            id::ACTIVE_CID_LIMIT => self.active_cid_limit = within(value, 2, u64::MAX)?,
            // A flag has no value.
            id::DISABLE_ACTIVE_MIGRATION | id::GREASE_QUIC_BIT if !value.is_empty() => return Err(MALFORMED),
            id::PREFERRED_ADDRESS => self.preferred = Some(preferred(value).ok_or(MALFORMED)?),
            _ => {}
        }
        Ok(())
    }

    /// What of an earlier connection's holds for early data; the rest must not be remembered (section 7.4.1).
    pub(crate) fn for_early(self) -> TransportParams {
        TransportParams {
            original_dcid: None,
            initial_scid: None,
            retry_scid: None,
            reset_token: None,
            preferred: None,
            ack_delay_exponent: ACK_DELAY_EXPONENT,
            max_ack_delay: MAX_ACK_DELAY,
            ..self
        }
    }

    /// Whether anything became less than what early data relied on (section 7.4.1).
    pub(crate) fn shrank(&self, before: &TransportParams) -> bool {
        self.max_data < before.max_data
            || self.max_stream_data_bidi_remote < before.max_stream_data_bidi_remote
            || self.max_stream_data_uni < before.max_stream_data_uni
            || self.max_streams_bidi < before.max_streams_bidi
            || self.max_streams_uni < before.max_streams_uni
            || self.active_cid_limit < before.active_cid_limit
    }
}

/// Two addresses with ports, which are not used, an id that is not empty, a token.
fn preferred(value: &[u8]) -> Option<(Cid, [u8; 16])> {
    let (_addresses, mut rest) = value.split_at_checked(24)?;
    let id = Cid::take(&mut rest).filter(|id| !id.is_empty())?;
    Some((id, rest.try_into().ok()?))
}

fn cid(value: &[u8]) -> Result<Cid, Violation> {
    Cid::new(value).ok_or(MALFORMED)
}

fn number(mut value: &[u8]) -> Result<u64, Violation> {
    take(&mut value).filter(|_| value.is_empty()).ok_or(MALFORMED)
}

fn within(value: &[u8], least: u64, most: u64) -> Result<u64, Violation> {
    number(value).and_then(|n| if (least..=most).contains(&n) { Ok(n) } else { Err(VALUE) })
}

/// Ours: connection ids of no length, no bidirectional streams of the server.
pub(crate) fn write(config: &Config) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put_number = |id, value| {
        put(&mut out, id);
        put(&mut out, size(value) as u64);
        put(&mut out, value);
    };
    put_number(id::MAX_UDP_PAYLOAD, u64::from(*crate::limits::UDP_PAYLOAD.end()));
    put_number(id::MAX_DATA, config.connection_window);
    put_number(id::BIDI_LOCAL, config.stream_window);
    put_number(id::UNI, config.stream_window);
    put_number(id::STREAMS_UNI, config.uni_streams);
    if let Some(idle) = config.idle_timeout {
        put_number(id::MAX_IDLE_TIMEOUT, (idle.as_millis() as u64).max(1));
    }
    for empty in [id::INITIAL_SCID, id::GREASE_QUIC_BIT] {
        put(&mut out, empty);
        put(&mut out, 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_can_be_read() {
        let config = Config { idle_timeout: Some(Duration::from_secs(7)), ..Config::default() };
        let read = TransportParams::read(&write(&config)).unwrap();
        assert_eq!((read.max_data, read.max_streams_uni), (config.connection_window, config.uni_streams));
        assert_eq!((read.idle_timeout, read.initial_scid), (config.idle_timeout, Some(Cid::default())));
        assert_eq!(
            (read.max_stream_data_bidi_local, read.max_stream_data_bidi_remote),
            (config.stream_window, 0)
        );
    }

    #[test]
    fn what_must_not_be() {
        for bad in [
            &[3, 2, 0x44, 0xaf][..], // 1199
            &[10, 1, 21],
            &[0x6a, 0xb2, 1, 0], // a flag with a value
            &[11, 4, 0x80, 0, 0x40, 0],
            &[14, 1, 1],
            &[4, 1, 5, 4, 1, 5],
            &[4, 2, 5, 5],
            &[4, 3, 5],
            &[2, 15, 0],
            &[8, 8, 0xd0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[13, 1, 0],
        ] {
            assert_eq!(
                TransportParams::read(bad).map_err(|v| v.code),
                Err(code::TRANSPORT_PARAMETER),
                "{bad:?}"
            );
        }
        assert_eq!(TransportParams::read(&[0x1b, 0]), Ok(TransportParams::default()));
    }

    #[test]
    fn a_preferred_address_needs_ids() {
        // Two addresses with ports, an id of one byte, a token; then the id that the server chose.
        let preferred = [&[13, 42][..], &[0; 24], &[1, 7], &[0; 16]].concat();
        let read = |scid: &[u8]| TransportParams::read(&[&preferred, scid].concat()).map_err(|v| v.code);
        assert!(read(&[15, 1, 9]).is_ok() && read(&[]).is_ok());
        assert_eq!(read(&[15, 0]), Err(code::TRANSPORT_PARAMETER));
    }

    #[test]
    fn early_data_relies_on_what_was_said() {
        let before = TransportParams { max_data: 5, max_streams_uni: 3, ..TransportParams::default() };
        assert!(
            !before.shrank(&before) && !TransportParams { max_data: 6, ..before.clone() }.shrank(&before)
        );
        assert!(TransportParams { max_streams_uni: 2, ..before.clone() }.shrank(&before));
    }
}
