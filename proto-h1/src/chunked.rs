//! The lines between the chunks of a chunked body (RFC 9112 section 7.1), byte by byte. It sees no content and no
//! trailers: those are the connection's.

use crate::limits::{MAX_CHUNK_DIGITS, MAX_CHUNK_EXTENSIONS, MAX_LENGTH};
use proto::{Error, Kind};

/// Where in a chunked body we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    Padding,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
}

/// What comes after the lines that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The input ended within a line.
    More,
    /// Content, as much as `left` says.
    Data,
    /// The last chunk was read: the trailer section.
    Trailers,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunked {
    extensions: u16,
    digits: u8,
    at: At,
}

impl Chunked {
    pub(crate) const fn new() -> Chunked {
        Chunked { extensions: 0, digits: 0, at: At::Size }
    }

    /// Whether content comes next, and no line.
    pub(crate) fn in_data(&self) -> bool {
        self.at == At::Data
    }

    /// All content of a chunk was read.
    pub(crate) fn chunk_over(&mut self) {
        debug_assert!(self.at == At::Data);
        self.at = At::DataCr;
    }

    /// Reads lines up to the next content, the trailers or the end of the input. Returns how many bytes that took.
    /// `left` is the size of the chunk that begins: 0 before the first line, and again when a chunk is over.
    pub(crate) fn advance(&mut self, left: &mut u64, input: &[u8]) -> Result<(usize, Next), Error> {
        for (i, &b) in input.iter().enumerate() {
            match self.at {
                At::Size => self.size(left, b)?,
                At::Padding => match b {
                    b' ' | b'\t' => self.extension()?,
                    b';' => self.at = At::Extension,
                    b'\r' => self.at = At::SizeLf,
                    _ => {
                        return Err(framing("a byte after a chunk size that is no extension (RFC 9112 7.1)"));
                    }
                },
                At::Extension => match b {
                    b'\r' => self.at = At::SizeLf,
                    b'\t' | 0x20..=0x7e | 0x80.. => self.extension()?,
                    b'\n' => return Err(framing("a chunk line ended with a bare LF (RFC 9112 7.1)")),
                    _ => return Err(framing("a control byte in a chunk extension (RFC 9112 7.1.1)")),
                },
                At::SizeLf => {
                    if b != b'\n' {
                        return Err(framing("CR without LF after a chunk size (RFC 9112 7.1)"));
                    }
                    if *left == 0 {
                        return Ok((i + 1, Next::Trailers));
                    }
                    self.at = At::Data;
                    return Ok((i + 1, Next::Data));
                }
                At::Data => return Ok((i, Next::Data)),
                At::DataCr => {
                    if b != b'\r' {
                        return Err(framing(
                            "a chunk longer than its size, or CRLF missing after it (RFC 9112 7.1)",
                        ));
                    }
                    self.at = At::DataLf;
                }
                At::DataLf => {
                    if b != b'\n' {
                        return Err(framing("CR without LF after a chunk (RFC 9112 7.1)"));
                    }
                    self.at = At::Size;
                    self.digits = 0;
                }
            }
        }
        Ok((input.len(), if self.at == At::Data { Next::Data } else { Next::More }))
    }

    fn size(&mut self, left: &mut u64, b: u8) -> Result<(), Error> {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            b'A'..=b'F' => b - b'A' + 10,
            _ if self.digits == 0 => return Err(framing("a chunk size without a digit (RFC 9112 7.1)")),
            b'\r' => {
                self.at = At::SizeLf;
                return Ok(());
            }
            b';' => {
                self.at = At::Extension;
                return Ok(());
            }
            // Some servers pad the size to a fixed width; BWS may also stand before an extension.
            b' ' | b'\t' => {
                self.at = At::Padding;
                return self.extension();
            }
            b'\n' => return Err(framing("a chunk line ended with a bare LF (RFC 9112 7.1)")),
            _ => return Err(framing("a chunk size that is not hexadecimal (RFC 9112 7.1)")),
        };
        if self.digits == MAX_CHUNK_DIGITS || *left > MAX_LENGTH >> 4 {
            return Err(framing("a chunk size out of range (RFC 9112 7.1)"));
        }
        self.digits += 1;
        *left = *left << 4 | u64::from(digit);
        Ok(())
    }

    fn extension(&mut self) -> Result<(), Error> {
        self.extensions += 1;
        if self.extensions > MAX_CHUNK_EXTENSIONS {
            return Err(Error::peer(Kind::TooLarge, "chunk extensions larger than the limit"));
        }
        Ok(())
    }
}

fn framing(detail: &'static str) -> Error {
    Error::peer(Kind::Framing, detail)
}
