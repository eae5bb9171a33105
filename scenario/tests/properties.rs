//! Whatever the text, the parser answers, and its errors point into the text.

use proptest::prelude::*;
use scenario::{Errors, Overrides};
use std::path::Path;

fn parse(text: &str) -> Result<scenario::Plan, Errors> {
    scenario::parse(text, "plan.yaml", Path::new("/nonexistent"), &Overrides::default())
}

/// Every error has a message, and its place is a place of the text.
fn check(text: &str) {
    let Err(errors) = parse(text) else { return };
    assert!(!errors.list().is_empty());
    let shown = errors.to_string();
    assert!(!shown.contains('\u{1b}'), "no escape sequence reaches a terminal");
    for error in errors.list() {
        assert!(!error.message.is_empty());
        let place = error.place.as_ref().expect("an error about a text has a place");
        let line = text.split('\n').nth(place.line - 1).expect("the line exists");
        assert!(place.column <= line.chars().count() + 1, "{error:?} in {line:?}");
        assert!(place.width >= 1 && place.indent <= place.text.chars().count(), "{error:?}");
    }
}

/// Pieces that plans are made of, to be put together at random.
const PIECES: &[&str] = &[
    "version: 1\n",
    "target: ",
    "builtin",
    "http://a:1",
    "scenarios:\n",
    "phases:\n",
    "  s:\n",
    "    steps:\n",
    "      - ",
    "get: ",
    "/",
    "post: /x\n",
    "json: ",
    "form: ",
    "headers: ",
    "{ ",
    " }",
    "[ ",
    " ]",
    ", ",
    "\n",
    "  ",
    "- ",
    "users: ",
    "1",
    "0",
    "10s",
    "for: ",
    "thresholds:\n",
    "p99(response_time",
    ") < 1s",
    ", step=x",
    "error_rate < 1%",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "? ",
    ": ",
    "{{",
    "}}",
    "\t",
    "\r\n",
    "ü",
    "\u{1f600}",
    "\u{0}",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "# c\n",
    "~",
    "null",
    ".inf",
    "0x1F",
    "x-a: ",
    "check: ",
    "status: ",
    "2xx",
    "name: ",
    "tls: ",
    "connections: ",
    "share: per_user",
    "http2: ",
    "timeouts: ",
    "defaults: ",
    "body: ",
    "file: ",
    "record: false",
    "iterations: ",
    "weight: ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_pieces(picks in prop::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = picks.into_iter().map(|i| PIECES[i]).collect();
        check(&text);
    }

    #[test]
    fn a_plan_with_something_cut_out_or_put_in(at in 0usize..2000, cut in 0usize..30, pick in 0..PIECES.len()) {
        let plan = include_str!("../../configs/quickstart.yaml");
        let (start, end) = (at.min(plan.len()), (at + cut).min(plan.len()));
        if plan.is_char_boundary(start) && plan.is_char_boundary(end) {
            check(&format!("{}{}{}", &plan[..start], PIECES[pick], &plan[end..]));
        }
    }

    #[test]
    fn any_setting(path in "[a-z.0-9]{0,20}", value in any::<String>()) {
        let text = include_str!("../../configs/quickstart.yaml");
        let overrides = Overrides { set: vec![format!("{path}={value}")] };
        let _ = scenario::parse(text, "plan.yaml", Path::new("/nonexistent"), &overrides).map_err(|e| e.to_string());
    }

    #[test]
    fn any_time_is_shown_as_it_is_read(nanos in 0u64..31_622_400_000_000_000) {
        let time = std::time::Duration::from_nanos(nanos);
        prop_assert_eq!(scenario::parse_duration(&scenario::show_duration(time)), Ok(time));
    }

    #[test]
    fn any_url(url in "(http|https)://[a-z0-9:.@\\[\\]/?#%é ]{0,20}") {
        match scenario::plan::Target::from_url(&url) {
            Ok((target, path)) => prop_assert!(path.starts_with('/') && !target.host.is_empty()),
            Err(error) => prop_assert!(url.get(error.at.start.min(url.len())..error.at.end.min(url.len())).is_some()),
        }
    }
}
