//! Every YAML block of the documentation is read: what is shown there is part of a legal plan. What a block leaves out is put
//! around it: a list is steps, `check` and `extract` belong to a step, and the rest is of the top level.

mod common;

use scenario::Overrides;
use std::path::{Path, PathBuf};

fn documents() -> Vec<PathBuf> {
    let mut files = common::files("../docs", "md");
    files.extend(common::files("..", "md"));
    files
}

/// The blocks of a document, with the number of their first line.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim_end()) {
            (None, "```yaml") => open = Some((number + 2, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, block)), line) => *block += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    blocks
}

fn indented(block: &str, by: usize) -> String {
    block.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// A whole plan around a block.
fn whole(block: &str) -> String {
    let first = block.lines().find(|line| !line.trim_start().starts_with('#')).unwrap_or_default();
    let has = |key: &str| block.lines().any(|line| line.starts_with(key));
    let mut plan = String::new();
    if block.contains("{{users.") && !has("data:") && !first.starts_with('-') {
        plan += "data: { users: { file: users.csv } }\n";
    }
    if !has("version:") {
        plan += "version: 1\n";
    }
    if !has("target:") {
        plan += "target: https://shop.example\n";
    }
    if !has("phases:") && !has("search:") {
        plan += "phases: [ { users: 8, for: 1s } ]\n";
    }
    if first.starts_with('-') {
        // Their data and variables may be shown elsewhere.
        return plan
            + "data: { users: { file: users.csv } }\nvariables: { id: 1, host: a }\nscenarios:\n  s:\n    steps:\n"
            + &indented(block, 6);
    }
    if first.starts_with("check:") || first.starts_with("extract:") {
        return plan + "scenarios:\n  s:\n    steps:\n      - get: /\n" + &indented(block, 8);
    }
    // A plan of handshakes alone has none.
    let only_handshakes =
        block.contains("handshakes:") && !block.contains("users:") && !block.contains("rate:");
    if !has("scenarios:") && !only_handshakes {
        plan += "scenarios: { s: { steps: [ get: / ] } }\n";
    }
    plan + block
}

#[test]
fn every_block_of_the_documentation_is_read() {
    let (mut faults, mut read) = (Vec::new(), 0);
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docs");
    for path in documents() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for (line, block) in blocks(&std::fs::read_to_string(&path).unwrap()) {
            // A variable of the environment that there is.
            let text = whole(&block).replace("env.PASSWORD", "env.PATH");
            match scenario::parse(&text, &format!("{name}:{line}"), &base, &Overrides::default()) {
                Ok(_) => read += 1,
                Err(errors) => faults.push(format!("{errors}\n{text}")),
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(read > 20, "{read} blocks");
}
