//! JUnit XML, read back by a parser: what failed and why, whatever characters names hold.

mod common;

use quick_xml::Reader;
use quick_xml::events::Event;
use report::thresholds::{self, Abort};
use std::collections::BTreeMap;
use std::time::Duration;

/// The attributes of every element in order, with the element's name under "".
fn elements(xml: &str) -> Vec<BTreeMap<String, String>> {
    let (mut reader, mut all) = (Reader::from_str(xml), Vec::new());
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Eof => return all,
            Event::Start(e) | Event::Empty(e) => {
                let mut element =
                    BTreeMap::from([(String::new(), AsRef::<str>::as_ref(&e.name()).to_owned())]);
                for attribute in e.attributes() {
                    let attribute = attribute.expect("a legal attribute");
                    let value = attribute
                        .normalized_value(quick_xml::XmlVersion::Explicit1_0)
                        .expect("legal escapes")
                        .into_owned();
                    element.insert(AsRef::<str>::as_ref(&attribute.key).to_owned(), value);
                }
                all.push(element);
            }
            _ => {}
        }
    }
}

#[test]
fn every_threshold_and_the_checks_of_every_step_are_a_test() {
    let (plan, result) = (common::plan(), common::result());
    let outcomes = thresholds::judge(&plan, &result);
    let xml = report::junit::render(&result, &plan, &outcomes, None);
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), "{xml}");
    let all = elements(&xml);
    assert_eq!((all[0]["tests"].as_str(), all[0]["failures"].as_str()), ("5", "4"), "{xml}");
    let suites: Vec<_> = all.iter().filter(|e| e[""] == "testsuite").map(|e| e["name"].as_str()).collect();
    assert_eq!(suites, ["verdict", "thresholds", "checks"]);
    let cases: Vec<_> = all.iter().filter(|e| e[""] == "testcase").map(|e| e["name"].as_str()).collect();
    assert_eq!(
        cases,
        [
            "the result is not INVALID",
            "error_rate < 10%",
            "p99(response_time) < 50ms",
            "visit/login",
            "visit/page"
        ]
    );
    let failures: Vec<_> = all.iter().filter(|e| e[""] == "failure").map(|e| e["message"].as_str()).collect();
    assert_eq!(failures[2..], ["1 of 7 checks failed"; 2]);
    assert!(failures[0].contains("missed by"), "{failures:?}");
}

#[test]
fn any_name_and_any_reason_survive() {
    let (mut plan, mut result) = (common::plan(), common::result());
    plan.name = "a<b>&\"c'\u{1}\u{7f}é".into();
    result.verdict.level = engine::stats::VerdictLevel::Invalid;
    result.verdict.reasons = vec!["]]> <&".into()];
    let mut outcomes = thresholds::judge(&plan, &result);
    thresholds::mark(&mut outcomes, 0, Abort { at: Duration::from_secs(7), actual: 0.5 });
    let all = elements(&report::junit::render(&result, &plan, &outcomes, None));
    assert_eq!(all[0]["name"], "a<b>&\"c'\u{fffd}\u{7f}é");
    let failures: Vec<_> = all.iter().filter(|e| e[""] == "failure").map(|e| e["message"].as_str()).collect();
    assert_eq!(failures[0], "INVALID: ]]> <&");
    assert!(failures[1].contains("ended the run after 7.0 s"), "{failures:?}");
}

#[test]
fn what_a_search_had_to_find_is_a_test() {
    let (plan, result, mut searched) = common::searched();
    let mut search = plan.search.clone().expect("a search");
    let probe = plan.probe(100.0).expect("a search");
    let mut cases = |least: Option<f64>, highest: Option<f64>, interrupted| {
        search.at_least = least;
        (searched.found.highest, searched.interrupted) = (highest, interrupted);
        let xml = report::junit::render(&result, &probe, &[], Some((&search, &searched)));
        let all = elements(&xml);
        let at = all.iter().position(|e| e[""] == "testsuite" && e["name"] == "search").expect("a suite");
        let failure = all.get(at + 2).filter(|e| e[""] == "failure").map(|e| e["message"].clone());
        (all[at + 1]["name"].clone(), failure)
    };
    let least = || "at_least 5000/s".to_owned();
    assert_eq!(cases(Some(5000.0), Some(5000.0), false), (least(), None));
    let short = "the highest rate that holds is 100/s".to_owned();
    assert_eq!(cases(Some(5000.0), Some(100.0), false), (least(), Some(short)));
    assert_eq!(cases(Some(5000.0), None, false), (least(), Some("no rate holds from 100/s on".into())));
    let any = || "a load at which the condition holds".to_owned();
    assert_eq!(cases(None, Some(100.0), false), (any(), None));
    assert_eq!(cases(None, None, true), (any(), Some("interrupted before a load was found".into())));
}
