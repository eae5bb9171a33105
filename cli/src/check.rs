//! `loadgen check`: the plan as it would be run, and no traffic.

use crate::args::CheckArgs;
use crate::error::Failure;
use crate::{exit, file, output};

/// Shows the plan or says what is wrong with it.
pub fn check(args: &CheckArgs) -> Result<u8, Failure> {
    let plan = file::load(&args.plan, &args.set)?;
    let text = if args.json {
        format!("{:#}\n", report::json::plan::object(&plan))
    } else {
        scenario::describe(&plan)
    };
    output::stdout(&text);
    Ok(exit::OK)
}
