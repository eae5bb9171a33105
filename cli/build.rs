//! Facts about this build, for `loadgen --version`. Needs no git: it reads what git wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    fact("LOADGEN_COMMIT", &commit().unwrap_or_default());
    fact("LOADGEN_TARGET", &std::env::var("TARGET").unwrap_or_default());
    fact("LOADGEN_PROFILE", &profile());
    fact("LOADGEN_RUSTC", &rustc().unwrap_or_default());
    fact("LOADGEN_FEATURES", &features());
    if fixed_address() {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}

/// Whether the binary has its address when it is linked. Else the loader writes twenty thousand pointers at each start, and
/// what it writes is memory of each process: see `docs/decisions/011-resident-memory.md`. Where rustc chooses the start
/// files itself (musl) they are those of a program that can be moved.
fn fixed_address() -> bool {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu")
}

fn fact(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={value}");
}

/// The directory of the profile in the target directory: `PROFILE` itself knows only debug and release.
fn profile() -> String {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let name = out.ancestors().nth(3).and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    name.or_else(|| std::env::var("PROFILE").ok()).unwrap_or_default()
}

fn rustc() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn features() -> String {
    let names = std::env::vars().filter_map(|(name, _)| {
        name.strip_prefix("CARGO_FEATURE_").map(|f| f.to_ascii_lowercase().replace('_', "-"))
    });
    let mut names: Vec<String> = names.filter(|n| n != "default").collect();
    names.sort_unstable();
    names.join(" ")
}

/// The commit that HEAD names, if this is a checkout.
fn commit() -> Option<String> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?).parent()?.to_owned();
    let dot_git = root.join(".git");
    // In a work tree of several `.git` is a file that says where the directory is.
    let dir = match std::fs::read_to_string(&dot_git) {
        Ok(text) => root.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => dot_git,
    };
    let head = read(&dir.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else { return hash(&head) };
    let shared = read(&dir.join("commondir")).map_or_else(|| dir.clone(), |common| dir.join(common.trim()));
    if let Some(text) = read(&dir.join(name)).or_else(|| read(&shared.join(name))) {
        return hash(&text);
    }
    let packed = read(&shared.join("packed-refs"))?;
    let line = packed.lines().find_map(|l| l.strip_suffix(name))?;
    hash(line)
}

fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text)
}

fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text[..12].to_owned())
}
