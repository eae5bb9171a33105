//! The result as JUnit XML, which CI servers show test by test: the verdict, each threshold, and the checks of each step.
//!
//! Checks set no exit code; here the checks of a step fail where one of them did. Whoever allows for some says so by a
//! threshold on `check_failure_rate`.

use crate::search::Searched;
use crate::summary;
use crate::thresholds::Outcome;
use crate::time;
use engine::stats::{RunResult, VerdictLevel};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use scenario::Plan;
use scenario::search::Search;
use scenario::tags::Tags;
use std::io;

/// The whole document. Of a search, `plan`, `result` and `outcomes` are those of the probe at the load it found.
pub fn render(
    result: &RunResult,
    plan: &Plan,
    outcomes: &[Outcome],
    search: Option<(&Search, &Searched)>,
) -> String {
    let suites = [
        Suite { name: "verdict", cases: vec![verdict(result)] },
        Suite {
            name: "search",
            cases: search.into_iter().map(|(wanted, found)| found_load(wanted, found)).collect(),
        },
        Suite { name: "thresholds", cases: outcomes.iter().map(threshold).collect() },
        Suite { name: "checks", cases: checks(result) },
    ];
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut writer, result, plan, &suites).expect("a Vec takes every byte");
    String::from_utf8(writer.into_inner()).expect("text was written") + "\n"
}

/// Tests that belong together.
struct Suite {
    name: &'static str,
    cases: Vec<Case>,
}

/// A test, and why it failed.
struct Case {
    name: String,
    /// Of the step.
    tags: Tags,
    failure: Option<String>,
}

impl Suite {
    fn failures(&self) -> usize {
        self.cases.iter().filter(|c| c.failure.is_some()).count()
    }
}

fn verdict(result: &RunResult) -> Case {
    let invalid = result.verdict.level == VerdictLevel::Invalid;
    let failure = invalid.then(|| summary::verdict_line(result));
    Case { name: "the result is not INVALID".to_owned(), tags: Tags::default(), failure }
}

/// Whether a search found what it had to.
fn found_load(search: &Search, searched: &Searched) -> Case {
    let name = match search.at_least {
        Some(least) => format!("at_least {}", search.show(least)),
        None => "a load at which the condition holds".to_owned(),
    };
    let failure = (!searched.holds(search)).then(|| match searched.found.highest {
        Some(highest) => format!("the highest {} that holds is {}", search.quantity(), search.show(highest)),
        None if searched.interrupted => "interrupted before a load was found".to_owned(),
        None => format!("no {} holds from {} on", search.quantity(), search.show(search.from)),
    });
    Case { name, tags: Tags::default(), failure }
}

fn threshold(outcome: &Outcome) -> Case {
    let failure = (!outcome.holds).then(|| summary::found(outcome));
    Case { name: outcome.text.clone(), tags: Tags::default(), failure }
}

/// Of each step that has some.
fn checks(result: &RunResult) -> Vec<Case> {
    let made = result.steps.iter().filter(|s| s.figures.checks_passed + s.figures.checks_failed > 0);
    made.map(|step| {
        let (passed, failed) = (step.figures.checks_passed, step.figures.checks_failed);
        Case {
            name: format!("{}/{}", step.scenario, step.name),
            tags: step.tags.clone(),
            failure: (failed > 0).then(|| format!("{failed} of {} checks failed", passed + failed)),
        }
    })
    .collect()
}

fn write(writer: &mut Writer<Vec<u8>>, result: &RunResult, plan: &Plan, suites: &[Suite]) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let (tests, failures) =
        suites.iter().fold((0, 0), |(tests, failures), s| (tests + s.cases.len(), failures + s.failures()));
    let seconds = format!("{:.3}", result.wall.as_secs_f64());
    writer
        .create_element("testsuites")
        .with_attribute(("name", clean(&plan.name).as_str()))
        .with_attribute(("tests", tests.to_string().as_str()))
        .with_attribute(("failures", failures.to_string().as_str()))
        .with_attribute(("time", seconds.as_str()))
        .write_inner_content(|writer| {
            let filled = suites.iter().filter(|s| !s.cases.is_empty());
            filled.into_iter().try_for_each(|suite| write_suite(writer, result, plan, suite))
        })?;
    Ok(())
}

fn write_suite(
    writer: &mut Writer<Vec<u8>>,
    result: &RunResult,
    plan: &Plan,
    suite: &Suite,
) -> io::Result<()> {
    let class = format!("{}.{}", clean(&plan.name), suite.name);
    let case = |writer: &mut Writer<Vec<u8>>, case: &Case| {
        let name = clean(&case.name);
        let element = writer
            .create_element("testcase")
            .with_attribute(("classname", class.as_str()))
            .with_attribute(("name", name.as_str()));
        if case.tags.is_empty() && case.failure.is_none() {
            element.write_empty()?;
            return Ok(());
        }
        element.write_inner_content(|writer| {
            properties(writer, &case.tags)?;
            let Some(failure) = &case.failure else { return Ok(()) };
            let failure = clean(failure);
            let element = writer.create_element("failure").with_attribute(("message", failure.as_str()));
            element.write_text_content(BytesText::new(&failure)).map(|_| ())
        })?;
        io::Result::Ok(())
    };
    writer
        .create_element("testsuite")
        .with_attribute(("name", suite.name))
        .with_attribute(("tests", suite.cases.len().to_string().as_str()))
        .with_attribute(("failures", suite.failures().to_string().as_str()))
        .with_attribute(("errors", "0"))
        .with_attribute(("timestamp", time::rfc3339(result.began).as_str()))
        .write_inner_content(|writer| suite.cases.iter().try_for_each(|c| case(writer, c)))?;
    Ok(())
}

/// Tags, as JUnit knows them.
fn properties(writer: &mut Writer<Vec<u8>>, tags: &Tags) -> io::Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let one = |writer: &mut Writer<Vec<u8>>, (name, value): (&str, &str)| {
        let property = writer.create_element("property").with_attribute(("name", name));
        property.with_attribute(("value", clean(value).as_str())).write_empty().map(|_| ())
    };
    let element = writer.create_element("properties");
    element.write_inner_content(|writer| tags.iter().try_for_each(|tag| one(writer, tag))).map(|_| ())
}

/// Without the control characters that XML 1.0 cannot hold, not even escaped (section 2.2).
fn clean(text: &str) -> String {
    let legal =
        |c: char| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\t' | '\n' | '\r');
    text.chars().map(|c| if legal(c) { c } else { '\u{fffd}' }).collect()
}
