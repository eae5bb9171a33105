//! The server inside this process, for `target: builtin` and the URL `builtin`.

use crate::error::Failure;
use crate::machine::allowed_cpus;
use engine::{FileLimit, Options};
use origin::Origin;
use proto::Scheme;
use scenario::Plan;
use scenario::plan::Endpoint;
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::PathBuf;

/// The running server, and the certificate that the plan trusts.
pub struct Builtin {
    _origin: Origin,
    _certificate: Option<File>,
}

/// Starts it if the plan needs it, and points the plan at it.
pub fn start(plan: &mut Plan, options: &mut Options) -> Result<Option<Builtin>, Failure> {
    if !plan.needs_builtin() {
        return Ok(None);
    }
    raise_descriptors();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let is_tls = |t: &scenario::plan::Target| t.endpoint == Endpoint::Builtin && t.scheme == Scheme::Https;
    let tls = plan.targets.iter().any(is_tls);
    let config = origin::Config {
        clear: Some(any),
        tls: tls.then_some(any),
        cpus: share_cpus(options),
        ..origin::Config::default()
    };
    let origin =
        origin::start(config).map_err(|e| Failure::new(format!("the built-in server did not start: {e}")))?;
    let certificate = if tls && plan.tls.verify && plan.tls.ca.is_none() {
        let only_builtin = plan.targets.iter().all(|t| t.scheme == Scheme::Http || is_tls(t));
        if !only_builtin {
            return Err(Failure::new(
                "builtin+tls beside other https targets: their certificates cannot be checked together; set \
                 `tls: { insecure: true }` or `tls: { ca: FILE }`",
            ));
        }
        Some(trust(plan, origin.ca_pem())?)
    } else {
        None
    };
    let clear = origin.clear_addr().expect("asked for");
    plan.bind_builtin(clear, origin.tls_addr().unwrap_or(clear));
    Ok(Some(Builtin { _origin: origin, _certificate: certificate }))
}

/// With CPUs to spare the server gets the last one and the engine keeps off it: each then costs only its own.
fn share_cpus(options: &mut Options) -> Vec<usize> {
    let mut cpus = allowed_cpus();
    if options.cpus.is_some() || cpus.len() <= options.threads.get() {
        return Vec::new();
    }
    let last = cpus.pop().expect("there are several");
    options.cpus = Some(cpus);
    vec![last]
}

/// Each connection has both its ends in this process, and the engine's check knows of one. As far as is allowed; the engine
/// says what to do if that is too little.
fn raise_descriptors() {
    let _ = FileLimit::of_process().and_then(|limit| limit.raise(limit.hard));
}

/// The engine reads certificates from a path. This one is a file in memory: nothing is written to disk.
fn trust(plan: &mut Plan, pem: &str) -> Result<File, Failure> {
    let wrong = |e: std::io::Error| Failure::new(format!("cannot hold a certificate in memory: {e}"));
    // SAFETY: the name is a C string; the call makes a new descriptor or fails.
    let fd = unsafe { libc::memfd_create(c"loadgen-builtin-ca".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(wrong(std::io::Error::last_os_error()));
    }
    // SAFETY: the descriptor is new and owned by nobody else.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(pem.as_bytes()).map_err(wrong)?;
    plan.tls.ca = Some(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
    Ok(file)
}
