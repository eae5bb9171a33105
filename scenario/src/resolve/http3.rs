//! `http3`.

use crate::place;
use crate::plan::{Congestion, Http3};
use crate::reader::{Fields, Reader};

/// Reads `http3`.
pub(crate) fn http3(reader: &mut Reader<'_>, plan: &Fields<'_>) -> Option<Http3> {
    let mut http3 = Http3::default();
    let Some(entry) = plan.get("http3") else { return Some(http3) };
    let fields = reader.map(entry, &place::HTTP3)?;
    // What is wrong has its message; going on with the default finds the next one.
    let windows = [
        ("stream_window_bits", &mut http3.stream_window_bits),
        ("connection_window_bits", &mut http3.connection_window_bits),
    ];
    for (key, place) in windows {
        let bits = fields.get(key).and_then(|entry| reader.integer(entry, 1..=30));
        *place = bits.and_then(|n| u8::try_from(n).ok()).unwrap_or(*place);
    }
    if let Some(entry) = fields.get("header_table_size") {
        let size = reader.integer(entry, 0..=16_777_216);
        http3.header_table_size = size.map_or(http3.header_table_size, |n| n as u32);
    }
    if let Some(entry) = fields.get("congestion") {
        let words =
            [("cubic", Congestion::Cubic), ("bbr", Congestion::Bbr), ("newreno", Congestion::NewReno)];
        http3.congestion = reader.word(entry, &words).unwrap_or_default();
    }
    if let Some(entry) = fields.get("initial_rtt") {
        http3.initial_rtt = reader.positive_duration(entry);
    }
    if let Some(entry) = fields.get("max_udp_payload") {
        // RFC 9000 section 14, RFC 768.
        http3.max_udp_payload = reader.integer(entry, 1_200..=65_527).map(|n| n as u16);
    }
    if let Some(entry) = fields.get("segmentation") {
        http3.segmentation = reader.boolean(entry).unwrap_or(true);
    }
    Some(http3)
}
