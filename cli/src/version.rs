//! What this program is: its version, and how it was built.

use std::fmt::Write as _;
use std::sync::LazyLock;

/// The version alone.
pub const NUMBER: &str = env!("CARGO_PKG_VERSION");

/// The version and the facts of the build, a line each.
pub static FACTS: LazyLock<String> = LazyLock::new(|| {
    let mut out = NUMBER.to_owned();
    for (name, value) in [
        ("commit", env!("LOADGEN_COMMIT")),
        ("target", env!("LOADGEN_TARGET")),
        ("profile", env!("LOADGEN_PROFILE")),
        ("features", env!("LOADGEN_FEATURES")),
        ("rustc", env!("LOADGEN_RUSTC")),
    ] {
        let value = match (name, value) {
            ("commit", "") => "unknown (not built from a checkout)",
            ("features", "") => "none",
            (_, value) => value,
        };
        let _ = write!(out, "\n{:9} {value}", format!("{name}:"));
    }
    out
});

/// What is said where `h2load --version` was asked: h2load's form, whose text and options these are.
pub fn as_h2load() -> String {
    format!("h2load nghttp2/1.70.0 (loadgen {NUMBER})\n")
}
