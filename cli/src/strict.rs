//! The command line of h2load, strictly, for a program that is called by that name: h2load's options, found as getopt
//! finds them (in any order, abbreviated, short ones together), and no others. Everything else is a URL.

use crate::error::Failure;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// An option of h2load: its long name, its short one, and whether it takes a value.
struct Known(&'static str, Option<u8>, bool);

const OPTIONS: &[Known] = &[
    Known("requests", Some(b'n'), true),
    Known("clients", Some(b'c'), true),
    Known("data", Some(b'd'), true),
    Known("threads", Some(b't'), true),
    Known("max-concurrent-streams", Some(b'm'), true),
    Known("window-bits", Some(b'w'), true),
    Known("max-frame-size", Some(b'f'), true),
    Known("connection-window-bits", Some(b'W'), true),
    Known("input-file", Some(b'i'), true),
    Known("header", Some(b'H'), true),
    Known("no-tls-proto", Some(b'p'), true),
    Known("verbose", Some(b'v'), false),
    Known("help", Some(b'h'), false),
    Known("version", None, false),
    Known("ciphers", None, true),
    Known("rate", Some(b'r'), true),
    Known("connection-active-timeout", Some(b'T'), true),
    Known("connection-inactivity-timeout", Some(b'N'), true),
    Known("duration", Some(b'D'), true),
    Known("timing-script-file", None, true),
    Known("base-uri", Some(b'B'), true),
    Known("npn-list", None, true),
    Known("rate-period", None, true),
    Known("h1", None, false),
    Known("header-table-size", None, true),
    Known("encoder-header-table-size", None, true),
    Known("warm-up-time", None, true),
    Known("log-file", None, true),
    Known("connect-to", None, true),
    Known("rps", None, true),
    Known("groups", None, true),
    Known("tls13-ciphers", None, true),
    Known("no-udp-gso", None, false),
    Known("qlog-file-base", None, true),
    Known("max-udp-payload-size", None, true),
    Known("ktls", None, false),
    Known("alpn-list", None, true),
    Known("sni", None, true),
    Known("histogram", None, false),
    Known("tls-session-file", None, true),
    Known("output-file", None, true),
    Known("h3", None, false),
];

/// Whether h2load has an option of this long name.
pub fn knows(long: &str) -> bool {
    OPTIONS.iter().any(|o| o.0 == long)
}

/// The same command line with every option written out, `--`, and the URLs.
pub fn written_out(args: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, Failure> {
    let mut args = args.into_iter();
    let mut out = vec![OsString::from("h2load")];
    let mut urls = Vec::new();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        match bytes {
            b"--" => urls.extend(args.by_ref()),
            [b'-', b'-', rest @ ..] => out.push(long(rest, &mut args)?),
            [b'-', together @ ..] if !together.is_empty() => shorts(together, &mut args, &mut out)?,
            _ => urls.push(arg),
        }
    }
    out.push("--".into());
    out.extend(urls);
    Ok(out)
}

fn long(rest: &[u8], args: &mut impl Iterator<Item = OsString>) -> Result<OsString, Failure> {
    let (name, value) = match rest.iter().position(|b| *b == b'=') {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let shown = String::from_utf8_lossy(name);
    let begins = |o: &&Known| o.0.as_bytes().starts_with(name);
    let exact = OPTIONS.iter().find(|o| o.0.as_bytes() == name);
    let several: Vec<&Known> = OPTIONS.iter().filter(begins).collect();
    let known = match (exact, several.as_slice()) {
        (Some(known), _) => known,
        (None, [known]) => *known,
        (None, []) => return Err(Failure::new(format!("unrecognized option '--{shown}'"))),
        (None, several) => {
            let names: Vec<String> = several.iter().map(|o| format!("'--{}'", o.0)).collect();
            let names = names.join(" ");
            return Err(Failure::new(format!("option '--{shown}' is ambiguous; possibilities: {names}")));
        }
    };
    match (known.2, value) {
        (false, Some(_)) => Err(Failure::new(format!("option '--{}' doesn't allow an argument", known.0))),
        (false, None) => Ok(format!("--{}", known.0).into()),
        (true, Some(value)) => Ok(with_value(known, OsStr::from_bytes(value))),
        (true, None) => match args.next() {
            Some(value) => Ok(with_value(known, &value)),
            None => Err(Failure::new(format!("option '--{}' requires an argument", known.0))),
        },
    }
}

fn shorts(
    mut rest: &[u8],
    args: &mut impl Iterator<Item = OsString>,
    out: &mut Vec<OsString>,
) -> Result<(), Failure> {
    while let [letter, after @ ..] = rest {
        let shown = char::from(*letter);
        let Some(known) = OPTIONS.iter().find(|o| o.1 == Some(*letter)) else {
            return Err(Failure::new(format!("invalid option -- '{shown}'")));
        };
        rest = after;
        if !known.2 {
            out.push(format!("--{}", known.0).into());
            continue;
        }
        let value = match after {
            [] => args
                .next()
                .ok_or_else(|| Failure::new(format!("option requires an argument -- '{shown}'")))?,
            after => OsStr::from_bytes(after).to_owned(),
        };
        out.push(with_value(known, &value));
        return Ok(());
    }
    Ok(())
}

fn with_value(known: &Known, value: &OsStr) -> OsString {
    let mut bytes = format!("--{}=", known.0).into_bytes();
    bytes.extend_from_slice(value.as_bytes());
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<String, String> {
        let words =
            written_out(line.split_whitespace().map(Into::into)).map_err(|e| e.message().to_owned())?;
        let words: Vec<String> = words.into_iter().map(|w| w.into_string().unwrap()).collect();
        Ok(words[1..].join(" "))
    }

    #[test]
    fn options_are_found_as_getopt_finds_them() {
        for (line, written) in [
            ("http://a/ -n 5 -c2", "--requests=5 --clients=2 -- http://a/"),
            ("-vn5 --h1 http://a/", "--verbose --requests=5 --h1 -- http://a/"),
            ("--req=5 --enc 1K", "--requests=5 --encoder-header-table-size=1K --"),
            ("-H a:-b -H -x", "--header=a:-b --header=-x --"),
            ("-f 16K serve", "--max-frame-size=16K -- serve"),
            ("-n 1 -- -n", "--requests=1 -- -n"),
            ("--data=x=y -", "--data=x=y -- -"),
        ] {
            assert_eq!(of(line).as_deref(), Ok(written), "{line}");
        }
    }

    #[test]
    fn what_h2load_has_not_is_refused_in_getopts_words() {
        for (line, message) in [
            ("--format json", "unrecognized option '--format'"),
            ("--trace=1", "unrecognized option '--trace'"),
            ("-k http://a/", "invalid option -- 'k'"),
            ("-o x", "invalid option -- 'o'"),
            ("-n", "option requires an argument -- 'n'"),
            ("--rps", "option '--rps' requires an argument"),
            ("--h1=x", "option '--h1' doesn't allow an argument"),
            ("--r 5", "ambiguous"),
        ] {
            let error = of(line).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
        assert_eq!(of("--re 5").as_deref(), Ok("--requests=5 --"), "only one begins so");
        assert!(of("--connect 5").unwrap_err().contains("'--connect-to'"));
    }
}
