//! The summary for people: what it says, in which order, and that it says nothing about what was not there.

mod common;

use report::summary::{self, Context};
use report::thresholds;

fn text(colour: bool) -> String {
    let (plan, result) = (common::plan(), common::result());
    let outcomes = thresholds::judge(&plan, &result);
    summary::render(&result, &Context { plan: &plan, outcomes: &outcomes, bodies_discarded: true, colour })
}

#[test]
fn the_whole_text() {
    let golden = include_str!("golden/summary.txt");
    let text = text(false);
    if std::env::var_os("GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/summary.txt"), &text).unwrap();
    }
    assert_eq!(text, golden);
}

#[test]
fn colour_only_when_told_so() {
    assert!(!text(false).contains('\x1b'));
    let colour = text(true);
    assert!(colour.starts_with("\x1b[33mSUSPECT\x1b[0m"));
    assert!(colour.contains("\x1b[31mFAIL\x1b[0m"));
}

#[test]
fn no_line_ends_in_a_blank() {
    assert!(text(false).lines().all(|l| l == l.trim_end()));
}

#[test]
fn an_empty_run_has_no_tables() {
    let mut result = common::result();
    result.totals = Default::default();
    result.connections = Default::default();
    result.phases.truncate(1);
    result.steps.truncate(1);
    let plan = common::plan();
    let text = summary::render(
        &result,
        &Context { plan: &plan, outcomes: &[], bodies_discarded: false, colour: false },
    );
    assert!(!text.contains("p99") && !text.contains("errors  ") && !text.contains("thresholds"), "{text}");
    assert!(text.contains("0 started = 0 succeeded + 0 failed + 0 abandoned"));
}

#[test]
fn the_verdict_on_one_line() {
    assert_eq!(summary::verdict_line(&common::result()), "SUSPECT: core 0 was 97 % busy");
}

#[test]
fn arrivals_without_data_are_told_where_there_were_some() {
    let (plan, mut result) = (common::plan(), common::result());
    let mut line = |without| {
        (result.totals.arrived, result.totals.waited, result.totals.without_data) = (9, 2, without);
        let context = Context { plan: &plan, outcomes: &[], bodies_discarded: false, colour: false };
        let text = summary::render(&result, &context);
        text.lines().find(|l| l.starts_with("arrivals")).map(str::to_owned)
    };
    let due = "arrivals      9 due, 2 found every user busy, 0 dropped";
    assert_eq!(line(0).as_deref(), Some(due));
    assert_eq!(line(3), Some(format!("{due}, 3 found no more data")));
}

#[test]
fn what_an_http2_server_said_of_its_connections() {
    let plan = common::plan();
    let context = Context { plan: &plan, outcomes: &[], bodies_discarded: false, colour: false };
    let text = summary::render(&common::h2_result(), &context);
    for part in
        ["; h2 over TLSv1.3", "; the server allows 128 streams\n", "ended by GOAWAY, by code: 0: 3   11: 1\n"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// Where a schedule says when requests begin nobody naps, and nothing was found out about naps.
#[test]
fn batching_is_spoken_of_where_it_was_tried_or_switched_off() {
    let plan = common::plan();
    let context = Context { plan: &plan, outcomes: &[], bodies_discarded: false, colour: false };
    let mut result = common::result();
    for (disabled, naps, line) in [
        (false, 0, None),
        (false, 3, Some("batching      none: waiting for more brings nothing here\n")),
        (true, 0, Some("batching      switched off\n")),
    ] {
        let batching = &mut result.batching[0];
        (batching.disabled, batching.on, batching.nap_us, batching.naps) = (disabled, false, 0, naps);
        let text = summary::render(&result, &context);
        assert_eq!(text.contains("batching"), line.is_some(), "{text}");
        assert!(line.is_none_or(|line| text.contains(line)), "{text}");
    }
}

/// Each connection of a phase of handshakes counts as an iteration, and no program can end it as failed.
#[test]
fn failed_iterations_are_a_part_of_those_of_scenarios() {
    let plan = common::plan();
    let context = Context { plan: &plan, outcomes: &[], bodies_discarded: false, colour: false };
    let mut result = common::result();
    result.totals.iterations_failed = 1;
    assert_eq!((result.totals.iterations, result.totals.handshakes.opened), (4, 2));
    let text = summary::render(&result, &context);
    assert!(text.contains("iterations    1 failed of 2\n"), "{text}");
}
