//! One serving thread: its runtime, its listeners, its counters and timers. It shares nothing that is written
//! to with other threads. Started by `server.rs`; connections and pages reach their surroundings through it.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::{TcpListener as StdListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use hyper::server::conn::{http1, http2};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalRuntime};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use crate::connection;
use crate::counters::{Count, Counters};
use crate::error::StartError;
use crate::http3::{Endpoint, Settings};
use crate::limits::{
    ACCEPT_PAUSE, H1_BUFFER, H2_HEADER_LIST, H2_SEND_BUFFER, H2_STREAMS, H2_WINDOW,
    MAX_CONNECTIONS_PER_THREAD, MAX_HEADERS,
};
use crate::pin::pin;
use crate::random::Random;
use crate::shared::Shared;
use crate::timers::Timers;

/// What a thread is started with.
pub(crate) struct Task {
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) cpu: Option<usize>,
    pub(crate) clear: Option<StdListener>,
    pub(crate) secure: Option<SecureTask>,
    /// Ends the thread when it is used or dropped.
    pub(crate) stop: oneshot::Receiver<()>,
}

/// What a thread serves the TLS address with: TLS over TCP, and QUIC over UDP.
pub(crate) struct SecureTask {
    pub(crate) listener: StdListener,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) socket: UdpSocket,
    pub(crate) quic: Settings,
}

/// The surroundings of every connection of one thread.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) timers: Rc<Timers>,
    pub(crate) random: Random,
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<Local>,
    open: Cell<usize>,
}

/// Runs a thread until it is told to stop, reporting on `ready` once it serves.
pub(crate) fn run(task: Task, ready: Sender<Result<(), StartError>>) {
    match set_up(task) {
        Err(error) => {
            // Nobody listens any more only if another thread failed first.
            let _ = ready.send(Err(error));
        }
        Ok(Running { runtime, stop, quic }) => {
            let _ = ready.send(Ok(()));
            // So that the starter sees it if another thread dies without a word.
            drop(ready);
            // An error means that the other end was dropped, which is a way to stop too.
            let _ = runtime.block_on(stop);
            // A QUIC client learns of the end only if it is told. The other connections go down with the runtime,
            // and their sockets with them.
            if let Some(quic) = quic {
                runtime.block_on(quic.stop());
            }
        }
    }
}

/// A thread that serves.
struct Running {
    runtime: LocalRuntime,
    stop: oneshot::Receiver<()>,
    quic: Option<Endpoint>,
}

fn set_up(task: Task) -> Result<Running, StartError> {
    if let Some(cpu) = task.cpu {
        pin(cpu).map_err(|source| StartError::Pin { cpu, source })?;
    }
    // No time driver: its ticks are too coarse for us, and without it each turn of the runtime is cheaper.
    let runtime = Builder::new_current_thread().enable_io().build_local(Default::default());
    let runtime = runtime.map_err(StartError::Thread)?;
    let spawn_all = async {
        let worker = Worker::new(task.shared, task.counters)?;
        let timers = worker.timers.clone();
        spawn_local(async move { timers.run().await });
        if let Some(listener) = task.clear {
            spawn_local(accept_clear(worker.clone(), TcpListener::from_std(listener)?));
        }
        let Some(secure) = task.secure else { return Ok(None) };
        let listener = TcpListener::from_std(secure.listener)?;
        spawn_local(accept_tls(worker.clone(), listener, secure.acceptor));
        Endpoint::start(worker, secure.socket, secure.quic).map(Some)
    };
    let quic = runtime.block_on(spawn_all).map_err(StartError::Thread)?;
    Ok(Running { runtime, stop: task.stop, quic })
}

impl Worker {
    fn new(shared: Arc<Shared>, counters: Arc<Counters>) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            shared,
            counters,
            timers: Timers::new()?,
            random: Random::new(),
            http1: http1_settings(),
            http2: http2_settings(),
            open: Cell::new(0),
        }))
    }

    /// A place for one more connection, given back when dropped.
    fn seat(self: &Rc<Self>) -> Option<Seat> {
        let open = self.open.get();
        (open < MAX_CONNECTIONS_PER_THREAD).then(|| {
            self.open.set(open + 1);
            Seat(self.clone())
        })
    }

    /// Runs `connection` in a task of its own.
    pub(crate) fn admit<F: Future<Output = ()> + 'static>(self: &Rc<Self>, connection: F) {
        let Some(seat) = self.seat() else {
            self.counters.add(Count::Refused, 1);
            self.counters.add(Count::Closed, 1);
            return;
        };
        spawn_local(async move {
            connection.await;
            drop(seat);
        });
    }
}

async fn accept_clear(worker: Rc<Worker>, listener: TcpListener) {
    loop {
        let Some(socket) = accept(&worker, &listener).await else { continue };
        worker.counters.add(Count::AcceptedClear, 1);
        worker.admit(connection::serve_clear(worker.clone(), socket));
    }
}

async fn accept_tls(worker: Rc<Worker>, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let Some(socket) = accept(&worker, &listener).await else { continue };
        worker.counters.add(Count::AcceptedTls, 1);
        worker.admit(connection::serve_tls(worker.clone(), acceptor.clone(), socket));
    }
}

async fn accept(worker: &Worker, listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((socket, _)) => Some(socket),
        // The peer left before it was accepted: not our trouble.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => None,
        Err(_) => {
            worker.timers.sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// One open connection.
struct Seat(Rc<Worker>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.counters.add(Count::Closed, 1);
    }
}

fn http1_settings() -> http1::Builder {
    // Not `pipeline_flush`: it lets hyper buffer a body of any size whole, and copies it.
    let mut settings = http1::Builder::new();
    settings
        .half_close(false)
        .max_buf_size(H1_BUFFER)
        .max_headers(MAX_HEADERS)
        // A client under test may be as slow as it likes.
        .header_read_timeout(None)
        // Nothing here is cached by date, and leaving it out keeps responses small and the same size.
        .auto_date_header(false);
    settings
}

fn http2_settings() -> http2::Builder<Local> {
    let mut settings = http2::Builder::new(Local);
    settings
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(H2_HEADER_LIST)
        .max_send_buf_size(H2_SEND_BUFFER)
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(H2_WINDOW)
        .auto_date_header(false);
    settings
}

/// Runs what hyper spawns (the streams of HTTP/2) on this thread.
#[derive(Clone)]
pub(crate) struct Local;

impl<F> hyper::rt::Executor<F> for Local
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}
