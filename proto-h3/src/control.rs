//! The server's control stream (RFC 9114 section 6.2.1): SETTINGS, GOAWAY, and what may be passed over.

use crate::fault::{self, Breach};
use crate::frame::{Item, OnControl, Reader, on_control, take_varint};
use crate::limits;

/// What the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Its settings, which came once.
    Settings,
    /// Requests from this stream id on were not and will not be processed (section 5.2).
    GoAway(u64),
    /// A frame that means nothing to us.
    Nothing,
}

/// Reads it, whatever pieces it comes in.
#[derive(Debug, Default)]
pub(crate) struct Control {
    reader: Reader,
    /// SETTINGS began.
    begun: bool,
    frame: Option<OnControl>,
    /// The payload of a frame that is looked at whole.
    payload: Vec<u8>,
}

impl Control {
    /// Takes bytes and tells what they complete.
    pub(crate) fn receive(
        &mut self,
        mut bytes: &[u8],
        mut said: impl FnMut(Said) -> Result<(), &'static Breach>,
    ) -> Result<(), &'static Breach> {
        while let Some(item) = self.reader.next(&mut bytes) {
            let whole = match item {
                Item::Frame { kind, len } => {
                    let frame = on_control(kind, !self.begun)?;
                    self.begun = true;
                    if frame != OnControl::Skip && len > limits::CONTROL_FRAME {
                        return Err(&fault::CONTROL_TOO_LARGE);
                    }
                    self.frame = Some(frame);
                    self.payload.clear();
                    len == 0
                }
                Item::Payload { bytes, last } => {
                    if self.frame != Some(OnControl::Skip) {
                        self.payload.extend_from_slice(bytes);
                    }
                    last
                }
            };
            if whole {
                said(match self.frame.take() {
                    Some(OnControl::Settings) => settings(&self.payload).map(|()| Said::Settings)?,
                    Some(OnControl::GoAway) => Said::GoAway(go_away(&self.payload)?),
                    Some(OnControl::Skip) | None => Said::Nothing,
                })?;
                // Rarely more than one frame ever comes.
                self.payload = Vec::new();
            }
        }
        Ok(())
    }
}

/// Section 7.2.6.
fn go_away(mut payload: &[u8]) -> Result<u64, &'static Breach> {
    let id = take_varint(&mut payload).filter(|_| payload.is_empty()).ok_or(&fault::FRAME_SIZE)?;
    if id % 4 == 0 { Ok(id) } else { Err(&fault::GOAWAY_ID) }
}

/// Checks settings (section 7.2.4). None of them changes what we do: our requests use no dynamic table, and
/// MAX_FIELD_SECTION_SIZE is advice (a server that minds answers 431).
fn settings(mut payload: &[u8]) -> Result<(), &'static Breach> {
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 9220 section 3) and SETTINGS_H3_DATAGRAM (RFC 9297 section 2.1.1).
    const BOOLEAN: [u64; 2] = [0x8, 0x33];
    let mut seen = Vec::new();
    while !payload.is_empty() {
        let (id, value) =
            take_varint(&mut payload).zip(take_varint(&mut payload)).ok_or(&fault::FRAME_SIZE)?;
        if matches!(id, 0x0 | 0x2..=0x5) {
            return Err(&fault::SETTINGS_HTTP2);
        }
        if BOOLEAN.contains(&id) && value > 1 {
            return Err(&fault::SETTINGS_VALUE);
        }
        if seen.contains(&id) {
            return Err(&fault::SETTINGS_TWICE);
        }
        seen.push(id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{kind, put_frame};

    fn read(wire: &[u8], piece: usize) -> Result<Vec<Said>, &'static Breach> {
        let (mut control, mut out) = (Control::default(), Vec::new());
        for p in wire.chunks(piece) {
            control.receive(p, |said| {
                out.push(said);
                Ok(())
            })?;
        }
        Ok(out)
    }

    #[test]
    fn settings_come_first_and_once() {
        let mut wire = Vec::new();
        put_frame(&mut wire, kind::SETTINGS, &[0x01, 0x40, 0x64, 0x06, 0x52, 0x34, 0x21, 0]);
        put_frame(&mut wire, 0x21, b"grease");
        put_frame(&mut wire, kind::GOAWAY, &[0x44, 0x00]);
        for piece in 1..wire.len() {
            let said = read(&wire, piece);
            assert_eq!(said, Ok(vec![Said::Settings, Said::Nothing, Said::GoAway(1024)]));
        }
        put_frame(&mut wire, kind::SETTINGS, &[]);
        assert_eq!(read(&wire, 3), Err(&fault::SECOND_SETTINGS));
    }

    #[test]
    fn settings_that_break_rules() {
        let one = |payload: &[u8]| {
            let mut wire = Vec::new();
            put_frame(&mut wire, kind::SETTINGS, payload);
            read(&wire, 1)
        };
        assert_eq!(one(&[]), Ok(vec![Said::Settings]));
        assert_eq!(one(&[0x01]), Err(&fault::FRAME_SIZE));
        assert_eq!(one(&[0x01, 0x40]), Err(&fault::FRAME_SIZE));
        for id in [0, 2, 3, 4, 5] {
            assert_eq!(one(&[id, 0]), Err(&fault::SETTINGS_HTTP2), "{id}");
        }
        assert_eq!(one(&[0x06, 1, 0x06, 1]), Err(&fault::SETTINGS_TWICE));
        assert_eq!(one(&[0x08, 2]), Err(&fault::SETTINGS_VALUE));
        assert_eq!(one(&[0x33, 2]), Err(&fault::SETTINGS_VALUE));
    }
}
