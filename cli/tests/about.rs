//! What the program says of itself: version, manual page, completions.

mod common;

use common::{loadgen, stderr, stdout};

#[test]
fn the_version_says_how_it_was_built() {
    let short = stdout(&loadgen(&["-V"]));
    assert_eq!(short.trim_end(), concat!("loadgen ", env!("CARGO_PKG_VERSION")));
    let long = stdout(&loadgen(&["--version"]));
    assert!(long.starts_with(&short), "{long}");
    for fact in ["commit:", "target:", "profile:", "features:", "rustc:"] {
        let line = long.lines().find(|l| l.starts_with(fact)).unwrap_or_else(|| panic!("{fact}: {long}"));
        assert!(line.len() > fact.len() + 3, "{line}");
    }
    assert!(long.contains(std::env::consts::ARCH), "{long}");
}

#[test]
fn the_manual_page_has_every_option_and_every_sub_command_its_own() {
    let page = stdout(&loadgen(&["man"]));
    assert!(page.contains(".TH loadgen 1") && page.contains(".SH SYNOPSIS"), "{page}");
    // Options as help names them; a page writes `-` as `\-`.
    let help = stdout(&loadgen(&["--help"]));
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let longs = lines.filter_map(|line| line.split_whitespace().take(2).find_map(|w| w.strip_prefix("--")));
    let names: Vec<&str> = longs.map(|name| name.trim_end_matches(',')).collect();
    assert!(names.len() > 60, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("\\-\\-{}", name.replace('-', "\\-"))), "--{name} is not in the page");
    }
    assert!(stdout(&loadgen(&["man", "serve"])).contains(".TH loadgen-serve 1"));
    let wrong = loadgen(&["man", "nothing"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("serve"), "{}", stderr(&wrong));
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            stdout(&loadgen(&["completions", shell])).contains("connection-inactivity-timeout"),
            "{shell}"
        );
    }
}
