//! The language of thresholds: `p99.9(response_time, step=login-page) < 250ms`. Knows no plan; names are checked by
//! `resolve`.

use crate::duration::parse_duration;
use crate::place::{list, nearest};
use crate::plan::{CountName, Metric, Op, SeriesName, Threshold};
use crate::reader::duration_advice;
use crate::source::quote;
use crate::tags::Tags;
use std::ops::Range;

/// A threshold as it is written, and where in the text its names stand.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub threshold: Threshold,
    /// The left side.
    pub figure_at: Range<usize>,
    pub scenario_at: Option<Range<usize>>,
    pub step_at: Option<Range<usize>>,
    pub phase_at: Option<Range<usize>>,
    pub check_at: Option<Range<usize>>,
    /// Of each tag its name and its value.
    pub tags_at: Vec<(Range<usize>, Range<usize>)>,
}

impl Parsed {
    /// Moves the places of all names to the right.
    pub fn shift(&mut self, by: usize) {
        let names = [&mut self.scenario_at, &mut self.step_at, &mut self.phase_at, &mut self.check_at];
        let names = names.into_iter().flatten();
        let tags = self.tags_at.iter_mut().flat_map(|(name, value)| [name, value]);
        names.chain(tags).chain([&mut self.figure_at]).for_each(|at| *at = at.start + by..at.end + by);
    }
}

/// What is wrong with a threshold, and which bytes of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub at: Range<usize>,
    pub message: String,
    pub label: String,
}

fn bad<T>(at: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { at, message: message.into(), label: label.into() })
}

pub(crate) const SERIES: &[(&str, SeriesName)] = &[
    ("response_time", SeriesName::ResponseTime),
    ("service_time", SeriesName::ServiceTime),
    ("send_lag", SeriesName::SendLag),
    ("first_byte", SeriesName::FirstByte),
    ("connect", SeriesName::Connect),
    ("handshake", SeriesName::Handshake),
    ("opening_time", SeriesName::OpeningTime),
];

/// Left sides without a series.
const PLAIN: &[(&str, Metric)] = &[
    ("error_rate", Metric::ErrorRate),
    ("rate", Metric::Rate),
    ("iteration_failure_rate", Metric::IterationFailureRate),
    ("checks", Metric::CheckRate),
    ("check_failure_rate", Metric::CheckFailureRate),
    ("started", Metric::Count(CountName::Started)),
    ("succeeded", Metric::Count(CountName::Succeeded)),
    ("failed", Metric::Count(CountName::Failed)),
    ("abandoned", Metric::Count(CountName::Abandoned)),
    ("dropped", Metric::Count(CountName::Dropped)),
    ("iterations", Metric::Count(CountName::Iterations)),
    ("iterations_failed", Metric::Count(CountName::IterationsFailed)),
    ("handshakes_opened", Metric::Count(CountName::HandshakesOpened)),
    ("handshakes_failed", Metric::Count(CountName::HandshakesFailed)),
];

const OPS: &[(&str, Op)] =
    &[("<=", Op::AtMost), (">=", Op::AtLeast), ("==", Op::Equal), ("<", Op::Less), (">", Op::More)];

const EXAMPLE: &str = "write it like `p99(response_time) < 250ms` or `error_rate < 0.1%`";

/// Reads a threshold.
pub(crate) fn parse(text: &str) -> Result<Parsed, Bad> {
    let mut cursor = Cursor { text, at: 0 };
    let (word, word_at) = cursor.word();
    if word.is_empty() {
        return bad(word_at.start..text.len(), "not a threshold", EXAMPLE);
    }
    let arguments = cursor.arguments()?;
    let figure_at = word_at.start..word_at.start + text[word_at.start..cursor.at].trim_end().len();
    let (metric, mut filters) = metric(word, word_at, arguments)?;
    let check = check_name(metric, &mut filters);
    let op = cursor.op()?;
    cursor.blanks();
    let right = cursor.at..cursor.at + text[cursor.at..].trim_end().len();
    if right.is_empty() {
        return bad(right, "the threshold has no right side", EXAMPLE);
    }
    let value = possible(metric, op, &text[right.clone()], right)?;
    let mut parsed = Parsed {
        threshold: Threshold {
            text: text.trim().to_owned(),
            metric,
            scenario: None,
            step: None,
            tags: Tags::default(),
            check: check.as_ref().map(|name| name.text.to_owned()),
            phase: None,
            op,
            value,
            abort_after: None,
        },
        figure_at,
        scenario_at: None,
        step_at: None,
        phase_at: None,
        check_at: check.map(|name| name.at),
        tags_at: vec![],
    };
    for filter in filters {
        parsed.filter(filter)?;
    }
    Ok(parsed)
}

impl Parsed {
    fn filter(&mut self, filter: Argument<'_>) -> Result<(), Bad> {
        let Argument { text, at, key } = filter;
        let (key, key_at) = key.unwrap_or((text, at.clone()));
        if let Some(tag) = key.strip_prefix("tag.") {
            let name_at = key_at.end - tag.len()..key_at.end;
            return self.tag((tag, name_at), (text, at));
        }
        let (name, place) = match key {
            "step" if has_steps(self.threshold.metric) => (&mut self.threshold.step, &mut self.step_at),
            "scenario" if has_steps(self.threshold.metric) => {
                (&mut self.threshold.scenario, &mut self.scenario_at)
            }
            "step" | "scenario" => {
                return bad(
                    key_at,
                    format!("this figure is not kept per {key}"),
                    format!("leave `{key}=` out"),
                );
            }
            "phase" => (&mut self.threshold.phase, &mut self.phase_at),
            "tag" | "tags" => {
                return bad(key_at, "the name of the tag is missing", "write `tag.NAME=VALUE`");
            }
            "protocol" => {
                return bad(
                    key_at,
                    format!("{} is not supported yet", quote(key)),
                    "`scenario=`, `step=`, `phase=` and `tag.NAME=` are",
                );
            }
            _ => {
                let label = match nearest(key, &["scenario", "step", "phase"]) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "expected `scenario=`, `step=`, `phase=` or `tag.NAME=`".to_owned(),
                };
                return bad(key_at, format!("{} is no filter", quote(key)), label);
            }
        };
        if name.is_some() {
            return bad(key_at, format!("{} is given twice", quote(key)), "");
        }
        *name = Some(text.to_owned());
        *place = Some(at);
        Ok(())
    }

    /// `tag.NAME=VALUE`; several tags must all be there.
    fn tag(
        &mut self,
        (name, name_at): (&str, Range<usize>),
        (value, value_at): (&str, Range<usize>),
    ) -> Result<(), Bad> {
        if !has_steps(self.threshold.metric) {
            return bad(name_at, "this figure is not kept per tag", "leave `tag.` out");
        }
        if name.is_empty() {
            return bad(name_at, "the name of the tag is missing", "write `tag.NAME=VALUE`");
        }
        if self.threshold.tags.get(name).is_some() {
            return bad(name_at, format!("the tag {} is given twice", quote(name)), "");
        }
        self.threshold.tags.set(name, value);
        self.tags_at.push((name_at, value_at));
        Ok(())
    }
}

/// Whether a figure exists for a single step.
fn has_steps(metric: Metric) -> bool {
    let of_iterations = matches!(
        metric,
        Metric::IterationFailureRate | Metric::Count(CountName::Iterations | CountName::IterationsFailed)
    );
    let of_run = of_iterations
        || metric == Metric::Count(CountName::Dropped)
        || matches!(metric.series(), Some(SeriesName::Connect | SeriesName::Handshake));
    !of_run && !metric.of_handshakes()
}

/// Something between the brackets: `response_time` or `step=login-page`.
struct Argument<'t> {
    text: &'t str,
    at: Range<usize>,
    key: Option<(&'t str, Range<usize>)>,
}

/// The name between the brackets of `checks(NAME)`.
fn check_name<'t>(metric: Metric, arguments: &mut Vec<Argument<'t>>) -> Option<Argument<'t>> {
    let of_checks = matches!(metric, Metric::CheckRate | Metric::CheckFailureRate);
    let named = of_checks && arguments.first().is_some_and(|first| first.key.is_none());
    named.then(|| arguments.remove(0))
}

/// The left side, and what is left of its arguments.
fn metric<'t>(
    word: &str,
    at: Range<usize>,
    mut arguments: Vec<Argument<'t>>,
) -> Result<(Metric, Vec<Argument<'t>>), Bad> {
    if let Some((_, metric)) = PLAIN.iter().find(|(name, _)| *name == word) {
        return Ok((*metric, arguments));
    }
    let Some(of) = statistic(word, &at)? else {
        return unknown_metric(word, at);
    };
    let has_series = arguments.first().is_some_and(|a| a.key.is_none());
    if !has_series {
        let label = format!("write `{word}(response_time)`");
        return bad(at, format!("{} needs a series of times", quote(word)), label);
    }
    let first = arguments.remove(0);
    match SERIES.iter().find(|(name, _)| *name == first.text) {
        Some((_, series)) => Ok((of.metric(*series), arguments)),
        None => {
            let names: Vec<&str> = SERIES.iter().map(|(name, _)| *name).collect();
            let label = match nearest(first.text, &names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("expected {}", list(&names)),
            };
            bad(first.at, format!("{} is not a series of times", quote(first.text)), label)
        }
    }
}

/// What can be said about a series.
enum Statistic {
    Quantile(f64),
    Mean,
    Min,
    Max,
}

impl Statistic {
    fn metric(self, series: SeriesName) -> Metric {
        match self {
            Statistic::Quantile(q) => Metric::Quantile(q, series),
            Statistic::Mean => Metric::Mean(series),
            Statistic::Min => Metric::Min(series),
            Statistic::Max => Metric::Max(series),
        }
    }
}

/// `mean`, `p99.9` and the like.
fn statistic(word: &str, at: &Range<usize>) -> Result<Option<Statistic>, Bad> {
    Ok(Some(match word {
        "mean" => Statistic::Mean,
        "min" => Statistic::Min,
        "max" => Statistic::Max,
        _ => {
            let number = word.strip_prefix('p').filter(|n| n.starts_with(|c: char| c.is_ascii_digit()));
            let Some(number) = number else { return Ok(None) };
            match percent(number) {
                Some(q) if q > 0.0 && q <= 1.0 => Statistic::Quantile(q),
                _ => {
                    let message = format!("{} is not a percentile", quote(word));
                    return bad(at.clone(), message, "percentiles are above p0 and at most p100");
                }
            }
        }
    }))
}

fn unknown_metric<T>(word: &str, at: Range<usize>) -> Result<T, Bad> {
    let mut names: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).chain(["mean", "min", "max"]).collect();
    let series = SERIES.iter().find(|(name, _)| nearest(word, &[name]).is_some());
    let label = match (nearest(word, &names), word, series) {
        (_, "avg" | "average", _) => "did you mean `mean`?".to_owned(),
        (_, "med" | "median", _) => "did you mean `p50`?".to_owned(),
        (Some(meant), ..) => format!("did you mean `{meant}`?"),
        (_, _, Some((name, _))) => format!("say which statistic, such as `p99({name})`"),
        _ => {
            names.insert(0, "p99");
            format!("expected {}", list(&names))
        }
    };
    bad(at, format!("{} is not a figure of the result", quote(word)), label)
}

/// The right side, if something may be on this side of it.
fn possible(metric: Metric, op: Op, text: &str, at: Range<usize>) -> Result<f64, Bad> {
    let limit = value(metric, text, at.clone())?;
    match op {
        Op::Less if limit == 0.0 => {
            bad(at, "nothing is below 0, so this never holds", format!("did you mean `== {text}`?"))
        }
        Op::More if metric.is_share() && limit == 1.0 => {
            bad(at, "no share is above all, so this never holds", format!("did you mean `== {text}`?"))
        }
        _ => Ok(limit),
    }
}

/// The right side in the unit of the left.
fn value(metric: Metric, text: &str, at: Range<usize>) -> Result<f64, Bad> {
    match metric {
        Metric::Quantile(..) | Metric::Mean(_) | Metric::Min(_) | Metric::Max(_) => {
            match parse_duration(text) {
                Ok(time) => Ok(time.as_nanos() as f64),
                Err(error) => bad(at, error.to_string(), duration_advice(text, &error)),
            }
        }
        Metric::ErrorRate | Metric::IterationFailureRate | Metric::CheckFailureRate | Metric::CheckRate => {
            fraction(text, at)
        }
        Metric::Rate => {
            let number = text.strip_suffix("/s").map(str::trim_end).and_then(decimal);
            number.map_or_else(|| bad(at, format!("{} is not a rate", quote(text)), "write `1000/s`"), Ok)
        }
        Metric::Count(_) => match text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>()) {
            Some(Ok(n)) => Ok(f64::from(n)),
            _ => bad(at, format!("{} is not a count", quote(text)), "write a whole number"),
        },
    }
}

fn fraction(text: &str, at: Range<usize>) -> Result<f64, Bad> {
    match part(text) {
        Some(f) if f <= 1.0 => Ok(f),
        Some(_) if !text.ends_with('%') => {
            bad(at, format!("{} is more than all", quote(text)), format!("did you mean `{text}%`?"))
        }
        Some(_) => bad(at, format!("{} is more than all", quote(text)), ""),
        None => bad(at, format!("{} is not a share", quote(text)), "write `0.1%` or `0.001`"),
    }
}

/// A share of all, such as `20%` or `0.2`; `None`: it is none.
pub(crate) fn share(text: &str) -> Option<f64> {
    part(text).filter(|share| *share <= 1.0)
}

/// `20%` or `0.2`, however large.
fn part(text: &str) -> Option<f64> {
    text.strip_suffix('%').map_or_else(|| decimal(text), |number| percent(number.trim_end()))
}

/// A decimal number without sign and exponent.
fn decimal(text: &str) -> Option<f64> {
    scaled(text, "")
}

/// A hundredth of a decimal number, rounded once: 99.9 is exactly what 0.999 is.
fn percent(text: &str) -> Option<f64> {
    scaled(text, "e-2")
}

fn scaled(text: &str, exponent: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.len() <= 15 && s.bytes().all(|b| b.is_ascii_digit());
    match digits(whole) && digits(fraction) {
        true => format!("{whole}.{fraction}{exponent}").parse().ok(),
        false => None,
    }
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn word(&mut self) -> (&'t str, Range<usize>) {
        self.blanks();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        let (word, at) = (&self.rest()[..end], self.at..self.at + end);
        self.at += end;
        (word, at)
    }

    /// `( ... )`, if there is one.
    fn arguments(&mut self) -> Result<Vec<Argument<'t>>, Bad> {
        let mut arguments = Vec::new();
        self.blanks();
        let open = self.at;
        if !self.rest().starts_with('(') {
            return Ok(arguments);
        }
        self.at += 1;
        loop {
            arguments.push(self.argument()?);
            match self.rest().chars().next() {
                Some(',') => self.at += 1,
                Some(')') => break,
                Some(c) => return bad(self.at..self.at + c.len_utf8(), "expected `,` or `)`", ""),
                None => {
                    let label = "never closed; inside `{ }` a threshold with a comma needs quotes";
                    return bad(open..open + 1, "the bracket is not closed", label);
                }
            }
        }
        self.at += 1;
        Ok(arguments)
    }

    fn argument(&mut self) -> Result<Argument<'t>, Bad> {
        let (text, at) = self.value()?;
        if !self.rest().starts_with('=') {
            return match text.is_empty() {
                true => bad(at, "something is missing here", EXAMPLE),
                false => Ok(Argument { text, at, key: None }),
            };
        }
        self.at += 1;
        let key = Some((text, at));
        let (text, at) = self.value()?;
        match text.is_empty() {
            true => bad(at, "a name is missing here", ""),
            false => Ok(Argument { text, at, key }),
        }
    }

    /// A name up to `,`, `)` or `=`, or in double quotes.
    fn value(&mut self) -> Result<(&'t str, Range<usize>), Bad> {
        self.blanks();
        let start = self.at;
        if let Some(quoted) = self.rest().strip_prefix('"') {
            let Some(end) = quoted.find('"') else {
                return bad(start..start + 1, "the quote is not closed", "");
            };
            self.at += end + 2;
            self.blanks();
            return Ok((&quoted[..end], start + 1..start + 1 + end));
        }
        let end = self.rest().find([',', ')', '=']).unwrap_or(self.rest().len());
        let text = self.rest()[..end].trim_end();
        self.at += end;
        Ok((text, start..start + text.len()))
    }

    fn op(&mut self) -> Result<Op, Bad> {
        self.blanks();
        if let Some((sign, op)) = OPS.iter().find(|(sign, _)| self.rest().starts_with(sign)) {
            self.at += sign.len();
            return Ok(*op);
        }
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_alphanumeric() || c.is_whitespace()).unwrap_or(rest.len());
        let at = self.at..self.at + end.max(rest.chars().next().map_or(0, char::len_utf8));
        let label = match &rest[..end] {
            "=" => "did you mean `==`?",
            _ => "expected `<`, `<=`, `>`, `>=` or `==`",
        };
        bad(at, "a comparison is missing here", label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Threshold {
        parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}")).threshold
    }

    #[test]
    fn metrics_and_units() {
        let t = read("p99(response_time) < 250ms");
        assert_eq!(
            (t.metric, t.op, t.value),
            (Metric::Quantile(0.99, SeriesName::ResponseTime), Op::Less, 250e6)
        );
        let t = read("p99.9( response_time , step=login-page, phase = steady )<=1s");
        assert_eq!(t.metric, Metric::Quantile(0.999, SeriesName::ResponseTime));
        assert_eq!(
            (t.step.as_deref(), t.phase.as_deref(), t.op),
            (Some("login-page"), Some("steady"), Op::AtMost)
        );
        let t = read("error_rate(tag.kind = read, phase=a, tag.team=\"a, b\") < 1%");
        assert_eq!(t.tags, [("kind", "read"), ("team", "a, b")].into_iter().collect());
        assert_eq!(read("error_rate(scenario=buy) < 1%").scenario.as_deref(), Some("buy"));
        assert_eq!(read("p100(connect) < 1s").metric, Metric::Quantile(1.0, SeriesName::Connect));
        assert_eq!(read("mean(send_lag) < 1us").metric, Metric::Mean(SeriesName::SendLag));
        assert_eq!(read("error_rate < 0.1%").value, 0.001);
        assert_eq!(read("error_rate(phase=a) < 0.5").value, 0.5);
        assert_eq!(read("check_failure_rate < 100%").value, 1.0);
        let t = read("checks(\"is 200, or so\", phase=a, tag.kind=read) >= 99.9%");
        assert_eq!(
            (t.metric, t.value, t.check.as_deref()),
            (Metric::CheckRate, 0.999, Some("is 200, or so"))
        );
        assert_eq!((t.phase.as_deref(), t.tags.get("kind")), (Some("a"), Some("read")));
        assert_eq!(read("checks > 99%").check, None);
        assert_eq!(read("checks(step=a) == 1").step.as_deref(), Some("a"));
        assert_eq!(read("check_failure_rate(status) < 1%").check.as_deref(), Some("status"));
        assert_eq!(read("rate > 1000/s").value, 1000.0);
        assert_eq!(read("dropped == 0").value, 0.0);
        assert_eq!(read("failed<10").metric, Metric::Count(CountName::Failed));
        assert_eq!(read("iterations_failed == 0").metric, Metric::Count(CountName::IterationsFailed));
        assert_eq!(read("iteration_failure_rate(phase=p) < 1%").value, 0.01);
        assert_eq!(read("max(service_time, step=\"GET /a,b(1)\") < 1s").step.as_deref(), Some("GET /a,b(1)"));
    }

    #[test]
    fn errors_name_the_place() {
        let cases = [
            ("", ""),
            ("p99 < 1s", "p99"),
            ("p99() < 1s", ""),
            ("p101(response_time) < 1s", "p101"),
            ("p0(response_time) < 1s", "p0"),
            ("p99(respons_time) < 1s", "respons_time"),
            ("p99(response_time, stp=x) < 1s", "stp"),
            ("p99(response_time, step=) < 1s", ""),
            ("p99(response_time, tag=x) < 1s", "tag"),
            ("p99(response_time, tag.=x) < 1s", ""),
            ("p99(response_time, tag.a=) < 1s", ""),
            ("p99(response_time, tag.a=x, tag.a=y) < 1s", "a"),
            ("dropped(tag.a=x) == 0", "a"),
            ("p99(response_time, protocol=h1) < 1s", "protocol"),
            ("iterations(scenario=x) < 1", "scenario"),
            ("iteration_failure_rate(step=x) < 1%", "step"),
            ("iteration_failure_rate > 100%", "100%"),
            ("p99(connect, step=x) < 1s", "step"),
            ("p99(response_time, step=x, step=y) < 1s", "step"),
            ("p99(response_time < 1s", "("),
            ("p99(response_time) < 250", "250"),
            ("p99(response_time) < 250 ms", "250 ms"),
            ("p99(response_time) 250ms", "2"),
            ("p99(response_time) = 250ms", "="),
            ("p99(response_time) <", ""),
            ("errorrate < 1%", "errorrate"),
            ("error_rate < 5", "5"),
            ("error_rate < -1%", "-1%"),
            ("rate > 1000", "1000"),
            ("failed < 1.5", "1.5"),
            ("dropped(step=x) == 0", "step"),
            ("checks(a, b) > 1%", "b"),
            ("checks > 5", "5"),
            ("checks() > 5%", ""),
            ("error_rate(status) < 1%", "status"),
        ];
        for (text, place) in cases {
            let error = parse(text).expect_err(text);
            assert_eq!(&text[error.at.clone()], place, "{text}: {error:?}");
        }
    }
}
