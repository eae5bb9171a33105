//! Programs without a network: what a virtual user does next, what it sends, and what it makes of made-up responses.

use bytes::Bytes;
use proto::{Fields, Piece};
use scenario::program::data::Shard;
use scenario::program::{Action, Done, Program, User, Verdict, World};
use scenario::{Overrides, Plan};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One virtual user of a plan's first scenario.
struct Actor {
    plan: Plan,
    program: Arc<Program>,
    world: World,
    user: User,
    step: u32,
}

/// Made-up header fields.
struct Head<'a>(&'a [(&'a str, &'a [u8])]);

impl Fields for Head<'_> {
    fn each(&self, f: &mut dyn FnMut(&[u8], &[u8])) {
        self.0.iter().for_each(|(name, value)| f(name.as_bytes(), value));
    }
}

fn load(text: &str) -> Plan {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    scenario::parse(text, "plan.yaml", &dir, &Overrides::default()).unwrap_or_else(|e| panic!("\n{e}"))
}

fn actor(top: &str, steps: &str) -> Actor {
    let plan = load(&format!(
        "version: 1\ntarget: http://h.test\n{top}\nscenarios:\n  s:\n    steps:\n{steps}\nphases: [ {{ users: 1, for: 1s }} ]\n"
    ));
    Actor::new(plan, 0)
}

impl Actor {
    fn new(plan: Plan, number: u64) -> Actor {
        let mut world = World::new(&plan, Shard { index: 0, of: 1 });
        world.wall = 1_700_000_000_000_000_000;
        let user = User::new(&world, number);
        let program = plan.scenarios[0].program.clone().expect("a scripted scenario");
        let mut actor = Actor { plan, program, world, user, step: 0 };
        assert!(actor.begin());
        actor
    }

    fn begin(&mut self) -> bool {
        self.user.begin(&self.program, &mut self.world, 0)
    }

    fn next(&mut self) -> Action {
        self.user.next(&self.program, &mut self.world)
    }

    /// The next action is a request: its line and fields as text, and its body.
    fn request(&mut self) -> String {
        let action = self.next();
        let Action::Request { step, hop } = action else { panic!("{action:?} is no request") };
        self.step = step;
        let values: Vec<String> =
            self.user.flight().values().map(|v| String::from_utf8_lossy(v).into_owned()).collect();
        let template = &self.plan.scenarios[0].steps[step as usize].template;
        let text = |text: &proto::Text| -> String {
            text.pieces()
                .iter()
                .map(|p| match p {
                    Piece::Literal(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Piece::Slot(n) => values[usize::from(*n)].clone(),
                })
                .collect()
        };
        let exchange = &self.program.exchanges()[step as usize];
        let mut out = match hop {
            None => format!("{} {}", template.method(), text(template.path())),
            Some(hop) => format!(
                "{} /{}",
                if hop.same { template.method() } else { "GET" },
                values[usize::from(exchange.location_slot())]
            ),
        };
        for field in template.fields() {
            out += &format!("\n{}: {}", field.name, text(&field.value));
        }
        if self.user.flight().has_cookie() {
            out += &format!("\ncookie: {}", values[usize::from(exchange.cookie_slot())]);
        }
        let body = self.user.flight().payload();
        if body.is_empty() { out } else { format!("{out}\n\n{}", String::from_utf8_lossy(&body)) }
    }

    fn respond(&mut self, status: u16, fields: &[(&str, &[u8])], body: &[u8]) -> Verdict {
        self.user.head(&self.program, &mut self.world, status, &Head(fields), Some(0));
        for piece in body.chunks(7) {
            self.user.body(&self.program, piece);
        }
        let done = Done { response: 5_000_000, protocol: "http/1.1", tally: Some(0) };
        self.user.done(&self.program, &mut self.world, done)
    }

    fn ok(&mut self, body: &str) -> Verdict {
        self.respond(200, &[], body.as_bytes())
    }

    fn reason(&mut self) -> String {
        match self.next() {
            Action::End(Err(reason)) => reason,
            other => panic!("{other:?} is no failure"),
        }
    }
}

const END: Action = Action::End(Ok(()));

#[test]
fn the_login_flow() {
    let mut a = actor(
        "defaults: { cookies: true, follow_redirects: 5 }\nvariables: { who: ada }",
        r#"
      - get: /login
        name: page
        check: { status: 200, body_includes: Welcome, css: { "h1": Hello } }
        extract:
          token: { css: 'input[name="_token"]', attribute: value }
          n: { regex: 'n=(\d+)' }
      - post: /login?x=1
        form: { _token: "{{token}}", _user: "{{who}}", n: "{{n + 1}}", fixed: a b }
        check: { status: [200], header_includes: { X-A: [one, two] } }
      - get: "/logout/{{token}}/{{ url_encode('a b') }}"
        headers: { authorization: "Bearer {{token}}" }"#,
    );
    assert_eq!(a.request(), "GET /login");
    let page = "<h1>Hello</h1>Welcome <input name=_token value='t&amp;1'> n=41";
    let verdict = a.respond(200, &[("Set-Cookie", b"sid=1; Path=/")], page.as_bytes());
    assert_eq!(verdict, Verdict { expected: true, passed: 3, failed: 0 });
    assert_eq!(
        a.request(),
        "POST /login?x=1\ncontent-type: application/x-www-form-urlencoded\ncookie: sid=1\n\n_token=t%261&_user=ada&n=42&fixed=a+b"
    );
    let verdict = a.respond(303, &[("location", b"../inbox?y=2"), ("set-cookie", b"sid=2; Path=/")], b"");
    assert_eq!(verdict, Verdict { expected: true, passed: 0, failed: 0 });
    assert!(a.request().starts_with("GET /inbox?y=2\n"));
    let verdict = a.respond(200, &[("x-a", b"zone"), ("x-a", b"two")], b"");
    assert_eq!(verdict, Verdict { expected: true, passed: 3, failed: 0 });
    assert_eq!(a.request(), "GET /logout/t&1/a%20b\nauthorization: Bearer t&1\ncookie: sid=2");
    a.ok("");
    assert_eq!(a.next(), END);
    assert!(a.begin());
    assert_eq!(a.request(), "GET /login", "cookies and variables live as long as the iteration");
    assert!(a.world.checks.iter().all(|c| c.failed == 0 && c.passed == 1), "{:?}", a.world.checks);
}

#[test]
fn loops_and_branches() {
    let mut a = actor(
        "variables: { n: 0 }",
        r#"
      - repeat: 2
        steps:
          - get: /r
          - set: { n: "{{n + 1}}" }
      - while: n < 4
        steps:
          - set: { n: "{{n + 1}}" }
          - if: n == 3
            then: [ { get: /three } ]
            else: [ { get: "/other/{{n}}" } ]
      - group: g
        steps:
          - think: 5ms
          - log: "n is {{n}}"
      - if: "status == 200 and ok"
        then: [ { fail: "stop at {{n}}" } ]"#,
    );
    for expected in ["GET /r", "GET /r", "GET /three", "GET /other/4"] {
        assert_eq!(a.request(), expected);
        a.ok("");
    }
    assert_eq!(a.next(), Action::Think(Duration::from_millis(5)));
    assert_eq!(a.next(), Action::Log("n is 4".into()));
    assert_eq!(a.reason(), "stop at 4");
}

#[test]
fn choices_keep_their_weights() {
    let mut a = actor(
        "",
        "
      - choose:
          - { weight: 3, steps: [ { get: /a } ] }
          - { weight: 1, steps: [ { get: /b } ] }
          - { weight: 1, steps: [ { think: 1ms } ] }",
    );
    let mut counts = [0; 3];
    for _ in 0..5000 {
        match a.next() {
            Action::Request { step, .. } => {
                counts[step as usize] += 1;
                a.ok("");
            }
            Action::Think(_) => counts[2] += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(a.next(), END);
        a.begin();
    }
    assert!((2800..3200).contains(&counts[0]) && (850..1150).contains(&counts[1]), "{counts:?}");
}

#[test]
fn bodies_and_queries() {
    let mut a = actor(
        "variables: { s: 'q\"', n: 7, l: [1, x] }\ndefaults: { auth: { basic: { user: demo, password: '{{s}}' } } }",
        r#"
      - post: /j?a=1
        query: { b: "{{s}} x", c: [ "1", "{{n}}" ] }
        json: { text: "{{s}}", mixed: "<{{s}}>", n: "{{n}}", l: "{{l}}", fixed: [1, "2", null] }
      - put: /m
        auth: { bearer: t }
        multipart: { f: "{{n}}", up: { file: bad/empty.yaml, filename: "x{{n}}.bin" }, v: { value: z, content_type: text/x } }
      - patch: /b
        auth: { bearer: "{{n}}" }
        body: "raw {{s}}""#,
    );
    assert_eq!(
        a.request(),
        "POST /j?a=1&b=q%22%20x&c=1&c=7\ncontent-type: application/json\nauthorization: Basic ZGVtbzpxIg==\n\n\
         {\"text\":\"q\\\"\",\"mixed\":\"<q\\\">\",\"n\":7,\"l\":[1,\"x\"],\"fixed\":[1,\"2\",null]}"
    );
    a.ok("");
    let text = a.request();
    assert!(text.contains("authorization: Bearer t\n"), "{text}");
    assert!(text.contains("name=\"f\"\r\n\r\n7\r\n--"), "{text}");
    assert!(
        text.contains(
            "name=\"up\"; filename=\"x7.bin\"\r\ncontent-type: application/octet-stream\r\n\r\n\r\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("name=\"v\"\r\ncontent-type: text/x\r\n\r\nz\r\n--") && text.ends_with("--\r\n"),
        "{text}"
    );
    a.ok("");
    assert!(a.request().ends_with("Bearer 7\n\nraw q\""));
}

#[test]
fn every_check_passes_and_fails() {
    let checks = r#"
      - get: /
        check:
          - { status: 2xx, time: "< 10ms", protocol: h1 }
          - body: { includes: "name", matches: '"n":\s*\d+' }
          - { body_size: "> 10", body_equals: '{"name":"ada","n": 5,"l":[{"k":1}]}' }
          - body_sha256: "8b7a4bd2a0c17a8b4b5f3ba5ee0a9e1b0a3bd7d9a4d6f1bb3fdc3a2fcf6ab111"
          - { header_exists: x-a, header_equals: { X-A: v1 }, header_matches: { x-a: "^v[12]$" } }
          - headers: { x-b: { exists: false }, x-n: { compare: ">= 3" } }
          - json: { $.name: ada, $.n: { compare: "> 4" }, "$.l[*].k": 1, $.none: { exists: false } }
          - css: { "a[href]": { attribute: href, equals: /x } }
          - { cookie: { c: v }, name: has cookie }"#;
    let mut a = actor("defaults: { cookies: true }", checks);
    a.request();
    let body = br#"{"name":"ada","n": 5,"l":[{"k":1}]}"#;
    let fields: &[(&str, &[u8])] = &[("x-a", b"v2"), ("X-A", b"v1"), ("x-n", b"3"), ("set-cookie", b"c=v")];
    let verdict = a.respond(200, fields, body);
    let failed = |a: &Actor| -> Vec<String> {
        let named = a.plan.script.checks.iter().zip(&a.world.checks);
        named.filter(|(_, t)| t.failed > 0).map(|(c, t)| format!("{}: {}", c.name, t.samples[0])).collect()
    };
    let odd = failed(&a);
    assert_eq!(odd.len(), 2, "the digest is a wrong one and the body no HTML: {odd:?}");
    assert_eq!((verdict.expected, verdict.passed, verdict.failed), (true, 17, 2));
    let mut a = actor("defaults: { cookies: true }", checks);
    a.request();
    let verdict = a.respond(500, &[("x-b", b"1"), ("x-n", b"2")], b"<a href=/x>");
    assert_eq!((verdict.expected, verdict.passed), (false, 4), "{:?}", failed(&a));
    assert!(failed(&a).contains(&"status: 500".to_owned()));
    assert!(failed(&a).contains(&"header x-n is >= 3: 2".to_owned()), "{:?}", failed(&a));
}

/// Checks are of complete responses: those of the head count with the rest.
#[test]
fn checks_of_a_head_whose_response_breaks_off_do_not_count() {
    let mut a = actor(
        "defaults: { cookies: true }",
        "\n      - { get: /, check: [{ header_equals: { x: y } }, { cookie: { c: v } }] }",
    );
    let counted = |a: &Actor| -> Vec<(u64, u64, usize)> {
        a.world.checks.iter().map(|c| (c.passed, c.failed, c.samples.len())).collect()
    };
    a.request();
    let Actor { user, program, world, .. } = &mut a;
    user.head(program, world, 200, &Head(&[("x", b"z"), ("set-cookie", b"c=v")]), Some(0));
    user.body(program, b"only a ");
    user.failed(program, world, "the connection was lost");
    assert_eq!(counted(&a), [(0, 0, 0), (0, 0, 0)]);
    a.next();
    assert!(a.begin());
    a.request();
    assert_eq!(a.respond(200, &[("x", b"z"), ("set-cookie", b"c=v")], b"all of it").passed, 1);
    assert_eq!(counted(&a), [(0, 1, 1), (1, 0, 0)]);
}

#[test]
fn every_extractor() {
    let mut a = actor(
        "defaults: { cookies: true }",
        r#"
      - get: /
        extract:
          j: { json: "$.list[0].id" }
          all: { json: "$.list[*].id", pick: all }
          last: { json: "$.list[*].id", pick: last }
          second: { json: "$.list[*].id", pick: 1 }
          n: { json: "$.list[*].id", pick: count }
          h: { header: X-H }
          r: { regex: '"id":(?<num>\d)', group: num, pick: last }
          whole: { regex: '"list"' }
          c: { cookie: sid }
          b: { body: true }
          d: { header: none, default: 9 }
          o: { header: none, required: false }
      - post: /out
        body: "{{j}} {{all}} {{last}} {{second}} {{n}} {{h}} {{r}} {{whole}} {{c}} {{length(b)}} {{d}} {{defined(o)}}""#,
    );
    a.request();
    let body = br#"{"list":[{"id":1},{"id":2},{"id":3}]}"#;
    a.respond(200, &[("x-h", b"v"), ("set-cookie", b"sid=abc")], body);
    assert!(a.request().ends_with("1 [1,2,3] 3 2 3 v 3 \"list\" abc 37 9 false"));
}

#[test]
fn numbers_go_out_as_they_came_and_are_compared_to_the_last_digit() {
    let checks = "check: [ { json: { $.id: 12345678901234567890, $.j: 12345678901234567890124, $.p: 1.1 } }, \
                  { json: { $.id: { compare: '> 12345678901234567889' }, '$[?@ == 1.1]': 1.10, $.t: \"{{ n * 2.0 }}\" } } ]";
    let mut a = actor(
        "variables: { n: 2 }",
        &format!(
            "\n      - get: /\n        extract: {{ id: {{ json: $.id }}, p: {{ json: '$.*', pick: 2 }}, o: {{ json: $.o }} }}\
             \n      - post: /out\n        json: {{ id: \"{{{{id}}}}\", p: \"{{{{p}}}}\", o: \"{{{{o}}}}\", n: \"{{{{-id}}}}\" }}\n        {checks}"
        ),
    );
    a.request();
    a.ok(r#"{"id": 12345678901234567890, "j": 1, "p": 1.10, "o": {"x": [1.0, 2e3]}}"#);
    let sent = a.request();
    assert!(
        sent.ends_with(
            r#"{"id":12345678901234567890,"p":1.10,"o":"{\"x\":[1.0,2e3]}","n":-12345678901234567890}"#
        ),
        "{sent}"
    );
    let right = r#"{"id":12345678901234567890,"j":12345678901234567890124,"p":1.10,"t":4.00}"#;
    let verdict = a.respond(200, &[], right.as_bytes());
    assert_eq!(verdict.failed, 0);
    let mut b = actor("variables: { n: 2 }", &format!("\n      - get: /\n        {checks}"));
    b.request();
    let wrong =
        r#"{"id":12345678901234567000,"j":12345678901234568000000,"p":1.1000000000000000000001,"t":4.00}"#;
    let verdict = b.respond(200, &[], wrong.as_bytes());
    assert_eq!((verdict.passed, verdict.failed), (1, 5));
}

#[test]
fn large_numbers_are_not_calculated_with() {
    let mut a =
        actor("", "\n      - get: /\n        extract: { id: { json: $.id } }\n      - get: '/{{ id + 1 }}'");
    a.request();
    a.ok(r#"{"id":12345678901234567890}"#);
    assert_eq!(a.reason(), "a number has too many digits to be calculated with");
}

#[test]
fn what_goes_wrong_has_a_name_and_ends_the_iteration() {
    let fails = |top: &str, step: &str, status: u16, fields: &[(&str, &[u8])], body: &[u8]| {
        let mut a = actor(top, step);
        a.request();
        a.respond(status, fields, body);
        a.reason()
    };
    let json = "\n      - get: /\n        name: n\n        extract: { x: { json: $.a } }";
    assert_eq!(fails("", json, 200, &[], b"{}"), "n: nothing for x: the JSON path leads to nothing");
    assert_eq!(fails("", json, 200, &[], b"<html>"), "n: nothing for x: the body is not JSON");
    let cut =
        "\n      - get: /\n        name: n\n        body_limit: 10\n        extract: { x: { regex: zzz } }";
    let reason = fails("", cut, 200, &[], &[b'a'; 100]);
    assert_eq!(
        reason,
        "n: nothing for x: the pattern matches nothing (only the start of the body was kept: raise body_limit)"
    );
    let header = "\n      - get: /\n        name: n\n        extract: { x: { header: h } }";
    assert_eq!(fails("", header, 200, &[("h", b"\xff")], b""), "n: nothing for x: it is not UTF-8");
    let loops =
        "\n      - get: /\n        name: n\n        follow_redirects: 2\n        check: { status: 200 }";
    let mut a = actor("", loops);
    for expected in ["GET /", "GET /", "GET /"] {
        assert_eq!(a.request(), expected);
        a.respond(302, &[("location", b"/")], b"");
    }
    assert_eq!(a.reason(), "n: more redirects than are followed");
    let away = [("location", &b"http://elsewhere.test/"[..])];
    assert_eq!(fails("", loops, 302, &away, b""), "n: a redirect to a host that is not in the plan");
    let clear = "\n      - get: /\n        name: n\n        redirects: follow\n        protocol: h2c\n      - get: https://tls.test/";
    let to_tls = [("location", &b"https://tls.test/"[..])];
    let unspoken = "n: a redirect to where the step's protocol is not spoken";
    assert_eq!(fails("", clear, 302, &to_tls, b""), unspoken);
    let error = "\n      - get: /\n        name: n\n        redirects: error";
    assert_eq!(fails("", error, 301, &[], b""), "n: a redirect, which the plan does not allow");
    let cookies = "\n      - get: /\n        name: n\n        cookies: true";
    let large = format!("a={}", "x".repeat(5000));
    assert_eq!(
        fails("", cookies, 200, &[("set-cookie", large.as_bytes())], b""),
        "n: the server set a cookie of more than 4096 bytes"
    );
    let names: Vec<String> = (0..60).map(|n| format!("c{n}=1")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|n| ("set-cookie", n.as_bytes())).collect();
    assert_eq!(fails("", cookies, 200, &many, b""), "n: the server set more than 50 cookies");
    let gzip = "\n      - get: /\n        name: n\n        compression: true\n        extract: { x: { body: true } }";
    assert_eq!(
        fails("", gzip, 200, &[("content-encoding", b"gzip")], b"no"),
        "n: the body is not what content-encoding says"
    );
    let ends = "defaults: { on_error: end_iteration }";
    assert_eq!(
        fails(
            ends,
            "\n      - get: /\n        name: n\n        body_limit: 5\n        check: { body_size: 1 }",
            500,
            &[],
            b""
        ),
        "n: the status 500 was not expected"
    );
}

#[test]
fn a_text_that_grows_by_addition_has_the_bound_of_every_text() {
    let steps = "\n      - set: { x: a }\n      - repeat: 21\n        steps: [ { set: { x: '{{ x + x }}' } } ]\n      - get: /";
    assert_eq!(actor("", steps).reason(), "a text became too long");
}

#[test]
fn a_loop_that_does_nothing_ends() {
    let mut a = actor(
        "",
        "\n      - get: /\n      - while: 'true'\n        steps: [ { set: { x: 1 } } ]\n        at_most: 1000000",
    );
    a.request();
    a.ok("");
    assert_eq!(a.reason(), "a loop without a request or a pause");
    let mut a = actor("", "\n      - while: 'true'\n        at_most: 3\n        steps: [ { get: / } ]");
    for _ in 0..3 {
        a.request();
        a.ok("");
    }
    assert_eq!(a.reason(), "a `while` went on for more rounds than it may");
}

#[test]
fn a_count_that_is_none_fails_the_iteration() {
    let of = |times: &str, n: &str| {
        let steps = format!("\n      - repeat: {times}\n        steps: [ get: / ]");
        actor(&format!("variables: {{ n: {n} }}"), &steps)
    };
    let text = |what: &str| format!("`repeat: {what}: it must be a whole number from 0 to 1000000000");
    assert_eq!(of("n - 5", "2").reason(), text("n - 5` is -3"));
    assert_eq!(of("n", "many").reason(), text("n` is many"));
    assert_eq!(of("n", "1.5").reason(), text("n` is 1.5"));
    assert_eq!(of("n * 10", "1000000000").reason(), text("n * 10` is 10000000000"));
    assert_eq!(of("n", "0").next(), END);
    assert_eq!(of("n", "'1'").request(), "GET /");
    // As with every reason, what is not to be shown is not.
    let steps = "\n      - repeat: token\n        steps: [ get: / ]";
    assert_eq!(actor("variables: { token: sesame }", steps).reason(), text("token` is ***"));
}

#[test]
fn a_variable_without_a_value_is_named() {
    let mut a =
        actor("", "\n      - if: iteration > 5\n        then: [ { set: { x: 1 } } ]\n      - get: /{{x}}");
    assert_eq!(a.reason(), "the variable x has no value");
}

#[test]
fn data_goes_row_by_row() {
    let plan = "data:\n  users: { rows: [ { name: a, n: 1 }, { name: b, n: 2 } ], order: unique }\n  ids: { range: 5..6 }";
    let mut a = actor(plan, "\n      - get: /{{users.name}}/{{users.n + 1}}/{{ids}}");
    assert_eq!(a.request(), "GET /a/2/5");
    a.ok("");
    assert_eq!(a.next(), END);
    assert!(a.begin());
    assert_eq!(a.request(), "GET /b/3/6");
    a.ok("");
    assert_eq!(a.next(), END);
    assert!(!a.begin(), "the rows are used up and the user stops");
}

#[test]
fn an_iteration_that_finds_no_row_takes_none_and_is_none() {
    let text = "version: 1\ntarget: http://h.test\ndata:\n  ids: { range: 5..9 }\n  few: { values: [a], at_end: stop }\n\
                scenarios:\n  s: { steps: [ get: '/{{ids}}/{{few}}' ] }\n  t: { steps: [ get: '/{{ids}}/{{iteration}}' ] }\n\
                phases: [ { users: 1, for: 1s } ]\n";
    let mut a = Actor::new(load(text), 0);
    assert_eq!(a.request(), "GET /5/a");
    a.ok("");
    assert_eq!(a.next(), END);
    assert!(!a.begin() && !a.begin());
    a.program = a.plan.scenarios[1].program.clone().expect("a scripted scenario");
    assert!(a.user.may_begin(&a.program, &a.world) && a.begin());
    assert_eq!(a.request(), "GET /6/2");
}

#[test]
fn what_lives_as_long_as_the_user() {
    let mut a = actor(
        "variables: { n: 0 }\ndefaults: { lifetime: per_user, cookies: true }",
        "\n      - set: { n: '{{n + 1}}' }\n      - get: /{{n}}",
    );
    assert_eq!(a.request(), "GET /1");
    a.respond(200, &[("set-cookie", b"a=1")], b"");
    assert_eq!(a.next(), END);
    a.begin();
    assert_eq!(a.request(), "GET /2\ncookie: a=1");
}

#[test]
fn fragments_take_parameters() {
    let mut a = actor(
        "fragments:\n  hit: { parameters: [where, n], steps: [ { get: '/{{where}}/{{n}}', name: hit } ] }",
        "\n      - use: hit\n        with: { where: a, n: 1 }\n      - use: hit\n        with: { where: '{{iteration}}', n: 2 }",
    );
    assert_eq!(a.request(), "GET /a/1");
    a.ok("");
    assert_eq!(a.request(), "GET /1/2");
    let names: Vec<&str> = a.plan.scenarios[0].steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["hit", "hit #2"]);
}

#[test]
fn constant_requests_need_no_program() {
    let plain = load(
        "version: 1\ntarget: builtin\nvariables: { x: 1 }\nscenarios: { s: { steps: [ { get: \"/{{ 1 + 1 }}\", check: { status: 200 } } ] } }\nphases: [ { users: 1, for: 1s } ]",
    );
    assert!(plain.scenarios[0].program.is_none());
    assert_eq!(plain.scenarios[0].steps[0].template.path().as_literal().unwrap(), b"/2");
    assert!(!plain.scenarios[0].steps[0].want.fields);
}

#[test]
fn a_user_is_small() {
    let mut a =
        actor("variables: { a: 1, b: x }\ndefaults: { cookies: true }", "\n      - get: /{{a}}/{{b}}");
    a.request();
    a.respond(200, &[], &[b'x'; 100_000]);
    assert!(a.user.footprint() < 4096, "{} bytes", a.user.footprint());
    assert_eq!(Bytes::new(), a.user.flight().payload());
}

#[test]
fn the_value_that_a_credential_had_before_is_not_shown_either() {
    let mut a = actor(
        "defaults: { cookies: true }\nvariables: { token: sesame-0 }",
        r#"
      - get: /log-in
        extract: { token: { json: $.t } }
      - repeat: 6
        steps:
          - get: /refresh
            extract: { token: { json: $.t } }
          - get: /echo
            check: { body_equals: x }
      - set: { token: sesame-set }
      - log: "was {{status}}"
      - get: /bye"#,
    );
    let cookie = |n: u32| format!("sid=cookie-{n}; path=/");
    let shown = |a: &Actor, text: &str| a.user.masked(&a.program, &a.world, text);
    a.request();
    a.respond(200, &[("set-cookie", cookie(1).as_bytes())], br#"{"t":"sesame-1"}"#);
    // What the plan writes is always known, and what was replaced for as long as there is room.
    assert_eq!(shown(&a, "sesame-0 sesame-1 cookie-1"), "*** *** ***");
    for n in 2..=7 {
        a.request();
        a.respond(
            200,
            &[("set-cookie", cookie(n).as_bytes())],
            format!("{{\"t\":\"sesame-{n}\"}}").as_bytes(),
        );
        a.request();
        a.ok(&format!("was sesame-{} and cookie-{}", n - 1, n - 1));
    }
    let samples = &a.world.checks[0].samples;
    assert_eq!(*samples, ["was *** and ***"; 3]);
    assert_eq!(shown(&a, "sesame-7 sesame-6 sesame-4 sesame-3 cookie-7 cookie-3"), "*** *** *** *** *** ***");
    assert_eq!(shown(&a, "sesame-2 cookie-2"), "sesame-2 cookie-2", "four are remembered of each");
    assert_eq!(a.next(), Action::Log("was 200".into()));
    assert_eq!(shown(&a, "sesame-7 sesame-set"), "*** ***");
}

#[test]
fn a_sample_does_not_show_what_is_extracted_from_the_same_response() {
    let mut a = actor(
        "",
        r#"
      - get: /log-in
        check: { body_equals: x, headers: { x-is: "y" } }
        extract: { token: { json: $.t } }"#,
    );
    a.request();
    a.respond(200, &[("x-is", b"it is sesame-2")], br#"{"t":"sesame-2","n":1}"#);
    let samples: Vec<&[String]> = a.world.checks.iter().map(|check| &check.samples[..]).collect();
    assert_eq!(samples, [[r#"{"t":"***","n":1}"#], ["it is ***"]]);
}
