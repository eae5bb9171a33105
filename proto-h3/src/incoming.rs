//! Unidirectional streams of the server (RFC 9114 section 6.2) until their type is known, and which streams the three
//! critical ones are.

use crate::fault::{self, Breach};
use crate::frame::{stream, take_varint};
use proto_quic::StreamId;

/// What a stream of the server carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Not known yet: the beginning of its type.
    Unknown {
        /// Bytes of the type so far.
        partial: [u8; 8],
        /// How many.
        len: u8,
    },
    /// Frames of the control stream.
    Control,
    /// QPACK's encoder stream.
    Encoder,
    /// QPACK's decoder stream.
    Decoder,
    /// Something that we do not know, which is nobody's fault (section 6.2.3).
    Nothing,
}

/// The streams open now. Bounded by what the transport allows.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    open: Vec<(StreamId, Carries)>,
    control: bool,
    encoder: bool,
    decoder: bool,
}

impl Incoming {
    /// The server opened one.
    pub(crate) fn add(&mut self, id: StreamId) {
        self.open.push((id, Carries::Unknown { partial: [0; 8], len: 0 }));
    }

    /// What a stream carries, as far as known.
    pub(crate) fn find(&self, id: StreamId) -> Option<Carries> {
        self.open.iter().find(|e| e.0 == id).map(|e| e.1)
    }

    /// It is over.
    pub(crate) fn remove(&mut self, id: StreamId) {
        self.open.retain(|e| e.0 != id);
    }

    /// Reads the type off the front of a stream's bytes.
    pub(crate) fn read_type(&mut self, id: StreamId, bytes: &mut &[u8]) -> Result<Carries, &'static Breach> {
        let Some(entry) = self.open.iter_mut().find(|e| e.0 == id) else { return Ok(Carries::Nothing) };
        let Carries::Unknown { mut partial, mut len } = entry.1 else { return Ok(entry.1) };
        let mut kind = None;
        while kind.is_none()
            && let Some((&b, rest)) = bytes.split_first()
        {
            *bytes = rest;
            partial[usize::from(len)] = b;
            len += 1;
            kind = take_varint(&mut &partial[..usize::from(len)]);
        }
        let (carries, seen, breach) = match kind {
            None => {
                entry.1 = Carries::Unknown { partial, len };
                return Ok(entry.1);
            }
            Some(stream::CONTROL) => (Carries::Control, &mut self.control, &fault::SECOND_CONTROL),
            Some(stream::QPACK_ENCODER) => (Carries::Encoder, &mut self.encoder, &fault::SECOND_QPACK),
            Some(stream::QPACK_DECODER) => (Carries::Decoder, &mut self.decoder, &fault::SECOND_QPACK),
            Some(stream::PUSH) => return Err(&fault::PUSH_STREAM),
            Some(_) => {
                entry.1 = Carries::Nothing;
                return Ok(Carries::Nothing);
            }
        };
        if std::mem::replace(seen, true) {
            return Err(breach);
        }
        entry.1 = carries;
        Ok(carries)
    }
}
