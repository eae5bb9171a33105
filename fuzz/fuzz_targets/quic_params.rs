//! QUIC transport parameters: no panic, and nothing accepted that may not be.
#![no_main]
// The files under test, as they are: the crate shows none of this.
#![allow(dead_code)]

#[path = "../../proto-quic/src/cids.rs"]
mod cids;
#[path = "../../proto-quic/src/config.rs"]
mod config;
#[path = "../../proto-quic/src/error.rs"]
mod error;
#[path = "../../proto-quic/src/limits.rs"]
mod limits;
#[path = "../../proto-quic/src/params.rs"]
mod params;
#[path = "../../proto-quic/src/spans.rs"]
mod spans;
#[path = "../../proto-quic/src/varint.rs"]
mod varint;

use config::Config;
use libfuzzer_sys::fuzz_target;
use params::TransportParams;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let data = &data[..data.len().min(2048)];
    // Ours, made of the first bytes.
    if let Some((b, _)) = data.split_first_chunk::<8>() {
        let n = u64::from_le_bytes(*b);
        let config = Config {
            connection_window: n >> 2,
            stream_window: n >> 12,
            uni_streams: n % 1000,
            idle_timeout: (n & 1 == 0).then(|| Duration::from_millis(n >> 20)),
            ..Config::default()
        };
        let ours = TransportParams::read(&params::write(&config)).expect("ours can be read");
        assert_eq!((ours.max_data, ours.max_streams_uni), (n >> 2, n % 1000));
        assert_eq!(ours.max_stream_data_bidi_local, n >> 12);
    }
    let Ok(read) = TransportParams::read(data) else { return };
    assert!(read.max_udp_payload >= 1200 && read.ack_delay_exponent <= 20);
    assert!(read.max_ack_delay < Duration::from_millis(1 << 14) && read.active_cid_limit >= 2);
    assert!(read.max_streams_bidi <= 1 << 60 && read.max_streams_uni <= 1 << 60);
    for cid in [&read.original_dcid, &read.initial_scid, &read.retry_scid].into_iter().flatten() {
        assert!(cid.as_slice().len() <= 20);
    }
    assert!(!read.shrank(&read));
    if !data.is_empty() {
        let twice = [data, data].concat();
        assert!(TransportParams::read(&twice).is_err(), "nothing may be said twice");
    }
    // What nobody knows changes nothing.
    let more = [data, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 2, 1, 2]].concat();
    if let Ok(more) = TransportParams::read(&more) {
        assert_eq!(more, read);
    }
    for cut in 0..data.len() {
        let _ = TransportParams::read(&data[..cut]);
    }
});
