//! The texts of errors. Each `tests/bad/NAME.yaml` is a plan that is wrong in one way (or some), and `NAME.txt` beside it
//! is exactly what the user sees. `UPDATE_GOLDEN=1 cargo test -p scenario --test bad` writes the texts anew.

mod common;

use scenario::Overrides;
use std::path::Path;

#[test]
fn errors_read_as_agreed() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = String::new();
    let plans = common::files("tests/bad", "yaml");
    assert!(plans.len() >= 30);
    for path in plans {
        let name = path.file_name().unwrap().to_str().unwrap();
        let golden = path.with_extension("txt");
        let text = match scenario::load(&path, &Overrides::default()) {
            Ok(_) => format!("{name} is a legal plan\n"),
            // The tests run in different directories on different machines.
            Err(errors) => errors.to_string().replace(&format!("{}/", path.parent().unwrap().display()), ""),
        };
        if update {
            std::fs::write(&golden, &text).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if text != expected {
            wrong.push_str(&format!("--- {name}, expected\n{expected}--- got\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Kinds of mistakes, and what the text of each says.
const FAMILIES: &[(&str, &[&str])] = &[
    ("syntax", &["not YAML: ", "the tag ", "a template needs quotes here", "an alias stands inside"]),
    ("unknown key with suggestion", &["error: unknown key"]),
    (
        "undefined variable",
        &["there is no variable ", "gets its value in the same `parallel`", "has no column"],
    ),
    (
        "bad unit",
        &[
            "needs a unit",
            "is not a unit",
            "a time holds no blank",
            "a rate is ",
            "a rate needs to say",
            "a time is a number and a unit",
            "did you mean `2097152`",
        ],
    ),
    (
        "wrong type",
        &[
            "must be a map",
            "must be a list",
            "must be text",
            "must be a whole number",
            "must be `true` or `false`",
        ],
    ),
    ("unreachable step", &["this step is never reached"]),
    ("missing file", &["no such file"]),
    (
        "bad selector, pattern or path",
        &["is not a regular expression", "is not a selector", "is not a JSON path", "has no group"],
    ),
    ("duplicate names", &[" are named ", " is given twice"]),
    ("cycles in include", &["it includes itself", " uses itself"]),
    ("alias bombs", &["with its aliases written out", "an alias stands inside", "nested deeper than"]),
];

#[test]
fn every_family_of_mistakes_has_ten_plans() {
    let texts: Vec<String> =
        common::files("tests/bad", "txt").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for (family, signs) in FAMILIES {
        let of_it = |text: &&String| {
            let suggests = !family.ends_with("with suggestion") || text.contains("did you mean `");
            suggests && signs.iter().any(|sign| text.contains(sign))
        };
        let count = texts.iter().filter(of_it).count();
        assert!(count >= 10, "{family}: {count}");
    }
}

#[test]
fn a_missing_plan() {
    let errors = scenario::load(Path::new("no/such/plan.yaml"), &Overrides::default()).unwrap_err();
    assert_eq!(errors.to_string(), "error: cannot read the plan: no such file\n  --> no/such/plan.yaml\n");
    let errors = scenario::load(Path::new(env!("CARGO_MANIFEST_DIR")), &Overrides::default()).unwrap_err();
    assert!(errors.to_string().starts_with("error: cannot read the plan: it is a directory\n"), "{errors}");
}

#[test]
fn errors_in_settings_show_the_setting() {
    let text = "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ get: / ] } }\nphases: [ { users: 1, for: 1s } ]\n";
    let show = |set: &str| {
        let overrides = Overrides { set: vec![set.to_owned()] };
        scenario::parse(text, "plan.yaml", Path::new(""), &overrides).unwrap_err().to_string()
    };
    assert_eq!(
        show("connections.max=many"),
        "error: `max` must be a whole number from 1 to 1000000\n  --> --set:1:17\n   |\n 1 | connections.max=many\n   \
         |                 ^^^^ found `many`\n"
    );
    assert!(show("phases.9.users=1").contains("the list has no element `9`"));
    assert!(show("conections=1").contains("did you mean `connections`?"));
    assert!(show("target").contains("a setting is `path=value`"));
    assert!(show("target.x=1").contains("there is nothing below `builtin`"));
    assert!(show("target=[").contains("--> --set:1:"));
}
