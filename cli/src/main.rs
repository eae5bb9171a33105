//! The `loadgen` binary: what was typed becomes a plan and options, `engine` runs it, `report` says what came of it.
//!
//! `args` is what can be typed; `h2load` and `file` turn it into a [`job::Job`]; `run` does the job and returns the exit
//! code. Everything printed goes through `output`.

mod address;
mod args;
mod builtin;
mod check;
mod completions;
mod error;
mod exit;
mod file;
mod footprint;
mod h2load;
mod headers;
mod hint;
mod http2;
mod http3;
mod input;
mod job;
mod machine;
mod man;
mod mathematics;
mod network;
mod observe;
mod output;
mod persona;
mod places;
mod progress;
mod refused;
mod request_log;
mod run;
mod script;
mod search;
mod serve;
mod signals;
mod smoke;
mod strict;
mod timeline;
mod tls;
mod trace;
mod urls;
mod values;
mod version;

use args::{Cli, Command};
use error::Failure;
use persona::Persona;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: engine::Recycler = engine::Recycler;

fn main() -> ExitCode {
    let persona = Persona::of_this_process();
    // What the runtime and the libraries touched when they were started.
    footprint::let_go();
    let code = match args::parse(persona) {
        Ok(cli) => dispatch(cli, persona),
        Err(args::Stop::Said(text)) => {
            output::stdout(&text);
            Ok(exit::OK)
        }
        Err(args::Stop::Wrong(failure)) => Err(failure),
    };
    // What went wrong besides says more.
    let code = code.and_then(|code| if code == exit::OK { output::end().map(|()| code) } else { Ok(code) });
    ExitCode::from(code.unwrap_or_else(|failure| {
        match persona {
            Persona::Loadgen => output::stderr(&format!("{failure}\n")),
            Persona::H2load => output::stderr(&format!("h2load: {}\n", failure.message())),
        }
        failure.code()
    }))
}

fn dispatch(cli: Cli, persona: Persona) -> Result<u8, Failure> {
    match cli.command {
        None => run::run(&cli.run, persona),
        Some(Command::Check(args)) => check::check(&args),
        Some(Command::Serve(args)) => serve::serve(&args),
        Some(Command::Schema) => {
            output::stdout(&format!("{:#}\n", scenario::schema()));
            Ok(exit::OK)
        }
        Some(Command::Completions { shell }) => Ok(completions::print(shell)),
        Some(Command::Man { command }) => man::print(command.as_deref()),
    }
}
