//! Starting and stopping: everything that can fail is done before [`start`] returns. Called by `cli`, by
//! whoever runs `target: builtin`, and by tests.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use http::HeaderValue;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::error::StartError;
use crate::http3::Settings;
use crate::limits::{STOP_NAP, STOP_WAIT};
use crate::listen::{self, Both};
use crate::pattern;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::tls::{self, Tls};
use crate::worker::{self, SecureTask, Task};

/// A running server. Stops when dropped.
pub struct Origin {
    clear: Option<SocketAddr>,
    tls: Option<SocketAddr>,
    ca_pem: String,
    shared: Arc<Shared>,
    threads: Vec<Thread>,
}

/// Starts the server. When this returns, every listener accepts.
pub fn start(config: Config) -> Result<Origin, StartError> {
    if config.clear.is_none() && config.tls.is_none() {
        return Err(StartError::NoListener);
    }
    let threads = config.threads.get();
    let bind = |addr| listen::bind(addr, threads).map_err(|source| StartError::Listen { addr, source });
    let (clear_listeners, clear) = config.clear.map(bind).transpose()?.unzip();
    let mut secure =
        config.tls.map(|addr| Secure::bind(addr, threads, config.cert.as_deref())).transpose()?;
    let tls = secure.as_ref().map(|secure| secure.addr);
    let ca_pem = secure.as_mut().map(|secure| std::mem::take(&mut secure.ca_pem)).unwrap_or_default();
    let resumed = secure.as_ref().map(|secure| secure.resumed.clone()).unwrap_or_default();
    let alt_svc = match tls {
        Some(addr) => alt_svc(config.alt_svc.as_deref(), addr.port())?,
        None => HeaderValue::from_static(""),
    };
    // Made now, not by the first request that needs it.
    std::sync::LazyLock::force(&pattern::NOISE);

    let mut origin = Origin {
        clear,
        tls,
        ca_pem,
        shared: Arc::new(Shared::new(threads, alt_svc, resumed, config.limit)),
        threads: Vec::new(),
    };
    let mut clear_listeners = clear_listeners.into_iter().flatten();
    let (ready, all_ready) = mpsc::channel();
    for number in 0..threads {
        let (stop, stopped) = oneshot::channel();
        let task = Task {
            shared: origin.shared.clone(),
            counters: origin.shared.threads()[number].clone(),
            cpu: config.cpus.get(number % config.cpus.len().max(1)).copied(),
            clear: clear_listeners.next(),
            secure: secure.as_mut().and_then(Secure::of_a_thread),
            stop: stopped,
        };
        let ready = ready.clone();
        let run = move || worker::run(task, ready);
        let handle = thread::Builder::new().name(format!("origin-{number}")).spawn(run);
        origin.threads.push(Thread { stop, handle: handle.map_err(StartError::Thread)? });
    }
    drop(ready);
    // Ends when every thread has reported and dropped its sender, or with the first error.
    all_ready.into_iter().take(threads).collect::<Result<(), _>>()?;
    Ok(origin)
}

impl Origin {
    /// Where clear text is served.
    pub fn clear_addr(&self) -> Option<SocketAddr> {
        self.clear
    }

    /// Where TLS is served over TCP, and HTTP/3 over UDP.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls
    }

    /// The certificate chain in PEM, for clients that are to trust it. Empty without a TLS address.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What was counted since the start or the last reset.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Counts from zero again.
    pub fn reset_stats(&self) {
        self.shared.reset();
    }

    /// Closes all listeners and connections and ends the threads. Same as dropping, with a name.
    pub fn stop(self) {}
}

impl Drop for Origin {
    fn drop(&mut self) {
        let handles: Vec<JoinHandle<()>> = self.threads.drain(..).map(Thread::stop).collect();
        // A thread ends within one turn of its runtime. If one hangs all the same, the caller must not.
        for _ in 0..STOP_WAIT.as_micros() / STOP_NAP.as_micros() {
            if handles.iter().all(JoinHandle::is_finished) {
                break;
            }
            thread::sleep(STOP_NAP);
        }
        for handle in handles.into_iter().filter(JoinHandle::is_finished) {
            // A panic was printed when it happened; there is nobody to tell again.
            let _ = handle.join();
        }
    }
}

struct Thread {
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
}

impl Thread {
    fn stop(self) -> JoinHandle<()> {
        let _ = self.stop.send(());
        self.handle
    }
}

/// What serves the TLS address, over TCP and over UDP.
struct Secure {
    addr: SocketAddr,
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    acceptor: TlsAcceptor,
    quic: Settings,
    resumed: Arc<AtomicU64>,
    ca_pem: String,
}

impl Secure {
    fn bind(addr: SocketAddr, threads: usize, cert: Option<&Path>) -> Result<Self, StartError> {
        let Both { tcp, udp, bound } = listen::bind_both(addr, threads)?;
        let Tls { acceptor, quic, resumed, ca_pem } = tls::set_up(cert)?;
        Ok(Self { addr: bound, tcp, udp, acceptor, quic: Settings::new(quic), resumed, ca_pem })
    }

    fn of_a_thread(&mut self) -> Option<SecureTask> {
        let (listener, socket) = self.tcp.pop().zip(self.udp.pop())?;
        Some(SecureTask { listener, acceptor: self.acceptor.clone(), socket, quic: self.quic.clone() })
    }
}

/// The field `alt-svc`, with the port of HTTP/3 in it.
fn alt_svc(wanted: Option<&str>, port: u16) -> Result<HeaderValue, StartError> {
    let field = wanted.unwrap_or("h3=\":PORT\"").replace("PORT", &port.to_string());
    HeaderValue::try_from(field).map_err(|_| StartError::AltSvc)
}
