//! Compressed response bodies, where somebody looks at them. Bounded: a small body must not become a large one.

use std::io::Read as _;

/// How a body is coded (RFC 9110 section 8.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coding {
    #[default]
    Identity,
    Gzip,
    Deflate,
    Brotli,
    /// One that was not asked for.
    Unknown,
}

impl Coding {
    /// From `content-encoding`.
    pub fn of(value: &[u8]) -> Coding {
        match value.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Coding::Identity,
            b"gzip" | b"x-gzip" => Coding::Gzip,
            b"deflate" => Coding::Deflate,
            b"br" => Coding::Brotli,
            _ => Coding::Unknown,
        }
    }
}

/// The content is not what its coding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Decodes `body` into `out`, at most `limit` bytes; whether there was more.
pub(crate) fn decode(coding: Coding, body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<bool, Broken> {
    out.clear();
    let most = limit as u64 + 1;
    let read = match coding {
        Coding::Identity | Coding::Unknown => return Err(Broken),
        Coding::Gzip => flate2::read::MultiGzDecoder::new(body).take(most).read_to_end(out),
        Coding::Deflate => flate2::read::ZlibDecoder::new(body).take(most).read_to_end(out),
        Coding::Brotli => brotli_decompressor::Decompressor::new(body, 4096).take(most).read_to_end(out),
    };
    read.map_err(|_| Broken)?;
    let more = out.len() > limit;
    out.truncate(limit);
    Ok(more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        coder.write_all(text).unwrap();
        coder.finish().unwrap()
    }

    #[test]
    fn gzip_is_undone_and_bounded() {
        let mut out = Vec::new();
        assert_eq!(decode(Coding::Gzip, &gzip(b"hello"), 100, &mut out), Ok(false));
        assert_eq!(out, b"hello");
        let bomb = gzip(&vec![b'x'; 10_000_000]);
        assert_eq!(decode(Coding::Gzip, &bomb, 1000, &mut out), Ok(true));
        assert_eq!(out.len(), 1000);
        assert_eq!(decode(Coding::Gzip, b"not gzip", 1000, &mut out), Err(Broken));
    }

    #[test]
    fn brotli_is_undone() {
        // `echo -n hello | brotli | xxd`, an uncompressed meta-block.
        let coded = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        let mut out = Vec::new();
        assert_eq!(decode(Coding::Brotli, &coded, 100, &mut out), Ok(false));
        assert_eq!(out, b"hello");
        assert_eq!(decode(Coding::Brotli, b"\xff\xff\xff", 100, &mut out), Err(Broken));
    }

    #[test]
    fn names_of_codings() {
        assert_eq!(Coding::of(b" GZIP "), Coding::Gzip);
        assert_eq!(Coding::of(b"br"), Coding::Brotli);
        assert_eq!(Coding::of(b"zstd"), Coding::Unknown);
        assert_eq!(Coding::of(b"identity"), Coding::Identity);
    }
}
