//! Requests of a user at once, and users that wait for each other, over the real server.

mod common;

use common::Server;
use common::plan::{ALL, Http, checks, number, reasons, run, seen};

#[test]
fn requests_at_once_have_their_own_names_checks_and_values() {
    for http in ALL {
        for share in ["pool", "per_user"] {
            let server = Server::start();
            let steps = r#"
      - get: /login
        extract: { css: { css: "link[rel=stylesheet]", attribute: href }, script: { css: "script[src]", attribute: src } }
      - parallel:
          - get: /{{ substring(css, 1) }}
            name: sheet
            check: { header_includes: { content-type: text/css } }
            extract: { kind: { header: content-type } }
          - get: /{{ substring(script, 1) }}
            name: script
          - get: /redirect/2
            name: hops
            redirects: follow
            check: { cookie: { hop: "0" } }
          - post: /echo
            name: echo
            body: "user {{user_number}}"
            check: { body_equals: "user {{user_number}}" }
            extract: { said: { body: true } }
          - get: /any/a?r=404
            name: missing
        max: 3
      - if: ok or kind != 'text/css; charset=utf-8' and kind != 'text/css'
        then: [ { get: /any/wrong } ]
      - post: /any/after
        body: "{{said}}"
        check: { cookie: { hop: "0" } }"#;
            let top = format!("defaults: {{ cookies: true }}\nconnections: {{ share: {share} }}");
            let result = run(&server, http, share, &top, steps, "users: 3, iterations: 12", &["-t", "2"]);
            let stats = server.stats();
            assert_eq!(number(&result["iterations_failed"]), 0, "{http:?} {share} {:?}", reasons(&result));
            for (name, passed, failed) in checks(&result) {
                assert_eq!((passed, failed), (12, 0), "{http:?} {share} {name}");
            }
            assert_eq!(
                (number(&result["failed"]), number(&result["succeeded"])),
                (12, 12 * 8),
                "one is missing"
            );
            let paths =
                [("/echo", 12), ("/redirect/0", 12), ("/any/a", 12), ("/any/after", 12), ("/any/wrong", 0)];
            for (path, n) in paths {
                assert_eq!(seen(&stats, path), n, "{http:?} {share} {path} {stats}");
            }
            assert_eq!(number(&stats["requests"]), 12 * 9);
        }
    }
}

/// What the server has received of five requests at once that it never answers in time.
fn received(http: Http, share: &str, max: &str) -> (u64, u64) {
    let server = Server::start();
    let steps = format!(
        "      - parallel: [ {} ]\n{max}",
        (0..5).map(|n| format!("{{ get: '/any/{n}?t=30s' }}")).collect::<Vec<_>>().join(", ")
    );
    let top = format!("connections: {{ share: {share} }}");
    let result = run(&server, http, "at-once", &top, &steps, "users: 1, for: 700ms", &[]);
    let (started, abandoned) = (number(&result["started"]), number(&result["abandoned"]));
    assert_eq!(started, abandoned, "{http:?} {result}");
    (started, number(&server.stats()["requests"]))
}

#[test]
fn as_many_are_under_way_as_may_be() {
    for http in ALL {
        assert_eq!(received(http, "pool", ""), (5, 5), "{http:?}: six at most, and there are five");
        assert_eq!(received(http, "pool", "        max: 2\n"), (2, 2), "{http:?}");
        // A user's own connection of HTTP/1.1 has one at a time.
        let own = if http == Http::H1 { 1 } else { 5 };
        assert_eq!(received(http, "per_user", ""), (5, own), "{http:?}");
    }
}

#[test]
fn a_request_that_fails_ends_the_iteration_when_all_have_ended() {
    for http in ALL {
        let server = Server::start();
        let steps = r#"
      - parallel:
          - { get: /any/a, name: a, extract: { x: { regex: nowhere } } }
          - { get: "/any/b?t=20ms", name: b }
          - { get: /any/c, name: c }
        max: 2
      - get: /any/never"#;
        let result = run(&server, http, "breaks", "", steps, "users: 2, iterations: 6", &[]);
        let stats = server.stats();
        assert_eq!(reasons(&result), [("a: nothing for x: the pattern matches nothing".to_owned(), 6)]);
        assert_eq!((seen(&stats, "/any/a"), seen(&stats, "/any/b")), (6, 6), "{http:?}");
        assert_eq!((seen(&stats, "/any/c"), seen(&stats, "/any/never")), (0, 0), "no more begin: {http:?}");
        assert_eq!(number(&result["abandoned"]), 0);
    }
}

#[test]
fn setup_may_ask_at_once() {
    let server = Server::start();
    let top = "setup:\n  - parallel: [ { get: /any/a, extract: { a: { header: content-length } } }, { get: /any/b } ]";
    let result = run(
        &server,
        Http::H1,
        "setup-at-once",
        top,
        "      - get: /any/{{a}}",
        "users: 1, iterations: 2",
        &[],
    );
    assert_eq!(number(&result["iterations_failed"]), 0, "{:?}", reasons(&result));
    assert_eq!(number(&server.stats()["requests"]), 4);
}

#[test]
fn users_of_all_threads_wait_for_each_other() {
    for http in ALL {
        let server = Server::start();
        // One user on each of two threads: nobody gets on alone.
        let steps = r#"
      - get: /any/before
      - pause_until: { users: 2, timeout: 20s, name: start, at_timeout: fail }
      - get: /any/after"#;
        let result = run(&server, http, "meet", "", steps, "users: 2, iterations: 20", &["-t", "2"]);
        assert_eq!(number(&result["iterations_failed"]), 0, "{http:?} {:?}", reasons(&result));
        let stats = server.stats();
        assert_eq!((seen(&stats, "/any/before"), seen(&stats, "/any/after")), (20, 20), "{http:?}");
    }
}

#[test]
fn who_waits_in_vain_goes_on_or_fails() {
    for (at_timeout, after, failures) in [("continue", 3, vec![]), ("fail", 2, vec![1])] {
        let server = Server::start();
        let steps = format!(
            "      - get: /any/before\n      - pause_until: {{ users: 2, timeout: 300ms, name: pair, at_timeout: {at_timeout} }}\n      - get: /any/after"
        );
        let result = run(&server, Http::H1, at_timeout, "", &steps, "users: 3, iterations: 3", &["-t", "2"]);
        let stats = server.stats();
        assert_eq!((seen(&stats, "/any/before"), seen(&stats, "/any/after")), (3, after), "{at_timeout}");
        let counts: Vec<u64> = reasons(&result)
            .into_iter()
            .map(|(reason, n)| {
                assert_eq!(reason, "pause_until pair: too few users came in time");
                n
            })
            .collect();
        assert_eq!(counts, failures);
    }
}

#[test]
fn the_run_ends_though_somebody_waits() {
    let server = Server::start();
    let steps = r#"
      - get: /any/before
      - if: user_number == 0
        then: [ { pause_until: { users: 2, timeout: 1h } } ]
      - think: 1ms"#;
    let result = run(&server, Http::H1, "waits", "", steps, "users: 2, for: 400ms", &[]);
    assert!(number(&result["iterations"]) > 1, "{result}");
}
