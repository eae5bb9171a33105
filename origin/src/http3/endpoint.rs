//! One QUIC endpoint per thread, on its own socket of the shared port. Not a connection, which is in
//! `connection.rs`. Made by `worker.rs`; the settings by `server.rs`, once for all threads.
//!
//! With several threads the kernel spreads packets over the sockets by the addresses and ports of both ends
//! (SO_REUSEPORT), not by connection id. A connection therefore stays with its thread as long as its client
//! keeps its address; a client that changes it reaches a thread that knows nothing of it, which says so with
//! a stateless reset. That is why all threads share one reset key. With one thread a client may migrate.

use std::io;
use std::net::UdpSocket;
use std::rc::Rc;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use tokio::sync::watch;
use tokio::task::{spawn_local, yield_now};

use crate::counters::Count;
use crate::http3::connection::{self, NO_ERROR};
use crate::http3::runtime::{self, OurTimers};
use crate::limits::{
    QUIC_CLOSE_TURNS, QUIC_CONNECTION_WINDOW, QUIC_DRAIN, QUIC_IDLE, QUIC_SEND_WINDOW, QUIC_STREAM_WINDOW,
    QUIC_STREAMS,
};
use crate::worker::Worker;

/// The same for every thread, keys for resets and tokens included.
#[derive(Clone)]
pub(crate) struct Settings {
    endpoint: EndpointConfig,
    server: ServerConfig,
}

impl Settings {
    pub(crate) fn new(tls: QuicServerConfig) -> Self {
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(QUIC_STREAMS.into())
            .stream_receive_window(QUIC_STREAM_WINDOW.into())
            .receive_window(QUIC_CONNECTION_WINDOW.into())
            .send_window(QUIC_SEND_WINDOW)
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(QUIC_IDLE))))
            // Nothing here reads them (RFC 9221).
            .datagram_receive_buffer_size(None);
        let mut server = ServerConfig::with_crypto(Arc::new(tls));
        server.transport_config(Arc::new(transport));
        Self { endpoint: EndpointConfig::default(), server }
    }
}

/// The endpoint of one thread.
pub(crate) struct Endpoint {
    quic: quinn::Endpoint,
    worker: Rc<Worker>,
    /// Every connection listens to it, so it also tells when there is none left.
    stop: watch::Sender<bool>,
}

impl Endpoint {
    /// Needs the thread's runtime to be entered.
    pub(crate) fn start(worker: Rc<Worker>, socket: UdpSocket, settings: Settings) -> io::Result<Self> {
        runtime::use_timers(worker.timers.clone());
        let Settings { endpoint, server } = settings;
        let quic = quinn::Endpoint::new(endpoint, Some(server), socket, Arc::new(OurTimers))?;
        let stop = watch::Sender::new(false);
        spawn_local(accept(worker.clone(), quic.clone(), stop.clone()));
        Ok(Self { quic, worker, stop })
    }

    /// Tells every client which of its requests are answered (GOAWAY), gives those some time, and closes.
    pub(crate) async fn stop(self) {
        self.quic.set_server_config(None);
        self.stop.send_replace(true);
        self.worker.timers.within(QUIC_DRAIN, self.stop.closed()).await;
        self.quic.close(NO_ERROR, b"the server stops");
        // Each turn of the runtime runs every task that has something to do: the endpoint passes the word to
        // its connections, and those send it.
        for _ in 0..QUIC_CLOSE_TURNS {
            yield_now().await;
        }
    }
}

async fn accept(worker: Rc<Worker>, quic: quinn::Endpoint, stop: watch::Sender<bool>) {
    while let Some(incoming) = quic.accept().await {
        worker.counters.add(Count::AcceptedQuic, 1);
        // Without a free place it is dropped, which refuses it.
        worker.admit(connection::serve(worker.clone(), incoming, stop.subscribe()));
    }
}
