//! Plans for the tests: written to a file, run over a protocol, and the counts of both sides read.

pub use super::number;
use super::{Server, assert_balanced, command, json, loadgen, stderr};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Output, Stdio};

/// A plan file that is gone at the end of the test.
pub struct PlanFile(PathBuf);

impl PlanFile {
    pub fn new(name: &str, text: &str) -> PlanFile {
        let path = super::scratch(&format!("{name}.yaml"));
        std::fs::write(&path, text).expect("a scratch file");
        PlanFile(path)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for PlanFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A run that is going on.
pub struct Going {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Going {
    /// Starts a plan, and waits until it says this.
    pub fn since(plan: &PlanFile, word: &str) -> Going {
        let mut child = command(&["-f", plan.path(), "--format", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let mut going = Going { child, said };
        going.wait_for(word);
        going
    }

    /// Waits until it says this.
    pub fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "the run ended early");
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Output {
        let drain = std::thread::spawn(move || std::io::copy(&mut self.said, &mut std::io::sink()));
        let output = self.child.wait_with_output().unwrap();
        drain.join().unwrap().unwrap();
        output
    }
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    H1,
    H2c,
    H2,
    H3,
}

/// Every one of them.
pub const ALL: [Http; 4] = [Http::H1, Http::H2c, Http::H2, Http::H3];

impl Server {
    /// Where to go to speak this, and what a plan calls it.
    pub fn speaks(&self, http: Http) -> (&str, &'static str) {
        match http {
            Http::H1 => (&self.http, "h1"),
            Http::H2c => (&self.http, "h2c"),
            Http::H2 => (&self.https, "h2"),
            Http::H3 => (&self.https, "h3"),
        }
    }
}

/// The first lines of a plan for this server.
pub fn head(server: &Server, http: Http) -> String {
    let (target, protocol) = server.speaks(http);
    format!("version: 1\ntarget: {target}\nprotocol: {protocol}\ntls: {{ verify: false }}\n")
}

/// A plan of these steps for this server.
pub fn plan(server: &Server, http: Http, top: &str, steps: &str, phase: &str) -> String {
    format!("{}{top}\nscenarios:\n  s:\n    steps:\n{steps}\nphases: [ {{ {phase} }} ]\n", head(server, http))
}

/// Runs a plan that ends with one of these codes, and whose books balance.
pub fn run_text(name: &str, text: &str, args: &[&str], codes: &[i32]) -> Value {
    let plan = PlanFile::new(name, text);
    let output = loadgen(&[&["-f", plan.path(), "--format", "json"], args].concat());
    assert!(output.status.code().is_some_and(|c| codes.contains(&c)), "{}{text}", stderr(&output));
    let result = json(&output);
    assert_balanced(&result);
    result
}

/// Runs a plan over one version on a server of its own. `rest` is what follows target and protocol. Result and counts of the server.
pub fn run_alone(http: Http, name: &str, rest: &str, args: &[&str]) -> (Value, Value) {
    let server = Server::start();
    let text = format!("{}{rest}\n", head(&server, http));
    let result = run_text(&format!("{name}-{http:?}"), &text, args, &[0]);
    (result, server.stats())
}

/// Runs a plan's steps so many times on this server.
pub fn run(
    server: &Server,
    http: Http,
    name: &str,
    top: &str,
    steps: &str,
    phase: &str,
    args: &[&str],
) -> Value {
    run_text(&format!("{name}-{http:?}"), &plan(server, http, top, steps, phase), args, &[0, 2])
}

/// Requests that the server counted for a path.
pub fn seen(stats: &Value, path: &str) -> u64 {
    stats["by_path"][path]["requests"].as_u64().unwrap_or(0)
}

pub fn checks(result: &Value) -> Vec<(String, u64, u64)> {
    let list = result["checks_by_name"].as_array().expect("a list");
    list.iter()
        .map(|c| (c["name"].as_str().unwrap().into(), number(&c["passed"]), number(&c["failed"])))
        .collect()
}

pub fn reasons(result: &Value) -> Vec<(String, u64)> {
    let list = result["iteration_failures"].as_array().expect("a list");
    list.iter().map(|r| (r["reason"].as_str().unwrap().into(), number(&r["count"]))).collect()
}
