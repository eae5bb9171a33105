//! The peer's decoder stream (RFC 9204 section 4.4). Our sections use no dynamic entries, so the only instruction that can
//! be right there is the cancellation of a stream.

use super::{Error, integer};

/// Reads the stream, whatever pieces it comes in.
#[derive(Debug, Default)]
pub(crate) struct PeerDecoder {
    /// The beginning of an instruction: an integer of at most eleven bytes.
    partial: [u8; 11],
    len: u8,
}

impl PeerDecoder {
    /// Takes bytes; returns how many instructions they completed.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<u32, Error> {
        let mut whole = 0;
        for &b in bytes {
            // An integer that is refused is refused before the array is full.
            self.partial[usize::from(self.len)] = b;
            self.len += 1;
            let first = self.partial[0];
            if first & 0xc0 != 0x40 {
                // Section Acknowledgement, or Insert Count Increment: of what?
                return Err(Error::Acknowledgement);
            }
            match integer::take(&mut &self.partial[..usize::from(self.len)], 6) {
                Ok(_) => {
                    self.len = 0;
                    whole += 1;
                }
                Err(Error::Truncated) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancellations_are_fine_and_nothing_else_is() {
        let mut p = PeerDecoder::default();
        assert_eq!(p.receive(&[0x44, 0x7f, 0xff]), Ok(1));
        assert_eq!(p.receive(&[0x01, 0x40]), Ok(2));
        assert_eq!(PeerDecoder::default().receive(&[0x84]), Err(Error::Acknowledgement));
        assert_eq!(PeerDecoder::default().receive(&[0x01]), Err(Error::Acknowledgement));
        assert_eq!(PeerDecoder::default().receive(&[0x7f; 1]), Ok(0));
        let long = [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(PeerDecoder::default().receive(&long), Err(Error::Integer));
    }
}
