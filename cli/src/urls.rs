//! Which URLs are requested: those on the command line, or those of a file (`-i`), which replaces them as in h2load.

use crate::args::RunArgs;
use crate::error::Failure;
use crate::input;

/// Most URLs of a file: each costs some KB, prepared for both protocols.
const MOST: usize = 1_000_000;

/// And so much text.
const MOST_BYTES: u64 = 1 << 30;

/// Up to so many URLs have figures of their own: each costs tens of KB a core where it was requested often.
pub const APART: usize = 1000;

/// The URLs, at least one.
pub fn of(args: &RunArgs) -> Result<Vec<String>, Failure> {
    let Some(path) = &args.load.input_file else {
        return match args.urls.is_empty() {
            false => Ok(args.urls.clone()),
            true => Err(Failure::new(
                "no URI or plan given: try `loadgen --h1 -n 1000 -c 10 http://127.0.0.1:8080/`, `loadgen -f plan.yaml` or \
                 `loadgen --help`",
            )),
        };
    };
    let text = input::text(path, MOST_BYTES)
        .map_err(|error| Failure::new(format!("-i: cannot read input file: {}: {error}", path.display())))?;
    // A byte order mark is no part of a URL.
    let urls: Vec<String> = text.trim_start_matches('\u{feff}').lines().map(str::to_owned).collect();
    // An empty line is no URL to h2load either.
    if let Some(at) = urls.iter().position(String::is_empty) {
        return Err(Failure::new(format!(
            "-i: {}, line {}: invalid URI: the line is empty: leave it out",
            path.display(),
            at + 1
        )));
    }
    match urls.len() {
        0 => Err(Failure::new(format!("-i: no URI available: {} is empty", path.display()))),
        n if n > MOST => {
            Err(Failure::new(format!("-i: {} has {n} lines: at most {MOST} URLs", path.display())))
        }
        _ => Ok(urls),
    }
}
