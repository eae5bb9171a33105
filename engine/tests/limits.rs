//! What the plan limits is limited, exactly: requests per connection, iterations, shares, phases, warm-up, time, cores; and
//! what an interrupt leaves behind.

mod support;

use engine::Control;
use scenario::plan::{Endpoint, Protocol, Scenario, Share, Stop};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::h2::Server;
use support::hostile::Hostile;
use support::{Load, assert_balanced, iterations, left, ms, n32, phase, run, run_with};

support::drivers::over_all_drivers!();

fn plain() -> Hostile {
    Hostile::new(|visit| visit.serve())
}

fn per_user(n: u64) -> Stop {
    Stop::IterationsPerUser(NonZeroU64::new(n).unwrap())
}

/// A server that notes how many requests came on each connection, and closes after the first where it is told to.
fn counting(h2: bool, closes: bool) -> (Hostile, Arc<Mutex<Vec<u64>>>) {
    let counts = Arc::new(Mutex::new(Vec::new()));
    let list = counts.clone();
    let server = Hostile::new(move |visit| {
        let mut n = 0;
        let mut serve = || -> std::io::Result<()> {
            if h2 {
                let mut server = Server::greet(visit, &[])?;
                loop {
                    let stream = server.request()?;
                    n += 1;
                    server.answer(stream)?;
                }
            }
            while n == 0 || !closes {
                visit.request()?;
                n += 1;
                visit.answer()?;
            }
            Ok(())
        };
        let _ = serve();
        list.lock().unwrap().push(n);
        Ok(())
    });
    (server, counts)
}

#[test]
fn a_connection_takes_exactly_as_many_requests_as_it_may() {
    for (protocol, share, streams, limit) in [
        (Protocol::H1, Share::PerUser, 1, 7),
        (Protocol::H1, Share::Pool, 1, 1),
        (Protocol::H1, Share::PerUser, 3, 7),
        (Protocol::H2c, Share::PerUser, 8, 7),
        (Protocol::H2c, Share::Pool, 8, 50),
        (Protocol::H2c, Share::PerUser, 4, 1),
    ] {
        let (server, counts) = counting(protocol == Protocol::H2c, limit == 1);
        let on = Load::on(server.address(), iterations(1000));
        let mut plan = Load { protocol, share, streams, users: 4 * streams, ..on }.plan();
        plan.connections.requests_per_connection = NonZeroU64::new(limit);
        let result = run(plan);
        server.settle();
        let case = format!("{protocol:?} {share:?} {streams} streams, {limit} each");
        assert_eq!(result.totals.books.succeeded, 1000, "{case}: {:?}", result.totals.errors);
        let counts = counts.lock().unwrap();
        assert_eq!(counts.iter().sum::<u64>(), 1000, "{case}");
        assert!(counts.iter().all(|&n| n <= limit), "{case}: {counts:?}");
        // The last of each of the four is cut short by the end of the run, and may have been opened in vain.
        assert!(counts.iter().filter(|&&n| n < limit).count() <= 4, "{case}: {counts:?}");
        assert_eq!(result.connections.lost, 0, "{case}");
    }
}

#[test]
fn a_connection_that_is_idle_too_long_is_closed_and_opened_again_when_needed() {
    let slow = Hostile::new(|visit| {
        loop {
            visit.request()?;
            std::thread::sleep(ms(300));
            visit.answer()?;
        }
    });
    let quick = plain();
    let load = Load { paths: vec!["/slow", "/quick"], ..Load::on(slow.address(), iterations(3)) };
    let mut plan = Load { connections: 1, users: 1, ..load }.plan();
    plan.timeouts.idle = Some(ms(60));
    plan.targets.push(plan.targets[0].clone());
    plan.targets[1].endpoint = Endpoint::Address(quick.address());
    plan.scenarios[0].steps[1].target = 1;
    let result = run(plan);
    quick.settle();
    slow.settle();
    assert_eq!(result.totals.books.succeeded, 6, "{:?}", result.totals.errors);
    assert!((2..=4).contains(&quick.connections()), "{}", quick.connections());
    assert_eq!((slow.connections(), result.connections.lost), (1, 0), "a busy connection is not idle");
}

/// The times are the engine's own and lower bounds, so a slow machine cannot break them.
#[test]
fn connections_are_opened_one_after_the_other_over_the_ramp() {
    let server = plain();
    let mut plan = Load { connections: 8, users: 8, ..Load::on(server.address(), per_user(1)) }.plan();
    plan.connections.ramp_up = ms(400);
    let result = run(plan);
    assert_eq!((result.totals.books.succeeded, result.connections.opened), (8, 8));
    assert!(result.elapsed >= ms(350), "the last one comes after seven eighths: {:?}", result.elapsed);
}

#[test]
fn phases_with_more_and_fewer_users_each_do_exactly_their_iterations() {
    for (share, threads) in [(Share::PerUser, 1), (Share::Pool, 1), (Share::PerUser, 2), (Share::Pool, 2)] {
        let server = plain();
        let mut plan = Load { share, ..Load::on(server.address(), per_user(1)) }.plan();
        plan.phases = vec![
            phase("few", 2, per_user(50)),
            phase("many", 9, per_user(25)),
            phase("one", 1, per_user(100)),
            phase("shared", 6, iterations(77)),
        ];
        let result = run_with(plan, threads, Arc::default()).unwrap();
        server.settle();
        let done: Vec<u64> = result.phases.iter().map(|p| p.figures.iterations).collect();
        assert_eq!(done, [100, 225, 100, 77], "{share:?} on {threads}");
        assert_eq!((result.totals.books.succeeded, server.requests()), (502, 502), "{share:?} on {threads}");
    }
}

#[test]
fn a_warm_up_is_in_the_books_and_not_in_the_figures() {
    for threads in [1, 2] {
        let server = plain();
        let mut plan = Load { users: 8, ..Load::on(server.address(), iterations(300)) }.plan();
        let mut warm_up = phase("warm-up", 6, Stop::After(ms(150)));
        warm_up.record = false;
        plan.phases.insert(0, warm_up);
        let result = run_with(plan, threads, Arc::default()).unwrap();
        server.settle();
        let [warm_up, main] = &result.phases[..] else { panic!("two phases") };
        assert_eq!((main.figures.iterations, main.figures.books.started), (300, 300));
        assert_eq!(result.totals.books, main.figures.books);
        assert_eq!(result.totals.response_time.count(), 300);
        assert_eq!(result.steps[0].figures.books.started, 300);
        assert!(warm_up.figures.books.started > 0);
        let all = warm_up.figures.books.succeeded + main.figures.books.succeeded;
        assert_eq!(server.requests(), all, "what the warm-up began the main phase ends");
        assert!(result.elapsed < result.wall);
    }
}

#[test]
fn every_user_walks_every_step_as_often_as_told() {
    let server = plain();
    let on = Load::on(server.address(), per_user(40));
    let load = Load { paths: vec!["/a", "/b", "/c"], users: 7, share: Share::Pool, connections: 3, ..on };
    let result = run(load.plan());
    assert_eq!(result.totals.iterations, 7 * 40);
    for step in &result.steps {
        assert_eq!(step.figures.books.succeeded, 7 * 40, "{}", step.name);
    }
}

#[test]
fn weighted_scenarios_get_their_share_to_the_request() {
    for threads in [1, 2] {
        let server = plain();
        let mut plan = Load::on(server.address(), iterations(4000)).plan();
        let light = Scenario { name: "light".into(), ..plan.scenarios[0].clone() };
        plan.scenarios[0].weight = n32(3);
        plan.scenarios.push(light);
        let result = run_with(plan, threads, Arc::default()).unwrap();
        let shares: Vec<u64> = result.steps.iter().map(|s| s.figures.books.succeeded).collect();
        assert_eq!(shares, [3000, 1000], "on {threads}");
    }
}

/// A client whose connections are lost goes on with its own part of the work on the next ones.
#[test]
fn every_connection_has_its_own_part_of_a_count_also_where_it_is_lost() {
    for (threads, streams) in [(1, 1), (2, 1), (1, 4), (2, 4)] {
        // Some connections last for one answer, some for many; some are slow.
        let server = Hostile::new(|visit| {
            loop {
                visit.request()?;
                std::thread::sleep(ms(2 * (visit.number % 3)));
                if visit.number % 2 == 0 {
                    return visit.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                }
                visit.answer()?;
            }
        });
        let on = Load::on(server.address(), iterations(43));
        let mut plan = Load { connections: 4, streams, users: 4 * streams, ..on }.plan();
        plan.connections.own_parts = true;
        let result = run_with(plan, threads, Arc::default()).unwrap();
        assert_eq!(result.totals.books.succeeded, 43, "{threads} {streams}");
        let mut each: Vec<u64> = result.clients.iter().map(|c| c.answered).collect();
        each.sort_unstable();
        assert_eq!(each, [10, 11, 11, 11], "{threads} {streams}");
    }
}

/// A server that takes one connection only: what the others would have made does not keep the run for an hour.
#[test]
fn a_connection_that_never_opens_gives_up_its_part() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = Hostile::new(move |visit| match first.swap(false, std::sync::atomic::Ordering::SeqCst) {
        true => visit.serve(),
        false => visit.reset(),
    });
    let on = Load::on(server.address(), iterations(20_000));
    let mut plan = Load { connections: 2, streams: 1, users: 2, ..on }.plan();
    plan.connections.own_parts = true;
    let result = run(plan);
    server.settle();
    let (books, took) = (result.totals.books, result.wall);
    assert_eq!((books.started, books.succeeded, books.failed), (20_000, 10_000, 10_000));
    assert_eq!(server.requests(), 10_000);
    assert!(took > Duration::from_secs(10) && took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn more_threads_than_cpus_count_exactly() {
    for (protocol, share) in
        [(Protocol::H1, Share::PerUser), (Protocol::H1, Share::Pool), (Protocol::H2c, Share::Pool)]
    {
        let (server, _) = counting(protocol == Protocol::H2c, false);
        let on = Load::on(server.address(), iterations(5000));
        let load = Load { protocol, share, connections: 7, streams: 2, users: 14, ..on };
        let result = run_with(load.plan(), 5, Arc::default()).unwrap();
        server.settle();
        let books = result.totals.books;
        assert_eq!((books.succeeded, server.requests()), (5000, 5000), "{protocol:?} {share:?}");
        assert_eq!(result.clients.len(), 7, "{protocol:?} {share:?}");
    }
}

/// Starts a run without an end, interrupts it so often once the server has seen so many requests, returns its result.
fn interrupted(plan: scenario::Plan, server: &Hostile, after: u64, times: u8) -> engine::stats::RunResult {
    let control = Arc::new(Control::default());
    let running = {
        let control = control.clone();
        std::thread::spawn(move || run_with(plan, 2, control).unwrap())
    };
    while server.requests() < after {
        std::thread::sleep(ms(1));
    }
    (0..times).for_each(|_| control.interrupt());
    let result = running.join().unwrap();
    assert!(result.interrupted);
    assert_balanced(&result.totals.books);
    result
}

#[test]
fn one_interrupt_lets_requests_in_flight_end() {
    for stop in
        [iterations(u64::MAX / 2), Stop::After(Duration::from_secs(3600)), per_user(u64::from(u32::MAX))]
    {
        let server = Hostile::new(|visit| {
            loop {
                visit.request()?;
                std::thread::sleep(ms(20));
                visit.answer()?;
            }
        });
        let load = Load { paths: vec!["/a", "/b"], ..Load::on(server.address(), stop) };
        let books = interrupted(load.plan(), &server, 20, 1).totals.books;
        server.settle();
        assert_eq!((books.failed, books.abandoned), (0, 0), "{books:?}");
        assert_eq!((books.succeeded, left(&books)), (server.requests(), server.requests()));
    }
}

#[test]
fn a_second_interrupt_leaves_at_once() {
    let server = Hostile::new(|visit| {
        visit.request()?;
        visit.stall()
    });
    let mut plan = Load::on(server.address(), iterations(1000)).plan();
    plan.timeouts.request = None;
    let books = interrupted(plan, &server, 4, 2).totals.books;
    server.settle();
    assert_eq!(
        (books.started, books.abandoned, books.never_sent, server.requests()),
        (4, 4, 0, 4),
        "{books:?}"
    );
}

#[test]
fn an_interrupt_while_the_server_is_down_waits_for_nobody() {
    for share in [Share::PerUser, Share::Pool] {
        let mut server = plain();
        let control = Arc::new(Control::default());
        let load = Load { share, ..Load::on(server.address(), Stop::After(Duration::from_secs(3600))) };
        let running = {
            let control = control.clone();
            std::thread::spawn(move || run_with(load.plan(), 1, control).unwrap())
        };
        while server.requests() < 100 {
            std::thread::sleep(ms(1));
        }
        server.kill();
        std::thread::sleep(ms(400));
        control.interrupt();
        let result = running.join().unwrap();
        server.settle();
        assert!(result.interrupted && result.totals.books.failed > 0, "{share:?}");
    }
}
