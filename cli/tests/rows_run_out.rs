//! Rows of data that run out (`at_end: stop`): the scenarios that need them have had their part of the phase, and the others go on.
//! What the server counted says who went on, and the books say what became of each arrival.

mod common;

use common::number;
use common::plan::{ALL, Http, run_alone, seen};
use serde_json::Value;

/// What became of the arrivals of all rows of the time series.
fn arrivals(result: &Value) -> [u64; 3] {
    let rows = result["timeline"]["rows"].as_array().expect("a list");
    let sum = |name| rows.iter().map(|row| number(&row[name])).sum();
    let counts = ["arrived", "dropped", "without_data"].map(sum);
    let begun = number(&result["iterations"]) + number(&result["iterations_cut"]);
    assert_eq!(counts[0], begun + counts[1] + counts[2], "every arrival is somewhere: {result}");
    assert_eq!(number(&result["without_data"]), counts[2], "{result}");
    counts
}

const TWO: &str = "
connections: { max: 20 }
data: { few: { range: 1..10, order: unique } }
scenarios:
  few: { weight: 2, steps: [ get: '/any/few?{{few}}' ] }
  many: { weight: 1, steps: [ get: /any/many ] }
  more: { weight: 1, steps: [ get: /any/more ] }";

#[test]
fn a_schedule_goes_on_with_the_scenarios_that_have_rows_at_the_rate_they_had() {
    for http in ALL {
        for threads in ["1", "2"] {
            let rest = format!(
                "{TWO}\nphases: [ {{ rate: 200/s, for: 1s }}, {{ name: after, rate: 200/s, iterations: 40 }} ]"
            );
            let (result, stats) = run_alone(http, "open", &rest, &["-t", threads, "--json-timeline"]);
            let paths = ["/any/few", "/any/many", "/any/more"].map(|p| seen(&stats, p));
            assert_eq!(paths, [10, 60, 60], "{http:?} {threads} {result} {stats}");
            // Its turns in both phases, but the ten that found a row.
            assert_eq!(arrivals(&result), [240, 0, 110], "{http:?} {threads}");
            let elapsed = result["phases"][0]["elapsed_s"].as_f64().expect("a time");
            assert!((0.999..1.1).contains(&elapsed), "the phase lasts its time: {result}");
            assert!(!result["verdict_reasons"].to_string().contains("arrivals"), "{result}");
        }
    }
}

#[test]
fn a_schedule_ends_where_no_scenario_has_rows() {
    let alone = "
data: { few: { range: 1..10, order: unique } }
scenarios: { few: { steps: [ get: '/any/few?{{few}}' ] } }";
    let both = "
data: { few: { range: 1..4, order: unique }, some: { range: 1..6, at_end: stop } }
scenarios:
  few: { steps: [ get: '/any/few?{{few}}' ] }
  some: { steps: [ get: '/any/some?{{some}}' ] }";
    for http in ALL {
        for scenarios in [alone, both] {
            let rest = format!("{scenarios}\nphases: [ {{ rate: 100/s, for: 30s }} ]");
            let (result, stats) = run_alone(http, "over", &rest, &["--json-timeline"]);
            assert_eq!(seen(&stats, "/any/few") + seen(&stats, "/any/some"), 10, "{http:?} {stats}");
            let [_, dropped, without] = arrivals(&result);
            assert!(dropped == 0 && without > 0, "{http:?} {result}");
            let elapsed = result["elapsed_s"].as_f64().expect("a time");
            assert!(elapsed < 15.0, "it ends with the rows: {result}");
        }
    }
}

/// Also where arrivals come due in each turn of the core, and many wait.
#[test]
fn a_schedule_without_rows_ends_at_any_rate() {
    let rest = "
connections: { max: 2 }
data: { few: { range: 1..3, order: unique } }
scenarios: { few: { steps: [ get: '/any/few?{{few}}&t=50ms' ] } }
phases: [ { rate: 500k/s, for: 20s } ]";
    let (result, stats) = run_alone(Http::H1, "fast", rest, &["--json-timeline"]);
    assert_eq!(seen(&stats, "/any/few"), 3, "{stats}");
    let [arrived, dropped, without] = arrivals(&result);
    assert_eq!((dropped, without), (0, arrived - 3), "{result}");
    assert!(result["elapsed_s"].as_f64().expect("a time") < 10.0, "{result}");
}

#[test]
fn users_go_on_with_the_scenarios_that_have_rows() {
    for http in ALL {
        for threads in ["1", "2"] {
            let rest =
                format!("{TWO}\nphases: [ {{ users: 4, iterations: 90 }}, {{ users: 4, iterations: 30 }} ]");
            let (result, stats) = run_alone(http, "closed", &rest, &["-t", threads]);
            let [few, many, more] = ["/any/few", "/any/many", "/any/more"].map(|p| seen(&stats, p));
            assert_eq!((few, many + more), (10, 110), "{http:?} {threads} {result} {stats}");
            assert!(many.abs_diff(more) <= 4, "they keep their weights: {http:?} {threads} {stats}");
            assert_eq!(number(&result["iterations"]), 120, "{result}");
            assert_eq!(number(&result["without_data"]), 0, "no schedule, no arrivals: {result}");
        }
    }
}

#[test]
fn a_user_whose_row_is_not_there_goes_on_with_what_it_has() {
    let scenarios = "
connections: { max: 5 }
data: { own: { range: 1..2, order: per_user, at_end: stop } }
scenarios:
  own: { steps: [ get: '/any/own?{{own}}' ] }
  all: { steps: [ get: /any/all ] }";
    for http in ALL {
        let rest = format!("{scenarios}\nphases: [ {{ users: 5, iterations_per_user: 10 }} ]");
        let (result, stats) = run_alone(http, "own", &rest, &[]);
        let seen = ["/any/own", "/any/all"].map(|p| seen(&stats, p));
        assert_eq!(seen.iter().sum::<u64>(), 50, "{http:?} {result} {stats}");
        assert!((2..=20).contains(&seen[0]), "only two users have rows: {http:?} {stats}");
    }
}

/// Without a row of their own users stop, and what arrives goes to those that have one.
#[test]
fn users_without_a_row_take_no_arrivals() {
    let rest = "
connections: { max: 6 }
data: { own: { range: 1..2, order: per_user, at_end: stop } }
scenarios: { own: { steps: [ get: '/any/own?{{own}}&t=30ms' ] } }
phases: [ { rate: 40/s, for: 1s } ]";
    for http in ALL {
        let (result, stats) = run_alone(http, "stopped", rest, &["--json-timeline"]);
        let [arrived, dropped, without] = arrivals(&result);
        assert_eq!((arrived, dropped), (40, 0), "{http:?} {result}");
        assert!(without <= 4, "each user at most once: {http:?} {result}");
        assert_eq!(seen(&stats, "/any/own"), 40 - without, "{http:?} {stats}");
    }
}
