//! The program under the name of h2load: its options and no others, its text, its exit codes.

mod common;

use common::{Server, scratch, stderr, stdout};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A link of that name, gone with the value.
struct H2load(PathBuf);

impl H2load {
    fn new() -> H2load {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = scratch(&format!("as-h2load-{n}"));
        std::fs::create_dir_all(&dir).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_loadgen"), dir.join("h2load")).unwrap();
        H2load(dir)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.0.join("h2load"));
        command.args(args).env_remove("LOADGEN_COMPAT_OUTPUT").stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

impl Drop for H2load {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_completed_run_is_0_whatever_came_of_it() {
    let (server, h2load) = (Server::start(), H2load::new());
    let url = |path: &str| format!("{}{path}", server.http);
    for (path, summary) in
        [("/", "4 succeeded, 0 failed, 0 errored"), ("/?r=503", "0 succeeded, 4 failed, 0 errored")]
    {
        let output = h2load.run(&["-n4", "-c", "2", &url(path)]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).contains(summary), "{}", stdout(&output));
    }
}

#[test]
fn no_connection_at_all_is_a_text_too() {
    let h2load = H2load::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = h2load.run(&["-n", "3", &format!("http://127.0.0.1:{port}/")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    let line = "requests: 3 total, 0 started, 0 done, 0 succeeded, 3 failed, 3 errored, 0 timeout\n";
    assert!(text.contains(line) && text.contains("\nfinished in "), "{text}");
    assert!(stderr(&output).contains("could not connect to host"), "{}", stderr(&output));
}

#[test]
fn only_h2loads_options_are_known() {
    let (server, h2load) = (Server::start(), H2load::new());
    for (args, message) in [
        (["--format", "json"], "h2load: unrecognized option '--format'"),
        (["--body", "x"], "h2load: unrecognized option '--body'"),
        (["-o", "x"], "h2load: invalid option -- 'o'"),
        (["-k", "-4"], "h2load: invalid option -- 'k'"),
        (["-n", "x"], "bad option value: x"),
    ] {
        let output = h2load.run(&[&args[..], &[&server.http]].concat());
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""), "{args:?}");
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
    // A sub-command is a URL like any other, and no plan can be named.
    assert!(stderr(&h2load.run(&["serve"])).contains("invalid URI: serve"));
    assert!(stderr(&h2load.run(&["-f", "plan.yaml", &server.http])).contains("--max-frame-size"));
    assert!(stderr(&h2load.run(&[])).contains("no URI"));
}

#[test]
fn options_may_be_abbreviated_joined_and_anywhere() {
    let (server, h2load) = (Server::start(), H2load::new());
    for args in [
        vec!["-vn6", "-c2", server.http.as_str(), "--h1"],
        vec![server.http.as_str(), "--req=6", "--cl", "2", "--h1"],
        vec!["--h1", "-n", "6", "-c", "2", "-f", "16K", "--", server.http.as_str()],
    ] {
        let text = stdout(&h2load.run(&args));
        assert!(
            text.contains("Application protocol: http/1.1") && text.contains(" 6 succeeded,"),
            "{args:?}: {text}"
        );
    }
}

#[test]
fn help_version_and_the_choice_of_the_text() {
    let (server, h2load) = (Server::start(), H2load::new());
    let version = stdout(&h2load.run(&["--version"]));
    assert!(version.starts_with("h2load nghttp2/1.70.0") && version.contains("loadgen"), "{version}");
    let help = stdout(&h2load.run(&["-h"]));
    assert!(help.contains("--connection-active-timeout") && !help.contains("--verify"), "{help}");
    for (format, row) in
        [("classic", "\ntime for request: "), ("1.69", "\nrequest     : "), ("", "\nTTFB        : ")]
    {
        let output =
            h2load.command(&["-n1", &server.http]).env("LOADGEN_COMPAT_OUTPUT", format).output().unwrap();
        assert!(stdout(&output).contains(row), "{format}: {}", stdout(&output));
    }
    let output = h2load.command(&["-n1", &server.http]).env("LOADGEN_COMPAT_OUTPUT", "2").output().unwrap();
    assert!(output.status.code() == Some(1) && stderr(&output).contains("classic"), "{}", stderr(&output));
}
