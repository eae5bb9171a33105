//! What happens on a connection, as a qlog (draft-ietf-quic-qlog-main-schema and -quic-events, version 0.3): JSON text sequences
//! (RFC 7464), one record an event, for people and for the tools that draw them (qvis). Not a policy: who makes the file is the
//! owner.

use crate::packet::Level;
use crate::rtt::Rtt;
use proto::Time;
use std::fmt::{Display, Write as _};
use std::io::Write;
use std::time::Duration;

/// Why a packet counts as lost (RFC 9002 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// Enough later ones have arrived.
    Reordering,
    /// One that was sent later has arrived long ago.
    Time,
}

/// A connection's log. A write that fails ends it: the run is worth more than its log.
pub(crate) struct Qlog {
    to: Option<Box<dyn Write + Send + Sync>>,
    /// Moments are told from here.
    began: Time,
    record: String,
    /// As last told: a figure that has not changed is not repeated.
    metrics: Option<Metrics>,
}

#[derive(Clone, Copy, PartialEq)]
struct Metrics {
    min: Duration,
    smoothed: Duration,
    latest: Duration,
    var: Duration,
    window: u64,
    in_flight: u64,
    pto_count: u32,
}

/// A duration in milliseconds, as qlog wants it.
struct Millis(Duration);

impl Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Initial => "initial",
        Level::Early => "0RTT",
        Level::Handshake => "handshake",
        Level::OneRtt => "1RTT",
    }
}

impl Qlog {
    /// A log that begins now, of the connection whose first packet goes to this id.
    pub(crate) fn new(to: Box<dyn Write + Send + Sync>, odcid: &[u8], now: Time) -> Qlog {
        let mut log = Qlog { to: Some(to), began: now, record: String::new(), metrics: None };
        log.record.push_str(concat!(
            "\u{1e}{\"qlog_version\":\"0.3\",\"qlog_format\":\"JSON-SEQ\",\"title\":\"loadgen\",\"trace\":{",
            "\"vantage_point\":{\"name\":\"loadgen\",\"type\":\"client\"},\"common_fields\":{\"group_id\":\"",
        ));
        for byte in odcid {
            let _ = write!(log.record, "{byte:02x}");
        }
        log.record.push_str("\",\"time_format\":\"relative\",\"reference_time\":0.0}}}\n");
        log.flush_record();
        log
    }

    fn flush_record(&mut self) {
        if let Some(to) = &mut self.to
            && to.write_all(self.record.as_bytes()).is_err()
        {
            self.to = None;
        }
        self.record.clear();
    }

    /// One record; `data` is the inside of an object.
    fn event(&mut self, now: Time, name: &str, data: std::fmt::Arguments<'_>) {
        let at = Millis(now.since(self.began));
        // Writing to a string cannot fail.
        let _ = writeln!(self.record, "\u{1e}{{\"time\":{at},\"name\":\"{name}\",\"data\":{{{data}}}}}");
        self.flush_record();
    }

    /// A packet of `len` bytes left.
    pub(crate) fn packet_sent(&mut self, now: Time, level: Level, number: u64, len: usize) {
        self.packet(now, "transport:packet_sent", level, number, len);
    }

    /// A packet of `len` bytes came and could be opened.
    pub(crate) fn packet_received(&mut self, now: Time, level: Level, number: u64, len: usize) {
        self.packet(now, "transport:packet_received", level, number, len);
    }

    fn packet(&mut self, now: Time, event: &str, level: Level, number: u64, len: usize) {
        let kind = name(level);
        self.event(
            now,
            event,
            format_args!(
                "\"header\":{{\"packet_type\":\"{kind}\",\"packet_number\":{number}}},\"raw\":{{\"length\":{len}}}"
            ),
        );
    }

    /// A packet counts as lost.
    pub(crate) fn packet_lost(&mut self, now: Time, level: Level, number: u64, trigger: Trigger) {
        let kind = name(level);
        let trigger = match trigger {
            Trigger::Reordering => "reordering_threshold",
            Trigger::Time => "time_threshold",
        };
        self.event(
            now,
            "recovery:packet_lost",
            format_args!(
                "\"header\":{{\"packet_type\":\"{kind}\",\"packet_number\":{number}}},\"trigger\":\"{trigger}\""
            ),
        );
    }

    /// What is known of the path, if it is not what was told last.
    pub(crate) fn metrics_updated(
        &mut self,
        now: Time,
        rtt: &Rtt,
        window: u64,
        in_flight: u64,
        pto_count: u32,
    ) {
        let Rtt { min, smoothed, latest, var, .. } = *rtt;
        let metrics = Metrics { min, smoothed, latest, var, window, in_flight, pto_count };
        if self.metrics == Some(metrics) {
            return;
        }
        self.metrics = Some(metrics);
        let (min, smoothed, latest, var) = (Millis(min), Millis(smoothed), Millis(latest), Millis(var));
        self.event(
            now,
            "recovery:metrics_updated",
            format_args!(
                "\"min_rtt\":{min},\"smoothed_rtt\":{smoothed},\"latest_rtt\":{latest},\"rtt_variance\":{var},\
                 \"congestion_window\":{window},\"bytes_in_flight\":{in_flight},\"pto_count\":{pto_count}"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A file that others can look into, with room for so many bytes.
    struct Shared(Arc<Mutex<Vec<u8>>>, usize);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut written = self.0.lock().unwrap();
            if written.len() + bytes.len() > self.1 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(room: usize) -> String {
        let file = Arc::new(Mutex::new(Vec::new()));
        let at = |micros: u64| Time::from_nanos(7_000_000 + micros * 1000);
        let mut log = Qlog::new(Box::new(Shared(file.clone(), room)), &[0xab, 0x01], at(0));
        let rtt = Rtt::new(Duration::from_micros(1_500));
        log.packet_sent(at(5), Level::Initial, 0, 1200);
        log.packet_received(at(2_005), Level::OneRtt, 3, 40);
        log.metrics_updated(at(2_005), &rtt, 12_000, 0, 0);
        log.metrics_updated(at(2_006), &rtt, 12_000, 0, 0);
        log.packet_lost(at(12_345_678), Level::Handshake, 1, Trigger::Time);
        let text = file.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn it_is_a_sequence_of_records() {
        let text = written(usize::MAX);
        let records: Vec<&str> = text.split('\u{1e}').skip(1).collect();
        assert!(records.iter().all(|r| r.ends_with("}\n")), "{text}");
        assert!(
            records[0].contains(r#""group_id":"ab01""#) && records[0].contains(r#""qlog_format":"JSON-SEQ""#)
        );
        assert_eq!(
            records[1..],
            [
                "{\"time\":0.005,\"name\":\"transport:packet_sent\",\"data\":{\"header\":{\"packet_type\":\"initial\",\
                 \"packet_number\":0},\"raw\":{\"length\":1200}}}\n",
                "{\"time\":2.005,\"name\":\"transport:packet_received\",\"data\":{\"header\":{\"packet_type\":\"1RTT\",\
                 \"packet_number\":3},\"raw\":{\"length\":40}}}\n",
                "{\"time\":2.005,\"name\":\"recovery:metrics_updated\",\"data\":{\"min_rtt\":1.500,\"smoothed_rtt\":1.500,\
                 \"latest_rtt\":1.500,\"rtt_variance\":0.750,\"congestion_window\":12000,\"bytes_in_flight\":0,\
                 \"pto_count\":0}}\n",
                "{\"time\":12345.678,\"name\":\"recovery:packet_lost\",\"data\":{\"header\":{\"packet_type\":\"handshake\",\
                 \"packet_number\":1},\"trigger\":\"time_threshold\"}}\n",
            ]
        );
    }

    #[test]
    fn a_full_disk_ends_the_log_and_nothing_else() {
        let text = written(300);
        assert!(text.contains("qlog_version") && !text.contains("packet_lost"), "{text}");
    }
}
