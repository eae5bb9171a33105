//! Every bound of the engine, with its reason.

use std::time::Duration;

/// A core looks for an interrupt and takes stock at least this often, even when nothing happens.
pub const TICK: Duration = Duration::from_millis(50);

/// A core that waits for the others looks this often whether they are there.
pub const MEETING_TICK: Duration = Duration::from_micros(500);

/// In the open model the first arrival waits so long at most for connections to stand.
pub const OPEN_FIRST: Duration = Duration::from_secs(20);

/// How early a core wakes up before an arrival and spins: as early as its wake-ups are late, within these bounds. Below,
/// a timer is not worth its interrupt; above, a whole CPU would be spent on waiting for a machine that is overloaded anyway.
pub const SPIN_MIN: Duration = Duration::from_micros(30);
/// See [`SPIN_MIN`].
pub const SPIN_MAX: Duration = Duration::from_micros(300);

/// A core that was to go on at once, or at a time, and went on later than this was kept from its CPU. Interrupts and the
/// work of a turn are shorter.
pub const PAUSE: Duration = Duration::from_micros(500);

/// The same in the closed model, where a turn may have much to do: so much later, and not by its own work, is a client that
/// was stopped, or frozen with its machine.
pub const STANDSTILL: Duration = Duration::from_millis(100);

/// Bytes of datagrams handed to the kernel at once: what UDP segmentation takes (udp(7), 64 KiB with the headers).
pub const DATAGRAM_BATCH: usize = 65_000;

/// Most bytes handed to the kernel in one send. Larger uploads go in pieces, so that one connection cannot hold the
/// memory and the turn of all.
pub const SEND_CHUNK: usize = 128 * 1024;

/// TLS 1.3 tickets kept for one server: connections that come and go take one each, and servers hand out about two. At most
/// some megabytes.
pub const TICKETS: usize = 4096;

/// How long a connection that was opened for its handshake alone waits for a ticket, which is sent behind the handshake.
pub const TICKET_WAIT: Duration = Duration::from_millis(50);

/// Bytes of a proxy's answer to CONNECT: a status line and some fields.
pub const PROXY_HEAD: usize = 16 * 1024;

/// First pause before a connection that failed is opened again; doubled up to [`BACKOFF_MAX`].
pub const BACKOFF_MIN: Duration = Duration::from_millis(1);
/// Longest pause between attempts to open a connection: a restarted server is found again within this.
pub const BACKOFF_MAX: Duration = Duration::from_millis(250);
/// Bytes of the field `alt-svc` that are looked at: ten times what servers send. A longer one says nothing.
pub const ALT_SVC: usize = 2048;
/// How long no alternative service of a target is tried after one came to nothing: what browsers begin with.
pub const ALT_SVC_SHUNNED: Duration = Duration::from_secs(300);
/// A run that counts iterations ends when no connection could be opened for this long: the server is gone. A connection that
/// has a part of the count to itself, and could not be opened for this long while others can, fails what is left of it.
pub const GIVE_UP: Duration = Duration::from_secs(10);

/// What a handshake that is under way already adds to the round-trip time that the next one over QUIC assumes. Three times the
/// assumed time pass before the first packet is repeated (RFC 9002 section 6.2.2), and each handshake takes some 300 us of the
/// server's CPU and as much of ours.
pub const HANDSHAKE_TURN: Duration = Duration::from_micros(250);
/// What is assumed at most: what RFC 9002 section 6.2.2 wants to be assumed of a path that is not known.
pub const INITIAL_RTT_MAX: Duration = Duration::from_millis(333);

/// How often one request is sent again because the server certainly did not process it. What a connection leaves over that
/// has brought answers does not count: requests end with each such connection, so it ends by itself.
pub const RETRIES: u8 = 3;
/// How often because it crossed the close of an idle connection: a retry that fails is not retried (RFC 9112 section 9.3.1).
pub const CROSSINGS: u8 = 1;

/// How long a connection closed by agreement waits for the peer's FIN before it is closed from here. The side that
/// closes first keeps the port in TIME_WAIT, so waiting keeps ports free.
pub const LINGER: Duration = Duration::from_millis(500);

/// How long the kernel keeps a port after a connection was closed from here (`TCP_TIMEWAIT_LEN`, fixed when it was built).
pub const TIME_WAIT: Duration = Duration::from_secs(60);
/// The same where `net.ipv4.tcp_tw_reuse` allows the port to be taken again (`TCP_TW_REUSE` needs a newer timestamp).
pub const TIME_WAIT_REUSED: Duration = Duration::from_secs(1);

/// Most sockets of a core that wait so at a time; beyond that the oldest is closed at once. They are descriptors beside
/// those of the connections. Where the limit of descriptors leaves less room they are fewer.
pub const LINGERING_MAX: usize = 1024;

/// Below this many body bytes still due `SO_RCVLOWAT` is not worth a system call.
pub const LOW_WATER_MIN: u64 = 24 * 1024;
/// Most that `SO_RCVLOWAT` may ask for. The kernel makes the receive buffer twice as large; more would only be memory.
pub const LOW_WATER_MAX: u64 = 256 * 1024;
/// Over TLS up to one record may already lie in the TLS layer, unseen by the socket.
pub const TLS_RECORD: u64 = 17 * 1024;
/// The longest record on the wire: a header, 2^14 bytes, and what TLS 1.2 lets encryption add (RFC 5246 section 6.2.3).
pub const TLS_RECORD_MAX: usize = 5 + 16 * 1024 + 2048;
/// Bytes of records kept for one connection until they can be read: a handshake message of 64 KiB, beyond which rustls refuses
/// it, with some of the records around it.
pub const TLS_PENDING: usize = 5 * TLS_RECORD_MAX;
/// Memory for records that come in pieces that a core keeps for the next ones: the receives of a turn leave few such.
pub const TLS_PIECES: usize = 32;

/// Distinct causes of failure kept with their text; further ones are counted under the last.
pub const ERROR_CAUSES: usize = 64;

/// Spare descriptors beside those of connections: ring, log files, listening sockets, standard streams.
pub const SPARE_DESCRIPTORS: u64 = 64;

/// Intervals that wait for a core that is late. Beyond that the oldest is closed without it, and what the core tells then
/// counts where it is.
pub const WAITING_INTERVALS: usize = 64;

/// Requests in one batch of the request log: 128 KB, so that passing on costs nothing per request.
pub const LOG_BATCH: usize = 4096;
/// Batches that may wait to be written: a disk may pause for half a second at a million requests per second.
pub const LOG_BATCHES: usize = 128;

/// Bytes of a body that a trace keeps: enough to recognise it.
pub const TRACED_BODY: usize = 1024;
/// Fields that a trace keeps of a response.
pub const TRACED_FIELDS: usize = 256;
/// Requests that can be traced: a trace is for people.
pub const TRACED: u32 = 1000;

/// Probes of a search: thirty are usual; a server without a limit that can be told must not keep us for ever.
pub const PROBES: usize = 500;

/// Lines of a plan's `log` shown for each core.
pub const LOGGED: u32 = 100;

/// Samples of what failed a check, over all cores.
pub const CHECK_SAMPLES: usize = 5;

/// Free blocks that a core keeps of each of eight small sizes: what users free at once when their iterations end. Half
/// a megabyte in all at most.
pub(crate) const RECYCLED: u32 = 256;
