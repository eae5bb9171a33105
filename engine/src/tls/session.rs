//! The TLS of one connection, sans-IO: records in, plaintext out, and the other way. Part of `tls.rs`, which makes them; the
//! core holds one for each link over TLS.
//!
//! Handshakes, keys, alerts and the order of things are rustls', by its unbuffered API. Records are decrypted where they
//! were received, and their plaintext is handed on from there, see `suites.rs`; only a record that came in pieces is put
//! together first.

use super::{TLS13, explain, group_name, iana_name, key_of, suites};
use crate::limits;
use crate::stats::TlsFacts;
use rustls::HandshakeKind;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, WriteTraffic};

/// Octets of a record's header (RFC 8446 section 5.1).
const HEADER: usize = 5;
/// Most plaintext of a record.
const FRAGMENT: usize = 1 << 14;
/// What sealing adds to it at most: a header, the explicit nonce of TLS 1.2, the type of TLS 1.3, and the tag.
const SEALING: usize = HEADER + 8 + 1 + 16;

/// The TLS of one connection.
pub(crate) struct TlsSession {
    tls: UnbufferedClientConnection,
    input: Input,
    /// Received bytes that the library still needs: the start of a record, and before it perhaps that of a handshake message,
    /// which it has read. Empty as a rule.
    pending: Vec<u8>,
    /// Where in `pending` that record starts.
    unread: usize,
    /// Records to send that came of receiving.
    output: Vec<u8>,
}

/// Where the received side stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    Open,
    /// The peer closed it in order.
    Closed,
    /// An error was found. The library is not to be asked for more.
    Broken,
}

/// What came of feeding records.
pub(crate) struct Fed {
    /// The peer closed its side in order.
    pub(crate) closed: bool,
}

/// Memory for records that come in pieces, shared by the connections of a core: one that waits for a response holds none.
#[derive(Default)]
pub(crate) struct Pieces(Vec<Vec<u8>>);

impl Pieces {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_else(|| Vec::with_capacity(limits::TLS_RECORD_MAX))
    }

    fn keep(&mut self, mut piece: Vec<u8>) {
        if self.0.len() < limits::TLS_PIECES && piece.capacity() == limits::TLS_RECORD_MAX {
            piece.clear();
            self.0.push(piece);
        }
    }
}

impl TlsSession {
    pub(super) fn new(tls: UnbufferedClientConnection) -> TlsSession {
        TlsSession { tls, input: Input::Open, pending: Vec::new(), unread: 0, output: Vec::new() }
    }

    /// Whether the handshake still goes on.
    #[inline]
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    // ---- receiving ----

    /// Takes received bytes, decrypts them where they are, and hands each piece of plaintext to `plain`. Errors are in words
    /// for people, with the remedy where there is one.
    pub(crate) fn feed(
        &mut self,
        records: &mut [u8],
        pieces: &mut Pieces,
        mut plain: impl FnMut(&[u8]),
    ) -> Result<Fed, String> {
        let mut rest = records;
        while !self.pending.is_empty() && !rest.is_empty() && self.input == Input::Open {
            let piece;
            (piece, rest) = rest.split_at_mut(missing(&self.pending[self.unread..]).min(rest.len()));
            self.pending.extend_from_slice(piece);
            self.open_pending(pieces, &mut plain)?;
        }
        if !rest.is_empty() && self.input == Input::Open {
            // Counted before: what is opened is overwritten.
            let whole = whole(rest);
            let used = self.open(rest, &mut plain)?;
            if used < rest.len() && self.input == Input::Open {
                self.pending = pieces.take();
                self.pending.extend_from_slice(&rest[used..]);
                self.unread = whole.saturating_sub(used);
            }
        }
        Ok(Fed { closed: self.input == Input::Closed })
    }

    /// Opens what came in pieces, as far as it is there.
    fn open_pending(&mut self, pieces: &mut Pieces, plain: &mut impl FnMut(&[u8])) -> Result<(), String> {
        let mut pending = std::mem::take(&mut self.pending);
        if pending.len() > limits::TLS_PENDING {
            self.input = Input::Broken;
            return Err("the server sends a TLS handshake message that is too long".into());
        }
        let whole = self.unread + whole(&pending[self.unread..]);
        let used = self.open(&mut pending, plain)?;
        if used >= pending.len() || self.input != Input::Open {
            pieces.keep(pending);
            self.unread = 0;
        } else {
            pending.drain(..used);
            self.pending = pending;
            self.unread = whole.saturating_sub(used);
        }
        Ok(())
    }

    /// Opens the whole records in `buffer`. Returns how many bytes from its start the library no longer needs.
    fn open(&mut self, buffer: &mut [u8], plain: &mut impl FnMut(&[u8])) -> Result<usize, String> {
        let mut used = 0;
        loop {
            let status = self.tls.process_tls_records(&mut buffer[used..]);
            let discard = status.discard;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    // The first byte of it, which says that the record is accepted.
                    let accepted = traffic.next_record().is_some();
                    assert!(accepted && traffic.next_record().is_none(), "one record of data at a time");
                    let place = suites::take_place(&buffer[used..]);
                    plain(&buffer[used..][place]);
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.output),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.input = Input::Closed,
                Ok(_) => return Ok(used + discard),
                Err(error) => {
                    let words = explain(&error);
                    self.input = Input::Broken;
                    self.take_alerts(&mut buffer[used + discard..]);
                    return Err(words);
                }
            }
            used += discard;
        }
    }

    /// Takes what the library answers to an error found in these records, and has it read nothing more of them.
    fn take_alerts(&mut self, records: &mut [u8]) {
        while self.tls.wants_write() {
            match self.tls.process_tls_records(records).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.output),
                _ => return,
            }
        }
    }

    // ---- sending ----

    /// Appends all records that wait to be sent, and then those of this plaintext. For when the handshake is over.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.take_output(out);
        for fragment in plain.chunks(FRAGMENT) {
            self.write(out, |traffic, out| {
                append(out, fragment.len() + SEALING, |room| {
                    traffic.encrypt(fragment, room).map_err(|e| encryption_room(&e))
                });
            });
        }
    }

    /// Whether there are records to send.
    #[inline]
    pub(crate) fn wants_output(&self) -> bool {
        !self.output.is_empty() || (self.tls.wants_write() && self.input != Input::Broken)
    }

    /// Appends the records that wait to be sent.
    pub(crate) fn take_output(&mut self, out: &mut Vec<u8>) {
        if !self.output.is_empty() {
            // Given up, not kept: after the handshake there is hardly anything.
            out.extend_from_slice(&std::mem::take(&mut self.output));
        }
        if self.tls.wants_write() {
            self.write(out, |_, _| ());
        }
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self) {
        let mut output = std::mem::take(&mut self.output);
        self.write(&mut output, |traffic, out| {
            append(out, 2 + SEALING, |room| {
                traffic.queue_close_notify(room).map_err(|e| encryption_room(&e))
            });
        });
        self.output = output;
    }

    /// Appends what the library has to send and then, if data may be sent by now, what `then` writes.
    fn write(
        &mut self,
        out: &mut Vec<u8>,
        then: impl FnOnce(&mut WriteTraffic<'_, ClientConnectionData>, &mut Vec<u8>),
    ) {
        if self.input == Input::Broken {
            return;
        }
        loop {
            // There is nothing whole to read in `pending`, but the library counts on what it has left there.
            match self.tls.process_tls_records(&mut self.pending).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::WriteTraffic(mut traffic)) => return then(&mut traffic, out),
                _ => return,
            }
        }
    }

    /// Bytes of records kept until the rest of them comes.
    #[cfg(test)]
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    // ---- what was agreed on ----

    /// Whether the handshake, now over, resumed an earlier session.
    pub(crate) fn resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether a ticket of TLS 1.3 may come yet and none has.
    pub(crate) fn awaits_ticket(&self) -> bool {
        self.tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3)
            && self.tls.tls13_tickets_received() == 0
    }

    /// The protocol that ALPN agreed on.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// What was agreed on.
    pub(crate) fn facts(&self) -> TlsFacts {
        let version = match self.tls.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => TLS13.into(),
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".into(),
            other => format!("{other:?}"),
        };
        let cipher = self.tls.negotiated_cipher_suite().map(|s| iana_name(s.suite())).unwrap_or_default();
        let group =
            self.tls.negotiated_key_exchange_group().map(|g| group_name(g.name())).unwrap_or_default();
        let leaf = self.tls.peer_certificates().and_then(|c| c.first());
        let certificate = leaf.and_then(|c| key_of(c)).unwrap_or_default();
        TlsFacts { version, cipher, group, certificate, resumed: self.resumed() }
    }
}

/// Length of the whole records at the start.
fn whole(records: &[u8]) -> usize {
    let mut end = 0;
    while let Some(len) = record_len(&records[end..]).filter(|len| *len <= records.len() - end) {
        end += len;
    }
    end
}

/// How many bytes the record that starts here still lacks, or its header where that is not whole. Never none, so that feeding
/// gets on whatever the library makes of it.
fn missing(record: &[u8]) -> usize {
    record_len(record).unwrap_or(HEADER).saturating_sub(record.len()).max(1)
}

/// Length of the record that starts here, with its header, if that is there.
fn record_len(record: &[u8]) -> Option<usize> {
    let header = record.get(..HEADER)?;
    Some(HEADER + usize::from(u16::from_be_bytes([header[3], header[4]])))
}

fn encode(mut data: EncodeTlsData<'_, ClientConnectionData>, out: &mut Vec<u8>) {
    append(out, 0, |room| {
        data.encode(room).map_err(|e| match e {
            EncodeError::InsufficientSize(needed) => Some(needed.required_size),
            EncodeError::AlreadyEncoded => None,
        })
    });
}

/// What encrypting wants to have room for. `None`: these keys have encrypted all they may, and the library closes.
fn encryption_room(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(needed) => Some(needed.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

/// Appends what `write` writes to a slice of `room` bytes, or of as many as it then says that it needs.
fn append(
    out: &mut Vec<u8>,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) {
    let start = out.len();
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Ok(n) => return out.truncate(start + n),
            Err(Some(needed)) if needed > room => room = needed,
            Err(_) => return out.truncate(start),
        }
    }
}
