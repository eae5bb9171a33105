//! HdrHistogram's encoding "V2 deflate", which its tools in every language read, straight from counters.
//!
//! The library's own encoder wants the library's histogram, and takes three quarters of a megabyte of fresh memory for one
//! that says three hundred bytes; a result has twenty. It is what the tests compare with.
//!
//! The format (`AbstractHistogram.encodeIntoByteBuffer`): a head of ten words, big endian; then each counter up to the last
//! one in use as a zig-zag LEB128 of at most nine bytes, a run of empty ones as its length below zero; all of it in a zlib
//! stream behind two words of its own.

use super::counts;
use super::series::DIGITS;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What begins the encoding, and what begins the deflated one.
const COOKIE: u32 = 0x1c84_9313;
const DEFLATED: u32 = 0x1c84_9314;
/// What a zlib stream may be longer than what it holds.
const ZLIB_OVERHEAD: usize = 64;

/// The one compressor. It is larger than all it is given, so it is made anew where one series is encoded now and then, and kept
/// where many are encoded one after the other.
static ZLIB: Mutex<Kept> = Mutex::new(Kept { zlib: None, keepers: 0 });

struct Kept {
    zlib: Option<Compress>,
    keepers: u32,
}

/// As long as one of these lives, the memory to encode histograms in is kept: for who encodes many.
pub struct KeepEncoder(());

impl KeepEncoder {
    /// Keeps it from now on.
    pub fn from_now() -> KeepEncoder {
        kept().keepers += 1;
        KeepEncoder(())
    }
}

impl Drop for KeepEncoder {
    fn drop(&mut self) {
        let mut kept = kept();
        kept.keepers -= 1;
        if kept.keepers == 0 {
            kept.zlib = None;
        }
    }
}

fn kept() -> MutexGuard<'static, Kept> {
    ZLIB.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Encodes counters: those that counted something, as index and count in ascending order.
pub(super) fn v2_deflate(counters: impl Iterator<Item = (usize, u64)>) -> Vec<u8> {
    let plain = v2(counters);
    let mut out = Vec::with_capacity(8 + plain.len() + ZLIB_OVERHEAD);
    out.extend(DEFLATED.to_be_bytes());
    out.extend([0; 4]);
    let mut kept = kept();
    let mut zlib = kept.zlib.take().unwrap_or_else(|| Compress::new(Compression::default(), true));
    zlib.reset();
    loop {
        let rest = &plain[zlib.total_in() as usize..];
        match zlib.compress_vec(rest, &mut out, FlushCompress::Finish).expect("deflate has no reason to fail")
        {
            Status::StreamEnd => break,
            _ => out.reserve(ZLIB_OVERHEAD),
        }
    }
    if kept.keepers > 0 {
        kept.zlib = Some(zlib);
    }
    let len = (out.len() - 8) as u32;
    out[4..8].copy_from_slice(&len.to_be_bytes());
    out
}

fn v2(counters: impl Iterator<Item = (usize, u64)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    // The length of what follows the head and what the histogram can hold are put in last; the offset is for histograms that shift.
    for word in [COOKIE, 0, 0, u32::from(DIGITS)] {
        out.extend(word.to_be_bytes());
    }
    for word in [1, 0, 1_f64.to_bits()] {
        out.extend(word.to_be_bytes());
    }
    let head = out.len();
    let mut next = 0;
    for (index, n) in counters {
        match (index - next) as i64 {
            0 => {}
            // A single one is a counter like any other.
            1 => number(&mut out, 0),
            empty => number(&mut out, -empty),
        }
        number(&mut out, i64::try_from(n).expect("so much is never counted"));
        next = index + 1;
    }
    if next == 0 {
        number(&mut out, 0);
    }
    let len = (out.len() - head) as u32;
    out[4..8].copy_from_slice(&len.to_be_bytes());
    out[24..32].copy_from_slice(&counts::capacity(next.saturating_sub(1)).to_be_bytes());
    out
}

/// Zig-zag and LEB128, whose ninth byte is a whole one.
fn number(out: &mut Vec<u8>, n: i64) {
    let mut rest = ((n << 1) ^ (n >> 63)) as u64;
    for _ in 0..8 {
        if rest < 0x80 {
            break;
        }
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::super::counts::Counts;
    use super::*;
    use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

    fn check(counts: &Counts) {
        let hist = counts.to_histogram();
        let mut theirs = Vec::new();
        V2Serializer::new().serialize(&hist, &mut theirs).unwrap();
        assert_eq!(v2(counts.counters()), theirs);
        let deflated = v2_deflate(counts.counters());
        let read = Deserializer::new().deserialize::<u64, _>(&mut &deflated[..]).unwrap();
        assert_eq!(read, hist);
    }

    #[test]
    fn it_says_byte_by_byte_what_the_library_says() {
        let mut counts = Counts::new();
        check(&counts);
        // One, one behind it, one with a single gap, one far away; and every size of number.
        for (bit, value) in [7, 8, 10, 5000, 1 << 29, 1 << 30, 3_600_000_000_000].into_iter().enumerate() {
            counts.record_n(value, 1 << (9 * bit));
            check(&counts);
        }
        (0..60).for_each(|bit| counts.record_n(bit * 3, 1 << bit));
        check(&counts);
    }

    #[test]
    fn what_does_not_compress_is_whole_as_well() {
        let mut counts = Counts::new();
        let mut x = 1_u64;
        for value in 0..20_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            counts.record_n(value * 17, x >> (8 + x % 50));
        }
        check(&counts);
    }
}
