//! Every bound of this crate, each with its reason.
//!
//! Not settings: a load generator's target should need none. Called by every other file.

use std::time::Duration;

/// What one `s=` may ask for. A terabyte keeps a fast link busy for minutes and a client's counter honest.
pub(crate) const MAX_BODY: u64 = 1 << 40;

/// What one `t=` may ask for: nobody waits longer than an hour for a response on purpose.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(3600);

/// Connections one thread keeps open. A thread has no more descriptors than this in any usual setting, and
/// each costs some 10 kB; past it a new connection is closed at once and counted as refused.
pub(crate) const MAX_CONNECTIONS_PER_THREAD: usize = 262_144;

/// Length of the accept queue. The kernel lowers it to `net.core.somaxconn`, which is the one place to set
/// it.
pub(crate) const BACKLOG: i32 = 65_535;

/// Pause after a failed `accept`: out of descriptors is cured by others closing theirs, not by spinning.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A handshake not finished by then never will be.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most hyper buffers of one HTTP/1 connection, in each direction. It also bounds a request head (431
/// above), and is four pieces of [`crate::pattern`], so that a large body leaves in few system calls.
pub(crate) const H1_BUFFER: usize = 256 * 1024;

/// Fields of one request head; hyper answers 431 above.
pub(crate) const MAX_HEADERS: usize = 256;

/// What the first read of a clear connection may take while the protocol is being told from it.
pub(crate) const FIRST_READ: usize = 4096;

/// Writes up to this are copied into one piece.
pub(crate) const SMALL_WRITE: usize = 1024;

/// Streams at once of one HTTP/2 connection: enough for every `-m` in use, few enough to bound memory.
pub(crate) const H2_STREAMS: u32 = 1000;

/// A decoded HTTP/2 request head.
pub(crate) const H2_HEADER_LIST: u32 = 64 * 1024;

/// The most hyper buffers for one HTTP/2 stream.
pub(crate) const H2_SEND_BUFFER: usize = 256 * 1024;

/// Receive windows of HTTP/2: an upload is not held back by a round trip.
pub(crate) const H2_WINDOW: u32 = 1 << 20;

/// Streams at once of one HTTP/3 connection, as for HTTP/2.
pub(crate) const QUIC_STREAMS: u32 = H2_STREAMS;

/// Receive window of one QUIC stream, as for HTTP/2.
pub(crate) const QUIC_STREAM_WINDOW: u32 = H2_WINDOW;

/// Receive window of one QUIC connection: what a thousand uploads at once may make it hold.
pub(crate) const QUIC_CONNECTION_WINDOW: u32 = 8 << 20;

/// What one QUIC connection may have sent and not yet seen acknowledged: a fast link over some distance.
pub(crate) const QUIC_SEND_WINDOW: u64 = 8 << 20;

/// Milliseconds after which a silent QUIC connection is forgotten. UDP does not tell that a client has gone, so
/// this is how long one that said nothing costs its memory. A response that is delayed longer needs a client
/// that keeps the connection alive.
pub(crate) const QUIC_IDLE: u32 = 60_000;

/// Sessions kept for QUIC clients to resume, over all threads: two for each connection of a large run.
pub(crate) const QUIC_SESSIONS: usize = 16_384;

/// Both socket buffers of a QUIC endpoint, which all connections of a thread share: a burst of theirs while the
/// thread is busy. The kernel lowers it to `net.core.rmem_max` and `wmem_max`.
pub(crate) const QUIC_SOCKET_BUFFER: usize = 4 << 20;

/// How long a QUIC client is given, after GOAWAY, to take its last answers and close.
pub(crate) const QUIC_DRAIN: Duration = Duration::from_millis(200);

/// Turns of the runtime between closing an endpoint and dropping it: one for the endpoint to wake its
/// connections, one for them to send, and one to spare.
pub(crate) const QUIC_CLOSE_TURNS: u32 = 3;

/// Ports tried for one that is free for both TCP and UDP, when any will do.
pub(crate) const PORT_TRIES: u32 = 16;

/// A form or JSON document of the demo site.
pub(crate) const MAX_FORM: usize = 64 * 1024;

/// Distinct paths counted per thread; the rest share one bucket, so that a client with random paths costs no
/// memory.
pub(crate) const MAX_PATHS: usize = 1024;

/// A path longer than this goes to the shared bucket too.
pub(crate) const MAX_PATH_LENGTH: usize = 256;

/// Requests per second of a token bucket: above what any server does.
pub(crate) const MAX_LIMIT: f64 = 1e7;

/// Different token buckets of `/limited`: they are looked up one by one.
pub(crate) const MAX_BUCKETS: usize = 64;

/// Hops of `/redirect/N`: above what any client follows.
pub(crate) const MAX_REDIRECTS: u32 = 1000;

/// Bytes of `/fault/slow` and `/fault/partial`.
pub(crate) const MAX_FAULT_BODY: u64 = 1 << 24;

/// How long the first half of a torn HTTP/2 response is given to leave before the stream is reset. A reset
/// takes back what is still queued, and nothing tells when a stream's share of it has left.
pub(crate) const TEAR_PAUSE: Duration = Duration::from_millis(10);

/// How long `stop` waits for the threads, in naps of [`STOP_NAP`].
pub(crate) const STOP_WAIT: Duration = Duration::from_secs(5);

/// See [`STOP_WAIT`].
pub(crate) const STOP_NAP: Duration = Duration::from_micros(200);

/// Bytes of the largest cookie that `/fault/cookies` sets: clients refuse larger heads before they look at it.
pub(crate) const MAX_FAULT_COOKIE: u64 = 8 * 1024;
