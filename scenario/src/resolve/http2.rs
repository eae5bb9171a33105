//! `http2`.

use crate::place;
use crate::plan::Http2;
use crate::reader::{Fields, Reader};

/// Reads `http2`.
pub(crate) fn http2(reader: &mut Reader<'_>, plan: &Fields<'_>) -> Option<Http2> {
    let mut http2 = Http2::default();
    let Some(entry) = plan.get("http2") else { return Some(http2) };
    let fields = reader.map(entry, &place::HTTP2)?;
    // What is wrong has its message; going on with the default finds the next one.
    let windows = [
        ("stream_window_bits", &mut http2.stream_window_bits),
        ("connection_window_bits", &mut http2.connection_window_bits),
    ];
    for (key, place) in windows {
        // A window of 2^0 - 1 bytes would never let a body through.
        let bits = fields.get(key).and_then(|entry| reader.integer(entry, 1..=30));
        *place = bits.and_then(|n| u8::try_from(n).ok()).unwrap_or(*place);
    }
    // RFC 9113 section 6.5.2.
    let sizes = [
        ("max_frame_size", 16_384..=16_777_215, &mut http2.max_frame_size),
        ("header_table_size", 0..=u64::from(u32::MAX), &mut http2.header_table_size),
        ("encoder_header_table_size", 0..=u64::from(u32::MAX), &mut http2.encoder_header_table_size),
    ];
    for (key, range, place) in sizes {
        let size = fields.get(key).and_then(|entry| reader.integer(entry, range));
        *place = size.and_then(|n| u32::try_from(n).ok()).unwrap_or(*place);
    }
    Some(http2)
}
