//! The open model: arrivals follow their schedule whatever the server does, none is forgotten, and the books say where each
//! went. What a schedule is made of is tested in `pacing`; here it meets servers.
#![allow(clippy::disallowed_methods, reason = "a test has its own clock beside the engine's")]

mod support;

use engine::stats::{RunResult, VerdictLevel};
use scenario::plan::{Arrivals, Backlog, Curve, Load as PhaseLoad, Phase, Plan, Share, Spread, Stop};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use support::hostile::Hostile;
use support::{Load, iterations, ms, n32, phase, run, run_with};

support::drivers::over_all_drivers!();

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers everything, each after this time.
fn answering(delay: Duration) -> Hostile {
    Hostile::new(move |visit| {
        loop {
            visit.request()?;
            std::thread::sleep(delay);
            visit.say(OK)?;
        }
    })
}

fn open(rate: f64, stop: Stop) -> Phase {
    let backlog = Backlog { time: None, number: 1000 };
    let arrivals = Arrivals { curve: Curve::Constant(rate), spread: Spread::Even, backlog };
    Phase { load: PhaseLoad::Open(arrivals), ..phase("open", 4, stop) }
}

fn backlog(phase: &mut Phase, bound: Backlog) {
    let PhaseLoad::Open(arrivals) = &mut phase.load else { panic!("a closed phase") };
    arrivals.backlog = bound;
}

fn plan(server: &Hostile, share: Share, phases: Vec<Phase>) -> Plan {
    let load = Load { share, ..Load::on(server.address(), iterations(1)) };
    Plan { phases, ..load.plan() }
}

/// The control of a run that is interrupted some time from now.
fn interrupted_after(time: Duration) -> Arc<engine::Control> {
    let control = Arc::new(engine::Control::default());
    let interrupt = control.clone();
    std::thread::spawn(move || {
        std::thread::sleep(time);
        interrupt.interrupt();
    });
    control
}

/// Every arrival has begun an iteration or was dropped, and every request was seen and has ended.
fn assert_complete(result: &RunResult, server: &Hostile) {
    let t = &result.totals;
    assert_eq!(t.books.started + t.dropped, t.arrived, "{t:?}");
    assert_eq!(t.books.succeeded, t.books.started, "{:?}", t.errors);
    assert_eq!(server.requests(), t.books.started);
}

#[test]
fn arrivals_are_counted_exactly_on_any_number_of_cores() {
    for (threads, share) in [(1, Share::Pool), (2, Share::Pool), (1, Share::PerUser), (2, Share::PerUser)] {
        let server = answering(Duration::ZERO);
        let timed = plan(&server, share, vec![open(500.0, Stop::After(ms(400)))]);
        let result = run_with(timed, threads, Arc::default()).unwrap();
        assert_eq!(result.totals.arrived, 200, "{threads} threads, {share:?}");
        assert_complete(&result, &server);
        assert_eq!(result.phases[0].elapsed, ms(400), "a phase is as long as it says");

        let server = answering(Duration::ZERO);
        let counted = plan(&server, share, vec![open(2000.0, iterations(333))]);
        let result = run_with(counted, threads, Arc::default()).unwrap();
        assert_eq!(result.totals.arrived, 333, "{threads} threads, {share:?}");
        assert_complete(&result, &server);
    }
}

#[test]
fn without_a_backlog_whoever_finds_every_user_busy_is_dropped() {
    for threads in [1, 2] {
        let server = answering(ms(50));
        let mut phase = open(1000.0, Stop::After(ms(300)));
        backlog(&mut phase, Backlog { time: None, number: 0 });
        let result = run_with(plan(&server, Share::Pool, vec![phase]), threads, Arc::default()).unwrap();
        let t = &result.totals;
        assert_eq!(t.waited, t.dropped, "{threads} threads: {t:?}");
        assert!(t.dropped > 0, "{t:?}");
        assert_complete(&result, &server);
    }
}

/// The classic of coordinated omission: one stall, and every request that should have been sent meanwhile counts it.
#[test]
fn a_stall_is_in_the_response_time_of_everything_that_was_due_meanwhile() {
    let stall = ms(400);
    let started = OnceLock::new();
    let server = Hostile::new(move |visit| {
        loop {
            visit.request()?;
            // From 200 to 600 ms after the first request nothing is answered.
            let now = started.get_or_init(Instant::now).elapsed();
            if now > ms(200) && now < ms(200) + stall {
                std::thread::sleep(ms(200) + stall - now);
            }
            visit.say(OK)?;
        }
    });
    let result = run(plan(&server, Share::Pool, vec![open(500.0, Stop::After(ms(1000)))]));
    assert_complete(&result, &server);
    let t = &result.totals;
    assert_eq!((t.arrived, t.dropped), (500, 0));
    // 200 arrivals were due within the stall, 2 ms apart: their waits are evenly distributed from 400 ms to 0.
    let above = |us: u64| {
        let q =
            (0..=1000).map(|i| f64::from(i) / 1000.0).find(|&q| t.response_time.quantile_ns(q) > us * 1000);
        (1.0 - q.unwrap_or(1.0)) * 500.0
    };
    assert!(above(200_000) > 80.0, "{} of about 100 waited 200 ms", above(200_000));
    assert!(above(50_000) > 150.0, "{} of about 175 waited 50 ms", above(50_000));
    // The service time, which four connections can say, knows of four of them.
    assert!(t.service_time.quantile_ns(0.98) < 200_000_000, "{:?}", t.service_time.quantile_ns(0.98));
    assert!(t.waited > 100, "{} found every user busy", t.waited);
    assert_eq!(result.verdict.level.max(VerdictLevel::Suspect), result.verdict.level, "{:?}", result.verdict);
    assert!(
        result.verdict.reasons.iter().any(|r| r.contains("found every user busy")),
        "{:?}",
        result.verdict
    );
}

#[test]
fn what_nobody_can_take_waits_up_to_the_bound_and_is_dropped_beyond() {
    // Four users can do 40 requests in 200 ms at 20 ms each; 200 come.
    let slow = answering(ms(20));
    let mut few = open(1000.0, Stop::After(ms(200)));
    backlog(&mut few, Backlog { time: None, number: 10 });
    let result = run(plan(&slow, Share::Pool, vec![few]));
    assert_complete(&result, &slow);
    let t = &result.totals;
    assert_eq!(t.arrived, 200);
    assert!((100..=196).contains(&t.dropped), "{} dropped", t.dropped);
    assert_eq!(result.verdict.level, VerdictLevel::Invalid);
    assert!(result.verdict.reasons.iter().any(|r| r.contains("were dropped")), "{:?}", result.verdict);

    // By time: nobody waits longer than 30 ms, so no response takes longer than that and its own 20 ms (and a busy machine's).
    let slow = answering(ms(20));
    let mut brief = open(1000.0, Stop::After(ms(200)));
    backlog(&mut brief, Backlog { time: Some(ms(30)), number: 1_000_000 });
    let result = run(plan(&slow, Share::Pool, vec![brief]));
    assert_complete(&result, &slow);
    assert!(result.totals.dropped > 50, "{} dropped", result.totals.dropped);
    let lag = result.totals.send_lag.max_ns();
    assert!(lag < 60_000_000, "sent {lag} ns after the intended start");
}

/// h2load's `--rps` is per client: a client that is held up does not take another's turns, nor do the others take its own. A count
/// ends the phase, for at the end of its time a turn that waits is dropped: a thread that gets no CPU for ten milliseconds is enough.
#[test]
fn each_connection_has_its_own_rate() {
    let seen: Arc<[AtomicU64; 4]> = Arc::default();
    let counts = seen.clone();
    let server = Hostile::new(move |visit| {
        let number = visit.number as usize % 4;
        loop {
            visit.request()?;
            counts[number].fetch_add(1, SeqCst);
            // Longer than from one of its turns to the next.
            std::thread::sleep(if number == 0 { ms(12) } else { Duration::ZERO });
            visit.say(OK)?;
        }
    });
    let result = run(plan(&server, Share::PerUser, vec![open(400.0, iterations(200))]));
    assert_complete(&result, &server);
    assert_eq!((result.totals.arrived, result.totals.dropped), (200, 0));
    for count in seen.iter() {
        assert_eq!(count.load(SeqCst), 50, "{seen:?}");
    }
}

#[test]
fn a_ramp_and_what_follows_it_are_one_stream_of_arrivals() {
    let server = answering(Duration::ZERO);
    let mut ramp = open(1.0, Stop::After(ms(400)));
    let PhaseLoad::Open(arrivals) = &mut ramp.load else { panic!("a closed phase") };
    arrivals.curve = Curve::Ramp { from: 0.0, to: 1000.0, over: ms(400) };
    let steady = Phase { name: "steady".into(), ..open(1000.0, Stop::After(ms(200))) };
    let result = run(plan(&server, Share::Pool, vec![ramp, steady]));
    assert_complete(&result, &server);
    let arrived: Vec<u64> = result.phases.iter().map(|p| p.figures.arrived).collect();
    assert!((199..=201).contains(&arrived[0]), "{arrived:?}");
    assert_eq!(arrived[1], 200);
    assert_eq!(result.elapsed, ms(600), "no gap between phases");
}

#[test]
fn users_come_one_after_the_other_in_a_ramp_and_go_likewise() {
    let server = answering(ms(20));
    let up = Phase { load: PhaseLoad::Ramp { from: 0, to: 4 }, ..phase("up", 4, Stop::After(ms(400))) };
    let down = Phase { load: PhaseLoad::Ramp { from: 4, to: 0 }, ..phase("down", 4, Stop::After(ms(400))) };
    let flat = phase("flat", 4, Stop::After(ms(400)));
    let result = run(plan(&server, Share::Pool, vec![up, flat, down]));
    let n: Vec<u64> = result.phases.iter().map(|p| p.figures.books.succeeded).collect();
    assert!(n[0] > 0 && n[2] > 0, "{n:?}");
    // Users come at 100, 200, 300 and 400 ms: three eighths of the work of four. They go at the same times: five eighths.
    assert!(n[0] * 4 < n[1] * 3 && n[2] * 10 < n[1] * 9, "{n:?}");
}

#[test]
fn an_interrupt_ends_arrivals_and_waits_for_what_is_in_flight() {
    let server = answering(ms(100));
    let endless = plan(&server, Share::Pool, vec![open(40.0, Stop::After(ms(60_000)))]);
    let result = run_with(endless, 1, interrupted_after(ms(250))).unwrap();
    assert!(result.interrupted);
    assert_complete(&result, &server);
    assert!(result.totals.books.abandoned == 0 && result.elapsed < ms(10_000), "{:?}", result.elapsed);
}

#[test]
fn no_arrival_comes_due_and_no_phase_goes_on_while_the_rest_is_waited_for_after_an_interrupt() {
    let server = Hostile::new(|visit| {
        loop {
            visit.request()?;
            std::thread::sleep(if visit.number % 4 == 0 { ms(1500) } else { ms(2) });
            visit.say(OK)?;
        }
    });
    for load in [open(200.0, Stop::After(ms(60_000))), phase("closed", 4, Stop::After(ms(60_000)))] {
        let result = run_with(plan(&server, Share::Pool, vec![load]), 1, interrupted_after(ms(400))).unwrap();
        assert!(result.interrupted);
        let t = &result.totals;
        assert_eq!((t.dropped, t.books.succeeded), (0, t.books.started), "{:?} {:?}", t.books, t.errors);
        assert!(t.response_time.max_ns() > 1_400_000_000, "the slow one is in the figures");
        assert!((ms(300)..ms(1200)).contains(&result.elapsed), "{:?} without the wait", result.elapsed);
    }
}

/// The pause grows as for attempts that fail: a client that opens connections as fast as it can is an attack.
#[test]
fn a_server_that_closes_what_it_accepts_is_called_less_and_less_often() {
    let server = Hostile::new(|_| Ok(()));
    let result =
        run_with(plan(&server, Share::Pool, vec![open(50.0, Stop::After(ms(1000)))]), 1, Arc::default());
    let books = result.unwrap().totals.books;
    assert_eq!(books.succeeded, 0, "{books:?}");
    // Four connections, each after 1, 2, 4 and so on up to 250 ms.
    let opened = server.connections();
    assert!((8..100).contains(&opened), "{opened} connections for {} requests", books.started);
}

/// What is in flight when the schedule ends is waited for: the slowest requests are in the figures.
#[test]
fn the_last_requests_are_waited_for() {
    let server = answering(ms(300));
    let result = run(plan(&server, Share::Pool, vec![open(20.0, Stop::After(ms(200)))]));
    assert_complete(&result, &server);
    assert_eq!((result.totals.arrived, result.totals.books.abandoned), (4, 0));
    assert_eq!(result.elapsed, ms(200), "the wait is not part of the time that rates are per");
}

// ---- phases on several cores ----

/// A core whose part of a count is done waits for the others: phases do not overlap, and rates are over one stretch.
#[test]
fn phases_that_count_end_on_all_cores_together() {
    let number = AtomicU64::new(0);
    let server = Hostile::new(move |visit| {
        // Half of the connections are ten times as slow.
        let delay = if number.fetch_add(1, SeqCst).is_multiple_of(2) { ms(1) } else { ms(10) };
        loop {
            visit.request()?;
            std::thread::sleep(delay);
            visit.say(OK)?;
        }
    });
    let phases = (0..3).map(|i| phase(&format!("p{i}"), 4, iterations(80))).collect();
    let began = Instant::now();
    let result = run_with(plan(&server, Share::PerUser, phases), 2, Arc::default()).unwrap();
    let wall = began.elapsed();
    assert_eq!(result.totals.books.succeeded, 240);
    assert!(result.elapsed <= wall, "{:?} of phases in {wall:?}", result.elapsed);
    let sum: Duration = result.phases.iter().map(|p| p.elapsed).sum();
    assert_eq!(sum, result.wall);
}

#[test]
fn the_rate_of_a_connection_is_over_recorded_phases_wherever_the_others_are() {
    let server = answering(Duration::ZERO);
    let unrecorded = |name: &str| Phase { record: false, ..phase(name, 4, iterations(100)) };
    let phases =
        vec![phase("a", 4, iterations(40)), unrecorded("b"), phase("c", 4, iterations(40)), unrecorded("d")];
    let result = run(plan(&server, Share::PerUser, phases));
    assert_eq!(result.clients.iter().map(|c| c.answered).sum::<u64>(), 80);
    for client in &result.clients {
        assert!(client.lasted > ms(0) && client.lasted <= result.elapsed + ms(100), "{client:?}");
    }
}

#[test]
fn no_connection_is_opened_that_nobody_wants() {
    let server = Hostile::new(move |visit| {
        visit.request()?;
        visit.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
    });
    let load = Load { connections: 16, users: 16, ..Load::on(server.address(), iterations(16)) };
    let result = run(load.plan());
    assert_eq!((result.totals.books.succeeded, result.connections.attempted), (16, 16));
    // And where the work goes on they are.
    let load = Load { connections: 2, users: 2, ..Load::on(server.address(), iterations(16)) };
    let attempted = run(load.plan()).connections.attempted;
    // Where the two before the last close in one turn, both are opened again for the one iteration that is left.
    assert!((16..=17).contains(&attempted), "{attempted}");
}

/// With `-r`, each connection does its own part of the count.
#[test]
fn connections_that_come_later_find_their_part_of_the_work() {
    let server = answering(Duration::ZERO);
    let mut plan = Load::on(server.address(), iterations(42)).plan();
    plan.connections.ramp_up = ms(200);
    plan.connections.ramp_step = n32(2);
    let began = Instant::now();
    let result = run(plan);
    assert_eq!((result.totals.books.succeeded, server.requests()), (42, 42));
    assert!(began.elapsed() >= ms(100), "the second two come after 100 ms");
    let mut each: Vec<u64> = result.clients.iter().map(|c| c.answered).collect();
    each.sort_unstable();
    assert_eq!(each, [10, 10, 11, 11]);
}

/// In the open model arrivals are due whether their connection is there yet or not.
#[test]
fn an_arrival_whose_connection_comes_later_has_waited_for_it() {
    let server = answering(Duration::ZERO);
    let mut plan = plan(&server, Share::PerUser, vec![open(40.0, iterations(20))]);
    plan.connections.ramp_up = ms(800);
    let result = run(plan);
    assert_complete(&result, &server);
    // The last of four connections is opened after 600 ms, and the first arrival there is due within 100 ms.
    let longest = Duration::from_nanos(result.totals.response_time.max_ns());
    assert!(longest >= ms(450), "{longest:?}");
}

/// Threads are as many as the largest phase can use. Where a phase has fewer users, each of its arrivals is where one of them is.
#[test]
fn a_phase_with_fewer_users_than_cores_leaves_nobody_waiting() {
    for share in [Share::Pool, Share::PerUser] {
        let server = answering(Duration::ZERO);
        let mut small = open(1000.0, iterations(40));
        small.users = n32(1);
        let plan = plan(&server, share, vec![small, open(1000.0, iterations(4))]);
        let result = run_with(plan, 2, Arc::default()).unwrap();
        assert_eq!((result.totals.arrived, result.totals.dropped), (44, 0), "{share:?}");
        assert_complete(&result, &server);
    }
}
