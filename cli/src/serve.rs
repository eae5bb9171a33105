//! `loadgen serve`: the built-in target server as a program of its own.

use crate::args::ServeArgs;
use crate::error::Failure;
use crate::signals::Waiter;
use crate::{exit, output};
use std::num::NonZeroUsize;

/// Serves until a signal.
pub fn serve(args: &ServeArgs) -> Result<u8, Failure> {
    let threads = usize::try_from(args.threads).ok().and_then(NonZeroUsize::new);
    let threads = threads.ok_or_else(|| Failure::new("-t: the number of threads must be 1 or more"))?;
    let waiter = Waiter::new().map_err(|e| Failure::new(format!("cannot catch signals: {e}")))?;
    let config = origin::Config {
        clear: Some(args.clear),
        tls: Some(args.tls),
        threads,
        cpus: args.cpus.as_ref().map_or(Vec::new(), |list| list.0.clone()),
        cert: args.cert.clone(),
        alt_svc: args.alt_svc.clone(),
        limit: args.limit.map(|rate| origin::Limit::of(rate, args.limit_delay)),
    };
    let origin = origin::start(config).map_err(|e| Failure::new(advice(&e)))?;
    let mut text = String::new();
    if let Some(address) = origin.clear_addr() {
        text += &format!("serving http://{address}/\n");
    }
    if let Some(address) = origin.tls_addr() {
        text += &format!("serving https://{address}/\n");
    }
    output::stdout(&text);
    waiter.wait();
    if args.stats {
        let stats = serde_json::to_string(&origin.stats()).expect("counters are JSON");
        output::stdout(&format!("{stats}\n"));
    }
    origin.stop();
    Ok(exit::OK)
}

fn advice(error: &origin::StartError) -> String {
    match error {
        origin::StartError::Listen { .. } | origin::StartError::ListenQuic { .. } => {
            format!("{error}: choose another address with --clear ADDR and --tls ADDR (port 0: any free one)")
        }
        origin::StartError::AltSvc => format!("{error}: choose another value with --alt-svc"),
        other => other.to_string(),
    }
}
