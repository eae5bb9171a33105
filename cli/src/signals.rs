//! Ctrl-C and SIGTERM.

use crate::error::Failure;
use crate::exit;
use engine::Control;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// The control of a run that signals interrupt. Once: stop, drain, report. Twice: report what there is. A third time: leave
/// without a word.
pub fn control() -> Result<Arc<Control>, Failure> {
    let control = Arc::new(Control::default());
    interrupt(&control).map_err(|e| Failure::new(format!("cannot catch signals: {e}")))?;
    Ok(control)
}

fn interrupt(control: &Arc<Control>) -> std::io::Result<()> {
    // A file that grows beyond what `ulimit -f` permits is then an error of its write, and not the end of the process.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default())?;
    for signal in [SIGINT, SIGTERM] {
        let control = Arc::clone(control);
        let action = move || {
            control.interrupt();
            if control.interrupts() > 2 {
                // SAFETY: _exit may be called in a signal handler.
                unsafe { libc::_exit(i32::from(exit::INTERRUPTED)) };
            }
        };
        // SAFETY: the action touches one atomic and calls _exit, both allowed in a signal handler.
        unsafe { signal_hook::low_level::register(signal, action)? };
    }
    Ok(())
}

/// Waits for the next signal.
pub struct Waiter(UnixStream);

impl Waiter {
    /// From now on signals are caught.
    pub fn new() -> std::io::Result<Waiter> {
        let (reader, writer) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Waiter(reader))
    }

    /// Until one comes.
    pub fn wait(mut self) {
        let mut byte = [0];
        while matches!(self.0.read(&mut byte), Err(e) if e.kind() == std::io::ErrorKind::Interrupted) {}
    }
}
