//! `include`: the fragments of other files become the plan's own.
//!
//! Works on the tree, before anything has a meaning: a fragment keeps the place where it is written, so that an error in it
//! shows its own file. `load` calls it.

use crate::error::Problems;
use crate::limits;
use crate::load::reason;
use crate::parse::{self, Input};
use crate::place;
use crate::source::{Source, Sources, Span, quote};
use crate::tree::{Entry, Kind, Node, Weight};
use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Adds the fragments of all included files to those of the plan, which is the file of this name and looks for files in this
/// directory.
pub(crate) fn apply(
    root: &mut Rc<Node>,
    sources: &mut Sources<'_>,
    (file, dir): (&Path, &Path),
    problems: &mut Problems,
) {
    let Some(include) = root.entry("include").cloned() else { return };
    let shown = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let own = root.entry("fragments").map_or(vec![], fragments);
    let mut files = Files {
        bytes: sources.0.iter().map(|s| s.text.len()).sum(),
        sources,
        problems,
        inside: vec![(file.canonicalize().unwrap_or_default(), shown)],
        read: vec![],
        own: own.len(),
        fragments: own,
    };
    files.all(&include, dir);
    let all = files.fragments;
    let Kind::Map(entries) = &mut Rc::make_mut(root).kind else { return };
    let value = |span| Rc::new(Node { span, kind: Kind::Map(all), weight: Weight::default() });
    match entries.iter_mut().find(|e| e.key == "fragments") {
        // Fragments that are no map have their message later.
        Some(own) if matches!(own.value.kind, Kind::Map(_)) => own.value = value(own.value.span),
        Some(_) => {}
        None => entries.push(Entry {
            key: "fragments".to_owned(),
            key_span: include.key_span,
            value: value(include.value.span),
        }),
    }
}

fn fragments(entry: &Entry) -> Vec<Entry> {
    match &entry.value.kind {
        Kind::Map(entries) => entries.clone(),
        _ => vec![],
    }
}

/// The files so far.
struct Files<'s, 'a> {
    sources: &'s mut Sources<'a>,
    problems: &'s mut Problems,
    /// The plan, and files that are being read: as the system knows them, and as people call them.
    inside: Vec<(PathBuf, String)>,
    read: Vec<PathBuf>,
    bytes: usize,
    /// How many of the fragments are the plan's own.
    own: usize,
    fragments: Vec<Entry>,
}

impl Files<'_, '_> {
    /// Everything behind an `include`; `dir` is where the file lies that says it.
    fn all(&mut self, entry: &Entry, dir: &Path) {
        match &entry.value.kind {
            Kind::Scalar { .. } if !entry.value.is_null() => self.one(&entry.value, dir),
            Kind::List(items) if !items.is_empty() => items.iter().for_each(|item| self.one(item, dir)),
            _ => self.problems.add(entry.key_span, "`include` must be a file or a list of files", ""),
        }
    }

    fn one(&mut self, node: &Node, dir: &Path) {
        let Some(name) = node.as_text() else {
            return self.problems.add(node.span, "`include` must be a file or a list of files", "");
        };
        if name.contains("{{") {
            let label = "files are read before the run begins";
            return self.problems.add(node.span, "a template cannot be here", label);
        }
        let path = dir.join(name);
        let fail = |problems: &mut Problems, why: &str, label: String| {
            problems.add(node.span, format!("cannot include {}: {why}", quote(name)), label);
        };
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) => {
                let label = "the path is relative to the file that names it".to_owned();
                return fail(self.problems, &reason(&error), label);
            }
        };
        if self.inside.iter().any(|(inside, _)| *inside == real) {
            let chain: Vec<&str> = self.inside.iter().map(|(_, shown)| shown.as_str()).collect();
            return fail(self.problems, "it includes itself", format!("{} > {name}", chain.join(" > ")));
        }
        if self.read.contains(&real) {
            return;
        }
        if self.inside.len() > limits::MAX_INCLUDE_DEPTH {
            let label = format!("at most {} files, one in the other", limits::MAX_INCLUDE_DEPTH);
            return fail(self.problems, "files are included too deeply", label);
        }
        if self.read.len() >= limits::MAX_INCLUDED {
            return fail(
                self.problems,
                "these are too many files",
                format!("at most {}", limits::MAX_INCLUDED),
            );
        }
        let text = match self.text(&real) {
            Ok(text) => text,
            Err(why) => return fail(self.problems, &why, String::new()),
        };
        self.read.push(real.clone());
        self.inside.push((real, name.to_owned()));
        self.file(node, &path, text);
        self.inside.pop();
    }

    fn text(&self, path: &Path) -> Result<String, String> {
        let meta = std::fs::metadata(path).map_err(|e| reason(&e))?;
        if !meta.is_file() {
            return Err("it is not a file".into());
        }
        let room = limits::MAX_PLAN_BYTES.saturating_sub(self.bytes);
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|f| f.take(room as u64 + 1).read_to_end(&mut bytes))
            .map_err(|e| reason(&e))?;
        if bytes.len() > room {
            return Err(format!(
                "a plan with all its files has at most {} MiB",
                limits::MAX_PLAN_BYTES >> 20
            ));
        }
        String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            let line = e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
            format!("it is not UTF-8: byte 0x{:02x} in line {line}", e.as_bytes()[at])
        })
    }

    /// What is in a file.
    fn file(&mut self, named: &Node, path: &Path, text: String) {
        let source = self.sources.0.len() as u32;
        let before = self.problems.count();
        let root = parse::document(Input { source, offset: 0, text: &text }, self.problems);
        self.bytes += text.len();
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        let name = Cow::Owned(path.display().to_string());
        self.sources.0.push(Source { name, text: Cow::Owned(text), path: Some(path.to_owned()) });
        if self.problems.count() > before {
            return;
        }
        let root = root.filter(|root| matches!(root.kind, Kind::Map(_)));
        let Some(root) = root else {
            return self.problems.add(
                named.span,
                "an included file is a map with `fragments`",
                "this one is not",
            );
        };
        let Kind::Map(entries) = &root.kind else { return };
        for entry in entries {
            match entry.key.as_str() {
                "include" => self.all(entry, &dir),
                "fragments" => self.add(entry),
                "version" => self.version(entry),
                key if key.starts_with("x-") => {}
                key => {
                    let message = format!("unknown key {}", quote(key));
                    self.problems.add(entry.key_span, message, place::INCLUDED.advice(key));
                }
            }
        }
    }

    fn version(&mut self, entry: &Entry) {
        if entry.value.as_plain() != Some("1") {
            let message = "this loadgen reads plans of version 1";
            self.problems.add(entry.value.span, message, "write `version: 1`, or leave it out");
        }
    }

    fn add(&mut self, entry: &Entry) {
        let Kind::Map(new) = &entry.value.kind else {
            return self.problems.add(entry.key_span, "`fragments` must be a map of names to fragments", "");
        };
        for fragment in new {
            if let Some(at) = self.fragments.iter().position(|f| f.key == fragment.key) {
                let message = format!("two fragments are named {}", quote(&fragment.key));
                let label = match at < self.own {
                    true => "the plan has one, too".to_owned(),
                    false => format!("the other one is in {}", self.place(self.fragments[at].key_span)),
                };
                self.problems.add(fragment.key_span, message, label);
            } else {
                self.fragments.push(fragment.clone());
            }
        }
    }

    fn place(&self, span: Span) -> String {
        let Some(source) = self.sources.0.get(span.source as usize) else { return String::new() };
        let file = Path::new(&*source.name).file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("{file}, line {}", source.excerpt(span.start, span.end).line)
    }
}
