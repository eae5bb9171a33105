//! The real binary, and a server for it to load.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test file takes what it needs")]

pub mod drivers;
pub mod plan;

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

/// The binary with these arguments, without the environment's preferences.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command
        .args(args)
        .args(drivers::arguments(args))
        .env_remove("SSLKEYLOGFILE")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    command
}

/// Runs to the end.
pub fn loadgen(args: &[&str]) -> Output {
    command(args).output().expect("the binary starts")
}

/// The same, and the most memory that it had, in KiB.
#[allow(clippy::zombie_processes, reason = "it is waited for by its number, which also says what it used")]
pub fn with_peak(args: &[&str]) -> (Output, i64) {
    use std::os::unix::process::ExitStatusExt as _;
    let mut child =
        command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut said = child.stderr.take().expect("piped");
    let stderr = std::thread::spawn(move || {
        let mut all = Vec::new();
        said.read_to_end(&mut all).map(|_| all)
    });
    let mut stdout = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut stdout).expect("a pipe");
    let (mut status, pid) = (0, i32::try_from(child.id()).expect("a pid"));
    // SAFETY: a zeroed `rusage` is one, and `wait4` writes to both places, which live here. The child is waited for nowhere else.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::wait4(pid, &mut status, 0, &mut usage), pid);
        usage
    };
    let stderr = stderr.join().expect("a thread").expect("a pipe");
    let status = std::process::ExitStatus::from_raw(status);
    (Output { status, stdout, stderr }, usage.ru_maxrss)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

pub fn stdout(output: &Output) -> String {
    text(&output.stdout)
}

pub fn stderr(output: &Output) -> String {
    text(&output.stderr)
}

/// The result, from a run that was told to print it.
pub fn json(output: &Output) -> Value {
    let text = stdout(output);
    assert!(
        text.starts_with('{') && text.matches('\n').count() == 1,
        "one line of JSON: {text} {}",
        stderr(output)
    );
    serde_json::from_str(&text).expect("JSON")
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))
}

/// Connections that a server took up, of any kind.
pub fn accepted(stats: &Value) -> u64 {
    ["clear", "tls", "h3"].iter().map(|kind| number(&stats["connections"][kind])).sum()
}

/// A place for a file or folder of this test program.
pub fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("loadgen-{}-{name}", std::process::id()))
}

/// Every request that began has ended somehow.
pub fn assert_balanced(result: &Value) {
    let n = |name: &str| number(&result[name]);
    assert_eq!(n("started"), n("succeeded") + n("failed") + n("abandoned"), "{result}");
}

pub fn signal(pid: u32, signal: i32) {
    // SAFETY: kill touches no memory.
    assert_eq!(unsafe { libc::kill(i32::try_from(pid).expect("a pid"), signal) }, 0);
}

/// `loadgen serve` on free ports.
pub struct Server {
    child: Child,
    rest: BufReader<ChildStdout>,
    pub http: String,
    pub https: String,
}

impl Server {
    pub fn start() -> Server {
        Server::with(&[])
    }

    /// With more arguments.
    pub fn with(more: &[&str]) -> Server {
        let args = [&["serve", "--clear", "127.0.0.1:0", "--tls", "127.0.0.1:0", "--stats"], more].concat();
        let mut child = command(&args).stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut rest = BufReader::new(child.stdout.take().expect("piped"));
        let mut address = || {
            let mut line = String::new();
            rest.read_line(&mut line).expect("a line");
            line.trim().strip_prefix("serving ").expect("an address").trim_end_matches('/').to_owned()
        };
        let (http, https) = (address(), address());
        Server { child, rest, http, https }
    }

    /// The same as [`Server::stats`], once it has taken up so many connections, or after 10 s: of the last it may learn a moment
    /// after the client that needed nothing else of it has gone.
    pub fn stats_after(self, connections: u64) -> Value {
        let taken_up = |asked: &u64| {
            let all = accepted(&self.ask_stats()) >= connections + asked;
            if !all {
                std::thread::sleep(Duration::from_millis(5));
            }
            all
        };
        let asked = (1..=2000).find(taken_up).unwrap_or(2000);
        let mut stats = self.stats();
        let clear = &mut stats["connections"]["clear"];
        *clear = (number(clear) - asked).into(); // our own
        stats
    }

    /// What it has counted so far, by a connection of its own.
    fn ask_stats(&self) -> Value {
        let mut stream = TcpStream::connect(self.http.trim_start_matches("http://")).expect("it listens");
        stream.write_all(b"GET /stats HTTP/1.0\r\nhost: test\r\n\r\n").expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("UTF-8");
        serde_json::from_str(text.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
    }

    /// Stops it; what it counted.
    pub fn stats(mut self) -> Value {
        signal(self.child.id(), libc::SIGINT);
        let mut text = String::new();
        self.rest.read_to_string(&mut text).expect("UTF-8");
        assert!(self.child.wait().expect("it ends").success());
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
