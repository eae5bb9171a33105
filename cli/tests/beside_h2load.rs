//! Debian's h2load beside ours, on the same server: the classic text line by line. What does not depend on time is the
//! same to the letter; what does has the same shape. Skipped, and says so, where there is no h2load of that format.

mod common;

use common::{Server, loadgen, stderr, stdout, text};
use std::process::Command;

/// Whether there is an h2load on the path that writes the classic format (up to 1.68).
fn classic_h2load() -> bool {
    let Ok(output) = Command::new("h2load").arg("--version").output() else { return false };
    let version = text(&output.stdout);
    let number =
        version.trim().strip_prefix("h2load nghttp2/1.").and_then(|v| v.split('.').next()?.parse().ok());
    number.is_some_and(|minor: u32| minor <= 68)
}

/// The length of a number with its unit at the start of a text; 0 if there is none.
fn number(text: &str) -> usize {
    let digits = |t: &str| t.bytes().take_while(u8::is_ascii_digit).count();
    let mut len = digits(text);
    if len == 0 {
        return 0;
    }
    if text[len..].starts_with('.') {
        len += 1 + digits(&text[len + 1..]);
    }
    let unit = ["us", "ms", "s", "KB", "MB", "GB", "B"].into_iter().find(|u| {
        let rest = text[len..].strip_prefix(u);
        rest.is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_alphanumeric()))
    });
    len + unit.map_or(0, str::len)
}

/// A line with every number replaced by `#`. In a table a number counts with the blanks before it, and its width stays.
fn shape(line: &str, table: bool) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(c) = rest.chars().next() {
        let blanks = if table { rest.len() - rest.trim_start_matches(' ').len() } else { 0 };
        let len = number(&rest[blanks..]);
        // The 1 of `time to 1st byte` is no number.
        if len > 0 && !rest[blanks + len..].starts_with("st byte") {
            out += &if table { format!("<{}>", blanks + len) } else { "#".to_owned() };
            rest = &rest[blanks + len..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

#[test]
fn shapes() {
    assert_eq!(shape("finished in 1.92s, 5.21 req/s, 1.63KB/s", false), "finished in #, # req/s, #/s");
    assert_eq!(
        shape("time to 1st byte:   305.08ms        0us    80.00%", true),
        "time to 1st byte:<11><11><9>%"
    );
    assert_eq!(shape("500 2xx, 0 3xx", false), "# #xx, # #xx");
}

/// What must be the same: the whole line, or its shape where it holds times or sizes on the wire.
fn comparable(line: &str, table: bool, protocol: &str) -> String {
    let timed = table || line.starts_with("finished in ");
    match line.strip_prefix("traffic: ") {
        // HTTP/2: from the headers on it is exact. HTTP/1.1: h2load counts names and values, we count the head.
        Some(traffic) if protocol != "http/1.1" => {
            let (total, rest) = traffic.split_once(" total, ").unwrap_or((traffic, ""));
            format!("traffic: {} total, {rest}", shape(total, false))
        }
        Some(_) => shape(line, false),
        None if timed => shape(line, table),
        None => line.to_owned(),
    }
}

fn compare(flags: &str, url: &str, protocol: &str) {
    let mut args: Vec<&str> = flags.split_whitespace().collect();
    args.push(url);
    let theirs = Command::new("h2load").args(&args).output().expect("h2load runs");
    assert!(theirs.status.success(), "h2load {args:?}: {}", text(&theirs.stderr));
    args.extend(["--compat-output", "classic"]);
    let ours = loadgen(&args);
    // h2load ends with 0 even if no request succeeded, we do not.
    assert!(matches!(ours.status.code(), Some(0 | 2)), "{args:?}: {}", stderr(&ours));
    let (theirs, ours) = (text(&theirs.stdout), stdout(&ours));
    assert!(ours.contains(&format!("\nApplication protocol: {protocol}\n")), "{ours}");
    let lines = |text: &str| -> Vec<String> {
        let mut table = false;
        let each = text.lines().map(|line| {
            let line = comparable(line, table, protocol);
            table |= line.trim_start().starts_with("min ");
            line
        });
        each.collect()
    };
    assert_eq!(lines(&ours), lines(&theirs), "{flags} {url}\nours:\n{ours}\nh2load:\n{theirs}");
}

#[test]
fn every_line_is_h2loads() {
    if !classic_h2load() {
        eprintln!("skipped: no h2load up to 1.68 on the path (Debian: apt install nghttp2-client)");
        return;
    }
    let server = Server::start();
    for flags in
        ["", "-n 20 -c 2", "-n 100 -c 4 -m 8", "-n 53 -c 3 -m 2 -w 16 -W 18", "-n 12 -c 2 -d Cargo.toml"]
    {
        let path = if flags.contains("-d ") { "/echo" } else { "/?s=1k" };
        let (http, https) = (format!("{}{path}", server.http), format!("{}{path}", server.https));
        compare(flags, &https, "h2");
        compare(flags, &http, "h2c");
        compare(&format!("{flags} --h1"), &http, "http/1.1");
        compare(&format!("{flags} --h1"), &https, "http/1.1");
    }
    let missing = format!("{}/?r=404", server.http);
    compare("-n 10 -c 2 -m 2", &missing, "h2c");
}
