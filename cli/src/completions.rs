//! `loadgen completions`: scripts that shells read.

use crate::args::Cli;
use crate::{exit, output};
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the script.
pub fn print(shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "loadgen", &mut script);
    output::stdout(&String::from_utf8_lossy(&script));
    exit::OK
}
