//! Tags against the real server: the figures of a tag are what the server counted on the paths of its steps.

mod common;

use common::plan::{ALL, Http, PlanFile, head, number, run_text, seen};
use common::{Server, loadgen, scratch, stdout};
use serde_json::Value;

/// Two scenarios, one without a program. Both have a step that always fails; `team` is the plan's unless a step says otherwise.
fn plan(server: &Server, http: Http, thresholds: &str) -> String {
    format!(
        "{}{}thresholds:\n{thresholds}",
        head(server, http),
        r#"tags: { team: search }
defaults: { tags: { kind: read } }
scenarios:
  plain:
    steps:
      - get: /any/a
      - { get: "/any/b?r=503", name: broken, tags: { team: other } }
  grouped:
    weight: 2
    tags: { area: shop }
    steps:
      - group: writing
        tags: { kind: write }
        steps:
          - { post: /any/c, body: x, name: save }
          - { post: "/any/d?r=503", name: lost, tags: { area: payment } }
      - { get: /any/e, name: look }
phases: [ { name: steady, users: 6, iterations: 60 } ]
"#
    )
}

/// The tag of a result.
fn tag<'r>(result: &'r Value, name: &str, value: &str) -> &'r Value {
    let all = result["tags"].as_array().expect("a list");
    all.iter().find(|t| t["name"] == name && t["value"] == value).unwrap_or_else(|| panic!("{name} {value}"))
}

#[test]
fn the_figures_of_a_tag_are_those_of_its_steps() {
    let thresholds = r#"
  - started(tag.kind=read) >= 60
  - failed(tag.kind=write) > 0
  - error_rate(tag.team=other) == 100%
  - error_rate(tag.kind=read, scenario=grouped) == 0%
  - rate(tag.kind=write, tag.area=shop, phase=steady) > 0/s
  - p100(response_time, tag.area=shop, step=look) < 1m
  - p50(response_time, tag.team=other) < 1m
  - succeeded(tag.area=shop, phase=steady) > 0
"#;
    for http in ALL {
        let server = Server::start();
        let text = plan(&server, http, thresholds);
        let result = run_text(&format!("tags-{http:?}"), &text, &["-t", "2"], &[99]);
        let stats = server.stats();
        let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|p| seen(&stats, &format!("/any/{p}")));
        assert!(a > 0 && a == b && c > 0 && c == d && d == e && a + c == 60, "{http:?} {stats}");
        for (name, value, started, failed) in [
            ("kind", "read", a + b + e, b),
            ("kind", "write", c + d, d),
            ("team", "search", a + c + d + e, d),
            ("team", "other", b, b),
            ("area", "shop", c + e, 0),
            ("area", "payment", d, d),
        ] {
            let of = tag(&result, name, value);
            assert_eq!(
                (number(&of["started"]), number(&of["failed"]), number(&of["succeeded"])),
                (started, failed, started - failed),
                "{http:?} {name}={value}"
            );
            assert_eq!(number(&of["response_time"]["count"]), started - failed, "{http:?} {name}={value}");
        }
        assert_eq!(result["tags"].as_array().unwrap().len(), 6);
        let actual: Vec<f64> = (0..8).filter_map(|i| result["thresholds"][i]["actual"].as_f64()).collect();
        assert_eq!(actual.len(), 7, "the p50 of nothing is nothing: {}", result["thresholds"]);
        assert_eq!(
            (actual[0], actual[1], actual[2], actual[3], actual[6]),
            ((a + b + e) as f64, d as f64, 1.0, 0.0, (c + e) as f64),
            "{http:?}"
        );
        let slowest = result["steps"][4]["response_time"]["max_us"].as_f64().unwrap();
        assert!((actual[5] - slowest).abs() <= slowest / 500.0, "{http:?} {} {slowest}", actual[5]);
        let holds: Vec<bool> = (0..8).map(|i| result["thresholds"][i]["holds"] == true).collect();
        assert_eq!(holds, [true, true, true, true, true, true, false, true], "{http:?}");
    }
}

#[test]
fn tags_are_in_every_output_that_has_steps() {
    let server = Server::start();
    let path = |ending: &str| scratch(&format!("tags.{ending}")).to_str().expect("UTF-8").to_owned();
    let (json, jsonl, hlog, xml, rows) =
        (path("json"), path("jsonl"), path("hlog"), path("xml"), path("rows"));
    let steps = "scenarios: { s: { steps: [ { get: /any/a, check: { status: 200 }, tags: { kind: read } }, { get: /any/b, tags: \
                 { kind: write } } ] } }\nphases: [ { users: 2, iterations: 20 } ]\n";
    let file =
        PlanFile::new("outputs", &format!("{}tags: {{ team: \"a & b\" }}\n{steps}", head(&server, Http::H1)));
    let places = ["-o", &json, "-o", &jsonl, "-o", &hlog, "-o", &xml, "--timeline", &rows];
    let output = loadgen(&[&["-f", file.path()], &places[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", common::stderr(&output));
    let text = stdout(&output);
    for part in ["\ntags          team=a & b\n", "\nkind=read ", "\nkind=write "] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("\nteam=a"), "what all have is no row of the table: {text}");
    let read = |path: &str| {
        let text = std::fs::read_to_string(path).expect("a file");
        std::fs::remove_file(path).expect("it is there");
        text
    };
    let object = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
    let result = object(&read(&json));
    assert_eq!(result["steps"][0]["tags"], object(r#"{"kind":"read","team":"a & b"}"#));
    assert_eq!(result["checks_by_name"][0]["tags"], result["steps"][0]["tags"], "{result}");
    assert_eq!(result["plan"]["scenarios"][0]["steps"][1]["tags"]["kind"], "write");
    let run = object(r#"{"team":"a & b"}"#);
    assert_eq!(object(&read(&jsonl))["tags"], run);
    let rows = read(&rows);
    assert!(rows.lines().count() > 0 && rows.lines().all(|row| object(row)["tags"] == run), "{rows}");
    assert!(read(&hlog).contains("#[Tags: team=a & b]\n"));
    let xml = read(&xml);
    assert!(xml.contains("<property name=\"kind\" value=\"read\"/>"), "{xml}");
    assert!(xml.contains("<property name=\"team\" value=\"a &amp; b\"/>"), "{xml}");
    let shown = stdout(&loadgen(&["check", file.path()]));
    assert!(shown.contains("        tags: { kind: read, team: a & b }\n"), "{shown}");
}

#[test]
fn a_tag_is_watched_and_searched_by() {
    for http in [Http::H1, Http::H2, Http::H3] {
        let server = Server::start();
        let watched = "  - { that: error_rate(tag.kind=read) < 1%, abort_after: 0s }\n  - { that: error_rate(tag.kind=write) < 1%, abort_after: 0s }\n";
        let steps = "scenarios: { s: { steps: [ { get: /any/a, tags: { kind: read } }, { get: '/any/b?r=503', tags: { kind: write } } ] } }\n";
        let text = format!(
            "{}{steps}phases: [ {{ users: 2, for: 2m }} ]\nthresholds:\n{watched}",
            head(&server, http)
        );
        let result = run_text(&format!("tags-watched-{http:?}"), &text, &["--interval", "100ms"], &[99]);
        let thresholds = &result["thresholds"];
        assert_eq!(
            (&thresholds[0]["holds"], &thresholds[1]["holds"]),
            (&true.into(), &false.into()),
            "{http:?}"
        );
        assert!(
            thresholds[0]["aborted_at_s"].is_null() && thresholds[1]["aborted_by"] == 1.0,
            "{thresholds}"
        );
        let stats = server.stats();
        assert_eq!(number(&tag(&result, "kind", "read")["started"]), seen(&stats, "/any/a"), "{http:?}");

        let server = Server::start();
        // How high it comes is the machine's affair; what the probes were judged by is not.
        let judged = |kind: &str| {
            let search =
                "highest: users, from: 1, to: 2, confirm: 1, probe: 600ms, warm_up: 400ms, settle: 0s";
            let text = format!(
                "{}{steps}search: {{ {search}, while: 'error_rate(tag.kind={kind}) < 1%' }}\n",
                head(&server, http)
            );
            let result = run_text(&format!("tags-search-{kind}-{http:?}"), &text, &[], &[0, 99]);
            let probes = result["search"]["probes"].as_array().expect("a list");
            let of = |probe: &Value| probe["condition"][0]["actual"].as_f64();
            probes.iter().filter_map(of).collect::<Vec<f64>>()
        };
        let (read, write) = (judged("read"), judged("write"));
        assert!(!read.is_empty() && read.iter().all(|rate| *rate == 0.0), "{http:?} {read:?}");
        assert!(!write.is_empty() && write.iter().all(|rate| *rate == 1.0), "{http:?} {write:?}");
    }
}
