//! The way in: text or a file becomes a [`Plan`] or [`Errors`].

use crate::error::{Errors, Problems};
use crate::include;
use crate::limits;
use crate::overrides::{self, Overrides};
use crate::parse::{self, Input};
use crate::plan::Plan;
use crate::reader::Reader;
use crate::resolve;
use crate::scope::Scope;
use crate::source::{Source, Sources, Span};
use crate::templates;
use crate::tree::Node;
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;

const EXAMPLE: &str = "a small plan:
version: 1
target: http://127.0.0.1:8080
scenarios:
  browse:
    steps:
      - get: /
phases:
  - { users: 16, for: 30s }";

/// Reads a plan from text. `file_name` is what errors call it; files that it names are looked for in `base_dir`.
pub fn parse(text: &str, file_name: &str, base_dir: &Path, overrides: &Overrides) -> Result<Plan, Errors> {
    if text.len() > limits::MAX_PLAN_BYTES {
        return Err(Errors::of_file(file_name, too_large(text.len() as u64)));
    }
    if overrides.set.len() > limits::MAX_OVERRIDES {
        let message = format!("at most {} settings can be given beside a plan", limits::MAX_OVERRIDES);
        return Err(Errors::of_file(file_name, message));
    }
    let mut sources = Sources(vec![Source::new(file_name, text)]);
    overrides.add_sources(&mut sources);
    let mut problems = Problems::default();
    let root = tree(&mut sources, (text, file_name), base_dir, &mut problems);
    let files = sources.0.iter().filter_map(|source| source.path.clone()).collect();
    let mut reader =
        Reader { sources: &sources, base_dir, problems, file_bytes: 0, files, scope: Scope::default() };
    let plan = root.and_then(|root| read(&mut reader, &root, file_name));
    match (reader.problems.finish(&sources, file_name), plan) {
        (None, Some(plan)) => Ok(plan),
        (Some(errors), _) => Err(errors),
        // Every `None` notes an error; this is what a user sees if that is ever forgotten.
        (None, None) => Err(Errors::of_file(file_name, "the plan cannot be understood")),
    }
}

/// The whole tree: the plan's own, changed by the settings, with what it includes.
fn tree(
    sources: &mut Sources<'_>,
    (text, file_name): (&str, &str),
    base_dir: &Path,
    problems: &mut Problems,
) -> Option<Rc<Node>> {
    let root = parse::document(Input { source: 0, offset: 0, text }, problems);
    if problems.count() > 0 {
        return None;
    }
    let mut root = match root {
        Some(root) if !root.is_null() => root,
        _ => {
            problems.add(Span { source: 0, start: 0, end: 0 }, "the plan is empty", "");
            problems.note(EXAMPLE);
            return None;
        }
    };
    overrides::apply(&mut root, sources, problems);
    let before = problems.count();
    include::apply(&mut root, sources, (Path::new(file_name), base_dir), problems);
    // What is missing of the fragments would be missed everywhere.
    (problems.count() == before).then_some(root)
}

fn read(reader: &mut Reader<'_>, root: &Node, file_name: &str) -> Option<Plan> {
    templates::refuse(reader, root);
    let stem = Path::new(file_name).file_stem().and_then(|s| s.to_str()).unwrap_or("plan");
    let name: String = stem.chars().filter(|c| !c.is_control()).take(limits::MAX_NAME).collect();
    resolve::plan(reader, root, if name.trim().is_empty() { "plan" } else { &name })
}

/// Reads a plan from a file. Files that it names are looked for beside it.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Plan, Errors> {
    let name = path.display().to_string();
    let bytes = match read_file(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Err(Errors::of_file(&name, format!("cannot read the plan: {}", reason(&error))));
        }
    };
    if bytes.len() > limits::MAX_PLAN_BYTES {
        return Err(Errors::of_file(&name, too_large(bytes.len() as u64)));
    }
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => return Err(not_utf8(&name, &bytes, error.valid_up_to())),
    };
    let base_dir = path.parent().unwrap_or(Path::new(""));
    parse(text, &name, base_dir, overrides)
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limits::MAX_PLAN_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn too_large(bytes: u64) -> String {
    format!("a plan has at most {} MiB, and this one has {bytes} bytes or more", limits::MAX_PLAN_BYTES >> 20)
}

/// The system's reason without its number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

fn not_utf8(name: &str, bytes: &[u8], at: usize) -> Errors {
    let text = String::from_utf8_lossy(bytes);
    // What comes before the fault is as long in the lossy text as in the file.
    let place = Source::new(name, &text).excerpt(at, at + '\u{fffd}'.len_utf8());
    let note = match bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        true => "this looks like UTF-16; save the file as UTF-8",
        false => "save the file as UTF-8",
    };
    Errors::at(name, format!("the plan is not UTF-8: byte 0x{:02x}", bytes[at]), place, note)
}
