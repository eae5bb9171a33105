//! What can be typed and is not built yet, in one table. A row goes away when its feature arrives.

use crate::args::{Io, RunArgs};
use crate::error::Failure;

/// One option that is not built yet.
struct Row {
    option: &'static str,
    given: fn(&RunArgs) -> bool,
    /// An option of HTTP/3 that changes nothing elsewhere.
    ignored_on_h1: bool,
}

const fn row(option: &'static str, given: fn(&RunArgs) -> bool) -> Row {
    Row { option, given, ignored_on_h1: false }
}

const fn h3_row(option: &'static str, given: fn(&RunArgs) -> bool) -> Row {
    Row { option, given, ignored_on_h1: true }
}

const ROWS: &[Row] = &[
    row("--ktls", |a| a.tls.ktls),
    row("--tls-session-file", |a| a.tls.tls_session_file.is_some()),
    row("--qlog-file-base", |a| a.protocol.qlog_file_base.is_some()),
    row("--io monoio", |a| a.machine.io == Io::Monoio),
    row("HTTP/3 (--h3)", |a| a.protocol.h3),
    h3_row("--no-udp-gso", |a| a.protocol.no_udp_gso),
    h3_row("--max-udp-payload-size", |a| a.protocol.max_udp_payload_size.is_some()),
];

/// Refuses what is not built yet.
pub fn refuse(args: &RunArgs) -> Result<(), Failure> {
    let forced_h1 = args.protocol.h1;
    match ROWS.iter().find(|row| (row.given)(args) && !(row.ignored_on_h1 && forced_h1)) {
        None => Ok(()),
        Some(row) => Err(unsupported(row.option)),
    }
}

/// The one wording.
pub fn unsupported(what: &str) -> Failure {
    Failure::new(format!("{what} is not supported yet"))
}
