//! What legal responses become, and what broken ones do: two tables, each row at every cut.

mod support;

use proto::ClientConn;
use support::{ALL, Case, config};

/// Feeds `bytes` to a fresh connection with one request in flight, cut at `at`; then the end of the input, if asked.
fn told(method: &str, bytes: &[u8], at: usize, eof: bool) -> Vec<String> {
    let mut case = Case::new(config(1));
    case.ask(method);
    case.say(&bytes[..at]).say(&bytes[at..]);
    if eof {
        case.eof();
    }
    let mut told = case.told();
    assert_eq!(told.remove(0), "sent 0");
    told
}

#[track_caller]
fn expect(name: &str, method: &str, bytes: &[u8], eof: bool, events: &[&str]) {
    for at in 0..=bytes.len() {
        assert_eq!(told(method, bytes, at, eof), events, "{name}, cut at {at}");
    }
}

type Row = (&'static str, &'static str, &'static [u8], &'static [&'static str]);

/// Name, method, what the peer says, what is told.
const LEGAL: &[Row] = &[
    ("length", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", &["head 0 200 content-length=3", "body 0 abc", "done 0"]),
    ("status 000", "GET", b"HTTP/1.1 000 No\r\nContent-Length: 1\r\n\r\na", &["head 0 0 content-length=1", "body 0 a", "done 0"]),
    ("status 099", "GET", b"HTTP/1.1 099 No\r\nContent-Length: 1\r\n\r\na", &["head 0 99 content-length=1", "body 0 a", "done 0"]),
    ("status 600", "GET", b"HTTP/1.1 600 No\r\nContent-Length: 1\r\n\r\na", &["head 0 600 content-length=1", "body 0 a", "done 0"]),
    ("status 999", "GET", b"HTTP/1.1 999 No\r\nContent-Length: 1\r\n\r\na", &["head 0 999 content-length=1", "body 0 a", "done 0"]),
    ("length 0", "GET", b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", &["head 0 200 content-length=0", "done 0"]),
    ("length with zeros before", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0002\r\n\r\nab", &["head 0 200 content-length=0002", "body 0 ab", "done 0"]),
    ("no reason phrase", "GET", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", &["head 0 200 content-length=0", "done 0"]),
    ("empty reason phrase", "GET", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", &["head 0 200 content-length=0", "done 0"]),
    ("the same length twice", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length: 1\r\n\r\na", &["head 0 200 content-length=1, 1 content-length=1", "body 0 a", "done 0"]),
    ("chunked", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", &["head 0 200 transfer-encoding=chunked", "body 0 abcd", "done 0"]),
    ("chunked, empty", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", &["head 0 200 transfer-encoding=Chunked", "done 0"]),
    ("chunk extensions", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n03;a\r\nabc\r\nA ; b=\"x;y\"\r\n0123456789\r\n0;z\r\n\r\n", &["head 0 200 transfer-encoding=chunked", "body 0 abc0123456789", "done 0"]),
    ("padded chunk size", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3   \r\nabc\r\n0\r\n\r\n", &["head 0 200 transfer-encoding=chunked", "body 0 abc", "done 0"]),
    ("trailers", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: 1\r\nx-b: 2\r\n\r\n", &["head 0 200 transfer-encoding=chunked", "body 0 a", "trailers 0 x-a=1 x-b=2", "done 0"]),
    ("gzip, chunked", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", &["head 0 200 transfer-encoding=gzip, chunked", "body 0 a", "done 0"]),
    ("gzip, chunked in two fields", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: ,chunked,\r\n\r\n1\r\na\r\n0\r\n\r\n", &["head 0 200 transfer-encoding=gzip transfer-encoding=,chunked,", "body 0 a", "done 0"]),
    ("HEAD with a length", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", &["head 0 200 content-length=9", "done 0"]),
    ("HEAD, chunked", "HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &["head 0 200 transfer-encoding=chunked", "done 0"]),
    ("HEAD without framing", "HEAD", b"HTTP/1.1 200 OK\r\n\r\n", &["head 0 200", "done 0"]),
    ("204", "GET", b"HTTP/1.1 204 No Content\r\n\r\n", &["head 0 204", "done 0"]),
    ("204 with a length", "GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", &["head 0 204 content-length=5", "done 0"]),
    ("304 with a length", "GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", &["head 0 304 content-length=5", "done 0"]),
    ("205 has a body like any other", "GET", b"HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\na", &["head 0 205 content-length=1", "body 0 a", "done 0"]),
    ("interim responses", "GET", b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\nHTTP/1.1 204 N\r\n\r\n", &["interim 0 102", "interim 0 103", "head 0 204", "done 0"]),
    ("close", "GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", &["head 0 200 connection=close content-length=1", "draining", "body 0 a", "done 0", "closed"]),
    ("close in a list", "GET", b"HTTP/1.1 204 N\r\nConnection: te,\tCLOSE ,x\r\n\r\n", &["head 0 204 connection=te,\tCLOSE ,x", "draining", "done 0", "closed"]),
    ("close in a second field", "GET", b"HTTP/1.1 204 N\r\nConnection: keep-alive\r\nconnection: Close\r\n\r\n", &["head 0 204 connection=keep-alive connection=Close", "draining", "done 0", "closed"]),
    ("closed is not close", "GET", b"HTTP/1.1 204 N\r\nConnection: closed, not-close\r\n\r\n", &["head 0 204 connection=closed, not-close", "done 0"]),
    ("bytes after a closing response", "GET", b"HTTP/1.1 204 N\r\nConnection: close\r\n\r\nmore", &["head 0 204 connection=close", "draining", "done 0", "closed"]),
    ("HTTP/1.0", "GET", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", &["head 0 200 content-length=1", "draining", "body 0 a", "done 0", "closed"]),
    ("HTTP/1.0 keep-alive", "GET", b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na", &["head 0 200 connection=Keep-Alive content-length=1", "body 0 a", "done 0"]),
    ("CONNECT", "CONNECT", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", &["draining", "head 0 200 content-length=5", "done 0", "closed"]),
    ("CONNECT refused", "CONNECT", b"HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno", &["draining", "head 0 407 content-length=2", "body 0 no", "done 0", "closed"]),
    ("bare LF in a head", "GET", b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", &["head 0 200 content-length=1", "body 0 a", "done 0"]),
    ("bytes above 0x7f", "GET", b"HTTP/1.1 200 \xc3\xa9\r\nX: \xc3\xa9\r\nContent-Length: 0\r\n\r\n", &["head 0 200 x=\u{e9} content-length=0", "done 0"]),
    ("empty value", "GET", b"HTTP/1.1 204 N\r\nX:\r\n\r\n", &["head 0 204 x=", "done 0"]),
];

#[test]
fn legal_responses() {
    for (name, method, bytes, events) in LEGAL {
        expect(name, method, bytes, false, events);
    }
}

const UNTIL_EOF: &[Row] = &[
    (
        "read to close",
        "GET",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
        &["head 0 200", "draining", "body 0 abc", "done 0", "closed"],
    ),
    (
        "read to close, empty",
        "GET",
        b"HTTP/1.1 200 OK\r\n\r\n",
        &["head 0 200", "draining", "done 0", "closed"],
    ),
    (
        "HTTP/1.0, read to close",
        "GET",
        b"HTTP/1.0 200 OK\r\n\r\nabc",
        &["head 0 200", "draining", "body 0 abc", "done 0", "closed"],
    ),
    ("nothing at all", "GET", b"", &["failed 0 Network Closed", "closed Network Closed"]),
    (
        "within the status line",
        "GET",
        b"HTTP/1.",
        &["failed 0 Network Truncated", "closed Network Truncated"],
    ),
    (
        "within a head",
        "GET",
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        &["failed 0 Network Truncated", "closed Network Truncated"],
    ),
    (
        "after an interim response",
        "GET",
        b"HTTP/1.1 103 E\r\n\r\n",
        &["interim 0 103", "failed 0 Network Truncated", "closed Network Truncated"],
    ),
    (
        "within a body",
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        &[
            "head 0 200 content-length=3",
            "body 0 ab",
            "failed 0 Network Truncated",
            "closed Network Truncated",
        ],
    ),
    (
        "before a body",
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        &["head 0 200 content-length=3", "failed 0 Network Truncated", "closed Network Truncated"],
    ),
    (
        "within a chunk",
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        &[
            "head 0 200 transfer-encoding=chunked",
            "body 0 ab",
            "failed 0 Network Truncated",
            "closed Network Truncated",
        ],
    ),
    (
        "without the last chunk",
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        &[
            "head 0 200 transfer-encoding=chunked",
            "body 0 ab",
            "failed 0 Network Truncated",
            "closed Network Truncated",
        ],
    ),
    (
        "without the empty line after the last chunk",
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        &["head 0 200 transfer-encoding=chunked", "failed 0 Network Truncated", "closed Network Truncated"],
    ),
    (
        "within trailers",
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
        &["head 0 200 transfer-encoding=chunked", "failed 0 Network Truncated", "closed Network Truncated"],
    ),
    (
        "closing, within a body",
        "GET",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nab",
        &[
            "head 0 200 connection=close content-length=3",
            "draining",
            "body 0 ab",
            "failed 0 Network Truncated",
            "closed Network Truncated",
        ],
    ),
    ("idle", "GET", b"HTTP/1.1 204 N\r\n\r\n", &["head 0 204", "done 0", "closed"]),
];

#[test]
fn ends_of_the_input() {
    for (name, method, bytes, events) in UNTIL_EOF {
        expect(name, method, bytes, true, events);
    }
}

/// Name, bytes, and the class of the failure, which is the peer's fault in every row. What comes before the failure
/// (a head, some content) is not looked at here.
const HOSTILE: &[(&str, &[u8], &str)] = &[
    ("garbage", b"garbage\r\n\r\n", "Head"),
    ("one NUL", b"\0", "Head"),
    ("TLS alert", b"\x15\x03\x01\x00\x02\x02\x46", "Head"),
    ("HTTP/2 settings", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "Head"),
    ("an empty line first", b"\r\nHTTP/1.1 200 OK\r\n\r\n", "Head"),
    ("version 2.0", b"HTTP/2.0 200 OK\r\n\r\n", "Head"),
    ("version 1.2", b"HTTP/1.2 200 OK\r\n\r\n", "Head"),
    ("version 0.9", b"HTTP/0.9 200 OK\r\n\r\n", "Head"),
    ("ICY", b"ICY 200 OK\r\n\r\n", "Head"),
    ("lower case", b"http/1.1 200 OK\r\n\r\n", "Head"),
    ("a tab for a space", b"HTTP/1.1\t200 OK\r\n\r\n", "Head"),
    ("two spaces", b"HTTP/1.1  200 OK\r\n\r\n", "Head"),
    ("no status", b"HTTP/1.1 OK\r\n\r\n", "Head"),
    ("two digits", b"HTTP/1.1 20 OK\r\n\r\n", "Head"),
    ("four digits", b"HTTP/1.1 2000 OK\r\n\r\n", "Head"),
    ("signed status", b"HTTP/1.1 +20 OK\r\n\r\n", "Head"),
    ("NUL in the reason phrase", b"HTTP/1.1 200 O\0K\r\n\r\n", "Head"),
    ("CR in the reason phrase", b"HTTP/1.1 200 O\rK\r\n\r\n", "Head"),
    ("NUL in a name", b"HTTP/1.1 200 OK\r\nX\0: y\r\n\r\n", "Head"),
    ("NUL in a value", b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", "Head"),
    ("bare CR in a value", b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "Head"),
    ("obsolete folding", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "Head"),
    ("space before the first name", b"HTTP/1.1 200 OK\r\n X: a\r\n\r\n", "Head"),
    ("space before the colon", b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na", "Head"),
    ("no colon", b"HTTP/1.1 200 OK\r\nX\r\n\r\n", "Head"),
    ("no name", b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "Head"),
    ("a name above 0x7f", b"HTTP/1.1 200 OK\r\n\xc3\xa9: x\r\n\r\n", "Head"),
    ("101 unasked", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "Head"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "Framing"),
    ("two lengths in a list", b"HTTP/1.1 200 OK\r\nContent-Length: 1,2\r\n\r\na", "Framing"),
    ("an empty length", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "Framing"),
    ("an empty element", b"HTTP/1.1 200 OK\r\nContent-Length: 1,\r\n\r\na", "Framing"),
    ("a signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", "Framing"),
    ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Framing"),
    ("a hexadecimal length", b"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na", "Framing"),
    ("a length with a unit", b"HTTP/1.1 200 OK\r\nContent-Length: 1 B\r\n\r\na", "Framing"),
    ("a length of 2^63", b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", "Framing"),
    ("a length of 2^64 + 1", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\na", "Framing"),
    (
        "a huge length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999999999\r\n\r\n",
        "Framing",
    ),
    (
        "length and chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Framing",
    ),
    (
        "chunked and length",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "Framing",
    ),
    ("gzip alone", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", "Framing"),
    ("chunked, gzip", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc", "Framing"),
    ("chunked twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "Framing"),
    (
        "chunked in two fields",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Framing",
    ),
    ("identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc", "Framing"),
    ("xchunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "Framing"),
    (
        "chunked with a parameter",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        "Framing",
    ),
    ("an empty coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\nabc", "Framing"),
    ("chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Framing"),
    ("no chunk size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "Framing"),
    (
        "no digit before an extension",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\n",
        "Framing",
    ),
    ("a bad digit", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1g\r\n", "Framing"),
    ("0x", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n", "Framing"),
    ("a negative size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "Framing"),
    ("space before the size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 1\r\na\r\n", "Framing"),
    (
        "a size of 2^63",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n",
        "Framing",
    ),
    (
        "a size that wraps to 1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n",
        "Framing",
    ),
    (
        "a size of many zeros",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\na\r\n",
        "Framing",
    ),
    (
        "bare LF after a size",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        "Framing",
    ),
    (
        "bare LF after an extension",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n",
        "Framing",
    ),
    ("bare CR after a size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\ra\r\n", "Framing"),
    ("NUL in an extension", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;\0\r\na\r\n", "Framing"),
    (
        "words after the padding",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 1\r\na\r\n",
        "Framing",
    ),
    (
        "a chunk too long",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "Framing",
    ),
    (
        "no CRLF after a chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n",
        "Framing",
    ),
    (
        "bare LF after a chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
        "Framing",
    ),
    (
        "bare CR after a chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r0\r\n\r\n",
        "Framing",
    ),
    ("broken trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX Y: z\r\n\r\n", "Head"),
    (
        "folded trailers",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: z\r\n z\r\n\r\n",
        "Head",
    ),
];

#[test]
fn hostile_responses_fail_by_name() {
    for (name, bytes, kind) in HOSTILE {
        let whole = told("GET", bytes, 0, false);
        assert_eq!(
            &whole[whole.len() - 2..],
            [format!("failed 0 Peer {kind}"), format!("closed Peer {kind}")],
            "{name}: {whole:?}"
        );
        for at in 0..=bytes.len() {
            assert_eq!(told("GET", bytes, at, false), whole, "{name}, cut at {at}");
        }
    }
}

#[test]
fn limits_are_named_and_bound_the_memory() {
    let head = b"HTTP/1.1 200 OK\r\n";
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows: &[(&str, &[u8], &[u8])] = &[
        ("a head that never ends", head, b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"),
        (
            "a field that never ends",
            b"HTTP/1.1 200 OK\r\nX: ",
            b"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        ),
        ("a name that never ends", head, b"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        (
            "a reason that never ends",
            b"HTTP/1.1 200 ",
            b"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        ),
        ("too many fields", head, b"X: y\r\n"),
        ("interim responses without end", b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        ("extensions without end", chunked, b"1;yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\na\r\n"),
        (
            "one extension without end",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            b"yyyyyyyyyyyyyyyyyyyyy",
        ),
        (
            "trailers without end",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
        ),
    ];
    for (name, first, again) in rows {
        let mut case = Case::new(config(1));
        case.ask("GET");
        case.say(first);
        let mut n = 0;
        while !case.log.is_closed() {
            case.say(again);
            n += again.len();
            assert!(n <= 80 * 1024, "{name}: still going after {n} bytes");
        }
        let told = case.told();
        assert_eq!(&told[told.len() - 2..], ["failed 0 Peer TooLarge", "closed Peer TooLarge"], "{name}");

        // The same at once: the limit must not depend on how the bytes arrive.
        let mut once = Case::new(config(1));
        once.ask("GET");
        once.say(&[first, &again.repeat(80 * 1024 / again.len() + 1)[..]].concat());
        assert_eq!(once.told(), told, "{name}, at once");
    }
}

#[test]
fn a_head_of_exactly_the_limit_is_accepted() {
    let head = b"HTTP/1.1 204 N\r\nX: yyyy\r\n\r\n";
    for (max, good) in [(head.len(), true), (head.len() - 1, false)] {
        for at in 0..=head.len() {
            let mut case = Case::new(proto_h1::Config { max_head: max, ..config(1) });
            case.ask("GET");
            case.say(&head[..at]).say(&head[at..]);
            let told = case.told();
            let last = if good { "done 0" } else { "closed Peer TooLarge" };
            assert_eq!(told.last().map(String::as_str), Some(last), "limit {max}, cut at {at}");
        }
    }
}

#[test]
fn the_memo_respects_the_limit_and_the_method() {
    let get = support::prepare(&support::template("GET"));
    let head = support::prepare(&support::template("HEAD"));
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let none = proto::Want::default();
    // Two connections on one thread, so that the second is answered from the memo.
    for _ in 0..2 {
        let mut case = Case::new(config(1));
        case.submit(&get, b"", none).expect("room");
        case.flush();
        assert_eq!(case.say(response).told(), ["sent 0", "head 0 200", "body 0 3 unseen", "done 0"]);
    }
    let mut case = Case::new(config(1));
    case.submit(&head, b"", none).expect("room");
    case.flush();
    assert_eq!(case.say(&response[..response.len() - 3]).told(), ["sent 0", "head 0 200", "done 0"]);
    let mut case = Case::new(proto_h1::Config { max_head: 20, ..config(1) });
    case.submit(&get, b"", none).expect("room");
    case.flush();
    assert_eq!(case.say(response).told(), ["sent 0", "failed 0 Peer TooLarge", "closed Peer TooLarge"]);
    let mut case = Case::new(config(1));
    case.submit(&get, b"", ALL).expect("room");
    case.flush();
    assert_eq!(case.say(response).told()[1], "head 0 200 content-length=3");
}

/// Looking at everything again for each byte would make this take minutes.
#[test]
fn a_large_head_byte_by_byte_costs_little() {
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    for i in 0..100 {
        head.extend_from_slice(format!("X-{i}: {}\r\n", "y".repeat(600)).as_bytes());
    }
    head.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    let mut case = Case::new(config(1));
    case.ask("GET");
    for byte in head.chunks(1) {
        case.say(byte);
    }
    assert_eq!(case.told().last().map(String::as_str), Some("done 0"));
    assert_eq!(case.conn.stats().header_bytes, head.len() as u64);
}
