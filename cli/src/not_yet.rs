//! What can be typed and is not built yet, in one table. A row goes away when its feature arrives. Beside it, what stays
//! refused, with the reason.

use crate::args::RunArgs;
use crate::error::Failure;

/// One option that is not built yet.
struct Row {
    option: &'static str,
    given: fn(&RunArgs) -> bool,
}

const fn row(option: &'static str, given: fn(&RunArgs) -> bool) -> Row {
    Row { option, given }
}

const ROWS: &[Row] = &[row("--qlog-file-base", |a| a.protocol.qlog_file_base.is_some())];

/// An option of h2load's that stays refused, and why.
struct Never {
    given: fn(&RunArgs) -> bool,
    why: &'static str,
}

const NEVER: &[Never] = &[
    Never {
        given: |a| a.tls.ktls,
        why: "--ktls: TLS stays in this process: many kernels are built without it, and where it was measured it lost to TLS \
              here: leave it out",
    },
    Never {
        given: |a| a.tls.tls_session_file.is_some(),
        why: "--tls-session-file: the TLS library keeps sessions in memory and gives none away: use --tls-resumption, which \
              continues the sessions of earlier connections of the run",
    },
];

/// Refuses what is not built yet, and what will not be.
pub fn refuse(args: &RunArgs) -> Result<(), Failure> {
    if let Some(never) = NEVER.iter().find(|never| (never.given)(args)) {
        return Err(Failure::new(never.why));
    }
    match ROWS.iter().find(|row| (row.given)(args)) {
        None => Ok(()),
        Some(row) => Err(Failure::new(format!("{} is not supported yet", row.option))),
    }
}
