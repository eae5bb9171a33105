//! h2load's timing script: lines of an offset in milliseconds, a tab and a URL.

use crate::error::Failure;
use crate::input;
use std::path::Path;
use std::sync::Arc;

/// More than this is no script of requests.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// A script: never empty, as many offsets as URLs.
#[derive(Debug)]
pub struct Script {
    /// Nanoseconds from the start, never falling: what comes behind a later one is sent with it.
    pub at: Arc<[u64]>,
    /// What is requested then.
    pub urls: Vec<String>,
}

/// Reads a script; `-`: from stdin.
pub fn read(path: &Path) -> Result<Script, Failure> {
    let failed = |what: String| Failure::new(format!("--timing-script-file: {}: {what}", path.display()));
    let text = input::text(path, MAX_BYTES)
        .map_err(|error| failed(format!("{error}: give a file of lines `OFFSET_MS<tab>URL`")))?;
    parse(&text).map_err(failed)
}

fn parse(text: &str) -> Result<Script, String> {
    let mut urls = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let url = line.split_once('\t').map(|(_, url)| url.trim()).filter(|url| !url.is_empty());
        let Some(url) = url else {
            return Err(format!("line {} has no tab and URL behind the offset in ms", number + 1));
        };
        urls.push(url.to_owned());
    }
    let at = scenario::script_times(text.as_bytes()).map_err(|error| error.to_string())?;
    match at.len() == urls.len() {
        true => Ok(Script { at: Arc::from(at), urls }),
        false => Err("comments have no place in a timing script".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_urls() {
        let script = parse("0.0\thttp://a/\n\n12.5\thttp://a/b\r\n").unwrap();
        assert_eq!(
            (&*script.at, script.urls.as_slice()),
            (&[0, 12_500_000][..], &["http://a/".to_owned(), "http://a/b".into()][..])
        );
    }

    #[test]
    fn what_is_no_script() {
        for (text, says) in [
            ("", "no lines"),
            ("5 http://a/\n", "line 1 has no tab"),
            ("5\t\n", "line 1 has no tab"),
            ("x\thttp://a/\n", "line 1 has no time"),
            ("[10/Oct/2000:13:55:36 +0200]\thttp://a/\n", "line 1 has no time"),
            ("#5\thttp://a/\n4\thttp://a/\n", "comments"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
