//! Single requests for those who keep them: every request that ended is logged once, and the first are traced whole.

mod support;

use engine::{Control, Ended, Event, Exchange, Options, RequestLog};
use scenario::plan::{Plan, Stop};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use support::hostile::Hostile;
use support::{Load, iterations, ms, phase};

/// Answers with 200, 503 to every fifth request, and with nothing but a close to every seventh connection's third.
fn server() -> Hostile {
    Hostile::new(|visit| {
        let breaks = visit.number % 7 == 6;
        for n in 1.. {
            let seen = visit.request()?;
            match () {
                () if breaks && n == 3 => return Ok(()),
                () if seen.is_multiple_of(5) => {
                    visit.say("HTTP/1.1 503 No\r\ncontent-length: 2\r\nx-why: busy\r\n\r\nno")?;
                }
                () => visit.answer()?,
            }
        }
        Ok(())
    })
}

fn run(plan: &Plan, options: Options) -> (engine::stats::RunResult, Vec<Ended>, Vec<Exchange>) {
    let log: Arc<Mutex<Vec<Ended>>> = Arc::default();
    let sink = log.clone();
    let request_log = RequestLog::to(move |batch| sink.lock().unwrap().extend_from_slice(batch));
    let options = Options { request_log: Some(request_log), ..options };
    let mut traced = Vec::new();
    let result = engine::run(plan, &options, &Control::default(), &mut |event| {
        if let Event::Traced { exchange, .. } = event {
            traced.push(*exchange);
        }
    });
    let log = log.lock().unwrap().clone();
    (result.unwrap(), log, traced)
}

#[test]
fn a_log_that_panics_costs_no_figure_and_is_told() {
    let server = Hostile::new(|visit| visit.serve());
    let plan = Load::on(server.address(), iterations(3000)).plan();
    let request_log = RequestLog::to(|_| panic!("no room is left on the device"));
    let options = Options { request_log: Some(request_log), ..Options::default() };
    let result = engine::run(&plan, &options, &Control::default(), &mut |_| {}).unwrap();
    assert_eq!((result.totals.books.started, result.totals.books.succeeded), (3000, 3000));
    assert!(result.verdict.reasons.iter().any(|r| r.contains("the request log is not complete")));
}

#[test]
fn every_request_that_ended_is_in_the_log_once() {
    let server = server();
    let began = SystemTime::now();
    let threads = NonZeroUsize::new(2).unwrap();
    let mut plan = Load::on(server.address(), iterations(10_000)).plan();
    plan.connections.requests_per_connection = std::num::NonZeroU64::new(50);
    let (result, log, _) = run(&plan, Options { threads, ..Options::default() });
    let (books, ended) = (result.totals.books, SystemTime::now());
    let with = |status| log.iter().filter(|e| e.status == status).count() as u64;
    assert_eq!((books.started, log.len()), (10_000, 10_000));
    assert_eq!((with(Some(200)), with(Some(503))), (books.succeeded, books.failed_status), "{books:?}");
    assert_eq!(with(None), books.failed - books.failed_status);
    assert!(books.failed_status > 0 && with(None) > 0, "{books:?}");
    let ns = |t: SystemTime| t.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    assert!(log.iter().all(|e| (ns(began)..ns(ended)).contains(&e.began_ns)));
    // The log and the series are of the same clock.
    let mut good: Vec<u64> = log.iter().filter(|e| e.status == Some(200)).map(|e| e.took_ns).collect();
    good.sort_unstable();
    let service = &result.totals.service_time;
    assert_eq!((good[0], *good.last().unwrap()), (service.min_ns(), service.max_ns()));
}

#[test]
fn what_is_not_recorded_is_not_logged() {
    let server = server();
    let mut plan = Load::on(server.address(), Stop::After(ms(200))).plan();
    plan.phases
        .insert(0, scenario::plan::Phase { record: false, ..phase("warm-up", 4, Stop::After(ms(200))) });
    let (result, log, _) = run(&plan, Options::default());
    let ended = |books: engine::stats::Books| books.succeeded + books.failed;
    assert_eq!(log.len() as u64, ended(result.totals.books));
    assert!(ended(result.phases[0].figures.books) > 0);
}

#[test]
fn the_first_requests_are_traced_whole_and_the_others_not() {
    let server = Hostile::new(|visit| {
        loop {
            let seen = visit.request()?;
            visit.say(format!(
                "HTTP/1.1 200 OK\r\nx-number: {seen}\r\ncontent-length: 3000\r\n\r\n{}",
                "x".repeat(3000)
            ))?;
        }
    });
    let plan = Load::on(server.address(), iterations(50)).plan();
    let (result, _, mut traced) = run(&plan, Options { trace: 6, ..Options::default() });
    assert_eq!((result.totals.books.succeeded, traced.len()), (50, 6));
    traced.sort_by_key(|e| e.number);
    for (n, e) in traced.iter().enumerate() {
        assert_eq!((e.number as usize, e.status, e.body_len, e.body.len()), (n, Some(200), 3000, 1024));
        let number = e.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"x-number"));
        assert!(number.is_some() && e.error.is_none() && e.took >= e.first_byte, "{e:?}");
    }
}
