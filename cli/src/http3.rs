//! The flags of HTTP/3 and QUIC, with h2load's defaults.

use crate::args::{self, RunArgs};
use scenario::plan::{Congestion, Http3};

/// The largest window of a stream: h2load cuts what is above, since a server may refuse it.
const MOST_STREAM_BITS: u64 = 26;

/// h2load's defaults where nothing is given.
pub fn settings(args: &RunArgs) -> Http3 {
    let (p, default) = (&args.protocol, Http3::default());
    let bits = |n: u64| u8::try_from(n.max(1)).unwrap_or(30);
    Http3 {
        stream_window_bits: p
            .window_bits
            .map_or(default.stream_window_bits, |n| bits(n.min(MOST_STREAM_BITS))),
        connection_window_bits: p.connection_window_bits.map_or(default.connection_window_bits, bits),
        header_table_size: p
            .header_table_size
            .map_or(default.header_table_size, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        congestion: match p.quic_congestion {
            args::Congestion::Cubic => Congestion::Cubic,
            args::Congestion::Bbr => Congestion::Bbr,
            args::Congestion::Newreno => Congestion::NewReno,
        },
        initial_rtt: p.initial_rtt,
        max_udp_payload: p.max_udp_payload_size.and_then(|n| u16::try_from(n).ok()),
        segmentation: !p.no_udp_gso,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::typed;
    use std::time::Duration;

    #[test]
    fn every_flag_has_its_place() {
        let d = Http3::default();
        for (line, http3) in [
            ("", d),
            ("-w 30", Http3 { stream_window_bits: 26, ..d }),
            ("-w 20 -W 22", Http3 { stream_window_bits: 20, connection_window_bits: 22, ..d }),
            ("--header-table-size 0", Http3 { header_table_size: 0, ..d }),
            ("--quic-congestion bbr", Http3 { congestion: Congestion::Bbr, ..d }),
            ("--initial-rtt 5ms", Http3 { initial_rtt: Some(Duration::from_millis(5)), ..d }),
            ("--max-udp-payload-size 1200", Http3 { max_udp_payload: Some(1200), ..d }),
            ("--no-udp-gso", Http3 { segmentation: false, ..d }),
        ] {
            let args = typed(&format!("--h3 {line} https://a/")).unwrap().run;
            assert_eq!(settings(&args), http3, "{line}");
        }
    }
}
