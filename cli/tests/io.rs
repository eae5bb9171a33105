//! `--io`: which driver is taken, what is said about it, and that a run is as exact where io_uring is forbidden.

mod common;

use common::{Server, command, json, loadgen, stderr};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

/// The number of `io_uring_setup`, the same on all architectures.
const IO_URING_SETUP: u32 = 425;

/// Forbids io_uring to this process and what it becomes, as Docker's default seccomp profile and
/// `kernel.io_uring_disabled` do: `EPERM`.
fn forbid_io_uring() -> std::io::Result<()> {
    let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    // BPF_LD | BPF_W | BPF_ABS of `seccomp_data.nr`; BPF_JMP | BPF_JEQ | BPF_K; BPF_RET | BPF_K.
    let mut program = [
        statement(0x20, 0),
        libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: IO_URING_SETUP },
        statement(0x06, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(0x06, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which lives through the call; the other call takes numbers only.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) != 0
    };
    if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

fn without_io_uring(args: &[&str]) -> Output {
    let mut command: Command = command(args);
    // SAFETY: between fork and exec only two system calls are made; nothing is allocated.
    unsafe { command.pre_exec(forbid_io_uring) };
    command.output().expect("the binary starts")
}

fn driver(output: &Output) -> String {
    json(output)["environment"]["driver"].as_str().expect("a driver").to_owned()
}

#[test]
fn where_io_uring_is_forbidden_a_run_is_as_exact_and_says_what_it_runs_on() {
    let server = Server::start();
    let mut sent = 0;
    for (io, url, flags) in [
        ("auto", &server.http, "--h1 -c 7"),
        ("auto", &server.http, "-p h2c -c 4 -m 8 -t 2"),
        ("auto", &server.https, "-c 4 -m 8"),
        ("monoio", &server.http, "--h1 -c 7 -t 2"),
    ] {
        let mut args = vec!["-n", "1000", "--format", "json", "--io", io, url];
        args.extend(flags.split(' '));
        let output = without_io_uring(&args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{io} {flags}: {said}");
        assert_eq!(json(&output)["succeeded"], 1000, "{io} {flags}");
        assert_eq!(driver(&output), "monoio epoll", "{io} {flags}");
        let told = said.matches("running on epoll").count();
        assert_eq!(told, 1, "once, whatever the number of threads: {said}");
        assert!(said.contains("io_uring is forbidden here") && said.contains("seccomp"), "{said}");
        sent += 1000;
    }
    assert_eq!(server.stats()["requests"], sent);
}

#[test]
fn who_insists_on_the_ring_is_told_how_to_allow_it() {
    let server = Server::start();
    let output = without_io_uring(&["--h1", "--io", "uring", &server.http]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("io_uring is forbidden here") && said.contains("io_uring_disabled=0"), "{said}");
    assert_eq!(server.stats()["requests"], 0);
}

#[test]
fn each_driver_is_the_one_asked_for() {
    let server = Server::start();
    for (io, name) in [
        ("auto", "io_uring SINGLE_ISSUER|DEFER_TASKRUN"),
        ("uring", "io_uring SINGLE_ISSUER|DEFER_TASKRUN"),
        ("monoio", "monoio io_uring SINGLE_ISSUER|DEFER_TASKRUN"),
        ("epoll", "monoio epoll"),
    ] {
        let output = loadgen(&["--h1", "-n", "10", "--format", "json", "--io", io, &server.http]);
        assert_eq!((driver(&output).as_str(), stderr(&output).as_str()), (name, ""), "{io}");
    }
}
