//! Options of h2load's that can be typed and are refused, with the reason.

use crate::args::RunArgs;
use crate::error::Failure;

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

/// Refuses what will not be done.
pub fn refuse(args: &RunArgs) -> Result<(), Failure> {
    match NEVER.iter().find(|never| (never.given)(args)) {
        None => Ok(()),
        Some(never) => Err(Failure::new(never.why)),
    }
}
