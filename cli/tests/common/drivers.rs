//! The same tests over every I/O driver: a test binary that includes this runs itself again over those that are not the
//! default, in a process of its own each.

use std::process::Command;

/// What `--io` is given in the tests of this process; unset: nothing.
const DRIVER: &str = "LOADGEN_TEST_IO";

/// `--io` for a command line that runs a plan or flags.
pub fn arguments(args: &[&str]) -> Vec<String> {
    let subcommand = args.first().is_some_and(|a| ["serve", "check", "completions"].contains(a));
    let driver = std::env::var(DRIVER).ok().filter(|_| !subcommand && !args.contains(&"--io"));
    driver.map_or_else(Vec::new, |driver| vec!["--io".into(), driver])
}

/// Runs the tests of this binary over a driver.
pub fn all_tests_over(driver: &str) {
    if std::env::var_os(DRIVER).is_some() {
        return;
    }
    let binary = std::env::current_exe().expect("a path");
    let output = Command::new(&binary).env(DRIVER, driver).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{DRIVER}={driver} {}:\n{text}", binary.display());
    assert!(text.contains("test result: ok"), "{text}");
}

/// The tests of a binary over the drivers that are not the default.
macro_rules! over_all_drivers {
    () => {
        #[test]
        fn all_of_this_over_monoio_on_io_uring() {
            $crate::common::drivers::all_tests_over("monoio");
        }

        #[test]
        fn all_of_this_over_monoio_on_epoll() {
            $crate::common::drivers::all_tests_over("epoll");
        }
    };
}
pub(crate) use over_all_drivers;
