//! The classic text (h2load up to 1.68) line by line, as Debian's h2load writes it for the same command line: what does not
//! depend on time to the letter, the rest by its shape. `interop/h2load.py` holds both against the real h2load.

mod common;

use common::{Server, loadgen, scratch, stderr, stdout};

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

/// What is compared: the whole line, or its shape where it holds times, rates or sizes on the wire; in a run by time also
/// counts.
fn lines(text: &str, by_time: bool) -> Vec<String> {
    let mut table = false;
    let each = text.lines().map(|line| {
        let counts = line.starts_with("requests: ") || line.starts_with("status codes: ");
        let shaped = match line.split_once(" data") {
            _ if table || line.starts_with("finished in ") || (by_time && counts) => shape(line, table),
            Some((traffic, "")) if by_time => format!("{} data", shape(traffic, false)),
            // The data is exact, the heads are counted in our way.
            Some((traffic, "")) => {
                let (heads, data) = traffic.rsplit_once(", ").unwrap_or((traffic, ""));
                format!("{}, {data} data", shape(heads, false))
            }
            _ => line.to_owned(),
        };
        table |= line.trim_start().starts_with("min ");
        shaped
    });
    each.collect()
}

const TABLE: &str = "                     min         max         mean         sd        +/- sd
time for request:<11><12><12><12><9>%
time for connect:<11><12><12><12><9>%
time to 1st byte:<11><12><12><12><9>%
req/s           :<11><12><12><12><9>%
";

/// Options before the URLs and behind them.
fn check(options: &[&str], urls: &[&str], wanted: &str, by_time: bool) {
    let classic = ["--compat-output", "classic"];
    let wanted = format!("starting benchmark...\n{wanted}{TABLE}");
    for args in [[&classic, options, urls].concat(), [urls, options, &classic].concat()] {
        let output = loadgen(&args);
        let text = stdout(&output);
        let ours = lines(&text, by_time);
        assert_eq!(ours, wanted.lines().collect::<Vec<_>>(), "{args:?}\n{text}{}", stderr(&output));
    }
}

/// The lines of each tenth of `n`, which ten divides.
fn progress() -> String {
    (1..=10).map(|tenth| format!("progress: {tenth}0% done\n")).collect()
}

/// The end of a run by count in which every request got `2xx` or every one `status`.
fn ending(n: u64, data: &str, failed: bool) -> String {
    let (good, bad) = if failed { (0, n) } else { (n, 0) };
    format!(
        "\nfinished in #, # req/s, #/s\n\
         requests: {n} total, {n} started, {n} done, {good} succeeded, {bad} failed, 0 errored, 0 timeout\n\
         status codes: {good} 2xx, 0 3xx, 0 4xx, {bad} 5xx\n\
         traffic: # (#) total, # (#) headers (space savings #%), {data} data\n"
    )
}

#[test]
fn runs_by_count() {
    let server = Server::start();
    let url = |path: &str| format!("{}{path}", server.http);
    let body = scratch("classic");
    std::fs::write(&body, [b'x'; 500]).unwrap();
    let body_file = body.to_str().unwrap();
    let list = body.with_extension("urls");
    std::fs::write(&list, format!("{}\n{}\n", url("/?s=100"), url("/?s=100"))).unwrap();
    let (page, echo, bad) = (url("/?s=100"), url("/echo"), url("/?r=503"));
    let (host, elsewhere) = (server.http.trim_start_matches("http://"), "http://name.invalid/?s=100");
    let base = ["-n", "20", "-c", "2", "-B", server.http.as_str()];
    let connect = ["-n", "20", "-c", "2", "--connect-to", host];
    let input = ["-n", "20", "-c", "2", "-i", list.to_str().unwrap()];
    let cases: [(&[&str], &[&str], &str, bool); 8] = [
        (&["-n", "20", "-c", "2"], &[&page], "1.95KB (2000)", false),
        (&["-n", "20", "-c", "2", "-m", "3"], &[&page, &page, "/?s=100"], "1.95KB (2000)", false),
        (&["-n", "20", "-c", "2", "-d", body_file], &[&echo], "9.77KB (10000)", false),
        (&["-n", "20", "-c", "2", "-H", "x-a: b", "-H", ":method: PUT"], &[&page], "1.95KB (2000)", false),
        (&base, &[elsewhere], "1.95KB (2000)", false),
        (&connect, &[elsewhere], "1.95KB (2000)", false),
        (&input, &[], "1.95KB (2000)", false),
        (&["-n", "20", "-c", "2"], &[&bad], "0B (0)", true),
    ];
    for (options, urls, data, failed) in cases {
        for (protocol, flags) in [("h2c", &[][..]), ("http/1.1", &["--h1"])] {
            let wanted = format!(
                "spawning thread #0: 2 total client(s). 20 total requests\nApplication protocol: {protocol}\n{}{}",
                progress(),
                ending(20, data, failed)
            );
            check(&[options, flags].concat(), urls, &wanted, false);
        }
    }
    std::fs::remove_file(body).unwrap();
    std::fs::remove_file(list).unwrap();
}

#[test]
fn over_tls_and_on_several_threads() {
    let server = Server::start();
    let (http, https) = (format!("{}/?s=100", server.http), format!("{}/?s=100", server.https));
    let tls = "TLS Protocol: TLSv1.3\nCipher: TLS_AES_128_GCM_SHA256\nServer Temp Key: X25519 253 bits\n";
    for (protocol, flags) in [("h2", &["-n", "20"][..]), ("http/1.1", &["-n", "20", "--h1"])] {
        let wanted = format!(
            "spawning thread #0: 1 total client(s). 20 total requests\n{tls}Application protocol: {protocol}\n{}{}",
            progress(),
            ending(20, "1.95KB (2000)", false)
        );
        check(flags, &[&https], &wanted, false);
    }
    let wanted = format!(
        "spawning thread #0: 2 total client(s). 10 total requests\nspawning thread #1: 2 total client(s). 10 total \
         requests\nApplication protocol: h2c\n{}{}",
        progress(),
        ending(20, "1.95KB (2000)", false)
    );
    check(&["-n", "20", "-c", "4", "-t", "2"], &[&http], &wanted, false);
}

#[test]
fn runs_by_time() {
    let server = Server::start();
    let url = format!("{}/?s=100", server.http);
    for (options, warm_up) in
        [(&["-D", "1", "-c", "2"][..], "0s"), (&["-D", "1s", "--warm-up-time", "500ms", "-c", "2"], "0.5s")]
    {
        let started = "Warm-up started for thread #0.\nprogress: 50% of clients started\nprogress: 100% of clients started\n";
        let main =
            "Warm-up phase is over for thread #0.\nMain benchmark duration is started for thread #0.\n";
        let spoken = "Application protocol: h2c\n";
        // Without a warm-up the main phase begins with it, before a connection can be up.
        let middle = if warm_up == "0s" { format!("{main}{spoken}") } else { format!("{spoken}{main}") };
        let wanted = format!(
            "spawning thread #0: 2 total client(s). Timing-based test with {warm_up} of warm-up time and 1s of main duration \
             for measurements.\n{started}{middle}Main benchmark duration is over for thread #0. Stopping all clients.\n\
             Stopped all clients for thread #0\n\nfinished in #, # req/s, #/s\n\
             requests: # total, # started, # done, # succeeded, # failed, # errored, # timeout\n\
             status codes: # #xx, # #xx, # #xx, # #xx\n\
             traffic: # (#) total, # (#) headers (space savings #%), # (#) data\n"
        );
        check(options, &[&url], &wanted, true);
    }
}
