//! The same tests over every I/O driver: a test binary that says [`over_all_drivers`] runs its tests on the ring, and itself
//! again over the others, in a process of its own each.

use engine::stats::RunResult;
use engine::{Io, Options};
use std::process::Command;

/// Which driver this process tests; unset: the ring.
const DRIVER: &str = "ENGINE_TEST_IO";

/// The options of a run, with the driver under test. None of them falls back to another.
pub fn options() -> Options {
    let io = match std::env::var(DRIVER).as_deref() {
        Err(_) => Io::Uring,
        Ok("monoio") => Io::Monoio,
        Ok("epoll") => Io::Epoll,
        Ok(other) => panic!("{DRIVER}: {other}"),
    };
    Options { io, ..Options::default() }
}

/// The run was on the driver under test.
pub fn assert_used(result: &RunResult) {
    let name = match options().io {
        Io::Monoio => "monoio io_uring SINGLE_ISSUER|DEFER_TASKRUN",
        Io::Epoll => "monoio epoll",
        Io::Uring | Io::Auto => "io_uring SINGLE_ISSUER|DEFER_TASKRUN",
    };
    let said = result.environment.facts.iter().find(|(fact, _)| *fact == "driver");
    assert_eq!(said.map(|(_, driver)| driver.as_str()), Some(name));
}

/// Runs all tests of this binary over a driver.
pub fn all_tests_over(driver: &str) {
    if std::env::var_os(DRIVER).is_some() {
        return;
    }
    let binary = std::env::current_exe().unwrap();
    let output = Command::new(&binary).env(DRIVER, driver).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{DRIVER}={driver} {}:\n{text}", binary.display());
    assert!(text.contains("test result: ok"), "{text}");
}

/// The tests of a binary over the drivers that are not the default.
macro_rules! over_all_drivers {
    () => {
        #[test]
        fn all_of_this_over_monoio_on_io_uring() {
            $crate::support::drivers::all_tests_over("monoio");
        }

        #[test]
        fn all_of_this_over_monoio_on_epoll() {
            $crate::support::drivers::all_tests_over("epoll");
        }
    };
}
pub(crate) use over_all_drivers;
