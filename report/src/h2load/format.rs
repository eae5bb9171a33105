//! Which h2load is spoken. Its output changed at 1.69.0 and its spacing again at 1.70.0; parsers in the wild expect any.

use super::row::Row;
use super::units;
use std::fmt::Write as _;

/// The version whose text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Up to 1.68: no percentiles.
    Classic,
    /// 1.69.x.
    V1_69,
    /// 1.70.0 and later.
    #[default]
    V1_70,
}

impl Format {
    /// By the name of `--compat-output`.
    pub fn parse(text: &str) -> Option<Format> {
        match text {
            "classic" => Some(Format::Classic),
            "1.69" => Some(Format::V1_69),
            "1.70" => Some(Format::V1_70),
            _ => None,
        }
    }

    pub(super) fn header(self) -> &'static str {
        match self {
            Format::Classic => "                     min         max         mean         sd        +/- sd",
            Format::V1_69 => {
                "                 min         max         median     p95        p99        mean         sd        +/- sd"
            }
            Format::V1_70 => {
                "                 min         max         median      p95         p99         mean        sd         +/- sd"
            }
        }
    }

    /// The labels of the four rows every run has.
    pub(super) fn labels(self) -> [&'static str; 4] {
        match self {
            Format::Classic => {
                ["time for request", "time for connect", "time to 1st byte", "req/s           "]
            }
            Format::V1_69 | Format::V1_70 => ["request", "connect", "TTFB", "req/s"],
        }
    }

    /// One row and, where there is one, its histogram.
    pub(super) fn row(self, out: &mut String, label: &str, row: &Row, show: fn(f64) -> String) {
        self.row_of(out, label, row, show, show);
    }

    /// The same of numbers: the mean and the deviation alone have decimals.
    pub(super) fn row_of_numbers(self, out: &mut String, label: &str, row: &Row) {
        self.row_of(out, label, row, |n| format!("{n:.0}"), units::decimal);
    }

    fn row_of(
        self,
        out: &mut String,
        label: &str,
        row: &Row,
        show: fn(f64) -> String,
        show_mean: fn(f64) -> String,
    ) {
        let (min, max, mean, sd) = (show(row.min), show(row.max), show_mean(row.mean), show_mean(row.sd));
        let (median, p95, p99) = (show(row.median), show(row.p95), show(row.p99));
        let within = units::decimal(row.within);
        let done = match self {
            Format::Classic => {
                writeln!(out, "{label}: {min:>10}  {max:>10}  {mean:>10}  {sd:>10}{within:>9}%")
            }
            Format::V1_69 => writeln!(
                out,
                "{label:12}: {min:>10}  {max:>10}  {median:>10} {p95:>10} {p99:>10} {mean:>10}  {sd:>10}{within:>9}%"
            ),
            Format::V1_70 => writeln!(
                out,
                "{label:12}: {min:>10}  {max:>10}  {median:>10}  {p95:>10}  {p99:>10}  {mean:>10}  {sd:>10}{within:>9}%"
            ),
        };
        done.expect("a String takes every byte");
        histogram(out, row, show);
    }
}

/// Ten bars of at most forty slashes, with the share of each bucket and of all up to it.
fn histogram(out: &mut String, row: &Row, show: fn(f64) -> String) {
    const BAR: u64 = 40;
    let largest = row.buckets.iter().copied().max().unwrap_or(0);
    let all: u64 = row.buckets.iter().sum();
    let width = (row.max - row.min) / row.buckets.len().max(1) as f64;
    let mut sum = 0;
    for (i, &n) in row.buckets.iter().enumerate() {
        let (low, high) = (show(row.min + i as f64 * width), show(row.min + (i + 1) as f64 * width));
        let length = if n == 0 { 0 } else { (n * BAR / largest).max(1) };
        sum += n;
        let (share, upto) = (n as f64 * 100.0 / all as f64, sum as f64 * 100.0 / all as f64);
        let bar = "/".repeat(length as usize);
        writeln!(out, "{low:>10}-{high:>10} [{bar:<40}]({share:6.2}/{upto:6.2}%)")
            .expect("a String takes every byte");
    }
}
