//! Whether each output has a place of its own: of two in one file one would be lost, or lines of both be mixed. In one that is
//! read, what was there would be.

use crate::args::{OutputArgs, RunArgs};
use crate::error::Failure;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Refuses two outputs to one file, by whatever names, one to a file that is read (also by the plan, which was read from `files`),
/// and two to standard output. `key_log` is what `SSLKEYLOGFILE` says.
pub fn refuse_shared(args: &RunArgs, files: &[PathBuf], key_log: Option<OsString>) -> Result<(), Failure> {
    let inputs = inputs(args, files);
    let logs = args.protocol.qlog_file_base.as_deref().and_then(QuicLogs::of);
    if let Some((logs, input)) =
        logs.as_ref().and_then(|l| Some((l, inputs.iter().find(|i| l.has(&i.path))?)))
    {
        return Err(Failure::new(format!(
            "{} would overwrite what {} reads, for its files have such names: give it another base",
            logs.shown, input.shown
        )));
    }
    let mut seen: Vec<Named> = Vec::new();
    for output in outputs(&args.output, key_log) {
        if let Some(input) = inputs.iter().find(|input| input.place == output.place) {
            let (output, input) = (output.shown, &input.shown);
            return Err(Failure::new(format!(
                "{output} would overwrite what {input} reads: give it a file of its own"
            )));
        }
        if let Some(other) = seen.iter().find(|other| other.place == output.place) {
            let both = format!("{} and {}", other.shown, output.shown);
            return Err(Failure::new(match output.place {
                Place::Stdout => format!("{both} both go to standard output: give one of them a file"),
                Place::File { .. } | Place::New(_) => format!(
                    "{both} are one file, in which they would overwrite each other or be mixed: give each a file of its own"
                ),
            }));
        }
        if let Some(logs) = logs.as_ref().filter(|logs| logs.has(&output.path)) {
            return Err(Failure::new(format!(
                "{} would overwrite what {} writes, for its files have such names: give it another base",
                logs.shown, output.shown
            )));
        }
        seen.push(output);
    }
    Ok(())
}

/// The files of outputs that are still to be made.
pub fn missing(args: &OutputArgs, key_log: Option<OsString>) -> Vec<PathBuf> {
    let new = |named: Named| match named.place {
        Place::New(path) => Some(path),
        Place::Stdout | Place::File { .. } => None,
    };
    outputs(args, key_log).into_iter().filter_map(new).collect()
}

/// Takes away what a run that came to nothing has made of them and left empty.
pub fn remove_empty(made: &[PathBuf]) {
    let empty = |path: &&PathBuf| fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && m.len() == 0);
    made.iter().filter(empty).for_each(|path| {
        let _ = fs::remove_file(path);
    });
}

/// An option that reads or writes, and where.
struct Named {
    shown: String,
    /// As it was given; empty for standard output.
    path: PathBuf,
    place: Place,
}

/// What `--qlog-file-base` writes to: `BASE.CORE.CLIENT.CONNECTION.sqlog`, with numbers that nobody knows before.
struct QuicLogs {
    shown: String,
    /// Where they are, and what their names begin with.
    folder: PathBuf,
    base: Vec<u8>,
}

impl QuicLogs {
    fn of(base: &Path) -> Option<QuicLogs> {
        let shown = format!("--qlog-file-base {}", base.display());
        let mut first = base.as_os_str().to_owned();
        first.push(".");
        let first = PathBuf::from(first);
        Some(QuicLogs { shown, folder: folder(&first)?, base: first.file_name()?.as_bytes().to_vec() })
    }

    /// Whether one of them may be there.
    fn has(&self, path: &Path) -> bool {
        let path = target(path);
        let numbers = path.file_name().and_then(|name| name.as_bytes().strip_prefix(&self.base[..]));
        let Some(numbers) = numbers.and_then(|n| n.strip_suffix(b".sqlog")) else { return false };
        let is_number = |n: &[u8]| !n.is_empty() && n.iter().all(u8::is_ascii_digit);
        let mut parts = numbers.split(|b| *b == b'.');
        parts.by_ref().take(3).filter(|n| is_number(n)).count() == 3
            && parts.next().is_none()
            && folder(&path).as_deref() == Some(&self.folder)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Stdout,
    /// There already, under this name or another.
    File {
        device: u64,
        inode: u64,
    },
    /// To be made, in a folder without links in its path.
    New(PathBuf),
}

fn inputs(args: &RunArgs, files: &[PathBuf]) -> Vec<Named> {
    let (load, request, tls) = (&args.load, &args.request, &args.tls);
    let all = [
        ("-f", args.file.as_ref().map(Path::new)),
        ("--timing-script-file", load.timing_script_file.as_deref()),
        ("-i", load.input_file.as_deref()),
        ("-d", request.data.as_deref()),
        ("--tls-ca", tls.tls_ca.as_deref()),
        ("--cert", tls.cert.as_deref()),
        ("--key", tls.key.as_deref()),
    ];
    let named = all.into_iter().filter_map(|(option, path)| {
        let path = path?;
        Some(Named {
            shown: format!("{option} {}", path.display()),
            path: path.to_owned(),
            place: place(path)?,
        })
    });
    let of_plan = files
        .iter()
        .filter_map(|path| Some(Named { shown: "the plan".into(), path: path.clone(), place: place(path)? }));
    named.chain(of_plan).filter(|input| matches!(input.place, Place::File { .. })).collect()
}

fn outputs(args: &OutputArgs, key_log: Option<OsString>) -> Vec<Named> {
    let mut all = Vec::new();
    if args.format.is_some() && args.output.is_empty() {
        all.push(Named { shown: "--format".into(), path: PathBuf::new(), place: Place::Stdout });
    }
    let mut add = |option: &str, path: &Path, dash: bool| {
        let place = match dash && path == Path::new("-") {
            true => Some(Place::Stdout),
            false => place(path),
        };
        let shown = format!("{option}{}", path.display());
        all.extend(place.map(|place| Named { shown, path: path.to_owned(), place }));
    };
    args.output.iter().for_each(|path| add("-o ", path, true));
    args.timeline.iter().for_each(|path| add("--timeline ", path, true));
    args.output_file.iter().for_each(|path| add("--output-file ", path, true));
    // To these a dash is a name like any other.
    args.log_file.iter().for_each(|path| add("--log-file ", path, false));
    key_log.iter().filter(|p| !p.is_empty()).for_each(|p| add("SSLKEYLOGFILE=", Path::new(p), false));
    all
}

/// `None` for what several may write to (devices, pipes, terminals, this process's own open files), and for what cannot be
/// written at all: whoever opens it says why.
fn place(path: &Path) -> Option<Place> {
    let own = ["/dev/fd", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder));
    if own || path == Path::new("/dev/stdout") || path == Path::new("/dev/stderr") {
        return None;
    }
    if let Ok(found) = fs::metadata(path) {
        return found.is_file().then(|| Place::File { device: found.dev(), inode: found.ino() });
    }
    let path = target(path);
    Some(Place::New(folder(&path)?.join(path.file_name()?)))
}

/// The folder that a file is in, without links in its path.
fn folder(path: &Path) -> Option<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::canonicalize(folder).ok()
}

/// Where a link leads whose target is still to be made; the kernel follows as many.
fn target(path: &Path) -> PathBuf {
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(to) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    path
}
