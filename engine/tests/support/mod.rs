//! What the tests of the engine share: a plan made in one line, a run that must end, and a server that misbehaves.
#![allow(dead_code, unused_imports, unused_macros, reason = "every test file uses a part of it")]

pub mod drivers;
pub mod h2;
pub mod hostile;

use engine::stats::{Books, RunResult};
use engine::{Control, Options, StartError};
use scenario::plan::*;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// No run of these tests takes as long: one that does hangs.
const WATCHDOG: Duration = Duration::from_secs(30);

/// The built-in server, in clear and over TLS and QUIC.
pub fn built_in() -> origin::Origin {
    let any = "127.0.0.1:0".parse().unwrap();
    origin::start(origin::Config { clear: Some(any), tls: Some(any), ..origin::Config::default() }).unwrap()
}

/// What to put on a server. The plan says the rest.
#[derive(Clone)]
pub struct Load {
    pub address: SocketAddr,
    pub protocol: Protocol,
    pub tls: bool,
    pub paths: Vec<&'static str>,
    pub connections: u32,
    pub streams: u32,
    pub users: u32,
    pub share: Share,
    pub stop: Stop,
}

impl Load {
    /// HTTP/1.1 in clear, four users with a connection each.
    pub fn on(address: SocketAddr, stop: Stop) -> Load {
        Load {
            address,
            protocol: Protocol::H1,
            tls: false,
            paths: vec!["/"],
            connections: 4,
            streams: 1,
            users: 4,
            share: Share::PerUser,
            stop,
        }
    }

    pub fn plan(&self) -> Plan {
        let scheme = if self.tls { proto::Scheme::Https } else { proto::Scheme::Http };
        let step = |path: &&'static str| Step {
            name: (*path).into(),
            target: 0,
            template: proto::Template::new(
                "GET",
                scheme,
                proto::Text::literal("localhost"),
                proto::Text::literal(path),
            )
            .unwrap(),
            body: bytes::Bytes::new(),
            checks: vec![],
            timeout: None,
            want: proto::Want::default(),
            tags: Default::default(),
        };
        Plan {
            name: "test".into(),
            targets: vec![Target {
                scheme,
                authority: "localhost".into(),
                host: "localhost".into(),
                endpoint: Endpoint::Address(self.address),
                protocol: None,
            }],
            protocol: self.protocol,
            tls: Tls { verify: false, ..Tls::default() },
            connections: Connections {
                max: n32(self.connections),
                streams: n32(self.streams),
                share: self.share,
                requests_per_connection: None,
                lifetime: None,
                mix: None,
                ramp_up: Duration::ZERO,
                ramp_step: NonZeroU32::MIN,
                own_parts: false,
                alt_svc: false,
                socket: Socket::default(),
                family: Family::Any,
                route: Route::default(),
            },
            http2: Http2::default(),
            http3: Default::default(),
            timeouts: Timeouts::default(),
            scenarios: vec![Scenario {
                name: "main".into(),
                weight: n32(1),
                order: Order::Sequence,
                program: None,
                steps: self.paths.iter().map(step).collect(),
            }],
            phases: vec![phase("main", self.users, self.stop)],
            tracks: vec![],
            files: vec![],
            thresholds: vec![],
            search: None,
            script: Default::default(),
        }
    }
}

pub fn phase(name: &str, users: u32, stop: Stop) -> Phase {
    Phase {
        name: name.into(),
        users: n32(users),
        load: scenario::plan::Load::Closed,
        stop,
        record: true,
        overrides: Default::default(),
    }
}

pub fn n32(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

pub fn iterations(n: u64) -> Stop {
    Stop::Iterations(NonZeroU64::new(n).unwrap())
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Runs a plan on one core. Panics where it does not end.
pub fn run(plan: Plan) -> RunResult {
    try_run(plan).unwrap_or_else(|e| panic!("the run did not start: {e}"))
}

pub fn try_run(plan: Plan) -> Result<RunResult, StartError> {
    run_with(plan, 1, Arc::new(Control::default()))
}

pub fn run_with(plan: Plan, threads: usize, control: Arc<Control>) -> Result<RunResult, StartError> {
    let threads = NonZeroUsize::new(threads).unwrap();
    // An interrupted run that waits for the end of its drain where it need not meets the watchdog.
    let options = Options { threads, drain: 2 * WATCHDOG, ..drivers::options() };
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = tell.send(engine::run(&plan, &options, &control, &mut |_| {}));
    });
    let result = told.recv_timeout(WATCHDOG).expect("the run hangs, or panicked");
    if let Ok(result) = &result {
        drivers::assert_used(result);
        result.phases.iter().for_each(|p| assert_balanced(&p.figures.books));
        assert_balanced(&result.totals.books);
    }
    result
}

/// Every request that was started has ended in exactly one way.
pub fn assert_balanced(books: &Books) {
    assert_eq!(books.started, books.succeeded + books.failed + books.abandoned, "{books:?}");
    assert_eq!(books.in_flight, 0);
}

/// Attempts that left the client: the first of every request and its retries, without those of which no byte was handed
/// to the kernel. A server that reads everything it is sent has seen exactly so many; one that breaks connections misses
/// at most what lay in the socket buffers of the connections it broke.
pub fn left(books: &Books) -> u64 {
    books.started + books.retried - books.never_sent
}
