//! Files that the tests of this package read.

use std::path::{Path, PathBuf};

/// Those of a folder (beside this package's manifest, or from there) whose names end so, in order.
pub fn files(dir: impl AsRef<Path>, extension: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}
