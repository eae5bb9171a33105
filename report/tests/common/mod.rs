//! A run that never happened, with something in every field.
#![allow(dead_code, reason = "each test file takes what it needs")]

use engine::search::{Bounds, Finding, Hunt};
use engine::stats::*;
use proto::{Fault, Field, Framing, Kind, Scheme, Template, Text, Want};
use report::search::{Probe, Searched};
use scenario::Plan;
use scenario::plan::*;
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::{Duration, UNIX_EPOCH};

/// A series of times in microseconds.
pub fn series(us: &[u64]) -> Series {
    let mut out = Series::default();
    us.iter().for_each(|v| out.record(v * 1000));
    out
}

fn threshold(text: &str, metric: Metric, op: Op, value: f64) -> Threshold {
    Threshold {
        text: text.into(),
        metric,
        scenario: None,
        step: None,
        tags: Default::default(),
        check: None,
        phase: None,
        op,
        value,
        abort_after: None,
    }
}

pub fn plan() -> Plan {
    let users = NonZeroU32::new(4).unwrap();
    let field =
        |name: &str, value: &str, secret| Field { name: name.into(), value: Text::literal(value), secret };
    let template =
        Template::new("POST", Scheme::Https, Text::literal("example.com"), Text::literal("/login"))
            .and_then(|t| t.field(field("accept", "*/*", false)))
            .and_then(|t| t.field(field("Authorization", "Bearer hunter2", false)))
            .and_then(|t| t.field(field("x-token", "hunter3", true)))
            .unwrap()
            .body(Framing::Length, false);
    let step = |name: &str, kind: &str| Step {
        name: name.into(),
        target: 0,
        template: template.clone(),
        body: bytes::Bytes::from_static(b"a=b"),
        checks: vec![Check::Status(StatusSet(vec![(200, 299)]))],
        timeout: None,
        want: Want::default(),
        tags: [("kind", kind), ("team", "web")].into_iter().collect(),
    };
    Plan {
        name: "sample".into(),
        targets: vec![Target {
            scheme: Scheme::Https,
            authority: "example.com".into(),
            host: "example.com".into(),
            endpoint: Endpoint::Name { host: "example.com".into(), port: 443 },
            protocol: None,
        }],
        protocol: Protocol::H1,
        tls: Tls { ca: Some("ca.pem".into()), sni: Some("example.com".into()), ..Tls::default() },
        connections: Connections {
            max: users,
            streams: NonZeroU32::MIN,
            share: Share::Pool,
            requests_per_connection: NonZeroU64::new(100),
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
        timeouts: Timeouts::default(),
        scenarios: vec![Scenario {
            name: "visit".into(),
            weight: NonZeroU32::MIN,
            steps: vec![step("login", "write"), step("page", "read")],
            order: Order::Sequence,
            program: None,
        }],
        phases: vec![
            Phase {
                name: "warm-up".into(),
                users,
                load: Load::Closed,
                stop: Stop::After(Duration::from_secs(1)),
                record: false,
                overrides: Default::default(),
            },
            Phase {
                name: "steady".into(),
                users,
                load: Load::Closed,
                stop: Stop::After(Duration::from_secs(10)),
                record: true,
                overrides: Default::default(),
            },
        ],
        http2: Default::default(),
        http3: Default::default(),
        script: Default::default(),
        search: None,
        tracks: vec![],
        files: vec![],
        thresholds: vec![
            threshold("error_rate < 10%", Metric::ErrorRate, Op::Less, 0.1),
            threshold(
                "p99(response_time) < 50ms",
                Metric::Quantile(0.99, SeriesName::ResponseTime),
                Op::Less,
                50e6,
            ),
        ],
    }
}

pub fn books() -> Books {
    Books {
        started: 10,
        succeeded: 6,
        failed: 3,
        abandoned: 1,
        in_flight: 0,
        failed_status: 1,
        failed_timeout: 1,
        retried: 2,
        never_sent: 0,
    }
}

pub fn figures() -> Figures {
    let times = [1_000, 2_000, 3_000, 4_000, 5_000, 150_000];
    Figures {
        arrived: 0,
        waited: 0,
        dropped: 0,
        without_data: 0,
        books: books(),
        iterations: 4,
        iterations_failed: 0,
        iterations_cut: 2,
        status: BTreeMap::from([(200, 5), (302, 1), (503, 1)]),
        errors: vec![
            error(Fault::Peer, Kind::Status, "a status that was not expected", 1),
            error(Fault::Network, Kind::StreamReset(8), "the stream was reset", 2),
        ],
        checks_passed: 6,
        checks_failed: 1,
        response_time: series(&times),
        service_time: series(&times),
        send_lag: series(&[0, 0, 0, 0, 0, 12]),
        first_byte: series(&[900, 1_900, 2_900, 3_900, 4_900, 149_000]),
        failed_time: series(&[700, 30_000_000, 900]),
        abandoned_time: Duration::ZERO,
        bytes: Bytes { received: 3_196, sent: 1_000, headers: 561, headers_decoded: 2_178, data: 2_310 },
        handshakes: HandshakeFigures {
            opened: 2,
            failed: 3,
            abandoned: 1,
            opening_time: series(&[700, 800]),
        },
    }
}

fn error(fault: Fault, kind: Kind, detail: &str, count: u64) -> ErrorCount {
    ErrorCount { fault, kind, detail: detail.into(), count }
}

fn connections() -> ConnectionFigures {
    ConnectionFigures {
        quic: Default::default(),
        alt_svc: AltSvcFigures { heard: 2, opened: 3, failed: 1, refused: 1, ..AltSvcFigures::default() },
        attempted: 5,
        opened: 4,
        failed: 1,
        lost: 1,
        timed_out: 0,
        down: Duration::from_millis(1500),
        connect: series(&[37, 38, 39, 40]),
        handshake: series(&[500, 510, 520, 530]),
        connection_first_byte: series(&[1_500, 1_600, 1_700, 1_800]),
        ready: series(&[540, 550, 560, 570]),
        peer_max_streams: None,
        goaways: BTreeMap::new(),
        fresh: 3,
        resumed: 1,
        early_accepted: 0,
        early_rejected: 0,
        by_address: BTreeMap::from([("127.0.0.1".parse().unwrap(), 3), ("::1".parse().unwrap(), 1)]),
        by_source: BTreeMap::new(),
        by_protocol: BTreeMap::from([("http/1.1", 4)]),
        tls: Some(tls_facts()),
        application_protocol: Some("http/1.1"),
        errors: vec![error(Fault::Network, Kind::Connect, "connection refused", 1)],
    }
}

/// The same run over HTTP/2.
pub fn h2_result() -> RunResult {
    let mut result = result();
    let c = &mut result.connections;
    c.application_protocol = Some("h2");
    (c.peer_max_streams, c.goaways) = (Some(128), BTreeMap::from([(0, 3), (11, 1)]));
    result.totals.bytes =
        Bytes { received: 105_010, sent: 4_321, headers: 700, headers_decoded: 2_800, data: 102_400 };
    result
}

pub fn tls_facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        group: "X25519".into(),
        certificate: "RSA 2048 bits".into(),
        resumed: false,
    }
}

/// A row of each phase.
pub fn timeline() -> Timeline {
    let row = |phase: usize| {
        let at = Duration::from_secs(phase as u64);
        Row {
            began: at,
            ended: at + Duration::from_secs(1),
            phase,
            books: books(),
            iterations: 4,
            arrived: 5,
            waited: 2,
            dropped: 1,
            without_data: 2,
            handshakes_opened: 2,
            handshakes_failed: 3,
            handshakes_abandoned: 1,
            checks_passed: 6,
            checks_failed: 1,
            bytes: figures().bytes,
            open: 3,
            response_time: figures().response_time.pack(),
            service_time: figures().service_time.pack(),
            send_lag: figures().send_lag.pack(),
            opening_time: figures().handshakes.opening_time.pack(),
        }
    };
    Timeline { interval: Duration::from_secs(1), rows: vec![row(0), row(1)] }
}

pub fn result() -> RunResult {
    let phase = |name: &str, record| PhaseFigures {
        name: name.into(),
        record,
        elapsed: Duration::from_secs(if record { 10 } else { 1 }),
        figures: figures(),
    };
    let steps = plan().scenarios[0].steps.clone();
    let step = |at: usize| StepFigures {
        scenario: "visit".into(),
        name: steps[at].name.clone(),
        tags: steps[at].tags.clone(),
        figures: figures(),
    };
    RunResult {
        began: UNIX_EPOCH + Duration::from_millis(1_709_251_199_500),
        interrupted: false,
        elapsed: Duration::from_secs(10),
        wall: Duration::from_secs(11),
        totals: figures(),
        phases: vec![phase("warm-up", false), phase("steady", true)],
        phase_steps: vec![],
        steps: vec![step(0), step(1)],
        connections: connections(),
        clients: [22606, 25686, 23000, 24000]
            .map(|answered| ClientFigures { answered, lasted: Duration::from_secs(100) })
            .to_vec(),
        cost: Cost {
            waited: Duration::from_millis(12),
            spun: Duration::ZERO,
            pauses: engine::stats::Pauses {
                count: 2,
                total: Duration::from_micros(1500),
                longest: Duration::from_micros(900),
            },
            user: Duration::from_micros(90),
            system: Duration::from_micros(180),
            voluntary_switches: 9,
            involuntary_switches: 0,
            peak_rss: 6 << 20,
            turns: 20,
        },
        environment: Environment { facts: vec![("kernel", "6.12".into()), ("cpus", "2".into())] },
        batching: vec![Batching { disabled: false, on: true, nap_us: 48, gain: 0.09, naps: 7 }],
        verdict: Verdict {
            level: VerdictLevel::Suspect,
            reasons: vec!["core 0 was 97 % busy".into()],
            client_limited: true,
        },
        timeline: Some(timeline()),
        script: Default::default(),
        setup: Some(OnceFigures { elapsed: Duration::from_millis(12), ..OnceFigures::default() }),
        teardown: None,
    }
}

/// A search whose one probe so far was the run above.
pub fn searched() -> (Plan, RunResult, Searched) {
    let text = "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ get: / ] } }\nsearch:\n  highest: rate\n  \
                from: 100/s\n  to: 1000/s\n  while: p50(response_time) < 1s and failed < 100\n";
    let plan = scenario::parse(text, "", std::path::Path::new(""), &Default::default()).expect("a plan");
    let search = plan.search.clone().expect("a search");
    let result = result();
    let outcomes = report::thresholds::judge(&plan.probe(100.0).expect("a search"), &result);
    let mut probe = Probe::of(100.0, &search, &result, outcomes);
    probe.finding = Finding::Held;
    let bounds = Bounds { from: 100.0, to: 1000.0, precision: 0.02, confirm: search.confirm, whole: false };
    let mut hunt = Hunt::new(bounds);
    hunt.tell(100.0, probe.finding);
    let refused = Probe::refused(200.0, "nobody is there".into());
    hunt.tell(200.0, refused.finding);
    let searched = Searched { probes: vec![probe, refused], found: hunt.found(), interrupted: false };
    (plan, result, searched)
}
