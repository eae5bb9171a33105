//! The time series of real runs: its rows are the figures of the phases, to the request, on any number of cores.

mod support;

use engine::stats::{
    Books, Bytes, Figures, HandshakeFigures, PhaseFigures, Row, RunResult, Series, Timeline,
};
use engine::{Event, Options, Rows};
use scenario::Plan;
use scenario::plan::{
    Arrivals, Backlog, Curve, Handshakes, Metric, Op, Protocol, SeriesName, Spread, Stop, Threshold,
};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;
use support::{Load, iterations, ms, phase};

fn server() -> origin::Origin {
    let any = "127.0.0.1:0".parse().unwrap();
    origin::start(origin::Config { clear: Some(any), tls: None, ..origin::Config::default() }).unwrap()
}

/// The result, and the rows that were told on the way.
fn run(plan: &Plan, threads: usize, rows: Rows) -> (RunResult, Vec<Row>) {
    let options = Options {
        threads: NonZeroUsize::new(threads).unwrap(),
        interval: ms(20),
        rows,
        ..Options::default()
    };
    let mut told = Vec::new();
    let mut observe = |event| {
        if let Event::Snapshot(snapshot) = event {
            told.extend(snapshot.rows);
        }
    };
    (engine::run(plan, &options, &Default::default(), &mut observe).unwrap(), told)
}

/// What the rows of a phase come to.
fn sum(timeline: &Timeline, phase: usize) -> Figures {
    let mut all = Figures::default();
    for row in timeline.rows.iter().filter(|r| r.phase == phase) {
        all.merge(&Figures {
            books: Books { in_flight: 0, ..row.books },
            iterations: row.iterations,
            arrived: row.arrived,
            waited: row.waited,
            dropped: row.dropped,
            checks_passed: row.checks_passed,
            checks_failed: row.checks_failed,
            bytes: row.bytes,
            response_time: row.response_time.unpack(),
            service_time: row.service_time.unpack(),
            send_lag: row.send_lag.unpack(),
            handshakes: HandshakeFigures {
                opened: row.handshakes_opened,
                failed: row.handshakes_failed,
                abandoned: row.handshakes_abandoned,
                opening_time: row.opening_time.unpack(),
            },
            ..Figures::default()
        });
    }
    all
}

fn figures(s: &Series) -> impl PartialEq + std::fmt::Debug {
    let quantiles = [0.5, 0.9, 0.99, 0.999, 1.0].map(|q| s.quantile_ns(q));
    (s.count(), s.min_ns(), s.max_ns(), s.mean_ns().to_bits(), s.stdev_ns().to_bits(), quantiles)
}

fn assert_same(rows: &Figures, phase: &PhaseFigures) {
    let (all, name) = (&phase.figures, &phase.name);
    assert_eq!(rows.books, all.books, "{name}");
    assert_eq!((rows.iterations, rows.checks_passed), (all.iterations, all.checks_passed), "{name}");
    let arrivals = |f: &Figures| (f.arrived, f.waited, f.dropped);
    assert_eq!(arrivals(rows), arrivals(all), "{name}");
    let bytes = Bytes { headers: 0, headers_decoded: 0, ..all.bytes };
    assert_eq!(rows.bytes, bytes, "{name}");
    let handshakes = |f: &Figures| (f.handshakes.opened, f.handshakes.failed, f.handshakes.abandoned);
    assert_eq!(handshakes(rows), handshakes(all), "{name}");
    for (what, mine, theirs) in [
        ("opening time", &rows.handshakes.opening_time, &all.handshakes.opening_time),
        ("response time", &rows.response_time, &all.response_time),
        ("service time", &rows.service_time, &all.service_time),
        ("send lag", &rows.send_lag, &all.send_lag),
    ] {
        assert_eq!(figures(mine), figures(theirs), "{what} of {name}");
    }
}

fn plan(server: &origin::Origin, last: Stop) -> Plan {
    let load = Load {
        paths: vec!["/?s=100", "/?r=503", "/?s=3k"],
        users: 8,
        connections: 4,
        ..Load::on(server.clear_addr().unwrap(), last)
    };
    let mut plan = load.plan();
    plan.connections.share = scenario::plan::Share::Pool;
    let mut warm_up = phase("warm-up", 6, Stop::After(ms(90)));
    warm_up.record = false;
    plan.phases = vec![warm_up, phase("timed", 8, Stop::After(ms(130))), phase("last", 5, last)];
    plan
}

#[test]
fn the_rows_add_up_to_the_phases_exactly() {
    let server = server();
    for (threads, last) in [(1, Stop::After(ms(77))), (2, Stop::After(ms(77))), (3, iterations(600))] {
        let (result, told) = run(&plan(&server, last), threads, Rows::Kept);
        let timeline = result.timeline.as_ref().unwrap();
        assert_eq!(told.len(), timeline.rows.len());
        for (index, phase) in result.phases.iter().enumerate() {
            assert!(phase.figures.books.succeeded > 0 && phase.figures.books.failed_status > 0);
            assert_same(&sum(timeline, index), phase);
        }
        // Without gaps and overlaps; nothing is in flight at the end.
        for pair in timeline.rows.windows(2) {
            assert!(pair[0].began < pair[0].ended, "{pair:?}");
            let same = pair[1].began == pair[0].began && pair[1].phase > pair[0].phase;
            assert!(same || pair[1].began == pair[0].ended, "{pair:?}");
        }
        assert_eq!(timeline.rows.last().unwrap().books.in_flight, 0);
        assert!(timeline.rows.iter().any(|r| r.books.in_flight > 0 && r.open > 0));
    }
}

#[test]
fn rows_are_told_without_being_kept_and_not_made_unless_asked_for() {
    let server = server();
    let plan = plan(&server, iterations(10));
    let (result, told) = run(&plan, 1, Rows::Told);
    assert!(result.timeline.is_none() && told.len() > 3);
    let (result, told) = run(&plan, 1, Rows::None);
    assert!(result.timeline.is_none() && told.is_empty());
}

#[test]
fn the_rows_of_an_open_model_add_up_with_what_waited_and_what_was_dropped() {
    let server = server();
    let mut plan = plan(&server, Stop::After(ms(200)));
    let slow = Load { paths: vec!["/?t=10ms"], ..Load::on(server.clear_addr().unwrap(), iterations(1)) };
    plan.scenarios = slow.plan().scenarios;
    let backlog = Backlog { time: Some(ms(20)), number: 8 };
    let (curve, spread) = (Curve::Constant(2000.0), Spread::Even);
    plan.phases[1].load = scenario::plan::Load::Open(Arrivals { curve, spread, backlog });
    for (threads, phases) in [(1, 3), (2, 3), (1, 2)] {
        // The last phase of an open model is waited for after its end.
        plan.phases.truncate(phases);
        let (result, _) = run(&plan, threads, Rows::Kept);
        let open = &result.phases[1].figures;
        assert!(open.arrived > 0 && open.waited > 0 && open.dropped > 0, "{open:?}");
        assert!(open.send_lag.max_ns() > 1_000_000, "what waited was late: response is not service time");
        for (index, phase) in result.phases.iter().enumerate() {
            assert_same(&sum(result.timeline.as_ref().unwrap(), index), phase);
        }
    }
}

#[test]
fn the_rows_of_handshakes_add_up_with_those_that_began_late_and_came_to_nothing() {
    // The first connections are accepted, and nobody answers: they hold the places, so that others wait, and come to nothing.
    let (server, silent) = (server(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    for (address, opens) in [(server.clear_addr().unwrap(), true), (silent.local_addr().unwrap(), false)] {
        let mut plan = Load { users: 4, connections: 4, ..Load::on(address, Stop::After(ms(150))) }.plan();
        plan.protocol = Protocol::H2c;
        plan.timeouts.handshake = Some(ms(40));
        let backlog = Backlog { time: None, number: 1000 };
        let arrivals = Arrivals { curve: Curve::Constant(400.0), spread: Spread::Even, backlog };
        plan.phases[0].load = scenario::plan::Load::Handshakes(Handshakes { arrivals, hold: ms(20) });
        for threads in [1, 2] {
            let (result, _) = run(&plan, threads, Rows::Kept);
            let f = &result.phases[0].figures;
            assert!(f.waited > 0 && f.send_lag.max_ns() > 1_000_000, "some began late: {f:?}");
            let (series, ended) = (f.handshakes.opening_time.count(), f.handshakes.failed);
            assert!(if opens { series > 0 } else { ended > 0 && series == 0 }, "{f:?}");
            assert_eq!(f.send_lag.count(), f.handshakes.begun());
            assert_same(&sum(result.timeline.as_ref().unwrap(), 0), &result.phases[0]);
        }
    }
}

/// Watched, with this filter.
fn watched(scenario: Option<&str>, step: Option<&str>) -> Threshold {
    Threshold {
        text: "t".into(),
        metric: Metric::Quantile(0.5, SeriesName::FirstByte),
        scenario: scenario.map(str::to_owned),
        step: step.map(str::to_owned),
        tags: Default::default(),
        check: None,
        phase: None,
        op: Op::Less,
        value: 1.0,
        abort_after: Some(Duration::ZERO),
    }
}

#[test]
fn steps_are_told_apart_as_far_as_watched_thresholds_do() {
    let server = server();
    let mut plan = plan(&server, iterations(200));
    plan.thresholds = vec![watched(Some("main"), None), watched(None, Some("/?r=503")), watched(None, None)];
    let options = Options { threads: NonZeroUsize::new(2).unwrap(), interval: ms(20), ..Options::default() };
    let mut parts: BTreeMap<Option<u32>, Figures> = BTreeMap::new();
    let mut observe = |event| {
        let Event::Snapshot(snapshot) = event else { return };
        assert_eq!(snapshot.phases.len(), plan.phases.len());
        for part in snapshot.parts.iter().filter(|p| plan.phases[p.phase].record) {
            parts.entry(part.step).or_default().merge(&part.figures);
        }
    };
    let result = engine::run(&plan, &options, &Default::default(), &mut observe).unwrap();
    let steps: Vec<Figures> = result.steps.into_iter().map(|s| s.figures).collect();
    let (mut others, failing) = (steps[0].clone(), &steps[1]);
    others.merge(&steps[2]);
    // What is kept by phase alone is with the steps that nobody names, of which there are none but in name.
    let alone = parts.remove(&None).unwrap();
    assert_eq!((alone.books, alone.iterations), (Books::default(), result.totals.iterations));
    assert_eq!(parts.keys().copied().collect::<Vec<_>>(), [Some(0), Some(1)], "by their first step");
    for (part, all) in [(&parts[&Some(0)], &others), (&parts[&Some(1)], failing)] {
        assert_eq!(part.books, all.books);
        assert_eq!(figures(&part.first_byte), figures(&all.first_byte), "what a threshold needs");
        assert_eq!(part.service_time.count(), 0, "and nothing else");
    }
}
