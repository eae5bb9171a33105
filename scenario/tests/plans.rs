//! Plans as users write them: every plan of `configs/` is a legal plan, and what a plan means is what its `Plan` says.

mod common;

use scenario::plan::{Check, Endpoint, Http2, Metric, Protocol, SeriesName, Share, StatusSet, Stop};
use scenario::{Overrides, Plan};
use std::path::Path;
use std::time::Duration;

#[test]
fn every_config_is_a_legal_plan() {
    for path in common::files("../configs", "yaml") {
        let plan = scenario::load(&path, &Overrides::default()).unwrap_or_else(|e| panic!("\n{e}"));
        assert!(plan.needs_builtin(), "{}: everybody can run it", path.display());
        assert!(scenario::describe(&plan).starts_with("version: 1\n"));
    }
}

fn parse(text: &str) -> Plan {
    parse_with(text, &[])
}

fn parse_with(text: &str, set: &[&str]) -> Plan {
    let overrides = Overrides { set: set.iter().map(|s| (*s).to_owned()).collect() };
    scenario::parse(text, "plan.yaml", Path::new(env!("CARGO_MANIFEST_DIR")), &overrides)
        .unwrap_or_else(|e| panic!("\n{e}"))
}

/// A plan with these top-level lines, one step and one phase of 8 users.
fn with(lines: &str) -> Plan {
    parse(&format!(
        "version: 1\n{lines}\nscenarios: {{ s: {{ steps: [ get: / ] }} }}\nphases: [ {{ users: 8, for: 1s }} ]\n"
    ))
}

#[test]
fn quickstart() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/quickstart.yaml");
    let plan = scenario::load(&path, &Overrides::default()).unwrap();
    assert_eq!(plan.name, "quickstart");
    assert_eq!(plan.connections.max.get(), 16);
    let steps: Vec<_> = plan.steps().map(|(_, step)| step).collect();
    assert_eq!(steps.len(), 3);
    assert_eq!(&steps[0].body[..], br#"{"user":"demo","password":"demo"}"#);
    assert_eq!(steps[0].template.fields()[0].name, "content-type");
    assert!(steps[2].template.fields()[0].secret);
    assert_eq!(plan.phases[0].stop, Stop::After(Duration::from_secs(1)));
    assert!(!plan.phases[0].record && plan.phases[1].record);
    assert_eq!(plan.thresholds[1].metric, Metric::Quantile(0.99, SeriesName::ResponseTime));
    assert!(!scenario::describe(&plan).contains("demo-token"), "secrets are masked");
}

#[test]
fn defaults_of_a_small_plan() {
    let plan = with("target: https://[::1]:8443");
    assert_eq!((plan.name.as_str(), plan.protocol), ("plan", Protocol::Auto));
    assert!(plan.tls.verify && !plan.tls.resumption);
    assert_eq!(plan.targets[0].endpoint, Endpoint::Name { host: "::1".into(), port: 8443 });
    assert_eq!(plan.targets[0].authority, "[::1]:8443");
    assert_eq!((plan.connections.max.get(), plan.connections.share), (8, Share::Pool));
    assert_eq!(plan.timeouts, scenario::plan::Timeouts::default());
    assert_eq!((plan.phases[0].name.as_str(), plan.phases[0].record), ("phase-1", true));
    let (_, step) = plan.steps().next().unwrap();
    assert_eq!((step.name.as_str(), step.expected()), ("GET /", StatusSet::below_400()));
}

#[test]
fn a_host_is_a_target_for_each_protocol_it_is_spoken_to_in() {
    let plan = parse(
        r#"
version: 1
target: https://a.test
protocol: h2
scenarios:
  s:
    steps:
      - { get: /plan, protocol: h2 }
      - { get: /quic, protocol: h3, redirects: follow }
      - { get: "http://b.test/", protocol: h1 }
      - { get: "https://c.test/" }
  t: { target: "https://d.test", protocol: h1, steps: [ get: /, { get: /x, protocol: auto } ] }
setup: [ { get: /once, protocol: h3 } ]
phases: [ { users: 3, for: 1s } ]
"#,
    );
    let shown = |t: &scenario::plan::Target| format!("{} {}", t.authority, plan.protocol_of(t).as_str());
    let targets: Vec<String> = plan.targets.iter().map(shown).collect();
    let used = ["a.test h2", "a.test h3", "b.test h1", "c.test h2", "d.test h1", "d.test auto"];
    // Where a redirect over HTTP/3 may lead. In clear it is not spoken.
    assert_eq!(targets, [&used[..], &["c.test h3", "d.test h3"]].concat());
    let of_steps: Vec<usize> = plan.steps().map(|(_, step)| step.target).collect();
    assert_eq!(of_steps, [0, 1, 2, 3, 4, 5]);
    assert!(plan.speaks(Protocol::H3) && !plan.speaks(Protocol::H2c));
    let once = plan.script.setup.as_ref().unwrap();
    assert_eq!(once.targets[once.scenario.steps[0].target].protocol, Some(Protocol::H3));
}

#[test]
fn what_a_scenario_says_holds_for_its_steps() {
    let text = "version: 1\ntarget: http://a.test\ndefaults: { headers: { a: plan, b: plan }, timeout: 9s }\n\
         fragments: { f: { steps: [ { get: /f, timeout: 1s, headers: { B: step } } ] } }\n\
         scenarios: { s: { target: \"http://b.test\", headers: { b: own, c: own }, timeout: 3s, steps: [ get: /, use: f ] } }\n\
         phases: [ { users: 1, for: 1s } ]\n";
    let plan = parse(text);
    let [first, second] = &plan.scenarios[0].steps[..] else { panic!("two steps") };
    assert_eq!(plan.targets[first.target].authority, "b.test");
    assert_eq!((first.target, first.timeout), (second.target, Some(Duration::from_secs(3))));
    assert_eq!(second.timeout, Some(Duration::from_secs(1)));
    let fields = |step: &scenario::plan::Step| -> Vec<String> {
        let bytes = |f: &proto::Field| match f.value.pieces() {
            [proto::Piece::Literal(value)] => format!("{}={}", f.name, String::from_utf8_lossy(value)),
            other => panic!("{other:?}"),
        };
        step.template.fields().iter().map(bytes).collect()
    };
    assert_eq!(fields(first), ["a=plan", "b=own", "c=own"]);
    assert_eq!(fields(second), ["a=plan", "c=own", "B=step"]);
}

#[test]
fn the_builtin_server_is_not_verified_unless_told() {
    assert!(!with("target: builtin+tls").tls.verify);
    assert!(with("target: builtin+tls\ntls: { verify: true }").tls.verify);
    assert!(with("target: builtin").tls.verify);
}

#[test]
fn tags_add_up_and_the_inner_one_counts() {
    let plan = parse(
        r#"
version: 1
target: builtin
tags: { team: search, kind: other, tier: 1 }
defaults: { tags: { kind: read } }
fragments: { save: { steps: [ { put: /f, tags: { via: fragment } } ] } }
scenarios:
  s:
    tags: { area: shop }
    steps:
      - get: /a
      - { get: /b, tags: { kind: list, team: "a, b" } }
      - group: outer
        tags: { kind: write, group: outer }
        steps:
          - group: inner
            tags: { group: inner }
            steps: [ post: /c, use: save ]
          - parallel: [ { get: /d, tags: { area: page } } ]
      - get: /e
phases: [ { users: 1, for: 1s } ]
thresholds:
  - failed(tag.kind=write, tag.group=inner) == 0
"#,
    );
    let tags: Vec<(&str, String)> = plan
        .steps()
        .map(|(_, step)| {
            let all: Vec<String> = step.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (step.name.as_str(), all.join(" "))
        })
        .collect();
    let expected = [
        ("GET /a", "area=shop kind=read team=search tier=1"),
        ("GET /b", "area=shop kind=list team=a, b tier=1"),
        ("POST /c", "area=shop group=inner kind=write team=search tier=1"),
        ("PUT /f", "area=shop group=inner kind=write team=search tier=1 via=fragment"),
        ("GET /d", "area=page group=outer kind=write team=search tier=1"),
        ("GET /e", "area=shop kind=read team=search tier=1"),
    ];
    assert_eq!(tags, expected.map(|(name, tags)| (name, tags.to_owned())));
    let spoken: Vec<bool> =
        plan.steps().map(|(s, step)| plan.thresholds[0].speaks_of(&s.name, &step.name, &step.tags)).collect();
    assert_eq!(spoken, [false, false, true, true, false, false]);
    let shown = scenario::describe(&plan);
    let line = "        tags: { area: shop, kind: list, team: \"a, b\", tier: \"1\" }\n";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn a_watched_threshold_is_shown_as_it_is_written() {
    let lines = "target: builtin\nthresholds:\n  - dropped == 0\n  \
                 - { that: 'p99(response_time, phase=phase-1) < 1s', abort_after: 1m30s }\n  \
                 - { that: error_rate < 1%, abort_after: 0s }";
    let plan = with(lines);
    let after: Vec<_> = plan.thresholds.iter().map(|t| t.abort_after).collect();
    assert_eq!(after, [None, Some(Duration::from_secs(90)), Some(Duration::ZERO)]);
    let shown = scenario::describe(&plan);
    let (_, thresholds) = shown.split_once("thresholds:\n").unwrap();
    assert_eq!(with(&format!("target: builtin\nthresholds:\n{thresholds}")).thresholds, plan.thresholds);
}

#[test]
fn templates_are_shown_as_they_are_written() {
    let plan = parse(
        r#"
version: 1
target: builtin
data: { ids: { range: 1..9 } }
scenarios:
  s:
    steps:
      - set: { n: "{{ user_number + 1 }}" }
      - post: "/item/{{ids}}?n={{ n * 2 }}&k={{ 1 + 2 }}"
        query: { text: "{{ upper(n) }}" }
        headers: { x-n: "a {{n}} {{n}}", authorization: "Bearer {{n}}" }
        json: { id: "{{ids}}", password: hunter2, name: "number {{ n }}" }
      - { put: /, body: "{{n}}" }
      - { put: /, form: { a: 1 } }
phases: [ { users: 1, for: 1s } ]
"#,
    );
    let shown = scenario::describe(&plan);
    for line in [
        // What has no variable is known.
        "      - request: POST /item/{{ids}}?n={{ n * 2 }}&k=3&text={{ upper(n) }}",
        r#"          x-n: "a {{n}} {{n}}""#,
        "          authorization: ***",
        "        body: template of 45 bytes and {{ids}}, {{ n }}",
        "        body: template of {{n}}",
        "        body: 3 bytes",
    ] {
        assert!(shown.lines().any(|l| l == line), "{line}\n{shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn all_that_a_scenario_does_is_shown() {
    let steps = r#"
      - set: { who: "{{users.name}}", token: open-sesame }
      - if: "{{ status == 200 and ok }}"
        then: [ get: /a, { think: 1s } ]
        else: [ { fail: "no {{status}}" } ]
      - repeat: "{{ user_number + 1 }}"
        steps:
          - choose: [ { weight: 3, steps: [ get: /b ] }, { steps: [ log: x ] } ]
      - while: who != 'me'
        at_most: 7
        steps: [ set: { who: me } ]
      - parallel: [ get: /c, get: /d ]
        max: 2
      - pause_until: { users: 1, timeout: 2s, name: door, at_timeout: fail }
      - group: inner
        steps: [ { use: in, with: { id: 7, password: hunter2 } } ]
      - get: /e
        body_limit: 100
        auth: { aws: { access_key: AKID, secret_key: hunter2, region: eu, service: s3 } }
        redirects: error
        extract: { ids: { json: "$..id", pick: all, default: none }, session: { body: true, default: hunter2 } }
"#;
    let plan = parse(&format!(
        "version: 1\ntarget: builtin\nseed: 9\ndefaults: {{ on_error: end_iteration, lifetime: per_user }}\n\
         variables: {{ greeting: hello there, api_key: hunter2, list: [a, \"1\", 2] }}\n\
         data: {{ users: {{ rows: [ {{ name: a, mail: b }}, {{ name: c, mail: d }} ], order: unique, at_end: fail }} }}\n\
         fragments: {{ in: {{ parameters: [id, password], steps: [ {{ get: '/f/{{{{id}}}}', follow_redirects: 3 }} ] }} }}\n\
         scenarios:\n  s:\n    steps:{steps}  plain: {{ on_error: continue, steps: [ get: / ] }}\n  \
         own: {{ variables: {{ greeting: hi }}, steps: [ get: '/{{{{greeting}}}}' ] }}\n\
         phases: [ {{ users: 1, for: 1s }} ]\n"
    ));
    let shown = scenario::describe(&plan);
    let expected = r#"
seed: 9
data:
  users: { order: unique, at_end: fail }  # rows: 2, columns: name, mail
scenarios:
  s:
    weight: 1
    on_error: end_iteration
    lifetime: per_user
    # an iteration takes a row of: users
    variables:
      greeting: hello there
      api_key: ***
      list: [a, "1", 2]
    steps:
      - set: { who: "{{users.name}}" }
      - set: { token: *** }
      - if: "{{ status == 200 and ok }}"
        then:
          - request: GET /a
            name: GET /a
          - think: 1s
        else:
          - fail: "no {{status}}"
      - repeat: "{{ user_number + 1 }}"
        steps:
          - choose:
              - weight: 3
                steps:
                  - request: GET /b
                    name: GET /b
              - weight: 1
                steps:
                  - log: x
      - while: "who != 'me'"
        at_most: 7
        steps:
          - set: { who: me }
      - max: 2
        parallel:
          - request: GET /c
            name: GET /c
          - request: GET /d
            name: GET /d
      - pause_until: { name: door, users: 1, timeout: 2s, at_timeout: fail }
      - group: inner
        steps:
          - use: in
            with: { id: 7, password: *** }
            # its steps:
              - request: GET /f/{{id}}
                name: "GET /f/{{id}}"
                follow_redirects: 3
      - request: GET /e
        name: GET /e
        auth: { aws: { region: eu, service: s3, access_key: ***, secret_key: *** } }
        headers:
          x-amz-date: "{{time of sending}}"
          x-amz-content-sha256: "{{digest of the body}}"
          authorization: ***
        extract:
          ids: { json: $..id, pick: all, default: none }
          session: { body: true, default: *** }
        redirects: error
        body_limit: 100
  plain:
    weight: 1
    on_error: continue
    steps:
"#;
    assert!(shown.contains(expected), "{shown}");
    assert!(
        shown.contains("    variables:\n      api_key: ***\n      list: [a, \"1\", 2]\n      greeting: hi\n"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn connections() {
    let plan = with("target: builtin\nconnections: 3");
    assert_eq!(plan.connections.max.get(), 3);
    let plan = with(
        "target: builtin\nconnections: { max: 2, streams: 4, share: per_user, keep_alive: false, family: v6 }",
    );
    assert_eq!(plan.connections.share, Share::PerUser);
    assert_eq!(plan.connections.requests_per_connection.unwrap().get(), 1);
}

#[test]
fn http2() {
    assert_eq!(with("target: builtin").http2, Http2::default());
    let plan = with(
        "target: builtin\nprotocol: h2c\nhttp2: { stream_window_bits: 14, connection_window_bits: 16, max_frame_size: 32768, \
         header_table_size: 0, encoder_header_table_size: 65536 }",
    );
    let http2 = Http2 {
        stream_window_bits: 14,
        connection_window_bits: 16,
        max_frame_size: 32_768,
        header_table_size: 0,
        encoder_header_table_size: 65_536,
    };
    assert_eq!((plan.http2, plan.protocol), (http2, Protocol::H2c));
    let shown = scenario::describe(&plan);
    assert!(shown.contains("http2: { stream_window_bits: 14, connection_window_bits: 16, "), "{shown}");
    assert_eq!(
        with(&format!("target: builtin\n{}", shown.lines().find(|l| l.starts_with("http2")).unwrap())).http2,
        http2
    );
    assert_eq!(with("target: builtin\nhttp2: { stream_window_bits: 20 }").http2.connection_window_bits, 30);
}

#[test]
fn headers_and_bodies() {
    let plan = parse(
        r#"
version: 1
target: builtin
defaults: { headers: { User-Agent: loadgen, accept: "*/*" }, timeout: none }
scenarios:
  s:
    steps:
      - get: /
        headers: { user-agent: other, x-number: 1.10, x-two: [a, b], Cookie: a=b }
      - post: /f
        form: { a: 1, b: "x y&", c: [1, 2] }
      - put: /b
        body: |
          two
          lines
        headers: { content-type: text/plain }
      - patch: /file
        file: tests/plans.rs
      - post: /empty
      - request: { method: PURGE, path: "http://other.example/x?y" }
        check: { status: [200, 4xx, 500..502] }
        timeout: 1.5s
      - get: /
      - options: "*"
phases: [ { name: a, users: 1, iterations: 10 }, { name: b, users: 2, iterations_per_user: 5 } ]
"#,
    );
    let steps: Vec<_> = plan.steps().map(|(_, step)| step).collect();
    let field = |i: usize, name: &str| -> Vec<String> {
        let fields = steps[i].template.fields().iter().filter(|f| f.name.eq_ignore_ascii_case(name));
        fields.map(|f| String::from_utf8(f.value.as_literal().unwrap()).unwrap()).collect()
    };
    assert_eq!(plan.timeouts.request, None);
    assert_eq!(field(0, "user-agent"), ["other"]);
    assert_eq!(field(0, "x-number"), ["1.10"], "as it is written");
    assert_eq!(field(0, "x-two"), ["a", "b"]);
    assert_eq!(steps[0].template.fields().iter().filter(|f| f.secret).count(), 1);
    assert_eq!(field(1, "user-agent"), ["loadgen"]);
    assert_eq!(&steps[1].body[..], b"a=1&b=x+y%26&c=1&c=2");
    assert_eq!(field(1, "content-type"), ["application/x-www-form-urlencoded"]);
    assert_eq!(&steps[2].body[..], b"two\nlines\n");
    assert_eq!(field(2, "content-type"), ["text/plain"]);
    assert!(steps[3].body.starts_with(b"//! Plans as users"));
    assert_eq!(steps[4].template.framing(), proto::Framing::Length);
    assert_eq!((steps[5].name.as_str(), steps[5].target), ("PURGE /x?y", 1));
    assert_eq!(steps[5].checks, [Check::Status(StatusSet(vec![(200, 200), (400, 499), (500, 502)]))]);
    assert_eq!(steps[5].timeout, Some(Duration::from_millis(1500)));
    assert_eq!((steps[6].name.as_str(), steps[7].name.as_str()), ("GET / #2", "OPTIONS *"));
    assert_eq!(plan.phases[1].stop, Stop::IterationsPerUser(5.try_into().unwrap()));
    assert_eq!(plan.connections.max.get(), 2);
}

#[test]
fn json_keeps_what_is_written() {
    let plan = parse(
        r#"
version: 1
target: builtin
scenarios:
  s:
    steps:
      - post: /
        json: { b: 1.10, a: [true, null, "1", yes], c: { d: "\"\n", "e f": -0.5e3 }, n: }
phases: [ { users: 1, for: 1s } ]
"#,
    );
    let (_, step) = plan.steps().next().unwrap();
    let expected = r#"{"b":1.10,"a":[true,null,"1","yes"],"c":{"d":"\"\n","e f":-0.5e3},"n":null}"#;
    assert_eq!(std::str::from_utf8(&step.body).unwrap(), expected);
}

#[test]
fn anchors_and_merge_keys() {
    let plan = parse(
        r#"
version: 1
x-shared: &auth { authorization: Bearer a, accept: text/html }
target: builtin
scenarios:
  s:
    steps:
      - get: /
        headers: { <<: *auth, accept: "*/*" }
      - get: /b
        headers: *auth
phases: [ { users: 1, for: 1s } ]
"#,
    );
    let fields = plan.steps().next().unwrap().1.template.fields().to_vec();
    assert_eq!(fields.len(), 2);
    assert_eq!(fields.iter().find(|f| f.name == "accept").unwrap().value.as_literal().unwrap(), b"*/*");
}

#[test]
fn settings_beside_the_plan() {
    let text = "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ get: / ] } }\n\
                phases: [ { name: a, users: 1, for: 1s }, { name: b, users: 1, for: 1s } ]\n";
    let plan = parse_with(
        text,
        &[
            "target=http://other:81",
            "connections.max=5",
            "phases.b.users=7",
            "phases.0.for=2s",
            "tls={ insecure: true }",
        ],
    );
    assert_eq!(plan.targets[0].authority, "other:81");
    assert_eq!(plan.connections.max.get(), 5);
    assert_eq!(plan.phases[1].users.get(), 7);
    assert_eq!(plan.phases[0].stop, Stop::After(Duration::from_secs(2)));
    assert!(!plan.tls.verify);
}

#[test]
fn where_connections_come_from_and_go_to() {
    let plan = with(
        "target: https://shop.example\nconnections: { source: [127.0.0.2, 10.0.0.0/30], connect_to: 'other:8443', \
         resolve: { 'other:8443': [10.0.0.7, '::1'] } }",
    );
    let ips = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<Vec<std::net::IpAddr>>();
    assert_eq!(plan.connections.route.sources, ips(&["127.0.0.2", "10.0.0.1", "10.0.0.2"]));
    let to = ["10.0.0.7:8443", "[::1]:8443"].map(|a| a.parse().unwrap()).to_vec();
    assert_eq!(plan.targets[0].endpoint, Endpoint::Addresses(to));
    assert_eq!((plan.targets[0].authority.as_str(), plan.targets[0].port()), ("shop.example", 443));

    let plan = with("target: unix:/run/x.sock");
    assert_eq!(plan.targets[0].endpoint, Endpoint::Unix("/run/x.sock".into()));
    assert_eq!(plan.targets[0].authority, "localhost");
    let plan = with(
        "target: http://a:81\nconnections: { connect_to: { 'a:81': 'unix:@name', }, source: 127.0.0.2 }",
    );
    assert_eq!(plan.targets[0].endpoint, Endpoint::Unix("@name".into()));
    assert_eq!(plan.connections.route.sources, ips(&["127.0.0.2"]));
}

#[test]
fn what_is_described_is_the_same_plan() {
    let text = "connections: { source: [127.0.0.2], connect_to: { 'a:81': 'b:82' }, socket: { nodelay: false, quickack: \
                true, send_buffer: 65536, receive_buffer: 131072, busy_poll: 50us, congestion: bbr, device: lo, mark: 7, \
                dscp: ef, local_ports: 2000-2009 } }";
    let plan = with(&format!("target: http://a:81\n{text}"));
    let socket = scenario::plan::Socket {
        nodelay: false,
        quickack: true,
        send_buffer: Some(65_536),
        receive_buffer: Some(131_072),
        busy_poll_us: Some(50),
        congestion: Some("bbr".into()),
        device: Some("lo".into()),
        mark: Some(7),
        dscp: Some(46),
        local_ports: Some((2000, 2009)),
    };
    assert_eq!(plan.connections.socket, socket);
    let shown = scenario::describe(&plan);
    let line = shown.lines().find(|l| l.starts_with("connections")).unwrap();
    let again = with(&format!("target: http://a:81\n{line}"));
    assert_eq!((&again.connections, &again.targets), (&plan.connections, &plan.targets), "{line}");
    let shown =
        scenario::describe(&with("target: http://a:81\nconnections: { resolve: { a: [::1, 10.0.0.1] } }"));
    assert!(shown.contains(", resolve: { \"a:81\": [\"::1\", \"10.0.0.1\"] }"), "{shown}");
}

#[test]
fn tls() {
    use scenario::plan::{Identity, TlsVersion};
    let plan = with(
        "target: https://a\nprotocol: h2\ntls: { cert: Cargo.toml, min_version: 1.3, alpn: [h2, http/1.1], resumption: true, \
         groups: [X25519MLKEM768] }",
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    assert_eq!(plan.tls.identity, Some(Identity { cert: file.clone(), key: file }));
    assert_eq!((plan.tls.min, plan.tls.max), (TlsVersion::V1_3, TlsVersion::V1_3));
    assert_eq!((plan.tls.alpn.join(" ").as_str(), plan.tls.resumption), ("h2 http/1.1", true));
    let shown = scenario::describe(&plan);
    let line = shown.lines().find(|l| l.starts_with("tls:")).unwrap();
    assert_eq!(with(&format!("target: https://a\nprotocol: h2\n{line}")).tls, plan.tls, "{line}");
    let plan = with("target: https://a\ntls: { max_version: TLSv1.2 }");
    assert_eq!((plan.tls.min, plan.tls.max), (TlsVersion::V1_2, TlsVersion::V1_2));
}

#[test]
fn proxies() {
    use scenario::plan::ProxyVersion;
    let plan = with(
        "target: https://a\nconnections: { proxy: 'http://user:secret@proxy:3128', proxy_protocol: { version: v2, source: \
         [192.0.2.1, 192.0.2.2] } }",
    );
    let proxy = plan.connections.route.proxy.as_ref().unwrap();
    assert_eq!(proxy.endpoint, Endpoint::Name { host: "proxy".into(), port: 3128 });
    assert_eq!(proxy.authorization.as_ref().unwrap().reveal(), "Basic dXNlcjpzZWNyZXQ=");
    let header = plan.connections.route.proxy_protocol.as_ref().unwrap();
    assert_eq!((header.version, header.sources.len()), (ProxyVersion::V2, 2));
    let shown = scenario::describe(&plan);
    assert!(
        shown.contains("proxy: \"http://***@proxy:3128\", proxy_protocol: { version: v2, source: ["),
        "{shown}"
    );
    for text in [shown, format!("{plan:?}")] {
        assert!(!text.contains("secret") && !text.contains("dXNlcjpz"), "{text}");
    }
    let plan = with("target: http://a\nconnections: { proxy_protocol: v1 }");
    assert_eq!(plan.connections.route.proxy_protocol.unwrap().version, ProxyVersion::V1);
}

#[test]
fn alternatives_are_of_targets_over_tls_in_the_protocol_of_the_plan() {
    let plan = with("target: https://a\nconnections: { alt_svc: true }");
    let shown = scenario::describe(&plan);
    let line = shown.lines().find(|l| l.starts_with("connections:")).unwrap();
    assert!(line.contains(", alt_svc: true"), "{line}");
    assert_eq!(with(&format!("target: https://a\n{line}")).connections, plan.connections);
    assert!(!with("target: https://a").connections.alt_svc);
    let early = with("target: https://a\ntls: { early_data: true }\nconnections: { alt_svc: true }");
    assert!(
        early.tls.early_data
            && early.speaks_quic()
            && scenario::describe(&early).contains("early_data: true")
    );
    for protocol in ["auto", "h1", "h2"] {
        let plan =
            with(&format!("target: https://a\nprotocol: {protocol}\nconnections: {{ alt_svc: true }}"));
        assert!(plan.may_move(&plan.targets[0]), "{protocol}");
    }
    let text = "version: 1\ntarget: https://a\nconnections: { alt_svc: true }\nscenarios: { s: { steps: [ get: /, { get: /, \
                protocol: h2 }, { get: 'https://b/', protocol: auto }, get: 'http://c/' ] } }\nphases: [ { users: 1, for: 1s } ]\n";
    let plan = parse(text);
    let moving: Vec<bool> = plan.targets.iter().map(|t| plan.may_move(t)).collect();
    assert_eq!(moving, [true, false, true, false]);
    let deaf = parse(&text.replace("alt_svc: true", "alt_svc: false"));
    assert!(deaf.targets.iter().all(|t| !deaf.may_move(t)));
}

#[test]
fn a_search_makes_its_phases_itself() {
    use scenario::plan::{Curve, Load};
    let plan = parse(
        "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ get: / ] } }\nsearch:\n  highest: rate\n  from: 100/s\n  to: 2k/s\n  \
         while: p99(response_time, step=\"GET /\") < 50ms and error_rate < 0.1%\n  confirm: 2\n  warm_up: 0s\n  probe: 10s\n  \
         users_max: 7\n  arrivals: poisson\n  at_least: 1k/s\n",
    );
    let search = plan.search.clone().expect("a search");
    assert_eq!((search.from, search.to, search.at_least), (100.0, 2000.0, Some(1000.0)));
    assert_eq!((search.confirm.get(), search.precision, search.is_whole()), (2, 0.02, false));
    assert_eq!(search.condition[0].step.as_deref(), Some("GET /"));
    assert!(plan.thresholds.is_empty() && plan.phases.len() == 1, "{:?}", plan.phases);
    let probe = plan.probe(500.0).expect("a search");
    let Load::Open(arrivals) = &probe.phases[0].load else { panic!("{:?}", probe.phases) };
    assert_eq!(
        (&arrivals.curve, arrivals.spread),
        (&Curve::Constant(500.0), scenario::plan::Spread::Poisson)
    );
    assert_eq!((probe.phases[0].users.get(), probe.thresholds.len()), (7, 2));
    assert!(probe.search.is_none());
    // What is shown is a plan of the same search.
    let shown = scenario::describe(&plan);
    let (_, shown) = shown.split_once("\nsearch:\n").expect("a section");
    let head = "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ get: / ] } }\nsearch:\n";
    let again = parse(&format!("{head}{shown}"));
    assert_eq!(again.search.map(|s| (s.text, s.condition)), Some((search.text, search.condition)));
}

#[test]
fn a_search_for_users_opens_a_connection_for_each() {
    let search = "search: { highest: users, from: 2, to: 300, while: error_rate < 1% }\n";
    let head = "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ get: / ] } }\n";
    let plan = parse(&format!("{head}{search}"));
    let probe = plan.probe(64.0).expect("a search");
    assert_eq!((probe.connections.max.get(), probe.phases[1].users.get()), (64, 64));
    assert_eq!((probe.phases[0].name.as_str(), probe.phases[0].record), ("warm-up", false));
    let plan = parse(&format!("{head}{search}connections: 16\n"));
    assert_eq!(plan.probe(64.0).expect("a search").connections.max.get(), 16);
}

/// A loop whose count is computed may be gone through not once: what follows a `fail` in it is reached.
#[test]
fn what_follows_a_loop_that_may_be_skipped_is_reached() {
    let plan = parse(
        "version: 1
target: http://a
scenarios:
  s:
    variables: { n: 0 }
    steps:
      - repeat: '{{n}}'
        steps: [ { fail: too many } ]
      - get: /
phases: [ { users: 1, iterations: 1 } ]
",
    );
    assert_eq!(plan.scenarios[0].steps.len(), 1);
}

#[test]
fn the_same_fields_are_never_indexed_in_a_plan_as_with_flags() {
    let plan = with(
        "target: http://a\ndefaults: { headers: { X-Api-Key: sesame, x-amz-security-token: sesame, x-csrf-token: sesame } }",
    );
    let fields = plan.scenarios[0].steps[0].template.fields();
    assert_eq!(fields.iter().map(|f| f.secret).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn names_of_steps_hold_no_secret_and_stay_unique() {
    let plan = parse(
        "version: 1
target: http://a
setup: [ get: '/up?token=sesame-0' ]
scenarios:
  s:
    steps:
      - get: /?token=sesame-1
      - get: /?token=sesame-2
      - { get: '/?token=sesame-2', check: { body_includes: x } }
      - { get: /, name: 'GET /?token=***' }
      - { get: /, headers: { authorization: Bearer sesame-3 }, name: as sesame-3 }
      - get: /?page=sesame-4
  t: { steps: [ get: '/?page=1&csrf=sesame-5' ] }
phases: [ { users: 1, for: 1s } ]
thresholds:
  - 'p99(response_time, step=\"GET /?token=sesame-2\") < 1s'
  - 'rate(scenario=t, step=\"GET /?page=1&csrf=sesame-5\") > 1/s'
",
    );
    let names: Vec<&str> = plan.steps().map(|(_, step)| &step.name[..]).collect();
    let expected = [
        "GET /?token=*** #2",
        "GET /?token=*** #3",
        "GET /?token=*** #2 #2",
        "GET /?token=***",
        "as ***",
        "GET /?page=sesame-4",
        "GET /?page=1&csrf=***",
    ];
    assert_eq!(names, expected);
    assert_eq!(plan.script.setup.as_ref().unwrap().scenario.steps[0].name, "GET /up?token=***");
    assert_eq!(plan.script.checks[0].step, "GET /?token=*** #2 #2");
    let steps: Vec<_> = plan.thresholds.iter().map(|t| t.step.as_deref().unwrap()).collect();
    assert_eq!(steps, ["GET /?token=*** #3", "GET /?page=1&csrf=***"]);
    assert_eq!(plan.thresholds[1].text, "rate(scenario=t, step=\"GET /?page=1&csrf=***\") > 1/s");
}

#[test]
fn however_many_values_queries_have_none_is_shown() {
    let steps: String = (100..200).map(|n| format!("      - get: /?n={n}&token=sesame-{n}\n")).collect();
    let head =
        "version: 1\ntarget: http://a\nphases: [ { users: 1, for: 1s } ]\nscenarios:\n  s:\n    steps:\n";
    let plan = parse(&format!("{head}{steps}"));
    assert!(plan.steps().all(|(_, step)| step.name.ends_with("&token=***")));
    assert!(!scenario::describe(&plan).contains("sesame"));
}
