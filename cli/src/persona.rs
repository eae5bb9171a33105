//! Under which name the program was called. As `h2load` it is h2load.

use std::path::Path;

/// The name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persona {
    /// `loadgen`, or anything else.
    Loadgen,
    /// `h2load`: its exit codes, whatever came of the requests.
    H2load,
}

impl Persona {
    /// By the first argument of the process.
    pub fn of_this_process() -> Persona {
        let name = std::env::args_os().next().unwrap_or_default();
        match Path::new(&name).file_name() {
            Some(file) if file == "h2load" => Persona::H2load,
            _ => Persona::Loadgen,
        }
    }
}
