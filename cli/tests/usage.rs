//! What a user gets wrong, by the real binary: exit 1, one message that names the remedy, nothing on stdout.

mod common;

use common::{command, loadgen, scratch, stderr, stdout};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;

/// Exit 1 and one message with all these parts.
fn refused(args: &[&str], parts: &[&str]) {
    let output = loadgen(args);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {message}");
    assert_eq!(message.matches("loadgen: error: ").count(), 1, "{args:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{args:?}: {part} is not in: {message}");
    }
    assert!(!stdout(&output).contains("finished in"), "{args:?}");
}

/// A port that nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

#[test]
fn a_closed_port() {
    let url = format!("http://127.0.0.1:{}/", closed_port());
    refused(&["--h1", "-n", "4", "-c", "2", &url], &["127.0.0.1", "refused"]);
}

#[test]
fn an_unknown_host() {
    refused(&["--h1", "http://no-such-host.invalid/"], &["no-such-host.invalid", "resolve"]);
}

#[test]
fn an_unreachable_host() {
    // The prefix of documentation (RFC 3849): no route, or no answer.
    let args = ["--h1", "--connect-timeout", "300ms", "http://[2001:db8::1]/"];
    refused(&args, &["no connection could be opened"]);
}

#[test]
fn a_bad_url() {
    refused(&["localhost:8080"], &["invalid URI", "http://"]);
    refused(&["http://a b/"], &["invalid URI", "%20"]);
    refused(&["ftp://a/"], &["invalid URI", "http"]);
}

#[test]
fn nothing_to_do() {
    refused(&[], &["no URI or plan given", "--help"]);
}

#[test]
fn a_bad_option() {
    refused(&["-n", "many", "http://a/"], &["-n, --requests", "bad option value: many", "whole number"]);
    refused(&["--no-such", "http://a/"], &["--no-such"]);
    refused(&["-n", "1", "-c", "2", "http://a/"], &["-n, -c", "-n 2"]);
    refused(&["--rps", "0", "http://a/"], &["--rps", "above 0"]);
}

#[test]
fn a_negative_number() {
    for args in [["-n", "-1"], ["-D", "-1s"], ["--rps", "-5"]] {
        refused(&[&args[..], &["http://127.0.0.1:1/"]].concat(), &["no option takes a negative number"]);
    }
}

#[test]
fn a_cipher_or_group_that_is_unknown() {
    let run = |option: &str, value: &str, parts: &[&str]| {
        refused(&["-n", "1", option, value, "builtin+tls"], &[&[option], parts].concat());
    };
    let known = "TLS_AES_128_GCM_SHA256";
    run("--tls-ciphers", "TLS_AES_128_GCM_SHA256,NOPE", &["\"NOPE\"", known, "leave it out"]);
    run("--ciphers", "NOPE", &["NOPE", "ECDHE-RSA-AES256-GCM-SHA384"]);
    run("--tls13-ciphers", "NOPE:OTHER", &["NOPE:OTHER", "TLS_AES_256_GCM_SHA384"]);
    run("--groups", "X25519:NOPE", &["\"NOPE\"", "P-256", "leave it out"]);
    run("--groups", "P-521", &["\"P-521\"", "P-256"]);
    let path = scratch("unknown-cipher.yaml");
    let plan = "version: 1\ntarget: builtin+tls\ntls: { CIPHERS }\nscenarios: { s: { steps: [ get: / ] } }\n\
                phases: [ { users: 1, iterations: 1 } ]\n";
    for (tls, parts) in [
        ("ciphers: [TLS_AES_128_GCM_SHA256, NOPE]", &["tls: ciphers", "\"NOPE\"", known][..]),
        ("groups: \"X25519:NOPE\"", &["tls: groups", "\"NOPE\"", "P-256"]),
    ] {
        // Also where nothing will be encrypted, and without a run.
        for target in ["builtin+tls", "builtin"] {
            std::fs::write(&path, plan.replace("builtin+tls", target).replace("CIPHERS", tls)).unwrap();
            let parts = [&["unknown-cipher.yaml"], parts].concat();
            refused(&["-f", path.to_str().unwrap()], &parts);
            refused(&["check", path.to_str().unwrap()], &parts);
        }
    }
    std::fs::remove_file(path).unwrap();
}

/// h2load passes over them: so do we, but not in silence.
#[test]
fn an_unknown_cipher_beside_a_known_one_is_named() {
    for (option, value, note) in [
        (
            "--ciphers",
            "ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256",
            "no DHE-RSA-AES128-GCM-SHA256: left out",
        ),
        ("--tls13-ciphers", "NOPE:TLS_AES_128_GCM_SHA256", "no NOPE: left out"),
        ("--groups", "X25519:P-256:P-384:P-521", "no P-521: left out"),
    ] {
        let output = loadgen(&["-n", "1", option, value, "builtin+tls"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(&format!("{option}: this TLS library has {note}")), "{said}");
    }
}

#[test]
fn an_argument_that_is_not_utf_8() {
    let url = std::ffi::OsStr::from_bytes(b"http://127.0.0.1:1/caf\xe9");
    let output = command(&["--h1"]).arg(url).output().expect("it runs");
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("http://127.0.0.1:1/caf\u{fffd}: ") && message.contains("not UTF-8"),
        "{message}"
    );
}

#[test]
fn a_plan_that_is_not_there() {
    refused(&["-f", "/no/such/plan.yaml"], &["/no/such/plan.yaml", "no such file"]);
    refused(&["check", "/no/such/plan.yaml"], &["/no/such/plan.yaml"]);
}

#[test]
fn a_plan_with_an_unknown_key() {
    let path = scratch("unknown-key.yaml");
    std::fs::write(&path, "version: 1\ntarget: builtin\nphasess: []\n").unwrap();
    let file = path.to_str().unwrap();
    refused(&["-f", file], &["phasess", &format!("{file}:3"), "phases", "^"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn flags_that_contradict_a_plan() {
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/quickstart.yaml");
    refused(&["-f", plan, "-n", "5"], &["-n cannot be given beside a plan", "--set"]);
    refused(&["-f", plan, "http://a/"], &["a URL cannot be given beside a plan"]);
    for (args, parts) in [
        (&["--rps", "5"][..], &["--rps cannot be given beside a plan", "phases.NAME.rate"][..]),
        (&["--h3"], &["--h3 cannot be given beside a plan", "--set protocol=VALUE"]),
        (&["-T", "5"], &["-T cannot be given beside a plan", "timeouts.active"]),
        (&["--initial-rtt=1ms"], &["--initial-rtt cannot be given beside a plan", "http3.initial_rtt"]),
        (&["--quic-congestion=cubic"], &["--quic-congestion cannot", "http3.congestion"]),
        (&["--histogram"], &["--histogram cannot be given beside a plan", "leave it out"]),
        (&["--compat-output=1.70"], &["--compat-output cannot be given beside a plan", "leave it out"]),
        (&["-i", "urls.txt"], &["-i cannot be given beside a plan", "steps"]),
        (&["-v"], &["-v cannot be given beside a plan", "leave it out"]),
    ] {
        refused(&[&["-f", plan][..], args].concat(), parts);
    }
    refused(&["-f", plan, "--set", "phases.5=1"], &["--set"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    refused(&["--h1", "-o", "/no/such/dir/x.json", "http://127.0.0.1:1/"], &["-o", "/no/such/dir/x.json"]);
}

#[test]
fn a_run_that_cannot_start_leaves_no_file() {
    let folder = scratch("nothing");
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    let path = |name: &str| format!("{}/{name}", folder.display());
    std::fs::write(path("empty.json"), "").expect("a file");
    std::fs::write(path("full.csv"), "a,b\n").expect("a file");
    std::os::unix::fs::symlink("to-come.json", path("link.json")).expect("a link");
    let port = closed_port();
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://127.0.0.1:{port}/");
        let written = [("-o", "new.json"), ("-o", "link.json"), ("-o", "empty.json"), ("-o", "full.csv")];
        let mut command = command(&["--h1", "-n", "1", "--output-file", &path("new.h2load"), &url]);
        for (option, name) in written {
            command.args([option, path(name).as_str()]);
        }
        let output = command.env("SSLKEYLOGFILE", path("new.keys")).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains("refused"), "{}", stderr(&output));
        let there =
            std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut there = Vec::from_iter(there.map(|name| name.into_string().expect("UTF-8")));
        there.sort_unstable();
        // What was there is there, with what was in it.
        assert_eq!(there, ["empty.json", "full.csv", "link.json"]);
        assert_eq!(std::fs::read_to_string(path("full.csv")).expect("a file"), "a,b\n");
    }
    // Before anything is tried they are made, and empty.
    let (timeline, log) = (path("new.jsonl"), path("new.log"));
    refused(&["--timeline", &timeline, "--log-file", &log, "http://no-such-host.invalid/"], &["resolve"]);
    assert!(std::fs::metadata(timeline).is_err() && std::fs::metadata(log).is_err());
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn a_file_for_secrets_that_cannot_be_written() {
    let run = |url: &str| {
        let mut command = command(&["-n", "1", url]);
        command.env("SSLKEYLOGFILE", "/no/such/dir/keys").output().expect("the binary starts")
    };
    let output = run("builtin+tls");
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("loadgen: error: SSLKEYLOGFILE: cannot write /no/such/dir/keys"), "{message}");
    assert!(!stdout(&output).contains("finished in"));
    // Where nothing is encrypted there are no secrets.
    assert_eq!(run("builtin").status.code(), Some(0));
}

#[test]
fn outputs_that_contradict_each_other() {
    refused(&["-o", "a.json", "-o", "b.csv", "--format", "json", "builtin"], &["--format", "-o"]);
    refused(&["-o", "-", "-o", "-", "builtin"], &["-o - and -o - both go to standard output", "a file"]);
    for other in ["--timeline", "--output-file"] {
        let both = format!("--format and {other} - both go to standard output");
        refused(&["--format", "json", other, "-", "builtin"], &[&both]);
        refused(&["-o", "-", other, "-", "builtin"], &["-o - and"]);
    }
    refused(
        &["--h1", "-n", "1", "-o", "result.txt", "builtin"],
        &["-o result.txt", ".txt", ".jsonl", "--format"],
    );
    refused(&["--timeline", "-", "--format", "json", "builtin"], &["--timeline -", "file"]);
    refused(&["--json-timeline", "--format", "csv", "builtin"], &["--json-timeline", "--format json"]);
    refused(&["--timeline", "/no/such/place", "builtin"], &["--timeline", "/no/such/place"]);
    refused(&["--interval", "1ms", "builtin"], &["--interval", "10ms"]);
}

#[test]
fn more_connections_than_descriptors() {
    let script = format!(
        "ulimit -n 100 && exec {} --h1 -n 500 -c 500 http://127.0.0.1:1/",
        env!("CARGO_BIN_EXE_loadgen")
    );
    let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh");
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("500 connections") && message.contains("`ulimit -n "), "{message}");
}

#[test]
fn help_and_version_are_no_errors() {
    for (args, part) in [
        (&["--help"][..], "Usage:"),
        (&["-h"], "--max-concurrent-streams"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["serve", "--help"], "--clear"),
        (&["completions", "bash"], "complete"),
    ] {
        let output = loadgen(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(
            stdout(&output).contains(part) && stderr(&output).is_empty(),
            "{args:?}: {}",
            stdout(&output)
        );
    }
}

#[test]
fn help_is_grouped() {
    let help = stdout(&loadgen(&["--help"]));
    for heading in ["Plan:", "Load:", "Request:", "Protocol:", "TLS:", "Connection:", "Machine:", "Output:"] {
        assert!(help.contains(&format!("\n{heading}\n")), "{heading}\n{help}");
    }
    assert!(!help.contains('\x1b'), "colour only on a terminal");
}

#[test]
fn check_shows_the_plan_and_no_secret() {
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/quickstart.yaml");
    let output = loadgen(&["check", plan, "--set", "connections.max=7"]);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(shown.contains("quickstart") && shown.contains('7') && !shown.contains("demo-token"), "{shown}");
    let json = stdout(&loadgen(&["check", "--json", plan]));
    assert!(json.contains("\"targets\"") && !json.contains("demo-token"), "{json}");
}

#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let cases: [&[&str]; 3] =
        [&["-n", "1", "builtin"], &["-n", "1", "--format", "json", "builtin"], &["schema"]];
    for args in cases {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let output = command(args).stdout(full).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            stderr(&output).contains("cannot write to standard output: No space left"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_the_text_is_there() {
    let file = scratch("too-large.json");
    let script = "ulimit -f 0; exec \"$@\"";
    let args = ["--h1", "-n", "3", "builtin", "-o", file.to_str().expect("a name")];
    let program = command(&[]).get_program().to_owned();
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(program)
        .args(args)
        .output()
        .expect("sh runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot write"), "{}", stderr(&output));
    assert!(stdout(&output).contains("3 succeeded"), "{}", stdout(&output));
}

#[test]
fn a_closed_pipe_is_no_error() {
    use std::process::Stdio;
    let mut child = command(&["--help"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(stderr(&output).is_empty());
}

#[test]
fn cpus_that_are_not_there() {
    refused(
        &["--h1", "--cpus", "0,1024", "-c", "2", "-t", "2", "-n", "2", "http://127.0.0.1:1/"],
        &["--cpus 1024", "may use the CPUs"],
    );
}

#[test]
fn two_outputs_to_one_file() {
    let folder = scratch("one-file");
    std::fs::create_dir_all(folder.join("inner")).expect("a scratch folder");
    let path = |name: &str| format!("{}/{name}", folder.display());
    std::fs::write(path("there.json"), "precious").expect("a scratch file");
    std::fs::hard_link(path("there.json"), path("hard.json")).expect("a hard link");
    std::os::unix::fs::symlink("there.json", path("soft.json")).expect("a link");
    // What it leads to is still to be made.
    std::os::unix::fs::symlink("inner/new.json", path("early.json")).expect("a link");
    for (a, b) in [
        ("there.json", "there.json"),
        ("there.json", "hard.json"),
        ("there.json", "soft.json"),
        ("./there.json", "inner/../there.json"),
        ("new.json", "./new.json"),
        ("inner/new.json", "early.json"),
    ] {
        let (a, b) = (path(a), path(b));
        for (first, second) in [
            ("-o", "-o"),
            ("-o", "--timeline"),
            ("-o", "--output-file"),
            ("-o", "--log-file"),
            ("--timeline", "--output-file"),
            ("--timeline", "--log-file"),
            ("--output-file", "--log-file"),
        ] {
            let args = ["--h1", "-n", "1", second, &b, first, &a, "builtin"];
            refused(&args, &[first, second, &a, &b, "are one file", "give each a file of its own"]);
        }
    }
    let output = command(&["--h1", "-n", "1", "-o", &path("soft.json"), "builtin"])
        .env("SSLKEYLOGFILE", path("there.json"))
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(1));
    let both = format!("-o {} and SSLKEYLOGFILE={} are one file", path("soft.json"), path("there.json"));
    assert!(stderr(&output).contains(&both), "{}", stderr(&output));
    // What was there is there, and nothing was made.
    assert_eq!(std::fs::read_to_string(path("there.json")).expect("a file"), "precious");
    assert!(!folder.join("new.json").exists() && !folder.join("inner/new.json").exists());
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn an_output_never_overwrites_an_input() {
    let folder = scratch("read-too");
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    let path = |name: &str| format!("{}/{name}", folder.display());
    let plan = "version: 1\ntarget: builtin\nscenarios: { s: { steps: [ get: / ] } }\nphases: [ { users: 1, iterations: 1 } ]\n";
    std::fs::write(path("in"), plan).expect("a file");
    std::os::unix::fs::symlink("in", path("same")).expect("a link");
    let (read, written) = (path("in"), path("same"));
    for output in ["-o", "--timeline", "--output-file", "--log-file"] {
        let parts = [output, &written, "would overwrite what", &read, "give it a file of its own"];
        refused(&["-f", &read, output, &written], &[&parts[..], &["-f"]].concat());
        refused(
            &["--h1", "-n", "1", "-d", &read, output, &written, "builtin"],
            &[&parts[..], &["-d"]].concat(),
        );
    }
    assert_eq!(std::fs::read_to_string(&read).expect("a file"), plan);
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn an_output_never_overwrites_what_a_plan_names() {
    let folder = scratch("read-by-plan");
    std::fs::create_dir_all(folder.join("parts")).expect("a scratch folder");
    let path = |name: &str| format!("{}/{name}", folder.display());
    let files = [
        ("users.csv", "name\nada\n"),
        ("body.txt", "hello"),
        ("upload.txt", "hello"),
        ("schema.json", "{}"),
        ("times.txt", "0\n"),
        ("ca.pem", ""),
        ("parts/more.yaml", "fragments: { f: { steps: [ { post: /, file: inner.txt } ] } }"),
        ("parts/inner.txt", "hello"),
    ];
    for (name, content) in files {
        std::fs::write(path(name), content).expect("a file");
    }
    let plan = "version: 1\ntarget: builtin\ninclude: parts/more.yaml\ntls: { ca: ca.pem }\ndata: { users: { file: users.csv } }\n\
                scenarios:\n  s:\n    steps:\n      - { post: /, file: body.txt, check: { json_schema: schema.json } }\n\
                \x20     - { post: /, multipart: { f: { file: upload.txt } } }\n      - use: f\n\
                phases: [ { replay: times.txt, for: 1s } ]\n";
    std::fs::write(path("plan.yaml"), plan).expect("a file");
    let plan = path("plan.yaml");
    for (name, content) in files {
        let written = path(name);
        let said = format!("{written} would overwrite what the plan reads: give it a file of its own");
        refused(&["-f", &plan, "--timeline", &written], &["--timeline", &said]);
        refused(&["-f", &plan, "--format", "json", "-o", &written], &["-o", &said]);
        assert_eq!(std::fs::read_to_string(&written).expect("a file"), content);
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn qlogs_never_overwrite_another_output() {
    let folder = scratch("qlogs");
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    let path = |name: &str| format!("{}/{name}", folder.display());
    let base = path("./q");
    let args = |base: &str, output: &str| {
        ["--h1", "-n", "1", "--qlog-file-base", base, "--log-file", output, "builtin"].map(str::to_owned)
    };
    let clash = args(&base, &path("q.0.12.3.sqlog"));
    let parts = ["--qlog-file-base", "would overwrite what --log-file", "give it another base"];
    refused(&clash.each_ref().map(String::as_str), &parts);
    std::fs::write(path("q.1.2.3.sqlog"), "hello").expect("a file");
    let read = ["--h1", "-n", "1", "--qlog-file-base", &base, "-d", &path("q.1.2.3.sqlog"), "builtin"];
    refused(&read, &["would overwrite what -d", "reads"]);
    for name in ["q.0.12.sqlog", "q.0.1.2.3.sqlog", "q.0.x.3.sqlog", "qq.0.1.2.sqlog", "q.0.1.2.qlog"] {
        let output = loadgen(&args(&base, &path(name)).each_ref().map(String::as_str));
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn outputs_that_may_have_one_place() {
    let folder = scratch("own-place");
    std::fs::create_dir_all(folder.join("inner")).expect("a scratch folder");
    let path = |name: &str| format!("{}/{name}", folder.display());
    for (first, second) in [
        ("/dev/null", "/dev/null"),
        ("/dev/stderr", "/dev/stderr"),
        (&*path("a.json"), &*path("inner/a.json")),
        (&*path("a.json"), &*path("b.json")),
    ] {
        let more = ["--timeline", "/dev/null", "--log-file", "/dev/null"];
        let args =
            [&["--h1", "-n", "1", "-o", first, "--output-file", second, "builtin"][..], &more].concat();
        let output = loadgen(&args);
        assert_eq!(output.status.code(), Some(0), "{first} {second}: {}", stderr(&output));
    }
    assert!(["a.json", "b.json", "inner/a.json"].iter().all(|name| folder.join(name).exists()));
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn more_connections_than_ports() {
    let url = format!("http://127.0.0.1:{}/", closed_port());
    let args = ["--h1", "-n", "11", "-c", "11", "--local-ports", "43000-43009", &url];
    refused(&args, &["11 connections to 127.0.0.1", "local ports than there are (10)", "--source-address"]);
}

#[test]
fn a_socket_as_the_kernel_does_not_make_it() {
    for (flag, value, parts) in [
        ("--congestion", "no_such", &["TCP_CONGESTION cannot be set to no_such", "modprobe"][..]),
        ("--bind-device", "no_such0", &["SO_BINDTODEVICE cannot be set to no_such0", "ip link"]),
        ("--source-address", "192.0.2.77", &["cannot come from 192.0.2.77", "ip addr add 192.0.2.77/32"]),
        ("--dscp", "64", &["--dscp", "ef, af41"]),
        ("--resolve", "other:80:127.0.0.1", &["--resolve", "connections go to 127.0.0.1:1"]),
        ("-B", "unix:", &["-B, --base-uri", "expected a path"]),
    ] {
        refused(&["--h1", flag, value, "http://127.0.0.1:1/"], parts);
    }
}
