//! The result of a run, as `report` renders it.

use super::{Books, QuicFigures, Series, Timeline};
use proto::{Fault, Kind};
use scenario::tags::Tags;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Everything a run found out.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// When the first core opened its gate.
    pub began: SystemTime,
    /// Whether an interrupt ended the run early.
    pub interrupted: bool,
    /// Length of the recorded phases: what rates are per.
    pub elapsed: Duration,
    /// From the start of the first phase to the end of the last, warm-up included.
    pub wall: Duration,
    /// All recorded phases together.
    pub totals: Figures,
    /// Each phase, recorded or not, in order.
    pub phases: Vec<PhaseFigures>,
    /// By phase and step, where a threshold asks for a step in a phase; else empty.
    pub phase_steps: Vec<Vec<Figures>>,
    /// Each step of the plan, recorded phases only, in the plan's dense step order.
    pub steps: Vec<StepFigures>,
    /// What the connections did.
    pub connections: ConnectionFigures,
    /// What each connection ("client") did.
    pub clients: Vec<ClientFigures>,
    /// What the run cost the client machine.
    pub cost: Cost,
    /// Where it ran.
    pub environment: Environment,
    /// What the batching policy chose, per core.
    pub batching: Vec<Batching>,
    /// Whether the figures can be trusted, and why not.
    pub verdict: Verdict,
    /// The time series, where it was to be kept.
    pub timeline: Option<Timeline>,
    /// What scripted users found out, recorded phases only.
    pub script: ScriptResult,
    /// What was done once before the first phase.
    pub setup: Option<OnceFigures>,
    /// What was done once after the last phase.
    pub teardown: Option<OnceFigures>,
}

impl RunResult {
    /// Requests per second of each connection, over the time that it had.
    pub fn client_rates(&self) -> Vec<f64> {
        self.clients.iter().map(ClientFigures::rate).collect()
    }
}

/// What one place for a connection did in recorded phases, over all connections that it had one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientFigures {
    /// Requests with a complete response, whatever its status.
    pub answered: u64,
    /// From its first connect, or where that was earlier from the beginning of what is recorded, to when its last request ended;
    /// in phases that end with their time to that end.
    pub lasted: Duration,
}

impl ClientFigures {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        if self.lasted.is_zero() { 0.0 } else { self.answered as f64 / self.lasted.as_secs_f64() }
    }
}

/// What became of steps that are done once. They are part of no other figure.
#[derive(Clone, Debug, Default)]
pub struct OnceFigures {
    /// Where every request of them went.
    pub books: Books,
    /// How long they took.
    pub elapsed: Duration,
    /// Each check by its name.
    pub checks: Vec<CheckFigures>,
    /// Why they did not come to their end.
    pub failure: Option<String>,
}

/// What scripted users found out.
#[derive(Clone, Debug, Default)]
pub struct ScriptResult {
    /// Each check by its name, in the plan's order.
    pub checks: Vec<CheckFigures>,
    /// By phase and check, where a threshold asks for a check in a phase; else empty.
    pub by_phase: Vec<Vec<Passed>>,
    /// Why iterations failed, and how often.
    pub reasons: Vec<(String, u64)>,
}

/// How often something passed and how often it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Times it passed.
    pub passed: u64,
    /// Times it failed.
    pub failed: u64,
}

impl Passed {
    /// Adds others to these.
    pub fn merge(&mut self, other: Passed) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// One check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckFigures {
    /// Which scenario.
    pub scenario: String,
    /// Which step of it.
    pub step: String,
    /// The tags of the step.
    pub tags: Tags,
    /// Its name.
    pub name: String,
    /// Times it passed.
    pub passed: u64,
    /// Times it failed.
    pub failed: u64,
    /// What was found instead, a few times.
    pub samples: Vec<String>,
}

/// Counts and times of one selection of requests (all, a phase, a step).
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Where every request went.
    pub books: Books,
    /// Iterations ended.
    pub iterations: u64,
    /// Of them: failed.
    pub iterations_failed: u64,
    /// Iterations that were begun and ended before their end: by a graceful stop, an interrupt or the end of the run.
    pub iterations_cut: u64,
    /// Arrivals of the open model that came due.
    pub arrived: u64,
    /// Arrivals that found every user busy.
    pub waited: u64,
    /// Arrivals that were never begun: nobody was idle, and the backlog was full or the wait too long.
    pub dropped: u64,
    /// Arrivals that were not begun because their scenario had no more rows of data.
    pub without_data: u64,
    /// Final responses by status code.
    pub status: BTreeMap<u16, u64>,
    /// Failures by cause.
    pub errors: Vec<ErrorCount>,
    /// Checks that passed.
    pub checks_passed: u64,
    /// Checks that failed.
    pub checks_failed: u64,
    /// Due to last byte, of requests that ended well.
    pub response_time: Series,
    /// Sent to last byte, of the same.
    pub service_time: Series,
    /// Due to sent, of the same; due to begun, of connections of phases of handshakes.
    pub send_lag: Series,
    /// Sent to first byte of the final response head, of the same.
    pub first_byte: Series,
    /// Due to failure, of requests that failed.
    pub failed_time: Series,
    /// Due to the end of their phase, of requests that were abandoned, all together; not kept per step.
    pub abandoned_time: Duration,
    /// Connections of phases of handshakes.
    pub handshakes: HandshakeFigures,
    /// Bytes moved for these requests.
    pub bytes: Bytes,
}

/// What became of the connections that phases of handshakes were to open. With [`Figures::dropped`] they are all that arrived
/// there.
#[derive(Clone, Debug, Default)]
pub struct HandshakeFigures {
    /// Opened: every handshake was over, that of HTTP/2 too.
    pub opened: u64,
    /// Not opened, for whatever reason.
    pub failed: u64,
    /// Still being opened at the end.
    pub abandoned: u64,
    /// Due to open.
    pub opening_time: Series,
}

impl HandshakeFigures {
    pub(crate) fn merge(&mut self, other: &HandshakeFigures) {
        self.opened += other.opened;
        self.failed += other.failed;
        self.abandoned += other.abandoned;
        self.opening_time.merge(&other.opening_time);
    }

    /// Those that were begun.
    pub fn begun(&self) -> u64 {
        self.ended() + self.abandoned
    }

    /// Those that came to an end, good or bad.
    pub fn ended(&self) -> u64 {
        self.opened + self.failed
    }
}

/// Bytes moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Received from the socket (TLS records as they came).
    pub received: u64,
    /// Given to the socket.
    pub sent: u64,
    /// Response heads as they came.
    pub headers: u64,
    /// Response heads after decompression.
    pub headers_decoded: u64,
    /// Content of response bodies.
    pub data: u64,
}

/// One cause of failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// Whose fault.
    pub fault: Fault,
    /// Its class.
    pub kind: Kind,
    /// What exactly.
    pub detail: String,
    /// How many requests ended so.
    pub count: u64,
}

/// A phase's figures.
#[derive(Clone, Debug)]
pub struct PhaseFigures {
    /// Its name in the plan.
    pub name: String,
    /// False: a warm-up, not in the totals.
    pub record: bool,
    /// How long it lasted.
    pub elapsed: Duration,
    /// What happened to the requests begun in it.
    pub figures: Figures,
}

/// A step's figures.
#[derive(Clone, Debug)]
pub struct StepFigures {
    /// The scenario it belongs to.
    pub scenario: String,
    /// Its name.
    pub name: String,
    /// Its tags in the plan.
    pub tags: Tags,
    /// What happened to its requests.
    pub figures: Figures,
}

/// What the connections did, over the whole run.
#[derive(Clone, Debug, Default)]
pub struct ConnectionFigures {
    /// Attempts to open one.
    pub attempted: u64,
    /// Opened (TCP established, and TLS where asked).
    pub opened: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Of the opened: ended by the peer or the network before the end of the run, and not in order.
    pub lost: u64,
    /// Of the opened: ended by us because a time limit ran out, that of the connection or of a request on it.
    pub timed_out: u64,
    /// How long a core had none and could open none: the longest of the cores.
    pub down: Duration,
    /// TCP connect time.
    pub connect: Series,
    /// TLS handshake time.
    pub handshake: Series,
    /// Connect start to ready for requests: TCP, TLS and all (h2load's "time for connect").
    pub ready: Series,
    /// Connect start to first byte of the first response body of a connection (h2load's "time to 1st byte").
    pub connection_first_byte: Series,
    /// Of those opened: with a whole TLS handshake.
    pub fresh: u64,
    /// Of those opened: with the TLS session of an earlier one.
    pub resumed: u64,
    /// Of those opened: the server took what was sent in the first flight (0-RTT).
    pub early_accepted: u64,
    /// Of those opened: the server did not take it, and it was sent again.
    pub early_rejected: u64,
    /// Opened connections by remote address.
    pub by_address: BTreeMap<IpAddr, u64>,
    /// Opened connections by local address, where the plan names some.
    pub by_source: BTreeMap<IpAddr, u64>,
    /// Opened connections by what is spoken: `http/1.1`, `h2`, `h2c`, `h3`.
    pub by_protocol: BTreeMap<&'static str, u64>,
    /// What TLS agreed on, of the first connection.
    pub tls: Option<TlsFacts>,
    /// `http/1.1`, `h2`, `h2c`, `h3`: what was spoken on the first connection.
    pub application_protocol: Option<&'static str>,
    /// Streams the server allows at a time, where it said so (HTTP/2: the last SETTINGS seen).
    pub peer_max_streams: Option<u32>,
    /// Connections that ended after a GOAWAY, by its code.
    pub goaways: BTreeMap<u32, u64>,
    /// What came of alternative services, where the plan wants to know of them.
    pub alt_svc: AltSvcFigures,
    /// What QUIC knows of its paths; of HTTP/3 alone.
    pub quic: QuicFigures,
    /// Connect and handshake failures by cause.
    pub errors: Vec<ErrorCount>,
}

/// What came of alternative services (RFC 7838).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AltSvcFigures {
    /// Times that a core learnt of one it did not know.
    pub heard: u64,
    /// Connections opened to one.
    pub opened: u64,
    /// Attempts to open one that failed.
    pub failed: u64,
    /// Times that a host was named which the plan does not name: it was left alone.
    pub refused: u64,
    /// Times that the server took one back.
    pub cleared: u64,
    /// Times that one did not answer for its origin (421).
    pub misdirected: u64,
}

impl AltSvcFigures {
    fn merge(&mut self, other: &AltSvcFigures) {
        self.heard += other.heard;
        self.opened += other.opened;
        self.failed += other.failed;
        self.refused += other.refused;
        self.cleared += other.cleared;
        self.misdirected += other.misdirected;
    }
}

/// What TLS agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub version: String,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// Key-exchange group.
    pub group: String,
    /// The certificate's key: `RSA 2048 bits`, `ECDSA P-256 256 bits`; empty if unknown.
    pub certificate: String,
    /// Whether this session was resumed.
    pub resumed: bool,
}

/// What the run cost the client machine, from start gate to end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// CPU time in user mode of the core threads.
    pub user: Duration,
    /// CPU time in the kernel of the core threads.
    pub system: Duration,
    /// Voluntary context switches of the core threads.
    pub voluntary_switches: u64,
    /// Involuntary context switches of the core threads.
    pub involuntary_switches: u64,
    /// Peak resident set of the process in bytes.
    pub peak_rss: u64,
    /// Turns of the cores.
    pub turns: u64,
    /// Time the core threads were ready to run and had no CPU.
    pub waited: Duration,
    /// CPU time spent looking for completions because an arrival was about to be due; part of the CPU time above.
    pub spun: Duration,
    /// When the cores were kept from running.
    pub pauses: Pauses,
}

/// Times at which a core should have run and did not: another thread, or a hypervisor, had its CPU, or it was stopped. In the
/// closed model only long ones are known. The
/// kernel's own account ([`Cost::waited`]) does not know of the hypervisor; the clock does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// How many.
    pub count: u64,
    /// All together.
    pub total: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Pauses {
    pub(crate) fn note(&mut self, pause: Duration) {
        self.merge(Pauses { count: 1, total: pause, longest: pause });
    }

    /// A turn ended so much too late. The thread has `worked` since a time that lay by `earlier` before the turn: before it for
    /// that long at most, so that the rest was its own work in the turn, and no pause. Nor is what is not more than `least`.
    pub(crate) fn note_late(&mut self, late: Duration, worked: Duration, earlier: Duration, least: Duration) {
        let kept = late.saturating_sub(worked.saturating_sub(earlier));
        if kept > least {
            self.note(kept);
        }
    }

    pub(crate) fn merge(&mut self, other: Pauses) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }
}

/// The machine's fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Name and value, in a fixed order: kernel, cpu, cpus, governor, clocksource, congestion control, mitigations...
    pub facts: Vec<(&'static str, String)>,
}

/// What the batching policy of one core chose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Batching {
    /// Switched off by the user, or not possible on this kernel.
    pub disabled: bool,
    /// In force at the end.
    pub on: bool,
    /// The nap in microseconds at the end (0: none).
    pub nap_us: u32,
    /// Estimated gain of napping, as a fraction (0.05: five per cent).
    pub gain: f64,
    /// Turns that napped.
    pub naps: u64,
}

/// Whether the figures can be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The word.
    pub level: VerdictLevel,
    /// Why, one sentence each, with the figures.
    pub reasons: Vec<String>,
    /// Whether the client itself was the bottleneck: at a higher load, or against a faster server, it would have been as slow.
    pub client_limited: bool,
}

/// The word of a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerdictLevel {
    /// Nothing speaks against the figures.
    #[default]
    Valid,
    /// Something may have distorted them.
    Suspect,
    /// They do not say what they seem to.
    Invalid,
}

impl VerdictLevel {
    /// `VALID`, `SUSPECT`, `INVALID`.
    pub fn as_str(self) -> &'static str {
        match self {
            VerdictLevel::Valid => "VALID",
            VerdictLevel::Suspect => "SUSPECT",
            VerdictLevel::Invalid => "INVALID",
        }
    }
}

impl Figures {
    /// Adds other figures to these.
    pub fn merge(&mut self, other: &Figures) {
        self.books.merge(&other.books);
        self.iterations += other.iterations;
        self.iterations_failed += other.iterations_failed;
        self.iterations_cut += other.iterations_cut;
        self.arrived += other.arrived;
        self.dropped += other.dropped;
        self.without_data += other.without_data;
        self.waited += other.waited;
        add_counts(&mut self.status, &other.status);
        merge_errors(&mut self.errors, &other.errors);
        self.checks_passed += other.checks_passed;
        self.checks_failed += other.checks_failed;
        self.response_time.merge(&other.response_time);
        self.service_time.merge(&other.service_time);
        self.send_lag.merge(&other.send_lag);
        self.first_byte.merge(&other.first_byte);
        self.failed_time.merge(&other.failed_time);
        self.abandoned_time += other.abandoned_time;
        self.handshakes.merge(&other.handshakes);
        self.bytes.merge(&other.bytes);
    }

    /// Requests that ended, and connections of phases of handshakes.
    pub fn ended(&self) -> u64 {
        self.books.ended() + self.handshakes.ended()
    }

    /// Failed over ended, 0 if nothing ended.
    pub fn error_rate(&self) -> f64 {
        let failed = self.books.failed + self.handshakes.failed;
        if self.ended() == 0 { 0.0 } else { failed as f64 / self.ended() as f64 }
    }

    /// Final responses of a class: 2 for 2xx. What is outside of 100 to 599 is of 5xx (RFC 9110 section 15).
    pub fn status_class(&self, class: u16) -> u64 {
        let of = |code: u16| if (100..600).contains(&code) { code / 100 } else { 5 };
        self.status.iter().filter(|(code, _)| of(**code) == class).map(|(_, n)| n).sum()
    }
}

impl Bytes {
    /// Adds other bytes to these.
    pub fn merge(&mut self, other: &Bytes) {
        self.received += other.received;
        self.sent += other.sent;
        self.headers += other.headers;
        self.headers_decoded += other.headers_decoded;
        self.data += other.data;
    }
}

impl ConnectionFigures {
    /// Adds another core's connections to these.
    pub fn merge(&mut self, other: &ConnectionFigures) {
        self.attempted += other.attempted;
        self.opened += other.opened;
        self.failed += other.failed;
        self.lost += other.lost;
        self.timed_out += other.timed_out;
        self.down = self.down.max(other.down);
        self.connect.merge(&other.connect);
        self.handshake.merge(&other.handshake);
        self.ready.merge(&other.ready);
        self.connection_first_byte.merge(&other.connection_first_byte);
        self.peer_max_streams = self.peer_max_streams.or(other.peer_max_streams);
        add_counts(&mut self.goaways, &other.goaways);
        self.fresh += other.fresh;
        self.resumed += other.resumed;
        self.early_accepted += other.early_accepted;
        self.early_rejected += other.early_rejected;
        self.quic.merge(&other.quic);
        self.alt_svc.merge(&other.alt_svc);
        add_counts(&mut self.by_address, &other.by_address);
        add_counts(&mut self.by_source, &other.by_source);
        add_counts(&mut self.by_protocol, &other.by_protocol);
        if self.tls.is_none() {
            self.tls.clone_from(&other.tls);
        }
        self.application_protocol = self.application_protocol.or(other.application_protocol);
        merge_errors(&mut self.errors, &other.errors);
    }
}

fn add_counts<K: Copy + Ord>(mine: &mut BTreeMap<K, u64>, theirs: &BTreeMap<K, u64>) {
    for (&key, &n) in theirs {
        *mine.entry(key).or_default() += n;
    }
}

fn merge_errors(mine: &mut Vec<ErrorCount>, theirs: &[ErrorCount]) {
    for error in theirs {
        match mine
            .iter_mut()
            .find(|e| (e.fault, e.kind, &e.detail) == (error.fault, error.kind, &error.detail))
        {
            Some(same) => same.count += error.count,
            None => mine.push(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_status_is_of_the_class_5xx() {
        let status = [(0, 1), (99, 2), (100, 4), (204, 8), (599, 16), (600, 32), (999, 64)].into();
        let figures = Figures { status, ..Figures::default() };
        assert_eq!(
            [1, 2, 3, 4, 5].map(|class| figures.status_class(class)),
            [4, 8, 0, 0, 1 + 2 + 16 + 32 + 64]
        );
    }

    #[test]
    fn a_turn_that_worked_for_long_was_not_paused() {
        let us = Duration::from_micros;
        for (late, worked, earlier, pause) in [
            (3000, 10, 400, Some(3000)),   // it did nothing, and woke up late
            (4000, 4200, 300, None),       // it worked all the time, before the turn as well
            (4000, 1500, 500, Some(3000)), // a part of the time
            (4000, 300, 500, Some(4000)),  // all of its work may have been before the turn
            (400, 0, 0, None),             // too short to say
        ] {
            let mut pauses = Pauses::default();
            pauses.note_late(us(late), us(worked), us(earlier), us(500));
            let expected =
                pause.map_or(Pauses::default(), |p| Pauses { count: 1, total: us(p), longest: us(p) });
            assert_eq!(pauses, expected, "{late} us late, {worked} us of work");
        }
    }
}
