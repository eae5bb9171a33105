//! Runs the target server by hand: `cargo run --release -p origin --example serve -- [CLEAR [TLS [CPU...]]]`,
//! with addresses such as `127.0.0.1:8081` (`-` for none) and one thread for each CPU named. Ends when its
//! input ends.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::io::{self, Read};
use std::num::NonZeroUsize;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = origin::Config::default();
    let mut args = std::env::args().skip(1);
    for listener in [&mut config.clear, &mut config.tls] {
        match args.next().as_deref() {
            None => break,
            Some("-") => *listener = None,
            Some(addr) => *listener = Some(addr.parse()?),
        }
    }
    config.cpus = args.map(|cpu| cpu.parse()).collect::<Result<_, _>>()?;
    config.threads = NonZeroUsize::new(config.cpus.len()).unwrap_or(NonZeroUsize::MIN);
    let origin = origin::start(config)?;
    for (scheme, addr) in [("http", origin.clear_addr()), ("https", origin.tls_addr())] {
        if let Some(addr) = addr {
            println!("{scheme}://{addr}");
        }
    }
    io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:#?}", origin.stats());
    origin.stop();
    Ok(())
}
