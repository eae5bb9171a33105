//! In steady state a request allocates nothing, in clear text: neither the engine nor the protocols.
//!
//! The allocator of this process counts; the server runs in a process of its own, which is this test binary again. A run
//! and one ten times as long differ in the requests alone, so the difference of their counts is what requests cost.

mod support;

use engine::{Io, Rows};
use scenario::Plan;
use scenario::plan::Protocol;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use support::{Load, iterations};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SERVE: &str = "ENGINE_TEST_SERVE";

/// Not a test: the server's process, which lives until its standard input ends.
#[test]
fn server() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let any = "127.0.0.1:0".parse().unwrap();
    let origin = origin::start(origin::Config { clear: Some(any), tls: None, ..Default::default() }).unwrap();
    eprintln!("{}", origin.clear_addr().unwrap());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Server {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "server", "--nocapture", "--test-threads=1"])
            .env(SERVE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        Server { address: line.trim().parse().unwrap(), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Allocations of the whole process in a run of so many requests.
fn allocations(plan: &Plan, (io, rows): (Io, Rows)) -> u64 {
    // Snapshots, one an interval, allocate.
    let options = engine::Options { io, interval: Duration::from_secs(3600), rows, ..Default::default() };
    let before = ALLOCATIONS.load(Relaxed);
    let result = engine::run(plan, &options, &Default::default(), &mut |_| {}).unwrap();
    let allocations = ALLOCATIONS.load(Relaxed) - before;
    let books = result.totals.books;
    assert_eq!(books.succeeded, books.started, "{:?}", result.totals.errors);
    allocations
}

/// One test for all cases: a test beside it in this process would be counted, too.
#[test]
fn nothing_is_allocated_per_request() {
    if std::env::var_os(SERVE).is_some() {
        return;
    }
    let server = Server::start();
    let drivers = [Io::Uring, Io::Monoio, Io::Epoll];
    let cases = [
        (Protocol::H1, 1, "/?s=100", Rows::None),
        (Protocol::H1, 1, "/?s=100", Rows::Kept),
        (Protocol::H1, 4, "/?s=100", Rows::None),
        (Protocol::H1, 1, "/?s=64k", Rows::None),
        (Protocol::H2c, 8, "/?s=100", Rows::None),
        (Protocol::H2c, 2, "/?s=64k", Rows::None),
    ];
    for (io, case) in drivers.into_iter().flat_map(|io| cases.map(|case| (io, case))) {
        let (protocol, streams, path, rows) = case;
        let (few, many) = if path == "/?s=64k" { (500, 5000) } else { (2000, 22_000) };
        let on = |n| Load::on(server.address, iterations(n));
        let load = |n| Load { protocol, streams, users: 4 * streams, paths: vec![path], ..on(n) };
        let of = |n| allocations(&load(n).plan(), (io, rows));
        let more = more(few, many, of);
        assert!(more < 200, "{io:?} {case:?}: {more} more for {} requests", many - few);
    }
    // Requests of a user at once: their places are made when first needed.
    for io in drivers {
        let plan = |iterations: u64| {
            let text = format!(
                "version: 1\ntarget: http://{}\nscenarios: {{ s: {{ steps: [ {{ parallel: [ get: /?s=100, get: /?s=9, get: / ], \
                 max: 2 }}, {{ get: / }} ] }} }}\nphases: [ {{ users: 4, iterations: {iterations} }} ]\n",
                server.address
            );
            parsed(&text)
        };
        let more = more(500, 5500, |n| allocations(&plan(n), (io, Rows::None)));
        assert!(more < 200, "{io:?} parallel: {more} more for 20,000 requests");
    }
    for (protocol, (name, step)) in ["h1", "h2c"].into_iter().flat_map(|p| SCRIPTED.map(|s| (p, s))) {
        let of = |n| allocations(&scripted(server.address, protocol, step, n), (Io::Uring, Rows::None));
        let more = more(1000, 9000, of);
        assert!(more < 200, "{protocol} {name}: {more} more for 8000 requests");
    }
}

/// Steps of scenarios with a program that must cost no memory either.
const SCRIPTED: [(&str, &str); 7] = [
    (
        "two checks and a header extractor",
        "get: /api/status, check: { status: 200, headers: { content-type: { includes: json } } }, \
         extract: { length: { header: content-length } }",
    ),
    (
        "checks on the body",
        "get: /api/status, check: { body_includes: status, body_size: '> 2', body_matches: 'sta.us' }",
    ),
    (
        "values in path, query and header",
        "get: '/api/status?a={{n}}', query: { b: '{{t}}' }, headers: { x-n: '{{ n + 1 }}' }",
    ),
    ("a pattern", "get: /api/status, extract: { m: { regex: '\"([a-z]+)\"' } }"),
    (
        "a credential that is replaced",
        "get: /headers, headers: { x-n: '{{iteration}}' }, extract: { token: { regex: '\"x-n\": ?\"([0-9]+)' } }",
    ),
    ("a cookie", "get: /login, cookies: true, check: { status: 200 }"),
    ("a text of a variable", "get: /api/status, check: { headers: { content-type: { includes: '{{t}}' } } }"),
];

fn scripted(address: SocketAddr, protocol: &str, step: &str, iterations: u64) -> Plan {
    let text = format!(
        "version: 1\ntarget: http://{address}\nprotocol: {protocol}\nconnections: {{ max: 4 }}\n\
         variables: {{ n: 7, t: json }}\ndefaults: {{ lifetime: per_user }}\n\
         scenarios: {{ s: {{ steps: [ {{ {step} }} ] }} }}\nphases: [ {{ users: 4, iterations: {iterations} }} ]\n"
    );
    parsed(&text)
}

fn parsed(text: &str) -> Plan {
    let plan = scenario::parse(text, "test.yaml", std::path::Path::new(""), &Default::default());
    plan.unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// What the requests between a short run and a long one allocate.
fn more(few: u64, many: u64, of: impl Fn(u64) -> u64) -> u64 {
    of(few); // what a process allocates once
    let (short, long) = (of(few), of(many));
    long.saturating_sub(short)
}
