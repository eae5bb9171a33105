//! Ctrl-C, SIGTERM, and the end of the terminal.

use crate::error::Failure;
use crate::exit;
use engine::Control;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
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
    for signal in caught() {
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

/// The signals that end a run. A lost terminal (SIGHUP) must not lose the results, but under `nohup` it ends nothing.
fn caught() -> impl Iterator<Item = i32> {
    [Some(SIGINT), Some(SIGTERM), (!is_ignored(SIGHUP)).then_some(SIGHUP)].into_iter().flatten()
}

fn is_ignored(signal: i32) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only fills what `now` points to, which lives long enough; it is read where the
    // call says that it did.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) == 0
            && now.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Waits for the next signal.
pub struct Waiter(UnixStream);

impl Waiter {
    /// From now on signals are caught.
    pub fn new() -> std::io::Result<Waiter> {
        let (reader, writer) = UnixStream::pair()?;
        for signal in caught() {
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
