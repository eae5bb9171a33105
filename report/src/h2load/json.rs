//! h2load's `--output-file`: version 1 of its JSON, field by field, times in seconds.

use super::exact::Exact;
use super::row::Row;
use super::{Mode, Totals, request_time};
use engine::stats::{RunResult, Series};
use std::fmt::{self, Write as _};

/// Most samples of a series that are written: as many as h2load keeps. Of more, every so-manyth of the sorted ones.
const SAMPLES: u64 = 1_000_000;

/// The whole object. `exact` are the service times of all complete responses.
pub fn render(result: &RunResult, mode: Mode, exact: Option<&Exact>) -> String {
    let mut out = String::new();
    write(&mut out, result, mode, exact).expect("a String takes every byte");
    out
}

fn write(out: &mut String, result: &RunResult, mode: Mode, exact: Option<&Exact>) -> fmt::Result {
    let (books, bytes) = (&result.totals.books, &result.totals.bytes);
    let totals = Totals::of(result, mode);
    let class = |n| result.totals.status_class(n);
    write!(
        out,
        "{{\"version\":\"v1\",\"metadata\":{{\"generator\":\"loadgen {}\"}},\"measurements\":{{",
        env!("CARGO_PKG_VERSION")
    )?;
    write!(
        out,
        "\"duration\":{},\"request_per_second\":{},\"bytes_per_second\":{},",
        number(result.wall.as_secs_f64()),
        number(totals.requests_per_second),
        totals.bytes_per_second as u64
    )?;
    write!(
        out,
        "\"requests\":{{\"total\":{},\"started\":{},\"done\":{},\"succeeded\":{},\"failed\":{},\"errored\":{},\
         \"timeout\":{}}},",
        totals.total,
        totals.started,
        totals.done,
        books.succeeded,
        totals.failed,
        totals.errored,
        books.failed_timeout
    )?;
    write!(
        out,
        "\"status_codes\":{{\"2xx\":{},\"3xx\":{},\"4xx\":{},\"5xx\":{}}},",
        class(2),
        class(3),
        class(4),
        class(5)
    )?;
    write!(
        out,
        "\"traffic\":{{\"total\":{},\"headers\":{},\"headers_decompressed\":{},\"data\":{}}},",
        bytes.received, bytes.headers, bytes.headers_decoded, bytes.data
    )?;
    let quic = &result.connections.quic;
    if quic.connections > 0 {
        let (sent, received) = (quic.datagrams_sent, quic.datagrams_received);
        write!(out, "\"udp_datagram\":{{\"sent\":{sent},\"recv\":{received}}},")?;
    }
    out.push_str("\"performance\":{");
    match exact {
        Some(exact) => series(out, "request", &Row::of_exact(exact, false), Samples::of_exact(exact))?,
        None => times(out, "request", &request_time(&result.totals))?,
    }
    out.push(',');
    times(out, "connect", &result.connections.ready)?;
    out.push(',');
    times(out, "ttfb", &result.connections.connection_first_byte)?;
    out.push(',');
    let mut rates = result.client_rates();
    rates.sort_unstable_by(f64::total_cmp);
    series(out, "request_per_second", &Row::of_values(&rates, false), Samples::of_values(&rates))?;
    if quic.connections > 0 {
        for (name, of) in [("min_rtt", &quic.rtt_min), ("smoothed_rtt", &quic.rtt_smoothed)] {
            out.push(',');
            times(out, name, of)?;
        }
        for (name, of) in [
            ("packets_sent", &quic.packets_sent),
            ("packets_recv", &quic.packets_received),
            ("packets_lost", &quic.packets_lost),
            ("gro_packets", &quic.received_together),
        ] {
            out.push(',');
            series(out, name, &Row::of_numbers(of, false), Samples::of_numbers(of))?;
        }
    }
    out.push_str("}}}\n");
    Ok(())
}

fn times(out: &mut String, name: &str, of: &Series) -> fmt::Result {
    series(out, name, &Row::of_series(of, false), Samples::of_series(of))
}

fn series(out: &mut String, name: &str, row: &Row, samples: Samples<'_>) -> fmt::Result {
    write!(
        out,
        "\"{name}\":{{\"min\":{},\"max\":{},\"median\":{},\"p95\":{},\"p99\":{},\"mean\":{},\"sd\":{},\"within_sd\":{},\
         \"samples\":[",
        number(row.min),
        number(row.max),
        number(row.median),
        number(row.p95),
        number(row.p99),
        number(row.mean),
        number(row.sd),
        number(row.within)
    )?;
    let every = samples.count.div_ceil(SAMPLES).max(1);
    let (mut place, mut next, mut comma) = (0, 0, "");
    for (value, n) in samples.values {
        while next < place + n {
            write!(out, "{comma}{}", number(value))?;
            (next, comma) = (next + every, ",");
        }
        place += n;
    }
    out.push_str("]}");
    Ok(())
}

/// Sorted values, with how many there are of each.
struct Samples<'a> {
    count: u64,
    values: Box<dyn Iterator<Item = (f64, u64)> + 'a>,
}

impl<'a> Samples<'a> {
    fn of_exact(exact: &'a Exact) -> Samples<'a> {
        Samples { count: exact.count(), values: Box::new(exact.values().map(|(ns, n)| (ns as f64 / 1e9, n))) }
    }
    fn of_series(series: &'a Series) -> Samples<'a> {
        let values = (1..=series.count()).map(|rank| (series.at_rank(rank) as f64 / 1e9, 1));
        Samples { count: series.count(), values: Box::new(values) }
    }
    fn of_numbers(series: &'a Series) -> Samples<'a> {
        let values = (1..=series.count()).map(|rank| (series.at_rank(rank) as f64, 1));
        Samples { count: series.count(), values: Box::new(values) }
    }
    fn of_values(values: &'a [f64]) -> Samples<'a> {
        Samples { count: values.len() as u64, values: Box::new(values.iter().map(|&v| (v, 1))) }
    }
}

/// Nine significant digits, as h2load sets them.
fn number(n: f64) -> f64 {
    if !n.is_finite() || n == 0.0 {
        return 0.0;
    }
    format!("{n:.8e}").parse().unwrap_or(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_nine_digits() {
        assert_eq!(number(1.0 / 3.0).to_string(), "0.333333333");
        assert_eq!(number(123_456_789_123.0).to_string(), "123456789000");
        assert_eq!(number(0.000_123_45).to_string(), "0.00012345");
        assert_eq!(number(f64::NAN).to_string(), "0");
    }
}
