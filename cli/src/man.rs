//! `loadgen man`: the manual page, made of what the flags say of themselves.

use crate::args::Cli;
use crate::error::Failure;
use crate::{exit, output};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

/// Prints the page of the program, or of one of its sub-commands.
pub fn print(name: Option<&str>) -> Result<u8, Failure> {
    let command = page(name)?;
    let mut text = Vec::new();
    Man::new(command).render(&mut text).map_err(|e| Failure::new(format!("the manual page: {e}")))?;
    output::stdout(&String::from_utf8_lossy(&text));
    Ok(exit::OK)
}

fn page(name: Option<&str>) -> Result<Command, Failure> {
    let mut all = Cli::command();
    all.build();
    let Some(name) = name else { return Ok(all) };
    match all.find_subcommand(name) {
        Some(command) => Ok(command.clone()),
        None => {
            let names: Vec<&str> = all.get_subcommands().map(Command::get_name).collect();
            Err(Failure::new(format!("man: there is no sub-command {name}: one of {}", names.join(", "))))
        }
    }
}
